/* SPDX-License-Identifier: MIT
 * icd_results.h: records_w_diag_icd10.csv of MIMIC-IV-ECG-Ext-ICD, row by row: the published codes, stays and folds of every recording. */
#ifndef ECG_COHORT_ICD_RESULTS_H
#define ECG_COHORT_ICD_RESULTS_H

#include "cohort/visit_codes.h"

enum { ECG_ICD_COLUMNS = 10 };

typedef struct {
    ecg_csv *t;
    const char *path;
    int at[ECG_ICD_COLUMNS];  /* -1: an optional column that is not there */
    bool has_person, has_admission, has_fold; /* age and gender; hosp_hadm_id; strat_fold */
    ecg_ids fold_of;          /* subject -> fold */
} ecg_icd_results; /* = {0} to begin */

ecg_status ecg_icd_results_open(ecg_icd_results *r, const char *path, ecg_err *err);
void ecg_icd_results_close(ecg_icd_results *r);

/* Ids, time, own stay, admission, age, gender and fold of the next row; what has no column stays as it is in v. A fold that is none of 0..19, and a
 * patient in two, are ECG_EDATA. */
ecg_status ecg_icd_results_next(ecg_icd_results *r, ecg_visit *v, bool *more, ecg_err *err);
/* Of the same row. */
ecg_status ecg_icd_results_codes(const ecg_icd_results *r, ecg_visit *v, ecg_code_list *list, ecg_words *words, ecg_err *err);
ecg_status ecg_icd_results_file(const ecg_icd_results *r, ecg_visit *v, ecg_err *err); /* path, from "files/" on; an empty one if there is no column */

#endif
