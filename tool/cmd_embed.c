/* SPDX-License-Identifier: MIT
 * cmd_embed.c: the embeddings of a cohort as an array. */
#include "opt.h"
#include "study/probe_cohort.h"

static const char *model, *out;

static const option options[] = {
    {"model", 0, OPT_TEXT, &model, "RUN|FILE", "the encoder"},
    {"output", 'o', OPT_TEXT, &out, "FILE.npy", "float32 (records, width), records in the order of the cohort; FILE.csv beside it names them"},
    PRECISION_OPTION,
    {0},
};

static int run(int argc, char **argv)
{
    int n, code;
    ecg_exec exec = {0};
    ecg_err err = {0};
    if ((code = opt_parse(&cmd_embed, options, argc, argv, &n, 1, 1)) >= 0)
        return code;
    if (!model || !out)
        return tool_usage(&cmd_embed, model ? "-o FILE.npy is missing" : "--model RUN is missing");
    ecg_status st = tool_exec(&exec, &err);
    if (!st) {
        const ecg_probe_task task = {.cohort = argv[1], .model = model, .exec = &exec, .watch = tool_watch()};
        st = ecg_embed_cohort(out, &task, &err);
    }
    tool_exec_done(&exec);
    return st ? tool_fail(&err) : EXIT_DONE;
}

const command cmd_embed = {
    .name = "embed",
    .summary = "Embeddings of every ECG of a cohort, the mean over its crops, as a NumPy file",
    .usage = "COHORT --model RUN -o FILE.npy",
    .example = "ecgraft embed hospital.cohort --model stage1 -o h.npy",
    .more = "Rows are the records of the cohort in order; FILE.csv has study_id, patient, first_in_stay, fold and role of each.",
    .run = run,
};
