/* SPDX-License-Identifier: MIT
 * quality.c: what can be said of a recording before any model sees it. Only leads that were recorded are judged, derived ones repeat
 * them. Limits: clipping as in the contract; a lead is saturated where it rests 50 ms or longer at its own extreme; Einthoven's
 * residual above 0.05 mV is ten times the step of usual recorders; a heart gives between 0.01 and 50 mV. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ecg/record.h"

static const double clip_mv = 3, rest_seconds = 0.05, einthoven_limit_mv = 0.05, smallest_mv = 0.01, largest_mv = 50;

const char *ecg_warning_text(unsigned one_bit)
{
    switch (one_bit) {
    case ECG_WARN_CHECKSUM: return "wrong checksum";
    case ECG_WARN_GAIN_ZERO: return "gain 0 or absent, 200 per mV assumed";
    case ECG_WARN_LEAD_INVALID: return "a lead has no valid sample";
    case ECG_WARN_LEAD_FLAT: return "a lead is flat";
    case ECG_WARN_LEAD_LOST: return "a lead is not in the file";
    case ECG_WARN_LONGER: return "more samples than announced";
    case ECG_WARN_NO_LENGTH: return "sample count left out, taken from the file";
    case ECG_WARN_TEXT: return "odd bytes in the header";
    case ECG_WARN_INITIAL: return "initial value differs from the header's";
    case ECG_WARN_UNIT: return "amplitude does not fit the unit";
    case ECG_WARN_CLIPPED: return "samples beyond 3 mV";
    case ECG_WARN_SATURATED: return "a lead rests at its extreme";
    case ECG_WARN_EINTHOVEN: return "II differs from I + III";
    case ECG_WARN_MISSING: return "samples missing";
    default: return "";
    }
}

typedef struct {
    int64_t missing, clipped, saturated;
    bool invalid, flat;
    double range_mv; /* NAN if invalid or flat */
} lead_quality;

/* Samples in runs of at least `shortest` at the lead's smallest or largest value. Such a run holds a multiple of `shortest`. */
static int64_t resting(const float *x, int64_t n, float low, float high, int64_t shortest)
{
    int64_t sum = 0;
    for (int64_t t = 0; t < n; t += shortest) {
        if (x[t] != low && x[t] != high)
            continue;
        int64_t first = t, behind = t + 1;
        while (first > 0 && x[first - 1] == x[t])
            first--;
        while (behind < n && x[behind] == x[t])
            behind++;
        if (behind - first >= shortest)
            sum += behind - first;
        t += (behind - 1 - t) / shortest * shortest; /* the others within this run */
    }
    return sum;
}

typedef float four __attribute__((vector_size(16), aligned(4), may_alias)); /* every compiler we use knows it */
typedef int32_t four_masks __attribute__((vector_size(16)));

/* Smallest, largest, NAN: four samples at a time. Comparisons with NAN are false, and a mask that is true counts as -1. */
static void extremes(float *low, float *high, int64_t *missing, const float *x, int64_t n)
{
    four lows = {INFINITY, INFINITY, INFINITY, INFINITY}, highs = -lows;
    int64_t t = 0;
    *missing = 0;
    while (t + 4 <= n) {
        four_masks absent = {0};
        for (const int64_t end = n - t > 1 << 20 ? t + (1 << 20) : n - 3; t < end; t += 4) { /* a lane holds 2^31 */
            const four v = *(const four *)(x + t);
            const four_masks below = v < lows, above = v > highs;
            lows = (four)(((four_masks)v & below) | ((four_masks)lows & ~below));
            highs = (four)(((four_masks)v & above) | ((four_masks)highs & ~above));
            absent -= v != v;
        }
        *missing += (int64_t)absent[0] + absent[1] + absent[2] + absent[3];
    }
    *low = INFINITY;
    *high = -INFINITY;
    for (int j = 0; j < 4; j++) {
        *low = lows[j] < *low ? lows[j] : *low;
        *high = highs[j] > *high ? highs[j] : *high;
    }
    for (; t < n; t++) {
        *missing += isnan(x[t]) != 0;
        *low = x[t] < *low ? x[t] : *low;
        *high = x[t] > *high ? x[t] : *high;
    }
}

static lead_quality judge(const float *x, int64_t n, double mv, double rate_hz)
{
    lead_quality q = {.range_mv = NAN};
    float low, high;
    extremes(&low, &high, &q.missing, x, n);
    if (fabs(mv * (double)low) > clip_mv || fabs(mv * (double)high) > clip_mv)
        for (int64_t t = 0; t < n; t++)
            q.clipped += fabs(mv * (double)x[t]) > clip_mv;
    q.invalid = n > 0 && q.missing == n;
    q.flat = n > q.missing && low == high;
    if (q.invalid || q.flat || n == 0)
        return q;
    q.range_mv = mv * ((double)high - (double)low);
    const double rest = rate_hz > 0 && rate_hz < 1e9 ? ceil(rest_seconds * rate_hz) : 3;
    q.saturated = resting(x, n, low, high, rest < 3 ? 3 : (int64_t)rest);
    return q;
}

/* The value of that rank (from 0) among n that are not negative; x is used up. Such doubles are ordered as their bits are: eleven bits at a
 * time, the values that share those of the one looked for are kept. */
static double ranked(double *x, int64_t n, int64_t rank)
{
    for (int shift = 53; shift > -11; shift -= 11) {
        int64_t count[2048] = {0}, in_bin = 0;
        const int places = shift < 0 ? 0 : shift;
        size_t bin = 0;
        bool same = true;
        uint64_t bits;
        for (int64_t i = 0; i < n; i++) {
            memcpy(&bits, &x[i], sizeof bits);
            count[bits >> places & 2047]++;
            same &= x[i] == x[0];
        }
        if (same)
            break;
        for (; rank >= count[bin]; bin++)
            rank -= count[bin];
        for (int64_t i = 0; i < n; i++) {
            memcpy(&bits, &x[i], sizeof bits);
            x[in_bin] = x[i];
            in_bin += (bits >> places & 2047) == bin;
        }
        n = in_bin;
    }
    return x[0];
}

/* Of values that are not negative; scratch (n). */
static double median(const double *x, double *scratch, int64_t n)
{
    if (!n)
        return NAN;
    memcpy(scratch, x, sizeof *scratch * (size_t)n);
    const double middle = ranked(scratch, n, n / 2);
    if (n % 2)
        return middle;
    double below = 0; /* the largest one that is smaller */
    int64_t smaller = 0;
    for (int64_t i = 0; i < n; i++) {
        smaller += x[i] < middle;
        below = x[i] < middle && x[i] > below ? x[i] : below;
    }
    return ((smaller == n / 2 ? below : middle) + middle) / 2;
}

/* Median |II - I - III| over the samples that have all three. gap: 2 (samples + 1), NULL: there was no memory for it. */
static double einthoven(const ecg_record *rec, double *gap)
{
    const float *x[3];
    double mv[3];
    for (int k = 0; k < 3; k++) {
        const int at = ecg_record_find(rec, ECG_I + k);
        if (at < 0 || (mv[k] = ecg_unit_to_mv(rec->lead[at].unit)) == 0)
            return NAN;
        x[k] = rec->value + at * rec->samples;
    }
    if (!gap)
        return NAN;
    int64_t n = 0;
    for (int64_t t = 0; t < rec->samples; t++) {
        const double d = fabs(mv[1] * (double)x[1][t] - mv[0] * (double)x[0][t] - mv[2] * (double)x[2][t]);
        gap[n] = d;
        n += !isnan(d);
    }
    return median(gap, gap + n, n);
}

/* ---- the line for a person ------------------------------------------------------------------------------------------------ */

static void say(char note[256], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(char note[256], const char *fmt, ...)
{
    size_t at = strlen(note);
    if (at && at < 253)
        at += (size_t)snprintf(note + at, 256 - at, "; ");
    va_list args;
    va_start(args, fmt);
    vsnprintf(note + at, 256 - at, fmt, args);
    va_end(args);
}

/* "V2, V3 flat" */
static void say_leads(char note[256], unsigned mask, const char *what)
{
    char names[96] = "";
    for (int l = 0; l < ECG_LEADS; l++)
        if (mask >> l & 1) {
            strcat(names, names[0] ? ", " : "");
            strcat(names, ecg_lead_names[l]);
        }
    if (mask)
        say(note, "%s %s", names, what);
}

static void say_share(char note[256], double share, const char *what)
{
    if (share >= 0.001)
        say(note, "%.3g %% %s", 100 * share, what);
    else if (share > 0)
        say(note, "under 0.1 %% %s", what);
}

void ecg_record_quality(ecg_quality *out, const ecg_record *rec)
{
    double *room = malloc(sizeof *room * ecg_quality_room(rec));
    ecg_record_quality_in(out, rec, room);
    free(room);
}

void ecg_record_quality_in(ecg_quality *out, const ecg_record *rec, double *room)
{
    *out = (ecg_quality){.warnings = rec->warnings, .seconds = rec->rate_hz > 0 ? (double)rec->samples / rec->rate_hz : 0};
    unsigned measured = 0, flat = 0, invalid = 0, other_unit = 0;
    int64_t samples = 0, missing = 0, clipped = 0, saturated = 0;
    double range[ECG_LEADS], scratch[ECG_LEADS];
    int ranges = 0;
    for (int l = 0; l < ECG_LEADS; l++) {
        const int at = ecg_record_find(rec, l);
        const double mv = at < 0 ? 0 : ecg_unit_to_mv(rec->lead[at].unit);
        if (at >= 0 && mv == 0)
            other_unit |= 1u << l;
        if (mv == 0)
            continue;
        const lead_quality q = judge(rec->value + at * rec->samples, rec->samples, mv, rec->rate_hz);
        measured |= 1u << l;
        flat |= (unsigned)q.flat << l;
        invalid |= (unsigned)q.invalid << l;
        out->leads_flat += q.flat;
        out->leads_invalid += q.invalid;
        samples += rec->samples;
        missing += q.missing;
        clipped += q.clipped;
        saturated += q.saturated;
        if (!isnan(q.range_mv))
            range[ranges++] = q.range_mv;
    }
    const unsigned both = 1u << ECG_I | 1u << ECG_II, limbs = both | 1u << ECG_III | 1u << ECG_AVR | 1u << ECG_AVL | 1u << ECG_AVF;
    const unsigned found = (measured & both) == both ? measured | limbs : measured, all = (1u << ECG_LEADS) - 1;
    out->leads_found = __builtin_popcount(found);
    out->missing = samples ? (double)missing / (double)samples : 0;
    out->clipped = samples ? (double)clipped / (double)samples : 0;
    out->saturated = samples ? (double)saturated / (double)samples : 0;
    out->einthoven_mv = einthoven(rec, room);
    const double typical_mv = median(range, scratch, ranges);
    const bool odd_unit = other_unit || typical_mv > largest_mv || typical_mv < smallest_mv;

    const struct { bool there; unsigned bit; } seen[] = {
        {measured != all, ECG_WARN_LEAD_LOST}, {invalid, ECG_WARN_LEAD_INVALID},  {flat, ECG_WARN_LEAD_FLAT},
        {odd_unit, ECG_WARN_UNIT},             {out->clipped > 0, ECG_WARN_CLIPPED}, {out->saturated > 0, ECG_WARN_SATURATED},
        {out->missing > 0, ECG_WARN_MISSING},  {out->einthoven_mv > einthoven_limit_mv, ECG_WARN_EINTHOVEN},
    };
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        out->warnings |= seen[i].there ? seen[i].bit : 0;

    say_leads(out->note, all & ~found & ~other_unit, "not in the file");
    say_leads(out->note, other_unit, "not a voltage");
    say_leads(out->note, invalid, "without a valid sample");
    say_leads(out->note, flat, "flat");
    say_leads(out->note, found & ~measured & ~other_unit, "derived");
    if (typical_mv > largest_mv || typical_mv < smallest_mv)
        say(out->note, "median amplitude %.3g mV does not fit the unit", typical_mv);
    say_share(out->note, out->missing, "missing");
    say_share(out->note, out->clipped, "beyond 3 mV");
    say_share(out->note, out->saturated, "at a lead's extreme");
    if (out->einthoven_mv > einthoven_limit_mv)
        say(out->note, "II differs from I + III by %.2g mV", out->einthoven_mv);
    const unsigned readers[] = {ECG_WARN_CHECKSUM, ECG_WARN_GAIN_ZERO, ECG_WARN_LONGER, ECG_WARN_NO_LENGTH, ECG_WARN_TEXT, ECG_WARN_INITIAL};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (rec->warnings & readers[i])
            say(out->note, "%s", ecg_warning_text(readers[i]));
}
