/* SPDX-License-Identifier: MIT
 * check_parts.h: the checks of an opened cohort, in three groups. For check.c only. */
#ifndef ECG_COHORT_CHECK_PARTS_H
#define ECG_COHORT_CHECK_PARTS_H

#include "cohort/check.h"

/* Out of memory is seen at the end: out->n is then -1. */
void ecg_check_add(ecg_checks *out, const char *name, ecg_check_result result, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* wrong > 0: WRONG; else the result given. */
static inline ecg_check_result ecg_check_wrong_if(bool wrong)
{
    return wrong ? ECG_CHECK_WRONG : ECG_CHECK_OK;
}

ecg_status ecg_check_signal(ecg_checks *out, const ecg_cohort *c, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);
ecg_status ecg_check_people(ecg_checks *out, const ecg_cohort *c, ecg_err *err); /* ids, stays, folds, roles */
void ecg_check_values(ecg_checks *out, const ecg_cohort *c);                     /* columns, masks, labels */
void ecg_check_history(ecg_checks *out, const ecg_cohort *c);                    /* attrition, sources */

#endif
