/* SPDX-License-Identifier: MIT
 * bench.h: how fast this machine is, and how near to that the engine comes. Every figure stands beside its bound: the value it would have if
 * nothing but its matrix products (or the copying of its bytes) cost time, at the peak that was measured just before. */
#ifndef ECG_STUDY_BENCH_H
#define ECG_STUDY_BENCH_H

#include "base/watch.h"
#include "num/kernels.h"
#include "study/config.h"

/* X(bit, name) in the order in which they run */
#define ECG_BENCH_PARTS(X) X(PEAK, peak) X(PRETRAIN, pretrain) X(FINETUNE, finetune) X(LATENCY, latency) X(THROUGHPUT, throughput) X(LOAD, load) X(COHORT, cohort) X(SYNTH, synth)
#define X(bit, name) ECG_BENCH_AT_##bit,
enum { ECG_BENCH_PARTS(X) ECG_BENCH_PART_COUNT };
#undef X

typedef struct {
    const char *name;      /* "pretrain"; flat: one row a figure */
    const char *precision; /* "float32" or "bf16" */
    int64_t batch;
    double value, bound;   /* bound 0: none */
    double cpu;            /* the value that processor time in the place of time would give, which neighbours on the machine touch less; 0: none */
    const char *unit;      /* "ms" and "MiB" are better when they are small, all others when they are large */
    const char *what;      /* in words */
} ecg_bench_row;

typedef struct {
    unsigned parts;            /* 1u << ECG_BENCH_AT_... */
    const char *model;         /* run folder or model file for latency, throughput and load; NULL: random weights */
    const ecg_config *config;  /* shapes: encoder, projector */
    int64_t batch, labels;
    double seconds;            /* a part may measure that long, 15 */
    const ecg_exec *exec;
    const ecg_watch *watch;    /* may be NULL */
    void *ctx;
    void (*row)(void *ctx, const ecg_bench_row *r);
} ecg_bench_options;

/* Calls row for each figure as soon as it is known. Files go into a folder of their own below TMPDIR and leave with the call. ECG_ENOMEM: a
 * batch needs more memory than there is, before anything is allocated. */
ecg_status ecg_bench(const ecg_bench_options *o, ecg_err *err);
double ecg_bench_percent(const ecg_bench_row *r); /* of the bound; 0: none */

#endif
