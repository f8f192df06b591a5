/* SPDX-License-Identifier: MIT
 * test_http_text.c: targets, hosts, origins, secrets, cookies and bodies of files, as strangers write them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "report/http_text.h"

/* ---- targets -------------------------------------------------------------------------------------------------------------------- */

static void targets(void **state)
{
    static const struct { const char *raw, *path, *why; } cases[] = {
        {"/", "/", "the root"},
        {"/api/results/7f.html", "/api/results/7f.html", "a path"},
        {"/api/re%73ults", "/api/results", "an escape that need not be"},
        {"/a%20b", "/a b", "a blank"},
        {"/api/", "/api/", "a slash at the end"},
        {"/?", "/", "an empty query"},
        {"/a?x=1#y", "/a", "a fragment in a query is text"},
        {"", NULL, "nothing"},
        {"*", NULL, "OPTIONS *"},
        {"http://evil.example/", NULL, "a whole address"},
        {"//evil.example/", NULL, "an address without scheme"},
        {"/../etc/passwd", NULL, "up"},
        {"/a/../b", NULL, "up in the middle"},
        {"/a/..", NULL, "up at the end"},
        {"/%2e%2e/etc/passwd", NULL, "up, escaped"},
        {"/..%2f..%2fetc", NULL, "up, slash escaped"},
        {"/./a", NULL, "here"},
        {"/a//b", NULL, "an empty part"},
        {"/a%00b", NULL, "a zero"},
        {"/a%0d%0aSet-Cookie: x", NULL, "a line end"},
        {"/a%7f", NULL, "delete"},
        {"/a%", NULL, "half an escape"},
        {"/a%4", NULL, "half an escape"},
        {"/a%zz", NULL, "no escape"},
        {"/?a=%", NULL, "half an escape in a query"},
        {"/?a=1&b=%00", NULL, "a zero in a query"},
        {"/a#b", NULL, "a fragment"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_target t;
        const bool fit = ecg_target_parse(&t, cases[i].raw);
        if (fit != (cases[i].path != NULL) || (fit && strcmp(t.path, cases[i].path) != 0))
            fail_msg("%s: %s", cases[i].why, fit ? t.path : "refused");
    }
}

static void long_targets(void **state)
{
    char raw[ECG_TARGET_MAX + 3];
    ecg_target t;
    (void)state;
    memset(raw, 'a', sizeof raw);
    raw[0] = '/';
    raw[ECG_TARGET_MAX] = 0;
    assert_true(ecg_target_parse(&t, raw));
    assert_int_equal(strlen(t.path), ECG_TARGET_MAX);
    raw[ECG_TARGET_MAX] = 'a';
    raw[ECG_TARGET_MAX + 1] = 0;
    assert_false(ecg_target_parse(&t, raw));
    strcpy(raw, "/?");
    for (int i = 0; i < ECG_QUERIES_MAX; i++)
        strcat(raw, "a=1&");
    assert_true(ecg_target_parse(&t, raw));
    strcat(raw, "b=1");
    assert_false(ecg_target_parse(&t, raw));
}

static void queries(void **state)
{
    ecg_target t;
    (void)state;
    assert_true(ecg_target_parse(&t, "/r.html?layout=6x2&record=p1%2F1.hea&a+b=c+d%26&empty=&bare&layout=12x1&x==&&"));
    assert_string_equal(ecg_target_query(&t, "layout"), "6x2");
    assert_string_equal(ecg_target_query(&t, "record"), "p1/1.hea");
    assert_string_equal(ecg_target_query(&t, "a b"), "c d&");
    assert_string_equal(ecg_target_query(&t, "empty"), "");
    assert_string_equal(ecg_target_query(&t, "bare"), "");
    assert_string_equal(ecg_target_query(&t, "x"), "=");
    assert_null(ecg_target_query(&t, "speed"));
}

/* ---- who asks ------------------------------------------------------------------------------------------------------------------- */

static void hosts(void **state)
{
    static const struct { const char *host; bool here, open; } cases[] = {
        {"127.0.0.1", true, true}, {"127.0.0.1:8017", true, true}, {"localhost", true, true}, {"LocalHost:9", true, true}, {"[::1]", true, true}, {"[::1]:8017", true, true},
        {"ecg.clinic.example", false, true}, {"ECG.clinic.example:80", false, true}, {"10.1.2.3", false, true}, {"10.1.2.3:8017", false, true}, {"[fe80::1]:80", false, true},
        {"evil.example", false, false}, {"evil.example:8017", false, false}, {"localhost.evil.example", false, false}, {"127.0.0.1.evil.example", false, false},
        {"", false, false}, {":8017", false, false}, {"localhost:", false, false}, {"localhost:99999", false, false}, {"localhost:0", false, false},
        {"localhost:80x", false, false}, {"localhost:80:80", false, false}, {"localhost@evil.example", false, false}, {"[::1", false, false}, {"[::1]x", false, false},
        {"[localhost]", false, false}, {"::1", false, false}, {"2130706433", false, false}, {"0x7f.1", false, false}, {" localhost", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ecg_host_fit(cases[i].host, false, "ecg.clinic.example"), cases[i].here);
        if (ecg_host_fit(cases[i].host, true, "ecg.clinic.example") != cases[i].open)
            fail_msg("%s, open", cases[i].host);
    }
    assert_false(ecg_host_fit("ecg.clinic.example", true, NULL));
}

static void origins(void **state)
{
    (void)state;
    assert_true(ecg_same_origin("http://127.0.0.1:8017", "127.0.0.1:8017"));
    assert_true(ecg_same_origin("https://ecg.clinic.example", "ecg.clinic.example")); /* behind a proxy that speaks TLS */
    assert_false(ecg_same_origin("http://127.0.0.1:8018", "127.0.0.1:8017"));
    assert_false(ecg_same_origin("http://localhost:8017", "127.0.0.1:8017"));
    assert_false(ecg_same_origin("null", "127.0.0.1:8017"));
    assert_false(ecg_same_origin("", ""));
    assert_false(ecg_same_origin("http://", ""));
    assert_false(ecg_same_origin("file://127.0.0.1:8017", "127.0.0.1:8017"));
    assert_false(ecg_same_origin("http://127.0.0.1:8017.evil.example", "127.0.0.1:8017"));
}

static void secrets(void **state)
{
    char value[8];
    (void)state;
    assert_true(ecg_same_secret("a long enough secret", "a long enough secret"));
    assert_false(ecg_same_secret("a long enough secret", "a long enough secreT"));
    assert_false(ecg_same_secret("", "a"));
    assert_true(ecg_cookie_find(value, sizeof value, "a=1; b=2;c=3", "b"));
    assert_string_equal(value, "2");
    assert_true(ecg_cookie_find(value, sizeof value, "a=1; b=2;c=3", "c"));
    assert_string_equal(value, "3");
    assert_false(ecg_cookie_find(value, sizeof value, "ab=1; xb=2", "b"));
    assert_false(ecg_cookie_find(value, sizeof value, "b=12345678", "b"));
    assert_true(ecg_cookie_find(value, sizeof value, "b=", "b"));
    assert_false(ecg_cookie_find(value, sizeof value, "", "b"));
    assert_false(ecg_cookie_find(value, sizeof value, "b", "b"));
}

/* ---- bodies of files ------------------------------------------------------------------------------------------------------------ */

#define TYPE "multipart/form-data; boundary=XX"
#define FILE_HEAD "Content-Disposition: form-data; name=\"file\"; filename=\"1.hea\"\r\n"
#define ONE "--XX\r\n" FILE_HEAD "\r\nabc\r\n--XX--\r\n"

static void good_bodies(void **state)
{
    static const struct { const char *type, *body, *file, *bytes, *why; int n; } cases[] = {
        {TYPE, ONE, "1.hea", "abc", "one file", 1},
        {"multipart/form-data; charset=utf-8; boundary=\"XX\"", ONE, "1.hea", "abc", "a quoted boundary", 1},
        {"Multipart/Form-Data;boundary=XX", ONE, "1.hea", "abc", "other letters, no blank", 1},
        {TYPE, "--XX  \r\nContent-Type: text/plain\r\n" FILE_HEAD "\r\nabc\r\n--XX--", "1.hea", "abc", "blanks behind the boundary, other headers, no last line end", 1},
        {TYPE, "--XX\r\n" FILE_HEAD "\r\n\r\n--XX--", "1.hea", "", "an empty file", 1},
        {TYPE, "--XX\r\ncontent-disposition:form-data;filename=1.hea;name=file\r\n\r\n--X\r\n--Xabc\r\n--XX--", "1.hea", "--X\r\n--Xabc", "nearly boundaries", 1},
        {TYPE, "--XX\r\n" FILE_HEAD "\r\na\r\n--XX\r\n" FILE_HEAD "\r\nb\r\n--XX--", "1.hea", "a", "two files", 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_multipart m;
        ecg_err err = {0};
        if (ecg_multipart_parse(&m, cases[i].type, (const uint8_t *)cases[i].body, strlen(cases[i].body), &err))
            fail_msg("%s: %s", cases[i].why, err.msg);
        assert_int_equal(m.n, cases[i].n);
        assert_string_equal(m.part[0].name, "file");
        assert_string_equal(m.part[0].file, cases[i].file);
        assert_int_equal(m.part[0].len, strlen(cases[i].bytes));
        assert_memory_equal(m.part[0].at, cases[i].bytes, strlen(cases[i].bytes));
        ecg_multipart_clear(&m);
    }
}

static void bad_bodies(void **state)
{
    static const struct { const char *type, *body, *why; ecg_status st; } cases[] = {
        {"", ONE, "no type", ECG_EUNSUPPORTED},
        {"application/json", "{}", "JSON", ECG_EUNSUPPORTED},
        {"multipart/form-database; boundary=XX", ONE, "another type", ECG_EUNSUPPORTED},
        {"multipart/form-data", ONE, "no boundary", ECG_EFORMAT},
        {"multipart/form-data; boundary=", ONE, "an empty boundary", ECG_EFORMAT},
        {"multipart/form-data; boundary=\"XX", ONE, "a quote never closed", ECG_EFORMAT},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x", ONE, "a boundary of 71 bytes", ECG_EFORMAT},
        {TYPE, "", "an empty body", ECG_EFORMAT},
        {TYPE, "--XX", "cut behind the first boundary", ECG_EFORMAT},
        {TYPE, "--XX--", "no part", ECG_EFORMAT},
        {TYPE, "--XX\r\n", "cut before the headers", ECG_EFORMAT},
        {TYPE, "--XX\r\n" FILE_HEAD, "cut in the headers", ECG_EFORMAT},
        {TYPE, "--XX\r\n" FILE_HEAD "\r\nabc", "no last boundary", ECG_EFORMAT},
        {TYPE, "--XX\r\n" FILE_HEAD "\r\nabc\r\n--XX\r\n", "not closed", ECG_EFORMAT},
        {TYPE, "--XX\r\n" FILE_HEAD "\r\nabc\r\n--XXY--", "another boundary", ECG_EFORMAT},
        {TYPE, "--YY\r\n" FILE_HEAD "\r\nabc\r\n--YY--", "not its boundary", ECG_EFORMAT},
        {TYPE, "preamble\r\n" ONE, "words before the first boundary", ECG_EFORMAT},
        {TYPE, "--XX\r\n\r\nabc\r\n--XX--", "no headers", ECG_EFORMAT},
        {TYPE, "--XX\r\nContent-Type: text/plain\r\n\r\nabc\r\n--XX--", "does not say what it is", ECG_EFORMAT},
        {TYPE, "--XX\r\n" FILE_HEAD FILE_HEAD "\r\nabc\r\n--XX--", "says it twice", ECG_EFORMAT},
        {TYPE, "--XX\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc\r\n--XX--", "a field that is no file", ECG_EFORMAT},
        {TYPE, "--XX\r\nContent-Disposition: form-data; filename=\"1.hea\"\r\n\r\nabc\r\n--XX--", "no name of the field", ECG_EFORMAT},
        {TYPE, "--XX\r\nContent-Disposition: attachment; name=\"file\"; filename=\"1.hea\"\r\n\r\nabc\r\n--XX--", "no form", ECG_EFORMAT},
        {TYPE, "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"1.hea\r\n\r\nabc\r\n--XX--", "a quote never closed", ECG_EFORMAT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_multipart m;
        ecg_err err = {0};
        const size_t n = strlen(cases[i].body);
        uint8_t *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, cases[i].body, n);
        const ecg_status st = ecg_multipart_parse(&m, cases[i].type, exact, n, &err);
        if (st != cases[i].st)
            fail_msg("%s: %s", cases[i].why, ecg_status_text(st));
        assert_null(m.part);
        free(exact);
    }
}

static void too_many_parts(void **state)
{
    static char body[(ECG_PARTS_MAX + 2) * 128];
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        size_t n = 0;
        ecg_multipart m;
        for (int i = 0; i < ECG_PARTS_MAX + extra; i++)
            n += (size_t)snprintf(body + n, sizeof body - n, "--XX\r\n" FILE_HEAD "\r\n%d\r\n", i);
        n += (size_t)snprintf(body + n, sizeof body - n, "--XX--");
        assert_int_equal(ecg_multipart_parse(&m, TYPE, (const uint8_t *)body, n, NULL), extra ? ECG_EFORMAT : ECG_OK);
        assert_int_equal(m.n, extra ? 0 : ECG_PARTS_MAX);
        ecg_multipart_clear(&m);
    }
}

/* Bytes changed, taken away and put in: whatever comes out lies in the body. */
static void spoilt_bodies(void **state)
{
    static const char good[] = "--XX\r\n" FILE_HEAD "\r\nabcdef\r\n--XX\r\n" FILE_HEAD "\r\n\r\n--XX--\r\n";
    ecg_rng r;
    int fit = 0;
    (void)state;
    ecg_rng_open(&r, 1, 0, 9, 0, 0);
    for (int turn = 0; turn < 20000; turn++) {
        const size_t n = sizeof good - 1, cut = turn % 3 ? n : ecg_rng_below(&r, (uint32_t)n + 1);
        uint8_t *body = malloc(n);
        ecg_multipart m;
        assert_non_null(body);
        memcpy(body, good, n);
        for (uint32_t k = ecg_rng_below(&r, 4); k; k--)
            body[ecg_rng_below(&r, (uint32_t)n)] = "\r\n-X\";: \0a"[ecg_rng_below(&r, 10)];
        uint8_t *exact = malloc(cut ? cut : 1);
        assert_non_null(exact);
        memcpy(exact, body, cut);
        if (!ecg_multipart_parse(&m, TYPE, exact, cut, NULL))
            fit++;
        for (int i = 0; i < m.n; i++)
            assert_true(m.part[i].at >= exact && m.part[i].at + m.part[i].len <= exact + cut);
        ecg_multipart_clear(&m);
        free(exact);
        free(body);
    }
    assert_true(fit > 1000 && fit < 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets), cmocka_unit_test(long_targets), cmocka_unit_test(queries), cmocka_unit_test(hosts), cmocka_unit_test(origins),
        cmocka_unit_test(secrets), cmocka_unit_test(good_bodies), cmocka_unit_test(bad_bodies), cmocka_unit_test(too_many_parts), cmocka_unit_test(spoilt_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
