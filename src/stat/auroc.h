/* SPDX-License-Identifier: MIT
 * auroc.h: areas under ROC and precision-recall curves on plain arrays. Undefined (one class only): NAN. */
#ifndef ECG_STAT_AUROC_H
#define ECG_STAT_AUROC_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"

/* label: 1, 0; anything else (-1, NAN in the float form): unknown, left out. stride in elements, so that a column of (n, K) can be given.
 * Mid-rank Mann-Whitney, exact for ties. */
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

#endif
