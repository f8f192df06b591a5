/* SPDX-License-Identifier: MIT
 * case_f.c: a projector: two training batches with their running statistics, the gradient of sum(y1 W), an evaluation batch. */
#include <stdlib.h>
#include <string.h>

#include "net/mlp.h"
#include "rows.h"

static const double tolerance = 5e-6;
enum { MOST = 1 << 14 }; /* columns */

typedef struct {
    float *x1, *x2, *x_eval, *W, *y, *dx;
    int64_t n1, n2, n_eval, nW;
} batches;

static void batches_read(batches *b, golden_out *o, const ecg_tensors *file, int in, int E)
{
    b->x1 = golden_float(o, file, "x1", &b->n1);
    b->x2 = golden_float(o, file, "x2", &b->n2);
    b->x_eval = golden_float(o, file, "x_eval", &b->n_eval);
    b->W = golden_float(o, file, "W", &b->nW);
    const int64_t most = b->n1 > b->n2 ? (b->n1 > b->n_eval ? b->n1 : b->n_eval) : (b->n2 > b->n_eval ? b->n2 : b->n_eval);
    b->y = golden_room(o, (size_t)(most / in * E));
    b->dx = golden_room(o, (size_t)b->n1);
    if (b->n1 / in * E != b->nW)
        golden_problem(o, "W does not fit x1");
}

static void batches_clear(batches *b)
{
    free(b->x1);
    free(b->x2);
    free(b->x_eval);
    free(b->W);
    free(b->y);
    free(b->dx);
}

static void run(golden_out *o, const ecg_tensors *file, const ecg_exec *exec, const ecg_mlp *m, ecg_params *table, ecg_mlp_work *w, batches *b)
{
    const int in = ecg_mlp_in(m), E = ecg_mlp_out(m), B1 = (int)b->n1 / in, B2 = (int)b->n2 / in, B_eval = (int)b->n_eval / in;

    ecg_mlp_forward(b->y, m, table, w, exec, b->x1, B1, true, NULL);
    golden_compare_f(o, file, "y1", b->y, b->nW, tolerance);
    golden_compare_projection(o, file, b->y, b->W, (size_t)b->nW, tolerance);
    golden_compare_buffers(o, file, table, "after1/", tolerance);

    ecg_mlp_backward(b->dx, m, table, w, exec, b->W, b->x1, B1);
    golden_compare_f(o, file, "dx1", b->dx, b->n1, tolerance);
    golden_compare_gradients(o, file, table, tolerance);

    ecg_mlp_forward(b->y, m, table, w, exec, b->x2, B2, true, NULL);
    golden_compare_f(o, file, "y2", b->y, (int64_t)B2 * E, tolerance);
    golden_compare_buffers(o, file, table, "after2/", tolerance);

    ecg_mlp_forward(b->y, m, table, w, exec, b->x_eval, B_eval, false, NULL);
    golden_compare_f(o, file, "y_eval", b->y, (int64_t)B_eval * E, tolerance);
}

void golden_f(golden_out *o, const ecg_tensors *file)
{
    double dims[4] = {0};
    const char *bias = ecg_tensors_meta(file, "bias");
    if (golden_list(o, file, "dims", dims, 4) != 4)
        golden_problem(o, "dims: four numbers expected");
    for (int i = 0; i < 4; i++)
        if (!(dims[i] >= 1 && dims[i] <= MOST) || dims[i] != (int)dims[i])
            golden_problem(o, "dims: %g", dims[i]);
    if (o->problem[0])
        return;
    ecg_exec exec;
    ecg_params table = {0};
    ecg_mlp *m = NULL;
    ecg_err err = {0};
    if (ecg_projector_new(&m, (int)dims[0], (int)dims[1], (int)dims[2], (int)dims[3], bias && strcmp(bias, "true") == 0, &table, "", &err))
        golden_problem(o, "%s", err.msg);
    if (m && golden_exec(o, &exec) && golden_fill(o, file, &table, "param/")) {
        batches b = {0};
        batches_read(&b, o, file, (int)dims[0], (int)dims[3]);
        const int64_t most = b.n1 + b.n2 + b.n_eval;
        ecg_mlp_work *w = ecg_mlp_work_new(m, (int)(most / (int64_t)dims[0]), true);
        if (w && !o->problem[0])
            run(o, file, &exec, m, &table, w, &b);
        ecg_mlp_work_free(w);
        batches_clear(&b);
    }
    ecg_mlp_free(m);
    ecg_params_clear(&table);
}
