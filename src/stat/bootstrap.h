/* SPDX-License-Identifier: MIT
 * bootstrap.h: percentile intervals of AUROC per label, micro and macro by resampling records or patients (protocol 7.3). */
#ifndef ECG_STAT_BOOTSTRAP_H
#define ECG_STAT_BOOTSTRAP_H

#include "stat/auroc.h"

typedef struct { double point, lo, hi; int64_t undefined; /* resamples without a value */ } ecg_interval;

/* unit (n): rows with the same unit (patient) are drawn together; NULL: every row by itself. Stream 260, a = resample.
 * Writes macro (skip undefined), macro_half (undefined = 0.5), micro, per_label (K); each may be NULL. level 0.95. */
typedef struct { ecg_interval macro, macro_half, micro; } ecg_boot_summary;
int ecg_bootstrap_auroc(ecg_boot_summary *out, ecg_interval *per_label, const float *score, const int8_t *label, int64_t n, int64_t K,
                        const int64_t *unit, int resamples, uint64_t seed, ecg_pool *pool); /* 0; -1: out of memory */

/* The same over given index sets (resamples, n): golden vectors. Replicates are kept in double unless as_float32. */
int ecg_bootstrap_auroc_ids(ecg_boot_summary *out, ecg_interval *per_label, const float *score, const int8_t *label, int64_t n, int64_t K,
                            const int32_t *ids, int resamples, int as_float32, ecg_pool *pool);

/* Percentile q (0..1) with linear interpolation, NAN skipped; x is reordered. NAN if nothing is left. */
double ecg_percentile(double *x, int64_t n, double q);

#endif
