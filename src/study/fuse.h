/* SPDX-License-Identifier: MIT
 * fuse.h: what a head reads: the embedding h, or [h, h_m] with h_m = Phi_m(table of the visit) from the model's own tabular encoder
 * (protocol 5.4, 5.5). Every crop of a recording is accompanied by the same row of the table. */
#ifndef ECG_STUDY_FUSE_H
#define ECG_STUDY_FUSE_H

#include "model/bundle.h"
#include "study/loader.h"

typedef struct {
    bool fused;              /* false: nothing below is there, and the head reads h itself */
    int width, table, batch; /* of h, of h_m */
    ecg_loader view;         /* the loader's, with the columns of the model's group */
    float *continuous;       /* (B, continuous) */
    int32_t *category;       /* (B, categorical) */
    float *hm, *dhm;         /* (B, table) */
    float *joined;           /* (B, width + table) */
    ecg_tabular_work *work;
} ecg_fuse;

/* For batches of at most that many crops. ECG_ECONTRACT: the cohort's columns are not the model's. On failure *f is closed. */
ecg_status ecg_fuse_open(ecg_fuse *f, const ecg_model *m, const ecg_loader *l, int batch, bool training, ecg_err *err);
void ecg_fuse_close(ecg_fuse *f);
int ecg_fuse_width(const ecg_fuse *f); /* of what the head reads */

/* What the head reads: h (B, width) itself, or [h, h_m] in f. */
const float *ecg_fuse_forward(ecg_fuse *f, ecg_model *m, const ecg_exec *exec, const float *h, const uint32_t *row, int B, bool train,
                              const ecg_dropout *drop);
/* dh (B, width) from the gradient of what the head read, which may be dh itself where nothing is fused; the tabular encoder's is added to its
 * table. After a training forward of the same batch. dh NULL: not wanted. */
void ecg_fuse_backward(float *dh, ecg_fuse *f, ecg_model *m, const ecg_exec *exec, const float *dread, int B);

#endif
