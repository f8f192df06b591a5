/* SPDX-License-Identifier: MIT
 * case_n.c: the encoder at full size; parameters come from the generator that the golden README describes, gradients are compared by norm and head. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer.h"
#include "net/encoder.h"
#include "rows.h"

static const double tolerance = 1e-5;
enum { HEAD = 8, FIRST = 4 }; /* elements that the file has of a gradient, and of what the generator makes */

typedef struct {
    uint64_t seed, id;
    double scale, offset;
    int64_t dim[4];
    int rank;
} spec;

/* [id, name, shape, scale, offset] of a tensor in the metadata */
static bool find_spec(spec *s, golden_out *o, const json_t *list, double seed, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *t = json_array_get(list, i), *shape = json_array_get(t, 2);
        const char *have = json_string_value(json_array_get(t, 1));
        if (!have || strcmp(have, name))
            continue;
        *s = (spec){(uint64_t)seed, (uint64_t)json_integer_value(json_array_get(t, 0)), json_number_value(json_array_get(t, 3)),
                    json_number_value(json_array_get(t, 4)), {0}, (int)json_array_size(shape)};
        for (int d = 0; d < s->rank && d < 4; d++)
            s->dim[d] = json_integer_value(json_array_get(shape, d));
        return true;
    }
    golden_problem(o, "metadata tensors: no %s", name);
    *s = (spec){0};
    return false;
}

static void generate(float *x, const spec *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t z = (s->seed << 40) + (s->id << 32) + i + 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        const double u = (double)((z ^ (z >> 31)) >> 40) * 0x1p-24;
        x[i] = (float)(s->offset + s->scale * (2 * u - 1));
    }
}

/* w, B, P and Q = conj P of all channels are those of hippo/; the rest is generated */
static void fill_row(golden_out *o, const ecg_tensors *file, const json_t *list, double seed, const ecg_params *table, int row)
{
    const ecg_param *p = &table->row[row];
    const char *last = strrchr(p->name, '.');
    float *x = ecg_value(table, row);
    if (p->flags & ECG_P_BUFFER && last && strlen(last) == 2) {
        char name[16];
        int64_t n = 0;
        snprintf(name, sizeof name, "hippo/%c", last[1] == 'Q' ? 'P' : last[1]);
        float *one = golden_float(o, file, name, &n);
        for (size_t i = 0; one && n && i < p->count; i++)
            x[i] = one[i % n] * (last[1] == 'Q' && i % 2 ? -1 : 1);
        free(one);
        return;
    }
    spec s;
    if (find_spec(&s, o, list, seed, p->name))
        generate(x, &s, p->count);
}

static void compare_gradients(golden_out *o, const ecg_tensors *file, const ecg_params *table)
{
    for (int i = 0; i < table->n; i++) {
        const ecg_param *p = &table->row[i];
        char name[128];
        double square = 0;
        if (p->flags & ECG_P_BUFFER)
            continue;
        for (size_t k = 0; k < p->count; k++)
            square += (double)ecg_grad(table, i)[k] * ecg_grad(table, i)[k];
        const double norm = sqrt(square);
        snprintf(name, sizeof name, "gradnorm/%s", p->name);
        golden_compare_d(o, file, name, &norm, 1, tolerance);
        snprintf(name, sizeof name, "gradhead/%s", p->name);
        golden_compare_f(o, file, name, ecg_grad(table, i), p->count < HEAD ? (int64_t)p->count : HEAD, tolerance);
    }
}

static void run(golden_out *o, const ecg_tensors *file, const ecg_exec *exec, ecg_encoder *e, ecg_params *table, const float *x, const float *W, int B)
{
    const ecg_encoder_config *c = ecg_encoder_shape(e);
    const int L = c->length, H = c->width, leads = c->leads, steps = golden_dim(o, file, "dx", 2);
    const size_t nh = (size_t)B * H, nx = (size_t)B * L * leads;
    ecg_err err = {0};
    ecg_encoder_work *w = ecg_encoder_work_new(e, 1, B, true);
    float *h = golden_room(o, nh), *seq = golden_room(o, nh * L), *ends = golden_room(o, 2 * nh), *dx = golden_room(o, nx), *dx_file = golden_room(o, nx);
    if (steps != (L + 4) / 5)
        golden_problem(o, "dx: %d time steps, %d expected", steps, (L + 4) / 5);
    if (!w || ecg_encoder_prepare(e, table, &err))
        golden_problem(o, "no encoder: %s", err.msg);
    if (!o->problem[0]) {
        ecg_encoder_refresh(e, table, exec);
        ecg_encoder_forward(h, seq, e, table, w, exec, x, B, NULL);
        for (int b = 0; b < B; b++) {
            memcpy(ends + (size_t)b * H, seq + (size_t)b * L * H, sizeof *ends * H);
            memcpy(ends + nh + (size_t)b * H, seq + ((size_t)b * L + L - 1) * H, sizeof *ends * H);
        }
        golden_compare_f(o, file, "pooled", h, (int64_t)nh, tolerance);
        golden_compare_f(o, file, "seq_first", ends, (int64_t)nh, tolerance);
        golden_compare_f(o, file, "seq_last", ends + nh, (int64_t)nh, tolerance);
        golden_compare_projection(o, file, h, W, nh, tolerance);
        ecg_encoder_backward(dx, e, table, w, exec, W, NULL, x, B, NULL);
        const int stride = 5; /* "dx at every 5th time step" */
        for (int b = 0; b < B; b++)
            for (int d = 0; d < leads; d++)
                for (int t = 0; t < steps; t++)
                    dx_file[((size_t)b * leads + d) * steps + t] = dx[((size_t)b * L + (size_t)t * stride) * leads + d];
        golden_compare_f(o, file, "dx", dx_file, (int64_t)B * leads * steps, tolerance);
        compare_gradients(o, file, table);
    }
    ecg_encoder_work_free(w);
    free(h), free(seq), free(ends), free(dx), free(dx_file);
}

void golden_n(golden_out *o, const ecg_tensors *file)
{
    const char *text = ecg_tensors_meta(file, "tensors");
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    const double seed = golden_number(o, file, "seed"), layers = golden_number(o, file, "layers");
    ecg_params table = {0};
    ecg_encoder *e = NULL;
    ecg_err err = {0};
    ecg_exec exec;
    spec in, x, W, C;
    if (golden_exec(o, &exec) && find_spec(&in, o, list, seed, "encoder.weight") && find_spec(&x, o, list, seed, "x") &&
        find_spec(&W, o, list, seed, "W") && find_spec(&C, o, list, seed, "s4_layers.0.kernel.kernel.C")) {
        const ecg_encoder_config c = {.leads = (int)in.dim[1], .width = (int)in.dim[0], .blocks = (int)layers, .state = 2 * (int)C.dim[2],
                                      .length = (int)x.dim[2], .bidirectional = C.dim[0] == 2};
        const size_t nx = (size_t)x.dim[0] * c.leads * c.length, nW = (size_t)x.dim[0] * c.width;
        float *x_file = golden_room(o, nx), *x_own = golden_room(o, nx), *weights = golden_room(o, nW);
        if (x.dim[1] != c.leads || W.dim[0] != x.dim[0] || W.dim[1] != c.width)
            golden_problem(o, "x and W do not fit the encoder");
        else if (ecg_encoder_new(&e, &c, &table, "", &err) || ecg_params_alloc(&table, true, &err))
            golden_problem(o, "%s", err.msg);
        else {
            for (int i = 0; i < table.n; i++)
                fill_row(o, file, list, seed, &table, i);
            generate(x_file, &x, nx);
            generate(weights, &W, nW);
            golden_compare_f(o, file, "first_values/x", x_file, FIRST, 0x1p-24);
            golden_compare_f(o, file, "first_values/encoder.weight", ecg_value(&table, ecg_params_find(&table, "encoder.weight")), FIRST, 0x1p-24);
            golden_swap_axes(x_own, x_file, (int)x.dim[0], c.leads, c.length);
            run(o, file, &exec, e, &table, x_own, weights, (int)x.dim[0]);
        }
        free(x_file), free(x_own), free(weights);
    }
    ecg_encoder_free(e);
    ecg_params_clear(&table);
    json_decref(list);
}
