/* SPDX-License-Identifier: MIT
 * rows.h: what the cases of the network have in common: kernels to run on, a parameter table filled from a file and compared with it. */
#ifndef TEST_GOLDEN_ROWS_H
#define TEST_GOLDEN_ROWS_H

#include "golden.h"
#include "net/params.h"
#include "num/kernels.h"

/* One thread, kernels of ECGRAFT_CPU. False and a problem: there is no such level here. */
bool golden_exec(golden_out *o, ecg_exec *x);

/* Allocates for training, initialises, then every row from the tensor prefix + its name. A buffer that is not in the file keeps its initial value. */
bool golden_fill(golden_out *o, const ecg_tensors *file, ecg_params *table, const char *prefix);

/* Every buffer of the table's values against prefix + its name. */
void golden_compare_buffers(golden_out *o, const ecg_tensors *file, const ecg_params *table, const char *prefix, double tolerance);

/* Every trained row of the table's gradients against "grad/" + its name. A shift before a batch norm has gradient 0; the file then holds the
 * rounding noise of float64 (largest value below 1e-9 of the file's largest gradient), and the error is taken relative to that largest gradient. */
void golden_compare_gradients(golden_out *o, const ecg_tensors *file, const ecg_params *table, double tolerance);

/* Numbers of a list like "[16, 24, 12]" in the metadata; how many, at most room. */
int golden_list(golden_out *o, const ecg_tensors *file, const char *key, double *out, int room);

/* A dimension of a tensor; -1 and a problem if there is none, or nothing along it. */
int golden_dim(golden_out *o, const ecg_tensors *file, const char *name, int axis);

/* A tensor (B, columns) of indices, each below its column's vocabulary; NULL and a problem if it is not that. */
int32_t *golden_categories(golden_out *o, const ecg_tensors *file, const char *name, int B, int columns, const int *vocabulary);

/* float with a problem instead of NULL */
float *golden_room(golden_out *o, size_t floats);

/* sum(y W) against "loss". Terms of both signs may cancel: the error is taken relative to the larger of the loss and the root of the sum of
 * their squares, which is the size that such a sum has. */
void golden_compare_projection(golden_out *o, const ecg_tensors *file, const float *y, const float *W, size_t n, double tolerance);

#endif
