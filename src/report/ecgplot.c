/* SPDX-License-Identifier: MIT
 * ecgplot.c: plan the page (strips, rows, paper), then draw it from back to front: grid, names, pulses, traces, words.
 * All lengths are int in hundredths of a millimetre (MM = 1 mm), all times are sample numbers of the stretch that is drawn. */
#include "report/ecgplot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/svg.h"

enum { MM = ECG_SVG_MM, GRID = 5 * MM };

const char *const ecg_layout_names[ECG_LAYOUTS] = {"3x4", "6x2", "12x1", "cabrera"};
const ecg_plot_options ecg_plot_usual = {.layout = ECG_LAYOUT_3X4, .speed_mm_per_s = 25, .gain_mm_per_mv = 10, .seconds = 10, .rhythm = ECG_RHYTHM_USUAL};

/* Leads go down a column, then on to the next. */
#define CHEST ECG_V1, ECG_V2, ECG_V3, ECG_V4, ECG_V5, ECG_V6
#define STANDARD ECG_I, ECG_II, ECG_III, ECG_AVR, ECG_AVL, ECG_AVF, CHEST
static const struct {
    int rows, columns, rhythm;
    int row_mm[3]; /* from one row to the next at 5, 10 and 20 mm/mV: multiples of 5, so that every level stands on a bold line */
    int panel_mm[3]; /* the same in a panel */
    bool minus_avr;
    int lead[ECG_LEADS];
} layouts[ECG_LAYOUTS] = {
    [ECG_LAYOUT_3X4] = {3, 4, ECG_II, {20, 30, 50}, {15, 25, 40}, false, {STANDARD}},
    [ECG_LAYOUT_6X2] = {6, 2, ECG_RHYTHM_NONE, {15, 25, 40}, {15, 20, 35}, false, {STANDARD}},
    [ECG_LAYOUT_12X1] = {12, 1, ECG_RHYTHM_NONE, {10, 15, 25}, {5, 10, 20}, false, {STANDARD}},
    /* Kligfield et al., Circulation 2007;115:1306: the frontal plane in the order of its angles, -30, 0, 30, 60, 90, 120 degrees */
    [ECG_LAYOUT_CABRERA] = {6, 2, ECG_RHYTHM_NONE, {15, 25, 40}, {15, 20, 35}, true, {ECG_AVL, ECG_I, ECG_AVR, ECG_II, ECG_AVF, ECG_III, CHEST}},
};

typedef struct {
    int lead, row;
    int64_t from, to;  /* samples [from, to) */
    bool rhythm, minus;
    int level;         /* y of its middle line */
} strip;

typedef struct {
    const ecg_plot_options *o;
    const ecg_record *rec;      /* the stretch that is drawn */
    float *mv;                  /* (12, samples); owned */
    unsigned found;             /* bit per lead */
    double middle_mv[ECG_LEADS]; /* what the middle line stands for, 0 for almost all */
    strip strip[ECG_LEADS + 1];
    int strips, rows, row;      /* row: distance of two */
    int gain;                   /* mm/mV that is drawn */
    int left, right, top, bottom; /* the paper */
    int time0;                  /* x of time 0 */
    unsigned beyond;            /* leads that leave the paper */
} page;

/* ---- plan ----------------------------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* A recorder coupled to direct current may carry volts of electrode offset beneath a millivolt of heart. A lead whose median lies more
 * than 2 mV from 0, off its row at any rate, is drawn around that median (to 0.01 mV, as the page names it). */
static ecg_status find_middles(page *p, ecg_err *err)
{
    const int64_t n = p->rec->samples;
    float *sorted = malloc((size_t)n * sizeof *sorted);
    if (!sorted)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int lead = 0; lead < ECG_LEADS; lead++) {
        int64_t m = 0;
        for (int64_t t = 0; t < n; t++)
            if (isfinite(p->mv[lead * n + t]))
                sorted[m++] = p->mv[lead * n + t];
        if (!m)
            continue;
        qsort(sorted, (size_t)m, sizeof *sorted, ascending);
        const double median = (double)sorted[m / 2];
        if (fabs(median) > 2)
            p->middle_mv[lead] = round(median * 100) / 100;
    }
    free(sorted);
    return ECG_OK;
}

static void add_strip(page *p, int lead, int row, int64_t from, int64_t to, bool rhythm)
{
    p->strip[p->strips++] = (strip){.lead = lead, .row = row, .from = from, .to = to, .rhythm = rhythm,
                                    .minus = layouts[p->o->layout].minus_avr && lead == ECG_AVR};
}

static void plan_strips(page *p)
{
    const int columns = layouts[p->o->layout].columns, rows = layouts[p->o->layout].rows;
    const int64_t n = p->rec->samples;
    for (int i = 0; i < ECG_LEADS; i++)
        add_strip(p, layouts[p->o->layout].lead[i], i % rows, n * (i / rows) / columns, n * (i / rows + 1) / columns, false);
    p->rows = rows;
    const int rhythm = p->o->rhythm == ECG_RHYTHM_USUAL ? layouts[p->o->layout].rhythm : p->o->rhythm;
    if (rhythm >= 0)
        add_strip(p, rhythm, p->rows++, 0, n, true);
}

/* Height of a sample above its middle line, in hundredths of a millimetre; far beyond any paper at most. */
static int height(const page *p, const strip *s, int64_t t)
{
    const double mv = (double)p->mv[s->lead * p->rec->samples + t] - p->middle_mv[s->lead];
    return (int)lround(fmax(-1e6, fmin(1e6, (s->minus ? -mv : mv) * p->gain * MM)));
}

static int up_to_grid(int length)
{
    return (length + GRID - 1) / GRID * GRID;
}

static int between(int x, int low, int high)
{
    return x < low ? low : x > high ? high : x;
}

/* The paper holds every row and as much of what leaves the first and the last row as 30 mm on either side can, 10 in a panel.
 * False: something does not find room there. */
static bool plan_paper(page *p, int gain)
{
    const int speed = p->o->speed_mm_per_s, grow = (p->o->panel ? 10 : 30) * MM, grow_below = (p->o->panel ? 10 : 30) * MM;
    const int above = gain * MM + GRID, below = p->o->panel ? GRID : 2 * GRID;
    int highest = 0, lowest = 0;
    p->gain = gain;
    p->row = (p->o->panel ? layouts[p->o->layout].panel_mm : layouts[p->o->layout].row_mm)[gain / 10] * MM;
    for (int i = 0; i < p->strips; i++) {
        const strip *s = &p->strip[i];
        for (int64_t t = s->from; t < s->to; t++) {
            if (!isfinite(p->mv[s->lead * p->rec->samples + t]))
                continue;
            const int h = height(p, s, t), up = h - s->row * p->row, down = -h - (p->rows - 1 - s->row) * p->row;
            highest = up > highest ? up : highest;
            lowest = down > lowest ? down : lowest;
        }
    }
    p->left = p->o->panel ? 0 : 5 * MM;
    p->time0 = p->left + 2 * GRID + speed * MM / 5; /* a square on either side of 200 ms of pulse: it starts on a bold line */
    p->right = p->time0 + p->o->seconds * speed * MM + GRID;
    p->top = p->o->panel ? 0 : 13 * MM;
    const int first = p->top + between(up_to_grid(highest + MM), above, above + grow);
    for (int i = 0; i < p->strips; i++)
        p->strip[i].level = first + p->strip[i].row * p->row;
    p->bottom = first + (p->rows - 1) * p->row + between(up_to_grid(lowest + MM), below, below + grow_below);
    return highest <= above + grow && lowest <= below + grow_below;
}

/* ---- draw ----------------------------------------------------------------------------------------------------------------------- */

static void draw_lines(ecg_text *to, const page *p, const char *look, int step, int except)
{
    ecg_svg_path path;
    ecg_text_puts(to, look);
    ecg_svg_path_begin(&path, to);
    for (int x = p->left; x <= p->right; x += step)
        if (!except || (x - p->left) % except) {
            ecg_svg_move(&path, x, p->top);
            ecg_svg_line(&path, x, p->bottom);
        }
    for (int y = p->top; y <= p->bottom; y += step)
        if (!except || (y - p->top) % except) {
            ecg_svg_move(&path, p->left, y);
            ecg_svg_line(&path, p->right, y);
        }
    ecg_svg_path_end(&path);
    ecg_text_puts(to, "</g>\n");
}

static void draw_paper(ecg_text *to, const page *p)
{
    draw_lines(to, p, "<g fill=\"none\" stroke=\"#f5d3cd\" stroke-width=\".1\">", MM, GRID);
    draw_lines(to, p, "<g fill=\"none\" stroke=\"#e59a90\" stroke-width=\".15\">", GRID, 0);
}

/* 1 mV for 200 ms before every row, its edges on bold lines. */
static void draw_pulses(ecg_text *to, const page *p)
{
    ecg_svg_path path;
    ecg_text_puts(to, "<g data-pulse=\"1 mV 200 ms\">");
    ecg_svg_path_begin(&path, to);
    for (int r = 0; r < p->rows; r++) {
        const int y = p->strip[0].level + r * p->row, rise = p->left + GRID, fall = rise + p->o->speed_mm_per_s * MM / 5;
        ecg_svg_move(&path, rise - GRID / 2, y);
        ecg_svg_line(&path, rise, y);
        ecg_svg_line(&path, rise, y - p->gain * MM);
        ecg_svg_line(&path, fall, y - p->gain * MM);
        ecg_svg_line(&path, fall, y);
        ecg_svg_line(&path, fall + GRID / 2, y);
    }
    ecg_svg_path_end(&path);
    ecg_text_puts(to, "</g>\n");
}

static int x_of(const page *p, int64_t t)
{
    return p->time0 + (int)lround((double)t / p->rec->rate_hz * p->o->speed_mm_per_s * MM);
}

static void draw_sample(ecg_svg_path *path, page *p, const strip *s, int64_t t, bool first)
{
    const int y = s->level - height(p, s, t), held = between(y, p->top, p->bottom);
    if (held != y)
        p->beyond |= 1u << s->lead;
    if (first)
        ecg_svg_move(path, x_of(p, t), held);
    else
        ecg_svg_line(path, x_of(p, t), held);
}

/* The lowest and the highest of samples [from, to); of equal ones those nearest each other, so that an edge between two levels stays where
 * it is and as steep as it is. */
static void extremes(const page *p, const strip *s, int64_t from, int64_t to, int64_t *low, int64_t *high)
{
    *low = *high = from;
    for (int64_t t = from + 1; t < to; t++) {
        *low = height(p, s, t) < height(p, s, *low) ? t : *low;
        *high = height(p, s, t) > height(p, s, *high) ? t : *high;
    }
    for (int64_t t = *low + 1; t < *high; t++)
        *low = height(p, s, t) == height(p, s, *low) ? t : *low;
    for (int64_t t = *high + 1; t < *low; t++)
        *high = height(p, s, t) == height(p, s, *high) ? t : *high;
}

/* Up to 300 samples/s all are drawn; above, of each 10 ms (0.25 mm at 25 mm/s, the width of the line) the lowest, the highest and the last
 * one, in the order in which they came: no peak is lost, and no spike of a pacemaker. Samples [from, to) are all there. */
static void draw_run(ecg_svg_path *path, page *p, const strip *s, int64_t from, int64_t to)
{
    const double rate = p->rec->rate_hz;
    const int64_t bin = rate <= 300 ? 1 : rate > 1e8 ? 1000000 : llround(rate / 100);
    draw_sample(path, p, s, from, true);
    for (int64_t t = from + 1, end; t < to; t = end) {
        int64_t low, high;
        end = (t / bin + 1) * bin < to ? (t / bin + 1) * bin : to;
        extremes(p, s, t, end, &low, &high);
        draw_sample(path, p, s, low < high ? low : high, false);
        draw_sample(path, p, s, low < high ? high : low, false);
        draw_sample(path, p, s, end - 1, false);
    }
}

/* Returns false where there is not one sample. */
static bool draw_trace(ecg_text *to, page *p, const strip *s)
{
    const float *x = p->mv + s->lead * p->rec->samples;
    ecg_svg_path path;
    bool any = false;
    for (int64_t t = s->from; t < s->to; t++) {
        const int64_t from = t;
        while (t < s->to && isfinite(x[t]))
            t++;
        if (t == from)
            continue;
        if (!any)
            ecg_svg_path_begin(&path, to);
        any = true;
        draw_run(&path, p, s, from, t);
    }
    if (any)
        ecg_svg_path_end(&path);
    return any;
}

/* Two ticks where one lead ends and the next begins, clear of the trace. */
static void draw_ticks(ecg_text *to, const page *p)
{
    ecg_svg_path path;
    if (layouts[p->o->layout].columns == 1)
        return;
    ecg_text_puts(to, "<g stroke-width=\".15\">");
    ecg_svg_path_begin(&path, to);
    for (int i = 0; i < p->strips; i++) {
        const strip *s = &p->strip[i];
        if (s->from == 0)
            continue;
        for (int side = -1; side <= 1; side += 2) {
            ecg_svg_move(&path, x_of(p, s->from), s->level + side * p->row * 4 / 15);
            ecg_svg_line(&path, x_of(p, s->from), s->level + side * p->row * 6 / 15);
        }
    }
    ecg_svg_path_end(&path);
    ecg_text_puts(to, "</g>\n");
}

static void draw_strip(ecg_text *to, page *p, const strip *s)
{
    const int at = ecg_record_find(p->rec, s->lead), x = x_of(p, s->from);
    const double ms = 1000 / p->rec->rate_hz;
    ecg_text_printf(to, "<g data-strip=\"%s\" data-lead=\"%s%s\" data-ms=\"%ld %ld\" data-level=\"", s->rhythm ? "rhythm" : "lead",
                    s->minus ? "-" : "", ecg_lead_names[s->lead], lround((double)s->from * ms), lround((double)s->to * ms));
    ecg_svg_number(to, s->level);
    ecg_text_puts(to, "\">\n");
    if (!(p->found >> s->lead & 1u)) {
        char words[64] = "not recorded";
        if (at >= 0)
            snprintf(words, sizeof words, "in %s, which is no voltage", p->rec->lead[at].unit[0] ? p->rec->lead[at].unit : "no unit");
        ecg_text_puts(to, "<g fill=\"#555\" stroke=\"none\" font-size=\"3\">");
        ecg_svg_text(to, x + 2 * MM, s->level + MM, words);
        ecg_text_puts(to, "</g>");
    } else if (!draw_trace(to, p, s)) {
        ecg_text_puts(to, "<g fill=\"#555\" stroke=\"none\" font-size=\"3\">");
        ecg_svg_text(to, x + 2 * MM, s->level + MM, "no valid sample");
        ecg_text_puts(to, "</g>");
    }
    ecg_text_puts(to, "</g>\n");
}

/* Always at the same place of its strip, even where a tall first beat crosses it: a name that dodges comes to stand near another trace. */
static void draw_names(ecg_text *to, const page *p)
{
    char name[16];
    ecg_text_puts(to, "<g font-size=\"3.5\" font-weight=\"bold\">\n");
    for (int i = 0; i < p->strips; i++) {
        const strip *s = &p->strip[i];
        snprintf(name, sizeof name, "%s%s", s->minus ? "\xe2\x88\x92" : "", ecg_lead_names[s->lead]); /* a true minus sign */
        if (layouts[p->o->layout].columns == 1) /* narrow rows: above the pulse, where no trace crosses it */
            ecg_svg_text(to, p->left + GRID / 2, s->level - p->gain * MM - MM, name);
        else
            ecg_svg_text(to, x_of(p, s->from) + MM, s->level - p->row / 3, name);
    }
    ecg_text_puts(to, "</g>\n");
}

/* ---- words ---------------------------------------------------------------------------------------------------------------------- */

/* At most `letters` letters, "..." where there were more. */
static void shorten(char *out, size_t size, const char *s, int letters)
{
    size_t n = 0;
    for (; s[n] && n + 4 < size; n++)
        if (((unsigned char)s[n] & 0xc0) != 0x80 && letters-- == 0)
            break;
    while (s[n] && n && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    memcpy(out, s, n);
    snprintf(out + n, size - n, "%s", s[n] ? "..." : "");
}

static void draw_head(ecg_text *to, const page *p, const ecg_record *whole)
{
    char line[512];
    char name[80];
    const bool titled = p->o->title && *p->o->title;
    snprintf(name, sizeof name, "record %s", whole->name[0] ? whole->name : "without a name");
    ecg_text_puts(to, "<g font-size=\"4\" font-weight=\"bold\">");
    shorten(line, sizeof line, titled ? p->o->title : name, 110);
    ecg_svg_text(to, p->left, 7 * MM, line);
    ecg_text_puts(to, "</g>\n<g font-size=\"3\">");
    int n = snprintf(line, sizeof line, "%s%s%s%s", titled ? name : "", titled ? ", " : "", whole->when, whole->when[0] ? ", " : "");
    n += snprintf(line + n, sizeof line - (size_t)n, "%.4g s", (double)whole->samples / whole->rate_hz);
    if (p->rec->samples < whole->samples)
        n += snprintf(line + n, sizeof line - (size_t)n, ", of which the first %d s are drawn", p->o->seconds);
    snprintf(line + n, sizeof line - (size_t)n, ", sampled at %.6g Hz", whole->rate_hz);
    ecg_svg_text(to, p->left, 11 * MM, line);
    ecg_text_puts(to, "</g>\n");
}

/* Writes the line where there is one, broken at blanks into lines of 150 bytes, and empties it. Returns y of the last. */
static int note(ecg_text *to, const page *p, int y, ecg_text *line)
{
    char part[156];
    for (size_t at = 0; at < line->len;) {
        size_t n = line->len - at < 150 ? line->len - at : 150;
        if (at + n < line->len) {
            size_t blank = n;
            while (blank && line->at[at + blank] != ' ')
                blank--;
            n = blank ? blank : n;
        }
        snprintf(part, sizeof part, "%.*s", (int)n, line->at + at);
        ecg_svg_text(to, p->left, y += 4 * MM, part);
        at += n + (line->at[at + n] == ' ');
    }
    to->failed = to->failed || line->failed;
    ecg_text_clear(line);
    return y;
}

/* One more name of a remark that begins with `head`: "head: I, II". Remarks follow each other in a line. */
static void remark(ecg_text *line, bool *begun, const char *head, const char *name)
{
    if (!*begun)
        ecg_text_printf(line, "%s%s:", line->len ? "; " : "", head);
    ecg_text_printf(line, "%s %s", *begun ? "," : "", name);
    *begun = true;
}

/* What was noticed in the recording, and what was done to the drawing: a line each, in a panel all behind the words in `line`. Returns y of
 * the last line. */
static int notes(ecg_text *to, const page *p, int y, ecg_text *line)
{
    ecg_quality q;
    bool odd = false, shifted = false, cut = false;
    ecg_record_quality(&q, p->rec);
    if (q.note[0] && !p->o->panel) {
        ecg_text_printf(line, "noticed: %s", q.note);
        y = note(to, p, y, line);
    }
    for (int i = 0; i < p->rec->leads; i++)
        if (ecg_lead_from_name(p->rec->lead[i].name) < 0)
            remark(line, &odd, "recorded and not drawn", p->rec->lead[i].name[0] ? p->rec->lead[i].name : "(no name)");
    y = p->o->panel ? y : note(to, p, y, line);
    for (int lead = 0; lead < ECG_LEADS; lead++)
        if (p->middle_mv[lead] != 0) {
            char at[48];
            snprintf(at, sizeof at, "%s at %.2f mV", ecg_lead_names[lead], p->middle_mv[lead]);
            remark(line, &shifted, "middle line not at 0", at);
        }
    y = p->o->panel ? y : note(to, p, y, line);
    for (int lead = 0; lead < ECG_LEADS; lead++)
        if (p->beyond >> lead & 1u)
            remark(line, &cut, "leaves the paper and is held at its edge", ecg_lead_names[lead]);
    return note(to, p, y, line);
}

/* Returns y below the last line. */
static int draw_foot(ecg_text *to, const page *p, const ecg_record *whole)
{
    ecg_text line = {0};
    int y = p->bottom;
    ecg_text_puts(to, "<g font-size=\"3\">\n");
    ecg_text_printf(&line, "%d mm/s, %d mm/mV%s, no filter", p->o->speed_mm_per_s, p->gain,
                    p->o->gain_mm_per_mv == ECG_GAIN_FITTING && p->gain != 10 ? " (half of the usual: the waves are high)" : "");
    if (p->o->panel && p->rec->samples < whole->samples)
        ecg_text_printf(&line, ", the first %d s of %.4g s", p->o->seconds, (double)whole->samples / whole->rate_hz);
    if (!p->o->panel) {
        y = note(to, p, y, &line);
        ecg_svg_text_end_at(to, p->right, y, ECG_STATEMENT);
    }
    y = notes(to, p, y, &line);
    ecg_text_puts(to, "</g>\n");
    return y + (p->o->panel ? MM : 2 * MM);
}

/* The height of the page is known once all is drawn, so the parts are drawn into a text of their own. */
static void draw_page(ecg_text *to, page *p, const ecg_record *whole)
{
    ecg_text in = {0};
    draw_paper(&in, p);
    ecg_text_puts(&in, "<g font-family=\"Helvetica,Arial,sans-serif\" fill=\"#000\">\n");
    draw_names(&in, p);
    ecg_text_puts(&in, "<g fill=\"none\" stroke=\"#000\" stroke-width=\".25\" stroke-linejoin=\"round\" stroke-linecap=\"round\">\n");
    draw_pulses(&in, p);
    draw_ticks(&in, p);
    for (int i = 0; i < p->strips; i++)
        draw_strip(&in, p, &p->strip[i]);
    ecg_text_puts(&in, "</g>\n");
    if (!p->o->panel)
        draw_head(&in, p, whole);
    const int width = p->right + p->left, tall = draw_foot(&in, p, whole);
    ecg_text_puts(&in, "</g>\n");

    const int size[] = {width, tall};
    ecg_text_puts(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"");
    for (int i = 0; i < 2; i++) {
        ecg_text_puts(to, i ? " height=\"" : " width=\"");
        ecg_svg_number(to, size[i]);
        ecg_text_puts(to, "mm\"");
    }
    ecg_text_puts(to, " viewBox=\"0 0 ");
    ecg_svg_number(to, width);
    ecg_text_puts(to, " ");
    ecg_svg_number(to, tall);
    ecg_text_printf(to, "\" data-speed=\"%d\" data-gain=\"%d\" data-time0=\"", p->o->speed_mm_per_s, p->gain);
    ecg_svg_number(to, p->time0);
    ecg_text_puts(to, "\">\n<title>ECG");
    ecg_text_puts(to, whole->name[0] ? " " : "");
    ecg_svg_escape(to, whole->name);
    ecg_text_printf(to, ": %s, %d mm/s, %d mm/mV</title>\n", ecg_layout_names[p->o->layout], p->o->speed_mm_per_s, p->gain);
    ecg_text_puts(to, "<path d=\"M0 0h");
    ecg_svg_number(to, width);
    ecg_text_puts(to, "v");
    ecg_svg_number(to, tall);
    ecg_text_puts(to, "H0z\" fill=\"#fff\"/>\n");
    if (in.failed)
        to->failed = true;
    else
        ecg_text_add(to, in.at, in.len);
    ecg_text_puts(to, "</svg>\n");
    ecg_text_clear(&in);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

/* The first seconds of the recording as a recording. */
static ecg_status first_stretch(ecg_record *out, const ecg_record *rec, int seconds, ecg_err *err)
{
    const double most = round(seconds * rec->rate_hz);
    const int64_t n = most < 1 ? 1 : (double)rec->samples > most ? (int64_t)most : rec->samples;
    const ecg_status st = ecg_record_make(out, rec->leads, n, rec->rate_hz, err);
    if (st)
        return st;
    for (int i = 0; i < rec->leads; i++) {
        out->lead[i] = rec->lead[i];
        memcpy(out->value + i * n, rec->value + i * rec->samples, (size_t)n * sizeof *out->value);
    }
    out->warnings = rec->warnings;
    return ECG_OK;
}

static ecg_status check(const ecg_record *rec, const ecg_plot_options *o, ecg_err *err)
{
    if ((int)o->layout < 0 || o->layout >= ECG_LAYOUTS)
        return ecg_fail(err, ECG_EARG, "layout %d of %d", (int)o->layout, (int)ECG_LAYOUTS);
    if (o->speed_mm_per_s != 25 && o->speed_mm_per_s != 50)
        return ecg_fail(err, ECG_EARG, "a speed of %d mm/s; there are 25 and 50", o->speed_mm_per_s);
    if (o->seconds < 1 || o->seconds > 60)
        return ecg_fail(err, ECG_EARG, "%d s of drawing; 1 to 60 are possible", o->seconds);
    if (o->gain_mm_per_mv != ECG_GAIN_FITTING && o->gain_mm_per_mv != 5 && o->gain_mm_per_mv != 10 && o->gain_mm_per_mv != 20)
        return ecg_fail(err, ECG_EARG, "a gain of %d mm/mV; there are 5, 10 and 20", o->gain_mm_per_mv);
    if (o->rhythm < ECG_RHYTHM_NONE || o->rhythm >= ECG_LEADS)
        return ecg_fail(err, ECG_EARG, "rhythm lead %d of %d", o->rhythm, (int)ECG_LEADS);
    if (rec->samples < 1)
        return ecg_fail(err, ECG_EDATA, "no samples");
    if (!(rec->rate_hz > 0) || !isfinite(rec->rate_hz))
        return ecg_fail(err, ECG_EDATA, "no rate, hence no time");
    for (int lead = 0; lead < ECG_LEADS; lead++)
        if (ecg_record_find(rec, lead) >= 0)
            return ECG_OK;
    return ecg_fail(err, ECG_EDATA, "%d signal%s, none of the twelve leads", rec->leads, rec->leads == 1 ? "" : "s");
}

ecg_status ecg_plot(ecg_text *svg, const ecg_record *rec, const ecg_plot_options *options, ecg_err *err)
{
    ecg_record stretch = {0};
    page p = {.o = options, .rec = &stretch};
    ecg_status st = check(rec, options, err);
    if (!st)
        st = first_stretch(&stretch, rec, options->seconds, err);
    if (!st && !(p.mv = malloc(sizeof *p.mv * ECG_LEADS * (size_t)stretch.samples)))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st) {
        p.found = ecg_record_twelve(p.mv, &stretch);
        st = find_middles(&p, err);
    }
    if (!st) {
        plan_strips(&p);
        if (options->gain_mm_per_mv != ECG_GAIN_FITTING)
            plan_paper(&p, options->gain_mm_per_mv);
        else if (!plan_paper(&p, 10))
            plan_paper(&p, 5);
        draw_page(svg, &p, rec);
        if (svg->failed)
            st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    free(p.mv);
    ecg_record_clear(&stretch);
    return st;
}
