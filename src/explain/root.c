/* SPDX-License-Identifier: MIT
 * root.c: see root.h. a is turned plane by plane until nothing is left beside its diagonal; v collects the turns: a = v diag v'. */
#include "explain/root.h"

#include <math.h>
#include <stdlib.h>

enum { SWEEPS = 60 };

static double beside(const double *a, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            sum += a[i * n + j] * a[i * n + j];
    return sum;
}

/* Turns the plane of p and q so that a[p][q] is 0. */
static void turn(double *a, double *v, int n, int p, int q)
{
    const double apq = a[p * n + q];
    if (apq == 0)
        return;
    const double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
    const double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < n; k++) {
        const double x = a[k * n + p], y = a[k * n + q];
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for (int k = 0; k < n; k++) {
        const double x = a[p * n + k], y = a[q * n + k];
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
    }
    for (int k = 0; k < n; k++) {
        const double x = v[k * n + p], y = v[k * n + q];
        v[k * n + p] = c * x - s * y;
        v[k * n + q] = s * x + c * y;
    }
}

int ecg_inverse_root(double *out, double *a, int n, double ridge)
{
    double *v = calloc((size_t)n * (size_t)n, sizeof *v);
    double all = 0;
    int failed = !v;
    for (int i = 0; i < n && !failed; i++) {
        v[i * n + i] = 1;
        all += a[i * n + i] * a[i * n + i];
    }
    for (int sweep = 0; sweep < SWEEPS && !failed && beside(a, n) > 1e-26 * (all + ridge * ridge); sweep++)
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                turn(a, v, n, p, q);
    for (int k = 0; k < n && !failed; k++)
        failed = !(a[k * n + k] + ridge > 0);
    for (int i = 0; i < n && !failed; i++)
        for (int j = 0; j < n; j++) {
            out[i * n + j] = 0;
            for (int k = 0; k < n; k++)
                out[i * n + j] += v[i * n + k] * v[j * n + k] / sqrt(a[k * n + k] + ridge);
        }
    free(v);
    return failed ? -1 : 0;
}
