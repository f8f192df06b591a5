/* SPDX-License-Identifier: MIT
 * neighbours.h: recordings to compare with, in a file of their own (`ecgraft.neighbours`): embeddings, labels, row numbers of the cohort. Data of patients:
 * never part of a model. */
#ifndef ECG_MODEL_NEIGHBOURS_H
#define ECG_MODEL_NEIGHBOURS_H

#include "model/bundle.h"

enum { ECG_NEAREST = 50 };

typedef struct {
    int64_t n;
    const float *h;          /* (n, width) */
    const int8_t *label[2];  /* of the model's heads, (n, K): 1, 0, else unknown */
    const int64_t *row;      /* (n) of the cohort */
    const char *cohort;      /* its hash */
} ecg_neighbour_rows;

/* What a file holds, as ecg_neighbours_open has checked that it belongs to the model; hostile. t may go away afterwards. */
ecg_status ecg_neighbours_take(ecg_neighbours **out, const ecg_tensors *t, const ecg_model *m, ecg_err *err);
ecg_status ecg_neighbours_write(const char *path, const ecg_model *m, const ecg_neighbour_rows *r, ecg_err *err);

/* The ECG_NEAREST most similar recordings to the embedding h (width) into a: what is known of them for each label. The recording itself, told by its embedding,
 * does not count. After ecg_claim_all. */
ecg_status ecg_count_neighbours(ecg_answer *a, const ecg_neighbours *n, const float *h, ecg_err *err);

#endif
