/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cohort/codes.h"
#include "cohort/features.h"
#include "cohort/labs.h"

static void nine_statistics(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        int n;
        double value[5], minute[5], want[ECG_STATISTICS];
    } cases[] = {
        {"none", 0, {0}, {0}, {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN}},
        {"one: no slope, no spread", 1, {7}, {12}, {7, 7, 7, 7, 0, 7, 7, 0, 0}},
        {"a line: slope 2 a minute", 3, {1, 5, 11}, {0, 2, 5}, {17 / 3.0, 5, 1, 11, 4.109609335312651, 1, 11, 10, 2}},
        {"even count: mean of the middle two", 4, {4, 1, 3, 2}, {0, 10, 20, 30}, {2.5, 2.5, 1, 4, 1.118033988749895, 4, 2, -0.5, -0.04}},
        {"first is zero: no rate", 2, {0, 3}, {1, 4}, {1.5, 1.5, 0, 3, 1.5, 0, 3, NAN, 1}},
        {"all at one moment: slope 0", 3, {1, 2, 6}, {9, 9, 9}, {3, 2, 1, 6, 2.160246899469287, 1, 6, 5, 0}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float got[ECG_STATISTICS];
        double scratch[5];
        ecg_nine_statistics(got, cases[c].value, cases[c].minute, cases[c].n, scratch);
        for (int s = 0; s < ECG_STATISTICS; s++) {
            const double want = cases[c].want[s];
            if (isnan(want) ? !isnan(got[s]) : !(fabs(got[s] - want) <= 1e-6 * fmax(1, fabs(want)))) /* float output */
                fail_msg("%s: statistic %d is %.9g, expected %.9g", cases[c].why, s, (double)got[s], want);
        }
    }
}

static void columns_of_the_published_table(void **state)
{
    (void)state;
    static ecg_column column[ECG_COLUMNS];
    assert_int_equal(ECG_COLUMNS, 466);
    ecg_mimic_columns(column);
    static const struct { int at; const char *name; } cases[] = {
        {0, "demographics_age"},
        {3, "biometrics_height"},
        {4, "vitals_temperature_mean"},
        {57, "vitals_dbp_coeff"},
        {58, "labvalues_absolute_basophil_count_mean"},
        {58 + 3 * 9, "labvalues_alanine_aminotransferase_(alt)_mean"},
        {58 + 18 * 9 + 7, "labvalues_creatine_kinase,_mb_isoenzyme_rate_change"},
        {462, "labvalues_ph_coeff"},
        {463, "demographics_gender"},
        {464, "vitals_acuity"},
        {465, "demographics_ethnicity"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        assert_string_equal(column[cases[c].at].name, cases[c].name);
    int labs = 0;
    for (int j = 0; j < ECG_COLUMNS; j++) {
        labs += !strcmp(column[j].group, "lab");
        assert_int_equal(column[j].categorical, j >= 463);
    }
    assert_int_equal(labs, 405);
    assert_int_equal(column[463].vocabulary, 2);
    assert_int_equal(column[464].vocabulary, 5);
    assert_int_equal(column[465].vocabulary, 5);
}

static void codes_to_labels(void **state)
{
    (void)state;
    static const struct { const char *why, *code; int version; const char *want; } cases[] = {
        {"five characters", "I4891", 10, "I4891"},
        {"dot and blanks", " I48.91 ", 10, "I4891"},
        {"cut to five", "S72001A", 10, "S7200"},
        {"trailing X after the cut", "T82XXXA", 10, "T82"},
        {"lower case", "e785", 10, "E785"},
        {"letters at the end stay", "M1A", 10, "M1A"},
        {"mapped, several targets: the last row", "25010", 9, "E1169"},
        {"rows behind the end of the mapping do not count", "4019", 9, "I10"},
        {"mapped", "2449", 9, "E039"},
        {"no target: NoDx", "36570", 9, NULL},
        {"unknown", "99999", 9, NULL},
        {"too short", "I4", 10, NULL},
        {"empty", "", 10, NULL},
        {"odd bytes", "I48,1", 10, NULL},
        {"long", "I489123456789", 10, NULL},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char got[6] = "";
        const bool is = ecg_icd_label(got, cases[c].code, strlen(cases[c].code), cases[c].version);
        if (is != (cases[c].want != NULL) || (is && strcmp(got, cases[c].want)))
            fail_msg("%s: %s gives %s, expected %s", cases[c].why, cases[c].code, is ? got : "nothing", cases[c].want ? cases[c].want : "nothing");
    }
}

static void mapping_of_icd9(void **state)
{
    (void)state;
    static const struct { const char *icd9, *icd10; } cases[] = {
        {"0010", "A000"}, {"42731", "I4891"}, {"25000", "E119"}, {"4019", "I10"}, {"4280", "I509"}, {"V8801", "Z90710"}, {"", NULL}, {"0", NULL}, {"ZZZ", NULL},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const char *got = ecg_icd9_to_10(cases[c].icd9);
        if (!got != !cases[c].icd10 || (got && strcmp(got, cases[c].icd10)))
            fail_msg("%s gives %s, expected %s", cases[c].icd9, got ? got : "nothing", cases[c].icd10 ? cases[c].icd10 : "nothing");
    }
}

static void scp_dictionaries(void **state)
{
    (void)state;
    static const struct { const char *why, *text; int n; const char *first; double likelihood; } cases[] = {
        {"as PTB-XL writes it", "{'NORM': 100.0, 'LVOLT': 0.0, 'SR': 0.0}", 3, "NORM", 100},
        {"double quotes, no blanks", "{\"LAO/LAE\":15}", 1, "LAO/LAE", 15},
        {"empty", "{}", 0, NULL, 0},
        {"blanks", " { 'SR' : 0.0 } ", 1, "SR", 0},
        {"no brace", "'SR': 0.0", -1, NULL, 0},
        {"never closed", "{'SR': 0.0", -1, NULL, 0},
        {"quote never closed", "{'SR: 0.0}", -1, NULL, 0},
        {"no number", "{'SR': yes}", -1, NULL, 0},
        {"something after it", "{'SR': 0.0} x", -1, NULL, 0},
        {"comma and nothing", "{'SR': 0.0,}", -1, NULL, 0},
        {"more than there is room for", "{'A': 0, 'B': 0, 'C': 0, 'D': 0, 'E': 0}", -1, NULL, 0},
        {"nothing", "", -1, NULL, 0},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_scp scp[4] = {0};
        const int n = ecg_scp_parse(scp, 4, cases[c].text, strlen(cases[c].text));
        if (n != cases[c].n || (cases[c].first && (strcmp(scp[0].code, cases[c].first) || scp[0].likelihood != cases[c].likelihood)))
            fail_msg("%s: %d statements, first %s, expected %d", cases[c].why, n, scp[0].code, cases[c].n);
    }
}

static void printed_lists(void **state)
{
    (void)state;
    static const struct { const char *why, *text; int n; const char *joined; } cases[] = {
        {"as the published table has it", "['I4891', 'E785']", 2, "I4891|E785|"},
        {"one", "['I10']", 1, "I10|"},
        {"none", "[]", 0, ""},
        {"blanks", " [ 'I10' , 'I11' ] ", 2, "I10|I11|"},
        {"double quotes", "[\"I10\"]", 1, "I10|"},
        {"a code that had no mapping", "[None, 'I10', nan]", 3, "|I10||"},
        {"an empty string", "['']", 1, "|"},
        {"no bracket", "'I10'", -1, ""},
        {"a bare word", "[I10]", -1, ""},
        {"never closed", "['I10'", -1, "I10|"},
        {"quote never closed", "['I10]", -1, ""},
        {"no comma", "['I10' 'I11']", -1, "I10|"},
        {"comma and nothing", "['I10',]", -1, "I10|"},
        {"something after it", "['I10'] x", -1, "I10|"},
        {"escapes", "['I\\x31']", -1, ""},
        {"nothing", "", -1, ""},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const size_t len = strlen(cases[c].text);
        char joined[64] = "";
        ecg_list_item item;
        size_t at = 0;
        int found, n = 0;
        while ((found = ecg_list_next(&item, cases[c].text, len, &at)) > 0) {
            snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%.*s|", (int)item.len, item.len ? item.at : "");
            n++;
        }
        if ((found < 0 ? -1 : n) != cases[c].n || strcmp(joined, cases[c].joined))
            fail_msg("%s: %d items \"%s\", expected %d", cases[c].why, found < 0 ? -1 : n, joined, cases[c].n);
    }
}

static void masks_behind_the_columns(void **state)
{
    (void)state;
    static ecg_column column[ECG_COLUMNS], mask[ECG_MASKS];
    static float table[3 * (ECG_COLUMNS + ECG_MASKS)];
    const int width = ECG_COLUMNS + ECG_MASKS, rows = 3;
    assert_int_equal(ECG_MASKS, 463);
    ecg_mimic_columns(column);
    ecg_mimic_mask_columns(mask);
    assert_string_equal(mask[0].name, "biometrics_bmi_nan");
    assert_string_equal(mask[57].name, "labvalues_absolute_basophil_count_mean_nan");
    assert_string_equal(mask[462].name, "vitals_acuity_nan");
    for (int i = 0; i < rows * ECG_COLUMNS; i++)
        table[i] = i % 3 ? (float)i : NAN;
    ecg_mimic_masks(table, rows);
    for (int i = 0; i < rows; i++)
        for (int c = 0, m = 0; c < ECG_COLUMNS; c++) {
            const int was = i * ECG_COLUMNS + c;
            const float x = table[i * width + c];
            assert_true(was % 3 ? x == (float)was : isnan(x));
            if (!strncmp(column[c].name, "demographics_", 13))
                continue;
            assert_int_equal(strncmp(mask[m].name, column[c].name, strlen(column[c].name)), 0);
            assert_string_equal(mask[m].group, column[c].group);
            assert_false(mask[m].categorical);
            assert_true(table[i * width + ECG_COLUMNS + m++] == (was % 3 ? 0 : 1));
        }
}

static void lab_classes(void **state)
{
    (void)state;
    static const struct { const char *why; double value; const char *text; double lower, upper; int want; } cases[] = {
        {"below", 3.2, "3.2", 3.3, 5.1, ECG_LAB_LOW},
        {"on the lower limit", 3.3, "3.3", 3.3, 5.1, ECG_LAB_NORMAL},
        {"on the upper limit", 5.1, "5.1", 3.3, 5.1, ECG_LAB_NORMAL},
        {"above", 5.2, "___", 3.3, 5.1, ECG_LAB_HIGH},
        {"only an upper limit", 1, "1", NAN, 5, ECG_LAB_NORMAL},
        {"no range", 1, "1", NAN, NAN, ECG_LAB_UNKNOWN},
        {"troponin below detection", NAN, "<0.01", 0, 0.01, ECG_LAB_NORMAL},
        {"in words", NAN, "LESS THAN 0.01", 0, 0.01, ECG_LAB_NORMAL},
        {"below the lower limit for certain", NAN, "<3", 3.3, 5.1, ECG_LAB_LOW},
        {"below the lower limit, which is the bound", NAN, "<3.3", 3.3, 5.1, ECG_LAB_LOW},
        {"or equal: may be the limit itself", NAN, "<=3.3", 3.3, 5.1, ECG_LAB_UNKNOWN},
        {"low or normal", NAN, "<4", 3.3, 5.1, ECG_LAB_UNKNOWN},
        {"normal or high", NAN, "<0.1", 0, 0.01, ECG_LAB_UNKNOWN},
        {"above for certain", NAN, ">5.1", 3.3, 5.1, ECG_LAB_HIGH},
        {"or equal: may be the upper limit", NAN, ">=5.1", 3.3, 5.1, ECG_LAB_UNKNOWN},
        {"above for certain, with blank", NAN, " > 150", 3.3, 5.1, ECG_LAB_HIGH},
        {"normal or high, from below", NAN, ">4", 3.3, 5.1, ECG_LAB_UNKNOWN},
        {"at least, no upper limit", NAN, ">60", 60, NAN, ECG_LAB_NORMAL},
        {"a limit below 0, passed for certain", NAN, "<-3", -2, 3, ECG_LAB_LOW},
        {"a limit below 0, passed by its bound", NAN, "<-2", -2, 3, ECG_LAB_LOW},
        {"a limit below 0, perhaps passed", NAN, "<1", -2, 3, ECG_LAB_UNKNOWN},
        {"a limit below 0, or equal", NAN, "<=-2", -2, 3, ECG_LAB_UNKNOWN},
        {"a limit below 0, passed to the other side", NAN, ">3", -2, 3, ECG_LAB_HIGH},
        {"below 0 where the limit is 0", NAN, "<-1", 0, 3, ECG_LAB_LOW},
        {"nothing is below 0", NAN, "<0", 0, 3, ECG_LAB_NORMAL},
        {"no lower limit", NAN, "<1", NAN, 3, ECG_LAB_NORMAL},
        {"text", NAN, "NEG", 0, 1, ECG_LAB_UNKNOWN},
        {"sign alone", NAN, "<", 0, 1, ECG_LAB_UNKNOWN},
        {"nothing", NAN, "", 0, 1, ECG_LAB_UNKNOWN},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const ecg_lab_value v = ecg_lab_parse(cases[c].value, cases[c].text, strlen(cases[c].text));
        const int got = ecg_lab_classify(&v, cases[c].lower, cases[c].upper);
        if (got != cases[c].want)
            fail_msg("%s: class %d, expected %d", cases[c].why, got, cases[c].want);
    }
}

static void joins(void **state)
{
    (void)state;
    ecg_ids ids = {0};
    assert_int_equal(ecg_ids_get(&ids, 5), -1);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(ecg_ids_put(&ids, (int64_t)i * 1024 - 7, i, NULL), ECG_OK);
    assert_int_equal(ecg_ids_put(&ids, -7, 99, NULL), ECG_OK);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(ecg_ids_get(&ids, (int64_t)i * 1024 - 7), i); /* the first number stays */
    assert_int_equal(ecg_ids_get(&ids, 1), -1);
    assert_int_equal(ids.n, 5000);
    ecg_ids_clear(&ids);

    ecg_words words = {0};
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 1000; i++) {
            char text[16];
            const int len = snprintf(text, sizeof text, "w%d", i);
            assert_int_equal(ecg_words_put(&words, text, (size_t)len), i);
        }
    assert_int_equal(ecg_words_get(&words, "w7x", 2), 7);
    assert_int_equal(ecg_words_get(&words, "w7x", 3), -1);
    ecg_words_clear(&words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nine_statistics), cmocka_unit_test(columns_of_the_published_table), cmocka_unit_test(codes_to_labels),
        cmocka_unit_test(mapping_of_icd9), cmocka_unit_test(scp_dictionaries),               cmocka_unit_test(lab_classes),
        cmocka_unit_test(joins),
        cmocka_unit_test(printed_lists),   cmocka_unit_test(masks_behind_the_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
