/* SPDX-License-Identifier: MIT
 * folder_table.h: the one table that describes a folder of recordings: what its columns are, and its rows (docs/own_data.md). */
#ifndef ECG_COHORT_FOLDER_TABLE_H
#define ECG_COHORT_FOLDER_TABLE_H

#include "cohort/build.h"
#include "cohort/tables.h"

/* The ids of one column. If all are whole numbers they are the numbers of the cohort; otherwise those are 1, 2 ... by first appearance. */
typedef struct {
    ecg_words words;
    bool text;
} ecg_folder_ids;

typedef struct {
    int column;      /* of the table, from 0 */
    ecg_column is;   /* name, unit, group; kind and vocabulary once the rows are read */
    bool categories; /* ":cat": numbers are words too */
    bool numbers;    /* the values so far */
    int64_t first;   /* line of the first value, 0: none yet */
    ecg_words words; /* ascending once the rows are read: word w is category w */
} ecg_folder_input;

typedef struct {
    int column;
    char set[32], code[64];
} ecg_folder_label;

typedef struct {
    int64_t line, time;    /* of the table; -1: unknown */
    int id, patient, stay; /* numbers into words; -1: none */
    int fold;              /* -1: no such column */
    char *path;            /* inside the folder, without extension; owned */
} ecg_folder_row;

typedef struct {
    const char *path;
    int id, file, patient, fold, stay, time; /* columns; -1: not there */
    ecg_folder_input *input;                 /* (inputs) */
    ecg_folder_label *label;                 /* (labels) in the order of the table or of the list */
    int inputs, labels;
    bool fold_words;                         /* train, validation, test: folds 0, 1, 2 */
    int64_t n;
    ecg_folder_row *row;                     /* (n) */
    float *value;                            /* (n, inputs), NAN missing, a category as its number */
    int8_t *known;                           /* (n, labels): 1, 0, -1 unknown */
    ecg_folder_ids ids, patients, stays;
} ecg_folder_table; /* = {0} to begin */

/* Which column is what: by its name in the header, or by the lists in `how`. A list that asks for something impossible: ECG_EARG; a table
 * without what is needed: ECG_EDATA. */
ecg_status ecg_folder_columns(ecg_folder_table *f, const ecg_csv *t, const ecg_table_columns *how, ecg_err *err);

/* Columns and rows of the table t, which is called path. Anything odd is ECG_EDATA with line and column. */
ecg_status ecg_folder_table_read(ecg_folder_table *f, ecg_csv *t, const char *path, const ecg_table_columns *how, ecg_err *err);
void ecg_folder_table_clear(ecg_folder_table *f);

int64_t ecg_folder_number(const ecg_folder_ids *ids, int word); /* -1 for -1 */

#endif
