/* SPDX-License-Identifier: MIT
 * case_g.c: the tabular encoder: a training pass (with the recorded masks where there are any), its gradient, an evaluation pass after it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net/tabular.h"
#include "rows.h"

static const double tolerance = 5e-6;
enum { SITES = 256, FIRST_SITE = 64, MOST = 1 << 14 /* columns, words */ };

static bool config_read(ecg_tabular_config *c, golden_out *o, const ecg_tensors *file)
{
    double vocabulary[16] = {0}, embedding[16] = {0}, width[3] = {0}, p[3] = {0};
    const double continuous = golden_number(o, file, "continuous");
    *c = (ecg_tabular_config){.continuous = (int)fmin(fmax(continuous, 0), MOST)};
    c->categorical = golden_list(o, file, "vocab_sizes", vocabulary, 16);
    if (golden_list(o, file, "embedding_dims", embedding, 16) != c->categorical || golden_list(o, file, "lin_ftrs", width, 3) != 3 ||
        golden_list(o, file, "dropout_p", p, 3) != 3)
        golden_problem(o, "metadata: embedding_dims, lin_ftrs or dropout_p of another length");
    if (p[0] * 2 != p[2] || p[1] * 2 != p[2])
        golden_problem(o, "dropout_p is not half, half, whole");
    if (continuous != c->continuous)
        golden_problem(o, "metadata continuous: %g", continuous);
    for (int k = 0; k < c->categorical + 3; k++) {
        const double n = k < c->categorical ? fmax(vocabulary[k], embedding[k]) : width[k - c->categorical];
        if (!(n >= 1 && n <= MOST) || (k < c->categorical && !(fmin(vocabulary[k], embedding[k]) >= 1)))
            golden_problem(o, "metadata: a size of %g", n);
    }
    if (o->problem[0])
        return false;
    for (int k = 0; k < c->categorical; k++) {
        c->vocabulary[k] = (int)vocabulary[k];
        c->embedding[k] = (int)embedding[k];
    }
    c->hidden1 = (int)width[0];
    c->hidden2 = (int)width[1];
    c->out = (int)width[2];
    c->dropout = (float)p[2];
    return !o->problem[0];
}

/* The masks are named by their place in the chain: norm, dropout, linear, ReLU. None at all: a pass without dropout. */
static const ecg_dropout *masks(ecg_dropout *d, const uint8_t *site[SITES], golden_out *o, const ecg_tensors *file, const ecg_tabular_config *c, int B)
{
    static const char *const names[3] = {"mask/1", "mask/5", "mask/9"};
    const char *used = ecg_tensors_meta(file, "dropout_used");
    int64_t width[3] = {c->continuous, c->hidden1, c->hidden2};
    for (int k = 0; k < c->categorical; k++)
        width[0] += c->embedding[k];
    if ((!used || strcmp(used, "true")) && !ecg_tensors_find(file, names[0]))
        return NULL;
    for (int i = 0; i < 3; i++) {
        const ecg_tensor *t = ecg_tensors_find(file, names[i]);
        if (!t || t->dtype != ECG_U8 || t->count != B * width[i])
            golden_problem(o, "%s is not (%d, %lld) of U8", names[i], B, (long long)width[i]);
        else
            site[FIRST_SITE + i] = t->data;
    }
    d->recorded = site;
    return d;
}

static void run(golden_out *o, const ecg_tensors *file, const ecg_exec *exec, const ecg_tabular *t, ecg_params *table, ecg_tabular_work *w, int B)
{
    const ecg_tabular_config *c = ecg_tabular_shape(t);
    const int64_t n = (int64_t)B * c->out, n_in = (int64_t)B * c->continuous;
    const uint8_t *site[SITES] = {0};
    ecg_dropout drop = {0};
    float *x = golden_floats(o, file, "static", n_in), *W = golden_floats(o, file, "W", n), *y = golden_room(o, (size_t)n),
          *dx = golden_room(o, (size_t)n_in);
    int32_t *category = golden_categories(o, file, "static_cat", B, c->categorical, c->vocabulary);
    const ecg_dropout *recorded = masks(&drop, site, o, file, c, B);
    if (x && W && y && dx && category && !o->problem[0]) {
        ecg_tabular_forward(y, t, table, w, exec, x, category, B, true, recorded);
        golden_compare_f(o, file, "y", y, n, tolerance);
        golden_compare_projection(o, file, y, W, (size_t)n, tolerance);
        golden_compare_buffers(o, file, table, "after/", tolerance);

        ecg_tabular_backward(dx, t, table, w, exec, W, B);
        golden_compare_f(o, file, "dstatic", dx, n_in, tolerance);
        golden_compare_gradients(o, file, table, tolerance);

        ecg_tabular_forward(y, t, table, w, exec, x, category, B, false, NULL);
        golden_compare_f(o, file, "y_eval", y, n, tolerance);
    }
    free(x);
    free(W);
    free(y);
    free(dx);
    free(category);
}

void golden_g(golden_out *o, const ecg_tensors *file)
{
    ecg_tabular_config c;
    ecg_exec exec;
    ecg_params table = {0};
    ecg_tabular *t = NULL;
    ecg_err err = {0};
    const int B = golden_dim(o, file, "static", 0);
    if (!config_read(&c, o, file) || B < 1)
        return;
    if (ecg_tabular_new(&t, &c, &table, "", &err))
        golden_problem(o, "%s", err.msg);
    if (t && golden_exec(o, &exec) && golden_fill(o, file, &table, "param/")) {
        ecg_tabular_work *w = ecg_tabular_work_new(t, B, true);
        if (w)
            run(o, file, &exec, t, &table, w, B);
        ecg_tabular_work_free(w);
    }
    ecg_tabular_free(t);
    ecg_params_clear(&table);
}
