/* SPDX-License-Identifier: MIT
 * Preparation against the protocol's numbers and against the rule of the resampler written down once more, slowly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ecg/prepare.h"

static const double pi = 3.14159265358979323846;

/* ---- the resampler -------------------------------------------------------------------------------------------------------- */

/* protocol.md 2.2: h[i] by the C library, without any table */
static double filter(int i, double scale)
{
    const double rho = 0.9173473712608761, beta = 12.984585247040012, x = rho * i / 8192, u = i / 409600.0;
    double i0[2] = {1, 1}, arg[2] = {beta * sqrt(u < 1 ? 1 - u * u : 0), beta}, term[2] = {1, 1};
    for (int k = 1; k < 60; k++)
        for (int j = 0; j < 2; j++)
            i0[j] += term[j] *= arg[j] * arg[j] / 4 / k / k;
    return i > 409600 ? 0 : scale * rho * (i ? sin(pi * x) / (pi * x) : 1) * i0[0] / i0[1];
}

static double at(double position, double scale)
{
    const int i = (int)position;
    return filter(i, scale) + (position - i) * (i < 409600 ? filter(i + 1, scale) - filter(i, scale) : 0);
}

/* Output t by the rule of the protocol, one sample after the other. */
static double slow_output(const double *x, int64_t n_in, double fs, double rate, int64_t t)
{
    const double ratio = rate / fs, scale = ratio < 1 ? ratio : 1, tau = (double)t * (1 / ratio);
    const int step = (int)(scale * 8192);
    const int64_t n = (int64_t)floor(tau);
    const double left = scale * (tau - (double)n) * 8192, right = (scale - scale * (tau - (double)n)) * 8192;
    double y = 0;
    for (int64_t i = 0; i < n + 1 && i < (409601 - (int)left) / step; i++)
        y += x[n - i] * at(left + (double)(i * step), scale);
    for (int64_t k = 0; k < n_in - n - 1 && k < (409601 - (int)right) / step; k++)
        y += x[n + 1 + k] * at(right + (double)(k * step), scale);
    return y;
}

static void numbers_of_the_protocol(void **state)
{
    (void)state;
    double x[5000], y[1000];
    static const struct { int t; double wave, ones; } want[] = {
        {0, 0.10471987867719312, 0.5918124339682053}, {1, 0.41411149861538443, 1.0907506385864907}, {500, 0.3000599519939473, 1.0001997808286471},
        {999, 0.2536805815449585, 1.0744077032653143}, {2, 0.4510533793330088, NAN}, {50, -0.5091156049871165, NAN}, {998, 0.12265193735662544, NAN},
    };
    ecg_resampler *r;
    assert_int_equal(ecg_resampler_new(&r, 500, 100, NULL), ECG_OK);
    for (int pass = 0; pass < 2; pass++) {
        for (int n = 0; n < 5000; n++)
            x[n] = pass ? 1 : sin(2 * pi * 1.3 * n / 500) + 0.1 * (n % 7);
        ecg_resample(y, x, 5000, r);
        for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
            const double w = pass ? want[i].ones : want[i].wave;
            if (!isnan(w))
                assert_true(fabs(y[want[i].t] - w) < 5e-15);
        }
    }
    /* an impulse shows the weights: the left wing at 5t - i, the right one at 5t + 1 + k */
    static const double left[] = {0.18346947425217522, 0.17346564458284322, 0.14540989319755201, 0.10471419969445457};
    static const double right[] = {0.1734608388615482, 0.1454012197003466, 0.10470331341802615};
    for (int i = -3; i <= 3; i++) {
        memset(x, 0, sizeof x);
        x[2500 + i] = 1;
        ecg_resample(y, x, 5000, r);
        assert_true(fabs(y[500] - (i > 0 ? right[i - 1] : left[-i])) < 1e-15);
    }
    ecg_resampler_free(r);
}

static void any_rate_follows_the_general_rule(void **state)
{
    (void)state;
    static const struct { const char *why; double fs, rate; int64_t n_in, n_out; } cases[] = {
        {"the usual one", 500, 100, 1501, 300},
        {"whole ratio", 1000, 100, 2003, 200},
        {"half ratio", 250, 100, 601, 240},
        {"25 phases", 128, 100, 384, 300},
        {"100 phases", 257, 100, 771, 300},
        {"3.6 is no binary number", 360, 100, 1100, 305},
        {"not whole in Hz", 333.3, 100, 900, 270},
        {"3 is, its inverse is not", 300, 100, 901, 300},
        {"up", 50, 100, 160, 320},
        {"up by no whole number", 75, 100, 100, 133},
        {"1 Hz is the slowest", 1, 100, 3, 300},
        {"the fastest", 12800, 100, 5000, 39},
        {"shorter than the filter", 500, 100, 11, 2},
        {"one sample", 500, 100, 1, 0},
        {"nothing", 500, 100, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double *x = malloc(sizeof *x * (size_t)(cases[i].n_in + 1)), *y = malloc(sizeof *y * (size_t)(cases[i].n_out + 1));
        for (int64_t n = 0; n < cases[i].n_in; n++)
            x[n] = sin(0.37 * (double)n) + 0.1 * (double)(n % 7);
        ecg_resampler *r;
        assert_int_equal(ecg_resampler_new(&r, cases[i].fs, cases[i].rate, NULL), ECG_OK);
        assert_int_equal(ecg_resampled_length(cases[i].n_in, cases[i].fs, cases[i].rate), cases[i].n_out);
        ecg_resample(y, x, cases[i].n_in, r);
        for (int64_t t = 0; t < cases[i].n_out; t += 1 + (t > 30 && t < cases[i].n_out - 20) * 6) {
            const double want = slow_output(x, cases[i].n_in, cases[i].fs, cases[i].rate, t);
            if (fabs(y[t] - want) > 1e-12)
                print_error("%s, output %d: %.17g, not %.17g\n", cases[i].why, (int)t, y[t], want);
            assert_true(fabs(y[t] - want) <= 1e-12);
        }
        ecg_resampler_free(r);
        free(x);
        free(y);
    }
}

static void rates_without_a_way(void **state)
{
    (void)state;
    static const double bad[][2] = {{0, 100}, {-500, 100}, {NAN, 100}, {INFINITY, 100}, {500, 0}, {500, NAN}, {1e9, 100}, {1e-3, 100}, {12801, 100}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ecg_resampler *r;
        ecg_err err;
        assert_int_equal(ecg_resampler_new(&r, bad[i][0], bad[i][1], &err), ECG_EARG);
        assert_null(r);
        assert_int_equal(ecg_resampled_length(5000, bad[i][0], bad[i][1]), 0);
    }
}

static void equal_rates_copy(void **state)
{
    (void)state;
    double x[100], y[100];
    for (int n = 0; n < 100; n++)
        x[n] = sin(n);
    ecg_resampler *r;
    assert_int_equal(ecg_resampler_new(&r, 100, 100, NULL), ECG_OK);
    ecg_resample(y, x, 100, r);
    assert_memory_equal(x, y, sizeof x);
    ecg_resampler_free(r);
}

/* The way for twelve leads at once, in blocks, gives what one lead alone gives. */
/* Recordings that are shorter than the filter, and outputs that do not fill a group: where some outputs have fewer taps than others. */
static void short_ones_together_and_alone(void **state)
{
    (void)state;
    enum { LONGEST = 2600 };
    static const double rates[] = {500, 200, 1000};
    static float x[12][LONGEST], all[12 * LONGEST];
    static double one[LONGEST], y[LONGEST];
    const float *lead[12];
    for (int l = 0; l < 12; l++) {
        lead[l] = x[l];
        for (int n = 0; n < LONGEST; n++)
            x[l][n] = (float)cos(0.03 * (l + 1) * n + l);
    }
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        ecg_resampler *r;
        assert_int_equal(ecg_resampler_new(&r, rates[i], 100, NULL), ECG_OK);
        for (int n_in = 1; n_in <= LONGEST; n_in += n_in < 60 ? 1 : 127) {
            const int64_t n_out = ecg_resampled_length(n_in, rates[i], 100);
            assert_int_equal(ecg_resample_leads(all, lead, 12, n_in, r, NULL), ECG_OK);
            for (int l = 0; l < 12; l += 11) {
                for (int n = 0; n < n_in; n++)
                    one[n] = (double)x[l][n];
                ecg_resample(y, one, n_in, r);
                for (int64_t t = 0; t < n_out; t++)
                    assert_true(all[t * 12 + l] == (float)y[t]);
            }
        }
        ecg_resampler_free(r);
    }
}

static void leads_together_and_alone(void **state)
{
    (void)state;
    enum { N = 3777 };
    static const double rates[] = {500, 257, 100, 40};
    static float x[12][N];
    const float *lead[12];
    for (int l = 0; l < 12; l++) {
        lead[l] = x[l];
        for (int n = 0; n < N; n++)
            x[l][n] = (float)sin(0.01 * (l + 1) * n + l);
    }
    x[4][1000] = NAN;
    lead[7] = NULL;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        const int64_t n_out = ecg_resampled_length(N, rates[i], 100);
        float *all = malloc(sizeof *all * 12 * (size_t)n_out), *five = malloc(sizeof *five * 5 * (size_t)n_out);
        double one[N], *y = malloc(sizeof *y * (size_t)n_out);
        ecg_resampler *r;
        assert_int_equal(ecg_resampler_new(&r, rates[i], 100, NULL), ECG_OK);
        assert_int_equal(ecg_resample_leads(all, lead, 12, N, r, NULL), ECG_OK);
        assert_int_equal(ecg_resample_leads(five, lead, 5, N, r, NULL), ECG_OK);
        for (int l = 0; l < 12; l++) {
            for (int n = 0; n < N; n++)
                one[n] = lead[l] ? (double)lead[l][n] : 0;
            ecg_resample(y, one, N, r);
            for (int64_t t = 0; t < n_out; t++) {
                const float want = (float)y[t];
                assert_memory_equal(&all[t * 12 + l], &want, sizeof want);
                if (l < 5)
                    assert_memory_equal(&five[t * 5 + l], &want, sizeof want);
            }
        }
        ecg_resampler_free(r);
        free(all);
        free(five);
        free(y);
    }
}

/* Blocks of outputs go to threads; every block is what it is alone. Whole and fractional taus, more outputs than a block has and fewer. */
static void threads_do_not_matter(void **state)
{
    (void)state;
    enum { N = 9001 };
    static float x[12][N];
    static const struct { double rate; int leads; int64_t n; } cases[] = {{500, 12, N}, {500, 7, N}, {257, 12, N}, {100, 12, N}, {500, 12, 90}};
    const float *lead[12];
    for (int l = 0; l < 12; l++) {
        lead[l] = x[l];
        for (int n = 0; n < N; n++)
            x[l][n] = (float)sin(0.013 * (l + 1) * n + l);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int leads = cases[i].leads;
        const size_t bytes = sizeof(float) * (size_t)leads * (size_t)ecg_resampled_length(cases[i].n, cases[i].rate, 100);
        float *alone = malloc(bytes), *y = malloc(bytes);
        ecg_resampler *r;
        assert_int_equal(ecg_resampler_new(&r, cases[i].rate, 100, NULL), ECG_OK);
        assert_int_equal(ecg_resample_leads(alone, lead, leads, cases[i].n, r, NULL), ECG_OK);
        for (int threads = 1; threads < 10; threads += threads / 2 + 1) {
            ecg_pool *pool = ecg_pool_new(threads);
            const int stripes = ecg_resample_stripes(pool);
            assert_true(stripes >= 1 && stripes <= threads && stripes <= ECG_RESAMPLE_STRIPES);
            double *room = malloc(sizeof *room * (size_t)stripes * ecg_resample_room(r, leads));
            memset(y, 0xff, bytes);
            ecg_resample_leads_in(y, lead, leads, cases[i].n, r, room, pool);
            assert_memory_equal(y, alone, bytes);
            free(room);
            ecg_pool_free(pool);
        }
        ecg_resampler_free(r);
        free(alone);
        free(y);
    }
}

/* ---- gaps and clipping ---------------------------------------------------------------------------------------------------- */

#define _ NAN
static void gaps_and_clipping(void **state)
{
    (void)state;
    static const struct { const char *why; float x[6], want[6]; } cases[] = {
        {"nothing to do", {1, 2, 3, 2, 1, 0}, {1, 2, 3, 2, 1, 0}},
        {"clip both ways", {5, -5, 3, -3, 3.01f, 0}, {3, -3, 3, -3, 3, 0}},
        {"a gap in the middle", {1, _, _, 4, 0, 0}, {1, 2, 3, 3, 0, 0}},
        {"the line is drawn before clipping", {0, _, _, 6, 0, 0}, {0, 2, 3, 3, 0, 0}},
        {"the end repeats", {1, 2, 1, _, _, _}, {1, 2, 1, 1, 1, 1}},
        {"the beginning stays missing", {_, _, 1, _, 3, 9}, {_, _, 1, 2, 3, 3}},
        {"one sample", {_, _, 2, _, _, _}, {_, _, 2, 2, 2, 2}},
        {"none", {_, _, _, _, _, _}, {_, _, _, _, _, _}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float x[6];
        memcpy(x, cases[i].x, sizeof x);
        ecg_clean(x, 6, 3);
        for (int t = 0; t < 6; t++) {
            if (isnan(x[t]) != isnan(cases[i].want[t]) || (!isnan(x[t]) && x[t] != cases[i].want[t]))
                print_error("%s: sample %d is %g\n", cases[i].why, t, (double)x[t]);
            assert_true(isnan(x[t]) == isnan(cases[i].want[t]) && (isnan(x[t]) || x[t] == cases[i].want[t]));
        }
    }
    float loud[1] = {9};
    ecg_clean(loud, 1, 0);
    assert_true(loud[0] == 9);
}

/* ---- a recording ---------------------------------------------------------------------------------------------------------- */

static void make(ecg_record *rec, const char *const *names, int leads, int64_t n, double rate, uint32_t seed)
{
    assert_int_equal(ecg_record_make(rec, leads, n, rate, NULL), ECG_OK);
    for (int l = 0; l < leads; l++) {
        snprintf(rec->lead[l].name, sizeof rec->lead[l].name, "%s", names[l]);
        snprintf(rec->lead[l].unit, sizeof rec->lead[l].unit, "mV");
        for (int64_t t = 0; t < n; t++) {
            seed = seed * 1664525 + 1013904223;
            rec->value[l * n + t] = (float)((int)(seed >> 16) % 2000 - 1000) / 250;
        }
    }
}

static const char *const file_order[12] = {"I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"};

static float *prepare(const ecg_record *rec, unsigned *found, int64_t *n_out)
{
    ecg_contract c;
    ecg_err err;
    ecg_contract_default(&c);
    *n_out = ecg_prepared_samples(&c, rec);
    float *y = malloc(sizeof *y * 12 * (size_t)(*n_out + 1));
    assert_int_equal(ecg_prepare(y, found, &c, rec, &err), ECG_OK);
    return y;
}

/* By name, not by position: shuffled leads, other units and other company give the same bytes. */
static void order_of_leads_does_not_matter(void **state)
{
    (void)state;
    enum { N = 2600 };
    ecg_record a, b;
    make(&a, file_order, 12, N, 500, 7);
    for (int t = 100; t < 130; t++)
        a.value[3 * N + t] = a.value[5 * N + t - 100] = NAN;
    static const int shuffled[13] = {12, 5, 11, 3, 1, 0, 7, 2, 6, 10, 8, 4, 9}; /* 12: a signal that is no lead */
    const char *names[13];
    for (int l = 0; l < 13; l++)
        names[l] = shuffled[l] < 12 ? file_order[shuffled[l]] : "Resp";
    make(&b, names, 13, N, 500, 8);
    for (int l = 0; l < 13; l++)
        if (shuffled[l] < 12)
            memcpy(b.value + l * N, a.value + shuffled[l] * N, sizeof(float) * N);
        else
            b.value[l * N + 5] = NAN;
    unsigned found_a, found_b;
    int64_t n_a, n_b;
    float *x = prepare(&a, &found_a, &n_a), *y = prepare(&b, &found_b, &n_b), *again = prepare(&a, &found_a, &n_a);
    assert_int_equal(n_a, 520);
    assert_int_equal(n_b, 520);
    assert_int_equal(found_a, 4095);
    assert_int_equal(found_b, 4095);
    assert_memory_equal(x, y, sizeof(float) * 12 * 520);
    assert_memory_equal(x, again, sizeof(float) * 12 * 520); /* and nothing is remembered from record to record */
    free(x);
    free(y);
    free(again);
    ecg_record_clear(&a);
    ecg_record_clear(&b);
}

static void order_unit_and_absent_leads(void **state)
{
    (void)state;
    enum { N = 100 };
    static const char *const names[4] = {"V1", "II", "I", "V6"};
    ecg_record rec;
    make(&rec, names, 4, N, 100, 3); /* 100 Hz: values go through unchanged but for clipping */
    snprintf(rec.lead[0].unit, sizeof rec.lead[0].unit, "uV");
    for (int t = 0; t < N; t++)
        rec.value[3 * N + t] = NAN;
    unsigned found;
    int64_t n;
    float *y = prepare(&rec, &found, &n);
    assert_int_equal(n, N);
    assert_int_equal(found, 1 << ECG_I | 1 << ECG_II | 1 << ECG_III | 1 << ECG_AVR | 1 << ECG_AVL | 1 << ECG_AVF | 1 << ECG_V1 | 1 << ECG_V6);
    for (int t = 0; t < N; t++) {
        const float one = rec.value[2 * N + t], two = rec.value[N + t];
        const float *row = y + t * 12; /* I II V1 V2 V3 V4 V5 V6 III aVR aVL aVF */
        assert_true(row[0] == fmaxf(-3, fminf(3, one)));
        assert_true(row[1] == fmaxf(-3, fminf(3, two)));
        assert_true(fabsf(row[2] - rec.value[t] / 1000) < 1e-7f);
        for (int l = 3; l < 7; l++)
            assert_true(row[l] == 0); /* V2 .. V5 are not there */
        assert_true(isnan(row[7]));   /* V6 is, and holds nothing */
        assert_true(fabsf(row[8] - fmaxf(-3, fminf(3, two - one))) < 1e-6f);
        assert_true(fabsf(row[9] + (one + two) / 2) < 1e-6f || fabsf(row[9]) == 3);
    }
    free(y);
    ecg_record_clear(&rec);
}

/* protocol.md 2.1, step 5: a gap at the beginning reaches every output t with 5t - 249 <= its last index. */
static void a_gap_at_the_beginning_spreads(void **state)
{
    (void)state;
    enum { N = 2500, LAST_MISSING = 40 };
    ecg_record rec;
    make(&rec, file_order, 12, N, 500, 5);
    for (int t = 0; t <= LAST_MISSING; t++)
        rec.value[t] = NAN;
    unsigned found;
    int64_t n;
    float *y = prepare(&rec, &found, &n);
    for (int64_t t = 0; t < n; t++) {
        assert_int_equal(isnan(y[t * 12]) != 0, 5 * t - 249 <= LAST_MISSING);
        assert_false(isnan(y[t * 12 + 1]));
    }
    free(y);
    ecg_record_clear(&rec);
}

static void a_contract_of_other_leads(void **state)
{
    (void)state;
    ecg_contract c;
    ecg_record rec;
    ecg_err err;
    unsigned found;
    float y[3 * 50];
    make(&rec, file_order, 12, 100, 200, 9);
    ecg_contract_default(&c);
    c.leads = 3;
    snprintf(c.lead[0], sizeof c.lead[0], "V6");
    snprintf(c.lead[1], sizeof c.lead[1], "I");
    snprintf(c.lead[2], sizeof c.lead[2], "aVL");
    assert_int_equal(ecg_prepare(y, &found, &c, &rec, &err), ECG_OK);
    int64_t n;
    float *all = prepare(&rec, &found, &n);
    for (int t = 0; t < 50; t++) {
        assert_true(y[t * 3] == all[t * 12 + 7]);
        assert_true(y[t * 3 + 1] == all[t * 12]);
        assert_true(y[t * 3 + 2] == all[t * 12 + 10]);
    }
    free(all);
    snprintf(c.lead[2], sizeof c.lead[2], "V9");
    assert_int_equal(ecg_prepare(y, &found, &c, &rec, &err), ECG_ECONTRACT);
    snprintf(c.lead[2], sizeof c.lead[2], "II");
    rec.rate_hz = NAN;
    assert_int_equal(ecg_prepared_samples(&c, &rec), 0);
    assert_int_equal(ecg_prepare(y, &found, &c, &rec, &err), ECG_EARG);
    ecg_record_clear(&rec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_the_protocol),
        cmocka_unit_test(any_rate_follows_the_general_rule),
        cmocka_unit_test(rates_without_a_way),
        cmocka_unit_test(equal_rates_copy),
        cmocka_unit_test(short_ones_together_and_alone),
        cmocka_unit_test(leads_together_and_alone),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(gaps_and_clipping),
        cmocka_unit_test(order_of_leads_does_not_matter),
        cmocka_unit_test(order_unit_and_absent_leads),
        cmocka_unit_test(a_gap_at_the_beginning_spreads),
        cmocka_unit_test(a_contract_of_other_leads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
