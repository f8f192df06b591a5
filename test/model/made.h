/* SPDX-License-Identifier: MIT
 * made.h: a model with two heads on one embedding and everything that a prediction can draw on, and a recording with beats. */
#ifndef ECG_TEST_MODEL_MADE_H
#define ECG_TEST_MODEL_MADE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "ecg/record.h"
#include "model/session.h"

typedef struct { int width, length, blocks, state, diagnoses, labs, hidden; } made_shape; /* state: 0 is 8 */

/* A folder of the test's own, under a turning set of four paths. */
static char made_folder[64];

static inline const char *made_path(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", made_folder, name);
    return path[turn];
}

static inline int made_begin(void **state)
{
    (void)state;
    snprintf(made_folder, sizeof made_folder, "/tmp/ecgraft-made-XXXXXX");
    return mkdtemp(made_folder) ? 0 : -1;
}

static inline int made_end(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", made_folder);
    return system(command) == 0 ? 0 : -1;
}

/* code: (n) names; NULL: made of fmt and a number. */
static inline void made_table(ecg_label_table *t, const char *set, int n, const char *const *code, const char *fmt)
{
    snprintf(t->set, sizeof t->set, "%s", set);
    t->n = n;
    t->label = calloc((size_t)n, sizeof *t->label);
    assert_non_null(t->label);
    for (int k = 0; k < n; k++) {
        if (code)
            snprintf(t->label[k].code, sizeof t->label[k].code, "%s", code[k]);
        else
            snprintf(t->label[k].code, sizeof t->label[k].code, fmt, k);
        t->label[k].count = 10;
    }
    ecg_label_table_hash(t);
}

/* Two heads on one embedding, with random weights; made_ready follows when nothing more is put into m. */
static inline void made_heads(ecg_model *m, const made_shape *s, const char *const *diagnoses, const char *const *labs)
{
    ecg_err err = {0};
    *m = (ecg_model){.synthetic = true, .shared_embedding = true, .preset = "made", .heads = 2, .record = "{}"};
    ecg_contract_default(&m->contract);
    m->contract.sets = 2;
    m->contract.table = calloc(2, sizeof *m->contract.table);
    assert_non_null(m->contract.table);
    made_table(&m->contract.table[0], "diagnoses", s->diagnoses, diagnoses, "D%04d");
    made_table(&m->contract.table[1], "labs", s->labs, labs, "Lab%03d_high");
    m->shape = (ecg_encoder_config){.leads = 12, .width = s->width, .blocks = s->blocks, .state = s->state ? s->state : 8, .length = s->length, .bidirectional = true};
    m->head[0] = (ecg_head){.set = "diagnoses", .prefix = ECG_HEAD_DIAGNOSES, .hidden = s->hidden, .dropout = 0.5f};
    m->head[1] = (ecg_head){.set = "labs", .prefix = ECG_HEAD_LABS};
    if (ecg_model_build(m, false, &err))
        fail_msg("%s", err.msg);
    ecg_params_init(&m->table, 7);
    ecg_encoder_init(m->encoder, &m->table, 7);
}

static inline void made_ready(ecg_model *m)
{
    ecg_err err = {0};
    if (ecg_encoder_prepare(m->encoder, &m->table, &err))
        fail_msg("%s", err.msg);
    ecg_model_use(m, &(ecg_exec){ecg_kernels_pick(getenv("ECGRAFT_CPU")), NULL});
}

static inline void made_extras(ecg_model *m, ecg_rng *g)
{
    ecg_explainer *e = &m->explainer;
    const int K = ecg_head_labels(m, &m->head[0], NULL), P = ecg_head_labels(m, &m->head[1], NULL), F = P + ECG_PATTERNS, H = m->shape.width;
    e->K = K;
    e->P = P;
    e->H = H;
    assert_int_equal(ecg_explainer_alloc(e), 0);
    e->rows = 100;
    e->held_out = 50;
    for (int i = 0; i < K * F; i++) {
        e->beta[i] = 0.1 * ecg_rng_normal(g);
        e->error[i] = 1e-4;
    }
    for (int i = 0; i < F; i++) /* nothing is shared */
        e->own[i * F + i] = 1;
    for (int i = 0; i < F * (H + 1); i++)
        e->view[i] = 0.1 * ecg_rng_normal(g);
    for (int i = 0; i < P * H; i++)
        e->spread[i] = 0.1 * ecg_rng_normal(g);
    for (int i = 0; i < K * P; i++)
        e->data[i] = (ecg_association){.patients = 100, .both = 5, .lift = 1.5f, .odds = 1.5f, .lo = 1, .hi = 2, .q = 0.01f};
    m->outlier = (ecg_outlier){.width = H, .n = 100, .mean = calloc((size_t)H, sizeof(float)), .root = calloc((size_t)(H * (H + 1) / 2), sizeof(float))};
    for (int i = 0; i < H; i++)
        m->outlier.root[i * (i + 1) / 2 + i] = 10;
    for (int i = 0; i < ECG_OUTLIER_LEVELS; i++)
        m->outlier.level[i] = 1 + i;
    for (int i = 0; i < 2; i++) {
        ecg_uncertainty *u = &m->uncertain[i];
        u->K = i ? P : K;
        u->steps = u->K;
        u->label = calloc((size_t)u->K, sizeof *u->label);
        u->step = calloc((size_t)u->K, sizeof *u->step);
        u->quantile = calloc((size_t)u->K * 2 * ECG_LEVELS, sizeof *u->quantile);
        for (int k = 0; k < u->K; k++) {
            u->label[k] = (ecg_calibrator){.positives = 200, .negatives = 1000, .slope = 1, .auroc = 0.8, .auroc_lo = 0.75, .first = k, .steps = 1,
                                           .kind = ECG_CALIBRATOR_ISOTONIC};
            u->step[k] = (ecg_step){.from = -16, .p = 0.3f, .p0 = 0.25f, .p1 = 0.35f, .truth = 0.3f, .above = 1000};
        }
    }
}

static inline void made_model(ecg_model *m, const made_shape *s)
{
    ecg_rng g;
    ecg_rng_open(&g, 4, 0, 303, 0, 0);
    made_heads(m, s, NULL, NULL);
    for (int h = 0; h < 2; h++)
        for (int k = 0; k < ecg_head_labels(m, &m->head[h], NULL); k++) {
            m->head[h].prevalence[k] = 0.1;
            m->head[h].auroc[k] = 0.8;
        }
    made_extras(m, &g);
    made_ready(m);
}

static inline void made_record(ecg_record *rec, double rate_hz, double seconds, uint32_t seed)
{
    const int64_t n = (int64_t)(rate_hz * seconds);
    ecg_rng g;
    ecg_rng_open(&g, seed, 0, 304, 0, 0);
    assert_int_equal(ecg_record_make(rec, ECG_LEADS, n, rate_hz, NULL), ECG_OK);
    for (int l = 0; l < ECG_LEADS; l++) {
        snprintf(rec->lead[l].name, sizeof rec->lead[l].name, "%s", ecg_lead_names[l]);
        snprintf(rec->lead[l].unit, sizeof rec->lead[l].unit, "mV");
        rec->lead[l].per_frame = 1;
        for (int64_t i = 0; i < n; i++)
            rec->value[l * n + i] = (float)(0.02 * ecg_rng_normal(&g) + (1 - 0.1 * l) * exp(-pow((fmod((double)i / rate_hz, 0.8) - 0.3) / 0.02, 2)));
    }
}

#endif
