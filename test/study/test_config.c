/* SPDX-License-Identifier: MIT
 * Settings: presets, order, bounds, YAML that is right and YAML that is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net/adamw.h"
#include "net/loss.h"
#include "study/config.h"

static ecg_status parse(ecg_config *c, const char *text, bool keep_preset, ecg_err *err)
{
    return ecg_config_parse(c, text, strlen(text), "test.yaml", keep_preset, err);
}

static void presets_have_their_values(void **state)
{
    (void)state;
    ecg_config c;
    assert_int_equal(ecg_config_preset(&c, "paper", NULL), ECG_OK);
    assert_int_equal(c.encoder.width, 512);
    assert_int_equal(c.encoder.blocks, 4);
    assert_int_equal(c.encoder.state, 8);
    assert_int_equal(c.encoder.length, 250);
    assert_int_equal(c.projector.out, 512);
    assert_int_equal(c.pretrain.batch, 256);
    assert_int_equal(c.finetune.batch, 32);
    assert_true(fabs(c.pretrain.lambda - 0.02) < 1e-15);
    assert_int_equal(ecg_config_preset(&c, "small", NULL), ECG_OK);
    assert_int_equal(c.encoder.width, 32);
    assert_int_equal(c.encoder.blocks, 3);
    assert_int_equal(c.projector.hidden, 128);
    assert_int_equal(c.projector.out, 64);
    assert_true(fabs(c.pretrain.lambda - 0.04) < 1e-15);
    assert_true(c.encoder.dropout == 0);
    assert_true(c.finetune.lr_scratch > c.finetune.lr_encoder);
    assert_int_equal(c.finetune.frozen_blocks, 0);
    assert_int_equal(c.finetune.updates, 1500);
    assert_int_equal(c.finetune.head_hidden, 0);
    assert_int_equal(c.finetune.head_start, 1);
    assert_true(fabs(c.finetune.average - 0.99) < 1e-15);
    assert_int_equal(c.finetune.judge_every, 5);
    assert_int_equal(c.labs.epochs, 15);
    assert_int_equal(ecg_config_preset(&c, "mdsed-s4", NULL), ECG_OK);
    assert_int_equal(c.finetune.head_hidden, 0);
    assert_true(c.finetune.gamma == 2);
    assert_int_equal(c.finetune.reduce, ECG_BCE_SUM_CLASSES);
    ecg_err err;
    assert_int_equal(ecg_config_preset(&c, "papers", &err), ECG_EARG);
    assert_non_null(strstr(err.msg, "nearest is paper"));
}

static void words_are_what_the_network_calls_them(void **state)
{
    (void)state;
    static const char *const names[] = {"const", "linear_nowarmup", "warmup_const", "linear_warmup", "warmup_cos_halfcycle", "warmup_cos_restart3",
                                        "warmup_invsqrt", "warmup_poly_power1"};
    ecg_config c;
    assert_int_equal(ecg_config_preset(&c, "small", NULL), ECG_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool known;
        assert_int_equal(ecg_config_set(&c, "finetune.schedule", names[i], NULL), ECG_OK);
        assert_int_equal(c.finetune.schedule, ecg_lr_from_name(names[i], &known));
        assert_true(known);
    }
    assert_int_equal(ecg_config_set(&c, "labs.reduce", "mean", NULL), ECG_OK);
    assert_int_equal(c.labs.reduce, ECG_BCE_MEAN);
    assert_int_equal(ecg_config_set(&c, "labs.reduce", "class_mean", NULL), ECG_OK);
    assert_int_equal(c.labs.reduce, ECG_BCE_CLASS_MEAN);
}

static void bad_values_are_refused(void **state)
{
    (void)state;
    static const struct { const char *why, *text, *says; } cases[] = {
        {"misspelt key", "pretrain.lamda=0.1", "nearest is 'pretrain.lambda'"},
        {"no such section", "xyzzy.q=1", "no setting is called 'xyzzy.q'"},
        {"no equals sign", "pretrain.lambda", "not section.key=value"},
        {"not a number", "pretrain.lambda=much", "not a number"},
        {"NaN", "pretrain.lr=nan", "not a number"},
        {"infinite", "pretrain.lr=inf", "not a number"},
        {"too large", "pretrain.lr=11", "outside 0 to 10"},
        {"negative", "finetune.epochs=-1", "outside 1 to"},
        {"half an epoch", "finetune.epochs=1.5", "not a whole number"},
        {"beyond 64 bit", "train.seed=99999999999999999999", "not a whole number"},
        {"empty", "finetune.batch=", "not a whole number"},
        {"not a truth value", "encoder.bidirectional=yes", "neither true nor false"},
        {"not one of the words", "finetune.reduce=sum", "none of mean|sum_classes|class_mean"},
        {"part of a word", "finetune.reduce=mea", "none of"},
        {"a mean that never moves", "finetune.average=1", "outside 0 to"},
        {"never judged", "finetune.judge_every=0", "outside 1 to"},
        {"no such beginning", "labs.head_start=zero", "none of random|ridge"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_config c, before;
        ecg_err err = {0};
        ecg_config_preset(&c, "small", NULL);
        memcpy(&before, &c, sizeof c);
        if (ecg_config_assign(&c, cases[i].text, &err) != ECG_EARG || !strstr(err.msg, cases[i].says))
            fail_msg("%s: '%s' gave '%s'", cases[i].why, cases[i].text, err.msg);
        assert_memory_equal(&before, &c, sizeof c);
    }
}

static void yaml_is_read(void **state)
{
    (void)state;
    ecg_config c;
    ecg_err err = {0};
    ecg_config_preset(&c, "paper", NULL);
    const char *text = "\xEF\xBB\xBF# a comment\npreset: small\npretrain:\n  epochs: 5   # five\n  lambda: '0.3'\n\nencoder: {width: 16, bidirectional: false}\n"
                       "finetune:\n  reduce: class_mean\n";
    if (parse(&c, text, false, &err))
        fail_msg("%s", err.msg);
    assert_string_equal(c.preset, "small");
    assert_int_equal(c.pretrain.epochs, 5);
    assert_true(fabs(c.pretrain.lambda - 0.3) < 1e-15);
    assert_int_equal(c.encoder.width, 16);
    assert_false(c.encoder.bidirectional);
    assert_int_equal(c.encoder.blocks, 3);
    assert_int_equal(c.finetune.reduce, ECG_BCE_CLASS_MEAN);
    ecg_config_preset(&c, "paper", NULL); /* a preset on the command line is stronger than the file's */
    assert_int_equal(parse(&c, text, true, &err), ECG_OK);
    assert_string_equal(c.preset, "paper");
    assert_int_equal(c.encoder.blocks, 4);
    assert_int_equal(c.encoder.width, 16);
    assert_int_equal(parse(&c, "", false, &err), ECG_OK);
    assert_int_equal(parse(&c, "# nothing\n", false, &err), ECG_OK);
    assert_int_equal(parse(&c, "pretrain: {}\n", false, &err), ECG_OK);
}

static void broken_yaml_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct { const char *why, *text; int64_t line; const char *says; } cases[] = {
        {"unknown key", "pretrain:\n  epochs: 3\n  epoch: 4\n", 3, "nearest is 'pretrain.epochs'"},
        {"unknown section", "pretraining:\n  epochs: 3\n", 2, "no setting"},
        {"unknown key at the top", "epochs: 3\n", 1, "no setting"},
        {"unknown preset", "\npreset: large\n", 2, "no preset"},
        {"three levels", "pretrain:\n  epochs:\n    deep: 1\n", 3, "two levels"},
        {"a list", "pretrain:\n  epochs: [1, 2]\n", 2, "two levels"},
        {"a list of sections", "- pretrain\n", 1, "sections with keys"},
        {"a lone word", "pretrain\n", 1, "sections with keys"},
        {"twice", "pretrain:\n  epochs: 3\n  epochs: 4\n", 3, "already set on line 2"},
        {"twice in two sections of a name", "pretrain:\n  epochs: 3\npretrain:\n  epochs: 4\n", 4, "already set on line 2"},
        {"out of bounds", "pretrain:\n  epochs: 0\n", 2, "outside 1"},
        {"no value", "pretrain:\n  epochs:\n", 2, "not a whole number"},
        {"anchor", "pretrain:\n  epochs: &a 3\n", 2, "anchors"},
        {"alias", "pretrain:\n  epochs: *a\n", 2, "two levels"},
        {"two documents", "pretrain:\n  epochs: 3\n---\nlabs:\n  epochs: 3\n", 3, "second document"},
        {"tab", "pretrain:\n\tepochs: 3\n", 2, "not YAML"},
        {"bracket never closed", "pretrain: {epochs: 3\n", 2, "not YAML"},
        {"binary noise", "\x01\x02\xff\xfe\n", 1, "not YAML"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ecg_config c, before;
        ecg_err err = {0};
        ecg_config_preset(&c, "small", NULL);
        memcpy(&before, &c, sizeof c);
        if (!parse(&c, cases[i].text, false, &err))
            fail_msg("%s: was read", cases[i].why);
        if (err.line != cases[i].line || !strstr(err.msg, cases[i].says) || strcmp(err.path, "test.yaml"))
            fail_msg("%s: %s:%d: %s", cases[i].why, err.path, (int)err.line, err.msg);
        assert_memory_equal(&before, &c, sizeof c);
    }
    char longest[400] = "pretrain:\n  ";
    memset(longest + strlen(longest), 'x', 300);
    ecg_config c;
    ecg_config_preset(&c, "small", NULL);
    assert_int_equal(parse(&c, longest, false, NULL), ECG_EDATA);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    static const char *const presets[] = {"paper", "small", "mdsed-s4"};
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        ecg_config c, back;
        ecg_err err = {0};
        char *text, *again, what[200];
        ecg_config_preset(&c, presets[i], NULL);
        ecg_config_set(&c, "pretrain.lr", "0.00030000000000000003", NULL);
        ecg_config_set(&c, "train.seed", "9007199254740991", NULL);
        ecg_config_set(&c, "labs.schedule", "warmup_poly_power1", NULL);
        assert_int_equal(ecg_config_text(&text, &c, NULL), ECG_OK);
        ecg_config_preset(&back, "paper", NULL);
        if (ecg_config_parse(&back, text, strlen(text), "config.yaml", false, &err))
            fail_msg("%s: %s", presets[i], err.msg);
        assert_int_equal(ecg_config_text(&again, &back, NULL), ECG_OK);
        assert_string_equal(text, again);
        assert_false(ecg_config_differs(what, sizeof what, &c, &back));
        ecg_config_set(&back, "train.memory_mb", "7", NULL); /* free to change between sessions */
        assert_false(ecg_config_differs(what, sizeof what, &c, &back));
        ecg_config_set(&back, "labs.decay", "0.5", NULL);
        assert_true(ecg_config_differs(what, sizeof what, &c, &back));
        assert_string_equal(what, "labs.decay: 0.001 in the run, 0.5 asked");
        free(text);
        free(again);
    }
}

static void odd_states_are_refused(void **state)
{
    (void)state;
    ecg_config c;
    ecg_config_preset(&c, "small", NULL);
    assert_int_equal(ecg_config_check(&c, NULL), ECG_OK);
    c.encoder.state = 7;
    assert_int_equal(ecg_config_check(&c, NULL), ECG_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_have_their_values),
        cmocka_unit_test(words_are_what_the_network_calls_them),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(yaml_is_read),
        cmocka_unit_test(broken_yaml_is_refused_with_its_line),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(odd_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
