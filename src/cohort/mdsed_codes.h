/* SPDX-License-Identifier: MIT
 * mdsed_codes.h: the 1,428 diagnosis labels of the published table mds_ed.csv (`--labels mdsed`). */
#ifndef ECG_COHORT_MDSED_CODES_H
#define ECG_COHORT_MDSED_CODES_H

enum { ECG_MDSED_CODES = 1428 };

typedef struct {
    const char *code;  /* "I480": upper case, no dot; every kept code has its kept parents */
    const char *title; /* ICD-10-CM 2021; "" where a code means several things (mdsed_codes.py) */
} ecg_mdsed_code;

extern const ecg_mdsed_code ecg_mdsed_codes[ECG_MDSED_CODES]; /* ascending */

/* Number of a code, -1: not among them. */
int ecg_mdsed_code_find(const char *code);

#endif
