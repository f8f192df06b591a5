/* SPDX-License-Identifier: MIT
 * evaluate_files.h: `ecgraft evaluate --predictions`: anybody's predictions instead of a run. */
#ifndef ECG_TOOL_EVALUATE_FILES_H
#define ECG_TOOL_EVALUATE_FILES_H

#include "opt.h"
#include "study/predictions.h"

typedef struct {
    ecg_predictions_files files;
    const char *out;   /* folder, NULL: nothing is written */
    int resamples;
    bool by_ecg, json, all;
} evaluate_files_options;

int evaluate_files(const evaluate_files_options *o); /* exit code */

void print_interval(const char *name, const ecg_interval *x); /* "  macro AUROC 0.812 [0.790, 0.833]" */
void print_difference(const char *name, const ecg_difference *x);
void print_calibration(const ecg_calibration *mean, const ecg_calibration *pooled);

#endif
