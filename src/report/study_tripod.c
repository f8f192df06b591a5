/* SPDX-License-Identifier: MIT
 * study_tripod.c: the headings of TRIPOD+AI (Collins and others, BMJ 2024;385:e078378), each with what this study holds for it or why it holds nothing;
 * then how the study was made. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/html.h"
#include "report/study_parts.h"

/* What an item can be filled from. */
typedef enum { NOTHING, TITLE, DATA, FLOW, COUNTS, OUTCOME, PREDICTORS, SIZE, MODEL, IMBALANCE, FAIRNESS, OUTPUT, SPLIT, CODE, PERFORMANCE, SPREAD, VERDICT, LIMITS } filling;

static const struct { const char *item, *heading; filling from; const char *words; } items[] = {
    {"1", "Title", TITLE, ""},
    {"2", "Abstract", VERDICT, ""},
    {"3", "Background", NOTHING, "a matter of the article; the claim under test is that of arXiv 2512.07021"},
    {"4", "Objectives", MODEL, "To estimate what pre-training an ECG encoder against the table of the same visit adds to a model that reads the ECG alone (development and internal "
                               "validation in one study)."},
    {"5", "Data", DATA, ""},
    {"6", "Participants", FLOW, ""},
    {"7", "Data preparation", MODEL, "Recordings: 12 leads in millivolt at the contract's rate, clipped, never normalised. Table: raw values; medians of the training records fill what is missing."},
    {"8", "Outcome", OUTCOME, ""},
    {"9", "Predictors", PREDICTORS, ""},
    {"10", "Sample size", SIZE, ""},
    {"11", "Missing data", MODEL, "Unknown labels take no part in loss or score; missing table values are imputed with training medians; missing samples of a recording are padding."},
    {"12", "Analytical methods", MODEL, "Patient-disjoint folds; epochs chosen on validation; the same head, loss, epochs and selection for all rows; macro AUROC with bootstrap intervals "
                                        "and paired differences on the same resamples. All settings stand below."},
    {"13", "Class imbalance", IMBALANCE, ""},
    {"14", "Fairness", FAIRNESS, ""},
    {"15", "Model output", OUTPUT, ""},
    {"16", "Training versus evaluation", SPLIT, ""},
    {"17", "Ethical approval", NOTHING, "a matter of those who hold the data"},
    {"18", "Open science (funding, conflicts, protocol, registration, data, code)", CODE, ""},
    {"19", "Patient and public involvement", NOTHING, "no patient or member of the public took part in this run"},
    {"20", "Participants (results)", COUNTS, ""},
    {"21", "Model development", COUNTS, ""},
    {"22", "Model specification", CODE, ""},
    {"23a", "Model performance", PERFORMANCE, ""},
    {"23b", "Heterogeneity of performance", SPREAD, ""},
    {"24", "Model updating", NOTHING, "no model was updated"},
    {"25", "Interpretation", VERDICT, ""},
    {"26", "Limitations", LIMITS, ""},
    {"27", "Usability in the context of current care", NOTHING, "the models are research software and not meant for care"},
};

static void missing(ecg_text *to, const char *why)
{
    ecg_text_puts(to, "<span class=\"muted\">not reported: ");
    ecg_html_text(to, why);
    ecg_text_puts(to, "</span>");
}

static void counted(ecg_text *to, int64_t n, const char *what)
{
    ecg_html_count(to, n);
    ecg_text_printf(to, " %s", what);
}

static void put_counts(ecg_text *to, const json_t *cohort)
{
    static const char *const roles[] = {"train", "validation", "test"};
    const json_t *counts = json_object_get(cohort, "counts");
    if (!counts) {
        missing(to, "no counts by role");
        return;
    }
    for (size_t r = 0; r < 3; r++) {
        const json_t *role = json_object_get(counts, roles[r]);
        ecg_text_printf(to, "%s%s: ", r ? "; " : "", roles[r]);
        if (ecg_study_count(role, "records") < 0) {
            ecg_text_puts(to, "not reported");
            continue;
        }
        counted(to, ecg_study_count(role, "records"), "ECGs of ");
        counted(to, ecg_study_count(role, "patients"), "patients");
    }
    ecg_text_puts(to, ".");
}

static void put_sentence(ecg_text *to, const ecg_study_view *v, const char *about)
{
    size_t i;
    json_t *x;
    json_array_foreach(v->verdict, i, x)
        if (!strcmp(ecg_study_text(x, "about"), about)) {
            ecg_put_words(to, ecg_study_text(x, "text"));
            return;
        }
    missing(to, "no such figure");
}

static void put_labels(ecg_text *to, const ecg_study_view *v, const json_t *cohort)
{
    const json_t *labels = json_object_get(cohort, "labels");
    const int64_t diagnoses = ecg_study_count(labels, "diagnoses"), labs = ecg_study_count(labels, "labs");
    if (diagnoses < 0 && labs < 0) {
        missing(to, "no label counts");
        return;
    }
    if (diagnoses >= 0)
        counted(to, diagnoses, ecg_study_icd(v) ? "diagnoses (ICD-10 codes of the stay)" : "diagnoses");
    ecg_text_puts(to, diagnoses >= 0 && labs >= 0 ? "; " : "");
    if (labs >= 0)
        counted(to, labs, "laboratory abnormalities (outside the reference range)");
    ecg_text_puts(to, ". Prevalence by role: <a href=\"#cohorts\">who is in</a>.");
}

static void fill(ecg_text *to, const ecg_study_view *v, filling from, const char *words)
{
    const json_t *cohort = json_array_get(ecg_study_list(v->root, "cohorts"), 0), *test = json_object_get(json_object_get(cohort, "counts"), "test");
    const json_t *columns = json_object_get(cohort, "columns"), *ours = ecg_study_row(v, "ours_shared", "diagnoses");
    switch (from) {
    case NOTHING: missing(to, words); break;
    case TITLE: ecg_text_puts(to, "Development and internal validation of prediction models from the 12-lead ECG."); break;
    case DATA:
        if (!cohort) {
            missing(to, "no cohort is described");
            break;
        }
        ecg_text_printf(to, "%zu cohort%s%s; ", json_array_size(ecg_study_list(v->root, "cohorts")), json_array_size(ecg_study_list(v->root, "cohorts")) == 1 ? "" : "s",
                        v->synthetic ? ", synthetic" : "");
        counted(to, ecg_study_count(cohort, "records"), "ECGs of ");
        counted(to, ecg_study_count(cohort, "patients"), "patients in the first. Hashes: <a href=\"#card\">model card</a>. Dates of the recordings are not reported.");
        break;
    case FLOW:
        if (json_array_size(ecg_study_list(cohort, "attrition")))
            ecg_text_puts(to, "Inclusion and exclusion, rule by rule with counts: <a href=\"#cohorts\">who is in</a>. Treatments are not reported.");
        else
            missing(to, "the cohort holds no attrition table");
        break;
    case COUNTS: put_counts(to, cohort); break;
    case OUTCOME: put_labels(to, v, cohort); break;
    case PREDICTORS:
        ecg_text_puts(to, "The ECG. ");
        if (ecg_study_count(columns, "all") > 0) {
            counted(to, ecg_study_count(columns, "all"), "tabular columns in stage 1 and in the multimodal rows");
            if (ecg_study_count(columns, "routine") >= 0 && ecg_study_count(columns, "lab") >= 0)
                ecg_text_printf(to, " (%" PRId64 " routine, %" PRId64 " laboratory)", ecg_study_count(columns, "routine"), ecg_study_count(columns, "lab"));
            ecg_text_puts(to, "; none of them at inference of ours.");
        } else {
            ecg_text_puts(to, "The cohort has no tabular columns.");
        }
        break;
    case SIZE:
        if (ecg_study_count(test, "records") < 0) {
            missing(to, "no counts by role");
            break;
        }
        ecg_text_puts(to, "No calculation beforehand: all records there are. Test: ");
        counted(to, ecg_study_count(test, "records"), "ECGs; what they can tell apart shows in the widths of the intervals.");
        break;
    case MODEL: ecg_html_text(to, words); break;
    case IMBALANCE:
        ecg_text_puts(to, "No resampling; ");
        ecg_text_puts(to, !strcmp(ecg_study_text(json_object_get(v->root, "settings"), "finetune.gamma"), "0") || !*ecg_study_text(json_object_get(v->root, "settings"), "finetune.gamma")
                              ? "plain binary cross-entropy. AUROC and average precision are both given."
                              : "focal loss. AUROC and average precision are both given.");
        break;
    case FAIRNESS: ecg_text_puts(to, "No method was applied; performance by age, sex and ethnicity where the cohort holds them: <a href=\"#subgroups\">subgroups</a>."); break;
    case OUTPUT: ecg_text_puts(to, "One probability for each label; thresholds come from validation records only: <a href=\"#calibration\">calibration</a>."); break;
    case SPLIT:
        if (*ecg_study_text(cohort, "roles")) {
            ecg_text_puts(to, "Same source, other patients: folds ");
            ecg_html_text(to, ecg_study_text(cohort, "roles"));
            ecg_text_puts(to, ".");
        } else {
            missing(to, "no roles");
        }
        break;
    case CODE: ecg_text_puts(to, "Code, version, command and settings: <a href=\"#making\">how it was made</a>; hashes of every model: <a href=\"#card\">model card</a>. Funding, conflicts and "
                                 "registration: not reported."); break;
    case PERFORMANCE: {
        ecg_text s = {0};
        if (!ecg_study_has(ours, "auroc")) {
            missing(to, "ours has no figure");
            break;
        }
        ecg_words_span(&s, ecg_study_auroc(ours), false);
        ecg_text_puts(to, "Ours, diagnoses, macro AUROC ");
        ecg_put_words(to, s.at ? s.at : "");
        ecg_text_puts(to, "; all rows: <a href=\"#table1\">Table 1</a>; calibration and net benefit: <a href=\"#calibration\">calibration</a>.");
        ecg_text_clear(&s);
        break;
    }
    case SPREAD: put_sentence(to, v, "noise"); break;
    case VERDICT: put_sentence(to, v, "ours against signal only"); break;
    case LIMITS: ecg_text_puts(to, "See the <a href=\"#card\">model card</a>."); break;
    }
}

void ecg_put_tripod(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"Item", "Heading", "In this study"};
    ecg_put_section(to, v, "tripod", "TRIPOD+AI");
    ecg_put_table(to, v, "Headings of the TRIPOD+AI statement (BMJ 2024;385:e078378), filled where this run knows something", heads, 3);
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        ecg_text_printf(to, "<tr><th scope=\"row\">%s</th><td>%s</td><td>", items[i].item, items[i].heading);
        fill(to, v, items[i].from, items[i].words);
        ecg_text_puts(to, "</td></tr>\n");
    }
    ecg_html_table_end(to);
    ecg_text_puts(to, "</section>\n");
}

/* ---- how it was made ---------------------------------------------------------------------------------------------------------------- */

static void put_stages(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"Stage", "State", "#epochs", "#kept epoch", "#steps", "#time"};
    size_t i;
    json_t *s;
    ecg_put_table(to, v, "Stages that were trained", heads, 6);
    json_array_foreach(ecg_study_list(v->root, "stages"), i, s)
    {
        const char *why = ecg_study_text(s, "why"), *folder = ecg_study_text(s, "folder");
        ecg_html_row(to, *folder ? folder : ecg_study_text(s, "stage"));
        ecg_text_puts(to, "<td>");
        ecg_html_text(to, !strcmp(ecg_study_text(s, "status"), "done") ? "done" : ecg_study_state(s));
        if (*why) {
            ecg_text_puts(to, ": ");
            ecg_html_text(to, why);
        }
        ecg_text_puts(to, "</td>");
        ecg_put_cell(to, ecg_study_number(s, "epochs"), 0, false);
        ecg_put_cell(to, ecg_study_number(s, "best_epoch"), 0, false);
        ecg_put_cell(to, ecg_study_number(s, "steps"), 0, false);
        ecg_text_puts(to, "<td class=\"n\">");
        ecg_put_duration(to, ecg_study_number(s, "seconds"));
        ecg_text_puts(to, "</td></tr>\n");
    }
    ecg_html_table_end(to);
}

static void put_settings(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"Setting", "Value"};
    const char *key;
    json_t *value, *settings = json_object_get(v->root, "settings");
    if (!json_object_size(settings))
        return;
    ecg_text_printf(to, "<details><summary>All %zu settings</summary>\n", json_object_size(settings));
    ecg_put_table(to, v, "Settings as they were resolved; config.yaml holds them too", heads, 2);
    json_object_foreach(settings, key, value)
    {
        ecg_html_row(to, key);
        ecg_html_cell(to, json_is_string(value) ? json_string_value(value) : "?");
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
    ecg_text_puts(to, "</details>\n");
}

static void put_line(ecg_text *to, const char *what, const char *text)
{
    if (!*text)
        return;
    ecg_text_printf(to, "<dt>%s</dt><dd>", what);
    ecg_html_text(to, text);
    ecg_text_puts(to, "</dd>\n");
}

void ecg_put_making(ecg_text *to, const ecg_study_view *v)
{
    const json_t *machine = json_object_get(v->root, "machine");
    size_t i;
    json_t *note;
    ecg_put_section(to, v, "making", "How it was made");
    if (*ecg_study_text(v->root, "command")) {
        ecg_text_puts(to, "<pre><code>");
        ecg_html_text(to, ecg_study_text(v->root, "command"));
        ecg_text_puts(to, "</code></pre>\n");
    }
    ecg_text_puts(to, "<dl class=\"card\">\n");
    put_line(to, "Version", ecg_study_text(v->root, "version"));
    put_line(to, "Preset", ecg_study_text(v->root, "preset"));
    put_line(to, "Started", ecg_study_text(v->root, "started"));
    put_line(to, "Finished", *ecg_study_text(v->root, "finished") ? ecg_study_text(v->root, "finished") : "not yet");
    put_line(to, "Processor", ecg_study_text(machine, "cpu"));
    put_line(to, "Kernels", ecg_study_text(machine, "kernels"));
    put_line(to, "System", ecg_study_text(machine, "system"));
    if (ecg_study_count(machine, "threads") >= 0)
        ecg_text_printf(to, "<dt>Threads</dt><dd>%" PRId64 "</dd>\n", ecg_study_count(machine, "threads"));
    ecg_text_puts(to, "<dt>Seeds</dt><dd>");
    json_array_foreach(ecg_study_list(v->root, "seeds"), i, note)
        ecg_text_printf(to, "%s%" JSON_INTEGER_FORMAT, i ? ", " : "", json_integer_value(note));
    ecg_text_puts(to, i ? "</dd>\n<dt>Time</dt><dd>" : "not reported</dd>\n<dt>Time</dt><dd>");
    ecg_put_duration(to, ecg_study_number(v->root, "seconds"));
    ecg_text_puts(to, "</dd>\n</dl>\n");
    if (json_array_size(ecg_study_list(v->root, "notes"))) {
        ecg_text_puts(to, "<h3>Notes of the run</h3>\n<ul>\n");
        json_array_foreach(ecg_study_list(v->root, "notes"), i, note)
        {
            ecg_text_puts(to, "<li>");
            ecg_html_text(to, json_string_value(note) ? json_string_value(note) : "");
            ecg_text_puts(to, "</li>\n");
        }
        ecg_text_puts(to, "</ul>\n");
    }
    put_stages(to, v);
    put_settings(to, v);
    if (json_array_size(v->missing)) {
        ecg_text_puts(to, "<h3>Files this page would have used</h3>\n<ul>\n");
        json_array_foreach(v->missing, i, note)
        {
            ecg_text_puts(to, "<li>");
            ecg_html_text(to, json_string_value(note) ? json_string_value(note) : "");
            ecg_text_puts(to, "</li>\n");
        }
        ecg_text_puts(to, "</ul>\n");
    }
    ecg_text_puts(to, "</section>\n");
}
