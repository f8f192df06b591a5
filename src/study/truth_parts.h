/* SPDX-License-Identifier: MIT
 * truth_parts.h: what truth.c (twins and effects) and truth_gates.c (coverage, deletion, stability) share. */
#ifndef ECG_STUDY_TRUTH_PARTS_H
#define ECG_STUDY_TRUTH_PARTS_H

#include "model/parts.h"
#include "study/readings.h"
#include "study/truth.h"

typedef struct { int64_t study, patient; uint32_t acting; } ecg_truth_record;

typedef struct {
    const ecg_truth_task *task;
    ecg_model m;
    ecg_cohort cohort;
    ecg_loader loader;
    int diagnoses, labs;       /* places among the heads */
    ecg_truth_record *record;  /* (records) of the test folds, by study; owned */
    int64_t records;
} ecg_truth_work;

enum { ECG_TRUTH_HEAVY = 5 };
/* The labs that weigh most in diagnosis k over these records: rows, falling. */
void ecg_truth_heaviest(int row[ECG_TRUTH_HEAVY], int *n, const ecg_truth_work *w, const ecg_readings *r, int k);
double ecg_truth_ranks(const double *x, const double *y, int n); /* Spearman; NAN */
ecg_status ecg_truth_shuffle(ecg_truth *out, ecg_truth_work *w, const ecg_readings *test, ecg_err *err);
ecg_status ecg_truth_models(ecg_truth *out, ecg_truth_work *w, ecg_err *err);
ecg_status ecg_truth_gates(ecg_truth *out, ecg_truth_work *w, ecg_err *err);

#endif
