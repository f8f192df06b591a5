/* SPDX-License-Identifier: MIT
 * pairs.c: see pairs.h. A shuffle, then repairs: where row i got a row of its own patient p, its partner is swapped with that of some row j
 * that is not of p and did not get one of p. If p has m of n rows, at most 2m - 1 rows are ruled out (m of p, m that got one of p, i counted
 * twice), so with 2m <= n there is always such a j; a swap mends i, spoils nobody, and one round over the rows is enough. The search begins at
 * a place of its own in the shuffle, so that repairs are as random as the rest. Draws: stream 263 (which, 0). */
#include "study/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Rows of the patient who has most. sorted (n) */
static int64_t largest(int64_t *sorted, int64_t n)
{
    int64_t most = 0;
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int64_t i = 0, run = 0; i < n; i++) {
        run = i > 0 && sorted[i] == sorted[i - 1] ? run + 1 : 1;
        most = run > most ? run : most;
    }
    return most;
}

/* who (n): the patient of place i; order (n): the place whose table place i gets. */
static void mend(uint32_t *order, const int64_t *who, uint32_t n, ecg_rng *g)
{
    for (uint32_t i = 0; i < n; i++) {
        if (who[order[i]] != who[i])
            continue;
        uint32_t j = ecg_rng_below(g, n);
        while (who[j] == who[i] || who[order[j]] == who[i])
            j = j + 1 < n ? j + 1 : 0;
        const uint32_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

ecg_status ecg_pairs_shuffle(uint32_t *partner, const ecg_cohort *c, const ecg_rows *rows, uint64_t seed, uint32_t which, ecg_err *err)
{
    const int64_t n = rows->n;
    const size_t room = (size_t)(n > 0 ? n : 1);
    int64_t *who = malloc(room * sizeof *who), *sorted = malloc(room * sizeof *sorted);
    uint32_t *order = malloc(room * sizeof *order);
    ecg_status st = ECG_OK;
    if (!who || !sorted || !order) {
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
        goto done;
    }
    for (int64_t i = 0; i < n; i++) {
        who[i] = sorted[i] = ecg_rows_patient(c, rows->row[i]);
        order[i] = (uint32_t)i;
    }
    const int64_t most = largest(sorted, n);
    if (2 * most > n) {
        st = ecg_fail_at(err, ECG_EDATA, c->path, 0, 0, "train.shuffle_pairs: %" PRId64 " of %" PRId64 " records are of one patient, more than half: some ECG "
                         "would keep a table of its own patient", most, n);
        goto done;
    }
    ecg_rng g;
    ecg_rng_open(&g, seed, 0, ECG_STREAM_PAIRS, which, 0);
    ecg_rng_shuffle(&g, order, (uint32_t)n);
    mend(order, who, (uint32_t)n, &g);
    for (int64_t i = 0; i < n; i++)
        partner[rows->row[i]] = rows->row[order[i]];
done:
    free(who);
    free(sorted);
    free(order);
    return st;
}
