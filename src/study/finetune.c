/* SPDX-License-Identifier: MIT
 * finetune.c: stages 2 and 3: crop -> encoder -> h, with the table of the visit [h, h_m] -> head -> logits, binary cross-entropy over the
 * known entries, and what a run may be held to besides (pull.h). */
#include "study/finetune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/loss.h"
#include "stat/auroc.h"
#include "study/finetune_parts.h"
#include "study/precision.h"
#include "study/pull.h"
#include "study/room.h"
#include "study/score.h"

/* ---- one batch ---------------------------------------------------------------------------------------------------------- */

static void hide_labels(stage2 *s, const uint32_t *row, int B)
{
    for (int b = 0; s->blind && b < B; b++)
        for (int k = 0; s->blind[row[b]] && k < s->K; k++)
            s->y[(size_t)b * (size_t)s->K + (size_t)k] = NAN;
}

/* Adds to dh what holds the embedding: to where it began, and through the map to the teacher's. */
static void pull_embedding(stage2 *s, int B)
{
    const ecg_exec *x = s->study->exec;
    const size_t n = (size_t)B * (size_t)s->model.shape.width;
    if (s->h0) {
        ecg_encoder_forward(s->h0, NULL, s->source.encoder, &s->source.table, s->source_work, x, s->x, B, NULL);
        s->part[PART_HOLD] = ecg_pull_to(s->dh, s->h, s->h0, n, s->tuning->hold);
    }
    if (!s->model.map)
        return;
    const size_t wide = (size_t)B * (size_t)s->teacher.width;
    ecg_mlp_forward(s->mapped, s->model.map, &s->model.table, s->map_work, x, s->h, B, true, NULL);
    memset(s->dmapped, 0, wide * sizeof *s->dmapped);
    s->part[PART_HIDDEN] = ecg_pull_to(s->dmapped, s->mapped, s->teacher.embedding, wide, s->tuning->distill_hidden);
    ecg_mlp_backward(s->dh_map, s->model.map, &s->model.table, s->map_work, x, s->dmapped, s->h, B);
    x->k->add(s->dh, s->dh_map, n);
}

static ecg_status step(void *ctx, double *loss, const uint32_t *row, int B, uint32_t epoch, uint32_t at, ecg_err *err)
{
    (void)err;
    stage2 *s = ctx;
    ecg_params *p = &s->model.table;
    const ecg_exec *x = s->study->exec;
    const ecg_dropout drop = {.seed = s->loop.seed, .step = at, .row = row};
    const ecg_dropout *inside = s->shared ? NULL : &drop; /* decision 8: none in the encoder when it only serves */
    const ecg_bce_reduce reduce = (ecg_bce_reduce)s->tuning->reduce;

    for (int b = 0; b < B; b++)
        s->start[b] = ecg_loader_start(&s->loader, row[b], s->loop.seed, epoch);
    ecg_loader_signals(s->x, &s->loader, x->pool, row, s->start, B);
    ecg_loader_labels(s->y, s->label, s->K, row, B);
    hide_labels(s, row, B);

    ecg_encoder_forward(s->h, NULL, s->model.encoder, p, s->work, x, s->x, B, inside);
    const float *read = ecg_fuse_forward(&s->fuse, &s->model, x, s->h, row, B, true, &drop);
    ecg_mlp_forward(s->logit, s->head->net, p, s->head_work, x, read, B, true, &drop);
    s->part[PART_LABELS] = ecg_bce_loss(s->dlogit, s->logit, s->y, B, s->K, s->tuning->gamma, reduce);
    if (s->study->teacher)
        ecg_teacher_ask(&s->teacher, x, s->x, row, B);
    if (s->tuning->distill > 0)
        s->part[PART_DISTILL] = ecg_pull_soft(s->dlogit, s->logit, s->teacher.prob, B, s->K, reduce, s->tuning->distill);

    ecg_mlp_backward(s->shared ? NULL : s->dread, s->head->net, p, s->head_work, x, s->dlogit, read, B);
    if (!s->shared) {
        ecg_fuse_backward(s->dh, &s->fuse, &s->model, x, s->dread, B);
        pull_embedding(s, B);
        ecg_encoder_backward(NULL, s->model.encoder, p, s->work, x, s->dh, NULL, s->x, B, inside);
    }
    if (s->tuning->l2sp > 0)
        s->part[PART_L2SP] = ecg_pull_weights(p, &s->source.table, "ecg.", s->tuning->l2sp);
    *loss = 0;
    for (int i = 0; i < PARTS; i++)
        *loss += s->part[i];
    return ECG_OK;
}

/* Macro AUROC over the labels that have both classes in half A. */
static ecg_status judge(void *ctx, double *measure, ecg_err *err)
{
    stage2 *s = ctx;
    float *prob[2] = {NULL, NULL};
    *measure = NAN;
    for (int k = 0; k < s->K; k++)
        s->auroc[k] = NAN;
    if (s->chosen_by.n == 0)
        return ECG_OK;
    prob[s->at] = s->prob;
    const ecg_status st = ecg_score_rows(prob, &s->model, &s->loader, &s->chosen_by, s->study->exec, s->study->watch, NULL, err);
    if (!st)
        *measure = ecg_auroc_macro(s->auroc, s->prob, s->truth, s->chosen_by.n, s->K, s->study->exec->pool).skip_undefined;
    return st;
}

#define LEAK "the inputs hold the laboratory measurements that the labels are made from"

/* What record and run.json say of a run that is more than an encoder and a head, as members of an object that go on after a comma; "": nothing. */
static void extras(char out[512], const stage2 *s)
{
    int at = 0;
    out[0] = 0;
    if (s->subset)
        at += snprintf(out + at, 512 - (size_t)at, ", \"labelled\": %" PRId64 ", \"labelled_patients\": %" PRId64, s->seen.n, s->seen_patients);
    if (s->group)
        at += snprintf(out + at, 512 - (size_t)at, ", \"tabular\": \"%s\"", s->group);
    if (s->study->random_encoder)
        at += snprintf(out + at, 512 - (size_t)at, ", \"random_encoder\": true");
    if (s->study->teacher)
        at += snprintf(out + at, 512 - (size_t)at, ", \"teacher\": \"%s\"", s->teacher.hash);
    if (s->leaks)
        snprintf(out + at, 512 - (size_t)at, ", \"warning\": \"%s\"", LEAK);
}

static ecg_status keep(void *ctx, const ecg_train_state *state, ecg_err *err)
{
    stage2 *s = ctx;
    char path[512], more[512], object[520];
    extras(more, s);
    snprintf(object, sizeof object, "{%s}", *more ? more + 2 : "");
    const ecg_record_facts f = {.stage = s->loop.stage, .cohort_hash = s->study->cohort->hash, .roles = s->roles, .measure = s->loop.measure,
                                 .config = s->study->config, .epochs = s->loop.epochs, .records = s->rows->n, .batch = s->batch,
                                 .best_epoch = state->best_epoch, .best_step = state->best_step, .best = state->best, .from = s->source.record,
                                 .more = *more ? object : NULL};
    memcpy(s->head->auroc, s->auroc, (size_t)s->K * sizeof *s->auroc);
    ecg_status st = ecg_run_record(s->model.record, sizeof s->model.record, &f, err);
    if (!st && !(st = ecg_run_path(path, &s->run, "model.safetensors", err)))
        st = ecg_model_save(&s->model, path, err);
    return st;
}

/* ---- before the first batch --------------------------------------------------------------------------------------------- */

static ecg_status find_labels(stage2 *s, ecg_err *err)
{
    const ecg_cohort *c = s->study->cohort;
    const char *set = s->study->set ? s->study->set : s->labs ? "labs" : "diagnoses";
    char sets[160] = "";
    s->label = ecg_cohort_labels(c, set, &s->table);
    for (int i = 0; i < c->contract.sets && strlen(sets) < sizeof sets - 40; i++)
        snprintf(sets + strlen(sets), sizeof sets - strlen(sets), "%s%s", i ? ", " : "", c->contract.table[i].set);
    if (!s->label || s->table->n < 1)
        return ecg_fail_at(err, ECG_EDATA, c->path, 0, 0, "no label set '%.31s'; the cohort has %s", set, *sets ? sets : "none");
    s->K = s->table->n;
    s->leaks = s->group && strcmp(s->group, "routine") && (s->labs || strcmp(set, "labs") == 0);
    return ECG_OK;
}

/* Training rows whose labels are seen: with train.labelled and a diagnosis head a subset, by patient. */
static ecg_status choose_seen(stage2 *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    const double labelled = study->config->train.labelled;
    ecg_rows known;
    ecg_status st = ecg_rows_known(&known, &s->loader.role[ECG_TRAIN], s->label, s->K, err);
    if (st)
        return st;
    s->subset = !s->labs && labelled > 0;
    if (!s->subset) {
        s->seen = known;
        return ECG_OK;
    }
    st = ecg_rows_labelled(&s->seen, &s->seen_patients, study->cohort, &known, labelled, (uint64_t)study->config->train.split_seed, err);
    if (!st && labelled > (double)known.n)
        ecg_say(study->watch, "train.labelled %g is more than the %" PRId64 " training records with a diagnosis: all are seen", labelled, known.n);
    else if (!st)
        ecg_say(study->watch, "the diagnoses of %" PRId64 " of %" PRId64 " training records are seen, of %" PRId64 " patients", s->seen.n, known.n,
                s->seen_patients);
    ecg_rows_clear(&known);
    return st;
}

/* A teacher has something to say about records without labels too. */
static ecg_status choose_blind(stage2 *s, ecg_err *err)
{
    s->rows = s->study->teacher ? &s->loader.role[ECG_TRAIN] : &s->seen;
    if (!s->study->teacher)
        return ECG_OK;
    s->blind = malloc((size_t)s->study->cohort->n);
    if (!s->blind)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    memset(s->blind, 1, (size_t)s->study->cohort->n);
    for (int64_t i = 0; i < s->seen.n; i++)
        s->blind[s->seen.row[i]] = 0;
    return ECG_OK;
}

static ecg_status choose_rows(stage2 *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    ecg_roles inherited;
    const bool has = !study->roles && ecg_record_roles(&inherited, s->source.record, study->cohort);
    ecg_status st = ecg_loader_open(&s->loader, study->cohort, has ? &inherited : study->roles,
                                    s->scratch ? (int)study->config->encoder.length : s->source.shape.length,
                                    (uint64_t)study->config->train.split_seed, err);
    if (st || (st = choose_seen(s, err)) || (st = choose_blind(s, err)) ||
        (st = ecg_rows_known(&s->chosen_by, &s->loader.half[ECG_HALF_A], s->label, s->K, err)))
        return st;
    ecg_roles_text(s->roles, sizeof s->roles, &s->loader.roles);
    if (s->seen.n < 2)
        return ecg_fail_at(err, ECG_EDATA, study->cohort->path, 0, 0, "%" PRId64 " training records (%s) have a known label", s->seen.n, s->roles);
    const int64_t n = s->rows->n, asked = s->tuning->batch;
    s->batch = (int)(n < asked ? n : asked);
    if (n < asked)
        ecg_say(study->watch, "a batch of %" PRId64 " is more than the %" PRId64 " training records: one batch of %" PRId64 " an epoch", asked, n, n);
    if (s->chosen_by.n == 0)
        ecg_say(study->watch, "no validation record to choose an epoch by: the last one stays");
    return ECG_OK;
}

/* A teacher from the same cohort must have kept to the same folds, and one that saw more labels is worth a word. */
static ecg_status open_teacher(stage2 *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    ecg_roles theirs;
    char text[256], seen[32];
    if (!study->teacher)
        return ECG_OK;
    const ecg_status st = ecg_teacher_open(&s->teacher, study->teacher, &s->loader, s->table, s->batch, study->exec, err);
    if (st)
        return st;
    const char *record = s->teacher.model.record;
    if (ecg_record_roles(&theirs, record, study->cohort))
        ecg_roles_text(text, sizeof text, &theirs);
    else
        snprintf(text, sizeof text, "%s", s->roles); /* another cohort: nothing to compare */
    if (strcmp(text, s->roles))
        return ecg_fail_at(err, ECG_EARG, s->teacher.path, 0, 0, "the teacher was trained on other folds: %s, this run has %s", text, s->roles);
    if (s->subset && (!ecg_record_field(seen, sizeof seen, record, "labelled") || strtoll(seen, NULL, 10) > s->seen.n))
        ecg_say(study->watch, "the teacher saw the labels of more records than this run sees: what it passes on holds some of them");
    return ECG_OK;
}

/* Buffers of the pulls that are asked for. */
static ecg_status pull_buffers(stage2 *s, int threads, ecg_err *err)
{
    const size_t B = (size_t)s->batch, H = (size_t)s->model.shape.width, E = (size_t)s->model.map_out;
    bool ok = true;
    if (s->tuning->hold > 0) {
        s->h0 = malloc(B * H * sizeof(float));
        s->source_work = ecg_encoder_work_new(s->source.encoder, threads, 0, false);
        ok = s->h0 && s->source_work;
    }
    if (ok && s->model.map) {
        s->mapped = malloc(B * E * sizeof(float));
        s->dmapped = malloc(B * E * sizeof(float));
        s->dh_map = malloc(B * H * sizeof(float));
        s->map_work = ecg_mlp_work_new(s->model.map, s->batch, true);
        ok = s->mapped && s->dmapped && s->dh_map && s->map_work;
    }
    return ok ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for batches of %d", s->batch);
}

static ecg_status buffers(stage2 *s, ecg_err *err)
{
    const ecg_model *m = &s->model;
    const size_t B = (size_t)s->batch, H = (size_t)m->shape.width, K = (size_t)s->K, n = (size_t)s->chosen_by.n + 1;
    const int threads = s->study->exec->pool ? ecg_pool_threads(s->study->exec->pool) : 1;
    int keep = 0;
    ecg_status st = ecg_fuse_open(&s->fuse, m, &s->loader, s->batch, true, err);
    if (!st && !s->shared)
        st = ecg_room_keep(&keep, m, ECG_NEED_FINETUNE, s->batch, threads, s->study->config->train.memory_mb, s->study->watch, err);
    if (st)
        return st;
    s->x = malloc(B * (size_t)s->loader.crop * (size_t)m->contract.leads * sizeof(float));
    s->h = malloc(B * H * sizeof(float));
    s->dh = malloc(B * H * sizeof(float));
    s->dread = s->fuse.fused ? malloc(B * (size_t)ecg_fuse_width(&s->fuse) * sizeof(float)) : s->dh;
    s->logit = malloc(B * K * sizeof(float));
    s->dlogit = malloc(B * K * sizeof(float));
    s->y = malloc(B * K * sizeof(float));
    s->start = malloc(B * sizeof(int));
    s->work = ecg_encoder_work_new(m->encoder, threads, keep, !s->shared);
    s->head_work = ecg_mlp_work_new(s->head->net, s->batch, true);
    s->prob = malloc(n * K * sizeof(float));
    s->truth = malloc(n * K);
    s->auroc = malloc(K * sizeof(double));
    if (!s->x || !s->h || !s->dh || !s->dread || !s->logit || !s->dlogit || !s->y || !s->start || !s->work || !s->head_work || !s->prob || !s->truth ||
        !s->auroc)
        return ecg_fail(err, ECG_ENOMEM, "no memory for batches of %d", s->batch);
    ecg_labels_of(s->truth, s->label, s->K, &s->chosen_by);
    return pull_buffers(s, threads, err);
}

static void set_loop(stage2 *s, const char *identity)
{
    static const char *const names[PARTS] = {"loss_labels", "loss_l2sp", "loss_hold", "loss_distill", "loss_distill_hidden"};
    const ecg_study *study = s->study;
    const ecg_cfg_tuning *t = s->tuning;
    const bool pulled = t->l2sp > 0 || t->hold > 0 || t->distill > 0 || t->distill_hidden > 0;
    s->loop = (ecg_training){.stage = s->labs ? "finetune labs" : "finetune diagnoses", .measure = "validation_auroc", .higher = true, .model = &s->model,
                              .loader = &s->loader, .rows = s->rows, .exec = study->exec, .watch = study->watch, .run = &s->run,
                              .config = &study->config->train, .seed = (uint64_t)study->config->train.seed, .batch = s->batch,
                              .epochs = ecg_train_epochs(t->epochs, t->updates, s->rows->n, s->batch), .schedule = (ecg_lr_kind)t->schedule,
                              .warmup = t->warmup, .average = t->average, .judge_every = t->judge_every, .encoder_trains = !s->shared, .identity = identity,
                              .parts = pulled ? PARTS : 0, .part = names,
                              .part_now = s->part, .ctx = s, .step = step, .judge = judge, .keep = keep};
    ecg_adamw *o = &s->loop.optimiser;
    *o = (ecg_adamw){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    for (int g = 0; g < 4; g++) {
        o->lr[g] = g > 0 ? t->lr_head : s->scratch && t->lr_scratch > 0 ? t->lr_scratch : t->lr_encoder; /* group 0: encoder */
        o->decay[g] = t->decay;
    }
}

static void announce(const stage2 *s)
{
    const ecg_watch *watch = s->study->watch;
    ecg_say(watch, "%s%s: %s%s%s%s%s, %d labels of set '%s', %" PRId64 " records, batches of %d, %" PRId64 " epochs", s->loop.stage,
            s->model.synthetic ? " (synthetic cohort)" : "", s->study->random_encoder ? "random encoder in place of a pre-trained one, " : "",
            s->scratch ? "random weights" : s->shared ? "shared embedding, only the head trains" : s->labs ? "branched" : "encoder and head",
            s->group ? ", the head reads the ECG and the table (" : "", s->group ? s->group : "", s->group ? ")" : "", s->K, s->table->set, s->rows->n,
            s->batch, s->loop.epochs);
    if (s->leaks)
        ecg_say(watch, "warning: " LEAK "; this is no prediction from the ECG");
}

static ecg_status prepare(stage2 *s, char identity[640], ecg_err *err)
{
    const ecg_study *study = s->study;
    ecg_status st = ecg_finetune_source(s, err);
    if (st || (st = ecg_finetune_check(s, err)) || (st = find_labels(s, err)) || (st = choose_rows(s, err)) || (st = open_teacher(s, err)))
        return st;
    snprintf(identity, 640, "finetune %s cohort %.64s roles %s from %s%s%s", s->table->set, study->cohort->hash, s->roles,
             s->scratch ? "random weights" : study->random_encoder ? "a random encoder" : s->from_hash, study->teacher ? " teacher " : "",
             s->teacher.hash);
    set_loop(s, identity);
    if ((st = ecg_finetune_build(s, err)))
        return st;
    if (!(st = buffers(s, err)) && s->tuning->head_start && s->tuning->head_hidden == 0)
        st = ecg_finetune_start_head(s, err);
    return st;
}

static ecg_status run(stage2 *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    char identity[640], more[512];
    ecg_status st = prepare(s, identity, err);
    if (st)
        return st;
    const ecg_run_facts facts = {.stage = s->loop.stage, .cohort = study->cohort, .from = study->from, .from_hash = s->from_hash, .roles = s->roles,
                                  .config = study->config, .command = study->command, .kernels = study->exec->k->words,
                                  .threads = study->exec->pool ? ecg_pool_threads(study->exec->pool) : 1};
    if ((st = ecg_run_open(&s->run, study->folder, study->resume, study->force, &facts, err)))
        return st;
    announce(s);
    extras(more, s);
    return ecg_train(&s->loop, more, err);
}

static void clear(stage2 *s)
{
    if (s->dread == s->dh)
        s->dread = NULL;
    float *all[] = {s->x, s->h, s->dh, s->dread, s->logit, s->dlogit, s->y, s->prob, s->h0, s->mapped, s->dmapped, s->dh_map};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(s->start);
    free(s->truth);
    free(s->auroc);
    free(s->blind);
    ecg_encoder_work_free(s->work);
    ecg_encoder_work_free(s->source_work);
    ecg_mlp_work_free(s->head_work);
    ecg_mlp_work_free(s->map_work);
    ecg_fuse_close(&s->fuse);
    ecg_teacher_close(&s->teacher);
    ecg_rows_clear(&s->seen);
    ecg_rows_clear(&s->chosen_by);
    ecg_model_clear(&s->model);
    ecg_model_clear(&s->source);
    ecg_loader_close(&s->loader);
}

ecg_status ecg_finetune(const ecg_study *asked, bool labs, ecg_err *err)
{
    static const char *const groups[] = {NULL, "routine", "lab", "all"}; /* the words of finetune.tabular */
    stage2 *s = calloc(1, sizeof *s);
    ecg_exec exec;
    if (!s)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    const ecg_study study = ecg_study_at_precision(asked, &exec);
    s->study = &study;
    s->labs = labs;
    s->section = labs ? "labs" : "finetune";
    s->tuning = labs ? &study.config->labs : &study.config->finetune;
    s->group = groups[s->tuning->tabular];
    const ecg_status st = run(s, err);
    clear(s);
    free(s);
    return st;
}
