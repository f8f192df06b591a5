/* SPDX-License-Identifier: MIT
 * http.h: a small HTTP/1.1 server over libmicrohttpd that knows nothing of ECGs: who may ask, how much, how long. Requests are answered on a few
 * threads; one that takes longer is put aside (ecg_http_later) and its connection costs no thread until it is answered. */
#ifndef ECG_REPORT_HTTP_H
#define ECG_REPORT_HTTP_H

#include "base/text.h"
#include "base/watch.h"
#include "report/http_text.h"

typedef struct ecg_http ecg_http;

typedef struct {
    int status;                /* 0: not answered yet */
    const char *type;          /* "application/json" ...; NULL: no body */
    ecg_text body;             /* goes to the connection */
    const void *constant;      /* instead of body: (constant_len), lives longer than the server */
    size_t constant_len;
    const char *allow;         /* "GET, HEAD" beside 405 */
    const char *cache;         /* NULL: "no-store" */
    char file[288];            /* to be saved under this name; "": to be shown */
    char location[64], cookie[160];
    int retry_after;           /* seconds; 0: not said */
} ecg_http_reply;

/* One request; fields are its handler's until it is answered. */
typedef struct ecg_http_request {
    char method[12];           /* "GET"; HEAD comes as GET */
    ecg_target target;
    char type[256];            /* Content-Type */
    const uint8_t *body;       /* (body_len) */
    size_t body_len;
    ecg_http_reply reply;
    struct ecg_http_request *next; /* for whoever queues it */
    void *connection;          /* the server's own from here on */
    ecg_http *server;
    uint8_t *held;
    size_t room, announced;
    int stage;
    bool fit;
    double began;
    struct ecg_http_line *line;
} ecg_http_request;

typedef struct {
    void *ctx;
    /* Before the body is read: how many bytes it may have (*most), or already the reply. */
    void (*begin)(void *ctx, ecg_http_request *r, size_t *most);
    /* Fills r->reply, or calls ecg_http_later and hands r on as its last act. */
    void (*answer)(void *ctx, ecg_http_request *r);
} ecg_http_handler;

typedef struct {
    const char *address;       /* "127.0.0.1", "::1", "0.0.0.0" */
    int port;                  /* 0: any that is free */
    bool open;                 /* may listen beyond this machine; needs a token of ECG_TOKEN_MIN bytes */
    const char *token;         /* NULL: nobody is asked */
    const char *host_name;     /* by which browsers may call this server beside addresses; NULL */
    int threads, connections;
    int per_address;           /* connections of one address; 0: all */
    double timeout;            /* seconds that a request may take to arrive, beside 64 kB/s for its body */
    size_t waiting_bytes;      /* bodies held in memory at a time, all of them together */
    const ecg_watch *watch;    /* a line for each request that changes something or fails; NULL */
} ecg_http_options;

enum { ECG_TOKEN_MIN = 16, ECG_HTTP_BODY_IGNORED = 64 * 1024 /* a body that nobody asked for is read past up to this length */ };

/* ECG_EARG: options that must not be; ECG_EIO: the address or the port cannot be had, with the cause. */
ecg_status ecg_http_start(ecg_http **out, const ecg_http_options *o, const ecg_http_handler *h, ecg_err *err);
int ecg_http_port(const ecg_http *s);
/* Nobody new is listened to from now on; requests at hand go on. */
void ecg_http_close(ecg_http *s);
/* Waits for the requests at hand up to the seconds, cuts the others and frees all. Whoever put requests aside must have answered them. */
void ecg_http_stop(ecg_http *s, double seconds);

void ecg_http_later(ecg_http_request *r);
void ecg_http_answered(ecg_http_request *r); /* from any thread; r belongs to the server again */

/* {"error": "..."} */
void ecg_http_error(ecg_http_request *r, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void ecg_http_fail(ecg_http_request *r, int status, const ecg_err *err);

/* ---- for http.c ----------------------------------------------------------------------------------------------------------------- */

/* Who asks: Host and token, then Origin. Fill r->reply if the request is not to be answered. */
typedef struct { const char *host, *origin, *authorization, *cookie, *own; int hosts; } ecg_http_who;
void ecg_http_guard(ecg_http_request *r, const ecg_http_who *who, const ecg_http_options *o, int port);
void ecg_http_guard_change(ecg_http_request *r, const ecg_http_who *who); /* of what is more than to read */

/* Connections and their time: what is slow is cut. */
typedef struct ecg_http_lines ecg_http_lines;
typedef struct ecg_http_line ecg_http_line;
enum { ECG_LINE_HEAD, ECG_LINE_BODY, ECG_LINE_WORK, ECG_LINE_REPLY };

ecg_http_lines *ecg_http_lines_new(int connections, double timeout); /* NULL: not possible */
void ecg_http_lines_free(ecg_http_lines *l);
ecg_http_line *ecg_http_line_new(ecg_http_lines *l, int fd); /* NULL: no memory, then nobody watches it */
void ecg_http_line_gone(ecg_http_lines *l, ecg_http_line *c);
/* From now on it does that; bytes: have come so far (BODY), are to go (REPLY). */
void ecg_http_line_does(ecg_http_lines *l, ecg_http_line *c, int what, size_t bytes);
int ecg_http_lines_busy(ecg_http_lines *l); /* those beyond HEAD */
double ecg_http_now(void);

#endif
