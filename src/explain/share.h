/* SPDX-License-Identifier: MIT
 * share.h: the decomposition of explain_fit.c. */
#ifndef ECG_EXPLAIN_SHARE_H
#define ECG_EXPLAIN_SHARE_H

#include "explain/explain.h"

/* Fills score_mean, feature_mean, own, beta, error, completeness and random. Patterns (n, ECG_PATTERNS) as the ECG shows them. 0; -1: out of memory. */
int ecg_explainer_decompose(ecg_explainer *e, const ecg_explain_rows *train, const double *train_pattern, const ecg_explain_rows *held, uint64_t seed);

#endif
