/* SPDX-License-Identifier: MIT
 * parts.h: what the files of an answer share: predict.c reads the recording and scores it, claims.c says what the scores allow to be said, why.c
 * explains them. */
#ifndef ECG_MODEL_PARTS_H
#define ECG_MODEL_PARTS_H

#include "model/neighbours.h"

/* logit (K), prob (K, may be NULL): means over the crops of one head's logits and sigmoids. h (crops, width) */
ecg_status ecg_head_means(double *logit, double *prob, const ecg_model *m, const ecg_head *head, const float *h, int crops, ecg_err *err);

/* The same in memory of the answer that is being made, of all its crops. */
void ecg_head_means_in(double *logit, double *prob, ecg_answer *a, const ecg_model *m, const ecg_head *head, const float *h);
/* The mean logit of label k alone, the bits that ecg_head_means would give it, in memory of the answer. */
double ecg_head_logit(ecg_answer *a, const ecg_model *m, const ecg_head *head, int k, const float *h, int crops);

/* Memory that lives as long as the answer: zeros, aligned to 64 bytes; NULL: there is none. Never given back by itself. */
void *ecg_answer_take(ecg_answer *a, size_t count, size_t size);

/* Embeddings of disjoint crops: h (crops, width) from x (crops * length, leads). */
ecg_status ecg_embed_crops(float *h, const ecg_model *m, const float *x, int crops, ecg_err *err);
void ecg_embed_in(float *h, ecg_answer *a, const ecg_model *m, const float *x, int crops); /* while that answer is being made */
void ecg_mean_crops(float *mean, const float *h, int crops, int width);

/* What speaks against the recording x (n, leads, prepared), and how far its embedding h (width) lies from those of training. */
void ecg_doubt(ecg_answer *a, const ecg_model *m, const float *h, const float *x, int64_t n);
/* Calibrated probabilities, intervals, p-values and verdicts of one head's labels. After ecg_doubt. */
void ecg_claim(ecg_score *s, int n, const ecg_model *m, const ecg_head *head, const ecg_answer *a);
/* Counts of verdicts, labs worth a test. a's lists are in their final order. */
void ecg_claim_all(ecg_answer *a);
/* Probability of label k for a mean logit, as ecg_claim gives it; raw: where there is no calibrator. */
double ecg_probability_of(const ecg_model *m, const ecg_head *head, int k, double logit, double raw);

/* Probability, interval and share flagged at the local prevalence, where p (may be NULL) tells one; returns of how many labels. After ecg_claim. */
int ecg_shift(ecg_score *s, int n, const ecg_prevalence *p, int head);
double ecg_shift_one(double p, const ecg_score *s); /* any probability of that label, calibrated as its own */
double ecg_base_rate(const ecg_score *s);            /* the local prevalence, else that of the training folds */

/* Explains the first `most` diagnoses of the answer (-1: all). h (crops, width), mean (width) */
ecg_status ecg_explain_answer(ecg_answer *a, const ecg_model *m, const float *h, int crops, const float *mean, int most, ecg_err *err);
/* Occludes leads and waves of x (n, leads, prepared) for the same diagnoses. */
ecg_status ecg_occlude_answer(ecg_answer *a, const ecg_model *m, const float *x, int64_t n, int most, ecg_err *err);

#endif
