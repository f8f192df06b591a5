/* SPDX-License-Identifier: MIT
 * case_m.c: short trainings, every batch from the file: pre-training (encoder, tabular encoder, two projectors, Barlow Twins) and fine-tuning
 * (linear head, frozen early layers). Losses and all final values are compared. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/adamw.h"
#include "net/encoder.h"
#include "net/loss.h"
#include "net/mlp.h"
#include "net/tabular.h"
#include "rows.h"

static const double tolerance = 1e-5;

typedef struct {
    ecg_exec exec;
    ecg_params table;
    ecg_encoder *encoder;
    ecg_encoder_work *encoder_work;
    ecg_adamw opt;
    int B, L, leads, H, steps;
    float *x, *h, *dh; /* (B, L, leads), (B, H) */
    double *loss;      /* (steps) */
} training;

/* ---- what both have ------------------------------------------------------------------------------------------------------------- */

static int dim_of(golden_out *o, const ecg_tensors *file, int axis, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static int dim_of(golden_out *o, const ecg_tensors *file, int axis, const char *fmt, ...)
{
    char name[128];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return golden_dim(o, file, name, axis);
}

static int blocks_of(const ecg_tensors *file)
{
    char name[64];
    int n = 0;
    do
        snprintf(name, sizeof name, "init/ecg.s4_layers.%d.D", n);
    while (ecg_tensors_find(file, name) && ++n);
    return n;
}

static bool training_begin(training *t, golden_out *o, const ecg_tensors *file)
{
    ecg_err err = {0};
    *t = (training){.B = golden_dim(o, file, "batch0/ecg", 0), .leads = golden_dim(o, file, "batch0/ecg", 1),
                    .L = golden_dim(o, file, "batch0/ecg", 2), .H = golden_dim(o, file, "init/ecg.encoder.weight", 0),
                    .steps = golden_dim(o, file, "loss_per_step", 0)};
    if (t->steps != golden_number(o, file, "steps"))
        golden_problem(o, "loss_per_step: %d values, another number of steps", t->steps);
    const double decay = golden_number(o, file, "weight_decay");
    t->opt = (ecg_adamw){.decay = {decay, decay}, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    const ecg_encoder_config c = {.leads = t->leads, .width = t->H, .blocks = blocks_of(file), .length = t->L,
                                  .state = 2 * golden_dim(o, file, "init/ecg.s4_layers.0.kernel.kernel.C", 2),
                                  .bidirectional = golden_dim(o, file, "init/ecg.s4_layers.0.kernel.kernel.C", 0) == 2};
    if (o->problem[0] || !golden_exec(o, &t->exec))
        return false;
    if (ecg_encoder_new(&t->encoder, &c, &t->table, "ecg.", &err))
        golden_problem(o, "%s", err.msg);
    return !o->problem[0];
}

/* After every row was declared. */
static bool training_ready(training *t, golden_out *o, const ecg_tensors *file)
{
    ecg_err err = {0};
    if (!golden_fill(o, file, &t->table, "init/"))
        return false;
    if (ecg_encoder_prepare(t->encoder, &t->table, &err))
        golden_problem(o, "%s", err.msg);
    t->encoder_work = ecg_encoder_work_new(t->encoder, 1, t->B, true);
    t->x = golden_room(o, (size_t)t->B * (size_t)t->L * (size_t)t->leads);
    t->h = golden_room(o, (size_t)t->B * (size_t)t->H);
    t->dh = golden_room(o, (size_t)t->B * (size_t)t->H);
    t->loss = calloc((size_t)t->steps + 1, sizeof *t->loss);
    return t->encoder_work && t->loss && !o->problem[0];
}

static void training_end(training *t)
{
    ecg_encoder_work_free(t->encoder_work);
    ecg_encoder_free(t->encoder);
    ecg_params_clear(&t->table);
    free(t->x);
    free(t->h);
    free(t->dh);
    free(t->loss);
}

static float *batch(golden_out *o, const ecg_tensors *file, int step, const char *what, int64_t expected)
{
    char name[64];
    snprintf(name, sizeof name, "batch%d/%s", step, what);
    return golden_floats(o, file, name, expected);
}

/* Forward pass of the encoder over batch `step`, stored as (B, leads, L). */
static bool encode(training *t, golden_out *o, const ecg_tensors *file, int step)
{
    float *ecg = batch(o, file, step, "ecg", (int64_t)t->B * t->leads * t->L);
    if (!ecg)
        return false;
    for (int b = 0; b < t->B; b++)
        for (int l = 0; l < t->leads; l++)
            for (int s = 0; s < t->L; s++)
                t->x[((size_t)b * (size_t)t->L + (size_t)s) * (size_t)t->leads + (size_t)l] =
                    ecg[((size_t)b * (size_t)t->leads + (size_t)l) * (size_t)t->L + (size_t)s];
    free(ecg);
    ecg_params_zero_grad(&t->table);
    ecg_encoder_refresh(t->encoder, &t->table, &t->exec);
    ecg_encoder_forward(t->h, NULL, t->encoder, &t->table, t->encoder_work, &t->exec, t->x, t->B, NULL);
    return true;
}

/* From dh to the next parameters. */
static void update(training *t, int step)
{
    ecg_encoder_backward(NULL, t->encoder, &t->table, t->encoder_work, &t->exec, t->dh, NULL, t->x, t->B, NULL);
    ecg_adamw_step(&t->table, &t->opt, step + 1, &t->exec);
}

/* Listed in metadata float32_drift, above the tolerance, under a name that begins with `name`: the reference's own float32 run misses it too. */
static bool drifts(const json_t *drift, const char *name)
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(drift, "worst"), i, pair) {
        const char *listed = json_string_value(json_array_get(pair, 0));
        if (listed && strncmp(listed, name, strlen(name)) == 0 && json_number_value(json_array_get(pair, 1)) > tolerance)
            return true;
    }
    return false;
}

/* What drifts because a batch norm is blind to it, a shift of the norm's input, is what that norm keeps as running mean: a shift of an embedding
 * before a projector, the bias of a unit that is always active before a norm of the tabular encoder. */
static bool mean_of_drift(const json_t *drift, const char *name)
{
    int norm = 0, used = 0;
    if ((strcmp(name, "proj_ecg.1.running_mean") == 0 && drifts(drift, "ecg.")) ||
        (strcmp(name, "proj_tab.1.running_mean") == 0 && drifts(drift, "tab.")))
        return true;
    if (sscanf(name, "tab.layers.%d.running_mean%n", &norm, &used) != 1 || !used)
        return false;
    for (int k = 0; k < norm; k++) {
        char bias[64];
        snprintf(bias, sizeof bias, "tab.layers.%d.bias", k);
        if (drifts(drift, bias))
            return true;
    }
    return false;
}

static void compare_final(training *t, golden_out *o, const ecg_tensors *file)
{
    const char *text = ecg_tensors_meta(file, "float32_drift");
    json_t *drift = text ? json_loads(text, 0, NULL) : NULL;
    if (!(json_number_value(json_object_get(drift, "loss_max_rel")) > tolerance)) /* else the reference's own float32 run misses it */
        golden_compare_d(o, file, "loss_per_step", t->loss, t->steps, tolerance);
    for (int i = 0; i < ecg_tensors_count(file); i++) {
        const char *name = ecg_tensors_at(file, i)->name;
        if (strncmp(name, "final/", 6) != 0 || drifts(drift, name + 6) || mean_of_drift(drift, name + 6))
            continue;
        const int row = ecg_params_find(&t->table, name + 6);
        if (row < 0)
            golden_problem(o, "no parameter %s", name + 6);
        else
            golden_compare_f(o, file, name, ecg_value(&t->table, row), (int64_t)t->table.row[row].count, tolerance);
    }
    for (int row = 0; row < t->table.n; row++) { /* all that training moves is in the file */
        char name[128];
        snprintf(name, sizeof name, "final/%s", t->table.row[row].name);
        if ((!(t->table.row[row].flags & ECG_P_BUFFER) || strstr(name, ".running_")) && !ecg_tensors_find(file, name))
            golden_problem(o, "no tensor %s", name);
    }
    json_decref(drift);
}

/* ---- m1: pre-training ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    ecg_tabular *tabular;
    ecg_tabular_work *tabular_work;
    ecg_mlp *project[2];           /* of the ECG, of the table */
    ecg_mlp_work *project_work[2];
    ecg_barlow *barlow;
    float *h, *dh;                 /* (B, tabular out) */
    float *z[2], *dz[2];           /* (B, E) */
} pretraining;

static ecg_status declare_tabular(pretraining *p, golden_out *o, const ecg_tensors *file, ecg_params *table, ecg_err *err)
{
    ecg_tabular_config c = {.continuous = golden_dim(o, file, "batch0/static", 1), .categorical = golden_dim(o, file, "batch0/static_cat", 1)};
    const ecg_tensor *second = ecg_tensors_find(file, "init/tab.layers.1.weight");
    const int every = second && second->rank == 2 ? 3 : 4; /* norm, linear, ReLU, or with dropout between: only the names tell */
    c.dropout = every == 4 ? 0.5f : 0;
    for (int k = 0; k < c.categorical && k < 16; k++) {
        c.vocabulary[k] = dim_of(o, file, 0, "init/tab.embeddings.%d.weight", k);
        c.embedding[k] = dim_of(o, file, 1, "init/tab.embeddings.%d.weight", k);
    }
    c.hidden1 = dim_of(o, file, 0, "init/tab.layers.%d.weight", every - 2);
    c.hidden2 = dim_of(o, file, 0, "init/tab.layers.%d.weight", 2 * every - 2);
    c.out = dim_of(o, file, 0, "init/tab.layers.%d.weight", 3 * every - 2);
    return ecg_tabular_new(&p->tabular, &c, table, "tab.", err);
}

static ecg_status declare_projector(ecg_mlp **out, golden_out *o, const ecg_tensors *file, const char *prefix, ecg_params *table, ecg_err *err)
{
    char bias[64];
    snprintf(bias, sizeof bias, "init/%s0.bias", prefix);
    return ecg_projector_new(out, dim_of(o, file, 1, "init/%s0.weight", prefix), dim_of(o, file, 0, "init/%s0.weight", prefix),
                             dim_of(o, file, 0, "init/%s3.weight", prefix), dim_of(o, file, 0, "init/%s6.weight", prefix),
                             ecg_tensors_find(file, bias) != NULL, table, prefix, err);
}

static bool pretraining_ready(pretraining *p, training *t, golden_out *o, const ecg_tensors *file)
{
    ecg_err err = {0};
    if (declare_tabular(p, o, file, &t->table, &err) || declare_projector(&p->project[0], o, file, "proj_ecg.", &t->table, &err) ||
        declare_projector(&p->project[1], o, file, "proj_tab.", &t->table, &err))
        golden_problem(o, "%s", err.msg);
    if (o->problem[0] || !training_ready(t, o, file))
        return false;
    if (ecg_mlp_out(p->project[0]) != ecg_mlp_out(p->project[1])) {
        golden_problem(o, "projectors of different width");
        return false;
    }
    const size_t B = (size_t)t->B, E = (size_t)ecg_mlp_out(p->project[0]), T = (size_t)ecg_tabular_shape(p->tabular)->out;
    p->tabular_work = ecg_tabular_work_new(p->tabular, t->B, true);
    p->barlow = ecg_barlow_new(t->B, (int)E);
    p->h = golden_room(o, B * T);
    p->dh = golden_room(o, B * T);
    for (int s = 0; s < 2; s++) {
        p->project_work[s] = ecg_mlp_work_new(p->project[s], t->B, true);
        p->z[s] = golden_room(o, B * E);
        p->dz[s] = golden_room(o, B * E);
    }
    return p->tabular_work && p->barlow && p->project_work[0] && p->project_work[1] && !o->problem[0];
}

static void pretraining_end(pretraining *p)
{
    ecg_tabular_work_free(p->tabular_work);
    ecg_tabular_free(p->tabular);
    ecg_barlow_free(p->barlow);
    free(p->h);
    free(p->dh);
    for (int s = 0; s < 2; s++) {
        ecg_mlp_work_free(p->project_work[s]);
        ecg_mlp_free(p->project[s]);
        free(p->z[s]);
        free(p->dz[s]);
    }
}

static void pretraining_step(pretraining *p, training *t, golden_out *o, const ecg_tensors *file, int step, double lambda)
{
    const int B = t->B, E = ecg_mlp_out(p->project[0]);
    const ecg_tabular_config *c = ecg_tabular_shape(p->tabular);
    float *continuous = batch(o, file, step, "static", (int64_t)B * c->continuous);
    char name[64];
    snprintf(name, sizeof name, "batch%d/static_cat", step);
    int32_t *category = golden_categories(o, file, name, B, c->categorical, c->vocabulary);
    if (continuous && category && encode(t, o, file, step)) {
        ecg_tabular_forward(p->h, p->tabular, &t->table, p->tabular_work, &t->exec, continuous, category, B, true, NULL);
        ecg_mlp_forward(p->z[0], p->project[0], &t->table, p->project_work[0], &t->exec, t->h, B, true, NULL);
        ecg_mlp_forward(p->z[1], p->project[1], &t->table, p->project_work[1], &t->exec, p->h, B, true, NULL);
        t->loss[step] = ecg_barlow_loss(p->dz[0], p->dz[1], p->barlow, &t->exec, p->z[0], p->z[1], B, E, lambda);
        if (step == 0) {
            golden_compare_f(o, file, "step0/h_ecg", t->h, (int64_t)B * t->H, tolerance);
            golden_compare_f(o, file, "step0/h_tab", p->h, (int64_t)B * c->out, tolerance);
            golden_compare_f(o, file, "step0/z_ecg", p->z[0], (int64_t)B * E, tolerance);
            golden_compare_f(o, file, "step0/z_tab", p->z[1], (int64_t)B * E, tolerance);
        }
        ecg_mlp_backward(t->dh, p->project[0], &t->table, p->project_work[0], &t->exec, p->dz[0], t->h, B);
        ecg_mlp_backward(p->dh, p->project[1], &t->table, p->project_work[1], &t->exec, p->dz[1], p->h, B);
        ecg_tabular_backward(NULL, p->tabular, &t->table, p->tabular_work, &t->exec, p->dh, B);
        update(t, step);
    }
    free(continuous);
    free(category);
}

static void pretrain(training *t, golden_out *o, const ecg_tensors *file)
{
    pretraining p = {0};
    const double lambda = golden_number(o, file, "lam");
    t->opt.lr[0] = t->opt.lr[1] = golden_number(o, file, "lr");
    if (pretraining_ready(&p, t, o, file)) {
        for (int step = 0; step < t->steps && !o->problem[0]; step++)
            pretraining_step(&p, t, o, file, step, lambda);
        compare_final(t, o, file);
    }
    pretraining_end(&p);
}

/* ---- m2: fine-tuning ------------------------------------------------------------------------------------------------------------ */

/* The rates stand in the case's description: "head lr 1e-3, encoder lr 1e-4". */
static double rate_of(golden_out *o, const ecg_tensors *file, const char *what)
{
    const char *text = ecg_tensors_meta(file, "case"), *at = text ? strstr(text, what) : NULL;
    const double rate = at ? strtod(at + strlen(what), NULL) : 0;
    if (!(rate > 0))
        golden_problem(o, "the case names no %s", what);
    return rate;
}

static void freeze(training *t, golden_out *o, const ecg_tensors *file)
{
    const char *text = ecg_tensors_meta(file, "frozen_prefixes");
    json_t *list = text ? json_loads(text, 0, NULL) : NULL, *prefix;
    size_t i;
    int blocks = 0;
    json_array_foreach(list, i, prefix) {
        const char *name = json_string_value(prefix);
        blocks += name && strncmp(name, "s4_layers.", 10) == 0;
    }
    if (blocks) /* so that the backward pass stops there; the flags are set again below, as the file lists them */
        ecg_encoder_freeze(t->encoder, &t->table, blocks);
    json_array_foreach(list, i, prefix) {
        char name[128];
        snprintf(name, sizeof name, "ecg.%s", json_string_value(prefix) ? json_string_value(prefix) : "");
        if (!ecg_params_freeze(&t->table, name, true))
            golden_problem(o, "nothing begins with %s", name);
    }
    if (!json_is_array(list))
        golden_problem(o, "metadata frozen_prefixes is no list");
    json_decref(list);
}

static void finetune(training *t, golden_out *o, const ecg_tensors *file)
{
    const int K = golden_dim(o, file, "init/head.weight", 0);
    const int64_t n = (int64_t)t->B * K;
    ecg_mlp *head = NULL;
    ecg_err err = {0};
    t->opt.lr[0] = rate_of(o, file, "encoder lr ");
    t->opt.lr[1] = rate_of(o, file, "head lr ");
    if (K < 1 || ecg_head_new(&head, t->H, 0, K, 0, &t->table, "head.", &err)) {
        golden_problem(o, "%s", err.msg);
        return;
    }
    freeze(t, o, file);
    ecg_mlp_work *w = ecg_mlp_work_new(head, t->B, true);
    float *x = golden_room(o, (size_t)n), *dx = golden_room(o, (size_t)n);
    if (w && x && dx && training_ready(t, o, file)) {
        for (int step = 0; step < t->steps && !o->problem[0]; step++) {
            float *labels = batch(o, file, step, "labels", n);
            if (labels && encode(t, o, file, step)) {
                ecg_mlp_forward(x, head, &t->table, w, &t->exec, t->h, t->B, true, NULL);
                if (step == 0)
                    golden_compare_f(o, file, "step0/logits", x, n, tolerance);
                t->loss[step] = ecg_bce_loss(dx, x, labels, t->B, K, 0, ECG_BCE_MEAN);
                ecg_mlp_backward(t->dh, head, &t->table, w, &t->exec, dx, t->h, t->B);
                update(t, step);
            }
            free(labels);
        }
        compare_final(t, o, file);
    }
    free(x);
    free(dx);
    ecg_mlp_work_free(w);
    ecg_mlp_free(head);
}

void golden_m(golden_out *o, const ecg_tensors *file)
{
    training t;
    if (training_begin(&t, o, file)) {
        if (ecg_tensors_find(file, "init/head.weight"))
            finetune(&t, o, file);
        else
            pretrain(&t, o, file);
    }
    training_end(&t);
}
