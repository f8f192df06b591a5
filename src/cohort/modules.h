/* SPDX-License-Identifier: MIT
 * modules.h: which tables of a MIMIC-like hospital are there, and what they are good for (docs/cohort.md 1). */
#ifndef ECG_COHORT_MODULES_H
#define ECG_COHORT_MODULES_H

#include "base/watch.h"
#include "cohort/build.h"

enum {
    ECG_T_RECORDS,      /* record_list.csv; inside an archive: the archive */
    ECG_T_RESULTS,      /* records_w_diag_icd10.csv */
    ECG_T_EDSTAYS,
    ECG_T_TRIAGE,
    ECG_T_VITALSIGN,
    ECG_T_ED_DIAGNOSIS,
    ECG_T_PYXIS,
    ECG_T_PATIENTS,
    ECG_T_ADMISSIONS,
    ECG_T_DIAGNOSES,
    ECG_T_ICD_TITLES,
    ECG_T_PROCEDURES,   /* procedures_icd.csv */
    ECG_T_LABEVENTS,
    ECG_T_LABITEMS,
    ECG_T_OMR,
    ECG_T_ICUSTAYS,
    ECG_T_MACHINE,      /* machine_measurements.csv */
    ECG_TABLES
};
typedef struct {
    char path[ECG_TABLES][512]; /* "": absent */
    char ecg[512];              /* the folder that paths of recordings are below, or the archive; "": none */
    bool zipped;                /* it is an archive */
} ecg_mimic_tables;

extern const char *const ecg_table_names[ECG_TABLES]; /* "record_list.csv" ... */

/* Looks into the folders that were named, and below `mimic` for the rest. A module that was asked for by its own option and is not there, and a
 * table that is there twice, are errors; anything else that is absent is "". */
ecg_status ecg_modules_find(ecg_mimic_tables *out, const ecg_build_sources *from, ecg_err *err);

/* Can anything be built from these? ECG_EDATA naming the first table that is missing; otherwise says line by line what is built of what, and what not. */
ecg_status ecg_modules_say(const ecg_mimic_tables *t, const ecg_build_options *o, const ecg_watch *watch, ecg_err *err);

#endif
