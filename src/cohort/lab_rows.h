/* SPDX-License-Identifier: MIT
 * lab_rows.h: labevents x d_labitems x the windows of the cohort, read once. What is kept is proportional to the cohort, not to labevents.
 *
 * A *group* is one test in one fluid (Creatinine, Blood): the unit of counting, because of each test only the fluid with most rows is used. */
#ifndef ECG_COHORT_LAB_ROWS_H
#define ECG_COHORT_LAB_ROWS_H

#include <math.h>

#include "base/pool.h"
#include "base/watch.h"
#include "cohort/visits.h"

typedef enum { ECG_LAB_UNKNOWN = -1, ECG_LAB_LOW, ECG_LAB_NORMAL, ECG_LAB_HIGH } ecg_lab_class;

/* What a row says: a number, or a text like "<0.01" where there is none. */
typedef struct {
    double value;       /* NAN: none */
    double bound;       /* of a censored text */
    char sign;          /* '<' or '>' of a censored text, 0: none */
    bool or_equal;      /* "<=0.01" */
} ecg_lab_value;
ecg_lab_value ecg_lab_parse(double valuenum, const char *text, size_t len); /* also "LESS THAN 0.01", "GREATER THAN 100" */

/* Against a reference range, NAN where a side is unknown (it is then never passed). A censored value has a class only where every number it
 * may stand for has that class; a lower limit of 0 cannot be passed by it. Both sides unknown: unknown. */
ecg_lab_class ecg_lab_classify(const ecg_lab_value *v, double lower, double upper);

typedef struct {
    double lower, upper; /* NAN: no row has that side */
} ecg_lab_medians;

typedef struct {
    int test;            /* word of the test's label */
    int fluid;           /* word */
    int64_t rows;        /* of cohort patients, with or without a value: decides the fluid of the columns */
    int64_t usable;      /* with a value that labels may use: decides the fluid of the labels */
    ecg_lab_medians training, all; /* of the reference ranges of usable rows: of training patients, of all */
} ecg_lab_group;

typedef struct {
    int64_t itemid;
    int group;           /* number in group[] */
    int64_t usable;
} ecg_lab_item;

/* What many rows have in common. */
typedef struct {
    int32_t item, unit;
    double lower, upper;  /* reference range, NAN: that side is not known */
    char sign;            /* of a censored text, see ecg_lab_value */
    bool or_equal;
    bool for_labels;      /* labels may use it */
} ecg_lab_kind;

/* 32 bytes: a large hospital keeps tens of millions. */
typedef struct {
    int64_t hadm, time;
    double number;        /* the value; of a censored text its bound; NAN: neither */
    uint32_t line;        /* place among the rows of labevents, from 1 */
    int32_t kind;         /* number in kind[] */
} ecg_lab_row;

typedef struct {
    ecg_words test, fluid, unit;
    ecg_ids by_itemid;   /* itemid -> number in item[] */
    ecg_lab_item *item;
    int items;
    ecg_lab_group *group;
    int groups;
    int *column_group;   /* (tests) group of the columns and of the labels, -1: none */
    int *label_group;
    ecg_lab_kind *kind;  /* (kinds) */
    int kinds;
    ecg_lab_row *row;    /* (n) by patient, time, line: those in a feature window or near a recording */
    int64_t n, read;
    int64_t *first;      /* (patients + 1) */
} ecg_lab_rows; /* = {0} to begin */

static inline ecg_lab_value ecg_lab_value_of(const ecg_lab_rows *l, const ecg_lab_row *r)
{
    const ecg_lab_kind *k = &l->kind[r->kind];
    return (ecg_lab_value){k->sign ? NAN : r->number, k->sign ? r->number : NAN, k->sign, k->or_equal};
}

/* training (patients): nonzero where a patient is in a training fold. A row is kept if it lies in the feature window of one of its patient's
 * visits (arrival .. + ECG_WINDOW) or between `behind` seconds before and `ahead` seconds after one of its recordings. */
ecg_status ecg_lab_rows_read(ecg_lab_rows *out, const ecg_visits *v, const uint8_t *training, const char *labitems, const char *labevents, int64_t behind,
                             int64_t ahead, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);
void ecg_lab_rows_clear(ecg_lab_rows *l);

/* Rows that no label is made from: tests named other, H, I, L; ranges of 0 to 0; units that are not comparable (docs/cohort.md 3). */
bool ecg_lab_excluded(const char *test, const char *unit, double lower, double upper);

#endif
