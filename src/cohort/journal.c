/* SPDX-License-Identifier: MIT
 * journal.c: see journal.h. The file: a line that names the format and the key, then blocks:
 *
 *   u32 bytes of the entries | entries | 64 characters: digest of the signals | 64 characters: SHA-256 of all of the block before
 *
 *   entry kept: u8 fate, f32 quality[8]; else: u8 fate, i64 line, u8 length, reason
 *
 * in the order of bytes of this machine, where alone it is read. A block that does not come up to its digest ends the journal: it was being
 * written when the process ended. */
#include "cohort/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEX = 64, TAIL = 2 * HEX, MOST_BLOCK = 1 << 24 };

static const char magic[] = "ecgraft journal 1 ";

struct ecg_journal {
    int fd;
    char path[560];
    ecg_bytes found;
    size_t *end;      /* (blocks): where each ends in found */
    int blocks, room;
    size_t at;        /* of ecg_journal_next */
    int block;
    uint8_t *held;    /* the block being made */
    size_t held_len, held_room;
};

static bool journal_path(char out[560], const char *output)
{
    return (size_t)snprintf(out, 560, "%s.part.journal", output) < 560;
}

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

static size_t entry_bytes(const uint8_t *p, size_t len)
{
    const size_t fixed = sizeof(int64_t) + 2;
    if (len < 1)
        return 0;
    const size_t bytes = p[0] == 0 ? 1 + sizeof(float[8]) : len < fixed ? SIZE_MAX : fixed + p[fixed - 1];
    return bytes <= len ? bytes : 0;
}

/* Where the block that begins at `at` ends; 0: it is not whole. */
static size_t block_end(const ecg_bytes *b, size_t at)
{
    uint32_t bytes;
    char digest[65];
    ecg_sha256 s;
    if (b->len - at < sizeof bytes + TAIL)
        return 0;
    memcpy(&bytes, b->at + at, sizeof bytes);
    if (bytes > b->len - at - sizeof bytes - TAIL)
        return 0;
    const size_t checked = sizeof bytes + bytes + HEX;
    ecg_sha256_begin(&s);
    ecg_sha256_add(&s, b->at + at, checked);
    ecg_sha256_end(&s, digest);
    if (memcmp(digest, b->at + at + checked, HEX))
        return 0;
    for (size_t i = at + sizeof bytes, end = i + bytes; i < end;) {
        const size_t len = entry_bytes(b->at + i, end - i);
        if (!len)
            return 0;
        i += len;
    }
    return at + checked + HEX;
}

static ecg_status find_blocks(ecg_journal *j, ecg_err *err)
{
    for (size_t end, at = sizeof magic + HEX; at < j->found.len && (end = block_end(&j->found, at)); at = end) {
        if (j->blocks == j->room) {
            const int room = j->room ? 2 * j->room : 64;
            size_t *more = realloc(j->end, (size_t)room * sizeof *more);
            if (!more)
                return ecg_fail(err, ECG_ENOMEM, "no memory for a journal");
            j->end = more;
            j->room = room;
        }
        j->end[j->blocks++] = end;
    }
    return ECG_OK;
}

ecg_status ecg_journal_open(ecg_journal **out, const char *output, const char *key, bool fresh, bool *other, ecg_err *err)
{
    char head[sizeof magic + HEX + 1];
    *out = NULL;
    *other = false;
    ecg_journal *j = calloc(1, sizeof *j);
    if (!j)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a journal");
    snprintf(head, sizeof head, "%s%.64s\n", magic, key);
    ecg_status st = journal_path(j->path, output) ? ECG_OK : ecg_fail_at(err, ECG_EARG, output, 0, 0, "a path of over 500 bytes");
    j->fd = st ? -1 : open(j->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (!st && j->fd < 0)
        st = ecg_fail_errno(err, j->path, "cannot create");
    if (!st)
        st = ecg_file_read(&j->found, j->path, err);
    const size_t len = sizeof magic + HEX;
    if (!st && !fresh && j->found.len >= len && !memcmp(j->found.at, head, len))
        st = find_blocks(j, err);
    else
        *other = !st && j->found.len > len;
    if (!st && !j->blocks) {
        ecg_bytes_free(&j->found);
        if (ftruncate(j->fd, 0) || write(j->fd, head, len) != (ssize_t)len)
            st = ecg_fail_errno(err, j->path, "cannot write");
    }
    if (st) {
        ecg_journal_close(j, true);
        return st;
    }
    ecg_journal_rewind(j);
    *out = j;
    return ECG_OK;
}

int ecg_journal_blocks(const ecg_journal *j)
{
    return j->blocks;
}

const char *ecg_journal_digest(const ecg_journal *j, int block)
{
    return (const char *)j->found.at + j->end[block] - TAIL;
}

void ecg_journal_rewind(ecg_journal *j)
{
    j->block = 0;
    j->at = sizeof magic + HEX + sizeof(uint32_t);
}

bool ecg_journal_next(ecg_journal *j, ecg_journal_entry *e, int *block)
{
    while (j->block < j->blocks && j->at == j->end[j->block] - TAIL) {
        j->at = j->end[j->block] + sizeof(uint32_t);
        j->block++;
    }
    if (j->block >= j->blocks)
        return false;
    const uint8_t *p = j->found.at + j->at;
    *e = (ecg_journal_entry){.fate = p[0]};
    *block = j->block;
    if (p[0] == 0) {
        memcpy(e->quality, p + 1, sizeof e->quality);
    } else {
        memcpy(&e->line, p + 1, sizeof e->line);
        const size_t len = p[1 + sizeof e->line];
        memcpy(e->reason, p + 2 + sizeof e->line, len < sizeof e->reason ? len : sizeof e->reason - 1);
    }
    j->at += entry_bytes(p, j->end[j->block] - TAIL - j->at);
    return true;
}

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

ecg_status ecg_journal_go_on(ecg_journal *j, int blocks, ecg_err *err)
{
    const size_t len = blocks ? j->end[blocks - 1] : sizeof magic + HEX;
    if (ftruncate(j->fd, (off_t)len))
        return ecg_fail_errno(err, j->path, "cannot write");
    ecg_bytes_free(&j->found);
    j->blocks = 0;
    return ECG_OK;
}

static ecg_status hold(ecg_journal *j, const void *bytes, size_t len, ecg_err *err)
{
    if (j->held_len + len > j->held_room) {
        const size_t room = 2 * (j->held_len + len);
        uint8_t *more = room > MOST_BLOCK ? NULL : realloc(j->held, room);
        if (!more)
            return ecg_fail(err, ECG_ENOMEM, "no memory for a journal");
        j->held = more;
        j->held_room = room;
    }
    memcpy(j->held + j->held_len, bytes, len);
    j->held_len += len;
    return ECG_OK;
}

ecg_status ecg_journal_add(ecg_journal *j, const ecg_journal_entry *e, ecg_err *err)
{
    const uint8_t len = (uint8_t)strnlen(e->reason, sizeof e->reason - 1);
    const uint32_t room = 0; /* for the number of bytes */
    ecg_status st = j->held_len ? ECG_OK : hold(j, &room, sizeof room, err);
    if (!st)
        st = hold(j, &e->fate, 1, err);
    if (!st && e->fate == 0)
        return hold(j, e->quality, sizeof e->quality, err);
    if (!st)
        st = hold(j, &e->line, sizeof e->line, err);
    if (!st)
        st = hold(j, &len, 1, err);
    return st ? st : hold(j, e->reason, len, err);
}

ecg_status ecg_journal_end_block(ecg_journal *j, const char *digest, ecg_err *err)
{
    char own[65];
    ecg_sha256 s;
    if (!j->held_len)
        return ECG_OK;
    const uint32_t bytes = (uint32_t)(j->held_len - sizeof bytes);
    memcpy(j->held, &bytes, sizeof bytes);
    ecg_status st = hold(j, digest, HEX, err);
    if (st)
        return st;
    ecg_sha256_begin(&s);
    ecg_sha256_add(&s, j->held, j->held_len);
    ecg_sha256_end(&s, own);
    if ((st = hold(j, own, HEX, err)))
        return st;
    for (size_t at = 0; at < j->held_len;) {
        const ssize_t n = write(j->fd, j->held + at, j->held_len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ecg_fail_errno(err, j->path, "cannot write");
        at += (size_t)n;
    }
    j->held_len = 0;
    return ECG_OK;
}

void ecg_journal_close(ecg_journal *j, bool keep)
{
    if (!j)
        return;
    if (j->fd >= 0) {
        if (!keep)
            unlink(j->path);
        close(j->fd);
    }
    ecg_bytes_free(&j->found);
    free(j->end);
    free(j->held);
    free(j);
}

void ecg_journal_remove(const char *output)
{
    char path[560];
    if (journal_path(path, output))
        unlink(path);
}
