/* SPDX-License-Identifier: MIT
 * balance.h: how several losses share one encoder: learned log-variances (Kendall, Gal, Cipolla, arXiv 1705.07115), or gradients that are
 * projected where they conflict (Yu et al., arXiv 2001.06782). Derivation: docs/math/balance.md. */
#ifndef ECG_STUDY_BALANCE_H
#define ECG_STUDY_BALANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "num/kernels.h"

enum { ECG_TASKS_MAX = 3 };

/* sum_i exp(-s_i) L_i + s_i over the tasks that are there. weight (n): exp(-s_i), 0 where a task is not; ds (n): the gradient by s. s is kept
 * between -4 and 4: outside, it counts as the bound, and no gradient leads further away. */
double ecg_balance_uncertainty(double *weight, float *ds, const float *s, const double *loss, const bool *there, int n);

/* Gram matrix of the gradients g[i] (count) of n tasks: gram[i][j] = g_i . g_j in double, sums cut into fixed ranges. partial: room for
 * ecg_balance_partials(count) doubles. */
size_t ecg_balance_partials(size_t count);
void ecg_balance_gram(double gram[ECG_TASKS_MAX][ECG_TASKS_MAX], float *const *g, int n, size_t count, double *partial, const ecg_exec *exec);
/* Each task's gradient is projected onto the normal plane of every other it conflicts with (falling: in falling order of the others), and the
 * results are added: sum_i g_i' = sum_k weight[k] g_k. Returns how many of the n pairs conflict. A task without gradient takes no part. */
int ecg_balance_projection(double *weight, double gram[ECG_TASKS_MAX][ECG_TASKS_MAX], int n, bool falling);
/* out (count) = sum_k weight[k] g[k] */
void ecg_balance_mix(float *out, const double *weight, float *const *g, int n, size_t count, const ecg_exec *exec);

#endif
