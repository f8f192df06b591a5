/* SPDX-License-Identifier: MIT
 * The three stages on a tiny cohort: they learn, they go on bit for bit, threads and memory change nothing, what is frozen stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "study/evaluate.h"
#include "study/finetune.h"
#include "study/pretrain.h"
#include "tiny_runs.h"

static const tiny usual = {.patients = 96, .per_patient = 2, .samples = 200, .seed = 1};
static const tiny bare = {.patients = 30, .per_patient = 1, .samples = 80, .no_columns = true, .seed = 2};
static const tiny untested = {.patients = 60, .per_patient = 1, .samples = 200, .no_test = true, .seed = 3};
static const tiny absurd = {.patients = 60, .per_patient = 1, .samples = 60, .absurd_record = true, .seed = 5};
static const tiny other = {.patients = 60, .per_patient = 1, .samples = 200, .seed = 4};

static ecg_config settings(void)
{
    static const char *const sets[] = {"encoder.width=8", "encoder.blocks=2", "encoder.state=4", "encoder.length=50", "encoder.dropout=0.2", "projector.hidden=12",
                                       "projector.out=8", "pretrain.batch=32", "pretrain.epochs=5", "pretrain.lr=0.003", "finetune.batch=32",
                                       "finetune.epochs=6", "finetune.updates=0", "finetune.head_hidden=8", "finetune.lr_head=0.01",
                                       "finetune.lr_encoder=0.003", "labs.batch=32", "labs.epochs=6", "labs.head_hidden=8", "labs.lr_head=0.01"};
    ecg_config c;
    ecg_err err = {0};
    ecg_config_preset(&c, "small", NULL);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (ecg_config_assign(&c, sets[i], &err))
            fail_msg("%s", err.msg);
    return c;
}

/* ---- one stage at a time, with everything that can vary --------------------------------------------------------------------- */

typedef struct {
    const char *run, *from, *set, *more; /* more: further settings, "a.b=1;c.d=2" */
    const char *teacher;
    const tiny *on;
    const char *cohort;
    int threads, stop_at; /* stop_at: the progress call that stops; 0: never */
    bool resume, force, labs, random_encoder;
} asked;

static ecg_status stage(const asked *a, bool pretrain, ecg_err *err)
{
    char run[256], from[256], teacher[256];
    ecg_cohort c;
    ecg_config config = settings();
    tiny_listener s = {.stop_at = a->stop_at};
    const ecg_watch watch = {.ctx = &s, .progress = tiny_progress, .stop = &s.stop};
    ecg_exec exec = {.k = ecg_kernels_pick(NULL), .pool = ecg_pool_new(a->threads ? a->threads : 1)};
    tiny_open(&c, a->cohort ? a->cohort : "usual.cohort", a->on ? a->on : &usual);
    tiny_assign(&config, a->more);
    const ecg_study study = {.cohort = &c, .folder = tiny_path(run, a->run), .from = a->from ? tiny_path(from, a->from) : NULL, .set = a->set,
                             .teacher = a->teacher ? tiny_path(teacher, a->teacher) : NULL, .random_encoder = a->random_encoder, .config = &config, .resume = a->resume, .force = a->force, .exec = &exec, .watch = &watch};
    const ecg_status st = pretrain ? ecg_pretrain(&study, err) : ecg_finetune(&study, a->labs, err);
    ecg_cohort_close(&c);
    ecg_pool_free(exec.pool);
    return st;
}

static void run_pretrain(const asked *a)
{
    ecg_err err = {0};
    if (stage(a, true, &err))
        fail_msg("%s: %s", a->run, err.msg);
}

static void run_finetune(const asked *a)
{
    ecg_err err = {0};
    if (stage(a, false, &err))
        fail_msg("%s: %s", a->run, err.msg);
}

static bool same_tensor(const ecg_tensors *a, const ecg_tensors *b, const char *name)
{
    const ecg_tensor *x = ecg_tensors_find(a, name), *y = ecg_tensors_find(b, name);
    if (!x || !y)
        fail_msg("no tensor %s", name);
    return x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0;
}

/* All tensors of a that begin with prefix are in b, bit for bit; returns how many. */
static int same_tensors(const ecg_tensors *a, const ecg_tensors *b, const char *prefix)
{
    int n = 0;
    for (int i = 0; i < ecg_tensors_count(a); i++) {
        const char *name = ecg_tensors_at(a, i)->name;
        if (strncmp(name, prefix, strlen(prefix)))
            continue;
        if (!same_tensor(a, b, name))
            fail_msg("%s has changed", name);
        n++;
    }
    return n;
}

/* ---- tests ------------------------------------------------------------------------------------------------------------------ */

static void stages_learn(void **state)
{
    (void)state;
    run_pretrain(&(asked){.run = "learn1", .more = "pretrain.epochs=30"});
    assert_true(tiny_metric("learn1", -1, "loss") < 0.8 * tiny_metric("learn1", 1, "loss"));
    assert_true(tiny_metric("learn1", -1, "validation_loss") < 0.9 * tiny_metric("learn1", 1, "validation_loss"));
    run_finetune(&(asked){.run = "learn2", .from = "learn1", .more = "finetune.epochs=40"});
    assert_true(tiny_metric("learn2", -1, "loss") < 0.9 * tiny_metric("learn2", 1, "loss"));
    assert_true(tiny_metric("learn2", -1, "validation_auroc") > 0.75);
    run_finetune(&(asked){.run = "learn3", .from = "learn2", .labs = true, .more = "labs.epochs=30"});
    assert_true(tiny_metric("learn3", -1, "validation_auroc") > 0.75);
}

static void a_stopped_run_goes_on_bit_for_bit(void **state)
{
    (void)state;
    static const struct { const char *why; bool pretrain, labs; int stop_at; const char *more; } cases[] = {
        {"after the first step", true, false, 1, NULL},
        {"inside the second epoch", true, false, 5, NULL},
        {"at the end of an epoch", true, false, 6, NULL},
        {"a checkpoint of its own every step", true, false, 5, "train.checkpoint_steps=1"},
        {"fine-tuning", false, false, 7, NULL},
        {"shared labs", false, true, 4, NULL},
        {"last step", true, false, 15, NULL},
    };
    run_pretrain(&(asked){.run = "whole1"});
    run_finetune(&(asked){.run = "whole2", .from = "whole1"});
    run_finetune(&(asked){.run = "whole3", .from = "whole2", .labs = true});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        asked a = {.run = "part", .force = true, .stop_at = cases[i].stop_at, .more = cases[i].more, .labs = cases[i].labs,
                   .from = cases[i].pretrain ? NULL : cases[i].labs ? "whole2" : "whole1"};
        ecg_err err = {0};
        if (stage(&a, cases[i].pretrain, &err) != ECG_EINTR)
            fail_msg("%s: was not interrupted (%s)", cases[i].why, err.msg);
        a.stop_at = 0, a.resume = true, a.force = false, a.more = NULL;
        if (stage(&a, cases[i].pretrain, &err))
            fail_msg("%s: %s", cases[i].why, err.msg);
        tiny_same_weights("part", cases[i].pretrain ? "whole1" : cases[i].labs ? "whole3" : "whole2");
        assert_true(tiny_metric("part", -1, "epoch") == (cases[i].pretrain ? 5 : 6));
        if (stage(&a, cases[i].pretrain, &err)) /* once more: nothing is left to do */
            fail_msg("%s, complete: %s", cases[i].why, err.msg);
        tiny_same_weights("part", cases[i].pretrain ? "whole1" : cases[i].labs ? "whole3" : "whole2");
    }
}

static void threads_and_memory_change_nothing(void **state)
{
    (void)state;
    run_pretrain(&(asked){.run = "one1", .threads = 1});
    run_pretrain(&(asked){.run = "two1", .threads = 2});
    run_pretrain(&(asked){.run = "replay1", .threads = 3, .more = "train.memory_mb=0"});
    tiny_same_weights("one1", "two1");
    tiny_same_weights("one1", "replay1");
    run_finetune(&(asked){.run = "one2", .from = "one1", .threads = 1});
    run_finetune(&(asked){.run = "two2", .from = "one1", .threads = 2});
    run_finetune(&(asked){.run = "replay2", .from = "one1", .threads = 2, .more = "train.memory_mb=0"});
    tiny_same_weights("one2", "two2");
    tiny_same_weights("one2", "replay2");
}

static void another_seed_is_another_run(void **state)
{
    (void)state;
    run_pretrain(&(asked){.run = "seed42", .more = "pretrain.epochs=1"});
    ecg_err err = {0};
    assert_int_equal(stage(&(asked){.run = "seed43", .more = "train.seed=43"}, true, &err), ECG_OK);
    ecg_tensors *a = tiny_tensors("seed42"), *b = tiny_tensors("seed43");
    assert_false(same_tensor(a, b, "ecg.s4_layers.0.output_linear.0.weight"));
    ecg_tensors_close(a);
    ecg_tensors_close(b);
}

static void frozen_parts_stay(void **state)
{
    (void)state;
    run_pretrain(&(asked){.run = "cold1"});
    run_finetune(&(asked){.run = "cold2", .from = "cold1", .more = "finetune.frozen_blocks=1"});
    ecg_tensors *a = tiny_tensors("cold1"), *b = tiny_tensors("cold2");
    assert_int_equal(same_tensors(a, b, "ecg.encoder."), 2);
    assert_true(same_tensors(a, b, "ecg.s4_layers.0.") >= 4);
    assert_int_equal(same_tensors(a, b, "ecg.norms.0."), 2);
    assert_false(same_tensor(a, b, "ecg.s4_layers.1.kernel.kernel.C"));
    assert_false(same_tensor(a, b, "ecg.s4_layers.1.D"));
    assert_null(ecg_tensors_find(b, "tab.layers.0.weight"));
    ecg_tensors_close(b);

    run_finetune(&(asked){.run = "warm2", .from = "cold1"}); /* small: nothing is frozen */
    b = tiny_tensors("warm2");
    assert_false(same_tensor(a, b, "ecg.encoder.weight"));
    assert_false(same_tensor(a, b, "ecg.s4_layers.0.D"));
    ecg_tensors_close(a);
    ecg_tensors_close(b);
}

static void shared_labs_leave_encoder_and_diagnoses_alone(void **state)
{
    (void)state;
    char path[256];
    ecg_model m = {0};
    run_pretrain(&(asked){.run = "share1"});
    run_finetune(&(asked){.run = "share2", .from = "share1"});
    run_finetune(&(asked){.run = "share3", .from = "share2", .labs = true});
    ecg_tensors *a = tiny_tensors("share2"), *b = tiny_tensors("share3");
    assert_true(same_tensors(a, b, "ecg.") > 10);
    assert_true(same_tensors(a, b, "head_diagnoses.") > 6);
    assert_non_null(ecg_tensors_find(b, "head_labs.0.weight"));
    ecg_tensors_close(a);
    ecg_tensors_close(b);
    assert_int_equal(ecg_model_load(&m, tiny_path(path, "share3/model.safetensors"), false, false, NULL), ECG_OK);
    assert_true(m.shared_embedding);
    assert_true(m.synthetic);
    assert_int_equal(m.heads, 2);
    const ecg_head *labs = ecg_model_head(&m, ECG_HEAD_LABS), *diagnoses = ecg_model_head(&m, ECG_HEAD_DIAGNOSES);
    assert_int_equal(ecg_head_labels(&m, labs, NULL), TINY_LABS);
    assert_int_equal(ecg_head_labels(&m, diagnoses, NULL), TINY_DIAGNOSES);
    for (int k = 0; k < TINY_LABS; k++) {
        assert_true(labs->prevalence[k] > 0 && labs->prevalence[k] < 1);
        assert_true(labs->auroc[k] >= 0 && labs->auroc[k] <= 1);
    }
    assert_true(diagnoses->prevalence[0] > diagnoses->prevalence[2]);
    assert_true(diagnoses->auroc[0] >= 0 && diagnoses->auroc[0] <= 1);
    ecg_model_clear(&m);

    run_finetune(&(asked){.run = "branch3", .from = "share1", .labs = true});
    a = tiny_tensors("share1"), b = tiny_tensors("branch3");
    assert_int_equal(same_tensors(a, b, "ecg.encoder."), 2);
    assert_true(same_tensors(a, b, "ecg.s4_layers.0.") >= 4); /* half of two blocks */
    assert_false(same_tensor(a, b, "ecg.s4_layers.1.D"));
    ecg_tensors_close(a);
    ecg_tensors_close(b);
    assert_int_equal(ecg_model_load(&m, tiny_path(path, "branch3/model.safetensors"), false, false, NULL), ECG_OK);
    assert_false(m.shared_embedding);
    assert_int_equal(m.heads, 1);
    ecg_model_clear(&m);
}

static void from_random_weights(void **state)
{
    (void)state;
    run_finetune(&(asked){.run = "scratch", .more = "finetune.frozen_blocks=1"});
    run_finetune(&(asked){.run = "scratch_labs", .labs = true});
    assert_true(tiny_metric("scratch", -1, "epoch") == 6);
}

/* lr_scratch is the rate of an encoder that begins with random weights and of no other. */
static void a_rate_for_random_weights(void **state)
{
    (void)state;
    run_finetune(&(asked){.run = "rate1", .more = "finetune.lr_encoder=0.003;finetune.lr_scratch=0"});
    run_finetune(&(asked){.run = "rate2", .more = "finetune.lr_encoder=0.5;finetune.lr_scratch=0.003"});
    run_finetune(&(asked){.run = "rate3", .more = "finetune.lr_encoder=0.003;finetune.lr_scratch=0.001"});
    run_pretrain(&(asked){.run = "rate4", .more = "pretrain.epochs=1"});
    run_finetune(&(asked){.run = "rate5", .from = "rate4", .more = "finetune.lr_encoder=0.003;finetune.lr_scratch=0"});
    run_finetune(&(asked){.run = "rate6", .from = "rate4", .more = "finetune.lr_encoder=0.003;finetune.lr_scratch=0.5"});
    ecg_tensors *t[5];
    static const char *const run[] = {"rate1", "rate2", "rate3", "rate5", "rate6"};
    for (int i = 0; i < 5; i++)
        t[i] = tiny_tensors(run[i]);
    assert_true(same_tensors(t[0], t[1], "ecg.") > 5);
    assert_false(same_tensor(t[0], t[2], "ecg.encoder.weight"));
    assert_true(same_tensors(t[3], t[4], "ecg.") > 5);
    for (int i = 0; i < 5; i++)
        ecg_tensors_close(t[i]);
}

static void impossible_runs_are_refused(void **state)
{
    (void)state;
    static const struct { const char *why; asked a; bool pretrain; ecg_status status; const char *says; } cases[] = {
        {"a folder that is not empty", {.run = "full"}, true, ECG_EARG, "not empty"},
        {"other settings", {.run = "full", .resume = true, .more = "pretrain.lr=0.5"}, true, ECG_EARG, "pretrain.lr: 0.003 in the run, 0.5 asked"},
        {"another cohort", {.run = "full", .resume = true, .on = &other, .cohort = "other.cohort"}, true, ECG_EDATA, "belongs to another run"},
        {"another stage", {.run = "full", .resume = true}, false, ECG_EDATA, "belongs to another run"},
        {"no such labels", {.run = "x", .set = "superclass"}, false, ECG_EDATA, "no label set 'superclass'; the cohort has diagnoses, labs"},
        {"no table", {.run = "x", .on = &bare, .cohort = "bare.cohort"}, true, ECG_ECONTRACT, "no tabular columns"},
        {"no such run", {.run = "x", .from = "nowhere"}, false, ECG_EIO, ""},
        {"odd state", {.run = "x", .more = "encoder.state=5"}, true, ECG_EARG, "odd"},
        {"crops longer than records", {.run = "x", .more = "encoder.length=201"}, true, ECG_ECONTRACT, "do not fit"},
        {"labs that are diagnoses", {.run = "x", .from = "full2", .labs = true, .set = "diagnoses"}, false, ECG_EARG, "already predicts"},
    };
    run_pretrain(&(asked){.run = "full"});
    run_finetune(&(asked){.run = "full2", .from = "full"});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256];
        ecg_err err = {0};
        const ecg_status st = stage(&cases[i].a, cases[i].pretrain, &err);
        if (st != cases[i].status || !strstr(err.msg, cases[i].says))
            fail_msg("%s: %s: %s", cases[i].why, ecg_status_text(st), err.msg);
        if (strcmp(cases[i].a.run, "x") == 0 && access(tiny_path(path, "x"), F_OK) == 0)
            fail_msg("%s: left something behind", cases[i].why);
    }
}

static void a_loss_that_is_not_finite_stops_the_run(void **state)
{
    (void)state;
    char path[256];
    ecg_err err = {0};
    ecg_model m = {0};
    const asked a = {.run = "boom", .on = &absurd, .cohort = "absurd.cohort"};
    assert_int_equal(stage(&a, true, &err), ECG_EDATA);
    if (!strstr(err.msg, "is not finite in epoch 2, step "))
        fail_msg("%s", err.msg);
    assert_int_equal(ecg_model_load(&m, tiny_path(path, "boom/model.safetensors"), false, true, &err), ECG_OK); /* of epoch 1, where it was left over */
    for (size_t i = 0; i < m.table.floats; i++)
        assert_true(isfinite(m.table.value[i]));
    ecg_model_clear(&m);
}

/* ---- evaluation --------------------------------------------------------------------------------------------------------- */

static ecg_status evaluate(ecg_evaluation *out, const char *run, const char *cohort, int role, int resamples, ecg_err *err)
{
    char a[256], b[256];
    ecg_exec exec = {.k = ecg_kernels_pick(NULL)};
    const ecg_evaluate_task t = {.run = tiny_path(a, run), .cohort = cohort ? tiny_path(b, cohort) : NULL, .role = role, .resamples = resamples,
                                 .seed = 42, .exec = &exec};
    return ecg_evaluate(out, &t, err);
}

static int lines(const char *name, char first[256])
{
    char path[256];
    ecg_bytes b;
    int n = 0;
    if (ecg_file_read(&b, tiny_path(path, name), NULL))
        fail_msg("no %s", name);
    for (size_t i = 0; i < b.len; i++)
        n += b.at[i] == '\n';
    snprintf(first, 256, "%.*s", (int)strcspn((const char *)b.at, "\n"), (const char *)b.at);
    first[strcspn(first, "\r")] = 0;
    ecg_bytes_free(&b);
    return n;
}

static void evaluation_scores_every_head(void **state)
{
    (void)state;
    char first[256];
    ecg_evaluation e;
    ecg_err err = {0};
    run_pretrain(&(asked){.run = "eval1"});
    run_finetune(&(asked){.run = "eval2", .from = "eval1", .more = "finetune.epochs=30"});
    run_finetune(&(asked){.run = "eval3", .from = "eval2", .labs = true, .more = "labs.epochs=20"});
    assert_int_equal(evaluate(&e, "eval1", NULL, ECG_TEST, 50, &err), ECG_ECONTRACT);
    if (evaluate(&e, "eval3", NULL, ECG_TEST, 200, &err))
        fail_msg("%s: %s", err.path, err.msg);
    assert_int_equal(e.heads, 2);
    assert_int_equal(e.role, ECG_TEST);
    assert_true(e.synthetic);
    assert_false(e.chose_epoch);
    for (int i = 0; i < 2; i++) {
        const ecg_head_result *r = &e.head[i];
        assert_int_equal(r->all.records, 32);
        assert_int_equal(r->all.patients, 16);
        assert_int_equal(r->first.records, 16);
        assert_true(r->all.score.macro.point > 0.7);
        assert_true(r->all.score.macro.lo <= r->all.score.macro.point && r->all.score.macro.point <= r->all.score.macro.hi);
    }
    assert_non_null(strstr(e.json, "\"schema\": \"ecgraft.evaluation/1\""));
    assert_non_null(strstr(e.json, ECG_STATEMENT));
    ecg_evaluation_clear(&e);
    assert_int_equal(lines("eval3/predictions.diagnoses.test.csv", first), 33);
    assert_string_equal(first, "study_id,patient,first_in_stay,D0,D1,D2");
    assert_int_equal(lines("eval3/predictions.labs.test.csv", first), 33);
    assert_string_equal(first, "study_id,patient,first_in_stay,L0,L1,L2,L3");
    assert_int_equal(lines("eval3/labels.labs.test.csv", first), 1 + TINY_LABS);
}

static void evaluation_minds_cohort_and_fold(void **state)
{
    (void)state;
    char path[256], command[600];
    ecg_evaluation e;
    ecg_err err = {0};
    run_finetune(&(asked){.run = "fold2", .on = &untested, .cohort = "untested.cohort"});
    if (evaluate(&e, "fold2", NULL, ECG_TEST, 0, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(e.role, ECG_VALIDATION); /* the test fold is empty */
    assert_true(e.chose_epoch);
    assert_int_equal(e.head[0].all.records, 20);
    assert_true(isnan(e.head[0].all.score.macro.lo));
    ecg_evaluation_clear(&e);
    tiny_make(path, "other.cohort", &other);
    if (evaluate(&e, "fold2", "other.cohort", ECG_TEST, 0, &err)) /* named: another cohort is fine */
        fail_msg("%s", err.msg);
    assert_int_equal(e.role, ECG_TEST);
    ecg_evaluation_clear(&e);
    snprintf(command, sizeof command, "cp '%s/other.cohort' '%s/untested.cohort'", tiny_folder, tiny_folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(evaluate(&e, "fold2", NULL, ECG_TEST, 0, &err), ECG_ECONTRACT);
    assert_non_null(strstr(err.msg, "not the one the run was trained on"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_learn),
        cmocka_unit_test(a_stopped_run_goes_on_bit_for_bit),
        cmocka_unit_test(threads_and_memory_change_nothing),
        cmocka_unit_test(another_seed_is_another_run),
        cmocka_unit_test(frozen_parts_stay),
        cmocka_unit_test(shared_labs_leave_encoder_and_diagnoses_alone),
        cmocka_unit_test(from_random_weights),
        cmocka_unit_test(a_rate_for_random_weights),
        cmocka_unit_test(impossible_runs_are_refused),
        cmocka_unit_test(a_loss_that_is_not_finite_stops_the_run),
        cmocka_unit_test(evaluation_scores_every_head),
        cmocka_unit_test(evaluation_minds_cohort_and_fold),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
