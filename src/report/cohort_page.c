/* SPDX-License-Identifier: MIT */
#include "report/cohort_page.h"

ecg_status ecg_cohort_page(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    (void)out, (void)c, (void)s;
    return ecg_fail(err, ECG_EUNSUPPORTED, "not yet");
}
ecg_status ecg_cohort_page_tables(const char *folder, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    (void)folder, (void)c, (void)s;
    return ecg_fail(err, ECG_EUNSUPPORTED, "not yet");
}
