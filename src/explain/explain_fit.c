/* SPDX-License-Identifier: MIT
 * explain_fit.c: what an explainer learns from the training folds (explain.h): read-outs of the embedding by ridge regression, what is neutral, and with
 * share.c the decomposition of the scores. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "explain/share.h"
#include "stat/ridge.h"

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

int ecg_explainer_fit(ecg_explainer *out, const ecg_explain_rows *train, const ecg_explain_rows *held, const ecg_moments *m, uint64_t seed, ecg_pool *pool)
{
    *out = (ecg_explainer){.K = train->K, .P = train->P, .H = train->H, .rows = train->n, .held_out = held->n};
    if (train->n < 1 || train->K < 1 || train->P < 1 || ecg_explainer_alloc(out))
        return -1;
    double *pattern = NULL;
    int failed = fit_views(out, train);
    if (!failed) {
        pattern = patterns_of(out, train);
        failed = !pattern || ecg_explainer_decompose(out, train, pattern, held, seed);
    }
    if (!failed) {
        agreement(out, held);
        neutrals(out, train, m);
        failed = ecg_associate(out->data, train->label, train->measured, train->pattern, train->patient, train->n, train->K, train->P, pool);
    }
    free(pattern);
    if (failed)
        ecg_explainer_clear(out);
    return failed ? -1 : 0;
}
