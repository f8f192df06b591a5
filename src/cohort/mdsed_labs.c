/* SPDX-License-Identifier: MIT
 * mdsed_labs.c: the recordings of mds_ed.csv as visits without an arrival, in the order that labevents is joined by; labels go back to the order
 * of the table. */
#include "cohort/mdsed_labs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scratch.h"
#include "cohort/attach.h"

/* The columns are the table's own: no window of theirs is open. */
static const int64_t never = INT64_MIN / 4;

/* What a recording is joined by, in order; its fate goes with it. */
typedef struct {
    ecg_visits visits;    /* by patient, time, place in the table */
    ecg_cohort_row *row;  /* (n) */
    int64_t *place;       /* (n) in the table */
    int8_t *role;         /* (n) */
    uint8_t *training;    /* (patients) */
} work;

static void work_clear(work *w)
{
    free(w->visits.at);
    free(w->row);
    free(w->place);
    free(w->role);
    free(w->training);
}

typedef struct {
    int64_t patient, time, place;
} key;

static int by_patient_time(const void *x, const void *y)
{
    const key *a = x, *b = y;
    if (a->patient != b->patient)
        return a->patient < b->patient ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static ecg_status sort_recordings(work *w, const ecg_mdsed_table *t, const ecg_cohort_row *row, ecg_err *err)
{
    const size_t room = (size_t)t->n + 1;
    key *order = malloc(room * sizeof *order);
    w->visits.at = calloc(room, sizeof *w->visits.at);
    w->row = malloc(room * sizeof *w->row);
    w->place = malloc(room * sizeof *w->place);
    w->role = malloc(room);
    w->training = calloc(room, 1);
    if (!order || !w->visits.at || !w->row || !w->place || !w->role || !w->training) {
        free(order);
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", t->n);
    }
    for (int64_t i = 0; i < t->n; i++)
        order[i] = (key){t->row[i].patient, t->row[i].ecg_time, i};
    qsort(order, (size_t)t->n, sizeof *order, by_patient_time);
    w->visits.n = t->n;
    w->visits.recordings = true;
    for (int64_t i = 0; i < t->n; i++) {
        w->visits.patients += !i || order[i].patient != order[i - 1].patient;
        w->place[i] = order[i].place;
        w->row[i] = row[order[i].place];
        w->visits.at[i] = (ecg_visit){.subject = order[i].patient, .study = w->row[i].study, .time = order[i].time, .recorded = order[i].time,
                                      .own_stay = -1, .ed_hadm = -1, .hosp_hadm = -1, .arrival = never, .departure = INT64_MIN, .fold = -1, .age = NAN,
                                      .patient = (int32_t)(w->visits.patients - 1)};
    }
    free(order);
    return ECG_OK;
}

/* Rows of a table in another order: row i goes to place[i]. */
static ecg_status put_back(int8_t **label, int labels, const int64_t *place, int64_t n, const char *beside, ecg_err *err)
{
    int8_t *back = ecg_scratch_take((size_t)n * (size_t)labels, beside);
    if (!back)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d lab labels", n, labels);
    for (int64_t i = 0; i < n; i++)
        memcpy(back + place[i] * labels, *label + i * labels, (size_t)labels);
    ecg_scratch_free(*label);
    *label = back;
    return ECG_OK;
}

static ecg_status label_families(ecg_mdsed_labs *out, const work *w, const ecg_lab_rows *rows, unsigned wanted, const ecg_lab_choice *how,
                                 const ecg_watch *watch, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int f = 0; f < ECG_LAB_FAMILIES && !st; f++) {
        ecg_label_table *table = &out->table[out->sets];
        int8_t **label = &out->label[out->sets];
        if (!(wanted & ecg_lab_families[f].family))
            continue;
        snprintf(table->set, sizeof table->set, "%s", ecg_lab_families[f].set);
        if ((st = ecg_lab_labels(table, label, rows, &w->visits, w->role, ecg_lab_families[f].family, how, err)))
            break;
        if (!table->n) {
            ecg_say(watch, "%s: no label is kept, the set is left out", table->set);
            free(table->label);
            *table = (ecg_label_table){0};
            continue;
        }
        if (!(st = put_back(label, table->n, w->place, w->visits.n, w->visits.beside, err))) {
            ecg_labels_count(table, *label, w->visits.n);
            ecg_say(watch, "%s: %d labels", table->set, table->n);
            out->sets++;
        }
    }
    return st;
}

ecg_status ecg_mdsed_labs_read(ecg_mdsed_labs *out, const ecg_mdsed_table *t, const ecg_cohort_row *row, const ecg_roles *roles,
                               const char *labitems, const char *labevents, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    const ecg_lab_choice how = ecg_lab_choose(o);
    work w = {.visits.beside = o->output};
    ecg_lab_rows rows = {0};
    for (int64_t i = 0; i < t->n; i++)
        if (t->row[i].ecg_time < 0)
            return ecg_fail(err, ECG_EDATA, "study %" PRId64 " has no general_ecg_time in mds_ed.csv: laboratory rows of --hosp cannot be linked to it",
                            t->row[i].study);
    ecg_status st = sort_recordings(&w, t, row, err);
    if (!st) {
        ecg_lab_roles(w.role, w.training, &w.visits, w.row, roles);
        st = ecg_lab_sets_read(&rows, &w.visits, w.training, ecg_lab_wanted(o), labitems, labevents, pool, watch, err);
    }
    if (!st)
        st = label_families(out, &w, &rows, ecg_lab_wanted(o), &how, watch, err);
    if (!st && o->lab_rows)
        st = ecg_lab_sets_list(o->lab_rows, &w.visits, &rows, &how, labevents, watch, err);
    ecg_lab_rows_clear(&rows);
    work_clear(&w);
    return st;
}

void ecg_mdsed_labs_clear(ecg_mdsed_labs *l)
{
    for (int s = 0; s < ECG_LAB_FAMILIES; s++) { /* also one that was being made */
        free(l->table[s].label);
        ecg_scratch_free(l->label[s]);
    }
    *l = (ecg_mdsed_labs){0};
}
