/* SPDX-License-Identifier: MIT
 * The list of 1,428 codes: its counts, its order, that every code has its parents, and that it is the list of the published schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "cohort/mdsed_codes.h"

static void test_list(void **state)
{
    (void)state;
    int of_length[6] = {0}, titled = 0;
    for (int i = 0; i < ECG_MDSED_CODES; i++) {
        const char *code = ecg_mdsed_codes[i].code;
        const size_t len = strlen(code);
        assert_in_range(len, 3, 5);
        of_length[len]++;
        titled += ecg_mdsed_codes[i].title[0] != 0;
        for (const char *c = code; *c; c++)
            assert_true(isupper((unsigned char)*c) || isdigit((unsigned char)*c));
        if (i)
            assert_true(strcmp(ecg_mdsed_codes[i - 1].code, code) < 0);
        assert_int_equal(ecg_mdsed_code_find(code), i);
        for (size_t shorter = 3; shorter < len; shorter++) { /* every parent is kept */
            char parent[6] = "";
            memcpy(parent, code, shorter);
            if (ecg_mdsed_code_find(parent) < 0)
                fail_msg("%s without %s", code, parent);
        }
    }
    assert_int_equal(of_length[3], 450);
    assert_int_equal(of_length[4], 628);
    assert_int_equal(of_length[5], 350);
    assert_in_range(titled, 1400, ECG_MDSED_CODES - 1);
    assert_int_equal(ecg_mdsed_code_find("I999"), -1);
    assert_int_equal(ecg_mdsed_code_find(""), -1);
}

static void test_titles(void **state)
{
    (void)state;
    static const struct { const char *code, *title, *why; } cases[] = {
        {"I4891", "Unspecified atrial fibrillation", "a billable code"},
        {"I50", "Heart failure", "a header"},
        {"X58", "Exposure to other specified factors", "codes below it have seven characters"},
        {"V103", "Personal history of malignant neoplasm of breast (ICD-9-CM V10.3)", "left over from ICD-9: no pedal cyclist"},
        {"V45", "", "ICD-9 calls several things so"},
        {"V4988", "Car occupant (driver) (passenger) injured in other specified transport accidents", "a V code that ICD-9 does not have"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int at = ecg_mdsed_code_find(cases[i].code);
        assert_true(at >= 0);
        if (strcmp(ecg_mdsed_codes[at].title, cases[i].title))
            fail_msg("%s: \"%s\" (%s)", cases[i].code, ecg_mdsed_codes[at].title, cases[i].why);
    }
}

static void test_schema(void **state)
{
    (void)state;
    const char *data = getenv("ECGRAFT_DATA");
    char path[600];
    snprintf(path, sizeof path, "%.500s/mds_ed_schema/columns.csv", data ? data : "../shared/data");
    ecg_csv *t;
    if (ecg_csv_open(&t, path, NULL)) {
        print_message("no %s\n", path);
        skip();
    }
    const int name = ecg_csv_find(t, "column");
    assert_true(name >= 0);
    static const char prefix[] = "diagnoses_";
    const size_t skipped = sizeof prefix - 1;
    int found = 0;
    bool more;
    while (!ecg_csv_next(t, &more, NULL) && more) {
        const ecg_field f = ecg_csv_field(t, name);
        if (f.len <= skipped || memcmp(f.at, prefix, skipped))
            continue;
        char code[64] = "";
        for (size_t i = skipped; i < f.len && i - skipped < sizeof code - 1; i++)
            code[i - skipped] = (char)toupper((unsigned char)f.at[i]);
        if (ecg_mdsed_code_find(code) < 0)
            fail_msg("%s is not in the list", code);
        found++;
    }
    ecg_csv_close(t);
    assert_int_equal(found, ECG_MDSED_CODES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_list), cmocka_unit_test(test_titles), cmocka_unit_test(test_schema)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
