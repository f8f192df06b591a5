/* SPDX-License-Identifier: MIT
 * delineate.h: intervals, amplitudes and axis of a twelve-lead ECG at 500 Hz, from its samples alone. Test code: simple enough to be read,
 * good enough to say whether a drawn ECG means what its parameters say. Knows nothing of the generator. */
#ifndef ECG_TEST_COHORT_DELINEATE_H
#define ECG_TEST_COHORT_DELINEATE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BEAT_BEFORE = 220, /* samples of the median beat before R: 440 ms */
    BEAT_AFTER = 320,
    BEAT = BEAT_BEFORE + BEAT_AFTER,
    BEATS = 64
};

typedef struct {
    int beats;             /* QRS complexes found */
    int alike;             /* of them in the median beat */
    double rate;           /* beats/min */
    double p_on, qrs_on, qrs_off, t_peak, t_end; /* ms after R of the median beat; NAN: not found */
    double axis;           /* degrees, of the net QRS area in I and aVF */
    double r[12], s[12];   /* highest and lowest of the QRS against the level before it, mV */
    double t[12];          /* value at the peak of T */
    float beat[12][BEAT];  /* the median beat, levelled before each QRS */
} delineation;

/* mv: (12, n) in the order of ecg_lead_names, at 500 Hz; samples that are NAN count as 0. False: fewer than three alike beats. */
bool delineate(delineation *d, const float *mv, int64_t n);

#endif
