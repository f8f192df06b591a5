/* SPDX-License-Identifier: MIT
 * layer.c: the constants of an S4 layer out of a golden file. */
#include "layer.h"

#include <stdio.h>
#include <stdlib.h>

#include "rows.h"

bool golden_s4_open(golden_s4 *g, golden_out *o, const ecg_tensors *file, const char *prefix, const char *c_name, int L)
{
    static const char *const names[] = {"w", "B", "P", "Q", "log_dt"};
    int64_t count[6] = {0};
    *g = (golden_s4){.directions = golden_dim(o, file, c_name, 0)};
    const int H = golden_dim(o, file, c_name, 1), pairs = golden_dim(o, file, c_name, 2);
    for (int i = 0; i < 5; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", prefix, names[i]);
        g->own[i] = golden_double(o, file, name, &count[i]);
    }
    g->own[5] = g->C = golden_double(o, file, c_name, &count[5]);
    for (int i = 0; i < 4; i++)
        if (count[i] != (int64_t)H * pairs * 2)
            golden_problem(o, "%s%s does not fit %s", prefix, names[i], c_name);
    if (count[5] != (int64_t)g->directions * H * pairs * 2)
        golden_problem(o, "%s is not (directions, H, N/2, 2)", c_name);
    if (count[4] != H || L < 1)
        golden_problem(o, "log_dt or the length does not fit %s", c_name);
    g->s = (ecg_s4){.H = H, .N = 2 * pairs, .L = L, .w = g->own[0], .B = g->own[1], .P = g->own[2], .Q = g->own[3], .log_dt = g->own[4]};
    return !o->problem[0];
}

void golden_s4_close(golden_s4 *g)
{
    for (int i = 0; i < 6; i++)
        free(g->own[i]);
}

void golden_swap_axes(float *out, const float *in, int n, int rows, int columns)
{
    for (int b = 0; b < n; b++, in += (size_t)rows * columns, out += (size_t)rows * columns)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++)
                out[(size_t)c * rows + r] = in[(size_t)r * columns + c];
}
