/* SPDX-License-Identifier: MIT
 * test_precision.c: what is rounded in bf16 and what is not: projectors are, heads, tabular chains and losses keep every bit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/infer.h"
#include "net/loss.h"
#include "net/mlp.h"

static const char *const levels[] = {"ref", "avx2", "avx512", "vnni", "amx"};
enum { LEVELS = sizeof levels / sizeof *levels, B = 33, IN = 64 };

static float *noise(size_t n, uint32_t stream)
{
    ecg_rng r;
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    ecg_rng_open(&r, 13, 0, stream, 0, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)ecg_rng_normal(&r);
    return x;
}

/* |got - want| / |want|, both as vectors */
static double apart(const float *got, const float *want, size_t n)
{
    double d = 0, w = 0;
    for (size_t i = 0; i < n; i++)
        d += ((double)got[i] - want[i]) * ((double)got[i] - want[i]), w += (double)want[i] * want[i];
    return sqrt(d / w);
}

typedef struct {
    float *y, *dx, *grad;
    size_t ny, nx, ng;
} result;

static result run(const ecg_mlp *m, ecg_params *table, const ecg_kernels *k)
{
    const ecg_exec exec = {k, NULL};
    const int out = ecg_mlp_out(m);
    result r = {.ny = (size_t)B * out, .nx = (size_t)B * IN, .ng = table->floats};
    float *x = noise(r.nx, 1), *dy = noise(r.ny, 2);
    r.y = noise(r.ny, 3), r.dx = noise(r.nx, 4), r.grad = noise(r.ng, 5);
    ecg_mlp_work *w = ecg_mlp_work_new(m, B, true);
    assert_non_null(w);
    ecg_params_zero_grad(table);
    ecg_mlp_forward(r.y, m, table, w, &exec, x, B, true, NULL);
    ecg_mlp_backward(r.dx, m, table, w, &exec, dy, x, B);
    memcpy(r.grad, table->grad, r.ng * sizeof *r.grad);
    ecg_mlp_work_free(w);
    free(x), free(dy);
    return r;
}

static void give(result *r) { free(r->y), free(r->dx), free(r->grad); }

static void check(bool projector, const ecg_kernels *k)
{
    ecg_params table = {0};
    ecg_mlp *m = NULL;
    ecg_err err = {0};
    assert_int_equal(projector ? ecg_projector_new(&m, IN, 96, 80, 40, false, &table, "p.", &err) : ecg_head_new(&m, IN, 48, 37, 0, &table, "h.", &err), ECG_OK);
    assert_int_equal(ecg_params_alloc(&table, true, &err), ECG_OK);
    ecg_params_init(&table, 3);
    result exact = run(m, &table, k), rounded = run(m, &table, ecg_kernels_at(k, ECG_IN_BF16));
    const double y = apart(rounded.y, exact.y, exact.ny), dx = apart(rounded.dx, exact.dx, exact.nx), g = apart(rounded.grad, exact.grad, exact.ng);
    /* gradients: a ReLU whose input is near 0 may open or close, and the norms of a small batch carry that to every row */
    if (projector && !(y > 1e-3 && y < 1e-2 && dx > 1e-3 && dx < 0.1 && g > 1e-3 && g < 0.1))
        fail_msg("projector, %s: y %.3g, dx %.3g, gradients %.3g away from float32", k->name, y, dx, g);
    if (!projector && (y > 0 || dx > 0 || g > 0))
        fail_msg("head, %s: y %.3g, dx %.3g, gradients %.3g away from float32", k->name, y, dx, g);
    give(&exact), give(&rounded);
    ecg_mlp_free(m);
    ecg_params_clear(&table);
}

static void projectors_round_and_heads_do_not(void **state)
{
    (void)state;
    for (int l = 0; l < LEVELS; l++) {
        const ecg_kernels *k = ecg_kernels_pick(levels[l]);
        for (int projector = 0; k && projector < 2; projector++)
            check(projector, k);
    }
}

static void losses_keep_every_bit(void **state)
{
    (void)state;
    enum { N = 48, E = 72 };
    const ecg_kernels *k = ecg_kernels_pick(NULL);
    const ecg_exec plain = {k, NULL}, rounded = {ecg_kernels_at(k, ECG_IN_BF16), NULL};
    float *z1 = noise(N * E, 6), *z2 = noise(N * E, 7), *d1 = noise(N * E, 8), *d2 = noise(N * E, 9), *e1 = noise(N * E, 10), *e2 = noise(N * E, 11);
    ecg_barlow *barlow = ecg_barlow_new(N, E);
    ecg_vicreg *vicreg = ecg_vicreg_new(N, E);
    const ecg_vicreg_weights weights = {25, 25, 1};
    assert_true(ecg_barlow_loss(d1, d2, barlow, &plain, z1, z2, N, E, 0.02) == ecg_barlow_loss(e1, e2, barlow, &rounded, z1, z2, N, E, 0.02));
    assert_memory_equal(d1, e1, N * E * sizeof *d1);
    assert_memory_equal(d2, e2, N * E * sizeof *d2);
    assert_true(ecg_vicreg_loss(d1, d2, vicreg, &plain, z1, z2, N, E, &weights) == ecg_vicreg_loss(e1, e2, vicreg, &rounded, z1, z2, N, E, &weights));
    assert_memory_equal(d1, e1, N * E * sizeof *d1);
    assert_memory_equal(d2, e2, N * E * sizeof *d2);
    ecg_barlow_free(barlow);
    ecg_vicreg_free(vicreg);
    free(z1), free(z2), free(d1), free(d2), free(e1), free(e2);
}

static void same_bytes_as_training(ecg_encoder_config c, const char *const *names, size_t count)
{
    enum { CROPS = 3 };
    const size_t n = CROPS * (size_t)c.width;
    ecg_params table = {0};
    ecg_encoder *e = NULL;
    ecg_err err = {0};
    assert_int_equal(ecg_encoder_new(&e, &c, &table, "ecg.", &err), ECG_OK);
    assert_int_equal(ecg_params_alloc(&table, false, &err), ECG_OK);
    ecg_params_init(&table, 5);
    ecg_encoder_init(e, &table, 5);
    assert_int_equal(ecg_encoder_prepare(e, &table, &err), ECG_OK);
    float *x = noise(CROPS * (size_t)c.length * 12, 12), *h = noise(n, 13), *want = noise(n, 14);
    ecg_encoder_work *w = ecg_encoder_work_new(e, 1, 0, false);
    ecg_infer *f = ecg_infer_new(e);
    assert_true(w && f);
    for (size_t l = 0; l < 2 * count; l++) {
        const ecg_kernels *k = ecg_kernels_pick(names[l / 2]);
        if (!k)
            continue;
        k = ecg_kernels_at(k, l % 2 ? ECG_IN_BF16 : ECG_IN_FLOAT32);
        ecg_encoder_refresh(e, &table, &(ecg_exec){k, NULL});
        ecg_encoder_forward(want, NULL, e, &table, w, &(ecg_exec){k, NULL}, x, CROPS, NULL);
        static const int pools[] = {1, 2, 3, 8}; /* crops a worker, one left over, in pieces */
        for (size_t p = 0; p < sizeof pools / sizeof *pools; p++) {
            const int threads = pools[p];
            const ecg_exec exec = {k, ecg_pool_new(threads)};
            ecg_infer_work *fw = ecg_infer_work_new(e, threads);
            assert_non_null(fw);
            ecg_infer_set(f, &table, &exec);
            ecg_infer_run(h, f, fw, &exec, x, CROPS);
            if (memcmp(h, want, n * sizeof *h))
                fail_msg("%s, %d threads: h is %.3g away", k->words, threads, apart(h, want, n));
            ecg_infer_work_free(fw);
            ecg_pool_free(exec.pool);
        }
    }
    ecg_infer_free(f);
    ecg_encoder_work_free(w);
    ecg_encoder_free(e);
    ecg_params_clear(&table);
    free(x), free(h), free(want);
}

/* the encoder without a backward pass: the same bytes at either precision, on every level, for any number of threads; also where products are
 * large enough for Strassen's seven, which add rows together */
static void inference_rounds_as_training_does(void **state)
{
    (void)state;
    static const char *const names[] = {"vnni", "avx512", "avx2", "amx"};
    same_bytes_as_training((ecg_encoder_config){12, 40, 2, 8, 75, true, 0}, levels, LEVELS);
    same_bytes_as_training((ecg_encoder_config){12, 256, 1, 8, 207, true, 0}, names, sizeof names / sizeof *names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(projectors_round_and_heads_do_not),
        cmocka_unit_test(losses_keep_every_bit),
        cmocka_unit_test(inference_rounds_as_training_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
