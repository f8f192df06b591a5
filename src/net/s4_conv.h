/* SPDX-License-Identifier: MIT
 * s4_conv.h: how a layer convolves: by states in chunks where that is fewer multiply-adds, else by its taps. What depends on C is made anew
 * when C has changed. Channels are cut into panels of ECG_PANEL, which are independent. */
#ifndef ECG_NET_S4_CONV_H
#define ECG_NET_S4_CONV_H

#include "base/arena.h"
#include "net/block.h"
#include "net/s4_kernel.h"

typedef struct {
    int L, H, N;
    bool two_sided, chunked;
    float *phi, *k[2];                    /* by taps: (H, L, N), (L, H) */
    float *in, *power, *near, *out[2];    /* in chunks: s4_kernel.h */
    size_t gradient, part[3];             /* floats of a gradient buffer, where its pieces begin: k0, k1 or out0, out1, near */
} ecg_s4_conv;

bool ecg_s4_conv_take(ecg_s4_conv *v, ecg_arena *a, int L, int H, int N, bool two_sided); /* false: no memory */
ecg_status ecg_s4_conv_prepare(const ecg_s4_conv *v, const ecg_s4 *s, ecg_err *err);
/* C (directions, H, N), channels of panels from..to-1 */
void ecg_s4_conv_refresh(const ecg_s4_conv *v, const float *C, int from, int to);
void ecg_s4_conv_backward(float *dC, const ecg_s4_conv *v, const float *gradient, int from, int to);
size_t ecg_s4_conv_scratch(const ecg_s4_conv *v); /* floats */

/* What a block needs to know of it; D (H) */
void ecg_s4_conv_into(ecg_block *b, const ecg_s4_conv *v, const float *D);
void ecg_s4_conv_gradient_into(ecg_block_grads *g, const ecg_s4_conv *v, float *gradient, float *dD);

#endif
