/* SPDX-License-Identifier: MIT
 * study_parts.h: what the files of the study report share: results.json as it was checked, the per-label figures, numbers as text, pieces of
 * the page. Of no use outside this folder. */
#ifndef ECG_REPORT_STUDY_PARTS_H
#define ECG_REPORT_STUDY_PARTS_H

#include <jansson.h>

#include "base/json.h"
#include "base/status.h"
#include "base/text.h"

/* ---- what is reported (study_read.c) -------------------------------------------------------------------------------------------------- */

typedef struct { double point, lo, hi; } ecg_span; /* NAN where there is none */

/* A line of labels.csv. Strings are owned. */
typedef struct {
    char *row, *task, *unit, *code, *title;
    int64_t positives, negatives;
    ecg_span auroc;
    double precision;
} ecg_study_label;

typedef struct {
    char folder[512];
    json_t *root;            /* results.json */
    json_t *verdict;         /* [{about, finding, text}] (study_words.c) */
    json_t *missing;         /* ["labels.csv: ..."]: files that would have filled a part */
    bool synthetic;
    ecg_study_label *label;  /* (labels) by task, code, row, unit */
    int64_t labels;
} ecg_study_view;

ecg_status ecg_study_read(ecg_study_view *out, const char *folder, ecg_err *err);
void ecg_study_view_clear(ecg_study_view *v);
void ecg_study_miss(ecg_study_view *v, const char *name, const char *why); /* remembers a file that was not there */
/* The file of a run folder that results.json names; false: the name leads out of RUN. */
bool ecg_study_path(char out[1024], const ecg_study_view *v, const char *folder, const char *name);

/* Of an object, which may be NULL: what is absent or null is "", NAN, -1, NULL. */
const char *ecg_study_text(const json_t *object, const char *key);
double ecg_study_number(const json_t *object, const char *key);
int64_t ecg_study_count(const json_t *object, const char *key);
json_t *ecg_study_list(const json_t *object, const char *key);
ecg_span ecg_study_span(const json_t *object, const char *point, const char *lo, const char *hi);
ecg_span ecg_study_auroc(const json_t *object); /* auroc, lo, hi */
bool ecg_study_done(const json_t *object); /* status done, partial or none */
bool ecg_study_has(const json_t *object, const char *measure); /* done, and the number is there */
const char *ecg_study_state(const json_t *object); /* "failed", "left out" ...: what stands where a number would */
const char *ecg_study_without(const ecg_study_view *v, const char *task); /* why no row of a task can be: "the cohort has no ..."; NULL: one can */
json_t *ecg_study_row(const ecg_study_view *v, const char *row, const char *task);   /* NULL: none */
json_t *ecg_study_difference(const ecg_study_view *v, const char *a, const char *b, const char *task);
json_t *ecg_study_stage(const ecg_study_view *v, const char *stage); /* of forgetting */
/* Whether the diagnoses look like codes of ICD-10, a letter and a digit. Those of other cohorts are other things: in PTB-XL statements on the ECG. */
bool ecg_study_icd(const ecg_study_view *v);
size_t ecg_study_units(const ecg_study_view *v); /* cohorts times seeds */
const char *ecg_study_title(const ecg_study_view *v, const char *row); /* its title, or the word itself */

/* ---- words (study_words.c) ------------------------------------------------------------------------------------------------------------ */

enum { ECG_DIGITS = 32 };
const char *ecg_fixed(char out[ECG_DIGITS], double x, int decimals, bool sign); /* "0.701", "+0.012", "-" */
void ecg_words_span(ecg_text *to, ecg_span s, bool sign);                       /* "0.701 (0.680 to 0.722)" */
const char *ecg_finding(ecg_span difference);                                   /* "above zero", "includes zero", "below zero", "not known" */
void ecg_words_plain(ecg_text *to, const ecg_text *from);                       /* UTF-8 for JSON; what is none becomes '?' */
const char *ecg_interval_words(const char *interval);                           /* how an interval came about */
ecg_status ecg_study_judge(ecg_study_view *v, ecg_err *err);                    /* fills v->verdict */

/* ---- pieces of the page (study_pieces.c, study_figures.c) -------------------------------------------------------------------------------- */

void ecg_put_section(ecg_text *to, const ecg_study_view *v, const char *id, const char *title);
void ecg_put_table(ecg_text *to, const ecg_study_view *v, const char *caption, const char *const *heads, int n); /* says so where all is synthetic */
void ecg_put_words(ecg_text *to, const char *s);             /* escaped, with true minus signs */
void ecg_put_number(ecg_text *to, double x, int decimals, bool sign); /* a dash where there is none */
void ecg_put_cell(ecg_text *to, double x, int decimals, bool sign);
void ecg_put_cell_span(ecg_text *to, ecg_span s, int decimals, bool sign);
void ecg_put_cell_state(ecg_text *to, const json_t *object);  /* "left out: no laboratory labels" */
void ecg_put_absent(ecg_text *to, const char *what);          /* a paragraph in place of a part */
void ecg_put_duration(ecg_text *to, double seconds);

/* A forest plot is a column of a table: rows share an axis, marks lie on it. A head "@name" of ecg_put_forest is that column. */
typedef struct { double lo, hi, step, line; int decimals; bool sign; } ecg_axis; /* line: drawn through all rows; NAN: none */
ecg_axis ecg_axis_over(const double *x, int64_t n, double line); /* round numbers around them; NANs do not count */
typedef struct { ecg_span at; char look; /* 'a' filled disc, 'b' square, 'c' open diamond, in the middle */ } ecg_mark;
void ecg_put_forest(ecg_text *to, const ecg_study_view *v, const char *caption, const char *const *heads, int n, const ecg_axis *axis);
void ecg_put_marks(ecg_text *to, const ecg_axis *axis, const ecg_mark *mark, int n);
void ecg_put_key(ecg_text *to, char look, const char *what); /* 'A' 'B' 'C': the lines of panels */

/* Lines over x and y, drawn in a panel of 90 x 56 mm. */
typedef struct { const double *x, *y; int n; char look; /* as above; 'd': grey, without dots */ const double *weight; /* dots' areas, may be NULL */ } ecg_curve;
typedef struct {
    const char *title, *desc, *x_name, *y_name;
    double x_lo, x_hi, y_lo, y_hi; /* y_lo NAN: from the curves */
    double mark;                   /* an x worth a line, NAN: none */
    bool diagonal;
    const ecg_curve *curve;
    int curves;
} ecg_panel;
void ecg_put_panel(ecg_text *to, const ecg_panel *p);

/* ---- sections ------------------------------------------------------------------------------------------------------------------------- */

void ecg_put_table_1(ecg_text *to, const ecg_study_view *v);      /* study_tables.c */
void ecg_put_differences(ecg_text *to, const ecg_study_view *v);
void ecg_put_controls(ecg_text *to, const ecg_study_view *v);
void ecg_put_forgetting(ecg_text *to, const ecg_study_view *v);   /* study_options.c */
void ecg_put_ablations(ecg_text *to, const ecg_study_view *v);
void ecg_put_curves(ecg_text *to, const ecg_study_view *v);
ecg_status ecg_put_labels(ecg_text *to, const ecg_study_view *v, ecg_err *err);   /* study_labels.c */
ecg_status ecg_put_calibration(ecg_text *to, ecg_study_view *v, ecg_err *err);    /* study_calibration.c, with the subgroups */
void ecg_put_cohorts(ecg_text *to, const ecg_study_view *v);      /* study_card.c */
void ecg_put_card(ecg_text *to, const ecg_study_view *v);
void ecg_put_tripod(ecg_text *to, const ecg_study_view *v);       /* study_tripod.c */
void ecg_put_making(ecg_text *to, const ecg_study_view *v);

void ecg_study_markdown(ecg_text *to, const ecg_study_view *v);   /* study_md.c */
json_t *ecg_study_json(const ecg_study_view *v);                  /* study_json.c; NULL: out of memory */

#endif
