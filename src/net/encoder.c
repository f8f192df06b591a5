/* SPDX-License-Identifier: MIT
 * encoder.c: input linear, S4 blocks, mean over time; forward and backward, a sample at a time through the whole encoder, so that one
 * sample's activations stay in the cache of one core. */
#include "net/encoder.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "net/block.h"
#include "net/s4_conv.h"

enum { SLICES = 16, MOST_SLICES = 64, PARTS = 8, PANELS = 2 }; /* fixed cuts: of the batch, of a slice's gradients, of a layer's channels */

typedef struct {
    int D, C, log_dt, w, B, P, Q, out_w, out_b, norm_w, norm_b; /* rows of the table */
    ecg_s4_conv conv;
    size_t g_conv, g_D, g_out_w, g_out_b, g_norm_w, g_norm_b; /* places in a slice's gradient buffer */
} layer;

struct ecg_encoder {
    ecg_encoder_config c;
    int in_w, in_b;
    layer *layer; /* (blocks) */
    ecg_arena *arena;
    size_t g_in_w, g_in_b, slice_floats;
};

/* ---- construction */

static size_t place(size_t *floats, size_t count) /* of a piece in a buffer; pieces begin on cache lines */
{
    const size_t at = *floats;
    *floats += (count + 15) / 16 * 16;
    return at;
}

static int declare(const ecg_encoder *e, ecg_params *table, const char *prefix, int block, const char *name, int rank, const int64_t *dim,
                   unsigned flags, ecg_init init)
{
    char full[96];
    if (block < 0)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, name, block);
    const int fan_in = block < 0 ? e->c.leads : e->c.width;
    const float scale = init == ECG_INIT_UNIFORM ? (float)(1 / sqrt(fan_in)) : 1;
    return ecg_params_declare(table, prefix, full, rank, dim, flags, init, scale);
}

static bool declare_all(ecg_encoder *e, ecg_params *table, const char *prefix)
{
    const ecg_encoder_config *c = &e->c;
    const int64_t H = c->width, pairs = c->state / 2, directions = c->bidirectional ? 2 : 1;
    const int64_t in_w[] = {H, c->leads}, vec[] = {H}, D[] = {1, H}, C[] = {directions, H, pairs, 2}, B[] = {1, H, pairs, 2};
    const int64_t w[] = {H, pairs, 2}, out_w[] = {2 * H, H}, out_b[] = {2 * H, 1};
    int least = e->in_w = declare(e, table, prefix, -1, "encoder.weight", 2, in_w, 0, ECG_INIT_UNIFORM);
    e->in_b = declare(e, table, prefix, -1, "encoder.bias", 1, vec, 0, ECG_INIT_UNIFORM);
    for (int i = 0; i < c->blocks; i++) {
        layer *l = &e->layer[i];
        l->D = declare(e, table, prefix, i, "s4_layers.%d.D", 2, D, 0, ECG_INIT_NORMAL);
        l->C = declare(e, table, prefix, i, "s4_layers.%d.kernel.kernel.C", 4, C, 0, ECG_INIT_LAYER);
        l->log_dt = declare(e, table, prefix, i, "s4_layers.%d.kernel.kernel.log_dt", 1, vec, ECG_P_BUFFER, ECG_INIT_LAYER);
        l->w = declare(e, table, prefix, i, "s4_layers.%d.kernel.kernel.w", 3, w, ECG_P_BUFFER, ECG_INIT_LAYER);
        l->B = declare(e, table, prefix, i, "s4_layers.%d.kernel.kernel.B", 4, B, ECG_P_BUFFER, ECG_INIT_LAYER);
        l->P = declare(e, table, prefix, i, "s4_layers.%d.kernel.kernel.P", 4, B, ECG_P_BUFFER, ECG_INIT_LAYER);
        l->Q = declare(e, table, prefix, i, "s4_layers.%d.kernel.kernel.Q", 4, B, ECG_P_BUFFER, ECG_INIT_LAYER);
        l->out_w = declare(e, table, prefix, i, "s4_layers.%d.output_linear.0.weight", 2, out_w, 0, ECG_INIT_UNIFORM);
        l->out_b = declare(e, table, prefix, i, "s4_layers.%d.output_linear.0.bias", 2, out_b, 0, ECG_INIT_UNIFORM);
        l->norm_w = declare(e, table, prefix, i, "norms.%d.weight", 1, vec, 0, ECG_INIT_ONE);
        l->norm_b = declare(e, table, prefix, i, "norms.%d.bias", 1, vec, 0, ECG_INIT_ZERO);
        const int rows[] = {e->in_b, l->D, l->C, l->log_dt, l->w, l->B, l->P, l->Q, l->out_w, l->out_b, l->norm_w, l->norm_b};
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
            least = rows[k] < least ? rows[k] : least;
    }
    return least >= 0;
}

static bool take_constants(ecg_encoder *e)
{
    const size_t H = e->c.width;
    e->g_in_w = place(&e->slice_floats, H * e->c.leads);
    e->g_in_b = place(&e->slice_floats, H);
    for (int i = 0; i < e->c.blocks; i++) {
        layer *l = &e->layer[i];
        if (!ecg_s4_conv_take(&l->conv, e->arena, e->c.length, e->c.width, e->c.state, e->c.bidirectional))
            return false;
        l->g_conv = place(&e->slice_floats, l->conv.gradient);
        l->g_D = place(&e->slice_floats, H);
        l->g_out_w = place(&e->slice_floats, 2 * H * H);
        l->g_out_b = place(&e->slice_floats, 2 * H);
        l->g_norm_w = place(&e->slice_floats, H);
        l->g_norm_b = place(&e->slice_floats, H);
    }
    return true;
}

ecg_status ecg_encoder_new(ecg_encoder **out, const ecg_encoder_config *c, ecg_params *table, const char *prefix, ecg_err *err)
{
    *out = NULL;
    if (c->leads < 1 || c->leads > 256 || c->width < 1 || c->width > 16384 || c->blocks < 1 || c->blocks > 256 || c->length < 1 ||
        c->length > 100000)
        return ecg_fail(err, ECG_EARG, "an encoder of %d leads, width %d, %d blocks, length %d", c->leads, c->width, c->blocks, c->length);
    if (c->state < 2 || c->state % 2 || c->state > ECG_S4_STATES)
        return ecg_fail(err, ECG_EARG, "state size %d is not an even number from 2 to %d", c->state, ECG_S4_STATES);
    if (!(c->dropout >= 0 && c->dropout < 1))
        return ecg_fail(err, ECG_EARG, "dropout %g is not in [0, 1)", (double)c->dropout);
    ecg_encoder *e = calloc(1, sizeof *e);
    if (e) {
        e->c = *c;
        e->arena = ecg_arena_new();
        e->layer = e->arena ? ecg_arena_take(e->arena, c->blocks, sizeof *e->layer) : NULL;
    }
    if (!e || !e->layer || !declare_all(e, table, prefix) || !take_constants(e)) {
        ecg_encoder_free(e);
        return ecg_fail(err, ECG_ENOMEM, "no memory for an encoder of width %d, %d blocks, length %d", c->width, c->blocks, c->length);
    }
    *out = e;
    return ECG_OK;
}

void ecg_encoder_free(ecg_encoder *e)
{
    if (!e)
        return;
    ecg_arena_free(e->arena);
    free(e);
}

const ecg_encoder_config *ecg_encoder_shape(const ecg_encoder *e) { return &e->c; }

/* ---- constants and taps */

/* float rows of the table as the doubles that s4_kernel.h takes; 4 H N + H of them, freed by the caller */
static double *constants(ecg_s4 *s, const ecg_encoder *e, const layer *l, const ecg_params *table)
{
    const int H = e->c.width, N = e->c.state;
    const size_t n = (size_t)H * N;
    double *x = malloc((4 * n + H) * sizeof *x);
    const int row[] = {l->w, l->B, l->P, l->Q};
    for (int r = 0; x && r < 4; r++)
        for (size_t i = 0; i < n; i++)
            x[r * n + i] = ecg_value(table, row[r])[i];
    for (int h = 0; x && h < H; h++)
        x[4 * n + h] = ecg_value(table, l->log_dt)[h];
    *s = (ecg_s4){.H = H, .N = N, .L = e->c.length, .w = x, .B = x + n, .P = x + 2 * n, .Q = x + 3 * n, .log_dt = x + 4 * n};
    return x;
}

void ecg_encoder_init(const ecg_encoder *e, ecg_params *table, uint64_t seed)
{
    const int H = e->c.width, N = e->c.state, directions = e->c.bidirectional ? 2 : 1;
    double w[ECG_S4_STATES], P[ECG_S4_STATES], B[ECG_S4_STATES];
    double *C = malloc((size_t)directions * H * N * sizeof *C);
    bool ok = C && ecg_s4_hippo(w, P, B, N, NULL) == ECG_OK;
    for (int i = 0; i < e->c.blocks; i++) {
        const layer *l = &e->layer[i];
        ecg_rng r;
        ecg_rng_open(&r, seed, (uint32_t)l->log_dt << 20, ECG_STREAM_INIT, 0, 0);
        for (int h = 0; h < H; h++) { /* step sizes from 0.001 to 0.1, uniform in their logarithm */
            ecg_value(table, l->log_dt)[h] = (float)(-6.907755278982137 + 4.605170185988092 * ecg_rng_uniform(&r));
            for (int m = 0; ok && m < N; m++) {
                const size_t at = (size_t)h * N + m;
                ecg_value(table, l->w)[at] = (float)w[m];
                ecg_value(table, l->B)[at] = (float)B[m];
                ecg_value(table, l->P)[at] = (float)P[m];
                ecg_value(table, l->Q)[at] = (float)(m % 2 ? -P[m] : P[m]);
            }
        }
        ecg_rng_open(&r, seed, (uint32_t)l->C << 20, ECG_STREAM_INIT, 0, 0);
        for (size_t k = 0; ok && k < (size_t)directions * H * N; k++)
            C[k] = 0.70710678118654752440 * ecg_rng_normal(&r);
        ecg_s4 s;
        double *x = constants(&s, e, l, table);
        ok = ok && x && ecg_s4_correct_length(C, &s, directions, NULL) == ECG_OK;
        free(x);
        for (size_t k = 0; k < (size_t)directions * H * N; k++) /* out of memory: NAN, which ecg_encoder_prepare refuses */
            ecg_value(table, l->C)[k] = ok ? (float)C[k] : NAN;
    }
    free(C);
}

ecg_status ecg_encoder_prepare(ecg_encoder *e, const ecg_params *table, ecg_err *err)
{
    for (int i = 0; i < e->c.blocks; i++) {
        const layer *l = &e->layer[i];
        const int row[] = {l->C, l->log_dt, l->w, l->B, l->P, l->Q};
        for (size_t r = 0; r < sizeof row / sizeof *row; r++)
            for (size_t k = 0; k < table->row[row[r]].count; k++)
                if (!isfinite(ecg_value(table, row[r])[k]))
                    return ecg_fail(err, ECG_EDATA, "%s: value %zu is not finite", table->row[row[r]].name, k);
        ecg_s4 s;
        double *x = constants(&s, e, l, table);
        const ecg_status st = x ? ecg_s4_conv_prepare(&l->conv, &s, err) : ecg_fail(err, ECG_ENOMEM, "no memory for the constants of block %d", i);
        free(x);
        if (st)
            return st;
    }
    return ECG_OK;
}

typedef struct {
    const ecg_encoder *e;
    const ecg_params *table;
    const float *total; /* gradients summed over the slices, NULL in a refresh */
    int parts;          /* of a layer's channels */
} taps_job;

static void taps_part(void *ctx, int item, int worker)
{
    const taps_job *j = ctx;
    (void)worker;
    const ecg_encoder_config *c = &j->e->c;
    const layer *l = &j->e->layer[item / j->parts];
    const int panels = (int)ecg_s4_panels(c->width), from = item % j->parts * PANELS, to = from + PANELS < panels ? from + PANELS : panels;
    if (!j->total)
        ecg_s4_conv_refresh(&l->conv, ecg_value(j->table, l->C), from, to);
    else if (!(j->table->row[l->C].flags & ECG_P_FROZEN))
        ecg_s4_conv_backward(ecg_grad(j->table, l->C), &l->conv, j->total + l->g_conv, from, to);
}

static int parts_of(const ecg_encoder *e) { return ((int)ecg_s4_panels(e->c.width) + PANELS - 1) / PANELS; }

void ecg_encoder_refresh(ecg_encoder *e, const ecg_params *table, const ecg_exec *x)
{
    taps_job j = {e, table, NULL, parts_of(e)};
    ecg_pool_run(x->pool, taps_part, &j, e->c.blocks * j.parts);
}

void ecg_encoder_freeze(ecg_encoder *e, ecg_params *table, int blocks)
{
    const int depth = blocks < 0 || blocks > e->c.blocks ? e->c.blocks : blocks;
    const int input[] = {e->in_w, e->in_b};
    for (int i = -1; i < e->c.blocks; i++) {
        const layer *l = &e->layer[i < 0 ? 0 : i];
        const int inner[] = {l->D, l->C, l->out_w, l->out_b, l->norm_w, l->norm_b};
        for (int r = 0; r < (i < 0 ? 2 : 6); r++) {
            unsigned *flags = &table->row[i < 0 ? input[r] : inner[r]].flags;
            *flags = blocks != 0 && i < depth ? *flags | ECG_P_FROZEN : *flags & ~(unsigned)ECG_P_FROZEN;
        }
    }
}

/* ---- buffers */

/* A sample on its way through. Of one whose backward pass follows later only o of each block is kept: what costs a product to make again. The rest
 * comes again from x and o, bit for bit, for less than bringing it from memory would take. */
typedef struct {
    float *x;             /* (L, leads) input without NAN */
    float **u;            /* (blocks + 1, or 2 that take turns) input of each block, output of the last; (L, H) each */
    float **r, **stat;    /* (blocks) before and of the LayerNorm, (L, H) and (L, 2); for a backward pass only */
    float *v, *o;         /* (L, H) of the block at work; (blocks, or 1 that all use; L, 2H) where o is not kept */
    float *inner, *outer; /* (blocks, H) dropout scales */
} sample;

typedef struct {
    sample act;
    float *scratch, *work;   /* ecg_s4_conv_scratch; ecg_block_work */
    float *d[2];             /* (L, H) gradient going down */
    float *pooled;           /* (H) */
} worker_work;

struct ecg_encoder_work {
    ecg_arena *arena;
    int workers, keep;
    bool training;
    float **kept;            /* (keep) o of all blocks, (blocks, L, 2H) */
    worker_work *worker;     /* (workers) */
    float *total;            /* (slice_floats) gradients of the slices so far */
    int slices;              /* how many there is room for */
    float *slice;            /* (slices, slice_floats) gradients of those being worked on, or waiting for their turn */
    float *packed, *packed_back; /* (blocks) output weights as the products want them, ecg_packed floats each; back: for training only */
};

/* Takes the buffers of one sample. deep: for a backward pass; else u takes turns. Counts floats only if a is NULL. */
static bool take_sample(sample *s, const ecg_encoder *e, ecg_arena *a, bool deep, size_t *floats)
{
    const size_t L = e->c.length, H = e->c.width, blocks = e->c.blocks, sets = deep ? blocks : 1, inputs = deep ? blocks + 1 : 2;
    *floats += L * e->c.leads + (inputs + 1 + 2 * sets) * L * H + (deep ? blocks * (L * H + 2 * L) : 0) + 2 * blocks * H;
    if (!a)
        return true;
    s->x = ecg_arena_take(a, L * e->c.leads, sizeof(float));
    s->u = ecg_arena_take(a, inputs, sizeof *s->u);
    s->r = ecg_arena_take(a, blocks, sizeof *s->r);
    s->stat = ecg_arena_take(a, blocks, sizeof *s->stat);
    s->v = ecg_arena_take(a, L * H, sizeof(float));
    s->o = ecg_arena_take(a, sets * L * 2 * H, sizeof(float));
    s->inner = ecg_arena_take(a, blocks * H, sizeof(float));
    s->outer = ecg_arena_take(a, blocks * H, sizeof(float));
    bool ok = s->x && s->u && s->r && s->stat && s->v && s->o && s->inner && s->outer;
    for (size_t i = 0; ok && i < inputs; i++)
        ok = (s->u[i] = ecg_arena_take(a, L * H, sizeof(float)));
    for (size_t i = 0; ok && deep && i < blocks; i++) {
        s->r[i] = ecg_arena_take(a, L * H, sizeof(float));
        s->stat[i] = ecg_arena_take(a, 2 * L, sizeof(float));
        ok = s->r[i] && s->stat[i];
    }
    return ok;
}

/* Room for the gradients of slices: one for each that is worked on and, unless there is but one worker, two that wait for a slower one's. */
static int slices_for(int workers)
{
    const int wanted = workers > 1 ? workers + 2 : 1;
    return wanted < MOST_SLICES ? wanted : MOST_SLICES;
}

static bool take_work(ecg_encoder_work *w, const ecg_encoder *e, ecg_arena *a, int workers, int keep, bool training, size_t *floats)
{
    const size_t L = e->c.length, H = e->c.width;
    const size_t of_sample = 2 * L * H * e->c.blocks, slices = slices_for(workers);
    *floats += (size_t)keep * of_sample;
    for (int i = 0; a && i < keep; i++)
        if (!(w->kept[i] = ecg_arena_take(a, of_sample, sizeof(float))))
            return false;
    for (int i = 0; i < workers; i++) {
        worker_work *ww = a ? &w->worker[i] : NULL;
        if (!take_sample(a ? &ww->act : NULL, e, a, training, floats))
            return false;
        *floats += ecg_s4_conv_scratch(&e->layer->conv) + H + (training ? 2 * L * H + ecg_block_work(e->c.length, e->c.width) : 0);
        if (!a)
            continue;
        ww->scratch = ecg_arena_take(a, ecg_s4_conv_scratch(&e->layer->conv), sizeof(float));
        ww->pooled = ecg_arena_take(a, H, sizeof(float));
        if (!ww->scratch || !ww->pooled)
            return false;
        if (training) {
            ww->work = ecg_arena_take(a, ecg_block_work(e->c.length, e->c.width), sizeof(float));
            ww->d[0] = ecg_arena_take(a, L * H, sizeof(float));
            ww->d[1] = ecg_arena_take(a, L * H, sizeof(float));
            if (!ww->work || !ww->d[0] || !ww->d[1])
                return false;
        }
    }
    const size_t packed = ecg_packed(2 * (int)H, (int)H) * e->c.blocks, packed_back = training ? ecg_packed((int)H, 2 * (int)H) * e->c.blocks : 0;
    *floats += packed + packed_back;
    if (a && (!(w->packed = ecg_arena_take(a, packed, sizeof(float))) ||
              (training && !(w->packed_back = ecg_arena_take(a, packed_back, sizeof(float))))))
        return false;
    if (training) {
        *floats += (1 + slices) * e->slice_floats;
        if (a && (!(w->total = ecg_arena_take(a, e->slice_floats, sizeof(float))) ||
                  !(w->slice = ecg_arena_take(a, slices * e->slice_floats, sizeof(float)))))
            return false;
    }
    return true;
}

ecg_encoder_work *ecg_encoder_work_new(const ecg_encoder *e, int workers, int keep, bool training)
{
    size_t floats = 0;
    ecg_encoder_work *w = calloc(1, sizeof *w);
    ecg_arena *a = w ? ecg_arena_new() : NULL;
    if (!a) {
        free(w);
        return NULL;
    }
    *w = (ecg_encoder_work){.arena = a, .workers = workers, .keep = keep, .training = training, .slices = slices_for(workers)};
    w->kept = ecg_arena_take(a, keep > 0 ? keep : 1, sizeof *w->kept);
    w->worker = ecg_arena_take(a, workers, sizeof *w->worker);
    if (!w->kept || !w->worker || !take_work(w, e, a, workers, keep, training, &floats)) {
        ecg_encoder_work_free(w);
        return NULL;
    }
    return w;
}

void ecg_encoder_work_free(ecg_encoder_work *w)
{
    if (!w)
        return;
    ecg_arena_free(w->arena);
    free(w);
}

size_t ecg_encoder_work_bytes(const ecg_encoder *e, int workers, int keep, bool training)
{
    size_t floats = 0;
    take_work(NULL, e, NULL, workers, keep, training, &floats);
    return floats * sizeof(float);
}

/* ---- forward */

typedef struct {
    const ecg_encoder *e;
    const ecg_params *table;
    ecg_encoder_work *w;
    const ecg_kernels *k;
    const float *x;
    const ecg_dropout *drop;
    int B;
    float *h, *seq;                              /* forward */
    float *dx;                                   /* backward */
    const float *dh, *dseq;
    int slices, lowest;                          /* lowest: first block whose gradient is wanted, -1: the input linear too; blocks: none */
    pthread_mutex_t lock;                        /* of what follows */
    pthread_cond_t added;
    int turn[PARTS];                             /* of a part: the slice that is to be added next; all before it are in the total */
    bool adding[PARTS], done[MOST_SLICES];       /* someone is at it; gradients that are there */
} job;

/* One piece of a block's output weight: first those for the way forward, then those for the way back. */
static void pack_piece(void *ctx, int item, int worker)
{
    const job *j = ctx;
    (void)worker;
    const int H = j->e->c.width, ahead = (2 * H + ECG_PACK - 1) / ECG_PACK, i = item % j->e->c.blocks;
    const float *w = ecg_value(j->table, j->e->layer[i].out_w);
    int at = item / j->e->c.blocks * ECG_PACK;
    if (at < ahead * ECG_PACK) {
        j->k->pack(j->w->packed + i * ecg_packed(2 * H, H), w, 2 * H, H, H, at, 2 * H - at < ECG_PACK ? 2 * H : at + ECG_PACK, ECG_GEMM_WIDE | ECG_GEMM_TB);
        return;
    }
    at -= ahead * ECG_PACK;
    j->k->pack(j->w->packed_back + i * ecg_packed(H, 2 * H), w, H, 2 * H, H, at, H - at < ECG_PACK ? H : at + ECG_PACK, ECG_GEMM_WIDE);
}

static void pack_weights(job *j, const ecg_exec *exec, bool both)
{
    const int H = j->e->c.width, ahead = (2 * H + ECG_PACK - 1) / ECG_PACK, back = both ? (H + ECG_PACK - 1) / ECG_PACK : 0;
    ecg_pool_run(exec->pool, pack_piece, j, (ahead + back) * j->e->c.blocks);
}

ecg_block ecg_encoder_block(const ecg_encoder *e, const ecg_params *table, int i)
{
    const layer *l = &e->layer[i];
    ecg_block b = {.L = e->c.length, .H = e->c.width, .out_w = ecg_value(table, l->out_w), .out_b = ecg_value(table, l->out_b),
                   .norm_w = ecg_value(table, l->norm_w), .norm_b = ecg_value(table, l->norm_b)};
    ecg_s4_conv_into(&b, &l->conv, ecg_value(table, l->D));
    return b;
}

size_t ecg_encoder_scratch(const ecg_encoder *e) { return ecg_s4_conv_scratch(&e->layer->conv); }

void ecg_encoder_input(const float **w, const float **b, const ecg_encoder *e, const ecg_params *table)
{
    *w = ecg_value(table, e->in_w);
    *b = ecg_value(table, e->in_b);
}

static ecg_block block_of(const job *j, int i)
{
    const int H = j->e->c.width;
    ecg_block b = ecg_encoder_block(j->e, j->table, i);
    b.packed = j->w->packed + i * ecg_packed(2 * H, H);
    b.packed_back = j->w->packed_back ? j->w->packed_back + i * ecg_packed(H, 2 * H) : NULL;
    return b;
}

/* x without NAN, dropout scales, the first block's input: what every way through begins with */
static void begin_sample(const job *j, sample *s, int b)
{
    const ecg_encoder_config *c = &j->e->c;
    const int L = c->length, H = c->width;
    const float *x = j->x + (size_t)b * L * c->leads;
    for (int i = 0; i < L * c->leads; i++)
        s->x[i] = isnan(x[i]) ? 0 : x[i];
    for (int i = 0; j->drop && c->dropout > 0 && i < c->blocks; i++) {
        ecg_dropout_scale(s->inner + (size_t)i * H, j->drop, b, 2 * i, H, c->dropout);
        ecg_dropout_scale(s->outer + (size_t)i * H, j->drop, b, 2 * i + 1, H, c->dropout);
    }
    j->k->gemm(s->u[0], s->x, ecg_value(j->table, j->e->in_w), ecg_value(j->table, j->e->in_b), L, H, c->leads, c->leads, c->leads, H, ECG_GEMM_TB);
}

/* of block i; NULL: no dropout */
static const float *scale_of(const job *j, const float *scale, int i)
{
    return j->drop && j->e->c.dropout > 0 ? scale + (size_t)i * j->e->c.width : NULL;
}

/* o: of all blocks (blocks, L, 2H), NULL: not wanted. Returns the last block's output (L, H). */
static const float *forward_sample(const job *j, sample *s, float *o, float *scratch, int b)
{
    const ecg_encoder_config *c = &j->e->c;
    const size_t of_block = 2 * (size_t)c->length * c->width;
    begin_sample(j, s, b);
    for (int i = 0; i < c->blocks; i++) {
        const ecg_block block = block_of(j, i);
        ecg_block_forward(s->u[(i + 1) % 2], s->v, o ? o + i * of_block : s->o, o ? ecg_block_rows(c->length) : 0, &block, s->u[i % 2],
                          scale_of(j, s->inner, i), scale_of(j, s->outer, i), j->k, scratch);
    }
    return s->u[c->blocks % 2];
}

static void forward_item(void *ctx, int b, int worker)
{
    const job *j = ctx;
    worker_work *w = &j->w->worker[worker];
    const int L = j->e->c.length, H = j->e->c.width;
    const float *last = forward_sample(j, &w->act, b < j->w->keep ? j->w->kept[b] : NULL, w->scratch, b);
    float *h = j->h + (size_t)b * H;
    memset(h, 0, sizeof *h * H);
    j->k->sum_rows(h, last, L, H);
    for (int i = 0; i < H; i++)
        h[i] /= (float)L;
    if (j->seq)
        memcpy(j->seq + (size_t)b * L * H, last, sizeof *last * L * H);
}

void ecg_encoder_forward(float *h, float *seq, const ecg_encoder *e, const ecg_params *table, ecg_encoder_work *w, const ecg_exec *exec,
                         const float *x, int B, const ecg_dropout *drop)
{
    assert(!exec->pool || ecg_pool_threads(exec->pool) <= w->workers);
    job j = {.e = e, .table = table, .w = w, .k = exec->k, .x = x, .drop = drop, .B = B, .h = h, .seq = seq};
    pack_weights(&j, exec, false);
    ecg_pool_run(exec->pool, forward_item, &j, B);
}

/* ---- backward */

static bool wanted(const ecg_params *table, int row) { return !(table->row[row].flags & ECG_P_FROZEN); }

static bool block_wanted(const ecg_params *t, const layer *l)
{
    return wanted(t, l->C) || wanted(t, l->D) || wanted(t, l->out_w) || wanted(t, l->out_b) || wanted(t, l->norm_w) || wanted(t, l->norm_b);
}

/* first: nothing is in the slice yet but zeros, and in place of a weight's gradient not even they */
static void backward_sample(const job *j, const float *o, worker_work *w, float *slice, bool first, int b)
{
    const sample *s = &w->act;
    const ecg_encoder *e = j->e;
    const ecg_encoder_config *c = &e->c;
    const int L = c->length, H = c->width;
    float *d = w->d[0], *below = w->d[1];
    for (int i = 0; i < H; i++)
        w->pooled[i] = j->dh[(size_t)b * H + i] / (float)L; /* h is the mean over time */
    j->k->set_rows(d, w->pooled, L, H);
    if (j->dseq)
        j->k->add(d, j->dseq + (size_t)b * L * H, (size_t)L * H);

    for (int i = c->blocks - 1; i >= 0 && i >= j->lowest; i--) {
        const layer *l = &e->layer[i];
        const ecg_block block = block_of(j, i);
        const bool taps = wanted(j->table, l->C) || wanted(j->table, l->D), norm = wanted(j->table, l->norm_w) || wanted(j->table, l->norm_b);
        ecg_block_grads grads = {
            .out_w = wanted(j->table, l->out_w) ? slice + l->g_out_w : NULL,
            .out_b = wanted(j->table, l->out_b) ? slice + l->g_out_b : NULL,
            .norm_w = norm ? slice + l->g_norm_w : NULL,
            .norm_b = norm ? slice + l->g_norm_b : NULL,
            .first = first,
        };
        if (taps)
            ecg_s4_conv_gradient_into(&grads, &l->conv, slice + l->g_conv, slice + l->g_D);
        const ecg_block_past past = {s->u[i], o + 2 * (size_t)i * L * H, s->r[i], s->stat[i], scale_of(j, s->inner, i), scale_of(j, s->outer, i)};
        ecg_block_backward(i > j->lowest ? below : NULL, &grads, &block, &past, d, j->k, w->scratch, w->work);
        float *t = d;
        d = below;
        below = t;
    }
    if (j->lowest >= 0)
        return;
    if (wanted(j->table, e->in_w))
        j->k->gemm(slice + e->g_in_w, d, s->x, NULL, H, c->leads, L, H, c->leads, c->leads, ECG_GEMM_TA | ECG_GEMM_ADD);
    if (wanted(j->table, e->in_b))
        j->k->sum_rows(slice + e->g_in_b, d, L, H);
    if (j->dx) {
        const size_t n = (size_t)L * c->leads;
        float *dx = j->dx + b * n;
        j->k->gemm(dx, d, ecg_value(j->table, e->in_w), NULL, L, c->leads, H, H, c->leads, c->leads, 0);
        for (size_t i = 0; i < n; i++)
            if (isnan(j->x[b * n + i])) /* read as 0: whatever it was, h does not depend on it */
                dx[i] = 0;
    }
}

static float *slice_of(const job *j, int item) { return j->w->slice + (size_t)(item % j->w->slices) * j->e->slice_floats; }

/* Waits until the gradients that lay there before are in the total. Items begin in their order, so the one that is waited for has begun. */
static float *begin_slice(job *j, int item)
{
    pthread_mutex_lock(&j->lock);
    for (int p = 0; p < PARTS; p++)
        while (j->turn[p] <= item - j->w->slices)
            pthread_cond_wait(&j->added, &j->lock);
    pthread_mutex_unlock(&j->lock);
    return slice_of(j, item);
}

static void add_part(const job *j, int p, int item)
{
    const size_t n = j->e->slice_floats, piece = (n / PARTS + 15) / 16 * 16, from = p * piece < n ? p * piece : n;
    const size_t count = p < PARTS - 1 && piece < n - from ? piece : n - from;
    if (item == 0)
        memcpy(j->w->total + from, slice_of(j, 0) + from, sizeof(float) * count);
    else
        j->k->add(j->w->total + from, slice_of(j, item) + from, count);
}

/* The slices are added in their order, whoever made them and whenever they were ready: each part by one worker at a time, as far as they are there.
 * The others go on with another part, then with their next slice. */
static void end_slice(job *j, int item)
{
    pthread_mutex_lock(&j->lock);
    j->done[item] = true;
    for (int i = 0; i < PARTS; i++) {
        const int p = (item + i) % PARTS;
        while (!j->adding[p] && j->turn[p] < j->slices && j->done[j->turn[p]]) {
            const int next = j->turn[p];
            j->adding[p] = true;
            pthread_mutex_unlock(&j->lock);
            add_part(j, p, next);
            pthread_mutex_lock(&j->lock);
            j->adding[p] = false;
            j->turn[p] = next + 1;
            pthread_cond_broadcast(&j->added);
        }
    }
    pthread_mutex_unlock(&j->lock);
}

/* What the backward pass needs of sample b beside o. */
static void again(const job *j, sample *s, const float *o, int b)
{
    const ecg_encoder_config *c = &j->e->c;
    begin_sample(j, s, b);
    for (int i = 0; i < c->blocks; i++) {
        const ecg_block block = block_of(j, i);
        ecg_block_again(s->u[i + 1], s->r[i], s->stat[i], &block, o + 2 * (size_t)i * c->length * c->width, s->u[i], scale_of(j, s->outer, i), j->k);
    }
}

/* zeros wherever gradients are added; a weight's is written by the first sample */
static void clear_slice(const ecg_encoder *e, float *slice)
{
    size_t from = 0;
    for (int i = 0; i < e->c.blocks; i++) {
        const layer *l = &e->layer[i];
        memset(slice + from, 0, sizeof *slice * (l->g_out_w - from));
        from = l->g_out_b;
    }
    memset(slice + from, 0, sizeof *slice * (e->slice_floats - from));
}

/* By the batch alone: 16, more where there are four samples for each. */
static int slices_of(int B)
{
    const int most = B / 4 < MOST_SLICES ? B / 4 : MOST_SLICES;
    return B < SLICES ? B : most > SLICES ? most : SLICES;
}

/* How many samples the first slices have, of B: less from slice to slice, so that at the end nobody waits long for the last. */
static int before_slice(int B, int slices, int item)
{
    return item + (int)((int64_t)(B - slices) * item * (2 * slices - item) / ((int64_t)slices * slices));
}

/* From the last sample to the first: what the way forward kept last may still be in a cache. */
static void backward_item(void *ctx, int item, int worker)
{
    job *j = ctx;
    worker_work *w = &j->w->worker[worker];
    float *slice = begin_slice(j, item);
    clear_slice(j->e, slice);
    const int from = before_slice(j->B, j->slices, item), to = before_slice(j->B, j->slices, item + 1);
    for (int i = from; i < to; i++) {
        const int b = j->B - 1 - i;
        float *o = b < j->w->keep ? j->w->kept[b] : w->act.o;
        if (b >= j->w->keep)
            forward_sample(j, &w->act, o, w->scratch, b);
        again(j, &w->act, o, b);
        backward_sample(j, o, w, slice, i == from, b);
    }
    end_slice(j, item);
}

static void add_row(const job *j, ecg_params *table, int row, size_t at)
{
    if (wanted(table, row))
        j->k->add(ecg_grad(table, row), j->w->total + at, table->row[row].count);
}

void ecg_encoder_backward(float *dx, const ecg_encoder *e, ecg_params *table, ecg_encoder_work *w, const ecg_exec *exec, const float *dh,
                          const float *dseq, const float *x, int B, const ecg_dropout *drop)
{
    assert(w->training && (!exec->pool || ecg_pool_threads(exec->pool) <= w->workers));
    if (B < 1)
        return;
    job j = {.e = e, .table = table, .w = w, .k = exec->k, .x = x, .drop = drop, .B = B, .dx = dx, .dh = dh, .dseq = dseq,
             .slices = slices_of(B), .lowest = -1, .lock = PTHREAD_MUTEX_INITIALIZER, .added = PTHREAD_COND_INITIALIZER};
    if (!dx && !wanted(table, e->in_w) && !wanted(table, e->in_b))
        while (++j.lowest < e->c.blocks && !block_wanted(table, &e->layer[j.lowest])) {
        }
    if (j.lowest == e->c.blocks)
        return;
    pack_weights(&j, exec, true);
    ecg_pool_run(exec->pool, backward_item, &j, j.slices);
    pthread_cond_destroy(&j.added);
    pthread_mutex_destroy(&j.lock);

    add_row(&j, table, e->in_w, e->g_in_w);
    add_row(&j, table, e->in_b, e->g_in_b);
    for (int i = 0; i < e->c.blocks; i++) {
        const layer *l = &e->layer[i];
        add_row(&j, table, l->D, l->g_D);
        add_row(&j, table, l->out_w, l->g_out_w);
        add_row(&j, table, l->out_b, l->g_out_b);
        add_row(&j, table, l->norm_w, l->g_norm_w);
        add_row(&j, table, l->norm_b, l->g_norm_b);
    }
    taps_job t = {e, table, w->total, parts_of(e)};
    ecg_pool_run(exec->pool, taps_part, &t, e->c.blocks * t.parts);
}
