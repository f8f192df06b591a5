/* SPDX-License-Identifier: MIT
 * labs.h: laboratory rows as columns: nine statistics of 45 tests (docs/cohort.md 2). Labels are in lab_labels.h. */
#ifndef ECG_COHORT_LABS_H
#define ECG_COHORT_LABS_H

#include "cohort/lab_rows.h"
#include "cohort/schema.h"

/* table (n, ECG_COLUMNS): the laboratory columns. */
ecg_status ecg_labs_features(float *table, const ecg_lab_rows *l, const ecg_visits *v, ecg_err *err);

/* The patient's first row at or after a moment, first[patient + 1] if there is none: where a window begins. */
int64_t ecg_lab_first_at(const ecg_lab_rows *l, int32_t patient, int64_t time);

#endif
