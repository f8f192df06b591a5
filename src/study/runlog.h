/* SPDX-License-Identifier: MIT
 * runlog.h: the run folder: config.yaml, run.json, metrics.jsonl. What differs between two runs of the same experiment (times, paths,
 * machine) is written here and nowhere else, so that the weights can be compared byte by byte. */
#ifndef ECG_STUDY_RUNLOG_H
#define ECG_STUDY_RUNLOG_H

#include "base/json.h"
#include "cohort/store.h"
#include "model/bundle.h"
#include "study/config.h"

typedef struct {
    char folder[512];
    bool resumed;      /* a checkpoint is there and shall be continued */
    double began;      /* monotonic seconds */
    char started[32];  /* UTC */
} ecg_run;

/* What run.json says besides machine and times. */
typedef struct {
    const char *stage;         /* "pretrain", "finetune diagnoses", "finetune labs" */
    const ecg_cohort *cohort;
    const char *from, *from_hash; /* the run it began with, NULL: none */
    const char *roles;
    const ecg_config *config;
    const char *command;
    const char *kernels;
    int threads;
} ecg_run_facts;

/* Makes the folder. One that holds something: resume continues it (without a checkpoint: from the beginning), force empties it of our files,
 * neither: refused. With resume the settings must agree with the folder's config.yaml. Then writes config.yaml and run.json. */
ecg_status ecg_run_open(ecg_run *r, const char *folder, bool resume, bool force, const ecg_run_facts *facts, ecg_err *err);
/* Settings of an earlier run over *c; path: its folder, or a model file in it. *found false: no config.yaml there, *c unchanged. */
ecg_status ecg_run_inherit(ecg_config *c, bool *found, const char *path, ecg_err *err);

ecg_status ecg_run_path(char out[512], const ecg_run *r, const char *name, ecg_err *err);
ecg_status ecg_run_keep_metrics(const ecg_run *r, int64_t lines, ecg_err *err); /* the first lines of metrics.jsonl stay */
ecg_status ecg_run_metric(const ecg_run *r, const char *json_line, ecg_err *err);
/* Closes this session in run.json: how it ended ("done", "interrupted") and a JSON object with the result. */
ecg_status ecg_run_close(const ecg_run *r, const char *end, const char *result_json, ecg_err *err);

/* The cohort that a run folder names. path "" where there is no run.json. */
ecg_status ecg_run_cohort(char path[512], char hash[65], const char *folder, ecg_err *err);

/* m->record: stage, seeds, hashes, selection; the records of earlier stages nested under "from". No times, no paths. */
typedef struct {
    const char *stage, *cohort_hash, *roles, *measure;
    const ecg_config *config;
    int64_t epochs, records, batch, best_epoch, best_step;
    double best;
    const char *from; /* record of the model it began with, NULL or "" */
    const char *more; /* JSON object whose keys are added; NULL: none */
} ecg_record_facts;
ecg_status ecg_run_record(char *out, size_t size, const ecg_record_facts *f, ecg_err *err);
/* One text or whole number of m->record into out; false: not there. */
bool ecg_record_field(char *out, size_t size, const char *record, const char *key);
/* The roles in a record, if it was made on this cohort; false: *out unchanged. */
bool ecg_record_roles(ecg_roles *out, const char *record, const ecg_cohort *cohort);

double ecg_clock(void); /* monotonic seconds */
void ecg_utc_now(char out[32]); /* "2026-11-21T14:00:00Z" */
void ecg_cpu_name(char out[128]);

#endif
