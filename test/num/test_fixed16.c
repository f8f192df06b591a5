/* SPDX-License-Identifier: MIT
 * test_fixed16.c: wide packed products in 16-bit integers against sums in double: within the bound that their rounding has, nearer than bf16, whatever
 * the sizes of rows and columns; what is no number stays where it belongs; gates, pieces of a packing and everything else to the byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "num/kernels.h"
#include "numbers.h"

enum { WIDE_PACKED = ECG_GEMM_WIDE | ECG_GEMM_PACKED };

/* NULL: not on this processor */
static const ecg_kernels *integers(void)
{
    const ecg_kernels *k = ecg_kernels_pick("vnni");
    return k ? ecg_kernels_at(k, ECG_IN_BF16) : NULL;
}

typedef struct {
    const char *why;
    int m, n, k, pad;
} shape;

/* a (m, k), b (k, n) as flags store them, c (m, n); pad floats between the rows of each */
typedef struct {
    shape s;
    unsigned flags;
    int lda, ldb, ldc;
    float *a, *b, *before, *bias;
} problem;

static problem pose(shape s, unsigned flags)
{
    const int ra = flags & ECG_GEMM_TA ? s.k : s.m, rb = flags & ECG_GEMM_TB ? s.n : s.k;
    problem p = {.s = s, .flags = flags, .lda = (flags & ECG_GEMM_TA ? s.m : s.k) + s.pad, .ldb = (flags & ECG_GEMM_TB ? s.k : s.n) + s.pad, .ldc = s.n + s.pad};
    p.a = noise((size_t)ra * p.lda, 1), p.b = noise((size_t)rb * p.ldb, 2), p.before = noise((size_t)s.m * p.ldc, 3), p.bias = noise(s.n, 4);
    return p;
}

static void drop(problem *p) { free(p->a), free(p->b), free(p->before), free(p->bias); }

static float *element_a(const problem *p, int i, int l) { return p->a + (p->flags & ECG_GEMM_TA ? (size_t)l * p->lda + i : (size_t)i * p->lda + l); }
static float *element_b(const problem *p, int l, int j) { return p->b + (p->flags & ECG_GEMM_TB ? (size_t)j * p->ldb + l : (size_t)l * p->ldb + j); }

/* c of this level, packed in one piece or in two */
static float *answer(const problem *p, const ecg_kernels *k, bool two_pieces)
{
    const shape s = p->s;
    const int cut = two_pieces && s.n > ECG_PACK ? ECG_PACK : 0;
    float *packed = noise(ecg_packed(s.n, s.k), 5), *c = copy_of(p->before, (size_t)s.m * p->ldc);
    k->pack(packed, p->b, s.n, s.k, p->ldb, cut, s.n, p->flags | ECG_GEMM_WIDE);
    if (cut)
        k->pack(packed, p->b, s.n, s.k, p->ldb, 0, cut, p->flags | ECG_GEMM_WIDE);
    k->gemm(c, p->a, packed, p->bias, s.m, s.n, s.k, p->lda, p->ldb, p->ldc, p->flags | WIDE_PACKED);
    free(packed);
    return c;
}

/* root of the mean square of errors, each in units of its row's and its column's norm; what lies between the rows must stay */
static double error_of(const problem *p, const float *c, double bound)
{
    const shape s = p->s;
    double square = 0;
    for (int i = 0; i < s.m; i++)
        for (int j = 0; j < p->ldc; j++) {
            const size_t at = (size_t)i * p->ldc + j;
            if (j >= s.n) {
                assert_memory_equal(c + at, p->before + at, sizeof *c);
                continue;
            }
            double sum = p->flags & ECG_GEMM_ADD ? p->before[at] : p->bias[j], row = 0, column = 0;
            for (int l = 0; l < s.k; l++) {
                const double x = *element_a(p, i, l), y = *element_b(p, l, j);
                sum += x * y, row += x * x, column += y * y;
            }
            const double unit = sqrt(row * column), off = fabs(c[at] - sum);
            if (!(off <= bound * unit + 1e-6 * (fabs(sum) + 1)))
                fail_msg("%s, flags %u: %.9g instead of %.9g at %d, %d: %.3g of the norms", s.why, p->flags, (double)c[at], sum, i, j, off / unit);
            square += unit > 0 ? off / unit * off / unit : 0;
        }
    return sqrt(square / ((double)s.m * s.n));
}

/* each of at most 256 elements is off by half a unit, a norm of both factors is 30000 units */
static const double bound = 2 * 0.5 * 16 / 30000.0;

static void sums_are_within_their_bound(void **state)
{
    (void)state;
    static const shape shapes[] = {
        {"one row", 1, 64, 64, 0},         {"rows of six and one, odd depth", 13, 70, 67, 3}, {"two tiles of rows", 131, 64, 200, 0},
        {"two steps of depth", 7, 129, 257, 1}, {"more than is copied at once", 9, 64, 1100, 0}, {"whole panels", 126, 192, 512, 0},
    };
    const ecg_kernels *k = integers(), *bf16 = ecg_kernels_at(ecg_kernels_ref(), ECG_IN_BF16);
    if (!k)
        skip();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (unsigned flags = 0; flags < 8; flags++) {
            problem p = pose(shapes[i], flags);
            float *one = answer(&p, k, false), *two = answer(&p, k, true), *rounded = answer(&p, bf16, false);
            assert_memory_equal(one, two, (size_t)p.s.m * p.ldc * sizeof *one);
            const double mine = error_of(&p, one, bound), other = error_of(&p, rounded, 1);
            if (!(mine < other / 4))
                fail_msg("%s, flags %u: off by %.3g of the norms, bf16 by %.3g", p.s.why, flags, mine, other);
            free(one), free(two), free(rounded);
            drop(&p);
        }
}

/* rows and columns as large, small, empty and uneven as float32 has them */
static void any_size_of_rows_will_do(void **state)
{
    (void)state;
    const ecg_kernels *k = integers();
    if (!k)
        skip();
    for (unsigned flags = 0; flags < 4; flags++) {
        problem p = pose((shape){"sizes", 14, 70, 300, 0}, flags);
        memset(p.bias, 0, 70 * sizeof *p.bias);
        for (int l = 0; l < 300; l++) {
            *element_a(&p, 0, l) = 0;
            *element_a(&p, 1, l) *= 1e15f;
            *element_a(&p, 2, l) *= 1e-15f;
            *element_a(&p, 3, l) = 3;
            *element_a(&p, 4, l) = -3e10f;
            *element_b(&p, l, 0) = 0;
            *element_b(&p, l, 1) = 7e-3f;
            *element_b(&p, l, 2) *= 1e9f;
        }
        *element_a(&p, 5, 250) = 1e9f;
        *element_b(&p, 250, 3) = -1e4f;
        float *c = answer(&p, k, false);
        (void)error_of(&p, c, bound);
        assert_float_equal(c[0], 0, 0);
        free(c);
        drop(&p);
    }
}

static void what_is_no_number_stays_in_its_row_and_column(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const ecg_kernels *k = integers();
    if (!k)
        skip();
    for (size_t w = 0; w < sizeof bad / sizeof *bad; w++)
        for (unsigned flags = 0; flags < 4; flags++) {
            problem p = pose((shape){"no number", 20, 80, 280, 0}, flags);
            *element_a(&p, 11, 270) = bad[w];
            *element_b(&p, 3, 65) = bad[w];
            float *c = answer(&p, k, false);
            for (int i = 0; i < 20; i++)
                for (int j = 0; j < 80; j++)
                    assert_int_equal(!isfinite(c[i * 80 + j]), i == 11 || j == 65);
            free(c);
            drop(&p);
        }
}

static void gates_and_other_products_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        int rows, H, k;
    } cases[] = {{1, 64, 64}, {131, 128, 600}, {13, 40, 70}, {7, 20, 20}, {250, 192, 192}};
    const ecg_kernels *k = integers();
    if (!k)
        skip();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int rows = cases[c].rows, H = cases[c].H, K = cases[c].k;
        const size_t n = (size_t)rows * H;
        problem p = pose((shape){"gates", rows, 2 * H, K, 0}, ECG_GEMM_TB);
        float *scale = noise(H, 6), *y = noise(n, 7), *want = copy_of(y, n), *o = noise(2 * n, 8), *packed = noise(ecg_packed(2 * H, K), 9);
        float *want_o = answer(&p, k, false);
        k->glu(want, want_o, scale, want, rows, H);
        k->pack(packed, p.b, 2 * H, K, K, 0, 2 * H, ECG_GEMM_TB | ECG_GEMM_WIDE);
        k->gemm_glu(y, o, p.a, packed, p.bias, scale, y, rows, H, K);
        assert_memory_equal(o, want_o, 2 * n * sizeof *o);
        assert_memory_equal(y, want, n * sizeof *y);
        for (unsigned wide = 0; wide <= ECG_GEMM_WIDE; wide += ECG_GEMM_WIDE) { /* not packed: as without integers */
            k->gemm(o, p.a, p.b, p.bias, rows, 2 * H, K, K, K, 2 * H, ECG_GEMM_TB | wide);
            ecg_kernels_at(ecg_kernels_pick("avx512"), ECG_IN_BF16)->gemm(want_o, p.a, p.b, p.bias, rows, 2 * H, K, K, K, 2 * H, ECG_GEMM_TB | wide);
            assert_memory_equal(o, want_o, 2 * n * sizeof *o);
        }
        free(scale), free(y), free(want), free(o), free(packed), free(want_o);
        drop(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_within_their_bound),
        cmocka_unit_test(any_size_of_rows_will_do),
        cmocka_unit_test(what_is_no_number_stays_in_its_row_and_column),
        cmocka_unit_test(gates_and_other_products_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
