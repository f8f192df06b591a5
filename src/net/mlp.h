/* SPDX-License-Identifier: MIT
 * mlp.h: a chain of batch norm, dropout, linear and ReLU over (B, features). Tabular encoder, projectors and heads are such chains; they
 * couple the batch through the batch norm and are therefore run once on the whole global batch. */
#ifndef ECG_NET_MLP_H
#define ECG_NET_MLP_H

#include "net/dropout.h"
#include "net/params.h"
#include "num/kernels.h"

typedef enum { ECG_OP_NORM, ECG_OP_DROP, ECG_OP_LINEAR, ECG_OP_RELU } ecg_op_kind;
typedef struct {
    ecg_op_kind kind;
    int out;    /* linear: features out */
    bool bias;  /* linear */
    bool wide;  /* linear: its products may be rounded to bf16 where the kernels do; else they stay float32 */
    float p;    /* dropout */
} ecg_op;

typedef struct ecg_mlp ecg_mlp;

/* Rows: prefix + "0.weight" ..., the index counting every op, as torch's Sequential does; buffers "1.running_mean", "1.running_var". A chain of
 * one linear map alone is named without an index: prefix + "weight". Group 1. first_site: dropout site of the first drop (dropout.h). */
ecg_status ecg_mlp_new(ecg_mlp **out, int in, const ecg_op *ops, int n, ecg_params *table, const char *prefix, int first_site, ecg_err *err);
void ecg_mlp_free(ecg_mlp *m);
int ecg_mlp_in(const ecg_mlp *m);
int ecg_mlp_out(const ecg_mlp *m);

typedef struct ecg_mlp_work ecg_mlp_work;
ecg_mlp_work *ecg_mlp_work_new(const ecg_mlp *m, int batch, bool training);
void ecg_mlp_work_free(ecg_mlp_work *w);

/* y (B, out) from x (B, in). train: batch statistics are used, running ones updated in the table, activations kept for backward. Evaluation
 * (train false) uses running statistics and no dropout. */
void ecg_mlp_forward(float *y, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *x, int B, bool train,
                     const ecg_dropout *drop);
/* Output k alone, in evaluation: y (B). The chain ends in a linear map. */
void ecg_mlp_forward_one(float *y, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *x, int B, int k);
/* Adds to table->grad (not to frozen rows); dx (B, in) overwritten, may be NULL. Only after a training forward of the same batch. */
void ecg_mlp_backward(float *dx, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *dy, const float *x, int B);
/* The same with dx (B, in) in double, for chains that begin with a norm: sums of it over rows may cancel almost wholly (tabular.c). */
void ecg_mlp_backward_wide(double *dx, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *dy, const float *x,
                           int B);

/* The chains of the protocol. */
/* Projector (5.7, Barlow Twins): linear, norm, ReLU, linear, norm, ReLU, linear. */
ecg_status ecg_projector_new(ecg_mlp **out, int in, int hidden1, int hidden2, int E, bool bias, ecg_params *table, const char *prefix, ecg_err *err);
/* Head Psi (5.7): norm, dropout / 2, linear in->hidden, ReLU, norm, dropout (.5), linear hidden->K; dropout 0: without these two operations;
 * hidden 0: one linear layer. Also the fusion head (5.4). */
ecg_status ecg_head_new(ecg_mlp **out, int in, int hidden, int K, float dropout, ecg_params *table, const char *prefix, ecg_err *err);

#endif
