/* SPDX-License-Identifier: MIT
 * study_dry.c: the plan of a study with what it will take: a few steps of each kind of stage are trained in a folder that is thrown away. Crops
 * that only pass forwards are counted as a third of a training crop. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "study/finetune.h"
#include "study/joint.h"
#include "study/pretrain.h"
#include "study/study_parts.h"

enum { STEPS = 5, MEASURES = 64 };

/* ---- a stop-watch ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const ecg_watch *outside;
    volatile sig_atomic_t stop;
    int steps;
    double began, last, least; /* clock at the last sentence before the first step and at the last step, the shortest step */
    double worked, done;       /* processor seconds of all threads at began and at last */
} stopwatch;

static double processor_seconds(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) ? 0 : (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void hear(void *ctx, const char *line)
{
    stopwatch *w = ctx;
    (void)line;
    if (!w->steps) {
        w->last = w->began = ecg_clock();
        w->worked = processor_seconds();
    }
}

static void tick(void *ctx, const char *what, double done, double total, const char *extra)
{
    stopwatch *w = ctx;
    (void)extra;
    if (!what || done >= total || (strcmp(what, "pretrain") && strcmp(what, "joint") && strncmp(what, "finetune", 8)))
        return;
    const double now = ecg_clock(), took = now - w->last;
    w->least = w->steps++ == 0 || took < w->least ? took : w->least; /* the machine may be busy, and an epoch may have ended */
    w->last = now;
    w->done = processor_seconds();
    if (w->steps >= STEPS || now - w->began > 10 || ecg_stopped(w->outside))
        w->stop = 1;
}

/* Megabytes: the most that was resident since the last call; 0 where the system does not say. */
static double peak_memory(bool reset)
{
    char line[128];
    double mb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            mb = strtod(line + 6, NULL) / 1024;
    if (f)
        fclose(f);
    if (reset && (f = fopen("/proc/self/clear_refs", "w"))) {
        fputs("5", f); /* proc(5): the peak begins anew */
        fclose(f);
    }
    return mb;
}

/* ---- one kind of stage -------------------------------------------------------------------------------------------------- */

typedef struct {
    char key[256];
    double crop_seconds, memory_mb; /* of a crop forwards; NAN: could not be measured */
    double wall, processor;         /* seconds of all steps, and of the processor in them */
    char why[200];
} measure;

static void key_of(char out[256], const study *s, const ecg_plan_stage *p)
{
    const ecg_config *c = &p->config;
    const ecg_cfg_tuning *t = p->kind == ECG_KIND_LABS ? &c->labs : &c->finetune;
    if (p->kind == ECG_KIND_PRETRAIN)
        snprintf(out, 256, "pretrain batch %" PRId64 " loss %d columns %d E %" PRId64 " %" PRId64, c->pretrain.batch, c->pretrain.loss, c->pretrain.tabular,
                 c->projector.out, c->projector.hidden);
    else if (p->kind == ECG_KIND_JOINT)
        snprintf(out, 256, "joint batch %" PRId64 " %d", c->joint.batch, c->joint.weighting);
    else
        snprintf(out, 256, "%s batch %" PRId64 " columns %d frozen %" PRId64 " scratch %d hold %d", p->kind == ECG_KIND_LABS ? "labs" : "diagnoses",
                 ecg_book_course(s, 0, p).batch, t->tabular, t->frozen_blocks, p->from < 0, t->hold > 0);
}

static void remove_folder(const char *folder)
{
    static const char *const files[] = {"config.yaml", "run.json", "metrics.jsonl", "last.safetensors", "model.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        if (!ecg_join(path, sizeof path, folder, files[i], NULL))
            unlink(path);
    }
    rmdir(folder);
}

/* Trains a few steps of the first cohort's stage. Where it begins with another stage, a random encoder is as good for the time it takes. */
static ecg_status try_stage(measure *m, const study *s, const ecg_plan_stage *p, ecg_err *err)
{
    char folder[512];
    const char *base = getenv("TMPDIR");
    const ecg_study_task *t = s->task;
    const bool labs = p->kind == ECG_KIND_LABS;
    stopwatch w = {.outside = t->watch, .began = ecg_clock()};
    w.last = w.began;
    const ecg_watch watch = {.ctx = &w, .say = hear, .progress = tick, .stop = &w.stop};
    ecg_config config = p->config;
    ecg_err own = {0};
    snprintf(folder, sizeof folder, "%.400s/ecgraft-dry-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        return ecg_fail_errno(err, folder, "cannot make folder");
    config.finetune.distill = config.finetune.distill_hidden = config.labs.distill = config.labs.distill_hidden = 0;
    config.train.checkpoint_seconds = 0;
    config.train.checkpoint_steps = 0;
    const ecg_study run = {.cohort = &s->cohort[0], .roles = &s->loader[0].roles, .folder = folder, .random_encoder = p->from >= 0, .config = &config,
                            .set = labs ? s->plan[0].lab_set : p->kind == ECG_KIND_PRETRAIN ? NULL : s->plan[0].diagnosis_set, .exec = t->exec, .watch = &watch};
    peak_memory(true);
    const ecg_status st = p->kind == ECG_KIND_PRETRAIN ? ecg_pretrain(&run, &own)
                          : p->kind == ECG_KIND_JOINT  ? ecg_joint(&run, &own)
                                                       : ecg_finetune(&run, labs, &own);
    m->memory_mb = peak_memory(false);
    m->wall = w.last - w.began;
    m->processor = w.done - w.worked;
    remove_folder(folder);
    m->crop_seconds = w.steps ? w.least / (3 * (double)ecg_book_course(s, 0, p).batch) : NAN;
    if (st == ECG_EIO || st == ECG_ENOMEM)
        return err ? *err = own, st : st;
    if (st && st != ECG_EINTR)
        snprintf(m->why, sizeof m->why, "%.199s", own.msg);
    return ecg_stopped(t->watch) ? ecg_fail(err, ECG_EINTR, "interrupted") : ECG_OK;
}

static ecg_status measured(const measure **out, measure *room, int *n, const study *s, const ecg_plan_stage *p, ecg_err *err)
{
    char key[256];
    key_of(key, s, p);
    for (int i = 0; i < *n; i++)
        if (strcmp(room[i].key, key) == 0) {
            *out = &room[i];
            return ECG_OK;
        }
    measure *m = &room[*n < MEASURES ? (*n)++ : MEASURES - 1];
    *m = (measure){.crop_seconds = NAN};
    snprintf(m->key, sizeof m->key, "%s", key);
    *out = m;
    return try_stage(m, s, p, err);
}

/* ---- the plan as text --------------------------------------------------------------------------------------------------- */

static void duration(char out[32], double seconds)
{
    const long t = lround(seconds);
    if (!isfinite(seconds))
        snprintf(out, 32, "?");
    else if (seconds < 1)
        snprintf(out, 32, "%.0f ms", 1000 * seconds);
    else if (seconds < 10)
        snprintf(out, 32, "%.1f s", seconds);
    else if (t < 3600)
        snprintf(out, 32, "%ld:%02ld min", t / 60, t % 60);
    else
        snprintf(out, 32, "%ld:%02ld h", t / 3600, t / 60 % 60);
}

static void cohorts_text(ecg_text *t, const study *s)
{
    const ecg_study_task *task = s->task;
    ecg_text_printf(t, "%d cohort%s, %d seed%s each, preset %s, encoder %" PRId64 "x%" PRId64 ", %s kernels, %d threads\n", task->cohorts,
                    task->cohorts > 1 ? "s" : "", task->seeds, task->seeds > 1 ? "s" : "", task->config->preset, task->config->encoder.blocks,
                    task->config->encoder.width, task->exec->k->name, task->exec->pool ? ecg_pool_threads(task->exec->pool) : 1);
    for (int i = 0; i < task->cohorts; i++) {
        const ecg_loader *l = &s->loader[i];
        ecg_text_printf(t, "cohort %d: %s%s, %" PRId64 " records for training, %" PRId64 " validation, %" PRId64 " test; diagnoses of %" PRId64 " of %" PRId64
                           " training records seen (set %s), %" PRId64 " with laboratory labels\n",
                        i + 1, task->cohort[i], s->cohort[i].synthetic ? " (synthetic)" : "", l->role[ECG_TRAIN].n, l->role[ECG_VALIDATION].n,
                        l->role[ECG_TEST].n, s->counts[i].seen, s->counts[i].diagnosed, s->plan[i].diagnosis_set, s->counts[i].lab);
    }
    ecg_text_printf(t, "\n%-34s %8s %8s %12s %12s %10s\n", "stage", "epochs", "steps", "a step", "in all", "memory");
}

/* A line for the stage; what it will take in all units. */
static void stage_text(ecg_text *t, double *seconds, double *memory, const study *s, int stage, const measure *m)
{
    char step[32], all[32];
    const ecg_plan_stage *p = &s->plan[0].stage[stage];
    const study_course c = ecg_book_course(s, 0, p);
    const double share = ecg_book_shared(s, 0, p) ? 1 : 3;
    double work = 0;
    for (int u = 0; u < s->units; u++)
        work += ecg_book_work(s, u, stage);
    if (work <= 0) {
        ecg_text_printf(t, "%-34s done\n", p->id);
        return;
    }
    const double took = work * (m ? m->crop_seconds : NAN);
    duration(step, (m ? m->crop_seconds : NAN) * share * (double)c.batch);
    duration(all, took);
    if (p->kind == ECG_KIND_RANDOM)
        ecg_text_printf(t, "%-34s probed only\n", p->id);
    else
        ecg_text_printf(t, "%-34s %8" PRId64 " %8" PRId64 " %12s %12s %7.0f MB%s%s\n", p->id, c.epochs, c.steps, step, all, m ? m->memory_mb : 0,
                        m && *m->why ? "  " : "", m ? m->why : "");
    *seconds += isfinite(took) ? took : 0;
    *memory = m && m->memory_mb > *memory ? m->memory_mb : *memory;
}

/* Another program's share of the processor is in the times above. Threads that wait for each other take up to a third. */
static void busy_text(ecg_text *t, const measure *m, int n, int threads)
{
    double wall = 0, processor = 0;
    for (int i = 0; i < n; i++) {
        wall += m[i].wall;
        processor += m[i].processor;
    }
    if (wall > 0 && processor < 0.6 * wall * threads)
        ecg_text_printf(t, "other programs were at work: this one had %.0f %% of %d thread%s, and alone would be faster\n", 100 * processor / (wall * threads), threads,
                        threads > 1 ? "s" : "");
}

static ecg_status write_plan(ecg_text *t, study *s, ecg_err *err)
{
    const ecg_plan *plan = &s->plan[0];
    measure *room = calloc(MEASURES, sizeof *room);
    double seconds = 0, memory = 0;
    char all[32];
    int n = 0;
    ecg_status st = room ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    cohorts_text(t, s);
    for (int i = 0; i < plan->stages && !st; i++) {
        const ecg_plan_stage *p = &plan->stage[i];
        const measure *m = n ? &room[0] : NULL;
        if (!p->asked)
            continue;
        if (p->state == ECG_STATE_LEFT_OUT) {
            ecg_text_printf(t, "%-34s left out: %s\n", p->id, p->why);
            continue;
        }
        if (p->kind == ECG_KIND_RANDOM || ecg_book_work(s, 0, i) <= 0 || !(st = measured(&m, room, &n, s, p, err)))
            stage_text(t, &seconds, &memory, s, i, m);
    }
    for (int i = 0; i < plan->ablations; i++)
        if (plan->ablation[i].asked && plan->ablation[i].state == ECG_STATE_LEFT_OUT)
            ecg_text_printf(t, "%-34s left out: %s\n", plan->ablation[i].id, plan->ablation[i].why);
    duration(all, seconds);
    ecg_text_printf(t, "\nabout %s for %d run%s of the plan; at most %.0f MB at a time (the parts of the cohort in use among them), plus the bootstrap\n", all,
                    s->units, s->units > 1 ? "s" : "", memory);
    busy_text(t, room, n, s->task->exec->pool ? ecg_pool_threads(s->task->exec->pool) : 1);
    free(room);
    return st;
}

ecg_status ecg_study_dry_run(char **text, const ecg_study_task *t, ecg_err *err)
{
    study s;
    ecg_text out = {0};
    *text = NULL;
    ecg_status st = ecg_book_open_study(&s, t, err);
    if (!st && !(st = ecg_book_peek(&s, err)))
        st = write_plan(&out, &s, err);
    ecg_book_close_study(&s);
    if (!st && out.failed)
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (st)
        ecg_text_clear(&out);
    else
        *text = out.at;
    return st;
}
