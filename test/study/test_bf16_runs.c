/* SPDX-License-Identifier: MIT
 * Training in bf16: the same bytes for any number of threads and after a pause, other bytes than float32, as good a model, and a run that says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/bundle.h"
#include "study/finetune.h"
#include "study/joint.h"
#include "study/pretrain.h"
#include "tiny_runs.h"

#define SETTINGS                                                                                                                             \
    "encoder.width=24;encoder.blocks=2;encoder.state=4;encoder.length=50;encoder.dropout=0.1;projector.hidden=48;projector.out=24;"           \
    "pretrain.batch=32;pretrain.epochs=3;pretrain.updates=0;finetune.batch=32;finetune.epochs=12;finetune.updates=0;finetune.head_hidden=16;" \
    "labs.batch=32;labs.epochs=1;labs.updates=0;joint.batch=32;joint.epochs=1;joint.updates=0"

static ecg_status of_diagnoses(const ecg_study *s, ecg_err *err) { return ecg_finetune(s, false, err); }
static ecg_status of_labs(const ecg_study *s, ecg_err *err) { return ecg_finetune(s, true, err); }

static void must(const tiny_run *a, ecg_status (*stage)(const ecg_study *, ecg_err *))
{
    ecg_err err = {0};
    if (tiny_try(a, SETTINGS, stage, &err))
        fail_msg("%s: %s", a->run, err.msg);
}

static void check_text(const char *run, const char *file, const char *want, bool there)
{
    char path[256], name[128];
    ecg_bytes b;
    snprintf(name, sizeof name, "%s/%s", run, file);
    assert_int_equal(ecg_file_read(&b, tiny_path(path, name), NULL), ECG_OK);
    char *text = strndup((const char *)b.at, b.len);
    if (!strstr(text, want) != !there)
        fail_msg("%s: '%s' is %s", name, want, there ? "missing" : "there");
    free(text);
    ecg_bytes_free(&b);
}

static void check_record(const char *run, bool bf16)
{
    char path[256], name[128];
    ecg_model m = {0};
    ecg_err err = {0};
    snprintf(name, sizeof name, "%s/model.safetensors", run);
    if (ecg_model_load(&m, tiny_path(path, name), false, true, &err))
        fail_msg("%s: %s", name, err.msg);
    assert_int_equal(!!strstr(m.record, "\"precision\":"), bf16);
    ecg_model_clear(&m);
}

static void every_stage_rounds_and_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *name, *from;
        ecg_status (*stage)(const ecg_study *, ecg_err *);
    } stages[] = {
        {"pretrain", NULL, ecg_pretrain}, {"diagnoses", "pretrain-exact", of_diagnoses}, {"labs", "pretrain-exact", of_labs}, {"joint", NULL, ecg_joint},
    };
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        char exact[64], bf16[64], threads[64];
        static char said[4000];
        int same, other;
        *said = 0;
        snprintf(exact, sizeof exact, "%s-exact", stages[i].name);
        snprintf(bf16, sizeof bf16, "%s-bf16", stages[i].name);
        snprintf(threads, sizeof threads, "%s-threads", stages[i].name);
        must(&(tiny_run){.run = exact, .from = stages[i].from, .more = "finetune.epochs=2"}, stages[i].stage);
        must(&(tiny_run){.run = bf16, .from = stages[i].from, .more = "finetune.epochs=2;train.precision=bf16", .said = said}, stages[i].stage);
        must(&(tiny_run){.run = threads, .from = stages[i].from, .more = "finetune.epochs=2;train.precision=bf16", .threads = 3}, stages[i].stage);
        tiny_same_weights(bf16, threads);
        tiny_compare(&same, &other, exact, bf16, "ecg.s4_layers.1.output_linear");
        assert_int_equal(same, 0);
        assert_int_equal(other, 2);
        assert_non_null(strstr(said, "bf16"));
        check_text(bf16, "run.json", "\"precision\": \"bf16\"", true);
        check_text(bf16, "config.yaml", "precision: bf16", true);
        check_text(exact, "run.json", "\"precision\": \"float32\"", true);
        check_record(bf16, true);
        check_record(exact, false);
    }
}

static void a_run_keeps_its_precision(void **state)
{
    (void)state;
    ecg_err err = {0};
    const char *bf16 = "train.precision=bf16;train.checkpoint_steps=1;pretrain.epochs=2";
    must(&(tiny_run){.run = "whole", .more = bf16}, ecg_pretrain);
    assert_int_equal(tiny_try(&(tiny_run){.run = "part", .more = bf16, .stop_at = 4}, SETTINGS, ecg_pretrain, &err), ECG_EINTR);
    assert_int_equal(tiny_try(&(tiny_run){.run = "part", .more = "train.checkpoint_steps=1;pretrain.epochs=2", .resume = true}, SETTINGS, ecg_pretrain, &err), ECG_EARG);
    assert_non_null(strstr(err.msg, "train.precision"));
    must(&(tiny_run){.run = "part", .more = bf16, .resume = true}, ecg_pretrain);
    tiny_same_weights("whole", "part");
}

/* Three seeds of each: the best AUROC of validation is the same within what seeds make of it. docs/bf16.md has the measurement of size. */
static void a_model_is_as_good(void **state)
{
    (void)state;
    double mean[2] = {0}, lowest = 1, highest = 0;
    for (int seed = 1; seed <= 3; seed++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            char more[128], run[32];
            snprintf(more, sizeof more, "train.seed=%d;train.precision=%s", seed, bf16 ? "bf16" : "float32");
            snprintf(run, sizeof run, "auroc-%d-%d", seed, bf16);
            must(&(tiny_run){.run = run, .more = more}, of_diagnoses);
            double best = 0;
            for (int epoch = 1; epoch <= 12; epoch++)
                best = fmax(best, tiny_metric(run, epoch, "validation_auroc"));
            mean[bf16] += best / 3;
            if (!bf16)
                lowest = fmin(lowest, best), highest = fmax(highest, best);
        }
    if (!(mean[0] > 0.6 && fabs(mean[1] - mean[0]) < fmax(0.02, highest - lowest)))
        fail_msg("validation AUROC %.3f in float32 (%.3f to %.3f), %.3f in bf16", mean[0], lowest, highest, mean[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stage_rounds_and_says_so),
        cmocka_unit_test(a_run_keeps_its_precision),
        cmocka_unit_test(a_model_is_as_good),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
