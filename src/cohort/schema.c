/* SPDX-License-Identifier: MIT */
#include "cohort/schema.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Limits of MDS-ED (docs/cohort.md 2), temperature still in Fahrenheit. */
const ecg_vital ecg_vitals[ECG_VITALS] = {
    {"temperature", "C", 50, 150},          {"heartrate", "/min", -INFINITY, 700}, {"resprate", "/min", -INFINITY, 300},
    {"o2sat", "%", 0, 100},                 {"sbp", "mmHg", -INFINITY, 500},       {"dbp", "mmHg", -INFINITY, 500},
};

/* In column order; the spelling, "Asparate" included, is that of d_labitems (docs/cohort.md 2). */
const ecg_test ecg_tests[ECG_TESTS] = {
    {"Absolute Basophil Count", 20},
    {"Absolute Eosinophil Count", 20},
    {"Absolute Lymphocyte Count", 100},
    {"Alanine Aminotransferase (ALT)", 2000},
    {"Albumin", INFINITY},
    {"Alkaline Phosphatase", 2000},
    {"Asparate Aminotransferase (AST)", 2000},
    {"Bands", INFINITY},
    {"Base Excess", INFINITY},
    {"Basophils", INFINITY},
    {"Bicarbonate", INFINITY},
    {"Bilirubin, Direct", INFINITY},
    {"Bilirubin, Total", INFINITY},
    {"C-Reactive Protein", INFINITY},
    {"Calcium, Total", INFINITY},
    {"Carboxyhemoglobin", INFINITY},
    {"Chloride", INFINITY},
    {"Creatine Kinase (CK)", 2000},
    {"Creatine Kinase, MB Isoenzyme", INFINITY},
    {"Creatinine", INFINITY},
    {"Eosinophils", INFINITY},
    {"Fibrinogen, Functional", INFINITY},
    {"Free Calcium", INFINITY},
    {"Glucose", 2000},
    {"Hematocrit", INFINITY},
    {"Hemoglobin", INFINITY},
    {"INR(PT)", INFINITY},
    {"Lactate", 2000},
    {"Lymphocytes", INFINITY},
    {"Magnesium", INFINITY},
    {"Neutrophils", INFINITY},
    {"Oxygen Saturation", INFINITY},
    {"PT", INFINITY},
    {"PTT", INFINITY},
    {"Phosphate", INFINITY},
    {"Platelet Count", 2000},
    {"Potassium", INFINITY},
    {"RDW", INFINITY},
    {"Red Blood Cells", INFINITY},
    {"Sodium", INFINITY},
    {"Troponin T", INFINITY},
    {"Urea Nitrogen", INFINITY},
    {"White Blood Cells", INFINITY},
    {"pCO2", INFINITY},
    {"pH", INFINITY},
};

static const char *const statistic_names[ECG_STATISTICS] = {"mean", "median", "min", "max", "std", "first", "last", "rate_change", "coeff"};

static void column(ecg_column *out, const char *name, int vocabulary, const char *unit, const char *group)
{
    *out = (ecg_column){.categorical = vocabulary > 0, .vocabulary = vocabulary};
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->unit, sizeof out->unit, "%s", unit);
    snprintf(out->group, sizeof out->group, "%s", group);
}

/* "vitals" + "temperature" -> vitals_temperature_mean ...; blanks of the name become underscores, letters lower case */
static void nine_columns(ecg_column *out, const char *family, const char *name, const char *unit, const char *group)
{
    for (int s = 0; s < ECG_STATISTICS; s++) {
        char text[64], of[16];
        snprintf(text, sizeof text, "%s_%s_%s", family, name, statistic_names[s]);
        for (char *c = text; *c; c++)
            *c = *c == ' ' ? '_' : (char)tolower((unsigned char)*c);
        snprintf(of, sizeof of, "%s%s", s == 7 ? "" : unit, s == 8 && *unit ? " per min" : "");
        column(&out[s], text, 0, of, group);
    }
}

void ecg_mimic_columns(ecg_column out[ECG_COLUMNS])
{
    column(&out[ECG_COL_AGE], "demographics_age", 0, "years", "routine");
    column(&out[ECG_COL_BMI], "biometrics_bmi", 0, "kg/m2", "routine");
    column(&out[ECG_COL_WEIGHT], "biometrics_weight", 0, "kg", "routine");
    column(&out[ECG_COL_HEIGHT], "biometrics_height", 0, "cm", "routine");
    for (int v = 0; v < ECG_VITALS; v++)
        nine_columns(&out[ECG_COL_VITALS + v * ECG_STATISTICS], "vitals", ecg_vitals[v].name, ecg_vitals[v].unit, "routine");
    for (int t = 0; t < ECG_TESTS; t++)
        nine_columns(&out[ECG_COL_LABS + t * ECG_STATISTICS], "labvalues", ecg_tests[t].label, "", "lab");
    column(&out[ECG_COL_GENDER], "demographics_gender", 2, "", "routine");
    column(&out[ECG_COL_ACUITY], "vitals_acuity", 5, "", "routine");
    column(&out[ECG_COL_ETHNICITY], "demographics_ethnicity", 5, "", "routine");
}

/* ---- what was missing --------------------------------------------------------------------------------------------------------------- */

static bool can_be_missing(int column_at)
{
    return column_at != ECG_COL_AGE && column_at != ECG_COL_GENDER && column_at != ECG_COL_ETHNICITY;
}

void ecg_mimic_mask_columns(ecg_column out[ECG_MASKS])
{
    ecg_column of[ECG_COLUMNS];
    ecg_mimic_columns(of);
    for (int c = 0, m = 0; c < ECG_COLUMNS; c++)
        if (can_be_missing(c)) {
            char name[sizeof of->name];
            snprintf(name, sizeof name, "%.59s_nan", of[c].name);
            column(&out[m++], name, 0, "", of[c].group);
        }
}

void ecg_mimic_masks(float *table, int64_t n)
{
    const int width = ECG_COLUMNS + ECG_MASKS;
    for (int64_t i = n - 1; i >= 0; i--) { /* from the end: row i goes where rows before it have not been read from */
        float *row = table + i * width;
        memmove(row, table + i * ECG_COLUMNS, ECG_COLUMNS * sizeof *row);
        for (int c = 0, m = ECG_COLUMNS; c < ECG_COLUMNS; c++)
            if (can_be_missing(c))
                row[m++] = isnan(row[c]) ? 1.0f : 0.0f;
    }
}
