/* SPDX-License-Identifier: MIT
 * evaluate.h: what a fine-tuned model is worth on one role of a cohort: every head, all ECGs and the first of each stay, with intervals. */
#ifndef ECG_STUDY_EVALUATE_H
#define ECG_STUDY_EVALUATE_H

#include "base/watch.h"
#include "cohort/store.h"
#include "model/bundle.h"
#include "study/assess.h"

typedef struct {
    const char *run;         /* run folder or model file */
    const char *cohort;      /* NULL: the one that run.json names; refused when its hash differs */
    const char *against;     /* another run or model: differences on the same records and resamples; NULL: none */
    const char *folder;      /* where files go; NULL: the run folder, or that of the model file */
    const ecg_roles *roles;  /* NULL: those of the training, if on the same cohort; else the cohort's */
    int role;                /* ECG_TEST (empty: validation), ECG_VALIDATION (half B where validation was cut) */
    int resamples;           /* 0: no intervals */
    bool by_ecg;             /* the bootstrap draws ECGs, not patients */
    uint64_t seed;
    const ecg_exec *exec;
    const ecg_watch *watch;  /* may be NULL */
} ecg_evaluate_task;

typedef struct {
    int64_t records, patients;
    int defined;             /* labels with both classes */
    ecg_boot_summary score, precision;
} ecg_scored;

typedef struct {
    char set[32], head[32];  /* head: "diagnoses", "labs" */
    int labels, absent;      /* absent: labels of the model that the cohort does not know */
    ecg_scored all, first;   /* first ECG of each stay */
    ecg_calibration mean;    /* over labels: brier, brier_skill, ece */
    ecg_calibration pooled;  /* all entries as one */
    double sensitivity_at[2];      /* at specificity 90, 95 %, mean over labels, read off the scored rows */
    ecg_operating youden;    /* mean over labels, thresholds of validation; NAN without */
    ecg_difference against[2], against_first[2]; /* macro and micro AUROC minus those of the other run; NAN without */
} ecg_head_result;

typedef struct {
    int role;                /* what was scored in the end */
    bool synthetic;          /* the model or the cohort is */
    bool chose_epoch;        /* the records scored here also chose the epoch */
    bool half;               /* half B of validation */
    char thresholds[64];     /* the records that chose the thresholds, "": none did */
    int heads;
    ecg_head_result head[2];
    char *json;              /* evaluation.json; owned */
} ecg_evaluation;

/* Writes predictions, labels, reliability, decision and (where the cohort has age or sex) subgroups as NAME.<set>.<role>.csv, and evaluation.json. */
ecg_status ecg_evaluate(ecg_evaluation *out, const ecg_evaluate_task *t, ecg_err *err);
void ecg_evaluation_clear(ecg_evaluation *e);

const char *ecg_role_name(int role); /* "train", "validation", "test" */

#endif
