/* SPDX-License-Identifier: MIT
 * align.c: see align.h. */
#include "study/align.h"

#include <stdio.h>
#include <stdlib.h>

#include "study/pairs.h"

static const char *const groups[] = {"all", "routine", "lab"}; /* the words of pretrain.tabular */
enum { VICREG = 1 };                                       /* of pretrain.loss */
enum { SMALLEST_BATCH = 8 };

ecg_status ecg_align_batch(int *batch, const ecg_loader *l, int64_t asked, const char *key, const ecg_watch *watch, ecg_err *err)
{
    const int64_t n = l->role[ECG_TRAIN].n;
    char roles[256];
    ecg_roles_text(roles, sizeof roles, &l->roles);
    if (n < SMALLEST_BATCH)
        return ecg_fail_at(err, ECG_EDATA, l->cohort->path, 0, 0, "%" PRId64 " of %" PRId64 " records are for training (%s); at least %d are needed", n,
                           l->cohort->n, roles, SMALLEST_BATCH);
    *batch = (int)(n < asked ? n : asked);
    if (n < asked)
        ecg_say(watch, "%s %" PRId64 " is more than the %" PRId64 " training records: one batch of %" PRId64 " an epoch", key, asked, n, n);
    if (l->half[ECG_HALF_A].n < ECG_ALIGN_SMALLEST)
        ecg_say(watch, "%" PRId64 " validation records are too few to choose an epoch by: the last one stays", l->half[ECG_HALF_A].n);
    return ECG_OK;
}

ecg_status ecg_align_describe(ecg_model *m, ecg_loader *l, const ecg_config *c, const ecg_exec *exec, ecg_err *err)
{
    const char *group = groups[c->pretrain.tabular];
    if (l->cohort->contract.columns == 0 || !l->cohort->tabular)
        return ecg_fail_at(err, ECG_ECONTRACT, l->cohort->path, 0, 0, "no tabular columns: there is nothing to learn from besides the ECG");
    const ecg_status st = ecg_loader_columns(l, group, err);
    if (st)
        return st;
    m->has_tabular = true;
    snprintf(m->group, sizeof m->group, "%s", group);
    m->proj_hidden = (int)c->projector.hidden;
    m->proj_E = (int)c->projector.out;
    m->median = malloc((size_t)m->contract.columns * sizeof *m->median);
    return m->median ? ecg_loader_medians(m->median, l, exec->pool, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
}

static float *floats(size_t rows, int columns)
{
    return malloc((rows * (size_t)columns + 1) * sizeof(float));
}

/* Half A chooses the epoch; where it is too small for that, nobody reads it. */
static ecg_status shuffle(ecg_align *a, uint64_t seed, ecg_err *err)
{
    const ecg_cohort *c = a->loader->cohort;
    a->partner = malloc((size_t)(c->n > 0 ? c->n : 1) * sizeof *a->partner);
    if (!a->partner)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < c->n; i++)
        a->partner[i] = (uint32_t)i;
    ecg_status st = ecg_pairs_shuffle(a->partner, c, &a->loader->role[ECG_TRAIN], seed, ECG_TRAIN, err);
    if (!st && a->loader->half[ECG_HALF_A].n >= ECG_ALIGN_SMALLEST)
        st = ecg_pairs_shuffle(a->partner, c, &a->loader->half[ECG_HALF_A], seed, ECG_VALIDATION, err);
    return st;
}

static ecg_status take(ecg_align *a, const ecg_model *m, const ecg_config *c, ecg_err *err)
{
    const size_t B = (size_t)a->batch;
    a->shown = malloc(B * sizeof *a->shown);
    a->hm = floats(B, m->tab.out);
    a->dhm = floats(B, m->tab.out);
    a->zx = floats(B, m->proj_E);
    a->zm = floats(B, m->proj_E);
    a->dzx = floats(B, m->proj_E);
    a->dzm = floats(B, m->proj_E);
    a->continuous = floats(B, a->loader->continuous);
    a->category = malloc((B * (size_t)a->loader->categorical + 1) * sizeof *a->category);
    a->proj_ecg = ecg_mlp_work_new(m->proj_ecg, a->batch, true);
    a->proj_tab = ecg_mlp_work_new(m->proj_tab, a->batch, true);
    a->tabular = ecg_tabular_work_new(m->tabular, a->batch, true);
    if (a->config->loss == VICREG)
        a->vicreg = ecg_vicreg_new(a->batch, m->proj_E);
    else
        a->barlow = ecg_barlow_new(a->batch, m->proj_E);
    if (!a->shown || !a->hm || !a->dhm || !a->zx || !a->zm || !a->dzx || !a->dzm || !a->continuous || !a->category || !a->proj_ecg || !a->proj_tab ||
        !a->tabular || (!a->barlow && !a->vicreg))
        return ecg_fail(err, ECG_ENOMEM, "no memory for batches of %d", a->batch);
    return c->train.shuffle_pairs ? shuffle(a, (uint64_t)c->train.seed, err) : ECG_OK;
}

ecg_status ecg_align_open(ecg_align *a, const ecg_model *m, const ecg_loader *l, const ecg_config *c, int batch, ecg_err *err)
{
    *a = (ecg_align){.loader = l, .config = &c->pretrain, .batch = batch};
    const ecg_status st = take(a, m, c, err);
    if (st)
        ecg_align_close(a);
    return st;
}

void ecg_align_close(ecg_align *a)
{
    float *all[] = {a->zx, a->hm, a->zm, a->dzx, a->dhm, a->dzm, a->continuous};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(a->partner);
    free(a->shown);
    free(a->category);
    ecg_mlp_work_free(a->proj_ecg);
    ecg_mlp_work_free(a->proj_tab);
    ecg_tabular_work_free(a->tabular);
    ecg_barlow_free(a->barlow);
    ecg_vicreg_free(a->vicreg);
    *a = (ecg_align){0};
}

static double pair_loss(ecg_align *a, const ecg_exec *exec, int B, int E, bool gradient)
{
    float *dzx = gradient ? a->dzx : NULL, *dzm = gradient ? a->dzm : NULL;
    const ecg_cfg_pretrain *c = a->config;
    if (!a->vicreg)
        return ecg_barlow_loss(dzx, dzm, a->barlow, exec, a->zx, a->zm, B, E, c->lambda);
    return ecg_vicreg_loss(dzx, dzm, a->vicreg, exec, a->zx, a->zm, B, E, &(ecg_vicreg_weights){c->invariance, c->variance, c->covariance});
}

double ecg_align_forward(ecg_align *a, ecg_model *m, const ecg_exec *exec, const float *h, const uint32_t *row, int B, bool train,
                         const ecg_dropout *drop)
{
    ecg_params *p = &m->table;
    for (int b = 0; b < B; b++)
        a->shown[b] = a->partner ? a->partner[row[b]] : row[b];
    ecg_loader_tabular(a->continuous, a->category, a->loader, m->median, a->shown, B);
    ecg_mlp_forward(a->zx, m->proj_ecg, p, a->proj_ecg, exec, h, B, train, drop);
    ecg_tabular_forward(a->hm, m->tabular, p, a->tabular, exec, a->continuous, a->category, B, train, drop);
    ecg_mlp_forward(a->zm, m->proj_tab, p, a->proj_tab, exec, a->hm, B, train, drop);
    return pair_loss(a, exec, B, m->proj_E, train);
}

void ecg_align_backward(float *dh, ecg_align *a, ecg_model *m, const ecg_exec *exec, const float *h, int B, double weight)
{
    ecg_params *p = &m->table;
    for (size_t i = 0; i < (size_t)B * (size_t)m->proj_E && weight != 1; i++) {
        a->dzx[i] = (float)(weight * (double)a->dzx[i]);
        a->dzm[i] = (float)(weight * (double)a->dzm[i]);
    }
    ecg_mlp_backward(a->dhm, m->proj_tab, p, a->proj_tab, exec, a->dzm, a->hm, B);
    ecg_tabular_backward(NULL, m->tabular, p, a->tabular, exec, a->dhm, B);
    ecg_mlp_backward(dh, m->proj_ecg, p, a->proj_ecg, exec, a->dzx, h, B);
}

void ecg_align_extras(char *out, size_t size, const ecg_config *c)
{
    size_t at = 0;
    out[0] = 0;
    if (c->pretrain.tabular)
        at += (size_t)snprintf(out + at, size - at, ", \"tabular\": \"%s\"", groups[c->pretrain.tabular]);
    if (c->pretrain.loss == VICREG && at < size)
        at += (size_t)snprintf(out + at, size - at, ", \"loss\": \"vicreg\"");
    if (c->train.shuffle_pairs && at < size)
        snprintf(out + at, size - at, ", \"shuffled_pairs\": true");
}
