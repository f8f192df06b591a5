/* SPDX-License-Identifier: MIT
 * test_bf16.c: rounding to bf16 at its edges; wide products of every level in bf16 against the oracle and against sums in double; every other
 * product stays that of float32; the choice of a level for processors that are not here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "num/bf16.h"
#include "num/kernels.h"
#include "numbers.h"

static const char *const levels[] = {"ref", "avx2", "avx512", "amx"};
enum { LEVELS = sizeof levels / sizeof *levels };

static void close_to(const char *what, const char *level, unsigned flags, const float *got, const float *want, size_t n, double tolerance)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * largest))
            fail_msg("%s, %s, flags %u: %.9g instead of %.9g at %zu, relative to %g", what, level, flags, (double)got[i], (double)want[i], i, largest);
}

static void rounding_goes_to_nearest_even(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint32_t from;
        uint16_t to;
    } cases[] = {
        {"one", 0x3f800000, 0x3f80},
        {"a tie goes down to even", 0x3f808000, 0x3f80},
        {"a tie goes up to even", 0x3f818000, 0x3f82},
        {"just above a tie", 0x3f808001, 0x3f81},
        {"just below a tie", 0x3f817fff, 0x3f81},
        {"negative", 0xbf808001, 0xbf81},
        {"into the next power of two", 0x3fffc000, 0x4000},
        {"the largest becomes infinite", 0x7f7fffff, 0x7f80},
        {"infinity", 0xff800000, 0xff80},
        {"a quiet NAN", 0x7fc00001, 0x7fc0},
        {"a NAN whose upper half looks infinite", 0x7f800001, 0x7fc0},
        {"minus zero", 0x80000000, 0x8000},
        {"the smallest denormal", 0x00000001, 0x0000},
        {"a denormal", 0x00408000, 0x0040},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float x;
        memcpy(&x, &cases[i].from, sizeof x);
        if (ecg_bf16(x) != cases[i].to)
            fail_msg("%s: %#x instead of %#x", cases[i].why, ecg_bf16(x), cases[i].to);
        /* and what a product makes of it, one factor being 1 */
        for (int l = 0; l < LEVELS; l++) {
            const ecg_kernels *k = ecg_kernels_pick(levels[l]);
            const float one = 1;
            float c = 7;
            if (!k || fpclassify(x) == FP_SUBNORMAL) /* tiles read those as 0 */
                continue;
            k->twin->gemm(&c, &x, &one, NULL, 1, 1, 1, 1, 1, 1, ECG_GEMM_WIDE);
            const float want = ecg_bf16_round(x);
            if (!(c == want || (isnan(c) && isnan(want))))
                fail_msg("%s, %s: %.9g instead of %.9g", cases[i].why, levels[l], (double)c, (double)want);
        }
    }
}

static const struct {
    const char *why;
    int m, n, k, pad;
} products[] = {
    {"scalars", 1, 1, 1, 0},             {"nothing to sum", 3, 4, 0, 1},        {"one row", 1, 129, 33, 0},
    {"odd depth", 7, 16, 5, 0},          {"one column", 65, 1, 64, 4},          {"rows of tiles and one", 33, 17, 9, 3},
    {"half a step deep", 12, 41, 48, 2}, {"deeper than a panel", 13, 70, 517, 1}, {"a golden width", 250, 16, 8, 0},
    {"more rows than a block", 131, 40, 70, 0}, {"more columns than lie packed", 20, 330, 140, 1}, {"whole tiles", 64, 64, 64, 0},
};
enum { PRODUCTS = sizeof products / sizeof *products };

/* one product by all levels: in one piece over threads, packed at once and in two pieces with a bias */
static void check_product(int c, unsigned flags, ecg_pool *const *pools)
{
    const int m = products[c].m, n = products[c].n, k = products[c].k;
    const int lda = (flags & ECG_GEMM_TA ? m : k) + products[c].pad, ldb = (flags & ECG_GEMM_TB ? k : n) + products[c].pad, ldc = n + products[c].pad;
    const size_t nc = (size_t)m * ldc;
    float *a = noise((size_t)(m + k) * (lda + 1), 1), *b = noise((size_t)(n + k) * (ldb + 1), 2), *before = noise(nc, 3), *bias = noise(n, 4);
    float *want = copy_of(before, nc), *biased = copy_of(before, nc);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int l = 0; l < k; l++)
                sum += (double)ecg_bf16_round(flags & ECG_GEMM_TA ? a[l * lda + i] : a[i * lda + l]) *
                       ecg_bf16_round(flags & ECG_GEMM_TB ? b[j * ldb + l] : b[l * ldb + j]);
            const size_t at = (size_t)i * ldc + j;
            want[at] = (float)((flags & ECG_GEMM_ADD ? before[at] : 0) + sum);
            biased[at] = (float)((flags & ECG_GEMM_ADD ? before[at] : bias[j]) + sum);
        }
    for (int l = 0; l < LEVELS; l++) {
        const ecg_kernels *f32 = ecg_kernels_pick(levels[l]), *bf16 = f32 ? ecg_kernels_at(f32, ECG_IN_BF16) : NULL;
        if (!f32)
            continue;
        float *first = NULL;
        for (int p = 0; p < 3; p++) {
            const ecg_exec x = {bf16, pools[p]};
            float *got = copy_of(before, nc);
            ecg_gemm(&x, got, a, b, m, n, k, lda, ldb, ldc, flags | ECG_GEMM_WIDE);
            close_to(products[c].why, levels[l], flags, got, want, nc, 3e-6);
            if (first)
                assert_memory_equal(first, got, nc * sizeof *got);
            else
                first = copy_of(got, nc);
            free(got);
        }
        free(first);

        const int cut = n > ECG_PACK ? ECG_PACK : n;
        float *packed = noise(ecg_packed(n, k), 5), *one = copy_of(before, nc), *two = copy_of(before, nc);
        bf16->pack(packed, b, n, k, ldb, 0, n, flags | ECG_GEMM_WIDE);
        bf16->gemm(one, a, packed, bias, m, n, k, lda, ldb, ldc, flags | ECG_GEMM_PACKED | ECG_GEMM_WIDE);
        bf16->pack(packed, b, n, k, ldb, 0, cut, flags | ECG_GEMM_WIDE);
        bf16->pack(packed, b, n, k, ldb, cut, n, flags | ECG_GEMM_WIDE);
        bf16->gemm(two, a, packed, bias, m, n, k, lda, ldb, ldc, flags | ECG_GEMM_PACKED | ECG_GEMM_WIDE);
        close_to(products[c].why, levels[l], flags, one, biased, nc, 3e-6);
        assert_memory_equal(one, two, nc * sizeof *one);

        f32->gemm(one, a, b, bias, m, n, k, lda, ldb, ldc, flags & ~(unsigned)ECG_GEMM_ADD); /* what is not wide is float32 */
        bf16->gemm(two, a, b, bias, m, n, k, lda, ldb, ldc, flags & ~(unsigned)ECG_GEMM_ADD);
        assert_memory_equal(one, two, nc * sizeof *one);
        free(packed), free(one), free(two);
    }
    free(a), free(b), free(before), free(bias), free(want), free(biased);
}

static void every_level_agrees_on_wide_products(void **state)
{
    (void)state;
    ecg_pool *pools[] = {NULL, ecg_pool_new(2), ecg_pool_new(5)};
    for (int c = 0; c < PRODUCTS; c++)
        for (unsigned flags = 0; flags < 8; flags++)
            check_product(c, flags, pools);
    ecg_pool_free(pools[1]);
    ecg_pool_free(pools[2]);
}

static void a_missing_value_stays_in_its_row(void **state)
{
    (void)state;
    enum { M = 35, N = 21, K = 37 };
    float *a = noise(M * K, 6), *b = noise(K * N, 7), c[M * N];
    a[20 * K + 30] = NAN;
    for (int l = 0; l < LEVELS; l++) {
        const ecg_kernels *k = ecg_kernels_pick(levels[l]);
        if (!k)
            continue;
        k->twin->gemm(c, a, b, NULL, M, N, K, K, N, N, ECG_GEMM_WIDE);
        for (int i = 0; i < M * N; i++)
            assert_int_equal(!!isnan(c[i]), i / N == 20);
    }
    free(a), free(b);
}

static void tables_know_their_twins(void **state)
{
    (void)state;
    static const char *const names[] = {"ref", "avx2", "avx512", "vnni", "amx"};
    for (size_t l = 0; l < sizeof names / sizeof *names; l++) {
        const ecg_cpu all = {true, true, true, true, true};
        const ecg_kernels *k = ecg_kernels_choose(names[l], &all, NULL);
        if (!k)
            continue; /* not in this build */
        assert_int_equal(k->precision, ECG_IN_FLOAT32);
        assert_ptr_equal(ecg_kernels_at(k, ECG_IN_FLOAT32), k);
        const ecg_kernels *b = ecg_kernels_at(k, ECG_IN_BF16);
        assert_int_equal(b->precision, ECG_IN_BF16);
        assert_string_equal(b->name, names[l]);
        assert_ptr_equal(ecg_kernels_at(b, ECG_IN_FLOAT32), k);
        assert_ptr_equal(ecg_kernels_at(b, ECG_IN_BF16), b);
        assert_true(b->scan == k->scan && b->gelu == k->gelu && b->layernorm == k->layernorm && b->adamw == k->adamw);
        assert_true(b->gemm != k->gemm && b->pack != k->pack);
    }
}

static void the_level_follows_the_processor(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        ecg_cpu cpu;
        const char *want, *level, *bf16, *reason; /* level NULL: refused with this reason */
    } cases[] = {
        {"everything", {true, true, true, true, false}, NULL, "avx512", "amx", NULL},
        {"tiles refused by the system", {true, true, true, false, false}, NULL, "avx512", "avx512", NULL},
        {"no tiles", {true, true, false, false, false}, "", "avx512", "avx512", NULL},
        {"no tiles, integers", {true, true, false, false, true}, NULL, "avx512", "vnni", NULL},
        {"tiles refused, integers", {true, true, true, false, true}, NULL, "avx512", "vnni", NULL},
        {"tiles before integers", {true, true, true, true, true}, NULL, "avx512", "amx", NULL},
        {"integers without AVX-512", {true, false, false, false, true}, NULL, "avx2", "avx2", NULL},
        {"vnni by name", {true, true, true, true, true}, "vnni", "avx512", "vnni", NULL},
        {"vnni, not there", {true, true, false, false, false}, "vnni", NULL, NULL, "VNNI"},
        {"AVX2 alone", {true, false, false, false, false}, NULL, "avx2", "avx2", NULL},
        {"tiles without AVX-512", {true, false, true, true, false}, NULL, "avx2", "avx2", NULL},
        {"nothing", {false, false, false, false, false}, NULL, "ref", "ref", NULL},
        {"amx by name", {true, true, true, true, false}, "amx", "avx512", "amx", NULL},
        {"avx512 by name", {true, true, true, true, false}, "avx512", "avx512", "avx512", NULL},
        {"ref by name", {true, true, true, true, false}, "ref", "ref", "ref", NULL},
        {"amx, not permitted", {true, true, true, false, false}, "amx", NULL, NULL, "permit"},
        {"amx, not there", {true, true, false, false, false}, "amx", NULL, NULL, "AMX"},
        {"avx512, not there", {true, false, false, false, false}, "avx512", NULL, NULL, "AVX-512"},
        {"avx2, not there", {false, false, false, false, false}, "avx2", NULL, NULL, "AVX2"},
        {"no such name", {true, true, true, true, false}, "avx3", NULL, NULL, "there are ref, avx2, avx512, vnni, amx"},
    };
    if (!ecg_kernels_amx() || !ecg_kernels_avx2())
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = NULL;
        const ecg_kernels *k = ecg_kernels_choose(cases[i].want, &cases[i].cpu, &why);
        if (!!k != !!cases[i].level || (k && (strcmp(k->name, cases[i].level) || strcmp(k->twin->name, cases[i].bf16))))
            fail_msg("%s: %s, %s", cases[i].why, k ? k->name : "refused", k ? k->twin->name : why);
        if (!k && !strstr(why, cases[i].reason))
            fail_msg("%s: refused with '%s'", cases[i].why, why);
    }
    const ecg_cpu here = ecg_cpu_here();
    assert_true(here.amx || !here.permission);
    assert_ptr_equal(ecg_kernels_choose(NULL, &here, NULL), ecg_kernels_pick(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_goes_to_nearest_even),
        cmocka_unit_test(every_level_agrees_on_wide_products),
        cmocka_unit_test(a_missing_value_stays_in_its_row),
        cmocka_unit_test(tables_know_their_twins),
        cmocka_unit_test(the_level_follows_the_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
