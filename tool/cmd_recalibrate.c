/* SPDX-License-Identifier: MIT
 * cmd_recalibrate.c: calibrators, distances and explanations of a trained model, fitted on a cohort, in a new model file. */
#include <math.h>
#include <stdlib.h>

#include "json.h"
#include "opt.h"
#include "settings.h"
#include "study/recalibrate.h"

static const char *out, *roles_text, *neighbours;
static bool json;

static const option options[] = {
    {"output", 'o', OPT_TEXT, &out, "MODEL", "model file to write"},
    {"roles", 0, OPT_TEXT, &roles_text, "ROLES", "another cohort than that of the training: only its validation folds calibrate (default: all of its records)"},
    {"neighbours-out", 0, OPT_TEXT, &neighbours, "FILE", "also the recordings that `predict --neighbours` compares with: data of patients, not to be passed on"},
    {"json", 0, OPT_FLAG, &json, NULL, "what was fitted as JSON"},
    {0},
};

static void print_json(const ecg_recalibration *r)
{
    json_t *j = ecg_json_answer("ecgraft.recalibration/1"), *heads = json_array();
    for (int i = 0; i < r->heads; i++) {
        const ecg_recalibrated_head *h = &r->head[i];
        json_array_append_new(heads, json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "set", h->set, "labels", h->labels, "verdicts", h->verdicts, "isotonic",
                                               h->isotonic, "platt", h->platt, "shared", h->shared));
    }
    json_object_set_new(j, "synthetic", json_boolean(r->synthetic));
    json_object_set_new(j, "model", ecg_json_words(out));
    json_object_set_new(j, "same_cohort", json_boolean(r->same_cohort));
    json_object_set_new(j, "records", json_integer(r->records));
    json_object_set_new(j, "patients", json_integer(r->patients));
    json_object_set_new(j, "heads", heads);
    json_object_set_new(j, "distances", json_boolean(r->distances));
    json_object_set_new(j, "explained", json_boolean(r->explained));
    json_object_set_new(j, "not_explained", r->explained ? json_null() : ecg_json_words(r->not_explained));
    json_object_set_new(j, "tested", json_integer(r->tested));
    json_object_set_new(j, "neighbours", json_integer(r->neighbours));
    json_object_set_new(j, "completeness", ecg_json_number(r->completeness));
    json_object_set_new(j, "random", ecg_json_number(r->random));
    tool_json_print(j);
}

static void print_text(const ecg_recalibration *r)
{
    if (r->records)
        printf("calibrators from %lld records of %lld patients (%s)\n", (long long)r->records, (long long)r->patients,
               r->same_cohort ? "half B of validation: it neither trained nor chose an epoch" : "another cohort than that of the training");
    else
        printf("no calibrators: validation has %lld patients and was not cut in halves, so all of it chose the epoch\n", (long long)r->validation_patients);
    for (int i = 0; i < r->heads; i++) {
        const ecg_recalibrated_head *h = &r->head[i];
        printf("  %s: %d of %d labels can have a verdict (20 records with and without); %d isotonic, %d Platt, %d with the shared map\n", h->set, h->verdicts,
               h->labels, h->isotonic, h->platt, h->shared);
    }
    printf("distance from the training records: %s\n", r->distances ? "yes" : "the model has none, and only the cohort of the training gives it");
    if (!r->explained)
        printf("no explanations: %s\n", r->not_explained);
    else
        printf("explanations %s: laboratory logits follow %.0f %% of the diagnosis scores' variation on held-out records, as many random directions %.0f %%\n",
               r->fitted ? "from the training folds" : "as they were", 100 * r->completeness, 100 * r->random);
    if (r->tested)
        printf("AUROC of each label from %lld records of the test folds\n", (long long)r->tested);
    if (r->neighbours)
        printf("%s: %lld records to compare with; it holds data of patients and is not to be passed on with the model\n", neighbours, (long long)r->neighbours);
    printf("%s: %s\n", out, ECG_STATEMENT);
}

static int run(int argc, char **argv)
{
    int n, code;
    ecg_roles roles;
    ecg_recalibration result;
    ecg_exec exec = {0};
    ecg_err err = {0};
    if ((code = opt_parse(&cmd_recalibrate, options, argc, argv, &n, 2, 2)) >= 0)
        return code;
    if (!out)
        return tool_usage(&cmd_recalibrate, "-o MODEL is needed");
    const int given = settings_roles(&roles, &cmd_recalibrate, roles_text, &code);
    if (given < 0)
        return code;
    ecg_status st = tool_exec(&exec, &err);
    if (!st) {
        const ecg_recalibration_task task = {.model = argv[1], .cohort = argv[2], .out = out, .neighbours = neighbours, .roles = given ? &roles : NULL, .seed = (uint64_t)common.seed,
                                             .exec = &exec, .watch = tool_watch()};
        st = ecg_recalibrate(&result, &task, &err);
    }
    if (!st && result.synthetic)
        tool_synthetic_note();
    if (!st)
        (json ? print_json : print_text)(&result);
    tool_exec_done(&exec);
    return st ? tool_fail(&err) : EXIT_DONE;
}

const command cmd_recalibrate = {
    .name = "recalibrate",
    .summary = "what a model's scores are worth, fitted on a cohort: probabilities, intervals, verdicts, explanations",
    .usage = "MODEL COHORT -o NEW [--roles ROLES] [--neighbours-out FILE] [--json]",
    .example = "ecgraft recalibrate runs/labs hospital.cohort -o runs/labs/calibrated.safetensors",
    .more = "On the cohort of the training: calibrators from the half of validation that chose nothing, explanations from the training folds.\n"
            "On another cohort (a new site, a few hundred ECGs with diagnoses): calibrators and distances of that site; explanations stay.\n"
            "The new file holds step functions and quantiles, and no record.",
    .run = run,
};
