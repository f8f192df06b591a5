/* SPDX-License-Identifier: MIT
 * linear.c: y = x W^T + b.   dx = dy W,  dW += dy^T x,  db += column sums of dy.
 * The products are GEMMs at the precision of the kernels; the column sums are double, 64 columns an item whatever the number of threads. */
#include "net/linear.h"

#include <stdint.h>
#include <string.h>

enum { NARROW = 1024 };

ecg_exec ecg_exec_for(const ecg_exec *x, int in, int out)
{
    return (ecg_exec){.k = (int64_t)in * out <= NARROW ? ecg_kernels_ref() : x->k, .pool = x->pool};
}

void ecg_linear_forward(float *y, const ecg_exec *exec, const float *x, const float *W, const float *b, int B, int in, int out)
{
    const ecg_exec e = ecg_exec_for(exec, in, out);
    for (int r = 0; b && r < B; r++)
        memcpy(y + (size_t)r * (size_t)out, b, (size_t)out * sizeof *y);
    ecg_gemm(&e, y, x, W, B, out, in, in, in, out, ECG_GEMM_WIDE | ECG_GEMM_TB | (b ? ECG_GEMM_ADD : 0));
}

void ecg_linear_forward_one(float *y, const ecg_exec *exec, const float *x, const float *W, const float *b, int B, int in, int out, int k)
{
    const ecg_exec e = ecg_exec_for(exec, in, out);
    for (int r = 0; b && r < B; r++)
        y[r] = b[k];
    ecg_gemm(&e, y, x, W + (size_t)k * (size_t)in, B, 1, in, in, in, 1, ECG_GEMM_WIDE | ECG_GEMM_TB | (b ? ECG_GEMM_ADD : 0));
}

enum { COLUMNS = 64 };

typedef struct {
    float *db;
    const float *dy;
    int B, out;
} bias_job;

static void bias_columns(void *ctx, int item, int worker)
{
    const bias_job *j = ctx;
    const int c0 = item * COLUMNS, n = j->out - c0 < COLUMNS ? j->out - c0 : COLUMNS;
    double sum[COLUMNS] = {0};
    (void)worker;
    for (int r = 0; r < j->B; r++)
        for (int c = 0; c < n; c++)
            sum[c] += (double)j->dy[(size_t)r * (size_t)j->out + (size_t)(c0 + c)];
    for (int c = 0; c < n; c++)
        j->db[c0 + c] += (float)sum[c];
}

void ecg_linear_backward(float *dx, float *dW, float *db, const ecg_exec *exec, const float *dy, const float *x, const float *W, int B, int in,
                         int out)
{
    const ecg_exec e = ecg_exec_for(exec, in, out);
    if (dx)
        ecg_gemm(&e, dx, dy, W, B, in, out, out, in, in, ECG_GEMM_WIDE);
    if (dW)
        ecg_gemm(&e, dW, dy, x, out, in, B, out, in, in, ECG_GEMM_WIDE | ECG_GEMM_TA | ECG_GEMM_ADD);
    if (db) {
        bias_job j = {db, dy, B, out};
        ecg_pool_run(exec->pool, bias_columns, &j, (out + COLUMNS - 1) / COLUMNS);
    }
}
