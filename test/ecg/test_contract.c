/* SPDX-License-Identifier: MIT
 * The contract: default, hash of label tables, JSON there and back, hostile JSON, and the first difference of two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ecg/contract.h"

static void set(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text);
}
#define SET(field, text) set(field, sizeof field, text)

/* Two columns and two tables; everything a contract can hold. */
static void make(ecg_contract *c)
{
    ecg_contract_default(c);
    c->columns = 2;
    c->column = calloc(2, sizeof *c->column);
    SET(c->column[0].name, "age");
    SET(c->column[0].unit, "years");
    SET(c->column[0].group, "routine");
    SET(c->column[1].name, "acuity");
    c->column[1].categorical = true;
    c->column[1].vocabulary = 5;
    c->sets = 2;
    c->table = calloc(2, sizeof *c->table);
    SET(c->table[0].set, "diagnoses");
    c->table[0].n = 3;
    c->table[0].label = calloc(3, sizeof(ecg_label));
    SET(c->table[0].label[0].code, "I480");
    SET(c->table[0].label[0].title, "Paroxysmal atrial fibrillation");
    c->table[0].label[0].count = 41;
    SET(c->table[0].label[1].code, "E119");
    SET(c->table[0].label[1].title, "Diabetes, \"type 2\"");
    c->table[0].label[1].count = 7;
    SET(c->table[0].label[2].code, "H810");
    SET(c->table[0].label[2].title, "M\xc3\xa9ni\xc3\xa8re");
    SET(c->table[1].set, "labs");
    c->table[1].n = 1;
    c->table[1].label = calloc(1, sizeof(ecg_label));
    SET(c->table[1].label[0].code, "Hemoglobin_low");
    SET(c->table[1].label[0].itemid, "51222");
    SET(c->table[1].label[0].loinc, "718-7");
    SET(c->table[1].label[0].fluid, "Blood");
    for (int s = 0; s < 2; s++)
        ecg_label_table_hash(&c->table[s]);
}

static void the_default(void **state)
{
    (void)state;
    static const char *const order[12] = {"I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "III", "aVR", "aVL", "aVF"};
    ecg_contract c;
    ecg_contract_default(&c);
    assert_int_equal(c.leads, 12);
    for (int l = 0; l < 12; l++)
        assert_string_equal(c.lead[l], order[l]);
    assert_true(c.rate_hz == 100 && c.clip_mv == 3);
    assert_int_equal(c.samples, 1000);
    assert_int_equal(c.crop, 250);
    assert_int_equal(c.columns + c.sets, 0);
    ecg_contract_clear(&c);
}

static void hash_of_the_csv_form(void **state)
{
    (void)state;
    static const char csv[] = "index,code,title,count\n"
                              "0,E119,\"Diabetes, \"\"type 2\"\"\",7\n"
                              "1,H810,M\xc3\xa9ni\xc3\xa8re,0\n"
                              "2,I480,Paroxysmal atrial fibrillation,41\n";
    ecg_contract c;
    make(&c);
    ecg_sha256 h;
    char hex[65];
    ecg_sha256_begin(&h);
    ecg_sha256_add(&h, csv, sizeof csv - 1);
    ecg_sha256_end(&h, hex);
    assert_string_equal(c.table[0].hash, hex);
    assert_string_equal(c.table[0].label[0].code, "E119"); /* sorted on the way */
    ecg_contract_clear(&c);
}

static void titles_become_utf8(void **state)
{
    (void)state;
    static const struct { const char *is, *becomes; } titles[] = {
        {"M\xe9ni\xe8re", "M?ni?re"},
        {"cut in the middle \xc3", "cut in the middle ?"},
        {"cut \xe2\x82", "cut ??"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\x93", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\x93"},
        {"\xc0\x80\xed\xa0\x80\xf5", "??????"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) {
        ecg_contract c, back;
        make(&c);
        SET(c.table[0].label[0].title, titles[i].is);
        ecg_label_table_hash(&c.table[0]);
        assert_string_equal(c.table[0].label[0].title, titles[i].becomes);
        char *json;
        assert_int_equal(ecg_contract_to_json(&json, &c, NULL), ECG_OK);
        assert_int_equal(ecg_contract_from_json(&back, json, NULL), ECG_OK);
        free(json);
        ecg_contract_clear(&c);
        ecg_contract_clear(&back);
    }
}

static void json_there_and_back(void **state)
{
    (void)state;
    ecg_contract c, copy, back;
    ecg_err err;
    char *json, *again;
    make(&c);
    c.rate_hz = 1000.0 / 3;
    assert_int_equal(ecg_contract_copy(&copy, &c, &err), ECG_OK);
    assert_int_equal(ecg_contract_to_json(&json, &copy, &err), ECG_OK);
    ecg_contract_clear(&copy);
    assert_int_equal(ecg_contract_from_json(&back, json, &err), ECG_OK);
    assert_int_equal(ecg_contract_fits(&c, "a", &back, "b", 7, &err), ECG_OK);
    assert_true(back.rate_hz == c.rate_hz);
    const ecg_label_table *labs = ecg_contract_table(&back, "labs");
    assert_string_equal(labs->label[0].loinc, "718-7");
    assert_string_equal(labs->label[0].itemid, "51222");
    assert_string_equal(labs->label[0].fluid, "Blood");
    assert_int_equal(ecg_contract_table(&back, "diagnoses")->label[2].count, 41);
    assert_true(back.column[1].categorical);
    assert_int_equal(back.column[1].vocabulary, 5);
    assert_null(ecg_contract_table(&back, "superclass"));
    assert_int_equal(ecg_contract_to_json(&again, &back, &err), ECG_OK);
    assert_string_equal(json, again);
    free(json);
    free(again);
    ecg_contract_clear(&c);
    ecg_contract_clear(&back);
}

/* One change to a good text each. */
static void hostile_json_is_refused(void **state)
{
    (void)state;
    static const struct { const char *why, *from, *to; ecg_status status; } changes[] = {
        {"nothing changed", "", "", ECG_OK},
        {"no JSON", "{", "", ECG_EDATA},
        {"a key twice", "\"crop\":250", "\"crop\":250,\"crop\":250", ECG_EDATA},
        {"a rate of 0", "\"rate_hz\":100.0", "\"rate_hz\":0", ECG_EDATA},
        {"a negative rate", "\"rate_hz\":100.0", "\"rate_hz\":-100", ECG_EDATA},
        {"a rate that is a text", "\"rate_hz\":100.0", "\"rate_hz\":\"100\"", ECG_EDATA},
        {"no rate", "\"rate_hz\":100.0,", "", ECG_EDATA},
        {"another unit", "\"unit\":\"mV\"", "\"unit\":\"V\"", ECG_EUNSUPPORTED},
        {"another filter", "kaiser_best", "kaiser_fast", ECG_EUNSUPPORTED},
        {"a lead twice", "\"II\"", "\"I\"", ECG_EDATA},
        {"a lead that is none", "\"V6\"", "\"V7\"", ECG_EDATA},
        {"thirteen leads", "\"aVF\"]", "\"aVF\",\"I\"]", ECG_EDATA},
        {"a crop longer than the record", "\"crop\":250", "\"crop\":1001", ECG_EDATA},
        {"an absurd length", "\"samples\":1000", "\"samples\":4000000000", ECG_EDATA},
        {"a negative clip", "\"clip_mv\":3.0", "\"clip_mv\":-1", ECG_EDATA},
        {"two columns of a name", "\"acuity\"", "\"age\"", ECG_EDATA},
        {"a kind that is none", "\"categorical\"", "\"ordinal\"", ECG_EDATA},
        {"a vocabulary of 0", "\"vocabulary\":5", "\"vocabulary\":0", ECG_EDATA},
        {"columns that are no list", "\"columns\":[", "\"columns\":{},\"x\":[", ECG_EDATA},
        {"a code changed", "\"E119\"", "\"E118\"", ECG_EDATA},
        {"a count changed", "\"count\":41", "\"count\":42", ECG_EDATA},
        {"a negative count", "\"count\":41", "\"count\":-1", ECG_EDATA},
        {"codes out of order", "\"E119\"", "\"Z119\"", ECG_EDATA},
        {"an index out of order", "\"index\":1", "\"index\":2", ECG_EDATA},
        {"a set of the same name", "\"set\":\"labs\"", "\"set\":\"diagnoses\"", ECG_EDATA},
        {"no title", "\"title\":\"Paroxysmal atrial fibrillation\",", "", ECG_EDATA},
        {"an item id too long", "\"51222\"", "\"5122251222512225122251222\"", ECG_EDATA},
        {"a text that ends early", "\"Blood\"", "\"Blood\\u0000\"", ECG_EDATA},
    };
    ecg_contract c;
    char *json;
    make(&c);
    assert_int_equal(ecg_contract_to_json(&json, &c, NULL), ECG_OK);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *at = strstr(json, changes[i].from), *changed = malloc(strlen(json) + 200);
        if (!at)
            print_error("%s: \"%s\" is not in %s\n", changes[i].why, changes[i].from, json);
        assert_non_null(at);
        sprintf(changed, "%.*s%s%s", (int)(at - json), json, changes[i].to, at + strlen(changes[i].from));
        ecg_contract back;
        ecg_err err = {0};
        const ecg_status st = ecg_contract_from_json(&back, changed, &err);
        if (st != changes[i].status)
            print_error("%s: %s\n", changes[i].why, err.msg);
        assert_int_equal(st, changes[i].status);
        assert_true(!st == !err.msg[0]);
        ecg_contract_clear(&back); /* empty after a failure */
        free(changed);
    }
    free(json);
    ecg_contract_clear(&c);
}

static void the_first_difference(void **state)
{
    (void)state;
    static const struct { unsigned parts; const char *msg; } want[] = {
        {ECG_CONTRACT_SIGNAL, "rate: 500 Hz in the cohort, 100 Hz in the model"},
        {ECG_CONTRACT_SIGNAL, "lead 3: \"V2\" in the cohort, \"V1\" in the model"},
        {ECG_CONTRACT_SIGNAL, "clipping: 5 mV in the cohort, 3 mV in the model"},
        {ECG_CONTRACT_COLUMNS, "tabular columns: 1 in the cohort, 2 in the model"},
        {ECG_CONTRACT_COLUMNS, "column 1: \"height\" in the cohort, \"age\" in the model"},
        {ECG_CONTRACT_COLUMNS, "column acuity: 6 values in the cohort, 5 values in the model"},
        {ECG_CONTRACT_TABLES, "label table \"labs\": 0 labels in the cohort, 1 labels in the model"},
        {ECG_CONTRACT_TABLES, "label table \"diagnoses\": \"E110\" in the cohort, \"E119\" in the model"},
        {ECG_CONTRACT_TABLES, "label table \"other\": in the cohort, not in the model"},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        ecg_contract a, b;
        ecg_err err;
        make(&a);
        make(&b);
        assert_int_equal(ecg_contract_fits(&a, "the cohort", &b, "the model", 7, &err), ECG_OK);
        switch (i) {
        case 0: a.rate_hz = 500; break;
        case 1: SET(a.lead[2], "V2"); break;
        case 2: a.clip_mv = 5; break;
        case 3: a.columns = 1; break;
        case 4: SET(a.column[0].name, "height"); break;
        case 5: a.column[1].vocabulary = 6; break;
        case 6: a.table[1].n = 0; break;
        case 7: SET(a.table[0].label[0].code, "E110"); break;
        default: SET(a.table[1].set, "other"); break;
        }
        assert_int_equal(ecg_contract_fits(&a, "the cohort", &b, "the model", 7, &err), ECG_ECONTRACT);
        assert_string_equal(err.msg, want[i].msg);
        assert_int_equal(ecg_contract_fits(&a, "the cohort", &b, "the model", 7 & ~want[i].parts, &err), ECG_OK);
        ecg_contract_clear(&a);
        ecg_contract_clear(&b);
    }
}

/* A categorical column may say what its values stand for; files without that stay as they were. */
static void words_of_a_column(void **state)
{
    (void)state;
    static const char good[] = "\"words\":[\"F\",\"M\"]";
    static const struct { const char *why, *words; ecg_status status; } changes[] = {
        {"as written", good, ECG_OK},
        {"none, as in older files", "\"x\":0", ECG_OK},
        {"one too few", "\"words\":[\"F\"]", ECG_EDATA},
        {"one too many", "\"words\":[\"F\",\"M\",\"X\"]", ECG_EDATA},
        {"no list", "\"words\":\"FM\"", ECG_EDATA},
        {"a number", "\"words\":[\"F\",1]", ECG_EDATA},
        {"an empty one", "\"words\":[\"F\",\"\"]", ECG_EDATA},
        {"one twice", "\"words\":[\"F\",\"F\"]", ECG_EDATA},
        {"two lines", "\"words\":[\"F\",\"M\\nX\"]", ECG_EDATA},
        {"64 bytes", "\"words\":[\"F\",\"MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM\"]", ECG_EDATA},
    };
    ecg_contract c, copy, back;
    ecg_err err;
    char *json;
    make(&c);
    c.column[1].vocabulary = 2;
    c.words = calloc(2, sizeof *c.words);
    c.words[1] = strdup("F\nM");
    assert_int_equal(ecg_contract_copy(&copy, &c, &err), ECG_OK);
    assert_int_equal(ecg_contract_to_json(&json, &copy, &err), ECG_OK);
    ecg_contract_clear(&copy);
    const char *at = strstr(json, good);
    assert_non_null(at);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *changed = malloc(strlen(json) + 200);
        sprintf(changed, "%.*s%s%s", (int)(at - json), json, changes[i].words, at + sizeof good - 1);
        const ecg_status st = ecg_contract_from_json(&back, changed, &err);
        if (st != changes[i].status)
            print_error("%s\n", changes[i].why);
        assert_int_equal(st, changes[i].status);
        if (!i) {
            assert_string_equal(back.words[1], "F\nM");
            assert_null(back.words[0]);
            assert_int_equal(ecg_contract_fits(&c, "a", &back, "b", ECG_CONTRACT_COLUMNS, &err), ECG_OK);
            memcpy(back.words[1], "M\nW", 3);
            assert_int_equal(ecg_contract_fits(&c, "the cohort", &back, "the model", ECG_CONTRACT_COLUMNS, &err), ECG_ECONTRACT);
            assert_string_equal(err.msg, "column acuity: \"F/M\" in the cohort, \"M/W\" in the model");
        } else if (!st) {
            assert_null(back.words);
            assert_int_equal(ecg_contract_fits(&c, "a", &back, "b", ECG_CONTRACT_COLUMNS, &err), ECG_ECONTRACT);
        }
        ecg_contract_clear(&back);
        free(changed);
    }
    free(json);
    ecg_contract_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default),
        cmocka_unit_test(hash_of_the_csv_form),
        cmocka_unit_test(titles_become_utf8),
        cmocka_unit_test(json_there_and_back),
        cmocka_unit_test(hostile_json_is_refused),
        cmocka_unit_test(the_first_difference),
        cmocka_unit_test(words_of_a_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
