/* SPDX-License-Identifier: MIT
 * truth_random.c: gates that hold an explanation against one that must fail: laboratory labels dealt out at random among the same records, and the bars of
 * other models of the same cohort. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "stat/ridge.h"
#include "study/runlog.h"
#include "study/truth_parts.h"

enum { MOST_TAUGHT = 4000, READ = 5 /* labs of a diagnosis, as many as a page cites */, MOST_BARS = 300 /* test records */ };
static const double light = 1e-4; /* penalty of the read-outs, as in explain_fit.c */

/* ---- shuffled labels --------------------------------------------------------------------------------------------------------------- */

/* v (P, H + 1): each lab's measurement as a linear function of the embedding; shuffled: dealt out among the records where it is known. */
static int teach(double *v, const ecg_readings *r, int labs, bool shuffled)
{
    const int P = r->K[labs], H = r->width;
    ecg_ridge *ridge = ecg_ridge_new(H, 1);
    double *x = malloc((size_t)H * sizeof *x);
    uint32_t *known = malloc(((size_t)r->n + 1) * 2 * sizeof *known), *dealt = known ? known + r->n : NULL;
    int failed = !ridge || !x || !known;
    for (int p = 0; p < P && !failed; p++) {
        uint32_t n = 0;
        for (int64_t i = 0; i < r->n; i++)
            if (r->label[labs][i * P + p] == 0 || r->label[labs][i * P + p] == 1)
                known[n++] = (uint32_t)i;
        memcpy(dealt, known, n * sizeof *known);
        ecg_rng g;
        ecg_rng_open(&g, 42, 0, ECG_STREAM_PAIRS, (uint32_t)p, 0x53485546u);
        if (shuffled)
            ecg_rng_shuffle(&g, dealt, n);
        ecg_ridge_clear(ridge);
        for (uint32_t i = 0; i < n; i++) {
            for (int j = 0; j < H; j++)
                x[j] = (double)r->h[(size_t)known[i] * (size_t)H + (size_t)j];
            const double y = r->label[labs][(size_t)dealt[i] * (size_t)P + (size_t)p];
            ecg_ridge_add(ridge, x, &y);
        }
        memset(v + (size_t)p * (size_t)(H + 1), 0, (size_t)(H + 1) * sizeof *v);
        if (n)
            failed = ecg_ridge_solve(v + (size_t)p * (size_t)(H + 1), ridge, light);
    }
    ecg_ridge_free(ridge);
    free(x);
    free(known);
    return failed;
}

static void random_directions(double *v, int P, int H)
{
    ecg_rng g;
    ecg_rng_open(&g, 42, 0, ECG_STREAM_PAIRS, 0, 0x444952u);
    for (int i = 0; i < P * (H + 1); i++)
        v[i] = ecg_rng_normal(&g);
}

static double read_out(const double *v, const float *h, int H)
{
    double y = v[H];
    for (int j = 0; j < H; j++)
        y += v[j] * (double)h[j];
    return y;
}

/* Held-out R2 of diagnosis k from the read-outs row[READ] of v. */
static int share_of(double *r2, const double *v, const int *row, int n, int k, const ecg_readings *train, const ecg_readings *test, int diagnoses)
{
    const int H = train->width, K = train->K[diagnoses];
    ecg_ridge *ridge = ecg_ridge_new(n, 1);
    double x[READ], c[READ + 1], residual = 0, sum = 0, square = 0;
    int failed = !ridge;
    for (int64_t i = 0; i < train->n && !failed; i++) {
        for (int a = 0; a < n; a++)
            x[a] = read_out(v + (size_t)row[a] * (size_t)(H + 1), train->h + i * H, H);
        ecg_ridge_add(ridge, x, &train->logit[diagnoses][i * K + k]);
    }
    failed = failed || ecg_ridge_solve(c, ridge, light);
    for (int64_t i = 0; i < test->n && !failed; i++) {
        const double y = test->logit[diagnoses][i * K + k];
        for (int a = 0; a < n; a++)
            x[a] = read_out(v + (size_t)row[a] * (size_t)(H + 1), test->h + i * H, H);
        const double gap = y - ecg_ridge_at(c, x, n);
        residual += gap * gap;
        sum += y;
        square += y * y;
    }
    ecg_ridge_free(ridge);
    const double total = square - sum * sum / (double)test->n;
    *r2 = total > 1e-12 * square ? 1 - residual / total : NAN;
    return failed;
}

ecg_status ecg_truth_shuffle(ecg_truth *out, ecg_truth_work *w, const ecg_readings *test, ecg_err *err)
{
    ecg_readings train;
    const ecg_explainer *e = &w->m.explainer;
    ecg_status st = ecg_readings_take(&train, &w->m, &w->loader, &w->loader.role[ECG_TRAIN], MOST_TAUGHT, w->task->watch, "training records", err);
    if (st)
        return st;
    const int P = e->P, H = e->H;
    double *v = malloc((size_t)3 * (size_t)P * (size_t)(H + 1) * sizeof *v), sum[3] = {0, 0, 0};
    int failed = !v, told = 0;
    const size_t one = (size_t)P * (size_t)(H + 1);
    if (!failed) {
        failed = teach(v, &train, w->labs, false) || teach(v + one, &train, w->labs, true);
        random_directions(v + 2 * one, P, H);
    }
    for (int k = 0; k < e->K && !failed; k++) {
        int row[ECG_TRUTH_HEAVY], n;
        double r2[3];
        ecg_truth_heaviest(row, &n, w, test, k);
        for (int which = 0; which < 3 && !failed; which++)
            failed = share_of(&r2[which], v + (size_t)which * one, row, n, k, &train, test, w->diagnoses);
        if (failed || isnan(r2[0]) || isnan(r2[1]) || isnan(r2[2]))
            continue;
        for (int which = 0; which < 3; which++)
            sum[which] += r2[which];
        told++;
    }
    out->five = told ? sum[0] / told : NAN;
    out->five_shuffled = told ? sum[1] / told : NAN;
    out->five_random = told ? sum[2] / told : NAN;
    free(v);
    ecg_readings_clear(&train);
    return failed ? ecg_fail(err, ECG_ENOMEM, "out of memory") : ECG_OK;
}

/* ---- other models ------------------------------------------------------------------------------------------------------------------ */

static int code_of(const ecg_label_table *t, const char *code)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->label[i].code, code) == 0)
            return i;
    return -1;
}

typedef struct { const ecg_model *m; const ecg_readings *r; int diagnoses, labs; } seen;

/* The bars of record i for diagnosis k. bar, own (F) */
static void bars_of(double *bar, double *own, const seen *s, int64_t i, int k)
{
    const ecg_explainer *e = &s->m->explainer;
    double pattern[ECG_PATTERNS];
    ecg_explainer_patterns(pattern, e, s->r->h + i * e->H);
    ecg_explainer_own(own, e, s->r->logit[s->labs] + i * e->P, pattern);
    ecg_explainer_parts(bar, e, k, 0, own);
}

/* Mean rank correlation of the bars of this model's most probable diagnosis; share of its three longest that are among the other's three longest. */
static int compare(double *correlation, double *shared, const seen *a, const seen *b)
{
    const ecg_label_table *ad, *al, *bd, *bl;
    const int P = a->m->explainer.P, K = a->m->explainer.K;
    const size_t room = (size_t)P + (size_t)b->m->explainer.P + 2 * ECG_PATTERNS;
    double *bar = malloc(room * 4 * sizeof *bar), *other = bar ? bar + room : NULL, *same = bar ? bar + 2 * room : NULL, *own = bar ? bar + 3 * room : NULL, sum = 0, common = 0;
    int told = 0;
    if (!bar)
        return -1;
    ecg_head_labels(a->m, &a->m->head[a->diagnoses], &ad);
    ecg_head_labels(a->m, &a->m->head[a->labs], &al);
    ecg_head_labels(b->m, &b->m->head[b->diagnoses], &bd);
    ecg_head_labels(b->m, &b->m->head[b->labs], &bl);
    for (int64_t i = 0; i < a->r->n; i++) {
        int best = 0;
        for (int k = 1; k < K; k++)
            best = a->r->logit[a->diagnoses][i * K + k] > a->r->logit[a->diagnoses][i * K + best] ? k : best;
        const int there = code_of(bd, ad->label[best].code);
        if (there < 0)
            continue;
        bars_of(bar, own, a, i, best);
        bars_of(other, own, b, i, there);
        int n = 0;
        for (int p = 0; p < P; p++) {
            const int q = code_of(bl, al->label[p].code);
            if (q >= 0) {
                bar[n] = bar[p];
                same[n++] = other[q];
            }
        }
        const double r = ecg_truth_ranks(bar, same, n);
        if (isnan(r))
            continue;
        sum += r;
        for (int p = 0; p < n; p++) { /* among the three longest of both */
            int before[2] = {0, 0};
            for (int q = 0; q < n; q++) {
                before[0] += bar[q] > bar[p];
                before[1] += same[q] > same[p];
            }
            common += before[0] < 3 && before[1] < 3;
        }
        told++;
    }
    *correlation = told ? sum / told : NAN;
    *shared = told ? common / 3 / told : NAN;
    free(bar);
    return 0;
}

static ecg_status one_model(double *correlation, double *shared, ecg_truth_work *w, const char *name, const ecg_readings *mine, const ecg_rows *rows, ecg_err *err)
{
    char path[512];
    ecg_model m = {0};
    ecg_readings r = {0};
    ecg_status st = ecg_model_path(path, sizeof path, name, err);
    if (!st)
        st = ecg_model_load(&m, path, false, false, err);
    if (st)
        return st;
    ecg_model_use(&m, w->task->exec);
    seen a = {&w->m, mine, w->diagnoses, w->labs}, b = {&m, &r, 0, 0};
    for (int i = 0; i < m.heads; i++)
        *(strcmp(m.head[i].prefix, ECG_HEAD_LABS) ? &b.diagnoses : &b.labs) = i;
    if (!m.explainer.K)
        st = ecg_fail_at(err, ECG_ECONTRACT, path, 0, 0, "a model without explanations");
    if (!st && m.shape.length != w->m.shape.length)
        st = ecg_fail_at(err, ECG_ECONTRACT, path, 0, 0, "crops of %d samples, those of the model have %d", m.shape.length, w->m.shape.length);
    if (!st)
        st = ecg_readings_take(&r, &m, &w->loader, rows, MOST_BARS, w->task->watch, "other models", err);
    if (!st && compare(correlation, shared, &a, &b))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    ecg_readings_clear(&r);
    ecg_model_clear(&m);
    return st;
}

ecg_status ecg_truth_models(ecg_truth *out, ecg_truth_work *w, ecg_err *err)
{
    const ecg_rows *rows = &w->loader.role[ECG_TEST];
    ecg_readings mine;
    out->models = out->models_shared = NAN;
    if (!w->task->n_also)
        return ECG_OK;
    ecg_status st = ecg_readings_take(&mine, &w->m, &w->loader, rows, MOST_BARS, w->task->watch, "other models", err);
    if (st)
        return st;
    double sum = 0, shared = 0;
    for (int i = 0; i < w->task->n_also && !st; i++) {
        double r = NAN, s = NAN;
        st = one_model(&r, &s, w, w->task->also[i], &mine, rows, err);
        sum += r;
        shared += s;
    }
    if (!st) {
        out->n_models = w->task->n_also;
        out->models = sum / w->task->n_also;
        out->models_shared = shared / w->task->n_also;
    }
    ecg_readings_clear(&mine);
    return st;
}
