/* SPDX-License-Identifier: MIT
 * sorted.c: radix sort of scores, 11 bits at a time; a pass whose digit is the same everywhere is left out, so that scores which came from floats
 * cost four passes, not six. */
#include "stat/sorted.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stat/sort_keys.h"

enum { DIGITS = 6, BITS = 11, VALUES = 1 << BITS, FEW = 48 };

/* For few keys the passes would cost more than the sorting. */
static void insert(uint64_t *key, uint32_t *tag, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const uint64_t k = key[i];
        const uint32_t t = tag[i];
        int64_t j = i;
        for (; j > 0 && key[j - 1] > k; j--) {
            key[j] = key[j - 1];
            tag[j] = tag[j - 1];
        }
        key[j] = k;
        tag[j] = t;
    }
}

int ecg_sort_keys(uint64_t **keys, uint32_t **tags, int64_t n)
{
    uint64_t *key = *keys;
    uint32_t *tag = *tags;
    if (n <= FEW) {
        insert(key, tag, n);
        return 0;
    }
    uint64_t *other = malloc((size_t)n * sizeof *other);
    uint32_t *other_tag = malloc((size_t)n * sizeof *other_tag), (*start)[VALUES] = calloc(DIGITS, sizeof *start);
    if (!other || !other_tag || !start) {
        free(other);
        free(other_tag);
        free(start);
        return -1;
    }
    for (int64_t i = 0; i < n; i++)
        for (int d = 0; d < DIGITS; d++)
            start[d][key[i] >> d * BITS & (VALUES - 1)]++;
    for (int d = 0; d < DIGITS; d++) {
        uint32_t sum = 0;
        if (start[d][key[0] >> d * BITS & (VALUES - 1)] == (uint32_t)n)
            continue;
        for (int v = 0; v < VALUES; v++) {
            const uint32_t count = start[d][v];
            start[d][v] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++) {
            const uint32_t to = start[d][key[i] >> d * BITS & (VALUES - 1)]++;
            other[to] = key[i];
            other_tag[to] = tag[i];
        }
        uint64_t *k = key;
        uint32_t *t = tag;
        key = other;
        tag = other_tag;
        other = k;
        other_tag = t;
    }
    free(other);
    free(other_tag);
    free(start);
    *keys = key;
    *tags = tag;
    return 0;
}

int ecg_sorted_make(ecg_sorted *out, const double *score, const int8_t *label, int64_t n, int64_t stride, int64_t per_row)
{
    int64_t known = 0;
    *out = (ecg_sorted){0};
    for (int64_t row = 0; row < n; row++)
        for (int64_t c = 0; c < per_row; c++)
            known += label[row * stride + c] == 0 || label[row * stride + c] == 1;
    assert(known < INT64_C(1) << 31);
    const size_t room = known ? (size_t)known : 1;
    uint64_t *key = malloc(room * sizeof *key);
    uint32_t *tag = malloc(room * sizeof *tag);
    out->score = malloc(room * sizeof *out->score);
    out->label = malloc(room);
    int status = -1;
    if (!key || !tag || !out->score || !out->label)
        goto done;
    for (int64_t row = 0; row < n; row++)
        for (int64_t c = 0; c < per_row; c++) {
            const int8_t y = label[row * stride + c];
            if (y != 0 && y != 1)
                continue;
            const double x = score[row * stride + c];
            out->nan |= isnan(x);
            out->positives += y;
            key[out->n] = ecg_sort_key(x);
            tag[out->n++] = (uint32_t)y;
        }
    if (ecg_sort_keys(&key, &tag, known))
        goto done;
    for (int64_t i = 0; i < known; i++) {
        out->score[i] = ecg_sort_score(key[i]);
        out->label[i] = (int8_t)tag[i];
    }
    status = 0;
done:
    free(key);
    free(tag);
    if (status)
        ecg_sorted_clear(out);
    return status;
}

void ecg_sorted_clear(ecg_sorted *s)
{
    free(s->score);
    free(s->label);
    *s = (ecg_sorted){0};
}
