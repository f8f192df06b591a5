/* SPDX-License-Identifier: MIT
 * pool.h: a small pthread pool with a bounded spin. Items are handed out in order; what an item computes must not depend on the worker. */
#ifndef ECG_BASE_POOL_H
#define ECG_BASE_POOL_H

#include <stdbool.h>

typedef struct ecg_pool ecg_pool;

ecg_pool *ecg_pool_new(int threads); /* threads >= 1, the caller is one of them; NULL: not possible */
void ecg_pool_free(ecg_pool *p);
int ecg_pool_threads(const ecg_pool *p);
bool ecg_pool_spins(const ecg_pool *p); /* there is a processor for each of its threads: looking again costs less than sleeping */

/* Calls fn(ctx, item, worker) for item 0..items-1, worker 0..threads-1, and returns when all are done. Not to be nested.
 * p may be NULL: everything in the caller, worker 0. */
void ecg_pool_run(ecg_pool *p, void (*fn)(void *ctx, int item, int worker), void *ctx, int items);

/* Between two looks at what another thread is about to write. */
static inline void ecg_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

#endif
