/* SPDX-License-Identifier: MIT
 * delineate.c: find the QRS complexes, level each beat before its QRS, take the median beat, and look for the bounds of its waves.
 *
 * Steepness (length of the change of the eight independent leads) finds the QRS and its bounds. P and T are seen along their own
 * direction in the space of the leads, where they are largest; their far bounds are tangents at the steepest point. */
#include "cohort/delineate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ecg/record.h"

enum { MS = 2 /* per sample */, MOST = 10000, LEADS = 8 };

static const int lead_of[LEADS] = {ECG_I, ECG_II, ECG_V1, ECG_V2, ECG_V3, ECG_V4, ECG_V5, ECG_V6};

typedef struct {
    float *x;      /* (12, n), own copy */
    int n;
    int at[BEATS]; /* R of each beat */
    bool alike[BEATS];
    int beats;
} trace;

static float median(float *v, int n)
{
    for (int i = 1; i < n; i++) {
        const float x = v[i];
        int k = i;
        for (; k > 0 && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
    return n % 2 ? v[n / 2] : 0.5f * (v[n / 2 - 1] + v[n / 2]);
}

static double mean_of(const float *x, int from, int to)
{
    double sum = 0;
    for (int i = from; i < to; i++)
        sum += (double)x[i];
    return sum / (to - from);
}

/* ---- beats ---------------------------------------------------------------------------------------------------------------- */

/* Steepness over 16 ms, summed over 60. */
static void fill_activity(float *out, const trace *t)
{
    float *raw = calloc((size_t)t->n, sizeof *raw);
    for (int i = 4; i + 4 < t->n; i++) {
        float sum = 0;
        for (int l = 0; l < LEADS; l++) {
            const float *x = t->x + (int64_t)lead_of[l] * t->n, d = x[i + 4] - x[i - 4];
            sum += d * d;
        }
        raw[i] = sqrtf(sum);
    }
    for (int i = 0; i < t->n; i++) {
        const int from = i < 15 ? 0 : i - 15, to = i + 15 < t->n ? i + 15 : t->n;
        out[i] = (float)mean_of(raw, from, to);
    }
    free(raw);
}

/* Threshold: 0.4 of the median of the largest activity of every second. A beat is the top of what lies above; 240 ms apart. */
static void find_beats(trace *t)
{
    float *activity = malloc((size_t)t->n * sizeof *activity), top[MOST / 500 + 1];
    fill_activity(activity, t);
    int seconds = 0;
    for (int from = 0; from + 500 <= t->n; from += 500) {
        top[seconds] = 0;
        for (int i = from; i < from + 500; i++)
            top[seconds] = fmaxf(top[seconds], activity[i]);
        seconds++;
    }
    const float threshold = 0.4f * median(top, seconds);
    t->beats = 0;
    for (int i = 0; i < t->n && t->beats < BEATS; i++) {
        if (activity[i] < threshold)
            continue;
        int best = i;
        for (int end = i + 60; i < t->n && (activity[i] >= threshold || i < end); i++)
            best = activity[i] > activity[best] ? i : best;
        if (t->beats && best - t->at[t->beats - 1] < 120)
            continue;
        t->at[t->beats++] = best;
    }
    free(activity);
}

static bool fits(const trace *t, int at)
{
    return at >= BEAT_BEFORE && at + BEAT_AFTER <= t->n;
}

/* The median over the alike beats, each minus the line through its own level and the next beat's, `level` samples before R. */
static int take_median(delineation *d, const trace *t, int level)
{
    int used[BEATS], n = 0;
    for (int k = 0; k < t->beats; k++)
        if (t->alike[k] && fits(t, t->at[k]))
            used[n++] = k;
    if (n < 3)
        return n;
    for (int l = 0; l < 12; l++) {
        const float *x = t->x + (int64_t)l * t->n;
        double here[BEATS], slope[BEATS];
        for (int u = 0; u < n; u++) {
            const int k = used[u], at = t->at[k] - level;
            here[u] = mean_of(x, at - 3, at + 3);
            const int other = k + 1 < t->beats ? k + 1 : k - 1, there = t->at[other] - level;
            slope[u] = there >= 3 && t->alike[other] ? (mean_of(x, there - 3, there + 3) - here[u]) / (there - at) : 0;
        }
        for (int i = 0; i < BEAT; i++) {
            float v[BEATS];
            for (int u = 0; u < n; u++)
                v[u] = x[t->at[used[u]] - BEAT_BEFORE + i] - (float)(here[u] + slope[u] * (i - BEAT_BEFORE + level));
            d->beat[l][i] = median(v, n);
        }
    }
    return n;
}

/* Correlation of the 160 ms about R with the median beat, shifted by at most 30 ms to where it is best. */
static double align(int *at, const delineation *d, const trace *t)
{
    enum { HALF = 40, SHIFT = 15 };
    double best = -1;
    int to = *at;
    for (int shift = -SHIFT; shift <= SHIFT; shift++) {
        const int from = *at + shift - HALF;
        if (from < 0 || from + 2 * HALF > t->n)
            continue;
        double xy = 0, xx = 0, yy = 0;
        for (int l = 0; l < LEADS; l++) {
            const float *x = t->x + (int64_t)lead_of[l] * t->n + from, *y = d->beat[lead_of[l]] + BEAT_BEFORE - HALF;
            const double mx = mean_of(x, 0, 2 * HALF), my = mean_of(y, 0, 2 * HALF);
            for (int i = 0; i < 2 * HALF; i += 2) {
                const double a = (double)x[i] - mx, b = (double)y[i] - my;
                xy += a * b;
                xx += a * a;
                yy += b * b;
            }
        }
        const double r = xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
        if (r > best) {
            best = r;
            to = *at + shift;
        }
    }
    *at = to;
    return best;
}

static int within(int i, int least, int most)
{
    return i < least ? least : i > most ? most : i;
}

/* ---- waves of the median beat --------------------------------------------------------------------------------------------- */

static void fill_steepness(float out[BEAT], const delineation *d)
{
    for (int i = 0; i < BEAT; i++) {
        double sum = 0;
        for (int l = 0; l < LEADS && i >= 6 && i + 6 < BEAT; l++) {
            const float *x = d->beat[lead_of[l]];
            const double change = mean_of(x, i + 1, i + 5) - mean_of(x, i - 4, i); /* means 5 samples apart */
            sum += change * change;
        }
        out[i] = (float)sqrt(sum);
    }
}

static float quiet(const float *x, int from, int to)
{
    float v[BEAT];
    memcpy(v, x + from, (size_t)(to - from) * sizeof *v);
    return median(v, to - from);
}

/* From the steepest point outwards until the steepness has been near that of the stretch beyond for 22 ms (two halves of a broad QRS are that far apart). */
static int edge(const float *steep, int top, int step, int far_from, int far_to)
{
    const float rest = quiet(steep, far_from, far_to), threshold = rest + 0.05f * (steep[top] - rest);
    int still = 0, i = top;
    while (still < 11 && i > 6 && i + 6 < BEAT) {
        still = steep[i] < threshold ? still + 1 : 0;
        i += step;
    }
    return i - step * still;
}

/* The median beat along a direction in the space of the leads, 0 being its level between two samples: out[] (BEAT). */
static void seen_along(float out[BEAT], const delineation *d, const double axis[LEADS], int level_from, int level_to)
{
    double length = 0;
    for (int l = 0; l < LEADS; l++)
        length += axis[l] * axis[l];
    for (int i = 0; i < BEAT; i++) {
        out[i] = 0;
        for (int l = 0; l < LEADS; l++)
            out[i] += (float)((double)d->beat[lead_of[l]][i] * axis[l] / sqrt(length));
    }
    const float level = (float)mean_of(out, level_from, level_to);
    for (int i = 0; i < BEAT; i++)
        out[i] -= level;
}

/* Where a wave is largest between two bounds, against the mean of two levels, seen along its own direction there: out[] (BEAT). */
static int wave_along_itself(float out[BEAT], const delineation *d, int from, int to, int level_from, int level_to)
{
    double level[LEADS], axis[LEADS] = {0}, largest = 0;
    int peak = -1;
    for (int l = 0; l < LEADS; l++)
        level[l] = mean_of(d->beat[lead_of[l]], level_from, level_to);
    for (int i = from; i < to; i++) {
        double v[LEADS], sum = 0;
        for (int l = 0; l < LEADS; l++) {
            v[l] = mean_of(d->beat[lead_of[l]], i - 5, i + 6) - level[l];
            sum += v[l] * v[l];
        }
        if (sum > largest) {
            largest = sum;
            peak = i;
            memcpy(axis, v, sizeof v);
        }
    }
    if (peak >= 0)
        seen_along(out, d, axis, level_from, level_to);
    return peak;
}

enum { P_HALF = 34 /* samples from the middle of P to the level before it */ };

/* How much the leads bend at i against the line between 50 ms before and 50 ms after, or the last level before the QRS: its square. */
static double bend_at(double axis[LEADS], const delineation *d, int i, int on)
{
    enum { ARM = 25 };
    const int arm = i + ARM < on - 4 ? ARM : on - 4 - i;
    double sum = 0;
    for (int l = 0; l < LEADS; l++) {
        const float *x = d->beat[lead_of[l]];
        const double before = mean_of(x, i - ARM - 4, i - ARM + 5), after = mean_of(x, i + arm - 4, i + arm + 5);
        axis[l] = mean_of(x, i - 7, i + 8) - (arm * before + ARM * after) / (ARM + arm);
        sum += axis[l] * axis[l];
    }
    return sum;
}

/* The middle of P, which in sinus rhythm is upright in I + II: where the leads bend most in that sense. The corner where an upright T wave
 * ends bends the other way. -1: none. */
static int middle_of_p(float out[BEAT], const delineation *d, int from, int on)
{
    double axis[LEADS], largest = 0;
    int middle = -1;
    for (int i = from; i < on - 20; i++) {
        const double bend = bend_at(axis, d, i, on);
        if (bend > largest && axis[0] + axis[1] > 0) {
            largest = bend;
            middle = i;
        }
    }
    if (middle < 0)
        return -1;
    bend_at(axis, d, middle, on);
    seen_along(out, d, axis, middle - P_HALF - 6, middle - P_HALF + 6);
    return middle;
}

/* Slope by regression over 13 samples. */
static double slope_at(const float *x, int i)
{
    double sum = 0;
    for (int k = -6; k <= 6; k++)
        sum += k * (double)x[i + k];
    return sum / 182;
}

/* From the peak to `to`: the steepest fall in that direction, extended to 0. Samples from the start of the beat. */
static double tangent(const float *x, int peak, int to)
{
    const int step = to < peak ? -1 : 1;
    double steepest = 0, at = NAN;
    for (int i = peak; i != to; i += step) {
        const double fall = -step * slope_at(x, i);
        if (fall > steepest) {
            steepest = fall;
            at = i + step * mean_of(x, i - 2, i + 3) / fall;
        }
    }
    return at;
}

/* The right atrium begins and points elsewhere than the middle of P, which is mostly left: a first guess along the middle, then once more
 * along what there is about that guess. */
static double begin_of_p(float wave[BEAT], const delineation *d, int middle)
{
    const int far = within(middle - P_HALF, 16, middle);
    const double guess = tangent(wave, middle, far);
    if (isnan(guess) || guess < far - 10)
        return guess;
    double axis[LEADS];
    for (int l = 0; l < LEADS; l++)
        axis[l] = mean_of(d->beat[lead_of[l]], (int)guess - 4, (int)guess + 16) - mean_of(d->beat[lead_of[l]], far - 6, far + 6);
    seen_along(wave, d, axis, far - 6, far + 6);
    int top = (int)guess;
    for (int i = top; i < middle + 5 && i < guess + 22; i++)
        top = wave[i] > wave[top] ? i : top;
    return tangent(wave, top, within(far - 6, 8, top));
}

static double ms_after_r(double i)
{
    return (i - BEAT_BEFORE) * MS;
}

static void find_qrs(delineation *d)
{
    float steep[BEAT];
    fill_steepness(steep, d);
    int top = BEAT_BEFORE;
    for (int i = BEAT_BEFORE - 40; i < BEAT_BEFORE + 50; i++)
        top = steep[i] > steep[top] ? i : top;
    d->qrs_on = ms_after_r(edge(steep, top, -1, BEAT_BEFORE - 70, BEAT_BEFORE - 30));
    d->qrs_off = ms_after_r(edge(steep, top, 1, BEAT_BEFORE + 45, BEAT_BEFORE + 75));
}

static void find_t_and_p(delineation *d, double rr)
{
    float wave[BEAT];
    const int on = BEAT_BEFORE + (int)(d->qrs_on / MS), off = BEAT_BEFORE + (int)(d->qrs_off / MS), period = (int)(rr / MS);
    const int last = within(on + (int)(0.74 * period), off + 80, BEAT - 12), t_last = within(on + (int)(0.68 * period) + 20, off + 60, last);
    d->p_on = d->t_peak = d->t_end = NAN;
    const int peak = wave_along_itself(wave, d, off + 35, t_last, on - 6, on);
    if (peak >= 0) {
        const double end = tangent(wave, peak, last);
        d->t_peak = ms_after_r(peak);
        d->t_end = ms_after_r(end);
    }
    const int t_before = isnan(d->t_end) ? 0 : (int)(d->t_end / MS) + BEAT_BEFORE - period; /* the end of the T before */
    const int p = middle_of_p(wave, d, within(t_before > on - 150 ? t_before : on - 150, P_HALF + 8, on - 45), on);
    if (p >= 0)
        d->p_on = ms_after_r(begin_of_p(wave, d, p));
}

static void measure(delineation *d)
{
    const int on = BEAT_BEFORE + (int)(d->qrs_on / MS), off = BEAT_BEFORE + (int)(d->qrs_off / MS);
    const int peak = isnan(d->t_peak) ? -1 : BEAT_BEFORE + (int)(d->t_peak / MS);
    double area[12];
    for (int l = 0; l < 12; l++) {
        const float *x = d->beat[l];
        const double level = mean_of(x, on - 6, on);
        d->r[l] = d->s[l] = area[l] = 0;
        for (int i = on; i < off; i++) {
            const double v = (double)x[i] - level;
            d->r[l] = v > d->r[l] ? v : d->r[l];
            d->s[l] = v < d->s[l] ? v : d->s[l];
            area[l] += v;
        }
        d->t[l] = peak < 0 ? NAN : mean_of(x, peak - 2, peak + 3) - level;
    }
    d->axis = atan2(area[ECG_AVF] * 2 / sqrt(3), area[ECG_I]) * 180 / 3.14159265358979323846; /* aVF is 2 / sqrt 3 times shorter */
}

bool delineate(delineation *d, const float *mv, int64_t n)
{
    trace t = {.n = (int)n};
    *d = (delineation){.rate = NAN};
    if (n < 1000 || n > MOST)
        return false;
    t.x = malloc((size_t)n * 12 * sizeof *t.x);
    for (int64_t i = 0; i < 12 * n; i++)
        t.x[i] = isfinite(mv[i]) ? mv[i] : 0;
    find_beats(&t);
    d->beats = t.beats;
    for (int k = 0; k < t.beats; k++)
        t.alike[k] = true;
    enum { ROUNDS = 3 };
    int level = 38;
    for (int round = 0; round < ROUNDS && t.beats >= 3; round++) {
        d->alike = take_median(d, &t, level);
        if (d->alike < 3)
            break;
        for (int k = 0; k < t.beats && round < ROUNDS - 1; k++)
            t.alike[k] = align(&t.at[k], d, &t) > (round ? 0.9 : 0.5);
        find_qrs(d);
        level = (int)(-d->qrs_on / MS) + 5;
        level = within(level, 15, 60);
    }
    if (d->alike >= 3 && t.beats >= 3) {
        float rr[BEATS];
        for (int k = 0; k + 1 < t.beats; k++)
            rr[k] = (float)(t.at[k + 1] - t.at[k]) * MS;
        d->rate = 60000.0 * (t.beats - 1) / ((t.at[t.beats - 1] - t.at[0]) * MS);
        find_t_and_p(d, (double)median(rr, t.beats - 1));
        measure(d);
    }
    free(t.x);
    return d->alike >= 3;
}
