/* SPDX-License-Identifier: MIT
 * predict.c: a recording to an answer. Quality, preparation as the contract says, all disjoint crops through the encoder and the heads, the
 * mean over the crops, the sentence. Everything is a function of the model and of this one recording. Working memory and the lists of the answer
 * lie in a session of the model (session.h): nothing is allocated, and threads may share a model. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "ecg/prepare.h"
#include "model/parts.h"
#include "model/session.h"

enum { MOST_REASONS = 3, NEEDED_LEADS = 8 };

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

void *ecg_answer_take(ecg_answer *a, size_t count, size_t size)
{
    return ecg_arena_take(((ecg_session *)a->held)->arena, count, size);
}

/* *x (*n, leads) */
static ecg_status prepare(float **x, int64_t *n, ecg_answer *out, const ecg_model *m, const ecg_record *rec, bool allow_missing, ecg_err *err)
{
    const ecg_contract *c = &m->contract;
    const int at_least = c->crop > m->shape.length ? c->crop : m->shape.length;
    const ecg_session *session = out->held;
    ecg_resampler *resampler = session->resampler;
    ecg_pool *pool = ecg_session_exec(session, m).pool;
    unsigned found = 0;
    *n = ecg_prepared_samples(c, rec);
    if (*n < at_least)
        return ecg_fail(err, ECG_EREFUSED, "%" PRId64 " samples at %g Hz, at least %d needed", *n, c->rate_hz, at_least);
    if ((uint64_t)*n > SIZE_MAX / sizeof **x / (size_t)c->leads)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " samples", *n);
    ecg_status st = ecg_resampler_aim(resampler, rec->rate_hz, c->rate_hz, err);
    if (st)
        return st;
    *x = ecg_answer_take(out, (size_t)*n * (size_t)c->leads, sizeof **x);
    void *room = ecg_arena_room(session->arena, ecg_prepare_room(c, rec, resampler, pool));
    if (!*x || !room)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " samples", *n);
    st = ecg_prepare_in(*x, &found, c, rec, resampler, room, pool, err);
    if (!st)
        st = refuse_absent_leads(found, allow_missing, err);
    if (!st)
        st = refuse_nothing_measured(*x, *n, found, c, err);
    return st;
}

/* ---- crops through the network -------------------------------------------------------------------------------------------------- */

ecg_status ecg_embed_crops(float *h, const ecg_model *m, const float *x, int crops, ecg_err *err)
{
    ecg_session *s = m->infer && m->shelf ? ecg_session_take(m) : NULL;
    if (!s)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the encoder");
    ecg_session_embed(h, s, m, x, crops);
    ecg_session_return(s);
    return ECG_OK;
}

void ecg_embed_in(float *h, ecg_answer *a, const ecg_model *m, const float *x, int crops)
{
    ecg_session_embed(h, a->held, m, x, crops);
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

static void head_means(double *logit, double *prob, ecg_session *s, const ecg_model *m, const ecg_head *head, const float *h, int crops)
{
    const int K = ecg_head_labels(m, head, NULL);
    const ecg_exec exec = ecg_session_exec(s, m);
    ecg_params table = m->table; /* evaluation writes nothing; the running statistics are read through it */
    ecg_mlp_work *w = s->head[head - m->head];
    float *z = s->z;
    for (int k = 0; k < K; k++) {
        logit[k] = 0;
        if (prob)
            prob[k] = 0;
    }
    for (int c = 0; c < crops; c += ECG_SESSION_ROWS) {
        const int B = crops - c < ECG_SESSION_ROWS ? crops - c : ECG_SESSION_ROWS;
        ecg_mlp_forward(z, head->net, &table, w, &exec, h + (size_t)c * m->shape.width, B, false, NULL);
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
}

ecg_status ecg_head_means(double *logit, double *prob, const ecg_model *m, const ecg_head *head, const float *h, int crops, ecg_err *err)
{
    ecg_session *s = m->shelf ? ecg_session_take(m) : NULL;
    if (!s)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", ecg_head_labels(m, head, NULL));
    head_means(logit, prob, s, m, head, h, crops);
    ecg_session_return(s);
    return ECG_OK;
}

void ecg_head_means_in(double *logit, double *prob, ecg_answer *a, const ecg_model *m, const ecg_head *head, const float *h)
{
    head_means(logit, prob, a->held, m, head, h, a->crops);
}

double ecg_head_logit(ecg_answer *a, const ecg_model *m, const ecg_head *head, int k, const float *h, int crops)
{
    ecg_session *s = a->held;
    const ecg_exec exec = ecg_session_exec(s, m);
    ecg_params table = m->table;
    double sum = 0;
    for (int c = 0; c < crops; c += ECG_SESSION_ROWS) {
        const int B = crops - c < ECG_SESSION_ROWS ? crops - c : ECG_SESSION_ROWS;
        ecg_mlp_forward_one(s->z, head->net, &table, s->head[head - m->head], &exec, h + (size_t)c * m->shape.width, B, k);
        for (int b = 0; b < B; b++)
            sum += s->z[b];
    }
    return sum / crops;
}

/* *list (*n) in the order of the table. */
static ecg_status score(ecg_score **list, int *n, ecg_answer *out, const ecg_model *m, const ecg_head *head, const float *h, ecg_err *err)
{
    const ecg_label_table *labels;
    const int K = ecg_head_labels(m, head, &labels);
    double *logit = ecg_answer_take(out, (size_t)K * 2, sizeof *logit);
    ecg_score *s = ecg_answer_take(out, (size_t)K, sizeof *s);
    if (!logit || !s)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", K);
    head_means(logit, logit + K, out->held, m, head, h, out->crops);
    ecg_status st = ECG_OK;
    for (int k = 0; k < K && !st; k++) {
        s[k] = (ecg_score){.code = labels->label[k].code, .title = labels->label[k].title, .probability = logit[K + k], .raw_probability = logit[K + k],
                           .crop_mean_logit = logit[k], .prevalence = head->prevalence[k], .auroc = head->auroc[k], .row = k};
        if (!isfinite(logit[k]))
            st = ecg_fail(err, ECG_EDATA, "the model's logit of %s is not finite", s[k].code);
    }
    *list = s;
    *n = K;
    return st;
}

typedef int order(const void *a, const void *b);

/* As qsort with an order that leaves nothing equal, which would allocate: halves are merged, room (n) is used up. */
static void sort_scores(ecg_score **s, ecg_score **room, int n, order *before)
{
    if (n < 2)
        return;
    const int half = n / 2;
    sort_scores(s, room, half, before);
    sort_scores(s + half, room, n - half, before);
    memcpy(room, s, (size_t)half * sizeof(ecg_score *));
    for (int a = 0, b = half, to = 0; a < half; to++)
        s[to] = b < n && before(s[b], room[a]) < 0 ? s[b++] : room[a++];
}

/* *list (n) becomes a sorted copy of itself. */
static ecg_status sort_list(ecg_score **list, int n, ecg_answer *out, order *before, ecg_err *err)
{
    ecg_score **at = ecg_answer_take(out, (size_t)n * 2, sizeof *at), *sorted = ecg_answer_take(out, (size_t)n, sizeof *sorted);
    if (!at || !sorted)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", n);
    for (int i = 0; i < n; i++)
        at[i] = *list + i;
    sort_scores(at, at + n, n, before);
    for (int i = 0; i < n; i++)
        sorted[i] = *at[i];
    *list = sorted;
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
    ecg_score *list = ecg_answer_take(a, (size_t)a->labs, sizeof *list);
    if (!list)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", a->labs);
    int n = 0;
    for (int i = 0; i < a->labs; i++)
        if (ecg_base_rate(&a->lab[i]) > 0 && a->lab[i].probability / ecg_base_rate(&a->lab[i]) > reason_ratio && a->lab[i].auroc > reason_auroc)
            list[n++] = a->lab[i];
    a->reason = list;
    a->reasons = n < MOST_REASONS ? n : MOST_REASONS;
    return sort_list(&a->reason, n, a, by_ratio, err);
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
        st = score(list, n, out, m, head, h, err);
        if (!st) {
            ecg_claim(*list, *n, m, head, out);
            out->local += ecg_shift(*list, *n, how->prevalence, i);
            st = sort_list(list, *n, out, by_probability, err);
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
    out->held = m->infer && m->shelf ? ecg_session_take(m) : NULL;
    if (!out->held)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the encoder");
    ecg_record_quality_in(&out->quality, rec, ecg_answer_take(out, ecg_quality_room(rec), sizeof(double)));
    st = prepare(&x, &n, out, m, rec, how.allow_missing_leads, err);
    if (!st && n / m->shape.length > INT32_MAX - 1)
        st = ecg_fail(err, ECG_EREFUSED, "%" PRId64 " crops, at most %d", n / m->shape.length, INT32_MAX - 1);
    if (!st) {
        out->crops = (int)(n / m->shape.length);
        h = ecg_answer_take(out, ((size_t)out->crops + 1) * (size_t)m->shape.width, sizeof *h); /* the last row: their mean */
        st = h ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %d crops", out->crops);
    }
    if (!st) {
        ecg_session_embed(h, out->held, m, x, out->crops);
        float *mean = h + (size_t)out->crops * (size_t)m->shape.width;
        ecg_mean_crops(mean, h, out->crops, m->shape.width);
        ecg_doubt(out, m, mean, x, n);
        st = answer(out, m, h, mean, &how, err);
        if (!st && how.occlusion)
            st = ecg_occlude_answer(out, m, x, n, how.explain, err);
    }
    ecg_session_dismiss(out->held);
    if (st)
        ecg_answer_clear(out);
    return st;
}

void ecg_answer_clear(ecg_answer *a)
{
    ecg_session_return(a->held);
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
