/* SPDX-License-Identifier: MIT
 * study_labels.c: the figures of each label, two rows of the table side by side. Which labels are drawn is decided by how many positives
 * they have, never by what they show. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/study_parts.h"

enum { DRAWN = 20 }; /* on one page of paper */

/* One label: positives and negatives of the test records, two rows' AUROC: that of the only unit with its interval, or the mean over units with
 * the lowest and the highest of them. */
typedef struct {
    const char *code, *title;
    int64_t positives, negatives;
    ecg_span at[2];
    int units[2];
} pair;

static void take(pair *p, int which, const ecg_study_label *l, bool several)
{
    const double x = l->auroc.point;
    if (isnan(x))
        return;
    ecg_span *s = &p->at[which];
    const int n = ++p->units[which];
    if (n == 1)
        *s = several ? (ecg_span){x, x, x} : l->auroc;
    else
        *s = (ecg_span){s->point + (x - s->point) / n, x < s->lo ? x : s->lo, x > s->hi ? x : s->hi};
}

/* Labels of a task, in the order of their codes: labels are sorted by task, code, row. */
static int pairs_of(pair *out, const ecg_study_view *v, const char *task, const char *a, const char *b)
{
    const bool several = ecg_study_units(v) > 1;
    int n = 0;
    for (int64_t i = 0; i < v->labels; i++) {
        const ecg_study_label *l = &v->label[i];
        if (strcmp(l->task, task))
            continue;
        if (!n || strcmp(out[n - 1].code, l->code))
            out[n++] = (pair){.code = l->code, .title = l->title, .positives = -1, .negatives = -1, .at = {{NAN, NAN, NAN}, {NAN, NAN, NAN}}};
        pair *p = &out[n - 1];
        if (!strcmp(l->row, a) || !strcmp(l->row, b)) {
            p->positives = l->positives > p->positives ? l->positives : p->positives;
            p->negatives = l->negatives > p->negatives ? l->negatives : p->negatives;
        }
        if (!strcmp(l->row, a))
            take(p, 0, l, several);
        if (!strcmp(l->row, b))
            take(p, 1, l, several);
    }
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(out[i].at[0].point) || !isnan(out[i].at[1].point))
            out[kept++] = out[i];
    return kept;
}

static int by_positives(const void *x, const void *y)
{
    const pair *a = x, *b = y;
    return a->positives > b->positives ? -1 : a->positives < b->positives ? 1 : strcmp(a->code, b->code);
}

static void put_name(ecg_text *to, const pair *p)
{
    ecg_text_puts(to, "<tr><th scope=\"row\"><span class=\"code\">");
    ecg_html_code(to, p->code);
    ecg_text_puts(to, "</span> ");
    if (strcmp(p->title, p->code))
        ecg_html_text(to, p->title);
    ecg_text_puts(to, "</th>");
    ecg_put_cell(to, p->positives >= 0 ? (double)p->positives : NAN, 0, false);
}

static void put_counts(ecg_text *to, const ecg_study_view *v, const pair *p, int n, const char *a, const char *b)
{
    int higher = 0, both = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(p[i].at[0].point) && !isnan(p[i].at[1].point)) {
            both++;
            higher += p[i].at[1].point > p[i].at[0].point;
        }
    if (!both)
        return;
    ecg_text_puts(to, "<p>");
    ecg_html_text(to, ecg_study_title(v, b));
    ecg_text_printf(to, " has the higher AUROC in %d of %d labels, ", higher, both);
    ecg_html_text(to, ecg_study_title(v, a));
    ecg_text_puts(to, " in the others. Single labels are noisy: no test is made of them.</p>\n");
}

static void put_pairs(ecg_text *to, const ecg_study_view *v, const pair *p, int n, const char *a, const char *b, const char *what)
{
    static const char *const heads[] = {"Label", "#positives", "@AUROC", "#first", "#second", "#difference"};
    static const char *const rest_heads[] = {"Label", "#positives", "#first", "#second", "#difference"};
    const int top = n < DRAWN ? n : DRAWN;
    double x[6 * DRAWN];
    char caption[200];
    for (int i = 0; i < top; i++)
        for (int k = 0; k < 2; k++) {
            x[6 * i + 3 * k] = p[i].at[k].point;
            x[6 * i + 3 * k + 1] = p[i].at[k].lo;
            x[6 * i + 3 * k + 2] = p[i].at[k].hi;
        }
    const ecg_axis axis = ecg_axis_over(x, 6 * top, 0.5);
    ecg_text_puts(to, "<p class=\"small keys\">");
    ecg_text first = {0}, second = {0};
    ecg_text_printf(&first, "first: %s", ecg_study_title(v, a));
    ecg_text_printf(&second, "second: %s", ecg_study_title(v, b));
    ecg_put_key(to, 'b', first.at ? first.at : "first");
    if (*b)
        ecg_put_key(to, 'a', second.at ? second.at : "second");
    ecg_text_clear(&first);
    ecg_text_clear(&second);
    ecg_text_puts(to, "</p>\n");
    snprintf(caption, sizeof caption, "%s: AUROC of the %d label%s with most positives in the test fold%s; the line is 0.5", what, top, top == 1 ? "" : "s",
             ecg_study_units(v) > 1 ? ", means over cohorts and seeds with the lowest and the highest" : ", with 95 % intervals");
    ecg_put_forest(to, v, caption, heads, 6, &axis);
    for (int i = 0; i < n; i++) {
        if (i == top) {
            ecg_html_table_end(to);
            ecg_text_printf(to, "<details><summary>The other %d labels</summary>\n", n - top);
            ecg_put_table(to, v, "AUROC of the other labels, most positives first", rest_heads, 5);
        }
        put_name(to, &p[i]);
        if (i < top)
            ecg_put_marks(to, &axis, (const ecg_mark[]){{p[i].at[0], 'b'}, {p[i].at[1], 'a'}}, 2);
        ecg_put_cell(to, p[i].at[0].point, 3, false);
        ecg_put_cell(to, p[i].at[1].point, 3, false);
        ecg_put_cell(to, p[i].at[1].point - p[i].at[0].point, 3, true);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
    ecg_text_puts(to, top < n ? "</details>\n" : "");
}

/* The first two rows of the wish list that have figures, "" in place of a second; false: there is none. */
static bool choose(const char *out[2], const ecg_study_view *v, const char *task, const char *const *wish)
{
    int n = 0;
    out[1] = "";
    for (; *wish && n < 2; wish++)
        if (ecg_study_has(ecg_study_row(v, *wish, task), "auroc"))
            out[n++] = *wish;
    return n > 0;
}

ecg_status ecg_put_labels(ecg_text *to, const ecg_study_view *v, ecg_err *err)
{
    static const char *const diagnoses[] = {"signal", "ours_shared", "ours_branched", "multi", NULL}, *const labs[] = {"ecg_labs", "ours_shared", "multi_labs", NULL};
    static const struct { const char *task, *what, *const *wish; } part[2] = {{"diagnoses", "Diagnoses", diagnoses}, {"labs", "Labs", labs}};
    pair *p = malloc(((size_t)v->labels + 1) * sizeof *p);
    if (!p)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " labels", v->labels);
    ecg_put_section(to, v, "labels", "Label by label");
    int parts = 0;
    for (int t = 0; t < 2; t++) {
        const char *row[2];
        if (!choose(row, v, part[t].task, part[t].wish))
            continue;
        const int n = pairs_of(p, v, part[t].task, row[0], row[1]);
        if (!n)
            continue;
        parts++;
        qsort(p, (size_t)n, sizeof *p, by_positives);
        ecg_text_printf(to, "<h3>%s</h3>\n", part[t].what);
        if (*row[1])
            put_counts(to, v, p, n, row[0], row[1]);
        put_pairs(to, v, p, n, row[0], row[1], part[t].what);
    }
    if (!parts)
        ecg_put_absent(to, "Not reported: labels.csv is not there, is damaged, or holds no figure of these rows.");
    ecg_text_puts(to, "</section>\n");
    free(p);
    return ECG_OK;
}
