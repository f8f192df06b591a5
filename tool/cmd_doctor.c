/* SPDX-License-Identifier: MIT
 * cmd_doctor.c: ecgraft doctor: look at the data folders before a long build. */
#include <stdio.h>

#include "cohort/doctor.h"
#include "opt.h"

static struct {
    ecg_build_sources from;
    bool json;
} o;

static const option options[] = {
    {"mimic", 0, OPT_TEXT, &o.from.mimic, "DIR", "folder with the modules of MIMIC-IV somewhere below it, or what synth wrote"},
    {"ecg", 0, OPT_TEXT, &o.from.ecg, "DIR|ZIP", "MIMIC-IV-ECG, unpacked or the released archive"},
    {"hosp", 0, OPT_TEXT, &o.from.hosp, "DIR", "module hosp of MIMIC-IV"},
    {"icu", 0, OPT_TEXT, &o.from.icu, "DIR", "module icu of MIMIC-IV"},
    {"ed", 0, OPT_TEXT, &o.from.ed, "DIR", "MIMIC-IV-ED"},
    {"icd", 0, OPT_TEXT, &o.from.icd, "DIR|FILE", "records_w_diag_icd10.csv"},
    {"mdsed", 0, OPT_TEXT, &o.from.mdsed, "DIR|FILE", "mds_ed.csv"},
    {"ptbxl", 0, OPT_TEXT, &o.from.ptbxl, "DIR", "PTB-XL"},
    {"json", 0, OPT_FLAG, &o.json, NULL, "machine-readable"},
    {0},
};

static int run(int argc, char **argv)
{
    int n;
    const int code = opt_parse(&cmd_doctor, options, argc, argv, &n, 0, -1);
    if (code >= 0)
        return code;
    const ecg_build_sources *f = &o.from;
    if (!n && !f->mimic && !f->ecg && !f->hosp && !f->icu && !f->ed && !f->icd && !f->mdsed && !f->ptbxl)
        return tool_usage(&cmd_doctor, "doctor takes the folders of the data");
    ecg_err err = {0};
    ecg_text text = {0};
    bool complete = false;
    ecg_status st = ecg_doctor(&text, &complete, f, (const char *const *)argv + 1, n, (int)common.threads, o.json, tool_watch(), &err);
    if (!st && fputs(text.at, stdout) == EOF)
        st = ecg_fail_errno(&err, "stdout", "cannot write");
    ecg_text_clear(&text);
    if (st)
        return tool_fail(&err);
    return complete ? EXIT_DONE : EXIT_FAILED;
}

const command cmd_doctor = {
    .name = "doctor",
    .summary = "Look at data folders: what is there, which release, what can be built, how long and how large",
    .usage = "DIR...",
    .example = "ecgraft doctor physionet.org/files",
    .more = "Nothing is written. Exit code 0: a cohort can be built from what is there; 1: something it needs is missing.",
    .run = run,
};
