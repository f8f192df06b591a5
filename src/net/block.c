/* SPDX-License-Identifier: MIT
 * block.c: the S4 layer, then dropout, residual and LayerNorm around it. */
#include "net/block.h"

int ecg_block_rows(int L)
{
    const int pieces = (L + ECG_BLOCK_ROWS - 1) / ECG_BLOCK_ROWS;
    return ((L + pieces - 1) / pieces + ECG_ROWS_TOGETHER - 1) / ECG_ROWS_TOGETHER * ECG_ROWS_TOGETHER;
}

static int rows_at(int r, int step, int L) { return L - r < step ? L - r : step; }

void ecg_block_convolve(float *v, const ecg_block *w, const float *u, const ecg_kernels *k, float *scratch)
{
    if (w->scan.in)
        k->scan(v, u, &w->scan, scratch);
    else
        k->conv(v, u, w->k0, w->k1, w->D, w->L, w->H, scratch);
}

/* y = layer(rows) * outer + plus, v becomes g */
static void layer_rows(float *y, float *v, float *o, const ecg_block *w, const float *inner, const float *outer, const float *plus, int rows,
                       const ecg_kernels *k)
{
    const int H = w->H;
    k->gelu(v, NULL, v, inner, rows, H);
    if (w->packed) {
        k->gemm_glu(y, o, v, w->packed, w->out_b, outer, plus, rows, H, H);
        return;
    }
    k->gemm(o, v, w->out_w, w->out_b, rows, 2 * H, H, H, H, 2 * H, ECG_GEMM_WIDE | ECG_GEMM_TB);
    k->glu(y, o, outer, plus, rows, H);
}

void ecg_block_finish(float *out, float *v, float *o, const ecg_block *w, const float *u, const float *inner, const float *outer, int rows,
                      const ecg_kernels *k)
{
    layer_rows(out, v, o, w, inner, outer, u, rows, k);
    k->layernorm(out, NULL, out, w->norm_w, w->norm_b, rows, w->H);
}

void ecg_block_forward(float *out, float *v, float *o, int o_step, const ecg_block *w, const float *u, const float *inner, const float *outer,
                       const ecg_kernels *k, float *scratch)
{
    const int step = ecg_block_rows(w->L);
    ecg_block_convolve(v, w, u, k, scratch);
    for (int r = 0; r < w->L; r += step, o += 2 * (size_t)o_step * w->H) {
        const size_t at = (size_t)r * w->H;
        ecg_block_finish(out + at, v + at, o, w, u + at, inner, outer, rows_at(r, step, w->L), k);
    }
}

void ecg_block_again(float *out, float *r, float *stat, const ecg_block *w, const float *o, const float *u, const float *outer, const ecg_kernels *k)
{
    const int step = ecg_block_rows(w->L), H = w->H;
    for (int t = 0; t < w->L; t += step) {
        const int rows = rows_at(t, step, w->L);
        const size_t at = (size_t)t * H;
        k->gated(r + at, o + 2 * at, outer, u + at, rows, H);
        k->layernorm(out + at, stat + 2 * (size_t)t, r + at, w->norm_w, w->norm_b, rows, H);
    }
}

/* normed: through the LayerNorm and around the layer as well */
static void backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_past *past, const float *dout, bool normed,
                     const ecg_kernels *k, float *scratch, float *work)
{
    const int L = w->L, H = w->H, step = ecg_block_rows(L);
    const size_t n = (size_t)L * H;
    float *d_o = work, *dv = work + 2 * n, *slope = work + 3 * n, *g = work + 4 * n, *dr = work + 5 * n, *packed = work + 6 * n;
    ecg_block_convolve(slope, w, past->u, k, scratch); /* v */
    for (int r = 0; r < L; r += step) {
        const int rows = rows_at(r, step, L);
        const size_t at = (size_t)r * H;
        k->gelu(g + at, slope + at, slope + at, past->inner, rows, H);
        if (normed)
            k->layernorm_backward(dr + at, grads->norm_w, grads->norm_b, dout + at, past->r + at, past->stat + 2 * (size_t)r, w->norm_w, rows, H);
        k->glu_backward(d_o + 2 * at, grads->out_b, (normed ? dr : dout) + at, past->o + 2 * at, past->outer, rows, H);
        k->gemm(dv + at, d_o + 2 * at, w->packed_back ? w->packed_back : w->out_w, NULL, rows, H, 2 * H, 2 * H, H, H,
                ECG_GEMM_WIDE | (w->packed_back ? ECG_GEMM_PACKED : 0));
        k->multiply(dv + at, slope + at, (size_t)rows * H);
    }
    if (grads->out_w) {
        k->pack(packed, g, H, L, H, 0, H, ECG_GEMM_WIDE);
        k->gemm(grads->out_w, d_o, packed, NULL, 2 * H, H, L, 2 * H, 0, H,
                ECG_GEMM_WIDE | ECG_GEMM_TA | ECG_GEMM_PACKED | (grads->first ? 0 : ECG_GEMM_ADD));
    }
    if (w->scan.in) {
        k->scan_backward(du, normed ? dr : NULL, grads->D ? &grads->scan : NULL, dv, past->u, &w->scan, scratch);
        return;
    }
    k->conv_backward(du, grads->k0, grads->k1, grads->D, dv, past->u, w->k0, w->k1, w->D, L, H, scratch);
    if (normed && du)
        k->add(du, dr, n);
}

void ecg_block_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_past *past, const float *dout,
                        const ecg_kernels *k, float *scratch, float *work)
{
    backward(du, grads, w, past, dout, true, k, scratch, work);
}

void ecg_s4_layer_forward(float *y, float *g, float *o, const ecg_block *w, const float *u, const float *inner, const ecg_kernels *k, float *scratch)
{
    ecg_block_convolve(g, w, u, k, scratch);
    layer_rows(y, g, o, w, inner, NULL, NULL, w->L, k);
}

void ecg_s4_layer_backward(float *du, const ecg_block_grads *grads, const ecg_block *w, const ecg_block_past *past, const float *dy,
                           const ecg_kernels *k, float *scratch, float *work)
{
    backward(du, grads, w, past, dy, false, k, scratch, work);
}
