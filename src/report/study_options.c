/* SPDX-License-Identifier: MIT
 * study_options.c: learning curves, what is forgotten, what each option costs and gives. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/study_parts.h"

/* ---- learning curves ---------------------------------------------------------------------------------------------------------------- */

enum { MOST_EPOCHS = 100000 };

/* Numbers of a list, at most n; NAN for null and what no panel could hold. */
static int numbers(double *out, const json_t *list, int n)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        if ((int)i >= n)
            break;
        out[i] = json_is_number(x) && fabs(json_number_value(x)) < 1e12 ? json_number_value(x) : NAN;
    }
    return (int)i < n ? (int)i : n;
}

static void put_one(ecg_text *to, const json_t *curve, const char *key, const char *name, double *x, double *y, int epochs)
{
    char desc[400], first[ECG_DIGITS], last[ECG_DIGITS];
    const double best = ecg_study_number(curve, "best_epoch");
    const int n = numbers(y, ecg_study_list(curve, key), epochs);
    if (!n)
        return;
    snprintf(desc, sizeof desc, "%.200s: %d epochs, from %s to %s; the broken line marks the epoch that was kept", ecg_study_text(curve, "title"), n,
             ecg_fixed(first, y[0], 3, false), ecg_fixed(last, y[n - 1], 3, false));
    const ecg_curve line = {x, y, n, 'a', NULL};
    ecg_put_panel(to, &(ecg_panel){name, desc, "epoch", name, x[0] < 1 ? 0 : 1, x[epochs - 1], NAN, NAN, best, false, &line, 1});
}

static void put_curve_pair(ecg_text *to, const json_t *curve, double *x, double *y)
{
    const char *measure = ecg_study_text(curve, "measure");
    const int epochs = numbers(x, ecg_study_list(curve, "epoch"), MOST_EPOCHS);
    for (int i = 0; i < epochs; i++)
        if (!(x[i] >= 0 && x[i] < 1e7))
            return;
    if (!epochs)
        return;
    ecg_text_puts(to, "<div class=\"pair\">\n<h3>");
    ecg_html_text(to, ecg_study_text(curve, "title"));
    ecg_text_puts(to, "</h3>\n");
    put_one(to, curve, "loss", "training loss", x, y, epochs);
    put_one(to, curve, "value", !strcmp(measure, "validation_auroc") ? "validation macro AUROC" : !strcmp(measure, "validation_loss") ? "validation loss" : measure, x, y,
            epochs);
    ecg_text_puts(to, "</div>\n");
}

void ecg_put_curves(ecg_text *to, const ecg_study_view *v)
{
    const json_t *curves = ecg_study_list(v->root, "curves");
    const char *unit = ecg_study_text(json_array_get(curves, 0), "unit");
    double *x = malloc(2 * MOST_EPOCHS * sizeof *x);
    size_t i, left = 0;
    json_t *curve;
    ecg_put_section(to, v, "curves", "Learning curves");
    if (!x) {
        to->failed = true;
        return;
    }
    if (json_array_size(curves)) {
        ecg_text_puts(to, "<p class=\"small muted\">Training loss, and the measure by which the epoch was chosen on validation; the broken line marks that epoch.</p>\n"
                          "<div class=\"panels\">\n");
        json_array_foreach(curves, i, curve)
            if (!strcmp(ecg_study_text(curve, "unit"), unit))
                put_curve_pair(to, curve, x, x + MOST_EPOCHS);
            else
                left++;
        ecg_text_puts(to, "</div>\n");
        if (left) {
            ecg_text_puts(to, "<p class=\"small muted\">Drawn: ");
            ecg_html_text(to, unit);
            ecg_text_printf(to, ". The %zu curves of the other cohorts and seeds stand in results.json.</p>\n", left);
        }
    } else {
        ecg_put_absent(to, "Not reported: no stage has been trained yet, or results.json holds no curves.");
    }
    ecg_text_puts(to, "</section>\n");
    free(x);
}

/* ---- forgetting --------------------------------------------------------------------------------------------------------------------- */

void ecg_put_forgetting(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"Embedding", "@R2 on test", "#all columns", "#routine", "#labs", "#validation", "#spread"};
    const json_t *f = json_object_get(v->root, "forgetting"), *stages = ecg_study_list(f, "stages");
    double x[3 * 32];
    int n = 0;
    size_t i;
    json_t *s;
    ecg_put_section(to, v, "forgetting", "What is forgotten");
    json_array_foreach(stages, i, s)
        if (n + 3 <= (int)(sizeof x / sizeof *x)) {
            x[n++] = ecg_study_number(s, "r2_test");
            x[n++] = ecg_study_number(json_object_get(s, "routine"), "r2_test");
            x[n++] = ecg_study_number(json_object_get(s, "lab"), "r2_test");
        }
    if (!n) {
        ecg_put_absent(to, "Not reported: no linear probe from the embedding to the table was run.");
        ecg_text_puts(to, "</section>\n");
        return;
    }
    ecg_axis axis = ecg_axis_over(x, n, 0);
    axis.sign = false;
    if (*ecg_study_text(f, "what")) {
        ecg_text_puts(to, "<p>Linear probe: ");
        ecg_html_text(to, ecg_study_text(f, "what"));
        ecg_text_puts(to, ". Stage 1 teaches the encoder about the table; later stages may forget it.</p>\n");
    }
    ecg_text_puts(to, "<p class=\"small keys\">");
    ecg_put_key(to, 'a', "routine columns");
    ecg_put_key(to, 'b', "laboratory columns");
    ecg_text_puts(to, "</p>\n");
    ecg_put_forest(to, v, "Mean R2 over the columns of the table, after each stage; higher: the embedding holds more of the table", heads, ecg_study_units(v) > 1 ? 7 : 6, &axis);
    json_array_foreach(stages, i, s)
    {
        const double routine = ecg_study_number(json_object_get(s, "routine"), "r2_test"), lab = ecg_study_number(json_object_get(s, "lab"), "r2_test");
        const ecg_mark mark[2] = {{{routine, NAN, NAN}, 'a'}, {{lab, NAN, NAN}, 'b'}};
        const char *title = ecg_study_text(s, "title");
        ecg_html_row(to, *title ? title : ecg_study_text(s, "stage"));
        ecg_put_marks(to, &axis, mark, 2);
        if (ecg_study_has(s, "r2_test"))
            ecg_put_cell(to, ecg_study_number(s, "r2_test"), 3, false);
        else
            ecg_put_cell_state(to, s);
        ecg_put_cell(to, routine, 3, false);
        ecg_put_cell(to, lab, 3, false);
        ecg_put_cell(to, ecg_study_number(s, "r2_validation"), 3, false);
        if (ecg_study_units(v) > 1)
            ecg_put_cell(to, ecg_study_number(s, "spread"), 3, false);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
    ecg_text_puts(to, "</section>\n");
}

/* ---- ablations ---------------------------------------------------------------------------------------------------------------------- */

static void put_changes(ecg_text *to, const json_t *list)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        ecg_text_puts(to, "<small class=\"change\">");
        ecg_html_text(to, json_string_value(x) ? json_string_value(x) : "");
        ecg_text_puts(to, "</small>");
    }
}

static void put_ablation(ecg_text *to, const ecg_study_view *v, const json_t *a, const ecg_axis *axis)
{
    const char *title = ecg_study_text(a, "title");
    const double seconds = ecg_study_number(a, "seconds"), ours = ecg_study_number(a, "seconds_ours");
    const bool has = ecg_study_has(a, "auroc");
    const ecg_span d = has ? ecg_study_span(a, "difference", "difference_lo", "difference_hi") : (ecg_span){NAN, NAN, NAN};
    ecg_text_puts(to, "<tr><th scope=\"row\">");
    ecg_html_text(to, *title ? title : ecg_study_text(a, "ablation"));
    put_changes(to, ecg_study_list(a, "changes"));
    ecg_text_puts(to, "</th>");
    ecg_put_marks(to, axis, &(ecg_mark){d, 'a'}, 1);
    if (has)
        ecg_put_cell_span(to, d, 3, true);
    else
        ecg_put_cell_state(to, a);
    ecg_put_cell(to, has ? ecg_study_number(a, "auroc") : NAN, 3, false);
    ecg_put_cell(to, ecg_study_number(a, "labs_auroc"), 3, false);
    ecg_put_cell(to, ecg_study_number(a, "r2_test"), 3, false);
    ecg_put_cell(to, ours > 0 ? seconds / ours : NAN, 2, false);
    if (ecg_study_units(v) > 1)
        ecg_put_cell(to, ecg_study_number(a, "spread"), 3, false);
    ecg_text_puts(to, "</tr>\n");
}

static void put_noise(ecg_text *to, const ecg_study_view *v)
{
    const size_t units = ecg_study_units(v);
    const double spread = ecg_study_number(ecg_study_row(v, "ours_shared", "diagnoses"), "spread");
    char digits[ECG_DIGITS];
    ecg_text_puts(to, "<p class=\"small muted\">Noise: ");
    if (units <= 1 || isnan(spread))
        ecg_text_puts(to, "one cohort and one seed; an interval holds the chance of which patients are in the test fold and not that of another training run. "
                          "Lines whose intervals include zero are not told apart from ours.");
    else
        ecg_text_printf(to, "%zu units (cohorts and seeds); the AUROC of ours itself has a standard deviation of %s between them. Lines whose intervals include zero are "
                            "not told apart from ours.", units, ecg_fixed(digits, spread, 3, false));
    ecg_text_puts(to, "</p>\n");
}

void ecg_put_ablations(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"Option", "@AUROC against ours", "#difference", "#diagnoses", "#labs", "#R2 after stage 2", "#time of ours", "#spread"};
    const json_t *list = ecg_study_list(v->root, "ablations");
    const json_t *ours = ecg_study_row(v, "ours_shared", "diagnoses");
    double x[3 * 128];
    int n = 0;
    size_t i;
    json_t *a;
    ecg_put_section(to, v, "ablations", "Ablations");
    json_array_foreach(list, i, a)
        if (n + 3 <= (int)(sizeof x / sizeof *x)) {
            const ecg_span d = ecg_study_span(a, "difference", "difference_lo", "difference_hi");
            x[n++] = d.point;
            x[n++] = d.lo;
            x[n++] = d.hi;
        }
    if (!n) {
        ecg_put_absent(to, "Not reported: no option was varied in this study.");
        ecg_text_puts(to, "</section>\n");
        return;
    }
    const ecg_axis axis = ecg_axis_over(x, n, 0);
    ecg_put_forest(to, v, "Each line is ours with one option changed: paired difference of macro AUROC on diagnoses to ours (95 % interval), what the table can still be "
                          "told from after stage 2 (forgetting), and training time as a multiple of ours", heads, ecg_study_units(v) > 1 ? 8 : 7,
                   &axis);
    ecg_text_puts(to, "<tr class=\"ours\"><th scope=\"row\">ours, as set</th>");
    ecg_put_marks(to, &axis, &(ecg_mark){{0, NAN, NAN}, 'b'}, 1);
    ecg_text_puts(to, "<td class=\"n\">&#8211;</td>");
    ecg_put_cell(to, ecg_study_has(ours, "auroc") ? ecg_study_number(ours, "auroc") : NAN, 3, false);
    ecg_put_cell(to, ecg_study_number(ecg_study_row(v, "ours_shared", "labs"), "auroc"), 3, false);
    ecg_put_cell(to, ecg_study_number(ecg_study_stage(v, "diagnoses"), "r2_test"), 3, false);
    ecg_put_cell(to, 1, 2, false);
    if (ecg_study_units(v) > 1)
        ecg_put_cell(to, ecg_study_number(ours, "spread"), 3, false);
    ecg_text_puts(to, "</tr>\n");
    json_array_foreach(list, i, a)
        put_ablation(to, v, a, &axis);
    ecg_html_table_end(to);
    put_noise(to, v);
    ecg_text_puts(to, "</section>\n");
}
