/* SPDX-License-Identifier: MIT
 * Recordings into a cohort: from a folder and from an archive, by one thread and by several, in one go and after every way to be stopped.
 * Whatever happened before, the file has the same bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "cohort/attach.h"

enum { N = 800, SAMPLES = 300, LEADS = 3, STORED = 2, ABSENT = 3, CUT = 301, OUTSIDE = 520 };

static char folder[64], records[96], archive[96], output[96], other[96];
static char name_of[N][48];
static ecg_recording recording[N];

/* ---- recordings ----------------------------------------------------------------------------------------------------------- */

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static size_t header_of(char *out, size_t size, int i)
{
    size_t at = (size_t)snprintf(out, size, "%d %d 100 %d\n", i, LEADS, SAMPLES);
    for (int l = 0; l < LEADS; l++)
        at += (size_t)snprintf(out + at, size - at, "%d.dat 16 200/mV 16 0 0 0 0 %s\n", i, ecg_lead_names[l]);
    return at;
}

static void samples_of(int16_t x[SAMPLES * LEADS], int i)
{
    for (int t = 0; t < SAMPLES; t++)
        for (int l = 0; l < LEADS; l++)
            x[t * LEADS + l] = (int16_t)((t * (l + 3) + 17 * i) % 257 - 128);
}

static size_t bytes_of(int i)
{
    return i == CUT ? 100 : sizeof(int16_t[SAMPLES * LEADS]);
}

static void write_folder(void)
{
    char path[192], header[1024];
    int16_t x[SAMPLES * LEADS];
    snprintf(path, sizeof path, "%s/files", records);
    assert_int_equal(ecg_make_folders(path, NULL), ECG_OK);
    for (int i = 0; i < N; i++) {
        if (i == ABSENT)
            continue;
        samples_of(x, i);
        snprintf(path, sizeof path, "%s/files/%d.hea", records, i);
        write_file(path, header, header_of(header, sizeof header, i));
        snprintf(path, sizeof path, "%s/files/%d.dat", records, i);
        write_file(path, x, bytes_of(i));
    }
}

static void put(uint8_t **to, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *(*to)++ = (uint8_t)(i < 8 ? x >> 8 * i : 0);
}

static void put_member(uint8_t **file, uint8_t **directory, const uint8_t *begin, const char *name, const void *bytes, size_t len)
{
    const uint64_t at = (uint64_t)(*file - begin), crc = crc32(0, bytes, (uInt)len);
    for (int central = 0; central < 2; central++) {
        uint8_t **to = central ? directory : file;
        put(to, central ? 0x02014b50 : 0x04034b50, 4), put(to, 20, central ? 4 : 2), put(to, 0, 8);
        put(to, crc, 4), put(to, len, 4), put(to, len, 4), put(to, strlen(name), 2), put(to, 0, 2);
        if (central)
            put(to, 0, 10), put(to, at, 4);
        memcpy(*to, name, strlen(name));
        *to += strlen(name);
    }
    memcpy(*file, bytes, len);
    *file += len;
}

/* The same recordings in an archive, below a folder of its own, stored. */
static void write_archive(void)
{
    uint8_t *begin = malloc(N * 9000), *file = begin, *directory_begin = malloc(N * 200), *directory = directory_begin;
    char name[96], header[1024];
    int16_t x[SAMPLES * LEADS];
    for (int i = 0; i < N; i++) {
        if (i == ABSENT)
            continue;
        samples_of(x, i);
        snprintf(name, sizeof name, "released-1.0/files/%d.hea", i);
        put_member(&file, &directory, begin, name, header, header_of(header, sizeof header, i));
        snprintf(name, sizeof name, "released-1.0/files/%d.dat", i);
        put_member(&file, &directory, begin, name, x, bytes_of(i));
    }
    const size_t len = (size_t)(directory - directory_begin), at = (size_t)(file - begin);
    memcpy(file, directory_begin, len);
    file += len;
    put(&file, 0x06054b50, 4), put(&file, 0, 4), put(&file, 2 * (N - 1), 2), put(&file, 2 * (N - 1), 2), put(&file, len, 4), put(&file, at, 4), put(&file, 0, 2);
    write_file(archive, begin, (size_t)(file - begin));
    free(begin);
    free(directory_begin);
}

static int make_everything(void **state)
{
    (void)state;
    /* sixty files are brought to the disk: in memory where there is such a place */
    snprintf(folder, sizeof folder, "%s/ecgraft-attach-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(folder))
        return -1;
    snprintf(records, sizeof records, "%s/records", folder);
    snprintf(archive, sizeof archive, "%s/records.zip", folder);
    snprintf(output, sizeof output, "%s/a.cohort", folder);
    snprintf(other, sizeof other, "%s/b.cohort", folder);
    write_folder();
    write_archive();
    for (int i = 0; i < N; i++) {
        snprintf(name_of[i], sizeof name_of[i], i == OUTSIDE ? "../records/files/%d" : "files/%d", i);
        recording[i] = (ecg_recording){.path = name_of[i], .row = {.patient = i, .study = 1000 + i, .stay = -1, .ecg_time = i}};
    }
    return 0;
}

static int remove_everything(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- a build -------------------------------------------------------------------------------------------------------------- */

/* What a build shall meet with, and what it said. */
typedef struct {
    const char *where, *output;
    int threads, n;
    bool fresh, fails_later;
    double max_failures;      /* negative: the usual limit, here 1 % of 800 */
    int stop_at, kill_at;     /* at which report of progress; 0: never */
    /* ---- */
    char said[2048];
    volatile sig_atomic_t stopped;
    int reports;
    ecg_build_result result;
    ecg_err err;
} trial;

static trial usual(void)
{
    return (trial){.where = records, .output = output, .threads = 2, .n = N, .max_failures = -1};
}

static void say(void *ctx, const char *line)
{
    trial *x = ctx;
    const size_t at = strlen(x->said);
    snprintf(x->said + at, sizeof x->said - at, "%s\n", line);
}

static void progress(void *ctx, const char *what, double done, double total, const char *extra)
{
    trial *x = ctx;
    (void)done, (void)total, (void)extra;
    if (strcmp(what, "recordings"))
        return;
    x->reports++;
    x->stopped = x->stopped || x->reports == x->stop_at;
    if (x->reports == x->kill_at)
        raise(SIGKILL);
}

static ecg_status build(trial *x)
{
    const ecg_build_options o = {.output = x->output, .fresh = x->fresh, .max_failures = x->max_failures};
    const ecg_watch watch = {.ctx = x, .say = say, .progress = progress, .stop = &x->stopped};
    ecg_contract c;
    ecg_cohort_builder *b;
    ecg_roles roles;
    uint8_t fate[N];
    ecg_contract_default(&c);
    c.samples = SAMPLES;
    c.leads = STORED; /* I and II: small files */
    ecg_status st = ecg_roles_parse(&roles, "train:0", &x->err);
    if (!st)
        st = ecg_cohort_create(&b, x->output, &c, true, &x->err);
    if (st)
        return st;
    ecg_pool *pool = ecg_pool_new(x->threads);
    st = ecg_attach(b, fate, &x->result, &c, x->where, recording, x->n, &o, pool, &watch, &x->err);
    ecg_pool_free(pool);
    if (!st && x->fails_later)
        st = ecg_fail(&x->err, ECG_EDATA, "a table is broken");
    if (st)
        ecg_cohort_abort(b);
    else
        st = ecg_cohort_commit(b, &c, NULL, NULL, &roles, true, "[]", "[]", "test", &x->err);
    return st;
}

static void build_well(trial *x)
{
    if (build(x))
        fail_msg("%s: %s", x->err.path, x->err.msg);
}

/* Beside the recordings there is this output, its list of failures, and nothing else. */
static void expect_nothing_else(int files)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.' && strncmp(e->d_name, "records", 7) != 0;
    closedir(d);
    if (n != files)
        fail_msg("%d files in %s, expected %d", n, folder, files);
}

static bool same_file(const char *a, const char *b)
{
    ecg_bytes x, y;
    assert_int_equal(ecg_file_read(&x, a, NULL), ECG_OK);
    assert_int_equal(ecg_file_read(&y, b, NULL), ECG_OK);
    const bool same = x.len == y.len && !memcmp(x.at, y.at, x.len);
    ecg_bytes_free(&x);
    ecg_bytes_free(&y);
    return same;
}

static void remove_output(const char *path)
{
    static const char *const ends[] = {"", ".part", ".part.journal", ".failures.csv"};
    char name[160];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

/* other: built in one go by one thread; what the rest is compared with. */
static void reference(void)
{
    trial x = usual();
    remove_output(output);
    remove_output(other);
    x.output = other;
    x.threads = 1;
    build_well(&x);
}

static void expect_the_same(const trial *x)
{
    char a[160], b[160];
    snprintf(a, sizeof a, "%s.failures.csv", output);
    snprintf(b, sizeof b, "%s.failures.csv", other);
    assert_int_equal(x->result.records, N - 3);
    assert_int_equal(x->result.absent, 1);
    assert_int_equal(x->result.broken, 2);
    if (!same_file(output, other))
        fail_msg("another file than in one go");
    assert_true(same_file(a, b));
    expect_nothing_else(4);
    remove_output(output);
}

/* ---- in one go ------------------------------------------------------------------------------------------------------------ */

static void threads_and_places(void **state)
{
    (void)state;
    reference();
    for (int i = 0; i < 3; i++) {
        trial x = usual();
        x.threads = i == 1 ? 5 : 2;
        x.where = i == 2 ? archive : records;
        build_well(&x);
        assert_string_equal(x.said, "");
        expect_the_same(&x);
    }
    ecg_cohort c;
    assert_int_equal(ecg_cohort_open(&c, other, NULL), ECG_OK);
    assert_int_equal(c.study[ABSENT], 1000 + ABSENT + 1);
    int16_t x[SAMPLES * LEADS];
    samples_of(x, 799);
    assert_true(c.signal[(size_t)(N - 4) * SAMPLES * STORED] == (float)x[0] / 200);
    ecg_cohort_close(&c);
    ecg_bytes list;
    char path[160];
    snprintf(path, sizeof path, "%s.failures.csv", other);
    assert_int_equal(ecg_file_read(&list, path, NULL), ECG_OK);
    assert_non_null(strstr((const char *)list.at, "1003,files/3,no such file\n"));
    assert_non_null(strstr((const char *)list.at, "1301,files/301,\"line 2: 301.dat holds "));
    assert_non_null(strstr((const char *)list.at, "leaves the folder"));
    ecg_bytes_free(&list);
}

static void places_that_are_none(void **state)
{
    (void)state;
    char path[128];
    remove_output(output);
    remove_output(other);
    trial x = usual();
    x.where = "/no/such/place";
    assert_int_equal(build(&x), ECG_EIO);
    assert_non_null(strstr(x.err.msg, "not one of 800 recordings"));
    remove_output(output); /* the list of failures */
    snprintf(path, sizeof path, "%s/files/1.hea", records); /* a file, and no archive */
    x = usual();
    x.where = path;
    assert_int_equal(build(&x), ECG_EFORMAT);
    expect_nothing_else(0);
}

/* ---- stopped and taken up ------------------------------------------------------------------------------------------------- */

static void interrupted(void **state)
{
    (void)state;
    reference();
    for (int at = 1; at <= 3; at++) {
        trial x = usual();
        x.stop_at = at;
        assert_int_equal(build(&x), ECG_EINTR);
        assert_non_null(strstr(x.err.msg, "the same command goes on from there"));
        assert_int_equal(access(output, F_OK), -1);
        trial again = usual();
        again.threads = at;
        build_well(&again);
        assert_non_null(strstr(again.said, "going on with an interrupted build: "));
        expect_the_same(&again);
    }
}

/* In a process of its own; how it ended. */
static int build_apart(trial *x, rlim_t largest_file)
{
    const pid_t child = fork();
    if (!child) {
        signal(SIGXFSZ, SIG_IGN);
        if (largest_file)
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){largest_file, largest_file});
        _exit(build(x) == ECG_EIO ? 7 : 8);
    }
    int how = -1;
    assert_true(child > 0 && waitpid(child, &how, 0) == child);
    return how;
}

static void killed(void **state)
{
    (void)state;
    reference();
    for (int at = 1; at <= 4; at++) {
        trial x = usual(), again = usual();
        x.threads = 1; /* a fork has no other threads, so the child makes none */
        x.kill_at = at;
        assert_int_equal(build_apart(&x, 0) & 0x7f, SIGKILL);
        assert_int_equal(access(output, F_OK), -1);
        build_well(&again);
        assert_int_equal(strstr(again.said, "going on") != NULL, at > 1); /* at the first report nothing is written yet */
        expect_the_same(&again);
    }
}

static void disk_full(void **state)
{
    (void)state;
    reference();
    trial x = usual(), again = usual();
    x.threads = 1;
    const int how = build_apart(&x, (4 << 20) + 300 * SAMPLES * STORED * sizeof(float));
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 7);
    build_well(&again);
    assert_non_null(strstr(again.said, "going on with an interrupted build: 256 of 800"));
    expect_the_same(&again);
}

static void failed_later(void **state)
{
    (void)state;
    reference();
    trial x = usual(), again = usual();
    x.fails_later = true;
    assert_int_equal(build(&x), ECG_EDATA);
    assert_non_null(strstr(x.said, "a.cohort.part keeps the 797 recordings that were read; the same command goes on from there"));
    build_well(&again);
    assert_non_null(strstr(again.said, "going on with an interrupted build: 800 of 800"));
    expect_the_same(&again);
}

static void too_many_failures(void **state)
{
    (void)state;
    reference();
    trial x = usual(), again = usual();
    x.max_failures = 1;
    assert_int_equal(build(&x), ECG_EDATA);
    assert_non_null(strstr(x.err.msg, "(--max-failures)"));
    again.max_failures = 3;
    build_well(&again);
    assert_non_null(strstr(again.said, "going on"));
    expect_the_same(&again);
}

static void stop_after_two_batches(void)
{
    trial x = usual();
    x.stop_at = 2;
    assert_int_equal(build(&x), ECG_EINTR);
}

static void another_build(void **state)
{
    (void)state;
    reference();
    stop_after_two_batches();
    trial fewer = usual(), again = usual();
    fewer.n = 600;
    build_well(&fewer);
    assert_non_null(strstr(fewer.said, "is of another build: starting over"));
    assert_int_equal(fewer.result.records, 597);
    build_well(&again);
    assert_string_equal(again.said, "");
    expect_the_same(&again);

    stop_after_two_batches();
    trial fresh = usual();
    fresh.fresh = true;
    build_well(&fresh);
    assert_string_equal(fresh.said, "");
    expect_the_same(&fresh);

    stop_after_two_batches();
    trial elsewhere = usual();
    elsewhere.where = archive;
    build_well(&elsewhere);
    assert_non_null(strstr(elsewhere.said, "is of another build"));
    expect_the_same(&elsewhere);
}

static void change_byte(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
    const int c = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(c ^ 1, f);
    fclose(f);
}

static void what_was_left_is_damaged(void **state)
{
    (void)state;
    char part[160], journal[180];
    reference();
    snprintf(part, sizeof part, "%s.part", output);
    snprintf(journal, sizeof journal, "%s.part.journal", output);
    static const struct { const char *why; int file; long at, cut; const char *said; } cases[] = {
        {"a signal", 0, (4 << 20) + 5000, 0, "cannot be used: starting over"},
        {"signals are gone", 0, 0, (4 << 20) + 9000, "cannot be used: starting over"},
        {"the end of the journal", 1, -3, 0, "going on with an interrupted build: 256 of 800"},
        {"the beginning of the journal", 1, 90, 0, ""},
        {"the key", 1, 40, 0, "is of another build: starting over"},
        {"the journal is gone", 1, 0, 0, ""},
        {"all signals are gone", 0, 0, 1, "cannot be used: starting over"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = cases[i].file ? journal : part;
        stop_after_two_batches();
        if (cases[i].at)
            change_byte(path, cases[i].at);
        else
            assert_int_equal(truncate(path, cases[i].cut), 0);
        trial again = usual();
        build_well(&again);
        if (cases[i].said[0] ? !strstr(again.said, cases[i].said) : again.said[0])
            fail_msg("%s: \"%s\"", cases[i].why, again.said);
        expect_the_same(&again);
    }
}

/* A recording that could not be had and now can: everything from its block on is read again. */
static void mended_in_between(void **state)
{
    (void)state;
    char path[160], header[1024];
    int16_t x[SAMPLES * LEADS];
    remove_output(output);
    for (int i = 0; i < 2; i++) {
        trial first = usual(), again = usual(), whole = usual();
        const int which = i ? CUT : ABSENT;
        first.stop_at = 3;
        assert_int_equal(build(&first), ECG_EINTR);
        samples_of(x, which);
        snprintf(path, sizeof path, "%s/files/%d.dat", records, which);
        write_file(path, x, sizeof x);
        snprintf(path, sizeof path, "%s/files/%d.hea", records, which);
        write_file(path, header, header_of(header, sizeof header, which));
        build_well(&again);
        assert_int_equal(strstr(again.said, i ? "256 of 800" : "going on") != NULL, i);
        whole.output = other;
        remove_output(other);
        build_well(&whole);
        assert_true(same_file(output, other));
        assert_int_equal(again.result.broken + again.result.absent, 2 - i);
        remove_output(output);
    }
    write_folder();
    snprintf(path, sizeof path, "%s/files/%d.hea", records, ABSENT);
    unlink(path);
}

static void two_at_once(void **state)
{
    (void)state;
    ecg_contract c;
    ecg_cohort_builder *first, *second;
    ecg_err err = {0};
    ecg_contract_default(&c);
    remove_output(output);
    remove_output(other);
    assert_int_equal(ecg_cohort_create(&first, output, &c, true, &err), ECG_OK);
    assert_int_equal(ecg_cohort_create(&second, output, &c, true, &err), ECG_EIO);
    assert_string_equal(err.msg, "another process is writing it");
    ecg_cohort_abort(first);
    expect_nothing_else(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_places), cmocka_unit_test(places_that_are_none), cmocka_unit_test(interrupted),
        cmocka_unit_test(killed),             cmocka_unit_test(disk_full),            cmocka_unit_test(failed_later),
        cmocka_unit_test(too_many_failures),  cmocka_unit_test(another_build),        cmocka_unit_test(what_was_left_is_damaged),
        cmocka_unit_test(mended_in_between),  cmocka_unit_test(two_at_once),
    };
    return cmocka_run_group_tests(tests, make_everything, remove_everything);
}
