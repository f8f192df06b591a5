/* SPDX-License-Identifier: MIT
 * outlier.h: is an embedding like those of training? Mahalanobis distance under a shrunk covariance (Ledoit and Wolf, J Multivar Anal 2004), told as a
 * percentile of held-out records. */
#ifndef ECG_EXPLAIN_OUTLIER_H
#define ECG_EXPLAIN_OUTLIER_H

#include <stdint.h>

/* Mean and covariance of rows; sums run in the order of the rows. */
typedef struct {
    int width;
    int64_t n;
    double *mean;       /* (width); owned */
    double *covariance; /* (width, width), shrunk towards its mean diagonal; owned */
    double shrinkage;   /* 0 .. 1 */
} ecg_moments;
/* h (n, width). Rows that hold a value that is not finite are left out. 0; -1: out of memory, or no row with all values. */
int ecg_moments_of(ecg_moments *out, const float *h, int64_t n, int width);
void ecg_moments_clear(ecg_moments *m);

enum { ECG_OUTLIER_LEVELS = 129 };
typedef struct {
    int width;
    int64_t n;          /* records behind the levels */
    float *mean;        /* (width); owned */
    float *root;        /* (width (width + 1) / 2) lower triangle of the Cholesky root of the covariance, row by row; owned */
    double level[ECG_OUTLIER_LEVELS]; /* distances at shares 0, 1/128 ... 1 of the held-out records */
} ecg_outlier;
/* h (n, width): held-out records. 0; -1: out of memory, no record, or a covariance without spread. */
int ecg_outlier_fit(ecg_outlier *out, const ecg_moments *m, const float *h, int64_t n);
/* The levels anew: another site. */
int ecg_outlier_refit(ecg_outlier *o, const float *h, int64_t n);
void ecg_outlier_clear(ecg_outlier *o);
const char *ecg_outlier_check(const ecg_outlier *o); /* NULL: fine */

double ecg_outlier_distance(const ecg_outlier *o, const float *h); /* NAN where a value is not finite */
double ecg_outlier_distance_in(const ecg_outlier *o, const float *h, double *room); /* the same; room (width) */
double ecg_outlier_percentile(const ecg_outlier *o, double distance); /* 0 .. 100: of the held-out records, nearer ones */

#endif
