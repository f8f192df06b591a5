/* SPDX-License-Identifier: MIT
 * watch.h: how long work tells a person where it is, and hears that it shall stop. The library itself never prints. */
#ifndef ECG_BASE_WATCH_H
#define ECG_BASE_WATCH_H

#include <signal.h>
#include <stdbool.h>

typedef struct {
    void *ctx;
    void (*say)(void *ctx, const char *line);                                                   /* one line, no newline; may be NULL */
    void (*progress)(void *ctx, const char *what, double done, double total, const char *extra); /* may be NULL */
    const volatile sig_atomic_t *stop;                                                          /* set by a signal handler; may be NULL */
} ecg_watch;

void ecg_say(const ecg_watch *w, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* w may be NULL */
void ecg_progress(const ecg_watch *w, const char *what, double done, double total, const char *extra);
bool ecg_stopped(const ecg_watch *w);

#endif
