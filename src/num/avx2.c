/* SPDX-License-Identifier: MIT
 * avx2.c: the kernels over 8 floats, with fused multiply-add. */
#include "num/kernels.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#include <stdint.h>

#define NAME "avx2"
enum { LANES = 8, R = 8, S = 4, WIDE = 2 };
typedef __m256 vf;

static inline __m256i first_lanes(int n)
{
    static const int32_t mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(mask + 8 - n));
}

static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline vf v_load_n(const float *p, int n) { return _mm256_maskload_ps(p, first_lanes(n)); }
static inline void v_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
static inline void v_store_n(float *p, vf a, int n) { _mm256_maskstore_ps(p, first_lanes(n), a); }
static inline vf v_set(float x) { return _mm256_set1_ps(x); }
static inline float v_first(vf a) { return _mm256_cvtss_f32(a); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
static inline vf v_inverse(vf a) { return _mm256_set1_ps(1.0f) / a; } /* the estimate has 12 bits: two steps cost as much */
static inline vf v_fraction(vf a) { return a - _mm256_floor_ps(a); }
static inline vf v_negative(vf x, vf a, vf b) { return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ)); }

static inline vf v_scale(vf a, vf n)
{
    const __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_floor_ps(n)), _mm256_set1_epi32(127));
    return a * _mm256_castsi256_ps(_mm256_slli_epi32(power, 23));
}

static inline float v_sum(vf a)
{
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

#include "num/cpu_body.h"

const ecg_kernels *ecg_kernels_avx2(void) { return &table; }
#else
const ecg_kernels *ecg_kernels_avx2(void) { return NULL; }
#endif
