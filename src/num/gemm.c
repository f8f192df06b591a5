/* SPDX-License-Identifier: MIT
 * gemm.c: one matrix product over all threads. The cut depends on the shape alone, so the bytes do not depend on the threads. */
#include "num/kernels.h"

enum { ROWS = 64, COLUMNS = 256, FEW = 8, SMALL = 1 << 18 }; /* multiply-adds below which handing work out costs more than it brings */

typedef struct {
    const ecg_kernels *k;
    float *c;
    const float *a, *b;
    int m, n, depth, lda, ldb, ldc, across; /* blocks of rows, and so many beside each other */
    unsigned flags;
} job;

static void block(void *ctx, int item, int worker)
{
    const job *j = ctx;
    (void)worker;
    const int from = item / j->across * ROWS, rows = j->m - from < ROWS ? j->m - from : ROWS;
    const int left = item % j->across * COLUMNS, columns = item % j->across < j->across - 1 ? COLUMNS : j->n - left;
    const size_t at = j->flags & ECG_GEMM_TB ? (size_t)left * j->ldb : (size_t)left;
    j->k->gemm(j->c + (size_t)from * j->ldc + left, j->a + (j->flags & ECG_GEMM_TA ? (size_t)from : (size_t)from * j->lda), j->b + at, NULL, rows,
               columns, j->depth, j->lda, j->ldb, j->ldc, j->flags);
}

void ecg_gemm(const ecg_exec *x, float *c, const float *a, const float *b, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    job j = {x->k, c, a, b, m, n, k, lda, ldb, ldc, 1, flags};
    const int down = (m + ROWS - 1) / ROWS;
    if (down < FEW) /* a batch through a wide layer: few rows, and most of the work is to pack b */
        j.across = n > COLUMNS ? (n + COLUMNS - 1) / COLUMNS : 1;
    if ((double)m * n * k < SMALL)
        x->k->gemm(c, a, b, NULL, m, n, k, lda, ldb, ldc, flags);
    else
        ecg_pool_run(x->pool, block, &j, down * j.across);
}
