/* SPDX-License-Identifier: MIT
 * test_auroc.c: areas against counting every pair, the bootstrap against areas of rows copied out, percentiles against numpy's rule. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "stat/bootstrap.h"

/* Every pair counted. */
static double auroc_plain(const float *s, const int8_t *y, int64_t n, int64_t stride)
{
    double won = 0, pairs = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            if (y[i * stride] == 1 && y[j * stride] == 0) {
                won += s[i * stride] > s[j * stride] ? 1 : s[i * stride] == s[j * stride] ? 0.5 : 0;
                pairs++;
            }
    return pairs > 0 ? won / pairs : NAN;
}

/* Every distinct threshold, by scanning all rows. */
static double precision_plain(const float *s, const int8_t *y, int64_t n, int64_t stride)
{
    double positives = 0, negatives = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        positives += y[i * stride] == 1;
        negatives += y[i * stride] == 0;
    }
    for (int64_t i = 0; i < n; i++) {
        double called = 0, right = 0;
        if (y[i * stride] != 1) /* recall rises at thresholds of positives only; ties share what their group gains */
            continue;
        for (int64_t j = 0; j < n; j++)
            if ((y[j * stride] == 0 || y[j * stride] == 1) && s[j * stride] >= s[i * stride]) {
                called++;
                right += y[j * stride] == 1;
            }
        sum += right / called;
    }
    return positives > 0 && negatives > 0 ? sum / positives : NAN;
}

static void assert_same(double a, double b, double tolerance, const char *why, int64_t at)
{
    if (isnan(a) != isnan(b) || fabs(a - b) > tolerance)
        fail_msg("%s [%lld]: %.17g, expected %.17g", why, (long long)at, a, b);
}

static const struct {
    const char *why;
    int64_t n, K;
    int levels;      /* distinct scores; 0: all distinct */
    double positive, unknown;
} cases[] = {
    {"no rows", 0, 3, 0, 0.5, 0},
    {"one row", 1, 2, 0, 0.5, 0},
    {"no ties", 150, 4, 0, 0.3, 0},
    {"heavy ties", 200, 5, 4, 0.3, 0},
    {"one score for all", 60, 3, 1, 0.3, 0},
    {"no positives", 40, 3, 5, 0, 0},
    {"no negatives", 40, 3, 5, 1, 0},
    {"mostly unknown", 90, 6, 6, 0.4, 0.9},
    {"all unknown", 20, 2, 3, 0.5, 1},
    {"rare positives, ties, unknown", 300, 3, 12, 0.02, 0.2},
};

static void make(float *s, int8_t *y, int64_t count, int levels, double positive, double unknown, uint32_t seed)
{
    ecg_rng g;
    ecg_rng_open(&g, seed, 0, 900, 0, 0);
    for (int64_t i = 0; i < count; i++) {
        const double u = ecg_rng_uniform(&g), v = ecg_rng_uniform(&g), w = ecg_rng_uniform(&g);
        s[i] = levels ? (float)floor(u * levels) / (float)levels - 0.5f : (float)(u * 4 - 2); /* negative scores too */
        if (s[i] == 0 && i % 2)
            s[i] = -0.0f;
        y[i] = v < unknown ? -1 : w < positive;
    }
}

static void test_against_pairs(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int64_t n = cases[c].n, K = cases[c].K;
        float *s = malloc((size_t)(n * K + 1) * sizeof *s);
        int8_t *y = malloc((size_t)(n * K + 1));
        double value[8], sum = 0;
        int defined = 0;
        make(s, y, n * K, cases[c].levels, cases[c].positive, cases[c].unknown, (uint32_t)c);
        const ecg_macro macro = ecg_auroc_macro(value, s, y, n, K, NULL);
        for (int64_t k = 0; k < K; k++) {
            const double want = auroc_plain(s + k, y + k, n, K);
            assert_same(value[k], want, 1e-13, cases[c].why, k);
            assert_same(ecg_auroc(s + k, y + k, n, K), want, 1e-13, cases[c].why, k);
            assert_same(ecg_average_precision(s + k, y + k, n, K), precision_plain(s + k, y + k, n, K), 1e-13, cases[c].why, k);
            sum += isnan(want) ? 0 : want;
            defined += !isnan(want);
        }
        assert_int_equal(macro.defined, defined);
        assert_same(macro.skip_undefined, defined ? sum / defined : NAN, 1e-13, cases[c].why, -1);
        assert_same(macro.half_undefined, (sum + 0.5 * (double)(K - defined)) / (double)K, 1e-13, cases[c].why, -1);
        assert_same(ecg_auroc_micro(s, y, n, K), auroc_plain(s, y, n * K, 1), 1e-13, cases[c].why, -1);
        free(s);
        free(y);
    }
}

/* Values of scikit-learn's documentation and hand-counted ones. */
static void test_known_values(void **state)
{
    (void)state;
    const float s[] = {0.1f, 0.4f, 0.35f, 0.8f};
    const int8_t y[] = {0, 0, 1, 1};
    assert_same(ecg_auroc(s, y, 4, 1), 0.75, 0, "roc_auc_score's example", 0);
    assert_same(ecg_average_precision(s, y, 4, 1), 0.5 * 2.0 / 3 + 0.5, 1e-15, "average_precision_score's example", 0);
    const float extreme[] = {-INFINITY, -1e30f, 0, 1e-40f, INFINITY};
    const int8_t last[] = {0, 0, 0, 0, 1}, first[] = {1, 0, 0, 0, 0};
    assert_same(ecg_auroc(extreme, last, 5, 1), 1, 0, "infinities have their place", 0);
    assert_same(ecg_auroc(extreme, first, 5, 1), 0, 0, "infinities have their place", 1);
    const float broken[] = {0.1f, NAN, 0.3f};
    const int8_t known[] = {0, 1, 1}, hidden[] = {0, -1, 1};
    assert_true(isnan(ecg_auroc(broken, known, 3, 1)));
    assert_same(ecg_auroc(broken, hidden, 3, 1), 1, 0, "a score without a label does not matter", 0);
}

static void test_percentile(void **state)
{
    (void)state;
    /* numpy.percentile([15, 20, 35, 40, 50], 40) = 29, its linear rule */
    double a[] = {50, 15, NAN, 40, 20, 35};
    assert_same(ecg_percentile(a, 6, 0.4), 29, 1e-14, "between order statistics, NAN skipped", 0);
    double b[] = {3, 1, 2};
    assert_same(ecg_percentile(b, 3, 0), 1, 0, "lowest", 0);
    assert_same(ecg_percentile(b, 3, 1), 3, 0, "highest", 0);
    assert_same(ecg_percentile(b, 3, 0.5), 2, 0, "median", 0);
    double c[] = {NAN, NAN};
    assert_true(isnan(ecg_percentile(c, 2, 0.5)));
    double d[] = {7};
    assert_same(ecg_percentile(d, 1, 0.975), 7, 0, "one value", 0);
    double e[] = {NAN, 50, NAN, 15, 40, NAN, 20, 35};
    assert_same(ecg_percentile(e, 8, 0.4), 29, 1e-14, "NAN among the values", 0);
    assert_same(ecg_percentile(e, 8, 0.4), 29, 1e-14, "the same array again: it was reordered, not changed", 1);
    assert_same(ecg_percentile(e, 8, 1), 50, 0, "and another percentile of it", 2);
}

enum { N = 83, LABELS = 4, RESAMPLES = 37 }; /* neither a multiple of the lanes */

/* Given index sets: every replicate equals the area of the rows copied out. */
static void test_bootstrap_ids(void **state)
{
    (void)state;
    float s[N * LABELS], copy_s[N * LABELS];
    int8_t y[N * LABELS], copy_y[N * LABELS];
    static int32_t ids[RESAMPLES * N];
    static double replicate[LABELS + 3][RESAMPLES];
    ecg_rng g;
    make(s, y, N * LABELS, 9, 0.05, 0.3, 77);
    for (int i = 0; i < N; i++) /* one positive: many resamples have none */
        y[i * LABELS + 3] = i == 40;
    ecg_rng_open(&g, 5, 0, 901, 0, 0);
    for (int i = 0; i < RESAMPLES * N; i++)
        ids[i] = (int32_t)ecg_rng_below(&g, N);
    for (int r = 0; r < RESAMPLES; r++) {
        for (int i = 0; i < N; i++) {
            memcpy(copy_s + i * LABELS, s + ids[r * N + i] * LABELS, sizeof(float) * LABELS);
            memcpy(copy_y + i * LABELS, y + ids[r * N + i] * LABELS, LABELS);
        }
        double value[LABELS];
        const ecg_macro m = ecg_auroc_macro(value, copy_s, copy_y, N, LABELS, NULL);
        for (int k = 0; k < LABELS; k++)
            replicate[k][r] = value[k];
        replicate[LABELS][r] = ecg_auroc_micro(copy_s, copy_y, N, LABELS);
        replicate[LABELS + 1][r] = m.skip_undefined;
        replicate[LABELS + 2][r] = m.half_undefined;
    }
    ecg_boot_summary sum;
    ecg_interval x[LABELS + 3];
    assert_int_equal(ecg_bootstrap_auroc_ids(&sum, x, s, y, N, LABELS, ids, RESAMPLES, 0, NULL), 0);
    x[LABELS] = sum.micro;
    x[LABELS + 1] = sum.macro;
    x[LABELS + 2] = sum.macro_half;
    for (int k = 0; k < LABELS + 3; k++) {
        int64_t undefined = 0;
        for (int r = 0; r < RESAMPLES; r++)
            undefined += isnan(replicate[k][r]);
        assert_int_equal(x[k].undefined, undefined);
        assert_true(k != 3 || (undefined > 5 && undefined < RESAMPLES - 5));
        assert_same(x[k].lo, ecg_percentile(replicate[k], RESAMPLES, 0.025), 1e-14, "lower bound", k);
        assert_same(x[k].hi, ecg_percentile(replicate[k], RESAMPLES, 0.975), 1e-14, "upper bound", k);
    }
    assert_same(x[0].point, auroc_plain(s, y, N, LABELS), 1e-13, "point", 0);
    assert_same(sum.micro.point, auroc_plain(s, y, N * LABELS, 1), 1e-13, "point of micro", 0);
}

static void test_threads(void **state)
{
    (void)state;
    static float s[400 * LABELS];
    static int8_t y[400 * LABELS];
    static int64_t unit[400];
    ecg_boot_summary first;
    ecg_interval first_label[LABELS];
    make(s, y, 400 * LABELS, 0, 0.2, 0.1, 3);
    for (int i = 0; i < 400; i++)
        unit[i] = i * 7 % 90;
    memset(&first, 0, sizeof first);
    memset(first_label, 0, sizeof first_label);
    assert_int_equal(ecg_bootstrap_auroc(&first, first_label, s, y, 400, LABELS, unit, 100, 42, NULL), 0);
    assert_true(first.macro.lo < first.macro.point && first.macro.point < first.macro.hi);
    for (int threads = 1; threads <= 5; threads += threads == 1 ? 1 : 3) {
        ecg_pool *pool = ecg_pool_new(threads);
        ecg_boot_summary sum;
        ecg_interval label[LABELS];
        memset(&sum, 0, sizeof sum);
        memset(label, 0, sizeof label);
        assert_int_equal(ecg_bootstrap_auroc(&sum, label, s, y, 400, LABELS, unit, 100, 42, pool), 0);
        assert_memory_equal(&sum, &first, sizeof sum);
        assert_memory_equal(label, first_label, sizeof label);
        ecg_pool_free(pool);
    }
    ecg_boot_summary other;
    assert_int_equal(ecg_bootstrap_auroc(&other, NULL, s, y, 400, LABELS, unit, 100, 43, NULL), 0);
    assert_true(other.macro.lo != first.macro.lo);
}

/* Rows of a patient come along together: rows that repeat their patient's only row leave every replicate as it was. */
static void test_units(void **state)
{
    (void)state;
    static float s[50], twice_s[100];
    static int8_t y[50], twice_y[100];
    static int64_t twice_unit[100], alone[100], unit[50];
    make(s, y, 50, 0, 0.4, 0, 8);
    for (int i = 0; i < 50; i++) {
        unit[i] = 1000 - i;
        for (int j = 0; j < 2; j++) {
            twice_s[i * 2 + j] = s[i];
            twice_y[i * 2 + j] = y[i];
            twice_unit[i * 2 + j] = 1000 - i;
            alone[i * 2 + j] = -1;
        }
    }
    ecg_boot_summary one, two, none, unknown;
    assert_int_equal(ecg_bootstrap_auroc(&one, NULL, s, y, 50, 1, unit, 200, 1, NULL), 0);
    assert_int_equal(ecg_bootstrap_auroc(&two, NULL, twice_s, twice_y, 100, 1, twice_unit, 200, 1, NULL), 0);
    assert_same(two.macro.lo, one.macro.lo, 0, "doubled rows, lower bound", 0);
    assert_same(two.macro.hi, one.macro.hi, 0, "doubled rows, upper bound", 0);
    assert_int_equal(ecg_bootstrap_auroc(&none, NULL, twice_s, twice_y, 100, 1, NULL, 200, 1, NULL), 0);
    assert_true(none.macro.hi - none.macro.lo < two.macro.hi - two.macro.lo); /* rows taken for independent: too narrow */
    assert_int_equal(ecg_bootstrap_auroc(&unknown, NULL, twice_s, twice_y, 100, 1, alone, 200, 1, NULL), 0);
    assert_same(unknown.macro.lo, none.macro.lo, 0, "patient unknown: each row by itself", 0);
}

static void test_degenerate(void **state)
{
    (void)state;
    const float s[] = {0.2f, 0.7f, 0.4f};
    const int8_t negative[] = {0, 0, 0}, mixed[] = {0, 1, 0};
    const int64_t same[] = {4, 4, 4};
    ecg_boot_summary sum;
    ecg_interval label;
    assert_int_equal(ecg_bootstrap_auroc(&sum, &label, s, negative, 3, 1, NULL, 50, 1, NULL), 0);
    assert_true(isnan(label.point) && isnan(label.lo) && isnan(sum.micro.hi) && isnan(sum.macro.lo));
    assert_int_equal(label.undefined, 50);
    assert_same(sum.macro_half.point, 0.5, 0, "undefined counts as one half", 0);
    assert_same(sum.macro_half.lo, 0.5, 0, "undefined counts as one half", 1);
    assert_int_equal(ecg_bootstrap_auroc(&sum, &label, s, mixed, 3, 1, same, 50, 1, NULL), 0);
    assert_same(label.lo, 1, 0, "one patient: every resample is the sample", 0);
    assert_same(label.hi, 1, 0, "one patient: every resample is the sample", 1);
    assert_int_equal(ecg_bootstrap_auroc(&sum, &label, s, mixed, 3, 1, NULL, 0, 1, NULL), 0);
    assert_true(label.point == 1 && isnan(label.lo) && isnan(label.hi));
    assert_int_equal(ecg_bootstrap_auroc(&sum, NULL, s, mixed, 0, 1, NULL, 20, 1, NULL), 0);
    assert_true(isnan(sum.macro.point));
    assert_int_equal(ecg_bootstrap_auroc(&sum, NULL, s, mixed, 3, 0, NULL, 20, 1, NULL), 0);
    assert_true(isnan(sum.macro_half.point) && isnan(sum.micro.point));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_pairs), cmocka_unit_test(test_known_values), cmocka_unit_test(test_percentile),
        cmocka_unit_test(test_bootstrap_ids), cmocka_unit_test(test_threads),      cmocka_unit_test(test_units),
        cmocka_unit_test(test_degenerate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
