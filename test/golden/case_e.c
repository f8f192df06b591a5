/* SPDX-License-Identifier: MIT
 * case_e.c: Barlow Twins: normalised embeddings, correlation, loss, both gradients, running statistics of one norm applied to both. */
#include <stdlib.h>

#include "net/loss.h"
#include "net/norm.h"
#include "rows.h"

static const double tolerance = 1e-5;

static void compare_normalised(golden_out *o, const ecg_tensors *file, const ecg_exec *exec, const float *z1, const float *z2, int N, int E)
{
    const size_t n = (size_t)N * (size_t)E, e = (size_t)E;
    float *zh = golden_room(o, n), *mean = golden_room(o, e), *var = golden_room(o, e);
    double *stat = calloc(2 * e, sizeof *stat);
    if (zh && mean && var && stat) {
        for (int k = 0; k < E; k++)
            var[k] = 1;
        ecg_batchnorm_forward(zh, stat, mean, var, exec, z1, NULL, NULL, N, E);
        golden_compare_f(o, file, "Z1_normalised", zh, (int64_t)n, tolerance);
        ecg_batchnorm_forward(zh, stat, mean, var, exec, z2, NULL, NULL, N, E);
        golden_compare_f(o, file, "Z2_normalised", zh, (int64_t)n, tolerance);
        golden_compare_f(o, file, "bn_running_mean", mean, E, tolerance);
        golden_compare_f(o, file, "bn_running_var", var, E, tolerance);
    }
    free(zh);
    free(mean);
    free(var);
    free(stat);
}

static void compare_correlation(golden_out *o, const ecg_tensors *file, const float *C, int E)
{
    double on = 0, off = 0;
    for (int i = 0; i < E; i++)
        for (int j = 0; j < E; j++) {
            const double c = (double)C[i * E + j];
            if (i == j)
                on += (1 - c) * (1 - c);
            else
                off += c * c;
        }
    golden_compare_f(o, file, "C", C, (int64_t)E * E, tolerance);
    golden_compare_d(o, file, "on_diag", &on, 1, tolerance);
    golden_compare_d(o, file, "off_diag_unweighted", &off, 1, tolerance);
}

void golden_e(golden_out *o, const ecg_tensors *file)
{
    const int N = golden_dim(o, file, "Z1", 0), E = golden_dim(o, file, "Z1", 1);
    const double lambda = golden_number(o, file, "lam");
    int64_t n1 = 0, n2 = 0;
    float *z1 = golden_float(o, file, "Z1", &n1), *z2 = golden_float(o, file, "Z2", &n2);
    ecg_exec exec;
    if (N < 1 || E < 1 || n1 != n2)
        golden_problem(o, "Z1 and Z2 do not fit each other");
    if (golden_exec(o, &exec) && !o->problem[0]) {
        float *dz1 = golden_room(o, (size_t)n1), *dz2 = golden_room(o, (size_t)n1);
        ecg_barlow *w = ecg_barlow_new(N, E);
        if (w && dz1 && dz2) {
            const double loss = ecg_barlow_loss(dz1, dz2, w, &exec, z1, z2, N, E, lambda);
            golden_compare_d(o, file, "lam", &lambda, 1, tolerance);
            golden_compare_d(o, file, "loss", &loss, 1, tolerance);
            golden_compare_f(o, file, "dZ1", dz1, n1, tolerance);
            golden_compare_f(o, file, "dZ2", dz2, n1, tolerance);
            compare_correlation(o, file, ecg_barlow_correlation(w), E);
            compare_normalised(o, file, &exec, z1, z2, N, E);
        }
        ecg_barlow_free(w);
        free(dz1);
        free(dz2);
    }
    free(z1);
    free(z2);
}
