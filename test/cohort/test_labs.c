/* SPDX-License-Identifier: MIT
 * test_labs.c: laboratory rows of small hospitals, made line by line, as labels of recordings and as classes of rows. */
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
#include "base/scratch.h"
#include "cohort/lab_labels.h"

enum { MOST = 800, MINUTE = 60, TESTED = 0, BALLAST = 3 };
enum { POTASSIUM = 50971, HEMOGLOBIN = 51222, URINE_HEMOGLOBIN = 51475, OTHER = 50000, LYMPHOCYTES = 51133, NAMELESS = 50001 };
static const char items[] = "itemid,label,fluid,category\n50971,Potassium,Blood,Chemistry\n51222,Hemoglobin,Blood,Hematology\n51475,Hemoglobin,Urine,\n"
                            "50000,other,Blood,\n51133,Absolute Lymphocyte Count,Blood,Hematology\n50001,,Blood,\n";
static const char header[] = "labevent_id,subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom,ref_range_lower,ref_range_upper\n";

/* ---- a hospital of one recording a patient --------------------------------------------------------------------------------------------------- */

typedef struct {
    ecg_visit at[MOST];
    int8_t role[MOST];
    uint8_t training[MOST];
    int n;
    ecg_text events;
    int64_t rows;
    char folder[32], items[64], labevents[64], out[64];
    ecg_visits v;
    ecg_lab_rows labs;
    ecg_label_table table;
    int8_t *label;
} hospital;

static int64_t noon(void)
{
    return ecg_days_from_civil(2150, 3, 1) * 86400 + 12 * 3600;
}

static hospital *hospital_new(void)
{
    hospital *h = calloc(1, sizeof *h);
    assert_non_null(h);
    snprintf(h->folder, sizeof h->folder, "labs.XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    snprintf(h->items, sizeof h->items, "%s/d_labitems.csv", h->folder);
    snprintf(h->labevents, sizeof h->labevents, "%s/labevents.csv", h->folder);
    snprintf(h->out, sizeof h->out, "%s/rows.csv", h->folder);
    assert_int_equal(ecg_file_write_whole(h->items, items, sizeof items - 1, NULL), ECG_OK);
    ecg_text_puts(&h->events, header);
    return h;
}

static void forget(hospital *h)
{
    ecg_lab_rows_clear(&h->labs);
    free(h->table.label);
    h->table = (ecg_label_table){0};
    ecg_scratch_free(h->label);
    h->label = NULL;
}

static void hospital_free(hospital *h)
{
    static const char *const names[] = {"d_labitems.csv", "labevents.csv", "rows.csv", "rows.counts.csv"};
    char path[80];
    forget(h);
    ecg_text_clear(&h->events);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", h->folder, names[i]);
        unlink(path);
    }
    rmdir(h->folder);
    free(h);
}

/* A patient with one recording at noon; returns its number. */
static int add_patient(hospital *h, int role)
{
    assert_true(h->n < MOST);
    h->at[h->n] = (ecg_visit){.subject = 10000000 + h->n, .study = 40000000 + h->n, .time = noon(), .arrival = noon() - 600, .patient = h->n};
    h->role[h->n] = (int8_t)role;
    h->training[h->n] = role == 0;
    return h->n++;
}

/* seconds after the recording; rest: "value,valuenum,valueuom,ref_range_lower,ref_range_upper". */
static void add_row(hospital *h, int patient, int item, int64_t seconds, const char *rest)
{
    char time[20];
    ecg_format_time(time, noon() + seconds);
    ecg_text_printf(&h->events, "%d,%d,%d,%d,%s,%s\n", (int)++h->rows, 10000000 + patient, 20000000 + patient, item, time, rest);
}

static ecg_err read_rows(hospital *h)
{
    ecg_err err = {0};
    forget(h);
    h->v = (ecg_visits){.at = h->at, .n = h->n, .patients = h->n};
    assert_int_equal(ecg_file_write_whole(h->labevents, h->events.at, h->events.len, NULL), ECG_OK);
    if (ecg_lab_rows_read(&h->labs, &h->v, h->training, h->items, h->labevents, 60 * MINUTE, 120 * MINUTE, NULL, NULL, &err))
        fail_msg("labevents: %s", err.msg);
    return err;
}

static void label(hospital *h, unsigned family, ecg_lab_choice how)
{
    ecg_err err = read_rows(h);
    if (ecg_lab_labels(&h->table, &h->label, &h->labs, &h->v, h->role, family, &how, &err))
        fail_msg("labels: %s", err.msg);
}

static int column(const hospital *h, const char *code)
{
    for (int k = 0; k < h->table.n; k++)
        if (!strcmp(h->table.label[k].code, code))
            return k;
    return -1;
}

static int target(const hospital *h, int patient, const char *code)
{
    const int k = column(h, code);
    return k < 0 ? -2 : h->label[patient * h->table.n + k]; /* -2: no such label */
}

/* Patient TESTED in no fold, and three training patients (low, normal, high at the recording) that keep both labels of potassium. */
static hospital *with_ballast(void)
{
    static const char *const rows[BALLAST] = {"3.0,3.0,mEq/L,3.3,5.1", "4.0,4.0,mEq/L,3.3,5.1", "7.0,7.0,mEq/L,3.3,5.1"};
    hospital *h = hospital_new();
    add_patient(h, -1);
    for (int p = 0; p < BALLAST; p++)
        add_row(h, add_patient(h, 0), POTASSIUM, 0, rows[p]);
    return h;
}

/* ---- what a window says ------------------------------------------------------------------------------------------------------------------------- */

#define RANGE ",mEq/L,3.3,5.1"

static void windows(void **state)
{
    (void)state;
    enum { U = -1 };
    static const unsigned family[4] = {ECG_LABS_EST, ECG_LABS_MON30, ECG_LABS_MON60, ECG_LABS_MON120};
    static const struct {
        const char *why;
        struct { int64_t seconds; const char *rest; } row[3];
        int low[4], high[4]; /* est, mon30, mon60, mon120 */
    } cases[] = {
        {"no row", {{0}}, {U, U, U, U}, {U, U, U, U}},
        {"at the recording", {{0, "3,3" RANGE}}, {1, 1, 1, 1}, {0, 0, 0, 0}},
        {"on the limit: normal", {{0, "3.3,3.3" RANGE}}, {0, 0, 0, 0}, {0, 0, 0, 0}},
        {"a minute before: no monitoring", {{-MINUTE, "9,9" RANGE}}, {0, U, U, U}, {1, U, U, U}},
        {"60 minutes before", {{-60 * MINUTE, "9,9" RANGE}}, {0, U, U, U}, {1, U, U, U}},
        {"a second more", {{-60 * MINUTE - 1, "9,9" RANGE}}, {U, U, U, U}, {U, U, U, U}},
        {"30 minutes after", {{30 * MINUTE, "9,9" RANGE}}, {0, 0, 0, 0}, {1, 1, 1, 1}},
        {"a second more", {{30 * MINUTE + 1, "9,9" RANGE}}, {0, U, 0, 0}, {1, U, 1, 1}},
        {"60 minutes after", {{60 * MINUTE, "9,9" RANGE}}, {0, U, 0, 0}, {1, U, 1, 1}},
        {"a second more", {{60 * MINUTE + 1, "9,9" RANGE}}, {U, U, U, 0}, {U, U, U, 1}},
        {"120 minutes after", {{120 * MINUTE, "2,2" RANGE}}, {U, U, U, 1}, {U, U, U, 0}},
        {"a second more", {{120 * MINUTE + 1, "2,2" RANGE}}, {U, U, U, U}, {U, U, U, U}},
        {"the nearest of two", {{20 * MINUTE, "2,2" RANGE}, {-19 * MINUTE, "9,9" RANGE}}, {0, 1, 1, 1}, {1, 0, 0, 0}},
        {"as near before as after: first in the file, here the later", {{10 * MINUTE, "2,2" RANGE}, {-10 * MINUTE, "9,9" RANGE}}, {1, 1, 1, 1}, {0, 0, 0, 0}},
        {"as near before as after: first in the file, here the earlier", {{-10 * MINUTE, "9,9" RANGE}, {10 * MINUTE, "2,2" RANGE}}, {0, 1, 1, 1}, {1, 0, 0, 0}},
        {"two at one moment: first in the file", {{10 * MINUTE, "9,9" RANGE}, {10 * MINUTE, "4,4" RANGE}}, {0, 0, 0, 0}, {1, 1, 1, 1}},
        {"monitoring: normal, then high", {{MINUTE, "4,4" RANGE}, {50 * MINUTE, "9,9" RANGE}}, {0, 0, 0, 0}, {0, 0, 1, 1}},
        {"monitoring: low and high say neither", {{MINUTE, "2,2" RANGE}, {50 * MINUTE, "9,9" RANGE}}, {1, 1, U, U}, {0, 0, U, U}},
        {"low and high, but not in one window", {{MINUTE, "2,2" RANGE}, {90 * MINUTE, "9,9" RANGE}}, {1, 1, 1, U}, {0, 0, 0, U}},
        {"a nearer text that may be anything says nothing", {{0, "<4," RANGE}, {10 * MINUTE, "9,9" RANGE}}, {0, 0, 0, 0}, {1, 1, 1, 1}},
        {"a text that is low for certain", {{0, "<2.5," RANGE}}, {1, 1, 1, 1}, {0, 0, 0, 0}},
        {"a text that is high for certain", {{0, ">10," RANGE}}, {0, 0, 0, 0}, {1, 1, 1, 1}},
        {"words", {{0, "NEG," RANGE}}, {U, U, U, U}, {U, U, U, U}},
        {"no value", {{0, "___," RANGE}}, {U, U, U, U}, {U, U, U, U}},
        {"its own range", {{0, "5,5,mEq/L,3,4"}}, {0, 0, 0, 0}, {1, 1, 1, 1}},
        {"no range: medians of training", {{0, "3.2,3.2,mEq/L,,"}}, {1, 1, 1, 1}, {0, 0, 0, 0}},
        {"no upper limit: median of training", {{0, "5.2,5.2,mEq/L,3,"}}, {0, 0, 0, 0}, {1, 1, 1, 1}},
        {"range of 0 to 0 is none: not used", {{0, "3,3,mEq/L,0,0"}}, {U, U, U, U}, {U, U, U, U}},
    };
    const ecg_lab_choice how = {.ranges = ECG_RANGES_ROW, .min_labs = 1};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hospital *h = with_ballast();
        for (int r = 0; r < 3 && cases[c].row[r].rest; r++)
            add_row(h, TESTED, POTASSIUM, cases[c].row[r].seconds, cases[c].row[r].rest);
        for (int f = 0; f < 4; f++) {
            label(h, family[f], how);
            const int low = target(h, TESTED, "Potassium_low"), high = target(h, TESTED, "Potassium_high");
            if (low != cases[c].low[f] || high != cases[c].high[f])
                fail_msg("%s: family %d: low %d, high %d, expected %d, %d", cases[c].why, f, low, high, cases[c].low[f], cases[c].high[f]);
        }
        hospital_free(h);
    }
}

/* Training: three rows of 3.3 .. 5.1. The tested patient, in no training fold, has five rows of 4 .. 6 long before the one at the recording. */
static void ranges(void **state)
{
    (void)state;
    static const struct { const char *why; const char *rest; ecg_lab_ranges ranges; int low, high; } cases[] = {
        {"row: its own", "3.8,3.8,mEq/L,3,5", ECG_RANGES_ROW, 0, 0},
        {"row without one: of training", "3.8,3.8,mEq/L,,", ECG_RANGES_ROW, 0, 0},
        {"row without a lower limit: each side for itself", "3.2,3.2,mEq/L,,3.1", ECG_RANGES_ROW, 1, 0},
        {"median of all: 4 .. 6", "3.8,3.8,mEq/L,3,5", ECG_RANGES_MEDIAN, 1, 0},
        {"median of all: below 6", "5.5,5.5,mEq/L,3,5", ECG_RANGES_MEDIAN, 0, 0},
        {"median of training: 3.3 .. 5.1", "3.8,3.8,mEq/L,4,6", ECG_RANGES_TRAIN_MEDIAN, 0, 0},
        {"median of training: above 5.1", "5.5,5.5,mEq/L,4,6", ECG_RANGES_TRAIN_MEDIAN, 0, 1},
        {"a range of 0 to 0 is not used under medians either", "3,3,mEq/L,0,0", ECG_RANGES_TRAIN_MEDIAN, -1, -1},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hospital *h = with_ballast();
        add_row(h, TESTED, POTASSIUM, 0, cases[c].rest);
        for (int r = 0; r < 5; r++)
            add_row(h, TESTED, POTASSIUM, -90 * 86400, "5,5,mEq/L,4,6");
        label(h, ECG_LABS_EST, (ecg_lab_choice){.ranges = cases[c].ranges, .min_labs = 1});
        const int low = target(h, TESTED, "Potassium_low"), high = target(h, TESTED, "Potassium_high");
        if (low != cases[c].low || high != cases[c].high)
            fail_msg("%s: low %d, high %d, expected %d, %d", cases[c].why, low, high, cases[c].low, cases[c].high);
        hospital_free(h);
    }
}

/* A side that no row has is never passed; a test without any range has no class and no label. */
static void no_range_at_all(void **state)
{
    (void)state;
    static const struct { const char *why, *lower; int low, high; } cases[] = {
        {"upper limit alone", "", -2, 0},
        {"both", "12", 0, 0},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hospital *h = with_ballast();
        static const char *const value[BALLAST] = {"9,9", "14,14", "20,20"};
        char rest[64];
        for (int p = 0; p < BALLAST; p++) {
            snprintf(rest, sizeof rest, "%s,g/dL,%s,18", value[p], cases[c].lower);
            add_row(h, 1 + p, HEMOGLOBIN, 0, rest);
        }
        add_row(h, TESTED, HEMOGLOBIN, 0, "15,15,g/dL,,");
        label(h, ECG_LABS_EST, (ecg_lab_choice){.min_labs = 1});
        const int low = target(h, TESTED, "Hemoglobin_low"), high = target(h, TESTED, "Hemoglobin_high");
        if (low != cases[c].low || high != cases[c].high)
            fail_msg("%s: low %d, high %d, expected %d, %d", cases[c].why, low, high, cases[c].low, cases[c].high);
        hospital_free(h);
    }
    hospital *h = with_ballast();
    for (int p = 0; p < BALLAST; p++)
        add_row(h, 1 + p, HEMOGLOBIN, 0, p ? "20,20,g/dL,," : "9,9,g/dL,,");
    label(h, ECG_LABS_EST, (ecg_lab_choice){.min_labs = 1});
    assert_int_equal(target(h, 1, "Hemoglobin_low"), -2);
    assert_int_equal(target(h, 1, "Hemoglobin_high"), -2);
    hospital_free(h);
}

static void excluded_rows(void **state)
{
    (void)state;
    hospital *h = with_ballast();
    for (int p = 0; p < BALLAST; p++) {
        add_row(h, 1 + p, OTHER, 0, p ? "9,9,,1,5" : "3,3,,1,5");
        add_row(h, 1 + p, NAMELESS, 0, p ? "9,9,,1,5" : "3,3,,1,5");
        add_row(h, 1 + p, 59999, 0, p ? "9,9,,1,5" : "3,3,,1,5");
        add_row(h, 1 + p, LYMPHOCYTES, 0, p ? "900,900,#/uL,1.2,3.7" : "2,2,K/uL,1.2,3.7");
    }
    label(h, ECG_LABS_EST, (ecg_lab_choice){.min_labs = 1});
    assert_int_equal(h->table.n, 2); /* potassium alone: one class is left of the lymphocytes */
    assert_string_equal(h->table.label[0].code, "Potassium_high");
    assert_string_equal(h->table.label[1].code, "Potassium_low");
    assert_string_equal(h->table.label[0].itemid, "50971");
    assert_string_equal(h->table.label[0].fluid, "Blood");
    assert_string_equal(h->table.label[0].title, "Potassium above its reference range");
    hospital_free(h);
}

/* Of hemoglobin the fluid with most numeric rows; rows of the other have no say however near they are. */
static void one_fluid(void **state)
{
    (void)state;
    static const struct { const char *why; int blood, urine; const char *blood_row; int low; } cases[] = {
        {"more in blood", 3, 2, "9,9,g/dL,12,18", 1},
        {"more in urine", 2, 3, "9,9,g/dL,12,18", 0},
        {"equal: first in the alphabet", 3, 3, "9,9,g/dL,12,18", 1},
        {"texts do not count for the fluid", 5, 3, "<9,,g/dL,12,18", 0},
    };
    static const char *const ballast[BALLAST] = {"9,9,g/dL,12,18", "15,15,g/dL,12,18", "20,20,g/dL,12,18"};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hospital *h = with_ballast();
        for (int p = 0; p < BALLAST; p++) {
            add_row(h, 1 + p, HEMOGLOBIN, 0, ballast[p]);
            add_row(h, 1 + p, URINE_HEMOGLOBIN, 0, ballast[p]);
        }
        for (int r = 0; r < cases[c].blood; r++)
            add_row(h, TESTED, HEMOGLOBIN, r ? -300 * 86400 : MINUTE, cases[c].blood_row);
        for (int r = 0; r < cases[c].urine; r++)
            add_row(h, TESTED, URINE_HEMOGLOBIN, r ? -300 * 86400 : MINUTE, "15,15,g/dL,12,18");
        label(h, ECG_LABS_EST, (ecg_lab_choice){.min_labs = 1});
        if (target(h, TESTED, "Hemoglobin_low") != cases[c].low)
            fail_msg("%s: low %d, expected %d", cases[c].why, target(h, TESTED, "Hemoglobin_low"), cases[c].low);
        assert_string_equal(h->table.label[column(h, "Hemoglobin_low")].fluid, cases[c].low ? "Blood" : "Urine");
        hospital_free(h);
    }
}

/* ---- which labels -------------------------------------------------------------------------------------------------------------------------------- */

/* So many recordings of a role with this row at the recording. */
static void add_recordings(hospital *h, int role, int n, const char *rest)
{
    for (int i = 0; i < n; i++)
        add_row(h, add_patient(h, role), POTASSIUM, 0, rest);
}

static void choice_by_counts(void **state)
{
    (void)state;
    static const struct { const char *why; int64_t min_labs; bool paper; int zeros[3], ones[3]; int far; bool kept; } cases[] = {
        {"ours: just enough", 8, false, {8, 2, 0}, {8, 2, 0}, 0, true},
        {"ours: the test fold takes no part", 8, false, {8, 2, 50}, {8, 2, 0}, 0, true},
        {"ours: a positive too few in training", 8, false, {8, 2, 9}, {7, 9, 9}, 0, false},
        {"ours: a negative too few in training", 8, false, {7, 9, 9}, {8, 2, 9}, 0, false},
        {"ours: a positive too few in validation", 8, false, {8, 2, 9}, {8, 1, 9}, 0, false},
        {"ours: a negative too few in validation", 8, false, {8, 1, 9}, {8, 2, 9}, 0, false},
        {"ours: a quarter of 7 is 1", 7, false, {7, 1, 0}, {7, 1, 0}, 0, true},
        {"ours: one class never enters, whatever is asked for", 0, false, {30, 5, 5}, {0, 5, 5}, 0, false},
        {"ours: nor the other", 0, false, {0, 5, 5}, {30, 5, 5}, 0, false},
        {"ours: one of each", 0, false, {1, 0, 0}, {1, 0, 0}, 0, true},
        {"paper: just enough", 40, true, {0, 10, 10}, {0, 10, 10}, 160, true},
        {"paper: 199 rows", 40, true, {0, 10, 10}, {0, 10, 10}, 159, false},
        {"paper: rows near a recording count among the 200", 40, true, {80, 20, 20}, {40, 20, 20}, 0, true},
        {"paper: a one too few in validation", 40, true, {50, 50, 50}, {50, 9, 10}, 100, false},
        {"paper: a one too few in test", 40, true, {50, 50, 50}, {50, 10, 9}, 100, false},
        {"paper: a zero too few in validation", 40, true, {50, 9, 50}, {50, 10, 10}, 100, false},
        {"paper: a zero too few in test", 40, true, {50, 50, 9}, {50, 10, 10}, 100, false},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hospital *h = hospital_new();
        const int far = add_patient(h, -1);
        for (int role = 0; role < 3; role++) {
            add_recordings(h, role, cases[c].zeros[role], "4,4" RANGE);
            add_recordings(h, role, cases[c].ones[role], "9,9" RANGE);
        }
        for (int r = 0; r < cases[c].far; r++)
            add_row(h, far, POTASSIUM, -300 * 86400, "4,4" RANGE);
        label(h, ECG_LABS_EST, (ecg_lab_choice){cases[c].paper ? ECG_RANGES_MEDIAN : ECG_RANGES_ROW, cases[c].paper, cases[c].min_labs});
        if ((column(h, "Potassium_high") >= 0) != cases[c].kept)
            fail_msg("%s: the label is %s", cases[c].why, cases[c].kept ? "not there" : "there");
        assert_int_equal(column(h, "Potassium_low"), -1); /* nobody is low */
        hospital_free(h);
    }
}

/* Texts: no value, no usable row and no neighbour in `paper`. */
static void paper_takes_numbers_alone(void **state)
{
    (void)state;
    static const struct { const char *why; int numbers, texts; bool kept; } cases[] = {
        {"200 numbers", 159, 1, true},
        {"199 numbers, and texts", 158, 9, false},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hospital *h = hospital_new();
        const int tested = add_patient(h, 0);
        add_recordings(h, 0, 1, "4,4" RANGE);
        for (int role = 1; role < 3; role++) {
            add_recordings(h, role, 10, "4,4" RANGE);
            add_recordings(h, role, 10, "9,9" RANGE);
        }
        for (int r = 0; r < cases[c].numbers - 1; r++)
            add_row(h, tested, POTASSIUM, -300 * 86400, "4,4" RANGE);
        for (int r = 0; r < cases[c].texts; r++)
            add_row(h, tested, POTASSIUM, -300 * 86400, ">9," RANGE);
        add_row(h, tested, POTASSIUM, 0, ">9," RANGE);
        add_row(h, tested, POTASSIUM, 30 * MINUTE, "4,4" RANGE);
        for (int f = 0; f < 2; f++) {
            label(h, f ? ECG_LABS_MON30 : ECG_LABS_EST, (ecg_lab_choice){ECG_RANGES_MEDIAN, true, 40});
            const int want = cases[c].kept ? 0 : -2; /* of the row half an hour later */
            if (target(h, tested, "Potassium_high") != want)
                fail_msg("%s: paper: %d, expected %d", cases[c].why, target(h, tested, "Potassium_high"), want);
        }
        label(h, ECG_LABS_EST, (ecg_lab_choice){ECG_RANGES_MEDIAN, false, 1});
        if (target(h, tested, "Potassium_high") != 1) /* of the text at the recording */
            fail_msg("%s: ours: %d, expected 1", cases[c].why, target(h, tested, "Potassium_high"));
        hospital_free(h);
    }
}

/* Items of two tests whose names agree in the first 58 letters would be one label. */
static void two_labels_of_one_id(void **state)
{
    (void)state;
    hospital *h = with_ballast();
    static const char *const value[BALLAST] = {"1,1", "3,3", "9,9"};
    char name[70], rest[64];
    ecg_text list = {0};
    memset(name, 'a', sizeof name);
    ecg_text_puts(&list, items);
    for (int i = 0; i < 2; i++)
        ecg_text_printf(&list, "%d,%.60s%d,Blood,\n", 52000 + i, name, i);
    assert_int_equal(ecg_file_write_whole(h->items, list.at, list.len, NULL), ECG_OK);
    ecg_text_clear(&list);
    for (int p = 0; p < BALLAST; p++)
        for (int i = 0; i < 2; i++) {
            snprintf(rest, sizeof rest, "%s,,2,5", value[p]);
            add_row(h, 1 + p, 52000 + i, 0, rest);
        }
    ecg_err err = read_rows(h);
    const ecg_lab_choice how = {.min_labs = 1};
    assert_int_equal(ecg_lab_labels(&h->table, &h->label, &h->labs, &h->v, h->role, ECG_LABS_EST, &how, &err), ECG_EDATA);
    assert_non_null(strstr(err.msg, "two lab labels are called aaaa"));
    assert_null(h->label);
    assert_int_equal(ecg_lab_labels(&h->table, &h->label, &h->labs, &h->v, h->role, ECG_LABS_EST | ECG_LABS_MON30, &how, &err), ECG_EARG);
    hospital_free(h);
}

/* ---- every row ----------------------------------------------------------------------------------------------------------------------------------- */

static void expect_file(const char *why, const char *path, const char *want)
{
    ecg_bytes got;
    assert_int_equal(ecg_file_read(&got, path, NULL), ECG_OK);
    if (got.len != strlen(want) || memcmp(got.at, want, got.len))
        fail_msg("%s: %s holds\n%.*s\nexpected\n%s", why, path, (int)got.len, (const char *)got.at, want);
    ecg_bytes_free(&got);
}

static void class_of_every_row(void **state)
{
    (void)state;
    static const char *const events =
        "14,,10000000,,50971,2150-03-02 00:00:00,\"3,0\",3.0,mEq/L,3.3,5.1,\"a, b\"\n"
        "15,7,10000000,20000000.0,50971,2140-01-01 00:00:00,>5.1,,mEq/L,3.3,5.1,\n"   /* ten years before */
        "16,,10000000,,50971,2150-03-02 00:00:00,4.0,4.0,mEq/L,,,\n"                  /* no range of its own */
        "17,,10000000,,50971,2150-03-02 00:00:00,___,,mEq/L,3.3,5.1,\n"
        "18,,10000000,,50971,2150-03-02 00:00:00,9,9,mEq/L,0,0,\n"                    /* a range that is none */
        "19,,10000000,,50971,,9,9,mEq/L,3.3,5.1,\n"                                   /* no time */
        "20,,10000000,,51475,2150-03-02 00:00:00,2,2,g/dL,12,18,\n"                   /* a fluid of no label */
        "21,,10000000,,51133,2150-03-02 00:00:00,2,2,#/uL,1.2,3.7,\n"
        "22,,10000000,,59999,2150-03-02 00:00:00,2,2,g/dL,12,18,\n"                   /* no such test */
        "23,,10000009,,50971,2150-03-02 00:00:00,2,2,mEq/L,12,18,\n"                  /* not a patient of ours */
        "24,,10000001,,50971,2150-03-02 00:00:00,8,8,mEq/L,3.5,5.5,\n";
    static const char *const want[2] = {
        "labevent_id,subject_id,hadm_id,itemid,label,fluid,charttime,value,valuenum,valueuom,lower,upper,class\n"
        "14,10000000,,50971,Potassium,Blood,2150-03-02 00:00:00,\"3,0\",3.0,mEq/L,3.3,5.1,low\n"
        "15,10000000,20000000,50971,Potassium,Blood,2140-01-01 00:00:00,>5.1,,mEq/L,3.3,5.1,high\n"
        "16,10000000,,50971,Potassium,Blood,2150-03-02 00:00:00,4.0,4.0,mEq/L,3.3,5.1,normal\n"
        "17,10000000,,50971,Potassium,Blood,2150-03-02 00:00:00,___,,mEq/L,3.3,5.1,\n"
        "18,10000000,,50971,Potassium,Blood,2150-03-02 00:00:00,9,9,mEq/L,0,0,\n"
        "19,10000000,,50971,Potassium,Blood,,9,9,mEq/L,3.3,5.1,\n"
        "20,10000000,,51475,Hemoglobin,Urine,2150-03-02 00:00:00,2,2,g/dL,12,18,low\n"
        "21,10000000,,51133,Absolute Lymphocyte Count,Blood,2150-03-02 00:00:00,2,2,#/uL,1.2,3.7,\n"
        "24,10000001,,50971,Potassium,Blood,2150-03-02 00:00:00,8,8,mEq/L,3.5,5.5,high\n",
        /* paper: medians of the two usable ranges, no text */
        "labevent_id,subject_id,hadm_id,itemid,label,fluid,charttime,value,valuenum,valueuom,lower,upper,class\n"
        "14,10000000,,50971,Potassium,Blood,2150-03-02 00:00:00,\"3,0\",3.0,mEq/L,3.4,5.3,low\n"
        "15,10000000,20000000,50971,Potassium,Blood,2140-01-01 00:00:00,>5.1,,mEq/L,3.4,5.3,\n"
        "16,10000000,,50971,Potassium,Blood,2150-03-02 00:00:00,4.0,4.0,mEq/L,3.4,5.3,normal\n"
        "17,10000000,,50971,Potassium,Blood,2150-03-02 00:00:00,___,,mEq/L,3.4,5.3,\n"
        "18,10000000,,50971,Potassium,Blood,2150-03-02 00:00:00,9,9,mEq/L,3.4,5.3,\n"
        "19,10000000,,50971,Potassium,Blood,,9,9,mEq/L,3.4,5.3,\n"
        "20,10000000,,51475,Hemoglobin,Urine,2150-03-02 00:00:00,2,2,g/dL,12,18,low\n"
        "21,10000000,,51133,Absolute Lymphocyte Count,Blood,2150-03-02 00:00:00,2,2,#/uL,,,\n"
        "24,10000001,,50971,Potassium,Blood,2150-03-02 00:00:00,8,8,mEq/L,3.4,5.3,high\n"};
    static const char *const counts[2] = {
        "label,fluid,low,normal,high,unknown\nAbsolute Lymphocyte Count,Blood,0,0,0,1\nHemoglobin,Urine,1,0,0,0\nPotassium,Blood,1,1,2,3\n",
        "label,fluid,low,normal,high,unknown\nAbsolute Lymphocyte Count,Blood,0,0,0,1\nHemoglobin,Urine,1,0,0,0\nPotassium,Blood,1,1,1,4\n"};
    static const ecg_lab_choice how[2] = {{ECG_RANGES_ROW, false, 40}, {ECG_RANGES_MEDIAN, true, 40}};
    static const int64_t sum[2][3] = {{2, 1, 2}, {2, 1, 1}};
    for (int paper = 0; paper < 2; paper++) {
        hospital *h = hospital_new();
        char path[80];
        int64_t count[3];
        add_patient(h, 0);
        add_patient(h, 1);
        h->events.len = 0;
        ecg_text_puts(&h->events, "labevent_id,specimen_id,subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom,ref_range_lower,ref_range_upper,comments\n");
        ecg_text_puts(&h->events, events);
        ecg_err err = read_rows(h);
        if (ecg_lab_write_rows(h->out, count, &h->v, &h->labs, &how[paper], h->labevents, NULL, &err))
            fail_msg("rows: %s", err.msg);
        expect_file(paper ? "paper" : "ours", h->out, want[paper]);
        snprintf(path, sizeof path, "%s/rows.counts.csv", h->folder);
        expect_file(paper ? "paper" : "ours", path, counts[paper]);
        for (int c = 0; c < 3; c++)
            assert_int_equal(count[c], sum[paper][c]);
        hospital_free(h);
    }
}

/* Without a number of its own a row has none; a table that breaks off is the error and leaves no file. */
static void rows_of_odd_tables(void **state)
{
    (void)state;
    static const char head[] = "subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom,ref_range_lower,ref_range_upper\n";
    hospital *h = hospital_new();
    const ecg_lab_choice how = {.min_labs = 40};
    int64_t count[3];
    add_patient(h, 0);
    h->events.len = 0;
    ecg_text_printf(&h->events, "%s10000000,,50971,2150-03-02 00:00:00,9,9,mEq/L,3.3,5.1\n", head);
    ecg_err err = read_rows(h);
    assert_int_equal(ecg_lab_write_rows(h->out, count, &h->v, &h->labs, &how, h->labevents, NULL, &err), ECG_OK);
    expect_file("no labevent_id", h->out,
                "labevent_id,subject_id,hadm_id,itemid,label,fluid,charttime,value,valuenum,valueuom,lower,upper,class\n"
                ",10000000,,50971,Potassium,Blood,2150-03-02 00:00:00,9,9,mEq/L,3.3,5.1,high\n");
    unlink(h->out);
    ecg_text_puts(&h->events, "10000000,,50971,2150-03-02 00:00:00,9\n");
    assert_int_equal(ecg_file_write_whole(h->labevents, h->events.at, h->events.len, NULL), ECG_OK);
    assert_int_equal(ecg_lab_write_rows(h->out, count, &h->v, &h->labs, &how, h->labevents, NULL, &err), ECG_EDATA);
    assert_int_equal(err.line, 3);
    assert_false(ecg_is_file(h->out));
    hospital_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows),          cmocka_unit_test(ranges),
        cmocka_unit_test(no_range_at_all),  cmocka_unit_test(excluded_rows),
        cmocka_unit_test(one_fluid),        cmocka_unit_test(choice_by_counts),
        cmocka_unit_test(paper_takes_numbers_alone), cmocka_unit_test(two_labels_of_one_id),
        cmocka_unit_test(class_of_every_row), cmocka_unit_test(rows_of_odd_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
