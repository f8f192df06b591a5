/* SPDX-License-Identifier: MIT
 * csv_mask.h: 64 bytes of a table at once: where rows and fields end, as bits. One plain path in C and those of the CPU, all with the same result. */
#ifndef ECG_BASE_CSV_MASK_H
#define ECG_BASE_CSV_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t newline, comma, quote; /* bit i: byte i of the 64. After ecg_csv_quotes newlines and commas inside quotes are no longer there */
} ecg_csv_mask;

typedef struct {
    const char *name;
    bool (*runs_here)(void);
    void (*classify)(ecg_csv_mask *m, const char *text, size_t words); /* m (words) of text (words, 64) */
    /* The first newline at or behind bit `at`, words * 64 if there is none; adds up the commas before it, and whether any quote stands there. */
    size_t (*row_end)(const ecg_csv_mask *m, size_t words, size_t at, int *commas, bool *quotes);
} ecg_csv_path;

enum { ECG_CSV_PATHS = 3 };
extern const ecg_csv_path ecg_csv_paths[ECG_CSV_PATHS]; /* the first is the plain one, faster ones behind it */
const ecg_csv_path *ecg_csv_best_path(void);

/* Where in a quoted field, if at all, the text classified so far ends. A row begins: {.before = '\n'} */
typedef struct {
    bool inside;
    bool closed; /* the last byte was a quote that closed a field, or the first of two that stand for one */
    char before; /* the last byte */
} ecg_csv_state;

/* A quote opens a field only as its first byte; elsewhere in a plain field it is a letter. */
void ecg_csv_quotes(ecg_csv_mask *m, const char *text, size_t words, ecg_csv_state *s);

#endif
