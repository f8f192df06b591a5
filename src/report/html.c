/* SPDX-License-Identifier: MIT */
#include "report/html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "report/svg.h"

/* Contrast of every text with its ground is at least 4.5 to 1 (WCAG 2.1, 1.4.3) in both schemes; bars are drawn, as printers leave out grounds. */
static const char style[] =
    ":root{--ground:#fff;--soft:#f3f5f7;--line:#d5dbe1;--text:#1b2127;--muted:#56606b;--bar:#2a6f97;--bar2:#b5651d;--lost:#c8694a;--note:#fff1cc;--onnote:#553a00;--edge:#c98a00}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--ground:#14181c;--soft:#1d2328;--line:#3a444d;--text:#e8ebee;--muted:#a3aeb9;--bar:#5aa6d6;--bar2:#e2a15c;"
    "--lost:#c0694c;--note:#3b2d08;--onnote:#ffdf94;--edge:#c98a00}}\n"
    "*{box-sizing:border-box}\n"
    "html{color-scheme:light dark;-webkit-text-size-adjust:100%}\n"
    "body{margin:0 auto;padding:1.5rem 1.25rem 2rem;max-width:64rem;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Liberation Sans\",sans-serif}\n"
    "h1{font-size:1.9rem;line-height:1.2;margin:.1rem 0 .4rem;overflow-wrap:anywhere}h2{font-size:1.25rem;margin:2.4rem 0 .5rem;padding-top:.6rem;border-top:1px solid var(--line)}\n"
    "h3{font-size:1rem;margin:1.4rem 0 .4rem}p{margin:.4rem 0}.kind{color:var(--muted);text-transform:uppercase;letter-spacing:.08em;font-size:.8rem;margin:0}\n"
    ".muted,caption,figcaption{color:var(--muted)}.small{font-size:.85rem}code,.hash{font-family:ui-monospace,\"DejaVu Sans Mono\",monospace;font-size:.85em;overflow-wrap:anywhere}\n"
    ".statement{font-weight:600}.note{background:var(--note);color:var(--onnote);border-left:.35rem solid var(--edge);padding:.6rem .9rem;margin:.8rem 0;border-radius:.2rem}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem;margin:1.2rem 0 0;padding:0}\n"
    ".figures div{background:var(--soft);border-radius:.4rem;padding:.6rem .8rem}.figures dt{color:var(--muted);font-size:.85rem}\n"
    ".figures dd{margin:0;font-size:1.4rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}.figures dd small{display:block;font-size:.8rem;font-weight:400;color:var(--muted)}\n"
    ".wide{overflow-x:auto;margin:.6rem 0}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.92rem}caption{text-align:left;padding:0 0 .4rem;font-size:.88rem}\n"
    "th,td{text-align:left;vertical-align:baseline;padding:.28rem .6rem .28rem 0;border-bottom:1px solid var(--line)}th{font-weight:600}tbody th{font-weight:400}\n"
    "thead th{color:var(--muted);font-size:.85rem;vertical-align:bottom}.n{text-align:right;white-space:nowrap;padding-left:.5rem;padding-right:.9rem}td.n small{color:var(--muted);display:inline-block;min-width:3.4em}\n"
    "td.bar{vertical-align:middle;width:22%;min-width:5rem;padding-right:0}td.bar svg{display:block;width:100%;height:.7rem}.a{fill:var(--bar)}.b{fill:var(--bar2)}.c{fill:var(--muted)}.lost{fill:var(--lost)}.empty{fill:var(--soft)}\n"
    "details{margin:.4rem 0}summary{cursor:pointer;color:var(--bar);padding:.3rem 0}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--soft);padding:.7rem .9rem;border-radius:.4rem;margin:.5rem 0}\n"
    "figure{margin:.6rem 0}figure svg{display:block;width:100%;height:auto;max-width:44rem}figure text{fill:var(--muted);font-size:3.2px}.key{display:inline-block;width:.8em;height:.8em;vertical-align:-.05em}\n"
    "footer{margin-top:2.5rem;padding-top:.8rem;border-top:1px solid var(--line);color:var(--muted);font-size:.88rem}\n"
    "@media(max-width:40rem){body{padding:1rem .9rem 1.5rem}h1{font-size:1.5rem}.narrow{display:none}td.bar{min-width:3.5rem;width:18%}table{font-size:.86rem}th,td{padding-right:.45rem}"
    "td.n small{display:block;min-width:0}.n{padding-right:.6rem}figure text{font-size:4px}}\n"
    "@page{size:A4;margin:14mm}\n"
    "@media print{body{max-width:none;padding:0;font-size:9.5pt}h2{break-after:avoid}tr,figure,.figures div{break-inside:avoid}thead{display:table-header-group}.wide{overflow:visible}.note,.figures div,pre{border:1px solid var(--line)}"
    "summary{color:var(--muted)}}\n";

void ecg_html_text(ecg_text *to, const char *s)
{
    ecg_svg_escape(to, s);
}

void ecg_html_begin(ecg_text *to, const char *kind, const char *title, bool synthetic)
{
    ecg_html_begin_with(to, kind, title, synthetic, "");
}

void ecg_html_begin_with(ecg_text *to, const char *kind, const char *title, bool synthetic, const char *more)
{
    ecg_text_puts(to, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    ecg_html_text(to, title);
    ecg_text_puts(to, " - ");
    ecg_html_text(to, kind);
    ecg_text_puts(to, " - ecgraft</title>\n<style>\n");
    ecg_text_puts(to, style);
    ecg_text_puts(to, more);
    ecg_text_puts(to, "</style>\n</head>\n<body>\n<header>\n<p class=\"kind\">ecgraft &#183; ");
    ecg_html_text(to, kind);
    ecg_text_puts(to, "</p>\n<h1>");
    ecg_html_text(to, title);
    ecg_text_puts(to, "</h1>\n<p class=\"statement\">" ECG_STATEMENT "</p>\n");
    if (synthetic)
        ecg_text_puts(to, "<p class=\"note\"><strong>Synthetic cohort.</strong> Its patients never lived, and its figures say nothing of real ones.</p>\n");
    ecg_text_puts(to, "</header>\n<main>\n");
}

void ecg_html_end(ecg_text *to)
{
    ecg_text_puts(to, "</main>\n<footer><p>" ECG_STATEMENT " Written by ecgraft ");
    ecg_html_text(to, ecg_version());
    ecg_text_puts(to, "; this page needs no network.</p></footer>\n</body>\n</html>\n");
}

void ecg_html_count(ecg_text *to, int64_t n)
{
    char digits[24], out[32];
    snprintf(digits, sizeof digits, "%" PRId64, n);
    const char *d = digits;
    int at = 0;
    if (*d == '-')
        out[at++] = *d++;
    for (size_t left = strlen(d); left; left--) {
        out[at++] = *d++;
        if (left > 1 && left % 3 == 1)
            out[at++] = ',';
    }
    ecg_text_add(to, out, (size_t)at);
}

void ecg_html_percent(ecg_text *to, int64_t part, int64_t of)
{
    if (of)
        ecg_text_printf(to, "%.1f%%", 100 * (double)part / (double)of);
    else
        ecg_text_puts(to, "&#8211;");
}

/* ICD-10-CM: a letter, a digit, a digit or letter, then up to four more that the dot sets off. */
static bool is_icd10(const char *s)
{
    const size_t len = strlen(s);
    if (len < 3 || len > 7 || s[0] < 'A' || s[0] > 'Z' || s[1] < '0' || s[1] > '9')
        return false;
    for (size_t i = 2; i < len; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'A' && s[i] <= 'Z')))
            return false;
    return true;
}

void ecg_html_code(ecg_text *to, const char *code)
{
    if (!is_icd10(code) || strlen(code) == 3) {
        ecg_html_text(to, code);
        return;
    }
    ecg_text_add(to, code, 3);
    ecg_text_puts(to, ".");
    ecg_text_puts(to, code + 3);
}

void ecg_html_section(ecg_text *to, const char *title)
{
    ecg_text_puts(to, "<section>\n<h2>");
    ecg_html_text(to, title);
    ecg_text_puts(to, "</h2>\n");
}

/* ---- tables ----------------------------------------------------------------------------------------------------------------------- */

void ecg_html_table(ecg_text *to, const char *caption, const char *const *heads, int n)
{
    ecg_text_puts(to, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    ecg_html_text(to, caption);
    ecg_text_puts(to, "\"><table>\n<caption>");
    ecg_html_text(to, caption);
    ecg_text_puts(to, "</caption>\n<thead><tr>");
    for (int i = 0; i < n; i++) {
        const bool number = heads[i][0] == '#';
        ecg_text_puts(to, number ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
        ecg_html_text(to, heads[i] + number);
        ecg_text_puts(to, "</th>");
    }
    ecg_text_puts(to, "</tr></thead>\n<tbody>\n");
}

void ecg_html_table_end(ecg_text *to)
{
    ecg_text_puts(to, "</tbody></table></div>\n");
}

void ecg_html_row(ecg_text *to, const char *head)
{
    ecg_text_puts(to, "<tr>");
    if (!head)
        return;
    ecg_text_puts(to, "<th scope=\"row\">");
    ecg_html_text(to, head);
    ecg_text_puts(to, "</th>");
}

void ecg_html_cell(ecg_text *to, const char *s)
{
    ecg_text_puts(to, "<td>");
    ecg_html_text(to, s);
    ecg_text_puts(to, "</td>");
}

void ecg_html_cell_count(ecg_text *to, int64_t n)
{
    ecg_text_puts(to, "<td class=\"n\">");
    ecg_html_count(to, n);
    ecg_text_puts(to, "</td>");
}

void ecg_html_cell_share(ecg_text *to, int64_t part, int64_t of)
{
    ecg_text_puts(to, "<td class=\"n\">");
    if (of) {
        ecg_html_count(to, part);
        ecg_text_puts(to, " <small>");
        ecg_html_percent(to, part, of);
        ecg_text_puts(to, "</small>");
    } else {
        ecg_text_puts(to, "&#8211;");
    }
    ecg_text_puts(to, "</td>");
}

/* 0..1 in tenths of a percent, which are the units of the drawing. */
static int permille(double share)
{
    return share > 0 ? share < 1 ? (int)lrint(share * 1000) : 1000 : 0;
}

void ecg_html_cell_bar(ecg_text *to, double share, double lost)
{
    const int kept = permille(share), gone = permille(share + lost) - kept;
    ecg_text_printf(to, "<td class=\"bar\"><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"empty\" width=\"1000\" height=\"10\"/>"
                        "<rect class=\"a\" width=\"%d\" height=\"10\"/>", kept);
    if (gone > 0)
        ecg_text_printf(to, "<rect class=\"lost\" x=\"%d\" width=\"%d\" height=\"10\"/>", kept, gone);
    ecg_text_puts(to, "</svg></td>");
}

/* ---- bars standing side by side ------------------------------------------------------------------------------------------------ */

static const char *const series_class[ECG_HTML_SERIES] = {"a", "b", "c", "lost"};

static int64_t height_of(const ecg_html_pillar *p)
{
    return p->part[0] + p->part[1] + p->part[2] + p->part[3];
}

static void draw_pillars(ecg_text *to, const ecg_html_pillar *p, int n, int64_t most)
{
    enum { WIDE = 18000, TOP_AT = 600, FOOT = 5200, LABEL = 5600 };
    for (int i = 0; i < n; i++) {
        const int step = WIDE / n, width = step * 7 / 10, left = i * step + (step - width) / 2;
        int foot = FOOT;
        int64_t sum = 0;
        for (int k = 0; k < ECG_HTML_SERIES; k++) {
            sum += p[i].part[k];
            const int top = FOOT - (int)((double)(FOOT - TOP_AT) * (double)sum / (double)most);
            if (top < foot) {
                ecg_text_printf(to, "<rect class=\"%s\" x=\"", series_class[k]);
                ecg_svg_number(to, left);
                ecg_text_puts(to, "\" y=\"");
                ecg_svg_number(to, top);
                ecg_text_puts(to, "\" width=\"");
                ecg_svg_number(to, width);
                ecg_text_puts(to, "\" height=\"");
                ecg_svg_number(to, foot - top);
                ecg_text_puts(to, "\"/>");
            }
            foot = top;
        }
        ecg_text_puts(to, "<text text-anchor=\"middle\" x=\"");
        ecg_svg_number(to, left + width / 2);
        ecg_text_printf(to, "\" y=\"%d\">%s</text>\n", LABEL / 100, p[i].label);
    }
}

void ecg_html_pillars(ecg_text *to, const char *what, const char *head, const ecg_html_pillar *p, int n, const char *const *series, int count)
{
    if (n < 1)
        return;
    ecg_text_puts(to, "<figure>\n<figcaption class=\"small\">");
    ecg_html_text(to, what);
    ecg_text_puts(to, ":");
    for (int k = 0; k < count; k++) {
        ecg_text_printf(to, " <svg class=\"key\" viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect class=\"%s\" width=\"1\" height=\"1\"/></svg> ", series_class[k]);
        ecg_html_text(to, series[k]);
    }
    int64_t most = 0;
    for (int i = 0; i < n; i++)
        most = height_of(&p[i]) > most ? height_of(&p[i]) : most;
    ecg_text_puts(to, "; the highest is ");
    ecg_html_count(to, most);
    ecg_text_puts(to, "</figcaption>\n<svg viewBox=\"0 0 180 58\" role=\"img\" aria-label=\"");
    ecg_html_text(to, what);
    ecg_text_puts(to, "; the numbers stand in the table below\">\n");
    draw_pillars(to, p, n, most > 0 ? most : 1);
    ecg_text_puts(to, "</svg>\n</figure>\n<details><summary>The numbers</summary>\n");
    const char *heads[ECG_HTML_SERIES + 1] = {head};
    char numbers[ECG_HTML_SERIES][80];
    for (int k = 0; k < count; k++) {
        snprintf(numbers[k], sizeof numbers[k], "#%s", series[k]);
        heads[k + 1] = numbers[k];
    }
    ecg_html_table(to, what, heads, count + 1);
    for (int i = 0; i < n; i++) {
        ecg_html_row(to, p[i].label);
        for (int k = 0; k < count; k++)
            ecg_html_cell_count(to, p[i].part[k]);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
    ecg_text_puts(to, "</details>\n");
}
