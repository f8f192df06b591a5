/* SPDX-License-Identifier: MIT
 * study_md.c: report.md. The first table is Table 1, one line a row. */
#include <math.h>
#include <string.h>

#include "report/study_parts.h"

/* Text of a cell: one line, nothing that Markdown or HTML would take for its own. */
static void cell(ecg_text *to, const char *s)
{
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c < 0x20 || c == 0x7f) {
            ecg_text_puts(to, " ");
        } else if (c == '<') {
            ecg_text_puts(to, "&lt;");
        } else if (c == '>') {
            ecg_text_puts(to, "&gt;");
        } else if (c == '&') {
            ecg_text_puts(to, "&amp;");
        } else {
            if (strchr("|\\`*[]#~!", c))
                ecg_text_puts(to, "\\");
            ecg_text_add(to, s, 1);
        }
    }
}

static void figure(ecg_text *to, const json_t *row)
{
    if (ecg_study_has(row, "auroc"))
        ecg_words_span(to, ecg_study_auroc(row), false);
    else
        ecg_text_puts(to, "-");
}

/* "labs: left out, no laboratory labels" */
static void note(ecg_text *to, const json_t *row, bool *any)
{
    if (!row || ecg_study_has(row, "auroc"))
        return;
    const char *why = ecg_study_text(row, "why");
    ecg_text_puts(to, *any ? "; " : "");
    ecg_text_printf(to, "%s: %s", ecg_study_text(row, "task"), ecg_study_state(row));
    if (*why) {
        ecg_text_puts(to, ", ");
        cell(to, why);
    }
    *any = true;
}

static void paper(ecg_text *to, const json_t *row)
{
    char digits[ECG_DIGITS];
    ecg_text_puts(to, ecg_fixed(digits, ecg_study_number(row, "paper"), 3, false));
}

static void put_rows(ecg_text *to, const ecg_study_view *v)
{
    const json_t *rows = ecg_study_list(v->root, "rows");
    size_t i, k;
    json_t *row, *other;
    ecg_text_puts(to, "| row | diagnoses | labs | paper: diagnoses | paper: labs | note |\n|---|---|---|---|---|---|\n");
    json_array_foreach(rows, i, row)
    {
        const char *name = ecg_study_text(row, "row");
        json_array_foreach(rows, k, other)
            if (!strcmp(ecg_study_text(other, "row"), name))
                break;
        if (k != i)
            continue; /* a row with two tasks has two entries and one line */
        const json_t *diagnoses = ecg_study_row(v, name, "diagnoses"), *labs = ecg_study_row(v, name, "labs");
        bool any = false;
        ecg_text_puts(to, "| ");
        cell(to, ecg_study_title(v, name));
        ecg_text_puts(to, " (");
        cell(to, name);
        ecg_text_puts(to, ") | ");
        figure(to, diagnoses);
        ecg_text_puts(to, " | ");
        figure(to, labs);
        ecg_text_puts(to, " | ");
        paper(to, diagnoses);
        ecg_text_puts(to, " | ");
        paper(to, labs);
        ecg_text_puts(to, " | ");
        note(to, diagnoses, &any);
        note(to, labs, &any);
        ecg_text_puts(to, " |\n");
    }
    ecg_text_puts(to, "\n");
}

static void put_difference(ecg_text *to, const ecg_study_view *v, const json_t *d, const char *task)
{
    const bool has = ecg_study_has(d, "difference");
    const ecg_span s = has ? ecg_study_span(d, "difference", "lo", "hi") : (ecg_span){NAN, NAN, NAN};
    ecg_text_puts(to, "| ");
    cell(to, ecg_study_title(v, ecg_study_text(d, "a")));
    ecg_text_puts(to, " minus ");
    cell(to, ecg_study_title(v, ecg_study_text(d, "b")));
    ecg_text_printf(to, " | %s | ", task);
    if (has)
        ecg_words_span(to, s, true);
    else
        ecg_text_puts(to, "-");
    ecg_text_puts(to, " | ");
    if (has) {
        ecg_text_puts(to, ecg_finding(s));
    } else {
        const char *why = ecg_study_text(d, "why");
        ecg_text_puts(to, ecg_study_state(d));
        ecg_text_puts(to, *why ? ": " : "");
        cell(to, why);
    }
    ecg_text_puts(to, " |\n");
}

static void put_controls(ecg_text *to, const ecg_study_view *v)
{
    size_t i, k;
    json_t *c, *d;
    if (!json_array_size(ecg_study_list(v->root, "controls"))) {
        ecg_text_puts(to, "Not reported: results.json holds no controls.\n\n");
        return;
    }
    ecg_text_puts(to, "| control | expected | found |\n|---|---|---|\n");
    json_array_foreach(ecg_study_list(v->root, "controls"), i, c)
    {
        const char *why = ecg_study_text(c, "why");
        ecg_text_puts(to, "| ");
        cell(to, ecg_study_text(c, "title"));
        ecg_text_puts(to, " | ");
        cell(to, ecg_study_text(c, "expected"));
        ecg_text_puts(to, " | ");
        if (!ecg_study_done(c)) {
            ecg_text_puts(to, ecg_study_state(c));
            ecg_text_puts(to, *why ? ": " : "");
            cell(to, why);
        } else if (!json_array_size(ecg_study_list(c, "differences"))) {
            ecg_text_puts(to, "curves in report.html");
        }
        for (k = 0; ecg_study_done(c) && (d = json_array_get(ecg_study_list(c, "differences"), k)); k++) {
            ecg_text_puts(to, k ? "; " : "");
            cell(to, ecg_study_title(v, ecg_study_text(d, "a")));
            ecg_text_puts(to, " minus ");
            cell(to, ecg_study_title(v, ecg_study_text(d, "b")));
            ecg_text_puts(to, ": ");
            ecg_words_span(to, ecg_study_span(d, "difference", "lo", "hi"), true);
        }
        ecg_text_puts(to, " |\n");
    }
    ecg_text_puts(to, "\n");
}

void ecg_study_markdown(ecg_text *to, const ecg_study_view *v)
{
    size_t i;
    json_t *x;
    ecg_text_puts(to, "# Table 1\n\n" ECG_STATEMENT "\n\n");
    if (v->synthetic)
        ecg_text_puts(to, "**Synthetic cohort.** Its patients never lived, and its figures say nothing of real ones.\n\n");
    ecg_text_puts(to, "Macro AUROC on the test fold (95 % interval). The paper's figures (arXiv 2512.07021) are of other patients and have no intervals.\n\n");
    put_rows(to, v);
    ecg_text_puts(to, "## What was found\n\n");
    json_array_foreach(v->verdict, i, x)
    {
        ecg_text_puts(to, "- ");
        cell(to, ecg_study_text(x, "text"));
        ecg_text_puts(to, "\n");
    }
    ecg_text_puts(to, "\n## Differences\n\nPaired differences of macro AUROC on the same test records (95 % interval).\n\n| difference | task | AUROC | interval |\n|---|---|---|---|\n");
    json_array_foreach(ecg_study_list(v->root, "differences"), i, x)
        if (!ecg_study_without(v, ecg_study_text(x, "task")))
            put_difference(to, v, x, ecg_study_text(x, "task"));
    ecg_text_puts(to, "\n## Controls\n\n");
    put_controls(to, v);
    if (json_array_size(ecg_study_list(v->root, "ablations"))) {
        ecg_text_puts(to, "## Ablations\n\nDifference to ours on diagnoses; R2 of the table from the embedding after stage 2; time as a multiple of ours.\n\n"
                          "| option | difference | diagnoses | R2 | time | note |\n|---|---|---|---|---|---|\n");
        json_array_foreach(ecg_study_list(v->root, "ablations"), i, x)
        {
            char a[ECG_DIGITS], b[ECG_DIGITS], c[ECG_DIGITS];
            const char *title = ecg_study_text(x, "title"), *why = ecg_study_text(x, "why");
            const bool has = ecg_study_has(x, "auroc");
            const double ours = ecg_study_number(x, "seconds_ours");
            ecg_text_puts(to, "| ");
            cell(to, *title ? title : ecg_study_text(x, "ablation"));
            ecg_text_puts(to, " | ");
            ecg_words_span(to, has ? ecg_study_span(x, "difference", "difference_lo", "difference_hi") : (ecg_span){NAN, NAN, NAN}, true);
            ecg_text_printf(to, " | %s | %s | %s | ", ecg_fixed(a, has ? ecg_study_number(x, "auroc") : NAN, 3, false), ecg_fixed(b, ecg_study_number(x, "r2_test"), 3, false),
                            ecg_fixed(c, ours > 0 ? ecg_study_number(x, "seconds") / ours : NAN, 2, false));
            if (!has)
                ecg_text_puts(to, ecg_study_state(x));
            ecg_text_puts(to, !has && *why ? ": " : "");
            cell(to, has ? "" : why);
            ecg_text_puts(to, " |\n");
        }
        ecg_text_puts(to, "\n");
    }
}
