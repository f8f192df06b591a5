/* SPDX-License-Identifier: MIT
 * write_wfdb.h: a WFDB record out: a header and its signal files, each through a temporary file; the header is renamed last. */
#ifndef ECG_ECG_WRITE_WFDB_H
#define ECG_ECG_WRITE_WFDB_H

#include "base/text.h"
#include "ecg/read_wfdb.h"

/* One signal. Zero or NULL: the default in brackets. */
typedef struct {
    const char *name;      /* "I" [none] */
    const char *unit;      /* [mV] */
    const char *file;      /* [NAME.dat]; signals of one file follow one another, with one format and offset */
    int format;            /* 8, 16, 24, 32, 61, 80, 160, 212, 310, 311 [16] */
    int per_frame;         /* [1] */
    int64_t skew, offset;  /* offset: that many zero bytes come first */
    double gain;           /* steps per unit [200] */
    int32_t baseline;
    const int32_t *sample; /* (frames, per_frame) as stored; ECG_WFDB_MISSING where missing (not in format 8) */
} ecg_wfdb_track;

/* path ends in /NAME.hea; when "YYYY-MM-DD HH:MM:SS" or NULL; comments: lines without '#', or NULL. A sample beyond its format is ECG_EARG. */
ecg_status ecg_wfdb_write(const char *path, double rate_hz, int64_t frames, const char *when, const ecg_wfdb_track *track, int tracks,
                          const char *comments, ecg_err *err);

/* The same in memory: the header's text, and the bytes of the file that begins with track first (malloc'ed). *next: the first track behind. */
ecg_status ecg_wfdb_header_text(ecg_text *out, const char *name, double rate_hz, int64_t frames, const char *when, const ecg_wfdb_track *track,
                                int tracks, const char *comments, ecg_err *err);
ecg_status ecg_wfdb_file_bytes(uint8_t **out, size_t *len, int *next, int64_t frames, const ecg_wfdb_track *track, int first, int tracks, ecg_err *err);

/* A recording in format 16: with the recorder's gain where it is known and enough, else 1000 steps a millivolt, fewer where that overflows. */
ecg_status ecg_wfdb_write_record(const char *path, const ecg_record *rec, ecg_err *err);

#endif
