/* SPDX-License-Identifier: MIT
 * beats.c: see beats.h. */
#include "explain/beats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double smooth_s = 0.06, apart_s = 0.24, share = 0.4, edge_s = 0.03;
static const double before_qrs_s = 0.06, behind_qrs_s = 0.08, p_s = 0.25, p_share = 1.0 / 3, st_t_s = 0.45;

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int64_t samples_of(double seconds, double rate_hz)
{
    const double n = floor(seconds * rate_hz + 0.5);
    return n < 1 ? 1 : (int64_t)n;
}

/* ---- QRS complexes -------------------------------------------------------------------------------------------------------------- */

/* Length of the change of all leads over two samples, averaged over 60 ms. raw, out (n) */
static void activity(double *out, double *raw, const float *x, int64_t n, int leads, double rate_hz)
{
    const int64_t half = samples_of(smooth_s / 2, rate_hz);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int l = 0; l < leads && i > 0 && i + 1 < n; l++) {
            const double d = (double)x[(i + 1) * leads + l] - (double)x[(i - 1) * leads + l];
            sum += isfinite(d) ? d * d : 0;
        }
        raw[i] = sqrt(sum);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = i < half ? 0 : i - half, to = i + half + 1 < n ? i + half + 1 : n;
        double sum = 0;
        for (int64_t j = from; j < to; j++)
            sum += raw[j];
        out[i] = sum / (double)(to - from);
    }
}

/* 0.4 of the median of the largest activity of each second: a lost second or one artefact does not move it. top: room for n. */
static double threshold_of(double *top, const double *active, int64_t n, double rate_hz)
{
    const int64_t second = samples_of(1, rate_hz);
    int64_t seconds = 0;
    for (int64_t from = 0; from < n; from += second, seconds++) {
        top[seconds] = 0;
        for (int64_t i = from; i < n && i < from + second; i++)
            top[seconds] = fmax(top[seconds], active[i]);
    }
    qsort(top, (size_t)seconds, sizeof *top, by_value);
    return seconds ? share * top[seconds / 2] : 0;
}

int64_t ecg_find_beats(int64_t *at, int64_t most, double *room, const float *x, int64_t n, int leads, double rate_hz)
{
    double *const active = room, *const rest = room + n;
    activity(active, rest, x, n, leads, rate_hz);
    const double threshold = threshold_of(rest, active, n, rate_hz);
    const int64_t apart = samples_of(apart_s, rate_hz), gap = samples_of(smooth_s, rate_hz);
    int64_t beats = 0;
    for (int64_t i = 0; threshold > 0 && i < n && beats < most; i++) {
        if (active[i] < threshold)
            continue;
        double weight = 0, sum = 0; /* the middle of all that lies above, gaps of 60 ms included */
        for (int64_t end = i + gap; i < n && i < end; i++)
            if (active[i] >= threshold) {
                weight += active[i];
                sum += active[i] * (double)i;
                end = i + gap;
            }
        const int64_t middle = (int64_t)floor(sum / weight + 0.5);
        if (!beats || middle - at[beats - 1] >= apart)
            at[beats++] = middle;
    }
    return beats;
}

/* ---- windows --------------------------------------------------------------------------------------------------------------------- */

/* Distance of beat i from beat i + 1; at the ends the nearest one that is known, a second where there is one beat. */
static double distance_after(int64_t i, const int64_t *at, int64_t beats, double rate_hz)
{
    if (beats < 2)
        return rate_hz;
    const int64_t k = i < 0 ? 0 : i + 1 < beats ? i : beats - 2;
    return (double)(at[k + 1] - at[k]);
}

static int64_t p_begin(int64_t i, const int64_t *at, int64_t beats, double rate_hz)
{
    return at[i] - (int64_t)floor(fmin(p_s * rate_hz, p_share * distance_after(i - 1, at, beats, rate_hz)) + 0.5);
}

void ecg_wave_window(int64_t *from, int64_t *to, int wave, int64_t i, const int64_t *at, int64_t beats, int64_t n, double rate_hz)
{
    const int64_t qrs = at[i] - samples_of(before_qrs_s, rate_hz), behind = at[i] + samples_of(behind_qrs_s, rate_hz);
    if (wave == ECG_WAVE_P) {
        *from = p_begin(i, at, beats, rate_hz);
        *to = qrs;
    } else if (wave == ECG_WAVE_QRS) {
        *from = qrs;
        *to = behind;
    } else {
        const double seconds = distance_after(i, at, beats, rate_hz) / rate_hz;
        *from = behind;
        *to = at[i] + (int64_t)floor(st_t_s * sqrt(seconds) * rate_hz + 0.5);
        if (i + 1 < beats && *to > p_begin(i + 1, at, beats, rate_hz))
            *to = p_begin(i + 1, at, beats, rate_hz);
    }
    *from = *from < 0 ? 0 : *from;
    *to = *to > n ? n : *to;
}

/* Mean of the samples of one lead about i that are known; NAN: none is. */
static double level(const float *x, int64_t i, int64_t n, int leads, int lead, int64_t half)
{
    double sum = 0;
    int known = 0;
    for (int64_t j = i - half; j <= i + half; j++)
        if (j >= 0 && j < n && isfinite(x[j * leads + lead])) {
            sum += (double)x[j * leads + lead];
            known++;
        }
    return known ? sum / known : NAN;
}

void ecg_without_wave(float *out, const float *x, int64_t n, int leads, int wave, const int64_t *at, int64_t beats, double rate_hz)
{
    const int64_t half = samples_of(edge_s / 2, rate_hz);
    memcpy(out, x, (size_t)n * (size_t)leads * sizeof *out);
    for (int64_t b = 0; b < beats; b++) {
        int64_t from, to;
        ecg_wave_window(&from, &to, wave, b, at, beats, n, rate_hz);
        for (int l = 0; l < leads && from < to; l++) {
            const double left = level(x, from - 1, n, leads, l, half), right = level(x, to, n, leads, l, half);
            const double a = isnan(left) ? right : left, z = isnan(right) ? left : right;
            for (int64_t i = from; i < to; i++)
                if (isfinite(x[i * leads + l]) && isfinite(a))
                    out[i * leads + l] = (float)(a + (z - a) * (double)(i - from + 1) / (double)(to - from + 1));
        }
    }
}

void ecg_without_lead(float *out, double *room, const float *x, int64_t n, int leads, int lead)
{
    double *const v = room;
    int64_t known = 0;
    memcpy(out, x, (size_t)n * (size_t)leads * sizeof *out);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i * leads + lead]))
            v[known++] = (double)x[i * leads + lead];
    qsort(v, (size_t)known, sizeof *v, by_value);
    for (int64_t i = 0; i < n && known; i++)
        if (isfinite(x[i * leads + lead]))
            out[i * leads + lead] = (float)v[known / 2];
}
