/* SPDX-License-Identifier: MIT
 * cmd_evaluate.c: what a run is worth on validation or test, or what anybody's predictions are worth. */
#include <math.h>
#include <string.h>

#include "evaluate_files.h"
#include "settings.h"
#include "study/evaluate.h"

static const char *cohort, *fold, *roles_text, *bootstrap, *out;
static int64_t resamples = INT64_MIN;
static ecg_predictions_files files;
static bool json, all;

static const option options[] = {
    {"cohort", 0, OPT_TEXT, &cohort, "FILE", "another cohort than the one of the run"},
    {"fold", 0, OPT_TEXT, &fold, "ROLE", "test (default) or validation"},
    {"roles", 0, OPT_TEXT, &roles_text, "ROLES", "folds by role: train:0-17,validation:18,test:19"},
    PRECISION_OPTION,
    {"bootstrap", 0, OPT_TEXT, &bootstrap, "UNIT", "what the resamples draw: patient (default) or ecg"},
    { "resamples", 0, OPT_INT, &resamples, "N", "bootstrap resamples (1000); 0: no intervals" },
    {"output", 'o', OPT_TEXT, &out, "DIR", "where the files go (default: the run folder)"},
    {"predictions", 0, OPT_TEXT, &files.predictions, "FILE", "CSV with an id and a column of probabilities for each label, instead of RUN"},
    {"labels", 0, OPT_TEXT, &files.labels, "FILE", "CSV with the same ids and labels: 1, 0, empty"},
    {"groups", 0, OPT_TEXT, &files.groups, "FILE", "CSV with the same ids and columns that make subgroups"},
    {"validation-predictions", 0, OPT_TEXT, &files.validation_predictions, "FILE", "where thresholds come from"},
    {"validation-labels", 0, OPT_TEXT, &files.validation_labels, "FILE", "the labels of these"},
    {"against", 0, OPT_TEXT, &files.against, "RUN|FILE", "another run, or other predictions: paired differences"},
    {"ignore-missing", 0, OPT_FLAG, &files.ignore_missing, NULL, "ids that are not in every file are left out"},
    {"all", 0, OPT_FLAG, &all, NULL, "every label of --predictions"},
    {"json", 0, OPT_FLAG, &json, NULL, "evaluation.json on stdout"},
    {0},
};

static void print_scored(const ecg_head_result *r, const char *which, const ecg_scored *s, const char *role)
{
    printf("%s (set %s), %s, %s: %" PRId64 " ECGs of %" PRId64 " patients, %d of %d labels with both classes\n ", r->head, r->set, role, which, s->records,
           s->patients, s->defined, r->labels);
    print_interval("macro AUROC", &s->score.macro);
    print_interval("undefined as 0.5", &s->score.macro_half);
    print_interval("micro", &s->score.micro);
    printf("\n");
}

static void print_more(const ecg_head_result *r, const char *thresholds)
{
    printf(" ");
    print_interval("macro AUPRC", &r->all.precision.macro);
    print_interval("micro", &r->all.precision.micro);
    printf(" (all ECGs)\n");
    print_calibration(&r->mean, &r->pooled);
    printf("  sensitivity %.3f at specificity 90 %%, %.3f at 95 %%, mean over labels", r->sensitivity_at[0], r->sensitivity_at[1]);
    if (*thresholds)
        printf("; at Youden's thresholds sensitivity %.3f, specificity %.3f", r->youden.sensitivity, r->youden.specificity);
    printf("\n");
}

static void print_against(const ecg_evaluation *e)
{
    for (int i = 0; i < e->heads; i++) {
        const ecg_head_result *r = &e->head[i];
        if (isnan(r->against[0].point))
            continue;
        printf("%s (set %s) minus %s, the same ECGs and resamples\n", r->head, r->set, files.against);
        print_difference("macro AUROC, all ECGs", &r->against[0]);
        print_difference("micro AUROC, all ECGs", &r->against[1]);
        print_difference("macro AUROC, first ECG of each stay", &r->against_first[0]);
        print_difference("micro AUROC, first ECG of each stay", &r->against_first[1]);
    }
}

static void print(const ecg_evaluation *e, const char *unit, int64_t drawn)
{
    if (e->synthetic)
        printf("synthetic cohort\n");
    for (int i = 0; i < e->heads; i++) {
        print_scored(&e->head[i], "all ECGs", &e->head[i].all, ecg_role_name(e->role));
        print_scored(&e->head[i], "first ECG of each stay", &e->head[i].first, ecg_role_name(e->role));
        print_more(&e->head[i], e->thresholds);
    }
    print_against(e);
    if (*e->thresholds)
        printf("thresholds: %s\n", e->thresholds);
    else
        printf("no thresholds: there are no validation records besides those that are scored\n");
    if (drawn > 0)
        printf("95 %% intervals: %" PRId64 " resamples by %s\n", drawn, unit);
    if (e->half)
        printf("half B of validation; half A chose the epoch\n");
    if (e->chose_epoch)
        printf("validation also chose the epoch: these figures flatter\n");
    printf("%s\n", ECG_STATEMENT);
}

/* -1: go on; else the exit code. */
static int check(const char *run)
{
    if (run && files.predictions)
        return tool_usage(&cmd_evaluate, "RUN or --predictions, not both");
    if (!run && !files.predictions)
        return tool_usage(&cmd_evaluate, "nothing to work on: RUN, or --predictions with --labels");
    if (files.predictions && !files.labels)
        return tool_usage(&cmd_evaluate, "--predictions needs --labels");
    if (!files.validation_predictions != !files.validation_labels)
        return tool_usage(&cmd_evaluate, "--validation-predictions and --validation-labels go together");
    if (run && (files.labels || files.groups || files.validation_predictions || files.ignore_missing || all))
        return tool_usage(&cmd_evaluate, "--labels, --groups, --validation-..., --ignore-missing and --all belong to --predictions");
    if (!run && (cohort || fold || roles_text))
        return tool_usage(&cmd_evaluate, "--cohort, --fold and --roles belong to RUN");
    if (fold && strcmp(fold, "test") && strcmp(fold, "validation"))
        return tool_usage(&cmd_evaluate, "--fold %s: test or validation", fold);
    if (bootstrap && strcmp(bootstrap, "patient") && strcmp(bootstrap, "ecg"))
        return tool_usage(&cmd_evaluate, "--bootstrap %s: patient or ecg", bootstrap);
    if (resamples != INT64_MIN && (resamples < 0 || resamples > 1000000))
        return tool_usage(&cmd_evaluate, "--resamples %" PRId64 ": 0 to 1000000", resamples);
    return -1;
}

static int run(int argc, char **argv)
{
    int n, code;
    ecg_roles roles;
    ecg_evaluation result;
    ecg_config config;
    ecg_exec exec = {0};
    ecg_err err = {0};
    bool inherited;
    if ((code = opt_parse(&cmd_evaluate, options, argc, argv, &n, 0, 1)) >= 0 || (code = check(n ? argv[1] : NULL)) >= 0)
        return code;
    if (files.predictions)
        return evaluate_files(&(evaluate_files_options){files, out, resamples >= 0 ? (int)resamples : 1000, bootstrap && bootstrap[0] == 'e', json, all});
    const int given = settings_roles(&roles, &cmd_evaluate, roles_text, &code);
    if (given < 0)
        return code;
    if (ecg_config_preset(&config, "small", &err) || ecg_run_inherit(&config, &inherited, argv[1], &err))
        return tool_fail(&err);
    const bool by_ecg = bootstrap ? bootstrap[0] == 'e' : config.evaluate.unit == 1;
    const int64_t drawn = resamples >= 0 ? resamples : config.evaluate.resamples;
    ecg_status st = tool_exec(&exec, &err);
    if (!st) {
        const ecg_evaluate_task task = {.run = argv[1], .cohort = cohort, .against = files.against, .folder = out, .roles = given ? &roles : NULL,
                                         .role = fold && fold[0] == 'v' ? ECG_VALIDATION : ECG_TEST, .resamples = (int)drawn, .by_ecg = by_ecg,
                                         .seed = (uint64_t)common.seed, .exec = &exec, .watch = tool_watch()};
        st = ecg_evaluate(&result, &task, &err);
    }
    tool_exec_done(&exec);
    if (st)
        return tool_fail(&err);
    if (result.synthetic)
        tool_synthetic_note();
    if (json)
        printf("%s\n", result.json);
    else
        print(&result, by_ecg ? "ECG" : "patient", drawn);
    ecg_evaluation_clear(&result);
    return EXIT_DONE;
}

const command cmd_evaluate = {
    .name = "evaluate",
    .summary = "What a run, or anybody's predictions, are worth: AUROC, AUPRC, calibration, thresholds, subgroups, with intervals",
    .usage = "RUN [options] | --predictions FILE --labels FILE [options]",
    .example = "ecgraft evaluate stage3",
    .more = "A run: writes predictions, labels, reliability, decision and subgroups as NAME.<set>.<role>.csv and evaluation.json into the run folder. The\n"
            "cohort is the one the run was trained on (refused when its hash differs) unless --cohort names another.\n"
            "Predictions: rows are matched by id (study_id, else the first column), labels by the names of the columns; a column patient makes the bootstrap\n"
            "draw patients, first_in_stay the scores of first ECGs. With -o DIR: labels.csv, reliability.csv, decision.csv, subgroups.csv, evaluation.json.",
    .run = run,
};
