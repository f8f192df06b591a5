/* SPDX-License-Identifier: MIT
 * html.h: the frame and the pieces of a page. One file that needs no network and no script, light and dark, readable on a phone and on
 * A4, with the statement of use at its head and foot. Knows nothing of cohorts or models. Out of memory shows in ecg_text.failed. */
#ifndef ECG_REPORT_HTML_H
#define ECG_REPORT_HTML_H

#include "base/text.h"

/* Head, style and the page's head: kind ("Cohort") above the title. synthetic: the banner that nobody described here ever lived. */
void ecg_html_begin(ecg_text *to, const char *kind, const char *title, bool synthetic);
void ecg_html_begin_with(ecg_text *to, const char *kind, const char *title, bool synthetic, const char *more); /* with more style, not escaped */
void ecg_html_end(ecg_text *to);

void ecg_html_text(ecg_text *to, const char *s);      /* escaped, fit for text and for attributes */
void ecg_html_count(ecg_text *to, int64_t n);         /* 129057 -> 129,057 */
void ecg_html_percent(ecg_text *to, int64_t part, int64_t of); /* 12.3%; of = 0: a dash */
void ecg_html_code(ecg_text *to, const char *code);   /* escaped; ICD-10 codes with their dot: I4891 -> I48.91 */

void ecg_html_section(ecg_text *to, const char *title); /* <section><h2>; closed by </section> */

/* <div><table><caption><thead>: the columns' heads, "#" before a head of numbers; closed by ecg_html_table_end. */
void ecg_html_table(ecg_text *to, const char *caption, const char *const *heads, int n);
void ecg_html_table_end(ecg_text *to);
void ecg_html_row(ecg_text *to, const char *head);    /* <tr> and the cell that names the row; NULL: <tr> alone */
void ecg_html_cell(ecg_text *to, const char *s);      /* text */
void ecg_html_cell_count(ecg_text *to, int64_t n);
void ecg_html_cell_share(ecg_text *to, int64_t part, int64_t of); /* "1,234 (5.6%)" */
/* Two lengths behind each other, shares of the whole width; the second in the colour of what was lost. For the eye only: the number
 * stands in a cell beside it. */
void ecg_html_cell_bar(ecg_text *to, double share, double lost);

/* A drawing of pillars side by side, each of parts on one another, with its key; the numbers follow as a table, folded. */
enum { ECG_HTML_SERIES = 4 };
typedef struct {
    char label[12];
    int64_t part[ECG_HTML_SERIES];
} ecg_html_pillar;
void ecg_html_pillars(ecg_text *to, const char *what, const char *head, const ecg_html_pillar *p, int n, const char *const *series, int count);

#endif
