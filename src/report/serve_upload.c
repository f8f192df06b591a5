/* SPDX-License-Identifier: MIT
 * serve_upload.c: the recordings among files that came together. Nothing is written to disk: readers get the bytes as they came. */
#include <stdio.h>
#include <string.h>

#include "ecg/wfdb_header.h"
#include "report/serve_parts.h"

static const double values_max = 12.0 * 1000 * ECG_SERVED_SECONDS_MAX; /* twelve leads at 1 kHz */

static bool ends_in(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n > m && ecg_same_word(name + n - m, end);
}

/* Bytes of "p1/1" in "p1/1.hea". */
static size_t stem(const char *name)
{
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

ecg_status ecg_upload_members(ecg_member *member, const ecg_multipart *parts, ecg_err *err)
{
    ecg_source src;
    for (int i = 0; i < parts->n; i++) {
        const ecg_part *p = &parts->part[i];
        if (strcmp(p->name, "file") != 0)
            return ecg_fail(err, ECG_EDATA, "part %d is called \"%.60s\", files are called \"file\"", i + 1, p->name);
        for (int k = 0; k < i; k++)
            if (strcmp(member[k].name, p->file) == 0)
                return ecg_fail(err, ECG_EDATA, "two files called %s", p->file);
        member[i] = (ecg_member){.name = p->file, .at = p->at, .len = p->len};
    }
    ecg_status st = ecg_source_memory(&src, member, parts->n, err);
    if (st)
        return st;
    for (int i = 0; i < parts->n && !st; i++)
        if (!ecg_source_has(&src, member[i].name))
            st = ecg_fail(err, ECG_EDATA, "part %d has a name that no file of an upload may have", i + 1);
    ecg_source_close(&src);
    return st;
}

/* Files that the header `of` speaks of: its signals or its segments. */
static void mark_named(bool *belongs, const ecg_member *member, int n, int of)
{
    ecg_wfdb_header h;
    const char *slash = strrchr(member[of].name, '/');
    const int folder = slash ? (int)(slash - member[of].name) + 1 : 0;
    if (ecg_wfdb_header_parse(&h, member[of].at, member[of].len, NULL))
        return;
    for (int i = 0; i < n; i++) {
        const char *name = member[i].name;
        if (i == of || strncmp(name, member[of].name, (size_t)folder) != 0)
            continue;
        for (int k = 0; !h.segments && k < h.signals && !belongs[i]; k++)
            belongs[i] = strcmp(h.signal[k].file, name + folder) == 0;
        for (int64_t k = 0; k < h.segments && !belongs[i]; k++)
            belongs[i] = ends_in(name, ".hea") && stem(name + folder) == strlen(h.segment[k].name) &&
                         strncmp(h.segment[k].name, name + folder, strlen(h.segment[k].name)) == 0;
    }
    ecg_wfdb_header_clear(&h);
}

/* "1.atr" and "1.xws" beside "1.hea" are its companions. */
static bool has_header(const ecg_member *member, int n, int of)
{
    const size_t len = stem(member[of].name);
    for (int i = 0; i < n; i++)
        if (i != of && ends_in(member[i].name, ".hea") && stem(member[i].name) == len && strncmp(member[i].name, member[of].name, len) == 0)
            return true;
    return false;
}

ecg_status ecg_upload_recordings(ecg_recordings *out, const ecg_member *member, int n, ecg_err *err)
{
    bool belongs[ECG_PARTS_MAX] = {false};
    out->n = 0;
    for (int i = 0; i < n; i++)
        if (ends_in(member[i].name, ".hea"))
            mark_named(belongs, member, n, i);
    for (int i = 0; i < n; i++) {
        if (belongs[i] || (!ends_in(member[i].name, ".hea") && has_header(member, n, i)))
            continue;
        if (out->n == ECG_RECORDINGS_MAX)
            return ecg_fail(err, ECG_EDATA, "over %d recordings in one upload", ECG_RECORDINGS_MAX);
        out->name[out->n++] = member[i].name;
    }
    return out->n ? ECG_OK : ecg_fail(err, ECG_EDATA, "segments that name each other");
}

ecg_status ecg_served_size(ecg_source *src, const char *file, ecg_err *err)
{
    ecg_bytes bytes;
    ecg_wfdb_header h;
    ecg_status st = ECG_OK;
    if (!ends_in(file, ".hea") || ecg_source_open(src, file, &bytes, NULL))
        return ECG_OK; /* reading it will tell */
    if (!ecg_wfdb_header_parse(&h, bytes.at, bytes.len, NULL)) {
        double frames = (double)h.frames;
        for (int64_t k = 0; k < h.segments && !h.frames; k++)
            frames += (double)h.segment[k].frames;
        if (frames / h.rate_hz > ECG_SERVED_SECONDS_MAX)
            st = ecg_fail(err, ECG_EREFUSED, "%.0f s are announced, at most %d are answered here", frames / h.rate_hz, ECG_SERVED_SECONDS_MAX);
        else if (frames * h.signals > values_max)
            st = ecg_fail(err, ECG_EREFUSED, "%.0f samples in %d signals are announced, at most %.0f in all are answered here", frames, h.signals, values_max);
        ecg_wfdb_header_clear(&h);
    }
    ecg_bytes_free(&bytes);
    return st;
}
