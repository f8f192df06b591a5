/* SPDX-License-Identifier: MIT
 * loss.h: what is minimised. Every function returns the loss in double and writes the gradient in place of nothing else. */
#ifndef ECG_NET_LOSS_H
#define ECG_NET_LOSS_H

#include "num/kernels.h"

/* Barlow Twins on a global batch (protocol 6.2): both embeddings (N, E) are normalised per column over the batch (biased variance, eps 1e-5, no
 * affine), C = z1^T z2 / N, loss = sum_i (1 - C_ii)^2 + lambda sum_{i!=j} C_ij^2. dz1, dz2 (N, E) overwritten; NULL both: loss only. */
typedef struct ecg_barlow ecg_barlow;
ecg_barlow *ecg_barlow_new(int N, int E);
void ecg_barlow_free(ecg_barlow *w);
double ecg_barlow_loss(float *dz1, float *dz2, ecg_barlow *w, const ecg_exec *exec, const float *z1, const float *z2, int N, int E, double lambda);
const float *ecg_barlow_correlation(const ecg_barlow *w); /* C (E, E) of the last call, before it became a gradient */

/* VICReg on a global batch (vicreg.c): distance of the two embeddings, hinge on the spread of each column, covariances between columns. NaN in
 * either embedding makes the loss NaN. dz1, dz2 as above. */
typedef struct ecg_vicreg ecg_vicreg;
typedef struct { double invariance, variance, covariance; } ecg_vicreg_weights;
ecg_vicreg *ecg_vicreg_new(int N, int E);
void ecg_vicreg_free(ecg_vicreg *w);
double ecg_vicreg_loss(float *dz1, float *dz2, ecg_vicreg *w, const ecg_exec *exec, const float *z1, const float *z2, int N, int E,
                       const ecg_vicreg_weights *by);

/* Binary cross-entropy on logits x (B, K), targets y (B, K) in {0, 1}, NAN = unknown (masked). */
typedef enum {
    ECG_BCE_MEAN,          /* mean over all known entries (eq. 2 of the paper) */
    ECG_BCE_SUM_CLASSES,   /* sum over classes, mean over the batch; unknown: mean over the class's known rows, empty classes skipped, summed */
    ECG_BCE_CLASS_MEAN     /* per class mean over its known rows, then mean over the classes that have any */
} ecg_bce_reduce;
double ecg_bce_loss(float *dx, const float *x, const float *y, int B, int K, double gamma, ecg_bce_reduce reduce); /* gamma 0: plain; else focal */

#endif
