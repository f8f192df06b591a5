/* SPDX-License-Identifier: MIT */
#include "ecg/write_wfdb.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ecg/wfdb_signal.h"

/* ---- defaults and checks -------------------------------------------------------------------------------------------------------- */

static ecg_wfdb_track filled(const ecg_wfdb_track *t)
{
    ecg_wfdb_track f = *t;
    f.name = f.name ? f.name : "";
    f.unit = f.unit && f.unit[0] ? f.unit : "mV";
    f.file = f.file ? f.file : "";
    f.format = f.format ? f.format : 16;
    f.per_frame = f.per_frame ? f.per_frame : 1;
    f.gain = f.gain == 0 ? 200 : f.gain;
    return f;
}

static bool plain(const char *s, bool blanks)
{
    for (; *s; s++)
        if ((unsigned char)*s < 32 || *s == 127 || (!blanks && *s == ' '))
            return false;
    return true;
}

static ecg_status check_track(const ecg_wfdb_track *t, int i, ecg_err *err)
{
    if (!ecg_wfdb_format_known(t->format) || ecg_wfdb_format_flac(t->format))
        return ecg_fail(err, ECG_EUNSUPPORTED, "signal %d: format %d is not written", i, t->format);
    if (!plain(t->name, true) || !plain(t->unit, false) || !plain(t->file, false) || strchr(t->file, '/'))
        return ecg_fail(err, ECG_EARG, "signal %d: a name, unit or file name that a header cannot hold", i);
    if (t->per_frame < 1 || t->skew < 0 || t->offset < 0 || !isfinite(t->gain))
        return ecg_fail(err, ECG_EARG, "signal %d: samples per frame, skew, offset or gain out of range", i);
    return ECG_OK;
}

static int end_of_file(const ecg_wfdb_track *track, int first, int tracks)
{
    const char *file = track[first].file ? track[first].file : "";
    int i = first + 1;
    while (i < tracks && strcmp(track[i].file ? track[i].file : "", file) == 0)
        i++;
    return i;
}

/* ---- header --------------------------------------------------------------------------------------------------------------------- */

/* What a file stores for sample k; false: the format cannot. In format 8 that is the step from the sample before. */
static bool stored(int32_t *out, const ecg_wfdb_track *t, int64_t k)
{
    int32_t low, high;
    ecg_wfdb_format_range(&low, &high, t->format);
    if (t->sample[k] == ECG_WFDB_MISSING)
        return ecg_wfdb_format_missing(out, t->format);
    const int64_t x = t->format == 8 && k > 0 ? (int64_t)t->sample[k] - t->sample[k - 1] : t->format == 8 ? 0 : t->sample[k];
    *out = (int32_t)x;
    return x >= low && x <= high && (t->format != 8 || k == 0 || t->sample[k - 1] != ECG_WFDB_MISSING);
}

static int16_t checksum(int32_t *initial, const ecg_wfdb_track *t, int64_t frames)
{
    uint32_t sum = 0;
    *initial = 0;
    for (int64_t k = 0; k < frames * t->per_frame; k++) {
        int32_t code = t->sample[k];
        if (code == ECG_WFDB_MISSING)
            ecg_wfdb_format_missing(&code, t->format);
        if (k == 0)
            *initial = code;
        sum += (uint32_t)code;
    }
    return (int16_t)(uint16_t)sum;
}

ecg_status ecg_wfdb_header_text(ecg_text *out, const char *name, double rate_hz, int64_t frames, const char *when, const ecg_wfdb_track *track,
                                int tracks, const char *comments, ecg_err *err)
{
    static const int bits_of_low[] = {8, 10, 12, 16, 24, 32};
    if (!name[0] || !plain(name, false) || strchr(name, '/'))
        return ecg_fail(err, ECG_EARG, "\"%.100s\" is no record name", name);
    if (tracks < 1 || frames < 1 || !(rate_hz > 0) || !isfinite(rate_hz))
        return ecg_fail(err, ECG_EARG, "%d signals of %" PRId64 " samples at %g Hz", tracks, frames, rate_hz);
    ecg_text_printf(out, "%s %d %.15g %" PRId64, name, tracks, rate_hz, frames);
    if (when && strlen(when) == 19)
        ecg_text_printf(out, " %.8s %.2s/%.2s/%.4s", when + 11, when + 8, when + 5, when);
    ecg_text_puts(out, "\n");
    for (int i = 0; i < tracks; i++) {
        const ecg_wfdb_track t = filled(&track[i]);
        const ecg_status st = check_track(&t, i, err);
        if (st)
            return st;
        int32_t initial, low, high;
        const int16_t sum = checksum(&initial, &t, frames);
        ecg_wfdb_format_range(&low, &high, t.format);
        size_t b = 0;
        while (b + 1 < sizeof bits_of_low / sizeof *bits_of_low && high >= INT64_C(1) << (bits_of_low[b] - 1))
            b++;
        ecg_text_puts(out, t.file[0] ? t.file : name);
        ecg_text_printf(out, "%s %d", t.file[0] ? "" : ".dat", t.format);
        if (t.per_frame > 1)
            ecg_text_printf(out, "x%d", t.per_frame);
        if (t.skew)
            ecg_text_printf(out, ":%" PRId64, t.skew);
        if (t.offset)
            ecg_text_printf(out, "+%" PRId64, t.offset);
        ecg_text_printf(out, " %.15g(%d)/%s %d 0 %d %d 0%s%s\n", t.gain, t.baseline, t.unit, bits_of_low[b], initial, sum, t.name[0] ? " " : "", t.name);
    }
    for (const char *line = comments; line && *line;) {
        const size_t n = strcspn(line, "\n");
        ecg_text_printf(out, "# %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    return out->failed ? ecg_fail(err, ECG_ENOMEM, "out of memory") : ECG_OK;
}

/* ---- signal files --------------------------------------------------------------------------------------------------------------- */

ecg_status ecg_wfdb_file_bytes(uint8_t **out, size_t *len, int *next, int64_t frames, const ecg_wfdb_track *track, int first, int tracks, ecg_err *err)
{
    const int end = *next = end_of_file(track, first, tracks);
    int64_t per_frame = 0, values;
    ecg_status st = ECG_OK;
    *out = NULL;
    *len = 0;
    const ecg_wfdb_track head = filled(&track[first]);
    for (int i = first; i < end; i++) {
        const ecg_wfdb_track t = filled(&track[i]);
        if ((st = check_track(&t, i, err)))
            return st;
        if (t.format != head.format || t.offset != head.offset)
            return ecg_fail(err, ECG_EARG, "signal %d: another format or offset than the signal before in its file", i);
        per_frame += t.per_frame;
    }
    if (frames < 1 || __builtin_mul_overflow(frames, per_frame, &values) || values > INT64_MAX / 8)
        return ecg_fail(err, ECG_EARG, "%" PRId64 " samples", frames);
    const int64_t bytes = head.offset + ecg_wfdb_bytes(head.format, values);
    int32_t *code = malloc((size_t)values * sizeof *code);
    *out = calloc(1, (size_t)bytes);
    if (!code || !*out) {
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
        goto done;
    }
    int64_t at = 0;
    for (int i = first; i < end; i++) {
        const ecg_wfdb_track t = filled(&track[i]);
        for (int64_t k = 0; k < frames * t.per_frame; k++)
            if (!stored(&code[k / t.per_frame * per_frame + at + k % t.per_frame], &t, k)) {
                st = ecg_fail(err, ECG_EARG, "signal %d: sample %" PRId64 " (%d) does not fit format %d", i, k, t.sample[k], t.format);
                goto done;
            }
        at += t.per_frame;
    }
    ecg_wfdb_encode(*out + head.offset, head.format, code, values);
    *len = (size_t)bytes;
done:
    free(code);
    if (st) {
        free(*out);
        *out = NULL;
    }
    return st;
}

/* ---- into a folder -------------------------------------------------------------------------------------------------------------- */

static ecg_status begin_file(ecg_file **f, const char *folder, const char *name, const void *bytes, size_t len, ecg_err *err)
{
    char path[512];
    ecg_status st = ecg_join(path, sizeof path, folder, name, err);
    if (!st)
        st = ecg_file_create(f, path, err);
    if (!st)
        st = ecg_file_write(*f, bytes, len, err);
    return st ? st : ecg_file_write_at(*f, 0, NULL, 0, err); /* out of the buffer: a full disk is noticed before anything is renamed */
}

ecg_status ecg_wfdb_write(const char *path, double rate_hz, int64_t frames, const char *when, const ecg_wfdb_track *track, int tracks,
                          const char *comments, ecg_err *err)
{
    char folder[512], name[256], file[260];
    ecg_text text = {0};
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    const size_t len = strlen(last);
    if (len < 5 || strcmp(last + len - 4, ".hea") != 0 || len >= sizeof name || (size_t)(last - path) >= sizeof folder)
        return ecg_fail_at(err, ECG_EARG, path, 0, 0, "the name of a WFDB record ends in .hea");
    snprintf(name, sizeof name, "%.*s", (int)(len - 4), last);
    snprintf(folder, sizeof folder, "%.*s", (int)(last - path), path);
    ecg_file **f = calloc((size_t)(tracks > 0 ? tracks : 0) + 1, sizeof *f);
    int files = 0;
    ecg_status st = f ? ecg_wfdb_header_text(&text, name, rate_hz, frames, when, track, tracks, comments, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int i = 0; !st && i < tracks;) {
        uint8_t *bytes;
        size_t n;
        snprintf(file, sizeof file, "%s%s", track[i].file ? track[i].file : name, track[i].file ? "" : ".dat");
        st = ecg_wfdb_file_bytes(&bytes, &n, &i, frames, track, i, tracks, err);
        if (!st)
            st = begin_file(&f[files], folder[0] ? folder : ".", file, bytes, n, err);
        files += f[files] != NULL;
        free(bytes);
    }
    if (!st)
        st = begin_file(&f[files], folder[0] ? folder : ".", last, text.at, text.len, err);
    if (f)
        files += f[files] != NULL;
    for (int i = 0; i < files; i++)
        if (!st)
            st = ecg_file_commit(f[i], err);
        else
            ecg_file_abort(f[i]);
    free(f);
    ecg_text_clear(&text);
    return st ? ecg_fail_in(err, st, path) : ECG_OK;
}

/* ---- a recording ---------------------------------------------------------------------------------------------------------------- */

/* Gain and baseline so that every value fits 16 bits. A mean over the samples of a frame lies between steps: per_frame times as many. */
static void choose_steps(double *gain, int32_t *baseline, const ecg_lead *lead, const float *x, int64_t n)
{
    const double most = 32767, mv = ecg_unit_to_mv(lead->unit);
    double low = INFINITY, high = -INFINITY;
    for (int64_t t = 0; t < n; t++)
        if (isfinite(x[t])) {
            low = x[t] < low ? (double)x[t] : low;
            high = x[t] > high ? (double)x[t] : high;
        }
    *baseline = 0;
    *gain = mv > 0 ? 1000 * mv : 1000;
    const double known = fabs(lead->gain), tries[] = {known * lead->per_frame, known, *gain};
    if (low > high)
        return;
    for (int i = 0; i < 3; i++)
        if (tries[i] > 0 && fabs(low) * tries[i] <= most && fabs(high) * tries[i] <= most) {
            *gain = tries[i];
            return;
        }
    if (known > 0)
        *gain = known;
    const double span = high - low, middle = 0.5 * (high + low);
    if (span * *gain > 2 * most - 2)
        *gain = (2 * most - 2) / span;
    if (fabs(middle) * *gain > 1e9) /* the baseline is an integer of 32 bits */
        *gain = 1e9 / fabs(middle);
    *baseline = (int32_t)-lround(middle * *gain);
}

ecg_status ecg_wfdb_write_record(const char *path, const ecg_record *rec, ecg_err *err)
{
    ecg_wfdb_track *track = calloc((size_t)rec->leads, sizeof *track);
    int32_t *sample = malloc((size_t)rec->leads * (size_t)rec->samples * sizeof *sample + 1);
    ecg_status st = track && sample ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int i = 0; !st && i < rec->leads; i++) {
        const float *x = rec->value + i * rec->samples;
        int32_t *to = sample + i * rec->samples;
        track[i] = (ecg_wfdb_track){.name = rec->lead[i].name, .unit = rec->lead[i].unit, .sample = to};
        choose_steps(&track[i].gain, &track[i].baseline, &rec->lead[i], x, rec->samples);
        for (int64_t t = 0; t < rec->samples; t++)
            to[t] = isfinite(x[t]) ? (int32_t)lround((double)x[t] * track[i].gain + track[i].baseline) : ECG_WFDB_MISSING;
    }
    if (!st)
        st = ecg_wfdb_write(path, rec->rate_hz, rec->samples, rec->when, track, rec->leads, NULL, err);
    free(track);
    free(sample);
    return st;
}
