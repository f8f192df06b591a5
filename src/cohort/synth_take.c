/* SPDX-License-Identifier: MIT
 * synth_take.c: from physiology to the parameters of one recording: intervals, atrial and ventricular vectors, repolarisation, ectopy,
 * nuisance and noise. Where the sizes come from: docs/synthetic.md and the specification's section 10.
 *
 * Axes: x to the patient's left, y down, z to the back; millivolt. PERSON(x) is a normal of the patient, the same in all recordings;
 * NORMAL(TAKE, x) one of this recording. term() and factor() also record what each cause did (truth/effects.csv.gz). */
#include <math.h>

#include "base/rng.h"
#include "cohort/synth_model.h"

#define SET(name, value) (t->name = ecg_synth_forced(k->s, ECG_VAR_##name, (value)))
#define PERSON(name) ecg_draw_normal(&k->person, ECG_S_TRAIT, TRAIT_##name)
#define term(on, cause, x) ecg_effect_term(k->f, ECG_ON_##on, cause, x)
#define factor(on, cause, x) ecg_effect_factor(k->f, ECG_ON_##on, cause, x)

typedef struct {
    const ecg_synth *s;
    const ecg_patient *p;
    const ecg_visit *v;
    ecg_draws person, take;
    double a;      /* age - 60 */
    bool wide;     /* left bundle branch block or ventricular pacing */
    double narrow; /* QRS without block, ms */
    double pace;   /* of activation without block: 1 where the QRS lasts 82 ms, as its bumps are drawn */
    double volt;   /* with the nuisance */
    ecg_effects *f;
} maker;

static const double degree = 3.14159265358979323846 / 180;

static ecg_vec3 turn_frontal(ecg_vec3 v, double angle)
{
    const double c = ecg_cos(angle), n = ecg_sin(angle);
    return vec3(v.x * c - v.y * n, v.x * n + v.y * c, v.z);
}

static ecg_vec3 turn_horizontal(ecg_vec3 v, double angle)
{
    const double c = ecg_cos(angle), n = ecg_sin(angle);
    return vec3(v.x * c - v.z * n, v.y, v.x * n + v.z * c);
}

static void intervals(ecg_take *t, maker *k)
{
    const ecg_patient *p = k->p;
    const ecg_visit *v = k->v;
    const ecg_draws *d = &k->take;
    const double block = when(ecg_draw_uniform(&k->person, ECG_S_TRAIT, TRAIT_avb) < ecg_logistic(-2.9 + 0.06 * (p->age - 68) + 0.5 * p->af));
    SET(PR, clip(158 + 16 * PERSON(PR) + term(PR_ms, "age", 0.28 * k->a) + term(PR_ms, "hr", -0.12 * (v->hr - 72)) + term(PR_ms, "K", 11 * above(v->K - 5.2))
                     + term(PR_ms, "dig", 14 * p->dig) + term(PR_ms, "bb", 6 * p->bb) + term(PR_ms, "bmi", 0.15 * (p->bmi - 28))
                     + term(PR_ms, "hypot", 4 * p->hypot) + term(PR_ms, "Mg", 5 * above(1.75 - v->Mg)) + term(PR_ms, "avblock", 48 * block),
                 105, 330));
    k->narrow = 84 + 5 * PERSON(QRS) + term(QRS_ms, "male", 5 * p->male) + term(QRS_ms, "lvm", 6 * above(p->lvm)) + term(QRS_ms, "hfr", 6 * p->hfr)
                + term(QRS_ms, "K", 9 * above(v->K - 5.6)) + term(QRS_ms, "qtd", 1.2 * p->qtd);
    double duration = k->narrow + term(QRS_ms, "rbbb", 36 * p->rbbb);
    if (k->wide) {
        ecg_effect_term(k->f, ECG_ON_QRS_ms, v->paced > 0 ? "paced" : "lbbb", 150 - duration);
        duration = 150;
    }
    SET(QRSd, duration);
    k->pace = (k->wide ? k->narrow : t->QRSd - 36 * p->rbbb) / 82;
    t->onset = k->wide ? -60 : -37 * k->pace; /* 2.3 widths before the centre of the first bump */
    t->j_point = t->onset + t->QRSd;
    const double iCa = v->iCa - 1.20;
    const double QTc = clip(402 + 11 * PERSON(QTc) + term(QTc_ms, "male", 10 * (1 - p->male)) + term(QTc_ms, "age", 0.25 * k->a)
                                + term(QTc_ms, "qtd", 22 * p->qtd) + term(QTc_ms, "hfe", 8 * v->hfe) + term(QTc_ms, "lvm", 6 * p->lvm)
                                + term(QTc_ms, "Mg", 20 * above(1.75 - v->Mg)) + term(QTc_ms, "sepss", 6 * v->sepss) + term(QTc_ms, "dig", -14 * p->dig)
                                + term(QTc_ms, "alc", 5 * p->alc) + term(QTc_ms, "hypot", 4.5 * p->hypot)
                                + term(QTc_ms, "iCa", -115 * iCa * (iCa < 0 ? 1.25 : 0.8)) + term(QTc_ms, "K", 19 * above(3.6 - v->K))
                                + term(QTc_ms, v->paced > 0 ? "paced" : "lbbb", 28 * when(k->wide)) + term(QTc_ms, "rbbb", 14 * p->rbbb)
                                + term(QTc_ms, "stroke", 14 * v->stroke) + term(QTc_ms, "nstemi", 8 * v->nstemi) + term(QTc_ms, "temp", 18 * above(36 - v->temp)),
                            330, 580);
    SET(QTc, clip(QTc + k->s->options.nuisance * 8 * NORMAL(TAKE, QTc), 330, 580));
    const double calm = ecg_exp(-0.022 * (p->age - 40) - 0.012 * (v->hr - 70) - 0.55 * p->dm - 0.35 * p->hf + 0.35 * NORMAL(TAKE, RSA));
    SET(RSA, clip(0.035 * calm, 0, 0.12)); /* breathing arrhythmia, share of RR */
    SET(HRSD, clip(12 * calm, 2, 40));     /* ms */
}

static void atria(ecg_take *t, const maker *k)
{
    const ecg_patient *p = k->p;
    const ecg_visit *v = k->v;
    const ecg_draws *d = &k->take;
    SET(lae, 0.30 * v->hfe + 0.245 * p->lvm + 0.35 * p->af + 0.15 * p->osa + 0.18 * NORMAL(TAKE, lae));
    SET(rae, 0.75 * p->copds + 0.5 * p->pht + 0.5 * v->pes + 0.2 * p->osa);
    const double salt = factor(P_factor, "K", 1 - clip(0.26 * above(v->K - 5.4), 0, 0.9) + 0.10 * above(3.6 - v->K));
    SET(pamp, clip(ecg_exp(0.22 * PERSON(g)) * salt, 0.05, 2.2));
    SET(pax, 0.10 * PERSON(pax) + 0.30 * min_of(p->copds, 2));
    SET(PSD, clip(min_of(22 * (1 + 0.13 * t->lae) + 1.7 * PERSON(PSD), t->PR / 4.6), 14, 38)); /* the P wave lasts 4.6 PSD */
    const ecg_vec3 right = vec3(0.030 * (1 + 0.4 * t->rae), 0.085 * (1 + 0.75 * t->rae), -0.045 * (1 + 0.4 * t->rae));
    const ecg_vec3 left = vec3(0.070 * (1 + 0.2 * t->lae), 0.050, 0.050 * (1 + 0.9 * above(t->lae)));
    const double start = t->onset - t->PR;
    t->p[0] = (ecg_bump){vec3_scale(t->pamp, turn_frontal(right, t->pax)), start + 1.60 * t->PSD, 0.70 * t->PSD, 0.70 * t->PSD};
    t->p[1] = (ecg_bump){vec3_scale(t->pamp, turn_frontal(left, t->pax)), start + 2.85 * t->PSD, 0.76 * t->PSD, 0.76 * t->PSD};
}

static void voltage_and_axis(ecg_take *t, maker *k)
{
    const ecg_patient *p = k->p;
    const ecg_visit *v = k->v;
    const ecg_draws *d = &k->take;
    const double nuisance = k->s->options.nuisance, fat = p->bmi - 27;
    const double volt = clip(ecg_exp(0.17 * PERSON(volt)) * factor(QRS_factor, "age", 1 - 0.0045 * k->a) * factor(QRS_factor, "male", 1 - 0.13 * (1 - p->male))
                                 * factor(QRS_factor, "lvm", max_of(0.2, 1 + 0.26 * p->lvm)) * factor(QRS_factor, "bmi", ecg_exp(-0.011 * fat))
                                 * factor(QRS_factor, "copds", ecg_exp(-0.15 * p->copds)) * factor(QRS_factor, "adhfs", ecg_exp(-0.07 * v->adhfs))
                                 * factor(QRS_factor, "sepss", ecg_exp(-0.06 * v->sepss)) * factor(QRS_factor, "myx", ecg_exp(-0.10 * v->myx))
                                 * factor(QRS_factor, "cirr", ecg_exp(-0.05 * p->cirr)),
                             0.35, 2.6);
    SET(volt, volt * ecg_exp(nuisance * 0.10 * NORMAL(TAKE, volt)));
    k->volt = t->volt;
    const double axis = 14 * PERSON(ax) + term(axis_deg, "age", -0.42 * k->a) + term(axis_deg, "bmi", -1.1 * fat) + term(axis_deg, "copds", 17 * p->copds)
                        + term(axis_deg, "pes", 9 * v->pes) + term(axis_deg, "pht", 8 * p->pht) + term(axis_deg, "lvm", -5 * p->lvm)
                        + term(axis_deg, "lafb", -48 * p->lafb);
    SET(axis, axis + nuisance * 8 * NORMAL(TAKE, ax));
    SET(horizontal, 11 * PERSON(ro) + 16 * p->copds + 6 * p->lvm + 9 * p->pht - 0.1 * k->a + nuisance * 12 * NORMAL(TAKE, ro));
}

/* Activation of a ventricle without its left bundle, or from a stimulus at the apex of the right one. */
static ecg_vec3 slow_direction(const ecg_take *t, const maker *k)
{
    return turn_frontal(vec3(0.85, 0.30, 1.05), (0.6 * t->axis - (k->v->paced > 0 ? 95 : 0)) * degree);
}

static void add_qrs(ecg_take *t, ecg_vec3 at, double centre, double width)
{
    t->qrs[t->qrs_bumps++] = (ecg_bump){at, centre, width, width};
}

static void ventricles(ecg_take *t, const maker *k)
{
    const ecg_patient *p = k->p;
    const ecg_visit *v = k->v;
    const double pace = k->pace;
    ecg_vec3 q = vec3(-0.14, -0.02, -0.25), r = vec3(1.40, 0.58, 0.14), s = vec3(-0.14, -0.10, (0.86 + 0.10 * p->lvm) * (1 - 0.5 * p->rbbb));
    double q_width = 7;
    if (p->omi > 0) {
        const double m = max_of(0.2, (p->omit == 1 ? 0.8 : 0.7) + 0.3 * PERSON(omi));
        q_width *= 1 + 0.45 * m;
        if (p->omit == 0)
            q.z += 0.42 * m, r.z += 0.18 * m;
        else if (p->omit == 1)
            q.y -= 0.42 * m, r.y -= 0.22 * m;
        else
            q.x -= 0.25 * m, r.x -= 0.30 * m;
    }
    const double share_q = k->wide ? 0.12 : 1, share_r = k->wide ? 0.25 : 1;
    const struct {
        ecg_vec3 at;
        double share, centre, width;
    } main_three[3] = {{q, share_q, -21, q_width}, {r, share_r, 0, 10.5}, {s, share_q, 21, 9}};
    for (int i = 0; i < 3; i++) {
        const ecg_vec3 turned = turn_horizontal(turn_frontal(main_three[i].at, t->axis * degree), t->horizontal * degree);
        add_qrs(t, vec3_scale(k->volt * main_three[i].share, turned), main_three[i].centre * pace, main_three[i].width * pace);
    }
    /* everybody's own slur or notch */
    add_qrs(t, vec3_scale(0.08 * k->volt * share_r, vec3(PERSON(slur_x), PERSON(slur_y), PERSON(slur_z))),
            (-18 + 42 * ecg_draw_uniform(&k->person, ECG_S_TRAIT, TRAIT_slur_x)) * pace, 5.5 * pace);
    const double rv = p->rbbb + 0.24 * v->pes + 0.08 * p->pht; /* terminal force to the right and to the front */
    if (rv > 0) { /* with the block it ends where the QRS ends */
        const ecg_vec3 late = vec3_scale(share_q * rv, vec3(-0.50 * sqrt(k->volt), 0.06, -0.50 * sqrt(k->volt)));
        add_qrs(t, late, p->rbbb > 0 ? t->j_point - 36 : 30 * pace, p->rbbb > 0 ? 16 : 9 * pace);
    }
    if (k->wide) {
        const ecg_vec3 slow = slow_direction(t, k);
        add_qrs(t, vec3_scale(0.95 * k->volt, slow), -8, 22);
        add_qrs(t, vec3_scale(0.85 * k->volt, slow), 38, 21);
    }
}

/* A vector that a cause adds; what is recorded is its length. */
static ecg_vec3 pull(const maker *k, int on, const char *cause, double size, ecg_vec3 direction)
{
    const double length = sqrt(direction.x * direction.x + direction.y * direction.y + direction.z * direction.z);
    ecg_effect_term(k->f, on, cause, size * length);
    return vec3_scale(size, direction);
}

static const ecg_vec3 territory[3] = {{0.15, -0.05, -1.0}, {-0.25, 1.0, 0.15}, {0.95, -0.45, 0.10}}; /* anterior, inferior, lateral */

static void st_segment(ecg_take *t, const maker *k)
{
    const ecg_patient *p = k->p;
    const ecg_visit *v = k->v;
    const ecg_draws *d = &k->take;
    const double nuisance = k->s->options.nuisance;
    SET(stm, v->stemi > 0 ? clip(0.15 + 0.10 * v->mis, 0.1, 0.45) : 0);
    SET(isc, (v->nstemi > 0 ? clip(0.05 + 0.03 * v->mis, 0, 0.16) : 0) + 0.018 * p->cad * above(9 - v->hb) + 0.015 * v->gibs * p->cad
                 + 0.02 * p->cad * above(v->hr - 95) / 30);
    SET(scoop, 0.055 * p->dig);
    SET(strain, 0.045 * above(p->lvm - 0.7));
    ecg_vec3 st = pull(k, ECG_ON_ST_mV, "stemi", t->stm, territory[(int)v->terr]);
    st = vec3_add(st, pull(k, ECG_ON_ST_mV, "ischaemia", -t->isc, vec3(0.75, 0.5, -0.45)));
    st = vec3_add(st, pull(k, ECG_ON_ST_mV, "dig", -t->scoop, vec3(0.8, 0.6, -0.1)));
    st = vec3_add(st, pull(k, ECG_ON_ST_mV, "lvm", -t->strain, vec3(0.9, 0.3, 0.35)));
    st = vec3_add(st, pull(k, ECG_ON_ST_mV, "K", -0.05 * above(3.5 - v->K), vec3(0.6, 0.5, -0.3)));
    st = vec3_add(st, pull(k, ECG_ON_ST_mV, "pes", 0.03 * v->pes, vec3(-0.3, 0.1, -0.2)));
    st = vec3_add(st, vec3_scale(0.012, vec3(NORMAL(TAKE, STx), NORMAL(TAKE, STy), -SIZE(TAKE, STz))));
    st.z -= 0.025 * p->male * above(1.4 - p->age / 55); /* early repolarisation of young men */
    if (k->wide)
        st = vec3_add(st, pull(k, ECG_ON_ST_mV, v->paced > 0 ? "paced" : "lbbb", -0.10 * k->volt, slow_direction(t, k)));
    t->st = vec3_add(st, vec3_scale(nuisance * 0.02, vec3(NORMAL(TAKE, nSTx), NORMAL(TAKE, nSTy), NORMAL(TAKE, nSTz))));
}

static void t_and_u_wave(ecg_take *t, const maker *k)
{
    const ecg_patient *p = k->p;
    const ecg_visit *v = k->v;
    const ecg_draws *d = &k->take;
    const double nuisance = k->s->options.nuisance;
    SET(kT, clip(1 + 0.19 * clip(v->K - 4.15, -0.85, 0.85) + 0.42 * above(v->K - 5.0) - 0.32 * above(3.4 - v->K), 0.2, 3));
    const double worn = clip(0.07 * p->dm + 0.12 * p->hf + 0.10 * p->cad + 0.03 * above(12 - v->hb) + 0.05 * v->sepss + 0.048 * p->hypot
                                 + 0.06 * v->gluc / 400 + 0.004 * above(v->hr - 75),
                             0, 0.7);
    factor(T_factor, "dm", 1 - 0.07 * p->dm), factor(T_factor, "hf", 1 - 0.12 * p->hf), factor(T_factor, "cad", 1 - 0.10 * p->cad);
    factor(T_factor, "hb", 1 - 0.03 * above(12 - v->hb)), factor(T_factor, "sepss", 1 - 0.05 * v->sepss), factor(T_factor, "hypot", 1 - 0.048 * p->hypot);
    factor(T_factor, "gluc", 1 - 0.06 * v->gluc / 400), factor(T_factor, "hr", 1 - 0.004 * above(v->hr - 75));
    SET(ta, ecg_exp(0.22 * PERSON(ta)) * factor(T_factor, "age", 1 - 0.0045 * k->a) * factor(T_factor, "male", 0.84 + 0.24 * p->male)
                * factor(T_factor, "K", t->kT) * (1 - worn));
    ecg_vec3 wave = vec3_scale(t->ta, vec3(0.38, 0.15, -0.23));
    wave = vec3_add(wave, pull(k, ECG_ON_T_mV, "lvm", -0.17 * above(p->lvm - 0.55), vec3(1, 0.35, 0.35)));
    wave = vec3_add(wave, pull(k, ECG_ON_T_mV, "nstemi", -0.16 * v->nstemi * min_of(v->mis, 2), vec3(0.75, 0.5, -0.8)));
    wave = vec3_add(wave, pull(k, ECG_ON_T_mV, "stemi", 0.54 * t->stm, territory[(int)v->terr]));
    wave = vec3_add(wave, pull(k, ECG_ON_T_mV, "cad", -0.10 * p->cad * (0.4 + 0.4 * p->omi), vec3(0.7, 0.5, -0.2)));
    wave = vec3_add(wave, pull(k, ECG_ON_T_mV, "pes", 0.14 * (v->pes + 0.3 * p->pht), vec3(0.1, -0.1, 1)));
    wave = vec3_add(wave, pull(k, ECG_ON_T_mV, "dig", -1.6 * t->scoop, vec3(0.8, 0.6, -0.1)));
    wave = vec3_add(wave, pull(k, ECG_ON_T_mV, "hfr", -0.10 * p->hfr, vec3(0.9, 0.4, -0.2)));
    wave = vec3_add(wave, vec3_scale(0.045, vec3(PERSON(Tx), PERSON(Ty), PERSON(Tz))));
    wave = vec3_add(wave, pull(k, ECG_ON_T_mV, "K", 0.13 * above(v->K - 5.3), vec3(0.9, 0.65, -0.75)));
    if (k->wide) /* discordant */
        wave = vec3_scale(-0.30 * k->volt * clip(t->kT, 0.4, 3), slow_direction(t, k));
    wave.z += 0.16 * k->volt * p->rbbb;
    wave = vec3_scale(ecg_exp(nuisance * 0.12 * NORMAL(TAKE, T)), wave);
    t->t = vec3_add(wave, vec3_scale(nuisance * 0.03, vec3(NORMAL(TAKE, Tx), NORMAL(TAKE, Ty), NORMAL(TAKE, Tz))));

    SET(tw, clip(1 + term(T_width_share, "K", -0.055 * (v->K - 4.15) - 0.10 * above(v->K - 5.0)) + 0.05 * PERSON(tw), 0.5, 1.35));
    t->t_rise = 58 * t->tw;
    t->t_fall = 42 * t->tw;
    t->ramp = 0.20 * clip(1 + 3 * (t->tw - 1), 0, 1.3); /* the slow beginning of T; a tent has none */
    SET(uwave, clip(0.012 + term(U_mV, "K", 0.11 * above(3.55 - v->K)) + term(U_mV, "hr", 0.02 * above(62 - v->hr) / 15)
                        + term(U_mV, "Mg", 0.05 * above(1.6 - v->Mg)) + 0.006 * NORMAL(TAKE, U),
                    0, 0.25));
    t->u = vec3_scale(t->uwave, vec3(0.6, 0.5, -0.5));
    t->osborn = vec3_scale(0.1 * above(33 - v->temp), vec3(0.8, 0.6, 0.1));
}

static void ectopy_and_noise(ecg_take *t, const maker *k)
{
    const ecg_patient *p = k->p;
    const ecg_visit *v = k->v;
    const ecg_draws *d = &k->take;
    SET(ppvc, clip(ecg_exp(-4.6 + 0.03 * k->a + 0.5 * p->hf + 0.5 * p->omi + 0.9 * above(3.6 - v->K) + 2.4 * above(1.75 - v->Mg) + 0.6 * p->dig
                           + 0.9 * NORMAL(TAKE, pvc)),
                   0, 0.35));
    SET(ppac, clip(ecg_exp(-4.3 + 0.03 * k->a + 0.3 * p->copd + 0.3 * t->lae + 0.7 * NORMAL(TAKE, pac)), 0, 0.25));
    const double angle = 2 * 180 * degree * ecg_draw_uniform(&k->person, ECG_S_TRAIT, TRAIT_pvc_angle);
    t->focus = vec3(0.9 * ecg_cos(angle), 0.7 * ecg_sin(angle), 0.5 * PERSON(pvc));
    SET(fwave, 0.05 * ecg_exp(0.4 * NORMAL(TAKE, fwave)));
    SET(spike, 0.6 + 0.8 * UNIFORM(TAKE, spike));
    const double noise = k->s->options.noise;
    SET(bw, noise * 0.028 * ecg_exp(0.6 * NORMAL(TAKE, BW)));
    SET(emg, noise * 0.006 * ecg_exp(0.55 * NORMAL(TAKE, EMG)) * (1 + 0.6 * v->withd + 0.4 * when(v->temp > 38.3) + 0.3 * v->anx));
    SET(mains, noise * 0.002 * ecg_exp(0.9 * NORMAL(TAKE, mains)));
    t->breath_hz = v->resp / 60;
    t->breath_phase = 360 * degree * UNIFORM(TAKE, breath);
    t->lead_off = UNIFORM(LEADOFF, lead) < 0.012 ? (int)(6 * UNIFORM2(LEADOFF, lead)) : -1;
    t->lead_flat = t->lead_off < 0 && UNIFORM(LEADOFF, flat) < 0.004 ? (int)(6 * UNIFORM2(LEADOFF, flat)) : -1;
}

void ecg_synth_take(ecg_take *t, const ecg_synth *s, const ecg_patient *p, const ecg_visit *v, uint32_t number, ecg_effects *f)
{
    maker k = {.s = s, .p = p, .v = v, .person = ecg_synth_draws(s, p->ordinal, 0), .take = ecg_synth_draws(s, p->ordinal, number), .a = p->age - 60,
               .wide = p->lbbb > 0 || v->paced > 0, .f = f};
    t->number = number;
    t->qrs_bumps = 0;
    intervals(t, &k);
    atria(t, &k);
    voltage_and_axis(t, &k);
    ventricles(t, &k);
    st_segment(t, &k);
    t_and_u_wave(t, &k);
    ectopy_and_noise(t, &k);
}
