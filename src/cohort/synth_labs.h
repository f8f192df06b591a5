/* SPDX-License-Identifier: MIT
 * synth_labs.h: which blood tests a visit has and what the analyser reports. */
#ifndef ECG_COHORT_SYNTH_LABS_H
#define ECG_COHORT_SYNTH_LABS_H

#include "cohort/synth_model.h"

/* name, itemid and label as MIMIC's d_labitems, unit, decimals, category, tube. Order = slot of the analytic noise: append only. */
#define ECG_SYNTH_TESTS(X)                                                                                                        \
    X(potassium, 50971, "Potassium", "mEq/L", 1, "Chemistry", 0)                                                                  \
    X(sodium, 50983, "Sodium", "mEq/L", 0, "Chemistry", 0)                                                                        \
    X(chloride, 50902, "Chloride", "mEq/L", 0, "Chemistry", 0)                                                                    \
    X(bicarbonate, 50882, "Bicarbonate", "mEq/L", 0, "Chemistry", 0)                                                              \
    X(anion_gap, 50868, "Anion Gap", "mEq/L", 0, "Chemistry", 0)                                                                  \
    X(urea, 51006, "Urea Nitrogen", "mg/dL", 0, "Chemistry", 0)                                                                   \
    X(creatinine, 50912, "Creatinine", "mg/dL", 1, "Chemistry", 0)                                                                \
    X(glucose, 50931, "Glucose", "mg/dL", 0, "Chemistry", 0)                                                                      \
    X(calcium, 50893, "Calcium, Total", "mg/dL", 1, "Chemistry", 0)                                                               \
    X(free_calcium, 50808, "Free Calcium", "mmol/L", 2, "Blood Gas", 2)                                                           \
    X(magnesium, 50960, "Magnesium", "mg/dL", 1, "Chemistry", 0)                                                                  \
    X(phosphate, 50970, "Phosphate", "mg/dL", 1, "Chemistry", 0)                                                                  \
    X(hemoglobin, 51222, "Hemoglobin", "g/dL", 1, "Hematology", 1)                                                                \
    X(hematocrit, 51221, "Hematocrit", "%", 1, "Hematology", 1)                                                                   \
    X(white_cells, 51301, "White Blood Cells", "K/uL", 1, "Hematology", 1)                                                        \
    X(platelets, 51265, "Platelet Count", "K/uL", 0, "Hematology", 1)                                                             \
    X(troponin, 51003, "Troponin T", "ng/mL", 3, "Chemistry", 4)                                                                  \
    X(ck_mb, 50911, "Creatine Kinase, MB Isoenzyme", "ng/mL", 0, "Chemistry", 4)                                                  \
    X(bnp, 50963, "NTproBNP", "pg/mL", 0, "Chemistry", 4)                                                                         \
    X(lactate, 50813, "Lactate", "mmol/L", 1, "Blood Gas", 2)                                                                     \
    X(ph, 50820, "pH", "units", 2, "Blood Gas", 2)                                                                                \
    X(pco2, 50818, "pCO2", "mm Hg", 0, "Blood Gas", 2)                                                                            \
    X(crp, 50889, "C-Reactive Protein", "mg/L", 1, "Chemistry", 0)                                                                \
    X(tsh, 50993, "Thyroid Stimulating Hormone", "uIU/mL", 2, "Chemistry", 0)                                                     \
    X(albumin, 50862, "Albumin", "g/dL", 1, "Chemistry", 0)                                                                       \
    X(alt, 50861, "Alanine Aminotransferase (ALT)", "IU/L", 0, "Chemistry", 0)                                                    \
    X(bilirubin, 50885, "Bilirubin, Total", "mg/dL", 1, "Chemistry", 0)                                                           \
    X(inr, 51237, "INR(PT)", "", 1, "Hematology", 3)                                                                              \
    X(d_dimer, 50915, "D-Dimer", "ng/mL", 0, "Chemistry", 3)

enum {
#define X(name, itemid, label, unit, decimals, category, tube) ECG_LAB_##name,
    ECG_SYNTH_TESTS(X) ECG_LAB_TESTS
#undef X
};

typedef struct {
    int itemid;
    const char *label, *unit;
    int decimals;
    const char *category;
    int tube;
} ecg_lab_test;
extern const ecg_lab_test ecg_synth_tests[ECG_LAB_TESTS];

/* Reported values, rounded; NAN: not ordered. */
void ecg_synth_labs(double value[ECG_LAB_TESTS], const ecg_synth *s, const ecg_patient *p, const ecg_visit *v);
/* Reference range as printed beside the result. */
void ecg_synth_range(double *low, double *high, int test, const ecg_patient *p);
/* The limit that decides the flag: troponin's is finer than what is printed. */
double ecg_synth_upper_limit(int test, const ecg_patient *p);

#endif
