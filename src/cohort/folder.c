/* SPDX-License-Identifier: MIT */
#include "cohort/build.h"

ecg_status ecg_cohort_build_folder(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    (void)out, (void)o, (void)pool, (void)watch;
    return ecg_fail(err, ECG_EUNSUPPORTED, "not yet");
}
