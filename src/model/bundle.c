/* SPDX-License-Identifier: MIT
 * bundle.c: building, saving and loading a model. The file is treated as hostile: what the architecture announces is compared with the
 * tensors that are there before anything is allocated from it. */
#include "model/bundle.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/extras.h"
#include "model/session.h"
#include "model/weights.h"

#define FORMAT "ecgraft.model"
#define BALANCE "balance.log_variance"
#define INTENDED_USE                                                                                                                    \
    ECG_STATEMENT " Not for diagnosis or treatment. Laboratory abnormalities are predicted from the ECG alone and are no measurements; " \
                  "they describe the model and past patients and show no cause."

/* ---- the parts of a model --------------------------------------------------------------------------------------------------- */

void ecg_model_clear(ecg_model *m)
{
    ecg_crew_free(m->crew);
    ecg_shelf_close(m->shelf);
    ecg_infer_free(m->infer);
    for (int i = 0; i < m->heads; i++) {
        ecg_mlp_free(m->head[i].net);
        free(m->head[i].prevalence);
        free(m->head[i].auroc);
    }
    ecg_mlp_free(m->proj_ecg);
    ecg_mlp_free(m->proj_tab);
    ecg_mlp_free(m->map);
    ecg_tabular_free(m->tabular);
    ecg_encoder_free(m->encoder);
    ecg_params_clear(&m->table);
    ecg_tensors_close(m->file);
    ecg_extras_clear(m);
    ecg_contract_clear(&m->contract);
    free(m->median);
    *m = (ecg_model){0};
}

ecg_head *ecg_model_head(ecg_model *m, const char *prefix)
{
    for (int i = 0; i < m->heads; i++)
        if (strcmp(m->head[i].prefix, prefix) == 0)
            return &m->head[i];
    return NULL;
}

bool ecg_head_fused(const ecg_head *h)
{
    return strcmp(h->prefix, ECG_HEAD_FUSION) == 0;
}

const char *ecg_head_task(const ecg_head *h)
{
    return h->labs || strcmp(h->prefix, ECG_HEAD_LABS) == 0 ? "labs" : "diagnoses";
}

bool ecg_model_fused(const ecg_model *m)
{
    for (int i = 0; i < m->heads; i++)
        if (ecg_head_fused(&m->head[i]))
            return true;
    return false;
}

bool ecg_column_in(const ecg_column *c, const char *group)
{
    return !*group || strcmp(group, "all") == 0 || strcmp(group, c->group) == 0;
}

int ecg_head_labels(const ecg_model *m, const ecg_head *h, const ecg_label_table **table)
{
    const ecg_label_table *t = ecg_contract_table(&m->contract, h->set);
    if (table)
        *table = t;
    return t ? t->n : 0;
}

void ecg_model_use(ecg_model *m, const ecg_exec *exec)
{
    m->exec = *exec;
    ecg_encoder_refresh(m->encoder, &m->table, exec);
    ecg_crew_free(m->crew);
    m->crew = NULL;
    if (m->table.grad) /* training goes its own way, step by step */
        return;
    if (!m->infer)
        m->infer = ecg_infer_new(m->encoder); /* NULL: ecg_predict tells */
    if (m->infer)
        ecg_infer_set(m->infer, &m->table, exec);
    if (exec->pool && ecg_pool_threads(exec->pool) > 1)
        m->crew = ecg_crew_new(m->encoder, exec->pool); /* NULL: one thread */
    if (!m->shelf)
        m->shelf = ecg_shelf_new();
}

/* Protocol 5.5: embeddings of 16, three maps of 128, dropout 0.5 in the last group. */
static ecg_status tabular_defaults(ecg_tabular_config *c, const ecg_contract *contract, const char *group, ecg_err *err)
{
    *c = (ecg_tabular_config){.hidden1 = 128, .hidden2 = 128, .out = 128, .dropout = 0.5f};
    for (int i = 0; i < contract->columns; i++) {
        if (!ecg_column_in(&contract->column[i], group))
            continue;
        if (!contract->column[i].categorical) {
            c->continuous++;
            continue;
        }
        if (c->categorical == (int)(sizeof c->vocabulary / sizeof *c->vocabulary))
            return ecg_fail(err, ECG_EARG, "more than %d categorical columns", c->categorical);
        c->vocabulary[c->categorical] = contract->column[i].vocabulary;
        c->embedding[c->categorical++] = 16;
    }
    return ECG_OK;
}

/* Is the description of one piece? */
static ecg_status check_description(const ecg_model *m, ecg_err *err)
{
    if (m->shape.leads != m->contract.leads)
        return ecg_fail(err, ECG_EARG, "the encoder reads %d leads, the contract has %d", m->shape.leads, m->contract.leads);
    if (m->shape.length > m->contract.samples)
        return ecg_fail(err, ECG_EARG, "crops of %d samples, the contract stores %d", m->shape.length, m->contract.samples);
    if (m->heads < 0 || m->heads > 2)
        return ecg_fail(err, ECG_EARG, "%d heads, at most 2", m->heads);
    for (int i = 0; i < m->heads; i++) {
        const ecg_head *h = &m->head[i];
        if (strcmp(h->prefix, ECG_HEAD_DIAGNOSES) != 0 && strcmp(h->prefix, ECG_HEAD_LABS) != 0 && !ecg_head_fused(h))
            return ecg_fail(err, ECG_EARG, "no head is called \"%s\"", h->prefix);
        if (ecg_head_fused(h) && (m->heads > 1 || !m->has_tabular))
            return ecg_fail(err, ECG_EARG, m->heads > 1 ? "%s reads the table and stands beside another head" : "%s reads the table, and no part encodes it",
                            h->prefix);
        if (i == 1 && (strcmp(h->prefix, m->head[0].prefix) == 0 || strcmp(h->set, m->head[0].set) == 0))
            return ecg_fail(err, ECG_EARG, "two heads of one name: %s and %s for \"%s\"", m->head[0].prefix, h->prefix, h->set);
        if (ecg_head_labels(m, h, NULL) < 1)
            return ecg_fail(err, ECG_EARG, "%s predicts the label set \"%s\", of which the contract has no table", h->prefix, h->set);
    }
    if (m->has_tabular) {
        int count[2] = {0, 0};
        for (int i = 0; i < m->contract.columns; i++)
            if (ecg_column_in(&m->contract.column[i], m->group))
                count[m->contract.column[i].categorical]++;
        if (m->tab.continuous != count[0] || m->tab.categorical != count[1])
            return ecg_fail(err, ECG_EARG, "the tabular encoder reads %d continuous and %d categorical columns, the contract has %d and %d%s%s",
                            m->tab.continuous, m->tab.categorical, count[0], count[1], *m->group ? " of group " : "", m->group);
        if (ecg_model_fused(m) && !m->median)
            return ecg_fail(err, ECG_EARG, "a head on the table without medians");
    }
    return ECG_OK;
}

/* Rows of the parameter table, not yet allocated. */
static ecg_status declare(ecg_model *m, ecg_err *err)
{
    ecg_status st = ECG_OK;
    if (m->has_tabular && !m->tab.out)
        st = tabular_defaults(&m->tab, &m->contract, m->group, err);
    if (!st)
        st = check_description(m, err);
    if (!st)
        st = ecg_encoder_new(&m->encoder, &m->shape, &m->table, "ecg.", err);
    if (!st && m->has_tabular)
        st = ecg_tabular_new(&m->tabular, &m->tab, &m->table, "tab.", err);
    if (!st && m->has_tabular && m->proj_E) {
        st = ecg_projector_new(&m->proj_ecg, m->shape.width, m->proj_hidden, m->proj_hidden, m->proj_E, false, &m->table, "proj_ecg.", err);
        if (!st)
            st = ecg_projector_new(&m->proj_tab, m->tab.out, m->proj_hidden, m->proj_hidden, m->proj_E, false, &m->table, "proj_tab.", err);
    }
    for (int i = 0; i < m->heads && !st; i++) {
        ecg_head *h = &m->head[i];
        const int K = ecg_head_labels(m, h, NULL);
        st = ecg_head_new(&h->net, m->shape.width + (ecg_head_fused(h) ? m->tab.out : 0), h->hidden, K, h->dropout, &m->table, h->prefix, err);
        double **const figures[] = {&h->prevalence, &h->auroc};
        for (int f = 0; f < 2 && !st; f++) {
            if (*figures[f])
                continue;
            *figures[f] = malloc((size_t)K * sizeof(double));
            if (!*figures[f])
                return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", K);
            for (int k = 0; k < K; k++)
                (*figures[f])[k] = NAN;
        }
    }
    if (!st && m->map_out)
        st = ecg_mlp_new(&m->map, m->shape.width, &(ecg_op){.kind = ECG_OP_LINEAR, .out = m->map_out, .bias = true}, 1, &m->table, "map.", 0, err);
    if (!st && m->balance) {
        const int row = ecg_params_declare(&m->table, "", BALANCE, 1, (int64_t[]){m->balance}, 0, ECG_INIT_ZERO, 0);
        if (row < 0)
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        m->table.row[row].group = 2;
    }
    return st;
}

ecg_status ecg_model_build(ecg_model *m, bool training, ecg_err *err)
{
    ecg_status st = declare(m, err);
    if (!st)
        st = ecg_params_alloc(&m->table, training, err);
    if (st)
        ecg_model_clear(m);
    return st;
}

/* ---- architecture as data ----------------------------------------------------------------------------------------------------- */

/* The double with the fewest digits that is this float, so that 0.2f is written as 0.2. */
static double plain_number(float x)
{
    char text[32];
    double y = x;
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        y = strtod(text, NULL);
        if ((float)y == x)
            break;
    }
    return y;
}

static json_t *tabular_json(const ecg_tabular_config *t, const char *group)
{
    json_t *vocabulary = json_array(), *embedding = json_array();
    for (int i = 0; i < t->categorical; i++) {
        json_array_append_new(vocabulary, json_integer(t->vocabulary[i]));
        json_array_append_new(embedding, json_integer(t->embedding[i]));
    }
    json_t *j = json_pack("{s:i, s:o, s:o, s:[i,i,i], s:f}", "continuous", t->continuous, "vocabulary", vocabulary, "embedding", embedding, "layers",
                          t->hidden1, t->hidden2, t->out, "dropout", plain_number(t->dropout));
    if (*group && strcmp(group, "all"))
        json_object_set_new(j, "group", json_string(group));
    return j;
}

static char *architecture_json(const ecg_model *m)
{
    json_t *root = json_object(), *heads = json_array();
    json_object_set_new(root, "encoder",
                        json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:b, s:f}", "kind", "s4", "leads", m->shape.leads, "width", m->shape.width,
                                  "blocks", m->shape.blocks, "state", m->shape.state, "length", m->shape.length, "bidirectional",
                                  m->shape.bidirectional, "dropout", plain_number(m->shape.dropout)));
    if (m->has_tabular)
        json_object_set_new(root, "tabular", tabular_json(&m->tab, m->group));
    if (m->has_tabular && m->proj_E)
        json_object_set_new(root, "projectors", json_pack("{s:i, s:i, s:b}", "hidden", m->proj_hidden, "out", m->proj_E, "bias", 0));
    for (int i = 0; i < m->heads; i++) {
        const ecg_head *h = &m->head[i];
        const ecg_label_table *table;
        const int K = ecg_head_labels(m, h, &table);
        json_t *j = json_pack("{s:s, s:s, s:i, s:f, s:i, s:s}", "set", h->set, "prefix", h->prefix, "hidden", h->hidden, "dropout",
                              plain_number(h->dropout), "labels", K, "table", table->hash);
        if (ecg_head_fused(h)) {
            json_object_set_new(j, "input", json_string("ecg and table"));
            json_object_set_new(j, "task", json_string(ecg_head_task(h)));
        }
        json_array_append_new(heads, j);
    }
    json_object_set_new(root, "heads", heads);
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
    json_decref(root);
    return text;
}

/* A whole number between bounds. */
static ecg_status take_int(int *out, const json_t *object, const char *part, const char *key, int64_t low, int64_t high, ecg_err *err)
{
    const json_t *x = json_object_get(object, key);
    if (!json_is_integer(x))
        return ecg_fail(err, ECG_EDATA, "architecture: %s.%s is not a whole number", part, key);
    const json_int_t value = json_integer_value(x);
    if (value < low || value > high)
        return ecg_fail(err, ECG_EDATA, "architecture: %s.%s is %" PRId64 ", %" PRId64 " to %" PRId64 " possible", part, key, (int64_t)value, low,
                        high);
    *out = (int)value;
    return ECG_OK;
}

static ecg_status take_share(float *out, const json_t *object, const char *part, const char *key, ecg_err *err)
{
    const json_t *x = json_object_get(object, key);
    const double value = json_number_value(x);
    if (!json_is_number(x) || !(value >= 0 && value < 1))
        return ecg_fail(err, ECG_EDATA, "architecture: %s.%s is no share below 1", part, key);
    *out = (float)value;
    return ECG_OK;
}

static ecg_status take_text(char *out, size_t size, const json_t *object, const char *part, const char *key, ecg_err *err)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (!text || strlen(text) >= size)
        return ecg_fail(err, ECG_EDATA, "architecture: %s.%s is no text of fewer than %zu bytes", part, key, size);
    snprintf(out, size, "%s", text);
    return ECG_OK;
}

enum { MOST_CHANNELS = 1 << 16, MOST_BLOCKS = 64, MOST_STATES = 256, LONGEST = 100000 };

static ecg_status take_encoder(ecg_encoder_config *c, const json_t *e, ecg_err *err)
{
    char kind[16];
    ecg_status st = take_text(kind, sizeof kind, e, "encoder", "kind", err);
    if (!st && strcmp(kind, "s4") != 0)
        return ecg_fail(err, ECG_EUNSUPPORTED, "architecture: encoder of kind \"%s\", s4 is known here", kind);
    const struct { const char *key; int *at; int high; } sizes[] = {
        {"leads", &c->leads, ECG_LEADS},    {"width", &c->width, MOST_CHANNELS}, {"blocks", &c->blocks, MOST_BLOCKS},
        {"state", &c->state, MOST_STATES}, {"length", &c->length, LONGEST},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !st; i++)
        st = take_int(sizes[i].at, e, "encoder", sizes[i].key, 1, sizes[i].high, err);
    if (!st && c->state % 2)
        st = ecg_fail(err, ECG_EDATA, "architecture: encoder.state is %d, an even number is needed", c->state);
    c->bidirectional = json_is_true(json_object_get(e, "bidirectional"));
    return st ? st : take_share(&c->dropout, e, "encoder", "dropout", err);
}

static ecg_status take_tabular(ecg_tabular_config *c, const json_t *t, ecg_err *err)
{
    const json_t *vocabulary = json_object_get(t, "vocabulary"), *embedding = json_object_get(t, "embedding"), *layers = json_object_get(t, "layers");
    int width[3] = {0};
    const size_t most = sizeof c->vocabulary / sizeof *c->vocabulary;
    ecg_status st = take_int(&c->continuous, t, "tabular", "continuous", 0, MOST_CHANNELS, err);
    if (st)
        return st;
    if (json_array_size(vocabulary) > most || json_array_size(embedding) != json_array_size(vocabulary) || json_array_size(layers) != 3)
        return ecg_fail(err, ECG_EDATA, "architecture: tabular has %zu vocabularies, %zu embeddings, %zu layers", json_array_size(vocabulary),
                        json_array_size(embedding), json_array_size(layers));
    c->categorical = (int)json_array_size(vocabulary);
    for (int i = 0; i < 3 + 2 * c->categorical; i++) {
        const json_t *x = i < 3 ? json_array_get(layers, (size_t)i) : json_array_get(i % 2 ? vocabulary : embedding, (size_t)(i - 3) / 2);
        const json_int_t value = json_integer_value(x);
        if (value < 1 || value > MOST_CHANNELS)
            return ecg_fail(err, ECG_EDATA, "architecture: tabular has a size that is not between 1 and %d", MOST_CHANNELS);
        *(i < 3 ? &width[i] : i % 2 ? &c->vocabulary[(i - 3) / 2] : &c->embedding[(i - 3) / 2]) = (int)value;
    }
    c->hidden1 = width[0];
    c->hidden2 = width[1];
    c->out = width[2];
    return take_share(&c->dropout, t, "tabular", "dropout", err);
}

static ecg_status take_group(char group[12], const json_t *tabular, ecg_err *err)
{
    if (!json_object_get(tabular, "group"))
        return ECG_OK;
    const ecg_status st = take_text(group, 12, tabular, "tabular", "group", err);
    if (!st && strcmp(group, "routine") && strcmp(group, "lab"))
        return ecg_fail(err, ECG_EDATA, "architecture: tabular.group is \"%s\", routine and lab are known here", group);
    return st;
}

/* What a fused head was trained for: its prefix does not say. */
static ecg_status take_task(ecg_head *h, const json_t *j, ecg_err *err)
{
    char task[16];
    if (!ecg_head_fused(h)) {
        h->labs = strcmp(h->prefix, ECG_HEAD_LABS) == 0;
        return ECG_OK;
    }
    const ecg_status st = take_text(task, sizeof task, j, "heads", "task", err);
    if (!st && strcmp(task, "labs") && strcmp(task, "diagnoses"))
        return ecg_fail(err, ECG_EDATA, "architecture: heads.task is \"%s\", neither diagnoses nor labs", task);
    h->labs = !st && strcmp(task, "labs") == 0;
    return st;
}

/* The label table must be the one that the head was trained on: count and hash. */
static ecg_status take_head(ecg_head *h, const ecg_model *m, const json_t *j, ecg_err *err)
{
    const ecg_label_table *table;
    char hash[65];
    int labels = 0;
    ecg_status st = take_text(h->set, sizeof h->set, j, "heads", "set", err);
    if (!st)
        st = take_text(h->prefix, sizeof h->prefix, j, "heads", "prefix", err);
    if (!st)
        st = take_int(&h->hidden, j, "heads", "hidden", 0, MOST_CHANNELS, err);
    if (!st)
        st = take_share(&h->dropout, j, "heads", "dropout", err);
    if (!st)
        st = take_int(&labels, j, "heads", "labels", 1, INT32_MAX, err);
    if (!st)
        st = take_text(hash, sizeof hash, j, "heads", "table", err);
    if (!st)
        st = take_task(h, j, err);
    if (st)
        return st;
    const int K = ecg_head_labels(m, h, &table);
    if (!table)
        return ecg_fail(err, ECG_EDATA, "no label table \"%s\" for %s", h->set, h->prefix);
    if (K != labels)
        return ecg_fail(err, ECG_EDATA, "label table \"%s\" has %d labels, %s predicts %d", h->set, K, h->prefix, labels);
    if (strcmp(hash, table->hash) != 0)
        return ecg_fail(err, ECG_EDATA, "label table \"%s\" is not the one of %s: hash %.12s, %.12s expected", h->set, h->prefix, table->hash, hash);
    return ECG_OK;
}

static ecg_status take_architecture(ecg_model *m, const char *text, bool with_tabular, ecg_err *err)
{
    json_error_t where;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return ecg_fail(err, ECG_EDATA, "architecture is not JSON: %s", where.text);
    const json_t *tabular = json_object_get(root, "tabular"), *projectors = json_object_get(root, "projectors");
    const json_t *heads = json_object_get(root, "heads");
    ecg_status st = take_encoder(&m->shape, json_object_get(root, "encoder"), err);
    if (!st && (!json_is_array(heads) || json_array_size(heads) > 2))
        st = ecg_fail(err, ECG_EDATA, "architecture: a list of at most 2 heads expected");
    for (size_t i = 0; !st && i < json_array_size(heads); i++)
        st = take_head(&m->head[i], m, json_array_get(heads, i), err);
    if (!st)
        m->heads = (int)json_array_size(heads);
    m->has_tabular = tabular && (with_tabular || ecg_model_fused(m));
    if (!st && m->has_tabular && !(st = take_group(m->group, tabular, err)))
        st = take_tabular(&m->tab, tabular, err);
    if (!st && with_tabular && m->has_tabular && projectors) {
        st = take_int(&m->proj_hidden, projectors, "projectors", "hidden", 1, MOST_CHANNELS, err);
        if (!st)
            st = take_int(&m->proj_E, projectors, "projectors", "out", 1, MOST_CHANNELS, err);
        if (!st && json_is_true(json_object_get(projectors, "bias")))
            st = ecg_fail(err, ECG_EUNSUPPORTED, "architecture: projectors with biases");
    }
    json_decref(root);
    return st;
}

/* ---- saving ------------------------------------------------------------------------------------------------------------------- */

static ecg_status save_meta(const ecg_model *m, ecg_tensorsw *w, ecg_weights weights, ecg_err *err)
{
    char *contract = NULL, *architecture = architecture_json(m);
    ecg_status st = architecture ? ecg_contract_to_json(&contract, &m->contract, err) : ecg_fail(err, ECG_ENOMEM, "no memory for the architecture");
    const char *const meta[][2] = {
        {"format", FORMAT},
        {"format_version", weights ? "2.0" : ecg_extras_any(m) ? "1.1" : "1.0"},
        {"intended_use", INTENDED_USE},
        {"licence", m->synthetic ? "MIT" : "the terms of the data named in training"},
        {"synthetic", m->synthetic ? "true" : "false"},
        {"shared_embedding", m->shared_embedding ? "true" : "false"},
        {"preset", m->preset},
        {"training", m->record[0] ? m->record : "{}"},
        {"architecture", architecture},
        {"contract", contract},
    };
    for (size_t i = 0; i < sizeof meta / sizeof *meta && !st; i++)
        st = ecg_tensorsw_meta(w, meta[i][0], meta[i][1], err);
    free(architecture);
    free(contract);
    return st;
}

static ecg_status save_tensors(const ecg_model *m, ecg_tensorsw *w, ecg_weights weights, ecg_err *err)
{
    char name[80];
    ecg_status st = ECG_OK;
    for (int i = 0; i < m->heads && !st; i++) { /* the doubles first: everything stays aligned */
        const int64_t K = ecg_head_labels(m, &m->head[i], NULL);
        snprintf(name, sizeof name, "labels.%s.prevalence", m->head[i].set);
        st = ecg_tensorsw_put(w, name, ECG_F64, 1, &K, m->head[i].prevalence, err);
        snprintf(name, sizeof name, "labels.%s.auroc", m->head[i].set);
        if (!st)
            st = ecg_tensorsw_put(w, name, ECG_F64, 1, &K, m->head[i].auroc, err);
    }
    const int64_t columns = m->contract.columns;
    if (!st && m->median)
        st = ecg_tensorsw_put(w, "tabular.median", ECG_F32, 1, &columns, m->median, err);
    if (!st)
        st = ecg_extras_save(m, w, err);
    ecg_params kept = m->table; /* what only training needs was declared last */
    while (kept.n > 0 && (strncmp(kept.row[kept.n - 1].name, "map.", 4) == 0 || strcmp(kept.row[kept.n - 1].name, BALANCE) == 0))
        kept.n--;
    return st ? st : ecg_weights_save(&kept, w, weights, err);
}

ecg_status ecg_model_save(const ecg_model *m, const char *path, ecg_err *err)
{
    return ecg_model_save_as(m, path, ECG_WEIGHTS_FLOAT32, err);
}

ecg_status ecg_model_save_as(const ecg_model *m, const char *path, ecg_weights weights, ecg_err *err)
{
    ecg_tensorsw *w;
    ecg_status st = ecg_tensorsw_create(&w, path, 4096 + 256 * (size_t)m->table.n, err);
    if (st)
        return ecg_fail_in(err, st, path);
    st = save_meta(m, w, weights, err);
    if (!st)
        st = save_tensors(m, w, weights, err);
    if (st) {
        ecg_tensorsw_abort(w);
        return ecg_fail_in(err, st, path);
    }
    return ecg_tensorsw_commit(w, err);
}

/* ---- loading ------------------------------------------------------------------------------------------------------------------ */

static const char *need_meta(const ecg_tensors *file, const char *key, ecg_err *err)
{
    const char *text = ecg_tensors_meta(file, key);
    if (!text)
        ecg_fail(err, ECG_EDATA, "no \"%s\" in the metadata", key);
    return text;
}

static ecg_status take_description(ecg_model *m, const ecg_tensors *file, bool with_tabular, ecg_err *err)
{
    ecg_status st = ecg_tensors_check_version(file, FORMAT, 2, err);
    if (st)
        return st;
    const char *contract = need_meta(file, "contract", err), *architecture = contract ? need_meta(file, "architecture", err) : NULL;
    const char *synthetic = architecture ? need_meta(file, "synthetic", err) : NULL, *training = ecg_tensors_meta(file, "training");
    const char *preset = ecg_tensors_meta(file, "preset"), *shared = ecg_tensors_meta(file, "shared_embedding");
    if (!synthetic)
        return ECG_EDATA;
    if (training && strlen(training) >= sizeof m->record)
        return ecg_fail(err, ECG_EDATA, "training record of %zu bytes, at most %zu", strlen(training), sizeof m->record - 1);
    json_t *record = json_loads(training ? training : "{}", 0, NULL);
    const bool is_object = json_is_object(record);
    json_decref(record);
    if (!is_object)
        return ecg_fail(err, ECG_EDATA, "the training record is no JSON object");
    m->synthetic = strcmp(synthetic, "false") != 0;
    m->shared_embedding = shared && strcmp(shared, "true") == 0;
    snprintf(m->record, sizeof m->record, "%s", training ? training : "{}");
    snprintf(m->preset, sizeof m->preset, "%s", preset ? preset : "");
    st = ecg_contract_from_json(&m->contract, contract, err);
    return st ? st : take_architecture(m, architecture, with_tabular, err);
}

/* The last map of a head must have one row a label; everything else its declared shape. */
static ecg_status check_shapes(const ecg_model *m, const ecg_tensors *file, ecg_err *err)
{
    for (int i = 0; i < m->heads; i++) {
        const ecg_head *h = &m->head[i];
        const ecg_param *last = NULL;
        for (int r = 0; r < m->table.n; r++)
            if (m->table.row[r].rank == 2 && strncmp(m->table.row[r].name, h->prefix, strlen(h->prefix)) == 0)
                last = &m->table.row[r];
        const ecg_tensor *t = last ? ecg_tensors_find(file, last->name) : NULL;
        if (t && t->rank == 2 && t->dim[0] != last->dim[0])
            return ecg_fail(err, ECG_EDATA, "label table \"%s\" has %" PRId64 " labels, %s has %" PRId64 " rows", h->set, last->dim[0], last->name,
                            t->dim[0]);
    }
    for (int r = 0; r < m->table.n; r++) {
        const ecg_status st = ecg_weights_check(&m->table.row[r], file, err);
        if (st)
            return st;
    }
    return ECG_OK;
}

static ecg_status take_figures(double *out, const ecg_tensors *file, const char *set, const char *what, int64_t K, ecg_err *err)
{
    char name[80];
    const ecg_tensor *t;
    snprintf(name, sizeof name, "labels.%s.%s", set, what);
    const ecg_status st = ecg_tensors_need(file, &t, name, ECG_F64, 1, &K, err);
    if (st)
        return st;
    memcpy(out, t->data, (size_t)K * sizeof *out);
    for (int64_t k = 0; k < K; k++)
        if (!isnan(out[k]) && !(out[k] >= 0 && out[k] <= 1))
            return ecg_fail(err, ECG_EDATA, "%s holds %g at index %" PRId64 ", 0 to 1 possible", name, out[k], k);
    return ECG_OK;
}

static ecg_status take_tensors(ecg_model *m, const ecg_tensors *file, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int r = 0; r < m->table.n && !m->file; r++)
        ecg_weights_take(ecg_value(&m->table, r), &m->table.row[r], file);
    for (int i = 0; i < m->heads && !st; i++) {
        const ecg_head *h = &m->head[i];
        const int K = ecg_head_labels(m, h, NULL);
        st = take_figures(h->prevalence, file, h->set, "prevalence", K, err);
        if (!st)
            st = take_figures(h->auroc, file, h->set, "auroc", K, err);
    }
    return st;
}

/* They fill gaps: of a column of words a word is needed. */
static ecg_status check_medians(const ecg_model *m, ecg_err *err)
{
    for (int i = 0; i < m->contract.columns; i++) {
        const ecg_column *c = &m->contract.column[i];
        const float x = m->median[i];
        if (!isfinite(x) || (c->categorical && !(x >= 0 && x < (float)c->vocabulary && x == truncf(x))))
            return ecg_fail(err, ECG_EDATA, "tabular.median holds %g for column %s", (double)x, c->name);
    }
    return ECG_OK;
}

static ecg_status take_medians(ecg_model *m, const ecg_tensors *file, ecg_err *err)
{
    const int64_t columns = m->contract.columns;
    const ecg_tensor *t;
    if (!ecg_tensors_find(file, "tabular.median"))
        return ECG_OK;
    const ecg_status st = ecg_tensors_need(file, &t, "tabular.median", ECG_F32, 1, &columns, err);
    if (st)
        return st;
    m->median = malloc((size_t)(columns ? columns : 1) * sizeof *m->median);
    if (!m->median)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d medians", m->contract.columns);
    memcpy(m->median, t->data, t->bytes);
    return check_medians(m, err);
}

/* The parameters stay where they are mapped, if they are floats there. *file then belongs to the model. */
static ecg_status borrow(ecg_model *m, ecg_tensors **file, ecg_err *err)
{
    const float **value = malloc((size_t)m->table.n * sizeof *value);
    if (!value)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d parameters", m->table.n);
    bool floats = true;
    for (int r = 0; r < m->table.n && floats; r++) {
        const ecg_tensor *t = ecg_tensors_find(*file, m->table.row[r].name);
        floats = t->dtype == ECG_F32;
        value[r] = t->data;
    }
    if (floats) {
        ecg_params_borrow(&m->table, value);
        m->file = *file;
        *file = NULL;
    }
    free(value);
    return floats ? ECG_OK : ecg_params_alloc(&m->table, false, err);
}

/* keep: the parameters may stay in the file, which is then the model's. */
static ecg_status load(ecg_model *m, ecg_tensors **opened, bool training, bool with_tabular, bool keep, const ecg_exec *exec, ecg_err *err)
{
    const ecg_tensors *file = *opened;
    ecg_status st = take_description(m, file, with_tabular, err);
    if (st)
        return st;
    /* before anything of this size is allocated: is there an input map as wide as announced? */
    const int64_t dim[2] = {m->shape.width, m->shape.leads};
    const ecg_tensor *t;
    st = ecg_tensors_need(file, &t, "ecg.encoder.weight", ECG_F32, 2, dim, err);
    if (!st)
        st = take_medians(m, file, err);
    if (!st)
        st = declare(m, err);
    if (!st)
        st = check_shapes(m, file, err);
    if (!st)
        st = keep ? borrow(m, opened, err) : ecg_params_alloc(&m->table, training, err);
    if (!st)
        st = take_tensors(m, file, err);
    if (!st)
        st = ecg_extras_load(m, file, err);
    if (!st)
        st = ecg_encoder_prepare(m->encoder, &m->table, err);
    if (!st)
        ecg_model_use(m, exec);
    return st;
}

static ecg_status load_path(ecg_model *m, const char *path, bool training, bool with_tabular, bool keep, const ecg_exec *exec, ecg_err *err)
{
    ecg_tensors *file;
    ecg_err here = {0};
    *m = (ecg_model){0};
    ecg_status st = ecg_tensors_open(&file, path, &here);
    if (!st) {
        st = load(m, &file, training, with_tabular, keep, exec, &here);
        ecg_tensors_close(file);
    }
    if (st) {
        ecg_model_clear(m);
        if (st == ECG_ECONTRACT || st == ECG_EARG) /* it is the file that contradicts itself, not the caller */
            st = here.status = ECG_EDATA;
        ecg_fail_in(&here, st, path);
        if (err)
            *err = here;
    }
    return st;
}

ecg_status ecg_model_load(ecg_model *m, const char *path, bool training, bool with_tabular, ecg_err *err)
{
    return load_path(m, path, training, with_tabular, false, &(ecg_exec){ecg_kernels_pick(NULL), NULL}, err);
}

ecg_status ecg_model_load_with(ecg_model *m, const char *path, const ecg_exec *exec, ecg_err *err)
{
    return load_path(m, path, false, false, true, exec, err);
}

ecg_status ecg_model_path(char *out, size_t size, const char *path, ecg_err *err)
{
    if (ecg_is_folder(path)) {
        const ecg_status st = ecg_join(out, size, path, "model.safetensors", err);
        if (!st && !ecg_is_file(out))
            return ecg_fail_at(err, ECG_EIO, path, 0, 0, "a folder without model.safetensors");
        return st;
    }
    if ((size_t)snprintf(out, size, "%s", path) >= size)
        return ecg_fail_at(err, ECG_EARG, path, 0, 0, "a path of %zu bytes, at most %zu", strlen(path), size - 1);
    return ECG_OK;
}
