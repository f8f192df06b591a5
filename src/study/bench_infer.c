/* SPDX-License-Identifier: MIT
 * bench_infer.c: a trained model's answers: one record, many crops, the file opened. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "net/infer.h"
#include "study/bench_parts.h"
#include "study/runlog.h"
#include "study/work.h"

enum { CROPS = 4, LEAST = 20, MOST = 2000, LOADS = 20, SAMPLES = 5000, RATE = 500 };
static const double at_most = 4; /* seconds a part */

static double cpu_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
    double wall[MOST], cpu[MOST];
    int n;
} times;

/* Calls fn until there are enough times; the first calls are not counted. */
static ecg_status repeat(times *t, const ecg_bench_run *b, int least, ecg_status (*fn)(void *ctx, ecg_err *err), void *ctx, ecg_err *err)
{
    enum { WARM = 3 };
    const double limit = fmin(at_most, b->o->seconds), began = ecg_clock();
    t->n = 0;
    for (int i = -WARM; t->n < MOST && (t->n < least || ecg_clock() - began < limit); i++) {
        const double w = ecg_clock(), c = cpu_clock();
        const ecg_status st = fn(ctx, err);
        if (st)
            return st;
        if (ecg_stopped(b->o->watch))
            return ecg_fail(err, ECG_EINTR, "interrupted");
        if (i < 0)
            continue;
        t->wall[t->n] = ecg_clock() - w;
        t->cpu[t->n++] = cpu_clock() - c;
    }
    return ECG_OK;
}

/* The model that was asked for, or one of noise. */
static ecg_status model_path(char path[512], ecg_bench_run *b, ecg_err *err)
{
    if (b->o->model)
        return ecg_model_path(path, 512, b->o->model, err);
    const ecg_status st = ecg_join(path, 512, b->folder, "noise.safetensors", err);
    return st || ecg_is_file(path) ? st : ecg_bench_model_file(path, b, err);
}

static double work_of_crop(const ecg_model *m)
{
    double sum = ecg_work_encoder(&m->shape);
    for (int i = 0; i < m->heads; i++)
        sum += ecg_work_forward(m, m->head[i].prefix);
    return sum;
}

/* ---- one record ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    ecg_model *m;
    ecg_record record;
} asking;

static ecg_status ask(void *ctx, ecg_err *err)
{
    asking *a = ctx;
    ecg_answer answer;
    const ecg_status st = ecg_predict(&answer, a->m, &a->record, NULL, err);
    if (!st)
        ecg_answer_clear(&answer);
    return st;
}

/* CROPS crops at the model's rate from a recorder of 500 Hz, twelve leads: beats and noise. */
static ecg_status make_record(ecg_record *r, const ecg_model *m, ecg_err *err)
{
    const int64_t n = (int64_t)ceil((double)m->shape.length * CROPS * RATE / m->contract.rate_hz);
    uint32_t state = 3;
    *r = (ecg_record){.leads = m->contract.leads, .samples = n, .rate_hz = RATE};
    r->lead = calloc((size_t)r->leads, sizeof *r->lead);
    r->value = malloc((size_t)r->leads * (size_t)n * sizeof *r->value);
    if (!r->lead || !r->value)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a recording");
    for (int l = 0; l < r->leads; l++) {
        memcpy(r->lead[l].name, m->contract.lead[l], sizeof m->contract.lead[l]);
        memcpy(r->lead[l].unit, "mV", 3);
        r->lead[l].per_frame = 1;
        r->lead[l].gain = 200;
        for (int64_t i = 0; i < n; i++) {
            state = state * 1664525u + 1013904223u;
            const double phase = (double)(i % 400) / 400;
            r->value[l * n + i] = (float)(exp(-2000 * (phase - 0.3) * (phase - 0.3)) + 0.02 * (double)(int32_t)state * 0x1p-31);
        }
    }
    return ECG_OK;
}

ecg_status ecg_bench_latency(ecg_bench_run *b, ecg_err *err)
{
    char path[512];
    asking a = {0};
    times *t = malloc(sizeof *t);
    ecg_status st = t ? model_path(path, b, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st && !(st = ecg_model_open(&a.m, path, err))) {
        ecg_model_use(a.m, b->o->exec);
        if (!(st = make_record(&a.record, a.m, err)) && !(st = repeat(t, b, LEAST, ask, &a, err))) {
            const double bound = 1e3 * CROPS * work_of_crop(a.m) / ecg_bench_bound(b);
            const double p50 = ecg_bench_quantile(t->wall, t->n, 0.5), p99 = ecg_bench_quantile(t->wall, t->n, 0.99), cpu = ecg_bench_quantile(t->cpu, t->n, 0.5);
            ecg_bench_say(b, (ecg_bench_row){.name = "latency", .batch = 1, .value = 1e3 * p50, .cpu = 1e3 * cpu, .bound = bound, .unit = "ms",
                                             .what = "recording to answer, 4 crops, median"});
            ecg_bench_say(b, (ecg_bench_row){.name = "p99", .batch = 1, .value = 1e3 * p99, .bound = bound, .unit = "ms", .what = "the same, 99 of 100"});
        }
        ecg_record_clear(&a.record);
        ecg_model_close(a.m);
    }
    free(t);
    return st;
}

/* ---- many crops ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    ecg_model *m;
    const ecg_exec *exec;
    int B;
    float *x, *h, *z;
    ecg_infer *encoder;
    ecg_infer_work *work;
    ecg_mlp_work *head[2];
} flow;

static ecg_status push(void *ctx, ecg_err *err)
{
    flow *f = ctx;
    (void)err;
    ecg_infer_run(f->h, f->encoder, f->work, f->exec, f->x, f->B);
    for (int i = 0; i < f->m->heads; i++) {
        const int64_t n = (int64_t)f->B * ecg_head_labels(f->m, &f->m->head[i], NULL);
        ecg_mlp_forward(f->z, f->m->head[i].net, &f->m->table, f->head[i], f->exec, f->h, f->B, false, NULL);
        for (int64_t k = 0; k < n; k++)
            f->z[k] = 1 / (1 + expf(-f->z[k]));
    }
    return ECG_OK;
}

static ecg_status open_flow(flow *f, const ecg_bench_run *b, ecg_err *err)
{
    const size_t B = (size_t)f->B, crop = (size_t)f->m->shape.length * (size_t)f->m->shape.leads;
    int most = 1;
    bool ok = true;
    for (int i = 0; i < f->m->heads && ok; i++) {
        const int K = ecg_head_labels(f->m, &f->m->head[i], NULL);
        most = K > most ? K : most;
        ok = (f->head[i] = ecg_mlp_work_new(f->m->head[i].net, f->B, false));
    }
    f->x = malloc(B * crop * sizeof *f->x);
    f->h = malloc(B * (size_t)f->m->shape.width * sizeof *f->h);
    f->z = malloc(B * (size_t)most * sizeof *f->z);
    f->encoder = ecg_infer_new(f->m->encoder);
    f->work = ecg_infer_work_new(f->m->encoder, ecg_pool_threads(b->o->exec->pool));
    if (!ok || !f->x || !f->h || !f->z || !f->encoder || !f->work)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d crops", f->B);
    ecg_infer_set(f->encoder, &f->m->table, f->exec);
    uint32_t state = 4;
    for (size_t i = 0; i < B * crop; i++) {
        state = state * 1664525u + 1013904223u;
        f->x[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return ECG_OK;
}

static void close_flow(flow *f)
{
    free(f->x);
    free(f->h);
    free(f->z);
    ecg_infer_work_free(f->work);
    ecg_infer_free(f->encoder);
    for (int i = 0; i < 2; i++)
        ecg_mlp_work_free(f->head[i]);
    ecg_model_close(f->m);
}

ecg_status ecg_bench_throughput(ecg_bench_run *b, ecg_err *err)
{
    char path[512];
    flow f = {.exec = b->o->exec, .B = (int)b->o->batch};
    times *t = malloc(sizeof *t);
    ecg_status st = t ? model_path(path, b, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st && !(st = ecg_model_open(&f.m, path, err))) {
        if (!(st = open_flow(&f, b, err)) && !(st = repeat(t, b, 4, push, &f, err)))
            ecg_bench_say(b, (ecg_bench_row){.name = "throughput", .batch = f.B, .value = f.B / ecg_bench_quantile(t->wall, t->n, 0.5),
                                             .cpu = f.B / ecg_bench_quantile(t->cpu, t->n, 0.5), .bound = ecg_bench_bound(b) / work_of_crop(f.m), .unit = "crops/s",
                                             .what = "crops to probabilities"});
        close_flow(&f);
    }
    free(t);
    return st;
}

/* ---- the file ------------------------------------------------------------------------------------------------------------ */

static ecg_status open_close(void *ctx, ecg_err *err)
{
    ecg_model *m;
    const ecg_status st = ecg_model_open(&m, ctx, err);
    if (!st)
        ecg_model_close(m);
    return st;
}

ecg_status ecg_bench_load(ecg_bench_run *b, ecg_err *err)
{
    char path[512];
    times *t = malloc(sizeof *t);
    ecg_status st = t ? model_path(path, b, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st && !(st = repeat(t, b, LOADS, open_close, path, err)))
        ecg_bench_say(b, (ecg_bench_row){.name = "load", .value = 1e3 * ecg_bench_quantile(t->wall, t->n, 0.5), .cpu = 1e3 * ecg_bench_quantile(t->cpu, t->n, 0.5),
                                         .bound = 1e3 * (double)ecg_file_size(path) / b->copy, .unit = "ms", .what = "model file to a model that answers"});
    free(t);
    return st;
}
