/* SPDX-License-Identifier: MIT
 * mdsed_labs.h: laboratory labels for the recordings of mds_ed.csv, from the rows of labevents.csv (docs/cohort.md 6). */
#ifndef ECG_COHORT_MDSED_LABS_H
#define ECG_COHORT_MDSED_LABS_H

#include "cohort/lab_sets.h"
#include "cohort/mdsed_table.h"

typedef struct {
    ecg_label_table table[ECG_LAB_FAMILIES]; /* (sets) those with a label */
    int8_t *label[ECG_LAB_FAMILIES];         /* (n, table.n) in the order of the rows, of ecg_scratch_take */
    int sets;
} ecg_mdsed_labs; /* = {0} to begin */

/* row (n): the recordings of t in their order, with folds. A table without the time of a recording is refused: nothing can be linked to it. */
ecg_status ecg_mdsed_labs_read(ecg_mdsed_labs *out, const ecg_mdsed_table *t, const ecg_cohort_row *row, const ecg_roles *roles,
                               const char *labitems, const char *labevents, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);
void ecg_mdsed_labs_clear(ecg_mdsed_labs *l);

#endif
