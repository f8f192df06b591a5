/* SPDX-License-Identifier: MIT
 * synth_visit.c: what happens to somebody: acute events, the physiology they leave at the time of the ECG, rhythm, rate, pressure.
 *
 * True values, before any laboratory error. Directions and sizes: docs/synthetic.md. The heart rate rises 4 beats/min per degree of
 * temperature and 2 per unit of sepsis here where the specification has 8.5 and 8: with those the total slope against temperature was
 * 17.5 in sinus rhythm, because fever mostly comes with sepsis, hypoxia and withdrawal that count again; with these it is
 * 9.4, and the literature has 7 to 10 (Kirschen 2020, Jensen 2019). */
#include "base/rng.h"
#include "cohort/synth_model.h"

#define SET(name, value) (v->name = ecg_synth_forced(s, ECG_VAR_##name, (value)))
#define ln(x) ecg_log(x)

/* quiet: every probability is 0; the draws stay where they are. */
#define HAPPENS(name, x) SET(name, quiet ? 0 : FLIP(ACUTE, name, ecg_logistic(x)))
#define HAPPENS_AT(name, p) SET(name, quiet ? 0 : FLIP(ACUTE, name, p))

static void acute_events(ecg_visit *v, const ecg_synth *s, const ecg_patient *p, const ecg_draws *d, bool quiet)
{
    const double a = p->age - 60;
    HAPPENS(stemi, -4.4 + 0.8 * p->cad + 0.015 * a + 0.4 * p->male + 0.4 * p->smoke);
    SET(terr, (double)(int)(3 * UNIFORM(ACUTE, terr)));
    SET(nstemi, quiet ? 0 : FLIP(ACUTE, nstemi, ecg_logistic(-3.5 + 1.2 * p->cad + 0.02 * a + 0.4 * p->ckds)) * (1 - v->stemi));
    SET(mi, max_of(v->stemi, v->nstemi));
    SET(mis, v->mi * ecg_exp(0.5 * NORMAL(ACUTE, mis)) * (1 + 0.5 * v->stemi));
    SET(adhf, quiet ? 0 : max_of(p->hf * FLIP(ACUTE, adhf_hf, 0.48), FLIP(ACUTE, adhf_new, 0.008)));
    SET(adhfs, v->adhf * (0.5 + 0.7 * SIZE(ACUTE, adhfs)));
    SET(hfe, 0.6 * p->hfs + v->adhfs); /* congestion */
    HAPPENS(pna, -2.7 + 0.6 * p->copd + 0.02 * a + 0.5 * p->dem);
    HAPPENS(uti, -2.6 - 0.9 * p->male + 0.02 * a + 0.3 * p->dm);
    HAPPENS(oinf, -3.4 + 0.8 * p->cirr + 0.4 * p->canc + 0.3 * p->dm);
    SET(infs, max_of(v->pna, max_of(v->uti, v->oinf)) * (0.3 + 0.8 * SIZE(ACUTE, infs)));
    SET(seps, when(v->infs > 0.95));
    SET(sepss, v->seps * v->infs);
    HAPPENS_AT(copdx, 0.28 * p->copd);
    HAPPENS(pe, -3.8 + 1.0 * p->canc);
    SET(pes, v->pe * (0.4 + 0.7 * SIZE(ACUTE, pes)));
    HAPPENS(gib, -3.7 + 0.7 * p->antico + 1.0 * p->cirr + 0.02 * a);
    SET(gibs, v->gib * (0.5 + 0.7 * SIZE(ACUTE, gibs)));
    HAPPENS_AT(dka, 0.07 * p->dm);
    SET(dkas, v->dka * (0.5 + 0.7 * SIZE(ACUTE, dkas)));
    HAPPENS_AT(vom, 0.09);
    SET(voms, v->vom * (0.4 + 0.8 * SIZE(ACUTE, voms)));
    HAPPENS_AT(missed, 0.25 * p->esrd); /* dialysis */
    HAPPENS_AT(withd, 0.3 * p->alc);
    HAPPENS(stroke, -3.9 + 0.04 * a + 0.7 * p->af + 0.4 * p->htn);
    HAPPENS_AT(ttox, 0.5 * p->hypert);
    HAPPENS_AT(sync, 0.06);
    HAPPENS_AT(trauma, 0.07);
    HAPPENS_AT(anx, 0.06);
    HAPPENS_AT(odx, 0.02);
    SET(aki, quiet ? 0 : FLIP(ACUTE, aki, ecg_logistic(-2.6 + 0.9 * p->ckd * (1 - p->esrd) + 0.9 * v->sepss + 0.6 * v->adhfs + 0.4 * p->acei + 0.6 * v->voms))
                             * (1 - p->esrd));
    SET(akis, v->aki * (0.4 + 0.7 * SIZE(ACUTE, akis)));
}

static void acid_base_and_salts(ecg_visit *v, const ecg_synth *s, const ecg_patient *p, const ecg_draws *d)
{
    const double a = p->age - 60;
    SET(e, clip(p->egfr * (1 - 0.45 * min_of(v->akis, 1.7)), 4, 130));
    const double de = above(60 - v->e);
    SET(temp, 36.8 + 0.18 * NORMAL(PHYS, temp) + 0.95 * min_of(v->infs, 2) * (1 - 0.35 * FLIP(PHYS, temp_blunt, 0.4)) + 0.3 * v->ttox + 0.2 * v->withd
                  - 0.15 * p->hypot);
    SET(lac, ecg_exp(ln(1.35) + 0.28 * NORMAL(PHYS, lac) + 0.45 * v->sepss + 0.25 * v->gibs + 0.35 * v->dkas + 0.3 * p->cirr + 0.25 * v->pes
                     + 0.25 * v->mis * v->stemi));
    SET(acid, 0.9 * v->dkas + 0.3 * above(v->lac - 2) + 0.55 * when(v->e < 20) + 0.35 * v->akis);
    SET(ret, p->copds * (0.5 + 0.5 * v->copdx) * SIZE(PHYS, ret)); /* CO2 retention */
    SET(hco3, 25.2 + 1.8 * NORMAL(PHYS, hco3) - 3.8 * v->acid + 2.2 * v->ret + 1.2 * p->loop + 1.3 * v->voms);
    SET(pco2, 40 + 3 * NORMAL(PHYS, pco2) + 7 * v->ret - 2.6 * v->acid - 3 * v->anx - 1.5 * v->sepss);
    SET(ph, 7.40 + 0.020 * NORMAL(PHYS, ph) - 0.055 * v->acid - 0.03 * v->ret + 0.02 * v->voms + 0.03 * v->anx);
    SET(K, clip(4.10 + 0.34 * NORMAL(PHYS, K) + 0.011 * de + 0.56 * v->missed * (1 + SIZE(PHYS, K_missed)) + 0.14 * p->acei + 0.28 * p->mra - 0.30 * p->loop
                    - 0.28 * p->thz - 0.50 * v->voms + 0.42 * v->akis + 0.35 * v->acid - 0.22 * p->alc - 0.15 * v->withd,
                2.2, 8.2));
    SET(Na, 138.7 + 2.3 * NORMAL(PHYS, Na) - 1.7 * v->hfe - 3.4 * p->cirr - 3.6 * p->thz * FLIP(PHYS, Na_thz, 0.35) - 1.8 * v->voms - 1.0 * v->sepss
                - 1.3 * v->dkas + 1.6 * p->dem * FLIP(PHYS, Na_dem, 0.2));
    SET(Mg, 2.00 + 0.21 * NORMAL(PHYS, Mg) + 0.006 * de - 0.16 * p->loop - 0.24 * p->alc - 0.12 * v->voms);
    SET(alb, 4.25 - 0.010 * a + 0.28 * NORMAL(PHYS, alb) - 0.75 * p->cirr - 0.35 * v->sepss - 0.25 * p->canc - 0.2 * p->hf - 0.15 * p->dem);
    SET(iCa, 1.20 + 0.035 * NORMAL(PHYS, iCa) - 0.0022 * de * (1 + 0.5 * p->esrd) - 0.045 * v->sepss - 0.03 * p->alc
                 + 0.10 * p->canc * FLIP(PHYS, iCa_canc, 0.18) * (1 + SIZE(PHYS, iCa_canc_size)) + 0.09 * FLIP(PHYS, iCa_pth, 0.012)
                 - 0.075 * above(1.7 - v->Mg));
    SET(Ca, 9.35 + 7.2 * (v->iCa - 1.20) + 0.62 * (v->alb - 4.1) + 0.15 * NORMAL(PHYS, Ca));
    SET(phos, 3.4 + 0.5 * NORMAL(PHYS, phos) + 0.035 * de - 0.3 * v->voms - 0.3 * v->withd);
    SET(urea, ecg_exp(ln(14.5) + 0.22 * NORMAL(PHYS, urea) + 0.0075 * a + 0.021 * de + 0.28 * v->gibs + 0.22 * v->adhfs + 0.2 * v->voms + 0.2 * v->sepss));
    SET(crea, ecg_exp(ln(p->male > 0 ? 0.98 : 0.78) + 0.10 * NORMAL(PHYS, crea) + when(v->e < 90) * 0.92 * ln(90 / max_of(v->e, 6))));
    SET(gluc, ecg_exp(ln(104) + 0.12 * NORMAL(PHYS, gluc) + 0.36 * p->dm + 0.15 * p->dm * NORMAL(PHYS, gluc_dm) + 0.76 * v->dkas + 0.10 * v->sepss
                      + 0.08 * v->mis + 0.07 * v->adhfs));
}

static void blood_and_organs(ecg_visit *v, const ecg_synth *s, const ecg_patient *p, const ecg_draws *d)
{
    const double a = p->age - 60, fat = p->bmi - 28, de = above(60 - v->e);
    SET(hb, clip((p->male > 0 ? 14.1 : 12.8) - 0.0176 * a + 1.1 * NORMAL(PHYS, hb) - 0.035 * de - 0.48 * p->hf - 1.1 * p->canc - 0.9 * p->cirr
                     - 1.9 * v->gibs - 0.5 * v->sepss + 0.35 * p->copds + 0.25 * p->smoke - 0.3 * p->dem,
                 4.5, 19));
    SET(wbc, ecg_exp(ln(7.4) + 0.26 * NORMAL(PHYS, wbc) + 0.36 * v->infs + 0.12 * v->mis + 0.12 * v->gibs + 0.15 * v->copdx + 0.2 * v->dkas
                     + 0.10 * p->smoke - 0.25 * p->cirr));
    SET(plt, ecg_exp(ln(232) + 0.26 * NORMAL(PHYS, plt) - 0.55 * p->cirr - 0.08 * v->sepss + 0.1 * p->canc));
    SET(trop, ecg_exp(ln(0.008) + 0.45 * NORMAL(PHYS, trop) + 1.9 * min_of(v->mis, 2.5) + 0.020 * de + 0.35 * v->hfe + 0.4 * v->pes + 0.35 * v->sepss
                      + 0.010 * a));
    SET(bnp, ecg_exp(ln(105) + 0.75 * NORMAL(PHYS, bnp) + 0.033 * a + 1.15 * v->hfe + 0.65 * p->afp + 0.013 * de + 0.35 * p->asten + 0.33 * v->mis
                     + 0.4 * v->pes - 0.025 * fat + 0.4 * v->sepss + 0.3 * p->lvm));
    SET(crp, ecg_exp(ln(4) + 0.8 * NORMAL(PHYS, crp) + 1.5 * v->infs + 0.5 * p->canc + 0.3 * v->mis + 0.3 * v->copdx));
    SET(tsh, p->hypert > 0 ? 0.05 * ecg_exp(0.8 * NORMAL(PHYS, tsh))
                           : ecg_exp(ln(1.8) + 0.5 * NORMAL(PHYS, tsh) + p->hypot * (0.3 + 0.7 * SIZE(PHYS, tsh_hypot))));
    SET(myx, p->hypot * above(ln(max_of(v->tsh, 0.01) / 4))); /* untreated hypothyroidism */
    SET(t4, p->hypert * (0.8 + 0.5 * SIZE(PHYS, t4)) + 0.5 * v->ttox - 0.3 * v->myx);
    SET(alt, ecg_exp(ln(22) + 0.42 * NORMAL(PHYS, alt) + 0.6 * p->cirr + 0.4 * above(v->hfe - 1.3) + 0.2 * p->alc + 0.01 * fat));
    SET(bili, ecg_exp(ln(0.5) + 0.42 * NORMAL(PHYS, bili) + 1.25 * p->cirr + 0.25 * above(v->hfe - 1) + 0.2 * v->sepss));
    SET(inr, ecg_exp(ln(1.07) + 0.06 * NORMAL(PHYS, inr) + 0.38 * p->antico * FLIP(PHYS, inr_antico, 0.55) + 0.33 * p->cirr + 0.06 * v->sepss));
    SET(ckmb, ecg_exp(ln(2.6) + 0.4 * NORMAL(PHYS, ckmb) + 1.2 * min_of(v->mis, 2.5) + 0.008 * de));
    SET(ddim, ecg_exp(ln(450) + 0.6 * NORMAL(PHYS, ddim) + 1.6 * v->pes + 0.012 * a + 0.5 * v->infs + 0.4 * p->canc));
    SET(hypox, 0.55 * v->copdx + 0.21 * p->copds + 0.75 * v->pna * v->infs + 0.55 * v->adhfs + 0.75 * v->pes + 0.25 * v->sepss);
    SET(spo2, clip(98.2 - 0.012 * a + 0.9 * NORMAL(PHYS, spo2) - 3.3 * v->hypox - 0.04 * above(p->bmi - 30), 70, 100));
    SET(resp, 16.8 + 1.6 * NORMAL(PHYS, resp) + 2.6 * v->hypox + 1.9 * v->sepss + 1.6 * v->acid + 1.2 * v->anx + 0.7 * (v->temp - 36.8));
    SET(sev, 0.55 * v->sepss + 0.48 * v->mis + 0.5 * v->adhfs + 0.5 * v->pes + 0.5 * v->gibs + 0.4 * v->dkas + 0.5 * v->hypox + 0.5 * v->stroke
                 + 0.3 * v->akis);
}

/* h(cause, x): one term of the rate, in beats/min; what reaches the rate is its share. */
static double rate_terms(ecg_effects *f, const ecg_visit *v, const ecg_patient *p, double share)
{
#define h(cause, x) (ecg_effect_term(f, ECG_ON_HR_bpm, cause, share * (x)))
    return h("temp", 4 * (v->temp - 36.8)) + h("hb", 2.1 * above(12.5 - v->hb)) + h("sepss", 2 * v->sepss) + h("t4", 14 * v->t4)
           + h("hypot", -4 * p->hypot) + h("hypox", 5 * v->hypox) + h("gibs", 6 * v->gibs) + h("voms", 5 * v->voms) + h("dkas", 5 * v->dkas)
           + h("withd", 13 * v->withd) + h("anx", 7 * v->anx) + h("adhfs", 5.6 * v->adhfs) + h("pes", 6 * v->pes) + h("dm", 2.8 * p->dm)
           + h("copds", 2 * p->copds) + h("mi", 3 * v->mi) + h("trauma", 3 * v->trauma) + h("bb", -9 * p->bb) + h("dig", -4 * p->dig)
           + h("K", -3 * above(v->K - 5.2));
#undef h
}

static void rhythm_and_rate(ecg_visit *v, const ecg_synth *s, const ecg_patient *p, const ecg_draws *d, bool quiet, ecg_effects *f)
{
    const ecg_draws person = ecg_synth_draws(s, p->ordinal, 0);
    const double a = p->age - 60;
    SET(em, NORMAL(PHYS, em)); /* arousal */
    const double acute_af = quiet ? 0 : 0.01 * v->seps + 0.05 * v->ttox;
    SET(paced, p->pacer * FLIP(PHYS, paced, 0.7));
    SET(afib, max_of(p->afp, max_of((p->af - p->afp) * FLIP(PHYS, af_now, 0.28), FLIP(PHYS, af_acute, acute_af))) * (1 - v->paced));

    const double resting = 75 + 6.5 * ecg_draw_normal(&person, ECG_S_BODY, BODY_hr) + 5 * v->em - 0.04 * a + 3 * (1 - p->male) + 0.15 * (p->bmi - 28);
    const double share = v->afib > 0 ? 0.75 : (1 - 0.25 * p->bb) * (v->paced > 0 ? 0.85 : 1);
    const double driven = rate_terms(f, v, p, share);
    double rate;
    if (v->afib > 0)
        rate = clip(96 + 13 * NORMAL(PHYS, hr_af) + driven - 6 * p->bb - 6 * p->dig, 48, 175);
    else if (v->paced > 0)
        rate = max_of(62 + 6 * NORMAL(PHYS, hr_paced), 0.85 * clip(resting + driven / 0.85, 38, 165));
    else
        rate = clip(resting + driven, 38, 165);
    SET(hr, rate);

    SET(sbp, 118 + 0.42 * (p->age - 45) + 9 * NORMAL(PHYS, sbp) + 9.9 * p->htn + 5 * ecg_draw_normal(&person, ECG_S_BODY, BODY_sbp) + 0.3 * (p->bmi - 28)
                 - 15 * v->sepss - 9 * v->gibs - 7 * p->hfr - 5 * v->voms + 6 * v->adhfs * (1 - p->hfr) + 6 * v->anx + 7 * v->stroke
                 - 7 * v->mis * v->stemi - 4 * p->cirr - 5 * v->pes);
    SET(dbp, 0.42 * v->sbp + 24 + 5 * NORMAL(PHYS, dbp) - 0.12 * a + 2 * p->htn);
}

void ecg_synth_visit(ecg_visit *v, const ecg_synth *s, const ecg_patient *p, uint32_t number, bool quiet, ecg_effects *f)
{
    const ecg_draws d = ecg_synth_draws(s, p->ordinal, number);
    v->number = number;
    acute_events(v, s, p, &d, quiet);
    acid_base_and_salts(v, s, p, &d);
    blood_and_organs(v, s, p, &d);
    rhythm_and_rate(v, s, p, &d, quiet, f);
}
