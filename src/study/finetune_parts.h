/* SPDX-License-Identifier: MIT
 * finetune_parts.h: what the files of fine-tuning share: finetune.c trains, finetune_model.c makes the model and says what it may begin with. */
#ifndef ECG_STUDY_FINETUNE_PARTS_H
#define ECG_STUDY_FINETUNE_PARTS_H

#include "study/finetune.h"
#include "study/fuse.h"
#include "study/teacher.h"

enum { PART_LABELS, PART_L2SP, PART_HOLD, PART_DISTILL, PART_HIDDEN, PARTS };

typedef struct {
    const ecg_study *study;
    bool labs, shared, scratch;
    const ecg_cfg_tuning *tuning;
    const char *section;        /* "finetune" or "labs": where the tuning comes from */
    const char *group;          /* columns the head reads beside the ECG; NULL: none */
    bool leaks;                 /* the inputs hold the measurements that the labels were made from */
    ecg_loader loader;
    ecg_model source, model;
    ecg_head *head;             /* the one that trains */
    int at;                     /* its place in model.head */
    const ecg_label_table *table; /* of the cohort: what the head predicts */
    const int8_t *label;        /* (cohort rows, K) */
    int K;
    ecg_rows seen, chosen_by;   /* training rows whose labels are seen; half A rows with a known label */
    const ecg_rows *rows;       /* that train: seen, or with a teacher all of training */
    uint8_t *blind;             /* (cohort rows) 1: labels are not seen; NULL: all of rows are */
    bool subset;                /* train.labelled applies */
    int64_t seen_patients;
    ecg_run run;
    char roles[256], from_hash[65];
    ecg_training loop;
    int batch;
    /* of one batch */
    float *x, *h, *dh, *logit, *dlogit, *y; /* (B, L, leads) (B, H) (B, H) (B, K) (B, K) (B, K) */
    float *dread;               /* (B, what the head reads); dh where that is the embedding */
    int *start;
    ecg_encoder_work *work;
    ecg_mlp_work *head_work;
    ecg_fuse fuse;
    double part[PARTS];
    /* hold, distillation: allocated where they are asked for */
    ecg_teacher teacher;
    float *h0, *mapped, *dmapped, *dh_map; /* (B, H) (B, map_out) (B, map_out) (B, H) */
    ecg_encoder_work *source_work;
    ecg_mlp_work *map_work;
    /* selection */
    float *prob;                /* (half A, K) */
    int8_t *truth;              /* (half A, K) */
    double *auroc;              /* (K) of the epoch just judged */
} stage2;

/* What the run begins with: a run or model, a random encoder in its place, or nothing. */
ecg_status ecg_finetune_source(stage2 *s, ecg_err *err);
/* ECG_EARG: settings that cannot be followed together, by name. */
ecg_status ecg_finetune_check(const stage2 *s, ecg_err *err);
/* The parts of the source, a new head, and what it reads; frozen as asked; prevalences. The teacher is open. */
ecg_status ecg_finetune_build(stage2 *s, ecg_err *err);
/* The linear head from a ridge regression of the seen labels on the embedding; the penalty from half A. After build and buffers. */
ecg_status ecg_finetune_start_head(stage2 *s, ecg_err *err);

#endif
