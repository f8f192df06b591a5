/* SPDX-License-Identifier: MIT
 * The quality line: one fault each, and what it says about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ecg/record.h"

enum { N = 5000 };

/* Twelve leads of about 2 mV that obey Einthoven and Goldberger, at 500 Hz. */
static void make(ecg_record *rec)
{
    assert_int_equal(ecg_record_make(rec, ECG_LEADS, N, 500, NULL), ECG_OK);
    for (int l = 0; l < ECG_LEADS; l++) {
        snprintf(rec->lead[l].name, sizeof rec->lead[l].name, "%s", ecg_lead_names[l]);
        snprintf(rec->lead[l].unit, sizeof rec->lead[l].unit, "mV");
    }
    for (int t = 0; t < N; t++) {
        const double one = sin(0.013 * t) + 0.2 * sin(0.71 * t), two = cos(0.017 * t) + 0.2 * sin(0.9 * t);
        const double limb[6] = {one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2};
        for (int l = 0; l < ECG_LEADS; l++)
            rec->value[l * N + t] = (float)(l < 6 ? limb[l] : sin(0.01 * l * t) + 0.1 * cos(1.1 * t));
    }
}

static float *lead(ecg_record *rec, int l)
{
    return rec->value + l * N;
}

static void a_good_one(ecg_record *rec)
{
    (void)rec;
}

static void flat(ecg_record *rec)
{
    for (int t = 0; t < N; t++)
        lead(rec, ECG_V2)[t] = 0.25f;
}

static void invalid(ecg_record *rec)
{
    for (int t = 0; t < N; t++)
        lead(rec, ECG_V3)[t] = NAN;
}

static void missing(ecg_record *rec)
{
    for (int t = 0; t < 600; t++)
        lead(rec, ECG_V1)[t] = NAN;
}

static void one_missing(ecg_record *rec)
{
    lead(rec, ECG_V1)[77] = NAN;
}

static void lost(ecg_record *rec)
{
    snprintf(rec->lead[ECG_V6].name, sizeof rec->lead[0].name, "Resp");
}

static void derived(ecg_record *rec)
{
    rec->lead[ECG_III].name[0] = 0;
}

static void clipped(ecg_record *rec)
{
    for (int t = 0; t < 60; t++)
        lead(rec, ECG_V4)[10 * t] = (float)(3.5 + 0.01 * t);
}

static void saturated(ecg_record *rec)
{
    float *x = lead(rec, ECG_V5);
    for (int t = 0; t < N; t++)
        x[t] = fminf(x[t], -0.3f);
}

static void microvolt_as_millivolt(ecg_record *rec)
{
    for (int i = 0; i < ECG_LEADS * N; i++)
        rec->value[i] *= 1000;
}

static void volt_as_millivolt(ecg_record *rec)
{
    for (int i = 0; i < ECG_LEADS * N; i++)
        rec->value[i] /= 1000;
}

static void microvolt(ecg_record *rec)
{
    microvolt_as_millivolt(rec);
    for (int l = 0; l < ECG_LEADS; l++)
        snprintf(rec->lead[l].unit, sizeof rec->lead[l].unit, "uV");
}

static void no_voltage(ecg_record *rec)
{
    snprintf(rec->lead[ECG_V1].unit, sizeof rec->lead[0].unit, "mmHg");
}

static void one_spike(ecg_record *rec)
{
    lead(rec, ECG_V1)[5] = 3; /* touches the limit, does not exceed it, does not stay */
}

static void arms_swapped(ecg_record *rec)
{
    for (int t = 0; t < N; t++)
        lead(rec, ECG_III)[t] *= -1;
}

static void of_the_reader(ecg_record *rec)
{
    rec->warnings = ECG_WARN_CHECKSUM | ECG_WARN_NO_LENGTH;
}

static const struct {
    void (*fault)(ecg_record *rec);
    const char *why, *note;
    unsigned warnings;
    int found, flat, invalid;
} cases[] = {
    {a_good_one, "nothing to say", "", 0, 12, 0, 0},
    {flat, "a flat lead", "V2 flat", ECG_WARN_LEAD_FLAT, 12, 1, 0},
    {invalid, "an invalid lead", "V3 without a valid sample; 8.33 % missing", ECG_WARN_LEAD_INVALID | ECG_WARN_MISSING, 12, 0, 1},
    {missing, "a gap", "1 % missing", ECG_WARN_MISSING, 12, 0, 0},
    {one_missing, "one sample missing", "under 0.1 % missing", ECG_WARN_MISSING, 12, 0, 0},
    {lost, "a lost lead", "V6 not in the file", ECG_WARN_LEAD_LOST, 11, 0, 0},
    {derived, "a derived lead", "III derived", ECG_WARN_LEAD_LOST, 12, 0, 0},
    {clipped, "beyond 3 mV", "0.1 % beyond 3 mV", ECG_WARN_CLIPPED, 12, 0, 0},
    {saturated, "an amplifier at its limit", " at a lead's extreme", ECG_WARN_SATURATED, 12, 0, 0},
    {microvolt_as_millivolt, "microvolt written as millivolt", "mV does not fit the unit", ECG_WARN_UNIT | ECG_WARN_CLIPPED | ECG_WARN_EINTHOVEN, 12, 0, 0},
    {volt_as_millivolt, "volt written as millivolt", "mV does not fit the unit", ECG_WARN_UNIT, 12, 0, 0},
    {microvolt, "microvolt, and it says so", "", 0, 12, 0, 0},
    {no_voltage, "a unit that is no voltage", "V1 not a voltage", ECG_WARN_UNIT | ECG_WARN_LEAD_LOST, 11, 0, 0},
    {one_spike, "one sample at the limit", "", 0, 12, 0, 0},
    {arms_swapped, "II is not I + III", "II differs from I + III by ", ECG_WARN_EINTHOVEN, 12, 0, 0},
    {of_the_reader, "what the reader saw", "wrong checksum; sample count left out", ECG_WARN_CHECKSUM | ECG_WARN_NO_LENGTH, 12, 0, 0},
};

static void one_fault_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_record rec;
        ecg_quality q;
        make(&rec);
        cases[i].fault(&rec);
        ecg_record_quality(&q, &rec);
        const unsigned may = cases[i].fault == microvolt_as_millivolt ? ECG_WARN_EINTHOVEN : 0; /* rounding, a thousand times too large */
        if ((q.warnings | may) != (cases[i].warnings | may) || !strstr(q.note, cases[i].note))
            print_error("%s: 0x%x \"%s\"\n", cases[i].why, q.warnings, q.note);
        assert_int_equal(q.warnings | may, cases[i].warnings | may);
        assert_true(cases[i].note[0] ? strstr(q.note, cases[i].note) != NULL : q.note[0] == 0);
        assert_int_equal(q.leads_found, cases[i].found);
        assert_int_equal(q.leads_flat, cases[i].flat);
        assert_int_equal(q.leads_invalid, cases[i].invalid);
        assert_true(q.seconds == 10);
        ecg_record_clear(&rec);
    }
}

static void the_numbers(void **state)
{
    (void)state;
    ecg_record rec;
    ecg_quality q;
    make(&rec);
    missing(&rec);
    clipped(&rec);
    arms_swapped(&rec);
    ecg_record_quality(&q, &rec);
    assert_true(fabs(q.missing - 600.0 / (12 * N)) < 1e-15);
    assert_true(fabs(q.clipped - 60.0 / (12 * N)) < 1e-15);
    double gap[N];
    for (int t = 0; t < N; t++)
        gap[t] = fabs((double)lead(&rec, ECG_II)[t] - lead(&rec, ECG_I)[t] - lead(&rec, ECG_III)[t]);
    int below = 0, above = 0;
    for (int t = 0; t < N; t++) {
        below += gap[t] < q.einthoven_mv;
        above += gap[t] > q.einthoven_mv;
    }
    assert_int_equal(below, N / 2);
    assert_int_equal(above, N / 2);
    ecg_record_clear(&rec);
    make(&rec);
    rec.lead[ECG_III].name[0] = 0;
    ecg_record_quality(&q, &rec);
    assert_true(isnan(q.einthoven_mv)); /* a derived lead proves nothing */
    ecg_record_clear(&rec);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Samples in runs at an extreme, one after the other. */
static int64_t slow_resting(const float *x, int n, int shortest)
{
    float low = x[0], high = x[0];
    for (int t = 0; t < n; t++) {
        low = fminf(low, x[t]);
        high = fmaxf(high, x[t]);
    }
    int64_t sum = 0;
    for (int t = 0, end; t < n; t = end) {
        for (end = t + 1; end < n && x[end] == x[t]; end++)
            ;
        if (low < high && (x[t] == low || x[t] == high) && end - t >= shortest)
            sum += end - t;
    }
    return sum;
}

/* Coarse steps make equal values and runs, of every length from none on: the median of a sort, to the last bit. */
static void as_by_sorting_and_by_counting(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (int n = 0; n < 400; n++) {
        ecg_record rec;
        ecg_quality q;
        double gap[400];
        int64_t rest = 0;
        int missing = 0, clipped_samples = 0, gaps = 0;
        assert_int_equal(ecg_record_make(&rec, 3, n, 100, NULL), ECG_OK);
        for (int l = 0; l < 3; l++) {
            snprintf(rec.lead[l].name, sizeof rec.lead[l].name, "%s", ecg_lead_names[l]);
            snprintf(rec.lead[l].unit, sizeof rec.lead[l].unit, "mV");
            for (int t = 0; t < n; t++) {
                random = random * 1664525u + 1013904223u;
                const float x = (float)(random >> 16 & 31) * (n % 3 ? 0.25f : 0.0031f) - 2;
                rec.value[l * n + t] = t && (random >> 24) % 3 ? rec.value[l * n + t - 1] : x;
                if (n % 5 == 0 && l == 1 && (random >> 8 & 15) == 0)
                    rec.value[l * n + t] = NAN;
                missing += isnan(rec.value[l * n + t]) != 0;
                clipped_samples += fabsf(rec.value[l * n + t]) > 3;
            }
            if (n)
                rest += slow_resting(rec.value + l * n, n, 5);
        }
        for (int t = 0; t < n; t++) {
            gap[gaps] = fabs((double)rec.value[n + t] - rec.value[t] - rec.value[2 * n + t]);
            gaps += !isnan(gap[gaps]);
        }
        qsort(gap, (size_t)gaps, sizeof *gap, ascending);
        ecg_record_quality(&q, &rec);
        if (gaps)
            assert_true(q.einthoven_mv == (gaps % 2 ? gap[gaps / 2] : (gap[gaps / 2 - 1] + gap[gaps / 2]) / 2));
        else
            assert_true(isnan(q.einthoven_mv));
        assert_true(n == 0 || q.missing == (double)missing / (3.0 * n));
        assert_true(n == 0 || q.clipped == (double)clipped_samples / (3.0 * n));
        if (n % 5) /* fminf of NAN is another rule */
            assert_true(n == 0 || q.saturated == (double)rest / (3.0 * n));
        ecg_record_clear(&rec);
    }
}

static void leads_resting_at_an_extreme(void **state)
{
    (void)state;
    static const struct { const char *why; int run; double rate; bool counts; } runs[] = {
        {"24 of 500 Hz: under 50 ms", 24, 500, false},
        {"25 of 500 Hz", 25, 500, true},
        {"5 of 100 Hz", 5, 100, true},
        {"2 of 10 Hz: never under three", 2, 10, false},
        {"3 of 10 Hz", 3, 10, true},
        {"no rate at all", 3, 0, true},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (int sign = -1; sign <= 1; sign += 2) {
            ecg_record rec;
            ecg_quality q;
            make(&rec);
            rec.rate_hz = runs[i].rate;
            for (int t = 0; t < runs[i].run; t++) /* at the end of the lead, the other extreme just before */
                lead(&rec, ECG_V1)[N - 1 - t] = (float)(2 * sign);
            lead(&rec, ECG_V1)[N - 1 - runs[i].run] = (float)(-2 * sign);
            ecg_record_quality(&q, &rec);
            if (runs[i].counts != (q.saturated > 0))
                print_error("%s\n", runs[i].why);
            assert_true(fabs(q.saturated - (runs[i].counts ? runs[i].run / (12.0 * N) : 0)) < 1e-15);
            ecg_record_clear(&rec);
        }
}

static void empty_and_crowded(void **state)
{
    (void)state;
    ecg_record rec;
    ecg_quality q;
    assert_int_equal(ecg_record_make(&rec, 1, 0, 500, NULL), ECG_OK);
    ecg_record_quality(&q, &rec);
    assert_int_equal(q.leads_found, 0);
    assert_int_equal(q.warnings, ECG_WARN_LEAD_LOST);
    assert_true(q.missing == 0 && q.seconds == 0 && isnan(q.einthoven_mv));
    ecg_record_clear(&rec);
    make(&rec); /* everything at once: the note ends in time */
    microvolt_as_millivolt(&rec);
    flat(&rec);
    invalid(&rec);
    missing(&rec);
    no_voltage(&rec);
    saturated(&rec);
    arms_swapped(&rec);
    derived(&rec);
    rec.warnings = ~0u >> 1;
    ecg_record_quality(&q, &rec);
    assert_true(strlen(q.note) > 200 && strlen(q.note) < sizeof q.note);
    ecg_record_clear(&rec);
}

static void every_warning_has_a_text(void **state)
{
    (void)state;
    for (unsigned bit = ECG_WARN_CHECKSUM; bit <= ECG_WARN_MISSING; bit <<= 1) {
        assert_true(strlen(ecg_warning_text(bit)) > 5);
        for (unsigned other = ECG_WARN_CHECKSUM; other < bit; other <<= 1)
            assert_string_not_equal(ecg_warning_text(bit), ecg_warning_text(other));
    }
    assert_string_equal(ecg_warning_text(ECG_WARN_MISSING << 1), "");
    assert_string_equal(ecg_warning_text(0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fault_each),
        cmocka_unit_test(the_numbers),
        cmocka_unit_test(as_by_sorting_and_by_counting),
        cmocka_unit_test(leads_resting_at_an_extreme),
        cmocka_unit_test(empty_and_crowded),
        cmocka_unit_test(every_warning_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
