/* SPDX-License-Identifier: MIT
 * embed.c: see embed.h. */
#include "study/embed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/train.h"

enum { CHUNK = 64 }; /* crops that run together */

typedef struct {
    float *x, *h;    /* (room, L, leads), (room, H) */
    uint32_t *row;   /* (room) cohort rows */
    int64_t *owner;  /* (room) places among the rows asked for, in runs */
    int *start;      /* (room) */
    int room, crops;
    ecg_encoder_work *work;
} chunk;

static void flush(float *out, chunk *c, const ecg_model *m, const ecg_loader *l, const ecg_exec *exec)
{
    const size_t H = (size_t)m->shape.width;
    if (!c->crops)
        return;
    ecg_loader_signals(c->x, l, exec->pool, c->row, c->start, c->crops);
    ecg_encoder_forward(c->h, NULL, m->encoder, &m->table, c->work, exec, c->x, c->crops, NULL);
    for (int b = 0, end; b < c->crops; b = end) {
        for (end = b; end < c->crops && c->owner[end] == c->owner[b];)
            end++;
        float *mean = out + (size_t)c->owner[b] * H;
        for (size_t j = 0; j < H; j++) {
            double sum = 0;
            for (int i = b; i < end; i++)
                sum += (double)c->h[(size_t)i * H + j];
            mean[j] = (float)(sum / (end - b));
        }
    }
    c->crops = 0;
}

ecg_status ecg_embed_rows(float *h, const ecg_model *m, const ecg_loader *l, const ecg_rows *rows, const ecg_exec *exec, const ecg_watch *watch,
                          const char *what, ecg_err *err)
{
    const ecg_contract *k = &l->cohort->contract;
    const int most = k->samples / l->crop;
    chunk c = {.room = most > CHUNK ? most : CHUNK};
    const size_t n = (size_t)c.room;
    ecg_status st = ECG_OK;
    c.x = malloc(n * (size_t)l->crop * (size_t)k->leads * sizeof *c.x);
    c.h = malloc(n * (size_t)m->shape.width * sizeof *c.h);
    c.row = malloc(n * sizeof *c.row);
    c.owner = malloc(n * sizeof *c.owner);
    c.start = malloc(n * sizeof *c.start);
    c.work = ecg_encoder_work_new(m->encoder, exec->pool ? ecg_pool_threads(exec->pool) : 1, 0, false);
    if (!c.x || !c.h || !c.row || !c.owner || !c.start || !c.work)
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < rows->n && !st; i++) {
        const int crops = ecg_loader_crops(l, rows->row[i]);
        if (c.crops + crops > c.room) {
            flush(h, &c, m, l, exec);
            if (what)
                ecg_progress(watch, what, (double)i, (double)rows->n, "");
            if (ecg_stopped(watch))
                st = ecg_fail(err, ECG_EINTR, "interrupted");
        }
        for (int j = 0; j < crops && !st; j++, c.crops++) {
            c.row[c.crops] = rows->row[i];
            c.owner[c.crops] = i;
            c.start[c.crops] = j * l->crop;
        }
    }
    if (!st)
        flush(h, &c, m, l, exec);
    if (what)
        ecg_progress(watch, what, 1, 1, "");
    free(c.x);
    free(c.h);
    free(c.row);
    free(c.owner);
    free(c.start);
    ecg_encoder_work_free(c.work);
    return st;
}

ecg_status ecg_untrained(ecg_model *out, const ecg_cohort *c, const ecg_config *config, const ecg_exec *exec, ecg_err *err)
{
    ecg_model m = {0};
    *out = m;
    ecg_status st = ecg_contract_copy(&m.contract, &c->contract, err);
    if (st)
        return st;
    m.contract.crop = (int)config->encoder.length;
    m.synthetic = c->synthetic;
    snprintf(m.preset, sizeof m.preset, "%s", config->preset);
    m.shape = ecg_train_encoder(config, c->contract.leads);
    if ((st = ecg_model_build(&m, false, err)))
        return st;
    if ((st = ecg_train_begin(&m, (uint64_t)config->train.seed, exec, err))) {
        ecg_model_clear(&m);
        return st;
    }
    *out = m;
    return ECG_OK;
}
