/* SPDX-License-Identifier: MIT
 * doctor.c: the visit in order, and the list of what is known of the released data sets. */
#include "cohort/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "cohort/doctor_parts.h"

static const double longest = 40; /* seconds; what comes after takes some more */

const char *const ecg_seen_names[ECG_SEEN_KINDS] = {
    [ECG_SEEN_ECG] = "MIMIC-IV-ECG",          [ECG_SEEN_HOSP] = "MIMIC-IV hosp",           [ECG_SEEN_ICU] = "MIMIC-IV icu", [ECG_SEEN_ED] = "MIMIC-IV-ED",
    [ECG_SEEN_ICD] = "MIMIC-IV-ECG-Ext-ICD", [ECG_SEEN_MDSED] = "MIMIC-IV-Ext-MDS-ED", [ECG_SEEN_PTBXL] = "PTB-XL",     [ECG_SEEN_WFDB] = "recordings (WFDB)",
};

const char *const ecg_seen_options[ECG_SEEN_KINDS] = {
    [ECG_SEEN_ECG] = "--ecg", [ECG_SEEN_HOSP] = "--hosp",   [ECG_SEEN_ICU] = "--icu",     [ECG_SEEN_ED] = "--ed",
    [ECG_SEEN_ICD] = "--icd", [ECG_SEEN_MDSED] = "--mdsed", [ECG_SEEN_PTBXL] = "--ptbxl", [ECG_SEEN_WFDB] = "--folder",
};

/* Columns: those that the readers ask for. Rows: MIMIC-IV 2.1 and ED 2.2 as their validation scripts give them, MIMIC-IV-ECG 1.0, MDS-ED 1.0, PTB-XL 1.0.3. */
const ecg_seen_spec ecg_seen_specs[] = {
    {ECG_SEEN_ECG, "record_list.csv", true, "no recordings", "subject_id,study_id,ecg_time,path,", 800035},
    {ECG_SEEN_ECG, "machine_measurements.csv", false, "no machine measurements (not an input)", "study_id,", 800035},
    {ECG_SEEN_HOSP, "patients.csv", true, "no age and sex", "subject_id,gender,anchor_age,anchor_year,", 299777},
    {ECG_SEEN_HOSP, "admissions.csv", true, "no admissions", "subject_id,hadm_id,admittime,dischtime,deathtime,", 431088},
    {ECG_SEEN_HOSP, "diagnoses_icd.csv", false, "no hospital diagnoses", "subject_id,hadm_id,icd_code,icd_version,", 4752265},
    {ECG_SEEN_HOSP, "d_icd_diagnoses.csv", false, "no titles of diagnoses", "icd_code,icd_version,long_title,", 109775},
    {ECG_SEEN_HOSP, "labevents.csv", false, "no laboratory values, no lab labels",
     "subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom,ref_range_lower,ref_range_upper,", 118057948},
    {ECG_SEEN_HOSP, "d_labitems.csv", false, "no laboratory values, no lab labels", "itemid,label,fluid,", 1623},
    {ECG_SEEN_HOSP, "omr.csv", false, "no BMI, weight and height", "subject_id,chartdate,result_name,result_value,", 6422067},
    {ECG_SEEN_HOSP, "procedures_icd.csv", false, "deterioration labels without procedures", "subject_id,hadm_id,chartdate,icd_code,icd_version,", 668993},
    {ECG_SEEN_ICU, "icustays.csv", true, "no ICU labels", "subject_id,hadm_id,stay_id,intime,outtime,", 73141},
    {ECG_SEEN_ED, "edstays.csv", true, "no ED stays", "subject_id,hadm_id,stay_id,intime,outtime,gender,race,", 425087},
    {ECG_SEEN_ED, "triage.csv", false, "no acuity", "stay_id,acuity,", 425087},
    {ECG_SEEN_ED, "vitalsign.csv", false, "no vital signs", "stay_id,charttime,temperature,heartrate,resprate,o2sat,sbp,dbp,", 1564610},
    {ECG_SEEN_ED, "diagnosis.csv", false, "no ED diagnoses", "stay_id,icd_code,icd_version,", 899050},
    {ECG_SEEN_ED, "pyxis.csv", false, "deterioration labels without medication", "stay_id,charttime,name,", 1586053},
    {ECG_SEEN_ICD, "records_w_diag_icd10.csv", true, "no published codes", "study_id,subject_id,ecg_time,all_diag_all,strat_fold,", 800035},
    {ECG_SEEN_MDSED, "mds_ed.csv", true, "no published table", "general_study_id,general_subject_id,general_strat_fold,", 129057},
    {ECG_SEEN_PTBXL, "ptbxl_database.csv", true, "no recordings",
     "ecg_id,patient_id,age,sex,height,weight,recording_date,scp_codes,strat_fold,filename_lr,filename_hr,", 21799},
    {ECG_SEEN_PTBXL, "scp_statements.csv", true, "no classes of statements", "description,diagnostic,form,rhythm,diagnostic_class,", 71},
};
const int ecg_seen_specs_n = sizeof ecg_seen_specs / sizeof *ecg_seen_specs;

double ecg_seen_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void add_line(ecg_text *t, const char *fmt, va_list args)
{
    char line[1200];
    vsnprintf(line, sizeof line, fmt, args);
    ecg_text_printf(t, "%s\n", line);
}

void ecg_seen_problem(ecg_seen *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_line(&d->problems, fmt, args);
    va_end(args);
    d->problem_count++;
}

void ecg_seen_note(ecg_seen *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_line(&d->notes, fmt, args);
    va_end(args);
}

const ecg_seen_module *ecg_seen_module_of(const ecg_seen *d, ecg_seen_kind kind)
{
    for (int i = 0; i < d->modules; i++)
        if (d->module[i].kind == kind)
            return &d->module[i];
    return NULL;
}

const ecg_seen_table *ecg_seen_table_of(const ecg_seen *d, ecg_seen_kind kind, const char *name)
{
    const ecg_seen_module *m = ecg_seen_module_of(d, kind);
    for (int t = 0; m && t < m->tables; t++)
        if (!strcmp(m->table[t].spec->name, name) && m->table[t].path[0])
            return &m->table[t];
    return NULL;
}

static void look_at_machine(ecg_seen *d)
{
    struct statvfs disk;
    if (!statvfs(".", &disk))
        d->disk_free = (double)disk.f_bavail * (double)disk.f_frsize;
    d->memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

static void seen_clear(ecg_seen *d)
{
    for (int i = 0; i < d->plans; i++) {
        ecg_text_clear(&d->plan[i].command);
        ecg_text_clear(&d->plan[i].lines);
    }
    ecg_text_clear(&d->problems);
    ecg_text_clear(&d->notes);
}

ecg_status ecg_doctor(ecg_text *out, bool *complete, const ecg_build_sources *from, const char *const *folders, int n, int threads, bool json, const ecg_watch *watch, ecg_err *err)
{
    *complete = false;
    ecg_seen *d = calloc(1, sizeof *d);
    if (!d)
        return ecg_fail(err, ECG_ENOMEM, "no memory for what is found");
    *d = (ecg_seen){.from = *from, .folder = folders, .folders = n, .threads = threads > 0 ? threads : 1, .watch = watch, .begun = ecg_seen_clock()};
    d->until = d->begun + longest;
    ecg_status st = ecg_seen_find(d, err);
    if (!st) {
        ecg_seen_tables(d);
        for (int i = 0; i < d->modules; i++)
            ecg_seen_version(d, &d->module[i]);
        ecg_seen_recordings(d);
        look_at_machine(d);
        st = ecg_seen_plans(d, err);
    }
    if (!st && ecg_stopped(watch))
        st = ecg_fail(err, ECG_EINTR, "interrupted");
    if (!st) {
        *complete = d->plans > 0 && !d->problem_count;
        for (int i = 0; i < d->plans; i++)
            *complete &= d->plan[i].possible;
        st = json ? ecg_seen_json(out, d, *complete, err) : ecg_seen_text(out, d, *complete, err);
    }
    seen_clear(d);
    free(d);
    return st;
}
