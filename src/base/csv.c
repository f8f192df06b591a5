/* SPDX-License-Identifier: MIT
 * csv.c: reading tables. The text passes through one window that always holds the whole current row; offsets of fields are kept
 * relative to the row, so that the window may slide and grow under a row that is still being scanned. */
#include "base/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/gzip.h"
#include "base/text.h"

enum {
    BLOCK = 256 << 10,     /* bytes read at once */
    LONGEST_ROW = 16 << 20, /* a row beyond this is not a row: most likely a quote that was never closed */
    MOST_COLUMNS = 100000
};

typedef struct {
    size_t at, len; /* relative to the row; without the quotes */
    bool doubled;   /* holds "" that stand for one quote */
} cell;

struct ecg_csv {
    char path[512];
    /* where the bytes come from */
    int fd;              /* -1: from memory */
    uint8_t *block;      /* BLOCK bytes, of the file as it lies there */
    const uint8_t *in;   /* not yet used */
    size_t in_len;
    bool in_ended;
    ecg_gunzip *gunzip;  /* NULL: plain text */
    /* the window */
    char *text;
    size_t room, filled, row; /* text[row .. filled) is not yet given away */
    bool text_ended;
    /* the row */
    size_t next;         /* where the row after this one begins */
    cell *cells;
    int cells_room, fields;
    int64_t line, row_line; /* of the next row, of this row */
    /* the header */
    int columns;
    char **names;
    char *names_text;
};

/* ---- bytes -> window ------------------------------------------------------------------------------------------------------ */

static ecg_status read_block(ecg_csv *t, ecg_err *err)
{
    if (t->fd < 0) {
        t->in_ended = true;
        return ECG_OK;
    }
    ssize_t got;
    do
        got = read(t->fd, t->block, BLOCK);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return ecg_fail_errno(err, t->path, "cannot read");
    t->in = t->block;
    t->in_len = (size_t)got;
    t->in_ended = got == 0;
    return ECG_OK;
}

/* At least one more byte into the window, or text_ended. */
static ecg_status fill(ecg_csv *t, ecg_err *err)
{
    while (!t->text_ended) {
        if (!t->in_len && !t->in_ended) {
            const ecg_status st = read_block(t, err);
            if (st)
                return st;
        }
        size_t got;
        if (t->gunzip) {
            const char *why;
            got = ecg_gunzip_step(t->gunzip, &t->in, &t->in_len, (uint8_t *)t->text + t->filled, t->room - t->filled, &why);
            if (why)
                return ecg_fail_at(err, ECG_EDATA, t->path, t->line, 0, "%s", why);
        } else {
            got = t->in_len < t->room - t->filled ? t->in_len : t->room - t->filled;
            if (got)
                memcpy(t->text + t->filled, t->in, got);
            t->in += got;
            t->in_len -= got;
        }
        t->filled += got;
        if (got)
            return ECG_OK;
        if (t->in_len || !t->in_ended)
            continue;
        if (t->gunzip && !ecg_gunzip_complete(t->gunzip))
            return ecg_fail_at(err, ECG_EDATA, t->path, t->line, 0, "gzip stream ends before its time");
        t->text_ended = true;
    }
    return ECG_OK;
}

/* Makes room behind a row that is not yet complete: slides it to the front, and doubles the window if the row fills half of it. */
static ecg_status widen(ecg_csv *t, int64_t quote_line, ecg_err *err)
{
    if (t->row) {
        memmove(t->text, t->text + t->row, t->filled - t->row);
        t->filled -= t->row;
        t->row = 0;
    }
    if (t->filled > LONGEST_ROW) {
        if (quote_line)
            return ecg_fail_at(err, ECG_EDATA, t->path, quote_line, 0, "a quote begins here and is not closed within %d bytes", LONGEST_ROW);
        return ecg_fail_at(err, ECG_EDATA, t->path, t->line, 0, "a row of more than %d bytes", LONGEST_ROW);
    }
    if (t->filled > t->room / 2) {
        char *more = realloc(t->text, t->room * 2);
        if (!more)
            return ecg_fail(err, ECG_ENOMEM, "out of memory for a row of a table");
        t->text = more;
        t->room *= 2;
    }
    return fill(t, err);
}

/* ---- window -> row -------------------------------------------------------------------------------------------------------- */

/* Beyond the header's number of columns fields are counted, not kept. */
static ecg_status keep(ecg_csv *t, size_t at, size_t len, bool doubled, ecg_err *err)
{
    if (t->columns && t->fields >= t->columns) {
        t->fields++;
        return ECG_OK;
    }
    if (t->fields >= MOST_COLUMNS)
        return ecg_fail_at(err, ECG_EDATA, t->path, t->line, 0, "more than %d columns", MOST_COLUMNS);
    if (t->fields == t->cells_room) {
        const int room = t->cells_room ? t->cells_room * 2 : 64;
        cell *more = realloc(t->cells, sizeof *more * (size_t)room);
        if (!more)
            return ecg_fail(err, ECG_ENOMEM, "out of memory for a row of a table");
        t->cells = more;
        t->cells_room = room;
    }
    t->cells[t->fields++] = (cell){at, len, doubled};
    return ECG_OK;
}

/* A line without any quote: commas are all there is. at .. end relative to the row. */
static ecg_status split_plain(ecg_csv *t, size_t at, size_t end, ecg_err *err)
{
    const char *row = t->text + t->row;
    for (;;) {
        const char *comma = memchr(row + at, ',', end - at);
        const size_t stop = comma ? (size_t)(comma - row) : end;
        const ecg_status st = keep(t, at, stop - at, false, err);
        if (st || !comma)
            return st;
        at = stop + 1;
    }
}

/* The closing quote of a quoted field whose first byte is at; slides the window as needed. Line ends inside are counted. */
static ecg_status close_quote(ecg_csv *t, size_t at, size_t *stop, bool *doubled, int64_t *lines, ecg_err *err)
{
    const int64_t quote_line = t->line + *lines;
    for (;;) {
        const char *row = t->text + t->row;
        const size_t have = t->filled - t->row;
        const char *quote = at < have ? memchr(row + at, '"', have - at) : NULL;
        const size_t upto = quote ? (size_t)(quote - row) : have;
        for (const char *p = row + at; (p = memchr(p, '\n', (size_t)(row + upto - p))); p++)
            ++*lines;
        at = upto;
        if (quote && (at + 1 < have || t->text_ended)) {
            if (at + 1 == have || row[at + 1] != '"') {
                *stop = at;
                return ECG_OK;
            }
            *doubled = true;
            at += 2;
        } else if (t->text_ended) {
            return ecg_fail_at(err, ECG_EDATA, t->path, quote_line, 0, "a quote begins here and is never closed");
        } else {
            const ecg_status st = widen(t, quote_line, err);
            if (st)
                return st;
        }
    }
}

/* Offset of the first line end at or behind at, of the end of the text if there is none. */
static ecg_status find_newline(ecg_csv *t, size_t at, size_t *newline, ecg_err *err)
{
    for (;;) {
        const char *row = t->text + t->row;
        const size_t have = t->filled - t->row;
        const char *found = at < have ? memchr(row + at, '\n', have - at) : NULL;
        if (found || t->text_ended) {
            *newline = found ? (size_t)(found - row) : have;
            return ECG_OK;
        }
        at = have;
        const ecg_status st = widen(t, 0, err);
        if (st)
            return st;
    }
}

static char byte_at(const ecg_csv *t, size_t at) /* '\n' stands for the end of the text */
{
    return t->row + at < t->filled ? t->text[t->row + at] : '\n';
}

/* A row with quotes, field by field. *end: in, the first line end of all; out, the one that ends the row. */
static ecg_status split_quoted(ecg_csv *t, size_t *end, int64_t *lines, ecg_err *err)
{
    for (size_t at = 0;;) {
        const bool quoted = byte_at(t, at) == '"';
        ecg_status st;
        if (quoted) {
            bool doubled = false;
            size_t stop = 0;
            if ((st = close_quote(t, at + 1, &stop, &doubled, lines, err)) || (st = keep(t, at + 1, stop - at - 1, doubled, err)))
                return st;
            at = stop + 1;
            if (*end < at && (st = find_newline(t, at, end, err)))
                return st;
        }
        const char *row = t->text + t->row;
        const char *comma = memchr(row + at, ',', *end - at);
        const size_t stop = comma ? (size_t)(comma - row) : *end;
        const size_t len = stop - at - (!comma && stop > at && row[stop - 1] == '\r');
        if (quoted && len)
            return ecg_fail_at(err, ECG_EDATA, t->path, t->line + *lines, 0, "text follows the closing quote of field %d", t->fields);
        if (!quoted && (st = keep(t, at, len, false, err)))
            return st;
        if (!comma)
            return ECG_OK;
        at = stop + 1;
    }
}

/* "" -> ", within the row */
static void undouble(char *row, cell *c)
{
    size_t len = 0;
    for (size_t i = 0; i < c->len; i++) {
        row[c->at + len++] = row[c->at + i];
        if (row[c->at + i] == '"')
            i++;
    }
    c->len = len;
}

/* The next row that is not an empty line; fields = 0: there is none. */
static ecg_status scan_row(ecg_csv *t, ecg_err *err)
{
    for (;;) {
        t->row = t->next;
        t->fields = 0;
        size_t end;
        ecg_status st = find_newline(t, 0, &end, err);
        if (st)
            return st;
        if (t->row == t->filled)
            return ECG_OK;
        const char *row = t->text + t->row;
        const size_t len = end - (end > 0 && row[end - 1] == '\r');
        int64_t lines = 0;
        t->row_line = t->line;
        if (len) {
            st = memchr(row, '"', len) ? split_quoted(t, &end, &lines, err) : split_plain(t, 0, len, err);
            if (st)
                return st;
        }
        t->line += lines + 1;
        t->next = t->row + end + (t->row + end < t->filled);
        if (!len)
            continue;
        const int kept = t->columns && t->fields > t->columns ? t->columns : t->fields;
        for (int i = 0; i < kept; i++)
            if (t->cells[i].doubled)
                undouble(t->text + t->row, &t->cells[i]);
        return ECG_OK;
    }
}

/* ---- opening -------------------------------------------------------------------------------------------------------------- */

static ecg_status read_header(ecg_csv *t, ecg_err *err)
{
    ecg_status st;
    while (t->filled < 3 && !t->text_ended)
        if ((st = fill(t, err)))
            return st;
    if (t->filled >= 3 && !memcmp(t->text, "\xef\xbb\xbf", 3))
        t->next = 3;
    if ((st = scan_row(t, err)))
        return st;
    if (!t->fields)
        return ecg_fail_at(err, ECG_EDATA, t->path, 1, 0, "no header row");
    size_t bytes = 0;
    for (int i = 0; i < t->fields; i++)
        bytes += t->cells[i].len + 1;
    t->names = calloc((size_t)t->fields, sizeof *t->names);
    t->names_text = malloc(bytes);
    if (!t->names || !t->names_text)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for the header of a table");
    char *to = t->names_text;
    for (int i = 0; i < t->fields; i++) {
        const ecg_field f = {t->text + t->row + t->cells[i].at, t->cells[i].len};
        if (memchr(f.at, 0, f.len))
            return ecg_fail_at(err, ECG_EDATA, t->path, t->row_line, i + 1, "a zero byte in the header row");
        t->names[i] = to;
        memcpy(to, f.at, f.len);
        to[f.len] = 0;
        to += f.len + 1;
    }
    t->columns = t->fields;
    return ECG_OK;
}

/* Takes over fd. bytes, len: what is known of the beginning, or everything if fd < 0. */
static ecg_status open_table(ecg_csv **out, const char *path, int fd, const void *bytes, size_t len, ecg_err *err)
{
    *out = NULL;
    ecg_csv *t = calloc(1, sizeof *t);
    if (!t) {
        if (fd >= 0)
            close(fd);
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a table");
    }
    const size_t path_len = strnlen(path, sizeof t->path - 1);
    memcpy(t->path, path, path_len);
    t->fd = fd;
    t->line = 1;
    t->in = bytes;
    t->in_len = len;
    t->room = BLOCK;
    t->text = malloc(t->room);
    t->block = fd >= 0 ? malloc(BLOCK) : NULL;
    ecg_status st = ECG_OK;
    if (!t->text || (fd >= 0 && !t->block))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory for a table");
    else if (fd >= 0)
        st = read_block(t, err);
    if (!st && ecg_is_gzip(t->in, t->in_len) && !(t->gunzip = ecg_gunzip_new()))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory for a gzip stream");
    if (!st)
        st = read_header(t, err);
    if (st) {
        ecg_csv_close(t);
        return st;
    }
    *out = t;
    return ECG_OK;
}

ecg_status ecg_csv_open(ecg_csv **out, const char *path, ecg_err *err)
{
    *out = NULL;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* does not wait for the other end of a pipe */
    if (fd < 0)
        return ecg_fail_errno(err, path, "cannot open");
    struct stat s;
    if (fstat(fd, &s) || !S_ISREG(s.st_mode)) {
        close(fd);
        return ecg_fail_at(err, ECG_EIO, path, 0, 0, "not a regular file");
    }
    return open_table(out, path, fd, NULL, 0, err);
}

ecg_status ecg_csv_open_bytes(ecg_csv **out, const void *bytes, size_t len, const char *name, ecg_err *err)
{
    return open_table(out, name, -1, bytes, len, err);
}

void ecg_csv_close(ecg_csv *t)
{
    if (!t)
        return;
    if (t->fd >= 0)
        close(t->fd);
    ecg_gunzip_free(t->gunzip);
    free(t->block);
    free(t->text);
    free(t->cells);
    free(t->names);
    free(t->names_text);
    free(t);
}

/* ---- columns and rows ----------------------------------------------------------------------------------------------------- */

int ecg_csv_columns(const ecg_csv *t)
{
    return t->columns;
}

const char *ecg_csv_name(const ecg_csv *t, int column)
{
    return t->names[column];
}

int ecg_csv_find(const ecg_csv *t, const char *name)
{
    for (int i = 0; i < t->columns; i++)
        if (!strcmp(t->names[i], name))
            return i;
    return -1;
}

ecg_status ecg_csv_need(const ecg_csv *t, int *index, const char *const *names, int n, ecg_err *err)
{
    for (int i = 0; i < n; i++) {
        index[i] = ecg_csv_find(t, names[i]);
        if (index[i] >= 0)
            continue;
        const char *near = ecg_nearest(names[i], (const char *const *)t->names, t->columns);
        if (near)
            return ecg_fail_at(err, ECG_EDATA, t->path, 1, 0, "no column \"%s\", the nearest is \"%.60s\"", names[i], near);
        return ecg_fail_at(err, ECG_EDATA, t->path, 1, 0, "no column \"%s\"", names[i]);
    }
    return ECG_OK;
}

ecg_status ecg_csv_next(ecg_csv *t, bool *more, ecg_err *err)
{
    *more = false;
    const ecg_status st = scan_row(t, err);
    if (st || !t->fields)
        return st;
    if (t->fields != t->columns)
        return ecg_fail_at(err, ECG_EDATA, t->path, t->row_line, 0, "%d fields, the header has %d", t->fields, t->columns);
    *more = true;
    return ECG_OK;
}

ecg_field ecg_csv_field(const ecg_csv *t, int column)
{
    const cell *c = &t->cells[column];
    return (ecg_field){t->text + t->row + c->at, c->len};
}

int64_t ecg_csv_line(const ecg_csv *t)
{
    return t->row_line;
}

static ecg_status not_a(const ecg_csv *t, int column, const char *what, ecg_err *err)
{
    const ecg_field f = ecg_csv_field(t, column);
    char shown[41];
    size_t n = 0;
    for (; n < f.len && n < sizeof shown - 1; n++)
        shown[n] = f.at[n] >= 32 && f.at[n] < 127 ? f.at[n] : '?';
    shown[n] = 0;
    return ecg_fail_at(err, ECG_EDATA, t->path, t->row_line, column + 1, "%.60s: \"%s\" is not %s", t->names[column], shown, what);
}

ecg_status ecg_csv_double(const ecg_csv *t, int column, double *out, ecg_err *err)
{
    const ecg_field f = ecg_csv_field(t, column);
    *out = NAN;
    if (!f.len || ecg_parse_double(out, f.at, f.len))
        return ECG_OK;
    return not_a(t, column, "a number", err);
}

ecg_status ecg_csv_i64(const ecg_csv *t, int column, int64_t *out, ecg_err *err)
{
    const ecg_field f = ecg_csv_field(t, column);
    *out = -1;
    if (!f.len || ecg_parse_i64(out, f.at, f.len))
        return ECG_OK;
    return not_a(t, column, "a whole number", err);
}

ecg_status ecg_csv_time(const ecg_csv *t, int column, int64_t *out, ecg_err *err)
{
    const ecg_field f = ecg_csv_field(t, column);
    *out = INT64_MIN;
    if (!f.len || ecg_parse_time(out, f.at, f.len))
        return ECG_OK;
    return not_a(t, column, "a moment", err);
}
