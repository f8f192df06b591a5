/* SPDX-License-Identifier: MIT
 * amx_tile.h: the five operations on tile registers that amx.c is written in; here as instructions. A tile is 16 rows of 64 bytes. The
 * tests put a plain C version in their place (ECG_AMX_EMULATED), so that everything around them is proved on any machine.
 *
 * Assembler rather than the compiler's intrinsics: those of gcc 12 do not say that a load reads memory. */
#ifndef ECG_NUM_AMX_TILE_H
#define ECG_NUM_AMX_TILE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes; /* what LDTILECFG reads, 64 bytes */

#define TILE_BEGIN(shapes) __asm__ volatile("ldtilecfg %0" : : "m"(*(shapes)))
#define TILE_END() __asm__ volatile("tilerelease")
/* tile t from 16 rows, `stride` bytes apart; 0: the same row 16 times */
#define TILE_LOAD(t, from, stride) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(from), "r"((size_t)(stride)) : "memory")
#define TILE_STORE(t, to, stride) __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(to), "r"((size_t)(stride)) : "memory")
/* sums += left right: left has 16 rows of 16 pairs, right 16 pairs of rows beside each other */
#define TILE_MULTIPLY(sums, left, right) __asm__ volatile("tdpbf16ps %%tmm" #right ", %%tmm" #left ", %%tmm" #sums : :)

#endif
