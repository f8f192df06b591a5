/* SPDX-License-Identifier: MIT
 * finetune.c: stages 2 and 3: crop -> encoder -> h -> head -> logits, binary cross-entropy over the known entries. */
#include "study/finetune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/loss.h"
#include "stat/auroc.h"
#include "study/score.h"

typedef struct {
    const ecg_study *study;
    bool labs, shared, scratch;
    const ecg_cfg_tuning *tuning;
    ecg_loader loader;
    ecg_model source, model;
    ecg_head *head;             /* the one that trains */
    int at;                     /* its place in model.head */
    const int8_t *label;        /* (cohort rows, K) */
    int K;
    ecg_rows rows, chosen_by;   /* training and half A rows with a known label */
    ecg_run run;
    char roles[256], from_hash[65];
    ecg_training loop;
    int batch;
    /* of one batch */
    float *x, *h, *dh, *logit, *dlogit, *y; /* (B, L, leads) (B, H) (B, H) (B, K) (B, K) (B, K) */
    int *start;
    ecg_encoder_work *work;
    ecg_mlp_work *head_work;
    /* selection */
    float *prob;                /* (half A, K) */
    int8_t *truth;              /* (half A, K) */
    double *auroc;              /* (K) of the epoch just judged */
} stage2;

/* ---- one batch ---------------------------------------------------------------------------------------------------------- */

static ecg_status step(void *ctx, double *loss, const uint32_t *row, int B, uint32_t epoch, uint32_t at, ecg_err *err)
{
    (void)err;
    stage2 *s = ctx;
    ecg_params *p = &s->model.table;
    const ecg_exec *x = s->study->exec;
    const ecg_dropout drop = {.seed = s->loop.seed, .step = at, .row = row};
    const ecg_dropout *inside = s->shared ? NULL : &drop; /* decision 8: none in the encoder when it only serves */

    for (int b = 0; b < B; b++)
        s->start[b] = ecg_loader_start(&s->loader, row[b], s->loop.seed, epoch);
    ecg_loader_signals(s->x, &s->loader, x->pool, row, s->start, B);
    ecg_loader_labels(s->y, s->label, s->K, row, B);

    ecg_encoder_forward(s->h, NULL, s->model.encoder, p, s->work, x, s->x, B, inside);
    ecg_mlp_forward(s->logit, s->head->net, p, s->head_work, x, s->h, B, true, &drop);
    *loss = ecg_bce_loss(s->dlogit, s->logit, s->y, B, s->K, s->tuning->gamma, (ecg_bce_reduce)s->tuning->reduce);
    ecg_mlp_backward(s->shared ? NULL : s->dh, s->head->net, p, s->head_work, x, s->dlogit, s->h, B);
    if (!s->shared)
        ecg_encoder_backward(NULL, s->model.encoder, p, s->work, x, s->dh, NULL, s->x, B, inside);
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

static ecg_status keep(void *ctx, const ecg_train_state *state, ecg_err *err)
{
    stage2 *s = ctx;
    char path[512];
    const ecg_record_facts f = {.stage = s->loop.stage, .cohort_hash = s->study->cohort->hash, .roles = s->roles, .measure = s->loop.measure,
                                 .config = s->study->config, .epochs = s->loop.epochs, .records = s->rows.n, .batch = s->batch,
                                 .best_epoch = state->best_epoch, .best_step = state->best_step, .best = state->best, .from = s->source.record};
    memcpy(s->head->auroc, s->auroc, (size_t)s->K * sizeof *s->auroc);
    ecg_status st = ecg_run_record(s->model.record, sizeof s->model.record, &f, err);
    if (!st && !(st = ecg_run_path(path, &s->run, "model.safetensors", err)))
        st = ecg_model_save(&s->model, path, err);
    return st;
}

/* ---- the model: parts of the source and a new head ---------------------------------------------------------------------- */

static bool copy_labels(ecg_label_table *to, const ecg_label_table *from)
{
    ecg_label *label = malloc((size_t)(from->n > 0 ? from->n : 1) * sizeof *label);
    if (!label)
        return false;
    memcpy(label, from->label, (size_t)from->n * sizeof *label);
    *to = *from;
    to->label = label;
    return true;
}

/* Tables of the heads alone: the new head's from the cohort, a kept head's from the model that brought it. */
static ecg_status set_tables(ecg_contract *c, const ecg_label_table *fresh, const ecg_label_table *kept, ecg_err *err)
{
    for (int i = 0; i < c->sets; i++)
        free(c->table[i].label);
    free(c->table);
    c->sets = 0;
    c->table = calloc(2, sizeof *c->table);
    if (!c->table)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    const ecg_label_table *const all[] = {kept, fresh};
    for (int i = 0; i < 2; i++)
        if (all[i]) {
            if (!copy_labels(&c->table[c->sets], all[i]))
                return ecg_fail(err, ECG_ENOMEM, "out of memory");
            c->sets++;
        }
    return ECG_OK;
}

static double *copy_doubles(const double *x, int n)
{
    double *y = x ? malloc((size_t)n * sizeof *y) : NULL;
    return y ? memcpy(y, x, (size_t)n * sizeof *y) : NULL;
}

static ecg_status describe(stage2 *s, const ecg_label_table *fresh, ecg_err *err)
{
    ecg_model *m = &s->model;
    const ecg_config *c = s->study->config;
    const ecg_head *old = s->shared ? ecg_model_head(&s->source, ECG_HEAD_DIAGNOSES) : NULL;
    const ecg_label_table *kept = NULL;
    const int K = old ? ecg_head_labels(&s->source, old, &kept) : 0;
    ecg_status st = ecg_contract_copy(&m->contract, &s->study->cohort->contract, err);
    if (st || (st = set_tables(&m->contract, fresh, kept, err)))
        return st;
    if (kept && strcmp(kept->set, fresh->set) == 0)
        return ecg_fail(err, ECG_EARG, "the diagnosis head already predicts the label set '%s'", fresh->set);
    m->contract.crop = s->loader.crop;
    m->synthetic = s->study->cohort->synthetic || s->source.synthetic;
    snprintf(m->preset, sizeof m->preset, "%s", c->preset);
    m->shape = s->scratch ? (ecg_encoder_config){.leads = m->contract.leads, .width = (int)c->encoder.width, .blocks = (int)c->encoder.blocks,
                                                  .state = (int)c->encoder.state, .length = (int)c->encoder.length,
                                                  .bidirectional = c->encoder.bidirectional, .dropout = (float)c->encoder.dropout}
                          : s->source.shape;
    if (old) {
        ecg_head *h = &m->head[m->heads++];
        memcpy(h->set, old->set, sizeof h->set);
        memcpy(h->prefix, old->prefix, sizeof h->prefix);
        h->hidden = old->hidden;
        h->dropout = old->dropout;
        h->prevalence = copy_doubles(old->prevalence, K);
        h->auroc = copy_doubles(old->auroc, K);
    }
    s->at = m->heads;
    s->head = &m->head[m->heads++];
    memcpy(s->head->set, fresh->set, sizeof s->head->set);
    snprintf(s->head->prefix, sizeof s->head->prefix, "%s", s->labs ? ECG_HEAD_LABS : ECG_HEAD_DIAGNOSES);
    s->head->hidden = (int)s->tuning->head_hidden;
    s->head->dropout = (float)s->tuning->head_dropout;
    m->shared_embedding = s->shared;
    return ECG_OK;
}

/* Rows of both tables that begin with prefix. */
static void copy_values(ecg_params *to, const ecg_params *from, const char *prefix)
{
    for (int i = 0; i < to->n; i++) {
        const int j = strncmp(to->row[i].name, prefix, strlen(prefix)) ? -1 : ecg_params_find(from, to->row[i].name);
        if (j >= 0 && from->row[j].count == to->row[i].count)
            memcpy(ecg_value(to, i), ecg_value(from, j), to->row[i].count * sizeof(float));
    }
}

static void freeze(stage2 *s)
{
    ecg_model *m = &s->model;
    const int asked = (int)s->tuning->frozen_blocks, blocks = asked < 0 ? m->shape.blocks / 2 : asked;
    if (s->shared) {
        ecg_encoder_freeze(m->encoder, &m->table, -1);
        ecg_params_freeze(&m->table, ECG_HEAD_DIAGNOSES, true);
    } else if (!s->scratch && asked != 0) {
        ecg_encoder_freeze(m->encoder, &m->table, blocks < m->shape.blocks ? blocks : m->shape.blocks);
    }
}

/* Share of positives in the training folds among the records where the label is known. */
static void prevalences(stage2 *s)
{
    for (int k = 0; k < s->K; k++) {
        int64_t known = 0, positive = 0;
        for (int64_t i = 0; i < s->rows.n; i++) {
            const int8_t y = s->label[(size_t)s->rows.row[i] * (size_t)s->K + (size_t)k];
            known += y == 0 || y == 1;
            positive += y == 1;
        }
        s->head->prevalence[k] = known ? (double)positive / (double)known : NAN;
    }
}

static ecg_status build(stage2 *s, const ecg_label_table *fresh, ecg_err *err)
{
    ecg_model *m = &s->model;
    ecg_status st = describe(s, fresh, err);
    if (st || (st = ecg_model_build(m, true, err)))
        return st;
    ecg_params_init(&m->table, s->loop.seed);
    ecg_encoder_init(m->encoder, &m->table, s->loop.seed);
    if (!s->scratch)
        copy_values(&m->table, &s->source.table, "ecg.");
    if (s->shared)
        copy_values(&m->table, &s->source.table, ECG_HEAD_DIAGNOSES);
    if ((st = ecg_encoder_prepare(m->encoder, &m->table, err)))
        return st;
    ecg_encoder_refresh(m->encoder, &m->table, s->study->exec);
    freeze(s);
    prevalences(s);
    return ECG_OK;
}

/* ---- before the first batch --------------------------------------------------------------------------------------------- */

static ecg_status open_source(stage2 *s, ecg_err *err)
{
    char path[512];
    const ecg_cohort *c = s->study->cohort;
    s->scratch = s->study->from == NULL;
    if (s->scratch)
        return ecg_config_check(s->study->config, err);
    ecg_status st = ecg_model_path(path, sizeof path, s->study->from, err);
    if (st || (st = ecg_sha256_file(s->from_hash, path, err)) || (st = ecg_model_load(&s->source, path, false, false, err)))
        return st;
    ecg_contract signal = c->contract; /* crops are the model's business */
    signal.crop = s->source.contract.crop;
    if ((st = ecg_contract_fits(&signal, "the cohort", &s->source.contract, "the model", ECG_CONTRACT_SIGNAL, err)))
        return ecg_fail_in(err, st, path);
    s->shared = s->labs && ecg_model_head(&s->source, ECG_HEAD_DIAGNOSES);
    return ECG_OK;
}

static ecg_status find_labels(const ecg_label_table **table, stage2 *s, ecg_err *err)
{
    const ecg_cohort *c = s->study->cohort;
    const char *set = s->study->set ? s->study->set : s->labs ? "labs" : "diagnoses";
    char sets[160] = "";
    s->label = ecg_cohort_labels(c, set, table);
    for (int i = 0; i < c->contract.sets && strlen(sets) < sizeof sets - 40; i++)
        snprintf(sets + strlen(sets), sizeof sets - strlen(sets), "%s%s", i ? ", " : "", c->contract.table[i].set);
    if (!s->label || (*table)->n < 1)
        return ecg_fail_at(err, ECG_EDATA, c->path, 0, 0, "no label set '%.31s'; the cohort has %s", set, *sets ? sets : "none");
    s->K = (*table)->n;
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
    if (st || (st = ecg_rows_known(&s->rows, &s->loader.role[ECG_TRAIN], s->label, s->K, err)) ||
        (st = ecg_rows_known(&s->chosen_by, &s->loader.half[ECG_HALF_A], s->label, s->K, err)))
        return st;
    ecg_roles_text(s->roles, sizeof s->roles, &s->loader.roles);
    const int64_t n = s->rows.n, asked = s->tuning->batch;
    if (n < 2)
        return ecg_fail_at(err, ECG_EDATA, study->cohort->path, 0, 0, "%" PRId64 " training records (%s) have a known label", n, s->roles);
    s->batch = (int)(n < asked ? n : asked);
    if (n < asked)
        ecg_say(study->watch, "a batch of %" PRId64 " is more than the %" PRId64 " training records: one batch of %" PRId64 " an epoch", asked, n, n);
    if (s->chosen_by.n == 0)
        ecg_say(study->watch, "no validation record to choose an epoch by: the last one stays");
    return ECG_OK;
}

static ecg_status buffers(stage2 *s, ecg_err *err)
{
    const ecg_model *m = &s->model;
    const size_t B = (size_t)s->batch, H = (size_t)m->shape.width, K = (size_t)s->K, n = (size_t)s->chosen_by.n + 1;
    const int threads = s->study->exec->pool ? ecg_pool_threads(s->study->exec->pool) : 1;
    const double room = (double)s->study->config->train.memory_mb * 1048576;
    const bool fits = !s->shared && (double)ecg_encoder_work_bytes(m->encoder, threads, s->batch, true) <= room;
    s->x = malloc(B * (size_t)s->loader.crop * (size_t)m->contract.leads * sizeof(float));
    s->h = malloc(B * H * sizeof(float));
    s->dh = malloc(B * H * sizeof(float));
    s->logit = malloc(B * K * sizeof(float));
    s->dlogit = malloc(B * K * sizeof(float));
    s->y = malloc(B * K * sizeof(float));
    s->start = malloc(B * sizeof(int));
    s->work = ecg_encoder_work_new(m->encoder, threads, fits ? s->batch : 0, !s->shared);
    s->head_work = ecg_mlp_work_new(s->head->net, s->batch, true);
    s->prob = malloc(n * K * sizeof(float));
    s->truth = malloc(n * K);
    s->auroc = malloc(K * sizeof(double));
    if (!s->x || !s->h || !s->dh || !s->logit || !s->dlogit || !s->y || !s->start || !s->work || !s->head_work || !s->prob || !s->truth || !s->auroc)
        return ecg_fail(err, ECG_ENOMEM, "no memory for batches of %d", s->batch);
    ecg_labels_of(s->truth, s->label, s->K, &s->chosen_by);
    return ECG_OK;
}

static void set_loop(stage2 *s, const char *identity)
{
    const ecg_study *study = s->study;
    const ecg_cfg_tuning *t = s->tuning;
    s->loop = (ecg_training){.stage = s->labs ? "finetune labs" : "finetune diagnoses", .measure = "validation_auroc", .higher = true, .model = &s->model,
                              .loader = &s->loader, .rows = &s->rows, .exec = study->exec, .watch = study->watch, .run = &s->run,
                              .config = &study->config->train, .seed = (uint64_t)study->config->train.seed, .batch = s->batch,
                              .epochs = ecg_train_epochs(t->epochs, t->updates, s->rows.n, s->batch), .schedule = (ecg_lr_kind)t->schedule,
                              .warmup = t->warmup, .encoder_trains = !s->shared, .identity = identity, .ctx = s, .step = step, .judge = judge,
                              .keep = keep};
    ecg_adamw *o = &s->loop.optimiser;
    *o = (ecg_adamw){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    for (int g = 0; g < 4; g++) {
        o->lr[g] = g == 0 ? t->lr_encoder : t->lr_head; /* group 0: encoder */
        o->decay[g] = t->decay;
    }
}

static ecg_status run(stage2 *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    const ecg_label_table *table = NULL;
    char identity[512], result[256];
    ecg_train_state state = {0};
    ecg_status st = open_source(s, err);
    if (st || (st = find_labels(&table, s, err)) || (st = choose_rows(s, err)))
        return st;
    snprintf(identity, sizeof identity, "finetune %s cohort %.64s roles %s from %s", table->set, study->cohort->hash, s->roles,
             s->scratch ? "random weights" : s->from_hash);
    set_loop(s, identity);
    if ((st = build(s, table, err)) || (st = buffers(s, err)))
        return st;
    const ecg_run_facts facts = {.stage = s->loop.stage, .cohort = study->cohort, .from = study->from, .from_hash = s->from_hash, .roles = s->roles,
                                  .config = study->config, .command = study->command, .kernels = study->exec->k->name,
                                  .threads = study->exec->pool ? ecg_pool_threads(study->exec->pool) : 1};
    if ((st = ecg_run_open(&s->run, study->folder, study->resume, study->force, &facts, err)))
        return st;
    ecg_say(study->watch, "%s%s: %s, %d labels of set '%s', %" PRId64 " records, batches of %d, %" PRId64 " epochs", s->loop.stage,
            s->model.synthetic ? " (synthetic cohort)" : "",
            s->scratch ? "random weights" : s->shared ? "shared embedding, only the head trains" : s->labs ? "branched" : "encoder and head", s->K, table->set,
            s->rows.n, s->batch, s->loop.epochs);
    st = ecg_train(&state, &s->loop, err);
    if (st && st != ECG_EINTR)
        return st;
    char best[32] = "null";
    if (isfinite(state.best) && state.best_epoch)
        snprintf(best, sizeof best, "%.9g", state.best);
    snprintf(result, sizeof result, "{\"epochs\": %" PRId64 ", \"steps\": %" PRId64 ", \"best_epoch\": %" PRId64 ", \"validation_auroc\": %s}", state.epoch,
             state.step, state.best_epoch, best);
    const ecg_status closed = ecg_run_close(&s->run, st ? "interrupted" : "done", result, st ? NULL : err);
    return st ? st : closed;
}

ecg_status ecg_finetune(const ecg_study *study, bool labs, ecg_err *err)
{
    stage2 *s = calloc(1, sizeof *s);
    if (!s)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    s->study = study;
    s->labs = labs;
    s->tuning = labs ? &study->config->labs : &study->config->finetune;
    const ecg_status st = run(s, err);
    float *all[] = {s->x, s->h, s->dh, s->logit, s->dlogit, s->y, s->prob};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(s->start);
    free(s->truth);
    free(s->auroc);
    ecg_encoder_work_free(s->work);
    ecg_mlp_work_free(s->head_work);
    ecg_rows_clear(&s->rows);
    ecg_rows_clear(&s->chosen_by);
    ecg_model_clear(&s->model);
    ecg_model_clear(&s->source);
    ecg_loader_close(&s->loader);
    free(s);
    return st;
}
