/* SPDX-License-Identifier: MIT
 * readings.c: see readings.h. */
#include "study/readings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/parts.h"

/* ---- columns that are age and sex ------------------------------------------------------------------------------------------------- */

static int column(const ecg_contract *c, const char *const *names)
{
    for (; *names; names++)
        for (int i = 0; i < c->columns; i++)
            if (ecg_same_word(c->column[i].name, *names))
                return i;
    return -1;
}

/* The category that stands for men: by its word, else 1 as the generator and the published tables write it. */
static double male(const ecg_contract *c, int at)
{
    double category = 0;
    const char *words = c->words ? c->words[at] : NULL;
    while (words && *words) {
        const char *end = strchr(words, '\n');
        const size_t n = end ? (size_t)(end - words) : strlen(words);
        if ((n == 1 && (*words == 'M' || *words == 'm')) || (n == 4 && !strncasecmp(words, "male", 4)))
            return category;
        category++;
        words = end ? end + 1 : NULL;
    }
    return 1;
}

static void patterns(ecg_readings *out, const ecg_cohort *c, const uint32_t *row)
{
    static const char *const ages[] = {"demographics_age", "age", NULL}, *const sexes[] = {"demographics_gender", "gender", "sex", NULL};
    const int age = column(&c->contract, ages), sex = column(&c->contract, sexes);
    const double man = sex < 0 ? 1 : male(&c->contract, sex);
    for (int64_t i = 0; i < out->n; i++) {
        const float *t = c->tabular ? c->tabular + (size_t)row[i] * (size_t)c->contract.columns : NULL;
        out->pattern[i * ECG_PATTERNS] = t && age >= 0 ? (double)t[age] : NAN;
        out->pattern[i * ECG_PATTERNS + 1] = t && sex >= 0 && !isnan(t[sex]) ? (double)((double)t[sex] == man) : NAN;
    }
}

/* ---- labels by code --------------------------------------------------------------------------------------------------------------- */

static void labels(int8_t *out, const ecg_model *m, const ecg_head *head, const ecg_cohort *c, const uint32_t *row, int64_t n)
{
    const ecg_label_table *mine, *theirs = NULL;
    const int K = ecg_head_labels(m, head, &mine);
    const int8_t *label = ecg_cohort_labels(c, head->set, &theirs);
    memset(out, -1, (size_t)n * (size_t)K);
    for (int k = 0, j = 0; k < K && label; k++) { /* both ascend by code */
        while (j < theirs->n && strcmp(theirs->label[j].code, mine->label[k].code) < 0)
            j++;
        if (j == theirs->n || strcmp(theirs->label[j].code, mine->label[k].code) != 0)
            continue;
        for (int64_t i = 0; i < n; i++)
            out[i * K + k] = label[(size_t)row[i] * (size_t)theirs->n + (size_t)j];
    }
}

/* ---- through the model ------------------------------------------------------------------------------------------------------------ */

static ecg_status run(ecg_readings *out, const ecg_model *m, const ecg_loader *l, const uint32_t *row, const ecg_watch *watch, const char *what, ecg_err *err)
{
    const ecg_contract *k = &l->cohort->contract;
    const int most = k->samples / l->crop > 0 ? k->samples / l->crop : 1, together = most >= 64 ? 1 : 64 / most;
    const size_t room = (size_t)most * (size_t)together, H = (size_t)m->shape.width;
    uint32_t *who = malloc(room * sizeof *who);
    int *start = malloc(room * sizeof *start);
    float *x = malloc(room * (size_t)l->crop * (size_t)k->leads * sizeof *x), *h = malloc(room * H * sizeof *h);
    ecg_status st = who && start && x && h ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < out->n && !st; i += together) {
        const int here = out->n - i < together ? (int)(out->n - i) : together;
        int crops = 0;
        for (int r = 0; r < here; r++)
            for (int c = 0; c < ecg_loader_crops(l, row[i + r]); c++, crops++) {
                who[crops] = row[i + r];
                start[crops] = c * l->crop;
            }
        ecg_loader_signals(x, l, m->exec.pool, who, start, crops);
        st = ecg_embed_crops(h, m, x, crops, err);
        for (int r = 0, at = 0; r < here && !st; r++) {
            const int mine = ecg_loader_crops(l, row[i + r]);
            ecg_mean_crops(out->h + (size_t)(i + r) * H, h + (size_t)at * H, mine, m->shape.width);
            for (int head = 0; head < m->heads && !st; head++)
                st = ecg_head_means(out->logit[head] + (i + r) * out->K[head], NULL, m, &m->head[head], h + (size_t)at * H, mine, err);
            at += mine;
        }
        ecg_progress(watch, what, (double)i, (double)out->n, "");
        if (!st && ecg_stopped(watch))
            st = ecg_fail(err, ECG_EINTR, "interrupted");
    }
    ecg_progress(watch, what, 1, 1, "");
    free(who);
    free(start);
    free(x);
    free(h);
    return st;
}

ecg_status ecg_readings_take(ecg_readings *out, const ecg_model *m, const ecg_loader *l, const ecg_rows *rows, int64_t most, const ecg_watch *watch,
                             const char *what, ecg_err *err)
{
    const int64_t n = most > 0 && rows->n > most ? most : rows->n;
    *out = (ecg_readings){.n = n, .width = m->shape.width};
    const size_t N = (size_t)n + 1;
    uint32_t *row = malloc(N * sizeof *row);
    bool got = row != NULL;
    out->h = malloc(N * (size_t)out->width * sizeof *out->h);
    out->pattern = malloc(N * ECG_PATTERNS * sizeof *out->pattern);
    out->patient = malloc(N * sizeof *out->patient);
    out->row = malloc(N * sizeof *out->row);
    got &= out->h && out->pattern && out->patient && out->row;
    for (int i = 0; i < m->heads; i++) {
        out->K[i] = ecg_head_labels(m, &m->head[i], NULL);
        out->logit[i] = malloc(N * (size_t)out->K[i] * sizeof **out->logit);
        out->label[i] = malloc(N * (size_t)out->K[i]);
        got &= out->logit[i] && out->label[i];
    }
    ecg_status st = got ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < n && !st; i++) {
        row[i] = rows->row[i * rows->n / n];
        out->row[i] = row[i];
        out->patient[i] = ecg_rows_patient(l->cohort, row[i]);
    }
    if (!st) {
        patterns(out, l->cohort, row);
        for (int i = 0; i < m->heads; i++)
            labels(out->label[i], m, &m->head[i], l->cohort, row, n);
        st = run(out, m, l, row, watch, what, err);
    }
    free(row);
    if (st)
        ecg_readings_clear(out);
    return st;
}

void ecg_readings_clear(ecg_readings *r)
{
    for (int i = 0; i < 2; i++) {
        free(r->logit[i]);
        free(r->label[i]);
    }
    free(r->h);
    free(r->pattern);
    free(r->patient);
    free(r->row);
    *r = (ecg_readings){0};
}

ecg_explain_rows ecg_readings_rows(const ecg_readings *r, int diagnoses, int labs)
{
    return (ecg_explain_rows){r->n, r->K[diagnoses], r->K[labs], r->width, r->h, r->logit[diagnoses], r->logit[labs], r->label[diagnoses], r->label[labs],
                              r->pattern, r->patient};
}
