/* SPDX-License-Identifier: MIT
 * weights.c: see weights.h. */
#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16, LARGEST = 127 }; /* values looked at together; steps of an int8 to each side */

static bool may_shrink(const ecg_param *p)
{
    return p->rank == 2 && p->dim[0] >= ECG_WEIGHTS_SIDE && p->dim[1] >= ECG_WEIGHTS_SIDE && !(p->flags & ECG_P_BUFFER);
}

static const char *scale_name(char out[112], const ecg_param *p)
{
    snprintf(out, 112, "%s.scale", p->name);
    return out;
}

/* ---- saving ---------------------------------------------------------------------------------------------------------------------- */

/* To the nearest, halves to even; what would round to infinity becomes the largest bf16. Values are finite. */
static uint16_t to_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    const uint32_t near = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (uint16_t)((near & 0x7fff) == 0x7f80 ? near - 1 : near);
}

static ecg_status save_bf16(const ecg_param *p, const float *x, ecg_tensorsw *w, ecg_err *err)
{
    uint16_t *half = malloc(p->count * sizeof *half);
    if (!half)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %s", p->name);
    for (size_t i = 0; i < p->count; i++)
        half[i] = to_bf16(x[i]);
    const ecg_status st = ecg_tensorsw_put(w, p->name, ECG_BF16, p->rank, p->dim, half, err);
    free(half);
    return st;
}

static ecg_status save_int8(const ecg_param *p, const float *x, ecg_tensorsw *w, ecg_err *err)
{
    const size_t rows = (size_t)p->dim[0], columns = (size_t)p->dim[1];
    char name[112];
    int8_t *q = malloc(p->count);
    float *scale = malloc(rows * sizeof *scale);
    ecg_status st = q && scale ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %s", p->name);
    for (size_t r = 0; r < rows && !st; r++) {
        float most = 0;
        for (size_t c = 0; c < columns; c++)
            most = fmaxf(most, fabsf(x[r * columns + c]));
        scale[r] = most / LARGEST;
        for (size_t c = 0; c < columns; c++)
            q[r * columns + c] = scale[r] > 0 ? (int8_t)lrintf(x[r * columns + c] / scale[r]) : 0;
    }
    if (!st)
        st = ecg_tensorsw_put(w, scale_name(name, p), ECG_F32, 1, p->dim, scale, err);
    if (!st)
        st = ecg_tensorsw_put(w, p->name, ECG_I8, p->rank, p->dim, q, err);
    free(q);
    free(scale);
    return st;
}

ecg_status ecg_weights_save(const ecg_params *t, ecg_tensorsw *w, ecg_weights weights, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int i = 0; i < t->n && !st; i++) {
        const ecg_param *p = &t->row[i];
        const float *x = ecg_value(t, i);
        if (!weights || !may_shrink(p))
            st = ecg_tensorsw_put(w, p->name, ECG_F32, p->rank, p->dim, x, err);
        else
            st = weights == ECG_WEIGHTS_BF16 ? save_bf16(p, x, w, err) : save_int8(p, x, w, err);
    }
    return st;
}

/* ---- loading --------------------------------------------------------------------------------------------------------------------- */

static ecg_status check_floats(const char *name, const float *x, int64_t n, ecg_err *err)
{
    int64_t i = 0;
    for (int wrong = 0; i + LANES <= n && !wrong; i += wrong ? 0 : LANES) /* an exponent of ones: infinite or no number */
        for (int j = 0; j < LANES; j++) {
            uint32_t u;
            memcpy(&u, &x[i + j], sizeof u);
            wrong |= (u & 0x7f800000) == 0x7f800000;
        }
    for (; i < n; i++)
        if (!isfinite(x[i]))
            return ecg_fail(err, ECG_EDATA, "%s holds %g at index %" PRId64, name, (double)x[i], i);
    return ECG_OK;
}

static ecg_status check_halves(const char *name, const uint16_t *x, int64_t n, ecg_err *err)
{
    for (int64_t i = 0; i < n; i++)
        if ((x[i] & 0x7f80) == 0x7f80)
            return ecg_fail(err, ECG_EDATA, "%s holds no finite value at index %" PRId64, name, i);
    return ECG_OK;
}

static ecg_status check_scales(const ecg_param *p, const ecg_tensors *file, ecg_err *err)
{
    char name[112];
    const ecg_tensor *t;
    ecg_status st = ecg_tensors_need(file, &t, scale_name(name, p), ECG_F32, 1, p->dim, err);
    if (!st)
        st = check_floats(name, t->data, t->count, err);
    const float *scale = st ? NULL : t->data;
    for (int64_t r = 0; !st && r < t->count; r++)
        if (!(scale[r] >= 0 && isfinite(scale[r] * 128)))
            st = ecg_fail(err, ECG_EDATA, "%s holds %g at index %" PRId64, name, (double)scale[r], r);
    return st;
}

ecg_status ecg_weights_check(const ecg_param *p, const ecg_tensors *file, ecg_err *err)
{
    const ecg_tensor *t = ecg_tensors_find(file, p->name);
    const bool small = t && (t->dtype == ECG_BF16 || t->dtype == ECG_I8) && may_shrink(p);
    const ecg_status st = ecg_tensors_need(file, &t, p->name, small ? t->dtype : ECG_F32, p->rank, p->dim, err);
    if (st)
        return st;
    if (t->dtype == ECG_F32)
        return check_floats(p->name, t->data, t->count, err);
    return t->dtype == ECG_BF16 ? check_halves(p->name, t->data, t->count, err) : check_scales(p, file, err);
}

void ecg_weights_take(float *to, const ecg_param *p, const ecg_tensors *file)
{
    const ecg_tensor *t = ecg_tensors_find(file, p->name);
    if (t->dtype == ECG_F32) {
        memcpy(to, t->data, t->bytes);
    } else if (t->dtype == ECG_BF16) {
        const uint16_t *half = t->data;
        for (size_t i = 0; i < p->count; i++) {
            const uint32_t u = (uint32_t)half[i] << 16;
            memcpy(to + i, &u, sizeof u);
        }
    } else {
        char name[112];
        const float *scale = ecg_tensors_find(file, scale_name(name, p))->data;
        const int8_t *q = t->data;
        const size_t columns = (size_t)p->dim[1];
        for (size_t i = 0; i < p->count; i++)
            to[i] = (float)q[i] * scale[i / columns];
    }
}
