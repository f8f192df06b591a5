/* SPDX-License-Identifier: MIT
 * mimic.c: a MIMIC-like hospital to a cohort, in order: its tables (modules.c), visits and codes (visits.c), recordings (attach.c), folds (split.c or the
 * published ones), diagnosis labels, columns (features.c, labs.c), laboratory and deterioration labels, the file (store.c). Recordings come before
 * anything that counts, so that one that cannot be read is nowhere counted. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scratch.h"
#include "cohort/attach.h"
#include "cohort/deterioration.h"
#include "cohort/diagnoses.h"
#include "cohort/features.h"
#include "cohort/lab_sets.h"
#include "cohort/labs.h"
#include "cohort/record_list.h"
#include "cohort/split.h"

enum { FOLDS = 20, MIN_COUNT = 40, MOST_SETS = 2 + ECG_LAB_FAMILIES };

static const char *const roles_published = "train:0-17,validation:18,test:19", *const roles_synthetic = "train:0-13,validation:14-15,test:16-19";

/* truth/manifest.json of the generator: {"synthetic": true, ...} */
static bool is_generated(const char *folder)
{
    char path[600];
    snprintf(path, sizeof path, "%.511s/truth/manifest.json", folder);
    if (!ecg_is_file(path))
        return false;
    json_t *manifest = json_load_file(path, 0, NULL);
    const bool synthetic = json_is_true(json_object_get(manifest, "synthetic"));
    json_decref(manifest);
    return synthetic;
}

/* One table out of a generated hospital is enough, whatever folder was named: its own folder and those above it are looked at. */
static bool is_synthetic(const ecg_mimic_tables *tables)
{
    enum { LEVELS = 4 };
    for (int t = 0; t < ECG_TABLES; t++) {
        char folder[512];
        memcpy(folder, tables->path[t], sizeof folder);
        for (int level = 0; level < LEVELS; level++) {
            char *slash = strrchr(folder, '/');
            if (!slash)
                break;
            *slash = 0;
            if (is_generated(folder))
                return true;
        }
        if (tables->path[t][0] && tables->path[t][0] != '/' && is_generated("."))
            return true;
    }
    return false;
}

/* ---- folds and stays ------------------------------------------------------------------------------------------------------------------ */

static ecg_status generate_folds(ecg_cohort_row *row, const ecg_visits *v, uint32_t seed, ecg_err *err)
{
    ecg_split_row *split = malloc((size_t)v->n * sizeof *split);
    uint8_t *fold = malloc((size_t)v->n);
    ecg_status st = split && fold ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory to split %" PRId64 " recordings", v->n);
    if (!st) {
        for (int64_t i = 0; i < v->n; i++)
            split[i] = (ecg_split_row){v->at[i].subject, v->at[i].age, v->at[i].gender, v->at[i].code, v->at[i].codes};
        st = ecg_split_rows(fold, split, v->n, (const char *const *)v->label.at, v->label.n, ecg_split_min_count(v->n), FOLDS, seed, err);
    }
    for (int64_t i = 0; i < v->n && !st; i++)
        row[i].fold = fold[i];
    free(split);
    free(fold);
    return st;
}

static ecg_status assign_folds(ecg_cohort_row *row, const ecg_visits *v, uint32_t seed, const ecg_watch *watch, ecg_err *err)
{
    if (!v->has_folds) {
        ecg_say(watch, "folds: iterative stratification over patients, seed %" PRIu32, seed);
        return generate_folds(row, v, seed, err);
    }
    ecg_say(watch, "folds: strat_fold of records_w_diag_icd10.csv");
    for (int64_t i = 0; i < v->n; i++)
        row[i].fold = (uint8_t)v->at[i].fold;
    return ECG_OK;
}

/* Recordings are in order of time: the first of a stay is the first that is met. */
static ecg_status mark_first(ecg_cohort_row *row, const ecg_visits *v, ecg_err *err)
{
    ecg_ids seen = {0};
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < v->n && !st; i++) {
        row[i].first_in_stay = ecg_ids_get(&seen, v->at[i].own_stay) < 0;
        st = ecg_ids_put(&seen, v->at[i].own_stay, 0, err);
    }
    ecg_ids_clear(&seen);
    return st;
}

/* ---- label sets ------------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    ecg_mimic_tables tables;
    ecg_visits visits;
    ecg_contract contract;
    ecg_roles roles;
    ecg_cohort_builder *builder;
    float *tabular;         /* (n, contract.columns) */
    int8_t *label[MOST_SETS];
    ecg_text attrition, sources;
} work;

/* The set that is being made; it counts once it has labels. */
static ecg_label_table *new_set(work *w, const char *name)
{
    ecg_label_table *table = &w->contract.table[w->contract.sets];
    snprintf(table->set, sizeof table->set, "%s", name);
    return table;
}

static void keep_set(work *w, ecg_label_table *table, const ecg_watch *watch)
{
    if (!table->n) {
        ecg_say(watch, "%s: no label is kept, the set is left out", table->set);
        free(table->label);
        ecg_scratch_free(w->label[w->contract.sets]);
        w->label[w->contract.sets] = NULL;
        *table = (ecg_label_table){0};
        return;
    }
    ecg_labels_count(table, w->label[w->contract.sets], w->visits.n);
    ecg_say(watch, "%s: %d labels", table->set, table->n);
    w->contract.sets++;
}

static ecg_status label_diagnoses(work *w, const ecg_build_options *o, const ecg_watch *watch, ecg_err *err)
{
    const ecg_diagnosis_choice how = {o->mdsed_labels, o->min_count ? o->min_count : MIN_COUNT};
    if (!w->visits.has_codes)
        return ECG_OK;
    ecg_label_table *table = new_set(w, "diagnoses");
    ecg_status st = ecg_diagnoses_label(table, &w->label[w->contract.sets], &w->visits, &how, w->tables.path[ECG_T_ICD_TITLES], watch, err);
    if (!st)
        keep_set(w, table, watch);
    return st;
}

static ecg_status label_deterioration(work *w, const ecg_watch *watch, ecg_err *err)
{
    ecg_label_table *table = new_set(w, "deterioration");
    ecg_status st = ecg_deterioration_labels(table, &w->label[w->contract.sets], &w->visits, &w->tables, watch, err);
    if (!st)
        keep_set(w, table, watch);
    return st;
}

/* ---- laboratory ------------------------------------------------------------------------------------------------------------------------ */

/* Where rows are ED stays, the class of a laboratory row is asked of every patient, with or without such a stay. */
static ecg_status write_everybody(const work *w, const char *path, const uint8_t *training, const ecg_lab_choice *how, ecg_pool *pool,
                                  const ecg_watch *watch, ecg_err *err)
{
    const char *const items = w->tables.path[ECG_T_LABITEMS], *const events = w->tables.path[ECG_T_LABEVENTS];
    ecg_visits all = {.beside = w->visits.beside};
    ecg_ids trained = {0};
    ecg_lab_rows rows = {0};
    ecg_status st = ecg_visits_everybody(&all, w->tables.path[ECG_T_PATIENTS], err);
    uint8_t *flag = calloc((size_t)all.patients + 1, 1);
    if (!st && !flag)
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " patients", all.patients);
    for (int64_t i = 0; i < w->visits.n && !st; i++)
        if (training[w->visits.at[i].patient])
            st = ecg_ids_put(&trained, w->visits.at[i].subject, 1, err);
    for (int64_t i = 0; i < all.n && !st; i++)
        flag[all.at[i].patient] = ecg_ids_get(&trained, all.at[i].subject) > 0;
    if (!st && !(st = ecg_lab_rows_read(&rows, &all, flag, items, events, 0, 0, pool, watch, err)))
        st = ecg_lab_sets_list(path, &all, &rows, how, events, watch, err);
    ecg_lab_rows_clear(&rows);
    ecg_ids_clear(&trained);
    ecg_visits_clear(&all);
    free(flag);
    return st;
}

static ecg_status list_lab_rows(const work *w, const ecg_lab_rows *rows, const uint8_t *training, const ecg_lab_choice *how, const ecg_build_options *o,
                                ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    char path[544];
    if (w->visits.recordings && !o->lab_rows)
        return ECG_OK;
    snprintf(path, sizeof path, "%.511s%s", o->lab_rows ? o->lab_rows : o->output, o->lab_rows ? "" : ".lab_rows.csv");
    if (!w->visits.recordings && w->tables.path[ECG_T_PATIENTS][0])
        return write_everybody(w, path, training, how, pool, watch, err);
    return ecg_lab_sets_list(path, &w->visits, rows, how, w->tables.path[ECG_T_LABEVENTS], watch, err);
}

static ecg_status label_labs(work *w, const ecg_lab_rows *rows, const int8_t *role, unsigned wanted, const ecg_lab_choice *how, const ecg_watch *watch,
                             ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int f = 0; f < ECG_LAB_FAMILIES && !st; f++)
        if (wanted & ecg_lab_families[f].family) {
            ecg_label_table *table = new_set(w, ecg_lab_families[f].set);
            st = ecg_lab_labels(table, &w->label[w->contract.sets], rows, &w->visits, role, ecg_lab_families[f].family, how, err);
            if (!st)
                keep_set(w, table, watch);
        }
    return st;
}

/* Columns and labels of the laboratory; both stay missing where there is no such table. */
static ecg_status read_labs(work *w, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    const ecg_visits *v = &w->visits;
    const ecg_lab_choice how = ecg_lab_choose(o);
    const unsigned wanted = ecg_lab_wanted(o);
    ecg_lab_rows rows = {0};
    int8_t *role = malloc((size_t)v->n);
    uint8_t *training = calloc((size_t)v->patients + 1, 1);
    ecg_status st = role && training ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", v->n);
    if (!st) {
        ecg_lab_roles(role, training, v, ecg_cohort_rows(w->builder), &w->roles);
        st = ecg_lab_sets_read(&rows, v, training, wanted, w->tables.path[ECG_T_LABITEMS], w->tables.path[ECG_T_LABEVENTS], pool, watch, err);
    }
    if (!st)
        st = ecg_labs_features(w->tabular, &rows, v, err);
    if (!st)
        st = label_labs(w, &rows, role, wanted, &how, watch, err);
    if (!st)
        st = list_lab_rows(w, &rows, training, &how, o, pool, watch, err);
    ecg_lab_rows_clear(&rows);
    free(role);
    free(training);
    return st;
}

static void no_labs(float *table, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int c = ECG_COL_LABS; c < ECG_COL_LABS + ECG_TESTS * ECG_STATISTICS; c++)
            table[i * ECG_COLUMNS + c] = NAN;
}

/* ---- the file --------------------------------------------------------------------------------------------------------------------------- */

static ecg_status describe_contract(ecg_contract *c, bool masks, ecg_err *err)
{
    ecg_contract_default(c);
    c->columns = ECG_COLUMNS + (masks ? ECG_MASKS : 0);
    c->column = malloc((size_t)c->columns * sizeof *c->column);
    c->table = calloc(MOST_SETS, sizeof *c->table);
    if (!c->column || !c->table)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a contract");
    ecg_mimic_columns(c->column);
    if (masks)
        ecg_mimic_mask_columns(c->column + ECG_COLUMNS);
    return ECG_OK;
}

/* record_list.csv inside an archive: the archive as a whole would take minutes, and says no more about the cohort. */
static ecg_status add_zipped(ecg_text *out, const char *archive, ecg_err *err)
{
    ecg_bytes bytes = {0};
    ecg_sha256 sum;
    char hex[65];
    ecg_status st = ecg_record_list_unzip(&bytes, archive, err);
    if (st)
        return st;
    ecg_sha256_begin(&sum);
    ecg_sha256_add(&sum, bytes.at, bytes.len);
    ecg_sha256_end(&sum, hex);
    ecg_text_printf(out, "%s{\"name\":\"record_list.csv\",\"bytes\":%zu,\"sha256\":\"%s\"}", out->len ? "," : "[", bytes.len, hex);
    ecg_bytes_free(&bytes);
    return ECG_OK;
}

static ecg_status list_sources(ecg_text *out, const ecg_mimic_tables *tables, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int t = 0; t < ECG_TABLES && !st; t++)
        if (tables->path[t][0] && t != ECG_T_MACHINE) /* nothing is taken from that */
            st = t == ECG_T_RECORDS && tables->zipped ? add_zipped(out, tables->path[t], err)
                                                      : ecg_sources_add(out, tables->path[t], strrchr(tables->path[t], '/') ? strrchr(tables->path[t], '/') + 1 : tables->path[t], err);
    return st;
}

/* Recordings into the builder; those that could not be had leave the visits. */
static ecg_status attach_recordings(work *w, ecg_build_result *result, const ecg_build_options *options, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_visits *v = &w->visits;
    ecg_build_options o = *options;
    o.no_waveforms = options->no_waveforms || !v->recordings || !w->tables.ecg[0];
    ecg_recording *rec = calloc((size_t)v->n, sizeof *rec);
    uint8_t *fate = calloc((size_t)v->n, 1);
    ecg_status st = rec && fate ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", v->n);
    if (!st)
        st = ecg_cohort_create(&w->builder, o.output, &w->contract, !o.no_waveforms, err);
    for (int64_t i = 0; i < v->n && !st; i++) {
        const ecg_visit *x = &v->at[i];
        rec[i].path = x->path ? x->path : "";
        rec[i].row = (ecg_cohort_row){.patient = x->subject, .study = x->study, .stay = x->own_stay, .ecg_time = x->recorded};
    }
    if (!st)
        st = ecg_attach(w->builder, fate, result, &w->contract, w->tables.ecg, rec, v->n, &o, pool, watch, err);
    if (!st) {
        for (int64_t i = 0; i < v->n; i++)
            fate[i] = fate[i] == ECG_KEPT;
        ecg_visits_filter(v, fate);
    }
    if (!st && !o.no_waveforms) {
        ecg_attrition_add(&w->attrition, "recording is in the folder", v->n + result->broken, result->absent);
        ecg_attrition_add(&w->attrition, "recording is readable and long enough", v->n, result->broken);
    }
    free(rec);
    free(fate);
    return st;
}

static void work_clear(work *w)
{
    ecg_visits_clear(&w->visits);
    if (w->contract.table && w->contract.sets < MOST_SETS) /* one that was being made */
        free(w->contract.table[w->contract.sets].label);
    ecg_contract_clear(&w->contract);
    ecg_cohort_abort(w->builder);
    ecg_scratch_free(w->tabular);
    for (int s = 0; s < MOST_SETS; s++)
        ecg_scratch_free(w->label[s]);
    ecg_text_clear(&w->attrition);
    ecg_text_clear(&w->sources);
}

static ecg_status fill(work *w, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    const ecg_visits *v = &w->visits;
    ecg_cohort_row *row = ecg_cohort_rows(w->builder);
    const bool labs = w->tables.path[ECG_T_LABEVENTS][0] && w->tables.path[ECG_T_LABITEMS][0];
    w->tabular = ecg_scratch_take((size_t)v->n * (size_t)w->contract.columns * sizeof *w->tabular, v->beside);
    ecg_status st = w->tabular ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d values", v->n, w->contract.columns);
    if (!st)
        st = assign_folds(row, v, o->seed, watch, err);
    if (!st)
        st = mark_first(row, v, err);
    if (!st)
        st = label_diagnoses(w, o, watch, err);
    if (!st)
        st = ecg_features_read(w->tabular, v, &w->tables, err);
    if (!st && labs)
        st = read_labs(w, o, pool, watch, err);
    else if (!st)
        no_labs(w->tabular, v->n);
    if (!st)
        st = label_deterioration(w, watch, err);
    if (!st && o->masks)
        ecg_mimic_masks(w->tabular, v->n);
    return st;
}

static ecg_status build(work *w, ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_status st = ecg_modules_find(&w->tables, &o->from, err);
    out->synthetic = !st && is_synthetic(&w->tables);
    if (!st)
        st = ecg_roles_parse(&w->roles, o->roles ? o->roles : out->synthetic ? roles_synthetic : roles_published, err);
    if (!st)
        st = ecg_modules_say(&w->tables, o, watch, err);
    w->visits.beside = o->output;
    if (!st)
        st = ecg_visits_read(&w->visits, &w->attrition, &w->tables, o, watch, err);
    if (!st)
        st = describe_contract(&w->contract, o->masks, err);
    if (st)
        return st;
    ecg_say(watch, "%" PRId64 " %s of %" PRId64 " patients%s", w->visits.n, w->visits.recordings ? "recordings" : "ED stays", w->visits.patients,
            w->visits.recordings ? " in the first 90 minutes" : "");
    if ((st = attach_recordings(w, out, o, pool, watch, err)))
        return st;
    out->patients = w->visits.patients;
    if ((st = fill(w, o, pool, watch, err)) || (st = list_sources(&w->sources, &w->tables, err)))
        return st;
    const char *attrition = ecg_attrition_end(&w->attrition), *sources = ecg_sources_end(&w->sources);
    if (!attrition || !sources)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the attrition table");
    ecg_cohort_builder *b = w->builder;
    w->builder = NULL; /* commit takes it */
    return ecg_cohort_commit(b, &w->contract, w->tabular, (const int8_t *const *)w->label, &w->roles, out->synthetic, attrition, sources, o->command, err);
}

ecg_status ecg_cohort_build_mimic(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    *out = (ecg_build_result){0};
    work *w = calloc(1, sizeof *w);
    if (!w)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a cohort");
    const ecg_status st = build(w, out, o, pool, watch, err);
    work_clear(w);
    free(w);
    return st;
}
