/* SPDX-License-Identifier: MIT
 * cmd_study.c: the whole table by one command. */
#include <stdlib.h>
#include <string.h>

#include "report/study_page.h"
#include "settings.h"
#include "study/study.h"

static const char *out, *preset, *config_file, *roles_text, *labelled, *only, *ablate, *baselines, *labels;
static int64_t seeds = 1;
static opt_list set;
static bool dry_run, no_controls, force;

static const option options[] = {
    {"output", 'o', OPT_TEXT, &out, "RUN", "folder of the study; one that is there goes on"},
    {"preset", 0, OPT_TEXT, &preset, "NAME", "paper, small (default) or mdsed-s4"},
    {"config", 0, OPT_TEXT, &config_file, "FILE", "settings in YAML, as RUN/config.yaml"},
    {"set", 0, OPT_LIST, &set, "KEY=VALUE", "one setting, as in pretrain.epochs=40"},
    {"seeds", 0, OPT_INT, &seeds, "N", "so many seeds for every cohort (1)"},
    {"labelled", 0, OPT_TEXT, &labelled, "N|SHARE", "diagnoses of that many training records are seen, below 1: of that share (all)"},
    {"labels", 0, OPT_TEXT, &labels, "SET", "label set of the diagnoses (diagnoses, or the first that is not labs)"},
    {"only", 0, OPT_TEXT, &only, "ROWS", "these rows alone, as in signal,ours_shared"},
    {"no-controls", 0, OPT_FLAG, &no_controls, NULL, "without the control rows"},
    {"ablate", 0, OPT_TEXT, &ablate, "LINES", "lines or groups of the ablation table, or all"},
    {"baselines", 0, OPT_TEXT, &baselines, "published", "the baselines as they were released, as further rows"},
    {"roles", 0, OPT_TEXT, &roles_text, "ROLES", "folds by role: train:0-17,validation:18,test:19"},
    PRECISION_OPTION,
    {"dry-run", 0, OPT_FLAG, &dry_run, NULL, "the plan with the time and memory it will take, measured on a few steps"},
    {"force", 0, OPT_FLAG, &force, NULL, "other settings than the study began with: what they change is trained anew"},
    {0},
};

/* preset < file < --set < flags; a study that goes on has the settings of its config.yaml for a preset. -1: go on. */
static int resolve(ecg_config *c)
{
    ecg_err err = {0};
    char text[96];
    bool found = false;
    if (ecg_config_preset(c, preset ? preset : "small", &err))
        return tool_usage(&cmd_study, "--preset: %s", err.msg);
    if (out && !preset && !config_file && ecg_run_inherit(c, &found, out, &err))
        return tool_fail(&err);
    if (config_file && ecg_config_load(c, config_file, preset != NULL, &err))
        return tool_fail(&err);
    for (int i = 0; i < set.n; i++)
        if (ecg_config_assign(c, set.at[i], &err))
            return tool_usage(&cmd_study, "--set: %s", err.msg);
    snprintf(text, sizeof text, "train.labelled=%.60s", labelled ? labelled : "");
    if (labelled && ecg_config_assign(c, text, &err))
        return tool_usage(&cmd_study, "--labelled: %s", err.msg);
    snprintf(text, sizeof text, "train.precision=%.60s", common.precision ? common.precision : "");
    if (common.precision && ecg_config_assign(c, text, &err))
        return tool_usage(&cmd_study, "--precision: %s", err.msg);
    snprintf(text, sizeof text, "train.seed=%" PRId64, common.seed);
    if (common.seed_given && ecg_config_assign(c, text, &err))
        return tool_usage(&cmd_study, "--seed: %s", err.msg);
    return -1;
}

static int check(int cohorts)
{
    if (!out && !dry_run)
        return tool_usage(&cmd_study, "-o RUN is missing");
    if (seeds < 1 || seeds > ECG_STUDY_SEEDS)
        return tool_usage(&cmd_study, "--seeds %" PRId64 ": 1 to %d", seeds, ECG_STUDY_SEEDS);
    if (cohorts > ECG_STUDY_COHORTS)
        return tool_usage(&cmd_study, "%d cohorts; at most %d", cohorts, ECG_STUDY_COHORTS);
    if (baselines && strcmp(baselines, "published"))
        return tool_usage(&cmd_study, "--baselines %s: published is the only other recipe", baselines);
    ecg_err err = {0};
    if (ecg_study_words(only, ablate, &err))
        return tool_usage(&cmd_study, "%s", err.msg);
    return -1;
}

static int finish(const ecg_study_outcome *done)
{
    ecg_err err = {0};
    if (ecg_study_report(out, &err))
        return tool_fail(&err);
    if (!common.quiet)
        fprintf(stderr, "%s/report.html, report.md, results.json\n", out);
    if (done->failed && !common.quiet)
        fprintf(stderr, "%d of %d stages failed; results.json and the report say why\n", done->failed, done->stages);
    return done->failed ? EXIT_SOME : EXIT_DONE;
}

static int perform(const ecg_study_task *t)
{
    ecg_err err = {0};
    ecg_study_outcome done;
    if (dry_run) {
        char *text = NULL;
        if (ecg_study_dry_run(&text, t, &err))
            return tool_fail(&err);
        fputs(text, stdout);
        free(text);
        return EXIT_DONE;
    }
    const ecg_status st = ecg_study_run(&done, t, &err);
    if (done.synthetic)
        tool_synthetic_note();
    return st ? tool_fail(&err) : finish(&done);
}

static int run(int argc, char **argv)
{
    char command_line[2048];
    int n, code;
    ecg_config config;
    ecg_roles roles;
    ecg_exec exec = {0};
    ecg_err err = {0};
    settings_command(command_line, sizeof command_line, argc, argv);
    if ((code = opt_parse(&cmd_study, options, argc, argv, &n, 1, -1)) >= 0 || (code = check(n)) >= 0 || (code = resolve(&config)) >= 0)
        return code;
    const int given = settings_roles(&roles, &cmd_study, roles_text, &code);
    if (given < 0)
        return code;
    if (tool_exec(&exec, &err)) {
        tool_exec_done(&exec);
        return tool_fail(&err);
    }
    exec.k = ecg_kernels_at(exec.k, (ecg_precision)config.train.precision); /* of what scores and probes, too */
    const ecg_study_task task = {.cohort = (const char *const *)(argv + 1), .cohorts = n, .seeds = (int)seeds, .folder = out ? out : "", .config = &config,
                                  .roles = given ? &roles : NULL, .only = only, .controls = !no_controls, .ablate = ablate, .published = baselines != NULL,
                                  .labels = labels, .force = force, .command = command_line, .exec = &exec, .watch = tool_watch()};
    code = perform(&task);
    tool_exec_done(&exec);
    return code;
}

const command cmd_study = {
    .name = "study",
    .summary = "Every row of the table on every cohort and seed, with controls, probes, ablations and a report",
    .usage = "COHORT... -o RUN [options]",
    .example = "ecgraft study a.cohort b.cohort c.cohort --preset small --labelled 600 -o table",
    .more = "Rows: signal, multi_labs, multi, ours_shared, ours_branched; controls: ecg_labs, ours_random, shuffled, signal_long, signal_hidden, signal_all, ours_all.\n"
            "Ablations (--ablate): tabular, lambda, embedding, batch, frozen, order, l2sp, hold, distill, distill_hidden, joint, vicreg, or single lines.\n"
            "What is done is never trained again: after Ctrl-C or a crash the same command goes on, with more --seeds, rows or --ablate it goes further.\n"
            "Stages that rows share are trained once. Exit code 3: a stage failed (a diverging loss) and the others are done.",
    .run = run,
};
