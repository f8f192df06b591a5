/* SPDX-License-Identifier: MIT
 * Shrunk covariances and distances against their definitions; associations against counts made by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "explain/associate.h"
#include "explain/outlier.h"

#define NEAR(a, b, within) assert_true(fabs((a) - (b)) <= (within))

enum { H = 5, N = 80 };

static void rows(float *h, int n, uint64_t seed)
{
    ecg_rng r;
    ecg_rng_open(&r, seed, 0, 300, 0, 0);
    for (int i = 0; i < n; i++) {
        const double common = ecg_rng_normal(&r);
        for (int j = 0; j < H; j++)
            h[i * H + j] = (float)(3 + common * j + 0.3 * ecg_rng_normal(&r));
    }
}

/* Ledoit and Wolf as it is written: the mean of |x x' - S|^2 / n over |S - mu I|^2. */
static void shrinkage_is_as_defined(void **state)
{
    (void)state;
    float h[N * H];
    ecg_moments m;
    double mean[H] = {0}, S[H][H] = {{0}}, noise = 0, distance = 0, mu = 0;
    rows(h, N, 1);
    h[7 * H + 2] = NAN; /* left out */
    assert_int_equal(ecg_moments_of(&m, h, N, H), 0);
    assert_int_equal(m.n, N - 1);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < H && i != 7; j++)
            mean[j] += (double)h[i * H + j] / (N - 1);
    for (int i = 0; i < N; i++)
        for (int a = 0; a < H && i != 7; a++)
            for (int b = 0; b < H; b++)
                S[a][b] += ((double)h[i * H + a] - mean[a]) * ((double)h[i * H + b] - mean[b]) / (N - 1);
    for (int a = 0; a < H; a++)
        mu += S[a][a] / H;
    for (int a = 0; a < H; a++)
        for (int b = 0; b < H; b++)
            distance += (S[a][b] - (a == b) * mu) * (S[a][b] - (a == b) * mu);
    for (int i = 0; i < N; i++)
        for (int a = 0; a < H && i != 7; a++)
            for (int b = 0; b < H; b++) {
                const double gap = ((double)h[i * H + a] - mean[a]) * ((double)h[i * H + b] - mean[b]) - S[a][b];
                noise += gap * gap / (N - 1) / (N - 1);
            }
    NEAR(m.shrinkage, noise / distance, 1e-9);
    for (int a = 0; a < H; a++)
        for (int b = 0; b < H; b++)
            NEAR(m.covariance[a * H + b], (1 - m.shrinkage) * S[a][b] + (a == b) * m.shrinkage * mu, 1e-9);
    ecg_moments_clear(&m);
}

/* (h - mean)' C^-1 (h - mean) by Gauss and Jordan. */
static double plain_distance(const ecg_moments *m, const float *h)
{
    double a[H][H + 1], sum = 0;
    for (int i = 0; i < H; i++) {
        for (int j = 0; j < H; j++)
            a[i][j] = m->covariance[i * H + j];
        a[i][H] = (double)h[i] - m->mean[i];
    }
    for (int i = 0; i < H; i++)
        for (int r = 0; r < H; r++) {
            const double share = r == i ? 0 : a[r][i] / a[i][i];
            for (int j = 0; j <= H && share != 0; j++)
                a[r][j] -= share * a[i][j];
        }
    for (int i = 0; i < H; i++)
        sum += a[i][H] / a[i][i] * ((double)h[i] - m->mean[i]);
    return sqrt(sum);
}

static void distances_and_percentiles(void **state)
{
    (void)state;
    float h[N * H], held[200 * H];
    ecg_moments m;
    ecg_outlier o;
    rows(h, N, 2);
    rows(held, 200, 3);
    held[9] = INFINITY; /* one row has no distance */
    assert_int_equal(ecg_moments_of(&m, h, N, H), 0);
    assert_int_equal(ecg_outlier_fit(&o, &m, held, 200), 0);
    assert_null(ecg_outlier_check(&o));
    assert_int_equal(o.n, 199);
    for (int i = 10; i < 200; i++) {
        const double d = ecg_outlier_distance(&o, held + i * H), percentile = ecg_outlier_percentile(&o, d);
        int nearer = 0;
        NEAR(d, plain_distance(&m, held + i * H), 1e-4 * d);
        for (int j = 0; j < 200; j++)
            nearer += j != 1 && ecg_outlier_distance(&o, held + j * H) < d;
        NEAR(percentile, 100.0 * nearer / 198, 1.0);
    }
    assert_true(isnan(ecg_outlier_distance(&o, held + H)));
    assert_true(ecg_outlier_percentile(&o, NAN) == 100);
    const float far[H] = {3, 3, 3, 3, 90}, centre[H] = {3, 3, 3, 3, 3};
    assert_true(ecg_outlier_percentile(&o, ecg_outlier_distance(&o, far)) == 100);
    assert_true(ecg_outlier_percentile(&o, ecg_outlier_distance(&o, centre)) < 10);
    const float kept = o.root[2];
    o.root[2] = 0;
    assert_non_null(ecg_outlier_check(&o));
    o.root[2] = kept;
    o.level[5] = o.level[6] + 1;
    assert_non_null(ecg_outlier_check(&o));
    ecg_outlier_clear(&o);
    ecg_moments_clear(&m);
}

static void no_spread_no_detector(void **state)
{
    (void)state;
    float h[N * H];
    ecg_moments m;
    ecg_outlier o;
    for (int i = 0; i < N * H; i++)
        h[i] = 2;
    assert_int_equal(ecg_moments_of(&m, h, N, H), 0);
    assert_int_equal(ecg_outlier_fit(&o, &m, h, N), -1);
    ecg_moments_clear(&m);
    for (int i = 0; i < N * H; i++)
        h[i] = NAN;
    assert_int_equal(ecg_moments_of(&m, h, N, H), -1);
    rows(h, N, 4); /* a dead channel is lifted by the shrinkage */
    for (int i = 0; i < N; i++)
        h[i * H + 1] = 0;
    assert_int_equal(ecg_moments_of(&m, h, N, H), 0);
    assert_int_equal(ecg_outlier_fit(&o, &m, h, N), 0);
    ecg_outlier_clear(&o);
    ecg_moments_clear(&m);
}

/* ---- associations ---------------------------------------------------------------------------------------------------------------- */

static void odds_ratios_by_hand(void **state)
{
    (void)state;
    double odds, lo, hi, p;
    /* one stratum: Mantel and Haenszel is ad / bc, and the variance that of Woolf */
    const int64_t one[] = {10, 20, 30, 240};
    ecg_odds_ratio(&odds, &lo, &hi, &p, one, 1);
    NEAR(odds, 10.0 * 240 / (20.0 * 30), 1e-12);
    NEAR(log(hi / lo) / 2 / 1.959963984540054, sqrt(1 / 10.0 + 1 / 20.0 + 1 / 30.0 + 1 / 240.0), 1e-9);
    assert_true(p > 0.0005 && p < 0.005); /* z = 3.19 */
    /* the second is ten times the first, and both together between the two */
    const int64_t two[] = {10, 20, 30, 240, 100, 20, 30, 24};
    ecg_odds_ratio(&odds, &lo, &hi, &p, two, 2);
    NEAR(odds, (10.0 * 240 / 300 + 100.0 * 24 / 174) / (20.0 * 30 / 300 + 20.0 * 30 / 174), 1e-12);
    static const int64_t undefined[][4] = {{0, 0, 0, 0}, {0, 5, 5, 5}, {5, 0, 0, 5}, {5, 5, 0, 0}};
    for (int i = 0; i < 4; i++) {
        ecg_odds_ratio(&odds, &lo, &hi, &p, undefined[i], 1);
        assert_true(isnan(odds) && isnan(lo) && isnan(hi) && isnan(p));
    }
}

static void discoveries_by_definition(void **state)
{
    (void)state;
    enum { M = 40 };
    double p[M], q[M];
    ecg_rng r;
    ecg_rng_open(&r, 5, 0, 300, 0, 0);
    for (int i = 0; i < M; i++)
        p[i] = i == 3 || i == 20 ? NAN : i % 4 ? ecg_rng_uniform(&r) : i == 8 ? p[0] : 1e-4 * (i + 1);
    assert_int_equal(ecg_false_discovery(q, p, M), 0);
    for (int i = 0; i < M; i++) { /* the least over t >= p_i of m t / #{p <= t} */
        if (isnan(p[i])) {
            assert_true(isnan(q[i]));
            continue;
        }
        double least = 1;
        for (int t = 0; t < M; t++) {
            int found = 0;
            for (int j = 0; j < M; j++)
                found += p[j] <= p[t];
            if (p[t] >= p[i])
                least = fmin(least, (M - 2) * p[t] / found);
        }
        NEAR(q[i], least, 1e-12);
    }
}

/* Age makes both the label and the abnormality: the crude odds ratio is high, the adjusted one is 1. Another pair goes together at any age. */
static void age_is_taken_out(void **state)
{
    (void)state;
    enum { PEOPLE = 30000 };
    static int8_t label[PEOPLE * 2], measured[PEOPLE * 2];
    static double pattern[PEOPLE * 2];
    static int64_t patient[PEOPLE];
    ecg_association a[4];
    double crude[4] = {0};
    for (int i = 0; i < PEOPLE; i++) {
        ecg_rng r;
        ecg_rng_open(&r, 6, 0, 300, (uint32_t)i, 0);
        const int decade = (int)ecg_rng_below(&r, 6), both = ecg_rng_uniform(&r) < 0.1;
        patient[i] = i;
        pattern[2 * i] = 25 + 10 * decade;
        pattern[2 * i + 1] = i % 10 ? (double)(i % 2) : NAN;
        label[2 * i] = ecg_rng_uniform(&r) < 0.05 + 0.1 * decade;
        measured[2 * i] = ecg_rng_uniform(&r) < 0.05 + 0.1 * decade;
        label[2 * i + 1] = both || ecg_rng_uniform(&r) < 0.1;
        measured[2 * i + 1] = i % 3 == 0 ? -1 : both || ecg_rng_uniform(&r) < 0.1;
        crude[(label[2 * i] ? 0 : 2) + !measured[2 * i]]++;
    }
    assert_int_equal(ecg_associate(a, label, measured, pattern, patient, PEOPLE, 2, 2, NULL), 0);
    assert_true(crude[0] * crude[3] / (crude[1] * crude[2]) > 1.5);
    assert_true(a[0].lo < 1 && a[0].hi > 1 && a[0].odds > 0.9f && a[0].odds < 1.1f && a[0].q > 0.01f);
    assert_true(a[0].lift > 1.2f);
    assert_true(a[3].lo > 9 && a[3].q < 1e-6f && a[3].patients == PEOPLE * 2 / 3);
    for (int i = 0; i < PEOPLE; i++) /* four records a patient: one counts */
        patient[i] = i / 4;
    assert_int_equal(ecg_associate(a, label, measured, pattern, patient, PEOPLE, 2, 2, NULL), 0);
    assert_true(a[0].patients == PEOPLE / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shrinkage_is_as_defined), cmocka_unit_test(distances_and_percentiles), cmocka_unit_test(no_spread_no_detector),
        cmocka_unit_test(odds_ratios_by_hand),     cmocka_unit_test(discoveries_by_definition), cmocka_unit_test(age_is_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
