/* SPDX-License-Identifier: MIT
 * pretrain.c: stage 1.
 *
 *   crop -> encoder -> h_x -> projector -> z_x \
 *                                               Barlow Twins: loss over the cross-correlation C of the whole batch
 *   row  -> tabular encoder -> h_m -> projector -> z_m /
 *
 * The batch norms and C couple all records of a batch; the encoder does not. So the encoder runs first, everything between h_x and the
 * loss runs forward and backward once on the global batch, and dh goes back through the encoder, kept or recomputed as memory allows. */
#include "study/pretrain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "study/align.h"
#include "study/precision.h"
#include "study/room.h"

typedef struct {
    const ecg_study *study;
    ecg_loader loader;
    ecg_model model;
    ecg_run run;
    char roles[256];
    ecg_training loop;
    int batch;
    /* of one batch */
    float *x, *h, *dh;                 /* (B, L, leads) (B, H) (B, H) */
    int *start;
    ecg_encoder_work *work, *eval_work;
    ecg_align align;
    uint32_t *selection;               /* (half A) in a fixed order */
} stage1;

/* ---- one batch ---------------------------------------------------------------------------------------------------------- */

static void gather(stage1 *s, const uint32_t *row, int B, uint32_t epoch)
{
    for (int b = 0; b < B; b++)
        s->start[b] = ecg_loader_start(&s->loader, row[b], s->loop.seed, epoch);
    ecg_loader_signals(s->x, &s->loader, s->study->exec->pool, row, s->start, B);
}

static ecg_status step(void *ctx, double *loss, const uint32_t *row, int B, uint32_t epoch, uint32_t at, ecg_err *err)
{
    (void)err;
    stage1 *s = ctx;
    ecg_model *m = &s->model;
    const ecg_exec *x = s->study->exec;
    const ecg_dropout drop = {.seed = s->loop.seed, .step = at, .row = row};
    gather(s, row, B, epoch);

    ecg_encoder_forward(s->h, NULL, m->encoder, &m->table, s->work, x, s->x, B, &drop);
    *loss = ecg_align_forward(&s->align, m, x, s->h, row, B, true, &drop);
    ecg_align_backward(s->dh, &s->align, m, x, s->h, B, 1);
    ecg_encoder_backward(NULL, m->encoder, &m->table, s->work, x, s->dh, NULL, s->x, B, &drop);
    return ECG_OK;
}

/* Loss on half A: fixed crops, running statistics in the batch norms, the final normalisation by the batch; batches of min(batch, n), at most
 * one dropped remainder. */
static ecg_status judge(void *ctx, double *measure, ecg_err *err)
{
    stage1 *s = ctx;
    ecg_model *m = &s->model;
    const ecg_exec *x = s->study->exec;
    const int64_t n = s->loader.half[ECG_HALF_A].n;
    *measure = NAN;
    if (n < ECG_ALIGN_SMALLEST)
        return ECG_OK;
    const int B = n < s->batch ? (int)n : s->batch;
    double sum = 0;
    for (int64_t k = 0; k < n / B; k++) {
        const uint32_t *row = s->selection + k * B;
        gather(s, row, B, ECG_EPOCH_FIXED);
        ecg_encoder_forward(s->h, NULL, m->encoder, &m->table, s->eval_work, x, s->x, B, NULL);
        sum += ecg_align_forward(&s->align, m, x, s->h, row, B, false, NULL);
        if (ecg_stopped(s->study->watch))
            return ecg_fail(err, ECG_EINTR, "interrupted");
    }
    *measure = sum / (double)(n / B);
    return ECG_OK;
}

static ecg_status keep(void *ctx, const ecg_train_state *state, ecg_err *err)
{
    stage1 *s = ctx;
    char path[512], more[128], object[136];
    ecg_align_extras(more, sizeof more, s->study->config);
    snprintf(object, sizeof object, "{%s}", *more ? more + 2 : "");
    const ecg_record_facts f = {.stage = "pretrain", .cohort_hash = s->study->cohort->hash, .roles = s->roles, .measure = s->loop.measure,
                                 .config = s->study->config, .epochs = s->loop.epochs, .records = s->loop.rows->n, .batch = s->batch,
                                 .best_epoch = state->best_epoch, .best_step = state->best_step, .best = state->best,
                                 .more = *more ? object : NULL};
    ecg_status st = ecg_run_record(s->model.record, sizeof s->model.record, &f, err);
    if (!st && !(st = ecg_run_path(path, &s->run, "model.safetensors", err)))
        st = ecg_model_save(&s->model, path, err);
    return st;
}

/* ---- before the first batch --------------------------------------------------------------------------------------------- */

static ecg_status describe(stage1 *s, ecg_err *err)
{
    const ecg_config *c = s->study->config;
    const ecg_cohort *cohort = s->study->cohort;
    ecg_model *m = &s->model;
    ecg_status st = ecg_contract_copy(&m->contract, &cohort->contract, err);
    if (st)
        return st;
    m->contract.crop = s->loader.crop;
    m->synthetic = cohort->synthetic;
    snprintf(m->preset, sizeof m->preset, "%s", c->preset);
    m->shape = ecg_train_encoder(c, cohort->contract.leads);
    return ecg_align_describe(m, &s->loader, c, s->study->exec, err);
}

static ecg_status build(stage1 *s, ecg_err *err)
{
    ecg_model *m = &s->model;
    ecg_status st = describe(s, err);
    if (st || (st = ecg_model_build(m, true, err)))
        return st;
    return ecg_train_begin(m, s->loop.seed, s->study->exec, err);
}

static ecg_status buffers(stage1 *s, ecg_err *err)
{
    const ecg_model *m = &s->model;
    const size_t B = (size_t)s->batch, H = (size_t)m->shape.width;
    const int threads = s->study->exec->pool ? ecg_pool_threads(s->study->exec->pool) : 1;
    int keep;
    const ecg_status st = ecg_room_keep(&keep, m, ECG_NEED_PRETRAIN, s->batch, threads, s->study->config->train.memory_mb, s->study->watch, err);
    if (st)
        return st;
    s->x = malloc(B * (size_t)s->loader.crop * (size_t)m->contract.leads * sizeof *s->x);
    s->h = malloc(B * H * sizeof *s->h);
    s->dh = malloc(B * H * sizeof *s->dh);
    s->start = malloc(B * sizeof *s->start);
    s->work = ecg_encoder_work_new(m->encoder, threads, keep, true);
    s->eval_work = ecg_encoder_work_new(m->encoder, threads, 0, false);
    s->selection = malloc(((size_t)s->loader.half[ECG_HALF_A].n + 1) * sizeof *s->selection);
    if (!s->x || !s->h || !s->dh || !s->start || !s->work || !s->eval_work || !s->selection)
        return ecg_fail(err, ECG_ENOMEM, "no memory for batches of %d", s->batch);
    ecg_rows_order(s->selection, &s->loader.half[ECG_HALF_A], s->loop.seed, ECG_EPOCH_FIXED);
    return ecg_align_open(&s->align, m, &s->loader, s->study->config, s->batch, err);
}

static ecg_status check(stage1 *s, ecg_err *err)
{
    ecg_roles_text(s->roles, sizeof s->roles, &s->loader.roles);
    return ecg_align_batch(&s->batch, &s->loader, s->study->config->pretrain.batch, "pretrain.batch", s->study->watch, err);
}

static ecg_status run(stage1 *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    const ecg_config *c = study->config;
    char identity[512], more[128];
    snprintf(identity, sizeof identity, "pretrain cohort %.64s roles %s", study->cohort->hash, s->roles);
    s->loop = (ecg_training){.stage = "pretrain", .measure = "validation_loss", .model = &s->model, .loader = &s->loader,
                              .rows = &s->loader.role[ECG_TRAIN], .exec = study->exec, .watch = study->watch, .run = &s->run, .config = &c->train,
                              .seed = (uint64_t)c->train.seed, .batch = s->batch,
                              .epochs = ecg_train_epochs(c->pretrain.epochs, c->pretrain.updates, s->loader.role[ECG_TRAIN].n, s->batch),
                              .schedule = (ecg_lr_kind)c->pretrain.schedule, .warmup = c->pretrain.warmup, .encoder_trains = true,
                              .identity = identity, .ctx = s, .step = step, .judge = judge, .keep = keep};
    ecg_adamw *o = &s->loop.optimiser;
    *o = (ecg_adamw){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    for (int g = 0; g < 4; g++) {
        o->lr[g] = c->pretrain.lr;
        o->decay[g] = c->pretrain.decay;
    }
    ecg_status st = build(s, err);
    if (st || (st = buffers(s, err)))
        return st;
    const ecg_run_facts facts = {.stage = "pretrain", .cohort = study->cohort, .roles = s->roles, .config = c, .command = study->command,
                                  .kernels = study->exec->k->words, .threads = study->exec->pool ? ecg_pool_threads(study->exec->pool) : 1};
    if ((st = ecg_run_open(&s->run, study->folder, study->resume, study->force, &facts, err)))
        return st;
    ecg_say(study->watch, "pretrain%s: %" PRId64 " records, batches of %d, %" PRId64 " epochs, encoder %dx%d, %d columns%s%s, %s",
            s->model.synthetic ? " (synthetic cohort)" : "", s->loop.rows->n, s->batch, s->loop.epochs, s->model.shape.blocks, s->model.shape.width,
            s->loader.continuous + s->loader.categorical, c->pretrain.tabular ? " of group " : "", c->pretrain.tabular ? s->model.group : "",
            study->exec->k->name);
    if (c->train.shuffle_pairs)
        ecg_say(study->watch, "control: every ECG stands beside the table of another patient");
    ecg_align_extras(more, sizeof more, c);
    return ecg_train(&s->loop, more, err);
}

ecg_status ecg_pretrain(const ecg_study *asked, ecg_err *err)
{
    stage1 *s = calloc(1, sizeof *s);
    ecg_exec exec;
    if (!s)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    const ecg_study own = ecg_study_at_precision(asked, &exec), *study = s->study = &own;
    ecg_status st = ecg_config_check(study->config, err);
    if (!st && !(st = ecg_loader_open(&s->loader, study->cohort, study->roles, (int)study->config->encoder.length,
                                      (uint64_t)study->config->train.split_seed, err)))
        if (!(st = check(s, err)))
            st = run(s, err);
    free(s->x);
    free(s->h);
    free(s->dh);
    free(s->start);
    free(s->selection);
    ecg_encoder_work_free(s->work);
    ecg_encoder_work_free(s->eval_work);
    ecg_align_close(&s->align);
    ecg_model_clear(&s->model);
    ecg_loader_close(&s->loader);
    free(s);
    return st;
}
