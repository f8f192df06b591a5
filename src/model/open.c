/* SPDX-License-Identifier: MIT
 * open.c: the public side of a model (ecgraft.h). */
#include <stdlib.h>
#include <string.h>

#include "model/session.h"

enum { MOST_ANSWERS = 4096 }; /* at a time */

ecg_status ecg_model_open_with(ecg_model **out, const char *path, const ecg_exec *exec, ecg_err *err)
{
    char file[512];
    *out = NULL;
    ecg_status st = ecg_model_path(file, sizeof file, path, err);
    if (st)
        return st;
    ecg_model *m = malloc(sizeof *m);
    if (!m)
        return ecg_fail_at(err, ECG_ENOMEM, path, 0, 0, "no memory for a model");
    st = ecg_model_load_with(m, file, exec, err);
    if (!st && !m->heads) {
        st = ecg_fail_at(err, ECG_EUNSUPPORTED, file, 0, 0, "a pre-trained encoder without a head, finetune adds one");
        ecg_model_clear(m);
    }
    if (!st && ecg_model_fused(m)) {
        st = ecg_fail_at(err, ECG_ECONTRACT, file, 0, 0, "the model needs the table of the visit beside the ECG: `evaluate` on a cohort has it");
        ecg_model_clear(m);
    }
    if (!st && (st = ecg_model_reserve(m, 1, err)))
        ecg_model_clear(m);
    if (st) {
        free(m);
        return st;
    }
    *out = m;
    return ECG_OK;
}

ecg_status ecg_model_open(ecg_model **out, const char *path, ecg_err *err)
{
    return ecg_model_open_with(out, path, &(ecg_exec){ecg_kernels_pick(NULL), NULL}, err);
}

ecg_status ecg_model_reserve(ecg_model *model, int answers, ecg_err *err)
{
    if (answers < 1 || answers > MOST_ANSWERS)
        return ecg_fail(err, ECG_EARG, "%d answers at a time, 1 to %d possible", answers, MOST_ANSWERS);
    if (!model->infer || !model->shelf)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the encoder");
    return ecg_shelf_fill(model->shelf, model, answers, err);
}

void ecg_model_close(ecg_model *model)
{
    if (model)
        ecg_model_clear(model);
    free(model);
}

bool ecg_model_synthetic(const ecg_model *model)
{
    return model->synthetic;
}

bool ecg_model_has_labs(const ecg_model *model)
{
    for (int i = 0; i < model->heads; i++)
        if (strcmp(model->head[i].prefix, ECG_HEAD_LABS) == 0)
            return true;
    return false;
}
