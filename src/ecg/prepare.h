/* SPDX-License-Identifier: MIT
 * prepare.h: a recording to a model's input: fill, clip, resample, reorder. A pure function of one recording (protocol 2.1-2.3). */
#ifndef ECG_ECG_PREPARE_H
#define ECG_ECG_PREPARE_H

#include "ecg/contract.h"

/* Number of samples at the contract's rate: floor(n * rate / fs). */
int64_t ecg_prepared_samples(const ecg_contract *c, const ecg_record *rec);

/* out (samples, leads) in the contract's order, millivolt; NAN where missing values remain (the network reads them as 0). *found gets
 * bit ECG_I.. for each of the twelve leads that is there or derived; an absent lead is a column of zeros. */
ecg_status ecg_prepare(float *out, unsigned *found, const ecg_contract *c, const ecg_record *rec, ecg_err *err);

/* resampy 0.4 "kaiser_best": y (n_out) = x (n_in) from rate_in to rate_out, double, n_out = floor(n_in * rate_out / rate_in). Strides in
 * elements. Equal rates copy. */
typedef struct ecg_resampler ecg_resampler;
ecg_status ecg_resampler_new(ecg_resampler **out, double rate_in, double rate_out, ecg_err *err);
int64_t ecg_resampler_length(const ecg_resampler *r, int64_t n_in);
void ecg_resample(double *y, const double *x, int64_t n_in, const ecg_resampler *r);
void ecg_resampler_free(ecg_resampler *r);

#endif
