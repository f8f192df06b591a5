/* SPDX-License-Identifier: MIT */
#include "base/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t big = (size_t)16 << 20;

/* In front of every array. */
typedef struct {
    _Alignas(16) size_t bytes; /* with this */
    int fd;                    /* -1: in memory */
} head;

static head *head_of(void *array)
{
    return (head *)array - 1;
}

/* A file without a name; where the file system has none of these, one whose name is gone at once. -1: none. */
static int open_nameless(const char *beside)
{
    char folder[512], name[544];
    const char *slash = strrchr(beside, '/');
    const size_t len = slash ? (size_t)(slash - beside) : 1;
    if (len >= sizeof folder)
        return -1;
    snprintf(folder, sizeof folder, "%.*s", (int)len, slash ? beside : ".");
    if (!len)
        snprintf(folder, sizeof folder, "/");
    const int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    snprintf(name, sizeof name, "%s/.ecgraft.XXXXXX", folder);
    const int other = mkostemp(name, O_CLOEXEC);
    if (other >= 0)
        unlink(name);
    return other;
}

/* So many bytes in the file: taken from the disk now, since a mapping that finds it full ends the program. */
static bool reserve(int fd, size_t bytes)
{
    int error;
    if (bytes > INT64_MAX)
        return false;
    while ((error = posix_fallocate(fd, 0, (off_t)bytes)) == EINTR)
        ;
    return !error;
}

static head *take_mapped(size_t bytes, const char *beside)
{
    const int fd = open_nameless(beside);
    if (fd < 0)
        return NULL;
    head *h = reserve(fd, bytes) ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (h == MAP_FAILED) {
        close(fd);
        return NULL;
    }
    *h = (head){bytes, fd};
    return h;
}

static head *take_memory(size_t bytes)
{
    head *h = malloc(bytes);
    if (h)
        *h = (head){bytes, -1};
    return h;
}

void *ecg_scratch_take(size_t bytes, const char *beside)
{
    head *h = NULL;
    if (__builtin_add_overflow(bytes, sizeof *h, &bytes))
        return NULL;
    if (beside && bytes >= big)
        h = take_mapped(bytes, beside);
    if (!h)
        h = take_memory(bytes);
    return h ? h + 1 : NULL;
}

void *ecg_scratch_grow(void *array, size_t bytes, const char *beside)
{
    if (!array)
        return ecg_scratch_take(bytes, beside);
    head *h = head_of(array);
    const size_t all = bytes + sizeof *h;
    if (all < bytes || all <= h->bytes)
        return all < bytes ? NULL : array;
    const bool stays = h->fd >= 0 ? reserve(h->fd, all) : !beside || all < big;
    if (!stays) { /* from memory to the file, or where the disk is full from there to memory */
        void *copy = ecg_scratch_take(bytes, beside);
        if (!copy)
            return NULL;
        memcpy(copy, array, h->bytes - sizeof *h);
        ecg_scratch_free(array);
        return copy;
    }
    head *more = h->fd < 0 ? realloc(h, all) : mremap(h, h->bytes, all, MREMAP_MAYMOVE);
    if (!more || more == MAP_FAILED)
        return NULL;
    more->bytes = all;
    return more + 1;
}

void ecg_scratch_free(void *array)
{
    if (!array)
        return;
    head *h = head_of(array);
    const int fd = h->fd;
    if (fd < 0) {
        free(h);
        return;
    }
    munmap(h, h->bytes);
    close(fd);
}

bool ecg_scratch_is_mapped(const void *array)
{
    return array && ((const head *)array)[-1].fd >= 0;
}
