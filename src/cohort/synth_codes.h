/* SPDX-License-Identifier: MIT
 * synth_codes.h: what is true of a visit and what a coder writes. */
#ifndef ECG_COHORT_SYNTH_CODES_H
#define ECG_COHORT_SYNTH_CODES_H

#include <stddef.h>

#include "cohort/synth_model.h"

enum { ECG_CODES = 70 };

typedef struct {
    const char *code;         /* ICD-10-CM as written, no dot */
    const char *title;
    const char *icd9;         /* a code whose mapping gives this one back; NULL: there is none */
    const char *icd9_title;
    bool acute;               /* listed before the chronic ones */
    double sensitivity, false_rate;
} ecg_synth_code;
extern const ecg_synth_code ecg_synth_codes[ECG_CODES];

typedef struct { const char *code, *title; } ecg_synth_parent;
extern const ecg_synth_parent ecg_synth_parents[]; /* ends with NULL */

typedef struct {
    bool truth[ECG_CODES], coded[ECG_CODES];
} ecg_coding;

/* t: the first recording of the visit (some diagnoses are read from the ECG). */
void ecg_synth_coding(ecg_coding *c, const ecg_synth *s, const ecg_patient *p, const ecg_visit *v, const ecg_take *t);

#endif
