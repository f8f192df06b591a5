/* SPDX-License-Identifier: MIT
 * recalibrate.c: see recalibrate.h. */
#include "study/recalibrate.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/extras.h"
#include "model/neighbours.h"
#include "study/readings.h"
#include "study/runlog.h"

enum { MOST_TRAINING = 20000 /* records that an explainer is fitted on */, LEAST_RECORDS = 20 };

typedef struct {
    const ecg_recalibration_task *task;
    ecg_recalibration *out;
    ecg_model m;
    ecg_cohort cohort;
    ecg_loader loader;
    int diagnoses, labs;     /* places among the heads; -1 */
} work;

static ecg_status open_all(work *w, ecg_err *err)
{
    char path[512], text[64];
    ecg_roles roles;
    ecg_status st = ecg_model_path(path, sizeof path, w->task->model, err);
    if (!st && strcmp(path, w->task->out) == 0)
        return ecg_fail_at(err, ECG_EARG, path, 0, 0, "the new model needs a name of its own");
    if (!st)
        st = ecg_model_load(&w->m, path, false, false, err);
    if (!st && (!w->m.heads || ecg_model_fused(&w->m)))
        st = ecg_fail_at(err, ECG_ECONTRACT, path, 0, 0, w->m.heads ? "the head reads the table of the visit: `predict` has no use for calibrators"
                                                                   : "a pre-trained encoder without a head");
    if (!st)
        st = ecg_cohort_open(&w->cohort, w->task->cohort, err);
    if (!st && !w->cohort.signal)
        st = ecg_fail_at(err, ECG_ECONTRACT, w->task->cohort, 0, 0, "a cohort without recordings");
    if (!st) {
        ecg_contract signal = w->cohort.contract; /* crops are the model's business */
        signal.crop = w->m.contract.crop;
        st = ecg_contract_fits(&signal, "the cohort", &w->m.contract, "the model", ECG_CONTRACT_SIGNAL, err);
        if (st)
            ecg_fail_in(err, st, w->task->cohort);
    }
    if (st)
        return st;
    ecg_model_use(&w->m, w->task->exec);
    w->out->same_cohort = ecg_record_roles(&roles, w->m.record, &w->cohort);
    w->out->synthetic = w->m.synthetic || w->cohort.synthetic;
    const bool seeded = ecg_record_field(text, sizeof text, w->m.record, "split_seed");
    return ecg_loader_open(&w->loader, &w->cohort, w->out->same_cohort ? &roles : w->task->roles, w->m.shape.length, seeded ? strtoull(text, NULL, 10) : 42, err);
}

/* All records of a cohort. */
static ecg_status all_rows(ecg_rows *out, const ecg_cohort *c, ecg_err *err)
{
    out->row = malloc((size_t)(c->n ? c->n : 1) * sizeof *out->row);
    if (!out->row)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < c->n; i++)
        out->row[i] = (uint32_t)i;
    out->n = c->n;
    return ECG_OK;
}

static ecg_status fit_heads(work *w, const ecg_readings *r, ecg_err *err)
{
    for (int i = 0; i < w->m.heads; i++) {
        ecg_recalibrated_head *h = &w->out->head[i];
        ecg_uncertainty_clear(&w->m.uncertain[i]);
        if (ecg_uncertainty_fit(&w->m.uncertain[i], r->logit[i], r->label[i], r->n, r->K[i], w->task->exec->pool))
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        snprintf(h->set, sizeof h->set, "%s", w->m.head[i].set);
        h->labels = r->K[i];
        for (int k = 0; k < r->K[i]; k++) {
            const ecg_calibrator *c = &w->m.uncertain[i].label[k];
            h->verdicts += c->positives >= ECG_CLASS_CASES && c->negatives >= ECG_CLASS_CASES;
            h->isotonic += c->kind == ECG_CALIBRATOR_ISOTONIC;
            h->platt += c->kind == ECG_CALIBRATOR_PLATT;
            h->shared += c->kind == ECG_CALIBRATOR_SHARED;
        }
    }
    w->out->heads = w->m.heads;
    return ECG_OK;
}

/* Which records calibrate; n 0: none may. */
static ecg_status calibrating(ecg_rows *own, const ecg_rows **rows, work *w, ecg_err *err)
{
    static const ecg_rows none = {NULL, 0};
    w->out->validation_patients = w->loader.patients[ECG_VALIDATION];
    if (w->out->same_cohort)
        *rows = w->loader.cut ? &w->loader.half[ECG_HALF_B] : &none;
    else if (w->task->roles)
        *rows = &w->loader.role[ECG_VALIDATION];
    else {
        *rows = own;
        return all_rows(own, &w->cohort, err);
    }
    return ECG_OK;
}

static ecg_status write_neighbours(work *w, const ecg_readings *r, ecg_err *err)
{
    const ecg_neighbour_rows rows = {r->n, r->h, {r->label[0], r->label[1]}, r->row, w->cohort.hash};
    if (!w->task->neighbours)
        return ECG_OK;
    w->out->neighbours = r->n;
    return ecg_neighbours_write(w->task->neighbours, &w->m, &rows, err);
}

/* On the test folds: recorded for the reader, nothing is chosen by it. */
static ecg_status test_heads(work *w, ecg_err *err)
{
    ecg_readings r = {0};
    const ecg_rows *rows = &w->loader.role[ECG_TEST];
    if (!rows->n || (!w->out->same_cohort && !w->task->roles))
        return ECG_OK;
    ecg_status st = ecg_readings_take(&r, &w->m, &w->loader, rows, MOST_TRAINING, w->task->watch, "test records", err);
    for (int i = 0; i < w->m.heads && !st; i++)
        if (ecg_uncertainty_test(&w->m.uncertain[i], r.logit[i], r.label[i], r.n))
            st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    w->out->tested = st ? 0 : r.n;
    ecg_readings_clear(&r);
    return st;
}

static ecg_status calibrate(work *w, ecg_err *err)
{
    ecg_rows own = {NULL, 0};
    const ecg_rows *rows;
    ecg_readings r = {0};
    ecg_status st = calibrating(&own, &rows, w, err);
    if (st || (w->out->same_cohort && !rows->n)) {
        ecg_rows_clear(&own);
        return st;
    }
    w->out->records = rows->n;
    w->out->patients = ecg_rows_patients(NULL, &w->cohort, rows);
    if (rows->n < LEAST_RECORDS || w->out->patients < 2)
        st = ecg_fail_at(err, ECG_EARG, w->task->cohort, 0, 0, "%" PRId64 " records of %" PRId64 " patients to calibrate on, %d of 2 are needed", rows->n,
                         w->out->patients, LEAST_RECORDS);
    if (!st)
        st = ecg_readings_take(&r, &w->m, &w->loader, rows, 0, w->task->watch, "calibrate", err);
    if (!st)
        st = fit_heads(w, &r, err);
    if (!st && w->m.outlier.width)
        ecg_outlier_refit(&w->m.outlier, r.h, r.n);
    if (!st && !w->out->same_cohort)
        st = write_neighbours(w, &r, err);
    if (!st)
        st = test_heads(w, err);
    if (!st)
        snprintf(w->m.calibration, sizeof w->m.calibration, "{\"records\": %" PRId64 ", \"patients\": %" PRId64 ", \"cohort\": \"%s\", \"half\": %s}", w->out->records,
                 w->out->patients, w->cohort.hash, w->out->same_cohort ? "true" : "false");
    ecg_readings_clear(&r);
    ecg_rows_clear(&own);
    return st;
}

static void mean_shares(ecg_recalibration *out, const ecg_explainer *e)
{
    double sum[2] = {0, 0};
    int n = 0;
    for (int k = 0; k < e->K; k++)
        if (!isnan(e->completeness[k])) {
            sum[0] += e->completeness[k];
            sum[1] += e->random[k];
            n++;
        }
    out->completeness = n ? sum[0] / n : NAN;
    out->random = n ? sum[1] / n : NAN;
}

static const char *why_not(const work *w)
{
    return w->labs < 0 ? "no laboratory head" : w->diagnoses < 0 ? "no diagnosis head"
           : !w->m.shared_embedding ? "the two heads do not read the same embedding" : NULL;
}

/* Moments of the training embeddings, and the explainer where both heads share one. */
static ecg_status learn(work *w, ecg_err *err)
{
    ecg_readings train = {0}, held = {0};
    ecg_moments moments = {0};
    ecg_status st = ecg_readings_take(&train, &w->m, &w->loader, &w->loader.role[ECG_TRAIN], MOST_TRAINING, w->task->watch, "training records", err);
    if (!st)
        st = ecg_readings_take(&held, &w->m, &w->loader, &w->loader.half[ECG_HALF_A], 0, w->task->watch, "validation records", err);
    if (!st && ecg_moments_of(&moments, train.h, train.n, train.width))
        st = ecg_fail_at(err, ECG_EDATA, w->task->cohort, 0, 0, "no training record has an embedding");
    if (!st) { /* half A sets the levels until half B or another site does */
        ecg_outlier_clear(&w->m.outlier);
        w->out->distances = held.n && !ecg_outlier_fit(&w->m.outlier, &moments, held.h, held.n);
    }
    if (!st)
        st = write_neighbours(w, &train, err);
    w->out->not_explained = why_not(w);
    if (!st && !w->out->not_explained) {
        const ecg_explain_rows t = ecg_readings_rows(&train, w->diagnoses, w->labs), h = ecg_readings_rows(&held, w->diagnoses, w->labs);
        ecg_explainer_clear(&w->m.explainer);
        if (ecg_explainer_fit(&w->m.explainer, &t, &h, &moments, w->task->seed, w->task->exec->pool))
            st = ecg_fail_at(err, ECG_ENOMEM, w->task->cohort, 0, 0, "no memory for explanations");
        w->out->fitted = !st;
    }
    ecg_readings_clear(&train);
    ecg_readings_clear(&held);
    ecg_moments_clear(&moments);
    return st;
}

ecg_status ecg_recalibrate(ecg_recalibration *out, const ecg_recalibration_task *t, ecg_err *err)
{
    work w = {.task = t, .out = out, .diagnoses = -1, .labs = -1};
    *out = (ecg_recalibration){.completeness = NAN, .random = NAN};
    ecg_status st = open_all(&w, err);
    for (int i = 0; i < w.m.heads && !st; i++)
        *(strcmp(w.m.head[i].prefix, ECG_HEAD_LABS) ? &w.diagnoses : &w.labs) = i;
    if (!st && out->same_cohort)
        st = learn(&w, err);
    if (!st)
        st = calibrate(&w, err);
    if (!st) {
        out->explained = w.m.explainer.K > 0;
        out->distances = w.m.outlier.width > 0;
        if (!out->explained && !out->not_explained)
            out->not_explained = why_not(&w) ? why_not(&w) : "they are made on the cohort of the training";
        if (out->explained)
            mean_shares(out, &w.m.explainer);
        st = ecg_model_save(&w.m, t->out, err);
    }
    ecg_loader_close(&w.loader);
    ecg_cohort_close(&w.cohort);
    ecg_model_clear(&w.m);
    return st;
}
