/* SPDX-License-Identifier: MIT
 * study_calibration.c: what the rows' own evaluation.json and reliability tables say: do probabilities mean what they say, what do thresholds do, for
 * whom does it work. Drawn and tabulated for the first cohort and seed; those of the others lie in their folders. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "report/html.h"
#include "report/study_parts.h"

enum { MOST_BINS = 64, MOST_LABELS = 6, ROWS = 6 };

static const struct { const char *row, *task; char look; } wanted[ROWS] = {
    {"signal", "diagnoses", 'b'}, {"ours_shared", "diagnoses", 'a'}, {"multi", "diagnoses", 'c'},
    {"ecg_labs", "labs", 'b'},    {"ours_shared", "labs", 'a'},      {"multi_labs", "labs", 'c'},
};

typedef struct {
    const json_t *row;
    json_t *file, *head; /* evaluation.json, owned, and its head for the task */
    const char *set, *folder, *unit;
    char role[24];
} measured;

static json_t *head_of(json_t *file, const char *set)
{
    size_t i;
    json_t *head;
    json_array_foreach(ecg_study_list(file, "heads"), i, head)
        if (!strcmp(ecg_study_text(head, "set"), set))
            return head;
    return NULL;
}

/* A word that may become part of a file's name. */
static bool is_word(const char *s)
{
    return *s && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")];
}

/* Without a head where the row has no figures or its file is not there. */
static measured measure(ecg_study_view *v, const char *name, const char *task)
{
    measured m = {.row = ecg_study_row(v, name, task), .set = ecg_study_text(v->root, *task == 'd' ? "diagnosis_set" : "lab_set")};
    char path[1024], why[200];
    json_error_t where;
    size_t i;
    json_t *unit = NULL;
    if (!*m.set)
        m.set = task;
    if (!ecg_study_has(m.row, "auroc"))
        return m;
    json_array_foreach(ecg_study_list(m.row, "units"), i, unit)
        if (ecg_study_done(unit) && *ecg_study_text(unit, "folder"))
            break;
    if (!unit || i == json_array_size(ecg_study_list(m.row, "units")))
        return m;
    m.folder = ecg_study_text(unit, "folder");
    m.unit = ecg_study_text(unit, "unit");
    ecg_text shown = {0};
    ecg_text_printf(&shown, "%.200s/evaluation.json", m.folder);
    if (!ecg_study_path(path, v, m.folder, "evaluation.json")) {
        ecg_study_miss(v, shown.at ? shown.at : "evaluation.json", "leads out of the study's folder, or is too long");
    } else if (!ecg_is_file(path)) {
        ecg_study_miss(v, shown.at ? shown.at : "evaluation.json", "not there");
    } else if (!(m.file = json_load_file(path, 0, &where))) {
        snprintf(why, sizeof why, "line %d: %.150s", where.line, where.text);
        ecg_study_miss(v, shown.at ? shown.at : "evaluation.json", why);
    } else if (!(m.head = head_of(m.file, m.set))) {
        ecg_study_miss(v, shown.at ? shown.at : "evaluation.json", "no head of that label set");
    }
    ecg_text_clear(&shown);
    snprintf(m.role, sizeof m.role, "%.20s", is_word(ecg_study_text(m.file, "role")) ? ecg_study_text(m.file, "role") : "test");
    return m;
}

static void put_title(ecg_text *to, const measured *m)
{
    const char *title = ecg_study_text(m->row, "title");
    ecg_html_row(to, *title ? title : ecg_study_text(m->row, "row"));
    ecg_html_cell(to, ecg_study_text(m->row, "task"));
}

/* ---- tables ------------------------------------------------------------------------------------------------------------------------- */

static void put_figures(ecg_text *to, const ecg_study_view *v, const measured *m)
{
    static const char *const heads[] = {"Row", "Task", "#Brier", "#Brier skill", "#ECE, 10 equal widths", "#ECE, 10 equal masses", "#slope", "#intercept", "#mean predicted", "#prevalence"};
    ecg_put_table(to, v, "Calibration on the test fold. Brier, skill (against always saying the prevalence) and ECE: means over labels; slope and intercept of the logistic "
                         "recalibration, mean prediction and prevalence: all labels pooled", heads, 10);
    for (int i = 0; i < ROWS; i++) {
        const json_t *c = json_object_get(m[i].head, "calibration"), *mean = json_object_get(c, "mean_over_labels"), *pooled = json_object_get(c, "pooled");
        if (!m[i].head)
            continue;
        put_title(to, &m[i]);
        ecg_put_cell(to, ecg_study_number(mean, "brier"), 4, false);
        ecg_put_cell(to, ecg_study_number(mean, "brier_skill"), 3, false);
        ecg_put_cell(to, ecg_study_number(json_object_get(mean, "ece"), "width10"), 4, false);
        ecg_put_cell(to, ecg_study_number(json_object_get(mean, "ece"), "mass10"), 4, false);
        ecg_put_cell(to, ecg_study_number(pooled, "slope"), 2, false);
        ecg_put_cell(to, ecg_study_number(pooled, "intercept"), 2, true);
        ecg_put_cell(to, ecg_study_number(pooled, "mean_predicted"), 3, false);
        ecg_put_cell(to, ecg_study_number(pooled, "prevalence"), 3, false);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
}

static void put_operating(ecg_text *to, const ecg_study_view *v, const measured *m)
{
    static const char *const heads[] = {"Row", "Task", "#sensitivity at 90 % specificity", "#at 95 %", "#specificity at 90 % sensitivity", "#at 95 %", "#sensitivity, Youden",
                                        "#specificity", "#PPV", "#NPV"};
    ecg_put_table(to, v, "Operating points on the test fold, means over labels. Read off each label's own curve; then with the threshold that maximises Youden's index on "
                         "validation records, never on test", heads, 10);
    for (int i = 0; i < ROWS; i++) {
        const json_t *o = json_object_get(m[i].head, "operating_points"), *youden = json_object_get(json_object_get(o, "by_validation_threshold"), "youden");
        if (!m[i].head)
            continue;
        put_title(to, &m[i]);
        ecg_put_cell(to, ecg_study_number(o, "sensitivity_at_specificity_90"), 3, false);
        ecg_put_cell(to, ecg_study_number(o, "sensitivity_at_specificity_95"), 3, false);
        ecg_put_cell(to, ecg_study_number(o, "specificity_at_sensitivity_90"), 3, false);
        ecg_put_cell(to, ecg_study_number(o, "specificity_at_sensitivity_95"), 3, false);
        ecg_put_cell(to, ecg_study_number(youden, "sensitivity"), 3, false);
        ecg_put_cell(to, ecg_study_number(youden, "specificity"), 3, false);
        ecg_put_cell(to, ecg_study_number(youden, "ppv"), 3, false);
        ecg_put_cell(to, ecg_study_number(youden, "npv"), 3, false);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
}

/* ---- curves ------------------------------------------------------------------------------------------------------------------------- */

typedef struct { double x[MOST_BINS], y[MOST_BINS], weight[MOST_BINS]; int n; } points;

static void reliability_of(points *p, const measured *m)
{
    size_t i;
    json_t *bin;
    p->n = 0;
    json_array_foreach(ecg_study_list(json_object_get(json_object_get(m->head, "calibration"), "pooled_reliability"), "width10"), i, bin)
        if (p->n < MOST_BINS && ecg_study_count(bin, "count") > 0) {
            p->x[p->n] = ecg_study_number(bin, "predicted");
            p->y[p->n] = ecg_study_number(bin, "observed");
            p->weight[p->n++] = (double)ecg_study_count(bin, "count");
        }
}

static void decisions_of(points *p, points *all, const measured *m)
{
    size_t i;
    json_t *d;
    p->n = all->n = 0;
    json_array_foreach(ecg_study_list(m->head, "net_benefit"), i, d)
        if (p->n < MOST_BINS && ecg_study_number(d, "threshold") <= 0.5) {
            p->x[p->n] = all->x[p->n] = ecg_study_number(d, "threshold");
            p->y[p->n] = ecg_study_number(d, "net_benefit");
            all->y[p->n] = ecg_study_number(d, "treat_all");
            p->n = ++all->n;
        }
}

static void put_task_panels(ecg_text *to, const measured *m, const char *what)
{
    points reliable[3], benefit[3], all = {.n = 0}, none;
    ecg_curve curve[3], net[5];
    char title[80];
    int n = 0, k = 0;
    double top = 0.01;
    for (int i = 0; i < 3; i++) {
        if (!m[i].head)
            continue;
        reliability_of(&reliable[i], &m[i]);
        decisions_of(&benefit[i], &none, &m[i]);
        all = none.n ? none : all;
        if (reliable[i].n)
            curve[n++] = (ecg_curve){reliable[i].x, reliable[i].y, reliable[i].n, wanted[i].look, reliable[i].weight};
        if (benefit[i].n)
            net[k++] = (ecg_curve){benefit[i].x, benefit[i].y, benefit[i].n, wanted[i].look, NULL};
        for (int j = 0; j < benefit[i].n; j++)
            top = benefit[i].y[j] > top ? benefit[i].y[j] : top;
    }
    snprintf(title, sizeof title, "%s: reliability, all labels pooled", what);
    if (n)
        ecg_put_panel(to, &(ecg_panel){title, "observed share of positives against predicted probability in ten bins of equal width; on the diagonal they agree; dots grow with the "
                                              "number of entries", "predicted probability", "observed", 0, 1, 0, 1, NAN, true, curve, n});
    if (!k)
        return;
    const double zero_x[2] = {0, 0.5}, zero_y[2] = {0, 0};
    net[k++] = (ecg_curve){all.x, all.y, all.n, 'd', NULL};
    net[k++] = (ecg_curve){zero_x, zero_y, 2, 'd', NULL};
    snprintf(title, sizeof title, "%s: net benefit, mean over labels", what);
    ecg_put_panel(to, &(ecg_panel){title, "net benefit against the threshold probability; grey: calling everybody positive, calling nobody positive", "threshold probability",
                                   "net benefit", 0, 0.5, -0.25 * top, 1.1 * top, NAN, false, net, k});
}

/* ---- single labels ------------------------------------------------------------------------------------------------------------------ */

typedef struct { const char *code, *title; int64_t positives; points at; } label_curve;

/* The labels of a row with most positives, from labels.csv. */
static int frequent(label_curve *out, const ecg_study_view *v, const measured *m)
{
    int n = 0;
    for (int64_t i = 0; i < v->labels; i++) {
        const ecg_study_label *l = &v->label[i];
        if (strcmp(l->row, ecg_study_text(m->row, "row")) || strcmp(l->task, ecg_study_text(m->row, "task")) || strcmp(l->unit, m->unit))
            continue;
        int at = n < MOST_LABELS ? n++ : MOST_LABELS;
        for (; at > 0 && out[at - 1].positives < l->positives; at--)
            if (at < MOST_LABELS)
                out[at] = out[at - 1];
        if (at < MOST_LABELS)
            out[at] = (label_curve){.code = l->code, .title = l->title, .positives = l->positives};
    }
    return n;
}

static bool is_field(const ecg_csv *t, int column, const char *s)
{
    const ecg_field f = ecg_csv_field(t, column);
    return f.len == strlen(s) && (!f.len || !memcmp(f.at, s, f.len));
}

static ecg_status read_curves(label_curve *c, int n, const char *path, ecg_err *err)
{
    static const char *const names[] = {"code", "bins", "count", "predicted", "observed"};
    int column[5];
    ecg_csv *t;
    bool more;
    ecg_status st = ecg_csv_open(&t, path, err);
    if (st)
        return st;
    st = ecg_csv_need(t, column, names, 5, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more)
        for (int i = 0; i < n && !st; i++) {
            points *p = &c[i].at;
            if (p->n == MOST_BINS || !is_field(t, column[1], "width10") || !is_field(t, column[0], c[i].code))
                continue;
            st = ecg_csv_double(t, column[2], &p->weight[p->n], err);
            st = st ? st : ecg_csv_double(t, column[3], &p->x[p->n], err);
            st = st ? st : ecg_csv_double(t, column[4], &p->y[p->n], err);
            p->n++;
        }
    ecg_csv_close(t);
    return st;
}

static void put_label_panels(ecg_text *to, ecg_study_view *v, const measured *m)
{
    label_curve c[MOST_LABELS];
    char path[1024], name[128], why[300], title[256];
    ecg_err err = {0};
    if (!m->head || !is_word(m->set))
        return;
    const int n = frequent(c, v, m);
    snprintf(name, sizeof name, "reliability.%.60s.%s.csv", m->set, m->role);
    if (!n || !ecg_study_path(path, v, m->folder, name))
        return;
    if (!ecg_is_file(path)) {
        ecg_study_miss(v, name, "not there");
        return;
    }
    if (read_curves(c, n, path, &err)) {
        snprintf(why, sizeof why, "line %" PRId64 ": %s", err.line, err.msg);
        ecg_study_miss(v, name, why);
        return;
    }
    ecg_text_puts(to, "<h3>");
    ecg_html_text(to, ecg_study_text(m->row, "title"));
    ecg_text_printf(to, ": reliability of the %d %s with most positives</h3>\n<div class=\"panels\">\n", n, *ecg_study_text(m->row, "task") == 'd' ? "diagnoses" : "labs");
    for (int i = 0; i < n; i++) {
        const ecg_curve curve = {c[i].at.x, c[i].at.y, c[i].at.n, 'a', c[i].at.weight};
        snprintf(title, sizeof title, "%.120s: %" PRId64 " positive", *c[i].title ? c[i].title : c[i].code, c[i].positives);
        ecg_put_panel(to, &(ecg_panel){title, "observed share of positives against predicted probability in ten bins of equal width", "predicted probability", "observed", 0, 1, 0,
                                       1, NAN, true, &curve, 1});
    }
    ecg_text_puts(to, "</div>\n");
}

/* ---- subgroups ---------------------------------------------------------------------------------------------------------------------- */

static bool has_subgroups(const measured *m)
{
    return json_array_size(ecg_study_list(m->head, "subgroups")) > 0;
}

static void put_subgroup(ecg_text *to, const json_t *s, const ecg_axis *axis)
{
    const json_t *macro = json_object_get(s, "macro_auroc");
    const ecg_span at = ecg_study_span(macro, "point", "low", "high");
    const int64_t records = ecg_study_count(s, "records");
    ecg_text_puts(to, "<tr><th scope=\"row\">");
    ecg_html_text(to, ecg_study_text(s, "group"));
    ecg_text_puts(to, ": ");
    ecg_html_text(to, ecg_study_text(s, "level"));
    ecg_text_puts(to, "</th>");
    const double everyone = ecg_study_number(s, "everyone_on_these_labels");
    ecg_put_marks(to, axis, (const ecg_mark[]){{at, 'a'}, {{everyone, NAN, NAN}, 'c'}}, 2);
    if (records < 0) {
        ecg_text_puts(to, "<td class=\"n state\" colspan=\"5\">fewer patients than may be shown</td></tr>\n");
        return;
    }
    ecg_put_cell_span(to, at, 3, false);
    ecg_put_cell(to, everyone, 3, false);
    ecg_html_cell_count(to, records);
    ecg_put_cell(to, ecg_study_number(s, "patients"), 0, false);
    ecg_put_cell(to, ecg_study_number(s, "labels"), 0, false);
    ecg_text_puts(to, "</tr>\n");
}

static void put_subgroups_of(ecg_text *to, const ecg_study_view *v, const measured *m)
{
    static const char *const heads[] = {"Subgroup", "@macro AUROC", "#in the subgroup", "#everyone", "#ECGs", "#patients", "#labels"};
    const json_t *list = ecg_study_list(m->head, "subgroups");
    double x[4 * 64];
    int n = 0;
    size_t i;
    json_t *s;
    json_array_foreach(list, i, s)
        if (n + 4 <= (int)(sizeof x / sizeof *x)) {
            const ecg_span at = ecg_study_span(json_object_get(s, "macro_auroc"), "point", "low", "high");
            x[n++] = at.point;
            x[n++] = at.lo;
            x[n++] = at.hi;
            x[n++] = ecg_study_number(s, "everyone_on_these_labels");
        }
    ecg_text caption = {0};
    ecg_text_printf(&caption, "%s, %s: macro AUROC within each subgroup (95 %% interval) and of everyone on the same labels; labels need 10 positives and 10 negatives in the subgroup",
                    ecg_study_text(m->row, "title"), ecg_study_text(m->row, "task"));
    const ecg_axis axis = ecg_axis_over(x, n, NAN);
    ecg_put_forest(to, v, caption.at ? caption.at : "", heads, 7, &axis);
    ecg_text_clear(&caption);
    json_array_foreach(list, i, s)
        put_subgroup(to, s, &axis);
    ecg_html_table_end(to);
}

static void put_subgroups(ecg_text *to, const ecg_study_view *v, const measured *m)
{
    int shown = 0;
    ecg_put_section(to, v, "subgroups", "Subgroups");
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(wanted[i].row, "ours_shared") && has_subgroups(&m[i])) {
            if (!shown++) {
                ecg_text_puts(to, "<p class=\"small keys\">");
                ecg_put_key(to, 'a', "within the subgroup, with its 95 % interval");
                ecg_put_key(to, 'c', "everyone, on the labels that the subgroup has enough of");
                ecg_text_puts(to, "</p>\n");
            }
            put_subgroups_of(to, v, &m[i]);
        }
    for (int i = 0; i < ROWS && !shown; i++) /* a study without ours: whatever row there is */
        if (has_subgroups(&m[i])) {
            put_subgroups_of(to, v, &m[i]);
            shown++;
        }
    if (!shown)
        ecg_put_absent(to, "Not reported: no row has been evaluated by subgroup, or the cohort holds no age, sex or ethnicity.");
    ecg_text_puts(to, "</section>\n");
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------------------- */

static void put_calibration(ecg_text *to, ecg_study_view *v, const measured *m, const char *unit)
{
    ecg_text_puts(to, "<p class=\"small keys\">");
    ecg_put_key(to, 'B', "from the ECG alone");
    ecg_put_key(to, 'A', "ours");
    ecg_put_key(to, 'C', "multimodal");
    ecg_put_key(to, 'D', "perfect calibration; calling everybody, calling nobody");
    ecg_text_puts(to, "</p>\n<div class=\"panels two\">\n");
    put_task_panels(to, m, "Diagnoses");
    put_task_panels(to, m + 3, "Labs");
    ecg_text_puts(to, "</div>\n");
    put_figures(to, v, m);
    put_operating(to, v, m);
    if (ecg_study_units(v) > 1) {
        ecg_text_puts(to, "<p class=\"small muted\">Figures of ");
        ecg_html_text(to, unit);
        ecg_text_puts(to, "; those of the other cohorts and seeds lie in their folders.</p>\n");
    }
    put_label_panels(to, v, m[1].head ? &m[1] : &m[0]);
    ecg_text_puts(to, "<p class=\"small muted\">No recalibration was applied: probabilities are those of the trained heads.</p>\n");
}

ecg_status ecg_put_calibration(ecg_text *to, ecg_study_view *v, ecg_err *err)
{
    measured m[ROWS];
    int any = -1;
    for (int i = ROWS - 1; i >= 0; i--) {
        m[i] = measure(v, wanted[i].row, wanted[i].task);
        any = m[i].head ? i : any;
    }
    ecg_put_section(to, v, "calibration", "Calibration");
    if (any >= 0)
        put_calibration(to, v, m, m[any].unit);
    else
        ecg_put_absent(to, "Not reported: no evaluation.json of a row is there.");
    ecg_text_puts(to, "</section>\n");
    put_subgroups(to, v, m);
    for (int i = 0; i < ROWS; i++)
        json_decref(m[i].file);
    return to->failed ? ecg_fail(err, ECG_ENOMEM, "no memory for the page") : ECG_OK;
}
