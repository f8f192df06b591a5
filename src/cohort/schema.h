/* SPDX-License-Identifier: MIT
 * schema.h: the 466 tabular columns of every MIMIC-like source, in the order of the published table (docs/cohort.md 2): age; bmi, weight,
 * height; 6 vital signs x 9 statistics; 45 laboratory tests x 9; then gender, acuity, ethnicity as categories. */
#ifndef ECG_COHORT_SCHEMA_H
#define ECG_COHORT_SCHEMA_H

#include "ecg/contract.h"

enum { ECG_STATISTICS = 9, ECG_VITALS = 6, ECG_TESTS = 45 };
enum {
    ECG_COL_AGE,
    ECG_COL_BMI,
    ECG_COL_WEIGHT,
    ECG_COL_HEIGHT,
    ECG_COL_VITALS,
    ECG_COL_LABS = ECG_COL_VITALS + ECG_VITALS * ECG_STATISTICS,
    ECG_COL_GENDER = ECG_COL_LABS + ECG_TESTS * ECG_STATISTICS,
    ECG_COL_ACUITY,    /* 1..5 stored as 0..4 */
    ECG_COL_ETHNICITY, /* asian, black/african, hispanic/latino, other, white */
    ECG_COLUMNS,
    ECG_MASKS = ECG_COLUMNS - 3 /* age, gender and ethnicity have none */
};

typedef struct {
    const char *name;  /* as the column of the source's table */
    const char *unit;  /* after conversion */
    double low, high;  /* outside: missing */
} ecg_vital;

typedef struct {
    const char *label; /* as d_labitems spells it */
    double high;       /* above: missing; INFINITY: no limit */
} ecg_test;

extern const ecg_vital ecg_vitals[ECG_VITALS];
extern const ecg_test ecg_tests[ECG_TESTS];

void ecg_mimic_columns(ecg_column out[ECG_COLUMNS]);

/* One column for each that can be missing, in their order, of their group: NAME_nan, 1 where NAME was missing. */
void ecg_mimic_mask_columns(ecg_column out[ECG_MASKS]);
/* In place: n rows of ECG_COLUMNS values one behind the other become rows of ECG_COLUMNS + ECG_MASKS; table has room for these. */
void ecg_mimic_masks(float *table, int64_t n);

#endif
