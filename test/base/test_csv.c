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

#include "base/csv_parts.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"

/* Everything in one text: fields between |, rows ended by ;, a failure as "!line message". */
static void add_row(ecg_text *out, const ecg_csv *t)
{
    for (int i = 0; i < ecg_csv_columns(t); i++) {
        const ecg_field f = ecg_csv_field(t, i);
        ecg_text_puts(out, i ? "|" : "");
        ecg_text_add(out, f.at, f.len);
    }
}

static void add_names(ecg_text *out, const ecg_csv *t)
{
    for (int i = 0; i < ecg_csv_columns(t); i++)
        ecg_text_printf(out, "%s%s", i ? "|" : "", ecg_csv_name(t, i));
    ecg_text_puts(out, ";");
}

static void add_failure(ecg_text *out, ecg_status st, const ecg_err *err)
{
    assert_int_equal(err->status, st);
    assert_string_equal(err->path, "t.csv");
    ecg_text_printf(out, "!%d %s", (int)err->line, err->msg);
}

static char *digest_by(const void *bytes, size_t len, const ecg_csv_path *path, size_t window)
{
    ecg_text out = {0};
    ecg_csv *t;
    ecg_err err = {0};
    ecg_status st = ecg_csv_open_tuned(&t, bytes, len, "t.csv", path, window, &err);
    if (!st)
        add_names(&out, t);
    for (bool more = true; !st && more;) {
        st = ecg_csv_next(t, &more, &err);
        if (!st && more) {
            add_row(&out, t);
            ecg_text_puts(&out, ";");
        }
    }
    if (st)
        add_failure(&out, st, &err);
    ecg_csv_close(t);
    return out.at;
}

static char *digest(const void *bytes, size_t len)
{
    return digest_by(bytes, len, ecg_csv_best_path(), 256 << 10);
}

/* The same by blocks. Of every third row nothing but the last field is asked for before the others. */
enum { SLOTS = 16 };
typedef struct {
    ecg_text slot[SLOTS], out;
    int64_t rows;
} gathered;

static ecg_status take_block(void *ctx, ecg_csv *t, int slot, ecg_err *err)
{
    gathered *g = ctx;
    bool more;
    ecg_status st;
    g->slot[slot].len = 0;
    while (!(st = ecg_csv_next(t, &more, err)) && more) {
        if (ecg_csv_row(t) % 3 == 0)
            (void)ecg_csv_field(t, ecg_csv_columns(t) - 1);
        add_row(&g->slot[slot], t);
        ecg_text_puts(&g->slot[slot], ";");
    }
    return st;
}

static ecg_status merge_block(void *ctx, int slot, int64_t rows, ecg_err *err)
{
    (void)err;
    gathered *g = ctx;
    assert_true(rows >= g->rows);
    g->rows = rows;
    ecg_text_add(&g->out, g->slot[slot].at, g->slot[slot].len);
    return ECG_OK;
}

/* A failure alone: of its block the rows before it were not merged. */
static char *digest_each(const void *bytes, size_t len, size_t window, ecg_pool *pool)
{
    gathered g = {.rows = 0};
    const ecg_csv_job job = {&g, take_block, merge_block};
    ecg_csv *t;
    ecg_err err = {0};
    int64_t rows = 0;
    assert_true(ecg_csv_slots(pool) <= SLOTS);
    ecg_status st = ecg_csv_open_tuned(&t, bytes, len, "t.csv", ecg_csv_best_path(), window, &err);
    if (!st) {
        add_names(&g.out, t);
        st = ecg_csv_each(t, &rows, &job, "t", pool, NULL, &err);
    }
    if (st) {
        g.out.len = 0;
        add_failure(&g.out, st, &err);
    }
    ecg_csv_close(t);
    for (int i = 0; i < SLOTS; i++)
        ecg_text_clear(&g.slot[i]);
    return g.out.at;
}

/* Byte by byte, by the words of csv.h: what the others must agree with. */
typedef struct {
    const char *at, *end;
    int64_t line;
    int fields;
} cursor;

static bool at_line_end(const cursor *c)
{
    return c->at == c->end || *c->at == '\n' || (*c->at == '\r' && (c->at + 1 == c->end || c->at[1] == '\n'));
}

static void skip_line_end(cursor *c)
{
    c->at += c->at < c->end && *c->at == '\r';
    c->at += c->at < c->end;
    c->line++;
}

static bool slow_row(ecg_text *out, cursor *c)
{
    for (c->fields = 0;;) {
        ecg_text_puts(out, c->fields++ ? "|" : "");
        if (c->at < c->end && *c->at == '"') {
            const int64_t began = c->line;
            for (c->at++; c->at < c->end && (*c->at != '"' || (c->at + 1 < c->end && c->at[1] == '"')); c->at++) {
                c->at += *c->at == '"';
                c->line += *c->at == '\n';
                ecg_text_add(out, c->at, 1);
            }
            if (c->at == c->end) {
                ecg_text_printf(out, "!%d a quote begins here and is never closed", (int)began);
                return false;
            }
            c->at++;
            if (!at_line_end(c) && *c->at != ',') {
                ecg_text_printf(out, "!%d text follows the closing quote of field %d", (int)c->line, c->fields);
                return false;
            }
        }
        for (; !at_line_end(c) && *c->at != ','; c->at++)
            ecg_text_add(out, c->at, 1);
        if (at_line_end(c)) {
            skip_line_end(c);
            return true;
        }
        c->at++;
    }
}

static char *digest_slowly(const char *text, size_t len)
{
    ecg_text out = {0};
    cursor c = {text, text + len, 1, 0};
    int columns = 0;
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        c.at += 3;
    for (;;) {
        while (c.at < c.end && at_line_end(&c))
            skip_line_end(&c);
        if (c.at == c.end)
            break;
        const size_t before = out.len;
        const int64_t line = c.line;
        if (!slow_row(&out, &c)) {
            const char *failure = strrchr(out.at + before, '!'); /* nothing of a row that fails */
            memmove(out.at + before, failure, strlen(failure) + 1);
            return out.at;
        }
        if (columns && c.fields != columns) {
            out.len = before;
            ecg_text_printf(&out, "!%d %d fields, the header has %d", (int)line, c.fields, columns);
            return out.at;
        }
        columns = c.fields;
        ecg_text_puts(&out, ";");
    }
    if (!columns)
        ecg_text_puts(&out, "!1 no header row");
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
        char *plain = digest(cases[i].text, len), *unpacked = digest(packed, packed_len), *slow = digest_slowly(cases[i].text, len);
        if (strcmp(plain, cases[i].want) || strcmp(unpacked, plain) || strcmp(slow, plain))
            print_error("%s\n", cases[i].why);
        assert_string_equal(plain, cases[i].want);
        assert_string_equal(unpacked, cases[i].want);
        assert_string_equal(slow, cases[i].want);
        free(plain);
        free(unpacked);
        free(slow);
        free(packed);
    }
}

/* Mostly tables; every fourth has one byte that may break it. */
static void make_table(ecg_text *out, ecg_rng *rng)
{
    static const char letters[] = "ab0.-\r \"x,\n";
    const uint32_t columns = 1 + ecg_rng_below(rng, 20), rows = ecg_rng_below(rng, 40), quoted = ecg_rng_below(rng, 3) * 4, longest = 1 + ecg_rng_below(rng, 30);
    const char *end = ecg_rng_below(rng, 2) ? "\n" : "\r\n";
    out->len = 0;
    ecg_text_puts(out, ecg_rng_below(rng, 4) ? "" : "\xef\xbb\xbf");
    for (uint32_t r = 0; r <= rows; r++) {
        for (uint32_t f = 0; f < columns; f++) {
            const bool quotes = ecg_rng_below(rng, 10) < quoted;
            ecg_text_puts(out, f ? "," : "");
            ecg_text_puts(out, quotes ? "\"" : "");
            for (uint32_t n = ecg_rng_below(rng, longest); n > 0; n--) {
                const char c = letters[ecg_rng_below(rng, quotes ? 11 : 7)];
                ecg_text_add(out, c == '"' ? "\"\"" : &c, c == '"' ? 2 : 1);
            }
            ecg_text_puts(out, quotes ? "\"" : !longest || ecg_rng_below(rng, 9) ? "" : "y\""); /* a quote that is a letter */
        }
        ecg_text_puts(out, end);
        if (!ecg_rng_below(rng, 6))
            ecg_text_puts(out, end);
    }
    if (!ecg_rng_below(rng, 3) && out->len)
        out->len--;
    if (!ecg_rng_below(rng, 4) && out->len)
        out->at[ecg_rng_below(rng, (uint32_t)out->len)] = letters[ecg_rng_below(rng, 11)];
}

static void same(const char *how, uint32_t table, char *got, const char *want)
{
    if (strcmp(got, want))
        print_error("table %u, %s:\n%s\nwanted:\n%s\n", table, how, got, want);
    assert_string_equal(got, want);
    free(got);
}

/* The plain path, those of this CPU, and blocks on one, two and five threads, at windows of any size. */
static void all_paths_agree(void **state)
{
    (void)state;
    ecg_rng rng;
    ecg_rng_open(&rng, 4, 0, 11, 0, 0);
    ecg_text text = {0};
    ecg_pool *pool[3] = {NULL, ecg_pool_new(2), ecg_pool_new(5)};
    int failures = 0;
    for (uint32_t i = 0; i < 1500; i++) {
        make_table(&text, &rng);
        char *want = digest_slowly(text.at, text.len);
        const char *failure = strchr(want, '!');
        failures += failure != NULL;
        size_t packed_len;
        uint8_t *packed = gz(text.at, text.len, &packed_len);
        for (int p = 0; p < ECG_CSV_PATHS; p++)
            if (ecg_csv_paths[p].runs_here())
                same(ecg_csv_paths[p].name, i, digest_by(text.at, text.len, &ecg_csv_paths[p], 64 * (1 + ecg_rng_below(&rng, 20))), want);
        for (int p = 0; p < 3; p++) {
            const size_t window = 64 * (1 + ecg_rng_below(&rng, 8));
            same("blocks", i, digest_each(text.at, text.len, window, pool[p]), failure ? failure : want);
            same("blocks of gzip", i, digest_each(packed, packed_len, window, pool[p]), failure ? failure : want);
        }
        free(packed);
        free(want);
    }
    assert_in_range(failures, 100, 1400);
    for (int p = 0; p < 3; p++)
        ecg_pool_free(pool[p]);
    ecg_text_clear(&text);
}

/* Bits of every byte value at every place, against the words of csv_mask.h. */
static void bits_of_all_bytes(void **state)
{
    (void)state;
    enum { WORDS = 5 };
    char text[WORDS * 64];
    ecg_rng rng;
    ecg_rng_open(&rng, 4, 0, 12, 0, 0);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < WORDS * 64; i++)
            text[i] = round % 3 ? (char)ecg_rng_below(&rng, 256) : "\n,\"\x0b-!\x8a\xac\xa2"[ecg_rng_below(&rng, 9)];
        for (int p = 0; p < ECG_CSV_PATHS; p++) {
            if (!ecg_csv_paths[p].runs_here())
                continue;
            ecg_csv_mask m[WORDS];
            ecg_csv_paths[p].classify(m, text, WORDS);
            for (int i = 0; i < WORDS * 64; i++) {
                assert_int_equal(m[i / 64].newline >> i % 64 & 1, text[i] == '\n');
                assert_int_equal(m[i / 64].comma >> i % 64 & 1, text[i] == ',');
                assert_int_equal(m[i / 64].quote >> i % 64 & 1, text[i] == '"');
            }
            for (size_t at = 0; at < WORDS * 64; at++) {
                int commas = 0, found = 0;
                bool quotes = false, quote = false;
                size_t end = at;
                for (; end < WORDS * 64 && text[end] != '\n'; end++) {
                    found += text[end] == ',';
                    quote |= text[end] == '"';
                }
                assert_int_equal(ecg_csv_paths[p].row_end(m, WORDS, at, &commas, &quotes), end);
                assert_int_equal(commas, found);
                assert_int_equal(quotes, quote);
            }
        }
    }
}

/* A failure of the threads' own functions, and a stop, end the pass. */
static ecg_status take_until_seven(void *ctx, ecg_csv *t, int slot, ecg_err *err)
{
    (void)ctx;
    (void)slot;
    bool more;
    int64_t n;
    ecg_status st;
    while (!(st = ecg_csv_next(t, &more, err)) && more)
        if ((st = ecg_csv_i64(t, 0, &n, err)))
            return st;
    return st;
}

static ecg_status merge_nothing(void *ctx, int slot, int64_t rows, ecg_err *err)
{
    (void)slot;
    (void)rows;
    return *(bool *)ctx ? ecg_fail(err, ECG_EREFUSED, "enough") : ECG_OK;
}

static void the_first_failure_in_the_file(void **state)
{
    (void)state;
    ecg_text text = {0};
    ecg_text_puts(&text, "n,text\n");
    for (int i = 0; i < 20000; i++)
        ecg_text_printf(&text, "%d%s,\"a\nb\"\n", i, i > 15000 ? "x" : "");
    const volatile sig_atomic_t stop = 1;
    const ecg_watch stopped = {.stop = &stop};
    for (int threads = 1; threads <= 5; threads += 2) {
        ecg_pool *pool = threads > 1 ? ecg_pool_new(threads) : NULL;
        for (int how = 0; how < 3; how++) {
            bool refuse = how == 1;
            const ecg_csv_job job = {&refuse, take_until_seven, merge_nothing};
            ecg_csv *t;
            ecg_err err = {0};
            int64_t rows = 0;
            assert_int_equal(ecg_csv_open_tuned(&t, text.at, text.len, "t.csv", ecg_csv_best_path(), 1024, &err), ECG_OK);
            const ecg_status st = ecg_csv_each(t, &rows, &job, "t", pool, how == 2 ? &stopped : NULL, &err);
            assert_int_equal(st, how == 0 ? ECG_EDATA : how == 1 ? ECG_EREFUSED : ECG_EINTR);
            assert_string_equal(err.msg, how == 0 ? "n: \"15001x\" is not a whole number" : how == 1 ? "enough" : "interrupted after 0 rows: t");
            assert_int_equal(err.line, how == 0 ? 2 + 2 * 15001 : 0);
            assert_int_equal(err.column, how == 0);
            ecg_csv_close(t);
        }
        ecg_pool_free(pool);
    }
    ecg_text_clear(&text);
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
        ecg_pool *pool = ecg_pool_new(2);
        bool go_on = false;
        const ecg_csv_job job = {&go_on, take_until_seven, merge_nothing};
        ecg_err other = {0};
        int64_t count = 0;
        assert_int_equal(ecg_csv_open_bytes(&t, bad, n, "t.csv.gz", &other), ECG_OK);
        assert_int_equal(ecg_csv_each(t, &count, &job, "t", pool, NULL, &other), st);
        assert_string_equal(other.msg, err.msg);
        assert_int_equal(other.line, err.line);
        ecg_csv_close(t);
        ecg_pool_free(pool);
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
        cmocka_unit_test(bits_of_all_bytes),
        cmocka_unit_test(all_paths_agree),
        cmocka_unit_test(the_first_failure_in_the_file),
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
