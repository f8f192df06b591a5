/* SPDX-License-Identifier: MIT
 * test_calibration.c: bins and their edges, Brier and ECE by hand, logistic recalibration against its own score equations, why there is no fit;
 * points on the curve, thresholds and net benefit against calling every entry. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "stat/calibration.h"
#include "stat/operating.h"

static void assert_same(double got, double want, double tolerance, const char *why, int64_t at)
{
    if (isnan(got) != isnan(want) || fabs(got - want) > tolerance)
        fail_msg("%s [%lld]: %.17g, expected %.17g", why, (long long)at, got, want);
}

static ecg_sorted sorted(const double *p, const int8_t *y, int64_t n)
{
    ecg_sorted s;
    assert_int_equal(ecg_sorted_make(&s, p, y, n, 1, 1), 0);
    return s;
}

/* ---- sorting -------------------------------------------------------------------------------------------------------------- */

static void entries_fall_and_the_unknown_are_left_out(void **state)
{
    (void)state;
    enum { N = 1000 };
    static double p[N * 2];
    static int8_t y[N * 2];
    ecg_rng g;
    ecg_rng_open(&g, 1, 0, 900, 0, 0);
    int64_t known = 0, positives = 0;
    double sum = 0;
    for (int i = 0; i < N * 2; i++) {
        p[i] = i % 3 ? ecg_rng_uniform(&g) - 0.5 : 0.37 + 1e-15 * (double)ecg_rng_below(&g, 50); /* below the precision of floats */
        y[i] = (int8_t)(ecg_rng_below(&g, 3) - 1);
        if (i % 2 && y[i] >= 0) {
            known++;
            positives += y[i];
            sum += p[i];
        }
    }
    ecg_sorted s, both;
    assert_int_equal(ecg_sorted_make(&s, p + 1, y + 1, N, 2, 1), 0); /* the second column */
    assert_int_equal(s.n, known);
    assert_int_equal(s.positives, positives);
    for (int64_t i = 0; i < s.n; i++) {
        assert_true(i == 0 || s.score[i] <= s.score[i - 1]);
        sum -= s.score[i];
        positives -= s.label[i];
    }
    assert_same(sum, 0, 1e-10, "the same scores", 0);
    assert_int_equal(positives, 0);
    assert_int_equal(ecg_sorted_make(&both, p, y, N, 2, 2), 0);
    assert_true(both.n > s.n && !both.nan);
    ecg_sorted_clear(&s);
    ecg_sorted_clear(&both);
    p[5] = NAN;
    y[5] = 0;
    assert_int_equal(ecg_sorted_make(&both, p, y, N, 2, 2), 0);
    assert_true(both.nan);
    ecg_sorted_clear(&both);
}

/* ---- calibration ---------------------------------------------------------------------------------------------------------- */

static void bins_take_their_upper_edge(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        double p;
        int width10, width15;
    } cases[] = {
        {"zero lies in the first", 0, 0, 0},       {"an edge belongs to the lower bin", 0.1, 0, 1}, {"just above", 0.10000000000000002, 1, 1},
        {"0.3 is below numpy's third edge", 0.3, 2, 4}, {"one half", 0.5, 4, 7},                    {"0.7 is below the seventh", 0.7, 6, 10},
        {"0.2 is the third of 15", 0.2, 1, 2},     {"one lies in the last", 1, 9, 14},              {"0.95", 0.95, 9, 14},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_sorted s = sorted(&cases[i].p, (int8_t[]){1}, 1);
        for (int binning = ECG_BINS_WIDTH10; binning <= ECG_BINS_WIDTH15; binning++) {
            ecg_reliability r;
            const int want = binning == ECG_BINS_WIDTH10 ? cases[i].width10 : cases[i].width15;
            ecg_reliability_of(&r, &s, binning);
            for (int b = 0; b < ecg_bins(binning); b++)
                if (r.bin[b].count != (b == want))
                    fail_msg("%s: %lld entries in bin %d of %s", cases[i].why, (long long)r.bin[b].count, b, ecg_bins_name(binning));
            assert_same(r.bin[want].predicted, cases[i].p, 0, cases[i].why, want);
        }
        ecg_sorted_clear(&s);
    }
}

static void equal_masses_keep_equals_together(void **state)
{
    (void)state;
    const double p[] = {0.1, 0.2, 0.2, 0.2, 0.2, 0.6, 0.7, 0.8, 0.9, 0.95}; /* ten entries, ten bins */
    const int8_t y[] = {0, 0, 1, 0, 0, 1, 0, 1, 1, 1};
    const int64_t want[10] = {1, 4, 0, 0, 0, 1, 1, 1, 1, 1};
    ecg_sorted s = sorted(p, y, 10);
    ecg_reliability r;
    ecg_calibration c;
    ecg_reliability_of(&r, &s, ECG_BINS_MASS10);
    for (int b = 0; b < 10; b++)
        assert_int_equal(r.bin[b].count, want[b]);
    assert_same(r.bin[1].observed, 0.25, 0, "observed", 1);
    assert_true(isnan(r.bin[2].observed) && isnan(r.bin[2].predicted));
    assert_int_equal(ecg_calibrate(&c, &s), 0);
    assert_same(c.ece[ECG_BINS_MASS10], (0.1 + 4 * 0.05 + 0.4 + 0.7 + 0.2 + 0.1 + 0.05) / 10, 1e-15, "ECE by hand", 0);
    assert_same(c.ece[ECG_BINS_WIDTH10], c.ece[ECG_BINS_MASS10], 1e-15, "here each value has a bin of its own", 0);
    assert_same(c.brier, (0.01 + 0.04 * 3 + 0.64 + 0.16 + 0.49 + 0.04 + 0.01 + 0.0025) / 10, 1e-15, "Brier by hand", 0);
    assert_same(c.brier_skill, 1 - c.brier / 0.25, 1e-15, "skill", 0);
    assert_same(c.prevalence, 0.5, 0, "prevalence", 0);
    ecg_sorted_clear(&s);
}

/* At the maximum sum(y - p) = 0 and sum((y - p) x) = 0. */
static void the_fit_solves_its_equations(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        double shift, scale;
        int n, levels;
    } cases[] = {{"well calibrated", 0, 1, 2000, 0},     {"too sure", 0.4, 3, 2000, 0},       {"too timid, few levels", -1, 0.3, 500, 8},
                 {"rare", -6, 1, 4000, 0},                {"the wrong way round", 0, -1, 800, 0}, {"logits far from zero", 12, 0.001, 3000, 0}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double *p = malloc((size_t)cases[c].n * sizeof *p), sum[2] = {0}, large = 0, size = 0;
        int8_t *y = malloc((size_t)cases[c].n);
        ecg_rng g;
        ecg_rng_open(&g, 3, 0, 900, (uint32_t)c, 0);
        for (int i = 0; i < cases[c].n; i++) {
            double x = ecg_rng_normal(&g);
            if (cases[c].levels)
                x = floor(x * 2) / 2;
            const double drift = fabs(cases[c].shift) > 6 ? 0 : cases[c].shift;
            y[i] = ecg_rng_uniform(&g) < 1 / (1 + exp(-(x + drift)));
            p[i] = 1 / (1 + exp(-(cases[c].shift + cases[c].scale * x)));
        }
        ecg_sorted s = sorted(p, y, cases[c].n);
        ecg_calibration k;
        assert_int_equal(ecg_calibrate(&k, &s), 0);
        assert_int_equal(k.fit, ECG_FIT_OK);
        for (int i = 0; i < cases[c].n; i++) {
            const double x = log(p[i] / (1 - p[i]));
            const double rest = y[i] - 1 / (1 + exp(-(k.intercept + k.slope * x)));
            sum[0] += rest;
            sum[1] += rest * x;
            size += fabs(x);
            large += y[i] - 1 / (1 + exp(-(k.offset + x)));
        }
        assert_same(sum[0], 0, 1e-7 * cases[c].n, cases[c].why, 0);
        assert_same(sum[1], 0, 1e-7 * size, cases[c].why, 1);
        assert_same(large, 0, 1e-7 * cases[c].n, cases[c].why, 2);
        if (cases[c].scale == 1 && cases[c].shift == 0)
            assert_true(fabs(k.slope - 1) < 0.2 && fabs(k.intercept) < 0.2 && fabs(k.offset) < 0.2);
        if (cases[c].scale == 3)
            assert_true(k.slope < 0.5);
        if (cases[c].scale == -1)
            assert_true(k.slope < 0);
        ecg_sorted_clear(&s);
        free(p);
        free(y);
    }
}

static void why_there_is_no_fit(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        double p[6];
        int8_t y[6];
        int fit;
        const char *text;
    } cases[] = {
        {"both overlap", {0.1, 0.4, 0.3, 0.6, 0.2, 0.8}, {0, 1, 0, 1, 1, 0}, ECG_FIT_OK, "ok"},
        {"negatives alone", {0.1, 0.4, 0.3, 0.6, 0.2, 0.8}, {0, 0, 0, 0, 0, 0}, ECG_FIT_ONE_CLASS, "one class"},
        {"positives alone", {0.1, 0.4, 0.3, 0.6, 0.2, 0.8}, {1, 1, 1, 1, 1, 1}, ECG_FIT_ONE_CLASS, "one class"},
        {"nothing known", {0.1, 0.4, 0.3, 0.6, 0.2, 0.8}, {-1, -1, -1, -1, -1, -1}, ECG_FIT_ONE_CLASS, "one class"},
        {"one probability", {0.3, 0.3, 0.3, 0.3, 0.3, 0.3}, {0, 1, 0, 1, 1, 0}, ECG_FIT_CONSTANT, "constant"},
        {"separated", {0.1, 0.2, 0.3, 0.6, 0.7, 0.8}, {0, 0, 0, 1, 1, 1}, ECG_FIT_SEPARABLE, "separable"},
        {"separated but for a tie", {0.1, 0.2, 0.5, 0.5, 0.7, 0.8}, {0, 0, 0, 1, 1, 1}, ECG_FIT_SEPARABLE, "separable"},
        {"separated the wrong way", {0.1, 0.2, 0.3, 0.6, 0.7, 0.8}, {1, 1, 1, 0, 0, 0}, ECG_FIT_SEPARABLE, "separable"},
        {"certain and wrong", {0, 1, 0, 1, 0.2, 0.8}, {0, 0, 1, 1, 1, 0}, ECG_FIT_OK, "ok"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_sorted s = sorted(cases[i].p, cases[i].y, 6);
        ecg_calibration c;
        assert_int_equal(ecg_calibrate(&c, &s), 0);
        if (c.fit != cases[i].fit || strcmp(ecg_fit_text(c.fit), cases[i].text))
            fail_msg("%s: %s", cases[i].why, ecg_fit_text(c.fit));
        assert_true(isnan(c.slope) == (c.fit != ECG_FIT_OK) && isnan(c.intercept) == (c.fit != ECG_FIT_OK));
        assert_true(isnan(c.offset) == (c.fit == ECG_FIT_ONE_CLASS));
        assert_true(isnan(c.brier) == (s.n == 0) && isnan(c.brier_skill) == (c.fit == ECG_FIT_ONE_CLASS));
        ecg_sorted_clear(&s);
    }
    ecg_sorted s = sorted((double[]){0.1, NAN}, (int8_t[]){0, 1}, 2);
    ecg_calibration c;
    assert_int_equal(ecg_calibrate(&c, &s), 0);
    assert_true(isnan(c.brier) && isnan(c.ece[0]) && isnan(c.slope));
    ecg_sorted_clear(&s);
}

/* ---- operating points ----------------------------------------------------------------------------------------------------- */

/* What calling score >= t does, by going through the rows. */
static ecg_operating called_plain(const double *p, const int8_t *y, int64_t n, double t)
{
    ecg_operating o = {.threshold = t};
    for (int64_t i = 0; i < n; i++)
        if (y[i] == 0 || y[i] == 1) {
            o.tp += p[i] >= t && y[i];
            o.fp += p[i] >= t && !y[i];
            o.fn += p[i] < t && y[i];
            o.tn += p[i] < t && !y[i];
        }
    o.sensitivity = (double)o.tp / (double)(o.tp + o.fn);
    o.specificity = (double)o.tn / (double)(o.tn + o.fp);
    return o;
}

static void points_are_the_best_of_all_thresholds(void **state)
{
    (void)state;
    enum { N = 120 };
    static const int levels[] = {0, 4, 11, 1};
    for (size_t c = 0; c < sizeof levels / sizeof *levels; c++) {
        double p[N];
        int8_t y[N];
        ecg_rng g;
        ecg_rng_open(&g, 9, 0, 900, (uint32_t)c, 0);
        for (int i = 0; i < N; i++) {
            y[i] = (int8_t)(ecg_rng_below(&g, 5) < 2 ? 1 : ecg_rng_below(&g, 6) ? 0 : -1);
            p[i] = (ecg_rng_uniform(&g) + 0.4 * (y[i] == 1)) / 1.4;
            if (levels[c])
                p[i] = floor(p[i] * levels[c]) / levels[c];
        }
        double sensitivity[2] = {0, 0}, specificity[2] = {0, 0}, youden = 0, at[ECG_RULES] = {INFINITY, INFINITY, INFINITY, -1, -1};
        for (int i = 0; i < N; i++) {
            const ecg_operating o = called_plain(p, y, N, p[i]);
            if (y[i] < 0)
                continue;
            for (int j = 0; j < 2; j++) {
                const double share = j ? 0.95 : 0.9;
                if (o.specificity >= share - 1e-9) {
                    sensitivity[j] = fmax(sensitivity[j], o.sensitivity);
                    at[ECG_RULE_SPECIFICITY90 + j] = fmin(at[ECG_RULE_SPECIFICITY90 + j], p[i]);
                }
                if (o.sensitivity >= share - 1e-9) {
                    specificity[j] = fmax(specificity[j], o.specificity);
                    at[ECG_RULE_SENSITIVITY90 + j] = fmax(at[ECG_RULE_SENSITIVITY90 + j], p[i]);
                }
            }
            const double gain = o.sensitivity + o.specificity - 1;
            if (gain > youden + 1e-12 || (fabs(gain - youden) < 1e-12 && gain > 1e-12 && p[i] > at[ECG_RULE_YOUDEN])) {
                youden = gain;
                at[ECG_RULE_YOUDEN] = p[i];
            }
        }
        ecg_sorted s = sorted(p, y, N);
        for (int j = 0; j < 2; j++) {
            assert_same(ecg_sensitivity_at(&s, j ? 0.95 : 0.9), sensitivity[j], 1e-15, "sensitivity", levels[c]);
            assert_same(ecg_specificity_at(&s, j ? 0.95 : 0.9), specificity[j], 1e-15, "specificity", levels[c]);
        }
        for (int r = 0; r < ECG_RULES; r++) {
            const double t = ecg_threshold(&s, r);
            if (t != at[r])
                fail_msg("%s, %d levels: threshold %g, expected %g", ecg_rule_name(r), levels[c], t, at[r]);
            ecg_operating o;
            ecg_operate(&o, &s, t);
            const ecg_operating want = called_plain(p, y, N, t);
            assert_true(o.tp == want.tp && o.fp == want.fp && o.tn == want.tn && o.fn == want.fn);
            assert_same(o.sensitivity, want.sensitivity, 1e-15, "sensitivity at a threshold", r);
            assert_same(o.ppv, o.tp + o.fp ? (double)o.tp / (double)(o.tp + o.fp) : NAN, 1e-15, "PPV", r);
            assert_same(o.npv, o.tn + o.fn ? (double)o.tn / (double)(o.tn + o.fn) : NAN, 1e-15, "NPV", r);
            assert_same(o.f1, 2.0 * (double)o.tp / (double)(2 * o.tp + o.fp + o.fn), 1e-15, "F1", r);
        }
        ecg_sorted_clear(&s);
    }
}

static void no_points_on_one_class(void **state)
{
    (void)state;
    const double p[] = {0.2, 0.9};
    ecg_sorted s = sorted(p, (int8_t[]){1, 1}, 2);
    ecg_operating o;
    assert_true(isnan(ecg_sensitivity_at(&s, 0.9)) && isnan(ecg_specificity_at(&s, 0.9)));
    for (int r = 0; r < ECG_RULES; r++)
        assert_true(isnan(ecg_threshold(&s, r)));
    ecg_operate(&o, &s, NAN);
    assert_true(isnan(o.sensitivity) && isnan(o.f1));
    ecg_operate(&o, &s, 0.9); /* the threshold itself is called */
    assert_true(o.tp == 1 && o.fn == 1 && o.sensitivity == 0.5 && isnan(o.specificity) && o.ppv == 1 && o.npv == 0);
    ecg_operate(&o, &s, INFINITY);
    assert_true(o.tp == 0 && isnan(o.ppv) && o.npv == 0);
    ecg_sorted_clear(&s);
    /* 9 of 10 negatives right is a specificity of 0.9, though 0.9 is no double; the highest score being negative, nothing else has it */
    double q[11];
    int8_t y[11];
    for (int i = 0; i < 11; i++) {
        q[i] = i / 11.0;
        y[i] = i == 9;
    }
    s = sorted(q, y, 11);
    assert_same(ecg_sensitivity_at(&s, 0.9), 1, 0, "9 of 10", 0);
    assert_same(ecg_sensitivity_at(&s, 0.95), 0, 0, "9 of 10 are no 95 %", 0);
    assert_true(isinf(ecg_threshold(&s, ECG_RULE_SPECIFICITY95)));
    ecg_sorted_clear(&s);
}

static void net_benefit_by_hand(void **state)
{
    (void)state;
    const double p[] = {0.05, 0.2, 0.2, 0.5, 0.9};
    const int8_t y[] = {0, 0, 1, 0, 1};
    ecg_sorted s = sorted(p, y, 5);
    ecg_decision d[ECG_DECISIONS];
    ecg_decisions(d, &s);
    assert_same(d[0].threshold, 0.01, 0, "first", 0);
    assert_same(d[9].threshold, 0.10, 0, "tenth", 9);
    assert_same(d[10].threshold, 0.15, 0, "then steps of 5 %", 10);
    assert_same(d[ECG_DECISIONS - 1].threshold, 0.95, 0, "last", ECG_DECISIONS - 1);
    assert_same(d[0].net_benefit, d[0].treat_all, 1e-15, "everything is called", 0);
    for (int i = 0; i < ECG_DECISIONS; i++) {
        const double t = d[i].threshold, odds = t / (1 - t);
        const ecg_operating o = called_plain(p, y, 5, t);
        assert_same(d[i].net_benefit, (double)o.tp / 5 - (double)o.fp / 5 * odds, 1e-15, "net benefit", i);
        assert_same(d[i].treat_all, 0.4 - 0.6 * odds, 1e-15, "treat all", i);
        assert_same(d[i].called, (double)(o.tp + o.fp) / 5, 1e-15, "called", i);
    }
    assert_same(d[11].net_benefit, 2.0 / 5 - 2.0 / 5 * 0.25, 1e-15, "a probability equal to the threshold is called", 11);
    ecg_sorted_clear(&s);
    s = sorted(p, (int8_t[]){-1, -1, -1, -1, -1}, 5);
    ecg_decisions(d, &s);
    assert_true(isnan(d[3].net_benefit) && isnan(d[3].called) && d[3].threshold == 0.04);
    ecg_sorted_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_fall_and_the_unknown_are_left_out),
        cmocka_unit_test(bins_take_their_upper_edge),
        cmocka_unit_test(equal_masses_keep_equals_together),
        cmocka_unit_test(the_fit_solves_its_equations),
        cmocka_unit_test(why_there_is_no_fit),
        cmocka_unit_test(points_are_the_best_of_all_thresholds),
        cmocka_unit_test(no_points_on_one_class),
        cmocka_unit_test(net_benefit_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
