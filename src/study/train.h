/* SPDX-License-Identifier: MIT
 * train.h: the loop that all stages share: epochs, steps, AdamW, selection, checkpoints, Ctrl-C. A stage says what a step computes and
 * how an epoch is judged. */
#ifndef ECG_STUDY_TRAIN_H
#define ECG_STUDY_TRAIN_H

#include "base/watch.h"
#include "net/adamw.h"
#include "study/loader.h"
#include "study/runlog.h"

/* What a command asks of a stage. */
typedef struct {
    const ecg_cohort *cohort;
    const ecg_roles *roles;   /* NULL: those of the run it begins with, if that saw the same cohort; else the cohort's */
    const char *folder;       /* the run */
    const char *from;         /* run folder or model it begins with; NULL: random weights */
    bool random_encoder;      /* no `from`: a random encoder takes the place of a pre-trained one, with its freezing and rates */
    const char *teacher;      /* run folder or model to learn from (distillation); NULL: none */
    const char *set;          /* label set; NULL: "diagnoses" or "labs" */
    const ecg_config *config;
    bool resume, force;
    const char *command;      /* for run.json; may be NULL */
    const ecg_exec *exec;
    const ecg_watch *watch;   /* may be NULL */
} ecg_study;

enum { ECG_LOSS_PARTS = 8 };

/* Position: enough to go on bit for bit, together with parameters and moments. */
typedef struct {
    int64_t epoch, in_epoch, step; /* epochs done, steps done in this one, steps in all */
    int64_t best_epoch, best_step; /* epochs and steps done when model.safetensors was written; 0: never */
    double best, loss_sum;         /* loss summed over the steps of this epoch */
    double part_sum[ECG_LOSS_PARTS]; /* the same of its parts */
} ecg_train_state;

typedef struct {
    const char *stage, *measure;  /* "pretrain", "validation_loss" */
    bool higher;                  /* a larger measure is better; NAN: the later epoch is */
    ecg_model *model;
    const ecg_loader *loader;
    const ecg_rows *rows;
    const ecg_exec *exec;
    const ecg_watch *watch;
    const ecg_run *run;
    const ecg_cfg_train *config;
    uint64_t seed;
    int64_t batch, epochs;
    ecg_adamw optimiser;
    ecg_lr_kind schedule;
    int64_t warmup;
    bool encoder_trains;
    double average;               /* decay of the running mean of the parameters that is judged and kept in their place; 0: none */
    float *mean;                  /* (table floats) that mean; NULL: none. ecg_train's own */
    int64_t judge_every;          /* epochs; the last one is always judged; 0: each */
    const char *identity;         /* what must agree when a checkpoint is continued: stage and hashes */
    int parts;                    /* of the loss that metrics.jsonl names; 0: the loss alone */
    const char *const *part;      /* (parts) "loss_labels" ... */
    const double *part_now;       /* (parts) of the step just done */
    void *ctx;
    /* Forward and backward of one batch; the gradients were zeroed. epoch, step from 0. */
    ecg_status (*step)(void *ctx, double *loss, const uint32_t *row, int B, uint32_t epoch, uint32_t step, ecg_err *err);
    ecg_status (*judge)(void *ctx, double *measure, ecg_err *err);
    /* Writes model.safetensors; state says what was best. */
    ecg_status (*keep)(void *ctx, const ecg_train_state *state, ecg_err *err);
} ecg_training;

/* The encoder that the settings describe. */
ecg_encoder_config ecg_train_encoder(const ecg_config *c, int leads);
/* The values a built model begins with, by seed; its encoder is ready to run afterwards. */
ecg_status ecg_train_begin(ecg_model *m, uint64_t seed, const ecg_exec *exec, ecg_err *err);
/* The encoder made ready from the values that are there. */
ecg_status ecg_train_encoder_ready(ecg_model *m, const ecg_exec *exec, ecg_err *err);
/* min(epochs asked, or what gives that many updates) */
int64_t ecg_train_epochs(int64_t epochs, int64_t updates, int64_t rows, int64_t batch);

/* Runs to the end, or from the checkpoint in the run folder, and closes t->run with the result; more: what else to say there, ", \"key\": value" as
 * often as needed, or "". ECG_EINTR: stopped, saved. ECG_EDATA: the loss or a gradient is not finite; the last checkpoint stays. */
ecg_status ecg_train(ecg_training *t, const char *more, ecg_err *err);

#endif
