/* SPDX-License-Identifier: MIT
 * bench_files.c: what ecg_bench trains on and answers with, made of noise, and its removal. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cohort/store.h"
#include "study/bench_parts.h"
#include "study/train.h"

enum { CONTINUOUS = 463, CATEGORICAL = 3, COLUMNS = CONTINUOUS + CATEGORICAL }; /* as in the published table */

/* Cheap noise, -1 to 1: what it is does not matter, that it is not constant does. */
static float noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state * 0x1p-31f;
}

static ecg_status labels(ecg_contract *c, int64_t n, ecg_err *err)
{
    c->table = calloc(1, sizeof *c->table);
    c->sets = c->table ? 1 : 0;
    if (!c->table || !(c->table->label = calloc((size_t)n, sizeof *c->table->label)))
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " labels", n);
    ecg_label_table *t = c->table;
    t->n = (int)n;
    snprintf(t->set, sizeof t->set, "diagnoses");
    for (int k = 0; k < t->n; k++)
        snprintf(t->label[k].code, sizeof t->label[k].code, "D%07d", k);
    ecg_label_table_hash(t);
    return ECG_OK;
}

static ecg_status columns(ecg_contract *c, ecg_err *err)
{
    static const int vocabulary[CATEGORICAL] = {2, 5, 5};
    c->column = calloc(COLUMNS, sizeof *c->column);
    if (!c->column)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d columns", COLUMNS);
    c->columns = COLUMNS;
    for (int j = 0; j < COLUMNS; j++) {
        ecg_column *column = &c->column[j];
        snprintf(column->name, sizeof column->name, "column%03d", j);
        snprintf(column->group, sizeof column->group, j % 4 ? "lab" : "routine");
        column->categorical = j >= CONTINUOUS;
        column->vocabulary = column->categorical ? vocabulary[j - CONTINUOUS] : 0;
    }
    return ECG_OK;
}

static ecg_status records(ecg_cohort_builder *w, const ecg_contract *c, int64_t n, float *signal, ecg_err *err)
{
    uint32_t state = 1;
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < n && !st; i++) {
        for (int k = 0; k < c->samples * c->leads; k++)
            signal[k] = noise(&state);
        ecg_cohort_row row = {.patient = i, .study = i, .stay = i, .ecg_time = i, .first_in_stay = 1};
        row.quality[0] = (float)c->samples;
        st = ecg_cohort_add(w, signal, &row, err);
    }
    return st;
}

static void fill(float *table, int8_t *label, const ecg_contract *c, int64_t n)
{
    const size_t K = (size_t)c->table->n;
    uint32_t state = 2;
    for (size_t i = 0; i < (size_t)n * COLUMNS; i++) {
        const ecg_column *column = &c->column[i % COLUMNS];
        const float x = noise(&state);
        table[i] = column->categorical ? floorf((x + 1) * 0.49f * (float)column->vocabulary) : x;
    }
    for (size_t i = 0; i < (size_t)n * K; i++)
        label[i] = noise(&state) > 0.96f; /* one in fifty */
}

ecg_status ecg_bench_contract(ecg_contract *c, const ecg_bench_options *o, ecg_err *err)
{
    ecg_contract_default(c);
    c->crop = (int)o->config->encoder.length;
    c->samples = c->crop + c->crop / 4;
    ecg_status st = columns(c, err);
    if (!st)
        st = labels(c, o->labels, err);
    if (st)
        ecg_contract_clear(c);
    return st;
}

ecg_status ecg_bench_cohort_file(char path[512], ecg_bench_run *b, int64_t n, ecg_err *err)
{
    ecg_contract c;
    ecg_cohort_builder *w = NULL;
    ecg_roles roles;
    ecg_status st = ecg_bench_contract(&c, b->o, err);
    if (st)
        return st;
    float *signal = malloc((size_t)c.samples * (size_t)c.leads * sizeof *signal), *table = malloc((size_t)n * COLUMNS * sizeof *table);
    int8_t *label = malloc((size_t)n * (size_t)b->o->labels);
    if (!signal || !table || !label)
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " records", n);
    if (!st && !(st = ecg_join(path, 512, b->folder, "noise.cohort", err)) && !(st = ecg_roles_parse(&roles, "train:0,validation:1,test:2", err)) &&
        !(st = ecg_cohort_create(&w, path, &c, true, err)) && !(st = records(w, &c, n, signal, err))) {
        fill(table, label, &c, n);
        st = ecg_cohort_commit(w, &c, table, (const int8_t *const[]){label}, &roles, true, "[]", "[]", "bench", err);
        w = NULL;
    }
    if (w)
        ecg_cohort_abort(w);
    ecg_contract_clear(&c);
    free(signal);
    free(table);
    free(label);
    return st;
}

ecg_status ecg_bench_model_file(char path[512], ecg_bench_run *b, ecg_err *err)
{
    ecg_model m = {0};
    ecg_status st = ecg_join(path, 512, b->folder, "noise.safetensors", err);
    ecg_contract_default(&m.contract);
    m.shape = ecg_train_encoder(b->o->config, m.contract.leads);
    m.contract.crop = m.shape.length;
    m.contract.samples = m.shape.length * 4;
    m.synthetic = true;
    snprintf(m.preset, sizeof m.preset, "%s", b->o->config->preset);
    m.heads = 1;
    snprintf(m.head[0].set, sizeof m.head[0].set, "diagnoses");
    snprintf(m.head[0].prefix, sizeof m.head[0].prefix, ECG_HEAD_DIAGNOSES);
    if (!st && !(st = labels(&m.contract, b->o->labels, err)) && !(st = ecg_model_build(&m, false, err))) {
        st = ecg_train_begin(&m, 42, b->o->exec, err);
        if (!st)
            st = ecg_model_save(&m, path, err);
    }
    ecg_model_clear(&m);
    return st;
}

/* ---- folders ------------------------------------------------------------------------------------------------------------ */

ecg_status ecg_bench_remove(const char *path, ecg_err *err)
{
    struct stat s;
    if (lstat(path, &s) != 0)
        return ECG_OK;
    DIR *d = S_ISDIR(s.st_mode) ? opendir(path) : NULL;
    ecg_status st = ECG_OK;
    for (struct dirent *e; d && !st && (e = readdir(d));) {
        char inner[512];
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && !(st = ecg_join(inner, sizeof inner, path, e->d_name, err)))
            st = ecg_bench_remove(inner, err);
    }
    if (d)
        closedir(d);
    if (!st && remove(path) != 0)
        st = ecg_fail_errno(err, path, "cannot remove");
    return st;
}

double ecg_bench_bytes(const char *path)
{
    struct stat s;
    if (lstat(path, &s) != 0)
        return 0;
    DIR *d = S_ISDIR(s.st_mode) ? opendir(path) : NULL;
    double sum = d ? 0 : (double)s.st_size;
    for (struct dirent *e; d && (e = readdir(d));) {
        char inner[512];
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && !ecg_join(inner, sizeof inner, path, e->d_name, NULL))
            sum += ecg_bench_bytes(inner);
    }
    if (d)
        closedir(d);
    return sum;
}
