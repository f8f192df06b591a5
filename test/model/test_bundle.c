/* SPDX-License-Identifier: MIT
 * test_bundle.c: a small model with random weights is saved, loaded, spoilt in every way that loading refuses, and asked about recordings
 * made in memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "model/bundle.h"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* ---- a small model -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *code, *title;
} named;

static const named diagnoses[] = {{"E119", "Type 2 diabetes"}, {"I480", "Paroxysmal atrial fibrillation"}, {"NORM", ""}};
static const named lab_labels[] = {{"Calcium_low", ""}, {"Glucose_high", ""}, {"Hemoglobin_low", ""}, {"Potassium_high", ""},
                             {"Sodium_low", ""},  {"Troponin_high", ""}, {"Urea_high", ""}};
enum { DIAGNOSES = 3, LABS = 7, COLUMNS = 4 };

static void fill_table(ecg_label_table *t, const char *set, const named *label, int n)
{
    snprintf(t->set, sizeof t->set, "%s", set);
    t->n = n;
    t->label = calloc((size_t)n, sizeof *t->label);
    assert_non_null(t->label);
    for (int k = 0; k < n; k++) {
        snprintf(t->label[k].code, sizeof t->label[k].code, "%s", label[k].code);
        snprintf(t->label[k].title, sizeof t->label[k].title, "%s", label[k].title);
        t->label[k].count = 10 + k;
    }
    ecg_label_table_hash(t);
}

/* heads: 0, 1 (diagnoses) or 2. Initialised, ready to run. */
static void make_model(ecg_model *m, int heads, int hidden)
{
    static const char *const columns[COLUMNS] = {"age", "bmi", "labvalues_potassium_mean", "gender"};
    ecg_err err = {0};
    *m = (ecg_model){.synthetic = true, .shared_embedding = heads == 2, .preset = "tiny", .has_tabular = true, .proj_hidden = 6, .proj_E = 5};
    snprintf(m->record, sizeof m->record, "{\"stage\":\"labs\",\"seed\":42,\"lr\":0.001}");
    ecg_contract_default(&m->contract);
    m->contract.columns = COLUMNS;
    m->contract.column = calloc(COLUMNS, sizeof *m->contract.column);
    m->contract.sets = 2;
    m->contract.table = calloc(2, sizeof *m->contract.table);
    assert_non_null(m->contract.column);
    assert_non_null(m->contract.table);
    for (int i = 0; i < COLUMNS; i++) {
        ecg_column *c = &m->contract.column[i];
        snprintf(c->name, sizeof c->name, "%s", columns[i]);
        snprintf(c->group, sizeof c->group, "%s", i == 2 ? "lab" : "routine");
        c->categorical = i == 3;
        c->vocabulary = i == 3 ? 2 : 0;
    }
    fill_table(&m->contract.table[0], "diagnoses", diagnoses, DIAGNOSES);
    fill_table(&m->contract.table[1], "labs", lab_labels, LABS);
    m->shape = (ecg_encoder_config){.leads = 12, .width = 8, .blocks = 2, .state = 4, .length = 250, .bidirectional = true, .dropout = 0.2f};
    m->heads = heads;
    m->head[0] = (ecg_head){.set = "diagnoses", .prefix = ECG_HEAD_DIAGNOSES, .hidden = hidden, .dropout = 0.5f};
    m->head[1] = (ecg_head){.set = "labs", .prefix = ECG_HEAD_LABS, .hidden = hidden, .dropout = 0.5f};
    m->median = calloc(COLUMNS, sizeof *m->median);
    assert_non_null(m->median);
    m->median[0] = 61.5f;
    if (ecg_model_build(m, false, &err))
        fail_msg("%s", err.msg);
    ecg_params_init(&m->table, 7);
    ecg_encoder_init(m->encoder, &m->table, 7);
    if (ecg_encoder_prepare(m->encoder, &m->table, &err))
        fail_msg("%s", err.msg);
    ecg_model_use(m, &(ecg_exec){ecg_kernels_pick(NULL), NULL});
    for (int h = 0; h < heads; h++)
        for (int k = 0; k < ecg_head_labels(m, &m->head[h], NULL); k++) {
            m->head[h].prevalence[k] = 0.05 * (k + 1);
            m->head[h].auroc[k] = k == 2 ? NAN : 0.7;
        }
}

/* A linear head that says these probabilities whatever the recording. */
static void set_probabilities(ecg_model *m, const char *prefix, const double *p, int K)
{
    char name[80];
    snprintf(name, sizeof name, "%sweight", prefix);
    const int weight = ecg_params_find(&m->table, name);
    snprintf(name, sizeof name, "%sbias", prefix);
    const int bias = ecg_params_find(&m->table, name);
    assert_true(weight >= 0 && bias >= 0);
    memset(ecg_value(&m->table, weight), 0, m->table.row[weight].count * sizeof(float));
    for (int k = 0; k < K; k++)
        ecg_value(&m->table, bias)[k] = (float)log(p[k] / (1 - p[k]));
}

static void save(const ecg_model *m, const char *path)
{
    ecg_err err = {0};
    if (ecg_model_save(m, path, &err))
        fail_msg("%s: %s", err.path, err.msg);
}

static ecg_bytes bytes_of(const char *path)
{
    ecg_bytes b = {0};
    assert_int_equal(ecg_file_read(&b, path, NULL), ECG_OK);
    return b;
}

/* ---- recordings ----------------------------------------------------------------------------------------------------------------- */

/* Twelve leads, or the first eight of the contract's order; values are multiples of 1/512, so that derived leads are exact. */
static void make_record(ecg_record *rec, int leads, int64_t samples, double rate_hz, uint32_t seed)
{
    static const int order[12] = {ECG_I, ECG_II, ECG_V1, ECG_V2, ECG_V3, ECG_V4, ECG_V5, ECG_V6, ECG_III, ECG_AVR, ECG_AVL, ECG_AVF};
    assert_int_equal(ecg_record_make(rec, leads, samples, rate_hz, NULL), ECG_OK);
    for (int l = 0; l < leads; l++) {
        ecg_rng g;
        ecg_rng_open(&g, seed, 0, 902, (uint32_t)l, 0);
        snprintf(rec->lead[l].name, sizeof rec->lead[l].name, "%s", ecg_lead_names[order[l]]);
        snprintf(rec->lead[l].unit, sizeof rec->lead[l].unit, "mV");
        rec->lead[l].per_frame = 1;
        float *v = rec->value + l * samples;
        const float *I = rec->value, *II = rec->value + samples;
        for (int64_t i = 0; i < samples; i++)
            switch (order[l]) {
            case ECG_III: v[i] = II[i] - I[i]; break;
            case ECG_AVR: v[i] = -(I[i] + II[i]) / 2; break;
            case ECG_AVL: v[i] = I[i] - II[i] / 2; break;
            case ECG_AVF: v[i] = II[i] - I[i] / 2; break;
            default: v[i] = (float)(floor(512 * (0.3 * sin(0.05 * (double)i * (l + 1)) + 0.3 * ecg_rng_uniform(&g))) / 512);
            }
    }
}

static void answer_ok(ecg_answer *a, const ecg_model *m, const ecg_record *rec, bool allow)
{
    ecg_err err = {0};
    if (ecg_predict(a, m, rec, &(ecg_predict_options){.allow_missing_leads = allow}, &err))
        fail_msg("%s", err.msg);
}

static void assert_same_scores(const ecg_score *a, const ecg_score *b, int n)
{
    for (int i = 0; i < n; i++) {
        assert_string_equal(a[i].code, b[i].code);
        assert_memory_equal(&a[i].probability, &b[i].probability, sizeof(double));
        assert_memory_equal(&a[i].crop_mean_logit, &b[i].crop_mean_logit, sizeof(double));
    }
}

static void assert_same_answer(const ecg_answer *a, const ecg_answer *b)
{
    assert_int_equal(a->diagnoses, b->diagnoses);
    assert_int_equal(a->labs, b->labs);
    assert_same_scores(a->diagnosis, b->diagnosis, a->diagnoses);
    assert_same_scores(a->lab, b->lab, a->labs);
}

/* ---- saving and loading ----------------------------------------------------------------------------------------------------------- */

static void test_save_load_save(void **state)
{
    (void)state;
    static const struct { const char *why; int heads, hidden; } cases[] = {
        {"pre-trained, no head", 0, 0}, {"one linear head", 1, 0}, {"two heads with a hidden layer", 2, 6}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_model made, loaded;
        ecg_err err = {0};
        make_model(&made, cases[c].heads, cases[c].hidden);
        save(&made, in_folder("one.safetensors"));
        if (ecg_model_load(&loaded, in_folder("one.safetensors"), true, true, &err))
            fail_msg("%s: %s: %s", cases[c].why, err.path, err.msg);
        assert_int_equal(loaded.table.n, made.table.n);
        assert_memory_equal(loaded.table.value, made.table.value, made.table.floats * sizeof(float));
        assert_non_null(loaded.table.grad);
        assert_string_equal(loaded.record, made.record);
        assert_string_equal(loaded.preset, "tiny");
        assert_true(loaded.synthetic && loaded.has_tabular && loaded.proj_ecg && loaded.proj_tab);
        assert_true(loaded.shape.dropout == 0.2f && loaded.tab.categorical == 1 && loaded.tab.continuous == 3);
        assert_true(loaded.median[0] == 61.5f);
        save(&loaded, in_folder("two.safetensors"));
        ecg_bytes a = bytes_of(in_folder("one.safetensors")), b = bytes_of(in_folder("two.safetensors"));
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.at, b.at, a.len);
        ecg_bytes_free(&a);
        ecg_bytes_free(&b);
        ecg_model_clear(&loaded);

        assert_int_equal(ecg_model_load(&loaded, in_folder("one.safetensors"), false, false, &err), ECG_OK);
        assert_true(!loaded.has_tabular && !loaded.tabular && !loaded.proj_ecg && !loaded.table.grad);
        assert_int_equal(ecg_params_find(&loaded.table, "tab.layers.0.weight"), -1);
        assert_true(ecg_params_find(&loaded.table, "ecg.s4_layers.1.kernel.kernel.C") >= 0);
        ecg_model_clear(&loaded);
        ecg_model_clear(&made);
    }
}

/* Header as JSON and data; what an edit leaves is written again. */
static void rewrite(const char *to, const char *from, void (*edit)(json_t *header, const char *argument), const char *argument)
{
    ecg_bytes b = bytes_of(from);
    uint64_t n;
    memcpy(&n, b.at, 8);
    json_t *header = json_loadb((const char *)b.at + 8, n, 0, NULL);
    assert_non_null(header);
    edit(header, argument);
    char *text = json_dumps(header, JSON_COMPACT);
    const uint64_t padded = (strlen(text) + 7) / 8 * 8;
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    fwrite(&padded, 8, 1, f);
    fprintf(f, "%-*s", (int)padded, text);
    fwrite(b.at + 8 + n, 1, b.len - 8 - n, f);
    fclose(f);
    free(text);
    json_decref(header);
    ecg_bytes_free(&b);
}

static void set_meta(json_t *header, const char *argument) /* "key=value" */
{
    const char *equals = strchr(argument, '=');
    char key[32];
    snprintf(key, sizeof key, "%.*s", (int)(equals - argument), argument);
    json_object_set_new(json_object_get(header, "__metadata__"), key, json_string(equals + 1));
}

static void replace_in_meta(json_t *header, const char *argument) /* "key|old|new": the first occurrence, which must be there */
{
    char key[32], old[64], new[64];
    assert_int_equal(sscanf(argument, "%31[^|]|%63[^|]|%63[^|]", key, old, new), 3);
    const char *text = json_string_value(json_object_get(json_object_get(header, "__metadata__"), key)), *at = text ? strstr(text, old) : NULL;
    if (!at)
        fail_msg("no %s in %s", old, key);
    char *changed = malloc(strlen(text) + strlen(new) + 1);
    assert_non_null(changed);
    sprintf(changed, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    json_object_set_new(json_object_get(header, "__metadata__"), key, json_string(changed));
    free(changed);
}

static void drop_meta(json_t *header, const char *argument)
{
    assert_int_equal(json_object_del(json_object_get(header, "__metadata__"), argument), 0);
}

static void rename_tensor(json_t *header, const char *argument)
{
    json_t *t = json_object_get(header, argument);
    assert_non_null(t);
    json_object_set(header, "somebody.else", t);
    json_object_del(header, argument);
}

static void overlap(json_t *header, const char *argument)
{
    json_t *offsets = json_object_get(json_object_get(header, argument), "data_offsets");
    const json_int_t begin = json_integer_value(json_array_get(offsets, 0)), end = json_integer_value(json_array_get(offsets, 1));
    json_array_set_new(offsets, 0, json_integer(begin - 32));
    json_array_set_new(offsets, 1, json_integer(end - 32));
}

static void test_refused_edits(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        void (*edit)(json_t *, const char *);
        const char *argument;
        ecg_status status;
        const char *message;
    } cases[] = {
        {"tensors overlap", overlap, "ecg.norms.0.bias", ECG_EDATA, "ecg.norms.0.bias"},
        {"a tensor is not there", rename_tensor, "ecg.norms.0.weight", ECG_EDATA, "ecg.norms.0.weight"},
        {"no figures for a head", rename_tensor, "labels.labs.auroc", ECG_EDATA, "labels.labs.auroc"},
        {"another format", set_meta, "format=ecgraft.cohort", ECG_EFORMAT, "ecgraft.cohort"},
        {"a later major", set_meta, "format_version=3.0", ECG_EUNSUPPORTED, "3.0"},
        {"no contract", drop_meta, "contract", ECG_EDATA, "contract"},
        {"no architecture", drop_meta, "architecture", ECG_EDATA, "architecture"},
        {"nothing said of synthetic", drop_meta, "synthetic", ECG_EDATA, "synthetic"},
        {"training record is no object", set_meta, "training=[1]", ECG_EDATA, "training record"},
        {"architecture is no JSON", set_meta, "architecture={", ECG_EDATA, "architecture is not JSON"},
        {"another encoder", replace_in_meta, "architecture|\"s4\"|\"vit\"", ECG_EUNSUPPORTED, "vit"},
        {"absurd width", replace_in_meta, "architecture|\"width\":8|\"width\":2000000000", ECG_EDATA, "encoder.width is 2000000000"},
        {"width of another model", replace_in_meta, "architecture|\"width\":8|\"width\":16", ECG_EDATA, "ecg.encoder.weight"},
        {"negative blocks", replace_in_meta, "architecture|\"blocks\":2|\"blocks\":-2", ECG_EDATA, "encoder.blocks is -2"},
        {"more blocks than there are", replace_in_meta, "architecture|\"blocks\":2|\"blocks\":3", ECG_EDATA, "s4_layers.2"},
        {"odd state", replace_in_meta, "architecture|\"state\":4|\"state\":5", ECG_EDATA, "encoder.state is 5"},
        {"width is text", replace_in_meta, "architecture|\"width\":8|\"width\":\"8\"", ECG_EDATA, "encoder.width"},
        {"dropout of one", replace_in_meta, "architecture|\"dropout\":0.2|\"dropout\":1", ECG_EDATA, "encoder.dropout"},
        {"crop longer than a record", replace_in_meta, "architecture|\"length\":250|\"length\":2500", ECG_EDATA, "2500"},
        {"head of another count", replace_in_meta, "architecture|\"labels\":7|\"labels\":8", ECG_EDATA,
         "label table \"labs\" has 7 labels, head_labs. predicts 8"},
        {"head of an unknown set", replace_in_meta, "architecture|\"set\":\"labs\"|\"set\":\"moods\"", ECG_EDATA, "moods"},
        {"head of an unknown name", replace_in_meta, "architecture|\"prefix\":\"head_labs.\"|\"prefix\":\"head_x.\"", ECG_EDATA, "head_x."},
        {"two heads of one name", replace_in_meta, "architecture|\"prefix\":\"head_labs.\"|\"prefix\":\"head_diagnoses.\"", ECG_EDATA,
         "head_diagnoses."},
        {"table of another training", replace_in_meta, "architecture|\"table\":\"|\"table\":\"00", ECG_EDATA, "architecture"},
        {"a label was renamed", replace_in_meta, "contract|Sodium_low|Sodium_lot", ECG_EDATA, "hash"},
    };
    ecg_model made, loaded;
    make_model(&made, 2, 0);
    save(&made, in_folder("good.safetensors"));
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_err err = {0};
        rewrite(in_folder("bad.safetensors"), in_folder("good.safetensors"), cases[c].edit, cases[c].argument);
        const ecg_status st = ecg_model_load(&loaded, in_folder("bad.safetensors"), false, true, &err);
        if (st != cases[c].status || !strstr(err.msg, cases[c].message) || !strstr(err.path, "bad.safetensors"))
            fail_msg("%s: status %d, path \"%s\", message \"%s\"; expected %d, \"%s\"", cases[c].why, (int)st, err.path, err.msg,
                     (int)cases[c].status, cases[c].message);
        assert_null(loaded.table.value);
    }
    ecg_model_clear(&made);
}

/* What cannot be edited into a header: models that were saved in this state. */
static void test_refused_models(void **state)
{
    (void)state;
    static const char *const why[] = {"a table that lost a label", "a weight that is not a number", "an infinite HiPPO buffer",
                                      "a prevalence of 1.5", "a swapped table"};
    static const char *const message[] = {"label table \"labs\" has 6 labels, head_labs.weight has 7 rows", "holds nan at index 3", "holds inf at index 0",
                                          "labels.diagnoses.prevalence holds 1.5 at index 1", "is not the one of head_diagnoses."};
    for (int c = 0; c < 5; c++) {
        ecg_model m, loaded;
        ecg_err err = {0};
        make_model(&m, 2, 0);
        switch (c) {
        case 0:
            m.contract.table[1].n = LABS - 1;
            ecg_label_table_hash(&m.contract.table[1]);
            break;
        case 1: ecg_value(&m.table, ecg_params_find(&m.table, "ecg.s4_layers.1.output_linear.0.weight"))[3] = NAN; break;
        case 2: ecg_value(&m.table, ecg_params_find(&m.table, "ecg.s4_layers.0.kernel.kernel.log_dt"))[0] = INFINITY; break;
        case 3: m.head[0].prevalence[1] = 1.5; break;
        default: break;
        }
        save(&m, in_folder("bad.safetensors"));
        if (c == 4) { /* the contract of another training with as many labels: consistent in itself */
            char *contract;
            memcpy(m.contract.table[0].label[2].code, "SR", 3);
            ecg_label_table_hash(&m.contract.table[0]);
            assert_int_equal(ecg_contract_to_json(&contract, &m.contract, NULL), ECG_OK);
            char *argument = malloc(strlen(contract) + 16);
            assert_non_null(argument);
            sprintf(argument, "contract=%s", contract);
            rewrite(in_folder("swapped.safetensors"), in_folder("bad.safetensors"), set_meta, argument);
            assert_int_equal(rename(in_folder("swapped.safetensors"), in_folder("bad.safetensors")), 0);
            free(argument);
            free(contract);
        }
        const ecg_status st = ecg_model_load(&loaded, in_folder("bad.safetensors"), false, false, &err);
        if (st != ECG_EDATA || !strstr(err.msg, message[c]))
            fail_msg("%s: status %d, \"%s\"; expected \"%s\"", why[c], (int)st, err.msg, message[c]);
        if (c == 0)
            m.contract.table[1].n = LABS;
        ecg_model_clear(&m);
    }
}

static void test_cut_and_opened(void **state)
{
    (void)state;
    ecg_model m, loaded, *opened = NULL;
    ecg_err err = {0};
    make_model(&m, 1, 0);
    save(&m, in_folder("model.safetensors"));
    ecg_bytes b = bytes_of(in_folder("model.safetensors"));
    const size_t cuts[] = {0, 1, 7, 8, 100, b.len / 2, b.len - 1};
    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
        FILE *f = fopen(in_folder("cut.safetensors"), "wb");
        assert_non_null(f);
        fwrite(b.at, 1, cuts[c], f);
        fclose(f);
        const ecg_status st = ecg_model_load(&loaded, in_folder("cut.safetensors"), false, false, &err);
        assert_true(st == ECG_EDATA || st == ECG_EFORMAT);
        assert_non_null(strstr(err.path, "cut.safetensors"));
        assert_true(err.msg[0] != 0);
    }
    ecg_bytes_free(&b);
    assert_int_equal(ecg_model_open(&opened, folder, &err), ECG_OK); /* a run folder */
    assert_true(ecg_model_synthetic(opened) && !ecg_model_has_labs(opened));
    ecg_model_close(opened);
    assert_int_equal(ecg_model_open(&opened, in_folder("none.safetensors"), &err), ECG_EIO);
    assert_non_null(strstr(err.path, "none.safetensors"));
    assert_null(opened);
    unlink(in_folder("model.safetensors"));
    assert_int_equal(ecg_model_open(&opened, folder, &err), ECG_EIO);
    assert_non_null(strstr(err.msg, "model.safetensors"));
    ecg_model_clear(&m);
    make_model(&m, 0, 0);
    save(&m, in_folder("model.safetensors"));
    assert_int_equal(ecg_model_open(&opened, folder, &err), ECG_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "head"));
    assert_int_equal(ecg_model_save(&m, in_folder("no/such/place.safetensors"), &err), ECG_EIO);
    ecg_model_clear(&m);
    ecg_model_close(NULL);
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------------ */

static void test_mean_of_crops(void **state)
{
    (void)state;
    static const int hidden[] = {0, 6}, crops[] = {1, 4, 19}; /* 19: more than go through the encoder at once */
    for (int c = 0; c < 6; c++) {
        ecg_model m;
        ecg_record whole, part;
        ecg_answer a, one;
        double p[DIAGNOSES] = {0}, z[DIAGNOSES] = {0};
        const int n = crops[c % 3];
        make_model(&m, 2, hidden[c / 3]);
        make_record(&whole, 12, 250 * n + 120, 100, 11);
        answer_ok(&a, &m, &whole, false);
        assert_int_equal(a.crops, n);
        assert_int_equal(a.diagnoses, DIAGNOSES);
        assert_int_equal(a.labs, LABS);
        assert_true(a.has_labs && a.synthetic && !a.calibrated);
        for (int i = 0; i < n; i++) { /* at 100 Hz nothing is resampled: a crop is a recording of its own */
            make_record(&part, 12, 250, 100, 11);
            for (int l = 0; l < 12; l++)
                memcpy(part.value + l * 250, whole.value + l * whole.samples + 250 * i, 250 * sizeof(float));
            answer_ok(&one, &m, &part, false);
            for (int k = 0; k < DIAGNOSES; k++)
                for (int j = 0; j < DIAGNOSES; j++)
                    if (strcmp(one.diagnosis[j].code, diagnoses[k].code) == 0) {
                        p[k] += one.diagnosis[j].probability / n;
                        z[k] += one.diagnosis[j].crop_mean_logit / n;
                        assert_true(fabs(one.diagnosis[j].probability - 1 / (1 + exp(-one.diagnosis[j].crop_mean_logit))) < 1e-12);
                    }
            ecg_answer_clear(&one);
            ecg_record_clear(&part);
        }
        for (int j = 0; j < DIAGNOSES; j++) {
            assert_true(j == 0 || a.diagnosis[j - 1].probability >= a.diagnosis[j].probability);
            for (int k = 0; k < DIAGNOSES; k++)
                if (strcmp(a.diagnosis[j].code, diagnoses[k].code) == 0) {
                    assert_true(fabs(a.diagnosis[j].probability - p[k]) < 1e-6);
                    assert_true(fabs(a.diagnosis[j].crop_mean_logit - z[k]) < 1e-5);
                    assert_true(a.diagnosis[j].prevalence == 0.05 * (k + 1));
                    assert_string_equal(a.diagnosis[j].title, diagnoses[k].title);
                }
        }
        ecg_answer_clear(&a);
        ecg_record_clear(&whole);
        ecg_model_clear(&m);
    }
}

/* The same bytes alone, after others, after a refusal, with a pool, and from a file. */
static void test_alone_or_not(void **state)
{
    (void)state;
    ecg_model m, *opened;
    ecg_record a, b, bad;
    ecg_answer first, again, other;
    make_model(&m, 2, 6);
    make_record(&a, 12, 5000, 500, 1);
    make_record(&b, 12, 2600, 250, 2);
    make_record(&bad, 12, 100, 100, 3);
    answer_ok(&first, &m, &a, false);
    answer_ok(&other, &m, &b, false);
    assert_true(first.diagnosis[0].probability != other.diagnosis[0].probability);
    assert_int_equal(ecg_predict(&again, &m, &bad, NULL, NULL), ECG_EREFUSED);
    answer_ok(&again, &m, &a, false);
    assert_same_answer(&first, &again);
    ecg_answer_clear(&again);

    ecg_pool *pool = ecg_pool_new(3);
    ecg_model_use(&m, &(ecg_exec){ecg_kernels_pick(NULL), pool});
    answer_ok(&again, &m, &a, false);
    assert_same_answer(&first, &again);
    ecg_answer_clear(&again);
    ecg_pool_free(pool);

    save(&m, in_folder("model.safetensors"));
    assert_int_equal(ecg_model_open(&opened, folder, NULL), ECG_OK);
    answer_ok(&again, opened, &a, false);
    assert_same_answer(&first, &again);
    ecg_answer_clear(&again);
    ecg_model_close(opened);

    ecg_answer_clear(&first);
    ecg_answer_clear(&other);
    ecg_record_clear(&a);
    ecg_record_clear(&b);
    ecg_record_clear(&bad);
    ecg_model_clear(&m);
}

static void test_refused_recordings(void **state)
{
    (void)state;
    ecg_model m;
    make_model(&m, 1, 0);
    static const struct {
        const char *why;
        int leads;
        int64_t samples;
        double rate_hz;
        int renamed; /* a lead that is called otherwise, -1: none, -2: all */
        bool all_nan, allow;
        const char *message; /* NULL: answered */
    } cases[] = {
        {"one sample too short", 12, 249, 100, -1, false, false, "249 samples at 100 Hz"},
        {"short at 500 Hz", 12, 1249, 500, -1, false, false, "249 samples at 100 Hz"},
        {"just long enough", 12, 250, 100, -1, false, false, NULL},
        {"just long enough at 500 Hz", 12, 1250, 500, -1, false, false, NULL},
        {"eight leads, the others follow", 8, 1000, 100, -1, false, false, NULL},
        {"no V6", 12, 1000, 100, 7, false, false, "lead V6 absent"},
        {"no V6, allowed", 12, 1000, 100, 7, false, true, NULL},
        {"no I, of eight", 8, 1000, 100, 0, false, false, "lead I absent"},
        {"V6 alone is lost of seven", 7, 1000, 100, 1, false, false, "leads II, V6 absent"},
        {"aVR is lost, I and II give it", 12, 1000, 100, 9, false, false, NULL},
        {"no lead that we know", 12, 1000, 100, -2, false, true, "none of the twelve leads"},
        {"all missing", 12, 1000, 100, -1, true, false, "nothing but missing"},
        {"all missing at 500 Hz", 12, 5000, 500, -1, true, true, "nothing but missing"},
        {"eight leads, all missing", 8, 1000, 100, -1, true, true, "nothing but missing"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_record rec;
        ecg_answer a;
        ecg_err err = {0};
        make_record(&rec, cases[c].leads, cases[c].samples, cases[c].rate_hz, 5);
        for (int l = 0; l < rec.leads; l++)
            if (l == cases[c].renamed || cases[c].renamed == -2)
                snprintf(rec.lead[l].name, sizeof rec.lead[l].name, "RESP%d", l);
        for (int64_t i = 0; cases[c].all_nan && i < rec.leads * rec.samples; i++)
            rec.value[i] = NAN;
        const ecg_status st = ecg_predict(&a, &m, &rec, &(ecg_predict_options){.allow_missing_leads = cases[c].allow}, &err);
        if (st != (cases[c].message ? ECG_EREFUSED : ECG_OK) || (cases[c].message && !strstr(err.msg, cases[c].message)))
            fail_msg("%s: status %d, \"%s\"", cases[c].why, (int)st, err.msg);
        assert_true(st == ECG_OK ? a.diagnoses == DIAGNOSES : a.diagnosis == NULL);
        ecg_answer_clear(&a);
        ecg_record_clear(&rec);
    }
    ecg_model_clear(&m);
}

/* Leads that follow from others change nothing; a lead of missing samples counts as zeros, and so does an absent one that is allowed. */
static void test_leads(void **state)
{
    (void)state;
    ecg_model m;
    ecg_record twelve, eight, invalid, zeros, absent;
    ecg_answer a, b;
    make_model(&m, 1, 0);
    make_record(&twelve, 12, 1000, 100, 4);
    make_record(&eight, 8, 1000, 100, 4);
    make_record(&invalid, 12, 1000, 100, 4);
    make_record(&zeros, 12, 1000, 100, 4);
    make_record(&absent, 12, 1000, 100, 4);
    for (int i = 0; i < 1000; i++) {
        invalid.value[5 * 1000 + i] = NAN;
        zeros.value[5 * 1000 + i] = 0;
    }
    snprintf(absent.lead[5].name, sizeof absent.lead[5].name, "RESP");
    answer_ok(&a, &m, &twelve, false);
    answer_ok(&b, &m, &eight, false);
    assert_same_answer(&a, &b);
    ecg_answer_clear(&b);
    answer_ok(&b, &m, &zeros, false);
    assert_true(a.diagnosis[0].crop_mean_logit != b.diagnosis[0].crop_mean_logit);
    ecg_answer_clear(&a);
    answer_ok(&a, &m, &invalid, false);
    assert_same_answer(&a, &b);
    assert_int_equal(a.quality.leads_invalid, 1);
    ecg_answer_clear(&a);
    answer_ok(&a, &m, &absent, true);
    assert_same_answer(&a, &b);
    ecg_answer_clear(&a);
    ecg_answer_clear(&b);
    ecg_record *const all[] = {&twelve, &eight, &invalid, &zeros, &absent};
    for (int i = 0; i < 5; i++)
        ecg_record_clear(all[i]);
    ecg_model_clear(&m);
}

static void test_reasons(void **state)
{
    (void)state;
    /* in the order of lab_labels: ratios 5, 2.5, 5, 1, unknown, 2, 1.67 */
    const double p[LABS] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, d[DIAGNOSES] = {0.1, 0.91, 0.3};
    const double prevalence[LABS] = {0.1, 0.2, 0.1, 0.5, NAN, 0.25, 0.3}, auroc[LABS] = {0.9, 0.8, 0.6, 0.9, 0.9, 0.61, 0.9};
    ecg_model m;
    ecg_record rec;
    ecg_answer a;
    char text[512], cut[24];
    make_model(&m, 2, 0);
    make_record(&rec, 12, 1000, 100, 6);
    set_probabilities(&m, ECG_HEAD_DIAGNOSES, d, DIAGNOSES);
    set_probabilities(&m, ECG_HEAD_LABS, p, LABS);
    memcpy(m.head[1].prevalence, prevalence, sizeof prevalence);
    memcpy(m.head[1].auroc, auroc, sizeof auroc);
    answer_ok(&a, &m, &rec, false);
    assert_int_equal(a.reasons, 3); /* Urea_high is the fourth; Hemoglobin_low has no AUROC above 0.6 */
    static const char *const want = "predicts I48.0 Paroxysmal atrial fibrillation (0.91), and it does so as it also predicts "
                                    "Calcium_low (0.50), Glucose_high (0.50), Troponin_high (0.50)";
    assert_int_equal(ecg_answer_sentence(text, sizeof text, &a, 0), strlen(want));
    assert_string_equal(text, want);
    assert_int_equal(ecg_answer_sentence(NULL, 0, &a, 0), strlen(want));
    assert_int_equal(ecg_answer_sentence(cut, sizeof cut, &a, 0), strlen(want));
    assert_int_equal(strlen(cut), sizeof cut - 1);
    assert_memory_equal(cut, want, sizeof cut - 1);
    ecg_answer_sentence(text, sizeof text, &a, 1);
    assert_string_equal(text, "predicts NORM (0.30), and it does so as it also predicts Calcium_low (0.50), Glucose_high (0.50), Troponin_high (0.50)");
    ecg_answer_clear(&a);

    for (int k = 0; k < LABS; k++)
        m.head[1].auroc[k] = NAN;
    answer_ok(&a, &m, &rec, false);
    ecg_answer_sentence(text, sizeof text, &a, 2);
    assert_string_equal(text, "predicts E11.9 Type 2 diabetes (0.10); no laboratory abnormality stands out");
    ecg_answer_clear(&a);
    ecg_model_clear(&m);

    make_model(&m, 1, 0);
    set_probabilities(&m, ECG_HEAD_DIAGNOSES, d, DIAGNOSES);
    answer_ok(&a, &m, &rec, false);
    assert_true(!a.has_labs && a.labs == 0 && a.reasons == 0);
    ecg_answer_sentence(text, sizeof text, &a, 1);
    assert_string_equal(text, "predicts NORM (0.30); this model has no laboratory head");
    ecg_answer_clear(&a);
    ecg_record_clear(&rec);
    ecg_model_clear(&m);
}

static void test_code_text(void **state)
{
    (void)state;
    static const struct { const char *code, *text; } cases[] = {
        {"I480", "I48.0"}, {"I10", "I10"},   {"S72001A", "S72.001A"}, {"M1A0", "M1A.0"},   {"NORM", "NORM"},
        {"1AVB", "1AVB"},  {"STD_", "STD_"}, {"AFIB", "AFIB"},        {"A1_low", "A1_low"}, {"", ""},
    };
    char out[72];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        assert_string_equal(ecg_code_text(out, sizeof out, cases[c].code), cases[c].text);
}

enum { SHARERS = 4 };
typedef struct {
    const ecg_model *m;
    ecg_record rec;
    ecg_answer alone, shared[3];
    int failed;
} sharer;

static void *ask(void *ctx)
{
    sharer *s = ctx;
    for (int i = 0; i < 3; i++)
        s->failed += ecg_predict(&s->shared[i], s->m, &s->rec, NULL, NULL) != ECG_OK;
    return NULL;
}

static void test_threads_share_a_model(void **state)
{
    (void)state;
    static sharer s[SHARERS];
    pthread_t thread[SHARERS];
    ecg_model m;
    make_model(&m, 2, 6);
    for (int i = 0; i < SHARERS; i++) {
        s[i].m = &m;
        make_record(&s[i].rec, 12, 1000 + 500 * i, 100, (uint32_t)i);
        answer_ok(&s[i].alone, &m, &s[i].rec, false);
    }
    for (int i = 0; i < SHARERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, ask, &s[i]), 0);
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(s[i].failed, 0);
        for (int j = 0; j < 3; j++) {
            assert_same_answer(&s[i].alone, &s[i].shared[j]);
            ecg_answer_clear(&s[i].shared[j]);
        }
        ecg_answer_clear(&s[i].alone);
        ecg_record_clear(&s[i].rec);
    }
    ecg_model_clear(&m);
}

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/bundleXXXXXX", tmp && strlen(tmp) < 40 ? tmp : P_tmpdir);
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"one.safetensors", "two.safetensors", "good.safetensors", "bad.safetensors", "cut.safetensors",
                                        "model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in_folder(names[i]));
    return rmdir(folder); /* fails when something was left half written */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_load_save),      cmocka_unit_test(test_refused_edits), cmocka_unit_test(test_refused_models),
        cmocka_unit_test(test_cut_and_opened),      cmocka_unit_test(test_mean_of_crops), cmocka_unit_test(test_alone_or_not),
        cmocka_unit_test(test_refused_recordings),  cmocka_unit_test(test_leads),         cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_code_text),           cmocka_unit_test(test_threads_share_a_model),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
