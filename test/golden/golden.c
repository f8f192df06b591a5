/* SPDX-License-Identifier: MIT
 * golden.c: runs every golden file of the folders given, a line per case: ok or FAIL, file, worst tensor, error, tolerance.
 * --bf16 first: the encoders alone (letters c, d, n), their wide products in bf16. */
#include "golden.h"

#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define WEAK __attribute__((weak))
extern golden_case golden_a WEAK, golden_b WEAK, golden_c WEAK, golden_l WEAK, golden_n WEAK, golden_e WEAK, golden_f WEAK, golden_g WEAK,
    golden_h WEAK, golden_i WEAK, golden_m WEAK, golden_j WEAK, golden_k WEAK;

static golden_case *case_of(char letter)
{
    switch (letter) {
    case 'a': return golden_a;
    case 'b': return golden_b;
    case 'c':
    case 'd': return golden_c;
    case 'e': return golden_e;
    case 'f': return golden_f;
    case 'g': return golden_g;
    case 'h': return golden_h;
    case 'i': return golden_i;
    case 'j': return golden_j;
    case 'k': return golden_k;
    case 'l': return golden_l;
    case 'm': return golden_m;
    case 'n': return golden_n;
    default: return NULL;
    }
}

void golden_problem(golden_out *o, const char *fmt, ...)
{
    if (o->problem[0])
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(o->problem, sizeof o->problem, fmt, args);
    va_end(args);
}

double *golden_double(golden_out *o, const ecg_tensors *file, const char *name, int64_t *count)
{
    const ecg_tensor *t = ecg_tensors_find(file, name);
    if (!t) {
        golden_problem(o, "no tensor %s", name);
        return NULL;
    }
    double *x = malloc(sizeof *x * (size_t)(t->count ? t->count : 1));
    for (int64_t i = 0; x && i < t->count; i++)
        switch (t->dtype) {
        case ECG_F64: x[i] = ((const double *)t->data)[i]; break;
        case ECG_F32: x[i] = ((const float *)t->data)[i]; break;
        case ECG_I64: x[i] = (double)((const int64_t *)t->data)[i]; break;
        case ECG_I32: x[i] = ((const int32_t *)t->data)[i]; break;
        case ECG_I16: x[i] = ((const int16_t *)t->data)[i]; break;
        case ECG_I8: x[i] = ((const int8_t *)t->data)[i]; break;
        case ECG_U8:
        case ECG_BOOL: x[i] = ((const uint8_t *)t->data)[i]; break;
        default: golden_problem(o, "%s: dtype %s", name, ecg_dtype_name(t->dtype)); x[i] = 0;
        }
    if (count)
        *count = t->count;
    return x;
}

float *golden_float(golden_out *o, const ecg_tensors *file, const char *name, int64_t *count)
{
    int64_t n = 0;
    double *x = golden_double(o, file, name, &n);
    float *y = x ? malloc(sizeof *y * (size_t)(n ? n : 1)) : NULL;
    for (int64_t i = 0; y && i < n; i++)
        y[i] = (float)x[i];
    free(x);
    if (count)
        *count = n;
    return y;
}

float *golden_floats(golden_out *o, const ecg_tensors *file, const char *name, int64_t expected)
{
    int64_t n = 0;
    float *x = golden_float(o, file, name, &n);
    if (!x || n == expected)
        return x;
    golden_problem(o, "%s: %lld values, %lld expected", name, (long long)n, (long long)expected);
    free(x);
    return NULL;
}

double golden_number(golden_out *o, const ecg_tensors *file, const char *key)
{
    const char *text = ecg_tensors_meta(file, key);
    double x = 0;
    if (!text || !ecg_parse_double(&x, text, strlen(text)))
        golden_problem(o, "metadata %s is no number", key);
    return x;
}

double golden_allowed(const golden_out *o, const char *name, double tolerance)
{
    if (!o->bf16 || strncmp(name, "first_values/", 13) == 0)
        return tolerance;
    return strncmp(name, "grad", 4) == 0 || strcmp(name, "dx") == 0 ? 2e-2 : 4e-3; /* what comes back was rounded three times a block */
}

void golden_compare_d(golden_out *o, const ecg_tensors *file, const char *name, const double *got, int64_t count, double tolerance)
{
    int64_t n = 0;
    double *want = golden_double(o, file, name, &n), largest = 0, worst = 0;
    if (!want)
        return;
    if (n != count || !n)
        golden_problem(o, "%s: %lld values, %lld computed", name, (long long)n, (long long)count);
    for (int64_t i = 0; i < n && i < count; i++) {
        if (isfinite(want[i]))
            largest = fmax(largest, fabs(want[i]));
        if (isnan(want[i]) != isnan(got[i]))
            worst = INFINITY;
        else if (!isnan(want[i]))
            worst = fmax(worst, isinf(want[i]) && want[i] == got[i] ? 0 : fabs(want[i] - got[i]));
        if (isnan(worst))
            worst = INFINITY;
    }
    const double error = worst > 0 ? worst / (largest > 0 ? largest : 1) : 0;
    tolerance = golden_allowed(o, name, tolerance);
    if (!o->compared || error / tolerance > o->error / o->tolerance) {
        snprintf(o->worst, sizeof o->worst, "%s", name);
        o->error = error;
        o->tolerance = tolerance;
    }
    o->compared++;
    free(want);
}

void golden_compare_f(golden_out *o, const ecg_tensors *file, const char *name, const float *got, int64_t count, double tolerance)
{
    double *x = malloc(sizeof *x * (size_t)(count ? count : 1));
    if (!x)
        abort();
    for (int64_t i = 0; i < count; i++)
        x[i] = got[i];
    golden_compare_d(o, file, name, x, count, tolerance);
    free(x);
}

static int is_golden(const struct dirent *d)
{
    const size_t n = strlen(d->d_name);
    return n > 12 && strcmp(d->d_name + n - 12, ".safetensors") == 0;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0, skipped = 0;
    const bool bf16 = argc > 1 && strcmp(argv[1], "--bf16") == 0;
    for (int a = bf16 ? 2 : 1; a < argc; a++) {
        struct dirent **list = NULL;
        const int n = scandir(argv[a], &list, is_golden, alphasort);
        if (n < 0) {
            printf("skip %s: no such folder\n", argv[a]);
            skipped++;
        } else if (n == 0) {
            printf("skip %s: no file *.safetensors in it\n", argv[a]);
            skipped++;
        }
        for (int i = 0; i < n; i++) {
            char path[1024];
            ecg_tensors *file = NULL;
            ecg_err err = {0};
            golden_out o = {.bf16 = bf16};
            if (bf16 && !strchr("cdn", list[i]->d_name[0])) {
                free(list[i]);
                continue;
            }
            snprintf(path, sizeof path, "%s/%s", argv[a], list[i]->d_name);
            golden_case *run = case_of(list[i]->d_name[0]);
            if (!run) {
                golden_problem(&o, "no case for the letter %c", list[i]->d_name[0]);
            } else if (ecg_tensors_open(&file, path, &err)) {
                golden_problem(&o, "%s", err.msg);
            } else {
                run(&o, file);
                if (!o.compared)
                    golden_problem(&o, "nothing compared");
            }
            const int ok = !o.problem[0] && o.error <= o.tolerance;
            if (o.problem[0])
                printf("FAIL %s %s\n", list[i]->d_name, o.problem);
            else
                printf("%s %s %s %.3g %.3g\n", ok ? "ok" : "FAIL", list[i]->d_name, o.worst, o.error, o.tolerance);
            ok ? passed++ : failed++;
            ecg_tensors_close(file);
            free(list[i]);
        }
        free(list);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed ? 1 : 0;
}
