/* SPDX-License-Identifier: MIT
 * prepare.h: a recording to a model's input: fill, clip, resample, reorder. A pure function of one recording (protocol 2.1-2.3). */
#ifndef ECG_ECG_PREPARE_H
#define ECG_ECG_PREPARE_H

#include "base/pool.h"
#include "ecg/contract.h"

struct ecg_resampler;

/* Number of samples at the contract's rate: floor(n * rate / fs). */
int64_t ecg_prepared_samples(const ecg_contract *c, const ecg_record *rec);

/* out (samples, leads) in the contract's order, millivolt; NAN where missing values remain (the network reads them as 0). *found gets
 * bit ECG_I.. for each of the twelve leads that is there or derived; an absent lead is a column of zeros. */
ecg_status ecg_prepare(float *out, unsigned *found, const ecg_contract *c, const ecg_record *rec, ecg_err *err);

/* The same with a resampler from rec's rate to the contract's, kept by the caller for many recordings. */
ecg_status ecg_prepare_with(float *out, unsigned *found, const ecg_contract *c, const ecg_record *rec, const struct ecg_resampler *r, ecg_err *err);

/* The same by the pool's threads (NULL: by the caller) in memory of the caller: room is aligned to 64 bytes and as large as said for that pool;
 * c has at most ECG_LEADS leads. */
size_t ecg_prepare_room(const ecg_contract *c, const ecg_record *rec, const struct ecg_resampler *r, const ecg_pool *pool); /* bytes */
ecg_status ecg_prepare_in(float *out, unsigned *found, const ecg_contract *c, const ecg_record *rec, const struct ecg_resampler *r, void *room, ecg_pool *pool,
                          ecg_err *err);

/* One lead in place: missing samples between two others lie on the line between them, those at the end repeat the last one, those at
 * the beginning stay NAN; then everything is clipped to +-clip (0: not at all). */
void ecg_clean(float *x, int64_t samples, double clip);

/* resampy 0.4 "kaiser_best" from rate_in to rate_out, n_out = floor(n_in * rate_out / rate_in). Whole ratios down are ready at once,
 * others first tabulate the filter (some 10 ms). At most 128 times down and 100 times up, else ECG_EARG. */
typedef struct ecg_resampler ecg_resampler;
ecg_status ecg_resampler_new(ecg_resampler **out, double rate_in, double rate_out, ecg_err *err);
/* Other rates for the same resampler, without taking memory. On failure it is as it was. */
ecg_status ecg_resampler_aim(ecg_resampler *r, double rate_in, double rate_out, ecg_err *err);
int64_t ecg_resampled_length(int64_t n_in, double rate_in, double rate_out); /* 0 where no resampler goes from one to the other */
void ecg_resample(double *y, const double *x, int64_t n_in, const ecg_resampler *r); /* one lead; equal rates copy */
/* y (n_out, leads) from lead[i] (n_in), leads <= ECG_LEADS; NULL: a column of zeros. */
ecg_status ecg_resample_leads(float *y, const float *const *lead, int leads, int64_t n_in, const ecg_resampler *r, ecg_err *err);
size_t ecg_resample_room(const ecg_resampler *r, int leads); /* doubles of a stripe */
enum { ECG_RESAMPLE_STRIPES = 4 };                           /* at most so many threads: a recording has few blocks */
int ecg_resample_stripes(const ecg_pool *pool);
void ecg_resample_leads_in(float *y, const float *const *lead, int leads, int64_t n_in, const ecg_resampler *r, double *room, ecg_pool *pool);
void ecg_resampler_free(ecg_resampler *r); /* NULL is fine */

#endif
