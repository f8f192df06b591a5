/* SPDX-License-Identifier: MIT
 * deterioration.h: what became of the patient after the recording: the 15 labels of MDS-ED (docs/cohort.md 3). */
#ifndef ECG_COHORT_DETERIORATION_H
#define ECG_COHORT_DETERIORATION_H

#include "base/watch.h"
#include "cohort/visits.h"
#include "ecg/contract.h"

/* Labels by ascending code. One whose tables are absent ("" in tables->path) or lack a column, and one that is unknown for every recording, is
 * left out and said on the watch. table->n may be 0 afterwards; label (n, K) is of ecg_scratch_take, -1: undefined; counts are not filled in. */
ecg_status ecg_deterioration_labels(ecg_label_table *table, int8_t **label, const ecg_visits *v, const ecg_mimic_tables *tables, const ecg_watch *watch,
                                    ecg_err *err);

#endif
