/* SPDX-License-Identifier: MIT
 * study_card.c: who was in, how often what was there, and the model card. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/html.h"
#include "report/study_parts.h"

enum { TOP = 20 };

static const char *const role_names[] = {"train", "validation", "test"};

static void put_counted(ecg_text *to, int64_t n)
{
    ecg_text_puts(to, "<td class=\"n\">");
    if (n < 0)
        ecg_text_puts(to, "&#8211;");
    else
        ecg_html_count(to, n);
    ecg_text_puts(to, "</td>");
}

/* ---- cohorts ------------------------------------------------------------------------------------------------------------------------ */

static void put_attrition(ecg_text *to, const ecg_study_view *v, const json_t *cohort)
{
    static const char *const heads[] = {"Rule", "#kept", "#dropped", "kept and dropped"};
    const json_t *list = ecg_study_list(cohort, "attrition"), *first = json_array_get(list, 0);
    size_t i;
    json_t *rule;
    if (!json_array_size(list)) {
        ecg_put_absent(to, "Attrition is not reported: the cohort holds no such table.");
        return;
    }
    const double all = ecg_study_number(first, "kept") + ecg_study_number(first, "dropped");
    ecg_put_table(to, v, "Attrition: records left after each rule, in the order in which the rules were applied", heads, 4);
    json_array_foreach(list, i, rule)
    {
        const int64_t kept = ecg_study_count(rule, "kept"), dropped = ecg_study_count(rule, "dropped");
        ecg_html_row(to, ecg_study_text(rule, "step"));
        put_counted(to, kept);
        put_counted(to, dropped);
        ecg_html_cell_bar(to, all > 0 && kept > 0 ? (double)kept / all : 0, all > 0 && dropped > 0 ? (double)dropped / all : 0);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
}

static void put_share(ecg_text *to, const json_t *counts)
{
    const int64_t known = ecg_study_count(counts, "known"), positives = ecg_study_count(counts, "positives");
    if (known < 0 || positives < 0)
        ecg_text_puts(to, "<td class=\"n\">&#8211;</td>");
    else
        ecg_html_cell_share(to, positives, known);
}

static void put_prevalence_of(ecg_text *to, const ecg_study_view *v, const json_t *cohort, const char *task, const char *caption)
{
    static const char *const heads[] = {"Code", "Title", "#train: positive", "#test: positive"};
    const json_t *list = ecg_study_list(cohort, "prevalence");
    size_t i;
    json_t *label;
    int n = 0, all = 0;
    json_array_foreach(list, i, label)
        all += !strcmp(ecg_study_text(label, "task"), task);
    if (!all)
        return;
    ecg_put_table(to, v, caption, heads, 4);
    json_array_foreach(list, i, label)
    {
        if (strcmp(ecg_study_text(label, "task"), task))
            continue;
        if (n++ == TOP) {
            ecg_html_table_end(to);
            ecg_text_printf(to, "<details><summary>The other %d labels</summary>\n", all - TOP);
            ecg_put_table(to, v, caption, heads, 4);
        }
        ecg_text_puts(to, "<tr><th scope=\"row\" class=\"code\">");
        ecg_html_code(to, ecg_study_text(label, "code"));
        ecg_text_puts(to, "</th>");
        ecg_html_cell(to, ecg_study_text(label, "title"));
        put_share(to, json_object_get(label, "train"));
        put_share(to, json_object_get(label, "test"));
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
    ecg_text_puts(to, n > TOP ? "</details>\n" : "");
}

static void put_roles(ecg_text *to, const ecg_study_view *v, const json_t *cohort)
{
    static const char *const heads[] = {"Role", "#records", "#patients"};
    const json_t *counts = json_object_get(cohort, "counts"), *labelled = json_object_get(cohort, "labelled");
    ecg_put_table(to, v, "Records and patients by role; no patient is in two roles", heads, 3);
    for (size_t r = 0; r < 3; r++) {
        const json_t *role = json_object_get(counts, role_names[r]);
        ecg_html_row(to, role_names[r]);
        put_counted(to, ecg_study_count(role, "records"));
        put_counted(to, ecg_study_count(role, "patients"));
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
    const int64_t records = ecg_study_count(labelled, "records"), of = ecg_study_count(labelled, "of");
    if (records >= 0 && of >= 0) {
        ecg_text_puts(to, "<p>Diagnosis labels of ");
        ecg_html_count(to, records);
        ecg_text_puts(to, " of ");
        ecg_html_count(to, of);
        ecg_text_puts(to, records < of ? " training records were used; those of the others were hidden, by whole patients.</p>\n" : " training records were used.</p>\n");
    }
    if (json_is_boolean(json_object_get(cohort, "validation_cut")))
        ecg_text_puts(to, json_is_true(json_object_get(cohort, "validation_cut"))
                              ? "<p>Validation was cut in two by patient: one half chose the epochs, the other the thresholds.</p>\n"
                              : "<p>Validation was too small to be cut in two: the same records chose the epochs and the thresholds.</p>\n");
    if (*ecg_study_text(cohort, "roles")) {
        ecg_text_puts(to, "<p>Folds by role: <span class=\"code\">");
        ecg_html_text(to, ecg_study_text(cohort, "roles"));
        ecg_text_puts(to, "</span>.</p>\n");
    }
}

/* Notes of the run that begin with "cohort 2: ". */
static void put_notes(ecg_text *to, const ecg_study_view *v, size_t cohort)
{
    char begin[32];
    const int len = snprintf(begin, sizeof begin, "cohort %zu: ", cohort + 1);
    size_t i;
    json_t *note;
    json_array_foreach(ecg_study_list(v->root, "notes"), i, note)
    {
        const char *text = json_string_value(note) ? json_string_value(note) : "";
        if (strncmp(text, begin, (size_t)len))
            continue;
        ecg_text_puts(to, "<p>Note: ");
        ecg_html_text(to, text + len);
        ecg_text_puts(to, ".</p>\n");
    }
}

void ecg_put_cohorts(ecg_text *to, const ecg_study_view *v)
{
    const json_t *cohorts = ecg_study_list(v->root, "cohorts");
    size_t i;
    json_t *c;
    ecg_put_section(to, v, "cohorts", "Who is in");
    if (!json_array_size(cohorts))
        ecg_put_absent(to, "Not reported: results.json describes no cohort.");
    json_array_foreach(cohorts, i, c)
    {
        ecg_text_puts(to, "<h3>");
        ecg_html_text(to, *ecg_study_text(c, "file") ? ecg_study_text(c, "file") : "cohort");
        ecg_text_puts(to, "</h3>\n");
        put_attrition(to, v, c);
        put_roles(to, v, c);
        put_notes(to, v, i);
        if (i == 0 || json_array_size(cohorts) <= 3) {
            if (json_array_size(ecg_study_list(c, "prevalence"))) {
                put_prevalence_of(to, v, c, "diagnoses", "Prevalence of the diagnoses among records whose label is known");
                put_prevalence_of(to, v, c, "labs", "Prevalence of the laboratory abnormalities among records with a result");
            } else {
                ecg_put_absent(to, "Prevalence is not reported.");
            }
        }
    }
    ecg_text_puts(to, "</section>\n");
}

/* ---- the model card ----------------------------------------------------------------------------------------------------------------- */

static void put_item(ecg_text *to, const char *what)
{
    ecg_text_puts(to, "</dd>\n<dt>");
    ecg_html_text(to, what);
    ecg_text_puts(to, "</dt><dd>");
}

static void put_data(ecg_text *to, const ecg_study_view *v)
{
    size_t i;
    json_t *c;
    json_array_foreach(ecg_study_list(v->root, "cohorts"), i, c)
    {
        const json_t *labels = json_object_get(c, "labels"), *columns = json_object_get(c, "columns");
        ecg_text_puts(to, "<p>");
        ecg_html_text(to, *ecg_study_text(c, "file") ? ecg_study_text(c, "file") : "a cohort without a name");
        ecg_text_puts(to, ": ");
        ecg_html_count(to, ecg_study_count(c, "records"));
        ecg_text_puts(to, " ECGs of ");
        ecg_html_count(to, ecg_study_count(c, "patients"));
        ecg_text_puts(to, " patients");
        if (ecg_study_count(labels, "diagnoses") >= 0 && ecg_study_count(labels, "labs") >= 0)
            ecg_text_printf(to, "; %" PRId64 " diagnoses, %" PRId64 " laboratory abnormalities", ecg_study_count(labels, "diagnoses"), ecg_study_count(labels, "labs"));
        if (ecg_study_count(columns, "all") >= 0)
            ecg_text_printf(to, ", %" PRId64 " tabular columns", ecg_study_count(columns, "all"));
        ecg_text_puts(to, json_is_true(json_object_get(c, "synthetic")) ? "; synthetic: these patients never lived" : "");
        ecg_text_puts(to, ".</p>");
    }
    if (!json_array_size(ecg_study_list(v->root, "cohorts")))
        ecg_text_puts(to, "not reported");
}

static void put_limits(ecg_text *to, const ecg_study_view *v)
{
    const size_t cohorts = json_array_size(ecg_study_list(v->root, "cohorts"));
    ecg_text_puts(to, "<ul>\n");
    if (v->synthetic)
        ecg_text_puts(to, "<li>Trained and tested on generated data: no figure on this page says anything of real patients.</li>\n");
    ecg_text_puts(to, "<li>Tested on records of the same source as those it was trained on: no external validation.</li>\n");
    ecg_text_printf(to, "<li>%zu cohort%s: what changes between hospitals, devices and years is not known.</li>\n", cohorts, cohorts == 1 ? "" : "s");
    ecg_text_puts(to, ecg_study_icd(v) ? "<li>Diagnosis labels are billing codes of the stay, not read from the ECG.</li>\n" :
                                     "<li>Diagnosis labels are those of the cohort: who gave them, and from what, its source says.</li>\n");
    if (!ecg_study_without(v, "labs"))
        ecg_text_puts(to, "<li>Laboratory labels exist only where a test was ordered.</li>\n");
    ecg_text_puts(to, "<li>Many labels are compared at once; figures of single labels are noisy.</li>\n"
                      "<li>Probabilities are not recalibrated for any place of use.</li>\n");
    if (json_is_false(json_object_get(v->root, "complete")))
        ecg_text_puts(to, "<li>The study is not complete.</li>\n");
    ecg_text_puts(to, "</ul>");
}

static void put_hashes(ecg_text *to, const ecg_study_view *v)
{
    static const char *const heads[] = {"What", "SHA-256"};
    size_t i;
    json_t *x;
    ecg_put_table(to, v, "Hashes: cohorts, settings, models", heads, 2);
    json_array_foreach(ecg_study_list(v->root, "cohorts"), i, x)
    {
        ecg_html_row(to, ecg_study_text(x, "file"));
        ecg_text_puts(to, "<td class=\"hash\">");
        ecg_html_text(to, ecg_study_text(x, "hash"));
        ecg_text_puts(to, "</td></tr>\n");
    }
    ecg_html_row(to, "settings (config.yaml)");
    ecg_text_puts(to, "<td class=\"hash\">");
    ecg_html_text(to, *ecg_study_text(v->root, "settings_hash") ? ecg_study_text(v->root, "settings_hash") : "not reported");
    ecg_text_puts(to, "</td></tr>\n");
    json_array_foreach(ecg_study_list(v->root, "stages"), i, x)
    {
        if (!*ecg_study_text(x, "model_hash"))
            continue;
        ecg_text_puts(to, "<tr><th scope=\"row\">");
        ecg_html_text(to, ecg_study_text(x, "folder"));
        ecg_text_puts(to, "/model.safetensors</th><td class=\"hash\">");
        ecg_html_text(to, ecg_study_text(x, "model_hash"));
        ecg_text_puts(to, "</td></tr>\n");
    }
    ecg_html_table_end(to);
}

void ecg_put_card(ecg_text *to, const ecg_study_view *v)
{
    const json_t *ours = ecg_study_row(v, "ours_shared", "diagnoses"), *labs = ecg_study_row(v, "ours_shared", "labs");
    ecg_text words = {0};
    ecg_put_section(to, v, "card", "Model card");
    ecg_text_puts(to, "<dl class=\"card\">\n<dt>Model</dt><dd>A 12-lead ECG encoder with two heads, pre-trained to agree with the table of the same visit, then fine-tuned for "
                      "diagnoses and for laboratory abnormalities; at inference it reads the ECG alone.");
    put_item(to, "Intended use");
    ecg_text_puts(to, "Research on transfer of clinical knowledge into ECG representations: comparing training methods on one cohort. " ECG_STATEMENT);
    put_item(to, "Not for");
    ecg_text_puts(to, "Diagnosis, treatment, triage or monitoring of any person; records of other devices, rates or populations without validation there; ruling out a condition.");
    put_item(to, "Data");
    put_data(to, v);
    put_item(to, "Performance");
    ecg_text_puts(to, "Macro AUROC on the test fold: diagnoses ");
    ecg_words_span(&words, ecg_study_has(ours, "auroc") ? ecg_study_auroc(ours) : (ecg_span){NAN, NAN, NAN}, false);
    if (ecg_study_has(labs, "auroc")) {
        ecg_text_puts(&words, ", labs ");
        ecg_words_span(&words, ecg_study_auroc(labs), false);
    }
    ecg_put_words(to, words.at ? words.at : "");
    ecg_text_clear(&words);
    ecg_text_puts(to, ". By label, subgroup and calibration: <a href=\"#labels\">label by label</a>, <a href=\"#subgroups\">subgroups</a>, <a href=\"#calibration\">calibration</a>.");
    put_item(to, "Limits");
    put_limits(to, v);
    put_item(to, "Licence");
    ecg_text_puts(to, "Code: MIT. Weights and tables follow the terms of the data they were made from.");
    ecg_text_puts(to, "</dd>\n</dl>\n");
    put_hashes(to, v);
    ecg_text_puts(to, "</section>\n");
}
