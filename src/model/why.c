/* SPDX-License-Identifier: MIT
 * why.c: the reasons of a diagnosis. Which laboratory abnormalities its score follows, by how much, what the model would say without, and what past
 * patients had together. A reason is told only if it is distinguishable from nothing and if the model is known to see it. */
#include <math.h>
#include <string.h>

#include "model/parts.h"

enum { MOST_CITED = 5 };
static const double quality_bar = 0.65, z95 = 1.959963984540054; /* lower end of the AUROC's interval on the test folds, else on calibration records */

typedef struct {
    ecg_answer *a;
    const ecg_model *m;
    const ecg_explainer *e;
    const ecg_head *diagnoses, *labs;
    const float *h, *mean;   /* (crops, width), (width) */
    int crops;
    double *lab;             /* (P) mean logits by row */
    const ecg_score **score; /* (P) by row */
    double *bar, *own;       /* (P + patterns) */
    int *order;              /* (P) */
    double patterns[ECG_PATTERNS];
    float *moved;            /* (crops, width) */
    double *move;            /* (width) */
} work;

static const char *why_not(const ecg_model *m)
{
    if (!ecg_model_head((ecg_model *)m, ECG_HEAD_LABS))
        return "this model has no laboratory head";
    if (!ecg_model_head((ecg_model *)m, ECG_HEAD_DIAGNOSES))
        return "this model has no diagnosis head";
    if (!m->shared_embedding)
        return "the two heads do not read the same embedding: what one predicts says nothing of the other";
    if (!m->explainer.K)
        return "this model has no explanations: `ecgraft recalibrate` on the cohort of its training makes them";
    return "";
}

/* May this abnormality be named at all? The model sees it, it is predicted here, and where it is predicted it is oftener there. */
static bool quality(const work *w, int p)
{
    const ecg_score *s = w->score[p];
    const ecg_uncertainty *u = &w->m->uncertain[w->labs - w->m->head];
    if (!u->K || !((u->tested ? u->tested[p].lo : u->label[p].auroc_lo) > quality_bar) || !(s->probability > ecg_base_rate(s)))
        return false;
    const double known = (double)(s->positives + s->negatives);
    return known > 0 && !(s->truth <= (isnan(s->local_prevalence) ? (double)s->positives / known : s->local_prevalence));
}

/* The diagnosis' probability when lab p looks neutral. */
static double edited(work *w, const ecg_score *d, int p, const int *held, int n_held)
{
    const int k = d->row;
    const size_t H = (size_t)w->e->H;
    if (!ecg_explainer_edit(w->move, w->e, w->mean, p, held, n_held))
        return NAN;
    for (size_t i = 0; i < (size_t)w->crops * H; i++)
        w->moved[i] = (float)((double)w->h[i] + w->move[i % H]);
    const double logit = ecg_head_logit(w->a, w->m, w->diagnoses, k, w->moved, w->crops);
    const double e = exp(-fabs(logit)), raw = logit < 0 ? e / (1 + e) : 1 / (1 + e);
    return ecg_shift_one(ecg_probability_of(w->m, w->diagnoses, k, logit, raw), d);
}

static ecg_cited cite(const work *w, int k, int p, const char *same)
{
    const ecg_score *s = w->score[p];
    const ecg_association *d = &w->e->data[(size_t)k * (size_t)w->e->P + (size_t)p];
    const size_t F = (size_t)w->e->P + ECG_PATTERNS;
    const double spread = z95 * w->e->error[(size_t)k * F + (size_t)p] * fabs(w->own[p]);
    return (ecg_cited){.code = s->code, .title = s->title, .probability = s->probability, .prevalence = s->prevalence, .auroc = s->auroc, .bar = w->bar[p],
                       .lo = w->bar[p] - spread, .hi = w->bar[p] + spread, .before = NAN, .free = NAN, .isolated = NAN, .patients = (double)d->patients,
                       .lift = (double)d->lift, .odds = (double)d->odds, .odds_lo = (double)d->lo, .odds_hi = (double)d->hi, .q = (double)d->q,
                       .same_thing = same};
}

/* Rows of labs by falling bar; equal ones by row. */
static void sort_bars(work *w)
{
    for (int p = 0; p < w->e->P; p++) {
        int at = p;
        for (; at > 0 && w->bar[w->order[at - 1]] < w->bar[p]; at--)
            w->order[at] = w->order[at - 1];
        w->order[at] = p;
    }
}

/* cite[0..cited) and behind it those that say the same thing. row (2 * MOST_CITED): their rows, as cite is ordered. */
static ecg_status choose(ecg_why *y, int *row, work *w, int k, const char *code)
{
    ecg_cited list[2][MOST_CITED];
    int at[2][MOST_CITED], n[2] = {0, 0};
    sort_bars(w);
    for (int i = 0; i < w->e->P && w->bar[w->order[i]] > 0; i++) {
        const int p = w->order[i];
        const char *same = ecg_same_thing(code, w->score[p]->code);
        const ecg_cited c = cite(w, k, p, same);
        if (!(c.lo > 0) || !quality(w, p)) {
            y->weak++;
        } else if (n[same != NULL] < MOST_CITED) {
            at[same != NULL][n[same != NULL]] = p;
            list[same != NULL][n[same != NULL]++] = c;
        }
    }
    y->cited = n[0];
    y->same = n[1];
    y->cite = ecg_answer_take(w->a, (size_t)(n[0] + n[1]), sizeof *y->cite);
    if (!y->cite)
        return ECG_ENOMEM;
    for (int s = 0, to = 0; s < 2; s++)
        for (int i = 0; i < n[s]; i++, to++) {
            y->cite[to] = list[s][i];
            row[to] = at[s][i];
        }
    return ECG_OK;
}

static ecg_status explain_one(ecg_why *y, work *w, const ecg_score *d, ecg_err *err)
{
    const int k = d->row;
    int row[2 * MOST_CITED];
    const ecg_parts parts = ecg_explainer_parts(w->bar, w->e, k, d->crop_mean_logit, w->own);
    *y = (ecg_why){.logit = d->crop_mean_logit, .baseline = w->e->score_mean[k], .above = parts.above, .labs = parts.labs, .age_sex = parts.patterns,
                   .other = parts.rest, .completeness = w->e->completeness[k], .random = w->e->random[k],
                   .grade = ecg_explainer_grade(w->e->completeness[k], w->e->random[k])};
    ecg_status st = choose(y, row, w, k, d->code);
    if (st)
        return ecg_fail(err, st, "no memory for reasons");
    for (int i = 0; i < y->cited + y->same; i++) {
        y->cite[i].before = d->probability;
        y->cite[i].free = edited(w, d, row[i], NULL, 0);
        y->cite[i].isolated = edited(w, d, row[i], row, y->cited);
    }
    return ECG_OK;
}

static ecg_status begin(work *w, ecg_err *err)
{
    const size_t P = (size_t)w->e->P, H = (size_t)w->e->H;
    w->lab = ecg_answer_take(w->a, P, sizeof *w->lab);
    w->score = ecg_answer_take(w->a, P, sizeof *w->score);
    w->bar = ecg_answer_take(w->a, P + ECG_PATTERNS, sizeof *w->bar);
    w->own = ecg_answer_take(w->a, P + ECG_PATTERNS, sizeof *w->own);
    w->order = ecg_answer_take(w->a, P, sizeof *w->order);
    w->moved = ecg_answer_take(w->a, (size_t)w->crops * H, sizeof *w->moved);
    w->move = ecg_answer_take(w->a, H, sizeof *w->move);
    if (!w->lab || !w->score || !w->bar || !w->own || !w->order || !w->moved || !w->move)
        return ecg_fail(err, ECG_ENOMEM, "no memory for reasons");
    for (int i = 0; i < w->a->labs; i++) {
        w->score[w->a->lab[i].row] = &w->a->lab[i];
        w->lab[w->a->lab[i].row] = w->a->lab[i].crop_mean_logit;
    }
    ecg_explainer_patterns(w->patterns, w->e, w->mean);
    ecg_explainer_own(w->own, w->e, w->lab, w->patterns);
    return ECG_OK;
}

ecg_status ecg_explain_answer(ecg_answer *a, const ecg_model *m, const float *h, int crops, const float *mean, int most, ecg_err *err)
{
    a->not_explained = why_not(m);
    a->explained = !*a->not_explained;
    const int n = most < 0 || most > a->diagnoses ? a->diagnoses : most;
    if (!a->explained || !n || a->input == ECG_INPUT_REFUSED)
        return ECG_OK;
    work w = {.a = a, .m = m, .e = &m->explainer, .diagnoses = ecg_model_head((ecg_model *)m, ECG_HEAD_DIAGNOSES),
              .labs = ecg_model_head((ecg_model *)m, ECG_HEAD_LABS), .h = h, .mean = mean, .crops = crops};
    ecg_status st = begin(&w, err);
    if (!st) {
        a->why = ecg_answer_take(a, (size_t)n, sizeof *a->why);
        st = a->why ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for reasons");
    }
    for (int i = 0; i < n && !st; i++) {
        a->whys++;
        st = explain_one(&a->why[i], &w, &a->diagnosis[i], err);
        a->diagnosis[i].why = &a->why[i];
    }
    return st;
}
