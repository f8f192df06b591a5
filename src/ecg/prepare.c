/* SPDX-License-Identifier: MIT
 * prepare.c: a recording to a model's input, in the order in which the published models saw it done: fill gaps, clip, resample, reorder.
 * What is still NAN afterwards the network reads as 0. */
#include "ecg/prepare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16 }; /* samples together, so that the compiler makes vectors of them */

int64_t ecg_prepared_samples(const ecg_contract *c, const ecg_record *rec)
{
    return ecg_resampled_length(rec->samples, rec->rate_hz, c->rate_hz);
}

/* x[after] is the first sample behind a gap, x[before] the last one ahead of it. */
static void bridge(float *x, int64_t before, int64_t after)
{
    const double rise = ((double)x[after] - x[before]) / (double)(after - before);
    for (int64_t i = before + 1; i < after; i++)
        x[i] = (float)(x[before] + rise * (double)(i - before));
}

/* A comparison with NAN is false: it stays. */
static inline float clipped(float x, float limit)
{
    x = limit < x ? limit : x;
    return -limit > x ? -limit : x;
}

static int64_t next_missing(const float *x, int64_t from, int64_t samples)
{
    int64_t i = from;
    for (int gap = 0; !gap && i + LANES <= samples; i += gap ? 0 : LANES) /* most recordings have none */
        for (int j = 0; j < LANES; j++)
            gap |= x[i + j] != x[i + j];
    while (i < samples && !isnan(x[i]))
        i++;
    return i;
}

void ecg_clean(float *x, int64_t samples, double clip)
{
    for (int64_t gap = next_missing(x, 0, samples), after; gap < samples; gap = next_missing(x, after, samples)) {
        after = gap;
        while (after < samples && isnan(x[after]))
            after++;
        if (gap > 0 && after < samples)
            bridge(x, gap - 1, after);
        for (int64_t i = gap; gap > 0 && after == samples && i < samples; i++)
            x[i] = x[gap - 1];
    }
    const float limit = (float)clip;
    int64_t i = 0;
    for (; limit > 0 && i + LANES <= samples; i += LANES)
        for (int j = 0; j < LANES; j++)
            x[i + j] = clipped(x[i + j], limit);
    for (; limit > 0 && i < samples; i++)
        x[i] = clipped(x[i], limit);
}

/* Which of the twelve each lead of the contract is. */
static ecg_status find_leads(int which[ECG_LEADS], const ecg_contract *c, ecg_err *err)
{
    if (c->leads < 1 || c->leads > ECG_LEADS)
        return ecg_fail(err, ECG_ECONTRACT, "a contract of %d leads", c->leads);
    for (int l = 0; l < c->leads; l++) {
        which[l] = ecg_lead_from_name(c->lead[l]);
        if (which[l] < 0)
            return ecg_fail(err, ECG_ECONTRACT, "the contract's lead \"%.7s\" is none of the twelve", c->lead[l]);
    }
    return ECG_OK;
}

/* The twelve leads begin on a cache line behind what the resampler needs. */
static size_t resampling_bytes(const ecg_contract *c, const ecg_resampler *r, const ecg_pool *pool)
{
    return (sizeof(double) * (size_t)ecg_resample_stripes(pool) * ecg_resample_room(r, c->leads < 1 ? 1 : c->leads > ECG_LEADS ? ECG_LEADS : c->leads) + 63) / 64 * 64;
}

size_t ecg_prepare_room(const ecg_contract *c, const ecg_record *rec, const ecg_resampler *r, const ecg_pool *pool)
{
    return resampling_bytes(c, r, pool) + sizeof(float) * ECG_LEADS * ((size_t)rec->samples + 1);
}

ecg_status ecg_prepare_in(float *out, unsigned *found, const ecg_contract *c, const ecg_record *rec, const ecg_resampler *r, void *room, ecg_pool *pool,
                          ecg_err *err)
{
    int which[ECG_LEADS];
    const ecg_status st = find_leads(which, c, err);
    if (st)
        return st;
    float *twelve = (float *)(void *)((char *)room + resampling_bytes(c, r, pool));
    *found = ecg_record_twelve(twelve, rec);
    const float *lead[ECG_LEADS];
    for (int l = 0; l < c->leads; l++)
        lead[l] = *found >> which[l] & 1 ? twelve + which[l] * rec->samples : NULL;
    for (int l = 0; l < ECG_LEADS; l++)
        ecg_clean(twelve + l * rec->samples, rec->samples, c->clip_mv);
    ecg_resample_leads_in(out, lead, c->leads, rec->samples, r, room, pool);
    return ECG_OK;
}

ecg_status ecg_prepare_with(float *out, unsigned *found, const ecg_contract *c, const ecg_record *rec, const ecg_resampler *r, ecg_err *err)
{
    void *room = aligned_alloc(64, (ecg_prepare_room(c, rec, r, NULL) + 63) / 64 * 64);
    if (!room)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a recording of %" PRId64 " samples", rec->samples);
    const ecg_status st = ecg_prepare_in(out, found, c, rec, r, room, NULL, err);
    free(room);
    return st;
}

ecg_status ecg_prepare(float *out, unsigned *found, const ecg_contract *c, const ecg_record *rec, ecg_err *err)
{
    ecg_resampler *r;
    ecg_status st = ecg_resampler_new(&r, rec->rate_hz, c->rate_hz, err);
    if (st)
        return st;
    st = ecg_prepare_with(out, found, c, rec, r, err);
    ecg_resampler_free(r);
    return st;
}
