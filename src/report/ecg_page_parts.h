/* SPDX-License-Identifier: MIT
 * ecg_page_parts.h: what the files of the page of one ECG share: reading the prediction, and the column that says why. */
#ifndef ECG_REPORT_ECG_PAGE_PARTS_H
#define ECG_REPORT_ECG_PAGE_PARTS_H

#include <jansson.h>

#include "base/text.h"

const char *ecg_page_text(const json_t *j, const char *key);              /* "" where there is none */
double ecg_page_number(const json_t *j, const char *key);                 /* NAN */
bool ecg_page_pair(double pair[2], const json_t *j, const char *key);     /* false: no array of two numbers */
void ecg_page_percent(ecg_text *to, double p);                            /* 0.41 -> "41 %", NAN -> a dash */
void ecg_page_arrow(ecg_text *to, const char *direction);                 /* " ^ high", nothing for "" */

/* <section>: for one diagnosis which parts its score is made of and which laboratory values it moves with; the others folded. */
void ecg_page_why(ecg_text *to, const json_t *prediction);

#endif
