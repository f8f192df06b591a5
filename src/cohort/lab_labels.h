/* SPDX-License-Identifier: MIT
 * lab_labels.h: laboratory abnormalities: as labels of recordings, and as the class of every single row (docs/cohort.md 3). */
#ifndef ECG_COHORT_LAB_LABELS_H
#define ECG_COHORT_LAB_LABELS_H

#include "cohort/build.h"
#include "cohort/lab_rows.h"

typedef struct {
    ecg_lab_ranges ranges;
    bool paper;       /* CardioLab's choice of rows and labels; its ranges are the caller's to ask for */
    int64_t min_labs; /* not in `paper`: positives and negatives in training, a quarter of it (rounded down) in validation */
} ecg_lab_choice;

/* Labels of one family (one ECG_LABS_ bit): two per test, `Hemoglobin_low` and `Hemoglobin_high`, ascending. role (n): the role of each recording,
 * -1 for none. l must hold the rows of the family's window: an hour before to an hour after a recording, or 30, 60, 120 minutes after it.
 * table->n may be 0 afterwards; label (n, K) is of ecg_scratch_take; counts are not filled in. */
ecg_status ecg_lab_labels(ecg_label_table *table, int8_t **label, const ecg_lab_rows *l, const ecg_visits *v, const int8_t *role, unsigned family,
                          const ecg_lab_choice *how, ecg_err *err);

/* One line for every row of labevents that is about a patient of v and a test of d_labitems, however far from any recording: what the table says,
 * the limits that were used and the class (empty: unknown). Beside it, as NAME.counts.csv for NAME.csv or NAME.csv.gz, rows of each class per
 * label and fluid. count: rows that are low, normal, high. A path ending in .gz is compressed. */
ecg_status ecg_lab_write_rows(const char *path, int64_t count[3], const ecg_visits *v, const ecg_lab_rows *l, const ecg_lab_choice *how,
                              const char *labevents, const ecg_watch *watch, ecg_err *err);

#endif
