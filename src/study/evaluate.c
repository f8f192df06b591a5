/* SPDX-License-Identifier: MIT
 * evaluate.c: see evaluate.h (protocol section 7, decisions 5 and 6). */
#include "study/evaluate.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "study/runlog.h"
#include "study/score.h"

typedef struct {
    const ecg_evaluate_task *t;
    ecg_model model;
    ecg_cohort cohort;
    ecg_loader loader;
    const ecg_rows *rows;
    char folder[512], model_hash[65];
    int64_t *unit;        /* (rows) patient */
    float *prob[2];       /* (rows, K) */
    int8_t *truth[2];     /* (rows, K), -1 unknown */
    ecg_interval *label[2], *label_first[2]; /* (K) */
    ecg_evaluation *out;
} evaluation;

const char *ecg_role_name(int role)
{
    static const char *const names[ECG_ROLES] = {"train", "validation", "test"};
    return role >= 0 && role < ECG_ROLES ? names[role] : "none";
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

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
    e->rows = &e->loader.role[o->role];
    if (o->role == ECG_VALIDATION) {
        e->rows = &e->loader.half[ECG_HALF_B];
        o->half = e->loader.cut;
        o->chose_epoch = !e->loader.cut;
        if (o->half)
            ecg_say(e->t->watch, "half B of validation is scored: half A chose the epoch");
        else
            ecg_say(e->t->watch, "%" PRId64 " validation patients are too few to cut: validation also chose the epoch", e->loader.patients[ECG_VALIDATION]);
    }
    if (e->rows->n == 0)
        return ecg_fail_at(err, ECG_EDATA, e->cohort.path, 0, 0, "no record in the role '%s'", ecg_role_name(o->role));
    e->unit = malloc((size_t)e->rows->n * sizeof *e->unit);
    if (!e->unit)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < e->rows->n; i++)
        e->unit[i] = ecg_rows_patient(&e->cohort, e->rows->row[i]);
    return ECG_OK;
}

/* Truth under the model's codes, whatever their order in this cohort. */
static ecg_status match_labels(evaluation *e, int i, ecg_err *err)
{
    const ecg_head *h = &e->model.head[i];
    ecg_head_result *r = &e->out->head[i];
    const ecg_label_table *mine, *theirs = NULL;
    const int K = ecg_head_labels(&e->model, h, &mine);
    const int8_t *label = ecg_cohort_labels(&e->cohort, h->set, &theirs);
    const size_t n = (size_t)e->rows->n * (size_t)K;
    snprintf(r->set, sizeof r->set, "%s", h->set);
    snprintf(r->head, sizeof r->head, "%s", strcmp(h->prefix, ECG_HEAD_LABS) ? "diagnoses" : "labs");
    r->labels = K;
    if (!label)
        return ecg_fail_at(err, ECG_ECONTRACT, e->cohort.path, 0, 0, "no label set '%s', which the model predicts", h->set);
    e->prob[i] = malloc(n * sizeof(float));
    e->truth[i] = malloc(n);
    e->label[i] = malloc((size_t)K * sizeof(ecg_interval));
    e->label_first[i] = malloc((size_t)K * sizeof(ecg_interval));
    if (!e->prob[i] || !e->truth[i] || !e->label[i] || !e->label_first[i])
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int k = 0; k < K; k++) {
        int at = 0; /* both tables ascend by code, but a walk from the start is cheap and asks nothing of them */
        while (at < theirs->n && strcmp(theirs->label[at].code, mine->label[k].code))
            at++;
        r->absent += at == theirs->n;
        for (int64_t j = 0; j < e->rows->n; j++)
            e->truth[i][(size_t)j * (size_t)K + (size_t)k] =
                at < theirs->n ? label[(size_t)e->rows->row[j] * (size_t)theirs->n + (size_t)at] : (int8_t)-1;
    }
    if (r->absent == K)
        return ecg_fail_at(err, ECG_ECONTRACT, e->cohort.path, 0, 0, "label set '%s' has no code of the model's", h->set);
    if (r->absent)
        ecg_say(e->t->watch, "%d of %d labels of set '%s' are not in this cohort", r->absent, K, h->set);
    return ECG_OK;
}

/* ---- figures ------------------------------------------------------------------------------------------------------------ */

/* AUROCs of head i over the rows marked in take (NULL: all), with intervals. */
static ecg_status measure(ecg_scored *out, ecg_interval *label, const evaluation *e, int i, const uint8_t *take, ecg_err *err)
{
    const ecg_evaluate_task *t = e->t;
    const int K = e->out->head[i].labels;
    const size_t room = (size_t)e->rows->n, width = (size_t)K;
    ecg_rows rows = {malloc(room * sizeof *rows.row), 0};
    float *prob = malloc(room * width * sizeof *prob);
    int8_t *truth = malloc(room * width);
    int64_t *unit = malloc(room * sizeof *unit);
    double *point = malloc(width * sizeof *point);
    ecg_status st = ECG_OK;
    if (!rows.row || !prob || !truth || !unit || !point) {
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
        goto done;
    }
    for (size_t j = 0; j < room; j++) {
        if (take && !take[j])
            continue;
        const size_t at = (size_t)rows.n++;
        rows.row[at] = e->rows->row[j];
        unit[at] = e->unit[j];
        memcpy(prob + at * width, e->prob[i] + j * width, width * sizeof *prob);
        memcpy(truth + at * width, e->truth[i] + j * width, width);
    }
    *out = (ecg_scored){.records = rows.n, .patients = ecg_rows_patients(NULL, &e->cohort, &rows)};
    const ecg_macro macro = ecg_auroc_macro(point, prob, truth, rows.n, K, t->exec->pool);
    const ecg_interval none = {NAN, NAN, NAN, 0};
    out->defined = macro.defined;
    out->score = (ecg_boot_summary){none, none, none};
    for (int k = 0; k < K; k++) {
        label[k] = none;
        label[k].point = point[k];
    }
    out->score.macro.point = macro.skip_undefined;
    out->score.macro_half.point = macro.half_undefined;
    out->score.micro.point = ecg_auroc_micro(prob, truth, rows.n, K);
    if (t->resamples > 0 && rows.n > 0 &&
        ecg_bootstrap_auroc(&out->score, label, prob, truth, rows.n, K, t->by_ecg ? NULL : unit, t->resamples, t->seed, t->exec->pool))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
done:
    ecg_rows_clear(&rows);
    free(prob);
    free(truth);
    free(unit);
    free(point);
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
    for (int64_t j = 0; j < e->rows->n; j++) {
        const uint32_t row = e->rows->row[j];
        ecg_csvw_int(w, e->cohort.study[row]);
        ecg_csvw_int(w, e->cohort.patient[row]);
        ecg_csvw_int(w, e->cohort.first_in_stay[row]);
        for (int k = 0; k < K; k++)
            ecg_csvw_double(w, (double)e->prob[i][(size_t)j * (size_t)K + (size_t)k], NULL);
        ecg_csvw_end(w);
    }
    return ecg_csvw_commit(w, err);
}

static ecg_status write_labels(const evaluation *e, int i, ecg_err *err)
{
    static const char *const columns[] = {"code", "title", "positives", "negatives", "prevalence", "auroc", "auroc_low", "auroc_high",
                                           "average_precision", "first_auroc", "first_auroc_low", "first_auroc_high"};
    char path[512];
    const ecg_label_table *table;
    const int K = ecg_head_labels(&e->model, &e->model.head[i], &table);
    ecg_csvw *w;
    ecg_status st = file_name(path, e, i, "labels", err);
    if (st || (st = ecg_csvw_create(&w, path, err)))
        return st;
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        ecg_csvw_text(w, columns[c]);
    ecg_csvw_end(w);
    for (int k = 0; k < K; k++) {
        int64_t count[2] = {0, 0};
        for (int64_t j = 0; j < e->rows->n; j++) {
            const int8_t y = e->truth[i][(size_t)j * (size_t)K + (size_t)k];
            if (y == 0 || y == 1)
                count[y]++;
        }
        const ecg_interval *a = &e->label[i][k], *f = &e->label_first[i][k];
        const int64_t known = count[0] + count[1];
        const double figures[] = {known ? (double)count[1] / (double)known : NAN, a->point, a->lo, a->hi,
                                   ecg_average_precision(e->prob[i] + k, e->truth[i] + k, e->rows->n, K), f->point, f->lo, f->hi};
        ecg_csvw_text(w, table->label[k].code);
        ecg_csvw_text(w, table->label[k].title);
        ecg_csvw_int(w, count[1]);
        ecg_csvw_int(w, count[0]);
        for (size_t c = 0; c < sizeof figures / sizeof *figures; c++)
            ecg_csvw_double(w, figures[c], NULL);
        ecg_csvw_end(w);
    }
    return ecg_csvw_commit(w, err);
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *interval_json(const ecg_interval *x)
{
    return json_pack("{s:o, s:o, s:o, s:I}", "point", number(x->point), "low", number(x->lo), "high", number(x->hi), "undefined", (json_int_t)x->undefined);
}

static json_t *scored_json(const ecg_scored *s)
{
    return json_pack("{s:I, s:I, s:i, s:o, s:o, s:o}", "records", (json_int_t)s->records, "patients", (json_int_t)s->patients, "defined", s->defined,
                     "macro_auroc", interval_json(&s->score.macro), "macro_auroc_undefined_as_half", interval_json(&s->score.macro_half), "micro_auroc",
                     interval_json(&s->score.micro));
}

static ecg_status write_json(evaluation *e, ecg_err *err)
{
    char path[512];
    ecg_evaluation *o = e->out;
    ecg_status st = ecg_join(path, sizeof path, e->folder, "evaluation.json", err);
    if (st)
        return st;
    json_t *heads = json_array(), *j = json_object();
    for (int i = 0; i < o->heads; i++) {
        const ecg_head_result *r = &o->head[i];
        json_array_append_new(heads, json_pack("{s:s, s:s, s:i, s:i, s:o, s:o}", "head", r->head, "set", r->set, "labels", r->labels, "absent", r->absent,
                                               "all_ecgs", scored_json(&r->all), "first_in_stay", scored_json(&r->first)));
    }
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
    json_object_set_new(j, "heads", heads);
    o->json = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(j);
    if (!o->json)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    return ecg_file_write_whole(path, o->json, strlen(o->json), err);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

static ecg_status score_head(evaluation *e, int i, ecg_err *err)
{
    ecg_head_result *r = &e->out->head[i];
    uint8_t *first = malloc((size_t)e->rows->n);
    if (!first)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t j = 0; j < e->rows->n; j++)
        first[j] = e->cohort.first_in_stay[e->rows->row[j]] == 1;
    ecg_status st = measure(&r->all, e->label[i], e, i, NULL, err);
    if (!st)
        st = measure(&r->first, e->label_first[i], e, i, first, err);
    free(first);
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
    for (int i = 0; i < o->heads; i++)
        if ((st = match_labels(e, i, err)))
            return st;
    if ((st = ecg_make_folders(e->folder, err)) ||
        (st = ecg_score_rows(e->prob, &e->model, &e->loader, e->rows, e->t->exec, e->t->watch, "evaluate", err)))
        return st;
    for (int i = 0; i < o->heads; i++)
        if ((st = score_head(e, i, err)) || (st = write_predictions(e, i, err)) || (st = write_labels(e, i, err)))
            return st;
    return write_json(e, err);
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
    for (int i = 0; i < 2; i++) {
        free(e->prob[i]);
        free(e->truth[i]);
        free(e->label[i]);
        free(e->label_first[i]);
    }
    free(e->unit);
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
