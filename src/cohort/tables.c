/* SPDX-License-Identifier: MIT */
#include "cohort/tables.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

/* ---- finding ---------------------------------------------------------------------------------------------------------------- */

enum { DEPTH = 5, PATH = 512 };

/* Folders of recordings ("p1000", "records100") hold hundreds of thousands of files, "truth" the generator's own copies. */
static bool is_skipped(const char *folder)
{
    static const char *const skip[] = {"truth", "records100", "records500", "note"};
    for (size_t i = 0; i < sizeof skip / sizeof *skip; i++)
        if (!strcmp(folder, skip[i]))
            return true;
    return folder[0] == '.' || (folder[0] == 'p' && folder[1] && strspn(folder + 1, "0123456789") == strlen(folder + 1));
}

static void take_file(ecg_table_search *s, const char *folder, const char *name, const char *ending)
{
    char path[PATH];
    if ((size_t)snprintf(path, sizeof path, "%s/%s%s", folder, name, ending) >= sizeof path || !ecg_is_file(path))
        return;
    if (!s->first[0])
        memcpy(s->first, path, sizeof path);
    else if (!s->second[0])
        memcpy(s->second, path, sizeof path);
}

static void take(ecg_table_search *s, const char *folder)
{
    const char *slash = strrchr(folder, '/');
    if (s->parent && strcmp(slash ? slash + 1 : folder, s->parent))
        return;
    take_file(s, folder, s->name, "");
    take_file(s, folder, s->name, ".gz");
}

static void look(ecg_table_search *s, int tables, const char *folder, int depth)
{
    for (int t = 0; t < tables; t++)
        if (!strchr(s[t].name, '*'))
            take(&s[t], folder);
    if (depth == DEPTH)
        return;
    struct dirent **list;
    const int n = scandir(folder, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[PATH];
        for (int t = 0; t < tables; t++)
            if (strchr(s[t].name, '*') && !fnmatch(s[t].name, list[i]->d_name, 0))
                take_file(&s[t], folder, list[i]->d_name, "");
        if (!is_skipped(list[i]->d_name) && (size_t)snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name) < sizeof path && ecg_is_folder(path))
            look(s, tables, path, depth + 1);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

ecg_status ecg_tables_search(ecg_table_search *table, int n, const char *folder, ecg_err *err)
{
    char root[PATH];
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/')
        len--;
    if (len >= sizeof root)
        return ecg_fail(err, ECG_EARG, "a path of %zu bytes", len);
    memcpy(root, folder, len);
    root[len] = 0;
    if (!ecg_is_folder(root))
        return ecg_fail_at(err, ECG_EIO, root, 0, 0, "no such folder");
    look(table, n, root, 0);
    return ECG_OK;
}

ecg_status ecg_table_find(char out[512], const char *folder, const char *parent, const char *name, ecg_err *err)
{
    ecg_table_search s = {.parent = parent, .name = name};
    ecg_status st = ecg_tables_search(&s, 1, folder, err);
    if (st)
        return st;
    if (!s.first[0])
        return ecg_fail_at(err, ECG_EIO, folder, 0, 0, "no %s%s%s (or .gz) in it or in the folders below", parent ? parent : "", parent ? "/" : "", name);
    if (s.second[0])
        return ecg_fail_at(err, ECG_EDATA, s.first, 0, 0, "also as %.200s: which one is meant", s.second);
    memcpy(out, s.first, PATH);
    return ECG_OK;
}

ecg_status ecg_table_open(ecg_csv **out, int *index, const char *path, const char *const *need, int n, ecg_err *err)
{
    ecg_status st = ecg_csv_open(out, path, err);
    if (st)
        return st;
    if ((st = ecg_csv_need(*out, index, need, n, err))) {
        ecg_csv_close(*out);
        *out = NULL;
    }
    return st;
}

/* ---- joining ---------------------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x) /* finaliser of splitmix64 */
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static int64_t place(const ecg_ids *j, int64_t key)
{
    int64_t at = (int64_t)(mix((uint64_t)key) & (uint64_t)(j->room - 1));
    while (j->value[at] >= 0 && j->key[at] != key)
        at = (at + 1) & (j->room - 1);
    return at;
}

static ecg_status grow(ecg_ids *j, ecg_err *err)
{
    ecg_ids more = {.room = j->room ? j->room * 2 : 1024, .n = j->n};
    more.key = malloc((size_t)more.room * sizeof *more.key);
    more.value = malloc((size_t)more.room * sizeof *more.value);
    if (!more.key || !more.value) {
        ecg_ids_clear(&more);
        return ecg_fail(err, ECG_ENOMEM, "no memory to join %" PRId64 " ids", j->n);
    }
    memset(more.value, 0xff, (size_t)more.room * sizeof *more.value);
    for (int64_t i = 0; i < j->room; i++)
        if (j->value[i] >= 0) {
            const int64_t at = place(&more, j->key[i]);
            more.key[at] = j->key[i];
            more.value[at] = j->value[i];
        }
    ecg_ids_clear(j);
    *j = more;
    return ECG_OK;
}

ecg_status ecg_ids_put(ecg_ids *j, int64_t key, int32_t value, ecg_err *err)
{
    if (j->n * 2 >= j->room) {
        ecg_status st = grow(j, err);
        if (st)
            return st;
    }
    const int64_t at = place(j, key);
    if (j->value[at] < 0) {
        j->key[at] = key;
        j->value[at] = value;
        j->n++;
    }
    return ECG_OK;
}

int32_t ecg_ids_get(const ecg_ids *j, int64_t key)
{
    return j->room ? j->value[place(j, key)] : -1;
}

void ecg_ids_clear(ecg_ids *j)
{
    free(j->key);
    free(j->value);
    *j = (ecg_ids){0};
}

static int64_t hash_text(const char *bytes, size_t len) /* FNV-1a */
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return (int64_t)(h >> 1);
}

int ecg_words_get(const ecg_words *w, const char *bytes, size_t len)
{
    int i = ecg_ids_get(&w->by_hash, hash_text(bytes, len));
    for (; i >= 0; i = w->chain[i])
        if (strlen(w->at[i]) == len && !memcmp(w->at[i], bytes, len))
            return i;
    return -1;
}

int ecg_words_put(ecg_words *w, const char *bytes, size_t len)
{
    const int known = ecg_words_get(w, bytes, len);
    if (known >= 0)
        return known;
    if (w->n == w->room) {
        const int room = w->room ? w->room * 2 : 64;
        char **at = realloc(w->at, (size_t)room * sizeof *at);
        if (at)
            w->at = at;
        int *chain = realloc(w->chain, (size_t)room * sizeof *chain);
        if (chain)
            w->chain = chain;
        if (!at || !chain)
            return -1;
        w->room = room;
    }
    const int64_t hash = hash_text(bytes, len);
    const int first = ecg_ids_get(&w->by_hash, hash);
    char *copy = malloc(len + 1);
    if (!copy || (first < 0 && ecg_ids_put(&w->by_hash, hash, w->n, NULL))) {
        free(copy);
        return -1;
    }
    memcpy(copy, bytes, len);
    copy[len] = 0;
    w->chain[w->n] = first < 0 ? -1 : w->chain[first];
    if (first >= 0)
        w->chain[first] = w->n;
    w->at[w->n] = copy;
    return w->n++;
}

void ecg_words_clear(ecg_words *w)
{
    for (int i = 0; i < w->n; i++)
        free(w->at[i]);
    free(w->at);
    free(w->chain);
    ecg_ids_clear(&w->by_hash);
    *w = (ecg_words){0};
}

void ecg_field_copy(char *out, size_t size, ecg_field f)
{
    const size_t len = f.len < size - 1 ? f.len : size - 1;
    if (len)
        memcpy(out, f.at, len);
    out[len] = 0;
}
