/* SPDX-License-Identifier: MIT
 * split.h: patients into folds of equal label counts, the generator of the published strat_fold column (docs/cohort.md 4). */
#ifndef ECG_COHORT_SPLIT_H
#define ECG_COHORT_SPLIT_H

#include "base/status.h"

/* MT19937 with numpy's legacy integer seeding and masked rejection. */
typedef struct {
    uint32_t mt[624];
    int at;
} ecg_mt19937;
void ecg_mt19937_seed(ecg_mt19937 *g, uint32_t seed);
uint32_t ecg_mt19937_below(ecg_mt19937 *g, uint32_t n); /* 0..n-1; n = 1 draws nothing */

/* Patient g owns entry[first[g]] .. entry[first[g + 1] - 1], label numbers with repeats. Labels are numbered in ascending order of
 * their names (ties go to the lower number), patients in ascending order of their id. fold (patients) gets 0..folds-1. */
ecg_status ecg_split_patients(uint8_t *fold, int64_t patients, const int64_t *first, const int *entry, int labels, int folds, uint32_t seed, ecg_err *err);

typedef struct {
    int64_t patient;
    double age;      /* years; NAN: missing */
    char gender;     /* 'M', 'F', anything else: missing */
    const int *code; /* (codes) numbers into the names, each at most once */
    int codes;
} ecg_split_row;

/* The same from recordings: frequent codes (at least min_count recordings; "outpatient" where none is left), age quartile and gender are a
 * recording's labels; a patient has those of all its recordings. All recordings of a patient get one fold. */
ecg_status ecg_split_rows(uint8_t *fold, const ecg_split_row *row, int64_t n, const char *const *name, int names, int64_t min_count, int folds,
                          uint32_t seed, ecg_err *err);

/* max(20, 0.25 % of n), the published 2,000 of 800,035. */
int64_t ecg_split_min_count(int64_t n);

/* Edges of four bins with equally many of the n ages (linear quantiles, NAN skipped). False: no age at all. */
bool ecg_age_quartiles(double edge[5], const double *age, int64_t n);
/* "left-right" of the half-open interval that holds age, as the published labels spell it: "17.999-45.0". */
void ecg_age_label(char out[48], const double edge[5], double age);

#endif
