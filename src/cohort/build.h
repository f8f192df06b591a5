/* SPDX-License-Identifier: MIT
 * build.h: from a source of patients to a cohort file. One function per source; what they share (recordings, attrition) is in attach.h. */
#ifndef ECG_COHORT_BUILD_H
#define ECG_COHORT_BUILD_H

#include "base/pool.h"
#include "base/watch.h"
#include "cohort/store.h"

/* Where the tables and recordings are; NULL: not given. A module that has a folder of its own is looked for there and nowhere else,
 * the others below `mimic`. */
typedef struct {
    const char *mimic;  /* a folder with any of the modules somewhere below it, or what `ecgraft synth` wrote */
    const char *ecg;    /* MIMIC-IV-ECG: folder of record_list.csv and files/, or the released zip archive */
    const char *hosp, *icu, *ed; /* modules of MIMIC-IV and MIMIC-IV-ED: the folder itself or one above it */
    const char *icd;    /* records_w_diag_icd10.csv: the file, or a folder above it */
    const char *mdsed;  /* mds_ed.csv: the file, or a folder above it */
    const char *ptbxl;
    const char *folder, *table; /* recordings of any hospital, and the one table that describes them */
} ecg_build_sources;

typedef enum {
    ECG_RANGES_ROW,          /* a row's own range; a side it lacks: median of the training patients' rows */
    ECG_RANGES_MEDIAN,       /* medians over all patients, as published */
    ECG_RANGES_TRAIN_MEDIAN  /* medians over training patients */
} ecg_lab_ranges;

enum { ECG_LABS_EST = 1, ECG_LABS_MON30 = 2, ECG_LABS_MON60 = 4, ECG_LABS_MON120 = 8 }; /* families of lab labels */

/* How the columns of a plain table are called and used; lists are comma-separated, NULL: by their names (docs/own_data.md). */
typedef struct {
    const char *columns;        /* "id=ecg_id,path=file,patient=pid,fold=strat_fold,stay=...,time=..." */
    const char *tabular;        /* names of the input columns */
    const char *labels;         /* names of the label columns */
} ecg_table_columns;

typedef struct {
    ecg_build_sources from;
    ecg_table_columns table;
    const char *output;      /* the cohort file */
    const char *command;     /* for the metadata: what decides the content, without output name and thread count */
    const char *roles;       /* "train:0-17,..."; NULL: the source's own */
    int rate_hz;             /* PTB-XL: 100 or 500, which of its two sets of files is read */
    int64_t min_count;       /* a diagnosis is kept with at least so many positives; 0: the source's own (PTB-XL 10, MIMIC 40) */
    int64_t min_labs;        /* a lab label is kept with so many positives and negatives in training, a quarter of it in validation; 0: 40 */
    bool mdsed_labels;       /* diagnoses are the fixed list of 1,428 codes instead of those that are frequent enough */
    bool keep_uncoded;       /* MIMIC: recordings without any code stay, diagnoses unknown */
    ecg_lab_ranges ranges;
    unsigned lab_families;   /* ECG_LABS_ bits, 0: ECG_LABS_EST */
    bool paper;              /* published choices for lab labels: 200 rows a test, 10 of each class in validation and test, no censored texts */
    bool masks;              /* a 0/1 column per column that can be missing, appended: 1 = was missing */
    double offset_minutes;   /* added to every recording's clock before anything is linked to it; the stored time stays as recorded */
    const char *lab_rows;    /* class of every laboratory row of the cohort's patients into this CSV; NULL: not wanted */
    bool no_waveforms;       /* tables alone: recordings are neither looked for nor read */
    bool fresh;              /* do not go on with what an interrupted build left */
    double max_failures;     /* more unreadable recordings stop the build; negative: 1 % of them, and absent files do not count */
    bool max_failures_share; /* max_failures is a share, 0..1 */
    uint32_t seed;           /* of the folds */
} ecg_build_options;

typedef struct {
    int64_t records, patients, absent, broken; /* absent: no such file; broken: unreadable, too short or without a single sample */
    bool synthetic;
    char failures[512];                 /* list of absent and broken recordings, "" if there are none */
} ecg_build_result;

/* ptbxl_database.csv, scp_statements.csv and records100 or records500. pool may be NULL. */
ecg_status ecg_cohort_build_ptbxl(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

/* MIMIC-IV-ECG, MIMIC-IV hosp and icu, MIMIC-IV-ED, the published code table, or what `ecgraft synth` writes (docs/cohort.md). What is
 * absent decides what can be built; it is said on the watch. */
ecg_status ecg_cohort_build_mimic(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

/* The published table mds_ed.csv, joined to the waveforms of MIMIC-IV-ECG by study_id. */
ecg_status ecg_cohort_build_mdsed(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

/* A folder of recordings in any readable format and one table with a row for each (docs/own_data.md). */
ecg_status ecg_cohort_build_folder(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

/* A folder of ecg_cohort_export (from.folder, without from.table). */
ecg_status ecg_cohort_build_exported(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);
bool ecg_is_exported(const char *folder); /* contract.json is in it */

#endif
