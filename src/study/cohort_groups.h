/* SPDX-License-Identifier: MIT
 * cohort_groups.h: the subgroups a cohort knows of its own: age, sex, ethnicity, where it has such columns. */
#ifndef ECG_STUDY_COHORT_GROUPS_H
#define ECG_STUDY_COHORT_GROUPS_H

#include "base/arena.h"
#include "study/assess.h"
#include "study/loader.h"

enum { ECG_COHORT_GROUPS = 3 };
typedef struct {
    ecg_assess_group group[ECG_COHORT_GROUPS];
    int n;
    ecg_arena *arena;
} ecg_cohort_groups;
ecg_status ecg_cohort_groups_make(ecg_cohort_groups *out, const ecg_cohort *c, const ecg_rows *rows, ecg_err *err);
void ecg_cohort_groups_clear(ecg_cohort_groups *g);

#endif
