/* SPDX-License-Identifier: MIT
 * cohort_page.h: what a cohort holds, as one self-contained HTML page and as tables: attrition, roles, prevalence, missingness, sources. */
#ifndef ECG_REPORT_COHORT_PAGE_H
#define ECG_REPORT_COHORT_PAGE_H

#include "cohort/describe.h"

ecg_status ecg_cohort_page(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err);
/* attrition.csv, roles.csv, prevalence.csv (set, code, title, role, known, positive, share), missing.csv (column, group, unit, role, missing, share) into folder. */
ecg_status ecg_cohort_page_tables(const char *folder, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err);

#endif
