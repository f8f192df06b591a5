/* SPDX-License-Identifier: MIT
 * cmd_cohort.c: ecgraft cohort build | describe | check | export. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cohort/build.h"
#include "cohort/check.h"
#include "cohort/export.h"
#include "opt.h"
#include "report/cohort_page.h"

static struct {
    ecg_build_sources from;
    ecg_table_columns table;
    const char *output, *roles, *max_failures, *labels, *families, *ranges, *protocol, *lab_rows, *html, *csv;
    int64_t rate, min_count, min_labs;
    double offset_minutes;
    bool keep_uncoded, masks, no_waveforms, fresh, json, all, signal, gzip, force;
} o = {.rate = 100};

static const option options[] = {
    {"mimic", 0, OPT_TEXT, &o.from.mimic, "DIR", "build: folder with the modules of MIMIC-IV somewhere below it, or what synth wrote"},
    {"ecg", 0, OPT_TEXT, &o.from.ecg, "DIR|ZIP", "build: MIMIC-IV-ECG, unpacked or the released archive"},
    {"hosp", 0, OPT_TEXT, &o.from.hosp, "DIR", "build: module hosp of MIMIC-IV"},
    {"icu", 0, OPT_TEXT, &o.from.icu, "DIR", "build: module icu of MIMIC-IV"},
    {"ed", 0, OPT_TEXT, &o.from.ed, "DIR", "build: MIMIC-IV-ED"},
    {"icd", 0, OPT_TEXT, &o.from.icd, "DIR|FILE", "build: records_w_diag_icd10.csv, the published codes and folds"},
    {"mdsed", 0, OPT_TEXT, &o.from.mdsed, "DIR|FILE", "build: the published mds_ed.csv; recordings from --ecg"},
    {"ptbxl", 0, OPT_TEXT, &o.from.ptbxl, "DIR", "build: PTB-XL (ptbxl_database.csv, scp_statements.csv, records100)"},
    {"folder", 0, OPT_TEXT, &o.from.folder, "DIR", "build: recordings of any hospital; with --table"},
    {"table", 0, OPT_TEXT, &o.from.table, "FILE", "build --folder: the table with a row for each recording"},
    {"columns", 0, OPT_TEXT, &o.table.columns, "LIST", "build --folder: what the table calls them, like id=ecg_id,path=file,patient=pid,fold=split"},
    {"tabular", 0, OPT_TEXT, &o.table.tabular, "LIST", "build --folder: input columns, by name"},
    {"label-columns", 0, OPT_TEXT, &o.table.labels, "LIST", "build --folder: label columns, by name"},
    {"output", 'o', OPT_TEXT, &o.output, "FILE|DIR", "build: the cohort file; export: the folder"},
    {"roles", 0, OPT_TEXT, &o.roles, "TEXT", "build: folds of each role, like train:0-17,validation:18,test:19"},
    {"rate", 0, OPT_INT, &o.rate, "HZ", "build --ptbxl: read the recordings of 100 or of 500 Hz (100)"},
    {"min-count", 0, OPT_INT, &o.min_count, "N", "build: keep diagnoses with so many positives (MIMIC 40, PTB-XL 10)"},
    {"min-labs", 0, OPT_INT, &o.min_labs, "N", "build: keep lab labels with so many positives and negatives in training, N/4 in validation (40)"},
    {"labels", 0, OPT_TEXT, &o.labels, "counted|mdsed", "build: diagnoses that are frequent enough, or the published list of 1,428 (counted)"},
    {"lab-families", 0, OPT_TEXT, &o.families, "LIST", "build: est (within 60 min), mon30, mon60, mon120 (in the minutes after) (est)"},
    {"ranges", 0, OPT_TEXT, &o.ranges, "row|median|train-median", "build: reference ranges of lab labels (row; a row without one: train-median)"},
    {"protocol", 0, OPT_TEXT, &o.protocol, "paper", "build: published lab labels: median ranges, 200 rows a test, 10 of each class in validation and test"},
    {"masks", 0, OPT_FLAG, &o.masks, NULL, "build: a column for each that can be missing, 1 where it is"},
    {"offset-minutes", 0, OPT_NUMBER, &o.offset_minutes, "N", "build: add so much to every recording's clock before linking"},
    {"lab-rows", 0, OPT_TEXT, &o.lab_rows, "FILE", "build: low, normal or high for every laboratory row, as a table"},
    {"keep-uncoded", 0, OPT_FLAG, &o.keep_uncoded, NULL, "build: keep recordings without any code, diagnoses unknown"},
    {"no-waveforms", 0, OPT_FLAG, &o.no_waveforms, NULL, "build: tables alone, recordings need not be there"},
    {"fresh", 0, OPT_FLAG, &o.fresh, NULL, "build: start over instead of going on with an interrupted build"},
    {"max-failures", 0, OPT_TEXT, &o.max_failures, "N|N%", "build: stop when more recordings are absent or unreadable (default: 1% unreadable; absent ones are only counted)"},
    {"json", 0, OPT_FLAG, &o.json, NULL, "describe, check: machine-readable"},
    {"all", 0, OPT_FLAG, &o.all, NULL, "describe: every label and every column"},
    {"html", 0, OPT_TEXT, &o.html, "FILE", "describe: also as a page"},
    {"csv", 0, OPT_TEXT, &o.csv, "DIR", "describe: also as tables"},
    {"signal", 0, OPT_FLAG, &o.signal, NULL, "export: also signal.npy, float32 (records, samples, leads)"},
    {"gzip", 0, OPT_FLAG, &o.gzip, NULL, "export: tables as .csv.gz"},
    {"force", 0, OPT_FLAG, &o.force, NULL, "export: into a folder that holds files already"},
    {0},
};

typedef ecg_status build_function(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

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

/* The last part of a path: a command in the metadata names no place of this machine. */
static const char *last_part(char out[256], const char *path)
{
    snprintf(out, 256, "%s", path);
    for (size_t len = strlen(out); len > 1 && out[len - 1] == '/'; len--)
        out[len - 1] = 0;
    const char *slash = strrchr(out, '/');
    return slash && slash[1] ? slash + 1 : out;
}

/* What decides the content, spelled the same however it was typed; neither the output's name nor the number of threads belongs to it. */
static void spell_command(ecg_text *t, const ecg_build_options *b)
{
    const struct { const char *name, *value; bool is_path; } texts[] = {
        {"mimic", b->from.mimic, true}, {"ecg", b->from.ecg, true}, {"hosp", b->from.hosp, true}, {"icu", b->from.icu, true}, {"ed", b->from.ed, true},
        {"icd", b->from.icd, true}, {"mdsed", b->from.mdsed, true}, {"ptbxl", b->from.ptbxl, true}, {"folder", b->from.folder, true},
        {"table", b->from.table, true}, {"columns", b->table.columns, false}, {"tabular", b->table.tabular, false},
        {"label-columns", b->table.labels, false}, {"roles", b->roles, false}, {"labels", o.labels, false}, {"lab-families", o.families, false},
        {"ranges", o.ranges, false}, {"protocol", o.protocol, false},
    };
    char name[256];
    ecg_text_puts(t, "ecgraft cohort build");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].value)
            ecg_text_printf(t, " --%s %s", texts[i].name, texts[i].is_path ? last_part(name, texts[i].value) : texts[i].value);
    if (b->from.ptbxl)
        ecg_text_printf(t, " --rate %d", b->rate_hz);
    if (b->min_count)
        ecg_text_printf(t, " --min-count %" PRId64, b->min_count);
    if (b->min_labs)
        ecg_text_printf(t, " --min-labs %" PRId64, b->min_labs);
    if (b->offset_minutes != 0)
        ecg_text_printf(t, " --offset-minutes %.9g", b->offset_minutes);
    ecg_text_printf(t, "%s%s%s --seed %" PRIu32, b->keep_uncoded ? " --keep-uncoded" : "", b->masks ? " --masks" : "", b->no_waveforms ? " --no-waveforms" : "",
                    b->seed);
}

/* "est,mon60" -> bits; 0: something else is in it. */
static unsigned parse_families(const char *text)
{
    static const char *const names[] = {"est", "mon30", "mon60", "mon120"};
    unsigned families = 0;
    for (const char *at = text; at;) {
        const size_t len = strcspn(at, ",");
        unsigned bit = 0;
        for (unsigned i = 0; i < 4; i++)
            if (strlen(names[i]) == len && !memcmp(at, names[i], len))
                bit = 1u << i;
        if (!bit)
            return 0;
        families |= bit;
        at = at[len] ? at + len + 1 : NULL;
    }
    return families;
}

/* -1: go on; else the exit code. */
static int parse_labels(ecg_build_options *b)
{
    const char *ranges = o.ranges ? o.ranges : o.protocol ? "median" : "row";
    if (o.protocol && strcmp(o.protocol, "paper"))
        return tool_usage(&cmd_cohort, "--protocol takes paper, not \"%s\"", o.protocol);
    if (o.labels && strcmp(o.labels, "counted") && strcmp(o.labels, "mdsed"))
        return tool_usage(&cmd_cohort, "--labels takes counted or mdsed, not \"%s\"", o.labels);
    if (o.families && !parse_families(o.families))
        return tool_usage(&cmd_cohort, "--lab-families takes a list of est, mon30, mon60 and mon120, not \"%s\"", o.families);
    if (strcmp(ranges, "row") && strcmp(ranges, "median") && strcmp(ranges, "train-median"))
        return tool_usage(&cmd_cohort, "--ranges takes row, median or train-median, not \"%s\"", ranges);
    b->paper = o.protocol != NULL;
    b->mdsed_labels = o.labels && !strcmp(o.labels, "mdsed");
    b->lab_families = o.families ? parse_families(o.families) : 0;
    b->ranges = !strcmp(ranges, "row") ? ECG_RANGES_ROW : !strcmp(ranges, "median") ? ECG_RANGES_MEDIAN : ECG_RANGES_TRAIN_MEDIAN;
    return -1;
}

/* NULL: not one source, but none or several. */
static build_function *choose_source(void)
{
    const ecg_build_sources *f = &o.from;
    const bool modules = f->mimic || f->icu || f->ed || f->icd || ((f->ecg || f->hosp) && !f->mdsed);
    const int kinds = modules + (f->mdsed != NULL) + (f->ptbxl != NULL) + (f->folder != NULL);
    if (kinds != 1)
        return NULL;
    return modules ? ecg_cohort_build_mimic : f->mdsed ? ecg_cohort_build_mdsed : f->ptbxl ? ecg_cohort_build_ptbxl
           : f->table ? ecg_cohort_build_folder : ecg_cohort_build_exported;
}

/* What the command line says, checked. -1: go on; else the exit code. */
static int parse_build(ecg_build_options *b)
{
    *b = (ecg_build_options){.from = o.from, .table = o.table, .output = o.output, .roles = o.roles, .rate_hz = (int)o.rate, .min_count = o.min_count,
                             .min_labs = o.min_labs, .keep_uncoded = o.keep_uncoded, .masks = o.masks, .offset_minutes = o.offset_minutes,
                             .lab_rows = o.lab_rows, .no_waveforms = o.no_waveforms, .fresh = o.fresh, .max_failures = -1, .seed = (uint32_t)common.seed};
    if (!choose_source())
        return tool_usage(&cmd_cohort, "cohort build takes one source: the modules of MIMIC-IV (--mimic, --ecg, --hosp, --icu, --ed, --icd), --mdsed with --ecg and --hosp, --ptbxl, or --folder with --table");
    if (!o.from.folder != !o.from.table && !(o.from.folder && ecg_is_exported(o.from.folder)))
        return tool_usage(&cmd_cohort, "--folder and --table go together, unless the folder is one of cohort export");
    if (!o.output)
        return tool_usage(&cmd_cohort, "cohort build needs -o FILE");
    if (o.from.ptbxl && o.rate != 100 && o.rate != 500)
        return tool_usage(&cmd_cohort, "--rate %" PRId64 ": PTB-XL has recordings at 100 and at 500 Hz", o.rate);
    if (o.min_count < 0 || o.min_labs < 0)
        return tool_usage(&cmd_cohort, "--min-count and --min-labs take numbers above 0");
    if (!(o.offset_minutes > -1e6 && o.offset_minutes < 1e6))
        return tool_usage(&cmd_cohort, "--offset-minutes %g is beyond a million", o.offset_minutes);
    if (o.max_failures && !parse_failures(b, o.max_failures))
        return tool_usage(&cmd_cohort, "--max-failures takes a number or a percentage, not \"%s\"", o.max_failures);
    ecg_roles checked;
    ecg_err err = {0};
    if (o.roles && ecg_roles_parse(&checked, o.roles, &err))
        return tool_usage(&cmd_cohort, "%s", err.msg);
    return parse_labels(b);
}

static int build(void)
{
    ecg_build_result result = {0};
    ecg_build_options b;
    ecg_err err = {0};
    const int code = parse_build(&b);
    if (code >= 0)
        return code;
    ecg_text command_line = {0};
    spell_command(&command_line, &b);
    b.command = command_line.at ? command_line.at : "";
    ecg_pool *pool = ecg_pool_new((int)common.threads);
    const ecg_status st = choose_source()(&result, &b, pool, tool_watch(), &err);
    ecg_pool_free(pool);
    ecg_text_clear(&command_line);
    if (result.synthetic && !common.quiet)
        tool_synthetic_note();
    if (result.absent + result.broken)
        ecg_say(tool_watch(), "%" PRId64 " recordings are not in the folder, %" PRId64 " could not be used; %s lists them", result.absent, result.broken,
                result.failures);
    if (st == ECG_EARG) {
        char text[1024];
        ecg_err_text(text, sizeof text, &err);
        return tool_usage(&cmd_cohort, "%s", text);
    }
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
    ecg_text text = {0}, page = {0};
    ecg_status st = ecg_cohort_open(&c, path, &err);
    if (!st)
        st = ecg_cohort_summarise(&s, &c, &err);
    if (!st && o.html && !(st = ecg_cohort_page(&page, &c, &s, &err)))
        st = ecg_file_write_whole(o.html, page.at, page.len, &err);
    if (!st && o.csv)
        st = ecg_cohort_page_tables(o.csv, &c, &s, &err);
    if (!st)
        st = o.json ? ecg_cohort_summary_json(&text, &c, &s, &err) : ecg_cohort_summary_text(&text, &c, &s, o.all, &err);
    if (!st && fputs(text.at, stdout) == EOF)
        st = ecg_fail_errno(&err, "stdout", "cannot write");
    const bool leak = !st && s.patients_in_two_folds;
    ecg_text_clear(&text);
    ecg_text_clear(&page);
    ecg_cohort_summary_clear(&s);
    ecg_cohort_close(&c);
    if (st)
        return tool_fail(&err);
    return leak ? EXIT_FAILED : EXIT_DONE;
}

static int check(const char *path)
{
    ecg_err err = {0};
    ecg_checks checks = {0};
    ecg_text text = {0};
    ecg_pool *pool = ecg_pool_new((int)common.threads);
    ecg_status st = ecg_cohort_check(&checks, path, pool, tool_watch(), &err);
    ecg_pool_free(pool);
    if (!st)
        st = o.json ? ecg_checks_json(&text, &checks, path, &err) : ecg_checks_text(&text, &checks, path, &err);
    if (!st && fputs(text.at, stdout) == EOF)
        st = ecg_fail_errno(&err, "stdout", "cannot write");
    const bool wrong = checks.wrong > 0;
    ecg_text_clear(&text);
    ecg_checks_clear(&checks);
    if (st)
        return tool_fail(&err);
    return wrong ? EXIT_FAILED : EXIT_DONE;
}

static int export(const char *path)
{
    ecg_err err = {0};
    ecg_cohort c;
    const ecg_export_options how = {.signal = o.signal, .gzip = o.gzip, .force = o.force};
    if (!o.output)
        return tool_usage(&cmd_cohort, "cohort export needs -o DIR");
    ecg_status st = ecg_cohort_open(&c, path, &err);
    if (!st)
        st = ecg_cohort_export(&c, o.output, &how, tool_watch(), &err);
    if (!st && c.synthetic && !common.quiet)
        tool_synthetic_note();
    ecg_cohort_close(&c);
    return st ? tool_fail(&err) : EXIT_DONE;
}

static int run(int argc, char **argv)
{
    int n;
    const int code = opt_parse(&cmd_cohort, options, argc, argv, &n, 1, 2);
    if (code >= 0)
        return code;
    if (common.seed > UINT32_MAX)
        return tool_usage(&cmd_cohort, "--seed %" PRId64 ": the published fold generator takes at most %" PRIu32, common.seed, UINT32_MAX);
    static const struct { const char *name; int (*run)(const char *path); } verbs[] = {{"describe", describe}, {"check", check}, {"export", export}};
    if (!strcmp(argv[1], "build"))
        return n > 1 ? tool_usage(&cmd_cohort, "cohort build takes no %s; the file is named with -o", argv[2]) : build();
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(argv[1], verbs[i].name))
            return n < 2 ? tool_usage(&cmd_cohort, "cohort %s takes a cohort file", argv[1]) : verbs[i].run(argv[2]);
    return tool_usage(&cmd_cohort, "\"%s\" is none of build, describe, check, export", argv[1]);
}

const command cmd_cohort = {
    .name = "cohort",
    .summary = "Tables and recordings into one cohort file, and what is in it",
    .usage = "build SOURCE... -o FILE | describe FILE | check FILE | export FILE -o DIR",
    .example = "ecgraft cohort build --ptbxl ptb-xl -o ptbxl.cohort; ecgraft cohort describe ptbxl.cohort",
    .more = "Recordings that are absent or unreadable are counted, listed in FILE.failures.csv and left out (exit code 3).",
    .run = run,
};
