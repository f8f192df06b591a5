/* SPDX-License-Identifier: MIT
 * diagnoses.h: the codes of visits as the label set `diagnoses` (docs/cohort.md 3). */
#ifndef ECG_COHORT_DIAGNOSES_H
#define ECG_COHORT_DIAGNOSES_H

#include "cohort/visits.h"
#include "ecg/contract.h"

typedef struct {
    bool mdsed;        /* the published list of 1,428 codes, whatever their counts */
    int64_t min_count; /* otherwise: codes with at least so many rows */
} ecg_diagnosis_choice;

/* Ascending by code; a row without any code is unknown (-1). titles: d_icd_diagnoses.csv, "" if there is none. table->n may be 0 afterwards;
 * label (n, K) is of ecg_scratch_take. Labels without a positive or without a negative stay, and are said. */
ecg_status ecg_diagnoses_label(ecg_label_table *table, int8_t **label, const ecg_visits *v, const ecg_diagnosis_choice *how, const char *titles,
                               const ecg_watch *watch, ecg_err *err);

#endif
