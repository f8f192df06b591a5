/* SPDX-License-Identifier: MIT
 * ref.c: every kernel as its formula says it, plain C, sums in double: the oracle of the fast ones, and what runs on a CPU we do not know.
 *
 *   B L H   samples, time steps, channels      u y   signal in, signal out      k   taps      dX   gradient of the loss with respect to X
 *
 * Activations are row-major with channels innermost: u[t * H + h]. */
#include <math.h>
#include <string.h>

#include "num/kernels.h"

static void gemm(float *c, const float *a, const float *b, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    enum { TILE = 64 }; /* columns whose sums are carried at once, so that a row of b is read along its memory */
    const size_t ai = flags & ECG_GEMM_TA ? 1 : lda, ak = flags & ECG_GEMM_TA ? lda : 1;
    for (int i = 0; i < m; i++)
        for (int j0 = 0; j0 < n; j0 += TILE) {
            const int columns = n - j0 < TILE ? n - j0 : TILE;
            double sum[TILE] = {0};
            if (flags & ECG_GEMM_TB) {
                for (int j = 0; j < columns; j++)
                    for (int l = 0; l < k; l++)
                        sum[j] += (double)a[i * ai + l * ak] * b[(size_t)(j0 + j) * ldb + l];
            } else {
                for (int l = 0; l < k; l++) {
                    const double x = a[i * ai + l * ak];
                    for (int j = 0; j < columns; j++)
                        sum[j] += x * b[(size_t)l * ldb + j0 + j];
                }
            }
            float *row = c + (size_t)i * ldc + j0;
            for (int j = 0; j < columns; j++)
                row[j] = (float)(flags & ECG_GEMM_ADD ? row[j] + sum[j] : sum[j]);
        }
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

/* normal distribution function: gelu(x) = x Phi(x); by erfc, which keeps its digits where Phi is small */
static double Phi(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }

static void gelu(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(x[i] * Phi(x[i]));
}

static void gelu_backward(float *dx, const float *dy, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double density = 0.39894228040143267794 * exp(-0.5 * (double)x[i] * x[i]);
        dx[i] = (float)(dy[i] * (Phi(x[i]) + x[i] * density));
    }
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void glu(float *y, const float *o, int rows, int H)
{
    for (int r = 0; r < rows; r++, y += H, o += 2 * (size_t)H)
        for (int h = 0; h < H; h++)
            y[h] = (float)(o[h] * sigmoid(o[H + h]));
}

static void glu_backward(float *d_o, const float *dy, const float *o, int rows, int H)
{
    for (int r = 0; r < rows; r++, dy += H, o += 2 * (size_t)H, d_o += 2 * (size_t)H)
        for (int h = 0; h < H; h++) {
            const double gate = sigmoid(o[H + h]), d = dy[h];
            d_o[h] = (float)(d * gate);
            d_o[H + h] = (float)(d * o[h] * gate * (1 - gate));
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

static void scale_channels(float *y, const float *x, const float *scale, int rows, int H)
{
    for (int r = 0; r < rows; r++, y += H, x += H)
        for (int h = 0; h < H; h++)
            y[h] = x[h] * scale[h];
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

static const ecg_kernels table = {
    .name = "ref",
    .gemm = gemm,
    .conv = conv,
    .conv_backward = conv_backward,
    .gelu = gelu,
    .gelu_backward = gelu_backward,
    .glu = glu,
    .glu_backward = glu_backward,
    .layernorm = layernorm,
    .layernorm_backward = layernorm_backward,
    .scale_channels = scale_channels,
    .set_rows = set_rows,
    .add = add,
    .sum_rows = sum_rows,
    .adamw = adamw,
};

const ecg_kernels *ecg_kernels_ref(void) { return &table; }
