/* SPDX-License-Identifier: MIT
 * labs.c: the laboratory rows of the first 90 minutes as columns. */
#include "cohort/labs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/features.h"

typedef struct {
    int *test_of;             /* (groups) which of the 45 tests a group's rows are columns of, -1: none */
    const ecg_lab_row **kept; /* (most) rows of one recording, by test, then time and place in the file */
    double *value, *minute, *scratch; /* (most) */
    int64_t most;             /* rows of a patient */
} work;

static void work_clear(work *w)
{
    free(w->test_of);
    free(w->kept);
    free(w->value);
    free(w->minute);
    free(w->scratch);
}

static ecg_status work_begin(work *w, const ecg_lab_rows *l, int64_t patients, ecg_err *err)
{
    *w = (work){.most = 1};
    for (int64_t p = 0; p < patients; p++)
        if (l->first[p + 1] - l->first[p] > w->most)
            w->most = l->first[p + 1] - l->first[p];
    w->test_of = malloc(((size_t)l->groups + 1) * sizeof *w->test_of);
    w->kept = malloc((size_t)w->most * sizeof *w->kept);
    w->value = malloc((size_t)w->most * sizeof *w->value);
    w->minute = malloc((size_t)w->most * sizeof *w->minute);
    w->scratch = malloc((size_t)w->most * sizeof *w->scratch);
    if (!w->test_of || !w->kept || !w->value || !w->minute || !w->scratch)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " laboratory rows", w->most);
    for (int g = 0; g < l->groups; g++)
        w->test_of[g] = -1;
    for (int t = 0; t < ECG_TESTS; t++) {
        const int word = ecg_words_get(&l->test, ecg_tests[t].label, strlen(ecg_tests[t].label));
        if (word >= 0 && l->column_group[word] >= 0)
            w->test_of[l->column_group[word]] = t;
    }
    return ECG_OK;
}

int64_t ecg_lab_first_at(const ecg_lab_rows *l, int32_t patient, int64_t time)
{
    int64_t low = l->first[patient], high = l->first[patient + 1];
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (l->row[middle].time < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Test of a row that may be a value of a column, -1: it is none. */
static int test_of_row(const work *w, const ecg_lab_rows *l, const ecg_lab_row *r)
{
    const int t = w->test_of[l->item[l->kind[r->kind].item].group];
    const double value = ecg_lab_value_of(l, r).value;
    return t < 0 || isnan(value) || value > ecg_tests[t].high ? -1 : t;
}

/* Rows of one recording into kept, those of test t from start[t] up to start[t + 1]. */
static void sort_by_test(work *w, int64_t start[ECG_TESTS + 1], const ecg_lab_rows *l, const ecg_visit *v)
{
    int64_t next[ECG_TESTS] = {0};
    const int64_t from = ecg_lab_first_at(l, v->patient, v->arrival), end = ecg_lab_first_at(l, v->patient, v->arrival + ECG_WINDOW + 1);
    for (int64_t k = from; k < end; k++) {
        const int t = test_of_row(w, l, &l->row[k]);
        if (t >= 0)
            next[t]++;
    }
    start[0] = 0;
    for (int t = 0; t < ECG_TESTS; t++) {
        start[t + 1] = start[t] + next[t];
        next[t] = start[t];
    }
    for (int64_t k = from; k < end; k++) {
        const int t = test_of_row(w, l, &l->row[k]);
        if (t >= 0)
            w->kept[next[t]++] = &l->row[k];
    }
}

/* The same admission, moment, value and unit as one of the rows before it, of the same test and fluid. */
static bool is_duplicate(const ecg_lab_rows *l, const ecg_lab_row *const *kept, int64_t n)
{
    const ecg_lab_row *r = kept[n];
    for (int64_t i = n - 1; i >= 0 && kept[i]->time == r->time; i--)
        if (kept[i]->hadm == r->hadm && kept[i]->number == r->number && l->kind[kept[i]->kind].unit == l->kind[r->kind].unit)
            return true;
    return false;
}

ecg_status ecg_labs_features(float *table, const ecg_lab_rows *l, const ecg_visits *v, ecg_err *err)
{
    work w;
    ecg_status st = work_begin(&w, l, v->patients, err);
    for (int64_t i = 0; i < v->n && !st; i++) {
        int64_t start[ECG_TESTS + 1];
        sort_by_test(&w, start, l, &v->at[i]);
        for (int t = 0; t < ECG_TESTS; t++) {
            const ecg_lab_row *const *rows = w.kept + start[t];
            int n = 0;
            for (int64_t k = 0; k < start[t + 1] - start[t]; k++) {
                if (is_duplicate(l, rows, k))
                    continue;
                w.value[n] = rows[k]->number;
                w.minute[n++] = (double)(rows[k]->time - v->at[i].arrival) / 60;
            }
            ecg_nine_statistics(table + i * ECG_COLUMNS + ECG_COL_LABS + t * ECG_STATISTICS, w.value, w.minute, n, w.scratch);
        }
    }
    work_clear(&w);
    return st;
}
