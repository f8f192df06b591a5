/* SPDX-License-Identifier: MIT
 * What a model carries beside its parameters, and recordings to compare with: the two heads of a small model, everything else from the input. What is
 * accepted is asked. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/extras.h"
#include "model/neighbours.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { D = 4, L = 3, H = 8 };

static void fill_table(ecg_label_table *t, const char *set, const char *const *code, int n)
{
    snprintf(t->set, sizeof t->set, "%s", set);
    t->n = n;
    t->label = calloc((size_t)n, sizeof *t->label);
    for (int k = 0; k < n && t->label; k++)
        snprintf(t->label[k].code, sizeof t->label[k].code, "%s", code[k]);
    ecg_label_table_hash(t);
}

static void make(ecg_model *m)
{
    static const char *const diagnoses[D] = {"E875", "I10", "I480", "N179"}, *const labs[L] = {"Creatinine_high", "Potassium_high", "Sodium_low"};
    *m = (ecg_model){.shared_embedding = true, .heads = 2};
    ecg_contract_default(&m->contract);
    m->contract.sets = 2;
    m->contract.table = calloc(2, sizeof *m->contract.table);
    if (!m->contract.table)
        abort();
    fill_table(&m->contract.table[0], "diagnoses", diagnoses, D);
    fill_table(&m->contract.table[1], "labs", labs, L);
    m->shape = (ecg_encoder_config){.leads = 12, .width = H, .blocks = 1, .state = 4, .length = 250, .bidirectional = true};
    m->head[0] = (ecg_head){.set = "diagnoses", .prefix = ECG_HEAD_DIAGNOSES};
    m->head[1] = (ecg_head){.set = "labs", .prefix = ECG_HEAD_LABS};
    if (ecg_model_build(m, false, NULL))
        abort();
}

static void ask(const ecg_model *m)
{
    static const float h[H] = {0.5f, -1, 2, 0, 0.25f, 1, -3, 0.1f};
    const double lab[L] = {-1, 0.5, 2};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < m->uncertain[i].K; k++)
            for (double z = -40; z <= 40; z += 3.3) {
                ecg_certainty c;
                ecg_certainty_of(&c, &m->uncertain[i], k, z);
                if (!isnan(c.p) && !(c.lo <= c.p && c.p <= c.hi))
                    abort();
            }
    if (m->outlier.width)
        ecg_outlier_percentile(&m->outlier, ecg_outlier_distance(&m->outlier, h));
    const ecg_explainer *e = &m->explainer;
    double pattern[ECG_PATTERNS], own[L + ECG_PATTERNS], bar[L + ECG_PATTERNS], move[H];
    if (!e->K)
        return;
    ecg_explainer_patterns(pattern, e, h);
    ecg_explainer_own(own, e, lab, pattern);
    for (int k = 0; k < e->K; k++)
        ecg_explainer_parts(bar, e, k, 0.3, own);
    for (int p = 0; p < e->P; p++)
        ecg_explainer_edit(move, e, h, p, (const int[]){0, 1}, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ecg_model m; /* built once */
    ecg_tensors *t;
    ecg_neighbours *near;
    if (!m.heads)
        make(&m);
    if (ecg_tensors_parse(&t, data, size, NULL))
        return 0;
    if (!ecg_extras_load(&m, t, NULL))
        ask(&m);
    ecg_extras_clear(&m);
    if (!ecg_neighbours_take(&near, t, &m, NULL))
        ecg_neighbours_close(near);
    ecg_tensors_close(t);
    return 0;
}
