/* SPDX-License-Identifier: MIT
 * test_loss.c: Barlow Twins, VICReg and cross-entropy against their formulas in double and central differences of them; masks, one row, extremes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/loss.h"

static const char *const levels[] = {"ref", "avx2", "avx512"};
enum { LEVELS = sizeof levels / sizeof *levels };

static double *room(size_t n)
{
    double *x = calloc(n + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static float *noise(uint32_t stream, size_t n, double scale, double shift)
{
    ecg_rng r;
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    ecg_rng_open(&r, 21, 0, stream, 0, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(shift + scale * ecg_rng_normal(&r));
    return x;
}

/* ---- Barlow Twins ------------------------------------------------------------------------------------------------------------------ */

static void normalise(double *zh, const double *z, int N, int E)
{
    for (int k = 0; k < E; k++) {
        double mean = 0, var = 0;
        for (int r = 0; r < N; r++)
            mean += z[r * E + k] / N;
        for (int r = 0; r < N; r++)
            var += (z[r * E + k] - mean) * (z[r * E + k] - mean) / N;
        for (int r = 0; r < N; r++)
            zh[r * E + k] = (z[r * E + k] - mean) / sqrt(var + 1e-5);
    }
}

static double barlow(const double *z1, const double *z2, int N, int E, double lambda)
{
    double *a = room((size_t)(N * E)), *b = room((size_t)(N * E)), loss = 0;
    normalise(a, z1, N, E);
    normalise(b, z2, N, E);
    for (int i = 0; i < E; i++)
        for (int j = 0; j < E; j++) {
            double c = 0;
            for (int r = 0; r < N; r++)
                c += a[r * E + i] * b[r * E + j] / N;
            loss += i == j ? (1 - c) * (1 - c) : lambda * c * c;
        }
    free(a);
    free(b);
    return loss;
}

static const struct {
    const char *why;
    int N, E;
    double scale, shift, lambda;
    int constant;   /* columns of the first embedding that do not vary */
    bool same;      /* both embeddings are one */
    int differences; /* so many entries of the gradient, spread evenly: a wide case costs */
} pairs[] = {
    {"two rows, one column", 2, 1, 1, 0, 0.1, 0, false, 1000},
    {"fewer rows than columns", 3, 4, 1, 0, 0.0051, 0, false, 1000},
    {"constant columns", 17, 5, 1, 2, 0.0051, 2, false, 1000},
    {"all columns constant", 8, 3, 1, 2, 0.0051, 3, false, 1000},
    {"one row", 1, 3, 1, 0, 0.1, 0, false, 1000},
    {"identical embeddings", 24, 4, 1, 0, 0.02, 0, true, 1000},
    {"means far above the spread", 16, 4, 0.5, 100, 0.02, 0, false, 1000},
    {"lambda 0", 12, 4, 1, 0, 0, 0, false, 1000},
    {"wider than what sums in double", 60, 40, 1, 0, 0.0051, 0, false, 20},
};

static void close_gradient(const char *why, const char *level, const float *got, double *z, const double *z1, const double *z2, int N, int E,
                           double lambda, int differences)
{
    const size_t n = (size_t)(N * E), stride = n / (size_t)differences + 1;
    double *want = room(n), scale = 0;
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)got[i]));
    for (size_t i = 0; i < n; i += stride) {
        const double h = 1e-5, keep = z[i];
        z[i] = keep + h;
        const double up = barlow(z1, z2, N, E, lambda);
        z[i] = keep - h;
        want[i] = (up - barlow(z1, z2, N, E, lambda)) / (2 * h);
        z[i] = keep;
        scale = fmax(scale, fabs(want[i]));
    }
    for (size_t i = 0; i < n; i += stride) /* a column with means of 100 was rounded to 4e-6 of its spread */
        if (!(fabs((double)got[i] - want[i]) <= 2e-5 * scale + 1e-9))
            fail_msg("%s, %s, at %zu: %.9g instead of %.9g, scale %g", why, level, i, (double)got[i], want[i], scale);
    free(want);
}

static void test_barlow(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof pairs / sizeof *pairs; c++)
        for (int l = 0; l < LEVELS; l++) {
            const int N = pairs[c].N, E = pairs[c].E;
            const size_t n = (size_t)(N * E);
            const ecg_exec exec = {.k = ecg_kernels_pick(levels[l])};
            if (!exec.k)
                continue;
            float *z1 = noise(1, n, pairs[c].scale, pairs[c].shift), *z2 = noise(pairs[c].same ? 1 : 2, n, pairs[c].scale, pairs[c].shift);
            float *dz1 = noise(3, n, 1, 0), *dz2 = noise(3, n, 1, 0);
            double *d1 = room(n), *d2 = room(n);
            for (size_t i = 0; i < n; i++) {
                if ((int)(i % (size_t)E) < pairs[c].constant)
                    z1[i] = 1.1f;
                d1[i] = (double)z1[i];
                d2[i] = (double)z2[i];
            }
            ecg_barlow *w = ecg_barlow_new(N, E);
            assert_non_null(w);
            const double want = barlow(d1, d2, N, E, pairs[c].lambda);
            const double loss = ecg_barlow_loss(dz1, dz2, w, &exec, z1, z2, N, E, pairs[c].lambda);
            if (!(fabs(loss - want) <= 1e-6 * want + 1e-9))
                fail_msg("%s, %s: loss %.9g instead of %.9g", pairs[c].why, levels[l], loss, want);
            assert_true(ecg_barlow_loss(NULL, NULL, w, &exec, z1, z2, N, E, pairs[c].lambda) == loss);
            if (pairs[c].same)
                for (int i = 0; i < E; i++)
                    assert_true(fabs((double)ecg_barlow_correlation(w)[i * E + i] - 1) < 1e-4);
            close_gradient(pairs[c].why, levels[l], dz1, d1, d1, d2, N, E, pairs[c].lambda, pairs[c].differences);
            close_gradient(pairs[c].why, levels[l], dz2, d2, d1, d2, N, E, pairs[c].lambda, pairs[c].differences);
            ecg_barlow_free(w);
            free(z1);
            free(z2);
            free(dz1);
            free(dz2);
            free(d1);
            free(d2);
        }
}

/* A work for a large batch serves a smaller one; nothing of the larger is left in the answer. */
static void test_barlow_smaller_batch(void **state)
{
    const ecg_exec exec = {.k = ecg_kernels_ref()};
    float *z1 = noise(1, 80, 1, 0), *z2 = noise(2, 80, 1, 0), *dz1 = noise(3, 80, 1, 0), *dz2 = noise(3, 80, 1, 0), *again = noise(3, 80, 1, 0);
    ecg_barlow *large = ecg_barlow_new(20, 4), *small = ecg_barlow_new(7, 4);
    (void)state;
    assert_true(large && small);
    ecg_barlow_loss(dz1, dz2, large, &exec, z1, z2, 20, 4, 0.1);
    const double a = ecg_barlow_loss(dz1, dz2, large, &exec, z1, z2, 7, 4, 0.1), b = ecg_barlow_loss(again, dz2, small, &exec, z1, z2, 7, 4, 0.1);
    assert_true(a == b);
    assert_memory_equal(dz1, again, 28 * sizeof *dz1);
    ecg_barlow_free(large);
    ecg_barlow_free(small);
    free(z1);
    free(z2);
    free(dz1);
    free(dz2);
    free(again);
}

static void test_barlow_threads(void **state)
{
    enum { N = 130, E = 150 };
    const size_t bytes = (size_t)N * E * sizeof(float);
    (void)state;
    for (int l = 0; l < LEVELS; l++) {
        const ecg_kernels *k = ecg_kernels_pick(levels[l]);
        float *first = noise(3, 2 * (size_t)N * E, 1, 0), *z1 = noise(1, (size_t)N * E, 1, 0), *z2 = noise(2, (size_t)N * E, 1, 0);
        float *d = noise(3, 2 * (size_t)N * E, 1, 0);
        ecg_barlow *w = ecg_barlow_new(N, E);
        double loss = 0;
        assert_non_null(w);
        for (int threads = 1; k && threads <= 5; threads += threads == 1 ? 1 : 3) {
            const ecg_exec exec = {.k = k, .pool = ecg_pool_new(threads)};
            const double x = ecg_barlow_loss(d, d + N * E, w, &exec, z1, z2, N, E, 0.0051);
            if (threads == 1) {
                loss = x;
                memcpy(first, d, 2 * bytes);
            }
            assert_true(x == loss);
            assert_memory_equal(first, d, 2 * bytes);
            ecg_pool_free(exec.pool);
        }
        ecg_barlow_free(w);
        free(first);
        free(z1);
        free(z2);
        free(d);
    }
}

/* ---- VICReg ------------------------------------------------------------------------------------------------------------------------ */

/* The definition, entry by entry: mean squared distance, mean hinge on the deviations, squared covariances of every pair of columns. */
static double vicreg(const double *z1, const double *z2, int N, int E, ecg_vicreg_weights by)
{
    const double *const both[] = {z1, z2};
    const double free_rows = N > 1 ? N - 1 : 1;
    double distance = 0, hinge = 0, covariance = 0;
    for (int i = 0; i < N * E; i++)
        distance += (z1[i] - z2[i]) * (z1[i] - z2[i]) / (N * E);
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < E; i++)
            for (int j = 0; j < E; j++) {
                double mi = 0, mj = 0, c = 0;
                for (int r = 0; r < N; r++) {
                    mi += both[side][r * E + i] / N;
                    mj += both[side][r * E + j] / N;
                }
                for (int r = 0; r < N; r++)
                    c += (both[side][r * E + i] - mi) * (both[side][r * E + j] - mj) / free_rows;
                if (i == j)
                    hinge += fmax(0, 1 - sqrt(c + 1e-4)) / (2 * E);
                else
                    covariance += c * c / E;
            }
    return by.invariance * distance + by.variance * hinge + by.covariance * covariance;
}

static const struct {
    const char *why;
    int N, E;
    double scale, shift;
    ecg_vicreg_weights by;
    int constant;    /* columns of the first embedding that do not vary */
    bool same;
    int differences; /* entries of the gradient, spread evenly */
} triples[] = {
    {"two rows, one column", 2, 1, 1, 0, {25, 25, 1}, 0, false, 1000},
    {"one row", 1, 3, 1, 0, {25, 25, 1}, 0, false, 1000},
    {"fewer rows than columns", 3, 5, 0.7, 0, {25, 25, 1}, 0, false, 1000},
    {"narrow: the hinge pushes", 17, 5, 0.2, 0, {25, 25, 1}, 0, false, 1000},
    {"wide: the hinge rests", 17, 5, 4, 0, {25, 25, 1}, 0, false, 1000},
    {"constant columns", 17, 5, 0.5, 2, {25, 25, 1}, 2, false, 1000},
    {"all columns constant", 8, 3, 1, 2, {25, 25, 1}, 3, false, 1000},
    {"identical embeddings", 24, 4, 0.8, 0, {25, 25, 1}, 0, true, 1000},
    {"distance alone", 9, 4, 1, 0, {3, 0, 0}, 0, false, 1000},
    {"spread alone", 9, 4, 0.5, 0, {0, 3, 0}, 0, false, 1000},
    {"covariances alone", 9, 4, 1, 0, {0, 0, 3}, 0, false, 1000},
    {"means above the spread", 16, 4, 0.5, 10, {25, 25, 1}, 0, false, 1000},
    {"more columns than an item", 20, 37, 0.6, 0, {25, 25, 1}, 0, false, 40},
    {"wider than what sums in double", 60, 40, 1, 0, {25, 25, 1}, 0, false, 20},
};

static void close_vicreg(size_t c, const char *level, const float *got, double *z, const double *z1, const double *z2)
{
    const int N = triples[c].N, E = triples[c].E;
    const size_t n = (size_t)(N * E), stride = n / (size_t)triples[c].differences + 1;
    double scale = 0;
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)got[i]));
    for (size_t i = 0; i < n; i += stride) {
        const double h = 1e-5, keep = z[i];
        z[i] = keep + h;
        const double up = vicreg(z1, z2, N, E, triples[c].by);
        z[i] = keep - h;
        const double want = (up - vicreg(z1, z2, N, E, triples[c].by)) / (2 * h);
        z[i] = keep;
        if (!(fabs((double)got[i] - want) <= 2e-6 * fmax(scale, fabs(want)) + 1e-7))
            fail_msg("%s, %s, at %zu: %.9g instead of %.9g, scale %g", triples[c].why, level, i, (double)got[i], want, scale);
    }
}

static void test_vicreg(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof triples / sizeof *triples; c++)
        for (int l = 0; l < LEVELS; l++) {
            const int N = triples[c].N, E = triples[c].E;
            const size_t n = (size_t)(N * E);
            const ecg_exec exec = {.k = ecg_kernels_pick(levels[l])};
            if (!exec.k)
                continue;
            float *z1 = noise(1, n, triples[c].scale, triples[c].shift), *z2 = noise(triples[c].same ? 1 : 2, n, triples[c].scale, triples[c].shift);
            float *dz1 = noise(3, n, 1, 0), *dz2 = noise(3, n, 1, 0);
            double *d1 = room(n), *d2 = room(n);
            for (size_t i = 0; i < n; i++) {
                if ((int)(i % (size_t)E) < triples[c].constant)
                    z1[i] = 1.1f;
                d1[i] = (double)z1[i];
                d2[i] = (double)z2[i];
            }
            ecg_vicreg *w = ecg_vicreg_new(N, E);
            assert_non_null(w);
            const double want = vicreg(d1, d2, N, E, triples[c].by);
            const double loss = ecg_vicreg_loss(dz1, dz2, w, &exec, z1, z2, N, E, &triples[c].by);
            if (!(fabs(loss - want) <= 1e-6 * want + 1e-9))
                fail_msg("%s, %s: loss %.9g instead of %.9g", triples[c].why, levels[l], loss, want);
            assert_true(ecg_vicreg_loss(NULL, NULL, w, &exec, z1, z2, N, E, &triples[c].by) == loss);
            close_vicreg(c, levels[l], dz1, d1, d1, d2);
            close_vicreg(c, levels[l], dz2, d2, d1, d2);
            ecg_vicreg_free(w);
            free(z1);
            free(z2);
            free(dz1);
            free(dz2);
            free(d1);
            free(d2);
        }
}

/* Whatever is not finite in one entry of either embedding must be seen in the loss, also where its weight is small. */
static void test_vicreg_not_finite(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const ecg_exec exec = {.k = ecg_kernels_pick(NULL)};
    const ecg_vicreg_weights by = {25, 25, 1}, spread_alone = {0, 1, 0};
    ecg_vicreg *w = ecg_vicreg_new(6, 3);
    (void)state;
    assert_non_null(w);
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < 3; i++) {
            float *z[2] = {noise(1, 18, 1, 0), noise(2, 18, 1, 0)}, dz1[18], dz2[18];
            z[side][7] = bad[i];
            assert_false(isfinite(ecg_vicreg_loss(dz1, dz2, w, &exec, z[0], z[1], 6, 3, &by)));
            assert_false(isfinite(ecg_vicreg_loss(dz1, dz2, w, &exec, z[0], z[1], 6, 3, &spread_alone)));
            free(z[0]);
            free(z[1]);
        }
    ecg_vicreg_free(w);
}

/* A work for a large batch serves a smaller one, and no number of threads changes a byte. */
static void test_vicreg_work_and_threads(void **state)
{
    enum { N = 130, E = 150, FEW = 7 };
    const size_t n = (size_t)N * E;
    const ecg_vicreg_weights by = {25, 25, 1};
    (void)state;
    for (int l = 0; l < LEVELS; l++) {
        const ecg_kernels *k = ecg_kernels_pick(levels[l]);
        float *first = noise(3, 2 * n, 1, 0), *z1 = noise(1, n, 0.8, 0), *z2 = noise(2, n, 0.8, 0), *d = noise(3, 2 * n, 1, 0);
        ecg_vicreg *w = ecg_vicreg_new(N, E), *small = ecg_vicreg_new(FEW, E);
        double loss = 0;
        assert_true(w && small);
        for (int threads = 1; k && threads <= 5; threads += threads == 1 ? 1 : 3) {
            const ecg_exec exec = {.k = k, .pool = ecg_pool_new(threads)};
            const double x = ecg_vicreg_loss(d, d + n, w, &exec, z1, z2, N, E, &by);
            if (threads == 1) {
                loss = x;
                memcpy(first, d, 2 * n * sizeof *d);
            }
            assert_true(x == loss);
            assert_memory_equal(first, d, 2 * n * sizeof *d);
            const double a = ecg_vicreg_loss(d, d + n, w, &exec, z1, z2, FEW, E, &by), b = ecg_vicreg_loss(first, first + n, small, &exec, z1, z2, FEW, E, &by);
            assert_true(a == b);
            assert_memory_equal(first, d, (size_t)FEW * E * sizeof *d);
            ecg_vicreg_loss(first, first + n, w, &exec, z1, z2, N, E, &by);
            ecg_pool_free(exec.pool);
        }
        ecg_vicreg_free(w);
        ecg_vicreg_free(small);
        free(first);
        free(z1);
        free(z2);
        free(d);
    }
}

/* ---- cross-entropy ----------------------------------------------------------------------------------------------------------------- */

/* The definition: p, pt, (1 - pt)^gamma BCE, averaged as named. */
static double entropy(const double *x, const float *y, int B, int K, double gamma, ecg_bce_reduce reduce)
{
    double total = 0, entries = 0, mean_sum = 0, classes = 0;
    for (int k = 0; k < K; k++) {
        double sum = 0, known = 0;
        for (int b = 0; b < B; b++) {
            const double target = (double)y[b * K + k], logit = x[b * K + k], p = 1 / (1 + exp(-logit));
            if (isnan(target))
                continue;
            const double pt = p * target + (1 - p) * (1 - target);
            sum += pow(1 - pt, gamma) * (fmax(logit, 0) - logit * target + log1p(exp(-fabs(logit))));
            known++;
        }
        total += sum;
        entries += known;
        mean_sum += known > 0 ? sum / known : 0;
        classes += known > 0;
    }
    if (reduce == ECG_BCE_MEAN)
        return entries > 0 ? total / entries : 0;
    return reduce == ECG_BCE_SUM_CLASSES ? mean_sum : classes > 0 ? mean_sum / classes : 0;
}

static const struct {
    const char *why;
    int B, K;
    double scale, unknown; /* logits; share of unknown targets */
    int empty;             /* classes without any target */
} batches[] = {
    {"all known", 5, 4, 2, 0, 0},          {"one entry", 1, 1, 2, 0, 0},        {"one row", 1, 6, 2, 0, 0},
    {"some unknown", 7, 5, 2, 0.4, 0},     {"empty classes", 6, 5, 2, 0.3, 2},  {"nothing known", 4, 3, 2, 0, 3},
    {"one known in a class", 9, 3, 2, 0.9, 0},
};

static void test_bce(void **state)
{
    static const double gammas[] = {0, 0.5, 1, 2, 3.7};
    static const ecg_bce_reduce reduces[] = {ECG_BCE_MEAN, ECG_BCE_SUM_CLASSES, ECG_BCE_CLASS_MEAN};
    (void)state;
    for (size_t c = 0; c < sizeof batches / sizeof *batches; c++)
        for (int g = 0; g < 5; g++)
            for (int r = 0; r < 3; r++) {
                const int B = batches[c].B, K = batches[c].K, n = B * K;
                float *x = noise(4, (size_t)n, batches[c].scale, 0), *y = noise(5, (size_t)n, 1, 0), *u = noise(6, (size_t)n, 1, 0);
                float *dx = noise(7, (size_t)n, 1, 0);
                double *xd = room((size_t)n);
                for (int i = 0; i < n; i++) {
                    y[i] = y[i] > 0;
                    if (i % K < batches[c].empty || fabs((double)u[i]) < batches[c].unknown)
                        y[i] = NAN;
                    xd[i] = (double)x[i];
                }
                const double want = entropy(xd, y, B, K, gammas[g], reduces[r]);
                const double loss = ecg_bce_loss(dx, x, y, B, K, gammas[g], reduces[r]);
                if (!(fabs(loss - want) <= 1e-12 * fmax(1, want)))
                    fail_msg("%s, gamma %g, reduction %d: %.15g instead of %.15g", batches[c].why, gammas[g], r, loss, want);
                assert_true(ecg_bce_loss(NULL, x, y, B, K, gammas[g], reduces[r]) == loss);
                for (int i = 0; i < n; i++) {
                    const double h = 1e-5, keep = xd[i];
                    xd[i] = keep + h;
                    const double up = entropy(xd, y, B, K, gammas[g], reduces[r]);
                    xd[i] = keep - h;
                    const double slope = (up - entropy(xd, y, B, K, gammas[g], reduces[r])) / (2 * h);
                    xd[i] = keep;
                    if (!(fabs((double)dx[i] - slope) <= 1e-6))
                        fail_msg("%s, gamma %g, reduction %d, at %d: %.9g instead of %.9g", batches[c].why, gammas[g], r, i, (double)dx[i], slope);
                    assert_true(!isnan(y[i]) || dx[i] == 0);
                }
                free(x);
                free(y);
                free(u);
                free(dx);
                free(xd);
            }
}

static void test_bce_values(void **state)
{
    static const struct {
        const char *why;
        float x, y;
        double gamma, loss, dx;
    } cases[] = {
        {"a coin", 0, 1, 0, 0.69314718055994531, -0.5},
        {"a coin, focal", 0, 0, 2, 0.17328679513998633, 0.125 + 2 * 0.69314718055994531 * 0.125},
        {"surely right", 100, 1, 0, 3.7200759760208361e-44, -3.7200759760208361e-44},
        {"surely wrong", 100, 0, 0, 100, 1},
        {"surely wrong, focal", -100, 1, 2, 100, -1},
        {"beyond exp, right", -1000, 0, 2, 0, 0},
        {"beyond exp, wrong", -1000, 1, 2, 1000, -1},
        {"right, focal with a gamma below 1", 800, 1, 0.5, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float dx = 9;
        const double loss = ecg_bce_loss(&dx, &cases[i].x, &cases[i].y, 1, 1, cases[i].gamma, ECG_BCE_MEAN);
        if (!(fabs(loss - cases[i].loss) <= 1e-12 * cases[i].loss) || !(fabs((double)dx - cases[i].dx) <= 1e-7 * fabs(cases[i].dx) + 1.5e-45))
            fail_msg("%s: loss %.17g instead of %.17g, gradient %.9g instead of %.9g", cases[i].why, loss, cases[i].loss, (double)dx, cases[i].dx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barlow), cmocka_unit_test(test_barlow_smaller_batch), cmocka_unit_test(test_barlow_threads),
        cmocka_unit_test(test_vicreg), cmocka_unit_test(test_vicreg_not_finite), cmocka_unit_test(test_vicreg_work_and_threads),
        cmocka_unit_test(test_bce),    cmocka_unit_test(test_bce_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
