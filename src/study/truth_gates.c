/* SPDX-License-Identifier: MIT
 * truth_gates.c: the gates that need no truth: coverage, calibration, deletion, stability, age and sex, negative controls. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "stat/auroc.h"
#include "stat/calibration.h"
#include "stat/ridge.h"
#include "study/truth_parts.h"

enum { DELETED = ECG_TRUTH_HEAVY /* directions taken out of the embedding */, MOST_DELETED = 40 /* diagnoses */, CASES = 20, MOST_CROPPED = 100 };

/* Codes whose only way into an ECG is age. */
static const char *const controls[] = {"F32", "F17", "F03", "I63", "S"};

/* ---- verdicts and probabilities ------------------------------------------------------------------------------------------------------ */

static ecg_status ece_of(double *before, double *after, const double *raw, const double *p, const int8_t *label, int64_t n, ecg_err *err)
{
    double *const to[] = {before, after};
    const double *const from[] = {raw, p};
    for (int i = 0; i < 2; i++) {
        ecg_sorted s;
        ecg_calibration c;
        if (ecg_sorted_make(&s, from[i], label, n, 1, 1))
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        const int failed = ecg_calibrate(&c, &s);
        ecg_sorted_clear(&s);
        if (failed)
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        *to[i] = c.ece[ECG_BINS_MASS10];
    }
    return ECG_OK;
}

/* drawn[i]: record i stands for its patient. Which one is decided by a random number of its row. */
static int draw_people(uint8_t *drawn, const ecg_readings *r)
{
    uint32_t *key = malloc(((size_t)r->n + 1) * sizeof *key);
    if (!key)
        return -1;
    for (int64_t i = 0; i < r->n; i++) {
        ecg_rng g;
        ecg_rng_open(&g, 42, 0, ECG_STREAM_PAIRS, (uint32_t)r->row[i], 0x50455253u);
        key[i] = ecg_rng_word(&g);
        drawn[i] = 1;
    }
    for (int64_t i = 0; i < r->n; i++) /* a few thousand records */
        for (int64_t j = 0; j < r->n && drawn[i]; j++)
            drawn[i] = !(r->patient[j] == r->patient[i] && (key[j] < key[i] || (key[j] == key[i] && j < i)));
    free(key);
    return 0;
}

static void count_pair(int64_t *pairs, int64_t *inside, double *gap, int64_t in, int64_t all, int64_t cases, double alpha)
{
    int64_t lo, hi;
    if (!all)
        return;
    ecg_coverage_band(&lo, &hi, all, cases, alpha);
    *inside += in >= lo && in <= hi;
    ++*pairs;
    const double g = (double)in / (double)all - (1 - alpha);
    *gap = *pairs == 1 ? g : *gap + (g - *gap) / (double)*pairs;
}

static ecg_status coverage(ecg_truth_coverage *out, const ecg_truth_work *w, int head, const ecg_readings *r, ecg_err *err)
{
    const ecg_uncertainty *u = &w->m.uncertain[head];
    double *raw = malloc(((size_t)r->n + 1) * 2 * sizeof *raw), *p = raw ? raw + r->n : NULL;
    int8_t *y = malloc((size_t)r->n + 1);
    ecg_status st = raw && y ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    double width = 0, records = 0, before = 0, after = 0;
    int labels = 0;
    uint8_t *drawn = malloc((size_t)r->n + 1);
    if (!st && (!drawn || draw_people(drawn, r)))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    *out = (ecg_truth_coverage){.mean_gap = NAN, .people_gap = NAN, .ece_before = NAN, .ece_after = NAN, .width = NAN};
    for (int k = 0; k < u->K && !st; k++) {
        int64_t in[2][2] = {{0, 0}, {0, 0}}, all[2][2] = {{0, 0}, {0, 0}}, n = 0; /* of all records, of one a patient */
        double b, a;
        for (int64_t i = 0; i < r->n; i++) {
            ecg_certainty c;
            const double z = r->logit[head][i * u->K + k];
            const int8_t label = r->label[head][i * u->K + k];
            ecg_certainty_of(&c, u, k, z);
            if ((label != 0 && label != 1) || isnan(c.p))
                continue;
            raw[n] = 1 / (1 + exp(-z));
            p[n] = c.p;
            y[n++] = label;
            width += c.hi - c.lo;
            records++;
            if (ecg_conformal_set(&c, w->task->alpha) < 0)
                continue;
            for (int who = 0; who <= drawn[i]; who++) {
                all[who][label]++;
                in[who][label] += ecg_conformal_set(&c, w->task->alpha) >> label & 1;
            }
        }
        for (int t = 0; t < 2; t++) {
            const int64_t cases = t ? u->label[k].positives : u->label[k].negatives;
            count_pair(&out->pairs, &out->inside, &out->mean_gap, in[0][t], all[0][t], cases, w->task->alpha);
            count_pair(&out->people_pairs, &out->people_inside, &out->people_gap, in[1][t], all[1][t], cases, w->task->alpha);
        }
        if (n < CASES)
            continue;
        st = ece_of(&b, &a, raw, p, y, n, err);
        before += b;
        after += a;
        labels++;
    }
    if (labels) {
        out->ece_before = before / labels;
        out->ece_after = after / labels;
        out->width = width / records;
    }
    free(raw);
    free(y);
    free(drawn);
    return st;
}

/* ---- deletion ------------------------------------------------------------------------------------------------------------------------ */

/* C v, C the covariance whose root the model holds. */
static void spread_of(double *out, double *room, const ecg_outlier *o, const double *v)
{
    const size_t H = (size_t)o->width;
    for (size_t b = 0; b < H; b++) {
        room[b] = 0;
        for (size_t a = b; a < H; a++)
            room[b] += (double)o->root[a * (a + 1) / 2 + b] * v[a];
    }
    for (size_t a = 0; a < H; a++) {
        out[a] = 0;
        for (size_t b = 0; b <= a; b++)
            out[a] += (double)o->root[a * (a + 1) / 2 + b] * room[b];
    }
}

/* The read-outs v (DELETED, H) become constant on all rows: one after the other, each made independent of those before (Gram and Schmidt under C). */
static void delete_directions(float *h, double *v, int64_t n, const ecg_outlier *o, double *room)
{
    const size_t H = (size_t)o->width;
    double *spread = room, *other = room + H * DELETED;
    int kept = 0;
    for (int d = 0; d < DELETED; d++) {
        double *x = v + (size_t)kept * H, length = 0;
        memmove(x, v + (size_t)d * H, H * sizeof *x);
        for (int e = 0; e < kept; e++) {
            double dot = 0;
            for (size_t j = 0; j < H; j++)
                dot += x[j] * spread[(size_t)e * H + j];
            for (size_t j = 0; j < H; j++)
                x[j] -= dot * v[(size_t)e * H + j];
        }
        spread_of(spread + (size_t)kept * H, other, o, x);
        for (size_t j = 0; j < H; j++)
            length += x[j] * spread[(size_t)kept * H + j];
        if (!(length > 1e-12))
            continue;
        for (size_t j = 0; j < H; j++) {
            x[j] /= sqrt(length);
            spread[(size_t)kept * H + j] /= sqrt(length);
        }
        kept++;
    }
    for (int d = 0; d < kept; d++) {
        const double *x = v + (size_t)d * H;
        for (int64_t i = 0; i < n; i++) {
            double y = 0;
            for (size_t j = 0; j < H; j++)
                y += x[j] * ((double)h[(size_t)i * H + j] - (double)o->mean[j]);
            for (size_t j = 0; j < H; j++)
                h[(size_t)i * H + j] = (float)((double)h[(size_t)i * H + j] - y * spread[(size_t)d * H + j]);
        }
    }
}

typedef struct {
    float *h, *score;  /* (n, H), (n) */
    int8_t *y;         /* (n) */
    double *v, *room, *logit; /* (DELETED, H), (DELETED + 2, H), (K) */
} deletion;

static ecg_status area_without(double *auroc, deletion *d, const ecg_truth_work *w, const ecg_readings *r, int k, bool any, ecg_err *err)
{
    const size_t H = (size_t)r->width;
    ecg_status st = ECG_OK;
    memcpy(d->h, r->h, (size_t)r->n * H * sizeof *d->h);
    if (any)
        delete_directions(d->h, d->v, r->n, &w->m.outlier, d->room);
    for (int64_t i = 0; i < r->n && !st; i++) {
        st = ecg_head_means(d->logit, NULL, &w->m, &w->m.head[w->diagnoses], d->h + (size_t)i * H, 1, err);
        d->score[i] = (float)d->logit[k];
        d->y[i] = r->label[w->diagnoses][i * r->K[w->diagnoses] + k];
    }
    *auroc = ecg_auroc(d->score, d->y, r->n, 1);
    return st;
}

/* The labs that weigh most in diagnosis k over these records. */
void ecg_truth_heaviest(int row[DELETED], int *n, const ecg_truth_work *w, const ecg_readings *r, int k)
{
    const ecg_explainer *e = &w->m.explainer;
    double best[DELETED];
    *n = 0;
    for (int p = 0; p < e->P; p++) {
        double square = 0;
        for (int64_t i = 0; i < r->n; i++) {
            const double d = r->logit[w->labs][i * e->P + p] - e->feature_mean[p];
            square += d * d;
        }
        const double weight = fabs(e->beta[(size_t)k * (size_t)(e->P + ECG_PATTERNS) + (size_t)p]) * sqrt(square);
        int at = *n < DELETED ? (*n)++ : DELETED;
        for (; at > 0 && best[at - 1] < weight; at--)
            if (at < DELETED) {
                best[at] = best[at - 1];
                row[at] = row[at - 1];
            }
        if (at < DELETED) {
            best[at] = weight;
            row[at] = p;
        }
    }
}

static ecg_status delete_all(ecg_truth *out, const ecg_truth_work *w, const ecg_readings *r, ecg_err *err)
{
    const ecg_explainer *e = &w->m.explainer;
    const size_t H = (size_t)r->width;
    deletion d = {malloc((size_t)r->n * H * sizeof(float)), malloc((size_t)r->n * sizeof(float)), malloc((size_t)r->n), malloc(DELETED * H * sizeof(double)),
                  malloc((DELETED + 2) * H * sizeof(double)), malloc((size_t)e->K * sizeof(double))};
    ecg_status st = d.h && d.score && d.y && d.v && d.room && d.logit ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    int done = 0;
    double mean = 0, squares = 0;
    out->deletion = out->deletion_random = 0;
    for (int k = 0; k < e->K && done < MOST_DELETED && !st; k++) {
        int64_t count[2] = {0, 0};
        int row[DELETED], n;
        double whole, without, random;
        for (int64_t i = 0; i < r->n; i++)
            if (r->label[w->diagnoses][i * e->K + k] == 0 || r->label[w->diagnoses][i * e->K + k] == 1)
                count[r->label[w->diagnoses][i * e->K + k]]++;
        if (count[0] < CASES || count[1] < CASES)
            continue;
        ecg_truth_heaviest(row, &n, w, r, k);
        memset(d.v, 0, DELETED * H * sizeof *d.v);
        for (int i = 0; i < n; i++)
            memcpy(d.v + (size_t)i * H, e->view + (size_t)row[i] * (H + 1), H * sizeof *d.v);
        st = area_without(&whole, &d, w, r, k, false, err);
        if (!st)
            st = area_without(&without, &d, w, r, k, true, err);
        ecg_rng g;
        ecg_rng_open(&g, 42, 0, ECG_STREAM_PAIRS, (uint32_t)k, 0x44454c31u);
        for (size_t i = 0; i < DELETED * H; i++)
            d.v[i] = ecg_rng_normal(&g);
        if (!st)
            st = area_without(&random, &d, w, r, k, true, err);
        if (st)
            break;
        out->deletion += whole - without;
        out->deletion_random += whole - random;
        done++;
        const double gap = random - without, step = gap - mean;
        mean += step / done;
        squares += step * (gap - mean);
        ecg_progress(w->task->watch, "deletion", k, e->K, "");
        if (ecg_stopped(w->task->watch))
            st = ecg_fail(err, ECG_EINTR, "interrupted");
    }
    ecg_progress(w->task->watch, "deletion", 1, 1, "");
    out->deletion = done ? out->deletion / done : NAN;
    out->deletion_random = done ? out->deletion_random / done : NAN;
    const double half = done > 1 ? 1.96 * sqrt(squares / (done - 1) / done) : NAN;
    out->deletion_lo = mean - half;
    out->deletion_hi = mean + half;
    free(d.h);
    free(d.score);
    free(d.y);
    free(d.v);
    free(d.room);
    free(d.logit);
    return st;
}

/* ---- stability ------------------------------------------------------------------------------------------------------------------------ */

/* Spearman's rank correlation; mid-ranks by counting. */
double ecg_truth_ranks(const double *x, const double *y, int n)
{
    double sx = 0, sy = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        double rx = 0, ry = 0;
        for (int j = 0; j < n; j++) {
            rx += (x[j] < x[i]) - (x[j] > x[i]);
            ry += (y[j] < y[i]) - (y[j] > y[i]);
        }
        sx += rx * rx;
        sy += ry * ry;
        xy += rx * ry;
    }
    return sx > 0 && sy > 0 ? xy / sqrt(sx * sy) : NAN;
}

typedef struct { double *logit, *lab, *bar, *one, *own; } crop_room; /* (K), (P), (F), (F), (F) */

/* Bars of the record's most probable diagnosis, and of each crop by itself: mean correlation into *sum. */
static ecg_status stable_record(double *sum, int *n, const ecg_truth_work *w, const float *h, int crops, float *mean, crop_room *c, ecg_err *err)
{
    const ecg_explainer *e = &w->m.explainer;
    double pattern[ECG_PATTERNS];
    int best = 0;
    ecg_status st = ecg_head_means(c->logit, NULL, &w->m, &w->m.head[w->diagnoses], h, crops, err);
    if (!st)
        st = ecg_head_means(c->lab, NULL, &w->m, &w->m.head[w->labs], h, crops, err);
    if (st)
        return st;
    for (int k = 0; k < e->K; k++)
        best = c->logit[k] > c->logit[best] ? k : best;
    ecg_mean_crops(mean, h, crops, e->H);
    ecg_explainer_patterns(pattern, e, mean);
    ecg_explainer_own(c->own, e, c->lab, pattern);
    ecg_explainer_parts(c->bar, e, best, c->logit[best], c->own);
    for (int i = 0; i < crops && !st; i++) {
        const float *crop = h + (size_t)i * (size_t)e->H;
        st = ecg_head_means(c->lab, NULL, &w->m, &w->m.head[w->labs], crop, 1, err);
        if (st)
            break;
        ecg_explainer_patterns(pattern, e, crop);
        ecg_explainer_own(c->own, e, c->lab, pattern);
        ecg_explainer_parts(c->one, e, best, 0, c->own);
        const double r = ecg_truth_ranks(c->bar, c->one, e->P);
        if (!isnan(r)) {
            *sum += r;
            (*n)++;
        }
    }
    return st;
}

static ecg_status stability(ecg_truth *out, const ecg_truth_work *w, ecg_err *err)
{
    const ecg_explainer *e = &w->m.explainer;
    const ecg_rows *rows = &w->loader.role[ECG_TEST];
    const int64_t asked = rows->n < MOST_CROPPED ? rows->n : MOST_CROPPED;
    const int most = w->cohort.contract.samples / w->loader.crop;
    const size_t F = (size_t)e->P + ECG_PATTERNS, H = (size_t)e->H, room = (size_t)(most > 0 ? most : 1);
    crop_room c = {malloc((size_t)e->K * sizeof(double)), malloc((size_t)e->P * sizeof(double)), malloc(F * sizeof(double)), malloc(F * sizeof(double)),
                   malloc(F * sizeof(double))};
    float *x = malloc(room * (size_t)w->loader.crop * (size_t)w->cohort.contract.leads * sizeof *x), *h = malloc((room + 1) * H * sizeof *h);
    uint32_t *row = malloc(room * sizeof *row);
    int *start = malloc(room * sizeof *start), n = 0;
    double sum = 0;
    ecg_status st = c.logit && c.lab && c.bar && c.one && c.own && x && h && row && start ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < asked && !st; i++) {
        const uint32_t at = rows->row[i * rows->n / asked];
        const int crops = ecg_loader_crops(&w->loader, at);
        for (int b = 0; b < crops; b++) {
            row[b] = at;
            start[b] = b * w->loader.crop;
        }
        if (crops < 2)
            continue;
        ecg_loader_signals(x, &w->loader, w->m.exec.pool, row, start, crops);
        st = ecg_embed_crops(h, &w->m, x, crops, err);
        if (!st)
            st = stable_record(&sum, &n, w, h, crops, h + room * H, &c, err);
    }
    out->stability = n ? sum / n : NAN;
    free(c.logit);
    free(c.lab);
    free(c.bar);
    free(c.one);
    free(c.own);
    free(x);
    free(h);
    free(row);
    free(start);
    return st;
}

/* ---- age and sex, controls ------------------------------------------------------------------------------------------------------------- */

/* Variance of the laboratory part of a decomposition fitted on these records, with the patterns beside it or without. */
static int lab_variance(double *out, const ecg_truth_work *w, const ecg_readings *r, bool patterns)
{
    const ecg_explainer *e = &w->m.explainer;
    const int P = e->P, F = P + (patterns ? ECG_PATTERNS : 0), K = e->K;
    ecg_ridge *ridge = ecg_ridge_new(F, K);
    double *x = malloc((size_t)(P + ECG_PATTERNS) * sizeof *x), *c = malloc((size_t)K * (size_t)(F + 1) * sizeof *c);
    int failed = !ridge || !x || !c;
    for (int pass = 0; pass < 2 && !failed; pass++) {
        double *sum = pass ? calloc((size_t)K * 2, sizeof *sum) : NULL;
        failed = pass && !sum;
        for (int64_t i = 0; i < r->n && !failed; i++) {
            memcpy(x, r->logit[w->labs] + i * P, (size_t)P * sizeof *x);
            ecg_explainer_patterns(x + P, e, r->h + i * r->width);
            if (!pass)
                ecg_ridge_add(ridge, x, r->logit[w->diagnoses] + i * K);
            for (int k = 0; k < K && pass; k++) {
                double part = 0;
                for (int p = 0; p < P; p++)
                    part += c[(size_t)k * (size_t)(F + 1) + (size_t)p] * (x[p] - e->feature_mean[p]);
                sum[2 * k] += part;
                sum[2 * k + 1] += part * part;
            }
        }
        if (!pass)
            failed = failed || ecg_ridge_solve(c, ridge, e->penalty);
        *out = 0;
        for (int k = 0; k < K && pass && !failed; k++)
            *out += (sum[2 * k + 1] - sum[2 * k] * sum[2 * k] / (double)r->n) / (double)r->n;
        free(sum);
    }
    ecg_ridge_free(ridge);
    free(x);
    free(c);
    return failed;
}

static void shares(ecg_truth *out, const ecg_truth_work *w)
{
    const ecg_explainer *e = &w->m.explainer;
    const ecg_label_table *t;
    double sum[2] = {0, 0}, gain[2] = {0, 0}, control = 0;
    int n = 0;
    ecg_head_labels(&w->m, &w->m.head[w->diagnoses], &t);
    for (int k = 0; k < e->K; k++) {
        if (isnan(e->completeness[k]))
            continue;
        sum[0] += e->completeness[k];
        sum[1] += e->random[k];
        n++;
        size_t i = 0;
        while (i < sizeof controls / sizeof *controls && strncmp(t->label[k].code, controls[i], strlen(controls[i])) != 0)
            i++;
        const bool is_control = i < sizeof controls / sizeof *controls;
        control += is_control ? e->completeness[k] : 0;
        out->controls += is_control;
        gain[is_control] += e->completeness[k] - e->random[k];
    }
    out->control_gain = out->controls ? gain[1] / out->controls : NAN;
    out->other_gain = n > out->controls ? gain[0] / (n - out->controls) : NAN;
    out->completeness = n ? sum[0] / n : NAN;
    out->random = n ? sum[1] / n : NAN;
    out->control = out->controls ? control / out->controls : NAN;
}

ecg_status ecg_truth_gates(ecg_truth *out, ecg_truth_work *w, ecg_err *err)
{
    ecg_readings r;
    double with, without;
    ecg_status st = ecg_readings_take(&r, &w->m, &w->loader, &w->loader.role[ECG_TEST], 0, w->task->watch, "test records", err);
    if (st)
        return st;
    st = coverage(&out->coverage[0], w, w->diagnoses, &r, err);
    if (!st)
        st = coverage(&out->coverage[1], w, w->labs, &r, err);
    if (!st && w->m.outlier.width)
        st = delete_all(out, w, &r, err);
    else
        out->deletion = out->deletion_random = out->deletion_lo = out->deletion_hi = NAN;
    if (!st)
        st = stability(out, w, err);
    if (!st && (lab_variance(&with, w, &r, true) || lab_variance(&without, w, &r, false)))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st) {
        out->with_age_sex = without > 0 ? with / without : NAN;
        shares(out, w);
        st = ecg_truth_shuffle(out, w, &r, err);
    }
    if (!st)
        st = ecg_truth_models(out, w, err);
    ecg_readings_clear(&r);
    return st;
}
