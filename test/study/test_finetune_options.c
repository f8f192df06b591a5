/* SPDX-License-Identifier: MIT
 * What fine-tuning may do besides: keep a running mean of the weights, judge only some epochs, begin the head as a ridge regression. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stat/ridge.h"
#include "study/embed.h"
#include "study/finetune.h"
#include "tiny_runs.h"

#define SETTINGS                                                                                                                              \
    "encoder.width=8;encoder.blocks=2;encoder.state=4;encoder.length=50;finetune.batch=32;finetune.epochs=6;finetune.updates=0;"              \
    "finetune.head_hidden=0;finetune.head_start=random;finetune.judge_every=1;finetune.schedule=const;finetune.lr_head=0.01;"                 \
    "finetune.lr_encoder=0.003;finetune.lr_scratch=0;finetune.average=0;labs.batch=32;labs.epochs=1;labs.updates=0;labs.head_hidden=0;"       \
    "labs.lr_head=0;labs.lr_encoder=0;labs.lr_scratch=0"

static ecg_status of_diagnoses(const ecg_study *s, ecg_err *err)
{
    return ecg_finetune(s, false, err);
}

static ecg_status of_labs(const ecg_study *s, ecg_err *err)
{
    return ecg_finetune(s, true, err);
}

static void must(const tiny_run *a, ecg_status (*stage)(const ecg_study *, ecg_err *))
{
    ecg_err err = {0};
    if (tiny_try(a, SETTINGS, stage, &err))
        fail_msg("%s: %s", a->run, err.msg);
}

/* A tensor of a run's model or checkpoint, copied: (n) floats. */
static float *values(int64_t *n, const char *run, const char *file, const char *name)
{
    char path[256], at[128];
    ecg_tensors *t;
    snprintf(at, sizeof at, "%s/%s.safetensors", run, file);
    assert_int_equal(ecg_tensors_open(&t, tiny_path(path, at), NULL), ECG_OK);
    const ecg_tensor *x = ecg_tensors_find(t, name);
    if (!x)
        fail_msg("%s: no tensor %s", at, name);
    float *v = malloc(x->bytes);
    memcpy(v, x->data, x->bytes);
    *n = (int64_t)(x->bytes / sizeof *v);
    ecg_tensors_close(t);
    return v;
}

/* ---- the mean of the weights -------------------------------------------------------------------------------------------- */

/* One step: mean = w0 + (1 - 1/10) (w1 - w0), as (step + 1) / (step + 10) is below the decay; w0 from a run that does not move. */
static void the_first_step_of_the_mean(void **state)
{
    (void)state;
    static const char *const names[] = {"ecg.encoder.weight", "ecg.s4_layers.1.D", "head_diagnoses.weight", "head_diagnoses.bias"};
    must(&(tiny_run){.run = "still", .more = "finetune.epochs=1;finetune.batch=60000;finetune.lr_encoder=0;finetune.lr_head=0"}, of_diagnoses);
    must(&(tiny_run){.run = "step", .more = "finetune.epochs=1;finetune.batch=60000;finetune.average=0.9"}, of_diagnoses);
    assert_true(tiny_metric("step", -1, "step") == 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int64_t n[3];
        float *w0 = values(&n[0], "still", "last", names[i]), *w1 = values(&n[1], "step", "last", names[i]), *mean = values(&n[2], "step", "model", names[i]);
        double moved = 0;
        for (int64_t k = 0; k < n[0]; k++) {
            assert_true(fabs((double)mean[k] - ((double)w0[k] + 0.9 * ((double)w1[k] - (double)w0[k]))) < 1e-6);
            moved += fabs((double)w1[k] - (double)w0[k]);
        }
        assert_true(moved > 1e-3);
        free(w0);
        free(w1);
        free(mean);
    }
}

/* The checkpoint holds both; the model that is kept is the mean, and what never moves stays bit for bit. */
static void the_mean_is_what_is_kept(void **state)
{
    (void)state;
    int64_t n;
    must(&(tiny_run){.run = "plain", .more = "finetune.judge_every=6"}, of_diagnoses);
    must(&(tiny_run){.run = "mean", .more = "finetune.judge_every=6;finetune.average=0.8"}, of_diagnoses);
    must(&(tiny_run){.run = "frozen", .more = "finetune.average=0.8;finetune.lr_encoder=0"}, of_diagnoses);
    must(&(tiny_run){.run = "frozen0", .more = "finetune.lr_encoder=0"}, of_diagnoses);
    float *plain = values(&n, "plain", "last", "ecg.encoder.weight"), *last = values(&n, "mean", "last", "ecg.encoder.weight");
    float *mean = values(&n, "mean", "last", "mean/ecg.encoder.weight"), *kept = values(&n, "mean", "model", "ecg.encoder.weight");
    float *a = values(&n, "frozen", "model", "ecg.encoder.weight"), *b = values(&n, "frozen0", "model", "ecg.encoder.weight");
    n = 8 * 12;
    assert_memory_equal(plain, last, (size_t)n * sizeof *last); /* the mean looks on and changes nothing */
    assert_memory_equal(mean, kept, (size_t)n * sizeof *last);
    assert_true(memcmp(last, kept, (size_t)n * sizeof *last) != 0);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    float *all[] = {plain, last, mean, kept, a, b};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void a_stopped_run_keeps_its_mean(void **state)
{
    (void)state;
    const char *more = "finetune.average=0.9;finetune.judge_every=4;finetune.head_start=ridge;finetune.schedule=warmup_cos_halfcycle;finetune.warmup=2";
    must(&(tiny_run){.run = "whole", .more = more}, of_diagnoses);
    for (int stop = 1; stop < 22; stop += 5) {
        ecg_err err = {0};
        tiny_run a = {.run = "part", .more = more, .force = true, .stop_at = stop};
        if (tiny_try(&a, SETTINGS, of_diagnoses, &err) != ECG_EINTR)
            fail_msg("stop %d: was not interrupted (%s)", stop, err.msg);
        a.force = false, a.resume = true, a.stop_at = 0;
        must(&a, of_diagnoses);
        tiny_same_weights("part", "whole");
    }
}

/* ---- which epochs are judged -------------------------------------------------------------------------------------------- */

static void only_some_epochs_are_judged(void **state)
{
    (void)state;
    must(&(tiny_run){.run = "each"}, of_diagnoses);
    must(&(tiny_run){.run = "some", .more = "finetune.judge_every=4"}, of_diagnoses);
    for (int e = 1; e <= 6; e++) {
        const double here = tiny_metric("some", e, "validation_auroc"), there = tiny_metric("each", e, "validation_auroc");
        assert_true(there > 0.2 && there < 1);
        if (e == 4 || e == 6)
            assert_true(here == there);
        else
            assert_true(here == 0); /* null */
        assert_true(tiny_metric("some", e, "loss") == tiny_metric("each", e, "loss"));
    }
    const double best = tiny_metric("some", -1, "best_epoch");
    assert_true(best == (tiny_metric("some", 6, "validation_auroc") > tiny_metric("some", 4, "validation_auroc") ? 6 : 4));
}

/* ---- a head that begins as a regression --------------------------------------------------------------------------------- */

static bool known(int8_t y)
{
    return y == 0 || y == 1;
}

/* The weights of a head that did not train, against a regression made here: for each label on the rows where it is known, one penalty for all. */
static void is_a_regression(const char *run, const char *set, const char *prefix)
{
    char path[256], at[128], name[96];
    ecg_cohort c;
    ecg_model m = {0};
    ecg_loader l;
    ecg_exec exec = {.k = ecg_kernels_pick(NULL)};
    const ecg_label_table *table;
    static const tiny usual = {.patients = 96, .per_patient = 2, .samples = 200, .seed = 1};
    int64_t nw, nb;
    tiny_open(&c, "usual.cohort", &usual);
    snprintf(at, sizeof at, "%s/model.safetensors", run);
    assert_int_equal(ecg_model_load(&m, tiny_path(path, at), false, false, NULL), ECG_OK);
    ecg_model_use(&m, &exec);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, m.shape.length, 42, NULL), ECG_OK);
    const int8_t *label = ecg_cohort_labels(&c, set, &table);
    const ecg_rows *rows = &l.role[ECG_TRAIN];
    const int H = m.shape.width, K = table->n;
    float *h = malloc((size_t)rows->n * (size_t)H * sizeof *h);
    assert_int_equal(ecg_embed_rows(h, &m, &l, rows, &exec, NULL, NULL, NULL), ECG_OK);
    snprintf(name, sizeof name, "%sweight", prefix);
    float *w = values(&nw, run, "model", name);
    snprintf(name, sizeof name, "%sbias", prefix);
    float *b = values(&nb, run, "model", name);
    assert_true(nw == (int64_t)K * H && nb == K);
    int agree[6] = {0}, unknown = 0;
    for (int k = 0; k < K; k++) {
        ecg_ridge *r = ecg_ridge_new(H, 1);
        int64_t n = 0, positive = 0;
        for (int64_t i = 0; i < rows->n; i++) {
            double x[64];
            const int8_t y = label[(size_t)rows->row[i] * (size_t)K + (size_t)k];
            for (int j = 0; j < H; j++)
                x[j] = (double)h[i * H + j];
            unknown += !known(y);
            if (known(y))
                ecg_ridge_add(r, x, &(double){y});
            n += known(y);
            positive += y == 1;
        }
        const double p = (double)positive / (double)n;
        for (int q = 0; q < 6; q++) {
            double coefficient[65], worst = 0;
            assert_int_equal(ecg_ridge_solve(coefficient, r, pow(10, q - 3)), 0);
            for (int j = 0; j < H; j++)
                worst = fmax(worst, fabs((double)w[k * H + j] - coefficient[j] / (p * (1 - p))));
            worst = fmax(worst, fabs((double)b[k] - (log(p / (1 - p)) + (coefficient[H] - p) / (p * (1 - p)))));
            agree[q] += worst < 1e-4 * (1 + fabs((double)b[k]));
        }
        ecg_ridge_free(r);
    }
    int all = 0;
    for (int q = 0; q < 6; q++)
        all += agree[q] == K;
    assert_int_equal(all, 1);
    assert_true(strcmp(set, "labs") || unknown > 0);
    free(h);
    free(w);
    free(b);
    ecg_loader_close(&l);
    ecg_model_clear(&m);
    ecg_cohort_close(&c);
}

static void a_head_begins_as_a_regression(void **state)
{
    (void)state;
    must(&(tiny_run){.run = "ridge", .more = "finetune.head_start=ridge;finetune.epochs=1;finetune.lr_head=0;finetune.lr_encoder=0;finetune.decay=0"}, of_diagnoses);
    is_a_regression("ridge", "diagnoses", "head_diagnoses.");
    must(&(tiny_run){.run = "ridge_labs", .more = "labs.head_start=ridge;labs.decay=0"}, of_labs);
    is_a_regression("ridge_labs", "labs", "head_labs.");
    must(&(tiny_run){.run = "drawn", .more = "finetune.epochs=1;finetune.lr_head=0;finetune.lr_encoder=0"}, of_diagnoses);
    assert_true(tiny_metric("ridge", 1, "validation_auroc") > 0.05 + tiny_metric("drawn", 1, "validation_auroc"));
}

/* The table has no part in the regression: its columns of the head begin at 0 and learn. */
static void the_table_comes_later(void **state)
{
    (void)state;
    int64_t n;
    const char *still = "finetune.head_start=ridge;finetune.tabular=all;finetune.epochs=1;finetune.lr_head=0;finetune.lr_encoder=0";
    must(&(tiny_run){.run = "fused", .more = still}, of_diagnoses);
    float *w = values(&n, "fused", "model", "fusion.weight");
    assert_true(n % TINY_DIAGNOSES == 0 && n / TINY_DIAGNOSES > 8);
    double ecg = 0, tabular = 0;
    for (int64_t i = 0; i < n; i++)
        *(i % (n / TINY_DIAGNOSES) < 8 ? &ecg : &tabular) += fabs((double)w[i]);
    assert_true(ecg > 0.1 && tabular == 0);
    free(w);
    must(&(tiny_run){.run = "fused2", .more = "finetune.head_start=ridge;finetune.tabular=all"}, of_diagnoses);
    w = values(&n, "fused2", "model", "fusion.weight");
    assert_true(w[n - 1] != 0);
    free(w);
}

static void a_hidden_layer_begins_at_random(void **state)
{
    (void)state;
    int same, other;
    must(&(tiny_run){.run = "deep1", .more = "finetune.head_hidden=8;finetune.head_start=ridge"}, of_diagnoses);
    must(&(tiny_run){.run = "deep2", .more = "finetune.head_hidden=8"}, of_diagnoses);
    tiny_compare(&same, &other, "deep1", "deep2", "");
    assert_true(same > 10 && other == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_step_of_the_mean),
        cmocka_unit_test(the_mean_is_what_is_kept),
        cmocka_unit_test(a_stopped_run_keeps_its_mean),
        cmocka_unit_test(only_some_epochs_are_judged),
        cmocka_unit_test(a_head_begins_as_a_regression),
        cmocka_unit_test(the_table_comes_later),
        cmocka_unit_test(a_hidden_layer_begins_at_random),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
