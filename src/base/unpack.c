/* SPDX-License-Identifier: MIT */
#include "base/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 256 << 10 }; /* bytes read at once */

static ecg_status read_block(ecg_unpack *u, ecg_err *err)
{
    if (u->fd < 0) {
        u->in_ended = true;
        return ECG_OK;
    }
    ssize_t got;
    do
        got = read(u->fd, u->block, BLOCK);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return ecg_fail_errno(err, u->path, "cannot read");
    u->in = u->block;
    u->in_len = (size_t)got;
    u->in_ended = got == 0;
    return ECG_OK;
}

ecg_status ecg_unpack_read(ecg_unpack *u, char *out, size_t room, size_t *got, int64_t line, ecg_err *err)
{
    for (*got = 0; !u->why && !u->ended && *got < room;) {
        if (!u->in_len && !u->in_ended) {
            const ecg_status st = read_block(u, err);
            if (st)
                return st;
        }
        const size_t before = u->in_len;
        size_t more = before < room - *got ? before : room - *got;
        if (u->gunzip) {
            more = ecg_gunzip_step(u->gunzip, &u->in, &u->in_len, (uint8_t *)out + *got, room - *got, &u->why);
        } else if (more) {
            memcpy(out + *got, u->in, more);
            u->in += more;
            u->in_len -= more;
        }
        u->taken += (int64_t)(before - u->in_len);
        *got += more;
        if (u->why || more || u->in_len || !u->in_ended)
            continue;
        if (u->gunzip && !ecg_gunzip_complete(u->gunzip))
            u->why = "gzip stream ends before its time";
        else
            u->ended = true;
    }
    return u->why && !*got ? ecg_fail_at(err, ECG_EDATA, u->path, line, 0, "%s", u->why) : ECG_OK;
}

static ecg_status begin(ecg_unpack *u, ecg_err *err)
{
    if (u->fd >= 0) {
        u->block = malloc(BLOCK);
        const ecg_status st = u->block ? read_block(u, err) : ecg_fail(err, ECG_ENOMEM, "no memory to read a file");
        if (st)
            return st;
    }
    if (ecg_is_gzip(u->in, u->in_len) && !(u->gunzip = ecg_gunzip_new()))
        return ecg_fail(err, ECG_ENOMEM, "no memory for a gzip stream");
    return ECG_OK;
}

static void call(ecg_unpack *u, const char *path)
{
    *u = (ecg_unpack){.fd = -1};
    memcpy(u->path, path, strnlen(path, sizeof u->path - 1));
}

ecg_status ecg_unpack_open(ecg_unpack *u, const char *path, ecg_err *err)
{
    call(u, path);
    u->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* does not wait for the other end of a pipe */
    if (u->fd < 0)
        return ecg_fail_errno(err, path, "cannot open");
    struct stat s;
    ecg_status st = ECG_OK;
    if (fstat(u->fd, &s) || !S_ISREG(s.st_mode))
        st = ecg_fail_at(err, ECG_EIO, path, 0, 0, "not a regular file");
    else
        u->size = s.st_size;
    if (!st)
        st = begin(u, err);
    if (st)
        ecg_unpack_close(u);
    return st;
}

ecg_status ecg_unpack_bytes(ecg_unpack *u, const void *bytes, size_t len, const char *name, ecg_err *err)
{
    call(u, name);
    u->in = bytes;
    u->in_len = len;
    u->size = (int64_t)len;
    return begin(u, err);
}

void ecg_unpack_close(ecg_unpack *u)
{
    if (u->fd >= 0)
        close(u->fd);
    ecg_gunzip_free(u->gunzip);
    free(u->block);
    *u = (ecg_unpack){.fd = -1};
}
