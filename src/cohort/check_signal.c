/* SPDX-License-Identifier: MIT
 * check_signal.c: every stored sample is looked at once, row by row on the pool. A row is hashed on the way: two studies with one signal are
 * a copy, and a copy in another fold is a leak. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/check_parts.h"

enum { ROWS = 256 }; /* of a batch: 12 MB of the usual 1000 x 12 */

/* Interpolation after clipping overshoots: by half is usual with noise. No signal within the limit comes out above 2.4 times it at 500 to
 * 100 Hz (the sum of the filter's absolute weights); three times is out of reach. */
static const double overshoot = 1.5, reach = 3;

typedef struct {
    uint64_t hash[2];
    int64_t infinite, missing, beyond; /* values; missing: of the valid part */
    float largest;
    bool tail;      /* a value behind the valid part */
    bool empty;     /* nothing but missing values */
    int flat;       /* leads without any movement */
} row_facts;

typedef struct {
    const ecg_cohort *c;
    row_facts *fact; /* (n) */
    int64_t from;
} scan;

static inline uint64_t stir(uint64_t h, uint64_t x)
{
    h ^= x * 0x9e3779b97f4a7c15u;
    h = (h << 29 | h >> 35) * 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

static void scan_row(void *ctx, int item, int worker)
{
    (void)worker;
    const scan *s = ctx;
    const ecg_cohort *c = s->c;
    const int leads = c->contract.leads, samples = c->contract.samples;
    const int64_t row = s->from + item;
    const float *x = c->signal + row * samples * leads;
    const int valid = (int)c->quality[row * c->quality_columns];
    row_facts f = {.hash = {1, 2}};
    bool empty = true;
    for (int lead = 0; lead < leads; lead++) {
        bool any = false, moves = false;
        float first = 0;
        for (int i = 0; i < valid; i++) {
            const float v = x[(size_t)i * leads + lead];
            if (isnan(v)) {
                f.missing++;
                continue;
            }
            moves |= any && v != first;
            if (!any)
                first = v;
            any = true;
            f.infinite += isinf(v) != 0;
            f.beyond += fabsf(v) > (float)c->contract.clip_mv;
            f.largest = fmaxf(f.largest, fabsf(v));
        }
        empty &= !any;
        f.flat += any && !moves;
    }
    f.empty = empty;
    for (int64_t i = (int64_t)valid * leads; i < (int64_t)samples * leads; i++)
        f.tail |= !isnan(x[i]);
    for (int64_t i = 0; i < (int64_t)samples * leads; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        f.hash[i & 1] = stir(f.hash[i & 1], bits);
    }
    s->fact[row] = f;
}

/* ---- copies ------------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const row_facts *fact;
    int64_t row;
} copy;

static int by_hash(const void *x, const void *y)
{
    const copy *a = x, *b = y;
    for (int i = 0; i < 2; i++)
        if (a->fact->hash[i] != b->fact->hash[i])
            return a->fact->hash[i] < b->fact->hash[i] ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static ecg_status check_copies(ecg_checks *out, const ecg_cohort *c, const row_facts *fact, ecg_err *err)
{
    const size_t bytes = (size_t)c->contract.samples * (size_t)c->contract.leads * sizeof(float);
    copy *order = malloc((size_t)c->n * sizeof *order);
    int64_t n = 0, copies = 0, leaks = 0, one = 0, other = 0;
    if (!order)
        return ecg_fail(err, ECG_ENOMEM, "no memory to compare %" PRId64 " recordings", c->n);
    for (int64_t i = 0; i < c->n; i++)
        if (!fact[i].empty && fact[i].flat < c->contract.leads) /* recordings without a signal are alike, and no copies */
            order[n++] = (copy){&fact[i], i};
    qsort(order, (size_t)n, sizeof *order, by_hash);
    for (int64_t i = 1; i < n; i++) {
        const int64_t a = order[i - 1].row, b = order[i].row;
        if (memcmp(fact[a].hash, fact[b].hash, sizeof fact[a].hash) ||
            memcmp((const char *)c->signal + (size_t)a * bytes, (const char *)c->signal + (size_t)b * bytes, bytes))
            continue;
        const bool leak = c->fold[a] != c->fold[b];
        if ((leak && !leaks) || !copies) {
            one = a;
            other = b;
        }
        copies++;
        leaks += leak;
    }
    free(order);
    if (leaks)
        ecg_check_add(out, "copied signals", ECG_CHECK_WRONG, "%" PRId64 " rows have the samples of another, %" PRId64 " of them of another fold: studies %" PRId64
                      " and %" PRId64 " in folds %d and %d", copies, leaks, c->study[one], c->study[other], c->fold[one], c->fold[other]);
    else if (copies)
        ecg_check_add(out, "copied signals", ECG_CHECK_NOTE, "%" PRId64 " rows have the samples of another in the same fold: studies %" PRId64 " and %" PRId64, copies,
                      c->study[one], c->study[other]);
    else
        ecg_check_add(out, "copied signals", ECG_CHECK_OK, "no two rows have the same samples");
    return ECG_OK;
}

/* ---- all rows ---------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t infinite, first_infinite, missing, tails, first_tail, beyond, largest, empty, flat, flat_all;
} totals;

static totals add_up(const ecg_cohort *c, const row_facts *fact)
{
    totals t = {.first_infinite = -1, .first_tail = -1};
    for (int64_t i = 0; i < c->n; i++) {
        const row_facts *f = &fact[i];
        if (f->infinite && t.first_infinite < 0)
            t.first_infinite = i;
        if (f->tail && t.first_tail < 0)
            t.first_tail = i;
        t.infinite += f->infinite;
        t.missing += f->missing;
        t.tails += f->tail;
        t.beyond += f->beyond;
        if (f->largest > fact[t.largest].largest)
            t.largest = i;
        t.empty += f->empty;
        t.flat += f->flat > 0 && f->flat < c->contract.leads;
        t.flat_all += f->flat == c->contract.leads;
    }
    return t;
}

static void tell(ecg_checks *out, const ecg_cohort *c, const row_facts *fact, const totals *t)
{
    const double all = (double)c->n * c->contract.samples * c->contract.leads, clip = c->contract.clip_mv;
    if (t->infinite)
        ecg_check_add(out, "samples", ECG_CHECK_WRONG, "%" PRId64 " are infinite; the first in row %" PRId64 ", study %" PRId64, t->infinite, t->first_infinite,
                      c->study[t->first_infinite]);
    else
        ecg_check_add(out, "samples", ECG_CHECK_OK, "%.0f, finite; %" PRId64 " of the valid part missing", all, t->missing);
    if (t->tails)
        ecg_check_add(out, "padding", ECG_CHECK_WRONG, "%" PRId64 " rows hold values behind their valid length; the first is row %" PRId64 ", study %" PRId64, t->tails,
                      t->first_tail, c->study[t->first_tail]);
    else
        ecg_check_add(out, "padding", ECG_CHECK_OK, "nothing behind the valid length of any row");
    const row_facts *worst = &fact[t->largest];
    const double largest = (double)worst->largest;
    if (!t->infinite)
        ecg_check_add(out, "amplitude", largest > reach * clip ? ECG_CHECK_WRONG : largest > overshoot * clip ? ECG_CHECK_NOTE : ECG_CHECK_OK,
                      "at most %.3g mV (row %" PRId64 ", study %" PRId64 "); %" PRId64 " values beyond %g mV, the limit before interpolation", largest, t->largest,
                      c->study[t->largest], t->beyond, clip);
    ecg_check_add(out, "flat recordings", t->empty ? ECG_CHECK_WRONG : t->flat_all ? ECG_CHECK_NOTE : ECG_CHECK_OK,
                  "%" PRId64 " without any value, %" PRId64 " without movement in any lead, %" PRId64 " in some", t->empty, t->flat_all, t->flat);
}

ecg_status ecg_check_signal(ecg_checks *out, const ecg_cohort *c, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    if (!c->signal) {
        ecg_check_add(out, "signal", ECG_CHECK_NOTE, "a cohort of tables alone: no samples to look at");
        return ECG_OK;
    }
    ecg_status st = ECG_OK;
    scan s = {.c = c, .fact = malloc((size_t)c->n * sizeof *s.fact)};
    if (!s.fact)
        return ecg_fail(err, ECG_ENOMEM, "no memory to look at %" PRId64 " recordings", c->n);
    for (; s.from < c->n && !st; s.from += ROWS) {
        const int64_t left = c->n - s.from;
        ecg_pool_run(pool, scan_row, &s, left < ROWS ? (int)left : ROWS);
        ecg_progress(watch, "signals", (double)(s.from + (left < ROWS ? left : ROWS)), (double)c->n, NULL);
        if (ecg_stopped(watch))
            st = ecg_fail(err, ECG_EINTR, "interrupted after %" PRId64 " of %" PRId64 " recordings", s.from, c->n);
    }
    if (!st) {
        const totals t = add_up(c, s.fact);
        tell(out, c, s.fact, &t);
        st = check_copies(out, c, s.fact, err);
    }
    free(s.fact);
    return st;
}
