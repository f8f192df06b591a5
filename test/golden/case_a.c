/* SPDX-License-Identifier: MIT
 * case_a.c: the convolution kernel of one layer: taps in float as training has them, and the oracle with its full gradient in double. */
#include <stdlib.h>

#include "layer.h"
#include "rows.h"

static const double kernel_tolerance = 1e-5, C_tolerance = 5e-5, raw_tolerance = 1e-6;

/* the road of training: basis, taps from C, gradient of C from the gradient of the taps */
static void training(golden_out *o, const ecg_tensors *file, const golden_s4 *g)
{
    const int H = g->s.H, N = g->s.N, L = g->s.L;
    const size_t taps = (size_t)L * H, all = taps * g->directions;
    ecg_err err = {0};
    int64_t nC = 0, nW = 0;
    float *phi = golden_room(o, taps * N), *k = golden_room(o, all), *K = golden_room(o, all), *dk = golden_room(o, all);
    float *C = golden_float(o, file, "param/C", &nC), *dC = golden_room(o, (size_t)nC), *W = golden_float(o, file, "W", &nW);
    if (nW != (int64_t)all)
        golden_problem(o, "W: %lld values, %zu expected", (long long)nW, all);
    if (ecg_s4_basis(phi, &g->s, &err))
        golden_problem(o, "%s", err.msg);
    for (int d = 0; d < g->directions && !o->problem[0]; d++) {
        ecg_s4_taps(k + d * taps, phi, C + (size_t)d * H * N, L, H, N, 0, H);
        golden_swap_axes(K + d * taps, k + d * taps, 1, L, H);
        golden_swap_axes(dk + d * taps, W + d * taps, 1, H, L);
        ecg_s4_taps_backward(dC + (size_t)d * H * N, dk + d * taps, phi, L, H, N, 0, H);
    }
    if (!o->problem[0]) {
        golden_compare_f(o, file, "K", K, (int64_t)all, kernel_tolerance);
        golden_compare_projection(o, file, K, W, all, kernel_tolerance);
        golden_compare_f(o, file, "grad/C", dC, nC, C_tolerance);
    }
    free(phi), free(k), free(K), free(dk), free(C), free(dC), free(W);
}

static void oracle(golden_out *o, const ecg_tensors *file, const golden_s4 *g)
{
    const size_t vec = (size_t)g->s.H * g->s.N, all = (size_t)g->directions * g->s.H * g->s.L;
    double *x = calloc((g->directions + 4) * vec + g->s.H + all, sizeof *x), *W = golden_double(o, file, "W", NULL);
    if (x && W) {
        const ecg_s4_gradient grad = {.w = x, .B = x + vec, .P = x + 2 * vec, .Q = x + 3 * vec, .C = x + 4 * vec, .log_dt = x + (4 + g->directions) * vec};
        double *K = grad.log_dt + g->s.H;
        ecg_err err = {0};
        if (ecg_s4_kernel_ref(K, &g->s, g->C, g->directions, &err) || ecg_s4_kernel_backward_ref(&grad, &g->s, g->C, W, g->directions, &err))
            golden_problem(o, "%s", err.msg);
        golden_compare_d(o, file, "K", K, (int64_t)all, raw_tolerance);
        golden_compare_d(o, file, "grad/C", grad.C, (int64_t)(g->directions * vec), raw_tolerance);
        golden_compare_d(o, file, "grad/log_dt", grad.log_dt, g->s.H, raw_tolerance);
        golden_compare_d(o, file, "grad/w", grad.w, (int64_t)vec, raw_tolerance);
        golden_compare_d(o, file, "grad/B", grad.B, (int64_t)vec, raw_tolerance);
        golden_compare_d(o, file, "grad/P", grad.P, (int64_t)vec, raw_tolerance);
        golden_compare_d(o, file, "grad/Q", grad.Q, (int64_t)vec, raw_tolerance);
    }
    free(x), free(W);
}

void golden_a(golden_out *o, const ecg_tensors *file)
{
    golden_s4 g;
    if (golden_s4_open(&g, o, file, "param/", "param/C", golden_dim(o, file, "K", 2))) {
        training(o, file, &g);
        if (!o->problem[0])
            oracle(o, file, &g);
    }
    golden_s4_close(&g);
}
