/* SPDX-License-Identifier: MIT */
#include "cohort/synth_twins.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/synth_course.h"

enum { CAUSES = ECG_TWIN_CAUSES, SCAN = 512 /* patients looked at together */, PER_ITEM = 8 };

/* Limits as the prototype had them (specification, section 17): beyond them the ECG shows it. */
#define CAUSE(name, variable, value, above, below) {name, ECG_VAR_##variable, value, offsetof(ecg_visit, variable), above, below}
const ecg_twin_cause ecg_twin_causes[CAUSES] = {
    CAUSE("hyperkalaemia", K, 4.1, 5.8, 0),      CAUSE("hypokalaemia", K, 4.1, INFINITY, 3.2), CAUSE("hypocalcaemia", iCa, 1.20, INFINITY, 1.06),
    CAUSE("anaemia", hb, 13.5, INFINITY, 9.5),   CAUSE("fever", temp, 36.8, 38.3, 0),          CAUSE("sham", gluc, 100, INFINITY, 0),
};

typedef struct {
    const ecg_synth *s;
    uint64_t stride;
    int64_t next;                   /* place in the order of the first of SCAN */
    bool full[CAUSES];
    ecg_course *course;             /* one a thread */
    uint8_t found[SCAN][CAUSES];    /* visit, 0: none */
} scan;

static int64_t patients_of(const ecg_synth *s)
{
    return s->options.patients ? s->options.patients : s->options.last;
}

/* Place in the order -> patient: steps of about 0.618 of the cohort, coprime to its size, so that any beginning of the order lies evenly
 * over all patients. */
static uint32_t patient_at(const scan *w, int64_t place)
{
    return 1 + (uint32_t)(((uint64_t)place * w->stride) % (uint64_t)patients_of(w->s));
}

static uint64_t stride_of(uint64_t patients)
{
    for (uint64_t step = patients * 618 / 1000 + 1;; step++) {
        uint64_t a = step, b = patients;
        while (b) {
            const uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1)
            return step;
    }
}

/* The first ECG of the visit is there and within the 90 minutes. */
static bool usable(ecg_course *c, const ecg_synth *s, uint32_t patient, uint32_t visit)
{
    if (c->p.ordinal != patient)
        ecg_synth_course(c, s, patient);
    for (int i = 0; i < c->recordings; i++)
        if (c->recording[i].kind == ECG_FIRST_OF_STAY && c->recording[i].number == visit)
            return !c->recording[i].late;
    return false;
}

static void look_at(scan *w, int place, ecg_course *c)
{
    const uint32_t ordinal = patient_at(w, w->next + place);
    uint8_t *found = w->found[place];
    ecg_patient p;
    ecg_synth_patient(&p, w->s, ordinal);
    if (p.lbbb > 0)
        return; /* with pacing, what hides or fakes every sign */
    const int visits = ecg_synth_visits(w->s, ordinal);
    for (uint8_t visit = 1; visit <= visits; visit++) {
        ecg_visit v;
        ecg_synth_visit(&v, w->s, &p, visit, false, NULL);
        for (int cause = 0; cause < ECG_TWIN_SHAM; cause++) {
            const double x = ecg_twin_watched(&ecg_twin_causes[cause], &v);
            const bool has = x > ecg_twin_causes[cause].above || x < ecg_twin_causes[cause].below;
            if (has && v.paced == 0 && !found[cause] && !w->full[cause] && usable(c, w->s, ordinal, visit))
                found[cause] = visit;
        }
    }
}

static void look_at_some(void *ctx, int item, int worker)
{
    scan *w = ctx;
    for (int place = item * PER_ITEM; place < (item + 1) * PER_ITEM && w->next + place < patients_of(w->s); place++)
        look_at(w, place, &w->course[worker]);
}

static bool all_full(const scan *w)
{
    for (int cause = 0; cause < ECG_TWIN_SHAM; cause++)
        if (!w->full[cause])
            return false;
    return true;
}

static void add(ecg_twins *t, int64_t place, const scan *w, uint32_t visit, int cause)
{
    t->at[t->n++] = (ecg_twin){.patient = patient_at(w, place), .visit = visit, .cause = cause};
}

/* Sham interventions on recordings of each cause in turn, so that every cause has pairs of its own; a recording has one at most. */
static void add_shams(ecg_twins *t, int wanted)
{
    const int n = t->n;
    int next[ECG_TWIN_SHAM] = {0}, shams = 0;
    for (bool more = true; more && shams < wanted;) {
        more = false;
        for (int cause = 0; cause < ECG_TWIN_SHAM && shams < wanted; cause++) {
            int i = next[cause];
            while (i < n && t->at[i].cause != cause)
                i++;
            next[cause] = i + 1;
            if (i >= n)
                continue;
            more = true;
            bool taken = false;
            for (int k = n; k < t->n && !taken; k++)
                taken = t->at[k].patient == t->at[i].patient && t->at[k].visit == t->at[i].visit;
            if (taken)
                continue;
            t->at[t->n] = t->at[i];
            t->at[t->n++].cause = ECG_TWIN_SHAM;
            shams++;
        }
    }
}

static int by_address(const void *a, const void *b)
{
    const ecg_twin *x = a, *y = b;
    return x->patient != y->patient ? (x->patient > y->patient) - (x->patient < y->patient)
           : x->visit != y->visit   ? (x->visit > y->visit) - (x->visit < y->visit)
                                    : (x->cause > y->cause) - (x->cause < y->cause);
}

static ecg_status look_through(ecg_twins *t, scan *w, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    const int wanted = w->s->options.twins;
    const int64_t patients = patients_of(w->s);
    int count[CAUSES] = {0};
    for (w->next = 0; w->next < patients && !all_full(w); w->next += SCAN) {
        if (ecg_stopped(watch))
            return ecg_fail(err, ECG_EINTR, "interrupted while looking for twins");
        memset(w->found, 0, sizeof w->found);
        ecg_pool_run(pool, look_at_some, w, SCAN / PER_ITEM);
        for (int place = 0; place < SCAN; place++)
            for (int cause = 0; cause < ECG_TWIN_SHAM; cause++)
                if (w->found[place][cause] && count[cause] < wanted) {
                    add(t, w->next + place, w, w->found[place][cause], cause);
                    w->full[cause] = ++count[cause] == wanted;
                }
        ecg_progress(watch, "synthetic cohort: looking for twins", (double)w->next, (double)patients, NULL);
    }
    return ECG_OK;
}

ecg_status ecg_synth_twins_find(ecg_twins *t, const ecg_synth *s, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    memset(t, 0, sizeof *t);
    const int wanted = s->options.twins;
    if (!wanted)
        return ECG_OK;
    for (int cause = 0; cause < CAUSES; cause++) {
        t->world[cause] = *s;
        t->world[cause].forced[ecg_twin_causes[cause].variable] = ecg_twin_causes[cause].value;
    }
    scan *w = calloc(1, sizeof *w);
    ecg_course *course = calloc((size_t)ecg_pool_threads(pool), sizeof *course);
    t->at = calloc((size_t)wanted * CAUSES, sizeof *t->at);
    ecg_status st = w && course && t->at ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory for the twins");
    if (!st) {
        w->s = s;
        w->course = course;
        w->stride = stride_of((uint64_t)patients_of(s));
        st = look_through(t, w, pool, watch, err);
    }
    free(w);
    free(course);
    if (st) {
        ecg_synth_twins_clear(t);
        return st;
    }
    add_shams(t, wanted);
    qsort(t->at, (size_t)t->n, sizeof *t->at, by_address);
    for (int i = 0; i < t->n; i++)
        t->at[i].study_id = ECG_TWIN_FIRST_ID + 1 + i;
    return ECG_OK;
}

void ecg_synth_twins_clear(ecg_twins *t)
{
    free(t->at);
    t->at = NULL;
    t->n = 0;
}

int ecg_synth_twins_of(const ecg_twins *t, uint32_t patient, int *first)
{
    int low = 0, high = t->n;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (t->at[middle].patient < patient)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low < t->n && t->at[low].patient == patient)
        low++;
    return low;
}
