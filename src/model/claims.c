/* SPDX-License-Identifier: MIT
 * claims.c: what the scores of a recording allow to be said, and what forbids it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "explain/beats.h"
#include "model/parts.h"

static const double unlike = 99.5;      /* percentile of the distance beyond which an embedding is unlike those of training */
static const double far_beyond = 1.5;   /* times the farthest calibration record: no claims at all */
static const double roughest = 0.6;      /* steps between samples, mean square over twice the variance: white noise 1, recordings 0.02 to 0.35 */
static const double least_peaked = 2;    /* fourth moment over the square of the second: a sine 1.5, recordings 2.4 to 25 */
static const double fastest = 150, even = 1.25; /* beats a minute; three quarters of the distances over one quarter of them: an even rhythm */
enum { MOST_BEATS = 256, LEAST_BEATS = 5 };
enum { MOST_SILENT = 6 };                /* leads without signal, or nothing is claimed */
static const double most_missing = 0.1, most_clipped = 0.02, most_saturated = 0.02, most_einthoven_mv = 0.2, shortest_share = 0.98;

/* ---- the recording --------------------------------------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 3, 4))) doubt(ecg_answer *a, ecg_input_state state, const char *fmt, ...)
{
    va_list args;
    if (state > a->input)
        a->input = state;
    if (a->doubts == (int)(sizeof a->doubt / sizeof *a->doubt))
        return;
    va_start(args, fmt);
    vsnprintf(a->doubt[a->doubts++], sizeof a->doubt[0], fmt, args);
    va_end(args);
}

static void doubt_signal(ecg_answer *a, const ecg_model *m)
{
    const ecg_quality *q = &a->quality;
    const double whole = m->contract.samples / m->contract.rate_hz;
    if (q->seconds < shortest_share * whole)
        doubt(a, ECG_INPUT_CAUTION, "%.1f s long, the model was trained on %.0f s", q->seconds, whole);
    if (q->leads_found < 12)
        doubt(a, ECG_INPUT_CAUTION, "%d of 12 leads found", q->leads_found);
    if (q->leads_flat + q->leads_invalid > 0)
        doubt(a, q->leads_flat + q->leads_invalid > MOST_SILENT ? ECG_INPUT_REFUSED : ECG_INPUT_CAUTION, "%d lead%s without signal", q->leads_flat + q->leads_invalid, q->leads_flat + q->leads_invalid > 1 ? "s" : "");
    if (q->missing > most_missing)
        doubt(a, ECG_INPUT_CAUTION, "%.0f %% of the samples are missing", 100 * q->missing);
    if (q->clipped > most_clipped)
        doubt(a, ECG_INPUT_CAUTION, "%.0f %% of the samples lie beyond %g mV", 100 * q->clipped, m->contract.clip_mv);
    if (q->saturated > most_saturated)
        doubt(a, ECG_INPUT_CAUTION, "%.0f %% of the samples rest at the end of the recorder's range", 100 * q->saturated);
    if (q->warnings & ECG_WARN_UNIT)
        doubt(a, ECG_INPUT_REFUSED, "the amplitude does not fit the unit");
    if (q->einthoven_mv > most_einthoven_mv)
        doubt(a, ECG_INPUT_CAUTION, "II differs from I + III by %.2f mV", q->einthoven_mv);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Do the leads look like heartbeats at all? Medians over the leads that move. */
static void doubt_samples(ecg_answer *a, const float *x, int64_t n, int leads)
{
    double rough[ECG_LEADS], peaked[ECG_LEADS];
    int moving = 0;
    for (int l = 0; l < leads; l++) {
        double sum = 0, square = 0, fourth = 0, steps = 0, known = 0;
        for (int64_t i = 0; i < n; i++)
            if (!isnan(x[i * leads + l])) {
                sum += (double)x[i * leads + l];
                known++;
            }
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)x[i * leads + l] - sum / known, next = i + 1 < n ? (double)x[(i + 1) * leads + l] - sum / known : NAN;
            if (isnan(d))
                continue;
            square += d * d;
            fourth += d * d * d * d;
            steps += isnan(next) ? 0 : (next - d) * (next - d);
        }
        if (square > 0) {
            rough[moving] = steps / (2 * square);
            peaked[moving++] = fourth * known / (square * square);
        }
    }
    if (!moving)
        return;
    qsort(rough, (size_t)moving, sizeof *rough, by_value);
    qsort(peaked, (size_t)moving, sizeof *peaked, by_value);
    if (rough[moving / 2] > roughest)
        doubt(a, ECG_INPUT_REFUSED, "no heartbeats can be told from noise");
    else if (peaked[moving / 2] < least_peaked)
        doubt(a, ECG_INPUT_CAUTION, "a wave without the peaks of heartbeats");
}

/* An even rhythm faster than adults at rest have: a child, or a supraventricular tachycardia; of neither did the model see many. */
static void doubt_rhythm(ecg_answer *a, const float *x, int64_t n, const ecg_contract *c)
{
    int64_t at[MOST_BEATS];
    double distance[MOST_BEATS], *room = ecg_answer_take(a, (size_t)n * 2, sizeof *room);
    const int64_t beats = room ? ecg_find_beats(at, MOST_BEATS, room, x, n, c->leads, c->rate_hz) : 0;
    if (beats < LEAST_BEATS)
        return;
    for (int64_t i = 0; i + 1 < beats; i++) { /* ascending */
        int64_t to = i;
        for (; to > 0 && distance[to - 1] > (double)(at[i + 1] - at[i]); to--)
            distance[to] = distance[to - 1];
        distance[to] = (double)(at[i + 1] - at[i]);
    }
    const double rate = 60 * c->rate_hz / distance[(beats - 1) / 2];
    if (rate > fastest && distance[3 * (beats - 1) / 4] < even * distance[(beats - 1) / 4])
        doubt(a, ECG_INPUT_CAUTION, "%.0f beats a minute, evenly: a child, or a rhythm that training hardly had", rate);
}

void ecg_doubt(ecg_answer *a, const ecg_model *m, const float *h, const float *x, int64_t n)
{
    doubt_signal(a, m);
    doubt_samples(a, x, n, m->contract.leads);
    if (a->input < ECG_INPUT_REFUSED)
        doubt_rhythm(a, x, n, &m->contract);
    a->distance = a->percentile = NAN;
    if (!m->outlier.width)
        return;
    double *room = ecg_answer_take(a, (size_t)m->outlier.width, sizeof *room);
    a->distance = room ? ecg_outlier_distance_in(&m->outlier, h, room) : NAN;
    a->percentile = ecg_outlier_percentile(&m->outlier, a->distance);
    const double farthest = m->outlier.level[ECG_OUTLIER_LEVELS - 1];
    if (!(a->distance <= far_beyond * farthest))
        doubt(a, ECG_INPUT_REFUSED, "unlike the recordings of training: %.1f times as far as the farthest of %" PRId64, a->distance / farthest, m->outlier.n);
    else if (a->percentile >= unlike)
        doubt(a, ECG_INPUT_CAUTION, "unlike the recordings of training: farther than %.1f %% of %" PRId64, a->percentile, m->outlier.n);
}

/* ---- scores ---------------------------------------------------------------------------------------------------------------------- */

static const ecg_uncertainty *uncertainty_of(const ecg_model *m, const ecg_head *head)
{
    const ecg_uncertainty *u = &m->uncertain[head - m->head];
    return u->K ? u : NULL;
}

double ecg_probability_of(const ecg_model *m, const ecg_head *head, int k, double logit, double raw)
{
    const ecg_uncertainty *u = uncertainty_of(m, head);
    ecg_certainty c = {.p = NAN};
    if (u)
        ecg_certainty_of(&c, u, k, logit);
    return isnan(c.p) ? raw : c.p;
}

static ecg_verdict verdict_of(const ecg_certainty *c, const ecg_answer *a)
{
    const int set = ecg_conformal_set(c, a->alpha);
    if (set < 0 || a->input == ECG_INPUT_REFUSED)
        return ECG_VERDICT_NONE;
    if (a->input == ECG_INPUT_CAUTION)
        return ECG_VERDICT_UNCERTAIN;
    return set == 2 ? ECG_VERDICT_YES : set == 1 ? ECG_VERDICT_NO : ECG_VERDICT_UNCERTAIN;
}

void ecg_claim(ecg_score *s, int n, const ecg_model *m, const ecg_head *head, const ecg_answer *a)
{
    const ecg_uncertainty *u = uncertainty_of(m, head);
    for (int i = 0; i < n; i++) {
        ecg_certainty c = {NAN, NAN, NAN, NAN, 0, NAN, NAN};
        s[i].calibrator = "";
        s[i].test_auroc = s[i].test_lo = s[i].test_hi = NAN;
        if (u && u->tested) {
            const ecg_tested *t = &u->tested[s[i].row];
            s[i].test_auroc = t->auroc;
            s[i].test_lo = t->lo;
            s[i].test_hi = t->hi;
            s[i].test_positives = (int64_t)t->positives;
            s[i].test_negatives = (int64_t)t->negatives;
        }
        if (u) {
            const ecg_calibrator *by = &u->label[s[i].row];
            ecg_certainty_of(&c, u, s[i].row, s[i].crop_mean_logit);
            s[i].calibrator = by->kind == ECG_CALIBRATOR_NONE ? "" : ecg_calibrator_text(by->kind);
            s[i].positives = by->positives;
            s[i].negatives = by->negatives;
        }
        if (!isnan(c.p))
            s[i].probability = c.p;
        const bool told = a->input != ECG_INPUT_REFUSED;
        s[i].lo = told ? c.lo : NAN;
        s[i].hi = told ? c.hi : NAN;
        s[i].truth = told ? c.truth : NAN;
        s[i].truth_of = told ? c.above : 0;
        s[i].p_yes = told ? c.p_yes : NAN;
        s[i].p_no = told ? c.p_no : NAN;
        s[i].verdict = verdict_of(&c, a);
    }
}

void ecg_claim_all(ecg_answer *a)
{
    for (int i = 0; i < a->diagnoses; i++) {
        a->yes += a->diagnosis[i].verdict == ECG_VERDICT_YES;
        a->no += a->diagnosis[i].verdict == ECG_VERDICT_NO;
        a->uncertain += a->diagnosis[i].verdict == ECG_VERDICT_UNCERTAIN;
    }
    for (int i = 0; i < a->labs && a->confirms < 3; i++)
        if (a->input == ECG_INPUT_OK && a->lab[i].probability > 2 * ecg_base_rate(&a->lab[i]) && a->lab[i].lo > ecg_base_rate(&a->lab[i]))
            a->confirm[a->confirms++] = i;
}
