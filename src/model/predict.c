/* SPDX-License-Identifier: MIT
 * predict.c: a recording to an answer. Quality, preparation as the contract says, all disjoint crops through the encoder and the heads, the
 * mean over the crops, the sentence. Everything is a function of the model and of this one recording; what is needed is allocated here, so
 * that threads may share a model. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "ecg/prepare.h"
#include "model/parts.h"

enum { CROPS_AT_ONCE = 16, MOST_REASONS = 3, NEEDED_LEADS = 8 };

static const double reason_ratio = 1.5, reason_auroc = 0.6; /* a laboratory abnormality is named above both */
static const double usual_alpha = 0.1, least_alpha = 0.005, most_alpha = 0.5;

/* ---- may it be answered? ------------------------------------------------------------------------------------------------------- */

/* III, aVR, aVL and aVF follow from I and II; without these eight there is no answer. */
static const int needed[NEEDED_LEADS] = {ECG_I, ECG_II, ECG_V1, ECG_V2, ECG_V3, ECG_V4, ECG_V5, ECG_V6};

static ecg_status refuse_absent_leads(unsigned found, bool allow_missing, ecg_err *err)
{
    char names[64] = "";
    int absent = 0;
    for (int i = 0; i < NEEDED_LEADS; i++)
        if (!(found >> needed[i] & 1u)) {
            const size_t at = strlen(names);
            snprintf(names + at, sizeof names - at, "%s%s", absent ? ", " : "", ecg_lead_names[needed[i]]);
            absent++;
        }
    if (!found)
        return ecg_fail(err, ECG_EREFUSED, "none of the twelve leads is there");
    if (absent && !allow_missing)
        return ecg_fail(err, ECG_EREFUSED, "lead%s %s absent", absent > 1 ? "s" : "", names);
    return ECG_OK;
}

/* x (n, leads): is there a value in any lead that was found? The others are zeros that nobody measured. */
static ecg_status refuse_nothing_measured(const float *x, int64_t n, unsigned found, const ecg_contract *c, ecg_err *err)
{
    for (int l = 0; l < c->leads; l++) {
        const int lead = ecg_lead_from_name(c->lead[l]);
        if (lead < 0 || !(found >> lead & 1u))
            continue;
        for (int64_t i = 0; i < n; i++)
            if (!isnan(x[i * c->leads + l]))
                return ECG_OK;
    }
    return ecg_fail(err, ECG_EREFUSED, "nothing but missing samples");
}

/* *x (*n, leads), malloc'ed. */
static ecg_status prepare(float **x, int64_t *n, const ecg_model *m, const ecg_record *rec, bool allow_missing, ecg_err *err)
{
    const ecg_contract *c = &m->contract;
    const int at_least = c->crop > m->shape.length ? c->crop : m->shape.length;
    unsigned found = 0;
    *n = ecg_prepared_samples(c, rec);
    if (*n < at_least)
        return ecg_fail(err, ECG_EREFUSED, "%" PRId64 " samples at %g Hz, at least %d needed", *n, c->rate_hz, at_least);
    if ((uint64_t)*n > SIZE_MAX / sizeof **x / (size_t)c->leads)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " samples", *n);
    *x = malloc((size_t)*n * (size_t)c->leads * sizeof **x);
    if (!*x)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " samples", *n);
    ecg_status st = ecg_prepare(*x, &found, c, rec, err);
    if (!st)
        st = refuse_absent_leads(found, allow_missing, err);
    if (!st)
        st = refuse_nothing_measured(*x, *n, found, c, err);
    return st;
}

/* ---- crops through the network -------------------------------------------------------------------------------------------------- */

ecg_status ecg_embed_crops(float *h, const ecg_model *m, const float *x, int crops, ecg_err *err)
{
    const int at_once = crops < CROPS_AT_ONCE ? crops : CROPS_AT_ONCE, workers = m->exec.pool ? ecg_pool_threads(m->exec.pool) : 1;
    ecg_encoder_work *w = ecg_encoder_work_new(m->encoder, workers, 0, false);
    if (!w)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the encoder");
    for (int c = 0; c < crops; c += at_once) {
        const int B = crops - c < at_once ? crops - c : at_once;
        ecg_encoder_forward(h + (size_t)c * m->shape.width, NULL, m->encoder, &m->table, w, &m->exec,
                            x + (size_t)c * m->shape.length * m->shape.leads, B, NULL);
    }
    ecg_encoder_work_free(w);
    return ECG_OK;
}

void ecg_mean_crops(float *mean, const float *h, int crops, int width)
{
    for (int j = 0; j < width; j++) {
        double sum = 0;
        for (int c = 0; c < crops; c++)
            sum += (double)h[(size_t)c * (size_t)width + (size_t)j];
        mean[j] = (float)(sum / crops);
    }
}

static double sigmoid(double z)
{
    const double e = ecg_exp(z < 0 ? z : -z); /* never overflows */
    return z < 0 ? e / (1 + e) : 1 / (1 + e);
}

static int by_probability(const void *a, const void *b)
{
    const ecg_score *x = a, *y = b;
    if (x->probability != y->probability)
        return x->probability < y->probability ? 1 : -1;
    if (x->crop_mean_logit != y->crop_mean_logit) /* one step of a calibrator holds many scores */
        return x->crop_mean_logit < y->crop_mean_logit ? 1 : -1;
    return strcmp(x->code, y->code);
}

ecg_status ecg_head_means(double *logit, double *prob, const ecg_model *m, const ecg_head *head, const float *h, int crops, ecg_err *err)
{
    const int K = ecg_head_labels(m, head, NULL), at_once = crops < CROPS_AT_ONCE ? crops : CROPS_AT_ONCE;
    ecg_params table = m->table; /* evaluation writes nothing; the running statistics are read through it */
    ecg_mlp_work *w = ecg_mlp_work_new(head->net, at_once, false);
    float *z = malloc((size_t)at_once * (size_t)K * sizeof *z);
    ecg_status st = ECG_OK;
    if (!w || !z) {
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", K);
        goto done;
    }
    for (int k = 0; k < K; k++) {
        logit[k] = 0;
        if (prob)
            prob[k] = 0;
    }
    for (int c = 0; c < crops; c += at_once) {
        const int B = crops - c < at_once ? crops - c : at_once;
        ecg_mlp_forward(z, head->net, &table, w, &m->exec, h + (size_t)c * m->shape.width, B, false, NULL);
        for (int b = 0; b < B; b++)
            for (int k = 0; k < K; k++) {
                logit[k] += z[b * K + k];
                if (prob)
                    prob[k] += sigmoid(z[b * K + k]);
            }
    }
    for (int k = 0; k < K; k++) {
        logit[k] /= crops;
        if (prob)
            prob[k] /= crops;
    }
done:
    ecg_mlp_work_free(w);
    free(z);
    return st;
}

/* *out (*n) in the order of the table, malloc'ed. */
static ecg_status score(ecg_score **out, int *n, const ecg_model *m, const ecg_head *head, const float *h, int crops, ecg_err *err)
{
    const ecg_label_table *labels;
    const int K = ecg_head_labels(m, head, &labels);
    double *logit = malloc((size_t)K * 2 * sizeof *logit);
    ecg_score *s = calloc((size_t)K, sizeof *s);
    ecg_status st = logit && s ? ecg_head_means(logit, logit + K, m, head, h, crops, err) : ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", K);
    for (int k = 0; k < K && !st; k++) {
        s[k] = (ecg_score){.code = labels->label[k].code, .title = labels->label[k].title, .probability = logit[K + k], .raw_probability = logit[K + k],
                           .crop_mean_logit = logit[k], .prevalence = head->prevalence[k], .auroc = head->auroc[k], .row = k};
        if (!isfinite(logit[k]))
            st = ecg_fail(err, ECG_EDATA, "the model's logit of %s is not finite", s[k].code);
    }
    free(logit);
    if (st) {
        free(s);
        return st;
    }
    *out = s;
    *n = K;
    return ECG_OK;
}

/* ---- reasons -------------------------------------------------------------------------------------------------------------------- */

static int by_ratio(const void *a, const void *b)
{
    const ecg_score *x = a, *y = b;
    const double rx = x->probability / ecg_base_rate(x), ry = y->probability / ecg_base_rate(y);
    if (rx != ry)
        return rx < ry ? 1 : -1;
    return strcmp(x->code, y->code);
}

/* Laboratory abnormalities well above their prevalence that the model is known to see. Of a figure that is not recorded nothing is claimed. */
static ecg_status choose_reasons(ecg_answer *a, ecg_err *err)
{
    ecg_score *list = malloc((size_t)(a->labs ? a->labs : 1) * sizeof *list);
    if (!list)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", a->labs);
    int n = 0;
    for (int i = 0; i < a->labs; i++)
        if (ecg_base_rate(&a->lab[i]) > 0 && a->lab[i].probability / ecg_base_rate(&a->lab[i]) > reason_ratio && a->lab[i].auroc > reason_auroc)
            list[n++] = a->lab[i];
    qsort(list, (size_t)n, sizeof *list, by_ratio);
    a->reason = list;
    a->reasons = n < MOST_REASONS ? n : MOST_REASONS;
    return ECG_OK;
}

static ecg_status check_options(ecg_answer *out, const ecg_model *m, const ecg_predict_options *how, ecg_err *err)
{
    out->alpha = how->alpha != 0 ? how->alpha : usual_alpha;
    if (!(out->alpha >= least_alpha && out->alpha <= most_alpha))
        return ecg_fail(err, ECG_EARG, "alpha %g, %g to %g possible", how->alpha, least_alpha, most_alpha);
    if (ecg_model_fused(m))
        return ecg_fail(err, ECG_ECONTRACT, "the model needs the table of the visit beside the ECG");
    return ECG_OK;
}

/* Both heads on the embeddings of the crops, what may be said of the scores, and why. */
static ecg_status answer(ecg_answer *out, const ecg_model *m, const float *h, const float *mean, const ecg_predict_options *how, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int i = 0; i < m->heads && !st; i++) {
        const ecg_head *head = &m->head[i];
        const bool labs = strcmp(head->prefix, ECG_HEAD_LABS) == 0;
        ecg_score **list = labs ? &out->lab : &out->diagnosis;
        int *n = labs ? &out->labs : &out->diagnoses;
        out->has_labs |= labs;
        out->calibrated |= m->uncertain[i].K > 0;
        st = score(list, n, m, head, h, out->crops, err);
        if (!st) {
            ecg_claim(*list, *n, m, head, out);
            out->local += ecg_shift(*list, *n, how->prevalence, i);
            qsort(*list, (size_t)*n, sizeof **list, by_probability);
        }
    }
    if (!st)
        st = choose_reasons(out, err);
    if (!st) {
        ecg_claim_all(out);
        st = ecg_explain_answer(out, m, h, out->crops, mean, how->explain, err);
    }
    if (!st && how->neighbours)
        st = ecg_count_neighbours(out, how->neighbours, mean, err);
    return st;
}

ecg_status ecg_predict(ecg_answer *out, const ecg_model *m, const ecg_record *rec, const ecg_predict_options *options, ecg_err *err)
{
    const ecg_predict_options how = options ? *options : (ecg_predict_options){0};
    float *x = NULL, *h = NULL;
    int64_t n = 0;
    *out = (ecg_answer){.synthetic = m->synthetic, .not_explained = ""};
    ecg_status st = check_options(out, m, &how, err);
    if (st)
        return st;
    ecg_record_quality(&out->quality, rec);
    st = prepare(&x, &n, m, rec, how.allow_missing_leads, err);
    if (st)
        goto done;
    if (n / m->shape.length > INT32_MAX - 1) {
        st = ecg_fail(err, ECG_EREFUSED, "%" PRId64 " crops, at most %d", n / m->shape.length, INT32_MAX - 1);
        goto done;
    }
    out->crops = (int)(n / m->shape.length);
    h = malloc(((size_t)out->crops + 1) * (size_t)m->shape.width * sizeof *h); /* the last row: their mean */
    st = h ? ecg_embed_crops(h, m, x, out->crops, err) : ecg_fail(err, ECG_ENOMEM, "no memory for %d crops", out->crops);
    if (!st) {
        float *mean = h + (size_t)out->crops * (size_t)m->shape.width;
        ecg_mean_crops(mean, h, out->crops, m->shape.width);
        ecg_doubt(out, m, mean, x, n);
        st = answer(out, m, h, mean, &how, err);
        if (!st && how.occlusion)
            st = ecg_occlude_answer(out, m, x, n, how.explain, err);
    }
done:
    free(x);
    free(h);
    if (st)
        ecg_answer_clear(out);
    return st;
}

void ecg_answer_clear(ecg_answer *a)
{
    for (int i = 0; i < a->whys; i++)
        free(a->why[i].cite);
    free(a->why);
    free(a->occlusion);
    free(a->diagnosis);
    free(a->lab);
    free(a->reason);
    *a = (ecg_answer){0};
}

/* ---- words ---------------------------------------------------------------------------------------------------------------------- */

char *ecg_code_text(char *out, size_t size, const char *code)
{
    const bool icd = strlen(code) > 3 && code[0] >= 'A' && code[0] <= 'Z' && code[1] >= '0' && code[1] <= '9' &&
                     strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == strlen(code);
    if (icd)
        snprintf(out, size, "%.3s.%s", code, code + 3);
    else
        snprintf(out, size, "%s", code);
    return out;
}

/* Goes on at *length, counting also what does not fit. */
static void __attribute__((format(printf, 4, 5))) append(char *out, int size, int *length, const char *fmt, ...)
{
    const int at = *length < size ? *length : size;
    va_list args;
    va_start(args, fmt);
    *length += vsnprintf(size > at ? out + at : NULL, (size_t)(size > at ? size - at : 0), fmt, args);
    va_end(args);
}

int ecg_answer_sentence(char *out, int size, const ecg_answer *answer, int i)
{
    const ecg_score *d = &answer->diagnosis[i];
    char code[72];
    int length = 0;
    append(out, size, &length, "predicts %s%s%s (%.2f)", ecg_code_text(code, sizeof code, d->code), d->title[0] ? " " : "", d->title,
           d->probability);
    if (!answer->has_labs)
        append(out, size, &length, "; this model has no laboratory head");
    else if (!answer->reasons)
        append(out, size, &length, "; no laboratory abnormality stands out");
    for (int r = 0; r < answer->reasons; r++)
        append(out, size, &length, "%s%s (%.2f)", r ? ", " : ", and it does so as it also predicts ", answer->reason[r].code,
               answer->reason[r].probability);
    return length;
}
