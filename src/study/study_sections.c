/* SPDX-License-Identifier: MIT
 * study_sections.c: controls, forgetting, ablations, curves and stages of results.json. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "study/study_parts.h"

static double number(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* ---- controls ----------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *control, *title, *expected;
    const char *pairs[4][2];
    const char *curves[2]; /* stages whose curves belong to it */
} controls[] = {
    {"shuffled", "ECG and table of different records paired", "the gain over signal only must go",
     {{"shuffled", "signal"}, {"ours_shared", "shuffled"}, {"ours_shared", "signal"}}, {"shuffled/pretrain"}},
    {"all_labels", "Every pair has its labels", "the gain must shrink", {{"ours_all", "signal_all"}, {"ours_shared", "signal"}}, {NULL}},
    {"converged", "The baseline trained to convergence", "three times as many epochs must not make signal only better",
     {{"signal_long", "signal"}, {"ours_shared", "signal_long"}}, {"signal/diagnoses", "signal_long/diagnoses"}},
    {"pretraining", "The loss of stage 1", "it must fall and level out", {{NULL}}, {"ours/pretrain"}},
};

static const json_t *find_difference(const json_t *differences, const char *a, const char *b)
{
    size_t i;
    const json_t *d;
    json_array_foreach((json_t *)differences, i, d)
        if (strcmp(json_string_value(json_object_get(d, "a")), a) == 0 && strcmp(json_string_value(json_object_get(d, "b")), b) == 0 &&
            strcmp(json_string_value(json_object_get(d, "task")), "diagnoses") == 0)
            return d;
    return NULL;
}

static json_t *control_curves(const study *s, const char *const stage[2])
{
    json_t *list = json_array();
    for (int k = 0; k < 2 && stage[k]; k++)
        for (int u = 0; u < s->units; u++)
            if (ecg_book_state(s, u, stage[k]) == ECG_STATE_DONE) {
                char text[600];
                snprintf(text, sizeof text, "%s/%s", s->unit[u].name, stage[k]);
                json_array_append_new(list, json_string(text));
            }
    return list;
}

json_t *ecg_book_controls_json(const study *s, const json_t *differences)
{
    static const char *const keys[] = {"a", "b", "task", "difference", "lo", "hi", "interval"};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        json_t *j = json_pack("{s:s, s:s, s:s}", "control", controls[i].control, "title", controls[i].title, "expected", controls[i].expected);
        json_t *d = json_array(), *curves = control_curves(s, controls[i].curves);
        const json_t *state = NULL;
        for (int k = 0; k < 4 && controls[i].pairs[k][0]; k++) {
            const json_t *p = find_difference(differences, controls[i].pairs[k][0], controls[i].pairs[k][1]);
            if (!p)
                continue;
            json_t *x = json_object();
            for (size_t m = 0; m < sizeof keys / sizeof *keys; m++)
                json_object_set(x, keys[m], json_object_get(p, keys[m]));
            json_array_append_new(d, x);
            state = state ? state : p; /* the first pair is what the control is about */
        }
        if (state) {
            json_object_set(j, "status", json_object_get(state, "status"));
            json_object_set(j, "why", json_object_get(state, "why"));
        } else {
            const char *why;
            const ecg_stage_state own = ecg_book_over_units(s, controls[i].curves[0], false, &why);
            ecg_book_set_state(j, own, why);
        }
        json_object_set_new(j, "differences", d);
        json_object_set_new(j, "curves", curves);
        json_array_append_new(list, j);
    }
    return list;
}

/* ---- forgetting --------------------------------------------------------------------------------------------------------- */

static const struct { const char *name, *title, *stage; } probed[] = {
    {"random", "an untrained encoder", "random/encoder"},
    {"pretrain", "after stage 1", "ours/pretrain"},
    {"diagnoses", "after stage 2", "ours/diagnoses"},
    {"labs", "the branch of stage 3", "ours/labs_branched"},
    {"signal", "signal only", "signal/diagnoses"},
};

static double probe_mean(const study *s, const char *stage, const char *group, const char *key, study_figure *room, double *spread)
{
    for (int u = 0; u < s->units; u++) {
        const json_t *p = json_object_get(ecg_book_stage_entry(s, u, stage), "probe");
        room[u] = (study_figure){number(group ? json_object_get(p, group) : p, key), NAN, NAN};
    }
    const study_mean m = ecg_book_mean(s, room);
    if (spread)
        *spread = m.spread;
    return m.value;
}

static json_t *group_json(const study *s, const char *stage, const char *group, study_figure *room)
{
    const double columns = probe_mean(s, stage, group, "columns", room, NULL);
    return json_pack("{s:I, s:o}", "columns", (json_int_t)(isfinite(columns) ? round(columns) : 0), "r2_test",
                     ecg_json_number(probe_mean(s, stage, group, "r2_test", room, NULL)));
}

static json_t *probe_units(const study *s, const char *stage)
{
    json_t *list = json_array();
    for (int u = 0; u < s->units; u++) {
        const json_t *p = json_object_get(ecg_book_stage_entry(s, u, stage), "probe");
        char folder[512];
        if (!p)
            continue;
        json_t *x = json_deep_copy(p);
        ecg_book_below(folder, s, u, stage);
        json_object_set_new(x, "unit", json_string(s->unit[u].name));
        json_object_set_new(x, "folder", json_string(folder));
        json_array_append_new(list, x);
    }
    return list;
}

json_t *ecg_book_forgetting_json(const study *s)
{
    json_t *stages = json_array();
    study_figure *room = calloc((size_t)s->units, sizeof *room);
    int done = 0;
    for (size_t i = 0; i < sizeof probed / sizeof *probed && room; i++) {
        const char *id = probed[i].stage, *why;
        double spread;
        const double test = probe_mean(s, id, NULL, "r2_test", room, &spread), columns = probe_mean(s, id, NULL, "columns", room, NULL);
        const ecg_stage_state state = ecg_book_over_units(s, id, false, &why);
        json_t *j = json_pack("{s:s, s:s}", "stage", probed[i].name, "title", probed[i].title);
        ecg_book_set_state(j, state == ECG_STATE_DONE && !isfinite(test) ? ECG_STATE_LEFT_OUT : state, isfinite(test) || why ? why : "no column to probe for");
        json_object_set_new(j, "r2_test", ecg_json_number(test));
        json_object_set_new(j, "r2_validation", ecg_json_number(probe_mean(s, id, NULL, "r2_validation", room, NULL)));
        json_object_set_new(j, "spread", ecg_json_number(spread));
        json_object_set_new(j, "columns", json_integer(isfinite(columns) ? (json_int_t)round(columns) : 0));
        json_object_set_new(j, "routine", group_json(s, id, "routine", room));
        json_object_set_new(j, "lab", group_json(s, id, "lab", room));
        json_object_set_new(j, "units", probe_units(s, id));
        json_array_append_new(stages, j);
        done += isfinite(test);
    }
    free(room);
    json_t *j = json_pack("{s:s}", "what", "ridge regression from the frozen embedding (mean over crops) to each continuous tabular value; R2 on records the "
                                           "probe has not seen");
    bool table = false;
    for (int c = 0; c < s->task->cohorts; c++)
        table |= s->cohort[c].tabular != NULL;
    ecg_book_set_state(j, done ? ECG_STATE_DONE : table ? ECG_STATE_PENDING : ECG_STATE_LEFT_OUT, table ? NULL : "the cohort has no tabular columns");
    json_object_set_new(j, "stages", stages);
    return j;
}

/* ---- ablations ---------------------------------------------------------------------------------------------------------- */

/* Seconds of a stage and those before it, the mean over units. */
static double chain_seconds(const study *s, const char *id)
{
    double sum = 0;
    for (int u = 0; u < s->units; u++)
        for (const char *at = id; at;) {
            const json_t *e = ecg_book_stage_entry(s, u, at);
            const double took = number(e, "seconds");
            sum += isfinite(took) ? took : 0;
            at = json_string_value(json_object_get(e, "from"));
        }
    return sum / s->units;
}

static json_t *ablation_json(const study *s, const ecg_plan_ablation *a, study_figure *room)
{
    char labs[64];
    const char *why;
    ecg_stage_state state = ecg_book_over_units(s, a->id, a->asked, &why);
    if (state == ECG_STATE_NOT_ASKED)
        return NULL;
    if (a->state == ECG_STATE_LEFT_OUT) {
        state = a->state;
        why = a->why;
    }
    json_t *changes = json_array(), *j = json_pack("{s:s, s:s, s:s}", "ablation", a->name, "group", a->group, "title", a->title), *d = json_object();
    if (*a->change)
        json_array_append_new(changes, json_string(a->change));
    json_object_set_new(j, "changes", changes);
    ecg_book_set_state(j, state, why);
    for (int u = 0; u < s->units; u++)
        room[u] = ecg_book_figure(json_object_get(ecg_book_stage_entry(s, u, a->id), "figures"), "auroc", "lo", "hi");
    const study_mean m = ecg_book_mean(s, room);
    json_object_set_new(j, "auroc", ecg_json_number(m.value));
    json_object_set_new(j, "lo", ecg_json_number(m.lo));
    json_object_set_new(j, "hi", ecg_json_number(m.hi));
    snprintf(labs, sizeof labs, "ablation-%s/labs", a->name);
    for (int u = 0; u < s->units; u++) {
        const json_t *own = json_object_get(ecg_book_stage_entry(s, u, a->id), "labs_figures");
        room[u] = ecg_book_figure(own ? own : json_object_get(ecg_book_stage_entry(s, u, labs), "figures"), "auroc", "lo", "hi");
    }
    json_object_set_new(j, "labs_auroc", ecg_json_number(ecg_book_mean(s, room).value));
    ecg_book_difference(d, s, a->id, "ours/diagnoses", room);
    json_object_set(j, "difference", json_object_get(d, "difference"));
    json_object_set(j, "difference_lo", json_object_get(d, "lo"));
    json_object_set(j, "difference_hi", json_object_get(d, "hi"));
    json_object_set(j, "interval", json_object_get(d, "interval"));
    json_object_set(j, "spread", json_object_get(d, "spread"));
    json_decref(d);
    json_object_set_new(j, "r2_test", ecg_json_number(probe_mean(s, a->id, NULL, "r2_test", room, NULL)));
    const double took = chain_seconds(s, a->id), ours = chain_seconds(s, "ours/diagnoses");
    json_object_set_new(j, "seconds", took > 0 ? json_real(took) : json_null());
    json_object_set_new(j, "seconds_ours", ours > 0 ? json_real(ours) : json_null());
    return j;
}

json_t *ecg_book_ablations_json(const study *s)
{
    json_t *list = json_array();
    study_figure *room = calloc((size_t)s->units, sizeof *room);
    for (int i = 0; i < s->plan[0].ablations && room; i++) { /* the lines are the same for all cohorts */
        json_t *j = ablation_json(s, &s->plan[0].ablation[i], room);
        if (j)
            json_array_append_new(list, j);
    }
    free(room);
    return list;
}

/* ---- stages and curves -------------------------------------------------------------------------------------------------- */

static json_t *each_stage(const study *s, json_t *(*make)(const study *s, int unit, const char *id, const json_t *entry))
{
    json_t *list = json_array();
    for (int u = 0; u < s->units; u++) {
        const ecg_plan *plan = &s->plan[s->unit[u].cohort];
        for (int i = 0; i < plan->stages; i++) {
            const json_t *entry = ecg_book_stage_entry(s, u, plan->stage[i].id);
            json_t *j = entry ? make(s, u, plan->stage[i].id, entry) : NULL;
            if (j)
                json_array_append_new(list, j);
        }
    }
    return list;
}

static json_t *stage_json(const study *s, int unit, const char *id, const json_t *entry)
{
    static const char *const keys[] = {"seconds", "epochs", "steps", "best_epoch", "model_hash"};
    char folder[512];
    ecg_book_below(folder, s, unit, id);
    json_t *j = json_pack("{s:s, s:s, s:s}", "unit", s->unit[unit].name, "stage", id, "folder", folder);
    ecg_book_set_state(j, ecg_book_state(s, unit, id), json_string_value(json_object_get(entry, "why")));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(entry, keys[i]);
        json_object_set(j, keys[i], v ? v : json_null());
    }
    return j;
}

json_t *ecg_book_stages_json(const study *s)
{
    return each_stage(s, stage_json);
}

/* One line of metrics.jsonl. */
static void add_epoch(json_t *curve, const json_t *line)
{
    static const char *const measures[] = {"validation_loss", "validation_auroc"};
    static const char *const lists[] = {"epoch", "loss"};
    for (int i = 0; i < 2; i++) {
        json_t *v = json_object_get(line, lists[i]);
        json_array_append(json_object_get(curve, lists[i]), v ? v : json_null());
    }
    for (int i = 0; i < 2; i++) {
        json_t *v = json_object_get(line, measures[i]);
        if (!v)
            continue;
        json_array_append(json_object_get(curve, "value"), v);
        json_object_set_new(curve, "measure", json_string(measures[i]));
    }
}

static json_t *curve_json(const study *s, int unit, const char *id, const json_t *entry)
{
    char folder[512], name[160], path[512];
    ecg_bytes b;
    const char *kind = json_string_value(json_object_get(entry, "kind"));
    json_t *title = json_object_get(entry, "title"), *best = json_object_get(entry, "best_epoch"), *seconds = json_object_get(entry, "seconds");
    snprintf(name, sizeof name, "%s/metrics.jsonl", id);
    if (!kind || ecg_book_path(path, s, unit, name, NULL) || !ecg_is_file(path) || ecg_file_read(&b, path, NULL))
        return NULL;
    ecg_book_below(folder, s, unit, id);
    json_t *j = json_pack("{s:s, s:s, s:s, s:O, s:n, s:[], s:[], s:[]}", "unit", s->unit[unit].name, "folder", folder, "stage", kind, "title", title, "measure",
                          "epoch", "loss", "value");
    for (size_t at = 0; at < b.len;) {
        const uint8_t *end = memchr(b.at + at, '\n', b.len - at);
        const size_t n = end ? (size_t)(end - (b.at + at)) : b.len - at;
        json_t *line = json_loadb((const char *)b.at + at, n, 0, NULL);
        if (json_is_object(line))
            add_epoch(j, line);
        json_decref(line);
        at += n + 1;
    }
    ecg_bytes_free(&b);
    json_object_set(j, "best_epoch", best ? best : json_null());
    json_object_set(j, "seconds", seconds ? seconds : json_null());
    return j;
}

json_t *ecg_book_curves_json(const study *s)
{
    return each_stage(s, curve_json);
}
