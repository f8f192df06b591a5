/* SPDX-License-Identifier: MIT */
#include "base/watch.h"

#include <stdarg.h>
#include <stdio.h>

void ecg_say(const ecg_watch *w, const char *fmt, ...)
{
    if (!w || !w->say)
        return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    w->say(w->ctx, line);
}

void ecg_progress(const ecg_watch *w, const char *what, double done, double total, const char *extra)
{
    if (w && w->progress)
        w->progress(w->ctx, what, done, total, extra);
}

bool ecg_stopped(const ecg_watch *w)
{
    return w && w->stop && *w->stop;
}
