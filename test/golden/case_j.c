/* SPDX-License-Identifier: MIT
 * case_j.c: AUROC, average precision, macro and micro, percentile bootstrap over given index sets (j1, j2), and the aggregation of crops:
 * sigmoid first, then mean or maximum over a record's crops (j3). */
#include "golden.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stat/bootstrap.h"

/* 1, 0, and -1 where the file has NAN. */
static int8_t *labels_of(golden_out *o, const ecg_tensors *file, int64_t *n, int64_t *K)
{
    const ecg_tensor *t = ecg_tensors_find(file, "labels");
    int64_t count = 0;
    float *x = golden_float(o, file, "labels", &count);
    int8_t *label = malloc((size_t)count + 1);
    if (!x || !label || t->rank != 2) {
        golden_problem(o, "labels (n, K) expected");
        free(x);
        free(label);
        return NULL;
    }
    for (int64_t i = 0; i < count; i++)
        label[i] = x[i] == 1 ? 1 : x[i] == 0 ? 0 : -1;
    *n = t->dim[0];
    *K = t->dim[1];
    free(x);
    return label;
}

static void compare_intervals(golden_out *o, const ecg_tensors *file, const ecg_interval *x, int64_t n)
{
    double *v = malloc((size_t)n * sizeof *v);
    if (!v)
        abort();
    for (int64_t i = 0; i < n; i++)
        v[i] = x[i].point;
    golden_compare_d(o, file, "bootstrap_point", v, n, 1e-12);
    for (int64_t i = 0; i < n; i++)
        v[i] = x[i].lo;
    golden_compare_d(o, file, "bootstrap_low", v, n, 1e-6);
    for (int64_t i = 0; i < n; i++)
        v[i] = x[i].hi;
    golden_compare_d(o, file, "bootstrap_high", v, n, 1e-6);
    for (int64_t i = 0; i < n; i++)
        v[i] = (double)x[i].undefined;
    golden_compare_d(o, file, "bootstrap_nan_count", v, n, 1e-12);
    free(v);
}

/* The reference evaluates some of the classes: their columns, then micro, then macro with undefined classes as 0.5. */
static void reference_evaluation(golden_out *o, const ecg_tensors *file, const float *score, const int8_t *label, int64_t n, int64_t K)
{
    const ecg_tensor *ids = ecg_tensors_find(file, "bootstrap_ids");
    int64_t M = 0, drawn = 0;
    double *class = golden_double(o, file, "classes_in_reference_eval", &M), *id = golden_double(o, file, "bootstrap_ids", &drawn);
    float *s = malloc((size_t)(n * M + 1) * sizeof *s);
    int8_t *l = malloc((size_t)(n * M + 1));
    int32_t *row = malloc((size_t)(drawn + 1) * sizeof *row);
    double *value = malloc((size_t)(M + 2) * sizeof *value);
    ecg_interval *x = malloc((size_t)(M + 2) * sizeof *x);
    ecg_boot_summary sum;
    if (!class || !id || !s || !l || !row || !value || !x || ids->rank != 2 || ids->dim[1] != n) {
        golden_problem(o, "bootstrap_ids (resamples, n) and classes expected");
        goto done;
    }
    for (int64_t m = 0; m < M; m++) {
        if (class[m] < 0 || class[m] >= (double)K) {
            golden_problem(o, "class %g of %lld", class[m], (long long)K);
            goto done;
        }
        for (int64_t i = 0; i < n; i++) {
            s[i * M + m] = score[i * K + (int64_t)class[m]];
            l[i * M + m] = label[i * K + (int64_t)class[m]];
        }
    }
    const ecg_macro macro = ecg_auroc_macro(value, s, l, n, M, NULL);
    value[M] = ecg_auroc_micro(s, l, n, M);
    value[M + 1] = macro.half_undefined;
    golden_compare_d(o, file, "reference_values", value, M + 2, 1e-12);
    golden_compare_d(o, file, "macro_undefined_as_half_without_allnan_class", &macro.half_undefined, 1, 1e-12);
    for (int64_t i = 0; i < drawn; i++) {
        if (id[i] < 0 || id[i] >= (double)n) {
            golden_problem(o, "bootstrap id %g of %lld", id[i], (long long)n);
            goto done;
        }
        row[i] = (int32_t)id[i];
    }
    if (ecg_bootstrap_auroc_ids(&sum, x, s, l, n, M, row, (int)ids->dim[0], 1, NULL)) {
        golden_problem(o, "out of memory");
        goto done;
    }
    x[M] = sum.micro;
    x[M + 1] = sum.macro_half;
    compare_intervals(o, file, x, M + 2);
done:
    free(class);
    free(id);
    free(s);
    free(l);
    free(row);
    free(value);
    free(x);
}

static void rates(golden_out *o, const ecg_tensors *file)
{
    int64_t n = 0, K = 0, count = 0;
    int8_t *label = labels_of(o, file, &n, &K);
    float *score = golden_float(o, file, "scores", &count);
    double *value = malloc((size_t)(K + 1) * sizeof *value);
    if (!label || !score || !value || count != n * K) {
        golden_problem(o, "scores and labels differ in shape");
        goto done;
    }
    const ecg_macro macro = ecg_auroc_macro(value, score, label, n, K, NULL);
    const double micro = ecg_auroc_micro(score, label, n, K);
    golden_compare_d(o, file, "auroc_per_class", value, K, 1e-12);
    golden_compare_d(o, file, "auroc_micro", &micro, 1, 1e-12);
    golden_compare_d(o, file, "macro_skip_undefined", &macro.skip_undefined, 1, 1e-12);
    for (int64_t k = 0; k < K; k++)
        value[k] = ecg_average_precision(score + k, label + k, n, K);
    golden_compare_d(o, file, "average_precision_per_class", value, K, 1e-12);
    reference_evaluation(o, file, score, label, n, K);
done:
    free(label);
    free(score);
    free(value);
}

/* Doubles as floats of the same order: their place among the sorted values. Aggregated probabilities keep all their bits this way. */
static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare_aurocs(golden_out *o, const ecg_tensors *file, const char *name, const double *p, const int8_t *label, int64_t n, int64_t K)
{
    double *sorted = malloc((size_t)n * sizeof *sorted), *value = malloc((size_t)K * sizeof *value);
    float *place = malloc((size_t)n * sizeof *place);
    int8_t *l = malloc((size_t)n);
    if (!sorted || !value || !place || !l)
        abort();
    for (int64_t k = 0; k < K; k++) {
        for (int64_t i = 0; i < n; i++) {
            sorted[i] = p[i * K + k];
            l[i] = label[i * K + k];
        }
        qsort(sorted, (size_t)n, sizeof *sorted, compare_double);
        for (int64_t i = 0; i < n; i++) {
            int64_t low = 0, high = n;
            while (low < high) {
                const int64_t mid = (low + high) / 2;
                if (sorted[mid] < p[i * K + k])
                    low = mid + 1;
                else
                    high = mid;
            }
            place[i] = (float)low;
        }
        value[k] = ecg_auroc(place, l, n, 1);
    }
    golden_compare_d(o, file, name, value, K, 1e-12);
    free(sorted);
    free(value);
    free(place);
    free(l);
}

static void crops(golden_out *o, const ecg_tensors *file)
{
    int64_t n = 0, K = 0, count = 0, crop_count = 0;
    int8_t *label = labels_of(o, file, &n, &K);
    float *logit = golden_float(o, file, "logits", &count);
    double *record = golden_double(o, file, "record", &crop_count);
    const size_t room = (size_t)(n * K + 1);
    double *mean = calloc(room, sizeof *mean), *max = calloc(room, sizeof *max), *crops_of = calloc((size_t)n + 1, sizeof *crops_of);
    double *single = calloc((size_t)(crop_count * K + 1), sizeof *single);
    int8_t *single_label = calloc((size_t)(crop_count * K + 1), 1);
    if (!label || !logit || !record || !mean || !max || !crops_of || !single || !single_label || count != crop_count * K) {
        golden_problem(o, "logits (crops, K) and record (crops) expected");
        goto done;
    }
    for (int64_t c = 0; c < crop_count; c++) {
        const int64_t r = (int64_t)record[c];
        if (r < 0 || r >= n) {
            golden_problem(o, "record %lld of %lld", (long long)r, (long long)n);
            goto done;
        }
        crops_of[r]++;
        for (int64_t k = 0; k < K; k++) {
            const double p = 1 / (1 + exp(-(double)logit[c * K + k]));
            mean[r * K + k] += p;
            max[r * K + k] = fmax(max[r * K + k], p);
            single[c * K + k] = p;
            single_label[c * K + k] = label[r * K + k];
        }
    }
    for (int64_t i = 0; i < n * K; i++)
        mean[i] /= crops_of[i / K];
    golden_compare_d(o, file, "prob_mean", mean, n * K, 1e-12);
    golden_compare_d(o, file, "prob_max", max, n * K, 1e-12);
    compare_aurocs(o, file, "auroc_mean_aggregated", mean, label, n, K);
    compare_aurocs(o, file, "auroc_max_aggregated", max, label, n, K);
    compare_aurocs(o, file, "auroc_crops", single, single_label, crop_count, K);
done:
    free(label);
    free(logit);
    free(record);
    free(mean);
    free(max);
    free(crops_of);
    free(single);
    free(single_label);
}

void golden_j(golden_out *o, const ecg_tensors *file)
{
    if (ecg_tensors_find(file, "logits"))
        crops(o, file);
    else
        rates(o, file);
}
