/* SPDX-License-Identifier: MIT
 * csvw.c: writing tables, plain or gzip. The first error is kept, what follows it is dropped, and commit reports it. */
#include "base/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/gzip.h"

enum { BUFFER = 64 << 10 };

struct ecg_csvw {
    ecg_file *file;
    ecg_gzip *gzip; /* NULL: plain */
    ecg_status status;
    ecg_err err;    /* of the first failure */
    bool in_row;    /* a field was written: the next one needs a comma */
    bool lone;      /* so far the row is one empty field: alone it would read as an empty line */
    size_t filled;
    char text[BUFFER];
    uint8_t packed[BUFFER];
};

static void flush(ecg_csvw *w, bool last)
{
    if (!w->gzip) {
        if (!w->status && w->filled)
            w->status = ecg_file_write(w->file, w->text, w->filled, &w->err);
        w->filled = 0;
        return;
    }
    const uint8_t *in = (const uint8_t *)w->text;
    size_t left = w->filled, made;
    do {
        made = ecg_gzip_step(w->gzip, &in, &left, last, w->packed, sizeof w->packed);
        if (!w->status && made)
            w->status = ecg_file_write(w->file, w->packed, made, &w->err);
    } while (made);
    w->filled = 0;
}

void ecg_csvw_raw(ecg_csvw *w, const char *bytes, size_t len)
{
    while (len) {
        const size_t fits = sizeof w->text - w->filled, now = len < fits ? len : fits;
        memcpy(w->text + w->filled, bytes, now);
        w->filled += now;
        bytes += now;
        len -= now;
        if (w->filled == sizeof w->text)
            flush(w, false);
    }
}

ecg_status ecg_csvw_create(ecg_csvw **out, const char *path, ecg_err *err)
{
    *out = NULL;
    ecg_csvw *w = malloc(sizeof *w);
    if (!w)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a table");
    memset(w, 0, offsetof(ecg_csvw, text));
    const size_t len = strlen(path);
    const bool packed = len > 3 && !strcmp(path + len - 3, ".gz");
    ecg_status st = ECG_OK;
    if (packed && !(w->gzip = ecg_gzip_new()))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory for a gzip stream");
    if (!st)
        st = ecg_file_create(&w->file, path, err);
    if (st) {
        ecg_csvw_abort(w);
        return st;
    }
    *out = w;
    return ECG_OK;
}

static void field(ecg_csvw *w, const char *s, size_t len)
{
    if (w->in_row)
        ecg_csvw_raw(w, ",", 1);
    w->lone = !w->in_row && !len;
    w->in_row = true;
    if (!memchr(s, '"', len) && !memchr(s, ',', len) && !memchr(s, '\n', len) && !memchr(s, '\r', len)) {
        ecg_csvw_raw(w, s, len);
        return;
    }
    ecg_csvw_raw(w, "\"", 1);
    for (size_t at = 0; at < len;) {
        const char *quote = memchr(s + at, '"', len - at);
        const size_t upto = quote ? (size_t)(quote - s) + 1 : len;
        ecg_csvw_raw(w, s + at, upto - at);
        if (quote)
            ecg_csvw_raw(w, "\"", 1);
        at = upto;
    }
    ecg_csvw_raw(w, "\"", 1);
}

void ecg_csvw_text(ecg_csvw *w, const char *s)
{
    field(w, s ? s : "", s ? strlen(s) : 0);
}

void ecg_csvw_int(ecg_csvw *w, int64_t x)
{
    char s[24];
    field(w, s, (size_t)snprintf(s, sizeof s, "%" PRId64, x));
}

void ecg_csvw_double(ecg_csvw *w, double x, const char *fmt)
{
    char s[400] = ""; /* the longest double in %f */
    if (!isnan(x)) {
        snprintf(s, sizeof s, fmt ? fmt : "%.9g", x);
        char *comma = strchr(s, ',');
        if (comma)
            *comma = '.'; /* an embedder's locale */
    }
    field(w, s, strlen(s));
}

void ecg_csvw_end(ecg_csvw *w)
{
    ecg_csvw_raw(w, w->lone ? "\"\"\n" : "\n", w->lone ? 3 : 1);
    w->in_row = w->lone = false;
}

ecg_status ecg_csvw_commit(ecg_csvw *w, ecg_err *err)
{
    flush(w, true);
    ecg_status st = w->status;
    if (st) {
        if (err)
            *err = w->err;
    } else {
        st = ecg_file_commit(w->file, err);
        w->file = NULL;
    }
    ecg_csvw_abort(w);
    return st;
}

void ecg_csvw_abort(ecg_csvw *w)
{
    if (!w)
        return;
    ecg_file_abort(w->file);
    ecg_gzip_free(w->gzip);
    free(w);
}
