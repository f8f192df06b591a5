/* SPDX-License-Identifier: MIT
 * cmd_finetune.c: stages 2 and 3. */
#include <string.h>

#include "settings.h"
#include "study/finetune.h"

static run_options o;
static const char *from, *teacher;
static bool random_encoder;

static const option options[] = {
    {"from", 0, OPT_TEXT, &from, "RUN", "run or model to begin with (without: random weights)"},
    {"random-encoder", 0, OPT_FLAG, &random_encoder, NULL, "a random encoder in place of a pre-trained one, frozen and trained as if it were"},
    {"teacher", 0, OPT_TEXT, &teacher, "RUN", "run or model to learn from (finetune.distill, finetune.distill_hidden)"},
    RUN_OPTIONS(o, "one setting, as in finetune.lr_head=0.001; without =: the label set, --set superclass"),
    {0},
};

static ecg_status finetune_diagnoses(const ecg_study *study, ecg_err *err)
{
    return ecg_finetune(study, false, err);
}

static ecg_status finetune_labs(const ecg_study *study, ecg_err *err)
{
    return ecg_finetune(study, true, err);
}

static int run(int argc, char **argv)
{
    char text[2048];
    const char *set = NULL;
    int n, code;
    ecg_config config;
    ecg_roles roles;
    settings_command(text, sizeof text, argc, argv);
    if ((code = opt_parse(&cmd_finetune, options, argc, argv, &n, 2, 2)) >= 0)
        return code;
    const bool labs = strcmp(argv[1], "labs") == 0;
    if (!labs && strcmp(argv[1], "diagnoses"))
        return tool_usage(&cmd_finetune, "'%s' is neither diagnoses nor labs", argv[1]);
    if ((code = settings_label_set(&set, &cmd_finetune, &o)) >= 0)
        return code;
    if (from && random_encoder)
        return tool_usage(&cmd_finetune, "--random-encoder takes the place of --from");
    if ((code = settings_resolve(&config, &cmd_finetune, &o, from, labs ? "labs" : "finetune")) >= 0)
        return code;
    const int given = settings_roles(&roles, &cmd_finetune, o.roles, &code);
    if (given < 0)
        return code;
    const ecg_study study = {.roles = given ? &roles : NULL, .config = &config, .command = text, .from = from, .random_encoder = random_encoder, .teacher = teacher, .set = set};
    return settings_train(&o, study, argv[2], labs ? finetune_labs : finetune_diagnoses);
}

const command cmd_finetune = {
    .name = "finetune",
    .summary = "Stages 2 and 3: a head for diagnoses or laboratory abnormalities on the encoder",
    .usage = "diagnoses|labs COHORT --from RUN -o RUN2 [--set NAME] [options]",
    .example = "ecgraft finetune diagnoses hospital.cohort --from stage1 -o stage2 && ecgraft finetune labs hospital.cohort --from stage2 -o stage3",
    .more = "labs --from a run with a diagnosis head trains the laboratory head alone and keeps both on one embedding, as `predict` needs to explain;\n"
            "--from a pre-training run the upper blocks train too. Settings are those of the earlier run unless --preset, --config or --set say otherwise.\n"
            "finetune.tabular and labs.tabular (routine, lab, all) let the head read the table of the visit too; such a model can be evaluated on a\n"
            "cohort, and `predict` refuses it. train.labelled=N hides the diagnoses of all but N training records, by patient.",
    .run = run,
};
