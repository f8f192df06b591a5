/* SPDX-License-Identifier: MIT
 * http_lines.c: connections and their time. A client that sends a byte now and then keeps an idle time-out happy for ever; here a request has to
 * arrive within the time-out as a whole, its body at 64 kB/s, and a reply has to be taken as fast. When the connections become scarce, those
 * that have asked nothing yet have two seconds. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "report/http.h"

static const double bytes_per_s = 65536, scarce_s = 2, look_s = 0.25;

struct ecg_http_line {
    ecg_http_line *before, *after;
    int fd, does;
    bool cut;
    size_t bytes;
    double since;
};

struct ecg_http_lines {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    pthread_t thread;
    ecg_http_line *first;
    int n, most;
    double timeout;
    bool end;
};

double ecg_http_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double allowed(const ecg_http_lines *l, const ecg_http_line *c)
{
    const bool scarce = l->n >= l->most - l->most / 4;
    switch (c->does) {
    case ECG_LINE_HEAD: return scarce && l->timeout > scarce_s ? scarce_s : l->timeout;
    case ECG_LINE_BODY:
    case ECG_LINE_REPLY: return l->timeout + (double)c->bytes / bytes_per_s;
    default: return 1e300; /* we are the slow ones */
    }
}

static void *look(void *arg)
{
    ecg_http_lines *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->end) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        const long ns = until.tv_nsec + (long)(look_s * 1e9);
        until.tv_sec += ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
        pthread_cond_timedwait(&l->ended, &l->lock, &until);
        const double now = ecg_http_now();
        for (ecg_http_line *c = l->first; c; c = c->after)
            if (!c->cut && now - c->since > allowed(l, c)) {
                c->cut = true;
                shutdown(c->fd, SHUT_RDWR); /* whoever serves it sees its end and closes it */
            }
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

ecg_http_lines *ecg_http_lines_new(int connections, double timeout)
{
    ecg_http_lines *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->most = connections;
    l->timeout = timeout;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->ended, &clock);
    pthread_condattr_destroy(&clock);
    if (pthread_create(&l->thread, NULL, look, l)) {
        pthread_cond_destroy(&l->ended);
        pthread_mutex_destroy(&l->lock);
        free(l);
        return NULL;
    }
    return l;
}

void ecg_http_lines_free(ecg_http_lines *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->end = true;
    pthread_cond_signal(&l->ended);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    while (l->first)
        ecg_http_line_gone(l, l->first);
    pthread_cond_destroy(&l->ended);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

ecg_http_line *ecg_http_line_new(ecg_http_lines *l, int fd)
{
    ecg_http_line *c = malloc(sizeof *c);
    if (!c)
        return NULL;
    *c = (ecg_http_line){.fd = fd, .does = ECG_LINE_HEAD, .since = ecg_http_now()};
    pthread_mutex_lock(&l->lock);
    c->after = l->first;
    if (c->after)
        c->after->before = c;
    l->first = c;
    l->n++;
    pthread_mutex_unlock(&l->lock);
    return c;
}

void ecg_http_line_gone(ecg_http_lines *l, ecg_http_line *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&l->lock);
    if (c->before)
        c->before->after = c->after;
    else
        l->first = c->after;
    if (c->after)
        c->after->before = c->before;
    l->n--;
    pthread_mutex_unlock(&l->lock);
    free(c);
}

void ecg_http_line_does(ecg_http_lines *l, ecg_http_line *c, int what, size_t bytes)
{
    if (!c)
        return;
    pthread_mutex_lock(&l->lock);
    if (c->does != what)
        c->since = ecg_http_now();
    c->does = what;
    c->bytes = bytes;
    pthread_mutex_unlock(&l->lock);
}

int ecg_http_lines_busy(ecg_http_lines *l)
{
    int n = 0;
    pthread_mutex_lock(&l->lock);
    for (const ecg_http_line *c = l->first; c; c = c->after)
        n += c->does != ECG_LINE_HEAD && !c->cut;
    pthread_mutex_unlock(&l->lock);
    return n;
}
