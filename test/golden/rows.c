/* SPDX-License-Identifier: MIT
 * rows.c: the parameter table of a golden file. */
#include "rows.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool golden_exec(golden_out *o, ecg_exec *x)
{
    const char *want = getenv("ECGRAFT_CPU");
    *x = (ecg_exec){.k = ecg_kernels_pick(want), .pool = NULL};
    if (!x->k)
        golden_problem(o, "no kernels %s here", want ? want : "");
    else if (o->bf16)
        x->k = ecg_kernels_at(x->k, ECG_IN_BF16);
    return x->k != NULL;
}

bool golden_fill(golden_out *o, const ecg_tensors *file, ecg_params *table, const char *prefix)
{
    ecg_err err = {0};
    if (ecg_params_alloc(table, true, &err)) {
        golden_problem(o, "%s", err.msg);
        return false;
    }
    ecg_params_init(table, 1);
    for (int i = 0; i < table->n; i++) {
        const ecg_param *p = &table->row[i];
        char name[128];
        int64_t count = 0;
        snprintf(name, sizeof name, "%s%s", prefix, p->name);
        if (p->flags & ECG_P_BUFFER && !ecg_tensors_find(file, name))
            continue;
        float *x = golden_float(o, file, name, &count);
        if (x && (size_t)count == p->count)
            memcpy(ecg_value(table, i), x, p->count * sizeof *x);
        else
            golden_problem(o, "%s: %lld values, %zu expected", name, (long long)count, p->count);
        free(x);
    }
    return !o->problem[0];
}

void golden_compare_buffers(golden_out *o, const ecg_tensors *file, const ecg_params *table, const char *prefix, double tolerance)
{
    for (int i = 0; i < table->n; i++) {
        const ecg_param *p = &table->row[i];
        char name[128];
        if (!(p->flags & ECG_P_BUFFER))
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, p->name);
        golden_compare_f(o, file, name, ecg_value(table, i), (int64_t)p->count, tolerance);
    }
}

/* Largest absolute value of a tensor, infinite with a NAN in it; 0 and a problem if there is none. */
static double largest_of(golden_out *o, const ecg_tensors *file, const char *name)
{
    int64_t n = 0;
    double *x = golden_double(o, file, name, &n), largest = 0;
    for (int64_t i = 0; x && i < n; i++)
        largest = isnan(x[i]) ? INFINITY : fmax(largest, fabs(x[i]));
    free(x);
    return largest;
}

/* A comparison with a scale of its own: keeps the worst as golden_compare_d does. */
static void keep(golden_out *o, const char *name, double error, double tolerance)
{
    tolerance = golden_allowed(o, name, tolerance);
    if (!o->compared || !(error / tolerance <= o->error / o->tolerance)) {
        snprintf(o->worst, sizeof o->worst, "%.95s", name);
        o->error = isnan(error) ? INFINITY : error;
        o->tolerance = tolerance;
    }
    o->compared++;
}

/* A gradient that is zero by symmetry: small against the scale of the others. */
static void compare_noise(golden_out *o, const ecg_tensors *file, const char *name, const float *got, size_t count, double scale, double tolerance)
{
    double worst = 0;
    const ecg_tensor *t = ecg_tensors_find(file, name);
    if (t && (size_t)t->count != count)
        golden_problem(o, "%s: %lld values, %zu computed", name, (long long)t->count, count);
    for (size_t i = 0; i < count; i++)
        worst = isnan(got[i]) ? INFINITY : fmax(worst, fabs((double)got[i]));
    keep(o, name, worst / scale, tolerance);
}

void golden_compare_gradients(golden_out *o, const ecg_tensors *file, const ecg_params *table, double tolerance)
{
    double scale = 0;
    char name[128];
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < table->n; i++) {
            const ecg_param *p = &table->row[i];
            if (p->flags & ECG_P_BUFFER)
                continue;
            snprintf(name, sizeof name, "grad/%s", p->name);
            const double largest = largest_of(o, file, name);
            if (pass == 0)
                scale = fmax(scale, largest);
            else if (largest < 1e-9 * scale)
                compare_noise(o, file, name, ecg_grad(table, i), p->count, scale, tolerance);
            else
                golden_compare_f(o, file, name, ecg_grad(table, i), (int64_t)p->count, tolerance);
        }
}

int golden_list(golden_out *o, const ecg_tensors *file, const char *key, double *out, int room)
{
    const char *text = ecg_tensors_meta(file, key);
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    int n = 0;
    if (!json_is_array(list))
        golden_problem(o, "metadata %s is no list", key);
    for (; n < room && (size_t)n < json_array_size(list); n++)
        out[n] = json_number_value(json_array_get(list, (size_t)n));
    json_decref(list);
    return n;
}

int golden_dim(golden_out *o, const ecg_tensors *file, const char *name, int axis)
{
    const ecg_tensor *t = ecg_tensors_find(file, name);
    if (!t || axis >= t->rank) {
        golden_problem(o, "no tensor %s with an axis %d", name, axis);
        return -1;
    }
    if (t->dim[axis] < 1 || t->dim[axis] > INT_MAX) {
        golden_problem(o, "%s: an axis of %lld", name, (long long)t->dim[axis]);
        return -1;
    }
    return (int)t->dim[axis];
}

int32_t *golden_categories(golden_out *o, const ecg_tensors *file, const char *name, int B, int columns, const int *vocabulary)
{
    int64_t n = 0;
    double *x = golden_double(o, file, name, &n);
    int32_t *c = calloc((size_t)n + 1, sizeof *c);
    if (n != (int64_t)B * columns)
        golden_problem(o, "%s: %lld values, %lld expected", name, (long long)n, (long long)B * columns);
    for (int64_t i = 0; x && c && i < n && !o->problem[0]; i++) {
        if (!(x[i] >= 0 && x[i] < vocabulary[i % columns]))
            golden_problem(o, "%s: index %g of %d", name, x[i], vocabulary[i % columns]);
        else
            c[i] = (int32_t)x[i];
    }
    free(x);
    if (!o->problem[0])
        return c;
    free(c);
    return NULL;
}

float *golden_room(golden_out *o, size_t floats)
{
    float *x = calloc(floats ? floats : 1, sizeof *x);
    if (!x)
        golden_problem(o, "out of memory");
    return x;
}

void golden_compare_projection(golden_out *o, const ecg_tensors *file, const float *y, const float *W, size_t n, double tolerance)
{
    double sum = 0, square = 0;
    int64_t count = 0;
    double *want = golden_double(o, file, "loss", &count);
    if (want && count != 1)
        golden_problem(o, "loss: %lld values, 1 computed", (long long)count);
    for (size_t i = 0; i < n; i++) {
        sum += (double)y[i] * (double)W[i];
        square += (double)y[i] * (double)W[i] * (double)y[i] * (double)W[i];
    }
    if (want && count == 1)
        keep(o, "loss", fabs(sum - *want) / fmax(fabs(*want), sqrt(square)), tolerance);
    free(want);
}
