/* SPDX-License-Identifier: MIT
 * test_data.c: real recordings below a folder. Every expected/MANIFEST.csv there is a table of cases: record, form (raw or physical), first frame,
 * number of frames, signals, per_sample; each file beside it holds the values that the reference program printed, tab-separated, "-" where missing.
 * Every other header must be readable, with the checksums and initial values that it states. Prints a line a case and a closing line. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/csv.h"
#include "base/text.h"
#include "ecg/read_wfdb.h"

static int passed, failed, skipped;

/* ---- what lies below the folder ------------------------------------------------------------------------------------------------- */

typedef struct {
    char **at;
    int n, room;
} list;

static void add(list *l, const char *path)
{
    if (l->n == l->room) {
        l->room = 2 * l->room + 64;
        l->at = realloc(l->at, (size_t)l->room * sizeof *l->at);
    }
    if (!l->at || !(l->at[l->n] = strdup(path)))
        abort();
    l->n++;
}

static void clear(list *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->at[i]);
    free(l->at);
}

static bool ends(const char *s, const char *tail)
{
    const size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

static void walk(list *manifests, list *headers, const char *folder)
{
    struct dirent **entry;
    const int n = scandir(folder, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[1024];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && stat(path, &st) == 0) {
            if (S_ISDIR(st.st_mode))
                walk(manifests, headers, path);
            else if (ends(path, "/expected/MANIFEST.csv"))
                add(manifests, path);
            else if (ends(path, ".hea"))
                add(headers, path);
        }
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
}

/* ---- one case of a manifest ----------------------------------------------------------------------------------------------------- */

typedef struct {
    char expected[512], header[512]; /* paths */
    char file[128], record[128];
    bool physical, per_sample;
    int64_t start, frames;
    int signal[64], signals;
} test_case;

static ecg_status read_both(ecg_record *rec, ecg_wfdb_raw *raw, const char *header, ecg_err *err)
{
    char folder[512];
    ecg_source src;
    snprintf(folder, sizeof folder, "%s", header);
    char *slash = strrchr(folder, '/');
    *slash = 0;
    ecg_status st = ecg_source_folder(&src, folder, err);
    if (!st)
        st = ecg_record_read(rec, header, err);
    if (!st && (st = ecg_wfdb_read_raw(raw, &src, slash + 1, err)))
        ecg_record_clear(rec);
    return st;
}

/* What the recording has for row r (K rows a frame) of signal s, and how far the printed value may be off. NAN: missing.
 * rdsamp cuts the mean of a frame to an integer and brings segments to the gain of the layout: then a step, or half of one. */
static double ours(double *tolerance, const ecg_record *rec, const ecg_wfdb_raw *raw, const test_case *c, int s, int64_t r, int K)
{
    const ecg_wfdb_signal *sig = &raw->signal[s];
    const int64_t per = sig->per_frame, frame = c->start + r / K;
    const double step = c->physical ? 1 / fabs(sig->gain) : 1;
    double x;
    *tolerance = 0;
    if (c->physical && !c->per_sample) {
        x = (double)rec->value[s * rec->samples + frame];
    } else if (c->per_sample || per == 1) {
        const int32_t stored = raw->sample[s][frame * per + (r % K) * per / K];
        x = stored == ECG_WFDB_MISSING ? (double)NAN : c->physical ? (double)(float)((stored - (double)sig->baseline) / sig->gain) : stored;
    } else {
        x = 0;
        for (int64_t j = 0; j < per; j++)
            x += raw->sample[s][frame * per + j] == ECG_WFDB_MISSING ? (double)NAN : raw->sample[s][frame * per + j];
        x = trunc(x / (double)per);
    }
    if (c->physical) {
        const double ulp = fabs(x) * 0x1p-24;
        *tolerance = ulp > 1e-6 ? ulp : 1e-6;
        if (per > 1 && !c->per_sample)
            *tolerance += step;
        else if (raw->of_segments)
            *tolerance += 0.5 * step;
    }
    return x;
}

static void run_case(const test_case *c)
{
    ecg_err err = {0};
    ecg_record rec;
    ecg_wfdb_raw raw;
    char text[900], line[4096], why[900] = "";
    if (read_both(&rec, &raw, c->header, &err)) {
        ecg_err_text(text, sizeof text, &err);
        printf("FAIL %s %s: %s\n", c->file, c->record, text);
        failed++;
        return;
    }
    if (rec.warnings & ECG_WARN_CHECKSUM)
        snprintf(why, sizeof why, "a checksum is wrong");
    gzFile f = gzopen(c->expected, "rb"); /* plain files too */
    int64_t rows = 0;
    int most = 1, K;
    double worst = 0;
    for (int s = 0; s < raw.signals; s++)
        most = raw.signal[s].per_frame > most ? raw.signal[s].per_frame : most;
    K = c->per_sample ? most : 1;
    if (!f)
        snprintf(why, sizeof why, "%s cannot be opened", c->expected);
    for (int k = 0; k < c->signals && !why[0]; k++)
        if (c->signal[k] < 0 || c->signal[k] >= raw.signals)
            snprintf(why, sizeof why, "no signal %d in the recording", c->signal[k]);
    if (!why[0] && (c->start < 0 || c->frames < 1 || c->start + c->frames > raw.frames))
        snprintf(why, sizeof why, "frames %" PRId64 " to %" PRId64 " asked, the recording has %" PRId64, c->start, c->start + c->frames, raw.frames);
    while (!why[0] && gzgets(f, line, sizeof line)) {
        char *at = line;
        if (rows >= c->frames * K) {
            snprintf(why, sizeof why, "more than %" PRId64 " rows", rows);
            break;
        }
        for (int k = 0; k < c->signals && !why[0]; k++) {
            const size_t len = strcspn(at, "\t\n");
            double want = NAN, tolerance;
            size_t from = strspn(at, " ");
            const bool dash = len == from + 1 && at[from] == '-';
            if (!dash && !ecg_parse_double(&want, at, len)) {
                snprintf(why, sizeof why, "row %" PRId64 ": \"%.*s\" is no number", rows, (int)len, at);
                break;
            }
            const double x = ours(&tolerance, &rec, &raw, c, c->signal[k], rows, K);
            const double off = fabs(x - want);
            if (isnan(x) ? !dash && want != -32768 : !(off <= tolerance))
                snprintf(why, sizeof why, "row %" PRId64 ", signal %d: %.9g, expected %.9g", rows, c->signal[k], x, want);
            else if (off > worst)
                worst = off;
            at += len + (at[len] == '\t');
        }
        rows++;
    }
    if (!why[0] && rows != c->frames * K)
        snprintf(why, sizeof why, "%" PRId64 " rows, %" PRId64 " announced", rows, c->frames * K);
    if (f)
        gzclose(f);
    ecg_record_clear(&rec);
    ecg_wfdb_raw_clear(&raw);
    if (why[0])
        printf("FAIL %s %s: %s\n", c->file, c->record, why), failed++;
    else
        printf("ok %s %s: %" PRId64 " rows of %d, worst %.1e\n", c->file, c->record, rows, c->signals, worst), passed++;
}

static bool read_case(test_case *c, const ecg_csv *t, const int column[7], const char *manifest)
{
    ecg_field f[7];
    int64_t per_sample;
    char numbers[512], *at = numbers;
    const char *slash = strrchr(manifest, '/'), *above = slash - strlen("/expected");
    *c = (test_case){0};
    for (int i = 0; i < 7; i++)
        f[i] = ecg_csv_field(t, column[i]);
    if (f[0].len >= sizeof c->file || f[1].len >= sizeof c->record || f[5].len >= sizeof numbers)
        return false;
    snprintf(c->file, sizeof c->file, "%.*s", (int)f[0].len, f[0].at);
    snprintf(c->record, sizeof c->record, "%.*s", (int)f[1].len, f[1].at);
    snprintf(numbers, sizeof numbers, "%.*s", (int)f[5].len, f[5].at);
    snprintf(c->expected, sizeof c->expected, "%.*s/%s", (int)(slash - manifest), manifest, c->file);
    snprintf(c->header, sizeof c->header, "%.*s/%s.hea", (int)(above - manifest), manifest, c->record);
    c->physical = f[2].len == 8 && memcmp(f[2].at, "physical", 8) == 0;
    if (!c->physical && (f[2].len != 3 || memcmp(f[2].at, "raw", 3) != 0))
        return false;
    if (!ecg_parse_i64(&c->start, f[3].at, f[3].len) || !ecg_parse_i64(&c->frames, f[4].at, f[4].len) || !ecg_parse_i64(&per_sample, f[6].at, f[6].len))
        return false;
    c->per_sample = per_sample != 0;
    while (*at && c->signals < 64) {
        char *end;
        const long s = strtol(at, &end, 10);
        if (end == at)
            return false;
        c->signal[c->signals++] = (int)s;
        at = end + strspn(end, " ");
    }
    return c->signals > 0;
}

/* Headers that a manifest speaks of are added to seen. */
static void run_manifest(const char *path, list *seen)
{
    static const char *const names[] = {"expected", "record", "form", "start", "samples", "signals", "per_sample"};
    ecg_csv *t;
    ecg_err err = {0};
    int column[7];
    bool more = false;
    char text[900];
    ecg_status st = ecg_csv_open(&t, path, &err);
    if (!st)
        st = ecg_csv_need(t, column, names, 7, &err);
    while (!st && !(st = ecg_csv_next(t, &more, &err)) && more) {
        test_case c;
        if (read_case(&c, t, column, path)) {
            run_case(&c);
            add(seen, c.header);
        } else {
            printf("FAIL %s: line %" PRId64 " is not understood\n", path, ecg_csv_line(t)), failed++;
        }
    }
    ecg_csv_close(t);
    if (st) {
        ecg_err_text(text, sizeof text, &err);
        printf("FAIL %s\n", text), failed++;
    }
}

/* ---- every other record --------------------------------------------------------------------------------------------------------- */

/* PTB-XL says that II = I + III to 1 microvolt, which is its step. Its 100 Hz files are the 500 Hz files resampled lead by lead and rounded
 * again: there a sample in a thousand may be two steps off. Share of the samples beyond one step, 1 if one is beyond two or a lead is absent. */
static double beyond_einthoven(const ecg_record *rec)
{
    const int i = ecg_record_find(rec, ECG_I), ii = ecg_record_find(rec, ECG_II), iii = ecg_record_find(rec, ECG_III);
    int64_t beyond = 0;
    if (i < 0 || ii < 0 || iii < 0)
        return 1;
    for (int64_t t = 0; t < rec->samples; t++) {
        const float *x = rec->value + t;
        const long steps = labs(lround(1e3 * ((double)x[ii * rec->samples] - (double)x[i * rec->samples] - (double)x[iii * rec->samples])));
        if (steps > 2)
            return 1;
        beyond += steps > 1;
    }
    return (double)beyond / (double)rec->samples;
}

static bool read_header(ecg_wfdb_header *h, const char *path)
{
    ecg_bytes bytes;
    if (ecg_file_read(&bytes, path, NULL))
        return false;
    const ecg_status st = ecg_wfdb_header_parse(h, bytes.at, bytes.len, NULL);
    ecg_bytes_free(&bytes);
    return !st;
}

/* A layout describes the signals of segments and holds none itself. */
static bool is_layout(const char *path)
{
    ecg_wfdb_header h;
    if (!read_header(&h, path))
        return false;
    bool all = h.signals > 0 && !h.segments && h.frames == 0;
    for (int i = 0; i < h.signals && all; i++)
        all = h.signal[i].format == 0;
    ecg_wfdb_header_clear(&h);
    return all;
}

static bool states_checksums(const char *path)
{
    ecg_wfdb_header h;
    if (!read_header(&h, path))
        return false;
    bool all = h.frames > 0 && !h.segments;
    for (int i = 0; i < h.signals && all; i++)
        all = h.signal[i].has_checksum;
    ecg_wfdb_header_clear(&h);
    return all;
}

static void run_record(const char *path, const char *shown)
{
    ecg_record rec;
    ecg_err err = {0};
    char text[900];
    if (is_layout(path)) {
        printf("skip %s: the layout of a record of segments\n", shown), skipped++;
        return;
    }
    const ecg_status st = ecg_record_read(&rec, path, &err);
    if (st) {
        ecg_err_text(text, sizeof text, &err);
        if (st == ECG_EIO && strcmp(err.path, path) != 0 && !ecg_is_file(err.path))
            printf("skip %s: its signal file is absent (%s)\n", shown, text), skipped++;
        else
            printf("FAIL %s: %s\n", shown, text), failed++;
        return;
    }
    const bool ptbxl = strstr(path, "/records100/") || strstr(path, "/records500/");
    const double beyond = ptbxl ? beyond_einthoven(&rec) : 0;
    const bool initial = rec.warnings & ECG_WARN_INITIAL;
    if (rec.warnings & ECG_WARN_CHECKSUM)
        printf("FAIL %s: a checksum is wrong\n", shown), failed++;
    else if (initial && !states_checksums(path)) /* a right checksum covers the first sample: then the header is at fault */
        printf("FAIL %s: an initial value is wrong\n", shown), failed++;
    else if (beyond > (strstr(path, "/records100/") ? 1e-3 : 0))
        printf("FAIL %s: II differs from I + III in %.2g of the samples\n", shown, beyond), failed++;
    else
        printf("ok %s: %d signals, %" PRId64 " samples%s%s\n", shown, rec.leads, rec.samples, ptbxl ? ", II = I + III" : "",
               initial ? ", the header misstates an initial value (its checksum is right)" : ""),
            passed++;
    ecg_record_clear(&rec);
}

int main(int argc, char **argv)
{
    list manifests = {0}, headers = {0}, seen = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: test_data DIR\n");
        return 2;
    }
    if (!ecg_is_folder(argv[1])) {
        printf("skip %s: there is no such folder\n0 passed, 0 failed, 1 skipped\n", argv[1]);
        return 0;
    }
    walk(&manifests, &headers, argv[1]);
    for (int i = 0; i < manifests.n; i++)
        run_manifest(manifests.at[i], &seen);
    for (int i = 0; i < headers.n; i++) {
        bool other = true;
        for (int k = 0; k < seen.n && other; k++)
            other = strcmp(headers.at[i], seen.at[k]) != 0;
        if (other)
            run_record(headers.at[i], headers.at[i] + strlen(argv[1]) + 1);
    }
    clear(&manifests);
    clear(&headers);
    clear(&seen);
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0;
}
