/* SPDX-License-Identifier: MIT
 * pick.c: what this processor has, and the best kernels for such a one. */
#include <stdint.h>
#include <string.h>

#include "num/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

static uint64_t enabled_state(void) /* XCR0: the registers that the operating system saves; 0: it does not say */
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

/* tiles and their bf16 product in the processor, tile registers saved by the operating system: Intel SDM, volume 1, chapter 18 */
static bool has_amx(void)
{
    enum { BF16 = 22, TILE = 24 };
    const uint64_t tiles = 3u << 17;
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & 1u << BF16) && (d & 1u << TILE) && (enabled_state() & tiles) == tiles;
}

/* Linux lends the 8 kB of tile registers to a process only on request: Documentation/arch/x86/xstate.rst. Other systems: not asked for. */
static bool may_use_tiles(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#else
    return false;
#endif
}

ecg_cpu ecg_cpu_here(void)
{
    ecg_cpu cpu = {
        .avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
        .avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"),
        .amx = has_amx(),
        .vnni = __builtin_cpu_supports("avx512vnni"),
    };
    cpu.permission = cpu.amx && may_use_tiles();
    return cpu;
}
#else
ecg_cpu ecg_cpu_here(void) { return (ecg_cpu){0}; }
#endif

/* what is missing; NULL: it runs */
static const char *amx_lacks(const ecg_cpu *c)
{
    if (!c->amx || !c->avx512)
        return "this processor does not have AMX for bf16";
    return c->permission ? NULL : "the operating system does not permit AMX tiles";
}

static const char *vnni_lacks(const ecg_cpu *c) { return c->avx512 && c->vnni ? NULL : "this processor does not have AVX-512 with VNNI"; }
static const char *avx512_lacks(const ecg_cpu *c) { return c->avx512 ? NULL : "this processor does not have AVX-512 (F, DQ, BW, VL)"; }
static const char *avx2_lacks(const ecg_cpu *c) { return c->avx2 ? NULL : "this processor does not have AVX2 and FMA"; }

static const char *ref_lacks(const ecg_cpu *c)
{
    (void)c;
    return NULL;
}

const ecg_kernels *ecg_kernels_choose(const char *want, const ecg_cpu *cpu, const char **why)
{
    static const struct {
        const char *name;
        const ecg_kernels *(*get)(void);
        const char *(*lacks)(const ecg_cpu *c);
    } levels[] = {
        {"amx", ecg_kernels_amx, amx_lacks}, {"vnni", ecg_kernels_vnni, vnni_lacks}, {"avx512", ecg_kernels_avx512, avx512_lacks}, {"avx2", ecg_kernels_avx2, avx2_lacks},
        {"ref", ecg_kernels_ref, ref_lacks},
    };
    const char *reason = "there are ref, avx2, avx512, vnni, amx";

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (want && *want && strcmp(want, levels[i].name))
            continue;
        const char *lacks = levels[i].get() ? levels[i].lacks(cpu) : "this build has no such kernels";
        if (!lacks)
            return levels[i].get();
        reason = lacks;
    }
    if (why)
        *why = reason;
    return NULL;
}

const ecg_kernels *ecg_kernels_pick(const char *want)
{
    const ecg_cpu here = ecg_cpu_here();
    return ecg_kernels_choose(want, &here, NULL);
}
