/* SPDX-License-Identifier: MIT
 * finetune_model.c: what a fine-tuning begins with, what it may be asked, and the model it trains. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/embed.h"
#include "study/finetune_parts.h"
#include "study/score.h"

/* ---- the source --------------------------------------------------------------------------------------------------------- */

ecg_status ecg_finetune_source(stage2 *s, ecg_err *err)
{
    char path[512];
    const ecg_study *study = s->study;
    s->scratch = !study->from && !study->random_encoder;
    if (study->from && study->random_encoder)
        return ecg_fail(err, ECG_EARG, "a random encoder takes the place of --from, and both are asked for");
    if (!study->from) {
        const ecg_status st = ecg_config_check(study->config, err);
        return st || s->scratch ? st : ecg_untrained(&s->source, study->cohort, study->config, study->exec, err);
    }
    ecg_status st = ecg_model_path(path, sizeof path, study->from, err);
    if (st || (st = ecg_sha256_file(s->from_hash, path, err)) || (st = ecg_model_load(&s->source, path, false, false, err)))
        return st;
    ecg_contract signal = study->cohort->contract; /* crops are the model's business */
    signal.crop = s->source.contract.crop;
    if ((st = ecg_contract_fits(&signal, "the cohort", &s->source.contract, "the model", ECG_CONTRACT_SIGNAL, err)))
        return ecg_fail_in(err, st, path);
    s->shared = s->labs && ecg_model_head(&s->source, ECG_HEAD_DIAGNOSES);
    return ECG_OK;
}

/* ---- what goes together ------------------------------------------------------------------------------------------------- */

ecg_status ecg_finetune_check(const stage2 *s, ecg_err *err)
{
    const ecg_cfg_tuning *t = s->tuning;
    const struct { const char *key; double value; bool encoder, teacher; } pulls[] = {
        {"l2sp", t->l2sp, true, false},
        {"hold", t->hold, true, false},
        {"distill", t->distill, false, true},
        {"distill_hidden", t->distill_hidden, true, true},
    };
    bool taught = false;
    for (size_t i = 0; i < sizeof pulls / sizeof *pulls; i++) {
        if (pulls[i].value == 0)
            continue;
        if (pulls[i].teacher && !s->study->teacher)
            return ecg_fail(err, ECG_EARG, "%s.%s is %g and there is no teacher: --teacher RUN", s->section, pulls[i].key, pulls[i].value);
        if (pulls[i].encoder && s->shared)
            return ecg_fail(err, ECG_EARG, "%s.%s is %g and the encoder does not train: only the laboratory head does", s->section, pulls[i].key,
                            pulls[i].value);
        if (pulls[i].encoder && !pulls[i].teacher && s->scratch)
            return ecg_fail(err, ECG_EARG, "%s.%s is %g and there is no encoder to stay close to: --from RUN", s->section, pulls[i].key, pulls[i].value);
        taught |= pulls[i].teacher;
    }
    if (s->study->teacher && !taught)
        return ecg_fail(err, ECG_EARG, "a teacher is named, and %s.distill and %s.distill_hidden are both 0", s->section, s->section);
    if (s->group && s->shared)
        return ecg_fail(err, ECG_EARG, "labs.tabular is %s, and a head on the table cannot share the embedding with a diagnosis head: --from a "
                                       "pre-training run", s->group);
    if (s->group && (!s->study->cohort->tabular || s->study->cohort->contract.columns == 0))
        return ecg_fail_at(err, ECG_ECONTRACT, s->study->cohort->path, 0, 0, "no tabular columns; %s.tabular=none trains from the ECG alone", s->section);
    return ECG_OK;
}

/* ---- parts of the source and a new head --------------------------------------------------------------------------------- */

static bool copy_labels(ecg_label_table *to, const ecg_label_table *from)
{
    ecg_label *label = malloc((size_t)(from->n > 0 ? from->n : 1) * sizeof *label);
    if (!label)
        return false;
    memcpy(label, from->label, (size_t)from->n * sizeof *label);
    *to = *from;
    to->label = label;
    return true;
}

/* Tables of the heads alone: the new head's from the cohort, a kept head's from the model that brought it. */
static ecg_status set_tables(ecg_contract *c, const ecg_label_table *fresh, const ecg_label_table *kept, ecg_err *err)
{
    for (int i = 0; i < c->sets; i++)
        free(c->table[i].label);
    free(c->table);
    c->sets = 0;
    c->table = calloc(2, sizeof *c->table);
    if (!c->table)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    const ecg_label_table *const all[] = {kept, fresh};
    for (int i = 0; i < 2; i++)
        if (all[i]) {
            if (!copy_labels(&c->table[c->sets], all[i]))
                return ecg_fail(err, ECG_ENOMEM, "out of memory");
            c->sets++;
        }
    return ECG_OK;
}

static double *copy_doubles(const double *x, int n)
{
    double *y = x ? malloc((size_t)n * sizeof *y) : NULL;
    return y ? memcpy(y, x, (size_t)n * sizeof *y) : NULL;
}

/* Group, medians: what Phi_m needs. It is the model's own and begins with random weights. */
static ecg_status describe_table(stage2 *s, ecg_err *err)
{
    ecg_model *m = &s->model;
    ecg_loader of_group = s->loader;
    of_group.continuous_at = of_group.categorical_at = NULL;
    ecg_status st = ecg_loader_columns(&of_group, s->group, err);
    free(of_group.continuous_at);
    free(of_group.categorical_at);
    if (st)
        return st;
    m->has_tabular = true;
    snprintf(m->group, sizeof m->group, "%s", s->group);
    m->median = malloc((size_t)m->contract.columns * sizeof *m->median);
    return m->median ? ecg_loader_medians(m->median, &s->loader, s->study->exec->pool, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
}

static void keep_head(ecg_head *h, const ecg_head *old, int K)
{
    memcpy(h->set, old->set, sizeof h->set);
    memcpy(h->prefix, old->prefix, sizeof h->prefix);
    h->hidden = old->hidden;
    h->dropout = old->dropout;
    h->prevalence = copy_doubles(old->prevalence, K);
    h->auroc = copy_doubles(old->auroc, K);
}

static ecg_status describe(stage2 *s, ecg_err *err)
{
    ecg_model *m = &s->model;
    const ecg_config *c = s->study->config;
    const ecg_head *old = s->shared ? ecg_model_head(&s->source, ECG_HEAD_DIAGNOSES) : NULL;
    const ecg_label_table *kept = NULL;
    const int K = old ? ecg_head_labels(&s->source, old, &kept) : 0;
    ecg_status st = ecg_contract_copy(&m->contract, &s->study->cohort->contract, err);
    if (st || (st = set_tables(&m->contract, s->table, kept, err)))
        return st;
    if (kept && strcmp(kept->set, s->table->set) == 0)
        return ecg_fail(err, ECG_EARG, "the diagnosis head already predicts the label set '%s'", s->table->set);
    m->contract.crop = s->loader.crop;
    m->synthetic = s->study->cohort->synthetic || s->source.synthetic;
    snprintf(m->preset, sizeof m->preset, "%s", c->preset);
    m->shape = s->scratch ? ecg_train_encoder(c, m->contract.leads) : s->source.shape;
    if (s->group && (st = describe_table(s, err)))
        return st;
    if (old)
        keep_head(&m->head[m->heads++], old, K);
    s->at = m->heads;
    s->head = &m->head[m->heads++];
    memcpy(s->head->set, s->table->set, sizeof s->head->set);
    snprintf(s->head->prefix, sizeof s->head->prefix, "%s", s->group ? ECG_HEAD_FUSION : s->labs ? ECG_HEAD_LABS : ECG_HEAD_DIAGNOSES);
    s->head->labs = s->labs;
    s->head->hidden = (int)s->tuning->head_hidden;
    s->head->dropout = (float)s->tuning->head_dropout;
    m->shared_embedding = s->shared;
    m->map_out = s->tuning->distill_hidden > 0 ? s->teacher.width : 0;
    return ECG_OK;
}

/* Rows of both tables that begin with prefix. */
static void copy_values(ecg_params *to, const ecg_params *from, const char *prefix)
{
    for (int i = 0; i < to->n; i++) {
        const int j = strncmp(to->row[i].name, prefix, strlen(prefix)) ? -1 : ecg_params_find(from, to->row[i].name);
        if (j >= 0 && from->row[j].count == to->row[i].count)
            memcpy(ecg_value(to, i), ecg_value(from, j), to->row[i].count * sizeof(float));
    }
}

static void freeze(stage2 *s)
{
    ecg_model *m = &s->model;
    const int asked = (int)s->tuning->frozen_blocks, blocks = asked < 0 ? m->shape.blocks / 2 : asked;
    if (s->shared) {
        ecg_encoder_freeze(m->encoder, &m->table, -1);
        ecg_params_freeze(&m->table, ECG_HEAD_DIAGNOSES, true);
    } else if (!s->scratch && asked != 0) {
        ecg_encoder_freeze(m->encoder, &m->table, blocks < m->shape.blocks ? blocks : m->shape.blocks);
    }
}

ecg_status ecg_finetune_build(stage2 *s, ecg_err *err)
{
    ecg_model *m = &s->model;
    ecg_status st = describe(s, err);
    if (st || (st = ecg_model_build(m, true, err)))
        return st;
    ecg_params_init(&m->table, s->loop.seed);
    ecg_encoder_init(m->encoder, &m->table, s->loop.seed);
    if (!s->scratch)
        copy_values(&m->table, &s->source.table, "ecg.");
    if (s->shared)
        copy_values(&m->table, &s->source.table, ECG_HEAD_DIAGNOSES);
    if ((st = ecg_train_encoder_ready(m, s->study->exec, err)))
        return st;
    freeze(s);
    ecg_labels_prevalence(s->head->prevalence, s->label, s->K, &s->seen);
    return ECG_OK;
}
