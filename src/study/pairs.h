/* SPDX-License-Identifier: MIT
 * pairs.h: the control of stage 1: every ECG stands beside the table of somebody else. */
#ifndef ECG_STUDY_PAIRS_H
#define ECG_STUDY_PAIRS_H

#include "study/loader.h"

/* A permutation of the rows in which no row gets one of its own patient, itself included: partner[row] (cohort rows) for the rows alone, the
 * other entries stay. It depends on the rows, their patients, the seed and `which` (what the rows are for), and is the same in all epochs.
 * ECG_EDATA: one patient has more than half of the rows, so that there is none. */
ecg_status ecg_pairs_shuffle(uint32_t *partner, const ecg_cohort *c, const ecg_rows *rows, uint64_t seed, uint32_t which, ecg_err *err);

#endif
