/* SPDX-License-Identifier: MIT
 * tabular.h: Phi_m (protocol 5.5): embeddings of the categorical columns, then the continuous ones, then norm-dropout-linear-ReLU twice and
 * norm-dropout-linear. Rows "embeddings.0.weight", "layers.0.weight" ... */
#ifndef ECG_NET_TABULAR_H
#define ECG_NET_TABULAR_H

#include "net/mlp.h"

typedef struct {
    int continuous;
    int categorical;
    int vocabulary[16], embedding[16];
    int hidden1, hidden2, out; /* 128 128 128 */
    float dropout;             /* 0.5 in the last group, half of it in the earlier ones; 0: no dropout ops at all */
} ecg_tabular_config;

typedef struct ecg_tabular ecg_tabular;
ecg_status ecg_tabular_new(ecg_tabular **out, const ecg_tabular_config *c, ecg_params *table, const char *prefix, ecg_err *err);
void ecg_tabular_free(ecg_tabular *t);
const ecg_tabular_config *ecg_tabular_shape(const ecg_tabular *t);

typedef struct ecg_tabular_work ecg_tabular_work;
ecg_tabular_work *ecg_tabular_work_new(const ecg_tabular *t, int batch, bool training);
void ecg_tabular_work_free(ecg_tabular_work *w);

/* y (B, out); continuous (B, continuous), imputed; category (B, categorical) indices. */
void ecg_tabular_forward(float *y, const ecg_tabular *t, ecg_params *table, ecg_tabular_work *w, const ecg_exec *exec, const float *continuous,
                         const int32_t *category, int B, bool train, const ecg_dropout *drop);
void ecg_tabular_backward(float *dcontinuous, const ecg_tabular *t, ecg_params *table, ecg_tabular_work *w, const ecg_exec *exec, const float *dy, int B);

#endif
