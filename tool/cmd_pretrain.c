/* SPDX-License-Identifier: MIT
 * cmd_pretrain.c: stage 1. */
#include "settings.h"
#include "study/pretrain.h"

static run_options o;
static double lr;

static const option options[] = {
    RUN_OPTIONS(o, "one setting, as in pretrain.lambda=0.05; may be repeated"),
    {"lr", 0, OPT_NUMBER, &lr, "X", "learning rate"},
    {0},
};

static int run(int argc, char **argv)
{
    char text[2048];
    int n, code = -1;
    ecg_config config;
    ecg_roles roles;
    ecg_cohort cohort;
    ecg_exec exec = {0};
    ecg_err err = {0};
    settings_command(text, sizeof text, argc, argv);
    if ((code = opt_parse(&cmd_pretrain, options, argc, argv, &n, 1, 1)) >= 0)
        return code;
    if ((code = settings_resolve(&config, &cmd_pretrain, &o, NULL, "pretrain")) >= 0)
        return code;
    if (lr < 0 || lr > 10)
        return tool_usage(&cmd_pretrain, "--lr: %g is outside 0 to 10", lr);
    if (lr > 0)
        config.pretrain.lr = lr;
    const int given = settings_roles(&roles, &cmd_pretrain, o.roles, &code);
    if (given < 0)
        return code;
    if (ecg_cohort_open(&cohort, argv[1], &err))
        return tool_fail(&err);
    if (cohort.synthetic)
        tool_synthetic_note();
    ecg_status st = tool_exec(&exec, &err);
    if (!st) {
        const ecg_study study = {.cohort = &cohort, .roles = given ? &roles : NULL, .folder = o.out, .config = &config, .resume = o.resume,
                                  .force = o.force, .command = text, .exec = &exec, .watch = tool_watch()};
        st = ecg_pretrain(&study, &err);
    }
    tool_exec_done(&exec);
    ecg_cohort_close(&cohort);
    return st ? tool_fail(&err) : EXIT_DONE;
}

const command cmd_pretrain = {
    .name = "pretrain",
    .summary = "Stage 1: the ECG encoder learns what blood tests and vital signs say (Barlow Twins)",
    .usage = "COHORT -o RUN [options]",
    .example = "ecgraft pretrain hospital.cohort -o stage1 --preset small",
    .more = "Makes the run folder with config.yaml, run.json, metrics.jsonl, last.safetensors (to go on from) and model.safetensors (the best epoch by\n"
            "validation). Settings: preset (small) < --config < --set < flags. Ctrl-C saves; --resume goes on bit for bit.",
    .run = run,
};
