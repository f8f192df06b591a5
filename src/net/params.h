/* SPDX-License-Identifier: MIT
 * params.h: the one table of parameters: name, shape, offset, flags, over value, grad, m and v. Init, AdamW, freezing, clipping, checkpoint
 * and gradient check are loops over it; there is no second list of tensors anywhere. Rows are declared by the layers, then allocated. */
#ifndef ECG_NET_PARAMS_H
#define ECG_NET_PARAMS_H

#include "base/safetensors.h"

enum {
    ECG_P_BUFFER = 1, /* saved, never trained: BatchNorm statistics, state matrices */
    ECG_P_FROZEN = 2, /* not trained in this run */
};

typedef enum { ECG_INIT_ZERO, ECG_INIT_ONE, ECG_INIT_UNIFORM /* +-scale */, ECG_INIT_NORMAL /* scale */, ECG_INIT_LAYER /* by the layer itself */ } ecg_init;

typedef struct {
    char name[96];    /* the key in the checkpoint: "ecg.s4_layers.3.kernel.kernel.C" */
    int rank;
    int64_t dim[4];
    size_t at, count; /* offset into value[], grad[], m[], v[] alike, in floats */
    unsigned flags;
    int group;        /* learning-rate group: 0 encoder, 1 everything else, 2 log-variances of losses */
    ecg_init init;
    float scale;
} ecg_param;

typedef struct {
    int n, room;
    ecg_param *row;
    size_t floats;    /* of all rows, padded so that each row starts at a multiple of 16 floats */
    float *value, *grad, *m, *v; /* (floats) after ecg_params_alloc; grad, m, v NULL for inference */
    bool borrowed;      /* value lies where ecg_params_borrow found it, and is not written */
} ecg_params; /* = {0} to begin */

/* Declares a row of group 0; returns its index, -1 when out of memory (or the name does not fit). Name = prefix + name. */
int ecg_params_declare(ecg_params *t, const char *prefix, const char *name, int rank, const int64_t *dim, unsigned flags, ecg_init init, float scale);
ecg_status ecg_params_alloc(ecg_params *t, bool training, ecg_err *err);
void ecg_params_clear(ecg_params *t);
/* Instead of ecg_params_alloc: row i lies at value[i] (n pointers to floats in one piece of memory, which must outlive the table). */
void ecg_params_borrow(ecg_params *t, const float *const *value);
int ecg_params_find(const ecg_params *t, const char *name); /* -1 */
static inline float *ecg_value(const ecg_params *t, int row) { return t->value + t->row[row].at; }
static inline float *ecg_grad(const ecg_params *t, int row) { return t->grad + t->row[row].at; }

/* All rows but those of ECG_INIT_LAYER. Stream 256, block = row << 20, b = 0; a = 0, counting up after every 2^22 values of one row. */
void ecg_params_init(ecg_params *t, uint64_t seed);
void ecg_params_init_row(ecg_params *t, int row, uint64_t seed);
void ecg_params_zero_grad(ecg_params *t);
double ecg_params_grad_norm(const ecg_params *t); /* trained rows only */
/* Sets or clears ECG_P_FROZEN on rows whose name begins with prefix; returns how many. */
int ecg_params_freeze(ecg_params *t, const char *prefix, bool frozen);

/* Tensors under their names, logical shapes. what: "" values, "grad/", "m/", "v/" are put before the name. */
ecg_status ecg_params_save(const ecg_params *t, ecg_tensorsw *w, const char *what, const float *from, ecg_err *err);
/* Every row whose name begins with prefix must be in the file with its shape (F32); ECG_ECONTRACT names the first that is not. */
ecg_status ecg_params_load(ecg_params *t, const ecg_tensors *file, const char *prefix, const char *what, float *to, ecg_err *err);

#endif
