/* SPDX-License-Identifier: MIT
 * cmd_cohort.c: ecgraft cohort build | describe. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cohort/build.h"
#include "cohort/describe.h"
#include "opt.h"

static struct {
    const char *ptbxl, *mimic, *output, *roles, *max_failures;
    int64_t rate, min_count, min_labs;
    bool keep_uncoded, json, all;
} o = {.rate = 100};

static const option options[] = {
    {"ptbxl", 0, OPT_TEXT, &o.ptbxl, "DIR", "build: PTB-XL folder (ptbxl_database.csv, scp_statements.csv, records100)"},
    {"mimic", 0, OPT_TEXT, &o.mimic, "DIR", "build: folder with MIMIC-IV-ECG, MIMIC-IV hosp and MIMIC-IV-ED below it, or what synth wrote"},
    {"output", 'o', OPT_TEXT, &o.output, "FILE", "build: the cohort file"},
    {"roles", 0, OPT_TEXT, &o.roles, "TEXT", "build: folds of each role, like train:0-17,validation:18,test:19"},
    {"rate", 0, OPT_INT, &o.rate, "HZ", "build --ptbxl: read the recordings of 100 or of 500 Hz (100)"},
    {"min-count", 0, OPT_INT, &o.min_count, "N", "build: keep diagnoses with so many positives (MIMIC 40, PTB-XL 10)"},
    {"min-labs", 0, OPT_INT, &o.min_labs, "N", "build --mimic: keep lab labels with so many positives and negatives in training, N/4 in validation (40)"},
    {"keep-uncoded", 0, OPT_FLAG, &o.keep_uncoded, NULL, "build --mimic: keep recordings without any code, diagnoses unknown"},
    {"max-failures", 0, OPT_TEXT, &o.max_failures, "N|N%", "build: stop when more recordings are absent or unreadable (default: 1% unreadable; absent ones are only counted)"},
    {"json", 0, OPT_FLAG, &o.json, NULL, "describe: machine-readable"},
    {"all", 0, OPT_FLAG, &o.all, NULL, "describe: every label and every column"},
    {0},
};

/* "12" or "2.5%". */
static bool parse_failures(ecg_build_options *b, const char *text)
{
    const size_t len = strlen(text);
    b->max_failures_share = len && text[len - 1] == '%';
    if (!ecg_parse_double(&b->max_failures, text, len - b->max_failures_share) || b->max_failures < 0)
        return false;
    if (b->max_failures_share)
        b->max_failures /= 100;
    return true;
}

/* What decides the content, spelled the same however it was typed; neither the output's name nor the number of threads belongs to it. */
static void spell_command(ecg_text *t)
{
    char folder[256];
    snprintf(folder, sizeof folder, "%s", o.ptbxl ? o.ptbxl : o.mimic);
    for (size_t len = strlen(folder); len > 1 && folder[len - 1] == '/'; len--)
        folder[len - 1] = 0;
    const char *slash = strrchr(folder, '/');
    ecg_text_printf(t, "ecgraft cohort build --%s %s", o.ptbxl ? "ptbxl" : "mimic", slash && slash[1] ? slash + 1 : folder);
    if (o.ptbxl)
        ecg_text_printf(t, " --rate %" PRId64, o.rate);
    if (o.roles)
        ecg_text_printf(t, " --roles %s", o.roles);
    if (o.min_count)
        ecg_text_printf(t, " --min-count %" PRId64, o.min_count);
    if (o.min_labs)
        ecg_text_printf(t, " --min-labs %" PRId64, o.min_labs);
    if (o.keep_uncoded)
        ecg_text_puts(t, " --keep-uncoded");
    ecg_text_printf(t, " --seed %" PRId64, common.seed);
}

static int build(void)
{
    ecg_build_result result = {0};
    ecg_build_options b = {.folder = o.ptbxl ? o.ptbxl : o.mimic, .output = o.output, .roles = o.roles, .rate_hz = (int)o.rate, .min_count = o.min_count,
                           .min_labs = o.min_labs, .keep_uncoded = o.keep_uncoded, .max_failures = -1, .seed = (uint32_t)common.seed};
    if (!o.ptbxl == !o.mimic)
        return tool_usage(&cmd_cohort, "cohort build takes one of --ptbxl DIR and --mimic DIR");
    if (!o.output)
        return tool_usage(&cmd_cohort, "cohort build needs -o FILE");
    if (o.ptbxl && o.rate != 100 && o.rate != 500)
        return tool_usage(&cmd_cohort, "--rate %" PRId64 ": PTB-XL has recordings at 100 and at 500 Hz", o.rate);
    if (o.min_count < 0 || o.min_labs < 0)
        return tool_usage(&cmd_cohort, "--min-count and --min-labs take numbers above 0");
    if (o.max_failures && !parse_failures(&b, o.max_failures))
        return tool_usage(&cmd_cohort, "--max-failures takes a number or a percentage, not \"%s\"", o.max_failures);
    ecg_roles checked;
    ecg_err err = {0};
    if (o.roles && ecg_roles_parse(&checked, o.roles, &err))
        return tool_usage(&cmd_cohort, "%s", err.msg);
    ecg_text command_line = {0};
    spell_command(&command_line);
    b.command = command_line.at ? command_line.at : "";
    ecg_pool *pool = ecg_pool_new((int)common.threads);
    const ecg_status st = o.ptbxl ? ecg_cohort_build_ptbxl(&result, &b, pool, tool_watch(), &err) : ecg_cohort_build_mimic(&result, &b, pool, tool_watch(), &err);
    ecg_pool_free(pool);
    ecg_text_clear(&command_line);
    if (result.synthetic && !common.quiet)
        tool_synthetic_note();
    if (result.absent + result.broken)
        ecg_say(tool_watch(), "%" PRId64 " recordings are not in the folder, %" PRId64 " could not be used; %s lists them", result.absent, result.broken,
                result.failures);
    if (st)
        return tool_fail(&err);
    ecg_say(tool_watch(), "%s: %" PRId64 " records of %" PRId64 " patients%s", o.output, result.records, result.patients,
            result.synthetic ? " (synthetic cohort)" : "");
    return result.absent + result.broken ? EXIT_SOME : EXIT_DONE;
}

static int describe(const char *path)
{
    ecg_err err = {0};
    ecg_cohort c;
    ecg_cohort_summary s = {0};
    ecg_text text = {0};
    ecg_status st = ecg_cohort_open(&c, path, &err);
    if (!st)
        st = ecg_cohort_summarise(&s, &c, &err);
    if (!st)
        st = o.json ? ecg_cohort_summary_json(&text, &c, &s, &err) : ecg_cohort_summary_text(&text, &c, &s, o.all, &err);
    if (!st && fputs(text.at, stdout) == EOF)
        st = ecg_fail_errno(&err, "stdout", "cannot write");
    const bool leak = !st && s.patients_in_two_folds;
    ecg_text_clear(&text);
    ecg_cohort_summary_clear(&s);
    ecg_cohort_close(&c);
    if (st)
        return tool_fail(&err);
    return leak ? EXIT_FAILED : EXIT_DONE;
}

static int run(int argc, char **argv)
{
    int n;
    const int code = opt_parse(&cmd_cohort, options, argc, argv, &n, 1, 2);
    if (code >= 0)
        return code;
    if (common.seed > UINT32_MAX)
        return tool_usage(&cmd_cohort, "--seed %" PRId64 ": the published fold generator takes at most %" PRIu32, common.seed, UINT32_MAX);
    if (!strcmp(argv[1], "build"))
        return n > 1 ? tool_usage(&cmd_cohort, "cohort build takes no %s; the file is named with -o", argv[2]) : build();
    if (!strcmp(argv[1], "describe"))
        return n < 2 ? tool_usage(&cmd_cohort, "cohort describe takes a cohort file") : describe(argv[2]);
    return tool_usage(&cmd_cohort, "\"%s\" is neither build nor describe", argv[1]);
}

const command cmd_cohort = {
    .name = "cohort",
    .summary = "Tables and recordings into one cohort file, and what is in it",
    .usage = "build --ptbxl DIR | --mimic DIR -o FILE | describe FILE",
    .example = "ecgraft cohort build --ptbxl ptb-xl -o ptbxl.cohort; ecgraft cohort describe ptbxl.cohort",
    .more = "Recordings that are absent or unreadable are counted, listed in FILE.failures.csv and left out (exit code 3).",
    .run = run,
};
