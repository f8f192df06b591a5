/* SPDX-License-Identifier: MIT
 * cmd_evaluate.c: what a run is worth on validation or test. */
#include <math.h>
#include <string.h>

#include "settings.h"
#include "study/evaluate.h"

static const char *cohort, *fold, *roles_text, *bootstrap, *out;
static int64_t resamples = -1;
static bool json;

static const option options[] = {
    {"cohort", 0, OPT_TEXT, &cohort, "FILE", "another cohort than the one of the run"},
    {"fold", 0, OPT_TEXT, &fold, "ROLE", "test (default) or validation"},
    {"roles", 0, OPT_TEXT, &roles_text, "ROLES", "folds by role: train:0-17,validation:18,test:19"},
    {"bootstrap", 0, OPT_TEXT, &bootstrap, "UNIT", "what the resamples draw: patient (default) or ecg"},
    { "resamples", 0, OPT_INT, &resamples, "N", "bootstrap resamples (1000); 0: no intervals" },
    {"output", 'o', OPT_TEXT, &out, "DIR", "where the files go (default: the run folder)"},
    {"json", 0, OPT_FLAG, &json, NULL, "evaluation.json on stdout"},
    {0},
};

static void print_interval(const char *name, const ecg_interval *x)
{
    if (isfinite(x->lo))
        printf("  %s %.3f [%.3f, %.3f]", name, x->point, x->lo, x->hi);
    else
        printf("  %s %.3f", name, x->point);
}

static void print_scored(const ecg_head_result *r, const char *which, const ecg_scored *s, const char *role)
{
    printf("%s (set %s), %s, %s: %" PRId64 " ECGs of %" PRId64 " patients, %d of %d labels with both classes\n ", r->head, r->set, role, which, s->records,
           s->patients, s->defined, r->labels);
    print_interval("macro AUROC", &s->score.macro);
    print_interval("undefined as 0.5", &s->score.macro_half);
    print_interval("micro", &s->score.micro);
    printf("\n");
}

static void print(const ecg_evaluation *e, const char *unit, int64_t drawn)
{
    if (e->synthetic)
        printf("synthetic cohort\n");
    for (int i = 0; i < e->heads; i++) {
        print_scored(&e->head[i], "all ECGs", &e->head[i].all, ecg_role_name(e->role));
        print_scored(&e->head[i], "first ECG of each stay", &e->head[i].first, ecg_role_name(e->role));
    }
    if (drawn > 0)
        printf("95 %% intervals: %" PRId64 " resamples by %s\n", drawn, unit);
    if (e->half)
        printf("half B of validation; half A chose the epoch\n");
    if (e->chose_epoch)
        printf("validation also chose the epoch: these figures flatter\n");
    printf("%s\n", ECG_STATEMENT);
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
    if ((code = opt_parse(&cmd_evaluate, options, argc, argv, &n, 1, 1)) >= 0)
        return code;
    if (fold && strcmp(fold, "test") && strcmp(fold, "validation"))
        return tool_usage(&cmd_evaluate, "--fold %s: test or validation", fold);
    if (bootstrap && strcmp(bootstrap, "patient") && strcmp(bootstrap, "ecg"))
        return tool_usage(&cmd_evaluate, "--bootstrap %s: patient or ecg", bootstrap);
    if (resamples > 1000000)
        return tool_usage(&cmd_evaluate, "--resamples: at most 1000000");
    const int given = settings_roles(&roles, &cmd_evaluate, roles_text, &code);
    if (given < 0)
        return code;
    if (ecg_config_preset(&config, "small", &err) || ecg_run_inherit(&config, &inherited, argv[1], &err))
        return tool_fail(&err);
    const bool by_ecg = bootstrap ? bootstrap[0] == 'e' : config.evaluate.unit == 1;
    const int64_t drawn = resamples >= 0 ? resamples : config.evaluate.resamples;
    ecg_status st = tool_exec(&exec, &err);
    if (!st) {
        const ecg_evaluate_task task = {.run = argv[1], .cohort = cohort, .folder = out, .roles = given ? &roles : NULL,
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
    .summary = "What a fine-tuned run is worth: AUROC of every head with intervals, per label and per record",
    .usage = "RUN [options]",
    .example = "ecgraft evaluate stage3",
    .more = "Writes predictions.<set>.<role>.csv, labels.<set>.<role>.csv and evaluation.json into the run folder. The cohort is the one the run was\n"
            "trained on (refused when its hash differs) unless --cohort names another.",
    .run = run,
};
