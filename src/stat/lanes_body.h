/* SPDX-License-Identifier: MIT
 * lanes_body.h: included by lanes.c once per instruction set, with SUM_SUFFIX, SUM_BYTES (of a vector) and SUM_TARGET; no include guard. */
#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define NAME(a) JOIN(a, SUM_SUFFIX)

typedef uint8_t NAME(bytes) __attribute__((vector_size(SUM_BYTES / 2), aligned(1), may_alias));
typedef uint16_t NAME(shorts) __attribute__((vector_size(SUM_BYTES)));

/* sum[l] += the weights of n rows in lane l */
SUM_TARGET static inline __attribute__((always_inline)) void NAME(add_rows)(uint32_t *restrict sum, const uint8_t *weight, const uint32_t *row,
                                                                            int64_t n)
{
    enum { PARTS = 2 * ECG_LANES / SUM_BYTES };
    while (n > 0) {
        const int64_t now = n < 257 ? n : 257;
        NAME(shorts) part[PARTS] = {{0}};
        uint16_t lane[ECG_LANES];
        for (int64_t i = 0; i < now; i++) {
            const NAME(bytes) *w = (const NAME(bytes) *)(weight + (size_t)row[i] * ECG_LANES);
#pragma GCC unroll 8
            for (int p = 0; p < PARTS; p++)
                part[p] += __builtin_convertvector(w[p], NAME(shorts));
        }
        __builtin_memcpy(lane, part, sizeof lane);
        for (int l = 0; l < ECG_LANES; l++)
            sum[l] += lane[l];
        row += now;
        n -= now;
    }
}

SUM_TARGET static void NAME(count)(double *auroc, double *precision, const ecg_ranked *r, const uint8_t *weight)
{
    uint32_t above[ECG_LANES] = {0}, positives[ECG_LANES] = {0};
    uint64_t lost[ECG_LANES] = {0}, tied[ECG_LANES] = {0}; /* pairs in which the negative scores higher, as high */
    double gained[ECG_LANES] = {0};
    uint32_t at = 0;
    for (int64_t g = 0; g < r->groups; g++) {
        const ecg_ranked_group x = r->group[g];
        uint32_t positive[ECG_LANES] = {0};
        NAME(add_rows)(above, weight, r->row + at, x.above - at);
        NAME(add_rows)(positive, weight, r->row + x.negative, x.positive - x.negative);
        for (int l = 0; l < ECG_LANES; l++)
            lost[l] += (uint64_t)positive[l] * above[l];
        if (x.negative > x.above) {
            uint32_t negative[ECG_LANES] = {0};
            NAME(add_rows)(negative, weight, r->row + x.above, x.negative - x.above);
            for (int l = 0; l < ECG_LANES; l++) {
                tied[l] += (uint64_t)positive[l] * negative[l];
                above[l] += negative[l];
            }
        }
        for (int l = 0; l < ECG_LANES; l++)
            positives[l] += positive[l];
        for (int l = 0; precision && l < ECG_LANES; l++) {
            const double called = (double)positives[l] + (double)above[l];
            gained[l] += (double)positive[l] * ((double)positives[l] / (called + (called == 0))); /* nothing yet: 0 * (0 / 1) */
        }
        at = x.positive;
    }
    NAME(add_rows)(above, weight, r->row + at, r->n - at);
    for (int l = 0; l < ECG_LANES; l++) {
        const bool none = r->nan || !positives[l] || !above[l];
        const uint64_t won_twice = 2 * (uint64_t)positives[l] * above[l] - (2 * lost[l] + tied[l]);
        auroc[l] = none ? NAN : (double)won_twice / (2.0 * (double)positives[l] * (double)above[l]);
        if (precision)
            precision[l] = none ? NAN : gained[l] / (double)positives[l];
    }
}

#undef NAME
#undef JOIN
#undef JOIN2
#undef SUM_SUFFIX
#undef SUM_BYTES
#undef SUM_TARGET
