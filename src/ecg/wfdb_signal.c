/* SPDX-License-Identifier: MIT */
#include "ecg/wfdb_signal.h"

#include <FLAC/stream_decoder.h>
#include <stdlib.h>
#include <string.h>

/* ---- the formats ---------------------------------------------------------------------------------------------------------------- */

static const struct {
    int format, bits;
    bool missing;                    /* the lowest code means so */
    int group_samples, group_bytes;  /* 0: FLAC */
} formats[] = {
    {8, 8, false, 1, 1},   {16, 16, true, 1, 2},  {24, 24, true, 1, 3},  {32, 32, true, 1, 4},  {61, 16, true, 1, 2},
    {80, 8, true, 1, 1},   {160, 16, true, 1, 2}, {212, 12, true, 2, 3}, {310, 10, true, 3, 4}, {311, 10, true, 3, 4},
    {508, 8, true, 0, 0},  {516, 16, true, 0, 0}, {524, 24, true, 0, 0},
};

static int row(int format)
{
    for (int i = 0; i < (int)(sizeof formats / sizeof *formats); i++)
        if (formats[i].format == format)
            return i;
    return -1;
}

bool ecg_wfdb_format_known(int format)
{
    return row(format) >= 0;
}

bool ecg_wfdb_format_flac(int format)
{
    return row(format) >= 0 && formats[row(format)].group_samples == 0;
}

void ecg_wfdb_format_range(int32_t *low, int32_t *high, int format)
{
    const int i = row(format), bits = i < 0 ? 16 : formats[i].bits;
    const int64_t half = INT64_C(1) << (bits - 1);
    *low = (int32_t)(-half + (i >= 0 && formats[i].missing));
    *high = (int32_t)(half - 1);
}

bool ecg_wfdb_format_missing(int32_t *code, int format)
{
    const int i = row(format);
    if (i < 0 || !formats[i].missing)
        return false;
    *code = (int32_t)-(INT64_C(1) << (formats[i].bits - 1));
    return true;
}

/* Bytes of an unfinished group: 310 is made of 16-bit words (the third sample lies in both), 212 and 311 of bits in order. */
static int64_t bytes_of_rest(int format, int64_t samples)
{
    if (samples == 0)
        return 0;
    return format == 310 ? 2 * samples : format == 311 ? (10 * samples + 7) / 8 : 2 /* 212 */;
}

int64_t ecg_wfdb_bytes(int format, int64_t n)
{
    const int i = row(format), of = formats[i].group_samples;
    return n / of * formats[i].group_bytes + bytes_of_rest(format, n % of);
}

int64_t ecg_wfdb_bytes_padded(int format, int64_t n)
{
    const int of = formats[row(format)].group_samples;
    return ecg_wfdb_bytes(format, (n + of - 1) / of * of);
}

int64_t ecg_wfdb_samples(int format, int64_t bytes)
{
    const int i = row(format), of = formats[i].group_bytes;
    int64_t rest = 0;
    while (rest + 1 < formats[i].group_samples && bytes_of_rest(format, rest + 1) <= bytes % of)
        rest++;
    return bytes / of * formats[i].group_samples + rest;
}

/* ---- bytes to samples ----------------------------------------------------------------------------------------------------------- */

static inline int32_t sign_extend(uint32_t x, int bits)
{
    const uint32_t sign = 1u << (bits - 1);
    return (int32_t)((x & (2 * sign - 1)) ^ sign) - (int32_t)sign;
}

static inline uint32_t word16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static inline int32_t sample_212(const uint8_t *bytes, int64_t i)
{
    const uint8_t *p = bytes + i / 2 * 3;
    return sign_extend(i % 2 ? p[2] | (p[1] & 0xf0u) << 4 : p[0] | (p[1] & 0x0fu) << 8, 12);
}

/* Two 16-bit words: samples 0 and 1 in bits 1..10 of each, sample 2 in the upper five bits of both, the low half first. */
static inline int32_t sample_310(const uint8_t *bytes, int64_t i)
{
    const uint8_t *p = bytes + i / 3 * 4;
    if (i % 3 < 2)
        return sign_extend(word16(p + 2 * (i % 3)) >> 1, 10);
    return sign_extend(word16(p) >> 11 | word16(p + 2) >> 11 << 5, 10);
}

/* 30 bits in order, the lowest first, then two that are unused. */
static inline int32_t sample_311(const uint8_t *bytes, int64_t i)
{
    const uint8_t *p = bytes + i / 3 * 4;
    switch (i % 3) {
    case 0: return sign_extend(word16(p), 10);
    case 1: return sign_extend(word16(p + 1) >> 2, 10);
    default: return sign_extend(word16(p + 2) >> 4, 10);
    }
}

void ecg_wfdb_decode(int32_t *out, int64_t out_step, int format, const uint8_t *bytes, int64_t first, int64_t step, int64_t n)
{
#define EACH(expression)                                                          \
    for (int64_t k = 0, i = first; k < n; k++, i += step, out += out_step)        \
        *out = (expression);                                                      \
    break
    switch (format) {
    case 8: EACH(sign_extend(bytes[i], 8));
    case 16: EACH(sign_extend(word16(bytes + 2 * i), 16));
    case 24: EACH(sign_extend(word16(bytes + 3 * i) | (uint32_t)bytes[3 * i + 2] << 16, 24));
    case 32: EACH((int32_t)(word16(bytes + 4 * i) | word16(bytes + 4 * i + 2) << 16));
    case 61: EACH(sign_extend((uint32_t)bytes[2 * i] << 8 | bytes[2 * i + 1], 16));
    case 80: EACH(bytes[i] - 128);
    case 160: EACH((int32_t)word16(bytes + 2 * i) - 32768);
    case 212: EACH(sample_212(bytes, i));
    case 310: EACH(sample_310(bytes, i));
    case 311: EACH(sample_311(bytes, i));
    default: break;
    }
#undef EACH
}

/* ---- samples to bytes ----------------------------------------------------------------------------------------------------------- */

static void or_word(uint8_t *p, uint32_t x)
{
    p[0] |= (uint8_t)x;
    p[1] |= (uint8_t)(x >> 8);
}

void ecg_wfdb_encode(uint8_t *bytes, int format, const int32_t *in, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t x = (uint32_t)in[i];
        uint8_t *p;
        switch (format) {
        case 8: bytes[i] = (uint8_t)x; break;
        case 80: bytes[i] = (uint8_t)(x + 128); break;
        case 16: or_word(bytes + 2 * i, x); break;
        case 160: or_word(bytes + 2 * i, x + 32768); break;
        case 61:
            bytes[2 * i] = (uint8_t)(x >> 8);
            bytes[2 * i + 1] = (uint8_t)x;
            break;
        case 24:
            or_word(bytes + 3 * i, x);
            bytes[3 * i + 2] = (uint8_t)(x >> 16);
            break;
        case 32:
            or_word(bytes + 4 * i, x);
            or_word(bytes + 4 * i + 2, x >> 16);
            break;
        case 212:
            p = bytes + i / 2 * 3;
            if (i % 2) {
                p[1] |= (uint8_t)(x >> 4 & 0xf0);
                p[2] = (uint8_t)x;
            } else {
                or_word(p, x & 0xfff);
            }
            break;
        case 310:
            p = bytes + i / 3 * 4;
            if (i % 3 < 2) {
                or_word(p + 2 * (i % 3), (x & 0x3ff) << 1);
            } else {
                or_word(p, (x & 0x1f) << 11);
                or_word(p + 2, (x >> 5 & 0x1f) << 11);
            }
            break;
        case 311:
            p = bytes + i / 3 * 4;
            or_word(p + i % 3, (x & 0x3ff) << 2 * (i % 3));
            break;
        default: break;
        }
    }
}

/* ---- FLAC ----------------------------------------------------------------------------------------------------------------------- */

enum { FLAC_VALUES_MAX = 1 << 27 }; /* a constant signal shrinks 20,000-fold: the length of the file is no bound */

typedef struct {
    const uint8_t *bytes;
    size_t len, at;
    int format, channels;
    int64_t limit, samples, room;
    int32_t *out;
    ecg_status status;
    ecg_err *err;
} flac;

static FLAC__StreamDecoderReadStatus flac_read(const FLAC__StreamDecoder *d, FLAC__byte *to, size_t *n, void *state)
{
    flac *f = state;
    (void)d;
    if (*n > f->len - f->at)
        *n = f->len - f->at;
    memcpy(to, f->bytes + f->at, *n);
    f->at += *n;
    return *n ? FLAC__STREAM_DECODER_READ_STATUS_CONTINUE : FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM;
}

static FLAC__StreamDecoderWriteStatus flac_write(const FLAC__StreamDecoder *d, const FLAC__Frame *frame, const FLAC__int32 *const block[], void *state)
{
    flac *f = state;
    (void)d;
    if ((int)frame->header.channels != f->channels) {
        f->status = ecg_fail(f->err, ECG_EDATA, "%u channels, %d signals", frame->header.channels, f->channels);
        return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
    }
    if ((int)frame->header.bits_per_sample > f->format - 500) {
        f->status = ecg_fail(f->err, ECG_EDATA, "%u bits a sample in format %d", frame->header.bits_per_sample, f->format);
        return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
    }
    const int64_t left = f->limit - f->samples, n = frame->header.blocksize, keep = n < left ? n : left;
    if (f->samples + keep > FLAC_VALUES_MAX / f->channels) {
        f->status = ecg_fail(f->err, ECG_EDATA, "over %d samples", FLAC_VALUES_MAX);
        return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
    }
    if (f->samples + keep > f->room) {
        const int64_t most = FLAC_VALUES_MAX / f->channels, twice = 2 * (f->samples + keep), room = twice < most ? twice : most;
        int32_t *more = realloc(f->out, (size_t)room * (size_t)f->channels * sizeof *more);
        if (!more) {
            f->status = ecg_fail(f->err, ECG_ENOMEM, "out of memory");
            return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
        }
        f->out = more;
        f->room = room;
    }
    for (int c = 0; c < f->channels; c++)
        for (int64_t i = 0; i < keep; i++)
            f->out[(f->samples + i) * f->channels + c] = block[c][i];
    f->samples += keep < n ? keep + 1 : keep;
    return keep < n ? FLAC__STREAM_DECODER_WRITE_STATUS_ABORT : FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

static void flac_error(const FLAC__StreamDecoder *d, FLAC__StreamDecoderErrorStatus what, void *state)
{
    flac *f = state;
    (void)d;
    if (!f->status)
        f->status = ecg_fail(f->err, ECG_EDATA, "damaged FLAC stream (%s)", FLAC__StreamDecoderErrorStatusString[what]);
}

ecg_status ecg_wfdb_flac(int32_t **out, int64_t *samples, int format, const uint8_t *bytes, size_t len, int channels, int64_t limit, ecg_err *err)
{
    flac f = {.bytes = bytes, .len = len, .format = format, .channels = channels, .limit = limit, .err = err};
    *out = NULL;
    *samples = 0;
    if (len < 4 || memcmp(bytes, "fLaC", 4) != 0)
        return ecg_fail(err, ECG_EDATA, "not a FLAC stream");
    FLAC__StreamDecoder *d = FLAC__stream_decoder_new();
    if (!d)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    FLAC__stream_decoder_set_md5_checking(d, true);
    bool whole = FLAC__stream_decoder_init_stream(d, flac_read, NULL, NULL, NULL, NULL, flac_write, NULL, flac_error, &f) ==
                 FLAC__STREAM_DECODER_INIT_STATUS_OK;
    while (whole && !f.status && f.samples <= limit && FLAC__stream_decoder_get_state(d) != FLAC__STREAM_DECODER_END_OF_STREAM)
        whole = FLAC__stream_decoder_process_single(d);
    const bool ended = whole && FLAC__stream_decoder_get_state(d) == FLAC__STREAM_DECODER_END_OF_STREAM;
    const bool same = FLAC__stream_decoder_finish(d); /* false: the MD5 of the stream differs */
    FLAC__stream_decoder_delete(d);
    if (!f.status && f.samples <= limit && (!ended || !same))
        f.status = ecg_fail(err, ECG_EDATA, ended ? "damaged FLAC stream (MD5 differs)" : "damaged FLAC stream");
    if (f.status) {
        free(f.out);
        return f.status;
    }
    *out = f.out;
    *samples = f.samples;
    return ECG_OK;
}
