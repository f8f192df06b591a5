/* SPDX-License-Identifier: MIT
 * amx.c: the wide product in bf16 on tile registers: 32 x 32 sums in four tiles, 32 deep at a step, two tiles of a and two of b loaded for
 * four products. Both factors are copied into tiles that lie one after the other, rounded on the way: ROWS rows of a at a time, which stay
 * in the second cache; of b a strip of 16 columns is what the first cache holds.
 *
 *   tile of a     16 rows, each 32 deep: dword p of row i = a[i][2p], a[i][2p + 1]
 *   tile of b     16 rows: dword j of row p = b[2p][j], b[2p + 1][j]
 *   packed b      64 columns after 64 columns, in each four strips of 16, in each ceil(k / 2) rows of tiles
 *
 * Sums begin with c, bias or 0, loaded as a tile. Only tiles across an edge of c go through a buffer. */
#include "num/kernels.h"

#if defined(__x86_64__) && (defined(__AVX512F__) || defined(ECG_AMX_EMULATED))
#include <stdint.h>
#include <string.h>

#include "num/amx.h"
#ifdef ECG_AMX_EMULATED
#include "num/amx_emulated.h"
#else
#include "num/amx_tile.h"
#endif

enum { TILE = 16, DEEP = 2 * TILE, TILE_DWORDS = TILE * TILE, ROWS = 128, DEPTH = 512, COLUMNS = 256, GROUP = 64 };

typedef uint32_t vu __attribute__((vector_size(64)));
typedef float vf __attribute__((vector_size(64)));
typedef uint16_t vh __attribute__((vector_size(32)));
#define INLINE static inline __attribute__((always_inline))

/* ---- rounding and turning, in registers; vectors go by address, as not every build may pass them */

/* bits of x rounded to bf16, in the upper halves; the lower ones are left */
INLINE void rounded(vu *out, const float *x)
{
    vf v;
    memcpy(&v, x, sizeof v);
    const vu u = (vu)v, nan = (vu)(v != v);
    *out = (nan & (u | 0x400000)) | (~nan & (u + 0x7fff + (u >> 16 & 1)));
}

/* to[j] = even[j], odd[j] */
INLINE void pair_rows(uint32_t *to, const float *even, const float *odd)
{
    vu e, o;
    rounded(&e, even);
    rounded(&o, odd);
    const vu pairs = e >> 16 | (o & 0xffff0000);
    memcpy(to, &pairs, sizeof pairs);
}

/* to[p] = from[2p], from[2p + 1] */
INLINE void pair_row(uint32_t *to, const float *from)
{
    vu first, second;
    rounded(&first, from);
    rounded(&second, from + TILE);
    const vh halves[2] = {__builtin_convertvector(first >> 16, vh), __builtin_convertvector(second >> 16, vh)};
    memcpy(to, halves, sizeof halves);
}

/* rows become columns: four times, every row i is shuffled together with row i + 8 like two halves of a pack of cards */
INLINE void turn(uint32_t *to, size_t step, const uint32_t *from)
{
    vu x[TILE], y[TILE];
    memcpy(x, from, sizeof x);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < TILE / 2; i++) {
            y[2 * i] = __builtin_shufflevector(x[i], x[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            y[2 * i + 1] = __builtin_shufflevector(x[i], x[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(x, y, sizeof x);
    }
    for (int i = 0; i < TILE; i++)
        memcpy(to + i * step, &x[i], sizeof x[i]);
}

/* ---- one tile of a factor; at most `wide` of 16 rows or columns and `deep` of 32 steps are there, zeros fill up */

/* x[i][l], wide rows: dword p of row i = x[i][2p], x[i][2p + 1] */
static void tile_along(uint32_t *to, const float *x, size_t ldx, int wide, int deep)
{
    for (int i = 0; i < TILE; i++) {
        const float *row = x + i * ldx;
        float part[DEEP];
        if (i >= wide || deep < DEEP) {
            memset(part, 0, sizeof part);
            if (i < wide)
                memcpy(part, row, deep * sizeof *part);
            row = part;
        }
        pair_row(to + i * TILE, row);
    }
}

/* x[l][j], wide columns: dword j of row p = x[2p][j], x[2p + 1][j] */
static void tile_across(uint32_t *to, const float *x, size_t ldx, int wide, int deep)
{
    static const float zeros[TILE];
    for (int p = 0; p < TILE; p++) {
        float part[2][TILE];
        const float *row[2];
        for (int i = 0; i < 2; i++) {
            row[i] = 2 * p + i < deep ? x + (2 * p + i) * ldx : zeros;
            if (wide < TILE && 2 * p + i < deep) {
                memset(part[i], 0, sizeof part[i]);
                memcpy(part[i], row[i], wide * sizeof *part[i]);
                row[i] = part[i];
            }
        }
        pair_rows(to + p * TILE, row[0], row[1]);
    }
}

/* a tile whose memory runs the other way; rows beyond `rows` are not written */
static void tile_turned(uint32_t *to, const float *x, size_t ldx, int wide, int deep, bool along, int rows)
{
    uint32_t flat[TILE_DWORDS], turned[TILE_DWORDS];
    if (along)
        tile_along(flat, x, ldx, wide, deep);
    else
        tile_across(flat, x, ldx, wide, deep);
    if (rows == TILE) {
        turn(to, TILE, flat);
    } else {
        turn(turned, TILE, flat);
        memcpy(to, turned, (size_t)rows * TILE * sizeof *to);
    }
}

/* ROWS rows of op(a), depth deep: tiles of 16 rows after each other, in each those of 32 steps; an even number of tiles downwards */
static void pack_a(uint32_t *left, const float *a, int rows, int depth, int lda, bool transposed)
{
    const int tiles = (depth + DEEP - 1) / DEEP;
    for (int i = 0; i < rows; i += TILE)
        for (int t = 0; t < tiles; t++, left += TILE_DWORDS) {
            const int wide = rows - i < TILE ? rows - i : TILE, deep = depth - t * DEEP < DEEP ? depth - t * DEEP : DEEP;
            if (transposed)
                tile_turned(left, a + (size_t)t * DEEP * lda + i, lda, wide, deep, false, TILE);
            else
                tile_along(left, a + (size_t)i * lda + t * DEEP, lda, wide, deep);
        }
    if ((rows + TILE - 1) / TILE % 2)
        memset(left, 0, (size_t)tiles * TILE_DWORDS * sizeof *left);
}

/* one strip of op(b): (depth + 1) / 2 rows of tiles */
static void pack_strip(uint32_t *strip, const float *b, int columns, int depth, int ldb, bool transposed)
{
    const int wide = columns < TILE ? columns : TILE;
    for (int l = 0; l < depth; l += DEEP, strip += TILE_DWORDS) {
        const int deep = depth - l < DEEP ? depth - l : DEEP, rows = (deep + 1) / 2;
        if (transposed) {
            tile_turned(strip, b + l, ldb, wide, deep, true, rows);
        } else if (rows == TILE) {
            tile_across(strip, b + (size_t)l * ldb, ldb, wide, deep);
        } else {
            uint32_t whole[TILE_DWORDS];
            tile_across(whole, b + (size_t)l * ldb, ldb, wide, deep);
            memcpy(strip, whole, (size_t)rows * TILE * sizeof *strip);
        }
    }
}

static size_t strip_dwords(int depth) { return ((size_t)depth + 1) / 2 * TILE; }

void ecg_amx_pack(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    const bool tb = flags & ECG_GEMM_TB;
    for (int j = from; j < to; j += TILE)
        pack_strip((uint32_t *)packed + (size_t)(j / GROUP) * GROUP * k + j % GROUP / TILE * strip_dwords(k),
                   tb ? b + (size_t)j * ldb : b + j, n - j, k, ldb, tb);
}

/* ---- the product */

/* Where the 16 x 16 sums of a tile begin and end: memory and the bytes from row to row. */
typedef struct {
    const float *from;
    float *to;
    size_t from_step, to_step;
} place;

typedef struct {
    float *c;
    const float *bias; /* of these columns; NULL: 0 */
    bool add;
    int ldc;
} target;

static const float zero_row[TILE];

/* edge (TILE, TILE) stands for a tile of which c has only rows x columns */
static place place_of(float *edge, const target *t, int i, int j, int rows, int columns)
{
    float *c = t->c + (size_t)i * t->ldc + j;
    if (rows >= TILE && columns >= TILE) {
        const float *from = t->add ? c : t->bias ? t->bias + j : zero_row;
        return (place){from, c, t->add ? t->ldc * sizeof *c : 0, t->ldc * sizeof *c};
    }
    memset(edge, 0, TILE_DWORDS * sizeof *edge);
    for (int r = 0; r < rows && r < TILE && columns > 0 && (t->add || t->bias); r++)
        memcpy(edge + r * TILE, t->add ? c + (size_t)r * t->ldc : t->bias + j, (columns < TILE ? columns : TILE) * sizeof *edge);
    return (place){edge, edge, TILE * sizeof *edge, TILE * sizeof *edge};
}

static void leave_edge(const float *edge, const target *t, int i, int j, int rows, int columns)
{
    if (rows >= TILE && columns >= TILE)
        return;
    float *c = t->c + (size_t)i * t->ldc + j;
    for (int r = 0; r < rows && r < TILE && columns > 0; r++)
        memcpy(c + (size_t)r * t->ldc, edge + r * TILE, (columns < TILE ? columns : TILE) * sizeof *c);
}

/* 32 rows times two strips: a0, a1 two rows of tiles, b0, b1 two strips of `tiles` whole tiles, then tail0, tail1 if they are there */
static void square(const place p[4], const uint32_t *a0, const uint32_t *a1, const uint32_t *b0, const uint32_t *b1, int tiles, const uint32_t *tail0,
                   const uint32_t *tail1)
{
    enum { STEP = TILE * sizeof *a0 };
    TILE_LOAD(0, p[0].from, p[0].from_step);
    TILE_LOAD(1, p[1].from, p[1].from_step);
    TILE_LOAD(2, p[2].from, p[2].from_step);
    TILE_LOAD(3, p[3].from, p[3].from_step);
    for (int t = 0; t < tiles + (tail0 != NULL); t++) {
        TILE_LOAD(4, a0 + (size_t)t * TILE_DWORDS, STEP);
        TILE_LOAD(6, t < tiles ? b0 + (size_t)t * TILE_DWORDS : tail0, STEP);
        TILE_MULTIPLY(0, 4, 6);
        TILE_LOAD(7, t < tiles ? b1 + (size_t)t * TILE_DWORDS : tail1, STEP);
        TILE_MULTIPLY(1, 4, 7);
        TILE_LOAD(5, a1 + (size_t)t * TILE_DWORDS, STEP);
        TILE_MULTIPLY(2, 5, 6);
        TILE_MULTIPLY(3, 5, 7);
    }
    TILE_STORE(0, p[0].to, p[0].to_step);
    TILE_STORE(1, p[1].to, p[1].to_step);
    TILE_STORE(2, p[2].to, p[2].to_step);
    TILE_STORE(3, p[3].to, p[3].to_step);
}

/* all rows packed in left times two strips, the second one NULL at the edge; both lie in columns j .. */
static void two_strips(const target *t, const uint32_t *left, const uint32_t *strip0, const uint32_t *strip1, int j, int rows, int columns, int depth)
{
    _Alignas(64) uint32_t tail[2][TILE_DWORDS];
    const int tiles = depth / DEEP, rest = depth % DEEP;
    const size_t down = (size_t)(tiles + (rest > 0)) * TILE_DWORDS;
    if (!strip1)
        strip1 = strip0; /* its sums are not kept */
    if (rest) {
        const uint32_t *strip[2] = {strip0, strip1};
        memset(tail, 0, sizeof tail);
        for (int s = 0; s < 2; s++)
            memcpy(tail[s], strip[s] + (size_t)tiles * TILE_DWORDS, strip_dwords(rest) * sizeof **tail);
    }
    for (int i = 0; i < rows; i += 2 * TILE, left += 2 * down) {
        _Alignas(64) float edge[4][TILE_DWORDS];
        place p[4];
        for (int q = 0; q < 4; q++)
            p[q] = place_of(edge[q], t, i + q / 2 * TILE, j + q % 2 * TILE, rows - i - q / 2 * TILE, columns - q % 2 * TILE);
        square(p, left, left + down, strip0, strip1, tiles, rest ? tail[0] : NULL, rest ? tail[1] : NULL);
        for (int q = 0; q < 4; q++)
            leave_edge(edge[q], t, i + q / 2 * TILE, j + q % 2 * TILE, rows - i - q / 2 * TILE, columns - q % 2 * TILE);
    }
}

void ecg_amx_gemm(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    static const tile_shapes shapes = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _Alignas(64) uint32_t left[ROWS / TILE * (DEPTH / DEEP) * TILE_DWORDS], right[COLUMNS / TILE * (DEPTH / DEEP) * TILE_DWORDS];
    const bool ta = flags & ECG_GEMM_TA, tb = flags & ECG_GEMM_TB, packed = flags & ECG_GEMM_PACKED;
    for (int i = 0; k <= 0 && !(flags & ECG_GEMM_ADD) && i < m; i++) /* an empty sum */
        for (int j = 0; j < n; j++)
            c[(size_t)i * ldc + j] = bias ? bias[j] : 0;
    TILE_BEGIN(&shapes);
    for (int l = 0; l < k; l += DEPTH) {
        const int depth = k - l < DEPTH ? k - l : DEPTH;
        for (int j0 = 0; j0 < n; j0 += packed ? n : COLUMNS) {
            const int columns = packed || n - j0 < COLUMNS ? n - j0 : COLUMNS;
            for (int j = 0; !packed && j < columns; j += TILE)
                pack_strip(right + j / TILE * strip_dwords(depth), tb ? b + (size_t)(j0 + j) * ldb + l : b + (size_t)l * ldb + j0 + j, columns - j,
                           depth, ldb, tb);
            for (int i = 0; i < m; i += ROWS) {
                const int rows = m - i < ROWS ? m - i : ROWS;
                const target t = {c + (size_t)i * ldc + j0, bias ? bias + j0 : NULL, l > 0 || flags & ECG_GEMM_ADD, ldc};
                pack_a(left, ta ? a + (size_t)l * lda + i : a + (size_t)i * lda + l, rows, depth, lda, ta);
                for (int j = 0; j < columns; j += 2 * TILE) {
                    const uint32_t *strip = packed ? (const uint32_t *)b + (size_t)(j / GROUP) * GROUP * k + j % GROUP / TILE * strip_dwords(k) +
                                                         (size_t)l / 2 * TILE
                                                   : right + j / TILE * strip_dwords(depth);
                    two_strips(&t, left, strip, j + TILE < columns ? strip + strip_dwords(packed ? k : depth) : NULL, j, rows, columns - j, depth);
                }
            }
        }
    }
    TILE_END();
}
#endif
