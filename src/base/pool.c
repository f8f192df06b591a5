/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPIN = 2000 }; /* looks at the flag before sleeping: less than a wake-up costs. None where there are more threads than processors */

typedef void task(void *ctx, int item, int worker);

typedef struct {
    ecg_pool *pool;
    int worker;
    pthread_t thread;
} member;

struct ecg_pool {
    int threads, started; /* started: helpers that run, threads - 1 unless the system refused some */
    int spin;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint round;    /* grows by one with every run; odd and even do not matter */
    atomic_int next, active; /* active: helpers at work on this round. One that wakes when nothing is left does not take part, and nobody waits for it */
    int asleep;
    task *fn;
    void *ctx;
    int items;
    bool leave;
    member *member;
};

/* Who takes an item sees what was done by all before they took the items before it: buffers may go round. */
static void work(ecg_pool *p, int worker)
{
    for (int i; (i = atomic_fetch_add_explicit(&p->next, 1, memory_order_acq_rel)) < p->items;)
        p->fn(p->ctx, i, worker);
}

static void *helper(void *arg)
{
    const member *self = arg;
    ecg_pool *p = self->pool;
    for (unsigned seen = 0;;) {
        for (int i = 0; i < p->spin && atomic_load_explicit(&p->round, memory_order_relaxed) == seen; i++)
            ecg_pause();
        pthread_mutex_lock(&p->lock);
        p->asleep++;
        while (atomic_load_explicit(&p->round, memory_order_relaxed) == seen)
            pthread_cond_wait(&p->wake, &p->lock);
        p->asleep--;
        seen = atomic_load_explicit(&p->round, memory_order_relaxed);
        const bool leave = p->leave, join = !leave && atomic_load_explicit(&p->next, memory_order_relaxed) < p->items;
        if (join)
            atomic_fetch_add_explicit(&p->active, 1, memory_order_relaxed);
        pthread_mutex_unlock(&p->lock);
        if (leave)
            return NULL;
        if (!join)
            continue;
        work(p, self->worker);
        if (atomic_fetch_sub_explicit(&p->active, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

ecg_pool *ecg_pool_new(int threads)
{
    if (threads < 1)
        return NULL;
    ecg_pool *p = calloc(1, sizeof *p);
    if (!p || !(p->member = calloc((size_t)threads, sizeof *p->member))) {
        free(p);
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->threads = threads;
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    p->spin = threads <= online ? SPIN : 0;
    for (int i = 1; i < threads; i++) {
        member *m = &p->member[p->started];
        m->pool = p;
        m->worker = i;
        if (pthread_create(&m->thread, NULL, helper, m))
            break; /* fewer helpers: slower, the same result */
        p->started++;
    }
    return p;
}

void ecg_pool_free(ecg_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->leave = true;
    atomic_fetch_add_explicit(&p->round, 1, memory_order_relaxed);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->started; i++)
        pthread_join(p->member[i].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p->member);
    free(p);
}

int ecg_pool_threads(const ecg_pool *p)
{
    return p ? p->threads : 1;
}

bool ecg_pool_spins(const ecg_pool *p)
{
    return p && p->spin > 0;
}

void ecg_pool_run(ecg_pool *p, task *fn, void *ctx, int items)
{
    if (!p || p->started == 0 || items < 2) {
        for (int i = 0; i < items; i++)
            fn(ctx, i, 0);
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->ctx = ctx;
    p->items = items;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->round, 1, memory_order_relaxed);
    const int awake = p->started - p->asleep; /* they will look by themselves */
    for (int i = awake; i < items - 1 && i < p->started; i++)
        pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);

    work(p, 0);

    for (int i = 0; i < p->spin && atomic_load_explicit(&p->active, memory_order_acquire) > 0; i++)
        ecg_pause();
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->active, memory_order_acquire) > 0)
        pthread_cond_wait(&p->done, &p->lock);
    p->items = 0; /* who comes late finds nothing */
    pthread_mutex_unlock(&p->lock);
}
