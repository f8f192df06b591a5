/* SPDX-License-Identifier: MIT
 * bench_train.c: the real stages on a cohort of noise, stopped like a person would stop them when there are steps enough. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "study/bench_parts.h"
#include "study/finetune.h"
#include "study/pretrain.h"
#include "study/room.h"
#include "study/runlog.h"
#include "study/work.h"

enum { MOST_STEPS = 32, LEAST_STEPS = 2, RECORDS = 2048 };

typedef struct {
    const ecg_watch *outer;
    double began, last, cpu_last; /* clock when it began, and after the step before */
    double limit;                 /* seconds */
    double wall[MOST_STEPS], cpu[MOST_STEPS];
    int steps;                    /* counted, without the first one */
    bool warm;
    double anonymous;
    volatile sig_atomic_t stop;
} course;

static double cpu_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* After every step of the training loop. */
static void stepped(void *ctx, const char *what, double done, double total, const char *extra)
{
    course *c = ctx;
    const double now = ecg_clock(), cpu = cpu_clock();
    (void)what;
    (void)done;
    (void)total;
    (void)extra;
    if (c->warm && c->steps < MOST_STEPS) {
        c->wall[c->steps] = now - c->last;
        c->cpu[c->steps++] = cpu - c->cpu_last;
    }
    c->warm = true;
    c->anonymous = fmax(c->anonymous, ecg_memory_anonymous());
    if (ecg_stopped(c->outer) || c->steps == MOST_STEPS || (c->steps >= LEAST_STEPS && now - c->began > c->limit))
        c->stop = 1;
    c->last = ecg_clock();
    c->cpu_last = cpu_clock();
}

/* The same work as the peer's: every weight is trained, the head is one linear map. */
static ecg_config settings(const ecg_bench_options *o)
{
    ecg_config c = *o->config;
    c.train.checkpoint_seconds = 0;
    c.train.checkpoint_steps = 0;
    c.pretrain.batch = c.finetune.batch = o->batch;
    c.pretrain.epochs = c.finetune.epochs = 1;
    c.pretrain.updates = c.finetune.updates = 0;
    c.finetune.frozen_blocks = 0;
    c.finetune.head_hidden = 0;
    return c;
}

/* The model that the stage will train, built without moments, tells what a step takes before it is taken. */
static ecg_status sizes(double *work, double *bytes, const ecg_bench_run *b, bool finetune, ecg_err *err)
{
    const ecg_config *c = b->o->config;
    ecg_model m = {0};
    ecg_status st = ecg_bench_contract(&m.contract, b->o, err);
    if (st)
        return st;
    m.shape = ecg_train_encoder(c, m.contract.leads);
    if (finetune) {
        m.heads = 1;
        snprintf(m.head[0].set, sizeof m.head[0].set, "diagnoses");
        snprintf(m.head[0].prefix, sizeof m.head[0].prefix, ECG_HEAD_DIAGNOSES);
    } else {
        m.has_tabular = true;
        m.proj_hidden = (int)c->projector.hidden;
        m.proj_E = (int)c->projector.out;
        m.median = calloc((size_t)m.contract.columns, sizeof *m.median);
    }
    if ((st = ecg_model_build(&m, false, err)))
        return st;
    *work = ecg_work_step(&m);
    *bytes = ecg_batch_bytes(&m, finetune ? ECG_NEED_FINETUNE : ECG_NEED_PRETRAIN, b->o->batch, ecg_pool_threads(b->o->exec->pool), 0) +
             4 * sizeof(float) * (double)m.table.floats;
    ecg_model_clear(&m);
    return ECG_OK;
}

static ecg_status run(course *c, const ecg_bench_run *b, const ecg_cohort *cohort, bool finetune, ecg_err *err)
{
    const ecg_config config = settings(b->o);
    char folder[512];
    const ecg_watch watch = {.ctx = c, .progress = stepped, .stop = &c->stop};
    ecg_status st = ecg_join(folder, sizeof folder, b->folder, finetune ? "finetune" : "pretrain", err);
    if (st)
        return st;
    c->outer = b->o->watch;
    c->limit = b->o->seconds;
    c->began = ecg_clock();
    const ecg_study study = {.cohort = cohort, .folder = folder, .config = &config, .command = "bench", .exec = b->o->exec, .watch = &watch};
    st = finetune ? ecg_finetune(&study, false, err) : ecg_pretrain(&study, err);
    if (st == ECG_EINTR && c->steps >= 1 && !ecg_stopped(b->o->watch))
        st = ECG_OK;
    const ecg_status removed = ecg_bench_remove(folder, st ? NULL : err);
    return st ? st : removed;
}

static int64_t steps_of(const ecg_bench_options *o)
{
    const int64_t steps = RECORDS / o->batch;
    return 1 + (steps < LEAST_STEPS ? LEAST_STEPS : steps > MOST_STEPS ? MOST_STEPS : steps);
}

ecg_status ecg_bench_train(ecg_bench_run *b, bool finetune, ecg_err *err)
{
    const int64_t B = b->o->batch, records = steps_of(b->o) * B;
    char path[512], what[64];
    ecg_cohort cohort;
    double work = 0, bytes = 0;
    course *c = calloc(1, sizeof *c);
    if (!c)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    ecg_status st = sizes(&work, &bytes, b, finetune, err);
    const double table = (double)records * ((double)b->o->labels + 2000); /* on its way to the file of the cohort */
    snprintf(what, sizeof what, "a batch of %" PRId64, B);
    if (!st && !(st = ecg_room_for(fmax(bytes, table), what, err)) && !(st = ecg_bench_cohort_file(path, b, records, err))) {
        if (!(st = ecg_cohort_open(&cohort, path, err))) {
            st = run(c, b, &cohort, finetune, err);
            ecg_cohort_close(&cohort);
        }
        ecg_bench_remove(path, NULL);
    }
    if (!st && c->steps) {
        ecg_bench_say(b, (ecg_bench_row){.name = finetune ? "finetune" : "pretrain", .batch = B, .value = (double)B / ecg_bench_median(c->wall, c->steps),
                                         .cpu = (double)B / ecg_bench_median(c->cpu, c->steps), .bound = ecg_bench_bound(b) / work, .unit = "samples/s",
                                         .what = finetune ? "training, encoder and labels" : "training, encoder and table"});
        b->anonymous = fmax(b->anonymous, c->anonymous);
        b->least = fmax(b->least, bytes);
    }
    free(c);
    return st;
}
