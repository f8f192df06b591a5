/* SPDX-License-Identifier: MIT
 * bench.c: the parts one after the other, in a folder of their own. */
#include "study/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "study/bench_parts.h"

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ecg_bench_quantile(double *x, int n, double q)
{
    qsort(x, (size_t)n, sizeof *x, by_size);
    const int at = (int)(q * (n - 1) + 0.5);
    return x[at];
}

double ecg_bench_median(double *x, int n) { return ecg_bench_quantile(x, n, 0.5); }

double ecg_bench_percent(const ecg_bench_row *r)
{
    const bool small = strcmp(r->unit, "ms") == 0 || strcmp(r->unit, "MiB") == 0;
    return r->bound > 0 && r->value > 0 ? 100 * (small ? r->bound / r->value : r->value / r->bound) : 0;
}

static bool is_bf16(const ecg_bench_run *b) { return b->o->exec->k->precision == ECG_IN_BF16; }

double ecg_bench_bound(const ecg_bench_run *b) { return is_bf16(b) && b->bf16 > b->fma ? b->bf16 : b->fma; }

void ecg_bench_say(const ecg_bench_run *b, ecg_bench_row r)
{
    if (!r.precision)
        r.precision = is_bf16(b) ? "bf16" : "float32";
    b->o->row(b->o->ctx, &r);
}

static ecg_status part(ecg_bench_run *b, int at, ecg_err *err)
{
    const unsigned parts = b->o->parts;
    switch (at) {
    case ECG_BENCH_AT_PEAK: return ecg_bench_peak(b, parts >> at & 1u, err);
    case ECG_BENCH_AT_PRETRAIN: return ecg_bench_train(b, false, err);
    case ECG_BENCH_AT_FINETUNE: return ecg_bench_train(b, true, err);
    case ECG_BENCH_AT_LATENCY: return ecg_bench_latency(b, err);
    case ECG_BENCH_AT_THROUGHPUT: return ecg_bench_throughput(b, err);
    case ECG_BENCH_AT_LOAD: return ecg_bench_load(b, err);
    default: return ecg_bench_hospital(b, parts >> ECG_BENCH_AT_SYNTH & 1u, parts >> ECG_BENCH_AT_COHORT & 1u, err);
    }
}

static void say_memory(const ecg_bench_run *b)
{
    const double mib = 1048576;
    if (b->anonymous > 0)
        ecg_bench_say(b, (ecg_bench_row){.name = "rss_anon", .batch = b->o->batch, .value = b->anonymous / mib, .bound = b->least / mib, .unit = "MiB",
                                         .what = "most anonymous memory while training"});
}

static ecg_status all_parts(ecg_bench_run *b, ecg_err *err)
{
    const unsigned training = 1u << ECG_BENCH_AT_PRETRAIN | 1u << ECG_BENCH_AT_FINETUNE, hospital = 1u << ECG_BENCH_AT_COHORT | 1u << ECG_BENCH_AT_SYNTH;
    unsigned left = b->o->parts | 1u << ECG_BENCH_AT_PEAK; /* the bounds need it */
    ecg_status st = ECG_OK;
    for (int at = 0; at < ECG_BENCH_PART_COUNT && !st; at++) {
        if (!(left >> at & 1u))
            continue;
        left &= ~(1u << at);
        if (1u << at & hospital) /* one goes with the other */
            left &= ~hospital;
        st = part(b, at, err);
        if (!st && (1u << at & training) && !(left & training))
            say_memory(b);
        if (!st && ecg_stopped(b->o->watch))
            st = ecg_fail(err, ECG_EINTR, "interrupted");
    }
    return st;
}

ecg_status ecg_bench(const ecg_bench_options *o, ecg_err *err)
{
    const char *where = getenv("TMPDIR");
    ecg_bench_run b = {.o = o};
    if (snprintf(b.folder, sizeof b.folder, "%s/ecgraft-bench-XXXXXX", where && *where ? where : P_tmpdir) >= (int)sizeof b.folder)
        return ecg_fail(err, ECG_EARG, "TMPDIR is too long");
    if (!mkdtemp(b.folder))
        return ecg_fail_errno(err, b.folder, "cannot make a folder");
    const ecg_status st = all_parts(&b, err), removed = ecg_bench_remove(b.folder, st ? NULL : err);
    return st ? st : removed;
}
