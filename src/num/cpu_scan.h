/* SPDX-License-Identifier: MIT
 * cpu_scan.h: the convolution of a state space in chunks (kernels.h), part of cpu_body.h. LANES channels at a time lie in scratch, where a
 * time step and a state are one vector each. Multiply-adds per step and channel at 8 states, two directions: 16 within the chunk, 2 x (8 + 8 + 4)
 * through the states, where the direct form has L. Two chunks share every constant that is loaded. */
enum { T = ECG_CHUNK, HALF = LANES / 2 };

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
    for (int c = 0; c < chunks; c += 2, x += 2 * T * LANES, v += 2 * (size_t)N * LANES)
        for (int m0 = 0; m0 < N; m0 += HALF) {
            vf sum[2][HALF];
            UNROLL for (int m = 0; m < HALF; m++)
                sum[0][m] = sum[1][m] = v_set(0);
            const float *in = w->inject + (size_t)m0 * ECG_PANEL;
            for (int s = 0; s < T; s++, in += w->inject_step) {
                ask(&soon);
                const vf x0 = v_load(x + s * LANES), x1 = v_load(x + (T + s) * LANES);
                UNROLL for (int m = 0; m < HALF; m++) {
                    const vf a = v_load(in + m * ECG_PANEL);
                    sum[0][m] = v_fma(a, x0, sum[0][m]);
                    sum[1][m] = v_fma(a, x1, sum[1][m]);
                }
            }
            UNROLL for (int m = 0; m < HALF; m++) {
                v_store(v + (size_t)(m0 + m) * LANES, sum[0][m]);
                v_store(v + (size_t)(N + m0 + m) * LANES, sum[1][m]);
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

/* sum[2 chunks][HALF steps] += tap[i - j] x[j] over a chunk, T floats of LANES between the two chunks. From one x to the next the taps move on by
 * one, so that HALF of them stay in registers and one is loaded. */
ALWAYS void bring_out_near(vf sum[2][HALF], const float *tap, const float *x, const float *soon)
{
    vf k[HALF];
    UNROLL for (int i = 0; i < HALF; i++)
        k[i] = v_load(tap + i * LANES);
    UNROLL for (int j = 0; j < T; j++) {
        ask(&soon);
        const vf x0 = v_load(x + j * LANES), x1 = v_load(x + (T + j) * LANES);
        UNROLL for (int i = 0; i < HALF; i++) {
            sum[0][i] = v_fma(k[(T + i - j) % HALF], x0, sum[0][i]);
            sum[1][i] = v_fma(k[(T + i - j) % HALF], x1, sum[1][i]);
        }
        if (j < T - 1)
            k[(T - 1 - j) % HALF] = v_load(tap - (j + 1) * LANES);
    }
}

/* sum[2 chunks][HALF steps] += a[i] x over `count` pairs (x0, x1), `apart` floats between the pair; a moves by a_step, x by LANES */
ALWAYS void bring_out(vf sum[2][HALF], const float *a, ptrdiff_t a_next, ptrdiff_t a_step, const float *x, size_t apart, const int count)
{
    for (int j = 0; j < count; j++, a += a_step, x += LANES) {
        const vf x0 = v_load(x), x1 = v_load(x + apart);
        UNROLL for (int i = 0; i < HALF; i++) {
            const vf k = v_load(a + i * a_next);
            sum[0][i] = v_fma(k, x0, sum[0][i]);
            sum[1][i] = v_fma(k, x1, sum[1][i]);
        }
    }
}

/* y (L, n of H) = plus, if any, and what comes of the signal x in scratch, the taps around mid, the states P of one way and, if both, Q of the other */
ALWAYS void bring_out_all(float *y, const float *plus, const float *x, const float *mid, const way *one, const way *other, const float *P, const float *Q,
                          const float *soon[T / HALF], int L, int H, int n, int chunks, const int N, const bool both)
{
    for (int c = 0; c < chunks; c += 2)
        for (int i0 = 0; i0 < T; i0 += HALF) {
            vf sum[2][HALF];
            UNROLL for (int i = 0; i < HALF; i++)
                sum[0][i] = sum[1][i] = v_set(0);
            bring_out_near(sum, mid + i0 * LANES, x + (size_t)c * T * LANES, soon[i0 / HALF]);
            soon[i0 / HALF] += T * 16;
            bring_out(sum, one->read + i0 * one->read_step, one->read_step, ECG_PANEL, P + (size_t)c * N * LANES, (size_t)N * LANES, N);
            if (both)
                bring_out(sum, other->read + i0 * other->read_step, other->read_step, ECG_PANEL, Q + (size_t)c * N * LANES, (size_t)N * LANES, N);
            for (int k = 0; k < 2; k++)
                for (int i = 0, t = (c + k) * T + i0; i < HALF && t < L; i++, t++) {
                    float *to = y + (size_t)t * H;
                    __builtin_prefetch(to + LANES, 1, 2);
                    store_some(to, sum[k][i] + (plus ? load_some(plus + (size_t)t * H, n) : v_set(0)), n);
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

/* where things lie in scratch: signals in whole pairs of chunks, states, taps with their middle */
typedef struct {
    int chunks;
    float *x, *dy, *P, *Q, *mid;
} room;

static room room_of(const ecg_scan *c, float *scratch)
{
    const int chunks = (c->L + 2 * T - 1) / (2 * T) * 2;
    const size_t signal = (size_t)chunks * T * LANES, states = (size_t)chunks * c->states * LANES;
    return (room){.chunks = chunks, .x = scratch, .dy = scratch + signal, .P = scratch + 2 * signal, .Q = scratch + 2 * signal + states,
                  .mid = scratch + 2 * signal + 2 * states + (T - 1) * LANES};
}

/* taps of the chunk, D at lag 0; sign -1: of the transposed map */
static void near_taps(float *mid, const piece *p, const float *D, int n, int sign)
{
    for (int d = 1 - T; d < T; d++)
        v_store(mid + sign * d * LANES, v_load(p->near + (d + T - 1) * ECG_PANEL));
    v_store(mid, v_load(mid) + load_some(D, n));
}

/* what the next panel's way out and its states need, while this one's signal is brought out */
ALWAYS void ask_for(const float *soon[T / HALF], const piece *p, const ecg_scan *c, size_t block)
{
    for (int i = 0; i < T / HALF; i++)
        soon[i] = i % 2 ? p->step + c->step_stride : p->out[0] + block;
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
        near_taps(r.mid, &p, c->D + h, n, 1);
        const float *soon[T / HALF];
        ask_for(soon, &p, c, block);
        take_in(r.P, &right, r.x, p.in + block, r.chunks, N);
        if (both)
            take_in(r.Q, &left, r.x, p.out[1] + block, r.chunks, N);
        run_states(r.P, r.Q, p.step, row, ECG_PANEL, r.chunks, N, both);
        bring_out_all(y + h, NULL, r.x, r.mid, &right, &left, r.P, r.Q, soon, c->L, c->H, n, r.chunks, N, both);
    }
}

static void scan(float *y, const float *u, const ecg_scan *c, float *scratch)
{
    if (c->states == 8 && c->out[1])
        scan_panels(y, u, c, scratch, 8, true);
    else
        scan_panels(y, u, c, scratch, c->states, c->out[1] != NULL);
}

/* Gradient of the taps d0 .. d0 + R - 1 within a chunk: near[d] += sum dy[s + d] u[s]; lag -T does not exist and stays 0. */
ALWAYS void near_gradient(float *near, float *D, const float *dy, const float *u, int chunks, int n, const int d0)
{
    vf sum[R];
    UNROLL for (int i = 0; i < R; i++)
        sum[i] = v_set(0);
    for (int c = 0; c < chunks; c++, dy += T * LANES, u += T * LANES) {
        UNROLL for (int s = 0; s < T; s++) {
            const vf x = v_load(u + s * LANES);
            UNROLL for (int i = 0; i < T; i++)
                if (i - s >= d0 && i - s < d0 + R)
                    sum[i - s - d0] = v_fma(v_load(dy + i * LANES), x, sum[i - s - d0]);
        }
    }
    UNROLL for (int i = 0; i < R; i++) {
        if (d0 + i == -T)
            continue;
        float *to = near + (d0 + i + T - 1) * ECG_PANEL;
        v_store(to, v_load(to) + sum[i]);
        if (d0 + i == 0)
            store_some(D, load_some(D, n) + sum[i], n);
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
        if (du) { /* the transposed map: the ways change their direction and their ends */
            const way from_right = {right.read, right.inject, right.read_step, right.inject_step};
            const way from_left = {left.read, left.inject, left.read_step, left.inject_step};
            near_taps(r.mid, &p, c->D + h, n, -1);
            const float *soon[T / HALF];
            ask_for(soon, &p, c, block);
            take_in(r.Q, &from_right, r.dy, p.in + block, r.chunks, N);
            if (both)
                take_in(r.P, &from_left, r.dy, p.out[1] + block, r.chunks, N);
            else
                memset(r.P, 0, sizeof *r.P * r.chunks * N * LANES);
            run_states(r.P, r.Q, p.step, ECG_PANEL, row, r.chunks, N, true);
            bring_out_all(du + h, plus ? plus + h : NULL, r.dy, r.mid, &from_right, &from_left, r.Q, r.P, soon, c->L, c->H, n, r.chunks, N, both);
        }
        if (g) {
            const size_t at = p.panel * block + p.at;
            float *near = g->near + p.panel * (2 * T - 1) * ECG_PANEL + p.at;
            pack(r.x, u + h, c->L, r.chunks * T, c->H, n, 1);
            take_in(r.P, &right, r.x, g->out[0] + at + block, r.chunks, N);
            if (both)
                take_in(r.Q, &left, r.x, g->out[1] + at + block, r.chunks, N);
            run_states(r.P, r.Q, p.step, row, ECG_PANEL, r.chunks, N, both);
            near_gradient(near, g->D + h, r.dy, r.x, r.chunks, n, 0);
            near_gradient(near, g->D + h, r.dy, r.x, r.chunks, n, -R);
            if ((int)R < (int)T) {
                near_gradient(near, g->D + h, r.dy, r.x, r.chunks, n, T - R);
                near_gradient(near, g->D + h, r.dy, r.x, r.chunks, n, -T);
            }
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
