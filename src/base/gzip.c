/* SPDX-License-Identifier: MIT
 * gzip.c: one interface over ISA-L and zlib. What a member's header and trailer must hold is checked by them (CRC and length). */
#include "base/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef ECG_HAVE_ISAL
#include <isa-l.h>
#endif

enum { LEVEL = 4 /* half the time of zlib's default 6 for a tenth more bytes */, FAST = 1 };

struct ecg_gunzip {
#ifdef ECG_HAVE_ISAL
    struct inflate_state s;
#else
    z_stream s;
#endif
    bool inside;  /* a member has begun and is not over */
    bool padding; /* zeros were seen behind a member: nothing else may come */
    int members;  /* complete ones, at most 1 is counted */
};

bool ecg_is_gzip(const void *bytes, size_t len)
{
    return len >= 2 && !memcmp(bytes, "\x1f\x8b", 2);
}

static unsigned piece(size_t len)
{
    return len > INT_MAX ? INT_MAX : (unsigned)len;
}

#ifdef ECG_HAVE_ISAL

static bool open_stream(ecg_gunzip *g)
{
    isal_inflate_init(&g->s);
    g->s.crc_flag = ISAL_GZIP;
    return true;
}

static void begin_member(ecg_gunzip *g)
{
    isal_inflate_reset(&g->s);
    g->s.crc_flag = ISAL_GZIP;
}

static void close_stream(ecg_gunzip *g)
{
    (void)g;
}

static const char *expand(ecg_gunzip *g)
{
    const int st = isal_inflate(&g->s);
    if (g->s.block_state == ISAL_BLOCK_FINISH && st >= 0) {
        g->inside = false;
        g->members = 1;
    }
    if (st == ISAL_INCORRECT_CHECKSUM)
        return "gzip checksum is wrong";
    return st < 0 ? "gzip stream is damaged" : NULL;
}

#else

static bool open_stream(ecg_gunzip *g)
{
    return inflateInit2(&g->s, 15 + 16) == Z_OK;
}

static void begin_member(ecg_gunzip *g)
{
    inflateReset(&g->s);
}

static void close_stream(ecg_gunzip *g)
{
    inflateEnd(&g->s);
}

static const char *expand(ecg_gunzip *g)
{
    const int st = inflate(&g->s, Z_NO_FLUSH);
    if (st == Z_STREAM_END) {
        g->inside = false;
        g->members = 1;
    }
    if (st == Z_DATA_ERROR && g->s.msg && strstr(g->s.msg, "check"))
        return "gzip checksum is wrong";
    return st == Z_OK || st == Z_STREAM_END || st == Z_BUF_ERROR ? NULL : "gzip stream is damaged";
}

#endif

ecg_gunzip *ecg_gunzip_new(void)
{
    ecg_gunzip *g = calloc(1, sizeof *g);
    if (g && !open_stream(g)) {
        free(g);
        return NULL;
    }
    return g;
}

void ecg_gunzip_free(ecg_gunzip *g)
{
    if (!g)
        return;
    close_stream(g);
    free(g);
}

bool ecg_gunzip_complete(const ecg_gunzip *g)
{
    return g->members && !g->inside;
}

/* Between members: zeros are padding, 0x1f begins the next one. False: nothing to expand now. */
static bool enter_member(ecg_gunzip *g, const uint8_t **in, size_t *in_len, const char **why)
{
    while (g->members && *in_len && **in == 0) {
        g->padding = true;
        ++*in;
        --*in_len;
    }
    if (!*in_len)
        return false;
    if (g->members && (g->padding || **in != 0x1f)) {
        *why = "bytes after the gzip stream";
        return false;
    }
    if (g->members)
        begin_member(g);
    g->inside = true;
    return true;
}

size_t ecg_gunzip_step(ecg_gunzip *g, const uint8_t **in, size_t *in_len, uint8_t *out, size_t room, const char **why)
{
    size_t done = 0;
    *why = NULL;
    while (done < room) {
        if (!g->inside && !enter_member(g, in, in_len, why))
            return done;
        const unsigned give = piece(*in_len), take = piece(room - done);
        g->s.next_in = (uint8_t *)(uintptr_t)*in;
        g->s.avail_in = give;
        g->s.next_out = out + done;
        g->s.avail_out = take;
        *why = expand(g);
        const size_t used = give - g->s.avail_in, made = take - g->s.avail_out;
        *in += used;
        *in_len -= used;
        done += made;
        if (*why)
            return done;
        if (!used && !made && g->inside) {
            if (*in_len)
                *why = "gzip stream is damaged";
            return done;
        }
    }
    return done;
}

struct ecg_gzip {
    z_stream s;
    bool ended;
};

static ecg_gzip *new_at(int level)
{
    ecg_gzip *z = calloc(1, sizeof *z);
    if (z && deflateInit2(&z->s, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(z);
        return NULL;
    }
    return z;
}

ecg_gzip *ecg_gzip_new(void)
{
    return new_at(LEVEL);
}

ecg_gzip *ecg_gzip_new_fast(void)
{
    return new_at(FAST);
}

void ecg_gzip_again(ecg_gzip *z)
{
    deflateReset(&z->s);
    z->ended = false;
}

void ecg_gzip_free(ecg_gzip *z)
{
    if (!z)
        return;
    deflateEnd(&z->s);
    free(z);
}

size_t ecg_gzip_step(ecg_gzip *z, const uint8_t **in, size_t *in_len, bool last, uint8_t *out, size_t room)
{
    if (z->ended)
        return 0;
    const unsigned give = piece(*in_len), take = piece(room);
    z->s.next_in = (uint8_t *)(uintptr_t)*in;
    z->s.avail_in = give;
    z->s.next_out = out;
    z->s.avail_out = take;
    z->ended = deflate(&z->s, last && give == *in_len ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END;
    const unsigned taken = give - z->s.avail_in;
    if (taken) /* at the end there may be nothing to take from: NULL */
        *in += taken;
    *in_len -= taken;
    return take - z->s.avail_out;
}
