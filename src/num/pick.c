/* SPDX-License-Identifier: MIT
 * pick.c: the best kernels that this CPU runs. */
#include <string.h>

#include "num/kernels.h"

static bool has_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

static bool has_avx512(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

static bool always(void) { return true; }

const ecg_kernels *ecg_kernels_pick(const char *want)
{
    static const struct {
        const ecg_kernels *(*get)(void);
        bool (*runs_here)(void);
    } levels[] = {{ecg_kernels_avx512, has_avx512}, {ecg_kernels_avx2, has_avx2}, {ecg_kernels_ref, always}};

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const ecg_kernels *k = levels[i].get();
        if (k && levels[i].runs_here() && (!want || !*want || strcmp(want, k->name) == 0))
            return k;
    }
    return NULL;
}
