/* SPDX-License-Identifier: MIT
 * SHA-256, FIPS 180-4: as it is written there, and with the instructions that newer processors have for it (six times as fast). */
#include "base/file.h"

#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void digest_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        const uint32_t s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
        const uint32_t s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t v[8];
    memcpy(v, h, sizeof v);
#pragma GCC unroll 8
    for (int i = 0; i < 64; i++) { /* a .. h move one place a round: v[(j - i) % 8] is the j-th of them, which eight rounds written out resolve */
#define V(j) v[((j) - i) & 7]
        const uint32_t s1 = turn(V(4), 6) ^ turn(V(4), 11) ^ turn(V(4), 25), choose = (V(4) & V(5)) ^ (~V(4) & V(6));
        const uint32_t t1 = V(7) + s1 + choose + K[i] + w[i];
        const uint32_t s0 = turn(V(0), 2) ^ turn(V(0), 13) ^ turn(V(0), 22), most = (V(0) & V(1)) ^ (V(0) & V(2)) ^ (V(1) & V(2));
        V(3) += t1;
        V(7) = t1 + s0 + most;
#undef V
    }
    for (int i = 0; i < 8; i++)
        h[i] += v[i];
}

static void digest_plain(uint32_t h[8], const uint8_t *p, size_t blocks)
{
    for (; blocks; blocks--, p += 64)
        digest_block(h, p);
}

#ifdef __x86_64__

static bool has_instructions(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1) || !(c & bit_SSSE3))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

/* The state as the instructions want it, words from the top: (A B E F) and (C D G H). Four rounds a step; w[i % 4] holds words 4 i .. 4 i + 3 of
 * the schedule, later ones are made in place. */
__attribute__((target("sha,sse4.1,ssse3"))) static void digest_fast(uint32_t h[8], const uint8_t *p, size_t blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)h), 0xb1), efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(h + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(abcd, efgh, 8), cdgh = _mm_blend_epi16(efgh, abcd, 0xf0);
    for (; blocks; blocks--, p += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            if (i < 4) {
                w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
            } else {
                const __m128i w7 = _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4);
                w[i % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]), w7), w[(i + 3) % 4]);
            }
            const __m128i sum = _mm_add_epi32(w[i % 4], _mm_loadu_si128((const __m128i *)(K + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)h, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(h + 4), _mm_alignr_epi8(dchg, feba, 8));
}

#else

static bool has_instructions(void)
{
    return false;
}

#define digest_fast digest_plain

#endif

static void digest(ecg_sha256 *s, const uint8_t *p, size_t blocks)
{
    (s->plain ? digest_plain : digest_fast)(s->h, p, blocks);
}

void ecg_sha256_begin(ecg_sha256 *s)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(s->h, start, sizeof start);
    s->len = 0;
    s->plain = !has_instructions();
}

void ecg_sha256_add(ecg_sha256 *s, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    size_t held = s->len % 64;
    s->len += len;
    if (held) {
        const size_t n = len < 64 - held ? len : 64 - held;
        memcpy(s->block + held, p, n);
        p += n, len -= n, held += n;
        if (held < 64)
            return;
        digest(s, s->block, 1);
    }
    digest(s, p, len / 64);
    p += len / 64 * 64;
    if (len % 64)
        memcpy(s->block, p, len % 64);
}

void ecg_sha256_end(ecg_sha256 *s, char hex[65])
{
    const uint64_t bits = s->len * 8;
    const uint8_t one = 0x80, zero = 0;
    uint8_t length[8];
    ecg_sha256_add(s, &one, 1);
    while (s->len % 64 != 56)
        ecg_sha256_add(s, &zero, 1);
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    ecg_sha256_add(s, length, sizeof length);
    for (int i = 0; i < 32; i++) {
        static const char digits[] = "0123456789abcdef";
        const uint8_t byte = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
        hex[2 * i] = digits[byte >> 4];
        hex[2 * i + 1] = digits[byte & 15];
    }
    hex[64] = 0;
}

ecg_status ecg_sha256_file(char hex[65], const char *path, ecg_err *err)
{
    ecg_bytes b;
    const ecg_status st = ecg_file_map(&b, path, err);
    if (st)
        return st;
    ecg_sha256 s;
    ecg_sha256_begin(&s);
    ecg_sha256_add(&s, b.at, b.len);
    ecg_sha256_end(&s, hex);
    ecg_bytes_free(&b);
    return ECG_OK;
}
