/* SPDX-License-Identifier: MIT */
#include "cohort/synth.h"
#include "opt.h"

static int run(int argc, char **argv);

const command cmd_synth = {
    "synth", "a synthetic cohort in the layout of MIMIC-IV-ECG, MIMIC-IV and MIMIC-IV-ED",
    "DIR --patients N [--seed S] [options]",
    "ecgraft synth hospital --patients 3000 --seed 7",
    "Patient 17 of a seed is the same in every cohort, slice and number of threads. truth/ holds what no hospital has.\n"
    "--do forces one variable in every patient and visit (--do K=4.1); what does not depend on it stays as it was, bit for bit.\n"
    "An interrupted run, or one that found the disk full, is continued by the same command.",
    run,
};

static int run(int argc, char **argv)
{
    ecg_synth_options o;
    ecg_synth_defaults(&o);
    int64_t patients = INT64_MIN, first = INT64_MIN, last = INT64_MIN; /* not given */
    int64_t twins = o.twins;
    bool no_waveforms = false, no_distractors = false;
    opt_list interventions = {.n = 0};
    const option options[] = {
        {"patients", 'n', OPT_INT, &patients, "N", "patients 1 to N (about two visits each)"},
        {"first", 0, OPT_INT, &first, "A", "a slice of the N patients: from patient A"},
        {"last", 0, OPT_INT, &last, "B", "a slice of the N patients: to patient B, included"},
        {"do", 0, OPT_LIST, &interventions, "VAR=VALUE", "force a variable (names: the columns of truth/latent.csv.gz); may repeat"},
        {"twins", 0, OPT_INT, &twins, "N", "counterfactual twins: up to N of each cause and N shams (200; 0: none)"},
        {"noise", 0, OPT_NUMBER, &o.noise, "X", "noise of the recordings: 1 quiet room, 2.5 emergency department (2.5)"},
        {"nuisance", 0, OPT_NUMBER, &o.nuisance, "X", "variation by electrode placement and posture (1)"},
        {"no-waveforms", 0, OPT_FLAG, &no_waveforms, NULL, "tables only"},
        {"no-distractors", 0, OPT_FLAG, &no_distractors, NULL, "leave out what a reader has to drop"},
        {"force", 0, OPT_FLAG, &o.force, NULL, "write into a folder that is not empty"},
        {0},
    };
    int positional;
    const int code = opt_parse(&cmd_synth, options, argc, argv, &positional, 1, 1);
    if (code >= 0)
        return code;
    if (patients == INT64_MIN && last == INT64_MIN)
        return tool_usage(&cmd_synth, "--patients N is missing");
    if (patients != INT64_MIN && patients < 1)
        return tool_usage(&cmd_synth, "--patients must be at least 1");
    o.first = first == INT64_MIN ? 1 : first;
    o.last = last == INT64_MIN ? patients : last;
    if (o.first < 1 || o.first > o.last)
        return tool_usage(&cmd_synth, "patients %" PRId64 " to %" PRId64 ": none", o.first, o.last);
    if (patients != INT64_MIN && o.last > patients)
        return tool_usage(&cmd_synth, "--last %" PRId64 " is beyond --patients %" PRId64, o.last, patients);
    if (twins < 0 || twins > ECG_SYNTH_TWINS)
        return tool_usage(&cmd_synth, "--twins %" PRId64 " is outside 0 to %d", twins, ECG_SYNTH_TWINS);
    o.patients = patients == INT64_MIN ? o.last : patients;
    o.twins = (int)twins;
    o.seed = (uint64_t)common.seed;
    o.waveforms = !no_waveforms;
    o.distractors = !no_distractors;
    ecg_err err;
    for (int i = 0; i < interventions.n; i++)
        if (ecg_synth_do(&o, interventions.at[i], &err))
            return tool_usage(&cmd_synth, "--do %s: %s", interventions.at[i], err.msg);
    ecg_exec exec;
    ecg_status st = tool_exec(&exec, &err);
    if (!st) {
        st = ecg_synth_write(argv[1], &o, exec.pool, tool_watch(), &err);
        tool_exec_done(&exec);
    }
    return st ? tool_fail(&err) : EXIT_DONE;
}
