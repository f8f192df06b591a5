/* SPDX-License-Identifier: MIT
 * test_kernels.c: every variant against the oracle at sizes that do and do not fill a vector, the oracle's convolution against its properties,
 * the elementary functions over their whole range, the threaded product for any number of threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "num/kernels.h"

static const char *const levels[] = {"ref", "avx2", "avx512"};
enum { LEVELS = sizeof levels / sizeof *levels };

static float *noise(size_t n, uint32_t stream, double scale)
{
    ecg_rng r;
    float *x = aligned_alloc(64, (n * sizeof *x + 127) / 64 * 64);
    assert_non_null(x);
    ecg_rng_open(&r, 7, 0, stream, 0, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * ecg_rng_normal(&r));
    return x;
}

static float *copy_of(const float *x, size_t n)
{
    float *y = aligned_alloc(64, (n * sizeof *y + 127) / 64 * 64);
    assert_non_null(y);
    memcpy(y, x, n * sizeof *y);
    return y;
}

/* largest difference relative to the largest value */
static void close_to(const char *what, const char *level, int L, int H, const float *got, const float *want, size_t n, double tolerance)
{
    double worst = 0, largest = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - want[i]);
        largest = fmax(largest, fabs(want[i]));
        if (!(d <= worst))
            worst = d, at = i;
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s, %s, L %d, H %d: %.9g instead of %.9g at %zu, relative to %g", what, level, L, H, (double)got[at], (double)want[at], at, largest);
}

static const struct {
    const char *why;
    int L, H;
} sizes[] = {
    {"one value", 1, 1},         {"two steps, one channel", 2, 1},     {"fewer channels than lanes", 7, 3},
    {"one vector", 16, 16},      {"one step, many channels", 1, 37},   {"a vector and a rest", 33, 37},
    {"the demo", 250, 32},       {"the golden layer", 250, 8},         {"a width of the hidden files", 200, 24},
    {"just over a block", 17, 9}, {"full width", 19, 512},             {"a long signal", 601, 5},
};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void every_variant_agrees_on_convolution(void **state)
{
    (void)state;
    const ecg_kernels *ref = ecg_kernels_ref();
    for (int c = 0; c < SIZES; c++)
        for (int two_sided = 0; two_sided < 2; two_sided++) {
            const int L = sizes[c].L, H = sizes[c].H;
            const size_t n = (size_t)L * H;
            float *u = noise(n, 1, 1), *k0 = noise(n, 2, 1), *k1 = two_sided ? noise(n, 3, 1) : NULL, *D = noise(H, 4, 1), *dy = noise(n, 5, 1);
            float *y = noise(n, 6, 1), *want = noise(n, 7, 1), *scratch = noise(ecg_conv_scratch(L), 8, 1);
            float *g0 = noise(n, 9, 1), *g1 = noise(n, 10, 1), *gD = noise(H, 11, 1);
            float *w0 = copy_of(g0, n), *w1 = copy_of(g1, n), *wD = copy_of(gD, H), *b0 = copy_of(g0, n), *b1 = copy_of(g1, n), *bD = copy_of(gD, H);
            float *du = noise(n, 12, 1), *want_du = noise(n, 13, 1);
            ref->conv(want, u, k0, k1, D, L, H, scratch);
            ref->conv_backward(want_du, w0, two_sided ? w1 : NULL, wD, dy, u, k0, k1, D, L, H, scratch);
            for (int i = 0; i < LEVELS; i++) {
                const ecg_kernels *k = ecg_kernels_pick(levels[i]);
                if (!k)
                    continue;
                memcpy(g0, b0, n * sizeof *g0), memcpy(g1, b1, n * sizeof *g1), memcpy(gD, bD, H * sizeof *gD);
                k->conv(y, u, k0, k1, D, L, H, scratch);
                close_to("conv", levels[i], L, H, y, want, n, 3e-6);
                k->conv_backward(du, g0, two_sided ? g1 : NULL, gD, dy, u, k0, k1, D, L, H, scratch);
                close_to("du", levels[i], L, H, du, want_du, n, 3e-6);
                close_to("dk0", levels[i], L, H, g0, w0, n, 3e-6);
                close_to("dk1", levels[i], L, H, g1, two_sided ? w1 : b1, n, 3e-6);
                close_to("dD", levels[i], L, H, gD, wD, H, 3e-6);
                memcpy(y, du, n * sizeof *y);
                k->conv_backward(NULL, g0, two_sided ? g1 : NULL, gD, dy, u, k0, k1, D, L, H, scratch);
                k->conv_backward(du, NULL, NULL, NULL, dy, u, k0, k1, D, L, H, scratch); /* either half alone */
                assert_memory_equal(y, du, n * sizeof *y);
                for (size_t j = 0; j < n; j++)
                    w0[j] = 2 * (w0[j]) - b0[j];
                close_to("dk0 twice", levels[i], L, H, g0, w0, n, 6e-6);
                for (size_t j = 0; j < n; j++)
                    w0[j] = (w0[j] + b0[j]) / 2;
            }
            free(u), free(k0), free(k1), free(D), free(dy), free(y), free(want), free(scratch), free(g0), free(g1), free(gD), free(w0), free(w1),
                free(wD), free(b0), free(b1), free(bD), free(du), free(want_du);
        }
}

static size_t scan_floats(int H, int rows) { return ((size_t)H + ECG_PANEL - 1) / ECG_PANEL * (size_t)rows * ECG_PANEL; }

/* constants that belong to no system: the definition in kernels.h does not ask for one */
static void every_variant_agrees_on_scans(void **state)
{
    (void)state;
    const ecg_kernels *ref = ecg_kernels_ref();
    for (int c = 0; c < SIZES; c++)
        for (int kind = 0; kind < 4; kind++) {
            const int L = sizes[c].L, H = sizes[c].H, S = kind & 1 ? 16 : 8, two_sided = kind >> 1;
            const size_t n = (size_t)L * H, reads = scan_floats(H, ECG_CHUNK * S), nears = scan_floats(H, 2 * ECG_CHUNK - 1);
            float *u = noise(n, 1, 1), *dy = noise(n, 2, 1), *D = noise(H, 3, 1), *in = noise(reads, 4, 0.3), *step = noise(scan_floats(H, S * S + 1), 5, 0.8 / S);
            float *out[2] = {noise(reads, 6, 0.3), noise(reads, 7, 0.3)}, *near = noise(nears, 8, 1), *scratch = noise(ecg_scan_scratch(L, S), 9, 1);
            float *y = noise(n, 10, 1), *want = noise(n, 11, 1), *du = noise(n, 12, 1), *want_du = noise(n, 13, 1);
            const ecg_scan scan = {.L = L, .H = H, .states = S, .in = in, .step = step, .step_stride = (size_t)(S * S + 1) * ECG_PANEL,
                                   .out = {out[0], two_sided ? out[1] : NULL}, .near = near, .D = D};
            float *grad[4] = {noise(reads, 14, 1), noise(reads, 15, 1), noise(nears, 16, 1), noise(H, 17, 1)}, *before[4], *want_grad[4];
            const size_t count[4] = {reads, reads, nears, (size_t)H};
            for (int g = 0; g < 4; g++) {
                if (g < 3 && H % ECG_PANEL) /* lanes that are no channels keep what they have */
                    for (size_t i = 0; i < count[g]; i++)
                        if (i / ECG_PANEL / (count[g] / ECG_PANEL / (scan_floats(H, 1) / ECG_PANEL)) * ECG_PANEL + i % ECG_PANEL >= (size_t)H)
                            grad[g][i] = 0;
                before[g] = copy_of(grad[g], count[g]);
                want_grad[g] = copy_of(grad[g], count[g]);
            }
            ref->scan(want, u, &scan, scratch);
            ref->scan_backward(want_du, NULL, &(ecg_scan_grads){{want_grad[0], want_grad[1]}, want_grad[2], want_grad[3]}, dy, u, &scan, scratch);
            double there = 0, back = 0; /* the oracle's own transposition: dy . (y of u) = du . u */
            for (size_t i = 0; i < n; i++)
                there += (double)dy[i] * want[i], back += (double)want_du[i] * u[i];
            assert_true(fabs(there - back) <= 1e-5 * (fabs(there) + sqrt((double)n)));
            for (int i = 1; i < LEVELS; i++) {
                const ecg_kernels *k = ecg_kernels_pick(levels[i]);
                if (!k)
                    continue;
                static const char *const names[] = {"dout0", "dout1", "dnear", "dD"};
                const ecg_scan_grads g = {{grad[0], grad[1]}, grad[2], grad[3]};
                for (int j = 0; j < 4; j++)
                    memcpy(grad[j], before[j], count[j] * sizeof **grad);
                k->scan(y, u, &scan, scratch);
                close_to("scan", levels[i], L, H, y, want, n, 3e-6);
                k->scan_backward(du, NULL, &g, dy, u, &scan, scratch);
                close_to("du of a scan", levels[i], L, H, du, want_du, n, 3e-6);
                for (int j = 0; j < 4; j++)
                    close_to(names[j], levels[i], L, H, grad[j], want_grad[j], count[j], 3e-6);
                memcpy(y, du, n * sizeof *y);
                k->scan_backward(NULL, NULL, &g, dy, u, &scan, scratch); /* either half alone */
                k->scan_backward(du, NULL, NULL, dy, u, &scan, scratch);
                assert_memory_equal(y, du, n * sizeof *y);
                for (int apart = 0; apart < 2; apart++) { /* on top of something else, which may lie where the sum goes */
                    memcpy(du, u, n * sizeof *du);
                    k->scan_backward(du, apart ? u : du, NULL, dy, u, &scan, scratch);
                    for (size_t j = 0; j < n; j++)
                        assert_float_equal(du[j], y[j] + u[j], 1e-5 * (1 + fabsf(y[j])));
                }
                for (size_t j = 0; j < (size_t)H; j++)
                    assert_true(fabs(grad[3][j] - (2.0 * want_grad[3][j] - before[3][j])) <= 1e-4 * (1 + fabs(want_grad[3][j])));
            }
            for (int g = 0; g < 4; g++)
                free(grad[g]), free(before[g]), free(want_grad[g]);
            free(u), free(dy), free(D), free(in), free(step), free(out[0]), free(out[1]), free(near), free(scratch), free(y), free(want), free(du),
                free(want_du);
        }
}

/* linear in u, an impulse gives the taps, a shift of u shifts y: on every level, two-sided */
static void convolution_has_its_properties(void **state)
{
    (void)state;
    enum { L = 61, H = 19, AT = 23 };
    const size_t n = L * H;
    float *k0 = noise(n, 21, 1), *k1 = noise(n, 22, 1), *D = noise(H, 23, 1), *scratch = noise(ecg_conv_scratch(L), 24, 1);
    float *a = noise(n, 25, 1), *b = noise(n, 26, 1), *ya = noise(n, 27, 1), *yb = noise(n, 28, 1), *y = noise(n, 29, 1), *x = noise(n, 30, 1);
    for (int i = 0; i < LEVELS; i++) {
        const ecg_kernels *k = ecg_kernels_pick(levels[i]);
        if (!k)
            continue;
        k->conv(ya, a, k0, k1, D, L, H, scratch);
        k->conv(yb, b, k0, k1, D, L, H, scratch);
        for (size_t j = 0; j < n; j++)
            x[j] = 2 * a[j] - 3 * b[j], ya[j] = 2 * ya[j] - 3 * yb[j];
        k->conv(y, x, k0, k1, D, L, H, scratch);
        close_to("linear", levels[i], L, H, y, ya, n, 3e-6);

        memset(x, 0, n * sizeof *x);
        for (int h = 0; h < H; h++)
            x[AT * H + h] = 1;
        k->conv(y, x, k0, k1, D, L, H, scratch);
        for (int t = 0; t < L; t++)
            for (int h = 0; h < H; h++) {
                const float tap = t < AT ? k1[(AT - t - 1) * H + h] : t == AT ? D[h] + k0[h] : k0[(t - AT) * H + h];
                assert_float_equal(y[t * H + h], tap, 1e-6);
            }

        memset(x, 0, n * sizeof *x);
        memcpy(x, a, 20 * H * sizeof *x); /* away from the end: what is shifted stays inside */
        k->conv(ya, x, k0, k1, D, L, H, scratch);
        memset(x, 0, n * sizeof *x);
        memcpy(x + 30 * H, a, 20 * H * sizeof *x);
        k->conv(y, x, k0, k1, D, L, H, scratch);
        close_to("shift", levels[i], L, H, y + 30 * H, ya, 31 * H, 3e-6);
    }
    free(k0), free(k1), free(D), free(scratch), free(a), free(b), free(ya), free(yb), free(y), free(x);
}

static void every_variant_agrees_on_rows(void **state)
{
    (void)state;
    const ecg_kernels *ref = ecg_kernels_ref();
    for (int c = 0; c < SIZES; c++)
        for (int i = 1; i < LEVELS; i++) {
            const ecg_kernels *k = ecg_kernels_pick(levels[i]);
            const int L = sizes[c].L, H = sizes[c].H;
            const size_t n = (size_t)L * H;
            if (!k)
                continue;
            float *x = noise(n, 31, 2), *o = noise(2 * n, 32, 3), *w = noise(H, 33, 1), *b = noise(H, 34, 1), *dy = noise(n, 35, 1);
            float *y = noise(n, 36, 1), *want = noise(n, 37, 1), *d_o = noise(2 * n, 38, 1), *want_o = noise(2 * n, 39, 1);
            float *stat = noise(2 * L, 40, 1), *want_stat = noise(2 * L, 41, 1), *dw = noise(H, 42, 1), *db = noise(H, 43, 1);
            float *want_w = copy_of(dw, H), *want_b = copy_of(db, H);

            const float *scale = c % 2 ? w : NULL, *plus = c % 3 ? dy : NULL;
            ref->gelu(want, want_o, x, scale, L, H), k->gelu(y, d_o, x, scale, L, H);
            close_to("gelu", levels[i], L, H, y, want, n, 3e-7);
            close_to("slope of gelu", levels[i], L, H, d_o, want_o, n, 5e-7);
            memcpy(want, y, n * sizeof *want), memcpy(want_o, x, n * sizeof *want_o);
            k->gelu(y, NULL, x, scale, L, H), k->gelu(y, want_o, want_o, scale, L, H); /* the slope may take the place of x */
            assert_memory_equal(y, want, n * sizeof *y);
            assert_memory_equal(want_o, d_o, n * sizeof *want_o);
            float *o1 = copy_of(o, 2 * n);
            ref->glu(want, o, scale, plus, L, H), k->glu(y, o1, scale, plus, L, H);
            close_to("glu", levels[i], L, H, y, want, n, 4e-7);
            close_to("gates", levels[i], L, H, o1, o, 2 * n, 3e-7);
            k->gated(want, o1, scale, plus, L, H); /* the same y from the gates, bit for bit */
            assert_memory_equal(want, y, n * sizeof *y);
            k->glu(y, memcpy(o1, x, n * sizeof *o1), NULL, NULL, L / 2, H), k->gated(want, o1, NULL, NULL, L / 2, H);
            assert_memory_equal(want, y, (size_t)(L / 2) * (size_t)H * sizeof *y);
            ref->glu_backward(want_o, NULL, dy, o, scale, L, H), k->glu_backward(d_o, NULL, dy, o, scale, L, H);
            close_to("glu backward", levels[i], L, H, d_o, want_o, 2 * n, 5e-7);
            float *sums = noise(2 * H, 44, 1), *want_sums = copy_of(sums, 2 * H);
            ref->glu_backward(want_o, want_sums, dy, o, scale, L, H), k->glu_backward(d_o, sums, dy, o, scale, L, H);
            close_to("glu db", levels[i], L, H, sums, want_sums, 2 * H, 3e-6);
            free(o1), free(sums), free(want_sums);

            ref->layernorm(want, want_stat, x, w, b, L, H), k->layernorm(y, stat, x, w, b, L, H);
            close_to("layernorm", levels[i], L, H, y, want, n, 2e-6);
            close_to("layernorm statistics", levels[i], L, H, stat, want_stat, 2 * (size_t)L, 2e-6);
            ref->layernorm_backward(want, want_w, want_b, dy, x, want_stat, w, L, H), k->layernorm_backward(y, dw, db, dy, x, want_stat, w, L, H);
            close_to("layernorm dw", levels[i], L, H, dw, want_w, H, 3e-6);
            close_to("layernorm db", levels[i], L, H, db, want_b, H, 3e-6);
            if (H > 2) /* one or two channels normalise to a constant: dx is all rounding */
                close_to("layernorm dx", levels[i], L, H, y, want, n, 5e-6);

            memcpy(want, dy, n * sizeof *want);
            memcpy(y, dy, n * sizeof *y);
            ref->sum_rows(want_w, want, L, H), k->sum_rows(dw, y, L, H);
            close_to("sum of rows", levels[i], L, H, dw, want_w, H, 3e-6);
            ref->add(want, x, n), k->add(y, x, n);
            ref->multiply(want, x, n), k->multiply(y, x, n);
            assert_memory_equal(y, want, n * sizeof *y);
            k->set_rows(y, b, L, H);
            assert_memory_equal(y + n - H, b, H * sizeof *y);
            free(x), free(o), free(w), free(b), free(dy), free(y), free(want), free(d_o), free(want_o), free(stat), free(want_stat), free(dw),
                free(db), free(want_w), free(want_b);
        }
}

/* gelu and its slope from -30 to 30 against erfc in double; gates at both ends of float */
static void elementary_functions_keep_their_digits(void **state)
{
    (void)state;
    enum { N = 60001 };
    static float x[N], y[N], d[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)(i - N / 2) / 1000;
    for (int l = 0; l < LEVELS; l++) {
        const ecg_kernels *k = ecg_kernels_pick(levels[l]);
        if (!k)
            continue;
        k->gelu(y, d, x, NULL, 1, N);
        for (int i = 0; i < N; i++) {
            const double v = x[i], Phi = 0.5 * erfc(-v * sqrt(0.5)), want = v * Phi, slope = Phi + v * exp(-v * v / 2) / sqrt(2 * acos(-1));
            /* ten roundings, and in the lower tail that of x^2 / 2 in the exponent */
            if (!(fabs(y[i] - want) <= 6e-7 * fabs(want) * (1 + v * v / 2) + 1e-30) || !(fabs(d[i] - slope) <= 5e-7))
                fail_msg("%s: gelu(%.9g) = %.9g, slope %.9g; %.9g and %.9g expected", levels[l], v, (double)y[i], (double)d[i], want, slope);
        }
        float gates[6] = {1, 1, 1, 88.5f, -200, 3e38f}, out[3], slopes[6];
        const float one[3] = {1, 1, 1};
        k->glu(out, gates, NULL, NULL, 1, 3);
        assert_float_equal(out[0], 1, 1e-7);
        assert_true(out[1] >= 0 && out[1] < 1e-30f);
        assert_float_equal(out[2], 1, 1e-7);
        k->glu_backward(slopes, NULL, one, gates, NULL, 1, 3);
        for (int i = 3; i < 6; i++)
            assert_true(slopes[i] >= 0 && slopes[i] < 1e-30f);
        const float bad = NAN;
        k->gelu(out, NULL, &bad, NULL, 1, 1);
        assert_true(isnan(out[0])); /* a missing value must not become a number */
    }
}

static const struct {
    const char *why;
    int m, n, k, pad;
} products[] = {
    {"scalars", 1, 1, 1, 0},           {"nothing to sum", 3, 4, 0, 1},       {"input linear", 250, 32, 12, 0}, {"rows of six and one", 7, 16, 5, 0},
    {"columns past a vector", 5, 17, 9, 3}, {"columns past half a panel", 12, 41, 30, 2}, {"deeper than a panel", 13, 70, 517, 1}, {"one row", 1, 129, 33, 0},
    {"one column", 65, 1, 64, 4},      {"more rows than a block", 131, 40, 70, 0}, {"more columns than lie packed", 20, 330, 140, 1},
    {"seven products for eight", 131, 256, 192, 0}, {"the same, all odd", 67, 384, 517, 3}, {"the same, one row", 1, 256, 201, 1},
};

static void every_variant_agrees_on_products(void **state)
{
    (void)state;
    ecg_pool *pools[] = {NULL, ecg_pool_new(2), ecg_pool_new(5)};
    for (size_t c = 0; c < sizeof products / sizeof *products; c++)
        for (unsigned flags = 0; flags < 8; flags++) {
            const int m = products[c].m, n = products[c].n, k = products[c].k;
            const int lda = (flags & ECG_GEMM_TA ? m : k) + products[c].pad, ldb = (flags & ECG_GEMM_TB ? k : n) + products[c].pad,
                      ldc = n + products[c].pad;
            const size_t nc = (size_t)m * ldc;
            float *a = noise((size_t)(m + k) * (lda + 1), 51, 1), *b = noise((size_t)(n + k) * (ldb + 1), 52, 1), *before = noise(nc, 53, 1);
            float *c0 = copy_of(before, nc);
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++) {
                    double sum = flags & ECG_GEMM_ADD ? before[(size_t)i * ldc + j] : 0;
                    for (int l = 0; l < k; l++)
                        sum += (double)(flags & ECG_GEMM_TA ? a[l * lda + i] : a[i * lda + l]) * (flags & ECG_GEMM_TB ? b[j * ldb + l] : b[l * ldb + j]);
                    c0[(size_t)i * ldc + j] = (float)sum;
                }
            for (int i = 0; i < LEVELS; i++) {
                float *first = NULL;
                for (int p = 0; p < 3 && ecg_kernels_pick(levels[i]); p++) {
                    const ecg_exec x = {ecg_kernels_pick(levels[i]), pools[p]};
                    float *c1 = copy_of(before, nc); /* what lies between the rows must stay */
                    ecg_gemm(&x, c1, a, b, m, n, k, lda, ldb, ldc, flags);
                    close_to(products[c].why, levels[i], m, n, c1, c0, nc, 3e-6);
                    if (first)
                        assert_memory_equal(first, c1, nc * sizeof *c1);
                    else
                        first = copy_of(c1, nc);
                    free(c1);
                }
                free(first);
            }
            for (int i = 0; i < LEVELS && n; i++) { /* packed, in one piece and in two, every row from a bias */
                const ecg_kernels *kernels = ecg_kernels_pick(levels[i]);
                if (!kernels)
                    continue;
                const int cut = n > ECG_PACK ? ECG_PACK : n;
                float *packed = noise(ecg_packed(n, k) + 64, 54, 1), *bias = noise(n, 55, 1), *c1 = copy_of(before, nc), *c2 = copy_of(before, nc);
                kernels->pack(packed, b, n, k, ldb, 0, n, flags | ECG_GEMM_WIDE);
                kernels->gemm(c1, a, packed, bias, m, n, k, lda, ldb, ldc, flags | ECG_GEMM_PACKED | ECG_GEMM_WIDE);
                kernels->pack(packed, b, n, k, ldb, cut, n, flags | ECG_GEMM_WIDE);
                kernels->pack(packed, b, n, k, ldb, 0, cut, flags | ECG_GEMM_WIDE);
                kernels->gemm(c2, a, packed, bias, m, n, k, lda, ldb, ldc, flags | ECG_GEMM_PACKED | ECG_GEMM_WIDE);
                assert_memory_equal(c1, c2, nc * sizeof *c1);
                if (!(flags & ECG_GEMM_ADD))
                    for (int r = 0; r < m; r++)
                        for (int j = 0; j < n; j++)
                            c1[(size_t)r * ldc + j] -= bias[j];
                close_to(products[c].why, levels[i], m, n, c1, c0, nc, 3e-6);
                free(packed), free(bias), free(c1), free(c2);
            }
            free(a), free(b), free(before), free(c0);
        }
    ecg_pool_free(pools[1]);
    ecg_pool_free(pools[2]);
}

/* the product with its gates: what the two kernels make one after the other, bit for bit, in both precisions; gates of a panel at a time or of all */
static void gates_follow_their_product(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        int rows, H, k;
    } cases[] = {
        {"one row", 1, 64, 64}, {"two panels a half", 7, 128, 128}, {"rows beyond a tile, two steps of k", 131, 192, 600}, {"no whole panels", 13, 40, 40},
        {"narrower than a vector", 5, 3, 9}, {"half a panel", 12, 96, 33},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int i = 0; i < 2 * LEVELS; i++) {
            const ecg_kernels *k = ecg_kernels_pick(levels[i / 2]);
            if (!k)
                continue;
            k = ecg_kernels_at(k, i % 2 ? ECG_IN_BF16 : ECG_IN_FLOAT32);
            const int rows = cases[c].rows, H = cases[c].H, K = cases[c].k;
            const size_t n = (size_t)rows * (size_t)H;
            float *a = noise((size_t)rows * (size_t)K, 71, 1), *b = noise(2 * (size_t)H * (size_t)K, 72, 0.3), *bias = noise(2 * (size_t)H, 73, 1);
            float *scale = noise((size_t)H, 74, 1), *plus = noise(n, 75, 1), *packed = noise(ecg_packed(2 * H, K), 76, 1);
            float *o = noise(2 * n, 77, 1), *want_o = noise(2 * n, 78, 1), *y = noise(n, 79, 1), *want = noise(n, 80, 1);
            k->pack(packed, b, 2 * H, K, K, 0, 2 * H, ECG_GEMM_WIDE | ECG_GEMM_TB);
            for (int given = 0; given < 2; given++) {
                const float *s = given ? scale : NULL, *p = given ? plus : NULL;
                k->gemm(want_o, a, packed, bias, rows, 2 * H, K, K, 0, 2 * H, ECG_GEMM_WIDE | ECG_GEMM_PACKED);
                k->glu(want, want_o, s, p, rows, H);
                k->gemm_glu(y, o, a, packed, bias, s, p, rows, H, K);
                if (memcmp(y, want, n * sizeof *y) || memcmp(o, want_o, 2 * n * sizeof *o))
                    fail_msg("%s, %s: not what the product and its gates give", cases[c].why, k->words);
                if (given) { /* plus may lie where y goes */
                    memcpy(y, plus, n * sizeof *y);
                    k->gemm_glu(y, o, a, packed, bias, s, y, rows, H, K);
                    assert_memory_equal(y, want, n * sizeof *y);
                }
            }
            free(a), free(b), free(bias), free(scale), free(plus), free(packed), free(o), free(want_o), free(y), free(want);
        }
}

/* three steps by the formula in double */
static void adamw_follows_its_formula(void **state)
{
    (void)state;
    enum { N = 37 };
    for (int l = 0; l < LEVELS; l++) {
        const ecg_kernels *k = ecg_kernels_pick(levels[l]);
        if (!k)
            continue;
        float *p = noise(N, 61, 1), *m = noise(N, 62, 0), *v = noise(N, 63, 0);
        double P[N], M[N] = {0}, V[N] = {0};
        for (int i = 0; i < N; i++)
            P[i] = p[i];
        for (int step = 1; step <= 3; step++) {
            float *g = noise(N, 63 + step, 0.01);
            const double corr1 = 1 - pow(0.9, step), corr2 = 1 - pow(0.999, step);
            k->adamw(p, m, v, g, N, 1e-2, 1e-1, 0.9, 0.999, 1e-8, corr1, corr2);
            for (int i = 0; i < N; i++) {
                M[i] = 0.9 * M[i] + 0.1 * g[i];
                V[i] = 0.999 * V[i] + 0.001 * g[i] * g[i];
                P[i] = P[i] * (1 - 1e-3) - 1e-2 * (M[i] / corr1) / (sqrt(V[i] / corr2) + 1e-8);
                assert_true(fabs(p[i] - P[i]) <= 5e-7 * (1 + fabs(P[i])));
                assert_true(fabs(m[i] - M[i]) <= 1e-8);
                assert_true(fabs(v[i] - V[i]) <= 1e-10);
            }
            free(g);
        }
        free(p), free(m), free(v);
    }
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(ecg_kernels_pick("ref")->name, "ref");
    assert_null(ecg_kernels_pick("avx3"));
    assert_null(ecg_kernels_pick("AVX2"));
    assert_non_null(ecg_kernels_pick(NULL));
    assert_ptr_equal(ecg_kernels_pick(NULL), ecg_kernels_pick(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variant_agrees_on_convolution),
        cmocka_unit_test(every_variant_agrees_on_scans),
        cmocka_unit_test(convolution_has_its_properties),
        cmocka_unit_test(every_variant_agrees_on_rows),
        cmocka_unit_test(elementary_functions_keep_their_digits),
        cmocka_unit_test(every_variant_agrees_on_products),
        cmocka_unit_test(gates_follow_their_product),
        cmocka_unit_test(adamw_follows_its_formula),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
