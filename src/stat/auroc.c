/* SPDX-License-Identifier: MIT
 * auroc.c: AUROC = (pairs in which the positive scores higher + half the tied pairs) / (positives * negatives). Counts are integers, so the
 * value is exact but for one division, whatever the order of the rows. */
#include "stat/auroc.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROW_MASK (ECG_RANKED_LAST - 1u)

/* Unsigned integers in the order of the floats; both zeros are one. */
static uint32_t sortable(float x)
{
    uint32_t u;
    x += 0.0f;
    memcpy(&u, &x, sizeof u);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

/* Stable radix sort by the upper 32 bits, 11 bits at a time; the result is in a or b and is returned. */
static uint64_t *sort_pairs(uint64_t *a, uint64_t *b, int64_t n)
{
    static const int shift[3] = {32, 43, 54};
    for (int pass = 0; pass < 3; pass++) {
        int64_t start[2048] = {0}, sum = 0;
        for (int64_t i = 0; i < n; i++)
            start[a[i] >> shift[pass] & 2047]++;
        for (int j = 0; j < 2048; j++) {
            const int64_t count = start[j];
            start[j] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++)
            b[start[a[i] >> shift[pass] & 2047]++] = a[i];
        uint64_t *t = a;
        a = b;
        b = t;
    }
    return a;
}

int ecg_ranked_make(ecg_ranked *out, const float *score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row)
{
    int64_t known = 0;
    assert(n >= 0 && n <= (int64_t)ROW_MASK + 1);
    *out = (ecg_ranked){0};
    for (int64_t row = 0; row < n; row++)
        for (int64_t c = 0; c < per_row; c++)
            known += label[row * stride + c] == 0 || label[row * stride + c] == 1;
    const size_t room = known ? (size_t)known : 1;
    uint64_t *pair = malloc(2 * room * sizeof *pair);
    out->entry = malloc(room * sizeof *out->entry);
    if (!pair || !out->entry) {
        free(pair);
        ecg_ranked_clear(out);
        return -1;
    }
    for (int64_t row = 0; row < n; row++)
        for (int64_t c = 0; c < per_row; c++) {
            const int64_t at = row * stride + c;
            if (label[at] != 0 && label[at] != 1)
                continue;
            out->nan |= isnan(score[at]);
            pair[out->n++] = (uint64_t)sortable(score[at]) << 32 | (label[at] ? ECG_RANKED_POSITIVE : 0) | (uint32_t)row;
        }
    const uint64_t *sorted = sort_pairs(pair, pair + room, known);
    for (int64_t i = 0, end; i < known; i = end) {
        uint32_t any = 0;
        for (end = i; end < known && sorted[end] >> 32 == sorted[i] >> 32; end++) {
            out->entry[end] = (uint32_t)sorted[end];
            any |= out->entry[end] & ECG_RANKED_POSITIVE;
        }
        for (int64_t j = i; any && j < end; j++)
            out->entry[j] |= ECG_RANKED_TIED | (j == end - 1 ? ECG_RANKED_LAST : 0);
    }
    free(pair);
    return 0;
}

void ecg_ranked_clear(ecg_ranked *r)
{
    free(r->entry);
    *r = (ecg_ranked){0};
}

void ecg_ranked_auroc(double out[ECG_LANES], const ecg_ranked *r, const uint32_t *weight)
{
    uint32_t below[ECG_LANES] = {0}, tied_neg[ECG_LANES] = {0}, tied_pos[ECG_LANES] = {0};
    uint64_t pos[ECG_LANES] = {0}, neg[ECG_LANES] = {0}, wins2[ECG_LANES] = {0}; /* twice the pairs won, ties once */
    for (int64_t i = 0; i < r->n; i++) {
        const uint32_t e = r->entry[i];
        const uint32_t *w = weight + (size_t)(e & ROW_MASK) * ECG_LANES;
        uint32_t *sum = e & ECG_RANKED_POSITIVE ? tied_pos : e & ECG_RANKED_TIED ? tied_neg : below;
        for (int l = 0; l < ECG_LANES; l++)
            sum[l] += w[l];
        if (!(e & ECG_RANKED_LAST))
            continue;
        for (int l = 0; l < ECG_LANES; l++) {
            neg[l] += below[l];
            wins2[l] += tied_pos[l] * (2 * neg[l] + tied_neg[l]);
            pos[l] += tied_pos[l];
            neg[l] += tied_neg[l];
            below[l] = tied_neg[l] = tied_pos[l] = 0;
        }
    }
    for (int l = 0; l < ECG_LANES; l++) {
        neg[l] += below[l];
        out[l] = r->nan || !pos[l] || !neg[l] ? NAN : (double)wins2[l] / (2.0 * (double)pos[l] * (double)neg[l]);
    }
}

/* The same with every weight 1. */
static double auroc_of(const ecg_ranked *r)
{
    uint64_t pos = 0, neg = 0, tied_pos = 0, tied_neg = 0, wins2 = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const uint32_t e = r->entry[i];
        if (!(e & ECG_RANKED_TIED)) {
            neg++;
            continue;
        }
        e & ECG_RANKED_POSITIVE ? tied_pos++ : tied_neg++;
        if (e & ECG_RANKED_LAST) {
            wins2 += tied_pos * (2 * neg + tied_neg);
            pos += tied_pos;
            neg += tied_neg;
            tied_pos = tied_neg = 0;
        }
    }
    return r->nan || !pos || !neg ? NAN : (double)wins2 / (2.0 * (double)pos * (double)neg);
}

double ecg_auroc(const float *score, const int8_t *label, int64_t n, int64_t stride)
{
    ecg_ranked r;
    if (ecg_ranked_make(&r, score, label, n, stride, 1))
        return NAN;
    const double area = auroc_of(&r);
    ecg_ranked_clear(&r);
    return area;
}

double ecg_auroc_micro(const float *score, const int8_t *label, int64_t n, int64_t K)
{
    ecg_ranked r;
    if (ecg_ranked_make(&r, score, label, n, K, K))
        return NAN;
    const double area = auroc_of(&r);
    ecg_ranked_clear(&r);
    return area;
}

/* Sum over distinct thresholds of (recall gained) * precision there, without interpolation (scikit-learn's definition). Thresholds that
 * gain no recall, groups without a positive, add nothing. */
double ecg_average_precision(const float *score, const int8_t *label, int64_t n, int64_t stride)
{
    ecg_ranked r;
    if (ecg_ranked_make(&r, score, label, n, stride, 1))
        return NAN;
    int64_t positives = 0, tp = 0, group = 0;
    for (int64_t i = 0; i < r.n; i++)
        positives += r.entry[i] >> 31;
    double sum = 0;
    for (int64_t i = r.n - 1; i >= 0; i--) { /* thresholds fall: entries i.. are called positive */
        group += r.entry[i] >> 31;
        if ((r.entry[i] & ECG_RANKED_TIED) && (i == 0 || !(r.entry[i - 1] & ECG_RANKED_TIED) || (r.entry[i - 1] & ECG_RANKED_LAST))) {
            tp += group;
            sum += (double)group * ((double)tp / (double)(r.n - i));
            group = 0;
        }
    }
    const double precision = r.nan || !positives || positives == r.n ? NAN : sum / (double)positives;
    ecg_ranked_clear(&r);
    return precision;
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
