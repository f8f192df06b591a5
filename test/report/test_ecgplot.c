/* SPDX-License-Identifier: MIT
 * test_ecgplot.c: what stands on the page, read back from the SVG by a reader of its own: millimetres, leads, gaps, words. The golden pages
 * hold the whole of each layout; ECGRAFT_WRITE_GOLDEN=1 writes them anew (and fails, so that nobody passes by writing). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/ecgplot.h"
#include "report/svg.h"

/* ---- recordings ----------------------------------------------------------------------------------------------------------------- */

static ecg_record make(int leads, int64_t samples, double rate_hz, const char *name)
{
    ecg_record rec;
    assert_int_equal(ecg_record_make(&rec, leads, samples, rate_hz, NULL), ECG_OK);
    for (int i = 0; i < leads; i++) {
        snprintf(rec.lead[i].name, sizeof rec.lead[i].name, "%s", ecg_lead_names[i % ECG_LEADS]);
        snprintf(rec.lead[i].unit, sizeof rec.lead[i].unit, "mV");
    }
    snprintf(rec.name, sizeof rec.name, "%s", name);
    memset(rec.value, 0, sizeof *rec.value * (size_t)(leads * samples));
    return rec;
}

/* A beat a second made of triangles in steps of 1/64 mV (exact in float): P, QRS, T; R grows with the lead, III and the augmented leads
 * follow from I and II. Nothing in it to notice. */
static float triangle(int64_t t, int64_t at, int64_t half)
{
    const int64_t away = t < at ? at - t : t - at;
    return away < half ? (float)(half - away) / (float)half : 0;
}

static ecg_record beats(double rate_hz, double seconds)
{
    const int64_t n = (int64_t)(rate_hz * seconds), second = (int64_t)rate_hz;
    ecg_record rec = make(ECG_LEADS, n, rate_hz, "beats");
    for (int lead = 0; lead < ECG_LEADS; lead++)
        for (int64_t t = 0; t < n; t++) {
            const int64_t in = t % second;
            const float steps = 8 * triangle(in, second / 5, second / 20 + 1) + (float)(32 + 8 * lead) * triangle(in, second * 2 / 5, second / 25 + 1) +
                                16 * triangle(in, second * 7 / 10, second / 10 + 1) + (float)(lead ? t / 2 % 2 : t % 2); /* never at rest */
            rec.value[lead * n + t] = floorf(steps) / 64;
        }
    float *x = rec.value;
    for (int64_t t = 0; t < n; t++) {
        x[ECG_III * n + t] = x[ECG_II * n + t] - x[ECG_I * n + t];
        x[ECG_AVR * n + t] = -(x[ECG_I * n + t] + x[ECG_II * n + t]) / 2;
        x[ECG_AVL * n + t] = x[ECG_I * n + t] - x[ECG_II * n + t] / 2;
        x[ECG_AVF * n + t] = x[ECG_II * n + t] - x[ECG_I * n + t] / 2;
    }
    return rec;
}

static char *draw(const ecg_record *rec, ecg_plot_options o)
{
    ecg_text svg = {0};
    ecg_err err = {0};
    if (ecg_plot(&svg, rec, &o, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(strlen(svg.at), svg.len);
    return svg.at;
}

static ecg_plot_options with(ecg_layout layout, int speed, int gain)
{
    ecg_plot_options o = ecg_plot_usual;
    o.layout = layout;
    o.speed_mm_per_s = speed;
    o.gain_mm_per_mv = gain;
    return o;
}

/* ---- reading a page back -------------------------------------------------------------------------------------------------------- */

static int count(const char *in, const char *what)
{
    int n = 0;
    for (const char *at = strstr(in, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

typedef struct {
    double x[8192], y[8192];
    bool move[8192]; /* a new piece of line begins here */
    int n, pieces;
} points;

/* M (absolute), l (relative, repeated) and h0 are all that a trace may hold. */
static void read_path(points *p, const char *from)
{
    *p = (points){0};
    const char *at = strstr(from, "<path d=\"");
    assert_non_null(at);
    at += strlen("<path d=\"");
    char mode = 0;
    double x = 0, y = 0;
    while (*at != '"') {
        if (*at == 'M' || *at == 'l')
            mode = *at++;
        if (strncmp(at, "h0", 2) == 0) {
            at += 2;
            continue;
        }
        /* strtod would read ".05.1" rightly, as a second point ends a number there too */
        char *end;
        const double a = strtod(at, &end);
        assert_true(end != at);
        at = end + (*end == ' ');
        const double b = strtod(at, &end);
        assert_true(end != at);
        at = end + (*end == ' ');
        x = mode == 'M' ? a : x + a;
        y = mode == 'M' ? b : y + b;
        assert_true(p->n < 8192);
        p->x[p->n] = x;
        p->y[p->n] = y;
        p->move[p->n++] = mode == 'M';
        p->pieces += mode == 'M';
    }
}

static double attribute(const char *from, const char *name)
{
    char key[40];
    snprintf(key, sizeof key, " %s=\"", name);
    const char *at = strstr(from, key);
    assert_non_null(at);
    return strtod(at + strlen(key), NULL);
}

static const char *strip_of(const char *svg, const char *kind, const char *lead)
{
    char key[64];
    snprintf(key, sizeof key, "<g data-strip=\"%s\" data-lead=\"%s\"", kind, lead);
    return strstr(svg, key);
}

/* Tags open and close in order, attributes are quoted, no bare & or <. Not a parser of XML, but what we write wrongly it finds. */
static void assert_well_formed(const char *s)
{
    char open[32][32];
    int depth = 0, elements = 0;
    while (*s) {
        if (*s == '&') {
            const size_t n = strcspn(s, ";");
            assert_true(n >= 3 && n <= 5 && s[n] == ';');
        }
        assert_true(*s != '>');
        if (*s != '<') {
            s++;
            continue;
        }
        const bool closing = s[1] == '/';
        s += 1 + closing;
        const size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz");
        assert_true(n > 0 && n < 32);
        if (closing) {
            assert_true(depth > 0 && strlen(open[depth - 1]) == n && strncmp(open[depth - 1], s, n) == 0);
            depth--;
            s += n;
            assert_int_equal(*s++, '>');
            continue;
        }
        assert_true(depth < 32 && (depth > 0 || elements == 0));
        snprintf(open[depth], sizeof open[0], "%.*s", (int)n, s);
        elements++;
        s += n;
        while (*s == ' ') {
            s += 1 + strspn(s + 1, "abcdefghijklmnopqrstuvwxyzBVH-0123456789");
            assert_int_equal(*s++, '=');
            assert_int_equal(*s++, '"');
            s += strcspn(s, "\"<&");
            assert_int_equal(*s++, '"');
        }
        depth += *s != '/';
        s += *s == '/';
        assert_int_equal(*s++, '>');
    }
    assert_int_equal(depth, 0);
    assert_true(elements > 10);
}

/* ---- millimetres ---------------------------------------------------------------------------------------------------------------- */

/* Where the line first passes the height y, going up (dir -1, as y runs down the page) or down. */
static double crossing(const points *p, double y, int dir)
{
    for (int i = 1; i < p->n; i++)
        if (!p->move[i] && (dir < 0 ? p->y[i - 1] > y && p->y[i] <= y : p->y[i - 1] < y && p->y[i] >= y))
            return p->x[i - 1] + (p->x[i] - p->x[i - 1]) * (y - p->y[i - 1]) / (p->y[i] - p->y[i - 1]);
    fail_msg("the line does not pass %g", y);
    return 0;
}

/* A recorded pulse of 1 mV from 1.006 to 1.206 s is gain mm high, a fifth of the speed wide, and stands where its time is. The pulse
 * that the page draws by itself has the same size. Trap: a page that uses or prints the sampling rate in place of the paper speed. */
static void pulse_in_millimetres(void **state)
{
    (void)state;
    static const int speeds[] = {25, 50}, gains[] = {5, 10, 20};
    static const double rates[] = {100, 250, 500, 1000, 257};
    points *p = malloc(sizeof *p);
    assert_non_null(p);
    for (int s = 0; s < 2; s++)
        for (int g = 0; g < 3; g++)
            for (int r = 0; r < 5; r++) {
                const int64_t n = (int64_t)(10 * rates[r]);
                ecg_record rec = make(ECG_LEADS, n, rates[r], "pulse");
                const int64_t first = (int64_t)ceil(1.006 * rates[r] - 1e-9), last = (int64_t)ceil(1.206 * rates[r] - 1e-9);
                for (int64_t t = first; t < last; t++)
                    rec.value[ECG_I * n + t] = 1;
                char *svg = draw(&rec, with(ECG_LAYOUT_12X1, speeds[s], gains[g]));
                const char *strip = strip_of(svg, "lead", "I");
                assert_non_null(strip);
                read_path(p, strip);
                const double level = attribute(strip, "data-level"), time0 = attribute(svg, "data-time0"), sample = speeds[s] / rates[r];
                double top = level;
                for (int i = 0; i < p->n; i++)
                    top = fmin(top, p->y[i]);
                assert_true(fabs(level - top - gains[g]) < 1e-9);
                const double up = crossing(p, level - gains[g] / 2.0, -1), down = crossing(p, level - gains[g] / 2.0, +1);
                /* half of the height is half a sample before the first one; 0.011: two ends rounded to 0.01 mm */
                const double from = ((double)first - 0.5) * sample, to = ((double)last - 0.5) * sample;
                if (fabs(up - time0 - from) > 0.011 || fabs(down - time0 - to) > 0.011 || fabs(to - from - speeds[s] / 5.0) > sample)
                    fail_msg("%d mm/s at %g Hz: from %g to %g mm, not from %g to %g", speeds[s], rates[r], up - time0, down - time0, from, to);
                assert_true(fabs(p->x[p->n - 1] - time0 - (double)(n - 1) * sample) < 0.006);

                char words[64];
                snprintf(words, sizeof words, ">%d mm/s, %d mm/mV, no filter<", speeds[s], gains[g]);
                assert_int_equal(count(svg, words), 1);
                assert_int_equal(count(svg, "mm/s, "), 2); /* on the page and in its title, nowhere else */
                read_path(p, strstr(svg, "data-pulse"));
                assert_int_equal(p->pieces, 12);
                assert_true(fabs(p->y[1] - p->y[2] - gains[g]) < 1e-9 && fabs(p->x[3] - p->x[2] - speeds[s] / 5.0) < 1e-9);

                const char *box = strstr(svg, "viewBox=\"0 0 ");
                char *end;
                const double wide = strtod(box + strlen("viewBox=\"0 0 "), &end);
                assert_true(wide == attribute(svg, "width") && strtod(end, NULL) == attribute(svg, "height"));
                assert_true(wide > 10 * speeds[s] + 15);
                assert_int_equal(count(svg, "mm\" height=\""), 1);
                free(svg);
                ecg_record_clear(&rec);
            }
    free(p);
}

/* ---- layouts -------------------------------------------------------------------------------------------------------------------- */

/* Trap: a 6x2 page that draws V1 twice and leaves III out. Each lead once, at its place, with its own samples and its own time. */
static void each_lead_once(void **state)
{
    (void)state;
    static const struct {
        ecg_layout layout;
        int columns, rhythms;
        const char *order[12]; /* down the columns */
    } cases[] = {
        {ECG_LAYOUT_3X4, 4, 1, {"I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"}},
        {ECG_LAYOUT_6X2, 2, 0, {"I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"}},
        {ECG_LAYOUT_12X1, 1, 0, {"I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"}},
        {ECG_LAYOUT_CABRERA, 2, 0, {"aVL", "I", "-aVR", "II", "aVF", "III", "V1", "V2", "V3", "V4", "V5", "V6"}},
    };
    points *p = malloc(sizeof *p);
    assert_non_null(p);
    /* lead i lies at i/10 mV all the time, so its trace says which lead it is */
    ecg_record rec = make(ECG_LEADS, 1000, 100, "levels");
    for (int lead = 0; lead < ECG_LEADS; lead++)
        for (int t = 0; t < 1000; t++)
            rec.value[lead * 1000 + t] = (float)(lead + 1) / 10;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char *svg = draw(&rec, with(cases[c].layout, 25, 10));
        const int rows = 12 / cases[c].columns;
        double level_above = 0;
        assert_int_equal(count(svg, "data-strip=\"lead\""), 12);
        assert_int_equal(count(svg, "data-strip=\"rhythm\""), cases[c].rhythms);
        for (int i = 0; i < 12; i++) {
            const char *name = cases[c].order[i], *plain = name + (*name == '-'), *strip = strip_of(svg, "lead", name);
            char shown[32];
            assert_non_null(strip);
            assert_null(strip_of(strip + 1, "lead", name));
            snprintf(shown, sizeof shown, ">%s%s<", *name == '-' ? "\xe2\x88\x92" : "", plain);
            assert_int_equal(count(svg, shown), 1 + (cases[c].rhythms && strcmp(name, "II") == 0));
            read_path(p, strip);
            const double level = attribute(strip, "data-level"), mv = (level - p->y[0]) / 10;
            if (fabs(mv - (*name == '-' ? -1 : 1) * (ecg_lead_from_name(plain) + 1) / 10.0) > 1e-9)
                fail_msg("%s of layout %s lies at %g mV", name, ecg_layout_names[cases[c].layout], mv);
            assert_true(i % rows == 0 || level > level_above);
            level_above = level;
            const double begin = 10.0 * (i / rows) / cases[c].columns, length = 10.0 / cases[c].columns;
            assert_true(fabs(p->x[0] - attribute(svg, "data-time0") - 25 * begin) < 0.006);
            assert_true(fabs(p->x[p->n - 1] - p->x[0] - 25 * (length - 0.01)) < 0.011);
        }
        assert_well_formed(svg);
        free(svg);
    }
    free(p);
    ecg_record_clear(&rec);
}

static void rhythm_strip(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        ecg_layout layout;
        int rhythm;
        const char *lead; /* NULL: none */
    } cases[] = {
        {"II below 3x4", ECG_LAYOUT_3X4, ECG_RHYTHM_USUAL, "II"},   {"V1 instead", ECG_LAYOUT_3X4, ECG_V1, "V1"},
        {"none", ECG_LAYOUT_3X4, ECG_RHYTHM_NONE, NULL},            {"6x2 has none", ECG_LAYOUT_6X2, ECG_RHYTHM_USUAL, NULL},
        {"asked for", ECG_LAYOUT_6X2, ECG_II, "II"},                {"asked for, I is number 0", ECG_LAYOUT_12X1, ECG_I, "I"},
        {"the minus of Cabrera", ECG_LAYOUT_CABRERA, ECG_AVR, "-aVR"},
    };
    ecg_record rec = beats(25, 10);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_plot_options o = with(cases[c].layout, 25, 10);
        o.rhythm = cases[c].rhythm;
        char *svg = draw(&rec, o);
        if (count(svg, "data-strip=\"rhythm\"") != (cases[c].lead != NULL) || (cases[c].lead && !strip_of(svg, "rhythm", cases[c].lead)))
            fail_msg("%s", cases[c].why);
        assert_int_equal(count(svg, "data-strip=\"lead\""), 12);
        if (cases[c].lead)
            assert_int_equal(count(strip_of(svg, "rhythm", cases[c].lead), "data-ms=\"0 10000\""), 1);
        free(svg);
    }
    ecg_record_clear(&rec);
}

/* ---- what is missing, too long, too short, too high ------------------------------------------------------------------------------ */

static void gaps_and_absent_leads(void **state)
{
    (void)state;
    points *p = malloc(sizeof *p);
    assert_non_null(p);
    ecg_record rec = make(ECG_LEADS, 5000, 500, "gaps");
    for (int t = 1000; t < 2000; t++)
        rec.value[ECG_II * 5000 + t] = NAN;
    for (int t = 2501; t < 3000; t++) /* sample 2500 stays alone behind another gap */
        rec.value[ECG_II * 5000 + t] = NAN;
    rec.value[ECG_II * 5000 + 2499] = INFINITY;
    for (int t = 0; t < 5000; t++)
        rec.value[ECG_V3 * 5000 + t] = NAN;
    snprintf(rec.lead[ECG_V4].name, sizeof rec.lead[0].name, "MLII");
    snprintf(rec.lead[ECG_V5].unit, sizeof rec.lead[0].unit, "mmHg");
    char *svg = draw(&rec, with(ECG_LAYOUT_12X1, 25, 10));
    read_path(p, strip_of(svg, "lead", "II"));
    const double time0 = attribute(svg, "data-time0");
    assert_int_equal(p->pieces, 4);
    double ends[8];
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (p->move[i] || i + 1 == p->n || p->move[i + 1])
            for (int twice = p->move[i] && (i + 1 == p->n || p->move[i + 1]) ? 2 : 1; twice--;)
                ends[n++] = (p->x[i] - time0) / 25 * 500;
    static const double expected[] = {0, 999, 2000, 2498, 2500, 2500, 3000, 4999};
    assert_int_equal(n, 8);
    for (int i = 0; i < 8; i++)
        if (fabs(ends[i] - expected[i]) > 0.15)
            fail_msg("a piece ends at sample %g, expected %g", ends[i], expected[i]);
    assert_int_equal(count(svg, "h0"), 1);
    assert_int_equal(count(svg, ">not recorded<"), 1);
    assert_int_equal(count(svg, ">no valid sample<"), 1);
    assert_int_equal(count(svg, ">in mmHg, which is no voltage<"), 1);
    assert_int_equal(count(svg, ">recorded and not drawn: MLII<"), 1);
    assert_int_equal(count(svg, "% missing"), 1);
    assert_well_formed(svg);
    free(svg);
    ecg_record_clear(&rec);

    rec = make(2, 5000, 500, "two leads"); /* I and II: the limb leads follow, the chest leads do not */
    svg = draw(&rec, with(ECG_LAYOUT_3X4, 25, 10));
    assert_int_equal(count(svg, ">not recorded<"), 6);
    assert_int_equal(count(svg, "III, aVR, aVL, aVF derived"), 1);
    free(svg);
    ecg_record_clear(&rec);
    free(p);
}

static void lengths(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        double seconds, drawn;
        const char *words;
    } cases[] = {
        {"a minute", 60, 10, ">60 s, of which the first 10 s are drawn, sampled at 100 Hz<"},
        {"ten seconds and a sample", 10.01, 10, ">10.01 s, of which the first 10 s are drawn, sampled at 100 Hz<"},
        {"ten seconds", 10, 10, ">10 s, sampled at 100 Hz<"},
        {"six seconds", 6, 6, ">6 s, sampled at 100 Hz<"},
        {"three samples for four columns", 0.03, 0.03, ">0.03 s, sampled at 100 Hz<"},
        {"one sample", 0.01, 0.01, ">0.01 s, sampled at 100 Hz<"},
    };
    points *p = malloc(sizeof *p);
    assert_non_null(p);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_record rec = make(ECG_LEADS, lround(cases[c].seconds * 100), 100, "length");
        char *svg = draw(&rec, ecg_plot_usual);
        if (count(svg, cases[c].words) != 1)
            fail_msg("%s: no %s", cases[c].why, cases[c].words);
        read_path(p, strip_of(svg, "rhythm", "II"));
        assert_true(fabs(p->x[p->n - 1] - attribute(svg, "data-time0") - 25 * (cases[c].drawn - 0.01)) < 0.006);
        read_path(p, strip_of(svg, "lead", "V6")); /* the last column ends with the recording: columns share its time */
        assert_true(fabs(p->x[p->n - 1] - attribute(svg, "data-time0") - 25 * (cases[c].drawn - 0.01)) < 0.006);
        assert_well_formed(svg);
        free(svg);
        ecg_record_clear(&rec);
    }
    free(p);
}

/* Out of its row, not out of the page: 4 mV in the first row and -3 mV in the last one make the paper grow; 40 mV cannot be had and are
 * named; 100 mV of offset are taken off and named. */
static void high_and_low(void **state)
{
    (void)state;
    points *p = malloc(sizeof *p);
    assert_non_null(p);
    ecg_record rec = make(ECG_LEADS, 1000, 100, "high");
    char *svg = draw(&rec, ecg_plot_usual);
    const double usual = attribute(svg, "height");
    free(svg);
    rec.value[ECG_I * 1000 + 100] = 4;
    rec.value[ECG_II * 1000 + 100] = -3;
    svg = draw(&rec, ecg_plot_usual);
    assert_true(attribute(svg, "height") >= usual + 45);
    read_path(p, strip_of(svg, "lead", "I"));
    assert_true(fabs(attribute(strip_of(svg, "lead", "I"), "data-level") - p->y[100] - 40) < 1e-9 && p->y[100] > 13);
    assert_null(strstr(svg, "leaves the paper"));
    free(svg);

    rec.value[ECG_I * 1000 + 101] = 40;
    rec.value[ECG_V2 * 1000 + 600] = -3e38f;
    for (int t = 0; t < 1000; t++)
        rec.value[ECG_V6 * 1000 + t] = 100.25f + (t == 900);
    svg = draw(&rec, ecg_plot_usual);
    assert_int_equal(count(svg, ">leaves the paper and is held at its edge: I, V2<"), 1);
    assert_int_equal(count(svg, ">middle line not at 0: V6 at 100.25 mV<"), 1);
    read_path(p, strip_of(svg, "lead", "V6"));
    assert_true(fabs(p->y[0] - attribute(strip_of(svg, "lead", "V6"), "data-level")) < 1e-9);
    assert_true(fabs(p->y[0] - p->y[150] - 10) < 1e-9);
    for (int lead = 0; lead < ECG_LEADS; lead++) {
        read_path(p, strip_of(svg, "lead", ecg_lead_names[lead]));
        for (int i = 0; i < p->n; i++)
            assert_true(p->y[i] >= 13 && p->y[i] <= attribute(svg, "height"));
    }
    assert_well_formed(svg);
    free(svg);
    free(p);
    ecg_record_clear(&rec);
}

/* Of many samples in a millimetre the extremes stay: a spike of one sample is as high as it was, where it was. */
static void spikes_survive(void **state)
{
    (void)state;
    static const double rates[] = {360, 500, 1000, 2000, 20000};
    points *p = malloc(sizeof *p);
    assert_non_null(p);
    for (int r = 0; r < 5; r++) {
        const int64_t n = (int64_t)(10 * rates[r]);
        ecg_record rec = make(ECG_LEADS, n, rates[r], "spikes");
        for (int k = 0; k < 7; k++)
            rec.value[ECG_V1 * n + n / 10 + n * k / 9 + k] = k % 2 ? -1 : 1;
        char *svg = draw(&rec, with(ECG_LAYOUT_12X1, 25, 10));
        const char *strip = strip_of(svg, "lead", "V1");
        read_path(p, strip);
        int found = 0;
        for (int i = 0; i < p->n; i++)
            if (fabs(fabs(p->y[i] - attribute(strip, "data-level")) - 10) < 1e-9) {
                const int64_t at = n / 10 + n * found / 9 + found;
                assert_true(fabs(p->x[i] - attribute(svg, "data-time0") - (double)at / rates[r] * 25) < 0.006);
                found++;
            }
        assert_int_equal(found, 7);
        free(svg);
        ecg_record_clear(&rec);
    }
    free(p);
}

/* Noise in all leads is the worst case for the size. */
static void size_and_same_bytes(void **state)
{
    (void)state;
    ecg_record rec = make(ECG_LEADS, 5000, 500, "noise");
    uint32_t x = 1;
    for (int i = 0; i < ECG_LEADS * 5000; i++) {
        x = x * 1664525u + 1013904223u;
        rec.value[i] = (float)(x >> 20) / 4096 - 0.5f;
    }
    for (int layout = 0; layout < ECG_LAYOUTS; layout++)
        for (int speed = 25; speed <= 50; speed += 25) {
            char *a = draw(&rec, with((ecg_layout)layout, speed, 20)), *b = draw(&rec, with((ecg_layout)layout, speed, 20));
            assert_string_equal(a, b);
            if (strlen(a) >= 300000)
                fail_msg("%s at %d mm/s: %zu bytes", ecg_layout_names[layout], speed, strlen(a));
            free(a);
            free(b);
        }
    ecg_record_clear(&rec);
}

/* ---- words ---------------------------------------------------------------------------------------------------------------------- */

static void words_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *why, *in, *out;
    } cases[] = {
        {"entities", "<b>&\"'", "&lt;b&gt;&amp;&quot;&#39;"},
        {"UTF-8 stays", "B\xc3\xa4r \xe2\x88\x92 \xf0\x9f\x92\x93", "B\xc3\xa4r \xe2\x88\x92 \xf0\x9f\x92\x93"},
        {"Latin-1", "B\xe4r", "B\xef\xbf\xbdr"},
        {"cut at the end", "x\xe2\x88", "x\xef\xbf\xbd\xef\xbf\xbd"},
        {"controls", "a\x01\x1b\x7f\tb", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\tb"},
        {"written too long", "\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"a surrogate", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"U+FFFF", "\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_text t = {0};
        ecg_svg_escape(&t, cases[c].in);
        if (strcmp(t.at, cases[c].out))
            fail_msg("%s: %s", cases[c].why, t.at);
        ecg_text_clear(&t);
    }

    ecg_record rec = beats(25, 10);
    snprintf(rec.name, sizeof rec.name, "</title><script>&\"");
    snprintf(rec.lead[ECG_V6].name, sizeof rec.lead[0].name, "<\x02V7>");
    ecg_plot_options o = ecg_plot_usual;
    char *svg = draw(&rec, o);
    assert_int_equal(count(svg, ">record &lt;/title&gt;&lt;script&gt;&amp;&quot;<"), 1);
    assert_null(strstr(svg, "script>"));
    assert_well_formed(svg);
    free(svg);

    char title[600];
    for (int i = 0; i < 299; i++)
        memcpy(title + 2 * i, "\xc3\xa4", 3);
    o.title = title;
    svg = draw(&rec, o);
    assert_int_equal(count(svg, "\xc3\xa4"), 110);
    assert_int_equal(count(svg, "\xc3\xa4...<"), 1);
    assert_null(strstr(svg, "\xef\xbf\xbd..."));
    assert_int_equal(count(svg, ">" ECG_STATEMENT "<"), 1);
    assert_well_formed(svg);
    free(svg);
    ecg_record_clear(&rec);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        int in;
        const char *out;
    } cases[] = {{0, "0"}, {5, ".05"}, {-5, "-.05"}, {50, ".5"}, {100, "1"}, {-1230, "-12.3"}, {2001, "20.01"}, {INT32_MIN, "-21474836.48"}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_text t = {0};
        ecg_svg_number(&t, cases[c].in);
        assert_string_equal(t.at, cases[c].out);
        ecg_text_clear(&t);
    }
    ecg_text t = {0};
    ecg_svg_path p;
    ecg_svg_path_begin(&p, &t);
    ecg_svg_move(&p, 1000, -20);
    ecg_svg_line(&p, 1005, -18);
    ecg_svg_line(&p, 1105, -13);
    ecg_svg_line(&p, 1105, -13);
    ecg_svg_line(&p, 1105, 0);
    ecg_svg_move(&p, 0, 7);
    ecg_svg_path_end(&p);
    assert_string_equal(t.at, "<path d=\"M10-.2l.05.02 1 .05 0 .13M0 .07h0\"/>\n");
    ecg_text_clear(&t);
}

/* ---- refusals and golden pages -------------------------------------------------------------------------------------------------- */

/* A panel is drawn to the same millimetres, without a head, on paper that an A4 page lying on its side can carry. Where 10 mm/mV would
 * leave that paper a fitting gain becomes 5 and the drawing says so; a gain that was asked for stays, and what is cut is named. */
static void panels(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        double mv; /* R of V4, first row of 3x4 */
        int asked, drawn;
        bool cut;
    } cases[] = {
        {"usual height", 1, ECG_GAIN_FITTING, 10, false},    {"grows upwards", 2.4, ECG_GAIN_FITTING, 10, false},
        {"too high at 10", 2.6, ECG_GAIN_FITTING, 5, false}, {"asked for 10", 4.5, 10, 10, true},
        {"too high at 5", 9, ECG_GAIN_FITTING, 5, true},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_record rec = make(ECG_LEADS, 6000, 500, "panel");
        snprintf(rec.when, sizeof rec.when, "2150-06-07 08:09:10");
        for (int t = 4000; t < 4100; t++)
            rec.value[ECG_V4 * 6000 + t] = (float)cases[c].mv;
        ecg_plot_options o = with(ECG_LAYOUT_3X4, 25, cases[c].asked);
        o.panel = true;
        char *svg = draw(&rec, o), words[128];
        snprintf(words, sizeof words, ">25 mm/s, %d mm/mV%s, no filter, the first 10 s of 12 s", cases[c].drawn,
                 cases[c].asked == ECG_GAIN_FITTING && cases[c].drawn == 5 ? " (half of the usual: the waves are high)" : "");
        if ((int)attribute(svg, "data-gain") != cases[c].drawn || !strstr(svg, words) || (strstr(svg, "; leaves the paper and is held at its edge: V4<") != NULL) != cases[c].cut)
            fail_msg("%s: %s", cases[c].why, strstr(svg, ">25 mm/s"));
        assert_null(strstr(svg, "2150-06-07"));
        assert_true(attribute(svg, "width") <= 287 && attribute(svg, "height") <= 125);
        assert_true(attribute(svg, "data-time0") == 15 && attribute(svg, "width") == 15 + 250 + 5);
        free(svg);
        ecg_record_clear(&rec);
    }
    ecg_record rec = make(ECG_LEADS, 5000, 500, "fast");
    ecg_plot_options o = with(ECG_LAYOUT_6X2, 50, 10);
    o.panel = true;
    o.seconds = 5;
    char *svg = draw(&rec, o);
    assert_true(attribute(svg, "width") == 20 + 250 + 5);
    assert_non_null(strstr(svg, "the first 5 s of 10 s"));
    free(svg);
    ecg_record_clear(&rec);
}

static void refusals(void **state)
{
    (void)state;
    ecg_record rec = beats(25, 1), none = make(2, 100, 100, "none"), empty = {.rate_hz = 100}, timeless = make(12, 100, 0, "timeless");
    snprintf(none.lead[0].name, sizeof none.lead[0].name, "ABP");
    snprintf(none.lead[1].name, sizeof none.lead[1].name, "MLII");
    const struct {
        const char *why;
        const ecg_record *rec;
        ecg_plot_options o;
        ecg_status status;
        const char *msg;
    } cases[] = {
        {"layout", &rec, {.layout = ECG_LAYOUTS, .speed_mm_per_s = 25, .gain_mm_per_mv = 10, .seconds = 10}, ECG_EARG, "layout"},
        {"speed", &rec, {.speed_mm_per_s = 500, .gain_mm_per_mv = 10, .seconds = 10}, ECG_EARG, "500 mm/s"},
        {"gain", &rec, {.speed_mm_per_s = 25, .gain_mm_per_mv = 7, .seconds = 10}, ECG_EARG, "7 mm/mV"},
        {"rhythm", &rec, {.speed_mm_per_s = 25, .gain_mm_per_mv = 10, .seconds = 10, .rhythm = 12}, ECG_EARG, "rhythm"},
        {"no seconds", &rec, {.speed_mm_per_s = 25, .gain_mm_per_mv = 10}, ECG_EARG, "0 s of drawing"},
        {"no samples", &empty, ecg_plot_usual, ECG_EDATA, "no samples"},
        {"no rate", &timeless, ecg_plot_usual, ECG_EDATA, "rate"},
        {"no lead", &none, ecg_plot_usual, ECG_EDATA, "2 signals, none of the twelve"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_text svg = {0};
        ecg_err err = {0};
        if (ecg_plot(&svg, cases[c].rec, &cases[c].o, &err) != cases[c].status || !strstr(err.msg, cases[c].msg) || svg.len)
            fail_msg("%s: %s", cases[c].why, err.msg);
        ecg_text_clear(&svg);
    }
    ecg_record_clear(&rec);
    ecg_record_clear(&none);
    ecg_record_clear(&timeless);
}

static void golden_pages(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        ecg_layout layout;
        int speed, gain;
        bool panel;
    } cases[] = {
        {"3x4.svg", ECG_LAYOUT_3X4, 25, 10, false},
        {"6x2.svg", ECG_LAYOUT_6X2, 25, 10, false},
        {"12x1.svg", ECG_LAYOUT_12X1, 25, 10, false},
        {"cabrera.svg", ECG_LAYOUT_CABRERA, 25, 10, false},
        {"3x4_50_20.svg", ECG_LAYOUT_3X4, 50, 20, false},
        {"panel_3x4.svg", ECG_LAYOUT_3X4, 25, 10, true},
        {"panel_6x2.svg", ECG_LAYOUT_6X2, 25, 10, true},
        {"panel_12x1.svg", ECG_LAYOUT_12X1, 25, 10, true},
        {"panel_cabrera.svg", ECG_LAYOUT_CABRERA, 25, 10, true},
    };
    ecg_record rec = beats(25, 10);
    snprintf(rec.when, sizeof rec.when, "2150-06-07 08:09:10");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char path[128];
        snprintf(path, sizeof path, "test/report/golden/%s", cases[c].file);
        ecg_plot_options o = with(cases[c].layout, cases[c].speed, cases[c].gain);
        o.panel = cases[c].panel;
        char *svg = draw(&rec, o);
        assert_well_formed(svg);
        ecg_bytes bytes;
        ecg_err err = {0};
        if (getenv("ECGRAFT_WRITE_GOLDEN")) {
            assert_int_equal(ecg_file_write_whole(path, svg, strlen(svg), &err), ECG_OK);
            free(svg);
            continue;
        }
        if (ecg_file_read(&bytes, path, &err))
            fail_msg("%s: %s", path, err.msg);
        size_t at = 0;
        while (at < bytes.len && svg[at] == (char)bytes.at[at])
            at++;
        if (at < bytes.len || svg[at])
            fail_msg("%s differs from byte %zu on: %.60s", path, at, svg + at);
        ecg_bytes_free(&bytes);
        free(svg);
    }
    ecg_record_clear(&rec);
    if (getenv("ECGRAFT_WRITE_GOLDEN"))
        fail_msg("pages written: look at them before you believe them");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(words_are_escaped),
        cmocka_unit_test(pulse_in_millimetres),
        cmocka_unit_test(each_lead_once),
        cmocka_unit_test(rhythm_strip),
        cmocka_unit_test(gaps_and_absent_leads),
        cmocka_unit_test(lengths),
        cmocka_unit_test(high_and_low),
        cmocka_unit_test(spikes_survive),
        cmocka_unit_test(size_and_same_bytes),
        cmocka_unit_test(panels),
        cmocka_unit_test(refusals),
        cmocka_unit_test(golden_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
