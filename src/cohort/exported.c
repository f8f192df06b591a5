/* SPDX-License-Identifier: MIT
 * exported.c: a folder that `cohort export` wrote, or somebody in that form, back to a cohort (docs/own_data.md 6). contract.json says what the columns
 * and labels are; records.csv, tabular.csv and labels.SET.csv hold a row for each recording, in one order; signal.npy the prepared signals. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "base/scratch.h"
#include "cohort/attach.h"
#include "cohort/tables.h"

enum { SETS = 16, FOLDS = 32, QUALITY_MISSING = 2, QUALITY_LEADS = 6 };

typedef struct {
    const char *folder;
    ecg_contract contract;
    bool synthetic;
    ecg_roles roles;
    ecg_cohort_row *row; /* (n) */
    int64_t n, room;
    bool lengths;        /* records.csv has valid_samples */
    float *tabular;      /* (n, columns) */
    int8_t *label[SETS]; /* (n, labels of the set) */
    ecg_bytes file;      /* signal.npy */
    const float *signal; /* (n, samples, leads), NULL: none */
    ecg_text attrition, sources;
} work;

static void work_clear(work *w)
{
    ecg_contract_clear(&w->contract);
    free(w->row);
    ecg_scratch_free(w->tabular);
    for (int s = 0; s < SETS; s++)
        ecg_scratch_free(w->label[s]);
    ecg_bytes_free(&w->file);
    ecg_text_clear(&w->attrition);
    ecg_text_clear(&w->sources);
}

/* ---- contract.json --------------------------------------------------------------------------------------------------------------- */

static ecg_status read_contract(work *w, ecg_err *err)
{
    char path[512];
    ecg_bytes text = {0};
    ecg_status st = ecg_join(path, sizeof path, w->folder, "contract.json", err);
    if (!st)
        st = ecg_file_read(&text, path, err);
    if (st)
        return st;
    json_t *all = json_loadb((const char *)text.at, text.len, 0, NULL);
    const char *schema = json_string_value(json_object_get(all, "schema"));
    w->synthetic = json_is_true(json_object_get(all, "synthetic"));
    if (!schema || strcmp(schema, "ecgraft.contract/1"))
        st = ecg_fail(err, ECG_EDATA, "not the contract of an exported cohort: no \"schema\": \"ecgraft.contract/1\"");
    json_decref(all);
    if (!st)
        st = ecg_contract_from_json(&w->contract, (const char *)text.at, err);
    ecg_bytes_free(&text);
    if (!st && w->contract.sets > SETS)
        st = ecg_fail(err, ECG_EDATA, "%d label sets, at most %d are read", w->contract.sets, SETS);
    return st ? ecg_fail_in(err, st, path) : ECG_OK;
}

/* ---- tables ---------------------------------------------------------------------------------------------------------------------- */

/* STEM.csv or STEM.csv.gz of the folder, opened, and noted among the sources. */
static ecg_status open_table(ecg_csv **t, char path[512], work *w, const char *stem, ecg_err *err)
{
    char name[96];
    snprintf(name, sizeof name, "%s.csv", stem);
    ecg_status st = ecg_join(path, 512, w->folder, name, err);
    if (!st && !ecg_is_file(path)) {
        snprintf(name, sizeof name, "%s.csv.gz", stem);
        st = ecg_join(path, 512, w->folder, name, err);
    }
    if (!st && !(st = ecg_csv_open(t, path, err)))
        st = ecg_sources_add(&w->sources, path, name, err);
    return st;
}

static ecg_status wrong(const ecg_csv *t, const char *path, int column, const char *expected, ecg_err *err)
{
    return ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), column + 1, "%.60s: %s expected", ecg_csv_name(t, column), expected);
}

static ecg_status take_record(work *w, const ecg_csv *t, const char *path, const int *at, uint32_t roles[ECG_ROLES], ecg_err *err)
{
    static const char *const role_names[ECG_ROLES] = {"train", "validation", "test"};
    ecg_cohort_row *r = &w->row[w->n];
    int64_t fold, first;
    double valid = NAN;
    *r = (ecg_cohort_row){0};
    ecg_status st;
    if ((st = ecg_csv_i64(t, at[0], &r->study, err)) || (st = ecg_csv_i64(t, at[1], &r->patient, err)) || (st = ecg_csv_i64(t, at[2], &r->stay, err)) ||
        (st = ecg_csv_time(t, at[3], &r->ecg_time, err)) || (st = ecg_csv_i64(t, at[4], &fold, err)) || (st = ecg_csv_i64(t, at[6], &first, err)) ||
        (st = ecg_csv_double(t, at[7], &valid, err)))
        return st;
    if (fold < 0 || fold >= FOLDS)
        return wrong(t, path, at[4], "a number from 0 to 31 is", err);
    if (first < 0 || first > 1)
        return wrong(t, path, at[6], "0 or 1 is", err);
    if (!isnan(valid) && !(valid >= 0 && valid <= w->contract.samples))
        return wrong(t, path, at[7], "no more than a recording has is", err);
    const ecg_field role = ecg_csv_field(t, at[5]);
    for (int k = 0; k < ECG_ROLES; k++)
        if (role.len == strlen(role_names[k]) && !memcmp(role.at, role_names[k], role.len))
            roles[k] |= 1u << fold;
    if (r->ecg_time == INT64_MIN)
        r->ecg_time = -1;
    r->fold = (uint8_t)fold;
    r->first_in_stay = (uint8_t)first;
    w->lengths = w->lengths || !isnan(valid);
    r->quality[0] = isnan(valid) ? 0 : (float)valid;
    w->n++;
    return ECG_OK;
}

static ecg_status read_records(work *w, const char *asked, ecg_err *err)
{
    static const char *const need[] = {"study_id", "patient_id", "stay_id", "ecg_time", "fold", "role", "first_in_stay", "valid_samples"};
    char path[512];
    int at[8];
    bool more;
    ecg_csv *t = NULL;
    ecg_roles said = {{0}};
    ecg_status st = open_table(&t, path, w, "records", err);
    if (!st)
        st = ecg_csv_need(t, at, need, 8, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        if (w->n == w->room) {
            const int64_t room = w->room ? 2 * w->room : 1024;
            ecg_cohort_row *row = realloc(w->row, (size_t)room * sizeof *row);
            if (!row) {
                st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", room);
                break;
            }
            w->row = row;
            w->room = room;
        }
        st = take_record(w, t, path, at, said.folds, err);
    }
    ecg_csv_close(t);
    if (!st && !w->n)
        st = ecg_fail_at(err, ECG_EDATA, path, 0, 0, "not one recording");
    for (int a = 0; a < ECG_ROLES && !st && !asked; a++)
        for (int b = 0; b < a; b++)
            if (said.folds[a] & said.folds[b])
                st = ecg_fail_at(err, ECG_EDATA, path, 0, 0, "one fold has two roles");
    if (!st && !asked && !(said.folds[0] | said.folds[1] | said.folds[2]))
        st = ecg_fail_at(err, ECG_EDATA, path, 0, 0, "no row has a role: train, validation or test (or --roles)");
    w->roles = said;
    return st || !asked ? st : ecg_roles_parse(&w->roles, asked, err);
}

typedef ecg_status (*take_field)(work *w, int set, int64_t row, int k, const ecg_csv *t, const char *path, int column, ecg_err *err);

static ecg_status take_value(work *w, int set, int64_t row, int k, const ecg_csv *t, const char *path, int column, ecg_err *err)
{
    const ecg_column *c = &w->contract.column[k];
    double x;
    (void)set;
    ecg_status st = ecg_csv_double(t, column, &x, err);
    if (!st && !isnan(x) && !isfinite((float)x))
        st = wrong(t, path, column, "a number is", err);
    if (!st && c->categorical && !isnan(x) && !(x >= 0 && x < c->vocabulary && x == floor(x)))
        st = wrong(t, path, column, "the number of a category is", err);
    w->tabular[row * w->contract.columns + k] = (float)x;
    return st;
}

static ecg_status take_label(work *w, int set, int64_t row, int k, const ecg_csv *t, const char *path, int column, ecg_err *err)
{
    const ecg_field f = ecg_csv_field(t, column);
    if (f.len > 1 || (f.len && *f.at != '0' && *f.at != '1'))
        return wrong(t, path, column, "1, 0 or nothing is", err);
    w->label[set][row * w->contract.table[set].n + k] = f.len ? (int8_t)(*f.at - '0') : -1;
    return ECG_OK;
}

/* One table whose columns, found by name, are those of the contract, and whose rows are those of records.csv. */
static ecg_status read_values(work *w, const char *stem, int set, int columns, const char *const *name, take_field take, const ecg_watch *watch, ecg_err *err)
{
    char path[512];
    int64_t row = 0, study;
    bool more;
    ecg_csv *t = NULL;
    int *at = malloc(((size_t)columns + 1) * sizeof *at);
    ecg_status st = at ? open_table(&t, path, w, stem, err) : ecg_fail(err, ECG_ENOMEM, "no memory for %d columns", columns);
    if (!st)
        st = ecg_csv_need(t, at, name, columns + 1, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        if ((st = ecg_csv_i64(t, at[0], &study, err)))
            break;
        if (row == w->n || study != w->row[row].study)
            st = ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), at[0] + 1, "study_id: another recording than in this row of records.csv");
        for (int k = 0; k < columns && !st; k++)
            st = take(w, set, row, k, t, path, at[k + 1], err);
        if (++row % 1024 == 0 && ecg_stopped(watch) && !st)
            st = ecg_fail(err, ECG_EINTR, "interrupted");
    }
    ecg_csv_close(t);
    free(at);
    return st || row == w->n ? st : ecg_fail_at(err, ECG_EDATA, path, 0, 0, "%" PRId64 " rows, records.csv has %" PRId64, row, w->n);
}

static ecg_status read_tabular(work *w, const char *beside, const ecg_watch *watch, ecg_err *err)
{
    const int columns = w->contract.columns;
    if (!columns)
        return ECG_OK;
    const char **name = malloc(((size_t)columns + 1) * sizeof *name);
    w->tabular = ecg_scratch_take((size_t)w->n * (size_t)columns * sizeof *w->tabular, beside);
    if (!name || !w->tabular) {
        free(name);
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d values", w->n, columns);
    }
    name[0] = "study_id";
    for (int k = 0; k < columns; k++)
        name[k + 1] = w->contract.column[k].name;
    const ecg_status st = read_values(w, "tabular", 0, columns, name, take_value, watch, err);
    free(name);
    return st;
}

/* The set's name as the export spells it in a file name. */
static void file_of_set(char out[64], const char *set)
{
    snprintf(out, 64, "labels.%s", set);
    for (char *c = out + strlen("labels."); *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_'))
            *c = '_';
}

static ecg_status read_labels(work *w, int set, const char *beside, const ecg_watch *watch, ecg_err *err)
{
    ecg_label_table *table = &w->contract.table[set];
    char stem[64];
    const char **name = malloc(((size_t)table->n + 1) * sizeof *name);
    w->label[set] = ecg_scratch_take((size_t)w->n * (size_t)table->n, beside);
    if (!name || !w->label[set]) {
        free(name);
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d labels", w->n, table->n);
    }
    file_of_set(stem, table->set);
    name[0] = "study_id";
    for (int k = 0; k < table->n; k++)
        name[k + 1] = table->label[k].code;
    const ecg_status st = read_values(w, stem, set, table->n, name, take_label, watch, err);
    free(name);
    if (!st)
        ecg_labels_count(table, w->label[set], w->n);
    return st;
}

/* ---- signals --------------------------------------------------------------------------------------------------------------------- */

static ecg_status map_signal(work *w, bool wanted, const ecg_watch *watch, ecg_err *err)
{
    const int64_t want[3] = {w->n, w->contract.samples, w->contract.leads};
    char path[512];
    ecg_status st = ecg_join(path, sizeof path, w->folder, "signal.npy", err);
    if (st || !wanted)
        return st;
    if (!ecg_is_file(path)) {
        ecg_say(watch, "no signal.npy: a cohort of tables alone");
        return ECG_OK;
    }
    if (!w->lengths)
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "signals, but no valid_samples in records.csv");
    if (!(st = ecg_file_map(&w->file, path, err)) && !(st = ecg_npy_read(&w->signal, &w->file, 3, want, err)))
        st = ecg_sources_add(&w->sources, path, "signal.npy", err);
    return ecg_fail_in(err, st, path);
}

/* What can be seen of a prepared signal: the share that is missing and the leads that are there. */
static void judge(ecg_cohort_row *r, const float *x, int leads)
{
    const int64_t valid = (int64_t)r->quality[0];
    int64_t missing = 0;
    int found = 0;
    for (int l = 0; l < leads; l++) {
        int64_t here = 0;
        for (int64_t t = 0; t < valid; t++)
            here += isnan(x[t * leads + l]) != 0;
        missing += here;
        found += here < valid;
    }
    r->quality[QUALITY_MISSING] = valid ? (float)((double)missing / (double)(valid * leads)) : 0;
    r->quality[QUALITY_LEADS] = (float)found;
}

static ecg_status add_all(work *w, ecg_cohort_builder *b, const ecg_watch *watch, ecg_err *err)
{
    const int64_t record = (int64_t)w->contract.samples * w->contract.leads;
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < w->n && !st; i++) {
        ecg_cohort_row *r = &w->row[i];
        const float *x = w->signal ? w->signal + i * record : NULL;
        if (x && r->quality[0] < (float)w->contract.crop)
            return ecg_fail(err, ECG_EDATA, "study %" PRId64 " has %g valid samples, at least %d are needed", r->study, (double)r->quality[0], w->contract.crop);
        if (x)
            judge(r, x, w->contract.leads);
        st = ecg_cohort_add(b, x, r, err);
        if (!st && i % 1024 == 0 && ecg_stopped(watch))
            st = ecg_fail(err, ECG_EINTR, "interrupted");
    }
    return st;
}

/* ---- all together ---------------------------------------------------------------------------------------------------------------- */

static ecg_status count_patients(int64_t *patients, const work *w, ecg_err *err)
{
    ecg_ids seen = {0};
    ecg_status st = ECG_OK;
    int64_t nobody = 0;
    for (int64_t i = 0; i < w->n && !st; i++)
        if (w->row[i].patient < 0)
            nobody++;
        else
            st = ecg_ids_put(&seen, w->row[i].patient, 0, err);
    *patients = seen.n + nobody;
    ecg_ids_clear(&seen);
    return st;
}

static ecg_status build(work *w, ecg_build_result *out, const ecg_build_options *o, const ecg_watch *watch, ecg_err *err)
{
    ecg_cohort_builder *b;
    ecg_status st = read_contract(w, err);
    out->synthetic = w->synthetic;
    if (!st && !(st = read_records(w, o->roles, err)) && !(st = read_tabular(w, o->output, watch, err)))
        st = count_patients(&out->patients, w, err);
    for (int s = 0; s < w->contract.sets && !st; s++)
        st = read_labels(w, s, o->output, watch, err);
    if (!st)
        st = map_signal(w, !o->no_waveforms, watch, err);
    if (st)
        return st;
    ecg_say(watch, "an exported cohort: %" PRId64 " recordings, %d columns, %d label sets", w->n, w->contract.columns, w->contract.sets);
    ecg_attrition_add(&w->attrition, "rows of records.csv", w->n, 0);
    const char *attrition = ecg_attrition_end(&w->attrition), *sources = ecg_sources_end(&w->sources);
    if (!attrition || !sources)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the attrition table");
    if ((st = ecg_cohort_create(&b, o->output, &w->contract, w->signal != NULL, err)))
        return st;
    out->records = w->n;
    if ((st = add_all(w, b, watch, err))) {
        ecg_cohort_abort(b);
        return st;
    }
    return ecg_cohort_commit(b, &w->contract, w->tabular, (const int8_t *const *)w->label, &w->roles, w->synthetic, attrition, sources, o->command, err);
}

ecg_status ecg_cohort_build_exported(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    (void)pool;
    *out = (ecg_build_result){0};
    if (o->masks || o->min_count || o->table.columns || o->table.tabular || o->table.labels)
        return ecg_fail(err, ECG_EARG, "an exported cohort is taken as it is: no --masks, --min-count, --columns, --tabular, --label-columns");
    work w = {.folder = o->from.folder};
    const ecg_status st = build(&w, out, o, watch, err);
    work_clear(&w);
    return st;
}

bool ecg_is_exported(const char *folder)
{
    char path[512];
    return !ecg_join(path, sizeof path, folder, "contract.json", NULL) && ecg_is_file(path);
}
