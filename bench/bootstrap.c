/* SPDX-License-Identifier: MIT
 * bootstrap.c: time of the bootstrap at the size of MDS-ED: bootstrap [labels rows resamples threads [file]]. With a file, scores and labels are
 * written there for bootstrap.py, which does the same with NumPy. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "stat/bootstrap.h"

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Prevalences from 0.2 % to 30 %, scores that know a little of the label. */
static void make(double *score, int8_t *label, int64_t n, int64_t K)
{
    ecg_rng g;
    ecg_rng_open(&g, 7, 0, 900, 0, 0);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < K; k++) {
            const double prevalence = 0.002 * pow(150, (double)k / (double)K);
            label[i * K + k] = ecg_rng_uniform(&g) < prevalence;
            score[i * K + k] = (double)(float)(ecg_rng_uniform(&g) + 0.3 * label[i * K + k]);
        }
}

int main(int argc, char **argv)
{
    const int64_t K = argc > 1 ? atoi(argv[1]) : 1428, n = argc > 2 ? atoi(argv[2]) : 10000;
    const int resamples = argc > 3 ? atoi(argv[3]) : 1000, threads = argc > 4 ? atoi(argv[4]) : 2;
    double *score = malloc((size_t)(n * K) * sizeof *score);
    int8_t *label = malloc((size_t)(n * K));
    ecg_pool *pool = ecg_pool_new(threads);
    if (!score || !label || !pool)
        return 1;
    make(score, label, n, K);
    if (argc > 5) {
        FILE *f = fopen(argv[5], "wb");
        if (!f || fwrite(score, sizeof *score, (size_t)(n * K), f) != (size_t)(n * K) || fwrite(label, 1, (size_t)(n * K), f) != (size_t)(n * K) || fclose(f))
            return 1;
    }
    for (int what = 0; what < 3; what++) {
        static const char *const names[] = {"per label and macro", "with micro", "with micro and average precision"};
        const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        ecg_boot b;
        if (ecg_bootstrap(&b, &(ecg_boot_task){.score = score, .label = label, .n = n, .K = K, .resamples = resamples, .seed = 42,
                                               .micro = what > 0, .precision = what > 1}, pool))
            return 1;
        printf("%s: %.2f s wall, %.2f s cpu, macro %.17g [%.6f, %.6f]\n", names[what], seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu,
               b.set[0].auroc.macro.point, b.set[0].auroc.macro.lo, b.set[0].auroc.macro.hi);
        ecg_boot_clear(&b);
    }
    ecg_pool_free(pool);
    free(score);
    free(label);
    return 0;
}
