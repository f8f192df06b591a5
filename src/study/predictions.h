/* SPDX-License-Identifier: MIT
 * predictions.h: anybody's predictions, labels and groups out of CSV files, matched by id and by the names of the columns. */
#ifndef ECG_STUDY_PREDICTIONS_H
#define ECG_STUDY_PREDICTIONS_H

#include "base/arena.h"
#include "study/assess.h"

typedef struct {
    const char *predictions, *labels;
    const char *groups;                                   /* NULL: none */
    const char *against;                                  /* other predictions of the same rows; NULL: none */
    const char *validation_predictions, *validation_labels; /* both or none */
    bool ignore_missing;                                  /* ids that are not in every file are left out, not refused */
} ecg_predictions_files;

/* Rows in the order of the predictions. Columns that are labels: those that predictions and labels have in common; id: study_id, else the first;
 * patient (patient_id, subject_id) and first_in_stay where any file has them. */
typedef struct {
    ecg_arena *arena;            /* texts */
    int K;
    const char **code;           /* (K) in the order of the predictions */
    ecg_assess_rows rows, validation; /* arrays owned; validation.n 0: none */
    double *against;             /* (n, K), owned */
    ecg_assess_group *group;     /* owned, as are of and level */
    int groups;
    int64_t validation_scored;   /* ids of the validation rows that are scored as well */
    int64_t only_predictions, only_labels, only_against; /* ids left out */
    int unused_predictions, unused_labels; /* columns without a partner */
} ecg_predictions;

/* ECG_EDATA names file, line and column. What is left out or passed over is said to watch. */
ecg_status ecg_predictions_read(ecg_predictions *out, const ecg_predictions_files *files, const ecg_watch *watch, ecg_err *err);
void ecg_predictions_clear(ecg_predictions *p);

#endif
