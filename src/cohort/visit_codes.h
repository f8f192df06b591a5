/* SPDX-License-Identifier: MIT
 * visit_codes.h: the diagnosis codes of visits: labels with their prefixes, each once. */
#ifndef ECG_COHORT_VISIT_CODES_H
#define ECG_COHORT_VISIT_CODES_H

#include "cohort/visits.h"

typedef struct {
    int *at;
    int n, room;
} ecg_code_list; /* = {0} to begin */

/* The label ("I480") and its prefixes of three characters and more, as numbers into words. False: out of memory. */
bool ecg_code_list_add(ecg_code_list *list, ecg_words *words, const char *label);
/* Sorted, each once, as the codes of a visit; list begins anew. False: out of memory. */
bool ecg_code_list_take(ecg_visit *v, ecg_code_list *list);

/* diagnoses_icd of the two admissions united, ED diagnosis of the own stay where there is none (docs/cohort.md 1). */
ecg_status ecg_visits_code(ecg_visits *v, const ecg_mimic_tables *tables, ecg_err *err);

#endif
