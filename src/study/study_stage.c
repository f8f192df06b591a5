/* SPDX-License-Identifier: MIT
 * study_stage.c: one stage of a study: trained in its run folder, measured on test and validation, probed; each of the three is written down as
 * soon as it is there and not done again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "study/embed.h"
#include "study/evaluate.h"
#include "study/finetune.h"
#include "study/joint.h"
#include "study/pretrain.h"
#include "study/probe.h"
#include "study/study_parts.h"

enum { PROBE_ROWS = 20000 }; /* training records that a probe sees at most */

/* ---- identity ----------------------------------------------------------------------------------------------------------- */

static bool matters(const char *name, ecg_stage_kind kind)
{
    const bool stage1 = kind == ECG_KIND_PRETRAIN;
    if (ecg_setting_free(name))
        return false;
    if (kind == ECG_KIND_JOINT)
        return true;
    if (strcmp(name, "train.labelled") == 0)
        return kind == ECG_KIND_DIAGNOSES;
    if (strcmp(name, "train.shuffle_pairs") == 0)
        return stage1;
    if (strncmp(name, "pretrain.", 9) == 0 || strncmp(name, "projector.", 10) == 0)
        return stage1;
    if (strncmp(name, "finetune.", 9) == 0)
        return kind == ECG_KIND_DIAGNOSES;
    if (strncmp(name, "labs.", 5) == 0)
        return kind == ECG_KIND_LABS;
    return strncmp(name, "joint.", 6) != 0;
}

static const char *set_of(const ecg_plan *p, ecg_stage_kind kind)
{
    return kind == ECG_KIND_DIAGNOSES || kind == ECG_KIND_JOINT ? p->diagnosis_set : kind == ECG_KIND_LABS ? p->lab_set : "";
}

static void add(ecg_sha256 *h, const char *text)
{
    ecg_sha256_add(h, text, strlen(text) + 1);
}

ecg_status ecg_book_identity(char hex[65], const study *s, int unit, int stage, ecg_err *err)
{
    const study_unit *u = &s->unit[unit];
    const ecg_plan *plan = &s->plan[u->cohort];
    const ecg_plan_stage *p = &plan->stage[stage];
    const int before[] = {p->from, p->teacher};
    char roles[256], seed[32];
    ecg_settings all;
    ecg_sha256 h;
    const ecg_status st = ecg_settings_of(&all, &p->config, err);
    if (st)
        return st;
    ecg_roles_text(roles, sizeof roles, &s->loader[u->cohort].roles);
    snprintf(seed, sizeof seed, "%" PRId64, u->seed);
    ecg_sha256_begin(&h);
    add(&h, ecg_kind_name(p->kind));
    add(&h, s->cohort[u->cohort].hash);
    add(&h, roles);
    add(&h, set_of(plan, p->kind));
    for (int i = 0; i < all.n; i++)
        if (matters(all.at[i].name, p->kind)) {
            add(&h, all.at[i].name);
            add(&h, strcmp(all.at[i].name, "train.seed") ? all.at[i].value : seed);
        }
    ecg_settings_clear(&all);
    for (int i = 0; i < 2; i++) /* they come before it in the plan */
        add(&h, before[i] >= 0 ? s->identity[unit][before[i]] : "");
    ecg_sha256_end(&h, hex);
    return ECG_OK;
}

/* ---- the book's entry --------------------------------------------------------------------------------------------------- */

static void note(json_t *entry, ecg_stage_state state, const char *why)
{
    json_object_set_new(entry, "state", json_string(ecg_state_name(state)));
    json_object_set_new(entry, "why", why ? ecg_json_text(why) : json_null());
}

static bool is(const json_t *entry, const char *key, const char *value)
{
    const char *was = json_string_value(json_object_get(entry, key));
    return was && strcmp(was, value) == 0;
}

static void describe(json_t *entry, const ecg_plan *plan, const ecg_plan_stage *p)
{
    json_object_set_new(entry, "title", json_string(p->title));
    json_object_set_new(entry, "kind", json_string(ecg_kind_name(p->kind)));
    json_object_set_new(entry, "from", p->from >= 0 ? json_string(plan->stage[p->from].id) : json_null());
    json_object_set_new(entry, "teacher", p->teacher >= 0 ? json_string(plan->stage[p->teacher].id) : json_null());
}

/* What evaluation asks for: when this changes the figures are made anew, the weights are not. */
static void asked_of(char out[96], const study *s)
{
    const ecg_config *c = s->task->config;
    snprintf(out, 96, "%" PRId64 " resamples by %s, key %" PRId64, c->evaluate.resamples, c->evaluate.unit == 1 ? "ecg" : "patient", c->train.split_seed);
}

/* ---- training ----------------------------------------------------------------------------------------------------------- */

/* What run.json says came of it. */
static ecg_status read_result(json_t *entry, const char *folder, ecg_err *err)
{
    static const char *const keys[] = {"epochs", "steps", "best_epoch", "validation_auroc", "labelled", "labelled_patients"};
    char path[512], hash[65];
    json_t *run = NULL;
    ecg_status st = ecg_join(path, sizeof path, folder, "run.json", err);
    if (st || (st = ecg_json_load(&run, path, err)))
        return st;
    const json_t *result = json_object_get(run, "result");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *v = json_object_get(result, keys[i]);
        if (v)
            json_object_set(entry, keys[i], v);
    }
    json_decref(run);
    if (!(st = ecg_join(path, sizeof path, folder, "model.safetensors", err)) && !(st = ecg_sha256_file(hash, path, err)))
        json_object_set_new(entry, "model_hash", json_string(hash));
    return st;
}

/* A stage that cannot be is over; a full disk or Ctrl-C is no fault of the stage. */
static bool own_fault(ecg_status st)
{
    return st == ECG_EDATA || st == ECG_EARG || st == ECG_ECONTRACT;
}

static ecg_status train(study *s, int unit, int stage, json_t *entry, bool afresh, const char *folder, ecg_err *err)
{
    char from[512] = "", teacher[512] = "";
    const ecg_study_task *t = s->task;
    const study_unit *u = &s->unit[unit];
    const ecg_plan *plan = &s->plan[u->cohort];
    const ecg_plan_stage *p = &plan->stage[stage];
    const bool random = p->from >= 0 && plan->stage[p->from].kind == ECG_KIND_RANDOM;
    ecg_config config = p->config;
    config.train.seed = u->seed;
    ecg_status st = p->from >= 0 && !random ? ecg_book_path(from, s, unit, plan->stage[p->from].id, err) : ECG_OK;
    if (!st && p->teacher >= 0)
        st = ecg_book_path(teacher, s, unit, plan->stage[p->teacher].id, err);
    if (st)
        return st;
    const ecg_study run = {.cohort = &s->cohort[u->cohort], .roles = &s->loader[u->cohort].roles, .folder = folder, .from = *from ? from : NULL, .random_encoder = random,
                            .teacher = *teacher ? teacher : NULL, .set = p->kind == ECG_KIND_PRETRAIN ? NULL : set_of(plan, p->kind), .config = &config,
                            .resume = !afresh, .force = afresh, .command = t->command, .exec = t->exec, .watch = &s->progress.watch};
    const double began = ecg_clock(), before = json_number_value(json_object_get(entry, "seconds"));
    st = p->kind == ECG_KIND_PRETRAIN ? ecg_pretrain(&run, err)
         : p->kind == ECG_KIND_JOINT  ? ecg_joint(&run, err)
                                      : ecg_finetune(&run, p->kind == ECG_KIND_LABS, err);
    json_object_set_new(entry, "seconds", json_real((afresh ? 0 : before) + ecg_clock() - began));
    return st ? st : read_result(entry, folder, err);
}

/* ---- measuring ---------------------------------------------------------------------------------------------------------- */

static json_t *interval(const ecg_interval *x, const char *value)
{
    return json_pack("{s:o, s:o, s:o}", value, ecg_json_number(x->point), "lo", ecg_json_number(x->lo), "hi", ecg_json_number(x->hi));
}

static json_t *figures(const ecg_head_result *r)
{
    const ecg_scored *a = &r->all, *f = &r->first;
    json_t *j = interval(&a->score.macro, "auroc"), *first = interval(&f->score.macro, "auroc");
    json_object_set_new(j, "records", json_integer((json_int_t)a->records));
    json_object_set_new(j, "patients", json_integer((json_int_t)a->patients));
    json_object_set_new(j, "labels", json_integer(r->labels));
    json_object_set_new(j, "defined", json_integer(a->defined));
    json_object_set_new(first, "records", json_integer((json_int_t)f->records));
    json_object_set_new(first, "defined", json_integer(f->defined));
    json_object_set_new(j, "first_in_stay", first);
    json_object_set_new(j, "half", interval(&a->score.macro_half, "auroc"));
    json_object_set_new(j, "micro", interval(&a->score.micro, "auroc"));
    json_object_set_new(j, "precision", interval(&a->precision.macro, "value"));
    return j;
}

static ecg_status evaluate(study *s, int unit, int stage, json_t *entry, const char *folder, ecg_err *err)
{
    const ecg_study_task *t = s->task;
    const int c = s->unit[unit].cohort;
    const ecg_plan_stage *p = &s->plan[c].stage[stage];
    const char *set = set_of(&s->plan[c], p->kind);
    ecg_evaluation e;
    ecg_evaluate_task task = {.run = folder, .cohort = s->cohort[c].path, .roles = &s->loader[c].roles, .role = ECG_VALIDATION,
                               .by_ecg = t->config->evaluate.unit == 1, .seed = (uint64_t)t->config->train.split_seed, .exec = t->exec,
                               .watch = &s->progress.watch};
    ecg_status st = ECG_OK;
    if (s->loader[c].role[ECG_VALIDATION].n > 0) {
        if ((st = ecg_evaluate(&e, &task, err)))
            return st;
        ecg_evaluation_clear(&e);
    }
    task.role = ECG_TEST;
    task.resamples = (int)t->config->evaluate.resamples;
    if ((st = ecg_evaluate(&e, &task, err)))
        return st;
    for (int i = 0; i < e.heads; i++)
        if (strcmp(e.head[i].set, set) == 0)
            json_object_set_new(entry, "figures", figures(&e.head[i]));
        else if (p->kind == ECG_KIND_JOINT)
            json_object_set_new(entry, "labs_figures", figures(&e.head[i]));
    ecg_evaluation_clear(&e);
    return ECG_OK;
}

/* ---- probing ------------------------------------------------------------------------------------------------------------ */

static json_t *group_json(const ecg_probe_mean *m)
{
    return json_pack("{s:i, s:o, s:o}", "columns", m->columns, "r2_test", ecg_json_number(m->r2_test), "r2_validation", ecg_json_number(m->r2_validation));
}

static ecg_status write_probe(const ecg_probe_table *p, const ecg_contract *k, const char *folder, ecg_err *err)
{
    static const char *const columns[] = {"column", "group", "training", "penalty", "r2_validation", "r2_test"};
    char path[512];
    ecg_csvw *w;
    ecg_status st = ecg_make_folders(folder, err);
    if (st || (st = ecg_join(path, sizeof path, folder, "probe.tabular.csv", err)) || (st = ecg_csvw_create(&w, path, err)))
        return st;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        ecg_csvw_text(w, columns[i]);
    ecg_csvw_end(w);
    for (int i = 0; i < p->all.columns; i++) {
        const ecg_probe_column *c = &p->column[i];
        ecg_csvw_text(w, k->column[c->column].name);
        ecg_csvw_text(w, k->column[c->column].group);
        ecg_csvw_int(w, c->training);
        ecg_csvw_double(w, c->penalty, NULL);
        ecg_csvw_double(w, c->r2_validation, NULL);
        ecg_csvw_double(w, c->r2_test, NULL);
        ecg_csvw_end(w);
    }
    return ecg_csvw_commit(w, err);
}

static ecg_status open_model(ecg_model *m, const study *s, int unit, const ecg_plan_stage *p, const char *folder, ecg_err *err)
{
    char path[512];
    ecg_config config = p->config;
    config.train.seed = s->unit[unit].seed;
    if (p->kind == ECG_KIND_RANDOM)
        return ecg_untrained(m, &s->cohort[s->unit[unit].cohort], &config, s->task->exec, err);
    ecg_status st = ecg_model_path(path, sizeof path, folder, err);
    if (!st && !(st = ecg_model_load(m, path, false, false, err)))
        ecg_model_use(m, s->task->exec);
    return st;
}

static ecg_status probe(study *s, int unit, int stage, json_t *entry, const char *folder, ecg_err *err)
{
    const ecg_study_task *t = s->task;
    const int c = s->unit[unit].cohort;
    ecg_model m = {0};
    ecg_probe x = {0};
    ecg_probe_table table = {0};
    ecg_status st = open_model(&m, s, unit, &s->plan[c].stage[stage], folder, err);
    if (st)
        return st;
    st = ecg_probe_open(&x, &m, &s->loader[c], PROBE_ROWS, (uint64_t)t->config->train.split_seed, t->exec, &s->progress.watch, err);
    if (!st && !(st = ecg_probe_tabular(&table, &x, t->exec, &s->progress.watch, err)) && !(st = write_probe(&table, &s->cohort[c].contract, folder, err))) {
        json_t *j = group_json(&table.all);
        json_object_set_new(j, "routine", group_json(&table.routine));
        json_object_set_new(j, "lab", group_json(&table.lab));
        json_object_set_new(entry, "probe", j);
    }
    ecg_probe_table_clear(&table);
    ecg_probe_close(&x);
    ecg_model_clear(&m);
    return st;
}

/* ---- one stage ---------------------------------------------------------------------------------------------------------- */

/* "ours/pretrain: the loss is not finite ..." of the first stage before this one that is not there; NULL: all are. */
static const char *missing_before(char out[320], const study *s, int unit, const ecg_plan_stage *p)
{
    const ecg_plan *plan = &s->plan[s->unit[unit].cohort];
    const int before[] = {p->from, p->teacher};
    for (int i = 0; i < 2; i++) {
        const ecg_plan_stage *b = before[i] >= 0 ? &plan->stage[before[i]] : NULL;
        if (!b || ecg_book_state(s, unit, b->id) == ECG_STATE_DONE)
            continue;
        if (missing_before(out, s, unit, b))
            return out;
        const char *why = json_string_value(json_object_get(ecg_book_entry(s, unit, b->id), "why"));
        snprintf(out, 320, "%s: %.240s", b->id, why ? why : "not done");
        return out;
    }
    return NULL;
}

static bool has_head(const ecg_plan_stage *p)
{
    return p->kind == ECG_KIND_DIAGNOSES || p->kind == ECG_KIND_LABS || p->kind == ECG_KIND_JOINT;
}

static bool trained(const study *s, int unit, const ecg_plan_stage *p, const json_t *entry, const char *identity)
{
    char path[512], name[96];
    snprintf(name, sizeof name, "%s/model.safetensors", p->id);
    return is(entry, "identity", identity) && is(entry, "state", "done") &&
           (p->kind == ECG_KIND_RANDOM || (!ecg_book_path(path, s, unit, name, NULL) && ecg_is_file(path)));
}

/* Training with its end in the book. *go_on false: there is nothing to measure. */
static ecg_status train_and_note(study *s, int unit, int stage, json_t *entry, const char *identity, const char *folder, bool *go_on, ecg_err *err)
{
    const ecg_plan_stage *p = &s->plan[s->unit[unit].cohort].stage[stage];
    const bool afresh = !is(entry, "identity", identity) || is(entry, "state", "done");
    if (afresh)
        json_object_clear(entry);
    json_object_set_new(entry, "identity", json_string(identity));
    describe(entry, &s->plan[s->unit[unit].cohort], p);
    note(entry, ECG_STATE_PENDING, NULL);
    ecg_status st = ecg_book_save(s, err);
    if (st)
        return st;
    if (p->kind != ECG_KIND_RANDOM)
        st = train(s, unit, stage, entry, afresh, folder, err);
    if (own_fault(st)) {
        char why[800];
        ecg_err_text(why, sizeof why, err);
        ecg_say(s->progress.outside, "%s: %s", p->id, why);
        note(entry, ECG_STATE_FAILED, err->msg);
        *go_on = false;
        return ecg_book_save(s, err);
    }
    if (st == ECG_EINTR)
        ecg_fail(err, st, "interrupted in %s; saved, the same command goes on", p->id);
    if (!st)
        note(entry, ECG_STATE_DONE, NULL);
    const ecg_status saved = ecg_book_save(s, st ? NULL : err);
    return st ? st : saved;
}

static ecg_status measure(study *s, int unit, int stage, json_t *entry, const char *folder, ecg_err *err)
{
    char asked[96];
    const int c = s->unit[unit].cohort;
    const ecg_plan_stage *p = &s->plan[c].stage[stage];
    ecg_status st = ECG_OK;
    asked_of(asked, s);
    if (has_head(p) && !is(entry, "measured", asked)) {
        if ((st = evaluate(s, unit, stage, entry, folder, err)))
            return st;
        json_object_set_new(entry, "measured", json_string(asked));
        st = ecg_book_save(s, err);
    }
    if (!st && p->probe && s->cohort[c].tabular && !json_object_get(entry, "probe") && !(st = probe(s, unit, stage, entry, folder, err)))
        st = ecg_book_save(s, err);
    return st;
}

ecg_status ecg_book_stage(study *s, int unit, int stage, ecg_err *err)
{
    const ecg_plan_stage *p = &s->plan[s->unit[unit].cohort].stage[stage];
    const char *identity = s->identity[unit][stage];
    char folder[512], why[320];
    json_t *entry = ecg_book_entry(s, unit, p->id);
    ecg_status st = ecg_book_path(folder, s, unit, p->id, err);
    if (st)
        return st;
    if (p->state == ECG_STATE_LEFT_OUT) {
        json_object_clear(entry);
        note(entry, ECG_STATE_LEFT_OUT, p->why);
        return ECG_OK;
    }
    if (missing_before(why, s, unit, p)) {
        ecg_say(s->progress.outside, "%s cannot be: %s", p->id, why);
        json_object_clear(entry);
        note(entry, ECG_STATE_FAILED, why);
        return ECG_OK;
    }
    bool go_on = true;
    if (!trained(s, unit, p, entry, identity) && (st = train_and_note(s, unit, stage, entry, identity, folder, &go_on, err)))
        return st;
    return go_on ? measure(s, unit, stage, entry, folder, err) : ECG_OK;
}

/* ---- how much work ------------------------------------------------------------------------------------------------------ */

bool ecg_book_shared(const study *s, int cohort, const ecg_plan_stage *p)
{
    return p->kind == ECG_KIND_LABS && p->from >= 0 && s->plan[cohort].stage[p->from].kind == ECG_KIND_DIAGNOSES;
}

study_course ecg_book_course(const study *s, int cohort, const ecg_plan_stage *p)
{
    const study_counts *n = &s->counts[cohort];
    const ecg_config *c = &p->config;
    const ecg_cfg_tuning *t = p->kind == ECG_KIND_LABS ? &c->labs : &c->finetune;
    const bool joint = p->kind == ECG_KIND_JOINT, stage1 = p->kind == ECG_KIND_PRETRAIN;
    study_course out = {0};
    out.rows = stage1 || joint || p->teacher >= 0  ? s->loader[cohort].role[ECG_TRAIN].n
               : p->kind == ECG_KIND_LABS ? n->lab
               : c->train.labelled > 0    ? n->seen
                                          : n->diagnosed;
    if (p->kind == ECG_KIND_RANDOM || out.rows < 1)
        return (study_course){0};
    const int64_t asked = stage1 ? c->pretrain.batch : joint ? c->joint.batch : t->batch;
    const int64_t epochs = stage1 ? c->pretrain.epochs : joint ? c->joint.epochs : t->epochs;
    const int64_t updates = stage1 ? c->pretrain.updates : joint ? c->joint.updates : t->updates;
    out.batch = out.rows < asked ? out.rows : asked;
    out.epochs = ecg_train_epochs(epochs, updates, out.rows, out.batch);
    out.steps = out.epochs * (out.rows / out.batch);
    return out;
}

static double training_crops(const study *s, int cohort, const ecg_plan_stage *p)
{
    const ecg_loader *l = &s->loader[cohort];
    const study_course c = ecg_book_course(s, cohort, p);
    const double crops = p->kind == ECG_KIND_PRETRAIN ? 1 : (double)(l->cohort->contract.samples / l->crop);
    const ecg_cfg_tuning *t = p->kind == ECG_KIND_LABS ? &p->config.labs : &p->config.finetune;
    const int64_t every = p->kind == ECG_KIND_DIAGNOSES || p->kind == ECG_KIND_LABS ? t->judge_every : 1, judged = (c.epochs + every - 1) / every;
    const double trained_on = (ecg_book_shared(s, cohort, p) ? 1 : 3) * (double)(c.steps * c.batch), selection = (double)(judged * l->half[ECG_HALF_A].n) * crops;
    return (trained_on + selection) * (p->teacher >= 0 ? 1.3 : 1);
}

double ecg_book_work(const study *s, int unit, int stage)
{
    const char *identity = s->identity[unit][stage];
    char asked[96];
    const int c = s->unit[unit].cohort;
    const ecg_loader *l = &s->loader[c];
    const ecg_plan_stage *p = &s->plan[c].stage[stage];
    if (p->state == ECG_STATE_LEFT_OUT || !p->asked)
        return 0;
    const json_t *entry = ecg_book_entry(s, unit, p->id);
    const double crops = (double)(l->cohort->contract.samples / l->crop), scored = (double)(l->role[ECG_TEST].n + l->role[ECG_VALIDATION].n);
    asked_of(asked, s);
    const bool done = trained(s, unit, p, entry, identity);
    double work = done ? 0 : training_crops(s, c, p);
    if (has_head(p) && !(done && is(entry, "measured", asked)))
        work += 2 * scored * crops; /* test, and validation once for thresholds and once for itself */
    if (p->probe && l->cohort->tabular && !(done && json_object_get(entry, "probe")))
        work += ((double)l->role[ECG_TRAIN].n + scored) * crops;
    return work;
}
