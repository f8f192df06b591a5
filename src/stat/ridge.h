/* SPDX-License-Identifier: MIT
 * ridge.h: linear regression with an L2 penalty by Cholesky in double, with intercept, on standardised features:
 *     minimise  1/n sum_i (y_i - b - sum_a w_a (x_ia - mean_a) / sd_a)^2  +  penalty sum_a w_a^2
 * Several targets share one system. Rows are added one by one; nothing but moments is kept. */
#ifndef ECG_STAT_RIDGE_H
#define ECG_STAT_RIDGE_H

#include <stdint.h>

typedef struct ecg_ridge ecg_ridge;

ecg_ridge *ecg_ridge_new(int features, int targets); /* NULL: out of memory */
void ecg_ridge_free(ecg_ridge *r);                   /* NULL is fine */
void ecg_ridge_clear(ecg_ridge *r);                  /* no rows, as new */
void ecg_ridge_add(ecg_ridge *r, const double *x, const double *y); /* one row: x (features), y (targets) */
int64_t ecg_ridge_rows(const ecg_ridge *r);

/* coefficient (targets, features + 1) in the units of x, the intercept last: y = c[features] + sum c[a] x[a]. A feature that is constant, or a
 * combination of others where the penalty is 0, gets 0. 0; -1: no rows, or out of memory. */
int ecg_ridge_solve(double *coefficient, ecg_ridge *r, double penalty);
double ecg_ridge_at(const double *coefficient, const double *x, int features);

#endif
