/* SPDX-License-Identifier: MIT
 * pairloss.c: Barlow Twins (Zbontar et al., arXiv 2103.03230) on a whole batch; derivation in docs/math/barlow.md.
 *
 *   zh = (z - mean) / sqrt(var + eps) per column,   C = zh1^T zh2 / N
 *   loss = sum_i (1 - C_ii)^2 + lambda sum_{i != j} C_ij^2
 *   G = dloss/dC / N:  2 (C_ij - [i = j]) * (i = j ? 1 : lambda) / N
 *   dzh1 = zh2 G^T,  dzh2 = zh1 G,  then back through the normalisation
 *
 * The three products are GEMMs in float32; means, variances and the loss are double. A row of C is an item of the pool and the rows' losses are
 * added in order. */
#include "net/loss.h"

#include <assert.h>

#include "base/arena.h"
#include "net/linear.h"
#include "net/norm.h"

struct ecg_barlow {
    ecg_arena *arena;
    int N, E;
    float *zh1, *zh2;       /* (N, E) */
    double *stat1, *stat2;  /* (2, E) mean, 1/sqrt(var + eps) */
    float *C, *G;           /* (E, E) */
    double *row_loss;       /* (E) */
};

ecg_barlow *ecg_barlow_new(int N, int E)
{
    ecg_arena *a = ecg_arena_new();
    ecg_barlow *w = a ? ecg_arena_take(a, 1, sizeof *w) : NULL;
    if (!w) {
        ecg_arena_free(a);
        return NULL;
    }
    const size_t n = (size_t)N, e = (size_t)E;
    *w = (ecg_barlow){
        .arena = a,
        .N = N,
        .E = E,
        .zh1 = ecg_arena_take(a, n * e, sizeof(float)),
        .zh2 = ecg_arena_take(a, n * e, sizeof(float)),
        .stat1 = ecg_arena_take(a, 2 * e, sizeof(double)),
        .stat2 = ecg_arena_take(a, 2 * e, sizeof(double)),
        .C = ecg_arena_take(a, e * e, sizeof(float)),
        .G = ecg_arena_take(a, e * e, sizeof(float)),
        .row_loss = ecg_arena_take(a, e, sizeof(double)),
    };
    if (!w->zh1 || !w->zh2 || !w->stat1 || !w->stat2 || !w->C || !w->G || !w->row_loss) {
        ecg_arena_free(a);
        return NULL;
    }
    return w;
}

void ecg_barlow_free(ecg_barlow *w)
{
    if (w)
        ecg_arena_free(w->arena); /* w lies in it */
}

const float *ecg_barlow_correlation(const ecg_barlow *w)
{
    return w->C;
}

typedef struct {
    ecg_barlow *w;
    int N, E;
    double lambda;
} correlation_job;

/* Row i of C = (zh1^T zh2) / N, its share of the loss, and its row of G. */
static void correlation_row(void *ctx, int i, int worker)
{
    const correlation_job *j = ctx;
    const size_t E = (size_t)j->E;
    float *C = j->w->C + (size_t)i * E, *G = j->w->G + (size_t)i * E;
    double loss = 0;
    (void)worker;
    for (int k = 0; k < j->E; k++) {
        const double c = (double)C[k] / j->N, gap = c - (i == k), cost = i == k ? 1 : j->lambda;
        C[k] = (float)c;
        G[k] = (float)(2 * cost * gap / j->N);
        loss += cost * gap * gap;
    }
    j->w->row_loss[i] = loss;
}

double ecg_barlow_loss(float *dz1, float *dz2, ecg_barlow *w, const ecg_exec *exec, const float *z1, const float *z2, int N, int E, double lambda)
{
    assert(N >= 1 && N <= w->N && E == w->E && !dz1 == !dz2);
    const ecg_exec x = ecg_exec_for(exec, E, E);
    ecg_batchnorm_forward(w->zh1, w->stat1, NULL, NULL, exec, z1, NULL, NULL, N, E);
    ecg_batchnorm_forward(w->zh2, w->stat2, NULL, NULL, exec, z2, NULL, NULL, N, E);
    ecg_gemm(&x, w->C, w->zh1, w->zh2, E, E, N, E, E, E, ECG_GEMM_TA);

    correlation_job j = {w, N, E, lambda};
    ecg_pool_run(exec->pool, correlation_row, &j, E);
    double loss = 0;
    for (int i = 0; i < E; i++)
        loss += w->row_loss[i];
    if (!dz1)
        return loss;

    ecg_gemm(&x, dz1, w->zh2, w->G, N, E, E, E, E, E, ECG_GEMM_TB);
    ecg_gemm(&x, dz2, w->zh1, w->G, N, E, E, E, E, E, 0);
    ecg_batchnorm_backward(dz1, NULL, NULL, NULL, exec, dz1, z1, w->stat1, NULL, N, E);
    ecg_batchnorm_backward(dz2, NULL, NULL, NULL, exec, dz2, z2, w->stat2, NULL, N, E);
    return loss;
}
