/* SPDX-License-Identifier: MIT
 * numbers.h: arrays of normal numbers for tests of kernels. Include cmocka.h first. */
#ifndef ECG_TEST_NUM_NUMBERS_H
#define ECG_TEST_NUM_NUMBERS_H

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static inline float *noise(size_t n, uint32_t stream)
{
    ecg_rng r;
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    ecg_rng_open(&r, 11, 0, stream, 0, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)ecg_rng_normal(&r);
    return x;
}

static inline float *copy_of(const float *x, size_t n)
{
    float *y = malloc((n + 1) * sizeof *y);
    assert_non_null(y);
    memcpy(y, x, n * sizeof *y);
    return y;
}

#endif
