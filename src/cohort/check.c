/* SPDX-License-Identifier: MIT
 * check.c: the checks that need no more than the container come first, so that a file which readers refuse (store.c) still has its hash, its
 * labels and its categories looked at, and the line that is WRONG names the cause. Then those of an opened cohort. */
#include "cohort/check_parts.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const result_names[] = {[ECG_CHECK_OK] = "OK", [ECG_CHECK_NOTE] = "note", [ECG_CHECK_WRONG] = "WRONG"};

void ecg_check_add(ecg_checks *out, const char *name, ecg_check_result result, const char *fmt, ...)
{
    ecg_check *more = out->n < 0 ? NULL : realloc(out->at, ((size_t)out->n + 1) * sizeof *more);
    if (!more) {
        out->n = -1;
        return;
    }
    out->at = more;
    ecg_check *c = &out->at[out->n++];
    *c = (ecg_check){.name = name, .result = result};
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->text, sizeof c->text, fmt, args);
    va_end(args);
    out->wrong += result == ECG_CHECK_WRONG;
}

/* ---- the container ---------------------------------------------------------------------------------------------------------------- */

/* As store.c makes it: the bytes of the signal, then of every other tensor its name and its bytes. */
static ecg_status check_hash(ecg_checks *out, const ecg_tensors *file, const ecg_watch *watch, ecg_err *err)
{
    const char *stored = ecg_tensors_meta(file, "data_sha256");
    const size_t piece = (size_t)16 << 20;
    double done = 0, total = 0;
    char hex[65];
    ecg_sha256 s;
    ecg_sha256_begin(&s);
    for (int i = 0; i < ecg_tensors_count(file); i++)
        total += (double)ecg_tensors_at(file, i)->bytes;
    for (int i = 0; i < ecg_tensors_count(file); i++) {
        const ecg_tensor *t = ecg_tensors_at(file, i);
        if (strcmp(t->name, "signal"))
            ecg_sha256_add(&s, t->name, strlen(t->name) + 1);
        for (size_t at = 0; at < t->bytes; at += piece) {
            if (ecg_stopped(watch))
                return ecg_fail(err, ECG_EINTR, "interrupted while the data were hashed");
            const size_t len = t->bytes - at < piece ? t->bytes - at : piece;
            ecg_sha256_add(&s, (const char *)t->data + at, len);
            ecg_progress(watch, "data hash", done += (double)len, total, NULL);
        }
    }
    ecg_sha256_end(&s, hex);
    if (!stored)
        ecg_check_add(out, "data hash", ECG_CHECK_WRONG, "metadata \"data_sha256\" is absent");
    else if (strcmp(stored, hex))
        ecg_check_add(out, "data hash", ECG_CHECK_WRONG, "%.16s... is recorded, the data give %.16s...", stored, hex);
    else
        ecg_check_add(out, "data hash", ECG_CHECK_OK, "%.16s..., %.1f MB", hex, total / 1e6);
    return ECG_OK;
}

static void check_label_values(ecg_checks *out, const ecg_tensors *file)
{
    int sets = 0;
    int64_t values = 0, odd = 0, at_row = 0;
    const ecg_tensor *at = NULL;
    for (int i = 0; i < ecg_tensors_count(file); i++) {
        const ecg_tensor *t = ecg_tensors_at(file, i);
        if (strncmp(t->name, "labels.", 7) || t->dtype != ECG_I8 || t->rank != 2 || t->dim[1] < 1)
            continue;
        const int8_t *y = t->data;
        sets++;
        values += t->count;
        for (int64_t k = 0; k < t->count; k++)
            if (y[k] < -1 || y[k] > 1) {
                if (!odd++)
                    at = t, at_row = k / t->dim[1];
            }
    }
    if (odd)
        ecg_check_add(out, "label values", ECG_CHECK_WRONG, "%" PRId64 " are none of -1, 0, 1; the first in %.40s, row %" PRId64, odd, at->name, at_row);
    else
        ecg_check_add(out, "label values", sets ? ECG_CHECK_OK : ECG_CHECK_NOTE, "%" PRId64 " in %d sets, all -1, 0 or 1", values, sets);
}

/* Values of categorical columns outside their vocabulary. */
static void check_categories(ecg_checks *out, const ecg_tensors *file, const ecg_contract *k)
{
    const ecg_tensor *t = ecg_tensors_find(file, "tabular");
    int categorical = 0;
    int64_t odd = 0, row = 0;
    const char *name = "";
    if (!t || t->dtype != ECG_F32 || t->rank != 2 || t->dim[1] != k->columns)
        return; /* said with the shapes */
    const float *x = t->data;
    for (int j = 0; j < k->columns; j++) {
        if (!k->column[j].categorical)
            continue;
        categorical++;
        for (int64_t i = 0; i < t->dim[0]; i++) {
            const float v = x[i * k->columns + j];
            if (!isnan(v) && !(v >= 0 && v < (float)k->column[j].vocabulary && v == floorf(v)) && !odd++) {
                name = k->column[j].name;
                row = i;
            }
        }
    }
    if (odd)
        ecg_check_add(out, "categories", ECG_CHECK_WRONG, "%" PRId64 " values outside their vocabulary; the first in %s, row %" PRId64, odd, name, row);
    else
        ecg_check_add(out, "categories", ECG_CHECK_OK, "%d categorical columns within their vocabulary", categorical);
}

static void check_lengths(ecg_checks *out, const ecg_tensors *file, const ecg_contract *k)
{
    const ecg_tensor *t = ecg_tensors_find(file, "quality");
    int64_t odd = 0, row = 0, padded = 0;
    if (!t || t->dtype != ECG_F32 || t->rank != 2 || t->dim[1] < 1 || !ecg_tensors_find(file, "signal"))
        return; /* said with the shapes; tables alone have no lengths */
    const float *q = t->data;
    for (int64_t i = 0; i < t->dim[0]; i++) {
        const float valid = q[i * t->dim[1]];
        padded += valid < (float)k->samples;
        if (!(valid >= (float)k->crop && valid <= (float)k->samples) && !odd++)
            row = i;
    }
    if (odd)
        ecg_check_add(out, "valid lengths", ECG_CHECK_WRONG, "%" PRId64 " rows outside %d to %d; the first is row %" PRId64 " with %g", odd, k->crop, k->samples,
                      row, (double)q[row * t->dim[1]]);
    else
        ecg_check_add(out, "valid lengths", ECG_CHECK_OK, "all from %d to %d samples, %" PRId64 " shorter than %d", k->crop, k->samples, padded, k->samples);
}

/* What needs no opened cohort. */
static ecg_status check_container(ecg_checks *out, const ecg_tensors *file, const ecg_watch *watch, ecg_err *err)
{
    const char *version = ecg_tensors_meta(file, "format_version"), *program = ecg_tensors_meta(file, "version"), *contract = ecg_tensors_meta(file, "contract");
    const char *synthetic = ecg_tensors_meta(file, "synthetic");
    ecg_check_add(out, "container", ECG_CHECK_OK, "%d tensors without gap or overlap", ecg_tensors_count(file));
    ecg_check_add(out, "format", ECG_CHECK_OK, "ecgraft.cohort %.20s, written by ecgraft %.80s", version, program ? program : "(not said)");
    if (synthetic && !strcmp(synthetic, "true"))
        ecg_check_add(out, "origin", ECG_CHECK_OK, "synthetic cohort");
    ecg_status st = check_hash(out, file, watch, err);
    if (st)
        return st;
    ecg_contract k = {0};
    ecg_err why = {0};
    if (!contract) {
        ecg_check_add(out, "contract", ECG_CHECK_WRONG, "metadata \"contract\" is absent");
    } else if (ecg_contract_from_json(&k, contract, &why)) {
        ecg_check_add(out, "contract", ECG_CHECK_WRONG, "%s", why.msg);
    } else {
        ecg_check_add(out, "contract", ECG_CHECK_OK, "%d samples of %d leads at %g Hz, %d columns, %d label tables with ascending codes and their own hashes", k.samples,
                      k.leads, k.rate_hz, k.columns, k.sets);
        check_label_values(out, file);
        check_categories(out, file, &k);
        check_lengths(out, file, &k);
    }
    ecg_contract_clear(&k);
    return ECG_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------------------------------- */

static ecg_status check_cohort(ecg_checks *out, const char *path, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_cohort c;
    ecg_err why = {0};
    if (ecg_cohort_open(&c, path, &why)) {
        if (why.status == ECG_ENOMEM)
            return ecg_fail(err, why.status, "%s", why.msg);
        /* the cause may have its line already */
        ecg_check_add(out, "shapes", out->wrong ? ECG_CHECK_NOTE : ECG_CHECK_WRONG, "readers refuse the file, so nothing further was looked at: %s", why.msg);
        return ECG_OK;
    }
    ecg_check_add(out, "shapes", ECG_CHECK_OK, "%" PRId64 " rows in every tensor", c.n);
    ecg_check_values(out, &c);
    ecg_status st = ecg_check_people(out, &c, err);
    if (!st)
        st = ecg_check_signal(out, &c, pool, watch, err);
    ecg_check_history(out, &c);
    ecg_cohort_close(&c);
    return st;
}

ecg_status ecg_cohort_check(ecg_checks *out, const char *path, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    *out = (ecg_checks){0};
    ecg_tensors *file;
    ecg_status st = ecg_tensors_open(&file, path, err);
    if (st)
        return st;
    if ((st = ecg_tensors_check_format(file, "ecgraft.cohort", err)))
        ecg_fail_in(err, st, path);
    if (!st)
        st = check_container(out, file, watch, err);
    ecg_tensors_close(file);
    if (!st)
        st = check_cohort(out, path, pool, watch, err);
    if (!st && out->n < 0)
        st = ecg_fail(err, ECG_ENOMEM, "no memory for the checks");
    if (st)
        ecg_checks_clear(out);
    return st;
}

void ecg_checks_clear(ecg_checks *c)
{
    free(c->at);
    *c = (ecg_checks){0};
}

/* ---- telling ----------------------------------------------------------------------------------------------------------------------- */

ecg_status ecg_checks_text(ecg_text *out, const ecg_checks *c, const char *path, ecg_err *err)
{
    int notes = 0;
    ecg_text_printf(out, "%s\n", path);
    for (int i = 0; i < c->n; i++) {
        ecg_text_printf(out, "  %-5s  %-26s %s\n", result_names[c->at[i].result], c->at[i].name, c->at[i].text);
        notes += c->at[i].result == ECG_CHECK_NOTE;
    }
    ecg_text_printf(out, "%d checks: %d OK, %d note%s, %d WRONG\n%s\n", c->n, c->n - notes - c->wrong, notes, notes == 1 ? "" : "s", c->wrong, ECG_STATEMENT);
    return out->failed ? ecg_fail(err, ECG_ENOMEM, "no memory for the checks") : ECG_OK;
}

/* Paths and titles may hold any bytes, JSON holds UTF-8: others become "?". */
static json_t *json_text(const char *s)
{
    json_t *j = json_string(s);
    if (j)
        return j;
    char *copy = strdup(s);
    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at >= 128)
            *at = '?';
    j = copy ? json_string(copy) : NULL;
    free(copy);
    return j;
}

ecg_status ecg_checks_json(ecg_text *out, const ecg_checks *c, const char *path, ecg_err *err)
{
    static const char *const words[] = {[ECG_CHECK_OK] = "ok", [ECG_CHECK_NOTE] = "note", [ECG_CHECK_WRONG] = "wrong"};
    json_t *list = json_array();
    for (int i = 0; i < c->n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", c->at[i].name, "result", words[c->at[i].result], "text", json_text(c->at[i].text)));
    json_t *root = json_pack("{s:s, s:s, s:o, s:b, s:i, s:o}", "schema", "ecgraft.check/1", "statement", ECG_STATEMENT, "path", json_text(path), "good",
                             (int)!c->wrong, "wrong", c->wrong, "checks", list);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    if (text) {
        ecg_text_puts(out, text);
        ecg_text_puts(out, "\n");
    }
    const bool done = text && !out->failed;
    free(text);
    return done ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the checks");
}
