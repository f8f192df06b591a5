/* SPDX-License-Identifier: MIT
 * cpu_strassen.h: a large product by seven products of quarters instead of eight, part of cpu_gemm.h. Strassen's algorithm in Winograd's form (Knuth,
 * The Art of Computer Programming 2, 4.6.4), one level. All of a is cut in four by rows and depth, b by depth and columns, c by rows and columns:
 *
 *   S1 = A21 + A22   S2 = S1 - A11   S3 = A11 - A21   S4 = A12 - S2      T1 = B12 - B11   T2 = B22 - T1   T3 = B22 - B12   T4 = B21 - T2
 *   U = A11 B11      C11 = U + A12 B21
 *   U = U + S2 T2    V = S1 T1    C12 = U + V, then + S4 B22
 *   U = U + S3 T3    C22 = U + V  C21 = U + A22 T4
 *
 * The sums of a are taken where a is copied into its tile anyway, 2 HALF_TALL rows at a time, those of b once where it is packed, in the order
 * in which they are wanted; U and V are HALF_TALL rows of one panel and stay in the cache. So an eighth of the multiply-adds falls away and hardly
 * anything is added. Rounding: errors are bounded by the norms of a and b, not element by element (Higham, Accuracy and Stability of Numerical
 * Algorithms, 23.2.2): docs/PERFORMANCE.md has what was measured. What is no number spreads to the rows it is added to, ROWS up or down. */
enum { HALF_TALL = 11 * ROWS, QUARTERS = 7, PAIR = 2 * WIDE * LANES };
_Static_assert(2 * ROWS == ECG_ROWS_TOGETHER, "what may be cut");

/* whether packed operands lie like that: where a quarter is deep and wide enough for its products to outweigh the sums */
static bool seven_pays(int n, int k, unsigned flags) { return flags & ECG_GEMM_WIDE && n % ECG_PACK == 0 && n >= 256 && k >= 192; }

/* depth is cut into pieces of at most LONG, alike; of each the upper and the lower half, the upper one longer by one if need be */
static int stretch_of(int k)
{
    const int pieces = (k + LONG - 1) / LONG;
    return ((k + pieces - 1) / pieces + 1) / 2 * 2;
}

static int chunk_of(int half)
{
    const int chunks = (half + DEPTH - 1) / DEPTH;
    return (half + chunks - 1) / chunks;
}

/* depth rows of op(b), zeros up to half */
static void pack_quarter(float *panel, const float *b, int half, int depth, int ldb, bool tb)
{
    pack_panel(panel, b, depth, PAIR / 2, PAIR / 2, ldb, tb);
    memset(panel + (size_t)depth * (PAIR / 2), 0, (size_t)(half - depth) * (PAIR / 2) * sizeof *panel);
}

static inline __attribute__((always_inline)) void leave_right(float *at, size_t size, vf b11, vf b12, vf b21, vf b22)
{
    const vf t1 = b12 - b11, t2 = b22 - t1;
    v_store(at, b11);
    v_store(at + size, b21);
    v_store(at + 2 * size, t2);
    v_store(at + 3 * size, t1);
    v_store(at + 4 * size, b22);
    v_store(at + 5 * size, b22 - b12);
    v_store(at + 6 * size, b21 - t2);
}

/* of every stretch all pairs of panels of the left and the right half, and of each pair B11, B21, T2, T1, B22, T3, T4 */
static void pack_seven(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags)
{
    enum { WIDTH = PAIR / 2 };
    const bool tb = flags & ECG_GEMM_TB;
    const int stretch = stretch_of(k);
    for (int l0 = 0; l0 < k; l0 += stretch) {
        const int depth = k - l0 < stretch ? k - l0 : stretch, half = (depth + 1) / 2;
        const size_t size = (size_t)half * WIDTH;
        float *panel = packed + (size_t)QUARTERS * (n / 2) * (l0 / 2) + QUARTERS * size * (from / PAIR);
        for (int j = from / 2; j < to / 2; j += WIDTH, panel += QUARTERS * size) {
            const float *b11 = tb ? b + (size_t)j * ldb + l0 : b + (size_t)l0 * ldb + j, *b12 = b11 + (size_t)(n / 2) * (tb ? ldb : 1);
            const size_t down = (size_t)half * (tb ? 1 : ldb);
            if (!tb) {
                for (int l = 0; l < half; l++)
                    for (int v = 0; v < WIDTH; v += LANES) {
                        const float *up = b11 + (size_t)l * ldb + v, *low = up + down;
                        const bool there = l < depth - half;
                        leave_right(panel + (size_t)l * WIDTH + v, size, v_load(up), v_load(up + n / 2), there ? v_load(low) : v_set(0),
                                    there ? v_load(low + n / 2) : v_set(0));
                    }
                continue;
            }
            pack_quarter(panel, b11, half, half, ldb, tb);
            pack_quarter(panel + size, b11 + down, half, depth - half, ldb, tb);
            pack_quarter(panel + 2 * size, b12, half, half, ldb, tb);
            pack_quarter(panel + 4 * size, b12 + down, half, depth - half, ldb, tb);
            for (size_t i = 0; i < size; i += LANES) {
                float *at = panel + i;
                leave_right(at, size, v_load(at), v_load(at + 2 * size), v_load(at + size), v_load(at + 4 * size));
            }
        }
    }
}

/* the left factors, each in tiles of at most DEPTH */
enum { A11, A12, S2, S1, S4, S3, A22 };
enum { HALF_PITCH = (HALF_TALL + LANES - 1) / LANES * LANES, HALF_TILE = DEPTH * HALF_PITCH > HALF_TALL * PITCH ? DEPTH * HALF_PITCH : HALF_TALL * PITCH };
typedef float seven_tiles[QUARTERS][LONG / DEPTH / 2][HALF_TILE];

static inline __attribute__((always_inline)) void leave_sums(seven_tiles tile, int chunk, size_t at, vf a11, vf a12, vf a21, vf a22)
{
    const vf s1 = a21 + a22, s2 = s1 - a11;
    v_store(tile[A11][chunk] + at, a11);
    v_store(tile[A12][chunk] + at, a12);
    v_store(tile[S1][chunk] + at, s1);
    v_store(tile[S2][chunk] + at, s2);
    v_store(tile[S3][chunk] + at, a11 - a21);
    v_store(tile[S4][chunk] + at, a12 - s2);
    v_store(tile[A22][chunk] + at, a22);
}

static inline vf load_there(const float *p, int left) { return left > 0 ? load_some(p, left) : v_set(0); }

/* How rows are told apart. As they lie, ROWS are upper and ROWS are lower ones in turn, so that a row's sums depend on its neighbours among 2 ROWS alone
 * and a matrix may be cut between those; transposed, half of them after the other half. */
typedef struct {
    int half, upper, lower; /* rows of either half, with and without those that fill up to whole ROWS */
    size_t apart, jump;     /* from an upper row to its lower one, from ROWS of one half to the next ones */
} halves;

static halves halves_of(int rows, bool transposed)
{
    const int pairs = (rows + 2 * ROWS - 1) / (2 * ROWS), rest = rows % (2 * ROWS), half = pairs * ROWS;
    if (transposed)
        return (halves){half, rows < half ? rows : half, rows < half ? 0 : rows - half, half, ROWS};
    const int missing = rest ? 2 * ROWS - rest : 0, below = missing < ROWS ? missing : ROWS;
    return (halves){half, half - (missing - below), half - below, ROWS, 2 * ROWS};
}

/* Both halves of what is taken two rows later. May lie beyond the end: asked for, never read. */
static inline void ask_for_rows(const float *one, const float *other, int lda)
{
    __builtin_prefetch(one + 2 * (size_t)lda);
    __builtin_prefetch(other + 2 * (size_t)lda);
}

/* one row of a after the other, so that each is read in one go */
static void pack_rows(seven_tiles tile, const float *a, const halves *h, int depth, int lda)
{
    const int left = (depth + 1) / 2, chunk = chunk_of(left);
    for (int i = 0; i < h->half; i++) {
        const float *row = a + (i / ROWS * h->jump + i % ROWS) * lda;
        const bool above = i < h->upper, below = i < h->lower;
        for (int l0 = 0, c = 0; l0 < left; l0 += chunk, c++) {
            const int deep = left - l0 < chunk ? left - l0 : chunk, right_deep = depth - left - l0 < deep ? depth - left - l0 : deep;
            for (int l = 0; l < deep; l += LANES) {
                const float *up = row + l0 + l, *low = up + h->apart * lda;
                ask_for_rows(up, up + left, lda);
                ask_for_rows(low, low + left, lda);
                leave_sums(tile, c, (size_t)i * PITCH + l, load_there(up, above ? deep - l : 0), load_there(up + left, above ? right_deep - l : 0),
                           load_there(low, below ? deep - l : 0), load_there(low + left, below ? right_deep - l : 0));
            }
        }
    }
}

/* of a transposed a, whose rows are steps */
static void pack_columns(seven_tiles tile, const float *a, const halves *h, int depth, int lda)
{
    const int left = (depth + 1) / 2, chunk = chunk_of(left);
    for (int l = 0; l < left; l++)
        for (int i = 0; i < h->half; i += LANES) {
            const float *up = a + (size_t)l * lda + i, *right = up + (size_t)left * lda;
            const bool there = l < depth - left;
            ask_for_rows(up, up + h->apart, lda);
            ask_for_rows(right, right + h->apart, lda);
            leave_sums(tile, l / chunk, (size_t)(l % chunk) * HALF_PITCH + i, load_there(up, h->upper - i), load_there(right, there ? h->upper - i : 0),
                       load_there(up + h->apart, h->lower - i), load_there(right + h->apart, there ? h->lower - i : 0));
        }
}

/* rows x depth of op(a), the left half of (depth + 1) / 2 columns; zeros fill up */
static void pack_sums(seven_tiles tile, const float *a, const halves *h, int depth, int lda, bool ta)
{
    (ta ? pack_columns : pack_rows)(tile, a, h, depth, lda);
}

typedef struct {
    int depth; /* of a quarter */
    bool transposed;
    const float *panel; /* the one whose turn it is */
} quarters;

/* to = tile panel + plus, then the next panel has its turn */
static void times_quarter(quarters *q, sums to, float tile[LONG / DEPTH / 2][HALF_TILE], int rows)
{
    const int chunk = chunk_of(q->depth);
    for (int l = 0; l < q->depth; l += chunk) {
        const int deep = q->depth - l < chunk ? q->depth - l : chunk;
        const float *panel = q->panel;
        q->panel += (size_t)deep * (PAIR / 2);
        const ahead later = {(const char *)q->panel, (const char *)(q->panel + (q->panel - panel))};
        times_panel(to, tile[l / chunk], panel, rows, deep, PAIR / 2, q->transposed, HALF_PITCH, later, WIDE);
        to = (sums){to.to, to.step, to.jump, to.soon, {{to.to, to.step, to.jump}}};
    }
}

/* to = x + u + v, u and v WIDTH wide; x.from NULL: 0 */
static void add_three(float *to, size_t step, size_t jump, strip x, const float *u, const float *v, int rows)
{
    enum { WIDTH = PAIR / 2 };
    for (int i = 0; i < rows; i++) {
        float *y = to + i / ROWS * jump + i % ROWS * step;
        const float *from = x.from ? x.from + i / ROWS * x.jump + i % ROWS * x.step : NULL;
        for (int j = 0; j < WIDTH; j += LANES) {
            const vf sum = v_load(u + (size_t)i * WIDTH + j) + v_load(v + (size_t)i * WIDTH + j);
            v_store(y + j, sum + (from ? v_load(from + j) : v_set(0)));
        }
    }
}

static void by_seven(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldc, unsigned flags, const gates then)
{
    enum { WIDTH = PAIR / 2 };
    _Alignas(64) seven_tiles tile;
    _Alignas(64) float U[HALF_TALL * WIDTH], V[HALF_TALL * WIDTH];
    const bool ta = flags & ECG_GEMM_TA;
    const int stretch = stretch_of(k);
    for (int i = 0; i < m; i += 2 * HALF_TALL) {
        const int rows = m - i < 2 * HALF_TALL ? m - i : 2 * HALF_TALL;
        const halves h = halves_of(rows, ta);
        const size_t down = h.apart * ldc, jump = h.jump * ldc;
        const strip u = rows_of(U, WIDTH), v = rows_of(V, WIDTH);
        for (int l0 = 0; l0 < k; l0 += stretch) {
            const int depth = k - l0 < stretch ? k - l0 : stretch;
            const bool add = l0 > 0 || flags & ECG_GEMM_ADD;
            pack_sums(tile, ta ? a + (size_t)l0 * lda + i : a + (size_t)i * lda + l0, &h, depth, lda, ta);
            quarters q = {(depth + 1) / 2, ta, b + (size_t)QUARTERS * (n / 2) * (l0 / 2)};
            for (int j = 0; j < n / 2; j += WIDTH) {
                float *c11 = c + (size_t)i * ldc + j, *c12 = c11 + n / 2, *c21 = c11 + down, *c22 = c12 + down;
                const strip at11 = {c11, ldc, jump}, at12 = {c12, ldc, jump}, at21 = {c21, ldc, jump}, at22 = {c22, ldc, jump};
                const strip next = {c11 + WIDTH, ldc, jump};
                const strip left = {bias ? bias + j : NULL, 0, 0}, right = {bias ? bias + n / 2 + j : NULL, 0, 0}; /* what c begins with */
                times_quarter(&q, (sums){U, WIDTH, u.jump, at11, {{NULL, 0, 0}}}, tile[A11], h.half);
                times_quarter(&q, (sums){c11, ldc, jump, at12, {u, add ? at11 : left}}, tile[A12], h.upper);
                times_quarter(&q, (sums){U, WIDTH, u.jump, at22, {u}}, tile[S2], h.half);
                times_quarter(&q, (sums){V, WIDTH, v.jump, at21, {{NULL, 0, 0}}}, tile[S1], h.half);
                add_three(c12, ldc, jump, add ? at12 : right, U, V, h.upper);
                times_quarter(&q, (sums){c12, ldc, jump, at12, {at12}}, tile[S4], h.upper);
                times_quarter(&q, (sums){U, WIDTH, u.jump, u, {u}}, tile[S3], h.half);
                add_three(c22, ldc, jump, add ? at22 : right, U, V, h.lower);
                times_quarter(&q, (sums){c21, ldc, jump, next, {u, add ? at21 : left}}, tile[A22], h.lower);
                if (then.y && l0 + depth == k)
                    glu_channels(then.y + (size_t)i * then.H, c11 - j, then.scale, then.plus ? then.plus + (size_t)i * then.H : NULL, rows, then.H, j,
                                 j + WIDTH);
            }
        }
    }
}
