/* SPDX-License-Identifier: MIT
 * study.c: see study.h. Cohorts are opened and planned, then unit after unit and stage after stage is done and written down. */
#include "study/study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "study/study_parts.h"

/* ---- progress ----------------------------------------------------------------------------------------------------------- */

static void say(void *ctx, const char *line)
{
    const study_progress *p = ctx;
    ecg_say(p->outside, "%s", line);
}

/* A stage's own training moves the whole; evaluation and probes only say that they are at work. */
static void progress(void *ctx, const char *what, double done, double total, const char *extra)
{
    study_progress *p = ctx;
    char text[160];
    if (!what || done >= total || p->total <= 0)
        return;
    const bool trains = strcmp(what, "pretrain") == 0 || strcmp(what, "joint") == 0 || strncmp(what, "finetune", 8) == 0;
    snprintf(text, sizeof text, "%s (%d of %d)%s%s", p->stage, p->at, p->of, extra && *extra ? ": " : "", extra && *extra ? extra : "");
    ecg_progress(p->outside, "study", p->done + (trains ? p->now * done / total : p->now), p->total * 1.0001, text);
}

static void open_progress(study *s)
{
    study_progress *p = &s->progress;
    p->outside = s->task->watch;
    p->watch = (ecg_watch){.ctx = p, .say = say, .progress = progress, .stop = p->outside ? p->outside->stop : NULL};
}

/* Crops of all that is still to do. */
static void plan_progress(study *s)
{
    study_progress *p = &s->progress;
    p->done = p->total = 0;
    p->at = p->of = 0;
    for (int u = 0; u < s->units; u++)
        for (int i = 0; i < s->plan[s->unit[u].cohort].stages; i++) {
            const double work = ecg_book_work(s, u, i);
            p->total += work;
            p->of += work > 0;
        }
}

/* ---- cohorts ------------------------------------------------------------------------------------------------------------ */

static ecg_status count_rows(study *s, int i, ecg_err *err)
{
    const ecg_cohort *c = &s->cohort[i];
    const ecg_rows *train = &s->loader[i].role[ECG_TRAIN];
    const ecg_config *config = s->task->config;
    const ecg_label_table *table;
    const int8_t *label = ecg_cohort_labels(c, s->plan[i].diagnosis_set, &table);
    ecg_rows known = {0}, seen = {0};
    ecg_status st = ECG_OK;
    if (label && table->n > 0 && !(st = ecg_rows_known(&known, train, label, table->n, err)) &&
        !(st = ecg_rows_labelled(&seen, NULL, c, &known, config->train.labelled, (uint64_t)config->train.split_seed, err))) {
        s->counts[i].diagnosed = known.n;
        s->counts[i].seen = seen.n;
    }
    ecg_rows_clear(&seen);
    ecg_rows_clear(&known);
    label = ecg_cohort_labels(c, s->plan[i].lab_set, &table);
    if (!st && label && table->n > 0 && !(st = ecg_rows_known(&known, train, label, table->n, err))) {
        s->counts[i].lab = known.n;
        ecg_rows_clear(&known);
    }
    return st;
}

static int highest_fold(const ecg_loader *l, int role)
{
    int fold = -1;
    for (int64_t i = 0; i < l->role[role].n; i++) {
        const int f = l->cohort->fold[l->role[role].row[i]];
        fold = f > fold ? f : fold;
    }
    return fold;
}

/* A cohort whose test folds are empty: validation is the test, and the last training fold that holds records is validation, so that what is
 * scored has chosen nothing. */
static ecg_status move_roles(study *s, int i, ecg_err *err)
{
    ecg_loader *l = &s->loader[i];
    const ecg_config *c = s->task->config;
    const int fold = highest_fold(l, ECG_TRAIN);
    ecg_roles roles = l->roles;
    char text[256], note[600];
    if (s->task->roles || l->role[ECG_TEST].n > 0 || l->role[ECG_VALIDATION].n == 0 || fold < 1)
        return ECG_OK;
    roles.folds[ECG_TEST] = roles.folds[ECG_VALIDATION];
    roles.folds[ECG_VALIDATION] = 1u << fold;
    roles.folds[ECG_TRAIN] &= ~(1u << fold);
    ecg_loader_close(l);
    const ecg_status st = ecg_loader_open(l, &s->cohort[i], &roles, (int)c->encoder.length, (uint64_t)c->train.split_seed, err);
    if (st)
        return st;
    ecg_roles_text(text, sizeof text, &roles);
    snprintf(note, sizeof note, "cohort %d: its test folds are empty; the roles are %s", i + 1, text);
    ecg_say(s->task->watch, "%s", note);
    json_array_append_new(s->notes, json_string(note));
    return ECG_OK;
}

/* A role without records has no figures: too few patients for the folds, or roles that leave one out. */
static ecg_status check_roles(const study *s, int i, ecg_err *err)
{
    static const int needed[] = {ECG_TRAIN, ECG_TEST};
    const ecg_loader *l = &s->loader[i];
    char roles[256];
    ecg_roles_text(roles, sizeof roles, &l->roles);
    for (int k = 0; k < 2; k++)
        if (l->role[needed[k]].n == 0)
            return ecg_fail_at(err, ECG_EDATA, s->task->cohort[i], 0, 0, "no record is for %s: %" PRId64 " records of %" PRId64 " patients, roles %s; --roles "
                                                                          "divides them otherwise",
                               needed[k] == ECG_TRAIN ? "training" : "test", s->cohort[i].n,
                               l->patients[ECG_TRAIN] + l->patients[ECG_VALIDATION] + l->patients[ECG_TEST], roles);
    return ECG_OK;
}

/* All cohorts of a study ask the same question: the same signals and columns. Label sets may differ, and then it is said. */
static ecg_status check_together(const study *s, int i, ecg_err *err)
{
    char a[24], b[24];
    const ecg_contract *x = &s->cohort[0].contract, *y = &s->cohort[i].contract;
    if (i == 0)
        return ECG_OK;
    snprintf(a, sizeof a, "cohort %d", i + 1);
    snprintf(b, sizeof b, "cohort 1");
    ecg_status st = ecg_contract_fits(y, a, x, b, ECG_CONTRACT_SIGNAL | ECG_CONTRACT_COLUMNS, err);
    if (!st && strcmp(s->plan[i].diagnosis_set, s->plan[0].diagnosis_set))
        st = ecg_fail(err, ECG_ECONTRACT, "the diagnoses are the label set '%s' in cohort 1 and '%s' in cohort %d", s->plan[0].diagnosis_set,
                      s->plan[i].diagnosis_set, i + 1);
    for (int k = 0; k < i && !st; k++)
        if (strcmp(s->cohort[k].hash, s->cohort[i].hash) == 0)
            st = ecg_fail(err, ECG_EARG, "cohorts %d and %d are the same file; --seeds repeats a study on one cohort", k + 1, i + 1);
    return st ? ecg_fail_in(err, st, s->task->cohort[i]) : ECG_OK;
}

/* Rows that cannot be are said; where none of those asked for can be there is no study. */
static ecg_status check_rows(const study *s, int i, ecg_err *err)
{
    const ecg_row_info *rows;
    const ecg_plan *plan = &s->plan[i];
    const int n = ecg_rows_of_table(&rows);
    const char *why = NULL;
    int possible = 0;
    for (int k = 0; k < n; k++) {
        const ecg_plan_stage *p = &plan->stage[ecg_plan_find(plan, rows[k].stage)];
        if (!plan->wanted[k])
            continue;
        possible += p->state != ECG_STATE_LEFT_OUT;
        if (p->state != ECG_STATE_LEFT_OUT)
            continue;
        why = p->why;
        ecg_say(s->task->watch, "%s: row %s (%s) is left out: %s", s->task->cohort[i], rows[k].row, ecg_task_name(rows[k].task), p->why);
    }
    return possible || !why ? ECG_OK : ecg_fail_at(err, ECG_EDATA, s->task->cohort[i], 0, 0, "no row can be trained: %s", why);
}

static bool knows(const ecg_label_table *t, const char *code)
{
    for (int k = 0; k < t->n; k++)
        if (strcmp(t->label[k].code, code) == 0)
            return true;
    return false;
}

static void note_labels(study *s, int i)
{
    const char *sets[] = {s->plan[0].diagnosis_set, s->plan[0].lab_set};
    for (int k = 0; k < 2; k++) {
        const ecg_label_table *a = NULL, *b = NULL;
        int both = 0;
        char text[160];
        if (!ecg_cohort_labels(&s->cohort[0], sets[k], &a) || !ecg_cohort_labels(&s->cohort[i], sets[k], &b) || strcmp(a->hash, b->hash) == 0)
            continue;
        for (int j = 0; j < a->n; j++)
            both += knows(b, a->label[j].code);
        if (both == a->n && both == b->n)
            continue; /* only the counts differ */
        snprintf(text, sizeof text, "label set %s: cohort 1 has %d, cohort %d has %d, %d are in both; each cohort is averaged over its own", sets[k], a->n, i + 1,
                 b->n, both);
        ecg_say(s->task->watch, "%s", text);
        json_array_append_new(s->notes, json_string(text));
    }
}

static ecg_status open_cohort(study *s, int i, ecg_err *err)
{
    const ecg_study_task *t = s->task;
    ecg_status st = ecg_cohort_open(&s->cohort[i], t->cohort[i], err);
    if (st)
        return st;
    s->open = i + 1;
    if (!s->cohort[i].signal)
        return ecg_fail_at(err, ECG_EDATA, t->cohort[i], 0, 0, "a cohort of tables alone: there is no ECG in it");
    if ((st = ecg_loader_open(&s->loader[i], &s->cohort[i], t->roles, (int)t->config->encoder.length, (uint64_t)t->config->train.split_seed, err)) ||
        (st = move_roles(s, i, err)) || (st = check_roles(s, i, err)) || (st = ecg_plan_make(&s->plan[i], t, &s->cohort[i], err)) || (st = check_together(s, i, err)) ||
        (st = check_rows(s, i, err)) || (st = count_rows(s, i, err)))
        return st;
    note_labels(s, i);
    return ecg_book_cohort_facts(&s->facts[i], s, i, err);
}

static void name_units(study *s)
{
    for (int i = 0; i < s->units; i++) {
        study_unit *u = &s->unit[i];
        u->cohort = i / s->task->seeds;
        u->seed = s->task->config->train.seed + i % s->task->seeds;
        snprintf(u->name, sizeof u->name, "c%02u-s%02u", (unsigned)(u->cohort + 1) % 1000, (unsigned)(i % s->task->seeds + 1) % 1000);
        if (s->units > 1)
            snprintf(u->folder, sizeof u->folder, "%s", u->name);
    }
}

static ecg_status identify(study *s, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int u = 0; u < s->units && !st; u++) {
        const int n = s->plan[s->unit[u].cohort].stages;
        s->identity[u] = calloc((size_t)n, sizeof *s->identity[u]);
        if (!s->identity[u])
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        for (int i = 0; i < n && !st; i++)
            st = ecg_book_identity(s->identity[u][i], s, u, i, err);
    }
    return st;
}

ecg_status ecg_book_open_study(study *s, const ecg_study_task *t, ecg_err *err)
{
    const size_t n = (size_t)t->cohorts;
    *s = (study){.task = t, .lock = -1, .units = t->cohorts * t->seeds, .began = ecg_clock()};
    ecg_utc_now(s->started);
    open_progress(s);
    s->cohort = calloc(n, sizeof *s->cohort);
    s->loader = calloc(n, sizeof *s->loader);
    s->plan = calloc(n, sizeof *s->plan);
    s->counts = calloc(n, sizeof *s->counts);
    s->facts = calloc(n, sizeof *s->facts);
    s->unit = calloc((size_t)s->units, sizeof *s->unit);
    s->identity = calloc((size_t)s->units, sizeof *s->identity);
    s->notes = json_array();
    if (!s->identity || !s->cohort || !s->loader || !s->plan || !s->counts || !s->facts || !s->unit || !s->notes)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    name_units(s);
    ecg_status st = ECG_OK;
    for (int i = 0; i < t->cohorts && !st; i++)
        st = open_cohort(s, i, err);
    return st ? st : identify(s, err);
}

void ecg_book_close_study(study *s)
{
    for (int i = 0; i < s->open; i++) {
        ecg_plan_clear(&s->plan[i]);
        ecg_loader_close(&s->loader[i]);
        ecg_cohort_close(&s->cohort[i]);
        json_decref(s->facts[i]);
    }
    free(s->cohort);
    free(s->loader);
    free(s->plan);
    free(s->counts);
    free(s->facts);
    for (int u = 0; u < s->units && s->identity; u++)
        free(s->identity[u]);
    free(s->identity);
    free(s->unit);
    json_decref(s->book);
    json_decref(s->notes);
    if (s->lock >= 0)
        close(s->lock);
}

/* ---- running ------------------------------------------------------------------------------------------------------------ */

static ecg_status run_unit(study *s, int unit, ecg_err *err)
{
    study_progress *p = &s->progress;
    const study_unit *u = &s->unit[unit];
    const ecg_plan *plan = &s->plan[u->cohort];
    ecg_status st = ECG_OK;
    for (int i = 0; i < plan->stages && !st; i++) {
        if (!plan->stage[i].asked)
            continue;
        const double work = ecg_book_work(s, unit, i);
        p->now = work;
        if (work > 0) {
            snprintf(p->stage, sizeof p->stage, "%s%s%.40s", s->units > 1 ? u->name : "", s->units > 1 ? " " : "", plan->stage[i].id);
            ecg_say(p->outside, "[%d of %d] %s: %s", ++p->at, p->of, p->stage, plan->stage[i].title);
        }
        st = ecg_book_stage(s, unit, i, err);
        p->done += work;
        if (!st && ecg_stopped(p->outside))
            st = ecg_fail(err, ECG_EINTR, "interrupted; the same command goes on");
    }
    return st ? st : ecg_book_compare_all(s, unit, err);
}

static void count_states(ecg_study_outcome *out, const study *s)
{
    for (int u = 0; u < s->units; u++) {
        const ecg_plan *plan = &s->plan[s->unit[u].cohort];
        for (int i = 0; i < plan->stages; i++) {
            out->stages += plan->stage[i].asked;
            out->failed += plan->stage[i].asked && ecg_book_state(s, u, plan->stage[i].id) == ECG_STATE_FAILED;
        }
    }
}

/* What is there is told in any case: an interrupted study has results too. */
static ecg_status run_all(study *s, ecg_err *err)
{
    ecg_err later = {0};
    ecg_status st = ecg_book_open(s, err);
    if (st)
        return st;
    plan_progress(s);
    for (int u = 0; u < s->units && !st; u++)
        st = run_unit(s, u, err);
    ecg_progress(s->progress.outside, "study", 1, 1, "");
    ecg_book_end(s, !st ? "done" : st == ECG_EINTR ? "interrupted" : "failed");
    ecg_status told = ecg_book_save(s, &later);
    if (!told)
        told = ecg_book_results(s, &later);
    if (!st && told && err)
        *err = later;
    return st ? st : told;
}

ecg_status ecg_study_run(ecg_study_outcome *out, const ecg_study_task *t, ecg_err *err)
{
    study s;
    ecg_err local = {0};
    *out = (ecg_study_outcome){0};
    ecg_status st = ecg_book_open_study(&s, t, err ? err : &local);
    for (int i = 0; i < s.open; i++)
        out->synthetic |= s.cohort[i].synthetic;
    if (!st)
        st = run_all(&s, err ? err : &local);
    if (s.book)
        count_states(out, &s);
    ecg_book_close_study(&s);
    return st;
}
