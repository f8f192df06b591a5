/* SPDX-License-Identifier: MIT
 * The small things everything stands on: random numbers, elementary functions, text, dates, files, sources, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/scratch.h"
#include "base/source.h"
#include "base/text.h"

static void philox_known_answers(void **state)
{
    (void)state;
    static const struct { uint32_t counter[4], key[2], out[4]; } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        ecg_philox(out, cases[i].counter, cases[i].key);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void words_follow_their_address(void **state)
{
    (void)state;
    ecg_rng r;
    ecg_rng_open(&r, 0x123456789abcdef0u, 5, 258, 7, 9);
    for (uint32_t block = 5; block < 8; block++) {
        const uint32_t counter[4] = {block, 258, 7, 9}, key[2] = {0x9abcdef0u, 0x12345678u};
        uint32_t want[4];
        ecg_philox(want, counter, key);
        for (int i = 0; i < 4; i++)
            assert_int_equal(ecg_rng_word(&r), want[i]);
    }
}

static void draws_have_their_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    ecg_rng r;
    ecg_rng_open(&r, 1, 0, 300, 0, 0);
    double sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        const double x = ecg_rng_normal(&r);
        sum += x, squares += x * x, fourth += x * x * x * x;
    }
    assert_true(fabs(sum / N) < 4 / sqrt(N));
    assert_true(fabs(squares / N - 1) < 4 * sqrt(2.0 / N));
    assert_true(fabs(fourth / N - 3) < 4 * sqrt(96.0 / N));
    int count[7] = {0};
    for (int i = 0; i < N; i++)
        count[ecg_rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_true(abs(count[i] - N / 7) < 5 * sqrt(N / 7.0));
    uint32_t x[100], seen[100] = {0};
    for (uint32_t i = 0; i < 100; i++)
        x[i] = i;
    ecg_rng_shuffle(&r, x, 100);
    for (int i = 0; i < 100; i++)
        seen[x[i]]++;
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
}

static double units_in_last_place(double got, double want)
{
    return fabs(got - want) / (nextafter(fabs(want), INFINITY) - fabs(want));
}

static void elementary_functions_agree_with_libm(void **state)
{
    (void)state;
    double worst[4] = {0};
    ecg_rng r;
    ecg_rng_open(&r, 3, 0, 300, 0, 0);
    for (int i = 0; i < 300000; i++) {
        const double u = ecg_rng_uniform(&r), x = (u - 0.5) * (i % 3 ? 40 : 1400), y = exp((u - 0.5) * (i % 3 ? 4 : 1400));
        const double angle = (u - 0.5) * (i % 3 ? 12 : 4000);
        if (fabs(x) < 700)
            worst[0] = fmax(worst[0], units_in_last_place(ecg_exp(x), exp(x)));
        worst[1] = fmax(worst[1], units_in_last_place(ecg_log(y), log(y)));
        worst[2] = fmax(worst[2], fabs(ecg_sin(angle) - sin(angle)));
        worst[3] = fmax(worst[3], fabs(ecg_cos(angle) - cos(angle)));
    }
    assert_true(worst[0] <= 2);
    assert_true(worst[1] <= 2);
    assert_true(worst[2] < 2.3e-16);
    assert_true(worst[3] < 2.3e-16);
    assert_true(ecg_exp(-1000) == 0 && isinf(ecg_exp(1000)) && isnan(ecg_exp(NAN)));
    assert_true(isnan(ecg_log(-1)) && isinf(ecg_log(0)) && ecg_log(1) == 0);
    assert_true(fabs(ecg_log(0x1p-1074) - log(0x1p-1074)) < 1e-12);
    assert_true(ecg_exp(-740) > 0 && fabs(ecg_exp(-740) / exp(-740) - 1) < 0.2);
    assert_true(isnan(ecg_sin(INFINITY)));
}

static void numbers_out_of_bytes(void **state)
{
    (void)state;
    static const struct { const char *text; bool ok; double x; } cases[] = {
        {"12", true, 12},          {" -0.5 ", true, -0.5},       {"1e-3", true, 1e-3},     {"+7", true, 7},
        {"3.", true, 3},           {".25", true, .25},           {"0.1", true, 0.1},       {"123456789012345678", true, 123456789012345678.0},
        {"1.7976931348623157e308", true, 1.7976931348623157e308}, {"", false, 0},          {"nan", false, 0},
        {"inf", false, 0},         {"0x10", false, 0},           {"1,5", false, 0},        {"___", false, 0},
        {"1e999", false, 0},       {"1 2", false, 0},            {"-", false, 0},          {".", false, 0},
        {"4.35", true, 4.35},      {"0.000000000000000000001", true, 1e-21},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double x = -99;
        assert_int_equal(ecg_parse_double(&x, cases[i].text, strlen(cases[i].text)), cases[i].ok);
        assert_true(x == (cases[i].ok ? cases[i].x : -99));
    }
    static const struct { const char *text; bool ok; int64_t x; } ids[] = {
        {"12345", true, 12345}, {"12345.0", true, 12345}, {"-3", true, -3}, {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN}, {"9223372036854775808", false, 0}, {"1.5", false, 0}, {"", false, 0}, {"a", false, 0}, {"-", false, 0},
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        int64_t x = -99;
        assert_int_equal(ecg_parse_i64(&x, ids[i].text, strlen(ids[i].text)), ids[i].ok);
        assert_true(x == (ids[i].ok ? ids[i].x : -99));
    }
}

static void moments_out_of_bytes(void **state)
{
    (void)state;
    static const struct { const char *text; bool ok; int64_t seconds; } cases[] = {
        {"1970-01-01 00:00:00", true, 0},
        {"2180-07-23 08:44:00", true, 6644623440},
        {"2180-07-23", true, 6644592000},
        {"2100-02-29", false, 0},
        {"2000-02-29", true, 951782400},
        {"1969-12-31 23:59:59", true, -1},
        {"2180-13-01", false, 0},
        {"2180-07-23 24:00:00", false, 0},
        {"2180-7-23", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t s = -99;
        assert_int_equal(ecg_parse_time(&s, cases[i].text, strlen(cases[i].text)), cases[i].ok);
        assert_true(s == (cases[i].ok ? cases[i].seconds : -99));
    }
    for (int64_t s = -30000000000; s < 200000000000; s += 1234567891) { /* years 1019 to 8307 */
        char text[20];
        int64_t back = 0;
        ecg_format_time(text, s);
        assert_true(ecg_parse_time(&back, text, 19) && back == s);
    }
    assert_int_equal(ecg_year_of(6644623440), 2180);
}

static void the_nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = {"learning_rate", "batch", "epochs", "lambda"};
    assert_string_equal(ecg_nearest("epoch", names, 4), "epochs");
    assert_string_equal(ecg_nearest("learnin_rate", names, 4), "learning_rate");
    assert_null(ecg_nearest("zzzzzz", names, 4));
    assert_true(ecg_same_word("aVR", "AVR") && !ecg_same_word("aVR", "aVL"));
}

static void sha256_known_answers(void **state)
{
    (void)state;
    static const struct { const char *text; int times; const char *hex; } cases[] = {
        {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_sha256 s;
        char hex[65];
        ecg_sha256_begin(&s);
        for (int k = 0; k < cases[i].times; k++)
            ecg_sha256_add(&s, cases[i].text, strlen(cases[i].text));
        ecg_sha256_end(&s, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

/* With the processor's own instructions, where it has them, and as the standard is written: the same of every length, however it comes. */
static void sha256_both_ways(void **state)
{
    (void)state;
    uint8_t bytes[700];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i >> 3);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        char hex[2][65];
        for (int plain = 0; plain < 2; plain++) {
            ecg_sha256 s;
            ecg_sha256_begin(&s);
            s.plain = s.plain || plain;
            ecg_sha256_add(&s, bytes, plain ? len : len / 3);
            ecg_sha256_add(&s, bytes + (plain ? len : len / 3), plain ? 0 : len - len / 3);
            ecg_sha256_end(&s, hex[plain]);
        }
        assert_string_equal(hex[0], hex[1]);
    }
}

static void a_file_appears_whole_or_not_at_all(void **state)
{
    (void)state;
    char folder[] = "/tmp/ecg_test_XXXXXX", path[64], deep[96];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x", folder);
    ecg_file *f;
    ecg_err err;
    assert_int_equal(ecg_file_create(&f, path, &err), ECG_OK);
    assert_int_equal(ecg_file_write(f, "hello", 5, &err), ECG_OK);
    assert_false(ecg_is_file(path));
    ecg_file_abort(f);
    assert_false(ecg_is_file(path));
    assert_int_equal(ecg_file_create(&f, path, &err), ECG_OK);
    assert_int_equal(ecg_file_write(f, "hello", 5, &err), ECG_OK);
    assert_int_equal(ecg_file_write_at(f, 0, "J", 1, &err), ECG_OK);
    assert_int_equal(ecg_file_commit(f, &err), ECG_OK);
    ecg_bytes b;
    assert_int_equal(ecg_file_read(&b, path, &err), ECG_OK);
    assert_int_equal(b.len, 5);
    assert_memory_equal(b.at, "Jello", 5);
    ecg_bytes_free(&b);
    assert_int_equal(ecg_file_read(&b, folder, &err), ECG_EIO);
    assert_string_equal(err.msg, "a folder, not a file");
    assert_int_equal(ecg_file_read(&b, "/dev/null", &err), ECG_EIO);
    snprintf(deep, sizeof deep, "%s/a/b/c", folder);
    assert_int_equal(ecg_make_folders(deep, &err), ECG_OK);
    assert_true(ecg_is_folder(deep));
    snprintf(deep, sizeof deep, "%s/x/y", folder);
    assert_int_equal(ecg_make_folders(deep, &err), ECG_EIO);
    unlink(path);
    for (const char *const *p = (const char *const[]){"/a/b/c", "/a/b", "/a", "", NULL}; *p; p++) {
        snprintf(deep, sizeof deep, "%s%s", folder, *p);
        assert_int_equal(rmdir(deep), 0);
    }
}

static void a_name_cannot_leave_its_place(void **state)
{
    (void)state;
    static const char *const bad[] = {"../x", "/etc/passwd", "a/../../x", "", ".", "a//b", "a/", "x\ny", "..", "./x"};
    const ecg_member members[] = {{"1.hea", "abc", 3}, {"/etc/passwd", "no", 2}, {"../x", "no", 2}};
    ecg_source s;
    ecg_bytes b;
    ecg_err err;
    assert_int_equal(ecg_source_memory(&s, members, 3, &err), ECG_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ecg_source_open(&s, bad[i], &b, &err), ECG_EDATA);
    assert_int_equal(ecg_source_open(&s, "1.hea", &b, &err), ECG_OK);
    assert_int_equal(b.len, 3);
    assert_int_equal(ecg_source_open(&s, "2.hea", &b, &err), ECG_EIO);
    ecg_source_close(&s);

    char folder[] = "/tmp/ecg_test_XXXXXX", link[64];
    assert_non_null(mkdtemp(folder));
    snprintf(link, sizeof link, "%s/l", folder);
    assert_int_equal(ecg_source_folder(&s, folder, &err), ECG_OK);
    static const struct { const char *to; ecg_status want; } links[] = {{"/proc/self/exe", ECG_OK}, {"/dev/zero", ECG_EIO}, {"/", ECG_EIO}, {"/no/such", ECG_EIO}};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) { /* the owner's links are followed, to regular files only */
        assert_int_equal(symlink(links[i].to, link), 0);
        assert_int_equal(ecg_source_open(&s, "l", &b, &err), links[i].want);
        ecg_bytes_free(&b);
        unlink(link);
    }
    ecg_source_close(&s);
    rmdir(folder);
}

static void note(void *ctx, int item, int worker)
{
    int *seen = ctx;
    seen[item] += 1 + 0 * worker;
}

static void every_item_is_done_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 9; threads += 4) {
        ecg_pool *p = ecg_pool_new(threads);
        assert_non_null(p);
        for (int items = 0; items < 200; items += 7) {
            int seen[200] = {0};
            ecg_pool_run(p, note, seen, items);
            for (int i = 0; i < 200; i++)
                assert_int_equal(seen[i], i < items);
        }
        ecg_pool_free(p);
    }
    assert_null(ecg_pool_new(0));
}

static void pieces_are_zero_and_aligned(void **state)
{
    (void)state;
    ecg_arena *a = ecg_arena_new();
    assert_non_null(a);
    for (size_t n = 0; n < 3000000; n = n * 3 + 1) {
        uint8_t *p = ecg_arena_take(a, n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_null(ecg_arena_take(a, SIZE_MAX / 2, 4));
    assert_string_equal(ecg_arena_text(a, "abcdef", 3), "abc");
    ecg_arena_rewind(a);
    for (size_t n = 1; n < 3000000; n = n * 3 + 1) { /* once more over what was written, some of it as it is */
        uint8_t *room = ecg_arena_room(a, n), *p = ecg_arena_take(a, n, 1);
        assert_true(room && p && (uintptr_t)room % 64 == 0 && (room + n <= p || p + n <= room));
        memset(room, 0x11, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_null(ecg_arena_room(a, SIZE_MAX));
    ecg_arena_free(a);
}

/* ---- big arrays ---- */

static void an_array_keeps_its_bytes_as_it_grows(void **state)
{
    static const struct { size_t from, to; bool folder, mapped; const char *why; } cases[] = {
        {100, 5000, true, false, "a small one stays in memory"},
        {1000, (size_t)17 << 20, true, true, "one that becomes big goes to a file"},
        {(size_t)17 << 20, (size_t)40 << 20, true, true, "and grows there"},
        {(size_t)17 << 20, (size_t)18 << 20, false, false, "without a folder it stays in memory"},
    };
    char folder[] = "/tmp/ecgraft_scratch_XXXXXX", path[64], missing[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/result", folder);
    snprintf(missing, sizeof missing, "%s/none/result", folder);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const char *beside = cases[c].folder ? path : NULL;
        uint8_t *x = ecg_scratch_grow(NULL, cases[c].from, beside);
        assert_non_null(x);
        assert_int_equal((uintptr_t)x % 16, 0);
        for (size_t i = 0; i < cases[c].from; i++)
            x[i] = (uint8_t)(i * 7 >> 3);
        x = ecg_scratch_grow(x, cases[c].to, beside);
        assert_non_null(x);
        x[cases[c].to - 1] = 1;
        for (size_t i = 0; i < cases[c].from; i++)
            if (x[i] != (uint8_t)(i * 7 >> 3))
                fail_msg("%s: byte %zu has changed", cases[c].why, i);
        if (ecg_scratch_is_mapped(x) != cases[c].mapped)
            fail_msg("%s: it is%s in a file", cases[c].why, cases[c].mapped ? " not" : "");
        assert_ptr_equal(ecg_scratch_grow(x, 10, beside), x);
        assert_int_equal(rmdir(folder), 0); /* nothing in it has a name */
        assert_int_equal(mkdir(folder, 0700), 0);
        ecg_scratch_free(x);
    }
    uint8_t *x = ecg_scratch_take((size_t)17 << 20, missing);
    assert_non_null(x);
    assert_false(ecg_scratch_is_mapped(x));
    ecg_scratch_free(x);
    assert_null(ecg_scratch_take(SIZE_MAX - 3, path));
    ecg_scratch_free(NULL);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(words_follow_their_address),
        cmocka_unit_test(draws_have_their_moments),
        cmocka_unit_test(elementary_functions_agree_with_libm),
        cmocka_unit_test(numbers_out_of_bytes),
        cmocka_unit_test(moments_out_of_bytes),
        cmocka_unit_test(the_nearest_name),
        cmocka_unit_test(sha256_known_answers),
        cmocka_unit_test(sha256_both_ways),
        cmocka_unit_test(a_file_appears_whole_or_not_at_all),
        cmocka_unit_test(a_name_cannot_leave_its_place),
        cmocka_unit_test(every_item_is_done_once),
        cmocka_unit_test(pieces_are_zero_and_aligned),
        cmocka_unit_test(an_array_keeps_its_bytes_as_it_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
