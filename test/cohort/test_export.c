/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/rng.h"
#include "cohort/export.h"

enum { SAMPLES = 6, LEADS = 2, ROWS = 4 };

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ecgraft-export-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

/* ---- a cohort in memory: export reads nothing else of it than the fields of ecg_cohort ---------------------------------------- */

typedef struct {
    ecg_cohort c;
    ecg_column column[2];
    ecg_label label[2], lab[1];
    ecg_label_table table[3];
    char *words[2];
    char first_words[16];
    float signal[ROWS * SAMPLES * LEADS], tabular[ROWS * 2], quality[ROWS];
    int8_t y[ROWS * 2], z[ROWS];
    uint8_t fold[ROWS], first[ROWS];
    int64_t patient[ROWS], study[ROWS], stay[ROWS], time[ROWS];
} tiny;

static void fill(tiny *t)
{
    static const char *const path = "a.cohort";
    *t = (tiny){
        .column = {{"age, \"years\"", false, 0, "years", "routine"}, {"sex", true, 2, "", "routine"}},
        .label = {{.code = "I10", .title = "Essential, \"primary\"", .count = 2}, {.code = "a,b", .title = "odd", .count = 1}},
        .lab = {{.code = "Sodium_low", .title = "Sodium", .count = 1, .itemid = "50983", .loinc = "2951-2", .fluid = "Blood"}},
        .tabular = {61.5f, 1, NAN, 0, 0.1f, NAN, -3e-7f, 1},
        .quality = {6, 6, 4, 6},
        .y = {1, 0, 0, -1, 1, 1, -1, -1},
        .z = {1, -1, 0, 0},
        .fold = {0, 1, 2, 3},
        .first = {1, 0, 1, 1},
        .patient = {7, 7, -1, 9},
        .study = {100, 101, -1, 103},
        .stay = {-1, 5, 6, 7},
        .time = {0, -1, 4102444800, INT64_MIN},
        .first_words = "F\nM, or \"m\"",
    };
    for (int i = 0; i < ROWS * SAMPLES * LEADS; i++)
        t->signal[i] = i == 5 ? NAN : (float)i / 8;
    t->table[0] = (ecg_label_table){.set = "diagnoses", .n = 2, .label = t->label};
    t->table[1] = (ecg_label_table){.set = "labs/est", .n = 1, .label = t->lab};
    t->table[2] = (ecg_label_table){.set = "Labs_est", .n = 1, .label = t->lab};
    for (int s = 0; s < 3; s++)
        ecg_label_table_hash(&t->table[s]);
    t->words[1] = t->first_words;
    t->c = (ecg_cohort){
        .n = ROWS,
        .contract = {.rate_hz = 100, .leads = LEADS, .lead = {"I", "II"}, .samples = SAMPLES, .crop = 2, .filter = "kaiser_best", .columns = 2,
                     .column = t->column, .words = t->words, .sets = 3, .table = t->table},
        .signal = t->signal, .tabular = t->tabular, .label = {t->y, t->z, t->z}, .fold = t->fold, .first_in_stay = t->first, .patient = t->patient,
        .study = t->study, .stay = t->stay, .ecg_time = t->time, .quality = t->quality, .quality_columns = 1,
    };
    snprintf(t->c.path, sizeof t->c.path, "%s", path);
    memset(t->c.hash, 'a', 64);
    assert_int_equal(ecg_roles_parse(&t->c.roles, "train:0,validation:1,test:2", NULL), ECG_OK);
}

/* Metadata come from an open file. */
static void open_meta(tiny *t)
{
    ecg_tensorsw *w;
    const float x = 1;
    const int64_t dim = 1;
    ecg_err err = {0};
    const char *path = in_folder("meta.safetensors");
    assert_int_equal(ecg_tensorsw_create(&w, path, 0, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_meta(w, "command", "ecgraft cohort build --mimic h", &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_put(w, "x", ECG_F32, 1, &dim, &x, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_commit(w, &err), ECG_OK);
    assert_int_equal(ecg_tensors_open(&t->c.file, path, &err), ECG_OK);
}

static tiny *begin(void)
{
    tiny *t = malloc(sizeof *t);
    assert_non_null(t);
    fill(t);
    open_meta(t);
    return t;
}

static void end(tiny *t)
{
    ecg_tensors_close(t->c.file);
    free(t);
}

static void same_file(const char *path, const char *want)
{
    ecg_bytes b;
    ecg_err err = {0};
    if (ecg_file_read(&b, path, &err))
        fail_msg("%s: %s", path, err.msg);
    if (b.len != strlen(want) || memcmp(b.at, want, b.len))
        fail_msg("%s is\n%.*s\nand not\n%s", path, (int)b.len, (const char *)b.at, want);
    ecg_bytes_free(&b);
}

static bool file_says(const char *path, const char *what)
{
    ecg_bytes b;
    assert_int_equal(ecg_file_read(&b, path, NULL), ECG_OK);
    const bool there = memmem(b.at, b.len, what, strlen(what)) != NULL;
    ecg_bytes_free(&b);
    return there;
}

static int entries(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* ---- what is written ------------------------------------------------------------------------------------------------------------- */

static void every_table(void **state)
{
    (void)state;
    tiny *t = begin();
    ecg_err err = {0};
    char dir[256], path[300];
    snprintf(dir, sizeof dir, "%s/deep/er", folder);
    const ecg_export_options o = {.signal = true};
    if (ecg_cohort_export(&t->c, dir, &o, NULL, &err))
        fail_msg("%s", err.msg);
    static const struct { const char *name, *text; } want[] = {
        {"records.csv", "study_id,patient_id,stay_id,ecg_time,fold,role,first_in_stay,valid_samples\n100,7,,1970-01-01 00:00:00,0,train,1,6\n"
                        "101,7,5,,1,validation,0,6\n,,6,2100-01-01 00:00:00,2,test,1,4\n103,9,7,,3,,1,6\n"},
        {"tabular.csv", "study_id,\"age, \"\"years\"\"\",sex\n100,61.5,1\n101,,0\n,0.100000001,\n103,-3.00000011e-07,1\n"},
        {"words.csv", "column,number,word\nsex,0,F\nsex,1,\"M, or \"\"m\"\"\"\n"},
        {"labels.diagnoses.csv", "study_id,I10,\"a,b\"\n100,1,0\n101,0,\n,1,1\n103,,\n"},
        {"label_table.diagnoses.csv", "index,code,title,count\n0,I10,\"Essential, \"\"primary\"\"\",2\n1,\"a,b\",odd,1\n"},
        {"labels.labs_est.csv", "study_id,Sodium_low\n100,1\n101,\n,0\n103,0\n"},
        {"label_table.labs_est.csv", "index,code,title,count,itemid,loinc,fluid\n0,Sodium_low,Sodium,1,50983,2951-2,Blood\n"},
        {"labels.Labs_est-2.csv", "study_id,Sodium_low\n100,1\n101,\n,0\n103,0\n"},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, want[i].name);
        same_file(path, want[i].text);
    }
    char hex[65];
    snprintf(path, sizeof path, "%s/label_table.diagnoses.csv", dir);
    assert_int_equal(ecg_sha256_file(hex, path, &err), ECG_OK);
    assert_string_equal(hex, t->table[0].hash);
    snprintf(path, sizeof path, "%s/contract.json", dir);
    assert_true(file_says(path, "\"schema\": \"ecgraft.contract/1\"") && file_says(path, ECG_STATEMENT) && file_says(path, "\"rate_hz\": 100.0"));
    snprintf(path, sizeof path, "%s/README.txt", dir);
    static const char *const said[] = {ECG_STATEMENT, "ecgraft cohort build --mimic h", "set \"labs/est\", 1 labels", "labels.Labs_est-2.csv", "(4, 6, 2)", "I II"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (!file_says(path, said[i]))
            fail_msg("README.txt lacks %s", said[i]);
    assert_false(file_says(path, "synthetic"));
    assert_int_equal(entries(dir), 12); /* three sets twice, records, tabular, words, signal, contract, README */
    end(t);
}

static void the_signal(void **state)
{
    (void)state;
    tiny *t = begin();
    ecg_err err = {0};
    const ecg_export_options o = {.signal = true};
    assert_int_equal(ecg_cohort_export(&t->c, in_folder("s"), &o, NULL, &err), ECG_OK);
    ecg_bytes b;
    assert_int_equal(ecg_file_read(&b, in_folder("s/signal.npy"), &err), ECG_OK);
    assert_int_equal(b.len, 128 + sizeof t->signal);
    assert_memory_equal(b.at, "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (4, 6, 2), }", 10 + 62);
    assert_int_equal(b.at[127], '\n');
    assert_memory_equal(b.at + 128, t->signal, sizeof t->signal);
    ecg_bytes_free(&b);
    end(t);
}

static void gzip_is_the_same_table(void **state)
{
    (void)state;
    tiny *t = begin();
    t->c.synthetic = true;
    ecg_err err = {0};
    const ecg_export_options o = {.gzip = true};
    assert_int_equal(ecg_cohort_export(&t->c, in_folder("z"), &o, NULL, &err), ECG_OK);
    ecg_csv *csv;
    bool more;
    assert_int_equal(ecg_csv_open(&csv, in_folder("z/labels.diagnoses.csv.gz"), &err), ECG_OK);
    assert_int_equal(ecg_csv_columns(csv), 3);
    assert_string_equal(ecg_csv_name(csv, 2), "a,b");
    for (int i = 0; i < ROWS; i++) {
        assert_true(ecg_csv_next(csv, &more, &err) == ECG_OK && more);
        for (int k = 0; k < 2; k++) {
            int64_t y;
            assert_int_equal(ecg_csv_i64(csv, k + 1, &y, &err), ECG_OK);
            assert_int_equal(y, t->y[i * 2 + k]); /* unknown: empty, read as -1 */
        }
    }
    assert_true(ecg_csv_next(csv, &more, &err) == ECG_OK && !more);
    ecg_csv_close(csv);
    assert_true(ecg_is_file(in_folder("z/records.csv.gz")) && !ecg_is_file(in_folder("z/records.csv")));
    assert_true(file_says(in_folder("z/README.txt"), "synthetic cohort"));
    end(t);
}

static void rows_number_studies_without_names(void **state)
{
    (void)state;
    tiny *t = begin();
    ecg_err err = {0};
    for (int i = 0; i < ROWS; i++)
        t->study[i] = -1;
    t->c.signal = NULL;
    assert_int_equal(ecg_cohort_export(&t->c, in_folder("n"), &(ecg_export_options){0}, NULL, &err), ECG_OK);
    same_file(in_folder("n/labels.labs_est.csv"), "study_id,Sodium_low\n0,1\n1,\n2,0\n3,0\n");
    assert_true(file_says(in_folder("n/README.txt"), "number of the row, from 0"));
    assert_true(file_says(in_folder("n/records.csv"), "0,7,,1970-01-01 00:00:00,0,train,1,\n"));
    end(t);
}

/* Every cell is %.9g of its float32, byte for byte. */
static void numbers_as_printf_writes_them(void **state)
{
    (void)state;
    enum { N = 200000 };
    static const float edges[] = {0, -0.0f, 1, -1, 10, 0.1f, 99999.9922f, 999999936.f, 1e9f, 1e-4f, 9.99999975e-5f, 1.00000005e-4f, 0.5f, 16777216, 123456792,
                                  0.099999994f, 9.99999905f, 9.53674316e-7f, 3.40282347e38f, 1e-45f, -1.17549435e-38f, INFINITY, -INFINITY, NAN};
    tiny *t = begin();
    float *x = malloc(N * sizeof *x);
    uint8_t *zero = calloc(N, 1);
    int64_t *id = calloc(N, sizeof *id);
    ecg_rng r;
    ecg_err err = {0};
    ecg_rng_open(&r, 5, 0, 300, 0, 0);
    for (int i = 0; i < N; i++) {
        const uint32_t bits = (uint32_t)(ecg_rng_uniform(&r) * 4294967295.0);
        memcpy(&x[i], &bits, sizeof x[i]);
        if (i % 2) /* as tables hold them: a few decimals, of any size below a billion */
            x[i] = (float)(rint(ecg_rng_uniform(&r) * 1e6) / pow(10, (int)(ecg_rng_uniform(&r) * 10)));
        if ((size_t)i < sizeof edges / sizeof *edges)
            x[i] = edges[i];
        id[i] = i;
    }
    t->c.n = N;
    t->c.contract.columns = 1;
    t->c.contract.words = NULL;
    t->c.contract.sets = 0;
    t->c.tabular = x;
    t->c.signal = NULL;
    t->c.fold = t->c.first_in_stay = zero;
    t->c.patient = t->c.study = t->c.stay = t->c.ecg_time = id;
    assert_int_equal(ecg_cohort_export(&t->c, in_folder("f"), &(ecg_export_options){0}, NULL, &err), ECG_OK);
    FILE *f = fopen(in_folder("f/tabular.csv"), "r");
    char line[128], want[128];
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    for (int i = 0; i < N; i++) {
        assert_non_null(fgets(line, sizeof line, f));
        if (isnan(x[i]))
            snprintf(want, sizeof want, "%d,\n", i);
        else
            snprintf(want, sizeof want, "%d,%.9g\n", i, (double)x[i]);
        if (strcmp(line, want))
            fail_msg("row %d is %s, expected %s", i, line, want);
    }
    assert_null(fgets(line, sizeof line, f));
    fclose(f);
    free(x);
    free(zero);
    free(id);
    end(t);
}

/* ---- what is refused, and what is left then ---------------------------------------------------------------------------------------- */

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *why, *dir, *says;
        bool signal, force, tables_alone;
        ecg_status want;
        bool there; /* the folder afterwards */
    } cases[] = {
        {"no recordings to write", "r1", "tables alone", true, false, true, ECG_EARG, false},
        {"a folder with a file in it", "full", "not empty", false, false, false, ECG_EARG, true},
        {"the same, on request", "full", NULL, false, true, false, ECG_OK, true},
        {"a folder with an empty one in it", "hollow", NULL, false, false, false, ECG_OK, true},
        {"a file under the name", "full/mine.txt", NULL, false, true, false, ECG_EIO, false},
    };
    ecg_err err = {0};
    assert_int_equal(ecg_make_folders(in_folder("hollow/lost+found"), &err), ECG_OK);
    assert_int_equal(ecg_make_folders(in_folder("full"), &err), ECG_OK);
    assert_int_equal(ecg_file_write_whole(in_folder("full/mine.txt"), "mine", 4, &err), ECG_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tiny *t = begin();
        if (cases[i].tables_alone)
            t->c.signal = NULL;
        err = (ecg_err){0};
        const ecg_export_options o = {.signal = cases[i].signal, .force = cases[i].force};
        const ecg_status st = ecg_cohort_export(&t->c, in_folder(cases[i].dir), &o, NULL, &err);
        if (st != cases[i].want || (cases[i].says && !strstr(err.msg, cases[i].says)) || ecg_is_folder(in_folder(cases[i].dir)) != cases[i].there)
            fail_msg("%s: status %d, %s", cases[i].why, st, err.msg);
        end(t);
    }
    same_file(in_folder("full/mine.txt"), "mine");
}

typedef struct {
    volatile sig_atomic_t stop;
    int calls, stop_at;
} patience;

static void lose_patience(void *ctx, const char *what, double done, double total, const char *extra)
{
    (void)what, (void)extra;
    patience *p = ctx;
    assert_true(done <= total);
    if (++p->calls == p->stop_at)
        p->stop = 1;
}

static void an_interrupted_export_leaves_nothing(void **state)
{
    (void)state;
    tiny *t = begin();
    ecg_err err = {0};
    const ecg_export_options o = {.signal = true, .force = true};
    assert_int_equal(ecg_make_folders(in_folder("old"), &err), ECG_OK);
    assert_int_equal(ecg_file_write_whole(in_folder("old/records.csv"), "older", 5, &err), ECG_OK);
    for (int at = 1; at <= 5; at++) { /* in the midst of each table */
        patience p = {.stop_at = at};
        const ecg_watch watch = {.ctx = &p, .progress = lose_patience, .stop = &p.stop};
        assert_int_equal(ecg_cohort_export(&t->c, in_folder("new"), &o, &watch, &err), ECG_EINTR);
        assert_false(ecg_is_folder(in_folder("new")));
        p = (patience){.stop_at = at};
        assert_int_equal(ecg_cohort_export(&t->c, in_folder("old"), &o, &watch, &err), ECG_EINTR);
        assert_int_equal(entries(in_folder("old")), 1);
        same_file(in_folder("old/records.csv"), "older");
    }
    end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table),
        cmocka_unit_test(the_signal),
        cmocka_unit_test(gzip_is_the_same_table),
        cmocka_unit_test(rows_number_studies_without_names),
        cmocka_unit_test(numbers_as_printf_writes_them),
        cmocka_unit_test(refused),
        cmocka_unit_test(an_interrupted_export_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
