/* SPDX-License-Identifier: MIT
 * test_s4_kernel.c: the kernel against three things that owe it nothing: the triangular HiPPO system stepped in its own basis, the Fourier
 * formula of protocol 5.3, printed values of the reference; its gradient against central differences. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/s4_conv.h"

static void hippo_has_the_printed_values(void **state)
{
    (void)state; /* protocol 5.3, N = 8 */
    static const double im[] = {19.857410370970573, 5.354208515030877, 1.957794150902803, 0.42748871228585994};
    static const double b[] = {5.155625523187303, 1.843868910526376, 1.1749599472501215, 0.799463587545988};
    double w[8], P[8], B[8];
    assert_int_equal(ecg_s4_hippo(w, P, B, 8, NULL), ECG_OK);
    for (int i = 0; i < 4; i++) {
        assert_true(fabs(w[2 * i] + 0.5) < 1e-14 && fabs(w[2 * i + 1] - im[i]) < 1e-12);
        assert_true(fabs(B[2 * i] - b[i]) < 1e-12 && B[2 * i + 1] == 0);
        assert_true(fabs(P[2 * i] - b[i] * sqrt(0.5)) < 1e-12 && P[2 * i + 1] == 0);
    }
}

/* constants of H equal channels; C is the caller's */
typedef struct {
    ecg_s4 s;
    double w[64], B[64], P[64], Q[64], log_dt[1];
} one_channel;

static void open_hippo(one_channel *c, int N, int L, double dt)
{
    assert_int_equal(ecg_s4_hippo(c->w, c->P, c->B, N, NULL), ECG_OK);
    for (int i = 0; i < N; i++)
        c->Q[i] = i % 2 ? -c->P[i] : c->P[i];
    c->log_dt[0] = log(dt);
    c->s = (ecg_s4){.H = 1, .N = N, .L = L, .log_dt = c->log_dt, .w = c->w, .B = c->B, .P = c->P, .Q = c->Q};
}

static void kernel_has_the_printed_values(void **state)
{
    (void)state;
    static const struct {
        double dt, C[8], corrected[8], k[7];
    } cases[] = {
        {0.01,
         {1, 0, 1, 0, 1, 0, 1, 0},
         {1.0004053631504362, 0.032237364624335525, 0.9988016258979904, 0.049986883198019263, 0.9289502213491334, 0.09080504180932146,
          0.9513235637890032, -0.14201059315261397},
         {0.1536761579649509, 0.10818525219189531, 0.07378893993467396, 0.04839567279557539, 0.005107061903370192, 0.007331463015970871,
          0.0024527325493041096}},
        {0.05,
         {0.5, -0.25, -1, 0.3, 0.2, 0.7, 0.1, -0.9},
         {0.499999981889469, -0.24999928109222944, -1.0000000883730678, 0.3000009459043292, 0.19999960123624502, 0.7000015608838637,
          0.09999744096708679, -0.8999978122744031},
         {0.05861062857347783, -0.03709592359859737, -0.10975502408949561, -0.13037954963972492, 0.07454373152332473, 0.0006913069789097209,
          2.841766477810214e-07}},
    };
    static const int at[] = {0, 1, 2, 3, 10, 100, 249};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        one_channel c;
        double C[8], K[250];
        open_hippo(&c, 8, 250, cases[i].dt);
        memcpy(C, cases[i].C, sizeof C);
        assert_int_equal(ecg_s4_correct_length(C, &c.s, 1, NULL), ECG_OK);
        for (int m = 0; m < 8; m++)
            assert_true(fabs(C[m] - cases[i].corrected[m]) < 1e-11);
        assert_int_equal(ecg_s4_kernel_ref(K, &c.s, C, 1, NULL), ECG_OK);
        for (int m = 0; m < 7; m++)
            assert_true(fabs(K[at[m]] - cases[i].k[m]) < 1e-12);
    }
}

/* With C = B~ the taps are B^T dA^l dB, whatever the basis: stepped here with the triangular A by forward substitution. */
static void kernel_is_the_triangular_system(void **state)
{
    (void)state;
    static const struct {
        int N, L;
        double dt;
    } cases[] = {{2, 1, 0.1}, {2, 2, 0.01}, {4, 7, 0.05}, {6, 250, 0.001}, {8, 251, 0.02}, {16, 200, 0.1}, {64, 33, 0.003}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int N = cases[i].N, L = cases[i].L;
        const double a = cases[i].dt;
        one_channel c;
        double C[64], K[256], x[64], rhs[64], scale = 0;
        open_hippo(&c, N, L, a);
        memcpy(C, c.B, sizeof C);
        assert_int_equal(ecg_s4_correct_length(C, &c.s, 1, NULL), ECG_OK);
        assert_int_equal(ecg_s4_kernel_ref(K, &c.s, C, 1, NULL), ECG_OK);
        for (int l = 0; l < L; l++) {
            for (int n = 0; n < N; n++) { /* rhs = a B at first, then (I + a/2 A) x */
                rhs[n] = l ? x[n] * (1 - a / 2 * (n + 1)) : a * sqrt(2.0 * n + 1);
                for (int k = 0; l && k < n; k++)
                    rhs[n] -= a / 2 * sqrt((2.0 * n + 1) * (2.0 * k + 1)) * x[k];
            }
            double tap = 0;
            for (int n = 0; n < N; n++) { /* (I - a/2 A) x = rhs */
                x[n] = rhs[n];
                for (int k = 0; k < n; k++)
                    x[n] -= a / 2 * sqrt((2.0 * n + 1) * (2.0 * k + 1)) * x[k];
                x[n] /= 1 + a / 2 * (n + 1);
                tap += sqrt(2.0 * n + 1) * x[n];
            }
            scale = fmax(scale, fabs(tap));
            if (!(fabs(K[l] - tap) <= 1e-10 * scale))
                fail_msg("N %d, L %d: tap %d is %.15g instead of %.15g", N, L, l, K[l], tap);
        }
    }
}

/* Generic constants, Q not conj(P); stable. directions 2. */
typedef struct {
    ecg_s4 s;
    int n; /* reals: C, w, B, P, Q, log_dt one after the other */
    double *x, *C;
} generic;

static void open_generic(generic *g, int H, int N, int L)
{
    ecg_rng r;
    const int v = H * N;
    g->n = 6 * v + H;
    g->x = calloc(g->n, sizeof *g->x);
    assert_non_null(g->x);
    ecg_rng_open(&r, 11, 0, 1, (uint32_t)N, (uint32_t)L);
    for (int i = 0; i < 6 * v; i++)
        g->x[i] = 0.5 * ecg_rng_normal(&r);
    g->C = g->x;
    double *w = g->x + 2 * v;
    for (int i = 0; i < v; i += 2)
        w[i] = -0.5 - fabs(w[i]), w[i + 1] = 8 * w[i + 1];
    for (int h = 0; h < H; h++)
        g->x[6 * v + h] = log(0.02 + 0.1 * ecg_rng_uniform(&r));
    g->s = (ecg_s4){.H = H, .N = N, .L = L, .w = w, .B = w + v, .P = w + 2 * v, .Q = w + 3 * v, .log_dt = w + 4 * v};
}

static void kernel_is_the_fourier_formula(void **state)
{
    (void)state;
    static const struct {
        int N, L;
    } cases[] = {{2, 2}, {2, 16}, {4, 30}, {8, 250}, {6, 15}, {10, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum { H = 2 };
        const int N = cases[i].N, L = cases[i].L;
        generic g;
        open_generic(&g, H, N, L);
        double *K = calloc(2 * H * L, sizeof *K);
        assert_int_equal(ecg_s4_kernel_ref(K, &g.s, g.C, 2, NULL), ECG_OK);
        for (int d = 0; d < 2; d++)
            for (int h = 0; h < H; h++) {
                const double a = exp(g.s.log_dt[h]), *C = g.C + (d * H + h) * N;
                double complex hat[256];
                for (int j = 0; j < L; j++) {
                    const double complex o = cexp(-2 * acos(-1) * I * j / L);
                    double complex BC = 0, BQ = 0, PC = 0, PQ = 0;
                    for (int n = 0; n < N; n += 2) {
#define AT(x) ((x)[h * N + n] + I * (x)[h * N + n + 1])
                        const double complex w = AT(g.s.w), B = AT(g.s.B), P = AT(g.s.P), Q = AT(g.s.Q), c = C[n] + I * C[n + 1];
                        const double complex E1 = 2 * (1 - o) - (1 + o) * a * w, E2 = 2 * (1 - o) - (1 + o) * a * conj(w);
                        BC += a * (B * c / E1 + conj(B * c) / E2);
                        BQ += a * (B * Q / E1 + conj(B * Q) / E2);
                        PC += a * (P * c / E1 + conj(P * c) / E2);
                        PQ += a * (P * Q / E1 + conj(P * Q) / E2);
#undef AT
                    }
                    hat[j] = 2 * (BC - (1 + o) * BQ * PC / (1 + (1 + o) * PQ));
                }
                for (int l = 0; l < L; l++) {
                    double complex k = 0;
                    for (int j = 0; j < L; j++)
                        k += hat[j] * cexp(2 * acos(-1) * I * j * l / L);
                    const double want = creal(k) / L, got = K[(d * H + h) * L + l];
                    if (!(fabs(got - want) < 1e-11 * (1 + fabs(want))))
                        fail_msg("N %d, L %d, tap %d: %.15g instead of %.15g", N, L, l, got, want);
                }
            }
        free(K);
        free(g.x);
    }
}

static double projected(const generic *g, const double *W, double *K)
{
    assert_int_equal(ecg_s4_kernel_ref(K, &g->s, g->C, 2, NULL), ECG_OK);
    double sum = 0;
    for (int i = 0; i < 2 * g->s.H * g->s.L; i++)
        sum += W[i] * K[i];
    return sum;
}

static void gradient_is_the_difference_quotient(void **state)
{
    (void)state;
    static const struct {
        int N, L;
    } cases[] = {{2, 1}, {2, 2}, {4, 9}, {8, 40}, {6, 17}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum { H = 2 };
        const int N = cases[i].N, L = cases[i].L, v = H * N;
        generic g;
        open_generic(&g, H, N, L);
        double *W = calloc(2 * H * L, sizeof *W), *K = calloc(2 * H * L, sizeof *K), *d = calloc(g.n, sizeof *d);
        ecg_rng r;
        ecg_rng_open(&r, 12, 0, 1, 0, 0);
        for (int k = 0; k < 2 * H * L; k++)
            W[k] = ecg_rng_normal(&r);
        const ecg_s4_gradient out = {.C = d, .w = d + 2 * v, .B = d + 3 * v, .P = d + 4 * v, .Q = d + 5 * v, .log_dt = d + 6 * v};
        assert_int_equal(ecg_s4_kernel_backward_ref(&out, &g.s, g.C, W, 2, NULL), ECG_OK);
        for (int k = 0; k < g.n; k++) {
            const double at = g.x[k], step = 1e-5 * (1 + fabs(at));
            g.x[k] = at + step;
            const double up = projected(&g, W, K);
            g.x[k] = at - step;
            const double down = projected(&g, W, K);
            g.x[k] = at;
            const double want = (up - down) / (2 * step);
            if (!(fabs(d[k] - want) <= 2e-7 * (1 + fabs(want))))
                fail_msg("N %d, L %d: derivative %d is %.12g instead of %.12g", N, L, k, d[k], want);
        }
        free(W), free(K), free(d), free(g.x);
    }
}

/* the basis gives the kernel, and its way back is its transpose */
static void basis_is_the_linear_map(void **state)
{
    (void)state;
    enum { H = 3, N = 6, L = 21 };
    generic g;
    open_generic(&g, H, N, L);
    static float phi[H * L * N], k[L * H], C[H * N], dk[L * H], dC[H * N];
    double K[2 * H * L], there = 0, back = 0;
    ecg_rng r;
    ecg_rng_open(&r, 13, 0, 1, 0, 0);
    assert_int_equal(ecg_s4_basis(phi, &g.s, NULL), ECG_OK);
    assert_int_equal(ecg_s4_kernel_ref(K, &g.s, g.C, 2, NULL), ECG_OK);
    for (int i = 0; i < H * N; i++)
        C[i] = (float)g.C[i];
    ecg_s4_taps(k, phi, C, L, H, N, 0, 2); /* in two parts */
    ecg_s4_taps(k, phi, C, L, H, N, 2, H);
    for (int h = 0; h < H; h++)
        for (int l = 0; l < L; l++)
            assert_true(fabs(k[l * H + h] - K[h * L + l]) < 1e-6 * (1 + fabs(K[h * L + l])));
    for (int i = 0; i < L * H; i++) {
        dk[i] = (float)ecg_rng_normal(&r);
        there += (double)dk[i] * k[i];
    }
    for (int i = 0; i < H * N; i++)
        dC[i] = 1; /* added to */
    ecg_s4_taps_backward(dC, dk, phi, L, H, N, 0, H);
    for (int i = 0; i < H * N; i++)
        back += (double)C[i] * (dC[i] - 1.0);
    assert_true(fabs(there - back) < 1e-4 * (1 + fabs(there)));
    free(g.x);
}

/* By states in chunks or by taps: the same layer, its signal, its gradients. Taps in double, the rest in float32 on every level. */
static void chunks_are_the_same_layer(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        int H, N, L, ways;
        double dt;
    } cases[] = {{"as published", 5, 8, 250, 2, 0.001}, {"long memory", 16, 8, 250, 2, 0.0001}, {"fast", 17, 8, 250, 2, 0.1}, {"causal", 3, 8, 77, 1, 0.02},
                 {"two states", 2, 2, 90, 2, 0.02},     {"ten states", 2, 10, 150, 2, 0.01},    {"16 states", 33, 16, 200, 2, 0.003}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int H = cases[i].H, N = cases[i].N, L = cases[i].L, ways = cases[i].ways, panels = (int)ecg_s4_panels(H);
        const size_t n = (size_t)L * H, v = (size_t)H * N;
        double *constants = calloc(4 * v + H, sizeof *constants);
        ecg_s4 s = {.H = H, .N = N, .L = L, .w = constants, .B = constants + v, .P = constants + 2 * v, .Q = constants + 3 * v, .log_dt = constants + 4 * v};
        for (int h = 0; h < H; h++) {
            double *w = constants + (size_t)h * N;
            assert_int_equal(ecg_s4_hippo(w, w + 2 * v, w + v, N, NULL), ECG_OK);
            memcpy(w + 3 * v, w + 2 * v, N * sizeof *w);
            constants[4 * v + h] = log(cases[i].dt * (1 + h));
        }
        ecg_arena *a = ecg_arena_new();
        ecg_s4_conv chunked, direct = {.L = L, .H = H, .N = N, .two_sided = ways == 2, .part = {0, n}};
        assert_true(ecg_s4_conv_take(&chunked, a, L, H, N, ways == 2));
        assert_true(chunked.chunked);
        direct.phi = ecg_arena_take(a, n * N, sizeof(float));
        direct.k[0] = ecg_arena_take(a, n, sizeof(float));
        direct.k[1] = ways == 2 ? ecg_arena_take(a, n, sizeof(float)) : NULL;
        float *C = ecg_arena_take(a, ways * v, sizeof(float)), *D = ecg_arena_take(a, H, sizeof(float)), *u = ecg_arena_take(a, 4 * n, sizeof(float));
        float *gradient[2] = {ecg_arena_take(a, chunked.gradient, sizeof(float)), ecg_arena_take(a, 2 * n, sizeof(float))}, *scratch;
        assert_non_null(scratch = ecg_arena_take(a, ecg_s4_conv_scratch(&chunked) + ecg_s4_conv_scratch(&direct), sizeof(float)));
        ecg_rng r;
        ecg_rng_open(&r, 3, 0, (uint32_t)i, 0, 0);
        double *wide = malloc(ways * v * sizeof *wide);
        for (size_t k = 0; k < ways * v; k++)
            wide[k] = ecg_rng_normal(&r);
        assert_int_equal(ecg_s4_correct_length(wide, &s, ways, NULL), ECG_OK);
        for (size_t k = 0; k < ways * v; k++)
            C[k] = (float)wide[k];
        for (int h = 0; h < H; h++)
            D[h] = (float)ecg_rng_normal(&r);
        for (size_t k = 0; k < 2 * n; k++)
            u[k] = (float)ecg_rng_normal(&r);
        const ecg_s4_conv *each[2] = {&chunked, &direct};
        float *y[2] = {u + 2 * n, u + 3 * n}, *dC[2], *dD[2], *du[2];
        for (int level = 0; level < 3; level++) {
            const ecg_kernels *k = ecg_kernels_pick((const char *const[]){"ref", "avx2", "avx512"}[level]);
            if (!k)
                continue;
            for (int m = 0; m < 2; m++) {
                assert_int_equal(ecg_s4_conv_prepare(each[m], &s, NULL), ECG_OK);
                ecg_s4_conv_refresh(each[m], C, 0, 1);
                ecg_s4_conv_refresh(each[m], C, 1, panels);
                ecg_block b = {.L = L, .H = H};
                ecg_block_grads g = {0};
                dC[m] = calloc(ways * v, sizeof(float)), dD[m] = calloc(H, sizeof(float)), du[m] = calloc(n, sizeof(float));
                ecg_s4_conv_into(&b, each[m], D);
                memset(gradient[m], 0, (m ? 2 * n : chunked.gradient) * sizeof(float));
                ecg_s4_conv_gradient_into(&g, each[m], gradient[m], dD[m]);
                if (m) {
                    k->conv(y[1], u, b.k0, b.k1, D, L, H, scratch);
                    k->conv_backward(du[1], g.k0, g.k1, g.D, u + n, u, b.k0, b.k1, D, L, H, scratch);
                } else {
                    k->scan(y[0], u, &b.scan, scratch);
                    k->scan_backward(du[0], NULL, &g.scan, u + n, u, &b.scan, scratch);
                }
                ecg_s4_conv_backward(dC[m], each[m], gradient[m], 0, panels);
            }
            const struct {
                const char *name;
                float **got;
                size_t count;
            } what[] = {{"y", y, n}, {"du", du, n}, {"dC", dC, ways * v}, {"dD", dD, H}};
            for (size_t q = 0; q < sizeof what / sizeof *what; q++) {
                double largest = 0;
                for (size_t j = 0; j < what[q].count; j++)
                    largest = fmax(largest, fabs(what[q].got[1][j]));
                for (size_t j = 0; j < what[q].count; j++)
                    if (!(fabs((double)what[q].got[0][j] - what[q].got[1][j]) <= 4e-6 * largest))
                        fail_msg("%s, %s, %s: %.9g instead of %.9g at %zu, relative to %g", cases[i].why, k->name, what[q].name, (double)what[q].got[0][j],
                                 (double)what[q].got[1][j], j, largest);
            }
            for (int m = 0; m < 2; m++)
                free(dC[m]), free(dD[m]), free(du[m]);
        }
        ecg_arena_free(a);
        free(constants), free(wide);
    }
}

static void bad_constants_are_refused(void **state)
{
    (void)state;
    double x[1024];
    assert_int_equal(ecg_s4_hippo(x, x + 256, x + 512, 0, NULL), ECG_EARG);
    assert_int_equal(ecg_s4_hippo(x, x + 256, x + 512, 7, NULL), ECG_EARG);
    assert_int_equal(ecg_s4_hippo(x, x + 256, x + 512, ECG_S4_STATES + 2, NULL), ECG_EARG);
    static float phi[8 * 16], in[ECG_CHUNK * 8 * ECG_PANEL], power[(ECG_CHUNK + 1) * 64 * ECG_PANEL];
    one_channel c;
    ecg_err err = {0};
    open_hippo(&c, 8, 16, 0.1);
    c.w[3] = NAN;
    assert_int_equal(ecg_s4_basis(phi, &c.s, &err), ECG_EDATA);
    assert_string_equal(err.msg, "the state matrix of channel 0 gives no finite kernel");
    assert_int_equal(ecg_s4_scan_basis(in, power, &c.s, NULL), ECG_EDATA);
    c.s.N = ECG_SCAN_STATES + 2;
    assert_int_equal(ecg_s4_scan_basis(in, power, &c.s, NULL), ECG_EARG);
    open_hippo(&c, 8, 16, 0.1);
    memset(c.w, 0, sizeof c.w), memset(c.P, 0, sizeof c.P); /* dA = I: I - dA^L has no inverse */
    assert_int_equal(ecg_s4_basis(phi, &c.s, NULL), ECG_EDATA);
    open_hippo(&c, 8, 16, 0.1);
    c.log_dt[0] = 1e9;
    assert_int_equal(ecg_s4_basis(phi, &c.s, NULL), ECG_EDATA);
    open_hippo(&c, 8, 16, 0.1);
    c.s.N = 7;
    assert_int_equal(ecg_s4_basis(phi, &c.s, NULL), ECG_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hippo_has_the_printed_values),
        cmocka_unit_test(kernel_has_the_printed_values),
        cmocka_unit_test(kernel_is_the_triangular_system),
        cmocka_unit_test(kernel_is_the_fourier_formula),
        cmocka_unit_test(gradient_is_the_difference_quotient),
        cmocka_unit_test(basis_is_the_linear_map),
        cmocka_unit_test(chunks_are_the_same_layer),
        cmocka_unit_test(bad_constants_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
