/* SPDX-License-Identifier: MIT
 * check.h: is a cohort file what it says it is: structure, hashes, values, folds, leakage. */
#ifndef ECG_COHORT_CHECK_H
#define ECG_COHORT_CHECK_H

#include "base/pool.h"
#include "base/text.h"
#include "base/watch.h"
#include "cohort/store.h"

typedef enum { ECG_CHECK_OK, ECG_CHECK_NOTE, ECG_CHECK_WRONG } ecg_check_result; /* a note is worth knowing, and no fault of the file */

typedef struct {
    const char *name;       /* "data hash", "patients in one fold" ... a constant */
    ecg_check_result result;
    char text[240];         /* what was found: counts, the first place */
} ecg_check;

typedef struct {
    ecg_check *at;          /* (n) in the order in which they were made */
    int n, wrong;
} ecg_checks;

/* A file that cannot be opened at all is the error; everything else is a check with its result. */
ecg_status ecg_cohort_check(ecg_checks *out, const char *path, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);
void ecg_checks_clear(ecg_checks *c);

ecg_status ecg_checks_text(ecg_text *out, const ecg_checks *c, const char *path, ecg_err *err);
ecg_status ecg_checks_json(ecg_text *out, const ecg_checks *c, const char *path, ecg_err *err); /* ecgraft.check/1, ends with \n */

#endif
