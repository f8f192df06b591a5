/* SPDX-License-Identifier: MIT
 * finetune_head.c: a linear head that begins where a ridge regression of the labels on the embedding ends, and not at random: with few labels a random
 * head first moves the encoder away from what it had learned (Kumar et al. 2022, "Fine-tuning can distort pretrained features ..."). */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stat/auroc.h"
#include "stat/ridge.h"
#include "study/embed.h"
#include "study/finetune_parts.h"

enum { PENALTIES = 6, UNGUIDED = 3 }; /* UNGUIDED: the one where no validation record chooses */
static const double penalties[PENALTIES] = {1e-3, 1e-2, 1e-1, 1, 10, 100};

typedef struct {
    const stage2 *s;
    int H, K;
    float *h, *half;     /* (seen, H), (half A, H): embeddings */
    double *map;         /* (PENALTIES, K, H + 1), the intercept last */
    double *prevalence;  /* (K) of the seen rows, never 0 or 1 */
    float *score;        /* (half A, K) */
    int *order, shared;  /* (K) labels; the first `shared` are known on every seen row */
    atomic_bool failed;  /* out of memory in a worker */
} start;

static double *map_of(const start *f, int penalty, int k)
{
    return f->map + ((size_t)penalty * (size_t)f->K + (size_t)k) * ((size_t)f->H + 1);
}

static int8_t label_of(const stage2 *s, int64_t i, int k)
{
    return s->label[(size_t)s->seen.row[i] * (size_t)s->K + (size_t)k];
}

static bool known(int8_t y)
{
    return y == 0 || y == 1;
}

/* ---- fitting ------------------------------------------------------------------------------------------------------------ */

/* Labels that are known on every row share one system of equations; any other has its own. */
static void sort_labels(start *f)
{
    int last = f->K;
    for (int k = 0; k < f->K; k++) {
        int64_t i = 0;
        while (i < f->s->seen.n && known(label_of(f->s, i, k)))
            i++;
        f->order[i == f->s->seen.n ? f->shared++ : --last] = k;
    }
}

/* q labels on the rows where the first of them is known. r, x (H), y (q), c (q, H + 1) */
static void fit_with(start *f, const int *label, int q, ecg_ridge *r, double *x, double *y, double *c)
{
    const size_t H = (size_t)f->H, row = H + 1;
    for (int64_t i = 0; i < f->s->seen.n; i++) {
        if (!known(label_of(f->s, i, label[0])))
            continue;
        for (size_t j = 0; j < H; j++)
            x[j] = (double)f->h[(size_t)i * H + j];
        for (int k = 0; k < q; k++)
            y[k] = label_of(f->s, i, label[k]);
        ecg_ridge_add(r, x, y);
    }
    for (int p = 0; p < PENALTIES; p++) {
        const bool none = ecg_ridge_solve(c, r, penalties[p]) != 0; /* no row is known: the prevalence is all there is to say */
        for (int k = 0; k < q; k++) {
            memcpy(map_of(f, p, label[k]), c + (size_t)k * row, row * sizeof *c);
            for (size_t j = 0; j < row && none; j++)
                map_of(f, p, label[k])[j] = j < H ? 0 : f->prevalence[label[k]];
        }
    }
}

static void fit(start *f, const int *label, int q)
{
    const size_t H = (size_t)f->H;
    ecg_ridge *r = ecg_ridge_new(f->H, q);
    double *x = malloc(H * sizeof *x), *y = malloc((size_t)q * sizeof *y), *c = calloc((size_t)q * (H + 1), sizeof *c);
    if (r && x && y && c)
        fit_with(f, label, q, r, x, y, c);
    else
        f->failed = true;
    ecg_ridge_free(r);
    free(x);
    free(y);
    free(c);
}

/* Item 0: the labels that share a system; then the others. */
static void fit_item(void *ctx, int item, int worker)
{
    (void)worker;
    start *f = ctx;
    if (item > 0)
        fit(f, f->order + f->shared + item - 1, 1);
    else if (f->shared > 0)
        fit(f, f->order, f->shared);
}

/* The penalty whose maps have the highest macro AUROC on half A, one for all labels. */
static int best_penalty(start *f)
{
    const stage2 *s = f->s;
    const size_t H = (size_t)f->H, K = (size_t)f->K;
    double best = -1;
    int at = UNGUIDED;
    for (int p = 0; p < PENALTIES; p++) {
        for (size_t i = 0; i < (size_t)s->chosen_by.n; i++)
            for (size_t k = 0; k < K; k++) {
                const double *c = map_of(f, p, (int)k);
                double y = c[H];
                for (size_t j = 0; j < H; j++)
                    y += c[j] * (double)f->half[i * H + j];
                f->score[i * K + k] = (float)y;
            }
        const double auroc = ecg_auroc_macro(s->auroc, f->score, s->truth, s->chosen_by.n, s->K, s->study->exec->pool).skip_undefined;
        if (auroc > best) {
            best = auroc;
            at = p;
        }
    }
    return at;
}

/* ---- the head ----------------------------------------------------------------------------------------------------------- */

/* A map of 0 and 1 is the first step of a logistic regression that begins at the prevalence p: logit = logit(p) + (map - p) / (p (1 - p)). What the
 * head reads beside the embedding begins with weight 0. */
static void write_head(const start *f, stage2 *s, int penalty)
{
    const size_t H = (size_t)f->H, reads = (size_t)ecg_mlp_in(s->head->net);
    char weight[96], bias[96];
    snprintf(weight, sizeof weight, "%sweight", s->head->prefix);
    snprintf(bias, sizeof bias, "%sbias", s->head->prefix);
    float *w = ecg_value(&s->model.table, ecg_params_find(&s->model.table, weight)), *b = ecg_value(&s->model.table, ecg_params_find(&s->model.table, bias));
    for (int k = 0; k < f->K; k++) {
        const double p = f->prevalence[k], slope = 1 / (p * (1 - p)), *c = map_of(f, penalty, k);
        for (size_t j = 0; j < reads; j++)
            w[(size_t)k * reads + j] = j < H ? (float)(slope * c[j]) : 0;
        b[k] = (float)(log(p / (1 - p)) + slope * (c[H] - p));
    }
}

static ecg_status new_start(start *f, const stage2 *s, ecg_err *err)
{
    const size_t H = (size_t)s->model.shape.width, K = (size_t)s->K, n = (size_t)s->seen.n, a = (size_t)s->chosen_by.n + 1;
    *f = (start){.s = s, .H = s->model.shape.width, .K = s->K};
    f->h = malloc(n * H * sizeof *f->h);
    f->half = malloc(a * H * sizeof *f->half);
    f->map = malloc(PENALTIES * K * (H + 1) * sizeof *f->map);
    f->prevalence = malloc(K * sizeof *f->prevalence);
    f->score = malloc(a * K * sizeof *f->score);
    f->order = malloc(K * sizeof *f->order);
    if (!f->h || !f->half || !f->map || !f->prevalence || !f->score || !f->order)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (size_t k = 0; k < K; k++) {
        const double p = s->head->prevalence[k], least = 0.5 / (double)n;
        f->prevalence[k] = p > 1 - least ? 1 - least : p >= least ? p : least; /* NAN: least */
    }
    return ECG_OK;
}

ecg_status ecg_finetune_start_head(stage2 *s, ecg_err *err)
{
    const ecg_study *y = s->study;
    start f;
    ecg_status st = new_start(&f, s, err);
    if (!st && !(st = ecg_embed_rows(f.h, &s->model, &s->loader, &s->seen, y->exec, y->watch, NULL, err)) &&
        !(st = ecg_embed_rows(f.half, &s->model, &s->loader, &s->chosen_by, y->exec, y->watch, NULL, err))) {
        sort_labels(&f);
        ecg_pool_run(y->exec->pool, fit_item, &f, f.K - f.shared + 1);
        if (f.failed)
            st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    if (!st) {
        const int at = s->chosen_by.n > 0 ? best_penalty(&f) : UNGUIDED;
        write_head(&f, s, at);
        ecg_say(y->watch, "the head begins as a ridge regression of the labels on the embedding, penalty %g", penalties[at]);
    }
    free(f.h);
    free(f.half);
    free(f.map);
    free(f.prevalence);
    free(f.score);
    free(f.order);
    return st;
}
