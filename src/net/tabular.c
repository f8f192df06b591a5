/* SPDX-License-Identifier: MIT
 * tabular.c: Phi_m. Each category is looked up in its table, the vectors and the continuous columns stand side by side, a chain follows.
 *
 * The first norm makes columns of the embeddings nearly blind to their values: a column with two words is +-1 after it wherever the words lie,
 * and the gradient of a word, a sum over the rows that looked it up, is what eps leaves of terms that cancel. So that sum is taken in double
 * from a gradient in double: in float32 it was off by 1e-4 of itself. Its order is the batch's. */
#include "net/tabular.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABULAR_SITE = 64, CATEGORIES = 16 };

struct ecg_tabular {
    ecg_tabular_config c;
    int table[CATEGORIES]; /* rows of the parameter table */
    int in;                /* embeddings + continuous */
    size_t largest;        /* floats of the largest embedding */
    ecg_mlp *chain;
};

struct ecg_tabular_work {
    float *x;          /* (batch, in) */
    double *dx;        /* (batch, in); NULL unless training */
    double *sum;       /* (largest table) of one embedding's gradient; NULL unless training */
    int32_t *category; /* (batch, categorical) of the last forward pass */
    ecg_mlp_work *chain;
};

static ecg_status chain_new(ecg_tabular *t, ecg_params *table, const char *prefix, ecg_err *err)
{
    const int width[3] = {t->c.hidden1, t->c.hidden2, t->c.out};
    char name[64];
    ecg_op chain[12];
    int n = 0;
    for (int g = 0; g < 3; g++) {
        chain[n++] = (ecg_op){.kind = ECG_OP_NORM};
        if (t->c.dropout > 0)
            chain[n++] = (ecg_op){.kind = ECG_OP_DROP, .p = g < 2 ? t->c.dropout / 2 : t->c.dropout};
        chain[n++] = (ecg_op){.kind = ECG_OP_LINEAR, .out = width[g], .bias = true};
        if (g < 2)
            chain[n++] = (ecg_op){.kind = ECG_OP_RELU};
    }
    snprintf(name, sizeof name, "%slayers.", prefix);
    return ecg_mlp_new(&t->chain, t->in, chain, n, table, name, TABULAR_SITE, err);
}

ecg_status ecg_tabular_new(ecg_tabular **out, const ecg_tabular_config *c, ecg_params *table, const char *prefix, ecg_err *err)
{
    *out = NULL;
    if (c->continuous < 0 || c->categorical < 0 || c->categorical > CATEGORIES)
        return ecg_fail(err, ECG_EARG, "%d continuous and %d categorical columns, at most %d categorical", c->continuous, c->categorical,
                        CATEGORIES);
    ecg_tabular *t = calloc(1, sizeof *t);
    if (!t)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %s", prefix);
    t->c = *c;
    t->in = c->continuous;
    for (int k = 0; k < c->categorical; k++) {
        const int64_t dim[2] = {c->vocabulary[k], c->embedding[k]};
        char name[40];
        snprintf(name, sizeof name, "embeddings.%d.weight", k);
        if (c->vocabulary[k] < 1 || c->embedding[k] < 1) {
            free(t);
            return ecg_fail(err, ECG_EARG, "%s%s: %d words of length %d", prefix, name, c->vocabulary[k], c->embedding[k]);
        }
        t->table[k] = ecg_params_declare(table, prefix, name, 2, dim, 0, ECG_INIT_NORMAL, 1);
        if (t->table[k] < 0) {
            free(t);
            return ecg_fail(err, ECG_ENOMEM, "no memory for %s%s", prefix, name);
        }
        table->row[t->table[k]].group = 1;
        t->in += c->embedding[k];
        t->largest = table->row[t->table[k]].count > t->largest ? table->row[t->table[k]].count : t->largest;
    }
    const ecg_status st = chain_new(t, table, prefix, err);
    if (st) {
        free(t);
        return st;
    }
    *out = t;
    return ECG_OK;
}

void ecg_tabular_free(ecg_tabular *t)
{
    if (t)
        ecg_mlp_free(t->chain);
    free(t);
}

const ecg_tabular_config *ecg_tabular_shape(const ecg_tabular *t)
{
    return &t->c;
}

ecg_tabular_work *ecg_tabular_work_new(const ecg_tabular *t, int batch, bool training)
{
    ecg_tabular_work *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    const size_t rows = (size_t)batch, categories = (size_t)t->c.categorical;
    w->x = calloc(rows * (size_t)t->in + 1, sizeof *w->x);
    w->dx = training ? calloc(rows * (size_t)t->in + 1, sizeof *w->dx) : NULL;
    w->sum = training ? calloc(t->largest + 1, sizeof *w->sum) : NULL;
    w->category = calloc(rows * categories + 1, sizeof *w->category);
    w->chain = ecg_mlp_work_new(t->chain, batch, training);
    if (!w->x || (training && (!w->dx || !w->sum)) || !w->category || !w->chain) {
        ecg_tabular_work_free(w);
        return NULL;
    }
    return w;
}

void ecg_tabular_work_free(ecg_tabular_work *w)
{
    if (!w)
        return;
    free(w->x);
    free(w->dx);
    free(w->sum);
    free(w->category);
    ecg_mlp_work_free(w->chain);
    free(w);
}

void ecg_tabular_forward(float *y, const ecg_tabular *t, ecg_params *table, ecg_tabular_work *w, const ecg_exec *exec, const float *continuous,
                         const int32_t *category, int B, bool train, const ecg_dropout *drop)
{
    const ecg_tabular_config *c = &t->c;
    float *x = w->x;
    for (int b = 0; b < B; b++) {
        for (int k = 0; k < c->categorical; k++) {
            const int32_t word = category[(size_t)b * (size_t)c->categorical + (size_t)k];
            assert(word >= 0 && word < c->vocabulary[k]);
            w->category[(size_t)b * (size_t)c->categorical + (size_t)k] = word;
            memcpy(x, ecg_value(table, t->table[k]) + (size_t)word * (size_t)c->embedding[k], (size_t)c->embedding[k] * sizeof *x);
            x += c->embedding[k];
        }
        if (c->continuous)
            memcpy(x, continuous + (size_t)b * (size_t)c->continuous, (size_t)c->continuous * sizeof *x);
        x += c->continuous;
    }
    ecg_mlp_forward(y, t->chain, table, w->chain, exec, w->x, B, train, drop);
}

/* Adds the gradient of embedding k, whose columns of dx begin at column `first`. */
static void embedding_backward(float *g, const ecg_tabular *t, ecg_tabular_work *w, int k, int first, int B)
{
    const size_t length = (size_t)t->c.embedding[k], count = length * (size_t)t->c.vocabulary[k];
    memset(w->sum, 0, count * sizeof *w->sum);
    for (int b = 0; b < B; b++) {
        const double *dx = w->dx + (size_t)b * (size_t)t->in + (size_t)first;
        double *sum = w->sum + (size_t)w->category[(size_t)b * (size_t)t->c.categorical + (size_t)k] * length;
        for (size_t e = 0; e < length; e++)
            sum[e] += dx[e];
    }
    for (size_t i = 0; i < count; i++)
        g[i] += (float)w->sum[i];
}

void ecg_tabular_backward(float *dcontinuous, const ecg_tabular *t, ecg_params *table, ecg_tabular_work *w, const ecg_exec *exec, const float *dy,
                          int B)
{
    int column = 0;
    ecg_mlp_backward_wide(w->dx, t->chain, table, w->chain, exec, dy, w->x, B);
    for (int k = 0; k < t->c.categorical; column += t->c.embedding[k++])
        if (!(table->row[t->table[k]].flags & ECG_P_FROZEN))
            embedding_backward(ecg_grad(table, t->table[k]), t, w, k, column, B);
    for (int b = 0; dcontinuous && b < B; b++)
        for (int k = 0; k < t->c.continuous; k++)
            dcontinuous[(size_t)b * (size_t)t->c.continuous + (size_t)k] = (float)w->dx[(size_t)b * (size_t)t->in + (size_t)(column + k)];
}
