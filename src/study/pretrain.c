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

#include "net/loss.h"

enum {SMALLEST_BATCH = 8, SELECTION_NEEDS = 32};

typedef struct {
    const ecg_study *study;
    ecg_loader loader;
    ecg_model model;
    ecg_run run;
    char roles[256];
    ecg_training loop;
    int batch;
    double lambda;
    /* of one batch */
    float *x, *h, *zx, *hm, *zm;       /* (B, L, leads) (B, H) (B, E) (B, tab) (B, E) */
    float *dh, *dzx, *dhm, *dzm;       /* gradients of the same shapes */
    float *continuous;
    int32_t *category;
    int *start;
    ecg_encoder_work *work, *eval_work;
    ecg_mlp_work *proj_ecg, *proj_tab;
    ecg_tabular_work *tabular;
    ecg_barlow *loss;
    uint32_t *selection;               /* (half A) in a fixed order */
} stage1;

/* ---- one batch ---------------------------------------------------------------------------------------------------------- */

static void gather(stage1 *s, const uint32_t *row, int B, uint32_t epoch)
{
    for (int b = 0; b < B; b++)
        s->start[b] = ecg_loader_start(&s->loader, row[b], s->loop.seed, epoch);
    ecg_loader_signals(s->x, &s->loader, s->study->exec->pool, row, s->start, B);
    ecg_loader_tabular(s->continuous, s->category, &s->loader, s->model.median, row, B);
}

static ecg_status step(void *ctx, double *loss, const uint32_t *row, int B, uint32_t epoch, uint32_t at, ecg_err *err)
{
    (void)err;
    stage1 *s = ctx;
    ecg_model *m = &s->model;
    ecg_params *p = &m->table;
    const ecg_exec *x = s->study->exec;
    const ecg_dropout drop = {.seed = s->loop.seed, .step = at, .row = row};
    gather(s, row, B, epoch);

    ecg_encoder_forward(s->h, NULL, m->encoder, p, s->work, x, s->x, B, &drop);
    ecg_mlp_forward(s->zx, m->proj_ecg, p, s->proj_ecg, x, s->h, B, true, &drop);
    ecg_tabular_forward(s->hm, m->tabular, p, s->tabular, x, s->continuous, s->category, B, true, &drop);
    ecg_mlp_forward(s->zm, m->proj_tab, p, s->proj_tab, x, s->hm, B, true, &drop);

    *loss = ecg_barlow_loss(s->dzx, s->dzm, s->loss, x, s->zx, s->zm, B, m->proj_E, s->lambda);

    ecg_mlp_backward(s->dhm, m->proj_tab, p, s->proj_tab, x, s->dzm, s->hm, B);
    ecg_tabular_backward(NULL, m->tabular, p, s->tabular, x, s->dhm, B);
    ecg_mlp_backward(s->dh, m->proj_ecg, p, s->proj_ecg, x, s->dzx, s->h, B);
    ecg_encoder_backward(NULL, m->encoder, p, s->work, x, s->dh, NULL, s->x, B, &drop);
    return ECG_OK;
}

/* Loss on half A: fixed crops, running statistics in the batch norms, the final normalisation by the batch; batches of min(batch, n), at most
 * one dropped remainder. */
static ecg_status judge(void *ctx, double *measure, ecg_err *err)
{
    stage1 *s = ctx;
    ecg_model *m = &s->model;
    ecg_params *p = &m->table;
    const ecg_exec *x = s->study->exec;
    const int64_t n = s->loader.half[ECG_HALF_A].n;
    *measure = NAN;
    if (n < SELECTION_NEEDS)
        return ECG_OK;
    const int B = n < s->batch ? (int)n : s->batch;
    double sum = 0;
    for (int64_t k = 0; k < n / B; k++) {
        const uint32_t *row = s->selection + k * B;
        gather(s, row, B, ECG_EPOCH_FIXED);
        ecg_encoder_forward(s->h, NULL, m->encoder, p, s->eval_work, x, s->x, B, NULL);
        ecg_mlp_forward(s->zx, m->proj_ecg, p, s->proj_ecg, x, s->h, B, false, NULL);
        ecg_tabular_forward(s->hm, m->tabular, p, s->tabular, x, s->continuous, s->category, B, false, NULL);
        ecg_mlp_forward(s->zm, m->proj_tab, p, s->proj_tab, x, s->hm, B, false, NULL);
        sum += ecg_barlow_loss(NULL, NULL, s->loss, x, s->zx, s->zm, B, m->proj_E, s->lambda);
        if (ecg_stopped(s->study->watch))
            return ecg_fail(err, ECG_EINTR, "interrupted");
    }
    *measure = sum / (double)(n / B);
    return ECG_OK;
}

static ecg_status keep(void *ctx, const ecg_train_state *state, ecg_err *err)
{
    stage1 *s = ctx;
    char path[512];
    const ecg_record_facts f = {.stage = "pretrain", .cohort_hash = s->study->cohort->hash, .roles = s->roles, .measure = s->loop.measure,
                                 .config = s->study->config, .epochs = s->loop.epochs, .records = s->loop.rows->n, .batch = s->batch,
                                 .best_epoch = state->best_epoch, .best_step = state->best_step, .best = state->best};
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
    m->shape = (ecg_encoder_config){.leads = cohort->contract.leads, .width = (int)c->encoder.width, .blocks = (int)c->encoder.blocks,
                                     .state = (int)c->encoder.state, .length = (int)c->encoder.length,
                                     .bidirectional = c->encoder.bidirectional, .dropout = (float)c->encoder.dropout};
    m->has_tabular = true;
    m->proj_hidden = (int)c->projector.hidden;
    m->proj_E = (int)c->projector.out;
    m->median = malloc((size_t)m->contract.columns * sizeof *m->median);
    if (!m->median)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    return ecg_loader_medians(m->median, &s->loader, s->study->exec->pool, err);
}

static ecg_status build(stage1 *s, ecg_err *err)
{
    ecg_model *m = &s->model;
    ecg_status st = describe(s, err);
    if (st || (st = ecg_model_build(m, true, err)))
        return st;
    ecg_params_init(&m->table, s->loop.seed);
    ecg_encoder_init(m->encoder, &m->table, s->loop.seed);
    if ((st = ecg_encoder_prepare(m->encoder, &m->table, err)))
        return st;
    ecg_encoder_refresh(m->encoder, &m->table, s->study->exec);
    return ECG_OK;
}

static float *floats(size_t rows, int columns)
{
    return malloc((rows * (size_t)columns + 1) * sizeof(float));
}

static ecg_status buffers(stage1 *s, ecg_err *err)
{
    const ecg_model *m = &s->model;
    const size_t B = (size_t)s->batch;
    const int threads = s->study->exec->pool ? ecg_pool_threads(s->study->exec->pool) : 1;
    const double room = (double)s->study->config->train.memory_mb * 1048576;
    const bool fits = (double)ecg_encoder_work_bytes(m->encoder, threads, s->batch, true) <= room;
    s->x = floats(B * (size_t)s->loader.crop, m->contract.leads);
    s->h = floats(B, m->shape.width);
    s->dh = floats(B, m->shape.width);
    s->hm = floats(B, m->tab.out);
    s->dhm = floats(B, m->tab.out);
    s->zx = floats(B, m->proj_E);
    s->zm = floats(B, m->proj_E);
    s->dzx = floats(B, m->proj_E);
    s->dzm = floats(B, m->proj_E);
    s->continuous = floats(B, s->loader.continuous);
    s->category = malloc((B * (size_t)s->loader.categorical + 1) * sizeof *s->category);
    s->start = malloc(B * sizeof *s->start);
    s->work = ecg_encoder_work_new(m->encoder, threads, fits ? s->batch : 0, true);
    s->eval_work = ecg_encoder_work_new(m->encoder, threads, 0, false);
    s->proj_ecg = ecg_mlp_work_new(m->proj_ecg, s->batch, true);
    s->proj_tab = ecg_mlp_work_new(m->proj_tab, s->batch, true);
    s->tabular = ecg_tabular_work_new(m->tabular, s->batch, true);
    s->loss = ecg_barlow_new(s->batch, m->proj_E);
    s->selection = malloc(((size_t)s->loader.half[ECG_HALF_A].n + 1) * sizeof *s->selection);
    if (!s->x || !s->h || !s->dh || !s->hm || !s->dhm || !s->zx || !s->zm || !s->dzx || !s->dzm || !s->continuous || !s->category || !s->start ||
        !s->work || !s->eval_work || !s->proj_ecg || !s->proj_tab || !s->tabular || !s->loss || !s->selection)
        return ecg_fail(err, ECG_ENOMEM, "no memory for batches of %d", s->batch);
    ecg_rows_order(s->selection, &s->loader.half[ECG_HALF_A], s->loop.seed, ECG_EPOCH_FIXED);
    if (!fits)
        ecg_say(s->study->watch, "the activations of %d crops exceed train.memory_mb %" PRId64 ": they are recomputed in the backward pass", s->batch,
                s->study->config->train.memory_mb);
    return ECG_OK;
}

static ecg_status check(stage1 *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    const int64_t n = s->loader.role[ECG_TRAIN].n, asked = study->config->pretrain.batch;
    ecg_roles_text(s->roles, sizeof s->roles, &s->loader.roles);
    if (study->cohort->contract.columns == 0 || !study->cohort->tabular)
        return ecg_fail_at(err, ECG_ECONTRACT, study->cohort->path, 0, 0, "no tabular columns: there is nothing to learn from besides the ECG");
    if (n < SMALLEST_BATCH)
        return ecg_fail_at(err, ECG_EDATA, study->cohort->path, 0, 0, "%" PRId64 " of %" PRId64 " records are for training (%s); at least %d are needed",
                           n, study->cohort->n, s->roles, SMALLEST_BATCH);
    s->batch = (int)(n < asked ? n : asked);
    if (n < asked)
        ecg_say(study->watch, "pretrain.batch %" PRId64 " is more than the %" PRId64 " training records: one batch of %" PRId64 " an epoch", asked, n, n);
    if (s->loader.half[ECG_HALF_A].n < SELECTION_NEEDS)
        ecg_say(study->watch, "%" PRId64 " validation records are too few to choose an epoch by: the last one stays", s->loader.half[ECG_HALF_A].n);
    return ECG_OK;
}

static ecg_status run(stage1 *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    const ecg_config *c = study->config;
    char identity[512], result[256];
    ecg_train_state state = {0};
    s->lambda = c->pretrain.lambda;
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
                                  .kernels = study->exec->k->name, .threads = study->exec->pool ? ecg_pool_threads(study->exec->pool) : 1};
    if ((st = ecg_run_open(&s->run, study->folder, study->resume, study->force, &facts, err)))
        return st;
    ecg_say(study->watch, "pretrain%s: %" PRId64 " records, batches of %d, %" PRId64 " epochs, encoder %dx%d, %s", s->model.synthetic ? " (synthetic cohort)" : "",
            s->loop.rows->n, s->batch, s->loop.epochs, s->model.shape.blocks, s->model.shape.width, study->exec->k->name);
    st = ecg_train(&state, &s->loop, err);
    if (st && st != ECG_EINTR)
        return st;
    snprintf(result, sizeof result, "{\"epochs\": %" PRId64 ", \"steps\": %" PRId64 ", \"best_epoch\": %" PRId64 "}", state.epoch, state.step, state.best_epoch);
    const ecg_status closed = ecg_run_close(&s->run, st ? "interrupted" : "done", result, st ? NULL : err);
    return st ? st : closed;
}

ecg_status ecg_pretrain(const ecg_study *study, ecg_err *err)
{
    stage1 *s = calloc(1, sizeof *s);
    if (!s)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    s->study = study;
    ecg_status st = ecg_config_check(study->config, err);
    if (!st && !(st = ecg_loader_open(&s->loader, study->cohort, study->roles, (int)study->config->encoder.length,
                                      (uint64_t)study->config->train.split_seed, err)))
        if (!(st = check(s, err)))
            st = run(s, err);
    float *all[] = {s->x, s->h, s->zx, s->hm, s->zm, s->dh, s->dzx, s->dhm, s->dzm, s->continuous};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(s->category);
    free(s->start);
    free(s->selection);
    ecg_encoder_work_free(s->work);
    ecg_encoder_work_free(s->eval_work);
    ecg_mlp_work_free(s->proj_ecg);
    ecg_mlp_work_free(s->proj_tab);
    ecg_tabular_work_free(s->tabular);
    ecg_barlow_free(s->loss);
    ecg_model_clear(&s->model);
    ecg_loader_close(&s->loader);
    free(s);
    return st;
}
