/* SPDX-License-Identifier: MIT
 * serve_pages.c: what is read of the results: the list, the prediction object, the page, the drawing, tables. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "explain/explain.h"
#include "report/ecg_page.h"
#include "report/serve_parts.h"

void ecg_serve_json(ecg_http_request *r, json_t *j)
{
    r->reply.status = 200;
    r->reply.type = "application/json";
    if (j)
        ecg_json_line(&r->reply.body, j);
    else
        r->reply.body.failed = true;
    json_decref(j);
}

/* ---- the list ------------------------------------------------------------------------------------------------------------------- */

/* Of a recording that nothing may be claimed of no figure of the model is given. */
static bool speaks(const ecg_result *r)
{
    return r->answered && r->a.input != ECG_INPUT_REFUSED;
}

static json_t *lab_json(const ecg_score *l)
{
    char test[64];
    const char *direction;
    ecg_lab_words(test, sizeof test, &direction, l->code);
    return json_pack("{s:o, s:s, s:o}", "name", ecg_json_words(test), "direction", direction, "probability", ecg_json_number(l->probability));
}

static json_t *result_json(const ecg_result *r)
{
    const bool top = speaks(r) && r->a.diagnoses, lab = speaks(r) && r->a.labs;
    char code[72];
    json_t *j = json_pack("{s:s, s:o, s:s, s:o, s:o}", "id", r->id, "name", ecg_json_words(r->name), "state", ecg_result_state(r), "recorded_at",
                          json_string(r->rec.when), "error", *r->why_not ? ecg_json_words(r->why_not) : json_null());
    json_t *diagnosis = json_null();
    if (top) {
        const ecg_score *d = r->a.diagnosis;
        const char *verdict = ecg_verdict_text(d->verdict);
        diagnosis = json_pack("{s:o, s:o, s:o, s:o}", "code", ecg_json_words(ecg_code_text(code, sizeof code, d->code)), "title", ecg_json_words(d->title),
                              "probability", ecg_json_number(d->probability), "verdict", verdict ? json_string(verdict) : json_null());
    }
    json_object_set_new(j, "top", diagnosis);
    json_object_set_new(j, "n_yes", speaks(r) && r->a.calibrated ? json_integer(r->a.yes) : json_null());
    json_object_set_new(j, "lab", lab ? lab_json(r->a.lab) : json_null());
    return j;
}

void ecg_serve_list(ecg_serve *s, ecg_http_request *r)
{
    ecg_result **all = malloc((size_t)s->o.results * sizeof *all);
    json_t *list = json_array();
    const int n = all ? ecg_results_all(all, &s->results, s->o.results) : 0;
    for (int i = 0; i < n; i++) {
        json_array_append_new(list, result_json(all[i]));
        ecg_result_done(&s->results, all[i]);
    }
    free(all);
    ecg_serve_json(r, json_pack("{s:o}", "results", list));
}

/* ---- tables --------------------------------------------------------------------------------------------------------------------- */

/* Quoted where needed; what a spreadsheet would take for a formula begins with an apostrophe. */
static void put_field(ecg_text *to, const char *s)
{
    const bool formula = *s && strchr("=+-@\t", *s), quoted = strpbrk(s, ",\"\r\n") != NULL;
    if (quoted)
        ecg_text_puts(to, "\"");
    if (formula)
        ecg_text_puts(to, "'");
    for (; *s; s++) {
        if (*s == '"')
            ecg_text_puts(to, "\"");
        ecg_text_add(to, s, 1);
    }
    if (quoted)
        ecg_text_puts(to, "\"");
}

static void put_number(ecg_text *to, double x)
{
    ecg_text_puts(to, ",");
    if (isfinite(x))
        ecg_text_printf(to, "%.9g", x);
}

static void put_scores(ecg_text *to, const char *name, const char *set, const ecg_score *s, int n)
{
    for (int i = 0; i < n; i++) {
        const char *verdict = ecg_verdict_text(s[i].verdict);
        put_field(to, name);
        ecg_text_printf(to, ",%s,", set);
        put_field(to, s[i].code);
        ecg_text_puts(to, ",");
        put_field(to, s[i].title);
        put_number(to, s[i].probability);
        put_number(to, s[i].lo);
        put_number(to, s[i].hi);
        ecg_text_printf(to, ",%s", verdict ? verdict : "");
        put_number(to, s[i].prevalence);
        put_number(to, s[i].auroc);
        put_number(to, s[i].crop_mean_logit);
        ecg_text_puts(to, "\n");
    }
}

static void put_labels(ecg_text *to, const ecg_result *r)
{
    ecg_text_puts(to, "recording,set,code,title,probability,low,high,verdict,prevalence,auroc,crop_mean_logit\n");
    if (speaks(r)) {
        put_scores(to, r->name, "diagnoses", r->a.diagnosis, r->a.diagnoses);
        put_scores(to, r->name, "labs", r->a.lab, r->a.labs);
    }
}

static void put_row(ecg_text *to, const ecg_result *r)
{
    const bool top = speaks(r) && r->a.diagnoses, lab = speaks(r) && r->a.labs;
    const char *verdict = top ? ecg_verdict_text(r->a.diagnosis->verdict) : NULL;
    put_field(to, r->name);
    ecg_text_printf(to, ",%s,%s,", r->rec.when, ecg_result_state(r));
    put_field(to, top ? r->a.diagnosis->code : "");
    ecg_text_puts(to, ",");
    put_field(to, top ? r->a.diagnosis->title : "");
    put_number(to, top ? r->a.diagnosis->probability : NAN);
    ecg_text_printf(to, ",%s,", verdict ? verdict : "");
    if (speaks(r) && r->a.calibrated)
        ecg_text_printf(to, "%d,%d,%d", r->a.yes, r->a.no, r->a.uncertain);
    else
        ecg_text_puts(to, ",,");
    ecg_text_puts(to, ",");
    put_field(to, lab ? r->a.lab->code : "");
    put_number(to, lab ? r->a.lab->probability : NAN);
    ecg_text_puts(to, ",");
    put_field(to, r->answered ? r->a.doubts ? r->a.doubt[0] : "" : r->why_not);
    ecg_text_printf(to, ",%s\n", r->id);
}

void ecg_serve_table(ecg_serve *s, ecg_http_request *r)
{
    ecg_result **all = malloc((size_t)s->o.results * sizeof *all);
    const int n = all ? ecg_results_all(all, &s->results, s->o.results) : 0;
    ecg_text_puts(&r->reply.body, "recording,recorded_at,state,diagnosis,title,probability,verdict,yes,no,uncertain,laboratory,laboratory_probability,reason,id\n");
    for (int i = 0; i < n; i++) {
        put_row(&r->reply.body, all[i]);
        ecg_result_done(&s->results, all[i]);
    }
    free(all);
    r->reply.status = 200;
    r->reply.type = "text/csv; charset=utf-8";
    snprintf(r->reply.file, sizeof r->reply.file, "results.csv");
}

/* ---- one result ----------------------------------------------------------------------------------------------------------------- */

/* false: a query that cannot be drawn, the reply says which. */
static bool understand_page(ecg_page_options *o, ecg_http_request *r)
{
    const char *layout = ecg_target_query(&r->target, "layout"), *speed = ecg_target_query(&r->target, "speed"), *gain = ecg_target_query(&r->target, "gain");
    int64_t n;
    *o = ecg_page_usual;
    if (layout && *layout) {
        int i = 0;
        while (i < ECG_LAYOUTS && !ecg_same_word(layout, ecg_layout_names[i]))
            i++;
        if (i == ECG_LAYOUTS) {
            ecg_http_error(r, 400, "layout: 3x4, 6x2, 12x1 or cabrera");
            return false;
        }
        o->layout = (ecg_layout)i;
    }
    if (speed && *speed) {
        if (!ecg_parse_i64(&n, speed, strlen(speed)) || (n != 25 && n != 50)) {
            ecg_http_error(r, 400, "speed: 25 or 50 mm/s");
            return false;
        }
        o->speed_mm_per_s = (int)n;
    }
    if (gain && *gain) {
        if (!ecg_parse_i64(&n, gain, strlen(gain)) || (n != 0 && n != 5 && n != 10 && n != 20)) {
            ecg_http_error(r, 400, "gain: 5, 10 or 20 mm/mV, 0: fitting");
            return false;
        }
        o->gain_mm_per_mv = (int)n;
    }
    return true;
}

static json_t *prediction(const ecg_serve *s, const ecg_result *r, int top)
{
    return r->answered ? ecg_prediction_json(r->name, &r->a, s->o.model, s->o.name, top)
                       : ecg_prediction_refused(r->name, r->why_not, s->o.model, s->o.name);
}

/* What is asked for, in a form that names what was made of a result (key). false: it cannot be, the reply says why. */
typedef struct {
    const char *form; /* "json" "html" "svg" "csv" */
    bool alone;       /* svg: with its own head, to be saved */
    int64_t top;
    ecg_page_options page;
    char key[40];
} asked;

static bool understand(asked *q, const ecg_serve *s, ecg_http_request *r, const char *form, bool save)
{
    const char *top = ecg_target_query(&r->target, "top");
    *q = (asked){.form = form, .top = s->o.top, .alone = save && strcmp(form, "svg") == 0};
    if (strcmp(form, "json") == 0 && top && (!ecg_parse_i64(&q->top, top, strlen(top)) || q->top < 0 || q->top > INT32_MAX)) {
        ecg_http_error(r, 400, "top: 0 to %d", INT32_MAX);
        return false;
    }
    if (!understand_page(&q->page, r))
        return false;
    snprintf(q->key, sizeof q->key, "%s%s %d %d %d %d", form, q->alone ? "+" : "", (int)q->page.layout, q->page.speed_mm_per_s, q->page.gain_mm_per_mv, (int)q->top);
    return true;
}

static ecg_status put_page(ecg_text *to, const ecg_serve *s, const ecg_result *of, const asked *q, ecg_err *err)
{
    json_t *j = prediction(s, of, s->o.top);
    const ecg_status st = ecg_page(to, j, &of->rec, &q->page, err);
    json_decref(j);
    return st;
}

/* The drawing as the page has it. */
static ecg_status put_drawing(ecg_text *to, const ecg_result *of, const asked *q, ecg_err *err)
{
    ecg_plot_options o = ecg_plot_usual;
    o.layout = q->page.layout;
    o.speed_mm_per_s = q->page.speed_mm_per_s;
    o.gain_mm_per_mv = q->page.gain_mm_per_mv;
    o.seconds = q->page.speed_mm_per_s == 50 ? 5 : 10;
    o.panel = !q->alone;
    return ecg_plot(to, &of->rec, &o, err);
}

static ecg_status put_form(ecg_text *to, const ecg_serve *s, const ecg_result *of, const asked *q, ecg_err *err)
{
    if (strcmp(q->form, "html") == 0)
        return put_page(to, s, of, q, err);
    if (strcmp(q->form, "svg") == 0)
        return put_drawing(to, of, q, err);
    if (strcmp(q->form, "csv") == 0) {
        put_labels(to, of);
        return ECG_OK;
    }
    json_t *j = prediction(s, of, (int)q->top);
    ecg_json_line(to, j);
    json_decref(j);
    return ECG_OK;
}

/* "p1/40689238.hea" to "40689238". */
static void name_file(ecg_http_request *r, const ecg_result *of, const char *form)
{
    const char *slash = strrchr(of->name, '/'), *own = slash ? slash + 1 : of->name, *dot = strrchr(own, '.');
    snprintf(r->reply.file, sizeof r->reply.file, "%.*s.%s", (int)(dot && dot > own ? dot - own : (long)strlen(own)), own, form);
}

static const char *type_of(const char *form)
{
    return strcmp(form, "html") == 0 ? "text/html; charset=utf-8" : strcmp(form, "svg") == 0 ? "image/svg+xml" : strcmp(form, "csv") == 0 ? "text/csv; charset=utf-8" : "application/json";
}

void ecg_serve_result(ecg_serve *s, ecg_http_request *r, const char *id, const char *form)
{
    const char *download = ecg_target_query(&r->target, "download");
    const bool save = download && strcmp(download, "1") == 0;
    asked q;
    ecg_err err = {0};
    ecg_result *of = ecg_results_find(&s->results, id);
    if (!of) {
        ecg_http_error(r, 404, "no such result; the last %d are kept", s->o.results);
        return;
    }
    if (understand(&q, s, r, form, save)) {
        ecg_status st = ECG_OK;
        if (!ecg_result_view(&r->reply.body, &s->results, of, q.key)) {
            st = put_form(&r->reply.body, s, of, &q, &err);
            if (!st)
                ecg_result_keep(&s->results, of, q.key, &r->reply.body);
        }
        if (st) {
            ecg_http_fail(r, st == ECG_ENOMEM ? 503 : 422, &err);
        } else {
            r->reply.status = 200;
            r->reply.type = type_of(form);
            if (save || strcmp(form, "csv") == 0)
                name_file(r, of, form);
        }
    }
    ecg_result_done(&s->results, of);
}
