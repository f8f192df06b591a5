/* SPDX-License-Identifier: MIT
 * case_g.c: the tabular encoder: a training pass (with the recorded masks where there are any), its gradient, an evaluation pass after it. */
#include <stdlib.h>
#include <string.h>

#include "net/tabular.h"
#include "rows.h"

static const double tolerance = 5e-6;
enum { SITES = 256, FIRST_SITE = 64 };

static bool config_read(ecg_tabular_config *c, golden_out *o, const ecg_tensors *file)
{
    double vocabulary[16] = {0}, embedding[16] = {0}, width[3] = {0}, p[3] = {0};
    *c = (ecg_tabular_config){.continuous = (int)golden_number(o, file, "continuous")};
    c->categorical = golden_list(o, file, "vocab_sizes", vocabulary, 16);
    if (golden_list(o, file, "embedding_dims", embedding, 16) != c->categorical || golden_list(o, file, "lin_ftrs", width, 3) != 3 ||
        golden_list(o, file, "dropout_p", p, 3) != 3)
        golden_problem(o, "metadata: embedding_dims, lin_ftrs or dropout_p of another length");
    if (p[0] * 2 != p[2] || p[1] * 2 != p[2])
        golden_problem(o, "dropout_p is not half, half, whole");
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

/* The masks are named by their place in the chain: "mask/1" ... in ascending order they are the sites. */
static const ecg_dropout *masks(ecg_dropout *d, const uint8_t *site[SITES], const ecg_tensors *file)
{
    int found = 0;
    for (int i = 0; i < 16; i++) {
        char name[16] = "mask/";
        name[5] = (char)(i < 10 ? '0' + i : '1');
        name[6] = (char)(i < 10 ? 0 : '0' + i - 10);
        const ecg_tensor *t = ecg_tensors_find(file, name);
        if (t && t->dtype == ECG_U8)
            site[FIRST_SITE + found++] = t->data;
    }
    d->recorded = site;
    return found ? d : NULL;
}

static int32_t *categories(golden_out *o, const ecg_tensors *file)
{
    int64_t n = 0;
    double *x = golden_double(o, file, "static_cat", &n);
    int32_t *c = calloc((size_t)n + 1, sizeof *c);
    for (int64_t i = 0; x && c && i < n; i++)
        c[i] = (int32_t)x[i];
    free(x);
    return c;
}

static void run(golden_out *o, const ecg_tensors *file, const ecg_exec *exec, const ecg_tabular *t, ecg_params *table, ecg_tabular_work *w, int B)
{
    const ecg_tabular_config *c = ecg_tabular_shape(t);
    const int64_t n = (int64_t)B * c->out, n_in = (int64_t)B * c->continuous;
    const uint8_t *site[SITES] = {0};
    ecg_dropout drop = {0};
    float *x = golden_float(o, file, "static", NULL), *W = golden_float(o, file, "W", NULL), *y = golden_room(o, (size_t)n),
          *dx = golden_room(o, (size_t)n_in);
    int32_t *category = categories(o, file);
    if (x && W && y && dx && category) {
        ecg_tabular_forward(y, t, table, w, exec, x, category, B, true, masks(&drop, site, file));
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
