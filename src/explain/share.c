/* SPDX-License-Identifier: MIT
 * share.c: which part of a score goes with which laboratory logit, when many of them say nearly the same.
 *
 * z are the features (laboratory logits, age, sex) in standard deviations, R their correlations, r_k the covariances with score k. Ridge regression gives the
 * direction w_k = (R + I)^-1 r_k, least squares its length c_k. Of what w_k explains each feature gets its own share (Zuber and Strimmer, CAR scores,
 * Stat Appl Genet Mol Biol 2011): with M = (R + I)^(-1/2) and u = M z, the features without what they share,
 *
 *   c_k w_k' z = sum_f beta_kf u_f,   beta_k = c_k M r_k
 *
 * so bars add up, and one of two labs that say the same does not take all or push the other below zero. */
#include "explain/share.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "explain/root.h"

static const double ridge = 1; /* of the standardised features: searched on one synthetic cohort, 0.3 to 3 gave the same */

static int part_of(int64_t patient, uint64_t seed)
{
    ecg_rng r;
    ecg_rng_open(&r, seed, 0, ECG_STREAM_SPLIT, (uint32_t)patient, (uint32_t)((uint64_t)patient >> 32) ^ 0x45585031u);
    return (int)ecg_rng_below(&r, ECG_PARTS);
}

/* Sums over rows, about the means of all of them. */
typedef struct {
    double n;
    double *x, *s, *xs; /* (F), (K), (F, K) */
} sums;

/* One set of features and what is fitted on it: laboratory logits with patterns, without them, or random directions. */
typedef struct {
    const ecg_explain_rows *r;
    const double *pattern;   /* (n, ECG_PATTERNS); NULL: none */
    const double *direction; /* (P, H): in place of the laboratory logits; NULL */
    int F, K;
    double *mean, *sd, *R, *M; /* (F), (F), (F, F), (F, F) */
    sums all, part[ECG_PARTS];
    double *row, *rho, *b;   /* (F) */
    double *beta, *weight;   /* (K, F): of u, and of x in its own unit */
} fit;

static void read_row(double *out, const fit *f, const ecg_explain_rows *r, const double *pattern, int64_t i)
{
    for (int p = 0; p < r->P; p++) {
        out[p] = f->direction ? 0 : r->lab[i * r->P + p];
        for (int j = 0; j < r->H && f->direction; j++)
            out[p] += f->direction[(size_t)p * (size_t)r->H + (size_t)j] * (double)r->h[i * r->H + j];
    }
    for (int g = 0; g < ECG_PATTERNS && f->pattern; g++)
        out[r->P + g] = pattern[i * ECG_PATTERNS + g];
}

static int begin(fit *f)
{
    const size_t F = (size_t)f->F, K = (size_t)f->K, block = F + K + F * K;
    const size_t floats = 5 * F + 2 * F * F + 2 * K * F + (ECG_PARTS + 1) * block;
    double *at = calloc(floats, sizeof *at);
    if (!at)
        return -1;
    double **const out[] = {&f->mean, &f->sd, &f->row, &f->rho, &f->b};
    for (size_t i = 0; i < sizeof out / sizeof *out; i++, at += F)
        *out[i] = at;
    f->R = at;
    f->M = at + F * F;
    f->beta = f->M + F * F;
    f->weight = f->beta + K * F;
    at = f->weight + K * F;
    for (int g = 0; g <= ECG_PARTS; g++, at += block)
        *(g < ECG_PARTS ? &f->part[g] : &f->all) = (sums){0, at, at + F, at + F + K};
    return 0;
}

static void end(fit *f)
{
    free(f->mean); /* all of it */
    f->mean = NULL;
}

static void add_row(sums *to, const double *x, const double *s, const double *mean_s, int F, int K)
{
    to->n++;
    for (int k = 0; k < K; k++)
        to->s[k] += s[k] - mean_s[k];
    for (int a = 0; a < F; a++) {
        to->x[a] += x[a];
        for (int k = 0; k < K; k++)
            to->xs[(size_t)a * (size_t)K + (size_t)k] += x[a] * (s[k] - mean_s[k]);
    }
}

/* Means, correlations, M, and the sums of each part. score_mean (K) */
static int take(fit *f, const double *score_mean, uint64_t seed)
{
    const int F = f->F, K = f->K;
    const ecg_explain_rows *r = f->r;
    if (begin(f))
        return -1;
    for (int64_t i = 0; i < r->n; i++) {
        read_row(f->row, f, r, f->pattern, i);
        for (int a = 0; a < F; a++)
            f->mean[a] += f->row[a] / (double)r->n;
    }
    for (int64_t i = 0; i < r->n; i++) {
        read_row(f->row, f, r, f->pattern, i);
        for (int a = 0; a < F; a++)
            f->row[a] -= f->mean[a];
        for (int a = 0; a < F; a++)
            for (int b = 0; b <= a; b++)
                f->R[a * F + b] += f->row[a] * f->row[b];
        add_row(&f->part[part_of(r->patient[i], seed)], f->row, r->score + i * K, score_mean, F, K);
    }
    for (int g = 0; g < ECG_PARTS; g++) {
        f->all.n += f->part[g].n;
        for (size_t i = 0; i < (size_t)F + (size_t)K + (size_t)F * (size_t)K; i++) /* x, s and xs lie one behind the other */
            f->all.x[i] += f->part[g].x[i];
    }
    for (int a = 0; a < F; a++) {
        f->sd[a] = sqrt(f->R[a * F + a] / (double)r->n);
        if (!(f->sd[a] > 1e-9 * (fabs(f->mean[a]) + 1e-9)))
            f->sd[a] = 0; /* constant */
    }
    for (int a = 0; a < F; a++)
        for (int b = 0; b <= a; b++) {
            const double scale = f->sd[a] * f->sd[b] * (double)r->n;
            f->R[a * F + b] = f->R[b * F + a] = scale > 0 ? f->R[a * F + b] / scale : 0;
        }
    double *copy = malloc((size_t)F * (size_t)F * sizeof *copy);
    if (!copy)
        return -1;
    memcpy(copy, f->R, (size_t)F * (size_t)F * sizeof *copy);
    const int failed = ecg_inverse_root(f->M, copy, F, ridge);
    free(copy);
    return failed;
}

/* beta and weight of all labels, without one part (-1: with all). False: no rows. */
static bool solve(fit *f, int without)
{
    const int F = f->F, K = f->K;
    const sums *all = &f->all, *out = without < 0 ? NULL : &f->part[without];
    const double n = all->n - (out ? out->n : 0);
    if (!(n > 0))
        return false;
    for (int k = 0; k < K; k++) {
        const double s = (all->s[k] - (out ? out->s[k] : 0)) / n;
        double *beta = f->beta + (size_t)k * (size_t)F, *weight = f->weight + (size_t)k * (size_t)F, along = 0, square = 0;
        for (int a = 0; a < F; a++) {
            const size_t at = (size_t)a * (size_t)K + (size_t)k;
            const double x = (all->x[a] - (out ? out->x[a] : 0)) / n, xs = (all->xs[at] - (out ? out->xs[at] : 0)) / n;
            f->rho[a] = f->sd[a] > 0 ? (xs - x * s) / f->sd[a] : 0;
        }
        for (int a = 0; a < F; a++) {
            beta[a] = 0;
            for (int b = 0; b < F; b++)
                beta[a] += f->M[a * F + b] * f->rho[b];
        }
        for (int a = 0; a < F; a++) {
            f->b[a] = 0;
            for (int b = 0; b < F; b++)
                f->b[a] += f->M[a * F + b] * beta[b];
            along += f->b[a] * f->rho[a];
        }
        for (int a = 0; a < F; a++)
            for (int b = 0; b < F; b++)
                square += f->b[a] * f->R[a * F + b] * f->b[b];
        const double c = square > 0 ? along / square : 0;
        for (int a = 0; a < F; a++) {
            beta[a] *= c;
            weight[a] = f->sd[a] > 0 ? c * f->b[a] / f->sd[a] : 0;
        }
    }
    return true;
}

/* Share of the held-out scores' variation that the fit follows; NAN: they do not vary. */
static int shares(double *r2, fit *f, const ecg_explain_rows *held, const double *held_pattern, const double *score_mean)
{
    const int F = f->F, K = f->K;
    double *sum = calloc((size_t)K * 3, sizeof *sum);
    if (!sum)
        return -1;
    for (int64_t i = 0; i < held->n; i++) {
        read_row(f->row, f, held, held_pattern, i);
        for (int k = 0; k < K; k++) {
            const double y = held->score[i * K + k] - score_mean[k], *weight = f->weight + (size_t)k * (size_t)F;
            double said = 0;
            for (int a = 0; a < F; a++)
                said += weight[a] * (f->row[a] - f->mean[a]);
            sum[3 * k] += y;
            sum[3 * k + 1] += y * y;
            sum[3 * k + 2] += (y - said) * (y - said);
        }
    }
    for (int k = 0; k < K; k++) {
        const double total = held->n ? sum[3 * k + 1] - sum[3 * k] * sum[3 * k] / (double)held->n : 0;
        r2[k] = total > 1e-12 * (sum[3 * k + 1] + score_mean[k] * score_mean[k]) && held->n > 1 ? 1 - sum[3 * k + 2] / total : NAN;
    }
    free(sum);
    return 0;
}

/* beta with its standard error by leaving out one part after the other: variance = (G - 1) / G sum (beta_g - mean)^2. */
static int shared(ecg_explainer *e, const ecg_explain_rows *train, const double *pattern, uint64_t seed)
{
    fit f = {.r = train, .pattern = pattern, .F = e->P + ECG_PATTERNS, .K = e->K};
    const size_t F = (size_t)f.F, all = (size_t)e->K * F;
    double *mean = calloc(all, sizeof *mean);
    int failed = !mean || take(&f, e->score_mean, seed), parts = 0;
    for (int g = 0; g < ECG_PARTS && !failed; g++) {
        if (!(f.part[g].n > 0) || !solve(&f, g))
            continue;
        parts++;
        for (size_t i = 0; i < all; i++) {
            const double gap = f.beta[i] - mean[i];
            mean[i] += gap / parts;
            e->error[i] += gap * (f.beta[i] - mean[i]);
        }
    }
    for (size_t i = 0; i < all && !failed; i++)
        e->error[i] = parts > 1 ? sqrt((double)(parts - 1) / parts * e->error[i]) : INFINITY;
    failed = failed || !solve(&f, -1);
    if (!failed) {
        memcpy(e->beta, f.beta, all * sizeof *f.beta);
        memcpy(e->feature_mean, f.mean, F * sizeof *f.mean);
        for (size_t a = 0; a < F; a++)
            for (size_t b = 0; b < F; b++)
                e->own[a * F + b] = f.sd[b] > 0 ? f.M[a * F + b] / f.sd[b] : 0;
    }
    end(&f);
    free(mean);
    return failed ? -1 : 0;
}

/* Shares of the held-out rows that P features follow: the laboratory logits, and random directions. */
static int completeness(ecg_explainer *e, const ecg_explain_rows *train, const ecg_explain_rows *held, uint64_t seed)
{
    const int P = e->P, H = e->H;
    double *direction = malloc((size_t)P * (size_t)H * sizeof *direction), *r2 = malloc((size_t)e->K * sizeof *r2);
    int failed = !direction || !r2;
    for (int draw = -1; draw < ECG_RANDOM_DRAWS && !failed; draw++) {
        ecg_rng g;
        ecg_rng_open(&g, seed, 0, ECG_STREAM_PAIRS, (uint32_t)draw, 0x45585031u);
        for (int i = 0; i < P * H; i++)
            direction[i] = ecg_rng_normal(&g);
        fit f = {.r = train, .direction = draw < 0 ? NULL : direction, .F = P, .K = e->K};
        failed = take(&f, e->score_mean, seed) || !solve(&f, -1) || shares(r2, &f, held, NULL, e->score_mean);
        end(&f);
        for (int k = 0; k < e->K && !failed; k++)
            if (draw < 0)
                e->completeness[k] = r2[k];
            else
                e->random[k] += r2[k] / ECG_RANDOM_DRAWS;
    }
    free(direction);
    free(r2);
    return failed ? -1 : 0;
}

int ecg_explainer_decompose(ecg_explainer *e, const ecg_explain_rows *train, const double *train_pattern, const ecg_explain_rows *held, uint64_t seed)
{
    e->penalty = ridge;
    for (int64_t i = 0; i < train->n; i++)
        for (int k = 0; k < e->K; k++)
            e->score_mean[k] += train->score[i * e->K + k] / (double)train->n;
    return shared(e, train, train_pattern, seed) || completeness(e, train, held, seed) ? -1 : 0;
}
