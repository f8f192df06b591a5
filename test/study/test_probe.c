/* SPDX-License-Identifier: MIT
 * test_probe.c: embeddings against the encoder itself, probes against embeddings that were made up so that the answer is known. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "stat/ridge.h"
#include "study/embed.h"
#include "study/probe.h"
#include "tiny_cohort.h"

static ecg_config settings(void)
{
    ecg_config c;
    ecg_err err = {0};
    static const char *const all[] = {"encoder.width=6", "encoder.blocks=2", "encoder.length=50"};
    if (ecg_config_preset(&c, "small", &err))
        fail_msg("%s", err.msg);
    for (int i = 0; i < 3; i++)
        if (ecg_config_assign(&c, all[i], &err))
            fail_msg("%s", err.msg);
    return c;
}

typedef struct {
    ecg_cohort cohort;
    ecg_loader loader;
    ecg_model model;
    ecg_exec exec;
} bench;

static void bench_open(bench *b, const char *name, const tiny *t, int threads)
{
    ecg_err err = {0};
    const ecg_config c = settings();
    b->exec = (ecg_exec){.k = ecg_kernels_pick(NULL), .pool = ecg_pool_new(threads)};
    tiny_open(&b->cohort, name, t);
    if (ecg_loader_open(&b->loader, &b->cohort, NULL, 50, 42, &err) || ecg_untrained(&b->model, &b->cohort, &c, &b->exec, &err))
        fail_msg("%s", err.msg);
}

static void bench_close(bench *b)
{
    ecg_model_clear(&b->model);
    ecg_loader_close(&b->loader);
    ecg_cohort_close(&b->cohort);
    ecg_pool_free(b->exec.pool);
}

static const tiny usual = {.patients = 240, .per_patient = 2, .samples = 200, .seed = 3};

/* ---- embeddings ----------------------------------------------------------------------------------------------------------- */

static void an_embedding_is_the_mean_over_the_crops(void **state)
{
    (void)state;
    static const tiny some = {.patients = 30, .per_patient = 3, .samples = 230, .short_records = true, .seed = 4};
    bench b;
    bench_open(&b, "short.cohort", &some, 2);
    const int H = b.model.shape.width;
    const ecg_rows *rows = &b.loader.role[ECG_TRAIN];
    float *h = malloc((size_t)rows->n * (size_t)H * sizeof *h), x[50 * 12], one[6];
    ecg_encoder_work *work = ecg_encoder_work_new(b.model.encoder, 2, 0, false);
    assert_int_equal(ecg_embed_rows(h, &b.model, &b.loader, rows, &b.exec, NULL, NULL, NULL), ECG_OK);
    int lengths[5] = {0};
    for (int64_t i = 0; i < rows->n; i++) {
        double mean[6] = {0};
        const int crops = ecg_loader_crops(&b.loader, rows->row[i]);
        lengths[crops]++;
        for (int j = 0; j < crops; j++) {
            const int start = 50 * j;
            ecg_loader_signals(x, &b.loader, b.exec.pool, &rows->row[i], &start, 1);
            ecg_encoder_forward(one, NULL, b.model.encoder, &b.model.table, work, &b.exec, x, 1, NULL);
            for (int a = 0; a < H; a++)
                mean[a] += (double)one[a] / crops;
        }
        for (int a = 0; a < H; a++)
            assert_true(fabs(mean[a] - (double)h[i * H + a]) < 1e-6);
    }
    assert_true(lengths[2] > 0 && lengths[4] > 0); /* records of both lengths were among them */
    ecg_encoder_work_free(work);
    free(h);
    bench_close(&b);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    float *h[2];
    for (int k = 0; k < 2; k++) {
        bench b;
        bench_open(&b, "usual.cohort", &usual, k ? 3 : 1);
        const ecg_rows *rows = &b.loader.role[ECG_TEST];
        h[k] = calloc((size_t)rows->n * 6, sizeof *h[k]);
        assert_int_equal(ecg_embed_rows(h[k], &b.model, &b.loader, rows, &b.exec, NULL, NULL, NULL), ECG_OK);
        if (k)
            assert_memory_equal(h[0], h[1], (size_t)rows->n * 6 * sizeof *h[k]);
        bench_close(&b);
    }
    free(h[0]);
    free(h[1]);
}

static void an_untrained_encoder_depends_on_its_seed(void **state)
{
    (void)state;
    bench b;
    ecg_model other;
    ecg_config c = settings();
    bench_open(&b, "usual.cohort", &usual, 1);
    assert_int_equal(ecg_untrained(&other, &b.cohort, &c, &b.exec, NULL), ECG_OK);
    assert_memory_equal(other.table.value, b.model.table.value, b.model.table.floats * sizeof(float));
    ecg_model_clear(&other);
    c.train.seed++;
    assert_int_equal(ecg_untrained(&other, &b.cohort, &c, &b.exec, NULL), ECG_OK);
    assert_true(memcmp(other.table.value, b.model.table.value, b.model.table.floats * sizeof(float)) != 0);
    ecg_model_clear(&other);
    bench_close(&b);
}

/* ---- probes on made-up embeddings ----------------------------------------------------------------------------------------- */

/* h = (the patient's hidden number, noise, noise ...): the cohort's values are made of the first. */
static void make_up(ecg_probe *p)
{
    for (int part = 0; part < ECG_PROBE_PARTS; part++)
        for (int64_t i = 0; i < p->rows[part].n; i++)
            for (int a = 0; a < p->width; a++) {
                const uint32_t row = p->rows[part].row[i];
                ecg_rng g;
                ecg_rng_open(&g, usual.seed, 0, a ? 301 : 300, a ? row : row % (uint32_t)usual.patients, (uint32_t)a);
                p->h[part][i * p->width + a] = ecg_rng_normal(&g);
            }
}

static void open_made_up(bench *b, ecg_probe *p, int64_t most)
{
    ecg_err err = {0};
    bench_open(b, "usual.cohort", &usual, 2);
    if (ecg_probe_open(p, &b->model, &b->loader, most, 42, &b->exec, NULL, &err))
        fail_msg("%s", err.msg);
    make_up(p);
}

/* R2 on the test rows of a ridge that is fitted here, column by column. */
static double r_squared(const ecg_probe *p, int column, double penalty)
{
    const ecg_cohort *c = p->loader->cohort;
    double clip[2], *sorted = malloc((size_t)p->rows[0].n * sizeof *sorted), *k = malloc(((size_t)p->width + 1) * sizeof *k), sum[4] = {0};
    int64_t n = 0;
    ecg_ridge *r = ecg_ridge_new(p->width, 1);
    for (int64_t i = 0; i < p->rows[0].n; i++)
        sorted[i] = (double)c->tabular[p->rows[0].row[i] * TINY_COLUMNS + (uint32_t)column];
    clip[0] = ecg_percentile(sorted, p->rows[0].n, 0.01);
    clip[1] = ecg_percentile(sorted, p->rows[0].n, 0.99);
    for (int part = 0; part < ECG_PROBE_PARTS; part += ECG_PROBE_TEST) {
        for (int64_t i = 0; i < p->rows[part].n; i++) {
            const double raw = (double)c->tabular[p->rows[part].row[i] * TINY_COLUMNS + (uint32_t)column], y = fmin(fmax(raw, clip[0]), clip[1]);
            const double *h = p->h[part] + i * p->width;
            if (isnan(raw))
                continue;
            if (part == ECG_PROBE_TRAIN) {
                ecg_ridge_add(r, h, &y);
                continue;
            }
            const double left = y - ecg_ridge_at(k, h, p->width);
            sum[0] += y;
            sum[1] += y * y;
            sum[2] += left * left;
            n++;
        }
        if (part == ECG_PROBE_TRAIN)
            assert_int_equal(ecg_ridge_solve(k, r, penalty), 0);
    }
    ecg_ridge_free(r);
    free(sorted);
    free(k);
    return 1 - sum[2] / (sum[1] - sum[0] * sum[0] / (double)n);
}

static void columns_are_read_off(void **state)
{
    (void)state;
    bench b;
    ecg_probe p;
    ecg_probe_table t;
    open_made_up(&b, &p, 0);
    assert_int_equal(ecg_probe_tabular(&t, &p, &b.exec, NULL, NULL), ECG_OK);
    assert_int_equal(t.all.columns, 2); /* never_measured and the categorical one are left out */
    assert_int_equal(t.routine.columns, 1);
    assert_int_equal(t.lab.columns, 1);
    assert_int_equal(t.column[0].column, 0);
    assert_int_equal(t.column[1].column, 1);
    assert_int_equal(t.column[0].training, p.rows[ECG_PROBE_TRAIN].n);
    assert_true(t.column[1].training < t.column[0].training); /* every fifth value is missing */
    for (int i = 0; i < 2; i++)
        assert_true(fabs(t.column[i].r2_test - r_squared(&p, i, t.column[i].penalty)) < 1e-9);
    assert_true(t.column[0].r2_test > 0.8 && t.column[0].r2_test < 0.97); /* 10 hidden + 3 noise: 100 / 109 */
    assert_true(t.column[1].r2_test > 0.97);                               /* 1000 hidden, but for the clipping */
    assert_true(fabs(t.all.r2_test - (t.routine.r2_test + t.lab.r2_test) / 2) < 1e-12);
    ecg_probe_table_clear(&t);
    ecg_probe_close(&p);
    bench_close(&b);
}

static void noise_has_nothing_to_read(void **state)
{
    (void)state;
    bench b;
    ecg_probe p;
    ecg_probe_table t;
    open_made_up(&b, &p, 0);
    for (int part = 0; part < ECG_PROBE_PARTS; part++)
        for (int64_t i = 0; i < p.rows[part].n; i++)
            p.h[part][i * p.width] = 5; /* the one that said something is constant */
    assert_int_equal(ecg_probe_tabular(&t, &p, &b.exec, NULL, NULL), ECG_OK);
    assert_true(t.all.r2_test < 0.05 && t.all.r2_validation < 0.05);
    ecg_probe_table_clear(&t);
    ecg_probe_close(&p);
    bench_close(&b);
}

static double macro(const ecg_probe *p, const double *score, const char *set, int K)
{
    const ecg_label_table *table;
    const int8_t *label = ecg_cohort_labels(p->loader->cohort, set, &table);
    double sum = 0;
    int defined = 0;
    const int64_t n = p->rows[ECG_PROBE_TEST].n;
    for (int k = 0; k < K; k++) {
        double wins = 0, pairs = 0;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++)
                if (label[p->rows[ECG_PROBE_TEST].row[i] * (uint32_t)K + (uint32_t)k] == 1 && label[p->rows[ECG_PROBE_TEST].row[j] * (uint32_t)K + (uint32_t)k] == 0) {
                    wins += score[i * K + k] > score[j * K + k];
                    pairs++;
                }
        sum += wins / pairs;
        defined++;
    }
    return sum / defined;
}

static void labels_are_read_off(void **state)
{
    (void)state;
    bench b;
    ecg_probe p;
    int64_t used;
    open_made_up(&b, &p, 0);
    double *all = malloc((size_t)p.rows[ECG_PROBE_TEST].n * TINY_DIAGNOSES * sizeof *all), *few = malloc((size_t)p.rows[ECG_PROBE_TEST].n * TINY_DIAGNOSES * sizeof *few);
    assert_int_equal(ecg_probe_labels(all, &used, &p, "diagnoses", 0, 42, 0, &b.exec, NULL, NULL), ECG_OK);
    assert_int_equal(used, p.rows[ECG_PROBE_TRAIN].n);
    assert_true(macro(&p, all, "diagnoses", TINY_DIAGNOSES) > 0.9);
    assert_int_equal(ecg_probe_labels(few, &used, &p, "diagnoses", 20, 42, 0, &b.exec, NULL, NULL), ECG_OK);
    assert_int_equal(used, 40); /* two records of each */
    assert_true(macro(&p, few, "diagnoses", TINY_DIAGNOSES) > 0.7);
    double *again = malloc((size_t)p.rows[ECG_PROBE_TEST].n * TINY_DIAGNOSES * sizeof *again);
    assert_int_equal(ecg_probe_labels(again, &used, &p, "diagnoses", 20, 42, 0, &b.exec, NULL, NULL), ECG_OK);
    assert_memory_equal(few, again, (size_t)p.rows[ECG_PROBE_TEST].n * TINY_DIAGNOSES * sizeof *few);
    assert_int_equal(ecg_probe_labels(again, &used, &p, "diagnoses", 20, 42, 1, &b.exec, NULL, NULL), ECG_OK);
    assert_true(memcmp(few, again, (size_t)p.rows[ECG_PROBE_TEST].n * TINY_DIAGNOSES * sizeof *few) != 0); /* another draw */
    assert_int_equal(ecg_probe_labels(again, &used, &p, "diagnoses", 1, 42, 0, &b.exec, NULL, NULL), ECG_OK);
    int undefined = 0;
    for (int k = 0; k < TINY_DIAGNOSES; k++)
        undefined += isnan(again[k]);
    assert_true(undefined > 0); /* two records of one patient: some label has one class alone */
    assert_int_equal(ecg_probe_labels(again, &used, &p, "nothing", 0, 42, 0, &b.exec, NULL, NULL), ECG_EDATA);
    free(all);
    free(few);
    free(again);
    ecg_probe_close(&p);
    bench_close(&b);
}

static void at_most_so_many_training_rows(void **state)
{
    (void)state;
    bench b;
    ecg_probe p;
    open_made_up(&b, &p, 100);
    assert_int_equal(p.rows[ECG_PROBE_TRAIN].n, 100);
    assert_int_equal(p.rows[ECG_PROBE_TEST].n, b.loader.role[ECG_TEST].n);
    for (int64_t i = 1; i < 100; i++)
        assert_true(p.rows[ECG_PROBE_TRAIN].row[i] > p.rows[ECG_PROBE_TRAIN].row[i - 1]);
    ecg_probe_close(&p);
    bench_close(&b);
}

static void stopped(void **state)
{
    (void)state;
    bench b;
    ecg_probe p;
    volatile sig_atomic_t stop = 1;
    const ecg_watch watch = {.stop = &stop};
    bench_open(&b, "usual.cohort", &usual, 1);
    assert_int_equal(ecg_probe_open(&p, &b.model, &b.loader, 0, 42, &b.exec, &watch, NULL), ECG_EINTR);
    bench_close(&b);
}

static void no_columns(void **state)
{
    (void)state;
    static const tiny bare = {.patients = 60, .per_patient = 1, .samples = 100, .no_columns = true, .seed = 5};
    bench b;
    ecg_probe p;
    ecg_probe_table t;
    ecg_err err = {0};
    bench_open(&b, "bare.cohort", &bare, 1);
    assert_int_equal(ecg_probe_open(&p, &b.model, &b.loader, 0, 42, &b.exec, NULL, &err), ECG_OK);
    assert_int_equal(ecg_probe_tabular(&t, &p, &b.exec, NULL, &err), ECG_EDATA);
    ecg_probe_close(&p);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_embedding_is_the_mean_over_the_crops),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(an_untrained_encoder_depends_on_its_seed),
        cmocka_unit_test(columns_are_read_off),
        cmocka_unit_test(noise_has_nothing_to_read),
        cmocka_unit_test(labels_are_read_off),
        cmocka_unit_test(at_most_so_many_training_rows),
        cmocka_unit_test(stopped),
        cmocka_unit_test(no_columns),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
