/* SPDX-License-Identifier: MIT */
#include "cohort/synth_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { PATH = 512 + 64 };
static const char state_name[] = "truth/unfinished.txt";

const struct ecg_synth_table ecg_synth_tables[ECG_TABLES] = {
#define X(name, path, header) {path, header},
    ECG_SYNTH_TABLES(X)
#undef X
};

/* ---- what is counted, in the order of the file ------------------------------------------------------------------------------ */

enum { OTHERS = 5, COUNTS = ECG_DISTRACTORS + ECG_TWIN_CAUSES + OTHERS };

static int64_t *count_at(ecg_sheaf *f, int i)
{
    int64_t *const others[OTHERS] = {&f->patients, &f->stays, &f->admissions, &f->recordings, &f->labs};
    if (i < OTHERS)
        return others[i];
    i -= OTHERS;
    return i < ECG_TWIN_CAUSES ? &f->twins[i] : &f->distractor[i - ECG_TWIN_CAUSES];
}

void ecg_synth_add_counts(ecg_sheaf *total, ecg_sheaf *part)
{
    for (int i = 0; i < COUNTS; i++) {
        *count_at(total, i) += *count_at(part, i);
        *count_at(part, i) = 0;
    }
}

/* ---- truth/unfinished.txt --------------------------------------------------------------------------------------------------- */

static void write_options(ecg_text *t, const ecg_synth_options *o)
{
    ecg_text_printf(t, "generator ecgraft %s\n", ecg_version());
    ecg_text_printf(t, "seed %" PRIu64 "\nfirst %" PRId64 "\nlast %" PRId64 "\npatients %" PRId64 "\ntwins %d\n", o->seed, o->first, o->last,
                    o->patients ? o->patients : o->last, o->twins);
    ecg_text_printf(t, "noise %.17g\nnuisance %.17g\nwaveforms %s\ndistractors %s\ndo", o->noise, o->nuisance, o->waveforms ? "yes" : "no",
                    o->distractors ? "yes" : "no");
    for (int i = 0; i < o->forced; i++)
        ecg_text_printf(t, " %s=%.17g", ecg_synth_variables[o->force_to[i].variable].name, o->force_to[i].value);
    ecg_text_puts(t, o->forced ? "\n" : " nothing\n");
}

static void state_path(char out[PATH], const ecg_parts *p)
{
    snprintf(out, PATH, "%s/%s", p->dir, state_name);
}

ecg_status ecg_parts_save(ecg_parts *p, ecg_err *err)
{
    ecg_text t = {0};
    char path[PATH];
    ecg_text_add(&t, p->options.at, p->options.len);
    ecg_text_printf(&t, "next %" PRId64 "\nsizes", p->next);
    for (int i = 0; i < ECG_TABLES; i++)
        ecg_text_printf(&t, " %" PRId64, p->size[i]);
    ecg_text_puts(&t, "\ncounts");
    for (int i = 0; i < COUNTS; i++)
        ecg_text_printf(&t, " %" PRId64, *count_at(&p->total, i));
    ecg_text_puts(&t, "\n");
    state_path(path, p);
    const ecg_status st = t.failed ? ecg_fail(err, ECG_ENOMEM, "out of memory") : ecg_file_write_whole(path, t.at, t.len, err);
    ecg_text_clear(&t);
    return st;
}

/* "NAME n1 n2 ...\n" with exactly n whole numbers; *at moves behind it. */
static bool take_numbers(const char **at, const char *end, const char *name, int64_t *out, int n)
{
    const size_t len = strlen(name);
    if ((size_t)(end - *at) < len || memcmp(*at, name, len))
        return false;
    const char *s = *at + len;
    for (int i = 0; i < n; i++) {
        if (s == end || *s != ' ')
            return false;
        const char *from = ++s;
        while (s < end && *s != ' ' && *s != '\n')
            s++;
        if (!ecg_parse_i64(&out[i], from, (size_t)(s - from)) || out[i] < 0)
            return false;
    }
    if (s == end || *s != '\n')
        return false;
    *at = s + 1;
    return true;
}

static size_t line_length(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return (size_t)((newline ? newline : end) - at);
}

/* The first line that differs; both files name the options in the same order. */
static ecg_status tell_difference(const ecg_parts *p, const char *path, const ecg_bytes *b, ecg_err *err)
{
    const char *ours = p->options.at, *our_end = ours + p->options.len, *theirs = (const char *)b->at, *their_end = theirs + b->len;
    size_t us = line_length(ours, our_end), them = line_length(theirs, their_end);
    while (us == them && us && memcmp(ours, theirs, us) == 0 && ours + us < our_end && theirs + them < their_end) {
        ours += us + 1;
        theirs += them + 1;
        us = line_length(ours, our_end);
        them = line_length(theirs, their_end);
    }
    return ecg_fail_at(err, ECG_EIO, path, 0, 0, "an unfinished run with \"%.*s\", this one has \"%.*s\"; the same options continue it, --force starts over",
                       (int)(them < 60 ? them : 60), theirs, (int)(us < 60 ? us : 60), ours);
}

ecg_status ecg_parts_find(ecg_parts *p, bool *found, const char *dir, const ecg_synth_options *o, ecg_err *err)
{
    *found = false;
    memset(p, 0, sizeof *p);
    p->dir = dir;
    p->next = o->first;
    for (int t = 0; t < ECG_TABLES; t++)
        p->fd[t] = -1;
    write_options(&p->options, o);
    if (p->options.failed)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    char path[PATH];
    state_path(path, p);
    if (!ecg_is_file(path) || o->force)
        return ECG_OK;
    ecg_bytes b;
    ecg_status st = ecg_file_read(&b, path, err);
    if (st)
        return st;
    const char *at = (const char *)b.at, *end = at + b.len;
    int64_t count[COUNTS];
    if (b.len < p->options.len || memcmp(at, p->options.at, p->options.len)) {
        st = tell_difference(p, path, &b, err);
    } else {
        at += p->options.len;
        *found = take_numbers(&at, end, "next", &p->next, 1) && take_numbers(&at, end, "sizes", p->size, ECG_TABLES)
                 && take_numbers(&at, end, "counts", count, COUNTS) && p->next >= o->first && p->next <= o->last + 1;
        if (!*found)
            st = ecg_fail_at(err, ECG_EIO, path, 0, 0, "is damaged; --force starts over");
    }
    for (int i = 0; *found && i < COUNTS; i++)
        *count_at(&p->total, i) = count[i];
    ecg_bytes_free(&b);
    return st;
}

/* ---- parts ------------------------------------------------------------------------------------------------------------------ */

static void part_path(char out[PATH], const ecg_parts *p, int table)
{
    snprintf(out, PATH, "%s/%s.part", p->dir, ecg_synth_tables[table].path);
}

static ecg_status open_part(ecg_parts *p, int table, int flags, ecg_err *err)
{
    char path[PATH];
    part_path(path, p, table);
    p->fd[table] = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
    if (p->fd[table] < 0)
        return ecg_fail_errno(err, path, "cannot open");
    if (table > 0 || flock(p->fd[0], LOCK_EX | LOCK_NB) == 0)
        return ECG_OK;
    close(p->fd[0]);
    p->fd[0] = -1;
    return ecg_fail_at(err, ECG_EIO, p->dir, 0, 0, "another run is writing here");
}

ecg_status ecg_parts_create(ecg_parts *p, ecg_err *err)
{
    for (int t = 0; t < ECG_TABLES; t++) {
        const ecg_status st = open_part(p, t, O_CREAT, err);
        if (st)
            return st;
        if (ftruncate(p->fd[t], 0) != 0)
            return ecg_fail_errno(err, ecg_synth_tables[t].path, "cannot empty");
    }
    return ECG_OK;
}

ecg_status ecg_parts_open(ecg_parts *p, ecg_err *err)
{
    char path[PATH];
    for (int t = 0; t < ECG_TABLES; t++) {
        part_path(path, p, t);
        const int64_t size = ecg_file_size(path);
        char complete[PATH];
        snprintf(complete, sizeof complete, "%s/%s", p->dir, ecg_synth_tables[t].path);
        if (size < 0 && ecg_file_size(complete) == p->size[t])
            continue; /* the last run was stopped between two names */
        if (size < p->size[t])
            return ecg_fail_at(err, ECG_EIO, path, 0, 0, "%" PRId64 " bytes, %" PRId64 " were written; --force starts over", size < 0 ? 0 : size, p->size[t]);
        const ecg_status st = open_part(p, t, 0, err);
        if (st)
            return st;
        if (ftruncate(p->fd[t], p->size[t]) != 0 || lseek(p->fd[t], 0, SEEK_END) < 0)
            return ecg_fail_errno(err, path, "cannot shorten");
    }
    return ECG_OK;
}

ecg_status ecg_parts_add(ecg_parts *p, int table, const void *bytes, size_t len, ecg_err *err)
{
    const char *at = bytes;
    while (len) {
        const ssize_t done = write(p->fd[table], at, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            char path[PATH];
            part_path(path, p, table);
            return ecg_fail_errno(err, path, "cannot write");
        }
        at += done;
        len -= (size_t)done;
    }
    return ECG_OK;
}

ecg_status ecg_parts_reach(ecg_parts *p, int64_t next, bool save, ecg_err *err)
{
    for (int t = 0; t < ECG_TABLES; t++)
        if (p->fd[t] >= 0)
            p->size[t] = lseek(p->fd[t], 0, SEEK_CUR);
    p->next = next;
    return save ? ecg_parts_save(p, err) : ECG_OK;
}

ecg_status ecg_parts_commit(ecg_parts *p, ecg_err *err)
{
    for (int t = 0; t < ECG_TABLES; t++) {
        if (p->fd[t] < 0)
            continue;
        char part[PATH], complete[PATH];
        part_path(part, p, t);
        snprintf(complete, sizeof complete, "%s/%s", p->dir, ecg_synth_tables[t].path);
        if (fsync(p->fd[t]) != 0)
            return ecg_fail_errno(err, part, "cannot write");
        if (rename(part, complete) != 0)
            return ecg_fail_errno(err, complete, "cannot rename into place");
    }
    return ECG_OK;
}

ecg_status ecg_parts_finish(ecg_parts *p, ecg_err *err)
{
    char path[PATH];
    state_path(path, p);
    return unlink(path) != 0 && errno != ENOENT ? ecg_fail_errno(err, path, "cannot remove") : ECG_OK;
}

void ecg_parts_discard(ecg_parts *p)
{
    char path[PATH];
    for (int t = 0; t < ECG_TABLES; t++)
        if (p->fd[t] >= 0) {
            part_path(path, p, t);
            unlink(path);
        }
}

void ecg_parts_close(ecg_parts *p)
{
    for (int t = 0; t < ECG_TABLES; t++)
        if (p->fd[t] >= 0)
            close(p->fd[t]);
    ecg_text_clear(&p->options);
}
