/* SPDX-License-Identifier: MIT
 * recalibrate.h: calibrators, distances and explanations of a trained model, fitted on a cohort and stored in a new model file.
 *
 * On the cohort of the training: calibrators from half B of validation, which neither trained nor chose an epoch (none where validation was too small to be
 * cut), the explainer from the training folds, and the AUROC of each label from the test folds, which is recorded and decides nothing. On any other cohort: calibrators and distances of that site; the explainer stays. */
#ifndef ECG_STUDY_RECALIBRATE_H
#define ECG_STUDY_RECALIBRATE_H

#include "base/watch.h"
#include "cohort/store.h"
#include "num/kernels.h"

typedef struct {
    const char *model;       /* run folder or file */
    const char *cohort;
    const char *out;         /* model file to write; nothing is left of it on failure */
    const char *neighbours;  /* file to write as well, of the recordings to compare with (model/neighbours.h); NULL: none */
    const ecg_roles *roles;  /* another cohort: only its validation folds calibrate; NULL: all records */
    uint64_t seed;           /* of the parts and random directions of the explainer */
    const ecg_exec *exec;
    const ecg_watch *watch;  /* may be NULL */
} ecg_recalibration_task;

typedef struct { char set[32]; int labels, verdicts, isotonic, platt, shared; } ecg_recalibrated_head;
typedef struct {
    bool same_cohort, synthetic;
    int64_t records, patients;        /* behind the calibrators; 0: none were fitted */
    int64_t validation_patients;
    int heads;
    ecg_recalibrated_head head[2];
    bool explained;                   /* the new model has an explainer */
    bool fitted;                      /* and it was fitted here */
    const char *not_explained;        /* why it has none */
    double completeness, random;      /* means over diagnoses; NAN */
    bool distances;
    int64_t neighbours;               /* records in that file */
    int64_t tested;                   /* records of the test folds that AUROC was taken on; 0: none */
} ecg_recalibration;

/* ECG_EARG: too few records (20 of two patients), or the output is the model itself. */
ecg_status ecg_recalibrate(ecg_recalibration *out, const ecg_recalibration_task *t, ecg_err *err);

#endif
