/* SPDX-License-Identifier: MIT
 * synth_tables.h: the tables that are written, and the functions that turn a patient's course into their rows. */
#ifndef ECG_COHORT_SYNTH_TABLES_H
#define ECG_COHORT_SYNTH_TABLES_H

#include "base/text.h"
#include "cohort/synth_course.h"
#include "cohort/synth_twins.h"

/* name, path below the folder, header. Plain .csv where PhysioNet's is plain. */
#define ECG_SYNTH_TABLES(X)                                                                                                       \
    X(records, "mimic-iv-ecg/record_list.csv", "subject_id,study_id,file_name,ecg_time,path")                                     \
    X(machine, "mimic-iv-ecg/machine_measurements.csv",                                                                           \
      "subject_id,study_id,cart_id,ecg_time,report_0,report_1,report_2,report_3,report_4,report_5,report_6,report_7,report_8,"    \
      "report_9,report_10,report_11,report_12,report_13,report_14,report_15,report_16,report_17,bandwidth,filtering,rr_interval," \
      "p_onset,p_end,qrs_onset,qrs_end,t_end,p_axis,qrs_axis,t_axis")                                                             \
    X(edstays, "mimic-iv-ed/ed/edstays.csv.gz", "subject_id,hadm_id,stay_id,intime,outtime,gender,race,arrival_transport,disposition") \
    X(triage, "mimic-iv-ed/ed/triage.csv.gz", "subject_id,stay_id,temperature,heartrate,resprate,o2sat,sbp,dbp,pain,acuity,chiefcomplaint") \
    X(vitalsign, "mimic-iv-ed/ed/vitalsign.csv.gz", "subject_id,stay_id,charttime,temperature,heartrate,resprate,o2sat,sbp,dbp,rhythm,pain") \
    X(ed_diagnosis, "mimic-iv-ed/ed/diagnosis.csv.gz", "subject_id,stay_id,seq_num,icd_code,icd_version,icd_title")               \
    X(patients, "mimic-iv/hosp/patients.csv.gz", "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod")                \
    X(admissions, "mimic-iv/hosp/admissions.csv.gz",                                                                              \
      "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,admission_location,discharge_location,"  \
      "insurance,language,marital_status,race,edregtime,edouttime,hospital_expire_flag")                                          \
    X(labevents, "mimic-iv/hosp/labevents.csv.gz",                                                                                \
      "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,valuenum,valueuom,"          \
      "ref_range_lower,ref_range_upper,flag,priority,comments")                                                                   \
    X(d_labitems, "mimic-iv/hosp/d_labitems.csv.gz", "itemid,label,fluid,category")                                               \
    X(diagnoses_icd, "mimic-iv/hosp/diagnoses_icd.csv.gz", "subject_id,hadm_id,seq_num,icd_code,icd_version")                     \
    X(d_icd, "mimic-iv/hosp/d_icd_diagnoses.csv.gz", "icd_code,icd_version,long_title")                                           \
    X(omr, "mimic-iv/hosp/omr.csv.gz", "subject_id,chartdate,seq_num,result_name,result_value")                                   \
    X(latent, "truth/latent.csv.gz", "")                                                                                          \
    X(effects, "truth/effects.csv.gz", "study_id,cause,parameter,delta")                                                          \
    X(labels, "truth/labels.csv.gz", "study_id,code,truth,coded,reason")                                                          \
    X(twins, "truth/twins.csv.gz", "study_id,variable,value,twin_study_id,cause,before,subject_id")                               \
    X(twin_records, "truth/twins/record_list.csv", "subject_id,study_id,file_name,ecg_time,path")                                 \
    X(twin_latent, "truth/twins/latent.csv.gz", "")

enum {
#define X(name, path, header) ECG_TABLE_##name,
    ECG_SYNTH_TABLES(X) ECG_TABLES
#undef X
};

/* What exists to exercise a reader's filters, and what a reader following the protocol does with it. */
#define ECG_SYNTH_DISTRACTORS(X)                                                                                                  \
    X(ecg_outside_hospital, "dropped") X(ecg_after_90_minutes, "dropped") X(ecg_second_of_stay, "kept")                           \
    X(stay_without_ecg, "dropped") X(lab_after_90_minutes, "dropped") X(lab_other_fluid, "dropped") X(lab_without_value, "dropped") \
    X(vital_after_90_minutes, "dropped") X(vital_impossible, "dropped") X(omr_other_result, "dropped")                            \
    X(admission_icd9, "mapped") X(diagnosis_icd9, "mapped") X(diagnosis_without_icd9, "kept")

enum {
#define X(name, fate) ECG_DISTRACTOR_##name,
    ECG_SYNTH_DISTRACTORS(X) ECG_DISTRACTORS
#undef X
};

/* Rows made so far, and what they hold. */
typedef struct {
    ecg_text rows[ECG_TABLES];
    int64_t distractor[ECG_DISTRACTORS];
    int64_t patients, stays, admissions, recordings, labs;
    int64_t twins[ECG_TWIN_CAUSES];
} ecg_sheaf;

void ecg_synth_hospital_rows(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c); /* hosp and ed tables */
void ecg_synth_dictionary_rows(ecg_sheaf *f);                                        /* d_labitems, d_icd_diagnoses */
void ecg_synth_lab_rows(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c, const ecg_stay *stay);
void ecg_synth_machine_rows(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c, const ecg_recording *r, const ecg_take *t);
void ecg_synth_truth_rows(ecg_sheaf *f, const ecg_course *c, const ecg_recording *r, const ecg_take *t, const ecg_effects *effects);
/* A twin of recording r: its visit and take, as the intervention left them. */
void ecg_synth_twin_rows(ecg_sheaf *f, const ecg_course *c, const ecg_recording *r, const ecg_twin *twin, const ecg_visit *v, const ecg_take *t);
void ecg_synth_latent_header(ecg_text *t);

/* A row of record_list.csv. */
void ecg_synth_record_row(ecg_text *t, int64_t subject_id, int64_t study_id, int64_t time);
/* "p1000/p10000032/s40689238" */
void ecg_synth_record_folder(char out[64], int64_t subject_id, int64_t study_id);

#endif
