/* SPDX-License-Identifier: MIT
 * score.c: see score.h. Crops are run in chunks that hold whole recordings. */
#include "study/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "study/fuse.h"

enum {CHUNK = 64}; /* crops */

typedef struct {
    ecg_model *m;
    const ecg_loader *l;
    const ecg_exec *exec;
    float *const *prob;
    int room, crops, labels[2]; /* crops in the chunk; K of each head */
    uint32_t *row;              /* (room) */
    int *start;                 /* (room) */
    int64_t *owner;             /* (room) index of the recording among the rows */
    float *x, *h, *logit;       /* (room, L, leads), (room, H), (room, largest K) */
    ecg_encoder_work *work;
    ecg_mlp_work *head[2];
    ecg_fuse fuse;              /* for a head that reads the table too */
} chunk;

static void chunk_free(chunk *c)
{
    free(c->row);
    free(c->start);
    free(c->owner);
    free(c->x);
    free(c->h);
    free(c->logit);
    ecg_encoder_work_free(c->work);
    for (int i = 0; i < 2; i++)
        ecg_mlp_work_free(c->head[i]);
    ecg_fuse_close(&c->fuse);
}

static ecg_status chunk_new(chunk *c, ecg_err *err)
{
    const ecg_contract *k = &c->l->cohort->contract;
    const int most = k->samples / c->l->crop;
    int widest = 1;
    bool got = true;
    c->room = most > CHUNK ? most : CHUNK;
    for (int i = 0; i < c->m->heads; i++)
        if (c->prob[i]) {
            c->labels[i] = ecg_mlp_out(c->m->head[i].net);
            widest = c->labels[i] > widest ? c->labels[i] : widest;
            c->head[i] = ecg_mlp_work_new(c->m->head[i].net, c->room, false);
            got &= c->head[i] != NULL;
        }
    const size_t n = (size_t)c->room;
    c->row = malloc(n * sizeof *c->row);
    c->start = malloc(n * sizeof *c->start);
    c->owner = malloc(n * sizeof *c->owner);
    c->x = malloc(n * (size_t)c->l->crop * (size_t)k->leads * sizeof *c->x);
    c->h = malloc(n * (size_t)c->m->shape.width * sizeof *c->h);
    c->logit = malloc(n * (size_t)widest * sizeof *c->logit);
    c->work = ecg_encoder_work_new(c->m->encoder, c->exec->pool ? ecg_pool_threads(c->exec->pool) : 1, 0, false);
    if (!got || !c->row || !c->start || !c->owner || !c->x || !c->h || !c->logit || !c->work)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    return ecg_fuse_open(&c->fuse, c->m, c->l, c->room, false, err);
}

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* prob[owner] = mean over its crops; owners come in runs. */
static void average(float *prob, const chunk *c, int K)
{
    for (int b = 0; b < c->crops;) {
        int end = b;
        while (end < c->crops && c->owner[end] == c->owner[b])
            end++;
        float *out = prob + (size_t)c->owner[b] * (size_t)K;
        for (int k = 0; k < K; k++) {
            double sum = 0;
            for (int i = b; i < end; i++)
                sum += sigmoid((double)c->logit[(size_t)i * (size_t)K + (size_t)k]);
            out[k] = (float)(sum / (end - b));
        }
        b = end;
    }
}

static void flush(chunk *c)
{
    if (!c->crops)
        return;
    ecg_loader_signals(c->x, c->l, c->exec->pool, c->row, c->start, c->crops);
    ecg_encoder_forward(c->h, NULL, c->m->encoder, &c->m->table, c->work, c->exec, c->x, c->crops, NULL);
    const float *read = ecg_fuse_forward(&c->fuse, c->m, c->exec, c->h, c->row, c->crops, false, NULL);
    for (int i = 0; i < c->m->heads; i++)
        if (c->prob[i]) {
            ecg_mlp_forward(c->logit, c->m->head[i].net, &c->m->table, c->head[i], c->exec, read, c->crops, false, NULL);
            average(c->prob[i], c, c->labels[i]);
        }
    c->crops = 0;
}

ecg_status ecg_score_rows(float *const *prob, ecg_model *m, const ecg_loader *l, const ecg_rows *rows, const ecg_exec *exec, const ecg_watch *watch,
                          const char *what, ecg_err *err)
{
    chunk c = {.m = m, .l = l, .exec = exec, .prob = prob};
    ecg_status st = chunk_new(&c, err);
    for (int64_t i = 0; i < rows->n && !st; i++) {
        const int crops = ecg_loader_crops(l, rows->row[i]);
        if (c.crops + crops > c.room) {
            flush(&c);
            if (what)
                ecg_progress(watch, what, (double)i, (double)rows->n, "");
            if (ecg_stopped(watch))
                st = ecg_fail(err, ECG_EINTR, "interrupted");
        }
        for (int k = 0; k < crops; k++, c.crops++) {
            c.row[c.crops] = rows->row[i];
            c.start[c.crops] = k * l->crop;
            c.owner[c.crops] = i;
        }
    }
    if (!st)
        flush(&c);
    if (what)
        ecg_progress(watch, what, 1, 1, "");
    chunk_free(&c);
    return st;
}

void ecg_labels_of(int8_t *out, const int8_t *label, int K, const ecg_rows *rows)
{
    for (int64_t i = 0; i < rows->n; i++)
        memcpy(out + (size_t)i * (size_t)K, label + (size_t)rows->row[i] * (size_t)K, (size_t)K);
}

void ecg_labels_prevalence(double *out, const int8_t *label, int K, const ecg_rows *rows)
{
    for (int k = 0; k < K; k++) {
        int64_t known = 0, positive = 0;
        for (int64_t i = 0; i < rows->n; i++) {
            const int8_t y = label[(size_t)rows->row[i] * (size_t)K + (size_t)k];
            known += y == 0 || y == 1;
            positive += y == 1;
        }
        out[k] = known ? (double)positive / (double)known : NAN;
    }
}
