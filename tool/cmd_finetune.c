/* SPDX-License-Identifier: MIT
 * cmd_finetune.c: stages 2 and 3. */
#include <string.h>

#include "settings.h"
#include "study/finetune.h"
#include "study/recalibrate.h"

static run_options o;
static const char *from, *teacher;
static bool random_encoder, no_claims;

static const option options[] = {
    {"from", 0, OPT_TEXT, &from, "RUN", "run or model to begin with (without: random weights)"},
    {"random-encoder", 0, OPT_FLAG, &random_encoder, NULL, "a random encoder in place of a pre-trained one, frozen and trained as if it were"},
    {"no-claims", 0, OPT_FLAG, &no_claims, NULL, "leave the model without calibrators and explanations (`recalibrate` fits them)"},
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

/* The model of the run gets its claims, as `recalibrate` on the same cohort gives them: in a file beside it, which then takes its place. */
static int make_claims(const char *cohort)
{
    char from_path[600], to_path[600];
    ecg_recalibration made;
    ecg_exec exec = {0};
    ecg_err err = {0};
    snprintf(from_path, sizeof from_path, "%s/model.safetensors", o.out);
    snprintf(to_path, sizeof to_path, "%s/claims.safetensors", o.out);
    ecg_status st = tool_exec(&exec, &err);
    if (!st) {
        const ecg_recalibration_task task = {.model = from_path, .cohort = cohort, .out = to_path, .seed = (uint64_t)common.seed, .exec = &exec, .watch = tool_watch()};
        st = ecg_recalibrate(&made, &task, &err);
    }
    tool_exec_done(&exec);
    if (st == ECG_ECONTRACT) { /* `predict` could not answer either */
        ecg_say(tool_watch(), "no calibrators and no explanations: %s", err.msg);
        return EXIT_DONE;
    }
    if (!st && rename(to_path, from_path))
        st = ecg_fail_at(&err, ECG_EIO, from_path, 0, 0, "cannot be replaced");
    if (st)
        return tool_fail(&err);
    if (made.records)
        ecg_say(tool_watch(), "calibrators from %lld records of half B of validation%s", (long long)made.records, made.explained ? ", explanations from the training folds" : "");
    else
        ecg_say(tool_watch(), "no calibrators: validation has %lld patients, all of whom chose the epoch", (long long)made.validation_patients);
    return EXIT_DONE;
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
    code = settings_train(&o, study, argv[2], labs ? finetune_labs : finetune_diagnoses);
    return code == EXIT_DONE && !no_claims ? make_claims(argv[2]) : code;
}

const command cmd_finetune = {
    .name = "finetune",
    .summary = "Stages 2 and 3: a head for diagnoses or laboratory abnormalities on the encoder",
    .usage = "diagnoses|labs COHORT --from RUN -o RUN2 [--set NAME] [options]",
    .example = "ecgraft finetune diagnoses hospital.cohort --from stage1 -o stage2 && ecgraft finetune labs hospital.cohort --from stage2 -o stage3",
    .more = "labs --from a run with a diagnosis head trains the laboratory head alone and keeps both on one embedding, as `predict` needs to explain;\n"
            "--from a pre-training run the upper blocks train too. Settings are those of the earlier run unless --preset, --config or --set say otherwise.\n"
            "finetune.tabular and labs.tabular (routine, lab, all) let the head read the table of the visit too; such a model can be evaluated on a\n"
            "cohort, and `predict` refuses it. In the end the model gets its calibrators and explanations (as by recalibrate). train.labelled=N hides the diagnoses of all but N training records, by patient.",
    .run = run,
};
