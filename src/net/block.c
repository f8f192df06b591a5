/* SPDX-License-Identifier: MIT
 * block.c: the S4 layer, then dropout, residual and LayerNorm around it. */
#include "net/block.h"

/* y = layer(u) * outer + plus */
static void forward(float *y, const ecg_block *w, ecg_block_acts *acts, const float *u, const float *inner, const float *outer, const float *plus,
                    const ecg_kernels *k, float *scratch)
{
    const int L = w->L, H = w->H;
    float *v = acts->slope;
    if (w->scan.in)
        k->scan(v, u, &w->scan, scratch);
    else
        k->conv(v, u, w->k0, w->k1, w->D, L, H, scratch);
    k->gelu(acts->g, acts->forward_only ? NULL : v, v, inner, L, H);
    if (acts->again) {
        k->gated(y, acts->o, outer, plus, L, H);
        return;
    }
    k->gemm(acts->o, acts->g, w->packed ? w->packed : w->out_w, w->out_b, L, 2 * H, H, H, H, 2 * H,
            ECG_GEMM_WIDE | (w->packed ? ECG_GEMM_PACKED : ECG_GEMM_TB));
    k->glu(y, acts->o, outer, plus, L, H);
}

static void backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_acts *acts, const float *dy, const float *u,
                     const float *outer, const ecg_kernels *k, float *scratch, float *work)
{
    const int L = w->L, H = w->H;
    float *d_o = work, *dv = work + 2 * (size_t)L * H;
    k->glu_backward(d_o, grads->out_b, dy, acts->o, outer, L, H);
    if (grads->out_w)
        k->gemm(grads->out_w, d_o, acts->g, NULL, 2 * H, H, L, 2 * H, H, H, ECG_GEMM_WIDE | ECG_GEMM_TA | ECG_GEMM_ADD);
    k->gemm(dv, d_o, w->packed_back ? w->packed_back : w->out_w, NULL, L, H, 2 * H, 2 * H, H, H,
            ECG_GEMM_WIDE | (w->packed_back ? ECG_GEMM_PACKED : 0));
    k->multiply(dv, acts->slope, (size_t)L * H);
    if (w->scan.in)
        k->scan_backward(du, grads->D ? &grads->scan : NULL, dv, u, &w->scan, scratch);
    else
        k->conv_backward(du, grads->k0, grads->k1, grads->D, dv, u, w->k0, w->k1, w->D, L, H, scratch);
}

void ecg_s4_layer_forward(float *y, const ecg_block *w, ecg_block_acts *acts, const float *u, const float *inner, const ecg_kernels *k,
                          float *scratch)
{
    forward(y, w, acts, u, inner, NULL, NULL, k, scratch);
}

void ecg_s4_layer_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_acts *acts, const float *dy, const float *u,
                           const ecg_kernels *k, float *scratch, float *work)
{
    backward(du, grads, w, acts, dy, u, NULL, k, scratch, work);
}

void ecg_block_forward(float *out, const ecg_block *w, ecg_block_acts *acts, const float *u, const float *inner, const float *outer,
                       const ecg_kernels *k, float *scratch)
{
    forward(acts->r, w, acts, u, inner, outer, u, k, scratch);
    k->layernorm(out, acts->stat, acts->r, w->norm_w, w->norm_b, w->L, w->H);
}

void ecg_block_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_acts *acts, const float *dout, const float *u,
                        const float *outer, const ecg_kernels *k, float *scratch, float *work)
{
    const size_t n = (size_t)w->L * w->H;
    float *dr = work;
    k->layernorm_backward(dr, grads->norm_w, grads->norm_b, dout, acts->r, acts->stat, w->norm_w, w->L, w->H);
    backward(du, grads, w, acts, dr, u, outer, k, scratch, work + n);
    if (du)
        k->add(du, dr, n);
}
