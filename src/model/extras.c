/* SPDX-License-Identifier: MIT
 * extras.c: see extras.h. */
#include "model/extras.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_FIELDS = 9, STEP_FIELDS = 6, PAIR_FIELDS = 7, TESTED_FIELDS = 5 };
static_assert(sizeof(ecg_step) == STEP_FIELDS * sizeof(float), "a step is a row of floats");
static_assert(sizeof(ecg_tested) == TESTED_FIELDS * sizeof(double), "what was tested is a row of doubles");
static_assert(sizeof(ecg_association) == PAIR_FIELDS * sizeof(float), "an association is a row of floats");

bool ecg_extras_any(const ecg_model *m)
{
    return m->uncertain[0].K || m->uncertain[1].K || m->outlier.width || m->explainer.K;
}

void ecg_extras_clear(ecg_model *m)
{
    for (int i = 0; i < 2; i++)
        ecg_uncertainty_clear(&m->uncertain[i]);
    ecg_outlier_clear(&m->outlier);
    ecg_explainer_clear(&m->explainer);
    m->calibration[0] = '\0';
}

/* The arrays of an explainer and their sizes: the same list writes and reads. */
typedef struct { const char *name; double **at; int64_t dim[2]; } explain_part;
enum { EXPLAIN_PARTS = 11, EXPLAIN_OWN = 2 /* not in files before it existed: then a feature is its own */ };

static void explain_parts(explain_part out[EXPLAIN_PARTS], ecg_explainer *e)
{
    const int64_t K = e->K, P = e->P, F = P + ECG_PATTERNS, H = e->H;
    const explain_part list[EXPLAIN_PARTS] = {
        {"explain.score_mean", &e->score_mean, {K, 1}}, {"explain.feature_mean", &e->feature_mean, {F, 1}},
        {"explain.own", &e->own, {F, F}},
        {"explain.beta", &e->beta, {K, F}},             {"explain.error", &e->error, {K, F}},
        {"explain.completeness", &e->completeness, {K, 1}}, {"explain.random", &e->random, {K, 1}},
        {"explain.view", &e->view, {F, H + 1}},         {"explain.agreement", &e->agreement, {F, 1}},
        {"explain.neutral", &e->neutral, {P, 1}},       {"explain.spread", &e->spread, {P, H}},
    };
    memcpy(out, list, sizeof list);
}

/* ---- saving ---------------------------------------------------------------------------------------------------------------------- */

static ecg_status save_labels(const ecg_uncertainty *u, const char *name, ecg_tensorsw *w, ecg_err *err)
{
    const int64_t dim[2] = {u->K, LABEL_FIELDS};
    double *rows = malloc((size_t)u->K * LABEL_FIELDS * sizeof *rows);
    if (!rows)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d calibrators", u->K);
    for (int k = 0; k < u->K; k++) {
        const ecg_calibrator *c = &u->label[k];
        const double row[LABEL_FIELDS] = {(double)c->positives, (double)c->negatives, c->slope, c->offset, c->auroc, c->auroc_lo, (double)c->first,
                                          (double)c->steps, c->kind};
        memcpy(rows + (size_t)k * LABEL_FIELDS, row, sizeof row);
    }
    const ecg_status st = ecg_tensorsw_put(w, name, ECG_F64, 2, dim, rows, err);
    free(rows);
    return st;
}

static ecg_status save_uncertainty(const ecg_model *m, int i, ecg_tensorsw *w, ecg_err *err)
{
    const ecg_uncertainty *u = &m->uncertain[i];
    const int64_t steps[2] = {u->steps, STEP_FIELDS}, quantiles[3] = {u->K, 2, ECG_LEVELS};
    char name[80];
    snprintf(name, sizeof name, "uncertain.%s.label", m->head[i].set);
    ecg_status st = save_labels(u, name, w, err);
    snprintf(name, sizeof name, "uncertain.%s.step", m->head[i].set);
    if (!st)
        st = ecg_tensorsw_put(w, name, ECG_F32, 2, steps, u->step, err);
    snprintf(name, sizeof name, "uncertain.%s.quantile", m->head[i].set);
    if (!st)
        st = ecg_tensorsw_put(w, name, ECG_F32, 3, quantiles, u->quantile, err);
    if (st || !u->tested)
        return st;
    const int64_t tested[2] = {u->K, TESTED_FIELDS};
    snprintf(name, sizeof name, "uncertain.%s.tested", m->head[i].set);
    return ecg_tensorsw_put(w, name, ECG_F64, 2, tested, u->tested, err);
}

static ecg_status save_outlier(const ecg_outlier *o, ecg_tensorsw *w, ecg_err *err)
{
    double level[ECG_OUTLIER_LEVELS + 1];
    const int64_t levels = ECG_OUTLIER_LEVELS + 1, H = o->width, root = H * (H + 1) / 2;
    memcpy(level, o->level, sizeof o->level);
    level[ECG_OUTLIER_LEVELS] = (double)o->n;
    ecg_status st = ecg_tensorsw_put(w, "outlier.level", ECG_F64, 1, &levels, level, err);
    if (!st)
        st = ecg_tensorsw_put(w, "outlier.mean", ECG_F32, 1, &H, o->mean, err);
    return st ? st : ecg_tensorsw_put(w, "outlier.root", ECG_F32, 1, &root, o->root, err);
}

static ecg_status save_explainer(const ecg_explainer *e, ecg_tensorsw *w, ecg_err *err)
{
    explain_part part[EXPLAIN_PARTS];
    ecg_explainer copy = *e;
    const double fit[3] = {(double)e->rows, (double)e->held_out, e->penalty};
    const int64_t fits = 3, pairs[3] = {e->K, e->P, PAIR_FIELDS};
    explain_parts(part, &copy);
    ecg_status st = ecg_tensorsw_put(w, "explain.fit", ECG_F64, 1, &fits, fit, err);
    for (int i = 0; i < EXPLAIN_PARTS && !st; i++)
        st = ecg_tensorsw_put(w, part[i].name, ECG_F64, 2, part[i].dim, *part[i].at, err);
    return st ? st : ecg_tensorsw_put(w, "explain.data", ECG_F32, 3, pairs, e->data, err);
}

ecg_status ecg_extras_save(const ecg_model *m, ecg_tensorsw *w, ecg_err *err)
{
    ecg_status st = ECG_OK;
    if (m->calibration[0])
        st = ecg_tensorsw_meta(w, "calibration", m->calibration, err);
    if (!st && m->explainer.K)
        st = save_explainer(&m->explainer, w, err);
    if (!st && m->outlier.width)
        st = save_outlier(&m->outlier, w, err);
    for (int i = 0; i < m->heads && !st; i++)
        if (m->uncertain[i].K)
            st = save_uncertainty(m, i, w, err);
    return st;
}

/* ---- loading --------------------------------------------------------------------------------------------------------------------- */

/* A copy of a tensor that must be there in this shape. */
static ecg_status take(void **out, const ecg_tensors *file, const char *name, ecg_dtype type, int rank, const int64_t *dim, ecg_err *err)
{
    const ecg_tensor *t;
    const ecg_status st = ecg_tensors_need(file, &t, name, type, rank, dim, err);
    if (st)
        return st;
    *out = malloc(t->bytes ? t->bytes : 1);
    if (!*out)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %s", name);
    if (t->bytes)
        memcpy(*out, t->data, t->bytes);
    return ECG_OK;
}

/* A whole number that a file wrote as a double. */
static bool whole(int64_t *out, double x)
{
    if (!(x >= 0 && x < 1e15 && x == floor(x)))
        return false;
    *out = (int64_t)x;
    return true;
}

static ecg_status take_labels(ecg_uncertainty *u, const double *rows, const char *name, ecg_err *err)
{
    u->label = calloc((size_t)u->K, sizeof *u->label);
    if (!u->label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d calibrators", u->K);
    for (int k = 0; k < u->K; k++) {
        const double *r = rows + (size_t)k * LABEL_FIELDS;
        ecg_calibrator *c = &u->label[k];
        int64_t kind;
        if (!whole(&c->positives, r[0]) || !whole(&c->negatives, r[1]) || !whole(&c->first, r[6]) || !whole(&c->steps, r[7]) || !whole(&kind, r[8]) ||
            kind >= ECG_CALIBRATORS)
            return ecg_fail(err, ECG_EDATA, "%s: row %d holds no counts", name, k);
        c->slope = r[2];
        c->offset = r[3];
        c->auroc = r[4];
        c->auroc_lo = r[5];
        c->kind = (int)kind;
    }
    return ECG_OK;
}

static ecg_status take_uncertainty(ecg_model *m, int i, const ecg_tensors *file, ecg_err *err)
{
    ecg_uncertainty *u = &m->uncertain[i];
    const int64_t K = ecg_head_labels(m, &m->head[i], NULL), rows[2] = {K, LABEL_FIELDS}, steps[2] = {-1, STEP_FIELDS}, quantiles[3] = {K, 2, ECG_LEVELS};
    const ecg_tensor *t;
    char name[80];
    snprintf(name, sizeof name, "uncertain.%s.label", m->head[i].set);
    if (!ecg_tensors_find(file, name))
        return ECG_OK;
    ecg_status st = ecg_tensors_need(file, &t, name, ECG_F64, 2, rows, err);
    if (st)
        return st;
    u->K = (int)K;
    st = take_labels(u, t->data, name, err);
    snprintf(name, sizeof name, "uncertain.%s.step", m->head[i].set);
    if (!st)
        st = take((void **)&u->step, file, name, ECG_F32, 2, steps, err);
    if (!st)
        u->steps = ecg_tensors_find(file, name)->dim[0];
    snprintf(name, sizeof name, "uncertain.%s.quantile", m->head[i].set);
    if (!st)
        st = take((void **)&u->quantile, file, name, ECG_F32, 3, quantiles, err);
    const int64_t tested[2] = {K, TESTED_FIELDS};
    snprintf(name, sizeof name, "uncertain.%s.tested", m->head[i].set);
    if (!st && ecg_tensors_find(file, name))
        st = take((void **)&u->tested, file, name, ECG_F64, 2, tested, err);
    const char *wrong = st ? NULL : ecg_uncertainty_check(u);
    return wrong ? ecg_fail(err, ECG_EDATA, "uncertain.%s: %s", m->head[i].set, wrong) : st;
}

static ecg_status take_outlier(ecg_model *m, const ecg_tensors *file, ecg_err *err)
{
    ecg_outlier *o = &m->outlier;
    const int64_t levels = ECG_OUTLIER_LEVELS + 1, H = m->shape.width, root = H * (H + 1) / 2;
    const ecg_tensor *t;
    if (!ecg_tensors_find(file, "outlier.level"))
        return ECG_OK;
    ecg_status st = ecg_tensors_need(file, &t, "outlier.level", ECG_F64, 1, &levels, err);
    if (!st) {
        const double *level = t->data;
        memcpy(o->level, level, sizeof o->level);
        if (!whole(&o->n, level[ECG_OUTLIER_LEVELS]))
            st = ecg_fail(err, ECG_EDATA, "outlier.level ends in no count");
    }
    if (!st)
        st = take((void **)&o->mean, file, "outlier.mean", ECG_F32, 1, &H, err);
    if (!st)
        st = take((void **)&o->root, file, "outlier.root", ECG_F32, 1, &root, err);
    o->width = (int)H;
    const char *wrong = st ? NULL : ecg_outlier_check(o);
    return wrong ? ecg_fail(err, ECG_EDATA, "outlier: %s", wrong) : st;
}

static ecg_status itself(double **out, int64_t n, ecg_err *err)
{
    *out = calloc((size_t)n * (size_t)n, sizeof **out);
    if (!*out)
        return ecg_fail(err, ECG_ENOMEM, "no memory for explain.own");
    for (int64_t i = 0; i < n; i++)
        (*out)[i * n + i] = 1;
    return ECG_OK;
}

static ecg_status take_explainer(ecg_model *m, const ecg_tensors *file, ecg_err *err)
{
    explain_part part[EXPLAIN_PARTS];
    ecg_explainer *e = &m->explainer;
    const ecg_head *diagnoses = ecg_model_head(m, ECG_HEAD_DIAGNOSES), *labs = ecg_model_head(m, ECG_HEAD_LABS);
    const ecg_tensor *t;
    const int64_t fits = 3;
    if (!ecg_tensors_find(file, "explain.fit"))
        return ECG_OK;
    if (!diagnoses || !labs || !m->shared_embedding)
        return ecg_fail(err, ECG_EDATA, "explain.fit in a model without two heads on one embedding");
    ecg_status st = ecg_tensors_need(file, &t, "explain.fit", ECG_F64, 1, &fits, err);
    if (st)
        return st;
    const double *fit = t->data;
    if (!whole(&e->rows, fit[0]) || !whole(&e->held_out, fit[1]) || !(fit[2] >= 0))
        return ecg_fail(err, ECG_EDATA, "explain.fit holds no counts");
    e->penalty = fit[2];
    e->K = ecg_head_labels(m, diagnoses, NULL);
    e->P = ecg_head_labels(m, labs, NULL);
    e->H = m->shape.width;
    const int64_t pairs[3] = {e->K, e->P, PAIR_FIELDS};
    explain_parts(part, e);
    for (int i = 0; i < EXPLAIN_PARTS && !st; i++)
        st = i == EXPLAIN_OWN && !ecg_tensors_find(file, part[i].name) ? itself(part[i].at, part[i].dim[0], err)
                                                                       : take((void **)part[i].at, file, part[i].name, ECG_F64, 2, part[i].dim, err);
    if (!st)
        st = take((void **)&e->data, file, "explain.data", ECG_F32, 3, pairs, err);
    const char *wrong = st ? NULL : ecg_explainer_check(e);
    return wrong ? ecg_fail(err, ECG_EDATA, "explain: %s", wrong) : st;
}

static ecg_status take_calibration(ecg_model *m, const ecg_tensors *file, ecg_err *err)
{
    const char *text = ecg_tensors_meta(file, "calibration");
    if (!text)
        return ECG_OK;
    json_t *j = json_loads(text, 0, NULL);
    const bool is_object = json_is_object(j);
    json_decref(j);
    if (!is_object || strlen(text) >= sizeof m->calibration)
        return ecg_fail(err, ECG_EDATA, "calibration is no JSON object of fewer than %zu bytes", sizeof m->calibration);
    snprintf(m->calibration, sizeof m->calibration, "%s", text);
    return ECG_OK;
}

ecg_status ecg_extras_load(ecg_model *m, const ecg_tensors *file, ecg_err *err)
{
    ecg_status st = take_calibration(m, file, err);
    for (int i = 0; i < m->heads && !st; i++)
        st = take_uncertainty(m, i, file, err);
    if (!st)
        st = take_outlier(m, file, err);
    return st ? st : take_explainer(m, file, err);
}
