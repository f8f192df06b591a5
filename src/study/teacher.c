/* SPDX-License-Identifier: MIT
 * teacher.c: see teacher.h. */
#include "study/teacher.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Does it read these crops and predict these labels? */
static ecg_status fits(ecg_teacher *t, const ecg_loader *l, const ecg_label_table *labels, ecg_err *err)
{
    const ecg_label_table *mine = NULL;
    ecg_contract signal = l->cohort->contract;
    signal.crop = t->model.contract.crop;
    const ecg_status st = ecg_contract_fits(&signal, "the cohort", &t->model.contract, "the teacher", ECG_CONTRACT_SIGNAL, err);
    if (st)
        return st;
    if (t->model.shape.length != l->crop)
        return ecg_fail(err, ECG_ECONTRACT, "the teacher reads crops of %d samples, this run of %d", t->model.shape.length, l->crop);
    for (int i = 0; i < t->model.heads; i++)
        if (strcmp(t->model.head[i].set, labels->set) == 0)
            t->head = &t->model.head[i];
    if (!t->head)
        return ecg_fail(err, ECG_ECONTRACT, "the teacher has no head for the label set '%s'", labels->set);
    t->K = ecg_head_labels(&t->model, t->head, &mine);
    if (strcmp(mine->hash, labels->hash))
        return ecg_fail(err, ECG_ECONTRACT, "the teacher's label set '%s' has %d labels and is not the cohort's of %d", labels->set, t->K, labels->n);
    return ECG_OK;
}

static ecg_status take(ecg_teacher *t, const char *path, const ecg_loader *l, const ecg_label_table *labels, int batch, const ecg_exec *exec,
                       ecg_err *err)
{
    ecg_status st = ecg_model_path(t->path, sizeof t->path, path, err);
    if (st || (st = ecg_sha256_file(t->hash, t->path, err)) || (st = ecg_model_load(&t->model, t->path, false, false, err)))
        return st;
    if ((st = fits(t, l, labels, err)) || (st = ecg_fuse_open(&t->fuse, &t->model, l, batch, false, err)))
        return ecg_fail_in(err, st, t->path);
    ecg_model_use(&t->model, exec);
    t->width = ecg_fuse_width(&t->fuse);
    t->h = malloc((size_t)batch * (size_t)t->model.shape.width * sizeof *t->h);
    t->prob = malloc((size_t)batch * (size_t)t->K * sizeof *t->prob);
    t->work = ecg_encoder_work_new(t->model.encoder, exec->pool ? ecg_pool_threads(exec->pool) : 1, 0, false);
    t->head_work = ecg_mlp_work_new(t->head->net, batch, false);
    return t->h && t->prob && t->work && t->head_work ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for a teacher");
}

ecg_status ecg_teacher_open(ecg_teacher *t, const char *path, const ecg_loader *l, const ecg_label_table *labels, int batch, const ecg_exec *exec,
                            ecg_err *err)
{
    *t = (ecg_teacher){0};
    const ecg_status st = take(t, path, l, labels, batch, exec, err);
    if (st)
        ecg_teacher_close(t);
    return st;
}

void ecg_teacher_close(ecg_teacher *t)
{
    ecg_fuse_close(&t->fuse);
    free(t->h);
    free(t->prob);
    ecg_encoder_work_free(t->work);
    ecg_mlp_work_free(t->head_work);
    ecg_model_clear(&t->model);
    *t = (ecg_teacher){0};
}

void ecg_teacher_ask(ecg_teacher *t, const ecg_exec *exec, const float *x, const uint32_t *row, int B)
{
    ecg_encoder_forward(t->h, NULL, t->model.encoder, &t->model.table, t->work, exec, x, B, NULL);
    t->embedding = ecg_fuse_forward(&t->fuse, &t->model, exec, t->h, row, B, false, NULL);
    ecg_mlp_forward(t->prob, t->head->net, &t->model.table, t->head_work, exec, t->embedding, B, false, NULL);
    for (size_t i = 0; i < (size_t)B * (size_t)t->K; i++) {
        const double z = (double)t->prob[i], e = exp(-fabs(z));
        t->prob[i] = (float)(z > 0 ? 1 / (1 + e) : e / (1 + e));
    }
}
