/* SPDX-License-Identifier: MIT
 * align.h: what joins an embedding h to the table of the same visit: Phi_m, both projectors, and a loss over the whole batch (protocol 5.5,
 * 5.7, 6.2). Pre-training has nothing else behind its encoder; joint training has it beside the heads. */
#ifndef ECG_STUDY_ALIGN_H
#define ECG_STUDY_ALIGN_H

#include "base/watch.h"
#include "model/bundle.h"
#include "net/loss.h"
#include "study/config.h"
#include "study/loader.h"

typedef struct {
    const ecg_loader *loader;
    const ecg_cfg_pretrain *config;
    int batch;
    uint32_t *partner;                  /* (cohort rows) whose table a row is shown with; NULL: its own */
    uint32_t *shown;                    /* (B) */
    float *zx, *hm, *zm;                /* (B, E) (B, tab) (B, E) */
    float *dzx, *dhm, *dzm;             /* gradients of the same shapes */
    float *continuous;
    int32_t *category;
    ecg_mlp_work *proj_ecg, *proj_tab;
    ecg_tabular_work *tabular;
    ecg_barlow *barlow;                 /* one of the two */
    ecg_vicreg *vicreg;
} ecg_align;

enum { ECG_ALIGN_SMALLEST = 32 }; /* records of validation that a loss over a batch needs to mean anything */

/* Records in a batch: what `key` asks for, or all training rows where they are fewer; says so, and what validation is too small for. ECG_EDATA:
 * too few for a loss over a batch. */
ecg_status ecg_align_batch(int *batch, const ecg_loader *l, int64_t asked, const char *key, const ecg_watch *watch, ecg_err *err);
/* The columns of pretrain.tabular in loader and model, and their medians over the training rows. The model has its contract. ECG_ECONTRACT: there
 * are none. */
ecg_status ecg_align_describe(ecg_model *m, ecg_loader *l, const ecg_config *c, const ecg_exec *exec, ecg_err *err);
/* For batches of at most that many records of a built model; with train.shuffle_pairs training rows and half A get partners. On failure *a is
 * closed. */
ecg_status ecg_align_open(ecg_align *a, const ecg_model *m, const ecg_loader *l, const ecg_config *c, int batch, ecg_err *err);
void ecg_align_close(ecg_align *a);

/* The loss of a batch with embeddings h (B, width). Only after train can ecg_align_backward follow. */
double ecg_align_forward(ecg_align *a, ecg_model *m, const ecg_exec *exec, const float *h, const uint32_t *row, int B, bool train,
                         const ecg_dropout *drop);
/* dh (B, width) overwritten by weight times the gradient; that of the three parts is added to the model's table. */
void ecg_align_backward(float *dh, ecg_align *a, ecg_model *m, const ecg_exec *exec, const float *h, int B, double weight);

/* What a training record says of settings that are not the usual ones, as members of an object that go on after a comma; "": nothing. */
void ecg_align_extras(char *out, size_t size, const ecg_config *c);

#endif
