/* SPDX-License-Identifier: MIT
 * linear.h: y = x W^T + b over the rows of a batch, and its gradient. */
#ifndef ECG_NET_LINEAR_H
#define ECG_NET_LINEAR_H

#include "num/kernels.h"

/* The kernels for a product with a matrix of in x out: below 1024 elements the reference's, which sums in double. So narrow a map costs
 * nothing, and before a batch norm over few rows its rounding would be multiplied. The choice does not look at B: a row's result does not
 * depend on the rows beside it. */
ecg_exec ecg_exec_for(const ecg_exec *x, int in, int out);

/* y (B, out) from x (B, in), W (out, in), b (out) or NULL. */
void ecg_linear_forward(float *y, const ecg_exec *exec, const float *x, const float *W, const float *b, int B, int in, int out);
/* Output k alone: y (B), the bytes that ecg_linear_forward would give it. */
void ecg_linear_forward_one(float *y, const ecg_exec *exec, const float *x, const float *W, const float *b, int B, int in, int out, int k);
/* dx (B, in) is overwritten; dW (out, in) and db (out) are added to; any of the three may be NULL. */
void ecg_linear_backward(float *dx, float *dW, float *db, const ecg_exec *exec, const float *dy, const float *x, const float *W, int B, int in,
                         int out);

#endif
