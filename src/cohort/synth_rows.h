/* SPDX-License-Identifier: MIT
 * synth_rows.h: rows of CSV as text, field by field, without printf: fast, and the same bytes under every locale. A field ends in a
 * comma; the end of a row turns the last comma into a line feed. */
#ifndef ECG_COHORT_SYNTH_ROWS_H
#define ECG_COHORT_SYNTH_ROWS_H

#include "base/text.h"

void ecg_row_text(ecg_text *t, const char *s); /* NULL: empty; quoted when needed */
void ecg_row_int(ecg_text *t, int64_t x);
void ecg_row_id(ecg_text *t, int64_t x);       /* -1: empty */
void ecg_row_fixed(ecg_text *t, double x, int decimals); /* halves away from 0; NAN: empty */
void ecg_row_time(ecg_text *t, int64_t seconds); /* INT64_MIN: empty */
void ecg_row_date(ecg_text *t, int64_t seconds);
void ecg_row_end(ecg_text *t);

/* Into a buffer, with a final 0. */
void ecg_synth_fixed(char out[32], double x, int decimals);
double ecg_rounded(double x, int decimals); /* the number that ecg_synth_fixed writes */
void ecg_civil_of(int64_t seconds, int *year, int *month, int *day);

#endif
