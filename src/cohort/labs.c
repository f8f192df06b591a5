/* SPDX-License-Identifier: MIT
 * labs.c: the laboratory rows near a recording, as columns and as labels. */
#include "cohort/labs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/features.h"

enum { LABEL_WINDOW = 60 * 60 };

/* ---- columns --------------------------------------------------------------------------------------------------------------------------- */

/* The same admission, moment, value and unit of the same test and fluid. */
static bool is_duplicate(const ecg_lab_row *const *kept, int n, const ecg_lab_row *r)
{
    for (int i = n - 1; i >= 0 && kept[i]->time == r->time; i--)
        if (kept[i]->hadm == r->hadm && kept[i]->value.value == r->value.value && kept[i]->unit == r->unit)
            return true;
    return false;
}

static int64_t most_rows(const ecg_lab_rows *l, int64_t patients)
{
    int64_t most = 1;
    for (int64_t p = 0; p < patients; p++)
        if (l->first[p + 1] - l->first[p] > most)
            most = l->first[p + 1] - l->first[p];
    return most;
}

ecg_status ecg_labs_features(float *table, const ecg_lab_rows *l, const ecg_visits *v, ecg_err *err)
{
    const int64_t most = most_rows(l, v->patients);
    double *room = malloc((size_t)most * 3 * sizeof *room), *value = room, *minute = room + most, *scratch = room + 2 * most;
    const ecg_lab_row **kept = malloc((size_t)most * sizeof *kept);
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
                const ecg_lab_row *r = &l->row[k];
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
static void classes_of(int8_t *class, int64_t *apart, int64_t *line, const ecg_lab_rows *l, const ecg_visit *v)
{
    memset(class, ECG_LAB_UNKNOWN, (size_t)l->test.n);
    for (int64_t k = l->first[v->patient]; k < l->first[v->patient + 1]; k++) {
        const ecg_lab_row *r = &l->row[k];
        const int g = l->item[r->item].group, test = l->group[g].test;
        const int64_t distance = llabs(r->time - v->time);
        if (!r->for_labels || distance > LABEL_WINDOW || l->label_group[test] != g)
            continue;
        if (class[test] != ECG_LAB_UNKNOWN && (distance > apart[test] || (distance == apart[test] && r->line > line[test])))
            continue;
        const ecg_lab_class c = ecg_lab_classify(&r->value, isnan(r->lower) ? l->group[g].training.lower : r->lower,
                                                 isnan(r->upper) ? l->group[g].training.upper : r->upper);
        if (c == ECG_LAB_UNKNOWN)
            continue;
        class[test] = (int8_t)c;
        apart[test] = distance;
        line[test] = r->line;
    }
}

static void describe_label(ecg_label *out, const ecg_lab_rows *l, int test, bool high)
{
    const int g = l->label_group[test];
    const ecg_lab_item *most = NULL;
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
static ecg_status choose_labels(ecg_label_table *table, int (*index)[2], const class_counts *count, const ecg_lab_rows *l, int64_t min_labs, ecg_err *err)
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

ecg_status ecg_labs_labels(ecg_label_table *table, int8_t **label, const ecg_lab_rows *l, const ecg_visits *v, const int8_t *role, int64_t min_labs, ecg_err *err)
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
