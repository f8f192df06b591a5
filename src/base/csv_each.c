/* SPDX-License-Identifier: MIT
 * csv_each.c: a table in blocks of whole rows, read by several threads. Blocks lie in a ring, in the order of the file. A thread takes whatever
 * can be done next: merge the oldest block, read a new one (one thread at a time), or take the rows of one; so any number of threads
 * gets to the end, and each result is merged at its place. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv_parts.h"

typedef enum { FREE, READY, TAKEN, DONE } block_state;

typedef struct {
    block_state state;
    ecg_csv view;  /* the block as a table; names are the table's own */
    int64_t bytes; /* of the file, up to its end */
    ecg_status status;
    ecg_err err;   /* lines count from the block's begin */
} block;

typedef struct {
    ecg_csv *t;
    const ecg_csv_job *job;
    const char *what;
    const ecg_watch *watch;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    block *ring;            /* (blocks) */
    int blocks;
    int64_t read, merged;   /* blocks so far; block i is ring[i % blocks] */
    bool reading, merging, ended;
    char *rest;             /* behind the last whole row */
    size_t rest_len, rest_room;
    int64_t rows, line;     /* merged rows; line that follows them */
    ecg_status read_status; /* behind the last block */
    ecg_err read_err;
    ecg_status status;      /* of the whole pass */
    ecg_err *err;
} pass;

/* ---- reading ------------------------------------------------------------------------------------------------------------------------ */

static bool make_room(ecg_csv *v, size_t room)
{
    room = (room + 63) / 64 * 64;
    if (room <= v->room)
        return true;
    char *text = realloc(v->text, room);
    if (text)
        v->text = text;
    ecg_csv_mask *mask = realloc(v->mask, room / 64 * sizeof *mask);
    if (mask)
        v->mask = mask;
    if (!text || !mask)
        return false;
    v->room = room;
    return true;
}

static bool keep_rest(pass *p, const char *from, size_t len)
{
    if (len > p->rest_room) {
        char *more = realloc(p->rest, len * 2);
        if (!more)
            return false;
        p->rest = more;
        p->rest_room = len * 2;
    }
    if (len)
        memcpy(p->rest, from, len);
    p->rest_len = len;
    return true;
}

/* Behind the last whole row, 0: none is whole. */
static size_t find_cut(const ecg_csv *v)
{
    for (size_t w = (v->filled + 63) / 64; w-- > 0;)
        if (v->mask[w].newline)
            return w * 64 + 64 - (size_t)__builtin_clzll(v->mask[w].newline);
    return 0;
}

/* The rest of the block before, and text up to the end of a row. */
static ecg_status read_text(pass *p, block *b, ecg_err *err)
{
    ecg_unpack *from = &p->t->from;
    ecg_csv *v = &b->view;
    size_t got, cut;
    if (!make_room(v, p->rest_len + p->t->window * 2)) /* with its bits it stays in a core's own cache */
        return ecg_fail(err, ECG_ENOMEM, "no memory for a block of a table");
    if (p->rest_len)
        memcpy(v->text, p->rest, p->rest_len);
    v->filled = p->rest_len;
    v->text_ended = true;
    for (;;) {
        const ecg_status st = ecg_unpack_read(from, v->text + v->filled, v->room - v->filled, &got, 0, err);
        v->filled += got;
        v->state = (ecg_csv_state){.before = '\n'};
        ecg_csv_classify(v->mask, v->path, v->text, 0, v->filled, &v->state);
        cut = from->ended ? v->filled : find_cut(v);
        if (st && !cut) /* whole rows first: the failure will be there again */
            return st;
        if (cut || from->ended)
            break;
        if (v->filled > ECG_CSV_LONGEST_ROW) { /* the reader of the block will say so */
            cut = v->filled;
            v->text_ended = false;
            break;
        }
        if (!make_room(v, v->filled * 2))
            return ecg_fail(err, ECG_ENOMEM, "no memory for a row of a table");
    }
    if (!keep_rest(p, v->text + cut, v->filled - cut))
        return ecg_fail(err, ECG_ENOMEM, "no memory for a row of a table");
    if (cut % 64) { /* bits of the rest */
        ecg_csv_mask *m = &v->mask[cut / 64];
        const uint64_t mine = ((uint64_t)1 << cut % 64) - 1;
        *m = (ecg_csv_mask){m->newline & mine, m->comma & mine, m->quote & mine};
    }
    v->filled = v->classified = cut;
    v->row = v->next = v->end = 0;
    v->line = v->rows = 0;
    b->bytes = from->taken;
    return ECG_OK;
}

/* ---- the threads' common loop: the lock is held between the steps --------------------------------------------------------------------- */

static void stop_with(pass *p, ecg_status st, const ecg_err *err, int64_t line)
{
    if (p->status)
        return;
    p->status = st;
    if (!p->err)
        return;
    *p->err = *err;
    if (!strcmp(err->path, p->t->from.path) && st == ECG_EDATA)
        p->err->line += line;
}

static void read_step(pass *p)
{
    block *b = &p->ring[p->read % p->blocks];
    ecg_err err = {0};
    p->reading = true;
    pthread_mutex_unlock(&p->lock);
    const ecg_status st = read_text(p, b, &err);
    pthread_mutex_lock(&p->lock);
    p->reading = false;
    p->ended = p->t->from.ended || !b->view.text_ended;
    if (st) {
        p->read_status = st;
        p->read_err = err;
        p->ended = true;
    } else if (b->view.filled) {
        b->state = READY;
        p->read++;
    }
}

static void take_step(pass *p, block *b)
{
    b->state = TAKEN;
    pthread_mutex_unlock(&p->lock);
    b->err = (ecg_err){0};
    b->status = p->job->take(p->job->ctx, &b->view, (int)(b - p->ring), &b->err);
    pthread_mutex_lock(&p->lock);
    b->state = DONE;
}

static void merge_step(pass *p, block *b)
{
    if (b->status) {
        stop_with(p, b->status, &b->err, p->line);
        return;
    }
    ecg_err err = {0};
    p->merging = true;
    pthread_mutex_unlock(&p->lock);
    const ecg_status st = p->job->merge(p->job->ctx, (int)(b - p->ring), p->rows, &err);
    ecg_progress(p->watch, p->what, (double)b->bytes, (double)p->t->from.size + 1, NULL);
    pthread_mutex_lock(&p->lock);
    p->merging = false;
    if (st)
        stop_with(p, st, &err, 0);
    p->rows += b->view.rows;
    p->line += b->view.line;
    b->state = FREE;
    p->merged++;
}

static block *oldest_ready(const pass *p)
{
    for (int64_t i = p->merged; i < p->read; i++)
        if (p->ring[i % p->blocks].state == READY)
            return &p->ring[i % p->blocks];
    return NULL;
}

static void work(void *ctx, int item, int worker)
{
    (void)item;
    (void)worker;
    pass *p = ctx;
    pthread_mutex_lock(&p->lock);
    while (!p->status && !(p->ended && p->merged == p->read)) {
        block *b = &p->ring[p->merged % p->blocks];
        if (ecg_stopped(p->watch)) {
            ecg_err err;
            stop_with(p, ecg_fail(&err, ECG_EINTR, "interrupted after %" PRId64 " rows: %s", p->rows, p->what), &err, 0);
        } else if (!p->merging && p->merged < p->read && b->state == DONE) {
            merge_step(p, b);
        } else if (!p->reading && !p->ended && p->read - p->merged < p->blocks) {
            read_step(p);
        } else if ((b = oldest_ready(p))) {
            take_step(p, b);
        } else {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- the pass ----------------------------------------------------------------------------------------------------------------------- */

int ecg_csv_slots(const ecg_pool *pool)
{
    const int threads = ecg_pool_threads(pool);
    return threads > 1 ? threads + 2 : 1;
}

static ecg_status begin(pass *p, ecg_err *err)
{
    const ecg_csv *t = p->t;
    p->ring = calloc((size_t)p->blocks, sizeof *p->ring);
    bool room = p->ring && keep_rest(p, t->text + t->next, t->filled - t->next);
    for (int i = 0; i < p->blocks && room; i++) {
        ecg_csv *v = &p->ring[i].view;
        memcpy(v->from.path, t->from.path, sizeof v->from.path);
        v->from.fd = -1;
        v->path = t->path;
        v->columns = t->columns;
        v->names = t->names;
        v->cells = calloc(1, sizeof *v->cells);
        room = v->cells && (v->cells->cell = calloc((size_t)t->columns, sizeof *v->cells->cell));
    }
    return room ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the blocks of a table");
}

static void end(pass *p)
{
    for (int i = 0; p->ring && i < p->blocks; i++) {
        ecg_csv *v = &p->ring[i].view;
        free(v->text);
        free(v->mask);
        if (v->cells)
            free(v->cells->cell);
        free(v->cells);
    }
    free(p->ring);
    free(p->rest);
}

ecg_status ecg_csv_each(ecg_csv *t, int64_t *rows, const ecg_csv_job *job, const char *what, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    pass p = {.t = t, .job = job, .what = what, .watch = watch, .blocks = ecg_csv_slots(pool), .line = t->line, .rows = t->rows, .err = err};
    pthread_mutex_init(&p.lock, NULL);
    pthread_cond_init(&p.changed, NULL);
    ecg_status st = begin(&p, err);
    if (!st) {
        ecg_pool_run(pool, work, &p, ecg_pool_threads(pool));
        if (p.read_status)
            stop_with(&p, p.read_status, &p.read_err, p.line);
        st = p.status;
    }
    ecg_progress(watch, what, 1, 1, NULL);
    pthread_cond_destroy(&p.changed);
    pthread_mutex_destroy(&p.lock);
    end(&p);
    t->next = t->row = t->filled;
    t->text_ended = true;
    t->line = p.line;
    *rows = t->rows = p.rows;
    return st;
}
