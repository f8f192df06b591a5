/* SPDX-License-Identifier: MIT
 * bootstrap.c: percentile bootstrap of AUROC. A resample is a vector of integer weights over the rows; every label is sorted once and then
 * counted under ECG_LANES resamples at a time. Items of work are blocks of resamples, each written to its own place: the result does not
 * depend on the threads. Interval: point + percentile(replicate - point), which is the percentile of the replicates (protocol 7.3). */
#include "stat/bootstrap.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

typedef struct {
    int64_t n, K, units;
    const int32_t *unit; /* (n) 0..units-1 */
    uint64_t seed;
    const int32_t *ids;  /* (resamples, n) instead of drawing; else NULL */
    int resamples;
    ecg_ranked *ranked;  /* (K) labels, then micro */
    uint32_t *weight;    /* (threads, n, ECG_LANES) */
    uint32_t *times;     /* (threads, units) how often a unit was drawn */
    double *replicate;   /* (K + 3, resamples): labels, micro, macro, macro_half */
} boot;

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* numpy's "linear": the value at position q (n - 1), interpolated from the nearer side. */
double ecg_percentile(double *x, int64_t n, double q)
{
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(x[i])) { /* swapped, not copied: x keeps its values for the next percentile */
            const double value = x[i];
            x[i] = x[m];
            x[m++] = value;
        }
    if (!m)
        return NAN;
    qsort(x, (size_t)m, sizeof *x, compare_double);
    const double at = q * (double)(m - 1);
    const int64_t i = at <= 0 ? 0 : at >= (double)(m - 1) ? m - 1 : (int64_t)at;
    const double low = x[i], high = x[i + 1 < m ? i + 1 : i], t = at - (double)i;
    return high == low ? low : t >= 0.5 ? high - (high - low) * (1 - t) : low + (high - low) * t;
}

/* Weights of resample r into lane l. Stream 260, a = resample. */
static void draw(uint32_t *weight, uint32_t *times, const boot *b, int r, int l)
{
    if (b->ids) {
        for (int64_t i = 0; i < b->n; i++) {
            const int32_t row = b->ids[(int64_t)r * b->n + i];
            assert(row >= 0 && row < b->n);
            weight[(int64_t)row * ECG_LANES + l]++;
        }
        return;
    }
    ecg_rng g;
    ecg_rng_open(&g, b->seed, 0, ECG_STREAM_BOOTSTRAP, (uint32_t)r, 0);
    memset(times, 0, (size_t)b->units * sizeof *times);
    for (int64_t u = 0; u < b->units; u++)
        times[ecg_rng_below(&g, (uint32_t)b->units)]++;
    for (int64_t i = 0; i < b->n; i++)
        weight[i * ECG_LANES + l] = times[b->unit[i]];
}

static void block_of_resamples(void *ctx, int item, int worker)
{
    const boot *b = ctx;
    uint32_t *weight = b->weight + (int64_t)worker * b->n * ECG_LANES, *times = b->times + (int64_t)worker * b->units;
    const int first = item * ECG_LANES, lanes = b->resamples - first < ECG_LANES ? b->resamples - first : ECG_LANES;
    double area[ECG_LANES], sum[ECG_LANES] = {0};
    int defined[ECG_LANES] = {0};
    memset(weight, 0, (size_t)b->n * ECG_LANES * sizeof *weight);
    for (int l = 0; l < lanes; l++)
        draw(weight, times, b, first + l, l);
    for (int64_t k = 0; k <= b->K; k++) {
        ecg_ranked_auroc(area, &b->ranked[k], weight);
        memcpy(b->replicate + k * b->resamples + first, area, (size_t)lanes * sizeof *area);
        for (int l = 0; k < b->K && l < lanes; l++)
            if (!isnan(area[l])) {
                sum[l] += area[l];
                defined[l]++;
            }
    }
    double *macro = b->replicate + (b->K + 1) * b->resamples + first, *half = macro + b->resamples;
    for (int l = 0; l < lanes; l++) {
        macro[l] = defined[l] ? sum[l] / defined[l] : NAN;
        half[l] = b->K ? (sum[l] + 0.5 * (double)(b->K - defined[l])) / (double)b->K : NAN;
    }
}

static void interval(ecg_interval *out, double point, double *replicate, int resamples, int as_float32)
{
    *out = (ecg_interval){point, NAN, NAN, 0};
    for (int r = 0; r < resamples; r++) {
        out->undefined += isnan(replicate[r]);
        replicate[r] = (as_float32 ? (double)(float)replicate[r] : replicate[r]) - point;
    }
    out->lo = point + ecg_percentile(replicate, resamples, 0.025);
    out->hi = point + ecg_percentile(replicate, resamples, 0.975);
}

typedef struct {
    ecg_ranked *ranked;
    const float *score;
    const int8_t *label;
    int64_t n, K;
    int *failed; /* (K + 1) */
} rank_job;

static void rank_one(void *ctx, int k, int worker)
{
    const rank_job *j = ctx;
    (void)worker;
    j->failed[k] = k < j->K ? ecg_ranked_make(&j->ranked[k], j->score + k, j->label + k, j->n, j->K, 1)
                            : ecg_ranked_make(&j->ranked[k], j->score, j->label, j->n, j->K, j->K);
}

static int run(ecg_boot_summary *out, ecg_interval *per_label, boot *b, const float *score, const int8_t *label, int as_float32, ecg_pool *pool)
{
    const int threads = pool ? ecg_pool_threads(pool) : 1;
    const size_t rows = (size_t)(b->n ? b->n : 1), units = (size_t)(b->units ? b->units : 1), all = (size_t)(b->resamples ? b->resamples : 1);
    int *failed = calloc((size_t)b->K + 1, sizeof *failed), status = -1;
    double *point = malloc(((size_t)b->K + 1) * sizeof *point);
    b->ranked = calloc((size_t)b->K + 1, sizeof *b->ranked);
    b->weight = malloc((size_t)threads * rows * ECG_LANES * sizeof *b->weight);
    b->times = malloc((size_t)threads * units * sizeof *b->times);
    b->replicate = malloc(((size_t)b->K + 3) * all * sizeof *b->replicate);
    if (!failed || !point || !b->ranked || !b->weight || !b->times || !b->replicate)
        goto done;
    ecg_pool_run(pool, rank_one, &(rank_job){b->ranked, score, label, b->n, b->K, failed}, (int)b->K + 1);
    for (int64_t k = 0; k <= b->K; k++)
        if (failed[k])
            goto done;

    /* the point estimates: one block in which every row weighs one */
    for (size_t i = 0; i < rows * ECG_LANES; i++)
        b->weight[i] = 1;
    for (int64_t k = 0; k <= b->K; k++) {
        double area[ECG_LANES];
        ecg_ranked_auroc(area, &b->ranked[k], b->weight);
        point[k] = area[0];
    }
    ecg_pool_run(pool, block_of_resamples, b, (b->resamples + ECG_LANES - 1) / ECG_LANES);

    const ecg_macro macro = ecg_macro_of(point, b->K);
    double *replicate = b->replicate;
    for (int64_t k = 0; per_label && k < b->K; k++)
        interval(&per_label[k], point[k], replicate + k * b->resamples, b->resamples, as_float32);
    if (out) {
        replicate += b->K * b->resamples;
        interval(&out->micro, point[b->K], replicate, b->resamples, as_float32);
        interval(&out->macro, macro.skip_undefined, replicate + b->resamples, b->resamples, as_float32);
        interval(&out->macro_half, macro.half_undefined, replicate + 2 * (int64_t)b->resamples, b->resamples, as_float32);
    }
    status = 0;
done:
    for (int64_t k = 0; b->ranked && k <= b->K; k++)
        ecg_ranked_clear(&b->ranked[k]);
    free(b->ranked);
    free(b->weight);
    free(b->times);
    free(b->replicate);
    free(point);
    free(failed);
    return status;
}

typedef struct {
    int64_t unit, row;
} unit_row;

static int compare_unit(const void *a, const void *b)
{
    const unit_row *x = a, *y = b;
    return x->unit != y->unit ? (x->unit > y->unit) - (x->unit < y->unit) : (x->row > y->row) - (x->row < y->row);
}

/* Units numbered by rising value; a negative one is unknown and stands for its row alone. */
static int number_units(int32_t *out, int64_t *units, const int64_t *unit, int64_t n)
{
    *units = 0;
    if (!unit) {
        for (int64_t i = 0; i < n; i++)
            out[i] = (int32_t)i;
        *units = n;
        return 0;
    }
    unit_row *list = malloc((size_t)(n ? n : 1) * sizeof *list);
    if (!list)
        return -1;
    for (int64_t i = 0; i < n; i++)
        list[i] = (unit_row){unit[i], i};
    qsort(list, (size_t)n, sizeof *list, compare_unit);
    for (int64_t i = 0; i < n; i++) {
        *units += i == 0 || list[i].unit < 0 || list[i].unit != list[i - 1].unit;
        out[list[i].row] = (int32_t)(*units - 1);
    }
    free(list);
    return 0;
}

int ecg_bootstrap_auroc(ecg_boot_summary *out, ecg_interval *per_label, const float *score, const int8_t *label, int64_t n, int64_t K,
                        const int64_t *unit, int resamples, uint64_t seed, ecg_pool *pool)
{
    boot b = {.n = n, .K = K, .seed = seed, .resamples = resamples > 0 ? resamples : 0};
    int32_t *number = malloc((size_t)(n ? n : 1) * sizeof *number);
    int status = -1;
    if (number && number_units(number, &b.units, unit, n) == 0) {
        b.unit = number;
        status = run(out, per_label, &b, score, label, 0, pool);
    }
    free(number);
    return status;
}

int ecg_bootstrap_auroc_ids(ecg_boot_summary *out, ecg_interval *per_label, const float *score, const int8_t *label, int64_t n, int64_t K,
                            const int32_t *ids, int resamples, int as_float32, ecg_pool *pool)
{
    boot b = {.n = n, .K = K, .ids = ids, .resamples = resamples > 0 ? resamples : 0};
    return run(out, per_label, &b, score, label, as_float32, pool);
}
