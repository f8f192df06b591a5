/* SPDX-License-Identifier: MIT
 * case_c.c: the whole encoder (letters c and d), forward and backward, with and without recorded dropout masks, in training and evaluation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer.h"
#include "net/encoder.h"
#include "rows.h"

static const double value_tolerance = 5e-6, gradient_tolerance = 5e-5;
enum { BLOCKS = 64 };

typedef struct {
    ecg_params table;
    ecg_encoder *e;
    ecg_encoder_work *w;
} model;

static bool open_model(model *m, golden_out *o, const ecg_tensors *file, const ecg_encoder_config *c, int keep, const ecg_exec *exec)
{
    ecg_err err = {0};
    *m = (model){0};
    if (ecg_encoder_new(&m->e, c, &m->table, "", &err)) {
        golden_problem(o, "%s", err.msg);
        return false;
    }
    if (!golden_fill(o, file, &m->table, "param/"))
        return false;
    if (ecg_encoder_prepare(m->e, &m->table, &err))
        golden_problem(o, "%s", err.msg);
    ecg_encoder_refresh(m->e, &m->table, exec);
    m->w = ecg_encoder_work_new(m->e, 1, keep, true);
    return m->w && !o->problem[0];
}

static void close_model(model *m)
{
    ecg_encoder_work_free(m->w);
    ecg_encoder_free(m->e);
    ecg_params_clear(&m->table);
}

typedef struct {
    int B;
    ecg_encoder_config c;
    uint8_t *mask[2 * BLOCKS];
    uint32_t *row;
    ecg_dropout drop;
    bool dropped;
    float *x, *W_pooled, *W_seq;
} setting;

static bool open_setting(setting *s, golden_out *o, const ecg_tensors *file)
{
    const char *mode = ecg_tensors_meta(file, "mode");
    int64_t nx = 0, nh = 0, ns = 0;
    const int H = golden_dim(o, file, "param/encoder.weight", 0), L = golden_dim(o, file, "x", 2), B = golden_dim(o, file, "x", 0);
    const double layers = golden_number(o, file, "layers");
    *s = (setting){.B = B,
                   .c = {.leads = golden_dim(o, file, "x", 1),
                         .width = H,
                         .blocks = layers > 0 && layers < BLOCKS ? (int)layers : 0,
                         .state = 2 * golden_dim(o, file, "param/s4_layers.0.kernel.kernel.C", 2),
                         .length = L,
                         .bidirectional = golden_dim(o, file, "param/s4_layers.0.kernel.kernel.C", 0) == 2,
                         .dropout = (float)golden_number(o, file, "dropout")}};
    if (o->problem[0])
        return false;
    float *x = golden_float(o, file, "x", &nx);
    s->x = golden_room(o, (size_t)nx);
    s->W_pooled = golden_float(o, file, "W_pooled", &nh), s->W_seq = golden_float(o, file, "W_seq", &ns);
    if (nx != (int64_t)B * s->c.leads * L || nh != (int64_t)B * H || ns != (int64_t)B * L * H)
        golden_problem(o, "x, W_pooled and W_seq do not fit each other");
    else if (x && s->x)
        golden_swap_axes(s->x, x, B, s->c.leads, L);
    free(x);
    s->dropped = s->c.dropout > 0 && mode && strcmp(mode, "train") == 0;
    s->row = calloc(B > 0 ? B : 1, sizeof *s->row);
    for (int site = 0; s->dropped && site < 2 * s->c.blocks; site++) {
        char name[64];
        snprintf(name, sizeof name, "mask/%d.%s", site / 2, site % 2 ? "outer" : "inner");
        const ecg_tensor *t = ecg_tensors_find(file, name);
        s->mask[site] = calloc((size_t)B * H, 1);
        if (t && t->dtype == ECG_U8 && t->count == (int64_t)B * H && s->mask[site])
            memcpy(s->mask[site], t->data, t->bytes);
        else
            golden_problem(o, "%s is not (%d, %d) of U8", name, B, H);
    }
    s->drop = (ecg_dropout){.row = s->row, .recorded = (const uint8_t *const *)s->mask};
    return !o->problem[0];
}

static void close_setting(setting *s)
{
    for (int i = 0; i < 2 * BLOCKS; i++)
        free(s->mask[i]);
    free(s->row), free(s->x), free(s->W_pooled), free(s->W_seq);
}

/* the output of each block but the last: an encoder that ends there; of the last the file has the mean over time, which is pooled */
static void compare_inner(golden_out *o, const ecg_tensors *file, const setting *s, const ecg_exec *exec, float *h, float *seq)
{
    char name[64];
    snprintf(name, sizeof name, "inter/layer%d_out", s->c.blocks - 1);
    golden_compare_f(o, file, name, h, (int64_t)s->B * s->c.width, value_tolerance);
    for (int blocks = 1; blocks < s->c.blocks; blocks++) {
        ecg_encoder_config c = s->c;
        model m;
        c.blocks = blocks;
        snprintf(name, sizeof name, "inter/layer%d_out", blocks - 1);
        if (open_model(&m, o, file, &c, 0, exec)) {
            ecg_encoder_forward(h, seq, m.e, &m.table, m.w, exec, s->x, s->B, s->dropped ? &s->drop : NULL);
            golden_compare_f(o, file, name, seq, (int64_t)s->B * c.length * c.width, value_tolerance);
        }
        close_model(&m);
    }
}

static void compare_all(golden_out *o, const ecg_tensors *file, const setting *s, const ecg_exec *exec, int keep)
{
    const int64_t nh = (int64_t)s->B * s->c.width, ns = nh * s->c.length, nx = (int64_t)s->B * s->c.leads * s->c.length;
    const ecg_dropout *drop = s->dropped ? &s->drop : NULL;
    float *y = golden_room(o, (size_t)(nh + ns)), *W = golden_room(o, (size_t)(nh + ns)), *dx = golden_room(o, (size_t)nx),
          *dx_file = golden_room(o, (size_t)nx);
    model m = {0};
    if (y && W && dx && dx_file && open_model(&m, o, file, &s->c, keep, exec)) {
        float *h = y, *seq = y + nh;
        ecg_encoder_forward(h, seq, m.e, &m.table, m.w, exec, s->x, s->B, drop);
        golden_compare_f(o, file, "pooled", h, nh, value_tolerance);
        golden_compare_f(o, file, "seq_out", seq, ns, value_tolerance);
        memcpy(W, s->W_pooled, sizeof *W * nh);
        memcpy(W + nh, s->W_seq, sizeof *W * ns);
        golden_compare_projection(o, file, y, W, (size_t)(nh + ns), value_tolerance);

        ecg_encoder_backward(dx, m.e, &m.table, m.w, exec, s->W_pooled, s->W_seq, s->x, s->B, drop);
        golden_swap_axes(dx_file, dx, s->B, s->c.length, s->c.leads);
        golden_compare_f(o, file, "dx", dx_file, nx, gradient_tolerance);
        golden_compare_gradients(o, file, &m.table, gradient_tolerance);
        if (!keep)
            compare_inner(o, file, s, exec, h, seq);
    }
    close_model(&m);
    free(y), free(W), free(dx), free(dx_file);
}

void golden_c(golden_out *o, const ecg_tensors *file)
{
    setting s;
    ecg_exec exec;
    if (!golden_exec(o, &exec))
        return;
    if (open_setting(&s, o, file)) {
        compare_all(o, file, &s, &exec, 0);
        compare_all(o, file, &s, &exec, s.B);
    }
    close_setting(&s);
}
