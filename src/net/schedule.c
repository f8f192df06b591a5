/* SPDX-License-Identifier: MIT
 * schedule.c: learning-rate schedules, as odd as the reference's (golden i2): a warm-up over w steps is (step + 1) / (w + 1), so the first step
 * has a rate, but the schedule with restarts starts at 0 with step / w; the inverse square root is sqrt(w / step) after it. */
#include "net/adamw.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

static const double poly_floor = 1e-4; /* the polynomial ends at 1e-7 on a base rate of 1e-3 and stays there */

static double positive(double x)
{
    return x > 0 ? x : 0;
}

double ecg_lr_factor_of(ecg_lr_kind kind, double shape, int64_t step, int64_t warmup, int64_t total)
{
    const double pi = 3.14159265358979323846;
    const double s = (double)step, w = (double)warmup, n = (double)total;
    const double done = n > w ? (s - w) / (n - w) : 1; /* 0 at the end of the warm-up, 1 at the end */

    if (kind == ECG_LR_CONST)
        return 1;
    if (kind == ECG_LR_LINEAR)
        return n > 0 ? positive((n - s) / n) : 0;
    if (s < w)
        return kind == ECG_LR_COS_RESTART ? s / w : (s + 1) / (w + 1);
    switch (kind) {
    case ECG_LR_WARMUP_LINEAR: return positive(1 - done);
    case ECG_LR_COS: return positive(0.5 * (1 + cos(pi * done)));
    case ECG_LR_COS_RESTART: return done >= 1 ? 0 : positive(0.5 * (1 + cos(pi * fmod(shape * done, 1))));
    case ECG_LR_INVSQRT: return s > 0 ? sqrt((w > 0 ? w : 1) / s) : 1;
    case ECG_LR_POLY: return done >= 1 ? poly_floor : (1 - poly_floor) * pow(1 - done, shape) + poly_floor;
    default: return 1;
    }
}

double ecg_lr_factor(ecg_lr_kind kind, int64_t step, int64_t warmup, int64_t total)
{
    return ecg_lr_factor_of(kind, kind == ECG_LR_COS_RESTART ? 3 : 1, step, warmup, total);
}

/* Letters of the name before its last number. */
static size_t stem(const char *name)
{
    size_t n = strlen(name);
    while (n && strchr("0123456789.", name[n - 1]))
        n--;
    return n;
}

ecg_lr_kind ecg_lr_from_name(const char *name, bool *known)
{
    static const struct {
        const char *name;
        ecg_lr_kind kind;
        bool shaped;
    } kinds[] = {
        {"const", ECG_LR_CONST, false},
        {"linear_nowarmup", ECG_LR_LINEAR, false},
        {"linear_warmup", ECG_LR_WARMUP_LINEAR, false},
        {"warmup_const", ECG_LR_WARMUP_CONST, false},
        {"warmup_cos_halfcycle", ECG_LR_COS, false},
        {"warmup_cos_restart", ECG_LR_COS_RESTART, true},
        {"warmup_invsqrt", ECG_LR_INVSQRT, false},
        {"warmup_poly_power", ECG_LR_POLY, true},
    };
    const size_t n = stem(name);
    *known = true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i].name) == n && strncmp(kinds[i].name, name, n) == 0 && kinds[i].shaped == (name[n] != 0))
            return kinds[i].kind;
    *known = false;
    return ECG_LR_CONST;
}

double ecg_lr_shape(const char *name)
{
    const char *number = name + stem(name);
    double shape = 0;
    ecg_parse_double(&shape, number, strlen(number));
    return shape;
}
