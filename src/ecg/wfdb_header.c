/* SPDX-License-Identifier: MIT */
#include "ecg/wfdb_header.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- lines and words ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *at, *end;   /* rest of the bytes */
    int64_t line;           /* number of the line last taken */
    unsigned warnings;
} cursor;

typedef struct {
    const char *begin, *at, *end;
    int64_t line;
    ecg_err *err;
} words;

typedef struct {
    const char *at;
    size_t len;
} word;

static ecg_status bad(const words *w, const char *place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static ecg_status bad(const words *w, const char *place, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return ecg_fail_at(w->err, ECG_EDATA, NULL, w->line, place ? place - w->begin + 1 : 0, "%s", text);
}

/* The next line that is neither empty nor a comment. Odd bytes in comments are noted; control bytes elsewhere are an error. */
static ecg_status next_line(words *w, bool *more, cursor *c, ecg_err *err)
{
    *more = false;
    while (c->at < c->end) {
        const char *begin = c->at, *stop = memchr(c->at, '\n', (size_t)(c->end - c->at));
        const char *end = stop ? stop : c->end;
        c->at = stop ? stop + 1 : c->end;
        c->line++;
        if (end > begin && end[-1] == '\r') {
            c->warnings |= ECG_WARN_TEXT;
            end--;
        }
        *w = (words){.begin = begin, .at = begin, .end = end, .line = c->line, .err = err};
        while (begin < end && (*begin == ' ' || *begin == '\t'))
            begin++;
        const bool comment = begin < end && *begin == '#';
        for (const char *p = begin; p < end; p++) {
            const unsigned char b = (unsigned char)*p;
            if (b >= 32 && b < 127)
                continue;
            if (b != '\t')
                c->warnings |= ECG_WARN_TEXT;
            if (!comment && (b == 127 || (b < 32 && b != '\t')))
                return bad(w, p, "byte 0x%02x: this is not a text header", b);
        }
        if (begin == end || comment)
            continue;
        w->at = begin;
        *more = true;
        return ECG_OK;
    }
    return ECG_OK;
}

static bool next_word(word *out, words *w)
{
    while (w->at < w->end && (*w->at == ' ' || *w->at == '\t'))
        w->at++;
    out->at = w->at;
    while (w->at < w->end && *w->at != ' ' && *w->at != '\t')
        w->at++;
    out->len = (size_t)(w->at - out->at);
    return out->len > 0;
}

/* Where one of the bytes of set first stands in the word, its length if nowhere. */
static size_t until(word x, const char *set)
{
    size_t n = 0;
    while (n < x.len && !strchr(set, x.at[n]))
        n++;
    return n;
}

static int show(word x)
{
    return x.len > 40 ? 40 : (int)x.len;
}

static void copy(char *to, size_t size, const char *from, size_t len)
{
    if (len >= size)
        len = size - 1;
    memcpy(to, from, len);
    to[len] = 0;
}

static ecg_status whole(int64_t *out, const words *w, word x, int64_t low, int64_t high, const char *what)
{
    int64_t n;
    if (!ecg_parse_i64(&n, x.at, x.len))
        return bad(w, x.at, "%s \"%.*s\" is not a whole number", what, show(x), x.at);
    if (n < low || n > high)
        return bad(w, x.at, "%s %" PRId64 ", %" PRId64 " to %" PRId64 " allowed", what, n, low, high);
    *out = n;
    return ECG_OK;
}

/* ---- record line ---------------------------------------------------------------------------------------------------------------- */

/* "8:26:04" or "19:46:25.757" and "26/10/1994"; anything else is no moment, which is no error. */
static void set_when(char when[32], word time, word date)
{
    char text[96];
    int hour, minute, second, day, month, year, used = 0;
    copy(text, sizeof text, time.at, time.len);
    if (sscanf(text, "%2d:%2d:%2d%n", &hour, &minute, &second, &used) != 3 || (text[used] && text[used] != '.'))
        return;
    copy(text, sizeof text, date.at, date.len);
    if (sscanf(text, "%2d/%2d/%4d%n", &day, &month, &year, &used) != 3 || text[used] || hour < 0 || minute < 0 || second < 0 || day < 0 || month < 0 ||
        year < 0)
        return;
    int64_t seconds;
    snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d", year, month, day, hour, minute, second);
    if (ecg_parse_time(&seconds, text, strlen(text)))
        snprintf(when, 32, "%.31s", text);
}

static ecg_status record_line(ecg_wfdb_header *h, words *w)
{
    word x, date;
    int64_t n;
    ecg_status st;
    next_word(&x, w);
    const size_t name = until(x, "/");
    if (name == 0)
        return bad(w, x.at, "no record name");
    copy(h->name, sizeof h->name, x.at, name);
    if (name < x.len) {
        const word count = {x.at + name + 1, x.len - name - 1};
        if ((st = whole(&h->segments, w, count, 1, INT32_MAX, "number of segments")))
            return st;
    }
    if (!next_word(&x, w))
        return bad(w, NULL, "no number of signals");
    if ((st = whole(&n, w, x, 1, ECG_WFDB_SIGNALS_MAX, "number of signals")))
        return st;
    h->signals = (int)n;
    h->rate_hz = 250;
    if (next_word(&x, w)) {
        x.len = until(x, "/(");
        if (!ecg_parse_double(&h->rate_hz, x.at, x.len))
            return bad(w, x.at, "rate \"%.*s\" is not a number", show(x), x.at);
        if (!(h->rate_hz >= 1e-6 && h->rate_hz <= 1e7))
            return bad(w, x.at, "rate %g Hz", h->rate_hz);
    }
    if (next_word(&x, w) && (st = whole(&h->frames, w, x, 0, INT64_C(1) << 46, "number of samples")))
        return st;
    if (next_word(&x, w) && next_word(&date, w))
        set_when(h->when, x, date);
    return ECG_OK;
}

/* ---- signal line ---------------------------------------------------------------------------------------------------------------- */

/* "16x1:3+24" */
static ecg_status format_field(ecg_wfdb_signal *s, const words *w, word x)
{
    int64_t n;
    size_t used = until(x, "x:+");
    ecg_status st = whole(&n, w, (word){x.at, used}, 0, 99999, "format");
    if (st)
        return st;
    s->format = (int)n;
    s->per_frame = 1;
    while (used < x.len) {
        const char mark = x.at[used++];
        const word rest = {x.at + used, x.len - used}, digits = {rest.at, until(rest, "x:+")};
        if (mark == 'x' && !(st = whole(&n, w, digits, 1, 1 << 16, "samples per frame")))
            s->per_frame = (int)n;
        else if (mark == ':')
            st = whole(&s->skew, w, digits, 0, 1 << 24, "skew");
        else if (mark == '+')
            st = whole(&s->offset, w, digits, 0, INT64_C(1) << 46, "byte offset");
        if (st)
            return st;
        used += digits.len;
    }
    return ECG_OK;
}

/* "200.0(0)/mV", "200", "200/mV"; has_baseline tells whether there was one. */
static ecg_status gain_field(ecg_wfdb_signal *s, bool *has_baseline, const words *w, word x)
{
    size_t used = until(x, "(/");
    double gain = 0;
    if (used && !ecg_parse_double(&gain, x.at, used))
        return bad(w, x.at, "gain \"%.*s\" is not a number", show(x), x.at);
    s->gain_assumed = gain == 0;
    s->gain = gain == 0 ? 200 : gain;
    if (used < x.len && x.at[used] == '(') {
        const word rest = {x.at + used + 1, x.len - used - 1}, digits = {rest.at, until(rest, ")")};
        if (digits.len == rest.len)
            return bad(w, x.at, "gain \"%.*s\": a bracket is not closed", show(x), x.at);
        const ecg_status st = whole(&s->baseline, w, digits, INT32_MIN, INT32_MAX, "baseline");
        if (st)
            return st;
        *has_baseline = true;
        used += digits.len + 2;
    }
    if (used < x.len && x.at[used] != '/')
        return bad(w, x.at, "gain \"%.*s\": unit expected after \"/\"", show(x), x.at);
    if (used + 1 < x.len)
        copy(s->unit, sizeof s->unit, x.at + used + 1, x.len - used - 1);
    return ECG_OK;
}

static ecg_status signal_line(ecg_wfdb_signal *s, words *w)
{
    word x;
    int64_t n, zero = 0;
    bool has_baseline = false;
    ecg_status st;
    *s = (ecg_wfdb_signal){.line = w->line, .gain = 200, .gain_assumed = true, .unit = "mV"};
    next_word(&x, w);
    if (x.len >= sizeof s->file)
        return bad(w, x.at, "a file name of %zu bytes", x.len);
    copy(s->file, sizeof s->file, x.at, x.len);
    if (!next_word(&x, w))
        return bad(w, NULL, "no format after the file name");
    if ((st = format_field(s, w, x)))
        return st;
    if (next_word(&x, w) && (st = gain_field(s, &has_baseline, w, x)))
        return st;
    if (next_word(&x, w) && (st = whole(&n, w, x, 0, 64, "ADC resolution")))
        return st;
    if (next_word(&x, w) && (st = whole(&zero, w, x, INT32_MIN, INT32_MAX, "ADC zero")))
        return st;
    if (!has_baseline)
        s->baseline = zero;
    s->initial = zero;
    if (next_word(&x, w)) {
        if ((st = whole(&s->initial, w, x, INT32_MIN, INT32_MAX, "initial value")))
            return st;
        s->has_initial = true;
    }
    if (next_word(&x, w)) {
        if ((st = whole(&n, w, x, INT32_MIN, INT32_MAX, "checksum")))
            return st;
        s->checksum = (uint16_t)((uint64_t)n & 0xffff);
        s->has_checksum = true;
    }
    if (next_word(&x, w) && (st = whole(&n, w, x, INT32_MIN, INT32_MAX, "block size")))
        return st;
    if (next_word(&x, w)) { /* the name is the rest of the line */
        const char *end = w->end;
        while (end > x.at && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        copy(s->name, sizeof s->name, x.at, (size_t)(end - x.at));
    }
    return ECG_OK;
}

static ecg_status segment_line(ecg_wfdb_segment *s, words *w)
{
    word x;
    *s = (ecg_wfdb_segment){.line = w->line};
    next_word(&x, w);
    if (x.len >= sizeof s->name)
        return bad(w, x.at, "a segment name of %zu bytes", x.len);
    copy(s->name, sizeof s->name, x.at, x.len);
    if (!next_word(&x, w))
        return bad(w, NULL, "no length after the segment name");
    return whole(&s->frames, w, x, 0, INT64_C(1) << 46, "segment length");
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

ecg_status ecg_wfdb_header_parse(ecg_wfdb_header *out, const void *bytes, size_t len, ecg_err *err)
{
    cursor c = {.at = bytes, .end = (const char *)bytes + len};
    words w = {0};
    bool more;
    int64_t described = 0;
    *out = (ecg_wfdb_header){0};
    if (len == 0)
        return ecg_fail(err, ECG_EDATA, "the header is empty");
    if (len >= 3 && memcmp(c.at, "\xef\xbb\xbf", 3) == 0) {
        c.at += 3;
        c.warnings |= ECG_WARN_TEXT;
    }
    ecg_status st = next_line(&w, &more, &c, err);
    if (!st && !more)
        st = ecg_fail(err, ECG_EDATA, "no record line");
    if (!st)
        st = record_line(out, &w);
    if (st)
        goto fail;

    const int64_t announced = out->segments ? out->segments : out->signals;
    const char *what = out->segments ? "segment" : "signal";
    const int64_t record = w.line;
    if (announced > (c.end - c.at) / 3) { /* "~ 0" is the shortest line there is */
        st = ecg_fail_at(err, ECG_EDATA, NULL, record, 0, "%" PRId64 " %ss announced, the header has %zu bytes", announced, what, len);
        goto fail;
    }
    if (out->segments)
        out->segment = calloc((size_t)announced, sizeof *out->segment);
    else
        out->signal = calloc((size_t)announced, sizeof *out->signal);
    if (!out->segment && !out->signal) {
        st = ecg_fail(err, ECG_ENOMEM, "no room for %" PRId64 " %ss", announced, what);
        goto fail;
    }
    for (;;) {
        if ((st = next_line(&w, &more, &c, err)))
            goto fail;
        if (!more)
            break;
        if (described < announced)
            st = out->segments ? segment_line(&out->segment[described], &w) : signal_line(&out->signal[described], &w);
        if (st)
            goto fail;
        described++;
    }
    if (described != announced) {
        st = ecg_fail_at(err, ECG_EDATA, NULL, record, 0, "%" PRId64 " %s%s announced, %" PRId64 " described", announced, what,
                         announced == 1 ? "" : "s", described);
        goto fail;
    }
    out->warnings = c.warnings;
    return ECG_OK;
fail:
    ecg_wfdb_header_clear(out);
    return st;
}

void ecg_wfdb_header_clear(ecg_wfdb_header *h)
{
    free(h->signal);
    free(h->segment);
    *h = (ecg_wfdb_header){0};
}
