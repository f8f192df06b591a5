/* SPDX-License-Identifier: MIT
 * read_wfdb.h: WFDB records: one header, its signal files, or segments of such, all from one source. */
#ifndef ECG_ECG_READ_WFDB_H
#define ECG_ECG_READ_WFDB_H

#include "ecg/formats.h"
#include "ecg/wfdb_header.h"

#define ECG_WFDB_MISSING INT32_MIN

/* The integers as they are stored, at full resolution. In a record of segments signal[] is that of the layout or of the first segment, and
 * the integers are in the steps of the segment they come from. */
typedef struct {
    int signals;
    int64_t frames;
    double rate_hz;            /* frames per second */
    ecg_wfdb_signal *signal;   /* (signals); owned */
    int32_t **sample;          /* [signal] (frames, per_frame), ECG_WFDB_MISSING where missing; owned */
    bool of_segments;
    unsigned warnings;
} ecg_wfdb_raw;

ecg_status ecg_wfdb_read_raw(ecg_wfdb_raw *out, ecg_source *src, const char *header, ecg_err *err);
void ecg_wfdb_raw_clear(ecg_wfdb_raw *raw);

extern const ecg_format ecg_format_wfdb;

#endif
