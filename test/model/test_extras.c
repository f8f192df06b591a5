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

#include "made.h"

enum { D = 4, L = 3, H = 8, ROWS = 260 };

/* Two linear heads on one embedding of an untrained encoder. */
static void make_model(ecg_model *m)
{
    static const char *const diagnoses[D] = {"E875", "I10", "I480", "N179"}, *const labs[L] = {"Creatinine_high", "Potassium_high", "Sodium_low"};
    made_heads(m, &(made_shape){.width = H, .length = 250, .blocks = 1, .state = 4, .diagnoses = D, .labs = L}, diagnoses, labs);
    made_ready(m);
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
    assert_int_equal(ecg_model_save(&m, made_path("one.safetensors"), &err), ECG_OK);
    if (ecg_model_load(&loaded, made_path("one.safetensors"), false, false, &err))
        fail_msg("%s: %s", err.path, err.msg);
    assert_string_equal(loaded.calibration, m.calibration);
    assert_int_equal(ecg_model_save(&loaded, made_path("two.safetensors"), &err), ECG_OK);
    assert_int_equal(ecg_file_read(&one, made_path("one.safetensors"), NULL), ECG_OK);
    assert_int_equal(ecg_file_read(&two, made_path("two.safetensors"), NULL), ECG_OK);
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
        assert_int_equal(ecg_model_save(&m, made_path("spoilt.safetensors"), NULL), ECG_OK);        \
        (lvalue) = kept_;                                                                           \
        err = (ecg_err){0};                                                                         \
        assert_int_equal(ecg_model_load(&loaded, made_path("spoilt.safetensors"), false, false, &err), ECG_EDATA); \
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

/* An encoder that reads one lead: taking any other away changes nothing. The recording holds QRS complexes and nothing else. */
static void test_occlusion_where_one_lead_matters(void **state)
{
    (void)state;
    ecg_model m;
    ecg_record rec;
    ecg_answer a;
    ecg_err err = {0};
    make_model(&m);
    make_record(&rec);
    static const float size[12] = {0.7f, 1, 0.3f, -0.85f, 0.2f, 0.65f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f};
    for (int l = 0; l < 12; l++)
        for (int i = 0; i < 1000; i++)
            rec.value[l * 1000 + i] = size[l] * (float)exp(-0.2 * (i % 100 - 50) * (i % 100 - 50));
    const int weight = ecg_params_find(&m.table, "ecg.encoder.weight");
    assert_true(weight >= 0 && m.table.row[weight].count == H * 12);
    int reads = 0;
    while (strcmp(m.contract.lead[reads], "V3") != 0)
        reads++;
    for (int j = 0; j < H; j++)
        for (int l = 0; l < 12; l++)
            if (l != reads)
                ecg_value(&m.table, weight)[j * 12 + l] = 0;
    ecg_model_use(&m, &(ecg_exec){ecg_kernels_pick(NULL), NULL});
    if (ecg_predict(&a, &m, &rec, &(ecg_predict_options){.explain = 2, .occlusion = true}, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(a.occlusions, 2);
    assert_int_equal(a.beats, 10);
    double most = 0;
    for (int i = 0; i < D; i++) {
        const ecg_occlusion *o = a.diagnosis[i].occlusion;
        assert_int_equal(o != NULL, i < 2);
        for (int l = 0; o && l < 12; l++) {
            assert_true(isfinite(o->lead[l]));
            if (l != ECG_V3)
                assert_true(fabs(o->lead[l]) < 1e-9);
        }
        if (o) {
            assert_true(fabs(o->lead[ECG_V3]) > 1e-6);
            assert_true(fabs(o->wave[ECG_WAVE_QRS]) > 5 * fabs(o->wave[ECG_WAVE_P]) && fabs(o->wave[ECG_WAVE_QRS]) > 5 * fabs(o->wave[ECG_WAVE_ST_T]));
            most = fmax(most, fabs(o->lead[ECG_V3]));
        }
    }
    assert_true(most > 1e-4);
    ecg_answer_clear(&a);
    assert_int_equal(ecg_predict(&a, &m, &rec, &(ecg_predict_options){.explain = 2}, &err), ECG_OK);
    assert_true(a.occlusions == 0 && !a.diagnosis[0].occlusion);
    ecg_answer_clear(&a);
    ecg_record_clear(&rec);
    ecg_model_clear(&m);
}

static void test_similar_recordings(void **state)
{
    (void)state;
    enum { N = 70 };
    static float h[N * H];
    static int8_t label[2][N * D];
    static int64_t row[N];
    ecg_model m, other;
    ecg_record rec;
    ecg_answer a;
    ecg_neighbours *near = NULL;
    ecg_err err = {0};
    make_learned(&m, &rec);
    for (int i = 0; i < N; i++) { /* the farther, the higher i; the first 30 have label 2, lab 1 is known in every other one and abnormal in the first ten of those */
        row[i] = 1000 + i;
        for (int j = 0; j < H; j++)
            h[i * H + j] = m.outlier.mean[j] + (j == 0 ? 0.5f * (float)(i + 1) : 0);
        for (int k = 0; k < D; k++)
            label[0][i * D + k] = k == 2 ? i < 30 : 0;
        for (int p = 0; p < L; p++)
            label[1][i * L + p] = p == 1 ? (i % 2 ? -1 : i < 20) : -1;
    }
    const ecg_neighbour_rows rows = {N, h, {label[0], label[1]}, row, "cohort"};
    if (ecg_neighbours_write(made_path("near"), &m, &rows, &err) || ecg_neighbours_open(&near, made_path("near"), &m, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(ecg_predict(&a, &m, &rec, &(ecg_predict_options){.neighbours = near}, &err), ECG_OK);
    assert_true(a.near == ECG_NEAREST && a.near_of == N);
    for (int i = 0; i < D; i++) {
        assert_int_equal(a.diagnosis[i].near_known, 50);
        assert_int_equal(a.diagnosis[i].near_with, a.diagnosis[i].row == 2 ? 30 : 0);
    }
    for (int i = 0; i < L; i++) {
        assert_int_equal(a.lab[i].near_known, a.lab[i].row == 1 ? 25 : 0);
        assert_int_equal(a.lab[i].near_with, a.lab[i].row == 1 ? 10 : 0);
    }
    ecg_answer_clear(&a);
    ecg_neighbours_close(near);
    /* what does not belong to this model, or is broken */
    make_model(&other);
    ecg_value(&other.table, 0)[0] += 1;
    assert_int_equal(ecg_neighbours_open(&near, made_path("near"), &other, &err), ECG_ECONTRACT);
    assert_non_null(strstr(err.msg, "another encoder"));
    assert_null(near);
    ecg_model_clear(&other);
    h[5] = NAN;
    assert_int_equal(ecg_neighbours_write(made_path("near"), &m, &rows, &err), ECG_OK);
    assert_int_equal(ecg_neighbours_open(&near, made_path("near"), &m, &err), ECG_EDATA);
    assert_non_null(strstr(err.msg, "recording 1 is not finite"));
    assert_int_equal(ecg_model_save(&m, made_path("model"), &err), ECG_OK);
    assert_int_equal(ecg_neighbours_open(&near, made_path("model"), &m, &err), ECG_EFORMAT);
    assert_int_equal(ecg_neighbours_open(&near, made_path("none"), &m, &err), ECG_EIO);
    ecg_record_clear(&rec);
    ecg_model_clear(&m);
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(ecg_file_write_whole(path, text, strlen(text), NULL), ECG_OK);
}

static void test_another_prevalence(void **state)
{
    (void)state;
    static const struct { const char *text, *words; } wrong[] = {
        {"code,prevalence\nI10,0\n", "above 0 and below 1"}, {"code,prevalence\nI10,1\n", "above 0 and below 1"}, {"code,prevalence\nI10,\n", "above 0 and below 1"},
        {"code,prevalence\nI10,x\n", ""}, {"code,share\nI10,0.1\n", "prevalence"}, {"code,prevalence\nI48.0,0.1\nI480,0.1\n", "second time"},
        {"code,prevalence\nZ99,0.1\n", "none of its codes"}, {"code,prevalence\n", "none of its codes"}, {"", ""},
    };
    ecg_model m;
    ecg_record rec;
    ecg_answer a, b;
    ecg_prevalence *local = NULL;
    ecg_err err = {0};
    make_learned(&m, &rec);
    write_text(made_path("here.csv"), "prevalence,code\n0.03,I48.0\n0.5,Potassium_high\n0.1,unheard of\n");
    if (ecg_prevalence_open(&local, made_path("here.csv"), &m, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(ecg_predict(&a, &m, &rec, &(ecg_predict_options){.explain = -1}, &err), ECG_OK);
    assert_int_equal(ecg_predict(&b, &m, &rec, &(ecg_predict_options){.explain = -1, .prevalence = local}, &err), ECG_OK);
    assert_int_equal(b.local, 2);
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            const ecg_score *was = &a.diagnosis[i], *is = &b.diagnosis[j];
            if (was->row != is->row)
                continue;
            assert_int_equal(was->verdict, is->verdict);
            if (is->row != 2) {
                assert_true(was->probability == is->probability && isnan(is->local_prevalence));
                continue;
            }
            const double base = (double)was->positives / (double)(was->positives + was->negatives);
            const double factor = 0.03 / 0.97 / (base / (1 - base)), odds = was->probability / (1 - was->probability);
            assert_true(fabs(is->probability / (1 - is->probability) / (odds * factor) - 1) < 1e-9);
            assert_true(is->lo <= is->probability && is->probability <= is->hi && is->local_prevalence == 0.03);
        }
    ecg_answer_clear(&a);
    ecg_answer_clear(&b);
    ecg_prevalence_close(local);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_text(made_path("wrong.csv"), wrong[i].text);
        err = (ecg_err){0};
        if (!ecg_prevalence_open(&local, made_path("wrong.csv"), &m, &err) || !strstr(err.msg, wrong[i].words) || local)
            fail_msg("%s: %s", wrong[i].text, err.msg);
    }
    ecg_record_clear(&rec);
    ecg_model_clear(&m);
}

static void test_how_labels_were_told(void **state)
{
    (void)state;
    static double score[ROWS * D];
    static int8_t label[ROWS * D];
    ecg_model m, loaded;
    ecg_record rec;
    ecg_answer a;
    ecg_err err = {0};
    make_learned(&m, &rec);
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < D; k++) {
            label[i * D + k] = k == 3 ? -1 : i % 4 == 0;
            score[i * D + k] = k == 0 ? label[i * D] : k == 1 ? -label[i * D + 1] : (i * 37 % 101);
        }
    assert_int_equal(ecg_uncertainty_test(&m.uncertain[0], score, label, ROWS), 0);
    assert_int_equal(ecg_model_save(&m, made_path("told"), &err), ECG_OK);
    if (ecg_model_load(&loaded, made_path("told"), false, false, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(ecg_predict(&a, &loaded, &rec, NULL, &err), ECG_OK);
    for (int i = 0; i < D; i++) {
        const ecg_score *s = &a.diagnosis[i];
        if (s->row == 3) {
            assert_true(isnan(s->test_auroc));
            continue;
        }
        assert_true(s->test_positives == 65 && s->test_negatives == 195 && s->test_lo <= s->test_auroc && s->test_auroc <= s->test_hi);
        assert_true(s->row == 0 ? s->test_auroc == 1 : s->row == 1 ? s->test_auroc == 0 : s->test_auroc > 0.3 && s->test_auroc < 0.7);
    }
    assert_true(isnan(a.lab[0].test_auroc));
    ecg_answer_clear(&a);
    m.uncertain[0].tested[1].lo = 2;
    assert_int_equal(ecg_model_save(&m, made_path("told"), &err), ECG_OK);
    ecg_model_clear(&loaded);
    assert_int_equal(ecg_model_load(&loaded, made_path("told"), false, false, &err), ECG_EDATA);
    assert_non_null(strstr(err.msg, "AUROC"));
    ecg_record_clear(&rec);
    ecg_model_clear(&m);
}

static void test_a_fast_even_rhythm(void **state)
{
    (void)state;
    static const struct { int distance, jitter; bool flagged; const char *why; } cases[] = {
        {36, 0, true, "167 a minute"}, {100, 0, false, "60 a minute"}, {36, 12, false, "fast and uneven: fibrillation"}, {42, 0, false, "143 a minute"},
    };
    ecg_model m;
    ecg_record rec;
    ecg_answer a;
    ecg_err err = {0};
    make_learned(&m, &rec);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int l = 0; l < 12; l++)
            for (int i = 0; i < 1000; i++) {
                double v = 0;
                for (int b = 0, at = 20; at < 990; b++, at += cases[c].distance + (b % 2 ? cases[c].jitter : -cases[c].jitter))
                    v += exp(-0.05 * (i - at) * (i - at));
                rec.value[l * 1000 + i] = (float)((l == ECG_III || l == ECG_AVL ? 0 : l == ECG_AVR ? -1 : 1) * v);
            }
        if (ecg_predict(&a, &m, &rec, NULL, &err))
            fail_msg("%s", err.msg);
        bool flagged = false;
        for (int i = 0; i < a.doubts; i++)
            flagged |= strstr(a.doubt[i], "beats a minute") != NULL;
        if (flagged != cases[c].flagged)
            fail_msg("%s", cases[c].why);
        assert_true(!flagged || a.input != ECG_INPUT_OK);
        ecg_answer_clear(&a);
    }
    ecg_record_clear(&rec);
    ecg_model_clear(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_with_claims),
        cmocka_unit_test(test_save_load_save),
        cmocka_unit_test(test_spoilt_files),
        cmocka_unit_test(test_occlusion_where_one_lead_matters),
        cmocka_unit_test(test_similar_recordings),
        cmocka_unit_test(test_another_prevalence),
        cmocka_unit_test(test_how_labels_were_told),
        cmocka_unit_test(test_a_fast_even_rhythm),
    };
    return cmocka_run_group_tests(tests, made_begin, made_end);
}
