/* SPDX-License-Identifier: MIT
 * assess.h: everything that is said of a set of predictions, from arrays: areas with intervals, paired differences, calibration, operating points,
 * net benefit, subgroups. Knows no model and no cohort. Undefined values are NAN, null in JSON, empty in CSV. docs/evaluation.md has the formulas. */
#ifndef ECG_STUDY_ASSESS_H
#define ECG_STUDY_ASSESS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"
#include "base/watch.h"
#include "stat/bootstrap.h"
#include "stat/calibration.h"
#include "stat/operating.h"

typedef struct {
    int64_t n;
    const double *prob;    /* (n, K) */
    const int8_t *truth;   /* (n, K) 1, 0, -1 unknown */
    const int64_t *unit;   /* (n) patient; negative: unknown, a unit by itself; NULL: every row is one */
    const int8_t *first;   /* (n) 1: the first ECG of its stay; NULL: not known, only all rows are scored */
} ecg_assess_rows;

typedef struct {
    const char *name;            /* "age" */
    const char *bands;           /* how a number was cut: "quartiles"; "" for text */
    const char *const *level;    /* (levels) "<40", "F" */
    int levels;
    const int32_t *of;           /* (n) level, -1 unknown */
} ecg_assess_group;

typedef struct {
    int K;
    const char *const *code, *const *title; /* (K); title may be NULL */
    ecg_assess_rows rows;                   /* what is scored */
    const ecg_assess_rows *validation;      /* where thresholds come from; NULL: none are chosen */
    const char *validation_text;            /* which rows these are: "half B of validation"; may be NULL */
    const double *against;                  /* (n, K) other predictions of the same rows; NULL: no differences */
    const char *against_name;
    const ecg_assess_group *group;
    int groups;
    int resamples;                          /* 0: no intervals */
    bool by_row;                            /* the bootstrap draws rows, not units */
    uint64_t seed;
    int least_class;                        /* subgroups: labels with fewer positives or negatives are left out (0: 10) */
    int least_patients;                     /* subgroups: cells with fewer patients are not shown (0: 11) */
    ecg_pool *pool;
    const ecg_watch *watch;                 /* may be NULL */
} ecg_assess_task;

typedef struct {
    int64_t records, patients;
    int defined;                /* labels with both classes */
    ecg_boot_summary auroc, precision;
    ecg_boot_paired difference; /* label NULL: no other predictions */
} ecg_assess_scope;

typedef struct {
    const char *code, *title;
    int64_t positives, negatives;
    ecg_interval auroc, precision, first_auroc, first_precision;
    ecg_difference difference;          /* AUROC minus that of the other predictions; NAN without */
    ecg_calibration calibration;
    ecg_reliability reliability[ECG_BINNINGS];
    double sensitivity_at[2], specificity_at[2]; /* read off this label's own curve, at 90 and 95 % */
    ecg_operating operating[ECG_RULES]; /* thresholds chosen on validation; NAN without */
    ecg_decision decision[ECG_DECISIONS];
} ecg_assess_label;

typedef struct {
    int64_t positives, negatives; /* -1: not shown */
    double auroc;                 /* NAN: hidden or undefined */
} ecg_assess_cell;
/* What is said of a subgroup: nothing, as it has too few patients; all but its counts, from which those of the one hidden level of its group could be
 * told; everything. */
enum { ECG_SHOWN_NOTHING, ECG_SHOWN_NO_COUNTS, ECG_SHOWN_ALL };
typedef struct {
    int group, level;             /* level -1: rows of which it is not known */
    int shown;                    /* ECG_SHOWN_... */
    int64_t records, patients;    /* -1: not shown */
    int labels;                   /* enough positives and negatives */
    ecg_boot_summary auroc;       /* over those labels */
    double everyone;              /* macro over the same labels among all rows */
    ecg_assess_cell *label;       /* (K), owned */
} ecg_assess_subgroup;

typedef struct {
    const ecg_assess_task *task;  /* the caller's, outlives this */
    int K;
    bool has_first, has_unit;
    ecg_assess_scope all, first;
    ecg_assess_label *label;      /* (K), owned */
    ecg_calibration pooled;       /* all entries as one */
    ecg_reliability pooled_reliability[ECG_BINNINGS];
    ecg_calibration mean;         /* means of brier, brier_skill, ece over the labels that have them; the rest NAN */
    double mean_sensitivity_at[2], mean_specificity_at[2];
    ecg_operating mean_operating[ECG_RULES]; /* means over labels; counts and threshold are not filled */
    ecg_decision mean_decision[ECG_DECISIONS];
    ecg_assess_subgroup *subgroup; /* owned */
    int subgroups;
} ecg_assessment;

/* ECG_ENOMEM, ECG_EINTR; ECG_EUNSUPPORTED: 2^31 probabilities or more */
ecg_status ecg_assess(ecg_assessment *out, const ecg_assess_task *task, ecg_err *err);
void ecg_assessment_clear(ecg_assessment *a);

enum { ECG_ASSESS_DIGITS = 15 }; /* of figures in files */

/* An object to be put into evaluation.json, results.json: {labels, defined, all_ecgs, first_in_stay, calibration, operating_points, net_benefit,
 * subgroups, difference, per_label}. NULL: out of memory. */
json_t *ecg_assess_json(const ecg_assessment *a);

/* labels.csv, reliability.csv, decision.csv, subgroups.csv (with groups) into a folder that is there; suffix ".csv" or ".dx.test.csv". */
ecg_status ecg_assess_write(const ecg_assessment *a, const char *folder, const char *suffix, ecg_err *err);

/* A number as bands: text before the comma. Ages: <40, 40-59, 60-79, 80+; others: quartiles of the values that are there. of (n); names (4) are
 * written into text. Returns the levels: fewer where quartiles coincide; 0: no value at all; -1: out of memory. */
enum { ECG_BAND_TEXT = 48 };
int ecg_assess_bands(int32_t *of, char text[4][ECG_BAND_TEXT], const double *value, int64_t n, bool age);

#endif
