/* SPDX-License-Identifier: MIT
 * page_check.h: what every page must be: well formed, in need of nothing but itself. After cmocka.h. */
#ifndef TEST_REPORT_PAGE_CHECK_H
#define TEST_REPORT_PAGE_CHECK_H

#include <stdio.h>
#include <string.h>

#include "ecgraft.h"

/* Every element that opens closes, in order; attributes are quoted. NULL: so it is; else what is not. */
static inline const char *badly_formed(const char *page)
{
    static const char *const empty[] = {"meta", "rect", "!DOCTYPE"};
    static char why[120];
    char open[64][16];
    int depth = 0;
    for (const char *at = page; (at = strchr(at, '<'));) {
        const bool closes = at[1] == '/';
        char name[16] = "";
        sscanf(at + 1 + closes, "%15[!a-zA-Z0-9]", name);
        const char *end = at;
        for (bool quoted = false; *end && (quoted || *end != '>'); end++)
            quoted ^= *end == '"';
        if (!*end || !name[0])
            return "a tag without an end or a name";
        bool alone = end[-1] == '/';
        for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
            alone = alone || !strcmp(name, empty[i]);
        if (closes && (!depth || strcmp(open[depth - 1], name))) {
            snprintf(why, sizeof why, "</%s> closes <%s>", name, depth ? open[depth - 1] : "");
            return why;
        }
        if (closes)
            depth--;
        else if (!alone && depth < 64)
            memcpy(open[depth++], name, sizeof name);
        at = end;
        if (!strcmp(name, "style") && !closes)
            at = strstr(at, "</style>");
    }
    if (depth)
        snprintf(why, sizeof why, "<%s> is never closed", open[depth - 1]);
    return depth ? why : NULL;
}

static inline void check_page(const char *why, const char *page)
{
    static const char *const never[] = {"http:", "https:", "src=", "@import", "url(", "<script", "<link", "<img", "onerror=\""};
    static const char *const always[] = {"<!DOCTYPE html>", "<html lang=\"en\">", "<meta charset=\"utf-8\">", "<title>", "prefers-color-scheme:dark", "size:A4", ECG_STATEMENT};
    const char *wrong = badly_formed(page);
    if (wrong)
        fail_msg("%s: %s", why, wrong);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strstr(page, never[i]))
            fail_msg("%s: the page holds %s", why, never[i]);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (!strstr(page, always[i]))
            fail_msg("%s: the page lacks %s", why, always[i]);
    for (const char *link = page; (link = strstr(link, "href=")); link++)
        if (strncmp(link, "href=\"#", 7))
            fail_msg("%s: a link that leaves the page: %.40s", why, link);
    for (const char *th = page; (th = strstr(th, "<th")); th++)
        if (strncmp(th, "<th scope=\"", 11) && strncmp(th, "<thead>", 7))
            fail_msg("%s: a table head without its scope: %.40s", why, th);
}

#endif
