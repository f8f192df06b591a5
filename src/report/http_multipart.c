/* SPDX-License-Identifier: MIT
 * http_multipart.c: a body of files, RFC 7578 and the parts of RFC 2046 that it needs:
 *
 *   --BOUNDARY CRLF  headers CRLF  CRLF  bytes CRLF  ... --BOUNDARY-- [CRLF anything] */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "report/http_text.h"

enum { BOUNDARY_MAX = 70, HEAD_MAX = 4096 };

typedef struct {
    const char *at;
    size_t len;
} slice;

static bool starts(slice s, const char *word)
{
    const size_t n = strlen(word);
    return s.len >= n && strncasecmp(s.at, word, n) == 0;
}

static slice trim(slice s)
{
    while (s.len && (*s.at == ' ' || *s.at == '\t'))
        s.at++, s.len--;
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* The value of a parameter in `form-data; name="file"; filename="1.hea"`. 0: not there, -1: broken or longer than out. */
static int parameter(char *out, size_t size, slice s, const char *name)
{
    const size_t len = strlen(name);
    size_t i = 0;
    while (i < s.len && s.at[i] != ';')
        i++;
    while (i < s.len) {
        i++; /* ';' */
        while (i < s.len && (s.at[i] == ' ' || s.at[i] == '\t'))
            i++;
        const size_t key = i;
        while (i < s.len && s.at[i] != '=' && s.at[i] != ';')
            i++;
        const bool mine = i - key == len && strncasecmp(s.at + key, name, len) == 0;
        if (i >= s.len || s.at[i] == ';')
            continue;
        i++; /* '=' */
        const bool quoted = i < s.len && s.at[i] == '"';
        const size_t from = i += quoted;
        while (i < s.len && s.at[i] != (quoted ? '"' : ';'))
            i++;
        if (quoted && i == s.len)
            return -1;
        if (mine) {
            slice value = quoted ? (slice){s.at + from, i - from} : trim((slice){s.at + from, i - from});
            if (value.len >= size || memchr(value.at, 0, value.len))
                return -1;
            memcpy(out, value.at, value.len);
            out[value.len] = 0;
            return 1;
        }
        while (i < s.len && s.at[i] != ';')
            i++;
    }
    return 0;
}

/* "\r\n--BOUNDARY" into out. */
static ecg_status read_type(char out[BOUNDARY_MAX + 5], const char *type, ecg_err *err)
{
    const slice s = trim((slice){type ? type : "", type ? strlen(type) : 0});
    memcpy(out, "\r\n--", 4);
    if (!starts(s, "multipart/form-data") || (s.len > 19 && s.at[19] != ';' && s.at[19] != ' '))
        return ecg_fail(err, ECG_EUNSUPPORTED, "files come as multipart/form-data");
    if (parameter(out + 4, BOUNDARY_MAX + 1, s, "boundary") != 1 || !out[4])
        return ecg_fail(err, ECG_EFORMAT, "multipart/form-data without a boundary of 1 to %d bytes", BOUNDARY_MAX);
    return ECG_OK;
}

/* The headers of a part, without the empty line behind them. */
static ecg_status read_head(ecg_part *p, slice head, int number, ecg_err *err)
{
    bool told = false;
    while (head.len) {
        const char *end = memmem(head.at, head.len, "\r\n", 2);
        const slice line = {head.at, end ? (size_t)(end - head.at) : head.len};
        if (starts(line, "content-disposition:")) {
            const slice value = trim((slice){line.at + 20, line.len - 20});
            if (told || !starts(value, "form-data") || parameter(p->name, sizeof p->name, value, "name") != 1)
                return ecg_fail(err, ECG_EFORMAT, "part %d does not say the name of its field", number);
            if (parameter(p->file, sizeof p->file, value, "filename") != 1)
                return ecg_fail(err, ECG_EFORMAT, "part %d is no file with a name of up to %zu bytes", number, sizeof p->file - 1);
            told = true;
        }
        const size_t used = line.len + (end ? 2 : 0);
        head.at += used;
        head.len -= used;
    }
    return told ? ECG_OK : ecg_fail(err, ECG_EFORMAT, "part %d does not say what it is", number);
}

/* One part from behind its delimiter line's boundary; *at moves behind the next boundary. */
static ecg_status read_part(ecg_part *p, const uint8_t **at, const uint8_t *end, const char *delimiter, int number, ecg_err *err)
{
    const size_t mark = strlen(delimiter);
    const uint8_t *from = *at;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    if (end - from < 2 || from[0] != '\r' || from[1] != '\n')
        return ecg_fail(err, ECG_EFORMAT, "the boundary before part %d does not end its line", number);
    from += 2;
    const size_t left = (size_t)(end - from);
    const uint8_t *blank = memmem(from, left < HEAD_MAX ? left : HEAD_MAX, "\r\n\r\n", 4);
    if (!blank)
        return ecg_fail(err, ECG_EFORMAT, "the headers of part %d do not end within %d bytes", number, HEAD_MAX);
    const ecg_status st = read_head(p, (slice){(const char *)from, (size_t)(blank - from)}, number, err);
    if (st)
        return st;
    const uint8_t *data = blank + 4, *search = blank + 2; /* the CRLF of an empty file's boundary is the end of the blank line */
    const uint8_t *next = memmem(search, (size_t)(end - search), delimiter, mark);
    if (!next)
        return ecg_fail(err, ECG_EFORMAT, "part %d has no boundary at its end", number);
    p->at = data;
    p->len = next > data ? (size_t)(next - data) : 0;
    *at = next + mark;
    return ECG_OK;
}

ecg_status ecg_multipart_parse(ecg_multipart *out, const char *type, const uint8_t *body, size_t len, ecg_err *err)
{
    char delimiter[BOUNDARY_MAX + 5];
    *out = (ecg_multipart){0};
    ecg_status st = read_type(delimiter, type, err);
    if (st)
        return st;
    const size_t mark = strlen(delimiter) - 2; /* the first boundary stands at the beginning of the body, without its CRLF */
    if (len < mark + 2 || memcmp(body, delimiter + 2, mark) != 0)
        return ecg_fail(err, ECG_EFORMAT, "the body does not begin with its boundary");
    out->part = calloc(ECG_PARTS_MAX, sizeof *out->part);
    if (!out->part)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d parts", ECG_PARTS_MAX);
    const uint8_t *at = body + mark, *end = body + len;
    while (!st && !(end - at >= 2 && at[0] == '-' && at[1] == '-')) {
        if (out->n == ECG_PARTS_MAX)
            st = ecg_fail(err, ECG_EFORMAT, "over %d parts", ECG_PARTS_MAX);
        else if (!(st = read_part(&out->part[out->n], &at, end, delimiter, out->n + 1, err)))
            out->n++;
    }
    if (!st && !out->n)
        st = ecg_fail(err, ECG_EFORMAT, "no file");
    if (st)
        ecg_multipart_clear(out);
    return st;
}

void ecg_multipart_clear(ecg_multipart *m)
{
    free(m->part);
    *m = (ecg_multipart){0};
}
