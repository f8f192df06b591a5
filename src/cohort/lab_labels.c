/* SPDX-License-Identifier: MIT
 * lab_labels.c: which laboratory tests of a recording were low or high, in four families of windows, and the class of every row.
 *
 * What a label may be made from is decided row by row (ecg_lab_excluded, a time, a value). The fluid of a test is that with most numeric rows among
 * them, the order of CardioLab (rows first, then fluid, then the number of rows, then medians) in every mode: a censored text counts where its
 * class is certain, but never decides a fluid, a median or the 200 rows. So `paper` differs from the default in the rows (numbers alone), in the
 * tests (200 rows) and in the choice of labels, not in the fluid. */
#include "cohort/lab_labels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scratch.h"
#include "cohort/labs.h"

enum {
    PAPER_ROWS = 200,   /* usable rows of a test, over the whole table and not only near a recording */
    PAPER_COUNT = 10    /* zeros and ones of a label in validation and in test */
};

/* ---- one row ---------------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    double lower, upper; /* NAN: none */
} limits;

static limits limits_of(const ecg_lab_group *g, double lower, double upper, ecg_lab_ranges ranges)
{
    if (ranges == ECG_RANGES_MEDIAN)
        return (limits){g->all.lower, g->all.upper};
    if (ranges == ECG_RANGES_TRAIN_MEDIAN)
        return (limits){g->training.lower, g->training.upper};
    return (limits){isnan(lower) ? g->training.lower : lower, isnan(upper) ? g->training.upper : upper};
}

/* A test without any range has no class. CardioLab calls all its rows normal and then drops it as a test of one class: the labels are the same. */
static ecg_lab_class class_of(const ecg_lab_value *value, limits range, bool paper)
{
    return paper && isnan(value->value) ? ECG_LAB_UNKNOWN : ecg_lab_classify(value, range.lower, range.upper);
}

/* ---- one recording ------------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    int64_t before, after; /* seconds around the recording, both ends included */
    bool nearest;          /* the nearest row decides; else all of them together */
} window;

static bool window_of(window *out, unsigned family)
{
    switch (family) {
    case ECG_LABS_EST: *out = (window){60 * 60, 60 * 60, true}; return true;
    case ECG_LABS_MON30: *out = (window){0, 30 * 60, false}; return true;
    case ECG_LABS_MON60: *out = (window){0, 60 * 60, false}; return true;
    case ECG_LABS_MON120: *out = (window){0, 120 * 60, false}; return true;
    default: return false;
    }
}

/* What the rows in the window say of one test. */
typedef struct {
    ecg_lab_class nearest;
    int64_t apart, line;   /* of the nearest */
    bool seen[3];          /* ECG_LAB_LOW, NORMAL, HIGH */
} finding;

typedef struct {
    finding *of;           /* (tests) nearest is unknown but for those listed */
    int *test;             /* (n) tests with a class */
    int n;
} findings;

/* Rows without a certain class say nothing, however near they are; equal distances: the first in the file. */
static void find_classes(findings *found, const ecg_lab_rows *l, const ecg_visit *v, const window *w, const ecg_lab_choice *how)
{
    while (found->n)
        found->of[found->test[--found->n]] = (finding){.nearest = ECG_LAB_UNKNOWN};
    for (int64_t k = ecg_lab_first_at(l, v->patient, v->time - w->before); k < l->first[v->patient + 1] && l->row[k].time <= v->time + w->after; k++) {
        const ecg_lab_row *r = &l->row[k];
        const ecg_lab_kind *kind = &l->kind[r->kind];
        const int group = l->item[kind->item].group;
        const ecg_lab_group *g = &l->group[group];
        if (!kind->for_labels || l->label_group[g->test] != group || (how->paper && g->usable < PAPER_ROWS))
            continue;
        const ecg_lab_value value = ecg_lab_value_of(l, r);
        const ecg_lab_class c = class_of(&value, limits_of(g, kind->lower, kind->upper, how->ranges), how->paper);
        if (c == ECG_LAB_UNKNOWN)
            continue;
        finding *f = &found->of[g->test];
        const int64_t apart = llabs(r->time - v->time);
        if (f->nearest == ECG_LAB_UNKNOWN)
            found->test[found->n++] = g->test;
        if (f->nearest == ECG_LAB_UNKNOWN || apart < f->apart || (apart == f->apart && r->line < f->line)) {
            f->nearest = c;
            f->apart = apart;
            f->line = r->line;
        }
        f->seen[c] = true;
    }
}

/* 1 abnormal on this side, 0 not, -1 unknown. While a patient is monitored, a test that was both low and high says neither. */
static int8_t target_of(const finding *f, const window *w, bool high)
{
    const ecg_lab_class side = high ? ECG_LAB_HIGH : ECG_LAB_LOW;
    if (f->nearest == ECG_LAB_UNKNOWN)
        return -1;
    if (w->nearest)
        return f->nearest == side;
    return f->seen[ECG_LAB_LOW] && f->seen[ECG_LAB_HIGH] ? -1 : (int8_t)f->seen[side];
}

/* ---- which labels ------------------------------------------------------------------------------------------------------------------------- */

enum { ROLES = 3 }; /* training, validation, test */

/* Recordings with a 0 and with a 1. */
typedef struct {
    int64_t n[ROLES][2];
} target_count;

/* A label of one class only is never learnable, whatever min_labs. */
static bool is_learnable(const target_count *c, const ecg_lab_choice *how)
{
    const int64_t training = how->min_labs > 1 ? how->min_labs : 1;
    const int64_t ours[ROLES] = {training, how->min_labs / 4, 0}, papers[ROLES] = {0, PAPER_COUNT, PAPER_COUNT};
    for (int role = 0; role < ROLES; role++)
        for (int y = 0; y < 2; y++)
            if (c->n[role][y] < (how->paper ? papers : ours)[role])
                return false;
    return true;
}

/* The code as it will stand in the table: bytes that are no UTF-8 replaced. */
static void describe_label(ecg_label *out, const ecg_lab_rows *l, int test, bool high)
{
    const int g = l->label_group[test];
    const ecg_lab_item *most = NULL;
    ecg_label_table alone = {.n = 1, .label = out};
    for (int i = 0; i < l->items; i++)
        if (l->item[i].group == g && (!most || l->item[i].usable > most->usable))
            most = &l->item[i];
    *out = (ecg_label){0};
    snprintf(out->code, sizeof out->code, "%.58s_%s", l->test.at[test], high ? "high" : "low");
    snprintf(out->title, sizeof out->title, "%.100s %s its reference range", l->test.at[test], high ? "above" : "below");
    snprintf(out->fluid, sizeof out->fluid, "%.23s", l->fluid.at[l->group[g].fluid]);
    if (most)
        snprintf(out->itemid, sizeof out->itemid, "%" PRId64, most->itemid);
    ecg_label_table_hash(&alone);
}

static int find_label(const ecg_label_table *t, const char *code)
{
    for (int k = 0; k < t->n; k++)
        if (!strcmp(t->label[k].code, code))
            return k;
    return -1;
}

/* Table and, per test, the index of its low and high label in it (-1: not kept). */
static ecg_status choose_labels(ecg_label_table *table, int (*index)[2], const target_count (*count)[2], const ecg_lab_rows *l, const ecg_lab_choice *how,
                                ecg_err *err)
{
    table->n = 0;
    table->label = calloc((size_t)l->test.n * 2 + 1, sizeof *table->label);
    if (!table->label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the lab labels");
    for (int t = 0; t < l->test.n; t++)
        for (int high = 0; high < 2; high++) {
            index[t][high] = -1;
            if (l->label_group[t] < 0 || !is_learnable(&count[t][high], how))
                continue;
            ecg_label *x = &table->label[table->n];
            describe_label(x, l, t, high);
            if (find_label(table, x->code) >= 0)
                return ecg_fail(err, ECG_EDATA, "two lab labels are called %s", x->code);
            table->n++;
            index[t][high] = 0;
        }
    ecg_label_table_hash(table); /* sorts */
    for (int t = 0; t < l->test.n; t++)
        for (int high = 0; high < 2; high++)
            if (!index[t][high]) {
                ecg_label x;
                describe_label(&x, l, t, high);
                index[t][high] = find_label(table, x.code);
            }
    return ECG_OK;
}

/* ---- a family ------------------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    findings found;
    target_count (*count)[2]; /* (tests) of low, of high */
    int (*index)[2];          /* (tests) */
} work;

static ecg_status work_begin(work *k, int tests, ecg_err *err)
{
    const size_t room = (size_t)tests + 1;
    *k = (work){0};
    k->found.of = malloc(room * sizeof *k->found.of);
    k->found.test = malloc(room * sizeof *k->found.test);
    k->count = calloc(room, sizeof *k->count);
    k->index = malloc(room * sizeof *k->index);
    if (!k->found.of || !k->found.test || !k->count || !k->index)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the lab labels");
    for (int t = 0; t < tests; t++)
        k->found.of[t] = (finding){.nearest = ECG_LAB_UNKNOWN};
    return ECG_OK;
}

static void work_clear(work *k)
{
    free(k->found.of);
    free(k->found.test);
    free(k->count);
    free(k->index);
}

static void count_targets(work *k, const ecg_lab_rows *l, const ecg_visits *v, const int8_t *role, const window *w, const ecg_lab_choice *how)
{
    for (int64_t i = 0; i < v->n; i++) {
        if (role[i] < 0 || role[i] >= ROLES)
            continue;
        find_classes(&k->found, l, &v->at[i], w, how);
        for (int f = 0; f < k->found.n; f++)
            for (int high = 0; high < 2; high++) {
                const int t = k->found.test[f], y = target_of(&k->found.of[t], w, high);
                if (y >= 0)
                    k->count[t][high].n[role[i]][y]++;
            }
    }
}

ecg_status ecg_lab_labels(ecg_label_table *table, int8_t **label, const ecg_lab_rows *l, const ecg_visits *v, const int8_t *role, unsigned family,
                          const ecg_lab_choice *how, ecg_err *err)
{
    window w;
    work k;
    *label = NULL;
    if (!window_of(&w, family))
        return ecg_fail(err, ECG_EARG, "%u is no family of lab labels", family);
    ecg_status st = work_begin(&k, l->test.n, err);
    if (!st) {
        count_targets(&k, l, v, role, &w, how);
        st = choose_labels(table, k.index, k.count, l, how, err);
    }
    if (!st && table->n) {
        *label = ecg_scratch_take((size_t)v->n * (size_t)table->n, v->beside);
        if (!*label)
            st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d lab labels", v->n, table->n);
    }
    for (int64_t i = 0; i < v->n && !st && table->n; i++) {
        int8_t *y = *label + i * table->n;
        memset(y, -1, (size_t)table->n);
        find_classes(&k.found, l, &v->at[i], &w, how);
        for (int f = 0; f < k.found.n; f++)
            for (int high = 0; high < 2; high++) {
                const int t = k.found.test[f];
                if (k.index[t][high] >= 0)
                    y[k.index[t][high]] = target_of(&k.found.of[t], &w, high);
            }
    }
    work_clear(&k);
    return st;
}

/* ---- every row ------------------------------------------------------------------------------------------------------------------------------ */

enum { SUBJECT, HADM, ITEMID, CHARTTIME, VALUE, VALUENUM, UNIT, LOWER, UPPER, FIELDS };
static const char *const field_names[FIELDS] = {"subject_id", "hadm_id",  "itemid",          "charttime",      "value",
                                                "valuenum",   "valueuom", "ref_range_lower", "ref_range_upper"};
static const char *const class_names[] = {"low", "normal", "high"};

typedef int64_t class_count[4]; /* low, normal, high, unknown */

/* One laboratory row on its way from table to table. */
typedef struct {
    const ecg_csv *t;
    int at[FIELDS], id;  /* columns; id: labevent_id, -1: none */
    ecg_text scratch;    /* a field with its final 0 */
} rows_in;

static const char *text_of(rows_in *in, int column)
{
    const ecg_field f = ecg_csv_field(in->t, column);
    in->scratch.len = 0;
    ecg_text_add(&in->scratch, f.len ? f.at : "", f.len);
    return in->scratch.at && f.len ? in->scratch.at : "";
}

static void write_id(ecg_csvw *w, int64_t id)
{
    if (id < 0)
        ecg_csvw_text(w, "");
    else
        ecg_csvw_int(w, id);
}

/* Fluid does not matter here: a row is judged by the ranges of its own test in its own fluid. */
static ecg_status write_row(ecg_csvw *w, class_count *count, rows_in *in, int64_t subject, const ecg_lab_rows *l, const ecg_lab_choice *how, ecg_err *err)
{
    int64_t itemid, hadm, time, id = -1;
    double number, lower, upper;
    ecg_status st;
    if ((st = ecg_csv_i64(in->t, in->at[ITEMID], &itemid, err)))
        return st;
    const int32_t item = ecg_ids_get(&l->by_itemid, itemid);
    if (item < 0)
        return ECG_OK;
    if ((in->id >= 0 && (st = ecg_csv_i64(in->t, in->id, &id, err))) || (st = ecg_csv_i64(in->t, in->at[HADM], &hadm, err)) ||
        (st = ecg_csv_time(in->t, in->at[CHARTTIME], &time, err)) || (st = ecg_csv_double(in->t, in->at[VALUENUM], &number, err)) ||
        (st = ecg_csv_double(in->t, in->at[LOWER], &lower, err)) || (st = ecg_csv_double(in->t, in->at[UPPER], &upper, err)))
        return st;
    const ecg_lab_group *g = &l->group[l->item[item].group];
    const ecg_field text = ecg_csv_field(in->t, in->at[VALUE]);
    const ecg_lab_value value = ecg_lab_parse(number, text.len ? text.at : "", text.len);
    const limits range = limits_of(g, lower, upper, how->ranges);
    const bool counts = time != INT64_MIN && !ecg_lab_excluded(l->test.at[g->test], text_of(in, in->at[UNIT]), lower, upper);
    const ecg_lab_class c = counts ? class_of(&value, range, how->paper) : ECG_LAB_UNKNOWN;
    count[l->item[item].group][c == ECG_LAB_UNKNOWN ? 3 : (int)c]++;
    write_id(w, id);
    ecg_csvw_int(w, subject);
    write_id(w, hadm);
    ecg_csvw_int(w, itemid);
    ecg_csvw_text(w, l->test.at[g->test]);
    ecg_csvw_text(w, l->fluid.at[g->fluid]);
    ecg_csvw_text(w, text_of(in, in->at[CHARTTIME]));
    ecg_csvw_text(w, text_of(in, in->at[VALUE]));
    ecg_csvw_text(w, text_of(in, in->at[VALUENUM]));
    ecg_csvw_text(w, text_of(in, in->at[UNIT]));
    ecg_csvw_double(w, range.lower, NULL);
    ecg_csvw_double(w, range.upper, NULL);
    ecg_csvw_text(w, c == ECG_LAB_UNKNOWN ? "" : class_names[c]);
    ecg_csvw_end(w);
    return in->scratch.failed ? ecg_fail(err, ECG_ENOMEM, "no memory for a laboratory row") : ECG_OK;
}

static void write_header(ecg_csvw *w, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ecg_csvw_text(w, names[i]);
    ecg_csvw_end(w);
}

static ecg_status write_all(ecg_csvw *w, class_count *count, const ecg_visits *v, const ecg_lab_rows *l, const ecg_lab_choice *how, const char *labevents,
                            const ecg_watch *watch, ecg_err *err)
{
    static const char *const header[] = {"labevent_id", "subject_id", "hadm_id", "itemid", "label", "fluid", "charttime",
                                         "value", "valuenum", "valueuom", "lower", "upper", "class"};
    ecg_ids patient = {0};
    ecg_csv *t = NULL;
    rows_in in = {.id = -1};
    int64_t read = 0;
    bool more;
    ecg_status st = ECG_OK;
    write_header(w, header, sizeof header / sizeof *header);
    for (int64_t i = 0; i < v->n && !st; i++)
        st = ecg_ids_put(&patient, v->at[i].subject, 0, err);
    if (!st && !(st = ecg_table_open(&t, in.at, labevents, field_names, FIELDS, err))) {
        in.t = t;
        in.id = ecg_csv_find(t, "labevent_id");
    }
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t subject;
        if ((++read & 0xffff) == 0) {
            ecg_progress(watch, "laboratory rows", (double)read, (double)l->read, NULL);
            if (ecg_stopped(watch))
                st = ecg_fail(err, ECG_EINTR, "interrupted after %" PRId64 " laboratory rows", read);
        }
        if (!st && !(st = ecg_csv_i64(t, in.at[SUBJECT], &subject, err)) && ecg_ids_get(&patient, subject) >= 0)
            st = write_row(w, count, &in, subject, l, how, err);
    }
    ecg_csv_close(t);
    ecg_ids_clear(&patient);
    ecg_text_clear(&in.scratch);
    return st;
}

/* ---- their counts ----------------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *label, *fluid;
    const int64_t *n;
} counted;

static int by_label_fluid(const void *x, const void *y)
{
    const counted *a = x, *b = y;
    const int order = strcmp(a->label, b->label);
    return order ? order : strcmp(a->fluid, b->fluid);
}

/* NAME.csv and NAME.csv.gz -> NAME.counts.csv; any other name gets the ending added. */
static ecg_status counts_path(char *out, size_t size, const char *path, ecg_err *err)
{
    static const char *const endings[] = {".csv.gz", ".csv"};
    size_t len = strlen(path);
    for (size_t e = 0; e < 2; e++) {
        const size_t n = strlen(endings[e]);
        if (len > n && !strcmp(path + len - n, endings[e])) {
            len -= n;
            break;
        }
    }
    if (len + sizeof ".counts.csv" > size)
        return ecg_fail(err, ECG_EARG, "a path of %zu bytes", len);
    snprintf(out, size, "%.*s.counts.csv", (int)len, path);
    return ECG_OK;
}

/* Tests without a row are left out. */
static ecg_status write_counts(const char *path, const class_count *count, const ecg_lab_rows *l, ecg_err *err)
{
    static const char *const header[] = {"label", "fluid", "low", "normal", "high", "unknown"};
    char name[1024];
    ecg_csvw *w;
    counted *list = malloc(((size_t)l->groups + 1) * sizeof *list);
    ecg_status st = list ? counts_path(name, sizeof name, path, err) : ecg_fail(err, ECG_ENOMEM, "no memory for the counts of the laboratory");
    if (st || (st = ecg_csvw_create(&w, name, err))) {
        free(list);
        return st;
    }
    size_t n = 0;
    for (int g = 0; g < l->groups; g++)
        if (count[g][0] + count[g][1] + count[g][2] + count[g][3])
            list[n++] = (counted){l->test.at[l->group[g].test], l->fluid.at[l->group[g].fluid], count[g]};
    if (n)
        qsort(list, n, sizeof *list, by_label_fluid);
    write_header(w, header, sizeof header / sizeof *header);
    for (size_t i = 0; i < n; i++) {
        ecg_csvw_text(w, list[i].label);
        ecg_csvw_text(w, list[i].fluid);
        for (int c = 0; c < 4; c++)
            ecg_csvw_int(w, list[i].n[c]);
        ecg_csvw_end(w);
    }
    free(list);
    return ecg_csvw_commit(w, err);
}

ecg_status ecg_lab_write_rows(const char *path, int64_t count[3], const ecg_visits *v, const ecg_lab_rows *l, const ecg_lab_choice *how,
                              const char *labevents, const ecg_watch *watch, ecg_err *err)
{
    ecg_csvw *w = NULL;
    class_count *of_group = calloc((size_t)l->groups + 1, sizeof *of_group);
    for (int c = 0; c < 3; c++)
        count[c] = 0;
    ecg_status st = of_group ? ecg_csvw_create(&w, path, err) : ecg_fail(err, ECG_ENOMEM, "no memory for the counts of the laboratory");
    if (!st && (st = write_all(w, of_group, v, l, how, labevents, watch, err)))
        ecg_csvw_abort(w);
    else if (!st)
        st = ecg_csvw_commit(w, err);
    if (!st)
        st = write_counts(path, of_group, l, err);
    for (int g = 0; g < l->groups && of_group; g++)
        for (int c = 0; c < 3; c++)
            count[c] += of_group[g][c];
    free(of_group);
    return st;
}
