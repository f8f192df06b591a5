/* SPDX-License-Identifier: MIT
 * synth_model.c: addressed draws, the table of variables, interventions, and the constants of one run. */
#include "cohort/synth_model.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"

const ecg_synth_variable ecg_synth_variables[ECG_VARS] = {
#define X(name, least, most) {#name, least, most},
    ECG_PATIENT_VARIABLES(X) ECG_VISIT_VARIABLES(X) ECG_TAKE_VARIABLES(X)
#undef X
};

const char *const ecg_synth_parameters[ECG_ON_COUNT] = {
#define X(name) #name,
    ECG_SYNTH_PARAMETERS(X)
#undef X
};

/* ---- draws ---------------------------------------------------------------------------------------------------------------- */

static void draw(uint32_t word[4], const ecg_draws *d, uint32_t stream, uint32_t slot)
{
    const uint32_t counter[4] = {slot, stream, d->visit, d->patient};
    ecg_philox(word, counter, d->key);
}

static double unit(uint32_t word)
{
    return ((double)word + 0.5) * 0x1p-32;
}

double ecg_draw_normal(const ecg_draws *d, uint32_t stream, uint32_t slot)
{
    uint32_t word[4];
    draw(word, d, stream, slot);
    return sqrt(-2 * ecg_log(unit(word[0]))) * ecg_cos(6.283185307179586477 * unit(word[1]));
}

double ecg_draw_uniform(const ecg_draws *d, uint32_t stream, uint32_t slot)
{
    uint32_t word[4];
    draw(word, d, stream, slot);
    return unit(word[2]);
}

double ecg_draw_uniform2(const ecg_draws *d, uint32_t stream, uint32_t slot)
{
    uint32_t word[4];
    draw(word, d, stream, slot);
    return unit(word[3]);
}

double ecg_logistic(double x)
{
    return 1 / (1 + ecg_exp(-x));
}

int64_t ecg_nearest_int(double x)
{
    return x < 0 ? -(int64_t)(0.5 - x) : (int64_t)(x + 0.5);
}

/* ---- effects -------------------------------------------------------------------------------------------------------------- */

static void keep(ecg_effects *f, int on, const char *cause, double delta)
{
    if (f && f->n < ECG_EFFECTS) {
        f->row[f->n].on = on;
        f->row[f->n].cause = cause;
        f->row[f->n++].delta = delta;
    }
}

double ecg_effect_term(ecg_effects *f, int on, const char *cause, double delta)
{
    if (delta != 0)
        keep(f, on, cause, delta);
    return delta;
}

double ecg_effect_factor(ecg_effects *f, int on, const char *cause, double factor)
{
    if (factor != 1)
        keep(f, on, cause, factor);
    return factor;
}

/* ---- options -------------------------------------------------------------------------------------------------------------- */

void ecg_synth_defaults(ecg_synth_options *o)
{
    *o = (ecg_synth_options){.seed = 42, .first = 1, .last = 1, .twins = 200, .noise = 2.5, .nuisance = 1, .waveforms = true, .distractors = true};
}

ecg_status ecg_synth_do(ecg_synth_options *o, const char *text, ecg_err *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || equals - text > 31)
        return ecg_fail(err, ECG_EARG, "\"%.40s\" is not VARIABLE=VALUE", text);
    char name[32];
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = 0;
    int at = 0;
    while (at < ECG_VARS && strcmp(ecg_synth_variables[at].name, name) != 0)
        at++;
    if (at == ECG_VARS) {
        const char *names[ECG_VARS];
        for (int i = 0; i < ECG_VARS; i++)
            names[i] = ecg_synth_variables[i].name;
        const char *near = ecg_nearest(name, names, ECG_VARS);
        return ecg_fail(err, ECG_EARG, "no variable %s%s%s", name, near ? "; the nearest is " : "", near ? near : "");
    }
    const ecg_synth_variable *variable = &ecg_synth_variables[at];
    double value;
    if (!ecg_parse_double(&value, equals + 1, strlen(equals + 1)))
        return ecg_fail(err, ECG_EARG, "%s: \"%.40s\" is not a number", name, equals + 1);
    if (!(value >= variable->least && value <= variable->most))
        return ecg_fail(err, ECG_EARG, "%s = %g is outside %g to %g", name, value, variable->least, variable->most);
    for (int i = 0; i < o->forced; i++)
        if (o->force_to[i].variable == at)
            return ecg_fail(err, ECG_EARG, "%s is forced twice", name);
    if (o->forced == ECG_SYNTH_FORCED)
        return ecg_fail(err, ECG_EARG, "more than %d interventions", ECG_SYNTH_FORCED);
    o->force_to[o->forced].variable = at;
    o->force_to[o->forced++].value = value;
    return ECG_OK;
}

/* Quantiles of Beta(2.6, 1.9) at k / 1024, from its density by the trapezoid rule on 8,192 steps. */
static void fill_age_quantiles(double quantile[ECG_AGE_KNOTS])
{
    enum { STEPS = 8192 };
    double before = 0, total = 0, sum = 0;
    for (int i = 1; i <= STEPS; i++) {
        const double x = (double)i / STEPS, density = i == STEPS ? 0 : ecg_exp(1.6 * ecg_log(x) + 0.9 * ecg_log(1 - x));
        total += 0.5 * (before + density);
        before = density;
    }
    before = 0;
    int knot = 1;
    quantile[0] = 0;
    for (int i = 1; i <= STEPS; i++) {
        const double x = (double)i / STEPS, density = i == STEPS ? 0 : ecg_exp(1.6 * ecg_log(x) + 0.9 * ecg_log(1 - x));
        const double step = 0.5 * (before + density) / total;
        for (; knot < ECG_AGE_KNOTS - 1 && sum + step >= (double)knot / (ECG_AGE_KNOTS - 1); knot++)
            quantile[knot] = ((double)(i - 1) + ((double)knot / (ECG_AGE_KNOTS - 1) - sum) / step) / STEPS;
        sum += step;
        before = density;
    }
    for (; knot < ECG_AGE_KNOTS; knot++)
        quantile[knot] = 1;
}

void ecg_synth_begin(ecg_synth *s, const ecg_synth_options *o)
{
    memset(s, 0, sizeof *s);
    s->options = *o;
    s->key[0] = (uint32_t)o->seed;
    s->key[1] = (uint32_t)(o->seed >> 32);
    for (int i = 0; i < ECG_VARS; i++)
        s->forced[i] = NAN;
    for (int i = 0; i < o->forced; i++)
        s->forced[o->force_to[i].variable] = o->force_to[i].value;
    fill_age_quantiles(s->age_quantile);
    double share = 1, sum = 0;
    for (int k = 0; k < 16; k++)
        sum += share *= 0.5;
    share = 1;
    for (int k = 0; k < 16; k++) {
        share *= 0.5;
        s->visits_share[k] = (k ? s->visits_share[k - 1] : 0) + share / sum;
    }
}

ecg_draws ecg_synth_draws(const ecg_synth *s, uint32_t patient, uint32_t visit)
{
    return (ecg_draws){.key = {s->key[0], s->key[1]}, .visit = visit, .patient = patient};
}

double ecg_synth_forced(const ecg_synth *s, int variable, double x)
{
    return isnan(s->forced[variable]) ? x : s->forced[variable];
}
