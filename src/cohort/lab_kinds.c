/* SPDX-License-Identifier: MIT */
#include "cohort/lab_kinds.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static uint64_t bits(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static bool is_same(const ecg_lab_kind *a, const ecg_lab_kind *b)
{
    return a->item == b->item && a->unit == b->unit && bits(a->lower) == bits(b->lower) && bits(a->upper) == bits(b->upper) && a->sign == b->sign &&
           a->or_equal == b->or_equal && a->for_labels == b->for_labels;
}

static int *find(const ecg_lab_kinds *k, const ecg_lab_kind *x)
{
    const uint64_t parts[] = {(uint64_t)x->item << 32 | (uint32_t)x->unit, bits(x->lower), bits(x->upper),
                              (uint64_t)(unsigned char)x->sign << 2 | (uint64_t)x->or_equal << 1 | (uint64_t)x->for_labels};
    uint64_t h = 0;
    for (int i = 0; i < 4; i++)
        h = (h ^ parts[i] ^ h >> 29) * 0x9e3779b97f4a7c15u;
    int64_t at = (int64_t)(h >> 32) & (k->places - 1);
    while (k->place[at] >= 0 && !is_same(&k->at[k->place[at]], x))
        at = (at + 1) & (k->places - 1);
    return &k->place[at];
}

static bool grow(ecg_lab_kinds *k)
{
    if (k->n > INT_MAX / 4)
        return false;
    const int room = k->room ? k->room * 2 : 256;
    ecg_lab_kind *at = realloc(k->at, (size_t)room * sizeof *at);
    if (at)
        k->at = at;
    int *place = malloc((size_t)room * 2 * sizeof *place);
    if (!at || !place) {
        free(place);
        return false;
    }
    free(k->place);
    k->place = place;
    k->places = (int64_t)room * 2;
    k->room = room;
    memset(place, 0xff, (size_t)k->places * sizeof *place);
    for (int i = 0; i < k->n; i++)
        *find(k, &k->at[i]) = i;
    return true;
}

int ecg_lab_kinds_put(ecg_lab_kinds *k, const ecg_lab_kind *x)
{
    if (k->n == k->room && !grow(k))
        return -1;
    int *place = find(k, x);
    if (*place < 0) {
        *place = k->n;
        k->at[k->n++] = *x;
    }
    return *place;
}

void ecg_lab_kinds_clear(ecg_lab_kinds *k)
{
    free(k->at);
    free(k->place);
    *k = (ecg_lab_kinds){0};
}
