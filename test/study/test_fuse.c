/* SPDX-License-Identifier: MIT
 * The fused path and the pulls against central differences of the same functions written down in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "study/fuse.h"
#include "study/pull.h"
#include "study/score.h"
#include "tiny_cohort.h"

static const tiny usual = {.patients = 60, .per_patient = 2, .samples = 200, .seed = 1};
enum { B = 6, K = TINY_DIAGNOSES };

/* A fused model without dropout whose parameters are all at work, running statistics included. */
static void make_model(ecg_model *m, const ecg_cohort *c, const ecg_loader *l, const char *group, int hidden)
{
    ecg_err err = {0};
    *m = (ecg_model){.has_tabular = true};
    assert_int_equal(ecg_contract_copy(&m->contract, &c->contract, NULL), ECG_OK);
    m->contract.crop = l->crop;
    snprintf(m->group, sizeof m->group, "%s", group);
    m->shape = (ecg_encoder_config){.leads = 12, .width = 6, .blocks = 1, .state = 4, .length = l->crop, .bidirectional = true};
    m->median = malloc(TINY_COLUMNS * sizeof *m->median);
    assert_int_equal(ecg_loader_medians(m->median, l, NULL, NULL), ECG_OK);
    m->tab = (ecg_tabular_config){.hidden1 = 5, .hidden2 = 4, .out = 3};
    for (int j = 0; j < TINY_COLUMNS; j++)
        if (!ecg_column_in(&c->contract.column[j], group))
            continue;
        else if (c->contract.column[j].categorical) {
            m->tab.vocabulary[m->tab.categorical] = c->contract.column[j].vocabulary;
            m->tab.embedding[m->tab.categorical++] = 3;
        } else
            m->tab.continuous++;
    m->heads = 1;
    m->head[0] = (ecg_head){.set = "diagnoses", .prefix = ECG_HEAD_FUSION, .hidden = hidden};
    if (ecg_model_build(m, true, &err))
        fail_msg("%s", err.msg);
    ecg_params_init(&m->table, 3);
    ecg_encoder_init(m->encoder, &m->table, 3);
    assert_int_equal(ecg_encoder_prepare(m->encoder, &m->table, NULL), ECG_OK);
    ecg_model_use(m, &(ecg_exec){ecg_kernels_ref(), NULL});
}

/* ---- the same in double ------------------------------------------------------------------------------------------------- */

static const double *values; /* of the whole table, in double */
static const ecg_params *names;

static const double *value(const char *prefix, int index, const char *what)
{
    char name[96];
    if (index < 0)
        snprintf(name, sizeof name, "%s%s", prefix, what);
    else
        snprintf(name, sizeof name, "%s%d.%s", prefix, index, what);
    const int row = ecg_params_find(names, name);
    if (row < 0)
        fail_msg("no %s", name);
    return values + names->row[row].at;
}

static void linear(double *y, const double *x, const char *prefix, int index, int in, int out)
{
    const double *w = value(prefix, index, "weight"), *b = value(prefix, index, "bias");
    for (int r = 0; r < B; r++)
        for (int o = 0; o < out; o++) {
            double sum = b[o];
            for (int i = 0; i < in; i++)
                sum += w[o * in + i] * x[r * in + i];
            y[r * out + o] = sum;
        }
}

static void norm(double *x, const char *prefix, int index, int n)
{
    const double *w = value(prefix, index, "weight"), *b = value(prefix, index, "bias");
    for (int i = 0; i < n; i++) {
        double mean = 0, var = 0;
        for (int r = 0; r < B; r++)
            mean += x[r * n + i] / B;
        for (int r = 0; r < B; r++)
            var += (x[r * n + i] - mean) * (x[r * n + i] - mean) / B;
        for (int r = 0; r < B; r++)
            x[r * n + i] = (x[r * n + i] - mean) / sqrt(var + 1e-5) * w[i] + b[i];
    }
}

static void relu(double *x, int n)
{
    for (int i = 0; i < B * n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

/* Loss of the fused path from h (B, H) on. */
static double loss_in_double(const ecg_model *m, const double *h, const float *continuous, const int32_t *category, const float *y)
{
    const ecg_tabular_config *t = &m->tab;
    const int H = m->shape.width, T = t->out, hidden = m->head[0].hidden;
    double x[B * 64], a[B * 64], b[B * 64], logit[B * K];
    int in = 0;
    for (int k = 0; k < t->categorical; k++)
        in += t->embedding[k];
    in += t->continuous;
    for (int r = 0; r < B; r++) {
        int at = 0;
        for (int k = 0; k < t->categorical; k++)
            for (int e = 0; e < t->embedding[k]; e++) {
                char name[40];
                snprintf(name, sizeof name, "embeddings.%d.weight", k);
                x[r * in + at++] = value("tab.", -1, name)[category[r * t->categorical + k] * t->embedding[k] + e];
            }
        for (int k = 0; k < t->continuous; k++)
            x[r * in + at++] = (double)continuous[r * t->continuous + k];
    }
    norm(x, "tab.layers.", 0, in);
    linear(a, x, "tab.layers.", 1, in, t->hidden1);
    relu(a, t->hidden1);
    norm(a, "tab.layers.", 3, t->hidden1);
    linear(b, a, "tab.layers.", 4, t->hidden1, t->hidden2);
    relu(b, t->hidden2);
    norm(b, "tab.layers.", 6, t->hidden2);
    linear(a, b, "tab.layers.", 7, t->hidden2, T);
    for (int r = 0; r < B; r++)
        for (int i = 0; i < H + T; i++)
            x[r * (H + T) + i] = i < H ? h[r * H + i] : a[r * T + i - H];
    if (hidden) {
        norm(x, "fusion.", 0, H + T);
        linear(a, x, "fusion.", 1, H + T, hidden);
        relu(a, hidden);
        norm(a, "fusion.", 3, hidden);
        linear(logit, a, "fusion.", 4, hidden, K);
    } else {
        linear(logit, x, "fusion.", -1, H + T, K);
    }
    double sum = 0;
    int known = 0;
    for (int i = 0; i < B * K; i++)
        if (!isnan(y[i])) {
            sum += fmax(logit[i], 0) + log1p(exp(-fabs(logit[i]))) - (double)y[i] * logit[i];
            known++;
        }
    return sum / known;
}

static void close_to(double got, double want, double scale, const char *what, size_t i)
{
    if (fabs(got - want) > 2e-5 * scale + 1e-4 * fabs(want))
        fail_msg("%s, value %zu: %.9g, by differences %.9g", what, i, got, want);
}

static void gradients_of_the_fused_path(void **state)
{
    (void)state;
    static const struct { const char *group; int hidden; } cases[] = {{"all", 0}, {"all", 5}, {"routine", 5}, {"lab", 0}};
    ecg_cohort c;
    ecg_loader l;
    tiny_open(&c, "usual.cohort", &usual);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 50, 42, NULL), ECG_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_model m;
        ecg_fuse f;
        make_model(&m, &c, &l, cases[i].group, cases[i].hidden);
        const ecg_exec exec = {ecg_kernels_ref(), NULL};
        assert_int_equal(ecg_fuse_open(&f, &m, &l, B, true, NULL), ECG_OK);
        const int H = m.shape.width, W = ecg_fuse_width(&f);
        assert_int_equal(W, H + 3);
        const uint32_t row[B] = {3, 10, 17, 29, 41, 55};
        float h[B * 6], dh[B * 6], dread[B * 9], logit[B * K], dlogit[B * K], y[B * K];
        ecg_rng g;
        ecg_rng_open(&g, 9, 0, 301, (uint32_t)i, 0);
        for (int k = 0; k < B * H; k++)
            h[k] = (float)ecg_rng_normal(&g);
        for (int k = 0; k < B * K; k++)
            y[k] = k % 7 == 0 ? NAN : (float)(ecg_rng_uniform(&g) > 0.5);
        ecg_mlp_work *w = ecg_mlp_work_new(m.head[0].net, B, true);
        ecg_params_zero_grad(&m.table);
        const float *read = ecg_fuse_forward(&f, &m, &exec, h, row, B, true, NULL);
        ecg_mlp_forward(logit, m.head[0].net, &m.table, w, &exec, read, B, true, NULL);
        const double loss = ecg_bce_loss(dlogit, logit, y, B, K, 0, ECG_BCE_MEAN);
        ecg_mlp_backward(dread, m.head[0].net, &m.table, w, &exec, dlogit, read, B);
        ecg_fuse_backward(dh, &f, &m, &exec, dread, B);

        double *v = malloc(m.table.floats * sizeof *v), hd[B * 6];
        for (size_t k = 0; k < m.table.floats; k++)
            v[k] = (double)m.table.value[k];
        for (int k = 0; k < B * H; k++)
            hd[k] = (double)h[k];
        values = v;
        names = &m.table;
        assert_true(fabs(loss_in_double(&m, hd, f.continuous, f.category, y) - loss) < 1e-5);
        int checked = 0;
        for (int r = 0; r < m.table.n; r++) {
            const ecg_param *p = &m.table.row[r];
            if (strncmp(p->name, "ecg.", 4) == 0 || p->flags & ECG_P_BUFFER)
                continue;
            for (size_t k = 0; k < p->count; k++, checked++) {
                const double was = v[p->at + k], eps = 1e-5;
                v[p->at + k] = was + eps;
                const double up = loss_in_double(&m, hd, f.continuous, f.category, y);
                v[p->at + k] = was - eps;
                const double down = loss_in_double(&m, hd, f.continuous, f.category, y);
                v[p->at + k] = was;
                close_to((double)ecg_grad(&m.table, r)[k], (up - down) / (2 * eps), 1, p->name, k);
            }
        }
        assert_true(checked > 60);
        for (int k = 0; k < B * H; k++) {
            const double was = hd[k], eps = 1e-5;
            hd[k] = was + eps;
            const double up = loss_in_double(&m, hd, f.continuous, f.category, y);
            hd[k] = was - eps;
            const double down = loss_in_double(&m, hd, f.continuous, f.category, y);
            hd[k] = was;
            close_to((double)dh[k], (up - down) / (2 * eps), 1, "dh", (size_t)k);
        }
        free(v);
        ecg_mlp_work_free(w);
        ecg_fuse_close(&f);
        ecg_model_clear(&m);
    }
    ecg_loader_close(&l);
    ecg_cohort_close(&c);
}

/* Every crop of a record is scored with its own row: chunked scores are those of a record alone. */
static void a_record_is_scored_with_its_own_row(void **state)
{
    (void)state;
    ecg_cohort c;
    ecg_loader l;
    ecg_model m;
    ecg_fuse f;
    tiny_open(&c, "usual.cohort", &usual);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 50, 42, NULL), ECG_OK);
    make_model(&m, &c, &l, "all", 5);
    const ecg_exec exec = {ecg_kernels_ref(), NULL};
    float *all = malloc((size_t)l.role[ECG_TRAIN].n * K * sizeof *all), *const prob[2] = {all, NULL};
    assert_int_equal(ecg_score_rows(prob, &m, &l, &l.role[ECG_TRAIN], &exec, NULL, NULL, NULL), ECG_OK);
    assert_int_equal(ecg_fuse_open(&f, &m, &l, 4, false, NULL), ECG_OK);
    ecg_encoder_work *ew = ecg_encoder_work_new(m.encoder, 1, 0, false);
    ecg_mlp_work *hw = ecg_mlp_work_new(m.head[0].net, 4, false);
    for (int64_t i = 0; i < l.role[ECG_TRAIN].n; i++) {
        const uint32_t who = l.role[ECG_TRAIN].row[i], row[4] = {who, who, who, who};
        const int start[4] = {0, 50, 100, 150};
        float x[4 * 50 * 12], h[4 * 6], logit[4 * K];
        ecg_loader_signals(x, &l, NULL, row, start, 4);
        ecg_encoder_forward(h, NULL, m.encoder, &m.table, ew, &exec, x, 4, NULL);
        const float *read = ecg_fuse_forward(&f, &m, &exec, h, row, 4, false, NULL);
        for (int b = 1; b < 4; b++) /* the table is the visit's, whatever the crop */
            assert_memory_equal(read + b * 9 + 6, read + 6, 3 * sizeof(float));
        ecg_mlp_forward(logit, m.head[0].net, &m.table, hw, &exec, read, 4, false, NULL);
        for (int k = 0; k < K; k++) {
            double p = 0;
            for (int b = 0; b < 4; b++)
                p += 1 / (1 + exp(-(double)logit[b * K + k])) / 4;
            assert_true(fabs(p - (double)all[i * K + k]) < 1e-6);
        }
    }
    ecg_mlp_work_free(hw);
    ecg_encoder_work_free(ew);
    ecg_fuse_close(&f);
    free(all);
    ecg_model_clear(&m);
    ecg_loader_close(&l);
    ecg_cohort_close(&c);
}

/* ---- pulls -------------------------------------------------------------------------------------------------------------- */

static void gradients_of_the_pulls(void **state)
{
    (void)state;
    enum { N = 12 };
    static const ecg_bce_reduce reduce[] = {ECG_BCE_MEAN, ECG_BCE_SUM_CLASSES, ECG_BCE_CLASS_MEAN};
    float a[N], b[N], p[N], da[N];
    ecg_rng g;
    ecg_rng_open(&g, 5, 0, 302, 0, 0);
    for (int i = 0; i < N; i++) {
        a[i] = (float)(3 * ecg_rng_normal(&g));
        b[i] = (float)ecg_rng_normal(&g);
        p[i] = i == 0 ? 0 : i == 1 ? 1 : (float)ecg_rng_uniform(&g);
        da[i] = 100; /* added to, not overwritten */
    }
    const double pull = ecg_pull_to(da, a, b, N, 0.7);
    double want = 0;
    for (int i = 0; i < N; i++) {
        want += 0.7 * ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]) / N;
        assert_true(fabs((double)da[i] - 100 - 0.7 * 2 * ((double)a[i] - (double)b[i]) / N) < 2e-5);
    }
    assert_true(fabs(pull - want) < 1e-12);
    for (size_t r = 0; r < 3; r++) { /* 4 records of 3 labels */
        const double scale = 0.3 / (reduce[r] == ECG_BCE_SUM_CLASSES ? 4 : 12), eps = 1e-5;
        float dx[N] = {0};
        const double soft = ecg_pull_soft(dx, a, p, 4, 3, reduce[r], 0.3);
        double sum = 0;
        for (int i = 0; i < N; i++) {
            const double x = (double)a[i], q = (double)p[i];
            sum += scale * (log1p(exp(x)) - q * x);
            const double up = log1p(exp(x + eps)) - q * (x + eps), down = log1p(exp(x - eps)) - q * (x - eps);
            close_to((double)dx[i], scale * (up - down) / (2 * eps), 0.1, "soft targets", (size_t)i);
        }
        assert_true(fabs(soft - sum) < 1e-9);
    }
    float hard[N], dx[N] = {0}, want_dx[N]; /* probabilities of 0 and 1 are labels */
    for (int i = 0; i < N; i++)
        hard[i] = (float)(i % 2);
    const double as_labels = ecg_bce_loss(want_dx, a, hard, 4, 3, 0, ECG_BCE_SUM_CLASSES);
    assert_true(fabs(ecg_pull_soft(dx, a, hard, 4, 3, ECG_BCE_SUM_CLASSES, 1) - as_labels) < 1e-9);
    for (int i = 0; i < N; i++)
        assert_true(fabs((double)dx[i] - (double)want_dx[i]) < 1e-6);
}

static void weights_are_pulled_back_where_they_train(void **state)
{
    (void)state;
    static const struct { const char *name; unsigned flags; } rows[] = {
        {"ecg.a", 0}, {"ecg.frozen", ECG_P_FROZEN}, {"ecg.state", ECG_P_BUFFER}, {"ecg.b", 0}, {"head.c", 0}};
    ecg_params t = {0}, origin = {0};
    const int64_t three = 3;
    for (int i = 0; i < 5; i++)
        assert_true(ecg_params_declare(&t, "", rows[i].name, 1, &three, rows[i].flags, ECG_INIT_ZERO, 0) >= 0);
    for (int i = 4; i >= 0; i--) /* another order: names count */
        assert_true(ecg_params_declare(&origin, "", rows[i].name, 1, &three, 0, ECG_INIT_ZERO, 0) >= 0);
    assert_int_equal(ecg_params_alloc(&t, true, NULL), ECG_OK);
    assert_int_equal(ecg_params_alloc(&origin, false, NULL), ECG_OK);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++) {
            ecg_value(&t, i)[k] = (float)(i + 0.5 * k);
            ecg_value(&origin, 4 - i)[k] = (float)(0.25 * i);
        }
    double want = 0;
    for (int i = 0; i < 5; i += 3)
        for (int k = 0; k < 3; k++)
            want += 0.5 * 0.2 * pow(i + 0.5 * k - 0.25 * i, 2);
    assert_true(fabs(ecg_pull_weights(&t, &origin, "ecg.", 0.2) - want) < 1e-9);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++)
            assert_true(fabs((double)ecg_grad(&t, i)[k] - (i % 3 || i == 4 ? 0 : 0.2 * (i + 0.5 * k - 0.25 * i))) < 1e-6);
    ecg_params_clear(&t);
    ecg_params_clear(&origin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_the_fused_path),
        cmocka_unit_test(a_record_is_scored_with_its_own_row),
        cmocka_unit_test(gradients_of_the_pulls),
        cmocka_unit_test(weights_are_pulled_back_where_they_train),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
