/* SPDX-License-Identifier: MIT
 * synth_course.h: one patient's way through the hospital: stays, admissions and recordings with their identifiers and times, each with
 * the physiology of its moment. What the tables are written from. */
#ifndef ECG_COHORT_SYNTH_COURSE_H
#define ECG_COHORT_SYNTH_COURSE_H

#include "cohort/synth_codes.h"

enum { ECG_STAYS = 16, ECG_RECORDINGS = 16 };

typedef struct {
    ecg_visit v;
    ecg_take take;             /* parameters of its first recording; an extra stay would have had these */
    ecg_effects effects;       /* on the heart rate, then on that recording */
    ecg_coding coding;
    uint32_t number;           /* 1..16, also the counter word of its draws */
    bool extra;                /* a stay without ECG */
    int64_t stay_id, hadm_id;  /* hadm_id -1: not admitted */
    int64_t in, out;           /* seconds since 1970 in a calendar without zones */
    int64_t admit, discharge;  /* of the admission */
    bool died;                 /* in hospital */
    bool icd9;                 /* coded before October 2015 */
    int64_t labs;              /* blood taken */
} ecg_stay;

typedef enum { ECG_FIRST_OF_STAY, ECG_SECOND_OF_STAY, ECG_OUTSIDE_HOSPITAL } ecg_recording_kind;

typedef struct {
    ecg_recording_kind kind;
    int stay;            /* index, -1: outside the hospital */
    uint32_t number;     /* counter word of its draws */
    int64_t study_id, time;
    bool late;           /* after the 90 minutes */
} ecg_recording;

typedef struct {
    ecg_patient p;
    int64_t subject_id, dod; /* INT64_MIN: alive */
    int anchor_year, anchor_age, year_group;
    int stays, recordings;
    ecg_stay stay[ECG_STAYS];                /* in time order */
    ecg_recording recording[ECG_RECORDINGS]; /* in time order */
    ecg_visit outside;                       /* state of the recording outside the hospital */
} ecg_course;

int ecg_synth_visits(const ecg_synth *s, uint32_t ordinal); /* how often somebody comes and has an ECG, 1 to 16 */
void ecg_synth_course(ecg_course *c, const ecg_synth *s, uint32_t ordinal);
const ecg_visit *ecg_course_visit(const ecg_course *c, const ecg_recording *r);
/* Parameters and effects of a recording that is not the first of its stay; effects end with those of the visit. */
void ecg_course_take(ecg_take *t, ecg_effects *f, const ecg_synth *s, const ecg_course *c, const ecg_recording *r);
extern const char *const ecg_year_groups[5];

#endif
