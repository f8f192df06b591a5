/* SPDX-License-Identifier: MIT
 * serve_predict.c: files to results. Requests wait in one queue; each worker takes one, with what it allocates for itself: the model is only read. */
#include <stdlib.h>
#include <string.h>

#include "ecg/formats.h"
#include "report/serve_parts.h"

/* ---- one recording -------------------------------------------------------------------------------------------------------------- */

static ecg_status read_record(ecg_record *rec, ecg_source *src, const char *file, ecg_err *err)
{
    ecg_status st = ecg_served_size(src, file, err);
    if (!st)
        st = ecg_record_read_from(rec, src, file, err);
    if (!st && (double)rec->samples / rec->rate_hz > ECG_SERVED_SECONDS_MAX) {
        st = ecg_fail(err, ECG_EREFUSED, "%.0f s, at most %d are answered here", (double)rec->samples / rec->rate_hz, ECG_SERVED_SECONDS_MAX);
        ecg_record_clear(rec);
    }
    return st;
}

/* {"id", "name", "state", "error"}: state "unreadable" has no id and no page. */
static json_t *told(const char *id, const char *name, const char *state, const char *error)
{
    return json_pack("{s:o, s:o, s:s, s:o}", "id", id ? json_string(id) : json_null(), "name", ecg_json_words(name), "state", state, "error",
                     error && *error ? ecg_json_words(error) : json_null());
}

/* One recording as `predict` answers it: what the model refuses has a result too, with the reason. */
static json_t *answer_one(ecg_serve *s, ecg_source *src, const char *name)
{
    ecg_record rec = {0};
    ecg_answer a;
    ecg_err err = {0};
    ecg_result *r = NULL;
    char text[1024];
    ecg_status st = read_record(&rec, src, name, &err);
    if (!st) {
        st = ecg_predict(&a, s->o.model, &rec, &s->o.predict, &err);
        if (!st || st == ECG_EREFUSED) {
            const bool answered = !st;
            st = ecg_results_add(&r, &s->results, name, &rec, answered ? &a : NULL, answered ? NULL : err.msg, &err);
            if (answered)
                ecg_answer_clear(&a);
        }
        ecg_record_clear(&rec); /* empty where a result has it */
    }
    if (st) {
        ecg_err_text(text, sizeof text, &err);
        return told(NULL, name, "unreadable", text);
    }
    json_t *j = told(r->id, name, ecg_result_state(r), r->why_not);
    ecg_result_done(&s->results, r);
    return j;
}

static void answer_all(ecg_serve *s, ecg_http_request *r, ecg_source *src, const ecg_recordings *which)
{
    json_t *list = json_array();
    for (int i = 0; i < which->n; i++)
        json_array_append_new(list, answer_one(s, src, which->name[i]));
    ecg_serve_json(r, json_pack("{s:o}", "results", list));
}

/* ---- what a worker does --------------------------------------------------------------------------------------------------------- */

void ecg_serve_upload(ecg_serve *s, ecg_http_request *r)
{
    ecg_multipart parts;
    ecg_member member[ECG_PARTS_MAX];
    ecg_recordings which;
    ecg_source src;
    ecg_err err = {0};
    ecg_status st = ecg_multipart_parse(&parts, r->type, r->body, r->body_len, &err);
    if (st) {
        ecg_http_fail(r, st == ECG_EUNSUPPORTED ? 415 : st == ECG_ENOMEM ? 503 : 400, &err);
        return;
    }
    st = ecg_upload_members(member, &parts, &err);
    if (!st)
        st = ecg_upload_recordings(&which, member, parts.n, &err);
    if (!st)
        st = ecg_source_memory(&src, member, parts.n, &err);
    if (!st) {
        snprintf(src.where, sizeof src.where, "upload");
        answer_all(s, r, &src, &which);
        ecg_source_close(&src);
    } else {
        ecg_http_fail(r, st == ECG_ENOMEM ? 503 : 400, &err);
    }
    ecg_multipart_clear(&parts);
}

void ecg_serve_open_record(ecg_serve *s, ecg_http_request *r)
{
    const char *name = ecg_target_query(&r->target, "record");
    ecg_recordings which = {.name = {name}, .n = 1};
    ecg_source src;
    ecg_bytes bytes;
    ecg_err err = {0};
    if (!name) {
        ecg_http_error(r, 400, "which record? ?record=NAME");
        return;
    }
    ecg_status st = ecg_folder_source(&src, s->folder, s->o.upload_bytes, &err);
    if (!st && !(st = ecg_source_open(&src, name, &bytes, &err)))
        ecg_bytes_free(&bytes);
    if (st == ECG_EIO)
        ecg_http_error(r, 404, "no record of that name in the folder");
    else if (st == ECG_EDATA)
        ecg_http_error(r, 400, "a name that leaves the folder");
    else if (st)
        ecg_http_fail(r, st == ECG_EREFUSED ? 413 : 500, &err);
    else
        answer_all(s, r, &src, &which);
    ecg_source_close(&src);
}

void ecg_serve_records(ecg_serve *s, ecg_http_request *r)
{
    json_t *j;
    ecg_err err = {0};
    if (ecg_folder_records(&j, s->folder, ecg_target_query(&r->target, "find"), &err))
        ecg_http_fail(r, 503, &err);
    else
        ecg_serve_json(r, j);
}

/* ---- the queue ------------------------------------------------------------------------------------------------------------------ */

static void work_on(ecg_serve *s, ecg_http_request *r)
{
    if (strcmp(r->target.path, "/api/predict") == 0)
        ecg_serve_upload(s, r);
    else if (strcmp(r->target.path, "/api/open") == 0)
        ecg_serve_open_record(s, r);
    else
        ecg_serve_records(s, r);
    ecg_http_answered(r);
}

static void *worker(void *arg)
{
    ecg_serve *s = arg;
    ecg_serve_queue *q = &s->queue;
    pthread_mutex_lock(&q->lock);
    while (!q->end) {
        ecg_http_request *r = q->first;
        if (!r) {
            pthread_cond_wait(&q->more, &q->lock);
            continue;
        }
        q->first = r->next;
        pthread_mutex_unlock(&q->lock);
        work_on(s, r);
        pthread_mutex_lock(&q->lock);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

ecg_status ecg_queue_open(ecg_serve *s, ecg_err *err)
{
    ecg_serve_queue *q = &s->queue;
    q->worker = calloc((size_t)s->o.workers, sizeof *q->worker);
    if (!q->worker)
        return ecg_fail(err, ECG_ENOMEM, "no thread for predictions");
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->more, NULL);
    while (q->workers < s->o.workers && !pthread_create(&q->worker[q->workers], NULL, worker, s))
        q->workers++;
    return q->workers ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no thread for predictions");
}

void ecg_queue_close(ecg_serve *s)
{
    ecg_serve_queue *q = &s->queue;
    pthread_mutex_lock(&q->lock);
    q->end = true;
    pthread_cond_broadcast(&q->more);
    pthread_mutex_unlock(&q->lock);
    for (int i = 0; i < q->workers; i++)
        pthread_join(q->worker[i], NULL);
    for (ecg_http_request *r = q->first, *next; r; r = next) {
        next = r->next;
        ecg_http_error(r, 503, "the server ends");
        ecg_http_answered(r);
    }
    q->first = NULL;
}

void ecg_queue_free(ecg_serve *s)
{
    if (!s->queue.worker)
        return;
    free(s->queue.worker);
    pthread_cond_destroy(&s->queue.more);
    pthread_mutex_destroy(&s->queue.lock);
}

void ecg_queue_add(ecg_serve *s, ecg_http_request *r)
{
    ecg_serve_queue *q = &s->queue;
    r->next = NULL;
    pthread_mutex_lock(&q->lock);
    if (q->end) {
        ecg_http_error(r, 503, "the server ends");
    } else {
        ecg_http_later(r);
        *(q->first ? &q->last->next : &q->first) = r;
        q->last = r;
        pthread_cond_signal(&q->more);
    }
    pthread_mutex_unlock(&q->lock);
}
