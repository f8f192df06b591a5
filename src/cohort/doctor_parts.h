/* SPDX-License-Identifier: MIT
 * doctor_parts.h: what the parts of the doctor share: the findings, filled from top to bottom. doctor_find.c finds the modules, doctor_tables.c
 * looks at their tables, doctor_records.c at recordings, doctor_plan.c says what can be built, doctor_words.c tells it. */
#ifndef ECG_COHORT_DOCTOR_PARTS_H
#define ECG_COHORT_DOCTOR_PARTS_H

#include "base/text.h"
#include "base/watch.h"
#include "cohort/build.h"

typedef enum { ECG_SEEN_ECG, ECG_SEEN_HOSP, ECG_SEEN_ICU, ECG_SEEN_ED, ECG_SEEN_ICD, ECG_SEEN_MDSED, ECG_SEEN_PTBXL, ECG_SEEN_WFDB, ECG_SEEN_KINDS } ecg_seen_kind;

typedef struct {
    ecg_seen_kind kind;
    const char *name;        /* "labevents.csv" */
    bool must;               /* its module is of no use without it */
    const char *use;         /* what is lost where it is absent */
    const char *columns;     /* those that are needed, a comma behind each */
    int64_t rows;            /* of the release, about; 0: not known */
} ecg_seen_spec;
extern const ecg_seen_spec ecg_seen_specs[];
extern const int ecg_seen_specs_n;
extern const char *const ecg_seen_names[ECG_SEEN_KINDS];   /* "MIMIC-IV-ECG" ... */
extern const char *const ecg_seen_options[ECG_SEEN_KINDS]; /* "--ecg" ... */

typedef struct {
    const ecg_seen_spec *spec;
    char path[512];          /* "": absent */
    int64_t bytes;
    double text;             /* bytes once expanded */
    int64_t rows;            /* -1: not known */
    bool exact;              /* read to its end */
    char problem[240];       /* "": none; the build would stop, or be wrong */
} ecg_seen_table;

typedef struct {
    ecg_seen_kind kind;
    char folder[512];        /* or the file itself: an archive, one table */
    bool archive;
    char version[200];       /* "2.2 (by its folder name)"; "": not known */
    ecg_seen_table table[10];
    int tables;
    int64_t headers;         /* plain folders: .hea files seen */
    char csv[512];           /* plain folders: a table beside the recordings */
    bool rate[2];            /* PTB-XL: records100, records500 are there */
} ecg_seen_module;

/* What a sample of the listed recordings says. */
typedef struct {
    const ecg_seen_module *of; /* NULL: no list */
    int64_t listed;
    bool listed_exact;
    int asked, present;        /* of a sample spread over the list */
    int tried, broken;         /* of those present, read and prepared */
    int asked_high, present_high; /* PTB-XL: files of 500 Hz */
    char first_absent[256], first_broken[400];
    double per_second;         /* on one thread; 0: not measured */
    int linked, link_asked;    /* of a larger sample: in an ED stay and within 90 min of arrival */
    int64_t stays;             /* ED stays (or admissions through the ED); -1: unknown */
} ecg_seen_records;

typedef struct {
    const char *what;          /* "MIMIC-IV" ... */
    bool possible;
    ecg_text command;
    char why_not[300];
    ecg_text lines;            /* what it is made of, a line each */
    int64_t rows;              /* -1: not known */
    bool rows_exact;
    double bytes, seconds, memory;
} ecg_seen_plan;

typedef struct {
    ecg_build_sources from;
    const char *const *folder; /* (folders) others to look through */
    int folders, threads;
    const ecg_watch *watch;
    double begun, until;       /* seconds of the monotonic clock: whatever is not looked at by then is said */
    ecg_seen_module module[24];
    int modules;
    bool synthetic;
    char synthetic_note[160];
    ecg_text problems, notes;  /* a line each */
    int problem_count;
    ecg_seen_records mimic, ptbxl;
    double table_rate;         /* bytes of CSV a second, one thread: expanded and cut into fields; 0: not measured */
    ecg_seen_plan plan[5];
    int plans;
    double disk_free, memory;  /* bytes; the disk is that of the working folder */
} ecg_seen;

double ecg_seen_clock(void);
static inline bool ecg_seen_late(const ecg_seen *d)
{
    return ecg_seen_clock() > d->until || ecg_stopped(d->watch);
}
void ecg_seen_problem(ecg_seen *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ecg_seen_note(ecg_seen *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const ecg_seen_module *ecg_seen_module_of(const ecg_seen *d, ecg_seen_kind kind); /* the first; NULL: none */
const ecg_seen_table *ecg_seen_table_of(const ecg_seen *d, ecg_seen_kind kind, const char *name); /* NULL: none, or absent */

ecg_status ecg_seen_find(ecg_seen *d, ecg_err *err); /* ECG_EIO: a folder that was named is not there */
void ecg_seen_tables(ecg_seen *d);
void ecg_seen_version(ecg_seen *d, ecg_seen_module *m); /* its tables are known */
void ecg_seen_recordings(ecg_seen *d);
ecg_status ecg_seen_plans(ecg_seen *d, ecg_err *err);

ecg_status ecg_seen_text(ecg_text *out, const ecg_seen *d, bool complete, ecg_err *err);
ecg_status ecg_seen_json(ecg_text *out, const ecg_seen *d, bool complete, ecg_err *err);

#endif
