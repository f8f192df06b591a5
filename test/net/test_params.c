/* SPDX-License-Identifier: MIT
 * test_params.c: the parameter table (layout, initial values, freezing, files), dropout's draws, AdamW and the schedules. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "net/adamw.h"
#include "net/dropout.h"

static int declare(ecg_params *t, const char *name, int64_t rows, int64_t columns, unsigned flags, ecg_init init, float scale)
{
    const int64_t dim[2] = {rows, columns};
    const int row = ecg_params_declare(t, "a.", name, columns ? 2 : 1, dim, flags, init, scale);
    assert_true(row >= 0);
    return row;
}

/* Four rows: a matrix, its bias, a buffer, a vector of the other group. */
static void small_table(ecg_params *t)
{
    *t = (ecg_params){0};
    declare(t, "0.weight", 5, 3, 0, ECG_INIT_UNIFORM, 0.5f);
    declare(t, "0.bias", 5, 0, 0, ECG_INIT_NORMAL, 1);
    declare(t, "1.running_var", 5, 0, ECG_P_BUFFER, ECG_INIT_ONE, 0);
    t->row[declare(t, "2.weight", 7, 0, 0, ECG_INIT_UNIFORM, 1)].group = 1;
    assert_int_equal(ecg_params_alloc(t, true, NULL), ECG_OK);
    ecg_params_init(t, 17);
}

static void test_layout(void **state)
{
    ecg_params t;
    const int64_t five[5] = {1, 1, 1, 1, 1}, negative[1] = {-1}, vast[2] = {INT64_MAX, INT64_MAX};
    char name[128];
    (void)state;
    small_table(&t);
    for (int i = 0; i < t.n; i++)
        assert_int_equal(t.row[i].at % 16, 0);
    assert_int_equal(t.floats, 64);
    assert_int_equal(t.row[1].group, 0);
    assert_int_equal((uintptr_t)t.value % 64, 0);
    assert_int_equal(ecg_params_find(&t, "a.1.running_var"), 2);
    assert_int_equal(ecg_params_find(&t, "a.1"), -1);
    memset(name, 'x', sizeof name);
    name[127] = 0;
    assert_int_equal(ecg_params_declare(&t, "", name, 1, five, 0, ECG_INIT_ZERO, 0), -1);
    assert_int_equal(ecg_params_declare(&t, "", "rank", 5, five, 0, ECG_INIT_ZERO, 0), -1);
    assert_int_equal(ecg_params_declare(&t, "", "negative", 1, negative, 0, ECG_INIT_ZERO, 0), -1);
    assert_int_equal(ecg_params_declare(&t, "", "vast", 2, vast, 0, ECG_INIT_ZERO, 0), -1);
    assert_int_equal(t.n, 4);
    ecg_params_clear(&t);
    assert_null(t.value);

    for (int i = 0; i < 200; i++) /* the list of rows grows */
        assert_int_equal(ecg_params_declare(&t, "", "row", 1, five, 0, ECG_INIT_ZERO, 0), i);
    assert_int_equal(ecg_params_alloc(&t, false, NULL), ECG_OK);
    assert_true(t.value && !t.grad && !t.m && !t.v);
    ecg_params_clear(&t);
}

static double uniform_of(uint32_t word)
{
    return (word + 0.5) * 0x1p-32;
}

static void test_initial_values(void **state)
{
    enum { MANY = (1 << 22) + 5 };
    ecg_params t = {0};
    uint32_t word[4], counter[4] = {0, ECG_STREAM_INIT, 0, 0}, key[2] = {0x9abcdef0u, 0x12345678u};
    const uint64_t seed = 0x123456789abcdef0u;
    (void)state;
    declare(&t, "uniform", 100, 100, 0, ECG_INIT_UNIFORM, 0.25f);
    declare(&t, "normal", 10000, 0, 0, ECG_INIT_NORMAL, 2);
    declare(&t, "one", 9, 0, ECG_P_BUFFER, ECG_INIT_ONE, 0);
    declare(&t, "layer", 3, 0, 0, ECG_INIT_LAYER, 0);
    declare(&t, "many", MANY, 0, 0, ECG_INIT_UNIFORM, 1);
    assert_int_equal(ecg_params_alloc(&t, false, NULL), ECG_OK);
    ecg_value(&t, 3)[1] = 42;
    ecg_params_init(&t, seed);

    ecg_philox(word, counter, key);
    for (int i = 0; i < 4; i++)
        assert_true(ecg_value(&t, 0)[i] == (float)(0.25 * (2 * uniform_of(word[i]) - 1)));
    counter[0] = 1u << 20;
    ecg_philox(word, counter, key);
    assert_true(ecg_value(&t, 1)[0] ==
                (float)(2 * (sqrt(-2 * ecg_log(uniform_of(word[0]))) * ecg_cos(2 * 3.14159265358979323846 * uniform_of(word[1])))));
    counter[0] = 4u << 20;
    counter[2] = 1; /* the tensor's 2^20 blocks are used up */
    ecg_philox(word, counter, key);
    assert_true(ecg_value(&t, 4)[1 << 22] == (float)(2 * uniform_of(word[0]) - 1));
    assert_true(ecg_value(&t, 2)[8] == 1 && ecg_value(&t, 3)[1] == 42);

    double u = 0, uu = 0, n = 0, nn = 0;
    for (int i = 0; i < 10000; i++) {
        const double a = (double)ecg_value(&t, 0)[i], b = (double)ecg_value(&t, 1)[i];
        assert_true(fabs(a) <= 0.25);
        u += a / 1e4, uu += a * a / 1e4, n += b / 1e4, nn += b * b / 1e4;
    }
    /* four standard errors of the mean and of the second moment */
    assert_true(fabs(u) < 4 * 0.25 / sqrt(3e4) && fabs(uu - 0.0625 / 3) < 4 * 0.0625 * sqrt(4.0 / 45) / 100);
    assert_true(fabs(n) < 4 * 2.0 / 100 && fabs(nn - 4) < 4 * 4 * sqrt(2) / 100);

    const float keep = ecg_value(&t, 1)[77];
    ecg_value(&t, 1)[77] = 0;
    ecg_params_init_row(&t, 1, seed);
    assert_true(ecg_value(&t, 1)[77] == keep);
    ecg_params_init_row(&t, 1, seed + 1);
    assert_true(ecg_value(&t, 1)[77] != keep);
    ecg_params_clear(&t);
}

static void test_freeze_and_norm(void **state)
{
    ecg_params t;
    (void)state;
    small_table(&t);
    for (size_t i = 0; i < t.floats; i++)
        t.grad[i] = 2; /* padding and buffers too: they do not count */
    assert_true(fabs(ecg_params_grad_norm(&t) - 2 * sqrt(15 + 5 + 7)) < 1e-12);
    assert_int_equal(ecg_params_freeze(&t, "a.0.", true), 2);
    assert_true(fabs(ecg_params_grad_norm(&t) - 2 * sqrt(7)) < 1e-12);
    assert_int_equal(ecg_params_freeze(&t, "b.", true), 0);
    assert_int_equal(ecg_params_freeze(&t, "a.0.bias", false), 1);
    assert_true(fabs(ecg_params_grad_norm(&t) - 2 * sqrt(5 + 7)) < 1e-12);
    assert_int_equal(ecg_params_freeze(&t, "", true), 4);
    assert_true(t.row[2].flags == (ECG_P_BUFFER | ECG_P_FROZEN));
    ecg_params_zero_grad(&t);
    assert_true(t.grad[0] == 0 && t.grad[t.floats - 1] == 0);
    ecg_params_clear(&t);
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    char folder[64], path[96];
} place;

static void place_new(place *p)
{
    snprintf(p->folder, sizeof p->folder, "/tmp/ecg_params_XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->path, sizeof p->path, "%s/t.safetensors", p->folder);
}

static void place_clear(const place *p)
{
    unlink(p->path);
    rmdir(p->folder);
}

static void save(const ecg_params *t, const place *p)
{
    ecg_tensorsw *w = NULL;
    assert_int_equal(ecg_tensorsw_create(&w, p->path, 1 << 16, NULL), ECG_OK);
    assert_int_equal(ecg_params_save(t, w, "", t->value, NULL), ECG_OK);
    assert_int_equal(ecg_params_save(t, w, "m/", t->m, NULL), ECG_OK);
    assert_int_equal(ecg_tensorsw_commit(w, NULL), ECG_OK);
}

static void test_round_trip(void **state)
{
    ecg_params t, back;
    ecg_tensors *file = NULL;
    place p;
    (void)state;
    place_new(&p);
    small_table(&t);
    small_table(&back);
    for (size_t i = 0; i < t.row[3].count; i++)
        ecg_value(&t, 3)[i] = (float)i / 7, t.m[t.row[3].at + i] = -(float)i;
    t.value[0] = -0.0f;
    save(&t, &p);
    memset(back.value, 0x55, back.floats * sizeof *back.value);
    assert_int_equal(ecg_tensors_open(&file, p.path, NULL), ECG_OK);
    assert_int_equal(ecg_tensors_count(file), 8);
    assert_int_equal(ecg_params_load(&back, file, "", "", back.value, NULL), ECG_OK);
    assert_int_equal(ecg_params_load(&back, file, "", "m/", back.m, NULL), ECG_OK);
    for (int i = 0; i < t.n; i++) {
        assert_memory_equal(ecg_value(&t, i), ecg_value(&back, i), t.row[i].count * sizeof(float));
        assert_memory_equal(t.m + t.row[i].at, back.m + t.row[i].at, t.row[i].count * sizeof(float));
    }
    const ecg_tensor *weight = ecg_tensors_find(file, "a.0.weight");
    assert_true(weight && weight->rank == 2 && weight->dim[0] == 5 && weight->dim[1] == 3);
    ecg_tensors_close(file);
    ecg_params_clear(&t);
    ecg_params_clear(&back);
    place_clear(&p);
}

static void test_files_that_do_not_fit(void **state)
{
    static const struct {
        const char *why, *name;
        int64_t rows, columns;
        const char *prefix, *message; /* NULL: loads */
    } cases[] = {
        {"a tensor is missing", "3.weight", 4, 0, "", "no tensor a.3.weight"},
        {"but nobody asked for it", "3.weight", 4, 0, "a.0.", NULL},
        {"another length", "0.bias", 6, 0, "", "a.0.bias is (5), (6) expected"},
        {"another rank", "0.weight", 15, 0, "a.", "a.0.weight is (5, 3), (15) expected"},
        {"transposed", "0.weight", 3, 5, "a.0.w", "a.0.weight is (5, 3), (3, 5) expected"},
    };
    ecg_params t;
    place p;
    (void)state;
    place_new(&p);
    small_table(&t);
    save(&t, &p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_params want = {0};
        ecg_tensors *file = NULL;
        ecg_err err = {0};
        declare(&want, cases[i].name, cases[i].rows, cases[i].columns, 0, ECG_INIT_ZERO, 0);
        assert_int_equal(ecg_params_alloc(&want, false, NULL), ECG_OK);
        assert_int_equal(ecg_tensors_open(&file, p.path, NULL), ECG_OK);
        const ecg_status st = ecg_params_load(&want, file, cases[i].prefix, "", want.value, &err);
        if (st != (cases[i].message ? ECG_ECONTRACT : ECG_OK) || strcmp(err.msg, cases[i].message ? cases[i].message : "") != 0)
            fail_msg("%s: status %d, \"%s\"", cases[i].why, (int)st, err.msg);
        ecg_tensors_close(file);
        ecg_params_clear(&want);
    }

    ecg_tensorsw *w = NULL;
    ecg_tensors *file = NULL;
    ecg_err err = {0};
    const double bias[5] = {0};
    const int64_t dim[1] = {5};
    ecg_params want = {0};
    declare(&want, "0.bias", 5, 0, 0, ECG_INIT_ZERO, 0);
    assert_int_equal(ecg_params_alloc(&want, false, NULL), ECG_OK);
    assert_int_equal(ecg_tensorsw_create(&w, p.path, 1 << 12, NULL), ECG_OK);
    assert_int_equal(ecg_tensorsw_put(w, "a.0.bias", ECG_F64, 1, dim, bias, NULL), ECG_OK);
    assert_int_equal(ecg_tensorsw_commit(w, NULL), ECG_OK);
    assert_int_equal(ecg_tensors_open(&file, p.path, NULL), ECG_OK);
    assert_int_equal(ecg_params_load(&want, file, "", "", want.value, &err), ECG_ECONTRACT);
    assert_string_equal(err.msg, "a.0.bias is F64, F32 expected");
    ecg_tensors_close(file);
    ecg_params_clear(&want);
    ecg_params_clear(&t);
    place_clear(&p);
}

/* ---- dropout ----------------------------------------------------------------------------------------------------------------------- */

static void test_dropout(void **state)
{
    enum { WIDTH = 4000 };
    static float a[WIDTH], b[WIDTH];
    const uint32_t row[2] = {5, 9}, other[1] = {9};
    const ecg_dropout d = {.seed = 3, .step = 7, .row = row}, alone = {.seed = 3, .step = 7, .row = other};
    uint32_t word[4];
    const uint32_t counter[4] = {66u << 20, ECG_STREAM_DROPOUT, 9, 7}, key[2] = {3, 0};
    (void)state;
    ecg_dropout_scale(a, &d, 1, 66, WIDTH, 0.25f);
    ecg_philox(word, counter, key);
    for (int i = 0; i < 4; i++)
        assert_true(a[i] == (uniform_of(word[i]) < 0.75 ? (float)(1 / 0.75) : 0));
    int kept = 0;
    for (int i = 0; i < WIDTH; i++)
        kept += a[i] > 0;
    assert_true(abs(kept - 3000) < 4 * 28); /* four standard deviations */

    ecg_dropout_scale(b, &alone, 0, 66, WIDTH, 0.25f);
    assert_memory_equal(a, b, sizeof a); /* the cohort row counts, not the place in the batch */
    ecg_dropout_scale(b, &d, 0, 66, WIDTH, 0.25f);
    assert_memory_not_equal(a, b, sizeof a);
    ecg_dropout_scale(b, &d, 1, 67, WIDTH, 0.25f);
    assert_memory_not_equal(a, b, sizeof a);

    const uint8_t mask[6] = {1, 1, 1, 0, 1, 0};
    const uint8_t *const recorded[3] = {NULL, NULL, mask};
    const ecg_dropout replay = {.recorded = recorded, .row = row};
    ecg_dropout_scale(b, &replay, 1, 2, 3, 0.5f);
    assert_true(b[0] == 0 && b[1] == 2 && b[2] == 0);
    ecg_dropout_scale(b, NULL, 1, 2, 3, 0.5f);
    assert_true(b[0] == 1 && b[1] == 1 && b[2] == 1);
    ecg_dropout_scale(b, &d, 1, 2, 3, 0);
    assert_true(b[0] == 1 && b[1] == 1 && b[2] == 1);
}

/* ---- AdamW, schedules -------------------------------------------------------------------------------------------------------------- */

static const ecg_adamw opt = {.lr = {1e-3, 1e-2}, .decay = {1e-2, 0}, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};

/* A table whose second row crosses the ranges that a step is cut into. */
static void large_table(ecg_params *t)
{
    *t = (ecg_params){0};
    declare(t, "small", 3, 0, 0, ECG_INIT_NORMAL, 1);
    t->row[declare(t, "large", 70001, 0, 0, ECG_INIT_NORMAL, 1)].group = 1;
    declare(t, "frozen", 20, 0, ECG_P_FROZEN, ECG_INIT_NORMAL, 1);
    declare(t, "buffer", 20, 0, ECG_P_BUFFER, ECG_INIT_NORMAL, 1);
    declare(t, "last", 5, 5, 0, ECG_INIT_NORMAL, 1);
    assert_int_equal(ecg_params_alloc(t, true, NULL), ECG_OK);
    ecg_params_init(t, 3);
}

static void gradients(ecg_params *t, int step)
{
    ecg_rng r;
    ecg_rng_open(&r, 1, 0, 1, (uint32_t)step, 0);
    for (int i = 0; i < t->n; i++)
        for (size_t k = 0; k < t->row[i].count; k++)
            ecg_grad(t, i)[k] = (float)(ecg_rng_normal(&r) * (k % 7 ? 1 : 1e-6));
}

static void test_adamw(void **state)
{
    static const char *const levels[] = {"ref", "avx2", "avx512"};
    (void)state;
    for (int l = 0; l < 3; l++) {
        const ecg_exec exec = {.k = ecg_kernels_pick(levels[l])};
        ecg_params t;
        if (!exec.k)
            continue;
        large_table(&t);
        double *p = calloc(t.floats, sizeof *p), *m = calloc(t.floats, sizeof *m), *v = calloc(t.floats, sizeof *v);
        assert_true(p && m && v);
        for (size_t i = 0; i < t.floats; i++)
            p[i] = (double)t.value[i];
        for (int step = 1; step <= 10; step++) {
            gradients(&t, step);
            ecg_adamw_step(&t, &opt, step, &exec);
            for (int i = 0; i < t.n; i++)
                for (size_t k = t.row[i].at; k < t.row[i].at + t.row[i].count && !t.row[i].flags; k++) {
                    const double g = (double)t.grad[k], lr = opt.lr[t.row[i].group];
                    p[k] *= 1 - lr * opt.decay[t.row[i].group];
                    m[k] = 0.9 * m[k] + 0.1 * g;
                    v[k] = 0.999 * v[k] + 0.001 * g * g;
                    p[k] -= lr * (m[k] / (1 - pow(0.9, step))) / (sqrt(v[k] / (1 - pow(0.999, step))) + 1e-8);
                }
        }
        for (size_t k = 0; k < t.floats; k++)
            if (!(fabs((double)t.value[k] - p[k]) <= 2e-6 * fmax(1, fabs(p[k])) && fabs((double)t.m[k] - m[k]) <= 1e-6 &&
                  fabs((double)t.v[k] - v[k]) <= 1e-6 * v[k] + 1e-20))
                fail_msg("%s, float %zu: %.9g instead of %.9g, moments %.9g %.9g instead of %.9g %.9g", levels[l], k, (double)t.value[k], p[k],
                         (double)t.m[k], (double)t.v[k], m[k], v[k]);
        free(p);
        free(m);
        free(v);
        ecg_params_clear(&t);
    }
}

static void test_adamw_threads(void **state)
{
    ecg_params one, many;
    const ecg_exec alone = {.k = ecg_kernels_pick(NULL)}, five = {.k = alone.k, .pool = ecg_pool_new(5)};
    (void)state;
    assert_true(alone.k && five.pool);
    large_table(&one);
    large_table(&many);
    for (int step = 1; step <= 3; step++) {
        gradients(&one, step);
        gradients(&many, step);
        ecg_adamw_step(&one, &opt, step, &alone);
        ecg_adamw_step(&many, &opt, step, &five);
    }
    assert_memory_equal(one.value, many.value, one.floats * sizeof(float));
    assert_memory_equal(one.m, many.m, one.floats * sizeof(float));
    assert_memory_equal(one.v, many.v, one.floats * sizeof(float));
    ecg_pool_free(five.pool);
    ecg_params_clear(&one);
    ecg_params_clear(&many);
}

static void test_schedules(void **state)
{
    static const struct {
        const char *name;
        int64_t step, warmup, total;
        double want;
    } cases[] = {
        {"const", 1000, 10, 60, 1},
        {"linear_nowarmup", 15, 10, 60, 0.75},
        {"linear_nowarmup", 70, 10, 60, 0},
        {"linear_warmup", 0, 10, 60, 1.0 / 11},
        {"linear_warmup", 35, 10, 60, 0.5},
        {"warmup_const", 9, 10, 60, 10.0 / 11},
        {"warmup_const", 10, 10, 60, 1},
        {"warmup_const", 0, 0, 60, 1},
        {"warmup_cos_halfcycle", 35, 10, 60, 0.5},
        {"warmup_cos_restart3", 0, 10, 60, 0},
        {"warmup_cos_restart3", 10, 10, 60, 1},
        {"warmup_cos_restart2", 35, 10, 60, 1}, /* the second cycle begins */
        {"warmup_cos_restart3", 60, 10, 60, 0},
        {"warmup_invsqrt", 40, 10, 60, 0.5},
        {"warmup_invsqrt", 0, 0, 60, 1},
        {"warmup_poly_power1", 60, 10, 60, 1e-4},
        {"warmup_poly_power2", 35, 10, 60, 0.25 * (1 - 1e-4) + 1e-4},
    };
    static const char *const unknown[] = {"", "cosine", "warmup_cos_restart", "const3", "warmup_poly_power"};
    bool known = false;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ecg_lr_kind kind = ecg_lr_from_name(cases[i].name, &known);
        assert_true(known);
        const double got = ecg_lr_factor_of(kind, ecg_lr_shape(cases[i].name), cases[i].step, cases[i].warmup, cases[i].total);
        if (!(fabs(got - cases[i].want) < 1e-12))
            fail_msg("%s at step %d: %.12g instead of %.12g", cases[i].name, (int)cases[i].step, got, cases[i].want);
    }
    assert_true(ecg_lr_factor(ECG_LR_COS_RESTART, 30, 10, 60) == ecg_lr_factor_of(ECG_LR_COS_RESTART, 3, 30, 10, 60));
    assert_true(ecg_lr_factor(ECG_LR_POLY, 30, 10, 60) == ecg_lr_factor_of(ECG_LR_POLY, 1, 30, 10, 60));
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        ecg_lr_from_name(unknown[i], &known);
        assert_false(known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),     cmocka_unit_test(test_initial_values),        cmocka_unit_test(test_freeze_and_norm),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_files_that_do_not_fit), cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_adamw),      cmocka_unit_test(test_adamw_threads),         cmocka_unit_test(test_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
