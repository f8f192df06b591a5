/* SPDX-License-Identifier: MIT
 * describe.h: what a cohort holds, as numbers, as JSON and as text for a person. */
#ifndef ECG_COHORT_DESCRIBE_H
#define ECG_COHORT_DESCRIBE_H

#include "base/text.h"
#include "cohort/store.h"

typedef struct {
    int64_t records, patients, stays;           /* ids of -1 count as one each */
    int64_t role_records[ECG_ROLES], role_patients[ECG_ROLES];
    int64_t fold_records[32], fold_patients[32];
    int64_t no_role;                            /* records in a fold without a role */
    int64_t patients_in_two_folds;
    int64_t first_in_stay;
    int64_t short_records;                      /* fewer valid samples than the contract's */
    int64_t *missing;                           /* (columns) records without a value */
    int64_t *positive[16], *known[16];          /* (K, ECG_ROLES) per label set */
} ecg_cohort_summary;

ecg_status ecg_cohort_summarise(ecg_cohort_summary *out, const ecg_cohort *c, ecg_err *err);
void ecg_cohort_summary_clear(ecg_cohort_summary *s);

ecg_status ecg_cohort_summary_json(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err); /* ecgraft.cohort/1, ends with \n */
/* all: every label and column, else the most frequent labels of a set and missingness by group. */
ecg_status ecg_cohort_summary_text(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, bool all, ecg_err *err);

#endif
