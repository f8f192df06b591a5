/* SPDX-License-Identifier: MIT
 * amx_emulated.h: tile registers in plain C, in the place of num/amx_tile.h. A product as the manual has it (Intel SDM, TDPBF16PS): even and
 * odd steps summed apart, multiply-adds with one rounding to nearest, then added to the sums; denormals are zeros before and after. */
#ifndef ECG_TEST_AMX_EMULATED_H
#define ECG_TEST_AMX_EMULATED_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

typedef struct {
    tile_shapes shapes; /* palette 0: none, every use of a tile is refused by the processor */
    uint8_t data[8][16][64];
} tile_state;

static inline void tile_begin(tile_state *s, const tile_shapes *shapes)
{
    memset(s, 0, sizeof *s);
    s->shapes = *shapes;
}

static inline void tile_load(tile_state *s, int t, const void *from, size_t stride)
{
    memset(s->data[t], 0, sizeof s->data[t]);
    for (int r = 0; r < s->shapes.rows[t]; r++)
        memcpy(s->data[t][r], (const uint8_t *)from + (ptrdiff_t)stride * r, s->shapes.row_bytes[t]);
}

static inline void tile_store(const tile_state *s, int t, void *to, size_t stride)
{
    for (int r = 0; r < s->shapes.rows[t]; r++)
        memcpy((uint8_t *)to + (ptrdiff_t)stride * r, s->data[t][r], s->shapes.row_bytes[t]);
}

static inline float tile_flushed(float x) { return fabsf(x) < FLT_MIN ? copysignf(0, x) : x; }

static inline float tile_number(const uint8_t *at, size_t bytes) /* a float, or the upper half of one */
{
    uint32_t u = 0;
    float x;
    memcpy((uint8_t *)&u + 4 - bytes, at, bytes);
    memcpy(&x, &u, sizeof x);
    return tile_flushed(x);
}

/* the product of two bf16 fits into a float: rounding once or twice is the same */
static inline void tile_multiply(tile_state *s, int sums, int left, int right)
{
    float wide[16][2][16];
    for (int p = 0; p < 16; p++)
        for (int n = 0; n < 16; n++)
            for (int i = 0; i < 2; i++)
                wide[p][i][n] = tile_number(s->data[right][p] + 4 * n + 2 * i, 2);
    for (int m = 0; m < s->shapes.rows[sums]; m++) {
        float part[2][16] = {{0}};
        for (int p = 0; p < s->shapes.row_bytes[left] / 4; p++)
            for (int i = 0; i < 2; i++) {
                const float x = tile_number(s->data[left][m] + 4 * p + 2 * i, 2);
                for (int n = 0; n < 16; n++)
                    part[i][n] = tile_flushed(part[i][n] + x * wide[p][i][n]);
            }
        for (int n = 0; n < s->shapes.row_bytes[sums] / 4; n++) {
            const float sum = tile_flushed(tile_number(s->data[sums][m] + 4 * n, 4) + tile_flushed(part[0][n] + part[1][n]));
            memcpy(s->data[sums][m] + 4 * n, &sum, sizeof sum);
        }
    }
}

#ifdef ECG_AMX_EMULATED
static _Thread_local tile_state tiles_here;
#define TILE_BEGIN(shapes) tile_begin(&tiles_here, shapes)
#define TILE_END() memset(&tiles_here, 0, sizeof tiles_here)
#define TILE_LOAD(t, from, stride) tile_load(&tiles_here, t, from, stride)
#define TILE_STORE(t, to, stride) tile_store(&tiles_here, t, to, stride)
#define TILE_MULTIPLY(sums, left, right) tile_multiply(&tiles_here, sums, left, right)
#endif

#endif
