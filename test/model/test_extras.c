/* SPDX-License-Identifier: MIT
 * test_extras.c: a model with calibrators, distances and an explainer is saved, loaded, spoilt in every way that loading refuses, and asked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "ecg/prepare.h"
#include "model/extras.h"
#include "model/parts.h"

enum { D = 4, L = 3, H = 8, ROWS = 260 };
static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ecgraft-extras-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static void fill_table(ecg_label_table *t, const char *set, const char *const *code, int n)
{
    snprintf(t->set, sizeof t->set, "%s", set);
    t->n = n;
    t->label = calloc((size_t)n, sizeof *t->label);
    assert_non_null(t->label);
    for (int k = 0; k < n; k++)
        snprintf(t->label[k].code, sizeof t->label[k].code, "%s", code[k]);
    ecg_label_table_hash(t);
}

/* Two linear heads on one embedding of an untrained encoder. */
static void make_model(ecg_model *m)
{
    static const char *const diagnoses[D] = {"E875", "I10", "I480", "N179"}, *const labs[L] = {"Creatinine_high", "Potassium_high", "Sodium_low"};
    ecg_err err = {0};
    *m = (ecg_model){.synthetic = true, .shared_embedding = true, .preset = "tiny", .heads = 2};
    ecg_contract_default(&m->contract);
    m->contract.sets = 2;
    m->contract.table = calloc(2, sizeof *m->contract.table);
    assert_non_null(m->contract.table);
    fill_table(&m->contract.table[0], "diagnoses", diagnoses, D);
    fill_table(&m->contract.table[1], "labs", labs, L);
    m->shape = (ecg_encoder_config){.leads = 12, .width = H, .blocks = 1, .state = 4, .length = 250, .bidirectional = true};
    m->head[0] = (ecg_head){.set = "diagnoses", .prefix = ECG_HEAD_DIAGNOSES};
    m->head[1] = (ecg_head){.set = "labs", .prefix = ECG_HEAD_LABS};
    if (ecg_model_build(m, false, &err))
        fail_msg("%s", err.msg);
    ecg_params_init(&m->table, 7);
    ecg_encoder_init(m->encoder, &m->table, 7);
    if (ecg_encoder_prepare(m->encoder, &m->table, &err))
        fail_msg("%s", err.msg);
    ecg_model_use(m, &(ecg_exec){ecg_kernels_pick(NULL), NULL});
    for (int h = 0; h < 2; h++)
        for (int k = 0; k < (h ? L : D); k++) {
            m->head[h].prevalence[k] = 0.2;
            m->head[h].auroc[k] = 0.8;
        }
}

/* Records around the embedding `at` with logits around those of the heads: label 3 follows lab 1, the labs are seen well. */
static void fit(ecg_model *m, const float *at, const double *lab_at)
{
    static float h[ROWS * H];
    static double score[ROWS * D], lab[ROWS * L], pattern[ROWS * ECG_PATTERNS];
    static int8_t label[ROWS * D], measured[ROWS * L];
    static int64_t patient[ROWS];
    for (int i = 0; i < ROWS; i++) {
        ecg_rng r;
        ecg_rng_open(&r, 5, 0, 300, (uint32_t)i, 0);
        for (int j = 0; j < H; j++)
            h[i * H + j] = at[j] + (float)(0.5 * ecg_rng_normal(&r));
        for (int p = 0; p < L; p++) {
            lab[i * L + p] = lab_at[p] - 1 + ((double)h[i * H + p] - (double)at[p]) * 2; /* the recording lies above their average */
            measured[i * L + p] = lab[i * L + p] + 0.3 * ecg_rng_normal(&r) > lab_at[p] - 0.8;
        }
        for (int k = 0; k < D; k++) {
            score[i * D + k] = k == 0 || k == 3 ? lab[i * L + 1] + 0.1 * ecg_rng_normal(&r) : ecg_rng_normal(&r);
            label[i * D + k] = k == 1 ? i < 10 : score[i * D + k] + ecg_rng_normal(&r) > (k == 0 || k == 3 ? lab_at[1] - 1 : 0);
        }
        pattern[2 * i] = 50;
        pattern[2 * i + 1] = i % 2;
        patient[i] = i;
    }
    ecg_moments moments;
    const ecg_explain_rows rows = {ROWS, D, L, H, h, score, lab, label, measured, pattern, patient};
    assert_int_equal(ecg_moments_of(&moments, h, ROWS, H), 0);
    assert_int_equal(ecg_outlier_fit(&m->outlier, &moments, h, ROWS), 0);
    assert_int_equal(ecg_explainer_fit(&m->explainer, &rows, &rows, &moments, 1, NULL), 0);
    assert_int_equal(ecg_uncertainty_fit(&m->uncertain[0], score, label, ROWS, D, NULL), 0);
    assert_int_equal(ecg_uncertainty_fit(&m->uncertain[1], lab, measured, ROWS, L, NULL), 0);
    snprintf(m->calibration, sizeof m->calibration, "{\"records\": %d}", ROWS);
    ecg_moments_clear(&moments);
}

/* Spikes once a second on a little noise: peaked enough for heartbeats. */
static void make_record(ecg_record *rec)
{
    assert_int_equal(ecg_record_make(rec, 12, 1000, 100, NULL), ECG_OK);
    ecg_rng g;
    ecg_rng_open(&g, 3, 0, 902, 0, 0);
    for (int l = 0; l < 12; l++) {
        snprintf(rec->lead[l].name, sizeof rec->lead[l].name, "%s", ecg_lead_names[l]);
        snprintf(rec->lead[l].unit, sizeof rec->lead[l].unit, "mV");
        rec->lead[l].per_frame = 1;
        float *v = rec->value + l * 1000;
        const float *I = rec->value, *II = rec->value + 1000;
        for (int i = 0; i < 1000; i++)
            switch (l) {
            case ECG_III: v[i] = II[i] - I[i]; break;
            case ECG_AVR: v[i] = -(I[i] + II[i]) / 2; break;
            case ECG_AVL: v[i] = I[i] - II[i] / 2; break;
            case ECG_AVF: v[i] = II[i] - I[i] / 2; break;
            default: v[i] = (float)((0.5 + 0.1 * l) * exp(-0.02 * (i % 100 - 50) * (i % 100 - 50)) + 0.01 * ecg_rng_normal(&g));
            }
    }
}

/* A model whose records lie where this recording lies. */
static void make_learned(ecg_model *m, ecg_record *rec)
{
    ecg_answer a;
    ecg_err err = {0};
    float at[H];
    double lab[L];
    make_model(m);
    make_record(rec);
    if (ecg_predict(&a, m, rec, NULL, &err))
        fail_msg("%s", err.msg);
    assert_false(a.calibrated || a.explained);
    assert_int_equal(a.input, ECG_INPUT_OK);
    for (int i = 0; i < L; i++)
        lab[a.lab[i].row] = a.lab[i].crop_mean_logit;
    ecg_answer_clear(&a);
    float *x = malloc(1000 * 12 * sizeof *x), h[4 * H];
    unsigned found;
    assert_int_equal(ecg_prepare(x, &found, &m->contract, rec, &err), ECG_OK);
    assert_int_equal(ecg_embed_crops(h, m, x, 4, &err), ECG_OK);
    ecg_mean_crops(at, h, 4, H);
    free(x);
    fit(m, at, lab);
}

static void test_answers_with_claims(void **state)
{
    (void)state;
    ecg_model m;
    ecg_record rec;
    ecg_answer a;
    ecg_err err = {0};
    make_learned(&m, &rec);
    if (ecg_predict(&a, &m, &rec, &(ecg_predict_options){.explain = -1}, &err))
        fail_msg("%s", err.msg);
    assert_true(a.calibrated && a.explained && a.alpha == 0.1 && !*a.not_explained);
    assert_int_equal(a.input, ECG_INPUT_OK);
    assert_true(a.percentile < 50);
    assert_int_equal(a.whys, D);
    for (int i = 0; i < D; i++) {
        const ecg_score *s = &a.diagnosis[i];
        const ecg_why *y = s->why;
        assert_true(s->lo <= s->probability && s->probability <= s->hi);
        assert_int_equal(s->verdict == ECG_VERDICT_NONE, s->row == 1); /* 10 cases */
        assert_true(fabs(y->labs + y->age_sex + y->other - y->above) < 1e-12 && fabs(y->logit - y->baseline - y->above) < 1e-12);
        assert_true(y->logit == s->crop_mean_logit);
        if (s->row == 0 || s->row == 3) { /* both follow potassium; of E87.5 that is no explanation */
            assert_int_equal(s->row == 0 ? y->same : y->cited, 1);
            assert_string_equal(y->cite[0].code, "Potassium_high");
            assert_true(y->cite[0].lo > 0 && y->cite[0].bar > 0.5 && y->cite[0].bar < 1.5);
            assert_int_equal(y->cite[0].same_thing != NULL, s->row == 0);
            assert_true(y->cite[0].before == s->probability && y->cite[0].free >= 0 && y->cite[0].free <= 1 && y->cite[0].odds > 1);
            assert_int_equal(y->grade == 'D', 0);
        } else {
            assert_int_equal(y->cited + y->same, 0);
        }
    }
    ecg_answer_clear(&a);
    /* far away from the records of training: no claims at all */
    m.outlier.mean[0] += 1000;
    if (ecg_predict(&a, &m, &rec, &(ecg_predict_options){.explain = -1, .alpha = 0.2}, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(a.input, ECG_INPUT_REFUSED);
    assert_true(a.whys == 0 && a.yes + a.no + a.uncertain == 0 && isnan(a.diagnosis[0].lo) && a.doubts == 1 && a.alpha == 0.2);
    ecg_answer_clear(&a);
    m.outlier.mean[0] -= 1000;
    static const double wrong[] = {-1, 0.001, 0.6, NAN};
    for (int i = 0; i < 4; i++)
        assert_int_equal(ecg_predict(&a, &m, &rec, &(ecg_predict_options){.alpha = wrong[i]}, &err), ECG_EARG);
    ecg_record_clear(&rec);
    ecg_model_clear(&m);
}

static void test_save_load_save(void **state)
{
    (void)state;
    ecg_model m, loaded;
    ecg_record rec;
    ecg_answer a, b;
    ecg_err err = {0};
    ecg_bytes one, two;
    make_learned(&m, &rec);
    assert_int_equal(ecg_model_save(&m, in_folder("one.safetensors"), &err), ECG_OK);
    if (ecg_model_load(&loaded, in_folder("one.safetensors"), false, false, &err))
        fail_msg("%s: %s", err.path, err.msg);
    assert_string_equal(loaded.calibration, m.calibration);
    assert_int_equal(ecg_model_save(&loaded, in_folder("two.safetensors"), &err), ECG_OK);
    assert_int_equal(ecg_file_read(&one, in_folder("one.safetensors"), NULL), ECG_OK);
    assert_int_equal(ecg_file_read(&two, in_folder("two.safetensors"), NULL), ECG_OK);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.at, two.at, one.len);
    ecg_bytes_free(&one);
    ecg_bytes_free(&two);
    const ecg_predict_options how = {.explain = 2};
    assert_int_equal(ecg_predict(&a, &m, &rec, &how, &err), ECG_OK);
    assert_int_equal(ecg_predict(&b, &loaded, &rec, &how, &err), ECG_OK);
    assert_int_equal(a.whys, 2);
    for (int i = 0; i < D; i++) {
        assert_memory_equal(&a.diagnosis[i].probability, &b.diagnosis[i].probability, sizeof(double));
        assert_int_equal(a.diagnosis[i].verdict, b.diagnosis[i].verdict);
        assert_int_equal(a.diagnosis[i].why != NULL, i < 2);
    }
    ecg_answer_clear(&a);
    ecg_answer_clear(&b);
    ecg_record_clear(&rec);
    ecg_model_clear(&m);
    ecg_model_clear(&loaded);
}

/* Each piece made wrong, written, and read back. */
static void test_spoilt_files(void **state)
{
    (void)state;
    ecg_model m, loaded;
    ecg_record rec;
    ecg_err err;
    make_learned(&m, &rec);
#define SPOILT(lvalue, value, words)                                                                \
    do {                                                                                            \
        __typeof__(lvalue) kept_ = (lvalue);                                                        \
        (lvalue) = (value);                                                                         \
        assert_int_equal(ecg_model_save(&m, in_folder("spoilt.safetensors"), NULL), ECG_OK);        \
        (lvalue) = kept_;                                                                           \
        err = (ecg_err){0};                                                                         \
        assert_int_equal(ecg_model_load(&loaded, in_folder("spoilt.safetensors"), false, false, &err), ECG_EDATA); \
        if (!strstr(err.msg, words))                                                                \
            fail_msg("%s: %s", words, err.msg);                                                     \
    } while (0)
    SPOILT(m.uncertain[0].step[0].p, 5, "step");
    SPOILT(m.uncertain[1].label[0].kind, 9, "counts");
    SPOILT(m.uncertain[1].label[0].positives, -1, "counts");
    SPOILT(m.uncertain[0].quantile[3], NAN, "thresholds");
    SPOILT(m.uncertain[0].K, D - 1, "uncertain.diagnoses.label");
    SPOILT(m.uncertain[0].steps, m.uncertain[0].steps - 1, "steps");
    SPOILT(m.outlier.level[4], -1, "distances");
    SPOILT(m.outlier.root[0], 0, "root");
    SPOILT(m.outlier.n, -1, "count");
    SPOILT(m.outlier.width, H - 1, "outlier.mean");
    SPOILT(m.explainer.beta[0], NAN, "weight");
    SPOILT(m.explainer.data[0].q, 7, "association");
    SPOILT(m.explainer.penalty, -1, "counts");
    SPOILT(m.explainer.P, L - 1, "explain.");
    SPOILT(m.shared_embedding, false, "two heads on one embedding");
    SPOILT(m.calibration[0], 'x', "calibration");
    ecg_record_clear(&rec);
    ecg_model_clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_with_claims),
        cmocka_unit_test(test_save_load_save),
        cmocka_unit_test(test_spoilt_files),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
