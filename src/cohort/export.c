/* SPDX-License-Identifier: MIT */
#include "cohort/export.h"

ecg_status ecg_cohort_export(const ecg_cohort *c, const char *folder, const ecg_export_options *o, const ecg_watch *watch, ecg_err *err)
{
    (void)c, (void)folder, (void)o, (void)watch;
    return ecg_fail(err, ECG_EUNSUPPORTED, "not yet");
}
