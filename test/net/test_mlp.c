/* SPDX-License-Identifier: MIT
 * test_mlp.c: chains, projectors, heads and the tabular encoder against a plain double version of themselves: outputs, running statistics, and
 * gradients by central differences of that version. The same bytes for any number of threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/tabular.h"

static const char *const levels[] = {"ref", "avx2", "avx512"};
enum { LEVELS = sizeof levels / sizeof *levels, MAX_OPS = 7, SITE = 7, HEAD_SITE = 128, SITES = 132 };

#define NORM {.kind = ECG_OP_NORM}
#define DROP(q) {.kind = ECG_OP_DROP, .p = q}
#define LINEAR(n, b) {.kind = ECG_OP_LINEAR, .out = n, .bias = b}
#define RELU {.kind = ECG_OP_RELU}

typedef enum { CHAIN, PROJECTOR, HEAD } maker;
typedef struct {
    const char *why;
    maker make; /* the ops say what it must come to */
    int B, in, n;
    ecg_op op[MAX_OPS];
} shape;

static const shape shapes[] = {
    {"one linear map", CHAIN, 5, 3, 1, {LINEAR(4, true)}},
    {"one row", CHAIN, 1, 3, 3, {LINEAR(4, true), RELU, LINEAR(2, false)}},
    {"batch norm alone", CHAIN, 6, 5, 1, {NORM}},
    {"batch norm of two rows", CHAIN, 2, 5, 2, {NORM, LINEAR(3, true)}},
    {"dropout first", CHAIN, 6, 5, 2, {DROP(0.5f), LINEAR(3, true)}},
    {"dropout last", CHAIN, 6, 5, 2, {LINEAR(3, true), DROP(0.25f)}},
    {"dropout of nothing", CHAIN, 6, 5, 3, {DROP(0), LINEAR(3, true), DROP(0)}},
    {"batch norm, then dropout", CHAIN, 9, 6, 4, {NORM, DROP(0.25f), LINEAR(5, true), RELU}},
    {"linear head", HEAD, 6, 5, 1, {LINEAR(3, true)}},
    {"head without dropout", HEAD, 9, 5, 5, {NORM, LINEAR(6, true), RELU, NORM, LINEAR(3, true)}},
    {"head", HEAD, 9, 5, 7, {NORM, DROP(0.25f), LINEAR(6, true), RELU, NORM, DROP(0.5f), LINEAR(3, true)}},
    {"projector without biases", PROJECTOR, 8, 4, 7, {LINEAR(7, false), NORM, RELU, LINEAR(6, false), NORM, RELU, LINEAR(5, false)}},
    {"projector with biases", PROJECTOR, 8, 4, 7, {LINEAR(7, true), NORM, RELU, LINEAR(6, true), NORM, RELU, LINEAR(5, true)}},
    {"more columns than an item of the pool", CHAIN, 7, 70, 3, {NORM, LINEAR(66, true), NORM}},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* ---- the chain in double, from its definition ------------------------------------------------------------------------------------ */

typedef struct {
    const shape *s;
    double *param;                   /* rows of the table one after the other, as the table lies */
    const ecg_params *table;
    const uint8_t *const *mask;      /* by site */
    bool train;
    double *running;                 /* like param: where training leaves the running statistics; NULL: not wanted */
} oracle;

static int widest(const shape *s)
{
    int w = s->in;
    for (int i = 0; i < s->n; i++)
        if (s->op[i].kind == ECG_OP_LINEAR && s->op[i].out > w)
            w = s->op[i].out;
    return w;
}

static void oracle_norm(const oracle *o, double *x, int row, int n)
{
    const int B = o->s->B;
    const double *w = o->param + o->table->row[row].at, *b = o->param + o->table->row[row + 1].at;
    const size_t mean_at = o->table->row[row + 2].at, var_at = o->table->row[row + 3].at;
    for (int c = 0; c < n; c++) {
        double mean = 0, var = 0;
        for (int r = 0; r < B; r++)
            mean += x[r * n + c] / B;
        for (int r = 0; r < B; r++)
            var += (x[r * n + c] - mean) * (x[r * n + c] - mean) / B;
        if (o->running) {
            o->running[mean_at + (size_t)c] = 0.9 * o->param[mean_at + (size_t)c] + 0.1 * mean;
            o->running[var_at + (size_t)c] = 0.9 * o->param[var_at + (size_t)c] + 0.1 * var * B / (B - 1);
        }
        if (!o->train) {
            mean = o->param[mean_at + (size_t)c];
            var = o->param[var_at + (size_t)c];
        }
        for (int r = 0; r < B; r++)
            x[r * n + c] = (x[r * n + c] - mean) / sqrt(var + 1e-5) * w[c] + b[c];
    }
}

/* y (B, out) from x (B, in). */
static void oracle_forward(const oracle *o, double *y, const double *x)
{
    const shape *s = o->s;
    double *a = calloc((size_t)(s->B * widest(s)), sizeof *a), *z = calloc((size_t)(s->B * widest(s)), sizeof *z);
    int width = s->in, row = 0, site = s->make == HEAD ? HEAD_SITE : SITE;
    assert_true(a && z);
    memcpy(a, x, (size_t)(s->B * width) * sizeof *a);
    for (int i = 0; i < s->n; i++) {
        const ecg_op *op = &s->op[i];
        if (op->kind == ECG_OP_LINEAR) {
            const double *W = o->param + o->table->row[row].at, *b = op->bias ? o->param + o->table->row[row + 1].at : NULL;
            for (int r = 0; r < s->B; r++)
                for (int k = 0; k < op->out; k++) {
                    double sum = b ? b[k] : 0;
                    for (int c = 0; c < width; c++)
                        sum += a[r * width + c] * W[k * width + c];
                    z[r * op->out + k] = sum;
                }
            width = op->out;
            row += op->bias ? 2 : 1;
            memcpy(a, z, (size_t)(s->B * width) * sizeof *a);
        } else if (op->kind == ECG_OP_NORM) {
            oracle_norm(o, a, row, width);
            row += 4;
        } else if (op->kind == ECG_OP_RELU) {
            for (int k = 0; k < s->B * width; k++)
                a[k] = fmax(a[k], 0);
        } else {
            for (int k = 0; o->train && op->p > 0 && k < s->B * width; k++)
                a[k] *= o->mask[site][k] ? 1 / (1 - (double)op->p) : 0;
            site++;
        }
    }
    memcpy(y, a, (size_t)(s->B * width) * sizeof *y);
    free(a);
    free(z);
}

static double oracle_loss(const oracle *o, const double *x, const float *W, int out)
{
    const int n = o->s->B * out;
    double *y = calloc((size_t)n, sizeof *y), loss = 0;
    assert_non_null(y);
    oracle_forward(o, y, x);
    for (int i = 0; i < n; i++)
        loss += y[i] * (double)W[i];
    free(y);
    return loss;
}

/* ---- one case -------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const shape *s;
    ecg_mlp *m;
    ecg_params table;
    int out;
    float *x, *W, *y, *dx;
    double *xd, *param;
    uint8_t *mask[SITES];
    ecg_dropout drop;
} fixture;

static void make(fixture *f)
{
    const shape *s = f->s;
    ecg_err err = {0};
    ecg_status st = ECG_OK;
    if (s->make == CHAIN)
        st = ecg_mlp_new(&f->m, s->in, s->op, s->n, &f->table, "net.", SITE, &err);
    else if (s->make == PROJECTOR)
        st = ecg_projector_new(&f->m, s->in, s->op[0].out, s->op[3].out, s->op[6].out, s->op[0].bias, &f->table, "net.", &err);
    else if (s->n == 1)
        st = ecg_head_new(&f->m, s->in, 0, s->op[0].out, 0.5f, &f->table, "net.", &err);
    else
        st = ecg_head_new(&f->m, s->in, s->op[s->n == 7 ? 2 : 1].out, s->op[s->n - 1].out, s->n == 7 ? 0.5f : 0, &f->table, "net.", &err);
    if (st)
        fail_msg("%s: %s", s->why, err.msg);
    f->out = ecg_mlp_out(f->m);
    assert_int_equal(ecg_mlp_in(f->m), s->in);
}

static float *noise(ecg_rng *r, size_t n, double scale, double shift)
{
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(shift + scale * ecg_rng_normal(r));
    return x;
}

static void begin(fixture *f, const shape *s)
{
    ecg_rng r;
    ecg_rng_open(&r, 11, 0, 1, 0, 0);
    *f = (fixture){.s = s};
    make(f);
    assert_int_equal(ecg_params_alloc(&f->table, true, NULL), ECG_OK);
    ecg_params_init(&f->table, 5);
    for (int i = 0; i < f->table.n; i++) /* norms away from 1 and 0, running variances positive */
        for (size_t k = 0; k < f->table.row[i].count; k++)
            ecg_value(&f->table, i)[k] += (float)(0.3 * ecg_rng_uniform(&r));
    f->x = noise(&r, (size_t)(s->B * s->in), 2, 1);
    f->W = noise(&r, (size_t)(s->B * f->out), 1, 0);
    f->y = noise(&r, (size_t)(s->B * f->out), 1, 0);
    f->dx = noise(&r, (size_t)(s->B * s->in), 1, 0);
    f->xd = calloc((size_t)(s->B * s->in), sizeof *f->xd);
    f->param = calloc(f->table.floats, sizeof *f->param);
    assert_true(f->xd && f->param);
    for (int i = 0; i < s->B * s->in; i++)
        f->xd[i] = (double)f->x[i];
    for (size_t i = 0; i < f->table.floats; i++)
        f->param[i] = (double)f->table.value[i];
    for (int i = SITE; i < SITES; i++) {
        f->mask[i] = malloc((size_t)(s->B * widest(s)));
        assert_non_null(f->mask[i]);
        for (int k = 0; k < s->B * widest(s); k++)
            f->mask[i][k] = ecg_rng_uniform(&r) < 0.7;
    }
    f->drop.recorded = (const uint8_t *const *)f->mask;
}

static void end(fixture *f)
{
    for (int i = 0; i < SITES; i++)
        free(f->mask[i]);
    free(f->x);
    free(f->W);
    free(f->y);
    free(f->dx);
    free(f->xd);
    free(f->param);
    ecg_mlp_free(f->m);
    ecg_params_clear(&f->table);
}

static oracle oracle_of(const fixture *f, bool train)
{
    return (oracle){.s = f->s, .param = f->param, .table = &f->table, .train = train, .mask = f->drop.recorded};
}

static void close_to(const fixture *f, const char *level, const char *what, const float *got, const double *want, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 5e-6 * scale))
            fail_msg("%s, %s, %s[%zu]: %.9g instead of %.9g, scale %g", f->s->why, level, what, i, (double)got[i], want[i], scale);
}

static double largest(const double *x, size_t n)
{
    double m = 0;
    for (size_t i = 0; i < n; i++)
        m = fmax(m, fabs(x[i]));
    return m;
}

static void run_forward(fixture *f, const char *level, const ecg_exec *exec, ecg_mlp_work *w, bool train)
{
    const size_t n = (size_t)(f->s->B * f->out);
    double *y = calloc(n, sizeof *y), *running = calloc(f->table.floats, sizeof *running);
    oracle o = oracle_of(f, train);
    assert_true(y && running);
    o.running = train ? running : NULL;
    oracle_forward(&o, y, f->xd);
    ecg_mlp_forward(f->y, f->m, &f->table, w, exec, f->x, f->s->B, train, &f->drop);
    close_to(f, level, train ? "y" : "y in evaluation", f->y, y, n, largest(y, n));
    for (int i = 0; train && i < f->table.n; i++) {
        const ecg_param *p = &f->table.row[i];
        if (p->flags & ECG_P_BUFFER)
            close_to(f, level, p->name, ecg_value(&f->table, i), running + p->at, p->count, fmax(1, largest(running + p->at, p->count)));
    }
    free(y);
    free(running);
}

/* Central differences of the oracle by every value in x[n]. */
static double *slopes(const oracle *o, fixture *f, double *x, size_t n)
{
    const double h = 1e-5;
    double *d = calloc(n + 1, sizeof *d);
    assert_non_null(d);
    for (size_t i = 0; i < n; i++) {
        const double keep = x[i];
        x[i] = keep + h;
        const double up = oracle_loss(o, f->xd, f->W, f->out);
        x[i] = keep - h;
        d[i] = (up - oracle_loss(o, f->xd, f->W, f->out)) / (2 * h);
        x[i] = keep;
    }
    return d;
}

static void run_backward(fixture *f, const char *level, const ecg_exec *exec, ecg_mlp_work *w)
{
    const size_t n = (size_t)(f->s->B * f->s->in);
    const oracle o = oracle_of(f, true);
    double *want[64] = {0}, *want_x = slopes(&o, f, f->xd, n), scale = largest(want_x, n);
    ecg_params_zero_grad(&f->table);
    ecg_mlp_backward(f->dx, f->m, &f->table, w, exec, f->W, f->x, f->s->B);
    for (int i = 0; i < f->table.n; i++)
        if (!(f->table.row[i].flags & ECG_P_BUFFER)) {
            want[i] = slopes(&o, f, f->param + f->table.row[i].at, f->table.row[i].count);
            scale = fmax(scale, largest(want[i], f->table.row[i].count));
        }
    close_to(f, level, "dx", f->dx, want_x, n, fmax(largest(want_x, n), 0.01 * scale));
    for (int i = 0; i < f->table.n; i++) {
        const size_t count = f->table.row[i].count;
        if (want[i]) /* a shift before a norm has gradient 0: judged against the others */
            close_to(f, level, f->table.row[i].name, ecg_grad(&f->table, i), want[i], count, fmax(largest(want[i], count), 0.01 * scale));
        else
            for (size_t k = 0; k < count; k++)
                assert_true(ecg_grad(&f->table, i)[k] == 0);
        free(want[i]);
    }
    free(want_x);
}

static void test_against_oracle(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        for (int l = 0; l < LEVELS; l++) {
            fixture f;
            const ecg_exec exec = {.k = ecg_kernels_pick(levels[l])};
            if (!exec.k)
                continue;
            begin(&f, &shapes[i]);
            ecg_mlp_work *w = ecg_mlp_work_new(f.m, f.s->B, true);
            assert_non_null(w);
            run_forward(&f, levels[l], &exec, w, false);
            if (f.s->B > 1 || f.s->op[0].kind == ECG_OP_LINEAR)
                run_forward(&f, levels[l], &exec, w, true);
            if (l == 0 || f.s->in < 20) /* the wide one once */
                run_backward(&f, levels[l], &exec, w);
            ecg_mlp_work_free(w);
            end(&f);
        }
}

static void test_frozen_and_unwanted(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        fixture f;
        const ecg_exec exec = {.k = ecg_kernels_ref()};
        begin(&f, &shapes[i]);
        const size_t n = (size_t)(f.s->B * f.s->in);
        ecg_mlp_work *w = ecg_mlp_work_new(f.m, f.s->B, true);
        float *grad = malloc(f.table.floats * sizeof *grad), *dx = malloc(n * sizeof *dx);
        assert_true(w && grad && dx);
        ecg_mlp_forward(f.y, f.m, &f.table, w, &exec, f.x, f.s->B, true, &f.drop);
        ecg_mlp_backward(f.dx, f.m, &f.table, w, &exec, f.W, f.x, f.s->B);
        memcpy(grad, f.table.grad, f.table.floats * sizeof *grad);
        memcpy(dx, f.dx, n * sizeof *dx);

        ecg_params_zero_grad(&f.table);
        ecg_mlp_backward(NULL, f.m, &f.table, w, &exec, f.W, f.x, f.s->B);
        assert_memory_equal(grad, f.table.grad, f.table.floats * sizeof *grad);

        ecg_mlp_backward(NULL, f.m, &f.table, w, &exec, f.W, f.x, f.s->B); /* adds */
        for (size_t k = 0; k < f.table.floats; k++)
            assert_true(f.table.grad[k] == 2 * grad[k]);

        ecg_params_zero_grad(&f.table);
        ecg_params_freeze(&f.table, "net.", true);
        ecg_mlp_backward(f.dx, f.m, &f.table, w, &exec, f.W, f.x, f.s->B);
        assert_memory_equal(dx, f.dx, n * sizeof *dx);
        ecg_mlp_backward(NULL, f.m, &f.table, w, &exec, f.W, f.x, f.s->B);
        for (size_t k = 0; k < f.table.floats; k++)
            assert_true(f.table.grad[k] == 0);
        free(grad);
        free(dx);
        ecg_mlp_work_free(w);
        end(&f);
    }
}

static void test_first_rows_frozen(void **state)
{
    const shape s = {"first map frozen", CHAIN, 6, 4, 3, {LINEAR(5, true), RELU, LINEAR(3, true)}};
    const ecg_exec exec = {.k = ecg_kernels_ref()};
    fixture f;
    (void)state;
    begin(&f, &s);
    ecg_mlp_work *w = ecg_mlp_work_new(f.m, s.B, true);
    assert_non_null(w);
    assert_int_equal(ecg_params_freeze(&f.table, "net.0.", true), 2);
    ecg_mlp_forward(f.y, f.m, &f.table, w, &exec, f.x, s.B, true, NULL);
    ecg_mlp_backward(NULL, f.m, &f.table, w, &exec, f.W, f.x, s.B);
    assert_true(ecg_grad(&f.table, ecg_params_find(&f.table, "net.0.weight"))[0] == 0);
    assert_true(ecg_grad(&f.table, ecg_params_find(&f.table, "net.2.weight"))[0] != 0);
    assert_true(ecg_grad(&f.table, ecg_params_find(&f.table, "net.2.bias"))[0] != 0);
    ecg_mlp_work_free(w);
    end(&f);
}

/* ---- names, sites, threads --------------------------------------------------------------------------------------------------------- */

static void test_names(void **state)
{
    static const struct {
        const char *why;
        int shape;
        const char *name[12];
    } rows[] = {
        {"linear head has no index", 8, {"net.weight", "net.bias"}},
        {"head counts dropout", 10, {"net.0.weight", "net.0.bias", "net.0.running_mean", "net.0.running_var", "net.2.weight", "net.2.bias",
                                     "net.4.weight", "net.4.bias", "net.4.running_mean", "net.4.running_var", "net.6.weight", "net.6.bias"}},
        {"projector", 11, {"net.0.weight", "net.1.weight", "net.1.bias", "net.1.running_mean", "net.1.running_var", "net.3.weight"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f = {.s = &shapes[rows[i].shape]};
        make(&f);
        for (int k = 0; k < 12 && rows[i].name[k]; k++) {
            assert_string_equal(f.table.row[k].name, rows[i].name[k]);
            assert_int_equal(f.table.row[k].group, 1);
        }
        ecg_mlp_free(f.m);
        ecg_params_clear(&f.table);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *why;
        int in, n;
        ecg_op op;
    } bad[] = {
        {"no input", 0, 1, LINEAR(3, true)},
        {"no operation", 3, 0, NORM},
        {"no output", 3, 1, LINEAR(0, true)},
        {"dropout of everything", 3, 1, DROP(1)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ecg_mlp *m = NULL;
        ecg_params table = {0};
        ecg_err err = {0};
        if (ecg_mlp_new(&m, bad[i].in, &bad[i].op, bad[i].n, &table, "net.", SITE, &err) != ECG_EARG || m || !err.msg[0])
            fail_msg("%s: not refused", bad[i].why);
        ecg_params_clear(&table);
    }
}

/* Dropout is drawn by cohort row and step: the same row gives the same, wherever it stands in the batch. */
static void test_dropout_follows_the_row(void **state)
{
    const uint32_t row[3] = {41, 7, 41};
    const ecg_dropout drop = {.seed = 3, .step = 2, .row = row}, later = {.seed = 3, .step = 3, .row = row};
    const ecg_op op[] = {DROP(0.5f), LINEAR(40, false), DROP(0.5f)};
    const ecg_exec exec = {.k = ecg_kernels_ref()};
    float x[3 * 40], y[3 * 40], z[3 * 40];
    ecg_params table = {0};
    ecg_mlp *m = NULL;
    (void)state;
    assert_int_equal(ecg_mlp_new(&m, 40, op, 3, &table, "", SITE, NULL), ECG_OK);
    assert_int_equal(ecg_params_alloc(&table, true, NULL), ECG_OK);
    ecg_params_init(&table, 1);
    for (int i = 0; i < 3 * 40; i++)
        x[i] = 1;
    ecg_mlp_work *w = ecg_mlp_work_new(m, 3, true);
    assert_non_null(w);
    ecg_mlp_forward(y, m, &table, w, &exec, x, 3, true, &drop);
    assert_memory_equal(y, y + 80, 40 * sizeof *y);
    assert_memory_not_equal(y, y + 40, 40 * sizeof *y);
    ecg_mlp_forward(z, m, &table, w, &exec, x, 3, true, &later);
    assert_memory_not_equal(y, z, sizeof y);
    ecg_mlp_forward(z, m, &table, w, &exec, x, 3, true, &drop);
    assert_memory_equal(y, z, sizeof y);
    ecg_mlp_work_free(w);
    ecg_mlp_free(m);
    ecg_params_clear(&table);
}

static void test_threads(void **state)
{
    const shape s = {"threads", CHAIN, 130, 150, 7, {NORM, DROP(0.25f), LINEAR(140, true), RELU, NORM, DROP(0.5f), LINEAR(70, true)}};
    (void)state;
    for (int l = 0; l < LEVELS; l++) {
        float *y = NULL, *dx = NULL, *grad = NULL, *value = NULL;
        if (!ecg_kernels_pick(levels[l]))
            continue;
        for (int threads = 1; threads <= 5; threads += threads == 1 ? 1 : 3) {
            fixture f;
            begin(&f, &s);
            const ecg_exec exec = {.k = ecg_kernels_pick(levels[l]), .pool = ecg_pool_new(threads)};
            const size_t ny = (size_t)(s.B * f.out) * sizeof *y, nx = (size_t)(s.B * s.in) * sizeof *dx, nt = f.table.floats * sizeof *grad;
            ecg_mlp_work *w = ecg_mlp_work_new(f.m, s.B, true);
            assert_true(w && exec.pool);
            ecg_mlp_forward(f.y, f.m, &f.table, w, &exec, f.x, s.B, true, &f.drop);
            ecg_mlp_backward(f.dx, f.m, &f.table, w, &exec, f.W, f.x, s.B);
            if (threads == 1) {
                y = malloc(ny), dx = malloc(nx), grad = malloc(nt), value = malloc(nt);
                assert_true(y && dx && grad && value);
                memcpy(y, f.y, ny);
                memcpy(dx, f.dx, nx);
                memcpy(grad, f.table.grad, nt);
                memcpy(value, f.table.value, nt);
            }
            assert_memory_equal(y, f.y, ny);
            assert_memory_equal(dx, f.dx, nx);
            assert_memory_equal(grad, f.table.grad, nt);
            assert_memory_equal(value, f.table.value, nt);
            ecg_mlp_work_free(w);
            ecg_pool_free(exec.pool);
            end(&f);
        }
        free(y);
        free(dx);
        free(grad);
        free(value);
    }
}

/* ---- tabular encoder --------------------------------------------------------------------------------------------------------------- */

static const ecg_tabular_config config = {.continuous = 4, .categorical = 2, .vocabulary = {2, 6}, .embedding = {3, 2},
                                          .hidden1 = 6, .hidden2 = 5, .out = 3, .dropout = 0.5f};
static const int32_t category[18] = {0, 0, 1, 1, 0, 2, 0, 3, 1, 4, 1, 0, 0, 1, 0, 2, 1, 4}; /* word 5 of the second is never used */

/* sum y W of the tabular encoder over 9 rows in double: three chains of groups, norm-drop-linear-ReLU twice and norm-drop-linear. */
static double tabular_loss(const ecg_params *t, double *param, const double *continuous, const uint8_t *const *mask, const float *W)
{
    static const shape groups[3] = {{"", CHAIN, 9, 9, 4, {NORM, DROP(0.25f), LINEAR(6, true), RELU}},
                                    {"", CHAIN, 9, 6, 4, {NORM, DROP(0.25f), LINEAR(5, true), RELU}},
                                    {"", CHAIN, 9, 5, 3, {NORM, DROP(0.5f), LINEAR(3, true)}}};
    double x[81], loss = 0;
    for (int b = 0; b < 9; b++) {
        memcpy(x + b * 9, param + t->row[0].at + 3 * category[2 * b], 3 * sizeof *x);
        memcpy(x + b * 9 + 3, param + t->row[1].at + 2 * category[2 * b + 1], 2 * sizeof *x);
        memcpy(x + b * 9 + 5, continuous + b * 4, 4 * sizeof *x);
    }
    for (int g = 0; g < 3; g++) {
        ecg_params rows = *t;
        rows.row += 2 + 6 * g; /* a norm has 4 rows, a linear 2 */
        const uint8_t *site[SITES] = {0};
        site[SITE] = mask[64 + g];
        const oracle o = {.s = &groups[g], .param = param, .table = &rows, .mask = site, .train = true};
        oracle_forward(&o, x, x);
    }
    for (int i = 0; i < 27; i++)
        loss += x[i] * (double)W[i];
    return loss;
}

static void compare_slopes(const char *what, const float *got, double *at, size_t n, const ecg_params *t, double *param, const double *continuous,
                           const uint8_t *const *mask, const float *W)
{
    double want[64], scale = 0;
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++) {
        const double h = 1e-5, keep = at[i];
        at[i] = keep + h;
        const double up = tabular_loss(t, param, continuous, mask, W);
        at[i] = keep - h;
        want[i] = (up - tabular_loss(t, param, continuous, mask, W)) / (2 * h);
        at[i] = keep;
        scale = fmax(scale, fabs(want[i]));
    }
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 1e-5 * fmax(scale, 1e-3)))
            fail_msg("%s[%zu]: %.9g instead of %.9g, scale %g", what, i, (double)got[i], want[i], scale);
}

static void test_tabular(void **state)
{
    static const char *const names[] = {"tab.embeddings.0.weight", "tab.embeddings.1.weight", "tab.layers.0.weight", "tab.layers.0.bias",
                                        "tab.layers.0.running_mean", "tab.layers.0.running_var", "tab.layers.2.weight", "tab.layers.2.bias",
                                        "tab.layers.4.weight", "tab.layers.4.bias", "tab.layers.4.running_mean", "tab.layers.4.running_var",
                                        "tab.layers.6.weight", "tab.layers.6.bias", "tab.layers.8.weight", "tab.layers.8.bias",
                                        "tab.layers.8.running_mean", "tab.layers.8.running_var", "tab.layers.10.weight", "tab.layers.10.bias"};
    const ecg_exec exec = {.k = ecg_kernels_ref()};
    ecg_params table = {0};
    ecg_tabular *t = NULL;
    ecg_rng r;
    uint8_t drawn[3][81];
    const uint8_t *site[SITES] = {0};
    double continuous[36];
    float y[27], dcontinuous[36];
    (void)state;
    assert_int_equal(ecg_tabular_new(&t, &config, &table, "tab.", NULL), ECG_OK);
    assert_int_equal(table.n, (int)(sizeof names / sizeof *names));
    for (int i = 0; i < table.n; i++)
        assert_string_equal(table.row[i].name, names[i]);
    assert_int_equal(ecg_params_alloc(&table, true, NULL), ECG_OK);
    ecg_params_init(&table, 9);
    ecg_rng_open(&r, 2, 0, 1, 0, 0);
    float *x = noise(&r, 36, 50, 100), *W = noise(&r, 27, 1, 0); /* raw scales, as of laboratory values */
    double *param = calloc(table.floats, sizeof *param);
    assert_non_null(param);
    for (size_t i = 0; i < table.floats; i++)
        param[i] = (double)table.value[i];
    for (int i = 0; i < 36; i++)
        continuous[i] = (double)x[i];
    for (int s = 0; s < 3; s++) {
        for (int k = 0; k < 81; k++)
            drawn[s][k] = ecg_rng_uniform(&r) < 0.75;
        site[64 + s] = drawn[s];
    }
    const ecg_dropout drop = {.recorded = site};
    ecg_tabular_work *w = ecg_tabular_work_new(t, 9, true);
    assert_non_null(w);
    ecg_tabular_forward(y, t, &table, w, &exec, x, category, 9, true, &drop);
    double loss = 0;
    for (int i = 0; i < 27; i++)
        loss += (double)y[i] * (double)W[i];
    assert_true(fabs(loss - tabular_loss(&table, param, continuous, site, W)) < 1e-5);

    ecg_tabular_backward(dcontinuous, t, &table, w, &exec, W, 9);
    compare_slopes("dcontinuous", dcontinuous, continuous, 36, &table, param, continuous, site, W);
    for (int i = 0; i < table.n; i++)
        if (!(table.row[i].flags & ECG_P_BUFFER))
            compare_slopes(table.row[i].name, ecg_grad(&table, i), param + table.row[i].at, table.row[i].count, &table, param, continuous, site, W);
    assert_true(ecg_grad(&table, 1)[10] == 0 && ecg_grad(&table, 1)[11] == 0);

    ecg_params_zero_grad(&table);
    ecg_params_freeze(&table, "tab.embeddings.", true);
    ecg_tabular_backward(NULL, t, &table, w, &exec, W, 9);
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < table.row[i].count; k++)
            assert_true(ecg_grad(&table, i)[k] == 0);

    float first[3];
    ecg_tabular_forward(y, t, &table, w, &exec, x, category, 9, false, &drop);
    ecg_tabular_forward(first, t, &table, w, &exec, x, category, 1, false, NULL);
    assert_memory_equal(first, y, sizeof first); /* in evaluation rows do not couple, and nothing is dropped */
    free(x);
    free(W);
    free(param);
    ecg_tabular_work_free(w);
    ecg_tabular_free(t);
    ecg_params_clear(&table);
}

static void test_tabular_shapes(void **state)
{
    static const struct {
        const char *why;
        ecg_tabular_config c;
        ecg_status status;
    } cases[] = {
        {"without dropout the operations are not there", {.continuous = 3, .hidden1 = 2, .hidden2 = 2, .out = 2}, ECG_OK},
        {"no columns at all", {.hidden1 = 2, .hidden2 = 2, .out = 2}, ECG_EARG},
        {"a word list of nothing", {.continuous = 3, .categorical = 1, .embedding = {2}, .hidden1 = 2, .hidden2 = 2, .out = 2}, ECG_EARG},
        {"too many categories", {.continuous = 3, .categorical = 17, .hidden1 = 2, .hidden2 = 2, .out = 2}, ECG_EARG},
        {"categories alone", {.categorical = 1, .vocabulary = {3}, .embedding = {2}, .hidden1 = 2, .hidden2 = 2, .out = 2}, ECG_OK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_tabular *t = NULL;
        ecg_params table = {0};
        ecg_err err = {0};
        if (ecg_tabular_new(&t, &cases[i].c, &table, "", &err) != cases[i].status)
            fail_msg("%s: %s", cases[i].why, err.msg);
        if (i == 0)
            assert_true(ecg_params_find(&table, "layers.7.weight") >= 0 && ecg_params_find(&table, "layers.10.weight") < 0);
        ecg_tabular_free(t);
        ecg_params_clear(&table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_oracle), cmocka_unit_test(test_frozen_and_unwanted), cmocka_unit_test(test_first_rows_frozen),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_refused),             cmocka_unit_test(test_dropout_follows_the_row),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_tabular),             cmocka_unit_test(test_tabular_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
