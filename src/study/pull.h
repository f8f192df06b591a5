/* SPDX-License-Identifier: MIT
 * pull.h: what a fine-tuning may be held to besides its labels. Every function returns its part of the loss in double and adds its
 * gradient to what is there. */
#ifndef ECG_STUDY_PULL_H
#define ECG_STUDY_PULL_H

#include "net/loss.h"
#include "net/params.h"

/* L2-SP (Li, Grandvalet, Davoine, arXiv 1802.01483): weight / 2 * sum (theta - theta0)^2 over the trained rows of t whose name begins with
 * prefix; theta0 under the same names in origin. */
double ecg_pull_weights(ecg_params *t, const ecg_params *origin, const char *prefix, double weight);
/* weight * mean over n of (a - b)^2; da (n) is added to. */
double ecg_pull_to(float *da, const float *a, const float *b, size_t n, double weight);
/* weight * cross-entropy of logits x (B, K) with probabilities p (B, K), summed and averaged as `reduce` says where everything is known;
 * dx (B, K) is added to. */
double ecg_pull_soft(float *dx, const float *x, const float *p, int B, int K, ecg_bce_reduce reduce, double weight);

#endif
