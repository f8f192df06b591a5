/* SPDX-License-Identifier: MIT
 * mdsed_table.h: the published table mds_ed.csv in memory: 466 columns and the labels of every recording (docs/cohort.md 6). */
#ifndef ECG_COHORT_MDSED_TABLE_H
#define ECG_COHORT_MDSED_TABLE_H

#include "base/arena.h"
#include "base/pool.h"
#include "base/watch.h"
#include "ecg/contract.h"

enum { ECG_MDSED_DIAGNOSES, ECG_MDSED_DETERIORATION, ECG_MDSED_SETS };

typedef struct {
    int64_t patient, study, stay, ecg_time; /* stay and time: -1 where the table has none */
    int16_t fold;                           /* -1: the table has no folds */
    const char *path;                       /* "files/p1000/p10000032/s40689238/40689238": general_file_name, or as published */
} ecg_mdsed_row;

typedef struct {
    ecg_mdsed_row *row;                     /* (n), as in the file, each study once */
    float *tabular;                         /* (n, ECG_COLUMNS), NAN missing */
    ecg_label_table table[ECG_MDSED_SETS];  /* ascending codes, counts not filled in; deterioration may be empty */
    int8_t *label[ECG_MDSED_SETS];          /* (n, table.n) */
    int64_t n, room;
    int64_t rows;                           /* in the file: n, and those whose study was there before */
    bool folds;
    ecg_arena **text;                       /* (texts) paths; at least one */
    int texts;
} ecg_mdsed_table; /* = {0} to begin */

/* fixed_list: diagnoses are the 1,428 published codes, each of which must be there; else every column diagnoses_*. */
ecg_status ecg_mdsed_table_read(ecg_mdsed_table *out, const char *path, bool fixed_list, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);
/* Keeps the rows with keep[i] set. */
void ecg_mdsed_table_filter(ecg_mdsed_table *t, const uint8_t *keep);
void ecg_mdsed_table_clear(ecg_mdsed_table *t);

#endif
