/* SPDX-License-Identifier: MIT
 * joint.c: joint training.
 *
 *                          / projector, table of the visit -> alignment (align.h) \
 *   crop -> encoder -> h ----- diagnosis head -> cross-entropy                     - balance.h -> one gradient for the encoder
 *                          \ laboratory head -> cross-entropy                     /
 *
 * Task 0 is the alignment, the others are the heads that the cohort has labels for. A head that no record of a batch has a label for takes no
 * part in that step. */
#include "study/joint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stat/auroc.h"
#include "study/align.h"
#include "study/balance.h"
#include "study/precision.h"
#include "study/room.h"
#include "study/score.h"

enum { UNCERTAINTY, PROJECTION, PLAIN }; /* of joint.weighting */
enum { TASKS = ECG_TASKS_MAX, HEADS = 2, ALIGNMENT = 0, PARTS = 2 * TASKS + 1 };

typedef struct {
    const char *name, *set, *prefix; /* "diagnoses"; of the contract */
    const ecg_cfg_tuning *tuning;
    ecg_head *head;                  /* in the model; NULL: the cohort has no such labels */
    const ecg_label_table *table;
    const int8_t *label;             /* (cohort rows, K) */
    int K;
    ecg_rows seen;                   /* training rows whose labels are seen */
    int64_t patients;                /* of them, where train.labelled chose */
    uint8_t *sees;                   /* (cohort rows) 1: in seen */
    float *y, *logit, *dlogit;       /* (B, K) */
    ecg_mlp_work *work;
    float *prob;                     /* (half A, K) */
    int8_t *truth;
    double *auroc;                   /* (K) of the epoch just judged */
} headed;

typedef struct {
    const ecg_study *study;
    ecg_loader loader;
    ecg_model model;
    ecg_run run;
    ecg_training loop;
    char roles[256];
    int batch, weighting;
    headed head[HEADS];
    ecg_align align;
    /* of one batch */
    float *x, *h, *dh[TASKS];        /* (B, L, leads) (B, H) (B, H) each */
    int *start;
    ecg_encoder_work *work;
    int log_variance;                /* row of the table; -1: none */
    size_t encoder_floats;           /* of the encoder's rows, which come first */
    float *gradient[TASKS];          /* (encoder_floats) of each task, for the projection */
    double *partial;
    double part[PARTS];              /* losses, weights, conflicts */
} joint;

/* ---- one batch ---------------------------------------------------------------------------------------------------------- */

/* y (B, K); how many entries are known. */
static int64_t gather_labels(headed *t, const uint32_t *row, int B)
{
    int64_t known = 0;
    ecg_loader_labels(t->y, t->label, t->K, row, B);
    for (int b = 0; b < B; b++)
        for (int k = 0; k < t->K; k++) {
            float *y = &t->y[(size_t)b * (size_t)t->K + (size_t)k];
            if (!t->sees[row[b]])
                *y = NAN;
            known += !isnan(*y);
        }
    return known;
}

static void scale(float *x, size_t n, double by)
{
    for (size_t i = 0; i < n && by != 1; i++)
        x[i] = (float)(by * (double)x[i]);
}

/* Each task's own layers, with the gradient of by[i] L_i; dh[i] by h. */
static void tasks_backward(joint *s, int B, const double *by, const bool *there)
{
    const ecg_exec *x = s->study->exec;
    ecg_align_backward(s->dh[ALIGNMENT], &s->align, &s->model, x, s->h, B, by[ALIGNMENT]);
    for (int i = 0; i < HEADS; i++) {
        headed *t = &s->head[i];
        if (!there[1 + i])
            continue;
        scale(t->dlogit, (size_t)B * (size_t)t->K, by[1 + i]);
        ecg_mlp_backward(s->dh[1 + i], t->head->net, &s->model.table, t->work, x, t->dlogit, s->h, B);
    }
}

/* One backward pass for all tasks: their dh are added. */
static void encoder_backward(joint *s, int B, const bool *there, const ecg_dropout *drop)
{
    const ecg_exec *x = s->study->exec;
    for (int i = 1; i < TASKS; i++)
        if (there[i])
            x->k->add(s->dh[ALIGNMENT], s->dh[i], (size_t)B * (size_t)s->model.shape.width);
    ecg_encoder_backward(NULL, s->model.encoder, &s->model.table, s->work, x, s->dh[ALIGNMENT], NULL, s->x, B, drop);
}

/* One for each, and what they say against each other is projected away. mixed (TASKS): the weights of the tasks' gradients. */
static int encoder_projection(double *mixed, joint *s, int B, const bool *there, uint32_t at, const ecg_dropout *drop)
{
    const ecg_exec *x = s->study->exec;
    float *g = s->model.table.grad; /* the encoder's rows come first */
    const size_t bytes = s->encoder_floats * sizeof *g;
    double gram[TASKS][TASKS];
    for (int i = 0; i < TASKS; i++) {
        memset(s->gradient[i], 0, bytes);
        if (!there[i])
            continue;
        memset(g, 0, bytes);
        ecg_encoder_backward(NULL, s->model.encoder, &s->model.table, s->work, x, s->dh[i], NULL, s->x, B, drop);
        memcpy(s->gradient[i], g, bytes);
    }
    ecg_balance_gram(gram, s->gradient, TASKS, s->encoder_floats, s->partial, x);
    const int conflicts = ecg_balance_projection(mixed, gram, TASKS, at % 2 == 1); /* the order takes turns: Yu et al. draw it */
    ecg_balance_mix(g, mixed, s->gradient, TASKS, s->encoder_floats, x);
    return conflicts;
}

static ecg_status step(void *ctx, double *loss, const uint32_t *row, int B, uint32_t epoch, uint32_t at, ecg_err *err)
{
    (void)err;
    joint *s = ctx;
    ecg_model *m = &s->model;
    ecg_params *p = &m->table;
    const ecg_exec *x = s->study->exec;
    const ecg_dropout drop = {.seed = s->loop.seed, .step = at, .row = row};
    double own[TASKS] = {s->study->config->joint.alignment, 1, 1}, weighed[TASKS] = {0}, weight[TASKS], mixed[TASKS];
    bool there[TASKS] = {true};
    memset(s->part, 0, sizeof s->part);
    for (int b = 0; b < B; b++)
        s->start[b] = ecg_loader_start(&s->loader, row[b], s->loop.seed, epoch);
    ecg_loader_signals(s->x, &s->loader, x->pool, row, s->start, B);

    ecg_encoder_forward(s->h, NULL, m->encoder, p, s->work, x, s->x, B, &drop);
    s->part[ALIGNMENT] = ecg_align_forward(&s->align, m, x, s->h, row, B, true, &drop);
    for (int i = 0; i < HEADS; i++) {
        headed *t = &s->head[i];
        if (!t->head || gather_labels(t, row, B) == 0)
            continue;
        there[1 + i] = true;
        ecg_mlp_forward(t->logit, t->head->net, p, t->work, x, s->h, B, true, &drop);
        s->part[1 + i] = ecg_bce_loss(t->dlogit, t->logit, t->y, B, t->K, t->tuning->gamma, (ecg_bce_reduce)t->tuning->reduce);
    }
    for (int i = 0; i < TASKS; i++) {
        weighed[i] = own[i] * s->part[i];
        weight[i] = there[i];
    }
    *loss = weighed[0] + weighed[1] + weighed[2];
    if (s->weighting == UNCERTAINTY)
        *loss = ecg_balance_uncertainty(weight, ecg_grad(p, s->log_variance), ecg_value(p, s->log_variance), weighed, there, TASKS);
    for (int i = 0; i < TASKS; i++)
        weight[i] *= own[i];
    tasks_backward(s, B, weight, there);
    if (s->weighting == PROJECTION) {
        s->part[2 * TASKS] = encoder_projection(mixed, s, B, there, at, &drop);
        for (int i = 0; i < TASKS; i++)
            weight[i] *= mixed[i];
    } else {
        encoder_backward(s, B, there, &drop);
    }
    memcpy(s->part + TASKS, weight, sizeof weight);
    return ECG_OK;
}

/* Mean of the heads' macro AUROC on half A. */
static ecg_status judge(void *ctx, double *measure, ecg_err *err)
{
    joint *s = ctx;
    const ecg_rows *rows = &s->loader.half[ECG_HALF_A];
    float *prob[HEADS] = {NULL, NULL};
    double sum = 0;
    int defined = 0;
    *measure = NAN;
    for (int i = 0, at = 0; i < HEADS; i++)
        if (s->head[i].head)
            prob[at++] = s->head[i].prob;
    const ecg_status st = rows->n ? ecg_score_rows(prob, &s->model, &s->loader, rows, s->study->exec, s->study->watch, NULL, err) : ECG_OK;
    for (int i = 0; i < HEADS && !st; i++) {
        headed *t = &s->head[i];
        if (!t->head)
            continue;
        const double macro = ecg_auroc_macro(t->auroc, t->prob, t->truth, rows->n, t->K, s->study->exec->pool).skip_undefined;
        if (isfinite(macro)) {
            sum += macro;
            defined++;
        }
    }
    if (defined)
        *measure = sum / defined;
    return st;
}

/* ---- what is told and kept ---------------------------------------------------------------------------------------------- */

static const char *const words[] = {"uncertainty", "projection", "none"};

/* As members of an object that go on after a comma. */
static void extras(char out[512], const joint *s)
{
    char more[128];
    const headed *diagnoses = &s->head[0];
    int at = snprintf(out, 512, ", \"weighting\": \"%s\"", words[s->weighting]);
    ecg_align_extras(more, sizeof more, s->study->config);
    at += snprintf(out + at, 512 - (size_t)at, "%s", more);
    if (diagnoses->patients)
        snprintf(out + at, 512 - (size_t)at, ", \"labelled\": %" PRId64 ", \"labelled_patients\": %" PRId64, diagnoses->seen.n, diagnoses->patients);
}

static ecg_status keep(void *ctx, const ecg_train_state *state, ecg_err *err)
{
    joint *s = ctx;
    char path[512], more[512], object[520];
    extras(more, s);
    snprintf(object, sizeof object, "{%s}", more + 2);
    const ecg_record_facts f = {.stage = "joint", .cohort_hash = s->study->cohort->hash, .roles = s->roles, .measure = s->loop.measure,
                                 .config = s->study->config, .epochs = s->loop.epochs, .records = s->loop.rows->n, .batch = s->batch,
                                 .best_epoch = state->best_epoch, .best_step = state->best_step, .best = state->best, .more = object};
    for (int i = 0; i < HEADS; i++)
        if (s->head[i].head)
            memcpy(s->head[i].head->auroc, s->head[i].auroc, (size_t)s->head[i].K * sizeof *s->head[i].auroc);
    ecg_status st = ecg_run_record(s->model.record, sizeof s->model.record, &f, err);
    if (!st && !(st = ecg_run_path(path, &s->run, "model.safetensors", err)))
        st = ecg_model_save(&s->model, path, err);
    return st;
}

/* ---- before the first batch --------------------------------------------------------------------------------------------- */

/* Training rows whose labels are seen; diagnoses by train.labelled. */
static ecg_status choose_seen(headed *t, const joint *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    const double labelled = study->config->train.labelled;
    ecg_rows known;
    ecg_status st = ecg_rows_known(&known, &s->loader.role[ECG_TRAIN], t->label, t->K, err);
    if (st)
        return st;
    if (t != &s->head[0] || labelled <= 0) {
        t->seen = known;
    } else {
        st = ecg_rows_labelled(&t->seen, &t->patients, study->cohort, &known, labelled, (uint64_t)study->config->train.split_seed, err);
        ecg_rows_clear(&known);
    }
    if (st)
        return st;
    t->sees = calloc((size_t)study->cohort->n + 1, 1);
    if (!t->sees)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < t->seen.n; i++)
        t->sees[t->seen.row[i]] = 1;
    return ECG_OK;
}

/* Which heads there will be. */
static ecg_status find_labels(joint *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    const ecg_config *c = study->config;
    s->head[0] = (headed){.name = "diagnoses", .set = study->set ? study->set : "diagnoses", .prefix = ECG_HEAD_DIAGNOSES, .tuning = &c->finetune};
    s->head[1] = (headed){.name = "labs", .set = "labs", .prefix = ECG_HEAD_LABS, .tuning = &c->labs};
    int heads = 0;
    for (int i = 0; i < HEADS; i++) {
        headed *t = &s->head[i];
        if (i == 1 && strcmp(t->set, s->head[0].set) == 0)
            return ecg_fail(err, ECG_EARG, "the diagnosis head is to predict the label set '%s', which is the laboratory head's", t->set);
        t->label = ecg_cohort_labels(study->cohort, t->set, &t->table);
        if (!t->label && i == 0 && study->set)
            return ecg_fail_at(err, ECG_EDATA, study->cohort->path, 0, 0, "no label set '%.31s'", t->set);
        t->K = t->label ? t->table->n : 0;
        if (t->K > 0) {
            const ecg_status st = choose_seen(t, s, err);
            if (st)
                return st;
        }
        if (t->seen.n < 2) {
            t->label = NULL;
            ecg_say(study->watch, "no head for %s: %" PRId64 " training records have a known label", t->name, t->seen.n);
        }
        heads += t->label != NULL;
    }
    return heads ? ECG_OK : ecg_fail_at(err, ECG_EDATA, study->cohort->path, 0, 0, "no training record has a known diagnosis or laboratory label");
}

/* Of the contract's tables those of the heads. */
static void keep_tables(ecg_contract *c, const joint *s)
{
    int kept = 0;
    for (int i = 0; i < c->sets; i++) {
        bool used = false;
        for (int h = 0; h < HEADS; h++)
            used |= s->head[h].label && strcmp(c->table[i].set, s->head[h].set) == 0;
        if (used)
            c->table[kept++] = c->table[i];
        else
            free(c->table[i].label);
    }
    c->sets = kept;
}

static ecg_status describe(joint *s, ecg_err *err)
{
    ecg_model *m = &s->model;
    const ecg_config *c = s->study->config;
    ecg_status st = ecg_contract_copy(&m->contract, &s->study->cohort->contract, err);
    if (st || (st = ecg_align_describe(m, &s->loader, c, s->study->exec, err)))
        return st;
    keep_tables(&m->contract, s);
    m->contract.crop = s->loader.crop;
    m->synthetic = s->study->cohort->synthetic;
    snprintf(m->preset, sizeof m->preset, "%s", c->preset);
    m->shape = ecg_train_encoder(c, m->contract.leads);
    for (int i = 0; i < HEADS; i++) {
        headed *t = &s->head[i];
        if (!t->label)
            continue;
        t->head = &m->head[m->heads++];
        snprintf(t->head->set, sizeof t->head->set, "%s", t->set);
        snprintf(t->head->prefix, sizeof t->head->prefix, "%s", t->prefix);
        t->head->labs = i == 1;
        t->head->hidden = (int)t->tuning->head_hidden;
        t->head->dropout = (float)t->tuning->head_dropout;
    }
    m->shared_embedding = m->heads == HEADS;
    m->balance = s->weighting == UNCERTAINTY ? TASKS : 0;
    return ECG_OK;
}

static ecg_status build(joint *s, ecg_err *err)
{
    ecg_model *m = &s->model;
    ecg_status st = describe(s, err);
    if (st || (st = ecg_model_build(m, true, err)) || (st = ecg_train_begin(m, s->loop.seed, s->study->exec, err)))
        return st;
    for (int i = 0; i < HEADS; i++)
        if (s->head[i].head)
            ecg_labels_prevalence(s->head[i].head->prevalence, s->head[i].label, s->head[i].K, &s->head[i].seen);
    s->log_variance = m->balance ? m->table.n - 1 : -1; /* declared last */
    for (int i = 0; i < m->table.n && strncmp(m->table.row[i].name, "ecg.", 4) == 0; i++)
        s->encoder_floats = i + 1 < m->table.n ? m->table.row[i + 1].at : m->table.floats;
    return ECG_OK;
}

static bool head_buffers(headed *t, size_t B, size_t n)
{
    const size_t K = (size_t)t->K;
    t->y = malloc(B * K * sizeof *t->y);
    t->logit = malloc(B * K * sizeof *t->logit);
    t->dlogit = malloc(B * K * sizeof *t->dlogit);
    t->work = ecg_mlp_work_new(t->head->net, (int)B, true);
    t->prob = malloc((n * K + 1) * sizeof *t->prob);
    t->truth = malloc(n * K + 1);
    t->auroc = malloc(K * sizeof *t->auroc);
    return t->y && t->logit && t->dlogit && t->work && t->prob && t->truth && t->auroc;
}

static ecg_status buffers(joint *s, ecg_err *err)
{
    const ecg_model *m = &s->model;
    const ecg_rows *chosen_by = &s->loader.half[ECG_HALF_A];
    const size_t B = (size_t)s->batch, H = (size_t)m->shape.width;
    const int threads = s->study->exec->pool ? ecg_pool_threads(s->study->exec->pool) : 1;
    int keep;
    const ecg_status st = ecg_room_keep(&keep, m, ECG_NEED_PRETRAIN, s->batch, threads, s->study->config->train.memory_mb, s->study->watch, err);
    if (st)
        return st;
    s->x = malloc(B * (size_t)s->loader.crop * (size_t)m->contract.leads * sizeof *s->x);
    s->h = malloc(B * H * sizeof *s->h);
    s->start = malloc(B * sizeof *s->start);
    s->work = ecg_encoder_work_new(m->encoder, threads, keep, true);
    bool ok = s->x && s->h && s->start && s->work;
    for (int i = 0; i < TASKS; i++) {
        ok = ok && (s->dh[i] = malloc(B * H * sizeof *s->dh[i]));
        if (ok && s->weighting == PROJECTION)
            ok = (s->gradient[i] = malloc(s->encoder_floats * sizeof(float))) != NULL;
    }
    if (ok && s->weighting == PROJECTION)
        ok = (s->partial = malloc(ecg_balance_partials(s->encoder_floats) * sizeof *s->partial)) != NULL;
    for (int i = 0; i < HEADS && ok; i++)
        if (s->head[i].head && (ok = head_buffers(&s->head[i], B, (size_t)chosen_by->n)))
            ecg_labels_of(s->head[i].truth, s->head[i].label, s->head[i].K, chosen_by);
    if (!ok)
        return ecg_fail(err, ECG_ENOMEM, "no memory for batches of %d", s->batch);
    for (int i = 0; i < HEADS; i++)
        for (int k = 0; s->head[i].head && k < s->head[i].K; k++)
            s->head[i].auroc[k] = NAN;
    return ecg_align_open(&s->align, m, &s->loader, s->study->config, s->batch, err);
}

static void set_loop(joint *s, const char *identity)
{
    static const char *const names[PARTS] = {"loss_alignment", "loss_diagnoses", "loss_labs", "weight_alignment", "weight_diagnoses", "weight_labs",
                                             "conflicts"};
    const ecg_config *c = s->study->config;
    const ecg_rows *rows = &s->loader.role[ECG_TRAIN];
    s->loop = (ecg_training){.stage = "joint", .measure = "validation_auroc", .higher = true, .model = &s->model, .loader = &s->loader, .rows = rows,
                              .exec = s->study->exec, .watch = s->study->watch, .run = &s->run, .config = &c->train, .seed = (uint64_t)c->train.seed,
                              .batch = s->batch, .epochs = ecg_train_epochs(c->joint.epochs, c->joint.updates, rows->n, s->batch),
                              .schedule = ECG_LR_CONST, .encoder_trains = true, .identity = identity, .parts = s->weighting == PROJECTION ? PARTS : PARTS - 1,
                              .part = names, .part_now = s->part, .ctx = s, .step = step, .judge = judge, .keep = keep};
    ecg_adamw *o = &s->loop.optimiser;
    *o = (ecg_adamw){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    for (int g = 0; g < 4; g++) {
        o->lr[g] = g == 2 ? 10 * c->joint.lr : c->joint.lr; /* group 2: three log-variances that have a long way to go */
        o->decay[g] = g == 2 ? 0 : c->joint.decay;
    }
}

static ecg_status prepare(joint *s, char identity[640], ecg_err *err)
{
    const ecg_study *study = s->study;
    const ecg_config *c = study->config;
    s->weighting = c->joint.weighting;
    ecg_status st = ecg_config_check(c, err);
    if (st || (st = ecg_loader_open(&s->loader, study->cohort, study->roles, (int)c->encoder.length, (uint64_t)c->train.split_seed, err)) ||
        (st = ecg_align_batch(&s->batch, &s->loader, c->joint.batch, "joint.batch", study->watch, err)) || (st = find_labels(s, err)))
        return st;
    ecg_roles_text(s->roles, sizeof s->roles, &s->loader.roles);
    snprintf(identity, 640, "joint %s cohort %.64s roles %s", s->head[0].label ? s->head[0].set : "labs", study->cohort->hash, s->roles);
    set_loop(s, identity);
    if ((st = build(s, err)))
        return st;
    return buffers(s, err);
}

static void announce(const joint *s)
{
    const ecg_watch *watch = s->study->watch;
    const headed *diagnoses = &s->head[0], *labs = &s->head[1];
    ecg_say(watch, "joint%s: %" PRId64 " records, batches of %d, %" PRId64 " epochs, encoder %dx%d, %d columns, diagnoses of %" PRId64
            ", labs of %" PRId64 ", weighting: %s", s->model.synthetic ? " (synthetic cohort)" : "", s->loop.rows->n, s->batch, s->loop.epochs,
            s->model.shape.blocks, s->model.shape.width, s->loader.continuous + s->loader.categorical, diagnoses->seen.n, labs->seen.n,
            words[s->weighting]);
    if (s->study->config->train.shuffle_pairs)
        ecg_say(watch, "control: every ECG stands beside the table of another patient");
}

static ecg_status run(joint *s, ecg_err *err)
{
    const ecg_study *study = s->study;
    char identity[640], more[512];
    ecg_status st = prepare(s, identity, err);
    if (st)
        return st;
    const ecg_run_facts facts = {.stage = "joint", .cohort = study->cohort, .roles = s->roles, .config = study->config, .command = study->command,
                                  .kernels = study->exec->k->words, .threads = study->exec->pool ? ecg_pool_threads(study->exec->pool) : 1};
    if ((st = ecg_run_open(&s->run, study->folder, study->resume, study->force, &facts, err)))
        return st;
    announce(s);
    extras(more, s);
    return ecg_train(&s->loop, more, err);
}

static void clear_head(headed *t)
{
    ecg_rows_clear(&t->seen);
    free(t->sees);
    free(t->y);
    free(t->logit);
    free(t->dlogit);
    ecg_mlp_work_free(t->work);
    free(t->prob);
    free(t->truth);
    free(t->auroc);
}

ecg_status ecg_joint(const ecg_study *asked, ecg_err *err)
{
    joint *s = calloc(1, sizeof *s);
    ecg_exec exec;
    if (!s)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    const ecg_study study = ecg_study_at_precision(asked, &exec);
    s->study = &study;
    const ecg_status st = run(s, err);
    for (int i = 0; i < HEADS; i++)
        clear_head(&s->head[i]);
    for (int i = 0; i < TASKS; i++) {
        free(s->dh[i]);
        free(s->gradient[i]);
    }
    free(s->x);
    free(s->h);
    free(s->start);
    free(s->partial);
    ecg_encoder_work_free(s->work);
    ecg_align_close(&s->align);
    ecg_model_clear(&s->model);
    ecg_loader_close(&s->loader);
    free(s);
    return st;
}
