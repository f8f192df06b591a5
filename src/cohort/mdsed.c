/* SPDX-License-Identifier: MIT
 * mdsed.c: the published table mds_ed.csv and the recordings of MIMIC-IV-ECG to a cohort. The table (mdsed_table.c) brings columns, labels and folds;
 * what is done here is to find the recordings, leave out those that cannot be had, and count what is left. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/attach.h"
#include "cohort/mdsed_labs.h"
#include "cohort/record_list.h"
#include "cohort/schema.h"
#include "cohort/split.h"
#include "cohort/tables.h"

enum { FOLDS = 20 };

static const char list_name[] = "record_list.csv";

static const char *const roles_published = "train:0-17,validation:18,test:19", *const roles_synthetic = "train:0-13,validation:14-15,test:16-19";

typedef struct {
    char table[512];      /* mds_ed.csv */
    char list[512];       /* record_list.csv of a folder; "": none */
    char where[512];      /* the folder that the paths are below, or the archive; "": no recordings are wanted */
    char labevents[512], labitems[512]; /* labevents.csv and d_labitems.csv of --hosp; "": no labels of the laboratory */
    ecg_mdsed_table t;
    ecg_mdsed_labs labs;
    ecg_contract contract;
    ecg_roles roles;
    ecg_cohort_builder *builder;
    ecg_text attrition, sources;
} work;

static void work_clear(work *w)
{
    ecg_mdsed_table_clear(&w->t);
    ecg_mdsed_labs_clear(&w->labs);
    for (int s = 0; s < w->contract.sets; s++)
        w->contract.table[s].label = NULL; /* of the two above */
    ecg_contract_clear(&w->contract);
    ecg_cohort_abort(w->builder);
    ecg_text_clear(&w->attrition);
    ecg_text_clear(&w->sources);
}

/* ---- where things are ----------------------------------------------------------------------------------------------------------------- */

static void folder_of(char out[512], const char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    snprintf(out, 512, "%.*s", len ? (int)len : 1, len ? path : ".");
}

/* A manifest of the generator, {"synthetic": true}, beside the place or in the folder that holds it. */
static bool is_synthetic(const char *place)
{
    char folder[512], parent[512];
    folder_of(parent, place);
    snprintf(folder, sizeof folder, "%s", ecg_is_folder(place) ? place : parent);
    if (!ecg_is_folder(place))
        folder_of(parent, folder);
    const char *const near[] = {folder, parent};
    bool synthetic = false;
    for (int i = 0; i < 2 && !synthetic; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/truth/manifest.json", near[i]);
        json_t *manifest = json_load_file(path, 0, NULL);
        synthetic = json_is_true(json_object_get(manifest, "synthetic"));
        json_decref(manifest);
    }
    return synthetic;
}

static ecg_status find_sources(work *w, const ecg_build_options *o, ecg_err *err)
{
    const char *ecg = o->from.ecg;
    ecg_status st = ECG_OK;
    if (ecg_is_file(o->from.mdsed))
        snprintf(w->table, sizeof w->table, "%s", o->from.mdsed);
    else
        st = ecg_table_find(w->table, o->from.mdsed, NULL, "mds_ed.csv", err);
    if (!st && o->from.hosp)
        st = ecg_table_find(w->labevents, o->from.hosp, NULL, "labevents.csv", err);
    if (!st && o->from.hosp)
        st = ecg_table_find(w->labitems, o->from.hosp, NULL, "d_labitems.csv", err);
    if (st || o->no_waveforms)
        return st;
    if (!ecg)
        return ecg_fail(err, ECG_EARG, "mds_ed.csv has no recordings: --ecg names those of MIMIC-IV-ECG, --no-waveforms does without");
    if (strlen(ecg) >= sizeof w->where)
        return ecg_fail(err, ECG_EARG, "a path of %zu bytes", strlen(ecg));
    snprintf(w->where, sizeof w->where, "%s", ecg);
    if (ecg_is_file(ecg))
        return ECG_OK;
    st = ecg_table_find(w->list, ecg, NULL, list_name, err);
    if (!st)
        folder_of(w->where, w->list);
    else
        w->list[0] = 0;
    return st == ECG_EIO && ecg_is_folder(ecg) ? ECG_OK : st;
}

/* ---- recordings --------------------------------------------------------------------------------------------------------------------------- */

/* Paths of record_list.csv in place of those of the table, which a study keeps that is not listed. */
static ecg_status read_list(ecg_mdsed_table *t, ecg_csv *list, const char *name, const ecg_watch *watch, ecg_err *err)
{
    static const char *const need[] = {"study_id", "path"};
    int at[2];
    bool more;
    int64_t study, listed = 0;
    ecg_ids waiting = {0};
    uint8_t *met = calloc((size_t)t->n, 1);
    ecg_status st = met ? ecg_csv_need(list, at, need, 2, err) : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " paths", t->n);
    for (int64_t i = 0; i < t->n && !st; i++)
        st = ecg_ids_put(&waiting, t->row[i].study, (int32_t)i, err);
    while (!st && !(st = ecg_csv_next(list, &more, err)) && more) {
        if ((st = ecg_csv_i64(list, at[0], &study, err)))
            break;
        const int32_t i = study < 0 ? -1 : ecg_ids_get(&waiting, study);
        if (i < 0 || met[i])
            continue;
        const ecg_field path = ecg_csv_field(list, at[1]);
        if (!(t->row[i].path = ecg_arena_text(t->text[0], path.at, path.len)))
            st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " paths", t->n);
        met[i] = 1;
        listed++;
    }
    if (!st && listed < t->n)
        ecg_say(watch, "%" PRId64 " studies are not in record_list.csv: looked for where they are published", t->n - listed);
    ecg_ids_clear(&waiting);
    free(met);
    return st ? ecg_fail_in(err, st, name) : ECG_OK;
}

/* The list inside an archive, and its hash among the sources; NULL if the archive has none. */
static ecg_status open_zipped(ecg_csv **list, ecg_bytes *bytes, work *w, ecg_err *err)
{
    ecg_sha256 sum;
    char hex[65];
    ecg_status st = ecg_record_list_unzip(bytes, w->where, err);
    if (st == ECG_EIO && ecg_is_file(w->where))
        return ECG_OK;
    if (st || (st = ecg_csv_open_bytes(list, bytes->at, bytes->len, list_name, err)))
        return st;
    ecg_sha256_begin(&sum);
    ecg_sha256_add(&sum, bytes->at, bytes->len);
    ecg_sha256_end(&sum, hex);
    ecg_text_printf(&w->sources, ",{\"name\":\"%s\",\"bytes\":%zu,\"sha256\":\"%s\"}", list_name, bytes->len, hex);
    return ECG_OK;
}

/* record_list.csv of a folder or of an archive says where a recording is; without one the table and the published scheme do. */
static ecg_status read_paths(work *w, const ecg_watch *watch, ecg_err *err)
{
    ecg_bytes bytes = {0};
    ecg_csv *list = NULL;
    ecg_status st = ECG_OK;
    if (w->list[0]) {
        if (!(st = ecg_csv_open(&list, w->list, err)))
            st = ecg_sources_add(&w->sources, w->list, strrchr(w->list, '/') + 1, err);
    } else if (ecg_is_file(w->where)) {
        st = open_zipped(&list, &bytes, w, err);
    }
    if (!st && list)
        st = read_list(&w->t, list, w->list[0] ? w->list : w->where, watch, err);
    else if (!st)
        ecg_say(watch, "no %s with the recordings: files are looked for where they are published", list_name);
    ecg_csv_close(list);
    ecg_bytes_free(&bytes);
    return st;
}

/* Recordings into the builder; rows without one leave the table. */
static ecg_status attach_recordings(work *w, ecg_build_result *result, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_mdsed_table *t = &w->t;
    ecg_recording *rec = calloc((size_t)t->n, sizeof *rec);
    uint8_t *fate = calloc((size_t)t->n, 1);
    ecg_status st = rec && fate ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", t->n);
    for (int64_t i = 0; i < t->n && !st; i++) {
        const ecg_mdsed_row *r = &t->row[i];
        rec[i].path = r->path;
        rec[i].row = (ecg_cohort_row){.patient = r->patient, .study = r->study, .stay = r->stay, .ecg_time = r->ecg_time, .fold = (uint8_t)r->fold};
    }
    if (!st)
        st = ecg_attach(w->builder, fate, result, &w->contract, w->where, rec, t->n, o, pool, watch, err);
    if (!st) {
        for (int64_t i = 0; i < t->n; i++)
            fate[i] = fate[i] == ECG_KEPT;
        ecg_mdsed_table_filter(t, fate);
    }
    free(rec);
    free(fate);
    return st;
}

/* ---- rows --------------------------------------------------------------------------------------------------------------------------------- */

/* The earliest recording of each stay, of equal ones the first in the table; one without a stay stands for itself. */
static ecg_status mark_first(ecg_cohort_row *row, int64_t n, ecg_err *err)
{
    ecg_ids stay = {0};
    int64_t *first = malloc((size_t)n * sizeof *first); /* (stays) row */
    ecg_status st = first ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", n);
    for (int64_t i = 0; i < n && !st; i++) {
        row[i].first_in_stay = row[i].stay < 0;
        if (row[i].stay < 0)
            continue;
        const int32_t s = ecg_ids_get(&stay, row[i].stay);
        if (s < 0) {
            first[stay.n] = i;
            st = ecg_ids_put(&stay, row[i].stay, (int32_t)stay.n, err);
        } else if (row[i].ecg_time < row[first[s]].ecg_time) {
            first[s] = i;
        }
    }
    for (int64_t s = 0; s < stay.n && !st; s++)
        row[first[s]].first_in_stay = 1;
    ecg_ids_clear(&stay);
    free(first);
    return st;
}

static ecg_status count_patients(int64_t *patients, const ecg_cohort_row *row, int64_t n, ecg_err *err)
{
    ecg_ids seen = {0};
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < n && !st; i++)
        st = ecg_ids_put(&seen, row[i].patient, 0, err);
    *patients = seen.n;
    ecg_ids_clear(&seen);
    return st;
}

/* Folds for a table that has none, from its diagnoses, age and gender. */
static ecg_status make_folds(ecg_cohort_row *row, const ecg_mdsed_table *t, uint32_t seed, ecg_err *err)
{
    const ecg_label_table *codes = &t->table[ECG_MDSED_DIAGNOSES];
    const int8_t *y = t->label[ECG_MDSED_DIAGNOSES];
    int64_t positive = 0;
    for (int64_t i = 0; i < t->n * codes->n; i++)
        positive += y[i] == 1;
    ecg_split_row *split = malloc((size_t)t->n * sizeof *split);
    uint8_t *fold = malloc((size_t)t->n);
    int *code = malloc(((size_t)positive + 1) * sizeof *code), *next = code;
    const char **name = malloc(((size_t)codes->n + 1) * sizeof *name);
    ecg_status st = split && fold && code && name ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory to split %" PRId64 " recordings", t->n);
    for (int k = 0; k < codes->n && !st; k++)
        name[k] = codes->label[k].code;
    for (int64_t i = 0; i < t->n && !st; i++) {
        const float *x = t->tabular + i * ECG_COLUMNS;
        const float gender = x[ECG_COL_GENDER];
        split[i] = (ecg_split_row){.patient = row[i].patient, .age = x[ECG_COL_AGE], .gender = gender == 1 ? 'M' : gender == 0 ? 'F' : 0, .code = next};
        for (int k = 0; k < codes->n; k++)
            if (y[i * codes->n + k] == 1)
                *next++ = k;
        split[i].codes = (int)(next - split[i].code);
    }
    if (!st)
        st = ecg_split_rows(fold, split, t->n, name, codes->n, ecg_split_min_count(t->n), FOLDS, seed, err);
    for (int64_t i = 0; i < t->n && !st; i++)
        row[i].fold = fold[i];
    free(split);
    free(fold);
    free(code);
    free(name);
    return st;
}

/* ---- labels -------------------------------------------------------------------------------------------------------------------------------- */

/* Leaves out labels with fewer positives; counts are filled in. */
static void drop_rare(ecg_label_table *table, int8_t *label, int64_t n, int64_t min_count)
{
    const int before = table->n;
    int kept = 0;
    for (int k = 0; k < before; k++) {
        if (table->label[k].count < min_count)
            continue;
        table->label[kept] = table->label[k];
        for (int64_t i = 0; i < n; i++) /* kept <= k: what is overwritten was read */
            label[i * before + kept] = label[i * before + k];
        kept++;
    }
    for (int64_t i = 0; i < n; i++)
        memmove(label + i * kept, label + i * before, (size_t)kept);
    table->n = kept;
    ecg_label_table_hash(table);
}

/* Labels that nobody can learn from stay where the list is fixed; they are named. */
static void say_one_class(const ecg_label_table *table, const int8_t *label, int64_t n, const ecg_watch *watch)
{
    char names[200] = "";
    int lonely = 0;
    for (int k = 0; k < table->n; k++) {
        bool has[2] = {false, false};
        for (int64_t i = 0; i < n && !(has[0] && has[1]); i++)
            if (label[i * table->n + k] >= 0)
                has[label[i * table->n + k]] = true;
        if (has[0] && has[1])
            continue;
        const size_t len = strlen(names);
        if (++lonely <= 8)
            snprintf(names + len, sizeof names - len, "%s%.20s", len ? ", " : "", table->label[k].code);
    }
    if (lonely)
        ecg_say(watch, "%s: %d of %d labels have one class only: %s%s", table->set, lonely, table->n, names, lonely > 8 ? " ..." : "");
}

static ecg_status finish_labels(work *w, const ecg_build_options *o, const ecg_watch *watch, ecg_err *err)
{
    for (int s = 0; s < ECG_MDSED_SETS; s++) {
        ecg_label_table *table = &w->t.table[s];
        if (!table->n)
            continue;
        ecg_labels_count(table, w->t.label[s], w->t.n);
        if (s == ECG_MDSED_DIAGNOSES && o->min_count && !o->mdsed_labels)
            drop_rare(table, w->t.label[s], w->t.n, o->min_count);
        if (!table->n)
            return ecg_fail(err, ECG_EDATA, "no diagnosis has %" PRId64 " positives among %" PRId64 " recordings (--min-count)", o->min_count, w->t.n);
        say_one_class(table, w->t.label[s], w->t.n, watch);
    }
    return ECG_OK;
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------------------ */

static ecg_status describe_contract(ecg_contract *c, const ecg_mdsed_table *t, const ecg_mdsed_labs *labs, bool masks, ecg_err *err)
{
    c->column = malloc((ECG_COLUMNS + ECG_MASKS) * sizeof *c->column);
    c->table = calloc(ECG_MDSED_SETS + ECG_LAB_FAMILIES, sizeof *c->table);
    if (!c->column || !c->table)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a contract");
    ecg_mimic_columns(c->column);
    if (masks)
        ecg_mimic_mask_columns(c->column + ECG_COLUMNS);
    c->columns = ECG_COLUMNS + (masks ? ECG_MASKS : 0);
    for (int s = 0; s < ECG_MDSED_SETS; s++)
        if (t->table[s].n)
            c->table[c->sets++] = t->table[s];
    for (int s = 0; s < labs->sets; s++)
        c->table[c->sets++] = labs->table[s];
    return ECG_OK;
}

static ecg_status add_masks(ecg_mdsed_table *t, ecg_err *err)
{
    float *wide = realloc(t->tabular, (size_t)t->n * (ECG_COLUMNS + ECG_MASKS) * sizeof *wide);
    if (!wide)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d values", t->n, ECG_COLUMNS + ECG_MASKS);
    t->tabular = wide;
    ecg_mimic_masks(wide, t->n);
    return ECG_OK;
}

static ecg_status read_table(work *w, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_status st = ecg_mdsed_table_read(&w->t, w->table, o->mdsed_labels, pool, watch, err);
    if (st)
        return st;
    snprintf(w->t.table[ECG_MDSED_DIAGNOSES].set, sizeof w->t.table->set, "diagnoses");
    snprintf(w->t.table[ECG_MDSED_DETERIORATION].set, sizeof w->t.table->set, "deterioration");
    ecg_attrition_add(&w->attrition, "rows of mds_ed.csv", w->t.rows, 0);
    ecg_attrition_add(&w->attrition, "study not seen before", w->t.n, w->t.rows - w->t.n);
    ecg_say(watch, "mds_ed.csv: %" PRId64 " recordings, %d diagnoses, %d labels of deterioration", w->t.n, w->t.table[ECG_MDSED_DIAGNOSES].n,
            w->t.table[ECG_MDSED_DETERIORATION].n);
    if (!o->from.hosp)
        ecg_say(watch, "no labels of laboratory tests: the published table has their statistics and not their rows, labevents.csv (--hosp) has them");
    const char *slash = strrchr(w->table, '/');
    return ecg_sources_add(&w->sources, w->table, slash ? slash + 1 : w->table, err);
}

/* What is known once it is clear which recordings there are. */
static ecg_status fill(work *w, ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_mdsed_table *t = &w->t;
    ecg_cohort_row *row = ecg_cohort_rows(w->builder);
    ecg_status st = count_patients(&out->patients, row, t->n, err);
    if (!st)
        st = mark_first(row, t->n, err);
    if (!st && !t->folds) {
        ecg_say(watch, "mds_ed.csv has no general_strat_fold: %d folds are made from its diagnoses, age and gender (seed %" PRIu32 ")", FOLDS, o->seed);
        st = make_folds(row, t, o->seed, err);
    }
    if (!st)
        st = finish_labels(w, o, watch, err);
    if (!st && o->from.hosp)
        st = ecg_mdsed_labs_read(&w->labs, t, row, &w->roles, w->labitems, w->labevents, o, pool, watch, err);
    if (!st && o->masks)
        st = add_masks(t, err);
    return st ? st : describe_contract(&w->contract, t, &w->labs, o->masks, err);
}

/* The tables of the laboratory among the sources. */
static ecg_status list_laboratory(work *w, ecg_err *err)
{
    const char *const used[] = {w->labevents, w->labitems};
    ecg_status st = ECG_OK;
    for (int t = 0; t < 2 && !st; t++) {
        const char *slash = strrchr(used[t], '/');
        if (used[t][0])
            st = ecg_sources_add(&w->sources, used[t], slash ? slash + 1 : used[t], err);
    }
    return st;
}

static ecg_status build(work *w, ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_status st;
    if ((st = find_sources(w, o, err)))
        return st;
    out->synthetic = is_synthetic(w->table) || (o->from.ecg && is_synthetic(o->from.ecg));
    if ((st = ecg_roles_parse(&w->roles, o->roles ? o->roles : out->synthetic ? roles_synthetic : roles_published, err)) ||
        (st = read_table(w, o, pool, watch, err)) || (!o->no_waveforms && (st = read_paths(w, watch, err))))
        return st;
    ecg_contract_default(&w->contract);
    if ((st = ecg_cohort_create(&w->builder, o->output, &w->contract, !o->no_waveforms, err)))
        return st;
    const int64_t listed = w->t.n;
    if ((st = attach_recordings(w, out, o, pool, watch, err)))
        return st;
    ecg_attrition_add(&w->attrition, "recording is in the folder", listed - out->absent, out->absent);
    ecg_attrition_add(&w->attrition, "recording is readable and long enough", w->t.n, out->broken);
    if ((st = fill(w, out, o, pool, watch, err)) || (st = list_laboratory(w, err)))
        return st;
    const char *attrition = ecg_attrition_end(&w->attrition), *sources = ecg_sources_end(&w->sources);
    if (!attrition || !sources)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the attrition table");
    const int8_t *label[ECG_MDSED_SETS + ECG_LAB_FAMILIES];
    int sets = 0;
    for (int s = 0; s < ECG_MDSED_SETS; s++)
        if (w->t.table[s].n)
            label[sets++] = w->t.label[s];
    for (int s = 0; s < w->labs.sets; s++)
        label[sets++] = w->labs.label[s];
    ecg_cohort_builder *b = w->builder;
    w->builder = NULL; /* commit takes it */
    return ecg_cohort_commit(b, &w->contract, w->t.tabular, label, &w->roles, out->synthetic, attrition, sources, o->command, err);
}

ecg_status ecg_cohort_build_mdsed(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    *out = (ecg_build_result){0};
    if (o->offset_minutes != 0)
        return ecg_fail(err, ECG_EARG, "--offset-minutes: the windows of mds_ed.csv are made already");
    if (o->lab_rows && !o->from.hosp)
        return ecg_fail(err, ECG_EARG, "--lab-rows: mds_ed.csv has no laboratory rows, labevents.csv (--hosp) has");
    work *w = calloc(1, sizeof *w);
    if (!w)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a cohort");
    const ecg_status st = build(w, out, o, pool, watch, err);
    work_clear(w);
    free(w);
    return st;
}
