/* SPDX-License-Identifier: MIT
 * sorted.h: the known entries of one label, or of all of them pooled, by falling score. What calibration, operating points and net benefit read. */
#ifndef ECG_STAT_SORTED_H
#define ECG_STAT_SORTED_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    double *score;   /* (n) falling; owned */
    int8_t *label;   /* (n) 1, 0; owned */
    int64_t n, positives;
    int nan;         /* a score was NAN: everything is undefined */
} ecg_sorted;
/* Element (row, c) lies at row * stride + c, c < per_row. 0; -1: out of memory. */
int ecg_sorted_make(ecg_sorted *out, const double *score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row);
void ecg_sorted_clear(ecg_sorted *s);

#endif
