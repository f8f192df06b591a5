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

#include "cohort/split.h"

/* numpy 1.26: np.random.seed(42); [np.random.randint(0, n) for _ in range(10)] */
static void draws_as_numpy_does(void **state)
{
    (void)state;
    static const struct { uint32_t n, value[10]; } cases[] = {
        {10, {6, 3, 7, 4, 6, 9, 2, 6, 7, 4}},
        {20, {6, 19, 14, 10, 7, 6, 18, 10, 10, 3}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_mt19937 g;
        ecg_mt19937_seed(&g, 42);
        for (int i = 0; i < 10; i++) {
            assert_int_equal(ecg_mt19937_below(&g, 1), 0); /* draws nothing */
            assert_int_equal(ecg_mt19937_below(&g, cases[c].n), cases[c].value[i]);
        }
    }
}

/* ---- docs/cohort.md 4 as it is written, with lists that are rebuilt --------------------------------------------------------------------- */

enum { MOST_PATIENTS = 40, MOST_LABELS = 8, MOST_ENTRIES = 12, MOST_LIST = MOST_PATIENTS * MOST_ENTRIES };

typedef struct {
    int patients, labels, folds;
    int entries[MOST_PATIENTS], entry[MOST_PATIENTS][MOST_ENTRIES];
} problem;

static void as_written(int *fold, const problem *p, uint32_t seed)
{
    static int list[MOST_LABELS][MOST_LIST];
    int length[MOST_LABELS] = {0}, total = 0;
    double need[32], lneed[MOST_LABELS][32];
    ecg_mt19937 random;
    ecg_mt19937_seed(&random, seed);
    for (int g = 0; g < p->patients; g++)
        for (int e = 0; e < p->entries[g]; e++, total++)
            list[p->entry[g][e]][length[p->entry[g][e]]++] = g;
    const double r = 1.0 / p->folds;
    for (int j = 0; j < p->folds; j++) {
        need[j] = r * total;
        for (int l = 0; l < p->labels; l++)
            lneed[l][j] = r * length[l];
    }
    for (int g = 0; g < p->patients; g++)
        fold[g] = 0;
    for (int round = 0; round < p->labels; round++) {
        int rare = -1;
        for (int l = 0; l < p->labels; l++)
            if (length[l] && (rare < 0 || length[l] < length[rare]))
                rare = l;
        if (rare < 0)
            break;
        /* sorted ascending by count, stable, then reversed: insertion of distinct patients in ascending order */
        int order[MOST_PATIENTS], count[MOST_PATIENTS] = {0}, n = 0;
        for (int i = 0; i < length[rare]; i++)
            count[list[rare][i]]++;
        for (int g = 0; g < p->patients; g++) {
            if (!count[g])
                continue;
            int at = n++;
            for (; at > 0 && count[order[at - 1]] > count[g]; at--)
                order[at] = order[at - 1];
            order[at] = g;
        }
        for (int i = n - 1; i >= 0; i--) {
            const int g = order[i];
            double most = -INFINITY, second = -INFINITY;
            int J[32], J2[32], m = 0, m2 = 0;
            for (int j = 0; j < p->folds; j++)
                most = fmax(most, lneed[rare][j]);
            for (int j = 0; j < p->folds; j++)
                if (lneed[rare][j] == most)
                    J[m++] = j;
            for (int k = 0; k < m; k++)
                second = fmax(second, need[J[k]]);
            for (int k = 0; k < m; k++)
                if (need[J[k]] == second)
                    J2[m2++] = J[k];
            const int j = m == 1 ? J[0] : J2[ecg_mt19937_below(&random, (uint32_t)m2)];
            fold[g] = j;
            need[j] -= p->entries[g];
            for (int e = 0; e < p->entries[g]; e++)
                lneed[p->entry[g][e]][j] -= 1;
            for (int l = 0; l < p->labels; l++) {
                int kept = 0;
                for (int k = 0; k < length[l]; k++)
                    if (list[l][k] != g)
                        list[l][kept++] = list[l][k];
                length[l] = kept;
            }
        }
    }
}

static void equals_the_rule_as_written(void **state)
{
    (void)state;
    ecg_mt19937 random;
    ecg_mt19937_seed(&random, 7);
    for (int round = 0; round < 400; round++) {
        problem p = {.patients = 1 + (int)ecg_mt19937_below(&random, MOST_PATIENTS), .labels = 1 + (int)ecg_mt19937_below(&random, MOST_LABELS),
                     .folds = 1 + (int)ecg_mt19937_below(&random, 20)};
        int64_t first[MOST_PATIENTS + 1] = {0};
        int entry[MOST_LIST], want[MOST_PATIENTS];
        for (int g = 0; g < p.patients; g++) {
            p.entries[g] = 1 + (int)ecg_mt19937_below(&random, MOST_ENTRIES);
            first[g + 1] = first[g] + p.entries[g];
            for (int e = 0; e < p.entries[g]; e++)
                entry[first[g] + e] = p.entry[g][e] = (int)ecg_mt19937_below(&random, (uint32_t)p.labels);
        }
        uint8_t fold[MOST_PATIENTS];
        const uint32_t seed = 42 + (uint32_t)round % 3;
        assert_int_equal(ecg_split_patients(fold, p.patients, first, entry, p.labels, p.folds, seed, NULL), ECG_OK);
        as_written(want, &p, seed);
        for (int g = 0; g < p.patients; g++)
            if (fold[g] != want[g])
                fail_msg("case %d: %d patients, %d labels, %d folds: patient %d is in fold %d, as written in %d", round, p.patients, p.labels, p.folds, g,
                         fold[g], want[g]);
    }
}

/* ---- recordings ---------------------------------------------------------------------------------------------------------------------- */

static void patients_stay_together(void **state)
{
    (void)state;
    enum { N = 600, PATIENTS = 200 };
    static ecg_split_row row[N];
    static int code[N][3];
    static uint8_t fold[N], again[N];
    static const char *const name[] = {"I10", "E11", "I48", "I480", "Z99"};
    ecg_mt19937 random;
    ecg_mt19937_seed(&random, 1);
    for (int i = 0; i < N; i++) {
        row[i] = (ecg_split_row){.patient = 1000 + (int)ecg_mt19937_below(&random, PATIENTS), .age = 20 + (int)ecg_mt19937_below(&random, 70),
                                 .gender = "MF?"[ecg_mt19937_below(&random, 3)], .code = code[i], .codes = (int)ecg_mt19937_below(&random, 4)};
        for (int k = 0; k < row[i].codes; k++)
            code[i][k] = (i + k) % 5;
        if (i % 17 == 0)
            row[i].age = NAN;
    }
    assert_int_equal(ecg_split_rows(fold, row, N, name, 5, ecg_split_min_count(N), 20, 42, NULL), ECG_OK);
    int size[20] = {0};
    for (int i = 0; i < N; i++) {
        assert_true(fold[i] < 20);
        size[fold[i]]++;
        for (int k = 0; k < i; k++)
            if (row[i].patient == row[k].patient)
                assert_int_equal(fold[i], fold[k]);
    }
    for (int j = 0; j < 20; j++) /* 30 on average */
        assert_in_range(size[j], 10, 60);
    /* the order of the rows does not matter: patients are sorted by their id */
    ecg_split_row swapped[2] = {row[0], row[N - 1]};
    row[0] = swapped[1];
    row[N - 1] = swapped[0];
    assert_int_equal(ecg_split_rows(again, row, N, name, 5, ecg_split_min_count(N), 20, 42, NULL), ECG_OK);
    assert_int_equal(again[0], fold[N - 1]);
    assert_memory_equal(again + 1, fold + 1, N - 2);
}

static void frequency_threshold(void **state)
{
    (void)state;
    static const struct { int64_t n, want; } cases[] = {{100, 20}, {8000, 20}, {8001, 21}, {800035, 2001}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        assert_int_equal(ecg_split_min_count(cases[c].n), cases[c].want);
}

/* pandas 1.5: pd.qcut(age, 4, duplicates="drop"), str(left) + "-" + str(right) */
static void age_labels_as_pandas_spells_them(void **state)
{
    (void)state;
    static const double age[] = {18, 20, 31, 45, 52, 60, 77, 91, NAN};
    double edge[5];
    assert_true(ecg_age_quartiles(edge, age, 9));
    static const struct { const char *why; double age; const char *want; } cases[] = {
        {"the lowest edge is lowered", 18, "17.999-28.25"}, {"an edge belongs to the bin on its left", 28.25, "17.999-28.25"},
        {"second bin", 31, "28.25-48.5"},                   {"third bin", 60, "48.5-64.25"},
        {"last bin", 91, "64.25-91.0"},                     {"no age", NAN, "missing_age"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char text[48];
        ecg_age_label(text, edge, cases[c].age);
        if (strcmp(text, cases[c].want))
            fail_msg("%s: %s, expected %s", cases[c].why, text, cases[c].want);
    }
    static const double same[] = {50, 50, 50, 50, 60};
    char text[48];
    assert_true(ecg_age_quartiles(edge, same, 5));
    ecg_age_label(text, edge, 50);
    assert_string_equal(text, "49.999-60.0"); /* duplicates="drop": four of the five edges are 50 */
    ecg_age_label(text, edge, 60);
    assert_string_equal(text, "49.999-60.0");
    assert_false(ecg_age_quartiles(edge, age + 8, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_as_numpy_does),
        cmocka_unit_test(equals_the_rule_as_written),
        cmocka_unit_test(patients_stay_together),
        cmocka_unit_test(frequency_threshold),
        cmocka_unit_test(age_labels_as_pandas_spells_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
