/* SPDX-License-Identifier: MIT
 * study_figures.c: forest plots, whose rows are rows of a table, and panels with lines. Looks come from the style of the page. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/html.h"
#include "report/study_parts.h"
#include "report/svg.h"

/* 1, 2 or 5 times a power of ten, so that about `parts` of them cover the length. */
static double round_step(double length, int parts)
{
    const double rough = length / parts, power = pow(10, floor(log10(rough))), lead = rough / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

static int decimals_of(double step)
{
    int d = 0;
    for (double s = step; d < 6 && fabs(s - round(s)) > 1e-6 * s; d++)
        s = step * pow(10, d + 1);
    return d;
}

/* ---- forest plots ------------------------------------------------------------------------------------------------------------------- */

ecg_axis ecg_axis_over(const double *x, int64_t n, double line)
{
    double lo = isnan(line) ? INFINITY : line, hi = isnan(line) ? -INFINITY : line;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i]) && fabs(x[i]) < 1e6) {
            lo = x[i] < lo ? x[i] : lo;
            hi = x[i] > hi ? x[i] : hi;
        }
    if (!(lo <= hi))
        lo = 0, hi = 1;
    if (hi - lo < 1e-4)
        lo -= 0.01, hi += 0.01;
    const double step = round_step(hi - lo, 4);
    return (ecg_axis){floor(lo / step + 1e-9) * step, ceil(hi / step - 1e-9) * step, step, line, decimals_of(step), line == 0};
}

/* Per cent of the cell's width; a margin keeps marks and figures inside. */
static double place(const ecg_axis *a, double x)
{
    const double p = (x - a->lo) / (a->hi - a->lo);
    return 6 + 88 * (p < 0 ? 0 : p > 1 ? 1 : p);
}

static void put_axis(ecg_text *to, const ecg_axis *a)
{
    char digits[ECG_DIGITS];
    ecg_text_puts(to, "<svg aria-hidden=\"true\">");
    for (int i = 0; i < 20; i++) {
        const double x = a->lo + i * a->step;
        if (x > a->hi + 0.01 * a->step)
            break;
        ecg_fixed(digits, x, a->decimals, a->sign);
        ecg_text_printf(to, "<line class=\"tick\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"100%%\" y2=\"100%%\" transform=\"translate(0 -4)\"/><text x=\"%.2f%%\" y=\"100%%\" dy=\"-7\">%s%s</text>",
                        place(a, x), place(a, x), place(a, x), *digits == '-' ? "&#8722;" : "", digits + (*digits == '-'));
    }
    ecg_text_puts(to, "</svg>");
}

void ecg_put_forest(ecg_text *to, const ecg_study_view *v, const char *caption, const char *const *heads, int n, const ecg_axis *axis)
{
    ecg_text whole = {0};
    ecg_text_puts(&whole, caption);
    if (v->synthetic)
        ecg_text_puts(&whole, ". Synthetic cohort.");
    const char *said = whole.at ? whole.at : caption;
    ecg_text_puts(to, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    ecg_html_text(to, said);
    ecg_text_puts(to, "\"><table class=\"forest\">\n<caption>");
    ecg_html_text(to, said);
    ecg_text_puts(to, "</caption>\n<thead><tr>");
    for (int i = 0; i < n; i++) {
        const char kind = *heads[i] == '#' || *heads[i] == '@' ? *heads[i] : 0;
        ecg_text_puts(to, kind == '#' ? "<th scope=\"col\" class=\"n\">" : kind ? "<th scope=\"col\" class=\"f\"><span>" : "<th scope=\"col\">");
        ecg_html_text(to, heads[i] + (kind != 0));
        if (kind == '@') {
            ecg_text_puts(to, "</span>");
            put_axis(to, axis);
        }
        ecg_text_puts(to, "</th>");
    }
    ecg_text_puts(to, "</tr></thead>\n<tbody>\n");
    ecg_text_clear(&whole);
}

/* A shape of 8 units around (0, 0). */
static void put_shape(ecg_text *to, char look)
{
    if (look == 'a')
        ecg_text_puts(to, "<circle class=\"a\" r=\"4\"/>");
    else if (look == 'b')
        ecg_text_puts(to, "<rect class=\"b\" x=\"-3.5\" y=\"-3.5\" width=\"7\" height=\"7\"/>");
    else
        ecg_text_puts(to, "<path class=\"open\" d=\"M0-5 5 0 0 5-5 0z\"/>");
}

void ecg_put_marks(ecg_text *to, const ecg_axis *a, const ecg_mark *mark, int n)
{
    int lines = 0, at = 0;
    for (int i = 0; i < n; i++)
        lines += mark[i].look != 'c';
    ecg_text_printf(to, "<td class=\"f f%d\"><svg aria-hidden=\"true\">", lines > 1 ? 2 : 1);
    if (isfinite(a->line))
        ecg_text_printf(to, "<line class=\"ref\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"100%%\"/>", place(a, a->line), place(a, a->line));
    for (int i = 0; i < n; i++) {
        const double y = mark[i].look == 'c' ? 50 : 100.0 * ++at / (lines + 1);
        const ecg_span s = mark[i].at;
        if (!isfinite(s.point))
            continue;
        if (isfinite(s.lo) && isfinite(s.hi))
            ecg_text_printf(to, "<line class=\"s%c\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.1f%%\" y2=\"%.1f%%\"/>", mark[i].look, place(a, s.lo), place(a, s.hi), y, y);
        ecg_text_printf(to, "<svg x=\"%.2f%%\" y=\"%.1f%%\" overflow=\"visible\">", place(a, s.point), y);
        put_shape(to, mark[i].look);
        ecg_text_puts(to, "</svg>");
    }
    ecg_text_puts(to, "</svg></td>");
}

void ecg_put_key(ecg_text *to, char look, const char *what)
{
    ecg_text_printf(to, "<span class=\"entry\"><svg class=\"key%s\" viewBox=\"%s -6 %s 12\" aria-hidden=\"true\">", look < 'a' ? " long" : "", look < 'a' ? "-12" : "-6",
                    look < 'a' ? "24" : "12");
    if (look < 'a')
        ecg_text_printf(to, "<g class=\"line l%c\"><path d=\"M-12 0h24\"/></g>", look + 'a' - 'A');
    else
        put_shape(to, look);
    ecg_text_puts(to, "</svg> ");
    ecg_html_text(to, what);
    ecg_text_puts(to, "</span> ");
}

/* ---- panels ------------------------------------------------------------------------------------------------------------------------- */

enum { LEFT = 1350, RIGHT = 8600, TOP = 300, BOTTOM = 4500, TICKS = 16 };

static int at_x(const ecg_panel *p, double x)
{
    return LEFT + (int)lrint((RIGHT - LEFT) * (x - p->x_lo) / (p->x_hi - p->x_lo));
}

static int at_y(const ecg_panel *p, double y)
{
    return BOTTOM - (int)lrint((BOTTOM - TOP) * (y - p->y_lo) / (p->y_hi - p->y_lo));
}

static void put_line(ecg_text *to, const char *look, int x1, int y1, int x2, int y2)
{
    ecg_svg_path path;
    ecg_text_printf(to, "<g class=\"%s\">", look);
    ecg_svg_path_begin(&path, to);
    ecg_svg_move(&path, x1, y1);
    ecg_svg_line(&path, x2, y2);
    ecg_svg_path_end(&path);
    ecg_text_puts(to, "</g>");
}

static void put_middle(ecg_text *to, int x, int y, const char *s)
{
    ecg_text_puts(to, "<g text-anchor=\"middle\">");
    ecg_svg_text(to, x, y, s);
    ecg_text_puts(to, "</g>");
}

static void put_frame(ecg_text *to, const ecg_panel *p)
{
    char digits[ECG_DIGITS];
    const double dx = round_step(p->x_hi - p->x_lo, 5), dy = round_step(p->y_hi - p->y_lo, 4);
    const double y0 = ceil(p->y_lo / dy - 1e-9) * dy, x0 = ceil(p->x_lo / dx - 1e-9) * dx;
    for (int i = 0; i < TICKS && y0 + i * dy <= p->y_hi + 1e-9 * dy; i++) {
        const double y = y0 + i * dy;
        put_line(to, "grid", LEFT, at_y(p, y), RIGHT, at_y(p, y));
        ecg_svg_text_end_at(to, LEFT - 120, at_y(p, y) + 110, ecg_fixed(digits, y, decimals_of(dy), false));
    }
    for (int i = 0; i < TICKS && x0 + i * dx <= p->x_hi + 1e-9 * dx; i++) {
        const double x = x0 + i * dx;
        put_line(to, "tick", at_x(p, x), BOTTOM, at_x(p, x), BOTTOM + 80);
        put_middle(to, at_x(p, x), BOTTOM + 430, ecg_fixed(digits, x, decimals_of(dx), false));
    }
    put_line(to, "tick", LEFT, BOTTOM, RIGHT, BOTTOM);
    put_middle(to, (LEFT + RIGHT) / 2, BOTTOM + 880, p->x_name);
}

static void put_curve(ecg_text *to, const ecg_panel *p, const ecg_curve *c)
{
    ecg_svg_path path;
    bool any = false, pen = false;
    for (int i = 0; i < c->n; i++) {
        if (!isfinite(c->x[i]) || !isfinite(c->y[i])) {
            pen = false;
            continue;
        }
        if (!any) {
            ecg_text_printf(to, "<g class=\"line l%c\">", c->look);
            ecg_svg_path_begin(&path, to);
        }
        any = true;
        if (pen)
            ecg_svg_line(&path, at_x(p, c->x[i]), at_y(p, c->y[i]));
        else
            ecg_svg_move(&path, at_x(p, c->x[i]), at_y(p, c->y[i]));
        pen = true;
    }
    if (!any)
        return;
    ecg_svg_path_end(&path);
    ecg_text_puts(to, "</g>");
    for (int i = 0; c->weight && i < c->n; i++)
        if (isfinite(c->x[i]) && isfinite(c->y[i])) {
            ecg_text_printf(to, "<circle class=\"%c\" cx=\"", c->look);
            ecg_svg_number(to, at_x(p, c->x[i]));
            ecg_text_puts(to, "\" cy=\"");
            ecg_svg_number(to, at_y(p, c->y[i]));
            ecg_text_puts(to, "\" r=\"");
            ecg_svg_number(to, 40 + (int)lrint(20 * log10(1 + (c->weight[i] > 0 ? c->weight[i] : 0))));
            ecg_text_puts(to, "\"/>");
        }
}

/* Limits from the lines: between their lowest and highest value, and a little room. */
static void find_limits(ecg_panel *p)
{
    double lo = INFINITY, hi = -INFINITY;
    for (int k = 0; k < p->curves; k++)
        for (int i = 0; i < p->curve[k].n; i++)
            if (isfinite(p->curve[k].y[i]) && fabs(p->curve[k].y[i]) < 1e12) {
                lo = p->curve[k].y[i] < lo ? p->curve[k].y[i] : lo;
                hi = p->curve[k].y[i] > hi ? p->curve[k].y[i] : hi;
            }
    if (!(lo <= hi))
        lo = 0, hi = 1;
    const double room = hi > lo ? 0.06 * (hi - lo) : fabs(lo) > 0 ? 0.1 * fabs(lo) : 1;
    p->y_lo = lo - room;
    p->y_hi = hi + room;
}

/* Coordinates are whole hundredths: what lies far outside the panel is brought to its edge. */
static double inside(double x, double lo, double hi)
{
    return isnan(x) ? x : x < lo ? lo : x > hi ? hi : x;
}

void ecg_put_panel(ecg_text *to, const ecg_panel *asked)
{
    enum { MOST = 1024 };
    ecg_panel p = *asked;
    if (isnan(p.y_lo))
        find_limits(&p);
    if (!(p.x_hi > p.x_lo))
        p.x_hi = p.x_lo + 1;
    ecg_text_puts(to, "<figure class=\"panel\">\n<figcaption>");
    ecg_html_text(to, p.title);
    ecg_text_puts(to, "</figcaption>\n<svg viewBox=\"0 0 90 56\" role=\"img\" aria-label=\"");
    ecg_html_text(to, p.title);
    ecg_text_puts(to, "\"><title>");
    ecg_html_text(to, p.title);
    ecg_text_puts(to, "</title><desc>");
    ecg_html_text(to, p.desc);
    ecg_text_puts(to, "</desc>\n");
    put_frame(to, &p);
    if (p.diagonal)
        put_line(to, "ref", at_x(&p, p.x_lo), at_y(&p, p.y_lo), at_x(&p, p.x_hi), at_y(&p, p.y_hi));
    if (isfinite(p.mark) && p.mark >= p.x_lo && p.mark <= p.x_hi)
        put_line(to, "ref", at_x(&p, p.mark), TOP, at_x(&p, p.mark), BOTTOM);
    for (int k = 0; k < p.curves; k++) {
        ecg_curve c = p.curve[k];
        double x[MOST], y[MOST];
        const int stride = (c.n + MOST - 1) / MOST;
        int n = 0;
        for (int i = 0; i < c.n; i += stride, n++) { /* more points than a panel has room for: every so many */
            x[n] = inside(c.x[i], p.x_lo, p.x_hi);
            y[n] = inside(c.y[i], p.y_lo, p.y_hi);
        }
        c.n = n;
        c.weight = stride > 1 ? NULL : c.weight;
        c.x = x;
        c.y = y;
        put_curve(to, &p, &c);
    }
    ecg_text_puts(to, "</svg>\n</figure>\n");
}
