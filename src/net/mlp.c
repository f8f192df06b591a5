/* SPDX-License-Identifier: MIT
 * mlp.c: a chain of operations, run forward in order and backward in reverse. Every operation's gradient needs its input only (dropout: its
 * draws), so a work keeps the output of each operation and two buffers for gradients on their way back. */
#include "net/mlp.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "net/linear.h"
#include "net/norm.h"

typedef struct {
    ecg_op_kind kind;
    int in, out;                    /* features */
    int weight, bias, mean, var;    /* rows of the table, -1: none */
    int site;                       /* dropout */
    float p;
    bool wide;                      /* linear */
} op;

struct ecg_mlp {
    int in, n, widest;
    op *op;
};

struct ecg_mlp_work {
    ecg_arena *arena;
    int batch;
    bool training;
    float **act;      /* (n) output of op i (batch, out); NULL for the last, which writes to the caller */
    int *from;        /* (n) whose output op i read, -1: the caller's x. An idle dropout has none of its own */
    float **scale;    /* (n) dropout: what each element was multiplied by */
    bool *idle;       /* (n) dropout that did nothing */
    double **stat;    /* (n) norm: mean, rstd */
    float *gradient[2];
};

/* ---- shape ---------------------------------------------------------------------------------------------------------------------- */

static int declare(ecg_params *t, const char *prefix, int index, const char *what, int rank, const int64_t *dim, unsigned flags, ecg_init init,
                   float scale)
{
    char name[40];
    if (index < 0)
        snprintf(name, sizeof name, "%s", what);
    else
        snprintf(name, sizeof name, "%d.%s", index, what);
    const int row = ecg_params_declare(t, prefix, name, rank, dim, flags, init, scale);
    if (row >= 0)
        t->row[row].group = 1;
    return row;
}

static bool declare_op(op *o, const ecg_op *spec, ecg_params *t, const char *prefix, int index)
{
    if (o->kind == ECG_OP_LINEAR) {
        const int64_t dim[2] = {o->out, o->in};
        const float bound = (float)(1 / sqrt((double)o->in)); /* torch's default, protocol 5.1 */
        o->weight = declare(t, prefix, index, "weight", 2, dim, 0, ECG_INIT_UNIFORM, bound);
        o->bias = spec->bias ? declare(t, prefix, index, "bias", 1, dim, 0, ECG_INIT_UNIFORM, bound) : -1;
        return o->weight >= 0 && (o->bias >= 0 || !spec->bias);
    }
    if (o->kind == ECG_OP_NORM) {
        const int64_t dim[1] = {o->in};
        o->weight = declare(t, prefix, index, "weight", 1, dim, 0, ECG_INIT_ONE, 0);
        o->bias = declare(t, prefix, index, "bias", 1, dim, 0, ECG_INIT_ZERO, 0);
        o->mean = declare(t, prefix, index, "running_mean", 1, dim, ECG_P_BUFFER, ECG_INIT_ZERO, 0);
        o->var = declare(t, prefix, index, "running_var", 1, dim, ECG_P_BUFFER, ECG_INIT_ONE, 0);
        return o->weight >= 0 && o->bias >= 0 && o->mean >= 0 && o->var >= 0;
    }
    return true;
}

ecg_status ecg_mlp_new(ecg_mlp **out, int in, const ecg_op *ops, int n, ecg_params *table, const char *prefix, int first_site, ecg_err *err)
{
    *out = NULL;
    if (in < 1 || n < 1)
        return ecg_fail(err, ECG_EARG, "%s: %d inputs, %d operations", prefix, in, n);
    ecg_mlp *m = calloc(1, sizeof *m);
    op *list = calloc((size_t)n, sizeof *list);
    if (!m || !list) {
        free(m);
        free(list);
        return ecg_fail(err, ECG_ENOMEM, "no memory for %s", prefix);
    }
    *m = (ecg_mlp){.in = in, .n = n, .widest = in, .op = list};

    int width = in, site = first_site;
    for (int i = 0; i < n; i++) {
        op *o = &list[i];
        const bool linear = ops[i].kind == ECG_OP_LINEAR;
        *o = (op){.kind = ops[i].kind, .in = width, .out = linear ? ops[i].out : width, .weight = -1, .bias = -1, .mean = -1, .var = -1,
                  .wide = ops[i].wide};
        if (ops[i].kind == ECG_OP_DROP) {
            o->site = site++;
            o->p = ops[i].p;
        }
        if (o->out < 1 || !(o->p >= 0 && o->p < 1)) {
            const ecg_status st = ecg_fail(err, ECG_EARG, "%s%d: %d features, dropout %g", prefix, i, o->out, (double)o->p);
            ecg_mlp_free(m);
            return st;
        }
        if (!declare_op(o, &ops[i], table, prefix, n == 1 ? -1 : i)) {
            ecg_mlp_free(m);
            return ecg_fail(err, ECG_ENOMEM, "no memory for %s%d", prefix, i);
        }
        width = o->out;
        m->widest = width > m->widest ? width : m->widest;
    }
    *out = m;
    return ECG_OK;
}

void ecg_mlp_free(ecg_mlp *m)
{
    if (m)
        free(m->op);
    free(m);
}

int ecg_mlp_in(const ecg_mlp *m)
{
    return m->in;
}

int ecg_mlp_out(const ecg_mlp *m)
{
    return m->op[m->n - 1].out;
}

/* ---- buffers -------------------------------------------------------------------------------------------------------------------- */

ecg_mlp_work *ecg_mlp_work_new(const ecg_mlp *m, int batch, bool training)
{
    ecg_arena *a = ecg_arena_new();
    ecg_mlp_work *w = a ? ecg_arena_take(a, 1, sizeof *w) : NULL;
    if (!w) {
        ecg_arena_free(a);
        return NULL;
    }
    const size_t n = (size_t)m->n, rows = (size_t)batch;
    *w = (ecg_mlp_work){.arena = a, .batch = batch, .training = training};
    w->act = ecg_arena_take(a, n, sizeof *w->act);
    w->from = ecg_arena_take(a, n, sizeof *w->from);
    w->scale = ecg_arena_take(a, n, sizeof *w->scale);
    w->idle = ecg_arena_take(a, n, sizeof *w->idle);
    w->stat = ecg_arena_take(a, n, sizeof *w->stat);
    bool ok = w->act && w->from && w->scale && w->idle && w->stat;
    for (int i = 0; ok && i < m->n; i++) {
        const op *o = &m->op[i];
        const bool drop = o->kind == ECG_OP_DROP, draws = drop && o->p > 0 && training;
        if (i < m->n - 1 && (!drop || draws))
            ok = (w->act[i] = ecg_arena_take(a, rows * (size_t)o->out, sizeof(float)));
        if (ok && draws)
            ok = (w->scale[i] = ecg_arena_take(a, rows * (size_t)o->out, sizeof(float)));
        if (ok && o->kind == ECG_OP_NORM)
            ok = (w->stat[i] = ecg_arena_take(a, 2 * (size_t)o->in, sizeof(double)));
    }
    for (int g = 0; ok && training && g < 2; g++)
        ok = (w->gradient[g] = ecg_arena_take(a, rows * (size_t)m->widest, sizeof(float)));
    if (!ok) {
        ecg_arena_free(a);
        return NULL;
    }
    return w;
}

void ecg_mlp_work_free(ecg_mlp_work *w)
{
    if (w)
        ecg_arena_free(w->arena); /* w lies in it */
}

/* ---- element by element --------------------------------------------------------------------------------------------------------- */

enum { PIECE = 1 << 14 }; /* elements an item is cut for: fixed by the width, not by the threads */

typedef struct {
    float *y, *scale;
    const float *x, *dy;
    const ecg_dropout *drop;
    int B, width, rows, site;
    float p;
} element_job;

static void run_rows(const ecg_exec *exec, void (*fn)(void *, int, int), element_job *j)
{
    j->rows = j->width < PIECE ? PIECE / j->width : 1;
    ecg_pool_run(exec->pool, fn, j, (j->B + j->rows - 1) / j->rows);
}

/* Elements of this item: from *at, as many as returned. */
static size_t piece_of(const element_job *j, int item, size_t *at)
{
    const int first = item * j->rows, rows = j->B - first < j->rows ? j->B - first : j->rows;
    *at = (size_t)first * (size_t)j->width;
    return (size_t)rows * (size_t)j->width;
}

static void relu_rows(void *ctx, int item, int worker)
{
    const element_job *j = ctx;
    size_t at;
    const size_t n = piece_of(j, item, &at);
    (void)worker;
    for (size_t i = at; i < at + n; i++)
        j->y[i] = j->x[i] > 0 ? j->x[i] : 0;
}

static void relu_backward_rows(void *ctx, int item, int worker)
{
    const element_job *j = ctx;
    size_t at;
    const size_t n = piece_of(j, item, &at);
    (void)worker;
    for (size_t i = at; i < at + n; i++)
        j->y[i] = j->x[i] > 0 ? j->dy[i] : 0;
}

static void drop_rows(void *ctx, int item, int worker)
{
    const element_job *j = ctx;
    size_t at;
    const size_t n = piece_of(j, item, &at);
    (void)worker;
    for (size_t i = 0; i < n; i += (size_t)j->width)
        ecg_dropout_scale(j->scale + at + i, j->drop, (int)((at + i) / (size_t)j->width), j->site, j->width, j->p);
    for (size_t i = at; i < at + n; i++)
        j->y[i] = j->x[i] * j->scale[i];
}

static void drop_backward_rows(void *ctx, int item, int worker)
{
    const element_job *j = ctx;
    size_t at;
    const size_t n = piece_of(j, item, &at);
    (void)worker;
    for (size_t i = at; i < at + n; i++)
        j->y[i] = j->dy[i] * j->scale[i];
}

/* ---- forward, backward ---------------------------------------------------------------------------------------------------------- */

static const float *value_or_null(const ecg_params *t, int row)
{
    return row < 0 ? NULL : ecg_value(t, row);
}

/* Where a row's gradient goes; NULL: nowhere, the row is frozen or there is none. */
static float *grad_or_null(const ecg_params *t, int row)
{
    return row < 0 || (t->row[row].flags & ECG_P_FROZEN) ? NULL : ecg_grad(t, row);
}

/* The kernels of a linear map: those given, or what they are in float32. */
static ecg_exec linear_exec(const ecg_exec *x, const op *o)
{
    return (ecg_exec){.k = o->wide ? x->k : ecg_kernels_at(x->k, ECG_IN_FLOAT32), .pool = x->pool};
}

static void norm_forward(float *y, const op *o, ecg_params *t, double *stat, const ecg_exec *exec, const float *x, int B, bool train)
{
    const float *weight = ecg_value(t, o->weight), *bias = ecg_value(t, o->bias);
    if (train)
        ecg_batchnorm_forward(y, stat, ecg_value(t, o->mean), ecg_value(t, o->var), exec, x, weight, bias, B, o->in);
    else
        ecg_batchnorm_eval(y, exec, x, weight, bias, ecg_value(t, o->mean), ecg_value(t, o->var), B, o->in);
}

enum { ALL = -1 };

/* only: which output of the last map, or ALL */
static void forward(float *y, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *x, int B, bool train,
                    const ecg_dropout *drop, int only)
{
    assert(B >= 0 && B <= w->batch && (w->training || !train));
    int from = -1;
    const float *in = x;
    for (int i = 0; i < m->n; i++) {
        const op *o = &m->op[i];
        const bool last = i == m->n - 1;
        float *out = last ? y : w->act[i];
        w->from[i] = from;
        switch (o->kind) {
        case ECG_OP_LINEAR: {
            const ecg_exec e = linear_exec(exec, o);
            if (last && only != ALL)
                ecg_linear_forward_one(out, &e, in, ecg_value(table, o->weight), value_or_null(table, o->bias), B, o->in, o->out, only);
            else
                ecg_linear_forward(out, &e, in, ecg_value(table, o->weight), value_or_null(table, o->bias), B, o->in, o->out);
            break;
        }
        case ECG_OP_NORM:
            norm_forward(out, o, table, w->stat[i], exec, in, B, train);
            break;
        case ECG_OP_RELU: {
            element_job j = {.y = out, .x = in, .B = B, .width = o->in};
            run_rows(exec, relu_rows, &j);
            break;
        }
        case ECG_OP_DROP:
            w->idle[i] = !train || !drop || o->p <= 0;
            if (w->idle[i]) {
                if (last)
                    memcpy(y, in, (size_t)B * (size_t)o->in * sizeof *y);
                continue;
            }
            element_job j = {.y = out, .scale = w->scale[i], .x = in, .drop = drop, .B = B, .width = o->in, .site = o->site, .p = o->p};
            run_rows(exec, drop_rows, &j);
            break;
        }
        in = out;
        from = i;
    }
}

void ecg_mlp_forward(float *y, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *x, int B, bool train,
                     const ecg_dropout *drop)
{
    forward(y, m, table, w, exec, x, B, train, drop, ALL);
}

void ecg_mlp_forward_one(float *y, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *x, int B, int k)
{
    assert(m->op[m->n - 1].kind == ECG_OP_LINEAR && k >= 0 && k < m->op[m->n - 1].out);
    forward(y, m, table, w, exec, x, B, false, NULL, k);
}

/* The first operation that has anything to train; n: none. Below it the gradient is of use to the caller only. */
static int first_trained(const ecg_mlp *m, const ecg_params *t)
{
    int i = 0;
    while (i < m->n && !grad_or_null(t, m->op[i].weight) && !grad_or_null(t, m->op[i].bias))
        i++;
    return i;
}

/* The gradient of the input goes to dx, or in double to wide, or nowhere. */
static void backward(float *dx, double *wide, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *dy,
                     const float *x, int B)
{
    assert(B <= w->batch && w->training && (!wide || m->op[0].kind == ECG_OP_NORM));
    const int stop = dx || wide ? 0 : first_trained(m, table);
    const float *g = dy;
    int turn = 0;
    for (int i = m->n - 1; i >= stop; i--) {
        const op *o = &m->op[i];
        const float *in = w->from[i] < 0 ? x : w->act[w->from[i]];
        float *to = i > stop ? w->gradient[turn] : dx; /* NULL at the end: not wanted in float */
        switch (o->kind) {
        case ECG_OP_LINEAR: {
            const ecg_exec e = linear_exec(exec, o);
            ecg_linear_backward(to, grad_or_null(table, o->weight), grad_or_null(table, o->bias), &e, g, in, ecg_value(table, o->weight), B, o->in,
                                o->out);
            break;
        }
        case ECG_OP_NORM:
            ecg_batchnorm_backward(to, i == 0 ? wide : NULL, grad_or_null(table, o->weight), grad_or_null(table, o->bias), exec, g, in,
                                   w->stat[i], ecg_value(table, o->weight), B, o->in);
            break;
        case ECG_OP_RELU: {
            element_job j = {.y = to, .x = in, .dy = g, .B = B, .width = o->in};
            run_rows(exec, relu_backward_rows, &j);
            break;
        }
        case ECG_OP_DROP:
            if (w->idle[i]) {
                if (i == stop)
                    memcpy(dx, g, (size_t)B * (size_t)o->in * sizeof *dx);
                continue;
            }
            element_job j = {.y = to, .scale = w->scale[i], .dy = g, .B = B, .width = o->in};
            run_rows(exec, drop_backward_rows, &j);
            break;
        }
        g = to;
        turn = !turn;
    }
}

void ecg_mlp_backward(float *dx, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *dy, const float *x, int B)
{
    backward(dx, NULL, m, table, w, exec, dy, x, B);
}

void ecg_mlp_backward_wide(double *dx, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, const ecg_exec *exec, const float *dy, const float *x,
                           int B)
{
    backward(NULL, dx, m, table, w, exec, dy, x, B);
}
