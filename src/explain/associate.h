/* SPDX-License-Identifier: MIT
 * associate.h: which labels and measured abnormalities past patients had together: lift, odds ratio adjusted for age and sex (Mantel and Haenszel), its
 * interval (Robins, Breslow and Greenland), and the false discovery rate over all pairs (Benjamini and Hochberg). No model takes part. */
#ifndef ECG_EXPLAIN_ASSOCIATE_H
#define ECG_EXPLAIN_ASSOCIATE_H

#include <stdint.h>

#include "base/pool.h"

typedef struct {
    float patients;        /* in whom both are known */
    float both;            /* who have both */
    float lift;            /* P(label | abnormal) / P(label), among them; NAN */
    float odds, lo, hi;    /* adjusted odds ratio and its 95 % interval; NAN: not defined */
    float q;               /* false discovery rate at which the pair would be named; NAN without an interval */
} ecg_association;

/* out (K, P). One record a patient (the first row). label (n, K), measured (n, P): 1, 0, else unknown; age in years, NAN; sex 0, 1, NAN; both strided by 2
 * in pattern (n, 2). Strata: decades of age from 30 to 80, by sex, unknown ones by themselves. 0; -1: out of memory. */
int ecg_associate(ecg_association *out, const int8_t *label, const int8_t *measured, const double *pattern, const int64_t *patient, int64_t n, int K, int P,
                  ecg_pool *pool);

/* A pair of counts in strata: table (strata, 4) = both, label only, abnormal only, neither. */
void ecg_odds_ratio(double *odds, double *lo, double *hi, double *p, const int64_t *table, int strata);
/* Benjamini and Hochberg: p (n) to q (n); NAN stays. 0; -1: out of memory. */
int ecg_false_discovery(double *q, const double *p, int64_t n);

#endif
