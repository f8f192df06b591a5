/* SPDX-License-Identifier: MIT */
#include "cohort/synth_labs.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "cohort/synth_rows.h"

const ecg_lab_test ecg_synth_tests[ECG_LAB_TESTS] = {
#define X(name, itemid, label, unit, decimals, category, tube) {itemid, label, unit, decimals, category, tube},
    ECG_SYNTH_TESTS(X)
#undef X
};

void ecg_synth_range(double *low, double *high, int test, const ecg_patient *p)
{
    static const double range[ECG_LAB_TESTS][2] = {
        [ECG_LAB_potassium] = {3.3, 5.1},   [ECG_LAB_sodium] = {133, 145},     [ECG_LAB_chloride] = {96, 108},       [ECG_LAB_bicarbonate] = {22, 32},
        [ECG_LAB_anion_gap] = {8, 20},      [ECG_LAB_urea] = {6, 20},          [ECG_LAB_creatinine] = {0.5, 1.1},    [ECG_LAB_glucose] = {70, 105},
        [ECG_LAB_calcium] = {8.4, 10.3},    [ECG_LAB_free_calcium] = {1.12, 1.32}, [ECG_LAB_magnesium] = {1.6, 2.6}, [ECG_LAB_phosphate] = {2.7, 4.5},
        [ECG_LAB_hemoglobin] = {11.2, 15.7}, [ECG_LAB_hematocrit] = {34, 45},  [ECG_LAB_white_cells] = {4, 10},      [ECG_LAB_platelets] = {150, 400},
        [ECG_LAB_troponin] = {0, 0.01},     [ECG_LAB_ck_mb] = {0, 10},         [ECG_LAB_bnp] = {0, 1800},            [ECG_LAB_lactate] = {0.5, 2},
        [ECG_LAB_ph] = {7.35, 7.45},        [ECG_LAB_pco2] = {35, 45},         [ECG_LAB_crp] = {0, 5},               [ECG_LAB_tsh] = {0.27, 4.2},
        [ECG_LAB_albumin] = {3.5, 5.2},     [ECG_LAB_alt] = {0, 40},           [ECG_LAB_bilirubin] = {0, 1.5},       [ECG_LAB_inr] = {0.9, 1.1},
        [ECG_LAB_d_dimer] = {0, 500},
    };
    *low = range[test][0];
    *high = range[test][1];
    if (test == ECG_LAB_bnp)
        *high = p->age < 50 ? 450 : p->age < 75 ? 900 : 1800;
    if (p->male > 0) {
        if (test == ECG_LAB_hemoglobin)
            *low = 13.7, *high = 17.5;
        else if (test == ECG_LAB_hematocrit)
            *low = 40, *high = 51;
        else if (test == ECG_LAB_creatinine)
            *high = 1.2;
    }
}

double ecg_synth_upper_limit(int test, const ecg_patient *p)
{
    double low, high;
    ecg_synth_range(&low, &high, test, p);
    return test == ECG_LAB_troponin ? 0.0135 : high;
}

/* What the analyser reads: the true value with analytic and time-lag noise. Without noise, and of no use, what nobody ordered. */
static void measure(double x[ECG_LAB_TESTS], const bool ordered[ECG_LAB_TESTS], const ecg_visit *v, const ecg_draws *d)
{
#define error_of(test) (ordered[ECG_LAB_##test] ? ecg_draw_normal(d, ECG_S_LAB, ECG_LAB_##test) : 0)
#define spread(test, size) (ordered[ECG_LAB_##test] ? ecg_exp((size) * error_of(test)) : 1)
    x[ECG_LAB_potassium] = v->K + 0.12 * error_of(potassium);
    x[ECG_LAB_sodium] = v->Na + 0.6 * error_of(sodium);
    x[ECG_LAB_chloride] = 103 + 0.75 * (v->Na - 139) - 0.55 * (v->hco3 - 25) + 1.5 * error_of(chloride);
    x[ECG_LAB_bicarbonate] = max_of(2, v->hco3 + 0.7 * error_of(bicarbonate));
    x[ECG_LAB_urea] = v->urea * spread(urea, 0.03);
    x[ECG_LAB_creatinine] = v->crea * spread(creatinine, 0.03);
    x[ECG_LAB_glucose] = v->gluc * spread(glucose, 0.06);
    x[ECG_LAB_calcium] = v->Ca + 0.12 * error_of(calcium);
    x[ECG_LAB_free_calcium] = v->iCa + 0.015 * error_of(free_calcium);
    x[ECG_LAB_magnesium] = max_of(0.4, v->Mg + 0.06 * error_of(magnesium));
    x[ECG_LAB_phosphate] = max_of(0.3, v->phos + 0.15 * error_of(phosphate));
    x[ECG_LAB_hemoglobin] = v->hb + 0.2 * error_of(hemoglobin);
    x[ECG_LAB_hematocrit] = 3.0 * v->hb + 0.8 * error_of(hematocrit);
    x[ECG_LAB_white_cells] = v->wbc * spread(white_cells, 0.04);
    x[ECG_LAB_platelets] = v->plt * spread(platelets, 0.04);
    x[ECG_LAB_troponin] = v->trop * spread(troponin, 0.15);
    x[ECG_LAB_ck_mb] = v->ckmb;
    x[ECG_LAB_bnp] = v->bnp * spread(bnp, 0.1);
    x[ECG_LAB_lactate] = v->lac * spread(lactate, 0.08);
    x[ECG_LAB_ph] = v->ph + 0.012 * error_of(ph);
    x[ECG_LAB_pco2] = max_of(8, v->pco2 + 2 * error_of(pco2));
    x[ECG_LAB_crp] = v->crp;
    x[ECG_LAB_tsh] = max_of(0.01, v->tsh);
    x[ECG_LAB_albumin] = max_of(1, v->alb + 0.1 * error_of(albumin));
    x[ECG_LAB_alt] = v->alt;
    x[ECG_LAB_bilirubin] = v->bili;
    x[ECG_LAB_inr] = v->inr * spread(inr, 0.02);
    x[ECG_LAB_d_dimer] = v->ddim;
#undef error_of
#undef spread
}

/* Nobody orders a troponin without suspicion: what is missing says something. Probabilities given that blood was taken at all. */
static void find_orders(bool ordered[ECG_LAB_TESTS], const ecg_patient *p, const ecg_visit *v, const ecg_draws *d)
{
    const double a = p->age - 60;
    memset(ordered, 0, ECG_LAB_TESTS * sizeof *ordered);
    if (!(UNIFORM(ORDER, base) < ecg_logistic(1.6 + 1.2 * v->sev + 0.015 * a)))
        return;
    const double chest = max_of(max_of(v->mi, v->pe), max_of(v->anx * FLIP(ORDER, chest_anx, 0.6), FLIP(ORDER, chest, 0.22)));
    const double dysp = max_of(max_of(v->adhf, v->copdx), max_of(v->pna, v->pe)), infection = max_of(v->pna, max_of(v->uti, v->oinf));
#define order(test, probability) (ordered[ECG_LAB_##test] = ecg_draw_uniform(d, ECG_S_ORDER, ECG_LAB_##test) < (probability))
    order(potassium, 0.98), order(sodium, 0.98), order(chloride, 0.98), order(bicarbonate, 0.98);
    order(urea, 0.98), order(creatinine, 0.98), order(glucose, 0.98);
    order(calcium, 0.60), order(magnesium, 0.60), order(phosphate, 0.55);
    order(hemoglobin, 0.97), order(hematocrit, 0.97), order(white_cells, 0.97), order(platelets, 0.97);
    order(troponin, ecg_logistic(-1.2 + 2.2 * chest + 1.0 * v->adhf + 0.8 * p->cad + 0.01 * a));
    order(ck_mb, ecg_logistic(-2.2 + 2.5 * chest));
    order(bnp, ecg_logistic(-2.6 + 2.6 * dysp + 1.0 * p->hf));
    order(lactate, ecg_logistic(-1.7 + 2.2 * infection + 1.2 * v->gib + 1.2 * v->dka + 0.8 * v->sev));
    order(crp, ecg_logistic(-3 + 1.2 * infection));
    order(tsh, ecg_logistic(-2.6 + 2.2 * p->hypert + 0.8 * p->hypot + 0.6 * p->af));
    order(albumin, 0.42), order(inr, 0.50);
    order(d_dimer, ecg_logistic(-3.6 + 2.2 * max_of(v->pe, 0.5 * dysp)));
#undef order
    const bool gas = UNIFORM(ORDER, gas) < ecg_logistic(-2.2 + 1.6 * dysp + 2.0 * v->dka + 0.9 * v->seps);
    ordered[ECG_LAB_ph] = ordered[ECG_LAB_pco2] = gas;
    ordered[ECG_LAB_free_calcium] = gas && UNIFORM(ORDER, gas_calcium) < 0.5;
    ordered[ECG_LAB_alt] = ordered[ECG_LAB_bilirubin] = UNIFORM(ORDER, liver) < 0.45;
}

void ecg_synth_labs(double value[ECG_LAB_TESTS], const ecg_synth *s, const ecg_patient *p, const ecg_visit *v)
{
    const ecg_draws d = ecg_synth_draws(s, p->ordinal, v->number);
    bool ordered[ECG_LAB_TESTS];
    find_orders(ordered, p, v, &d);
    value[ECG_LAB_anion_gap] = 0;
    measure(value, ordered, v, &d);
    for (int i = 0; i < ECG_LAB_TESTS; i++)
        value[i] = ordered[i] ? ecg_rounded(value[i], ecg_synth_tests[i].decimals) : NAN;
    const bool whole = ordered[ECG_LAB_potassium] && ordered[ECG_LAB_sodium] && ordered[ECG_LAB_chloride] && ordered[ECG_LAB_bicarbonate];
    value[ECG_LAB_anion_gap] = whole ? ecg_rounded(value[ECG_LAB_sodium] + value[ECG_LAB_potassium] - value[ECG_LAB_chloride] - value[ECG_LAB_bicarbonate], 0)
                                     : NAN;
}
