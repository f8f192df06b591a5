/* SPDX-License-Identifier: MIT */
#include "report/svg.h"

#include <string.h>

void ecg_svg_number(ecg_text *to, int hundredths)
{
    const long long h = hundredths, size = h < 0 ? -h : h;
    const long long whole = size / 100, part = size % 100;
    char digits[32];
    int n = 0;
    if (h < 0)
        digits[n++] = '-';
    if (whole || !part) {
        char back[24];
        int m = 0;
        long long left = whole;
        do
            back[m++] = (char)('0' + left % 10);
        while (left /= 10);
        while (m)
            digits[n++] = back[--m];
    }
    if (part) {
        digits[n++] = '.';
        digits[n++] = (char)('0' + part / 10);
        if (part % 10)
            digits[n++] = (char)('0' + part % 10);
    }
    ecg_text_add(to, digits, (size_t)n);
}

/* ---- text ----------------------------------------------------------------------------------------------------------------------- */

/* Length in bytes of the character at s, 0 if it is none that XML 1.0 allows (section 2.2: no controls but tab and line ends, no
 * surrogates, no U+FFFE and U+FFFF) or is written too long (RFC 3629). */
static int character(const unsigned char *s)
{
    if (s[0] < 0x80)
        return s[0] >= 0x20 ? s[0] != 0x7f : s[0] == '\t' || s[0] == '\n' || s[0] == '\r';
    const int more = (s[0] & 0xe0) == 0xc0 ? 1 : (s[0] & 0xf0) == 0xe0 ? 2 : (s[0] & 0xf8) == 0xf0 ? 3 : 0;
    if (!more)
        return 0;
    uint32_t code = s[0] & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const bool bad = code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || code == 0xfffe || code == 0xffff ||
                     (code >= 0x80 && code < 0xa0);
    return bad ? 0 : more + 1;
}

void ecg_svg_escape(ecg_text *to, const char *s)
{
    while (*s) {
        const int n = character((const unsigned char *)s);
        switch (*s) {
        case '&': ecg_text_puts(to, "&amp;"); break;
        case '<': ecg_text_puts(to, "&lt;"); break;
        case '>': ecg_text_puts(to, "&gt;"); break;
        case '"': ecg_text_puts(to, "&quot;"); break;
        case '\'': ecg_text_puts(to, "&#39;"); break;
        default:
            if (n)
                ecg_text_add(to, s, (size_t)n);
            else
                ecg_text_puts(to, "\xef\xbf\xbd");
        }
        s += n ? n : 1;
    }
}

static void text_at(ecg_text *to, int x, int y, const char *more, const char *s)
{
    ecg_text_puts(to, "<text x=\"");
    ecg_svg_number(to, x);
    ecg_text_puts(to, "\" y=\"");
    ecg_svg_number(to, y);
    ecg_text_puts(to, "\"");
    ecg_text_puts(to, more);
    ecg_text_puts(to, ">");
    ecg_svg_escape(to, s);
    ecg_text_puts(to, "</text>\n");
}

void ecg_svg_text(ecg_text *to, int x, int y, const char *s)
{
    text_at(to, x, y, "", s);
}

void ecg_svg_text_end_at(ecg_text *to, int x, int y, const char *s)
{
    text_at(to, x, y, " text-anchor=\"end\"", s);
}

/* ---- paths ---------------------------------------------------------------------------------------------------------------------- */

/* SVG 1.1, section 8.3.9: a number ends where a sign begins, or a second point. */
static void number(ecg_svg_path *p, int h, bool first)
{
    const bool leading_point = h > -100 && h < 100 && h != 0;
    if (!first && h >= 0 && !(leading_point && p->point))
        ecg_text_add(p->to, " ", 1);
    ecg_svg_number(p->to, h);
    p->point = h % 100 != 0;
}

static void finish_dot(ecg_svg_path *p)
{
    if (p->alone)
        ecg_text_puts(p->to, "h0");
    p->alone = false;
}

void ecg_svg_path_begin(ecg_svg_path *p, ecg_text *to)
{
    *p = (ecg_svg_path){.to = to};
    ecg_text_puts(to, "<path d=\"");
}

void ecg_svg_move(ecg_svg_path *p, int x, int y)
{
    finish_dot(p);
    ecg_text_puts(p->to, "M");
    number(p, x, true);
    number(p, y, false);
    p->x = x;
    p->y = y;
    p->alone = true;
}

void ecg_svg_line(ecg_svg_path *p, int x, int y)
{
    if (x == p->x && y == p->y)
        return;
    if (p->alone)
        ecg_text_puts(p->to, "l");
    number(p, x - p->x, p->alone);
    number(p, y - p->y, false);
    p->alone = false;
    p->x = x;
    p->y = y;
}

void ecg_svg_path_end(ecg_svg_path *p)
{
    finish_dot(p);
    ecg_text_puts(p->to, "\"/>\n");
}
