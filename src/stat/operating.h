/* SPDX-License-Identifier: MIT
 * operating.h: points on the ROC curve, thresholds and what they do on other rows, net benefit. An entry is called positive when
 * score >= threshold. */
#ifndef ECG_STAT_OPERATING_H
#define ECG_STAT_OPERATING_H

#include "stat/sorted.h"

/* The highest sensitivity at which specificity is at least x, and the reverse; no interpolation. NAN: one class only. */
double ecg_sensitivity_at(const ecg_sorted *s, double specificity);
double ecg_specificity_at(const ecg_sorted *s, double sensitivity);

/* How a threshold is chosen. Youden: the largest sensitivity + specificity - 1, of equals the highest threshold. Specificity: the lowest threshold
 * that has it, INFINITY (nothing is called) if no score does. Sensitivity: the highest threshold that has it. */
enum { ECG_RULE_YOUDEN, ECG_RULE_SPECIFICITY90, ECG_RULE_SPECIFICITY95, ECG_RULE_SENSITIVITY90, ECG_RULE_SENSITIVITY95, ECG_RULES };
const char *ecg_rule_name(int rule); /* "youden", "specificity90" ... */
double ecg_threshold(const ecg_sorted *s, int rule); /* NAN: one class only */

typedef struct {
    double threshold;
    int64_t tp, fp, tn, fn;
    double sensitivity, specificity, ppv, npv, f1; /* NAN where the denominator is 0 */
} ecg_operating;
void ecg_operate(ecg_operating *out, const ecg_sorted *s, double threshold); /* threshold NAN: all NAN */

/* Net benefit = tp/n - fp/n t/(1 - t), calling everything with probability >= t; treat-all: prevalence - (1 - prevalence) t/(1 - t); treating
 * nobody: 0. (Vickers and Elkin 2006.) */
enum { ECG_DECISIONS = 27 };
double ecg_decision_threshold(int i); /* 0.01 ... 0.10, 0.15 ... 0.95 */
typedef struct { double threshold, net_benefit, treat_all, called; /* called: share of entries */ } ecg_decision;
void ecg_decisions(ecg_decision out[ECG_DECISIONS], const ecg_sorted *s); /* no entry: NAN */

#endif
