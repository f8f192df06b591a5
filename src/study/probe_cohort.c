/* SPDX-License-Identifier: MIT
 * probe_cohort.c: see probe_cohort.h. */
#include "study/probe_cohort.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/json.h"
#include "base/npy.h"
#include "study/embed.h"
#include "study/evaluate.h"
#include "study/probe.h"
#include "study/runlog.h"

/* ---- model and cohort together ------------------------------------------------------------------------------------------ */

typedef struct {
    ecg_cohort cohort;
    ecg_model model;
    ecg_loader loader;
    char hash[65]; /* of the model file */
} pair;

static void close_pair(pair *p)
{
    ecg_loader_close(&p->loader);
    ecg_model_clear(&p->model);
    ecg_cohort_close(&p->cohort);
}

static ecg_status open_rows(pair *p, const ecg_probe_task *t, ecg_err *err)
{
    ecg_roles inherited;
    char seed[32];
    ecg_contract signal = p->cohort.contract; /* crops are the model's business */
    signal.crop = p->model.contract.crop;
    ecg_status st = ecg_contract_fits(&signal, "the cohort", &p->model.contract, "the model", ECG_CONTRACT_SIGNAL, err);
    if (st)
        return ecg_fail_in(err, st, t->cohort);
    if (!p->cohort.signal)
        return ecg_fail_at(err, ECG_EDATA, t->cohort, 0, 0, "a cohort of tables alone: there is no ECG in it");
    const bool has = !t->roles && ecg_record_roles(&inherited, p->model.record, &p->cohort);
    const uint64_t split = ecg_record_field(seed, sizeof seed, p->model.record, "split_seed") ? strtoull(seed, NULL, 10) : 42;
    return ecg_loader_open(&p->loader, &p->cohort, has ? &inherited : t->roles, p->model.shape.length, split, err);
}

static ecg_status open_pair(pair *p, const ecg_probe_task *t, ecg_err *err)
{
    char path[512];
    *p = (pair){0};
    ecg_status st = ecg_cohort_open(&p->cohort, t->cohort, err);
    if (st)
        return st;
    if (!(st = ecg_model_path(path, sizeof path, t->model, err)) && !(st = ecg_sha256_file(p->hash, path, err)) &&
        !(st = ecg_model_load(&p->model, path, false, false, err))) {
        ecg_model_use(&p->model, t->exec);
        st = open_rows(p, t, err);
    }
    if (st)
        close_pair(p);
    return st;
}

/* ---- embeddings --------------------------------------------------------------------------------------------------------- */

static ecg_status write_rows(const char *path, const pair *p, ecg_err *err)
{
    static const char *const columns[] = {"study_id", "patient", "first_in_stay", "fold", "role"};
    char name[512];
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const size_t stem = dot && (!slash || dot > slash) ? (size_t)(dot - path) : strlen(path);
    const ecg_cohort *c = &p->cohort;
    ecg_csvw *w;
    if (stem + 5 > sizeof name)
        return ecg_fail(err, ECG_EARG, "the name of the file is too long");
    snprintf(name, sizeof name, "%.*s.csv", (int)stem, path);
    const ecg_status st = ecg_csvw_create(&w, name, err);
    if (st)
        return st;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        ecg_csvw_text(w, columns[i]);
    ecg_csvw_end(w);
    for (int64_t i = 0; i < c->n; i++) {
        ecg_csvw_int(w, c->study[i]);
        ecg_csvw_int(w, c->patient[i]);
        ecg_csvw_int(w, c->first_in_stay[i]);
        ecg_csvw_int(w, c->fold[i]);
        ecg_csvw_text(w, ecg_role_name(ecg_cohort_role(c, &p->loader.roles, i)));
        ecg_csvw_end(w);
    }
    return ecg_csvw_commit(w, err);
}

static ecg_status write_npy(const char *path, const float *h, int64_t n, int width, ecg_err *err)
{
    ecg_file *f;
    ecg_status st = ecg_file_create(&f, path, err);
    if (st)
        return st;
    if (!(st = ecg_npy_begin(f, 2, (int64_t[]){n, width}, err)))
        st = ecg_file_write(f, h, (size_t)n * (size_t)width * sizeof *h, err);
    if (!st)
        return ecg_file_commit(f, err);
    ecg_file_abort(f);
    return st;
}

ecg_status ecg_embed_cohort(const char *path, const ecg_probe_task *t, ecg_err *err)
{
    pair p;
    ecg_status st = open_pair(&p, t, err);
    if (st)
        return st;
    const int64_t n = p.cohort.n;
    float *h = malloc((size_t)n * (size_t)p.model.shape.width * sizeof *h + 1);
    ecg_rows all = {malloc((size_t)n * sizeof(uint32_t) + 1), n};
    for (int64_t i = 0; i < n && all.row; i++)
        all.row[i] = (uint32_t)i;
    st = h && all.row ? ecg_embed_rows(h, &p.model, &p.loader, &all, t->exec, t->watch, "embed", err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st && !(st = write_npy(path, h, n, p.model.shape.width, err)))
        st = write_rows(path, &p, err);
    free(h);
    ecg_rows_clear(&all);
    close_pair(&p);
    return st;
}

/* ---- tabular values ----------------------------------------------------------------------------------------------------- */

static json_t *mean_json(const ecg_probe_mean *m)
{
    return json_pack("{s:i, s:o, s:o}", "columns", m->columns, "r2_validation", ecg_json_number(m->r2_validation), "r2_test", ecg_json_number(m->r2_test));
}

static ecg_status probe_columns(json_t *out, const pair *p, const ecg_probe *x, const ecg_probe_task *t, ecg_err *err)
{
    const ecg_contract *k = &p->cohort.contract;
    ecg_probe_table table;
    if (!p->cohort.tabular) {
        json_object_set_new(out, "tabular", json_null());
        return ECG_OK;
    }
    const ecg_status st = ecg_probe_tabular(&table, x, t->exec, t->watch, err);
    if (st)
        return st;
    json_t *j = mean_json(&table.all), *list = json_array();
    for (int i = 0; i < table.all.columns; i++) {
        const ecg_probe_column *c = &table.column[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:f, s:o, s:o}", "column", k->column[c->column].name, "group", k->column[c->column].group,
                                              "training", (json_int_t)c->training, "penalty", c->penalty, "r2_validation", ecg_json_number(c->r2_validation),
                                              "r2_test", ecg_json_number(c->r2_test)));
    }
    json_object_set_new(j, "routine", mean_json(&table.routine));
    json_object_set_new(j, "lab", mean_json(&table.lab));
    json_object_set_new(j, "per_column", list);
    json_object_set_new(out, "tabular", j);
    ecg_probe_table_clear(&table);
    return ECG_OK;
}

/* ---- labels ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const pair *p;
    const ecg_probe *x;
    const ecg_probe_task *t;
    const ecg_label_table *table;
    int64_t n;      /* test rows */
    double *score;  /* (n, K) */
    int8_t *truth;  /* (n, K) */
    int64_t *unit;  /* (n) */
} label_probe;

typedef struct { ecg_interval macro; int defined; int64_t training; } probed;

static ecg_status probe_once(probed *out, const label_probe *l, int64_t patients, int draw, int resamples, ecg_err *err)
{
    const ecg_probe_task *t = l->t;
    ecg_boot b;
    const ecg_status st = ecg_probe_labels(l->score, &out->training, l->x, l->table->set, patients, t->seed, draw, t->exec, t->watch, err);
    if (st)
        return st;
    const ecg_boot_task task = {.score = l->score, .label = l->truth, .n = l->n, .K = l->table->n, .unit = l->unit, .resamples = resamples, .seed = t->seed};
    if (ecg_bootstrap(&b, &task, t->exec->pool))
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    out->macro = b.set[0].auroc.macro;
    out->defined = 0;
    for (int k = 0; k < l->table->n; k++)
        out->defined += isfinite(b.set[0].label_auroc[k].point);
    ecg_boot_clear(&b);
    return ECG_OK;
}

/* One number of patients: mean and standard deviation over the draws in which any label was defined. */
static ecg_status few_json(json_t **out, const label_probe *l, int64_t patients, ecg_err *err)
{
    double sum = 0, squares = 0, records = 0, defined = 0;
    int n = 0;
    for (int draw = 0; draw < l->t->draws; draw++) {
        probed r;
        const ecg_status st = probe_once(&r, l, patients, draw, 0, err);
        if (st)
            return st;
        records += (double)r.training / l->t->draws;
        defined += (double)r.defined / l->t->draws;
        if (!isfinite(r.macro.point))
            continue;
        sum += r.macro.point;
        squares += r.macro.point * r.macro.point;
        n++;
    }
    const double mean = n ? sum / n : NAN, variance = n > 1 ? (squares - n * mean * mean) / (n - 1) : NAN;
    *out = json_pack("{s:I, s:i, s:f, s:f, s:o, s:o}", "patients", (json_int_t)patients, "draws", l->t->draws, "records", records, "defined", defined, "auroc",
                     ecg_json_number(mean), "spread", ecg_json_number(variance > 0 ? sqrt(variance) : variance));
    return ECG_OK;
}

static ecg_status set_json(json_t **out, const label_probe *l, ecg_err *err)
{
    probed all;
    json_t *few = json_array(), *one;
    ecg_status st = probe_once(&all, l, 0, 0, l->t->resamples, err);
    for (int i = 0; i < l->t->fews && !st; i++)
        if (!(st = few_json(&one, l, l->t->few[i], err)))
            json_array_append_new(few, one);
    if (st) {
        json_decref(few);
        return st;
    }
    *out = json_pack("{s:s, s:i, s:i, s:I, s:o, s:o, s:o, s:o}", "set", l->table->set, "labels", l->table->n, "defined", all.defined, "training",
                     (json_int_t)all.training, "auroc", ecg_json_number(all.macro.point), "lo", ecg_json_number(all.macro.lo), "hi",
                     ecg_json_number(all.macro.hi), "few", few);
    return ECG_OK;
}

static ecg_status probe_set(json_t *list, const pair *p, const ecg_probe *x, const ecg_probe_task *t, const char *set, ecg_err *err)
{
    const ecg_rows *rows = &x->rows[ECG_PROBE_TEST];
    label_probe l = {.p = p, .x = x, .t = t, .n = rows->n};
    const int8_t *label = ecg_cohort_labels(&p->cohort, set, &l.table);
    json_t *one = NULL;
    if (!label)
        return ecg_fail_at(err, ECG_EARG, t->cohort, 0, 0, "no label set '%.31s'", set);
    if (l.table->n < 1)
        return ECG_OK;
    const size_t K = (size_t)l.table->n, cells = (size_t)rows->n * K;
    l.score = malloc((cells + 1) * sizeof *l.score);
    l.truth = malloc(cells + 1);
    l.unit = malloc(((size_t)rows->n + 1) * sizeof *l.unit);
    ecg_status st = l.score && l.truth && l.unit ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < rows->n && !st; i++) {
        memcpy(l.truth + (size_t)i * K, label + (size_t)rows->row[i] * K, K);
        l.unit[i] = ecg_rows_patient(&p->cohort, rows->row[i]);
    }
    if (!st && !(st = set_json(&one, &l, err)))
        json_array_append_new(list, one);
    free(l.score);
    free(l.truth);
    free(l.unit);
    return st;
}

/* ---- all ---------------------------------------------------------------------------------------------------------------- */

static ecg_status probe_all(json_t *out, const pair *p, const ecg_probe *x, const ecg_probe_task *t, ecg_err *err)
{
    const ecg_contract *k = &p->cohort.contract;
    json_t *sets = json_array();
    json_object_set_new(out, "sets", sets);
    if (x->rows[ECG_PROBE_TRAIN].n == 0 || x->rows[ECG_PROBE_TEST].n == 0)
        return ecg_fail_at(err, ECG_EDATA, t->cohort, 0, 0, "%" PRId64 " records are for training and %" PRId64 " for test; --roles divides them otherwise",
                           x->rows[ECG_PROBE_TRAIN].n, x->rows[ECG_PROBE_TEST].n);
    ecg_status st = probe_columns(out, p, x, t, err);
    if (t->set && !st)
        return probe_set(sets, p, x, t, t->set, err);
    for (int i = 0; i < k->sets && !st; i++)
        st = probe_set(sets, p, x, t, k->table[i].set, err);
    return st;
}

ecg_status ecg_probe_cohort(json_t **out, const ecg_probe_task *t, ecg_err *err)
{
    pair p;
    ecg_probe x;
    char roles[256];
    *out = NULL;
    ecg_status st = open_pair(&p, t, err);
    if (st)
        return st;
    if ((st = ecg_probe_open(&x, &p.model, &p.loader, t->most, t->seed, t->exec, t->watch, err))) {
        close_pair(&p);
        return st;
    }
    ecg_roles_text(roles, sizeof roles, &p.loader.roles);
    json_t *j = json_pack("{s:s, s:s, s:b, s:o, s:s, s:o, s:s, s:s, s:i, s:I}", "schema", "ecgraft.probe/1", "statement", ECG_STATEMENT, "synthetic",
                          p.cohort.synthetic || p.model.synthetic, "model", ecg_json_text(t->model), "model_hash", p.hash, "cohort", ecg_json_text(t->cohort),
                          "cohort_hash", p.cohort.hash, "roles", roles, "width", p.model.shape.width, "resamples", (json_int_t)t->resamples);
    json_object_set_new(j, "records", json_pack("{s:I, s:I, s:I}", "train", (json_int_t)x.rows[ECG_PROBE_TRAIN].n, "validation",
                                                (json_int_t)p.loader.role[ECG_VALIDATION].n, "test", (json_int_t)x.rows[ECG_PROBE_TEST].n));
    st = probe_all(j, &p, &x, t, err);
    ecg_probe_close(&x);
    close_pair(&p);
    if (st)
        json_decref(j);
    else
        *out = j;
    return st;
}
