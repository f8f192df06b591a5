/* SPDX-License-Identifier: MIT
 * study_page.h: a study as a page, as Markdown and as JSON, from the files in its folder (docs/study_results.md) and from nothing else. */
#ifndef ECG_REPORT_STUDY_PAGE_H
#define ECG_REPORT_STUDY_PAGE_H

#include "base/status.h"

/* Reads RUN/results.json and the tables beside it, writes RUN/report.html, report.md, report.json. Parts that are missing are named as
 * missing. ECG_EIO: no results.json. ECG_EDATA: it contradicts its description; err says in which file and, where JSON breaks, in which line. */
ecg_status ecg_study_report(const char *folder, ecg_err *err);

#endif
