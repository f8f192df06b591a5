/* SPDX-License-Identifier: MIT
 * linear.h: y = x W^T + b over the rows of a batch, and its gradient. */
#ifndef ECG_NET_LINEAR_H
#define ECG_NET_LINEAR_H

#include "num/kernels.h"

/* y (B, out) from x (B, in), W (out, in), b (out) or NULL. */
void ecg_linear_forward(float *y, const ecg_exec *exec, const float *x, const float *W, const float *b, int B, int in, int out);
/* dx (B, in) is overwritten; dW (out, in) and db (out) are added to; any of the three may be NULL. */
void ecg_linear_backward(float *dx, float *dW, float *db, const ecg_exec *exec, const float *dy, const float *x, const float *W, int B, int in,
                         int out);

#endif
