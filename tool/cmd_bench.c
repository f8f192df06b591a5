/* SPDX-License-Identifier: MIT
 * cmd_bench.c: how fast this machine is, and how near the engine comes. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "opt.h"
#include "study/bench.h"
#include "study/runlog.h"

enum { MOST_ROWS = 64, SMALLEST_PRETRAIN = 8, SMALLEST_FINETUNE = 2 };

static const char *const part_names[] = {
#define X(bit, name) #name,
    ECG_BENCH_PARTS(X)
#undef X
};

static const char *only;
static opt_list set;
static int64_t batch = 64, labels = 1428, width, length, blocks;
static double seconds = 10;
static bool as_json;

static const option options[] = {
    {"only", 0, OPT_TEXT, &only, "PARTS", "peak,pretrain,finetune,latency,throughput,load,cohort,synth"},
    {"batch", 0, OPT_INT, &batch, "N", "records of a training step, crops of the throughput (64)"},
    {"labels", 0, OPT_INT, &labels, "N", "diagnoses of the head (1428)"},
    {"width", 0, OPT_INT, &width, "N", "channels, encoder.width (512)"},
    {"length", 0, OPT_INT, &length, "N", "samples of a crop, encoder.length (250)"},
    {"blocks", 0, OPT_INT, &blocks, "N", "encoder.blocks (4)"},
    {"set", 0, OPT_LIST, &set, "KEY=VALUE", "any other setting, as in projector.out=512; may be repeated"},
    {"seconds", 0, OPT_NUMBER, &seconds, "X", "how long training is measured, each kind (10)"},
    PRECISION_OPTION,
    {"json", 0, OPT_FLAG, &as_json, NULL, "a flat list on standard output"},
    {0},
};

/* -1, or the exit code of a mistake. */
static int parts_of(unsigned *parts)
{
    *parts = (1u << ECG_BENCH_PART_COUNT) - 1;
    if (!only)
        return -1;
    *parts = 0;
    for (const char *at = only; *at;) {
        const size_t n = strcspn(at, ",");
        int i = 0;
        while (i < ECG_BENCH_PART_COUNT && (strlen(part_names[i]) != n || strncmp(part_names[i], at, n)))
            i++;
        if (i == ECG_BENCH_PART_COUNT) {
            char word[32];
            snprintf(word, sizeof word, "%.*s", (int)(n < 31 ? n : 31), at);
            const char *near = ecg_nearest(word, part_names, ECG_BENCH_PART_COUNT);
            return tool_usage(&cmd_bench, "--only: no part \"%s\"%s%s%s", word, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
        }
        *parts |= 1u << i;
        at += n + (at[n] == ',');
    }
    return *parts ? -1 : tool_usage(&cmd_bench, "--only: no part named");
}

static int config_of(ecg_config *c)
{
    ecg_err err = {0};
    const struct { const char *key; int64_t value; } flags[] = {{"encoder.width", width}, {"encoder.length", length}, {"encoder.blocks", blocks}};
    if (ecg_config_preset(c, "paper", &err))
        return tool_fail(&err);
    c->projector.hidden = c->projector.out = 1024;
    for (int i = 0; i < set.n; i++)
        if (ecg_config_assign(c, set.at[i], &err))
            return tool_usage(&cmd_bench, "--set: %s", err.msg);
    if (common.precision && ecg_config_set(c, "train.precision", common.precision, &err))
        return tool_usage(&cmd_bench, "--precision: %s", err.msg);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s=%" PRId64, flags[i].key, flags[i].value);
        if (flags[i].value && ecg_config_assign(c, text, &err))
            return tool_usage(&cmd_bench, "--%s: %s", strchr(flags[i].key, '.') + 1, err.msg);
    }
    if (ecg_config_check(c, &err))
        return tool_usage(&cmd_bench, "%s", err.msg);
    return -1;
}

/* What the numbers of the line may be for these parts. */
static int check(unsigned parts)
{
    const int64_t least = parts >> ECG_BENCH_AT_PRETRAIN & 1u ? SMALLEST_PRETRAIN : parts >> ECG_BENCH_AT_FINETUNE & 1u ? SMALLEST_FINETUNE : 1;
    if (batch < 1 || batch > 65536)
        return tool_usage(&cmd_bench, "--batch %" PRId64 ": 1 to 65536", batch);
    if (batch < least)
        return tool_usage(&cmd_bench, "--batch %" PRId64 ": %s couples the records of a batch, at least %" PRId64 " (--only chooses other parts)", batch,
                          least == SMALLEST_PRETRAIN ? "pretraining" : "a head with norms", least);
    if (labels < 1 || labels > 65536)
        return tool_usage(&cmd_bench, "--labels %" PRId64 ": 1 to 65536", labels);
    if (!(seconds > 0 && seconds <= 3600))
        return tool_usage(&cmd_bench, "--seconds %g: above 0, to 3600", seconds);
    return -1;
}

/* ---- figures -------------------------------------------------------------------------------------------------------------- */

static void print_row(void *ctx, const ecg_bench_row *r)
{
    const double percent = ecg_bench_percent(r);
    char bound[48] = "";
    (void)ctx;
    if (percent > 0)
        snprintf(bound, sizeof bound, "%5.1f %% of %.*f", percent, r->bound < 100 ? 1 : 0, r->bound);
    printf("%-13s %10.*f %-11s %-22s %s\n", r->name, r->value < 100 ? 2 : 1, r->value, r->unit, bound, r->what);
    fflush(stdout);
}

static void keep_row(void *ctx, const ecg_bench_row *r)
{
    json_array_append_new(ctx, json_pack("{s:s, s:s, s:I, s:o, s:s, s:o, s:o}", "name", r->name, "precision", r->precision, "batch", (json_int_t)r->batch,
                                         "value", ecg_json_number(r->value), "unit", r->unit, "bound", r->bound > 0 ? ecg_json_number(r->bound) : json_null(),
                                         "cpu", r->cpu > 0 ? ecg_json_number(r->cpu) : json_null()));
}

static int measure(ecg_bench_options *o)
{
    ecg_exec exec;
    ecg_err err = {0};
    json_t *list = as_json ? json_array() : NULL;
    o->ctx = list;
    o->row = as_json ? keep_row : print_row;
    o->exec = &exec;
    ecg_status st = tool_exec(&exec, &err);
    if (!st && !as_json) {
        char cpu[128];
        ecg_cpu_name(cpu);
        printf("%s, %" PRId64 " thread%s, kernels %s, ecgraft %s\n", cpu, common.threads, common.threads > 1 ? "s" : "", exec.k->name, ecg_version());
    }
    if (!st)
        st = ecg_bench(o, &err);
    tool_exec_done(&exec);
    if (!st && as_json) {
        json_dumpf(list, stdout, JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    json_decref(list);
    if (!st && (fflush(stdout) || ferror(stdout)))
        st = ecg_fail(&err, ECG_EIO, "cannot write to standard output");
    return st ? tool_fail(&err) : EXIT_DONE;
}

static int run(int argc, char **argv)
{
    int n, code;
    ecg_config config;
    unsigned parts = 0;
    if ((code = opt_parse(&cmd_bench, options, argc, argv, &n, 0, 1)) >= 0 || (code = parts_of(&parts)) >= 0 || (code = config_of(&config)) >= 0 ||
        (code = check(parts)) >= 0)
        return code;
    return measure(&(ecg_bench_options){.parts = parts, .model = n ? argv[1] : NULL, .config = &config, .batch = batch, .labels = labels,
                                        .seconds = seconds, .watch = tool_watch()});
}

const command cmd_bench = {
    .name = "bench",
    .summary = "How fast this machine is, and how near to that the engine comes",
    .usage = "[MODEL] [options]",
    .example = "ecgraft bench --only peak,latency",
    .more = "Peaks of the machine first; then training steps on a cohort of noise (encoder 512 wide, projector 1024, batch 64; all weights train),\n"
            "one recording answered, many crops, the model file opened, a synthetic hospital written and a cohort built from it. Each figure stands\n"
            "beside its bound: what it would be if nothing but its matrix products cost time at the peak, or nothing but the copying of its bytes.\n"
            "MODEL, a run folder or a model file, takes the place of random weights where answers are measured. About a minute and a half in all.",
    .run = run,
};
