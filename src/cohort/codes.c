/* SPDX-License-Identifier: MIT */
#include "cohort/codes.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const struct { char icd9[6], icd10[8]; } icd9_table[] = {
#include "cohort/icd9_table.inc"
};

static int by_icd9(const void *key, const void *row)
{
    return strcmp(key, ((const char *)row));
}

const char *ecg_icd9_to_10(const char *icd9)
{
    const char *row = bsearch(icd9, icd9_table, sizeof icd9_table / sizeof *icd9_table, sizeof *icd9_table, by_icd9);
    return row ? row + sizeof icd9_table->icd9 : NULL;
}

bool ecg_icd_label(char out[6], const char *code, size_t len, int version)
{
    char plain[12];
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = code[i];
        if (c == ' ' || c == '.')
            continue;
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')) || n + 1 == sizeof plain)
            return false;
        plain[n++] = c;
    }
    plain[n] = 0;
    if (version == 9) {
        const char *mapped = ecg_icd9_to_10(plain);
        if (!mapped)
            return false;
        n = strlen(mapped);
        memcpy(plain, mapped, n + 1);
    }
    if (n > 5)
        n = 5;
    while (n && plain[n - 1] == 'X')
        n--;
    memcpy(out, plain, n);
    out[n] = 0;
    return n >= 3;
}

/* ---- what Python prints ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *at, *end;
} cursor;

static bool accept(cursor *c, char want)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
    if (c->at == c->end || *c->at != want)
        return false;
    c->at++;
    return true;
}

static bool quoted(char *out, size_t size, cursor *c)
{
    const char quote = accept(c, '\'') ? '\'' : accept(c, '"') ? '"' : 0;
    if (!quote)
        return false;
    const char *close = memchr(c->at, quote, (size_t)(c->end - c->at));
    const size_t len = close ? (size_t)(close - c->at) : 0;
    if (!len || len >= size || memchr(c->at, '\\', len))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)c->at[i] < 32)
            return false;
    memcpy(out, c->at, len);
    out[len] = 0;
    c->at = close + 1;
    return true;
}

static bool accept_word(cursor *c, const char *word)
{
    const size_t len = strlen(word);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len))
        return false;
    c->at += len;
    return true;
}

/* 'I4891', "I4891", None or nan. */
static bool list_item(ecg_list_item *out, cursor *c)
{
    const char quote = accept(c, '\'') ? '\'' : accept(c, '"') ? '"' : 0;
    *out = (ecg_list_item){0};
    if (!quote)
        return accept_word(c, "None") || accept_word(c, "nan");
    const char *close = memchr(c->at, quote, (size_t)(c->end - c->at));
    if (!close || memchr(c->at, '\\', (size_t)(close - c->at)))
        return false;
    *out = (ecg_list_item){c->at, (size_t)(close - c->at)};
    c->at = close + 1;
    return true;
}

/* The bracket is read with the first item, the comma with the item behind it, so that what is read stays behind *at. */
int ecg_list_next(ecg_list_item *out, const char *text, size_t len, size_t *at)
{
    cursor c = {text + *at, text + len};
    const bool first = *at == 0;
    if (first && !accept(&c, '['))
        return -1;
    if (accept(&c, ']')) {
        while (c.at < c.end)
            if (*c.at++ != ' ')
                return -1;
        return 0;
    }
    if ((!first && !accept(&c, ',')) || !list_item(out, &c))
        return -1;
    *at = (size_t)(c.at - text);
    return 1;
}

int ecg_scp_parse(ecg_scp *out, int room, const char *text, size_t len)
{
    cursor c = {text, text + len};
    int n = 0;
    if (!accept(&c, '{'))
        return -1;
    if (!accept(&c, '}'))
        for (;;) {
            if (n == room || !quoted(out[n].code, sizeof out[n].code, &c) || !accept(&c, ':'))
                return -1;
            const char *number = c.at;
            while (c.at < c.end && *c.at != ',' && *c.at != '}')
                c.at++;
            if (!ecg_parse_double(&out[n++].likelihood, number, (size_t)(c.at - number)))
                return -1;
            if (accept(&c, '}'))
                break;
            if (!accept(&c, ','))
                return -1;
        }
    while (c.at < c.end)
        if (*c.at++ != ' ')
            return -1;
    return n;
}
