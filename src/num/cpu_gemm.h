/* SPDX-License-Identifier: MIT
 * cpu_gemm.h: matrix product over vectors of LANES floats, part of cpu_body.h. Columns of b go into panels as wide as WIDE vectors, of which
 * DEPTH rows at a time stay in the first cache; ROWS x panel sums stay in registers and every element of a is broadcast where it lies. Only a
 * transposed a is copied, TALL rows at a time: its columns would fall on each other in the cache. Measured against OpenBLAS 0.3.21: level with
 * its AVX-512 code, and four times as fast on CPUs that it does not know and gives its SSE code.
 *
 * In bf16 without tiles both operands are rounded where they are copied, a included, and the multiply-adds are those of float32: the
 * instruction that multiplies pairs of bf16 was measured slower than them (docs/bf16.md). */
#include <stdint.h>
#include <xmmintrin.h>

enum { ROWS = 6, DEPTH = 128, TALL = 16 * ROWS, COLUMNS = 256 };

typedef uint32_t vu __attribute__((vector_size(LANES * 4)));

/* each element to the nearest bf16, as ecg_bf16_round does; n is a multiple of LANES, memory of whole vectors */
static void round_all(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        const vf v = v_load(x + i);
        const vu u = (vu)v, nan = (vu)(v != v);
        const vu near = u + 0x7fff + (u >> 16 & 1);
        v_store(x + i, (vf)(((nan & (u | 0x400000)) | (~nan & near)) & 0xffff0000));
    }
}

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

static int panel_vectors(int left) { return left > WIDE / 2 * LANES ? WIDE : left > LANES ? WIDE / 2 : 1; }

/* all panels of op(b), one after the other: that of column j begins at j k */
static void pack_b(float *packed, const float *b, int n, int k, int ldb, unsigned flags)
{
    const bool tb = flags & ECG_GEMM_TB;
    for (int j = 0, width; j < n; j += width) {
        width = panel_vectors(n - j) * LANES;
        for (int l = 0; l < k; l += DEPTH)
            pack_panel(packed + (size_t)j * k + (size_t)l * width, tb ? b + (size_t)j * ldb + l : b + (size_t)l * ldb + j, k - l < DEPTH ? k - l : DEPTH,
                       n - j < width ? n - j : width, width, ldb, tb);
    }
}

/* c (m, columns) = bias or += a (m, depth) panel; row_step, depth_step and block_step (from ROWS rows to the next) walk through a as it is stored;
 * vectors is a constant where it is called */
static inline __attribute__((always_inline)) void multiply_panel(float *c, const float *a, const float *panel, const float *bias, int m, int depth,
                                                                 int columns, size_t row_step, size_t depth_step, size_t block_step, int ldc,
                                                                 bool add_to, const int vectors)
{
    for (int i0 = 0; i0 < m; i0 += ROWS, a += block_step) {
        vf sum[ROWS][WIDE];
        const float *row[ROWS];
        UNROLL for (int i = 0; i < ROWS; i++) {
            row[i] = a + (size_t)(i0 + i < m ? i : m - 1 - i0) * row_step; /* beyond the end: the last row again, not stored */
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
                else if (bias)
                    sum[i][v] = sum[i][v] + load_some(bias + v * LANES, left);
                store_some(to + v * LANES, sum[i][v], left);
            }
        }
    }
}

/* ROWS columns of a beside each other, DEPTH times, then the next ROWS: tile[(i / ROWS * depth + l) * ROWS + i % ROWS] = a[l][i] */
static void pack_transposed(float *tile, const float *a, int m, int depth, int lda)
{
    for (int i0 = 0; i0 < m; i0 += ROWS, a += ROWS) {
        const int rows = m - i0 < ROWS ? m - i0 : ROWS;
        for (int l = 0; l < depth; l++, tile += ROWS) {
            const float *from = a + (size_t)l * lda;
            if (rows == ROWS)
                memcpy(tile, from, ROWS * sizeof *tile);
            else
                for (int i = 0; i < ROWS; i++)
                    tile[i] = i < rows ? from[i] : 0;
        }
    }
}

/* rows of a, or ROWS columns beside each other, rounded: tile[i * depth + l], or as pack_transposed leaves them */
static void pack_rounded(float *tile, const float *a, int m, int depth, int lda, bool transposed)
{
    size_t n = (size_t)m * depth;
    if (transposed) {
        pack_transposed(tile, a, m, depth, lda);
        n = (size_t)(m + ROWS - 1) / ROWS * ROWS * depth;
    } else {
        for (int i = 0; i < m; i++)
            memcpy(tile + (size_t)i * depth, a + (size_t)i * lda, depth * sizeof *tile);
    }
    for (size_t i = n; i % LANES; i++)
        tile[i] = 0;
    round_all(tile, (n + LANES - 1) / LANES * LANES);
}

static inline __attribute__((always_inline)) void product(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda,
                                                          int ldb, int ldc, unsigned flags, const bool rounded)
{
    _Alignas(64) float own[DEPTH * COLUMNS], tile[TALL * DEPTH + 16];
    const bool ta = flags & ECG_GEMM_TA, tb = flags & ECG_GEMM_TB;
    for (int i = 0; k <= 0 && !(flags & ECG_GEMM_ADD) && i < m; i++) /* an empty sum */
        for (int j = 0; j < n; j++)
            c[(size_t)i * ldc + j] = bias ? bias[j] : 0;
    for (int l = 0; l < k; l += DEPTH) {
        const int depth = k - l < DEPTH ? k - l : DEPTH;
        const bool add_to = l > 0 || flags & ECG_GEMM_ADD;
        for (int j0 = 0; j0 < n; j0 += COLUMNS) {
            const int end = n - j0 < COLUMNS ? n : j0 + COLUMNS;
            if (!(flags & ECG_GEMM_PACKED))
                for (int j = j0, width; j < end; j += width) {
                    width = panel_vectors(n - j) * LANES;
                    pack_panel(own + (size_t)(j - j0) * depth, tb ? b + (size_t)j * ldb + l : b + (size_t)l * ldb + j, depth,
                               n - j < width ? n - j : width, width, ldb, tb);
                    if (rounded)
                        round_all(own + (size_t)(j - j0) * depth, (size_t)width * depth);
                }
            const int tall = ta || rounded ? TALL : m;
            for (int i = 0; i < m; i += tall) {
                const int rows = m - i < tall ? m - i : tall;
                const float *from = a + (size_t)i * lda + l;
                if (ta || rounded)
                    from = tile;
                if (rounded)
                    pack_rounded(tile, ta ? a + (size_t)l * lda + i : a + (size_t)i * lda + l, rows, depth, lda, ta);
                else if (ta)
                    pack_transposed(tile, a + (size_t)l * lda + i, rows, depth, lda);
                const size_t row = rounded ? depth : lda; /* of a as it lies */
                const size_t row_step = ta ? 1 : row, depth_step = ta ? ROWS : 1, block_step = ta ? (size_t)depth * ROWS : ROWS * row;
                for (int j = j0, vectors; j < end; j += vectors * LANES) {
                    vectors = panel_vectors(n - j);
                    const int width = vectors * LANES, columns = n - j < width ? n - j : width;
                    const float *panel = flags & ECG_GEMM_PACKED ? b + (size_t)j * k + (size_t)l * width : own + (size_t)(j - j0) * depth;
                    float *to = c + (size_t)i * ldc + j;
                    const float *first = bias && !add_to ? bias + j : NULL;
                    if (vectors == WIDE)
                        multiply_panel(to, from, panel, first, rows, depth, columns, row_step, depth_step, block_step, ldc, add_to, WIDE);
                    else if (vectors == WIDE / 2)
                        multiply_panel(to, from, panel, first, rows, depth, columns, row_step, depth_step, block_step, ldc, add_to, WIDE / 2);
                    else
                        multiply_panel(to, from, panel, first, rows, depth, columns, row_step, depth_step, block_step, ldc, add_to, 1);
                }
            }
        }
    }
}

static void gemm(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    product(c, a, b, bias, m, n, k, lda, ldb, ldc, flags, false);
}

static void gemm_bf16(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    if (flags & ECG_GEMM_WIDE)
        product(c, a, b, bias, m, n, k, lda, ldb, ldc, flags, true);
    else
        gemm(c, a, b, bias, m, n, k, lda, ldb, ldc, flags);
}

static void pack_bf16(float *packed, const float *b, int n, int k, int ldb, unsigned flags)
{
    pack_b(packed, b, n, k, ldb, flags);
    for (int j = 0, width; flags & ECG_GEMM_WIDE && j < n; j += width) {
        width = panel_vectors(n - j) * LANES;
        round_all(packed + (size_t)j * k, (size_t)width * k);
    }
}
