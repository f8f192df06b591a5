/* SPDX-License-Identifier: MIT
 * The study page on an invented study (test/report/study): as it is, with every part taken away or made something else, with hostile words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "report/page_check.h"
#include "report/study_page.h"

#define FIXTURE "test/report/study"
static const char *const files[] = {"results.json", "labels.csv", "signal/diagnoses/evaluation.json", "signal/diagnoses/reliability.diagnoses.test.csv",
                                    "ours/diagnoses/evaluation.json", "ours/diagnoses/reliability.diagnoses.test.csv", "ours/labs_shared/evaluation.json",
                                    "ours/labs_shared/reliability.labs.test.csv"};
enum { FILES = sizeof files / sizeof *files };
static char run[64];

static char *slurp(const char *folder, const char *name)
{
    char path[600];
    ecg_bytes b;
    ecg_err err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (ecg_file_read(&b, path, &err))
        fail_msg("%s: %s", path, err.msg);
    char *text = malloc(b.len + 1);
    assert_non_null(text);
    memcpy(text, b.at ? (const char *)b.at : "", b.len);
    text[b.len] = 0;
    ecg_bytes_free(&b);
    return text;
}

static void put(const char *name, const char *text)
{
    char path[600];
    ecg_err err = {0};
    snprintf(path, sizeof path, "%s/%s", run, name);
    *strrchr(path, '/') = 0;
    assert_int_equal(ecg_make_folders(path, &err), ECG_OK);
    snprintf(path, sizeof path, "%s/%s", run, name);
    if (ecg_file_write_whole(path, text, strlen(text), &err))
        fail_msg("%s: %s", path, err.msg);
}

static void without(const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", run, name);
    unlink(path);
}

static int begin(void **state)
{
    (void)state;
    snprintf(run, sizeof run, "%s/ecgraft-report-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm"); /* every report is synced to its disk */
    if (!mkdtemp(run))
        return -1;
    for (int i = 0; i < FILES; i++) {
        char *text = slurp(FIXTURE, files[i]);
        put(files[i], text);
        free(text);
    }
    return 0;
}

static int end(void **state)
{
    static const char *const folders[] = {"signal/diagnoses", "signal", "ours/diagnoses", "ours/labs_shared", "ours", "."};
    char path[600];
    (void)state;
    for (int i = 0; i < FILES; i++)
        without(files[i]);
    without("report.html");
    without("report.md");
    without("report.json");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", run, folders[i]);
        rmdir(strcmp(folders[i], ".") ? path : run);
    }
    return 0;
}

static json_t *results(void)
{
    json_t *root = json_load_file(FIXTURE "/results.json", 0, NULL);
    assert_non_null(root);
    return root;
}

static void put_json(const char *name, const json_t *root)
{
    char *text = json_dumps(root, JSON_INDENT(1));
    assert_non_null(text);
    put(name, text);
    free(text);
}

/* The page of results that are as given; checked for form. */
static char *page_of(const char *why, const json_t *root)
{
    ecg_err err = {0};
    if (root)
        put_json("results.json", root);
    if (ecg_study_report(run, &err))
        fail_msg("%s: line %d: %s", why, (int)err.line, err.msg);
    char *page = slurp(run, "report.html");
    check_page(why, page);
    return page;
}

/* ---- the study as it is --------------------------------------------------------------------------------------------------------- */

static int count(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

static void page_is_whole(void **state)
{
    (void)state;
    static const char *const always[] = {"0.768", "0.795", "0.826", "0.701", "0.762", "I48.91", "Synthetic cohort.", "TRIPOD+AI", "Model card", "not reported: ",
                                         "The interval lies above zero", "The gain goes when pairs are shuffled", "failed<small>the loss diverged at step 88 of 2,500",
                                         "not asked for<small>--baselines published was not given", "fewer patients than may be shown"};
    char *page = page_of("as it is", NULL);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (!strstr(page, always[i]))
            fail_msg("the page lacks: %s", always[i]);
    assert_int_equal(count(page, "<table"), count(page, "<caption>"));
    assert_int_equal(count(page, "role=\"img\""), count(page, "<title>") - 1); /* and the page's own */
    assert_int_equal(count(page, "role=\"img\""), count(page, "<desc>"));
    assert_true(count(page, "role=\"img\"") >= 12);
    assert_int_equal(count(page, "<svg"), count(page, "aria-hidden=\"true\"") + count(page, "role=\"img\"") + count(page, "<svg x="));
    assert_int_equal(count(page, "<h1>"), 1);
    assert_int_equal(count(page, "<h2>"), count(page, "synthetic cohort</small></h2>")); /* wherever there are numbers */
    assert_int_equal(count(page, "<caption>"), count(page, "Synthetic cohort.</caption>"));
    for (const char *link = page; (link = strstr(link, "href=\"#")); link++) { /* links lead somewhere */
        char id[64];
        snprintf(id, sizeof id, "<section id=\"%.*s\"", (int)strcspn(link + 7, "\""), link + 7);
        assert_non_null(strstr(page, id));
    }
    int level = 1; /* no heading is skipped */
    for (const char *h = page; (h = strstr(h, "<h")); h++)
        if (h[2] >= '1' && h[2] <= '6') {
            assert_true(h[2] - '0' <= level + 1);
            level = h[2] - '0';
        }
    free(page);
}

static void markdown_is_golden(void **state)
{
    (void)state;
    free(page_of("markdown", NULL));
    char *is = slurp(run, "report.md"), *should = slurp("test/report/golden", "study.md");
    assert_string_equal(is, should);
    free(is);
    free(should);
}

static bool is_share(const json_t *x)
{
    return json_is_number(x) && json_number_value(x) >= 0 && json_number_value(x) <= 1;
}

static void json_is_as_described(void **state)
{
    (void)state;
    static const struct { const char *row, *task; double paper; } papers[] = {{"signal", "diagnoses", 0.768}, {"multi", "diagnoses", 0.826}, {"multi_labs", "labs", 0.762},
                                                                                {"ours_shared", "diagnoses", 0.795}, {"ours_shared", "labs", 0.701}};
    free(page_of("json", NULL));
    char *text = slurp(run, "report.json");
    json_t *j = json_loads(text, 0, NULL), *row, *in = results();
    size_t i, found = 0;
    assert_string_equal(json_string_value(json_object_get(j, "schema")), "ecgraft.report/1");
    assert_string_equal(json_string_value(json_object_get(j, "statement")), ECG_STATEMENT);
    assert_true(json_is_true(json_object_get(j, "synthetic")));
    assert_int_equal(json_array_size(json_object_get(j, "rows")), json_array_size(json_object_get(in, "rows")));
    assert_int_equal(json_array_size(json_object_get(j, "differences")), json_array_size(json_object_get(in, "differences")));
    assert_int_equal(json_array_size(json_object_get(j, "controls")), 4);
    json_array_foreach(json_object_get(j, "rows"), i, row)
    {
        const json_t *from = json_array_get(json_object_get(in, "rows"), i);
        const char *name = json_string_value(json_object_get(row, "row")), *task = json_string_value(json_object_get(row, "task"));
        const bool done = !strcmp(json_string_value(json_object_get(row, "status")), "done");
        assert_true(json_equal(json_object_get(row, "row"), json_object_get(from, "row")));
        assert_true(!strcmp(task, "diagnoses") || !strcmp(task, "labs"));
        assert_true(done ? is_share(json_object_get(row, "auroc")) : json_is_null(json_object_get(row, "auroc")) && json_is_string(json_object_get(row, "why")));
        assert_true(json_equal(json_object_get(row, "auroc"), json_object_get(from, "auroc")));
        assert_true(json_equal(json_object_get(row, "lo"), json_object_get(from, "lo")) && json_equal(json_object_get(row, "hi"), json_object_get(from, "hi")));
        for (size_t k = 0; k < sizeof papers / sizeof *papers; k++)
            if (!strcmp(name, papers[k].row) && !strcmp(task, papers[k].task)) {
                assert_true(json_number_value(json_object_get(row, "paper")) == papers[k].paper);
                found++;
            }
    }
    assert_int_equal(found, sizeof papers / sizeof *papers);
    json_decref(j);
    json_decref(in);
    free(text);
}

/* ---- sentences ------------------------------------------------------------------------------------------------------------------ */

static void set_difference(json_t *root, const char *a, const char *b, const char *task, const double d[3])
{
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(root, "differences"), i, x)
        if (!strcmp(json_string_value(json_object_get(x, "a")), a) && !strcmp(json_string_value(json_object_get(x, "b")), b) &&
            !strcmp(json_string_value(json_object_get(x, "task")), task)) {
            json_object_set_new(x, "difference", json_real(d[0]));
            json_object_set_new(x, "lo", json_real(d[1]));
            json_object_set_new(x, "hi", json_real(d[2]));
            return;
        }
    fail_msg("no difference %s minus %s", a, b);
}

static void sentences_follow_the_numbers(void **state)
{
    (void)state;
    static const struct { const char *why; double ours[3], shuffled[3]; const char *says, *never; } cases[] = {
        {"a gain that goes", {0.015, 0.006, 0.024}, {-0.002, -0.01, 0.006}, "The gain goes when pairs are shuffled", "small or absent on this cohort.\n- 'Ours, shuffled"},
        {"a gain that stays", {0.015, 0.006, 0.024}, {0.012, 0.004, 0.02}, "A gain remains with shuffled pairs", "The gain goes"},
        {"a control too wide to tell", {0.015, 0.006, 0.024}, {0.004, -0.01, 0.02}, "would also hold a gain as large", "The gain goes"},
        {"zero inside", {0.004, -0.003, 0.011}, {0.001, -0.01, 0.006}, "includes zero: the effect is small or absent on this cohort", "helps on this cohort"},
        {"zero at the edge", {0.004, 0, 0.011}, {0.001, -0.01, 0.006}, "includes zero: the effect is small or absent on this cohort", "helps on this cohort"},
        {"no gain to take away", {0.004, -0.003, 0.011}, {0.001, -0.01, 0.006}, "the control decides nothing here", "The gain goes"},
        {"harm", {-0.01, -0.02, -0.002}, {0.001, -0.01, 0.006}, "does harm on this cohort", "helps on this cohort"},
        {"no control", {0.015, 0.006, 0.024}, {NAN, NAN, NAN}, "remains open", "The gain goes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *root = results();
        set_difference(root, "ours_shared", "signal", "diagnoses", cases[i].ours);
        if (!isnan(cases[i].shuffled[0]))
            set_difference(root, "shuffled", "signal", "diagnoses", cases[i].shuffled);
        else
            json_object_set_new(root, "differences", json_pack("[O]", json_array_get(json_object_get(root, "differences"), 0)));
        free(page_of(cases[i].why, root));
        char *md = slurp(run, "report.md");
        if (!strstr(md, cases[i].says))
            fail_msg("%s: nothing says \"%s\"", cases[i].why, cases[i].says);
        if (strstr(md, cases[i].never))
            fail_msg("%s: something says \"%s\"", cases[i].why, cases[i].never);
        free(md);
        json_decref(root);
    }
}

static json_t *curve_of(json_t *root, const char *folder)
{
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(root, "curves"), i, x)
        if (strstr(json_string_value(json_object_get(x, "folder")), folder))
            return x;
    fail_msg("no curve %s", folder);
    return NULL;
}

/* A baseline that was best at its end has converged if training it three times as long does not help. */
static void convergence_is_tried(void **state)
{
    (void)state;
    static const struct { const char *why; int best; double longer[3]; const char *says, *never; } cases[] = {
        {"early, no better", 2, {-0.001, -0.01, 0.008}, "it had stopped improving. Three times as many epochs make of it -0.001 (-0.010 to +0.008): that is no improvement", "may still"},
        {"early, and yet better", 2, {0.02, 0.01, 0.03}, "+0.020 (+0.010 to +0.030): it had not converged", "no improvement above"},
        {"late, no better", 1000, {0.001, -0.004, 0.006}, "within the last tenth of its epochs. Three times as many", "may still have been"},
        {"late, not tried", 1000, {NAN, NAN, NAN}, "so that it may still have been improving", "Three times as many epochs"},
        {"the same epoch", 2, {0, 0, 0}, "the two rows are one model", "Three times as many epochs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *root = results(), *curve = curve_of(root, "signal/diagnoses");
        const json_int_t epochs = (json_int_t)json_array_size(json_object_get(curve, "epoch"));
        json_object_set_new(curve, "best_epoch", json_integer(cases[i].best > epochs ? epochs : cases[i].best));
        const double *d = cases[i].longer;
        if (!isnan(d[0]))
            json_array_append_new(json_object_get(root, "differences"),
                                  json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f}", "a", "signal_long", "b", "signal", "task", "diagnoses", "status", "done", "difference", d[0],
                                            "lo", d[1], "hi", d[2]));
        free(page_of(cases[i].why, root));
        char *md = slurp(run, "report.md");
        if (!strstr(md, cases[i].says))
            fail_msg("%s: nothing says \"%s\"", cases[i].why, cases[i].says);
        if (strstr(md, cases[i].never))
            fail_msg("%s: something says \"%s\"", cases[i].why, cases[i].never);
        free(md);
        json_decref(root);
    }
}

static void stage_1_is_told(void **state)
{
    (void)state;
    static const struct { const char *why, *values, *says; } cases[] = {
        {"level", "[50, 30, 21, 20.5, 20.2, 20]", "went from 50.00 to 20.00 and had levelled out"},
        {"falling", "[50, 45, 40, 35, 30, 25]", "was still falling"},
        {"learned nothing", "[50, 50.2, 49.8, 50, 50.1, 49.9]", "hardly fell"},
        {"rose", "[50, 60, 70, 80, 90, 100]", "hardly fell"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *root = results();
        json_object_set_new(curve_of(root, "ours/pretrain"), "value", json_loads(cases[i].values, 0, NULL));
        free(page_of(cases[i].why, root));
        char *md = slurp(run, "report.md");
        if (!strstr(md, cases[i].says))
            fail_msg("%s: nothing says \"%s\"", cases[i].why, cases[i].says);
        free(md);
        json_decref(root);
    }
}

/* What a label is depends on the cohort: statements on the ECG are no billing codes. */
static void codes_are_named_for_what_they_are(void **state)
{
    (void)state;
    json_t *root = results(), *x;
    size_t i;
    char *page = page_of("codes of ICD", root);
    assert_non_null(strstr(page, "billing codes of the stay"));
    free(page);
    json_array_foreach(json_object_get(json_array_get(json_object_get(root, "cohorts"), 0), "prevalence"), i, x)
        json_object_set_new(x, "code", json_string("NORM"));
    page = page_of("statements", root);
    assert_null(strstr(page, "billing codes"));
    assert_null(strstr(page, "ICD-10 codes"));
    assert_non_null(strstr(page, "who gave them, and from what, its source says"));
    free(page);
    json_decref(root);
}

/* A cohort without laboratory labels: said once in words and once for each row of Table 1, not for every pair of rows. */
static void no_labs_is_said_once(void **state)
{
    (void)state;
    json_t *root = results(), *x;
    size_t i;
    json_array_foreach(json_object_get(root, "rows"), i, x)
        if (!strcmp(json_string_value(json_object_get(x, "task")), "labs")) {
            json_object_set_new(x, "status", json_string("left_out"));
            json_object_set_new(x, "why", json_string("the cohort has no laboratory labels"));
            json_object_set_new(x, "auroc", json_null());
        }
    char *page = page_of("no labs", root), *md = slurp(run, "report.md");
    assert_non_null(strstr(page, "Labs: no differences (the cohort has no laboratory labels)."));
    assert_null(strstr(page, "Labs: paired differences"));
    assert_int_equal(count(md, "No row predicts laboratory values: the cohort has no laboratory labels."), 1);
    assert_null(strstr(md, "| labs | -"));
    assert_null(strstr(md, "labs: no figure"));
    assert_null(strstr(page, "Laboratory labels exist only where"));
    free(page);
    free(md);
    json_decref(root);
}

/* ---- what is missing, what is something else ------------------------------------------------------------------------------------- */

enum { REMOVED, NOTHING, A_NUMBER, A_TEXT, A_LIST, AN_OBJECT, ABSURD, FATES };

static json_t *instead(int fate)
{
    switch (fate) {
    case NOTHING: return json_null();
    case A_NUMBER: return json_real(-7.25);
    case A_TEXT: return json_string("what");
    case A_LIST: return json_array();
    case AN_OBJECT: return json_object();
    default: return json_real(1e300);
    }
}

static int kept, refused;

/* The whole of results.json with one value after another taken away, then something else in its place: a report, or a refusal that names file, line and value. */
static void spoil(json_t *root, json_t *at, const char *where)
{
    const char *name;
    char *names[64], path[256];
    int n = 0;
    json_t *value;
    json_object_foreach(at, name, value)
    {
        assert_true(n < 64);
        names[n++] = strdup(name); /* what is taken away and put back moves to the end */
    }
    for (int i = 0; i < n; i++) {
        const char *key = names[i];
        value = json_object_get(at, key);
        snprintf(path, sizeof path, "%s.%s", where, key);
        for (int fate = REMOVED; fate < FATES; fate = fate ? FATES : 1 + (kept + refused) % (FATES - 1)) {
            ecg_err err = {0};
            json_incref(value);
            if (fate == REMOVED)
                json_object_del(at, key);
            else
                json_object_set_new(at, key, instead(fate));
            put_json("results.json", root);
            const ecg_status st = ecg_study_report(run, &err);
            if (st == ECG_OK) {
                kept++;
            } else {
                refused++;
                if ((st != ECG_EDATA && st != ECG_EUNSUPPORTED) || err.line < 1 || !strstr(err.path, "results.json") || !*err.msg)
                    fail_msg("%s, fate %d: status %d, line %d: %s", path, fate, (int)st, (int)err.line, err.msg);
            }
            json_object_set_new(at, key, value);
        }
        json_t *inner = json_is_array(value) ? json_array_get(value, 0) : value;
        if (json_is_object(inner))
            spoil(root, inner, path);
        free(names[i]);
    }
}

static void every_part_may_be_missing(void **state)
{
    (void)state;
    json_t *root = results();
    kept = refused = 0;
    spoil(root, root, "");
    assert_true(kept > 200 && refused > 50);
    json_decref(root);
}

static void optional_parts_are_named(void **state)
{
    (void)state;
    static const struct { const char *key, *says; } cases[] = {
        {"differences", "results.json holds no differences"}, {"controls", "results.json holds no controls"}, {"curves", "no stage has been trained yet"},
        {"forgetting", "no linear probe"}, {"ablations", "no option was varied"}, {"cohorts", "describes no cohort"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *root = results();
        json_object_del(root, cases[i].key);
        char *page = page_of(cases[i].key, root);
        if (!strstr(page, cases[i].says))
            fail_msg("without %s nothing says \"%s\"", cases[i].key, cases[i].says);
        free(page);
        json_decref(root);
    }
    static const struct { const char *file, *text, *says; } broken[] = {
        {"labels.csv", NULL, "labels.csv: not there"},
        {"labels.csv", "row,task\n\"x", "labels.csv: line "},
        {"labels.csv", "row,task,unit,code,title,positives,negatives,auroc,auroc_low,auroc_high,average_precision\na,b,c,d,e,1,2,many,,,\n", "labels.csv: line 2: "},
        {"signal/diagnoses/evaluation.json", NULL, "signal/diagnoses/evaluation.json: not there"},
        {"ours/diagnoses/evaluation.json", "{\n\"heads\": [", "ours/diagnoses/evaluation.json: line 2: "},
        {"ours/diagnoses/evaluation.json", "[]", "ours/diagnoses/evaluation.json: no head of that label set"},
        {"ours/diagnoses/reliability.diagnoses.test.csv", "code,bins\n1,2\n", "reliability.diagnoses.test.csv: line "},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char *was = slurp(FIXTURE, broken[i].file);
        if (broken[i].text)
            put(broken[i].file, broken[i].text);
        else
            without(broken[i].file);
        json_t *root = results();
        char *page = page_of(broken[i].file, root);
        if (!strstr(page, broken[i].says))
            fail_msg("nothing says \"%s\"", broken[i].says);
        free(page);
        json_decref(root);
        put(broken[i].file, was);
        free(was);
    }
}

static void malformed_results_are_refused(void **state)
{
    (void)state;
    static const struct { const char *why, *text; ecg_status st; int line; const char *says; } cases[] = {
        {"empty", "", ECG_EDATA, 1, ""},
        {"not JSON", "{\n \"schema\": \"ecgraft.study/1\",\n rows: []\n}", ECG_EDATA, 3, ""},
        {"cut off", "{\n \"schema\": \"ecgraft.study/1\",\n \"rows\": [", ECG_EDATA, 3, ""},
        {"a key twice", "{\n \"schema\": \"ecgraft.study/1\",\n \"rows\": [],\n \"rows\": []}", ECG_EDATA, 4, ""},
        {"a list", "[1]", ECG_EDATA, 1, "an object"},
        {"another schema", "{\"schema\": \"ecgraft.report/1\"}", ECG_EDATA, 1, "ecgraft.study/1 expected"},
        {"a later schema", "{\"schema\": \"ecgraft.study/2\"}", ECG_EUNSUPPORTED, 1, "this version reads"},
        {"no rows", "{\"schema\": \"ecgraft.study/1\",\n \"synthetic\": true}", ECG_EDATA, 1, "rows: a value expected"},
        {"a row without a name", "{\"schema\": \"ecgraft.study/1\", \"synthetic\": true,\n\n \"rows\": [{\"row\": \"a\", \"task\": \"labs\"},\n  {\"task\": \"labs\"}]}", ECG_EDATA, 4,
         "rows[1].row: a value expected"},
        {"an AUROC above 1", "{\"schema\": \"ecgraft.study/1\", \"synthetic\": true, \"rows\": [{\"row\": \"a]\\\"}\", \"task\": \"labs\",\n \"auroc\": 1.2}]}", ECG_EDATA, 2,
         "rows[0].auroc: a number from 0 to 1 expected"},
        {"an unknown task", "{\"schema\": \"ecgraft.study/1\", \"synthetic\": true, \"rows\": [{\"row\": \"a\",\n\"task\": \"laps\"}]}", ECG_EDATA, 2, "rows[0].task: diagnoses or labs expected"},
        {"a number out of range", "{\"schema\": \"ecgraft.study/1\", \"synthetic\": true, \"rows\": [],\n\"seconds\": 1e999}", ECG_EDATA, 2, ""},
    };
    free(page_of("before", NULL));
    char *before = slurp(run, "report.html");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_err err = {0};
        put("results.json", cases[i].text);
        const ecg_status st = ecg_study_report(run, &err);
        if (st != cases[i].st || err.line != cases[i].line || !strstr(err.path, "results.json") || !strstr(err.msg, cases[i].says))
            fail_msg("%s: status %d, %s line %d: %s", cases[i].why, (int)st, err.path, (int)err.line, err.msg);
    }
    char *whole = slurp(FIXTURE, "results.json");
    for (size_t cut = strlen(whole) / 97; cut < strlen(whole) - 2; cut += strlen(whole) / 97) {
        ecg_err err = {0};
        char *part = strndup(whole, cut);
        put("results.json", part);
        free(part);
        assert_int_equal(ecg_study_report(run, &err), ECG_EDATA);
        assert_true(err.line > 0);
    }
    free(whole);
    char *after = slurp(run, "report.html");
    assert_string_equal(before, after); /* a refusal leaves the report there was */
    free(before);
    free(after);
    ecg_err err = {0};
    without("results.json");
    assert_int_equal(ecg_study_report(run, &err), ECG_EIO);
    assert_non_null(strstr(err.path, "results.json"));
}

/* ---- words of anybody ------------------------------------------------------------------------------------------------------------ */

static void poison(json_t *x, const char *evil)
{
    static const char *const spared[] = {"schema", "row", "a", "b", "task", "status", "kind", "control", "stage", "unit", "folder", "interval"};
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_array(x)) {
        json_array_foreach(x, i, value)
            if (json_is_string(value))
                json_string_set(value, evil);
            else
                poison(value, evil);
    }
    json_object_foreach(x, key, value)
    {
        bool spare = false;
        for (size_t k = 0; k < sizeof spared / sizeof *spared; k++)
            spare = spare || !strcmp(key, spared[k]);
        if (json_is_string(value) && !spare)
            json_string_set(value, evil);
        else
            poison(value, evil);
    }
}

static void hostile_words_are_escaped(void **state)
{
    (void)state;
    static const char markup[] = "</td></style><script>alert(\"1\")</script><img onerror=\"a\">'|\n|---|&#60;";
    char *longest = malloc(10001);
    assert_non_null(longest);
    memset(longest, 'W', 10000);
    longest[10000] = 0;
    const char *const evil[] = {markup, longest, "", "-0", "\xf0\x9f\xab\x80\xc2\x80 - (-1 %s %n"};
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        json_t *root = results(), *j;
        poison(root, evil[i]);
        char *page = page_of(evil[i] == longest ? "10,000 letters" : evil[i], root);
        char *md = slurp(run, "report.md"), *json = slurp(run, "report.json");
        assert_null(strstr(md, "<script"));
        assert_int_equal(count(md, "\n| Ours"), 0);
        assert_non_null(j = json_loads(json, 0, NULL));
        json_decref(j);
        free(page);
        free(md);
        free(json);
        json_decref(root);
    }
    free(longest);
}

static void folders_stay_inside(void **state)
{
    (void)state;
    static const char *const folders[] = {"../outside", "/etc", "ours/../../outside", "..", "a/.."};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        json_t *root = results();
        json_t *unit = json_array_get(json_object_get(json_array_get(json_object_get(root, "rows"), 0), "units"), 0);
        json_object_set_new(unit, "folder", json_string(folders[i]));
        char *page = page_of(folders[i], root);
        if (!strstr(page, "leads out of the study&#39;s folder"))
            fail_msg("%s is not refused", folders[i]);
        free(page);
        json_decref(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(page_is_whole, begin, end),
        cmocka_unit_test_setup_teardown(markdown_is_golden, begin, end),
        cmocka_unit_test_setup_teardown(json_is_as_described, begin, end),
        cmocka_unit_test_setup_teardown(sentences_follow_the_numbers, begin, end),
        cmocka_unit_test_setup_teardown(convergence_is_tried, begin, end),
        cmocka_unit_test_setup_teardown(stage_1_is_told, begin, end),
        cmocka_unit_test_setup_teardown(no_labs_is_said_once, begin, end),
        cmocka_unit_test_setup_teardown(codes_are_named_for_what_they_are, begin, end),
        cmocka_unit_test_setup_teardown(every_part_may_be_missing, begin, end),
        cmocka_unit_test_setup_teardown(optional_parts_are_named, begin, end),
        cmocka_unit_test_setup_teardown(malformed_results_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(hostile_words_are_escaped, begin, end),
        cmocka_unit_test_setup_teardown(folders_stay_inside, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
