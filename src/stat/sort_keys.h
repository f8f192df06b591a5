/* SPDX-License-Identifier: MIT
 * sort_keys.h: scores as integers that rise as the score falls. Both zeros are one value. Private to stat/. */
#ifndef ECG_STAT_SORT_KEYS_H
#define ECG_STAT_SORT_KEYS_H

#include <stdint.h>
#include <string.h>

static inline uint64_t ecg_sort_key(double x)
{
    uint64_t u;
    x += 0.0;
    memcpy(&u, &x, sizeof u);
    return u >> 63 ? u : ~(u | UINT64_C(1) << 63);
}

static inline double ecg_sort_score(uint64_t key)
{
    double x;
    const uint64_t u = key >> 63 ? key : ~key & ~(UINT64_C(1) << 63);
    memcpy(&x, &u, sizeof x);
    return x;
}

/* Stable, by rising key. The arrays come from malloc and may be replaced by others. 0; -1: out of memory, nothing changed. */
int ecg_sort_keys(uint64_t **keys, uint32_t **tags, int64_t n);

#endif
