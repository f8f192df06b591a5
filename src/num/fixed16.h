/* SPDX-License-Identifier: MIT
 * fixed16.h: the wide packed product where two bytes an operand are enough (precision bf16) and there are no tiles, part of avx512.c. VNNI multiplies pairs
 * of 16-bit integers and adds both products to one of 32 bits: twice the multiply-adds of float32, where the instruction for pairs of bf16 has no more
 * than those (docs/bf16.md).
 *
 * STEPS of k at a time, every row of a is divided by a unit so that its Euclidean norm becomes REACH, every column of b too, and both are rounded to
 * integers. No sum of products can exceed REACH^2 then (Cauchy and Schwarz), so none overflows and every sum is exact; times both units it is added in
 * float32. Rounding costs each operand 1 / (3.5 REACH / sqrt(STEPS)) of its root mean square, 1.5e-4: an eleventh of what bf16 costs.
 *
 * Products that are small or not packed round their operands to bf16, as they do without VNNI.
 *
 *   packed b     64 columns after 64 columns, in each for every STEPS of k the units of the columns, then rows of pairs: b[2p][j], b[2p + 1][j]
 *   tile of a    pairs along k, rows (of a transposed a: pairs) a PITCH apart */
enum { STEPS = 2 * DEPTH, GROUP = WIDE * LANES, LEAST = 64 };
static const float REACH = 30000;

static bool pairs_pay(int n, int k, unsigned flags) { return flags & ECG_GEMM_WIDE && n >= LEAST && k >= LEAST; }

/* rows of a packed panel, units among them */
static int panel_rows(int k)
{
    const int rest = k % STEPS;
    return k / STEPS * (DEPTH + 1) + (rest ? (rest + 1) / 2 + 1 : 0);
}

/* of a norm: by what to multiply, and the unit. A norm that is no number, or none that float32 holds, makes the unit so, and every sum with it. */
static inline vf inverse_unit(vf norm)
{
    return _mm512_maskz_div_ps(_mm512_cmp_ps_mask(norm, v_set(0), _CMP_GT_OQ), v_set(REACH), norm);
}

static inline __m512i two_rows(vf even, vf odd)
{
    const __m512i low = _mm512_and_si512(_mm512_cvtps_epi32(even), _mm512_set1_epi32(0xffff));
    return _mm512_or_si512(low, _mm512_slli_epi32(_mm512_cvtps_epi32(odd), 16));
}

/* pairs of rows x (depth, columns), ldx apart, for so many vectors of columns: units at unit, pairs at `to`, step apart */
static inline __attribute__((always_inline)) void pair_columns(float *unit, int32_t *to, size_t step, const float *x, int columns, int depth, size_t ldx,
                                                               const int vectors)
{
    vf square[2 * WIDE], scale[2 * WIDE];
    UNROLL for (int v = 0; v < vectors; v++)
        square[v] = v_set(0);
    for (int l = 0; l < depth; l++)
        UNROLL for (int v = 0; v < vectors; v++) {
            const vf a = load_there(x + l * ldx + v * LANES, columns - v * LANES);
            square[v] = v_fma(a, a, square[v]);
        }
    UNROLL for (int v = 0; v < vectors; v++) {
        const vf norm = v_sqrt(square[v]);
        scale[v] = inverse_unit(norm);
        v_store(unit + v * LANES, norm * v_set(1 / REACH));
    }
    for (int l = 0; l < depth; l += 2, to += step)
        UNROLL for (int v = 0; v < vectors; v++) {
            const float *at = x + l * ldx + v * LANES;
            const int there = columns - v * LANES;
            const vf even = load_there(at, there), odd = load_there(at + ldx, l + 1 < depth ? there : 0);
            _mm512_storeu_si512(to + v * LANES, two_rows(even * scale[v], odd * scale[v]));
        }
}

static void pack_pairs(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    _Alignas(64) float turned[STEPS * GROUP];
    const bool tb = flags & ECG_GEMM_TB;
    for (int j = from; j < to; j += GROUP) {
        float *panel = packed + (size_t)j * panel_rows(k);
        const int columns = n - j < GROUP ? n - j : GROUP;
        for (int l = 0; l < k; l += STEPS) {
            const int depth = k - l < STEPS ? k - l : STEPS;
            if (tb)
                pack_panel(turned, b + (size_t)j * ldb + l, depth, columns, GROUP, ldb, true);
            pair_columns(panel, (int32_t *)(panel + GROUP), GROUP, tb ? turned : b + (size_t)l * ldb + j, tb ? GROUP : columns, depth, tb ? GROUP : ldb, WIDE);
            panel += (size_t)GROUP * ((depth + 1) / 2 + 1);
        }
    }
}

/* rows x depth of op(a) and the units of its rows; what is not there is 0 */
static void pair_tile(int32_t *tile, float *unit, const float *a, int rows, int depth, int lda, bool transposed)
{
    if (transposed) {
        pair_columns(unit, tile, PITCH, a, rows, depth, lda, 2 * WIDE);
        return;
    }
    const int padded = (rows + ROWS - 1) / ROWS * ROWS;
    for (int i = 0; i < padded; i++, a += lda, tile += PITCH) {
        vf square = v_set(0);
        for (int l = 0; l < depth && i < rows; l += LANES) {
            const vf x = load_some(a + l, depth - l);
            square = v_fma(x, x, square);
        }
        const vf norm = v_sqrt(v_set(v_sum(square))), scale = inverse_unit(norm);
        unit[i] = v_first(norm) / REACH;
        for (int l = 0; l < depth; l += LANES) {
            const __m512i whole = _mm512_cvtps_epi32(load_there(a + l, i < rows ? depth - l : 0) * scale);
            _mm256_storeu_si256((__m256i *)(void *)((int16_t *)tile + l), _mm512_cvtepi32_epi16(whole));
        }
    }
}

/* by hand, as gcc 12 spills sums of the intrinsic at every turn of a loop: 272 of the 424 GFLOP/s this reaches */
static inline __attribute__((always_inline)) void add_pairs(__m512i sum[ROWS][WIDE], const int32_t *a, size_t row_step, const float *p)
{
    __m512i b[WIDE];
    UNROLL for (int v = 0; v < WIDE; v++)
        b[v] = _mm512_loadu_si512(p + v * LANES);
    UNROLL for (int i = 0; i < ROWS; i++) {
        const __m512i x = _mm512_set1_epi32(a[i * row_step]);
        UNROLL for (int v = 0; v < WIDE; v++)
            __asm__("vpdpwssd %2, %1, %0" : "+v"(sum[i][v]) : "v"(x), "v"(b[v]));
    }
}

/* the sums of a block in the units of rows and columns, added to what c begins with */
static inline __attribute__((always_inline)) void leave_in_units(__m512i sum[ROWS][WIDE], sums c, const float *unit, const float *panel, int block, int rows, int columns)
{
    const float *begin = c.plus[0].from ? c.plus[0].from + block * c.plus[0].jump : NULL;
    float *to = c.to + block * c.jump;
    UNROLL for (int i = 0; i < ROWS; i++) {
        const vf mine = v_set(unit[i]);
        UNROLL for (int v = 0; v < WIDE; v++) {
            const int left = i < rows ? columns - v * LANES : 0;
            const vf there = begin ? load_there(begin + i * c.plus[0].step + v * LANES, left) : v_set(0);
            if (left > 0)
                store_some(to + i * c.step + v * LANES, v_fma(_mm512_cvtepi32_ps(sum[i][v]) * v_load(panel + v * LANES), mine, there), left);
        }
    }
}

/* c as multiply_panel has it, from pairs; steps through the tile are constants where it is called */
static inline __attribute__((always_inline)) void multiply_pairs(sums c, const int32_t *tile, const float *unit, const float *panel, int m, int pairs, int columns,
                                                                      const size_t row_step, const size_t depth_step, const size_t block_step, ahead later)
{
    for (int i0 = 0, block = 0; i0 < m; i0 += ROWS, block++, tile += block_step) {
        __m512i sum[ROWS][WIDE];
        UNROLL for (int i = 0; i < ROWS; i++)
            UNROLL for (int v = 0; v < WIDE; v++)
                sum[i][v] = _mm512_setzero_si512();
        const float *p = panel + GROUP;
        const int32_t *a = tile;
        const char *to_come = (const char *)(c.soon.from + block * c.soon.jump);
        int l = 0;
        for (; l + WIDE * EACH <= pairs; l += WIDE * EACH, to_come += c.soon.step * 4 - WIDE * 64) {
            const size_t on = later.next < later.end ? 64 : 0;
            ROLLED for (int e = 0; e < WIDE; e++, p += EACH * GROUP, a += EACH * depth_step) {
                __builtin_prefetch(later.next, 0, 2);
                later.next += on;
                __builtin_prefetch(to_come, 1);
                to_come += 64;
                UNROLL for (int s = 0; s < EACH; s++)
                    add_pairs(sum, a + s * depth_step, row_step, p + s * GROUP);
            }
        }
        for (; l < pairs; l++, p += GROUP, a += depth_step)
            add_pairs(sum, a, row_step, p);
        if (m - i0 >= ROWS && columns == GROUP)
            leave_in_units(sum, c, unit + i0, panel, block, ROWS, GROUP);
        else
            leave_in_units(sum, c, unit + i0, panel, block, m - i0, columns);
    }
}

static __attribute__((noinline)) void times_pairs(sums c, const int32_t *tile, const float *unit, const float *panel, int m, int pairs, int columns, bool transposed,
                                                       ahead later)
{
    if (transposed)
        multiply_pairs(c, tile, unit, panel, m, pairs, columns, 1, PITCH, ROWS, later);
    else
        multiply_pairs(c, tile, unit, panel, m, pairs, columns, PITCH, 1, ROWS * PITCH, later);
}

/* as by_packed */
static void by_pairs(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldc, unsigned flags, const gates then)
{
    enum { CHUNKS = LONG / DEPTH, REACHED = CHUNKS * STEPS };
    _Alignas(64) int32_t tile[CHUNKS][TALL * PITCH];
    _Alignas(64) float unit[CHUNKS][PITCH];
    const bool ta = flags & ECG_GEMM_TA;
    const size_t panel_floats = (size_t)panel_rows(k) * GROUP;
    const int tall = ta ? 2 * GROUP / ROWS * ROWS : TALL; /* across, as many as pair_columns takes */
    for (int i = 0; i < m; i += tall) {
        const int rows = m - i < tall ? m - i : tall;
        for (int l0 = 0; l0 < k; l0 += REACHED) {
            const int end = k - l0 < REACHED ? k : l0 + REACHED;
            for (int l = l0, q = 0; l < end; l += STEPS, q++)
                pair_tile(tile[q], unit[q], ta ? a + (size_t)l * lda + i : a + (size_t)i * lda + l, rows, end - l < STEPS ? end - l : STEPS, lda, ta);
            for (int at = 0; at < n; at += GROUP) {
                const bool second = then.y && at / GROUP % 2;
                const int j = then.y ? at / (2 * GROUP) * GROUP + second * then.H : at, columns = n - j < GROUP ? n - j : GROUP;
                const float *panel = b + (size_t)(j / GROUP) * panel_floats + (size_t)(l0 / STEPS) * (DEPTH + 1) * GROUP;
                for (int l = l0, q = 0; l < end; l += STEPS, q++) {
                    const int pairs = ((end - l < STEPS ? end - l : STEPS) + 1) / 2;
                    const size_t size = (size_t)(pairs + 1) * GROUP;
                    const float *next = panel + size;
                    if (then.y && l + STEPS >= end) /* of the other half */
                        next = b + (size_t)((second ? j - then.H + GROUP : j + then.H) / GROUP) * panel_floats + (size_t)(l0 / STEPS) * (DEPTH + 1) * GROUP;
                    times_pairs(begin_with(c + (size_t)i * ldc + j, bias ? bias + j : NULL, ldc, l > 0 || flags & ECG_GEMM_ADD), tile[q], unit[q], panel, rows, pairs,
                                columns, ta, (ahead){(const char *)next, (const char *)(next + size)});
                    panel += size;
                }
                if (second && end == k)
                    glu_channels(then.y + (size_t)i * then.H, c + (size_t)i * ldc, then.scale, then.plus ? then.plus + (size_t)i * then.H : NULL, rows, then.H,
                                 j - then.H, j - then.H + GROUP);
            }
        }
    }
}

static void gemm_fixed16(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags)
{
    if (flags & ECG_GEMM_PACKED && pairs_pay(n, k, flags))
        by_pairs(c, a, b, bias, m, n, k, lda, ldc, flags, (gates){0});
    else
        gemm_bf16(c, a, b, bias, m, n, k, lda, ldb, ldc, flags);
}

static void pack_fixed16(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    (pairs_pay(n, k, flags) ? pack_pairs : pack_bf16)(packed, b, n, k, ldb, from, to, flags);
}

static void gemm_glu_fixed16(float *y, float *o, const float *a, const float *packed, const float *bias, const float *scale, const float *plus, int rows, int H,
                             int k)
{
    const unsigned flags = ECG_GEMM_WIDE | ECG_GEMM_PACKED;
    if (!pairs_pay(2 * H, k, flags)) {
        gemm_glu_bf16(y, o, a, packed, bias, scale, plus, rows, H, k);
    } else if (H % GROUP == 0) {
        by_pairs(o, a, packed, bias, rows, 2 * H, k, k, 2 * H, flags, (gates){y, scale, plus, H});
    } else {
        by_pairs(o, a, packed, bias, rows, 2 * H, k, k, 2 * H, flags, (gates){0});
        glu(y, o, scale, plus, rows, H);
    }
}
