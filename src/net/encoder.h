/* SPDX-License-Identifier: MIT
 * encoder.h: ECG crop (B, L, leads) -> pooled embedding h (B, H): linear, S4 blocks, mean over time (protocol 5.1-5.3).
 * Samples do not couple (LayerNorm, no batch norm): any part of a batch can be run, kept or replayed by itself. */
#ifndef ECG_NET_ENCODER_H
#define ECG_NET_ENCODER_H

#include "net/block.h"
#include "net/dropout.h"
#include "net/params.h"

typedef struct {
    int leads;          /* 12 */
    int width;          /* H, 512 */
    int blocks;         /* 4 */
    int state;          /* N, 8: even; N/2 complex pairs */
    int length;         /* L, 250 */
    bool bidirectional; /* true */
    float dropout;      /* 0.2 */
} ecg_encoder_config;

typedef struct ecg_encoder ecg_encoder;

/* Declares its rows in the table: prefix + "encoder.weight", "s4_layers.0.D" [1,H], "s4_layers.0.kernel.kernel.C" [2,H,N/2,2], buffers
 * w [H,N/2,2], B, P, Q [1,H,N/2,2], log_dt [H], "s4_layers.0.output_linear.0.weight" [2H,H], .bias [2H,1], "norms.0.weight" ... Group 0. */
ecg_status ecg_encoder_new(ecg_encoder **out, const ecg_encoder_config *c, ecg_params *table, const char *prefix, ecg_err *err);
void ecg_encoder_free(ecg_encoder *e);
const ecg_encoder_config *ecg_encoder_shape(const ecg_encoder *e);

/* HiPPO buffers, log_dt, C with length correction, D (ecg_params_init does the rest). Double throughout. */
void ecg_encoder_init(const ecg_encoder *e, ecg_params *table, uint64_t seed);

/* After buffers were initialised or loaded: builds the bases in double. ECG_EDATA: a buffer is not finite. */
ecg_status ecg_encoder_prepare(ecg_encoder *e, const ecg_params *table, ecg_err *err);
/* After C changed (each step, or once at load): kernels from bases. */
void ecg_encoder_refresh(ecg_encoder *e, const ecg_params *table, const ecg_exec *x);

/* What block i computes by, out_w as it stands; valid until the table is freed. Floats of working memory of its convolution. */
ecg_block ecg_encoder_block(const ecg_encoder *e, const ecg_params *table, int i);
size_t ecg_encoder_scratch(const ecg_encoder *e);
/* w (H, leads), b (H) of the input linear. */
void ecg_encoder_input(const float **w, const float **b, const ecg_encoder *e, const ecg_params *table);

/* Freezes the input linear and the first `blocks` blocks with their norms; -1: everything. Frozen parts get no gradient, the backward pass stops there. */
void ecg_encoder_freeze(ecg_encoder *e, ecg_params *table, int blocks);

/* Buffers for one call at a time, for that many workers. Of the first `keep` samples of a batch what costs a product stays for the backward pass; the
 * others go forwards once more. Either way the same bytes. */
typedef struct ecg_encoder_work ecg_encoder_work;
ecg_encoder_work *ecg_encoder_work_new(const ecg_encoder *e, int workers, int keep, bool training);
void ecg_encoder_work_free(ecg_encoder_work *w);
size_t ecg_encoder_work_bytes(const ecg_encoder *e, int workers, int keep, bool training);

/* h (B, H); seq (B, L, H) may be NULL. NAN in x is read as 0. */
void ecg_encoder_forward(float *h, float *seq, const ecg_encoder *e, const ecg_params *table, ecg_encoder_work *w, const ecg_exec *exec,
                         const float *x, int B, const ecg_dropout *drop);
/* Adds to table->grad. dh (B, H), dseq (B, L, H) may be NULL, dx (B, L, leads) may be NULL. The same x, B, drop as the forward call; sums over
 * samples are cut into slices by B alone (min(B, 16), from 64 on B / 4, at most 64) and added in order. */
void ecg_encoder_backward(float *dx, const ecg_encoder *e, ecg_params *table, ecg_encoder_work *w, const ecg_exec *exec, const float *dh,
                          const float *dseq, const float *x, int B, const ecg_dropout *drop);

#endif
