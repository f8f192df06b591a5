/* SPDX-License-Identifier: MIT
 * features.h: the tabular columns of the recordings: demographics, biometrics, vital signs, acuity (docs/cohort.md 2). Laboratory
 * columns come from labs.h. Raw values; NAN where there is none. */
#ifndef ECG_COHORT_FEATURES_H
#define ECG_COHORT_FEATURES_H

#include "cohort/schema.h"
#include "cohort/visits.h"

/* mean, median, min, max, std (of the population), first, last, (last - first)/first, slope per minute, of n values in order of time with
 * their minutes. n = 0: all NAN. scratch (n). */
void ecg_nine_statistics(float out[ECG_STATISTICS], const double *value, const double *minute, int n, double *scratch);

/* table (n, ECG_COLUMNS): fills everything but the laboratory columns, which it leaves alone. */
ecg_status ecg_features_read(float *table, const ecg_visits *v, const ecg_mimic_tables *tables, ecg_err *err);

#endif
