/* SPDX-License-Identifier: MIT
 * cpu_scan.h: the convolution of a state space in chunks (kernels.h), part of cpu_body.h. LANES channels at a time lie in scratch, where a
 * time step and a state are one vector each. Multiply-adds per step and channel at 8 states, two directions, where the direct form has L: 12 within
 * the chunk, whose taps form a Toeplitz matrix: with halves x, X of the signal and y, Y of the result
 *   y = M + (T- - T0) X   Y = M + (T+ - T0) x   M = T0 (x + X)     three products of half the size instead of four
 * 8 into the states, as both ways take in the same vectors, one of them backwards, so that sums and differences of a chunk's two ends are enough; 2 x 8
 * out of them, 2 x 4 past a chunk. The transposed map has the same count, its states' ends exchanged. Two or four chunks share every constant that is
 * loaded: loads cost as well, on Zen 4 some tenths of a multiply-add each. */
enum { T = ECG_CHUNK, MID = T / 2, HALF = LANES / 2, FOUR = 4 };

#define ALWAYS static inline __attribute__((always_inline))

/* One way through a chunk's edge: inject[s] (in_step apart) takes the signal in, read[i] brings it out; to the right: P, to the left: Q */
typedef struct {
    const float *inject, *read; /* (N states, PANEL) at each step */
    ptrdiff_t inject_step, read_step;
} way;

/* What the next panel needs lies right behind what this one has: on its way into the second cache while there is work to do, a line at a time. In one
 * burst it would fill the places where the core keeps what it waits for. May lie beyond the end: asked for, never read. */
ALWAYS void ask(const float **soon)
{
    __builtin_prefetch(*soon, 0, 2);
    *soon += 16;
}

/* v[c][m] = sum_s inject[s][m] x[cT + s] */
ALWAYS void take_in(float *v, const way *w, const float *x, const float *soon, int chunks, const int N)
{
    for (int c = 0; c < chunks; c += FOUR, x += FOUR * T * LANES, v += FOUR * (size_t)N * LANES)
        for (int m0 = 0; m0 < N; m0 += LANES / FOUR) {
            vf sum[FOUR][LANES / FOUR];
            UNROLL for (int m = 0; m < LANES / FOUR; m++)
                UNROLL for (int k = 0; k < FOUR; k++)
                    sum[k][m] = v_set(0);
            const float *in = w->inject + (size_t)m0 * ECG_PANEL;
            for (int s = 0; s < T; s++, in += w->inject_step) {
                ask(&soon);
                vf signal[FOUR];
                UNROLL for (int k = 0; k < FOUR; k++)
                    signal[k] = v_load(x + (k * T + s) * LANES);
                UNROLL for (int m = 0; m < LANES / FOUR; m++) {
                    const vf a = v_load(in + m * ECG_PANEL);
                    UNROLL for (int k = 0; k < FOUR; k++)
                        sum[k][m] = v_fma(a, signal[k], sum[k][m]);
                }
            }
            UNROLL for (int m = 0; m < LANES / FOUR; m++)
                UNROLL for (int k = 0; k < FOUR; k++)
                    v_store(v + (size_t)(k * N + m0 + m) * LANES, sum[k][m]);
        }
}

/* Of a two-sided scan: half the sum and half the difference of what comes in s steps from either edge, (MID, N) vectors each */
typedef struct {
    float *sum, *difference;
} folded;

ALWAYS void fold(const folded *f, const float *in, const int N)
{
    for (int s = 0; s < MID; s++)
        for (int m = 0; m < N; m++) {
            const vf near = v_load(in + (size_t)(s * N + m) * ECG_PANEL) * v_set(0.5f);
            const vf far = v_load(in + (size_t)((T - 1 - s) * N + m) * ECG_PANEL) * v_set(0.5f);
            v_store(f->sum + (size_t)(s * N + m) * LANES, far + near);
            v_store(f->difference + (size_t)(s * N + m) * LANES, far - near);
        }
}

/* sum[2 chunks][m] = sum_s a[s][m] (x[s] + sign x[T - 1 - s]) */
ALWAYS void take_in_ends(vf sum[2][HALF], const float *a, const float *x, const float **soon, const int N, const bool add)
{
    UNROLL for (int m = 0; m < HALF; m++)
        sum[0][m] = sum[1][m] = v_set(0);
    for (int s = 0; s < MID; s++, a += N * LANES) {
        ask(soon);
        const vf x0 = v_load(x + s * LANES), x1 = v_load(x + (T + s) * LANES), z0 = v_load(x + (T - 1 - s) * LANES), z1 = v_load(x + (2 * T - 1 - s) * LANES);
        const vf w0 = add ? x0 + z0 : x0 - z0, w1 = add ? x1 + z1 : x1 - z1;
        UNROLL for (int m = 0; m < HALF; m++) {
            const vf k = v_load(a + m * LANES);
            sum[0][m] = v_fma(k, w0, sum[0][m]);
            sum[1][m] = v_fma(k, w1, sum[1][m]);
        }
    }
}

/* both ways at once: P = sum_s in[T - 1 - s] x[s], Q = sum_s in[s] x[s] of every chunk */
ALWAYS void take_in_both(float *P, float *Q, const folded *f, const float *x, const float *soon, int chunks, const int N)
{
    for (int c = 0; c < chunks; c += 2, x += 2 * T * LANES, P += 2 * (size_t)N * LANES, Q += 2 * (size_t)N * LANES)
        for (int m0 = 0; m0 < N; m0 += HALF) {
            vf even[2][HALF], odd[2][HALF];
            take_in_ends(even, f->sum + m0 * LANES, x, &soon, N, true);
            UNROLL for (int m = 0; m < HALF; m++) {
                v_store(P + (size_t)(m0 + m) * LANES, even[0][m]);
                v_store(P + (size_t)(N + m0 + m) * LANES, even[1][m]);
            }
            take_in_ends(odd, f->difference + m0 * LANES, x, &soon, N, false);
            UNROLL for (int k = 0; k < 2; k++)
                UNROLL for (int m = 0; m < HALF; m++) {
                    const size_t at = (size_t)(k * N + m0 + m) * LANES;
                    const vf all = v_load(P + at);
                    v_store(P + at, all + odd[k][m]);
                    v_store(Q + at, all - odd[k][m]);
                }
        }
}

/* In place, from what each chunk takes in to the state that it meets: P from the left, Q (may be NULL) from the right, both by the matrix
 * with elements `to` and `from` apart. */
ALWAYS void run_states(float *P, float *Q, const float *step, size_t to, size_t from, int chunks, const int N, const bool both)
{
    vf p[ECG_SCAN_STATES], q[ECG_SCAN_STATES];
    for (int m = 0; m < N; m++)
        p[m] = q[m] = v_set(0);
    for (int c = 0; c < chunks; c++) {
        float *vp = P + (size_t)c * N * LANES, *vq = both ? Q + (size_t)(chunks - 1 - c) * N * LANES : NULL;
        vf next_p[ECG_SCAN_STATES], next_q[ECG_SCAN_STATES];
        for (int m0 = 0; m0 < N; m0 += HALF) {
            vf sp[HALF], sq[HALF];
            UNROLL for (int m = 0; m < HALF; m++) {
                sp[m] = v_load(vp + (size_t)(m0 + m) * LANES);
                sq[m] = both ? v_load(vq + (size_t)(m0 + m) * LANES) : v_set(0);
            }
            for (int j = 0; j < N; j++)
                UNROLL for (int m = 0; m < HALF; m++) {
                    const vf a = v_load(step + (m0 + m) * to + j * from);
                    sp[m] = v_fma(a, p[j], sp[m]);
                    if (both)
                        sq[m] = v_fma(a, q[j], sq[m]);
                }
            UNROLL for (int m = 0; m < HALF; m++) {
                next_p[m0 + m] = sp[m];
                next_q[m0 + m] = sq[m];
            }
        }
        for (int m = 0; m < N; m++) {
            v_store(vp + (size_t)m * LANES, p[m]);
            p[m] = next_p[m];
            if (both) {
                v_store(vq + (size_t)m * LANES, q[m]);
                q[m] = next_q[m];
            }
        }
    }
}

/* a step, with the one half a chunk later added to it if `halves` */
ALWAYS vf load_halves(const float *x, const bool halves)
{
    vf sum = v_load(x);
    if (halves)
        sum = sum + v_load(x + MID * LANES);
    return sum;
}

/* sum[2 chunks][HALF steps] += tap[i - j] x[j] over half a chunk, T floats of LANES between the two chunks; x[j] + x[MID + j] if both halves. From one x
 * to the next the taps move on by one, so that HALF of them stay in registers and one is loaded. */
ALWAYS void bring_out_near(vf sum[2][HALF], const float *tap, const float *x, const float **soon, const bool halves)
{
    vf k[HALF];
    UNROLL for (int i = 0; i < HALF; i++)
        k[i] = v_load(tap + i * LANES);
    UNROLL for (int j = 0; j < MID; j++) {
        ask(soon);
        const vf x0 = load_halves(x + j * LANES, halves), x1 = load_halves(x + (T + j) * LANES, halves);
        UNROLL for (int i = 0; i < HALF; i++) {
            sum[0][i] = v_fma(k[(MID + i - j) % HALF], x0, sum[0][i]);
            sum[1][i] = v_fma(k[(MID + i - j) % HALF], x1, sum[1][i]);
        }
        if (j < MID - 1)
            k[(MID - 1 - j) % HALF] = v_load(tap - (j + 1) * LANES);
    }
}

/* sum[2 chunks][HALF steps] += a[i] x over `count` pairs (x0, x1), `apart` floats between the pair; a moves by a_step, x by LANES */
ALWAYS void bring_out(vf sum[2][HALF], const float *a, ptrdiff_t a_next, ptrdiff_t a_step, const float *x, size_t apart, const float **soon, const int count)
{
    for (int j = 0; j < count; j++, a += a_step, x += LANES) {
        ask(soon);
        const vf x0 = v_load(x), x1 = v_load(x + apart);
        UNROLL for (int i = 0; i < HALF; i++) {
            const vf k = v_load(a + i * a_next);
            sum[0][i] = v_fma(k, x0, sum[0][i]);
            sum[1][i] = v_fma(k, x1, sum[1][i]);
        }
    }
}

/* sum[2 chunks][HALF steps] = sum_m a[i][m] (P[m] + sign Q[m]) */
ALWAYS void bring_out_ends(vf sum[2][HALF], const float *a, const float *P, const float *Q, const float **soon, const int N, const bool add)
{
    UNROLL for (int i = 0; i < HALF; i++)
        sum[0][i] = sum[1][i] = v_set(0);
    for (int m = 0; m < N; m++, a += LANES, P += LANES, Q += LANES) {
        ask(soon);
        const vf p0 = v_load(P), p1 = v_load(P + (size_t)N * LANES), q0 = v_load(Q), q1 = v_load(Q + (size_t)N * LANES);
        const vf w0 = add ? p0 + q0 : p0 - q0, w1 = add ? p1 + q1 : p1 - q1;
        UNROLL for (int i = 0; i < HALF; i++) {
            const vf k = v_load(a + (size_t)i * N * LANES);
            sum[0][i] = v_fma(k, w0, sum[0][i]);
            sum[1][i] = v_fma(k, w1, sum[1][i]);
        }
    }
}

/* far[s] = in[T - 1 - s] . P + in[s] . Q of two chunks, by sums and differences of both ends */
ALWAYS void bring_out_both(vf far[T][2], const folded *f, const float *P, const float *Q, const float **soon, const int N)
{
    for (int i0 = 0; i0 < MID; i0 += HALF) {
        vf even[2][HALF], odd[2][HALF];
        bring_out_ends(even, f->sum + (size_t)i0 * N * LANES, P, Q, soon, N, true);
        UNROLL for (int i = 0; i < HALF; i++)
            UNROLL for (int k = 0; k < 2; k++)
                far[i0 + i][k] = even[k][i];
        bring_out_ends(odd, f->difference + (size_t)i0 * N * LANES, P, Q, soon, N, false);
        UNROLL for (int i = 0; i < HALF; i++)
            UNROLL for (int k = 0; k < 2; k++) {
                const vf all = far[i0 + i][k];
                far[i0 + i][k] = all + odd[k][i];
                far[T - 1 - i0 - i][k] = all - odd[k][i];
            }
    }
}

/* Taps of a chunk, lags 1 - MID .. MID - 1 of each: T0 between steps of the same half, then T- - T0 from the second half to the first, T+ - T0 from
 * the first to the second. */
enum { LAGS = 2 * MID };

/* begin = M of two chunks: the taps between steps of the same half, both halves at once */
ALWAYS void bring_out_same(vf begin[MID][2], const float *mid, const float *x, const float **soon)
{
    for (int i0 = 0; i0 < MID; i0 += HALF) {
        vf sum[2][HALF];
        UNROLL for (int i = 0; i < HALF; i++)
            sum[0][i] = sum[1][i] = v_set(0);
        bring_out_near(sum, mid + i0 * LANES, x, soon, true);
        UNROLL for (int i = 0; i < HALF; i++)
            UNROLL for (int k = 0; k < 2; k++)
                begin[i0 + i][k] = sum[k][i];
    }
}

/* What the next panel needs, asked for while this one's signal is brought out; a way that nobody goes: NULL. */
typedef struct {
    const float *way[2], *step, *near;
} soon_needed;

/* y (L, n of H) = plus, if any, and what comes of the signal x in scratch, the taps, the states P of one way and, if both, Q of the other; both of
 * them by f if there is one */
ALWAYS void bring_out_all(float *y, const float *plus, const float *x, const float *taps, const way *one, const way *other, const folded *f, const float *P,
                          const float *Q, soon_needed soon, int L, int H, int n, int chunks, const int N, const bool both)
{
    const float *mid = taps + (MID - 1) * LANES;
    for (int c = 0; c < chunks; c += 2) {
        const float *signal = x + (size_t)c * T * LANES, *p = P + (size_t)c * N * LANES, *q = Q + (size_t)c * N * LANES;
        vf begin[MID][2], far[T][2];
        bring_out_same(begin, mid, signal, &soon.step);
        if (f)
            bring_out_both(far, f, p, q, &soon.way[0], N);
        for (int i0 = 0; i0 < T; i0 += HALF) {
            vf sum[2][HALF];
            UNROLL for (int i = 0; i < HALF; i++)
                UNROLL for (int k = 0; k < 2; k++) {
                    sum[k][i] = begin[i0 % MID + i][k];
                    if (f)
                        sum[k][i] = sum[k][i] + far[i0 + i][k];
                }
            bring_out_near(sum, mid + ((1 + i0 / MID) * LAGS + i0 % MID) * LANES, i0 < MID ? signal + MID * LANES : signal, &soon.near, false);
            if (!f)
                bring_out(sum, one->read + i0 * one->read_step, one->read_step, ECG_PANEL, p, (size_t)N * LANES, &soon.way[0], N);
            if (!f && both)
                bring_out(sum, other->read + i0 * other->read_step, other->read_step, ECG_PANEL, q, (size_t)N * LANES, &soon.way[1], N);
            for (int k = 0; k < 2; k++)
                for (int i = 0, t = (c + k) * T + i0; i < HALF && t < L; i++, t++) {
                    float *to = y + (size_t)t * H;
                    __builtin_prefetch(to + LANES, 1, 2);
                    if (plus) {
                        __builtin_prefetch(plus + (size_t)t * H + LANES, 0, 2);
                        sum[k][i] = sum[k][i] + load_some(plus + (size_t)t * H, n);
                    }
                    store_some(to, sum[k][i], n);
                }
        }
    }
}

/* one panel's pointers, the lane of its first channel chosen */
typedef struct {
    const float *in, *step, *out[2], *near;
    size_t panel, at; /* number of the panel, first lane in it */
} piece;

static piece piece_of(const ecg_scan *c, int h)
{
    const size_t p = h / ECG_PANEL, block = (size_t)T * c->states * ECG_PANEL, at = h % ECG_PANEL;
    return (piece){.in = c->in + p * block + at, .step = c->step + p * c->step_stride + at,
                   .out = {c->out[0] + p * block + at, c->out[1] ? c->out[1] + p * block + at : NULL},
                   .near = c->near + p * (2 * T - 1) * ECG_PANEL + at, .panel = p, .at = at};
}

/* where things lie in scratch: signals in whole FOUR chunks, states, taps, what comes in folded */
typedef struct {
    int chunks;
    float *x, *dy, *P, *Q, *taps;
    folded in;
} room;

static room room_of(const ecg_scan *c, float *scratch)
{
    const int chunks = (c->L + FOUR * T - 1) / (FOUR * T) * FOUR;
    const size_t signal = (size_t)chunks * T * LANES, states = (size_t)chunks * c->states * LANES, half = (size_t)MID * c->states * LANES;
    float *taps = scratch + 2 * signal + 2 * states, *in = taps + 3 * LAGS * LANES;
    return (room){.chunks = chunks, .x = scratch, .dy = scratch + signal, .P = scratch + 2 * signal, .Q = scratch + 2 * signal + states,
                  .taps = taps, .in = {in, in + half}};
}

/* D at lag 0; sign -1: of the transposed map */
static void take_taps(float *taps, const piece *p, const float *D, int n, int sign)
{
    const float *zero = p->near + (T - 1) * ECG_PANEL;
    for (int d = 1 - MID; d < MID; d++, taps += LANES) {
        const vf same = v_load(zero + sign * d * ECG_PANEL) + (d ? v_set(0) : load_some(D, n));
        v_store(taps, same);
        v_store(taps + LAGS * LANES, v_load(zero + sign * (d - MID) * ECG_PANEL) - same);
        v_store(taps + 2 * LAGS * LANES, v_load(zero + sign * (d + MID) * ECG_PANEL) - same);
    }
}

/* the states that every chunk of r->x meets: P and, if both, Q */
ALWAYS void take_states(const room *r, const piece *p, const way *right, const float *soon, const int N, const bool both)
{
    if (both)
        take_in_both(r->P, r->Q, &r->in, r->x, soon, r->chunks, N);
    else
        take_in(r->P, right, r->x, soon, r->chunks, N);
    run_states(r->P, r->Q, p->step, N * ECG_PANEL, ECG_PANEL, r->chunks, N, both);
}

ALWAYS void scan_panels(float *y, const float *u, const ecg_scan *c, float *scratch, const int N, const bool both)
{
    const room r = room_of(c, scratch);
    const ptrdiff_t row = N * ECG_PANEL;
    for (int h = 0; h < c->H; h += LANES) {
        const int n = c->H - h < LANES ? c->H - h : LANES;
        const piece p = piece_of(c, h);
        const way right = {p.in + (T - 1) * row, p.out[0], -row, row}, left = {p.in, both ? p.out[1] + (T - 1) * row : NULL, row, -row};
        const size_t block = (size_t)T * row;
        pack(r.x, u + h, c->L, r.chunks * T, c->H, n, 1);
        take_taps(r.taps, &p, c->D + h, n, 1);
        if (both)
            fold(&r.in, p.in, N);
        const soon_needed soon = {{p.out[0] + block, both ? p.out[1] + block : NULL}, p.step + c->step_stride, p.near + (2 * T - 1) * ECG_PANEL};
        take_states(&r, &p, &right, p.in + block, N, both);
        bring_out_all(y + h, NULL, r.x, r.taps, &right, &left, NULL, r.P, r.Q, soon, c->L, c->H, n, r.chunks, N, both);
    }
}

static void scan(float *y, const float *u, const ecg_scan *c, float *scratch)
{
    if (c->states == 8 && c->out[1])
        scan_panels(y, u, c, scratch, 8, true);
    else
        scan_panels(y, u, c, scratch, c->states, c->out[1] != NULL);
}

/* sum[d - d0] += sum dy[s + d] u[s] within half a chunk, of all chunks; with the other half, MID steps on, added to each if `halves` */
ALWAYS void correlate(vf sum[R], const float *dy, const float *u, const float *soon, int chunks, const int d0, const bool halves)
{
    UNROLL for (int i = 0; i < R; i++)
        sum[i] = v_set(0);
    for (int c = 0; c < chunks; c++, dy += T * LANES, u += T * LANES) {
        vf g[MID];
        UNROLL for (int i = 0; i < MID; i++)
            g[i] = load_halves(dy + i * LANES, halves);
        UNROLL for (int s = 0; s < MID; s++) {
            if (soon)
                ask(&soon);
            const vf x = load_halves(u + s * LANES, halves);
            UNROLL for (int i = 0; i < MID; i++)
                if (i - s >= d0 && i - s < d0 + R)
                    sum[i - s - d0] = v_fma(g[i], x, sum[i - s - d0]);
        }
    }
}

/* Gradient of the taps within a chunk, lags d0 .. d0 + R - 1 of each of the three products (the transpose of bring_out_near) */
ALWAYS void near_gradient(float *near, float *D, const float *dy, const float *u, const float *soon[2], int chunks, int n, const int d0)
{
    vf same[R], up[R], down[R];
    correlate(same, dy, u, soon[0], chunks, d0, true);
    correlate(up, dy, u + MID * LANES, soon[1], chunks, d0, false);
    correlate(down, dy + MID * LANES, u, NULL, chunks, d0, false);
    for (int i = 0; i < R; i++) {
        const int d = d0 + i;
        if (d == -MID)
            continue;
        float *to = near + (d + T - 1) * ECG_PANEL;
        const vf rest = same[i] - up[i] - down[i];
        v_store(to, v_load(to) + rest);
        v_store(to - MID * ECG_PANEL, v_load(to - MID * ECG_PANEL) + up[i]);
        v_store(to + MID * ECG_PANEL, v_load(to + MID * ECG_PANEL) + down[i]);
        if (d == 0)
            store_some(D, load_some(D, n) + rest, n);
    }
}

/* out[i][m] += sum_c dy[cT + i] P_c[m], steps out_step apart */
ALWAYS void read_gradient(float *out, ptrdiff_t out_step, const float *dy, const float *P, int chunks, const int N)
{
    enum { STEPS = LANES / 8 };
    for (int i0 = 0; i0 < T; i0 += STEPS)
        for (int m0 = 0; m0 < N; m0 += 8) {
            vf sum[STEPS][8];
            UNROLL for (int m = 0; m < 8; m++)
                UNROLL for (int i = 0; i < STEPS; i++)
                    sum[i][m] = v_set(0);
            for (int c = 0; c < chunks; c++) {
                vf d[STEPS];
                UNROLL for (int i = 0; i < STEPS; i++)
                    d[i] = v_load(dy + (size_t)(c * T + i0 + i) * LANES);
                UNROLL for (int m = 0; m < 8; m++) {
                    const vf x = v_load(P + (size_t)(c * N + m0 + m) * LANES);
                    UNROLL for (int i = 0; i < STEPS; i++)
                        sum[i][m] = v_fma(d[i], x, sum[i][m]);
                }
            }
            UNROLL for (int i = 0; i < STEPS; i++)
                UNROLL for (int m = 0; m < 8; m++) {
                    float *to = out + (i0 + i) * out_step + (m0 + m) * ECG_PANEL;
                    v_store(to, v_load(to) + sum[i][m]);
                }
        }
}

ALWAYS void scan_panels_backward(float *du, const float *plus, const ecg_scan_grads *g, const float *dy, const float *u, const ecg_scan *c, float *scratch,
                                 const int N, const bool both)
{
    const room r = room_of(c, scratch);
    const ptrdiff_t row = N * ECG_PANEL;
    for (int h = 0; h < c->H; h += LANES) {
        const int n = c->H - h < LANES ? c->H - h : LANES;
        const piece p = piece_of(c, h);
        const way right = {p.in + (T - 1) * row, p.out[0], -row, row}, left = {p.in, both ? p.out[1] + (T - 1) * row : NULL, row, -row};
        const size_t block = (size_t)T * row;
        pack(r.dy, dy + h, c->L, r.chunks * T, c->H, n, 1);
        if (both)
            fold(&r.in, p.in, N);
        if (du) { /* the transposed map: the ways change their direction and their ends */
            const way from_right = {right.read, right.inject, right.read_step, right.inject_step};
            const way from_left = {left.read, left.inject, left.read_step, left.inject_step};
            take_taps(r.taps, &p, c->D + h, n, -1);
            const soon_needed soon = {{p.in + block, NULL}, p.step + c->step_stride, p.near + (2 * T - 1) * ECG_PANEL};
            take_in(r.Q, &from_right, r.dy, p.out[0] + block, r.chunks, N);
            if (both)
                take_in(r.P, &from_left, r.dy, p.out[1] + block, r.chunks, N);
            else
                memset(r.P, 0, sizeof *r.P * r.chunks * N * LANES);
            run_states(r.P, r.Q, p.step, ECG_PANEL, row, r.chunks, N, true);
            bring_out_all(du + h, plus ? plus + h : NULL, r.dy, r.taps, &from_right, NULL, both ? &r.in : NULL, r.Q, r.P, soon, c->L,
                          c->H, n, r.chunks, N, both);
        }
        if (g) {
            const size_t at = p.panel * block + p.at;
            float *near = g->near + p.panel * (2 * T - 1) * ECG_PANEL + p.at;
            pack(r.x, u + h, c->L, r.chunks * T, c->H, n, 1);
            take_states(&r, &p, &right, g->out[0] + at + block, N, both);
            const float *soon[2] = {g->out[both] + at + block, near + (2 * T - 1) * ECG_PANEL};
            for (int d0 = -MID; d0 < MID; d0 += R)
                near_gradient(near, g->D + h, r.dy, r.x, soon, r.chunks, n, d0);
            read_gradient(g->out[0] + at, row, r.dy, r.P, r.chunks, N);
            if (both)
                read_gradient(g->out[1] + at + (T - 1) * row, -row, r.dy, r.Q, r.chunks, N);
        }
    }
}

static void scan_backward(float *du, const float *plus, const ecg_scan_grads *g, const float *dy, const float *u, const ecg_scan *c, float *scratch)
{
    if (c->states == 8 && c->out[1])
        scan_panels_backward(du, plus, g, dy, u, c, scratch, 8, true);
    else
        scan_panels_backward(du, plus, g, dy, u, c, scratch, c->states, c->out[1] != NULL);
}
#undef ALWAYS
