/* SPDX-License-Identifier: MIT
 * test_wfdb.c: WFDB records written and read back, segments, skew, frames, and every broken input with the message it earns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <FLAC/stream_encoder.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ecg/read_wfdb.h"
#include "ecg/wfdb_signal.h"
#include "ecg/write_wfdb.h"

/* ---- a record in memory --------------------------------------------------------------------------------------------------------- */

typedef struct {
    ecg_text header[4];
    char name[16][64];
    uint8_t *bytes[8];
    ecg_member member[16];
    int headers, files, members;
} place;

static void add_member(place *p, const char *name, const void *at, size_t len)
{
    snprintf(p->name[p->members], sizeof p->name[0], "%s", name);
    p->member[p->members] = (ecg_member){.name = p->name[p->members], .at = at, .len = len};
    p->members++;
}

static void write_tracks(place *p, const char *name, double rate, int64_t frames, const ecg_wfdb_track *track, int tracks)
{
    char file[64];
    ecg_err err = {0};
    ecg_text *text = &p->header[p->headers++];
    if (ecg_wfdb_header_text(text, name, rate, frames, "2150-06-07 08:09:10", track, tracks, "made by a test", &err))
        fail_msg("%s", err.msg);
    snprintf(file, sizeof file, "%s.hea", name);
    add_member(p, file, text->at, text->len);
    for (int i = 0; i < tracks;) {
        size_t len;
        const char *own = track[i].file;
        snprintf(file, sizeof file, "%s%s", own ? own : name, own ? "" : ".dat");
        if (ecg_wfdb_file_bytes(&p->bytes[p->files], &len, &i, frames, track, i, tracks, &err))
            fail_msg("%s", err.msg);
        add_member(p, file, p->bytes[p->files++], len);
    }
}

static void clear_place(place *p)
{
    for (int i = 0; i < p->headers; i++)
        ecg_text_clear(&p->header[i]);
    for (int i = 0; i < p->files; i++)
        free(p->bytes[i]);
    *p = (place){0};
}

static ecg_status read_place(ecg_record *rec, ecg_wfdb_raw *raw, const place *p, const char *name, ecg_err *err)
{
    ecg_source src;
    ecg_status st = ecg_source_memory(&src, p->member, p->members, err);
    assert_int_equal(st, ECG_OK);
    if (rec)
        st = ecg_record_read_from(rec, &src, name, err);
    if (raw && !st)
        st = ecg_wfdb_read_raw(raw, &src, name, err);
    ecg_source_close(&src);
    return st;
}

/* ---- formats -------------------------------------------------------------------------------------------------------------------- */

static uint32_t lcg(uint32_t *state)
{
    return *state = *state * 1664525u + 1013904223u;
}

/* Extremes, the missing code, then noise over the whole range; format 8 walks by steps of -128..127. */
static void fill(int32_t *x, int64_t n, int format, uint32_t seed)
{
    int32_t low, high, code;
    const bool has_missing = ecg_wfdb_format_missing(&code, format);
    ecg_wfdb_format_range(&low, &high, format);
    for (int64_t i = 0; i < n; i++) {
        const uint32_t r = lcg(&seed) >> 4;
        const int64_t any = low + (int64_t)(r % (uint64_t)((int64_t)high - low + 1));
        if (format == 8)
            x[i] = i == 0 ? -7 : x[i - 1] + (int32_t)(i == 1 ? low : i == 2 ? high : any);
        else
            x[i] = (int32_t)(i == 0 ? high : i == 1 ? low : i == 2 ? 0 : i == 3 ? -1 : i == 4 && has_missing ? ECG_WFDB_MISSING : any);
    }
}

static void round_trip(void **state)
{
    static const struct {
        const char *why;
        int format, tracks, per_frame[3];
        int64_t frames, skew, offset;
    } cases[] = {
        {"differences", 8, 1, {1}, 41, 0, 0},
        {"differences, two signals, frames", 8, 2, {1, 3}, 41, 0, 5},
        {"16", 16, 3, {1, 1, 1}, 100, 0, 0},
        {"16 as MATLAB has it", 16, 2, {1, 1}, 50, 0, 24},
        {"16 with frames", 16, 3, {1, 4, 2}, 37, 0, 0},
        {"24", 24, 2, {1, 1}, 33, 0, 0},
        {"32", 32, 2, {1, 1}, 33, 0, 7},
        {"61", 61, 2, {2, 1}, 33, 0, 0},
        {"80", 80, 3, {1, 1, 1}, 34, 0, 0},
        {"160", 160, 1, {1}, 34, 0, 0},
        {"212, whole pairs", 212, 2, {1, 1}, 20, 0, 0},
        {"212, half a pair at the end", 212, 1, {1}, 21, 0, 3},
        {"212, three signals", 212, 3, {1, 1, 1}, 21, 0, 0},
        {"310, no rest", 310, 3, {1, 1, 1}, 11, 0, 0},
        {"310, rest of one", 310, 1, {1}, 22, 0, 0},
        {"310, rest of two", 310, 1, {1}, 23, 0, 0},
        {"311, no rest", 311, 1, {3}, 11, 0, 0},
        {"311, rest of one", 311, 1, {1}, 22, 0, 1},
        {"311, rest of two", 311, 2, {1, 1}, 10, 0, 0},
        {"skew of the last signal", 16, 2, {1, 1}, 30, 3, 0},
        {"skew with frames", 212, 2, {1, 2}, 30, 4, 0},
        {"skew beyond the end", 16, 2, {1, 1}, 9, 20, 0},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int64_t frames = cases[c].frames;
        static const char *const names[] = {"I", "resp", "V6"};
        int32_t *x[3];
        ecg_wfdb_track track[3] = {{0}};
        place p = {0};
        ecg_record rec;
        ecg_wfdb_raw raw;
        ecg_err err = {0};
        for (int i = 0; i < cases[c].tracks; i++) {
            x[i] = malloc((size_t)(frames * cases[c].per_frame[i]) * sizeof(int32_t));
            fill(x[i], frames * cases[c].per_frame[i], cases[c].format, 17u + (uint32_t)i);
            track[i] = (ecg_wfdb_track){.name = names[i], .unit = "mV", .format = cases[c].format, .per_frame = cases[c].per_frame[i], .gain = 250 + i,
                                        .baseline = 3 * i - 2, .offset = cases[c].offset, .sample = x[i],
                                        .skew = i == cases[c].tracks - 1 ? cases[c].skew : 0};
        }
        write_tracks(&p, "r", 250, frames, track, cases[c].tracks);
        if (read_place(&rec, &raw, &p, "r.hea", &err))
            fail_msg("%s: %s", cases[c].why, err.msg);
        if ((rec.warnings | raw.warnings) & (ECG_WARN_CHECKSUM | ECG_WARN_INITIAL | ECG_WARN_LONGER | ECG_WARN_GAIN_ZERO | ECG_WARN_TEXT | ECG_WARN_NO_LENGTH))
            fail_msg("%s: warnings 0x%x", cases[c].why, rec.warnings);
        assert_int_equal(rec.leads, cases[c].tracks);
        assert_int_equal(rec.samples, frames);
        assert_string_equal(rec.when, "2150-06-07 08:09:10");
        assert_string_equal(rec.name, "r");
        for (int i = 0; i < cases[c].tracks; i++) {
            const int64_t per = cases[c].per_frame[i], skew = track[i].skew;
            for (int64_t k = 0; k < frames * per; k++) {
                const int32_t want = k + skew * per < frames * per ? x[i][k + skew * per] : ECG_WFDB_MISSING;
                if (raw.sample[i][k] != want)
                    fail_msg("%s: signal %d sample %d: %d, written %d", cases[c].why, i, (int)k, raw.sample[i][k], want);
            }
            for (int64_t t = 0; t < frames; t++) {
                double mean = 0;
                for (int64_t j = 0; j < per; j++)
                    mean += raw.sample[i][t * per + j] == ECG_WFDB_MISSING ? (double)NAN : raw.sample[i][t * per + j] / (double)per;
                const double want = (mean - track[i].baseline) / track[i].gain, got = (double)rec.value[i * frames + t];
                if (isnan(want) != isnan(got) || fabs(want - got) > 1e-6 * (1 + fabs(want)))
                    fail_msg("%s: signal %d frame %d: %.9g, expected %.9g", cases[c].why, i, (int)t, got, want);
            }
            free(x[i]);
        }
        ecg_record_clear(&rec);
        ecg_wfdb_raw_clear(&raw);
        clear_place(&p);
    }
}

static void capacity(void **state)
{
    static const int formats[] = {8, 16, 24, 32, 61, 80, 160, 212, 310, 311};
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (int64_t n = 0; n < 40; n++) {
            const int64_t bytes = ecg_wfdb_bytes(formats[f], n), held = ecg_wfdb_samples(formats[f], bytes);
            /* two samples of format 310 end with the group: the third's bits are there too */
            if (held != n && !(formats[f] == 310 && n % 3 == 2 && held == n + 1))
                fail_msg("format %d: %d samples in %d bytes, which hold %d", formats[f], (int)n, (int)bytes, (int)held);
            if (n > 0 && ecg_wfdb_samples(formats[f], bytes - 1) >= n)
                fail_msg("format %d: %d samples in fewer than %d bytes", formats[f], (int)n, (int)bytes);
        }
    assert_false(ecg_wfdb_format_known(17));
    assert_true(ecg_wfdb_format_known(524) && ecg_wfdb_format_flac(524) && !ecg_wfdb_format_flac(212));
}

static void writer_refuses(void **state)
{
    int32_t x[4] = {0, 40000, 0, 0}, jump[4] = {0, 300, 0, 0}, gone[4] = {0, ECG_WFDB_MISSING, 0, 0};
    const struct {
        ecg_wfdb_track t;
        const char *says;
    } cases[] = {
        {{.format = 16, .sample = x}, "does not fit format 16"},   {{.format = 8, .sample = jump}, "does not fit format 8"},
        {{.format = 8, .sample = gone}, "does not fit format 8"},  {{.format = 516, .sample = x}, "format 516 is not written"},
        {{.format = 16, .sample = jump, .name = "a\nb"}, "cannot hold"},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        uint8_t *bytes;
        size_t len;
        int next;
        ecg_err err = {0};
        assert_true(ecg_wfdb_file_bytes(&bytes, &len, &next, 4, &cases[c].t, 0, 1, &err) != ECG_OK);
        assert_null(bytes);
        if (!strstr(err.msg, cases[c].says))
            fail_msg("\"%s\", expected \"%s\"", err.msg, cases[c].says);
    }
}

/* ---- FLAC ----------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t bytes[8192];
    size_t len;
} stream;

static FLAC__StreamEncoderWriteStatus take(const FLAC__StreamEncoder *e, const FLAC__byte bytes[], size_t n, uint32_t samples, uint32_t frame, void *to)
{
    stream *s = to;
    (void)e, (void)samples, (void)frame;
    assert_true(s->len + n <= sizeof s->bytes);
    memcpy(s->bytes + s->len, bytes, n);
    s->len += n;
    return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

static void flac(void **state)
{
    enum { N = 600 };
    static const struct {
        const char *why, *header;
        const char *fails;
        unsigned warnings;
        int64_t samples;
        int first[2];
        size_t damage; /* byte that is changed, counted from the end; 0: none */
    } cases[] = {
        {"two channels", "a 2 500 600\na.dat 516 1\na.dat 516 1\n", NULL, 0, 600, {-300, 900}, 0},
        {"length left out", "a 2 500\na.dat 516 1\na.dat 516 1\n", NULL, ECG_WARN_NO_LENGTH, 600, {-300, 900}, 0},
        {"two samples a frame", "a 2 500 300\na.dat 516x2 2\na.dat 516x2 2\n", NULL, 0, 300, {-150, 450}, 0},
        {"offset in samples", "a 2 500 598\na.dat 516+2 1\na.dat 516+2 1\n", NULL, 0, 598, {-298, 896}, 0},
        {"skew", "a 2 500 600\na.dat 516 1\na.dat 516:3 1\n", NULL, 0, 600, {-300, 894}, 0},
        {"24 bits would do too", "a 2 500 600\na.dat 524 1\na.dat 524 1\n", NULL, 0, 600, {-300, 900}, 0},
        {"longer", "a 2 500 500\na.dat 516 1\na.dat 516 1\n", NULL, ECG_WARN_LONGER, 500, {-300, 900}, 0},
        {"shorter", "a 2 500 601\na.dat 516 1\na.dat 516 1\n", "holds 600 samples", 0, 0, {0}, 0},
        {"one signal", "a 1 500 600\na.dat 516 1\n", "2 channels, 1 signals", 0, 0, {0}, 0},
        {"too many bits", "a 2 500 600\na.dat 508 1\na.dat 508 1\n", "16 bits a sample in format 508", 0, 0, {0}, 0},
        {"frames differ", "a 2 500 600\na.dat 516 1\na.dat 516x2 1\n", "samples per frame", 0, 0, {0}, 0},
        {"damaged", "a 2 500 600\na.dat 516 1\na.dat 516 1\n", "damaged FLAC stream", 0, 0, {0}, 40},
    };
    stream s = {.len = 0};
    int32_t x[2 * N];
    (void)state;
    for (int i = 0; i < N; i++) {
        x[2 * i] = i - 300 + (i > 10 ? i * i % 7 : 0);
        x[2 * i + 1] = 900 - 2 * i;
    }
    FLAC__StreamEncoder *e = FLAC__stream_encoder_new();
    assert_non_null(e);
    FLAC__stream_encoder_set_channels(e, 2);
    FLAC__stream_encoder_set_bits_per_sample(e, 16);
    FLAC__stream_encoder_set_sample_rate(e, 96000);
    assert_int_equal(FLAC__stream_encoder_init_stream(e, take, NULL, NULL, NULL, &s), FLAC__STREAM_ENCODER_INIT_STATUS_OK);
    assert_true(FLAC__stream_encoder_process_interleaved(e, x, N));
    assert_true(FLAC__stream_encoder_finish(e));
    FLAC__stream_encoder_delete(e);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        place p = {0};
        ecg_record rec;
        ecg_err err = {0};
        const uint8_t kept = s.bytes[s.len - cases[c].damage];
        if (cases[c].damage)
            s.bytes[s.len - cases[c].damage] ^= 0x55;
        add_member(&p, "a.hea", cases[c].header, strlen(cases[c].header));
        add_member(&p, "a.dat", s.bytes, s.len);
        const ecg_status st = read_place(&rec, NULL, &p, "a", &err);
        s.bytes[s.len - cases[c].damage] = kept;
        if (cases[c].fails) {
            if (!st || !strstr(err.msg, cases[c].fails))
                fail_msg("%s: status %d \"%s\"", cases[c].why, st, err.msg);
            continue;
        }
        if (st)
            fail_msg("%s: %s", cases[c].why, err.msg);
        const double per = rec.lead[0].per_frame, first[2] = {(double)rec.value[0], (double)rec.value[rec.samples]};
        if (rec.warnings != cases[c].warnings || rec.samples != cases[c].samples || fabs(first[0] - cases[c].first[0]) > 0.5 * (per - 1) ||
            fabs(first[1] - cases[c].first[1]) > 0.5 * (per - 1))
            fail_msg("%s: warnings 0x%x, %d samples, first %g %g", cases[c].why, rec.warnings, (int)rec.samples, first[0], first[1]);
        ecg_record_clear(&rec);
    }
}

/* ---- headers: broken, and odd but readable -------------------------------------------------------------------------------------- */

/* "a.dat" is 24 bytes: 12 samples of format 16: 1 2 ... 12. */
static uint8_t dat[24];
static const ecg_member files[] = {{"a.dat", dat, sizeof dat}, {"empty.dat", dat, 0}, {"sub/b.dat", dat, sizeof dat}};

static ecg_status read_header(ecg_record *rec, const char *header, size_t len, ecg_err *err)
{
    ecg_member m[4] = {{"a.hea", header, len}, files[0], files[1], files[2]};
    ecg_source src;
    for (int i = 0; i < 12; i++)
        dat[2 * i] = (uint8_t)(i + 1);
    assert_int_equal(ecg_source_memory(&src, m, 4, err), ECG_OK);
    const ecg_status st = ecg_record_read_from(rec, &src, "a", err);
    ecg_source_close(&src);
    return st;
}

static void bad_headers(void **state)
{
    static const struct {
        const char *why, *header;
        int64_t line;
        ecg_status status;
        const char *says;
    } cases[] = {
        {"empty", "", 0, ECG_EDATA, "empty"},
        {"comments only", "# nothing\n", 0, ECG_EDATA, "no record line"},
        {"noise", "\x01\x7f\x99\n", 1, ECG_EDATA, "not a text header"},
        {"noise in a signal line", "a 1 500 12\na.dat 16\x02\n", 2, ECG_EDATA, "not a text header"},
        {"no count", "a\n", 1, ECG_EDATA, "no number of signals"},
        {"count no number", "a two 500 12\na.dat 16\n", 1, ECG_EDATA, "number of signals \"two\""},
        {"no signals", "a 0 500 12\n", 1, ECG_EDATA, "number of signals 0"},
        {"negative count", "a -2 500 12\n", 1, ECG_EDATA, "number of signals -2"},
        {"absurd count", "a 2000000000 500 12\na.dat 16\n", 1, ECG_EDATA, "number of signals 2000000000"},
        {"absurd count within bounds", "a 4000 500 12\na.dat 16\n", 1, ECG_EDATA, "4000 signals announced, the header has"},
        {"more announced", "a 3 500 4\na.dat 16\na.dat 16\n# and no more\n", 1, ECG_EDATA, "3 signals announced, 2 described"},
        {"more described", "a 1 500 4\na.dat 16\na.dat 16\n", 1, ECG_EDATA, "1 signal announced, 2 described"},
        {"rate is no number", "a 1 nan 12\na.dat 16\n", 1, ECG_EDATA, "rate \"nan\""},
        {"rate infinite", "a 1 inf 12\na.dat 16\n", 1, ECG_EDATA, "rate \"inf\""},
        {"rate overflows", "a 1 1e999 12\na.dat 16\n", 1, ECG_EDATA, "rate \"1e999\""},
        {"rate 0", "a 1 0 12\na.dat 16\n", 1, ECG_EDATA, "rate 0 Hz"},
        {"rate negative", "a 1 -500 12\na.dat 16\n", 1, ECG_EDATA, "rate -500 Hz"},
        {"rate absurd", "a 1 1e12 12\na.dat 16\n", 1, ECG_EDATA, "rate 1e+12 Hz"},
        {"length no number", "a 1 500 many\na.dat 16\n", 1, ECG_EDATA, "number of samples \"many\""},
        {"length negative", "a 1 500 -12\na.dat 16\n", 1, ECG_EDATA, "number of samples -12"},
        {"length absurd", "a 1 500 99999999999999999\na.dat 16\n", 1, ECG_EDATA, "number of samples"},
        {"truncated file", "a 1 500 13\na.dat 16\n", 2, ECG_EDATA, "a.dat holds 12 samples a signal, 13 announced"},
        {"absurd but representable", "a 1 500 60000000000000\na.dat 16\n", 2, ECG_EDATA, "60000000000000 announced"},
        {"truncated behind an offset", "a 1 500 12\na.dat 16+2\n", 2, ECG_EDATA, "holds 11 samples"},
        {"offset behind the end", "a 1 500\na.dat 16+25\n", 2, ECG_EDATA, "byte offset 25"},
        {"less than a frame", "a 1 500\na.dat 16x13\n", 2, ECG_EDATA, "no samples"},
        {"no format", "a 1 500 12\na.dat\n", 2, ECG_EDATA, "no format"},
        {"format no number", "a 1 500 12\na.dat int16\n", 2, ECG_EDATA, "format \"int16\""},
        {"unknown format", "a 1 500 12\na.dat 17\n", 2, ECG_EUNSUPPORTED, "format 17"},
        {"no samples in a frame", "a 1 500 12\na.dat 16x0\n", 2, ECG_EDATA, "samples per frame 0"},
        {"negative skew", "a 1 500 12\na.dat 16:-1\n", 2, ECG_EDATA, "skew -1"},
        {"gain no number", "a 1 500 12\na.dat 16 many/mV\n", 2, ECG_EDATA, "gain \"many/mV\""},
        {"gain nan", "a 1 500 12\na.dat 16 nan/mV\n", 2, ECG_EDATA, "gain \"nan/mV\""},
        {"bracket", "a 1 500 12\na.dat 16 200(0/mV\n", 2, ECG_EDATA, "bracket"},
        {"checksum no number", "a 1 500 12\na.dat 16 200 16 0 1 x 0 I\n", 2, ECG_EDATA, "checksum \"x\""},
        {"two formats in a file", "a 2 500 4\na.dat 16\na.dat 212\n", 3, ECG_EDATA, "another format"},
        {"file in turns", "a 3 500 4\na.dat 16\nsub/b.dat 16\na.dat 16\n", 4, ECG_EDATA, "do not follow one another"},
        {"lead twice", "a 2 500 6\na.dat 16 200 16 0 1 0 0 V1\na.dat 16 200 16 0 2 0 0 v1\n", 3, ECG_EDATA, "lead v1 is there twice"},
        {"lead twice by alias", "a 2 500 6\na.dat 16 200 16 0 1 0 0 II\na.dat 16 200 16 0 2 0 0 MDC_ECG_LEAD_II\n", 3, ECG_EDATA, "twice"},
        {"other signal twice", "a 2 500 6\na.dat 16 200 16 0 1 0 0 resp\na.dat 16 200 16 0 2 0 0 resp\n", 3, ECG_EDATA, "resp is there twice"},
        {"above the folder", "a 1 500 12\n../../etc/passwd 16\n", 2, ECG_EDATA, "leaves the folder"},
        {"absolute", "a 1 500 12\n/etc/passwd 16\n", 2, ECG_EDATA, "absolute"},
        {"a device", "a 1 500 12\n/dev/zero 16\n", 2, ECG_EDATA, "absolute"},
        {"hidden dots", "a 1 500 12\nsub/../../a.dat 16\n", 2, ECG_EDATA, "leaves the folder"},
        {"no such file", "a 1 500 12\nb.dat 16\n", 0, ECG_EIO, "no such file"},
        {"empty file", "a 1 500 12\nempty.dat 16\n", 2, ECG_EDATA, "empty.dat is empty"},
        {"no FLAC", "a 1 500 12\na.dat 516\n", 2, ECG_EDATA, "not a FLAC stream"},
        {"nothing but an absurd gap", "a 1 500 99999999999\n~ 0\n", 2, ECG_EDATA, "99999999999 samples announced"},
        {"no segments", "a/0 1 500 12\n", 1, ECG_EDATA, "number of segments 0"},
        {"segments missing", "a/3 1 500 12\nb 6\n", 1, ECG_EDATA, "3 segments announced"},
        {"segments all gaps", "a/2 1 500 12\n~ 6\n~ 6\n", 0, ECG_EDATA, "no segment describes"},
        {"segment outside", "a/1 1 500 12\n../b 12\n", 2, ECG_EDATA, "leaves the folder"},
        {"segment of itself", "a/1 1 500 12\na 12\n", 2, ECG_EDATA, "itself made of segments"},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_record rec;
        ecg_err err = {0};
        const ecg_status st = read_header(&rec, cases[c].header, strlen(cases[c].header), &err);
        if (st != cases[c].status || err.status != st || !strstr(err.msg, cases[c].says) || err.line != cases[c].line || !err.path[0])
            fail_msg("%s: status %d, %s:%d \"%s\", expected status %d, line %d, \"%s\"", cases[c].why, st, err.path, (int)err.line, err.msg,
                     cases[c].status, (int)cases[c].line, cases[c].says);
        assert_null(rec.value);
    }
}

static void odd_headers(void **state)
{
    static const struct {
        const char *why, *header;
        unsigned warnings;
        int64_t samples;
        double first; /* value of the first lead's first sample */
    } cases[] = {
        {"in order", "a 1 500 12\na.dat 16 100(0)/mV 16 0 1 78 0 I\n", 0, 12, 0.01},
        {"wrong checksum", "a 1 500 12\na.dat 16 100/mV 16 0 1 79 0 I\n", ECG_WARN_CHECKSUM, 12, 0.01},
        {"checksum modulo 65536", "a 1 500 12\na.dat 16 100/mV 16 0 1 -65458 0 I\n", 0, 12, 0.01},
        {"wrong initial value", "a 1 500 12\na.dat 16 100/mV 16 0 5 78 0 I\n", ECG_WARN_INITIAL, 12, 0.01},
        {"gain 0", "a 1 500 12\na.dat 16 0 16 0 1 78 0 I\n", ECG_WARN_GAIN_ZERO, 12, 0.005},
        {"gain absent", "a 1 500 12\na.dat 16\n", ECG_WARN_GAIN_ZERO, 12, 0.005},
        {"baseline from ADC zero", "a 1 500 12\na.dat 16 100 16 11 1 78 0 I\n", 0, 12, -0.1},
        {"baseline before ADC zero", "a 1 500 12\na.dat 16 100(21)/mV 16 11 1 78 0 I\n", 0, 12, -0.2},
        {"no length, no checksum test", "a 1 500\na.dat 16 100 16 0 1 99 0 I\n", ECG_WARN_NO_LENGTH, 12, 0.01},
        {"length 0", "a 1 500 0\na.dat 16 100 16 0 1 99 0 I\n", ECG_WARN_NO_LENGTH, 12, 0.01},
        {"longer file", "a 1 500 11\na.dat 16 100 16 0 1 66 0 I\n", ECG_WARN_LONGER, 11, 0.01},
        {"longer by less than a frame", "a 5 500 2\na.dat 16 100\na.dat 16 100\na.dat 16 100\na.dat 16 100\na.dat 16 100\n", ECG_WARN_LONGER, 2, 0.01},
        {"CRLF", "a 1 500 12\r\na.dat 16 100 16 0 1 78 0 I\r\n", ECG_WARN_TEXT, 12, 0.01},
        {"byte order mark", "\xef\xbb\xbf" "a 1 500 12\na.dat 16 100 16 0 1 78 0 I\n", ECG_WARN_TEXT, 12, 0.01},
        {"odd bytes in a comment", "a 1 500 12\na.dat 16 100 16 0 1 78 0 I\n# \xe4\x01\xff\n", ECG_WARN_TEXT, 12, 0.01},
        {"no end of line", "a 1 500 12\na.dat 16 100 16 0 1 78 0 I", 0, 12, 0.01},
        {"blank lines and comments between", "#c\n\na 1 500 12\n  \n# c\n a.dat 16 100 16 0 1 78 0 I \n", 0, 12, 0.01},
        {"frequency of the counter", "a 1 500/1000(5) 12\na.dat 16 100 16 0 1 78 0 I\n", 0, 12, 0.01},
        {"another folder", "a 1 500 12\nsub/b.dat 16 100 16 0 1 78 0 I\n", 0, 12, 0.01},
        {"one frame", "a 1 500 1\na.dat 16x12 100 16 0 1 78 0 I\n", 0, 1, 0.065},
        {"a signal without file", "a 2 500 12\na.dat 16 100 16 0 1 78 0 I\n~ 0 100 16 0 0 0 0 II\n", ECG_WARN_LEAD_INVALID, 12, 0.01},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_record rec;
        ecg_err err = {0};
        const ecg_status st = read_header(&rec, cases[c].header, strlen(cases[c].header), &err);
        if (st)
            fail_msg("%s: %s", cases[c].why, err.msg);
        if (rec.warnings != cases[c].warnings || rec.samples != cases[c].samples || fabs((double)rec.value[0] - cases[c].first) > 1e-7)
            fail_msg("%s: warnings 0x%x, %d samples, first %g", cases[c].why, rec.warnings, (int)rec.samples, (double)rec.value[0]);
        ecg_record_clear(&rec);
    }
}

static void flat_and_invalid(void **state)
{
    const int32_t none = ECG_WFDB_MISSING, still[3] = {5, 5, none}, gone[3] = {none, none, none}, moves[3] = {1, 2, 3};
    const ecg_wfdb_track track[3] = {{.name = "I", .sample = still}, {.name = "II", .sample = gone}, {.name = "V1", .sample = moves}};
    place p = {0};
    ecg_record rec;
    ecg_err err = {0};
    (void)state;
    write_tracks(&p, "r", 100, 3, track, 3);
    assert_int_equal(read_place(&rec, NULL, &p, "r", &err), ECG_OK);
    assert_int_equal(rec.warnings, ECG_WARN_LEAD_FLAT | ECG_WARN_LEAD_INVALID);
    ecg_record_clear(&rec);
    clear_place(&p);
}

/* ---- several files, segments ---------------------------------------------------------------------------------------------------- */

static void several_files(void **state)
{
    const int32_t x[4] = {1, -2, 3, -4}, y[8] = {10, 11, 12, 13, 14, 15, 16, 17}, z[4] = {7, 6, 5, 4};
    const ecg_wfdb_track track[3] = {{.name = "i", .file = "r.a", .format = 212, .sample = x},
                                     {.name = "avf", .file = "r.a", .format = 212, .per_frame = 2, .sample = y},
                                     {.name = "Lead V3", .file = "r.b", .format = 61, .unit = "uV", .gain = 1, .sample = z}};
    place p = {0};
    ecg_record rec;
    ecg_wfdb_raw raw;
    ecg_err err = {0};
    (void)state;
    write_tracks(&p, "r", 125, 4, track, 3);
    assert_int_equal(p.members, 3);
    assert_int_equal(read_place(&rec, &raw, &p, "r.hea", &err), ECG_OK);
    assert_string_equal(rec.lead[0].name, "I");
    assert_string_equal(rec.lead[1].name, "aVF");
    assert_string_equal(rec.lead[2].name, "V3");
    assert_string_equal(rec.lead[2].unit, "uV");
    assert_memory_equal(raw.sample[0], x, sizeof x);
    assert_memory_equal(raw.sample[1], y, sizeof y);
    assert_memory_equal(raw.sample[2], z, sizeof z);
    assert_float_equal(rec.value[4], 10.5 / 200, 1e-7);
    assert_float_equal(rec.value[8], 7, 0);
    ecg_record_clear(&rec);
    ecg_wfdb_raw_clear(&raw);
    assert_int_equal(read_place(&rec, NULL, &p, "r.b", &err), ECG_OK); /* a signal file stands for its record */
    ecg_record_clear(&rec);
    clear_place(&p);
}

static void segments(void **state)
{
    const int32_t a[3] = {100, 200, 300}, b[3] = {1, 2, 3}, c[2] = {-400, -800};
    const ecg_wfdb_track one[2] = {{.name = "II", .gain = 100, .sample = a}, {.name = "V5", .gain = 100, .sample = b}};
    const ecg_wfdb_track swapped[2] = {{.name = "v5", .gain = 100, .sample = b}, {.name = "II", .gain = 200, .sample = a}};
    const ecg_wfdb_track only[1] = {{.name = "V5", .gain = 1000, .sample = c}};
    const ecg_wfdb_track only_uv[1] = {{.name = "V5", .gain = 1, .unit = "uV", .sample = c}};
    static const char layout[] = "l 2 250 0\n~ 0 100(0)/mV 16 0 0 0 0 II\n~ 0 100(0)/mV 16 0 0 0 0 V5\n";
    static const struct {
        const char *why, *master, *fails; /* fails: part of the message, NULL: it reads */
        int64_t samples, line;
        double ii[10], v5[10];            /* 99: missing */
    } cases[] = {
        {"fixed", "m/2 2 250 6\none 3\none 3\n", NULL, 6, 0, {1, 2, 3, 1, 2, 3}, {.01, .02, .03, .01, .02, .03}},
        {"fixed, order by name, gain by segment", "m/2 2 250 6\none 3\nswapped 3\n", NULL, 6, 0, {1, 2, 3, .5, 1, 1.5}, {.01, .02, .03, .01, .02, .03}},
        {"fixed with a gap in front", "m/2 2 250 4\n~ 1\none 3\n", NULL, 4, 0, {99, 1, 2, 3}, {99, .01, .02, .03}},
        {"variable", "m/4 2 250 7\nlayout 0\none 3\n~ 2\nonly 2\n", NULL, 7, 0, {1, 2, 3, 99, 99, 99, 99}, {.01, .02, .03, 99, 99, -.4, -.8}},
        {"variable, another unit", "m/2 2 250 2\nlayout 0\nonly_uv 2\n", NULL, 2, 0, {99, 99}, {-.4, -.8}},
        {"length left out", "m/2 2 250\nlayout 0\nonly 2\n", NULL, 2, 0, {99, 99}, {-.4, -.8}},
        {"lengths do not add up", "m/2 2 250 7\none 3\none 3\n", "7 samples announced, the segments have 6", 0, 0, {0}, {0}},
        {"segment shorter than announced", "m/1 2 250 4\none 4\n", "segment one has 3 samples, 4 announced", 0, 2, {0}, {0}},
        {"segment of nothing", "m/2 2 250 3\none 3\none 0\n", "segment one of 0 samples", 0, 3, {0}, {0}},
        {"fixed, but other signals", "m/2 2 250 5\none 3\nonly 2\n", "1 signals, 2 in", 0, 0, {0}, {0}},
        {"signal count", "m/1 3 250 3\none 3\n", "3 signals announced, 2 described", 0, 0, {0}, {0}},
        {"another rate", "m/1 2 500 3\none 3\n", "segment one has 250 Hz", 0, 2, {0}, {0}},
        {"absurd gap", "m/3 2 250 90000000006\none 3\n~ 90000000000\none 3\n", "samples announced, the segments have", 0, 0, {0}, {0}},
        {"no such segment", "m/2 2 250 6\none 3\ntwo 3\n", "no such file", 0, 0, {0}, {0}},
    };
    (void)state;
    place p = {0};
    write_tracks(&p, "one", 250, 3, one, 2);
    write_tracks(&p, "swapped", 250, 3, swapped, 2);
    write_tracks(&p, "only", 250, 2, only, 1);
    write_tracks(&p, "only_uv", 250, 2, only_uv, 1);
    add_member(&p, "layout.hea", layout, sizeof layout - 1);
    const int members = p.members;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        ecg_record rec;
        ecg_err err = {0};
        p.members = members;
        add_member(&p, "m.hea", cases[k].master, strlen(cases[k].master));
        const ecg_status st = read_place(&rec, NULL, &p, "m", &err);
        if (cases[k].fails) {
            if (!st || !strstr(err.msg, cases[k].fails) || err.line != cases[k].line)
                fail_msg("%s: status %d, line %d \"%s\"", cases[k].why, st, (int)err.line, err.msg);
            continue;
        }
        if (st)
            fail_msg("%s: %s", cases[k].why, err.msg);
        assert_int_equal(rec.samples, cases[k].samples);
        for (int64_t t = 0; t < rec.samples; t++) {
            const double got[2] = {(double)rec.value[t], (double)rec.value[rec.samples + t]}, want[2] = {cases[k].ii[t], cases[k].v5[t]};
            for (int i = 0; i < 2; i++)
                if (want[i] == 99 ? !isnan(got[i]) : !(fabs(got[i] - want[i]) < 1e-6))
                    fail_msg("%s: lead %d sample %d is %g, expected %g", cases[k].why, i, (int)t, got[i], want[i]);
        }
        ecg_record_clear(&rec);
    }
    clear_place(&p);
}

/* ---- leads ---------------------------------------------------------------------------------------------------------------------- */

static void lead_names(void **state)
{
    static const struct {
        const char *name;
        int lead;
    } cases[] = {
        {"I", ECG_I}, {"i", ECG_I}, {"ii", ECG_II}, {"Lead I", ECG_I}, {"lead II", ECG_II}, {"DI", ECG_I}, {"DIII", ECG_III}, {"MDC_ECG_LEAD_I", ECG_I},
        {"MDC_ECG_LEAD_AVR", ECG_AVR}, {"MDC_ECG_LEAD_V3", ECG_V3}, {"AVR", ECG_AVR}, {"avl", ECG_AVL}, {"aVF", ECG_AVF}, {"ECG I", ECG_I},
        {"ECG lead V2", ECG_V2}, {"v6", ECG_V6}, {" V5 ", ECG_V5}, {"lead_v1", ECG_V1}, {"", -1}, {"V", -1}, {"V7", -1}, {"MLII", -1}, {"ECG 1", -1},
        {"IV", -1}, {"vx", -1}, {"DV1", -1}, {"lead", -1}, {"III and more", -1}, {"a name that is far too long to be any lead at all", -1},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        if (ecg_lead_from_name(cases[c].name) != cases[c].lead)
            fail_msg("\"%s\": %d, expected %d", cases[c].name, ecg_lead_from_name(cases[c].name), cases[c].lead);
    for (int i = 0; i < ECG_LEADS; i++)
        assert_int_equal(ecg_lead_from_name(ecg_lead_names[i]), i);
}

static void units(void **state)
{
    (void)state;
    assert_float_equal(ecg_unit_to_mv("mV"), 1, 0);
    assert_float_equal(ecg_unit_to_mv("mv"), 1, 0);
    assert_float_equal(ecg_unit_to_mv("uV"), 1e-3, 0);
    assert_float_equal(ecg_unit_to_mv("\xc2\xb5V"), 1e-3, 0);
    assert_float_equal(ecg_unit_to_mv("V"), 1e3, 0);
    assert_float_equal(ecg_unit_to_mv("NU"), 0, 0);
    assert_float_equal(ecg_unit_to_mv(""), 0, 0);
}

static void twelve(void **state)
{
    static const char *const names[] = {"V1", "II", "I", "pleth", "aVL"};
    static const char *const unit[] = {"mV", "uV", "mV", "NU", "mV"};
    static const float value[] = {0.5f, 0.25f, 700, 300, 0.3f, -0.1f, 9, 9, 5, 5};
    ecg_record rec;
    float out[ECG_LEADS * 2];
    (void)state;
    assert_int_equal(ecg_record_make(&rec, 5, 2, 100, NULL), ECG_OK);
    assert_true(isnan(rec.value[9]));
    for (int i = 0; i < 5; i++) {
        snprintf(rec.lead[i].name, sizeof rec.lead[i].name, "%s", names[i]);
        snprintf(rec.lead[i].unit, sizeof rec.lead[i].unit, "%s", unit[i]);
    }
    memcpy(rec.value, value, sizeof value);
    assert_int_equal(ecg_record_find(&rec, ECG_I), 2);
    assert_int_equal(ecg_record_find(&rec, ECG_V2), -1);
    const unsigned found = ecg_record_twelve(out, &rec);
    assert_int_equal(found, 1 << ECG_I | 1 << ECG_II | 1 << ECG_III | 1 << ECG_AVR | 1 << ECG_AVL | 1 << ECG_AVF | 1 << ECG_V1);
    assert_float_equal(out[2 * ECG_II], 0.7, 1e-6);
    assert_float_equal(out[2 * ECG_III], 0.4, 1e-6);       /* II - I */
    assert_float_equal(out[2 * ECG_AVR], -0.5, 1e-6);      /* -(I + II) / 2 */
    assert_float_equal(out[2 * ECG_AVL], 5, 0);            /* recorded, not derived */
    assert_float_equal(out[2 * ECG_AVF + 1], 0.35, 1e-6);  /* II - I / 2 */
    assert_float_equal(out[2 * ECG_V1 + 1], 0.25, 0);
    assert_true(isnan(out[2 * ECG_V2]));
    ecg_record_clear(&rec);
    assert_int_equal(ecg_record_make(&rec, 0, 2, 100, NULL), ECG_EARG);
    assert_int_equal(ecg_record_make(&rec, 12, INT64_MAX / 2, 100, NULL), ECG_EARG);
}

/* ---- in a folder ---------------------------------------------------------------------------------------------------------------- */

static void in_folder(void **state)
{
    char folder[] = P_tmpdir "/ecgraft_wfdb_XXXXXX", path[256], link[256];
    const int32_t none = ECG_WFDB_MISSING;
    const int32_t x[4] = {100, -300, none, 32767}, y[8] = {1, 2, 3, 5, 9, 9, 9, 8};
    const ecg_wfdb_track track[2] = {{.name = "I", .gain = 500, .baseline = 7, .sample = x}, {.name = "II", .gain = 100, .per_frame = 2, .sample = y}};
    ecg_record rec, back;
    ecg_err err = {0};
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/r.hea", folder);
    if (ecg_wfdb_write(path, 500, 4, NULL, track, 2, "a\nb", &err))
        fail_msg("%s", err.msg);
    static const char *const spellings[] = {"r.hea", "r", "r.dat"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, spellings[i]);
        if (ecg_record_read(&rec, path, &err))
            fail_msg("%s: %s", path, err.msg);
        if (i < 2)
            ecg_record_clear(&rec);
    }
    assert_int_equal(rec.warnings & (unsigned)~ECG_WARN_LEAD_FLAT, 0);
    assert_float_equal(rec.value[4], 0.015, 1e-7);

    /* a recording written again keeps every value */
    snprintf(path, sizeof path, "%s/again.hea", folder);
    rec.value[1] = 65.0f; /* 32,500 steps at 500: only just */
    assert_int_equal(ecg_wfdb_write_record(path, &rec, &err), ECG_OK);
    assert_int_equal(ecg_record_read(&back, path, &err), ECG_OK);
    for (int i = 0; i < 8; i++)
        if (isnan(rec.value[i]) != isnan(back.value[i]) || fabs((double)rec.value[i] - (double)back.value[i]) > 1e-6)
            fail_msg("value %d: %.9g, written %.9g", i, (double)back.value[i], (double)rec.value[i]);
    ecg_record_clear(&back);
    rec.value[1] = -3000; /* beyond 16 bits at any usual gain: fewer steps, a baseline */
    assert_int_equal(ecg_wfdb_write_record(path, &rec, &err), ECG_OK);
    assert_int_equal(ecg_record_read(&back, path, &err), ECG_OK);
    for (int i = 0; i < 8; i++)
        if (isnan(rec.value[i]) != isnan(back.value[i]) || fabs((double)rec.value[i] - (double)back.value[i]) > 0.03)
            fail_msg("value %d: %.9g, written %.9g", i, (double)back.value[i], (double)rec.value[i]);
    ecg_record_clear(&back);
    ecg_record_clear(&rec);

    const struct {
        const char *why, *name;
        ecg_status status;
        const char *says;
    } bad[] = {
        {"folder", "", ECG_EIO, "a folder, not a recording"},
        {"nothing there", "/none", ECG_EIO, "cannot open"},
        {"no recording", "/noise", ECG_EFORMAT, "not a recording"},
        {"empty", "/nothing", ECG_EFORMAT, "empty"},
        {"empty header", "/zero.hea", ECG_EDATA, "empty"},
        {"pipe", "/pipe.hea", ECG_EIO, "not a regular file"},
        {"link to a device", "/out", ECG_EIO, "not a regular file"},
        {"cut short", "/short", ECG_EDATA, "5 announced"},
    };
    for (int i = 0; i < 6; i++) {
        static const char *const names[] = {"noise", "nothing", "zero.hea", "out.hea", "short.hea", "x"};
        static const char *const text[] = {"\x93noise\x01\x02", "", "", "out 1 500 1\nlink.dat 16\n", "short 2 500 5\nr.dat 16\nr.dat 16x2\n", ""};
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(ecg_file_write_whole(path, text[i], strlen(text[i]), &err), ECG_OK);
    }
    snprintf(path, sizeof path, "%s/pipe.hea", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(link, sizeof link, "%s/link.dat", folder);
    assert_int_equal(symlink("/dev/zero", link), 0);
    for (size_t c = 0; c < sizeof bad / sizeof *bad; c++) {
        memset(&err, 0, sizeof err);
        snprintf(path, sizeof path, "%s%s", folder, bad[c].name);
        const ecg_status st = ecg_record_read(&rec, path, &err);
        if (st != bad[c].status || !strstr(err.msg, bad[c].says) || !strstr(err.path, folder))
            fail_msg("%s: status %d, %s \"%s\"", bad[c].why, st, err.path, err.msg);
    }
    static const char *const made[] = {"r.hea", "r.dat", "again.hea", "again.dat", "noise", "nothing", "zero.hea", "out.hea", "short.hea", "x", "pipe.hea", "link.dat"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, made[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0); /* nothing else was left */

    snprintf(path, sizeof path, "%s/gone/r.hea", folder);
    assert_int_equal(ecg_wfdb_write(path, 500, 4, NULL, track, 2, NULL, &err), ECG_EIO);
    assert_int_equal(ecg_wfdb_write("r.dat", 500, 4, NULL, track, 2, NULL, &err), ECG_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),   cmocka_unit_test(capacity),      cmocka_unit_test(writer_refuses), cmocka_unit_test(flac), cmocka_unit_test(bad_headers),
        cmocka_unit_test(odd_headers),  cmocka_unit_test(flat_and_invalid), cmocka_unit_test(several_files), cmocka_unit_test(segments),
        cmocka_unit_test(lead_names),   cmocka_unit_test(units),         cmocka_unit_test(twelve),         cmocka_unit_test(in_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
