/* SPDX-License-Identifier: MIT
 * study_plan.h: what a study consists of, before anything runs: rows, ablation lines and the stages that they need. */
#ifndef ECG_STUDY_STUDY_PLAN_H
#define ECG_STUDY_STUDY_PLAN_H

#include "study/study.h"

/* One setting as text, and all of them. */
typedef struct { char name[64], value[64]; } ecg_setting;
typedef struct { ecg_setting *at; int n; } ecg_settings;
ecg_status ecg_settings_of(ecg_settings *out, const ecg_config *c, ecg_err *err);
void ecg_settings_clear(ecg_settings *s);
bool ecg_setting_value(char value[64], const ecg_config *c, const char *name); /* false: no such setting */
bool ecg_setting_free(const char *name); /* may change without changing a weight: memory, checkpoints, evaluation */

enum { ECG_TASK_DIAGNOSES, ECG_TASK_LABS };
typedef enum { ECG_KIND_RANDOM /* an untrained encoder, only probed */, ECG_KIND_PRETRAIN, ECG_KIND_DIAGNOSES, ECG_KIND_LABS,
               ECG_KIND_JOINT /* the three stages as one: heads for both tasks */ } ecg_stage_kind;
typedef enum { ECG_STATE_PENDING, ECG_STATE_DONE, ECG_STATE_FAILED, ECG_STATE_LEFT_OUT, ECG_STATE_NOT_ASKED, ECG_STATE_PARTIAL } ecg_stage_state;
const char *ecg_state_name(ecg_stage_state s);

/* Rows of the table: constant. */
typedef struct {
    const char *row, *title, *kind; /* kind: "baseline", "ours", "control", "published" */
    int task;
    const char *stage;              /* whose evaluation these figures are */
    double paper;                   /* 0: none */
    const char *inference, *training; /* what it needs */
} ecg_row_info;
int ecg_rows_of_table(const ecg_row_info **rows);
const ecg_row_info *ecg_row_find(const char *row, int task); /* NULL: none */
const char *ecg_task_name(int task);
const char *ecg_kind_name(ecg_stage_kind kind); /* "random", "pretrain", "diagnoses", "labs", "joint" */

typedef struct {
    const char *a, *b;  /* rows */
    int task;
} ecg_pair_info;
int ecg_pairs_of_table(const ecg_pair_info **pairs);

typedef struct {
    char id[64], title[80];  /* "ours/pretrain": the folder below that of the unit */
    ecg_stage_kind kind;
    int from, teacher;       /* stage before it, stage it learns from (distillation); -1: none */
    bool probe, asked;       /* asked: some wanted row or line needs it */
    ecg_config config;       /* train.seed is that of the first seed */
    ecg_stage_state state;   /* LEFT_OUT: why */
    char why[256];
} ecg_plan_stage;

typedef struct {
    char name[32], group[16], title[80], change[128];
    char id[64];    /* of the stage whose diagnoses count */
    int stage;      /* its place; -1: left out */
    int labs;       /* place of the laboratory head on the same embedding; -1: none (joint training has its own) */
    bool asked;
    ecg_stage_state state;
    char why[160];
} ecg_plan_ablation;

typedef struct {
    ecg_plan_stage *stage;   /* (stages), owned; a stage comes after those it begins with */
    int stages;
    bool *wanted;            /* (rows of the table), owned */
    ecg_plan_ablation *ablation; /* (ablations), owned */
    int ablations;
    char diagnosis_set[32], lab_set[32];
} ecg_plan;

/* The plan for one cohort: everything there could be, what is asked among it, and what the cohort cannot give left out with the reason. */
ecg_status ecg_plan_make(ecg_plan *out, const ecg_study_task *t, const ecg_cohort *c, ecg_err *err);
void ecg_plan_clear(ecg_plan *p);
int ecg_plan_find(const ecg_plan *p, const char *id); /* -1: no such stage */

#endif
