/* SPDX-License-Identifier: MIT
 * bf16.h: the upper half of a float32, rounded to nearest even. A NAN stays one (its quiet bit is set), what is beyond the largest becomes
 * infinite, denormals are kept here; AMX reads them as 0. */
#ifndef ECG_NUM_BF16_H
#define ECG_NUM_BF16_H

#include <stdint.h>
#include <string.h>

static inline uint16_t ecg_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if (x != x)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float ecg_bf16_float(uint16_t b)
{
    const uint32_t u = (uint32_t)b << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float ecg_bf16_round(float x) { return ecg_bf16_float(ecg_bf16(x)); }

#endif
