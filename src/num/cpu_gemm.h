/* SPDX-License-Identifier: MIT
 * cpu_gemm.h: matrix product over vectors of LANES floats, part of cpu_body.h. Columns of b go into panels as wide as WIDE vectors, of which
 * DEPTH rows at a time stay in the first cache; ROWS x panel sums stay in registers and every element of a is broadcast. TALL rows of a, LONG of
 * k deep, are copied close together and stay in the second cache: as they lie, 2 or 4 kB apart, they would fall on each other in both caches. What
 * comes from further away, the next panel and the next sums, is asked for before it is needed. Measured against OpenBLAS 0.3.21: level with
 * its AVX-512 code, and four times as fast on CPUs that it does not know and gives its SSE code.
 *
 * In bf16 without tiles both operands are rounded where they are copied and the multiply-adds are those of float32: the
 * instruction that multiplies pairs of bf16 was measured slower than them (docs/bf16.md). */
#include <stdint.h>
#include <xmmintrin.h>

enum { ROWS = 6, DEPTH = 128, LONG = 4 * DEPTH, TALL = 22 * ROWS, COLUMNS = 256, PITCH = DEPTH + 16, EACH = 4 };

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
            for (int i = 0; i < 4 && l % 16 == 0; i++)
                __builtin_prefetch(row + (4 + i) * (size_t)ldb + l); /* what is turned over next; may lie beyond the end */
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

/* panels of op(b), one after the other: that of column j begins at j k */
static void pack_panels(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    const bool tb = flags & ECG_GEMM_TB;
    for (int j = from, width; j < to; j += width) {
        width = panel_vectors(n - j) * LANES;
        for (int l = 0; l < k; l += DEPTH)
            pack_panel(packed + (size_t)j * k + (size_t)l * width, tb ? b + (size_t)j * ldb + l : b + (size_t)l * ldb + j, k - l < DEPTH ? k - l : DEPTH,
                       n - j < width ? n - j : width, width, ldb, tb);
    }
}

/* What multiply_panel asks for on the way, a line at a time between its multiply-adds: the panel that comes next, and the sums of the next rows. In
 * one burst they would take all the places where the core keeps what it waits for. */
typedef struct {
    const char *next, *end;
} ahead;

/* ROWS rows a step apart, the next ROWS a jump after the first of these; both 0: the same row for all */
typedef struct {
    const float *from;
    size_t step, jump;
} strip;

static strip rows_of(const float *from, int step) { return (strip){from, step, ROWS * (size_t)step}; }

/* Where sums go, what is asked for meanwhile, and up to two arrays that are added to them first; NULL: none. */
typedef struct {
    float *to;
    size_t step, jump; /* of rows of `to`, as in a strip */
    strip soon, plus[2];
} sums;

/* sum += one column of the tile by one row of the panel */
static inline __attribute__((always_inline)) void add_step(vf sum[ROWS][WIDE], const float *a, const size_t row_step, const float *p, const int vectors)
{
    vf b[WIDE];
    UNROLL for (int v = 0; v < vectors; v++)
        b[v] = v_load(p + v * LANES);
    UNROLL for (int i = 0; i < ROWS; i++) {
        const vf x = v_set(a[i * row_step]);
        UNROLL for (int v = 0; v < vectors; v++)
            sum[i][v] = v_fma(x, b[v], sum[i][v]);
    }
}

/* the same ROWS of x, whole ones, added to sum */
static inline __attribute__((always_inline)) void add_rows(vf sum[ROWS][WIDE], strip x, int block, const int vectors)
{
    if (!x.from)
        return;
    const float *from = x.from + block * x.jump;
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[i][v] = sum[i][v] + v_load(from + i * x.step + v * LANES);
}

/* n elements of a row of the block, added to what there is */
static inline __attribute__((always_inline)) vf with(vf sum, strip x, int block, int row, int at, int n)
{
    if (x.from)
        sum = sum + v_load_n(x.from + block * x.jump + row * x.step + at, n);
    return sum;
}

/* what sums become where rows or columns end before the block does */
static inline __attribute__((always_inline)) void leave_some(vf sum[ROWS][WIDE], sums c, int block, int rows, int columns, const int vectors)
{
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int v = 0; v < vectors; v++)
            if (i < rows && v * LANES < columns) {
                const int n = columns - v * LANES < LANES ? columns - v * LANES : LANES;
                const vf all = with(with(sum[i][v], c.plus[0], block, i, v * LANES, n), c.plus[1], block, i, v * LANES, n);
                v_store_n(c.to + block * c.jump + i * c.step + v * LANES, all, n);
            }
}

/* c.to (m, columns) = tile (m, depth) panel + what c.plus says; row_step, depth_step and block_step (from ROWS rows to the next) walk through the
 * tile; vectors and the first two steps are constants where it is called. Little but multiply-adds and loads in the innermost loop: where another
 * program has the other half of the core, instructions are what is scarce. */
static inline __attribute__((always_inline)) void multiply_panel(sums c, const float *tile, const float *panel, int m, int depth, int columns,
                                                                 const size_t row_step, const size_t depth_step, size_t block_step, ahead later,
                                                                 const int vectors)
{
    const int lines = (vectors * LANES + 15) / 16; /* of the cache, in a row of the panel */
    for (int i0 = 0, block = 0; i0 < m; i0 += ROWS, block++, tile += block_step) {
        vf sum[ROWS][WIDE];
        UNROLL for (int i = 0; i < ROWS; i++)
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i][v] = v_set(0);
        const float *p = panel, *a = tile;
        const char *to_come = (const char *)(c.soon.from + block * c.soon.jump); /* may lie beyond the end: asked for, never read */
        int l = 0;
        for (; l + lines * EACH <= depth; l += lines * EACH, to_come += c.soon.step * 4 - lines * 64) {
            const size_t on = later.next < later.end ? 128 : 0;
            ROLLED for (int e = 0; e < lines; e++, p += EACH * vectors * LANES, a += EACH * depth_step) {
                __builtin_prefetch(later.next, 0, 2); /* not into the first cache, where the panel at work lies */
                __builtin_prefetch(later.next + 64, 0, 2);
                later.next += on;
                __builtin_prefetch(to_come, 1);
                to_come += 64;
                UNROLL for (int s = 0; s < EACH; s++)
                    add_step(sum, a + s * depth_step, row_step, p + s * vectors * LANES, vectors);
            }
        }
        for (; l < depth; l++, p += vectors * LANES, a += depth_step)
            add_step(sum, a, row_step, p, vectors);
        if (m - i0 < ROWS || columns < vectors * LANES) {
            leave_some(sum, c, block, m - i0 < ROWS ? m - i0 : ROWS, columns, vectors);
            continue;
        }
        add_rows(sum, c.plus[0], block, vectors);
        add_rows(sum, c.plus[1], block, vectors);
        UNROLL for (int i = 0; i < ROWS; i++)
            UNROLL for (int v = 0; v < vectors; v++)
                v_store(c.to + block * c.jump + i * c.step + v * LANES, sum[i][v]);
    }
}

/* The part of a that is multiplied next, close together: rows, or of a transposed one columns, a PITCH apart. Zeros fill the last ROWS. */
static void pack_tile(float *tile, const float *a, int m, int depth, int lda, bool transposed, bool rounded)
{
    const int padded = (m + ROWS - 1) / ROWS * ROWS, lines = transposed ? depth : padded, length = transposed ? padded : depth;
    for (int i = 0; i < lines; i++, a += lda, tile += PITCH) {
        const int there = transposed ? m : i < m ? depth : 0;
        memcpy(tile, a, there * sizeof *tile);
        memset(tile + there, 0, (length - there) * sizeof *tile);
        if (rounded)
            round_all(tile, (length + LANES - 1) / LANES * LANES);
    }
}

/* by the panel of a tile that lies as pack_tile leaves it, pitch: PITCH, or something else if it is transposed */
static __attribute__((noinline)) void times_panel(sums c, const float *tile, const float *panel, int m, int depth, int columns, bool transposed, int pitch,
                                                  ahead later, int vectors)
{
#define MULTIPLY(n)                                                                                          \
    if (transposed)                                                                                          \
        multiply_panel(c, tile, panel, m, depth, columns, 1, pitch, ROWS, later, n);                         \
    else                                                                                                     \
        multiply_panel(c, tile, panel, m, depth, columns, PITCH, 1, (size_t)ROWS * PITCH, later, n)
    if (vectors == WIDE) {
        MULTIPLY(WIDE);
    } else if (vectors == WIDE / 2) {
        MULTIPLY(WIDE / 2);
    } else {
        MULTIPLY(1);
    }
#undef MULTIPLY
}

/* sums of columns of c that begin as c or bias or 0 */
static sums begin_with(float *c, const float *bias, int ldc, bool add_to)
{
    return (sums){c, ldc, ROWS * (size_t)ldc, rows_of(c + ROWS * (size_t)ldc, ldc), {rows_of(add_to ? c : bias, add_to ? ldc : 0)}};
}

/* What is done with c (m, 2H) as soon as a panel of each half is there; y NULL: nothing, and panels come in their order. */
typedef struct {
    float *y;
    const float *scale, *plus;
    int H;
} gates;

/* by a packed b: panel after panel over LONG of k, so that c is touched again while it is in the cache */
static void by_packed(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldc, unsigned flags, bool rounded,
                      const gates then)
{
    _Alignas(64) float tile[LONG / DEPTH][TALL * PITCH];
    const bool ta = flags & ECG_GEMM_TA;
    for (int i = 0; i < m; i += TALL) {
        const int rows = m - i < TALL ? m - i : TALL;
        for (int l0 = 0; l0 < k; l0 += LONG) {
            const int end = k - l0 < LONG ? k : l0 + LONG;
            for (int l = l0; l < end; l += DEPTH)
                pack_tile(tile[(l - l0) / DEPTH], ta ? a + (size_t)l * lda + i : a + (size_t)i * lda + l, rows, end - l < DEPTH ? end - l : DEPTH, lda, ta,
                          rounded);
            for (int at = 0, vectors; at < n; at += vectors * LANES) {
                const bool second = then.y && at / (WIDE * LANES) % 2;
                const int j = then.y ? at / (2 * WIDE * LANES) * WIDE * LANES + second * then.H : at;
                vectors = panel_vectors(n - j);
                const int width = vectors * LANES, columns = n - j < width ? n - j : width;
                for (int l = l0; l < end; l += DEPTH) {
                    const int depth = end - l < DEPTH ? end - l : DEPTH;
                    const float *panel = b + (size_t)j * k + (size_t)l * width, *next = panel + (size_t)depth * width;
                    if (then.y && l + depth == end) /* of the other half */
                        next = b + (size_t)(second ? j - then.H + width : j + then.H) * k + (size_t)l0 * width;
                    const bool add_to = l > 0 || flags & ECG_GEMM_ADD;
                    times_panel(begin_with(c + (size_t)i * ldc + j, bias ? bias + j : NULL, ldc, add_to), tile[(l - l0) / DEPTH], panel, rows, depth, columns,
                                ta, PITCH, (ahead){(const char *)next, (const char *)(next + (size_t)depth * width)}, vectors);
                }
                if (second && end == k)
                    glu_channels(then.y + (size_t)i * then.H, c + (size_t)i * ldc, then.scale, then.plus ? then.plus + (size_t)i * then.H : NULL, rows, then.H,
                                 j - then.H, j - then.H + width);
            }
        }
    }
}

/* by a b that is packed here, COLUMNS of it at a time */
static void by_plain(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags, bool rounded)
{
    _Alignas(64) float own[DEPTH * COLUMNS], tile[TALL * PITCH];
    const bool ta = flags & ECG_GEMM_TA, tb = flags & ECG_GEMM_TB;
    for (int j0 = 0; j0 < n; j0 += COLUMNS)
        for (int l = 0; l < k; l += DEPTH) {
            const int depth = k - l < DEPTH ? k - l : DEPTH, end = n - j0 < COLUMNS ? n : j0 + COLUMNS;
            const bool add_to = l > 0 || flags & ECG_GEMM_ADD;
            for (int j = j0, width; j < end; j += width) {
                width = panel_vectors(n - j) * LANES;
                float *panel = own + (size_t)(j - j0) * depth;
                pack_panel(panel, tb ? b + (size_t)j * ldb + l : b + (size_t)l * ldb + j, depth, n - j < width ? n - j : width, width, ldb, tb);
                if (rounded)
                    round_all(panel, (size_t)width * depth);
            }
            for (int i = 0; i < m; i += TALL) {
                const int rows = m - i < TALL ? m - i : TALL;
                pack_tile(tile, ta ? a + (size_t)l * lda + i : a + (size_t)i * lda + l, rows, depth, lda, ta, rounded);
                for (int j = j0, vectors; j < end; j += vectors * LANES) {
                    vectors = panel_vectors(n - j);
                    const int width = vectors * LANES, columns = n - j < width ? n - j : width;
                    const float *panel = own + (size_t)(j - j0) * depth, *next = panel + (size_t)depth * width;
                    times_panel(begin_with(c + (size_t)i * ldc + j, bias ? bias + j : NULL, ldc, add_to), tile, panel, rows, depth, columns, ta,
                                PITCH, (ahead){(const char *)next, (const char *)next}, vectors);
                }
            }
        }
}

#include "num/cpu_strassen.h"

static void product(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags, bool rounded)
{
    for (int i = 0; k <= 0 && !(flags & ECG_GEMM_ADD) && i < m; i++) /* an empty sum */
        for (int j = 0; j < n; j++)
            c[(size_t)i * ldc + j] = bias ? bias[j] : 0;
    if (!(flags & ECG_GEMM_PACKED))
        by_plain(c, a, b, bias, m, n, k, lda, ldb, ldc, flags, rounded);
    else if (!rounded && seven_pays(n, k, flags))
        by_seven(c, a, b, bias, m, n, k, lda, ldc, flags, (gates){0});
    else
        by_packed(c, a, b, bias, m, n, k, lda, ldc, flags, rounded, (gates){0});
}

static void gemm(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    product(c, a, b, bias, m, n, k, lda, ldb, ldc, flags, false);
}

static void gemm_bf16(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    product(c, a, b, bias, m, n, k, lda, ldb, ldc, flags, flags & ECG_GEMM_WIDE);
}

static void pack_b(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    (seven_pays(n, k, flags) ? pack_seven : pack_panels)(packed, b, n, k, ldb, from, to, flags);
}

static void pack_bf16(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    pack_panels(packed, b, n, k, ldb, from, to, flags);
    for (int j = from, width; flags & ECG_GEMM_WIDE && j < to; j += width) {
        width = panel_vectors(n - j) * LANES;
        round_all(packed + (size_t)j * k, (size_t)width * k);
    }
}

static void product_glu(float *y, float *o, const float *a, const float *packed, const float *bias, const float *scale, const float *plus, int rows, int H, int k,
                        bool rounded)
{
    const unsigned flags = ECG_GEMM_WIDE | ECG_GEMM_PACKED;
    if (!rounded && seven_pays(2 * H, k, flags)) {
        by_seven(o, a, packed, bias, rows, 2 * H, k, k, 2 * H, flags, (gates){y, scale, plus, H});
    } else if (k > 0 && H % (WIDE * LANES) == 0) {
        by_packed(o, a, packed, bias, rows, 2 * H, k, k, 2 * H, flags, rounded, (gates){y, scale, plus, H});
    } else {
        product(o, a, packed, bias, rows, 2 * H, k, k, 0, 2 * H, flags, rounded);
        glu(y, o, scale, plus, rows, H);
    }
}

static void gemm_glu(float *y, float *o, const float *a, const float *packed, const float *bias, const float *scale, const float *plus, int rows, int H, int k)
{
    product_glu(y, o, a, packed, bias, scale, plus, rows, H, k, false);
}

static void gemm_glu_bf16(float *y, float *o, const float *a, const float *packed, const float *bias, const float *scale, const float *plus, int rows, int H,
                          int k)
{
    product_glu(y, o, a, packed, bias, scale, plus, rows, H, k, true);
}
