/* SPDX-License-Identifier: MIT
 * source_zip.c: a zip archive as a place of files (PKWARE APPNOTE 6.3, with the 64-bit records). The released MIMIC-IV-ECG has 1.6 million
 * members in 34 GB; libzip 1.7 takes 620 MB and 2.8 s to open such an archive and serves one thread at a time. Here the archive is mapped,
 * its directory is walked once into a table of 32-bit places, and whoever opens a member reads the mapping, so that threads share nothing
 * that changes. Every number in the archive is somebody else's: it is compared with the bytes that there are before it is used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef ECG_HAVE_ISAL
#include <isa-l.h>
#else
#include <zlib.h>
#endif

#include "base/source.h"

enum { END = 22, END64 = 56, LOCATOR = 20, ENTRY = 46, LOCAL = 30, MALLOCED = 1, DEFLATED = 8 };
enum { MOST_PROBES = 1000 }; /* names that collide so often were made to */
static const uint64_t largest_member = UINT64_C(1) << 30, largest_ratio = 1032 /* of deflate */;

typedef struct {
    ecg_bytes file;
    const uint8_t *directory;
    size_t directory_len;
    uint32_t *slot;  /* (mask + 1): place of an entry in the directory + 1; 0: none */
    size_t mask;
    char prefix[256]; /* before every name that is asked for */
} archive;

/* One entry of the directory; its sizes after the 64-bit record. */
typedef struct {
    const char *name;
    size_t name_len;
    unsigned flags, method;
    uint32_t crc;
    uint64_t packed, size, at;
} member;

static unsigned u16(const uint8_t *p)
{
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)u16(p) | (uint32_t)u16(p + 2) << 16;
}

static uint64_t u64(const uint8_t *p)
{
    return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32;
}

bool ecg_is_zip(const void *bytes, size_t len)
{
    return len >= 4 && (!memcmp(bytes, "PK\3\4", 4) || !memcmp(bytes, "PK\5\6", 4));
}

/* ---- the directory -------------------------------------------------------------------------------------------------------- */

/* The record that ends every archive: 22 bytes and a comment. NULL: none. */
static const uint8_t *find_end(const uint8_t *at, size_t len)
{
    for (size_t back = END; back <= len && back <= END + 65535; back++) {
        const uint8_t *p = at + len - back;
        if (p[0] == 'P' && !memcmp(p, "PK\5\6", 4) && u16(p + 20) == back - END)
            return p;
    }
    return NULL;
}

/* Sets directory and directory_len; *members gets what the end record announces. */
static ecg_status find_directory(archive *a, uint64_t *members, const char *path, ecg_err *err)
{
    const uint8_t *file = a->file.at, *end = find_end(file, a->file.len);
    if (!end)
        return ecg_is_zip(file, a->file.len) ? ecg_fail_at(err, ECG_EDATA, path, 0, 0, "a zip archive that is cut: no directory at its end")
                                             : ecg_fail_at(err, ECG_EFORMAT, path, 0, 0, "not a zip archive");
    size_t before = (size_t)(end - file); /* bytes that the directory may lie in */
    uint64_t size = u32(end + 12), at = u32(end + 16), disk = u16(end + 4) | u16(end + 6);
    *members = u16(end + 10);
    if (before >= LOCATOR && !memcmp(end - LOCATOR, "PK\6\7", 4)) {
        const uint64_t place = u64(end - LOCATOR + 8);
        before -= LOCATOR;
        if (before < END64 || place > before - END64 || memcmp(file + place, "PK\6\6", 4))
            return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "the 64-bit end record of the archive is not where it should be");
        const uint8_t *end64 = file + place;
        before = (size_t)place;
        disk = u32(end64 + 16) | u32(end64 + 20);
        *members = u64(end64 + 32);
        size = u64(end64 + 40);
        at = u64(end64 + 48);
    }
    if (disk != 0 && disk != UINT16_MAX)
        return ecg_fail_at(err, ECG_EUNSUPPORTED, path, 0, 0, "an archive in several parts");
    if (at > before || size > before - at)
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "a directory of %" PRIu64 " bytes at byte %" PRIu64 ", the archive has %zu before its end record", size, at,
                           before);
    if (size >= UINT32_MAX || *members > size / ENTRY)
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "%" PRIu64 " files in a directory of %" PRIu64 " bytes", *members, size);
    a->directory = file + at;
    a->directory_len = (size_t)size;
    return ECG_OK;
}

/* Length of the entry at `at`, 0: none fits there. */
static size_t entry_length(const archive *a, size_t at)
{
    const uint8_t *p = a->directory + at;
    if (a->directory_len - at < ENTRY || memcmp(p, "PK\1\2", 4))
        return 0;
    const size_t len = ENTRY + (size_t)u16(p + 28) + u16(p + 30) + u16(p + 32);
    return len <= a->directory_len - at ? len : 0;
}

/* FNV-1a, then mixed: names differ in their last digits. */
static uint64_t hash(const void *bytes, size_t len, uint64_t h)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    return h;
}

static size_t first_slot(const archive *a, uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 20) & a->mask;
}

static const uint64_t hash_begin = UINT64_C(0xcbf29ce484222325);

/* Is the entry in this slot called prefix + name? */
static bool is_called(const archive *a, uint32_t slot, const char *prefix, size_t prefix_len, const char *name, size_t len)
{
    const uint8_t *p = a->directory + slot - 1;
    return u16(p + 28) == prefix_len + len && !memcmp(p + ENTRY, prefix, prefix_len) && !memcmp(p + ENTRY + prefix_len, name, len);
}

/* The slot of that name, or the empty one where it belongs; NULL: too many tries. */
static uint32_t *find_slot(const archive *a, const char *prefix, size_t prefix_len, const char *name, size_t len)
{
    size_t i = first_slot(a, hash(name, len, hash(prefix, prefix_len, hash_begin)));
    for (int tries = 0; tries < MOST_PROBES; tries++, i = (i + 1) & a->mask)
        if (!a->slot[i] || is_called(a, a->slot[i], prefix, prefix_len, name, len))
            return &a->slot[i];
    return NULL;
}

static ecg_status index_members(archive *a, uint64_t members, const char *path, ecg_err *err)
{
    size_t room = 64, at = 0;
    while (room < 2 * members)
        room *= 2;
    a->slot = calloc(room, sizeof *a->slot);
    a->mask = room - 1;
    if (!a->slot)
        return ecg_fail_at(err, ECG_ENOMEM, path, 0, 0, "no memory for the names of %" PRIu64 " files", members);
    for (uint64_t i = 0; i < members; i++) {
        const size_t len = entry_length(a, at);
        if (!len)
            return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "the directory is damaged at file %" PRIu64 " of %" PRIu64, i + 1, members);
        const char *name = (const char *)a->directory + at + ENTRY;
        const size_t name_len = u16(a->directory + at + 28);
        if (name_len && name[name_len - 1] != '/') { /* folders are no files */
            uint32_t *slot = find_slot(a, "", 0, name, name_len);
            if (!slot)
                return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "file names that cannot be told apart fast");
            *slot = (uint32_t)at + 1;
        }
        at += len;
    }
    if (at != a->directory_len)
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "%" PRIu64 " files announced, the directory goes on behind them", members);
    return ECG_OK;
}

/* ---- a member ------------------------------------------------------------------------------------------------------------- */

/* Sizes and place that do not fit 32 bits stand in a record of their own, in this order. */
static bool read_wide(member *m, const uint8_t *extra, size_t len)
{
    uint64_t *const field[] = {&m->size, &m->packed, &m->at};
    while (len >= 4 && u16(extra) != 1) {
        const size_t step = 4 + (size_t)u16(extra + 2);
        if (step > len)
            return false;
        extra += step;
        len -= step;
    }
    size_t left = len >= 4 && u16(extra + 2) <= len - 4 ? u16(extra + 2) : 0, at = 4;
    for (int i = 0; i < 3; i++)
        if (*field[i] == UINT32_MAX) {
            if (left < 8)
                return false;
            *field[i] = u64(extra + at);
            at += 8;
            left -= 8;
        }
    return true;
}

static bool read_entry(member *m, const archive *a, uint32_t slot)
{
    const uint8_t *p = a->directory + slot - 1;
    *m = (member){.name = (const char *)p + ENTRY, .name_len = u16(p + 28), .flags = u16(p + 8), .method = u16(p + 10), .crc = u32(p + 16),
                  .packed = u32(p + 20), .size = u32(p + 24), .at = u32(p + 42)};
    return read_wide(m, p + ENTRY + m->name_len, u16(p + 30));
}

/* Where the member's bytes begin: behind a header of its own, which must name it too. NULL: they do not lie before the directory. */
static const uint8_t *find_bytes(const archive *a, const member *m)
{
    const uint64_t end = (uint64_t)(a->directory - a->file.at);
    if (m->at > end || end - m->at < LOCAL)
        return NULL;
    const uint8_t *p = a->file.at + m->at;
    if (memcmp(p, "PK\3\4", 4) || u16(p + 26) != m->name_len)
        return NULL;
    const uint64_t ahead = LOCAL + (uint64_t)u16(p + 26) + u16(p + 28);
    if (end - m->at < ahead || m->packed > end - m->at - ahead || memcmp(p + LOCAL, m->name, m->name_len))
        return NULL;
    return p + ahead;
}

#ifdef ECG_HAVE_ISAL

static uint32_t crc_of(const uint8_t *bytes, size_t len)
{
    return crc32_gzip_refl(0, bytes, len);
}

/* out has one byte more than size, so that a stream that goes on is seen. Returns how many came, 0 if it is damaged. */
static size_t expand(uint8_t *out, size_t size, const uint8_t *in, size_t len)
{
    struct inflate_state *s = malloc(sizeof *s);
    if (!s)
        return 0;
    isal_inflate_init(s);
    s->next_in = (uint8_t *)(uintptr_t)in;
    s->avail_in = (uint32_t)len;
    s->next_out = out;
    s->avail_out = (uint32_t)(size + 1);
    const int st = isal_inflate_stateless(s);
    const size_t made = st == ISAL_DECOMP_OK ? s->total_out : 0;
    free(s);
    return made;
}

#else

static uint32_t crc_of(const uint8_t *bytes, size_t len)
{
    return (uint32_t)crc32(0, bytes, (uInt)len);
}

static size_t expand(uint8_t *out, size_t size, const uint8_t *in, size_t len)
{
    z_stream s = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)len, .next_out = out, .avail_out = (uInt)(size + 1)};
    if (inflateInit2(&s, -15) != Z_OK)
        return 0;
    const int st = inflate(&s, Z_FINISH);
    const size_t made = st == Z_STREAM_END ? s.total_out : 0;
    inflateEnd(&s);
    return made;
}

#endif

static const char *method_name(char text[32], unsigned method)
{
    static const struct { unsigned method; const char *name; } known[] = {
        {9, "Deflate64"}, {12, "bzip2"}, {14, "LZMA"}, {93, "Zstandard"}, {95, "XZ"}, {99, "AES encryption"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].method == method)
            return known[i].name;
    snprintf(text, 32, "method %u", method);
    return text;
}

static ecg_status read_member(ecg_bytes *out, const archive *a, const member *m, uint64_t most, const char *path, ecg_err *err)
{
    char text[32];
    if (m->flags & (1u | 1u << 6 | 1u << 13))
        return ecg_fail_at(err, ECG_EUNSUPPORTED, path, 0, 0, "encrypted in the archive");
    if (m->method != 0 && m->method != DEFLATED)
        return ecg_fail_at(err, ECG_EUNSUPPORTED, path, 0, 0, "packed by %s in the archive; stored and deflated files are read", method_name(text, m->method));
    if (m->size > most)
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "%" PRIu64 " bytes once expanded, at most %" PRIu64 " are taken", m->size, most);
    const uint8_t *packed = find_bytes(a, m);
    if (!packed)
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "not where the directory of the archive says");
    if (m->method ? m->size / largest_ratio > m->packed || m->packed >= UINT32_MAX : m->size != m->packed)
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "%" PRIu64 " bytes packed into %" PRIu64, m->size, m->packed);
    uint8_t *room = malloc((size_t)m->size + 1);
    if (!room)
        return ecg_fail_at(err, ECG_ENOMEM, path, 0, 0, "%" PRIu64 " bytes do not fit into memory", m->size);
    ecg_bytes got = {.at = room, .len = (size_t)m->size, .kind = MALLOCED}; /* the caller's own: the archive may be closed before it is read */
    if (!m->method) {
        memcpy(room, packed, got.len);
    } else if (expand(room, got.len, packed, (size_t)m->packed) != got.len) {
        ecg_bytes_free(&got);
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "damaged in the archive");
    }
    if (crc_of(room, got.len) != m->crc) {
        ecg_bytes_free(&got);
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "damaged in the archive: its CRC differs");
    }
    *out = got;
    return ECG_OK;
}

/* ---- the source ----------------------------------------------------------------------------------------------------------- */

static uint32_t *look_up(const archive *a, const char *name)
{
    return find_slot(a, a->prefix, strlen(a->prefix), name, strlen(name));
}

static ecg_status open_in_zip(ecg_source *s, const char *name, ecg_bytes *out, ecg_err *err)
{
    const archive *a = s->state;
    const uint32_t *slot = look_up(a, name);
    char path[512];
    member m;
    if (ecg_join(path, sizeof path, s->where, name, NULL))
        snprintf(path, sizeof path, "%.511s", name);
    if (!slot || !*slot)
        return ecg_fail_at(err, ECG_EIO, path, 0, 0, "no such file in the archive");
    if (!read_entry(&m, a, *slot))
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "its entry in the directory of the archive is damaged");
    return read_member(out, a, &m, s->most && s->most < largest_member ? s->most : largest_member, path, err);
}

static bool is_in_zip(ecg_source *s, const char *name)
{
    const uint32_t *slot = look_up(s->state, name);
    return slot && *slot;
}

static void close_zip(ecg_source *s)
{
    archive *a = s->state;
    ecg_bytes_free(&a->file);
    free(a->slot);
    free(a);
}

/* file is taken over. */
static ecg_status open_archive(ecg_source *out, ecg_bytes file, const char *path, ecg_err *err)
{
    uint64_t members = 0;
    archive *a = calloc(1, sizeof *a);
    if (!a) {
        ecg_bytes_free(&file);
        return ecg_fail(err, ECG_ENOMEM, "no memory for an archive");
    }
    a->file = file;
    *out = (ecg_source){.open = open_in_zip, .has = is_in_zip, .close = close_zip, .state = a};
    ecg_status st = ECG_OK;
    if ((size_t)snprintf(out->where, sizeof out->where, "%s", path) >= sizeof out->where)
        st = ecg_fail_at(err, ECG_EARG, path, 0, 0, "a path of over 511 bytes");
    if (!st)
        st = find_directory(a, &members, path, err);
    if (!st)
        st = index_members(a, members, path, err);
    if (st)
        ecg_source_close(out);
    return st;
}

ecg_status ecg_source_zip(ecg_source *out, const char *path, ecg_err *err)
{
    ecg_bytes file;
    const ecg_status st = ecg_file_map(&file, path, err);
    if (st) {
        *out = (ecg_source){0};
        return st;
    }
    return open_archive(out, file, path, err);
}

ecg_status ecg_source_zip_bytes(ecg_source *out, const void *bytes, size_t len, const char *name, ecg_err *err)
{
    return open_archive(out, (ecg_bytes){.at = bytes, .len = len}, name, err);
}

ecg_status ecg_zip_find(char *prefix, size_t size, const ecg_source *zip, const char *name, ecg_err *err)
{
    const archive *a = zip->state;
    const size_t len = strlen(name);
    const char *best = NULL;
    size_t best_len = 0, step;
    for (size_t at = 0; at < a->directory_len && (step = entry_length(a, at)); at += step) {
        const char *path = (const char *)a->directory + at + ENTRY;
        const size_t path_len = u16(a->directory + at + 28);
        if (path_len < len || memcmp(path + path_len - len, name, len) || (path_len > len && path[path_len - len - 1] != '/'))
            continue;
        if (!best || path_len < best_len) {
            best = path;
            best_len = path_len;
        }
    }
    if (!best)
        return ecg_fail_at(err, ECG_EIO, zip->where, 0, 0, "no file in the archive is called %.120s", name);
    if (best_len - len >= size)
        return ecg_fail_at(err, ECG_EDATA, zip->where, 0, 0, "%.120s lies in a folder with a name of %zu bytes", name, best_len - len);
    memcpy(prefix, best, best_len - len);
    prefix[best_len - len] = 0;
    return ECG_OK;
}

ecg_status ecg_zip_enter(ecg_source *zip, const char *prefix, ecg_err *err)
{
    archive *a = zip->state;
    const size_t len = strlen(prefix);
    if (len >= sizeof a->prefix || (len && prefix[len - 1] != '/'))
        return ecg_fail_at(err, ECG_EARG, zip->where, 0, 0, "\"%.80s\" is no folder of the archive", prefix);
    memcpy(a->prefix, prefix, len + 1);
    return ECG_OK;
}
