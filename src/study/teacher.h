/* SPDX-License-Identifier: MIT
 * teacher.h: a trained model that a fine-tuning learns from: for the same crop, and where it reads the table, for the same visit, its
 * probabilities and the embedding its head reads. It is not trained and draws nothing. */
#ifndef ECG_STUDY_TEACHER_H
#define ECG_STUDY_TEACHER_H

#include "study/fuse.h"

typedef struct {
    char path[512], hash[65];
    ecg_model model;
    const ecg_head *head;
    ecg_fuse fuse;
    int K, width;          /* of prob and of the embedding */
    float *h, *prob;       /* (B, H) (B, K) */
    const float *embedding; /* (B, width) of the last question */
    ecg_encoder_work *work;
    ecg_mlp_work *head_work;
} ecg_teacher;

/* labels: the table that its probabilities are wanted for. ECG_ECONTRACT: it predicts other labels, or reads other crops. On failure *t is closed. */
ecg_status ecg_teacher_open(ecg_teacher *t, const char *path, const ecg_loader *l, const ecg_label_table *labels, int batch, const ecg_exec *exec,
                            ecg_err *err);
void ecg_teacher_close(ecg_teacher *t);
/* x (B, crop, leads), row (B) */
void ecg_teacher_ask(ecg_teacher *t, const ecg_exec *exec, const float *x, const uint32_t *row, int B);

#endif
