/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cohort/describe.h"
#include "cohort/store.h"
#include "study/loader.h"

enum { N = 5, SAMPLES = 300, LEADS = 12, COLUMNS = 2, K = 2 };

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ecgraft-store-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/a.cohort", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails if anything else was left */
}

static ecg_contract contract_of_the_test(void)
{
    ecg_contract c;
    ecg_contract_default(&c);
    c.samples = SAMPLES;
    c.columns = COLUMNS;
    c.column = calloc(COLUMNS, sizeof *c.column);
    c.column[0] = (ecg_column){"demographics_age", false, 0, "years", "routine"};
    c.column[1] = (ecg_column){"demographics_gender", true, 2, "", "routine"};
    c.sets = 1;
    c.table = calloc(1, sizeof *c.table);
    snprintf(c.table->set, sizeof c.table->set, "diagnoses");
    c.table->n = K;
    c.table->label = calloc(K, sizeof *c.table->label);
    c.table->label[0] = (ecg_label){.code = "I10", .title = "Essential \"hypertension\"", .count = 2};
    c.table->label[1] = (ecg_label){.code = "I48", .title = "Atrial fibrillation and flutter", .count = 1};
    ecg_label_table_hash(c.table);
    return c;
}

/* What a case changes before the commit. */
typedef struct {
    const char *why;
    int fold[N];
    float valid, gender;
    int8_t label;
    ecg_status commit, open;
} change;
static const change good = {"nothing", {1, 1, 2, 3, 4}, 300, 1, 1, ECG_OK, ECG_OK};

static ecg_status write_cohort(const change *x, ecg_err *err)
{
    ecg_contract c = contract_of_the_test();
    ecg_cohort_builder *b;
    ecg_roles roles;
    float *signal = malloc(SAMPLES * LEADS * sizeof *signal), tabular[N * COLUMNS];
    int8_t label[N * K] = {1, 0, 0, 1, 0, -1, x->label, 0, 0, 0};
    assert_int_equal(ecg_roles_parse(&roles, "train:1-2,validation:3,test:4", NULL), ECG_OK);
    assert_int_equal(ecg_cohort_create(&b, path, &c, true, err), ECG_OK);
    for (int i = 0; i < N; i++) {
        for (int s = 0; s < SAMPLES * LEADS; s++)
            signal[s] = (float)(i + s % 7);
        const ecg_cohort_row row = {.patient = i < 2 ? 7 : 10 + i, .study = 100 + i, .stay = -1, .ecg_time = 1000 * i, .fold = (uint8_t)x->fold[i],
                                    .first_in_stay = 1, .quality = {i == 2 ? x->valid : SAMPLES}};
        assert_int_equal(ecg_cohort_add(b, signal, &row, err), ECG_OK);
        tabular[i * COLUMNS] = i ? 50 + (float)i : NAN;
        tabular[i * COLUMNS + 1] = i ? 0 : x->gender;
    }
    assert_int_equal(ecg_cohort_count(b), N);
    assert_int_equal(access(path, F_OK), -1); /* nothing under the name before the commit */
    const int8_t *labels[] = {label};
    const ecg_status st = ecg_cohort_commit(b, &c, tabular, labels, &roles, true, "[{\"step\":\"rows\",\"kept\":5,\"dropped\":1}]", "[]", "test", err);
    free(signal);
    ecg_contract_clear(&c);
    return st;
}

static void written_and_read(void **state)
{
    (void)state;
    ecg_err err = {0};
    ecg_cohort c;
    assert_int_equal(write_cohort(&good, &err), ECG_OK);
    if (ecg_cohort_open(&c, path, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(c.n, N);
    assert_true(c.synthetic);
    assert_int_equal(strlen(c.hash), 64);
    assert_int_equal(c.contract.samples, SAMPLES);
    for (int i = 0; i < N; i++) {
        assert_true(c.signal[(size_t)i * SAMPLES * LEADS + 5] == (float)(i + 5));
        assert_int_equal(c.study[i], 100 + i);
        assert_int_equal(c.ecg_time[i], 1000 * i);
        assert_int_equal(c.fold[i], good.fold[i]);
    }
    assert_true(isnan(c.tabular[0]) && c.tabular[2] == 51);
    const ecg_label_table *table;
    const int8_t *y = ecg_cohort_labels(&c, "diagnoses", &table);
    assert_non_null(y);
    assert_int_equal(y[5], -1);
    assert_string_equal(table->label[0].title, "Essential \"hypertension\"");
    assert_null(ecg_cohort_labels(&c, "labs", NULL));
    assert_int_equal(ecg_cohort_role(&c, &c.roles, 3), ECG_VALIDATION);

    ecg_cohort_summary s;
    assert_int_equal(ecg_cohort_summarise(&s, &c, &err), ECG_OK);
    assert_int_equal(s.patients, 4);
    assert_int_equal(s.patients_in_two_folds, 0);
    assert_int_equal(s.role_records[ECG_TRAIN], 3);
    assert_int_equal(s.role_patients[ECG_TRAIN], 2);
    assert_int_equal(s.missing[0], 1);
    assert_int_equal(s.positive[0][ECG_TRAIN], 1);
    assert_int_equal(s.known[0][1 * ECG_ROLES + ECG_TRAIN], 2);
    ecg_text text = {0};
    assert_int_equal(ecg_cohort_summary_text(&text, &c, &s, true, &err), ECG_OK);
    assert_non_null(strstr(text.at, "synthetic cohort"));
    ecg_text_clear(&text);
    assert_int_equal(ecg_cohort_summary_json(&text, &c, &s, &err), ECG_OK);
    assert_non_null(strstr(text.at, "\"patients_in_two_folds\": 0"));
    ecg_text_clear(&text);
    ecg_cohort_summary_clear(&s);
    ecg_cohort_close(&c);
}

static void hash_names_the_content(void **state)
{
    (void)state;
    ecg_cohort c;
    char first[65];
    change other = good;
    other.label = 0;
    for (int round = 0; round < 3; round++) {
        unlink(path);
        assert_int_equal(write_cohort(round < 2 ? &good : &other, NULL), ECG_OK);
        assert_int_equal(ecg_cohort_open(&c, path, NULL), ECG_OK);
        if (!round)
            memcpy(first, c.hash, sizeof first);
        else if (round == 1)
            assert_string_equal(c.hash, first);
        else
            assert_string_not_equal(c.hash, first);
        ecg_cohort_close(&c);
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const change cases[] = {
        {"a patient in two folds", {1, 2, 2, 3, 4}, 300, 1, 1, ECG_EDATA, ECG_OK},
        {"fold 32", {1, 1, 32, 3, 4}, 300, 1, 1, ECG_EDATA, ECG_OK},
        {"label 2", {1, 1, 2, 3, 4}, 300, 1, 2, ECG_OK, ECG_EDATA},
        {"fewer valid samples than a crop", {1, 1, 2, 3, 4}, 249, 1, 1, ECG_OK, ECG_EDATA},
        {"more valid samples than there are", {1, 1, 2, 3, 4}, 301, 1, 1, ECG_OK, ECG_EDATA},
        {"a category outside the vocabulary", {1, 1, 2, 3, 4}, 300, 2, 1, ECG_OK, ECG_EDATA},
        {"half a category", {1, 1, 2, 3, 4}, 300, 0.5f, 1, ECG_OK, ECG_EDATA},
        {"a category that is missing is fine", {1, 1, 2, 3, 4}, 300, NAN, 1, ECG_OK, ECG_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_err err = {0};
        ecg_cohort c;
        unlink(path);
        ecg_status st = write_cohort(&cases[i], &err);
        if (st != cases[i].commit)
            fail_msg("%s: commit gives %d (%s), expected %d", cases[i].why, st, err.msg, cases[i].commit);
        if (st) {
            assert_int_equal(access(path, F_OK), -1);
            continue;
        }
        st = ecg_cohort_open(&c, path, &err);
        if (st != cases[i].open)
            fail_msg("%s: open gives %d (%s), expected %d", cases[i].why, st, err.msg, cases[i].open);
        if (st) {
            assert_string_equal(err.path, path);
            assert_null(c.file);
        }
        ecg_cohort_close(&c);
    }
}

/* Tables alone: everything but the signals, and whoever would train on them is told so. */
static void without_waveforms(void **state)
{
    (void)state;
    ecg_err err = {0};
    ecg_contract c = contract_of_the_test();
    ecg_cohort_builder *b;
    ecg_roles roles;
    ecg_cohort read;
    ecg_loader loader;
    const float tabular[2 * COLUMNS] = {40, 0, 50, 1}, signal[SAMPLES * LEADS] = {0};
    const int8_t label[2 * K] = {1, 0, 0, 1}, *const labels[] = {label};
    unlink(path);
    assert_int_equal(ecg_roles_parse(&roles, "train:1,validation:2", NULL), ECG_OK);
    assert_int_equal(ecg_cohort_create(&b, path, &c, false, &err), ECG_OK);
    for (int i = 0; i < 2; i++) {
        const ecg_cohort_row row = {.patient = i, .study = 100 + i, .stay = -1, .fold = (uint8_t)(1 + i), .first_in_stay = 1};
        assert_int_equal(ecg_cohort_add(b, signal, &row, &err), ECG_EARG);
        assert_int_equal(ecg_cohort_add(b, NULL, &row, &err), ECG_OK);
    }
    if (ecg_cohort_commit(b, &c, tabular, labels, &roles, true, "[]", "[]", "test", &err) || ecg_cohort_open(&read, path, &err))
        fail_msg("%s", err.msg);
    assert_true(ecg_file_size(path) < 5 << 20); /* the reserve of the header is 4 MiB */
    assert_int_equal(read.n, 2);
    assert_null(read.signal);
    assert_int_equal(read.contract.samples, SAMPLES);
    assert_int_equal(read.contract.leads, LEADS);
    assert_int_equal(read.study[1], 101);
    assert_true(read.quality[0] == 0 && read.tabular[2] == 50 && read.label[0][3] == 1);
    assert_string_equal(ecg_tensors_meta(read.file, "waveforms"), "false");
    assert_int_equal(ecg_loader_open(&loader, &read, NULL, 250, 42, &err), ECG_EUNSUPPORTED);
    assert_string_equal(err.msg, "the cohort has no recordings: it was built with --no-waveforms");
    ecg_cohort_close(&read);
    assert_int_equal(ecg_cohort_create(&b, path, &c, true, &err), ECG_OK);
    assert_int_equal(ecg_cohort_add(b, NULL, &(ecg_cohort_row){0}, &err), ECG_EARG);
    ecg_cohort_abort(b);
    ecg_contract_clear(&c);
}

static void abort_leaves_nothing(void **state)
{
    (void)state;
    ecg_contract c = contract_of_the_test();
    ecg_cohort_builder *b;
    unlink(path);
    assert_int_equal(ecg_cohort_create(&b, path, &c, true, NULL), ECG_OK);
    ecg_cohort_abort(b);
    assert_int_equal(access(path, F_OK), -1); /* the folder's removal proves that no temporary file is left either */
    ecg_contract_clear(&c);
}

static void roles_as_text(void **state)
{
    (void)state;
    static const struct { const char *text, *want; } cases[] = {
        {"train:0-17,validation:18,test:19", "train:0-17,validation:18,test:19"},
        {"test:19,train:0-3,5,7-8,validation:18", "train:0-3,5,7-8,validation:18,test:19"},
        {"train:1,train:2", "train:1-2"},
        {"train:31", "train:31"},
        {"train:0-3,validation:3", NULL},
        {"train:0-32", NULL},
        {"train:5-3", NULL},
        {"train:-1", NULL},
        {"train:x", NULL},
        {"training:0", NULL},
        {"3,train:1", NULL},
        {"train:", NULL},
        {"", NULL},
        {"train:99999999999999999999", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_roles r;
        char got[256] = "";
        const ecg_status st = ecg_roles_parse(&r, cases[i].text, NULL);
        if (!st)
            ecg_roles_text(got, sizeof got, &r);
        if ((st == ECG_OK) != (cases[i].want != NULL) || (!st && strcmp(got, cases[i].want)))
            fail_msg("\"%s\" gives \"%s\" (%d)", cases[i].text, got, st);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read), cmocka_unit_test(hash_names_the_content), cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(without_waveforms),
        cmocka_unit_test(abort_leaves_nothing), cmocka_unit_test(roles_as_text),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
