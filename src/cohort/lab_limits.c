/* SPDX-License-Identifier: MIT */
#include "cohort/lab_limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t place(const ecg_lab_limits *l, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int64_t at = (int64_t)((bits ^ bits >> 32) * 0x9e3779b97f4a7c15u >> 32) & (l->room - 1);
    while (!isnan(l->value[at]) && l->value[at] != value)
        at = (at + 1) & (l->room - 1);
    return at;
}

static bool grow(ecg_lab_limits *l)
{
    ecg_lab_limits more = {.room = l->room ? l->room * 2 : 16};
    more.value = malloc((size_t)more.room * sizeof *more.value);
    more.count = malloc((size_t)more.room * sizeof *more.count);
    if (!more.value || !more.count) {
        ecg_lab_limits_clear(&more);
        return false;
    }
    for (int64_t i = 0; i < more.room; i++)
        more.value[i] = NAN;
    ecg_lab_limits_merge(&more, l); /* has room for it */
    ecg_lab_limits_clear(l);
    *l = more;
    return true;
}

bool ecg_lab_limits_add(ecg_lab_limits *l, double value, int64_t count)
{
    if (l->n * 2 >= l->room && !grow(l))
        return false;
    value += 0.0; /* -0 is 0 */
    const int64_t at = place(l, value);
    if (isnan(l->value[at])) {
        l->value[at] = value;
        l->count[at] = 0;
        l->n++;
    }
    l->count[at] += count;
    return true;
}

bool ecg_lab_limits_merge(ecg_lab_limits *l, const ecg_lab_limits *other)
{
    for (int64_t i = 0; i < other->room; i++)
        if (!isnan(other->value[i]) && !ecg_lab_limits_add(l, other->value[i], other->count[i]))
            return false;
    return true;
}

typedef struct {
    double value;
    int64_t count;
} counted;

static int by_value(const void *x, const void *y)
{
    const counted *a = x, *b = y;
    return a->value < b->value ? -1 : a->value > b->value;
}

/* The k-th smallest, from 0; a value may stand in several places of the list. */
static double ranked(const counted *list, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++) {
        if (k < list[i].count)
            return list[i].value;
        k -= list[i].count;
    }
    return NAN;
}

bool ecg_lab_limits_median(double *out, const ecg_lab_limits *x, const ecg_lab_limits *y)
{
    const ecg_lab_limits *const both[2] = {x, y};
    const int64_t most = x->n + (y ? y->n : 0);
    int64_t n = 0, all = 0;
    *out = NAN;
    if (!most)
        return true;
    counted *list = malloc((size_t)most * sizeof *list);
    if (!list)
        return false;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; both[k] && i < both[k]->room; i++)
            if (!isnan(both[k]->value[i])) {
                list[n++] = (counted){both[k]->value[i], both[k]->count[i]};
                all += both[k]->count[i];
            }
    qsort(list, (size_t)n, sizeof *list, by_value);
    *out = (ranked(list, n, (all - 1) / 2) + ranked(list, n, all / 2)) / 2;
    free(list);
    return true;
}

void ecg_lab_limits_clear(ecg_lab_limits *l)
{
    free(l->value);
    free(l->count);
    *l = (ecg_lab_limits){0};
}
