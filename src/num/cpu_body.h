/* SPDX-License-Identifier: MIT
 * cpu_body.h: the fast kernels, written once over a vector of LANES floats and compiled once per instruction set: the file that includes it
 * has defined vf, LANES, the v_ functions, R, S (the register block of the convolution), WIDE (that of the product) and NAME.
 *
 * vf v_load(p), v_load_n(p, n) (n < LANES lanes, the rest 0), v_set(x); v_store(p, a), v_store_n(p, a, n); v_fma(a, b, c) = a b + c;
 * v_max, v_min (the second one where one is NAN), v_sqrt, v_inverse (within 1 ulp, of what is not 0), v_fraction(y) = y - floor(y), v_scale(a, y) = a 2^floor(y), v_sum (fixed order),
 * v_negative(x, a, b) = x < 0 ? a : b; + - * / are the compiler's. The build forbids contraction: a fused step is always written v_fma. */
#include <math.h>
#include <string.h>

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#define ROLLED _Pragma("GCC unroll 1")
#endif

static inline vf load_some(const float *p, size_t left) { return left >= LANES ? v_load(p) : v_load_n(p, (int)left); }

static inline void store_some(float *p, vf a, size_t left)
{
    if (left >= LANES)
        v_store(p, a);
    else
        v_store_n(p, a, (int)left);
}

/* ---- elementary functions */

/* 2^y for -120 <= y <= 120: 2^floor(y) times the polynomial of degree 6 that is nearest to 2^f on 0 <= f < 1, relative error 2e-9 before rounding */
static inline vf v_exp2(vf y)
{
    const vf f = v_fraction(y);
    vf p = v_fma(v_set(2.1702255403e-4f), f, v_set(1.2439687843e-3f));
    p = v_fma(p, f, v_set(9.6788409946e-3f));
    p = v_fma(p, f, v_set(5.5483341985e-2f));
    p = v_fma(p, f, v_set(2.4022983627e-1f));
    p = v_fma(p, f, v_set(6.9314698384e-1f));
    p = v_fma(p, f, v_set(1.0f));
    return v_scale(p, y);
}

/* Phi(x) of the normal distribution and e = exp(-x^2 / 2). With z = |x| / sqrt 2 and t = 1 / (1 + 0.35 z):
 * erfc(z) = e t p(t), p the polynomial of degree 9 through the Chebyshev nodes of exp(z^2) erfc(z) / t on 0 <= z <= 9.5; relative error
 * 1e-8 before rounding. Phi = 1 - erfc / 2 or erfc / 2: digits are kept in the lower tail. */
static inline vf v_Phi(vf x, vf *e)
{
    const vf z = v_max(v_set(0.0f) - x, x) * v_set(0.70710678118654752f);
    const vf t = v_inverse(v_fma(z, v_set(0.35f), v_set(1.0f)));
    vf p = v_fma(v_set(3.5709974589e-02f), t, v_set(-1.4417873746e-01f));
    p = v_fma(p, t, v_set(1.4640178716e-01f));
    p = v_fma(p, t, v_set(1.9650269481e-02f));
    p = v_fma(p, t, v_set(4.7028144568e-02f));
    p = v_fma(p, t, v_set(1.6790252545e-01f));
    p = v_fma(p, t, v_set(1.4346210432e-01f));
    p = v_fma(p, t, v_set(1.8960151651e-01f));
    p = v_fma(p, t, v_set(1.9692737925e-01f));
    p = v_fma(p, t, v_set(1.9749504025e-01f));
    *e = v_exp2(v_max(v_set(-115.0f), x * x * v_set(-0.72134752044448170f)));
    const vf half_erfc = *e * t * p * v_set(0.5f);
    return v_negative(x, half_erfc, v_set(1.0f) - half_erfc);
}

static inline vf v_sigmoid(vf x)
{
    const vf y = v_min(v_set(115.0f), v_max(v_set(-115.0f), x * v_set(-1.4426950408889634f)));
    return v_inverse(v_set(1.0f) + v_exp2(y));
}

static void gelu(float *y, float *slope, const float *x, const float *scale, int rows, int H)
{
    for (int r = 0; r < rows; r++, y += H, x += H, slope += slope ? H : 0)
        for (int h = 0; h < H; h += LANES) {
            vf e;
            const size_t left = H - h;
            const vf a = load_some(x + h, left), phi = v_Phi(a, &e), c = scale ? load_some(scale + h, left) : v_set(1.0f);
            store_some(y + h, a * phi * c, left);
            if (slope)
                store_some(slope + h, v_fma(a * v_set(0.39894228040143268f), e, phi) * c, left);
        }
}

/* channels from .. to - 1 of it */
static inline __attribute__((always_inline)) void glu_channels(float *y, float *o, const float *scale, const float *plus, int rows, int H, int from, int to)
{
    for (int r = 0; r < rows; r++, y += H, o += 2 * (size_t)H, plus += plus ? H : 0)
        for (int h = from; h < to; h += LANES) {
            const size_t left = to - h;
            const vf gate = v_sigmoid(load_some(o + H + h, left)), a = load_some(o + h, left) * gate;
            store_some(y + h, v_fma(a, scale ? load_some(scale + h, left) : v_set(1.0f), plus ? load_some(plus + h, left) : v_set(0.0f)), left);
            store_some(o + H + h, gate, left);
        }
}

static void glu(float *y, float *o, const float *scale, const float *plus, int rows, int H)
{
    glu_channels(y, o, scale, plus, rows, H, 0, H);
}

static void gated(float *y, const float *o, const float *scale, const float *plus, int rows, int H)
{
    for (int r = 0; r < rows; r++, y += H, o += 2 * (size_t)H, plus += plus ? H : 0)
        for (int h = 0; h < H; h += LANES) {
            const size_t left = H - h;
            const vf a = load_some(o + h, left) * load_some(o + H + h, left);
            store_some(y + h, v_fma(a, scale ? load_some(scale + h, left) : v_set(1.0f), plus ? load_some(plus + h, left) : v_set(0.0f)), left);
        }
}

enum { BAND = 8 }; /* rows whose sums are taken before they are added to what there is: few roundings, and the rows are in the cache */

static void glu_backward(float *d_o, float *db, const float *dy, const float *o, const float *scale, int rows, int H)
{
    for (int r0 = 0; r0 < rows; r0 += BAND, dy += BAND * (size_t)H, o += 2 * BAND * (size_t)H, d_o += 2 * BAND * (size_t)H)
        for (int h = 0; h < H; h += LANES) {
            const size_t left = H - h;
            const vf c = scale ? load_some(scale + h, left) : v_set(1.0f);
            vf sum[2] = {v_set(0), v_set(0)};
            for (int r = 0; r < BAND && r0 + r < rows; r++) {
                const float *at = o + 2 * (size_t)r * H + h;
                float *to = d_o + 2 * (size_t)r * H + h;
                const vf gate = load_some(at + H, left), d = load_some(dy + (size_t)r * H + h, left) * c * gate;
                const vf slope = d * load_some(at, left) * (v_set(1.0f) - gate);
                store_some(to, d, left);
                store_some(to + H, slope, left);
                sum[0] = sum[0] + d;
                sum[1] = sum[1] + slope;
            }
            if (db) {
                store_some(db + h, load_some(db + h, left) + sum[0], left);
                store_some(db + H + h, load_some(db + H + h, left) + sum[1], left);
            }
        }
}

/* ---- rows */

static void layernorm(float *y, float *stat, const float *x, const float *w, const float *b, int rows, int H)
{
    const float share = 1.0f / (float)H;
    const int full = H / LANES * LANES, rest = H - full;
    for (int r = 0; r < rows; r++, x += H, y += H) {
        vf sum = v_set(0), square = v_set(0);
        for (int h = 0; h < H; h += LANES)
            sum = sum + load_some(x + h, H - h);
        const vf mean = v_set(v_sum(sum) * share);
        for (int h = 0; h < full; h += LANES) {
            const vf c = v_load(x + h) - mean;
            square = v_fma(c, c, square);
        }
        float total = v_sum(square);
        for (int h = full; h < full + rest; h++)
            total += (x[h] - v_first(mean)) * (x[h] - v_first(mean));
        const vf rstd = v_set(1.0f / sqrtf(total * share + 1e-5f));
        for (int h = 0; h < H; h += LANES) {
            const vf c = (load_some(x + h, H - h) - mean) * rstd;
            store_some(y + h, v_fma(c, load_some(w + h, H - h), load_some(b + h, H - h)), H - h);
        }
        if (stat) {
            stat[2 * r] = v_first(mean);
            stat[2 * r + 1] = v_first(rstd);
        }
    }
}

static void layernorm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *stat, const float *w, int rows,
                               int H)
{
    for (int r0 = 0; r0 < rows; r0 += BAND) {
        const int band = rows - r0 < BAND ? rows - r0 : BAND;
        const float *d = dy + (size_t)r0 * H, *xs = x + (size_t)r0 * H, *kept = stat + 2 * (size_t)r0;
        for (int h = 0; dw && h < H; h += LANES) { /* before dx is written: dx may be dy */
            vf sum_w = v_set(0), sum_b = v_set(0);
            for (int r = 0; r < band; r++) {
                const vf y = load_some(d + (size_t)r * H + h, H - h), c = load_some(xs + (size_t)r * H + h, H - h) - v_set(kept[2 * r]);
                sum_w = v_fma(y * v_set(kept[2 * r + 1]), c, sum_w);
                sum_b = sum_b + y;
            }
            store_some(dw + h, load_some(dw + h, H - h) + sum_w, H - h);
            store_some(db + h, load_some(db + h, H - h) + sum_b, H - h);
        }
        for (int r = 0; r < band; r++, d += H, xs += H) {
            const vf mean = v_set(kept[2 * r]), rstd = v_set(kept[2 * r + 1]);
            vf g_sum = v_set(0), gx_sum = v_set(0);
            for (int h = 0; h < H; h += LANES) { /* g is 0 beyond the row */
                const vf g = load_some(d + h, H - h) * load_some(w + h, H - h);
                g_sum = g_sum + g;
                gx_sum = v_fma(g, (load_some(xs + h, H - h) - mean) * rstd, gx_sum);
            }
            const vf g_mean = v_set(v_sum(g_sum) / (float)H), gx_mean = v_set(v_sum(gx_sum) / (float)H);
            for (int h = 0; h < H; h += LANES) {
                const vf g = load_some(d + h, H - h) * load_some(w + h, H - h), xhat = (load_some(xs + h, H - h) - mean) * rstd;
                store_some(dx + (size_t)(r0 + r) * H + h, rstd * (g - g_mean - xhat * gx_mean), H - h);
            }
        }
    }
}

static void set_rows(float *y, const float *b, int rows, int n)
{
    for (int r = 0; r < rows; r++, y += n)
        for (int j = 0; j < n; j += LANES)
            store_some(y + j, load_some(b + j, n - j), n - j);
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        store_some(y + i, load_some(y + i, n - i) + load_some(x + i, n - i), n - i);
}

static void multiply(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        store_some(y + i, load_some(y + i, n - i) * load_some(x + i, n - i), n - i);
}

/* sum + x, what rounding took from it kept in *lost (Kahan): sums over hundreds of rows that nearly cancel, such as the gradient of a shift
 * before a batch norm, need the accuracy that the reference has from its doubles */
static inline vf add_kept(vf sum, vf x, vf *lost)
{
    const vf y = x - *lost, t = sum + y;
    *lost = (t - sum) - y;
    return t;
}

static void sum_rows(float *s, const float *x, int rows, int n)
{
    for (int j = 0; j < n; j += LANES) {
        vf sum = v_set(0), lost = v_set(0);
        for (int r0 = 0; r0 < rows; r0 += BAND) {
            vf band = v_set(0);
            for (int r = r0; r < rows && r < r0 + BAND; r++)
                band = band + load_some(x + (size_t)r * n + j, n - j);
            sum = add_kept(sum, band, &lost);
        }
        store_some(s + j, load_some(s + j, n - j) + sum, n - j);
    }
}

static void adamw(float *p, float *m, float *v, const float *g, size_t n, double lr, double decay, double b1, double b2, double eps,
                  double corr1, double corr2)
{
    const vf keep1 = v_set((float)b1), new1 = v_set((float)(1 - b1)), keep2 = v_set((float)b2), new2 = v_set((float)(1 - b2));
    const vf shrink = v_set((float)(lr * decay)), rate = v_set((float)(lr / corr1)), spread = v_set((float)(1 / sqrt(corr2)));
    const vf floor_ = v_set((float)eps);
    for (size_t i = 0; i < n; i += LANES) {
        const vf pi = load_some(p + i, n - i), gi = load_some(g + i, n - i);
        const vf mi = v_fma(keep1, load_some(m + i, n - i), new1 * gi), vi = v_fma(keep2, load_some(v + i, n - i), new2 * gi * gi);
        store_some(m + i, mi, n - i);
        store_some(v + i, vi, n - i);
        store_some(p + i, pi - v_fma(shrink, pi, rate * mi / v_fma(v_sqrt(vi), spread, floor_)), n - i);
    }
}

/* ---- convolution
 * Both directions are one set of taps over the lags d = t - s: T(0) = D + k0[0], T(d) = k0[d], T(-d) = k1[d-1]. So forward, du and dk are
 * all the same sum, out[t] = sum_s T[t - s] x[s]: with the taps; with the taps reversed; with dy for T and u reversed for x. One panel of
 * LANES channels at a time is copied into scratch, where a time step is one vector, with zeros around it instead of conditions. */

/* out[i] += sum_{s < S blocks} T[i - s] x[s], i < R: R sums in registers, and each T that is loaded serves up to S of them */
static inline void toeplitz(vf out[R], const float *T, const float *x, int blocks)
{
    vf sum[R];
    UNROLL for (int i = 0; i < R; i++)
        sum[i] = out[i];
    for (; blocks > 0; blocks--, x += S * LANES, T -= S * LANES) {
        vf xs[S];
        UNROLL for (int s = 0; s < S; s++)
            xs[s] = v_load(x + s * LANES);
        UNROLL for (int d = 1 - S; d < R; d++) {
            const vf tap = v_load(T + d * LANES);
            UNROLL for (int s = 0; s < S; s++)
                if (d + s >= 0 && d + s < R)
                    sum[d + s] = v_fma(tap, xs[s], sum[d + s]);
        }
    }
    UNROLL for (int i = 0; i < R; i++)
        out[i] = sum[i];
}

/* rows 0..L-1 of a panel of n channels into steps 0..padded-1 of dst; step > 0 forward, < 0 reversed in time */
static void pack(float *dst, const float *src, int L, int padded, int H, int n, int step)
{
    if (step < 0)
        src += (size_t)(L - 1) * H;
    const ptrdiff_t stride = step < 0 ? -(ptrdiff_t)H : H;
    for (int t = 0; t < L; t++, src += stride)
        __builtin_prefetch(src + LANES, 0, 2), v_store(dst + (size_t)t * LANES, load_some(src, n)); /* and the next panel on its way */
    memset(dst + (size_t)L * LANES, 0, sizeof *dst * LANES * (padded - L));
}

/* T(d) at mid + d LANES for |d| <= padded, from k0, k1, D of a panel; the lag's sign is turned by sign = -1 */
static void pack_taps(float *mid, const float *k0, const float *k1, const float *D, int L, int padded, int H, int n, int sign)
{
    const ptrdiff_t step = (ptrdiff_t)sign * LANES;
    memset(mid - (size_t)padded * LANES, 0, sizeof *mid * LANES * (2 * (size_t)padded + 1));
    v_store(mid, load_some(k0, n) + load_some(D, n));
    for (int d = 1; d < L; d++)
        v_store(mid + d * step, load_some(k0 + (size_t)d * H, n));
    for (int d = 1; k1 && d < L; d++)
        v_store(mid - d * step, load_some(k1 + (size_t)(d - 1) * H, n));
}

/* y (L, n of H) = sum_s T(t - s) x[s]; first and last tell which s can meet t: s <= t (past), s >= t (future), or both */
static void apply(float *y, const float *mid, const float *x, int L, int padded, int H, int n, bool past, bool future)
{
    for (int t = 0; t < L; t += R) {
        vf out[R];
        for (int i = 0; i < R; i++)
            out[i] = v_set(0);
        const int from = past ? 0 : t, to = future ? padded : t + R; /* multiples of S */
        toeplitz(out, mid + (ptrdiff_t)(t - from) * LANES, x + (size_t)from * LANES, (to - from) / S);
        for (int i = 0; i < R && t + i < L; i++)
            store_some(y + (size_t)(t + i) * H, out[i], n);
    }
}

static void conv(float *y, const float *u, const float *k0, const float *k1, const float *D, int L, int H, float *scratch)
{
    const int padded = (L + R - 1) / R * R;
    float *x = scratch, *mid = scratch + (2 * (size_t)padded + 32) * LANES;
    for (int h = 0; h < H; h += LANES) {
        const int n = H - h < LANES ? H - h : LANES;
        pack(x, u + h, L, padded, H, n, 1);
        pack_taps(mid, k0 + h, k1 ? k1 + h : NULL, D + h, L, padded, H, n, 1);
        apply(y + h, mid, x, L, padded, H, n, true, k1 != NULL);
    }
}

static void conv_backward(float *du, float *dk0, float *dk1, float *dD, const float *dy, const float *u, const float *k0, const float *k1,
                          const float *D, int L, int H, float *scratch)
{
    const int padded = (L + R - 1) / R * R;
    float *x = scratch, *mid = scratch + (2 * (size_t)padded + 32) * LANES; /* x takes steps 0.., taps and dy lie around mid */
    for (int h = 0; du && h < H; h += LANES) {
        const int n = H - h < LANES ? H - h : LANES;
        pack(x, dy + h, L, padded, H, n, 1);
        pack_taps(mid, k0 + h, k1 ? k1 + h : NULL, D + h, L, padded, H, n, -1);
        apply(du + h, mid, x, L, padded, H, n, k1 != NULL, true);
    }
    for (int h = 0; dk0 && h < H; h += LANES) {
        /* dT(d) = sum_s dy[s + d] u[s] = sum_q dy[d + L - 1 - q] reversed u[q], d from 1 - L: step d + L - 1 of a plain convolution */
        const int n = H - h < LANES ? H - h : LANES, edge = R + S;
        float *T = mid - (size_t)padded * LANES; /* steps -edge .. padded + edge - 1 */
        memset(T - (size_t)edge * LANES, 0, sizeof *T * LANES * edge);
        pack(T, dy + h, L, padded + edge, H, n, 1);
        pack(x, u + h, L, padded, H, n, -1);
        for (int q = k1 ? 0 : L - 1; q < 2 * L - 1; q += R) {
            vf out[R];
            for (int i = 0; i < R; i++)
                out[i] = v_set(0);
            const int from = q < L ? 0 : (q - L + 1) / S * S, to = q + R < padded ? q + R : padded;
            toeplitz(out, T + (ptrdiff_t)(q - from) * LANES, x + (size_t)from * LANES, (to - from + S - 1) / S);
            for (int i = 0; i < R && q + i < 2 * L - 1; i++) {
                const int d = q + i - (L - 1);
                float *to_k = d < 0 ? dk1 + (size_t)(-d - 1) * H + h : dk0 + (size_t)d * H + h;
                store_some(to_k, load_some(to_k, n) + out[i], n);
                if (d == 0)
                    store_some(dD + h, load_some(dD + h, n) + out[i], n);
            }
        }
    }
}

#include "num/cpu_scan.h"
#include "num/cpu_gemm.h"

/* every entry but the products */
#define SAME                                                                                                                       \
    .conv = conv, .conv_backward = conv_backward, .scan = scan, .scan_backward = scan_backward, .gelu = gelu, .glu = glu, .gated = gated, \
    .glu_backward = glu_backward, .layernorm = layernorm, .layernorm_backward = layernorm_backward, .set_rows = set_rows,           \
    .add = add, .multiply = multiply, .sum_rows = sum_rows, .adamw = adamw

/* a level in float32, whose twin is the other */
#define IN_FLOAT32(other)                                                                                                          \
    {.name = NAME, .words = NAME, .precision = ECG_IN_FLOAT32, .twin = &other, .gemm = gemm, .gemm_glu = gemm_glu, .pack = pack_b, SAME}

static const ecg_kernels table, table_bf16 = {
    .name = NAME,
    .words = NAME ", operands rounded to bf16 (no AMX)",
    .precision = ECG_IN_BF16,
    .twin = &table,
    .gemm = gemm_bf16,
    .gemm_glu = gemm_glu_bf16,
    .pack = pack_bf16,
    SAME,
};

static const ecg_kernels table = IN_FLOAT32(table_bf16);
