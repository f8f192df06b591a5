/* SPDX-License-Identifier: MIT
 * study_pair.c: two stages on the same test records and the same resamples, from the predictions they have written. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "stat/bootstrap.h"
#include "study/evaluate.h"
#include "study/study_parts.h"

/* Probabilities of a predictions file; rows and columns must be those of the cohort. */
static ecg_status read_predictions(double *prob, const study *s, int cohort, const ecg_label_table *table, const char *path, ecg_err *err)
{
    const ecg_rows *rows = &s->loader[cohort].role[ECG_TEST];
    const int lead = 3; /* study_id, patient, first_in_stay */
    ecg_csv *t;
    bool more = true;
    int64_t n = 0;
    ecg_status st = ecg_csv_open(&t, path, err);
    if (st)
        return st;
    bool fits = ecg_csv_columns(t) == lead + table->n;
    for (int k = 0; k < table->n && fits; k++)
        fits = strcmp(ecg_csv_name(t, lead + k), table->label[k].code) == 0;
    if (!fits)
        st = ecg_fail_at(err, ECG_EDATA, path, 1, 0, "its columns are not the labels of set '%s'", table->set);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t id;
        if ((st = ecg_csv_i64(t, 0, &id, err)))
            break;
        if (n >= rows->n || id != s->cohort[cohort].study[rows->row[n]]) {
            st = ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), 1, "not the next test record of the cohort");
            break;
        }
        for (int k = 0; k < table->n && !st; k++)
            st = ecg_csv_double(t, lead + k, &prob[n * table->n + k], err);
        n++;
    }
    ecg_csv_close(t);
    return st || n == rows->n ? st : ecg_fail_at(err, ECG_EDATA, path, 0, 0, "%" PRId64 " records, the test folds have %" PRId64, n, rows->n);
}

/* Rows of the test folds, all or the first of each stay alone. */
typedef struct {
    int64_t n;
    int K;
    double *prob[2];
    int8_t *truth;
    int64_t *unit;
} pair_rows;

static void clear(pair_rows *r)
{
    free(r->prob[0]);
    free(r->prob[1]);
    free(r->truth);
    free(r->unit);
}

static ecg_status load(pair_rows *r, const study *s, int unit, int task, const char *const id[2], ecg_err *err)
{
    const int c = s->unit[unit].cohort;
    const ecg_rows *rows = &s->loader[c].role[ECG_TEST];
    const ecg_plan *plan = &s->plan[c];
    const ecg_label_table *table;
    const int8_t *label = ecg_cohort_labels(&s->cohort[c], task == ECG_TASK_LABS ? plan->lab_set : plan->diagnosis_set, &table);
    const size_t cells = (size_t)rows->n * (size_t)table->n;
    *r = (pair_rows){.n = rows->n, .K = table->n, .truth = malloc(cells), .unit = malloc((size_t)rows->n * sizeof *r->unit)};
    r->prob[0] = malloc(cells * sizeof *r->prob[0]);
    r->prob[1] = malloc(cells * sizeof *r->prob[1]);
    if (!r->prob[0] || !r->prob[1] || !r->truth || !r->unit)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < rows->n; i++) {
        memcpy(r->truth + i * table->n, label + (size_t)rows->row[i] * (size_t)table->n, (size_t)table->n);
        r->unit[i] = ecg_rows_patient(&s->cohort[c], rows->row[i]);
    }
    for (int k = 0; k < 2; k++) {
        char name[160], path[512];
        snprintf(name, sizeof name, "%s/predictions.%s.%s.csv", id[k], table->set, ecg_role_name(ECG_TEST));
        ecg_status st = ecg_book_path(path, s, unit, name, err);
        if (st || (st = read_predictions(r->prob[k], s, c, table, path, err)))
            return st;
    }
    return ECG_OK;
}

/* Keeps the first ECGs of their stays. */
static void first_alone(pair_rows *r, const study *s, int cohort)
{
    const ecg_rows *rows = &s->loader[cohort].role[ECG_TEST];
    const size_t K = (size_t)r->K;
    int64_t n = 0;
    for (int64_t i = 0; i < rows->n; i++) {
        if (s->cohort[cohort].first_in_stay[rows->row[i]] != 1)
            continue;
        for (int k = 0; k < 2; k++)
            memmove(r->prob[k] + (size_t)n * K, r->prob[k] + (size_t)i * K, K * sizeof(double));
        memmove(r->truth + (size_t)n * K, r->truth + (size_t)i * K, K);
        r->unit[n++] = r->unit[i];
    }
    r->n = n;
}

static ecg_status resample(json_t *into, const study *s, const pair_rows *r, ecg_err *err)
{
    const ecg_config *c = s->task->config;
    const ecg_boot_task task = {.score = r->prob[0], .against = r->prob[1], .label = r->truth, .n = r->n, .K = r->K,
                                 .unit = c->evaluate.unit == 1 ? NULL : r->unit, .resamples = (int)c->evaluate.resamples,
                                 .seed = (uint64_t)c->train.split_seed};
    ecg_boot b;
    int labels = 0;
    if (r->n < 1 || ecg_bootstrap(&b, &task, s->task->exec->pool))
        return r->n < 1 ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int k = 0; k < r->K; k++)
        labels += isfinite(b.paired.label[k].point);
    const ecg_difference *d = &b.paired.macro;
    json_object_set_new(into, "difference", ecg_json_number(d->point));
    json_object_set_new(into, "lo", ecg_json_number(d->lo));
    json_object_set_new(into, "hi", ecg_json_number(d->hi));
    json_object_set_new(into, "above", ecg_json_number(d->above));
    json_object_set_new(into, "labels", json_integer(labels));
    ecg_boot_clear(&b);
    return ECG_OK;
}

/* What the figures of a pair stand on: when it changes they are made anew. */
static void basis_of(char out[320], const study *s, int unit, const char *const id[2])
{
    const char *part[4];
    for (int k = 0; k < 2; k++) {
        const json_t *e = ecg_book_stage_entry(s, unit, id[k]);
        part[2 * k] = json_string_value(json_object_get(e, "identity"));
        part[2 * k + 1] = json_string_value(json_object_get(e, "measured"));
    }
    snprintf(out, 320, "%.64s %.64s %.90s %.90s", part[0] ? part[0] : "", part[2] ? part[2] : "", part[1] ? part[1] : "", part[3] ? part[3] : "");
}

const json_t *ecg_book_pair(const study *s, int unit, const char *a, const char *b)
{
    const char *const id[2] = {a, b};
    char basis[320], key[160];
    const json_t *u = json_object_get(json_object_get(s->book, "units"), s->unit[unit].name);
    snprintf(key, sizeof key, "%s minus %s", a, b);
    basis_of(basis, s, unit, id);
    const json_t *entry = json_object_get(json_object_get(u, "differences"), key);
    const char *was = json_string_value(json_object_get(entry, "basis"));
    return was && strcmp(was, basis) == 0 ? entry : NULL;
}

static void keep(study *s, int unit, const char *a, const char *b, json_t *entry)
{
    char key[160];
    json_t *u = json_object_get(json_object_get(s->book, "units"), s->unit[unit].name), *all = json_object_get(u, "differences");
    snprintf(key, sizeof key, "%s minus %s", a, b);
    if (!all) {
        all = json_object();
        json_object_set_new(u, "differences", all);
    }
    json_object_set(all, key, entry);
}

static ecg_status compare(study *s, int unit, int task, const char *a, const char *b, ecg_err *err)
{
    const char *const id[2] = {a, b};
    char basis[320];
    pair_rows r = {0};
    if (ecg_book_state(s, unit, a) != ECG_STATE_DONE || ecg_book_state(s, unit, b) != ECG_STATE_DONE || ecg_book_pair(s, unit, a, b))
        return ECG_OK;
    json_t *entry = json_object(), *first = json_object();
    ecg_status st = load(&r, s, unit, task, id, err);
    if (!st && !(st = resample(entry, s, &r, err))) {
        first_alone(&r, s, s->unit[unit].cohort);
        st = resample(first, s, &r, err);
    }
    clear(&r);
    if (!st) {
        basis_of(basis, s, unit, id);
        json_object_set(entry, "first_in_stay", first);
        json_object_set_new(entry, "basis", json_string(basis));
        keep(s, unit, a, b, entry);
    }
    json_decref(first);
    json_decref(entry);
    return st;
}

ecg_status ecg_book_compare_all(study *s, int unit, ecg_err *err)
{
    const ecg_pair_info *pairs;
    const ecg_plan *plan = &s->plan[s->unit[unit].cohort];
    const int n = ecg_pairs_of_table(&pairs);
    ecg_status st = ECG_OK;
    for (int i = 0; i < n && !st; i++)
        st = compare(s, unit, pairs[i].task, ecg_row_find(pairs[i].a, pairs[i].task)->stage, ecg_row_find(pairs[i].b, pairs[i].task)->stage, err);
    for (int i = 0; i < plan->ablations && !st; i++)
        if (plan->ablation[i].stage >= 0)
            st = compare(s, unit, ECG_TASK_DIAGNOSES, plan->stage[plan->ablation[i].stage].id, "ours/diagnoses", err);
    return st;
}
