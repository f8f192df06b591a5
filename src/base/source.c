/* SPDX-License-Identifier: MIT */
#include "base/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the one place that decides whether a name is fit --------------------------------------------------------------------------- */

static ecg_status check_name(const ecg_source *s, const char *name, ecg_err *err)
{
    const size_t len = strlen(name);
    if (len == 0)
        return ecg_fail_at(err, ECG_EDATA, s->where, 0, 0, "an empty file name");
    if (len > 255)
        return ecg_fail_at(err, ECG_EDATA, s->where, 0, 0, "a file name of %zu bytes", len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 32 || name[i] == 127 || name[i] == '\\')
            return ecg_fail_at(err, ECG_EDATA, s->where, 0, 0, "a control byte or backslash in a file name");
    if (name[0] == '/')
        return ecg_fail_at(err, ECG_EDATA, s->where, 0, 0, "the name %s is absolute and leaves the folder", name);
    for (const char *part = name;;) {
        const size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return ecg_fail_at(err, ECG_EDATA, s->where, 0, 0, "the name %s leaves the folder", name);
        if (!part[n])
            return ECG_OK;
        part += n + 1;
    }
}

ecg_status ecg_source_open(ecg_source *s, const char *name, ecg_bytes *out, ecg_err *err)
{
    *out = (ecg_bytes){0};
    const ecg_status st = check_name(s, name, err);
    return st ? st : s->open(s, name, out, err);
}

bool ecg_source_has(ecg_source *s, const char *name)
{
    return !check_name(s, name, NULL) && s->has(s, name);
}

void ecg_source_close(ecg_source *s)
{
    if (s->close)
        s->close(s);
    *s = (ecg_source){0};
}

/* ---- a folder ------------------------------------------------------------------------------------------------------------- */

static ecg_status open_in_folder(ecg_source *s, const char *name, ecg_bytes *out, ecg_err *err)
{
    /* links are followed: whoever owns the folder put them there, and data sets are often trees of links into a store */
    char path[512];
    const ecg_status st = ecg_join(path, sizeof path, s->where, name, err);
    if (st)
        return st;
    return ecg_file_map(out, path, err);
}

/* A file that cannot be looked at is there: opening it will say why. */
static bool is_in_folder(ecg_source *s, const char *name)
{
    char path[512];
    return !ecg_join(path, sizeof path, s->where, name, NULL) && (access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR));
}

ecg_status ecg_source_folder(ecg_source *out, const char *folder, ecg_err *err)
{
    *out = (ecg_source){.open = open_in_folder, .has = is_in_folder};
    if ((size_t)snprintf(out->where, sizeof out->where, "%s", folder[0] ? folder : ".") >= sizeof out->where)
        return ecg_fail_at(err, ECG_EARG, folder, 0, 0, "a path of over 511 bytes");
    return ECG_OK;
}

/* ---- memory --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const ecg_member *member;
    int n;
} memory;

static ecg_status open_in_memory(ecg_source *s, const char *name, ecg_bytes *out, ecg_err *err)
{
    const memory *m = s->state;
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->member[i].name, name) == 0) {
            *out = (ecg_bytes){.at = m->member[i].at, .len = m->member[i].len};
            return ECG_OK;
        }
    return ecg_fail_at(err, ECG_EIO, name, 0, 0, "no such file");
}

static bool is_in_memory(ecg_source *s, const char *name)
{
    const memory *m = s->state;
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->member[i].name, name) == 0)
            return true;
    return false;
}

static void close_memory(ecg_source *s)
{
    free(s->state);
}

ecg_status ecg_source_memory(ecg_source *out, const ecg_member *members, int n, ecg_err *err)
{
    memory *m = malloc(sizeof *m);
    *out = (ecg_source){.open = open_in_memory, .has = is_in_memory, .close = close_memory, .state = m, .where = "memory"};
    if (!m)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    *m = (memory){.member = members, .n = n};
    return ECG_OK;
}
