/* SPDX-License-Identifier: MIT
 * adamw.h: decoupled weight decay and learning-rate schedules (protocol 6.1). */
#ifndef ECG_NET_ADAMW_H
#define ECG_NET_ADAMW_H

#include "net/params.h"
#include "num/kernels.h"

typedef struct {
    double lr[4];   /* by group */
    double decay[4];
    double beta1, beta2, eps; /* 0.9 0.999 1e-8 */
} ecg_adamw;

/* Step t counts from 1. Buffers and frozen rows are left alone. */
void ecg_adamw_step(ecg_params *t, const ecg_adamw *o, int64_t step, const ecg_exec *exec);

typedef enum { ECG_LR_CONST, ECG_LR_LINEAR, ECG_LR_WARMUP_CONST, ECG_LR_WARMUP_LINEAR, ECG_LR_COS, ECG_LR_COS_RESTART, ECG_LR_INVSQRT, ECG_LR_POLY } ecg_lr_kind;
/* Factor on the base rate at step 0, 1, 2 ... (the reference's schedules, golden i2). Three restarts, power 1. */
double ecg_lr_factor(ecg_lr_kind kind, int64_t step, int64_t warmup, int64_t total);
/* The same with the number of cosine cycles of ECG_LR_COS_RESTART, or the power of ECG_LR_POLY; the others do not look at it. */
double ecg_lr_factor_of(ecg_lr_kind kind, double shape, int64_t step, int64_t warmup, int64_t total);
/* "const", "linear_nowarmup", "linear_warmup", "warmup_const", "warmup_cos_halfcycle", "warmup_cos_restart3", "warmup_invsqrt",
 * "warmup_poly_power1"; the last number of a restart or a power may be another one, ecg_lr_shape reads it. */
ecg_lr_kind ecg_lr_from_name(const char *name, bool *known);
double ecg_lr_shape(const char *name); /* 3 of "warmup_cos_restart3"; 0: the name has none */

#endif
