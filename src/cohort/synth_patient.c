/* SPDX-License-Identifier: MIT
 * synth_patient.c: who somebody is: demography, chronic disease, drugs. Drawn once per patient; earlier variables cause later ones.
 *
 * Frequencies and directions are textbook epidemiology of an adult emergency population, chosen to land on plausible prevalences, not
 * fitted to anything (docs/synthetic.md). In the formulas a = age - 60 and every draw has its own slot. */
#include <math.h>

#include "base/rng.h"
#include "cohort/synth_model.h"

#define SET(name, value) (p->name = ecg_synth_forced(s, ECG_VAR_##name, (value)))
#define LIKELY(name, x) SET(name, FLIP(CHRON, name, ecg_logistic(x)))

static double age_at(const ecg_synth *s, double share)
{
    const double at = share * (ECG_AGE_KNOTS - 1);
    const int k = (int)min_of(floor(at), ECG_AGE_KNOTS - 2);
    return 18 + 77 * (s->age_quantile[k] + (at - k) * (s->age_quantile[k + 1] - s->age_quantile[k]));
}

static void demography(ecg_patient *p, const ecg_synth *s, const ecg_draws *d)
{
    SET(male, FLIP(DEMO, male, 0.49));
    SET(age, age_at(s, UNIFORM(DEMO, age)));
    SET(height, 162 + 13.3 * p->male - 0.07 * (p->age - 50) + 6.9 * NORMAL(DEMO, height));
    SET(bmi, clip(27.6 * ecg_exp(0.21 * NORMAL(DEMO, bmi) - 0.00010 * (p->age - 52) * (p->age - 52)), 15, 60));
    SET(u, NORMAL(DEMO, u)); /* shared cardiometabolic risk */
    SET(w, NORMAL(DEMO, w)); /* shared risk of smoking, alcohol and deprivation */
}

static void metabolism_and_kidney(ecg_patient *p, const ecg_synth *s, const ecg_draws *d)
{
    const double a = p->age - 60, fat = p->bmi - 28;
    LIKELY(smoke, -1.3 + 0.9 * p->w + 0.3 * p->male);
    LIKELY(alc, -3.0 + 1.1 * p->w + 0.7 * p->male - 0.01 * a);
    LIKELY(htn, -0.1 + 0.055 * a + 0.07 * fat + 0.7 * p->u);
    LIKELY(dm, -1.5 + 0.025 * a + 0.11 * fat + 0.6 * p->u + 0.4 * p->htn);
    LIKELY(hld, -0.6 + 0.035 * a + 0.03 * fat + 0.6 * p->u + 0.5 * p->dm);
    LIKELY(esrd, -3.7 + 0.6 * p->dm + 0.5 * p->htn + 0.3 * p->u);
    const double kidney = 96 - 0.75 * (p->age - 40) - 14 * p->dm * SIZE(CHRON, egfr_dm) - 10 * p->htn * SIZE(CHRON, egfr_htn) + 9 * NORMAL(CHRON, egfr);
    SET(egfr, p->esrd > 0 ? 6 + 6 * UNIFORM(CHRON, egfr) : clip(kidney, 12, 125)); /* mL/min/1.73 m2 */
    SET(ckd, when(p->egfr < 60));
    SET(ckds, above(60 - p->egfr) / 50);
}

static void heart(ecg_patient *p, const ecg_synth *s, const ecg_draws *d)
{
    const double a = p->age - 60, fat = p->bmi - 28;
    LIKELY(cad, -2.2 + 0.05 * a + 0.5 * p->male + 0.6 * p->u + 0.4 * p->dm + 0.4 * p->htn + 0.3 * p->smoke + 0.3 * p->hld);
    SET(omi, p->cad * FLIP(CHRON, omi, 0.38));
    SET(omit, floor(3 * UNIFORM(CHRON, omit))); /* territory: 0 anterior, 1 inferior, 2 lateral */
    LIKELY(asten, -4.0 + 0.09 * (p->age - 65));
    LIKELY(hf, -3.1 + 0.05 * a + 0.8 * p->cad + 0.6 * p->omi + 0.5 * p->htn + 0.4 * p->dm + 1.0 * p->asten + 0.04 * fat + 0.5 * p->ckd);
    SET(hfr, p->hf * FLIP(CHRON, hfr, 0.45 + 0.25 * p->omi)); /* reduced ejection fraction */
    SET(hfs, p->hf * (0.6 + 0.5 * SIZE(CHRON, hfs)));
    SET(lvm, 0.55 * p->htn * (0.6 + 0.4 * SIZE(CHRON, lvm_htn)) + 1.0 * p->asten + 0.5 * p->hf + 0.9 * p->esrd + 0.35 * p->ckds
                 + 0.30 * NORMAL(CHRON, lvm)); /* left ventricular mass, z */
    LIKELY(af, -3.2 + 0.07 * (p->age - 65) + 1.1 * p->hf + 0.3 * p->htn + 0.3 * p->male + 0.03 * fat);
    SET(afp, p->af * FLIP(CHRON, afp, 0.55)); /* persistent */
}

static void other_disease(ecg_patient *p, const ecg_synth *s, const ecg_draws *d)
{
    const double a = p->age - 60, old = p->age - 65;
    LIKELY(copd, -3.2 + 1.9 * p->smoke + 0.035 * a);
    SET(copds, p->copd * (0.5 + 0.6 * SIZE(CHRON, copds)));
    LIKELY(osa, -3 + 0.16 * (p->bmi - 28) + 0.5 * p->male);
    LIKELY(hypot, -2.5 - 1.0 * p->male + 0.015 * a);
    SET(hypert, FLIP(CHRON, hypert, 0.03));
    LIKELY(cirr, -4.6 + 2.4 * p->alc + 0.3 * p->male);
    LIKELY(dep, -1.5 - 0.4 * p->male + 0.2 * p->w);
    LIKELY(dem, -4 + 0.12 * (p->age - 75));
    LIKELY(canc, -2.5 + 0.03 * a);
    LIKELY(lbbb, -4.2 + 0.05 * old + 1.8 * p->hfr);
    SET(rbbb, FLIP(CHRON, rbbb, ecg_logistic(-3.2 + 0.05 * old + 0.4 * p->male)) * (1 - p->lbbb));
    SET(lafb, FLIP(CHRON, lafb, ecg_logistic(-3.2 + 0.05 * old)) * (1 - p->lbbb));
    LIKELY(pacer, -4.8 + 0.06 * old + 1.0 * p->af + 0.9 * p->hf);
    LIKELY(pht, -4 + 1.0 * p->copd + 1.0 * p->hf + 0.03 * a);
}

/* Latent: no prescription is written. They make the same disease look different in two patients, as real confounding does. */
static void drugs(ecg_patient *p, const ecg_synth *s, const ecg_draws *d)
{
    SET(bb, FLIP(DRUG, bb, ecg_logistic(-1.7 + 1.3 * p->cad + 1.4 * p->hf + 1.2 * p->af + 0.5 * p->htn)));
    SET(loop, FLIP(DRUG, loop, ecg_logistic(-3 + 2.8 * p->hf + 0.8 * p->ckd)));
    SET(thz, FLIP(DRUG, thz, 0.25 * p->htn));
    SET(acei, FLIP(DRUG, acei, ecg_logistic(-2 + 1.6 * p->htn + 0.8 * p->dm + 0.6 * p->hf)));
    SET(mra, FLIP(DRUG, mra, 0.28 * p->hfr));
    SET(dig, FLIP(DRUG, dig, 0.16 * p->af + 0.12 * p->hfr));
    SET(qtd, FLIP(DRUG, qtd, 0.09 + 0.07 * p->dep)); /* QT-prolonging drug */
    SET(antico, FLIP(DRUG, antico, 0.02 + 0.7 * p->af));
}

void ecg_synth_patient(ecg_patient *p, const ecg_synth *s, uint32_t ordinal)
{
    const ecg_draws d = ecg_synth_draws(s, ordinal, 0);
    p->ordinal = ordinal;
    demography(p, s, &d);
    metabolism_and_kidney(p, s, &d);
    heart(p, s, &d);
    other_disease(p, s, &d);
    drugs(p, s, &d);
}
