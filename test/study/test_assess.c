/* SPDX-License-Identifier: MIT
 * An assessment from arrays: scopes, thresholds that come from validation, subgroups and what of them may be shown, bands, JSON and tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/rng.h"
#include "study/assess.h"

enum { N = 240, K = 3 };

typedef struct {
    double prob[N * K], against[N * K];
    int8_t truth[N * K], first[N];
    int64_t unit[N];
    int32_t sex[N], ward[N];
} data;

static const char *const codes[K] = {"A", "B", "rare"};
static const char *const sexes[] = {"F", "M"}, *const wards[] = {"big", "middle", "small"};

/* 120 patients of two rows, the first of them first in its stay. Ward 2 has 5 patients; sex is unknown of 8 (16 rows). "rare": 4 positives. */
static void make(data *d)
{
    ecg_rng g;
    ecg_rng_open(&g, 77, 0, 900, 0, 0);
    for (int i = 0; i < N; i++) {
        const int patient = i / 2;
        d->unit[i] = patient;
        d->first[i] = i % 2 == 0;
        d->sex[i] = patient % 15 == 0 ? -1 : patient % 2;
        d->ward[i] = patient < 5 ? 2 : patient < 45 ? 1 : 0;
        for (int k = 0; k < K; k++) {
            const int at = i * K + k;
            d->truth[at] = (int8_t)(k == 2 ? i >= N - 4 : ecg_rng_uniform(&g) < 0.4);
            d->prob[at] = (ecg_rng_uniform(&g) + 0.5 * d->truth[at]) / 1.5;
            d->against[at] = ecg_rng_uniform(&g);
        }
    }
    d->truth[1] = -1;
}

static ecg_assess_task task_of(const data *d, const ecg_assess_group *group, int groups)
{
    return (ecg_assess_task){.K = K, .code = codes, .rows = {N, d->prob, d->truth, d->unit, d->first}, .group = group, .groups = groups, .resamples = 64, .seed = 3};
}

/* Won pairs and half the ties among the rows that pass. */
static double auroc_of(const double *p, const int8_t *y, int k, bool (*pass)(const data *, int, int), const data *d, int level)
{
    double won = 0, pairs = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            if (pass(d, i, level) && pass(d, j, level) && y[i * K + k] == 1 && y[j * K + k] == 0) {
                won += p[i * K + k] > p[j * K + k] ? 1 : p[i * K + k] == p[j * K + k] ? 0.5 : 0;
                pairs++;
            }
    return pairs > 0 ? won / pairs : NAN;
}

static bool anybody(const data *d, int i, int level)
{
    (void)d;
    (void)i;
    (void)level;
    return true;
}

static bool is_first(const data *d, int i, int level)
{
    (void)level;
    return d->first[i] == 1;
}

static bool of_sex(const data *d, int i, int level)
{
    return d->sex[i] == level;
}

static void assert_near(double got, double want, const char *what)
{
    if (isnan(got) != isnan(want) || fabs(got - want) > 1e-13)
        fail_msg("%s: %.17g, expected %.17g", what, got, want);
}

static void scopes_have_their_rows(void **state)
{
    (void)state;
    static data d;
    ecg_assessment a;
    make(&d);
    ecg_assess_task t = task_of(&d, NULL, 0);
    t.against = d.against;
    assert_int_equal(ecg_assess(&a, &t, NULL), ECG_OK);
    assert_true(a.has_first && a.has_unit && a.all.records == N && a.all.patients == N / 2 && a.first.records == N / 2 && a.first.patients == N / 2);
    assert_int_equal(a.all.defined, K);
    double sum = 0, gap = 0;
    for (int k = 0; k < K; k++) {
        const double want = auroc_of(d.prob, d.truth, k, anybody, &d, 0);
        assert_near(a.label[k].auroc.point, want, "all rows");
        assert_near(a.label[k].first_auroc.point, auroc_of(d.prob, d.truth, k, is_first, &d, 0), "first of each stay");
        assert_near(a.label[k].difference.point, want - auroc_of(d.against, d.truth, k, anybody, &d, 0), "difference");
        assert_true(a.label[k].auroc.lo <= want && want <= a.label[k].auroc.hi);
        sum += want;
        gap += a.label[k].difference.point;
    }
    assert_near(a.all.auroc.macro.point, sum / K, "macro");
    assert_near(a.all.difference.macro.point, gap / K, "macro difference");
    assert_true(!isnan(a.first.difference.micro_precision.lo));
    assert_int_equal(a.label[1].positives + a.label[1].negatives, N - 1); /* one is unknown */
    assert_int_equal(a.label[2].positives, 4);
    double brier = 0;
    for (int k = 0; k < K; k++)
        brier += a.label[k].calibration.brier / K;
    assert_near(a.mean.brier, brier, "mean Brier");
    assert_true(isnan(a.label[0].operating[0].threshold) && isnan(a.mean_operating[0].sensitivity)); /* no validation */
    ecg_assessment_clear(&a);

    t.rows.first = NULL;
    t.rows.unit = NULL;
    t.against = NULL;
    t.resamples = 0;
    assert_int_equal(ecg_assess(&a, &t, NULL), ECG_OK);
    assert_true(!a.has_first && !a.has_unit && a.all.records == N && isnan(a.all.auroc.macro.lo) && isnan(a.label[0].difference.point));
    assert_true(isnan(a.first.auroc.macro.point) && isnan(a.label[0].first_auroc.point));
    json_t *j = ecg_assess_json(&a);
    assert_true(json_is_null(json_object_get(json_object_get(j, "all_ecgs"), "patients")) && json_is_null(json_object_get(j, "first_in_stay")));
    assert_true(json_is_null(json_object_get(j, "thresholds_from")) && !json_object_get(j, "difference"));
    json_decref(j);
    ecg_assessment_clear(&a);
}

static void thresholds_come_from_validation(void **state)
{
    (void)state;
    static data d;
    ecg_assessment a;
    make(&d);
    /* one label that is cut at 0.4, another without a positive */
    const double prob[] = {0.1, 0.1, 0.9, 0.2, 0.2, 0.9, 0.4, 0.3, 0.9, 0.8, 0.4, 0.9};
    const int8_t truth[] = {0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1};
    const ecg_assess_rows validation = {4, prob, truth, NULL, NULL};
    ecg_assess_task t = task_of(&d, NULL, 0);
    t.validation = &validation;
    t.validation_text = "elsewhere";
    t.resamples = 0;
    assert_int_equal(ecg_assess(&a, &t, NULL), ECG_OK);
    const ecg_operating *o = &a.label[0].operating[ECG_RULE_YOUDEN];
    assert_near(o->threshold, 0.4, "Youden");
    int64_t tp = 0, fp = 0;
    for (int i = 0; i < N; i++)
        if (d.prob[i * K] >= 0.4) {
            tp += d.truth[i * K] == 1;
            fp += d.truth[i * K] == 0;
        }
    assert_true(o->tp == tp && o->fp == fp && o->tp + o->fn == a.label[0].positives);
    assert_true(isnan(a.label[1].operating[ECG_RULE_YOUDEN].threshold) && isnan(a.label[1].operating[ECG_RULE_YOUDEN].sensitivity));
    assert_near(a.mean_operating[ECG_RULE_YOUDEN].sensitivity, (o->sensitivity + a.label[2].operating[ECG_RULE_YOUDEN].sensitivity) / 2,
                "mean over labels that have a threshold");
    json_t *j = ecg_assess_json(&a);
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "thresholds_from"), "rows")), "elsewhere");
    json_decref(j);
    ecg_assessment_clear(&a);
}

static const ecg_assess_subgroup *find(const ecg_assessment *a, int group, int level)
{
    for (int i = 0; i < a->subgroups; i++)
        if (a->subgroup[i].group == group && a->subgroup[i].level == level)
            return &a->subgroup[i];
    fail_msg("no subgroup %d %d", group, level);
    return NULL;
}

static void small_subgroups_are_not_shown(void **state)
{
    (void)state;
    static data d;
    ecg_assessment a;
    make(&d);
    const ecg_assess_group groups[] = {{"sex", "", sexes, 2, d.sex}, {"ward", "", wards, 3, d.ward}};
    const ecg_assess_task t = task_of(&d, groups, 2);
    assert_int_equal(ecg_assess(&a, &t, NULL), ECG_OK);
    assert_int_equal(a.subgroups, 6);
    const ecg_assess_subgroup *female = find(&a, 0, 0), *male = find(&a, 0, 1), *unknown = find(&a, 0, -1);
    assert_true(unknown->shown == ECG_SHOWN_NOTHING && unknown->records == -1 && unknown->patients == -1 && unknown->labels == 0 &&
                isnan(unknown->auroc.macro.point) && unknown->label[0].positives == -1 && isnan(unknown->label[0].auroc));
    /* with the total and one of the two the unknown ones could be counted: the smaller is hidden, its figures are not */
    assert_true(female->shown == ECG_SHOWN_NO_COUNTS && female->records == -1 && female->label[0].positives == -1);
    assert_true(male->shown == ECG_SHOWN_ALL && male->records == 112 && male->patients == 56 && male->label[0].positives > 10);
    for (int level = 0; level < 2; level++) {
        const ecg_assess_subgroup *s = find(&a, 0, level);
        double sum = 0, everyone = 0;
        assert_int_equal(s->labels, 2); /* "rare" has too few positives */
        assert_true(isnan(s->label[2].auroc) && s->label[2].positives == -1);
        for (int k = 0; k < 2; k++) {
            const double want = auroc_of(d.prob, d.truth, k, of_sex, &d, level);
            assert_near(s->label[k].auroc, want, "label of a subgroup");
            sum += want;
            everyone += a.label[k].auroc.point;
        }
        assert_near(s->auroc.macro.point, sum / 2, "macro of a subgroup");
        assert_near(s->everyone, everyone / 2, "everyone on these labels");
        assert_true(s->auroc.macro.lo < s->auroc.macro.point && s->auroc.macro.point < s->auroc.macro.hi);
    }
    assert_int_equal(find(&a, 1, 2)->shown, ECG_SHOWN_NOTHING);
    assert_int_equal(find(&a, 1, 1)->shown, ECG_SHOWN_NO_COUNTS);
    assert_int_equal(find(&a, 1, 0)->shown, ECG_SHOWN_ALL);
    ecg_assessment_clear(&a);

    ecg_assess_task loose = t;
    loose.least_patients = 2;
    loose.least_class = 2;
    assert_int_equal(ecg_assess(&a, &loose, NULL), ECG_OK);
    for (int i = 0; i < a.subgroups; i++)
        assert_true(a.subgroup[i].shown == ECG_SHOWN_ALL && a.subgroup[i].patients > 0);
    assert_int_equal(find(&a, 0, -1)->records, 16);
    ecg_assessment_clear(&a);
}

static void tables_hold_what_is_shown(void **state)
{
    (void)state;
    static data d;
    ecg_assessment a;
    char folder[] = "/tmp/ecgraft-assess-XXXXXX", path[128], command[64];
    make(&d);
    const ecg_assess_group groups[] = {{"ward", "", wards, 3, d.ward}};
    ecg_assess_task t = task_of(&d, groups, 1);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(ecg_assess(&a, &t, NULL), ECG_OK);
    assert_int_equal(ecg_assess_write(&a, folder, ".x.csv", NULL), ECG_OK);
    static const struct {
        const char *file;
        int64_t rows;
    } files[] = {{"labels", K}, {"decision", (K + 1) * ECG_DECISIONS}, {"subgroups", 1 + 2 * (K + 1)}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        ecg_csv *c;
        bool more;
        int64_t rows = 0;
        snprintf(path, sizeof path, "%s/%s.x.csv", folder, files[i].file);
        assert_int_equal(ecg_csv_open(&c, path, NULL), ECG_OK);
        while (ecg_csv_next(c, &more, NULL) == ECG_OK && more) {
            const int level = ecg_csv_find(c, "level"), records = ecg_csv_find(c, "records"), auroc = ecg_csv_find(c, "auroc");
            rows++;
            if (i == 0) { /* fifteen digits are there */
                double x;
                assert_int_equal(ecg_csv_double(c, auroc, &x, NULL), ECG_OK);
                assert_near(x, a.label[rows - 1].auroc.point, "labels.csv");
            }
            if (i < 2)
                continue;
            const ecg_field name = ecg_csv_field(c, level), count = ecg_csv_field(c, records);
            const char *want = !strncmp(name.at, "small", name.len) ? "<11" : !strncmp(name.at, "middle", name.len) ? "-" : "150";
            if (count.len != strlen(want) || memcmp(count.at, want, count.len))
                fail_msg("%.*s: %.*s records, expected %s", (int)name.len, name.at, (int)count.len, count.at, want);
        }
        ecg_csv_close(c);
        assert_int_equal(rows, files[i].rows);
    }
    json_t *j = ecg_assess_json(&a), *list = json_object_get(j, "subgroups");
    assert_int_equal(json_array_size(list), 3);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "records")), 150);
    assert_true(json_is_null(json_object_get(json_array_get(list, 1), "records")) && json_is_real(json_object_get(json_object_get(json_array_get(list, 1), "macro_auroc"), "point")));
    assert_true(json_is_null(json_object_get(json_array_get(list, 2), "records")) && json_is_null(json_object_get(json_object_get(json_array_get(list, 2), "macro_auroc"), "point")));
    json_decref(j);
    ecg_assessment_clear(&a);
    ecg_err err;
    assert_int_equal(ecg_assess(&a, &t, NULL), ECG_OK);
    snprintf(path, sizeof path, "%s/none", folder);
    assert_int_equal(ecg_assess_write(&a, path, ".csv", &err), ECG_EIO);
    ecg_assessment_clear(&a);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void nothing_known_is_no_error(void **state)
{
    (void)state;
    const double prob[] = {0.3, 0.4};
    const int8_t unknown[] = {-1, -1};
    ecg_assessment a;
    ecg_err err;
    ecg_assess_task t = {.K = 1, .code = codes, .rows = {2, prob, unknown, NULL, NULL}, .resamples = 10};
    assert_int_equal(ecg_assess(&a, &t, NULL), ECG_OK);
    assert_true(a.all.defined == 0 && isnan(a.all.auroc.macro.point) && isnan(a.label[0].calibration.brier) && isnan(a.mean.brier));
    json_t *j = ecg_assess_json(&a);
    assert_int_equal(json_array_size(json_object_get(j, "undefined_labels")), 1);
    json_decref(j);
    ecg_assessment_clear(&a);
    t.rows.n = 0;
    assert_int_equal(ecg_assess(&a, &t, NULL), ECG_OK);
    assert_true(a.all.records == 0 && isnan(a.pooled.brier));
    ecg_assessment_clear(&a);
    t.rows.n = INT64_C(1) << 31;
    assert_int_equal(ecg_assess(&a, &t, &err), ECG_EUNSUPPORTED);
    const volatile sig_atomic_t stop = 1;
    t.rows.n = 2;
    t.watch = &(ecg_watch){.stop = &stop};
    assert_int_equal(ecg_assess(&a, &t, &err), ECG_EINTR);
}

static void numbers_in_bands(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        bool age;
        int n;
        double value[8];
        int levels;
        const char *text[4];
        int of[8];
    } cases[] = {
        {"ages", true, 8, {39.9, 40, 59, 60, 79.5, 80, 101, NAN}, 4, {"<40", "40-59", "60-79", "80+"}, {0, 1, 1, 2, 2, 3, 3, -1}},
        {"quartiles", false, 8, {1, 2, 3, 4, 5, 6, 7, 8}, 4, {"<2.75", "2.75 to <4.5", "4.5 to <6.25", ">=6.25"}, {0, 0, 1, 1, 2, 2, 3, 3}},
        {"most are the least", false, 8, {0, 0, 0, 0, 0, 0, 4, 8}, 2, {"<1", ">=1"}, {0, 0, 0, 0, 0, 0, 1, 1}},
        {"most are the largest", false, 5, {1, 9, 9, 9, 9}, 2, {"<9", ">=9"}, {0, 1, 1, 1, 1}},
        {"one value", false, 3, {5, 5, 5}, 1, {"all"}, {0, 0, 0}},
        {"one is there", false, 3, {NAN, 5, NAN}, 1, {"all"}, {-1, 0, -1}},
        {"none is there", false, 2, {NAN, NAN}, 0, {NULL}, {-1, -1}},
        {"no age is there", true, 2, {NAN, NAN}, 0, {NULL}, {-1, -1}},
        {"no rows", false, 0, {0}, 0, {NULL}, {0}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int32_t of[8];
        char text[4][ECG_BAND_TEXT];
        const int levels = ecg_assess_bands(of, text, cases[c].value, cases[c].n, cases[c].age);
        if (levels != cases[c].levels)
            fail_msg("%s: %d levels", cases[c].why, levels);
        for (int i = 0; i < levels; i++)
            if (strcmp(text[i], cases[c].text[i]))
                fail_msg("%s: level %d is '%s'", cases[c].why, i, text[i]);
        for (int i = 0; i < cases[c].n; i++)
            if (of[i] != cases[c].of[i])
                fail_msg("%s: value %d in level %d", cases[c].why, i, of[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_have_their_rows),      cmocka_unit_test(thresholds_come_from_validation), cmocka_unit_test(small_subgroups_are_not_shown),
        cmocka_unit_test(tables_hold_what_is_shown),   cmocka_unit_test(nothing_known_is_no_error),       cmocka_unit_test(numbers_in_bands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
