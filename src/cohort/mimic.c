/* SPDX-License-Identifier: MIT
 * mimic.c: a MIMIC-like hospital to a cohort, in order: visits and codes (visits.c), recordings (attach.c), folds (split.c), diagnosis labels,
 * columns (features.c, labs.c), laboratory labels (labs.c), the file (store.c). Recordings come before anything that counts, so that one
 * that cannot be read is nowhere counted. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/attach.h"
#include "cohort/features.h"
#include "cohort/labs.h"
#include "cohort/split.h"

enum { FOLDS = 20, MIN_COUNT = 40, MIN_LABS = 40, SETS = 2 };

static const char *const roles_published = "train:0-17,validation:18,test:19", *const roles_synthetic = "train:0-13,validation:14-15,test:16-19";

/* truth/manifest.json of the generator: {"synthetic": true, ...} */
static bool is_synthetic(const char *folder)
{
    char path[600];
    snprintf(path, sizeof path, "%.511s/truth/manifest.json", folder);
    json_t *manifest = json_load_file(path, 0, NULL);
    const bool synthetic = json_is_true(json_object_get(manifest, "synthetic"));
    json_decref(manifest);
    return synthetic;
}

/* ---- folds and stays ------------------------------------------------------------------------------------------------------------------ */

static ecg_status assign_folds(ecg_cohort_row *row, const ecg_visits *v, uint32_t seed, ecg_err *err)
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

/* ---- diagnoses ------------------------------------------------------------------------------------------------------------------------ */

/* Titles of the kept codes, of version 10; the table's spelling may carry trailing X or more than five characters: only exact codes count. */
static ecg_status read_titles(ecg_label_table *table, const char *path, ecg_err *err)
{
    static const char *const need[] = {"icd_code", "icd_version", "long_title"};
    int at[3];
    bool more;
    ecg_csv *t;
    ecg_words codes = {0};
    ecg_status st = ECG_OK;
    for (int k = 0; k < table->n; k++) /* word k is label k: codes differ */
        if (ecg_words_put(&codes, table->label[k].code, strlen(table->label[k].code)) < 0)
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the titles");
    if (!st)
        st = ecg_table_open(&t, at, path, need, 3, err);
    if (st) {
        ecg_words_clear(&codes);
        return st;
    }
    while (!(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t version;
        if ((st = ecg_csv_i64(t, at[1], &version, err)))
            break;
        const ecg_field code = ecg_csv_field(t, at[0]);
        size_t len = code.len;
        while (len && code.at[len - 1] == ' ')
            len--;
        const int k = version == 10 && len ? ecg_words_get(&codes, code.at, len) : -1;
        if (k >= 0 && !table->label[k].title[0])
            ecg_field_copy(table->label[k].title, sizeof table->label[k].title, ecg_csv_field(t, at[2]));
    }
    ecg_csv_close(t);
    ecg_words_clear(&codes);
    return st;
}

/* The set `diagnoses`: codes with at least min_count recordings; a recording without any code is unknown. */
static ecg_status label_diagnoses(ecg_label_table *table, int8_t **label, const ecg_visits *v, int64_t min_count, const char *titles, ecg_err *err)
{
    const int words = v->label.n;
    int64_t *count = calloc((size_t)words + 1, sizeof *count);
    int *of_word = malloc(((size_t)words + 1) * sizeof *of_word);
    table->label = calloc((size_t)words + 1, sizeof *table->label);
    ecg_status st = count && of_word && table->label ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %d codes", words);
    if (st)
        goto done;
    for (int64_t i = 0; i < v->n; i++)
        for (int c = 0; c < v->at[i].codes; c++)
            count[v->at[i].code[c]]++;
    for (int w = 0; w < words; w++)
        if (count[w] >= min_count)
            snprintf(table->label[table->n++].code, sizeof table->label->code, "%s", v->label.at[w]);
    if (!table->n) {
        st = ecg_fail(err, ECG_EDATA, "no diagnosis has %" PRId64 " positives among %" PRId64 " recordings (--min-count)", min_count, v->n);
        goto done;
    }
    ecg_label_table_hash(table); /* sorts */
    for (int w = 0; w < words; w++)
        of_word[w] = -1;
    for (int k = 0; k < table->n; k++)
        of_word[ecg_words_get(&v->label, table->label[k].code, strlen(table->label[k].code))] = k;
    *label = calloc((size_t)v->n, (size_t)table->n);
    if (!*label) {
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d labels", v->n, table->n);
        goto done;
    }
    for (int64_t i = 0; i < v->n; i++) {
        int8_t *y = *label + i * table->n;
        if (!v->at[i].coded)
            memset(y, -1, (size_t)table->n);
        for (int c = 0; c < v->at[i].codes; c++)
            if (of_word[v->at[i].code[c]] >= 0)
                y[of_word[v->at[i].code[c]]] = 1;
    }
    if (!(st = read_titles(table, titles, err)))
        ecg_labels_count(table, *label, v->n);
done:
    free(count);
    free(of_word);
    return st;
}

/* ---- laboratory ------------------------------------------------------------------------------------------------------------------------ */

static ecg_status read_labs(float *tabular, ecg_label_table *table, int8_t **label, const ecg_visits *v, const ecg_cohort_row *row, const ecg_roles *roles,
                            int64_t min_labs, const ecg_mimic_tables *tables, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_lab_rows labs = {0};
    int8_t *role = malloc((size_t)v->n);
    uint8_t *training = calloc((size_t)v->patients + 1, 1);
    ecg_status st = role && training ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", v->n);
    for (int64_t i = 0; i < v->n && !st; i++) {
        role[i] = -1;
        for (int r = 0; r < ECG_ROLES; r++)
            if (roles->folds[r] >> row[i].fold & 1u)
                role[i] = (int8_t)r;
        if (role[i] == ECG_TRAIN)
            training[v->at[i].patient] = 1;
    }
    if (!st)
        st = ecg_lab_rows_read(&labs, v, training, tables->path[ECG_T_LABITEMS], tables->path[ECG_T_LABEVENTS], 3600, 3600, pool, watch, err);
    if (!st) {
        ecg_say(watch, "laboratory: %" PRId64 " rows read, %" PRId64 " near a recording", labs.read, labs.n);
        st = ecg_labs_features(tabular, &labs, v, err);
    }
    if (!st)
        st = ecg_labs_labels(table, label, &labs, v, role, min_labs, err);
    if (!st && table->n)
        ecg_labels_count(table, *label, v->n);
    ecg_lab_rows_clear(&labs);
    free(role);
    free(training);
    return st;
}

/* ---- the file --------------------------------------------------------------------------------------------------------------------------- */

static ecg_status describe_contract(ecg_contract *c, ecg_err *err)
{
    ecg_contract_default(c);
    c->column = malloc(ECG_COLUMNS * sizeof *c->column);
    c->table = calloc(SETS, sizeof *c->table);
    if (!c->column || !c->table)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a contract");
    ecg_mimic_columns(c->column);
    c->columns = ECG_COLUMNS;
    c->sets = SETS;
    snprintf(c->table[0].set, sizeof c->table[0].set, "diagnoses");
    snprintf(c->table[1].set, sizeof c->table[1].set, "labs");
    return ECG_OK;
}

static ecg_status list_sources(ecg_text *out, const ecg_mimic_tables *tables, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int t = 0; t < ECG_TABLES && !st; t++)
        if (tables->path[t][0])
            st = ecg_sources_add(out, tables->path[t], strrchr(tables->path[t], '/') + 1, err);
    return st;
}

/* Recordings into b; those that could not be had leave v. */
static ecg_status attach_recordings(ecg_cohort_builder *b, ecg_build_result *result, ecg_visits *v, const ecg_contract *c, const char *record_list,
                                    const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(record_list, '/') - record_list), record_list);
    ecg_recording *rec = calloc((size_t)v->n, sizeof *rec);
    uint8_t *fate = calloc((size_t)v->n, 1);
    ecg_status st = rec && fate ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", v->n);
    for (int64_t i = 0; i < v->n && !st; i++) {
        const ecg_visit *x = &v->at[i];
        rec[i].path = x->path;
        rec[i].row = (ecg_cohort_row){.patient = x->subject, .study = x->study, .stay = x->own_stay, .ecg_time = x->time};
    }
    if (!st)
        st = ecg_attach(b, fate, result, c, folder, rec, v->n, o, pool, watch, err);
    if (!st) {
        for (int64_t i = 0; i < v->n; i++)
            fate[i] = fate[i] == ECG_KEPT;
        ecg_visits_filter(v, fate);
    }
    free(rec);
    free(fate);
    return st;
}

typedef struct {
    ecg_mimic_tables tables;
    ecg_visits visits;
    ecg_contract contract;
    ecg_roles roles;
    ecg_cohort_builder *builder;
    float *tabular;         /* (n, ECG_COLUMNS) */
    int8_t *label[SETS];
    ecg_text attrition, sources;
} work;

static void work_clear(work *w)
{
    ecg_visits_clear(&w->visits);
    ecg_contract_clear(&w->contract);
    ecg_cohort_abort(w->builder);
    free(w->tabular);
    for (int s = 0; s < SETS; s++)
        free(w->label[s]);
    ecg_text_clear(&w->attrition);
    ecg_text_clear(&w->sources);
}

static ecg_status fill(work *w, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    const ecg_visits *v = &w->visits;
    ecg_cohort_row *row = ecg_cohort_rows(w->builder);
    w->tabular = malloc((size_t)v->n * ECG_COLUMNS * sizeof *w->tabular);
    ecg_status st = w->tabular ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d values", v->n, ECG_COLUMNS);
    if (!st)
        st = assign_folds(row, v, o->seed, err);
    if (!st)
        st = mark_first(row, v, err);
    if (!st)
        st = label_diagnoses(&w->contract.table[0], &w->label[0], v, o->min_count ? o->min_count : MIN_COUNT, w->tables.path[ECG_T_ICD_TITLES], err);
    if (!st)
        st = ecg_features_read(w->tabular, v, &w->tables, err);
    if (!st)
        st = read_labs(w->tabular, &w->contract.table[1], &w->label[1], v, row, &w->roles, o->min_labs ? o->min_labs : MIN_LABS, &w->tables, pool, watch, err);
    if (!st)
        ecg_say(watch, "%d diagnoses, %d lab abnormalities", w->contract.table[0].n, w->contract.table[1].n);
    if (!st && !w->contract.table[1].n) { /* a set without labels is none */
        free(w->contract.table[1].label);
        w->contract.table[1].label = NULL;
        w->contract.sets = 1;
    }
    return st;
}

static ecg_status build(work *w, ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_status st = ecg_roles_parse(&w->roles, o->roles ? o->roles : out->synthetic ? roles_synthetic : roles_published, err);
    if (!st)
        st = ecg_mimic_find(&w->tables, o->from.mimic, err);
    if (!st)
        st = ecg_visits_read(&w->visits, &w->attrition, &w->tables, o->keep_uncoded, err);
    if (!st)
        st = describe_contract(&w->contract, err);
    if (!st)
        st = ecg_cohort_create(&w->builder, o->output, &w->contract, !o->no_waveforms, err);
    if (st)
        return st;
    const int64_t n = w->visits.n;
    ecg_say(watch, "%" PRId64 " recordings of %" PRId64 " patients in the first 90 minutes", n, w->visits.patients);
    if ((st = attach_recordings(w->builder, out, &w->visits, &w->contract, w->tables.path[ECG_T_RECORDS], o, pool, watch, err)))
        return st;
    ecg_attrition_add(&w->attrition, "recording is in the folder", n - out->absent, out->absent);
    ecg_attrition_add(&w->attrition, "recording is readable and long enough", w->visits.n, out->broken);
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
    *out = (ecg_build_result){.synthetic = is_synthetic(o->from.mimic)};
    work *w = calloc(1, sizeof *w);
    if (!w)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a cohort");
    const ecg_status st = build(w, out, o, pool, watch, err);
    work_clear(w);
    free(w);
    return st;
}
