/* SPDX-License-Identifier: MIT
 * test_encoder.c: the encoder against one written here in double as protocol 5.1-5.3 reads; its gradients against central differences of
 * that one, on every level; the same bytes for kept and replayed activations and for any number of threads, in bf16 too, which stays as close
 * as its rounding lets it; freezing; missing samples. */
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
#include "net/encoder.h"
#include "net/s4_kernel.h"

static const char *const levels[] = {"ref", "avx2", "avx512"};

typedef struct {
    ecg_encoder_config c;
    ecg_params table;
    ecg_encoder *e;
    int B;
    float *x, *h, *seq, *dh, *dseq, *dx;
    uint32_t row[160];
    ecg_dropout drop;
    const ecg_dropout *use; /* &drop or NULL */
} setting;

static void fill(float *x, size_t n, uint32_t stream)
{
    ecg_rng r;
    ecg_rng_open(&r, 3, 0, stream, 0, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)ecg_rng_normal(&r);
}

static void open_setting(setting *s, ecg_encoder_config c, int B)
{
    ecg_err err = {0};
    *s = (setting){.c = c, .B = B};
    assert_int_equal(ecg_encoder_new(&s->e, &c, &s->table, "ecg.", &err), ECG_OK);
    assert_int_equal(ecg_params_alloc(&s->table, true, &err), ECG_OK);
    ecg_params_init(&s->table, 5);
    ecg_encoder_init(s->e, &s->table, 5);
    for (int i = 0; i < s->table.n; i++) /* norms away from 1 and 0, so that their gradients are no special case */
        if (strstr(s->table.row[i].name, "norms."))
            for (size_t k = 0; k < s->table.row[i].count; k++)
                ecg_value(&s->table, i)[k] += 0.3f * sinf((float)(7 * i) + (float)k);
    assert_int_equal(ecg_encoder_prepare(s->e, &s->table, &err), ECG_OK);
    const size_t nx = (size_t)B * c.length * c.leads, nh = (size_t)B * c.width, ns = nh * c.length;
    s->x = calloc(nx, 4), s->dx = calloc(nx, 4), s->h = calloc(nh, 4), s->dh = calloc(nh, 4), s->seq = calloc(ns, 4), s->dseq = calloc(ns, 4);
    fill(s->x, nx, 1), fill(s->dh, nh, 2), fill(s->dseq, ns, 3);
    for (int b = 0; b < B; b++)
        s->row[b] = 1000 + 3 * b;
    s->drop = (ecg_dropout){.seed = 9, .step = 4, .row = s->row};
    s->use = c.dropout > 0 ? &s->drop : NULL;
}

static void close_setting(setting *s)
{
    free(s->x), free(s->dx), free(s->h), free(s->dh), free(s->seq), free(s->dseq);
    ecg_encoder_free(s->e);
    ecg_params_clear(&s->table);
}

static void run_on(setting *s, const ecg_kernels *k, int threads, int keep)
{
    const ecg_exec x = {k, threads > 1 ? ecg_pool_new(threads) : NULL};
    ecg_encoder_work *w = ecg_encoder_work_new(s->e, threads, keep, true);
    assert_non_null(w);
    ecg_params_zero_grad(&s->table);
    ecg_encoder_refresh(s->e, &s->table, &x);
    ecg_encoder_forward(s->h, s->seq, s->e, &s->table, w, &x, s->x, s->B, s->use);
    ecg_encoder_backward(s->dx, s->e, &s->table, w, &x, s->dh, s->dseq, s->x, s->B, s->use);
    ecg_encoder_work_free(w);
    ecg_pool_free(x.pool);
}

static void forward_backward(setting *s, const char *level, int threads, int keep) { run_on(s, ecg_kernels_pick(level), threads, keep); }

/* ---- the encoder in double; parameters by name from v, which has the table's layout */

static const double *of(const setting *s, const double *v, const char *format, int block)
{
    char name[96];
    snprintf(name, sizeof name, format, block); /* formats are written below */
    for (int i = 0; i < s->table.n; i++)
        if (strcmp(s->table.row[i].name, name) == 0)
            return v + s->table.row[i].at;
    fail_msg("no row %s", name);
    return NULL;
}

static void plain_block(double *u, const setting *s, const double *v, int i, int b)
{
    const int L = s->c.length, H = s->c.width, N = s->c.state, two = s->c.bidirectional;
    const ecg_s4 k = {.H = H, .N = N, .L = L,
                      .log_dt = of(s, v, "ecg.s4_layers.%d.kernel.kernel.log_dt", i), .w = of(s, v, "ecg.s4_layers.%d.kernel.kernel.w", i),
                      .B = of(s, v, "ecg.s4_layers.%d.kernel.kernel.B", i), .P = of(s, v, "ecg.s4_layers.%d.kernel.kernel.P", i),
                      .Q = of(s, v, "ecg.s4_layers.%d.kernel.kernel.Q", i)};
    const double *D = of(s, v, "ecg.s4_layers.%d.D", i), *W = of(s, v, "ecg.s4_layers.%d.output_linear.0.weight", i),
                 *bias = of(s, v, "ecg.s4_layers.%d.output_linear.0.bias", i), *nw = of(s, v, "ecg.norms.%d.weight", i),
                 *nb = of(s, v, "ecg.norms.%d.bias", i);
    double *K = calloc(2 * (size_t)H * L, sizeof *K), *g = calloc(H, sizeof *g), *out = calloc((size_t)L * H, sizeof *out);
    float *inner = calloc(H, 4), *outer = calloc(H, 4);
    assert_int_equal(ecg_s4_kernel_ref(K, &k, of(s, v, "ecg.s4_layers.%d.kernel.kernel.C", i), two ? 2 : 1, NULL), ECG_OK);
    ecg_dropout_scale(inner, s->use, b, 2 * i, H, s->c.dropout);
    ecg_dropout_scale(outer, s->use, b, 2 * i + 1, H, s->c.dropout);
    for (int t = 0; t < L; t++) {
        double mean = 0, square = 0, *r = out + (size_t)t * H;
        for (int h = 0; h < H; h++) {
            double sum = D[h] * u[t * H + h];
            for (int j = 0; j <= t; j++)
                sum += K[h * L + t - j] * u[j * H + h];
            for (int j = t + 1; two && j < L; j++)
                sum += K[(H + h) * L + j - t - 1] * u[j * H + h];
            g[h] = sum / 2 * (1 + erf(sum / sqrt(2))) * (s->use ? inner[h] : 1);
        }
        for (int h = 0; h < H; h++) {
            double value = bias[h], gate = bias[H + h];
            for (int j = 0; j < H; j++)
                value += W[h * H + j] * g[j], gate += W[(H + h) * H + j] * g[j];
            r[h] = value / (1 + exp(-gate)) * (s->use ? outer[h] : 1) + u[t * H + h];
            mean += r[h] / H;
        }
        for (int h = 0; h < H; h++)
            square += (r[h] - mean) * (r[h] - mean) / H;
        for (int h = 0; h < H; h++)
            r[h] = (r[h] - mean) / sqrt(square + 1e-5) * nw[h] + nb[h];
    }
    memcpy(u, out, sizeof *u * L * H);
    free(K), free(g), free(out), free(inner), free(outer);
}

/* sum(h dh) + sum(seq dseq); h (B, H) too if wanted */
static double plain_loss(const setting *s, const double *v, const double *x, double *h_out)
{
    const int L = s->c.length, H = s->c.width, leads = s->c.leads;
    const double *W = of(s, v, "ecg.encoder.weight", 0), *bias = of(s, v, "ecg.encoder.bias", 0);
    double *u = calloc((size_t)L * H, sizeof *u), loss = 0;
    for (int b = 0; b < s->B; b++) {
        for (int t = 0; t < L; t++)
            for (int h = 0; h < H; h++) {
                u[t * H + h] = bias[h];
                for (int d = 0; d < leads; d++)
                    u[t * H + h] += W[h * leads + d] * x[((size_t)b * L + t) * leads + d];
            }
        for (int i = 0; i < s->c.blocks; i++)
            plain_block(u, s, v, i, b);
        for (int h = 0; h < H; h++) {
            double mean = 0;
            for (int t = 0; t < L; t++) {
                mean += u[t * H + h] / L;
                loss += u[t * H + h] * s->dseq[((size_t)b * L + t) * H + h];
            }
            loss += mean * s->dh[b * H + h];
            if (h_out)
                h_out[b * H + h] = mean;
        }
    }
    free(u);
    return loss;
}

static void close_quotient(const setting *s, const char *level, const char *name, double *at, size_t n, const float *got, const double *v, const double *x)
{
    double largest = 0;
    for (size_t k = 0; k < n; k++)
        largest = fmax(largest, fabs(got[k]));
    for (size_t k = 0; k < n; k += 1 + n / 7) { /* a few of each tensor */
        const double was = at[k], step = 1e-5 * (1 + fabs(was));
        at[k] = was + step;
        const double up = plain_loss(s, v, x, NULL);
        at[k] = was - step;
        const double down = plain_loss(s, v, x, NULL);
        at[k] = was;
        const double want = (up - down) / (2 * step);
        /* float32 activations: 1e-5 of the tensor's largest; the quotient itself is good to 1e-8 of a loss of order 10 */
        if (!(fabs(got[k] - want) <= 2e-5 * largest + 1e-6))
            fail_msg("%s, H %d, L %d, N %d: %s, derivative %zu is %.9g instead of %.9g", level, s->c.width, s->c.length, s->c.state, name, k,
                     (double)got[k], want);
    }
}

static const struct {
    const char *why;
    ecg_encoder_config c;
    int B;
} shapes[] = {
    {"small and two-sided", {2, 4, 2, 4, 12, true, 0}, 3},
    {"causal, odd length, fewest states", {3, 5, 2, 2, 9, false, 0}, 2},
    {"dropout, more channels than lanes", {2, 19, 1, 4, 7, true, 0.2f}, 2},
    {"many states", {1, 3, 1, 16, 11, true, 0}, 1},
    {"shortest signal, causal with dropout", {2, 6, 3, 2, 1, false, 0.4f}, 4},
    {"two steps", {12, 8, 1, 8, 2, true, 0}, 1},
    {"a width that no vector divides, causal, many states", {12, 24, 1, 16, 20, false, 0}, 1},
};

static void gradients_are_difference_quotients(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        setting s;
        open_setting(&s, shapes[i].c, shapes[i].B);
        const size_t nx = (size_t)s.B * s.c.length * s.c.leads, nh = (size_t)s.B * s.c.width;
        double *v = calloc(s.table.floats, sizeof *v), *x = calloc(nx, sizeof *x), *h = calloc(nh, sizeof *h);
        for (size_t k = 0; k < s.table.floats; k++)
            v[k] = s.table.value[k];
        for (size_t k = 0; k < nx; k++)
            x[k] = s.x[k];
        plain_loss(&s, v, x, h);
        for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
            if (!ecg_kernels_pick(levels[l]))
                continue;
            forward_backward(&s, levels[l], 1, 0);
            for (size_t k = 0; k < nh; k++)
                if (!(fabs(s.h[k] - h[k]) < 3e-6))
                    fail_msg("%s, %s: h[%zu] is %.9g instead of %.9g", shapes[i].why, levels[l], k, (double)s.h[k], h[k]);
            close_quotient(&s, levels[l], "x", x, nx, s.dx, v, x);
            for (int r = 0; r < s.table.n; r++) {
                const ecg_param *p = &s.table.row[r];
                if (p->flags & ECG_P_BUFFER)
                    for (size_t k = 0; k < p->count; k++)
                        assert_true(ecg_grad(&s.table, r)[k] == 0);
                else
                    close_quotient(&s, levels[l], p->name, v + p->at, p->count, ecg_grad(&s.table, r), v, x);
            }
        }
        free(v), free(x), free(h);
        close_setting(&s);
    }
}

/* ---- what must not change a byte */

typedef struct {
    float *h, *seq, *dx, *grad;
    size_t nh, ns, nx, ng;
} bytes;

static void *copy_of(const float *x, size_t n)
{
    float *y = malloc(n * sizeof *y);
    assert_non_null(y);
    return memcpy(y, x, n * sizeof *y);
}

static bytes take(const setting *s)
{
    bytes b = {.nh = (size_t)s->B * s->c.width, .nx = (size_t)s->B * s->c.length * s->c.leads, .ng = s->table.floats};
    b.ns = b.nh * s->c.length;
    b.h = copy_of(s->h, b.nh), b.seq = copy_of(s->seq, b.ns), b.dx = copy_of(s->dx, b.nx), b.grad = copy_of(s->table.grad, b.ng);
    return b;
}

static void same(const bytes *b, const setting *s)
{
    assert_memory_equal(b->h, s->h, b->nh * sizeof(float));
    assert_memory_equal(b->seq, s->seq, b->ns * sizeof(float));
    assert_memory_equal(b->dx, s->dx, b->nx * sizeof(float));
    assert_memory_equal(b->grad, s->table.grad, b->ng * sizeof(float));
}

static void give(bytes *b) { free(b->h), free(b->seq), free(b->dx), free(b->grad); }

/* |got - want| / |want|, both as vectors */
static double apart(const float *got, const float *want, size_t n)
{
    double d = 0, w = 0;
    for (size_t i = 0; i < n; i++)
        d += ((double)got[i] - want[i]) * ((double)got[i] - want[i]), w += (double)want[i] * want[i];
    return sqrt(d / w);
}

static void threads_and_memory_change_no_byte(void **state)
{
    (void)state;
    static const int sizes[] = {37, 1, 16, 130}; /* more samples than slices, and no multiple of them; fewer; as many; more slices */
    static const char *const names[] = {"ref", "avx2", "avx512", "vnni", "amx"};
    setting s;
    for (size_t l = 0; l < sizeof sizes / sizeof *sizes * 2 * (sizeof names / sizeof *names); l++) {
        const int B = sizes[l / 2 / (sizeof names / sizeof *names)];
        const ecg_kernels *k = ecg_kernels_pick(names[l / 2 % (sizeof names / sizeof *names)]);
        if (!k)
            continue;
        k = ecg_kernels_at(k, l % 2 ? ECG_IN_BF16 : ECG_IN_FLOAT32);
        open_setting(&s, (ecg_encoder_config){12, 20, 2, 8, 50, true, 0.2f}, B);
        run_on(&s, k, 1, 0);
        bytes first = take(&s);
        static const struct {
            int threads, keep;
        } ways[] = {{1, 37}, {2, 0}, {5, 0}, {20, 130}, {2, 36}}; /* those beyond what is kept are replayed */
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            memset(s.h, 0, first.nh * sizeof(float));
            run_on(&s, k, ways[i].threads, ways[i].keep);
            same(&first, &s);
        }
        give(&first);
        close_setting(&s);
    }
}

/* the same where products are large enough for Strassen's seven and for integers, both ways and for the weight */
static void nor_do_they_in_large_products(void **state)
{
    (void)state;
    static const char *const names[] = {"avx2", "avx512", "vnni", "amx"};
    for (size_t l = 0; l < 2 * sizeof names / sizeof *names; l++) {
        setting s;
        if (!ecg_kernels_pick(names[l / 2]))
            continue;
        const ecg_kernels *k = ecg_kernels_at(ecg_kernels_pick(names[l / 2]), l % 2 ? ECG_IN_BF16 : ECG_IN_FLOAT32);
        open_setting(&s, (ecg_encoder_config){12, 256, 1, 8, 201, true, 0.2f}, 5);
        run_on(&s, k, 1, 0);
        bytes first = take(&s);
        run_on(&s, k, 3, 4);
        same(&first, &s);
        run_on(&s, ecg_kernels_ref(), 1, 0);
        const double h = apart(s.h, first.h, first.nh), dx = apart(s.dx, first.dx, first.nx), grad = apart(s.table.grad, first.grad, first.ng);
        if (!(h < (l % 2 ? 2e-3 : 2e-6) && dx < (l % 2 ? 1e-2 : 1e-5) && grad < (l % 2 ? 1e-2 : 1e-5)))
            fail_msg("%s: h %.3g, dx %.3g, gradients %.3g away from ref", k->words, h, dx, grad);
        give(&first);
        close_setting(&s);
    }
}

/* An operand's rounding is 2^-9 at most and 0.0017 of its size in the mean square; three products a block and their sums make of it a percent
 * in a gradient. What the quotients above prove for float32 then holds within that. */
static void bf16_is_as_close_as_its_rounding(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        ecg_encoder_config c;
        int B;
    } cases[] = {
        {"one crop of the small preset", {12, 32, 3, 8, 250, true, 0}, 1},
        {"a width that no tile divides, odd length, dropout", {12, 37, 2, 8, 61, true, 0.2f}, 3},
        {"causal, narrower than a tile", {12, 10, 2, 4, 40, false, 0}, 5},
        {"whole tiles", {12, 64, 1, 8, 64, true, 0}, 17},
    };
    static const char *const names[] = {"ref", "avx2", "avx512", "vnni"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t l = 0; l < sizeof names / sizeof *names; l++) {
            setting s;
            if (!ecg_kernels_pick(names[l]))
                continue;
            open_setting(&s, cases[i].c, cases[i].B);
            run_on(&s, ecg_kernels_pick(names[l]), 1, 0);
            bytes exact = take(&s);
            run_on(&s, ecg_kernels_at(ecg_kernels_pick(names[l]), ECG_IN_BF16), 1, 0);
            const double h = apart(s.h, exact.h, exact.nh), seq = apart(s.seq, exact.seq, exact.ns), dx = apart(s.dx, exact.dx, exact.nx);
            if (!(h < 4e-3 && seq < 4e-3 && dx < 2e-2 && seq > 1e-5)) /* integers are the nearer */
                fail_msg("%s, %s: h %.3g, sequence %.3g, dx %.3g away from float32", cases[i].why, names[l], h, seq, dx);
            for (int r = 0; r < s.table.n; r++) {
                const ecg_param *p = &s.table.row[r];
                if (!(p->flags & ECG_P_BUFFER) && !(apart(ecg_grad(&s.table, r), exact.grad + p->at, p->count) < 2e-2))
                    fail_msg("%s, %s: gradient of %s is %.3g away", cases[i].why, names[l], p->name,
                             apart(ecg_grad(&s.table, r), exact.grad + p->at, p->count));
            }
            give(&exact);
            close_setting(&s);
        }
}

/* a sample's embedding does not depend on its batch; inference buffers give the same as training ones; evaluation has no dropout */
static void alone_as_in_a_batch(int width, ecg_precision precision)
{
    setting s;
    open_setting(&s, (ecg_encoder_config){12, width, 2, 16, 140, true, 0.2f}, 5);
    const ecg_exec x = {ecg_kernels_at(ecg_kernels_pick(NULL), precision), NULL};
    ecg_encoder_work *train = ecg_encoder_work_new(s.e, 1, 5, true), *infer = ecg_encoder_work_new(s.e, 1, 0, false);
    assert_non_null(train);
    assert_non_null(infer);
    assert_true(ecg_encoder_work_bytes(s.e, 1, 0, false) < ecg_encoder_work_bytes(s.e, 1, 0, true));
    ecg_encoder_refresh(s.e, &s.table, &x);
    ecg_encoder_forward(s.h, s.seq, s.e, &s.table, train, &x, s.x, 5, NULL);
    float *h = calloc(5 * (size_t)width, sizeof *h);
    ecg_encoder_forward(h, NULL, s.e, &s.table, infer, &x, s.x, 5, NULL);
    assert_memory_equal(h, s.h, 5 * width * sizeof *h);
    for (int b = 0; b < 5; b++) {
        ecg_encoder_forward(h, NULL, s.e, &s.table, infer, &x, s.x + (size_t)b * 140 * 12, 1, NULL);
        assert_memory_equal(h, s.h + b * width, width * sizeof *h);
    }
    ecg_encoder_forward(h, NULL, s.e, &s.table, infer, &x, s.x, 5, s.use);
    assert_memory_not_equal(h, s.h, 5 * width * sizeof *h);
    free(h);
    ecg_encoder_work_free(train);
    ecg_encoder_work_free(infer);
    close_setting(&s);
}

static void samples_do_not_couple(void **state)
{
    (void)state;
    alone_as_in_a_batch(24, ECG_IN_FLOAT32);
    alone_as_in_a_batch(256, ECG_IN_FLOAT32);
    alone_as_in_a_batch(256, ECG_IN_BF16);
}

static bool frozen_by(const char *name, int blocks)
{
    int block = -1;
    if (blocks < 0)
        return true;
    if (sscanf(name, "ecg.s4_layers.%d", &block) == 1 || sscanf(name, "ecg.norms.%d", &block) == 1)
        return block < blocks;
    return blocks > 0; /* the input linear */
}

static void frozen_blocks_get_no_gradient(void **state)
{
    (void)state;
    setting s;
    open_setting(&s, (ecg_encoder_config){12, 9, 3, 4, 20, true, 0}, 3);
    forward_backward(&s, NULL, 1, 0);
    bytes all = take(&s);
    const ecg_exec x = {ecg_kernels_pick(NULL), NULL};
    ecg_encoder_work *w = ecg_encoder_work_new(s.e, 1, 3, true);
    static const int depths[] = {0, 1, 2, 3, -1, 0};
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
        for (int want_dx = 0; want_dx < 2; want_dx++) {
            ecg_encoder_freeze(s.e, &s.table, depths[d]);
            ecg_params_zero_grad(&s.table);
            memset(s.dx, 0, all.nx * sizeof(float));
            ecg_encoder_forward(s.h, NULL, s.e, &s.table, w, &x, s.x, s.B, NULL);
            ecg_encoder_backward(want_dx ? s.dx : NULL, s.e, &s.table, w, &x, s.dh, s.dseq, s.x, s.B, NULL);
            for (int r = 0; r < s.table.n; r++) {
                const ecg_param *p = &s.table.row[r];
                if (p->flags & ECG_P_BUFFER)
                    continue;
                assert_true(!(p->flags & ECG_P_FROZEN) == !frozen_by(p->name, depths[d]));
                for (size_t k = 0; k < p->count; k++)
                    assert_true(ecg_grad(&s.table, r)[k] == (frozen_by(p->name, depths[d]) ? 0 : all.grad[p->at + k]));
            }
            if (want_dx)
                assert_memory_equal(s.dx, all.dx, all.nx * sizeof(float));
        }
    ecg_encoder_work_free(w);
    give(&all);
    close_setting(&s);
}

static void missing_samples_are_read_as_zero(void **state)
{
    (void)state;
    setting s;
    open_setting(&s, (ecg_encoder_config){12, 16, 2, 8, 30, true, 0}, 2);
    const size_t nx = 2 * 30 * 12;
    for (size_t i = 0; i < nx; i += 5)
        s.x[i] = 0;
    forward_backward(&s, NULL, 1, 0);
    bytes zero = take(&s);
    for (size_t i = 0; i < nx; i += 5)
        s.x[i] = NAN, zero.dx[i] = 0;
    forward_backward(&s, NULL, 1, 0);
    same(&zero, &s);
    give(&zero);
    close_setting(&s);
}

static void start_depends_on_the_seed_alone(void **state)
{
    (void)state;
    setting a, b;
    open_setting(&a, (ecg_encoder_config){12, 16, 2, 8, 30, true, 0}, 1);
    open_setting(&b, (ecg_encoder_config){12, 16, 2, 8, 30, true, 0}, 1);
    assert_memory_equal(a.table.value, b.table.value, a.table.floats * sizeof(float));
    ecg_encoder_init(b.e, &b.table, 6);
    for (int r = 0; r < a.table.n; r++) {
        const ecg_param *p = &a.table.row[r];
        const bool drawn = strstr(p->name, ".C") || strstr(p->name, "log_dt");
        const bool equal = memcmp(ecg_value(&a.table, r), ecg_value(&b.table, r), p->count * sizeof(float)) == 0;
        assert_true(equal == !drawn);
        if (strstr(p->name, "log_dt"))
            for (size_t k = 0; k < p->count; k++)
                assert_true(ecg_value(&a.table, r)[k] > -6.9078f && ecg_value(&a.table, r)[k] < -2.3025f);
    }
    close_setting(&a);
    close_setting(&b);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const ecg_encoder_config bad[] = {
        {0, 8, 1, 8, 10, true, 0}, {12, 0, 1, 8, 10, true, 0},  {12, 8, 0, 8, 10, true, 0}, {12, 8, 1, 7, 10, true, 0},
        {12, 8, 1, 0, 10, true, 0}, {12, 8, 1, 8, 0, true, 0}, {12, 8, 1, 8, 10, true, 1},  {12, 8, 1, 8, 10, true, NAN},
        {12, 1 << 30, 1, 8, 10, true, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ecg_params t = {0};
        ecg_encoder *e = NULL;
        assert_int_equal(ecg_encoder_new(&e, &bad[i], &t, "", NULL), ECG_EARG);
        assert_null(e);
        ecg_params_clear(&t);
    }
    setting s;
    ecg_err err = {0};
    open_setting(&s, (ecg_encoder_config){12, 4, 2, 4, 10, true, 0}, 1);
    ecg_value(&s.table, ecg_params_find(&s.table, "ecg.s4_layers.1.kernel.kernel.P"))[3] = INFINITY;
    assert_int_equal(ecg_encoder_prepare(s.e, &s.table, &err), ECG_EDATA);
    assert_string_equal(err.msg, "ecg.s4_layers.1.kernel.kernel.P: value 3 is not finite");
    close_setting(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_difference_quotients),
        cmocka_unit_test(threads_and_memory_change_no_byte),
        cmocka_unit_test(nor_do_they_in_large_products),
        cmocka_unit_test(bf16_is_as_close_as_its_rounding),
        cmocka_unit_test(samples_do_not_couple),
        cmocka_unit_test(frozen_blocks_get_no_gradient),
        cmocka_unit_test(missing_samples_are_read_as_zero),
        cmocka_unit_test(start_depends_on_the_seed_alone),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
