/* SPDX-License-Identifier: MIT
 * auroc.c: AUROC = (pairs in which the positive scores higher + half the tied pairs) / (positives * negatives). Counts are integers, so the
 * value is exact but for one division, whatever the order of the rows. */
#include "stat/auroc.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "stat/sort_keys.h"

#define POSITIVE (UINT32_C(1) << 31)

/* Where scores come from: one of the two. */
typedef struct {
    const float *f;
    const double *d;
} scores;

/* Entries by falling score, cut into groups: a run of equal scores that holds a positive, its negatives first. */
static int cut_into_groups(ecg_ranked *out, const uint64_t *key, const uint32_t *tag, int64_t n, int64_t positives)
{
    out->group = malloc((size_t)(positives ? positives : 1) * sizeof *out->group);
    if (!out->group)
        return -1;
    uint32_t at = 0;
    for (int64_t i = 0, end; i < n; i = end) {
        uint32_t any = 0;
        for (end = i; end < n && key[end] == key[i]; end++)
            any |= tag[end] & POSITIVE;
        const uint32_t above = at;
        for (int64_t j = i; j < end; j++)
            if (!(tag[j] & POSITIVE))
                out->row[at++] = tag[j];
        if (!any)
            continue;
        const uint32_t negative = at;
        for (int64_t j = i; j < end; j++)
            if (tag[j] & POSITIVE)
                out->row[at++] = tag[j] & ~POSITIVE;
        out->group[out->groups++] = (ecg_ranked_group){above, negative, at};
    }
    out->n = n;
    return 0;
}

static int make(ecg_ranked *out, scores score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row)
{
    int64_t known = 0, positives = 0;
    assert(n >= 0 && n < (int64_t)POSITIVE);
    *out = (ecg_ranked){0};
    for (int64_t row = 0; row < n; row++)
        for (int64_t c = 0; c < per_row; c++) {
            known += label[row * stride + c] == 0 || label[row * stride + c] == 1;
            positives += label[row * stride + c] == 1;
        }
    assert(known <= (int64_t)UINT32_MAX);
    const size_t room = known ? (size_t)known : 1;
    uint64_t *key = malloc(room * sizeof *key);
    uint32_t *tag = malloc(room * sizeof *tag);
    out->row = malloc(room * sizeof *out->row);
    int status = -1;
    if (!key || !tag || !out->row)
        goto done;
    int64_t i = 0;
    for (int64_t row = 0; row < n; row++)
        for (int64_t c = 0; c < per_row; c++) {
            const int64_t at = row * stride + c;
            if (label[at] != 0 && label[at] != 1)
                continue;
            const double x = score.f ? (double)score.f[at] : score.d[at];
            out->nan |= isnan(x);
            key[i] = ecg_sort_key(x);
            tag[i++] = (label[at] ? POSITIVE : 0) | (uint32_t)row;
        }
    status = ecg_sort_keys(&key, &tag, known) ? -1 : cut_into_groups(out, key, tag, known, positives);
done:
    free(key);
    free(tag);
    if (status)
        ecg_ranked_clear(out);
    return status;
}

int ecg_ranked_make(ecg_ranked *out, const float *score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row)
{
    return make(out, (scores){score, NULL}, label, n, stride, per_row);
}

int ecg_ranked_make_double(ecg_ranked *out, const double *score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row)
{
    return make(out, (scores){NULL, score}, label, n, stride, per_row);
}

void ecg_ranked_clear(ecg_ranked *r)
{
    free(r->row);
    free(r->group);
    *r = (ecg_ranked){0};
}

static uint64_t weigh(const uint32_t *row, int64_t n, const uint32_t *weight)
{
    uint64_t sum = 0;
    for (int64_t i = 0; weight && i < n; i++)
        sum += weight[row[i]];
    return weight ? sum : (uint64_t)n;
}

ecg_areas ecg_ranked_areas(const ecg_ranked *r, const uint32_t *weight)
{
    uint64_t above = 0, positives = 0, lost = 0, tied = 0; /* negatives so far; pairs in which the negative scores higher, as high */
    double precision = 0;
    uint32_t at = 0;
    for (int64_t g = 0; g < r->groups; g++) {
        const ecg_ranked_group *x = &r->group[g];
        above += weigh(r->row + at, x->above - at, weight);
        const uint64_t negative = weigh(r->row + x->above, x->negative - x->above, weight);
        const uint64_t positive = weigh(r->row + x->negative, x->positive - x->negative, weight);
        lost += positive * above;
        tied += positive * negative;
        above += negative;
        positives += positive;
        if (positives + above)
            precision += (double)positive * ((double)positives / (double)(positives + above));
        at = x->positive;
    }
    const uint64_t negatives = above + weigh(r->row + at, r->n - at, weight);
    if (r->nan || !positives || !negatives)
        return (ecg_areas){NAN, NAN};
    const uint64_t won_twice = 2 * positives * negatives - (2 * lost + tied);
    return (ecg_areas){(double)won_twice / (2.0 * (double)positives * (double)negatives), precision / (double)positives};
}

static ecg_areas areas_of(const float *score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row)
{
    ecg_ranked r;
    if (ecg_ranked_make(&r, score, label, n, stride, per_row))
        return (ecg_areas){NAN, NAN};
    const ecg_areas areas = ecg_ranked_areas(&r, NULL);
    ecg_ranked_clear(&r);
    return areas;
}

double ecg_auroc(const float *score, const int8_t *label, int64_t n, int64_t stride)
{
    return areas_of(score, label, n, stride, 1).auroc;
}

double ecg_average_precision(const float *score, const int8_t *label, int64_t n, int64_t stride)
{
    return areas_of(score, label, n, stride, 1).precision;
}

double ecg_auroc_micro(const float *score, const int8_t *label, int64_t n, int64_t K)
{
    return areas_of(score, label, n, K, K).auroc;
}

ecg_macro ecg_macro_of(const double *per_label, int64_t K)
{
    ecg_macro m = {NAN, NAN, 0, (int)K};
    double sum = 0;
    for (int64_t k = 0; k < K; k++)
        if (!isnan(per_label[k])) {
            sum += per_label[k];
            m.defined++;
        }
    if (m.defined)
        m.skip_undefined = sum / m.defined;
    if (K)
        m.half_undefined = (sum + 0.5 * (double)(K - m.defined)) / (double)K;
    return m;
}

typedef struct {
    double *value;
    const float *score;
    const int8_t *label;
    int64_t n, K;
} per_label_job;

static void one_label(void *ctx, int k, int worker)
{
    per_label_job *job = ctx;
    (void)worker;
    job->value[k] = ecg_auroc(job->score + k, job->label + k, job->n, job->K);
}

ecg_macro ecg_auroc_macro(double *per_label, const float *score, const int8_t *label, int64_t n, int64_t K, ecg_pool *pool)
{
    double *value = per_label ? per_label : malloc((size_t)(K ? K : 1) * sizeof *value);
    if (!value)
        return (ecg_macro){NAN, NAN, 0, (int)K};
    ecg_pool_run(pool, one_label, &(per_label_job){value, score, label, n, K}, (int)K);
    const ecg_macro m = ecg_macro_of(value, K);
    if (!per_label)
        free(value);
    return m;
}
