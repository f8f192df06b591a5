/* SPDX-License-Identifier: MIT
 * params.c: the table of parameters and the loops over it. */
#include "net/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { ROW_ALIGN = 16 }; /* floats: one cache line, one vector register of AVX-512 */

int ecg_params_declare(ecg_params *t, const char *prefix, const char *name, int rank, const int64_t *dim, unsigned flags, ecg_init init,
                       float scale)
{
    if (t->n == t->room) {
        const int room = t->room ? 2 * t->room : 64;
        ecg_param *row = realloc(t->row, (size_t)room * sizeof *row);
        if (!row)
            return -1;
        t->row = row;
        t->room = room;
    }
    ecg_param *p = &t->row[t->n];
    *p = (ecg_param){.rank = rank, .at = t->floats, .count = 1, .flags = flags, .init = init, .scale = scale};
    const int len = snprintf(p->name, sizeof p->name, "%s%s", prefix, name);
    if (len < 0 || (size_t)len >= sizeof p->name || rank < 0 || rank > 4)
        return -1;
    for (int d = 0; d < rank; d++) {
        if (dim[d] < 0 || (dim[d] && p->count > (SIZE_MAX / 64) / (size_t)dim[d]))
            return -1;
        p->dim[d] = dim[d];
        p->count *= (size_t)dim[d];
    }
    t->floats += (p->count + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN;
    return t->n++;
}

static float *zeroed(size_t floats)
{
    const size_t bytes = (floats ? floats : ROW_ALIGN) * sizeof(float); /* rows are padded: a multiple of 64 bytes */
    float *p = aligned_alloc(64, bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

ecg_status ecg_params_alloc(ecg_params *t, bool training, ecg_err *err)
{
    t->value = zeroed(t->floats);
    if (training) {
        t->grad = zeroed(t->floats);
        t->m = zeroed(t->floats);
        t->v = zeroed(t->floats);
    }
    if (!t->value || (training && (!t->grad || !t->m || !t->v)))
        return ecg_fail(err, ECG_ENOMEM, "no memory for %zu parameters%s", t->floats, training ? ", their gradients and moments" : "");
    return ECG_OK;
}

void ecg_params_borrow(ecg_params *t, const float *const *value)
{
    uintptr_t first = UINTPTR_MAX;
    for (int i = 0; i < t->n; i++)
        first = (uintptr_t)value[i] < first ? (uintptr_t)value[i] : first;
    for (int i = 0; i < t->n; i++)
        t->row[i].at = ((uintptr_t)value[i] - first) / sizeof(float);
    t->value = (float *)first;
    t->borrowed = true;
}

void ecg_params_clear(ecg_params *t)
{
    free(t->row);
    if (!t->borrowed)
        free(t->value);
    free(t->grad);
    free(t->m);
    free(t->v);
    *t = (ecg_params){0};
}

int ecg_params_find(const ecg_params *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->row[i].name, name) == 0)
            return i;
    return -1;
}

void ecg_params_init_row(ecg_params *t, int row, uint64_t seed)
{
    /* a tensor owns 2^20 blocks of 4 words (formats.md section 7); one with more values goes on under the next counter a */
    const size_t per_a = (size_t)4 << 20;
    const ecg_param *p = &t->row[row];
    float *x = ecg_value(t, row);
    ecg_rng r = {0};

    for (size_t i = 0; i < p->count; i++) {
        if (i % per_a == 0)
            ecg_rng_open(&r, seed, (uint32_t)row << 20, ECG_STREAM_INIT, (uint32_t)(i / per_a), 0);
        switch (p->init) {
        case ECG_INIT_ZERO: x[i] = 0; break;
        case ECG_INIT_ONE: x[i] = 1; break;
        case ECG_INIT_UNIFORM: x[i] = (float)((double)p->scale * (2 * ecg_rng_uniform(&r) - 1)); break;
        case ECG_INIT_NORMAL: x[i] = (float)((double)p->scale * ecg_rng_normal(&r)); break;
        case ECG_INIT_LAYER: return;
        }
    }
}

void ecg_params_init(ecg_params *t, uint64_t seed)
{
    for (int i = 0; i < t->n; i++)
        ecg_params_init_row(t, i, seed);
}

void ecg_params_zero_grad(ecg_params *t)
{
    memset(t->grad, 0, t->floats * sizeof *t->grad);
}

double ecg_params_grad_norm(const ecg_params *t)
{
    enum { LANES = 8 }; /* sums beside each other: one would wait for itself at each addition */
    double sum[LANES] = {0}, total = 0;
    for (int i = 0; i < t->n; i++) {
        if (t->row[i].flags & (ECG_P_BUFFER | ECG_P_FROZEN))
            continue;
        const float *g = ecg_grad(t, i);
        const size_t n = t->row[i].count, whole = n - n % LANES;
        for (size_t k = 0; k < whole; k += LANES)
            for (int l = 0; l < LANES; l++)
                sum[l] += (double)g[k + l] * g[k + l];
        for (size_t k = whole; k < n; k++)
            total += (double)g[k] * g[k];
    }
    for (int l = 0; l < LANES; l++)
        total += sum[l];
    return sqrt(total);
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

int ecg_params_freeze(ecg_params *t, const char *prefix, bool frozen)
{
    int rows = 0;
    for (int i = 0; i < t->n; i++) {
        if (!begins_with(t->row[i].name, prefix))
            continue;
        t->row[i].flags = (t->row[i].flags & ~(unsigned)ECG_P_FROZEN) | (frozen ? ECG_P_FROZEN : 0);
        rows++;
    }
    return rows;
}

ecg_status ecg_params_save(const ecg_params *t, ecg_tensorsw *w, const char *what, const float *from, ecg_err *err)
{
    for (int i = 0; i < t->n; i++) {
        const ecg_param *p = &t->row[i];
        char name[sizeof p->name + 16];
        snprintf(name, sizeof name, "%s%s", what, p->name);
        const ecg_status st = ecg_tensorsw_put(w, name, ECG_F32, p->rank, p->dim, from + p->at, err);
        if (st)
            return st;
    }
    return ECG_OK;
}

/* "(2, 16, 4, 2)" */
static const char *shape_text(char out[96], int rank, const int64_t *dim)
{
    size_t at = (size_t)snprintf(out, 96, "(");
    for (int d = 0; d < rank && at < 90; d++)
        at += (size_t)snprintf(out + at, 96 - at, "%s%" PRId64, d ? ", " : "", dim[d]);
    if (at < 95)
        snprintf(out + at, 96 - at, ")");
    return out;
}

static bool same_shape(const ecg_tensor *x, const ecg_param *p)
{
    if (x->rank != p->rank)
        return false;
    for (int d = 0; d < p->rank; d++)
        if (x->dim[d] != p->dim[d])
            return false;
    return true;
}

ecg_status ecg_params_load(ecg_params *t, const ecg_tensors *file, const char *prefix, const char *what, float *to, ecg_err *err)
{
    for (int i = 0; i < t->n; i++) {
        const ecg_param *p = &t->row[i];
        char name[sizeof p->name + 16], there[96], here[96];
        if (!begins_with(p->name, prefix))
            continue;
        snprintf(name, sizeof name, "%s%s", what, p->name);
        const ecg_tensor *x = ecg_tensors_find(file, name);
        if (!x)
            return ecg_fail(err, ECG_ECONTRACT, "no tensor %s", name);
        if (x->dtype != ECG_F32)
            return ecg_fail(err, ECG_ECONTRACT, "%s is %s, F32 expected", name, ecg_dtype_name(x->dtype));
        if (!same_shape(x, p))
            return ecg_fail(err, ECG_ECONTRACT, "%s is %s, %s expected", name, shape_text(there, x->rank, x->dim),
                            shape_text(here, p->rank, p->dim));
        memcpy(to + p->at, x->data, p->count * sizeof *to);
    }
    return ECG_OK;
}
