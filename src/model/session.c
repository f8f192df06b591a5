/* SPDX-License-Identifier: MIT
 * session.c: see session.h. */
#include "model/session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* ---- one session ----------------------------------------------------------------------------------------------------------------- */

static void session_free(ecg_session *s)
{
    if (!s)
        return;
    ecg_infer_work_free(s->encoder);
    for (int i = 0; i < 2; i++)
        ecg_mlp_work_free(s->head[i]);
    ecg_resampler_free(s->resampler);
    ecg_arena_free(s->arena);
    free(s->z);
    free(s);
}

static size_t most_labels(const ecg_model *m)
{
    size_t most = 1;
    for (int i = 0; i < m->heads; i++) {
        const size_t K = (size_t)ecg_head_labels(m, &m->head[i], NULL);
        most = K > most ? K : most;
    }
    return most;
}

/* What the answer to a recording as long as those of training takes: lists, reasons for every diagnosis, and the samples on their way. */
static size_t answer_bytes(const ecg_model *m, const ecg_resampler *r)
{
    const size_t labels = most_labels(m), H = (size_t)m->shape.width;
    const size_t list = 2 * labels * (sizeof(ecg_score) * 2 + 8 * sizeof(double)), why = labels * (sizeof(ecg_why) + 11 * sizeof(ecg_cited) + 2 * 64);
    const size_t seconds = (size_t)(m->contract.samples / m->contract.rate_hz) + 1, samples = seconds * 1000; /* recorders' rates go up to 1000 Hz */
    const size_t resampling = ECG_RESAMPLE_STRIPES * ecg_resample_room(r, ECG_LEADS) * sizeof(double);
    return list + why + resampling + samples * (ECG_LEADS + 4) * sizeof(double) + 64 * H * sizeof(double) + (1 << 20);
}

static ecg_session *session_new(const ecg_model *m)
{
    ecg_session *s = calloc(1, sizeof *s);
    bool ok = s && (s->encoder = ecg_infer_work_new(m->encoder, 1)) && (s->arena = ecg_arena_new()) &&
              (s->z = malloc(ECG_SESSION_ROWS * most_labels(m) * sizeof *s->z)) &&
              !ecg_resampler_new(&s->resampler, 10 * m->contract.rate_hz, m->contract.rate_hz, NULL) &&
              ecg_arena_take(s->arena, 1, answer_bytes(m, s->resampler));
    for (int i = 0; ok && i < m->heads; i++)
        ok = (s->head[i] = ecg_mlp_work_new(m->head[i].net, ECG_SESSION_ROWS, false)) != NULL;
    if (!ok) {
        session_free(s);
        return NULL;
    }
    ecg_arena_rewind(s->arena);
    return s;
}

/* ---- threads --------------------------------------------------------------------------------------------------------------------- */

struct ecg_crew {
    atomic_flag busy;
    ecg_pool *pool;
    ecg_infer_work *work;
};

ecg_crew *ecg_crew_new(const ecg_encoder *e, ecg_pool *pool)
{
    ecg_crew *c = calloc(1, sizeof *c);
    if (!c || !(c->work = ecg_infer_work_new(e, ecg_pool_threads(pool)))) {
        free(c);
        return NULL;
    }
    c->pool = pool;
    atomic_flag_clear(&c->busy);
    return c;
}

void ecg_crew_free(ecg_crew *c)
{
    if (c)
        ecg_infer_work_free(c->work);
    free(c);
}

/* The crew, if nobody has it. */
static void gather(ecg_session *s, const ecg_model *m)
{
    if (m->crew && !atomic_flag_test_and_set_explicit(&m->crew->busy, memory_order_acquire))
        s->crew = m->crew;
}

void ecg_session_dismiss(ecg_session *s)
{
    if (s->crew)
        atomic_flag_clear_explicit(&s->crew->busy, memory_order_release);
    s->crew = NULL;
}

ecg_exec ecg_session_exec(const ecg_session *s, const ecg_model *m) { return (ecg_exec){m->exec.k, s->crew ? s->crew->pool : NULL}; }

/* ---- the shelf ------------------------------------------------------------------------------------------------------------------- */

struct ecg_shelf {
    pthread_mutex_t lock;
    ecg_session *free; /* a list */
    int out;           /* sessions that someone has */
    bool closed;
};

ecg_shelf *ecg_shelf_new(void)
{
    ecg_shelf *shelf = calloc(1, sizeof *shelf);
    if (shelf)
        pthread_mutex_init(&shelf->lock, NULL);
    return shelf;
}

static void shelf_free(ecg_shelf *shelf)
{
    while (shelf->free) {
        ecg_session *s = shelf->free;
        shelf->free = s->next;
        session_free(s);
    }
    pthread_mutex_destroy(&shelf->lock);
    free(shelf);
}

void ecg_shelf_close(ecg_shelf *shelf)
{
    if (!shelf)
        return;
    pthread_mutex_lock(&shelf->lock);
    shelf->closed = true;
    const bool last = shelf->out == 0;
    pthread_mutex_unlock(&shelf->lock);
    if (last)
        shelf_free(shelf);
}

ecg_status ecg_shelf_fill(ecg_shelf *shelf, const ecg_model *m, int sessions, ecg_err *err)
{
    pthread_mutex_lock(&shelf->lock);
    int there = 0;
    for (const ecg_session *s = shelf->free; s; s = s->next)
        there++;
    while (there < sessions) {
        ecg_session *s = session_new(m);
        if (!s)
            break;
        s->shelf = shelf;
        s->next = shelf->free;
        shelf->free = s;
        there++;
    }
    pthread_mutex_unlock(&shelf->lock);
    return there < sessions ? ecg_fail(err, ECG_ENOMEM, "no memory for %d answers at a time", sessions) : ECG_OK;
}

ecg_session *ecg_session_take(const ecg_model *m)
{
    ecg_shelf *shelf = m->shelf;
    pthread_mutex_lock(&shelf->lock);
    ecg_session *s = shelf->free;
    if (s)
        shelf->free = s->next;
    shelf->out++;
    pthread_mutex_unlock(&shelf->lock);
    if (!s && (s = session_new(m)))
        s->shelf = shelf;
    if (!s) {
        pthread_mutex_lock(&shelf->lock);
        shelf->out--;
        pthread_mutex_unlock(&shelf->lock);
        return NULL;
    }
    gather(s, m);
    return s;
}

void ecg_session_return(ecg_session *s)
{
    if (!s)
        return;
    ecg_shelf *shelf = s->shelf;
    ecg_session_dismiss(s);
    ecg_arena_rewind(s->arena);
    pthread_mutex_lock(&shelf->lock);
    s->next = shelf->free;
    shelf->free = s;
    const bool last = --shelf->out == 0 && shelf->closed;
    pthread_mutex_unlock(&shelf->lock);
    if (last)
        shelf_free(shelf);
}

void ecg_session_embed(float *h, ecg_session *s, const ecg_model *m, const float *x, int crops)
{
    const ecg_exec exec = ecg_session_exec(s, m);
    ecg_infer_run(h, m->infer, s->crew ? s->crew->work : s->encoder, &exec, x, crops);
}
