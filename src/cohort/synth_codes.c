/* SPDX-License-Identifier: MIT
 * synth_codes.c: the table of diagnoses: what is true, how often it is coded when true, how often without.
 *
 * Titles: ICD-10-CM 2021 and ICD-9-CM of CMS and NCHS, public domain. The ICD-9 codes are those whose last row in the general equivalence
 * mapping gives the ICD-10 code back, with the rows behind its end (icd9_table.awk) or without them; the others have none and stay ICD-10. */
#include "cohort/synth_codes.h"

/* code, title, ICD-9, its title, acute, sensitivity, false rate, truth. Row = slot of the coding draws: append only. */
#define CODES(X)                                                                                                                  \
    X("I10", "Essential (primary) hypertension", "4011", "Benign essential hypertension", 0, .85, .02, p->htn * (1 - p->hf) * (1 - p->ckd)) \
    X("I13", "Hypertensive heart and chronic kidney disease", "40491",                                                            \
      "Hypertensive heart and chronic kidney disease, unspecified, with heart failure and with chronic kidney disease stage I through stage IV, or unspecified", 0, \
      .8, .01, p->htn * max_of(p->hf, p->ckd))                                                                                     \
    X("I16", "Hypertensive crisis", 0, 0, 1, .35, .002, v->sbp > 182)                                                             \
    X("I95", "Hypotension", "4589", "Hypotension, unspecified", 1, .6, .004, v->sbp < 92)                                         \
    X("E119", "Type 2 diabetes mellitus without complications", "25000",                                                          \
      "Diabetes mellitus without mention of complication, type II or unspecified type, not stated as uncontrolled", 0, .92, .004, p->dm) \
    X("R739", "Hyperglycemia, unspecified", 0, 0, 1, .35, .004, v->gluc > 240)                                                    \
    X("E1110", "Type 2 diabetes mellitus with ketoacidosis without coma", 0, 0, 1, .9, .001, v->dka * (v->dkas > .5))             \
    X("E785", "Hyperlipidemia, unspecified", "2724", "Other and unspecified hyperlipidemia", 0, .8, .02, p->hld)                  \
    X("E669", "Obesity, unspecified", "27800", "Obesity, unspecified", 0, .6, .01, p->bmi > 31)                                   \
    X("E6601", "Morbid (severe) obesity due to excess calories", "27801", "Morbid obesity", 0, .6, .002, p->bmi > 39)             \
    X("N183", "Chronic kidney disease, stage 3 (moderate)", "5853", "Chronic kidney disease, Stage III (moderate)", 0, .75, .006, \
      p->egfr < 57 && p->egfr >= 30)                                                                                              \
    X("N184", "Chronic kidney disease, stage 4 (severe)", "5854", "Chronic kidney disease, Stage IV (severe)", 0, .75, .002,      \
      p->egfr < 30 && p->esrd == 0)                                                                                               \
    X("N186", "End stage renal disease", "5856", "End stage renal disease", 0, .95, .001, p->esrd)                                \
    X("Z992", "Dependence on renal dialysis", "V4511", "Renal dialysis status", 0, .85, .001, p->esrd)                            \
    X("N179", "Acute kidney failure, unspecified", "5849", "Acute kidney failure, unspecified", 1, .85, .01, v->akis > .35)       \
    X("D631", "Anemia in chronic kidney disease", "28521", "Anemia in chronic kidney disease", 0, .6, .003,                       \
      p->ckd * (v->hb < (p->male > 0 ? 11.8 : 10.8)))                                                                              \
    X("I2510", "Atherosclerotic heart disease of native coronary artery without angina pectoris", "41401",                        \
      "Coronary atherosclerosis of native coronary artery", 0, .85, .015, p->cad)                                                 \
    X("I252", "Old myocardial infarction", "412", "Old myocardial infarction", 0, .7, .006, p->omi)                               \
    X("I2109", "ST elevation (STEMI) myocardial infarction involving other coronary artery of anterior wall", "41011",            \
      "Acute myocardial infarction of other anterior wall, initial episode of care", 1, .9, .0008, v->stemi * (v->terr == 0))      \
    X("I2119", "ST elevation (STEMI) myocardial infarction involving other coronary artery of inferior wall", "41041",            \
      "Acute myocardial infarction of other inferior wall, initial episode of care", 1, .9, .0008, v->stemi * (v->terr == 1))      \
    X("I2129", "ST elevation (STEMI) myocardial infarction involving other sites", "41081",                                       \
      "Acute myocardial infarction of other specified sites, initial episode of care", 1, .9, .0008, v->stemi * (v->terr == 2))    \
    X("I214", "Non-ST elevation (NSTEMI) myocardial infarction", "41071", "Subendocardial infarction, initial episode of care", 1, .85, .006, v->nstemi) \
    X("I5022", "Chronic systolic (congestive) heart failure", "42822", "Chronic systolic heart failure", 0, .8, .004, p->hfr)     \
    X("I5032", "Chronic diastolic (congestive) heart failure", "42832", "Chronic diastolic heart failure", 0, .8, .008,           \
      max_of(p->hf, v->adhf) * (1 - p->hfr))                                                                                      \
    X("I420", "Dilated cardiomyopathy", 0, 0, 0, .5, .002, p->hfr * (p->lvm > .4))                                                 \
    X("I517", "Cardiomegaly", "4293", "Cardiomegaly", 0, .35, .004, p->lvm > 1.35)                                                \
    X("I350", "Nonrheumatic aortic (valve) stenosis", 0, 0, 0, .75, .005, p->asten)                                               \
    X("I2720", "Pulmonary hypertension, unspecified", 0, 0, 0, .55, .004, p->pht)                                                 \
    X("I480", "Paroxysmal atrial fibrillation", 0, 0, 0, .8, .005, p->af - p->afp)                                                \
    X("I4820", "Chronic atrial fibrillation, unspecified", 0, 0, 0, .9, .003, max_of(p->afp, v->afib * (1 - p->af)))               \
    X("I440", "Atrioventricular block, first degree", "42611", "First degree atrioventricular block", 0, .45, .003, sinus && t->PR > 208) \
    X("I447", "Left bundle-branch block, unspecified", "4263", "Other left bundle branch block", 0, .7, .002, p->lbbb * (1 - v->paced)) \
    X("I4510", "Unspecified right bundle-branch block", "4264", "Right bundle branch block", 0, .6, .003, p->rbbb)                \
    X("I493", "Ventricular premature depolarization", 0, 0, 0, .4, .006, t->ppvc > .07)                                           \
    X("R000", "Tachycardia, unspecified", "7850", "Tachycardia, unspecified", 1, .4, .005, sinus && v->hr > 108)                  \
    X("R001", "Bradycardia, unspecified", "42789", "Other specified cardiac dysrhythmias", 1, .5, .003, sinus && v->hr < 51)      \
    X("Z950", "Presence of cardiac pacemaker", "V4501", "Cardiac pacemaker in situ", 0, .9, .001, p->pacer)                       \
    X("J449", "Chronic obstructive pulmonary disease, unspecified", "496", "Chronic airway obstruction, not elsewhere classified", 0, .85, .01, \
      p->copd * (1 - v->copdx))                                                                                                    \
    X("J441", "Chronic obstructive pulmonary disease with (acute) exacerbation", "49121",                                         \
      "Obstructive chronic bronchitis with (acute) exacerbation", 1, .85, .004, v->copdx)                                         \
    X("J9600", "Acute respiratory failure, unspecified whether with hypoxia or hypercapnia", "51851",                             \
      "Acute respiratory failure following trauma and surgery", 1, .7, .004, v->spo2 < 91)                                        \
    X("R0902", "Hypoxemia", "79902", "Hypoxemia", 1, .4, .008, v->spo2 < 93.5)                                                    \
    X("J189", "Pneumonia, unspecified organism", "486", "Pneumonia, organism unspecified", 1, .85, .01, v->pna)                   \
    X("I2699", "Other pulmonary embolism without acute cor pulmonale", "41519", "Other pulmonary embolism and infarction", 1, .92, .002, v->pe) \
    X("A419", "Sepsis, unspecified organism", "0389", "Unspecified septicemia", 1, .8, .006, v->seps)                             \
    X("R6520", "Severe sepsis without septic shock", "99592", "Severe sepsis", 1, .8, .002, v->sepss > 1.45)                      \
    X("N390", "Urinary tract infection, site not specified", "5990", "Urinary tract infection, site not specified", 1, .8, .012, v->uti) \
    X("R509", "Fever, unspecified", "78060", "Fever, unspecified", 1, .4, .006, v->temp > 38.1)                                   \
    X("E875", "Hyperkalemia", "2767", "Hyperpotassemia", 1, .75, .004, v->K > 5.45)                                               \
    X("E876", "Hypokalemia", "2768", "Hypopotassemia", 1, .7, .006, v->K < 3.35)                                                  \
    X("E871", "Hypo-osmolality and hyponatremia", "2761", "Hyposmolality and/or hyponatremia", 1, .65, .008, v->Na < 133)         \
    X("E872", "Acidosis", "2762", "Acidosis", 1, .65, .006, v->ph < 7.33 || v->hco3 < 18.5)                                       \
    X("E8342", "Hypomagnesemia", 0, 0, 1, .5, .006, v->Mg < 1.62)                                                                 \
    X("E8351", "Hypocalcemia", "27541", "Hypocalcemia", 1, .5, .003, v->iCa < 1.09)                                               \
    X("E8352", "Hypercalcemia", "27542", "Hypercalcemia", 1, .6, .002, v->iCa > 1.315)                                            \
    X("D649", "Anemia, unspecified", "2859", "Anemia, unspecified", 0, .55, .02, v->hb < (p->male > 0 ? 12.0 : 10.8))             \
    X("D62", "Acute posthemorrhagic anemia", "2851", "Acute posthemorrhagic anemia", 1, .8, .003, v->gib * (v->gibs > .6) * (v->hb < 11)) \
    X("K922", "Gastrointestinal hemorrhage, unspecified", "5789", "Hemorrhage of gastrointestinal tract, unspecified", 1, .85, .006, v->gib) \
    X("D696", "Thrombocytopenia, unspecified", "2875", "Thrombocytopenia, unspecified", 0, .5, .004, v->plt < 130)                \
    X("K7460", "Unspecified cirrhosis of liver", 0, 0, 0, .9, .002, p->cirr)                                                      \
    X("E0590", "Thyrotoxicosis, unspecified without thyrotoxic crisis or storm", "24290",                                         \
      "Thyrotoxicosis without mention of goiter or other cause, and without mention of thyrotoxic crisis or storm", 0, .75, .002, p->hypert) \
    X("E039", "Hypothyroidism, unspecified", "2449", "Unspecified acquired hypothyroidism", 0, .85, .006, p->hypot)               \
    X("G4733", "Obstructive sleep apnea (adult) (pediatric)", "32723", "Obstructive sleep apnea (adult)(pediatric)", 0, .75, .012, p->osa) \
    X("F1020", "Alcohol dependence, uncomplicated", "30390", "Other and unspecified alcohol dependence, unspecified", 0, .8, .008, p->alc) \
    X("F10239", "Alcohol dependence with withdrawal, unspecified", "29181", "Alcohol withdrawal", 1, .85, .002, v->withd)         \
    X("F329", "Major depressive disorder, single episode, unspecified", "311", "Depressive disorder, not elsewhere classified", 0, .8, .015, p->dep) \
    X("I639", "Cerebral infarction, unspecified", 0, 0, 1, .9, .004, v->stroke)                                                   \
    X("F17210", "Nicotine dependence, cigarettes, uncomplicated", 0, 0, 0, .6, .012, p->smoke)                                    \
    X("F0390", "Unspecified dementia without behavioral disturbance", "29420", "Dementia, unspecified, without behavioral disturbance", 0, .85, .008, p->dem) \
    X("C801", "Malignant (primary) neoplasm, unspecified", "1991", "Other malignant neoplasm without specification of site", 0, .8, .012, p->canc) \
    X("E860", "Dehydration", "27651", "Dehydration", 1, .6, .006, v->voms > .5)

const ecg_synth_code ecg_synth_codes[ECG_CODES] = {
#define X(code, title, icd9, icd9_title, acute, sensitivity, false_rate, truth) {code, title, icd9, icd9_title, acute, sensitivity, false_rate},
    CODES(X)
#undef X
};

void ecg_synth_coding(ecg_coding *c, const ecg_synth *s, const ecg_patient *p, const ecg_visit *v, const ecg_take *t)
{
    const ecg_draws d = ecg_synth_draws(s, p->ordinal, v->number);
    const bool sinus = v->afib == 0 && v->paced == 0;
    int i = 0;
#define X(code, title, icd9, icd9_title, acute, sensitivity, false_rate, truth_is) c->truth[i++] = (double)(truth_is) > 0;
    CODES(X)
#undef X
    for (i = 0; i < ECG_CODES; i++) {
        c->coded[i] = c->truth[i] ? ecg_draw_uniform(&d, ECG_S_CODE, (uint32_t)i) < ecg_synth_codes[i].sensitivity
                                  : ecg_draw_uniform2(&d, ECG_S_CODE, (uint32_t)i) < ecg_synth_codes[i].false_rate;
    }
}
