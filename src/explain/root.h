/* SPDX-License-Identifier: MIT
 * root.h: the inverse square root of a symmetric matrix, by Jacobi's rotations. */
#ifndef ECG_EXPLAIN_ROOT_H
#define ECG_EXPLAIN_ROOT_H

/* out (n, n) = (a + ridge I)^(-1/2), a (n, n) symmetric without a direction below -ridge, overwritten. 0; -1: out of memory, or there is such a direction. */
int ecg_inverse_root(double *out, double *a, int n, double ridge);

#endif
