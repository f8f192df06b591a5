/* SPDX-License-Identifier: MIT */
#include "ecg/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

const char *const ecg_lead_names[ECG_LEADS] = {"I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"};

/* ---- names and units ------------------------------------------------------------------------------------------------------------ */

static bool starts_with_word(const char *name, const char *word)
{
    for (; *word; word++, name++) {
        const char c = *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name;
        if (c != *word)
            return false;
    }
    return true;
}

/* Leaves what follows "MDC_ECG_LEAD_", "ECG lead ", "Lead ", "ECG " in any case; blanks and underscores are one. */
static const char *after_prefix(const char *name)
{
    static const char *const prefixes[] = {"mdc_ecg_lead_", "ecg lead ", "ecg_lead_", "lead ", "lead_", "ecg ", "ecg_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (starts_with_word(name, prefixes[i]))
            return name + strlen(prefixes[i]);
    return name;
}

int ecg_lead_from_name(const char *name)
{
    static const char *const limb[] = {"DI", "DII", "DIII"}; /* Romance languages: derivation */
    char word[32];
    name = after_prefix(name + strspn(name, " \t"));
    name += strspn(name, " \t");
    size_t len = strlen(name);
    while (len && (name[len - 1] == ' ' || name[len - 1] == '\t'))
        len--;
    if (len == 0 || len >= sizeof word)
        return -1;
    memcpy(word, name, len);
    word[len] = 0;
    for (int i = 0; i < ECG_LEADS; i++)
        if (ecg_same_word(word, ecg_lead_names[i]))
            return i;
    for (int i = 0; i < 3; i++)
        if (ecg_same_word(word, limb[i]))
            return i;
    return -1;
}

int ecg_record_find(const ecg_record *rec, int lead)
{
    for (int i = 0; i < rec->leads; i++)
        if (ecg_lead_from_name(rec->lead[i].name) == lead)
            return i;
    return -1;
}

double ecg_unit_to_mv(const char *unit)
{
    static const struct {
        const char *name;
        double mv;
    } units[] = {
        {"mV", 1},        {"uV", 1e-3},     {"\xc2\xb5V", 1e-3} /* micro sign */, {"\xce\xbcV", 1e-3} /* Greek mu */,
        {"\xb5V", 1e-3} /* Latin-1 */, {"V", 1e3}, {"nV", 1e-6}, {"millivolt", 1}, {"microvolt", 1e-3}, {"volt", 1e3},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ecg_same_word(unit, units[i].name))
            return units[i].mv;
    return 0;
}

/* ---- a record in memory --------------------------------------------------------------------------------------------------------- */

ecg_status ecg_record_make(ecg_record *rec, int leads, int64_t samples, double rate_hz, ecg_err *err)
{
    memset(rec, 0, sizeof *rec);
    size_t values, bytes;
    if (leads < 1 || samples < 0 || __builtin_mul_overflow((size_t)leads, (size_t)samples, &values) ||
        __builtin_mul_overflow(values, sizeof(float), &bytes))
        return ecg_fail(err, ECG_EARG, "%d leads of %" PRId64 " samples", leads, samples);
    rec->lead = calloc((size_t)leads, sizeof *rec->lead);
    rec->value = malloc(bytes ? bytes : 1);
    if (!rec->lead || !rec->value) {
        ecg_record_clear(rec);
        return ecg_fail(err, ECG_ENOMEM, "no room for %d leads of %" PRId64 " samples", leads, samples);
    }
    rec->leads = leads;
    rec->samples = samples;
    rec->rate_hz = rate_hz;
    for (int i = 0; i < leads; i++)
        rec->lead[i].per_frame = 1;
    for (size_t i = 0; i < values; i++)
        rec->value[i] = NAN;
    return ECG_OK;
}

void ecg_record_clear(ecg_record *rec)
{
    free(rec->lead);
    free(rec->value);
    memset(rec, 0, sizeof *rec);
}

/* ---- the twelve ----------------------------------------------------------------------------------------------------------------- */

/* Einthoven and Goldberger: lead = a I + b II. */
static const struct {
    int lead;
    float a, b;
} derived[] = {{ECG_III, -1, 1}, {ECG_AVR, -0.5f, -0.5f}, {ECG_AVL, 1, -0.5f}, {ECG_AVF, -0.5f, 1}};

unsigned ecg_record_twelve(float *out, const ecg_record *rec)
{
    const int64_t n = rec->samples;
    unsigned found = 0;
    for (int i = 0; i < rec->leads; i++) {
        const int lead = ecg_lead_from_name(rec->lead[i].name);
        const double mv = ecg_unit_to_mv(rec->lead[i].unit);
        if (lead < 0 || mv == 0 || (found >> lead & 1u))
            continue;
        found |= 1u << lead;
        if (mv == 1 && n > 0)
            memcpy(out + lead * n, rec->value + i * n, (size_t)n * sizeof *out);
        else
            for (int64_t t = 0; t < n; t++)
                out[lead * n + t] = (float)(mv * (double)rec->value[i * n + t]);
    }
    const unsigned both = 1u << ECG_I | 1u << ECG_II;
    for (size_t d = 0; d < sizeof derived / sizeof *derived && (found & both) == both; d++) {
        const int lead = derived[d].lead;
        if (found >> lead & 1u)
            continue;
        found |= 1u << lead;
        for (int64_t t = 0; t < n; t++)
            out[lead * n + t] = derived[d].a * out[ECG_I * n + t] + derived[d].b * out[ECG_II * n + t];
    }
    for (int lead = 0; lead < ECG_LEADS; lead++)
        for (int64_t t = 0; t < n && !(found >> lead & 1u); t++)
            out[lead * n + t] = NAN;
    return found;
}
