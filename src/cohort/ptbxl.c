/* SPDX-License-Identifier: MIT
 * ptbxl.c: PTB-XL (Wagner et al., Scientific Data 7, 154, 2020) to a cohort: ptbxl_database.csv, scp_statements.csv, records100 or records500.
 *
 *   diagnoses   every key of scp_codes whatever its likelihood, with enough recordings in training and validation
 *   superclass  NORM MI STTC CD HYP: diagnostic_class of the keys whose statement is diagnostic; none of them: five times 0
 *   all diagnostic subdiagnostic superdiagnostic form rhythm
 *               the six tasks of the public benchmark (Strodthoff et al., IEEE JBHI 25, 2021; helme/ecg_ptbxl_benchmarking,
 *               compute_label_aggregations and select_data with min_samples 0): every label with one recording or more; a recording
 *               without any label of a task is no part of that task: unknown throughout
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

enum { COLUMNS = 4, MASKS = 2, CODES_PER_ROW = 64, MIN_COUNT = 10, SETS = 8 };

typedef enum { EVERY, DIAGNOSTIC, FORM, RHYTHM, SUBCLASS, CLASS } aspect; /* which label a statement gives */

static const struct task {
    const char *set;
    aspect of;
    bool benchmark; /* no label at all: unknown */
} tasks[SETS] = {
    {"diagnoses", EVERY, false},       {"superclass", CLASS, false}, {"all", EVERY, true},   {"diagnostic", DIAGNOSTIC, true},
    {"subdiagnostic", SUBCLASS, true}, {"superdiagnostic", CLASS, true}, {"form", FORM, true}, {"rhythm", RHYTHM, true},
};

/* Names as in the publication, for classes and subclasses of scp_statements.csv; NORM and STTC are both. */
static const struct { const char *code, *title; } class_titles[] = {
    {"CD", "Conduction disturbance"}, {"HYP", "Hypertrophy"}, {"MI", "Myocardial infarction"}, {"NORM", "Normal ECG"}, {"STTC", "ST/T change"},
}, subclass_titles[] = {
    {"AMI", "Anterior myocardial infarction"}, {"CLBBB", "Complete left bundle branch block"}, {"CRBBB", "Complete right bundle branch block"},
    {"ILBBB", "Incomplete left bundle branch block"}, {"IMI", "Inferior myocardial infarction"}, {"IRBBB", "Incomplete right bundle branch block"},
    {"ISCA", "Ischemic in anterior leads"}, {"ISCI", "Ischemic in inferior leads"}, {"ISC_", "Non-specific ischemic"},
    {"IVCD", "Non-specific intraventricular conduction disturbance"}, {"LAFB/LPFB", "Left anterior or left posterior fascicular block"},
    {"LAO/LAE", "Left atrial overload or enlargement"}, {"LMI", "Lateral myocardial infarction"}, {"LVH", "Left ventricular hypertrophy"},
    {"NORM", "Normal ECG"}, {"NST_", "Non-specific ST changes"}, {"PMI", "Posterior myocardial infarction"},
    {"RAO/RAE", "Right atrial overload or enlargement"}, {"RVH", "Right ventricular hypertrophy"}, {"SEHYP", "Septal hypertrophy"},
    {"STTC", "ST-T changes"}, {"WPW", "Wolff-Parkinson-White syndrome"}, {"_AVB", "AV block"},
};

static const ecg_column columns[COLUMNS + MASKS] = {
    {"demographics_age", false, 0, "years", "routine"},
    {"biometrics_height", false, 0, "cm", "routine"},
    {"biometrics_weight", false, 0, "kg", "routine"},
    {"demographics_gender", true, 2, "", "routine"},
    {"biometrics_height_nan", false, 0, "", "routine"}, /* with --masks; age and sex have none, as in the published table of MDS-ED */
    {"biometrics_weight_nan", false, 0, "", "routine"},
};

typedef struct {
    char title[160], class[64], subclass[64]; /* "": none */
    bool diagnostic, form, rhythm;
} statement;

typedef struct {
    ecg_recording rec;
    char path[256];
    float tabular[COLUMNS + MASKS];
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

/* 1 in a column that may be absent. */
static ecg_status read_flag(bool *out, const ecg_csv *t, int column, ecg_err *err)
{
    double x = 0;
    ecg_status st = column < 0 ? ECG_OK : ecg_csv_double(t, column, &x, err);
    *out = !st && x == 1;
    return st;
}

static ecg_status read_statement(statement *s, const ecg_csv *t, const char *path, const int *at, ecg_err *err)
{
    ecg_status st;
    *s = (statement){0};
    if ((st = read_flag(&s->diagnostic, t, at[1], err)) || (st = read_flag(&s->form, t, ecg_csv_find(t, "form"), err)) ||
        (st = read_flag(&s->rhythm, t, ecg_csv_find(t, "rhythm"), err)))
        return st;
    const int subclass = ecg_csv_find(t, "diagnostic_subclass");
    const ecg_field class = ecg_csv_field(t, at[2]), sub = subclass < 0 ? (ecg_field){NULL, 0} : ecg_csv_field(t, subclass);
    if (class.len >= sizeof s->class || sub.len >= sizeof s->subclass)
        return ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), 0, "a class of %zu bytes", class.len > sub.len ? class.len : sub.len);
    ecg_field_copy(s->title, sizeof s->title, ecg_csv_field(t, at[0]));
    if (s->diagnostic && class.len)
        ecg_field_copy(s->class, sizeof s->class, class);
    if (s->diagnostic && sub.len)
        ecg_field_copy(s->subclass, sizeof s->subclass, sub);
    return ECG_OK;
}

static ecg_status read_statements(ptbxl *p, const char *path, ecg_err *err)
{
    static const char *const need[] = {"description", "diagnostic", "diagnostic_class"};
    int at[3];
    bool more;
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 3, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        const ecg_field code = ecg_csv_field(t, 0); /* the code's column has no name */
        statement s;
        if (!code.len || code.len >= sizeof(((ecg_label *)0)->code)) {
            st = ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), 1, "a code of %zu bytes", code.len);
            break;
        }
        if ((st = read_statement(&s, t, path, at, err)))
            break;
        const int known = p->words.n, i = ecg_words_put(&p->words, code.at, code.len);
        if (i >= 0 && i < known)
            st = ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), 1, "code %s a second time", p->words.at[i]);
        statement *more_room = st ? NULL : realloc(p->statement, (size_t)(known + 1) * sizeof *more_room);
        if (!st && (i < 0 || !more_room))
            st = ecg_fail(err, ECG_ENOMEM, "no memory for %d statements", known + 1);
        if (more_room)
            p->statement = more_room;
        if (!st)
            p->statement[p->statements++] = s;
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
    e->tabular[4] = isnan(height) ? 1.0f : 0.0f;
    e->tabular[5] = isnan(weight) ? 1.0f : 0.0f;
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

/* The label that a statement gives; NULL: none. */
static const char *label_of(const ptbxl *p, int word, aspect of)
{
    if (of == EVERY)
        return p->words.at[word];
    if (word >= p->statements)
        return NULL;
    const statement *s = &p->statement[word];
    const char *label = of == CLASS ? s->class : of == SUBCLASS ? s->subclass : p->words.at[word];
    const bool has = of == CLASS || of == SUBCLASS ? *label : of == DIAGNOSTIC ? s->diagnostic : of == FORM ? s->form : s->rhythm;
    return has ? label : NULL;
}

static const char *title_of(const ptbxl *p, const char *code, aspect of)
{
    for (size_t i = 0; of == CLASS && i < sizeof class_titles / sizeof *class_titles; i++)
        if (!strcmp(class_titles[i].code, code))
            return class_titles[i].title;
    for (size_t i = 0; of == SUBCLASS && i < sizeof subclass_titles / sizeof *subclass_titles; i++)
        if (!strcmp(subclass_titles[i].code, code))
            return subclass_titles[i].title;
    const int word = of == CLASS || of == SUBCLASS ? -1 : ecg_words_get(&p->words, code, strlen(code));
    return word >= 0 && word < p->statements ? p->statement[word].title : "";
}

/* of_word[w]: number of the label that word w gives among labels, -1: none. superclass has its five whatever the statements say. */
static bool name_labels(ecg_words *labels, int *of_word, const ptbxl *p, const struct task *task)
{
    bool ok = true;
    for (size_t i = 0; !task->benchmark && task->of == CLASS && i < sizeof class_titles / sizeof *class_titles; i++)
        ok = ok && ecg_words_put(labels, class_titles[i].code, strlen(class_titles[i].code)) >= 0;
    for (int w = 0; w < p->words.n; w++) {
        const char *label = label_of(p, w, task->of);
        of_word[w] = label ? ecg_words_put(labels, label, strlen(label)) : -1;
        ok = ok && (!label || of_word[w] >= 0);
    }
    return ok;
}

/* The labels with enough recordings, sorted; place (labels->n) where each is in the table, -1: left out. */
static void keep_labels(ecg_label_table *table, int *place, const ecg_words *labels, const int64_t *count, int64_t least, const ptbxl *p, aspect of)
{
    for (int l = 0; l < labels->n; l++) {
        if (count[l] < least)
            continue;
        ecg_label *kept = &table->label[table->n++];
        snprintf(kept->code, sizeof kept->code, "%s", labels->at[l]);
        snprintf(kept->title, sizeof kept->title, "%s", title_of(p, labels->at[l], of));
    }
    ecg_label_table_hash(table); /* sorts */
    for (int l = 0; l < labels->n; l++) {
        place[l] = -1;
        for (int k = 0; k < table->n; k++)
            if (!strcmp(table->label[k].code, labels->at[l]))
                place[l] = k;
    }
}

/* One set: table sorted by code, label (n, K) of the rows that were kept. min_count: of diagnoses, in training and validation. */
static ecg_status label_task(ecg_label_table *table, int8_t **label, const struct task *task, const ptbxl *p, const entry *const *row, int64_t n,
                             const ecg_roles *roles, int64_t min_count, ecg_err *err)
{
    const bool counted = task->of == EVERY && !task->benchmark;
    const size_t words = (size_t)p->words.n + sizeof class_titles / sizeof *class_titles;
    ecg_words labels = {0};
    int64_t *count = calloc(words, sizeof *count);
    int *of_word = malloc(2 * words * sizeof *of_word);
    ecg_status st = ECG_OK;
    table->label = calloc(words, sizeof *table->label);
    snprintf(table->set, sizeof table->set, "%s", task->set);
    if (!count || !of_word || !table->label || !name_labels(&labels, of_word, p, task)) {
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %d codes", p->words.n);
        goto done;
    }
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < row[i]->codes; c++)
            if (of_word[row[i]->code[c]] >= 0 && (!counted || learns(roles, row[i])))
                count[of_word[row[i]->code[c]]]++;
    int *place = of_word + words;
    keep_labels(table, place, &labels, count, counted ? min_count : task->benchmark ? 1 : 0, p, task->of);
    if (!table->n && counted)
        st = ecg_fail(err, ECG_EDATA, "no diagnosis has %" PRId64 " recordings in training and validation", min_count);
    if (st || !table->n)
        goto done;
    int8_t *out = *label = calloc((size_t)n, (size_t)table->n);
    if (!out)
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d labels", n, table->n);
    for (int64_t i = 0; i < n && !st; i++, out += table->n) {
        bool any = false;
        for (int c = 0; c < row[i]->codes; c++) {
            const int l = of_word[row[i]->code[c]];
            if (l >= 0 && place[l] >= 0)
                out[place[l]] = any = true;
        }
        if (task->benchmark && !any)
            memset(out, -1, (size_t)table->n);
    }
    if (!st)
        ecg_labels_count(table, *label, n);
done:
    ecg_words_clear(&labels);
    free(count);
    free(of_word);
    return st;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------ */

static ecg_status describe_contract(ecg_contract *c, bool masks, ecg_err *err)
{
    ecg_contract_default(c);
    c->column = malloc(sizeof columns);
    c->table = calloc(SETS, sizeof *c->table);
    if (!c->column || !c->table)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a contract");
    memcpy(c->column, columns, sizeof columns);
    c->columns = masks ? COLUMNS + MASKS : COLUMNS;
    return ECG_OK;
}

/* Everything but the signals, which are in b. kept (n): the rows that are in it. */
static ecg_status finish(ecg_cohort_builder *b, ecg_contract *c, const ptbxl *p, const entry *const *kept, int64_t n, const ecg_roles *roles,
                         const ecg_build_result *result, const char *const *source, const ecg_build_options *o, const ecg_watch *watch, ecg_err *err)
{
    int8_t *label[SETS] = {NULL};
    ecg_text attrition = {0}, sources = {0};
    const size_t width = (size_t)c->columns;
    float *tabular = malloc((size_t)n * width * sizeof *tabular);
    ecg_status st = tabular ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " records", n);
    for (int64_t i = 0; i < n && !st; i++)
        memcpy(tabular + (size_t)i * width, kept[i]->tabular, width * sizeof *tabular);
    for (int i = 0; i < SETS && !st; i++) {
        ecg_label_table *table = &c->table[c->sets];
        st = label_task(table, &label[c->sets], &tasks[i], p, kept, n, roles, o->min_count ? o->min_count : MIN_COUNT, err);
        if (st || table->n) {
            c->sets++;
            continue;
        }
        ecg_say(watch, "%s: no recording has a label of it, left out", tasks[i].set);
        free(table->label);
        *table = (ecg_label_table){0};
    }
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
    for (int i = 0; i < SETS; i++)
        free(label[i]);
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
    ecg_status st = rec && fate && kept ? describe_contract(&c, o->masks, err) : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", p->n);
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
    st = finish(b, &c, p, kept, n, roles, out, source, o, watch, err);
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
