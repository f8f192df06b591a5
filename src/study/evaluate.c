/* SPDX-License-Identifier: MIT
 * evaluate.c: see evaluate.h (protocol section 7, decisions 5 and 6). */
#include "study/evaluate.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "study/cohort_groups.h"
#include "study/runlog.h"
#include "study/score.h"

/* Records with the model's answers: those that are scored, those that choose the thresholds. */
typedef struct {
    const ecg_rows *rows;
    int64_t *unit;        /* (rows) patient */
    int8_t *first;        /* (rows) first ECG of its stay */
    double *prob[2];      /* (rows, K) by head */
    int8_t *truth[2];     /* (rows, K), -1 unknown */
} scored_rows;

typedef struct {
    const ecg_evaluate_task *t;
    ecg_model model;
    ecg_cohort cohort;
    ecg_loader loader;
    char folder[512], model_hash[65], against_hash[65];
    scored_rows scored, chosen; /* chosen.rows NULL: no thresholds */
    double *against[2];         /* (scored rows, K): the other model's, NAN where it does not know the label */
    ecg_cohort_groups groups;
    json_t *heads;
    ecg_evaluation *out;
} evaluation;

const char *ecg_role_name(int role)
{
    static const char *const names[ECG_ROLES] = {"train", "validation", "test"};
    return role >= 0 && role < ECG_ROLES ? names[role] : "none";
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

/* -1: the table does not have it. Both tables ascend by code, but a walk is cheap and asks nothing of them. */
static int label_at(const ecg_label_table *table, const char *code)
{
    for (int k = 0; k < table->n; k++)
        if (!strcmp(table->label[k].code, code))
            return k;
    return -1;
}

static void folder_of(char out[512], const char *path)
{
    const char *slash = strrchr(path, '/');
    if (ecg_is_folder(path))
        snprintf(out, 512, "%s", path);
    else if (slash)
        snprintf(out, 512, "%.*s", (int)(slash - path), path);
    else
        snprintf(out, 512, ".");
}

static ecg_status open_cohort(evaluation *e, ecg_err *err)
{
    char home[512], path[512], hash[65] = "";
    folder_of(home, e->t->run);
    snprintf(e->folder, sizeof e->folder, "%s", e->t->folder ? e->t->folder : home);
    ecg_status st = ecg_run_cohort(path, hash, home, err);
    if (st)
        return st;
    if (!e->t->cohort && !*path)
        return ecg_fail_at(err, ECG_EDATA, home, 0, 0, "no run.json that names a cohort; --cohort FILE does");
    if ((st = ecg_cohort_open(&e->cohort, e->t->cohort ? e->t->cohort : path, err)))
        return st;
    if (!e->t->cohort && strcmp(hash, e->cohort.hash))
        return ecg_fail_at(err, ECG_ECONTRACT, path, 0, 0, "the cohort is not the one the run was trained on: its hash is %.12s, %.12s was recorded",
                           e->cohort.hash, hash);
    ecg_contract signal = e->cohort.contract; /* crops are the model's business */
    signal.crop = e->model.contract.crop;
    st = ecg_contract_fits(&signal, "the cohort", &e->model.contract, "the model", ECG_CONTRACT_SIGNAL, err);
    return st ? ecg_fail_in(err, st, e->cohort.path) : ECG_OK;
}

/* Thresholds come from validation and never from what is scored: from half B, which chose no epoch, where validation was cut. */
static void choose_threshold_rows(evaluation *e)
{
    ecg_evaluation *o = e->out;
    const ecg_loader *l = &e->loader;
    const bool scoring_validation = o->role == ECG_VALIDATION;
    if (scoring_validation && !l->cut)
        return;
    e->chosen.rows = &l->half[scoring_validation ? ECG_HALF_A : ECG_HALF_B];
    if (e->chosen.rows->n == 0) {
        e->chosen.rows = NULL;
        return;
    }
    snprintf(o->thresholds, sizeof o->thresholds, "%s",
             !l->cut ? "validation, which also chose the epoch" : scoring_validation ? "half A of validation, which also chose the epoch" : "half B of validation");
}

/* Which records: an empty test fold gives way to validation, and validation is half B where it was cut. */
static ecg_status choose_rows(evaluation *e, ecg_err *err)
{
    ecg_roles inherited;
    char seed[32];
    const bool has = !e->t->roles && ecg_record_roles(&inherited, e->model.record, &e->cohort);
    const uint64_t split = ecg_record_field(seed, sizeof seed, e->model.record, "split_seed") ? strtoull(seed, NULL, 10) : 42;
    const ecg_status st = ecg_loader_open(&e->loader, &e->cohort, has ? &inherited : e->t->roles, e->model.shape.length, split, err);
    if (st)
        return st;
    ecg_evaluation *o = e->out;
    o->role = e->t->role;
    if (o->role == ECG_TEST && e->loader.role[ECG_TEST].n == 0) {
        ecg_say(e->t->watch, "the test fold is empty: validation is scored instead");
        o->role = ECG_VALIDATION;
    }
    e->scored.rows = &e->loader.role[o->role];
    if (o->role == ECG_VALIDATION) {
        e->scored.rows = &e->loader.half[ECG_HALF_B];
        o->half = e->loader.cut;
        o->chose_epoch = !e->loader.cut;
        if (o->half)
            ecg_say(e->t->watch, "half B of validation is scored: half A chose the epoch");
        else
            ecg_say(e->t->watch, "%" PRId64 " validation patients are too few to cut: validation also chose the epoch", e->loader.patients[ECG_VALIDATION]);
    }
    if (e->scored.rows->n == 0)
        return ecg_fail_at(err, ECG_EDATA, e->cohort.path, 0, 0, "no record in the role '%s'", ecg_role_name(o->role));
    choose_threshold_rows(e);
    return ECG_OK;
}

/* Truth under the model's codes, whatever their order in this cohort. */
static ecg_status match_labels(scored_rows *s, evaluation *e, int i, ecg_err *err)
{
    const ecg_head *h = &e->model.head[i];
    ecg_head_result *r = &e->out->head[i];
    const ecg_label_table *mine, *theirs = NULL;
    const int K = ecg_head_labels(&e->model, h, &mine);
    const int8_t *label = ecg_cohort_labels(&e->cohort, h->set, &theirs);
    snprintf(r->set, sizeof r->set, "%s", h->set);
    snprintf(r->head, sizeof r->head, "%s", ecg_head_task(h));
    r->labels = K;
    r->absent = 0;
    if (!label)
        return ecg_fail_at(err, ECG_ECONTRACT, e->cohort.path, 0, 0, "no label set '%s', which the model predicts", h->set);
    s->truth[i] = malloc((size_t)s->rows->n * (size_t)K);
    if (!s->truth[i])
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int k = 0; k < K; k++) {
        const int at = label_at(theirs, mine->label[k].code);
        r->absent += at < 0;
        for (int64_t j = 0; j < s->rows->n; j++)
            s->truth[i][(size_t)j * (size_t)K + (size_t)k] = at < 0 ? (int8_t)-1 : label[(size_t)s->rows->row[j] * (size_t)theirs->n + (size_t)at];
    }
    if (r->absent == K)
        return ecg_fail_at(err, ECG_ECONTRACT, e->cohort.path, 0, 0, "label set '%s' has no code of the model's", h->set);
    return ECG_OK;
}

static ecg_status about_rows(scored_rows *s, evaluation *e, ecg_err *err)
{
    s->unit = malloc((size_t)s->rows->n * sizeof *s->unit);
    s->first = malloc((size_t)s->rows->n);
    if (!s->unit || !s->first)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t j = 0; j < s->rows->n; j++) {
        s->unit[j] = ecg_rows_patient(&e->cohort, s->rows->row[j]);
        s->first[j] = e->cohort.first_in_stay[s->rows->row[j]] == 1;
    }
    for (int i = 0; i < e->out->heads; i++) {
        const ecg_status st = match_labels(s, e, i, err);
        if (st)
            return st;
    }
    return ECG_OK;
}

/* ---- answers ------------------------------------------------------------------------------------------------------------ */

/* Probabilities of every head of a model, in double. */
static ecg_status answer(double *out[2], ecg_model *m, const ecg_rows *rows, const evaluation *e, const char *what, ecg_err *err)
{
    float *prob[2] = {NULL, NULL};
    ecg_status st = ECG_OK;
    for (int i = 0; i < m->heads && !st; i++) {
        const size_t cells = (size_t)rows->n * (size_t)ecg_head_labels(m, &m->head[i], NULL);
        prob[i] = malloc(cells * sizeof *prob[i]);
        out[i] = malloc(cells * sizeof *out[i]);
        if (!prob[i] || !out[i])
            st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    if (!st)
        st = ecg_score_rows(prob, m, &e->loader, rows, e->t->exec, e->t->watch, what, err);
    for (int i = 0; i < m->heads; i++) {
        const size_t cells = (size_t)rows->n * (size_t)ecg_head_labels(m, &m->head[i], NULL);
        for (size_t j = 0; !st && j < cells; j++)
            out[i][j] = prob[i][j];
        free(prob[i]);
    }
    return st;
}

/* The other model's columns in the order of ours. */
static ecg_status reorder(evaluation *e, ecg_model *other, double *const theirs[2], ecg_err *err)
{
    int matched = 0;
    for (int i = 0; i < e->model.heads; i++) {
        const ecg_label_table *mine, *table = NULL;
        const int K = ecg_head_labels(&e->model, &e->model.head[i], &mine);
        int h = 0, absent = 0;
        while (h < other->heads && strcmp(other->head[h].set, e->model.head[i].set))
            h++;
        if (h == other->heads) {
            ecg_say(e->t->watch, "%s has no head for set '%s': no differences there", e->t->against, e->model.head[i].set);
            continue;
        }
        const int width = ecg_head_labels(other, &other->head[h], &table);
        e->against[i] = malloc((size_t)e->scored.rows->n * (size_t)K * sizeof(double));
        if (!e->against[i])
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        for (int k = 0; k < K; k++) {
            const int at = label_at(table, mine->label[k].code);
            absent += at < 0;
            for (int64_t j = 0; j < e->scored.rows->n; j++)
                e->against[i][(size_t)j * (size_t)K + (size_t)k] = at < 0 ? NAN : theirs[h][(size_t)j * (size_t)width + (size_t)at];
        }
        if (absent)
            ecg_say(e->t->watch, "%s does not know %d of the %d labels of set '%s': no differences of these, nor of the micro AUROC", e->t->against, absent, K,
                    mine->set);
        matched++;
    }
    return matched ? ECG_OK : ecg_fail_at(err, ECG_ECONTRACT, e->t->against, 0, 0, "no head in common with %.200s", e->t->run);
}

static ecg_status answer_of_other(evaluation *e, ecg_err *err)
{
    char path[512];
    ecg_model other = {0};
    double *theirs[2] = {NULL, NULL};
    ecg_status st = ecg_model_path(path, sizeof path, e->t->against, err);
    if (st || (st = ecg_sha256_file(e->against_hash, path, err)) || (st = ecg_model_load(&other, path, false, false, err)))
        return st;
    ecg_model_use(&other, e->t->exec);
    if (other.shape.length != e->loader.crop)
        st = ecg_fail_at(err, ECG_ECONTRACT, path, 0, 0, "crops of %d samples, those of %.200s have %d", other.shape.length, e->t->run, e->loader.crop);
    if (!st)
        st = ecg_contract_fits(&e->model.contract, "the run", &other.contract, "the other run", ECG_CONTRACT_SIGNAL, err);
    if (!st)
        st = answer(theirs, &other, e->scored.rows, e, "evaluate the other run", err);
    if (!st)
        st = reorder(e, &other, theirs, err);
    free(theirs[0]);
    free(theirs[1]);
    ecg_model_clear(&other);
    return st;
}

/* ---- files -------------------------------------------------------------------------------------------------------------- */

static ecg_status file_name(char out[512], const evaluation *e, int i, const char *kind, ecg_err *err)
{
    char name[128];
    const char *set = e->out->head[i].set; /* from a file that anybody may have made: it must not lead out of the folder */
    if (set[strspn(set, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")])
        return ecg_fail(err, ECG_EDATA, "the label set '%s' cannot be part of a file name", set);
    snprintf(name, sizeof name, "%s.%s.%s.csv", kind, set, ecg_role_name(e->out->role));
    return ecg_join(out, 512, e->folder, name, err);
}

static ecg_status write_predictions(const evaluation *e, int i, ecg_err *err)
{
    char path[512];
    const ecg_label_table *table;
    const int K = ecg_head_labels(&e->model, &e->model.head[i], &table);
    ecg_csvw *w;
    ecg_status st = file_name(path, e, i, "predictions", err);
    if (st || (st = ecg_csvw_create(&w, path, err)))
        return st;
    ecg_csvw_text(w, "study_id");
    ecg_csvw_text(w, "patient");
    ecg_csvw_text(w, "first_in_stay");
    for (int k = 0; k < K; k++)
        ecg_csvw_text(w, table->label[k].code);
    ecg_csvw_end(w);
    for (int64_t j = 0; j < e->scored.rows->n; j++) {
        const uint32_t row = e->scored.rows->row[j];
        ecg_csvw_int(w, e->cohort.study[row]);
        ecg_csvw_int(w, e->cohort.patient[row]);
        ecg_csvw_int(w, e->cohort.first_in_stay[row]);
        for (int k = 0; k < K; k++)
            ecg_csvw_double(w, e->scored.prob[i][(size_t)j * (size_t)K + (size_t)k], NULL);
        ecg_csvw_end(w);
    }
    return ecg_csvw_commit(w, err);
}

static ecg_scored scored_of(const ecg_assess_scope *s)
{
    return (ecg_scored){s->records, s->patients, s->defined, s->auroc, s->precision};
}

/* Figures of one head into the result, its object for evaluation.json, its tables. */
static ecg_status keep(evaluation *e, int i, const ecg_assessment *a, ecg_err *err)
{
    char suffix[96];
    ecg_head_result *r = &e->out->head[i];
    json_t *j = ecg_assess_json(a);
    if (!j)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    json_object_set_new(j, "head", json_string(r->head));
    json_object_set_new(j, "set", json_string(r->set));
    json_object_set_new(j, "absent", json_integer(r->absent));
    json_array_append_new(e->heads, j);
    r->all = scored_of(&a->all);
    r->first = scored_of(&a->first);
    r->mean = a->mean;
    r->pooled = a->pooled;
    memcpy(r->sensitivity_at, a->mean_sensitivity_at, sizeof r->sensitivity_at);
    r->youden = a->mean_operating[ECG_RULE_YOUDEN];
    const ecg_difference none = {NAN, NAN, NAN, NAN, 0};
    r->against[0] = e->against[i] ? a->all.difference.macro : none;
    r->against[1] = e->against[i] ? a->all.difference.micro : none;
    r->against_first[0] = e->against[i] ? a->first.difference.macro : none;
    r->against_first[1] = e->against[i] ? a->first.difference.micro : none;
    snprintf(suffix, sizeof suffix, ".%s.%s.csv", r->set, ecg_role_name(e->out->role));
    return ecg_assess_write(a, e->folder, suffix, err);
}

static ecg_assess_rows rows_of(const scored_rows *s, int i)
{
    return (ecg_assess_rows){s->rows->n, s->prob[i], s->truth[i], s->unit, s->first};
}

static ecg_status assess_head(evaluation *e, int i, ecg_err *err)
{
    const ecg_evaluate_task *t = e->t;
    const ecg_label_table *table;
    const int K = ecg_head_labels(&e->model, &e->model.head[i], &table);
    const char **code = malloc(2 * (size_t)K * sizeof *code);
    if (!code)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int k = 0; k < K; k++) {
        code[k] = table->label[k].code;
        code[K + k] = table->label[k].title;
    }
    const ecg_assess_rows chosen = e->chosen.rows ? rows_of(&e->chosen, i) : (ecg_assess_rows){0};
    const ecg_assess_task task = {.K = K, .code = code, .title = code + K, .rows = rows_of(&e->scored, i), .validation = e->chosen.rows ? &chosen : NULL,
                                  .validation_text = e->out->thresholds, .against = e->against[i], .against_name = t->against, .group = e->groups.group,
                                  .groups = e->groups.n, .resamples = t->resamples, .by_row = t->by_ecg, .seed = t->seed, .pool = t->exec->pool,
                                  .watch = t->watch};
    ecg_assessment a;
    ecg_status st = ecg_assess(&a, &task, err);
    if (!st) {
        st = keep(e, i, &a, err);
        ecg_assessment_clear(&a);
    }
    free(code);
    return st;
}

static ecg_status write_json(evaluation *e, ecg_err *err)
{
    char path[512];
    ecg_evaluation *o = e->out;
    ecg_status st = ecg_join(path, sizeof path, e->folder, "evaluation.json", err);
    if (st)
        return st;
    json_t *j = json_object();
    json_object_set_new(j, "schema", json_string("ecgraft.evaluation/1"));
    json_object_set_new(j, "statement", json_string(ECG_STATEMENT));
    json_object_set_new(j, "synthetic", json_boolean(o->synthetic));
    json_object_set_new(j, "model_hash", json_string(e->model_hash));
    json_object_set_new(j, "cohort_hash", json_string(e->cohort.hash));
    json_object_set_new(j, "role", json_string(ecg_role_name(o->role)));
    json_object_set_new(j, "validation_half", o->half ? json_string("B") : json_null());
    json_object_set_new(j, "validation_chose_epoch", json_boolean(o->chose_epoch));
    json_object_set_new(j, "shared_embedding", json_boolean(e->model.shared_embedding));
    json_object_set_new(j, "bootstrap", json_pack("{s:i, s:s, s:I, s:f}", "resamples", e->t->resamples, "unit", e->t->by_ecg ? "ecg" : "patient", "seed",
                                                  (json_int_t)e->t->seed, "level", 0.95));
    if (e->t->against)
        json_object_set_new(j, "against_hash", json_string(e->against_hash));
    json_object_set(j, "heads", e->heads);
    o->json = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(ECG_ASSESS_DIGITS));
    json_decref(j);
    if (!o->json)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    return ecg_file_write_whole(path, o->json, strlen(o->json), err);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

static ecg_status score(evaluation *e, ecg_err *err)
{
    ecg_status st = answer(e->scored.prob, &e->model, e->scored.rows, e, "evaluate", err);
    if (!st && e->chosen.rows)
        st = answer(e->chosen.prob, &e->model, e->chosen.rows, e, "evaluate validation", err);
    if (!st && e->t->against)
        st = answer_of_other(e, err);
    return st;
}

static ecg_status run(evaluation *e, ecg_err *err)
{
    char path[512];
    ecg_status st = ecg_model_path(path, sizeof path, e->t->run, err);
    if (st || (st = ecg_sha256_file(e->model_hash, path, err)) || (st = ecg_model_load(&e->model, path, false, false, err)))
        return st;
    if (e->model.heads == 0)
        return ecg_fail_at(err, ECG_ECONTRACT, path, 0, 0, "a pre-training run has no head to evaluate; finetune makes one");
    ecg_model_use(&e->model, e->t->exec);
    if ((st = open_cohort(e, err)) || (st = choose_rows(e, err)))
        return st;
    ecg_evaluation *o = e->out;
    o->synthetic = e->model.synthetic || e->cohort.synthetic;
    o->heads = e->model.heads;
    if ((e->chosen.rows && (st = about_rows(&e->chosen, e, err))) || (st = about_rows(&e->scored, e, err)) ||
        (st = ecg_cohort_groups_make(&e->groups, &e->cohort, e->scored.rows, err)))
        return st;
    for (int i = 0; i < o->heads; i++)
        if (o->head[i].absent)
            ecg_say(e->t->watch, "%d of %d labels of set '%s' are not in this cohort", o->head[i].absent, o->head[i].labels, o->head[i].set);
    if ((st = ecg_make_folders(e->folder, err)) || (st = score(e, err)))
        return st;
    if (!(e->heads = json_array()))
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int i = 0; i < o->heads; i++)
        if ((st = write_predictions(e, i, err)) || (st = assess_head(e, i, err)))
            return st;
    return write_json(e, err);
}

static void clear_scored(scored_rows *s)
{
    for (int i = 0; i < 2; i++) {
        free(s->prob[i]);
        free(s->truth[i]);
    }
    free(s->unit);
    free(s->first);
}

ecg_status ecg_evaluate(ecg_evaluation *out, const ecg_evaluate_task *t, ecg_err *err)
{
    evaluation *e = calloc(1, sizeof *e);
    *out = (ecg_evaluation){0};
    if (!e)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    e->t = t;
    e->out = out;
    const ecg_status st = run(e, err);
    clear_scored(&e->scored);
    clear_scored(&e->chosen);
    free(e->against[0]);
    free(e->against[1]);
    ecg_cohort_groups_clear(&e->groups);
    json_decref(e->heads);
    ecg_loader_close(&e->loader);
    ecg_cohort_close(&e->cohort);
    ecg_model_clear(&e->model);
    free(e);
    if (st)
        ecg_evaluation_clear(out);
    return st;
}

void ecg_evaluation_clear(ecg_evaluation *e)
{
    free(e->json);
    *e = (ecg_evaluation){0};
}
