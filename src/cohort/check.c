/* SPDX-License-Identifier: MIT */
#include "cohort/check.h"

ecg_status ecg_cohort_check(ecg_checks *out, const char *path, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    (void)out, (void)path, (void)pool, (void)watch;
    return ecg_fail(err, ECG_EUNSUPPORTED, "not yet");
}
void ecg_checks_clear(ecg_checks *c) { (void)c; }
ecg_status ecg_checks_text(ecg_text *out, const ecg_checks *c, const char *path, ecg_err *err) { (void)out, (void)c, (void)path, (void)err; return ECG_OK; }
ecg_status ecg_checks_json(ecg_text *out, const ecg_checks *c, const char *path, ecg_err *err) { (void)out, (void)c, (void)path, (void)err; return ECG_OK; }
