/* SPDX-License-Identifier: MIT
 * lab_kinds.h: what many laboratory rows have in common, each once, numbered in order of first appearance. */
#ifndef ECG_COHORT_LAB_KINDS_H
#define ECG_COHORT_LAB_KINDS_H

#include "cohort/lab_rows.h"

typedef struct {
    ecg_lab_kind *at; /* (n) */
    int n, room;
    int *place;       /* (places) open addressing: number in at[], -1 free */
    int64_t places;
} ecg_lab_kinds; /* = {0} to begin */

int ecg_lab_kinds_put(ecg_lab_kinds *k, const ecg_lab_kind *x); /* its number; -1: out of memory */
void ecg_lab_kinds_clear(ecg_lab_kinds *k);

#endif
