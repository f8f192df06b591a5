/* SPDX-License-Identifier: MIT
 * assess_write.c: an assessment as tables. What has no value is empty; what may not be shown is "<11" or "-". */
#include "study/assess.h"

#include <math.h>
#include <stdio.h>

#include "base/csv.h"
#include "base/file.h"

static ecg_status create(ecg_csvw **w, const char *folder, const char *kind, const char *suffix, const char *const *columns, ecg_err *err)
{
    char path[512], name[256];
    if (snprintf(name, sizeof name, "%s%s", kind, suffix) >= (int)sizeof name)
        return ecg_fail(err, ECG_EARG, "%s%.40s...: a name that long", kind, suffix);
    ecg_status st = ecg_join(path, sizeof path, folder, name, err);
    if (st || (st = ecg_csvw_create(w, path, err)))
        return st;
    for (; *columns; columns++)
        ecg_csvw_text(*w, *columns);
    return ECG_OK;
}

static void number(ecg_csvw *w, double x)
{
    char format[8];
    snprintf(format, sizeof format, "%%.%dg", ECG_ASSESS_DIGITS);
    if (isinf(x))
        ecg_csvw_text(w, x > 0 ? "inf" : "-inf");
    else
        ecg_csvw_double(w, x, format);
}

static void interval(ecg_csvw *w, const ecg_interval *x)
{
    number(w, x->point);
    number(w, x->lo);
    number(w, x->hi);
}

static void label_row(ecg_csvw *w, const ecg_assessment *a, const ecg_assess_label *l)
{
    const ecg_calibration *c = &l->calibration;
    const int64_t known = l->positives + l->negatives;
    ecg_csvw_text(w, l->code);
    ecg_csvw_text(w, l->title);
    ecg_csvw_int(w, l->positives);
    ecg_csvw_int(w, l->negatives);
    number(w, known ? (double)l->positives / (double)known : NAN);
    interval(w, &l->auroc);
    number(w, l->precision.point);
    interval(w, &l->first_auroc);
    number(w, l->precision.lo);
    number(w, l->precision.hi);
    interval(w, &l->first_precision);
    number(w, c->brier);
    number(w, c->brier_skill);
    for (int b = 0; b < ECG_BINNINGS; b++)
        number(w, c->ece[b]);
    number(w, c->slope);
    number(w, c->intercept);
    number(w, c->offset);
    ecg_csvw_text(w, ecg_fit_text(c->fit));
    for (int i = 0; i < 2; i++)
        number(w, l->sensitivity_at[i]);
    for (int i = 0; i < 2; i++)
        number(w, l->specificity_at[i]);
    for (int r = 0; a->task->validation && r < ECG_RULES; r++) {
        const ecg_operating *o = &l->operating[r];
        const double figures[] = {o->threshold, o->sensitivity, o->specificity, o->ppv, o->npv, o->f1};
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            number(w, figures[i]);
    }
    if (a->task->against) {
        number(w, l->difference.point);
        number(w, l->difference.lo);
        number(w, l->difference.hi);
        number(w, l->difference.above);
    }
    ecg_csvw_end(w);
}

static ecg_status write_labels(const ecg_assessment *a, const char *folder, const char *suffix, ecg_err *err)
{
    static const char *const columns[] = {
        "code", "title", "positives", "negatives", "prevalence", "auroc", "auroc_low", "auroc_high", "average_precision", "first_auroc", "first_auroc_low",
        "first_auroc_high", "average_precision_low", "average_precision_high", "first_average_precision", "first_average_precision_low",
        "first_average_precision_high", "brier", "brier_skill", "ece_width10", "ece_width15", "ece_mass10", "calibration_slope", "calibration_intercept",
        "calibration_in_the_large", "calibration_fit", "sensitivity_at_specificity90", "sensitivity_at_specificity95", "specificity_at_sensitivity90",
        "specificity_at_sensitivity95", NULL};
    static const char *const figures[] = {"threshold", "sensitivity", "specificity", "ppv", "npv", "f1"};
    ecg_csvw *w;
    const ecg_status st = create(&w, folder, "labels", suffix, columns, err);
    if (st)
        return st;
    for (int r = 0; a->task->validation && r < ECG_RULES; r++)
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
            char name[64];
            snprintf(name, sizeof name, "%s_%s", ecg_rule_name(r), figures[i]);
            ecg_csvw_text(w, name);
        }
    if (a->task->against) {
        ecg_csvw_text(w, "difference");
        ecg_csvw_text(w, "difference_low");
        ecg_csvw_text(w, "difference_high");
        ecg_csvw_text(w, "difference_above_zero");
    }
    ecg_csvw_end(w);
    for (int k = 0; k < a->K; k++)
        label_row(w, a, &a->label[k]);
    return ecg_csvw_commit(w, err);
}

static void curves(ecg_csvw *w, const char *code, const ecg_reliability r[ECG_BINNINGS])
{
    for (int b = 0; b < ECG_BINNINGS; b++)
        for (int i = 0; i < ecg_bins(b); i++) {
            const ecg_bin *x = &r[b].bin[i];
            if (!x->count)
                continue;
            ecg_csvw_text(w, code);
            ecg_csvw_text(w, ecg_bins_name(b));
            ecg_csvw_int(w, i + 1);
            ecg_csvw_int(w, x->count);
            ecg_csvw_int(w, x->positives);
            number(w, x->predicted);
            number(w, x->observed);
            ecg_csvw_end(w);
        }
}

static ecg_status write_reliability(const ecg_assessment *a, const char *folder, const char *suffix, ecg_err *err)
{
    static const char *const columns[] = {"code", "bins", "bin", "count", "positives", "predicted", "observed", NULL};
    ecg_csvw *w;
    const ecg_status st = create(&w, folder, "reliability", suffix, columns, err);
    if (st)
        return st;
    ecg_csvw_end(w);
    curves(w, "(all pooled)", a->pooled_reliability);
    for (int k = 0; k < a->K; k++)
        curves(w, a->label[k].code, a->label[k].reliability);
    return ecg_csvw_commit(w, err);
}

static void decisions(ecg_csvw *w, const char *code, const ecg_decision d[ECG_DECISIONS])
{
    for (int i = 0; i < ECG_DECISIONS; i++) {
        ecg_csvw_text(w, code);
        number(w, d[i].threshold);
        number(w, d[i].net_benefit);
        number(w, d[i].treat_all);
        number(w, d[i].called);
        ecg_csvw_end(w);
    }
}

static ecg_status write_decisions(const ecg_assessment *a, const char *folder, const char *suffix, ecg_err *err)
{
    static const char *const columns[] = {"code", "threshold", "net_benefit", "treat_all", "called", NULL};
    ecg_csvw *w;
    const ecg_status st = create(&w, folder, "decision", suffix, columns, err);
    if (st)
        return st;
    ecg_csvw_end(w);
    decisions(w, "(mean)", a->mean_decision);
    for (int k = 0; k < a->K; k++)
        decisions(w, a->label[k].code, a->label[k].decision);
    return ecg_csvw_commit(w, err);
}

static void counted(ecg_csvw *w, int64_t x, const char *instead)
{
    if (x < 0)
        ecg_csvw_text(w, instead);
    else
        ecg_csvw_int(w, x);
}

static ecg_status write_subgroups(const ecg_assessment *a, const char *folder, const char *suffix, ecg_err *err)
{
    static const char *const columns[] = {"group", "level", "code", "records", "patients", "positives", "negatives", "labels", "auroc", "auroc_low",
                                           "auroc_high", "everyone", NULL};
    const ecg_assess_task *t = a->task;
    char few[24];
    ecg_csvw *w;
    const ecg_status st = create(&w, folder, "subgroups", suffix, columns, err);
    if (st)
        return st;
    ecg_csvw_end(w);
    snprintf(few, sizeof few, "<%d", t->least_patients > 0 ? t->least_patients : 11);
    for (int i = 0; i < a->subgroups; i++) {
        const ecg_assess_subgroup *s = &a->subgroup[i];
        const ecg_assess_group *g = &t->group[s->group];
        for (int k = -1; k < a->K; k++) {
            const ecg_assess_cell *c = k < 0 ? NULL : &s->label[k];
            const char *hidden = s->shown == ECG_SHOWN_NOTHING ? few : "-";
            if (c && s->shown == ECG_SHOWN_NOTHING)
                break;
            ecg_csvw_text(w, g->name);
            ecg_csvw_text(w, s->level < 0 ? "unknown" : g->level[s->level]);
            ecg_csvw_text(w, k < 0 ? "(macro)" : a->label[k].code);
            counted(w, s->records, hidden);
            counted(w, s->patients, hidden);
            if (c) {
                counted(w, c->positives, "-");
                counted(w, c->negatives, "-");
                ecg_csvw_text(w, "");
                number(w, c->auroc);
                ecg_csvw_text(w, "");
                ecg_csvw_text(w, "");
                number(w, isnan(c->auroc) ? NAN : a->label[k].auroc.point);
            } else {
                ecg_csvw_text(w, "");
                ecg_csvw_text(w, "");
                ecg_csvw_int(w, s->labels);
                interval(w, &s->auroc.macro);
                number(w, s->everyone);
            }
            ecg_csvw_end(w);
        }
    }
    return ecg_csvw_commit(w, err);
}

ecg_status ecg_assess_write(const ecg_assessment *a, const char *folder, const char *suffix, ecg_err *err)
{
    ecg_status st = write_labels(a, folder, suffix, err);
    if (!st)
        st = write_reliability(a, folder, suffix, err);
    if (!st)
        st = write_decisions(a, folder, suffix, err);
    if (!st && a->task->groups)
        st = write_subgroups(a, folder, suffix, err);
    return st;
}
