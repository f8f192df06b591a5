/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "report/cohort_page.h"
#include "report/html.h"
#include "report/page_check.h"
#include "study/tiny_cohort.h"

static char *page_of(const ecg_cohort *c, ecg_cohort_summary *s)
{
    ecg_text page = {0};
    ecg_err err = {0};
    if (ecg_cohort_summarise(s, c, &err) || ecg_cohort_page(&page, c, s, &err))
        fail_msg("%s", err.msg);
    return page.at;
}

/* ---- cohorts of all kinds ---------------------------------------------------------------------------------------------------------- */

static const tiny usual = {.patients = 12, .per_patient = 3, .samples = 120, .seed = 7};

static void every_kind_of_cohort(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        bool tables_alone, no_columns, no_sets, real, some_without_role, leak;
        const char *path, *attrition, *says, *lacks;
    } cases[] = {
        {.why = "as built", .says = "Synthetic cohort.", .lacks = "Leak."},
        {.why = "of patients", .real = true, .lacks = "Synthetic cohort."},
        {.why = "tables alone", .tables_alone = true, .says = "built without recordings", .lacks = "samples of 12 leads"},
        {.why = "no columns", .no_columns = true, .lacks = "Missing values"},
        {.why = "no labels", .no_sets = true, .lacks = "<h2>Labels</h2>"},
        {.why = "folds without a role", .some_without_role = true, .says = "no role"},
        {.why = "a patient in two folds", .leak = true, .says = "Leak."},
        {.why = "age alone", .says = "<h2>Age and sex</h2>"},
        {.why = "a path is no name", .path = "/home/someone/x.cohort", .says = "<h1>x.cohort</h1>", .lacks = "someone"},
        {.why = "a name full of marks", .path = "<script>alert('1')</script>&\".cohort", .says = "&quot;.cohort</h1>"},
        {.why = "rules", .attrition = "[{\"step\":\"a <b>rule</b>\",\"kept\":1234567,\"dropped\":89}]", .says = "<th scope=\"row\">a &lt;b&gt;rule&lt;/b&gt;</th><td class=\"n\">1,234,567</td>"},
        {.why = "rules that are no list", .attrition = "{\"step\":1}", .lacks = "Who is in"},
        {.why = "rules that are no rules", .attrition = "[1,{},{\"step\":7,\"kept\":\"x\"}]", .says = "<th scope=\"row\">?</th>"},
        {.why = "rules that are no JSON", .attrition = "[", .lacks = "Who is in"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_cohort c;
        ecg_cohort_summary s;
        tiny_open(&c, "usual.cohort", &usual);
        const ecg_cohort kept = c;
        int64_t patient[36];
        memcpy(patient, c.patient, sizeof patient);
        if (cases[i].leak)
            for (int r = 0; r < 36; r++)
                patient[r] = 5;
        c.patient = patient;
        c.signal = cases[i].tables_alone ? NULL : c.signal;
        c.contract.columns = cases[i].no_columns ? 0 : c.contract.columns;
        c.contract.sets = cases[i].no_sets ? 0 : c.contract.sets;
        c.synthetic = !cases[i].real;
        c.attrition = cases[i].attrition ? cases[i].attrition : c.attrition;
        c.roles.folds[ECG_VALIDATION] = cases[i].some_without_role ? 0 : c.roles.folds[ECG_VALIDATION];
        if (cases[i].path)
            snprintf(c.path, sizeof c.path, "%s", cases[i].path);
        char *page = page_of(&c, &s);
        check_page(cases[i].why, page);
        if (cases[i].says && !strstr(page, cases[i].says))
            fail_msg("%s: the page lacks %s", cases[i].why, cases[i].says);
        if (cases[i].lacks && strstr(page, cases[i].lacks))
            fail_msg("%s: the page says %s", cases[i].why, cases[i].lacks);
        free(page);
        ecg_cohort_summary_clear(&s);
        c = kept;
        ecg_cohort_close(&c);
    }
}

/* Words of the data are never markup. */
static void hostile_words(void **state)
{
    (void)state;
    static const char evil[] = "</th><script>alert(\"1\")</script>&amp;\x01\xff";
    ecg_cohort c;
    ecg_cohort_summary s;
    tiny_open(&c, "usual.cohort", &usual);
    ecg_contract *k = &c.contract;
    snprintf(k->table[0].set, sizeof k->table[0].set, "%.20s", evil);
    snprintf(k->table[0].label[0].title, sizeof k->table[0].label[0].title, "%s", evil);
    snprintf(k->table[1].label[0].code, sizeof k->table[1].label[0].code, "%s", evil);
    snprintf(k->column[1].name, sizeof k->column[1].name, "%s", evil);
    snprintf(k->column[1].group, sizeof k->column[1].group, "%.11s", evil);
    char *page = page_of(&c, &s);
    check_page("hostile words", page);
    assert_non_null(strstr(page, "&lt;/th&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;\xef\xbf\xbd\xef\xbf\xbd"));
    free(page);
    ecg_cohort_summary_clear(&s);
    ecg_cohort_close(&c);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------------------------- */

/* The tables against counts taken from the tensors here. */
static void tables_count_right(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_cohort_summary s;
    ecg_err err = {0};
    char dir[256], path[300];
    tiny_open(&c, "usual.cohort", &usual);
    c.roles.folds[ECG_TEST] = 0;
    assert_int_equal(ecg_cohort_summarise(&s, &c, &err), ECG_OK);
    assert_int_equal(ecg_cohort_page_tables(tiny_path(dir, "tables"), &c, &s, &err), ECG_OK);
    static const char *const roles[] = {"train", "validation", "test"};
    ecg_csv *t;
    bool more;
    snprintf(path, sizeof path, "%s/prevalence.csv", dir);
    assert_int_equal(ecg_csv_open(&t, path, &err), ECG_OK);
    for (int set = 0; set < c.contract.sets; set++)
        for (int l = 0; l < c.contract.table[set].n; l++)
            for (int r = 0; r < ECG_ROLES; r++) {
                int64_t known = 0, positive = 0, read[2];
                for (int64_t i = 0; i < c.n; i++)
                    if (ecg_cohort_role(&c, &c.roles, i) == r) {
                        known += c.label[set][i * c.contract.table[set].n + l] >= 0;
                        positive += c.label[set][i * c.contract.table[set].n + l] == 1;
                    }
                assert_true(ecg_csv_next(t, &more, &err) == ECG_OK && more);
                assert_int_equal(ecg_csv_i64(t, 4, &read[0], &err), ECG_OK);
                assert_int_equal(ecg_csv_i64(t, 5, &read[1], &err), ECG_OK);
                assert_true(read[0] == known && read[1] == positive);
                assert_memory_equal(ecg_csv_field(t, 3).at, roles[r], strlen(roles[r]));
                double share;
                assert_int_equal(ecg_csv_double(t, 6, &share, &err), ECG_OK);
                assert_true(known ? fabs(share - (double)positive / (double)known) < 1e-8 : isnan(share));
            }
    assert_true(ecg_csv_next(t, &more, &err) == ECG_OK && !more);
    ecg_csv_close(t);
    snprintf(path, sizeof path, "%s/missing.csv", dir);
    assert_int_equal(ecg_csv_open(&t, path, &err), ECG_OK);
    int64_t of_column[TINY_COLUMNS] = {0};
    for (int j = 0; j < c.contract.columns; j++)
        for (int r = 0; r < ECG_ROLES; r++) {
            int64_t missing = 0, read;
            for (int64_t i = 0; i < c.n; i++)
                missing += ecg_cohort_role(&c, &c.roles, i) == r && isnan(c.tabular[i * c.contract.columns + j]);
            assert_true(ecg_csv_next(t, &more, &err) == ECG_OK && more);
            assert_int_equal(ecg_csv_i64(t, 4, &read, &err), ECG_OK);
            assert_int_equal(read, missing);
            of_column[j] += missing;
        }
    assert_true(ecg_csv_next(t, &more, &err) == ECG_OK && !more);
    ecg_csv_close(t);
    assert_true(of_column[2] == s.role_records[0] + s.role_records[1]); /* never measured, and no record has the role test */
    ecg_bytes b;
    snprintf(path, sizeof path, "%s/roles.csv", dir);
    assert_int_equal(ecg_file_read(&b, path, &err), ECG_OK);
    assert_string_equal((const char *)b.at, "role,folds,records,patients\ntrain,0-3,24,8\nvalidation,4,6,2\ntest,,0,0\nnone,5,6,\n");
    ecg_bytes_free(&b);
    ecg_cohort_summary_clear(&s);
    ecg_cohort_close(&c);
}

static void pieces(void **state)
{
    (void)state;
    assert_null(badly_formed("<p class=\"a>b\"><b>x</b></p>"));
    assert_non_null(badly_formed("<p><b>x</p></b>"));
    assert_non_null(badly_formed("<p><b>x</b>"));
    static const struct { const char *why, *code, *want; } codes[] = {
        {"three characters", "I48", "I48"},        {"five", "I4891", "I48.91"},       {"seven", "S72001A", "S72.001A"}, {"of PTB-XL", "1AVB", "1AVB"},
        {"of PTB-XL, a letter first", "STD_", "STD_"}, {"a lab", "Sodium_low", "Sodium_low"}, {"a letter third", "C4A3", "C4A.3"}, {"marks", "a<b", "a&lt;b"},
        {"too long", "I489100000", "I489100000"},  {"none", "", ""},
    };
    static const struct { int64_t n; const char *want; } counts[] = {{0, "0"}, {7, "7"}, {999, "999"}, {1000, "1,000"}, {129057, "129,057"}, {-1234, "-1,234"},
                                                                      {INT64_MIN, "-9,223,372,036,854,775,808"}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        ecg_text t = {0};
        ecg_text_puts(&t, "");
        ecg_html_code(&t, codes[i].code);
        if (strcmp(t.at, codes[i].want))
            fail_msg("%s: %s, expected %s", codes[i].why, t.at, codes[i].want);
        ecg_text_clear(&t);
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        ecg_text t = {0};
        ecg_html_count(&t, counts[i].n);
        assert_string_equal(t.at, counts[i].want);
        ecg_text_clear(&t);
    }
    ecg_text t = {0};
    ecg_html_percent(&t, 1, 3);
    ecg_html_percent(&t, 0, 0);
    assert_string_equal(t.at, "33.3%&#8211;");
    ecg_text_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_cohort),
        cmocka_unit_test(hostile_words),
        cmocka_unit_test(tables_count_right),
        cmocka_unit_test(pieces),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
