/* SPDX-License-Identifier: MIT
 * case_l.c: HiPPO-LegS in its diagonal-plus-rank-one form, and the length correction of C. Phases of eigenvectors are a convention: what does
 * not depend on them is compared. */
#include <math.h>
#include <stdlib.h>

#include "layer.h"
#include "rows.h"

static const double tolerance = 1e-10;

static void compare_hippo(golden_out *o, const ecg_tensors *file)
{
    const int N = golden_dim(o, file, "A", 0), pairs = N / 2;
    ecg_err err = {0};
    double *x = calloc(N > 0 ? 6 * N + 2 * (size_t)N * N : 1, sizeof *x);
    if (N < 2 || !x) {
        golden_problem(o, "a state of order %d", N);
        free(x);
        return;
    }
    double *w = x, *P = x + N, *B = P + N, *line = B + N, *A = line + 3 * N, *normal = A + N * N;
    if (ecg_s4_hippo(w, P, B, N, &err))
        golden_problem(o, "%s", err.msg);
    golden_compare_d(o, file, "w", w, N, tolerance);
    for (int i = 0; i < pairs; i++)
        line[i] = hypot(P[2 * i], P[2 * i + 1]);
    golden_compare_d(o, file, "abs_P", line, pairs, tolerance);
    for (int i = 0; i < pairs; i++)
        line[i] = hypot(B[2 * i], B[2 * i + 1]);
    golden_compare_d(o, file, "abs_B", line, pairs, tolerance);
    for (int i = 0; i < pairs; i++) {
        line[2 * i] = B[2 * i] * P[2 * i] + B[2 * i + 1] * P[2 * i + 1];
        line[2 * i + 1] = B[2 * i + 1] * P[2 * i] - B[2 * i] * P[2 * i + 1];
    }
    golden_compare_d(o, file, "BconjP", line, N, tolerance);
    for (int i = 0; i < pairs; i++) {
        line[2 * i] = P[2 * i] * P[2 * i] + P[2 * i + 1] * P[2 * i + 1];
        line[2 * i + 1] = 0;
    }
    golden_compare_d(o, file, "PconjP", line, N, tolerance);

    for (int n = 0; n < N; n++) { /* the definition that the file and we start from */
        line[n] = sqrt(2.0 * n + 1);
        line[N + n] = sqrt(n + 0.5);
        for (int k = 0; k < N; k++) {
            A[n * N + k] = n > k ? -sqrt((2.0 * n + 1) * (2.0 * k + 1)) : n == k ? -(n + 1.0) : 0;
            normal[n * N + k] = A[n * N + k] + sqrt((n + 0.5) * (k + 0.5));
        }
    }
    golden_compare_d(o, file, "A", A, (int64_t)N * N, tolerance);
    golden_compare_d(o, file, "A_plus_PPt", normal, (int64_t)N * N, tolerance);
    golden_compare_d(o, file, "B", line, N, tolerance);
    golden_compare_d(o, file, "P_lowrank", line + N, N, tolerance);
    free(x);
}

static void compare_length_correction(golden_out *o, const ecg_tensors *file)
{
    golden_s4 g;
    if (golden_s4_open(&g, o, file, "", "C_raw", golden_dim(o, file, "K", 2))) {
        const int64_t all = (int64_t)g.directions * g.s.H * g.s.L, n = (int64_t)g.directions * g.s.H * g.s.N;
        for (int64_t i = 1; i < n; i += 2) /* the reference stores conj(C) before it corrects; its C_raw is from before that */
            g.C[i] = -g.C[i];
        double *K = calloc((size_t)all, sizeof *K);
        ecg_err err = {0};
        if (!K || ecg_s4_correct_length(g.C, &g.s, g.directions, &err) || ecg_s4_kernel_ref(K, &g.s, g.C, g.directions, &err))
            golden_problem(o, "%s", err.msg);
        else {
            golden_compare_d(o, file, "C_corrected", g.C, n, tolerance);
            golden_compare_d(o, file, "K", K, all, tolerance);
        }
        free(K);
    }
    golden_s4_close(&g);
}

void golden_l(golden_out *o, const ecg_tensors *file)
{
    if (ecg_tensors_find(file, "C_raw"))
        compare_length_correction(o, file);
    else
        compare_hippo(o, file);
}
