/* SPDX-License-Identifier: MIT
 * norm.c: batch normalisation (Ioffe, Szegedy, arXiv 1502.03167; constants as in torch).
 *
 *   xh = (x - mean) / sqrt(var + eps),  y = w xh + b,  per column over the B rows
 *   dw += sum dy xh,  db += sum dy,  dx = w / sqrt(var + eps) * (dy - (sum dy) / B - xh (sum dy xh) / B)
 *
 * Raw laboratory values come in with means of hundreds: mean, variance and the sums of the gradient are double, the variance in a second
 * pass. An item is 64 columns over all rows, so the sums do not know the number of threads. */
#include "net/norm.h"

#include <math.h>

enum { COLUMNS = 64 };
static const double eps = 1e-5, momentum = 0.1;

typedef struct {
    float *y, *dx, *dw, *db;   /* what is written */
    double *wide;
    float *running_mean, *running_var;
    double *stat;
    const double *kept;        /* stat for backward */
    const float *x, *dy, *w, *b;
    const float *use_mean, *use_var;
    int B, n;
} job;

/* Columns c0 .. c0 + width of this item. */
static int columns_of(const job *j, int item, int *c0)
{
    *c0 = item * COLUMNS;
    return j->n - *c0 < COLUMNS ? j->n - *c0 : COLUMNS;
}

static void run(const ecg_exec *exec, void (*fn)(void *, int, int), job *j)
{
    ecg_pool_run(exec->pool, fn, j, (j->n + COLUMNS - 1) / COLUMNS);
}

static void forward_columns(void *ctx, int item, int worker)
{
    const job *j = ctx;
    int c0;
    const int width = columns_of(j, item, &c0), B = j->B;
    const size_t n = (size_t)j->n;
    double mean[COLUMNS] = {0}, var[COLUMNS] = {0}, rstd[COLUMNS];
    (void)worker;

    for (int r = 0; r < B; r++)
        for (int c = 0; c < width; c++)
            mean[c] += (double)j->x[(size_t)r * n + (size_t)(c0 + c)];
    for (int c = 0; c < width; c++)
        mean[c] /= B;
    for (int r = 0; r < B; r++)
        for (int c = 0; c < width; c++) {
            const double gap = (double)j->x[(size_t)r * n + (size_t)(c0 + c)] - mean[c];
            var[c] += gap * gap;
        }
    for (int c = 0; c < width; c++) {
        const int k = c0 + c;
        if (j->running_mean)
            j->running_mean[k] = (float)((1 - momentum) * (double)j->running_mean[k] + momentum * mean[c]);
        if (j->running_var && B > 1) /* one row has no unbiased variance */
            j->running_var[k] = (float)((1 - momentum) * (double)j->running_var[k] + momentum * var[c] / (B - 1));
        rstd[c] = 1 / sqrt(var[c] / B + eps);
        j->stat[k] = mean[c];
        j->stat[n + (size_t)k] = rstd[c];
    }
    for (int r = 0; r < B; r++)
        for (int c = 0; c < width; c++) {
            const size_t at = (size_t)r * n + (size_t)(c0 + c);
            const double xh = ((double)j->x[at] - mean[c]) * rstd[c];
            j->y[at] = (float)(j->w ? xh * (double)j->w[c0 + c] + (double)j->b[c0 + c] : xh);
        }
}

void ecg_batchnorm_forward(float *y, double *stat, float *running_mean, float *running_var, const ecg_exec *exec, const float *x, const float *w,
                           const float *b, int B, int n)
{
    job j = {.y = y, .stat = stat, .running_mean = running_mean, .running_var = running_var, .x = x, .w = w, .b = b, .B = B, .n = n};
    run(exec, forward_columns, &j);
}

static void eval_columns(void *ctx, int item, int worker)
{
    const job *j = ctx;
    int c0;
    const int width = columns_of(j, item, &c0);
    double scale[COLUMNS];
    (void)worker;
    for (int c = 0; c < width; c++)
        scale[c] = (double)j->w[c0 + c] / sqrt((double)j->use_var[c0 + c] + eps);
    for (int r = 0; r < j->B; r++)
        for (int c = 0; c < width; c++) {
            const size_t at = (size_t)r * (size_t)j->n + (size_t)(c0 + c);
            j->y[at] = (float)(((double)j->x[at] - (double)j->use_mean[c0 + c]) * scale[c] + (double)j->b[c0 + c]);
        }
}

void ecg_batchnorm_eval(float *y, const ecg_exec *exec, const float *x, const float *w, const float *b, const float *running_mean,
                        const float *running_var, int B, int n)
{
    job j = {.y = y, .x = x, .w = w, .b = b, .use_mean = running_mean, .use_var = running_var, .B = B, .n = n};
    run(exec, eval_columns, &j);
}

static void backward_columns(void *ctx, int item, int worker)
{
    const job *j = ctx;
    int c0;
    const int width = columns_of(j, item, &c0), B = j->B;
    const size_t n = (size_t)j->n;
    const double *mean = j->kept + c0, *rstd = j->kept + n + c0;
    double dot[COLUMNS] = {0}, sum[COLUMNS] = {0}; /* sum dy xh, sum dy */
    (void)worker;

    for (int r = 0; r < B; r++)
        for (int c = 0; c < width; c++) {
            const size_t at = (size_t)r * n + (size_t)(c0 + c);
            sum[c] += (double)j->dy[at];
            dot[c] += (double)j->dy[at] * (((double)j->x[at] - mean[c]) * rstd[c]);
        }
    for (int c = 0; c < width && j->dw; c++)
        j->dw[c0 + c] += (float)dot[c];
    for (int c = 0; c < width && j->db; c++)
        j->db[c0 + c] += (float)sum[c];
    for (int r = 0; r < B && (j->dx || j->wide); r++)
        for (int c = 0; c < width; c++) {
            const size_t at = (size_t)r * n + (size_t)(c0 + c);
            const double xh = ((double)j->x[at] - mean[c]) * rstd[c], w = j->w ? (double)j->w[c0 + c] : 1;
            const double dx = w * rstd[c] * ((double)j->dy[at] - sum[c] / B - xh * dot[c] / B);
            if (j->wide)
                j->wide[at] = dx;
            if (j->dx)
                j->dx[at] = (float)dx;
        }
}

void ecg_batchnorm_backward(float *dx, double *wide, float *dw, float *db, const ecg_exec *exec, const float *dy, const float *x,
                            const double *stat, const float *w, int B, int n)
{
    job j = {.dx = dx, .wide = wide, .dw = dw, .db = db, .dy = dy, .x = x, .kept = stat, .w = w, .B = B, .n = n};
    run(exec, backward_columns, &j);
}
