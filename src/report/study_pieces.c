/* SPDX-License-Identifier: MIT
 * study_pieces.c: sections, tables and cells of the study page. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/html.h"
#include "report/study_parts.h"

void ecg_put_section(ecg_text *to, const ecg_study_view *v, const char *id, const char *title)
{
    ecg_text_printf(to, "<section id=\"%s\">\n<h2>", id);
    ecg_html_text(to, title);
    ecg_text_puts(to, v->synthetic ? " <small class=\"badge\">synthetic cohort</small></h2>\n" : "</h2>\n");
}

/* Every caption says what the figures below it are of: a table may be copied out of the page. */
static void caption_of(ecg_text *out, const ecg_study_view *v, const char *caption)
{
    ecg_text_puts(out, caption);
    if (v->synthetic)
        ecg_text_puts(out, caption[0] && caption[strlen(caption) - 1] == '.' ? " Synthetic cohort." : ". Synthetic cohort.");
}

void ecg_put_table(ecg_text *to, const ecg_study_view *v, const char *caption, const char *const *heads, int n)
{
    ecg_text whole = {0};
    caption_of(&whole, v, caption);
    ecg_html_table(to, whole.at ? whole.at : caption, heads, n);
    ecg_text_clear(&whole);
}

void ecg_put_words(ecg_text *to, const char *s)
{
    char before = ' ';
    while (*s) {
        if (*s == '-' && strchr(" (", before) && s[1] >= '0' && s[1] <= '9') {
            ecg_text_puts(to, "&#8722;");
            before = *s++;
            continue;
        }
        char run[256];
        size_t n = 0;
        do {
            before = *s;
            run[n++] = *s++;
        } while (*s && n < sizeof run - 8 && *s != '-');
        while (*s && n < sizeof run - 1 && (*s & 0xc0) == 0x80)
            run[n++] = *s++; /* a character is not cut */
        run[n] = 0;
        ecg_html_text(to, run);
    }
}

void ecg_put_number(ecg_text *to, double x, int decimals, bool sign)
{
    char digits[ECG_DIGITS];
    if (!isfinite(x)) {
        ecg_text_puts(to, "&#8211;");
        return;
    }
    ecg_fixed(digits, x, decimals, sign);
    ecg_text_puts(to, *digits == '-' ? "&#8722;" : "");
    ecg_text_puts(to, digits + (*digits == '-'));
}

void ecg_put_cell(ecg_text *to, double x, int decimals, bool sign)
{
    ecg_text_puts(to, "<td class=\"n\">");
    ecg_put_number(to, x, decimals, sign);
    ecg_text_puts(to, "</td>");
}

void ecg_put_cell_span(ecg_text *to, ecg_span s, int decimals, bool sign)
{
    ecg_text_puts(to, "<td class=\"n\">");
    ecg_put_number(to, s.point, decimals, sign);
    if (isfinite(s.lo) && isfinite(s.hi)) {
        ecg_text_puts(to, " <span class=\"ci\">(");
        ecg_put_number(to, s.lo, decimals, sign);
        ecg_text_puts(to, " to ");
        ecg_put_number(to, s.hi, decimals, sign);
        ecg_text_puts(to, ")</span>");
    }
    ecg_text_puts(to, "</td>");
}

void ecg_put_cell_state(ecg_text *to, const json_t *object)
{
    const char *why = ecg_study_text(object, "why");
    ecg_text_puts(to, "<td class=\"n state\">");
    ecg_html_text(to, ecg_study_state(object));
    if (*why) {
        ecg_text_puts(to, "<small>");
        ecg_html_text(to, why);
        ecg_text_puts(to, "</small>");
    }
    ecg_text_puts(to, "</td>");
}

void ecg_put_absent(ecg_text *to, const char *what)
{
    ecg_text_puts(to, "<p class=\"muted\">");
    ecg_html_text(to, what);
    ecg_text_puts(to, "</p>\n");
}

void ecg_put_duration(ecg_text *to, double s)
{
    if (!isfinite(s) || s < 0)
        ecg_text_puts(to, "&#8211;");
    else if (s < 60)
        ecg_text_printf(to, "%.1f s", s);
    else if (s < 5400)
        ecg_text_printf(to, "%.1f min", s / 60);
    else
        ecg_text_printf(to, "%.1f h", s / 3600);
}
