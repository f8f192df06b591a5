/* SPDX-License-Identifier: MIT
 * test_weights.c: a model stored in fewer bits: how large, how near, and what loading refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "made.h"

static const char *const names[] = {"float32.safetensors", "bf16.safetensors", "int8.safetensors"};
static const made_shape shape = {.width = 32, .length = 250, .blocks = 2, .diagnoses = 40, .labs = 5};

static void save_all(void)
{
    static ecg_model m;
    ecg_err err = {0};
    made_model(&m, &shape);
    for (int k = 0; k < 3; k++)
        if (ecg_model_save_as(&m, made_path(names[k]), (ecg_weights)k, &err))
            fail_msg("%s", err.msg);
    ecg_model_clear(&m);
}

/* Is it stored in fewer bits? As docs/formats.md says it. */
static bool shrinks(const ecg_param *p)
{
    return p->rank == 2 && p->dim[0] >= 16 && p->dim[1] >= 16 && !(p->flags & ECG_P_BUFFER);
}

static void test_how_near(void **state)
{
    (void)state;
    save_all();
    ecg_model *m[3];
    ecg_err err = {0};
    for (int k = 0; k < 3; k++)
        if (ecg_model_open(&m[k], made_path(names[k]), &err))
            fail_msg("%s: %s", names[k], err.msg);
    assert_non_null(m[0]->file); /* floats stay in the file */
    assert_true(!m[1]->file && !m[2]->file);
    int shrunk = 0;
    for (int r = 0; r < m[0]->table.n; r++) {
        const ecg_param *p = &m[0]->table.row[r];
        const float *x = ecg_value(&m[0]->table, r), *half = ecg_value(&m[1]->table, r), *q = ecg_value(&m[2]->table, r);
        shrunk += shrinks(p);
        for (size_t i = 0; i < p->count; i++) {
            if (!shrinks(p)) {
                assert_memory_equal(&x[i], &half[i], sizeof *x);
                assert_memory_equal(&x[i], &q[i], sizeof *x);
                continue;
            }
            const size_t columns = (size_t)p->dim[1];
            float most = 0;
            for (size_t c = 0; c < columns; c++)
                most = fmaxf(most, fabsf(x[i / columns * columns + c]));
            assert_true(fabsf(half[i] - x[i]) <= fabsf(x[i]) / 256);      /* 8 bits of mantissa, halves to either side */
            assert_true(fabsf(q[i] - x[i]) <= most / 127 * 0.5001f);      /* half a step */
        }
    }
    assert_int_equal(shrunk, 3); /* two output maps and one head; that of 5 labels has too few rows */
    for (int k = 0; k < 3; k++)
        ecg_model_close(m[k]);
}

static void test_how_large(void **state)
{
    (void)state;
    int64_t size[3];
    save_all();
    for (int k = 0; k < 3; k++) {
        ecg_bytes b;
        assert_int_equal(ecg_file_map(&b, made_path(names[k]), NULL), ECG_OK);
        size[k] = (int64_t)b.len;
        ecg_bytes_free(&b);
    }
    const int64_t matrices = 2 * 64 * 32 + 40 * 32, rows = 2 * 64 + 40, slack = 600; /* slack: names of scales in the header, padding */
    assert_true(llabs(size[0] - size[1] - 2 * matrices) < slack);
    assert_true(llabs(size[0] - size[2] - (3 * matrices - 4 * rows)) < slack);
}

static void test_answers(void **state)
{
    (void)state;
    ecg_record rec;
    ecg_answer a[3];
    ecg_model *m[3];
    save_all();
    made_record(&rec, 500, 10, 3);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(ecg_model_open(&m[k], made_path(names[k]), NULL), ECG_OK);
        assert_int_equal(ecg_predict(&a[k], m[k], &rec, NULL, NULL), ECG_OK);
    }
    double off[3] = {0}, most = 0;
    for (int i = 0; i < a[0].diagnoses; i++)
        for (int k = 0; k < 3; k++)
            for (int j = 0; j < a[k].diagnoses; j++)
                if (a[k].diagnosis[j].row == a[0].diagnosis[i].row) {
                    off[k] = fmax(off[k], fabs(a[k].diagnosis[j].crop_mean_logit - a[0].diagnosis[i].crop_mean_logit));
                    most = fmax(most, fabs(a[0].diagnosis[i].crop_mean_logit));
                }
    assert_true(off[1] > 0 && off[1] < 0.02 * most);
    assert_true(off[2] > 0 && off[2] < 0.05 * most);
    for (int k = 0; k < 3; k++) {
        ecg_answer_clear(&a[k]);
        ecg_model_close(m[k]);
    }
    ecg_record_clear(&rec);
}

static void test_back_and_again(void **state)
{
    (void)state;
    static const char *const kept[] = {"bf16.safetensors", "int8.safetensors"};
    save_all();
    for (int k = 0; k < 2; k++) { /* what is loaded and stored in the same bits is the same file; in whole floats the same values */
        static ecg_model m, again;
        ecg_bytes one, two;
        assert_int_equal(ecg_model_load(&m, made_path(kept[k]), false, true, NULL), ECG_OK);
        assert_int_equal(ecg_model_save_as(&m, made_path("again.safetensors"), k ? ECG_WEIGHTS_INT8 : ECG_WEIGHTS_BF16, NULL), ECG_OK);
        assert_int_equal(ecg_file_map(&one, made_path(kept[k]), NULL), ECG_OK);
        assert_int_equal(ecg_file_map(&two, made_path("again.safetensors"), NULL), ECG_OK);
        assert_int_equal(one.len, two.len);
        if (k == 0)
            assert_memory_equal(one.at, two.at, one.len);
        ecg_bytes_free(&one);
        ecg_bytes_free(&two);
        assert_int_equal(ecg_model_save(&m, made_path("again.safetensors"), NULL), ECG_OK);
        assert_int_equal(ecg_model_load(&again, made_path("again.safetensors"), true, true, NULL), ECG_OK);
        assert_memory_equal(m.table.value, again.table.value, m.table.floats * sizeof(float));
        ecg_model_clear(&m);
        ecg_model_clear(&again);
    }
}

/* ---- what is refused -------------------------------------------------------------------------------------------------------------- */

typedef struct { const char *why, *file, *tensor; size_t at; const char *bytes; size_t len; const char *old, *renamed, *message; } spoiling;

static void spoil(const spoiling *s)
{
    ecg_tensors *t;
    ecg_bytes b;
    assert_int_equal(ecg_file_map(&b, made_path(s->file), NULL), ECG_OK);
    char *copy = malloc(b.len);
    assert_non_null(copy);
    memcpy(copy, b.at, b.len);
    assert_int_equal(ecg_tensors_parse(&t, b.at, b.len, NULL), ECG_OK);
    if (s->tensor) {
        const ecg_tensor *x = ecg_tensors_find(t, s->tensor);
        assert_true(x && s->at + s->len <= x->bytes);
        memcpy(copy + ((const uint8_t *)x->data - (const uint8_t *)b.at) + s->at, s->bytes, s->len);
    } else {
        char *found = memmem(copy, b.len, s->old, strlen(s->old));
        assert_non_null(found);
        memcpy(found, s->renamed, strlen(s->renamed));
    }
    FILE *f = fopen(made_path("spoilt.safetensors"), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(copy, 1, b.len, f), b.len);
    fclose(f);
    free(copy);
    ecg_tensors_close(t);
    ecg_bytes_free(&b);
}

static void test_refused(void **state)
{
    (void)state;
    static const spoiling cases[] = {
        {"infinite bf16", "bf16.safetensors", "ecg.s4_layers.0.output_linear.0.weight", 6, "\x80\x7f", 2, NULL, NULL, "output_linear.0.weight"},
        {"bf16 that is no number", "bf16.safetensors", "head_diagnoses.weight", 0, "\xc1\xff", 2, NULL, NULL, "head_diagnoses.weight"},
        {"negative scale", "int8.safetensors", "head_diagnoses.weight.scale", 4, "\x00\x00\x80\xbf", 4, NULL, NULL, "head_diagnoses.weight.scale"},
        {"scale that is no number", "int8.safetensors", "head_diagnoses.weight.scale", 0, "\x00\x00\xc0\x7f", 4, NULL, NULL, "head_diagnoses.weight.scale"},
        {"a scale whose values overflow", "int8.safetensors", "head_diagnoses.weight.scale", 0, "\xff\xff\x7f\x7f", 4, NULL, NULL, "head_diagnoses.weight.scale"},
        {"no scales", "int8.safetensors", NULL, 0, NULL, 0, "head_diagnoses.weight.scale", "head_diagnoses.weight.scalx", "head_diagnoses.weight.scale"},
        {"a later major", "int8.safetensors", NULL, 0, NULL, 0, "\"format_version\":\"2.0\"", "\"format_version\":\"3.0\"", "version 3.0"},
        {"int8 where there is no row of scales: a bias", "float32.safetensors", NULL, 0, NULL, 0, "\"dtype\":\"F32\"", "\"dtype\":\"I32\"", ""},
    };
    save_all();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_model *m;
        ecg_err err = {0};
        spoil(&cases[c]);
        const ecg_status st = ecg_model_open(&m, made_path("spoilt.safetensors"), &err);
        if ((st != ECG_EDATA && st != ECG_EUNSUPPORTED) || !strstr(err.msg, cases[c].message))
            fail_msg("%s: status %d, \"%s\"", cases[c].why, (int)st, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_near), cmocka_unit_test(test_how_large), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_back_and_again), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, made_begin, made_end);
}
