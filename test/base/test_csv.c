/* SPDX-License-Identifier: MIT
 * Tables: what is read, what is refused and with which line, and that what is written is read back. */
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
#include <zlib.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/text.h"

/* Everything in one text: fields between |, rows ended by ;, a failure as "!line message". */
static char *digest(const void *bytes, size_t len)
{
    ecg_text out = {0};
    ecg_csv *t;
    ecg_err err = {0};
    ecg_status st = ecg_csv_open_bytes(&t, bytes, len, "t.csv", &err);
    for (int i = 0; !st && i < ecg_csv_columns(t); i++)
        ecg_text_printf(&out, "%s%s", i ? "|" : "", ecg_csv_name(t, i));
    for (bool more = true; !st && more;) {
        ecg_text_puts(&out, ";");
        st = ecg_csv_next(t, &more, &err);
        for (int i = 0; !st && more && i < ecg_csv_columns(t); i++) {
            const ecg_field f = ecg_csv_field(t, i);
            ecg_text_puts(&out, i ? "|" : "");
            ecg_text_add(&out, f.at, f.len);
        }
    }
    if (st) {
        assert_int_equal(err.status, st);
        assert_string_equal(err.path, "t.csv");
        ecg_text_printf(&out, "!%d %s", (int)err.line, err.msg);
    }
    ecg_csv_close(t);
    return out.at;
}

static const struct {
    const char *why, *text, *want;
} cases[] = {
    {"the plain case", "a,b\n1,2\n3,4\n", "a|b;1|2;3|4;"},
    {"no line end at the end", "a,b\n1,2", "a|b;1|2;"},
    {"CRLF", "a,b\r\n1,2\r\n", "a|b;1|2;"},
    {"CR at the very end", "a,b\n1,2\r", "a|b;1|2;"},
    {"byte order mark", "\xef\xbb\xbf"
                        "a,b\n1,2\n",
     "a|b;1|2;"},
    {"byte order mark before a quote", "\xef\xbb\xbf\"a\",b\n1,2\n", "a|b;1|2;"},
    {"empty lines", "\n\na,b\n\r\n1,2\n\n", "a|b;1|2;"},
    {"missing values", "a,b,c\n,,\n,2,\n", "a|b|c;||;|2|;"},
    {"a header without a name", ",b\nx,y\n", "|b;x|y;"},
    {"a comma in quotes", "a,b\n\"1,5\",2\n", "a|b;1,5|2;"},
    {"quotes in quotes", "a,b\n\"say \"\"yes\"\"\",\"\"\"\"\n", "a|b;say \"yes\"|\";"},
    {"a newline in quotes", "a,b\n\"x\ny\r\nz\",2\n3,4\n", "a|b;x\ny\r\nz|2;3|4;"},
    {"an empty quoted field is a row", "a\n\"\"\nx\n", "a;;x;"},
    {"quoted field before CRLF", "a,b\r\n1,\"2\"\r\n", "a|b;1|2;"},
    {"quoted field at the end of the text", "a,b\n1,\"2\"", "a|b;1|2;"},
    {"quoted field, then CR at the end of the text", "a,b\n1,\"2\"\r", "a|b;1|2;"},
    {"a quote inside a plain field is a letter", "a,b\n5\" tube,2\n", "a|b;5\" tube|2;"},
    {"blanks stay", "a,b\n 1 ,\" 2 \"\n", "a|b; 1 | 2 ;"},
    {"header only", "a,b\n", "a|b;"},
    {"nothing", "", "!1 no header row"},
    {"only line ends", "\n\r\n\n", "!1 no header row"},
    {"only a byte order mark", "\xef\xbb\xbf", "!1 no header row"},
    {"a field too few", "a,b\n1,2\n3\n", "a|b;1|2;!3 1 fields, the header has 2"},
    {"a field too many", "a,b\n1,2,3,4\n", "a|b;!2 4 fields, the header has 2"},
    {"line numbers count the lines inside quotes", "a,b\n\"x\n\ny\",2\n3\n", "a|b;x\n\ny|2;!5 1 fields, the header has 2"},
    {"a quote never closed names its own line", "a,b\n1,2\n3,\"4\n5,6\n7,8\n", "a|b;1|2;!3 a quote begins here and is never closed"},
    {"also behind a field of several lines", "a,b\n\"1\n2\",\"3\n", "a|b;!3 a quote begins here and is never closed"},
    {"a quote never closed in the header", "a,\"b\n", "!1 a quote begins here and is never closed"},
    {"text behind a closing quote", "a,b\n\"1\"x,2\n", "a|b;!2 text follows the closing quote of field 1"},
    {"blank behind a closing quote", "a,b\n1,\"2\" \n", "a|b;!2 text follows the closing quote of field 2"},
};

static uint8_t *gz(const void *bytes, size_t len, size_t *out_len)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const size_t room = deflateBound(&z, len);
    uint8_t *out = malloc(room);
    z.next_in = (uint8_t *)(uintptr_t)bytes;
    z.avail_in = (unsigned)len;
    z.next_out = out;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *out_len = room - z.avail_out;
    deflateEnd(&z);
    return out;
}

static void rows_and_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t len = strlen(cases[i].text);
        size_t packed_len;
        uint8_t *packed = gz(cases[i].text, len, &packed_len);
        char *plain = digest(cases[i].text, len), *same = digest(packed, packed_len);
        if (strcmp(plain, cases[i].want) || strcmp(same, plain))
            print_error("%s\n", cases[i].why);
        assert_string_equal(plain, cases[i].want);
        assert_string_equal(same, cases[i].want);
        free(plain);
        free(same);
        free(packed);
    }
}

/* Rows and quotes meet every boundary of the reader's window: 3 MB with fields of growing length. */
static void long_tables_in_pieces(void **state)
{
    (void)state;
    enum { ROWS = 4000 };
    ecg_text text = {0};
    ecg_text_puts(&text, "id,text\n");
    for (int i = 0; i < ROWS; i++) {
        ecg_text_printf(&text, "%d,\"", i);
        for (int k = 0; k < i % 1500; k++)
            ecg_text_puts(&text, k % 97 == 96 ? "\"\"" : k % 53 == 52 ? "\n" : "x");
        ecg_text_puts(&text, "\"\n");
    }
    assert_false(text.failed);
    size_t packed_len, half_len[2];
    uint8_t *packed = gz(text.at, text.len, &packed_len);
    uint8_t *half[2] = {gz(text.at, text.len / 3, &half_len[0]), gz(text.at + text.len / 3, text.len - text.len / 3, &half_len[1])};
    uint8_t *members = malloc(half_len[0] + half_len[1] + 512);
    memcpy(members, half[0], half_len[0]);
    memcpy(members + half_len[0], half[1], half_len[1]);
    memset(members + half_len[0] + half_len[1], 0, 512); /* as tape blocks leave it */
    const struct { const void *at; size_t len; } forms[] = {{text.at, text.len}, {packed, packed_len}, {members, half_len[0] + half_len[1] + 512}};
    for (int f = 0; f < 3; f++) {
        ecg_csv *t;
        ecg_err err;
        assert_int_equal(ecg_csv_open_bytes(&t, forms[f].at, forms[f].len, "t", &err), ECG_OK);
        int64_t line = 2;
        for (int i = 0; i < ROWS; i++) {
            bool more;
            int64_t id;
            assert_int_equal(ecg_csv_next(t, &more, &err), ECG_OK);
            assert_true(more);
            assert_int_equal(ecg_csv_i64(t, 0, &id, &err), ECG_OK);
            assert_int_equal(id, i);
            assert_int_equal(ecg_csv_line(t), line);
            const ecg_field x = ecg_csv_field(t, 1);
            assert_int_equal(x.len, i % 1500);
            for (size_t k = 0; k < x.len; k++) {
                line += x.at[k] == '\n';
                assert_int_equal(x.at[k], k % 97 == 96 ? '"' : k % 53 == 52 ? '\n' : 'x');
            }
            line++;
        }
        bool more;
        assert_int_equal(ecg_csv_next(t, &more, &err), ECG_OK);
        assert_false(more);
        ecg_csv_close(t);
    }
    free(packed);
    free(half[0]);
    free(half[1]);
    free(members);
    ecg_text_clear(&text);
}

static void damaged_gzip_is_named(void **state)
{
    (void)state;
    ecg_text text = {0};
    ecg_text_puts(&text, "a,b\n");
    for (int i = 0; i < 20000; i++)
        ecg_text_printf(&text, "%d,%d\n", i, i * 7919 % 10007);
    size_t len;
    uint8_t *packed = gz(text.at, text.len, &len), *bad = malloc(len + 8);
    static const struct { const char *why, *msg; int cut, flip, append; } damages[] = {
        {"whole", "", 0, 0, 0},
        {"the trailer cut", "gzip stream ends before its time", 4, 0, 0},
        {"half of it", "gzip stream ends before its time", 20000, 0, 0},
        {"wrong checksum", "gzip checksum is wrong", 0, 8, 0},
        {"wrong length", "gzip", 0, 2, 0},
        {"garbage behind", "bytes after the gzip stream", 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        memcpy(bad, packed, len);
        size_t n = len - (size_t)damages[i].cut;
        if (damages[i].flip)
            bad[len - (size_t)damages[i].flip] ^= 0x10;
        if (damages[i].append)
            bad[n++] = 'x';
        ecg_csv *t;
        ecg_err err = {0};
        int rows = 0;
        ecg_status st = ecg_csv_open_bytes(&t, bad, n, "t.csv.gz", &err);
        for (bool more = true; !st && more; rows += more)
            st = ecg_csv_next(t, &more, &err);
        if (st != (damages[i].msg[0] ? ECG_EDATA : ECG_OK) || !strstr(err.msg, damages[i].msg))
            print_error("%s: %s\n", damages[i].why, err.msg);
        assert_int_equal(st, damages[i].msg[0] ? ECG_EDATA : ECG_OK);
        assert_non_null(strstr(err.msg, damages[i].msg));
        if (st) {
            assert_string_equal(err.path, "t.csv.gz");
            assert_true(err.line > 0);
        } else {
            assert_int_equal(rows, 20000);
        }
        ecg_csv_close(t);
    }
    free(packed);
    free(bad);
    ecg_text_clear(&text);
}

static void a_row_has_a_bound(void **state)
{
    (void)state;
    const size_t len = (size_t)18 << 20;
    char *text = malloc(len);
    static const struct { const char *why; char fill; const char *begin, *msg; } endless[] = {
        {"no line end", 'x', "a,b\n1,", "a row of more than"},
        {"a quote not closed", '\n', "a,b\n1,\"", "a quote begins here"},
        {"a header of commas", ',', "a", "more than 100000 columns"},
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        memset(text, endless[i].fill, len);
        memcpy(text, endless[i].begin, strlen(endless[i].begin));
        if (endless[i].fill == ',')
            text[1 << 20] = '\n';
        ecg_csv *t;
        ecg_err err = {0};
        bool more;
        ecg_status st = ecg_csv_open_bytes(&t, text, len, "t.csv", &err);
        if (!st)
            st = ecg_csv_next(t, &more, &err);
        assert_int_equal(st, ECG_EDATA);
        assert_non_null(strstr(err.msg, endless[i].msg));
        assert_int_equal(err.line, i < 2 ? 2 : 1);
        ecg_csv_close(t);
    }
    free(text);
}

static void columns_by_name_and_type(void **state)
{
    (void)state;
    static const char text[] = "subject_id,age,when\n10.0,72.5,2180-05-06 22:23:00\n,,\nten,old,never\n";
    ecg_csv *t;
    ecg_err err;
    bool more;
    double x;
    int64_t i;
    assert_int_equal(ecg_csv_open_bytes(&t, text, sizeof text - 1, "t.csv", &err), ECG_OK);
    int at[2];
    assert_int_equal(ecg_csv_need(t, at, (const char *const[]){"when", "age"}, 2, &err), ECG_OK);
    assert_int_equal(at[0], 2);
    assert_int_equal(at[1], 1);
    assert_int_equal(ecg_csv_find(t, "Age"), -1);
    assert_int_equal(ecg_csv_need(t, at, (const char *const[]){"age", "subjekt_id"}, 2, &err), ECG_EDATA);
    assert_string_equal(err.msg, "no column \"subjekt_id\", the nearest is \"subject_id\"");
    assert_string_equal(err.path, "t.csv");

    assert_int_equal(ecg_csv_next(t, &more, &err), ECG_OK);
    assert_int_equal(ecg_csv_i64(t, 0, &i, &err), ECG_OK);
    assert_int_equal(i, 10);
    assert_int_equal(ecg_csv_double(t, 1, &x, &err), ECG_OK);
    assert_true(x == 72.5);
    assert_int_equal(ecg_csv_time(t, 2, &i, &err), ECG_OK);
    assert_int_equal(i, ecg_days_from_civil(2180, 5, 6) * 86400 + 22 * 3600 + 23 * 60);
    assert_int_equal(ecg_csv_next(t, &more, &err), ECG_OK);
    assert_int_equal(ecg_csv_i64(t, 0, &i, &err), ECG_OK);
    assert_int_equal(i, -1);
    assert_int_equal(ecg_csv_double(t, 1, &x, &err), ECG_OK);
    assert_true(isnan(x));
    assert_int_equal(ecg_csv_time(t, 2, &i, &err), ECG_OK);
    assert_true(i == INT64_MIN);
    assert_int_equal(ecg_csv_next(t, &more, &err), ECG_OK);
    assert_int_equal(ecg_csv_i64(t, 0, &i, &err), ECG_EDATA);
    assert_string_equal(err.msg, "subject_id: \"ten\" is not a whole number");
    assert_int_equal(ecg_csv_double(t, 1, &x, &err), ECG_EDATA);
    assert_string_equal(err.msg, "age: \"old\" is not a number");
    assert_int_equal(err.line, 4);
    assert_int_equal(err.column, 2);
    assert_int_equal(ecg_csv_time(t, 2, &i, &err), ECG_EDATA);
    ecg_csv_close(t);
}

static void write_all(const char *path)
{
    ecg_csvw *w;
    ecg_err err;
    assert_int_equal(ecg_csvw_create(&w, path, &err), ECG_OK);
    ecg_csvw_text(w, "text");
    ecg_csvw_text(w, "int");
    ecg_csvw_text(w, "double");
    ecg_csvw_end(w);
    for (int i = 0; i < 30000; i++) {
        ecg_csvw_text(w, i % 3 ? "a \"quoted\", text\nof two lines" : NULL);
        ecg_csvw_int(w, INT64_MIN + i);
        ecg_csvw_double(w, i % 2 ? NAN : i / 3.0, i % 4 ? NULL : "%.17g");
        ecg_csvw_end(w);
    }
    ecg_csvw_raw(w, "raw,1,2\n", 8);
    assert_int_equal(ecg_csvw_commit(w, &err), ECG_OK);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    char folder[] = "/tmp/ecg_test_XXXXXX", path[2][64];
    assert_non_null(mkdtemp(folder));
    snprintf(path[0], sizeof path[0], "%s/t.csv", folder);
    snprintf(path[1], sizeof path[1], "%s/t.csv.gz", folder);
    for (int p = 0; p < 2; p++) {
        write_all(path[p]);
        ecg_csv *t;
        ecg_err err;
        bool more;
        int64_t n;
        double x;
        assert_int_equal(ecg_csv_open(&t, path[p], &err), ECG_OK);
        for (int i = 0; i < 30000; i++) {
            assert_int_equal(ecg_csv_next(t, &more, &err), ECG_OK);
            assert_true(more);
            const ecg_field f = ecg_csv_field(t, 0);
            if (i % 3)
                assert_memory_equal(f.at, "a \"quoted\", text\nof two lines", f.len);
            assert_int_equal(f.len, i % 3 ? 29 : 0);
            assert_int_equal(ecg_csv_i64(t, 1, &n, &err), ECG_OK);
            assert_true(n == INT64_MIN + i);
            assert_int_equal(ecg_csv_double(t, 2, &x, &err), ECG_OK);
            if (i % 2)
                assert_true(isnan(x));
            else
                assert_true(fabs(x - i / 3.0) <= (i % 4 ? 1e-8 * i : 0));
        }
        assert_int_equal(ecg_csv_next(t, &more, &err), ECG_OK);
        assert_memory_equal(ecg_csv_field(t, 0).at, "raw", 3);
        assert_int_equal(ecg_csv_next(t, &more, &err), ECG_OK);
        assert_false(more);
        ecg_csv_close(t);
        ecg_bytes once, again; /* the same bytes at any time, under any name */
        assert_int_equal(ecg_file_read(&once, path[p], &err), ECG_OK);
        write_all(path[p]);
        assert_int_equal(ecg_file_read(&again, path[p], &err), ECG_OK);
        assert_int_equal(once.len, again.len);
        assert_memory_equal(once.at, again.at, once.len);
        ecg_bytes_free(&once);
        ecg_bytes_free(&again);
        unlink(path[p]);
    }
    rmdir(folder);
}

static void one_empty_field_is_not_an_empty_line(void **state)
{
    (void)state;
    char folder[] = "/tmp/ecg_test_XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/t.csv", folder);
    ecg_csvw *w;
    ecg_err err;
    assert_int_equal(ecg_csvw_create(&w, path, &err), ECG_OK);
    ecg_csvw_text(w, "x");
    ecg_csvw_end(w);
    ecg_csvw_double(w, NAN, NULL);
    ecg_csvw_end(w);
    ecg_csvw_text(w, "");
    ecg_csvw_text(w, "");
    ecg_csvw_end(w);
    assert_int_equal(ecg_csvw_commit(w, &err), ECG_OK);
    ecg_bytes b;
    assert_int_equal(ecg_file_read(&b, path, &err), ECG_OK);
    assert_int_equal(b.len, 7);
    assert_memory_equal(b.at, "x\n\"\"\n,\n", 7);
    ecg_bytes_free(&b);
    unlink(path);
    rmdir(folder);
}

static void files_that_are_none(void **state)
{
    (void)state;
    char folder[] = "/tmp/ecg_test_XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    ecg_csv *t;
    ecg_csvw *w;
    ecg_err err;
    assert_int_equal(ecg_csv_open(&t, folder, &err), ECG_EIO);
    assert_null(t);
    assert_string_equal(err.path, folder);
    snprintf(path, sizeof path, "%s/none.csv", folder);
    assert_int_equal(ecg_csv_open(&t, path, &err), ECG_EIO);
    assert_int_equal(ecg_csv_open(&t, "/dev/zero", &err), ECG_EIO);
    snprintf(path, sizeof path, "%s/none/t.csv", folder);
    assert_int_equal(ecg_csvw_create(&w, path, &err), ECG_EIO);
    snprintf(path, sizeof path, "%s/aborted.csv", folder);
    assert_int_equal(ecg_csvw_create(&w, path, &err), ECG_OK);
    ecg_csvw_text(w, "half");
    ecg_csvw_abort(w);
    assert_int_equal(rmdir(folder), 0); /* nothing is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_refusals),
        cmocka_unit_test(long_tables_in_pieces),
        cmocka_unit_test(damaged_gzip_is_named),
        cmocka_unit_test(a_row_has_a_bound),
        cmocka_unit_test(columns_by_name_and_type),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(one_empty_field_is_not_an_empty_line),
        cmocka_unit_test(files_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
