/* SPDX-License-Identifier: MIT
 * s4_kernel.c: from HiPPO to taps.
 *
 * One of each conjugate pair is stored, x = (x_1 .. x_{N/2}); the model works on [x, conj x]. As reals, [Re x; Im x], that is an ordinary
 * real system of size N:
 *
 *   x' = A x + B u,   A = [Re W, -Im W; Im W, Re W] - p q^T,   p = [Re P; Im P],   q = 2 [Re Q; -Im Q],   y = c^T x,   c = 2 [Re C; -Im C]
 *
 * With a = exp(log_dt), R = (I - a/2 A)^-1:  E = 2 R - I (bilinear transform),  b = a R B,  and with the stored, length-corrected C
 *
 *   taps[l] = c^T x_l,   x_0 = (I - E^L)^-1 b,   x_{l+1} = E x_l
 *
 * which is what the reference's Fourier nodes compute, without its infinite node, and for odd L too. A is dissipative, so stepping
 * in double keeps 1e-13; the eigenvectors of A are never needed (their condition is 7.7e4 at N = 8). */
#include "net/s4_kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* ---- small dense matrices, row-major (n, n) */

/* n = 8, where loading a model is mostly products: a row of the sum stays in registers */
static void multiply_eight(double *restrict c, const double *restrict a, const double *restrict b)
{
    typedef double pair __attribute__((vector_size(16), aligned(8), may_alias));
    for (int i = 0; i < 8; i++, a += 8, c += 8) {
        pair s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, *to = (pair *)c;
        for (int k = 0; k < 8; k++) {
            const pair x = {a[k], a[k]}, *row = (const pair *)(b + 8 * k);
            s0 += x * row[0];
            s1 += x * row[1];
            s2 += x * row[2];
            s3 += x * row[3];
        }
        to[0] = s0;
        to[1] = s1;
        to[2] = s2;
        to[3] = s3;
    }
}

static void multiply(double *c, const double *a, const double *b, int n) /* c is neither a nor b */
{
    if (n == 8) {
        multiply_eight(c, a, b);
        return;
    }
    for (int i = 0; i < n; i++) {
        double *row = c + (size_t)i * n;
        memset(row, 0, sizeof *row * n);
        for (int k = 0; k < n; k++)
            for (int j = 0; j < n; j++)
                row[j] += a[(size_t)i * n + k] * b[(size_t)k * n + j];
    }
}

static void apply(double *y, const double *a, const double *x, int n)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++)
            sum += a[(size_t)i * n + j] * x[j];
        y[i] = sum;
    }
}

static void apply_transposed(double *y, const double *a, const double *x, int n)
{
    memset(y, 0, sizeof *y * n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            y[j] += a[(size_t)i * n + j] * x[i];
}

static void add_outer(double *a, double scale, const double *x, const double *y, int n) /* a += scale x y^T */
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            a[(size_t)i * n + j] += scale * x[i] * y[j];
}

/* unrolled by the compiler where n is a constant */
static inline __attribute__((always_inline)) bool invert_loops(double *restrict inverse, double *restrict a, const int n)
{
    memset(inverse, 0, sizeof *inverse * n * n);
    for (int i = 0; i < n; i++)
        inverse[(size_t)i * n + i] = 1;
    for (int c = 0; c < n; c++) {
        int pivot = c;
        for (int i = c + 1; i < n; i++)
            if (fabs(a[(size_t)i * n + c]) > fabs(a[(size_t)pivot * n + c]))
                pivot = i;
        const double top = a[(size_t)pivot * n + c];
        if (!isfinite(top) || top == 0)
            return false;
        for (int j = 0; j < n; j++) {
            const double x = a[(size_t)pivot * n + j], y = inverse[(size_t)pivot * n + j];
            a[(size_t)pivot * n + j] = a[(size_t)c * n + j];
            inverse[(size_t)pivot * n + j] = inverse[(size_t)c * n + j];
            a[(size_t)c * n + j] = x / top;
            inverse[(size_t)c * n + j] = y / top;
        }
        for (int i = 0; i < n; i++) {
            const double f = a[(size_t)i * n + c];
            if (i == c || f == 0)
                continue;
            for (int j = 0; j < n; j++) {
                a[(size_t)i * n + j] -= f * a[(size_t)c * n + j];
                inverse[(size_t)i * n + j] -= f * inverse[(size_t)c * n + j];
            }
        }
    }
    return true;
}

/* inverse by Gauss and Jordan with row pivots; a is used up. False: singular or not finite. */
static bool invert(double *inverse, double *a, int n)
{
    return n == 8 ? invert_loops(inverse, a, 8) : invert_loops(inverse, a, n);
}

/* ---- HiPPO-LegS */

/* Eigenvectors of the Hermitian matrix X + i Y (n, n) by cyclic complex Jacobi rotations: X, Y become diagonal, U + i V the columns. */
static void jacobi(double *X, double *Y, double *U, double *V, int n)
{
    memset(U, 0, sizeof *U * n * n);
    memset(V, 0, sizeof *V * n * n);
    for (int i = 0; i < n; i++)
        U[(size_t)i * n + i] = 1;
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0, on = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                *(i == j ? &on : &off) += X[(size_t)i * n + j] * X[(size_t)i * n + j] + Y[(size_t)i * n + j] * Y[(size_t)i * n + j];
        if (off <= 1e-34 * on)
            break;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                const double re = X[(size_t)p * n + q], im = Y[(size_t)p * n + q], r = hypot(re, im);
                if (r == 0)
                    continue;
                /* h_pq = r e^{i phi}; rotation [c, s e^{i phi}; -s e^{-i phi}, c] makes it 0 */
                const double theta = (X[(size_t)q * n + q] - X[(size_t)p * n + p]) / (2 * r);
                const double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
                const double c = 1 / sqrt(t * t + 1), s = t * c, sr = s * re / r, si = s * im / r;
                for (int part = 0; part < 2; part++) { /* columns p, q of H, then of the eigenvectors */
                    double *re_of = part ? U : X, *im_of = part ? V : Y;
                    for (int i = 0; i < n; i++) {
                        double *a = re_of + (size_t)i * n, *b = im_of + (size_t)i * n;
                        const double ar = a[p], ai = b[p], br = a[q], bi = b[q];
                        a[p] = c * ar - (sr * br + si * bi); /* x_p c - x_q s e^{-i phi} */
                        b[p] = c * ai - (sr * bi - si * br);
                        a[q] = c * br + (sr * ar - si * ai); /* x_q c + x_p s e^{i phi} */
                        b[q] = c * bi + (sr * ai + si * ar);
                    }
                }
                double *a = X, *b = Y;
                for (int j = 0; j < n; j++) { /* rows: the conjugate */
                    const size_t jp = (size_t)p * n + j, jq = (size_t)q * n + j;
                    const double ar = a[jp], ai = b[jp], br = a[jq], bi = b[jq];
                    a[jp] = c * ar - (sr * br - si * bi);
                    b[jp] = c * ai - (sr * bi + si * br);
                    a[jq] = c * br + (sr * ar + si * ai);
                    b[jq] = c * bi + (sr * ai - si * ar);
                }
            }
    }
}

ecg_status ecg_s4_hippo(double *w, double *P, double *B, int N, ecg_err *err)
{
    if (N < 2 || N % 2 || N > ECG_S4_STATES)
        return ecg_fail(err, ECG_EARG, "state size %d is not an even number from 2 to %d", N, ECG_S4_STATES);
    double *m = calloc((size_t)4 * N * N, sizeof *m);
    if (!m)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a state matrix of order %d", N);
    double *X = m, *Y = X + N * N, *U = Y + N * N, *V = U + N * N;
    /* A + p p^T = -I/2 + S, S skew with S[n][k] = -sqrt((2n+1)(2k+1)) / 2 for n > k; -iS is Hermitian, its eigenvalues are Im w */
    for (int n = 0; n < N; n++)
        for (int k = 0; k < N; k++)
            Y[n * N + k] = (n > k ? 0.5 : n < k ? -0.5 : 0) * sqrt((2.0 * n + 1) * (2.0 * k + 1));
    jacobi(X, Y, U, V, N);

    for (int pair = 0; pair < N / 2; pair++) {
        int best = -1; /* the largest eigenvalue not yet taken; the positive half, descending */
        for (int i = 0; i < N; i++)
            if (isfinite(X[i * N + i]) && (best < 0 || X[i * N + i] > X[best * N + best]))
                best = i;
        double re = 0, im = 0;
        for (int n = 0; best >= 0 && n < N; n++) { /* v* B; its phase is turned away */
            re += U[n * N + best] * sqrt(2.0 * n + 1);
            im -= V[n * N + best] * sqrt(2.0 * n + 1);
        }
        w[2 * pair] = -0.5;
        w[2 * pair + 1] = best < 0 ? NAN : X[best * N + best];
        B[2 * pair] = hypot(re, im);
        P[2 * pair] = B[2 * pair] * 0.70710678118654752440; /* p = B / sqrt 2 */
        B[2 * pair + 1] = P[2 * pair + 1] = 0;
        if (best >= 0)
            X[best * N + best] = -INFINITY;
    }
    free(m);
    return ECG_OK;
}

/* ---- one channel */

typedef struct {
    int N, L;
    double a;              /* step */
    double *A, *R, *E, *G; /* (N, N): state matrix, (I - a/2 A)^-1, bilinear step, (I - E^L)^-1 */
    double *p, *q, *B, *b; /* (N) */
    double *x;             /* (L, N) states, corrected for length */
    double *t1, *t2;       /* (N, N) scratch */
} channel;

static bool channel_take(channel *c, ecg_arena *arena, int N, int L)
{
    const size_t n = (size_t)N * N;
    double *m = ecg_arena_take(arena, 6 * n + 4 * (size_t)N, sizeof *m);
    *c = (channel){.N = N, .L = L, .x = ecg_arena_take(arena, (size_t)L * N, sizeof *m)};
    if (!m || !c->x)
        return false;
    c->A = m, c->R = m + n, c->E = m + 2 * n, c->G = m + 3 * n, c->t1 = m + 4 * n, c->t2 = m + 5 * n;
    c->p = m + 6 * n, c->q = c->p + N, c->B = c->q + N, c->b = c->B + N;
    return true;
}

/* A, R, E, b, and power = E^L */
static bool channel_step(channel *c, double *power, const ecg_s4 *s, int h)
{
    const int N = c->N, n = N / 2;
    const double *w = s->w + (size_t)h * N, *B = s->B + (size_t)h * N, *P = s->P + (size_t)h * N, *Q = s->Q + (size_t)h * N;
    c->a = exp(s->log_dt[h]);
    memset(c->A, 0, sizeof *c->A * N * N);
    for (int i = 0; i < n; i++) {
        c->p[i] = P[2 * i], c->p[n + i] = P[2 * i + 1];
        c->q[i] = 2 * Q[2 * i], c->q[n + i] = -2 * Q[2 * i + 1];
        c->B[i] = B[2 * i], c->B[n + i] = B[2 * i + 1];
        c->A[i * N + i] = c->A[(n + i) * N + n + i] = w[2 * i];
        c->A[i * N + n + i] = -w[2 * i + 1];
        c->A[(n + i) * N + i] = w[2 * i + 1];
    }
    add_outer(c->A, -1, c->p, c->q, N);
    for (int i = 0; i < N * N; i++)
        c->t1[i] = -0.5 * c->a * c->A[i];
    for (int i = 0; i < N; i++)
        c->t1[i * N + i] += 1;
    if (!invert(c->R, c->t1, N))
        return false;
    for (int i = 0; i < N * N; i++)
        c->E[i] = 2 * c->R[i];
    for (int i = 0; i < N; i++)
        c->E[i * N + i] -= 1;
    apply(c->b, c->R, c->B, N);
    for (int i = 0; i < N; i++)
        c->b[i] *= c->a;

    memset(power, 0, sizeof *power * N * N);
    for (int i = 0; i < N; i++)
        power[i * N + i] = 1;
    for (int bit = 31 - __builtin_clz((unsigned)c->L); bit >= 0; bit--) { /* squares from the highest bit of L on */
        multiply(c->t1, power, power, N);
        memcpy(power, c->t1, sizeof *power * N * N);
        if (c->L >> bit & 1) {
            multiply(c->t1, power, c->E, N);
            memcpy(power, c->t1, sizeof *power * N * N);
        }
    }
    return true;
}

/* everything: c->x[l] = E^l (I - E^L)^-1 b, the first `steps` of them */
static bool channel_run(channel *c, const ecg_s4 *s, int h, int steps)
{
    const int N = c->N;
    if (!channel_step(c, c->t2, s, h))
        return false;
    for (int i = 0; i < N * N; i++) {
        if (!isfinite(c->t2[i]))
            return false;
        c->t2[i] = -c->t2[i];
    }
    for (int i = 0; i < N; i++)
        c->t2[i * N + i] += 1;
    if (!invert(c->G, c->t2, N))
        return false;
    apply(c->x, c->G, c->b, N);
    for (int l = 1; l < steps; l++)
        apply(c->x + (size_t)l * N, c->E, c->x + (size_t)(l - 1) * N, N);
    for (size_t i = 0; i < (size_t)steps * N; i++)
        if (!isfinite(c->x[i]))
            return false;
    return true;
}

static ecg_status no_kernel(ecg_err *err, int h) { return ecg_fail(err, ECG_EDATA, "the state matrix of channel %d gives no finite kernel", h); }

static ecg_status open_channel(channel *c, ecg_arena **arena, const ecg_s4 *s, ecg_err *err)
{
    if (s->N < 2 || s->N % 2 || s->N > ECG_S4_STATES || s->L < 1 || s->H < 1)
        return ecg_fail(err, ECG_EARG, "a kernel of %d channels, %d states, %d taps", s->H, s->N, s->L);
    *arena = ecg_arena_new();
    if (*arena && channel_take(c, *arena, s->N, s->L))
        return ECG_OK;
    ecg_arena_free(*arena);
    return ecg_fail(err, ECG_ENOMEM, "no memory for %d states of %d taps", s->N, s->L);
}

ecg_status ecg_s4_correct_length(double *C, const ecg_s4 *s, int directions, ecg_err *err)
{
    channel c;
    ecg_arena *arena;
    ecg_status st = open_channel(&c, &arena, s, err);
    if (st)
        return st;
    const int N = s->N, n = N / 2;
    double full[ECG_S4_STATES], moved[ECG_S4_STATES];
    for (int h = 0; h < s->H && !st; h++) {
        if (!channel_step(&c, c.t2, s, h))
            st = no_kernel(err, h);
        for (int d = 0; d < directions && !st; d++) {
            double *Ch = C + ((size_t)d * s->H + h) * N;
            for (int i = 0; i < n; i++)
                full[i] = Ch[2 * i], full[n + i] = -Ch[2 * i + 1];
            apply_transposed(moved, c.t2, full, N);
            for (int i = 0; i < n; i++)
                Ch[2 * i] -= moved[i], Ch[2 * i + 1] += moved[n + i];
        }
    }
    ecg_arena_free(arena);
    return st;
}

ecg_status ecg_s4_basis(float *phi, const ecg_s4 *s, ecg_err *err)
{
    channel c;
    ecg_arena *arena;
    ecg_status st = open_channel(&c, &arena, s, err);
    if (st)
        return st;
    const int n = s->N / 2;
    for (int h = 0; h < s->H && !st; h++) {
        if (!channel_run(&c, s, h, s->L)) {
            st = no_kernel(err, h);
            break;
        }
        for (int l = 0; l < s->L; l++)
            for (int i = 0; i < n; i++) {
                *phi++ = (float)(2 * c.x[(size_t)l * s->N + i]);
                *phi++ = (float)(-2 * c.x[(size_t)l * s->N + n + i]);
            }
    }
    ecg_arena_free(arena);
    return st;
}

void ecg_s4_taps(float *k, const float *phi, const float *C, int L, int H, int N, int from, int to)
{
    for (int h = from; h < to; h++) {
        const float *c = C + (size_t)h * N, *f = phi + (size_t)h * L * N;
        for (int l = 0; l < L; l++, f += N) {
            double sum = 0;
            for (int m = 0; m < N; m++)
                sum += (double)c[m] * f[m];
            k[(size_t)l * H + h] = (float)sum;
        }
    }
}

void ecg_s4_taps_backward(float *dC, const float *dk, const float *phi, int L, int H, int N, int from, int to)
{
    for (int h = from; h < to; h++) {
        const float *f = phi + (size_t)h * L * N;
        double sum[ECG_S4_STATES] = {0};
        for (int l = 0; l < L; l++, f += N)
            for (int m = 0; m < N; m++)
                sum[m] += (double)dk[(size_t)l * H + h] * f[m];
        for (int m = 0; m < N; m++)
            dC[(size_t)h * N + m] = (float)(dC[(size_t)h * N + m] + sum[m]);
    }
}

ecg_status ecg_s4_scan_basis(float *in, float *power, const ecg_s4 *s, ecg_err *err)
{
    channel c;
    ecg_arena *arena;
    ecg_status st = s->N > ECG_SCAN_STATES ? ecg_fail(err, ECG_EARG, "%d states are more than %d", s->N, ECG_SCAN_STATES) : open_channel(&c, &arena, s, err);
    if (st)
        return st;
    const int N = s->N, n = N / 2, S = ecg_s4_scan_states(N);
    const size_t panels = ecg_s4_panels(s->H), row = (size_t)S * ECG_PANEL;
    memset(in, 0, sizeof *in * panels * ECG_CHUNK * row);
    memset(power, 0, sizeof *power * panels * (ECG_CHUNK + 1) * S * row);
    for (int h = 0; h < s->H && !st; h++) {
        if (!channel_run(&c, s, h, s->L < ECG_CHUNK ? s->L : ECG_CHUNK)) {
            st = no_kernel(err, h);
            break;
        }
        float *x = in + h / ECG_PANEL * ECG_CHUNK * row + h % ECG_PANEL, *e = power + h / ECG_PANEL * (ECG_CHUNK + 1) * S * row + h % ECG_PANEL;
        memset(c.t1, 0, sizeof *c.t1 * N * N);
        for (int m = 0; m < N; m++)
            c.t1[m * N + m] = 1;
        for (int j = 0; j <= ECG_CHUNK; j++, e += S * row) {
            for (int m = 0; m < N; m++) { /* coordinate 2i is 2 Re x_i, 2i + 1 is -2 Im x_i */
                const int a = m / 2 + m % 2 * n;
                if (j < ECG_CHUNK && j < s->L)
                    x[j * row + m * ECG_PANEL] = (float)((m % 2 ? -2 : 2) * c.x[(size_t)j * N + a]);
                for (int k = 0; k < N; k++)
                    e[m * row + k * ECG_PANEL] = (float)(((m + k) % 2 ? -1 : 1) * c.t1[a * N + k / 2 + k % 2 * n]);
            }
            multiply(c.t2, c.E, c.t1, N);
            memcpy(c.t1, c.t2, sizeof *c.t1 * N * N);
        }
    }
    ecg_arena_free(arena);
    return st;
}

/* ---- the oracle and its full gradient */

ecg_status ecg_s4_kernel_ref(double *K, const ecg_s4 *s, const double *C, int directions, ecg_err *err)
{
    channel c;
    ecg_arena *arena;
    ecg_status st = open_channel(&c, &arena, s, err);
    if (st)
        return st;
    const int N = s->N, n = N / 2;
    for (int h = 0; h < s->H && !st; h++) {
        if (!channel_run(&c, s, h, s->L))
            st = no_kernel(err, h);
        for (int d = 0; d < directions && !st; d++) {
            const double *Ch = C + ((size_t)d * s->H + h) * N;
            for (int l = 0; l < s->L; l++) {
                double sum = 0;
                for (int i = 0; i < n; i++)
                    sum += Ch[2 * i] * c.x[(size_t)l * N + i] - Ch[2 * i + 1] * c.x[(size_t)l * N + n + i];
                K[((size_t)d * s->H + h) * s->L + l] = 2 * sum;
            }
        }
    }
    ecg_arena_free(arena);
    return st;
}

typedef struct {
    double *E, *A;                   /* (N, N) gradients of the step and of the state matrix */
    double *back, *next, *start, *b; /* (N) adjoint state, its successor, G^T times the adjoint at 0, gradient of b */
} adjoint;

/* Gradient of sum_l dk_l . x_l with respect to E and b, where dk_l = sum over directions of dK[l] c: the adjoint recurrence.
 * x_0 = (I - E^L)^-1 b contributes sum_j (E^T)^j start x_{L-1-j}^T, start = (I - E^L)^-T back_0. */
static void through_time(adjoint *g, const channel *c, const ecg_s4 *s, const double *C, const double *dK, int directions, int h)
{
    const int N = c->N, n = N / 2, L = c->L;
    memset(g->E, 0, sizeof *g->E * N * N);
    memset(g->back, 0, sizeof *g->back * N);
    for (int l = L - 1; l >= 0; l--) {
        memcpy(g->next, g->back, sizeof *g->next * N);
        if (l < L - 1)
            add_outer(g->E, 1, g->next, c->x + (size_t)l * N, N);
        apply_transposed(g->back, c->E, g->next, N);
        for (int d = 0; d < directions; d++) {
            const size_t at = (size_t)d * s->H + h;
            for (int i = 0; i < n; i++) {
                g->back[i] += dK[at * L + l] * 2 * C[at * N + 2 * i];
                g->back[n + i] -= dK[at * L + l] * 2 * C[at * N + 2 * i + 1];
            }
        }
    }
    apply_transposed(g->b, c->G, g->back, N);
    memcpy(g->start, g->b, sizeof *g->b * N);
    for (int j = 0; j < L; j++) {
        add_outer(g->E, 1, g->start, c->x + (size_t)(L - 1 - j) * N, N);
        memcpy(g->next, g->start, sizeof *g->next * N);
        apply_transposed(g->start, c->E, g->next, N);
    }
}

/* E = 2 R - I, b = a R B, R = (I - X)^-1, X = a/2 A: back to A, B and log a. With gR: gX = R^T gR R^T. */
static double through_bilinear(adjoint *g, double *gB, channel *c)
{
    const int N = c->N;
    double grad_a = 0;
    for (int i = 0; i < N * N; i++)
        c->t1[i] = 2 * g->E[i];
    add_outer(c->t1, c->a, g->b, c->B, N);
    apply_transposed(gB, c->R, g->b, N);
    for (int i = 0; i < N; i++) {
        grad_a += g->b[i] * c->b[i] / c->a;
        gB[i] *= c->a;
    }
    /* t2 = R^T t1, then A-gradient = a/2 t2 R^T */
    memset(c->t2, 0, sizeof *c->t2 * N * N);
    for (int k = 0; k < N; k++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                c->t2[i * N + j] += c->R[k * N + i] * c->t1[k * N + j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double gX = 0;
            for (int k = 0; k < N; k++)
                gX += c->t2[i * N + k] * c->R[j * N + k];
            g->A[i * N + j] = 0.5 * c->a * gX;
            grad_a += 0.5 * gX * c->A[i * N + j];
        }
    return c->a * grad_a;
}

ecg_status ecg_s4_kernel_backward_ref(const ecg_s4_gradient *out, const ecg_s4 *s, const double *C, const double *dK, int directions, ecg_err *err)
{
    channel c;
    ecg_arena *arena;
    ecg_status st = open_channel(&c, &arena, s, err);
    if (st)
        return st;
    const int N = s->N, n = N / 2, L = s->L;
    double *m = ecg_arena_take(arena, 2 * (size_t)N * N + 6 * (size_t)N, sizeof *m);
    if (!m) {
        st = ecg_fail(err, ECG_ENOMEM, "no memory for the gradient of %d states", N);
        goto done;
    }
    adjoint g = {.E = m, .A = m + N * N, .back = m + 2 * N * N};
    g.next = g.back + N, g.start = g.next + N, g.b = g.start + N;
    double *gB = g.b + N, *line = gB + N;
    for (int h = 0; h < s->H; h++) {
        if (!channel_run(&c, s, h, s->L)) {
            st = no_kernel(err, h);
            goto done;
        }
        for (int d = 0; d < directions; d++) {
            const size_t at = (size_t)d * s->H + h;
            for (int i = 0; i < n; i++) {
                double re = 0, im = 0;
                for (int l = 0; l < L; l++) {
                    re += 2 * dK[at * L + l] * c.x[(size_t)l * N + i];
                    im -= 2 * dK[at * L + l] * c.x[(size_t)l * N + n + i];
                }
                out->C[at * N + 2 * i] = re;
                out->C[at * N + 2 * i + 1] = im;
            }
        }
        through_time(&g, &c, s, C, dK, directions, h);
        out->log_dt[h] = through_bilinear(&g, gB, &c);
        for (int i = 0; i < n; i++) {
            const size_t re = (size_t)h * N + 2 * i, im = re + 1;
            out->B[re] = gB[i];
            out->B[im] = gB[n + i];
            out->w[re] = g.A[i * N + i] + g.A[(n + i) * N + n + i];
            out->w[im] = g.A[(n + i) * N + i] - g.A[i * N + n + i];
        }
        apply(line, g.A, c.q, N); /* A = .. - p q^T */
        for (int i = 0; i < n; i++) {
            out->P[(size_t)h * N + 2 * i] = -line[i];
            out->P[(size_t)h * N + 2 * i + 1] = -line[n + i];
        }
        apply_transposed(line, g.A, c.p, N);
        for (int i = 0; i < n; i++) {
            out->Q[(size_t)h * N + 2 * i] = -2 * line[i];
            out->Q[(size_t)h * N + 2 * i + 1] = 2 * line[n + i];
        }
    }
done:
    ecg_arena_free(arena);
    return st;
}
