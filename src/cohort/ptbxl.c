/* SPDX-License-Identifier: MIT
 * ptbxl.c: PTB-XL (Wagner et al., Scientific Data 7, 154, 2020) to a cohort: ptbxl_database.csv, scp_statements.csv, records100 or records500.
 *
 *   diagnoses   every key of scp_codes whatever its likelihood, with enough recordings in training and validation
 *   superclass  NORM MI STTC CD HYP: diagnostic_class of the keys whose statement is diagnostic
 *   folds       as published, 1-8 training, 9 validation, 10 test; a patient is in one fold
 *   tabular     age (300 stands for 90 or more), height cm, weight kg, then sex as gender (1 male; the file writes 0 for male) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "cohort/attach.h"
#include "cohort/codes.h"
#include "cohort/tables.h"

enum { COLUMNS = 4, CODES_PER_ROW = 64, MIN_COUNT = 10, SUPERCLASSES = 5 };

static const char *const superclass_code[SUPERCLASSES] = {"CD", "HYP", "MI", "NORM", "STTC"}; /* ascending, as in the label table */
static const char *const superclass_title[SUPERCLASSES] = {"Conduction disturbance", "Hypertrophy", "Myocardial infarction", "Normal ECG", "ST/T change"};

static const ecg_column columns[COLUMNS] = {
    {"demographics_age", false, 0, "years", "routine"},
    {"biometrics_height", false, 0, "cm", "routine"},
    {"biometrics_weight", false, 0, "kg", "routine"},
    {"demographics_gender", true, 2, "", "routine"},
};

typedef struct {
    char title[160];
    int superclass; /* -1: not diagnostic */
} statement;

typedef struct {
    ecg_recording rec;
    char path[256];
    float tabular[COLUMNS];
    int *code;               /* (codes) words; owned */
    int codes;
} entry;

typedef struct {
    ecg_words words;         /* codes of scp_statements.csv, then others as they appear */
    statement *statement;    /* (statements) */
    int statements;
    entry *row;              /* (n) */
    int64_t n;
} ptbxl;

static void ptbxl_clear(ptbxl *p)
{
    for (int64_t i = 0; i < p->n; i++)
        free(p->row[i].code);
    free(p->row);
    free(p->statement);
    ecg_words_clear(&p->words);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------ */

static ecg_status read_statements(ptbxl *p, const char *path, ecg_err *err)
{
    static const char *const need[] = {"description", "diagnostic", "diagnostic_class"};
    int at[3];
    bool more;
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 3, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        const ecg_field code = ecg_csv_field(t, 0), class = ecg_csv_field(t, at[2]); /* the code's column has no name */
        if (!code.len || code.len >= sizeof(((ecg_label *)0)->code)) {
            st = ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), 1, "a code of %zu bytes", code.len);
            break;
        }
        double diagnostic;
        if ((st = ecg_csv_double(t, at[1], &diagnostic, err)))
            break;
        const int known = p->words.n, i = ecg_words_put(&p->words, code.at, code.len);
        if (i >= 0 && i < known)
            st = ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), 1, "code %s a second time", p->words.at[i]);
        statement *more_room = st ? NULL : realloc(p->statement, (size_t)(known + 1) * sizeof *more_room);
        if (!st && (i < 0 || !more_room))
            st = ecg_fail(err, ECG_ENOMEM, "no memory for %d statements", known + 1);
        if (more_room)
            p->statement = more_room;
        if (st)
            break;
        statement *s = &p->statement[p->statements++];
        ecg_field_copy(s->title, sizeof s->title, ecg_csv_field(t, at[0]));
        s->superclass = -1;
        for (int k = 0; k < SUPERCLASSES; k++)
            if (diagnostic == 1 && class.len == strlen(superclass_code[k]) && !memcmp(class.at, superclass_code[k], class.len))
                s->superclass = k;
    }
    ecg_csv_close(t);
    return st;
}

enum { ECG_ID, PATIENT, AGE, SEX, HEIGHT, WEIGHT, DATE, SCP, FOLD, FILE_LR, FILE_HR, FIELDS };
static const char *const field_names[FIELDS] = {"ecg_id", "patient_id",    "age",       "sex",        "height",      "weight",
                                                "recording_date", "scp_codes", "strat_fold", "filename_lr", "filename_hr"};

static ecg_status read_codes(ptbxl *p, entry *e, const ecg_csv *t, const char *path, int column, ecg_err *err)
{
    ecg_scp scp[CODES_PER_ROW];
    const ecg_field text = ecg_csv_field(t, column);
    const int n = ecg_scp_parse(scp, CODES_PER_ROW, text.at, text.len);
    if (n < 0)
        return ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), column + 1, "scp_codes is no dictionary of at most %d statements", CODES_PER_ROW);
    e->code = malloc(((size_t)n + 1) * sizeof *e->code);
    if (!e->code)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d codes", n);
    for (int i = 0; i < n; i++) {
        const int word = ecg_words_put(&p->words, scp[i].code, strlen(scp[i].code));
        if (word < 0)
            return ecg_fail(err, ECG_ENOMEM, "no memory for %d codes", n);
        bool again = false;
        for (int k = 0; k < e->codes; k++)
            again |= e->code[k] == word;
        if (!again)
            e->code[e->codes++] = word;
    }
    return ECG_OK;
}

static ecg_status read_row(ptbxl *p, entry *e, const ecg_csv *t, const char *path, const int *at, int rate_hz, ecg_err *err)
{
    double age, height, weight;
    int64_t sex, fold, when;
    ecg_cohort_row *row = &e->rec.row;
    ecg_status st;
    if ((st = ecg_csv_i64(t, at[ECG_ID], &row->study, err)) || (st = ecg_csv_i64(t, at[PATIENT], &row->patient, err)) ||
        (st = ecg_csv_double(t, at[AGE], &age, err)) || (st = ecg_csv_i64(t, at[SEX], &sex, err)) || (st = ecg_csv_double(t, at[HEIGHT], &height, err)) ||
        (st = ecg_csv_double(t, at[WEIGHT], &weight, err)) || (st = ecg_csv_time(t, at[DATE], &when, err)) ||
        (st = ecg_csv_i64(t, at[FOLD], &fold, err)) || (st = read_codes(p, e, t, path, at[SCP], err)))
        return st;
    if (row->study < 0)
        return ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), at[ECG_ID] + 1, "ecg_id is empty or negative");
    if (fold < 0 || fold > 31)
        return ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), at[FOLD] + 1, "strat_fold is %" PRId64, fold);
    const ecg_field file = ecg_csv_field(t, at[rate_hz == 500 ? FILE_HR : FILE_LR]);
    if (!file.len || file.len >= sizeof e->path)
        return ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), at[rate_hz == 500 ? FILE_HR : FILE_LR] + 1, "a file name of %zu bytes", file.len);
    ecg_field_copy(e->path, sizeof e->path, file);
    row->stay = -1;
    row->first_in_stay = 1; /* every recording stands for itself */
    row->ecg_time = when == INT64_MIN ? -1 : when;
    row->fold = (uint8_t)fold;
    e->tabular[0] = age == 300 ? 90 : (float)age;
    e->tabular[1] = (float)height;
    e->tabular[2] = (float)weight;
    e->tabular[3] = sex == 0 ? 1.0f : sex == 1 ? 0.0f : NAN;
    return ECG_OK;
}

static ecg_status read_database(ptbxl *p, const char *path, int rate_hz, ecg_err *err)
{
    int at[FIELDS];
    int64_t room = 0;
    bool more;
    ecg_csv *t;
    ecg_ids seen = {0};
    ecg_status st = ecg_table_open(&t, at, path, field_names, FIELDS, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        if (p->n == room) {
            room = room ? room * 2 : 1024;
            entry *row = realloc(p->row, (size_t)room * sizeof *row);
            if (!row) {
                st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", room);
                break;
            }
            p->row = row;
        }
        entry *e = &p->row[p->n++];
        *e = (entry){0};
        st = read_row(p, e, t, path, at, rate_hz, err);
        if (!st && ecg_ids_get(&seen, e->rec.row.study) >= 0)
            st = ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), at[ECG_ID] + 1, "ecg_id %" PRId64 " a second time", e->rec.row.study);
        if (!st)
            st = ecg_ids_put(&seen, e->rec.row.study, 0, err);
    }
    ecg_ids_clear(&seen);
    ecg_csv_close(t);
    if (!st && !p->n)
        st = ecg_fail_at(err, ECG_EDATA, path, 0, 0, "no recording in it");
    return st;
}

/* ---- labels ------------------------------------------------------------------------------------------------------------------- */

static bool learns(const ecg_roles *roles, const entry *e)
{
    return ((roles->folds[ECG_TRAIN] | roles->folds[ECG_VALIDATION]) >> e->rec.row.fold & 1u) != 0;
}

/* The set `diagnoses`: table sorted by code, label (n, K) of the rows that were kept. */
static ecg_status label_diagnoses(ecg_label_table *table, int8_t **label, const ptbxl *p, const entry *const *row, int64_t n, const ecg_roles *roles,
                                  int64_t min_count, ecg_err *err)
{
    const int words = p->words.n;
    int64_t *count = calloc((size_t)words + 1, sizeof *count);
    int *of_word = malloc(((size_t)words + 1) * sizeof *of_word);
    table->label = calloc((size_t)words + 1, sizeof *table->label);
    if (!count || !of_word || !table->label) {
        free(count);
        free(of_word);
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d codes", words);
    }
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < row[i]->codes; c++)
            count[row[i]->code[c]] += learns(roles, row[i]);
    for (int w = 0; w < words; w++) {
        if (count[w] < min_count)
            continue;
        ecg_label *l = &table->label[table->n++];
        snprintf(l->code, sizeof l->code, "%s", p->words.at[w]);
        if (w < p->statements)
            snprintf(l->title, sizeof l->title, "%s", p->statement[w].title);
    }
    ecg_status st = ECG_OK;
    ecg_label_table_hash(table); /* sorts */
    for (int w = 0; w < words; w++) {
        of_word[w] = -1;
        for (int k = 0; k < table->n; k++)
            if (!strcmp(table->label[k].code, p->words.at[w]))
                of_word[w] = k;
    }
    if (!table->n)
        st = ecg_fail(err, ECG_EDATA, "no diagnosis has %" PRId64 " recordings in training and validation", min_count);
    *label = st ? NULL : calloc((size_t)n * (size_t)table->n, 1);
    if (!st && !*label)
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d labels", n, table->n);
    for (int64_t i = 0; i < n && !st; i++)
        for (int c = 0; c < row[i]->codes; c++)
            if (of_word[row[i]->code[c]] >= 0)
                (*label)[i * table->n + of_word[row[i]->code[c]]] = 1;
    free(count);
    free(of_word);
    if (!st)
        ecg_labels_count(table, *label, n);
    return st;
}

static ecg_status label_superclasses(ecg_label_table *table, int8_t **label, const ptbxl *p, const entry *const *row, int64_t n, ecg_err *err)
{
    table->label = calloc(SUPERCLASSES, sizeof *table->label);
    *label = calloc((size_t)n, SUPERCLASSES);
    if (!table->label || !*label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d labels", n, SUPERCLASSES);
    table->n = SUPERCLASSES;
    for (int k = 0; k < SUPERCLASSES; k++) {
        snprintf(table->label[k].code, sizeof table->label[k].code, "%s", superclass_code[k]);
        snprintf(table->label[k].title, sizeof table->label[k].title, "%s", superclass_title[k]);
    }
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < row[i]->codes; c++) {
            const int w = row[i]->code[c];
            if (w < p->statements && p->statement[w].superclass >= 0)
                (*label)[i * SUPERCLASSES + p->statement[w].superclass] = 1;
        }
    ecg_labels_count(table, *label, n);
    return ECG_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------ */

static ecg_status describe_contract(ecg_contract *c, ecg_err *err)
{
    ecg_contract_default(c);
    c->column = malloc(sizeof columns);
    c->table = calloc(2, sizeof *c->table);
    if (!c->column || !c->table)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a contract");
    memcpy(c->column, columns, sizeof columns);
    c->columns = COLUMNS;
    c->sets = 2;
    snprintf(c->table[0].set, sizeof c->table[0].set, "diagnoses");
    snprintf(c->table[1].set, sizeof c->table[1].set, "superclass");
    return ECG_OK;
}

/* Everything but the signals, which are in b. kept (n): the rows that are in it. */
static ecg_status finish(ecg_cohort_builder *b, ecg_contract *c, const ptbxl *p, const entry *const *kept, int64_t n, const ecg_roles *roles,
                         const ecg_build_result *result, const char *const *source, const ecg_build_options *o, ecg_err *err)
{
    int8_t *label[2] = {NULL, NULL};
    ecg_text attrition = {0}, sources = {0};
    float *tabular = malloc((size_t)n * COLUMNS * sizeof *tabular);
    ecg_status st = tabular ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " records", n);
    for (int64_t i = 0; i < n && !st; i++)
        memcpy(tabular + i * COLUMNS, kept[i]->tabular, sizeof kept[i]->tabular);
    if (!st)
        st = label_diagnoses(&c->table[0], &label[0], p, kept, n, roles, o->min_count ? o->min_count : MIN_COUNT, err);
    if (!st)
        st = label_superclasses(&c->table[1], &label[1], p, kept, n, err);
    ecg_attrition_add(&attrition, "rows of ptbxl_database.csv", p->n, 0);
    ecg_attrition_add(&attrition, "recording is in the folder", p->n - result->absent, result->absent);
    ecg_attrition_add(&attrition, "recording is readable and long enough", n, result->broken);
    for (int i = 0; i < 2 && !st; i++)
        st = ecg_sources_add(&sources, source[i], strrchr(source[i], '/') + 1, err);
    const char *steps = ecg_attrition_end(&attrition), *files = ecg_sources_end(&sources);
    if (!st && (!steps || !files))
        st = ecg_fail(err, ECG_ENOMEM, "no memory for the attrition table");
    if (!st)
        st = ecg_cohort_commit(b, c, tabular, (const int8_t *const *)label, roles, false, steps, files, o->command, err);
    else
        ecg_cohort_abort(b);
    ecg_text_clear(&attrition);
    ecg_text_clear(&sources);
    free(tabular);
    free(label[0]);
    free(label[1]);
    return st;
}

static int64_t count_patients(const entry *const *row, int64_t n)
{
    ecg_ids seen = {0};
    int64_t unknown = 0;
    for (int64_t i = 0; i < n; i++) {
        if (row[i]->rec.row.patient < 0)
            unknown++;
        else if (ecg_ids_put(&seen, row[i]->rec.row.patient, 0, NULL))
            break;
    }
    const int64_t patients = seen.n + unknown;
    ecg_ids_clear(&seen);
    return patients;
}

static ecg_status build(ecg_build_result *out, ptbxl *p, const ecg_roles *roles, const char *const *source, const ecg_build_options *o, ecg_pool *pool,
                        const ecg_watch *watch, ecg_err *err)
{
    ecg_contract c = {0};
    ecg_cohort_builder *b = NULL;
    char folder[512];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(source[0], '/') - source[0]), source[0]);
    ecg_recording *rec = malloc((size_t)p->n * sizeof *rec);
    uint8_t *fate = calloc((size_t)p->n, 1);
    const entry **kept = malloc((size_t)p->n * sizeof *kept);
    ecg_status st = rec && fate && kept ? describe_contract(&c, err) : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", p->n);
    if (!st)
        st = ecg_cohort_create(&b, o->output, &c, !o->no_waveforms, err);
    if (st)
        goto done;
    for (int64_t i = 0; i < p->n; i++) {
        rec[i] = p->row[i].rec;
        rec[i].path = p->row[i].path;
    }
    if ((st = ecg_attach(b, fate, out, &c, folder, rec, p->n, o, pool, watch, err))) {
        ecg_cohort_abort(b);
        goto done;
    }
    int64_t n = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (fate[i] == ECG_KEPT)
            kept[n++] = &p->row[i];
    out->patients = count_patients(kept, n);
    st = finish(b, &c, p, kept, n, roles, out, source, o, err);
done:
    ecg_contract_clear(&c);
    free(rec);
    free(fate);
    free(kept);
    return st;
}

ecg_status ecg_cohort_build_ptbxl(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    *out = (ecg_build_result){0};
    ptbxl p = {0};
    ecg_roles roles;
    char database[512], statements[512];
    if (o->rate_hz != 100 && o->rate_hz != 500)
        return ecg_fail(err, ECG_EARG, "PTB-XL has recordings at 100 and at 500 Hz, not at %d", o->rate_hz);
    ecg_status st = ecg_roles_parse(&roles, o->roles ? o->roles : "train:1-8,validation:9,test:10", err);
    if (!st)
        st = ecg_table_find(database, o->from.ptbxl, NULL, "ptbxl_database.csv", err);
    if (!st)
        st = ecg_table_find(statements, o->from.ptbxl, NULL, "scp_statements.csv", err);
    if (!st)
        st = read_statements(&p, statements, err);
    if (!st)
        st = read_database(&p, database, o->rate_hz, err);
    if (!st) {
        ecg_say(watch, "PTB-XL: %" PRId64 " rows, recordings at %d Hz", p.n, o->rate_hz);
        const char *const source[] = {database, statements};
        st = build(out, &p, &roles, source, o, pool, watch, err);
    }
    ptbxl_clear(&p);
    return st;
}
