/* SPDX-License-Identifier: MIT
 * study_results.c: results.json (docs/study_results.md): what the cohorts are, and all sections put together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "study/study_parts.h"

/* ---- a cohort ----------------------------------------------------------------------------------------------------------- */

static json_t *count_json(const ecg_loader *l, int role)
{
    return json_pack("{s:I, s:I}", "records", (json_int_t)l->role[role].n, "patients", (json_int_t)l->patients[role]);
}

static json_t *prevalence_part(const int8_t *label, const ecg_label_table *table, int k, const ecg_rows *rows)
{
    int64_t known = 0, positives = 0;
    for (int64_t i = 0; i < rows->n; i++) {
        const int8_t y = label[(size_t)rows->row[i] * (size_t)table->n + (size_t)k];
        known += y == 0 || y == 1;
        positives += y == 1;
    }
    return json_pack("{s:I, s:I}", "known", (json_int_t)known, "positives", (json_int_t)positives);
}

/* Returns the number of labels. train: the rows whose labels are seen. */
static int prevalence(json_t *list, const ecg_cohort *c, const char *set, const char *task, const ecg_rows *train, const ecg_rows *test)
{
    const ecg_label_table *table;
    const int8_t *label = ecg_cohort_labels(c, set, &table);
    if (!label)
        return 0;
    for (int k = 0; k < table->n; k++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:o}", "task", task, "code", table->label[k].code, "title", ecg_json_text(table->label[k].title),
                                              "train", prevalence_part(label, table, k, train), "test", prevalence_part(label, table, k, test)));
    return table->n;
}

static json_t *columns_json(const ecg_contract *k, bool there)
{
    int routine = 0, lab = 0;
    for (int j = 0; there && j < k->columns; j++) {
        lab += strcmp(k->column[j].group, "lab") == 0;
        routine += strcmp(k->column[j].group, "routine") == 0;
    }
    return json_pack("{s:i, s:i, s:i}", "all", there ? k->columns : 0, "routine", routine, "lab", lab);
}

/* Diagnoses that training sees: those of train.labelled, or all that are known. */
static ecg_status seen_rows(ecg_rows *out, const study *s, int i, ecg_err *err)
{
    const ecg_label_table *table;
    const int8_t *label = ecg_cohort_labels(&s->cohort[i], s->plan[i].diagnosis_set, &table);
    const ecg_config *c = s->task->config;
    ecg_rows known = {0};
    *out = (ecg_rows){0};
    ecg_status st = label ? ecg_rows_known(&known, &s->loader[i].role[ECG_TRAIN], label, table->n, err) : ECG_OK;
    if (!st && label)
        st = ecg_rows_labelled(out, NULL, &s->cohort[i], &known, c->train.labelled, (uint64_t)c->train.split_seed, err);
    ecg_rows_clear(&known);
    return st;
}

ecg_status ecg_book_cohort_facts(json_t **out, const study *s, int i, ecg_err *err)
{
    const ecg_cohort *c = &s->cohort[i];
    const ecg_loader *l = &s->loader[i];
    const ecg_plan *plan = &s->plan[i];
    const study_counts *n = &s->counts[i];
    ecg_rows seen;
    char roles[256];
    const ecg_status st = seen_rows(&seen, s, i, err);
    if (st)
        return st;
    ecg_roles_text(roles, sizeof roles, &l->roles);
    json_t *j = json_pack("{s:i, s:o, s:s, s:b, s:I, s:I, s:s, s:b}", "cohort", i + 1, "file", ecg_json_text(s->task->cohort[i]), "hash", c->hash, "synthetic",
                          c->synthetic, "records", (json_int_t)c->n, "patients",
                          (json_int_t)(l->patients[ECG_TRAIN] + l->patients[ECG_VALIDATION] + l->patients[ECG_TEST]), "roles", roles, "validation_cut", l->cut);
    json_object_set_new(j, "counts", json_pack("{s:o, s:o, s:o}", "train", count_json(l, ECG_TRAIN), "validation", count_json(l, ECG_VALIDATION), "test",
                                               count_json(l, ECG_TEST)));
    json_object_set_new(j, "labelled", json_pack("{s:f, s:I, s:I}", "asked", s->task->config->train.labelled, "records", (json_int_t)n->seen, "of",
                                                 (json_int_t)n->diagnosed));
    json_object_set_new(j, "columns", columns_json(&c->contract, c->tabular != NULL));
    json_t *list = json_array(), *attrition = c->attrition ? json_loads(c->attrition, 0, NULL) : NULL;
    const int diagnoses = prevalence(list, c, plan->diagnosis_set, "diagnoses", &seen, &l->role[ECG_TEST]);
    const int labs = prevalence(list, c, plan->lab_set, "labs", &l->role[ECG_TRAIN], &l->role[ECG_TEST]);
    json_object_set_new(j, "labels", json_pack("{s:i, s:i}", "diagnoses", diagnoses, "labs", labs));
    json_object_set_new(j, "attrition", attrition ? attrition : json_array());
    json_object_set_new(j, "prevalence", list);
    ecg_rows_clear(&seen);
    *out = j;
    return ECG_OK;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

static json_t *units_json(const study *s)
{
    json_t *list = json_array();
    for (int u = 0; u < s->units; u++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:I, s:s}", "unit", s->unit[u].name, "cohort", s->unit[u].cohort + 1, "seed",
                                              (json_int_t)s->unit[u].seed, "folder", s->unit[u].folder));
    return list;
}

/* Nothing of the plan is pending. */
static bool complete(const study *s)
{
    for (int u = 0; u < s->units; u++) {
        const ecg_plan *plan = &s->plan[s->unit[u].cohort];
        for (int i = 0; i < plan->stages; i++)
            if (plan->stage[i].asked && ecg_book_state(s, u, plan->stage[i].id) == ECG_STATE_PENDING)
                return false;
    }
    return true;
}

/* Times: from the first session's beginning to the last one's end; seconds are those of the sessions. */
static void times(json_t *j, const study *s)
{
    size_t i;
    const json_t *session, *sessions = json_object_get(s->book, "sessions");
    double seconds = 0;
    json_array_foreach((json_t *)sessions, i, session)
        seconds += json_number_value(json_object_get(session, "seconds"));
    json_t *began = json_object_get(json_array_get(sessions, 0), "started");
    json_t *ended = json_object_get(json_array_get(sessions, json_array_size(sessions) - 1), "finished");
    json_object_set(j, "started", began ? began : json_null());
    json_object_set(j, "finished", ended ? ended : json_null());
    json_object_set_new(j, "seconds", json_real(seconds));
}

ecg_status ecg_book_results(const study *s, ecg_err *err)
{
    static const char *const copied[] = {"version", "command", "preset", "machine", "settings", "settings_hash", "seeds", "diagnosis_set", "lab_set"};
    const ecg_config *c = s->task->config;
    char path[512];
    bool synthetic = false;
    json_t *cohorts = json_array(), *j = json_pack("{s:s, s:s}", "schema", "ecgraft.study/1", "statement", ECG_STATEMENT);
    for (int i = 0; i < s->open; i++) {
        synthetic |= s->cohort[i].synthetic;
        json_array_append(cohorts, s->facts[i]);
    }
    json_object_set_new(j, "synthetic", json_boolean(synthetic));
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        json_object_set(j, copied[i], json_object_get(s->book, copied[i]));
    times(j, s);
    json_object_set_new(j, "resamples", json_integer((json_int_t)c->evaluate.resamples));
    json_object_set_new(j, "bootstrap", json_string(c->evaluate.unit == 1 ? "ecg" : "patient"));
    json_object_set_new(j, "bootstrap_seed", json_integer((json_int_t)c->train.split_seed));
    json_object_set_new(j, "complete", json_boolean(complete(s)));
    json_object_set(j, "notes", s->notes);
    json_object_set_new(j, "cohorts", cohorts);
    json_object_set_new(j, "units", units_json(s));
    json_t *differences = ecg_book_differences_json(s);
    json_object_set_new(j, "rows", ecg_book_rows_json(s));
    json_object_set_new(j, "differences", differences);
    json_object_set_new(j, "controls", ecg_book_controls_json(s, differences));
    json_object_set_new(j, "forgetting", ecg_book_forgetting_json(s));
    json_object_set_new(j, "ablations", ecg_book_ablations_json(s));
    json_object_set_new(j, "curves", ecg_book_curves_json(s));
    json_object_set_new(j, "stages", ecg_book_stages_json(s));
    ecg_status st = ecg_join(path, sizeof path, s->task->folder, "results.json", err);
    if (!st)
        st = ecg_json_save(j, path, err);
    json_decref(j);
    return st ? st : ecg_book_tables(s, err);
}
