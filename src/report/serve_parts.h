/* SPDX-License-Identifier: MIT
 * serve_parts.h: what the files of the server share: serve.c starts, stops and routes; serve_pages.c answers what is read; serve_predict.c turns files
 * into results; serve_upload.c finds the recordings among the files; serve_folder.c the recordings of a folder; serve_results.c keeps results. */
#ifndef ECG_REPORT_SERVE_PARTS_H
#define ECG_REPORT_SERVE_PARTS_H

#include <pthread.h>

#include "base/source.h"
#include "report/serve.h"

/* ---- results -------------------------------------------------------------------------------------------------------------------- */

enum { ECG_ID_LEN = 16 };

/* What was made of a result, to be given again. */
enum { ECG_VIEWS_MAX = 6 };
typedef struct {
    char key[40]; /* "html 0 25 10" */
    ecg_text text;
} ecg_view;

/* Written once, then only read, but for what stands below holders; lives until nobody holds it. */
typedef struct ecg_result {
    char id[ECG_ID_LEN + 1];
    char name[256];
    ecg_record rec;
    bool answered;
    ecg_answer a;         /* if answered; its lists lie in `lists`, it is not to be cleared */
    void *lists;
    char why_not[240];    /* else */
    int holders;          /* from here on under the lock of the list */
    bool listed;
    size_t bytes;
    ecg_view view[ECG_VIEWS_MAX];
    int views;
} ecg_result;

typedef struct {
    pthread_mutex_t lock;
    ecg_result **kept;    /* (n), the newest first */
    int n, most;
    size_t bytes, most_bytes;
} ecg_results;

ecg_status ecg_results_open(ecg_results *l, int most, size_t most_bytes, ecg_err *err);
void ecg_results_close(ecg_results *l);
/* Takes rec, copies a (NULL: none, and why_not says why), gives the result its id, lets the oldest go. *out is held for the caller. */
ecg_status ecg_results_add(ecg_result **out, ecg_results *l, const char *name, ecg_record *rec, const ecg_answer *a, const char *why_not, ecg_err *err);
ecg_result *ecg_results_find(ecg_results *l, const char *id); /* held; NULL: not there, or no longer */
int ecg_results_all(ecg_result **out, ecg_results *l, int most); /* each held */
bool ecg_results_drop(ecg_results *l, const char *id); /* NULL: all */
void ecg_result_done(ecg_results *l, ecg_result *r);
bool ecg_result_view(ecg_text *out, ecg_results *l, const ecg_result *r, const char *key); /* appends a copy; false: not made yet */
void ecg_result_keep(ecg_results *l, ecg_result *r, const char *key, const ecg_text *text); /* a copy, if there is room */
const char *ecg_result_state(const ecg_result *r);     /* "answered" "caution" "refused" */

/* ---- recordings among files ----------------------------------------------------------------------------------------------------- */

enum { ECG_RECORDINGS_MAX = 64 /* of one upload */, ECG_SERVED_SECONDS_MAX = 3600 };

typedef struct {
    const char *name[ECG_RECORDINGS_MAX]; /* of members */
    int n;
} ecg_recordings;

/* Files to members: their names are checked and no two are the same. member (parts->n). ECG_EDATA: a name that leaves the upload. */
ecg_status ecg_upload_members(ecg_member *member, const ecg_multipart *parts, ecg_err *err);
/* Each header is a recording unless it is a segment of another, each file that belongs to none too: reading it says what is wrong. ECG_EDATA: over
 * ECG_RECORDINGS_MAX. */
ecg_status ecg_upload_recordings(ecg_recordings *out, const ecg_member *member, int n, ecg_err *err);
/* What the server takes on: ECG_EREFUSED for more than an hour, or more samples than such an hour would have, before they are read. */
ecg_status ecg_served_size(ecg_source *src, const char *file, ecg_err *err);

/* ---- the folder ----------------------------------------------------------------------------------------------------------------- */

/* Names below the folder, links followed only where they stay in it; files up to `most` bytes are read, not mapped: they may change meanwhile. */
ecg_status ecg_folder_source(ecg_source *out, const char *folder, size_t most, ecg_err *err);
/* {"records": [{"name"}], "truncated"}: WFDB headers below the folder whose name holds `find` (NULL: all), sorted. */
ecg_status ecg_folder_records(json_t **out, const char *folder, const char *find, ecg_err *err);

/* ---- predictions ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    ecg_http_request *first, *last;
    pthread_t *worker;
    int workers;
    bool end;
} ecg_serve_queue;

struct ecg_serve {
    ecg_serve_options o;
    char folder[512];
    char *info;               /* what /api/info answers */
    ecg_http *http;
    ecg_results results;
    ecg_serve_queue queue;
};

ecg_status ecg_queue_open(ecg_serve *s, ecg_err *err);
void ecg_queue_close(ecg_serve *s);                       /* answers what waits, and what still comes, with 503 */
void ecg_queue_free(ecg_serve *s);                        /* after the last request */
void ecg_queue_add(ecg_serve *s, ecg_http_request *r);    /* r is put aside; its reply comes */

/* What workers do; fill r->reply. */
void ecg_serve_upload(ecg_serve *s, ecg_http_request *r);
void ecg_serve_open_record(ecg_serve *s, ecg_http_request *r);
void ecg_serve_records(ecg_serve *s, ecg_http_request *r);

/* What is read. */
void ecg_serve_list(ecg_serve *s, ecg_http_request *r);
void ecg_serve_table(ecg_serve *s, ecg_http_request *r);  /* /api/results.csv */
void ecg_serve_result(ecg_serve *s, ecg_http_request *r, const char *id, const char *form); /* form: "json" "html" "svg" "csv" */
void ecg_serve_json(ecg_http_request *r, json_t *j);      /* 200; j is gone */

#endif
