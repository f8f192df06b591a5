/* SPDX-License-Identifier: MIT
 * describe.h: what a cohort holds, as numbers, as JSON and as text for a person. */
#ifndef ECG_COHORT_DESCRIBE_H
#define ECG_COHORT_DESCRIBE_H

#include "base/text.h"
#include "cohort/store.h"

enum { ECG_AGE_BINS = 12 /* decades, the last from 110 on */, ECG_AGE_SEXES = 3 /* 0, 1, unknown */, ECG_WARNINGS = 14 };

typedef struct {
    int64_t records, patients, stays;           /* ids of -1 count as one each */
    int64_t role_records[ECG_ROLES], role_patients[ECG_ROLES];
    int64_t fold_records[32], fold_patients[32];
    int64_t no_role;                            /* records in a fold without a role */
    int64_t patients_in_two_folds;
    int64_t first_in_stay;
    int64_t short_records;                      /* fewer valid samples than the contract's */
    float shortest;                             /* valid samples of the shortest record; 0 in a cohort of tables alone */
    int64_t warned[ECG_WARNINGS];               /* records with warning bit i of ecgraft.h */
    int age_column, sex_column;                 /* by their names, -1: none; sex has two categories */
    int64_t age[ECG_AGE_SEXES][ECG_AGE_BINS], age_unknown;
    int64_t *missing;                           /* (columns) records without a value */
    int64_t *role_missing;                      /* (columns, ECG_ROLES) */
    int64_t *positive[16], *known[16];          /* (K, ECG_ROLES) per label set */
} ecg_cohort_summary;

ecg_status ecg_cohort_summarise(ecg_cohort_summary *out, const ecg_cohort *c, ecg_err *err);
void ecg_cohort_summary_clear(ecg_cohort_summary *s);
void ecg_cohort_label_order(int *order, const ecg_label_table *table); /* (n) label numbers, most positives first, equal ones by code */
/* The words of the column; "female", "male" where its coding is ours, else "category 0"; "not known"; "all" without such a column. */
void ecg_cohort_sex_name(char out[ECG_WORD], const ecg_cohort *c, const ecg_cohort_summary *s, int sex);

ecg_status ecg_cohort_summary_json(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err); /* ecgraft.cohort/1, ends with \n */
/* all: every label and column, else the most frequent labels of a set and missingness by group. */
ecg_status ecg_cohort_summary_text(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, bool all, ecg_err *err);

#endif
