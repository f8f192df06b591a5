/* SPDX-License-Identifier: MIT
 * Pictures mean what they say: rate, PR, QRS, QT, T and axis found in the samples of synthetic recordings against the parameters that they
 * were drawn from. The delineator is not told anything and is not calibrated on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cohort/delineate.h"
#include "cohort/synth_tables.h"
#include "ecg/record.h"

enum { PEOPLE = 360, MOST = PEOPLE };

static const int lead_of_column[ECG_SYNTH_LEADS] = {ECG_I, ECG_II, ECG_III, ECG_AVR, ECG_AVF, ECG_AVL, ECG_V1, ECG_V2, ECG_V3, ECG_V4, ECG_V5, ECG_V6};
static const struct {
    const char *name;
    double most, tail, lean; /* what is allowed: median absolute error, its 90th percentile, median error */
} bound[] = {{"heart rate, beats/min", 0.5, 5, 0.3}, {"PR, ms", 7, 15, 6}, {"QRS, ms", 6, 10, 5}, {"QT, ms", 5, 12, 4},
             {"T in II, mV", 0.03, 0.1, 0.01}, {"T in V4, mV", 0.03, 0.1, 0.01}, {"frontal axis, degrees", 3, 8, 1.5}};
enum { FIGURES = sizeof bound / sizeof *bound };

static double error[FIGURES][MOST], seen[FIGURES][MOST], truth[FIGURES][MOST];
static int errors[FIGURES];

static void note(int figure, double found, double meant)
{
    if (isnan(found))
        return;
    double e = found - meant;
    if (figure == FIGURES - 1) /* degrees go round */
        e -= 360 * floor((e + 180) / 360);
    seen[figure][errors[figure]] = found;
    truth[figure][errors[figure]] = meant;
    error[figure][errors[figure]++] = e;
}

static double in_lead(int row, ecg_vec3 v)
{
    return ecg_synth_dower[row][0] * v.x + ecg_synth_dower[row][1] * v.y + ecg_synth_dower[row][2] * v.z;
}

/* Of the areas of the bumps in I and aVF. */
static double true_axis(const ecg_take *t)
{
    double one = 0, two = 0;
    for (int i = 0; i < t->qrs_bumps; i++) {
        const double width = t->qrs[i].rise + t->qrs[i].fall;
        one += width * in_lead(0, t->qrs[i].at);
        two += width * in_lead(1, t->qrs[i].at);
    }
    return atan2((two - one / 2) * 2 / sqrt(3), one) * 180 / 3.14159265358979323846;
}

/* The T wave that was drawn, and what its slow beginning and the end of the ST segment add under its peak. */
static double true_t(int row, const ecg_take *t)
{
    return in_lead(row, t->t) * (1 + 0.15 * t->ramp) + in_lead(row, t->st) / (1 + exp(0.3 * t->t_rise / 28));
}

static bool recording(delineation *d, const ecg_synth *s, const ecg_patient *p, const ecg_visit *v, const ecg_take *t)
{
    static ecg_synth_room room;
    static int16_t x[ECG_SYNTH_SAMPLES][ECG_SYNTH_LEADS];
    static float mv[ECG_LEADS][ECG_SYNTH_SAMPLES];
    ecg_synth_wave(x, &room, s, p, v, t);
    for (int c = 0; c < ECG_SYNTH_LEADS; c++)
        for (int i = 0; i < ECG_SYNTH_SAMPLES; i++)
            mv[lead_of_column[c]][i] = x[i][c] == -32768 ? NAN : (float)x[i][c] / 200;
    return delineate(d, mv[0], ECG_SYNTH_SAMPLES);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n ? x[n / 2] : NAN;
}

static double correlation(const double *x, const double *y, int n)
{
    double sx = 0, sy = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n; i++)
        sx += x[i], sy += y[i], xx += x[i] * x[i], yy += y[i] * y[i], xy += x[i] * y[i];
    return (xy - sx * sy / n) / sqrt((xx - sx * sx / n) * (yy - sy * sy / n));
}

static void parameters_are_found_in_the_samples(void **state)
{
    (void)state;
    static ecg_synth s;
    static ecg_course c;
    static delineation d;
    ecg_synth_options o;
    ecg_synth_defaults(&o);
    o.seed = 3;
    ecg_synth_begin(&s, &o);
    int tried = 0;
    for (uint32_t p = 1; p <= PEOPLE; p++) {
        ecg_synth_course(&c, &s, p);
        const ecg_visit *v = &c.stay[0].v;
        const ecg_take *t = &c.stay[0].take;
        if (v->paced > 0 || v->afib > 0 || t->lead_off >= 0 || t->lead_flat >= 0)
            continue;
        tried++;
        if (!recording(&d, &s, &c.p, v, t))
            continue;
        const double mean_rr = 60 / v->hr;
        note(0, d.rate, v->hr);
        note(1, d.qrs_on - d.p_on, t->PR);
        note(2, d.qrs_off - d.qrs_on, t->QRSd);
        note(3, d.t_end - d.qrs_on, t->QTc - 154 * (1 - mean_rr));
        note(4, d.t[ECG_II], true_t(1, t));
        note(5, d.t[ECG_V4], true_t(5, t));
        note(6, d.axis, true_axis(t));
    }
    assert_true(tried > 280);
    int beyond = 0;
    print_message("# %d recordings in sinus rhythm, --noise %g: found against drawn\n", tried, o.noise);
    for (int f = 0; f < FIGURES; f++) {
        const int n = errors[f];
        const double r = correlation(seen[f], truth[f], n);
        double size[MOST];
        for (int i = 0; i < n; i++)
            size[i] = fabs(error[f][i]);
        const double lean = median(error[f], n), typical = median(size, n), tail = size[n * 9 / 10];
        print_message("# %-22s n %3d, median absolute error %.3g, 9 in 10 below %.3g, median error %+.3g, correlation %.3f\n", bound[f].name, n, typical, tail, lean, r);
        beyond += !(n >= tried * 97 / 100 && typical <= bound[f].most && tail <= bound[f].tail && fabs(lean) <= bound[f].lean);
    }
    assert_int_equal(beyond, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parameters_are_found_in_the_samples)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
