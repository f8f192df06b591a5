/* SPDX-License-Identifier: MIT
 * http_text.c: the target and the headers of a request. The body of files is in http_multipart.c. */
#include "report/http_text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

/* ---- the target ----------------------------------------------------------------------------------------------------------------- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes up to one of the stops into *to, which moves behind the final 0. NULL: not fit; else where it stopped. */
static const char *decode(char **to, const char *from, const char *stops, bool plus)
{
    while (*from && !strchr(stops, *from)) {
        int c = (unsigned char)*from++;
        if (c == '%') {
            const int high = hex(from[0]), low = high < 0 ? -1 : hex(from[1]);
            if (low < 0)
                return NULL;
            c = 16 * high + low;
            from += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c < 32 || c == 127)
            return NULL;
        *(*to)++ = (char)c;
    }
    *(*to)++ = 0;
    return from;
}

static bool fit_path(const char *path)
{
    if (*path != '/')
        return false;
    for (const char *part = path + 1; *part;) {
        const size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += n + (part[n] == '/');
    }
    return true;
}

bool ecg_target_parse(ecg_target *out, const char *raw)
{
    char *to = out->text;
    out->queries = 0;
    out->path = to;
    if (strlen(raw) > ECG_TARGET_MAX)
        return false;
    const char *at = decode(&to, raw, "?#", false);
    if (!at || *at == '#' || !fit_path(out->path))
        return false;
    while (*at) { /* at '?' or '&' */
        const char *name = to, *value;
        at = decode(&to, at + 1, "=&", true);
        if (!at)
            return false;
        value = to - 1; /* "" */
        if (*at == '=') {
            value = to;
            at = decode(&to, at + 1, "&", true);
            if (!at)
                return false;
        }
        if (!*name && !*value)
            continue; /* "?", "&&" */
        if (out->queries == ECG_QUERIES_MAX)
            return false;
        out->query[out->queries].name = name;
        out->query[out->queries++].value = value;
    }
    return true;
}

const char *ecg_target_query(const ecg_target *t, const char *name)
{
    for (int i = 0; i < t->queries; i++)
        if (strcmp(t->query[i].name, name) == 0)
            return t->query[i].value;
    return NULL;
}

/* ---- who asks ------------------------------------------------------------------------------------------------------------------- */

/* The host of "host:port" or "[v6]:port" without brackets; false: no such thing. */
static bool cut_port(char *out, size_t size, const char *host)
{
    const bool bracket = *host == '[';
    const char *end = bracket ? strchr(host, ']') : host + strcspn(host, ":");
    if (!end)
        return false;
    const char *from = host + bracket, *port = end + bracket;
    const size_t len = (size_t)(end - from);
    if (!len || len >= size)
        return false;
    if (*port) {
        int64_t number;
        const size_t digits = strspn(port + 1, "0123456789");
        if (*port != ':' || !digits || digits > 5 || port[1 + digits] || !ecg_parse_i64(&number, port + 1, digits) || number < 1 || number > 65535)
            return false;
    }
    memcpy(out, from, len);
    out[len] = 0;
    return true;
}

bool ecg_host_fit(const char *host, bool open, const char *name)
{
    char bare[256];
    uint8_t address[16];
    if (!cut_port(bare, sizeof bare, host))
        return false;
    const bool six = *host == '[';
    if (six ? strcmp(bare, "::1") == 0 : strcmp(bare, "127.0.0.1") == 0 || ecg_same_word(bare, "localhost"))
        return true;
    if (!open)
        return false;
    return inet_pton(six ? AF_INET6 : AF_INET, bare, address) == 1 || (name && !six && ecg_same_word(bare, name));
}

bool ecg_same_origin(const char *origin, const char *host)
{
    const size_t skip = strncmp(origin, "http://", 7) == 0 ? 7 : strncmp(origin, "https://", 8) == 0 ? 8 : 0;
    return skip && *host && ecg_same_word(origin + skip, host);
}

bool ecg_same_secret(const char *a, const char *b)
{
    ecg_sha256 s;
    char x[65], y[65];
    unsigned differs = 0;
    ecg_sha256_begin(&s);
    ecg_sha256_add(&s, a, strlen(a));
    ecg_sha256_end(&s, x);
    ecg_sha256_begin(&s);
    ecg_sha256_add(&s, b, strlen(b));
    ecg_sha256_end(&s, y);
    for (int i = 0; i < 64; i++)
        differs |= (unsigned char)(x[i] ^ y[i]);
    return !differs;
}

bool ecg_cookie_find(char *out, size_t size, const char *cookies, const char *name)
{
    const size_t len = strlen(name);
    for (const char *at = cookies; *at;) {
        at += strspn(at, " ;");
        const size_t whole = strcspn(at, ";");
        if (whole > len && at[len] == '=' && strncmp(at, name, len) == 0) {
            const size_t value = whole - len - 1;
            if (value >= size)
                return false;
            memcpy(out, at + len + 1, value);
            out[value] = 0;
            return true;
        }
        at += whole;
    }
    return false;
}
