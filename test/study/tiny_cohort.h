/* SPDX-License-Identifier: MIT
 * tiny_cohort.h: a cohort of a second's work: one hidden number per patient shows in the ECG, the table and the labels. */
#ifndef TEST_STUDY_TINY_COHORT_H
#define TEST_STUDY_TINY_COHORT_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "cohort/store.h"

enum { TINY_COLUMNS = 4, TINY_DIAGNOSES = 3, TINY_LABS = 4 };

typedef struct {
    int patients, per_patient; /* records = product */
    int samples, crop;         /* crop 0: 50 */
    bool no_columns, no_test, short_records, infinite, absurd_record;
    uint64_t seed;
} tiny;

static char tiny_folder[64];

static inline int tiny_begin(void **state)
{
    (void)state;
    snprintf(tiny_folder, sizeof tiny_folder, "/tmp/ecgraft-study-XXXXXX");
    return mkdtemp(tiny_folder) ? 0 : -1;
}

static inline int tiny_end(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", tiny_folder);
    return system(command) == 0 ? 0 : -1;
}

static inline char *tiny_path(char out[256], const char *name)
{
    snprintf(out, 256, "%s/%s", tiny_folder, name);
    return out;
}

static inline void tiny_table(ecg_label_table *t, const char *set, const char *stem, int n)
{
    snprintf(t->set, sizeof t->set, "%s", set);
    t->n = n;
    t->label = calloc((size_t)n, sizeof *t->label);
    for (int k = 0; k < n; k++) {
        snprintf(t->label[k].code, sizeof t->label[k].code, "%s%d", stem, k);
        snprintf(t->label[k].title, sizeof t->label[k].title, "title of %s%d", stem, k);
    }
    ecg_label_table_hash(t);
}

static inline void tiny_columns(ecg_contract *c)
{
    static const char *const names[TINY_COLUMNS] = {"age", "lab", "never_measured", "group"};
    free(c->column);
    c->columns = TINY_COLUMNS;
    c->column = calloc(TINY_COLUMNS, sizeof *c->column);
    for (int j = 0; j < TINY_COLUMNS; j++) {
        snprintf(c->column[j].name, sizeof c->column[j].name, "%s", names[j]);
        snprintf(c->column[j].group, sizeof c->column[j].group, j == 1 ? "lab" : "routine");
    }
    c->column[3].categorical = true;
    c->column[3].vocabulary = 3;
}

/* Writes it; returns its path. Folds 0..5 by patient; 0-3 train, 4 validation, 5 test. */
static inline char *tiny_make(char path[256], const char *name, const tiny *t)
{
    ecg_contract signal, c;
    ecg_cohort_builder *b;
    ecg_err err = {0};
    const int n = t->patients * t->per_patient;
    ecg_contract_default(&signal);
    signal.samples = t->samples;
    signal.crop = t->crop ? t->crop : 50;
    float *x = malloc((size_t)t->samples * (size_t)signal.leads * sizeof *x);
    float *tab = malloc((size_t)n * TINY_COLUMNS * sizeof *tab);
    int8_t *diagnosis = malloc((size_t)n * TINY_DIAGNOSES), *lab = malloc((size_t)n * TINY_LABS);
    if (ecg_cohort_create(&b, tiny_path(path, name), &signal, true, &err))
        fail_msg("%s", err.msg);
    for (int i = 0; i < n; i++) {
        const int who = i % t->patients;
        ecg_rng r;
        ecg_rng_open(&r, t->seed, 0, 300, (uint32_t)who, 0);
        const double hidden = ecg_rng_normal(&r), phase = ecg_rng_uniform(&r) * 6;
        for (int s = 0; s < t->samples; s++)
            for (int l = 0; l < signal.leads; l++)
                x[s * signal.leads + l] = (float)((1 + 0.5 * hidden) * sin(s * (0.15 + 0.03 * hidden) + phase + l) + 0.1 * ecg_rng_normal(&r));
        if (t->absurd_record && i == 20)
            for (int s = 0; s < t->samples * signal.leads; s++)
                x[s] = s % 2 ? 3e38f : -3e38f; /* finite, and nothing that follows is */
        tab[i * TINY_COLUMNS + 0] = (float)(60 + 10 * hidden + 3 * ecg_rng_normal(&r));
        tab[i * TINY_COLUMNS + 1] = t->infinite && i == 10 ? INFINITY : i % 5 == 0 ? NAN : (float)(1000 * hidden);
        tab[i * TINY_COLUMNS + 2] = NAN;
        tab[i * TINY_COLUMNS + 3] = i % 7 == 0 ? NAN : (float)(hidden < -0.5 ? 0 : hidden > 0.5 ? 2 : 1);
        for (int k = 0; k < TINY_DIAGNOSES; k++)
            diagnosis[i * TINY_DIAGNOSES + k] = hidden + 0.3 * ecg_rng_normal(&r) > 0.4 * (k - 1);
        for (int k = 0; k < TINY_LABS; k++)
            lab[i * TINY_LABS + k] = (int8_t)((i + k) % 4 == 0 ? -1 : hidden + 0.3 * ecg_rng_normal(&r) > 0.3 * k - 0.5);
        const int fold = who % 6;
        ecg_cohort_row row = {.patient = 1000 + who, .study = 5000 + i, .stay = i, .ecg_time = i, .fold = (uint8_t)(t->no_test && fold == 5 ? 4 : fold),
                              .first_in_stay = i < t->patients};
        row.quality[0] = (float)(t->short_records && i % 3 == 0 ? t->samples / 2 : t->samples);
        if (ecg_cohort_add(b, x, &row, &err))
            fail_msg("%s", err.msg);
    }
    ecg_contract_copy(&c, &signal, NULL);
    if (!t->no_columns)
        tiny_columns(&c);
    free(c.table);
    c.sets = 2;
    c.table = calloc(2, sizeof *c.table);
    tiny_table(&c.table[0], "diagnoses", "D", TINY_DIAGNOSES);
    tiny_table(&c.table[1], "labs", "L", TINY_LABS);
    ecg_roles roles;
    if (ecg_roles_parse(&roles, "train:0-3,validation:4,test:5", &err))
        fail_msg("%s", err.msg);
    const int8_t *const labels[] = {diagnosis, lab};
    if (ecg_cohort_commit(b, &c, t->no_columns ? NULL : tab, labels, &roles, true, "[]", "[]", "test", &err))
        fail_msg("%s: %s", err.path, err.msg);
    ecg_contract_clear(&c);
    ecg_contract_clear(&signal);
    free(x);
    free(tab);
    free(diagnosis);
    free(lab);
    return path;
}

static inline void tiny_open(ecg_cohort *c, const char *name, const tiny *t)
{
    char path[256];
    ecg_err err = {0};
    tiny_path(path, name);
    if (access(path, R_OK) != 0)
        tiny_make(path, name, t);
    if (ecg_cohort_open(c, path, &err))
        fail_msg("%s: %s", err.path, err.msg);
}

#endif
