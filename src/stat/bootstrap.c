/* SPDX-License-Identifier: MIT
 * bootstrap.c: percentile bootstrap. A resample is a vector of integer weights over the rows; every label is sorted once and then counted under
 * ECG_LANES resamples at a time. Items of work are blocks of resamples, each written to its own place: the result does not depend on the threads.
 * Interval: point + percentile(replicate - point), which is the percentile of the replicates (protocol 7.3). */
#include "stat/bootstrap.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { AUROC, PRECISION, AREAS };
enum { MICRO, MACRO, HALF, POOLED }; /* rows of replicates behind those of the labels */

typedef struct {
    int64_t n, K, units;
    const int32_t *unit;  /* (n) 0..units-1 */
    uint64_t seed;
    const int32_t *ids;   /* (resamples, n) instead of drawing; else NULL */
    int resamples, sets, areas, micro, as_float32;
    ecg_ranked *ranked;   /* (sets, K + 1): labels, then all pooled */
    uint8_t *weight;      /* (threads, n, ECG_LANES) */
    uint32_t *one;        /* (threads, n) weights of one resample */
    uint32_t *times;      /* (threads, units) how often a unit was drawn */
    double *replicate;    /* (sets, areas, K + POOLED, resamples) */
    double *point;        /* (sets, areas, K + POOLED) */
    const ecg_watch *watch;
} boot;

static int64_t series(const boot *b, int set, int area, int64_t k)
{
    return ((int64_t)set * b->areas + area) * (b->K + POOLED) + k;
}

static double *replicates(const boot *b, int set, int area, int64_t k)
{
    return b->replicate + series(b, set, area, k) * b->resamples;
}

/* ---- percentiles ---------------------------------------------------------------------------------------------------------- */

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What is not NAN to the front, rising. */
static int64_t sort_defined(double *x, int64_t n)
{
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(x[i])) { /* swapped, not copied: x keeps its values for the next percentile */
            const double value = x[i];
            x[i] = x[m];
            x[m++] = value;
        }
    qsort(x, (size_t)m, sizeof *x, compare_double);
    return m;
}

/* numpy's "linear": the value at position q (n - 1), interpolated from the nearer side. */
static double percentile_of_sorted(const double *x, int64_t m, double q)
{
    if (!m)
        return NAN;
    const double at = q * (double)(m - 1);
    const int64_t i = at <= 0 ? 0 : at >= (double)(m - 1) ? m - 1 : (int64_t)at;
    const double low = x[i], high = x[i + 1 < m ? i + 1 : i], t = at - (double)i;
    return high == low ? low : t >= 0.5 ? high - (high - low) * (1 - t) : low + (high - low) * t;
}

double ecg_percentile(double *x, int64_t n, double q)
{
    return percentile_of_sorted(x, sort_defined(x, n), q);
}

/* room (resamples) */
static ecg_interval interval(const boot *b, double point, const double *replicate, double *room)
{
    for (int r = 0; r < b->resamples; r++)
        room[r] = (b->as_float32 ? (double)(float)replicate[r] : replicate[r]) - point;
    const int64_t m = sort_defined(room, b->resamples);
    return (ecg_interval){point, point + percentile_of_sorted(room, m, 0.025), point + percentile_of_sorted(room, m, 0.975), b->resamples - m};
}

/* ---- resamples ------------------------------------------------------------------------------------------------------------ */

/* How often every row is drawn in resample r. Stream 260, a = resample. */
static void draw(uint32_t *one, uint32_t *times, const boot *b, int r)
{
    if (b->ids) {
        memset(one, 0, (size_t)b->n * sizeof *one);
        for (int64_t i = 0; i < b->n; i++) {
            const int32_t row = b->ids[(int64_t)r * b->n + i];
            assert(row >= 0 && row < b->n);
            one[row]++;
        }
        return;
    }
    ecg_rng g;
    ecg_rng_open(&g, b->seed, 0, ECG_STREAM_BOOTSTRAP, (uint32_t)r, 0);
    memset(times, 0, (size_t)b->units * sizeof *times);
    for (int64_t u = 0; u < b->units; u++)
        times[ecg_rng_below(&g, (uint32_t)b->units)]++;
    for (int64_t i = 0; i < b->n; i++)
        one[i] = times[b->unit[i]];
}

/* Into a lane of bytes. False: a row was drawn more than 255 times, which given index sets can do. */
static bool into_lane(uint8_t *weight, int lane, const uint32_t *one, int64_t n)
{
    uint32_t largest = 0;
    for (int64_t i = 0; i < n; i++) {
        weight[i * ECG_LANES + lane] = (uint8_t)one[i];
        largest |= one[i];
    }
    return largest <= UINT8_MAX;
}

/* Means over labels of the replicates of this block. */
static void macro_of_block(const boot *b, int set, int area, int first, int lanes)
{
    double *macro = replicates(b, set, area, b->K + MACRO), *half = replicates(b, set, area, b->K + HALF);
    for (int l = first; l < first + lanes; l++) {
        double sum = 0;
        int64_t defined = 0;
        for (int64_t k = 0; k < b->K; k++) {
            const double x = replicates(b, set, area, k)[l];
            if (!isnan(x)) {
                sum += x;
                defined++;
            }
        }
        macro[l] = defined ? sum / (double)defined : NAN;
        half[l] = b->K && area == AUROC ? (sum + 0.5 * (double)(b->K - defined)) / (double)b->K : NAN;
    }
}

static void block_of_resamples(void *ctx, int item, int worker)
{
    const boot *b = ctx;
    uint8_t *weight = b->weight + (int64_t)worker * b->n * ECG_LANES;
    uint32_t *one = b->one + (int64_t)worker * b->n, *times = b->times + (int64_t)worker * b->units;
    const int first = item * ECG_LANES, lanes = b->resamples - first < ECG_LANES ? b->resamples - first : ECG_LANES;
    bool fits[ECG_LANES];
    double area[AREAS][ECG_LANES];
    if (ecg_stopped(b->watch))
        return;
    memset(weight, 0, (size_t)b->n * ECG_LANES);
    for (int l = 0; l < lanes; l++) {
        draw(one, times, b, first + l);
        fits[l] = into_lane(weight, l, one, b->n);
    }
    for (int set = 0; set < b->sets; set++)
        for (int64_t k = 0; k < b->K + b->micro; k++) {
            ecg_ranked_lanes(area[AUROC], b->areas > 1 ? area[PRECISION] : NULL, &b->ranked[set * (b->K + 1) + k], weight);
            for (int a = 0; a < b->areas; a++)
                memcpy(replicates(b, set, a, k) + first, area[a], (size_t)lanes * sizeof(double));
        }
    for (int l = 0; l < lanes; l++) {
        if (fits[l])
            continue;
        draw(one, times, b, first + l);
        for (int set = 0; set < b->sets; set++)
            for (int64_t k = 0; k < b->K + b->micro; k++) {
                const ecg_areas x = ecg_ranked_areas(&b->ranked[set * (b->K + 1) + k], one);
                replicates(b, set, AUROC, k)[first + l] = x.auroc;
                if (b->areas > 1)
                    replicates(b, set, PRECISION, k)[first + l] = x.precision;
            }
    }
    for (int set = 0; set < b->sets; set++)
        for (int a = 0; a < b->areas; a++) {
            for (int l = 0; !b->micro && l < lanes; l++)
                replicates(b, set, a, b->K + MICRO)[first + l] = NAN;
            macro_of_block(b, set, a, first, lanes);
        }
}

/* ---- ranking -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    boot *b;
    const float *score;      /* either these */
    const double *precise[2]; /* or these */
    const int8_t *label;
    int *failed;             /* (sets, K + 1) */
} rank_job;

static void rank_one(void *ctx, int item, int worker)
{
    const rank_job *j = ctx;
    boot *b = j->b;
    (void)worker;
    const int64_t K = b->K, k = item % (K + 1), per_row = k < K ? 1 : K, at = k < K ? k : 0;
    const int set = (int)(item / (K + 1));
    ecg_ranked *r = &b->ranked[item];
    if (k == K && !b->micro)
        return;
    j->failed[item] = j->score ? ecg_ranked_make(r, j->score + at, j->label + at, b->n, K, per_row)
                               : ecg_ranked_make_double(r, j->precise[set] + at, j->label + at, b->n, K, per_row);
    if (j->failed[item])
        return;
    const ecg_areas x = ecg_ranked_areas(r, NULL);
    b->point[series(b, set, AUROC, k < K ? k : K + MICRO)] = x.auroc;
    if (b->areas > 1)
        b->point[series(b, set, PRECISION, k < K ? k : K + MICRO)] = x.precision;
}

static void close_boot(boot *b)
{
    for (int64_t i = 0; b->ranked && i < b->sets * (b->K + 1); i++)
        ecg_ranked_clear(&b->ranked[i]);
    free(b->ranked);
    free(b->weight);
    free(b->one);
    free(b->times);
    free(b->replicate);
    free(b->point);
}

/* Points and replicates. */
static int run(boot *b, rank_job *job, ecg_pool *pool)
{
    const size_t threads = pool ? (size_t)ecg_pool_threads(pool) : 1, rankings = (size_t)b->sets * ((size_t)b->K + 1);
    const size_t rows = (size_t)(b->n ? b->n : 1), units = (size_t)(b->units ? b->units : 1), all = (size_t)(b->resamples ? b->resamples : 1);
    const size_t lists = (size_t)b->sets * (size_t)b->areas * ((size_t)b->K + POOLED);
    int status = -1;
    job->b = b;
    job->failed = calloc(rankings, sizeof *job->failed);
    b->ranked = calloc(rankings, sizeof *b->ranked);
    b->weight = b->resamples ? malloc(threads * rows * ECG_LANES) : NULL;
    b->one = malloc(threads * rows * sizeof *b->one);
    b->times = malloc(threads * units * sizeof *b->times);
    b->replicate = malloc(lists * all * sizeof *b->replicate);
    b->point = malloc(lists * sizeof *b->point);
    if (!job->failed || !b->ranked || (b->resamples && !b->weight) || !b->one || !b->times || !b->replicate || !b->point)
        goto done;
    for (size_t i = 0; i < lists; i++)
        b->point[i] = NAN;
    ecg_pool_run(pool, rank_one, job, (int)rankings);
    for (size_t i = 0; i < rankings; i++)
        if (job->failed[i])
            goto done;
    for (int set = 0; set < b->sets; set++)
        for (int a = 0; a < b->areas; a++) {
            const ecg_macro macro = ecg_macro_of(b->point + series(b, set, a, 0), b->K);
            b->point[series(b, set, a, b->K + MACRO)] = macro.skip_undefined;
            b->point[series(b, set, a, b->K + HALF)] = a == AUROC ? macro.half_undefined : NAN;
        }
    ecg_pool_run(pool, block_of_resamples, b, (b->resamples + ECG_LANES - 1) / ECG_LANES);
    status = ecg_stopped(b->watch) ? -2 : 0;
done:
    free(job->failed);
    return status;
}

/* ---- what is made of them ------------------------------------------------------------------------------------------------- */

static ecg_interval interval_of(const boot *b, int set, int area, int64_t k, double *room)
{
    return area < b->areas ? interval(b, b->point[series(b, set, area, k)], replicates(b, set, area, k), room) : (ecg_interval){NAN, NAN, NAN, 0};
}

static ecg_boot_summary summary_of(const boot *b, int set, int area, double *room)
{
    return (ecg_boot_summary){interval_of(b, set, area, b->K + MACRO, room), interval_of(b, set, area, b->K + HALF, room),
                              interval_of(b, set, area, b->K + MICRO, room)};
}

/* Of the differences in room, which is reordered. */
static ecg_difference difference_of(double point, double *room, int resamples)
{
    double above = 0;
    for (int r = 0; r < resamples; r++)
        above += room[r] > 0 ? 1 : room[r] == 0 ? 0.5 : 0;
    const int64_t m = sort_defined(room, resamples);
    return (ecg_difference){point, percentile_of_sorted(room, m, 0.025), percentile_of_sorted(room, m, 0.975), m ? above / (double)m : NAN, resamples - m};
}

static ecg_difference difference(const boot *b, int area, int64_t k, double *room)
{
    if (area >= b->areas)
        return (ecg_difference){NAN, NAN, NAN, NAN, 0};
    const double *x = replicates(b, 0, area, k), *y = replicates(b, 1, area, k);
    for (int r = 0; r < b->resamples; r++)
        room[r] = x[r] - y[r];
    return difference_of(b->point[series(b, 0, area, k)] - b->point[series(b, 1, area, k)], room, b->resamples);
}

/* Mean over the labels on which both sets have a value; with the same classes in both that is the difference of the means. */
static double mean_difference(const double *x, const double *y, int64_t K, int64_t stride)
{
    double sum = 0;
    int64_t defined = 0;
    for (int64_t k = 0; k < K; k++) {
        const double d = x[k * stride] - y[k * stride];
        if (!isnan(d)) {
            sum += d;
            defined++;
        }
    }
    return defined ? sum / (double)defined : NAN;
}

static ecg_difference macro_difference(const boot *b, int area, double *room)
{
    if (area >= b->areas)
        return (ecg_difference){NAN, NAN, NAN, NAN, 0};
    for (int r = 0; r < b->resamples; r++)
        room[r] = mean_difference(replicates(b, 0, area, 0) + r, replicates(b, 1, area, 0) + r, b->K, b->resamples);
    return difference_of(mean_difference(b->point + series(b, 0, area, 0), b->point + series(b, 1, area, 0), b->K, 1), room, b->resamples);
}

typedef struct {
    const boot *b;
    ecg_interval *auroc[2], *precision[2]; /* (K) each, NULL: not wanted */
    ecg_difference *difference;
    double *room;                          /* (threads, resamples) */
} label_job;

static void label_intervals(void *ctx, int k, int worker)
{
    const label_job *j = ctx;
    double *room = j->room + (int64_t)worker * j->b->resamples;
    for (int set = 0; set < j->b->sets; set++) {
        if (j->auroc[set])
            j->auroc[set][k] = interval_of(j->b, set, AUROC, k, room);
        if (j->precision[set])
            j->precision[set][k] = interval_of(j->b, set, PRECISION, k, room);
    }
    if (j->difference)
        j->difference[k] = difference(j->b, AUROC, k, room);
}

static double *new_room(const boot *b, ecg_pool *pool)
{
    return malloc((pool ? (size_t)ecg_pool_threads(pool) : 1) * (size_t)(b->resamples ? b->resamples : 1) * sizeof(double));
}

/* ---- units ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t unit, row;
} unit_row;

static int compare_unit(const void *a, const void *b)
{
    const unit_row *x = a, *y = b;
    return x->unit != y->unit ? (x->unit > y->unit) - (x->unit < y->unit) : (x->row > y->row) - (x->row < y->row);
}

/* Units numbered by rising value; a negative one is unknown and stands for its row alone. NULL: out of memory. */
static int32_t *number_units(int64_t *units, const int64_t *unit, int64_t n)
{
    int32_t *out = malloc((size_t)(n ? n : 1) * sizeof *out);
    unit_row *list = unit ? malloc((size_t)(n ? n : 1) * sizeof *list) : NULL;
    *units = unit ? 0 : n;
    if (!out || (unit && !list)) {
        free(out);
        free(list);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) {
        out[i] = (int32_t)i;
        if (unit)
            list[i] = (unit_row){unit[i], i};
    }
    if (unit)
        qsort(list, (size_t)n, sizeof *list, compare_unit);
    for (int64_t i = 0; unit && i < n; i++) {
        *units += i == 0 || list[i].unit < 0 || list[i].unit != list[i - 1].unit;
        out[list[i].row] = (int32_t)(*units - 1);
    }
    free(list);
    return out;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------ */

static int one_set(ecg_boot_summary *out, ecg_interval *per_label, boot *b, rank_job *job, ecg_pool *pool)
{
    b->sets = b->areas = b->micro = 1;
    int status = run(b, job, pool);
    double *room = new_room(b, pool);
    if (!room)
        status = -1;
    if (!status && per_label)
        ecg_pool_run(pool, label_intervals, &(label_job){.b = b, .auroc = {per_label}, .room = room}, (int)b->K);
    if (!status && out)
        *out = summary_of(b, 0, AUROC, room);
    free(room);
    close_boot(b);
    return status;
}

int ecg_bootstrap_auroc(ecg_boot_summary *out, ecg_interval *per_label, const float *score, const int8_t *label, int64_t n, int64_t K,
                        const int64_t *unit, int resamples, uint64_t seed, ecg_pool *pool)
{
    boot b = {.n = n, .K = K, .seed = seed, .resamples = resamples > 0 ? resamples : 0};
    int32_t *number = number_units(&b.units, unit, n);
    b.unit = number;
    const int status = number ? one_set(out, per_label, &b, &(rank_job){.score = score, .label = label}, pool) : -1;
    free(number);
    return status;
}

int ecg_bootstrap_auroc_ids(ecg_boot_summary *out, ecg_interval *per_label, const float *score, const int8_t *label, int64_t n, int64_t K,
                            const int32_t *ids, int resamples, int as_float32, ecg_pool *pool)
{
    boot b = {.n = n, .K = K, .ids = ids, .resamples = resamples > 0 ? resamples : 0, .as_float32 = as_float32};
    return one_set(out, per_label, &b, &(rank_job){.score = score, .label = label}, pool);
}

static int conclude(ecg_boot *out, const boot *b, ecg_pool *pool)
{
    label_job job = {.b = b, .room = new_room(b, pool)};
    const size_t labels = (size_t)(b->K ? b->K : 1);
    int status = job.room ? 0 : -1;
    *out = (ecg_boot){.K = b->K, .sets = b->sets};
    for (int set = 0; set < b->sets; set++) {
        job.auroc[set] = out->set[set].label_auroc = malloc(labels * sizeof(ecg_interval));
        job.precision[set] = out->set[set].label_precision = malloc(labels * sizeof(ecg_interval));
        if (!job.auroc[set] || !job.precision[set])
            status = -1;
    }
    if (b->sets == 2 && !(job.difference = out->paired.label = malloc(labels * sizeof(ecg_difference))))
        status = -1;
    if (!status) {
        ecg_pool_run(pool, label_intervals, &job, (int)b->K);
        for (int set = 0; set < b->sets; set++) {
            out->set[set].auroc = summary_of(b, set, AUROC, job.room);
            out->set[set].precision = summary_of(b, set, PRECISION, job.room);
        }
        if (b->sets == 2) {
            out->paired.macro = macro_difference(b, AUROC, job.room);
            out->paired.micro = difference(b, AUROC, b->K + MICRO, job.room);
            out->paired.macro_precision = macro_difference(b, PRECISION, job.room);
            out->paired.micro_precision = difference(b, PRECISION, b->K + MICRO, job.room);
        }
    }
    free(job.room);
    if (status)
        ecg_boot_clear(out);
    return status;
}

int ecg_bootstrap(ecg_boot *out, const ecg_boot_task *t, ecg_pool *pool)
{
    boot b = {.n = t->n, .K = t->K, .seed = t->seed, .resamples = t->resamples > 0 ? t->resamples : 0, .sets = t->against ? 2 : 1,
              .areas = t->precision ? 2 : 1, .micro = t->micro != 0, .watch = t->watch};
    rank_job job = {.precise = {t->score, t->against}, .label = t->label};
    int32_t *number = number_units(&b.units, t->unit, t->n);
    *out = (ecg_boot){0};
    b.unit = number;
    int status = number ? run(&b, &job, pool) : -1;
    if (!status)
        status = conclude(out, &b, pool);
    close_boot(&b);
    free(number);
    return status;
}

void ecg_boot_clear(ecg_boot *b)
{
    for (int set = 0; set < b->sets; set++) {
        free(b->set[set].label_auroc);
        free(b->set[set].label_precision);
    }
    free(b->paired.label);
    *b = (ecg_boot){0};
}
