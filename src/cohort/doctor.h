/* SPDX-License-Identifier: MIT
 * doctor.h: looks at data folders before anything long is started: what is there, which release, what is missing, what can be built from
 * it, how long that takes and how large it gets. Reads beginnings of files only; ends within a minute whatever the size. */
#ifndef ECG_COHORT_DOCTOR_H
#define ECG_COHORT_DOCTOR_H

#include "base/text.h"
#include "base/watch.h"
#include "cohort/build.h"

/* from: as for a build; folders (n): any others, looked through for everything known. json: ecgraft.doctor/1. *complete: what the folders seem to be
 * meant for can be built. ECG_EIO: a folder is not there. */
ecg_status ecg_doctor(ecg_text *out, bool *complete, const ecg_build_sources *from, const char *const *folders, int n, int threads, bool json, const ecg_watch *watch, ecg_err *err);

#endif
