/* SPDX-License-Identifier: MIT
 * probe.h: how much of something can be read off a frozen embedding by a linear map: tabular values (R2), labels (AUROC), and labels from a few
 * patients only. Ridge regression (stat/ridge.h); labels are coded 0 and 1 (least squares, the direction of linear discriminants). */
#ifndef ECG_STUDY_PROBE_H
#define ECG_STUDY_PROBE_H

#include "model/bundle.h"
#include "stat/bootstrap.h"
#include "study/loader.h"

/* Embeddings of the rows that probes use: training (most rows at most, seed-keyed), halves A and B of validation, test. */
enum { ECG_PROBE_TRAIN, ECG_PROBE_A, ECG_PROBE_B, ECG_PROBE_TEST, ECG_PROBE_PARTS };
typedef struct {
    const ecg_loader *loader;
    int width;
    ecg_rows rows[ECG_PROBE_PARTS]; /* owned */
    double *h[ECG_PROBE_PARTS];     /* (rows, width), owned */
} ecg_probe;
/* most 0: all training rows */
ecg_status ecg_probe_open(ecg_probe *out, const ecg_model *m, const ecg_loader *l, int64_t most, uint64_t seed, const ecg_exec *exec,
                          const ecg_watch *watch, ecg_err *err);
void ecg_probe_close(ecg_probe *p);

/* Continuous columns, clipped to the 1st and 99th percentile of training. The penalty of each column is the best on half A; R2 about the mean of
 * the rows it is measured on. Columns with fewer than 40 training values or 10 of a part, or constant in one, are left out. */
typedef struct { int columns; double r2_validation, r2_test; } ecg_probe_mean; /* validation: half B; NAN: no column */
typedef struct {
    int column;          /* of the contract */
    int64_t training;    /* values */
    double penalty, r2_validation, r2_test;
} ecg_probe_column;
typedef struct {
    ecg_probe_mean all, routine, lab;
    ecg_probe_column *column; /* (all.columns), owned */
} ecg_probe_table;
ecg_status ecg_probe_tabular(ecg_probe_table *out, const ecg_probe *p, const ecg_exec *exec, const ecg_watch *watch, ecg_err *err);
void ecg_probe_table_clear(ecg_probe_table *t);

/* A label set. patients 0: all labelled training rows, penalty of each label from half A; else so many of them, drawn (seed, draw), and a penalty
 * of 1. score (test rows, K), NAN where training had one class only. used: training records. */
ecg_status ecg_probe_labels(double *score, int64_t *used, const ecg_probe *p, const char *set, int64_t patients, uint64_t seed, int draw,
                            const ecg_exec *exec, const ecg_watch *watch, ecg_err *err);

#endif
