/* SPDX-License-Identifier: MIT
 * cmd_joint.c: the three stages as one. */
#include "settings.h"
#include "study/joint.h"

static run_options o;

static const option options[] = {
    RUN_OPTIONS(o, "one setting, as in joint.alignment=0.1; without =: the label set of the diagnoses, --set superclass"),
    {0},
};

static int run(int argc, char **argv)
{
    char text[2048];
    const char *set = NULL;
    int n, code;
    ecg_config config;
    ecg_roles roles;
    settings_command(text, sizeof text, argc, argv);
    if ((code = opt_parse(&cmd_joint, options, argc, argv, &n, 1, 1)) >= 0)
        return code;
    if ((code = settings_label_set(&set, &cmd_joint, &o)) >= 0)
        return code;
    if ((code = settings_resolve(&config, &cmd_joint, &o, NULL, "joint")) >= 0)
        return code;
    const int given = settings_roles(&roles, &cmd_joint, o.roles, &code);
    if (given < 0)
        return code;
    return settings_train(&o, (ecg_study){.roles = given ? &roles : NULL, .config = &config, .command = text, .set = set}, argv[1], ecg_joint);
}

const command cmd_joint = {
    .name = "joint",
    .summary = "The three stages as one: table, diagnoses and laboratory labels are learned at the same time",
    .usage = "COHORT -o RUN [options]",
    .example = "ecgraft joint hospital.cohort -o joint --preset small --set joint.weighting=uncertainty",
    .more = "An ablation beside pretrain and finetune: one encoder, both heads on its embedding, three losses whose weights are learned (uncertainty),\n"
            "whose gradients are projected where they conflict (projection), or which are simply added (none; joint.alignment weighs the first).\n"
            "The heads take head_hidden, head_dropout, gamma and reduce from [finetune] and [labs], the alignment its settings from [pretrain].",
    .run = run,
};
