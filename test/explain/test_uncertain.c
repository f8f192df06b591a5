/* SPDX-License-Identifier: MIT
 * Calibrators, Venn-Abers intervals and conformal p-values against definitions written out, and their promises on simulated patients. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "explain/uncertain.h"

#define NEAR(a, b, within) assert_true(fabs((a) - (b)) <= (within))

/* Isotonic regression by its minimax formula: max over a <= i of min over b >= i of the weighted mean of a..b. */
static double minimax(const double *y, const double *w, int n, int i)
{
    double best = -INFINITY;
    for (int a = 0; a <= i; a++) {
        double least = INFINITY;
        for (int b = i; b < n; b++) {
            double sum = 0, weight = 0;
            for (int j = a; j <= b; j++) {
                sum += y[j] * w[j];
                weight += w[j];
            }
            least = fmin(least, sum / weight);
        }
        best = fmax(best, least);
    }
    return best;
}

static void isotonic_is_the_minimax(void **state)
{
    (void)state;
    for (uint32_t trial = 0; trial < 60; trial++) {
        ecg_rng r;
        double y[24], w[24], fitted[24];
        int room[24];
        const int n = 1 + (int)(trial % 24);
        ecg_rng_open(&r, 1, 0, 300, trial, 0);
        for (int i = 0; i < n; i++) {
            w[i] = 1 + ecg_rng_below(&r, 5);
            y[i] = trial % 3 == 0 ? ecg_rng_below(&r, 2) : trial % 3 == 1 ? i + 4 * ecg_rng_normal(&r) : 0.5;
        }
        ecg_isotonic(fitted, y, w, n, room);
        for (int i = 0; i < n; i++)
            NEAR(fitted[i], minimax(y, w, n, i), 1e-12);
    }
    double fitted[5], y[5] = {9, 1, 9, 0, 9};
    const double w[5] = {0, 2, 0, 2, 0}, none[5] = {0};
    int room[5];
    ecg_isotonic(fitted, y, w, 5, room); /* entries without weight have no say */
    for (int i = 0; i < 5; i++)
        NEAR(fitted[i], 0.5, 1e-15);
    ecg_isotonic(fitted, y, none, 5, room);
    assert_true(isnan(fitted[0]) && isnan(fitted[4]));
}

static double platt_loss(double a, double b, const double *x, const int8_t *y, int n, double t0, double t1)
{
    double loss = 0;
    for (int i = 0; i < n; i++) {
        const double p = 1 / (1 + exp(-(a * x[i] + b))), t = y[i] ? t1 : t0;
        loss -= t * log(p) + (1 - t) * log(1 - p);
    }
    return loss;
}

static void platt_is_a_minimum(void **state)
{
    (void)state;
    enum { N = 300 };
    double x[N], a, b;
    int8_t y[N];
    int positives = 0;
    ecg_rng r;
    ecg_rng_open(&r, 2, 0, 300, 0, 0);
    for (int i = 0; i < N; i++) {
        x[i] = 2 * ecg_rng_normal(&r);
        y[i] = ecg_rng_uniform(&r) < 1 / (1 + exp(-(0.7 * x[i] - 1)));
        positives += y[i];
    }
    ecg_platt(&a, &b, x, y, N, 1);
    assert_true(a > 0.4 && a < 1 && b > -1.5 && b < -0.5);
    const double t0 = 1.0 / (N - positives + 2), t1 = (positives + 1.0) / (positives + 2), here = platt_loss(a, b, x, y, N, t0, t1);
    for (int i = 0; i < 4; i++)
        assert_true(platt_loss(a + (i == 0) * 1e-3 - (i == 1) * 1e-3, b + (i == 2) * 1e-3 - (i == 3) * 1e-3, x, y, N, t0, t1) > here);
    static const struct { const char *why; double x[6]; int8_t y[6]; int falls; } cases[] = {
        {"one class", {1, 2, 3, 4, 5, 6}, {1, 1, 1, 1, 1, 1}, 1},
        {"one score", {2, 2, 2, 2, 2, 2}, {1, 0, 1, 0, 0, 0}, 1},
        {"falling", {1, 2, 3, 4, 5, 6}, {1, 1, 1, 0, 0, 0}, 1},
        {"separable", {1, 2, 3, 4, 5, 6}, {0, 0, 0, 1, 1, 1}, 0},
        {"not finite", {NAN, INFINITY, 3, 4, 5, 6}, {1, 0, 0, 0, 1, 1}, 0},
        {"nothing known", {1, 2, 3, 4, 5, 6}, {-1, -1, -1, -1, -1, 9}, 1},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_platt(&a, &b, cases[c].x, cases[c].y, 6, 1);
        if (!isfinite(a) || !isfinite(b) || (cases[c].falls ? a != 0 : a <= 0))
            fail_msg("%s: slope %g, offset %g", cases[c].why, a, b);
    }
}

/* One label of n records with scores about 2 * label. */
static void draw(double *x, int8_t *y, int64_t n, double prevalence, uint64_t seed)
{
    ecg_rng r;
    ecg_rng_open(&r, seed, 0, 300, 7, 0);
    for (int64_t i = 0; i < n; i++) {
        y[i] = ecg_rng_uniform(&r) < prevalence;
        x[i] = -2 + 2 * y[i] + 1.3 * ecg_rng_normal(&r);
    }
}

/* The probability of x when a record with label `as` is added: isotonic regression of all records by cell, by the minimax formula. */
static double venn_abers(const double *x, const int8_t *y, int n, double at, int as)
{
    static double sum[ECG_CELLS], weight[ECG_CELLS], mean[ECG_CELLS], w[ECG_CELLS];
    memset(sum, 0, sizeof sum);
    memset(weight, 0, sizeof weight);
    for (int i = 0; i <= n; i++) {
        const int c = ecg_cell(i < n ? x[i] : at);
        sum[c] += i < n ? y[i] : as;
        weight[c]++;
    }
    int m = 0, mine = 0;
    for (int c = 0; c < ECG_CELLS; c++)
        if (weight[c] > 0) {
            if (c == ecg_cell(at))
                mine = m;
            mean[m] = sum[c] / weight[c];
            w[m++] = weight[c];
        }
    return minimax(mean, w, m, mine);
}

static void intervals_are_venn_and_abers(void **state)
{
    (void)state;
    enum { N = 70 };
    double x[N];
    int8_t y[N];
    draw(x, y, N, 0.4, 3);
    x[10] = x[11] = x[12]; /* ties */
    x[20] = 99;            /* beyond the grid */
    x[21] = -99;
    ecg_uncertainty u;
    assert_int_equal(ecg_uncertainty_fit(&u, x, y, N, 1, NULL), 0);
    assert_null(ecg_uncertainty_check(&u));
    for (double at = -17; at < 17; at += 0.113) {
        ecg_certainty c;
        int64_t above = 0, truth = 0;
        ecg_certainty_of(&c, &u, 0, at);
        NEAR(c.lo, venn_abers(x, y, N, at, 0), 1e-6);
        NEAR(c.hi, venn_abers(x, y, N, at, 1), 1e-6);
        assert_true(c.lo <= c.p && c.p <= c.hi);
        for (int i = 0; i < N; i++)
            if (ecg_cell(x[i]) >= ecg_cell(at)) {
                above++;
                truth += y[i];
            }
        assert_int_equal(c.above, above);
        if (above)
            NEAR(c.truth, (double)truth / (double)above, 1e-6);
        else
            assert_true(isnan(c.truth));
    }
    ecg_uncertainty_clear(&u);
}

static void thresholds_are_ranks(void **state)
{
    (void)state;
    enum { N = 199 }; /* 100 of one class: levels of 0.01 fall between ranks, those of 99 on them */
    double x[N];
    int8_t y[N];
    for (int i = 0; i < N; i++) {
        y[i] = i < 99;
        x[i] = (i * 37 % 199) * 0.01;
    }
    ecg_uncertainty u;
    assert_int_equal(ecg_uncertainty_fit(&u, x, y, N, 1, NULL), 0);
    for (int j = 0; j < 60; j++) {
        const double alpha = ecg_level(j);
        int kept = 0, strange = 0;
        for (int i = 0; i < N; i++) {
            ecg_certainty c;
            ecg_certainty_of(&c, &u, 0, x[i]);
            if (!y[i])
                continue;
            kept += (ecg_conformal_set(&c, alpha) & 2) != 0;
            strange++;
        }
        /* of the 99 records themselves those of rank below alpha * 100 are left out */
        assert_int_equal(strange - kept, (int)ceil(alpha * 100 - 1e-9) - 1);
    }
    ecg_uncertainty_clear(&u);
}

/* Coverage on new records, per class, over many sites: the mean must lie within four standard errors of 1 - alpha. */
static void coverage_is_what_was_promised(void **state)
{
    (void)state;
    enum { SITES = 150, N = 260, NEW = 200 };
    static double x[N], z[NEW];
    static int8_t y[N], t[NEW];
    static const double alphas[] = {0.02, 0.05, 0.1, 0.2, 0.5};
    for (size_t a = 0; a < sizeof alphas / sizeof *alphas; a++) {
        double sum[2] = {0}, square[2] = {0};
        int sites[2] = {0};
        for (uint64_t s = 0; s < SITES; s++) {
            ecg_uncertainty u;
            double in[2] = {0}, all[2] = {0};
            draw(x, y, N, 0.3, 1000 + 2 * s);
            draw(z, t, NEW, 0.3, 1001 + 2 * s);
            assert_int_equal(ecg_uncertainty_fit(&u, x, y, N, 1, NULL), 0);
            for (int i = 0; i < NEW; i++) {
                ecg_certainty c;
                ecg_certainty_of(&c, &u, 0, z[i]);
                in[t[i]] += ecg_conformal_set(&c, alphas[a]) >> t[i] & 1;
                all[t[i]]++;
            }
            ecg_uncertainty_clear(&u);
            for (int k = 0; k < 2; k++) {
                const double cover = in[k] / all[k];
                sum[k] += cover;
                square[k] += cover * cover;
                sites[k]++;
            }
        }
        for (int k = 0; k < 2; k++) {
            const double mean = sum[k] / sites[k], error = sqrt((square[k] / sites[k] - mean * mean) / sites[k]);
            if (fabs(mean - (1 - alphas[a])) > 4 * error + 0.002)
                fail_msg("class %d, alpha %g: coverage %g, standard error %g", k, alphas[a], mean, error);
        }
    }
}

/* The band against draws: thresholds from n uniform scores, m new ones. */
static void bands_hold_99_in_100(void **state)
{
    (void)state;
    static const struct { int n, m; double alpha; } cases[] = {{19, 50, 0.1}, {30, 200, 0.1}, {300, 40, 0.05}, {99, 99, 0.5}};
    enum { DRAWS = 4000 };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int n = cases[c].n, m = cases[c].m;
        int64_t lo, hi;
        int inside = 0, sharp = 0;
        double x[300];
        ecg_coverage_band(&lo, &hi, m, n, cases[c].alpha);
        for (uint32_t d = 0; d < DRAWS; d++) {
            ecg_rng r;
            ecg_rng_open(&r, 11, 0, 300, d, (uint32_t)c);
            const int rank = (int)floor(cases[c].alpha * (n + 1) + 1e-9);
            for (int i = 0; i < n; i++) { /* sorted as they come */
                const double v = ecg_rng_uniform(&r);
                int at = i;
                for (; at > 0 && x[at - 1] > v; at--)
                    x[at] = x[at - 1];
                x[at] = v;
            }
            int held = 0;
            for (int i = 0; i < m; i++)
                held += ecg_rng_uniform(&r) >= x[rank - 1];
            inside += held >= lo && held <= hi;
            sharp += held > lo && held < hi;
        }
        if (fabs(cases[c].alpha * (n + 1) - floor(cases[c].alpha * (n + 1) + 1e-9)) < 1e-6)
            assert_true(inside >= DRAWS * 0.985 && sharp <= DRAWS * 0.998);
        else
            assert_true(inside >= DRAWS * 0.98);
    }
    int64_t lo, hi;
    ecg_coverage_band(&lo, &hi, 70, 18, 0.05); /* no threshold at all: every record is held */
    assert_true(lo == 70 && hi == 70);
    ecg_coverage_band(&lo, &hi, 0, 30, 0.1);
    assert_true(lo == 0 && hi == 0);
}

/* The two probabilities of Venn and Abers enclose what happens: over records, mean label between mean p0 and mean p1, and the map is calibrated. */
static void probabilities_are_calibrated(void **state)
{
    (void)state;
    enum { N = 3000 };
    static double x[N], z[N];
    static int8_t y[N], t[N];
    ecg_uncertainty u;
    draw(x, y, N, 0.2, 5);
    draw(z, t, N, 0.2, 6);
    assert_int_equal(ecg_uncertainty_fit(&u, x, y, N, 1, NULL), 0);
    assert_true(u.label[0].kind == ECG_CALIBRATOR_PLATT || u.label[0].kind == ECG_CALIBRATOR_ISOTONIC);
    assert_true(u.label[0].auroc > 0.8 && u.label[0].auroc < 0.92 && u.label[0].auroc_lo < u.label[0].auroc && u.label[0].auroc_lo > 0.8);
    double lo = 0, hi = 0, label = 0, count[5] = {0}, said[5] = {0}, was[5] = {0}, before = -1;
    for (int i = 0; i < N; i++) {
        ecg_certainty c;
        ecg_certainty_of(&c, &u, 0, z[i]);
        lo += c.lo / N;
        hi += c.hi / N;
        label += (double)t[i] / N;
        const int bin = (int)(c.p * 4.999);
        count[bin]++;
        said[bin] += c.p;
        was[bin] += t[i];
    }
    assert_true(lo - 0.02 < label && label < hi + 0.02 && hi - lo < 0.1);
    for (int b = 0; b < 5; b++)
        if (count[b] > 50) {
            const double p = said[b] / count[b];
            assert_true(fabs(was[b] / count[b] - p) < 4 * sqrt(p * (1 - p) / count[b]) + 0.03);
        }
    for (double at = -8; at < 8; at += 0.01) { /* a higher score never gets a lower probability */
        ecg_certainty c;
        ecg_certainty_of(&c, &u, 0, at);
        assert_true(c.p >= before - 1e-12);
        before = c.p;
    }
    ecg_uncertainty_clear(&u);
}

static void degenerate_labels(void **state)
{
    (void)state;
    enum { N = 120, K = 6 };
    static double x[N * K];
    static int8_t y[N * K];
    for (int i = 0; i < N; i++)
        for (int k = 0; k < K; k++) {
            x[i * K + k] = i * 0.03 - 2;
            y[i * K + k] = i % 3 == 0;
        }
    for (int i = 0; i < N; i++) {
        y[i * K + 0] = -1;               /* nothing known */
        y[i * K + 1] = 0;                /* one class */
        x[i * K + 2] = 0.25;             /* one score */
        x[i * K + 3] = NAN;              /* no scores */
        y[i * K + 4] = i < 19 ? 1 : 0;   /* 19 cases: no verdict */
        y[i * K + 5] = i < 20 ? 1 : 0;   /* 20: a verdict */
    }
    ecg_uncertainty u;
    ecg_certainty c;
    assert_int_equal(ecg_uncertainty_fit(&u, x, y, N, K, NULL), 0);
    assert_null(ecg_uncertainty_check(&u));
    static const int kinds[K] = {ECG_CALIBRATOR_NONE, ECG_CALIBRATOR_SHARED, ECG_CALIBRATOR_SHARED, ECG_CALIBRATOR_NONE, ECG_CALIBRATOR_SHARED, ECG_CALIBRATOR_SHARED};
    for (int k = 0; k < K; k++) {
        assert_int_equal(u.label[k].kind, kinds[k]);
        ecg_certainty_of(&c, &u, k, 0.3);
        assert_int_equal(isnan(c.p), kinds[k] == ECG_CALIBRATOR_NONE);
        assert_int_equal(ecg_conformal_set(&c, 0.1) < 0, k != 2 && k != 5);
        ecg_certainty_of(&c, &u, k, NAN);
        assert_true(isnan(c.p) && ecg_conformal_set(&c, 0.1) < 0);
    }
    ecg_certainty_of(&c, &u, 1, 0); /* never seen: 0 at the least, and what one case among 121 makes at the most */
    assert_true(c.lo == 0 && c.hi > 0 && c.hi < 0.05);
    ecg_certainty_of(&c, &u, 2, 0.25);
    NEAR(c.p, 40.0 / 120, 0.01);
    assert_int_equal(ecg_conformal_set(&c, 0.1), 3); /* ties are never strange */
    ecg_uncertainty_clear(&u);
    assert_int_equal(ecg_uncertainty_fit(&u, x, y, 0, K, NULL), 0); /* no record at all */
    assert_null(ecg_uncertainty_check(&u));
    ecg_uncertainty_clear(&u);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    enum { N = 300, K = 7 };
    static double x[N * K];
    static int8_t y[N * K];
    draw(x, y, N * K, 0.4, 9);
    ecg_pool *pool = ecg_pool_new(3);
    ecg_uncertainty a, b;
    assert_int_equal(ecg_uncertainty_fit(&a, x, y, N, K, NULL), 0);
    assert_int_equal(ecg_uncertainty_fit(&b, x, y, N, K, pool), 0);
    assert_int_equal(a.steps, b.steps);
    assert_memory_equal(a.step, b.step, (size_t)a.steps * sizeof *a.step);
    assert_memory_equal(a.quantile, b.quantile, sizeof(float) * K * 2 * ECG_LEVELS);
    ecg_uncertainty_clear(&a);
    ecg_uncertainty_clear(&b);
    ecg_pool_free(pool);
}

static void broken_files_are_noticed(void **state)
{
    (void)state;
    enum { N = 300, K = 2 };
    static double x[N * K];
    static int8_t y[N * K];
    ecg_uncertainty u;
    draw(x, y, N * K, 0.4, 9);
    assert_int_equal(ecg_uncertainty_fit(&u, x, y, N, K, NULL), 0);
#define BROKEN(lvalue, value)                          \
    do {                                               \
        __typeof__(lvalue) kept_ = (lvalue);           \
        (lvalue) = (value);                            \
        assert_non_null(ecg_uncertainty_check(&u));    \
        (lvalue) = kept_;                              \
        assert_null(ecg_uncertainty_check(&u));        \
    } while (0)
    BROKEN(u.label[1].first, 0);
    BROKEN(u.label[0].steps, u.steps + 1);
    BROKEN(u.label[0].steps, -1);
    BROKEN(u.label[0].kind, 9);
    BROKEN(u.label[0].positives, -3);
    BROKEN(u.label[0].slope, NAN);
    BROKEN(u.label[0].slope, -1);
    BROKEN(u.step[3].p1, 1.5f);
    BROKEN(u.step[3].p0, NAN);
    BROKEN(u.step[3].from, INFINITY);
    BROKEN(u.step[3].from, -30);
    BROKEN(u.step[3].above, -1);
    BROKEN(u.quantile[ECG_LEVELS + 9], NAN);
    BROKEN(u.quantile[ECG_LEVELS + 9], 1e9f);
    BROKEN(u.quantile[9], -1e9f);
    BROKEN(u.steps, u.steps - 1);
    ecg_uncertainty_clear(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(isotonic_is_the_minimax),      cmocka_unit_test(platt_is_a_minimum),
        cmocka_unit_test(intervals_are_venn_and_abers), cmocka_unit_test(thresholds_are_ranks),
        cmocka_unit_test(coverage_is_what_was_promised), cmocka_unit_test(probabilities_are_calibrated),
        cmocka_unit_test(degenerate_labels),            cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(broken_files_are_noticed),     cmocka_unit_test(bands_hold_99_in_100),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
