/* SPDX-License-Identifier: MIT
 * mdsed_table.c: mds_ed.csv (1,936 columns, 129,057 rows, 700 MB) in one pass. The header makes a plan, a list of the columns that are used and of
 * where their values go; the rows follow it. Most fields are empty or one digit, and take the short way. */
#include "cohort/mdsed_table.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/text.h"
#include "cohort/mdsed_codes.h"
#include "cohort/schema.h"
#include "cohort/tables.h"

enum { ETHNICITIES = 5, OTHER = 3, DETERIORATIONS = 15, LARGEST_FOLD = 31, UNDEFINED = -999 };

static const char *const ethnicity_names[ETHNICITIES] = { /* the order of the category's index */
    "demographics_ethnicity_asian", "demographics_ethnicity_black/african", "demographics_ethnicity_hispanic/latino", "demographics_ethnicity_other",
    "demographics_ethnicity_white",
};
static const struct { const char *code, *title; } deteriorations[DETERIORATIONS] = { /* ascending; titles as in deterioration.c */
    {"cardiac_arrest", "Cardiac arrest within a day of arrival"},
    {"ecmo", "Extracorporeal circulation by the day after arrival"},
    {"icu_24h", "Intensive care within 24 hours of arrival"},
    {"icu_stay", "Intensive care during the admission"},
    {"inotropes", "Inotropes in the emergency department"},
    {"mechanical_ventilation", "Mechanical ventilation by the day after arrival"},
    {"mortality_180d", "Death within 180 days of arrival"},
    {"mortality_1d", "Death within 1 day of arrival"},
    {"mortality_28d", "Death within 28 days of arrival"},
    {"mortality_365d", "Death within 365 days of arrival"},
    {"mortality_7d", "Death within 7 days of arrival"},
    {"mortality_90d", "Death within 90 days of arrival"},
    {"mortality_stay", "Death before discharge"},
    {"severe_hypoxemia", "Oxygen saturation of 85 % or less within 24 hours of arrival"},
    {"vasopressors", "Vasopressors in the emergency department"},
};
/* Columns that the table has and a cohort has no use for. */
static const char *const unused_names[] = {
    "", "Unnamed: 0", "general_ed_diag_ed", "general_ed_diag_hosp", "general_dod", "general_intime", "general_outtime", "general_race",
    "general_90min", "general_hosp_dischtime", "general_ecg_no_within_stay", "general_data", "general_ed_hadm_id", "general_anchor_year",
    "general_anchor_age", "general_mortality_hours", "general_mortality_days", "general_icu_time_hours",
};

typedef enum {
    STUDY, SUBJECT, STAY, TIME, FOLD, FILE_NAME, /* of the row */
    NUMBER, GENDER, ACUITY,                      /* to: column of `tabular` */
    ETHNICITY,                                   /* to: number of the category */
    DIAGNOSIS, DETERIORATION                     /* to: label */
} purpose;

typedef struct {
    int column;
    purpose is;
    int to;
} step;

typedef struct {
    ecg_csv *csv;
    const char *path;
    step *step; /* (steps), ascending columns */
    int steps;
    bool *used; /* (columns) */
} plan;

/* ---- the header -------------------------------------------------------------------------------------------------------------------- */

static bool begins(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

static void use(plan *p, int column, purpose is, int to)
{
    p->step[p->steps++] = (step){column, is, to};
    p->used[column] = true;
}

static ecg_status use_needed(plan *p, const char *name, purpose is, int to, ecg_err *err)
{
    int column;
    const ecg_status st = ecg_csv_need(p->csv, &column, &name, 1, err);
    if (!st)
        use(p, column, is, to);
    return st;
}

static ecg_status plan_row(plan *p, bool *folds, ecg_err *err)
{
    static const struct { const char *name; purpose is; } needed[] = {
        {"general_study_id", STUDY}, {"general_subject_id", SUBJECT}, {"general_ed_stay_id", STAY}, {"general_ecg_time", TIME},
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        const ecg_status st = use_needed(p, needed[i].name, needed[i].is, 0, err);
        if (st)
            return st;
    }
    const int fold = ecg_csv_find(p->csv, "general_strat_fold"), file = ecg_csv_find(p->csv, "general_file_name");
    *folds = fold >= 0;
    if (fold >= 0)
        use(p, fold, FOLD, 0);
    if (file >= 0)
        use(p, file, FILE_NAME, 0);
    return ECG_OK;
}

static ecg_status plan_inputs(plan *p, ecg_err *err)
{
    ecg_column column[ECG_COLUMNS];
    ecg_mimic_columns(column);
    ecg_status st = ECG_OK;
    for (int c = 0; c < ECG_COLUMNS && !st; c++)
        if (c != ECG_COL_ETHNICITY)
            st = use_needed(p, column[c].name, c == ECG_COL_GENDER ? GENDER : c == ECG_COL_ACUITY ? ACUITY : NUMBER, c, err);
    for (int e = 0; e < ETHNICITIES && !st; e++)
        st = use_needed(p, ethnicity_names[e], ETHNICITY, e, err);
    return st;
}

/* "diagnoses_i480" -> "I480". False: it names no code. */
static bool code_of(char out[64], const char *name)
{
    static const char prefix[] = "diagnoses_";
    if (!begins(name, prefix))
        return false;
    const char *at = name + sizeof prefix - 1;
    size_t len = 0;
    for (; at[len]; len++) {
        if (len == 63 || !(isalnum((unsigned char)at[len]) || at[len] == '.' || at[len] == '-' || at[len] == '_'))
            return false;
        out[len] = (char)toupper((unsigned char)at[len]);
    }
    out[len] = 0;
    return len > 0;
}

static int by_code(const void *code, const void *label)
{
    return strcmp(code, ((const ecg_label *)label)->code);
}

static int find_label(const ecg_label_table *t, const char *code)
{
    const ecg_label *l = t->n ? bsearch(code, t->label, (size_t)t->n, sizeof *l, by_code) : NULL;
    return l ? (int)(l - t->label) : -1;
}

static ecg_status plan_fixed_list(plan *p, ecg_label_table *t, ecg_err *err)
{
    for (int k = 0; k < ECG_MDSED_CODES; k++) {
        char name[32];
        snprintf(name, sizeof name, "diagnoses_%s", ecg_mdsed_codes[k].code);
        for (char *c = name; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        const ecg_status st = use_needed(p, name, DIAGNOSIS, k, err);
        if (st)
            return st;
        snprintf(t->label[t->n++].code, sizeof t->label->code, "%s", ecg_mdsed_codes[k].code);
    }
    return ECG_OK;
}

static ecg_status plan_counted(plan *p, ecg_label_table *t, ecg_err *err)
{
    const int columns = ecg_csv_columns(p->csv);
    for (int c = 0; c < columns; c++)
        t->n += code_of(t->label[t->n].code, ecg_csv_name(p->csv, c));
    if (!t->n)
        return ecg_fail_at(err, ECG_EDATA, p->path, 1, 0, "no column \"diagnoses_...\"");
    ecg_label_table_hash(t); /* sorts */
    for (int c = 0; c < columns; c++) {
        char code[64];
        if (!code_of(code, ecg_csv_name(p->csv, c)))
            continue;
        const int k = find_label(t, code);
        if ((k > 0 && !strcmp(t->label[k - 1].code, code)) || (k + 1 < t->n && !strcmp(t->label[k + 1].code, code)))
            return ecg_fail_at(err, ECG_EDATA, p->path, 1, c + 1, "code %s has two columns", code);
        use(p, c, DIAGNOSIS, k);
    }
    return ECG_OK;
}

static ecg_status plan_diagnoses(plan *p, ecg_label_table *t, bool fixed_list, ecg_err *err)
{
    const int columns = ecg_csv_columns(p->csv);
    t->label = calloc((size_t)(columns > ECG_MDSED_CODES ? columns : ECG_MDSED_CODES) + 1, sizeof *t->label);
    if (!t->label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d columns", columns);
    const ecg_status st = fixed_list ? plan_fixed_list(p, t, err) : plan_counted(p, t, err);
    for (int k = 0; k < t->n && !st; k++) {
        const int at = ecg_mdsed_code_find(t->label[k].code);
        if (at >= 0)
            snprintf(t->label[k].title, sizeof t->label->title, "%s", ecg_mdsed_codes[at].title);
    }
    return st;
}

/* All of the 15 columns, or none of them. */
static ecg_status plan_deterioration(plan *p, ecg_label_table *t, const ecg_watch *watch, ecg_err *err)
{
    bool any = false;
    for (int c = 0; c < ecg_csv_columns(p->csv); c++)
        any |= begins(ecg_csv_name(p->csv, c), "deterioration_");
    if (!any) {
        ecg_say(watch, "no column deterioration_*: no labels of deterioration");
        return ECG_OK;
    }
    t->label = calloc(DETERIORATIONS, sizeof *t->label);
    if (!t->label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", DETERIORATIONS);
    for (int k = 0; k < DETERIORATIONS; k++) {
        char name[64];
        snprintf(name, sizeof name, "deterioration_%s", deteriorations[k].code);
        const ecg_status st = use_needed(p, name, DETERIORATION, k, err);
        if (st)
            return st;
        ecg_label *l = &t->label[t->n++];
        snprintf(l->code, sizeof l->code, "%s", deteriorations[k].code);
        snprintf(l->title, sizeof l->title, "%s", deteriorations[k].title);
    }
    return ECG_OK;
}

static void say_unknown(const plan *p, const ecg_watch *watch)
{
    char names[200] = "";
    int unknown = 0;
    for (int c = 0; c < ecg_csv_columns(p->csv); c++) {
        const char *name = ecg_csv_name(p->csv, c);
        bool known = p->used[c];
        for (size_t i = 0; i < sizeof unused_names / sizeof *unused_names && !known; i++)
            known = !strcmp(name, unused_names[i]);
        if (known)
            continue;
        const size_t len = strlen(names);
        if (++unknown <= 3)
            snprintf(names + len, sizeof names - len, "%s\"%.50s\"", len ? ", " : "", name);
    }
    if (unknown)
        ecg_say(watch, "%d column%s not of this table, not used: %s%s", unknown, unknown > 1 ? "s are" : " is", names, unknown > 3 ? " ..." : "");
}

static int by_column(const void *a, const void *b)
{
    return ((const step *)a)->column - ((const step *)b)->column;
}

static ecg_status make_plan(plan *p, ecg_mdsed_table *t, bool fixed_list, const ecg_watch *watch, ecg_err *err)
{
    const size_t columns = (size_t)ecg_csv_columns(p->csv);
    p->step = malloc((columns + 1) * sizeof *p->step); /* no column has two purposes: names differ */
    p->used = calloc(columns + 1, sizeof *p->used);
    if (!p->step || !p->used)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %zu columns", columns);
    ecg_status st;
    if ((st = plan_row(p, &t->folds, err)) || (st = plan_inputs(p, err)) || (st = plan_diagnoses(p, &t->table[ECG_MDSED_DIAGNOSES], fixed_list, err)) ||
        (st = plan_deterioration(p, &t->table[ECG_MDSED_DETERIORATION], watch, err)))
        return st;
    qsort(p->step, (size_t)p->steps, sizeof *p->step, by_column);
    say_unknown(p, watch);
    return ECG_OK;
}

/* ---- the rows ---------------------------------------------------------------------------------------------------------------------- */

/* What is not as it should be, with its place. */
static ecg_status wrong(const plan *p, int column, const char *expected, ecg_err *err)
{
    char shown[41];
    ecg_field_copy(shown, sizeof shown, ecg_csv_field(p->csv, column));
    for (char *c = shown; *c; c++)
        if ((unsigned char)*c < 32 || (unsigned char)*c > 126)
            *c = '?';
    return ecg_fail_at(err, ECG_EDATA, p->path, ecg_csv_line(p->csv), column + 1, "%.60s: \"%s\" is not %s", ecg_csv_name(p->csv, column), shown, expected);
}

/* Not a number, or beyond all numbers (rate_change where the first value is 0): missing. */
static bool is_no_number(ecg_field f)
{
    static const char *const names[] = {"nan", "inf", "-inf"};
    char word[8] = "";
    if (f.len >= sizeof word)
        return false;
    memcpy(word, f.at, f.len);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ecg_same_word(word, names[i]))
            return true;
    return false;
}

/* Digits, a point, an exponent: x = digits * 10^power. Up to 19 digits behind leading zeros; false: another shape, or more of them. */
static bool split_number(uint64_t *digits, int *power, ecg_field f)
{
    enum { MOST = 19 };
    const char *at = f.at, *end = f.at + f.len;
    const char *point = NULL, *first = at += *at == '-';
    int significant = 0;
    *digits = 0;
    for (unsigned d; at < end && ((d = (unsigned char)*at - '0') <= 9 || (*at == '.' && !point)); at++)
        if (d <= 9) {
            *digits = *digits * 10 + d; /* wraps only where there are too many */
            significant += *digits != 0;
        } else {
            point = at;
        }
    if (at - first == (point != NULL) || significant > MOST)
        return false;
    *power = point ? (int)(point + 1 - at) : 0;
    if (end - at == 4 && (*at == 'e' || *at == 'E') && (at[1] == '-' || at[1] == '+') && isdigit((unsigned char)at[2]) && isdigit((unsigned char)at[3])) {
        const int exponent = (at[2] - '0') * 10 + (at[3] - '0');
        *power += at[1] == '-' ? -exponent : exponent;
        at = end;
    }
    return at == end;
}

/* The quotient or product is off by at most two units of its last place; where that could decide between two float32, and outside of their normal
 * range, the long way is taken: the result is always the float32 of the nearest double. */
static bool read_plain(float *out, ecg_field f)
{
    enum { EXACT = 22 }; /* the largest power of ten that a double holds */
    static const double ten[EXACT + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                          1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t digits, bits;
    int power;
    if (!split_number(&digits, &power, f) || power < -EXACT || power > EXACT)
        return false;
    const double x = power < 0 ? (double)digits / ten[-power] : (double)digits * ten[power];
    memcpy(&bits, &x, sizeof bits);
    const int64_t from_middle = (int64_t)(bits & 0x1fffffff) - 0x10000000; /* float32 drops 29 bits */
    if (digits && ((from_middle >= -4 && from_middle <= 4) || x < 1e-37 || x > 1e38))
        return false;
    *out = *f.at == '-' ? -(float)x : (float)x;
    return true;
}

static bool read_number(float *out, ecg_field f)
{
    double x = NAN;
    if (f.len && read_plain(out, f)) {
        if (*out == UNDEFINED)
            *out = NAN;
        return true;
    }
    if (f.len && !ecg_parse_double(&x, f.at, f.len) && !is_no_number(f))
        return false;
    *out = x == UNDEFINED ? NAN : (float)x;
    return !isinf(*out);
}

/* 0, 1, or -1 for -999 and empty fields. */
static bool read_label(int8_t *out, ecg_field f)
{
    if (f.len == 1 && (f.at[0] == '0' || f.at[0] == '1')) {
        *out = (int8_t)(f.at[0] - '0');
        return true;
    }
    float x;
    if (!read_number(&x, f) || (!isnan(x) && x != 0 && x != 1))
        return false;
    *out = isnan(x) ? -1 : (int8_t)x;
    return true;
}

/* The part from files/ on; where there is none, the published scheme. */
static const char *path_of(ecg_arena *text, ecg_field name, int64_t subject, int64_t study)
{
    static const char mark[] = "files/p";
    const size_t len = sizeof mark - 1;
    for (size_t i = 0; i + len < name.len; i++)
        if ((!i || name.at[i - 1] == '/') && !memcmp(name.at + i, mark, len))
            return ecg_arena_text(text, name.at + i, name.len - i);
    char id[24], made[128];
    snprintf(id, sizeof id, "%08" PRId64, subject);
    const int n = snprintf(made, sizeof made, "files/p%.4s/p%s/s%08" PRId64 "/%08" PRId64, id, id, study, study);
    return ecg_arena_text(text, made, (size_t)n);
}

/* Ids and numbers that must be there. */
static ecg_status read_id(int64_t *out, const plan *p, int column, int64_t largest, const char *expected, ecg_err *err)
{
    const ecg_status st = ecg_csv_i64(p->csv, column, out, err);
    if (st)
        return st;
    return *out < 0 || *out > largest ? wrong(p, column, expected, err) : ECG_OK;
}

typedef struct {
    int64_t ethnicity; /* number of the one that is set, -1: none yet */
    bool any_ethnicity;
    ecg_field file_name;
} gathered;

static ecg_status take(ecg_mdsed_table *t, int64_t i, gathered *g, const plan *p, const step *s, ecg_err *err)
{
    ecg_mdsed_row *row = &t->row[i];
    float *x = t->tabular + i * ECG_COLUMNS;
    const ecg_field f = ecg_csv_field(p->csv, s->column);
    int64_t id;
    ecg_status st;
    int8_t flag;
    switch (s->is) {
    case DIAGNOSIS:
    case DETERIORATION: {
        const int set = s->is == DIAGNOSIS ? ECG_MDSED_DIAGNOSES : ECG_MDSED_DETERIORATION;
        return read_label(&t->label[set][i * t->table[set].n + s->to], f) ? ECG_OK : wrong(p, s->column, "0, 1, -999 or empty", err);
    }
    case NUMBER: return read_number(&x[s->to], f) ? ECG_OK : wrong(p, s->column, "a number", err);
    case GENDER: return read_number(&x[s->to], f) && (isnan(x[s->to]) || x[s->to] == 0 || x[s->to] == 1) ? ECG_OK : wrong(p, s->column, "0 or 1", err);
    case ACUITY:
        if (!read_number(&x[s->to], f) || (!isnan(x[s->to]) && !(x[s->to] >= 1 && x[s->to] <= 5 && x[s->to] == floorf(x[s->to]))))
            return wrong(p, s->column, "1 to 5", err);
        x[s->to] -= 1;
        return ECG_OK;
    case ETHNICITY:
        if (!read_label(&flag, f))
            return wrong(p, s->column, "0 or 1", err);
        if (flag == 1 && g->ethnicity >= 0)
            return wrong(p, s->column, "the only ethnicity that is 1", err);
        if (flag == 1)
            g->ethnicity = s->to;
        g->any_ethnicity |= flag >= 0;
        return ECG_OK;
    case STUDY: return read_id(&row->study, p, s->column, INT64_MAX, "a study", err);
    case SUBJECT: return read_id(&row->patient, p, s->column, INT64_MAX, "a patient", err);
    case STAY: return ecg_csv_i64(p->csv, s->column, &row->stay, err);
    case FOLD:
        st = read_id(&id, p, s->column, LARGEST_FOLD, "a fold from 0 to 31", err);
        row->fold = st ? -1 : (int16_t)id;
        return st;
    case TIME:
        st = ecg_csv_time(p->csv, s->column, &row->ecg_time, err);
        if (row->ecg_time == INT64_MIN)
            row->ecg_time = -1;
        return st;
    case FILE_NAME: g->file_name = f; return ECG_OK;
    }
    return ECG_OK;
}

static ecg_status read_row(ecg_mdsed_table *t, const plan *p, ecg_arena *text, ecg_err *err)
{
    const int64_t i = t->n;
    gathered g = {.ethnicity = -1};
    t->row[i] = (ecg_mdsed_row){.fold = -1};
    for (int k = 0; k < p->steps; k++) {
        const ecg_status st = take(t, i, &g, p, &p->step[k], err);
        if (st)
            return st;
    }
    t->tabular[i * ECG_COLUMNS + ECG_COL_ETHNICITY] = g.ethnicity >= 0 ? (float)g.ethnicity : g.any_ethnicity ? OTHER : NAN;
    t->row[i].path = path_of(text, g.file_name, t->row[i].patient, t->row[i].study);
    return t->row[i].path ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", i);
}

/* Row i of one table becomes row to of another, or of the same before it. */
static void copy_row(ecg_mdsed_table *t, int64_t to, const ecg_mdsed_table *from, int64_t i)
{
    if (t == from && to == i)
        return;
    t->row[to] = from->row[i];
    memcpy(t->tabular + to * ECG_COLUMNS, from->tabular + i * ECG_COLUMNS, ECG_COLUMNS * sizeof *t->tabular);
    for (int s = 0; s < ECG_MDSED_SETS; s++)
        if (t->table[s].n)
            memcpy(t->label[s] + to * t->table[s].n, from->label[s] + i * t->table[s].n, (size_t)t->table[s].n);
}

/* Room for one more row. Large blocks are moved by the kernel, not copied. */
static ecg_status make_room(ecg_mdsed_table *t, ecg_err *err)
{
    if (t->n < t->room)
        return ECG_OK;
    if (t->room > INT32_MAX / 2)
        return ecg_fail(err, ECG_EUNSUPPORTED, "more than %" PRId64 " recordings", t->room);
    const size_t room = t->room ? (size_t)t->room * 2 : 1024;
    void *row = realloc(t->row, room * sizeof *t->row);
    t->row = row ? row : t->row;
    void *tabular = realloc(t->tabular, room * ECG_COLUMNS * sizeof *t->tabular);
    t->tabular = tabular ? tabular : t->tabular;
    bool all = row && tabular;
    for (int s = 0; s < ECG_MDSED_SETS; s++) {
        void *label = t->table[s].n ? realloc(t->label[s], room * (size_t)t->table[s].n) : NULL;
        t->label[s] = label ? label : t->label[s];
        all &= label || !t->table[s].n;
    }
    if (!all)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %zu recordings", room);
    t->room = (int64_t)room;
    return ECG_OK;
}

typedef struct {
    ecg_mdsed_table *t;
    ecg_mdsed_table *slot; /* rows of one block; label tables are those of t */
    const plan *p;
    ecg_ids seen;
} pass;

static ecg_status take_block(void *ctx, ecg_csv *block, int slot, ecg_err *err)
{
    pass *a = ctx;
    ecg_mdsed_table *t = &a->slot[slot];
    plan p = *a->p;
    bool more;
    ecg_status st;
    p.csv = block;
    t->n = 0;
    while (!(st = ecg_csv_next(block, &more, err)) && more) {
        if ((st = make_room(t, err)) || (st = read_row(t, &p, a->t->text[slot], err)))
            break;
        t->n++;
    }
    return st;
}

static ecg_status merge_block(void *ctx, int slot, int64_t rows, ecg_err *err)
{
    (void)rows;
    pass *a = ctx;
    ecg_mdsed_table *t = a->t;
    const ecg_mdsed_table *from = &a->slot[slot];
    for (int64_t i = 0; i < from->n; i++) {
        ecg_status st;
        if (ecg_ids_get(&a->seen, from->row[i].study) >= 0)
            continue;
        if ((st = ecg_ids_put(&a->seen, from->row[i].study, 0, err)) || (st = make_room(t, err)))
            return st;
        copy_row(t, t->n++, from, i);
    }
    return ECG_OK;
}

static void free_rows(ecg_mdsed_table *t)
{
    for (int s = 0; s < ECG_MDSED_SETS; s++)
        free(t->label[s]);
    free(t->row);
    free(t->tabular);
}

static ecg_status read_rows(ecg_mdsed_table *t, const plan *p, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    const int slots = ecg_csv_slots(pool);
    pass a = {.t = t, .p = p, .slot = calloc((size_t)slots, sizeof *a.slot)};
    t->text = calloc((size_t)slots, sizeof *t->text);
    ecg_status st = a.slot && t->text ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for a table");
    for (; t->texts < slots && !st; t->texts++) {
        if (!(t->text[t->texts] = ecg_arena_new()))
            st = ecg_fail(err, ECG_ENOMEM, "no memory for a table");
        memcpy(a.slot[t->texts].table, t->table, sizeof t->table);
    }
    const ecg_csv_job job = {&a, take_block, merge_block};
    if (!st)
        st = ecg_csv_each(p->csv, &t->rows, &job, "mds_ed.csv", pool, watch, err);
    for (int i = 0; i < slots && a.slot; i++)
        free_rows(&a.slot[i]);
    free(a.slot);
    ecg_ids_clear(&a.seen);
    return st;
}

ecg_status ecg_mdsed_table_read(ecg_mdsed_table *out, const char *path, bool fixed_list, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_mdsed_table t = {0};
    plan p = {.path = path};
    ecg_status st = ecg_csv_open(&p.csv, path, err);
    if (!st)
        st = make_plan(&p, &t, fixed_list, watch, err);
    if (!st)
        st = read_rows(&t, &p, pool, watch, err);
    if (!st && !t.n)
        st = ecg_fail_at(err, ECG_EDATA, path, 0, 0, "no recording in it");
    ecg_csv_close(p.csv);
    free(p.step);
    free(p.used);
    if (st)
        ecg_mdsed_table_clear(&t);
    *out = t;
    return st;
}

void ecg_mdsed_table_filter(ecg_mdsed_table *t, const uint8_t *keep)
{
    int64_t n = 0;
    for (int64_t i = 0; i < t->n; i++)
        if (keep[i])
            copy_row(t, n++, t, i);
    t->n = n;
}

void ecg_mdsed_table_clear(ecg_mdsed_table *t)
{
    for (int s = 0; s < ECG_MDSED_SETS; s++)
        free(t->table[s].label);
    free_rows(t);
    for (int i = 0; i < t->texts; i++)
        ecg_arena_free(t->text[i]);
    free(t->text);
    *t = (ecg_mdsed_table){0};
}
