/* SPDX-License-Identifier: MIT
 * test_ecg_page.c: the page of one ECG, made from prediction.json and from what goes wrong with it. How it looks is for eyes (docs/page.md) and
 * for test/tool/page.sh; here: what stands on it, what must not, and that no prediction can break it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/page_check.h"
#include "report/ecg_page.h"

static ecg_record make(double seconds, double rate_hz)
{
    const int64_t n = (int64_t)(seconds * rate_hz);
    ecg_record rec;
    assert_int_equal(ecg_record_make(&rec, ECG_LEADS, n, rate_hz, NULL), ECG_OK);
    for (int i = 0; i < ECG_LEADS; i++) {
        snprintf(rec.lead[i].name, sizeof rec.lead[i].name, "%s", ecg_lead_names[i]);
        snprintf(rec.lead[i].unit, sizeof rec.lead[i].unit, "mV");
        for (int64_t t = 0; t < n; t++) {
            const double s = fmod((double)t / rate_hz, 0.8);
            rec.value[i * n + t] = (float)((0.5 + 0.1 * i) * exp(-pow((s - 0.3) / 0.012, 2)) + 0.2 * exp(-pow((s - 0.55) / 0.06, 2)));
        }
    }
    snprintf(rec.name, sizeof rec.name, "a<b");
    snprintf(rec.when, sizeof rec.when, "2150-06-07 08:09:10");
    return rec;
}

static json_t *prediction(void)
{
    json_error_t e;
    json_t *j = json_load_file("test/report/prediction.json", 0, &e);
    if (!j)
        fail_msg("prediction.json:%d: %s", e.line, e.text);
    return j;
}

static char *page_with(const json_t *j, const ecg_record *rec, ecg_page_options o)
{
    ecg_text t = {0};
    ecg_err err = {0};
    if (ecg_page(&t, j, rec, &o, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(strlen(t.at), t.len);
    return t.at;
}

static char *page(const json_t *j, const ecg_record *rec)
{
    return page_with(j, rec, ecg_page_usual);
}

static int count(const char *in, const char *what)
{
    int n = 0;
    for (const char *at = strstr(in, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

static void assert_nested(const char *html)
{
    const char *wrong = badly_formed(html);
    if (wrong)
        fail_msg("%s", wrong);
}

static void stands_alone(void **state)
{
    (void)state;
    ecg_record rec = make(10, 500);
    json_t *j = prediction();
    char *html = page(j, &rec);
    static const char *const never[] = {"<script", "src=", "href=", "url(", "@import", "https:", "<link", "<img", " onload", " onclick", "records/", "(null)", "nan"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strstr(html, never[i]))
            fail_msg("%s in the page: %.60s", never[i], strstr(html, never[i]));
    assert_int_equal(count(html, "http:"), 1); /* the name space of SVG */
    assert_int_equal(count(html, "xmlns=\"http://www.w3.org/2000/svg\""), 1);
    assert_true(strlen(html) < 300000);
    assert_true(count(html, ECG_STATEMENT) >= 2);
    assert_int_equal(count(html, "<strong>Synthetic cohort.</strong>"), 1);
    assert_int_equal(count(html, "<h1>a&lt;b</h1>"), 1);
    assert_null(strstr(html, "a<b"));
    assert_nested(html);
    free(html);
    json_decref(j);
    ecg_record_clear(&rec);
}

/* What a reader must find: each figure with what it is worth. */
static void what_stands_on_it(void **state)
{
    (void)state;
    static const char *const must[] = {
        "Input check: &#10003; ok", "similarity: 71 of 100 known records lie nearer", "2150-06-07 08:09:10", "10 s at 500 Hz", "#9c2e9c2e9c2e",
        "<b>I48.91</b> Unspecified atrial fibrillation", "91&#8239;% <small>[88&#8211;93]</small>", "&#10003;&#160;YES", "?&#160;UNCERTAIN", "90 <small>n=212</small>",
        "0.4&#8239;%", "none*", "12 calibration records have it, 20 needed", "<strong>YES</strong> I48.91; <strong>NO</strong> for 1,390; <strong>UNCERTAIN</strong> for 37",
        "<b>NTproBNP</b>", "74 <small>n=412</small>", "&#9660;</span>&#160;low", "Worth a blood test:</strong> NTproBNP",
        "<h2>Why I48.91?</h2>", "labs <b>+1.10</b>", "+0.7 <small>[+0.5, +0.9]</small>", "41&#8239;% &#8594; 27&#8239;%", "&#215;4.1 <small>[3.8&#8211;4.4]</small>",
        "<b>Grade C</b>", "7 weak values are hidden", "They do not show a cause in this patient.", "Why the other 3?", "Same thing</strong>, explains nothing: ",
        "infarction is defined by troponin", "812 calibration records of 640 patients", "wrong for about 10 in 100", "<summary>1 more</summary>",
        "lang=\"en\"", "aria-label=\"Electrocardiogram in true millimetres\"", "<title>ECG a&lt;b: 3x4, 25 mm/s, 10 mm/mV</title>", "data-gain=\"10\"", "width=\"270mm\"",
    };
    ecg_record rec = make(10, 500);
    json_t *j = prediction();
    char *html = page(j, &rec);
    for (size_t i = 0; i < sizeof must / sizeof *must; i++)
        if (!strstr(html, must[i]))
            fail_msg("missing: %s", must[i]);
    assert_int_equal(count(html, "<th scope=\"col\""), count(html, "</th>") - count(html, "<th scope=\"row\""));
    free(html);
    json_decref(j);
    ecg_record_clear(&rec);
}

static void without_calibrators(void **state)
{
    (void)state;
    static const char *const never[] = {"YES", "UNCERTAIN", "of 100 flagged", "Venn-Abers", "Worth a blood test", "probability</th>"};
    ecg_record rec = make(10, 500);
    json_t *j = prediction();
    json_object_set_new(j, "calibrated", json_false());
    json_object_set_new(j, "calibration", json_null());
    json_object_set_new(j, "calibration_note", json_string("this model has no calibrators: scores <without> claims"));
    json_object_set_new(j, "verdicts", json_null());
    json_object_set_new(j, "confirm", json_array());
    json_object_set_new(j, "synthetic", json_false());
    json_object_set_new(j, "explained_note", json_string("both heads do not read the same embedding"));
    static const char *const sets[] = {"diagnoses", "labs"};
    for (int s = 0; s < 2; s++) {
        size_t i;
        json_t *d;
        json_array_foreach(json_object_get(j, sets[s]), i, d) {
            static const char *const gone[] = {"interval", "verdict", "verdict_note", "flagged", "why"};
            for (size_t k = 0; k < sizeof gone / sizeof *gone; k++)
                json_object_set_new(d, gone[k], json_null());
        }
    }
    char *html = page(j, &rec);
    assert_int_equal(count(html, "this model has no calibrators: scores &lt;without&gt; claims"), 1);
    assert_int_equal(count(html, "score, no claim"), 4); /* diagnoses and labs, those folded away too */
    assert_non_null(strstr(html, "No explanation: both heads do not read the same embedding."));
    assert_null(strstr(html, "Synthetic cohort"));
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strstr(html, never[i]))
            fail_msg("%s on a page without calibrators", never[i]);
    free(html);
    json_decref(j);
    ecg_record_clear(&rec);
}

/* Refused: the recording and the reason, no figure of the model, whatever the prediction still carries. */
static void refused_and_caution(void **state)
{
    (void)state;
    ecg_record rec = make(3, 500);
    json_t *j = prediction();
    json_object_set_new(j, "input", json_pack("{s:s, s:[s, s]}", "state", "refused", "reasons", "no <heartbeats>", "3.0 s long"));
    char *html = page(j, &rec);
    assert_non_null(strstr(html, "No claims are made for this recording.</strong> no &lt;heartbeats&gt;; 3.0 s long"));
    assert_null(strstr(html, "<table"));
    assert_null(strstr(html, "I48.91"));
    assert_non_null(strstr(html, "data-strip=\"rhythm\""));
    assert_nested(html);
    free(html);
    json_object_set_new(j, "input", json_pack("{s:s, s:[s]}", "state", "caution", "reasons", "3.0 s long"));
    html = page(j, &rec);
    assert_non_null(strstr(html, "Read with caution.</strong> 3.0 s long"));
    assert_non_null(strstr(html, "<table"));
    free(html);
    json_decref(j);
    json_t *little = json_pack("{s:{s:s, s:[s]}}", "input", "state", "refused", "reasons", "aVL absent");
    html = page(little, &rec);
    assert_non_null(strstr(html, "aVL absent"));
    free(html);
    json_decref(little);
    ecg_record_clear(&rec);
}

static void layouts(void **state)
{
    (void)state;
    static const struct { ecg_layout layout; int speed, gain; double width; } cases[] = {
        {ECG_LAYOUT_3X4, 25, ECG_GAIN_FITTING, 270}, {ECG_LAYOUT_6X2, 25, 5, 270},    {ECG_LAYOUT_12X1, 25, 10, 270},
        {ECG_LAYOUT_CABRERA, 25, 10, 270},           {ECG_LAYOUT_3X4, 50, 20, 275},   {ECG_LAYOUT_6X2, 50, 10, 275},
    };
    ecg_record rec = make(10, 1000);
    json_t *j = prediction();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char *html = page_with(j, &rec, (ecg_page_options){cases[c].layout, cases[c].speed, cases[c].gain}), words[64];
        snprintf(words, sizeof words, "width=\"%gmm\"", cases[c].width);
        assert_int_equal(count(html, words), 1);
        assert_int_equal(count(html, "data-strip=\"lead\""), 12);
        snprintf(words, sizeof words, "data-speed=\"%d\" data-gain=\"%d\"", cases[c].speed, cases[c].gain ? cases[c].gain : 10);
        assert_int_equal(count(html, words), 1);
        assert_true(strlen(html) < 300000);
        free(html);
    }
    ecg_text t = {0};
    ecg_err err = {0};
    assert_int_equal(ecg_page(&t, j, &rec, &(ecg_page_options){ECG_LAYOUT_3X4, 30, 10}, &err), ECG_EARG);
    assert_int_equal(t.len, 0);
    assert_int_equal(ecg_page(&t, json_null(), &rec, &ecg_page_usual, &err), ECG_EARG);
    ecg_text_clear(&t);
    json_decref(j);
    ecg_record_clear(&rec);
}

/* Each value of the prediction in turn becomes null, another type, an absurd number or hostile text: a page comes out, whole and escaped. */
static int spoil(json_t *at, json_t *whole, const ecg_record *rec, const json_t *with)
{
    int n = 0;
    const bool object = json_is_object(at);
    const size_t items = object ? json_object_size(at) : json_array_size(at);
    for (size_t i = 0; i < items; i++) {
        void *it = json_object_iter(at);
        for (size_t k = 0; object && k < i; k++)
            it = json_object_iter_next(at, it);
        const char *key = object ? json_object_iter_key(it) : NULL;
        json_t *old = json_incref(object ? json_object_get(at, key) : json_array_get(at, i));
        if (object)
            json_object_set_new(at, key, json_deep_copy(with));
        else
            json_array_set_new(at, i, json_deep_copy(with));
        char *html = page(whole, rec);
        assert_null(strstr(html, "<evil"));
        assert_nested(html);
        assert_true(strlen(html) < 300000);
        free(html);
        if (object)
            json_object_set(at, key, old);
        else
            json_array_set(at, i, old);
        n += 1 + (i < 2 || object ? spoil(old, whole, rec, with) : 0); /* rows are alike: the first two are enough */
        json_decref(old);
    }
    return n;
}

static void any_prediction(void **state)
{
    (void)state;
    ecg_record rec = make(1, 100);
    json_t *j = prediction();
    json_t *const with[] = {json_null(), json_string("<evil a='\">&"), json_real(1e308), json_real(-1e308), json_integer(-1), json_true(), json_object(),
                            json_pack("[s, f, n]", "<evil>", -1e308)};
    for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
        assert_true(spoil(j, j, &rec, with[i]) > 200);
        json_decref(with[i]);
    }
    json_decref(j);
    json_t *nothing = json_object();
    char *html = page(nothing, &rec);
    assert_non_null(strstr(html, "The model gives no diagnoses"));
    assert_nested(html);
    free(html);
    json_decref(nothing);
    ecg_record_clear(&rec);
}

/* ---- what is asked for ----------------------------------------------------------------------------------------------------------- */

static void what_was_asked_for(void **state)
{
    (void)state;
    static const char *const must[] = {
        "#AUROC, test folds", ".95 <small>[.93&#8211;.97]</small>", "Fall of the logit without I 0.10, II not known", "V6 -0.20, P 0.00, QRS 1.50, ST-T 0.30", "<text x=\"47\" y=\"66\">II</text>",
        "<strong>Local prevalence</strong> of 2 labels", "<td class=\"n\">1.2&#8239;%", "22 of the 50 most similar recordings had I48.91",
    };
    ecg_record rec = make(10, 500);
    json_t *j = prediction(), *d = json_array_get(json_object_get(j, "diagnoses"), 0), *sentences = json_object_get(json_object_get(d, "why"), "sentences");
    char *html = page(j, &rec);
    for (size_t i = 0; i < sizeof must / sizeof *must; i++)
        if (strstr(html, must[i] + (*must[i] == '#')))
            fail_msg("without being asked: %s", must[i]);
    assert_int_equal(count(html, "predict --occlusion"), 1); /* it says how */
    free(html);
    json_object_set_new(d, "auroc_test", json_pack("{s:f, s:[f,f], s:i, s:i}", "auroc", 0.95, "interval", 0.93, 0.97, "positives", 50, "negatives", 500));
    json_object_set_new(d, "local_prevalence", json_real(0.012));
    json_object_set_new(d, "occlusion", json_pack("{s:{s:f, s:n, s:f}, s:{s:f, s:f, s:f}}", "leads", "I", 0.1, "II", "V6", -0.2, "waves", "P", 0.0, "QRS", 1.5, "ST-T", 0.3));
    json_object_set_new(j, "occlusion", json_pack("{s:i, s:s}", "beats", 11, "note", "x"));
    json_object_set_new(j, "local_prevalence", json_pack("{s:i, s:s}", "labels", 2, "note", "x"));
    json_array_append_new(sentences, json_string("22 of the 50 most similar recordings had I48.91; NTproBNP was measured in 18 and high in 13."));
    html = page(j, &rec);
    for (size_t i = 0; i < sizeof must / sizeof *must; i++)
        if (!strstr(html, must[i] + (*must[i] == '#')))
            fail_msg("missing: %s", must[i]);
    assert_int_equal(count(html, "predict --occlusion"), 0);
    assert_nested(html);
    assert_true(strlen(html) < 300000);
    free(html);
    json_object_set_new(json_object_get(j, "occlusion"), "beats", json_integer(0));
    html = page(j, &rec);
    assert_non_null(strstr(html, "No heartbeats were found"));
    free(html);
    json_decref(j);
    ecg_record_clear(&rec);
}

/* ---- contrast -------------------------------------------------------------------------------------------------------------------- */

/* Relative luminance of "#rgb" or "#rrggbb" (WCAG 2.1); -1: neither. */
static double luminance(const char *at)
{
    static const double weight[3] = {0.2126, 0.7152, 0.0722};
    int digits = 0;
    double sum = 0;
    while (digits < 6 && at[digits] && at[1 + digits] && strchr("0123456789abcdef", at[1 + digits]))
        digits++;
    if (*at != '#' || (digits != 3 && digits != 6))
        return -1;
    for (int c = 0; c < 3; c++) {
        const char two[3] = {at[1 + (digits == 3 ? c : 2 * c)], at[1 + (digits == 3 ? c : 2 * c + 1)], 0};
        const double v = (double)strtol(two, NULL, 16) / 255;
        sum += weight[c] * (v <= 0.03928 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    return sum;
}

static double colour(const char *root, const char *name)
{
    char key[24];
    snprintf(key, sizeof key, "--%s:", name);
    const char *at = strstr(root, key), *end = strchr(root, '}');
    if (!at || at > end)
        fail_msg("no colour %s", name);
    const double l = luminance(at + strlen(key));
    if (l < 0)
        fail_msg("%s is no colour: %.9s", name, at + strlen(key));
    return l;
}

static void text_can_be_read(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"text", "ground"}, {"text", "soft"}, {"muted", "ground"}, {"muted", "soft"}, {"onnote", "note"}, {"bar", "ground"}};
    ecg_record rec = make(10, 500);
    json_t *j = prediction();
    char *html = page(j, &rec);
    assert_true(fabs(luminance("#fff") - 1) < 1e-9 && luminance("#000000") == 0 && luminance("red") < 0);
    const char *root = strstr(html, ":root{");
    for (int scheme = 0; scheme < 2; scheme++, root = strstr(root + 1, ":root{")) {
        if (!root)
            fail_msg("scheme %d has no colours", scheme);
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            const double a = colour(root, pairs[i][0]), b = colour(root, pairs[i][1]), ratio = (fmax(a, b) + 0.05) / (fmin(a, b) + 0.05);
            if (ratio < 4.5)
                fail_msg("%s on %s in the %s scheme: %.2f to 1", pairs[i][0], pairs[i][1], scheme ? "dark" : "light", ratio);
        }
    }
    free(html);
    json_decref(j);
    ecg_record_clear(&rec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stands_alone),
        cmocka_unit_test(what_stands_on_it),
        cmocka_unit_test(without_calibrators),
        cmocka_unit_test(refused_and_caution),
        cmocka_unit_test(layouts),
        cmocka_unit_test(any_prediction),
        cmocka_unit_test(what_was_asked_for),
        cmocka_unit_test(text_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
