/* SPDX-License-Identifier: MIT
 * golden.h: one golden file is one case. A case compares tensors and keeps the worst; errors are relative to the largest absolute value. */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/safetensors.h"

typedef struct {
    char worst[96];      /* tensor whose error / tolerance is largest */
    double error, tolerance;
    int compared;
    char problem[200];   /* a reason why the case could not run: a failure */
    bool bf16;           /* wide products in bf16: golden_allowed has the tolerances */
} golden_out;

/* got (count) against the tensor of that name (F64 or F32); keeps the worst. */
void golden_compare_f(golden_out *o, const ecg_tensors *file, const char *name, const float *got, int64_t count, double tolerance);
void golden_compare_d(golden_out *o, const ecg_tensors *file, const char *name, const double *got, int64_t count, double tolerance);
/* The tolerance that holds: the case's own, or that of bf16. */
double golden_allowed(const golden_out *o, const char *name, double tolerance);
void golden_problem(golden_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A tensor's values as float or double, malloc'ed, whatever its dtype; NULL and a problem if there is none. */
float *golden_float(golden_out *o, const ecg_tensors *file, const char *name, int64_t *count);
double *golden_double(golden_out *o, const ecg_tensors *file, const char *name, int64_t *count);
float *golden_floats(golden_out *o, const ecg_tensors *file, const char *name, int64_t expected); /* NULL and a problem for another count */
double golden_number(golden_out *o, const ecg_tensors *file, const char *meta_key); /* a number in the metadata */

/* One per letter, in case_<letter>.c. */
typedef void golden_case(golden_out *o, const ecg_tensors *file);
golden_case golden_a, golden_b, golden_c /* also d */, golden_l, golden_n, golden_e, golden_f, golden_g, golden_h, golden_i, golden_m, golden_j, golden_k;

#endif
