/* SPDX-License-Identifier: MIT
 * Joint training: how losses are weighed, against plain formulas; runs that learn, go on, mask what is hidden, and stop where they diverge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/bundle.h"
#include "study/balance.h"
#include "study/evaluate.h"
#include "study/joint.h"
#include "tiny_runs.h"

#define SETTINGS                                                                                                                        \
    "encoder.width=8;encoder.blocks=2;encoder.state=4;encoder.length=50;projector.hidden=12;projector.out=8;joint.batch=32;"             \
    "joint.epochs=3;joint.updates=0;joint.lr=0.003;finetune.head_hidden=8;labs.head_hidden=8"

static const tiny usual = {.patients = 96, .per_patient = 2, .samples = 200, .seed = 1};
static const tiny bare = {.patients = 30, .per_patient = 1, .samples = 80, .no_columns = true, .seed = 2};
static const tiny absurd = {.patients = 60, .per_patient = 1, .samples = 60, .absurd_record = true, .seed = 5};
static const char *const weightings[] = {"joint.weighting=uncertainty", "joint.weighting=projection", "joint.weighting=none"};

static ecg_status try_joint(const tiny_run *a, ecg_err *err)
{
    return tiny_try(a, SETTINGS, ecg_joint, err);
}

static void joint(const tiny_run *a)
{
    ecg_err err = {0};
    if (try_joint(a, &err))
        fail_msg("%s: %s", a->run, err.msg);
}

static void load(ecg_model *m, const char *run)
{
    char path[256], name[128];
    ecg_err err = {0};
    snprintf(name, sizeof name, "%s/model.safetensors", run);
    if (ecg_model_load(m, tiny_path(path, name), false, true, &err))
        fail_msg("%s", err.msg);
}

/* ---- weights ------------------------------------------------------------------------------------------------------------ */

static double kendall(const double *s, const double *loss, const bool *there, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        if (there[i])
            sum += exp(-s[i]) * loss[i] + s[i];
    return sum;
}

static void log_variances_follow_their_loss(void **state)
{
    (void)state;
    static const struct { const char *why; float s[3]; double loss[3]; bool there[3]; } cases[] = {
        {"at the beginning", {0, 0, 0}, {2.5, 0.7, 0.3}, {true, true, true}},
        {"somewhere", {-1.3f, 0.4f, 2.2f}, {0.2, 1.9, 11}, {true, true, true}},
        {"one task absent", {-1.3f, 0.4f, 2.2f}, {0.2, 1.9, 11}, {true, false, true}},
        {"a loss of nothing", {1, 0, 0}, {0, 0, 0}, {true, true, true}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float ds[3];
        double at[3], weight[3];
        for (int i = 0; i < 3; i++)
            at[i] = (double)cases[c].s[i];
        const double total = ecg_balance_uncertainty(weight, ds, cases[c].s, cases[c].loss, cases[c].there, 3);
        const double want = kendall(at, cases[c].loss, cases[c].there, 3);
        if (!(fabs(total - want) < 1e-12))
            fail_msg("%s: %.17g instead of %.17g", cases[c].why, total, want);
        for (int i = 0; i < 3; i++) {
            const double h = 1e-5, keep = at[i];
            at[i] = keep + h;
            const double up = kendall(at, cases[c].loss, cases[c].there, 3);
            at[i] = keep - h;
            const double slope = (up - kendall(at, cases[c].loss, cases[c].there, 3)) / (2 * h);
            at[i] = keep;
            if (!(fabs((double)ds[i] - slope) < 1e-6 * fmax(1, fabs(slope))))
                fail_msg("%s, task %d: %.9g instead of %.9g", cases[c].why, i, (double)ds[i], slope);
            assert_true(weight[i] == (cases[c].there[i] ? exp(-at[i]) : 0));
        }
    }
}

static void log_variances_stay_bounded(void **state)
{
    (void)state;
    static const struct { float s; double loss; int sign; double weight; } cases[] = {
        {4, 1e9, 0, 0.018315638888734179},    /* wants to go on upwards: held */
        {4, 1e-3, 1, 0.018315638888734179},   /* falls back */
        {9, 1e9, 0, 0.018315638888734179},
        {-4, 1e-9, 0, 54.598150033144239},
        {-4, 3, -1, 54.598150033144239},
        {-9, 1e-9, 0, 54.598150033144239},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float ds;
        double weight;
        const bool there = true;
        ecg_balance_uncertainty(&weight, &ds, &cases[c].s, &cases[c].loss, &there, 1);
        if (cases[c].sign == 0 ? ds != 0 : (ds > 0 ? 1 : -1) != cases[c].sign)
            fail_msg("s %g, loss %g: gradient %g", (double)cases[c].s, cases[c].loss, (double)ds);
        assert_true(fabs(weight - cases[c].weight) < 1e-12);
    }
    float ds, s = 0;
    double weight, nothing = NAN;
    const bool there = true;
    assert_true(isnan(ecg_balance_uncertainty(&weight, &ds, &s, &nothing, &there, 1)));
}

/* ---- projections -------------------------------------------------------------------------------------------------------- */

enum { LENGTH = 40000 };

static double dot(const double *a, const double *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Yu et al., algorithm 1, on the vectors themselves. */
static void project_plainly(double *out, float *const *g, int n, int len, bool falling)
{
    double *mine = calloc((size_t)len, sizeof *mine), *other = calloc((size_t)len, sizeof *other);
    assert_true(mine && other);
    memset(out, 0, (size_t)len * sizeof *out);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < len; k++)
            mine[k] = (double)g[i][k];
        for (int turn = 0; turn < n; turn++) {
            const int j = falling ? n - 1 - turn : turn;
            if (j == i)
                continue;
            for (int k = 0; k < len; k++)
                other[k] = (double)g[j][k];
            const double along = dot(mine, other, len), whole = dot(other, other, len);
            for (int k = 0; k < len && along < 0; k++)
                mine[k] -= along / whole * other[k];
        }
        for (int k = 0; k < len; k++)
            out[k] += mine[k];
    }
    free(mine);
    free(other);
}

static void conflicts_are_projected_away(void **state)
{
    (void)state;
    static const struct { const char *why; int n, len; double shared[3]; double size[3]; int conflicts; } cases[] = {
        {"agreement", 3, 50, {1, 1, 1}, {1, 1, 1}, 0},
        {"one against two", 3, 50, {1, 1, -1}, {1, 1, 1}, 2},
        {"sizes apart", 3, 50, {1, -1, 1}, {100, 0.1, 3}, 2},
        {"two tasks", 2, 50, {1, -1, 0}, {1, 2, 0}, 1},
        {"one task", 1, 50, {1, 0, 0}, {1, 0, 0}, 0},
        {"a task without gradient", 3, 50, {1, 0, -1}, {1, 0, 1}, 1},
        {"nothing at all", 3, 50, {0, 0, 0}, {0, 0, 0}, 0},
        {"more than a range", 3, LENGTH, {1, -1, -1}, {1, 1, 1}, 2},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int falling = 0; falling < 2; falling++) {
            const int n = cases[c].n, len = cases[c].len;
            float *g[3], *out = malloc((size_t)len * sizeof *out);
            double *want = malloc((size_t)len * sizeof *want), *partial = malloc(ecg_balance_partials((size_t)len) * sizeof *partial), gram[3][3], weight[3];
            ecg_rng r;
            ecg_rng_open(&r, 9, 0, 303, 0, 0);
            float *shared = malloc((size_t)len * sizeof *shared);
            for (int k = 0; k < len; k++)
                shared[k] = (float)ecg_rng_normal(&r);
            for (int i = 0; i < 3; i++) {
                g[i] = malloc((size_t)len * sizeof *g[i]);
                for (int k = 0; k < len; k++)
                    g[i][k] = (float)(cases[c].size[i] * (cases[c].shared[i] * (double)shared[k] + 0.3 * ecg_rng_normal(&r)));
            }
            for (int threads = 1; threads <= 3; threads += 2) {
                const ecg_exec exec = {.k = ecg_kernels_ref(), .pool = ecg_pool_new(threads)};
                double before[3][3];
                if (threads > 1)
                    memcpy(before, gram, sizeof before);
                ecg_balance_gram(gram, g, n, (size_t)len, partial, &exec);
                for (int i = 0; i < n && threads > 1; i++)
                    assert_memory_equal(before[i], gram[i], (size_t)n * sizeof(double));
                assert_int_equal(ecg_balance_projection(weight, gram, n, falling), cases[c].conflicts);
                ecg_balance_mix(out, weight, g, n, (size_t)len, &exec);
                ecg_pool_free(exec.pool);
            }
            project_plainly(want, g, n, len, falling);
            double scale = 1e-30;
            for (int k = 0; k < len; k++)
                scale = fmax(scale, fabs(want[k]));
            for (int k = 0; k < len; k++)
                if (!(fabs((double)out[k] - want[k]) <= 1e-6 * scale))
                    fail_msg("%s, at %d: %.9g instead of %.9g", cases[c].why, k, (double)out[k], want[k]);
            for (int i = 0; i < 3; i++)
                free(g[i]);
            free(shared);
            free(out);
            free(want);
            free(partial);
        }
}

/* ---- runs --------------------------------------------------------------------------------------------------------------- */

static void every_weighting_learns(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char run[32], more[128];
        snprintf(run, sizeof run, "learn%zu", i);
        snprintf(more, sizeof more, "%s;joint.epochs=25;joint.lr=0.005", weightings[i]);
        joint(&(tiny_run){.run = run, .more = more});
        assert_true(tiny_metric(run, -1, "loss_alignment") < 0.9 * tiny_metric(run, 1, "loss_alignment"));
        assert_true(tiny_metric(run, -1, "loss_diagnoses") < 0.9 * tiny_metric(run, 1, "loss_diagnoses"));
        assert_true(tiny_metric(run, -1, "loss_labs") < 0.95 * tiny_metric(run, 1, "loss_labs"));
        if (!(tiny_metric(run, -1, "validation_auroc") > 0.75))
            fail_msg("%s: %g", weightings[i], tiny_metric(run, -1, "validation_auroc"));
    }
    assert_true(tiny_metric("learn0", -1, "weight_diagnoses") > 1.2); /* a small loss gains weight, a large one loses it */
    assert_true(tiny_metric("learn0", 1, "weight_diagnoses") < tiny_metric("learn0", -1, "weight_diagnoses"));
    assert_true(fabs(tiny_metric("learn2", -1, "weight_alignment") - 0.05) < 1e-9);
    assert_true(tiny_metric("learn1", 1, "conflicts") >= 0);
    assert_true(isnan(tiny_metric("learn2", 1, "conflicts")));
}

static void one_model_answers_both(void **state)
{
    (void)state;
    char path[256], set[256];
    ecg_model m;
    ecg_evaluation e;
    ecg_err err = {0};
    joint(&(tiny_run){.run = "both", .more = "joint.epochs=30"});
    load(&m, "both");
    assert_int_equal(m.heads, 2);
    assert_true(m.shared_embedding && m.has_tabular && m.proj_ecg && m.synthetic);
    assert_int_equal(m.contract.sets, 2);
    assert_int_equal(ecg_params_find(&m.table, "balance.log_variance"), -1);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < ecg_head_labels(&m, &m.head[i], NULL); k++) {
            assert_true(m.head[i].prevalence[k] > 0 && m.head[i].prevalence[k] < 1);
            assert_true(m.head[i].auroc[k] >= 0 && m.head[i].auroc[k] <= 1);
        }
    assert_non_null(strstr(m.record, "\"stage\":\"joint\""));
    assert_non_null(strstr(m.record, "\"weighting\":\"uncertainty\""));
    ecg_model_clear(&m);
    const ecg_exec exec = {.k = ecg_kernels_pick(NULL)};
    const ecg_evaluate_task t = {.run = tiny_path(path, "both"), .cohort = tiny_path(set, "usual.cohort"), .role = ECG_TEST, .seed = 42, .exec = &exec};
    if (ecg_evaluate(&e, &t, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(e.heads, 2);
    for (int i = 0; i < 2; i++)
        assert_true(e.head[i].all.score.macro.point > 0.7);
    ecg_evaluation_clear(&e);
}

static void threads_memory_and_pauses_change_nothing(void **state)
{
    (void)state;
    static const int stops[] = {1, 6, 8}; /* one for each weighting: after a step, inside an epoch, at the end of one */
    for (size_t i = 0; i < 3; i++) {
        char more[200];
        ecg_err err = {0};
        joint(&(tiny_run){.run = "whole", .more = weightings[i], .force = true});
        snprintf(more, sizeof more, "%s;train.memory_mb=0", weightings[i]);
        joint(&(tiny_run){.run = "threads", .more = more, .threads = 3, .force = true});
        tiny_same_weights("whole", "threads");
        assert_int_equal(try_joint(&(tiny_run){.run = "part", .more = weightings[i], .stop_at = stops[i], .force = true}, &err), ECG_EINTR);
        joint(&(tiny_run){.run = "part", .more = weightings[i], .resume = true, .threads = 2});
        tiny_same_weights("whole", "part");
        joint(&(tiny_run){.run = "part", .more = weightings[i], .resume = true}); /* complete: nothing is left to do */
        tiny_same_weights("whole", "part");
        assert_int_equal(try_joint(&(tiny_run){.run = "part", .more = "joint.alignment=2", .resume = true}, &err), ECG_EARG);
    }
}

/* One task alone has nobody to conflict with: the encoder gets the same gradient, to the bit. */
static void a_single_task_is_not_projected(void **state)
{
    (void)state;
    int same, other;
    ecg_cohort c;
    tiny_open(&c, "usual.cohort", &usual);
    int8_t *unknown = malloc((size_t)c.n * TINY_LABS);
    memset(unknown, -1, (size_t)c.n * TINY_LABS);
    const int8_t *const labs = c.label[1];
    c.label[1] = unknown;
    char said[4000] = "";
    joint(&(tiny_run){.run = "plain", .more = "joint.weighting=none;joint.alignment=0", .changed = &c, .said = said});
    assert_non_null(strstr(said, "no head for labs: 0 training records"));
    joint(&(tiny_run){.run = "projected", .more = "joint.weighting=projection;joint.alignment=0", .changed = &c});
    tiny_compare(&same, &other, "plain", "projected", "ecg.");
    assert_true(same > 10 && other == 0);
    ecg_model m;
    load(&m, "plain");
    assert_int_equal(m.heads, 1);
    assert_false(m.shared_embedding);
    ecg_model_clear(&m);
    c.label[1] = labs;
    ecg_cohort_close(&c);
    free(unknown);
}

/* Labels that train.labelled hides, and unknown ones, can say anything. */
static void hidden_labels_are_not_read(void **state)
{
    (void)state;
    char text[32];
    int same, other;
    ecg_cohort c;
    ecg_loader l;
    ecg_rows seen;
    ecg_model m;
    tiny_open(&c, "usual.cohort", &usual);
    assert_int_equal(ecg_loader_open(&l, &c, NULL, 50, 42, NULL), ECG_OK);
    assert_int_equal(ecg_rows_labelled(&seen, NULL, &c, &l.role[ECG_TRAIN], 40, 42, NULL), ECG_OK);
    int8_t *changed = malloc((size_t)c.n * TINY_DIAGNOSES);
    memcpy(changed, c.label[0], (size_t)c.n * TINY_DIAGNOSES);
    for (int64_t i = 0, at = 0; i < l.role[ECG_TRAIN].n; i++) {
        const uint32_t row = l.role[ECG_TRAIN].row[i];
        while (at < seen.n && seen.row[at] < row)
            at++;
        if (at == seen.n || seen.row[at] != row)
            for (int k = 0; k < TINY_DIAGNOSES; k++)
                changed[row * TINY_DIAGNOSES + k] = 1 - changed[row * TINY_DIAGNOSES + k];
    }
    joint(&(tiny_run){.run = "hidden", .more = "train.labelled=40"});
    const int8_t *const own = c.label[0];
    c.label[0] = changed;
    joint(&(tiny_run){.run = "lies", .more = "train.labelled=40", .changed = &c});
    tiny_same_weights("hidden", "lies");
    joint(&(tiny_run){.run = "believed", .changed = &c});
    tiny_compare(&same, &other, "hidden", "believed", "ecg.s4_layers.1.output");
    assert_true(other > 0 && same == 0);
    load(&m, "hidden");
    assert_true(ecg_record_field(text, sizeof text, m.record, "labelled"));
    assert_int_equal(atoi(text), seen.n);
    assert_true(ecg_record_field(text, sizeof text, m.record, "records"));
    assert_int_equal(atoi(text), l.role[ECG_TRAIN].n); /* all of them align */
    ecg_model_clear(&m);
    c.label[0] = own;
    ecg_rows_clear(&seen);
    ecg_loader_close(&l);
    ecg_cohort_close(&c);
    free(changed);
}

/* With so few labels that most batches have none. */
static void batches_without_labels_are_fine(void **state)
{
    (void)state;
    joint(&(tiny_run){.run = "few", .more = "train.labelled=2;joint.batch=8;joint.epochs=3"});
    assert_true(isfinite(tiny_metric("few", -1, "loss")));
    assert_true(tiny_metric("few", -1, "weight_diagnoses") < 0.9); /* mean over the steps; absent counts as 0 */
}

static void a_loss_that_is_not_finite_stops_the_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ecg_err err = {0};
        ecg_model m;
        const tiny_run a = {.run = "boom", .on = &absurd, .cohort = "absurd.cohort", .force = true, .more = weightings[i]};
        assert_int_equal(try_joint(&a, &err), ECG_EDATA);
        if (!strstr(err.msg, "joint: ") || !strstr(err.msg, "is not finite in epoch 2, step "))
            fail_msg("%s", err.msg);
        load(&m, "boom"); /* of epoch 1, where the record was left over */
        for (size_t k = 0; k < m.table.floats; k++)
            assert_true(isfinite(m.table.value[k]));
        ecg_model_clear(&m);
    }
}

static void impossible_runs_are_refused(void **state)
{
    (void)state;
    static const struct { const char *why; tiny_run a; ecg_status status; const char *says; } cases[] = {
        {"no table", {.run = "x", .on = &bare, .cohort = "bare.cohort"}, ECG_ECONTRACT, "no tabular columns"},
        {"no such labels", {.run = "x", .set = "superclass"}, ECG_EDATA, "no label set 'superclass'"},
        {"labs for both", {.run = "x", .set = "labs"}, ECG_EARG, "which is the laboratory head's"},
        {"odd state", {.run = "x", .more = "encoder.state=5"}, ECG_EARG, "odd"},
        {"crops longer than records", {.run = "x", .more = "encoder.length=201"}, ECG_ECONTRACT, "do not fit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256];
        ecg_err err = {0};
        const ecg_status st = try_joint(&cases[i].a, &err);
        if (st != cases[i].status || !strstr(err.msg, cases[i].says))
            fail_msg("%s: %s: %s", cases[i].why, ecg_status_text(st), err.msg);
        if (access(tiny_path(path, "x"), F_OK) == 0)
            fail_msg("%s: left something behind", cases[i].why);
    }
    ecg_cohort c;
    ecg_err err = {0};
    tiny_open(&c, "usual.cohort", &usual);
    int8_t *unknown = malloc((size_t)c.n * TINY_LABS);
    memset(unknown, -1, (size_t)c.n * TINY_LABS);
    const int8_t *const own[] = {c.label[0], c.label[1]};
    c.label[0] = c.label[1] = unknown;
    assert_int_equal(try_joint(&(tiny_run){.run = "x", .changed = &c}, &err), ECG_EDATA);
    assert_non_null(strstr(err.msg, "no training record has a known diagnosis or laboratory label"));
    c.label[0] = own[0];
    c.label[1] = own[1];
    ecg_cohort_close(&c);
    free(unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_variances_follow_their_loss),
        cmocka_unit_test(log_variances_stay_bounded),
        cmocka_unit_test(conflicts_are_projected_away),
        cmocka_unit_test(every_weighting_learns),
        cmocka_unit_test(one_model_answers_both),
        cmocka_unit_test(threads_memory_and_pauses_change_nothing),
        cmocka_unit_test(a_single_task_is_not_projected),
        cmocka_unit_test(hidden_labels_are_not_read),
        cmocka_unit_test(batches_without_labels_are_fine),
        cmocka_unit_test(a_loss_that_is_not_finite_stops_the_run),
        cmocka_unit_test(impossible_runs_are_refused),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
