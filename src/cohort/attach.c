/* SPDX-License-Identifier: MIT
 * attach.c: recordings into the cohort. Batches are read and prepared by the pool and appended in order, so that the file does not depend on
 * the number of threads. */
#include "cohort/attach.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "ecg/prepare.h"

enum { BATCH = 128 };

typedef struct {
    float *signal; /* (samples, leads) */
    float quality[8];
    ecg_fate fate;
    ecg_err err;
} slot;

typedef struct {
    const ecg_contract *c;
    const char *folder;
    const ecg_recording *rec; /* of this batch */
    slot slot[BATCH];
} batch;

/* A name from a table must stay below the folder. */
static bool name_is_inside(const char *name)
{
    if (!*name || *name == '/' || strchr(name, '\\'))
        return false;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        const size_t len = strcspn(part, "/");
        if (!len || (len == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    for (; *name; name++)
        if ((unsigned char)*name < 32)
            return false;
    return true;
}

/* The contract's samples of one recording: longer ones are cut, shorter ones padded with NAN. */
static ecg_status prepare_into(slot *s, const ecg_contract *c, const ecg_record *rec)
{
    const size_t leads = (size_t)c->leads;
    const int64_t n = ecg_prepared_samples(c, rec);
    if (n < c->crop)
        return ecg_fail(&s->err, ECG_EDATA, "%" PRId64 " samples at %g Hz, at least %d needed", n, c->rate_hz, c->crop);
    if (n > INT64_MAX / 64 / c->leads)
        return ecg_fail(&s->err, ECG_EDATA, "%" PRId64 " samples", n);
    float *all = malloc((size_t)n * leads * sizeof *all);
    if (!all)
        return ecg_fail(&s->err, ECG_ENOMEM, "no memory for %" PRId64 " samples", n);
    unsigned found;
    ecg_status st = ecg_prepare(all, &found, c, rec, &s->err);
    if (!st) {
        const int64_t valid = n < c->samples ? n : c->samples;
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
    free(all);
    return st;
}

static void prepare_one(void *ctx, int item, int worker)
{
    (void)worker;
    batch *b = ctx;
    slot *s = &b->slot[item];
    const char *name = b->rec[item].path;
    char path[1024], header[1040];
    s->fate = ECG_BROKEN;
    s->err = (ecg_err){0};
    if (!name_is_inside(name)) {
        ecg_fail(&s->err, ECG_EDATA, "the name leaves the folder");
        return;
    }
    if (ecg_join(path, sizeof path, b->folder, name, &s->err))
        return;
    snprintf(header, sizeof header, "%s.hea", path);
    if (access(header, F_OK) && (errno == ENOENT || errno == ENOTDIR)) {
        s->fate = ECG_ABSENT;
        ecg_fail(&s->err, ECG_EIO, "no such file");
        return;
    }
    ecg_record rec;
    if (ecg_record_read(&rec, header, &s->err))
        return;
    if (!prepare_into(s, b->c, &rec))
        s->fate = ECG_KEPT;
    ecg_record_clear(&rec);
}

static void list_failure(ecg_csvw **list, ecg_build_result *result, const ecg_build_options *o, const ecg_recording *rec, const slot *s)
{
    if (!*list) {
        if ((size_t)snprintf(result->failures, sizeof result->failures, "%s.failures.csv", o->output) >= sizeof result->failures ||
            ecg_csvw_create(list, result->failures, NULL)) {
            *list = NULL;
            result->failures[0] = 0;
            return;
        }
        ecg_csvw_text(*list, "study_id");
        ecg_csvw_text(*list, "path");
        ecg_csvw_text(*list, "reason");
        ecg_csvw_end(*list);
    }
    char place[64] = "", reason[400];
    if (s->err.line)
        snprintf(place, sizeof place, "line %" PRId64 ": ", s->err.line);
    snprintf(reason, sizeof reason, "%s%s", place, s->err.msg);
    ecg_csvw_int(*list, rec->row.study);
    ecg_csvw_text(*list, rec->path);
    ecg_csvw_text(*list, reason);
    ecg_csvw_end(*list);
}

/* The list of an earlier build is not that of this one. */
static void remove_old_list(const ecg_build_options *o)
{
    char old[512];
    if ((size_t)snprintf(old, sizeof old, "%s.failures.csv", o->output) < sizeof old)
        unlink(old);
}

static bool too_many(const ecg_build_result *r, const ecg_build_options *o, int64_t n)
{
    if (o->max_failures < 0)
        return (double)r->broken > ceil(0.01 * (double)n);
    const double allowed = o->max_failures_share ? o->max_failures * (double)n : o->max_failures;
    return (double)(r->absent + r->broken) > allowed;
}

static ecg_status append_batch(ecg_cohort_builder *b, uint8_t *fate, ecg_csvw **list, ecg_build_result *result, ecg_err *first_failure, const batch *work,
                               int n, const ecg_build_options *o, ecg_err *err)
{
    for (int i = 0; i < n; i++) {
        const slot *s = &work->slot[i];
        fate[i] = (uint8_t)s->fate;
        if (s->fate == ECG_KEPT) {
            ecg_cohort_row row = work->rec[i].row;
            memcpy(row.quality, s->quality, sizeof row.quality);
            ecg_status st = ecg_cohort_add(b, s->signal, &row, err);
            if (st)
                return st;
            result->records++;
            continue;
        }
        if (s->err.status == ECG_ENOMEM)
            return ecg_fail_in(err, ecg_fail(err, ECG_ENOMEM, "%s", s->err.msg), work->rec[i].path);
        if (!(result->absent + result->broken)) {
            *first_failure = s->err;
            snprintf(first_failure->path, sizeof first_failure->path, "%s", work->rec[i].path);
        }
        result->absent += s->fate == ECG_ABSENT;
        result->broken += s->fate == ECG_BROKEN;
        list_failure(list, result, o, &work->rec[i], s);
    }
    return ECG_OK;
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

ecg_status ecg_attach(ecg_cohort_builder *b, uint8_t *fate, ecg_build_result *result, const ecg_contract *c, const char *folder,
                      const ecg_recording *rec, int64_t n, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    if (o->no_waveforms) {
        remove_old_list(o);
        return attach_rows(b, fate, result, rec, n, err);
    }
    const size_t values = (size_t)c->samples * (size_t)c->leads;
    batch *work = calloc(1, sizeof *work);
    float *room = malloc(BATCH * values * sizeof *room);
    ecg_csvw *list = NULL;
    ecg_err first_failure = {0};
    ecg_status st = ECG_OK;
    if (!work || !room) {
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %d recordings", BATCH);
        goto done;
    }
    work->c = c;
    work->folder = folder;
    for (int i = 0; i < BATCH; i++)
        work->slot[i].signal = room + (size_t)i * values;
    for (int64_t at = 0; at < n && !st; at += BATCH) {
        const int count = (int)(n - at < BATCH ? n - at : BATCH);
        if (ecg_stopped(watch)) {
            st = ecg_fail(err, ECG_EINTR, "interrupted after %" PRId64 " of %" PRId64 " recordings", at, n);
            break;
        }
        work->rec = rec + at;
        ecg_pool_run(pool, prepare_one, work, count);
        st = append_batch(b, fate + at, &list, result, &first_failure, work, count, o, err);
        ecg_progress(watch, "recordings", (double)(at + count), (double)n, NULL);
        if (!st && too_many(result, o, n))
            st = ecg_fail_at(err, ECG_EDATA, first_failure.path, first_failure.line, 0,
                             "%s; the first of %" PRId64 " absent and %" PRId64 " unreadable among %" PRId64 " recordings (--max-failures)",
                             first_failure.msg, result->absent, result->broken, at + count);
    }
    if (!st && !result->records && n)
        st = ecg_fail_at(err, ECG_EIO, first_failure.path, 0, 0, "%s; not one of %" PRId64 " recordings could be read", first_failure.msg, n);
    if (list && ecg_csvw_commit(list, st ? NULL : err) && !st)
        st = ECG_EIO;
    if (!result->absent && !result->broken)
        remove_old_list(o);
done:
    free(room);
    free(work);
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
    for (int k = 0; k < table->n; k++) {
        table->label[k].count = 0;
        for (int64_t i = 0; i < n; i++)
            table->label[k].count += label[i * table->n + k] == 1;
    }
    ecg_label_table_hash(table);
}
