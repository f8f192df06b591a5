/* SPDX-License-Identifier: MIT
 * test_beats.c: beats on traces whose beats are known, windows by their definition, and what is left when a wave or a lead is taken away. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "explain/beats.h"

enum { N = 1000, LEADS = 8, MOST = 64 };
static float x[N * LEADS], y[N * LEADS];
static double room[2 * N];
static int64_t truth[MOST];

static double bump(double t, double at, double width)
{
    return exp(-0.5 * (t - at) * (t - at) / (width * width));
}

/* Beats every `rr` seconds from 0.4 s on: P, narrow or wide QRS, T, noise. Returns how many. */
static int make(double rr, double qrs_s, double t_mv, double noise)
{
    int beats = 0;
    for (double at = 0.4; at < 9.9; at += rr)
        truth[beats++] = (int64_t)(at * 100 + 0.5);
    for (int i = 0; i < N; i++)
        for (int l = 0; l < LEADS; l++) {
            ecg_rng g;
            ecg_rng_open(&g, 4, 0, 902, (uint32_t)i, (uint32_t)l);
            double v = noise * ecg_rng_normal(&g);
            for (int b = 0; b < beats; b++) {
                const double t = (double)(i - truth[b]) / 100;
                v += 0.1 * bump(t, -0.16, 0.02) + (0.5 + 0.1 * l) * bump(t, 0, qrs_s) + t_mv * bump(t, 0.28 * sqrt(rr), 0.04);
            }
            x[i * LEADS + l] = (float)v;
        }
    return beats;
}

static void beats_are_found(void **state)
{
    (void)state;
    static const struct { double rr, qrs, t, noise; const char *why; } cases[] = {
        {1.0, 0.012, 0.2, 0.01, "60 a minute"}, {0.5, 0.012, 0.2, 0.01, "120 a minute"}, {1.6, 0.012, 0.2, 0.01, "38 a minute"},
        {0.8, 0.035, 0.2, 0.01, "wide"},        {0.8, 0.012, 0.6, 0.01, "a T as high as the R of some leads"}, {0.9, 0.012, 0.2, 0.06, "noise"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int64_t at[MOST];
        const int beats = make(cases[c].rr, cases[c].qrs, cases[c].t, cases[c].noise);
        const int64_t found = ecg_find_beats(at, MOST, room, x, N, LEADS, 100);
        if (found != beats)
            fail_msg("%s: %d beats, %d found", cases[c].why, beats, (int)found);
        for (int b = 0; b < beats; b++)
            if (llabs((long long)(at[b] - truth[b])) > 2)
                fail_msg("%s: beat %d at %d, found at %d", cases[c].why, b, (int)truth[b], (int)at[b]);
    }
    int64_t at[3];
    make(0.5, 0.012, 0.2, 0.01);
    assert_int_equal(ecg_find_beats(at, 3, room, x, N, LEADS, 100), 3);
    memset(x, 0, sizeof x);
    assert_int_equal(ecg_find_beats(at, 3, room, x, N, LEADS, 100), 0);
    for (int i = 0; i < N * LEADS; i++)
        x[i] = NAN;
    assert_int_equal(ecg_find_beats(at, 3, room, x, N, LEADS, 100), 0);
    assert_int_equal(ecg_find_beats(at, 3, room, x, 1, LEADS, 100), 0);
}

static void windows_do_not_overlap(void **state)
{
    (void)state;
    for (double rr = 0.3; rr < 2; rr += 0.1) {
        const int beats = make(rr, 0.012, 0.2, 0);
        int64_t end = 0;
        for (int b = 0; b < beats; b++) {
            int64_t from[ECG_WAVES], to[ECG_WAVES];
            for (int w = 0; w < ECG_WAVES; w++) {
                ecg_wave_window(&from[w], &to[w], w, b, truth, beats, N, 100);
                assert_true(from[w] >= 0 && to[w] <= N);
            }
            assert_true(from[ECG_WAVE_P] >= end || from[ECG_WAVE_P] >= to[ECG_WAVE_P]);
            assert_true(to[ECG_WAVE_P] <= from[ECG_WAVE_QRS] || b == 0);
            assert_true(from[ECG_WAVE_QRS] <= truth[b] && truth[b] < to[ECG_WAVE_QRS]);
            assert_true(to[ECG_WAVE_QRS] <= from[ECG_WAVE_ST_T]);
            end = to[ECG_WAVE_ST_T] > from[ECG_WAVE_ST_T] ? to[ECG_WAVE_ST_T] : to[ECG_WAVE_QRS];
        }
    }
    int64_t from, to;
    const int64_t one = 500;
    ecg_wave_window(&from, &to, ECG_WAVE_ST_T, 0, &one, 1, N, 100); /* one beat: as at 60 a minute */
    assert_int_equal(from, 508);
    assert_int_equal(to, 545);
}

static double highest(const float *v, int lead, int64_t from, int64_t to)
{
    double most = -INFINITY;
    for (int64_t i = from; i < to; i++)
        most = fmax(most, (double)v[i * LEADS + lead]);
    return most;
}

static void what_is_taken_away_is_gone(void **state)
{
    (void)state;
    static const double peak[ECG_WAVES] = {-0.16, 0, 0.28};
    const int beats = make(1, 0.012, 0.3, 0);
    for (int wave = 0; wave < ECG_WAVES; wave++) {
        ecg_without_wave(y, x, N, LEADS, wave, truth, beats, 100);
        for (int b = 1; b < beats; b++)
            for (int other = 0; other < ECG_WAVES; other++) {
                const int64_t at = truth[b] + (int64_t)floor(100 * peak[other] + 0.5);
                if (at + 5 >= N)
                    continue;
                const double had = highest(x, 3, at - 3, at + 4), has = highest(y, 3, at - 3, at + 4);
                if (other == wave ? has > 0.25 * had : fabs(has - had) > 1e-6)
                    fail_msg("wave %d of beat %d: %g, without wave %d %g", other, b, had, wave, has);
            }
    }
    ecg_without_lead(y, room, x, N, LEADS, 2);
    for (int i = 0; i < N; i++)
        for (int l = 0; l < LEADS; l++)
            assert_true(l == 2 ? y[i * LEADS + l] == y[2] : y[i * LEADS + l] == x[i * LEADS + l]);
    assert_true(fabs((double)y[2]) < 0.05); /* between the waves, not their mean */
    /* what is missing stays missing, and does not reach what is not */
    x[(truth[2] - 8) * LEADS] = x[(truth[2] + 20) * LEADS] = NAN;
    ecg_without_wave(y, x, N, LEADS, ECG_WAVE_QRS, truth, beats, 100);
    for (int i = 0; i < N; i++)
        assert_int_equal(isnan(y[i * LEADS]), isnan(x[i * LEADS]));
    for (int i = 0; i < N; i++)
        x[i * LEADS + 1] = NAN;
    ecg_without_wave(y, x, N, LEADS, ECG_WAVE_QRS, truth, beats, 100);
    ecg_without_lead(y, room, x, N, LEADS, 1);
    assert_true(isnan(y[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beats_are_found),
        cmocka_unit_test(windows_do_not_overlap),
        cmocka_unit_test(what_is_taken_away_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
