/* SPDX-License-Identifier: MIT
 * lab_rows.c: the one pass over labevents. */
#include "cohort/lab_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
    bounds lower, upper;
} limits;

/* What is needed while reading only. */
typedef struct {
    ecg_lab_rows *l;
    const ecg_visits *v;
    const uint8_t *training;
    int64_t behind, ahead, room;
    limits (*seen)[2]; /* (groups) reference limits: of training patients, of the others */
} reading;

void ecg_lab_rows_clear(ecg_lab_rows *l)
{
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
    *l = (ecg_lab_rows){0};
}

static bool add_bound(bounds *b, double value, int64_t count)
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
        b->at[low].count += count;
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
    b->at[low] = (bound_count){value, count};
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

/* Of both lists together; either may be NULL. */
static bool merge(bounds *out, const bounds *b)
{
    for (int i = 0; b && i < b->n; i++)
        if (!add_bound(out, b->at[i].value, b->at[i].count))
            return false;
    return true;
}

/* The middle of what two lists hold together. False: out of memory. */
static bool median(double *out, const bounds *x, const bounds *y)
{
    bounds both = {0};
    const bool room = merge(&both, x) && merge(&both, y);
    int64_t n = 0;
    for (int i = 0; i < both.n; i++)
        n += both.at[i].count;
    *out = n ? (ranked(&both, (n - 1) / 2) + ranked(&both, n / 2)) / 2 : NAN;
    free(both.at);
    return room;
}

static int find_group(const ecg_lab_rows *l, int test, int fluid)
{
    for (int g = 0; g < l->groups; g++)
        if (l->group[g].test == test && l->group[g].fluid == fluid)
            return g;
    return -1;
}

static ecg_status read_items(ecg_lab_rows *l, const char *path, ecg_err *err)
{
    static const char *const need[] = {"itemid", "label", "fluid"};
    int at[3];
    bool more;
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 3, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        ecg_lab_item *items = realloc(l->item, ((size_t)l->items + 1) * sizeof *items);
        if (items)
            l->item = items;
        ecg_lab_group *groups = realloc(l->group, ((size_t)l->groups + 1) * sizeof *groups);
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
        ecg_lab_item *i = &l->item[l->items];
        *i = (ecg_lab_item){.group = find_group(l, test, in)};
        if ((st = ecg_csv_i64(t, at[0], &i->itemid, err)))
            break;
        if (i->group < 0) {
            l->group[l->groups] = (ecg_lab_group){.test = test, .fluid = in};
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
bool ecg_lab_excluded(const char *test, const char *unit, double lower, double upper)
{
    if (is(test, "other") || is(test, "H") || is(test, "I") || is(test, "L"))
        return true;
    if (lower == 0 && upper == 0)
        return true;
    return (is(test, "Absolute Lymphocyte Count") && is(unit, "#/uL")) || (is(test, "D-Dimer") && is(unit, "ng/mL DDU"));
}

/* Whether any recording of the patient wants a row of this moment; first: the patient's first recording. */
static bool is_wanted(const reading *r, int64_t first, int64_t time)
{
    const ecg_visits *v = r->v;
    for (int64_t i = first; i < v->n && v->at[i].subject == v->at[first].subject; i++) {
        const int64_t after = time - v->at[i].arrival, apart = time - v->at[i].time;
        if ((after >= 0 && after <= ECG_WINDOW) || (apart >= -r->behind && apart <= r->ahead))
            return true;
    }
    return false;
}

static ecg_status store_row(reading *r, const ecg_lab_row *row, ecg_err *err)
{
    ecg_lab_rows *l = r->l;
    if (l->n == r->room) {
        const int64_t room = r->room ? r->room * 2 : 4096;
        ecg_lab_row *grown = realloc(l->row, (size_t)room * sizeof *grown);
        if (!grown)
            return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " laboratory rows", room);
        l->row = grown;
        r->room = room;
    }
    l->row[l->n++] = *row;
    return ECG_OK;
}

static ecg_status take_row(reading *r, const ecg_csv *t, const int *at, int64_t first, ecg_err *err)
{
    ecg_lab_rows *l = r->l;
    int64_t itemid;
    double number;
    ecg_lab_row row = {.line = l->read, .patient = r->v->at[first].patient};
    ecg_status st;
    if ((st = ecg_csv_i64(t, at[ITEMID], &itemid, err)))
        return st;
    row.item = ecg_ids_get(&l->by_itemid, itemid);
    if (row.item < 0)
        return ECG_OK;
    if ((st = ecg_csv_i64(t, at[HADM], &row.hadm, err)) || (st = ecg_csv_time(t, at[CHARTTIME], &row.time, err)) ||
        (st = ecg_csv_double(t, at[VALUENUM], &number, err)) || (st = ecg_csv_double(t, at[LOWER], &row.lower, err)) ||
        (st = ecg_csv_double(t, at[UPPER], &row.upper, err)))
        return st;
    const ecg_field text = ecg_csv_field(t, at[VALUE]), unit = ecg_csv_field(t, at[UNIT]);
    ecg_lab_item *i = &l->item[row.item];
    ecg_lab_group *g = &l->group[i->group];
    row.value = ecg_lab_parse(number, text.len ? text.at : "", text.len);
    row.unit = ecg_words_put(&l->unit, unit.len ? unit.at : "", unit.len);
    if (row.unit < 0)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the laboratory units");
    g->rows++;
    if (row.time == INT64_MIN)
        return ECG_OK;
    row.for_labels = (!isnan(number) || row.value.sign) && !ecg_lab_excluded(l->test.at[g->test], l->unit.at[row.unit], row.lower, row.upper);
    if (row.for_labels && !isnan(number)) {
        limits *seen = &r->seen[i->group][!r->training[row.patient]];
        g->usable++;
        i->usable++;
        if ((!isnan(row.lower) && !add_bound(&seen->lower, row.lower, 1)) || (!isnan(row.upper) && !add_bound(&seen->upper, row.upper, 1)))
            return ecg_fail(err, ECG_ENOMEM, "no memory for the reference ranges");
    }
    if ((isnan(number) && !row.for_labels) || !is_wanted(r, first, row.time))
        return ECG_OK;
    return store_row(r, &row, err);
}

static ecg_status read_events(reading *r, const char *path, const ecg_watch *watch, ecg_err *err)
{
    const ecg_visits *v = r->v;
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
        if ((++r->l->read & 0xffff) == 0 && ecg_stopped(watch)) {
            st = ecg_fail(err, ECG_EINTR, "interrupted after %" PRId64 " laboratory rows", r->l->read);
            break;
        }
        if ((st = ecg_csv_i64(t, at[SUBJECT], &subject, err)))
            break;
        const int32_t i = ecg_ids_get(&first, subject);
        if (i >= 0)
            st = take_row(r, t, at, i, err);
    }
    ecg_csv_close(t);
    ecg_ids_clear(&first);
    return st;
}

static int by_patient_time(const void *x, const void *y)
{
    const ecg_lab_row *a = x, *b = y;
    if (a->patient != b->patient)
        return a->patient - b->patient;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Of each test the fluid with most rows; equal numbers: the first in the alphabet. */
static void choose_fluids(ecg_lab_rows *l)
{
    for (int t = 0; t < l->test.n; t++)
        l->column_group[t] = l->label_group[t] = -1;
    for (int g = 0; g < l->groups; g++) {
        const ecg_lab_group *x = &l->group[g];
        int *c = &l->column_group[x->test], *b = &l->label_group[x->test];
        const char *fluid = l->fluid.at[x->fluid];
        if (*c < 0 || x->rows > l->group[*c].rows || (x->rows == l->group[*c].rows && strcmp(fluid, l->fluid.at[l->group[*c].fluid]) < 0))
            *c = g;
        if (*b < 0 || x->usable > l->group[*b].usable || (x->usable == l->group[*b].usable && strcmp(fluid, l->fluid.at[l->group[*b].fluid]) < 0))
            *b = g;
    }
}

static ecg_status take_medians(reading *r, ecg_err *err)
{
    for (int g = 0; g < r->l->groups; g++) {
        ecg_lab_group *x = &r->l->group[g];
        const limits *mine = &r->seen[g][0], *others = &r->seen[g][1];
        if (!median(&x->training.lower, &mine->lower, NULL) || !median(&x->training.upper, &mine->upper, NULL) ||
            !median(&x->all.lower, &mine->lower, &others->lower) || !median(&x->all.upper, &mine->upper, &others->upper))
            return ecg_fail(err, ECG_ENOMEM, "no memory for the reference ranges");
    }
    return ECG_OK;
}

static void limits_clear(reading *r)
{
    for (int g = 0; r->seen && g < r->l->groups; g++)
        for (int s = 0; s < 2; s++) {
            free(r->seen[g][s].lower.at);
            free(r->seen[g][s].upper.at);
        }
    free(r->seen);
}

ecg_status ecg_lab_rows_read(ecg_lab_rows *out, const ecg_visits *v, const uint8_t *training, const char *labitems, const char *labevents, int64_t behind,
                             int64_t ahead, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    (void)pool;
    *out = (ecg_lab_rows){0};
    ecg_lab_rows *l = out;
    reading r = {.l = l, .v = v, .training = training, .behind = behind, .ahead = ahead};
    ecg_status st = read_items(l, labitems, err);
    if (!st) {
        r.seen = calloc((size_t)l->groups + 1, sizeof *r.seen);
        l->column_group = malloc(((size_t)l->test.n + 1) * sizeof *l->column_group);
        l->label_group = malloc(((size_t)l->test.n + 1) * sizeof *l->label_group);
        l->first = calloc((size_t)v->patients + 1, sizeof *l->first);
        if (!r.seen || !l->column_group || !l->label_group || !l->first)
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the laboratory");
    }
    if (!st)
        st = read_events(&r, labevents, watch, err);
    if (!st)
        st = take_medians(&r, err);
    limits_clear(&r);
    if (st) {
        ecg_lab_rows_clear(l);
        return st;
    }
    choose_fluids(l);
    if (l->n)
        qsort(l->row, (size_t)l->n, sizeof *l->row, by_patient_time);
    for (int64_t i = 0; i < l->n; i++)
        l->first[l->row[i].patient + 1]++;
    for (int64_t p = 0; p < v->patients; p++)
        l->first[p + 1] += l->first[p];
    return ECG_OK;
}
