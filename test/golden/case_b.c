/* SPDX-License-Identifier: MIT
 * case_b.c: one S4 layer, forward with its inner values and backward. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer.h"
#include "net/block.h"
#include "net/dropout.h"
#include "rows.h"

static const double value_tolerance = 5e-6, gradient_tolerance = 5e-5;

typedef struct {
    int B, L, H, N;
    ecg_block block;
    float *phi, *k0, *k1, *C, *D, *out_w, *out_b;
    float *g, *o; /* (B) samples one after the other */
    float *inner;        /* (B, H), NULL without dropout */
    float *u, *y, *dy, *du, *scratch, *work;
    float *v, *linear;   /* (B) between the kernels: after the convolution, before the gates */
    float *dk0, *dk1, *dC, *dD, *d_out_w, *d_out_b;
} layer;

static bool fill(layer *m, golden_out *o, const ecg_tensors *file, const golden_s4 *g)
{
    const int H = m->H, L = m->L;
    const size_t LH = (size_t)L * H, all = m->B * LH;
    ecg_err err = {0};
    int64_t nD = 0, nw = 0, nb = 0, nu = 0, nW = 0;
    m->phi = golden_room(o, LH * m->N), m->k0 = golden_room(o, LH), m->k1 = golden_room(o, LH);
    m->C = golden_float(o, file, "param/kernel.kernel.C", NULL), m->D = golden_float(o, file, "param/D", &nD);
    m->out_w = golden_float(o, file, "param/output_linear.0.weight", &nw), m->out_b = golden_float(o, file, "param/output_linear.0.bias", &nb);
    m->g = golden_room(o, all);
    m->o = golden_room(o, 2 * all);
    m->v = golden_room(o, all), m->linear = golden_room(o, 2 * all);
    m->u = golden_room(o, all), m->y = golden_room(o, all), m->dy = golden_room(o, all), m->du = golden_room(o, all);
    m->work = golden_room(o, ecg_block_work(m->L, m->H));
    m->scratch = aligned_alloc(64, (ecg_conv_scratch(L) * sizeof(float) + 63) / 64 * 64);
    m->dk0 = golden_room(o, LH), m->dk1 = golden_room(o, LH), m->dC = golden_room(o, (size_t)g->directions * H * m->N), m->dD = golden_room(o, H);
    m->d_out_w = golden_room(o, 2 * (size_t)H * H), m->d_out_b = golden_room(o, 2 * (size_t)H);
    float *u = golden_float(o, file, "u", &nu), *W = golden_float(o, file, "W", &nW), *mask = NULL;
    if (nD != H || nw != 2LL * H * H || nb != 2 * H || nu != (int64_t)all || nW != (int64_t)all || !m->scratch)
        golden_problem(o, "the layer's tensors do not fit each other");
    if (!o->problem[0] && ecg_s4_basis(m->phi, &g->s, &err))
        golden_problem(o, "%s", err.msg);
    if (!o->problem[0]) {
        ecg_s4_taps(m->k0, m->phi, m->C, L, H, m->N, 0, H);
        if (g->directions == 2)
            ecg_s4_taps(m->k1, m->phi, m->C + (size_t)H * m->N, L, H, m->N, 0, H);
        golden_swap_axes(m->u, u, m->B, H, L);
        golden_swap_axes(m->dy, W, m->B, H, L);
    }
    const double p = golden_number(o, file, "dropout");
    if (p > 0) {
        m->inner = golden_room(o, (size_t)m->B * H);
        mask = golden_floats(o, file, "mask/0", (int64_t)m->B * H);
        for (int64_t i = 0; mask && m->inner && i < (int64_t)m->B * H; i++)
            m->inner[i] = mask[i] > 0 ? (float)(1 / (1 - p)) : 0;
    }
    free(u), free(W), free(mask);
    m->block = (ecg_block){.L = L, .H = H, .k0 = m->k0, .k1 = g->directions == 2 ? m->k1 : NULL, .D = m->D, .out_w = m->out_w, .out_b = m->out_b};
    return !o->problem[0];
}

static void clear(layer *m)
{
    float *all[] = {m->phi, m->k0, m->k1, m->C, m->D, m->out_w, m->out_b, m->g, m->o, m->inner, m->u, m->y, m->dy, m->du,
                    m->v, m->linear, m->scratch, m->work, m->dk0, m->dk1, m->dC, m->dD, m->d_out_w, m->d_out_b};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* x (B, L, n) against a tensor (B, n, L) */
static void compare_series(golden_out *o, const ecg_tensors *file, const char *name, const float *x, const layer *m, int n, double tolerance)
{
    const size_t count = (size_t)m->B * m->L * n;
    float *t = golden_room(o, count);
    if (t) {
        golden_swap_axes(t, x, m->B, m->L, n);
        golden_compare_f(o, file, name, t, (int64_t)count, tolerance);
    }
    free(t);
}

/* taps (L, H) of each direction against K (directions, H, L) */
static void compare_taps(golden_out *o, const ecg_tensors *file, const layer *m)
{
    const size_t LH = (size_t)m->L * m->H, count = m->block.k1 ? 2 * LH : LH;
    float *K = golden_room(o, count);
    if (K) {
        golden_swap_axes(K, m->k0, 1, m->L, m->H);
        if (m->block.k1)
            golden_swap_axes(K + LH, m->k1, 1, m->L, m->H);
        golden_compare_f(o, file, "K", K, (int64_t)count, value_tolerance);
    }
    free(K);
}

/* g before dropout is in the file, after it in a pass with masks: a pass without them, into room that run() fills again */
static void compare_gelu(golden_out *o, const ecg_tensors *file, layer *m, const ecg_kernels *k)
{
    const size_t LH = (size_t)m->L * m->H;
    for (int b = 0; b < m->B; b++) {
        ecg_s4_layer_forward(m->y + b * LH, m->g + b * LH, m->o + 2 * b * LH, &m->block, m->u + b * LH, NULL, k, m->scratch);
    }
    compare_series(o, file, "inter/gelu", m->g, m, m->H, value_tolerance);
}

static void run(layer *m, const ecg_kernels *k)
{
    const size_t LH = (size_t)m->L * m->H;
    const ecg_block_grads grads = {.k0 = m->dk0, .k1 = m->block.k1 ? m->dk1 : NULL, .D = m->dD, .out_w = m->d_out_w, .out_b = m->d_out_b};
    for (int b = 0; b < m->B; b++) {
        const float *inner = m->inner ? m->inner + (size_t)b * m->H : NULL;
        ecg_s4_layer_forward(m->y + b * LH, m->g + b * LH, m->o + 2 * b * LH, &m->block, m->u + b * LH, inner, k, m->scratch);
        /* what the layer does not keep, once more */
        k->conv(m->v + b * LH, m->u + b * LH, m->k0, m->block.k1, m->D, m->L, m->H, m->scratch);
        k->gemm(m->linear + 2 * b * LH, m->g + b * LH, m->out_w, m->out_b, m->L, 2 * m->H, m->H, m->H, m->H, 2 * m->H, ECG_GEMM_TB);
        const ecg_block_past past = {.u = m->u + b * LH, .o = m->o + 2 * b * LH, .inner = inner};
        ecg_s4_layer_backward(m->du + b * LH, &grads, &m->block, &past, m->dy + b * LH, k, m->scratch, m->work);
    }
}

void golden_b(golden_out *o, const ecg_tensors *file)
{
    golden_s4 g = {0};
    ecg_exec exec;
    layer m = {.B = golden_dim(o, file, "u", 0), .H = golden_dim(o, file, "u", 1), .L = golden_dim(o, file, "u", 2)};
    if (golden_exec(o, &exec) && golden_s4_open(&g, o, file, "param/kernel.kernel.", "param/kernel.kernel.C", m.L)) {
        m.N = g.s.N;
        if (g.s.H != m.H)
            golden_problem(o, "u has %d channels, the kernel %d", m.H, g.s.H);
        else if (fill(&m, o, file, &g)) {
            const size_t C = (size_t)m.H * m.N, all = (size_t)m.B * m.L * m.H;
            compare_taps(o, file, &m);
            compare_gelu(o, file, &m, exec.k);
            run(&m, exec.k);
            ecg_s4_taps_backward(m.dC, m.dk0, m.phi, m.L, m.H, m.N, 0, m.H);
            if (m.block.k1)
                ecg_s4_taps_backward(m.dC + C, m.dk1, m.phi, m.L, m.H, m.N, 0, m.H);
            compare_series(o, file, "inter/conv_plus_skip", m.v, &m, m.H, value_tolerance);
            compare_series(o, file, "inter/linear", m.linear, &m, 2 * m.H, value_tolerance);
            compare_series(o, file, "y", m.y, &m, m.H, value_tolerance);
            golden_compare_projection(o, file, m.y, m.dy, all, value_tolerance);
            compare_series(o, file, "du", m.du, &m, m.H, gradient_tolerance);
            golden_compare_f(o, file, "grad/kernel.kernel.C", m.dC, (int64_t)(g.directions * C), gradient_tolerance);
            golden_compare_f(o, file, "grad/D", m.dD, m.H, gradient_tolerance);
            golden_compare_f(o, file, "grad/output_linear.0.weight", m.d_out_w, 2LL * m.H * m.H, gradient_tolerance);
            golden_compare_f(o, file, "grad/output_linear.0.bias", m.d_out_b, 2 * m.H, gradient_tolerance);
        }
        clear(&m);
    }
    golden_s4_close(&g);
}
