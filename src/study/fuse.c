/* SPDX-License-Identifier: MIT
 * fuse.c: see fuse.h. */
#include "study/fuse.h"

#include <stdlib.h>
#include <string.h>

static ecg_status take(ecg_fuse *f, const ecg_model *m, const ecg_loader *l, bool training, ecg_err *err)
{
    const ecg_contract *theirs = &l->cohort->contract;
    const size_t B = (size_t)f->batch;
    ecg_status st = ECG_OK;
    if (!l->cohort->tabular)
        return ecg_fail_at(err, ECG_ECONTRACT, l->cohort->path, 0, 0, "no tabular columns, and the model reads the table of the visit");
    if ((st = ecg_contract_fits(theirs, "the cohort", &m->contract, "the model", ECG_CONTRACT_COLUMNS, err)))
        return ecg_fail_in(err, st, l->cohort->path);
    f->view = *l;
    f->view.continuous_at = f->view.categorical_at = NULL;
    if ((st = ecg_loader_columns(&f->view, m->group, err)))
        return st;
    f->table = m->tab.out;
    f->continuous = malloc((B * (size_t)f->view.continuous + 1) * sizeof *f->continuous);
    f->category = malloc((B * (size_t)f->view.categorical + 1) * sizeof *f->category);
    f->hm = malloc(B * (size_t)f->table * sizeof *f->hm);
    f->dhm = malloc(B * (size_t)f->table * sizeof *f->dhm);
    f->joined = malloc(B * (size_t)(f->width + f->table) * sizeof *f->joined);
    f->work = ecg_tabular_work_new(m->tabular, f->batch, training);
    if (!f->continuous || !f->category || !f->hm || !f->dhm || !f->joined || !f->work)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the tables of %d crops", f->batch);
    return ECG_OK;
}

ecg_status ecg_fuse_open(ecg_fuse *f, const ecg_model *m, const ecg_loader *l, int batch, bool training, ecg_err *err)
{
    *f = (ecg_fuse){.fused = ecg_model_fused(m), .width = m->shape.width, .batch = batch};
    if (!f->fused)
        return ECG_OK;
    const ecg_status st = take(f, m, l, training, err);
    if (st)
        ecg_fuse_close(f);
    return st;
}

void ecg_fuse_close(ecg_fuse *f)
{
    free(f->view.continuous_at);
    free(f->view.categorical_at);
    free(f->continuous);
    free(f->category);
    free(f->hm);
    free(f->dhm);
    free(f->joined);
    ecg_tabular_work_free(f->work);
    *f = (ecg_fuse){0};
}

int ecg_fuse_width(const ecg_fuse *f)
{
    return f->width + f->table;
}

const float *ecg_fuse_forward(ecg_fuse *f, ecg_model *m, const ecg_exec *exec, const float *h, const uint32_t *row, int B, bool train,
                              const ecg_dropout *drop)
{
    if (!f->fused)
        return h;
    const size_t H = (size_t)f->width, T = (size_t)f->table;
    ecg_loader_tabular(f->continuous, f->category, &f->view, m->median, row, B);
    ecg_tabular_forward(f->hm, m->tabular, &m->table, f->work, exec, f->continuous, f->category, B, train, drop);
    for (size_t b = 0; b < (size_t)B; b++) {
        memcpy(f->joined + b * (H + T), h + b * H, H * sizeof *h);
        memcpy(f->joined + b * (H + T) + H, f->hm + b * T, T * sizeof *h);
    }
    return f->joined;
}

void ecg_fuse_backward(float *dh, ecg_fuse *f, ecg_model *m, const ecg_exec *exec, const float *dread, int B)
{
    const size_t H = (size_t)f->width, T = (size_t)f->table;
    for (size_t b = 0; b < (size_t)B && (f->fused || dh != dread) && dh; b++)
        memcpy(dh + b * H, dread + b * (H + T), H * sizeof *dh);
    if (!f->fused)
        return;
    for (size_t b = 0; b < (size_t)B; b++)
        memcpy(f->dhm + b * T, dread + b * (H + T) + H, T * sizeof *f->dhm);
    ecg_tabular_backward(NULL, m->tabular, &m->table, f->work, exec, f->dhm, B);
}
