/* SPDX-License-Identifier: MIT
 * text.h: growing strings, numbers and dates out of bytes that need no final 0, and the nearest name for a misspelt one.
 * Nothing here looks at the locale. */
#ifndef ECG_BASE_TEXT_H
#define ECG_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *at;   /* always ends in 0 once anything was added; owned */
    size_t len, room;
    bool failed; /* out of memory at some point: nothing was added since */
} ecg_text; /* = {0} to begin */

void ecg_text_add(ecg_text *t, const char *bytes, size_t len);
void ecg_text_puts(ecg_text *t, const char *s);
void ecg_text_printf(ecg_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ecg_text_clear(ecg_text *t);

/* The whole of the bytes must be the number (blanks around it are allowed). False: it is not, *out unchanged. */
bool ecg_parse_double(double *out, const char *bytes, size_t len); /* "nan" and "inf" are no numbers */
bool ecg_parse_i64(int64_t *out, const char *bytes, size_t len);   /* also "12345.0" */

/* "YYYY-MM-DD HH:MM:SS" or "YYYY-MM-DD" to seconds since 1970-01-01 in a calendar without zones. False: no such moment. */
bool ecg_parse_time(int64_t *seconds, const char *bytes, size_t len);
void ecg_format_time(char out[20], int64_t seconds);
int ecg_year_of(int64_t seconds);
int64_t ecg_days_from_civil(int year, int month, int day);

bool ecg_same_word(const char *a, const char *b); /* ASCII, case ignored */

/* The candidate with the smallest edit distance to word, NULL if none is near (more than a third of its letters differ). */
const char *ecg_nearest(const char *word, const char *const *candidates, int n);

#endif
