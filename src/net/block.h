/* SPDX-License-Identifier: MIT
 * block.h: one S4 layer and the block around it, for one sample (protocol 5.1, 5.2). H channels, L steps, channels innermost:
 *
 *   v = conv(u)    g = GELU(v) * inner    o = g Wo^T + bo    y = o[:H] * sigmoid(o[H:])        the layer
 *   r = y * outer + u                     out = LayerNorm(r)                                   the block
 *
 * The convolution takes a channel at a time, all the rest a row at a time: rows go through it ecg_block_rows at once, while they are in the cache.
 * Nothing is allocated here: activations, gradients and scratch (ecg_conv_scratch or ecg_scan_scratch floats) come from the caller. Of a sample
 * whose backward pass follows later only o needs to be kept, what costs a product to make again. */
#ifndef ECG_NET_BLOCK_H
#define ECG_NET_BLOCK_H

#include "num/kernels.h"

typedef struct {
    int L, H;
    const float *k0, *k1;         /* (L, H) taps; k1 NULL: causal */
    const float *D;               /* (H) */
    ecg_scan scan;                /* the same map by states; scan.in NULL: by k0, k1, D */
    const float *out_w, *out_b;   /* (2H, H), (2H) */
    const float *norm_w, *norm_b; /* (H) */
    const float *packed, *packed_back; /* out_w transposed, out_w, as ecg_kernels.pack leaves them; NULL: packed for each call */
} ecg_block;

/* How many rows at once: at most ECG_BLOCK_ROWS, what the products copy together (num/cpu_gemm.h), a multiple of ECG_ROWS_TOGETHER. */
enum { ECG_BLOCK_ROWS = 132 };
int ecg_block_rows(int L);

/* v (L, H) = conv(u) */
void ecg_block_convolve(float *v, const ecg_block *w, const float *u, const ecg_kernels *k, float *scratch);
/* Rows of what follows: v becomes g, o (rows, 2H) what ecg_kernels.glu leaves, out (rows, H) may be u. inner, outer (H): dropout scales or NULL. */
void ecg_block_finish(float *out, float *v, float *o, const ecg_block *w, const float *u, const float *inner, const float *outer, int rows,
                      const ecg_kernels *k);
/* Both, for all rows. o_step: rows of o from one piece to the next: 0, if it is not kept, else ecg_block_rows. */
void ecg_block_forward(float *out, float *v, float *o, int o_step, const ecg_block *w, const float *u, const float *inner, const float *outer,
                       const ecg_kernels *k, float *scratch);
/* The same out (L, H), bit for bit, from o and u, without the convolution and the product; with r (L, H) and stat (L, 2), which the backward pass
 * needs. */
void ecg_block_again(float *out, float *r, float *stat, const ecg_block *w, const float *o, const float *u, const float *outer, const ecg_kernels *k);

/* Added to, but for out_w where `first` says that there is nothing yet; a NULL is not wanted. k0, k1 and D go together, norm_w and norm_b too. A
 * block with a scan has scan.near and scan.out instead of k0, k1. */
typedef struct {
    float *k0, *k1, *D, *out_w, *out_b, *norm_w, *norm_b;
    ecg_scan_grads scan;
    bool first;
} ecg_block_grads;

/* What the backward pass takes from the way forward. */
typedef struct {
    const float *u, *o, *r, *stat; /* (L, H), (L, 2H), (L, H), (L, 2) */
    const float *inner, *outer;    /* (H) or NULL */
} ecg_block_past;

/* du (L, H) is overwritten, may not be dout; NULL: not wanted. work: ecg_block_work(L, H) floats. */
static inline size_t ecg_block_work(int L, int H) { return 6 * (size_t)L * (size_t)H + ecg_packed(H, L); }
void ecg_block_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_past *past, const float *dout,
                        const ecg_kernels *k, float *scratch, float *work);

/* The layer alone: y (L, H) from u, g (L, H) and o (L, 2H) for the backward pass; past without r, stat, outer. */
void ecg_s4_layer_forward(float *y, float *g, float *o, const ecg_block *w, const float *u, const float *inner, const ecg_kernels *k, float *scratch);
void ecg_s4_layer_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_past *past, const float *dy,
                           const ecg_kernels *k, float *scratch, float *work);

#endif
