/* SPDX-License-Identifier: MIT
 * assess_json.c: an assessment as JSON. What has no value is null. */
#include "study/assess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* Names come from anybody's file and may hold any bytes; JSON holds UTF-8: others become '?'. */
static json_t *text(const char *s)
{
    json_t *j = json_string(s);
    char *ascii = j ? NULL : strdup(s);
    for (char *c = ascii; c && *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    if (ascii)
        j = json_string(ascii);
    free(ascii);
    return j;
}

static json_t *count(int64_t x)
{
    return x < 0 ? json_null() : json_integer(x);
}

static json_t *interval(const ecg_interval *x)
{
    return json_pack("{s:o, s:o, s:o, s:I}", "point", ecg_json_number(x->point), "low", ecg_json_number(x->lo), "high", ecg_json_number(x->hi), "undefined",
                     (json_int_t)x->undefined);
}

static json_t *difference(const ecg_difference *x)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:I}", "point", ecg_json_number(x->point), "low", ecg_json_number(x->lo), "high", ecg_json_number(x->hi),
                     "above_zero", ecg_json_number(x->above),
                     "undefined", (json_int_t)x->undefined);
}

/* patients: that rows belong to patients is known */
static json_t *scope(const ecg_assess_scope *s, bool patients)
{
    return json_pack("{s:I, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "records", (json_int_t)s->records, "patients",
                     patients ? json_integer(s->patients) : json_null(), "defined", s->defined,
                     "macro_auroc", interval(&s->auroc.macro), "macro_auroc_undefined_as_half", interval(&s->auroc.macro_half), "micro_auroc",
                     interval(&s->auroc.micro), "macro_auprc", interval(&s->precision.macro), "micro_auprc", interval(&s->precision.micro));
}

static json_t *paired(const ecg_boot_paired *d)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "macro_auroc", difference(&d->macro), "micro_auroc", difference(&d->micro), "macro_auprc",
                     difference(&d->macro_precision), "micro_auprc", difference(&d->micro_precision));
}

static json_t *reliability(const ecg_reliability r[ECG_BINNINGS])
{
    json_t *all = json_object();
    for (int b = 0; b < ECG_BINNINGS; b++) {
        json_t *list = json_array();
        for (int i = 0; i < ecg_bins(b); i++) {
            const ecg_bin *x = &r[b].bin[i];
            json_array_append_new(list, json_pack("{s:I, s:o, s:o}", "count", (json_int_t)x->count, "predicted", ecg_json_number(x->predicted), "observed",
                                                  ecg_json_number(x->observed)));
        }
        json_object_set_new(all, ecg_bins_name(b), list);
    }
    return all;
}

static json_t *calibration(const ecg_calibration *c, bool fitted)
{
    json_t *j = json_pack("{s:o, s:o}", "brier", ecg_json_number(c->brier), "brier_skill", ecg_json_number(c->brier_skill)), *ece = json_object();
    for (int b = 0; b < ECG_BINNINGS; b++)
        json_object_set_new(ece, ecg_bins_name(b), ecg_json_number(c->ece[b]));
    json_object_set_new(j, "ece", ece);
    if (!fitted)
        return j;
    json_object_set_new(j, "slope", ecg_json_number(c->slope));
    json_object_set_new(j, "intercept", ecg_json_number(c->intercept));
    json_object_set_new(j, "in_the_large", ecg_json_number(c->offset));
    json_object_set_new(j, "fit", json_string(ecg_fit_text(c->fit)));
    json_object_set_new(j, "mean_predicted", ecg_json_number(c->mean_predicted));
    json_object_set_new(j, "prevalence", ecg_json_number(c->prevalence));
    return j;
}

static json_t *operating(const ecg_operating *o, bool whole)
{
    json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o}", "sensitivity", ecg_json_number(o->sensitivity), "specificity", ecg_json_number(o->specificity), "ppv",
                          ecg_json_number(o->ppv), "npv",
                          ecg_json_number(o->npv), "f1", ecg_json_number(o->f1));
    if (whole) /* a threshold that nothing reaches has no number in JSON */
        json_object_set_new(j, "threshold", isinf(o->threshold) ? json_string("none called") : ecg_json_number(o->threshold));
    return j;
}

/* Means over labels, or one label's own. */
static json_t *operating_points(const ecg_assessment *a, const double sensitivity[2], const double specificity[2], const ecg_operating o[ECG_RULES], bool whole)
{
    json_t *j = json_pack("{s:o, s:o, s:o, s:o}", "sensitivity_at_specificity_90", ecg_json_number(sensitivity[0]), "sensitivity_at_specificity_95",
                          ecg_json_number(sensitivity[1]), "specificity_at_sensitivity_90", ecg_json_number(specificity[0]), "specificity_at_sensitivity_95",
                          ecg_json_number(specificity[1]));
    if (a->task->validation) {
        json_t *rules = json_object();
        for (int r = 0; r < ECG_RULES; r++)
            json_object_set_new(rules, ecg_rule_name(r), operating(&o[r], whole));
        json_object_set_new(j, "by_validation_threshold", rules);
    }
    return j;
}

static json_t *decisions(const ecg_decision d[ECG_DECISIONS])
{
    json_t *list = json_array();
    for (int i = 0; i < ECG_DECISIONS; i++)
        json_array_append_new(list, json_pack("{s:f, s:o, s:o, s:o}", "threshold", d[i].threshold, "net_benefit", ecg_json_number(d[i].net_benefit), "treat_all",
                                              ecg_json_number(d[i].treat_all), "called", ecg_json_number(d[i].called)));
    return list;
}

static json_t *label(const ecg_assessment *a, const ecg_assess_label *l)
{
    json_t *j = json_pack("{s:o, s:o, s:I, s:I, s:o, s:o}", "code", text(l->code), "title", text(l->title), "positives", (json_int_t)l->positives, "negatives",
                          (json_int_t)l->negatives, "auroc", interval(&l->auroc), "auprc", interval(&l->precision));
    if (!j)
        return NULL;
    if (a->has_first) {
        json_object_set_new(j, "first_auroc", interval(&l->first_auroc));
        json_object_set_new(j, "first_auprc", interval(&l->first_precision));
    }
    if (a->task->against)
        json_object_set_new(j, "difference", difference(&l->difference));
    json_object_set_new(j, "calibration", calibration(&l->calibration, true));
    json_object_set_new(j, "operating_points", operating_points(a, l->sensitivity_at, l->specificity_at, l->operating, true));
    return j;
}

static json_t *subgroups(const ecg_assessment *a)
{
    json_t *list = json_array();
    for (int i = 0; i < a->subgroups; i++) {
        const ecg_assess_subgroup *s = &a->subgroup[i];
        const ecg_assess_group *g = &a->task->group[s->group];
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "group", text(g->name), "bands", text(g->bands), "level",
                                              text(s->level < 0 ? "unknown" : g->level[s->level]), "records", count(s->records), "patients", count(s->patients),
                                              "labels", s->labels, "macro_auroc", interval(&s->auroc.macro), "everyone_on_these_labels",
                                              ecg_json_number(s->everyone)));
    }
    return list;
}

static json_t *validation(const ecg_assess_task *t)
{
    return t->validation ? json_pack("{s:o, s:I}", "rows", text(t->validation_text ? t->validation_text : ""), "records",
                                     (json_int_t)t->validation->n) : json_null();
}

json_t *ecg_assess_json(const ecg_assessment *a)
{
    const ecg_assess_task *t = a->task;
    json_t *undefined = json_array(), *labels = json_array(), *j = json_object();
    for (int k = 0; k < a->K; k++) {
        json_array_append_new(labels, label(a, &a->label[k]));
        if (isnan(a->label[k].auroc.point))
            json_array_append_new(undefined, text(a->label[k].code));
    }
    json_object_set_new(j, "labels", json_integer(a->K));
    json_object_set_new(j, "all_ecgs", scope(&a->all, a->has_unit));
    json_object_set_new(j, "first_in_stay", a->has_first ? scope(&a->first, a->has_unit) : json_null());
    json_object_set_new(j, "undefined_labels", undefined);
    if (t->against) {
        json_object_set_new(j, "against", text(t->against_name ? t->against_name : ""));
        json_object_set_new(j, "difference", json_pack("{s:o, s:o}", "all_ecgs", paired(&a->all.difference), "first_in_stay",
                                                       a->has_first ? paired(&a->first.difference) : json_null()));
    }
    json_object_set_new(j, "calibration", json_pack("{s:o, s:o, s:o}", "mean_over_labels", calibration(&a->mean, false), "pooled", calibration(&a->pooled, true),
                                                    "pooled_reliability", reliability(a->pooled_reliability)));
    json_object_set_new(j, "thresholds_from", validation(t));
    json_object_set_new(j, "operating_points",
                        operating_points(a, a->mean_sensitivity_at, a->mean_specificity_at, a->mean_operating, false));
    json_object_set_new(j, "net_benefit", decisions(a->mean_decision));
    json_object_set_new(j, "subgroups", subgroups(a));
    json_object_set_new(j, "per_label", labels);
    return j;
}
