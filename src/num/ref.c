/* SPDX-License-Identifier: MIT
 * ref.c: every kernel as its formula says it, plain C, sums in double: the oracle of the fast ones, and what runs on a CPU we do not know.
 *
 *   B L H   samples, time steps, channels      u y   signal in, signal out      k   taps      dX   gradient of the loss with respect to X
 *
 * Activations are row-major with channels innermost: u[t * H + h]. */
#include <math.h>
#include <string.h>

#include "num/bf16.h"
#include "num/kernels.h"

static void gemm(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    enum { TILE = 64 }; /* columns whose sums are carried at once, so that a row of b is read along its memory */
    const size_t ai = flags & ECG_GEMM_TA ? 1 : lda, ak = flags & ECG_GEMM_TA ? lda : 1;
    if (flags & ECG_GEMM_PACKED) {
        flags &= ~(unsigned)ECG_GEMM_TB;
        ldb = TILE;
    }
    for (int i = 0; i < m; i++)
        for (int j0 = 0; j0 < n; j0 += TILE) {
            const int columns = n - j0 < TILE ? n - j0 : TILE;
            const float *panel = flags & ECG_GEMM_PACKED ? b + (size_t)j0 * k : b + j0;
            double sum[TILE] = {0};
            if (flags & ECG_GEMM_TB) {
                for (int j = 0; j < columns; j++)
                    for (int l = 0; l < k; l++)
                        sum[j] += (double)a[i * ai + l * ak] * b[(size_t)(j0 + j) * ldb + l];
            } else {
                for (int l = 0; l < k; l++) {
                    const double x = a[i * ai + l * ak];
                    for (int j = 0; j < columns; j++)
                        sum[j] += x * panel[(size_t)l * ldb + j];
                }
            }
            float *row = c + (size_t)i * ldc + j0;
            for (int j = 0; j < columns; j++)
                row[j] = (float)(flags & ECG_GEMM_ADD ? row[j] + sum[j] : bias ? bias[j0 + j] + sum[j] : sum[j]);
        }
}

/* 64 columns after 64 columns, each (k, 64) */
static void pack(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    enum { TILE = 64 };
    packed += (size_t)from * k;
    for (int j0 = from; j0 < to; j0 += TILE)
        for (int l = 0; l < k; l++)
            for (int j = j0; j < j0 + TILE; j++)
                *packed++ = j >= n ? 0 : flags & ECG_GEMM_TB ? b[(size_t)j * ldb + l] : b[(size_t)l * ldb + j];
}

/* The oracle of a wide product in bf16: both operands rounded to nearest even, their products exact in float32, summed in float32 by
 * increasing l from bias, c or 0. Every other product is that of float32. */
static void gemm_bf16(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    if (!(flags & ECG_GEMM_WIDE)) {
        gemm(c, a, b, bias, m, n, k, lda, ldb, ldc, flags);
        return;
    }
    enum { TILE = 64 };
    const bool packed = flags & ECG_GEMM_PACKED, tb = !packed && flags & ECG_GEMM_TB;
    const size_t ai = flags & ECG_GEMM_TA ? 1 : lda, ak = flags & ECG_GEMM_TA ? lda : 1;
    const size_t bj = tb ? ldb : 1, bl = packed ? TILE : tb ? 1 : ldb;
    for (int i = 0; i < m; i++)
        for (int j0 = 0; j0 < n; j0 += TILE) {
            const int columns = n - j0 < TILE ? n - j0 : TILE;
            const float *panel = packed ? b + (size_t)j0 * k : b + j0 * bj;
            float *row = c + (size_t)i * ldc + j0;
            for (int j = 0; j < columns && !(flags & ECG_GEMM_ADD); j++)
                row[j] = bias ? bias[j0 + j] : 0;
            for (int l = 0; l < k; l++) {
                const float x = ecg_bf16_round(a[i * ai + l * ak]);
                for (int j = 0; j < columns; j++)
                    row[j] += x * (packed ? panel[l * bl + j] : ecg_bf16_round(panel[j * bj + l * bl]));
            }
        }
}

static void pack_bf16(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    pack(packed, b, n, k, ldb, from, to, flags);
    for (size_t i = (size_t)from * k; flags & ECG_GEMM_WIDE && i < ((size_t)to + 63) / 64 * 64 * k; i++)
        packed[i] = ecg_bf16_round(packed[i]);
}

/* Gu, Goel, Re: "Efficiently Modeling Long Sequences with Structured State Spaces", arXiv 2111.00396, section 2.4; two-sided: protocol 5.2. */
static void conv(float *y, const float *u, const float *k0, const float *k1, const float *D, int L, int H, float *scratch)
{
    (void)scratch;
    for (int t = 0; t < L; t++)
        for (int h = 0; h < H; h++) {
            double sum = (double)D[h] * u[(size_t)t * H + h];
            for (int s = 0; s <= t; s++)
                sum += (double)k0[(size_t)(t - s) * H + h] * u[(size_t)s * H + h];
            for (int s = t + 1; k1 && s < L; s++)
                sum += (double)k1[(size_t)(s - t - 1) * H + h] * u[(size_t)s * H + h];
            y[(size_t)t * H + h] = (float)sum;
        }
}

static void conv_backward(float *du, float *dk0, float *dk1, float *dD, const float *dy, const float *u, const float *k0, const float *k1,
                          const float *D, int L, int H, float *scratch)
{
    (void)scratch;
    for (int s = 0; du && s < L; s++) /* the transposed map: what u[s] did to every y[t] */
        for (int h = 0; h < H; h++) {
            double sum = (double)D[h] * dy[(size_t)s * H + h];
            for (int t = s; t < L; t++)
                sum += (double)k0[(size_t)(t - s) * H + h] * dy[(size_t)t * H + h];
            for (int t = 0; k1 && t < s; t++)
                sum += (double)k1[(size_t)(s - t - 1) * H + h] * dy[(size_t)t * H + h];
            du[(size_t)s * H + h] = (float)sum;
        }
    for (int j = 0; dk0 && j < L; j++)
        for (int h = 0; h < H; h++) {
            double ahead = 0, behind = 0;
            for (int t = j; t < L; t++)
                ahead += (double)dy[(size_t)t * H + h] * u[(size_t)(t - j) * H + h];
            for (int t = 0; t + j + 1 < L; t++)
                behind += (double)dy[(size_t)t * H + h] * u[(size_t)(t + j + 1) * H + h];
            dk0[(size_t)j * H + h] = (float)(dk0[(size_t)j * H + h] + ahead);
            if (k1)
                dk1[(size_t)j * H + h] = (float)(dk1[(size_t)j * H + h] + behind);
            if (j == 0)
                dD[h] = (float)(dD[h] + ahead);
        }
}

/* One channel of a scan, by its definition in kernels.h. at(..) of a constant: [j][m] with the lane chosen. */
typedef struct {
    int L, H, S, chunks;
    const float *in, *step, *out[2], *near;
} lane;

static lane lane_of(const ecg_scan *c, int h)
{
    const size_t p = h / ECG_PANEL, block = (size_t)ECG_CHUNK * c->states * ECG_PANEL;
    return (lane){.L = c->L, .H = c->H, .S = c->states, .chunks = (c->L + ECG_CHUNK - 1) / ECG_CHUNK,
                  .in = c->in + p * block + h % ECG_PANEL, .step = c->step + p * c->step_stride + h % ECG_PANEL,
                  .out = {c->out[0] + p * block + h % ECG_PANEL, c->out[1] ? c->out[1] + p * block + h % ECG_PANEL : NULL},
                  .near = c->near + (p * (2 * ECG_CHUNK - 1) + ECG_CHUNK - 1) * ECG_PANEL + h % ECG_PANEL};
}

/* x <- step x + sum_s in[s] u[s] over the steps of chunk k, in reversed in time: the state that leaves the chunk to the right; else to the left */
static void past_chunk(double *x, const lane *l, const float *u, int k, bool right)
{
    double next[ECG_SCAN_STATES] = {0};
    for (int m = 0; m < l->S; m++) {
        for (int j = 0; j < l->S; j++)
            next[m] += (double)l->step[(m * l->S + j) * ECG_PANEL] * x[j];
        for (int s = 0; s < ECG_CHUNK && k * ECG_CHUNK + s < l->L; s++)
            next[m] += (double)l->in[((right ? ECG_CHUNK - 1 - s : s) * l->S + m) * ECG_PANEL] * u[(size_t)(k * ECG_CHUNK + s) * l->H];
    }
    memcpy(x, next, sizeof next);
}

static void scan(float *y, const float *u, const ecg_scan *c, float *scratch)
{
    (void)scratch;
    for (int h = 0; h < c->H; h++, y++, u++) {
        const lane l = lane_of(c, h);
        for (int right = 1; right >= (l.out[1] ? 0 : 1); right--) { /* the past first, y is begun there; then the future */
            double x[ECG_SCAN_STATES] = {0};
            for (int n = 0; n < l.chunks; n++) {
                const int k = right ? n : l.chunks - 1 - n;
                for (int i = 0; i < ECG_CHUNK && k * ECG_CHUNK + i < l.L; i++) {
                    const size_t t = (size_t)k * ECG_CHUNK + i;
                    double sum = right ? (double)c->D[h] * u[t * l.H] : y[t * l.H];
                    for (int s = 0; right && s < ECG_CHUNK && k * ECG_CHUNK + s < l.L; s++)
                        sum += (double)l.near[(i - s) * ECG_PANEL] * u[(size_t)(k * ECG_CHUNK + s) * l.H];
                    for (int m = 0; m < l.S; m++)
                        sum += x[m] * (right ? l.out[0][(i * l.S + m) * ECG_PANEL] : l.out[1][((ECG_CHUNK - 1 - i) * l.S + m) * ECG_PANEL]);
                    y[t * l.H] = (float)sum;
                }
                past_chunk(x, &l, u, k, right);
            }
        }
    }
}

/* du: the transposed map. a is the adjoint of the state that chunk k met: a <- step^T a + sum_i out[i] dy[i] */
static void scan_du(float *du, const float *plus, const float *dy, const ecg_scan *c, int h)
{
    const lane l = lane_of(c, h);
    for (int s = 0; s < l.L; s++) {
        const int k = s / ECG_CHUNK;
        double sum = (double)c->D[h] * dy[(size_t)s * l.H] + (plus ? plus[(size_t)s * l.H] : 0);
        for (int t = k * ECG_CHUNK; t < (k + 1) * ECG_CHUNK && t < l.L; t++)
            sum += (double)l.near[(t - s) * ECG_PANEL] * dy[(size_t)t * l.H];
        du[(size_t)s * l.H] = (float)sum;
    }
    for (int right = 1; right >= (l.out[1] ? 0 : 1); right--) {
        double a[ECG_SCAN_STATES] = {0};
        for (int n = 0; n < l.chunks; n++) {
            const int k = right ? l.chunks - 1 - n : n;
            double next[ECG_SCAN_STATES] = {0};
            for (int s = 0; s < ECG_CHUNK && k * ECG_CHUNK + s < l.L; s++) {
                const size_t t = (size_t)k * ECG_CHUNK + s;
                double sum = du[t * l.H];
                for (int m = 0; m < l.S; m++) {
                    sum += a[m] * l.in[((right ? ECG_CHUNK - 1 - s : s) * l.S + m) * ECG_PANEL];
                    next[m] += (double)dy[t * l.H] * (right ? l.out[0][(s * l.S + m) * ECG_PANEL] : l.out[1][((ECG_CHUNK - 1 - s) * l.S + m) * ECG_PANEL]);
                }
                du[t * l.H] = (float)sum;
            }
            for (int m = 0; m < l.S; m++)
                for (int j = 0; j < l.S; j++)
                    next[m] += (double)l.step[(j * l.S + m) * ECG_PANEL] * a[j];
            memcpy(a, next, sizeof next);
        }
    }
}

static void scan_gradients(const ecg_scan_grads *g, const float *dy, const float *u, const ecg_scan *c, int h)
{
    const lane l = lane_of(c, h);
    const size_t p = h / ECG_PANEL, block = (size_t)ECG_CHUNK * c->states * ECG_PANEL;
    float *near = g->near + (p * (2 * ECG_CHUNK - 1) + ECG_CHUNK - 1) * ECG_PANEL + h % ECG_PANEL;
    for (int d = 1 - ECG_CHUNK; d < ECG_CHUNK; d++) {
        double sum = 0;
        for (int t = 0; t < l.L; t++)
            if (t - d >= 0 && t - d < l.L && (t - d) / ECG_CHUNK == t / ECG_CHUNK)
                sum += (double)dy[(size_t)t * l.H] * u[(size_t)(t - d) * l.H];
        near[d * ECG_PANEL] = (float)(near[d * ECG_PANEL] + sum);
        if (d == 0)
            g->D[h] = (float)(g->D[h] + sum);
    }
    for (int right = 1; right >= (l.out[1] ? 0 : 1); right--) {
        float *out = g->out[!right] + p * block + h % ECG_PANEL;
        double sum[ECG_CHUNK][ECG_SCAN_STATES] = {{0}}, x[ECG_SCAN_STATES] = {0};
        for (int n = 0; n < l.chunks; n++) {
            const int k = right ? n : l.chunks - 1 - n;
            for (int i = 0; i < ECG_CHUNK && k * ECG_CHUNK + i < l.L; i++)
                for (int m = 0; m < l.S; m++)
                    sum[right ? i : ECG_CHUNK - 1 - i][m] += dy[(size_t)(k * ECG_CHUNK + i) * l.H] * x[m];
            past_chunk(x, &l, u, k, right);
        }
        for (int i = 0; i < ECG_CHUNK; i++)
            for (int m = 0; m < l.S; m++)
                out[(i * l.S + m) * ECG_PANEL] = (float)(out[(i * l.S + m) * ECG_PANEL] + sum[i][m]);
    }
}

static void scan_backward(float *du, const float *plus, const ecg_scan_grads *g, const float *dy, const float *u, const ecg_scan *c, float *scratch)
{
    (void)scratch;
    for (int h = 0; h < c->H; h++) {
        if (du)
            scan_du(du + h, plus ? plus + h : NULL, dy + h, c, h);
        if (g)
            scan_gradients(g, dy + h, u + h, c, h);
    }
}

/* normal distribution function: gelu(x) = x Phi(x); by erfc, which keeps its digits where Phi is small */
static double Phi(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }

static void gelu(float *y, float *slope, const float *x, const float *scale, int rows, int H)
{
    for (int r = 0; r < rows; r++)
        for (int h = 0; h < H; h++) {
            const size_t i = (size_t)r * H + h;
            const double v = x[i], c = scale ? scale[h] : 1, density = 0.39894228040143267794 * exp(-0.5 * v * v);
            y[i] = (float)(v * Phi(v) * c);
            if (slope)
                slope[i] = (float)((Phi(v) + v * density) * c);
        }
}

static void glu(float *y, float *o, const float *scale, const float *plus, int rows, int H)
{
    for (int r = 0; r < rows; r++, y += H, o += 2 * (size_t)H, plus += plus ? H : 0)
        for (int h = 0; h < H; h++) {
            const float gate = (float)(1 / (1 + exp(-(double)o[H + h])));
            y[h] = (float)((double)o[h] * gate * (scale ? scale[h] : 1) + (plus ? plus[h] : 0));
            o[H + h] = gate;
        }
}

static void gemm_glu(float *y, float *o, const float *a, const float *packed, const float *bias, const float *scale, const float *plus, int rows, int H, int k)
{
    gemm(o, a, packed, bias, rows, 2 * H, k, k, 0, 2 * H, ECG_GEMM_WIDE | ECG_GEMM_PACKED);
    glu(y, o, scale, plus, rows, H);
}

static void gemm_glu_bf16(float *y, float *o, const float *a, const float *packed, const float *bias, const float *scale, const float *plus, int rows, int H,
                          int k)
{
    gemm_bf16(o, a, packed, bias, rows, 2 * H, k, k, 0, 2 * H, ECG_GEMM_WIDE | ECG_GEMM_PACKED);
    glu(y, o, scale, plus, rows, H);
}

static void gated(float *y, const float *o, const float *scale, const float *plus, int rows, int H)
{
    for (int r = 0; r < rows; r++, y += H, o += 2 * (size_t)H, plus += plus ? H : 0)
        for (int h = 0; h < H; h++)
            y[h] = (float)((double)o[h] * o[H + h] * (scale ? scale[h] : 1) + (plus ? plus[h] : 0));
}

static void glu_backward(float *d_o, float *db, const float *dy, const float *o, const float *scale, int rows, int H)
{
    for (int h = 0; h < H; h++) {
        double sum[2] = {0};
        for (int r = 0; r < rows; r++) {
            const size_t i = (size_t)r * 2 * H + h;
            const double gate = o[i + H], d = (double)dy[(size_t)r * H + h] * (scale ? scale[h] : 1);
            sum[0] += d * gate;
            sum[1] += d * o[i] * gate * (1 - gate);
            d_o[i] = (float)(d * gate);
            d_o[i + H] = (float)(d * o[i] * gate * (1 - gate));
        }
        if (db) {
            db[h] = (float)(db[h] + sum[0]);
            db[H + h] = (float)(db[H + h] + sum[1]);
        }
    }
}

static void layernorm(float *y, float *stat, const float *x, const float *w, const float *b, int rows, int H)
{
    for (int r = 0; r < rows; r++, x += H, y += H) {
        double mean = 0, square = 0;
        for (int h = 0; h < H; h++)
            mean += x[h];
        mean /= H;
        for (int h = 0; h < H; h++)
            square += (x[h] - mean) * (x[h] - mean);
        const double rstd = 1 / sqrt(square / H + 1e-5);
        for (int h = 0; h < H; h++)
            y[h] = (float)((x[h] - mean) * rstd * w[h] + b[h]);
        if (stat) {
            stat[2 * r] = (float)mean;
            stat[2 * r + 1] = (float)rstd;
        }
    }
}

/* With xhat = (x - mean) rstd and g = dy w:  dx = rstd (g - mean(g) - xhat mean(g xhat)). */
static void layernorm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *stat, const float *w, int rows,
                               int H)
{
    for (int h = 0; dw && h < H; h++) { /* before dx is written: dx may be dy */
        double sum_w = 0, sum_b = 0;
        for (int r = 0; r < rows; r++) {
            const double d = dy[(size_t)r * H + h];
            sum_w += d * ((double)x[(size_t)r * H + h] - stat[2 * r]) * stat[2 * r + 1];
            sum_b += d;
        }
        dw[h] = (float)(dw[h] + sum_w);
        db[h] = (float)(db[h] + sum_b);
    }
    for (int r = 0; r < rows; r++, dx += H, dy += H, x += H) {
        const double mean = stat[2 * r], rstd = stat[2 * r + 1];
        double g_mean = 0, gx_mean = 0;
        for (int h = 0; h < H; h++) {
            const double g = (double)dy[h] * w[h];
            g_mean += g;
            gx_mean += g * (x[h] - mean) * rstd;
        }
        g_mean /= H;
        gx_mean /= H;
        for (int h = 0; h < H; h++)
            dx[h] = (float)(rstd * ((double)dy[h] * w[h] - g_mean - (x[h] - mean) * rstd * gx_mean));
    }
}

static void set_rows(float *y, const float *b, int rows, int n)
{
    for (int r = 0; r < rows; r++)
        memcpy(y + (size_t)r * n, b, sizeof *b * n);
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void multiply(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] *= x[i];
}

static void sum_rows(float *s, const float *x, int rows, int n)
{
    for (int j = 0; j < n; j++) {
        double sum = 0;
        for (int r = 0; r < rows; r++)
            sum += x[(size_t)r * n + j];
        s[j] = (float)(s[j] + sum);
    }
}

/* Loshchilov, Hutter: "Decoupled Weight Decay Regularization", arXiv 1711.05101. The decay is subtracted, not multiplied: 1 - 1e-6 as a
 * float would be 5 % off. */
static void adamw(float *p, float *m, float *v, const float *g, size_t n, double lr, double decay, double b1, double b2, double eps,
                  double corr1, double corr2)
{
    for (size_t i = 0; i < n; i++) {
        const double mi = b1 * m[i] + (1 - b1) * g[i], vi = b2 * v[i] + (1 - b2) * g[i] * g[i];
        m[i] = (float)mi;
        v[i] = (float)vi;
        p[i] = (float)(p[i] - lr * decay * p[i] - lr * (mi / corr1) / (sqrt(vi / corr2) + eps));
    }
}

/* every entry but the products */
#define SAME                                                                                                                       \
    .conv = conv, .conv_backward = conv_backward, .scan = scan, .scan_backward = scan_backward, .gelu = gelu, .glu = glu, .gated = gated, \
    .glu_backward = glu_backward, .layernorm = layernorm, .layernorm_backward = layernorm_backward, .set_rows = set_rows,           \
    .add = add, .multiply = multiply, .sum_rows = sum_rows, .adamw = adamw

static const ecg_kernels table, table_bf16 = {
    .name = "ref",
    .words = "ref, operands rounded to bf16",
    .precision = ECG_IN_BF16,
    .twin = &table,
    .gemm = gemm_bf16,
    .gemm_glu = gemm_glu_bf16,
    .pack = pack_bf16,
    SAME,
};

static const ecg_kernels table = {
    .name = "ref",
    .words = "ref",
    .precision = ECG_IN_FLOAT32,
    .twin = &table_bf16,
    .gemm = gemm,
    .gemm_glu = gemm_glu,
    .pack = pack,
    SAME,
};

const ecg_kernels *ecg_kernels_ref(void) { return &table; }
