/* SPDX-License-Identifier: MIT
 * wfdb_signal.h: the storage formats of WFDB signal files (signal(5) of the WFDB manual), functions over bytes.
 *
 *    8  differences, one byte each        16  int16            61  int16, high byte first     160  int16 + 32768
 *   24  int24                             32  int32            80  int8 + 128
 *  212  two 12-bit samples in 3 bytes    310, 311  three 10-bit samples in 4 bytes     508, 516, 524  FLAC of 8, 16, 24 bits
 *
 * All low byte first but 61. In most of them the lowest code means "missing". */
#ifndef ECG_ECG_WFDB_SIGNAL_H
#define ECG_ECG_WFDB_SIGNAL_H

#include "base/status.h"

bool ecg_wfdb_format_known(int format); /* FLAC included; 0 (no samples at all) is not */
bool ecg_wfdb_format_flac(int format);
void ecg_wfdb_format_range(int32_t *low, int32_t *high, int format); /* the missing code excluded; of the differences in format 8 */
bool ecg_wfdb_format_missing(int32_t *code, int format);             /* false: the format has no such code */

/* Bytes that n samples take (padded: with the last group of 212, 310, 311 filled up), and the samples that bytes hold. Not for FLAC. */
int64_t ecg_wfdb_bytes(int format, int64_t n);
int64_t ecg_wfdb_bytes_padded(int format, int64_t n);
int64_t ecg_wfdb_samples(int format, int64_t bytes);

/* out[k * out_step] = sample first + k * step of the file for k = 0..n-1, missing codes as they are, differences for format 8.
 * The caller has made sure that the file holds the last one. */
void ecg_wfdb_decode(int32_t *out, int64_t out_step, int format, const uint8_t *bytes, int64_t first, int64_t step, int64_t n);

/* bytes holds ecg_wfdb_bytes(format, n), all zero before. */
void ecg_wfdb_encode(uint8_t *bytes, int format, const int32_t *in, int64_t n);

/* Decodes a FLAC stream of that many channels: *out (samples, channels), to be freed. No more than limit samples a channel are kept;
 * *samples is limit + 1 if there were more. */
ecg_status ecg_wfdb_flac(int32_t **out, int64_t *samples, int format, const uint8_t *bytes, size_t len, int channels, int64_t limit, ecg_err *err);

#endif
