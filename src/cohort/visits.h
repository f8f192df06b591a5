/* SPDX-License-Identifier: MIT
 * visits.h: which recordings of a MIMIC-like hospital are in the cohort, and what is known of each but its measurements (docs/cohort.md 1). */
#ifndef ECG_COHORT_VISITS_H
#define ECG_COHORT_VISITS_H

#include "base/text.h"
#include "cohort/modules.h"
#include "cohort/tables.h"

/* Finds all of them below folder; the first that is absent or ambiguous is the error. */
ecg_status ecg_mimic_find(ecg_mimic_tables *out, const char *folder, ecg_err *err);

enum { ECG_WINDOW = 90 * 60 }; /* seconds after arrival in which a recording or a measurement counts */

typedef struct {
    int64_t subject, study, time;
    int64_t own_stay;          /* stay_id of the ED stay in which it was taken; tables of the ED are joined by it */
    int64_t ed_hadm, hosp_hadm; /* admissions whose codes it gets, -1 */
    int64_t arrival, departure; /* intime and outtime of the visit: measurement windows begin with it; departure INT64_MIN: not known */
    int32_t patient;           /* 0.. ascending by subject */
    int8_t ethnicity;          /* asian 0, black/african 1, hispanic/latino 2, other 3, white 4 */
    bool male;                 /* of edstays */
    char gender;               /* of patients: 'M', 'F', 0 */
    double age;                /* years at the recording, NAN */
    char *path;                /* below the folder of record_list.csv; owned */
    int *code;                 /* (codes) labels with all their prefixes, each once, ascending number; owned */
    int codes;
    bool coded;
} ecg_visit;

typedef struct {
    ecg_visit *at;             /* (n), by subject, time, place in record_list.csv */
    int64_t n, patients;
    ecg_words label;           /* names of the codes: "I48", "I480" ... */
} ecg_visits; /* = {0} to begin */

/* Recordings in an ED stay and at most 90 minutes after arrival, with their codes; without any code only if keep_uncoded. Steps are added to attrition. */
ecg_status ecg_visits_read(ecg_visits *out, ecg_text *attrition, const ecg_mimic_tables *tables, bool keep_uncoded, ecg_err *err);
/* Keeps those with keep[i] set and numbers the patients anew. */
void ecg_visits_filter(ecg_visits *v, const uint8_t *keep);
void ecg_visits_clear(ecg_visits *v);

#endif
