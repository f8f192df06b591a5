/* SPDX-License-Identifier: MIT
 * case_k.c: counts to millivolt, gaps, clipping, resampling, lead order. Tolerance 1e-6 of the largest value. The files were made with
 * the filter's roll-off and beta rounded to six digits (0.917347, 12.9846): that alone is 4e-7 in fir_left and fir_right. */
#include "golden.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ecg/prepare.h"

enum { MISSING = -32768 };
static const double tolerance = 1e-6;

/* "[\"I\", ...]" to the twelve; the names of lead_order_out are in lower case. */
static int lead_order(int which[ECG_LEADS], golden_out *o, const ecg_tensors *file, const char *key)
{
    const char *text = ecg_tensors_meta(file, key);
    json_t *names = text ? json_loads(text, 0, NULL) : NULL;
    const int n = (int)json_array_size(names);
    if (n < 1 || n > ECG_LEADS)
        golden_problem(o, "%s: no list of leads", key);
    for (int i = 0; i < n && !o->problem[0]; i++) {
        const char *name = json_string_value(json_array_get(names, (size_t)i));
        which[i] = name ? ecg_lead_from_name(name) : -1;
        if (which[i] < 0)
            golden_problem(o, "%s: entry %d is no lead", key, i);
    }
    json_decref(names);
    return n;
}

/* counts (n, leads) of a file to a record with gaps. */
static ecg_status make_record(ecg_record *rec, const double *counts, int64_t n, int leads, const int *which, double fs, double gain, ecg_err *err)
{
    const ecg_status st = ecg_record_make(rec, leads, n, fs, err);
    for (int l = 0; l < leads && !st; l++) {
        snprintf(rec->lead[l].name, sizeof rec->lead[l].name, "%s", ecg_lead_names[which[l]]);
        snprintf(rec->lead[l].unit, sizeof rec->lead[l].unit, "mV");
        for (int64_t t = 0; t < n; t++)
            rec->value[l * n + t] = counts[t * leads + l] == MISSING ? NAN : (float)(counts[t * leads + l] / gain);
    }
    return st;
}

/* The taps as the resampler uses them: its answer to a unit impulse, sample by sample. left[i] weighs x[n-i], right[i] x[n+1+i]. */
static void compare_taps(golden_out *o, const ecg_tensors *file, const ecg_resampler *r, double fs_in, double fs_out)
{
    enum { N = 4000 };
    const int64_t ratio = llround(fs_in / fs_out), t = N / 2 / ratio, n = t * ratio;
    double *x = calloc(N, sizeof *x), *y = calloc(N, sizeof *y), *taps = calloc(N, sizeof *taps);
    const char *names[2] = {"fir_left", "fir_right"};
    for (int side = 0; side < 2 && x && y && taps; side++) {
        const ecg_tensor *want = ecg_tensors_find(file, names[side]);
        if (!want || want->count < 1 || want->count > N / 2 - ratio - 2) {
            golden_problem(o, "no tensor %s, or too long", names[side]);
            break;
        }
        for (int64_t i = 0; i <= want->count; i++) { /* one more than the file has: it must be 0 */
            const int64_t at = side ? n + 1 + i : n - i;
            x[at] = 1;
            ecg_resample(y, x, N, r);
            x[at] = 0;
            taps[i] = y[t];
        }
        golden_compare_d(o, file, names[side], taps, want->count, tolerance);
        if (taps[want->count] != 0)
            golden_problem(o, "%s: %lld values, the filter has more", names[side], (long long)want->count);
    }
    free(x);
    free(y);
    free(taps);
}

/* Double all the way through: cleaned by the file's own cleaned_mV where it holds the whole recording. */
static void compare_double(golden_out *o, const ecg_tensors *file, const ecg_resampler *r, const int *in, int leads_in, const int *out, int leads_out, int64_t n, int64_t n_out)
{
    int64_t count;
    double *cleaned = golden_double(o, file, "cleaned_mV", &count);
    double *x = malloc(sizeof *x * (size_t)n), *y = malloc(sizeof *y * (size_t)(n_out + 1)), *all = calloc((size_t)(n_out * leads_out + 1), sizeof *all);
    if (cleaned && x && y && all && count == n * leads_in) {
        for (int l = 0; l < leads_out; l++)
            for (int k = 0; k < leads_in; k++) {
                if (in[k] != out[l])
                    continue;
                for (int64_t t = 0; t < n; t++)
                    x[t] = cleaned[t * leads_in + k];
                ecg_resample(y, x, n, r);
                for (int64_t t = 0; t < n_out; t++)
                    all[t * leads_out + l] = y[t];
            }
        golden_compare_d(o, file, "output_float64", all, n_out * leads_out, tolerance);
    }
    free(cleaned);
    free(x);
    free(y);
    free(all);
}

void golden_k(golden_out *o, const ecg_tensors *file)
{
    const double fs_in = golden_number(o, file, "fs_in"), fs_out = golden_number(o, file, "fs_out");
    const char *gain_text = ecg_tensors_meta(file, "gain"); /* "200 counts per mV, -32768 = missing" */
    const double gain = gain_text ? strtod(gain_text, NULL) : 0;
    const ecg_tensor *shape = ecg_tensors_find(file, "counts"), *clean = ecg_tensors_find(file, "cleaned_mV");
    int in[ECG_LEADS], out[ECG_LEADS];
    const int leads_in = lead_order(in, o, file, "lead_order_in"), leads_out = lead_order(out, o, file, "lead_order_out");
    int64_t count = 0;
    double *counts = golden_double(o, file, "counts", &count);
    if (!shape || !clean || shape->rank != 2 || clean->rank != 2 || shape->dim[1] != leads_in || clean->dim[1] != leads_in || clean->dim[0] < 1 || !(gain > 0))
        golden_problem(o, "counts (samples, leads), cleaned_mV, or the gain are not there");
    if (o->problem[0]) {
        free(counts);
        return;
    }
    const int64_t n = shape->dim[0], n_clean = clean->dim[0];
    ecg_contract c;
    ecg_contract_default(&c);
    c.rate_hz = fs_out;
    c.leads = leads_out;
    for (int l = 0; l < leads_out; l++)
        snprintf(c.lead[l], sizeof c.lead[l], "%s", ecg_lead_names[out[l]]);
    ecg_record rec = {0};
    ecg_resampler *r = NULL;
    ecg_err err;
    if (make_record(&rec, counts, n, leads_in, in, fs_in, gain, &err) || ecg_resampler_new(&r, fs_in, fs_out, &err)) {
        golden_problem(o, "%s", err.msg);
        goto done;
    }
    const int64_t n_out = ecg_prepared_samples(&c, &rec);
    float *prepared = malloc(sizeof *prepared * (size_t)(n_out * leads_out + 1)), *cleaned = malloc(sizeof *cleaned * (size_t)(n_clean * leads_in + 1));
    unsigned found;
    if (!prepared || !cleaned || ecg_prepare(prepared, &found, &c, &rec, &err)) {
        golden_problem(o, "%s", err.msg);
    } else {
        golden_compare_f(o, file, "output", prepared, n_out * leads_out, tolerance);
        golden_compare_f(o, file, "output_float64", prepared, n_out * leads_out, tolerance);
        for (int l = 0; l < leads_in; l++) {
            ecg_clean(rec.value + l * n, n, c.clip_mv);
            for (int64_t t = 0; t < n_clean && t < n; t++)
                cleaned[t * leads_in + l] = rec.value[l * n + t];
        }
        golden_compare_f(o, file, "cleaned_mV", cleaned, n_clean * leads_in, tolerance);
        compare_double(o, file, r, in, leads_in, out, leads_out, n, n_out);
        if (fs_in > fs_out && fs_in / fs_out == floor(fs_in / fs_out))
            compare_taps(o, file, r, fs_in, fs_out);
    }
    free(prepared);
    free(cleaned);
done:
    ecg_resampler_free(r);
    ecg_record_clear(&rec);
    free(counts);
}
