/* SPDX-License-Identifier: MIT
 * balance.c: see balance.h. A projected gradient is a sum of the tasks' gradients, so the projections are worked out on their coefficients:
 * with a_i the coefficients of g_i' and M the Gram matrix, g_i' . g_j = (a_i M)_j, and the step for a conflict is a_ij -= (a_i M)_j / M_jj. */
#include "study/balance.h"

#include <math.h>

enum { RANGE = 1 << 14, PAIRS = ECG_TASKS_MAX * (ECG_TASKS_MAX + 1) / 2 };
static const double bound = 4;

double ecg_balance_uncertainty(double *weight, float *ds, const float *s, const double *loss, const bool *there, int n)
{
    double total = 0;
    for (int i = 0; i < n; i++) {
        const double inside = fmin(fmax((double)s[i], -bound), bound);
        weight[i] = there[i] ? exp(-inside) : 0;
        double slope = there[i] ? 1 - weight[i] * loss[i] : 0; /* a step goes against it */
        if (((double)s[i] >= bound && slope < 0) || ((double)s[i] <= -bound && slope > 0))
            slope = 0;
        ds[i] = (float)slope;
        total += there[i] ? weight[i] * loss[i] + inside : 0;
    }
    return total;
}

typedef struct {
    float *out;
    float *const *g;
    const double *weight;
    int n;
    size_t count;
    double *partial; /* (items, PAIRS) */
} job;

static int items_of(size_t count)
{
    return (int)((count + RANGE - 1) / RANGE);
}

static void bounds(const job *j, int item, size_t *from, size_t *to)
{
    *from = (size_t)item * RANGE;
    *to = j->count - *from < RANGE ? j->count : *from + RANGE;
}

static void dots(void *ctx, int item, int worker)
{
    const job *j = ctx;
    size_t from, to;
    double *out = j->partial + (size_t)item * PAIRS;
    (void)worker;
    bounds(j, item, &from, &to);
    for (int a = 0, pair = 0; a < j->n; a++)
        for (int b = a; b < j->n; b++, pair++) {
            double sum = 0;
            for (size_t k = from; k < to; k++)
                sum += (double)j->g[a][k] * (double)j->g[b][k];
            out[pair] = sum;
        }
}

size_t ecg_balance_partials(size_t count)
{
    return (size_t)items_of(count) * PAIRS + 1;
}

void ecg_balance_gram(double gram[ECG_TASKS_MAX][ECG_TASKS_MAX], float *const *g, int n, size_t count, double *partial, const ecg_exec *exec)
{
    job j = {.g = g, .n = n, .count = count, .partial = partial};
    ecg_pool_run(exec->pool, dots, &j, items_of(count));
    for (int a = 0, pair = 0; a < n; a++)
        for (int b = a; b < n; b++, pair++) {
            double sum = 0;
            for (int i = 0; i < items_of(count); i++)
                sum += partial[(size_t)i * PAIRS + (size_t)pair];
            gram[a][b] = gram[b][a] = sum;
        }
}

int ecg_balance_projection(double *weight, double gram[ECG_TASKS_MAX][ECG_TASKS_MAX], int n, bool falling)
{
    int conflicts = 0;
    for (int k = 0; k < n; k++)
        weight[k] = 0;
    for (int i = 0; i < n; i++) {
        double a[ECG_TASKS_MAX] = {0};
        a[i] = 1;
        for (int turn = 0; turn < n; turn++) {
            const int j = falling ? n - 1 - turn : turn;
            double along = 0;
            for (int k = 0; k < n; k++)
                along += a[k] * gram[k][j];
            if (j != i && along < 0 && gram[j][j] > 0)
                a[j] -= along / gram[j][j];
        }
        for (int k = 0; k < n; k++)
            weight[k] += a[k];
        for (int j = i + 1; j < n; j++)
            conflicts += gram[i][j] < 0;
    }
    return conflicts;
}

static void mix(void *ctx, int item, int worker)
{
    const job *j = ctx;
    size_t from, to;
    (void)worker;
    bounds(j, item, &from, &to);
    for (size_t k = from; k < to; k++) {
        double sum = 0;
        for (int i = 0; i < j->n; i++)
            sum += j->weight[i] * (double)j->g[i][k];
        j->out[k] = (float)sum;
    }
}

void ecg_balance_mix(float *out, const double *weight, float *const *g, int n, size_t count, const ecg_exec *exec)
{
    job j = {.out = out, .g = g, .weight = weight, .n = n, .count = count};
    ecg_pool_run(exec->pool, mix, &j, items_of(count));
}
