/* SPDX-License-Identifier: MIT
 * lab_rows.c: the one pass over labevents. */
#include "cohort/lab_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/scratch.h"
#include "cohort/lab_kinds.h"
#include "cohort/lab_limits.h"

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
            return x == 0 && lower == 0 ? ECG_LAB_NORMAL : ECG_LAB_LOW; /* "<0" against a limit of 0 says nothing below it */
        if ((isnan(lower) || lower == 0) && !(x > upper))
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
    free(l->kind);
    ecg_scratch_free(l->row);
    free(l->first);
    *l = (ecg_lab_rows){0};
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

/* Tests some or all rows of which no label is made from. */
static bool is_named(const char *test)
{
    static const char *const names[] = {"other", "H", "I", "L", "Absolute Lymphocyte Count", "D-Dimer"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is(test, names[i]))
            return true;
    return false;
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

enum { TRAINING, OTHERS };

/* Rows and their patients, side by side. */
typedef struct {
    ecg_lab_row *row;
    int32_t *patient;
    int64_t n, room;
} row_list;

/* What a block of rows leaves until it is merged, and what it adds up to over all blocks of its slot. */
typedef struct {
    row_list kept;          /* of the block; line: from 1 in it; kind: number in this slot's kinds, whose units are numbers in this slot's words */
    ecg_words unit;
    ecg_lab_kinds kinds;
    int *number;            /* (numbered) number of a kind in the result, -1: no such row was kept so far */
    int numbered;
    int64_t *rows, *usable; /* (groups) */
    int64_t *item_usable;   /* (items) */
    struct { ecg_lab_limits lower, upper; } (*seen)[2]; /* (groups) reference limits of training patients, of the others */
} slot;

/* What is needed while reading only. */
typedef struct {
    ecg_lab_rows *l;
    const ecg_visits *v;
    const uint8_t *training;
    int64_t behind, ahead;
    int at[FIELDS];
    ecg_ids first;    /* patient's id -> the first recording */
    bool *special;    /* (groups) of a test that ecg_lab_excluded knows by name */
    slot *slot;       /* (slots) */
    int slots;
    row_list kept;
    ecg_lab_kinds kinds;
} reading;

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

static bool is_excluded(const reading *r, int group, const char *unit, const ecg_lab_kind *kind)
{
    return (kind->lower == 0 && kind->upper == 0) ||
           (r->special[group] && ecg_lab_excluded(r->l->test.at[r->l->group[group].test], unit, kind->lower, kind->upper));
}

static bool make_room(row_list *list, int64_t n, const char *beside)
{
    if (n <= list->room)
        return true;
    int64_t room = list->room ? list->room * 2 : 4096;
    while (room < n)
        room *= 2;
    ecg_lab_row *row = ecg_scratch_grow(list->row, (size_t)room * sizeof *row, beside);
    if (row)
        list->row = row;
    int32_t *patient = ecg_scratch_grow(list->patient, (size_t)room * sizeof *patient, beside);
    if (patient)
        list->patient = patient;
    if (!row || !patient)
        return false;
    list->room = room;
    return true;
}

/* A row of a patient of the cohort. */
static ecg_status take_row(reading *r, slot *s, const ecg_csv *t, int64_t first, ecg_err *err)
{
    const int32_t patient = r->v->at[first].patient;
    int64_t itemid;
    double number;
    ecg_lab_row row = {.line = (uint32_t)ecg_csv_row(t)};
    ecg_lab_kind kind = {0};
    ecg_status st;
    if ((st = ecg_csv_i64(t, r->at[ITEMID], &itemid, err)))
        return st;
    kind.item = ecg_ids_get(&r->l->by_itemid, itemid);
    if (kind.item < 0)
        return ECG_OK;
    if ((st = ecg_csv_i64(t, r->at[HADM], &row.hadm, err)) || (st = ecg_csv_time(t, r->at[CHARTTIME], &row.time, err)) ||
        (st = ecg_csv_double(t, r->at[VALUENUM], &number, err)) || (st = ecg_csv_double(t, r->at[LOWER], &kind.lower, err)) ||
        (st = ecg_csv_double(t, r->at[UPPER], &kind.upper, err)))
        return st;
    const ecg_field text = ecg_csv_field(t, r->at[VALUE]), unit = ecg_csv_field(t, r->at[UNIT]);
    const int group = r->l->item[kind.item].group;
    s->rows[group]++;
    if (row.time == INT64_MIN)
        return ECG_OK;
    const ecg_lab_value value = ecg_lab_parse(number, text.at, text.len);
    kind.unit = ecg_words_put(&s->unit, unit.at, unit.len);
    if (kind.unit < 0)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the laboratory units");
    kind.for_labels = (!isnan(number) || value.sign) && !is_excluded(r, group, s->unit.at[kind.unit], &kind);
    if (kind.for_labels && !isnan(number)) {
        const int who = r->training[patient] ? TRAINING : OTHERS;
        s->usable[group]++;
        s->item_usable[kind.item]++;
        if ((!isnan(kind.lower) && !ecg_lab_limits_add(&s->seen[group][who].lower, kind.lower, 1)) ||
            (!isnan(kind.upper) && !ecg_lab_limits_add(&s->seen[group][who].upper, kind.upper, 1)))
            return ecg_fail(err, ECG_ENOMEM, "no memory for the reference ranges");
    }
    if ((isnan(number) && !kind.for_labels) || !is_wanted(r, first, row.time))
        return ECG_OK;
    kind.sign = value.sign;
    kind.or_equal = value.or_equal;
    row.number = value.sign ? value.bound : value.value;
    row.kind = ecg_lab_kinds_put(&s->kinds, &kind);
    if (row.kind < 0 || !make_room(&s->kept, s->kept.n + 1, NULL))
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " laboratory rows", s->kept.n);
    s->kept.patient[s->kept.n] = patient;
    s->kept.row[s->kept.n++] = row;
    return ECG_OK;
}

static ecg_status take_block(void *ctx, ecg_csv *t, int number, ecg_err *err)
{
    reading *r = ctx;
    slot *s = &r->slot[number];
    int64_t subject, last = INT64_MIN;
    int32_t first = -1;
    bool more;
    ecg_status st = ECG_OK;
    s->kept.n = 0;
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        if ((st = ecg_csv_i64(t, r->at[SUBJECT], &subject, err)))
            break;
        if (subject != last) /* rows of a patient follow one another */
            first = ecg_ids_get(&r->first, last = subject);
        if (first >= 0)
            st = take_row(r, s, t, first, err);
    }
    return st;
}

/* Number of a slot's kind in the result; kinds and units are numbered in order of the first row kept. */
static int kind_number(reading *r, slot *s, int kind)
{
    if (kind >= s->numbered) {
        int *more = realloc(s->number, (size_t)s->kinds.room * sizeof *more);
        if (!more)
            return -1;
        for (s->number = more; s->numbered < s->kinds.room; s->numbered++)
            more[s->numbered] = -1;
    }
    if (s->number[kind] < 0) {
        ecg_lab_kind x = s->kinds.at[kind];
        const char *unit = s->unit.at[x.unit];
        x.unit = ecg_words_put(&r->l->unit, unit, strlen(unit));
        s->number[kind] = x.unit < 0 ? -1 : ecg_lab_kinds_put(&r->kinds, &x);
    }
    return s->number[kind];
}

static ecg_status merge_block(void *ctx, int number, int64_t rows, ecg_err *err)
{
    reading *r = ctx;
    slot *s = &r->slot[number];
    row_list *all = &r->kept;
    if (!make_room(all, all->n + s->kept.n, r->v->beside))
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " laboratory rows", all->n + s->kept.n);
    for (int64_t i = 0; i < s->kept.n; i++, all->n++) {
        ecg_lab_row *row = &all->row[all->n];
        *row = s->kept.row[i];
        all->patient[all->n] = s->kept.patient[i];
        if (rows + row->line > UINT32_MAX)
            return ecg_fail(err, ECG_EUNSUPPORTED, "more than %u laboratory rows", UINT32_MAX);
        row->line = (uint32_t)(rows + row->line);
        if ((row->kind = kind_number(r, s, row->kind)) < 0)
            return ecg_fail(err, ECG_ENOMEM, "no memory for the kinds of laboratory rows");
    }
    return ECG_OK;
}

static ecg_status begin_reading(reading *r, ecg_pool *pool, ecg_err *err)
{
    const ecg_lab_rows *l = r->l;
    const size_t groups = (size_t)l->groups + 1;
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < r->v->n && !st; i++)
        st = ecg_ids_put(&r->first, r->v->at[i].subject, (int32_t)i, err);
    if (st)
        return st;
    r->slots = ecg_csv_slots(pool);
    r->slot = calloc((size_t)r->slots, sizeof *r->slot);
    r->special = calloc(groups, sizeof *r->special);
    bool room = r->slot && r->special;
    for (int i = 0; i < r->slots && room; i++) {
        slot *s = &r->slot[i];
        s->rows = calloc(groups, sizeof *s->rows);
        s->usable = calloc(groups, sizeof *s->usable);
        s->item_usable = calloc((size_t)l->items + 1, sizeof *s->item_usable);
        s->seen = calloc(groups, sizeof *s->seen);
        room = s->rows && s->usable && s->item_usable && s->seen;
    }
    if (!room)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the laboratory");
    for (int g = 0; g < l->groups; g++)
        r->special[g] = is_named(l->test.at[l->group[g].test]);
    return ECG_OK;
}

static void end_reading(reading *r)
{
    for (int i = 0; r->slot && i < r->slots; i++) {
        slot *s = &r->slot[i];
        for (int g = 0; s->seen && g < r->l->groups; g++)
            for (int k = 0; k < 2; k++) {
                ecg_lab_limits_clear(&s->seen[g][k].lower);
                ecg_lab_limits_clear(&s->seen[g][k].upper);
            }
        ecg_words_clear(&s->unit);
        ecg_lab_kinds_clear(&s->kinds);
        ecg_scratch_free(s->kept.row);
        ecg_scratch_free(s->kept.patient);
        free(s->number);
        free(s->rows);
        free(s->usable);
        free(s->item_usable);
        free(s->seen);
    }
    free(r->slot);
    free(r->special);
    ecg_scratch_free(r->kept.row);
    ecg_scratch_free(r->kept.patient);
    ecg_lab_kinds_clear(&r->kinds);
    ecg_ids_clear(&r->first);
}

/* What the slots counted, into the first of them and from there into the result. */
static ecg_status add_up(reading *r, ecg_err *err)
{
    ecg_lab_rows *l = r->l;
    slot *all = &r->slot[0];
    bool room = true;
    for (int g = 0; g < l->groups && room; g++) {
        ecg_lab_group *x = &l->group[g];
        for (int i = 0; i < r->slots; i++) {
            const slot *s = &r->slot[i];
            x->rows += s->rows[g];
            x->usable += s->usable[g];
            for (int k = 0; k < 2 && i > 0; k++)
                room = room && ecg_lab_limits_merge(&all->seen[g][k].lower, &s->seen[g][k].lower) &&
                       ecg_lab_limits_merge(&all->seen[g][k].upper, &s->seen[g][k].upper);
        }
        room = room && ecg_lab_limits_median(&x->training.lower, &all->seen[g][TRAINING].lower, NULL) &&
               ecg_lab_limits_median(&x->training.upper, &all->seen[g][TRAINING].upper, NULL) &&
               ecg_lab_limits_median(&x->all.lower, &all->seen[g][TRAINING].lower, &all->seen[g][OTHERS].lower) &&
               ecg_lab_limits_median(&x->all.upper, &all->seen[g][TRAINING].upper, &all->seen[g][OTHERS].upper);
    }
    for (int i = 0; i < l->items; i++)
        for (int k = 0; k < r->slots; k++)
            l->item[i].usable += r->slot[k].item_usable[i];
    return room ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the reference ranges");
}

/* ---- order --------------------------------------------------------------------------------------------------------------------------- */

static int by_time(const void *x, const void *y)
{
    const ecg_lab_row *a = x, *b = y;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Rows of the patients from .. to, in place, so that those of `step` patients at a time lie together in the end; next: room for as many numbers. */
static void gather(row_list *list, const int64_t *first, int64_t *next, int32_t from, int32_t to, int32_t step)
{
    const int32_t groups = (to - from + step - 1) / step;
    for (int32_t g = 0; g < groups; g++)
        next[g] = first[from + g * step];
    for (int32_t g = 0; g < groups; g++) {
        const int64_t end = first[to - from > (g + 1) * step ? from + (g + 1) * step : to];
        while (next[g] < end) {
            const int64_t here = next[g];
            const int32_t patient = list->patient[here], other = (patient - from) / step;
            const int64_t there = next[other]++;
            if (there == here)
                continue;
            const ecg_lab_row row = list->row[here];
            list->row[here] = list->row[there];
            list->patient[here] = list->patient[there];
            list->row[there] = row;
            list->patient[there] = patient;
        }
    }
}

/* By patient. Released tables are in this order already; others in two passes, as swaps all over a large table wait for memory at each row. */
static void gather_patients(row_list *list, const int64_t *first, int64_t *next, int32_t patients)
{
    const int32_t step = patients / 256 + 1;
    gather(list, first, next, 0, patients, step);
    for (int32_t p = 0; p < patients; p += step)
        gather(list, first, next, p, patients - p > step ? p + step : patients, 1);
}

/* Into the result, by patient, time, line. */
static ecg_status sort_rows(reading *r, ecg_err *err)
{
    ecg_lab_rows *l = r->l;
    const int64_t patients = r->v->patients;
    int64_t *next = malloc(((size_t)patients + 1) * sizeof *next);
    if (!next)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " patients", patients);
    for (int64_t i = 0; i < r->kept.n; i++)
        l->first[r->kept.patient[i] + 1]++;
    for (int64_t p = 0; p < patients; p++)
        l->first[p + 1] += l->first[p];
    gather_patients(&r->kept, l->first, next, (int32_t)patients);
    free(next);
    l->row = r->kept.row;
    l->n = r->kept.n;
    l->kind = r->kinds.at;
    l->kinds = r->kinds.n;
    r->kept.row = NULL;
    r->kinds.at = NULL;
    for (int64_t p = 0; p < patients; p++) {
        bool sorted = true;
        for (int64_t i = l->first[p] + 1; i < l->first[p + 1] && sorted; i++)
            sorted = by_time(&l->row[i - 1], &l->row[i]) < 0;
        if (!sorted)
            qsort(l->row + l->first[p], (size_t)(l->first[p + 1] - l->first[p]), sizeof *l->row, by_time);
    }
    return ECG_OK;
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

ecg_status ecg_lab_rows_read(ecg_lab_rows *out, const ecg_visits *v, const uint8_t *training, const char *labitems, const char *labevents, int64_t behind,
                             int64_t ahead, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    *out = (ecg_lab_rows){0};
    ecg_lab_rows *l = out;
    reading r = {.l = l, .v = v, .training = training, .behind = behind, .ahead = ahead};
    const ecg_csv_job job = {&r, take_block, merge_block};
    ecg_csv *t = NULL;
    ecg_status st = read_items(l, labitems, err);
    if (!st) {
        l->column_group = malloc(((size_t)l->test.n + 1) * sizeof *l->column_group);
        l->label_group = malloc(((size_t)l->test.n + 1) * sizeof *l->label_group);
        l->first = calloc((size_t)v->patients + 1, sizeof *l->first);
        if (!l->column_group || !l->label_group || !l->first)
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the laboratory");
    }
    if (!st)
        st = begin_reading(&r, pool, err);
    if (!st)
        st = ecg_table_open(&t, r.at, labevents, field_names, FIELDS, err);
    if (!st)
        st = ecg_csv_each(t, &l->read, &job, "laboratory rows", pool, watch, err);
    if (!st)
        st = add_up(&r, err);
    ecg_csv_close(t);
    if (!st)
        st = sort_rows(&r, err);
    end_reading(&r);
    if (st) {
        ecg_lab_rows_clear(l);
        return st;
    }
    choose_fluids(l);
    return ECG_OK;
}
