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
#include "model/bundle.h"

enum { CROPS_AT_ONCE = 16, MOST_REASONS = 3, NEEDED_LEADS = 8 };

static const double reason_ratio = 1.5, reason_auroc = 0.6; /* a laboratory abnormality is named above both */

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

/* h (crops, width) from x (crops * length, leads). */
static ecg_status embed(float *h, const ecg_model *m, const float *x, int crops, ecg_err *err)
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
    return strcmp(x->code, y->code);
}

/* *out (*n) by falling probability, malloc'ed: means over the crops of one head's sigmoids and logits. */
static ecg_status score(ecg_score **out, int *n, const ecg_model *m, const ecg_head *head, const float *h, int crops, ecg_err *err)
{
    const ecg_label_table *labels;
    const int K = ecg_head_labels(m, head, &labels), at_once = crops < CROPS_AT_ONCE ? crops : CROPS_AT_ONCE;
    ecg_params table = m->table; /* evaluation writes nothing; the running statistics are read through it */
    ecg_mlp_work *w = ecg_mlp_work_new(head->net, at_once, false);
    float *logit = malloc((size_t)at_once * (size_t)K * sizeof *logit);
    ecg_score *s = calloc((size_t)K, sizeof *s);
    ecg_status st = ECG_OK;
    if (!w || !logit || !s) {
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", K);
        goto done;
    }
    for (int c = 0; c < crops; c += at_once) {
        const int B = crops - c < at_once ? crops - c : at_once;
        ecg_mlp_forward(logit, head->net, &table, w, &m->exec, h + (size_t)c * m->shape.width, B, false, NULL);
        for (int b = 0; b < B; b++)
            for (int k = 0; k < K; k++) {
                s[k].crop_mean_logit += logit[b * K + k];
                s[k].probability += sigmoid(logit[b * K + k]);
            }
    }
    for (int k = 0; k < K; k++) {
        s[k].code = labels->label[k].code;
        s[k].title = labels->label[k].title;
        s[k].probability /= crops;
        s[k].crop_mean_logit /= crops;
        s[k].prevalence = head->prevalence[k];
        s[k].auroc = head->auroc[k];
        if (!isfinite(s[k].crop_mean_logit)) {
            st = ecg_fail(err, ECG_EDATA, "the model's logit of %s is not finite", s[k].code);
            goto done;
        }
    }
    qsort(s, (size_t)K, sizeof *s, by_probability);
    *out = s;
    *n = K;
    s = NULL;
done:
    ecg_mlp_work_free(w);
    free(logit);
    free(s);
    return st;
}

/* ---- reasons -------------------------------------------------------------------------------------------------------------------- */

static int by_ratio(const void *a, const void *b)
{
    const ecg_score *x = a, *y = b;
    const double rx = x->probability / x->prevalence, ry = y->probability / y->prevalence;
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
        if (a->lab[i].prevalence > 0 && a->lab[i].probability / a->lab[i].prevalence > reason_ratio && a->lab[i].auroc > reason_auroc)
            list[n++] = a->lab[i];
    qsort(list, (size_t)n, sizeof *list, by_ratio);
    a->reason = list;
    a->reasons = n < MOST_REASONS ? n : MOST_REASONS;
    return ECG_OK;
}

ecg_status ecg_predict(ecg_answer *out, const ecg_model *m, const ecg_record *rec, const ecg_predict_options *options, ecg_err *err)
{
    float *x = NULL, *h = NULL;
    int64_t n = 0;
    *out = (ecg_answer){.synthetic = m->synthetic};
    if (ecg_model_fused(m))
        return ecg_fail(err, ECG_ECONTRACT, "the model needs the table of the visit beside the ECG");
    ecg_record_quality(&out->quality, rec);
    ecg_status st = prepare(&x, &n, m, rec, options && options->allow_missing_leads, err);
    if (st)
        goto done;
    if (n / m->shape.length > INT32_MAX) {
        st = ecg_fail(err, ECG_EREFUSED, "%" PRId64 " crops, at most %d", n / m->shape.length, INT32_MAX);
        goto done;
    }
    out->crops = (int)(n / m->shape.length);
    h = malloc((size_t)out->crops * (size_t)m->shape.width * sizeof *h);
    st = h ? embed(h, m, x, out->crops, err) : ecg_fail(err, ECG_ENOMEM, "no memory for %d crops", out->crops);
    for (int i = 0; i < m->heads && !st; i++) {
        const bool labs = strcmp(m->head[i].prefix, ECG_HEAD_LABS) == 0;
        out->has_labs |= labs;
        st = score(labs ? &out->lab : &out->diagnosis, labs ? &out->labs : &out->diagnoses, m, &m->head[i], h, out->crops, err);
    }
    if (!st)
        st = choose_reasons(out, err);
done:
    free(x);
    free(h);
    if (st)
        ecg_answer_clear(out);
    return st;
}

void ecg_answer_clear(ecg_answer *answer)
{
    free(answer->diagnosis);
    free(answer->lab);
    free(answer->reason);
    *answer = (ecg_answer){0};
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
