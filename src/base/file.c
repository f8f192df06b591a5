/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOT_OURS, MALLOCED, MAPPED };
enum { BUFFER = 1 << 18 };

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

/* A regular file, opened; pipes and devices could block or never end. */
static ecg_status open_regular(int *fd, int64_t *size, const char *path, ecg_err *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return ecg_fail_errno(err, path, "cannot open");
    struct stat st;
    if (fstat(*fd, &st)) {
        const ecg_status s = ecg_fail_errno(err, path, "cannot look at it");
        close(*fd);
        return s;
    }
    if (!S_ISREG(st.st_mode)) {
        close(*fd);
        return ecg_fail_at(err, ECG_EIO, path, 0, 0, S_ISDIR(st.st_mode) ? "a folder, not a file" : "not a regular file");
    }
    *size = st.st_size;
    return ECG_OK;
}

ecg_status ecg_file_read(ecg_bytes *out, const char *path, ecg_err *err)
{
    *out = (ecg_bytes){0};
    int fd;
    int64_t size;
    ecg_status st = open_regular(&fd, &size, path, err);
    if (st)
        return st;
    uint8_t *at = malloc((size_t)size + 1);
    if (!at) {
        close(fd);
        return ecg_fail_at(err, ECG_ENOMEM, path, 0, 0, "%" PRId64 " bytes do not fit into memory", size);
    }
    int64_t got = 0;
    while (got < size) {
        const ssize_t n = read(fd, at + got, (size_t)(size - got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            st = ecg_fail_errno(err, path, "cannot read");
            break;
        }
        if (n == 0)
            break;
        got += n;
    }
    close(fd);
    if (st) {
        free(at);
        return st;
    }
    at[got] = 0;
    *out = (ecg_bytes){.at = at, .len = (size_t)got, .kind = MALLOCED};
    return ECG_OK;
}

ecg_status ecg_file_map(ecg_bytes *out, const char *path, ecg_err *err)
{
    *out = (ecg_bytes){0};
    int fd;
    int64_t size;
    ecg_status st = open_regular(&fd, &size, path, err);
    if (st)
        return st;
    if (size > 0) {
        void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at == MAP_FAILED)
            st = ecg_fail_errno(err, path, "cannot map");
        else
            *out = (ecg_bytes){.at = at, .len = (size_t)size, .kind = MAPPED};
    }
    close(fd);
    return st;
}

void ecg_bytes_free(ecg_bytes *b)
{
    if (b->kind == MALLOCED)
        free((void *)(uintptr_t)b->at);
    else if (b->kind == MAPPED)
        munmap((void *)(uintptr_t)b->at, b->len);
    *b = (ecg_bytes){0};
}

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

struct ecg_file {
    int fd;
    int64_t at;   /* bytes so far, those in the buffer included */
    int64_t found; /* of an earlier attempt; -1: not a file of several attempts */
    size_t held;  /* in the buffer */
    char path[512], temporary[560];
    uint8_t buffer[BUFFER];
};

/* Room for a file that will have that name, not opened yet. */
static ecg_status new_file(ecg_file **out, const char *path, ecg_err *err)
{
    *out = NULL;
    ecg_file *f = malloc(sizeof *f);
    if (!f)
        return ecg_fail_at(err, ECG_ENOMEM, path, 0, 0, "out of memory");
    f->at = 0;
    f->held = 0;
    f->found = -1;
    if ((size_t)snprintf(f->path, sizeof f->path, "%s", path) >= sizeof f->path) {
        free(f);
        return ecg_fail_at(err, ECG_EARG, path, 0, 0, "a path of over 511 bytes");
    }
    if (ecg_is_folder(path)) {
        free(f);
        return ecg_fail_at(err, ECG_EIO, path, 0, 0, "a folder, not a file");
    }
    *out = f;
    return ECG_OK;
}

ecg_status ecg_file_create(ecg_file **out, const char *path, ecg_err *err)
{
    ecg_file *f;
    ecg_status st = new_file(&f, path, err);
    *out = NULL;
    if (st)
        return st;
    snprintf(f->temporary, sizeof f->temporary, "%s.tmp.%ld", path, (long)getpid());
    f->fd = open(f->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (f->fd < 0) {
        st = ecg_fail_errno(err, path, "cannot create");
        free(f);
        return st;
    }
    *out = f;
    return ECG_OK;
}

ecg_status ecg_file_create_part(ecg_file **out, const char *path, ecg_err *err)
{
    ecg_file *f;
    struct stat opened, named;
    ecg_status st = new_file(&f, path, err);
    *out = NULL;
    if (st)
        return st;
    snprintf(f->temporary, sizeof f->temporary, "%s.part", path);
    f->fd = open(f->temporary, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (f->fd < 0) {
        st = ecg_fail_errno(err, path, "cannot create");
        free(f);
        return st;
    }
    /* whoever held it may have given it its name between open and lock */
    if (flock(f->fd, LOCK_EX | LOCK_NB) || fstat(f->fd, &opened) || stat(f->temporary, &named) || opened.st_ino != named.st_ino)
        st = ecg_fail_at(err, ECG_EIO, f->temporary, 0, 0, "another process is writing it");
    else if (!S_ISREG(opened.st_mode))
        st = ecg_fail_at(err, ECG_EIO, f->temporary, 0, 0, "not a regular file");
    if (st) {
        close(f->fd);
        free(f);
        return st;
    }
    f->found = opened.st_size;
    *out = f;
    return ECG_OK;
}

static ecg_status put(ecg_file *f, const uint8_t *bytes, size_t len, ecg_err *err)
{
    while (len > 0) {
        const ssize_t n = write(f->fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ecg_fail_errno(err, f->path, "cannot write");
        bytes += n;
        len -= (size_t)n;
    }
    return ECG_OK;
}

ecg_status ecg_file_flush(ecg_file *f, ecg_err *err)
{
    const ecg_status st = put(f, f->buffer, f->held, err);
    if (!st)
        f->held = 0;
    return st;
}

ecg_status ecg_file_write(ecg_file *f, const void *bytes, size_t len, ecg_err *err)
{
    if (f->held + len > BUFFER) {
        const ecg_status st = ecg_file_flush(f, err);
        if (st)
            return st;
    }
    if (len > BUFFER) {
        const ecg_status st = put(f, bytes, len, err);
        if (st)
            return st;
    } else if (len) {
        memcpy(f->buffer + f->held, bytes, len);
        f->held += len;
    }
    f->at += (int64_t)len;
    return ECG_OK;
}

ecg_status ecg_file_write_at(ecg_file *f, int64_t at, const void *bytes, size_t len, ecg_err *err)
{
    const ecg_status st = ecg_file_flush(f, err);
    if (st)
        return st;
    const uint8_t *from = bytes;
    while (len > 0) {
        const ssize_t n = pwrite(f->fd, from, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ecg_fail_errno(err, f->path, "cannot write");
        from += n;
        at += n;
        len -= (size_t)n;
    }
    return ECG_OK;
}

int64_t ecg_file_at(const ecg_file *f)
{
    return f->at;
}

int64_t ecg_file_found(const ecg_file *f)
{
    return f->found < 0 ? 0 : f->found;
}

ecg_status ecg_file_go_on(ecg_file *f, int64_t bytes, ecg_err *err)
{
    ecg_status st = ecg_file_flush(f, err);
    if (!st && (ftruncate(f->fd, f->at + bytes) || lseek(f->fd, f->at + bytes, SEEK_SET) < 0))
        st = ecg_fail_errno(err, f->path, "cannot write");
    f->at += st ? 0 : bytes;
    return st;
}

ecg_status ecg_file_commit(ecg_file *f, ecg_err *err)
{
    ecg_status st = ecg_file_flush(f, err);
    if (!st && f->found >= 0 && ftruncate(f->fd, f->at))
        st = ecg_fail_errno(err, f->path, "cannot write");
    if (!st && fsync(f->fd))
        st = ecg_fail_errno(err, f->path, "cannot write");
    if (!st && rename(f->temporary, f->path))
        st = ecg_fail_errno(err, f->path, "cannot rename into place");
    if (st && f->found < 0)
        unlink(f->temporary);
    close(f->fd); /* last, as it holds the lock; fsync has said what there was to say */
    free(f);
    return st;
}

void ecg_file_abort(ecg_file *f)
{
    if (!f)
        return;
    unlink(f->temporary);
    close(f->fd);
    free(f);
}

void ecg_file_keep(ecg_file *f)
{
    if (!f)
        return;
    ecg_file_flush(f, NULL);
    close(f->fd);
    free(f);
}

ecg_status ecg_file_write_whole(const char *path, const void *bytes, size_t len, ecg_err *err)
{
    ecg_file *f;
    ecg_status st = ecg_file_create(&f, path, err);
    if (st)
        return st;
    st = ecg_file_write(f, bytes, len, err);
    if (st) {
        ecg_file_abort(f);
        return st;
    }
    return ecg_file_commit(f, err);
}

/* ---- folders -------------------------------------------------------------------------------------------------------------- */

bool ecg_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool ecg_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Empty folders are what a run leaves that found no room at all. */
bool ecg_holds_files(const char *folder, int depth)
{
    DIR *there = opendir(folder);
    if (!there)
        return false;
    bool any = false;
    for (struct dirent *e; !any && (e = readdir(there));) {
        char path[1024];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= sizeof path)
            any = true;
        else
            any = !ecg_is_folder(path) || depth == 0 || ecg_holds_files(path, depth - 1);
    }
    closedir(there);
    return any;
}

int64_t ecg_file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : -1;
}

ecg_status ecg_make_folders(const char *path, ecg_err *err)
{
    char part[512];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return ecg_fail_at(err, ECG_EARG, path, 0, 0, "a path of over 511 bytes");
    for (char *p = part + 1; part[0]; p++) {
        const char c = *p;
        if (c != '/' && c != 0)
            continue;
        *p = 0;
        if (mkdir(part, 0777) && errno != EEXIST)
            return ecg_fail_errno(err, part, "cannot make the folder");
        if (c == 0)
            break;
        *p = c;
    }
    if (!ecg_is_folder(path))
        return ecg_fail_at(err, ECG_EIO, path, 0, 0, "not a folder");
    return ECG_OK;
}

ecg_status ecg_join(char *out, size_t size, const char *folder, const char *name, ecg_err *err)
{
    const size_t len = strlen(folder);
    const char *slash = len && folder[len - 1] == '/' ? "" : "/";
    if ((size_t)snprintf(out, size, "%s%s%s", folder, slash, name) >= size)
        return ecg_fail_at(err, ECG_EARG, folder, 0, 0, "a path of over %zu bytes", size - 1);
    return ECG_OK;
}
