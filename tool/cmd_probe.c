/* SPDX-License-Identifier: MIT
 * cmd_probe.c: what a linear map reads off the embeddings of a model, on any cohort. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "json.h"
#include "settings.h"
#include "study/probe_cohort.h"

enum { FEWS = 16 };

static const char *model, *set, *few, *roles_text;
static int64_t draws = 10, resamples = 1000;
static bool json;

static const option options[] = {
    {"model", 0, OPT_TEXT, &model, "RUN|FILE", "the encoder"},
    PRECISION_OPTION,
    {"set", 0, OPT_TEXT, &set, "NAME", "this label set alone (all)"},
    {"few", 0, OPT_TEXT, &few, "N,N", "also with the labels of so many training patients, drawn"},
    {"draws", 0, OPT_INT, &draws, "D", "draws of each number of patients (10)"},
    {"resamples", 0, OPT_INT, &resamples, "N", "bootstrap resamples by patient (1000); 0: no intervals"},
    {"roles", 0, OPT_TEXT, &roles_text, "ROLES", "folds by role: train:0-17,validation:18,test:19"},
    {"json", 0, OPT_FLAG, &json, NULL, "everything as JSON"},
    {0},
};

/* "16,64" -> numbers. Their number, or -1. */
static int read_few(int64_t out[FEWS])
{
    int n = 0;
    for (const char *at = few; at && *at;) {
        const size_t len = strcspn(at, ",");
        if (n == FEWS || !ecg_parse_i64(&out[n], at, len) || out[n] < 1)
            return -1;
        n++;
        at += len + (at[len] == ',');
    }
    return n;
}

static double at(const json_t *j, const char *key)
{
    return json_number_value(json_object_get(j, key));
}

/* "0.7012", or "undefined". */
static const char *text(char out[16], const json_t *j, const char *key)
{
    if (json_is_number(json_object_get(j, key)))
        snprintf(out, 16, "%.4f", at(j, key));
    else
        snprintf(out, 16, "undefined");
    return out;
}

static void print_columns(const char *name, const json_t *m)
{
    if (at(m, "columns") > 0)
        printf("  %-10s %4.0f columns, R2 %.4f on test, %.4f on validation\n", name, at(m, "columns"), at(m, "r2_test"), at(m, "r2_validation"));
}

static void print_set(const json_t *s)
{
    size_t i;
    char a[16], b[16];
    const json_t *f;
    printf("set %s, %.0f of %.0f labels with both classes: macro AUROC %s", json_string_value(json_object_get(s, "set")), at(s, "defined"), at(s, "labels"),
           text(a, s, "auroc"));
    if (!json_is_null(json_object_get(s, "lo")))
        printf(" (%.4f to %.4f)", at(s, "lo"), at(s, "hi"));
    printf(", linear map from %.0f records\n", at(s, "training"));
    json_array_foreach(json_object_get(s, "few"), i, f)
        printf("  %4.0f patients (%.0f records): %s, spread %s over %.0f draws, %.1f labels defined\n", at(f, "patients"), at(f, "records"),
               text(a, f, "auroc"), text(b, f, "spread"), at(f, "draws"), at(f, "defined"));
}

static void print(const json_t *j)
{
    size_t i;
    const json_t *s, *tabular = json_object_get(j, "tabular"), *records = json_object_get(j, "records");
    if (json_is_true(json_object_get(j, "synthetic")))
        printf("synthetic cohort\n");
    printf("embedding of width %.0f; %.0f records for the map, %.0f for test\n", at(j, "width"), at(records, "train"), at(records, "test"));
    if (json_is_null(tabular))
        printf("no tabular columns\n");
    else {
        printf("tabular values by ridge regression\n");
        print_columns("all", tabular);
        print_columns("routine", json_object_get(tabular, "routine"));
        print_columns("lab", json_object_get(tabular, "lab"));
    }
    json_array_foreach(json_object_get(j, "sets"), i, s)
        print_set(s);
    printf("%s\n", ECG_STATEMENT);
}

static int check(int64_t numbers[FEWS], int *fews)
{
    if (!model)
        return tool_usage(&cmd_probe, "--model RUN is missing");
    if ((*fews = read_few(numbers)) < 0)
        return tool_usage(&cmd_probe, "--few %s: up to %d whole numbers of patients, as in 16,64,256", few, FEWS);
    if (draws < 1 || draws > 1000)
        return tool_usage(&cmd_probe, "--draws: 1 to 1000");
    if (resamples < 0 || resamples > 1000000)
        return tool_usage(&cmd_probe, "--resamples: 0 to 1000000");
    return -1;
}

static int run(int argc, char **argv)
{
    int n, code, fews = 0;
    int64_t numbers[FEWS];
    ecg_roles roles;
    json_t *result = NULL;
    ecg_exec exec = {0};
    ecg_err err = {0};
    if ((code = opt_parse(&cmd_probe, options, argc, argv, &n, 1, 1)) >= 0 || (code = check(numbers, &fews)) >= 0)
        return code;
    const int given = settings_roles(&roles, &cmd_probe, roles_text, &code);
    if (given < 0)
        return code;
    ecg_status st = tool_exec(&exec, &err);
    if (!st) {
        const ecg_probe_task task = {.cohort = argv[1], .model = model, .roles = given ? &roles : NULL, .set = set, .few = numbers, .fews = fews,
                                      .draws = (int)draws, .resamples = (int)resamples, .seed = (uint64_t)common.seed, .exec = &exec, .watch = tool_watch()};
        st = ecg_probe_cohort(&result, &task, &err);
    }
    tool_exec_done(&exec);
    if (st)
        return tool_fail(&err);
    if (json) {
        tool_json_print(result);
        return EXIT_DONE;
    }
    print(result);
    json_decref(result);
    return EXIT_DONE;
}

const command cmd_probe = {
    .name = "probe",
    .summary = "What a linear map reads off a model's embeddings: tabular values, labels, labels from a few patients",
    .usage = "COHORT --model RUN [--set NAME] [--few N,N --draws D] [options]",
    .example = "ecgraft probe other.cohort --model stage1 --set diagnoses --few 16,64,256",
    .more = "The encoder is frozen and may come from another cohort; maps are fitted on the training folds of this one, penalties are chosen on half A of\n"
            "validation, figures are of the test folds.",
    .run = run,
};
