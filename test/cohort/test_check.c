/* SPDX-License-Identifier: MIT
 * A good store, and then one store for each thing that can be wrong with it: written with the right hash, so that exactly the check which is
 * meant for it speaks. */
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

#include "cohort/check.h"

enum { N = 12, SAMPLES = 300, LEADS = 12, COLUMNS = 4, K = 2, QUALITY = 8, SHORT = 3, VALID = 280 };

typedef struct {
    float signal[N][SAMPLES][LEADS], tabular[N][COLUMNS], quality[N][QUALITY];
    int64_t patient[N], study[N], stay[N], time[N];
    uint8_t fold[N], first[N];
    int8_t label[N][K];
    ecg_contract contract;
    const char *roles, *attrition, *sources, *hash; /* hash: NULL: the right one */
    const char *from, *to; /* in the contract's JSON */
    bool no_stays, no_signal; /* tensors that are not written */
    bool tables_alone;        /* as the metadata say */
} store;

static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ecgraft-check-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/a.cohort", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static const char good_sources[] =
    "[{\"name\":\"t.csv\",\"bytes\":10,\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}]";

/* Six patients with one stay of two recordings each: four train (0, 1), one validates (2), one tests (3). */
static store *good_store(void)
{
    store *s = calloc(1, sizeof *s);
    ecg_contract *c = &s->contract;
    ecg_contract_default(c);
    c->samples = SAMPLES;
    c->columns = COLUMNS;
    c->column = calloc(COLUMNS, sizeof *c->column);
    c->column[0] = (ecg_column){"demographics_age", false, 0, "years", "routine"};
    c->column[1] = (ecg_column){"demographics_gender", true, 2, "", "routine"};
    c->column[2] = (ecg_column){"labvalues_potassium_mean", false, 0, "", "lab"};
    c->column[3] = (ecg_column){"labvalues_potassium_mean_nan", true, 2, "", "lab"};
    c->sets = 1;
    c->table = calloc(1, sizeof *c->table);
    snprintf(c->table->set, sizeof c->table->set, "diagnoses");
    c->table->n = K;
    c->table->label = calloc(K, sizeof *c->table->label);
    c->table->label[0] = (ecg_label){.code = "I10", .title = "Essential hypertension", .count = N / 2};
    c->table->label[1] = (ecg_label){.code = "I48", .title = "Atrial fibrillation and flutter", .count = N / 2};
    ecg_label_table_hash(c->table);
    for (int i = 0; i < N; i++) {
        const int patient = i / 2;
        s->patient[i] = 10 + patient;
        s->stay[i] = 100 + patient;
        s->study[i] = 1000 + i;
        s->time[i] = 5000000 + 100 * i;
        s->first[i] = i % 2 == 0;
        s->fold[i] = (uint8_t)(patient < 2 ? 0 : patient < 4 ? 1 : patient - 2);
        s->label[i][0] = (int8_t)(i % 2);
        s->label[i][1] = (int8_t)(i % 2 == 0);
        s->tabular[i][0] = 50 + (float)i;
        s->tabular[i][1] = (float)(i % 2);
        s->tabular[i][2] = i % 3 ? 4 : NAN;
        s->tabular[i][3] = i % 3 ? 0 : 1;
        s->quality[i][0] = i == SHORT ? VALID : SAMPLES;
        for (int t = 0; t < SAMPLES; t++)
            for (int l = 0; l < LEADS; l++)
                s->signal[i][t][l] = i == SHORT && t >= VALID ? NAN : (float)sin(0.1 * t + l + 0.37 * i);
    }
    s->roles = "train:0-1,validation:2,test:3";
    s->attrition = "[{\"step\":\"listed\",\"kept\":20,\"dropped\":0},{\"step\":\"in a stay\",\"kept\":12,\"dropped\":8}]";
    s->sources = good_sources;
    return s;
}

static void replace(char **json, const char *from, const char *to)
{
    const char *at = strstr(*json, from);
    assert_non_null(at);
    char *out = malloc(strlen(*json) + strlen(to) + 1);
    sprintf(out, "%.*s%s%s", (int)(at - *json), *json, to, at + strlen(from));
    free(*json);
    *json = out;
}

/* Written tensor by tensor and hashed here: this owes nothing to the writer of cohorts. */
static void write_store(const store *s)
{
    const struct { const char *name; ecg_dtype dtype; int rank; int64_t dim[3]; const void *data; size_t bytes; } tensors[] = {
        {"signal", ECG_F32, 3, {N, SAMPLES, LEADS}, s->signal, sizeof s->signal},
        {"patient", ECG_I64, 1, {N}, s->patient, sizeof s->patient},
        {"study", ECG_I64, 1, {N}, s->study, sizeof s->study},
        {"stay", ECG_I64, 1, {N}, s->stay, sizeof s->stay},
        {"ecg_time", ECG_I64, 1, {N}, s->time, sizeof s->time},
        {"tabular", ECG_F32, 2, {N, COLUMNS}, s->tabular, sizeof s->tabular},
        {"quality", ECG_F32, 2, {N, QUALITY}, s->quality, sizeof s->quality},
        {"fold", ECG_U8, 1, {N}, s->fold, sizeof s->fold},
        {"first_in_stay", ECG_U8, 1, {N}, s->first, sizeof s->first},
        {"labels.diagnoses", ECG_I8, 2, {N, K}, s->label, sizeof s->label},
    };
    ecg_tensorsw *w;
    ecg_sha256 h;
    char hex[65], *contract;
    assert_int_equal(ecg_tensorsw_create(&w, path, 0, NULL), ECG_OK);
    ecg_sha256_begin(&h);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        if ((s->no_stays && !strcmp(tensors[i].name, "stay")) || (s->no_signal && i == 0))
            continue;
        assert_int_equal(ecg_tensorsw_put(w, tensors[i].name, tensors[i].dtype, tensors[i].rank, tensors[i].dim, tensors[i].data, NULL), ECG_OK);
        if (i)
            ecg_sha256_add(&h, tensors[i].name, strlen(tensors[i].name) + 1);
        ecg_sha256_add(&h, tensors[i].data, tensors[i].bytes);
    }
    ecg_sha256_end(&h, hex);
    assert_int_equal(ecg_contract_to_json(&contract, &s->contract, NULL), ECG_OK);
    if (s->from)
        replace(&contract, s->from, s->to);
    const char *const meta[][2] = {{"format", "ecgraft.cohort"}, {"format_version", "1.0"}, {"contract", contract}, {"roles", s->roles}, {"attrition", s->attrition},
                                   {"sources", s->sources}, {"synthetic", "false"}, {"data_sha256", s->hash ? s->hash : hex},
                                   {"waveforms", s->tables_alone ? "false" : NULL}};
    for (size_t i = 0; i < sizeof meta / sizeof *meta; i++)
        if (meta[i][1])
            assert_int_equal(ecg_tensorsw_meta(w, meta[i][0], meta[i][1], NULL), ECG_OK);
    assert_int_equal(ecg_tensorsw_commit(w, NULL), ECG_OK);
    free(contract);
}

static void free_store(store *s)
{
    ecg_contract_clear(&s->contract);
    free(s);
}

/* ---- what can be wrong ---------------------------------------------------------------------------------------------------------------- */

static void wrong_hash(store *s) { s->hash = "00"; }
static void odd_label(store *s) { s->label[4][1] = 2; }
static void odd_category(store *s) { s->tabular[7][1] = 2; }
static void half_category(store *s) { s->tabular[7][1] = 0.5f; }
static void too_short(store *s) { s->quality[5][0] = 249; }
static void too_long(store *s) { s->quality[5][0] = 301; }
static void no_length(store *s) { s->quality[5][0] = NAN; }
static void far_fold(store *s) { s->fold[11] = 32; }
static void odd_mark(store *s) { s->first[11] = 2; }
static void no_stay_tensor(store *s) { s->no_stays = true; }
static void no_signal_tensor(store *s) { s->no_signal = true; }
static void tables_alone(store *s)
{
    s->no_signal = s->tables_alone = true;
    for (int i = 0; i < N; i++)
        s->quality[i][0] = 0;
}
static void descending(store *s) { s->from = "\"I10\"", s->to = "\"J10\""; }
static void foreign_hash(store *s) { s->from = s->contract.table->hash, s->to = "0000000000000000000000000000000000000000000000000000000000000000"; }
static void endless_age(store *s) { s->tabular[2][0] = INFINITY; }
static void no_age(store *s)
{
    for (int i = 0; i < N; i++)
        s->tabular[i][0] = NAN;
}
static void mask_says_missing(store *s) { s->tabular[4][3] = 1; }
static void mask_says_there(store *s) { s->tabular[3][3] = 0; }
static void mask_missing(store *s) { s->tabular[3][3] = NAN; }
static void miscount(store *s)
{
    s->contract.table->label[1].count = 5;
    ecg_label_table_hash(s->contract.table);
}
static void one_class(store *s)
{
    for (int i = 0; i < 8; i++)
        s->label[i][0] = (int8_t)-(i % 2 == 0); /* 0 where it was 1, unknown where it was 0 */
    s->contract.table->label[0].count = 2;
    ecg_label_table_hash(s->contract.table);
}
static void nothing_to_score(store *s)
{
    s->label[11][0] = 0;
    s->contract.table->label[0].count = N / 2 - 1;
    ecg_label_table_hash(s->contract.table);
}
static void study_twice(store *s) { s->study[6] = s->study[1]; }
static void study_unknown(store *s) { s->study[6] = -1; }
static void moment_twice(store *s) { s->time[1] = s->time[0]; }
static void later_marked(store *s) { s->first[2] = 0, s->first[3] = 1; }
static void none_marked(store *s) { s->first[2] = 0; }
static void both_marked(store *s) { s->first[3] = 1; }
static void no_role(store *s) { s->fold[0] = s->fold[1] = 9; }
static void no_test(store *s) { s->fold[10] = s->fold[11] = 2; }
static void no_training(store *s) { s->roles = "train:9,validation:2,test:3"; }
static void patient_leaks(store *s)
{
    s->stay[0] = s->stay[1] = -1;
    s->fold[1] = 1;
}
static void stay_leaks(store *s) /* two patients of one stay */
{
    s->stay[4] = s->stay[5] = s->stay[0];
    s->first[4] = 0;
}
static void endless_sample(store *s) { s->signal[6][20][4] = -INFINITY; }
static void sample_behind(store *s) { s->signal[SHORT][VALID][11] = 0; }
static void high_sample(store *s) { s->signal[6][20][4] = 5; }
static void impossible_sample(store *s) { s->signal[6][20][4] = -10; }
static void fill_row(store *s, int row, float value)
{
    for (int t = 0; t < SAMPLES; t++)
        for (int l = 0; l < LEADS; l++)
            s->signal[row][t][l] = value;
}
static void no_sample(store *s) { fill_row(s, 6, NAN); }
static void flat(store *s) { fill_row(s, 6, 0.25f), fill_row(s, 7, 0.25f); }
static void copied(store *s) { memcpy(s->signal[7], s->signal[5], sizeof s->signal[5]); }
static void copied_elsewhere(store *s) { memcpy(s->signal[11], s->signal[5], sizeof s->signal[5]); }
static void sum_off(store *s) { s->attrition = "[{\"step\":\"listed\",\"kept\":20,\"dropped\":0},{\"step\":\"in a stay\",\"kept\":12,\"dropped\":7}]"; }
static void ends_elsewhere(store *s) { s->attrition = "[{\"step\":\"listed\",\"kept\":13,\"dropped\":0}]"; }
static void no_steps(store *s) { s->attrition = "[]"; }
static void other_steps(store *s) { s->attrition = "[{\"step\":\"listed\",\"kept\":\"12\",\"dropped\":0}]"; }
static void absurd_steps(store *s) { s->attrition = "[{\"step\":\"listed\",\"kept\":9223372036854775807,\"dropped\":9223372036854775807}]"; }
static void negative_steps(store *s) { s->attrition = "[{\"step\":\"listed\",\"kept\":-9223372036854775808,\"dropped\":-9223372036854775808}]"; }
static void no_sources(store *s) { s->sources = "none"; }
static void source_without_hash(store *s) { s->sources = "[{\"name\":\"t.csv\",\"bytes\":10,\"sha256\":\"xyz\"}]"; }
static void empty_sources(store *s) { s->sources = "[]"; }

static const struct {
    const char *why;
    void (*spoil)(store *s);
    const char *name;       /* of the check that must speak, and of no other */
    ecg_check_result result;
    const char *says;
} cases[] = {
    {"another hash is recorded", wrong_hash, "data hash", ECG_CHECK_WRONG, "00..."},
    {"a label of 2", odd_label, "label values", ECG_CHECK_WRONG, "labels.diagnoses, row 4"},
    {"a category beyond its vocabulary", odd_category, "categories", ECG_CHECK_WRONG, "demographics_gender, row 7"},
    {"a category between two", half_category, "categories", ECG_CHECK_WRONG, "demographics_gender, row 7"},
    {"shorter than a crop", too_short, "valid lengths", ECG_CHECK_WRONG, "row 5 with 249"},
    {"longer than the record", too_long, "valid lengths", ECG_CHECK_WRONG, "row 5 with 301"},
    {"a length that is no number", no_length, "valid lengths", ECG_CHECK_WRONG, "row 5"},
    {"fold 32", far_fold, "shapes", ECG_CHECK_WRONG, "fold 32"},
    {"first_in_stay is 2", odd_mark, "shapes", ECG_CHECK_WRONG, "first_in_stay is 2"},
    {"a tensor is absent", no_stay_tensor, "shapes", ECG_CHECK_WRONG, "\"stay\""},
    {"the signal is absent", no_signal_tensor, "shapes", ECG_CHECK_WRONG, "\"signal\""},
    {"a cohort of tables alone", tables_alone, "signal", ECG_CHECK_NOTE, "tables alone"},
    {"codes do not ascend", descending, "contract", ECG_CHECK_WRONG, "ascend"},
    {"a table with the hash of another", foreign_hash, "contract", ECG_CHECK_WRONG, "hash"},
    {"an infinite age", endless_age, "column values", ECG_CHECK_WRONG, "demographics_age, row 2"},
    {"a column without any value", no_age, "empty columns", ECG_CHECK_NOTE, "1 of 4"},
    {"a mask of 1 over a value", mask_says_missing, "masks", ECG_CHECK_WRONG, "row 4"},
    {"a mask of 0 over none", mask_says_there, "masks", ECG_CHECK_WRONG, "row 3"},
    {"a mask that is missing", mask_missing, "masks", ECG_CHECK_WRONG, "row 3"},
    {"a count that is not the column's", miscount, "label counts", ECG_CHECK_WRONG, "I48: 6, the table says 5"},
    {"one class in training", one_class, "classes in training", ECG_CHECK_NOTE, "I10"},
    {"no positive in the test fold", nothing_to_score, "positives to score", ECG_CHECK_NOTE, "0 of 2 labels in validation and 1 in test"},
    {"a study twice", study_twice, "study ids", ECG_CHECK_WRONG, "study 1001"},
    {"a study without id", study_unknown, "study ids", ECG_CHECK_NOTE, "1 rows without one"},
    {"two recordings at one time", moment_twice, "patient and time", ECG_CHECK_NOTE, "patient 10"},
    {"the later of a stay is marked", later_marked, "first of stay", ECG_CHECK_WRONG, "stay 101"},
    {"none of a stay is marked", none_marked, "first of stay", ECG_CHECK_WRONG, "stay 101"},
    {"two of a stay are marked", both_marked, "first of stay", ECG_CHECK_WRONG, "stay 101"},
    {"a fold without role", no_role, "fold roles", ECG_CHECK_NOTE, "2 rows"},
    {"a patient in two folds", patient_leaks, "patients in one fold", ECG_CHECK_WRONG, "patient 10 in folds 0 and 1"},
    {"a stay in two folds", stay_leaks, "stays in one fold", ECG_CHECK_WRONG, "stay 100 in folds 0 and 1"},
    {"an infinite sample", endless_sample, "samples", ECG_CHECK_WRONG, "row 6, study 1006"},
    {"a sample behind the end", sample_behind, "padding", ECG_CHECK_WRONG, "row 3, study 1003"},
    {"a sample that only noise reaches", high_sample, "amplitude", ECG_CHECK_NOTE, "5 mV (row 6"},
    {"a sample that no filter reaches", impossible_sample, "amplitude", ECG_CHECK_WRONG, "10 mV (row 6"},
    {"a recording without any sample", no_sample, "flat recordings", ECG_CHECK_WRONG, "1 without any value"},
    {"two recordings of nothing: no copies", flat, "flat recordings", ECG_CHECK_NOTE, "2 without movement"},
    {"a copy in the same fold", copied, "copied signals", ECG_CHECK_NOTE, "studies 1005 and 1007"},
    {"a copy in another fold", copied_elsewhere, "copied signals", ECG_CHECK_WRONG, "studies 1005 and 1011 in folds 1 and 3"},
    {"a sum that is off", sum_off, "attrition", ECG_CHECK_WRONG, "keeps 12 of 20 and drops 7"},
    {"a sum that ends elsewhere", ends_elsewhere, "attrition", ECG_CHECK_WRONG, "13"},
    {"no steps", no_steps, "attrition", ECG_CHECK_WRONG, "no list"},
    {"steps without numbers", other_steps, "attrition", ECG_CHECK_WRONG, "step 1"},
    {"steps beyond any count", absurd_steps, "attrition", ECG_CHECK_WRONG, "keeps 9223372036854775807"},
    {"steps below zero", negative_steps, "attrition", ECG_CHECK_WRONG, "keeps -9223372036854775808"},
    {"no sources", no_sources, "sources", ECG_CHECK_WRONG, "no list"},
    {"a source without a hash", source_without_hash, "sources", ECG_CHECK_WRONG, "SHA-256"},
    {"an empty list of sources", empty_sources, "sources", ECG_CHECK_NOTE, "0 files"},
};

static void check_store(ecg_checks *out, const store *s)
{
    ecg_err err = {0};
    ecg_pool *pool = ecg_pool_new(2);
    write_store(s);
    if (ecg_cohort_check(out, path, pool, NULL, &err))
        fail_msg("%s", err.msg);
    ecg_pool_free(pool);
}

static void a_good_store(void **state)
{
    (void)state;
    store *s = good_store();
    ecg_checks c;
    ecg_text text = {0};
    check_store(&c, s);
    assert_true(c.n > 20);
    assert_int_equal(c.wrong, 0);
    for (int i = 0; i < c.n; i++)
        if (c.at[i].result != ECG_CHECK_OK)
            fail_msg("%s: %s", c.at[i].name, c.at[i].text);
    assert_int_equal(ecg_checks_text(&text, &c, path, NULL), ECG_OK);
    assert_non_null(strstr(text.at, "0 notes, 0 WRONG"));
    assert_non_null(strstr(text.at, ECG_STATEMENT));
    ecg_text_clear(&text);
    assert_int_equal(ecg_checks_json(&text, &c, "caf\351", NULL), ECG_OK);
    assert_non_null(strstr(text.at, "\"schema\": \"ecgraft.check/1\""));
    assert_non_null(strstr(text.at, "\"good\": true"));
    assert_non_null(strstr(text.at, "\"caf?\""));
    ecg_text_clear(&text);
    ecg_checks_clear(&c);
    free_store(s);
}

static void each_fault_by_its_check(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        store *s = good_store();
        ecg_checks c;
        int spoke = 0;
        cases[k].spoil(s);
        check_store(&c, s);
        for (int i = 0; i < c.n; i++) {
            const bool meant = !strcmp(c.at[i].name, cases[k].name);
            const bool refused = !strcmp(c.at[i].name, "shapes") && c.at[i].result == ECG_CHECK_NOTE; /* readers refuse it too */
            spoke += meant;
            if (meant && (c.at[i].result != cases[k].result || !strstr(c.at[i].text, cases[k].says)))
                fail_msg("%s: %s is %d: %s", cases[k].why, c.at[i].name, c.at[i].result, c.at[i].text);
            if (!meant && !refused && c.at[i].result != ECG_CHECK_OK)
                fail_msg("%s: not meant, %s: %s", cases[k].why, c.at[i].name, c.at[i].text);
        }
        assert_int_equal(c.wrong, cases[k].result == ECG_CHECK_WRONG);
        if (spoke != 1)
            fail_msg("%s: %d lines of \"%s\"", cases[k].why, spoke, cases[k].name);
        ecg_checks_clear(&c);
        free_store(s);
    }
}

/* Roles that take something with them: the check is there, and others speak too. */
static void roles_without_rows(void **state)
{
    (void)state;
    static const struct { void (*spoil)(store *s); ecg_check_result result; const char *says; } roles[] = {
        {no_test, ECG_CHECK_NOTE, "no row is for test"},
        {no_training, ECG_CHECK_WRONG, "no row is for training"},
    };
    for (size_t k = 0; k < 2; k++) {
        store *s = good_store();
        ecg_checks c;
        roles[k].spoil(s);
        check_store(&c, s);
        int i = 0;
        while (i < c.n && strcmp(c.at[i].name, "rows of roles"))
            i++;
        assert_true(i < c.n);
        assert_int_equal(c.at[i].result, roles[k].result);
        assert_string_equal(c.at[i].text, roles[k].says);
        ecg_checks_clear(&c);
        free_store(s);
    }
}

static void no_cohort_at_all(void **state)
{
    (void)state;
    ecg_err err = {0};
    ecg_checks c;
    unlink(path);
    assert_int_equal(ecg_cohort_check(&c, path, NULL, NULL, &err), ECG_EIO);
    assert_string_equal(err.path, path);
    assert_int_equal(c.n, 0);
    assert_int_equal(ecg_file_write_whole(path, "id,age\n1,2\n", 11, NULL), ECG_OK);
    assert_int_equal(ecg_cohort_check(&c, path, NULL, NULL, &err), ECG_EFORMAT);
    assert_string_equal(err.path, path);
    ecg_tensorsw *w;
    const float x = 1;
    const int64_t one = 1;
    assert_int_equal(ecg_tensorsw_create(&w, path, 0, NULL), ECG_OK);
    assert_int_equal(ecg_tensorsw_put(w, "x", ECG_F32, 1, &one, &x, NULL), ECG_OK);
    assert_int_equal(ecg_tensorsw_commit(w, NULL), ECG_OK);
    assert_int_equal(ecg_cohort_check(&c, path, NULL, NULL, &err), ECG_EFORMAT);
    assert_string_equal(err.path, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_store),
        cmocka_unit_test(each_fault_by_its_check),
        cmocka_unit_test(roles_without_rows),
        cmocka_unit_test(no_cohort_at_all),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
