/* SPDX-License-Identifier: MIT
 * kernels.h: everything that touches activations, as one table of function pointers. The reference (plain C, ref.c) fills it first,
 * variants for a CPU overwrite entries. Handed around as const ecg_kernels *: there is no global one. Under 20 entries.
 * Layout: row-major, channels innermost. */
#ifndef ECG_NUM_KERNELS_H
#define ECG_NUM_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/pool.h"

/* WIDE: where most of the work is; its operands may be rounded to bf16 where the precision says so (docs/bf16.md) */
enum { ECG_GEMM_TA = 1, ECG_GEMM_TB = 2, ECG_GEMM_ADD = 4, ECG_GEMM_PACKED = 8, ECG_GEMM_WIDE = 16 };

/* Of the operands of wide products. Sums, parameters, moments, states and every other kernel are float32 or better in both. */
typedef enum { ECG_IN_FLOAT32, ECG_IN_BF16 } ecg_precision;

/* A two-sided convolution whose taps come from state spaces, T = ECG_CHUNK steps at a time: what lies in the same chunk by its taps, what
 * lies before and after through the states P and Q at the chunk's edges. Derivation: docs/math/s4_kernel.md.
 *   y[cT+i] = D u[cT+i] + sum_s near[i-s] u[cT+s] + out[0][i] . P_c + out[1][T-1-i] . Q_c      P_0 = 0, Q_last = 0
 *   P_{c+1} = step P_c + sum_s in[T-1-s] u[cT+s]      Q_{c-1} = step Q_c + sum_s in[s] u[cT+s]
 * Channels lie in panels of ECG_PANEL, channels innermost, the last panel filled with zeros. */
enum { ECG_CHUNK = 16, ECG_PANEL = 16, ECG_SCAN_STATES = 16 };
typedef struct {
    int L, H, states;    /* states: a multiple of 8, at most ECG_SCAN_STATES; zeros fill up */
    const float *in;     /* (panels, T, states, PANEL) */
    const float *step;   /* (states, states, PANEL) of panel p at step + p * step_stride: [to][from] */
    size_t step_stride;
    const float *out[2]; /* (panels, T, states, PANEL); out[1] NULL: causal */
    const float *near;   /* (panels, 2T - 1, PANEL): lags 1-T .. T-1 */
    const float *D;      /* (H) */
} ecg_scan;
typedef struct {
    float *out[2], *near, *D; /* shapes as above; near and D get the same number at lag 0 */
} ecg_scan_grads;

typedef struct ecg_kernels {
    const char *name;  /* what multiplies: "ref", "avx2", "avx512", "vnni", "amx" */
    const char *words; /* the same for the log, with what the precision does to a product */
    ecg_precision precision;
    const struct ecg_kernels *twin; /* the other precision: equal but for gemm and pack */
    /* c (m, n) [+]= op(a) op(b), op(a) (m, k), op(b) (k, n); lda.. are row lengths as stored. bias (n) is what every row begins with without
     * ECG_GEMM_ADD, NULL: 0. PACKED: b is what pack made of it under the same WIDE. One thread. */
    void (*gemm)(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags);
    /* op(b) (k, n) as gemm wants it, for many products: ecg_packed(n, k) floats. Several may share the work: this call does columns
     * from .. to - 1, both multiples of ECG_PACK, or to = n. */
    void (*pack)(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags);
    /* two-sided convolution of one sample (protocol 5.2), u, y (L, H); taps k0, k1 (L, H), k1 NULL for causal; D (H);
     *   y[t] = D u[t] + sum_{s<=t} k0[t-s] u[s] + sum_{s>t} k1[s-t-1] u[s]     per channel
     * scratch: ecg_conv_scratch(L) floats, aligned to 64 bytes */
    void (*conv)(float *y, const float *u, const float *k0, const float *k1, const float *D, int L, int H, float *scratch);
    /* du (L, H) is overwritten (NULL: not wanted); dk0, dk1 (L, H) and dD (H) are added to (NULL: not wanted, all of them together) */
    void (*conv_backward)(float *du, float *dk0, float *dk1, float *dD, const float *dy, const float *u, const float *k0, const float *k1,
                          const float *D, int L, int H, float *scratch);
    /* the same map by states; y, u, du, dy (L, H); scratch: ecg_scan_scratch(L, states). du is overwritten (NULL: not wanted) and begins as plus
     * (L, H; NULL: 0; may be du), g is added to (NULL: not wanted) */
    void (*scan)(float *y, const float *u, const ecg_scan *c, float *scratch);
    void (*scan_backward)(float *du, const float *plus, const ecg_scan_grads *g, const float *dy, const float *u, const ecg_scan *c, float *scratch);
    /* x (rows, H): y = gelu(x) scale, slope = gelu'(x) scale, by erf; scale (H) NULL: 1; slope NULL: not wanted, may be x */
    void (*gelu)(float *y, float *slope, const float *x, const float *scale, int rows, int H);
    /* o (rows, 2H): the gates o[:, H:] become their sigmoid, then y (rows, H) = o[:, :H] * o[:, H:] * scale (H) + plus (rows, H); scale NULL: 1,
     * plus NULL: 0 */
    void (*glu)(float *y, float *o, const float *scale, const float *plus, int rows, int H);
    /* both at once: o (rows, 2H) = a (rows, k) times what pack made of (k, 2H) under WIDE, plus bias (2H), then glu of it; plus may be y */
    void (*gemm_glu)(float *y, float *o, const float *a, const float *packed, const float *bias, const float *scale, const float *plus, int rows, int H,
                     int k);
    /* the same y, bit for bit, from o as glu leaves it */
    void (*gated)(float *y, const float *o, const float *scale, const float *plus, int rows, int H);
    /* from o as glu leaves it; d_o (rows, 2H) is overwritten, its column sums are added to db (2H) (NULL: not wanted) */
    void (*glu_backward)(float *d_o, float *db, const float *dy, const float *o, const float *scale, int rows, int H);
    /* y = (x - mean) * rstd * w + b over the last axis; stat (rows, 2) keeps mean, rstd; NULL: not wanted */
    void (*layernorm)(float *y, float *stat, const float *x, const float *w, const float *b, int rows, int H);
    /* dx is overwritten; dw, db (H) are added to (NULL: not wanted) */
    void (*layernorm_backward)(float *dx, float *dw, float *db, const float *dy, const float *x, const float *stat, const float *w, int rows,
                               int H);
    void (*set_rows)(float *y, const float *b, int rows, int n); /* every row of y (rows, n) becomes b: a bias before gemm adds */
    void (*add)(float *y, const float *x, size_t n);             /* y += x */
    void (*multiply)(float *y, const float *x, size_t n);        /* y *= x */
    void (*sum_rows)(float *s, const float *x, int rows, int n); /* s (n) += sum of the rows of x (rows, n) */
    /* p -= lr decay p + lr (m / corr1) / (sqrt(v / corr2) + eps) after m, v were updated by g; corr = 1 - beta^step.
     * Betas in double: 1 - 0.999f is off by 1.3e-5, and v with it */
    void (*adamw)(float *p, float *m, float *v, const float *g, size_t n, double lr, double decay, double b1, double b2, double eps,
                  double corr1, double corr2);
} ecg_kernels;

/* Rows that a large product may add together: cut between multiples of it, every row keeps its bytes. What is no number spreads within them. */
enum { ECG_ROWS_TOGETHER = 12 };

/* Where a product is large, sums of quarters of b lie beside them (num/cpu_strassen.h). */
enum { ECG_PACK = 128 };
static inline size_t ecg_packed(int n, int k)
{
    const size_t columns = ((size_t)n + 63) / 64 * 64, rows = (size_t)k;
    return columns * (k < ECG_PACK ? rows : rows + 3 * rows / 4 + 16);
}

/* Floats of working memory that a convolution over L steps needs: signal and taps of 16 channels, with zeros around them. */
static inline size_t ecg_conv_scratch(int L) { return 16 * (3 * ((size_t)L + 15) + 128); }

/* The same for a scan: two signals in whole fours of chunks, states of both directions, taps, what comes in. */
static inline size_t ecg_scan_scratch(int L, int states)
{
    const size_t chunks = ((size_t)L + 4 * ECG_CHUNK - 1) / ECG_CHUNK;
    return ECG_PANEL * (chunks * (2 * ECG_CHUNK + 2 * (size_t)states) + 3 * ECG_CHUNK + ECG_CHUNK * (size_t)states);
}

const ecg_kernels *ecg_kernels_ref(void);    /* the oracle, for ever */
const ecg_kernels *ecg_kernels_avx2(void);   /* NULL: not compiled in; does not ask the CPU, ecg_kernels_pick does */
const ecg_kernels *ecg_kernels_avx512(void);
const ecg_kernels *ecg_kernels_vnni(void);   /* avx512 whose twin multiplies 16-bit integers */
const ecg_kernels *ecg_kernels_amx(void);    /* avx512 whose twin multiplies on tiles */

/* What the processor has, and of the tiles what the operating system lends. */
typedef struct {
    bool avx2, avx512, amx, permission, vnni;
} ecg_cpu;
ecg_cpu ecg_cpu_here(void); /* asks the operating system for the tiles where the processor has them */
/* The best level for such a processor in float32, or the one that want names ("ref", "avx2", "avx512", "vnni", "amx"); NULL: unknown name, or it does
 * not run there, and *why (may be NULL) says which. want may be NULL or "": the best. */
const ecg_kernels *ecg_kernels_choose(const char *want, const ecg_cpu *cpu, const char **why);
/* The same for this one. tool/ passes ECGRAFT_CPU. */
const ecg_kernels *ecg_kernels_pick(const char *want);
/* The same level at a precision. */
static inline const ecg_kernels *ecg_kernels_at(const ecg_kernels *k, ecg_precision p) { return k->precision == p ? k : k->twin; }

/* How a layer runs: the kernels and the threads. */
typedef struct {
    const ecg_kernels *k;
    ecg_pool *pool; /* NULL: one thread */
} ecg_exec;

/* c = op(a) op(b) over all threads, cut into fixed blocks of rows and columns: the same bytes for any thread count. No PACKED. */
void ecg_gemm(const ecg_exec *x, float *c, const float *a, const float *b, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags);

#endif
