/* SPDX-License-Identifier: MIT
 * Predictions, labels, groups out of CSV files: what is matched with what, what is refused and where. */
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

#include "base/file.h"
#include "study/predictions.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ecgraft-predictions-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[96];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* The path of a file with that text; NULL for NULL. */
static const char *file(char path[128], const char *name, const char *text)
{
    if (!text)
        return NULL;
    snprintf(path, 128, "%s/%s", folder, name);
    assert_int_equal(ecg_file_write_whole(path, text, strlen(text), NULL), ECG_OK);
    return path;
}

typedef struct { const char *predictions, *labels, *groups, *against, *validation_predictions, *validation_labels; } texts;

static ecg_status read_texts(ecg_predictions *p, const texts *t, bool ignore_missing, const ecg_watch *watch, ecg_err *err)
{
    char path[6][128];
    const ecg_predictions_files f = {
        .predictions = file(path[0], "p.csv", t->predictions), .labels = file(path[1], "y.csv", t->labels), .groups = file(path[2], "g.csv", t->groups),
        .against = file(path[3], "q.csv", t->against), .validation_predictions = file(path[4], "pv.csv", t->validation_predictions),
        .validation_labels = file(path[5], "yv.csv", t->validation_labels), .ignore_missing = ignore_missing};
    return ecg_predictions_read(p, &f, watch, err);
}

static void hear(void *ctx, const char *line)
{
    char *heard = ctx;
    snprintf(heard + strlen(heard), 1000 - strlen(heard), "%s\n", line);
}

static void rows_and_columns_are_matched_by_name(void **state)
{
    (void)state;
    char heard[1000] = "";
    ecg_predictions p;
    const texts t = {.predictions = "study_id,B,extra,A,patient\n7,0.25,9e9,1,x\n8,1e-3,text,0,y\n9,.5,,0.125,x\n",
                     .labels = "first_in_stay,A,C,study_id,B\n0,1,0,9,\n1,0,0,8,1.0\n,,1,7,0\n",
                     .against = "study_id,A,B\n9,0.9,0.1\n8,0.8,0.2\n7,0.7,0.3\n"};
    assert_int_equal(read_texts(&p, &t, false, &(ecg_watch){heard, hear, NULL, NULL}, NULL), ECG_OK);
    assert_int_equal(p.K, 2);
    assert_string_equal(p.code[0], "B");
    assert_string_equal(p.code[1], "A");
    assert_int_equal(p.rows.n, 3);
    static const double prob[] = {0.25, 1, 1e-3, 0, 0.5, 0.125}, against[] = {0.3, 0.7, 0.2, 0.8, 0.1, 0.9};
    static const int8_t truth[] = {0, -1, 1, 0, -1, 1};
    for (int i = 0; i < 6; i++)
        assert_true(p.rows.prob[i] == prob[i] && p.rows.truth[i] == truth[i] && p.against[i] == against[i]);
    assert_true(p.rows.unit[0] == p.rows.unit[2] && p.rows.unit[0] != p.rows.unit[1]);
    assert_true(p.rows.first[0] == -1 && p.rows.first[1] == 1 && p.rows.first[2] == 0);
    assert_true(p.unused_predictions == 1 && p.unused_labels == 1 && p.validation.n == 0 && p.groups == 0);
    assert_non_null(strstr(heard, "2 labels in both files; 1 columns of the predictions and 1 of the labels have no partner"));
    ecg_predictions_clear(&p);
}

static void rows_that_are_not_everywhere_can_be_left_out(void **state)
{
    (void)state;
    char heard[1000] = "";
    ecg_err err;
    ecg_predictions p;
    const texts t = {.predictions = "ecg,A\na,.1\nb,.2\nc,.3\nd,.4\n", .labels = "ecg,A\nd,1\nx,0\nb,0\na,0\ny,1\n", .against = "ecg,A\nd,.9\nb,.8\nc,.7\n"};
    assert_int_equal(read_texts(&p, &t, false, NULL, &err), ECG_EDATA);
    assert_true(err.line == 4 && err.column == 1 && strstr(err.msg, "1 of 4 ids are not in") && strstr(err.msg, "'c' first"));
    assert_int_equal(read_texts(&p, &t, true, &(ecg_watch){heard, hear, NULL, NULL}, &err), ECG_OK);
    assert_int_equal(p.rows.n, 2); /* b, d */
    assert_true(p.rows.prob[0] == .2 && p.rows.prob[1] == .4 && p.rows.truth[0] == 0 && p.rows.truth[1] == 1 && p.against[0] == .8 && p.against[1] == .9);
    assert_true(p.only_predictions == 2 && p.only_labels == 2 && p.only_against == 0);
    assert_true(!p.rows.unit && !p.rows.first);
    assert_non_null(strstr(heard, "2 ids left out"));
    ecg_predictions_clear(&p);
}

static const char *level_of(const ecg_predictions *p, const char *group, int64_t row)
{
    for (int g = 0; g < p->groups; g++)
        if (!strcmp(p->group[g].name, group))
            return p->group[g].of[row] < 0 ? "" : p->group[g].level[p->group[g].of[row]];
    return "no such group";
}

static void groups_are_texts_few_numbers_or_bands(void **state)
{
    (void)state;
    char heard[1000] = "", predictions[2000] = "id,A\n", labels[2000] = "id,A\n", groups[4000] = "id,subject_id,sex,age,acuity,bmi,note,none\n";
    ecg_err err;
    ecg_predictions p;
    for (int i = 0; i < 40; i++) {
        snprintf(predictions + strlen(predictions), 40, "e%d,0.%02d\n", i, i);
        snprintf(labels + strlen(labels), 40, "e%d,%d\n", i, i % 3 == 0);
        if (i)
            snprintf(groups + strlen(groups), 80, "e%d,p%d,%s,%d,%d,%d.5,text %d,\n", i, i / 4, i % 5 ? i % 2 ? "M" : "F" : "", 30 + i, i % 3 ? 10 : 9, i, i);
    }
    const texts t = {.predictions = predictions, .labels = labels, .groups = groups};
    assert_int_equal(read_texts(&p, &t, false, &(ecg_watch){heard, hear, NULL, NULL}, NULL), ECG_OK);
    assert_int_equal(p.groups, 4);
    assert_string_equal(level_of(&p, "sex", 1), "M");
    assert_string_equal(level_of(&p, "sex", 5), "");
    assert_string_equal(level_of(&p, "sex", 0), ""); /* the groups do not have it */
    assert_string_equal(level_of(&p, "age", 9), "<40");
    assert_string_equal(level_of(&p, "age", 10), "40-59");
    assert_string_equal(level_of(&p, "acuity", 3), "9");
    assert_int_equal(p.group[2].levels, 2); /* two numbers stay what they are, in the order of numbers */
    assert_string_equal(p.group[2].level[0], "9");
    assert_string_equal(p.group[3].bands, "quartiles");
    assert_string_equal(level_of(&p, "bmi", 1), "<11");
    assert_string_equal(level_of(&p, "bmi", 39), ">=30");
    assert_true(p.rows.unit && p.rows.unit[4] == p.rows.unit[7] && p.rows.unit[4] != p.rows.unit[8] && p.rows.unit[0] < 0);
    assert_non_null(strstr(heard, "1 of 40 scored rows have no group"));
    assert_non_null(strstr(heard, "column 'note' has 39 different texts: no grouping"));
    assert_non_null(strstr(heard, "column 'none' is empty"));
    ecg_predictions_clear(&p);
    const texts twice = {.predictions = predictions, .labels = labels, .groups = "id,sex\ne1,F\ne1,F\n"};
    assert_int_equal(read_texts(&p, &twice, false, NULL, &err), ECG_EDATA);
    assert_true(err.line == 3 && strstr(err.msg, "id 'e1' again"));
    /* a row for each patient: the id is the patient, and no grouping */
    const texts whole = {.predictions = "subject_id,A\n1,.5\n2,.6\n", .labels = "subject_id,A\n1,0\n2,1\n", .groups = "subject_id,sex\n1,F\n2,M\n"};
    assert_int_equal(read_texts(&p, &whole, false, NULL, NULL), ECG_OK);
    assert_true(p.groups == 1 && !p.rows.unit);
    ecg_predictions_clear(&p);
}

static void validation_is_of_other_rows(void **state)
{
    (void)state;
    char heard[1000] = "";
    ecg_err err;
    ecg_predictions p;
    texts t = {.predictions = "id,A,B\n0,.1,.2\n1,.3,.4\n", .labels = "id,B,A\n0,0,1\n1,1,0\n",
               .validation_predictions = "id,B,C,A\n5,.5,0,.6\n6,.7,0,.8\n7,.9,0,1\n", .validation_labels = "id,A,B\n7,1,0\n6,0,1\n5,1,1\n"};
    assert_int_equal(read_texts(&p, &t, false, NULL, NULL), ECG_OK);
    assert_int_equal(p.validation.n, 3);
    assert_true(p.validation.prob[0] == .6 && p.validation.prob[1] == .5 && p.validation.truth[4] == 1 && p.validation.truth[5] == 0);
    assert_int_equal(p.validation_scored, 0);
    ecg_predictions_clear(&p);
    t.validation_predictions = "id,A,B\n0,.5,.6\n1,.7,.8\n"; /* numbered alike, other rows */
    t.validation_labels = t.labels;
    assert_int_equal(read_texts(&p, &t, false, &(ecg_watch){heard, hear, NULL, NULL}, NULL), ECG_OK);
    assert_int_equal(p.validation_scored, 2);
    assert_non_null(strstr(heard, "2 of its 2 ids are scored as well"));
    ecg_predictions_clear(&p);
    t.validation_predictions = t.predictions;
    assert_int_equal(read_texts(&p, &t, false, NULL, &err), ECG_EDATA);
    assert_non_null(strstr(err.msg, "thresholds come from other rows"));
    t.validation_predictions = "id,A\n8,.5\n";
    assert_int_equal(read_texts(&p, &t, false, NULL, &err), ECG_EDATA);
    assert_non_null(strstr(err.msg, "\"B\""));
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *why, *predictions, *labels, *says;
        int64_t line, column;
    } cases[] = {
        {"above 1", "id,A,B\n1,0,1\n2,0,1.0000001\n", "id,A,B\n1,0,1\n2,0,1\n", "B: \"1.0000001\" is outside 0 to 1", 3, 3},
        {"below 0", "id,A\n1,-0.5\n", "id,A\n1,0\n", "is outside 0 to 1", 2, 2},
        {"not a number", "id,A\n1,nan\n", "id,A\n1,0\n", "\"nan\" is no probability", 2, 2},
        {"nothing", "id,A\n1,\n", "id,A\n1,0\n", "\"\" is no probability", 2, 2},
        {"text", "id,A\n1,0.5x\n", "id,A\n1,0\n", "is no probability", 2, 2},
        {"an id twice", "id,A\n1,.1\n\n1,.1\n", "id,A\n1,0\n", "id '1' again, first on line 2", 4, 1},
        {"no id", "id,A\n,.1\n", "id,A\n1,0\n", "is no id", 2, 1},
        {"a short row", "id,A,B\n1,.1\n", "id,A\n1,0\n", "2 fields, the header has 3", 2, 0},
        {"a label of 2", "id,A\n1,.1\n", "id,A\n1,2\n", "\"2\" is no label: 1, 0 or empty", 2, 2},
        {"a label of -1", "id,A\n1,.1\n", "id,A\n1,-1\n", "is no label", 2, 2},
        {"a label of one half", "id,A\n1,.1\n", "id,A\n1,0.5\n", "is no label", 2, 2},
        {"a wrong label on a row nobody asked for", "id,A\n1,.1\n", "id,A\n1,0\n2,yes\n", "\"yes\" is no label", 3, 2},
        {"a label twice", "id,A\n1,.1\n", "id,A\n1,0\n1,0\n", "id '1' again", 3, 1},
        {"an unknown id twice", "id,A\n1,.1\n", "id,A\n1,0\n2,0\n2,0\n", "id '2' again", 4, 1},
        {"no label for an id", "id,A\n1,.1\n2,.2\n", "id,A\n1,0\n", "1 of 2 ids are not in", 3, 1},
        {"no prediction for an id", "id,A\n1,.1\n", "id,A\n1,0\n3,1\n", "1 ids are not in", 0, 0},
        {"columns of other names", "id,A\n1,.1\n", "id,Z\n1,0\n", "no label column in common", 1, 0},
        {"a column twice", "id,A,A\n1,.1,.1\n", "id,A\n1,0\n", "a second column 'A'", 1, 3},
        {"no columns", "id\n1\n", "id,A\n1,0\n", "no column besides the id", 1, 0},
        {"semicolons", "id;A\n1;.1\n", "id,A\n1,0\n", "fields are separated by commas", 1, 0},
        {"no rows", "id,A\n", "id,A\n1,0\n", "no row below the header", 0, 0},
        {"nothing at all", "", "id,A\n1,0\n", "no header row", 1, 0},
        {"a wrong first_in_stay", "id,first_in_stay,A\n1,3,.1\n", "id,A\n1,0\n", "\"3\" is neither 1 nor 0", 2, 2},
        {"a quote that is not closed", "id,A\n1,\".1\n", "id,A\n1,0\n", "quote", 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_predictions p;
        ecg_err err = {0};
        const ecg_status st = read_texts(&p, &(texts){.predictions = cases[i].predictions, .labels = cases[i].labels}, false, NULL, &err);
        if (st != ECG_EDATA || !strstr(err.msg, cases[i].says) || err.line != cases[i].line || err.column != cases[i].column)
            fail_msg("%s: status %d, %s:%lld:%lld: %s", cases[i].why, st, err.path, (long long)err.line, (long long)err.column, err.msg);
        assert_true(p.rows.prob == NULL && p.code == NULL);
    }
}

static void probabilities_keep_all_their_digits(void **state)
{
    (void)state;
    ecg_predictions p;
    const texts t = {.predictions = "id,A\n1,0.30000000000000004\n2,0.3\n3,0\n4,1\n5,5e-324\n6,-0\n", .labels = "id,A\n1,1\n2,0\n3,0\n4,1\n5,0\n6,0\n"};
    assert_int_equal(read_texts(&p, &t, false, NULL, NULL), ECG_OK);
    assert_true(p.rows.prob[0] == 0.30000000000000004 && p.rows.prob[0] != p.rows.prob[1] && p.rows.prob[3] == 1 && p.rows.prob[4] > 0);
    ecg_predictions_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_columns_are_matched_by_name), cmocka_unit_test(rows_that_are_not_everywhere_can_be_left_out),
        cmocka_unit_test(groups_are_texts_few_numbers_or_bands), cmocka_unit_test(validation_is_of_other_rows),
        cmocka_unit_test(what_is_wrong_is_named),                cmocka_unit_test(probabilities_keep_all_their_digits),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
