/* SPDX-License-Identifier: MIT
 * ecg_page.c: from top to bottom: head, input check, ECG, then three columns: diagnoses, laboratory, why. Claims are written where the
 * prediction carries them; a figure that is null is a dash or is left out, never a guess. */
#include "report/ecg_page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "report/ecg_page_parts.h"
#include "report/html.h"

const ecg_page_options ecg_page_usual = {.layout = ECG_LAYOUT_3X4, .speed_mm_per_s = 25, .gain_mm_per_mv = ECG_GAIN_FITTING};

enum { SHOWN = 5 }; /* rows before "more" */

/* A4 lying on its side leaves 287 x 200 mm: the ECG takes up to 119 mm of the height, hence small type in print. The ECG keeps its millimetres on
 * every screen and scrolls inside its frame where the screen is narrower. Its colours turn with the scheme; on paper they are those of ECG paper. */
static const char style[] =
    "body{max-width:74rem;font-size:.9rem;line-height:1.4}\n"
    "body>header{display:flex;flex-wrap:wrap;align-items:baseline;column-gap:1.1rem}body>header .note{flex-basis:100%;margin:.3rem 0;padding:.3rem .8rem}h1{font-size:1.4rem;margin:0}\n"
    "h2{font-size:1.05rem;margin:0 0 .2rem;padding:0;border:0}h2 small{font-weight:400;font-size:.85em;color:var(--muted)}h3{font-size:.92rem;margin:.7rem 0 .2rem}\n"
    ".ecg{overflow-x:auto;margin:.6rem 0}.ecg svg{display:block;margin:0 auto}.facts{color:var(--muted)}.facts b{color:var(--text);font-weight:600}\n"
    ".columns{display:grid;grid-template-columns:.8fr 1fr;gap:1rem 2rem}.columns section{min-width:0;border-top:2px solid var(--line);padding-top:.4rem}.columns section:first-child{grid-column:1/-1}\n"
    ".columns .wide{margin:.2rem 0}.columns table{font-size:.86rem}.columns th,.columns td{padding:.2rem .6rem .2rem 0}.columns .n{padding-left:.2rem}.columns th.n{white-space:normal}\n"
    ".columns caption{font-size:.82rem;padding-bottom:.2rem}tbody th b{font-weight:600}td.n small{min-width:0}.columns p{margin:.25rem 0}.one{white-space:nowrap}\n"
    ".verdict{display:inline-block;border:1px solid currentColor;border-radius:.2rem;padding:0 .25rem;font-size:.9em;white-space:nowrap}.verdict.yes{font-weight:700;border-width:2px}.verdict.none{border:0;padding:0}\n"
    ".state{font-weight:700}.banner{border:2px solid var(--edge);background:var(--note);color:var(--onnote);padding:.4rem .8rem;margin:.4rem 0;border-radius:.2rem}\n"
    ".parted{display:block;width:100%;height:auto;max-width:30rem}.parted text{fill:var(--text);font-size:9px;text-anchor:middle}\n"
    ".mark{stroke:var(--text);fill:none}.span{fill:var(--bar)}.base{fill:var(--bar2)}td.bar{width:18%;min-width:3.2rem}td.bar svg{height:.85rem}.parts{width:100%;height:1.1rem;display:block}\n"
    "@media(max-width:60rem){.columns{grid-template-columns:1fr}}@media screen and (max-width:40rem){.columns section:nth-child(-n+2) thead th:nth-child(2){display:none}.columns tbody th{min-width:7.5rem}}\n"
    "@media screen and (prefers-color-scheme:dark){.ecg path[fill=\"#fff\"]{fill:var(--ground)}.ecg [fill=\"#000\"]{fill:var(--text)}.ecg [stroke=\"#000\"]{stroke:var(--text)}"
    ".ecg [fill=\"#555\"]{fill:var(--muted)}.ecg [stroke=\"#f5d3cd\"]{stroke:#3a2624}.ecg [stroke=\"#e59a90\"]{stroke:#633d38}}\n"
    "@page{size:A4 landscape;margin:5mm}\n"
    "@media print{body{font-size:7.2pt;line-height:1.2}h1{font-size:11pt}h2{font-size:8.4pt;margin:0}h3{font-size:7.6pt;margin:1mm 0 0}.kind{font-size:7pt}body>header .note{flex-basis:auto;padding:.2mm 2mm;margin:0}"
    ".columns{grid-template-columns:110mm 73mm minmax(0,1fr);gap:0 3.5mm}.columns section:first-child{grid-column:auto}.columns section{border-top:1px solid;padding-top:.5mm}.columns table{font-size:6.9pt}"
    ".columns caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}.columns th,.columns td{padding:.2mm 1.4mm .2mm 0;line-height:1.12}.columns .n{padding-left:0}thead th{font-size:6.2pt}.columns p,p{margin:.4mm 0}.columns .wide{margin:0}"
    "td.n small{display:inline-block;font-size:.85em}.verdict{font-size:.85em;line-height:1.15;padding:0 .6mm;border-width:.2mm}.verdict.yes{border-width:.4mm}.columns section,.columns .wide{overflow:hidden}.columns th{overflow-wrap:break-word}.lab td.bar{width:9mm}.ecg{margin:.8mm 0;overflow:visible}.ecg svg{margin:0}.banner{padding:.4mm 2mm;margin:.6mm 0;border-width:1px}"
    ".screen{display:none}.clamp{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2;overflow:hidden}details{display:none}.reading{font-size:6pt;line-height:1.15}footer{margin:.2mm 0 0;padding:0;border:0;font-size:6pt;line-height:1.1}footer p{margin:0}"
    "td.bar{width:13mm;min-width:0}td.bar svg{height:2.2mm}.narrow{display:table-cell}.parts{height:2.2mm}}\n";

/* ---- reading the prediction ----------------------------------------------------------------------------------------------------- */

const char *ecg_page_text(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

double ecg_page_number(const json_t *j, const char *key)
{
    const json_t *n = json_object_get(j, key);
    return json_is_number(n) ? json_number_value(n) : NAN;
}

bool ecg_page_pair(double pair[2], const json_t *j, const char *key)
{
    const json_t *a = json_object_get(j, key);
    if (json_array_size(a) != 2 || !json_is_number(json_array_get(a, 0)) || !json_is_number(json_array_get(a, 1)))
        return false;
    pair[0] = json_number_value(json_array_get(a, 0));
    pair[1] = json_number_value(json_array_get(a, 1));
    return true;
}

static int64_t count_of(const json_t *j, const char *key)
{
    const json_t *n = json_object_get(j, key);
    return json_is_integer(n) && json_integer_value(n) > 0 ? (int64_t)json_integer_value(n) : 0;
}

static int percent_sure(const json_t *p)
{
    const double alpha = ecg_page_number(p, "alpha");
    return alpha > 0 && alpha < 1 ? (int)lrint(100 * (1 - alpha)) : 90;
}

/* ---- figures -------------------------------------------------------------------------------------------------------------------- */

/* A share of patients: whole percents, tenths below 2, and never 0 or 100 for what is only near. */
static void percent(ecg_text *to, double p)
{
    if (!isfinite(p))
        ecg_text_puts(to, "&#8211;");
    else if (p > 0.995 && p < 1)
        ecg_text_puts(to, "&gt;99");
    else if (p > 0 && p < 0.0005)
        ecg_text_puts(to, "&lt;0.1");
    else
        ecg_text_printf(to, "%.*f", p < 0.0195 && p > 0 ? 1 : 0, 100 * p);
}

void ecg_page_percent(ecg_text *to, double p)
{
    percent(to, p);
    if (isfinite(p))
        ecg_text_puts(to, "&#8239;%");
}

static void cell_share(ecg_text *to, double p, const double *interval)
{
    ecg_text_puts(to, "<td class=\"n\">");
    ecg_page_percent(to, p);
    if (interval) {
        ecg_text_puts(to, " <small>[");
        percent(to, interval[0]);
        ecg_text_puts(to, "&#8211;");
        percent(to, interval[1]);
        ecg_text_puts(to, "]</small>");
    }
    ecg_text_puts(to, "</td>");
}

/* From 0 to 100 %: the interval as a bar, the probability as a line, the base rate as a wedge below. For the eye; the numbers stand beside it. */
static void cell_range(ecg_text *to, double p, double base, const double *interval)
{
    ecg_text_puts(to, "<td class=\"bar narrow\"><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"empty\" y=\"1\" width=\"1000\" height=\"6\"/>");
    if (interval) {
        const int from = (int)lrint(1000 * fmin(1, fmax(0, interval[0]))), until = (int)lrint(1000 * fmin(1, fmax(0, interval[1])));
        ecg_text_printf(to, "<rect class=\"span\" x=\"%d\" y=\"1\" width=\"%d\" height=\"6\"/>", from, until - from > 12 ? until - from : 12);
    }
    if (p >= 0 && p <= 1)
        ecg_text_printf(to, "<path class=\"mark\" vector-effect=\"non-scaling-stroke\" d=\"M%d 0v8\"/>", (int)lrint(1000 * p));
    if (base >= 0 && base <= 1)
        ecg_text_printf(to, "<path class=\"base\" d=\"M%d 6l-22 4h44z\"/>", (int)lrint(1000 * base));
    ecg_text_puts(to, "</svg></td>");
}

static void cell_verdict(ecg_text *to, const json_t *d)
{
    const char *verdict = ecg_page_text(d, "verdict"), *note = ecg_page_text(d, "verdict_note");
    const bool yes = strcmp(verdict, "YES") == 0, no = strcmp(verdict, "NO") == 0;
    ecg_text_printf(to, "<td><span class=\"verdict%s\"", yes ? " yes" : *verdict ? "" : " none");
    if (*note) {
        ecg_text_puts(to, " title=\"");
        ecg_html_text(to, note);
        ecg_text_puts(to, "\"");
    }
    ecg_text_puts(to, yes ? ">&#10003;&#160;" : no ? ">&#10005;&#160;" : *verdict ? ">?&#160;" : ">");
    ecg_html_text(to, *verdict ? verdict : "none");
    ecg_text_puts(to, *note ? "*</span></td>" : "</span></td>");
}

static void cell_flagged(ecg_text *to, const json_t *d)
{
    const json_t *f = json_object_get(d, "flagged");
    const double per_100 = ecg_page_number(f, "per_100");
    ecg_text_puts(to, "<td class=\"n\">");
    if (isfinite(per_100)) {
        ecg_text_printf(to, "%.0f <small>n=", per_100);
        ecg_html_count(to, count_of(f, "of"));
        ecg_text_puts(to, "</small>");
    } else {
        ecg_text_puts(to, "&#8211;");
    }
    ecg_text_puts(to, "</td>");
}

/* 0.86 -> ".86": narrow figures for a share that is neither 0 nor 1. */
static void put_hundredths(ecg_text *to, double a)
{
    ecg_text_printf(to, a > 0 && a < 0.995 ? ".%02.0f" : "%.2f", a > 0 && a < 0.995 ? 100 * a : a);
}

/* On the test folds with its interval, where the model carries that; else on validation. */
static void cell_auroc(ecg_text *to, const json_t *d)
{
    const json_t *test = json_object_get(d, "auroc_test");
    const double a = ecg_page_number(json_is_object(test) ? test : d, "auroc");
    double interval[2];
    ecg_text_puts(to, "<td class=\"n\">");
    if (isfinite(a))
        put_hundredths(to, a);
    else
        ecg_text_puts(to, "&#8211;");
    if (isfinite(a) && ecg_page_pair(interval, test, "interval")) {
        ecg_text_puts(to, " <small>[");
        put_hundredths(to, interval[0]);
        ecg_text_puts(to, "&#8211;");
        put_hundredths(to, interval[1]);
        ecg_text_puts(to, "]</small>");
    }
    ecg_text_puts(to, "</td>");
}

static const char *auroc_head(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_object(json_object_get(json_array_get(list, i), "auroc_test")))
            return "#AUROC, test folds";
    return "#AUROC";
}

/* Where the model is used, if that was told; else in training. */
static double base_rate(const json_t *d)
{
    const double local = ecg_page_number(d, "local_prevalence");
    return isfinite(local) ? local : ecg_page_number(d, "prevalence");
}

void ecg_page_arrow(ecg_text *to, const char *direction)
{
    if (*direction) {
        ecg_text_puts(to, strcmp(direction, "high") == 0 ? " <span aria-hidden=\"true\">&#9650;</span>&#160;" : " <span aria-hidden=\"true\">&#9660;</span>&#160;");
        ecg_html_text(to, direction);
    }
}

/* ---- the head and the input ----------------------------------------------------------------------------------------------------- */

static void put_facts(ecg_text *to, const json_t *p, const ecg_record *rec)
{
    const json_t *model = json_object_get(p, "model");
    const char *sha = ecg_page_text(model, "sha256"), *preset = ecg_page_text(model, "preset");
    ecg_text_puts(to, "<p class=\"facts\">");
    if (*rec->when) {
        ecg_text_puts(to, "recorded <b>");
        ecg_html_text(to, rec->when);
        ecg_text_puts(to, "</b> &#183; ");
    }
    ecg_text_printf(to, "%.4g s at %.6g Hz", (double)rec->samples / rec->rate_hz, rec->rate_hz);
    if (*ecg_page_text(p, "recording")) {
        ecg_text_puts(to, " &#183; file ");
        const char *name = strrchr(ecg_page_text(p, "recording"), '/');
        ecg_html_text(to, name ? name + 1 : ecg_page_text(p, "recording"));
    }
    if (*ecg_page_text(model, "name")) {
        ecg_text_puts(to, " &#183; model <b>");
        ecg_html_text(to, ecg_page_text(model, "name"));
        ecg_text_puts(to, "</b>");
    }
    if (*preset) {
        ecg_text_puts(to, ", preset ");
        ecg_html_text(to, preset);
    }
    if (*sha) {
        ecg_text_puts(to, " <span class=\"hash\">#");
        char head[13];
        snprintf(head, sizeof head, "%s", sha);
        ecg_html_text(to, head);
        ecg_text_puts(to, "</span>");
    }
    ecg_text_puts(to, "</p>\n");
}

/* The measured facts come from the recording itself, the state and the similarity from the prediction. */
static void put_input(ecg_text *to, const json_t *p, const ecg_record *rec)
{
    ecg_quality q;
    ecg_record_quality(&q, rec);
    const json_t *input = json_object_get(p, "input"), *reasons = json_object_get(input, "reasons");
    const char *state = ecg_page_text(input, "state");
    const double percentile = ecg_page_number(json_object_get(input, "similarity"), "percentile");
    const bool refused = strcmp(state, "refused") == 0, caution = strcmp(state, "caution") == 0;
    ecg_text_puts(to, "<section aria-label=\"Input check\">\n<p><span class=\"state\">Input check: ");
    ecg_text_puts(to, refused ? "&#10005; refused" : caution ? "! caution" : strcmp(state, "ok") == 0 ? "&#10003; ok" : "of the recording only");
    ecg_text_printf(to, "</span> &#183; %d of 12 leads &#183; %.4g Hz &#183; ", q.leads_found, rec->rate_hz);
    ecg_text_puts(to, q.warnings & ECG_WARN_UNIT ? "<b>unit in doubt</b>" : "millivolt plausible");
    if (isfinite(q.einthoven_mv))
        ecg_text_printf(to, " &#183; II &#8722; I &#8722; III %.2f mV%s", q.einthoven_mv, q.warnings & ECG_WARN_EINTHOVEN ? " <b>(leads do not agree)</b>" : "");
    ecg_text_printf(to, " &#183; missing %.1f %%", 100 * q.missing);
    if (isfinite(percentile))
        ecg_text_printf(to, " &#183; similarity: %d of 100 known records lie nearer to the training", (int)floor(fmin(100, fmax(0, percentile))));
    else
        ecg_text_puts(to, " &#183; similarity to training not known");
    if (*q.note) {
        ecg_text_puts(to, " &#183; noticed: ");
        ecg_html_text(to, q.note);
    }
    ecg_text_puts(to, "</p>\n");
    if (refused || caution || json_array_size(reasons)) {
        ecg_text_puts(to, "<p class=\"banner\" role=\"alert\"><strong>");
        ecg_text_puts(to, refused ? "No claims are made for this recording." : "Read with caution.");
        ecg_text_puts(to, "</strong>");
        for (size_t i = 0; i < json_array_size(reasons); i++) {
            ecg_text_puts(to, i ? "; " : " ");
            ecg_html_text(to, json_is_string(json_array_get(reasons, i)) ? json_string_value(json_array_get(reasons, i)) : "");
        }
        ecg_text_puts(to, "</p>\n");
    }
    ecg_text_puts(to, "</section>\n");
}

static ecg_status put_ecg(ecg_text *to, const ecg_record *rec, const ecg_page_options *o, ecg_err *err)
{
    ecg_plot_options plot = ecg_plot_usual;
    plot.layout = o->layout;
    plot.speed_mm_per_s = o->speed_mm_per_s;
    plot.gain_mm_per_mv = o->gain_mm_per_mv;
    plot.seconds = o->speed_mm_per_s == 50 ? 5 : 10;
    plot.panel = true;
    ecg_text_puts(to, "<div class=\"ecg\" tabindex=\"0\" role=\"region\" aria-label=\"Electrocardiogram in true millimetres\">\n");
    const ecg_status st = ecg_plot(to, rec, &plot, err);
    ecg_text_puts(to, "</div>\n");
    return st;
}

/* ---- diagnoses ------------------------------------------------------------------------------------------------------------------ */

static void put_name(ecg_text *to, const json_t *d)
{
    const char *text = ecg_page_text(d, "text"), *title = ecg_page_text(d, "title");
    ecg_text_puts(to, "<tr><th scope=\"row\"><span class=\"clamp\"><b>");
    if (*text)
        ecg_html_text(to, text);
    else
        ecg_html_code(to, ecg_page_text(d, "code"));
    ecg_text_puts(to, "</b> ");
    ecg_html_text(to, title);
    ecg_text_puts(to, "</span></th>");
}

static void put_diagnosis_rows(ecg_text *to, const json_t *p, const char *caption, size_t from, size_t until)
{
    const json_t *list = json_object_get(p, "diagnoses");
    const bool calibrated = json_is_true(json_object_get(p, "calibrated"));
    char verdict[32];
    snprintf(verdict, sizeof verdict, "at %d %%", percent_sure(p));
    const char *const claims[] = {"diagnosis", "", calibrated ? "#probability" : "#score", "#base rate", verdict, "#of 100 flagged", auroc_head(list)};
    const char *const scores[] = {"diagnosis", "", "#score, no claim", "#base rate", auroc_head(list)};
    ecg_html_table(to, caption, calibrated ? claims : scores, calibrated ? 7 : 5);
    for (size_t i = from; i < until; i++) {
        const json_t *d = json_array_get(list, i);
        const double p1 = ecg_page_number(d, "probability"), base = base_rate(d);
        double interval[2];
        const double *known = ecg_page_pair(interval, d, "interval") ? interval : NULL;
        put_name(to, d);
        cell_range(to, p1, base, known);
        cell_share(to, p1, known);
        cell_share(to, base, NULL);
        if (calibrated) {
            cell_verdict(to, d);
            cell_flagged(to, d);
        }
        cell_auroc(to, d);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
}

static void put_verdicts(ecg_text *to, const json_t *p)
{
    const json_t *v = json_object_get(p, "verdicts"), *yes = json_object_get(v, "yes");
    if (!json_is_object(v))
        return;
    ecg_text_printf(to, "<p>At %d&#8239;%%: <strong>YES</strong> ", percent_sure(p));
    for (size_t i = 0; i < json_array_size(yes) && i < 12; i++) {
        const char *code = json_string_value(json_array_get(yes, i));
        ecg_text_puts(to, i ? ", " : "");
        ecg_html_code(to, code ? code : "");
    }
    if (json_array_size(yes) > 12)
        ecg_text_printf(to, " and %zu more", json_array_size(yes) - 12);
    ecg_text_puts(to, json_array_size(yes) ? "; <strong>NO</strong> for " : "for none; <strong>NO</strong> for ");
    ecg_html_count(to, count_of(v, "no"));
    ecg_text_puts(to, "; <strong>UNCERTAIN</strong> for ");
    ecg_html_count(to, count_of(v, "uncertain"));
    if (count_of(v, "none")) {
        ecg_text_puts(to, "; no verdict for ");
        ecg_html_count(to, count_of(v, "none"));
    }
    ecg_text_puts(to, " of all diagnoses.</p>\n");
}

/* What the starred verdicts of the shown rows say, each note once. */
static void put_verdict_notes(ecg_text *to, const json_t *list, size_t shown)
{
    for (size_t i = 0; i < shown; i++) {
        const char *note = ecg_page_text(json_array_get(list, i), "verdict_note");
        bool told = !*note;
        for (size_t j = 0; j < i && !told; j++)
            told = strcmp(note, ecg_page_text(json_array_get(list, j), "verdict_note")) == 0;
        if (told)
            continue;
        ecg_text_puts(to, "<p class=\"muted\">* ");
        ecg_html_code(to, ecg_page_text(json_array_get(list, i), "code"));
        ecg_text_puts(to, ": ");
        ecg_html_text(to, note);
        ecg_text_puts(to, "</p>\n");
    }
}

static void put_local(ecg_text *to, const json_t *p)
{
    const json_t *local = json_object_get(p, "local_prevalence");
    if (!json_is_object(local))
        return;
    ecg_text_puts(to, "<p><strong>Local prevalence</strong> of ");
    ecg_html_count(to, count_of(local, "labels"));
    ecg_text_puts(to, " labels: their base rate here is the local one, and probability, interval and share flagged are shifted to it by their odds. Verdicts do not change.</p>\n");
}

static void put_uncalibrated(ecg_text *to, const json_t *p)
{
    const char *note = ecg_page_text(p, "calibration_note");
    if (json_is_true(json_object_get(p, "calibrated")))
        return;
    ecg_text_puts(to, "<p class=\"banner\">");
    ecg_html_text(to, *note ? note : "this model has no calibrators: scores without claims");
    ecg_text_puts(to, "</p>\n");
}

static void put_diagnoses(ecg_text *to, const json_t *p)
{
    const json_t *list = json_object_get(p, "diagnoses");
    const size_t n = json_array_size(list), shown = n < SHOWN ? n : SHOWN;
    ecg_html_section(to, "Diagnoses");
    if (!n) {
        ecg_text_puts(to, "<p>The model gives no diagnoses for this recording.</p></section>\n");
        return;
    }
    put_diagnosis_rows(to, p, json_is_true(json_object_get(p, "calibrated")) ? "the most probable first; line: probability, wedge: base rate"
                                                                             : "the highest score first; line: score, wedge: base rate", 0, shown);
    put_verdicts(to, p);
    put_verdict_notes(to, list, shown);
    put_local(to, p);
    put_uncalibrated(to, p);
    if (n > shown) {
        ecg_text_printf(to, "<details><summary>%zu more</summary>\n", n - shown);
        put_diagnosis_rows(to, p, "further diagnoses", shown, n);
        ecg_text_puts(to, "</details>\n");
    }
    ecg_text_puts(to, "</section>\n");
}

/* ---- laboratory ----------------------------------------------------------------------------------------------------------------- */

static void put_lab_rows(ecg_text *to, const json_t *p, const char *caption, size_t from, size_t until)
{
    const json_t *list = json_object_get(p, "labs");
    const bool calibrated = json_is_true(json_object_get(p, "calibrated"));
    const char *const heads[] = {"test", "", calibrated ? "#probability" : "#score, no claim", "#base rate", calibrated ? "#true of 100 flagged" : "#AUROC"};
    ecg_html_table(to, caption, heads, 5);
    for (size_t i = from; i < until; i++) {
        const json_t *l = json_array_get(list, i);
        const double p1 = ecg_page_number(l, "probability"), base = base_rate(l);
        const char *test = ecg_page_text(l, "test");
        double interval[2];
        const double *known = ecg_page_pair(interval, l, "interval") ? interval : NULL;
        ecg_text_puts(to, "<tr><th scope=\"row\"><b>");
        ecg_html_text(to, *test ? test : ecg_page_text(l, "code"));
        ecg_text_puts(to, "</b>");
        ecg_page_arrow(to, ecg_page_text(l, "direction"));
        ecg_text_puts(to, "</th>");
        cell_range(to, p1, base, known);
        cell_share(to, p1, known);
        cell_share(to, base, NULL);
        if (calibrated)
            cell_flagged(to, l);
        else
            cell_auroc(to, l);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
}

/* "Potassium_high" as the listed rows name it. */
static void put_lab_name(ecg_text *to, const json_t *labs, const char *code)
{
    for (size_t i = 0; i < json_array_size(labs); i++) {
        const json_t *l = json_array_get(labs, i);
        if (strcmp(ecg_page_text(l, "code"), code) == 0 && *ecg_page_text(l, "test")) {
            ecg_html_text(to, ecg_page_text(l, "test"));
            ecg_page_arrow(to, ecg_page_text(l, "direction"));
            return;
        }
    }
    ecg_html_text(to, code);
}

static void put_labs(ecg_text *to, const json_t *p)
{
    const json_t *list = json_object_get(p, "labs"), *confirm = json_object_get(p, "confirm");
    const size_t n = json_array_size(list), shown = n < SHOWN ? n : SHOWN;
    ecg_text_puts(to, "<section class=\"lab\">\n<h2>Predicted laboratory <small>(not measured)</small></h2>\n");
    if (!n) {
        ecg_text_puts(to, json_is_true(json_object_get(p, "laboratory_head")) ? "<p>No laboratory figures for this recording.</p></section>\n"
                                                                             : "<p>This model has no laboratory head.</p></section>\n");
        return;
    }
    put_lab_rows(to, p, "abnormal values, the most probable first", 0, shown);
    if (json_array_size(confirm)) {
        ecg_text_puts(to, "<p><strong>Worth a blood test:</strong> ");
        for (size_t i = 0; i < json_array_size(confirm); i++) {
            const char *code = json_string_value(json_array_get(confirm, i));
            ecg_text_puts(to, i ? ", " : "");
            put_lab_name(to, list, code ? code : "");
        }
        ecg_text_puts(to, ". <span class=\"screen muted\">Rule: more than twice the base rate, the whole interval above it.</span></p>\n");
    } else if (json_is_true(json_object_get(p, "calibrated"))) {
        ecg_text_puts(to, "<p class=\"muted\">None stands out enough to suggest a blood test.</p>\n");
    }
    if (n > shown) {
        ecg_text_printf(to, "<details><summary>%zu more</summary>\n", n - shown);
        put_lab_rows(to, p, "further laboratory values", shown, n);
        ecg_text_puts(to, "</details>\n");
    }
    ecg_text_puts(to, "</section>\n");
}

/* ---- how to read it ------------------------------------------------------------------------------------------------------------- */

static void put_reading(ecg_text *to, const json_t *p)
{
    const json_t *c = json_object_get(p, "calibration");
    ecg_text_puts(to, "<p class=\"muted reading\">Bars: line probability, wedge base rate; in Why: score, line its 95&#8239;% interval. If neutral: what the model would say if the"
                      " embedding looked neutral for that value. Past odds: odds ratio among past patients. Base rate: in training unless said otherwise.");
    if (json_is_true(json_object_get(p, "calibrated"))) {
        ecg_text_puts(to, " Probability [Venn-Abers interval] from ");
        ecg_html_count(to, count_of(c, "records"));
        ecg_text_puts(to, " calibration records of ");
        ecg_html_count(to, count_of(c, "patients"));
        ecg_text_printf(to, " patients. Verdict: wrong for about %d in 100 of those with, and of those without. Of 100 flagged: of 100 calibration records with a score at least"
                            " this high (n), how many have it.", 100 - percent_sure(p));
    }
    ecg_text_puts(to, "</p>\n");
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

ecg_status ecg_page(ecg_text *out, const json_t *prediction, const ecg_record *rec, const ecg_page_options *options, ecg_err *err)
{
    const size_t before = out->len;
    if (!json_is_object(prediction))
        return ecg_fail(err, ECG_EARG, "the prediction is no object");
    const bool refused = strcmp(ecg_page_text(json_object_get(prediction, "input"), "state"), "refused") == 0;
    ecg_html_begin_with(out, "ECG", rec->name[0] ? rec->name : "recording without a name", json_is_true(json_object_get(prediction, "synthetic")), style);
    put_facts(out, prediction, rec);
    put_input(out, prediction, rec);
    const ecg_status st = put_ecg(out, rec, options, err);
    if (st) {
        out->len = before;
        if (out->at)
            out->at[before] = 0;
        return st;
    }
    if (refused) {
        ecg_text_puts(out, "<p>The drawing shows what was recorded. The model was not made for such a recording, so none of its figures are printed.</p>\n");
    } else {
        ecg_text_puts(out, "<div class=\"columns\">\n");
        put_diagnoses(out, prediction);
        put_labs(out, prediction);
        ecg_page_why(out, prediction);
        ecg_text_puts(out, "</div>\n");
        put_reading(out, prediction);
    }
    ecg_html_end(out);
    return out->failed ? ecg_fail(err, ECG_ENOMEM, "out of memory") : ECG_OK;
}
