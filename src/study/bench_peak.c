/* SPDX-License-Identifier: MIT
 * bench_peak.c: what this machine can do at most: multiply-adds that never leave the registers, products by the kernels in use, memory to
 * memory. Short bursts, of which the best counts: a neighbour on the machine makes some of them slow, none of them fast. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "study/bench_parts.h"
#include "study/runlog.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { CHAINS = 16, BURSTS = 60, COPIES = 12 }; /* chains: twice what two units of latency 4 need */
static const double burst_seconds = 0.002; /* about */
static const size_t block = 32u << 20;     /* copied at a time, more than caches hold */
static const char f32[] = "float32", rate[] = "GFLOP/s";

/* ---- multiply-adds in registers: `rounds` times over CHAINS vectors; each returns the operations of one round ------------- */

typedef double loop(float *out, int64_t rounds);

static double plain(float *out, int64_t rounds)
{
    float x[CHAINS] = {0};
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++)
            x[i] = x[i] * 0.999f + 1e-3f;
    for (int i = 0; i < CHAINS; i++)
        *out += x[i];
    return 2 * CHAINS;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static double by_avx2(float *out, int64_t rounds)
{
    __m256 x[CHAINS / 2 + 4], sum = _mm256_setzero_ps();
    const __m256 a = _mm256_set1_ps(0.999f), c = _mm256_set1_ps(1e-3f);
    enum { N = CHAINS / 2 + 4 }; /* sixteen registers in all */
    for (int i = 0; i < N; i++)
        x[i] = sum;
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < N; i++)
            x[i] = _mm256_fmadd_ps(x[i], a, c);
    }
    for (int i = 0; i < N; i++)
        sum = _mm256_add_ps(sum, x[i]);
    *out += _mm256_cvtss_f32(sum);
    return 2 * 8 * N;
}

__attribute__((target("avx512f"))) static double by_avx512(float *out, int64_t rounds)
{
    __m512 x[CHAINS], sum = _mm512_setzero_ps();
    const __m512 a = _mm512_set1_ps(0.999f), c = _mm512_set1_ps(1e-3f);
    for (int i = 0; i < CHAINS; i++)
        x[i] = sum;
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_fmadd_ps(x[i], a, c);
    }
    for (int i = 0; i < CHAINS; i++)
        sum = _mm512_add_ps(sum, x[i]);
    *out += _mm512_cvtss_f32(sum);
    return 2 * 16 * CHAINS;
}

__attribute__((target("avx512f,avx512bf16"))) static double by_dpbf16(float *out, int64_t rounds)
{
    __m512 x[CHAINS], sum = _mm512_setzero_ps();
    const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3c003c00), c = (__m512bh)_mm512_set1_epi32(0x3f803f80);
    for (int i = 0; i < CHAINS; i++)
        x[i] = sum;
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_dpbf16_ps(x[i], a, c);
    }
    for (int i = 0; i < CHAINS; i++)
        sum = _mm512_add_ps(sum, x[i]);
    *out += _mm512_cvtss_f32(sum);
    return 2 * 32 * CHAINS;
}

/* by hand: gcc 12 copies every sum of the intrinsic once more, which takes as long as the product */
__attribute__((target("avx512f"))) static double by_integers(float *out, int64_t rounds)
{
    const __m512i a = _mm512_set1_epi32(0x00030001), zero = _mm512_setzero_si512();
    __m512i x0 = zero, x1 = zero, x2 = zero, x3 = zero, x4 = zero, x5 = zero, x6 = zero, x7 = zero, x8 = zero, x9 = zero, xa = zero, xb = zero;
    for (int64_t r = 0; r < rounds; r++) {
        __asm__("vpdpwssd %6, %6, %0; vpdpwssd %6, %6, %1; vpdpwssd %6, %6, %2; vpdpwssd %6, %6, %3; vpdpwssd %6, %6, %4; vpdpwssd %6, %6, %5"
                : "+v"(x0), "+v"(x1), "+v"(x2), "+v"(x3), "+v"(x4), "+v"(x5) : "v"(a));
        __asm__("vpdpwssd %6, %6, %0; vpdpwssd %6, %6, %1; vpdpwssd %6, %6, %2; vpdpwssd %6, %6, %3; vpdpwssd %6, %6, %4; vpdpwssd %6, %6, %5"
                : "+v"(x6), "+v"(x7), "+v"(x8), "+v"(x9), "+v"(xa), "+v"(xb) : "v"(a));
    }
    *out += (float)_mm512_cvtsi512_si32(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + xa + xb);
    return 2 * 32 * 12;
}

__attribute__((target("amx-tile,amx-bf16"))) static double by_tiles(float *out, int64_t rounds)
{
    static const struct { /* static: the intrinsic names only its first bytes as read, the rest must be in memory all the same */
        uint8_t palette, start, zero[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    (void)out;
    _tile_loadconfig(&shape);
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    _tile_zero(4); _tile_zero(5); _tile_zero(6); _tile_zero(7);
    for (int64_t r = 0; r < rounds; r++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    return 4 * 2 * 16.0 * 16 * 32;
}

static bool has_dpbf16(void)
{
    unsigned a = 0, c, b, d;
    return ecg_cpu_here().avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1u);
}
#endif

/* what multiplies operands of two bytes; NULL: nothing but float32 does. The instruction for bf16 is shown where nothing better is. */
static loop *short_loop(const char **name, const char **what)
{
#if defined(__x86_64__)
    const ecg_cpu cpu = ecg_cpu_here();
    if (cpu.permission) {
        *name = "amx", *what = "products in AMX tiles, all threads";
        return by_tiles;
    }
    if (cpu.avx512 && cpu.vnni) {
        *name = "vnni", *what = "products of 16-bit integers in registers, all threads; no AMX here";
        return by_integers;
    }
    if (has_dpbf16()) {
        *name = "dpbf16", *what = "products in AVX-512 registers, all threads; no AMX here";
        return by_dpbf16;
    }
#endif
    *name = *what = NULL;
    return NULL;
}

static loop *float_loop(const ecg_kernels *k)
{
#if defined(__x86_64__)
    if (strcmp(k->name, "ref") != 0 && strcmp(k->name, "avx2") != 0 && ecg_cpu_here().avx512)
        return by_avx512;
    if (strcmp(k->name, "ref") != 0 && ecg_cpu_here().avx2)
        return by_avx2;
#endif
    (void)k;
    return plain;
}

/* ---- bursts on all threads ----------------------------------------------------------------------------------------------- */

typedef struct {
    loop *fn;
    int64_t rounds;
    float *out;    /* (items * 16) */
    double *best;  /* (items) least seconds */
    double work;   /* of a round */
} burst;

static void do_burst(void *ctx, int item, int worker)
{
    burst *u = ctx;
    (void)worker;
    const double began = ecg_clock(), work = u->fn(&u->out[16 * item], u->rounds);
    u->best[item] = fmin(u->best[item], ecg_clock() - began);
    if (item == 0)
        u->work = work;
}

/* Each item by its own clock: their rates add up, and a thread that a neighbour holds up for a while spoils its own burst alone. */
static double sum_of_rates(void (*fn)(void *, int, int), void *ctx, const double *best, ecg_pool *pool, int items, int bursts)
{
    double sum = 0;
    for (int i = 0; i < bursts; i++)
        ecg_pool_run(pool, fn, ctx, items);
    for (int i = 0; i < items; i++)
        sum += 1 / best[i];
    return sum;
}

static void forget(double *best, int items)
{
    for (int i = 0; i < items; i++)
        best[i] = INFINITY;
}

/* Operations a second of so many threads. */
static double registers(loop *fn, ecg_pool *pool, int items, float *out, double *best)
{
    burst u = {.fn = fn, .rounds = 2000, .out = out, .best = best};
    forget(best, items);
    const double once = items / sum_of_rates(do_burst, &u, best, pool, items, 3);
    u.rounds = (int64_t)(2000 * burst_seconds / fmax(once, 1e-7)) + 1;
    forget(best, items);
    return u.work * (double)u.rounds * sum_of_rates(do_burst, &u, best, pool, items, BURSTS);
}

typedef struct {
    const ecg_kernels *k;
    int L, H;
    bool weights; /* dW instead of the way forward; its b is packed anew, as in a step */
    float *a, *b, *c, *packed, *own;
    size_t floats, own_floats; /* of an item's a, b, c; of its own */
    double *best;  /* (items) least seconds */
} products;

static void do_product(void *ctx, int item, int worker)
{
    const products *p = ctx;
    (void)worker;
    const int L = p->L, H = p->H;
    float *a = p->a + (size_t)item * p->floats, *c = p->c + (size_t)item * p->floats;
    const double began = ecg_clock();
    if (p->weights) {
        float *own = p->own + (size_t)item * p->own_floats;
        p->k->pack(own, a, H, L, H, 0, H, ECG_GEMM_WIDE);
        p->k->gemm(c, p->b + (size_t)item * p->floats, own, NULL, 2 * H, H, L, 2 * H, 0, H, ECG_GEMM_WIDE | ECG_GEMM_TA | ECG_GEMM_ADD | ECG_GEMM_PACKED);
    } else {
        p->k->gemm(c, a, p->packed, NULL, L, 2 * H, H, H, H, 2 * H, ECG_GEMM_WIDE | ECG_GEMM_PACKED);
    }
    p->best[item] = fmin(p->best[item], ecg_clock() - began);
}

static ecg_status gemm(double *forward, double *weights, ecg_bench_run *b, int items, double *best, ecg_err *err)
{
    const int L = (int)b->o->config->encoder.length, H = (int)b->o->config->encoder.width;
    const size_t floats = 2 * (size_t)H * (size_t)(L > H ? L : H), all = floats * (size_t)items;
    const size_t packed = ecg_packed(2 * H, H), own = (ecg_packed(H, L) + 15) / 16 * 16;
    products p = {.k = b->o->exec->k, .L = L, .H = H, .floats = floats, .own_floats = own, .best = best};
    float *room = aligned_alloc(64, (3 * all + packed + own * (size_t)items + 16) / 16 * 64);
    if (!room)
        return ecg_fail(err, ECG_ENOMEM, "no memory for products");
    memset(room, 0, 3 * all * sizeof *room);
    p.a = room;
    p.b = room + all;
    p.c = room + 2 * all;
    p.own = room + 3 * all;
    p.packed = p.own + own * (size_t)items;
    p.k->pack(p.packed, p.a, 2 * H, H, H, 0, 2 * H, ECG_GEMM_WIDE | ECG_GEMM_TB);
    const double work = 4.0 * L * H * H;
    ecg_pool *pool = items > 1 ? b->o->exec->pool : NULL;
    forget(best, items);
    *forward = work * sum_of_rates(do_product, &p, best, pool, items, BURSTS);
    p.weights = true;
    forget(best, items);
    *weights = work * sum_of_rates(do_product, &p, best, pool, items, BURSTS);
    free(room);
    return ECG_OK;
}

static void do_copy(void *ctx, int item, int worker)
{
    uint8_t *room = (uint8_t *)ctx + 2 * (size_t)item * block;
    (void)worker;
    memcpy(room + block, room, block);
}

/* At once: the threads share the memory. */
static ecg_status copy(ecg_bench_run *b, int items, ecg_err *err)
{
    uint8_t *room = malloc(2 * (size_t)items * block);
    double best = INFINITY;
    if (!room)
        return ecg_fail(err, ECG_ENOMEM, "no memory to copy");
    memset(room, 1, 2 * (size_t)items * block);
    for (int i = 0; i < COPIES; i++) {
        const double began = ecg_clock();
        ecg_pool_run(b->o->exec->pool, do_copy, room, items);
        best = fmin(best, ecg_clock() - began);
    }
    b->copy = (double)block * items / best;
    free(room);
    return ECG_OK;
}

static ecg_status report_gemm(ecg_bench_run *b, int items, double fma, double *best, ecg_err *err)
{
    const bool one = items == 1;
    double forward = 0, weights = 0;
    const ecg_status st = gemm(&forward, &weights, b, items, best, err);
    if (st)
        return st;
    ecg_bench_say(b, (ecg_bench_row){.name = one ? "gemm_core" : "gemm", .value = forward / 1e9, .bound = fma / 1e9, .unit = rate,
                                     .what = one ? "a layer's product, one thread" : "a layer's product, all threads"});
    ecg_bench_say(b, (ecg_bench_row){.name = one ? "gemm_dw_core" : "gemm_dw", .value = weights / 1e9, .bound = fma / 1e9, .unit = rate,
                                     .what = one ? "the gradient of its weight, one thread" : "the gradient of its weight, all threads"});
    return ECG_OK;
}

/* More threads than processors do not make the machine faster. */
static int threads_of(const ecg_bench_run *b)
{
    const int threads = ecg_pool_threads(b->o->exec->pool);
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < threads ? (int)online : threads;
}

ecg_status ecg_bench_peak(ecg_bench_run *b, bool report, ecg_err *err)
{
    const ecg_exec *x = b->o->exec;
    const int threads = threads_of(b);
    const char *name, *what;
    loop *two_bytes = short_loop(&name, &what);
    float *out = calloc(16 * (size_t)threads, sizeof *out);
    double *best = calloc((size_t)threads, sizeof *best), core = 0;
    ecg_status st = out && best ? copy(b, threads < 4 ? threads : 4, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (st)
        goto done;
    core = registers(float_loop(x->k), NULL, 1, out, best);
    b->fma = registers(float_loop(x->k), x->pool, threads, out, best);
    if (two_bytes)
        b->bf16 = registers(two_bytes, x->pool, threads, out, best);
    if (!report)
        goto done;
    ecg_bench_say(b, (ecg_bench_row){.name = "fma_core", .precision = f32, .value = core / 1e9, .unit = rate, .what = "multiply-adds in registers, one thread"});
    ecg_bench_say(b, (ecg_bench_row){.name = "fma", .precision = f32, .value = b->fma / 1e9, .unit = rate, .what = "the same, all threads"});
    if (b->bf16 > 0)
        ecg_bench_say(b, (ecg_bench_row){.name = name, .precision = "bf16", .value = b->bf16 / 1e9, .unit = rate, .what = what});
    if ((st = report_gemm(b, 1, ecg_bench_bound(b) / threads, best, err)) || (st = report_gemm(b, threads, ecg_bench_bound(b), best, err)))
        goto done;
    ecg_bench_say(b, (ecg_bench_row){.name = "copy", .precision = f32, .value = b->copy / 1e9, .unit = "GB/s", .what = "memory to memory, all threads"});
done:
    free(out);
    free(best);
    return st;
}
