/* SPDX-License-Identifier: MIT
 * auroc.h: areas under ROC and precision-recall curves on plain arrays. Undefined (one class only): NAN. */
#ifndef ECG_STAT_AUROC_H
#define ECG_STAT_AUROC_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"

/* label: 1, 0; anything else (-1): unknown, left out. stride in elements, so that a column of (n, K) can be given.
 * Mid-rank Mann-Whitney, exact for ties. A known entry whose score is NAN makes the result NAN, as does want of memory. n below 2^29. */
double ecg_auroc(const float *score, const int8_t *label, int64_t n, int64_t stride);
double ecg_average_precision(const float *score, const int8_t *label, int64_t n, int64_t stride);
double ecg_auroc_micro(const float *score, const int8_t *label, int64_t n, int64_t K); /* all known entries pooled */

typedef struct {
    double skip_undefined; /* mean over labels that have both classes */
    double half_undefined; /* undefined labels count as 0.5, as in the published evaluation */
    int defined, labels;
} ecg_macro;
/* per_label (K) may be NULL. */
ecg_macro ecg_auroc_macro(double *per_label, const float *score, const int8_t *label, int64_t n, int64_t K, ecg_pool *pool);
ecg_macro ecg_macro_of(const double *per_label, int64_t K); /* the means of values that are there already */

/* Known entries by rising score, sorted once and then counted with any weights. Only ties that hold a positive matter: such a group is
 * marked, all other negatives are just "below" whatever follows. */
#define ECG_RANKED_POSITIVE (1u << 31)
#define ECG_RANKED_TIED (1u << 30) /* in a group with a positive */
#define ECG_RANKED_LAST (1u << 29) /* ends such a group */
typedef struct {
    uint32_t *entry; /* (n) row in the low 29 bits, marks above; owned */
    int64_t n;
    int nan;         /* a score was NAN: every value is undefined */
} ecg_ranked;
/* Element (row, c) lies at row * stride + c, c < per_row: (K, 1) one label of (n, K), (K, K) all of them pooled. 0; -1: out of memory. */
int ecg_ranked_make(ecg_ranked *out, const float *score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row);
void ecg_ranked_clear(ecg_ranked *r);

/* AUROC under ECG_LANES sets of integer weights at once; weight (rows, ECG_LANES). The weights of all entries must sum to less than 2^32. */
enum { ECG_LANES = 16 };
void ecg_ranked_auroc(double out[ECG_LANES], const ecg_ranked *r, const uint32_t *weight);

#endif
