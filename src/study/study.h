/* SPDX-License-Identifier: MIT
 * study.h: the table: every row trained and measured on every cohort and seed, controls, probes, ablations (docs/study_results.md). Stages that
 * rows share are trained once; what is done is never done again. */
#ifndef ECG_STUDY_STUDY_H
#define ECG_STUDY_STUDY_H

#include "study/train.h"

enum { ECG_STUDY_COHORTS = 32, ECG_STUDY_SEEDS = 100 };

typedef struct {
    const char *const *cohort; /* (cohorts) files */
    int cohorts, seeds;        /* seeds train.seed, train.seed + 1 ... */
    const char *folder;        /* RUN */
    const ecg_config *config;
    const ecg_roles *roles;    /* NULL: the cohorts' own */
    const char *only;          /* rows, "signal,ours_shared"; NULL: all of the table and, with controls, those */
    bool controls;
    const char *ablate;        /* names or groups of lines, "lambda,frozen_0", or "all"; NULL: none */
    bool published;            /* the released recipes as further rows */
    const char *labels;        /* diagnosis label set; NULL: "diagnoses", or the first that is not "labs" */
    bool force;                /* stages whose identity changed are trained again instead of refused */
    const char *command;       /* may be NULL */
    const ecg_exec *exec;
    const ecg_watch *watch;    /* may be NULL */
} ecg_study_task;

typedef struct {
    int stages, failed;        /* of the plan; with a diverging loss or data that cannot be */
    bool synthetic;
} ecg_study_outcome;

/* Trains what is not yet trained, evaluates, probes, writes results.json. ECG_EARG: the run folder holds another study (what differs is named).
 * ECG_ECONTRACT: cohorts that do not fit together. ECG_EDATA: a role is empty, or no row can be trained. ECG_EINTR: interrupted, saved. */
ecg_status ecg_study_run(ecg_study_outcome *out, const ecg_study_task *t, ecg_err *err);

/* The plan as text, with time and memory as measured on a few steps on this machine; writes nothing. *text is malloc'ed. */
ecg_status ecg_study_dry_run(char **text, const ecg_study_task *t, ecg_err *err);

/* ECG_EARG: no such row or ablation, with the nearest. Both may be NULL. */
ecg_status ecg_study_words(const char *only, const char *ablate, ecg_err *err);
/* "signal, multi_labs, ..." and "tabular, lambda, ..." for help. */
const char *ecg_study_row_names(void);
const char *ecg_study_ablation_groups(void);

#endif
