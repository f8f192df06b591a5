/* SPDX-License-Identifier: MIT
 * calibration.h: do probabilities mean what they say? Brier score, expected calibration error, logistic recalibration, reliability curve. */
#ifndef ECG_STAT_CALIBRATION_H
#define ECG_STAT_CALIBRATION_H

#include "stat/sorted.h"

/* Bins. Width: (i/B, (i+1)/B], the first takes 0 as well (scikit-learn's calibration_curve). Mass: an entry goes to bin
 * floor(B * (entries with a smaller probability) / n), so that equal probabilities stay together and the order of rows does not matter. */
enum { ECG_BINS_WIDTH10, ECG_BINS_WIDTH15, ECG_BINS_MASS10, ECG_BINNINGS };
enum { ECG_BINS_MOST = 15 };
int ecg_bins(int binning);              /* 10, 15, 10 */
const char *ecg_bins_name(int binning); /* "width10", "width15", "mass10" */

typedef struct {
    int64_t count, positives;
    double predicted, observed; /* means; NAN in an empty bin */
} ecg_bin;
typedef struct { ecg_bin bin[ECG_BINS_MOST]; } ecg_reliability;
void ecg_reliability_of(ecg_reliability *out, const ecg_sorted *s, int binning);

/* Why slope and intercept have no value. */
enum { ECG_FIT_OK, ECG_FIT_ONE_CLASS, ECG_FIT_SEPARABLE, ECG_FIT_CONSTANT /* one probability for all */, ECG_FIT_FAILED };
const char *ecg_fit_text(int fit); /* "ok", "one class", "separable", "constant", "no convergence" */

typedef struct {
    double brier;                 /* mean (p - y)^2 */
    double brier_skill;           /* 1 - brier / (prevalence (1 - prevalence)) */
    double ece[ECG_BINNINGS];     /* sum over bins of (share of entries) |observed - predicted| */
    double slope, intercept;      /* of y on logit p, maximum likelihood; p within 1e-7 of 0 and 1 is moved there */
    double offset;                /* intercept with the slope held at 1: calibration in the large */
    double mean_predicted, prevalence;
    int fit;
} ecg_calibration;
/* Every field NAN where a probability is NAN or there is no entry. 0; -1: out of memory. */
int ecg_calibrate(ecg_calibration *out, const ecg_sorted *s);

#endif
