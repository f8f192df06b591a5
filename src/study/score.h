/* SPDX-License-Identifier: MIT
 * score.h: probabilities of whole recordings: sigmoid of every disjoint crop, then the mean (protocol 7.2). */
#ifndef ECG_STUDY_SCORE_H
#define ECG_STUDY_SCORE_H

#include "base/watch.h"
#include "model/bundle.h"
#include "study/loader.h"

/* prob[i] (rows, K of head i), NULL: this head is not wanted. ECG_EINTR: stopped. */
ecg_status ecg_score_rows(float *const *prob, ecg_model *m, const ecg_loader *l, const ecg_rows *rows, const ecg_exec *exec, const ecg_watch *watch,
                          const char *what, ecg_err *err);

/* The labels of the rows, one after the other: out (rows, K). */
void ecg_labels_of(int8_t *out, const int8_t *label, int K, const ecg_rows *rows);
/* Share of positives among the rows where a label is known; NAN: nowhere. out (K) */
void ecg_labels_prevalence(double *out, const int8_t *label, int K, const ecg_rows *rows);

#endif
