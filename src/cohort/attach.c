/* SPDX-License-Identifier: MIT
 * attach.c: recordings into the cohort. Batches are read and prepared by the pool and appended in order, so that the file does not depend on
 * the number of threads; while one is prepared, the one before is hashed and written as one more item of the pool. What is written is
 * also in the journal, from which an interrupted build goes on. */
#include "cohort/attach.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "ecg/prepare.h"
#include "ecg/read_wfdb.h"

enum { BATCH = 256, LONGEST_FILE = 64 << 20 /* once expanded: 24 minutes of twelve leads at 2 kHz */ };

typedef struct {
    float *signal; /* (samples, leads) */
    float quality[8];
    ecg_fate fate;
    ecg_err err;
} slot;

typedef struct {
    int64_t first; /* of the recordings */
    int n;
    slot slot[BATCH];
} batch;

/* Why a recording was left out. */
typedef struct {
    int64_t at, line;
    char *reason;
} failure;

/* A worker's last one: recordings of a data set have mostly the same rate. */
typedef struct {
    double rate_hz;
    ecg_resampler *r;
} kept_resampler;

typedef struct {
    const ecg_contract *c;
    const ecg_recording *rec; /* (n) */
    int64_t n;
    const ecg_build_options *o;
    const ecg_watch *watch;
    ecg_pool *pool;
    ecg_cohort_builder *builder;
    ecg_journal *journal; /* the builder's */
    ecg_build_result *result;
    uint8_t *fate;        /* (n) */
    ecg_source source;
    kept_resampler *resampler; /* (workers) */
    int workers;
    batch *now, *before;  /* being prepared; being written */
    float *room;          /* of their signals */
    failure *failed;
    int64_t failures, failures_room;
    ecg_status status;    /* of writing */
    ecg_err err;
} work;

/* ---- one recording -------------------------------------------------------------------------------------------------------- */

static const ecg_resampler *resampler_for(work *w, int worker, double rate_hz, ecg_err *err)
{
    kept_resampler *k = &w->resampler[worker];
    if (k->r && k->rate_hz == rate_hz)
        return k->r;
    ecg_resampler_free(k->r);
    k->rate_hz = rate_hz;
    if (ecg_resampler_new(&k->r, rate_hz, w->c->rate_hz, err))
        k->r = NULL;
    return k->r;
}

/* The contract's samples of one recording: longer ones are cut, shorter ones padded with NAN. */
static ecg_status prepare_into(slot *s, work *w, const ecg_record *rec, int worker)
{
    const ecg_contract *c = w->c;
    const size_t leads = (size_t)c->leads;
    const int64_t n = ecg_prepared_samples(c, rec);
    if (n < c->crop)
        return ecg_fail(&s->err, ECG_EDATA, "%" PRId64 " samples at %g Hz, at least %d needed", n, c->rate_hz, c->crop);
    if (n > INT64_MAX / 64 / c->leads)
        return ecg_fail(&s->err, ECG_EDATA, "%" PRId64 " samples", n);
    const ecg_resampler *r = resampler_for(w, worker, rec->rate_hz, &s->err);
    if (!r)
        return s->err.status;
    const bool fits = n <= c->samples;
    float *all = fits ? s->signal : malloc((size_t)n * leads * sizeof *all);
    if (!all)
        return ecg_fail(&s->err, ECG_ENOMEM, "no memory for %" PRId64 " samples", n);
    unsigned found;
    ecg_status st = ecg_prepare_with(all, &found, c, rec, r, &s->err);
    if (!st) {
        const int64_t valid = fits ? n : c->samples;
        if (!fits)
            memcpy(s->signal, all, (size_t)valid * leads * sizeof *all);
        for (size_t i = (size_t)valid * leads; i < (size_t)c->samples * leads; i++)
            s->signal[i] = NAN;
        ecg_quality q;
        ecg_record_quality(&q, rec);
        const float quality[8] = {(float)valid, (float)q.warnings, (float)q.missing, (float)q.clipped, (float)q.saturated, (float)q.einthoven_mv,
                                  (float)q.leads_found, (float)q.leads_flat};
        memcpy(s->quality, quality, sizeof quality);
        if (q.leads_found < 1 || q.missing >= 1)
            st = ecg_fail(&s->err, ECG_EDATA, "none of the twelve leads has a sample");
    }
    if (!fits)
        free(all);
    return st;
}

static void read_one(slot *s, work *w, const char *name, int worker)
{
    char header[1024];
    ecg_record rec;
    s->fate = ECG_BROKEN;
    s->err = (ecg_err){0};
    if ((size_t)snprintf(header, sizeof header, "%s.hea", name) >= sizeof header) {
        ecg_fail(&s->err, ECG_EDATA, "a name of %zu bytes", strlen(name));
        return;
    }
    const ecg_status st = ecg_format_wfdb.read(&rec, &w->source, header, &s->err);
    if (st == ECG_EIO && !ecg_source_has(&w->source, header)) {
        s->fate = ECG_ABSENT;
        s->err = (ecg_err){0};
        ecg_fail(&s->err, ECG_EIO, "no such file");
    }
    if (st)
        return;
    if (!prepare_into(s, w, &rec, worker))
        s->fate = ECG_KEPT;
    ecg_record_clear(&rec);
}

/* ---- the list of what is lost --------------------------------------------------------------------------------------------- */

/* The list of an earlier build is not that of this one. */
static void remove_old_list(const ecg_build_options *o)
{
    char old[560];
    snprintf(old, sizeof old, "%.511s.failures.csv", o->output);
    unlink(old);
}

static ecg_status note_failure(work *w, int64_t at, ecg_fate fate, int64_t line, const char *reason, ecg_err *err)
{
    if (w->failures == w->failures_room) {
        const int64_t room = w->failures_room ? 2 * w->failures_room : 64;
        failure *more = realloc(w->failed, (size_t)room * sizeof *more);
        if (!more)
            return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " failures", room);
        w->failed = more;
        w->failures_room = room;
    }
    char *copy = strdup(reason);
    if (!copy)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the list of failures");
    w->failed[w->failures++] = (failure){at, line, copy};
    w->result->absent += fate == ECG_ABSENT;
    w->result->broken += fate == ECG_BROKEN;
    return ECG_OK;
}

static ecg_status write_list(work *w, ecg_err *err)
{
    ecg_csvw *list;
    char *path = w->result->failures;
    if (!w->failures) {
        remove_old_list(w->o);
        return ECG_OK;
    }
    if ((size_t)snprintf(path, sizeof w->result->failures, "%s.failures.csv", w->o->output) >= sizeof w->result->failures) {
        path[0] = 0;
        return ecg_fail_at(err, ECG_EARG, w->o->output, 0, 0, "a path of over 497 bytes");
    }
    ecg_status st = ecg_csvw_create(&list, path, err);
    if (st) {
        path[0] = 0;
        return st;
    }
    ecg_csvw_text(list, "study_id");
    ecg_csvw_text(list, "path");
    ecg_csvw_text(list, "reason");
    ecg_csvw_end(list);
    for (int64_t i = 0; i < w->failures; i++) {
        const failure *f = &w->failed[i];
        char reason[400], place[64] = "";
        if (f->line)
            snprintf(place, sizeof place, "line %" PRId64 ": ", f->line);
        snprintf(reason, sizeof reason, "%s%s", place, f->reason);
        ecg_csvw_int(list, w->rec[f->at].row.study);
        ecg_csvw_text(list, w->rec[f->at].path);
        ecg_csvw_text(list, reason);
        ecg_csvw_end(list);
    }
    return ecg_csvw_commit(list, err);
}

static bool too_many(const work *w)
{
    const ecg_build_result *r = w->result;
    const ecg_build_options *o = w->o;
    if (o->max_failures < 0)
        return (double)r->broken > ceil(0.01 * (double)w->n);
    const double allowed = o->max_failures_share ? o->max_failures * (double)w->n : o->max_failures;
    return (double)(r->absent + r->broken) > allowed;
}

/* ---- going on ------------------------------------------------------------------------------------------------------------- */

/* What decides the signals and their order: another key is another build. The files themselves are not looked at. */
static void key_of_build(char key[65], const work *w, const char *where)
{
    const ecg_contract *c = w->c;
    char *real = realpath(where, NULL), text[256];
    ecg_sha256 s;
    ecg_sha256_begin(&s);
    ecg_sha256_add(&s, ecg_version(), strlen(ecg_version()) + 1);
    ecg_sha256_add(&s, real ? real : where, strlen(real ? real : where) + 1);
    free(real);
    snprintf(text, sizeof text, "%.17g Hz, %d samples, crops of %d, clipped at %.17g, %d leads, %" PRId64 " recordings", c->rate_hz, c->samples, c->crop,
             c->clip_mv, c->leads, w->n);
    ecg_sha256_add(&s, text, strlen(text) + 1);
    for (int l = 0; l < c->leads; l++)
        ecg_sha256_add(&s, c->lead[l], strlen(c->lead[l]) + 1);
    for (int64_t i = 0; i < w->n; i++) {
        const ecg_cohort_row *row = &w->rec[i].row;
        const int64_t ids[] = {row->patient, row->study, row->stay, row->ecg_time};
        ecg_sha256_add(&s, w->rec[i].path, strlen(w->rec[i].path) + 1);
        ecg_sha256_add(&s, ids, sizeof ids);
    }
    ecg_sha256_end(&s, key);
}

/* How many blocks of the journal still hold: up to the first whose failures would now end otherwise (a disk that was not there, a file that
 * was mended). *done: the recordings in them. */
static int blocks_that_hold(work *w, int64_t *done)
{
    ecg_journal_entry e;
    int blocks = ecg_journal_blocks(w->journal), block = 0;
    int64_t at = 0, begin = 0;
    slot *s = &w->now->slot[0];
    for (int current = 0; ecg_journal_next(w->journal, &e, &block) && block < blocks; at++) {
        if (block != current)
            begin = at;
        current = block;
        if (at >= w->n)
            return 0;
        if (e.fate == ECG_KEPT)
            continue;
        read_one(s, w, w->rec[at].path, 0);
        if (s->fate != e.fate) {
            blocks = block;
            at = begin;
            break;
        }
    }
    *done = at;
    return blocks;
}

/* The first `done` recordings as the journal has them; row (done) gets the rows of those that were kept. */
static ecg_status replay(work *w, ecg_cohort_row *row, int64_t *kept, int64_t done, ecg_err *err)
{
    ecg_journal_entry e;
    int block;
    ecg_status st = ECG_OK;
    ecg_journal_rewind(w->journal);
    for (int64_t i = 0; i < done && !st && ecg_journal_next(w->journal, &e, &block); i++) {
        w->fate[i] = e.fate;
        if (e.fate != ECG_KEPT) {
            st = note_failure(w, i, e.fate, e.line, e.reason, err);
            continue;
        }
        row[*kept] = w->rec[i].row;
        memcpy(row[(*kept)++].quality, e.quality, sizeof e.quality);
    }
    return st;
}

/* *done: recordings that need not be read again. */
static ecg_status take_over(work *w, int64_t *done, ecg_err *err)
{
    int64_t kept = 0;
    bool same = false;
    *done = 0;
    const int blocks = blocks_that_hold(w, done);
    if (!blocks)
        *done = 0;
    ecg_cohort_row *row = malloc(((size_t)*done + 1) * sizeof *row);
    ecg_status st = row ? replay(w, row, &kept, *done, err) : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", *done);
    if (!st && blocks)
        st = ecg_cohort_go_on(w->builder, &same, row, kept, ecg_journal_digest(w->journal, blocks - 1), w->watch, err);
    free(row);
    if (st)
        return st;
    if (same) {
        w->result->records = kept;
        ecg_say(w->watch, "going on with an interrupted build: %" PRId64 " of %" PRId64 " recordings are there", *done, w->n);
        return ecg_journal_go_on(w->journal, blocks, err);
    }
    if (ecg_journal_blocks(w->journal))
        ecg_say(w->watch, "what an interrupted build left beside %s cannot be used: starting over", w->o->output);
    for (int64_t i = 0; i < w->failures; i++)
        free(w->failed[i].reason);
    w->failures = w->result->absent = w->result->broken = *done = 0;
    st = ecg_journal_go_on(w->journal, 0, err);
    return st ? st : ecg_cohort_start_over(w->builder, err);
}

static ecg_status open_journal(work *w, int64_t *done, const char *where, ecg_err *err)
{
    char key[65];
    bool other;
    key_of_build(key, w, where);
    const ecg_status st = ecg_journal_open(&w->journal, w->o->output, key, w->o->fresh, &other, err);
    if (st)
        return st;
    ecg_cohort_keep(w->builder, w->journal, w->watch);
    if (other && !w->o->fresh)
        ecg_say(w->watch, "what an interrupted build left beside %s is of another build: starting over", w->o->output);
    return take_over(w, done, err);
}

/* ---- batches -------------------------------------------------------------------------------------------------------------- */

static ecg_status write_slot(work *w, const slot *s, int64_t i, ecg_err *err)
{
    ecg_journal_entry e = {.fate = (uint8_t)s->fate, .line = s->err.line};
    w->fate[i] = (uint8_t)s->fate;
    if (s->fate == ECG_KEPT) {
        ecg_cohort_row row = w->rec[i].row;
        memcpy(row.quality, s->quality, sizeof row.quality);
        memcpy(e.quality, s->quality, sizeof e.quality);
        const ecg_status st = ecg_cohort_add(w->builder, s->signal, &row, err);
        w->result->records += !st;
        return st ? st : ecg_journal_add(w->journal, &e, err);
    }
    if (s->err.status == ECG_ENOMEM)
        return ecg_fail_in(err, ecg_fail(err, ECG_ENOMEM, "%s", s->err.msg), w->rec[i].path);
    snprintf(e.reason, sizeof e.reason, "%s", s->err.msg);
    const ecg_status st = note_failure(w, i, s->fate, s->err.line, s->err.msg, err);
    return st ? st : ecg_journal_add(w->journal, &e, err);
}

static ecg_status write_batch(work *w, const batch *b, ecg_err *err)
{
    char digest[65];
    ecg_status st = ECG_OK;
    for (int i = 0; i < b->n && !st; i++)
        st = write_slot(w, &b->slot[i], b->first + i, err);
    if (!st && b->n)
        st = ecg_cohort_flush(w->builder, digest, err); /* signals first, then what speaks of them */
    return st || !b->n ? st : ecg_journal_end_block(w->journal, digest, err);
}

/* Item 0 writes the batch before; the others prepare this one. */
static void do_item(void *ctx, int item, int worker)
{
    work *w = ctx;
    if (item)
        read_one(&w->now->slot[item - 1], w, w->rec[w->now->first + item - 1].path, worker);
    else
        w->status = write_batch(w, w->before, &w->err);
}

static ecg_status stop_if_too_many(const work *w, int64_t seen, ecg_err *err)
{
    if (!too_many(w))
        return ECG_OK;
    const failure *f = &w->failed[0];
    return ecg_fail_at(err, ECG_EDATA, w->rec[f->at].path, f->line, 0,
                       "%s; the first of %" PRId64 " absent and %" PRId64 " unreadable among %" PRId64 " recordings (--max-failures)", f->reason,
                       w->result->absent, w->result->broken, seen);
}

static ecg_status read_all(work *w, int64_t done, ecg_err *err)
{
    ecg_status st = stop_if_too_many(w, done, err);
    bool stopped = false;
    w->before->n = 0;
    for (int64_t at = done; !st && !stopped && (at < w->n || w->before->n);) {
        stopped = ecg_stopped(w->watch);
        w->now->first = at;
        w->now->n = stopped ? 0 : (int)(w->n - at < BATCH ? w->n - at : BATCH);
        ecg_pool_run(w->pool, do_item, w, 1 + w->now->n);
        if (w->status) {
            if (err)
                *err = w->err;
            return w->status;
        }
        st = stop_if_too_many(w, at, err);
        at += w->now->n;
        batch *const swap = w->before;
        w->before = w->now;
        w->now = swap;
        ecg_progress(w->watch, "recordings", (double)(at - done), (double)(w->n - done), NULL); /* of this run, so that the time left is right */
        if (stopped && !st)
            st = ecg_fail(err, ECG_EINTR, "interrupted after %" PRId64 " of %" PRId64 " recordings; the same command goes on from there", at, w->n);
    }
    if (!st && !w->result->records && w->n)
        st = ecg_fail_at(err, ECG_EIO, w->rec[w->failed[0].at].path, 0, 0, "%s; not one of %" PRId64 " recordings could be read", w->failed[0].reason, w->n);
    return st;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------ */

/* The folder in the archive that the paths are below: where one of the first recordings lies. */
static ecg_status enter_archive(work *w, ecg_err *err)
{
    enum { TRIES = 8 };
    char name[300], prefix[256];
    w->source.most = LONGEST_FILE;
    for (int64_t i = 0; i < w->n && i < TRIES; i++) {
        snprintf(name, sizeof name, "%.255s.hea", w->rec[i * (w->n / TRIES > 0 ? w->n / TRIES : 1)].path);
        if (!ecg_zip_find(prefix, sizeof prefix, &w->source, name, NULL))
            return ecg_zip_enter(&w->source, prefix, err);
    }
    return ECG_OK; /* as they stand: all will be absent */
}

static ecg_status open_source(work *w, const char *where, ecg_err *err)
{
    if (!ecg_is_file(where))
        return ecg_source_folder(&w->source, where, err);
    const ecg_status st = ecg_source_zip(&w->source, where, err);
    return st ? st : enter_archive(w, err);
}

static ecg_status open_work(work *w, ecg_err *err)
{
    const size_t values = (size_t)w->c->samples * (size_t)w->c->leads;
    w->workers = ecg_pool_threads(w->pool);
    w->resampler = calloc((size_t)w->workers, sizeof *w->resampler);
    w->now = calloc(1, sizeof *w->now);
    w->before = calloc(1, sizeof *w->before);
    w->room = malloc(2 * BATCH * values * sizeof *w->room);
    if (!w->resampler || !w->now || !w->before || !w->room)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d recordings", 2 * BATCH);
    for (size_t i = 0; i < BATCH; i++) {
        w->now->slot[i].signal = w->room + i * values;
        w->before->slot[i].signal = w->room + (BATCH + i) * values;
    }
    return ECG_OK;
}

static void close_work(work *w)
{
    for (int i = 0; w->resampler && i < w->workers; i++)
        ecg_resampler_free(w->resampler[i].r);
    for (int64_t i = 0; i < w->failures; i++)
        free(w->failed[i].reason);
    ecg_source_close(&w->source);
    free(w->failed);
    free(w->resampler);
    free(w->now);
    free(w->before);
    free(w->room);
}

/* A cohort of tables alone: every row, in order. */
static ecg_status attach_rows(ecg_cohort_builder *b, uint8_t *fate, ecg_build_result *result, const ecg_recording *rec, int64_t n, ecg_err *err)
{
    for (int64_t i = 0; i < n; i++) {
        const ecg_status st = ecg_cohort_add(b, NULL, &rec[i].row, err);
        if (st)
            return st;
        fate[i] = ECG_KEPT;
        result->records++;
    }
    return ECG_OK;
}

ecg_status ecg_attach(ecg_cohort_builder *b, uint8_t *fate, ecg_build_result *result, const ecg_contract *c, const char *where,
                      const ecg_recording *rec, int64_t n, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    if (o->no_waveforms) {
        remove_old_list(o);
        return attach_rows(b, fate, result, rec, n, err);
    }
    work w = {.c = c, .rec = rec, .n = n, .o = o, .watch = watch, .pool = pool, .builder = b, .result = result, .fate = fate};
    int64_t done;
    ecg_status st = open_work(&w, err);
    if (!st)
        st = open_source(&w, where, err);
    if (!st)
        st = open_journal(&w, &done, where, err);
    if (!st) {
        st = read_all(&w, done, err);
        const ecg_status listed = write_list(&w, st ? NULL : err);
        st = st ? st : listed;
    }
    close_work(&w);
    return st;
}

/* ---- tables of the metadata --------------------------------------------------------------------------------------------------- */

void ecg_attrition_add(ecg_text *t, const char *step, int64_t kept, int64_t dropped)
{
    ecg_text_printf(t, "%s{\"step\":\"%s\",\"kept\":%" PRId64 ",\"dropped\":%" PRId64 "}", t->len ? "," : "[", step, kept, dropped);
}

const char *ecg_attrition_end(ecg_text *t)
{
    ecg_text_puts(t, t->len ? "]" : "[]");
    return t->failed ? NULL : t->at;
}

ecg_status ecg_sources_add(ecg_text *t, const char *path, const char *name, ecg_err *err)
{
    char hex[65];
    ecg_status st = ecg_sha256_file(hex, path, err);
    if (st)
        return st;
    ecg_text_puts(t, t->len ? ",{\"name\":\"" : "[{\"name\":\"");
    for (const char *c = name; *c; c++) /* folder names are the user's */
        if ((unsigned char)*c < 32 || *c == '"' || *c == '\\' || (unsigned char)*c > 126)
            ecg_text_puts(t, "_");
        else
            ecg_text_add(t, c, 1);
    ecg_text_printf(t, "\",\"bytes\":%" PRId64 ",\"sha256\":\"%s\"}", ecg_file_size(path), hex);
    return ECG_OK;
}

const char *ecg_sources_end(ecg_text *t)
{
    return ecg_attrition_end(t);
}

void ecg_labels_count(ecg_label_table *table, const int8_t *label, int64_t n)
{
    enum { TOGETHER = 256 }; /* neighbours lie in the same cache lines */
    for (int from = 0; from < table->n; from += TOGETHER) {
        const int labels = table->n - from < TOGETHER ? table->n - from : TOGETHER;
        int64_t count[TOGETHER] = {0};
        for (int64_t i = 0; i < n; i++)
            for (int k = 0; k < labels; k++)
                count[k] += label[i * table->n + from + k] == 1;
        for (int k = 0; k < labels; k++)
            table->label[from + k].count = count[k];
    }
    ecg_label_table_hash(table);
}
