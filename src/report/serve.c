/* SPDX-License-Identifier: MIT
 * serve.c: start, routes, stop. */
#include "report/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/ecgplot.h"
#include "report/page_assets.h"
#include "report/serve_parts.h"

const ecg_serve_options ecg_serve_usual = {
    .http = {.address = "127.0.0.1", .port = 8017, .threads = 4, .connections = 128, .timeout = 20},
    .upload_bytes = (size_t)32 << 20,
    .results = 64,
    .result_bytes = (size_t)256 << 20,
    .top = 5,
    .predict = {.alpha = 0.1},
};

/* ---- routes --------------------------------------------------------------------------------------------------------------------- */

typedef enum { ROUTE_NONE, ROUTE_ASSET, ROUTE_INFO, ROUTE_PREDICT, ROUTE_RECORDS, ROUTE_OPEN, ROUTE_RESULTS, ROUTE_TABLE, ROUTE_RESULT, ROUTE_FORM } route_kind;

typedef struct {
    route_kind kind;
    const ecg_asset *asset;
    char id[ECG_ID_LEN + 1];
    const char *form; /* of ROUTE_FORM */
} route;

static const struct { const char *path; route_kind kind; } fixed_routes[] = {
    {"/api/info", ROUTE_INFO}, {"/api/predict", ROUTE_PREDICT}, {"/api/results", ROUTE_RESULTS}, {"/api/results.csv", ROUTE_TABLE},
    {"/api/records", ROUTE_RECORDS}, {"/api/open", ROUTE_OPEN},
};

static const struct { const char *methods, *all; } methods_of[] = {
    [ROUTE_NONE] = {"", ""}, [ROUTE_ASSET] = {"GET", "GET, HEAD"}, [ROUTE_INFO] = {"GET", "GET, HEAD"}, [ROUTE_PREDICT] = {"POST", "POST"},
    [ROUTE_RECORDS] = {"GET", "GET, HEAD"}, [ROUTE_OPEN] = {"POST", "POST"}, [ROUTE_RESULTS] = {"GET DELETE", "GET, HEAD, DELETE"},
    [ROUTE_TABLE] = {"GET", "GET, HEAD"}, [ROUTE_RESULT] = {"DELETE", "DELETE"}, [ROUTE_FORM] = {"GET", "GET, HEAD"},
};

/* "/api/results/ID" and "/api/results/ID.form" */
static bool result_route(route *out, const char *path)
{
    static const char *const forms[] = {"json", "html", "svg", "csv"};
    if (strncmp(path, "/api/results/", 13) != 0 || strspn(path + 13, "0123456789abcdef") != ECG_ID_LEN)
        return false;
    memcpy(out->id, path + 13, ECG_ID_LEN);
    path += 13 + ECG_ID_LEN;
    out->kind = *path ? ROUTE_NONE : ROUTE_RESULT;
    for (size_t i = 0; *path == '.' && i < sizeof forms / sizeof *forms; i++)
        if (strcmp(path + 1, forms[i]) == 0) {
            out->kind = ROUTE_FORM;
            out->form = forms[i];
        }
    return out->kind != ROUTE_NONE;
}

static route find_route(const char *path, bool folder)
{
    route r = {0};
    for (size_t i = 0; i < ecg_n_page_assets; i++)
        if (strcmp(path, ecg_page_assets[i].path) == 0)
            return (route){.kind = ROUTE_ASSET, .asset = &ecg_page_assets[i]};
    for (size_t i = 0; i < sizeof fixed_routes / sizeof *fixed_routes; i++)
        if (strcmp(path, fixed_routes[i].path) == 0 && (folder || (fixed_routes[i].kind != ROUTE_RECORDS && fixed_routes[i].kind != ROUTE_OPEN)))
            return (route){.kind = fixed_routes[i].kind};
    result_route(&r, path);
    return r;
}

static bool among(const char *words, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = words; n && (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

static void begin(void *ctx, ecg_http_request *r, size_t *most)
{
    ecg_serve *s = ctx;
    const route to = find_route(r->target.path, s->o.folder);
    if (to.kind == ROUTE_NONE) {
        ecg_http_error(r, 404, "nothing here");
    } else if (!among(methods_of[to.kind].methods, r->method)) {
        ecg_http_error(r, 405, "%s", methods_of[to.kind].all);
        r->reply.allow = methods_of[to.kind].all;
    } else if (to.kind == ROUTE_PREDICT) {
        *most = s->o.upload_bytes;
        if (strncasecmp(r->type, "multipart/form-data", 19) != 0)
            ecg_http_error(r, 415, "files come as multipart/form-data");
    }
}

static void give_asset(ecg_http_request *r, const ecg_asset *a)
{
    r->reply.status = 200;
    r->reply.type = a->type;
    r->reply.cache = "no-cache";
    r->reply.constant = a->data;
    r->reply.constant_len = a->size;
}

static void drop(ecg_serve *s, ecg_http_request *r, const char *id)
{
    if (ecg_results_drop(&s->results, id))
        r->reply.status = 204;
    else
        ecg_http_error(r, 404, "no such result");
}

static void answer(void *ctx, ecg_http_request *r)
{
    ecg_serve *s = ctx;
    const route to = find_route(r->target.path, s->o.folder);
    switch (to.kind) {
    case ROUTE_NONE: break; /* begin has answered */
    case ROUTE_ASSET: give_asset(r, to.asset); break;
    case ROUTE_INFO:
        r->reply.status = 200;
        r->reply.type = "application/json";
        ecg_text_puts(&r->reply.body, s->info);
        break;
    case ROUTE_PREDICT:
    case ROUTE_RECORDS:
    case ROUTE_OPEN: ecg_queue_add(s, r); break;
    case ROUTE_RESULTS:
        if (strcmp(r->method, "DELETE") == 0)
            drop(s, r, NULL);
        else
            ecg_serve_list(s, r);
        break;
    case ROUTE_TABLE: ecg_serve_table(s, r); break;
    case ROUTE_RESULT: drop(s, r, to.id); break;
    case ROUTE_FORM: ecg_serve_result(s, r, to.id, to.form); break;
    }
}

/* ---- what the server says of itself --------------------------------------------------------------------------------------------- */

static int labels_of(const ecg_model *m, const char *prefix)
{
    const ecg_head *h = ecg_model_head((ecg_model *)m, prefix); /* only looked at */
    return h ? ecg_head_labels(m, h, NULL) : 0;
}

static json_t *info_json(const ecg_serve *s)
{
    const ecg_model *m = s->o.model;
    json_t *layouts = json_array();
    for (int i = 0; i < ECG_LAYOUTS; i++)
        json_array_append_new(layouts, json_string(ecg_layout_names[i]));
    json_t *model = json_pack("{s:o, s:s, s:o, s:i, s:i, s:f, s:f, s:b}", "file", ecg_json_words(s->o.name->name), "sha256", s->o.name->hash, "preset",
                              ecg_json_words(m->preset), "diagnoses", labels_of(m, ECG_HEAD_DIAGNOSES), "labs", labels_of(m, ECG_HEAD_LABS), "rate",
                              m->contract.rate_hz, "seconds", m->shape.length / m->contract.rate_hz, "calibrated", m->uncertain[0].K > 0);
    json_t *limits = json_pack("{s:I, s:i, s:i, s:i, s:i}", "upload_bytes", (json_int_t)s->o.upload_bytes, "results", s->o.results, "files", ECG_PARTS_MAX,
                               "recordings", ECG_RECORDINGS_MAX, "seconds", ECG_SERVED_SECONDS_MAX);
    return json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:b, s:o, s:[i,i], s:[i,i,i], s:f, s:i}", "program", "ecgraft", "version", ecg_version(), "statement",
                     ECG_STATEMENT, "synthetic", ecg_model_synthetic(m), "model", model, "limits", limits, "folder", s->o.folder != NULL, "layouts", layouts,
                     "speeds", 25, 50, "gains", 5, 10, 20, "alpha", s->o.predict.alpha, "top", s->o.top);
}

static ecg_status write_info(ecg_serve *s, ecg_err *err)
{
    ecg_text line = {0};
    json_t *j = info_json(s);
    if (j)
        ecg_json_line(&line, j);
    json_decref(j);
    s->info = line.at;
    return j && !line.failed ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
}

/* ---- start and stop ------------------------------------------------------------------------------------------------------------- */

static ecg_status check_options(const ecg_serve_options *o, ecg_err *err)
{
    if (!o->model || !o->name)
        return ecg_fail(err, ECG_EARG, "no model");
    if (o->workers < 1 || o->workers > 1024)
        return ecg_fail(err, ECG_EARG, "%d workers, 1 to 1024", o->workers);
    if (o->results < 1 || o->results > 10000)
        return ecg_fail(err, ECG_EARG, "%d results, 1 to 10000", o->results);
    if (o->upload_bytes < 1024)
        return ecg_fail(err, ECG_EARG, "uploads of %zu bytes, at least 1024", o->upload_bytes);
    return ECG_OK;
}

static ecg_status open_folder(ecg_serve *s, ecg_err *err)
{
    ecg_source src;
    if (!s->o.folder)
        return ECG_OK;
    const ecg_status st = ecg_folder_source(&src, s->o.folder, s->o.upload_bytes, err);
    if (st)
        return st;
    snprintf(s->folder, sizeof s->folder, "%s", src.where);
    s->o.folder = s->folder;
    ecg_source_close(&src);
    return ECG_OK;
}

ecg_status ecg_serve_start(ecg_serve **out, const ecg_serve_options *o, ecg_err *err)
{
    *out = NULL;
    ecg_status st = check_options(o, err);
    if (st)
        return st;
    ecg_serve *s = calloc(1, sizeof *s);
    if (!s)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a server");
    s->o = *o;
    s->o.predict.explain = o->top ? o->top : -1;
    if (!s->o.http.waiting_bytes)
        s->o.http.waiting_bytes = 4 * o->upload_bytes;
    st = open_folder(s, err);
    if (!st)
        st = ecg_results_open(&s->results, o->results, o->result_bytes, err);
    if (!st)
        st = write_info(s, err);
    if (!st)
        st = ecg_queue_open(s, err);
    if (!st)
        st = ecg_http_start(&s->http, &s->o.http, &(ecg_http_handler){.ctx = s, .begin = begin, .answer = answer}, err);
    if (st) {
        ecg_serve_stop(s, 0);
        return st;
    }
    *out = s;
    return ECG_OK;
}

int ecg_serve_port(const ecg_serve *s)
{
    return ecg_http_port(s->http);
}

void ecg_serve_stop(ecg_serve *s, double seconds)
{
    if (!s)
        return;
    if (s->http)
        ecg_http_close(s->http);
    if (s->queue.worker)
        ecg_queue_close(s);
    ecg_http_stop(s->http, seconds);
    ecg_queue_free(s);
    ecg_results_close(&s->results);
    free(s->info);
    free(s);
}
