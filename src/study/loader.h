/* SPDX-License-Identifier: MIT
 * loader.h: rows of a cohort by role, the halves of validation, and batches of what the network eats. What a row gives depends on the
 * row and the epoch alone, never on the batch or the thread. */
#ifndef ECG_STUDY_LOADER_H
#define ECG_STUDY_LOADER_H

#include "base/pool.h"
#include "cohort/store.h"

typedef struct {
    uint32_t *row; /* (n) cohort rows, ascending; owned */
    int64_t n;
} ecg_rows;

enum {ECG_HALF_A, ECG_HALF_B}; /* A selects epochs, B is kept for calibration and `evaluate --fold validation` */
#define ECG_EPOCH_FIXED UINT32_MAX /* the "epoch" of crops and orders that never change: selection */

typedef struct {
    const ecg_cohort *cohort;
    ecg_roles roles;
    int crop;                 /* samples L */
    ecg_rows role[ECG_ROLES];
    ecg_rows half[2];         /* of validation, cut by patient; both the whole where it is not cut */
    bool cut;                 /* 200 validation patients or more */
    int64_t patients[ECG_ROLES];
    int continuous, categorical;
    int *continuous_at, *categorical_at; /* columns of the cohort that ecg_loader_tabular gives, all unless told otherwise; owned */
    double *waited;           /* seconds that the caller has spent in the functions below that fill batches; owned */
} ecg_loader;

/* roles NULL: the cohort's own. ECG_EDATA: an infinite value, a record shorter than a crop. */
ecg_status ecg_loader_open(ecg_loader *out, const ecg_cohort *cohort, const ecg_roles *roles, int crop, uint64_t split_seed, ecg_err *err);
void ecg_loader_close(ecg_loader *l);
/* From here on only the columns of a group: "routine", "lab", "all". ECG_ECONTRACT: the cohort has none. */
ecg_status ecg_loader_columns(ecg_loader *l, const char *group, ecg_err *err);

/* Rows that have at least one known label. */
ecg_status ecg_rows_known(ecg_rows *out, const ecg_rows *in, const int8_t *label, int K, ecg_err *err);
/* Of rows with labels those that may be used: whole training patients in an order that depends on split_seed and the patient alone, until at
 * least `labelled` records (1 or more), or that share of them (below 1), are reached; 0: all. patients: how many; may be NULL. */
ecg_status ecg_rows_labelled(ecg_rows *out, int64_t *patients, const ecg_cohort *c, const ecg_rows *in, double labelled, uint64_t split_seed,
                             ecg_err *err);
void ecg_rows_clear(ecg_rows *r);
/* The patient of a row; an unknown one is a patient by itself: -2 - row. */
int64_t ecg_rows_patient(const ecg_cohort *c, uint32_t row);
/* Distinct patients of the rows, ascending, malloc'ed into *out (may be NULL). Returns how many, -1: out of memory. */
int64_t ecg_rows_patients(int64_t **out, const ecg_cohort *c, const ecg_rows *r);
/* The rows in the order of an epoch. order (n) */
void ecg_rows_order(uint32_t *order, const ecg_rows *r, uint64_t seed, uint32_t epoch);

int ecg_loader_valid(const ecg_loader *l, uint32_t row);                                /* samples of the record that are its own */
int ecg_loader_crops(const ecg_loader *l, uint32_t row);                                /* disjoint crops in them, at least 1 */
int ecg_loader_start(const ecg_loader *l, uint32_t row, uint64_t seed, uint32_t epoch); /* uniform over 0 .. valid - crop - 1 */

/* Asks the system to have in memory what these rows will give in that epoch, and does not wait for it. */
void ecg_loader_ahead(const ecg_loader *l, const uint32_t *row, int B, uint64_t seed, uint32_t epoch);
/* x (B, crop, leads) from the rows at those starts. */
void ecg_loader_signals(float *x, const ecg_loader *l, ecg_pool *pool, const uint32_t *row, const int *start, int B);
/* Median of every column over the training rows; categorical: index, truncated; no value at all: 0. median (columns) */
ecg_status ecg_loader_medians(float *median, const ecg_loader *l, ecg_pool *pool, ecg_err *err);
/* continuous (B, continuous), category (B, categorical), imputed. */
void ecg_loader_tabular(float *continuous, int32_t *category, const ecg_loader *l, const float *median, const uint32_t *row, int B);
/* y (B, K): 1, 0, NAN unknown */
void ecg_loader_labels(float *y, const int8_t *label, int K, const uint32_t *row, int B);

#endif
