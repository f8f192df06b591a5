/* SPDX-License-Identifier: MIT */
#include "ecg/read_wfdb.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ecg/wfdb_signal.h"

/* Samples of gaps and of signals without a file, and those of FLAC, have no bytes of their own to be compared with: 512 MiB of floats. In a
 * record of segments every byte of a file may also speak for 64 values. */
static const int64_t UNBACKED_MAX = INT64_C(1) << 27;

/* One header being read. Everything that goes wrong is told with its path. */
typedef struct {
    ecg_source *src;
    char header[256];  /* name in the source */
    char folder[256];  /* what stands before the names of its files: "" or "sub/" */
    char path[512];    /* for messages */
    ecg_wfdb_header head;
} part;

/* Consecutive signals in one file. */
typedef struct {
    int first, signals;
    int64_t per_frame;   /* samples of all its signals in a frame */
    int format;          /* 0: no file */
    ecg_bytes bytes;
    const uint8_t *at;   /* behind the offset */
    int64_t len;
    int64_t skip;        /* FLAC: samples before the first */
    int64_t frames;      /* whole frames in the file; INT64_MAX where unknown before decoding */
} group;

static ecg_status open_part(part *p, ecg_source *src, const char *header, ecg_err *err)
{
    ecg_bytes bytes;
    *p = (part){.src = src};
    if ((size_t)snprintf(p->header, sizeof p->header, "%s", header) >= sizeof p->header)
        return ecg_fail_at(err, ECG_EDATA, src->where, 0, 0, "a header name of %zu bytes", strlen(header));
    const char *slash = strrchr(p->header, '/');
    if (slash)
        snprintf(p->folder, sizeof p->folder, "%.*s", (int)(slash - p->header + 1), p->header);
    if (ecg_join(p->path, sizeof p->path, src->where, header, NULL))
        snprintf(p->path, sizeof p->path, "%.255s", header);
    ecg_status st = ecg_source_open(src, header, &bytes, err);
    if (st)
        return st;
    st = ecg_wfdb_header_parse(&p->head, bytes.at, bytes.len, err);
    ecg_bytes_free(&bytes);
    return st ? ecg_fail_in(err, st, p->path) : ECG_OK;
}

static void close_part(part *p)
{
    ecg_wfdb_header_clear(&p->head);
}

/* Opens a file that the header names; a name that is refused is an error of the header's line. */
static ecg_status open_named(ecg_bytes *out, const part *p, const char *name, int64_t line, ecg_err *err)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", p->folder, name);
    const ecg_status st = ecg_source_open(p->src, full, out, err);
    if (st == ECG_EDATA && err) {
        snprintf(err->path, sizeof err->path, "%s", p->path);
        err->line = line;
    }
    return st;
}

/* ---- signal files --------------------------------------------------------------------------------------------------------------- */

static void close_groups(group *g, int n)
{
    for (int i = 0; g && i < n; i++)
        ecg_bytes_free(&g[i].bytes);
    free(g);
}

/* Which signals share a file: those that follow one another under the same name. */
static ecg_status find_groups(group *g, int *n, const part *p, ecg_err *err)
{
    const ecg_wfdb_signal *s = p->head.signal;
    *n = 0;
    for (int i = 0; i < p->head.signals; i++) {
        const bool null = s[i].format == 0;
        if (!null && !ecg_wfdb_format_known(s[i].format))
            return ecg_fail_at(err, ECG_EUNSUPPORTED, p->path, s[i].line, 0, "signal format %d is not one of WFDB's", s[i].format);
        if (*n > 0 && !null && g[*n - 1].format != 0 && strcmp(s[i].file, s[i - 1].file) == 0) {
            group *same = &g[*n - 1];
            if (s[i].format != same->format || s[i].offset != s[same->first].offset)
                return ecg_fail_at(err, ECG_EDATA, p->path, s[i].line, 0, "another format or offset than the signal above in the same file");
            if (ecg_wfdb_format_flac(same->format) && s[i].per_frame != s[same->first].per_frame)
                return ecg_fail_at(err, ECG_EDATA, p->path, s[i].line, 0, "another number of samples per frame than the signal above in the same FLAC file");
            same->signals++;
            same->per_frame += s[i].per_frame;
            continue;
        }
        for (int k = 0; k < *n && !null; k++)
            if (g[k].format != 0 && strcmp(s[g[k].first].file, s[i].file) == 0)
                return ecg_fail_at(err, ECG_EDATA, p->path, s[i].line, 0, "signals of %.100s do not follow one another", s[i].file);
        g[(*n)++] = (group){.first = i, .signals = 1, .per_frame = s[i].per_frame, .format = s[i].format, .frames = INT64_MAX};
    }
    return ECG_OK;
}

static ecg_status open_group(group *g, const part *p, ecg_err *err)
{
    const ecg_wfdb_signal *s = &p->head.signal[g->first];
    if (g->format == 0)
        return ECG_OK;
    const ecg_status st = open_named(&g->bytes, p, s->file, s->line, err);
    if (st)
        return st;
    if (g->bytes.len == 0)
        return ecg_fail_at(err, ECG_EDATA, p->path, s->line, 0, "%.100s is empty", s->file);
    g->at = g->bytes.at;
    g->len = (int64_t)g->bytes.len;
    if (ecg_wfdb_format_flac(g->format)) {
        g->skip = s->offset;
        return ECG_OK;
    }
    if (s->offset > g->len)
        return ecg_fail_at(err, ECG_EDATA, p->path, s->line, 0, "byte offset %" PRId64 ", %.100s has %" PRId64 " bytes", s->offset, s->file, g->len);
    g->at += s->offset;
    g->len -= s->offset;
    g->frames = ecg_wfdb_samples(g->format, g->len) / g->per_frame;
    return ECG_OK;
}

/* Opens every file of the header and settles the number of frames: announced, or what the shortest file holds. */
static ecg_status open_groups(group **out, int *n, int64_t *frames, unsigned *warnings, const part *p, ecg_err *err)
{
    const ecg_wfdb_header *h = &p->head;
    group *g = calloc((size_t)h->signals, sizeof *g);
    ecg_status st = g ? find_groups(g, n, p, err) : ecg_fail_at(err, ECG_ENOMEM, p->path, 0, 0, "out of memory");
    int64_t shortest = INT64_MAX, unbacked = 0;
    for (int i = 0; !st && i < *n; i++) {
        st = open_group(&g[i], p, err);
        if (!st && g[i].frames < shortest)
            shortest = g[i].frames;
    }
    if (st)
        goto fail;
    *frames = h->frames;
    if (h->frames == 0)
        *warnings |= ECG_WARN_NO_LENGTH;
    if (h->frames == 0 && shortest < INT64_MAX)
        *frames = shortest;
    for (int i = 0; i < *n; i++) {
        const ecg_wfdb_signal *s = &h->signal[g[i].first];
        int64_t values;
        if (g[i].frames < *frames) {
            st = ecg_fail_at(err, ECG_EDATA, p->path, s->line, 0, "%.100s holds %" PRId64 " samples a signal, %" PRId64 " announced", s->file, g[i].frames,
                             *frames);
            goto fail;
        }
        const bool free_of_bytes = g[i].frames == INT64_MAX;
        if (__builtin_mul_overflow(*frames, g[i].per_frame, &values) || (free_of_bytes && (unbacked += values) > UNBACKED_MAX)) {
            st = ecg_fail_at(err, ECG_EDATA, p->path, s->line, 0, "%" PRId64 " samples announced", *frames);
            goto fail;
        }
        if (free_of_bytes)
            continue;
        int64_t skew = 0; /* a skewed signal may use more frames than announced */
        for (int k = g[i].first; k < g[i].first + g[i].signals; k++)
            skew = h->signal[k].skew > skew ? h->signal[k].skew : skew;
        if (h->frames ? g[i].len > ecg_wfdb_bytes_padded(g[i].format, (*frames + skew) * g[i].per_frame) : g[i].frames > *frames)
            *warnings |= ECG_WARN_LONGER;
    }
    *out = g;
    return ECG_OK;
fail:
    close_groups(g, g ? *n : 0);
    return st;
}

/* ---- samples -------------------------------------------------------------------------------------------------------------------- */

/* stored (n_stored, per_frame) as the file has it -> out (frames, per_frame): sums differences, checks, shifts by the skew. */
static void finish_signal(int32_t *out, int32_t *stored, int64_t n_stored, int64_t frames, const ecg_wfdb_signal *s, bool announced, unsigned *warnings)
{
    const int64_t c = s->per_frame, in_file = n_stored < frames ? n_stored : frames;
    int32_t missing;
    uint32_t sum = 0;
    if (s->format == 8) {
        uint32_t value = (uint32_t)s->initial;
        for (int64_t i = 0; i < n_stored * c; i++)
            stored[i] = (int32_t)(value += (uint32_t)stored[i]);
    } else if (s->has_initial && n_stored > 0 && stored[0] != s->initial) {
        *warnings |= ECG_WARN_INITIAL;
    }
    for (int64_t i = 0; i < in_file * c; i++)
        sum += (uint32_t)stored[i];
    if (s->has_checksum && announced && (sum & 0xffff) != s->checksum)
        *warnings |= ECG_WARN_CHECKSUM;
    if (ecg_wfdb_format_missing(&missing, s->format))
        for (int64_t i = 0; i < n_stored * c; i++)
            if (stored[i] == missing)
                stored[i] = ECG_WFDB_MISSING;
    const int64_t skew = s->skew < n_stored ? s->skew : n_stored, there = n_stored - skew < frames ? n_stored - skew : frames;
    memcpy(out, stored + skew * c, (size_t)(there * c) * sizeof *out);
    for (int64_t i = there * c; i < frames * c; i++)
        out[i] = ECG_WFDB_MISSING;
}

static ecg_status read_group(int32_t **sample, const group *g, int64_t *frames, unsigned *warnings, const part *p, ecg_err *err)
{
    const ecg_wfdb_signal *s = &p->head.signal[g->first];
    const bool is_flac = ecg_wfdb_format_flac(g->format), announced = p->head.frames > 0;
    int32_t *decoded = NULL, *stored = NULL;
    int64_t n_decoded = 0, available = g->frames, most = 0;
    ecg_status st = ECG_OK;
    for (int k = 0; k < g->signals; k++)
        most = s[k].skew > most ? s[k].skew : most;
    if (is_flac) {
        const int64_t room = UNBACKED_MAX / g->per_frame;
        const int64_t want = announced ? (*frames + (most < room ? most : room)) * s->per_frame : UNBACKED_MAX;
        if (g->skip > UNBACKED_MAX)
            return ecg_fail_at(err, ECG_EDATA, p->path, s->line, 0, "sample offset %" PRId64, g->skip);
        st = ecg_wfdb_flac(&decoded, &n_decoded, g->format, g->at, (size_t)g->len, g->signals, g->skip + want, err);
        if (st) {
            if (err)
                err->line = s->line;
            return ecg_fail_in(err, st, p->path);
        }
        available = (n_decoded - (n_decoded < g->skip ? n_decoded : g->skip)) / s->per_frame;
        if (n_decoded > g->skip + want) { /* one more was seen */
            *warnings |= ECG_WARN_LONGER;
            n_decoded = g->skip + want;
            available = want / s->per_frame;
        }
        if (!announced && *frames == 0)
            *frames = available;
        if (available < *frames) {
            st = ecg_fail_at(err, ECG_EDATA, p->path, s->line, 0, "%.100s holds %" PRId64 " samples a signal, %" PRId64 " announced", s->file, available,
                             *frames);
            goto done;
        }
    }
    if (*frames == 0) {
        st = ecg_fail_at(err, ECG_EDATA, p->path, s->line, 0, "no samples");
        goto done;
    }
    int64_t at = 0; /* of the signal in a frame */
    for (int k = 0; k < g->signals; k++) {
        const int64_t c = s[k].per_frame, stored_frames = g->format == 0 ? 0 : available - *frames < s[k].skew ? available : *frames + s[k].skew;
        int32_t *out = malloc((size_t)(*frames * c) * sizeof *out);
        stored = malloc((size_t)(stored_frames * c + 1) * sizeof *stored);
        sample[g->first + k] = out;
        if (!out || !stored) {
            st = ecg_fail_at(err, ECG_ENOMEM, p->path, s[k].line, 0, "no room for %" PRId64 " samples", *frames * c);
            goto done;
        }
        for (int64_t j = 0; j < c && g->format; j++, at++)
            if (is_flac)
                for (int64_t t = 0; t < stored_frames; t++)
                    stored[t * c + j] = decoded[(g->skip + t * c + j) * g->signals + k];
            else
                ecg_wfdb_decode(stored + j, c, g->format, g->at, at, g->per_frame, stored_frames);
        finish_signal(out, stored, stored_frames, *frames, &s[k], announced && g->format, warnings);
        free(stored);
        stored = NULL;
    }
done:
    free(stored);
    free(decoded);
    return st;
}

static void free_samples(int32_t **sample, int n)
{
    for (int i = 0; sample && i < n; i++)
        free(sample[i]);
    free(sample);
}

/* All signals of one header: *sample [signals] of (frames, per_frame). */
static ecg_status read_part(int32_t ***sample, int64_t *frames, unsigned *warnings, const part *p, ecg_err *err)
{
    group *g = NULL;
    int n = 0;
    *sample = NULL;
    ecg_status st = open_groups(&g, &n, frames, warnings, p, err);
    if (st)
        return st;
    int32_t **out = calloc((size_t)p->head.signals, sizeof *out);
    if (!out)
        st = ecg_fail_at(err, ECG_ENOMEM, p->path, 0, 0, "out of memory");
    for (int pass = 0; pass < 2; pass++) /* files that hold samples settle the number of frames before signals without a file need it */
        for (int i = 0; !st && i < n; i++)
            if ((g[i].format == 0) == pass)
                st = read_group(out, &g[i], frames, warnings, p, err);
    for (int i = 0; !st && i < p->head.signals; i++)
        if (p->head.signal[i].gain_assumed && p->head.signal[i].format)
            *warnings |= ECG_WARN_GAIN_ZERO;
    *warnings |= p->head.warnings;
    close_groups(g, n);
    if (st)
        free_samples(out, p->head.signals);
    else
        *sample = out;
    return st;
}

/* ---- names ---------------------------------------------------------------------------------------------------------------------- */

static bool same_name(const char *a, const char *b)
{
    const int lead = ecg_lead_from_name(a);
    return lead >= 0 ? lead == ecg_lead_from_name(b) : strcmp(a, b) == 0;
}

static ecg_status check_names(const part *p, ecg_err *err)
{
    const ecg_wfdb_signal *s = p->head.signal;
    for (int i = 0; i < p->head.signals; i++)
        for (int k = 0; k < i && s[i].name[0]; k++)
            if (same_name(s[i].name, s[k].name))
                return ecg_fail_at(err, ECG_EDATA, p->path, s[i].line, 0, "lead %s is there twice (also in line %" PRId64 ")", s[i].name, s[k].line);
    return ECG_OK;
}

static void name_lead(ecg_lead *lead, const ecg_wfdb_signal *s)
{
    const int known = ecg_lead_from_name(s->name);
    snprintf(lead->name, sizeof lead->name, "%.31s", known >= 0 ? ecg_lead_names[known] : s->name);
    const double mv = ecg_unit_to_mv(s->unit);
    snprintf(lead->unit, sizeof lead->unit, "%s", mv == 1 ? "mV" : mv == 1e-3 ? "uV" : s->unit);
    lead->per_frame = s->per_frame;
    lead->gain = s->gain_assumed ? 0 : s->gain;
}

/* ---- where the samples go ------------------------------------------------------------------------------------------------------- */

/* Either may be NULL. */
typedef struct {
    ecg_record *rec;
    ecg_wfdb_raw *raw;
} sink;

static ecg_status make_room(sink *to, const part *like, int64_t frames, double rate_hz, bool of_segments, ecg_err *err)
{
    const int n = like->head.signals;
    if (to->rec) {
        const ecg_status st = ecg_record_make(to->rec, n, frames, rate_hz, err);
        if (st)
            return ecg_fail_in(err, st, like->path);
        for (int i = 0; i < n; i++)
            name_lead(&to->rec->lead[i], &like->head.signal[i]);
    }
    if (to->raw) {
        ecg_wfdb_raw *raw = to->raw;
        *raw = (ecg_wfdb_raw){.signals = n, .frames = frames, .rate_hz = rate_hz, .of_segments = of_segments};
        raw->signal = malloc((size_t)n * sizeof *raw->signal);
        raw->sample = calloc((size_t)n, sizeof *raw->sample);
        if (!raw->signal || !raw->sample)
            return ecg_fail_at(err, ECG_ENOMEM, like->path, 0, 0, "out of memory");
        memcpy(raw->signal, like->head.signal, (size_t)n * sizeof *raw->signal);
        for (int i = 0; i < n; i++) {
            int64_t values;
            if (__builtin_mul_overflow(frames, raw->signal[i].per_frame, &values) || values > INT64_MAX / 8)
                return ecg_fail_at(err, ECG_EDATA, like->path, 0, 0, "%" PRId64 " samples announced", frames);
            raw->sample[i] = malloc((size_t)values * sizeof(int32_t));
            if (!raw->sample[i])
                return ecg_fail_at(err, ECG_ENOMEM, like->path, 0, 0, "no room for %" PRId64 " samples", values);
            for (int64_t k = 0; k < values; k++)
                raw->sample[i][k] = ECG_WFDB_MISSING;
        }
    }
    return ECG_OK;
}

/* A frame's value is the mean of its samples, as rdsamp has it: missing if one of them is. */
static void to_values(float *value, const int32_t *sample, int64_t frames, const ecg_wfdb_signal *s, double scale)
{
    const int64_t c = s->per_frame;
    const double baseline = (double)s->baseline, gain = s->gain;
    for (int64_t t = 0; c == 1 && t < frames; t++)
        value[t] = (float)(scale * ((sample[t] == ECG_WFDB_MISSING ? (double)NAN : (double)sample[t]) - baseline) / gain);
    for (int64_t t = 0; c > 1 && t < frames; t++) {
        double sum = 0;
        for (int64_t j = 0; j < c; j++)
            sum += sample[t * c + j] == ECG_WFDB_MISSING ? (double)NAN : (double)sample[t * c + j];
        value[t] = (float)(scale * (sum / (double)c - baseline) / gain);
    }
}

/* Signal s of a part, frames long, becomes signal i of the whole from frame start on. */
static ecg_status deliver(sink *to, int i, int64_t start, const int32_t *sample, int64_t frames, const ecg_wfdb_signal *s, const part *p, ecg_err *err)
{
    if (to->rec) {
        double scale = 1;
        if (strcmp(to->rec->lead[i].unit, s->unit) != 0) {
            const double want = ecg_unit_to_mv(to->rec->lead[i].unit), have = ecg_unit_to_mv(s->unit);
            if (want == 0 || have == 0)
                return ecg_fail_at(err, ECG_EDATA, p->path, s->line, 0, "unit %s, %s in another segment", s->unit, to->rec->lead[i].unit);
            scale = have / want;
        }
        to_values(to->rec->value + i * to->rec->samples + start, sample, frames, s, scale);
    }
    if (to->raw)
        memcpy(to->raw->sample[i] + start * s->per_frame, sample, (size_t)(frames * s->per_frame) * sizeof *sample);
    return ECG_OK;
}

static ecg_status read_single(sink *to, unsigned *warnings, const part *p, ecg_err *err)
{
    int32_t **sample;
    int64_t frames;
    ecg_status st = check_names(p, err);
    if (!st)
        st = read_part(&sample, &frames, warnings, p, err);
    if (st)
        return st;
    st = make_room(to, p, frames, p->head.rate_hz, false, err);
    for (int i = 0; !st && i < p->head.signals; i++)
        st = deliver(to, i, 0, sample[i], frames, &p->head.signal[i], p, err);
    free_samples(sample, p->head.signals);
    return st;
}

/* ---- segments ------------------------------------------------------------------------------------------------------------------- */

static bool is_gap(const ecg_wfdb_segment *s)
{
    return strcmp(s->name, "~") == 0;
}

static ecg_status open_segment(part *p, const part *whole, const ecg_wfdb_segment *s, ecg_err *err)
{
    char name[512];
    snprintf(name, sizeof name, "%.255s%.127s.hea", whole->folder, s->name);
    ecg_status st = open_part(p, whole->src, name, err);
    if (st == ECG_EDATA && err && strcmp(err->path, whole->src->where) == 0) { /* the name itself was refused */
        snprintf(err->path, sizeof err->path, "%s", whole->path);
        err->line = s->line;
    }
    if (!st && p->head.segments)
        st = ecg_fail_at(err, ECG_EDATA, whole->path, s->line, 0, "segment %s is itself made of segments", s->name);
    if (!st && fabs(p->head.rate_hz - whole->head.rate_hz) > 1e-6 * whole->head.rate_hz)
        st = ecg_fail_at(err, ECG_EDATA, whole->path, s->line, 0, "segment %s has %g Hz, the record %g Hz", s->name, p->head.rate_hz, whole->head.rate_hz);
    if (!st)
        st = check_names(p, err);
    if (st)
        close_part(p);
    return st;
}

/* Signal s of a segment is which of the layout? By name; without names by place, which only a fixed layout allows. */
static ecg_status place_of(int *place, const part *layout, bool fixed, const part *p, int s, ecg_err *err)
{
    const ecg_wfdb_signal *own = &p->head.signal[s];
    *place = -1;
    for (int i = 0; i < layout->head.signals && own->name[0]; i++)
        if (same_name(own->name, layout->head.signal[i].name))
            *place = i;
    if (*place < 0 && fixed && (!own->name[0] || !layout->head.signal[s].name[0]))
        *place = s;
    if (*place < 0)
        return ecg_fail_at(err, ECG_EDATA, p->path, own->line, 0, "signal \"%s\" is not among those of %.200s", own->name, layout->path);
    if (own->format && own->per_frame != layout->head.signal[*place].per_frame)
        return ecg_fail_at(err, ECG_EDATA, p->path, own->line, 0, "%d samples per frame, %d in %.200s", own->per_frame,
                           layout->head.signal[*place].per_frame, layout->path);
    return ECG_OK;
}

/* Before anything is allocated: does every segment hold what the record announces? */
static ecg_status measure(int64_t *total, const part *whole, const part *layout, bool fixed, int64_t first, ecg_err *err)
{
    const ecg_wfdb_header *h = &whole->head;
    int64_t held = 0; /* bytes of signal files */
    bool gaps = false;
    *total = 0;
    for (int64_t i = first; i < h->segments; i++) {
        const ecg_wfdb_segment *s = &h->segment[i];
        part p;
        group *g;
        int n, place;
        int64_t frames;
        unsigned ignored = 0;
        if (s->frames == 0)
            return ecg_fail_at(err, ECG_EDATA, whole->path, s->line, 0, "segment %s of 0 samples", s->name);
        if (__builtin_add_overflow(*total, s->frames, total))
            return ecg_fail_at(err, ECG_EDATA, whole->path, s->line, 0, "segments of over 2^63 samples");
        if (is_gap(s)) {
            gaps = true;
            continue;
        }
        ecg_status st = open_segment(&p, whole, s, err);
        if (st)
            return st;
        if (fixed ? p.head.signals != layout->head.signals : p.head.signals > layout->head.signals)
            st = ecg_fail_at(err, ECG_EDATA, p.path, 0, 0, "%d signals, %d in %.200s", p.head.signals, layout->head.signals, layout->path);
        for (int k = 0; !st && k < p.head.signals; k++) {
            st = place_of(&place, layout, fixed, &p, k, err);
            gaps = gaps || p.head.signal[k].format == 0 || ecg_wfdb_format_flac(p.head.signal[k].format);
        }
        if (!st && !(st = open_groups(&g, &n, &frames, &ignored, &p, err))) {
            for (int k = 0; k < n; k++)
                held += (int64_t)g[k].bytes.len;
            close_groups(g, n);
            if (frames && frames != s->frames)
                st = ecg_fail_at(err, ECG_EDATA, whole->path, s->line, 0, "segment %s has %" PRId64 " samples, %" PRId64 " announced", s->name, frames, s->frames);
        }
        close_part(&p);
        if (st)
            return st;
    }
    if (h->frames && h->frames != *total)
        return ecg_fail_at(err, ECG_EDATA, whole->path, 0, 0, "%" PRId64 " samples announced, the segments have %" PRId64, h->frames, *total);
    if (*total == 0)
        return ecg_fail_at(err, ECG_EDATA, whole->path, 0, 0, "no samples");
    if (*total > INT64_C(1) << 40 || ((gaps || !fixed) && *total * layout->head.signals > UNBACKED_MAX + 64 * held))
        return ecg_fail_at(err, ECG_EDATA, whole->path, 0, 0, "%d signals of %" PRId64 " samples announced, the segments have %" PRId64 " bytes",
                           layout->head.signals, *total, held);
    return ECG_OK;
}

static ecg_status read_segments(sink *to, unsigned *warnings, const part *whole, ecg_err *err)
{
    const ecg_wfdb_header *h = &whole->head;
    const bool fixed = h->segment[0].frames > 0;
    part layout;
    int64_t first = fixed ? 0 : 1, model = 0, total, start = 0;
    while (fixed && model < h->segments && is_gap(&h->segment[model]))
        model++;
    if (model == h->segments || is_gap(&h->segment[model]))
        return ecg_fail_at(err, ECG_EDATA, whole->path, 0, 0, "no segment describes the signals");
    ecg_status st = open_segment(&layout, whole, &h->segment[model], err);
    if (st)
        return st;
    if (layout.head.signals != h->signals)
        st = ecg_fail_at(err, ECG_EDATA, whole->path, 0, 0, "%d signals announced, %d described in %.200s", h->signals, layout.head.signals, layout.path);
    if (!st)
        st = measure(&total, whole, &layout, fixed, first, err);
    if (!st)
        st = make_room(to, &layout, total, h->rate_hz, true, err);
    for (int64_t i = first; !st && i < h->segments; start += h->segment[i++].frames) {
        part p;
        int32_t **sample = NULL;
        int64_t frames;
        int place;
        if (is_gap(&h->segment[i]))
            continue;
        if ((st = open_segment(&p, whole, &h->segment[i], err)))
            break;
        st = read_part(&sample, &frames, warnings, &p, err);
        if (!st && frames != h->segment[i].frames)
            st = ecg_fail_at(err, ECG_EDATA, whole->path, h->segment[i].line, 0, "segment %s has %" PRId64 " samples, %" PRId64 " announced",
                             h->segment[i].name, frames, h->segment[i].frames);
        for (int k = 0; !st && k < p.head.signals; k++)
            if (!(st = place_of(&place, &layout, fixed, &p, k, err)) && p.head.signal[k].format) {
                if (to->rec && to->rec->lead[place].gain == 0)
                    to->rec->lead[place].gain = p.head.signal[k].gain_assumed ? 0 : p.head.signal[k].gain;
                st = deliver(to, place, start, sample[k], frames, &p.head.signal[k], &p, err);
            }
        free_samples(sample, p.head.signals);
        close_part(&p);
    }
    if (h->frames == 0)
        *warnings |= ECG_WARN_NO_LENGTH;
    *warnings |= h->warnings | layout.head.warnings;
    close_part(&layout);
    return st;
}

/* ---- the record ----------------------------------------------------------------------------------------------------------------- */

static unsigned look_at_leads(const ecg_record *rec)
{
    unsigned warnings = 0;
    for (int i = 0; i < rec->leads; i++) {
        const float *x = rec->value + i * rec->samples;
        int64_t first = 0, t;
        while (first < rec->samples && isnan(x[first]))
            first++;
        for (t = first; t < rec->samples && !(x[t] < x[first] || x[t] > x[first]); t++) /* most leads differ soon */
            ;
        if (first == rec->samples)
            warnings |= ECG_WARN_LEAD_INVALID;
        else if (t == rec->samples && rec->samples > 1)
            warnings |= ECG_WARN_LEAD_FLAT;
    }
    return warnings;
}

static ecg_status read_into(sink *to, ecg_source *src, const char *header, ecg_err *err)
{
    part p;
    unsigned warnings = 0;
    ecg_status st = open_part(&p, src, header, err);
    if (st)
        return st;
    st = p.head.segments ? read_segments(to, &warnings, &p, err) : read_single(to, &warnings, &p, err);
    warnings |= p.head.warnings;
    if (!st && to->rec) {
        snprintf(to->rec->name, sizeof to->rec->name, "%s", p.head.name);
        snprintf(to->rec->when, sizeof to->rec->when, "%s", p.head.when);
        snprintf(to->rec->format, sizeof to->rec->format, "wfdb");
        to->rec->warnings = warnings | look_at_leads(to->rec);
    }
    if (!st && to->raw)
        to->raw->warnings = warnings;
    close_part(&p);
    if (st && to->rec)
        ecg_record_clear(to->rec);
    if (st && to->raw)
        ecg_wfdb_raw_clear(to->raw);
    return st;
}

ecg_status ecg_wfdb_read_raw(ecg_wfdb_raw *out, ecg_source *src, const char *header, ecg_err *err)
{
    *out = (ecg_wfdb_raw){0};
    return read_into(&(sink){.raw = out}, src, header, err);
}

void ecg_wfdb_raw_clear(ecg_wfdb_raw *raw)
{
    free_samples(raw->sample, raw->signals);
    free(raw->signal);
    *raw = (ecg_wfdb_raw){0};
}

static bool detect(const char *file, const uint8_t *head, size_t len)
{
    const size_t n = strlen(file);
    (void)head;
    (void)len;
    return n > 4 && ecg_same_word(file + n - 4, ".hea");
}

static ecg_status read_record(ecg_record *rec, ecg_source *src, const char *file, ecg_err *err)
{
    memset(rec, 0, sizeof *rec);
    return read_into(&(sink){.rec = rec}, src, file, err);
}

const ecg_format ecg_format_wfdb = {.name = "wfdb", .detect = detect, .read = read_record};
