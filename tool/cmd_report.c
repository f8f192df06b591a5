/* SPDX-License-Identifier: MIT
 * cmd_report.c: the report of a study, made again from its folder. */
#include "opt.h"
#include "report/study_page.h"

static const option options[] = {{0}};

static int run(int argc, char **argv);

const command cmd_report = {
    .name = "report",
    .summary = "Table 1 of a study: report.html, report.md, report.json",
    .usage = "RUN",
    .example = "ecgraft report run",
    .more = "RUN holds results.json, as ecgraft study writes it; the study itself makes the report, and this makes it again. What a study that was\n"
            "interrupted does not have yet is named as missing.",
    .run = run,
};

static int run(int argc, char **argv)
{
    ecg_err err = {0};
    int n;
    const int code = opt_parse(&cmd_report, options, argc, argv, &n, 1, 1);
    if (code >= 0)
        return code;
    if (ecg_study_report(argv[1], &err))
        return tool_fail(&err);
    ecg_say(tool_watch(), "%s/report.html", argv[1]);
    return EXIT_DONE;
}
