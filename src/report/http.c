/* SPDX-License-Identifier: MIT
 * http.c: see http.h. A request goes through: target (on_target), head (begin), body (take), answer, reply (send), end (on_end). */
#include "report/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

enum { STAGE_HEAD, STAGE_BODY, STAGE_LATER, STAGE_SENT };
enum { HEAD_BYTES = 32 * 1024 /* of a connection's memory: request line and headers, then pieces of the body */, FIRST_ROOM = 16 * 1024 };

#define CSP                                                                                                                       \
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; " \
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"

struct ecg_http {
    ecg_http_options o;
    ecg_http_handler h;
    struct MHD_Daemon *daemon;
    ecg_http_lines *lines;
    int port, quiet_fd;
    pthread_mutex_t lock, words; /* of held, of the watch */
    size_t held;                 /* bytes of bodies */
    char *address, *token, *host_name;
};

/* ---- replies -------------------------------------------------------------------------------------------------------------------- */

static void error_text(ecg_http_request *r, int status, const char *text)
{
    char *json = NULL;
    json_t *j = json_pack("{s:o}", "error", ecg_json_text(text));
    if (j)
        json = json_dumps(j, JSON_COMPACT);
    ecg_text_clear(&r->reply.body);
    r->reply.constant = NULL;
    r->reply.status = status;
    r->reply.type = "application/json";
    ecg_text_puts(&r->reply.body, json ? json : "{\"error\":null}");
    ecg_text_puts(&r->reply.body, "\n");
    free(json);
    json_decref(j);
}

void ecg_http_error(ecg_http_request *r, int status, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    error_text(r, status, text);
}

void ecg_http_fail(ecg_http_request *r, int status, const ecg_err *err)
{
    char text[1024];
    ecg_err_text(text, sizeof text, err);
    error_text(r, status, text);
}

static void add_headers(struct MHD_Response *m, const ecg_http_reply *p)
{
    char text[400];
    MHD_add_response_header(m, "Cache-Control", p->cache ? p->cache : "no-store");
    MHD_add_response_header(m, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(m, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(m, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(m, "Cross-Origin-Opener-Policy", "same-origin");
    MHD_add_response_header(m, "Content-Security-Policy", CSP);
    if (p->type)
        MHD_add_response_header(m, "Content-Type", p->type);
    if (p->allow)
        MHD_add_response_header(m, "Allow", p->allow);
    if (p->status == 401)
        MHD_add_response_header(m, "WWW-Authenticate", "Bearer realm=\"ecgraft\"");
    if (p->location[0])
        MHD_add_response_header(m, "Location", p->location);
    if (p->cookie[0])
        MHD_add_response_header(m, "Set-Cookie", p->cookie);
    if (p->retry_after) {
        snprintf(text, sizeof text, "%d", p->retry_after);
        MHD_add_response_header(m, "Retry-After", text);
    }
    if (p->file[0]) {
        snprintf(text, sizeof text, "attachment; filename=\"%s\"", p->file);
        for (char *c = text + 22; c[1]; c++) /* what a header cannot hold; the last byte is the quote */
            if ((unsigned char)*c < 32 || (unsigned char)*c > 126 || strchr("\"\\/;%", *c))
                *c = '_';
        MHD_add_response_header(m, "Content-Disposition", text);
    }
}

static void narrate(const ecg_http_request *r, size_t bytes)
{
    char path[100];
    ecg_http *s = r->server;
    if (r->reply.status < 400 && strcmp(r->method, "GET") == 0)
        return;
    snprintf(path, sizeof path, "%s", r->fit ? r->target.path : "(not a target)");
    for (char *c = path; *c; c++)
        if ((unsigned char)*c < 33 || (unsigned char)*c > 126)
            *c = '?';
    pthread_mutex_lock(&s->words);
    ecg_say(s->o.watch, "%s %s: %d, %zu bytes, %.0f ms", r->method, path, r->reply.status, bytes, 1000 * (ecg_http_now() - r->began));
    pthread_mutex_unlock(&s->words);
}

static enum MHD_Result send_reply(ecg_http_request *r)
{
    ecg_http_reply *p = &r->reply;
    if (p->body.failed)
        ecg_http_error(r, 500, "out of memory");
    const size_t len = p->constant ? p->constant_len : p->body.len;
    struct MHD_Response *m = p->constant ? MHD_create_response_from_buffer(len, (void *)p->constant, MHD_RESPMEM_PERSISTENT)
                                         : MHD_create_response_from_buffer(len, p->body.at, MHD_RESPMEM_MUST_FREE);
    if (!m)
        return MHD_NO;
    p->body = (ecg_text){0}; /* the response's now */
    add_headers(m, p);
    r->stage = STAGE_SENT;
    ecg_http_line_does(r->server->lines, r->line, ECG_LINE_REPLY, len);
    const enum MHD_Result done = MHD_queue_response(r->connection, (unsigned)p->status, m);
    MHD_destroy_response(m);
    narrate(r, len);
    return done;
}

/* ---- the body ------------------------------------------------------------------------------------------------------------------- */

static bool reserve(ecg_http *s, size_t more)
{
    pthread_mutex_lock(&s->lock);
    const bool fits = more <= s->o.waiting_bytes - s->held;
    if (fits)
        s->held += more;
    pthread_mutex_unlock(&s->lock);
    return fits;
}

static void drop_body(ecg_http_request *r)
{
    pthread_mutex_lock(&r->server->lock);
    r->server->held -= r->room;
    pthread_mutex_unlock(&r->server->lock);
    free(r->held);
    r->held = NULL;
    r->body = NULL;
    r->room = 0;
}

/* Room grows with what has come, not with what was announced. */
static void take(ecg_http_request *r, const char *bytes, size_t len)
{
    const size_t had = r->body_len;
    r->body_len += len;
    ecg_http_line_does(r->server->lines, r->line, ECG_LINE_BODY, r->body_len);
    if (r->reply.status)
        return; /* read past */
    if (r->body_len > r->room) {
        size_t room = r->room ? 2 * r->room : FIRST_ROOM;
        room = room < r->body_len ? r->body_len : room;
        room = room > r->announced ? r->announced : room; /* libmicrohttpd never gives more */
        uint8_t *held = reserve(r->server, room - r->room) ? realloc(r->held, room) : NULL;
        if (!held) {
            ecg_http_error(r, 503, "the server holds as many uploads as it can");
            r->reply.retry_after = 2;
            drop_body(r);
            return;
        }
        r->held = held;
        r->room = room;
    }
    memcpy(r->held + had, bytes, len);
    r->body = r->held;
}

/* ---- the head ------------------------------------------------------------------------------------------------------------------- */

static enum MHD_Result count_hosts(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
    ecg_http_who *who = ctx;
    (void)kind;
    if (strcasecmp(key, "Host") == 0) {
        who->hosts++;
        who->host = value ? value : "";
    }
    return MHD_YES;
}

/* Whether the reply cannot wait for the body: it is long, or the client waits for a word before it sends it. */
static bool in_haste(const ecg_http_request *r, const char *expect, size_t most)
{
    return expect || r->announced > (most > ECG_HTTP_BODY_IGNORED ? most : ECG_HTTP_BODY_IGNORED);
}

/* Content-Length, 0 if there is none. libmicrohttpd has refused what is no number. */
static bool read_length(ecg_http_request *r, const char *length)
{
    int64_t n = 0;
    if (length && (!ecg_parse_i64(&n, length, strlen(length)) || n < 0))
        return false;
    r->announced = (size_t)n;
    return true;
}

static enum MHD_Result begin(ecg_http *s, ecg_http_request *r, struct MHD_Connection *c, const char *method)
{
    const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type"), *expect = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Expect");
    size_t most = 0;
    ecg_http_who who = {.origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Origin"),
                        .authorization = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization"),
                        .cookie = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Cookie"),
                        .own = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Ecgraft")};
    MHD_get_connection_values(c, MHD_HEADER_KIND, count_hosts, &who);
    snprintf(r->method, sizeof r->method, "%s", strcmp(method, "HEAD") == 0 ? "GET" : method);
    snprintf(r->type, sizeof r->type, "%s", type ? type : "");
    r->stage = STAGE_BODY;
    ecg_http_line_does(s->lines, r->line, ECG_LINE_BODY, 0);
    if (!r->fit)
        ecg_http_error(r, 400, "a target that is none: a path from /, at most %d bytes, without . and .. and control bytes", ECG_TARGET_MAX);
    else if (!read_length(r, MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length")))
        ecg_http_error(r, 400, "a Content-Length that is none");
    else
        ecg_http_guard(r, &who, &s->o, s->port);
    if (!r->reply.status && MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Transfer-Encoding")) {
        ecg_http_error(r, 411, "a body says its length");
        return send_reply(r);
    }
    if (!r->reply.status)
        s->h.begin(s->h.ctx, r, &most);
    if (!r->reply.status && strcmp(r->method, "GET") != 0)
        ecg_http_guard_change(r, &who);
    if (!r->reply.status && r->announced > most && r->announced > (most ? 0 : ECG_HTTP_BODY_IGNORED))
        ecg_http_error(r, 413, "%zu bytes, at most %zu", r->announced, most);
    return r->reply.status && in_haste(r, expect, most) ? send_reply(r) : MHD_YES;
}

/* ---- what libmicrohttpd calls --------------------------------------------------------------------------------------------------- */

/* The request line is there: the request begins. Its escapes are still in it. */
static void *on_target(void *ctx, const char *raw, struct MHD_Connection *c)
{
    ecg_http_request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    r->server = ctx;
    r->connection = c;
    r->line = info ? info->socket_context : NULL;
    r->fit = ecg_target_parse(&r->target, raw);
    r->began = ecg_http_now();
    return r;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *bytes,
                                  size_t *len, void **state)
{
    ecg_http *s = ctx;
    ecg_http_request *r = *state;
    (void)url;
    (void)version;
    if (!r)
        return MHD_NO;
    if (r->stage == STAGE_HEAD)
        return begin(s, r, c, method);
    if (r->stage == STAGE_BODY && *len) {
        take(r, bytes, *len);
        *len = 0;
        return MHD_YES;
    }
    if (r->stage == STAGE_BODY) {
        ecg_http_line_does(s->lines, r->line, ECG_LINE_WORK, 0);
        if (!r->reply.status) {
            s->h.answer(s->h.ctx, r);
            /* r may be another thread's by now: only what it never changes is looked at */
            const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_SUSPENDED);
            if (info && info->suspended)
                return MHD_YES;
        }
    }
    return r->stage == STAGE_SENT ? MHD_YES : send_reply(r);
}

static void on_end(void *ctx, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    ecg_http *s = ctx;
    ecg_http_request *r = *state;
    (void)c;
    (void)why;
    if (!r)
        return;
    ecg_http_line_does(s->lines, r->line, ECG_LINE_HEAD, 0);
    drop_body(r);
    ecg_text_clear(&r->reply.body);
    free(r);
    *state = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **line, enum MHD_ConnectionNotificationCode what)
{
    ecg_http *s = ctx;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        *line = info ? ecg_http_line_new(s->lines, info->connect_fd) : NULL;
    } else {
        ecg_http_line_gone(s->lines, *line);
        *line = NULL;
    }
}

/* Escapes stay: ecg_target_parse reads them. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *c, char *s)
{
    (void)ctx;
    (void)c;
    return strlen(s);
}

void ecg_http_later(ecg_http_request *r)
{
    r->stage = STAGE_LATER;
    MHD_suspend_connection(r->connection);
}

void ecg_http_answered(ecg_http_request *r)
{
    MHD_resume_connection(r->connection);
}

/* ---- start and stop ------------------------------------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static ecg_status check_options(struct sockaddr_storage *a, socklen_t *len, const ecg_http_options *o, ecg_err *err)
{
    struct sockaddr_in *four = (struct sockaddr_in *)a;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)a;
    *a = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, o->address, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)o->port);
        *len = sizeof *four;
    } else if (inet_pton(AF_INET6, o->address, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)o->port);
        *len = sizeof *six;
    } else {
        return ecg_fail(err, ECG_EARG, "%.100s is no address in digits", o->address);
    }
    if (o->port < 0 || o->port > 65535)
        return ecg_fail(err, ECG_EARG, "port %d: 0 to 65535", o->port);
    if (!is_loopback(a) && !o->open)
        return ecg_fail(err, ECG_EARG, "%s can be reached from other machines, and that was not asked for", o->address);
    if ((o->open || !is_loopback(a)) && (!o->token || strlen(o->token) < ECG_TOKEN_MIN))
        return ecg_fail(err, ECG_EARG, "beyond this machine a token of at least %d bytes is needed", ECG_TOKEN_MIN);
    if (o->token && !*o->token)
        return ecg_fail(err, ECG_EARG, "an empty token");
    if (o->threads < 1 || o->connections < o->threads || o->timeout <= 0)
        return ecg_fail(err, ECG_EARG, "%d threads, %d connections, %g s", o->threads, o->connections, o->timeout);
    return ECG_OK;
}

static ecg_status listen_there(int *out, int *port, const struct sockaddr_storage *a, socklen_t len, const ecg_http_options *o, ecg_err *err)
{
    const int one = 1, fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_storage got;
    socklen_t size = sizeof got;
    if (fd < 0)
        return ecg_fail(err, ECG_EIO, "no socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)a, len) || listen(fd, SOMAXCONN) || getsockname(fd, (struct sockaddr *)&got, &size)) {
        const int why = errno;
        close(fd);
        return why == EADDRINUSE ? ecg_fail(err, ECG_EIO, "port %d of %s is in use", o->port, o->address)
                                 : ecg_fail(err, ECG_EIO, "port %d of %s cannot be had: %s", o->port, o->address, strerror(why));
    }
    *port = ntohs(got.ss_family == AF_INET ? ((struct sockaddr_in *)&got)->sin_port : ((struct sockaddr_in6 *)&got)->sin6_port);
    *out = fd;
    return ECG_OK;
}

static void free_server(ecg_http *s)
{
    ecg_http_lines_free(s->lines);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->words);
    free(s->address);
    free(s->token);
    free(s->host_name);
    free(s);
}

ecg_status ecg_http_start(ecg_http **out, const ecg_http_options *o, const ecg_http_handler *h, ecg_err *err)
{
    struct sockaddr_storage address;
    socklen_t len = 0;
    int fd = -1, port = 0;
    *out = NULL;
    ecg_status st = check_options(&address, &len, o, err);
    if (!st)
        st = listen_there(&fd, &port, &address, len, o, err);
    if (st)
        return st;
    ecg_http *s = calloc(1, sizeof *s);
    if (!s) {
        close(fd);
        return ecg_fail(err, ECG_ENOMEM, "no memory for a server");
    }
    *s = (ecg_http){.o = *o, .h = *h, .port = port, .quiet_fd = -1, .address = strdup(o->address), .token = o->token ? strdup(o->token) : NULL,
                    .host_name = o->host_name ? strdup(o->host_name) : NULL};
    s->o.address = s->address;
    s->o.token = s->token;
    s->o.host_name = s->host_name;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->words, NULL);
    s->lines = s->address && !s->token == !o->token && !s->host_name == !o->host_name ? ecg_http_lines_new(o->connections, o->timeout) : NULL;
    if (s->lines)
        s->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL, on_request, s,
                                     MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)o->threads,
                                     MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)o->per_address,
                                     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(o->timeout < 1 ? 1 : o->timeout),
                                     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES, MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
                                     MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_end, s,
                                     MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
    if (!s->daemon) { /* the socket is closed by now */
        free_server(s);
        return ecg_fail(err, ECG_EIO, "the server does not start: no memory or no threads");
    }
    *out = s;
    return ECG_OK;
}

int ecg_http_port(const ecg_http *s)
{
    return s->port;
}

void ecg_http_close(ecg_http *s)
{
    if (s->quiet_fd < 0)
        s->quiet_fd = MHD_quiesce_daemon(s->daemon);
}

void ecg_http_stop(ecg_http *s, double seconds)
{
    if (!s)
        return;
    ecg_http_close(s);
    for (const double until = ecg_http_now() + seconds; ecg_http_lines_busy(s->lines) && ecg_http_now() < until;)
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    MHD_stop_daemon(s->daemon);
    if (s->quiet_fd >= 0)
        close(s->quiet_fd);
    free_server(s);
}
