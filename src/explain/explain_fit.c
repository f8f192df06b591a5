/* SPDX-License-Identifier: MIT
 * explain_fit.c: what an explainer learns from the training folds (explain.h). Ridge regressions over moments (stat/ridge.h), the penalty chosen on one
 * half of the held-out records, shares of variation measured on the other. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "explain/explain.h"
#include "stat/ridge.h"

static const double penalties[] = {1e-4, 1e-3, 1e-2, 1e-1, 1};
enum { PENALTIES = sizeof penalties / sizeof *penalties };

/* What every regression reads of a record. Patterns that are not known stay unknown: they are read off the embedding. */
typedef struct {
    const ecg_explain_rows *r;
    const double *pattern; /* (n, ECG_PATTERNS) as the ECG shows them */
} seen;

static int part_of(int64_t patient, uint64_t seed)
{
    ecg_rng r;
    ecg_rng_open(&r, seed, 0, ECG_STREAM_SPLIT, (uint32_t)patient, (uint32_t)((uint64_t)patient >> 32) ^ 0x45585031u);
    return (int)ecg_rng_below(&r, ECG_PARTS);
}

static void widen(double *out, const float *h, int H)
{
    for (int j = 0; j < H; j++)
        out[j] = (double)h[j];
}

/* ---- read-outs of the embedding -------------------------------------------------------------------------------------------------- */

/* R2 on rows that are known: of y about its own mean. */
typedef struct { double residual, sum, square; int64_t n; } fitness;

static void fitness_add(fitness *f, double y, double said)
{
    f->residual += (y - said) * (y - said);
    f->sum += y;
    f->square += y * y;
    f->n++;
}

static double fitness_r2(const fitness *f)
{
    const double total = f->n ? f->square - f->sum * f->sum / (double)f->n : 0;
    return total > 1e-12 * f->square && f->n > 1 ? 1 - f->residual / total : NAN;
}

/* Laboratory logits (known everywhere), then each pattern from the rows that know it. */
static int fit_views(ecg_explainer *e, const ecg_explain_rows *train)
{
    const int H = e->H, P = e->P;
    double *x = malloc((size_t)H * sizeof *x);
    ecg_ridge *labs = P ? ecg_ridge_new(H, P) : NULL, *pattern = ecg_ridge_new(H, 1);
    int failed = !x || (P && !labs) || !pattern;
    for (int64_t i = 0; i < train->n && labs && !failed; i++) {
        widen(x, train->h + i * H, H);
        ecg_ridge_add(labs, x, train->lab + i * P);
    }
    failed = failed || (labs && ecg_ridge_solve(e->view, labs, 1e-4));
    for (int g = 0; g < ECG_PATTERNS && !failed; g++) {
        ecg_ridge_clear(pattern);
        for (int64_t i = 0; i < train->n; i++) {
            const double y = train->pattern[i * ECG_PATTERNS + g];
            if (!isfinite(y))
                continue;
            widen(x, train->h + i * H, H);
            ecg_ridge_add(pattern, x, &y);
        }
        if (ecg_ridge_rows(pattern))
            failed = ecg_ridge_solve(e->view + (size_t)(P + g) * (size_t)(H + 1), pattern, 1e-3);
    }
    ecg_ridge_free(labs);
    ecg_ridge_free(pattern);
    free(x);
    return failed;
}

static void agreement(ecg_explainer *e, const ecg_explain_rows *held)
{
    for (int f = 0; f < e->P + ECG_PATTERNS; f++) {
        fitness fit = {0};
        const double *v = e->view + (size_t)f * (size_t)(e->H + 1);
        for (int64_t i = 0; i < held->n; i++) {
            const double y = f < e->P ? held->lab[i * e->P + f] : held->pattern[i * ECG_PATTERNS + f - e->P];
            double said = v[e->H];
            for (int j = 0; j < e->H; j++)
                said += v[j] * (double)held->h[i * e->H + j];
            if (isfinite(y))
                fitness_add(&fit, y, said);
        }
        e->agreement[f] = fitness_r2(&fit);
    }
}

/* The mean read-out of training records that were measured and normal; rows of the read-outs times the covariance. */
static void neutrals(ecg_explainer *e, const ecg_explain_rows *train, const ecg_moments *m)
{
    const size_t H = (size_t)e->H;
    for (int p = 0; p < e->P; p++) {
        const double *v = e->view + (size_t)p * (H + 1);
        double sum = 0;
        int64_t n = 0;
        for (int64_t i = 0; i < train->n; i++)
            if (train->measured[i * e->P + p] == 0) {
                for (size_t j = 0; j < H; j++)
                    sum += v[j] * (double)train->h[(size_t)i * H + j];
                n++;
            }
        e->neutral[p] = n ? sum / (double)n + v[H] : NAN;
        for (size_t a = 0; a < H; a++) {
            double s = 0;
            for (size_t b = 0; b < H; b++)
                s += m->covariance[a * H + b] * v[b];
            e->spread[(size_t)p * H + a] = s;
        }
    }
}

static double *patterns_of(const ecg_explainer *e, const ecg_explain_rows *r)
{
    double *out = malloc((size_t)(r->n + 1) * ECG_PATTERNS * sizeof *out);
    for (int64_t i = 0; i < r->n && out; i++)
        ecg_explainer_patterns(out + i * ECG_PATTERNS, e, r->h + i * e->H);
    return out;
}

/* ---- decomposition --------------------------------------------------------------------------------------------------------------- */

/* out (F): what the decomposition reads of row i. patterns NULL: laboratory logits alone; random (P, H): these directions in their place. */
static void row_of(double *out, const seen *s, int64_t i, bool patterns, const double *random)
{
    const int P = s->r->P, H = s->r->H;
    for (int p = 0; p < P; p++) {
        out[p] = random ? 0 : s->r->lab[i * P + p];
        for (int j = 0; j < H && random; j++)
            out[p] += random[(size_t)p * (size_t)H + (size_t)j] * (double)s->r->h[i * H + j];
    }
    for (int g = 0; g < ECG_PATTERNS && patterns; g++)
        out[P + g] = s->pattern[i * ECG_PATTERNS + g];
}

static int fit_rows(ecg_ridge *r, const seen *s, double *x, bool patterns, const double *random, const uint8_t *part, int without)
{
    for (int64_t i = 0; i < s->r->n; i++)
        if (part[i] != without) {
            row_of(x, s, i, patterns, random);
            ecg_ridge_add(r, x, s->r->score + i * s->r->K);
        }
    return ecg_ridge_rows(r) ? 0 : -1;
}

/* R2 per label on the rows begin, begin + 2 ... of s. c (K, features + 1) */
static void shares(double *r2, const seen *s, const double *c, int features, bool patterns, const double *random, int64_t begin, double *x, fitness *fit)
{
    const int K = s->r->K;
    memset(fit, 0, (size_t)K * sizeof *fit);
    for (int64_t i = begin; i < s->r->n; i += 2) {
        row_of(x, s, i, patterns, random);
        for (int k = 0; k < K; k++)
            fitness_add(&fit[k], s->r->score[i * K + k], ecg_ridge_at(c + (size_t)k * (size_t)(features + 1), x, features));
    }
    for (int k = 0; k < K; k++)
        r2[k] = fitness_r2(&fit[k]);
}

static double mean_known(const double *x, int n)
{
    double sum = 0;
    int m = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(x[i])) {
            sum += x[i];
            m++;
        }
    return m ? sum / m : NAN;
}

typedef struct {
    double *x, *c, *r2; /* (F), (K, F + 1), (K) */
    fitness *fit;       /* (K) */
    uint8_t *part;      /* (training rows) */
} room;

/* The penalty under which the whole decomposition says most about the even held-out rows. */
static int choose_penalty(ecg_explainer *e, ecg_ridge *all, const seen *held, room *w)
{
    double best = -INFINITY;
    e->penalty = penalties[0];
    for (int i = 0; i < PENALTIES; i++) {
        if (ecg_ridge_solve(w->c, all, penalties[i]))
            return -1;
        shares(w->r2, held, w->c, e->P + ECG_PATTERNS, true, NULL, 0, w->x, w->fit);
        const double mean = mean_known(w->r2, e->K);
        if (mean > best + 1e-6) { /* equal: the smaller one */
            best = mean;
            e->penalty = penalties[i];
        }
    }
    return 0;
}

/* Standard errors by leaving out one part after the other: variance = (G - 1) / G sum (beta_g - mean)^2. */
static int jackknife(ecg_explainer *e, const seen *train, room *w)
{
    const int F = e->P + ECG_PATTERNS;
    const size_t all = (size_t)e->K * (size_t)F;
    double *mean = calloc(all, sizeof *mean);
    ecg_ridge *r = ecg_ridge_new(F, e->K);
    int failed = !mean || !r, parts = 0;
    for (int g = 0; g < ECG_PARTS && !failed; g++) {
        ecg_ridge_clear(r);
        if (fit_rows(r, train, w->x, true, NULL, w->part, g))
            continue;
        failed = ecg_ridge_solve(w->c, r, e->penalty);
        parts++;
        for (size_t i = 0; i < all; i++) { /* running mean and sum of squares about it */
            const double x = w->c[i / (size_t)F * (size_t)(F + 1) + i % (size_t)F], gap = x - mean[i];
            mean[i] += gap / parts;
            e->error[i] += gap * (x - mean[i]);
        }
    }
    for (size_t i = 0; i < all; i++)
        e->error[i] = parts > 1 ? sqrt((double)(parts - 1) / parts * e->error[i]) : INFINITY;
    ecg_ridge_free(r);
    free(mean);
    return failed;
}

/* Shares of the odd held-out rows that P features follow: the laboratory logits, and random directions. */
static int completeness(ecg_explainer *e, const seen *train, const seen *held, uint64_t seed, room *w)
{
    const int P = e->P, H = e->H;
    double *direction = malloc((size_t)P * (size_t)H * sizeof *direction);
    ecg_ridge *r = ecg_ridge_new(P, e->K);
    int failed = !direction || !r;
    for (int draw = -1; draw < ECG_RANDOM_DRAWS && !failed; draw++) {
        ecg_rng g;
        ecg_rng_open(&g, seed, 0, ECG_STREAM_PAIRS, (uint32_t)draw, 0x45585031u);
        for (int i = 0; i < P * H; i++)
            direction[i] = ecg_rng_normal(&g);
        const double *random = draw < 0 ? NULL : direction;
        ecg_ridge_clear(r);
        failed = fit_rows(r, train, w->x, false, random, w->part, -1) || ecg_ridge_solve(w->c, r, e->penalty);
        if (failed)
            break;
        shares(w->r2, held, w->c, P, false, random, 1, w->x, w->fit);
        for (int k = 0; k < e->K; k++)
            if (draw < 0)
                e->completeness[k] = w->r2[k];
            else
                e->random[k] += w->r2[k] / ECG_RANDOM_DRAWS;
    }
    ecg_ridge_free(r);
    free(direction);
    return failed;
}

static void means(ecg_explainer *e, const seen *s)
{
    const int64_t n = s->r->n;
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < e->K; k++)
            e->score_mean[k] += s->r->score[i * e->K + k];
        for (int p = 0; p < e->P; p++)
            e->feature_mean[p] += s->r->lab[i * e->P + p];
        for (int g = 0; g < ECG_PATTERNS; g++)
            e->feature_mean[e->P + g] += s->pattern[i * ECG_PATTERNS + g];
    }
    for (int k = 0; k < e->K; k++)
        e->score_mean[k] /= (double)n;
    for (int f = 0; f < e->P + ECG_PATTERNS; f++)
        e->feature_mean[f] /= (double)n;
}

static int decompose(ecg_explainer *e, const seen *train, const seen *held, uint64_t seed)
{
    const int F = e->P + ECG_PATTERNS;
    const size_t K = (size_t)e->K;
    room w = {malloc((size_t)F * sizeof(double)), malloc(K * (size_t)(F + 1) * sizeof(double)), malloc(K * sizeof(double)), malloc(K * sizeof(fitness)),
              malloc((size_t)train->r->n)};
    ecg_ridge *all = ecg_ridge_new(F, e->K);
    int failed = !w.x || !w.c || !w.r2 || !w.fit || !w.part || !all;
    if (!failed) {
        for (int64_t i = 0; i < train->r->n; i++)
            w.part[i] = (uint8_t)part_of(train->r->patient[i], seed);
        means(e, train);
        failed = fit_rows(all, train, w.x, true, NULL, w.part, -1) || choose_penalty(e, all, held, &w) || ecg_ridge_solve(w.c, all, e->penalty);
    }
    for (size_t k = 0; k < K && !failed; k++)
        memcpy(e->beta + k * (size_t)F, w.c + k * (size_t)(F + 1), (size_t)F * sizeof(double));
    failed = failed || jackknife(e, train, &w) || completeness(e, train, held, seed, &w);
    ecg_ridge_free(all);
    free(w.x);
    free(w.c);
    free(w.r2);
    free(w.fit);
    free(w.part);
    return failed;
}

int ecg_explainer_fit(ecg_explainer *out, const ecg_explain_rows *train, const ecg_explain_rows *held, const ecg_moments *m, uint64_t seed, ecg_pool *pool)
{
    *out = (ecg_explainer){.K = train->K, .P = train->P, .H = train->H, .rows = train->n, .held_out = held->n};
    if (train->n < 1 || train->K < 1 || train->P < 1 || ecg_explainer_alloc(out))
        return -1;
    seen s = {train, NULL}, t = {held, NULL};
    int failed = fit_views(out, train);
    if (!failed) {
        s.pattern = patterns_of(out, train);
        t.pattern = patterns_of(out, held);
        failed = !s.pattern || !t.pattern || decompose(out, &s, &t, seed);
    }
    if (!failed) {
        agreement(out, held);
        neutrals(out, train, m);
        failed = ecg_associate(out->data, train->label, train->measured, train->pattern, train->patient, train->n, train->K, train->P, pool);
    }
    free((void *)s.pattern);
    free((void *)t.pattern);
    if (failed)
        ecg_explainer_clear(out);
    return failed ? -1 : 0;
}
