/* SPDX-License-Identifier: MIT */
#include "cohort/doctor.h"

ecg_status ecg_doctor(ecg_text *out, bool *complete, const ecg_build_sources *from, const char *const *folders, int n, int threads, bool json, const ecg_watch *watch, ecg_err *err)
{
    (void)out, (void)complete, (void)from, (void)folders, (void)n, (void)threads, (void)json, (void)watch;
    return ecg_fail(err, ECG_EUNSUPPORTED, "not yet");
}
