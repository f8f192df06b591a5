/* SPDX-License-Identifier: MIT
 * Stage 1 with other columns, other partners, another loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/bundle.h"
#include "study/align.h"
#include "study/finetune.h"
#include "study/pairs.h"
#include "study/pretrain.h"
#include "tiny_runs.h"

#define SETTINGS                                                                                                                        \
    "encoder.width=8;encoder.blocks=2;encoder.state=4;encoder.length=50;projector.hidden=12;projector.out=8;pretrain.batch=32;"          \
    "pretrain.epochs=4;pretrain.updates=0;pretrain.lr=0.003;finetune.batch=32;finetune.epochs=2;finetune.updates=0;finetune.head_hidden=8"

static ecg_status try_pretrain(const tiny_run *a, ecg_err *err)
{
    return tiny_try(a, SETTINGS, ecg_pretrain, err);
}

static void pretrain(const tiny_run *a)
{
    ecg_err err = {0};
    if (try_pretrain(a, &err))
        fail_msg("%s: %s", a->run, err.msg);
}

static ecg_status finetune_diagnoses(const ecg_study *s, ecg_err *err)
{
    return ecg_finetune(s, false, err);
}

/* ---- partners ----------------------------------------------------------------------------------------------------------- */

enum { MOST = 400 };

/* A cohort of patients alone. */
static ecg_cohort people(const int64_t *patient, int64_t n)
{
    return (ecg_cohort){.patient = patient, .n = n, .path = "people"};
}

static void check_partners(const char *why, const uint32_t *partner, const ecg_cohort *c, const ecg_rows *rows)
{
    int seen[MOST] = {0};
    for (int64_t i = 0; i < rows->n; i++) {
        const uint32_t row = rows->row[i], other = partner[row];
        if (other >= (uint32_t)c->n)
            fail_msg("%s: row %u has no partner", why, row);
        if (other == row || (c->patient[row] >= 0 && c->patient[row] == c->patient[other]))
            fail_msg("%s: row %u of patient %d stands beside row %u of patient %d", why, row, (int)c->patient[row], other, (int)c->patient[other]);
        seen[other]++;
    }
    for (int64_t i = 0; i < rows->n; i++)
        if (seen[rows->row[i]] != 1)
            fail_msg("%s: row %u is the partner of %d rows", why, rows->row[i], seen[rows->row[i]]);
}

static void partners_are_of_other_patients(void **state)
{
    (void)state;
    static const struct { const char *why; int rows, largest, each; bool unknown; } cases[] = {
        {"two rows of two patients", 2, 1, 1, false},
        {"one row a patient", 101, 1, 1, false},
        {"patients of seven", 140, 7, 7, false},
        {"one patient has half, the others one", 100, 50, 1, false},
        {"one patient has half, the other too", 100, 50, 50, false},
        {"one patient has almost half", 101, 50, 3, false},
        {"three patients of a third", 99, 33, 33, false},
        {"patients unknown: each a patient", 60, 1, 1, true},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (uint64_t seed = 0; seed < 40; seed++) {
            int64_t patient[MOST];
            uint32_t row[MOST], partner[MOST], again[MOST];
            const int64_t n = cases[k].rows;
            memset(partner, 0xff, sizeof partner);
            memset(again, 0xff, sizeof again);
            for (int i = 0; i < 2 * n; i++) { /* the rows that are asked about are every second one */
                const int at = i / 2, who = at < cases[k].largest ? 0 : 1 + (at - cases[k].largest) / cases[k].each;
                patient[i] = cases[k].unknown ? -1 : i % 2 ? 500 : who;
            }
            for (int i = 0; i < n; i++)
                row[i] = (uint32_t)(2 * i);
            const ecg_cohort c = people(patient, 2 * n);
            const ecg_rows rows = {row, n};
            assert_int_equal(ecg_pairs_shuffle(partner, &c, &rows, seed, ECG_TRAIN, NULL), ECG_OK);
            check_partners(cases[k].why, partner, &c, &rows);
            for (int i = 0; i < n; i++)
                assert_int_equal(partner[2 * i + 1], UINT32_MAX); /* the others are left alone */
            assert_int_equal(ecg_pairs_shuffle(again, &c, &rows, seed, ECG_TRAIN, NULL), ECG_OK);
            assert_memory_equal(partner, again, sizeof partner);
            assert_int_equal(ecg_pairs_shuffle(again, &c, &rows, seed + 1, ECG_TRAIN, NULL), ECG_OK);
            assert_true(n < 10 || memcmp(partner, again, sizeof partner));
            assert_int_equal(ecg_pairs_shuffle(again, &c, &rows, seed, ECG_VALIDATION, NULL), ECG_OK);
            assert_true(n < 10 || memcmp(partner, again, sizeof partner));
        }
}

/* Each of the other rows can be the partner, and none is favoured by more than what the repairs bring at twelve rows: a third. */
static void partners_are_drawn_evenly(void **state)
{
    (void)state;
    enum { N = 12, DRAWS = 6000 };
    int64_t patient[N];
    uint32_t row[N], partner[N];
    int count[N][N] = {{0}};
    for (int i = 0; i < N; i++) {
        patient[i] = i / 2; /* ten others a row */
        row[i] = (uint32_t)i;
    }
    const ecg_cohort c = people(patient, N);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        assert_int_equal(ecg_pairs_shuffle(partner, &c, &(ecg_rows){row, N}, seed, 0, NULL), ECG_OK);
        for (int i = 0; i < N; i++)
            count[i][partner[i]]++;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            if (i / 2 == j / 2 ? count[i][j] != 0 : abs(count[i][j] - DRAWS / 10) > DRAWS / 30)
                fail_msg("row %d got the table of row %d %d times of %d", i, j, count[i][j], DRAWS);
}

static void one_patient_with_more_than_half_is_refused(void **state)
{
    (void)state;
    static const struct { int rows, largest; } cases[] = {{1, 1}, {3, 2}, {100, 51}, {101, 51}, {7, 7}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t patient[MOST];
        uint32_t row[MOST], partner[MOST];
        char says[64];
        ecg_err err = {0};
        for (int i = 0; i < cases[k].rows; i++) {
            patient[i] = i < cases[k].largest ? 7 : 100 + i;
            row[i] = (uint32_t)i;
        }
        const ecg_cohort c = people(patient, cases[k].rows);
        assert_int_equal(ecg_pairs_shuffle(partner, &c, &(ecg_rows){row, cases[k].rows}, 1, 0, &err), ECG_EDATA);
        snprintf(says, sizeof says, "%d of %d records are of one patient", cases[k].largest, cases[k].rows);
        if (!strstr(err.msg, says))
            fail_msg("%s", err.msg);
    }
    ecg_cohort c = people(NULL, 0);
    assert_int_equal(ecg_pairs_shuffle(NULL, &c, &(ecg_rows){NULL, 0}, 1, 0, NULL), ECG_OK); /* nobody to be moved */
}

static void shuffled_pairs_have_nothing_to_say(void **state)
{
    (void)state;
    char said[4000] = "", record[300];
    int same, other;
    ecg_model m;
    char path[256];
    pretrain(&(tiny_run){.run = "pairs", .more = "pretrain.epochs=30"});
    pretrain(&(tiny_run){.run = "shuffled", .more = "pretrain.epochs=30;train.shuffle_pairs=true", .said = said});
    assert_non_null(strstr(said, "the table of another patient"));
    tiny_compare(&same, &other, "pairs", "shuffled", "ecg.s4_layers.0.output");
    assert_true(same == 0 && other > 0);
    /* 96 pairs can be learnt by heart, but what was learnt does not hold for the pairs of validation */
    if (!(tiny_metric("pairs", -1, "validation_loss") < 0.8 * tiny_metric("shuffled", -1, "validation_loss")))
        fail_msg("validation %g with pairs, %g without", tiny_metric("pairs", -1, "validation_loss"), tiny_metric("shuffled", -1, "validation_loss"));
    assert_int_equal(ecg_model_load(&m, tiny_path(path, "shuffled/model.safetensors"), false, false, NULL), ECG_OK);
    snprintf(record, sizeof record, "%.299s", strstr(m.record, "\"shuffled_pairs\"") ? "told" : m.record);
    assert_string_equal(record, "told");
    ecg_model_clear(&m);
}

/* ---- groups of columns -------------------------------------------------------------------------------------------------- */

/* The cohort with the columns of one group changed beyond recognition. */
static void change_columns(ecg_cohort *c, float *room, const char *group)
{
    memcpy(room, c->tabular, (size_t)c->n * TINY_COLUMNS * sizeof *room);
    for (int64_t i = 0; i < c->n; i++)
        for (int j = 0; j < TINY_COLUMNS; j++)
            if (strcmp(c->contract.column[j].group, group) == 0)
                room[i * TINY_COLUMNS + j] = c->contract.column[j].categorical ? (float)((i + j) % 3) : (float)(i % 17);
    c->tabular = room;
}

static void only_the_group_is_read(void **state)
{
    (void)state;
    static const struct { const char *group, *away; bool same; } cases[] = {
        {"routine", "lab", true}, {"routine", "routine", false}, {"lab", "routine", true}, {"lab", "lab", false}, {"all", "lab", false}, {"all", "routine", false}};
    static const tiny usual = {.patients = 96, .per_patient = 2, .samples = 200, .seed = 1};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char more[128];
        int same, other, table_same, table_other;
        ecg_cohort c;
        const float *own;
        tiny_open(&c, "usual.cohort", &usual);
        float *room = malloc((size_t)c.n * TINY_COLUMNS * sizeof *room);
        assert_non_null(room);
        snprintf(more, sizeof more, "pretrain.tabular=%s;pretrain.epochs=1", cases[k].group);
        pretrain(&(tiny_run){.run = "as_it_is", .more = more, .force = true});
        own = c.tabular;
        change_columns(&c, room, cases[k].away);
        pretrain(&(tiny_run){.run = "changed", .more = more, .force = true, .changed = &c});
        tiny_compare(&same, &other, "as_it_is", "changed", "ecg.s4_layers.1.output");
        tiny_compare(&table_same, &table_other, "as_it_is", "changed", "tab.");
        if (cases[k].same ? other + table_other > 0 : same + table_same > other + table_other)
            fail_msg("%s columns, %s changed: %d tensors of the encoder as before, %d not", cases[k].group, cases[k].away, same, other);
        c.tabular = own;
        ecg_cohort_close(&c);
        free(room);
    }
}

static void a_model_of_a_group_goes_on(void **state)
{
    (void)state;
    char path[256];
    ecg_model m;
    ecg_err err = {0};
    pretrain(&(tiny_run){.run = "of_routine", .more = "pretrain.tabular=routine"});
    assert_int_equal(ecg_model_load(&m, tiny_path(path, "of_routine/model.safetensors"), false, true, NULL), ECG_OK);
    assert_string_equal(m.group, "routine");
    assert_int_equal(m.tab.continuous, 2); /* age, never_measured */
    assert_int_equal(m.tab.categorical, 1);
    ecg_model_clear(&m);
    if (tiny_try(&(tiny_run){.run = "of_routine2", .from = "of_routine"}, SETTINGS, finetune_diagnoses, &err))
        fail_msg("%s", err.msg);
    pretrain(&(tiny_run){.run = "of_all", .more = "pretrain.tabular=all"});
    assert_int_equal(ecg_model_load(&m, tiny_path(path, "of_all/model.safetensors"), false, true, NULL), ECG_OK);
    assert_int_equal(m.tab.continuous, 3);
    ecg_model_clear(&m);
}

static void a_group_that_is_not_there_is_refused(void **state)
{
    (void)state;
    static const tiny usual = {.patients = 96, .per_patient = 2, .samples = 200, .seed = 1};
    char path[256];
    ecg_cohort c;
    ecg_err err = {0};
    tiny_open(&c, "usual.cohort", &usual);
    for (int j = 0; j < TINY_COLUMNS; j++)
        snprintf(c.contract.column[j].group, sizeof c.contract.column[j].group, "routine");
    assert_int_equal(try_pretrain(&(tiny_run){.run = "x", .changed = &c, .more = "pretrain.tabular=lab"}, &err), ECG_ECONTRACT);
    assert_non_null(strstr(err.msg, "no tabular columns of the group 'lab'"));
    assert_int_not_equal(access(tiny_path(path, "x"), F_OK), 0);
    ecg_cohort_close(&c);
}

/* ---- VICReg ------------------------------------------------------------------------------------------------------------- */

static void vicreg_learns(void **state)
{
    (void)state;
    pretrain(&(tiny_run){.run = "vicreg", .more = "pretrain.loss=vicreg;pretrain.epochs=30"});
    assert_true(tiny_metric("vicreg", -1, "loss") < 0.8 * tiny_metric("vicreg", 1, "loss"));
    assert_true(tiny_metric("vicreg", -1, "validation_loss") < 0.9 * tiny_metric("vicreg", 1, "validation_loss"));
    pretrain(&(tiny_run){.run = "weighted", .more = "pretrain.loss=vicreg;pretrain.epochs=1;pretrain.variance=5;pretrain.invariance=1;pretrain.covariance=0.1"});
    assert_true(tiny_metric("weighted", 1, "loss") < 0.5 * tiny_metric("vicreg", 1, "loss"));
}

/* ---- all of them -------------------------------------------------------------------------------------------------------- */

static void threads_and_pauses_change_nothing(void **state)
{
    (void)state;
    static const char *const options[] = {"pretrain.loss=vicreg", "train.shuffle_pairs=true", "pretrain.tabular=lab",
                                          "train.shuffle_pairs=true;pretrain.loss=vicreg;pretrain.tabular=routine"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char more[200];
        ecg_err err = {0};
        pretrain(&(tiny_run){.run = "whole", .more = options[i], .force = true});
        snprintf(more, sizeof more, "%s;train.memory_mb=0", options[i]);
        pretrain(&(tiny_run){.run = "threads", .more = more, .threads = 3, .force = true});
        tiny_same_weights("whole", "threads");
        assert_int_equal(try_pretrain(&(tiny_run){.run = "part", .more = options[i], .stop_at = 6, .force = true}, &err), ECG_EINTR);
        pretrain(&(tiny_run){.run = "part", .more = options[i], .resume = true, .threads = 2});
        tiny_same_weights("whole", "part");
        assert_int_equal(try_pretrain(&(tiny_run){.run = "part", .resume = true}, &err), ECG_EARG); /* the settings belong to the run */
        assert_non_null(strstr(err.msg, "the run cannot be continued with other settings"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partners_are_of_other_patients),
        cmocka_unit_test(partners_are_drawn_evenly),
        cmocka_unit_test(one_patient_with_more_than_half_is_refused),
        cmocka_unit_test(shuffled_pairs_have_nothing_to_say),
        cmocka_unit_test(only_the_group_is_read),
        cmocka_unit_test(a_model_of_a_group_goes_on),
        cmocka_unit_test(a_group_that_is_not_there_is_refused),
        cmocka_unit_test(vicreg_learns),
        cmocka_unit_test(threads_and_pauses_change_nothing),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
