/* SPDX-License-Identifier: MIT
 * serve_folder.c: recordings that lie on the server's machine. A name leads nowhere but below the folder, whatever links there are. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/serve_parts.h"

enum { DEPTH_MAX = 12, RECORDS_MAX = 10000, LOOKED_AT_MAX = 200000 };

/* ---- opening -------------------------------------------------------------------------------------------------------------------- */

/* Where the name really lies, if that is below the folder. */
static ecg_status resolve(char real[PATH_MAX], ecg_source *s, const char *name, ecg_err *err)
{
    char path[1024];
    const size_t root = strlen(s->where);
    snprintf(path, sizeof path, "%s/%s", s->where, name);
    if (!realpath(path, real))
        return ecg_fail_at(err, ECG_EIO, name, 0, 0, "no such file");
    if (strncmp(real, s->where, root) != 0 || (real[root] != '/' && strcmp(s->where, "/") != 0))
        return ecg_fail_at(err, ECG_EDATA, name, 0, 0, "a link that leaves the folder");
    return ECG_OK;
}

static ecg_status open_below(ecg_source *s, const char *name, ecg_bytes *out, ecg_err *err)
{
    char real[PATH_MAX];
    ecg_err why = {0};
    ecg_status st = resolve(real, s, name, err);
    if (st)
        return st;
    const int64_t size = ecg_file_size(real);
    if (size > 0 && s->most && (uint64_t)size > s->most)
        return ecg_fail_at(err, ECG_EREFUSED, name, 0, 0, "%" PRId64 " bytes, at most %zu are read here", size, s->most);
    st = ecg_file_read(out, real, &why);
    return st ? ecg_fail_at(err, st, name, 0, 0, "%s", why.msg) : ECG_OK; /* where the folder lies is nobody's business */
}

static bool is_below(ecg_source *s, const char *name)
{
    char real[PATH_MAX];
    return !resolve(real, s, name, NULL);
}

ecg_status ecg_folder_source(ecg_source *out, const char *folder, size_t most, ecg_err *err)
{
    char real[PATH_MAX];
    *out = (ecg_source){.open = open_below, .has = is_below, .most = most};
    if (!realpath(folder, real))
        return ecg_fail_errno(err, folder, "cannot open");
    if (!ecg_is_folder(real))
        return ecg_fail_at(err, ECG_EARG, folder, 0, 0, "no folder");
    if ((size_t)snprintf(out->where, sizeof out->where, "%s", real) >= sizeof out->where)
        return ecg_fail_at(err, ECG_EARG, folder, 0, 0, "a path of over %zu bytes", sizeof out->where - 1);
    return ECG_OK;
}

/* ---- listing -------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    char **name;
    int n, looked_at;
    bool truncated, failed;
    const char *find;
} listing;

static bool is_header(const char *name)
{
    const size_t n = strlen(name);
    return n > 4 && ecg_same_word(name + n - 4, ".hea");
}

static void add_name(listing *l, const char *name)
{
    if (l->find && !strcasestr(name, l->find))
        return;
    if (l->n == RECORDS_MAX) {
        l->truncated = true;
        return;
    }
    char *copy = strdup(name);
    l->failed |= !copy;
    if (copy)
        l->name[l->n++] = copy;
}

/* below: "" or "p1/". Links to folders are not followed: they may go round in circles. */
static void walk(listing *l, const char *root, const char *below, int depth)
{
    char path[1024], name[300];
    struct dirent **entry = NULL;
    if (depth > DEPTH_MAX || l->truncated || l->failed) {
        l->truncated |= depth > DEPTH_MAX;
        return;
    }
    snprintf(path, sizeof path, "%s/%s", root, below);
    const int n = scandir(path, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        struct stat is;
        const char *own = entry[i]->d_name;
        const int len = snprintf(name, sizeof name, "%s%s", below, own);
        l->truncated |= ++l->looked_at > LOOKED_AT_MAX;
        if (own[0] != '.' && len < 255 && !l->truncated && !l->failed && (size_t)snprintf(path, sizeof path, "%s/%s", root, name) < sizeof path) {
            const bool there = !lstat(path, &is);
            if (there && S_ISDIR(is.st_mode)) {
                name[len] = '/';
                name[len + 1] = 0;
                walk(l, root, name, depth + 1);
            } else if (there && is_header(own) && (S_ISREG(is.st_mode) || S_ISLNK(is.st_mode))) {
                add_name(l, name);
            }
        }
        free(entry[i]);
    }
    free(entry);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

ecg_status ecg_folder_records(json_t **out, const char *folder, const char *find, ecg_err *err)
{
    listing l = {.name = malloc(RECORDS_MAX * sizeof *l.name), .find = find && *find ? find : NULL};
    json_t *list = json_array();
    *out = NULL;
    if (l.name && list)
        walk(&l, folder, "", 0);
    if (!l.name || !list || l.failed) {
        json_decref(list);
        list = NULL;
    } else {
        qsort(l.name, (size_t)l.n, sizeof *l.name, by_name);
    }
    for (int i = 0; i < l.n; i++) {
        json_t *name = list ? json_string(l.name[i]) : NULL; /* NULL: wrong UTF-8, nobody could ask for it */
        if (name)
            json_array_append_new(list, json_pack("{s:o}", "name", name));
        free(l.name[i]);
    }
    free(l.name);
    if (!list)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the list");
    *out = json_pack("{s:o, s:b}", "records", list, "truncated", l.truncated);
    return *out ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the list");
}
