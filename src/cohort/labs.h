/* SPDX-License-Identifier: MIT
 * labs.h: laboratory findings of a cohort: statistics as columns (docs/cohort.md 2), abnormalities as labels (docs/cohort.md 3). */
#ifndef ECG_COHORT_LABS_H
#define ECG_COHORT_LABS_H

#include "cohort/lab_rows.h"
#include "cohort/schema.h"

/* table (n, ECG_COLUMNS): the laboratory columns. */
ecg_status ecg_labs_features(float *table, const ecg_lab_rows *l, const ecg_visits *v, ecg_err *err);

/* The set `labs`: role (n) is the role of each recording, -1 for none. A label is kept with at least min_labs positives and negatives in training and a
 * quarter of it (rounded down) in validation. table->n may be 0 afterwards; label (n, K) is malloc'ed. */
ecg_status ecg_labs_labels(ecg_label_table *table, int8_t **label, const ecg_lab_rows *l, const ecg_visits *v, const int8_t *role, int64_t min_labs, ecg_err *err);

#endif
