/* SPDX-License-Identifier: MIT
 * test_amx.c: the tile kernel on any machine. Twice: its source over tiles in plain C, and, where there is AVX-512, its machine code, whose tile
 * instructions a handler carries out when the processor refuses them. Both against the oracle, and against each other to the byte. */
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

#if defined(__x86_64__) && defined(__linux__)
#include <signal.h>
#include <ucontext.h>

#define ECG_AMX_EMULATED
#define ecg_amx_gemm emulated_gemm
#define ecg_amx_pack emulated_pack
#include "../../src/num/amx.c"

/* ---- instructions that this processor refuses: VEX.128.0F38 49 (configure, release), 4b (load, store), 5c (multiply) */

static _Thread_local tile_state trapped;
static _Thread_local long instructions;

static uint64_t general(const ucontext_t *u, int number)
{
    static const int at[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return (uint64_t)u->uc_mcontext.gregs[at[number]];
}

/* The memory operand after a ModRM byte at p; index: its second register, unscaled (the stride of a tile). Returns its length in bytes. */
static int operand(uint64_t *base, uint64_t *index, const ucontext_t *u, const uint8_t *p, int vex)
{
    const int mod = p[0] >> 6, low = p[0] & 7, b = vex & 0x20 ? 0 : 8, x = vex & 0x40 ? 0 : 8;
    int length = 1;
    *index = 0;
    if (low == 4) { /* SIB */
        const int i = (p[1] >> 3 & 7) + x;
        *base = general(u, (p[1] & 7) + b);
        *index = i == 4 ? 0 : general(u, i) << (p[1] >> 6);
        length = 2;
    } else if (mod == 0 && low == 5) { /* relative to the next instruction */
        int32_t away;
        memcpy(&away, p + 1, sizeof away);
        *base = (uint64_t)(uintptr_t)(p + 5) + (uint64_t)(int64_t)away;
        return 5;
    } else {
        *base = general(u, low + b);
    }
    if (mod == 1)
        *base += (uint64_t)(int64_t)(int8_t)p[length++];
    if (mod == 2) {
        int32_t away;
        memcpy(&away, p + length, sizeof away);
        *base += (uint64_t)(int64_t)away;
        length += 4;
    }
    return length;
}

static void carry_out(int number, siginfo_t *info, void *context)
{
    (void)info;
    ucontext_t *u = context;
    const uint8_t *p = (const uint8_t *)(uintptr_t)u->uc_mcontext.gregs[REG_RIP];
    const int prefix = p[2] & 3, second = ~p[2] >> 3 & 15, reg = p[4] >> 3 & 7;
    uint64_t base, step;
    int length = 1;
    if (p[0] != 0xc4 || (p[1] & 0x1f) != 2) {
        signal(number, SIG_DFL); /* not one of ours: let it end the program */
        return;
    }
    if (p[3] == 0x49 && prefix == 0 && p[4] == 0xc0) {
        memset(&trapped, 0, sizeof trapped);
    } else if (p[3] == 0x49 && prefix == 0) {
        length = operand(&base, &step, u, p + 4, p[1]);
        tile_begin(&trapped, (const tile_shapes *)(uintptr_t)(base + step));
    } else if (p[3] == 0x4b && prefix == 3) {
        length = operand(&base, &step, u, p + 4, p[1]);
        tile_load(&trapped, reg, (const void *)(uintptr_t)base, step);
    } else if (p[3] == 0x4b && prefix == 2) {
        length = operand(&base, &step, u, p + 4, p[1]);
        tile_store(&trapped, reg, (void *)(uintptr_t)base, step);
    } else if (p[3] == 0x5c && prefix == 2) {
        tile_multiply(&trapped, reg, p[4] & 7, second);
    } else {
        signal(number, SIG_DFL);
        return;
    }
    instructions++;
    u->uc_mcontext.gregs[REG_RIP] += 4 + length;
}

/* ---- */

static const struct {
    const char *why;
    int m, n, k, pad;
} products[] = {
    {"scalars", 1, 1, 1, 0},         {"nothing to sum", 3, 4, 0, 1},    {"one tile", 16, 16, 32, 0},       {"one square", 32, 32, 64, 0},
    {"three tiles each way", 48, 48, 96, 0}, {"odd depth", 7, 16, 5, 0}, {"one row", 1, 70, 33, 0},        {"one column", 65, 1, 64, 4},
    {"a row and a column over", 33, 17, 34, 3}, {"a width of the hidden files", 50, 48, 24, 0}, {"two blocks of rows", 130, 20, 40, 1},
    {"two blocks of depth", 18, 35, 545, 2}, {"two blocks of columns", 17, 275, 31, 5},
};

/* flags of kernels.h; the oracle is that of ref */
static void check(int c, unsigned flags, bool real)
{
    const int m = products[c].m, n = products[c].n, k = products[c].k, cut = n > ECG_PACK ? ECG_PACK : n;
    const int lda = (flags & ECG_GEMM_TA ? m : k) + products[c].pad, ldb = (flags & ECG_GEMM_TB ? k : n) + products[c].pad, ldc = n + products[c].pad;
    const size_t nc = (size_t)m * ldc;
    float *a = noise((size_t)(m + k) * (lda + 1), 1), *b = noise((size_t)(n + k) * (ldb + 1), 2), *before = noise(nc, 3), *bias = noise(n, 4);
    float *packed = noise(ecg_packed(n, k), 5), *packed2 = copy_of(packed, ecg_packed(n, k));
    for (int form = 0; form < 3; form++) { /* as it lies, with a bias, packed with a bias */
        const float *with = form && !(flags & ECG_GEMM_ADD) ? bias : NULL;
        float *want = copy_of(before, nc), *got = copy_of(before, nc), *code = copy_of(before, nc);
        ecg_kernels_at(ecg_kernels_ref(), ECG_IN_BF16)->gemm(want, a, b, with, m, n, k, lda, ldb, ldc, flags | ECG_GEMM_WIDE);
        if (form == 2) {
            emulated_pack(packed, b, n, k, ldb, 0, cut, flags);
            emulated_pack(packed, b, n, k, ldb, cut, n, flags);
        }
        emulated_gemm(got, a, form == 2 ? packed : b, with, m, n, k, lda, ldb, ldc, flags | (form == 2 ? ECG_GEMM_PACKED : 0));
        double largest = 1e-30;
        for (size_t i = 0; i < nc; i++)
            largest = fmax(largest, fabs(want[i]));
        for (size_t i = 0; i < nc; i++)
            if (!(fabs((double)got[i] - want[i]) <= 3e-6 * largest))
                fail_msg("%s, flags %u, form %d: %.9g instead of %.9g in row %zu, column %zu, relative to %g", products[c].why, flags, form,
                         (double)got[i], (double)want[i], i / ldc, i % ldc, largest);
        if (real) {
            const ecg_kernels *amx = ecg_kernels_at(ecg_kernels_amx(), ECG_IN_BF16);
            amx->pack(packed2, b, n, k, ldb, 0, n, flags | ECG_GEMM_WIDE);
            amx->gemm(code, a, form == 2 ? packed2 : b, with, m, n, k, lda, ldb, ldc, flags | ECG_GEMM_WIDE | (form == 2 ? ECG_GEMM_PACKED : 0));
            assert_memory_equal(code, got, nc * sizeof *code);
        }
        free(want), free(got), free(code);
    }
    free(a), free(b), free(before), free(bias), free(packed), free(packed2);
}

static void the_source_agrees_with_the_oracle(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof products / sizeof *products; c++)
        for (unsigned flags = 0; flags < 8; flags++)
            check((int)c, flags, false);
}

static void the_code_agrees_with_the_source(void **state)
{
    (void)state;
    const ecg_cpu here = ecg_cpu_here();
    struct sigaction act = {.sa_sigaction = carry_out, .sa_flags = SA_SIGINFO}, before;
    if (!ecg_kernels_amx() || !here.avx512)
        skip();
    instructions = 0;
    if (!here.permission)
        assert_int_equal(sigaction(SIGILL, &act, &before), 0);
    for (size_t c = 0; c < sizeof products / sizeof *products; c++)
        for (unsigned flags = 0; flags < 8; flags++)
            check((int)c, flags, true);
    if (!here.permission) {
        sigaction(SIGILL, &before, NULL);
        assert_true(instructions > 10000);
    }
}

/* a value that is no number must not leave its row, nor be read from beside a matrix */
static void missing_values_stay_in_their_rows(void **state)
{
    (void)state;
    enum { M = 35, N = 21, K = 37, LD = 40 };
    float *a = noise(M * LD, 6), *b = noise(K * LD, 7), c[M * LD];
    for (int i = 0; i < M; i++)
        for (int l = K; l < LD; l++)
            a[i * LD + l] = NAN;
    for (int l = 0; l < K; l++)
        for (int j = N; j < LD; j++)
            b[l * LD + j] = NAN;
    a[20 * LD + 30] = NAN;
    emulated_gemm(c, a, b, NULL, M, N, K, LD, LD, LD, 0);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            assert_int_equal(!!isnan(c[i * LD + j]), i == 20);
    free(a), free(b);
}

/* ties, carries into the exponent and the ends of the range, as factor on either side; denormals apart, which tiles read as 0 */
static void operands_are_rounded_as_bf16_h_says(void **state)
{
    (void)state;
    static const uint32_t bits[] = {0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0x3f817fff, 0xbf808001, 0x3fffc000, 0x7f7fffff, 0xff800000,
                                    0x7fc00001, 0x7f800001, 0x80000000, 0x00807fff, 0x00808000};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        for (int flags = 0; flags < 4; flags++) {
            const float one = 1;
            float x, left, right;
            memcpy(&x, &bits[i], sizeof x);
            const float want = ecg_bf16_round(x);
            emulated_gemm(&left, &x, &one, NULL, 1, 1, 1, 1, 1, 1, (unsigned)flags);
            emulated_gemm(&right, &one, &x, NULL, 1, 1, 1, 1, 1, 1, (unsigned)flags);
            if (!(left == want || (isnan(left) && isnan(want))) || !(right == want || (isnan(right) && isnan(want))))
                fail_msg("%#x: %.9g and %.9g instead of %.9g", bits[i], (double)left, (double)right, (double)want);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_source_agrees_with_the_oracle),
        cmocka_unit_test(the_code_agrees_with_the_source),
        cmocka_unit_test(missing_values_stay_in_their_rows),
        cmocka_unit_test(operands_are_rounded_as_bf16_h_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
static void tiles_are_of_x86_64(void **state)
{
    (void)state;
    assert_null(ecg_kernels_amx());
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tiles_are_of_x86_64)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
