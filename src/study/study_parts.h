/* SPDX-License-Identifier: MIT
 * study_parts.h: what the files of the study share: study.c runs the plan, study_book.c remembers what is done, study_stage.c trains, measures and
 * probes one stage, study_pair.c compares two, study_rows.c and study_results.c tell it. */
#ifndef ECG_STUDY_STUDY_PARTS_H
#define ECG_STUDY_STUDY_PARTS_H

#include <jansson.h>

#include "base/json.h"
#include "study/study_plan.h"

/* A cohort with one seed. */
typedef struct {
    char name[16], folder[16]; /* "c01-s01"; below RUN, "" where there is only one */
    int cohort;
    int64_t seed;
} study_unit;

/* Training records of a cohort: with a diagnosis, those of them that are seen (train.labelled), with a laboratory label. */
typedef struct { int64_t diagnosed, seen, lab; } study_counts;

/* Where the whole is, told as one line: work is counted in crops that pass through an encoder. */
typedef struct {
    ecg_watch watch;           /* what the stages see; ctx is this */
    const ecg_watch *outside;  /* may be NULL */
    double done, now, total;   /* crops of stages that are over, of the one at work, of this session */
    char stage[64];
    int at, of;
} study_progress;

typedef struct {
    const ecg_study_task *task;
    ecg_cohort *cohort;        /* (task->cohorts) */
    ecg_loader *loader;        /* (task->cohorts) roles and halves as the stages see them */
    ecg_plan *plan;            /* (task->cohorts) */
    study_counts *counts;      /* (task->cohorts) */
    json_t **facts;            /* (task->cohorts) the element of results.json */
    int open;                  /* cohorts so far */
    study_unit *unit;
    int units;
    char (**identity)[65];     /* (units) (stages of the plan) ecg_book_identity */
    json_t *book, *notes;      /* study.json; sentences for results.json */
    int lock;                  /* of the run folder, -1: none */
    double began;
    char started[32];
    study_progress progress;
} study;

/* ---- study_book.c: study.json ---- */

/* Takes the folder: a new one, or one whose study.json tells of the same cohorts, roles and label set, and of no stage that other settings have made,
 * unless they shall be trained anew (ECG_EARG: what differs). */
ecg_status ecg_book_open(study *s, ecg_err *err);
ecg_status ecg_book_peek(study *s, ecg_err *err); /* what is there, without taking or writing anything */
ecg_status ecg_book_save(const study *s, ecg_err *err);
void ecg_book_end(study *s, const char *end); /* of this session: "done", "interrupted", "failed" */
/* Entries; made where there are none. Borrowed. */
json_t *ecg_book_entry(const study *s, int unit, const char *stage);
/* NULL: none, or one that other settings than those of today have made. Borrowed. */
const json_t *ecg_book_stage_entry(const study *s, int unit, const char *stage);
ecg_stage_state ecg_book_state(const study *s, int unit, const char *stage); /* of that entry; PENDING where there is none */
ecg_status ecg_book_path(char out[512], const study *s, int unit, const char *name, ecg_err *err); /* RUN/c01-s01/name */
void ecg_book_below(char out[512], const study *s, int unit, const char *name);                    /* c01-s01/name */

/* ---- study_stage.c ---- */

/* What would have to be the same for the stage to be the same: SHA-256 over cohort, roles, settings that matter to it, and the stages before it. */
ecg_status ecg_book_identity(char hex[65], const study *s, int unit, int stage, ecg_err *err); /* of those before it: s->identity */
/* Trains, evaluates and probes what is not done. A stage that cannot be (a diverging loss) is written down as failed and is no error here. */
ecg_status ecg_book_stage(study *s, int unit, int stage, ecg_err *err);
/* Crops through the encoder until the stage is done, forward and backward counted as three; 0: done. */
double ecg_book_work(const study *s, int unit, int stage);

typedef struct { int64_t rows, batch, epochs, steps; } study_course; /* of a training; all 0: nothing trains */
study_course ecg_book_course(const study *s, int cohort, const ecg_plan_stage *p);
bool ecg_book_shared(const study *s, int cohort, const ecg_plan_stage *p); /* the encoder serves, a head alone trains */

/* ---- study_pair.c ---- */

/* Every difference of the tables whose stages are there, on the same test records and resamples, into the book where it is not yet. */
ecg_status ecg_book_compare_all(study *s, int unit, ecg_err *err);
const json_t *ecg_book_pair(const study *s, int unit, const char *a, const char *b); /* NULL: none that is of the figures of today */

/* ---- study_rows.c, study_sections.c, study_csv.c, study_results.c ---- */

typedef struct { double value, lo, hi; } study_figure; /* NAN: none */
typedef struct { double value, lo, hi, spread; const char *interval; } study_mean; /* interval NULL: none */
/* Over units: seeds of a cohort first, then cohorts (docs/study_results.md, "interval"). figure (units), value NAN where a unit has none. */
study_mean ecg_book_mean(const study *s, const study_figure *figure);
study_figure ecg_book_figure(const json_t *j, const char *value, const char *lo, const char *hi); /* members of an object; j may be NULL */
bool ecg_book_row_wanted(const study *s, int row);
/* The state of something over units, from that of its stage in each; why: the first reason. */
ecg_stage_state ecg_book_over_units(const study *s, const char *stage, bool wanted, const char **why);

void ecg_book_set_state(json_t *j, ecg_stage_state state, const char *why);   /* status, why */
/* {difference, lo, hi, interval, spread, above, units} of two stages, into j; room (units). Returns how many units have it. */
int ecg_book_difference(json_t *j, const study *s, const char *a, const char *b, study_figure *room);

json_t *ecg_book_rows_json(const study *s);
json_t *ecg_book_differences_json(const study *s);
json_t *ecg_book_controls_json(const study *s, const json_t *differences);
json_t *ecg_book_forgetting_json(const study *s);
json_t *ecg_book_ablations_json(const study *s);
json_t *ecg_book_stages_json(const study *s);
json_t *ecg_book_curves_json(const study *s);
/* labels.csv, forgetting.csv out of the tables of the stages. */
ecg_status ecg_book_tables(const study *s, ecg_err *err);
/* What a cohort is, for results.json. */
ecg_status ecg_book_cohort_facts(json_t **out, const study *s, int cohort, ecg_err *err);
ecg_status ecg_book_results(const study *s, ecg_err *err);

/* ---- study.c ---- */
ecg_status ecg_book_open_study(study *s, const ecg_study_task *t, ecg_err *err); /* cohorts, plans, units; no book yet */
void ecg_book_close_study(study *s);

#endif
