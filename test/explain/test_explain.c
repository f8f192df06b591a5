/* SPDX-License-Identifier: MIT
 * Decomposition and edits on embeddings whose truth is known, against definitions written out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "explain/explain.h"

#define NEAR(a, b, within) assert_true(fabs((a) - (b)) <= (within))

enum { H = 12, P = 4, K = 3, N = 1200, F = P + ECG_PATTERNS };

/* h normal with unequal variances. Labs 0..3 read h[0..3]; label 0 follows lab 0 and 2, label 1 the age (h[4]), label 2 something that no lab
 * reads (h[5]). Lab 3 is never measured normal. */
typedef struct {
    float h[N * H];
    double score[N * K], lab[N * P], pattern[N * ECG_PATTERNS];
    int8_t label[N * K], measured[N * P];
    int64_t patient[N];
} world;

static ecg_explain_rows make(world *w, int n, uint64_t seed)
{
    for (int i = 0; i < n; i++) {
        ecg_rng r;
        ecg_rng_open(&r, seed, 0, 300, (uint32_t)i, 0);
        for (int j = 0; j < H; j++)
            w->h[i * H + j] = (float)((1 + 0.2 * j) * ecg_rng_normal(&r) + 1);
        const float *h = w->h + i * H;
        w->patient[i] = i / 2;
        for (int p = 0; p < P; p++) {
            w->lab[i * P + p] = 2 * (double)h[p] - 1;
            w->measured[i * P + p] = p == 3 ? 1 : i % 5 == 0 ? -1 : h[p] > 1;
        }
        w->pattern[i * 2] = i % 7 == 0 ? NAN : 60 + 8 * (double)h[4];
        w->pattern[i * 2 + 1] = h[6] > 1;
        w->score[i * K + 0] = 0.5 * w->lab[i * P] - 0.25 * w->lab[i * P + 2] + 0.05 * ecg_rng_normal(&r);
        w->score[i * K + 1] = 0.8 * (double)h[4] + 0.05 * ecg_rng_normal(&r);
        w->score[i * K + 2] = (double)h[5];
        for (int k = 0; k < K; k++)
            w->label[i * K + k] = w->score[i * K + k] > 0;
    }
    return (ecg_explain_rows){n, K, P, H, w->h, w->score, w->lab, w->label, w->measured, w->pattern, w->patient};
}

static world train, held;
static ecg_explainer e;
static ecg_moments m;

static int fit(void **state)
{
    (void)state;
    const ecg_explain_rows t = make(&train, N, 1), v = make(&held, 400, 2);
    return ecg_moments_of(&m, t.h, N, H) || ecg_explainer_fit(&e, &t, &v, &m, 42, NULL) || ecg_explainer_check(&e);
}

static int done(void **state)
{
    (void)state;
    ecg_explainer_clear(&e);
    ecg_moments_clear(&m);
    return 0;
}

/* What one unit of feature f does to the fitted score of k, through all that it shares with others. */
static double weight(const ecg_explainer *x, int k, int f)
{
    double w = 0;
    for (int g = 0; g < F; g++)
        w += x->beta[k * F + g] * x->own[g * F + f];
    return w;
}

static void weights_are_found(void **state)
{
    (void)state;
    static const double planted[K][P] = {{0.5, 0, -0.25, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}};
    for (int k = 0; k < 2; k++)
        for (int p = 0; p < P; p++) {
            NEAR(weight(&e, k, p), planted[k][p], 0.04);
            assert_true(e.error[k * F + p] < 0.1 && e.error[k * F + p] > 0);
        }
    NEAR(weight(&e, 1, P), 0.1, 0.01); /* per year */
    assert_true(e.completeness[0] > 0.98 && e.random[0] < 0.8);
    assert_true(e.completeness[1] < 0.05 && e.completeness[2] < 0.05);
    assert_int_equal(ecg_explainer_grade(e.completeness[0], e.random[0]), 'A');
    assert_int_equal(ecg_explainer_grade(e.completeness[1], e.random[1]), 'D');
    for (int p = 0; p < P + 1; p++)
        assert_true(e.agreement[p] > 0.999);
    assert_true(isnan(e.neutral[3]) && !isnan(e.neutral[0]));
}

/* Whatever the weights: parts and bars add up to the score, to the last bit that doubles have. */
static void parts_add_up(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++)
        for (int k = 0; k < K; k++) {
            double bar[F], own[F], pattern[ECG_PATTERNS], labs = 0, fitted = 0;
            ecg_explainer_patterns(pattern, &e, held.h + i * H);
            ecg_explainer_own(own, &e, held.lab + i * P, pattern);
            const ecg_parts s = ecg_explainer_parts(bar, &e, k, held.score[i * K + k], own);
            for (int f = 0; f < F; f++)
                fitted += weight(&e, k, f) * ((f < P ? held.lab[i * P + f] : pattern[f - P]) - e.feature_mean[f]);
            NEAR(s.labs + s.patterns, fitted, 1e-9);
            for (int p = 0; p < P; p++)
                labs += bar[p];
            NEAR(labs, s.labs, 1e-12);
            NEAR(bar[P] + bar[P + 1], s.patterns, 1e-12);
            NEAR(s.labs + s.patterns + s.rest, s.above, 1e-12);
            NEAR(s.above + e.score_mean[k], held.score[i * K + k], 1e-12);
        }
}

/* Two labs that nearly say the same, one of which the score follows: both get bars of its sign, and the one that it follows the longer one. */
static void those_that_say_the_same_share(void **state)
{
    (void)state;
    static world w;
    ecg_explainer x;
    ecg_moments moments;
    const ecg_explain_rows t = make(&w, N, 9);
    int longer = 0, wrong = 0, told = 0;
    for (int i = 0; i < N; i++) {
        ecg_rng r;
        ecg_rng_open(&r, 11, 0, 300, (uint32_t)i, 0);
        w.lab[i * P + 1] = w.lab[i * P] + 0.6 * ecg_rng_normal(&r);
        w.score[i * K] = w.lab[i * P];
    }
    assert_int_equal(ecg_moments_of(&moments, t.h, N, H), 0);
    assert_int_equal(ecg_explainer_fit(&x, &t, &t, &moments, 1, NULL), 0);
    for (int i = 0; i < N; i++) {
        double bar[F], own[F], pattern[ECG_PATTERNS];
        ecg_explainer_patterns(pattern, &x, w.h + i * H);
        ecg_explainer_own(own, &x, w.lab + i * P, pattern);
        ecg_explainer_parts(bar, &x, 0, w.score[i * K], own);
        if (w.lab[i * P] - x.feature_mean[0] < 1)
            continue;
        told++;
        longer += bar[0] > bar[1];
        wrong += bar[0] < 0 || bar[1] < -0.05;
    }
    assert_true(told > 200);
    assert_true(longer > 0.6 * told && wrong < 0.05 * told);
    ecg_explainer_clear(&x);
    ecg_moments_clear(&moments);
}

static double reads(int p, const float *h, const double *move)
{
    double y = e.view[p * (H + 1) + H];
    for (int j = 0; j < H; j++)
        y += e.view[p * (H + 1) + j] * ((double)h[j] + move[j]);
    return y;
}

/* x' C^-1 x by Gauss and Jordan. */
static double length(const double *x)
{
    double a[H][H + 1], sum = 0;
    for (int i = 0; i < H; i++) {
        memcpy(a[i], m.covariance + i * H, H * sizeof(double));
        a[i][H] = x[i];
    }
    for (int i = 0; i < H; i++)
        for (int r = 0; r < H; r++) {
            const double share = r == i ? 0 : a[r][i] / a[i][i];
            for (int j = 0; j <= H && share != 0; j++)
                a[r][j] -= share * a[i][j];
        }
    for (int i = 0; i < H; i++)
        sum += a[i][H] / a[i][i] * x[i];
    return sum;
}

static void edits_reach_their_target_by_the_shortest_way(void **state)
{
    (void)state;
    static const int others[] = {1, 2};
    for (int i = 0; i < 50; i++)
        for (int isolated = 0; isolated < 2; isolated++) {
            double move[H], zero[H] = {0};
            const float *h = held.h + i * H;
            assert_true(ecg_explainer_edit(move, &e, h, 0, others, isolated ? 2 : 0));
            NEAR(reads(0, h, move), e.neutral[0], 1e-6);
            for (int o = 0; o < 2 && isolated; o++)
                NEAR(reads(others[o], h, move), reads(others[o], h, zero), 1e-6);
            ecg_rng r; /* any other move that does the same is longer */
            ecg_rng_open(&r, 3, 0, 300, (uint32_t)i, 0);
            for (int trial = 0; trial < 5; trial++) {
                double other[H], step[H] = {0};
                for (int j = 0; j < H; j++)
                    other[j] = move[j] + 0.1 * ecg_rng_normal(&r);
                for (int pass = 0; pass < 200; pass++) /* back onto the planes, one after the other */
                    for (int o = -1; o < (isolated ? 2 : 0); o++) {
                        const int p = o < 0 ? 0 : others[o];
                        const double gap = (o < 0 ? e.neutral[0] : reads(p, h, step)) - reads(p, h, other);
                        double square = 0;
                        for (int j = 0; j < H; j++)
                            square += e.view[p * (H + 1) + j] * e.view[p * (H + 1) + j];
                        for (int j = 0; j < H; j++)
                            other[j] += gap / square * e.view[p * (H + 1) + j];
                    }
                assert_true(length(other) >= length(move) - 1e-6);
            }
        }
    double move[H];
    const int itself[] = {0};
    assert_false(ecg_explainer_edit(move, &e, held.h, 3, NULL, 0)); /* nothing to aim at */
    assert_true(ecg_explainer_edit(move, &e, held.h, 0, itself, 1)); /* held against itself: free */
    NEAR(reads(0, held.h, move), e.neutral[0], 1e-6);
}

static void degenerate_worlds(void **state)
{
    (void)state;
    static world w;
    ecg_explainer x;
    ecg_moments moments;
    ecg_explain_rows t = make(&w, 60, 5), v = t;
    for (int i = 0; i < 60; i++) {
        w.lab[i * P + 1] = 3;                      /* a constant head */
        w.lab[i * P + 2] = w.lab[i * P];           /* two heads that say the same */
        w.score[i * K + 2] = -4;                   /* a label that never moves */
        w.pattern[i * 2] = w.pattern[i * 2 + 1] = NAN; /* neither age nor sex known */
        w.patient[i] = 1;                          /* one patient */
    }
    assert_int_equal(ecg_moments_of(&moments, t.h, 60, H), 0);
    assert_int_equal(ecg_explainer_fit(&x, &t, &v, &moments, 1, NULL), 0);
    assert_null(ecg_explainer_check(&x));
    assert_true(isnan(x.completeness[2]));
    assert_true(x.beta[1] == 0 && x.beta[P] == 0);
    NEAR(x.beta[0], x.beta[2], 1e-6);
    assert_true(x.beta[0] != 0);
    double move[H];
    const int same[] = {2};
    assert_false(ecg_explainer_edit(move, &x, w.h, 0, same, 1)); /* cannot move one and hold the other */
    assert_true(ecg_explainer_edit(move, &x, w.h, 0, NULL, 0));
    assert_false(ecg_explainer_edit(move, &x, w.h, 1, NULL, 0));
    ecg_explainer_clear(&x);
    t.n = 0;
    assert_int_equal(ecg_explainer_fit(&x, &t, &v, &moments, 1, NULL), -1);
    ecg_moments_clear(&moments);
}

static void names_and_tautologies(void **state)
{
    (void)state;
    static const struct { const char *code, *lab; int same; } cases[] = {
        {"E875", "Potassium_high", 1},      {"E871", "Sodium_low", 1},       {"E871", "Potassium_low", 0},   {"D649", "Hemoglobin_low", 1},
        {"D649", "Hematocrit_low", 1},      {"D696", "Platelet_Count_low", 1}, {"D696", "Hemoglobin_low", 0}, {"N179", "Creatinine_high", 1},
        {"N17", "Urea_Nitrogen_high", 1},   {"R739", "Glucose_high", 1},     {"E1110", "Glucose_high", 1},   {"R791", "INR(PT)_high", 1},
        {"R791", "PTT_high", 0},            {"I214", "Troponin_T_high", 1},  {"I509", "NTproBNP_high", 0},   {"I509", "Creatinine_high", 0},
        {"E785", "Alkaline_Phosphatase_high", 0}, {"E872", "Phosphate_high", 0}, {"E872", "pH_low", 1},      {"I4891", "Potassium_low", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if ((ecg_same_thing(cases[i].code, cases[i].lab) != NULL) != cases[i].same)
            fail_msg("%s and %s: %s", cases[i].code, cases[i].lab, cases[i].same ? "not noticed" : "no tautology");
    char test[64];
    const char *direction;
    ecg_lab_words(test, sizeof test, &direction, "Urea_Nitrogen_high");
    assert_string_equal(test, "Urea Nitrogen");
    assert_string_equal(direction, "high");
    ecg_lab_words(test, sizeof test, &direction, "L2");
    assert_string_equal(test, "L2");
    assert_string_equal(direction, "");
    ecg_lab_words(test, 5, &direction, "Potassium_low");
    assert_string_equal(test, "Pota");
}

static void broken_files_are_noticed(void **state)
{
    (void)state;
#define BROKEN(lvalue, value)                     \
    do {                                          \
        __typeof__(lvalue) kept_ = (lvalue);      \
        (lvalue) = (value);                       \
        assert_non_null(ecg_explainer_check(&e)); \
        (lvalue) = kept_;                         \
        assert_null(ecg_explainer_check(&e));     \
    } while (0)
    BROKEN(e.beta[3], NAN);
    BROKEN(e.own[3], INFINITY);
    BROKEN(e.error[3], -1);
    BROKEN(e.view[7], INFINITY);
    BROKEN(e.spread[7], NAN);
    BROKEN(e.completeness[0], 2);
    BROKEN(e.neutral[0], INFINITY);
    BROKEN(e.data[0].both, e.data[0].patients + 1);
    BROKEN(e.data[0].q, 2);
    BROKEN(e.data[0].lo, e.data[0].hi * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_found), cmocka_unit_test(parts_add_up), cmocka_unit_test(those_that_say_the_same_share), cmocka_unit_test(edits_reach_their_target_by_the_shortest_way),
        cmocka_unit_test(degenerate_worlds), cmocka_unit_test(names_and_tautologies), cmocka_unit_test(broken_files_are_noticed),
    };
    return cmocka_run_group_tests(tests, fit, done);
}
