/* SPDX-License-Identifier: MIT
 * synth_wave.c: the samples. Each beat adds Gaussian bumps to a three-dimensional dipole (McSharry 2003 in the vectorcardiographic form
 * of Sameni 2007, centres in ms after R instead of phases); Dower's matrix projects it to the leads.
 *
 * Beats draw in order from stream 22, always eight words a beat, atrial fibrillation from stream 23. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "cohort/synth_model.h"

enum { SAMPLES = ECG_SYNTH_SAMPLES, STEP = 2 /* ms */ };

const double ecg_synth_dower[8][3] = {
    {0.632, -0.235, 0.059}, {0.235, 1.066, -0.132}, {-0.515, 0.157, -0.917}, {0.044, 0.164, -1.387},
    {0.882, 0.098, -1.277}, {1.213, 0.127, -0.601}, {1.125, 0.127, -0.086}, {0.831, 0.076, 0.230},
};

/* First sample at or after ms. */
static int sample_at(double ms)
{
    const double i = ceil(ms / STEP);
    return i < 0 ? 0 : i > SAMPLES ? SAMPLES : (int)i;
}

/* A bump centred at `at` ms, followed over four widths to each side. A Gaussian at equal steps is a product of two recurrences, so one
 * exp starts each half: g[i+1] = g[i] q[i], q[i+1] = q[i] q0^2. */
static void add_bump(ecg_synth_room *room, ecg_vec3 v, double at, double rise, double fall)
{
    for (int half = 0; half < 2; half++) {
        const double width = half ? fall : rise, h = STEP / width;
        const int from = sample_at(half ? at : at - 4 * rise), to = sample_at(half ? at + 4 * fall : at);
        if (from >= to)
            continue;
        const double z = (from * STEP - at) / width, ratio = ecg_exp(-h * h);
        double g = ecg_exp(-0.5 * z * z), q = ecg_exp(-h * z - 0.5 * h * h);
        for (int i = from; i < to; i++, g *= q, q *= ratio) {
            room->dipole[0][i] += v.x * g;
            room->dipole[1][i] += v.y * g;
            room->dipole[2][i] += v.z * g;
        }
    }
}

/* The plateau between J and T: up at J over 6 ms, down over 28 ms before the T wave. */
static void add_plateau(ecg_synth_room *room, ecg_vec3 v, double up, double down)
{
    const int from = sample_at(up - 48), to = sample_at(down + 224);
    const double up_ratio = ecg_exp(-STEP / 6.0), down_ratio = ecg_exp(STEP / 28.0);
    double a = ecg_exp(-(from * STEP - up) / 6), b = ecg_exp((from * STEP - down) / 28);
    for (int i = from; i < to; i++, a *= up_ratio, b *= down_ratio) {
        const double g = 1 / ((1 + a) * (1 + b));
        room->dipole[0][i] += v.x * g;
        room->dipole[1][i] += v.y * g;
        room->dipole[2][i] += v.z * g;
    }
}

typedef struct {
    double at;      /* ms of R */
    double qt;      /* ms */
    double qrs_scale, t_scale;
} beat;

static double qt_of_beat(const ecg_take *t, double mean_rr, double rr)
{
    const double seconds = (0.75 * mean_rr + 0.25 * rr) / 1000;
    return max_of(220, t->QTc - 154 * (1 - seconds)); /* Framingham */
}

static void add_beat(ecg_synth_room *room, const ecg_visit *v, const ecg_take *t, const beat *b)
{
    if (v->afib == 0 && v->paced == 0)
        for (int i = 0; i < 2; i++)
            add_bump(room, t->p[i].at, b->at + t->p[i].centre, t->p[i].rise, t->p[i].fall);
    if (v->paced > 0) {
        const int from = sample_at(b->at - 70), to = sample_at(b->at - 66);
        for (int i = from; i < to; i++) {
            room->dipole[0][i] += 0.6 * t->spike;
            room->dipole[1][i] -= 0.9 * t->spike;
            room->dipole[2][i] += 0.3 * t->spike;
        }
    }
    for (int i = 0; i < t->qrs_bumps; i++)
        add_bump(room, vec3_scale(b->qrs_scale, t->qrs[i].at), b->at + t->qrs[i].centre, t->qrs[i].rise, t->qrs[i].fall);
    const double end = b->at + t->onset + b->qt, peak = end - 2 * t->t_fall, j = b->at + t->j_point;
    add_plateau(room, t->st, j, peak - 0.3 * t->t_rise);
    add_bump(room, vec3_scale(b->t_scale, t->t), peak, t->t_rise, t->t_fall);
    if (t->ramp > 0)
        add_bump(room, vec3_scale(b->t_scale * t->ramp, t->t), peak - 78 * t->tw, 46 * t->tw, 40 * t->tw);
    if (t->uwave > 0)
        add_bump(room, t->u, end + 70, 28, 32);
    if (v->temp < 33)
        add_bump(room, t->osborn, j, 9, 14);
}

static void add_premature_ventricular(ecg_synth_room *room, const ecg_take *t, const beat *b)
{
    add_bump(room, vec3_scale(1.5, t->focus), b->at, 29, 33);
    add_bump(room, vec3(-0.35 * t->focus.x, -0.35 * t->focus.y, 0.3 * t->focus.z), b->at + 60, 24, 28);
    add_bump(room, vec3_scale(-0.55, t->focus), b->at + b->qt - 60, 60, 38);
}

static void add_beats(ecg_synth_room *room, const ecg_synth *s, const ecg_patient *p, const ecg_visit *v, const ecg_take *t)
{
    ecg_rng rng;
    ecg_rng_open(&rng, s->options.seed, 0, ECG_S_BEAT, t->number, p->ordinal);
    const double mean_rr = 60000 / v->hr;
    const bool sinus = v->afib == 0 && v->paced == 0;
    bool premature = false;
    double now = -mean_rr * ecg_rng_uniform(&rng) - 200;
    while (now <= 10800) {
        const double shake = ecg_rng_normal(&rng), qrs_shake = ecg_rng_normal(&rng), t_shake = ecg_rng_normal(&rng);
        ecg_rng_normal(&rng); /* keeps the pairs of normals whole */
        const double u_pvc = ecg_rng_uniform(&rng), u_pac = ecg_rng_uniform(&rng), u_short = ecg_rng_uniform(&rng);
        ecg_rng_uniform(&rng);
        const double breath = ecg_sin(t->breath_phase + 6.283185307179586477 * t->breath_hz * now / 1000);
        double rr = mean_rr;
        if (sinus) {
            rr = max_of(0.6 * mean_rr, mean_rr * (1 + t->RSA * breath) + t->HRSD * shake);
        } else if (v->afib > 0) {
            rr = mean_rr * ecg_exp(0.22 * shake);
            if (rr < 280)
                rr = 280 + 60 * u_short;
        }
        beat b = {now, qt_of_beat(t, mean_rr, rr), 1 + 0.02 * qrs_shake + 0.03 * breath, 1 + 0.02 * t_shake};
        if (!premature && u_pvc < t->ppvc) {
            b.at = now - 0.35 * rr;
            add_premature_ventricular(room, t, &b);
            premature = true;
        } else {
            premature = false;
            if (sinus && u_pac < t->ppac) {
                b.at = now - 0.28 * rr;
                rr *= 0.9;
            }
            add_beat(room, v, t, &b);
        }
        now += rr;
    }
}

/* Sum of the four bytes of a word, standardised: near enough to a normal for what is filtered afterwards. */
static double rough_normal(uint32_t w)
{
    const uint32_t sum = (w & 255) + (w >> 8 & 255) + (w >> 16 & 255) + (w >> 24);
    return ((double)sum - 510) / 147.8016689; /* sqrt(4 (256^2 - 1) / 12) */
}

/* Three narrow-band oscillators, each with a slowly wandering amplitude and a little frequency modulation. */
static void add_fibrillation(ecg_synth_room *room, const ecg_synth *s, const ecg_patient *p, const ecg_take *t)
{
    static const ecg_vec3 direction[3] = {{0.15, 0.6, -0.85}, {-0.25, 0.3, 0.2}, {0.1, -0.35, -0.5}};
    const double two_pi = 6.283185307179586477, cos_offset = ecg_cos(1.1), sin_offset = ecg_sin(1.1);
    ecg_rng rng;
    ecg_rng_open(&rng, s->options.seed, 0, ECG_S_AF, t->number, p->ordinal);
    for (int k = 0; k < 3; k++) {
        const double hertz = 4.6 + 3.6 * ecg_rng_uniform(&rng), size = 0.8 * t->fwave * (k ? 0.7 : 1);
        double phase = two_pi * ecg_rng_uniform(&rng), a = rough_normal(ecg_rng_word(&rng));
        for (int i = 0; i < SAMPLES; i++) {
            a = 0.994 * a + 0.11 * rough_normal(ecg_rng_word(&rng));
            phase += two_pi * hertz * (1 + 0.13 * a) / 500;
            const double sine = ecg_sin(phase), cosine = ecg_cos(phase), sine2 = 2 * sine * cosine, cosine2 = 1 - 2 * sine * sine;
            const double g = size * abs_of(a) * (sine + 0.4 * (sine2 * cos_offset + cosine2 * sin_offset));
            room->dipole[0][i] += direction[k].x * g;
            room->dipole[1][i] += direction[k].y * g;
            room->dipole[2][i] += direction[k].z * g;
        }
    }
}

/* ---- electrodes ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    double now, before, twice_cos;
} sine; /* y[i+1] = 2 cos(w) y[i] - y[i-1] */

static sine sine_at(double size, double hertz, double phase)
{
    const double w = 6.283185307179586477 * hertz / 500;
    return (sine){size * ecg_sin(phase), size * ecg_sin(phase - w), 2 * ecg_cos(w)};
}

static inline double sine_next(sine *y)
{
    const double now = y->now;
    y->now = y->twice_cos * now - y->before;
    y->before = now;
    return now;
}

enum { GUST = 250 /* samples between two knots of how hard a muscle works */ };

/* Baseline: a slow sine, breathing, and a random walk that forgets in half a second. Muscle: white noise between 15 and 60 Hz, harder
 * and softer from one half second to the next, and slower movement of electrode and skin below 6 Hz. Mains: a sine. */
void ecg_synth_noise(ecg_synth_room *room, const ecg_synth *s, const ecg_patient *p, const ecg_take *t)
{
    for (int e = 0; e < 9; e++) {
        const uint32_t stream = (uint32_t)(ECG_S_NOISE + e);
        const double turn = 6.283185307179586477;
        ecg_rng rng;
        ecg_rng_open(&rng, s->options.seed, 0, stream, t->number, p->ordinal);
        double u[6];
        for (int i = 0; i < 6; i++)
            u[i] = ecg_rng_uniform(&rng);
        const double drift = 0.4 * t->bw * ecg_rng_normal(&rng) / SAMPLES;
        sine slow = sine_at(t->bw * (0.6 + 0.8 * u[0]), 0.04 + 0.12 * u[1], turn * u[2]);
        sine breath = sine_at(0.5 * t->bw, t->breath_hz, t->breath_phase);
        sine mains = sine_at(t->mains * (0.3 + 1.4 * u[3]), 60, turn * u[4]);
        const double muscle = 2.0 * t->emg * (0.6 + 0.8 * u[5]), walk_size = 9.5 * t->bw, skin_size = 2.4 * t->emg;
        double *out = room->noise[e], y = 0, high = 0, walk = 0.0448 * ecg_rng_normal(&rng), skin = 0, work = 1, rise = 0;
        uint32_t word[4], gust[4], counter[4] = {4, stream, t->number, p->ordinal}; /* blocks 0 to 3: the draws above */
        const uint32_t gusts = 0x10000; /* their blocks */
        for (int i = 0; i < SAMPLES; i++) {
            if (i % 4 == 0) {
                ecg_philox(word, counter, s->key);
                counter[0]++;
            }
            if (i % GUST == 0) {
                const uint32_t at[4] = {gusts + (uint32_t)(i / GUST), stream, t->number, p->ordinal};
                ecg_philox(gust, at, s->key);
                rise = (ecg_exp(0.45 * rough_normal(gust[0])) - work) / GUST;
            }
            const double white = rough_normal(word[i % 4]), last = y;
            y += 0.3 * (white - y);
            high = 0.8 * (high + y - last);
            walk += 0.004 * (white - walk);
            skin += 0.08 * (white - skin);
            work += rise;
            out[i] = sine_next(&slow) + sine_next(&breath) + sine_next(&mains) + drift * (i - SAMPLES / 2) + walk_size * walk + work * (muscle * high + skin_size * skin);
        }
    }
}

/* ---- twelve leads --------------------------------------------------------------------------------------------------------- */

static inline int16_t quantise(double mv)
{
    const double units = mv * 200, clipped = units < -32000 ? -32000 : units > 32000 ? 32000 : units;
    return (int16_t)((int)(clipped + 32768.5) - 32768); /* 5 uV; nearest */
}

void ecg_synth_wave(int16_t out[ECG_SYNTH_SAMPLES][ECG_SYNTH_LEADS], ecg_synth_room *room, const ecg_synth *s, const ecg_patient *p, const ecg_visit *v,
                    const ecg_take *t)
{
    memset(room->dipole, 0, sizeof room->dipole);
    add_beats(room, s, p, v, t);
    if (v->afib > 0)
        add_fibrillation(room, s, p, t);
    ecg_synth_noise(room, s, p, t);
    for (int i = 0; i < SAMPLES; i++) {
        const double x = room->dipole[0][i], y = room->dipole[1][i], z = room->dipole[2][i];
        const double ra = room->noise[0][i], la = room->noise[1][i], ll = room->noise[2][i], centre = (ra + la + ll) / 3;
        const double one = ecg_synth_dower[0][0] * x + ecg_synth_dower[0][1] * y + ecg_synth_dower[0][2] * z + la - ra;
        const double two = ecg_synth_dower[1][0] * x + ecg_synth_dower[1][1] * y + ecg_synth_dower[1][2] * z + ll - ra;
        int16_t *row = out[i];
        row[0] = quantise(one);
        row[1] = quantise(two);
        row[2] = quantise(two - one);
        row[3] = quantise(-(one + two) / 2);
        row[4] = quantise(two - one / 2);
        row[5] = quantise(one - two / 2);
        for (int c = 0; c < 6; c++) {
            const double *m = ecg_synth_dower[2 + c];
            row[6 + c] = quantise(m[0] * x + m[1] * y + m[2] * z + room->noise[3 + c][i] - centre);
        }
    }
    if (t->lead_off >= 0 || t->lead_flat >= 0)
        for (int i = 0; i < SAMPLES; i++)
            out[i][6 + (t->lead_off >= 0 ? t->lead_off : t->lead_flat)] = (int16_t)(t->lead_off >= 0 ? -32768 : 0);
}
