/* SPDX-License-Identifier: MIT
 * build.h: from a source of patients to a cohort file. One function per source; what they share (recordings, attrition) is in attach.h. */
#ifndef ECG_COHORT_BUILD_H
#define ECG_COHORT_BUILD_H

#include "base/pool.h"
#include "base/watch.h"
#include "cohort/store.h"

typedef struct {
    const char *folder;      /* of the source */
    const char *output;      /* the cohort file */
    const char *command;     /* for the metadata: what decides the content, without output name and thread count */
    const char *roles;       /* "train:0-17,..."; NULL: the source's own */
    int rate_hz;             /* PTB-XL: 100 or 500, which of its two sets of files is read */
    int64_t min_count;       /* a diagnosis is kept with at least so many positives; 0: the source's own (PTB-XL 10, MIMIC 40) */
    int64_t min_labs;        /* a lab label is kept with so many positives and negatives in training, a quarter of it in validation; 0: 40 */
    bool keep_uncoded;       /* MIMIC: recordings without any code stay, diagnoses unknown */
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

/* MIMIC-IV-ECG, MIMIC-IV hosp and MIMIC-IV-ED, or what `ecgraft synth` writes, below one folder (docs/cohort.md). */
ecg_status ecg_cohort_build_mimic(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

#endif
