/* SPDX-License-Identifier: MIT
 * Rows by role, halves of validation, crops, orders, imputation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/loader.h"
#include "tiny_cohort.h"

static const tiny usual = {.patients = 60, .per_patient = 2, .samples = 300, .seed = 1};
static const tiny many = {.patients = 1500, .per_patient = 1, .samples = 64, .seed = 2}; /* 250 validation patients: cut */
static const tiny broken = {.patients = 30, .per_patient = 1, .samples = 64, .infinite = true, .seed = 3};
static const tiny shorter = {.patients = 60, .per_patient = 1, .samples = 300, .short_records = true, .seed = 4};

static void rows_follow_the_roles(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_loader l;
    ecg_roles other;
    tiny_open(&c, "usual.cohort", &usual);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 64, 42, NULL), ECG_OK);
    assert_int_equal(l.role[ECG_TRAIN].n, 80);
    assert_int_equal(l.role[ECG_VALIDATION].n, 20);
    assert_int_equal(l.role[ECG_TEST].n, 20);
    assert_int_equal(l.patients[ECG_VALIDATION], 10);
    assert_false(l.cut);
    for (int h = 0; h < 2; h++)
        assert_memory_equal(l.half[h].row, l.role[ECG_VALIDATION].row, 20 * sizeof(uint32_t));
    ecg_loader_close(&l);
    assert_int_equal(ecg_roles_parse(&other, "train:0,validation:1-2,test:3", NULL), ECG_OK);
    assert_int_equal(ecg_loader_open(&l, &c, &other, 64, 42, NULL), ECG_OK);
    assert_int_equal(l.role[ECG_TRAIN].n, 20);
    assert_int_equal(l.role[ECG_VALIDATION].n, 40);
    for (int64_t i = 0; i < l.role[ECG_VALIDATION].n; i++)
        assert_in_range(c.fold[l.role[ECG_VALIDATION].row[i]], 1, 2);
    ecg_loader_close(&l);
    ecg_cohort_close(&c);
}

static void validation_is_cut_by_patient(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_loader l, other;
    tiny_open(&c, "many.cohort", &many);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 64, 42, NULL), ECG_OK);
    assert_true(l.cut);
    assert_int_equal(l.half[0].n, 125);
    assert_int_equal(l.half[1].n, 125);
    for (int64_t a = 0; a < l.half[0].n; a++)
        for (int64_t b = 0; b < l.half[1].n; b++)
            assert_int_not_equal(c.patient[l.half[0].row[a]], c.patient[l.half[1].row[b]]);
    assert_int_equal(ecg_loader_open(&other, &c, NULL, 64, 43, NULL), ECG_OK);
    assert_memory_not_equal(l.half[0].row, other.half[0].row, 125 * sizeof(uint32_t));
    ecg_loader_close(&l);
    ecg_loader_close(&other);
    ecg_cohort_close(&c);
}

static void crops_lie_in_the_valid_part(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_loader l;
    tiny_open(&c, "shorter.cohort", &shorter);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 64, 42, NULL), ECG_OK);
    int lowest[2] = {1000, 1000}, highest[2] = {0, 0};
    for (uint32_t row = 0; row < 60; row++) {
        const int cut = row % 3 == 0, valid = cut ? 150 : 300;
        assert_int_equal(ecg_loader_valid(&l, row), valid);
        assert_int_equal(ecg_loader_crops(&l, row), valid / 64);
        for (uint32_t epoch = 0; epoch < 300; epoch++) {
            const int start = ecg_loader_start(&l, row, 7, epoch);
            assert_in_range(start, 0, valid - 64 - 1); /* the upper end is left out, as in the reference */
            assert_int_equal(start, ecg_loader_start(&l, row, 7, epoch));
            lowest[cut] = start < lowest[cut] ? start : lowest[cut];
            highest[cut] = start > highest[cut] ? start : highest[cut];
        }
    }
    assert_int_equal(lowest[0], 0);
    assert_int_equal(highest[0], 300 - 64 - 1);
    assert_int_equal(highest[1], 150 - 64 - 1);
    l.crop = 150; /* as long as the valid part: one start */
    assert_int_equal(ecg_loader_start(&l, 0, 7, 3), 0);
    ecg_loader_close(&l);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 151, 42, NULL), ECG_EDATA);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 301, 42, NULL), ECG_ECONTRACT);
    ecg_cohort_close(&c);
}

static void an_order_is_a_permutation_of_its_own(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_loader l;
    uint32_t a[80], b[80], seen[120] = {0};
    tiny_open(&c, "usual.cohort", &usual);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 64, 42, NULL), ECG_OK);
    ecg_rows_order(a, &l.role[ECG_TRAIN], 42, 0);
    ecg_rows_order(b, &l.role[ECG_TRAIN], 42, 1);
    assert_memory_not_equal(a, b, sizeof a);
    ecg_rows_order(b, &l.role[ECG_TRAIN], 42, 0);
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < 80; i++)
        seen[a[i]]++;
    for (int64_t i = 0; i < 80; i++)
        assert_int_equal(seen[l.role[ECG_TRAIN].row[i]], 1);
    ecg_loader_close(&l);
    ecg_cohort_close(&c);
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void gaps_take_the_training_median(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_loader l;
    float median[TINY_COLUMNS], age[80], lab[80], continuous[120 * 3];
    int32_t category[120];
    uint32_t row[120];
    int labs = 0;
    tiny_open(&c, "usual.cohort", &usual);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 64, 42, NULL), ECG_OK);
    assert_int_equal(l.continuous, 3);
    assert_int_equal(l.categorical, 1);
    ecg_pool *pool = ecg_pool_new(2);
    assert_int_equal(ecg_loader_medians(median, &l, pool, NULL), ECG_OK);
    ecg_pool_free(pool);
    for (int i = 0; i < 80; i++) {
        const float *x = c.tabular + (size_t)l.role[ECG_TRAIN].row[i] * TINY_COLUMNS;
        age[i] = x[0];
        if (!isnan(x[1]))
            lab[labs++] = x[1];
    }
    qsort(age, 80, sizeof *age, by_value);
    qsort(lab, (size_t)labs, sizeof *lab, by_value);
    assert_true(median[0] == (float)(((double)age[39] + (double)age[40]) / 2));
    assert_true(median[1] == (labs % 2 ? lab[labs / 2] : (float)(((double)lab[labs / 2 - 1] + (double)lab[labs / 2]) / 2)));
    assert_true(median[2] == 0); /* never measured */
    assert_true(median[3] == 1); /* an index */
    for (uint32_t i = 0; i < 120; i++)
        row[i] = i;
    ecg_loader_tabular(continuous, category, &l, median, row, 120);
    for (int i = 0; i < 120; i++) {
        const float *x = c.tabular + (size_t)i * TINY_COLUMNS;
        assert_true(continuous[3 * i] == x[0]);
        assert_true(continuous[3 * i + 1] == (isnan(x[1]) ? median[1] : x[1]));
        assert_true(continuous[3 * i + 2] == 0);
        assert_int_equal(category[i], isnan(x[3]) ? 1 : (int)x[3]);
    }
    ecg_loader_close(&l);
    ecg_cohort_close(&c);
}

static void unknown_labels_stay_unknown(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_rows all = {NULL, 0}, known;
    float y[4 * TINY_LABS];
    const ecg_label_table *t;
    tiny_open(&c, "usual.cohort", &usual);
    const int8_t *label = ecg_cohort_labels(&c, "labs", &t);
    assert_int_equal(t->n, TINY_LABS);
    const uint32_t row[] = {4, 5, 6, 7};
    ecg_loader_labels(y, label, TINY_LABS, row, 4);
    for (int b = 0; b < 4; b++)
        for (int k = 0; k < TINY_LABS; k++) {
            const int8_t v = label[row[b] * TINY_LABS + (uint32_t)k];
            assert_true(v == -1 ? isnan(y[b * TINY_LABS + k]) : y[b * TINY_LABS + k] == (float)v);
        }
    assert_true(isnan(y[0])); /* (4 + 0) % 4 = 0 */
    const int8_t few[] = {-1, -1, 1, -1, -1, -1};
    uint32_t three[] = {0, 1, 2};
    all = (ecg_rows){three, 3};
    assert_int_equal(ecg_rows_known(&known, &all, few, 2, NULL), ECG_OK);
    assert_int_equal(known.n, 1);
    assert_int_equal(known.row[0], 1);
    ecg_rows_clear(&known);
    ecg_cohort_close(&c);
}

static void a_group_has_its_columns(void **state)
{
    (void)state;
    static const struct { const char *group; int continuous, categorical; ecg_status status; } cases[] = {
        {"routine", 2, 1, ECG_OK}, {"lab", 1, 0, ECG_OK}, {"all", 3, 1, ECG_OK}, {"genome", 0, 0, ECG_ECONTRACT}};
    ecg_cohort c;
    ecg_loader l;
    ecg_err err = {0};
    const float median[TINY_COLUMNS] = {7, 8, 9, 1};
    tiny_open(&c, "usual.cohort", &usual);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 64, 42, NULL), ECG_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ecg_loader_columns(&l, cases[i].group, &err), cases[i].status);
        assert_int_equal(l.continuous, cases[i].continuous);
        assert_int_equal(l.categorical, cases[i].categorical);
    }
    assert_string_equal(err.msg, "no tabular columns of the group 'genome'");
    float x[2];
    int32_t word[1];
    const uint32_t row[1] = {1};
    assert_int_equal(ecg_loader_columns(&l, "lab", NULL), ECG_OK);
    ecg_loader_tabular(x, word, &l, median, row, 1);
    assert_true(x[0] == c.tabular[TINY_COLUMNS + 1]);
    assert_int_equal(ecg_loader_columns(&l, "routine", NULL), ECG_OK);
    ecg_loader_tabular(x, word, &l, median, row, 1);
    assert_true(x[0] == c.tabular[TINY_COLUMNS] && x[1] == 9);
    assert_int_equal(word[0], (int)c.tabular[TINY_COLUMNS + 3]);
    ecg_loader_close(&l);
    ecg_cohort_close(&c);
}

static bool is_in(const ecg_rows *r, uint32_t row)
{
    for (int64_t i = 0; i < r->n; i++)
        if (r->row[i] == row)
            return true;
    return false;
}

static void labels_are_hidden_by_patient(void **state)
{
    (void)state;
    static const struct { const char *why; double labelled; int64_t records, patients; } cases[] = {
        {"an even number of records, two a patient", 20, 20, 10},
        {"whole patients: one more", 21, 22, 11},
        {"a share", 0.5, 40, 20},
        {"a small share", 0.001, 2, 1},
        {"one", 1, 2, 1},
        {"all there are", 80, 80, 40},
        {"more than there are", 5000, 80, 40},
        {"none are hidden", 0, 80, 40},
    };
    ecg_cohort c;
    ecg_loader l;
    ecg_rows r, before = {NULL, 0};
    int64_t patients;
    tiny_open(&c, "usual.cohort", &usual);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 64, 42, NULL), ECG_OK);
    const ecg_rows *train = &l.role[ECG_TRAIN];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ecg_rows_labelled(&r, &patients, &c, train, cases[i].labelled, 42, NULL), ECG_OK);
        if (r.n != cases[i].records || patients != cases[i].patients)
            fail_msg("%s: %d records of %d patients", cases[i].why, (int)r.n, (int)patients);
        for (int64_t k = 0; k < r.n; k++) {
            assert_true(k == 0 || r.row[k] > r.row[k - 1]); /* in the order of the cohort */
            assert_true(is_in(&r, (r.row[k] + 60) % 120));   /* with the patient's other record */
        }
        ecg_rows_clear(&r);
    }
    for (double n = 2; n <= 80; n += 6) { /* more labels: the same ones and others */
        assert_int_equal(ecg_rows_labelled(&r, NULL, &c, train, n, 42, NULL), ECG_OK);
        for (int64_t k = 0; k < before.n; k++)
            assert_true(is_in(&r, before.row[k]));
        ecg_rows_clear(&before);
        before = r;
    }
    ecg_rows_clear(&before);
    assert_int_equal(ecg_rows_labelled(&r, NULL, &c, train, 20, 42, NULL), ECG_OK);
    assert_int_equal(ecg_rows_labelled(&before, NULL, &c, train, 20, 43, NULL), ECG_OK);
    assert_memory_not_equal(r.row, before.row, 20 * sizeof(uint32_t)); /* another seed, other patients */
    ecg_rows_clear(&before);
    ecg_rows half = {malloc(80 * sizeof(uint32_t)), 0}; /* a patient's place in the order does not depend on who else is there */
    for (int64_t k = 0; k < train->n; k++)
        if (is_in(&r, train->row[k]) || k % 3 == 0)
            half.row[half.n++] = train->row[k];
    assert_int_equal(ecg_rows_labelled(&before, NULL, &c, &half, 20, 42, NULL), ECG_OK);
    for (int64_t k = 0; k < before.n; k++)
        assert_true(is_in(&r, before.row[k]) || before.n > 20);
    ecg_rows_clear(&before);
    ecg_rows_clear(&half);
    ecg_rows_clear(&r);
    ecg_loader_close(&l);
    ecg_cohort_close(&c);
}

static void signals_are_cut_where_asked(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_loader l;
    tiny_open(&c, "usual.cohort", &usual);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 64, 42, NULL), ECG_OK);
    const uint32_t row[] = {119, 0, 7};
    const int start[] = {236, 0, 99};
    float x[3 * 64 * 12];
    ecg_pool *pool = ecg_pool_new(2);
    ecg_loader_signals(x, &l, pool, row, start, 3);
    ecg_pool_free(pool);
    for (int b = 0; b < 3; b++)
        assert_memory_equal(x + b * 64 * 12, c.signal + ((size_t)row[b] * 300 + (size_t)start[b]) * 12, 64 * 12 * sizeof(float));
    ecg_loader_close(&l);
    ecg_cohort_close(&c);
}

static void an_infinite_value_is_refused(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_loader l;
    ecg_err err = {0};
    tiny_open(&c, "broken.cohort", &broken);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 64, 42, &err), ECG_EDATA);
    assert_string_equal(err.msg, "record 10: lab is infinite");
    ecg_cohort_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_follow_the_roles),
        cmocka_unit_test(validation_is_cut_by_patient),
        cmocka_unit_test(crops_lie_in_the_valid_part),
        cmocka_unit_test(an_order_is_a_permutation_of_its_own),
        cmocka_unit_test(gaps_take_the_training_median),
        cmocka_unit_test(unknown_labels_stay_unknown),
        cmocka_unit_test(a_group_has_its_columns),
        cmocka_unit_test(labels_are_hidden_by_patient),
        cmocka_unit_test(signals_are_cut_where_asked),
        cmocka_unit_test(an_infinite_value_is_refused),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
