/* SPDX-License-Identifier: MIT
 * bootstrap.h: percentile intervals of AUROC and average precision per label, micro and macro by resampling records or patients (protocol 7.3), and
 * the same of the difference between two sets of predictions on the same resamples. */
#ifndef ECG_STAT_BOOTSTRAP_H
#define ECG_STAT_BOOTSTRAP_H

#include "base/watch.h"
#include "stat/auroc.h"

typedef struct { double point, lo, hi; int64_t undefined; /* resamples without a value */ } ecg_interval;
/* First set minus second. above: share of the defined resamples in which the difference is above zero, half of those in which it is zero. */
typedef struct { double point, lo, hi, above; int64_t undefined; } ecg_difference;

/* unit (n): rows with the same unit (patient) are drawn together; NULL: every row by itself. Stream 260, a = resample.
 * Writes macro (skip undefined), macro_half (undefined = 0.5), micro, per_label (K); each may be NULL. level 0.95. */
typedef struct { ecg_interval macro, macro_half, micro; } ecg_boot_summary;
int ecg_bootstrap_auroc(ecg_boot_summary *out, ecg_interval *per_label, const float *score, const int8_t *label, int64_t n, int64_t K,
                        const int64_t *unit, int resamples, uint64_t seed, ecg_pool *pool); /* 0; -1: out of memory */

/* The same over given index sets (resamples, n): golden vectors. Replicates are kept in double unless as_float32. */
int ecg_bootstrap_auroc_ids(ecg_boot_summary *out, ecg_interval *per_label, const float *score, const int8_t *label, int64_t n, int64_t K,
                            const int32_t *ids, int resamples, int as_float32, ecg_pool *pool);

/* One or two sets of predictions of the same rows. A label on which either set is undefined in a resample has no difference there; the macro
 * difference is the mean over the labels that have one (the labels are the same in both sets, so are the classes). */
typedef struct {
    const double *score, *against; /* (n, K); against NULL: one set */
    const int8_t *label;           /* (n, K) */
    int64_t n, K;
    const int64_t *unit;           /* (n), NULL: every row by itself */
    int resamples;                 /* 0: points only, bounds NAN */
    uint64_t seed;
    int precision;                 /* average precision as well: else NAN */
    int micro;                     /* the pooled figures as well: they cost as much as all labels */
    const ecg_watch *watch;        /* may be NULL: whether to stop */
} ecg_boot_task;
typedef struct {
    ecg_boot_summary auroc, precision;           /* macro_half of precision is NAN */
    ecg_interval *label_auroc, *label_precision; /* (K), owned */
} ecg_boot_set;
typedef struct {
    ecg_difference macro, micro, macro_precision, micro_precision;
    ecg_difference *label;             /* (K) AUROC, owned */
} ecg_boot_paired;
typedef struct {
    int64_t K;
    int sets;
    ecg_boot_set set[2];
    ecg_boot_paired paired;            /* sets == 2 */
} ecg_boot;
int ecg_bootstrap(ecg_boot *out, const ecg_boot_task *t, ecg_pool *pool); /* 0; -1: out of memory, -2: stopped; *out is empty */
void ecg_boot_clear(ecg_boot *b);

/* Percentile q (0..1) with linear interpolation, NAN skipped; x is reordered. NAN if nothing is left. */
double ecg_percentile(double *x, int64_t n, double q);

#endif
