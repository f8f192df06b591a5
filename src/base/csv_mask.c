/* SPDX-License-Identifier: MIT */
#include "base/csv_mask.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* ---- where a row ends: the same words for every path, compiled for each ------------------------------------------------------------- */

static inline __attribute__((always_inline)) size_t row_end(const ecg_csv_mask *m, size_t words, size_t at, int *commas, bool *quotes)
{
    uint64_t from = ~(uint64_t)0 << (at & 63), quote = 0;
    int n = 0;
    size_t end = words * 64;
    for (size_t w = at / 64; w < words; w++, from = ~(uint64_t)0) {
        const uint64_t newline = m[w].newline & from;
        if (newline) {
            const uint64_t before = from & (newline - 1) & ~newline;
            n += __builtin_popcountll(m[w].comma & before);
            quote |= m[w].quote & before;
            end = w * 64 + (size_t)__builtin_ctzll(newline);
            break;
        }
        n += __builtin_popcountll(m[w].comma & from);
        quote |= m[w].quote & from;
    }
    *commas += n;
    *quotes |= quote != 0;
    return end;
}

/* ---- plain C: eight bytes at a time ------------------------------------------------------------------------------------------------- */

static bool always(void)
{
    return true;
}

/* Bit i: byte i of the eight in x, the first one lowest, is c. */
static inline uint64_t equal_bytes(uint64_t x, char c)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    x ^= 0x0101010101010101u * (unsigned char)c;
    const uint64_t zero = ~(((x & low) + low) | x | low); /* bit 7 of each byte that is 0 */
    return (zero >> 7) * 0x0102040810204080u >> 56;
}

static void classify_plain(ecg_csv_mask *m, const char *text, size_t words)
{
    for (size_t w = 0; w < words; w++) {
        ecg_csv_mask x = {0};
        for (int i = 0; i < 8; i++) {
            uint64_t eight;
            memcpy(&eight, text + w * 64 + i * 8, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            eight = __builtin_bswap64(eight);
#endif
            x.newline |= equal_bytes(eight, '\n') << (i * 8);
            x.comma |= equal_bytes(eight, ',') << (i * 8);
            x.quote |= equal_bytes(eight, '"') << (i * 8);
        }
        m[w] = x;
    }
}

static size_t row_end_plain(const ecg_csv_mask *m, size_t words, size_t at, int *commas, bool *quotes)
{
    return row_end(m, words, at, commas, quotes);
}

/* ---- x86 ---------------------------------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi");
}

__attribute__((target("avx2"))) static inline uint64_t equal_avx2(__m256i low, __m256i high, char c)
{
    const __m256i all = _mm256_set1_epi8(c);
    const uint32_t a = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, all)), b = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, all));
    return a | (uint64_t)b << 32;
}

__attribute__((target("avx2"))) static void classify_avx2(ecg_csv_mask *m, const char *text, size_t words)
{
    for (size_t w = 0; w < words; w++) {
        const __m256i low = _mm256_loadu_si256((const void *)(text + w * 64)), high = _mm256_loadu_si256((const void *)(text + w * 64 + 32));
        m[w] = (ecg_csv_mask){equal_avx2(low, high, '\n'), equal_avx2(low, high, ','), equal_avx2(low, high, '"')};
    }
}

__attribute__((target("popcnt,bmi"))) static size_t row_end_x86(const ecg_csv_mask *m, size_t words, size_t at, int *commas, bool *quotes)
{
    return row_end(m, words, at, commas, quotes);
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512bw");
}

__attribute__((target("avx512bw"))) static void classify_avx512(ecg_csv_mask *m, const char *text, size_t words)
{
    const __m512i newline = _mm512_set1_epi8('\n'), comma = _mm512_set1_epi8(','), quote = _mm512_set1_epi8('"');
    for (size_t w = 0; w < words; w++) {
        const __m512i x = _mm512_loadu_si512(text + w * 64);
        m[w] = (ecg_csv_mask){_mm512_cmpeq_epi8_mask(x, newline), _mm512_cmpeq_epi8_mask(x, comma), _mm512_cmpeq_epi8_mask(x, quote)};
    }
}

#else

static bool never(void)
{
    return false;
}

#endif

const ecg_csv_path ecg_csv_paths[ECG_CSV_PATHS] = {
    {"plain", always, classify_plain, row_end_plain},
#if defined(__x86_64__)
    {"avx2", has_avx2, classify_avx2, row_end_x86},
    {"avx512", has_avx512, classify_avx512, row_end_x86},
#else
    {"none", never, classify_plain, row_end_plain},
    {"none", never, classify_plain, row_end_plain},
#endif
};

const ecg_csv_path *ecg_csv_best_path(void)
{
    for (int i = ECG_CSV_PATHS - 1; i > 0; i--)
        if (ecg_csv_paths[i].runs_here())
            return &ecg_csv_paths[i];
    return &ecg_csv_paths[0];
}

/* ---- quotes ------------------------------------------------------------------------------------------------------------------------- */

/* Bits of one word that lie inside quotes. */
static uint64_t inside_quotes(uint64_t quote, const char *text, ecg_csv_state *s)
{
    uint64_t inside = s->inside ? ~(uint64_t)0 : 0;
    int closed = s->closed ? -1 : -2; /* place of the last quote that closed */
    for (; quote; quote &= quote - 1) {
        const int i = __builtin_ctzll(quote);
        const char before = i ? text[i - 1] : s->before;
        if (s->inside)
            closed = i;
        else if (closed != i - 1 && before != ',' && before != '\n')
            continue; /* a letter */
        s->inside = !s->inside;
        inside ^= ~(uint64_t)0 << i;
    }
    s->closed = !s->inside && closed == 63;
    return inside;
}

void ecg_csv_quotes(ecg_csv_mask *m, const char *text, size_t words, ecg_csv_state *s)
{
    for (size_t w = 0; w < words; w++) {
        if (m[w].quote || s->inside) {
            const uint64_t inside = inside_quotes(m[w].quote, text + w * 64, s);
            m[w].newline &= ~inside;
            m[w].comma &= ~inside;
        } else {
            s->closed = false;
        }
        s->before = text[w * 64 + 63];
    }
}
