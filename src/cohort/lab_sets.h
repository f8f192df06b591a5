/* SPDX-License-Identifier: MIT
 * lab_sets.h: the label sets of the laboratory, one for each family of windows (docs/cohort.md 3): what all sources with labevents do. */
#ifndef ECG_COHORT_LAB_SETS_H
#define ECG_COHORT_LAB_SETS_H

#include "cohort/lab_labels.h"
#include "cohort/store.h"

enum { ECG_LAB_FAMILIES = 4 };
typedef struct {
    unsigned family; /* ECG_LABS_ bit */
    const char *set; /* name of the label set */
} ecg_lab_family;
extern const ecg_lab_family ecg_lab_families[ECG_LAB_FAMILIES];

/* What the options choose, with the source's own where they say nothing. */
ecg_lab_choice ecg_lab_choose(const ecg_build_options *o);
unsigned ecg_lab_wanted(const ecg_build_options *o); /* families */

/* role (n) of each recording, -1 none; training (patients), zeroed by the caller: in a training fold. row (n): their folds. */
void ecg_lab_roles(int8_t *role, uint8_t *training, const ecg_visits *v, const ecg_cohort_row *row, const ecg_roles *roles);

/* Rows in the windows of these families, and in the feature windows. */
ecg_status ecg_lab_sets_read(ecg_lab_rows *rows, const ecg_visits *v, const uint8_t *training, unsigned wanted, const char *labitems,
                             const char *labevents, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

/* ecg_lab_write_rows, and a line that says what was written. */
ecg_status ecg_lab_sets_list(const char *path, const ecg_visits *v, const ecg_lab_rows *rows, const ecg_lab_choice *how, const char *labevents,
                             const ecg_watch *watch, ecg_err *err);

#endif
