/* SPDX-License-Identifier: MIT
 * stays.h: the stays of the emergency department that recordings are linked to. */
#ifndef ECG_COHORT_STAYS_H
#define ECG_COHORT_STAYS_H

#include "cohort/modules.h"
#include "cohort/tables.h"

typedef struct {
    int64_t subject, hadm, stay; /* hadm -1: not admitted */
    int64_t intime, outtime;     /* outtime INT64_MIN: not known */
    int64_t line;                /* order in the file */
    int8_t ethnicity;            /* asian 0, black/african 1, hispanic/latino 2, other 3, white 4 */
    bool male;                   /* edstays only */
} ecg_ed_stay;

typedef struct {
    ecg_ed_stay *at;   /* (n) by subject, then file order */
    int64_t n;
    bool admissions;   /* no edstays: admissions with edregtime, stay = hadm_id, sex not known */
    ecg_ids first;     /* subject -> its first stay */
    ecg_ids by_stay;   /* stay_id -> its first place in at */
} ecg_ed_stays; /* = {0} to begin */

/* Of edstays.csv; where it is absent, of admissions.csv. Rows without a time of arrival are none. */
ecg_status ecg_ed_stays_read(ecg_ed_stays *out, const ecg_mimic_tables *t, ecg_err *err);
void ecg_ed_stays_clear(ecg_ed_stays *s);

#endif
