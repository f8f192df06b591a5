/* SPDX-License-Identifier: MIT
 * operating.c: see operating.h. A walk down the scores visits every threshold that calls something else; equal scores are called together. */
#include "stat/operating.h"

#include <math.h>
#include <stdbool.h>

static bool undefined(const ecg_sorted *s)
{
    return s->nan || s->positives == 0 || s->positives == s->n;
}

/* The next threshold: entries 0 .. *called - 1 are called, tp of them rightly. False: there is none. */
static bool next_threshold(const ecg_sorted *s, int64_t *called, int64_t *tp)
{
    const int64_t from = *called;
    while (*called < s->n && s->score[*called] == s->score[from])
        *tp += s->label[(*called)++];
    return *called > from;
}

/* count / of >= x as a person means it: 0.9 of 10 is 9, although 0.9 is no double. */
static bool reaches(int64_t count, int64_t of, double x)
{
    return (double)count >= x * (double)of - 1e-9 * (double)of;
}

double ecg_sensitivity_at(const ecg_sorted *s, double specificity)
{
    const int64_t negatives = s->n - s->positives;
    double best = 0;
    if (undefined(s))
        return NAN;
    for (int64_t called = 0, tp = 0; next_threshold(s, &called, &tp) && reaches(negatives - (called - tp), negatives, specificity);)
        best = (double)tp / (double)s->positives;
    return best;
}

double ecg_specificity_at(const ecg_sorted *s, double sensitivity)
{
    const int64_t negatives = s->n - s->positives;
    if (undefined(s))
        return NAN;
    for (int64_t called = 0, tp = 0; next_threshold(s, &called, &tp);)
        if (reaches(tp, s->positives, sensitivity))
            return (double)(negatives - (called - tp)) / (double)negatives;
    return 0;
}

static const struct {
    const char *name;
    double specificity, sensitivity;
} rules[ECG_RULES] = {{"youden", 0, 0}, {"specificity90", 0.9, 0}, {"specificity95", 0.95, 0}, {"sensitivity90", 0, 0.9}, {"sensitivity95", 0, 0.95}};

const char *ecg_rule_name(int rule)
{
    return rules[rule].name;
}

double ecg_threshold(const ecg_sorted *s, int rule)
{
    const int64_t negatives = s->n - s->positives;
    double threshold = INFINITY, best = 0; /* calling nothing: sensitivity 0, specificity 1 */
    if (undefined(s))
        return NAN;
    for (int64_t called = 0, tp = 0; next_threshold(s, &called, &tp);) {
        const double here = s->score[called - 1];
        const int64_t fp = called - tp;
        if (rule == ECG_RULE_YOUDEN) {
            /* exact: tp/P - fp/N by its numerator */
            const double gain = (double)tp * (double)negatives - (double)fp * (double)s->positives;
            if (gain > best) {
                best = gain;
                threshold = here;
            }
        } else if (rules[rule].specificity > 0) {
            if (!reaches(negatives - fp, negatives, rules[rule].specificity))
                break;
            threshold = here;
        } else if (reaches(tp, s->positives, rules[rule].sensitivity)) {
            return here;
        }
    }
    return threshold;
}

static double share(int64_t count, int64_t of)
{
    return of ? (double)count / (double)of : NAN;
}

/* Entries with score >= threshold are called. */
static void call(int64_t *called, int64_t *tp, const ecg_sorted *s, double threshold)
{
    int64_t low = 0, high = s->n;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (s->score[middle] >= threshold)
            low = middle + 1;
        else
            high = middle;
    }
    *called = low;
    *tp = 0;
    for (int64_t i = 0; i < low; i++)
        *tp += s->label[i];
}

void ecg_operate(ecg_operating *out, const ecg_sorted *s, double threshold)
{
    int64_t called, tp;
    *out = (ecg_operating){threshold, 0, 0, 0, 0, NAN, NAN, NAN, NAN, NAN};
    if (isnan(threshold) || s->nan)
        return;
    call(&called, &tp, s, threshold);
    out->tp = tp;
    out->fp = called - tp;
    out->fn = s->positives - tp;
    out->tn = s->n - called - out->fn;
    out->sensitivity = share(tp, s->positives);
    out->specificity = share(out->tn, s->n - s->positives);
    out->ppv = share(tp, called);
    out->npv = share(out->tn, s->n - called);
    out->f1 = share(2 * tp, 2 * tp + out->fp + out->fn);
}

double ecg_decision_threshold(int i)
{
    return i < 10 ? (i + 1) / 100.0 : (10 + 5 * (i - 9)) / 100.0;
}

void ecg_decisions(ecg_decision out[ECG_DECISIONS], const ecg_sorted *s)
{
    for (int i = 0; i < ECG_DECISIONS; i++) {
        const double t = ecg_decision_threshold(i), odds = t / (1 - t), n = (double)s->n;
        out[i] = (ecg_decision){t, NAN, NAN, NAN};
        if (s->nan || s->n == 0)
            continue;
        int64_t called, tp;
        call(&called, &tp, s, t);
        out[i].net_benefit = (double)tp / n - (double)(called - tp) / n * odds;
        out[i].treat_all = (double)s->positives / n - (double)(s->n - s->positives) / n * odds;
        out[i].called = (double)called / n;
    }
}
