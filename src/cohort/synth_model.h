/* SPDX-License-Identifier: MIT
 * synth_model.h: the variables of the generator, inside src/cohort only.
 *
 * Three tables of variables, each row (name, least, most) with the range that an intervention may force: a patient, a visit, a
 * recording. Structs, column names of truth/latent.csv.gz and the names that --do knows are made from them. All are numbers; a flag
 * is 0 or 1, a severity 0 when its disease is absent. Units as in docs/synthetic.md. */
#ifndef ECG_COHORT_SYNTH_MODEL_H
#define ECG_COHORT_SYNTH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cohort/synth.h"
#include "cohort/synth_slots.h"

#define ECG_PATIENT_VARIABLES(X)                                                                                                  \
    X(male, 0, 1) X(age, 18, 95) X(height, 120, 220) X(bmi, 15, 60) X(u, -5, 5) X(w, -5, 5) X(smoke, 0, 1) X(alc, 0, 1)          \
    X(htn, 0, 1) X(dm, 0, 1) X(hld, 0, 1) X(esrd, 0, 1) X(egfr, 4, 130) X(ckd, 0, 1) X(ckds, 0, 2) X(cad, 0, 1) X(omi, 0, 1)     \
    X(omit, 0, 2) X(asten, 0, 1) X(hf, 0, 1) X(hfr, 0, 1) X(hfs, 0, 4) X(lvm, -2, 6) X(af, 0, 1) X(afp, 0, 1) X(copd, 0, 1)      \
    X(copds, 0, 5) X(osa, 0, 1) X(hypot, 0, 1) X(hypert, 0, 1) X(cirr, 0, 1) X(dep, 0, 1) X(dem, 0, 1) X(canc, 0, 1)             \
    X(lbbb, 0, 1) X(rbbb, 0, 1) X(lafb, 0, 1) X(pacer, 0, 1) X(pht, 0, 1) X(bb, 0, 1) X(loop, 0, 1) X(thz, 0, 1) X(acei, 0, 1)   \
    X(mra, 0, 1) X(dig, 0, 1) X(qtd, 0, 1) X(antico, 0, 1)

#define ECG_VISIT_VARIABLES(X)                                                                                                    \
    X(stemi, 0, 1) X(terr, 0, 2) X(nstemi, 0, 1) X(mi, 0, 1) X(mis, 0, 10) X(adhf, 0, 1) X(adhfs, 0, 5) X(hfe, 0, 8)             \
    X(pna, 0, 1) X(uti, 0, 1) X(oinf, 0, 1) X(infs, 0, 5) X(seps, 0, 1) X(sepss, 0, 5) X(copdx, 0, 1) X(pe, 0, 1) X(pes, 0, 5)   \
    X(gib, 0, 1) X(gibs, 0, 5) X(dka, 0, 1) X(dkas, 0, 5) X(vom, 0, 1) X(voms, 0, 5) X(missed, 0, 1) X(withd, 0, 1)              \
    X(stroke, 0, 1) X(ttox, 0, 1) X(sync, 0, 1) X(trauma, 0, 1) X(anx, 0, 1) X(odx, 0, 1) X(aki, 0, 1) X(akis, 0, 5)             \
    X(e, 4, 130) X(temp, 28, 43) X(lac, 0.1, 30) X(acid, 0, 15) X(ret, 0, 10) X(hco3, 2, 60) X(pco2, 5, 150) X(ph, 6.6, 7.8)     \
    X(K, 2.2, 8.2) X(Na, 100, 180) X(Mg, 0.5, 6) X(alb, 0.5, 7) X(iCa, 0.6, 2) X(Ca, 4, 18) X(phos, 0.2, 15) X(urea, 1, 300)     \
    X(crea, 0.1, 20) X(gluc, 20, 1500) X(hb, 4.5, 19) X(wbc, 0.1, 200) X(plt, 5, 2000) X(trop, 0.0001, 100) X(bnp, 1, 1e5)       \
    X(crp, 0.01, 1000) X(tsh, 0.001, 200) X(myx, 0, 10) X(t4, -3, 10) X(alt, 1, 5000) X(bili, 0.05, 60) X(inr, 0.5, 20)          \
    X(ckmb, 0.1, 1000) X(ddim, 10, 1e5) X(hypox, 0, 10) X(spo2, 50, 100) X(resp, 4, 70) X(sev, 0, 15) X(em, -5, 5)               \
    X(hr, 25, 220) X(afib, 0, 1) X(paced, 0, 1) X(sbp, 40, 260) X(dbp, 20, 160)

/* axis: how far the QRS vector is turned in the frontal plane, degrees clockwise; 0 is an electrical axis near +40 */
#define ECG_TAKE_VARIABLES(X)                                                                                                     \
    X(PR, 105, 330) X(QRSd, 60, 250) X(QTc, 330, 580) X(RSA, 0, 0.12) X(HRSD, 0, 40) X(lae, -1, 10) X(rae, 0, 10)                \
    X(pamp, 0.05, 2.2) X(pax, -3, 3) X(PSD, 14, 38) X(volt, 0.35, 2.6) X(axis, -180, 180) X(horizontal, -180, 180) X(stm, 0, 1)  \
    X(isc, 0, 1) X(scoop, 0, 1) X(strain, 0, 2) X(ta, 0, 10) X(kT, 0.2, 3) X(tw, 0.5, 1.35) X(uwave, 0, 0.25) X(ppvc, 0, 0.35)   \
    X(ppac, 0, 0.25) X(fwave, 0, 1) X(spike, 0, 3) X(bw, 0, 5) X(emg, 0, 2) X(mains, 0, 2)

enum {
#define X(name, least, most) ECG_VAR_##name,
    ECG_PATIENT_VARIABLES(X) ECG_VISIT_VARIABLES(X) ECG_TAKE_VARIABLES(X) ECG_VARS,
#undef X
    ECG_VAR_FIRST_OF_VISIT = ECG_VAR_stemi,
    ECG_VAR_FIRST_OF_TAKE = ECG_VAR_PR
};

typedef struct {
    const char *name;
    double least, most;
} ecg_synth_variable;
extern const ecg_synth_variable ecg_synth_variables[ECG_VARS];

typedef struct {
    double x, y, z; /* left, down (feet), back; mV */
} ecg_vec3;

#define X(name, least, most) double name;
typedef struct {
    ECG_PATIENT_VARIABLES(X)
    uint32_t ordinal;
} ecg_patient;

typedef struct {
    ECG_VISIT_VARIABLES(X)
    uint32_t number;   /* counter word of its streams */
} ecg_visit;

/* One bump of the dipole: a Gaussian about a centre in ms after R with its own width before and after. */
typedef struct {
    ecg_vec3 at;
    double centre, rise, fall;
} ecg_bump;

enum { ECG_QRS_BUMPS = 7 };

typedef struct {
    ECG_TAKE_VARIABLES(X)
    uint32_t number;                 /* counter word of its streams: the visit's for its first ECG */
    ecg_bump p[2];                   /* right atrium, left atrium */
    ecg_bump qrs[ECG_QRS_BUMPS];
    int qrs_bumps;
    ecg_vec3 st, t, u, osborn, focus;
    double t_rise, t_fall;           /* ms */
    double ramp;                     /* share of T that comes before it, slowly */
    double onset, j_point;           /* begin and end of the QRS, ms after R */
    double breath_hz, breath_phase;
    int lead_off, lead_flat;         /* 0..5 for V1..V6, -1: none */
} ecg_take;
#undef X

/* ---- draws ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint32_t key[2], visit, patient;
} ecg_draws;

double ecg_draw_normal(const ecg_draws *d, uint32_t stream, uint32_t slot);
double ecg_draw_uniform(const ecg_draws *d, uint32_t stream, uint32_t slot);  /* word 2 */
double ecg_draw_uniform2(const ecg_draws *d, uint32_t stream, uint32_t slot); /* word 3 */

/* The names of the slots as the formulas of the specification read: NORMAL(PHYS, K), FLIP(ACUTE, pna, p). They need a `d` in scope. */
#define NORMAL(stream, name) ecg_draw_normal(d, ECG_S_##stream, stream##_##name)
#define SIZE(stream, name) abs_of(NORMAL(stream, name))
#define UNIFORM(stream, name) ecg_draw_uniform(d, ECG_S_##stream, stream##_##name)
#define UNIFORM2(stream, name) ecg_draw_uniform2(d, ECG_S_##stream, stream##_##name)
#define FLIP(stream, name, p) ((double)(UNIFORM(stream, name) < (p)))

static inline double abs_of(double x) { return x < 0 ? -x : x; }
static inline double above(double x) { return x > 0 ? x : 0; } /* r(x) of the specification */
static inline double clip(double x, double least, double most) { return x < least ? least : x > most ? most : x; }
static inline double max_of(double a, double b) { return a > b ? a : b; }
static inline double min_of(double a, double b) { return a < b ? a : b; }
static inline double when(bool condition) { return condition ? 1 : 0; } /* [condition] of the specification */
double ecg_logistic(double x);                                          /* s(x) */
int64_t ecg_nearest_int(double x);                                      /* halves away from 0 */

/* ---- effects: what each cause did to each ECG parameter -------------------------------------------------------------------- */

/* _factor: a factor; the others: what was added, in the unit of the name (a share: of the unchanged width) */

#define ECG_SYNTH_PARAMETERS(X)                                                                                                   \
    X(HR_bpm) X(PR_ms) X(QRS_ms) X(QTc_ms) X(axis_deg) X(P_factor) X(QRS_factor) X(T_factor) X(T_width_share) X(ST_mV) X(T_mV) X(U_mV)
enum {
#define X(name) ECG_ON_##name,
    ECG_SYNTH_PARAMETERS(X) ECG_ON_COUNT
#undef X
};
extern const char *const ecg_synth_parameters[ECG_ON_COUNT];

enum { ECG_EFFECTS = 192 };
typedef struct {
    int n;
    struct {
        int on;
        const char *cause;
        double delta;
    } row[ECG_EFFECTS];
} ecg_effects;

/* Terms of a sum and factors of a product pass through these on their way into a formula; f may be NULL. What is 0 (or 1) is not kept. */
double ecg_effect_term(ecg_effects *f, int on, const char *cause, double delta);
double ecg_effect_factor(ecg_effects *f, int on, const char *cause, double factor);

/* ---- the model: pure functions of (options, patient, visit) ---------------------------------------------------------------- */

enum { ECG_AGE_KNOTS = 1025 };
typedef struct {
    ecg_synth_options options;
    uint32_t key[2];
    double forced[ECG_VARS];           /* NAN: not forced */
    double age_quantile[ECG_AGE_KNOTS]; /* of Beta(2.6, 1.9), at equal steps of probability */
    double visits_share[16];           /* cumulative */
} ecg_synth;

void ecg_synth_begin(ecg_synth *s, const ecg_synth_options *o);
ecg_draws ecg_synth_draws(const ecg_synth *s, uint32_t patient, uint32_t visit);
/* The intervention: x unless the variable is forced. */
double ecg_synth_forced(const ecg_synth *s, int variable, double x);

void ecg_synth_patient(ecg_patient *p, const ecg_synth *s, uint32_t ordinal);
/* quiet: nothing acute happens (an ECG outside the hospital). f: terms of the heart rate, may be NULL. */
void ecg_synth_visit(ecg_visit *v, const ecg_synth *s, const ecg_patient *p, uint32_t number, bool quiet, ecg_effects *f);
void ecg_synth_take(ecg_take *t, const ecg_synth *s, const ecg_patient *p, const ecg_visit *v, uint32_t number, ecg_effects *f);

/* Room for one recording being made; a thread has its own. */
typedef struct {
    double dipole[3][ECG_SYNTH_SAMPLES];
    double noise[9][ECG_SYNTH_SAMPLES]; /* electrodes RA LA LL V1..V6 */
} ecg_synth_room;
void ecg_synth_wave(int16_t out[ECG_SYNTH_SAMPLES][ECG_SYNTH_LEADS], ecg_synth_room *room, const ecg_synth *s, const ecg_patient *p, const ecg_visit *v,
                    const ecg_take *t);
void ecg_synth_noise(ecg_synth_room *room, const ecg_synth *s, const ecg_patient *p, const ecg_take *t);

/* The eight independent leads I II V1..V6 of a dipole (Dower). */
extern const double ecg_synth_dower[8][3];
static inline ecg_vec3 vec3(double x, double y, double z) { return (ecg_vec3){x, y, z}; }
static inline ecg_vec3 vec3_add(ecg_vec3 a, ecg_vec3 b) { return vec3(a.x + b.x, a.y + b.y, a.z + b.z); }
static inline ecg_vec3 vec3_scale(double k, ecg_vec3 a) { return vec3(k * a.x, k * a.y, k * a.z); }

#endif
