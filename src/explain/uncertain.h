/* SPDX-License-Identifier: MIT
 * uncertain.h: what the score of a label is worth, learned from held-out records: a calibrated probability, its Venn-Abers interval, the share
 * of true labels among scores as high, and conformal p-values for "has it" and "has it not".
 *
 * A score is the mean of the crops' logits. Steps lie on a fixed grid of cells, 1/16 wide from -16 to 16, so that what is stored depends on
 * counts in cells; conformal thresholds are interpolated quantiles. No record can be read off either. */
#ifndef ECG_EXPLAIN_UNCERTAIN_H
#define ECG_EXPLAIN_UNCERTAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"

enum { ECG_CELLS = 512, ECG_LEVELS = 74, ECG_CLASS_CASES = 20 /* of a class, or there is no verdict */, ECG_OWN_CASES = 100 /* of a class, or the calibrator is shared */ };
int ecg_cell(double logit);        /* 0 .. ECG_CELLS - 1; scores beyond the grid go to its ends */
double ecg_cell_from(int cell);    /* its lower edge */
double ecg_level(int i);           /* of the conformal grid: 0.005 ... 0.300 by 0.005, 0.35 ... 1 by 0.05 */

/* Which map gives the probability. Isotonic or Platt: whichever has the smaller Brier score in five-fold cross-validation. Shared: one Platt map
 * of all labels with fewer than ECG_OWN_CASES of a class. None: not one known record of some label. */
enum { ECG_CALIBRATOR_NONE, ECG_CALIBRATOR_ISOTONIC, ECG_CALIBRATOR_PLATT, ECG_CALIBRATOR_SHARED, ECG_CALIBRATORS };
const char *ecg_calibrator_text(int kind); /* "none", "isotonic" ... */

typedef struct {
    float from;      /* scores from here up to the next step */
    float p, p0, p1; /* isotonic probability, and the two of Venn and Abers */
    float truth;     /* share of true labels among the records with scores from this cell on; NAN: there are none */
    float above;     /* how many records that are */
} ecg_step;

typedef struct {
    int64_t positives, negatives;
    double slope, offset;        /* of the Platt map: p = 1 / (1 + exp(-(slope x + offset))) */
    double auroc, auroc_lo;      /* on these records; lower end of the 95 % interval of Hanley and McNeil; NAN */
    int64_t first, steps;        /* its part of step[] */
    int kind;
} ecg_calibrator;

/* How well a label was told on the test folds; Hanley and McNeil. */
typedef struct { double positives, negatives, auroc, lo, hi; /* NAN without both */ } ecg_tested;

typedef struct {
    int K;
    ecg_calibrator *label;       /* (K); owned */
    int64_t steps;
    ecg_step *step;              /* owned */
    float *quantile;             /* (K, 2, ECG_LEVELS); class 1: scores below are strange among those who have it, class 0: above; owned */
    ecg_tested *tested;          /* (K), NULL: not tested; owned */
} ecg_uncertainty;

/* score, label (n, K); label 1, 0, else unknown; a score that is not finite counts as unknown. 0; -1: out of memory. */
int ecg_uncertainty_fit(ecg_uncertainty *out, const double *score, const int8_t *label, int64_t n, int K, ecg_pool *pool);
/* Fills tested from other records. 0; -1: out of memory, tested is NULL. */
int ecg_uncertainty_test(ecg_uncertainty *u, const double *score, const int8_t *label, int64_t n);
void ecg_uncertainty_clear(ecg_uncertainty *u);
/* Is what a file holds of one piece? A text that says what is wrong, NULL: nothing. */
const char *ecg_uncertainty_check(const ecg_uncertainty *u);

typedef struct {
    double p, lo, hi;       /* lo <= p <= hi; NAN without a calibrator */
    double truth;           /* NAN */
    int64_t above;
    double p_yes, p_no;     /* conformal p-values; NAN: too few cases */
} ecg_certainty;
void ecg_certainty_of(ecg_certainty *out, const ecg_uncertainty *u, int k, double score);

/* The labels that a conformal set of level alpha holds: bit 0 "has it not", bit 1 "has it"; -1: no p-values. */
int ecg_conformal_set(const ecg_certainty *c, double alpha);

/* How many of m new records of a class a set of level alpha should hold, when its threshold came from n records of that class: the central 99 % of the
 * beta-binomial distribution with parameters n + 1 - l and l, l = alpha (n + 1). l below 1: all of them. */
void ecg_coverage_band(int64_t *lo, int64_t *hi, int64_t m, int64_t n, double alpha);

/* ---- the pieces, for tests and reports ---------------------------------------------------------------------------------------- */

/* Isotonic regression by pooling adjacent violators: fitted[i] for weights w and means y, in order. Entries of weight 0 take the value before them
 * (the first: the one behind). room (n) ints; n <= ECG_CELLS + 1. */
void ecg_isotonic(double *fitted, const double *y, const double *w, int n, int *room);
/* Maximum likelihood with Platt's targets (n1 + 1) / (n1 + 2) and 1 / (n0 + 2); a falling or undefined slope is 0. */
void ecg_platt(double *slope, double *offset, const double *x, const int8_t *y, int64_t n, int64_t stride);

#endif
