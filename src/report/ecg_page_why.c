/* SPDX-License-Identifier: MIT
 * ecg_page_why.c: the column that says why, from the numbers of the prediction: parts of the score, bars with their intervals, the edit of
 * the embedding, past patients, and how much of the score all that covers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/ecg_page_parts.h"
#include "report/html.h"

static void put_signed(ecg_text *to, double x, int decimals)
{
    if (!isfinite(x))
        ecg_text_puts(to, "&#8211;");
    else
        ecg_text_printf(to, "%s%.*f", x < 0 ? "&#8722;" : "+", decimals, fabs(x));
}

typedef struct {
    double low, high; /* logits at the two ends of a bar's place */
} scale;

static int place(const scale *s, double x)
{
    const double at = 1000 * (x - s->low) / (s->high - s->low);
    return (int)lrint(fmin(1000, fmax(0, at)));
}

/* From 0 to the value, its interval as a line over it. */
static void cell_bar(ecg_text *to, const scale *s, double x, const double *interval)
{
    const int zero = place(s, 0), at = isfinite(x) ? place(s, x) : zero;
    ecg_text_printf(to, "<td class=\"bar\"><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"%s\" x=\"%d\" y=\"1\" width=\"%d\" height=\"8\"/>",
                    x < 0 ? "b" : "a", at < zero ? at : zero, at < zero ? zero - at : at - zero);
    if (interval)
        ecg_text_printf(to, "<path class=\"mark\" vector-effect=\"non-scaling-stroke\" d=\"M%d 5H%d\"/>", place(s, interval[0]), place(s, interval[1]));
    ecg_text_printf(to, "<path class=\"mark\" vector-effect=\"non-scaling-stroke\" d=\"M%d 0v10\"/></svg></td>", zero);
}

static scale scale_of(const json_t *list)
{
    scale s = {0, 0.01};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        const double x = ecg_page_number(c, "bar");
        double interval[2] = {0, 0};
        ecg_page_pair(interval, c, "interval");
        s.low = fmin(s.low, fmin(interval[0], isfinite(x) ? x : 0));
        s.high = fmax(s.high, fmax(interval[1], isfinite(x) ? x : 0));
    }
    return s;
}

static void put_lab(ecg_text *to, const json_t *c)
{
    const char *test = ecg_page_text(c, "test");
    ecg_text_puts(to, "<span class=\"one\">");
    ecg_html_text(to, *test ? test : ecg_page_text(c, "code"));
    ecg_page_arrow(to, ecg_page_text(c, "direction"));
    ecg_text_puts(to, "</span>");
}

static void put_cited(ecg_text *to, const json_t *list, const char *caption)
{
    static const char *const heads[] = {"predicted value", "", "#moves score", "#if neutral", "#past odds"};
    const scale s = scale_of(list);
    ecg_html_table(to, caption, heads, 5);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i), *edit = json_object_get(c, "edit"), *data = json_object_get(c, "data");
        const double x = ecg_page_number(c, "bar");
        double interval[2];
        const double *known = ecg_page_pair(interval, c, "interval") ? interval : NULL;
        ecg_text_puts(to, "<tr><th scope=\"row\">");
        put_lab(to, c);
        ecg_text_puts(to, "</th>");
        cell_bar(to, &s, x, known);
        ecg_text_puts(to, "<td class=\"n\">");
        put_signed(to, x, 1);
        if (known) {
            ecg_text_puts(to, " <small>[");
            put_signed(to, known[0], 1);
            ecg_text_puts(to, ", ");
            put_signed(to, known[1], 1);
            ecg_text_puts(to, "]</small>");
        }
        ecg_text_puts(to, "</td><td class=\"n\">");
        if (json_is_object(edit)) {
            ecg_page_percent(to, ecg_page_number(edit, "before"));
            ecg_text_puts(to, " &#8594; ");
            ecg_page_percent(to, ecg_page_number(edit, "free"));
        } else {
            ecg_text_puts(to, "&#8211;");
        }
        ecg_text_puts(to, "</td><td class=\"n\">");
        if (isfinite(ecg_page_number(data, "odds_ratio"))) {
            double range[2];
            ecg_text_printf(to, "&#215;%.1f", ecg_page_number(data, "odds_ratio"));
            if (ecg_page_pair(range, data, "interval"))
                ecg_text_printf(to, " <small>[%.1f&#8211;%.1f]</small>", range[0], range[1]);
        } else {
            ecg_text_puts(to, "&#8211;");
        }
        ecg_text_puts(to, "</td></tr>\n");
    }
    ecg_html_table_end(to);
}

/* The three parts as lengths side by side: what raises the score to the right of 0, what lowers it to the left. */
static void put_parts(ecg_text *to, const json_t *why)
{
    static const char *const key[] = {"labs", "age_sex", "other"}, *const name[] = {"labs", "age/sex", "other"}, *const look[] = {"a", "b", "c"};
    const json_t *parts = json_object_get(why, "parts");
    double part[3], up = 0, down = 0;
    for (int i = 0; i < 3; i++) {
        part[i] = ecg_page_number(parts, key[i]);
        if (!isfinite(part[i]))
            return;
        up += fmax(0, part[i]);
        down += fmin(0, part[i]);
    }
    const scale s = {down, fmax(up, down + 0.01)};
    ecg_text_puts(to, "<p>Score against the average: ");
    put_signed(to, ecg_page_number(why, "above"), 2);
    ecg_text_puts(to, " logit =");
    for (int i = 0; i < 3; i++) {
        ecg_text_printf(to, "%s <span class=\"one\"><svg class=\"key\" viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect class=\"%s\" width=\"1\" height=\"1\"/></svg> %s <b>", i ? "," : "", look[i], name[i]);
        put_signed(to, part[i], 2);
        ecg_text_puts(to, "</b></span>");
    }
    ecg_text_puts(to, "</p>\n<svg class=\"parts\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    double right = 0, left = 0;
    for (int i = 0; i < 3; i++) {
        double *edge = part[i] < 0 ? &left : &right;
        const int a = place(&s, *edge), b = place(&s, *edge + part[i]);
        ecg_text_printf(to, "<rect class=\"%s\" x=\"%d\" y=\"1\" width=\"%d\" height=\"8\"/>", look[i], a < b ? a : b, a < b ? b - a : a - b);
        *edge += part[i];
    }
    ecg_text_printf(to, "<path class=\"mark\" vector-effect=\"non-scaling-stroke\" d=\"M%d 0v10\"/></svg>\n", place(&s, 0));
}

static void put_coverage(ecg_text *to, const json_t *why)
{
    const double share = ecg_page_number(why, "completeness"), random = ecg_page_number(why, "random"), weak = ecg_page_number(why, "weak");
    const char *grade = ecg_page_text(why, "grade");
    ecg_text_puts(to, "<p>");
    if (isfinite(share)) {
        ecg_text_puts(to, "The labs follow <b>");
        ecg_page_percent(to, fmax(0, share));
        ecg_text_puts(to, "</b> of how this score varies (as many random directions: ");
        ecg_page_percent(to, isfinite(random) ? fmax(0, random) : random);
        ecg_text_puts(to, ").");
    }
    if (*grade) {
        ecg_text_puts(to, " <b>Grade ");
        ecg_html_text(to, grade);
        ecg_text_puts(to, strcmp(grade, "D") == 0 ? ": no more than random directions; do not rely on it.</b>" : "</b>.");
    }
    if (weak > 0)
        ecg_text_printf(to, " %.0f weak value%s hidden.", weak, weak == 1 ? " is" : "s are");
    ecg_text_puts(to, "</p>\n");
}

static void put_same_thing(ecg_text *to, const json_t *list)
{
    if (!json_array_size(list))
        return;
    ecg_text_puts(to, "<p><strong>Same thing</strong>, explains nothing:");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        ecg_text_puts(to, i ? "; " : " ");
        put_lab(to, c);
        ecg_text_puts(to, " ");
        put_signed(to, ecg_page_number(c, "bar"), 1);
        if (*ecg_page_text(c, "same_thing")) {
            ecg_text_puts(to, " (");
            ecg_html_text(to, ecg_page_text(c, "same_thing"));
            ecg_text_puts(to, ")");
        }
    }
    ecg_text_puts(to, ".</p>\n");
}

static void put_one(ecg_text *to, const json_t *d, bool first)
{
    const json_t *why = json_object_get(d, "why"), *cited = json_object_get(why, "cited"), *sentences = json_object_get(why, "sentences");
    if (!first) {
        ecg_text_puts(to, "<h3>");
        ecg_html_code(to, ecg_page_text(d, "code"));
        ecg_text_puts(to, " ");
        ecg_html_text(to, ecg_page_text(d, "title"));
        ecg_text_puts(to, "</h3>\n");
    }
    put_parts(to, why);
    if (json_array_size(cited))
        put_cited(to, cited, "what it moves with; bar: logit, line over it: 95 % interval");
    else
        ecg_text_puts(to, "<p>No predicted laboratory value is strong enough to be cited.</p>\n");
    put_same_thing(to, json_object_get(why, "same_thing"));
    put_coverage(to, why);
    ecg_text_puts(to, "<p>");
    for (size_t i = 0; i < json_array_size(sentences); i++) {
        const char *s = json_string_value(json_array_get(sentences, i));
        ecg_html_text(to, s ? s : "");
        ecg_text_puts(to, " ");
    }
    ecg_text_puts(to, "</p>\n");
}

/* ---- where in the recording ------------------------------------------------------------------------------------------------------ */

static const char *const occluded[] = {"I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6", "P", "QRS", "ST-T"};
enum { OCCLUDED = sizeof occluded / sizeof *occluded, OCCLUDED_LEADS = 12 };

/* One bar for each lead and wave, up where the score falls without it. Their numbers stand in the text that a screen reader gets. */
static void put_occlusion(ecg_text *to, const json_t *d, const json_t *prediction)
{
    const json_t *o = json_object_get(d, "occlusion");
    double fall[OCCLUDED], low = 0, high = 0.01;
    if (!json_is_object(o)) {
        ecg_text_puts(to, "<p class=\"muted screen\">Where in the recording: <code>predict --occlusion</code> takes away each lead and wave in turn.</p>\n");
        return;
    }
    for (int i = 0; i < OCCLUDED; i++) {
        fall[i] = ecg_page_number(json_object_get(o, i < OCCLUDED_LEADS ? "leads" : "waves"), occluded[i]);
        low = isfinite(fall[i]) ? fmin(low, fall[i]) : low;
        high = isfinite(fall[i]) ? fmax(high, fall[i]) : high;
    }
    ecg_text_puts(to, "<p>Where in the recording: how far the score falls without a lead, or without a wave of all beats (line instead)</p>\n"
                      "<svg class=\"parted\" viewBox=\"0 0 480 70\" role=\"img\" aria-label=\"Fall of the logit without ");
    for (int i = 0; i < OCCLUDED; i++) {
        ecg_text_printf(to, "%s%s ", i ? ", " : "", occluded[i]);
        if (isfinite(fall[i]))
            ecg_text_printf(to, "%.2f", fall[i]);
        else
            ecg_text_puts(to, "not known");
    }
    ecg_text_puts(to, "\">");
    for (int i = 0; i < OCCLUDED; i++) {
        const double x = 16 + 31.0 * i + (i >= OCCLUDED_LEADS ? 12 : 0), zero = 12 + 40 * high / (high - low);
        ecg_text_printf(to, "<text x=\"%.0f\" y=\"66\">%s</text>", x, occluded[i]);
        if (!isfinite(fall[i]))
            continue;
        const double top = 12 + 40 * (high - fmax(0, fall[i])) / (high - low), height = 40 * fabs(fall[i]) / (high - low);
        ecg_text_printf(to, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"18\" height=\"%.1f\"/><text x=\"%.0f\" y=\"%.1f\">%.1f</text>", fall[i] < 0 ? "b" : "a", x - 9, top,
                        fmax(0.5, height), x, fall[i] < 0 ? zero - 2 : top - 2, fall[i]);
    }
    ecg_text_puts(to, "</svg>\n");
    const double beats = ecg_page_number(json_object_get(prediction, "occlusion"), "beats");
    if (!(beats > 0))
        ecg_text_puts(to, "<p class=\"muted\">No heartbeats were found, so no wave was taken away.</p>\n");
    ecg_text_puts(to, "<p class=\"muted screen\">No such recording occurs: this says where to look, not why.</p>\n");
}

/* Explained first: the most probable diagnosis with a verdict of YES, else the most probable that has an explanation at all. */
static size_t first_to_explain(const json_t *list)
{
    size_t first = json_array_size(list);
    for (size_t i = json_array_size(list); i-- > 0;)
        if (json_is_object(json_object_get(json_array_get(list, i), "why")))
            first = i;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *d = json_array_get(list, i);
        if (json_is_object(json_object_get(d, "why")) && strcmp(ecg_page_text(d, "verdict"), "YES") == 0)
            return i;
    }
    return first;
}

void ecg_page_why(ecg_text *to, const json_t *prediction)
{
    const json_t *list = json_object_get(prediction, "diagnoses");
    const size_t n = json_array_size(list), first = first_to_explain(list);
    if (first == n) {
        const char *note = ecg_page_text(prediction, "explained_note");
        ecg_html_section(to, "Why");
        ecg_text_puts(to, "<p>No explanation: ");
        ecg_html_text(to, *note ? note : "the prediction carries none");
        ecg_text_puts(to, ".</p></section>\n");
        return;
    }
    const json_t *d = json_array_get(list, first);
    ecg_text_puts(to, "<section>\n<h2>Why ");
    ecg_html_code(to, ecg_page_text(d, "code"));
    ecg_text_puts(to, "?</h2>\n");
    put_one(to, d, true);
    const char *note = ecg_page_text(json_object_get(d, "why"), "note");
    ecg_text_puts(to, "<p><strong>");
    ecg_html_text(to, *note ? note : "These numbers describe the model and past patients. They do not show a cause in this patient.");
    ecg_text_puts(to, "</strong></p>\n");
    put_occlusion(to, d, prediction);
    size_t others = 0;
    for (size_t i = 0; i < n; i++)
        others += i != first && json_is_object(json_object_get(json_array_get(list, i), "why"));
    if (others) {
        ecg_text_printf(to, "<details><summary>Why the other %zu?</summary>\n", others);
        for (size_t i = 0; i < n; i++)
            if (i != first && json_is_object(json_object_get(json_array_get(list, i), "why")))
                put_one(to, json_array_get(list, i), false);
        ecg_text_puts(to, "</details>\n");
    }
    ecg_text_puts(to, "</section>\n");
}
