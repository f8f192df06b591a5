/* SPDX-License-Identifier: MIT
 * Places of named bytes: folders, memory, and zip archives that are put together here byte by byte, whole and spoiled. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/pool.h"
#include "base/source.h"

/* ---- archives by hand ----------------------------------------------------------------------------------------------------- */

enum { ROOM = 1 << 16 };

/* What a case does to one of the members; 0 and NULL: nothing. */
typedef struct {
    const char *name, *text, *local_name;
    bool stored, wide, wrong_crc;
    unsigned method, flags;
    uint32_t size;      /* declared instead of the real one */
    uint32_t at;        /* declared place */
} part;

typedef struct {
    uint8_t file[ROOM], directory[ROOM];
    size_t len, directory_len;
    unsigned members;
} zip;

static void put(uint8_t *to, size_t *len, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[(*len)++] = (uint8_t)(i < 8 ? x >> 8 * i : 0);
}

static void put_text(uint8_t *to, size_t *len, const char *text)
{
    memcpy(to + *len, text, strlen(text));
    *len += strlen(text);
}

static size_t deflate_raw(uint8_t *out, size_t room, const char *text)
{
    z_stream s = {.next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)strlen(text), .next_out = out, .avail_out = (uInt)room};
    assert_int_equal(deflateInit2(&s, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    return s.total_out;
}

static void put_part(zip *z, const part *p)
{
    uint8_t packed[4096];
    const size_t real = strlen(p->text), at = z->len;
    size_t bytes = real;
    if (p->stored)
        memcpy(packed, p->text, real);
    else
        bytes = deflate_raw(packed, sizeof packed, p->text);
    const unsigned method = p->method ? p->method : p->stored ? 0 : 8;
    const uint32_t crc = (uint32_t)crc32(0, (const Bytef *)p->text, (uInt)real) ^ p->wrong_crc, size = p->size ? p->size : (uint32_t)real;
    const char *local = p->local_name ? p->local_name : p->name;
    for (int central = 0; central < 2; central++) {
        uint8_t *to = central ? z->directory : z->file;
        size_t *len = central ? &z->directory_len : &z->len;
        const bool wide = central && p->wide;
        put(to, len, central ? 0x02014b50 : 0x04034b50, 4);
        put(to, len, 20, central ? 4 : 2);
        put(to, len, p->flags, 2);
        put(to, len, method, 2);
        put(to, len, 0, 4);
        put(to, len, crc, 4);
        put(to, len, wide ? UINT32_MAX : bytes, 4);
        put(to, len, wide ? UINT32_MAX : size, 4);
        put(to, len, strlen(central ? p->name : local), 2);
        put(to, len, wide ? 9 + 28 : 0, 2);
        if (central) {
            put(to, len, 0, 10);
            put(to, len, wide ? UINT32_MAX : p->at ? p->at : at, 4);
        }
        put_text(to, len, central ? p->name : local);
        if (wide) { /* another record ahead of it */
            put(to, len, 0x5455, 2), put(to, len, 5, 2), put(to, len, 1, 5);
            put(to, len, 1, 2), put(to, len, 24, 2), put(to, len, size, 8), put(to, len, bytes, 8), put(to, len, at, 8);
        }
    }
    memcpy(z->file + z->len, packed, bytes);
    z->len += bytes;
    z->members++;
}

/* wide: the end record says "look in the 64-bit one". */
static void put_end(zip *z, bool wide, const char *comment)
{
    const size_t at = z->len;
    memcpy(z->file + z->len, z->directory, z->directory_len);
    z->len += z->directory_len;
    if (wide) {
        const size_t end64 = z->len;
        put(z->file, &z->len, 0x06064b50, 4), put(z->file, &z->len, 44, 8), put(z->file, &z->len, 0, 12);
        put(z->file, &z->len, z->members, 8), put(z->file, &z->len, z->members, 8);
        put(z->file, &z->len, z->directory_len, 8), put(z->file, &z->len, at, 8);
        put(z->file, &z->len, 0x07064b50, 4), put(z->file, &z->len, 0, 4), put(z->file, &z->len, end64, 8), put(z->file, &z->len, 1, 4);
    }
    put(z->file, &z->len, 0x06054b50, 4), put(z->file, &z->len, 0, 4);
    put(z->file, &z->len, wide ? UINT16_MAX : z->members, 2), put(z->file, &z->len, wide ? UINT16_MAX : z->members, 2);
    put(z->file, &z->len, wide ? UINT32_MAX : z->directory_len, 4), put(z->file, &z->len, wide ? UINT32_MAX : at, 4);
    put(z->file, &z->len, strlen(comment), 2);
    put_text(z->file, &z->len, comment);
}

static const char dat[] = "samples samples samples samples samples samples samples samples";

static zip *good_archive(bool wide)
{
    zip *z = calloc(1, sizeof *z);
    const part parts[] = {
        {.name = "top-1.0/", .text = "", .stored = true},
        {.name = "top-1.0/files/p1/deeper/record_list.csv", .text = "not this one", .wide = wide},
        {.name = "top-1.0/record_list.csv", .text = "subject_id,study_id\n1,2\n", .wide = wide},
        {.name = "top-1.0/files/p1/1.dat", .text = dat, .wide = wide},
        {.name = "top-1.0/files/p1/1.hea", .text = "1 12 500 5000\n", .stored = true, .wide = wide},
        {.name = "top-1.0/empty", .text = "", .stored = true},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        put_part(z, &parts[i]);
    put_end(z, wide, wide ? "" : "a comment with PK\5\6 in it");
    return z;
}

/* ---- what should go well -------------------------------------------------------------------------------------------------- */

static void expect_bytes(ecg_source *s, const char *name, const char *want)
{
    ecg_bytes b;
    ecg_err err = {0};
    if (ecg_source_open(s, name, &b, &err))
        fail_msg("%s: %s", name, err.msg);
    assert_int_equal(b.len, strlen(want));
    if (b.len)
        assert_memory_equal(b.at, want, b.len);
    assert_true(ecg_source_has(s, name));
    ecg_bytes_free(&b);
}

static void a_good_archive(void **state)
{
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        zip *z = good_archive(wide);
        ecg_source s;
        ecg_bytes b;
        ecg_err err = {0};
        char prefix[64];
        if (ecg_source_zip_bytes(&s, z->file, z->len, "a.zip", &err))
            fail_msg("wide %d: %s", wide, err.msg);
        expect_bytes(&s, "top-1.0/files/p1/1.dat", dat);
        assert_int_equal(ecg_zip_find(prefix, sizeof prefix, &s, "record_list.csv", &err), ECG_OK);
        assert_string_equal(prefix, "top-1.0/");
        assert_int_equal(ecg_zip_find(prefix, sizeof prefix, &s, "ecord_list.csv", &err), ECG_EIO); /* whole names only */
        assert_int_equal(ecg_zip_find(prefix, 8, &s, "record_list.csv", &err), ECG_EDATA);
        assert_int_equal(ecg_zip_enter(&s, "top-1.0", NULL), ECG_EARG);
        assert_int_equal(ecg_zip_enter(&s, "top-1.0/", NULL), ECG_OK);
        expect_bytes(&s, "record_list.csv", "subject_id,study_id\n1,2\n");
        expect_bytes(&s, "files/p1/1.hea", "1 12 500 5000\n");
        expect_bytes(&s, "empty", "");
        assert_int_equal(ecg_source_open(&s, "files/p1/2.hea", &b, &err), ECG_EIO);
        assert_non_null(strstr(err.path, "files/p1/2.hea"));
        assert_false(ecg_source_has(&s, "files/p1/2.hea"));
        assert_false(ecg_source_has(&s, "files/p1"));
        assert_int_equal(ecg_source_open(&s, "../top-1.0/empty", &b, &err), ECG_EDATA);
        assert_int_equal(ecg_source_open(&s, "/top-1.0/empty", &b, &err), ECG_EDATA);
        assert_false(ecg_source_has(&s, "../top-1.0/empty"));
        s.most = 20;
        assert_int_equal(ecg_source_open(&s, "files/p1/1.dat", &b, &err), ECG_EDATA);
        assert_string_equal(err.msg, "63 bytes once expanded, at most 20 are taken");
        s.most = 0;
        assert_int_equal(ecg_source_open(&s, "files/p1/1.hea", &b, &err), ECG_OK); /* stored: not a view of the archive */
        ecg_source_close(&s);
        free(z);
        assert_memory_equal(b.at, "1 12 500 5000\n", b.len);
        ecg_bytes_free(&b);
    }
}

static void the_later_of_two(void **state)
{
    (void)state;
    zip z = {0};
    ecg_source s;
    put_part(&z, &(part){.name = "a", .text = "first"});
    put_part(&z, &(part){.name = "a", .text = "second"});
    put_end(&z, false, "");
    assert_int_equal(ecg_source_zip_bytes(&s, z.file, z.len, "a.zip", NULL), ECG_OK);
    expect_bytes(&s, "a", "second");
    ecg_source_close(&s);
}

static void folders_and_memory(void **state)
{
    (void)state;
    char folder[] = "/tmp/ecgraft-source-XXXXXX", path[64];
    const ecg_member members[] = {{"sub/a", "text", 4}};
    ecg_source s;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a", folder);
    assert_int_equal(ecg_file_write_whole(path, "text", 4, NULL), ECG_OK);
    assert_int_equal(ecg_source_folder(&s, folder, NULL), ECG_OK);
    expect_bytes(&s, "a", "text");
    assert_false(ecg_source_has(&s, "b"));
    assert_false(ecg_source_has(&s, "a/b"));
    ecg_source_close(&s);
    assert_int_equal(ecg_source_memory(&s, members, 1, NULL), ECG_OK);
    expect_bytes(&s, "sub/a", "text");
    assert_false(ecg_source_has(&s, "a"));
    ecg_source_close(&s);
    unlink(path);
    rmdir(folder);
}

/* ---- what should not ------------------------------------------------------------------------------------------------------ */

static void a_spoiled_member(void **state)
{
    (void)state;
    static const struct { const char *why; part p; ecg_status st; const char *msg; } cases[] = {
        {"wrong CRC", {.name = "a", .text = dat, .wrong_crc = true}, ECG_EDATA, "CRC"},
        {"wrong CRC, stored", {.name = "a", .text = dat, .stored = true, .wrong_crc = true}, ECG_EDATA, "CRC"},
        {"encrypted", {.name = "a", .text = dat, .flags = 1}, ECG_EUNSUPPORTED, "encrypted"},
        {"another method", {.name = "a", .text = dat, .method = 12}, ECG_EUNSUPPORTED, "packed by bzip2"},
        {"a method without a name", {.name = "a", .text = dat, .method = 77}, ECG_EUNSUPPORTED, "packed by method 77"},
        {"smaller than it is", {.name = "a", .text = dat, .size = 10}, ECG_EDATA, "damaged"},
        {"larger than it is", {.name = "a", .text = dat, .size = 100}, ECG_EDATA, "damaged"},
        {"more than deflate can pack", {.name = "a", .text = dat, .size = 1 << 28}, ECG_EDATA, "bytes packed into"},
        {"more than anybody wants", {.name = "a", .text = dat, .size = UINT32_MAX - 1}, ECG_EDATA, "at most 1073741824 are taken"},
        {"stored, and another size", {.name = "a", .text = dat, .stored = true, .size = 64}, ECG_EDATA, "64 bytes packed into 63"},
        {"not a stream", {.name = "a", .text = dat, .stored = true, .method = 8}, ECG_EDATA, "damaged"},
        {"another name where it lies", {.name = "a", .text = dat, .local_name = "b"}, ECG_EDATA, "not where"},
        {"lies behind the end", {.name = "a", .text = dat, .at = 5000}, ECG_EDATA, "not where"},
        {"lies in the directory", {.name = "a", .text = dat, .at = 60}, ECG_EDATA, "not where"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        zip z = {0};
        ecg_source s;
        ecg_bytes b;
        ecg_err err = {0};
        put_part(&z, &cases[i].p);
        put_part(&z, &(part){.name = "good", .text = dat});
        put_end(&z, false, "");
        if (ecg_source_zip_bytes(&s, z.file, z.len, "a.zip", &err))
            fail_msg("%s: %s", cases[i].why, err.msg);
        const ecg_status st = ecg_source_open(&s, "a", &b, &err);
        if (st != cases[i].st || !strstr(err.msg, cases[i].msg) || strcmp(err.path, "a.zip/a"))
            fail_msg("%s: %d \"%s\" in \"%s\"", cases[i].why, st, err.msg, err.path);
        expect_bytes(&s, "good", dat);
        ecg_source_close(&s);
    }
}

static void not_an_archive(void **state)
{
    (void)state;
    static const struct { const char *text, *msg; ecg_status st; } cases[] = {
        {"", "not a zip archive", ECG_EFORMAT},
        {"subject_id,study_id\n", "not a zip archive", ECG_EFORMAT},
        {"PK\3\4 and nothing else", "cut", ECG_EDATA},
    };
    ecg_source s;
    ecg_err err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ecg_source_zip_bytes(&s, cases[i].text, strlen(cases[i].text), "a.zip", &err), cases[i].st);
        assert_non_null(strstr(err.msg, cases[i].msg));
    }
    assert_int_equal(ecg_source_zip(&s, "/no/such/place.zip", &err), ECG_EIO);
    zip *z = good_archive(false);
    z->file[z->len - strlen("a comment with PK\5\6 in it") - 22 + 4] = 1; /* the second of several disks */
    assert_int_equal(ecg_source_zip_bytes(&s, z->file, z->len, "a.zip", &err), ECG_EUNSUPPORTED);
    free(z);
}

/* An archive cut anywhere is refused; one with any byte changed is refused or gives what was packed, and touches nothing else. */
static void every_cut_and_every_byte(void **state)
{
    (void)state;
    ecg_err err;
    ecg_source s;
    ecg_bytes b;
    for (int wide = 0; wide < 2; wide++) {
        zip *z = good_archive(wide);
        for (size_t len = 0; len < z->len; len++) {
            uint8_t *copy = malloc(len + 1);
            memcpy(copy, z->file, len);
            if (!ecg_source_zip_bytes(&s, copy, len, "cut.zip", &err))
                fail_msg("%zu of %zu bytes are taken for an archive", len, z->len);
            free(copy);
        }
        for (size_t i = 0; i < z->len; i++)
            for (int bit = 0; bit < 8; bit++) {
                uint8_t *copy = malloc(z->len);
                memcpy(copy, z->file, z->len);
                copy[i] ^= (uint8_t)(1u << bit);
                if (!ecg_source_zip_bytes(&s, copy, z->len, "bad.zip", &err)) {
                    if (!ecg_source_open(&s, "top-1.0/files/p1/1.dat", &b, &err)) {
                        assert_int_equal(b.len, strlen(dat));
                        assert_memory_equal(b.at, dat, b.len);
                        ecg_bytes_free(&b);
                    }
                    ecg_source_close(&s);
                }
                free(copy);
            }
        free(z);
    }
}

/* ---- many threads --------------------------------------------------------------------------------------------------------- */

typedef struct {
    ecg_source source;
    int wrong[64];
} readers;

static void read_one(void *ctx, int item, int worker)
{
    (void)worker;
    readers *r = ctx;
    ecg_bytes b;
    char name[24], text[24];
    snprintf(name, sizeof name, "f/%d", item);
    snprintf(text, sizeof text, "text %d", item);
    r->wrong[item] = ecg_source_open(&r->source, name, &b, NULL) || b.len != strlen(text) || memcmp(b.at, text, b.len);
    ecg_bytes_free(&b);
}

static void many_threads(void **state)
{
    (void)state;
    zip *z = calloc(1, sizeof *z);
    readers r = {0};
    for (int i = 0; i < 64; i++) {
        char name[24], text[24];
        snprintf(name, sizeof name, "f/%d", i);
        snprintf(text, sizeof text, "text %d", i);
        put_part(z, &(part){.name = name, .text = text, .stored = i % 2});
    }
    put_end(z, false, "");
    assert_int_equal(ecg_source_zip_bytes(&r.source, z->file, z->len, "a.zip", NULL), ECG_OK);
    ecg_pool *pool = ecg_pool_new(4);
    ecg_pool_run(pool, read_one, &r, 64);
    ecg_pool_free(pool);
    for (int i = 0; i < 64; i++)
        assert_int_equal(r.wrong[i], 0);
    ecg_source_close(&r.source);
    free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_archive),   cmocka_unit_test(the_later_of_two), cmocka_unit_test(folders_and_memory),
        cmocka_unit_test(a_spoiled_member), cmocka_unit_test(not_an_archive),   cmocka_unit_test(every_cut_and_every_byte),
        cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
