/* SPDX-License-Identifier: MIT
 * labs.h: laboratory rows near the recordings of a cohort: statistics as columns (docs/cohort.md 2), abnormalities as labels (docs/cohort.md 3).
 * labevents is read once, row by row; what is kept is proportional to the cohort. */
#ifndef ECG_COHORT_LABS_H
#define ECG_COHORT_LABS_H

#include "base/watch.h"
#include "cohort/schema.h"
#include "cohort/visits.h"

typedef enum { ECG_LAB_UNKNOWN = -1, ECG_LAB_LOW, ECG_LAB_NORMAL, ECG_LAB_HIGH } ecg_lab_class;

/* What a row says: a number, or a text like "<0.01" where there is none. */
typedef struct {
    double value;       /* NAN: none */
    char sign;          /* '<' or '>' of a censored text, 0: none */
    bool or_equal;      /* "<=0.01" */
    double bound;       /* of a censored text */
} ecg_lab_value;
ecg_lab_value ecg_lab_parse(double valuenum, const char *text, size_t len); /* also "LESS THAN 0.01", "GREATER THAN 100" */

/* Against a reference range, NAN where a side is unknown (it is then never passed). A censored value has a class only where every number it
 * may stand for has that class; a lower limit of 0 cannot be passed by it. Both sides unknown: unknown. */
ecg_lab_class ecg_lab_classify(const ecg_lab_value *v, double lower, double upper);

typedef struct ecg_labs ecg_labs;

/* training (patients): nonzero where a patient is in a training fold; ranges of their rows stand in where a row has none. */
ecg_status ecg_labs_read(ecg_labs **out, const ecg_visits *v, const uint8_t *training, const ecg_mimic_tables *tables, const ecg_watch *watch, ecg_err *err);
void ecg_labs_free(ecg_labs *l); /* NULL is fine */
int64_t ecg_labs_rows(const ecg_labs *l); /* of labevents */
int64_t ecg_labs_kept(const ecg_labs *l);

/* table (n, ECG_COLUMNS): the laboratory columns. */
ecg_status ecg_labs_features(float *table, const ecg_labs *l, const ecg_visits *v, ecg_err *err);

/* The set `labs`: role (n) is the role of each recording, -1 for none. A label is kept with at least min_labs positives and negatives in training and a
 * quarter of it (rounded down) in validation. table->n may be 0 afterwards; label (n, K) is malloc'ed. */
ecg_status ecg_labs_labels(ecg_label_table *table, int8_t **label, const ecg_labs *l, const ecg_visits *v, const int8_t *role, int64_t min_labs, ecg_err *err);

#endif
