/* SPDX-License-Identifier: MIT
 * avx512.c: the kernels over 16 floats. */
#include "num/kernels.h"

#ifdef __AVX512F__
#include <immintrin.h>

#include "num/amx.h"

#define NAME "avx512"
enum { LANES = 16, R = 16, S = 4, WIDE = 4 };
typedef __m512 vf;

static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline vf v_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
static inline void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
static inline void v_store_n(float *p, vf a, int n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a); }
static inline vf v_set(float x) { return _mm512_set1_ps(x); }
static inline float v_first(vf a) { return _mm512_cvtss_f32(a); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
static inline vf v_inverse(vf a) /* 14 bits, then one step of Newton */
{
    const vf r = _mm512_rcp14_ps(a);
    return _mm512_fmadd_ps(r, _mm512_fnmadd_ps(a, r, _mm512_set1_ps(1.0f)), r);
}
static inline vf v_fraction(vf a) { return _mm512_reduce_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
static inline vf v_scale(vf a, vf n) { return _mm512_scalef_ps(a, n); }
static inline vf v_negative(vf x, vf a, vf b) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), b, a); }

static inline float v_sum(vf a)
{
    __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

#include "num/cpu_body.h"

const ecg_kernels *ecg_kernels_avx512(void) { return &table; }

#include "num/fixed16.h"

static const ecg_kernels vnni, vnni_bf16 = {
    .name = "vnni",
    .words = "vnni, bf16 by 16-bit integers in units of rows and columns (no AMX)",
    .precision = ECG_IN_BF16,
    .twin = &vnni,
    .gemm = gemm_fixed16,
    .gemm_glu = gemm_glu_fixed16,
    .pack = pack_fixed16,
    SAME,
};

static const ecg_kernels vnni = IN_FLOAT32(vnni_bf16);

const ecg_kernels *ecg_kernels_vnni(void) { return &vnni; }

/* ---- the level above: wide products in bf16 go to the tiles of amx.c, everything else stays */

static void gemm_amx(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    (flags & ECG_GEMM_WIDE ? ecg_amx_gemm : gemm)(c, a, b, bias, m, n, k, lda, ldb, ldc, flags);
}

static void pack_amx(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    (flags & ECG_GEMM_WIDE ? ecg_amx_pack : pack_b)(packed, b, n, k, ldb, from, to, flags);
}

static void gemm_glu_amx(float *y, float *o, const float *a, const float *packed, const float *bias, const float *scale, const float *plus, int rows, int H,
                         int k)
{
    ecg_amx_gemm(o, a, packed, bias, rows, 2 * H, k, k, 0, 2 * H, ECG_GEMM_WIDE | ECG_GEMM_PACKED);
    glu(y, o, scale, plus, rows, H);
}

static const ecg_kernels amx, amx_bf16 = {
    .name = "amx",
    .words = "amx, bf16 on tiles",
    .precision = ECG_IN_BF16,
    .twin = &amx,
    .gemm = gemm_amx,
    .gemm_glu = gemm_glu_amx,
    .pack = pack_amx,
    SAME,
};

static const ecg_kernels amx = IN_FLOAT32(amx_bf16);

const ecg_kernels *ecg_kernels_amx(void) { return &amx; }
#else
const ecg_kernels *ecg_kernels_avx512(void) { return NULL; }
const ecg_kernels *ecg_kernels_vnni(void) { return NULL; }
const ecg_kernels *ecg_kernels_amx(void) { return NULL; }
#endif
