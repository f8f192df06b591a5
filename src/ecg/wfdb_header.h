/* SPDX-License-Identifier: MIT
 * wfdb_header.h: the text header of a WFDB record (header(5) of the WFDB manual), a function over bytes.
 *
 *   record line    name[/segments] signals [rate[/counter rate[(base)]] [frames [time [date]]]]
 *   signal line    file format[xPER_FRAME][:skew][+offset] [gain[(baseline)][/unit] [bits [zero [initial [checksum [block [name]]]]]]]
 *   segment line   name frames      "~" is a gap; a first segment of 0 frames is the layout of a record whose signals vary
 *
 * Physical value = (sample - baseline) / gain. */
#ifndef ECG_ECG_WFDB_HEADER_H
#define ECG_ECG_WFDB_HEADER_H

#include "base/status.h"

enum { ECG_WFDB_SIGNALS_MAX = 4096 };

typedef struct {
    char file[256];        /* "~": no file, every sample is missing */
    int format;            /* 16, 212 ...; whether it is one we know is not the header's business */
    int per_frame;         /* samples in a frame, 1 for almost all */
    int64_t skew;          /* frames of this signal in the file that come before sample 0 */
    int64_t offset;        /* bytes before the first sample (samples where the file is FLAC) */
    double gain;           /* steps per unit; 200 where the header has 0 or none, then gain_assumed */
    bool gain_assumed;
    int64_t baseline;      /* the step that means 0 units */
    char unit[16];         /* "mV" if left out */
    int64_t initial;       /* first sample of the file */
    uint16_t checksum;     /* sum of all samples modulo 65536 */
    bool has_initial, has_checksum;
    char name[96];         /* as the file spells it, "" if it has none */
    int64_t line;          /* where it stands, from 1 */
} ecg_wfdb_signal;

typedef struct {
    char name[128];
    int64_t frames;
    int64_t line;
} ecg_wfdb_segment;

typedef struct {
    char name[64];
    double rate_hz;             /* frames per second; 250 if left out */
    int64_t frames;             /* 0: not announced */
    char when[32];              /* "YYYY-MM-DD HH:MM:SS" or "" */
    int signals;
    ecg_wfdb_signal *signal;    /* (signals); NULL in a record of segments */
    int64_t segments;           /* 0: an ordinary record */
    ecg_wfdb_segment *segment;  /* (segments) */
    unsigned warnings;          /* ECG_WARN_TEXT */
} ecg_wfdb_header;

/* On failure *out is empty; err has line and column but no path. */
ecg_status ecg_wfdb_header_parse(ecg_wfdb_header *out, const void *bytes, size_t len, ecg_err *err);
void ecg_wfdb_header_clear(ecg_wfdb_header *h);

#endif
