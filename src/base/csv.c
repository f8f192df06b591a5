/* SPDX-License-Identifier: MIT
 * csv.c: reading tables. The text passes through one window that always holds the whole current row. Its bits (csv_mask.h) say where rows
 * end and how many fields they have; where the fields lie is only looked up for rows of which one is wanted. */
#include "base/csv_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { WINDOW = 256 << 10, MOST_COLUMNS = 100000 };

/* ---- bytes -> window ------------------------------------------------------------------------------------------------------ */

void ecg_csv_classify(ecg_csv_mask *mask, const ecg_csv_path *path, char *text, size_t from, size_t len, ecg_csv_state *s)
{
    enum { AT_ONCE = 64 }; /* words: the bits are still near when the quotes are looked at */
    const size_t words = (len + 63) / 64;
    memset(text + len, 0, words * 64 - len);
    for (size_t w = from / 64; w < words; w += AT_ONCE) {
        const size_t n = words - w < AT_ONCE ? words - w : AT_ONCE;
        path->classify(mask + w, text + w * 64, n);
        ecg_csv_quotes(mask + w, text + w * 64, n, s);
    }
}

/* At least one more byte into the window, or text_ended. */
static ecg_status fill(ecg_csv *t, ecg_err *err)
{
    size_t got;
    const ecg_status st = ecg_unpack_read(&t->from, t->text + t->filled, t->room - t->filled, &got, t->line, err);
    t->filled += got;
    t->text_ended = t->from.ended;
    return st;
}

static void classify(ecg_csv *t)
{
    const size_t upto = t->text_ended || t->from.why ? t->filled : t->filled / 64 * 64; /* the last word only when nothing will follow */
    if (upto > t->classified)
        ecg_csv_classify(t->mask, t->path, t->text, t->classified, upto, &t->state);
    t->classified = upto;
}

static int64_t count_lines(const char *from, const char *to)
{
    int64_t n = 0;
    while (from < to && (from = memchr(from, '\n', (size_t)(to - from))))
        from++, n++;
    return n;
}

/* The first comma of the row at or behind at, its end if there is none. */
static inline size_t find_comma(const ecg_csv *t, size_t at)
{
    if (at >= t->end)
        return t->end;
    size_t w = at / 64;
    uint64_t comma = t->mask[w].comma & ~(uint64_t)0 << (at & 63);
    while (!comma && (w + 1) * 64 < t->end)
        comma = t->mask[++w].comma;
    const size_t found = comma ? w * 64 + (size_t)__builtin_ctzll(comma) : t->end;
    return found < t->end ? found : t->end;
}

/* Behind the quote that closes the field of text[at .. stop), which begins with one; 0: none does. */
static size_t behind_quote(const char *text, size_t at, size_t stop)
{
    for (at++; at < stop;) {
        const char *quote = memchr(text + at, '"', stop - at);
        if (!quote)
            return 0;
        at = (size_t)(quote - text) + 1;
        if (at == stop || text[at] != '"')
            return at;
        at++;
    }
    return 0;
}

/* A row longer than any: text[row .. end) holds no end of it. */
static ecg_status too_long(ecg_csv *t, size_t end, ecg_err *err)
{
    t->end = end;
    for (size_t at = t->row, stop;; at = stop + 1) {
        stop = find_comma(t, at);
        if (stop > at && t->text[at] == '"' && !behind_quote(t->text, at, stop))
            return ecg_fail_at(err, ECG_EDATA, t->from.path, t->line + count_lines(t->text + t->row, t->text + at), 0,
                               "a quote begins here and is not closed within %d bytes", ECG_CSV_LONGEST_ROW);
        if (stop == t->end)
            return ecg_fail_at(err, ECG_EDATA, t->from.path, t->line, 0, "a row of more than %d bytes", ECG_CSV_LONGEST_ROW);
    }
}

/* More text behind a row that is not yet complete: slides it to the front, and doubles the window if the row fills half of it. */
static ecg_status widen(ecg_csv *t, ecg_err *err)
{
    const size_t gone = t->row / 64 * 64;
    if (gone) {
        memmove(t->text, t->text + gone, t->filled - gone);
        memmove(t->mask, t->mask + gone / 64, (t->classified - gone) / 64 * sizeof *t->mask);
        t->row -= gone;
        t->filled -= gone;
        t->classified -= gone;
    }
    if (t->filled - t->row > ECG_CSV_LONGEST_ROW)
        return too_long(t, t->classified, err);
    if (t->filled > t->room / 2) {
        char *text = realloc(t->text, t->room * 2);
        if (text)
            t->text = text;
        ecg_csv_mask *mask = realloc(t->mask, t->room / 64 * 2 * sizeof *mask);
        if (mask)
            t->mask = mask;
        if (!text || !mask)
            return ecg_fail(err, ECG_ENOMEM, "out of memory for a row of a table");
        t->room *= 2;
    }
    const ecg_status st = fill(t, err);
    if (!st)
        classify(t);
    return st;
}

/* ---- window -> row -------------------------------------------------------------------------------------------------------- */

/* The quotes of a row: each that opens a field must close at its end. */
static ecg_status check_quotes(ecg_csv *t, ecg_err *err)
{
    int field = 1;
    for (size_t at = t->row, stop;; at = stop + 1, field++) {
        stop = find_comma(t, at);
        if (stop > at && t->text[at] == '"') {
            const size_t behind = behind_quote(t->text, at, stop), last = stop - (stop == t->end && t->text[stop - 1] == '\r');
            const size_t place = behind ? behind : at;
            if (behind != last)
                return ecg_fail_at(err, ECG_EDATA, t->from.path, t->line + count_lines(t->text + t->row, t->text + place), 0,
                                   behind ? "text follows the closing quote of field %d" : "a quote begins here and is never closed", field);
        }
        if (stop == t->end)
            return ECG_OK;
    }
}

/* text[row .. end) is the next row that is not an empty line; fields = 0: there is none. */
static ecg_status scan_row(ecg_csv *t, ecg_err *err)
{
    for (;;) {
        int commas = 0;
        bool quotes = false;
        ecg_status st;
        size_t end = t->row = t->next;
        for (;;) {
            const size_t words = (t->classified + 63) / 64;
            if (end < t->classified && (end = t->path->row_end(t->mask, words, end, &commas, &quotes)) < words * 64)
                break;
            const size_t behind = t->classified - t->row;
            if (t->text_ended) {
                end = t->filled;
                break;
            }
            if ((st = widen(t, err)))
                return st;
            end = t->row + behind;
        }
        t->fields = 0;
        t->cells->n = 0;
        t->cells->next = t->row;
        t->end = end;
        t->row_line = t->line;
        if (t->row == t->filled)
            return ECG_OK;
        if (end - t->row > ECG_CSV_LONGEST_ROW)
            return too_long(t, end, err);
        t->next = end + (end < t->filled);
        if (quotes) {
            if ((st = check_quotes(t, err)))
                return st;
            t->line += count_lines(t->text + t->row, t->text + end);
        }
        t->line++;
        if (end == t->row || (end == t->row + 1 && t->text[t->row] == '\r'))
            continue;
        t->fields = commas + 1;
        t->rows++;
        return ECG_OK;
    }
}

/* "" -> ", within the text; how many bytes are left. */
static size_t undouble(char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        text[n++] = text[i];
        if (text[i] == '"')
            i++;
    }
    return n;
}

/* The fields up to this one, found and remembered; all of them when a row is asked for the second time. */
static void locate(const ecg_csv *t, int column)
{
    ecg_csv_cells *c = t->cells;
    const int last = c->n ? t->fields - 1 : column;
    size_t at = c->next, w = at / 64;
    uint64_t comma = at < t->end ? t->mask[w].comma & ~(uint64_t)0 << (at & 63) : 0;
    for (; c->n <= last; c->n++) {
        while (!comma && (w + 1) * 64 < t->end)
            comma = t->mask[++w].comma;
        size_t stop = comma ? w * 64 + (size_t)__builtin_ctzll(comma) : t->end;
        comma &= comma - 1;
        if (stop >= t->end)
            stop = t->end;
        ecg_csv_cell *x = &c->cell[c->n];
        *x = (ecg_csv_cell){at - t->row, stop - at};
        if (stop == t->end && stop > at && t->text[stop - 1] == '\r')
            x->len--;
        if (x->len && t->text[at] == '"') {
            x->at++;
            x->len -= 2;
            if (memchr(t->text + at + 1, '"', x->len))
                x->len = undouble(t->text + at + 1, x->len);
        }
        at = stop + 1;
    }
    c->next = at;
}

/* ---- opening -------------------------------------------------------------------------------------------------------------- */

static ecg_status read_header(ecg_csv *t, ecg_err *err)
{
    ecg_status st;
    while (t->filled < 3 && !t->text_ended)
        if ((st = fill(t, err)))
            return st;
    if (t->filled >= 3 && !memcmp(t->text, "\xef\xbb\xbf", 3))
        memmove(t->text, t->text + 3, t->filled -= 3);
    classify(t);
    if ((st = scan_row(t, err)))
        return st;
    if (!t->fields)
        return ecg_fail_at(err, ECG_EDATA, t->from.path, 1, 0, "no header row");
    if (t->fields > MOST_COLUMNS)
        return ecg_fail_at(err, ECG_EDATA, t->from.path, t->row_line, 0, "more than %d columns", MOST_COLUMNS);
    t->cells->cell = calloc((size_t)t->fields, sizeof *t->cells->cell);
    t->names = calloc((size_t)t->fields, sizeof *t->names);
    char *to = t->names_text = malloc(t->end - t->row + (size_t)t->fields);
    if (!t->cells->cell || !t->names || !to)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for the header of a table");
    for (int i = 0; i < t->fields; i++) {
        const ecg_field f = ecg_csv_field(t, i);
        if (memchr(f.at, 0, f.len))
            return ecg_fail_at(err, ECG_EDATA, t->from.path, t->row_line, i + 1, "a zero byte in the header row");
        t->names[i] = to;
        memcpy(to, f.at, f.len);
        to[f.len] = 0;
        to += f.len + 1;
    }
    t->columns = t->fields;
    t->rows = 0;
    return ECG_OK;
}

/* A file, or bytes. */
static ecg_status open_table(ecg_csv **out, const char *path, const void *bytes, size_t len, const ecg_csv_path *with, size_t window, ecg_err *err)
{
    *out = NULL;
    ecg_csv *t = calloc(1, sizeof *t);
    if (!t)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a table");
    t->from.fd = -1;
    t->path = with;
    t->line = 1;
    t->state.before = '\n';
    t->room = t->window = window;
    t->text = malloc(window);
    t->mask = malloc(window / 64 * sizeof *t->mask);
    t->cells = calloc(1, sizeof *t->cells);
    ecg_status st = ECG_OK;
    if (!t->text || !t->mask || !t->cells)
        st = ecg_fail(err, ECG_ENOMEM, "out of memory for a table");
    if (!st)
        st = bytes ? ecg_unpack_bytes(&t->from, bytes, len, path, err) : ecg_unpack_open(&t->from, path, err);
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
    return open_table(out, path, NULL, 0, ecg_csv_best_path(), WINDOW, err);
}

ecg_status ecg_csv_open_bytes(ecg_csv **out, const void *bytes, size_t len, const char *name, ecg_err *err)
{
    return open_table(out, name, bytes ? bytes : "", len, ecg_csv_best_path(), WINDOW, err);
}

ecg_status ecg_csv_open_tuned(ecg_csv **out, const void *bytes, size_t len, const char *name, const ecg_csv_path *path, size_t window, ecg_err *err)
{
    return open_table(out, name, bytes ? bytes : "", len, path, window, err);
}

void ecg_csv_close(ecg_csv *t)
{
    if (!t)
        return;
    ecg_unpack_close(&t->from);
    free(t->text);
    free(t->mask);
    if (t->cells)
        free(t->cells->cell);
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
            return ecg_fail_at(err, ECG_EDATA, t->from.path, 1, 0, "no column \"%s\", the nearest is \"%.60s\"", names[i], near);
        return ecg_fail_at(err, ECG_EDATA, t->from.path, 1, 0, "no column \"%s\"", names[i]);
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
        return ecg_fail_at(err, ECG_EDATA, t->from.path, t->row_line, 0, "%d fields, the header has %d", t->fields, t->columns);
    *more = true;
    return ECG_OK;
}

ecg_field ecg_csv_field(const ecg_csv *t, int column)
{
    if (column >= t->cells->n)
        locate(t, column);
    const ecg_csv_cell *c = &t->cells->cell[column];
    return (ecg_field){t->text + t->row + c->at, c->len};
}

int64_t ecg_csv_line(const ecg_csv *t)
{
    return t->row_line;
}

int64_t ecg_csv_row(const ecg_csv *t)
{
    return t->rows;
}

static ecg_status not_a(const ecg_csv *t, int column, const char *what, ecg_err *err)
{
    const ecg_field f = ecg_csv_field(t, column);
    char shown[41];
    size_t n = 0;
    for (; n < f.len && n < sizeof shown - 1; n++)
        shown[n] = f.at[n] >= 32 && f.at[n] < 127 ? f.at[n] : '?';
    shown[n] = 0;
    return ecg_fail_at(err, ECG_EDATA, t->from.path, t->row_line, column + 1, "%.60s: \"%s\" is not %s", t->names[column], shown, what);
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
