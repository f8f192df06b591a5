/* SPDX-License-Identifier: MIT
 * The list of 1,428 codes: its counts, its order, that every code has its parents, and that it is the list of the published schema. The table:
 * numbers to the last bit, categories, labels, rows in blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "cohort/mdsed_codes.h"
#include "cohort/mdsed_table.h"
#include "cohort/schema.h"

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

/* ---- the table ---------------------------------------------------------------------------------------------------------------------- */

static const char *const ethnicities[] = {"asian", "black/african", "hispanic/latino", "other", "white"};

/* Ids, the 463 numbers and gender and acuity in the contract's order, five ethnicities, two diagnoses. */
static void write_header(FILE *f)
{
    ecg_column column[ECG_COLUMNS];
    ecg_mimic_columns(column);
    fputs("general_study_id,general_subject_id,general_ed_stay_id,general_ecg_time", f);
    for (int c = 0; c < ECG_COL_ETHNICITY; c++)
        fprintf(f, ",\"%s\"", column[c].name);
    for (int e = 0; e < 5; e++)
        fprintf(f, ",demographics_ethnicity_%s", ethnicities[e]);
    fputs(",diagnoses_i48,diagnoses_a41\n", f);
}

/* number: the first column's; the others are empty. tail: gender, acuity, ethnicities, diagnoses. */
static void write_row(FILE *f, int64_t study, const char *number, const char *tail)
{
    fprintf(f, "%" PRId64 ",1,,,%s", study, number);
    for (int c = 1; c < ECG_COL_GENDER; c++)
        fputc(',', f);
    fprintf(f, ",%s\n", tail);
}

static FILE *begin_table(char path[32])
{
    strcpy(path, "/tmp/test_mdsed_XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    write_header(f);
    return f;
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0", "-0", "7.4", "98.6", "-1.5", "36.77777777777778", "0.1", "16777217", "16777217.000000001", "16777216.999999999", "16777219",
        "0.30000001192092896", "0.300000026822090149", "0.30000002682209015", "9007199254740993", "1234567890123456789", "9999999999999999999",
        "12345678901234567890", "1e-5", "1.17549435e-38", "1e-40", "0.0000000000000000001", "0.000000000000000000000000000000000000011754943", "3.4e38",
        "00000000000000000000000001.5", "-16777217", ".5", "5.", "+2.5", " 3 ",
        "1.2345678901234567e-05", "-9.8765e+07", "1E-22", "1e+22", "16777217e+00", "167772170000000e-07", "1.5e3", "1e-100", "2.5e-44",
        "0.0001234567890123456789", "-0.00000012345678901234567", "000000000000000000000000", "0.0000000000000000000000001",
    };
    enum { N = sizeof texts / sizeof *texts, RANDOM = 4000 };
    char path[32], made[RANDOM][32];
    FILE *f = begin_table(path);
    for (int i = 0; i < N; i++)
        write_row(f, i, texts[i], "1,3,0,0,0,0,1,0,1");
    uint64_t x = 1;
    for (int i = 0; i < RANDOM; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        const uint64_t digits = x >> (1 + x % 40);
        const int fraction = (int)(digits % 19);
        snprintf(made[i], sizeof made[i], "%s%" PRIu64 ".%0*" PRIu64, i % 2 ? "-" : "", digits >> 33, fraction + 1, digits & 0xfffff);
        if (i % 3 == 0)
            snprintf(made[i], sizeof made[i], "%.*e", i % 18, (double)digits / 1e12);
        write_row(f, N + i, made[i], ",,,,,,,,");
    }
    fclose(f);
    ecg_mdsed_table t;
    ecg_err err = {0};
    if (ecg_mdsed_table_read(&t, path, false, NULL, NULL, &err))
        fail_msg("%s", err.msg);
    unlink(path);
    assert_int_equal(t.n, N + RANDOM);
    for (int i = 0; i < N + RANDOM; i++) {
        const float want = (float)strtod(i < N ? texts[i] : made[i - N], NULL), got = t.tabular[(int64_t)i * ECG_COLUMNS];
        if (got != want)
            fail_msg("%s: %.9g, expected %.9g", i < N ? texts[i] : made[i - N], (double)got, (double)want);
    }
    assert_true(isnan(t.tabular[ECG_COL_LABS]));
    assert_true(t.row[0].fold == -1 && !t.folds && t.row[0].stay == -1 && t.row[0].ecg_time == -1);
    assert_string_equal(t.row[3].path, "files/p0000/p00000001/s00000003/00000003");
    ecg_mdsed_table_clear(&t);
}

static void test_rows(void **state)
{
    (void)state;
    static const struct { const char *number, *tail; float gender, acuity, ethnicity; int a41, i48; const char *error, *why; } cases[] = {
        {"50", "1,5.0,0,0,0,0,1,0,1", 1, 4, 4, 1, 0, NULL, "the tail is i48 before a41"},
        {"50", "0.0,1,1,0,0,0,0,1,-999", 0, 0, 0, -1, 1, NULL, "-999 is unknown"},
        {"50", ",,,,,,,,1.0", NAN, NAN, NAN, 1, -1, NULL, "empty is unknown"},
        {"nan", "1,,0,0,0,0,0,0,0", 1, NAN, 3, 0, 0, NULL, "none of the five: other"},
        {"-inf", "-999,-999,,,,,1,0,0", NAN, NAN, 4, 0, 0, NULL, "-999 is missing"},
        {"1e39", "1,1,0,0,0,0,1,0,1", 0, 0, 0, 0, 0, "demographics_age: \"1e39\" is not a number", "beyond float32"},
        {"--5", "1,1,0,0,0,0,1,0,1", 0, 0, 0, 0, 0, "\"--5\" is not a number", "two signs"},
        {"1.2.3", "1,1,0,0,0,0,1,0,1", 0, 0, 0, 0, 0, "\"1.2.3\" is not a number", "two points"},
        {"5e", "1,1,0,0,0,0,1,0,1", 0, 0, 0, 0, 0, "\"5e\" is not a number", "an exponent without digits"},
        {".", "1,1,0,0,0,0,1,0,1", 0, 0, 0, 0, 0, "\".\" is not a number", "no digit"},
        {"50", "1,0,0,0,0,0,1,0,1", 0, 0, 0, 0, 0, "vitals_acuity: \"0\" is not 1 to 5", "acuity begins with 1"},
        {"50", "1,2.5,0,0,0,0,1,0,1", 0, 0, 0, 0, 0, "vitals_acuity: \"2.5\" is not 1 to 5", "acuity is whole"},
        {"50", "1,2,1,0,0,0,1,0,1", 0, 0, 0, 0, 0, "demographics_ethnicity_white: \"1\" is not the only ethnicity that is 1", "two ethnicities"},
        {"50", "1,2,1,0,0,0,0,0,01x", 0, 0, 0, 0, 0, "diagnoses_a41: \"01x\" is not 0, 1, -999 or empty", "a label that is none"},
        {"50", "1,2,1,0,0,0,0,0", 0, 0, 0, 0, 0, "475 fields, the header has 476", "a field short"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char path[32];
        FILE *f = begin_table(path);
        write_row(f, 7, cases[c].number, cases[c].tail);
        fclose(f);
        ecg_mdsed_table t;
        ecg_err err = {0};
        const ecg_status st = ecg_mdsed_table_read(&t, path, false, NULL, NULL, &err);
        unlink(path);
        if (cases[c].error) {
            if (st != ECG_EDATA || !strstr(err.msg, cases[c].error) || err.line != 2)
                fail_msg("%s: %d, line %" PRId64 ": %s", cases[c].why, st, err.line, err.msg);
            continue;
        }
        if (st)
            fail_msg("%s: %s", cases[c].why, err.msg);
        const float got[] = {t.tabular[ECG_COL_GENDER], t.tabular[ECG_COL_ACUITY], t.tabular[ECG_COL_ETHNICITY]};
        const float want[] = {cases[c].gender, cases[c].acuity, cases[c].ethnicity};
        const ecg_label_table *codes = &t.table[ECG_MDSED_DIAGNOSES];
        for (int k = 0; k < 3; k++)
            if (got[k] != want[k] && !(isnan(got[k]) && isnan(want[k])))
                fail_msg("%s: category %d is %g", cases[c].why, k, (double)got[k]);
        assert_int_equal(codes->n, 2);
        assert_string_equal(codes->label[0].code, "A41");
        assert_string_equal(codes->label[1].title, "Atrial fibrillation and flutter");
        if (t.label[ECG_MDSED_DIAGNOSES][0] != cases[c].a41 || t.label[ECG_MDSED_DIAGNOSES][1] != cases[c].i48)
            fail_msg("%s: labels %d %d", cases[c].why, t.label[ECG_MDSED_DIAGNOSES][0], t.label[ECG_MDSED_DIAGNOSES][1]);
        ecg_mdsed_table_clear(&t);
    }
}

static void test_blocks(void **state)
{
    (void)state;
    enum { N = 5000, MOD = 1700 }; /* several blocks; every study from the 1,700th row on was there before */
    char path[32];
    FILE *f = begin_table(path);
    for (int i = 0; i < N; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        write_row(f, i % MOD, number, "1,3,0,0,0,0,1,0,1");
    }
    fclose(f);
    ecg_pool *pool = ecg_pool_new(3);
    assert_non_null(pool);
    ecg_mdsed_table t;
    assert_int_equal(ecg_mdsed_table_read(&t, path, false, pool, NULL, NULL), ECG_OK);
    ecg_pool_free(pool);
    unlink(path);
    assert_int_equal(t.rows, N);
    assert_int_equal(t.n, MOD);
    uint8_t keep[MOD];
    for (int i = 0; i < MOD; i++) {
        assert_true(t.row[i].study == i && t.tabular[(int64_t)i * ECG_COLUMNS] == (float)i); /* the first of a study */
        keep[i] = i % 3 == 1;
    }
    ecg_mdsed_table_filter(&t, keep);
    for (int64_t i = 0; i < t.n; i++)
        assert_true(t.row[i].study == 3 * i + 1 && t.tabular[i * ECG_COLUMNS] == (float)(3 * i + 1));
    assert_int_equal(t.n, (MOD + 1) / 3);
    ecg_mdsed_table_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_list), cmocka_unit_test(test_titles), cmocka_unit_test(test_schema),
                                       cmocka_unit_test(test_numbers), cmocka_unit_test(test_rows), cmocka_unit_test(test_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
