/* SPDX-License-Identifier: MIT
 * resample.c: band-limited interpolation as in resampy 0.4, filter "kaiser_best": a sinc under a Kaiser window, 50 zero crossings to
 * each side, read from a table of 8192 steps per crossing (J. O. Smith, "Digital Audio Resampling").
 *
 *   h[i] = rho sinc(rho i/8192) I0(beta sqrt(1 - (i/409600)^2)) / I0(beta),  i = 0..409600;  times s = min(1, rate_out/rate_in)
 *   y[t] = sum_i h(left  + i step) x[n-i]  +  sum_k h(right + k step) x[n+1+k],    n = floor(tau),  tau = t rate_in/rate_out
 *   left = 8192 s (tau-n),  right = 8192 (s - s (tau-n)),  step = floor(8192 s);  between two table entries h is linear
 *
 * The truncation of step makes the filter slightly asymmetric and its gain 1.0002 at 500 -> 100 Hz. It is what the published models
 * were trained on, and is kept to the last bit of tau: where tau is a whole number but for rounding, n follows the rounding. */
#include "ecg/prepare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum {
    ROW = 8,                       /* table entries computed together */
    STEPS = 8192,                  /* of the table per zero crossing */
    LAST = 50 * STEPS,             /* last entry */
    MOST_DOWN = 128, MOST_UP = 100, /* times */
    MOST_TAPS = (LAST + 1) / (STEPS / MOST_DOWN) + ROW,
    BLOCK = 256,                   /* outputs whose inputs are spread out as double at a time */
    NEAR = 128,                    /* frames of twelve doubles: 12 KiB */
    SIDE = 4                       /* outputs that are summed side by side, where all have the same weights */
};

static const double rho = 0.9173473712608761, beta = 12.984585247040012, pi = 3.14159265358979323846;

struct ecg_resampler {
    double rate_in, rate_out;
    double scale;      /* s */
    double gain;       /* s rho / I0(beta) */
    double tau_step;   /* rate_in / rate_out */
    int step;
    double *table;     /* (LAST + ROW), scaled */
    bool tabulated;    /* else what is needed of it is computed */
    double *whole[2];  /* (MOST_TAPS): wings for a tau that is whole */
    int whole_taps[2];
};

/* ---- the filter ----------------------------------------------------------------------------------------------------------- */

/* I0(x), x^2/4 = z: sum of z^k / (k!)^2, for a row of z at once (the sum is one chain of additions). 0 <= z <= 43. */
static void bessel_row(double sum[ROW], const double z[ROW])
{
    for (int j = 0; j < ROW; j++)
        sum[j] = 1;
    for (int k = 36; k > 0; k--) {
        const double inverse = 1.0 / ((double)k * k);
        for (int j = 0; j < ROW; j++)
            sum[j] = 1 + z[j] * inverse * sum[j];
    }
}

/* s h[first + j stride], j < ROW; beyond the last entry 0 */
static void filter_row(double h[ROW], int first, int stride, double gain)
{
    double z[ROW], window[ROW];
    for (int j = 0; j < ROW; j++) {
        const double u = (double)(first + j * stride) / LAST;
        z[j] = u < 1 ? beta * beta / 4 * (1 - u * u) : 0;
    }
    bessel_row(window, z);
    for (int j = 0; j < ROW; j++) {
        const int i = first + j * stride;
        const double x = rho * ((double)i / STEPS), turns = nearbyint(x);
        const double sine = fmod(turns, 2) == 0 ? ecg_sin(pi * (x - turns)) : -ecg_sin(pi * (x - turns));
        h[j] = i > LAST ? 0 : gain * (i ? sine / (pi * x) : 1) * window[j];
    }
}

/* Weights of one wing that begins at the table position `at`; returns their number. */
static int wing(double *w, const ecg_resampler *r, double at)
{
    const int first = (int)at, taps = (LAST + 1 - first) / r->step;
    const double part = at - first;
    if (r->tabulated) {
        for (int i = 0; i < taps; i++) {
            const double *h = r->table + first + i * r->step;
            w[i] = h[0] + part * (first + i * r->step < LAST ? h[1] - h[0] : 0);
        }
        return taps;
    }
    for (int i = 0; i < taps; i += ROW) {
        double here[ROW], next[ROW];
        filter_row(here, first + i * r->step, r->step, r->gain);
        filter_row(next, first + i * r->step + 1, r->step, r->gain);
        for (int j = 0; j < ROW && i + j < taps; j++)
            w[i + j] = here[j] + part * (first + (i + j) * r->step < LAST ? next[j] - here[j] : 0);
    }
    return taps;
}

ecg_status ecg_resampler_aim(ecg_resampler *r, double rate_in, double rate_out, ecg_err *err)
{
    if (r->rate_in == rate_in && r->rate_out == rate_out)
        return ECG_OK;
    if (!ecg_resampled_length(1 << 20, rate_in, rate_out))
        return ecg_fail(err, ECG_EARG, "no way from %g Hz to %g Hz", rate_in, rate_out);
    const double ratio = rate_out / rate_in;
    r->rate_in = rate_in;
    r->rate_out = rate_out;
    r->scale = ratio < 1 ? ratio : 1;
    r->tau_step = 1 / ratio;
    r->step = (int)(r->scale * STEPS);
    double top[ROW] = {beta * beta / 4}, largest[ROW];
    bessel_row(largest, top);
    r->gain = r->scale * rho / largest[0];
    r->tabulated = r->tau_step != floor(r->tau_step);
    for (int i = 0; r->tabulated && i <= LAST; i += ROW)
        filter_row(r->table + i, i, 1, r->gain);
    r->whole_taps[0] = wing(r->whole[0], r, 0);
    r->whole_taps[1] = wing(r->whole[1], r, r->scale * STEPS);
    return ECG_OK;
}

ecg_status ecg_resampler_new(ecg_resampler **out, double rate_in, double rate_out, ecg_err *err)
{
    *out = NULL;
    ecg_resampler *r = calloc(1, sizeof *r);
    if (!r)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a resampler");
    for (int side = 0; side < 2; side++)
        r->whole[side] = malloc(sizeof(double) * MOST_TAPS);
    r->table = malloc(sizeof *r->table * (LAST + ROW));
    const ecg_status st = r->whole[0] && r->whole[1] && r->table ? ecg_resampler_aim(r, rate_in, rate_out, err)
                                                                 : ecg_fail(err, ECG_ENOMEM, "out of memory for a resampler");
    if (st) {
        ecg_resampler_free(r);
        return st;
    }
    *out = r;
    return ECG_OK;
}

void ecg_resampler_free(ecg_resampler *r)
{
    if (!r)
        return;
    free(r->whole[0]);
    free(r->whole[1]);
    free(r->table);
    free(r);
}

int64_t ecg_resampled_length(int64_t n_in, double rate_in, double rate_out)
{
    if (!(rate_in > 0) || !(rate_out > 0) || !isfinite(rate_in) || !isfinite(rate_out) || rate_in > rate_out * MOST_DOWN ||
        rate_out > rate_in * MOST_UP || n_in < 0)
        return 0;
    return rate_in == rate_out ? n_in : (int64_t)floor((double)n_in * rate_out / rate_in);
}

/* ---- weights times samples ------------------------------------------------------------------------------------------------ */

typedef struct {
    int64_t n;
    const double *left, *right;
    int left_taps, right_taps;
    double *own[2]; /* (MOST_TAPS): for a tau that is not whole */
} taps;

static void taps_at(taps *p, const ecg_resampler *r, int64_t t)
{
    const double tau = (double)t * r->tau_step;
    p->n = (int64_t)tau;
    const double part = r->scale * (tau - (double)p->n);
    if (part == 0) {
        p->left = r->whole[0];
        p->right = r->whole[1];
        p->left_taps = r->whole_taps[0];
        p->right_taps = r->whole_taps[1];
    } else {
        p->left_taps = wing(p->own[0], r, part * STEPS);
        p->right_taps = wing(p->own[1], r, (r->scale - part) * STEPS);
        p->left = p->own[0];
        p->right = p->own[1];
    }
}

typedef double pair __attribute__((vector_size(16), aligned(8), may_alias)); /* two leads; every compiler we use knows it */
typedef double quad __attribute__((vector_size(32), aligned(8), may_alias));

/* sum[l] += w[i] x[i jump + l]; twelve leads at once stay in registers */
static void add_twelve(double *sum, const double *w, const double *x, ptrdiff_t jump, int64_t count)
{
    pair *s = (pair *)sum;
    pair a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5];
    for (int64_t i = 0; i < count; i++, x += jump) {
        const pair *v = (const pair *)x;
        a += w[i] * v[0];
        b += w[i] * v[1];
        c += w[i] * v[2];
        d += w[i] * v[3];
        e += w[i] * v[4];
        f += w[i] * v[5];
    }
    s[0] = a;
    s[1] = b;
    s[2] = c;
    s[3] = d;
    s[4] = e;
    s[5] = f;
}

/* The same for SIDE outputs whose inputs lie `between` apart: sum[12 o + l] += w[i] x[o between + i jump + l]. Every sum has its terms in the
 * same order, and products are rounded before they are added: the same bits, three times as fast. */
#ifdef __x86_64__
__attribute__((target("avx2"))) static void add_side_by_side(double *sum, const double *w, const double *x, ptrdiff_t between, ptrdiff_t jump, int64_t count)
{
    quad a[SIDE][3];
    memcpy(a, sum, sizeof a);
    for (int64_t i = 0; i < count; i++, x += jump) {
        const quad weight = {w[i], w[i], w[i], w[i]};
#pragma GCC unroll 4
        for (int o = 0; o < SIDE; o++) {
            const quad *v = (const quad *)(x + o * between);
            a[o][0] += weight * v[0];
            a[o][1] += weight * v[1];
            a[o][2] += weight * v[2];
        }
    }
    memcpy(sum, a, sizeof a);
}

static bool sums_side_by_side(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
static void add_side_by_side(double *sum, const double *w, const double *x, ptrdiff_t between, ptrdiff_t jump, int64_t count)
{
    for (int o = 0; o < SIDE; o++)
        add_twelve(sum + 12 * o, w, x + o * between, jump, count);
}

static bool sums_side_by_side(void)
{
    return false;
}
#endif

static void add_some(double *sum, const double *w, const double *x, ptrdiff_t jump, int64_t count, int leads)
{
    for (int64_t i = 0; i < count; i++, x += jump)
        for (int l = 0; l < leads; l++)
            sum[l] += w[i] * x[l];
}

/* One output of all leads. x (.., leads) begins with frame first of n_in and holds all that the taps can reach. */
static void one_output(double *sum, const taps *p, const double *x, int64_t first, int64_t n_in, int leads)
{
    const int64_t left = p->n + 1 < p->left_taps ? p->n + 1 : p->left_taps;
    const int64_t right = n_in - p->n - 1 < p->right_taps ? n_in - p->n - 1 : p->right_taps;
    const double *centre = x + (p->n - first) * leads;
    memset(sum, 0, sizeof *sum * (size_t)leads);
    if (leads == 12) {
        add_twelve(sum, p->left, centre, -12, left);
        add_twelve(sum, p->right, centre + 12, 12, right);
    } else {
        add_some(sum, p->left, centre, -leads, left, leads);
        add_some(sum, p->right, centre + leads, leads, right, leads);
    }
}

/* SIDE outputs of twelve leads from t on, where every tau is whole. Taps that not all of them have follow one by one. */
static void outputs_side_by_side(double *sum, const ecg_resampler *r, int64_t t, const double *x, int64_t first, int64_t n_in)
{
    const int64_t step = (int64_t)r->tau_step, n = t * step; /* the first output has the fewest taps to the left, the last to the right */
    const double *centre = x + (n - first) * 12;
    const int64_t left = n + 1 < r->whole_taps[0] ? n + 1 : r->whole_taps[0];
    const int64_t behind = n_in - (n + (SIDE - 1) * step) - 1, right = behind < r->whole_taps[1] ? behind : r->whole_taps[1];
    memset(sum, 0, sizeof *sum * SIDE * 12);
    add_side_by_side(sum, r->whole[0], centre, step * 12, -12, left);
    for (int o = 1; o < SIDE; o++) {
        const int64_t own = n + o * step + 1 < r->whole_taps[0] ? n + o * step + 1 : r->whole_taps[0];
        add_twelve(sum + 12 * o, r->whole[0] + left, centre + 12 * (o * step - left), -12, own - left);
    }
    add_side_by_side(sum, r->whole[1], centre + 12, step * 12, 12, right);
    for (int o = 0; o < SIDE - 1; o++) {
        const int64_t has = n_in - (n + o * step) - 1, own = has < r->whole_taps[1] ? has : r->whole_taps[1];
        add_twelve(sum + 12 * o, r->whole[1] + right, centre + 12 * (o * step + 1 + right), 12, own - right);
    }
}

void ecg_resample(double *y, const double *x, int64_t n_in, const ecg_resampler *r)
{
    if (r->rate_in == r->rate_out) {
        memcpy(y, x, sizeof *y * (size_t)n_in);
        return;
    }
    double own[2][MOST_TAPS];
    taps p = {.own = {own[0], own[1]}};
    const int64_t n_out = ecg_resampled_length(n_in, r->rate_in, r->rate_out);
    for (int64_t t = 0; t < n_out; t++) {
        taps_at(&p, r, t);
        one_output(y + t, &p, x, 0, n_in, 1);
    }
}

/* Frames first .. last of the leads, as double, side by side; some frames at a time, which stay in the nearest cache. */
static void spread(double *x, const float *const *lead, int leads, int64_t first, int64_t last)
{
    for (int64_t from = first; from <= last; from += NEAR) {
        const int64_t frames = last - from + 1 < NEAR ? last - from + 1 : NEAR;
        for (int l = 0; l < leads; l++) {
            double *to = x + (from - first) * leads + l;
            const float *source = lead[l] ? lead[l] + from : NULL;
            for (int64_t i = 0; i < frames; i++)
                to[i * leads] = source ? (double)source[i] : 0;
        }
    }
}

static void copy_leads(float *y, const float *const *lead, int leads, int64_t n)
{
    for (int l = 0; l < leads; l++)
        for (int64_t i = 0; i < n; i++)
            y[i * leads + l] = lead[l] ? lead[l][i] : 0;
}

static int64_t reach_of(const ecg_resampler *r) { return (LAST + 1) / r->step + 1; }

/* frames that a block of outputs can reach */
static int64_t frames_of(const ecg_resampler *r) { return (int64_t)ceil(BLOCK * r->tau_step) + 2 * reach_of(r) + 2; }

size_t ecg_resample_room(const ecg_resampler *r, int leads)
{
    return r->rate_in == r->rate_out ? 1 : (size_t)(frames_of(r) * leads) + 2 * MOST_TAPS;
}

int ecg_resample_stripes(const ecg_pool *pool) { return ecg_pool_threads(pool) < ECG_RESAMPLE_STRIPES ? ecg_pool_threads(pool) : ECG_RESAMPLE_STRIPES; }

typedef struct {
    float *y;
    const float *const *lead;
    int leads;
    int64_t n_in, n_out;
    const ecg_resampler *r;
    double *room; /* of each stripe */
    bool together;
    int stripes;
} job;

static void block_of_outputs(const job *j, int64_t t0, double *x)
{
    const ecg_resampler *r = j->r;
    const int64_t reach = reach_of(r), t1 = t0 + BLOCK < j->n_out ? t0 + BLOCK : j->n_out;
    double *own = x + frames_of(r) * j->leads;
    taps p = {.own = {own, own + MOST_TAPS}};
    int64_t first = (int64_t)((double)t0 * r->tau_step) - reach, last = (int64_t)((double)(t1 - 1) * r->tau_step) + reach;
    first = first < 0 ? 0 : first;
    last = last < j->n_in ? last : j->n_in - 1;
    spread(x, j->lead, j->leads, first, last);
    for (int64_t t = t0, done; t < t1; t += done) {
        double sum[SIDE * ECG_LEADS];
        done = j->together && t + SIDE <= t1 ? SIDE : 1;
        if (done == 1) {
            taps_at(&p, r, t);
            one_output(sum, &p, x, first, j->n_in, j->leads);
        } else {
            outputs_side_by_side(sum, r, t, x, first, j->n_in);
        }
        for (int64_t i = 0; i < done * j->leads; i++)
            j->y[t * j->leads + i] = (float)sum[i];
    }
}

/* every so many blocks of outputs */
static void stripe(void *ctx, int item, int worker)
{
    const job *j = ctx;
    (void)worker;
    for (int64_t t = (int64_t)item * BLOCK; t < j->n_out; t += (int64_t)j->stripes * BLOCK)
        block_of_outputs(j, t, j->room + (size_t)item * ecg_resample_room(j->r, j->leads));
}

void ecg_resample_leads_in(float *y, const float *const *lead, int leads, int64_t n_in, const ecg_resampler *r, double *room, ecg_pool *pool)
{
    if (r->rate_in == r->rate_out) {
        copy_leads(y, lead, leads, n_in);
        return;
    }
    const int64_t n_out = ecg_resampled_length(n_in, r->rate_in, r->rate_out);
    const bool together = leads == 12 && r->tau_step == floor(r->tau_step) && sums_side_by_side();
    job j = {y, lead, leads, n_in, n_out, r, room, together, ecg_resample_stripes(pool)};
    ecg_pool_run(pool, stripe, &j, j.stripes);
}

ecg_status ecg_resample_leads(float *y, const float *const *lead, int leads, int64_t n_in, const ecg_resampler *r, ecg_err *err)
{
    double *room = aligned_alloc(64, (sizeof *room * ecg_resample_room(r, leads) + 63) / 64 * 64);
    if (!room)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for resampling");
    ecg_resample_leads_in(y, lead, leads, n_in, r, room, NULL);
    free(room);
    return ECG_OK;
}
