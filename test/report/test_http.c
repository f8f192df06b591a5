/* SPDX-License-Identifier: MIT
 * test_http.c: the server among strangers: wrong names, no token, other methods, bodies too long, too slow or of random bytes, many at a time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/rng.h"
#include "report/http_client.h"
#include "report/serve_model.h"

#define TOKEN "sesame-0123456789"
#define H "Host: localhost\r\nConnection: close\r\n"
#define OWN "X-Ecgraft: 1\r\n"
#define FORM "Content-Type: multipart/form-data; boundary=XX\r\n"

/* ---- one request at a time ------------------------------------------------------------------------------------------------------ */

static void statuses(void **state)
{
    static const struct { const char *request; int status; const char *why; } cases[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", 200, "the page"},
        {"GET /api/info HTTP/1.1\r\n" H "\r\n", 200, "what the server is"},
        {"HEAD /api/info HTTP/1.1\r\n" H "\r\n", 200, "its head"},
        {"GET /api/results HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n\r\n", 200, "another port, as in a tunnel"},
        {"GET /api/results.csv HTTP/1.1\r\n" H "\r\n", 200, "an empty table"},
        {"GET /api/nothing HTTP/1.1\r\n" H "\r\n", 404, "nothing there"},
        {"POST /api/nothing HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 404, "nothing there to post to"},
        {"GET /api/records HTTP/1.1\r\n" H "\r\n", 404, "no folder"},
        {"POST /api/open?record=1.hea HTTP/1.1\r\n" H OWN "\r\n", 404, "no folder"},
        {"GET /api/results/0123456789abcdef.html HTTP/1.1\r\n" H "\r\n", 404, "no such result"},
        {"GET /api/results/0123456789abcdef.exe HTTP/1.1\r\n" H "\r\n", 404, "no such form"},
        {"GET /api/results/0123456789ABCDEF.html HTTP/1.1\r\n" H "\r\n", 404, "no id"},
        {"DELETE /api/results/0123456789abcdef HTTP/1.1\r\n" H OWN "\r\n", 404, "no such result to drop"},
        {"DELETE /api/results HTTP/1.1\r\n" H OWN "\r\n", 204, "all results"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 405, "a page is read"},
        {"DELETE / HTTP/1.1\r\n" H "\r\n", 405, "a page is not dropped"},
        {"GET /api/predict HTTP/1.1\r\n" H "\r\n", 405, "predict is posted"},
        {"PUT /api/results HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 405, "nothing is put"},
        {"OPTIONS /api/predict HTTP/1.1\r\n" H "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n", 405, "another site asks whether it may"},
        {"TRACE / HTTP/1.1\r\n" H "\r\n", 405, "trace"},
        {"VERYLONGMETHODNAME / HTTP/1.1\r\n" H "\r\n", 405, "a method longer than any"},
        {"GET /../../etc/passwd HTTP/1.1\r\n" H "\r\n", 400, "up"},
        {"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" H "\r\n", 400, "up, escaped"},
        {"GET /api/info%00.html HTTP/1.1\r\n" H "\r\n", 400, "a zero"},
        {"GET http://evil.example/ HTTP/1.1\r\n" H "\r\n", 400, "a proxy is meant"},
        {"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421, "a name that was bent to this machine"},
        {"GET / HTTP/1.1\r\nHost: localhost.evil.example\r\nConnection: close\r\n\r\n", 421, "nearly our name"},
        {"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 400, "two names"},
        {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "no name"},
        {"GET / HTTP/1.0\r\n\r\n", 400, "no name, as in old times"},
        {"DELETE /api/results HTTP/1.1\r\n" H "\r\n", 403, "neither origin nor own header"},
        {"DELETE /api/results HTTP/1.1\r\n" H "Origin: http://evil.example\r\n\r\n", 403, "another page asks"},
        {"DELETE /api/results HTTP/1.1\r\n" H OWN "Origin: http://evil.example\r\n\r\n", 403, "another page asks with our header"},
        {"DELETE /api/results HTTP/1.1\r\n" H "Origin: null\r\n\r\n", 403, "a page without origin asks"},
        {"DELETE /api/results HTTP/1.1\r\n" H "Origin: http://localhost\r\n\r\n", 204, "our page asks"},
        {"POST /api/predict HTTP/1.1\r\n" H FORM "Content-Length: 6\r\n\r\n--XX--", 403, "a form of another site"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 415, "JSON"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN "Content-Length: 2\r\n\r\n{}", 415, "no type"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN FORM "\r\n", 400, "no body"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN FORM "Content-Length: 6\r\n\r\n--XX--", 400, "no file"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN FORM "Content-Length: 5\r\n\r\nhello", 400, "no parts"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN FORM "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411, "a body of unknown length"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN FORM "Content-Length: 1073741824\r\n\r\n--XX", 413, "a gigabyte"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN FORM "Content-Length: 1048577\r\n\r\n--XX", 413, "a byte too much"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN FORM "Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n", 413, "a gigabyte, politely"},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\n", 413, "a page with a long body"},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 200, "a page with a short body"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN FORM "Content-Length: -1\r\n\r\n", 400, "less than nothing"},
        {"POST /api/predict HTTP/1.1\r\n" H OWN FORM "Content-Length: abc\r\n\r\n", 400, "no number"},
    };
    ecg_serve_options o = tiny_options();
    ecg_serve *s = start(&o);
    int wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int status = status_of(ecg_serve_port(s), cases[i].request);
        if (status != cases[i].status)
            print_error("%s: %d, not %d\n", cases[i].why, status, cases[i].status), wrong++;
    }
    assert_int_equal(wrong, 0);
    ecg_serve_stop(s, 5);
}

static void heads(void **state)
{
    static const char *const always[] = {"Cache-Control: no-store", "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer", "Content-Security-Policy: default-src 'none'",
                                         "frame-ancestors 'self'", "Content-Type: application/json"};
    ecg_serve_options o = tiny_options();
    ecg_serve *s = start(&o);
    (void)state;
    reply r = ask_bytes(ecg_serve_port(s), "PUT /api/results HTTP/1.1\r\n" H "\r\n", strlen("PUT /api/results HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(r.status, 405);
    assert_non_null(strstr(r.text, "\r\nAllow: GET, HEAD, DELETE\r\n"));
    assert_non_null(strstr(r.body, "{\"error\":"));
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        assert_non_null(strstr(r.text, always[i]));
    free(r.text);
    r = ask_bytes(ecg_serve_port(s), "HEAD /api/info HTTP/1.1\r\n" H "\r\n", strlen("HEAD /api/info HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, 0);
    free(r.text);
    ecg_serve_stop(s, 5);
}

static void no_headers_without_end(void **state)
{
    ecg_serve_options o = tiny_options();
    ecg_serve *s = start(&o);
    ecg_text t = {0};
    (void)state;
    ecg_text_puts(&t, "GET / HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 4000; i++)
        ecg_text_printf(&t, "X-%d: 0123456789\r\n", i);
    ecg_text_puts(&t, "\r\n");
    reply r = ask_bytes(ecg_serve_port(s), t.at, t.len);
    assert_true(r.status == 431 || r.status == 413 || r.status == 0); /* cut, or told */
    free(r.text);
    t.len = 0;
    ecg_text_puts(&t, "GET /");
    for (int i = 0; i < 4000; i++)
        ecg_text_puts(&t, "0123456789");
    ecg_text_puts(&t, " HTTP/1.1\r\n" H "\r\n");
    r = ask_bytes(ecg_serve_port(s), t.at, t.len);
    assert_true(r.status == 414 || r.status == 400 || r.status == 0);
    free(r.text);
    ecg_text_clear(&t);
    assert_int_equal(status_of(ecg_serve_port(s), "GET / HTTP/1.1\r\n" H "\r\n"), 200);
    ecg_serve_stop(s, 5);
}

static void polite(void **state)
{
    ecg_serve_options o = tiny_options();
    ecg_serve *s = start(&o);
    ecg_text body = {0};
    (void)state;
    put_recording(&body, "1", 12, 2000);
    ecg_text request = upload_of(&body);
    const char *end = strstr(request.at, "\r\n\r\n");
    const size_t head = (size_t)(end - request.at) + 2;
    const int fd = dial(ecg_serve_port(s));
    char word[64] = "";
    assert_true(fd >= 0);
    assert_int_equal(send_all(fd, request.at, head), 0);
    assert_int_equal(send_all(fd, "Expect: 100-continue\r\n\r\n", 24), 0);
    assert_true(recv(fd, word, sizeof word - 1, 0) > 0);
    assert_int_equal(strncmp(word, "HTTP/1.1 100", 12), 0);
    assert_int_equal(send_all(fd, request.at + head + 2, request.len - head - 2), 0);
    reply r = read_reply(fd);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.text, "\"error\":null"));
    free(r.text);
    close(fd);
    ecg_text_clear(&request);
    ecg_serve_stop(s, 5);
}

/* ---- who may ask ---------------------------------------------------------------------------------------------------------------- */

static void tokens(void **state)
{
    ecg_serve_options o = tiny_options();
    char request[400], cookie[120];
    o.http.token = TOKEN;
    ecg_serve *s = start(&o);
    const int port = ecg_serve_port(s);
    (void)state;
    assert_int_equal(status_of(port, "GET / HTTP/1.1\r\n" H "\r\n"), 401);
    assert_int_equal(status_of(port, "GET /api/nothing HTTP/1.1\r\n" H "\r\n"), 401);
    assert_int_equal(status_of(port, "GET / HTTP/1.1\r\n" H "Authorization: Bearer sesame-012345678\r\n\r\n"), 401);
    assert_int_equal(status_of(port, "GET / HTTP/1.1\r\n" H "Authorization: Bearer \r\n\r\n"), 401);
    assert_int_equal(status_of(port, "GET / HTTP/1.1\r\n" H "Authorization: Basic " TOKEN "\r\n\r\n"), 401);
    assert_int_equal(status_of(port, "GET / HTTP/1.1\r\n" H "Authorization: Bearer " TOKEN "\r\n\r\n"), 200);
    assert_int_equal(status_of(port, "POST /api/predict HTTP/1.1\r\n" H OWN FORM "Content-Length: 1000000\r\n\r\n"), 401);
    assert_int_equal(status_of(port, "GET /api/info?token=" TOKEN " HTTP/1.1\r\n" H "\r\n"), 401); /* only where a person enters */
    assert_int_equal(status_of(port, "GET /?token=wrong HTTP/1.1\r\n" H "\r\n"), 401);
    assert_int_equal(status_of(port, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nAuthorization: Bearer " TOKEN "\r\n\r\n"), 421);
    reply r = ask_bytes(port, "GET /?token=" TOKEN " HTTP/1.1\r\n" H "\r\n", strlen("GET /?token=" TOKEN " HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(r.status, 303);
    assert_non_null(strstr(r.text, "\r\nLocation: /\r\n"));
    const char *set = strstr(r.text, "Set-Cookie: ");
    assert_non_null(set);
    assert_non_null(strstr(set, "; HttpOnly; SameSite=Strict"));
    assert_null(strstr(r.text, TOKEN));
    snprintf(cookie, sizeof cookie, "%.*s", (int)strcspn(set + 12, ";"), set + 12);
    free(r.text);
    snprintf(request, sizeof request, "GET /api/info HTTP/1.1\r\n" H "Cookie: a=b; %s\r\n\r\n", cookie);
    assert_int_equal(status_of(port, request), 200);
    cookie[strlen(cookie) - 1] ^= 1;
    snprintf(request, sizeof request, "GET /api/info HTTP/1.1\r\n" H "Cookie: %s\r\n\r\n", cookie);
    assert_int_equal(status_of(port, request), 401);
    ecg_serve_stop(s, 5);
}

static void refused_options(void **state)
{
    static const struct { const char *address, *token; bool open; ecg_status st; const char *why; } cases[] = {
        {"0.0.0.0", TOKEN, false, ECG_EARG, "not asked to be open"},
        {"0.0.0.0", NULL, true, ECG_EARG, "open without a token"},
        {"0.0.0.0", "short", true, ECG_EARG, "open with a short token"},
        {"127.0.0.1", NULL, true, ECG_EARG, "open on this machine alone, without a token"},
        {"::", TOKEN, false, ECG_EARG, "all addresses of version 6"},
        {"192.0.2.1", TOKEN, true, ECG_EIO, "an address of nobody here"},
        {"localhost", NULL, false, ECG_EARG, "a name"},
        {"127.0.0.1", "", false, ECG_EARG, "an empty token"},
        {"0.0.0.0", TOKEN, true, ECG_OK, "open"},
        {"127.0.0.2", NULL, false, ECG_OK, "another address of this machine"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_serve_options o = tiny_options();
        ecg_serve *s;
        ecg_err err = {0};
        o.http.address = cases[i].address;
        o.http.token = cases[i].token;
        o.http.open = cases[i].open;
        if (ecg_serve_start(&s, &o, &err) != cases[i].st)
            fail_msg("%s: %s", cases[i].why, err.msg);
        ecg_serve_stop(s, 1);
    }
    ecg_serve_options o = tiny_options();
    ecg_serve *s = start(&o), *second;
    ecg_err err = {0};
    o.http.port = ecg_serve_port(s);
    assert_int_equal(ecg_serve_start(&second, &o, &err), ECG_EIO);
    assert_non_null(strstr(err.msg, "in use"));
    ecg_serve_stop(s, 1);
    s = start(&o); /* at once on the same port */
    ecg_serve_stop(s, 1);
}

/* ---- time and number ------------------------------------------------------------------------------------------------------------ */

/* Seconds until the server hangs up on somebody who sends a byte now and then. */
static double patience(int port, const char *head, const char *drop)
{
    const int fd = dial(port);
    const double began = ecg_http_now();
    char byte;
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_usec = 100000}, sizeof(struct timeval));
    send_all(fd, head, strlen(head));
    while (ecg_http_now() - began < 20) {
        const ssize_t n = recv(fd, &byte, 1, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) || send_all(fd, drop, strlen(drop)))
            break;
    }
    close(fd);
    return ecg_http_now() - began;
}

static void slow_clients(void **state)
{
    ecg_serve_options o = tiny_options();
    o.http.timeout = 1;
    ecg_serve *s = start(&o);
    const int port = ecg_serve_port(s);
    (void)state;
    assert_true(patience(port, "", "") < 10);
    assert_true(patience(port, "GET / HTTP/1.1\r\nHost: localhost\r\n", "X: y\r\n") < 10);
    assert_true(patience(port, "GE", "T") < 10);
    assert_true(patience(port, "POST /api/predict HTTP/1.1\r\nHost: localhost\r\n" OWN FORM "Content-Length: 100000\r\n\r\n", "a") < 10);
    ecg_serve_stop(s, 5);
}

/* As many as there is room for say nothing: somebody with a question is answered all the same. */
static void full_house(void **state)
{
    enum { SILENT = 40 };
    ecg_serve_options o = tiny_options();
    int fd[SILENT];
    o.http.connections = 16;
    o.http.timeout = 60;
    ecg_serve *s = start(&o);
    (void)state;
    for (int i = 0; i < SILENT; i++)
        fd[i] = dial(ecg_serve_port(s));
    const double began = ecg_http_now();
    assert_int_equal(status_of(ecg_serve_port(s), "GET /api/info HTTP/1.1\r\n" H "\r\n"), 200);
    assert_true(ecg_http_now() - began < 25);
    for (int i = 0; i < SILENT; i++)
        close(fd[i]);
    ecg_serve_stop(s, 5);
}

/* ---- many, and of random bytes -------------------------------------------------------------------------------------------------- */

typedef struct {
    int port, turns, wrong;
    uint32_t seed;
} client;

/* Half random bytes, half an upload in which a few bytes are others. */
static void *send_random(void *arg)
{
    client *c = arg;
    ecg_rng r;
    ecg_text good = {0};
    put_recording(&good, "1", 2, 3);
    ecg_text_puts(&good, "--XX--");
    ecg_rng_open(&r, c->seed, 0, 9, 0, 0);
    for (int i = 0; i < c->turns; i++) {
        ecg_text request = {0};
        uint8_t bytes[2048];
        const size_t len = i % 2 ? ecg_rng_below(&r, sizeof bytes) : good.len;
        if (i % 2) {
            for (size_t k = 0; k < len; k++)
                bytes[k] = (uint8_t)ecg_rng_word(&r);
        } else {
            memcpy(bytes, good.at, len);
            for (uint32_t k = 1 + ecg_rng_below(&r, 8); k; k--)
                bytes[ecg_rng_below(&r, (uint32_t)len)] = (uint8_t)ecg_rng_word(&r);
        }
        ecg_text_printf(&request, "POST /api/predict HTTP/1.1\r\n" H OWN FORM "Content-Length: %zu\r\n\r\n", len);
        ecg_text_add(&request, (const char *)bytes, len);
        reply a = ask_bytes(c->port, request.at, request.len);
        c->wrong += i % 2 ? a.status != 400 : a.status != 400 && a.status != 200;
        free(a.text);
        ecg_text_clear(&request);
    }
    ecg_text_clear(&good);
    return NULL;
}

static void run_clients(client *c, int n, void *(*work)(void *), int port, int turns)
{
    pthread_t thread[64];
    for (int i = 0; i < n; i++) {
        c[i] = (client){.port = port, .turns = turns, .seed = (uint32_t)i + 1};
        assert_int_equal(pthread_create(&thread[i], NULL, work, &c[i]), 0);
    }
    for (int i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
}

static void random_bodies(void **state)
{
    ecg_serve_options o = tiny_options();
    ecg_serve *s = start(&o);
    client c[4];
    int wrong = 0;
    (void)state;
    run_clients(c, 4, send_random, ecg_serve_port(s), 2500);
    for (int i = 0; i < 4; i++)
        wrong += c[i].wrong;
    assert_int_equal(wrong, 0);
    assert_int_equal(status_of(ecg_serve_port(s), "GET /api/info HTTP/1.1\r\n" H "\r\n"), 200);
    ecg_serve_stop(s, 5);
}

/* Uploads, pages and lists at the same time; each upload has its answer. */
static void *use(void *arg)
{
    client *c = arg;
    for (int i = 0; i < c->turns; i++) {
        ecg_text body = {0};
        char request[200];
        put_recording(&body, "1", 12, 1300);
        ecg_text post = upload_of(&body);
        reply a = ask_bytes(c->port, post.at, post.len);
        const char *id = a.text ? strstr(a.text, "\"id\":\"") : NULL;
        c->wrong += a.status != 200 || !id;
        if (id) {
            snprintf(request, sizeof request, "GET /api/results/%.16s.svg HTTP/1.1\r\n" H "\r\n", id + 6);
            const int status = status_of(c->port, request);
            c->wrong += status != 200 && status != 404; /* by now it may be one of those that had to go */
        }
        c->wrong += status_of(c->port, "GET /api/results HTTP/1.1\r\n" H "\r\n") != 200;
        free(a.text);
        ecg_text_clear(&post);
    }
    return NULL;
}

static void many(void **state)
{
    ecg_serve_options o = tiny_options();
    o.results = 8;
    ecg_serve *s = start(&o);
    client c[16];
    int wrong = 0;
    (void)state;
    run_clients(c, 16, use, ecg_serve_port(s), 4);
    for (int i = 0; i < 16; i++)
        wrong += c[i].wrong;
    assert_int_equal(wrong, 0);
    ecg_serve_stop(s, 5);
}

/* Bodies that together are more than the server holds: the others are told to come again. */
static void too_many_bytes(void **state)
{
    ecg_serve_options o = tiny_options();
    ecg_text body = {0};
    o.http.waiting_bytes = 100000;
    ecg_serve *s = start(&o);
    (void)state;
    put_recording(&body, "1", 12, 5000);
    ecg_text post = upload_of(&body);
    reply r = ask_bytes(ecg_serve_port(s), post.at, post.len);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.text, "Retry-After: "));
    free(r.text);
    ecg_text_clear(&post);
    put_recording(&body, "1", 12, 1300);
    post = upload_of(&body);
    r = ask_bytes(ecg_serve_port(s), post.at, post.len);
    assert_int_equal(r.status, 200);
    free(r.text);
    ecg_text_clear(&post);
    ecg_serve_stop(s, 5);
}

/* The server ends while uploads wait: they are answered, or cut, and nothing is left. */
static void end_under_load(void **state)
{
    ecg_serve_options o = tiny_options();
    ecg_text body = {0};
    int fd[8];
    o.workers = 1;
    ecg_serve *s = start(&o);
    (void)state;
    put_recording(&body, "1", 12, 20000);
    ecg_text post = upload_of(&body);
    for (int i = 0; i < 8; i++) {
        fd[i] = dial(ecg_serve_port(s));
        assert_int_equal(send_all(fd[i], post.at, post.len), 0);
    }
    ecg_serve_stop(s, 5);
    for (int i = 0; i < 8; i++) {
        reply r = read_reply(fd[i]);
        assert_true(r.status == 200 || r.status == 503 || r.status == 0);
        free(r.text);
        close(fd[i]);
    }
    ecg_text_clear(&post);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses), cmocka_unit_test(heads), cmocka_unit_test(no_headers_without_end), cmocka_unit_test(polite), cmocka_unit_test(tokens),
        cmocka_unit_test(refused_options), cmocka_unit_test(slow_clients), cmocka_unit_test(full_house), cmocka_unit_test(random_bodies), cmocka_unit_test(many),
        cmocka_unit_test(too_many_bytes), cmocka_unit_test(end_under_load),
    };
    return cmocka_run_group_tests(tests, make_served_model, drop_served_model);
}
