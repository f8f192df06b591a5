/* SPDX-License-Identifier: MIT
 * block.c: the S4 layer, then dropout, residual and LayerNorm around it. */
#include "net/block.h"

void ecg_s4_layer_forward(float *y, const ecg_block *w, ecg_block_acts *acts, const float *u, const float *inner, const ecg_kernels *k,
                          float *scratch)
{
    const int L = w->L, H = w->H;
    if (w->scan.in)
        k->scan(acts->v, u, &w->scan, scratch);
    else
        k->conv(acts->v, u, w->k0, w->k1, w->D, L, H, scratch);
    k->gelu(acts->g, acts->v, (size_t)L * H);
    if (inner)
        k->scale_channels(acts->g, acts->g, inner, L, H);
    k->set_rows(acts->o, w->out_b, L, 2 * H);
    k->gemm(acts->o, acts->g, w->out_w, L, 2 * H, H, H, H, 2 * H, ECG_GEMM_TB | ECG_GEMM_ADD);
    k->glu(y, acts->o, L, H);
}

void ecg_s4_layer_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_acts *acts, const float *dy, const float *u,
                           const float *inner, const ecg_kernels *k, float *scratch, float *work)
{
    const int L = w->L, H = w->H;
    float *d_o = work, *dv = work + 2 * (size_t)L * H;
    k->glu_backward(d_o, dy, acts->o, L, H);
    if (grads->out_w)
        k->gemm(grads->out_w, d_o, acts->g, 2 * H, H, L, 2 * H, H, H, ECG_GEMM_TA | ECG_GEMM_ADD);
    if (grads->out_b)
        k->sum_rows(grads->out_b, d_o, L, 2 * H);
    k->gemm(dv, d_o, w->out_w, L, H, 2 * H, 2 * H, H, H, 0);
    if (inner)
        k->scale_channels(dv, dv, inner, L, H);
    k->gelu_backward(dv, dv, acts->v, (size_t)L * H);
    if (w->scan.in)
        k->scan_backward(du, grads->D ? &grads->scan : NULL, dv, u, &w->scan, scratch);
    else
        k->conv_backward(du, grads->k0, grads->k1, grads->D, dv, u, w->k0, w->k1, w->D, L, H, scratch);
}

void ecg_block_forward(float *out, const ecg_block *w, ecg_block_acts *acts, const float *u, const float *inner, const float *outer,
                       const ecg_kernels *k, float *scratch)
{
    const int L = w->L, H = w->H;
    ecg_s4_layer_forward(acts->r, w, acts, u, inner, k, scratch);
    if (outer)
        k->scale_channels(acts->r, acts->r, outer, L, H);
    k->add(acts->r, u, (size_t)L * H);
    k->layernorm(out, acts->stat, acts->r, w->norm_w, w->norm_b, L, H);
}

void ecg_block_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_acts *acts, const float *dout, const float *u,
                        const float *inner, const float *outer, const ecg_kernels *k, float *scratch, float *work)
{
    const int L = w->L, H = w->H;
    const size_t n = (size_t)L * H;
    float *dr = work, *dy = work + n;
    k->layernorm_backward(dr, grads->norm_w, grads->norm_b, dout, acts->r, acts->stat, w->norm_w, L, H);
    if (outer)
        k->scale_channels(dy, dr, outer, L, H);
    ecg_s4_layer_backward(du, grads, w, acts, outer ? dy : dr, u, inner, k, scratch, work + 2 * n);
    if (du)
        k->add(du, dr, n);
}
