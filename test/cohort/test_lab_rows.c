/* SPDX-License-Identifier: MIT
 * test_lab_rows.c: the pass over labevents: the same from any number of threads and any order of rows, and what it refuses, by line and column. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "cohort/lab_kinds.h"
#include "cohort/lab_limits.h"

enum { PATIENTS = 300, TESTS = 40, HOUR = 3600 };

typedef struct {
    char folder[64], items[96], events[96];
    ecg_visit at[2 * PATIENTS];
    ecg_visits v;
    uint8_t training[PATIENTS];
    ecg_text rows;
} hospital;

static const char header[] = "labevent_id,subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom,ref_range_lower,ref_range_upper,comments\n";

static hospital *hospital_new(void)
{
    hospital *h = calloc(1, sizeof *h);
    assert_non_null(h);
    snprintf(h->folder, sizeof h->folder, "/tmp/ecg_test_XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    snprintf(h->items, sizeof h->items, "%s/d_labitems.csv", h->folder);
    snprintf(h->events, sizeof h->events, "%s/labevents.csv", h->folder);
    ecg_text items = {0};
    ecg_text_puts(&items, "itemid,label,fluid\n");
    for (int i = 0; i < TESTS; i++)
        ecg_text_printf(&items, "%d,Test %d,%s\n", 50000 + i, i / 2, i % 2 ? "Urine" : "Blood");
    assert_int_equal(ecg_file_write_whole(h->items, items.at, items.len, NULL), ECG_OK);
    ecg_text_clear(&items);
    h->v.at = h->at;
    h->v.patients = PATIENTS;
    h->v.recordings = true;
    for (int p = 0; p < PATIENTS; p++)
        for (int k = 0; k <= p % 2; k++) {
            ecg_visit *x = &h->at[h->v.n++];
            x->subject = 10000000 + 10 * p;
            x->patient = p;
            x->arrival = ecg_days_from_civil(2150, 1, 1 + k) * 86400;
            x->time = x->arrival + 600;
            h->training[p] = p % 3 == 0;
        }
    return h;
}

static void hospital_free(hospital *h)
{
    unlink(h->items);
    unlink(h->events);
    rmdir(h->folder);
    ecg_text_clear(&h->rows);
    free(h);
}

static ecg_status read_them(ecg_lab_rows *out, const hospital *h, int threads, ecg_err *err)
{
    assert_int_equal(ecg_file_write_whole(h->events, h->rows.at, h->rows.len, NULL), ECG_OK);
    ecg_pool *pool = threads ? ecg_pool_new(threads) : NULL;
    const ecg_status st = ecg_lab_rows_read(out, &h->v, h->training, h->items, h->events, HOUR, HOUR, pool, NULL, err);
    ecg_pool_free(pool);
    return st;
}

/* Random rows, one in a thousand of which means nothing: patients and tests that nobody knows, no time, texts. */
static void add_random_row(ecg_text *out, ecg_rng *rng, int i, int subject)
{
    char time[20];
    ecg_format_time(time, ecg_days_from_civil(2150, 1, 1) * 86400 - 2 * HOUR + ecg_rng_below(rng, 30 * HOUR));
    const uint32_t value = ecg_rng_below(rng, 1000), kind = ecg_rng_below(rng, 10);
    ecg_text_printf(out, "%d,%d,%s,%u,%s,", i, subject, kind == 1 ? "" : "20000007.0", 50000 + ecg_rng_below(rng, TESTS + 2), kind == 2 ? "" : time);
    if (kind == 3)
        ecg_text_printf(out, "<%u,,", value);
    else
        ecg_text_printf(out, "___,%u.%u,", value, ecg_rng_below(rng, 100));
    ecg_text_printf(out, "%s,", kind < 5 ? "mg/dL" : kind < 7 ? "" : "\"%, of all\"");
    ecg_text_printf(out, kind == 4 ? ",,\n" : kind == 5 ? "0,0,\n" : "%u,%u,\"one\ntwo, \"\"three\"\"\"\n", ecg_rng_below(rng, 40), 40 + ecg_rng_below(rng, 900));
}

static void same_rows(const ecg_lab_rows *a, const ecg_lab_rows *b)
{
    assert_int_equal(a->read, b->read);
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->kinds, b->kinds);
    assert_int_equal(a->unit.n, b->unit.n);
    for (int u = 0; u < a->unit.n; u++)
        assert_string_equal(a->unit.at[u], b->unit.at[u]);
    assert_memory_equal(a->row, b->row, (size_t)a->n * sizeof *a->row);
    assert_memory_equal(a->first, b->first, (PATIENTS + 1) * sizeof *a->first);
    for (int k = 0; k < a->kinds; k++) {
        const ecg_lab_kind *x = &a->kind[k], *y = &b->kind[k];
        assert_true(x->item == y->item && x->unit == y->unit && x->sign == y->sign && x->or_equal == y->or_equal && x->for_labels == y->for_labels);
        assert_memory_equal(&x->lower, &y->lower, 2 * sizeof(double));
    }
    for (int g = 0; g < a->groups; g++) {
        assert_int_equal(a->group[g].rows, b->group[g].rows);
        assert_int_equal(a->group[g].usable, b->group[g].usable);
        assert_memory_equal(&a->group[g].training, &b->group[g].training, 2 * sizeof(ecg_lab_medians));
    }
    for (int i = 0; i < a->items; i++)
        assert_int_equal(a->item[i].usable, b->item[i].usable);
    assert_memory_equal(a->label_group, b->label_group, (size_t)a->test.n * sizeof *a->label_group);
    assert_memory_equal(a->column_group, b->column_group, (size_t)a->test.n * sizeof *a->column_group);
}

static void any_number_of_threads(void **state)
{
    (void)state;
    hospital *h = hospital_new();
    ecg_rng rng;
    ecg_rng_open(&rng, 9, 0, 1, 0, 0);
    ecg_text_puts(&h->rows, header);
    for (int i = 0; i < 60000; i++) /* half of the patients are nobody's; patients come in no order */
        add_random_row(&h->rows, &rng, i, 10000000 + 5 * (int)ecg_rng_below(&rng, 2 * PATIENTS));
    ecg_lab_rows one, more;
    ecg_err err;
    assert_int_equal(read_them(&one, h, 0, &err), ECG_OK);
    assert_int_equal(one.read, 60000);
    assert_in_range(one.n, 1000, 29000);
    int64_t last = 0;
    for (int p = 0; p < PATIENTS; p++)
        for (int64_t i = one.first[p]; i < one.first[p + 1]; i++) {
            const ecg_lab_row *r = &one.row[i];
            if (i > one.first[p])
                assert_true(r[-1].time < r->time || (r[-1].time == r->time && r[-1].line < r->line));
            last = r->line > last ? r->line : last;
        }
    assert_in_range(last, 59000, 60000);
    for (int threads = 1; threads <= 5; threads += threads == 1 ? 1 : 3) {
        assert_int_equal(read_them(&more, h, threads, &err), ECG_OK);
        same_rows(&one, &more);
        ecg_lab_rows_clear(&more);
    }
    ecg_lab_rows_clear(&one);
    hospital_free(h);
}

static const struct {
    const char *why, *row, *msg;
    int column;
} refusals[] = {
    {"a day that does not exist", "1,10000000,,50000,2180-02-30 10:00:00,5,5,mg,1,2,", "charttime: \"2180-02-30 10:00:00\" is not a moment", 5},
    {"a leap day in a year without", "1,10000000,,50000,2150-02-29,5,5,mg,1,2,", "charttime: \"2150-02-29\" is not a moment", 5},
    {"a number with a comma", "1,10000000,,50000,2150-01-01 00:10:00,\"1,234\",\"1,234\",mg,1,2,", "valuenum: \"1,234\" is not a number", 7},
    {"a number that was taken out", "1,10000000,,50000,2150-01-01 00:10:00,___,___,mg,1,2,", "valuenum: \"___\" is not a number", 7},
    {"a range that was taken out", "1,10000000,,50000,2150-01-01 00:10:00,5,5,mg,___,2,", "ref_range_lower: \"___\" is not a number", 9},
    {"a patient who is no number", "1,1e7,,50000,2150-01-01 00:10:00,5,5,mg,1,2,", "subject_id: \"1e7\" is not a whole number", 2},
    {"an id with a fraction", "1,10000000,20000001.5,50000,2150-01-01 00:10:00,5,5,mg,1,2,", "hadm_id: \"20000001.5\" is not a whole number", 3},
    {"a field too few", "1,10000000,,50000,2150-01-01 00:10:00,5,5,mg,1,2", "10 fields, the header has 11", 0},
    {"a field too few, of a patient nobody asked for", "1,99,,50000,2150-01-01 00:10:00,5,5,mg,1,2", "10 fields, the header has 11", 0},
    {"a quote never closed", "1,10000000,,50000,2150-01-01 00:10:00,5,5,mg,1,2,\"x", "a quote begins here and is never closed", 0},
    {"text behind a quote", "1,10000000,,50000,2150-01-01 00:10:00,\"5\"x,5,mg,1,2,", "text follows the closing quote of field 6", 0},
};

/* The same bad row at its place among good ones, of which there are so many that it lies in one of several blocks. */
static void bad_rows_are_named(void **state)
{
    (void)state;
    hospital *h = hospital_new();
    for (size_t c = 0; c < sizeof refusals / sizeof *refusals; c++)
        for (int threads = 0; threads <= 3; threads += 3) {
            const int bad = c % 2 ? 21000 : 30;
            h->rows.len = 0;
            ecg_text_puts(&h->rows, header);
            for (int i = 0; i < 22000; i++) {
                if (i == bad)
                    ecg_text_printf(&h->rows, "%s\n", refusals[c].row);
                ecg_text_printf(&h->rows, "%d,%s,12345.0,50001,2150-01-01 00:20:00,___,7,mg,1,9,%s\r\n", i, i % 2 ? "10000010" : "10000020.0",
                                i < bad ? "\"IF FASTING, 70-100\"" : "");
            }
            ecg_lab_rows l;
            ecg_err err = {0};
            const ecg_status st = read_them(&l, h, threads, &err);
            if (st != ECG_EDATA || strcmp(err.msg, refusals[c].msg))
                print_error("%s: %s\n", refusals[c].why, err.msg);
            assert_int_equal(st, ECG_EDATA);
            assert_string_equal(err.msg, refusals[c].msg);
            assert_string_equal(err.path, h->events);
            assert_int_equal(err.line, bad + 2);
            assert_int_equal(err.column, refusals[c].column);
            assert_null(l.row);
        }
    hospital_free(h);
}

static void limits_and_their_middle(void **state)
{
    (void)state;
    static const struct { const char *why; double value[6]; int64_t count[6]; int n; double want; } cases[] = {
        {"none", {0}, {0}, 0, NAN},
        {"one", {3.5}, {7}, 1, 3.5},
        {"two equally often", {1, 2}, {5, 5}, 2, 1.5},
        {"by weight", {1, 2, 10}, {1, 1, 3}, 3, 10},
        {"minus zero is zero", {-0.0, 0.0, 5}, {1, 1, 1}, 3, 0},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_lab_limits x = {0}, y = {0};
        double got, merged;
        for (int i = 0; i < cases[c].n; i++)
            assert_true(ecg_lab_limits_add(i % 2 ? &x : &y, cases[c].value[i], cases[c].count[i]));
        assert_true(ecg_lab_limits_median(&got, &x, &y));
        if (!(got == cases[c].want || (isnan(got) && isnan(cases[c].want))))
            print_error("%s: %g\n", cases[c].why, got);
        assert_true(got == cases[c].want || (isnan(got) && isnan(cases[c].want)));
        assert_true(ecg_lab_limits_merge(&x, &y));
        assert_true(ecg_lab_limits_median(&merged, &x, NULL));
        assert_true(merged == got || isnan(got));
        ecg_lab_limits_clear(&x);
        ecg_lab_limits_clear(&y);
    }
    ecg_lab_limits many = {0};
    double middle;
    for (int i = 0; i < 200000; i++) /* a range of its own in every row costs no more than a common one */
        assert_true(ecg_lab_limits_add(&many, i * 0.37, 1));
    assert_true(ecg_lab_limits_median(&middle, &many, NULL));
    assert_true(middle == (99999 * 0.37 + 100000 * 0.37) / 2);
    ecg_lab_limits_clear(&many);
}

static void kinds_are_numbered_once(void **state)
{
    (void)state;
    ecg_lab_kinds k = {0};
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5000; i++) {
            const ecg_lab_kind x = {.item = i % 50, .unit = i / 2500, .lower = i % 7 ? (double)i : (double)NAN, .upper = i, .sign = i % 2 ? '<' : 0, .or_equal = i % 3 == 0};
            assert_int_equal(ecg_lab_kinds_put(&k, &x), i);
        }
    assert_int_equal(k.n, 5000);
    ecg_lab_kinds_clear(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads),
        cmocka_unit_test(bad_rows_are_named),
        cmocka_unit_test(limits_and_their_middle),
        cmocka_unit_test(kinds_are_numbered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
