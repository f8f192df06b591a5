/* SPDX-License-Identifier: MIT
 * infer.c: see infer.h. A block is two passes over a crop: channels (convolution), then rows (GELU, product, gates, residual, LayerNorm, while the
 * rows are in the cache). Both are cut as it suits the threads: channels and rows do not couple within their pass. */
#include "net/infer.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"

enum { ROWS = ECG_BLOCK_ROWS, CHANNELS = 64 }; /* of a pass at most */

struct ecg_infer {
    ecg_arena *arena;
    const ecg_encoder *e;
    const float *in_b;
    float *in_w;      /* packed input linear */
    float **packed;   /* (blocks) packed output weights */
    ecg_block *block; /* (blocks) */
};

/* A crop's rows in pieces, while they may be taken by anyone: who takes one finds its block in `block`. */
typedef struct {
    _Alignas(64) atomic_int next; /* piece; from `parts` on there is none */
    atomic_int done;
    int block;
} offer;

typedef struct {
    float *u, *v;     /* (L, H) of one crop: the block's input, the convolution of it */
    float *o, *x;     /* (ROWS, 2H), (ROWS, leads) of one worker */
    float *piece[2];  /* (L, CHANNELS) of one worker: channels by themselves */
    float *scratch;
    offer *rows;      /* of the crop that this worker has */
} buffers;

struct ecg_infer_work {
    ecg_arena *arena;
    int workers;
    buffers *at;      /* (workers); crops that are cut use u and v of as many */
};

/* ---- what depends on parameters alone -------------------------------------------------------------------------------------------- */

ecg_infer *ecg_infer_new(const ecg_encoder *e)
{
    const ecg_encoder_config *c = ecg_encoder_shape(e);
    ecg_arena *a = ecg_arena_new();
    ecg_infer *f = a ? ecg_arena_take(a, 1, sizeof *f) : NULL;
    if (!f) {
        ecg_arena_free(a);
        return NULL;
    }
    *f = (ecg_infer){.arena = a, .e = e};
    f->in_w = ecg_arena_take(a, ecg_packed(c->width, c->leads), sizeof(float));
    f->packed = ecg_arena_take(a, c->blocks, sizeof *f->packed);
    f->block = ecg_arena_take(a, c->blocks, sizeof *f->block);
    bool ok = f->in_w && f->packed && f->block;
    for (int i = 0; ok && i < c->blocks; i++)
        ok = (f->packed[i] = ecg_arena_take(a, ecg_packed(2 * c->width, c->width), sizeof(float))) != NULL;
    if (!ok) {
        ecg_arena_free(a);
        return NULL;
    }
    return f;
}

void ecg_infer_free(ecg_infer *f)
{
    if (f)
        ecg_arena_free(f->arena); /* f lies in it */
}

typedef struct {
    ecg_infer *f;
    const ecg_kernels *k;
    int pieces; /* of a weight */
} pack_job;

static void pack_piece(void *ctx, int item, int worker)
{
    const pack_job *j = ctx;
    const int H = ecg_encoder_shape(j->f->e)->width, i = item / j->pieces, from = item % j->pieces * ECG_PACK;
    (void)worker;
    j->k->pack(j->f->packed[i], j->f->block[i].out_w, 2 * H, H, H, from, 2 * H - from < ECG_PACK ? 2 * H : from + ECG_PACK, ECG_GEMM_TB | ECG_GEMM_WIDE);
}

void ecg_infer_set(ecg_infer *f, const ecg_params *table, const ecg_exec *exec)
{
    const ecg_encoder_config *c = ecg_encoder_shape(f->e);
    const float *in_w;
    ecg_encoder_input(&in_w, &f->in_b, f->e, table);
    exec->k->pack(f->in_w, in_w, c->width, c->leads, c->leads, 0, c->width, ECG_GEMM_TB);
    for (int i = 0; i < c->blocks; i++) {
        f->block[i] = ecg_encoder_block(f->e, table, i);
        f->block[i].packed = f->packed[i];
    }
    pack_job j = {f, exec->k, (2 * c->width + ECG_PACK - 1) / ECG_PACK};
    ecg_pool_run(exec->pool, pack_piece, &j, c->blocks * j.pieces);
}

/* ---- buffers --------------------------------------------------------------------------------------------------------------------- */

ecg_infer_work *ecg_infer_work_new(const ecg_encoder *e, int workers)
{
    const ecg_encoder_config *c = ecg_encoder_shape(e);
    const size_t L = c->length, H = c->width;
    ecg_arena *a = ecg_arena_new();
    ecg_infer_work *w = a ? ecg_arena_take(a, 1, sizeof *w) : NULL;
    bool ok = w && (w->at = ecg_arena_take(a, workers, sizeof *w->at));
    for (int i = 0; ok && i < workers; i++) {
        buffers *b = &w->at[i];
        b->u = ecg_arena_take(a, L * H, sizeof(float));
        b->v = ecg_arena_take(a, L * H, sizeof(float));
        b->o = ecg_arena_take(a, ROWS * 2 * H, sizeof(float));
        b->x = ecg_arena_take(a, ROWS * (size_t)c->leads, sizeof(float));
        b->piece[0] = ecg_arena_take(a, L * CHANNELS, sizeof(float));
        b->piece[1] = ecg_arena_take(a, L * CHANNELS, sizeof(float));
        b->scratch = ecg_arena_take(a, ecg_encoder_scratch(e), sizeof(float));
        b->rows = ecg_arena_take(a, 1, sizeof *b->rows);
        ok = b->u && b->v && b->o && b->x && b->piece[0] && b->piece[1] && b->scratch && b->rows;
    }
    if (!ok) {
        ecg_arena_free(a);
        return NULL;
    }
    w->arena = a;
    w->workers = workers;
    return w;
}

void ecg_infer_work_free(ecg_infer_work *w)
{
    if (w)
        ecg_arena_free(w->arena); /* w lies in it */
}

/* ---- the two passes -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const ecg_infer *f;
    ecg_infer_work *w;
    const ecg_kernels *k;
    const float *x;
    float *h;
    int rows, parts; /* rows of a piece, pieces of a crop */
    int block;       /* of crops that are cut */
    int whole;       /* crops a worker each */
    atomic_int *left; /* of these */
} job;

/* u (rows from..) = x W^T + b */
static void input_rows(const job *j, const buffers *crop, const buffers *mine, const float *x, int from, int rows)
{
    const ecg_encoder_config *c = ecg_encoder_shape(j->f->e);
    x += (size_t)from * c->leads;
    for (int i = 0; i < rows * c->leads; i++)
        mine->x[i] = isnan(x[i]) ? 0 : x[i];
    j->k->gemm(crop->u + (size_t)from * c->width, mine->x, j->f->in_w, j->f->in_b, rows, c->width, c->leads, c->leads, c->leads, c->width, ECG_GEMM_PACKED);
}

static void copy_channels(float *to, const float *from, int L, int n, int to_row, int from_row)
{
    for (int t = 0; t < L; t++, to += to_row, from += from_row)
        memcpy(to, from, (size_t)n * sizeof *to);
}

/* Channels from.. of a crop's convolution, a multiple of whole panels. */
static void convolve_channels(const job *j, const ecg_block *b, const buffers *crop, const buffers *mine, int from)
{
    const int n = b->H - from < CHANNELS ? b->H - from : CHANNELS, panel = from / ECG_PANEL;
    ecg_scan s = b->scan;
    const size_t state = (size_t)ECG_CHUNK * s.states * ECG_PANEL;
    s.H = n;
    s.in += panel * state;
    s.step += panel * s.step_stride;
    s.near += (size_t)panel * (2 * ECG_CHUNK - 1) * ECG_PANEL;
    s.D += from;
    for (int d = 0; d < 2; d++)
        s.out[d] = s.out[d] ? s.out[d] + panel * state : NULL;
    copy_channels(mine->piece[0], crop->u + from, b->L, n, n, b->H);
    j->k->scan(mine->piece[1], mine->piece[0], &s, mine->scratch);
    copy_channels(crop->v + from, mine->piece[1], b->L, n, b->H, n);
}

/* u (rows from..) = LayerNorm(u + GLU(GELU(v) Wo^T + bo)) */
static void finish_rows(const job *j, const ecg_block *b, const buffers *crop, const buffers *mine, int from, int rows)
{
    float *u = crop->u + (size_t)from * b->H;
    ecg_block_finish(u, crop->v + (size_t)from * b->H, mine->o, b, u, NULL, NULL, rows, j->k);
}

static void mean_over_time(const job *j, const buffers *crop, int b)
{
    const ecg_encoder_config *c = ecg_encoder_shape(j->f->e);
    float *h = j->h + (size_t)b * c->width;
    memset(h, 0, sizeof *h * c->width);
    j->k->sum_rows(h, crop->u, c->length, c->width);
    for (int i = 0; i < c->width; i++)
        h[i] /= (float)c->length;
}

/* ---- a crop a worker ------------------------------------------------------------------------------------------------------------- */

/* One piece of what `crop` offers, if there is any. Its owner waits for all pieces before it offers the next block's. */
static bool take_piece(const job *j, const buffers *crop, const buffers *mine)
{
    if (atomic_load_explicit(&crop->rows->next, memory_order_relaxed) >= j->parts)
        return false;
    const int piece = atomic_fetch_add_explicit(&crop->rows->next, 1, memory_order_acq_rel);
    if (piece >= j->parts)
        return false;
    const ecg_block *b = &j->f->block[crop->rows->block];
    const int from = piece * j->rows;
    finish_rows(j, b, crop, mine, from, b->L - from < j->rows ? b->L - from : j->rows);
    atomic_fetch_add_explicit(&crop->rows->done, 1, memory_order_release);
    return true;
}

static void whole_crop(const job *j, int item, int worker)
{
    const ecg_encoder_config *c = ecg_encoder_shape(j->f->e);
    const buffers *b = &j->w->at[worker];
    const float *x = j->x + (size_t)item * c->length * c->leads;
    for (int r = 0; r < c->length; r += ROWS)
        input_rows(j, b, b, x, r, c->length - r < ROWS ? c->length - r : ROWS);
    for (int i = 0; i < c->blocks; i++) {
        ecg_block_convolve(b->v, &j->f->block[i], b->u, j->k, b->scratch);
        b->rows->block = i;
        atomic_store_explicit(&b->rows->done, 0, memory_order_relaxed);
        atomic_store_explicit(&b->rows->next, 0, memory_order_release);
        while (take_piece(j, b, b)) {
        }
        while (atomic_load_explicit(&b->rows->done, memory_order_acquire) < j->parts)
            ecg_pause();
    }
    mean_over_time(j, b, item);
    atomic_fetch_sub_explicit(j->left, 1, memory_order_release);
}

/* Crops are taken until there are none; then their rows, from those who still have one. */
static void crop_or_rows(void *ctx, int item, int worker)
{
    const job *j = ctx;
    if (item < j->whole) {
        whole_crop(j, item, worker);
        return;
    }
    while (atomic_load_explicit(j->left, memory_order_acquire) > 0) {
        bool took = false;
        for (int i = 0; i < j->w->workers && !took; i++)
            took = take_piece(j, &j->w->at[i], &j->w->at[worker]);
        if (!took)
            ecg_pause();
    }
}

static void whole_crops(job *j, ecg_pool *pool)
{
    const int rows = ecg_block_rows(ecg_encoder_shape(j->f->e)->length);
    atomic_int left = j->whole;
    j->rows = rows;
    j->parts = (ecg_encoder_shape(j->f->e)->length + rows - 1) / rows;
    j->left = &left;
    for (int i = 0; i < j->w->workers; i++)
        atomic_store_explicit(&j->w->at[i].rows->next, j->parts, memory_order_relaxed); /* nothing on offer */
    ecg_pool_run(pool, crop_or_rows, j, j->whole + (ecg_pool_spins(pool) && j->whole ? ecg_pool_threads(pool) - 1 : 0));
}

/* ---- crops in pieces ------------------------------------------------------------------------------------------------------------- */

static void input_piece(void *ctx, int item, int worker)
{
    const job *j = ctx;
    const ecg_encoder_config *c = ecg_encoder_shape(j->f->e);
    const int crop = item / j->parts, from = item % j->parts * j->rows;
    input_rows(j, &j->w->at[crop], &j->w->at[worker], j->x + (size_t)crop * c->length * c->leads, from,
               c->length - from < j->rows ? c->length - from : j->rows);
}

static int channel_parts(const ecg_block *b) { return b->scan.in ? (b->H + CHANNELS - 1) / CHANNELS : 1; }

static void convolve_piece(void *ctx, int item, int worker)
{
    const job *j = ctx;
    const ecg_block *b = &j->f->block[j->block];
    const int parts = channel_parts(b);
    if (parts == 1)
        ecg_block_convolve(j->w->at[item].v, b, j->w->at[item].u, j->k, j->w->at[worker].scratch);
    else
        convolve_channels(j, b, &j->w->at[item / parts], &j->w->at[worker], item % parts * CHANNELS);
}

static void finish_piece(void *ctx, int item, int worker)
{
    const job *j = ctx;
    const ecg_block *b = &j->f->block[j->block];
    const int from = item % j->parts * j->rows;
    finish_rows(j, b, &j->w->at[item / j->parts], &j->w->at[worker], from, b->L - from < j->rows ? b->L - from : j->rows);
}

static void in_pieces(job *j, ecg_pool *pool, int crops)
{
    const ecg_encoder_config *c = ecg_encoder_shape(j->f->e);
    const int threads = ecg_pool_threads(pool), wanted = (c->length * crops + 2 * threads - 1) / (2 * threads); /* two pieces a thread */
    j->rows = wanted > ROWS ? ROWS : wanted < 24 ? 24 : (wanted + ECG_ROWS_TOGETHER - 1) / ECG_ROWS_TOGETHER * ECG_ROWS_TOGETHER;
    j->parts = (c->length + j->rows - 1) / j->rows;
    ecg_pool_run(pool, input_piece, j, crops * j->parts);
    for (j->block = 0; j->block < c->blocks; j->block++) {
        ecg_pool_run(pool, convolve_piece, j, crops * channel_parts(&j->f->block[j->block]));
        ecg_pool_run(pool, finish_piece, j, crops * j->parts);
    }
    for (int b = 0; b < crops; b++)
        mean_over_time(j, &j->w->at[b], b);
}

void ecg_infer_run(float *h, const ecg_infer *f, ecg_infer_work *w, const ecg_exec *exec, const float *x, int B)
{
    const ecg_encoder_config *c = ecg_encoder_shape(f->e);
    const int threads = ecg_pool_threads(exec->pool), whole = B - B % threads;
    assert(threads <= w->workers);
    job j = {.f = f, .w = w, .k = exec->k, .x = x, .h = h, .whole = whole};
    whole_crops(&j, exec->pool);
    if (whole == B)
        return;
    j.x += (size_t)whole * c->length * c->leads;
    j.h += (size_t)whole * c->width;
    in_pieces(&j, exec->pool, B - whole);
}
