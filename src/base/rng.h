/* SPDX-License-Identifier: MIT
 * rng.h: counter-based random numbers, Philox4x32-10 (Salmon et al., SC'11), and the elementary functions of the generator.
 *
 * key = seed (low word, high word); counter = (block, stream, a, b). A number depends on its address alone: never on
 * the thread, the batch or what was drawn before. Streams: generator below 256 (docs/cohort), training the list here. */
#ifndef ECG_BASE_RNG_H
#define ECG_BASE_RNG_H

#include <stdint.h>

enum { /* training streams; a, b = cohort row, step or epoch; block = (layer or tensor << 20) + word block */
    ECG_STREAM_INIT = 256,
    ECG_STREAM_SHUFFLE = 257,
    ECG_STREAM_CROP = 258,
    ECG_STREAM_DROPOUT = 259,
    ECG_STREAM_BOOTSTRAP = 260,
    ECG_STREAM_SUBSET = 261,
    ECG_STREAM_SPLIT = 262,
    ECG_STREAM_PAIRS = 263
};

void ecg_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* Words in order: word i is word i mod 4 of block first_block + i div 4. */
typedef struct {
    uint32_t key[2], counter[4], word[4];
    int left;
    double spare; /* second value of a Box-Muller pair */
    int has_spare;
} ecg_rng;

void ecg_rng_open(ecg_rng *r, uint64_t seed, uint32_t first_block, uint32_t stream, uint32_t a, uint32_t b);
uint32_t ecg_rng_word(ecg_rng *r);
double ecg_rng_uniform(ecg_rng *r);                    /* (w + 0.5) 2^-32 */
double ecg_rng_normal(ecg_rng *r);                     /* Box-Muller of two words, cosine first, then sine */
uint32_t ecg_rng_below(ecg_rng *r, uint32_t n);        /* 0..n-1 without bias, n > 0 */
void ecg_rng_shuffle(ecg_rng *r, uint32_t *x, uint32_t n); /* Fisher-Yates from the end */

/* Our own, the same bits on every CPU (no FMA contraction, no libm). Within 2 ulp in the ranges the project uses. */
double ecg_exp(double x);
double ecg_log(double x);
double ecg_sin(double x);
double ecg_cos(double x);

#endif
