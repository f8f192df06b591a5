/* SPDX-License-Identifier: MIT
 * norm.h: batch normalisation, each column over the rows of a batch (eps 1e-5, momentum 0.1). */
#ifndef ECG_NET_NORM_H
#define ECG_NET_NORM_H

#include "num/kernels.h"

/* y (B, n) = (x - mean) * rstd * w + b with the batch's mean and biased variance; stat (2, n) keeps mean, then rstd. w and b NULL: no affine
 * part. running_mean, running_var (n): moved by a tenth towards the batch's mean and unbiased variance; NULL: not wanted. */
void ecg_batchnorm_forward(float *y, double *stat, float *running_mean, float *running_var, const ecg_exec *exec, const float *x, const float *w,
                           const float *b, int B, int n);
/* The same with running statistics: rows do not couple. */
void ecg_batchnorm_eval(float *y, const ecg_exec *exec, const float *x, const float *w, const float *b, const float *running_mean,
                        const float *running_var, int B, int n);
/* Of ecg_batchnorm_forward. dx (B, n) is overwritten and may be dy; wide (B, n) is dx in double; dw, db (n) are added to; each may be NULL. */
void ecg_batchnorm_backward(float *dx, double *wide, float *dw, float *db, const ecg_exec *exec, const float *dy, const float *x,
                            const double *stat, const float *w, int B, int n);

#endif
