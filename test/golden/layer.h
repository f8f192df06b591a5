/* SPDX-License-Identifier: MIT
 * layer.h: the constants of an S4 layer out of a golden file, for the cases a, b and l. */
#ifndef TEST_GOLDEN_LAYER_H
#define TEST_GOLDEN_LAYER_H

#include "golden.h"
#include "net/s4_kernel.h"

typedef struct {
    ecg_s4 s;          /* points into own */
    int directions;
    double *C;         /* (directions, H, N/2, 2) as stored */
    double *own[6];
} golden_s4;

/* prefix + "w", "B", "P", "Q", "log_dt", and C under c_name; shapes from the tensors, L as given. False and a problem if they do not fit. */
bool golden_s4_open(golden_s4 *g, golden_out *o, const ecg_tensors *file, const char *prefix, const char *c_name, int L);
void golden_s4_close(golden_s4 *g);

/* out (n, columns, rows) from in (n, rows, columns) */
void golden_swap_axes(float *out, const float *in, int n, int rows, int columns);

#endif
