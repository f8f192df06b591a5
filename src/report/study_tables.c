/* SPDX-License-Identifier: MIT
 * study_tables.c: Table 1 beside the paper's, the differences, the controls. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/html.h"
#include "report/study_parts.h"

static bool is_kind(const json_t *row, const char *kinds)
{
    const char *kind = ecg_study_text(row, "kind");
    return *kind && strstr(kinds, kind);
}

/* The first entry of its row: a row with two tasks has two. */
static bool is_first(const json_t *rows, size_t i)
{
    size_t k;
    json_t *x;
    json_array_foreach(rows, k, x)
        if (!strcmp(ecg_study_text(x, "row"), ecg_study_text(json_array_get(rows, i), "row")))
            return k == i;
    return false;
}

/* ---- Table 1 ------------------------------------------------------------------------------------------------------------------------ */

static void put_two_cells(ecg_text *to, const ecg_study_view *v, const char *name, const char *task)
{
    const json_t *row = ecg_study_row(v, name, task);
    ecg_put_cell(to, ecg_study_number(row, "paper"), 3, false);
    if (!row)
        ecg_text_puts(to, "<td class=\"n\">&#8211;</td>");
    else if (ecg_study_has(row, "auroc"))
        ecg_put_cell_span(to, ecg_study_auroc(row), 3, false);
    else
        ecg_put_cell_state(to, row);
}

/* The rows of a kind under their heading, if there are any. */
static void put_rows(ecg_text *to, const ecg_study_view *v, const char *kinds, const char *heading)
{
    const json_t *rows = ecg_study_list(v->root, "rows");
    size_t i;
    json_t *row;
    bool any = false;
    json_array_foreach(rows, i, row)
    {
        const char *name = ecg_study_text(row, "row"), *title = ecg_study_title(v, name);
        if (!is_kind(row, kinds) || !is_first(rows, i))
            continue;
        if (!any)
            ecg_text_printf(to, "</tbody>\n<tbody><tr class=\"group\"><th scope=\"rowgroup\" colspan=\"6\">%s</th></tr>\n", heading);
        any = true;
        ecg_text_puts(to, is_kind(row, "ours") ? "<tr class=\"ours\"><th scope=\"row\">" : "<tr><th scope=\"row\">");
        ecg_html_text(to, title);
        ecg_text_puts(to, "</th>");
        ecg_html_cell(to, ecg_study_text(json_object_get(row, "needs"), "inference"));
        put_two_cells(to, v, name, "diagnoses");
        put_two_cells(to, v, name, "labs");
        ecg_text_puts(to, "</tr>\n");
    }
}

/* All rows of a kind on one axis, the paper's figure beside ours. */
static void put_row_plot(ecg_text *to, const ecg_study_view *v, const char *kinds)
{
    static const char *const heads[] = {"Row", "Task", "@macro AUROC", "#here", "#paper"};
    const json_t *rows = ecg_study_list(v->root, "rows");
    double x[4 * 64];
    int n = 0;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
        if (is_kind(row, kinds) && n + 4 <= (int)(sizeof x / sizeof *x)) {
            const ecg_span s = ecg_study_auroc(row);
            x[n++] = s.point;
            x[n++] = s.lo;
            x[n++] = s.hi;
            x[n++] = ecg_study_number(row, "paper");
        }
    const ecg_axis axis = ecg_axis_over(x, n, NAN);
    ecg_text_puts(to, "<p class=\"small keys\">");
    ecg_put_key(to, 'a', "here, with its 95 % interval");
    ecg_put_key(to, 'c', "the paper's figure, on its own cohort");
    ecg_text_puts(to, "</p>\n");
    ecg_put_forest(to, v, "The same figures drawn: macro AUROC on the test fold", heads, 5, &axis);
    json_array_foreach(rows, i, row)
    {
        if (!is_kind(row, kinds))
            continue;
        const bool has = ecg_study_has(row, "auroc");
        const double paper = ecg_study_number(row, "paper");
        const ecg_mark mark[2] = {{has ? ecg_study_auroc(row) : (ecg_span){NAN, NAN, NAN}, 'a'}, {{paper, NAN, NAN}, 'c'}};
        ecg_html_row(to, ecg_study_title(v, ecg_study_text(row, "row")));
        ecg_html_cell(to, ecg_study_text(row, "task"));
        ecg_put_marks(to, &axis, mark, 2);
        if (has)
            ecg_put_cell_span(to, ecg_study_auroc(row), 3, false);
        else
            ecg_put_cell_state(to, row);
        ecg_put_cell(to, paper, 3, false);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
}

static void put_other_scores(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"Row", "Task", "#all ECGs", "#first ECG of each stay", "#undefined as 0.5", "#micro AUROC", "#macro AUPRC", "#labels", "#test ECGs", "#spread"};
    size_t i;
    json_t *row;
    ecg_text_puts(to, "<details><summary>Other ways to score the same predictions</summary>\n");
    ecg_put_table(to, v, "Macro AUROC of all test ECGs and of the first of each stay, with labels of one class left out or counted as 0.5; micro AUROC; macro "
                         "average precision; labels with both classes; spread: standard deviation between cohorts or seeds", heads,
                  ecg_study_units(v) > 1 ? 10 : 9);
    json_array_foreach(ecg_study_list(v->root, "rows"), i, row)
    {
        const json_t *unit = json_array_get(ecg_study_list(row, "units"), 0);
        if (!ecg_study_has(row, "auroc"))
            continue;
        ecg_html_row(to, ecg_study_title(v, ecg_study_text(row, "row")));
        ecg_html_cell(to, ecg_study_text(row, "task"));
        ecg_put_cell_span(to, ecg_study_auroc(row), 3, false);
        ecg_put_cell_span(to, ecg_study_auroc(json_object_get(row, "first_in_stay")), 3, false);
        ecg_put_cell_span(to, ecg_study_auroc(json_object_get(row, "half")), 3, false);
        ecg_put_cell_span(to, ecg_study_auroc(json_object_get(row, "micro")), 3, false);
        ecg_put_cell_span(to, ecg_study_span(json_object_get(row, "precision"), "value", "lo", "hi"), 3, false);
        ecg_put_cell(to, ecg_study_number(unit, "defined"), 0, false);
        ecg_put_cell(to, ecg_study_number(unit, "records"), 0, false);
        if (ecg_study_units(v) > 1)
            ecg_put_cell(to, ecg_study_number(row, "spread"), 3, false);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
    ecg_text_puts(to, "</details>\n");
}

/* How the intervals of the figures came about, once for each kind there is. */
static void put_interval_notes(ecg_text *to, const ecg_study_view *v, const char *list)
{
    static const char *const kinds[] = {"bootstrap", "mean_bootstrap", "t"};
    for (size_t k = 0; k < 3; k++) {
        size_t i;
        json_t *x;
        json_array_foreach(ecg_study_list(v->root, list), i, x)
            if (!strcmp(ecg_study_text(x, "interval"), kinds[k]))
                break;
        if (i == json_array_size(ecg_study_list(v->root, list)))
            continue;
        ecg_text_puts(to, "<p class=\"small muted\">95 % intervals: ");
        ecg_html_text(to, ecg_interval_words(kinds[k]));
        if (kinds[k][0] != 't')
            ecg_text_printf(to, " (%" PRId64 " resamples drawn by %s, seed %" PRId64 ")", ecg_study_count(v->root, "resamples"),
                            !strcmp(ecg_study_text(v->root, "bootstrap"), "ecg") ? "ECG" : "patient", ecg_study_count(v->root, "bootstrap_seed"));
        ecg_text_puts(to, ".</p>\n");
    }
}

void ecg_put_table_1(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"Model", "Needs at inference", "#diagnoses: paper", "#diagnoses: here", "#labs: paper", "#labs: here"};
    ecg_put_section(to, v, "table1", "Table 1");
    ecg_put_table(to, v, "Macro AUROC on the test fold (95 % interval), beside the figures of arXiv 2512.07021, which has other patients and gives no intervals", heads, 6);
    put_rows(to, v, "baseline", "Baselines");
    put_rows(to, v, "ours", "Three stages");
    put_rows(to, v, "control", "Controls, which the paper does not have");
    put_rows(to, v, "published", "The baselines' released recipes");
    ecg_html_table_end(to);
    put_interval_notes(to, v, "rows");
    ecg_text_puts(to, "<p class=\"small muted\">The paper's figures come from MIMIC-IV patients and are printed for orientation: absolute values of different cohorts cannot be "
                      "compared, only whether the order of the rows agrees.</p>\n");
    put_row_plot(to, v, "baseline ours");
    put_other_scores(to, v);
    ecg_text_puts(to, "</section>\n");
}

/* ---- differences -------------------------------------------------------------------------------------------------------------------- */

static void put_above(ecg_text *to, double share)
{
    char digits[ECG_DIGITS];
    ecg_text_puts(to, "<td class=\"n narrow\">");
    if (isnan(share))
        ecg_text_puts(to, "&#8211;");
    else
        ecg_text_printf(to, "%s %%", ecg_fixed(digits, 100 * share, 1, false));
    ecg_text_puts(to, "</td>");
}

static void put_difference(ecg_text *to, const ecg_study_view *v, const json_t *d, const ecg_axis *axis)
{
    const char *what = ecg_study_text(d, "what");
    ecg_text_puts(to, "<tr><th scope=\"row\">");
    if (*what) {
        ecg_html_text(to, what);
    } else {
        ecg_html_text(to, ecg_study_title(v, ecg_study_text(d, "a")));
        ecg_text_puts(to, " minus ");
        ecg_html_text(to, ecg_study_title(v, ecg_study_text(d, "b")));
    }
    ecg_text_puts(to, "</th>");
    const bool has = ecg_study_has(d, "difference");
    const ecg_span s = has ? ecg_study_span(d, "difference", "lo", "hi") : (ecg_span){NAN, NAN, NAN};
    ecg_put_marks(to, axis, &(ecg_mark){s, 'a'}, 1);
    if (has)
        ecg_put_cell_span(to, s, 3, true);
    else
        ecg_put_cell_state(to, d);
    ecg_html_cell(to, has ? ecg_finding(s) : "");
    put_above(to, ecg_study_number(d, "above"));
    if (ecg_study_units(v) > 1)
        ecg_put_cell(to, ecg_study_number(d, "spread"), 3, false);
    ecg_text_puts(to, "</tr>\n");
}

static void put_differences_of(ecg_text *to, const ecg_study_view *v, const char *task, const char *caption)
{
    static const char *const heads[] = {"Difference", "@AUROC", "#difference", "Interval", "#resamples above zero", "#spread"};
    const json_t *list = ecg_study_list(v->root, "differences");
    double x[3 * 64];
    int n = 0, rows = 0;
    size_t i;
    json_t *d;
    json_array_foreach(list, i, d)
        if (!strcmp(ecg_study_text(d, "task"), task)) {
            const ecg_span s = ecg_study_span(d, "difference", "lo", "hi");
            rows++;
            if (n + 3 <= (int)(sizeof x / sizeof *x)) {
                x[n++] = s.point;
                x[n++] = s.lo;
                x[n++] = s.hi;
            }
        }
    if (!rows)
        return;
    const char *why = ecg_study_without(v, task);
    if (why) {
        ecg_text line = {0};
        ecg_text_printf(&line, "%c%s: no differences (%s).", task[0] - 32, task + 1, *why ? why : "left out");
        ecg_put_absent(to, line.at ? line.at : "");
        ecg_text_clear(&line);
        return;
    }
    const ecg_axis axis = ecg_axis_over(x, n, 0);
    ecg_put_forest(to, v, caption, heads, ecg_study_units(v) > 1 ? 6 : 5, &axis);
    json_array_foreach(list, i, d)
        if (!strcmp(ecg_study_text(d, "task"), task))
            put_difference(to, v, d, &axis);
    ecg_html_table_end(to);
}

static void put_units(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"Difference", "Task", "Unit", "#all ECGs", "#first ECG of each stay"};
    size_t i, k;
    json_t *d, *u;
    ecg_text_puts(to, "<details><summary>Each cohort and seed, all ECGs and the first of each stay</summary>\n");
    ecg_put_table(to, v, "Paired differences of macro AUROC of each unit (one cohort with one seed) with the 95 % bootstrap interval of that unit", heads, 5);
    json_array_foreach(ecg_study_list(v->root, "differences"), i, d)
        json_array_foreach(ecg_study_list(d, "units"), k, u)
        {
            ecg_html_row(to, ecg_study_text(d, "what"));
            ecg_html_cell(to, ecg_study_text(d, "task"));
            ecg_html_cell(to, ecg_study_text(u, "unit"));
            ecg_put_cell_span(to, ecg_study_span(u, "difference", "lo", "hi"), 3, true);
            ecg_put_cell_span(to, ecg_study_span(json_object_get(u, "first_in_stay"), "difference", "lo", "hi"), 3, true);
            ecg_text_puts(to, "</tr>\n");
        }
    ecg_html_table_end(to);
    ecg_text_puts(to, "</details>\n");
}

void ecg_put_differences(ecg_text *to, const ecg_study_view *v)
{
    ecg_put_section(to, v, "differences", "Differences");
    if (json_array_size(ecg_study_list(v->root, "differences"))) {
        put_differences_of(to, v, "diagnoses", "Diagnoses: paired differences of macro AUROC on the same test records (95 % interval); the line is zero");
        put_differences_of(to, v, "labs", "Labs: paired differences of macro AUROC on the same test records (95 % interval); the line is zero");
        put_interval_notes(to, v, "differences");
        put_units(to, v);
    } else {
        ecg_put_absent(to, "Not reported: results.json holds no differences.");
    }
    ecg_text_puts(to, "</section>\n");
}

/* ---- controls ----------------------------------------------------------------------------------------------------------------------- */

static void put_control(ecg_text *to, const ecg_study_view *v, const json_t *c)
{
    size_t i;
    json_t *d;
    ecg_html_row(to, ecg_study_text(c, "title"));
    ecg_html_cell(to, ecg_study_text(c, "expected"));
    const json_t *list = ecg_study_list(c, "differences");
    if (!ecg_study_done(c)) {
        ecg_put_cell_state(to, c);
    } else if (json_array_size(list)) {
        ecg_text_puts(to, "<td class=\"n because\">");
        json_array_foreach(list, i, d)
        {
            ecg_text words = {0};
            ecg_words_span(&words, ecg_study_span(d, "difference", "lo", "hi"), true);
            ecg_put_words(to, words.at ? words.at : "");
            ecg_text_puts(to, "<small>");
            ecg_html_text(to, ecg_study_title(v, ecg_study_text(d, "a")));
            ecg_text_puts(to, " minus ");
            ecg_html_text(to, ecg_study_title(v, ecg_study_text(d, "b")));
            ecg_text_puts(to, "</small>");
            ecg_text_clear(&words);
        }
        ecg_text_puts(to, "</td>");
    } else {
        ecg_text_puts(to, "<td class=\"n\"><a href=\"#curves\">curves below</a></td>");
    }
    ecg_text_puts(to, "</tr>\n");
}

void ecg_put_controls(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"Control", "Expected", "#Found"};
    size_t i;
    json_t *c;
    ecg_put_section(to, v, "controls", "Controls");
    if (json_array_size(ecg_study_list(v->root, "controls"))) {
        ecg_put_table(to, v, "What must come out if the gain is what it is said to be (differences of macro AUROC, 95 % interval)", heads, 3);
        json_array_foreach(ecg_study_list(v->root, "controls"), i, c)
            put_control(to, v, c);
        ecg_html_table_end(to);
    } else {
        ecg_put_absent(to, "Not reported: results.json holds no controls.");
    }
    ecg_text_puts(to, "</section>\n");
}
