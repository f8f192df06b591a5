/* SPDX-License-Identifier: MIT
 * vicreg.c: VICReg (Bardes, Ponce, LeCun, arXiv 2105.04906, with the means of its released code) on a whole batch; derivation in
 * docs/math/vicreg.md. Per embedding, column k over the N rows:
 *
 *   zc = z - mean,   sd_k = sqrt(sum_b zc_bk^2 / (N - 1) + eps),   C = zc^T zc / (N - 1)
 *   loss = invariance  mean_bk (z1 - z2)^2
 *        + variance    mean over both embeddings and all k of max(0, 1 - sd_k)
 *        + covariance  sum over both embeddings of sum_{i != j} C_ij^2 / E
 *
 *   dz1_bk = invariance 2 (z1 - z2) / (N E)  -  variance [sd_k < 1] zc_bk / (2 E (N - 1) sd_k)  +  (zc G)_bk,
 *   G_ij = covariance 4 C_ij / (E (N - 1)) off the diagonal, 0 on it; the columns of zc G have mean 0 as those of zc have.
 *
 * The products are GEMMs in float32; means, spreads and the loss are double. Items are 16 columns, or a row of C; their sums are added in
 * order. */
#include "net/loss.h"

#include <assert.h>
#include <math.h>

#include "base/arena.h"
#include "net/linear.h"

enum { COLUMNS = 16 };
static const double eps = 1e-4;

struct ecg_vicreg {
    ecg_arena *arena;
    int N, E;
    float *zc[2];           /* (N, E) each */
    double *sd[2];          /* (E) each */
    double *gap;            /* (E) sum over the rows of (z1 - z2)^2 */
    double *hinge;          /* (E) of both embeddings */
    float *C;               /* (E, E) covariances, then their gradient */
    double *row_loss;       /* (E) */
};

ecg_vicreg *ecg_vicreg_new(int N, int E)
{
    ecg_arena *a = ecg_arena_new();
    ecg_vicreg *w = a ? ecg_arena_take(a, 1, sizeof *w) : NULL;
    if (!w) {
        ecg_arena_free(a);
        return NULL;
    }
    const size_t n = (size_t)N, e = (size_t)E;
    *w = (ecg_vicreg){
        .arena = a,
        .N = N,
        .E = E,
        .zc = {ecg_arena_take(a, n * e, sizeof(float)), ecg_arena_take(a, n * e, sizeof(float))},
        .sd = {ecg_arena_take(a, e, sizeof(double)), ecg_arena_take(a, e, sizeof(double))},
        .gap = ecg_arena_take(a, e, sizeof(double)),
        .hinge = ecg_arena_take(a, e, sizeof(double)),
        .C = ecg_arena_take(a, e * e, sizeof(float)),
        .row_loss = ecg_arena_take(a, e, sizeof(double)),
    };
    if (!w->zc[0] || !w->zc[1] || !w->sd[0] || !w->sd[1] || !w->gap || !w->hinge || !w->C || !w->row_loss) {
        ecg_arena_free(a);
        return NULL;
    }
    return w;
}

void ecg_vicreg_free(ecg_vicreg *w)
{
    if (w)
        ecg_arena_free(w->arena); /* w lies in it */
}

typedef struct {
    ecg_vicreg *w;
    const ecg_vicreg_weights *by;
    const float *z[2];
    float *dz[2];
    int N, E, degrees; /* degrees of freedom: N - 1, of a single row 1 */
} job;

/* Columns c0 .. c0 + width of this item. */
static int columns_of(const job *j, int item, int *c0)
{
    *c0 = item * COLUMNS;
    return j->E - *c0 < COLUMNS ? j->E - *c0 : COLUMNS;
}

/* zc, sd, and what the columns cost. A NaN must reach the loss: hence the form of the hinge. */
static void spread(void *ctx, int item, int worker)
{
    const job *j = ctx;
    const size_t E = (size_t)j->E;
    double gap[COLUMNS] = {0}, hinge[COLUMNS] = {0};
    int c0;
    const int width = columns_of(j, item, &c0);
    (void)worker;
    for (int side = 0; side < 2; side++) {
        const float *z = j->z[side] + c0;
        float *zc = j->w->zc[side] + c0;
        double mean[COLUMNS] = {0}, sum[COLUMNS] = {0};
        for (int r = 0; r < j->N; r++)
            for (int c = 0; c < width; c++)
                mean[c] += (double)z[(size_t)r * E + (size_t)c] / j->N;
        for (int r = 0; r < j->N; r++)
            for (int c = 0; c < width; c++) {
                const double d = (double)z[(size_t)r * E + (size_t)c] - mean[c];
                sum[c] += d * d;
                zc[(size_t)r * E + (size_t)c] = (float)d;
            }
        for (int c = 0; c < width; c++) {
            const double sd = sqrt(sum[c] / j->degrees + eps);
            j->w->sd[side][c0 + c] = sd;
            hinge[c] += sd >= 1 ? 0 : 1 - sd;
        }
    }
    for (int r = 0; r < j->N; r++)
        for (int c = 0; c < width; c++) {
            const size_t at = (size_t)r * E + (size_t)(c0 + c);
            const double d = (double)j->z[0][at] - (double)j->z[1][at];
            gap[c] += d * d;
        }
    for (int c = 0; c < width; c++) {
        j->w->gap[c0 + c] = gap[c];
        j->w->hinge[c0 + c] = hinge[c];
    }
}

/* Row i of C, its share of the loss, and the gradient in its place. */
static void covariance_row(void *ctx, int i, int worker)
{
    const job *j = ctx;
    float *C = j->w->C + (size_t)i * (size_t)j->E;
    const double scale = 4 * j->by->covariance / ((double)j->E * j->degrees);
    double loss = 0;
    (void)worker;
    for (int k = 0; k < j->E; k++) {
        const double c = i == k ? 0 : (double)C[k] / j->degrees;
        loss += c * c;
        C[k] = (float)(scale * c);
    }
    j->w->row_loss[i] = loss;
}

/* dz holds zc G; the other two terms are added. */
static void gradient_columns(void *ctx, int item, int worker)
{
    const job *j = ctx;
    const size_t E = (size_t)j->E;
    const double pull = 2 * j->by->invariance / ((double)j->N * j->E), push = j->by->variance / (2.0 * j->E * j->degrees);
    int c0;
    const int width = columns_of(j, item, &c0);
    (void)worker;
    for (int side = 0; side < 2; side++)
        for (int r = 0; r < j->N; r++)
            for (int c = 0; c < width; c++) {
                const size_t at = (size_t)r * E + (size_t)(c0 + c);
                const double sd = j->w->sd[side][c0 + c], apart = (double)j->z[side][at] - (double)j->z[1 - side][at];
                const double narrow = sd >= 1 ? 0 : (double)j->w->zc[side][at] / sd;
                j->dz[side][at] = (float)((double)j->dz[side][at] + pull * apart - push * narrow);
            }
}

static double total(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

double ecg_vicreg_loss(float *dz1, float *dz2, ecg_vicreg *w, const ecg_exec *exec, const float *z1, const float *z2, int N, int E,
                       const ecg_vicreg_weights *by)
{
    assert(N >= 1 && N <= w->N && E == w->E && !dz1 == !dz2);
    const ecg_exec x = ecg_exec_for(exec, E, E);
    const int items = (E + COLUMNS - 1) / COLUMNS;
    job j = {.w = w, .by = by, .z = {z1, z2}, .dz = {dz1, dz2}, .N = N, .E = E, .degrees = N > 1 ? N - 1 : 1};
    ecg_pool_run(exec->pool, spread, &j, items);
    double covariances = 0;
    for (int side = 0; side < 2; side++) {
        ecg_gemm(&x, w->C, w->zc[side], w->zc[side], E, E, N, E, E, E, ECG_GEMM_TA);
        ecg_pool_run(exec->pool, covariance_row, &j, E);
        covariances += total(w->row_loss, E);
        if (dz1)
            ecg_gemm(&x, j.dz[side], w->zc[side], w->C, N, E, E, E, E, E, 0);
    }
    if (dz1)
        ecg_pool_run(exec->pool, gradient_columns, &j, items);
    return by->invariance * total(w->gap, E) / ((double)N * E) + by->variance * total(w->hinge, E) / (2.0 * E) + by->covariance * covariances / E;
}
