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
    return settings_train(&o, (ecg_study){.roles = given ? &roles : NULL, .config = &config, .command = text}, argv[1], ecg_pretrain);
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
