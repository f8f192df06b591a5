/* SPDX-License-Identifier: MIT
 * visits.h: which recordings (or ED stays) of a MIMIC-like hospital are in the cohort, and what is known of each but its measurements (docs/cohort.md 1). */
#ifndef ECG_COHORT_VISITS_H
#define ECG_COHORT_VISITS_H

#include "base/text.h"
#include "cohort/modules.h"
#include "cohort/tables.h"

enum { ECG_WINDOW = 90 * 60 }; /* seconds after arrival in which a recording or a measurement counts */

typedef struct {
    int64_t subject, study;    /* study: of an ED stay that is a row itself, its stay_id */
    int64_t time, recorded;    /* time: what everything is linked by; recorded: what the source says, which is kept */
    int64_t own_stay;          /* stay_id of the ED stay in which it was taken; tables of the ED are joined by it */
    int64_t ed_hadm, hosp_hadm; /* admissions whose codes it gets, -1 */
    int64_t arrival, departure; /* intime and outtime of the visit: measurement windows begin with it; departure INT64_MIN: not known */
    int32_t patient;           /* 0.. ascending by subject */
    int8_t ethnicity;          /* asian 0, black/african 1, hispanic/latino 2, other 3, white 4 */
    int8_t fold;               /* strat_fold, -1: none given */
    bool male;                 /* of edstays; where there is none, of patients */
    char gender;               /* of patients or of the published table: 'M', 'F', 0 */
    double age;                /* years at the recording, NAN */
    char *path;                /* below the folder of the recordings; NULL: a row that is no recording; owned */
    int *code;                 /* (codes) labels with all their prefixes, each once, ascending number; owned */
    int codes;
    bool coded;
} ecg_visit;

typedef struct {
    ecg_visit *at;             /* (n), by subject, time, place in the file */
    int64_t n, patients;
    ecg_words label;           /* names of the codes: "I48", "I480" ... */
    bool recordings;           /* rows are recordings; false: ED stays */
    bool has_codes, has_folds; /* there is a table of codes at all; every row has a fold */
    const char *beside;        /* path of the result: big arrays with so many rows lie beside it (base/scratch.h); NULL: in memory */
} ecg_visits; /* = {0} to begin */

/* Recordings in an ED stay and at most 90 minutes after arrival (or the ED stays themselves), with their codes; without any code only if the options
 * say so or there is no table of codes. Steps are added to attrition. */
ecg_status ecg_visits_read(ecg_visits *out, ecg_text *attrition, const ecg_mimic_tables *tables, const ecg_build_options *o, const ecg_watch *watch, ecg_err *err);
/* Every patient of patients.csv, once, far from any measurement: for what is asked of all patients of a source. */
ecg_status ecg_visits_everybody(ecg_visits *out, const char *patients, ecg_err *err);
/* Keeps those with keep[i] set and numbers the patients anew. */
void ecg_visits_filter(ecg_visits *v, const uint8_t *keep);
void ecg_visits_clear(ecg_visits *v);

#endif
