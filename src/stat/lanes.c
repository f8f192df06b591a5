/* SPDX-License-Identifier: MIT
 * lanes.c: areas under 64 sets of weights at once. A row's weights are one cache line of bytes; runs of rows are summed in 16 bits (257 bytes fit)
 * and then in 32. The body is compiled for three widths; integer sums and single divisions give the same bits in all of them. */
#include "stat/auroc.h"

#include <math.h>
#include <stdbool.h>

#define SUM_SUFFIX plain
#define SUM_BYTES 16
#define SUM_TARGET
#include "stat/lanes_body.h"

#if defined(__x86_64__)
#define SUM_SUFFIX avx2
#define SUM_BYTES 32
#define SUM_TARGET __attribute__((target("avx2")))
#include "stat/lanes_body.h"

#define SUM_SUFFIX avx512
#define SUM_BYTES 64
#define SUM_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#include "stat/lanes_body.h"
#endif

void ecg_ranked_lanes(double auroc[ECG_LANES], double precision[ECG_LANES], const ecg_ranked *r, const uint8_t *weight)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        count_avx512(auroc, precision, r, weight);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        count_avx2(auroc, precision, r, weight);
        return;
    }
#endif
    count_plain(auroc, precision, r, weight);
}
