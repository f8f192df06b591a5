/* SPDX-License-Identifier: MIT
 * labs.c: labevents x d_labitems x the windows of the cohort.
 *
 * A *group* is one test in one fluid (Creatinine, Blood): the unit of counting, because of each test only the fluid with most rows is used. A row is
 * stored if it lies in a feature window (arrival .. + 90 min) or in a label window (recording +- 60 min) of its patient. */
#include "cohort/labs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cohort/features.h"

enum { LABEL_WINDOW = 60 * 60 };

/* ---- one value ---------------------------------------------------------------------------------------------------------------------- */

ecg_lab_value ecg_lab_parse(double valuenum, const char *text, size_t len)
{
    static const struct { const char *word; char sign; bool or_equal; } starts[] = {
        {"<=", '<', true}, {">=", '>', true}, {"<", '<', false}, {">", '>', false}, {"LESS THAN", '<', false}, {"GREATER THAN", '>', false},
    };
    ecg_lab_value v = {.value = valuenum, .bound = NAN};
    if (!isnan(valuenum))
        return v;
    while (len && *text == ' ')
        text++, len--;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        const size_t n = strlen(starts[i].word);
        if (len <= n || strncasecmp(text, starts[i].word, n))
            continue;
        if (ecg_parse_double(&v.bound, text + n, len - n)) {
            v.sign = starts[i].sign;
            v.or_equal = starts[i].or_equal;
        }
        break;
    }
    return v;
}

ecg_lab_class ecg_lab_classify(const ecg_lab_value *v, double lower, double upper)
{
    const double x = v->bound;
    if (isnan(lower) && isnan(upper))
        return ECG_LAB_UNKNOWN;
    if (!isnan(v->value))
        return v->value < lower ? ECG_LAB_LOW : v->value > upper ? ECG_LAB_HIGH : ECG_LAB_NORMAL;
    if (v->sign == '<') {
        if (v->or_equal ? x < lower : x <= lower)
            return x > 0 || lower > 0 ? ECG_LAB_LOW : ECG_LAB_NORMAL; /* "<0" against a limit of 0 says nothing below it */
        if (!(lower > 0) && !(x > upper))
            return ECG_LAB_NORMAL;
    }
    if (v->sign == '>') {
        if (v->or_equal ? x > upper : x >= upper)
            return ECG_LAB_HIGH;
        if (isnan(upper) && !(x < lower))
            return ECG_LAB_NORMAL;
    }
    return ECG_LAB_UNKNOWN;
}

/* ---- tests and fluids ----------------------------------------------------------------------------------------------------------------- */

typedef struct {
    double value;
    int64_t count;
} bound_count;

typedef struct {
    bound_count *at; /* (n) ascending */
    int n, room;
} bounds;

typedef struct {
    int test;         /* word of the test's label */
    int fluid;        /* word */
    int64_t rows;     /* of cohort patients, with or without a value: decides the fluid of the columns */
    int64_t usable;   /* with a value that labels may use: decides the fluid of the labels */
    bounds lower, upper; /* reference limits seen in training patients */
    double median_lower, median_upper;
} group;

typedef struct {
    int64_t itemid;
    int group;        /* -1: a test that is not used for labels or columns */
    int64_t usable;
} item;

typedef struct {
    int32_t patient, item, unit;
    int64_t hadm, time, line;
    double lower, upper;
    ecg_lab_value value;
    bool for_labels;  /* usable as a label */
} lab_row;

struct ecg_labs {
    ecg_words test, fluid, unit;
    ecg_ids by_itemid;
    item *item;
    int items;
    group *group;
    int groups;
    int *column_group; /* (tests) group of the columns and of the labels, -1 */
    int *label_group;
    lab_row *row;      /* (n) by patient, time, line */
    int64_t n, room, read;
    int64_t *first;    /* (patients + 1) */
};

void ecg_labs_free(ecg_labs *l)
{
    if (!l)
        return;
    for (int g = 0; g < l->groups; g++) {
        free(l->group[g].lower.at);
        free(l->group[g].upper.at);
    }
    ecg_words_clear(&l->test);
    ecg_words_clear(&l->fluid);
    ecg_words_clear(&l->unit);
    ecg_ids_clear(&l->by_itemid);
    free(l->item);
    free(l->group);
    free(l->column_group);
    free(l->label_group);
    free(l->row);
    free(l->first);
    free(l);
}

int64_t ecg_labs_rows(const ecg_labs *l)
{
    return l->read;
}

int64_t ecg_labs_kept(const ecg_labs *l)
{
    return l->n;
}

static bool add_bound(bounds *b, double value)
{
    int low = 0, high = b->n;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (b->at[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < b->n && b->at[low].value == value) {
        b->at[low].count++;
        return true;
    }
    if (b->n == b->room) {
        const int room = b->room ? b->room * 2 : 8;
        bound_count *grown = realloc(b->at, (size_t)room * sizeof *grown);
        if (!grown)
            return false;
        b->at = grown;
        b->room = room;
    }
    memmove(b->at + low + 1, b->at + low, (size_t)(b->n - low) * sizeof *b->at);
    b->at[low] = (bound_count){value, 1};
    b->n++;
    return true;
}

/* The k-th smallest of the counted values, from 0. */
static double ranked(const bounds *b, int64_t k)
{
    for (int i = 0; i < b->n; i++) {
        if (k < b->at[i].count)
            return b->at[i].value;
        k -= b->at[i].count;
    }
    return NAN;
}

static double median(const bounds *b)
{
    int64_t n = 0;
    for (int i = 0; i < b->n; i++)
        n += b->at[i].count;
    return n ? (ranked(b, (n - 1) / 2) + ranked(b, n / 2)) / 2 : NAN;
}

static int find_group(const ecg_labs *l, int test, int fluid)
{
    for (int g = 0; g < l->groups; g++)
        if (l->group[g].test == test && l->group[g].fluid == fluid)
            return g;
    return -1;
}

static ecg_status read_items(ecg_labs *l, const char *path, ecg_err *err)
{
    static const char *const need[] = {"itemid", "label", "fluid"};
    int at[3];
    bool more;
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 3, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        item *items = realloc(l->item, ((size_t)l->items + 1) * sizeof *items);
        if (items)
            l->item = items;
        group *groups = realloc(l->group, ((size_t)l->groups + 1) * sizeof *groups);
        if (groups)
            l->group = groups;
        const ecg_field label = ecg_csv_field(t, at[1]), fluid = ecg_csv_field(t, at[2]);
        if (!label.len) /* a test without a name is none  */
            continue;
        const int test = ecg_words_put(&l->test, label.at, label.len), in = ecg_words_put(&l->fluid, fluid.len ? fluid.at : "", fluid.len);
        if (!items || !groups || test < 0 || in < 0) {
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the laboratory items");
            break;
        }
        item *i = &l->item[l->items];
        *i = (item){.group = find_group(l, test, in)};
        if ((st = ecg_csv_i64(t, at[0], &i->itemid, err)))
            break;
        if (i->group < 0) {
            l->group[l->groups] = (group){.test = test, .fluid = in};
            i->group = l->groups++;
        }
        st = ecg_ids_put(&l->by_itemid, i->itemid, l->items++, err);
    }
    ecg_csv_close(t);
    return st;
}

/* ---- labevents ------------------------------------------------------------------------------------------------------------------------- */

enum { SUBJECT, HADM, ITEMID, CHARTTIME, VALUE, VALUENUM, UNIT, LOWER, UPPER, FIELDS };
static const char *const field_names[FIELDS] = {"subject_id", "hadm_id",  "itemid",          "charttime",      "value",
                                                "valuenum",   "valueuom", "ref_range_lower", "ref_range_upper"};

static bool is(const char *text, const char *other)
{
    return !strcmp(text, other);
}

/* Rows that no label is made from (docs/cohort.md 3). */
static bool is_excluded(const char *test, const char *unit, double lower, double upper)
{
    if (is(test, "other") || is(test, "H") || is(test, "I") || is(test, "L"))
        return true;
    if (lower == 0 && upper == 0)
        return true;
    return (is(test, "Absolute Lymphocyte Count") && is(unit, "#/uL")) || (is(test, "D-Dimer") && is(unit, "ng/mL DDU"));
}

/* Whether any recording of the patient wants a row of this moment; first: the patient's first recording. */
static bool is_wanted(const ecg_visits *v, int64_t first, int64_t time)
{
    for (int64_t i = first; i < v->n && v->at[i].subject == v->at[first].subject; i++) {
        const int64_t after = time - v->at[i].arrival;
        if ((after >= 0 && after <= ECG_WINDOW) || llabs(time - v->at[i].time) <= LABEL_WINDOW)
            return true;
    }
    return false;
}

static ecg_status store_row(ecg_labs *l, const lab_row *row, ecg_err *err)
{
    if (l->n == l->room) {
        const int64_t room = l->room ? l->room * 2 : 4096;
        lab_row *grown = realloc(l->row, (size_t)room * sizeof *grown);
        if (!grown)
            return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " laboratory rows", room);
        l->row = grown;
        l->room = room;
    }
    l->row[l->n++] = *row;
    return ECG_OK;
}

static ecg_status take_row(ecg_labs *l, const ecg_csv *t, const int *at, const ecg_visits *v, int64_t first, const uint8_t *training, ecg_err *err)
{
    int64_t itemid;
    double number;
    lab_row r = {.line = l->read, .patient = v->at[first].patient};
    ecg_status st;
    if ((st = ecg_csv_i64(t, at[ITEMID], &itemid, err)))
        return st;
    r.item = ecg_ids_get(&l->by_itemid, itemid);
    if (r.item < 0)
        return ECG_OK;
    if ((st = ecg_csv_i64(t, at[HADM], &r.hadm, err)) || (st = ecg_csv_time(t, at[CHARTTIME], &r.time, err)) ||
        (st = ecg_csv_double(t, at[VALUENUM], &number, err)) || (st = ecg_csv_double(t, at[LOWER], &r.lower, err)) ||
        (st = ecg_csv_double(t, at[UPPER], &r.upper, err)))
        return st;
    const ecg_field text = ecg_csv_field(t, at[VALUE]), unit = ecg_csv_field(t, at[UNIT]);
    item *i = &l->item[r.item];
    group *g = &l->group[i->group];
    r.value = ecg_lab_parse(number, text.len ? text.at : "", text.len);
    r.unit = ecg_words_put(&l->unit, unit.len ? unit.at : "", unit.len);
    if (r.unit < 0)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the laboratory units");
    g->rows++;
    if (r.time == INT64_MIN)
        return ECG_OK;
    r.for_labels = (!isnan(number) || r.value.sign) && !is_excluded(l->test.at[g->test], l->unit.at[r.unit], r.lower, r.upper);
    if (r.for_labels && !isnan(number)) {
        g->usable++;
        i->usable++;
        if (training[r.patient] && ((!isnan(r.lower) && !add_bound(&g->lower, r.lower)) || (!isnan(r.upper) && !add_bound(&g->upper, r.upper))))
            return ecg_fail(err, ECG_ENOMEM, "no memory for the reference ranges");
    }
    if ((isnan(number) && !r.for_labels) || !is_wanted(v, first, r.time))
        return ECG_OK;
    return store_row(l, &r, err);
}

static ecg_status read_events(ecg_labs *l, const ecg_visits *v, const uint8_t *training, const char *path, const ecg_watch *watch, ecg_err *err)
{
    int at[FIELDS];
    bool more;
    ecg_ids first = {0};
    ecg_csv *t = NULL;
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < v->n && !st; i++)
        st = ecg_ids_put(&first, v->at[i].subject, (int32_t)i, err);
    if (!st)
        st = ecg_table_open(&t, at, path, field_names, FIELDS, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t subject;
        if ((++l->read & 0xffff) == 0 && ecg_stopped(watch)) {
            st = ecg_fail(err, ECG_EINTR, "interrupted after %" PRId64 " laboratory rows", l->read);
            break;
        }
        if ((st = ecg_csv_i64(t, at[SUBJECT], &subject, err)))
            break;
        const int32_t i = ecg_ids_get(&first, subject);
        if (i >= 0)
            st = take_row(l, t, at, v, i, training, err);
    }
    ecg_csv_close(t);
    ecg_ids_clear(&first);
    return st;
}

static int by_patient_time(const void *x, const void *y)
{
    const lab_row *a = x, *b = y;
    if (a->patient != b->patient)
        return a->patient - b->patient;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Of each test the fluid with most rows; equal numbers: the first in the alphabet. */
static void choose_fluids(ecg_labs *l)
{
    for (int t = 0; t < l->test.n; t++)
        l->column_group[t] = l->label_group[t] = -1;
    for (int g = 0; g < l->groups; g++) {
        const group *x = &l->group[g];
        int *c = &l->column_group[x->test], *b = &l->label_group[x->test];
        const char *fluid = l->fluid.at[x->fluid];
        if (*c < 0 || x->rows > l->group[*c].rows || (x->rows == l->group[*c].rows && strcmp(fluid, l->fluid.at[l->group[*c].fluid]) < 0))
            *c = g;
        if (*b < 0 || x->usable > l->group[*b].usable || (x->usable == l->group[*b].usable && strcmp(fluid, l->fluid.at[l->group[*b].fluid]) < 0))
            *b = g;
    }
    for (int g = 0; g < l->groups; g++) {
        l->group[g].median_lower = median(&l->group[g].lower);
        l->group[g].median_upper = median(&l->group[g].upper);
    }
}

ecg_status ecg_labs_read(ecg_labs **out, const ecg_visits *v, const uint8_t *training, const ecg_mimic_tables *tables, const ecg_watch *watch, ecg_err *err)
{
    *out = NULL;
    ecg_labs *l = calloc(1, sizeof *l);
    ecg_status st = l ? read_items(l, tables->path[ECG_T_LABITEMS], err) : ecg_fail(err, ECG_ENOMEM, "no memory for the laboratory");
    if (!st)
        st = read_events(l, v, training, tables->path[ECG_T_LABEVENTS], watch, err);
    if (!st) {
        l->column_group = malloc(((size_t)l->test.n + 1) * sizeof *l->column_group);
        l->label_group = malloc(((size_t)l->test.n + 1) * sizeof *l->label_group);
        l->first = calloc((size_t)v->patients + 1, sizeof *l->first);
        if (!l->column_group || !l->label_group || !l->first)
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the laboratory");
    }
    if (st) {
        ecg_labs_free(l);
        return st;
    }
    choose_fluids(l);
    if (l->n)
        qsort(l->row, (size_t)l->n, sizeof *l->row, by_patient_time);
    for (int64_t i = 0; i < l->n; i++)
        l->first[l->row[i].patient + 1]++;
    for (int64_t p = 0; p < v->patients; p++)
        l->first[p + 1] += l->first[p];
    *out = l;
    return ECG_OK;
}

/* ---- columns --------------------------------------------------------------------------------------------------------------------------- */

/* The same admission, moment, value and unit of the same test and fluid. */
static bool is_duplicate(const lab_row *const *kept, int n, const lab_row *r)
{
    for (int i = n - 1; i >= 0 && kept[i]->time == r->time; i--)
        if (kept[i]->hadm == r->hadm && kept[i]->value.value == r->value.value && kept[i]->unit == r->unit)
            return true;
    return false;
}

static int64_t most_rows(const ecg_labs *l, int64_t patients)
{
    int64_t most = 1;
    for (int64_t p = 0; p < patients; p++)
        if (l->first[p + 1] - l->first[p] > most)
            most = l->first[p + 1] - l->first[p];
    return most;
}

ecg_status ecg_labs_features(float *table, const ecg_labs *l, const ecg_visits *v, ecg_err *err)
{
    const int64_t most = most_rows(l, v->patients);
    double *room = malloc((size_t)most * 3 * sizeof *room), *value = room, *minute = room + most, *scratch = room + 2 * most;
    const lab_row **kept = malloc((size_t)most * sizeof *kept);
    if (!room || !kept) {
        free(room);
        free(kept);
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " laboratory rows", most);
    }
    for (int t = 0; t < ECG_TESTS; t++) {
        const int word = ecg_words_get(&l->test, ecg_tests[t].label, strlen(ecg_tests[t].label));
        const int wanted = word < 0 ? -1 : l->column_group[word];
        for (int64_t i = 0; i < v->n; i++) {
            int n = 0;
            for (int64_t k = wanted < 0 ? 0 : l->first[v->at[i].patient]; wanted >= 0 && k < l->first[v->at[i].patient + 1]; k++) {
                const lab_row *r = &l->row[k];
                const int64_t after = r->time - v->at[i].arrival;
                if (l->item[r->item].group != wanted || after < 0 || after > ECG_WINDOW || isnan(r->value.value) || r->value.value > ecg_tests[t].high ||
                    is_duplicate(kept, n, r))
                    continue;
                value[n] = r->value.value;
                minute[n] = (double)after / 60;
                kept[n++] = r;
            }
            ecg_nine_statistics(table + i * ECG_COLUMNS + ECG_COL_LABS + t * ECG_STATISTICS, value, minute, n, scratch);
        }
    }
    free(room);
    free(kept);
    return ECG_OK;
}

/* ---- labels ---------------------------------------------------------------------------------------------------------------------------- */

/* class (tests) of one recording: of each test the row nearest in time whose class is certain, at most an hour away; equal distances: first in the file. */
static void classes_of(int8_t *class, int64_t *apart, int64_t *line, const ecg_labs *l, const ecg_visit *v)
{
    memset(class, ECG_LAB_UNKNOWN, (size_t)l->test.n);
    for (int64_t k = l->first[v->patient]; k < l->first[v->patient + 1]; k++) {
        const lab_row *r = &l->row[k];
        const int g = l->item[r->item].group, test = l->group[g].test;
        const int64_t distance = llabs(r->time - v->time);
        if (!r->for_labels || distance > LABEL_WINDOW || l->label_group[test] != g)
            continue;
        if (class[test] != ECG_LAB_UNKNOWN && (distance > apart[test] || (distance == apart[test] && r->line > line[test])))
            continue;
        const ecg_lab_class c = ecg_lab_classify(&r->value, isnan(r->lower) ? l->group[g].median_lower : r->lower,
                                                 isnan(r->upper) ? l->group[g].median_upper : r->upper);
        if (c == ECG_LAB_UNKNOWN)
            continue;
        class[test] = (int8_t)c;
        apart[test] = distance;
        line[test] = r->line;
    }
}

static void describe_label(ecg_label *out, const ecg_labs *l, int test, bool high)
{
    const int g = l->label_group[test];
    const item *most = NULL;
    for (int i = 0; i < l->items; i++)
        if (l->item[i].group == g && (!most || l->item[i].usable > most->usable))
            most = &l->item[i];
    *out = (ecg_label){0};
    snprintf(out->code, sizeof out->code, "%.58s_%s", l->test.at[test], high ? "high" : "low");
    snprintf(out->title, sizeof out->title, "%.100s %s its reference range", l->test.at[test], high ? "above" : "below");
    snprintf(out->fluid, sizeof out->fluid, "%.23s", l->fluid.at[l->group[g].fluid]);
    if (most)
        snprintf(out->itemid, sizeof out->itemid, "%" PRId64, most->itemid);
}

static int find_label(const ecg_label_table *t, const char *code)
{
    for (int k = 0; k < t->n; k++)
        if (!strcmp(t->label[k].code, code))
            return k;
    return -1;
}

typedef struct {
    int64_t n[2][ECG_LAB_HIGH + 1]; /* training, validation: recordings of each class */
} class_counts;

static bool is_learnable(const class_counts *c, int target, int64_t min_labs)
{
    for (int role = 0; role < 2; role++) {
        const int64_t need = role ? min_labs / 4 : min_labs, positive = c->n[role][target];
        const int64_t negative = c->n[role][ECG_LAB_LOW] + c->n[role][ECG_LAB_NORMAL] + c->n[role][ECG_LAB_HIGH] - positive;
        if (positive < need || negative < need)
            return false;
    }
    return true;
}

/* Table and, per test, the index of its low and high label in it (-1: not kept). */
static ecg_status choose_labels(ecg_label_table *table, int (*index)[2], const class_counts *count, const ecg_labs *l, int64_t min_labs, ecg_err *err)
{
    table->label = calloc((size_t)l->test.n * 2 + 1, sizeof *table->label);
    if (!table->label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the lab labels");
    for (int t = 0; t < l->test.n; t++)
        for (int high = 0; high < 2; high++)
            if (is_learnable(&count[t], high ? ECG_LAB_HIGH : ECG_LAB_LOW, min_labs)) {
                describe_label(&table->label[table->n], l, t, high);
                if (find_label(table, table->label[table->n].code) >= 0)
                    return ecg_fail(err, ECG_EDATA, "two lab labels are called %s", table->label[table->n].code);
                table->n++;
            }
    ecg_label_table_hash(table); /* sorts */
    for (int t = 0; t < l->test.n; t++)
        for (int high = 0; high < 2; high++) {
            ecg_label name;
            if (l->label_group[t] >= 0)
                describe_label(&name, l, t, high);
            index[t][high] = l->label_group[t] >= 0 ? find_label(table, name.code) : -1;
        }
    return ECG_OK;
}

ecg_status ecg_labs_labels(ecg_label_table *table, int8_t **label, const ecg_labs *l, const ecg_visits *v, const int8_t *role, int64_t min_labs, ecg_err *err)
{
    const size_t tests = (size_t)l->test.n + 1;
    int8_t *class = malloc(tests);
    int64_t *apart = malloc(tests * 2 * sizeof *apart), *line = apart + tests;
    class_counts *count = calloc(tests, sizeof *count);
    int (*index)[2] = malloc(tests * sizeof *index);
    *label = NULL;
    ecg_status st = class && apart && count && index ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the lab labels");
    for (int64_t i = 0; i < v->n && !st; i++) {
        if (role[i] != 0 && role[i] != 1) /* the test folds take no part in the choice */
            continue;
        classes_of(class, apart, line, l, &v->at[i]);
        for (int t = 0; t < l->test.n; t++)
            if (class[t] >= 0)
                count[t].n[role[i]][class[t]]++;
    }
    if (!st)
        st = choose_labels(table, index, count, l, min_labs, err);
    if (!st && table->n) {
        *label = malloc((size_t)v->n * (size_t)table->n);
        if (!*label)
            st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d lab labels", v->n, table->n);
    }
    for (int64_t i = 0; i < v->n && !st && table->n; i++) {
        classes_of(class, apart, line, l, &v->at[i]);
        for (int t = 0; t < l->test.n; t++)
            for (int high = 0; high < 2; high++)
                if (index[t][high] >= 0)
                    (*label)[i * table->n + index[t][high]] = class[t] < 0 ? -1 : class[t] == (high ? ECG_LAB_HIGH : ECG_LAB_LOW);
    }
    free(class);
    free(apart);
    free(count);
    free(index);
    return st;
}
