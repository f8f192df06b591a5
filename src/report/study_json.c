/* SPDX-License-Identifier: MIT
 * study_json.c: report.json, the figures and what they say, for programs. What has no value is null. */
#include <math.h>
#include <string.h>

#include "report/study_parts.h"

static json_t *text(const char *s)
{
    return *s ? json_string(s) : json_null();
}

static json_t *rows_of(const ecg_study_view *v)
{
    json_t *out = json_array(), *row;
    size_t i;
    json_array_foreach(ecg_study_list(v->root, "rows"), i, row)
    {
        const bool has = ecg_study_has(row, "auroc");
        const ecg_span s = has ? ecg_study_auroc(row) : (ecg_span){NAN, NAN, NAN};
        const ecg_span first = has ? ecg_study_auroc(json_object_get(row, "first_in_stay")) : (ecg_span){NAN, NAN, NAN};
        json_array_append_new(out, json_pack("{s:O, s:O, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}}", "row", json_object_get(row,
                                             "row"), "task",
                                             json_object_get(row, "task"), "title", text(ecg_study_text(row, "title")), "kind", text(ecg_study_text(row,
                                             "kind")), "status",
                                             text(ecg_study_text(row, "status")), "why", text(ecg_study_text(row, "why")), "auroc", ecg_json_number(s.point),
                                             "lo",
                                             ecg_json_number(s.lo), "hi", ecg_json_number(s.hi), "paper", ecg_json_number(ecg_study_number(row, "paper")),
                                             "interval",
                                             text(has ? ecg_study_text(row, "interval") : ""), "spread", ecg_json_number(has ? ecg_study_number(row,
                                             "spread") : NAN), "first_in_stay",
                                             "auroc", ecg_json_number(first.point), "lo", ecg_json_number(first.lo), "hi", ecg_json_number(first.hi)));
    }
    return out;
}

static json_t *difference(const json_t *d)
{
    const ecg_span s = ecg_study_has(d, "difference") ? ecg_study_span(d, "difference", "lo", "hi") : (ecg_span){NAN, NAN, NAN};
    return json_pack("{s:O, s:O, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "a", json_object_get(d, "a"), "b", json_object_get(d, "b"), "task",
                     text(ecg_study_text(d, "task")), "difference", ecg_json_number(s.point), "lo", ecg_json_number(s.lo), "hi", ecg_json_number(s.hi),
                     "finding", ecg_finding(s), "interval",
                     text(ecg_study_text(d, "interval")), "spread", ecg_json_number(ecg_study_number(d, "spread")), "status", text(ecg_study_text(d,
                     "status")), "why",
                     text(ecg_study_text(d, "why")));
}

static json_t *differences_of(const json_t *list)
{
    json_t *out = json_array(), *d;
    size_t i;
    json_array_foreach(list, i, d)
        json_array_append_new(out, difference(d));
    return out;
}

static json_t *controls_of(const ecg_study_view *v)
{
    json_t *out = json_array(), *c;
    size_t i;
    json_array_foreach(ecg_study_list(v->root, "controls"), i, c)
        json_array_append_new(out, json_pack("{s:O, s:o, s:o, s:o, s:o, s:o}", "control", json_object_get(c, "control"), "title", text(ecg_study_text(c,
                                             "title")), "expected",
                                             text(ecg_study_text(c, "expected")), "status", text(ecg_study_text(c, "status")), "why", text(ecg_study_text(c,
                                             "why")),
                                             "differences", differences_of(ecg_study_list(c, "differences"))));
    return out;
}

/* As they stand in results.json: null where they do not. */
static json_t *as_is(const ecg_study_view *v, const char *key)
{
    json_t *x = json_object_get(v->root, key);
    return x ? json_incref(x) : json_null();
}

json_t *ecg_study_json(const ecg_study_view *v)
{
    static const char *const kept[] = {"complete", "version", "command", "preset", "seeds", "settings_hash", "resamples", "bootstrap", "forgetting",
    "ablations", "notes"};
    json_t *cohorts = json_array(), *c, *j;
    size_t i;
    json_array_foreach(ecg_study_list(v->root, "cohorts"), i, c)
        json_array_append_new(cohorts, json_pack("{s:o, s:o, s:o}", "file", text(ecg_study_text(c, "file")), "hash", text(ecg_study_text(c, "hash")), "records",
                                                 ecg_json_number(ecg_study_number(c, "records"))));
    j = json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:O, s:o, s:O}", "schema", "ecgraft.report/1", "statement", ECG_STATEMENT, "synthetic", v->synthetic,
                  "rows", rows_of(v),
                  "differences", differences_of(ecg_study_list(v->root, "differences")), "controls", controls_of(v), "verdict", v->verdict, "cohorts",
                  cohorts, "missing",
                  v->missing);
    for (size_t k = 0; j && k < sizeof kept / sizeof *kept; k++)
        json_object_set_new(j, kept[k], as_is(v, kept[k]));
    return j;
}
