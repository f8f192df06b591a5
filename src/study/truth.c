/* SPDX-License-Identifier: MIT
 * truth.c: see truth.h. The twins and the table of effects; truth_gates.c has what needs no truth. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "stat/auroc.h"
#include "study/runlog.h"
#include "study/truth_parts.h"

enum { NAMED = 3, MOST_RECORDS = 200 /* whose explanations are held against the effects */, SHAM = ECG_CAUSES };

const char *const ecg_citers[ECG_CITERS] = {"explanation", "most probable", "above prevalence"};

static const struct { const char *cause, *lab[2]; } planted[ECG_CAUSES] = {
    {"hyperkalaemia", {"Potassium_high", NULL}},
    {"hypokalaemia", {"Potassium_low", NULL}},
    {"hypocalcaemia", {"Free Calcium_low", "Calcium, Total_low"}},
    {"anaemia", {"Hemoglobin_low", "Hematocrit_low"}},
};

/* What a test shows of the generator's causes; a test that is not here acts on no ECG. Names by their beginning. */
static const struct { const char *test, *cause[6]; } acts[] = {
    {"Potassium", {"K"}},           {"Calcium", {"iCa"}},        {"Free Calcium", {"iCa"}}, {"Magnesium", {"Mg"}},
    {"Hemoglobin", {"hb"}},         {"Hematocrit", {"hb"}},      {"Glucose", {"gluc", "dkas"}}, {"Lactate", {"sepss", "hypot"}},
    {"White", {"sepss"}},           {"C-Reactive", {"sepss"}},   {"D-Dimer", {"pes"}},      {"Thyroid", {"t4", "myx"}},
    {"NTproBNP", {"hf", "hfr", "hfe", "adhfs"}}, {"pCO2", {"copds"}}, {"Troponin", {"nstemi", "stemi", "mi", "ischaemia"}},
    {"Creatine Kinase", {"nstemi", "stemi", "mi", "ischaemia"}}, {"Albumin", {"cirr"}}, {"Bilirubin", {"cirr"}}, {"INR", {"cirr"}}, {"Alanine", {"cirr"}},
};
enum { ACTS = sizeof acts / sizeof *acts };

/* An effect that a reader of the ECG could notice: in ms, beats a minute, degrees, millivolt, shares. */
static bool noticeable(const char *parameter, double delta)
{
    const size_t n = strlen(parameter);
    const char *const tail = n > 3 ? parameter + n - 3 : "";
    if (strcmp(parameter, "axis_deg") == 0)
        return fabs(delta) >= 10;
    if (strcmp(tail, "_ms") == 0)
        return fabs(delta) >= 5;
    if (strcmp(tail, "bpm") == 0)
        return fabs(delta) >= 5;
    if (strcmp(tail, "_mV") == 0)
        return fabs(delta) >= 0.05;
    return n > 7 && strcmp(parameter + n - 7, "_factor") == 0 ? fabs(delta - 1) >= 0.1 : fabs(delta) >= 0.05;
}

/* ---- who is in the test folds ------------------------------------------------------------------------------------------------------ */

static int by_study(const void *a, const void *b)
{
    const ecg_truth_record *x = a, *y = b;
    return x->study < y->study ? -1 : x->study > y->study;
}

static ecg_status list_records(ecg_truth_work *w, ecg_err *err)
{
    const ecg_rows *rows = &w->loader.role[ECG_TEST];
    w->record = calloc((size_t)rows->n + 1, sizeof *w->record);
    if (!w->record)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < rows->n; i++)
        w->record[i] = (ecg_truth_record){.study = w->cohort.study[rows->row[i]], .patient = w->cohort.patient[rows->row[i]]};
    w->records = rows->n;
    qsort(w->record, (size_t)w->records, sizeof *w->record, by_study);
    return ECG_OK;
}

static ecg_truth_record *find(const ecg_truth_work *w, int64_t study)
{
    const ecg_truth_record key = {.study = study};
    return bsearch(&key, w->record, (size_t)w->records, sizeof *w->record, by_study);
}

static bool field_is(ecg_field f, const char *word)
{
    return f.len == strlen(word) && memcmp(f.at, word, f.len) == 0;
}

/* Bit i of a record: cause of acts[i] moves its ECG. */
static ecg_status read_effects(ecg_truth_work *w, ecg_err *err)
{
    static const char *const names[] = {"study_id", "cause", "parameter", "delta"};
    char path[600];
    int at[4];
    ecg_csv *t;
    bool more = true;
    snprintf(path, sizeof path, "%s/truth/effects.csv.gz", w->task->hospital);
    ecg_status st = ecg_csv_open(&t, path, err);
    if (st)
        return st;
    st = ecg_csv_need(t, at, names, 4, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t study;
        double delta;
        char parameter[32];
        const ecg_field cause = ecg_csv_field(t, at[1]), p = ecg_csv_field(t, at[2]);
        if ((st = ecg_csv_i64(t, at[0], &study, err)) || (st = ecg_csv_double(t, at[3], &delta, err)))
            break;
        ecg_truth_record *r = find(w, study);
        snprintf(parameter, sizeof parameter, "%.*s", (int)(p.len < 31 ? p.len : 31), p.at ? p.at : "");
        if (!r || !noticeable(parameter, delta))
            continue;
        for (int i = 0; i < ACTS; i++)
            for (int c = 0; c < 6 && acts[i].cause[c]; c++)
                if (field_is(cause, acts[i].cause[c]))
                    r->acting |= (uint32_t)1 << i;
    }
    ecg_csv_close(t);
    return st;
}

/* ---- one recording ----------------------------------------------------------------------------------------------------------------- */

static ecg_status ask(ecg_answer *out, const ecg_truth_work *w, const char *folder, int64_t patient, int64_t study, int explain, ecg_err *err)
{
    char path[700];
    ecg_record rec;
    const ecg_predict_options how = {.alpha = w->task->alpha, .explain = explain};
    snprintf(path, sizeof path, "%s/%s/files/p%04" PRId64 "/p%08" PRId64 "/s%08" PRId64 "/%08" PRId64 ".hea", w->task->hospital, folder, patient / 10000, patient,
             study, study);
    ecg_status st = ecg_record_read(&rec, path, err);
    if (st)
        return ecg_fail_in(err, st, path);
    st = ecg_predict(out, &w->m, &rec, &how, err);
    ecg_record_clear(&rec);
    return st ? ecg_fail_in(err, st, path) : ECG_OK;
}

static double lab_logit(const ecg_answer *a, int row)
{
    for (int i = 0; i < a->labs; i++)
        if (a->lab[i].row == row)
            return a->lab[i].crop_mean_logit;
    return NAN;
}

/* code[NAMED]: what citer c names for diagnosis d; returns how many. */
static int name_labs(const char **code, const ecg_answer *a, const ecg_score *d, int c)
{
    int n = 0;
    if (c == 0) {
        const ecg_why *y = d->why;
        int i = 0, j = y ? y->cited : 0;
        while (y && n < NAMED && (i < y->cited || j < y->cited + y->same)) /* both lists fall */
            code[n++] = y->cite[j == y->cited + y->same || (i < y->cited && y->cite[i].bar >= y->cite[j].bar) ? i++ : j++].code;
    }
    for (int i = 0; c == 1 && i < a->labs && n < NAMED; i++)
        code[n++] = a->lab[i].code;
    for (int i = 0; c == 2 && i < a->reasons; i++)
        code[n++] = a->reason[i].code;
    return n;
}

/* The diagnosis whose score falls most. */
static const ecg_score *falls_most(const ecg_answer *before, const ecg_answer *after)
{
    const ecg_score *best = NULL;
    double most = -INFINITY;
    for (int i = 0; i < before->diagnoses; i++)
        for (int j = 0; j < after->diagnoses; j++)
            if (after->diagnosis[j].row == before->diagnosis[i].row) {
                const double fall = before->diagnosis[i].crop_mean_logit - after->diagnosis[j].crop_mean_logit;
                if (fall > most) {
                    most = fall;
                    best = &before->diagnosis[i];
                }
            }
    return best;
}

/* ---- twins ------------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    float *fall[ECG_CAUSES];   /* (n) of cause and sham twins */
    int8_t *real[ECG_CAUSES];  /* (n) 1: cause, 0: sham */
    int64_t n[ECG_CAUSES], room;
    int row[ECG_CAUSES];       /* of the lab; -1 */
} twins;

static void twins_clear(twins *t)
{
    for (int c = 0; c < ECG_CAUSES; c++) {
        free(t->fall[c]);
        free(t->real[c]);
    }
}

static ecg_status twins_begin(twins *t, ecg_truth *out, const ecg_truth_work *w, int64_t room, ecg_err *err)
{
    const ecg_label_table *labs;
    const int P = ecg_head_labels(&w->m, &w->m.head[w->labs], &labs);
    for (int c = 0; c < ECG_CAUSES; c++) {
        t->fall[c] = malloc((size_t)room * sizeof **t->fall);
        t->real[c] = malloc((size_t)room);
        t->row[c] = -1;
        if (!t->fall[c] || !t->real[c])
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        const char *lab = NULL; /* of the constants: the answer outlives the model */
        for (int l = 0; l < 2 && planted[c].lab[l] && !lab; l++)
            for (int p = 0; p < P && !lab; p++)
                if (strcmp(labs->label[p].code, planted[c].lab[l]) == 0) {
                    t->row[c] = p;
                    lab = planted[c].lab[l];
                }
        out->cause[c] = (ecg_truth_cause){.cause = planted[c].cause, .lab = lab, .before = NAN, .after = NAN, .sham_change = NAN, .fell = NAN, .auroc = NAN,
                                          .lo = NAN, .hi = NAN, .named = NAN, .found = {NAN, NAN, NAN}};
    }
    t->room = room;
    return ECG_OK;
}

static void add(double *mean, double x, int64_t n)
{
    *mean = n == 1 ? x : *mean + (x - *mean) / (double)n;
}

static void cause_twin(ecg_truth_cause *c, const ecg_answer *before, const ecg_answer *after, int row)
{
    const ecg_score *d = falls_most(before, after);
    const double x = lab_logit(before, row), y = lab_logit(after, row);
    const char *code[NAMED];
    c->twins++;
    add(&c->before, x, c->twins);
    add(&c->after, y, c->twins);
    add(&c->fell, y < x, c->twins);
    for (int who = 0; who < ECG_CITERS && d; who++) {
        const int n = name_labs(code, before, d, who);
        double found = 0;
        for (int i = 0; i < n; i++)
            found = fmax(found, strcmp(code[i], c->lab) == 0);
        add(&c->found[who], found, c->twins);
        if (!who)
            add(&c->named, n > 0, c->twins);
    }
}

static ecg_status one_twin(twins *t, ecg_truth *out, const ecg_truth_work *w, int cause, const ecg_truth_record *r, int64_t twin, ecg_err *err)
{
    ecg_answer before, after;
    ecg_status st = ask(&before, w, "mimic-iv-ecg", r->patient, r->study, cause == SHAM ? 0 : -1, err);
    if (st)
        return st;
    st = ask(&after, w, "truth/twins", r->patient, twin, 0, err);
    for (int c = 0; c < ECG_CAUSES && !st; c++) {
        if (t->row[c] < 0 || (cause != SHAM && cause != c) || t->n[c] == t->room)
            continue;
        ecg_truth_cause *k = &out->cause[c];
        const double fall = lab_logit(&before, t->row[c]) - lab_logit(&after, t->row[c]);
        t->fall[c][t->n[c]] = (float)fall;
        t->real[c][t->n[c]++] = cause != SHAM;
        if (cause != SHAM) {
            cause_twin(k, &before, &after, t->row[c]);
        } else {
            k->shams++;
            add(&k->sham_change, -fall, k->shams);
        }
    }
    ecg_answer_clear(&before);
    if (!st)
        ecg_answer_clear(&after);
    return st;
}

static ecg_status read_twins(twins *t, ecg_truth *out, ecg_truth_work *w, ecg_err *err)
{
    static const char *const names[] = {"study_id", "twin_study_id", "cause"};
    char path[600];
    int at[3];
    ecg_csv *table;
    bool more = true;
    snprintf(path, sizeof path, "%s/truth/twins.csv.gz", w->task->hospital);
    ecg_status st = ecg_csv_open(&table, path, err);
    if (st)
        return st;
    st = ecg_csv_need(table, at, names, 3, err);
    while (!st && !(st = ecg_csv_next(table, &more, err)) && more) {
        int64_t study, twin;
        int cause = 0;
        if ((st = ecg_csv_i64(table, at[0], &study, err)) || (st = ecg_csv_i64(table, at[1], &twin, err)))
            break;
        const ecg_field what = ecg_csv_field(table, at[2]);
        while (cause < ECG_CAUSES && !field_is(what, planted[cause].cause))
            cause++;
        const ecg_truth_record *r = find(w, study);
        if (!r || (cause == ECG_CAUSES && !field_is(what, "sham")) || (cause < ECG_CAUSES && t->row[cause] < 0))
            continue;
        st = one_twin(t, out, w, cause, r, twin, err);
        ecg_progress(w->task->watch, "twins", (double)ecg_csv_row(table), (double)ecg_csv_row(table) + 1, "");
        if (!st && ecg_stopped(w->task->watch))
            st = ecg_fail(err, ECG_EINTR, "interrupted");
    }
    ecg_progress(w->task->watch, "twins", 1, 1, "");
    ecg_csv_close(table);
    return st;
}

static void areas(ecg_truth *out, const twins *t)
{
    for (int c = 0; c < ECG_CAUSES; c++) {
        ecg_truth_cause *k = &out->cause[c];
        const double A = ecg_auroc(t->fall[c], t->real[c], t->n[c], 1), n1 = (double)k->twins, n0 = (double)k->shams;
        const double q1 = A / (2 - A), q2 = 2 * A * A / (1 + A);
        const double half = 1.959963984540054 * sqrt(fmax(0, (A * (1 - A) + (n1 - 1) * (q1 - A * A) + (n0 - 1) * (q2 - A * A)) / (n0 * n1)));
        k->auroc = A;
        k->lo = fmax(0, A - half);
        k->hi = fmin(1, A + half);
    }
}

/* ---- what is named, against what acts ----------------------------------------------------------------------------------------------- */

static void judge(ecg_truth_named *n, const char *code, const ecg_truth_record *r)
{
    for (int i = 0; i < ACTS; i++)
        if (strncmp(code, acts[i].test, strlen(acts[i].test)) == 0) {
            *(r->acting >> i & 1u ? &n->active : &n->inactive) += 1;
            return;
        }
    n->never += 1;
}

static ecg_status judge_all(ecg_truth *out, ecg_truth_work *w, ecg_err *err)
{
    const int64_t asked = w->records < MOST_RECORDS ? w->records : MOST_RECORDS;
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < asked && !st; i++) {
        const ecg_truth_record *r = &w->record[i * w->records / asked];
        ecg_answer a;
        const char *code[NAMED];
        st = ask(&a, w, "mimic-iv-ecg", r->patient, r->study, 1, err);
        for (int c = 0; c < ECG_CITERS && !st; c++) {
            const int n = name_labs(code, &a, &a.diagnosis[0], c);
            for (int j = 0; j < n; j++)
                judge(&out->named[c], code[j], r);
        }
        if (!st)
            ecg_answer_clear(&a);
        ecg_progress(w->task->watch, "effects", (double)i, (double)asked, "");
        if (!st && ecg_stopped(w->task->watch))
            st = ecg_fail(err, ECG_EINTR, "interrupted");
    }
    ecg_progress(w->task->watch, "effects", 1, 1, "");
    for (int c = 0; c < ECG_CITERS; c++) {
        ecg_truth_named *n = &out->named[c];
        const double all = n->active + n->inactive + n->never;
        n->per_record = asked ? all / (double)asked : NAN;
        n->active = all > 0 ? n->active / all : NAN;
        n->inactive = all > 0 ? n->inactive / all : NAN;
        n->never = all > 0 ? n->never / all : NAN;
    }
    return st;
}

/* ---- everything ------------------------------------------------------------------------------------------------------------------- */

static ecg_status open_all(ecg_truth_work *w, ecg_err *err)
{
    char path[512], text[64];
    ecg_roles roles;
    ecg_status st = ecg_model_path(path, sizeof path, w->task->model, err);
    if (!st)
        st = ecg_model_load(&w->m, path, false, false, err);
    if (!st && !w->m.explainer.K)
        st = ecg_fail_at(err, ECG_ECONTRACT, path, 0, 0, "a model without explanations: `ecgraft recalibrate` on the cohort of its training makes them");
    if (!st)
        st = ecg_cohort_open(&w->cohort, w->task->cohort, err);
    if (!st && (!ecg_record_roles(&roles, w->m.record, &w->cohort) || !w->cohort.signal))
        st = ecg_fail_at(err, ECG_ECONTRACT, w->task->cohort, 0, 0, "not the cohort that the model was trained on: which records it never saw is not known");
    if (st)
        return st;
    ecg_model_use(&w->m, w->task->exec);
    for (int i = 0; i < w->m.heads; i++)
        *(strcmp(w->m.head[i].prefix, ECG_HEAD_LABS) ? &w->diagnoses : &w->labs) = i;
    const bool seeded = ecg_record_field(text, sizeof text, w->m.record, "split_seed");
    st = ecg_loader_open(&w->loader, &w->cohort, &roles, w->m.shape.length, seeded ? strtoull(text, NULL, 10) : 42, err);
    if (!st && w->loader.role[ECG_TEST].n < 1)
        st = ecg_fail_at(err, ECG_EARG, w->task->cohort, 0, 0, "no record in the test folds");
    return st;
}

ecg_status ecg_truth_check(ecg_truth *out, const ecg_truth_task *t, ecg_err *err)
{
    ecg_truth_work w = {.task = t};
    twins pairs = {.room = 0};
    *out = (ecg_truth){.alpha = t->alpha};
    ecg_status st = open_all(&w, err);
    if (!st)
        st = list_records(&w, err);
    if (!st)
        st = read_effects(&w, err);
    if (!st)
        st = twins_begin(&pairs, out, &w, 4096, err);
    if (!st)
        st = read_twins(&pairs, out, &w, err);
    if (!st) {
        areas(out, &pairs);
        out->synthetic = w.m.synthetic || w.cohort.synthetic;
        out->records = w.records;
        st = judge_all(out, &w, err);
    }
    if (!st)
        st = ecg_truth_gates(out, &w, err);
    if (!st)
        ecg_truth_judge(out);
    twins_clear(&pairs);
    free(w.record);
    ecg_loader_close(&w.loader);
    ecg_cohort_close(&w.cohort);
    ecg_model_clear(&w.m);
    return st;
}
