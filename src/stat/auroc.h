/* SPDX-License-Identifier: MIT
 * auroc.h: areas under ROC and precision-recall curves on plain arrays. Undefined (one class only): NAN. */
#ifndef ECG_STAT_AUROC_H
#define ECG_STAT_AUROC_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"

/* label: 1, 0; anything else (-1): unknown, left out. stride in elements, so that a column of (n, K) can be given.
 * Mid-rank Mann-Whitney, exact for ties. A known entry whose score is NAN makes the result NAN, as does want of memory. n below 2^31. */
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

/* Known entries by falling score, sorted once and then counted with any weights. Only groups of equal scores that hold a positive matter: every
 * other negative is just "above" whatever follows. */
typedef struct {
    uint32_t above, negative, positive; /* ends in row[]: negatives on the way to the group, its own negatives, its positives */
} ecg_ranked_group;
typedef struct {
    uint32_t *row;           /* (n) in the order of the groups, then the negatives below all positives; owned */
    ecg_ranked_group *group; /* (groups), owned */
    int64_t n, groups;
    int nan;                 /* a score was NAN: every value is undefined */
} ecg_ranked;
/* Element (row, c) lies at row * stride + c, c < per_row: (K, 1) one label of (n, K), (K, K) all of them pooled. 0; -1: out of memory. */
int ecg_ranked_make(ecg_ranked *out, const float *score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row);
int ecg_ranked_make_double(ecg_ranked *out, const double *score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row);
void ecg_ranked_clear(ecg_ranked *r);

typedef struct {
    double auroc, precision; /* average precision: sum over falling thresholds of (recall gained) * precision, without interpolation */
} ecg_areas;
/* Both areas under integer weights of the rows; NULL: every row weighs 1. The weights of all entries must sum to less than 2^32. */
ecg_areas ecg_ranked_areas(const ecg_ranked *r, const uint32_t *weight);

/* The same under ECG_LANES sets of small weights at once: weight (rows, ECG_LANES). precision may be NULL: not wanted. Same bits as one by one. */
enum { ECG_LANES = 64 };
void ecg_ranked_lanes(double auroc[ECG_LANES], double precision[ECG_LANES], const ecg_ranked *r, const uint8_t *weight);

#endif
