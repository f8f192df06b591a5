/* SPDX-License-Identifier: MIT
 * study_rows.c: rows, differences and controls of results.json, out of what the book holds of every unit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/study_parts.h"

static double number(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

study_figure ecg_book_figure(const json_t *j, const char *value, const char *lo, const char *hi)
{
    return (study_figure){number(j, value), number(j, lo), number(j, hi)};
}

/* ---- means over units --------------------------------------------------------------------------------------------------- */

/* 97.5 % point of Student's t (any table of it). */
static double t_quantile(int freedom)
{
    static const double table[] = {12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139, 2.200985,
                                   2.178813,  2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963, 2.079614, 2.073873,
                                   2.068658,  2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272, 2.039513};
    return table[freedom - 1]; /* ECG_STUDY_COHORTS - 1 of them */
}

static double deviation(const double *x, int n, double mean)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(sum / (n - 1)) : NAN;
}

study_mean ecg_book_mean(const study *s, const study_figure *figure)
{
    double of_cohort[ECG_STUDY_COHORTS], of_seed[ECG_STUDY_SEEDS], lo = 0, hi = 0, value = 0;
    int cohorts = 0, seeds = 0, units = 0;
    study_mean m = {NAN, NAN, NAN, NAN, NULL};
    for (int c = 0; c < s->task->cohorts; c++) {
        double sum = 0;
        seeds = 0;
        for (int i = 0; i < s->task->seeds; i++) {
            const study_figure *f = &figure[c * s->task->seeds + i];
            if (!isfinite(f->value))
                continue;
            of_seed[seeds++] = f->value;
            sum += f->value;
            lo += f->lo;
            hi += f->hi;
            units++;
        }
        if (seeds)
            of_cohort[cohorts++] = sum / seeds;
    }
    if (!cohorts)
        return m;
    for (int c = 0; c < cohorts; c++)
        value += of_cohort[c] / cohorts;
    m.value = value;
    m.spread = cohorts > 1 ? deviation(of_cohort, cohorts, value) : s->task->cohorts == 1 ? deviation(of_seed, seeds, value) : NAN;
    m.lo = lo / units;
    m.hi = hi / units;
    if (cohorts >= 3) {
        const double half = t_quantile(cohorts - 1) * m.spread / sqrt(cohorts);
        m.lo = value - half;
        m.hi = value + half;
    }
    m.interval = !isfinite(m.lo) || !isfinite(m.hi) ? NULL : cohorts >= 3 ? "t" : units == 1 ? "bootstrap" : "mean_bootstrap";
    return m;
}

static json_t *mean_json(const study_mean *m, const char *value)
{
    return json_pack("{s:o, s:o, s:o}", value, ecg_json_number(m->value), "lo", ecg_json_number(m->lo), "hi", ecg_json_number(m->hi));
}

static json_t *interval_name(const study_mean *m)
{
    return m->interval ? json_string(m->interval) : json_null();
}

/* ---- states ------------------------------------------------------------------------------------------------------------- */

ecg_stage_state ecg_book_over_units(const study *s, const char *stage, bool wanted, const char **why)
{
    int count[ECG_STATE_PARTIAL + 1] = {0};
    *why = NULL;
    for (int u = 0; u < s->units; u++) {
        const json_t *e = ecg_book_stage_entry(s, u, stage);
        count[ecg_book_state(s, u, stage)]++;
        const char *text = json_string_value(json_object_get(e, "why"));
        if (text && !*why)
            *why = text;
    }
    if (count[ECG_STATE_DONE] == s->units)
        return ECG_STATE_DONE;
    if (count[ECG_STATE_DONE])
        return ECG_STATE_PARTIAL;
    if (count[ECG_STATE_FAILED])
        return ECG_STATE_FAILED;
    if (count[ECG_STATE_LEFT_OUT])
        return ECG_STATE_LEFT_OUT;
    return wanted ? ECG_STATE_PENDING : ECG_STATE_NOT_ASKED;
}

bool ecg_book_row_wanted(const study *s, int row)
{
    for (int c = 0; c < s->task->cohorts; c++)
        if (s->plan[c].wanted[row])
            return true;
    return false;
}

void ecg_book_set_state(json_t *j, ecg_stage_state state, const char *why)
{
    json_object_set_new(j, "status", json_string(ecg_state_name(state)));
    json_object_set_new(j, "why", state != ECG_STATE_DONE && why ? json_string(why) : json_null());
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

/* "ours/pretrain", "ours/diagnoses": the stage and those before it; the seconds they took. */
static json_t *chain(double *seconds, const study *s, int unit, const char *id)
{
    json_t *list = json_array();
    *seconds = 0;
    for (const char *at = id; at;) {
        const json_t *e = ecg_book_stage_entry(s, unit, at);
        const double took = number(e, "seconds");
        json_array_insert_new(list, 0, json_string(at));
        *seconds += isfinite(took) ? took : 0;
        at = json_string_value(json_object_get(e, "from"));
    }
    return list;
}

static void copy(json_t *to, const json_t *from, const char *key)
{
    json_t *v = json_object_get(from, key);
    json_object_set(to, key, v ? v : json_null());
}

static json_t *predictions_json(const study *s, int unit, const char *id, const char *set)
{
    static const char *const roles[] = {"test", "validation"};
    json_t *j = json_object();
    for (int i = 0; i < 2; i++) {
        char name[160], path[512];
        snprintf(name, sizeof name, "%s/predictions.%s.%s.csv", id, set, roles[i]);
        ecg_book_below(path, s, unit, name);
        const bool there = i == 0 || s->loader[s->unit[unit].cohort].role[ECG_VALIDATION].n > 0;
        json_object_set_new(j, roles[i], there ? json_string(path) : json_null());
    }
    return j;
}

static json_t *row_unit(double *seconds, const study *s, int unit, const ecg_row_info *r)
{
    static const char *const figures[] = {"records", "patients", "labels", "defined", "auroc", "lo", "hi", "first_in_stay", "half", "micro", "precision"};
    static const char *const training[] = {"epochs", "best_epoch", "steps", "validation_auroc"};
    char folder[512];
    const ecg_plan *plan = &s->plan[s->unit[unit].cohort];
    const json_t *e = ecg_book_stage_entry(s, unit, r->stage), *f = json_object_get(e, "figures");
    const ecg_stage_state state = ecg_book_state(s, unit, r->stage);
    const bool done = state == ECG_STATE_DONE;
    json_t *j = json_pack("{s:s}", "unit", s->unit[unit].name), *stages = chain(seconds, s, unit, r->stage);
    ecg_book_set_state(j, state, json_string_value(json_object_get(e, "why")));
    ecg_book_below(folder, s, unit, r->stage);
    json_object_set_new(j, "stages", stages);
    json_object_set_new(j, "folder", json_string(folder));
    json_object_set_new(j, "predictions", done ? predictions_json(s, unit, r->stage, r->task == ECG_TASK_LABS ? plan->lab_set : plan->diagnosis_set) : json_null());
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        copy(j, f, figures[i]);
    for (size_t i = 0; i < sizeof training / sizeof *training; i++)
        copy(j, e, training[i]);
    json_object_set_new(j, "seconds", json_real(*seconds));
    return j;
}

/* One figure of all units: a member of "figures", or of an object in it. */
static study_mean over_units(const study *s, const char *stage, const char *object, const char *value, study_figure *room)
{
    for (int u = 0; u < s->units; u++) {
        const json_t *f = json_object_get(ecg_book_stage_entry(s, u, stage), "figures");
        room[u] = ecg_book_figure(object ? json_object_get(f, object) : f, value, "lo", "hi");
        if (ecg_book_state(s, u, stage) != ECG_STATE_DONE)
            room[u].value = NAN;
    }
    return ecg_book_mean(s, room);
}

static bool any_cohort(const study *s, const char *object, const char *key)
{
    for (int c = 0; c < s->task->cohorts; c++)
        if (json_integer_value(json_object_get(json_object_get(s->facts[c], object), key)) > 0)
            return true;
    return false;
}

/* "ECG, routine, labs" without what the cohorts do not have. */
static json_t *needs_of(const study *s, const char *list, bool as_labels)
{
    char out[160] = "";
    const bool labs = any_cohort(s, "columns", "lab") || (as_labels && any_cohort(s, "labels", "labs")), routine = any_cohort(s, "columns", "routine");
    for (const char *at = list; *at; at += strspn(at, ", ")) {
        const size_t n = strcspn(at, ","), used = strlen(out);
        if (!(n == 4 && !strncmp(at, "labs", n) && !labs) && !(n == 7 && !strncmp(at, "routine", n) && !routine))
            snprintf(out + used, sizeof out - used, "%s%.*s", used ? ", " : "", (int)n, at);
        at += n;
    }
    return json_string(out);
}

static json_t *row_json(const study *s, int row, const ecg_row_info *r, study_figure *room)
{
    static const struct { const char *object, *value; } parts[] = {{"first_in_stay", "auroc"}, {"half", "auroc"}, {"micro", "auroc"}, {"precision", "value"}};
    const char *why;
    const ecg_stage_state state = ecg_book_over_units(s, r->stage, ecg_book_row_wanted(s, row), &why);
    if (state == ECG_STATE_NOT_ASKED && strstr(r->row, "_all") && s->task->controls && !s->task->only)
        why = "train.labelled is 0: the rows themselves have all labels";
    if (state == ECG_STATE_NOT_ASKED && strcmp(r->row, "signal_hidden") == 0 && s->task->controls && !s->task->only)
        why = "finetune.head_hidden is not 0: the rows themselves have a hidden layer";
    json_t *units = json_array(), *j = json_pack("{s:s, s:s, s:s, s:s, s:{s:o, s:o}}", "row", r->row, "title", r->title, "task", ecg_task_name(r->task), "kind",
                                                 r->kind, "needs", "inference", needs_of(s, r->inference, false), "training", needs_of(s, r->training, true));
    double total = 0, seconds;
    ecg_book_set_state(j, state, why);
    json_object_set_new(j, "paper", r->paper > 0 ? json_real(r->paper) : json_null());
    for (int u = 0; u < s->units; u++) {
        json_array_append_new(units, row_unit(&seconds, s, u, r));
        total += seconds;
    }
    const study_mean m = over_units(s, r->stage, NULL, "auroc", room);
    json_object_set_new(j, "auroc", ecg_json_number(m.value));
    json_object_set_new(j, "lo", ecg_json_number(m.lo));
    json_object_set_new(j, "hi", ecg_json_number(m.hi));
    json_object_set_new(j, "interval", interval_name(&m));
    json_object_set_new(j, "spread", ecg_json_number(m.spread));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const study_mean x = over_units(s, r->stage, parts[i].object, parts[i].value, room);
        json_object_set_new(j, parts[i].object, mean_json(&x, parts[i].value));
    }
    json_object_set_new(j, "seconds", json_real(total));
    json_object_set_new(j, "units", units);
    return j;
}

json_t *ecg_book_rows_json(const study *s)
{
    const ecg_row_info *rows;
    const int n = ecg_rows_of_table(&rows);
    json_t *list = json_array();
    study_figure *room = calloc((size_t)s->units, sizeof *room);
    for (int i = 0; i < n && room; i++) {
        const char *why;
        if (strcmp(rows[i].kind, "published") || ecg_book_over_units(s, rows[i].stage, ecg_book_row_wanted(s, i), &why) != ECG_STATE_NOT_ASKED)
            json_array_append_new(list, row_json(s, i, &rows[i], room));
    }
    free(room);
    return list;
}

/* ---- differences -------------------------------------------------------------------------------------------------------- */

int ecg_book_difference(json_t *j, const study *s, const char *a, const char *b, study_figure *room)
{
    static const char *const keys[] = {"difference", "lo", "hi", "above", "labels", "first_in_stay"};
    json_t *units = json_array();
    double above = 0;
    int n = 0;
    for (int u = 0; u < s->units; u++) {
        const json_t *p = ecg_book_pair(s, u, a, b);
        room[u] = ecg_book_figure(p, "difference", "lo", "hi");
        if (!isfinite(room[u].value))
            continue;
        json_t *x = json_pack("{s:s}", "unit", s->unit[u].name);
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            copy(x, p, keys[i]);
        json_array_append_new(units, x);
        above += number(p, "above");
        n++;
    }
    const study_mean m = ecg_book_mean(s, room);
    json_object_set_new(j, "difference", ecg_json_number(m.value));
    json_object_set_new(j, "lo", ecg_json_number(m.lo));
    json_object_set_new(j, "hi", ecg_json_number(m.hi));
    json_object_set_new(j, "interval", interval_name(&m));
    json_object_set_new(j, "spread", ecg_json_number(m.spread));
    json_object_set_new(j, "above", ecg_json_number(n ? above / n : NAN));
    json_object_set_new(j, "units", units);
    return n;
}

/* Title with a small first letter, unless it is an abbreviation. */
static void small(char out[80], const char *title)
{
    snprintf(out, 80, "%s", title);
    if (out[0] >= 'A' && out[0] <= 'Z' && !(out[1] >= 'A' && out[1] <= 'Z'))
        out[0] = (char)(out[0] - 'A' + 'a');
}

static json_t *difference_json(const study *s, const ecg_pair_info *p, study_figure *room)
{
    const ecg_row_info *rows, *side[2] = {ecg_row_find(p->a, p->task), ecg_row_find(p->b, p->task)};
    char name[2][80], what[200];
    ecg_stage_state state = ECG_STATE_DONE;
    const char *why = NULL;
    ecg_rows_of_table(&rows);
    for (int k = 0; k < 2; k++) {
        const char *reason;
        const ecg_stage_state one = ecg_book_over_units(s, side[k]->stage, ecg_book_row_wanted(s, (int)(side[k] - rows)), &reason);
        if (one != ECG_STATE_DONE && state != ECG_STATE_NOT_ASKED) { /* the one that explains the gap: not asked before all others */
            state = one;
            why = reason;
        }
        small(name[k], side[k]->title);
    }
    snprintf(what, sizeof what, "%s minus %s", name[0], name[1]);
    json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "a", p->a, "b", p->b, "task", ecg_task_name(p->task), "what", what);
    ecg_book_set_state(j, state, why);
    const int n = ecg_book_difference(j, s, side[0]->stage, side[1]->stage, room);
    if (n > 0 && n < s->units)
        ecg_book_set_state(j, ECG_STATE_PARTIAL, why);
    return j;
}

json_t *ecg_book_differences_json(const study *s)
{
    const ecg_pair_info *pairs;
    const int n = ecg_pairs_of_table(&pairs);
    json_t *list = json_array();
    study_figure *room = calloc((size_t)s->units, sizeof *room);
    for (int i = 0; i < n && room; i++) {
        json_t *j = difference_json(s, &pairs[i], room);
        const bool published = strstr(pairs[i].a, "_published") || strstr(pairs[i].b, "_published");
        if (published && strcmp(json_string_value(json_object_get(j, "status")), "not_asked") == 0)
            json_decref(j);
        else
            json_array_append_new(list, j);
    }
    free(room);
    return list;
}
