/* SPDX-License-Identifier: MIT
 * block.h: one S4 layer and the block around it, for one sample (protocol 5.1, 5.2). H channels, L steps, channels innermost:
 *
 *   v = conv(u)    g = GELU(v) * inner    o = g Wo^T + bo    y = o[:H] * sigmoid(o[H:])        the layer
 *   r = y * outer + u                     out = LayerNorm(r)                                   the block
 *
 * Nothing is allocated here: activations, gradients and scratch (ecg_conv_scratch or ecg_scan_scratch floats) come from the caller. */
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

/* What the backward pass needs: the slope of GELU times inner, g, r (L, H), o with the gates' sigmoids (L, 2H), stat (L, 2). */
typedef struct {
    float *slope, *g, *o, *r, *stat;
    bool forward_only; /* no backward pass: slope holds v */
    bool again;        /* o is as an earlier forward pass of the same sample left it: the others follow from it without the product */
} ecg_block_acts;

/* Added to; a NULL is not wanted. k0, k1 and D go together, norm_w and norm_b too. A block with a scan has
 * scan.near and scan.out instead of k0, k1. */
typedef struct {
    float *k0, *k1, *D, *out_w, *out_b, *norm_w, *norm_b;
    ecg_scan_grads scan;
} ecg_block_grads;

/* y (L, H) from u (L, H). inner (H): dropout scales or NULL. Fills slope, g, o of acts. */
void ecg_s4_layer_forward(float *y, const ecg_block *w, ecg_block_acts *acts, const float *u, const float *inner, const ecg_kernels *k,
                          float *scratch);
/* du (L, H) is overwritten, NULL: not wanted. work: (L, 3H) floats. */
void ecg_s4_layer_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_acts *acts, const float *dy, const float *u,
                           const ecg_kernels *k, float *scratch, float *work);

void ecg_block_forward(float *out, const ecg_block *w, ecg_block_acts *acts, const float *u, const float *inner, const float *outer,
                       const ecg_kernels *k, float *scratch);
/* du (L, H) is overwritten, may not be dout; NULL: not wanted. work: (L, 4H) floats. */
void ecg_block_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_acts *acts, const float *dout, const float *u,
                        const float *outer, const ecg_kernels *k, float *scratch, float *work);

#endif
