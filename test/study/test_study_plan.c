/* SPDX-License-Identifier: MIT
 * test_study_plan.c: what a study consists of: rows and the stages they need, what a cohort cannot give, ablation lines, settings that are refused;
 * and means over cohorts and seeds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "study/study_parts.h"
#include "tiny_cohort.h"

static const tiny usual = {.patients = 24, .per_patient = 1, .samples = 100, .seed = 1};
static const tiny bare = {.patients = 24, .per_patient = 1, .samples = 100, .no_columns = true, .seed = 1};

static ecg_config settings(const char *one)
{
    ecg_config c;
    ecg_err err = {0};
    if (ecg_config_preset(&c, "small", &err) || (one && ecg_config_assign(&c, one, &err)))
        fail_msg("%s", err.msg);
    return c;
}

typedef struct {
    const char *set, *only, *ablate; /* set: a setting */
    bool no_controls, published, bare;
} asked;

static ecg_status make(ecg_plan *p, const asked *a, ecg_err *err)
{
    ecg_cohort c;
    const ecg_config config = settings(a->set);
    const ecg_study_task t = {.config = &config, .only = a->only, .controls = !a->no_controls, .ablate = a->ablate, .published = a->published};
    tiny_open(&c, a->bare ? "bare.cohort" : "usual.cohort", a->bare ? &bare : &usual);
    const ecg_status st = ecg_plan_make(p, &t, &c, err);
    ecg_cohort_close(&c);
    return st;
}

static void must(ecg_plan *p, const asked *a)
{
    ecg_err err = {0};
    if (make(p, a, &err))
        fail_msg("%s", err.msg);
}

/* "a b c": the stages asked for, in order, and no others. */
static void stages_are(const asked *a, const char *want, const char *why)
{
    ecg_plan p;
    char got[2000] = "";
    must(&p, a);
    for (int i = 0; i < p.stages; i++)
        if (p.stage[i].asked)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", *got ? " " : "", p.stage[i].id);
    if (strcmp(got, want))
        fail_msg("%s: \"%s\", expected \"%s\"", why, got, want);
    ecg_plan_clear(&p);
}

static void rows_need_these_stages(void **state)
{
    (void)state;
    const struct { asked a; const char *want, *why; } cases[] = {
        {{.only = "signal", .no_controls = true}, "signal/diagnoses", "one row"},
        {{.only = "ours_shared", .no_controls = true}, "ours/pretrain ours/diagnoses ours/labs_shared", "a row with those before it"},
        {{.only = "ours_shared,ours_branched", .no_controls = true}, "ours/pretrain ours/diagnoses ours/labs_shared ours/labs_branched", "shared stages once"},
        {{.only = "signal"}, "signal/diagnoses random/encoder", "probes need something to compare with"},
        {{.no_controls = true}, "signal/diagnoses ours/pretrain ours/diagnoses ours/labs_shared ours/labs_branched multi/diagnoses multi_labs/labs", "the table"},
        {{0},
         "signal/diagnoses ours/pretrain ours/diagnoses ours/labs_shared ours/labs_branched multi/diagnoses multi_labs/labs ecg_labs/labs random/encoder "
         "ours_random/diagnoses ours_random/labs shuffled/pretrain shuffled/diagnoses signal_long/diagnoses signal_hidden/diagnoses",
         "with controls; all records have labels, so that rows with all labels are the rows themselves"},
        {{.set = "finetune.head_hidden=8"},
         "signal/diagnoses ours/pretrain ours/diagnoses ours/labs_shared ours/labs_branched multi/diagnoses multi_labs/labs ecg_labs/labs random/encoder "
         "ours_random/diagnoses ours_random/labs shuffled/pretrain shuffled/diagnoses signal_long/diagnoses",
         "where all rows have a hidden layer in the head, signal only needs no row for it"},
        {{.set = "train.labelled=5", .only = "signal_all", .no_controls = true}, "signal_all/diagnoses", "a control by name"},
        {{.only = "signal", .no_controls = true, .published = true}, "signal/diagnoses", "published rows only where no rows are named"},
        {{.only = "signal", .no_controls = true, .ablate = "frozen_1"}, "signal/diagnoses ours/pretrain ours/diagnoses ours/labs_shared ablation-frozen_1/diagnoses ablation-frozen_1/labs",
         "a line of stage 2 begins with the stage 1 of ours, and is compared with ours"},
        {{.only = "signal", .no_controls = true, .ablate = "lambda_quarter"},
         "signal/diagnoses ours/pretrain ours/diagnoses ours/labs_shared ablation-lambda_quarter/pretrain ablation-lambda_quarter/diagnoses ablation-lambda_quarter/labs", "a line of stage 1 has its own"},
        {{.only = "signal", .no_controls = true, .ablate = "order"},
         "signal/diagnoses ours/pretrain ours/diagnoses ours/labs_shared ours/labs_branched ablation-labs_first/diagnoses ablation-labs_first/labs", "labs first"},
        {{.only = "signal", .no_controls = true, .ablate = "distill_one"},
         "signal/diagnoses ours/pretrain ours/diagnoses ours/labs_shared multi/diagnoses ablation-distill_one/diagnoses ablation-distill_one/labs", "a teacher is trained before its pupil"},
        {{.only = "signal", .no_controls = true, .ablate = "joint_none"},
         "signal/diagnoses ours/pretrain ours/diagnoses ours/labs_shared ablation-joint_none/joint", "joint training begins with nothing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        stages_are(&cases[i].a, cases[i].want, cases[i].why);
}

static void the_plan_holds_together(void **state)
{
    (void)state;
    ecg_plan p;
    const ecg_row_info *rows;
    const ecg_pair_info *pairs;
    const int n = ecg_rows_of_table(&rows), np = ecg_pairs_of_table(&pairs);
    must(&p, &(asked){.set = "train.labelled=5", .ablate = "all", .published = true});
    for (int i = 0; i < n; i++) {
        const int at = ecg_plan_find(&p, rows[i].stage);
        assert_true(at >= 0 && p.stage[at].asked && p.wanted[i]);
        assert_int_equal(p.stage[at].kind, rows[i].task == ECG_TASK_LABS ? ECG_KIND_LABS : ECG_KIND_DIAGNOSES);
        assert_ptr_equal(ecg_row_find(rows[i].row, rows[i].task), &rows[i]);
    }
    for (int i = 0; i < np; i++)
        assert_true(ecg_row_find(pairs[i].a, pairs[i].task) && ecg_row_find(pairs[i].b, pairs[i].task));
    for (int i = 0; i < p.stages; i++) {
        assert_true(p.stage[i].from < i && p.stage[i].teacher < i);
        for (int k = 0; k < i; k++)
            assert_true(strcmp(p.stage[i].id, p.stage[k].id) != 0);
    }
    for (int i = 0; i < p.ablations; i++)
        assert_true(p.ablation[i].stage < 0 ? p.ablation[i].state == ECG_STATE_LEFT_OUT && *p.ablation[i].why
                                            : strcmp(p.stage[p.ablation[i].stage].id, p.ablation[i].id) == 0);
    ecg_plan_clear(&p);
}

static const ecg_config *config_of(const ecg_plan *p, const char *id)
{
    const int at = ecg_plan_find(p, id);
    if (at < 0)
        fail_msg("no stage %s", id);
    return &p->stage[at].config;
}

static void stages_set_what_makes_them(void **state)
{
    (void)state;
    ecg_plan p;
    must(&p, &(asked){.set = "train.labelled=5", .ablate = "all", .published = true});
    const ecg_config plain = settings("train.labelled=5");
    assert_int_equal(config_of(&p, "multi/diagnoses")->finetune.tabular, 3);
    assert_int_equal(config_of(&p, "multi_labs/labs")->labs.tabular, 1);
    assert_true(config_of(&p, "shuffled/pretrain")->train.shuffle_pairs && !config_of(&p, "ours/pretrain")->train.shuffle_pairs);
    assert_true(config_of(&p, "signal_all/diagnoses")->train.labelled == 0 && config_of(&p, "signal/diagnoses")->train.labelled == 5);
    assert_int_equal(config_of(&p, "signal_long/diagnoses")->finetune.epochs, 3 * plain.finetune.epochs);
    assert_int_equal(config_of(&p, "signal_long/diagnoses")->finetune.updates, 3 * plain.finetune.updates);
    assert_true(fabs(config_of(&p, "ablation-lambda_fourfold/pretrain")->pretrain.lambda - 4 * plain.pretrain.lambda) < 1e-12);
    assert_int_equal(config_of(&p, "ablation-embedding_half/pretrain")->projector.out, plain.projector.out / 2);
    assert_int_equal(config_of(&p, "ablation-vicreg/pretrain")->pretrain.loss, 1);
    const ecg_config *released = config_of(&p, "signal_published/diagnoses");
    assert_true(released->finetune.head_hidden == 0 && released->finetune.gamma == 2 && released->finetune.epochs == plain.finetune.epochs);
    assert_int_equal(p.stage[ecg_plan_find(&p, "ours_random/diagnoses")].from, ecg_plan_find(&p, "random/encoder"));
    ecg_plan_clear(&p);
}

static void nothing_is_asked_of_a_stage_that_it_cannot_follow(void **state)
{
    (void)state;
    ecg_plan p;
    must(&p, &(asked){.set = "finetune.l2sp=0.5"});
    assert_true(config_of(&p, "ours/diagnoses")->finetune.l2sp == 0.5 && config_of(&p, "ours_random/diagnoses")->finetune.l2sp == 0.5);
    assert_true(config_of(&p, "signal/diagnoses")->finetune.l2sp == 0 && config_of(&p, "multi/diagnoses")->finetune.l2sp == 0);
    ecg_plan_clear(&p);
    must(&p, &(asked){.set = "labs.hold=0.5"});
    assert_true(config_of(&p, "ours/labs_branched")->labs.hold == 0.5 && config_of(&p, "ours/labs_shared")->labs.hold == 0);
    ecg_plan_clear(&p);
    must(&p, &(asked){.set = "finetune.distill=0.5"});
    assert_int_equal(p.stage[ecg_plan_find(&p, "ours/diagnoses")].teacher, ecg_plan_find(&p, "multi/diagnoses"));
    assert_true(config_of(&p, "multi/diagnoses")->finetune.distill == 0 && p.stage[ecg_plan_find(&p, "signal/diagnoses")].teacher < 0);
    assert_true(config_of(&p, "shuffled/diagnoses")->finetune.distill == 0); /* its teacher would have seen the right pairs */
    ecg_plan_clear(&p);
}

static void a_cohort_gives_what_it_has(void **state)
{
    (void)state;
    ecg_plan p;
    must(&p, &(asked){.bare = true, .ablate = "all"});
    const struct { const char *id; bool there; } cases[] = {
        {"signal/diagnoses", true}, {"ours/pretrain", false}, {"ours/diagnoses", false}, {"ours/labs_shared", false}, {"multi/diagnoses", false},
        {"multi_labs/labs", false}, {"ecg_labs/labs", true}, {"ours_random/labs", true}, {"ablation-joint_none/joint", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ecg_plan_stage *s = &p.stage[ecg_plan_find(&p, cases[i].id)];
        if ((s->state != ECG_STATE_LEFT_OUT) != cases[i].there)
            fail_msg("%s: %s", s->id, s->why);
        if (!cases[i].there)
            assert_string_equal(s->why, "the cohort has no tabular columns");
    }
    for (int i = 0; i < p.ablations; i++)
        assert_int_equal(p.ablation[i].state, ECG_STATE_LEFT_OUT); /* all of them are of ours */
    ecg_plan_clear(&p);
}

static void lines_that_change_nothing_are_not_trained(void **state)
{
    (void)state;
    ecg_plan p;
    const struct { const char *set, *line, *why; } cases[] = {
        {"finetune.frozen_blocks=0", "frozen_0", "these are the settings of ours"},
        {"finetune.frozen_blocks=-1", "frozen_1", "these are the settings of ours"}, /* half of 3 */
        {"encoder.blocks=2", "frozen_3", "the encoder has 2 blocks"},
        {"pretrain.loss=vicreg", "vicreg", "these are the settings of ours"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        must(&p, &(asked){.set = cases[i].set, .ablate = cases[i].line});
        int k = 0;
        while (strcmp(p.ablation[k].name, cases[i].line))
            k++;
        assert_int_equal(p.ablation[k].state, ECG_STATE_LEFT_OUT);
        assert_string_equal(p.ablation[k].why, cases[i].why);
        ecg_plan_clear(&p);
    }
}

static void refused(void **state)
{
    (void)state;
    const struct { asked a; const char *says; } cases[] = {
        {{.only = "signal,our_shared"}, "no row is called 'our_shared'; the nearest is ours_shared"},
        {{.only = "zzzzzz"}, "no row is called 'zzzzzz'; there are signal"},
        {{.ablate = "lamda"}, "the nearest is lambda"},
        {{.set = "train.shuffle_pairs=true"}, "row 'shuffled'"},
        {{.set = "finetune.tabular=all"}, "finetune.tabular is what tells the rows"},
        {{.set = "labs.tabular=lab"}, "labs.tabular is what tells the rows"},
        {{.set = "encoder.state=7"}, "odd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_plan p;
        ecg_err err = {0};
        if (make(&p, &cases[i].a, &err) != ECG_EARG || !strstr(err.msg, cases[i].says))
            fail_msg("expected \"%s\": %s", cases[i].says, err.msg);
    }
}

static void settings_as_text(void **state)
{
    (void)state;
    ecg_config c = settings("pretrain.lambda=0.125"), other = settings(NULL);
    ecg_settings all;
    char value[64], text[160];
    ecg_err err = {0};
    assert_int_equal(ecg_settings_of(&all, &c, NULL), ECG_OK);
    assert_true(all.n > 60);
    for (int i = 0; i < all.n; i++) { /* each goes back to where it came from */
        snprintf(text, sizeof text, "%s=%s", all.at[i].name, all.at[i].value);
        if (ecg_config_assign(&other, text, &err))
            fail_msg("%s: %s", text, err.msg);
    }
    assert_false(ecg_config_differs(text, sizeof text, &c, &other));
    ecg_settings_clear(&all);
    assert_true(ecg_setting_value(value, &c, "pretrain.lambda"));
    assert_string_equal(value, "0.125");
    assert_false(ecg_setting_value(value, &c, "pretrain.lamda"));
    assert_true(ecg_setting_free("train.memory_mb") && ecg_setting_free("evaluate.resamples") && !ecg_setting_free("train.seed"));
}

/* ---- means ---------------------------------------------------------------------------------------------------------------- */

#define NONE {NAN, NAN, NAN}

static void means_over_cohorts_and_seeds(void **state)
{
    (void)state;
    const struct { int cohorts, seeds; study_figure f[6]; study_mean want; const char *why; } cases[] = {
        {1, 1, {{0.7, 0.6, 0.8}}, {0.7, 0.6, 0.8, NAN, "bootstrap"}, "one"},
        {1, 1, {{0.7, NAN, NAN}}, {0.7, NAN, NAN, NAN, NULL}, "no resamples"},
        {1, 1, {NONE}, {NAN, NAN, NAN, NAN, NULL}, "none"},
        {1, 3, {{0.7, 0.6, 0.8}, {0.8, 0.7, 0.9}, {0.6, 0.5, 0.7}}, {0.7, 0.6, 0.8, 0.1, "mean_bootstrap"}, "seeds of one cohort"},
        {2, 1, {{0.7, 0.6, 0.8}, {0.8, 0.7, 0.9}}, {0.75, 0.65, 0.85, 0.0707106781186548, "mean_bootstrap"}, "two cohorts"},
        {2, 2, {{0.7, 0.6, 0.8}, {0.9, 0.8, 1.0}, {0.6, 0.5, 0.7}, NONE}, {0.7, 0.6333333333333333, 0.8333333333333334, 0.141421356237310, "mean_bootstrap"},
         "seeds are averaged before cohorts are"},
        /* mean 0.7, standard deviation 0.1, t(2) = 4.302653, half = 4.302653 * 0.1 / sqrt 3 */
        {3, 1, {{0.7, 0.6, 0.8}, {0.8, 0.7, 0.9}, {0.6, 0.5, 0.7}}, {0.7, 0.7 - 0.248413787, 0.7 + 0.248413787, 0.1, "t"}, "three cohorts"},
        {3, 2, {{0.6, 0, 1}, {0.8, 0, 1}, {0.8, 0, 1}, {0.8, 0, 1}, {0.5, 0, 1}, {0.7, 0, 1}}, {0.7, 0.7 - 0.248413787, 0.7 + 0.248413787, 0.1, "t"},
         "three cohorts of two seeds"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ecg_study_task task = {.cohorts = cases[i].cohorts, .seeds = cases[i].seeds};
        const study s = {.task = &task};
        const study_mean m = ecg_book_mean(&s, cases[i].f), *w = &cases[i].want;
        const double got[] = {m.value, m.lo, m.hi, m.spread}, want[] = {w->value, w->lo, w->hi, w->spread};
        for (int k = 0; k < 4; k++)
            if (isnan(got[k]) != isnan(want[k]) || fabs(got[k] - want[k]) > 1e-8)
                fail_msg("%s [%d]: %.12g, expected %.12g", cases[i].why, k, got[k], want[k]);
        assert_true((m.interval == NULL) == (w->interval == NULL) && (!m.interval || strcmp(m.interval, w->interval) == 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_need_these_stages),
        cmocka_unit_test(the_plan_holds_together),
        cmocka_unit_test(stages_set_what_makes_them),
        cmocka_unit_test(nothing_is_asked_of_a_stage_that_it_cannot_follow),
        cmocka_unit_test(a_cohort_gives_what_it_has),
        cmocka_unit_test(lines_that_change_nothing_are_not_trained),
        cmocka_unit_test(refused),
        cmocka_unit_test(settings_as_text),
        cmocka_unit_test(means_over_cohorts_and_seeds),
    };
    return cmocka_run_group_tests(tests, tiny_begin, tiny_end);
}
