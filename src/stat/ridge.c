/* SPDX-License-Identifier: MIT
 * ridge.c: see ridge.h. Moments are taken about the first row, so that a large common offset does not cancel them. */
#include "stat/ridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8 }; /* rows that go through the moments together */

struct ecg_ridge {
    int p, q, m;        /* m = p + q */
    int64_t n;
    int waiting;
    double *shift;      /* (m) the first row: x, then y */
    double *sum;        /* (m) */
    double *product;    /* (p, m) of features with features (up to the diagonal) and, from p on, with targets */
    double *block;      /* (BLOCK, m) */
    double *centred;    /* (p, p) room of solve */
    double *root;       /* (p) */
};

ecg_ridge *ecg_ridge_new(int features, int targets)
{
    ecg_ridge *r = calloc(1, sizeof *r);
    if (!r || features < 1 || targets < 1) {
        free(r);
        return NULL;
    }
    r->p = features;
    r->q = targets;
    r->m = features + targets;
    const size_t p = (size_t)features, m = (size_t)r->m;
    r->shift = calloc(m, sizeof *r->shift);
    r->sum = calloc(m, sizeof *r->sum);
    r->product = calloc(p * m, sizeof *r->product);
    r->block = calloc(BLOCK * m, sizeof *r->block);
    r->centred = calloc(p * p, sizeof *r->centred);
    r->root = calloc(p, sizeof *r->root);
    if (!r->shift || !r->sum || !r->product || !r->block || !r->centred || !r->root) {
        ecg_ridge_free(r);
        return NULL;
    }
    return r;
}

void ecg_ridge_free(ecg_ridge *r)
{
    if (!r)
        return;
    free(r->shift);
    free(r->sum);
    free(r->product);
    free(r->block);
    free(r->centred);
    free(r->root);
    free(r);
}

void ecg_ridge_clear(ecg_ridge *r)
{
    memset(r->sum, 0, (size_t)r->m * sizeof *r->sum);
    memset(r->product, 0, (size_t)r->p * (size_t)r->m * sizeof *r->product);
    r->n = r->waiting = 0;
}

int64_t ecg_ridge_rows(const ecg_ridge *r)
{
    return r->n;
}

static void flush(ecg_ridge *r)
{
    const size_t m = (size_t)r->m, p = (size_t)r->p;
    for (int i = r->waiting; i < BLOCK; i++)
        memset(r->block + (size_t)i * m, 0, m * sizeof *r->block);
    const double *x = r->block;
    for (size_t j = 0; j < m; j++)
        for (int i = 0; i < BLOCK; i++)
            r->sum[j] += x[(size_t)i * m + j];
    for (size_t a = 0; a < p; a++) {
        double *row = r->product + a * m, f[BLOCK];
        for (int i = 0; i < BLOCK; i++)
            f[i] = x[(size_t)i * m + a];
        const size_t from[2] = {0, p}, to[2] = {a + 1, m};
        for (int part = 0; part < 2; part++)
            for (size_t j = from[part]; j < to[part]; j++)
                row[j] += f[0] * x[j] + f[1] * x[m + j] + f[2] * x[2 * m + j] + f[3] * x[3 * m + j] + f[4] * x[4 * m + j] + f[5] * x[5 * m + j] +
                          f[6] * x[6 * m + j] + f[7] * x[7 * m + j];
    }
    r->waiting = 0;
}

void ecg_ridge_add(ecg_ridge *r, const double *x, const double *y)
{
    const size_t m = (size_t)r->m, p = (size_t)r->p;
    if (r->n == 0) {
        memcpy(r->shift, x, p * sizeof *x);
        memcpy(r->shift + p, y, (size_t)r->q * sizeof *y);
    }
    double *at = r->block + (size_t)r->waiting * m;
    for (size_t j = 0; j < p; j++)
        at[j] = x[j] - r->shift[j];
    for (size_t j = p; j < m; j++)
        at[j] = y[j - p] - r->shift[j];
    r->n++;
    if (++r->waiting == BLOCK)
        flush(r);
}

/* Lower triangle of C in place; a pivot that is nothing beside its diagonal is a column that says nothing of its own: infinite, so that its
 * unknown becomes 0. */
static void cholesky(double *c, int p)
{
    for (int a = 0; a < p; a++) {
        double *row = c + (size_t)a * (size_t)p;
        for (int b = 0; b <= a; b++) {
            const double *other = c + (size_t)b * (size_t)p;
            double s = row[b];
            for (int k = 0; k < b; k++)
                s -= row[k] * other[k];
            if (b < a)
                row[b] = s / other[b];
            else
                row[a] = s > 1e-12 * row[a] ? sqrt(s) : INFINITY;
        }
    }
}

/* L L^T w = w */
static void substitute(double *w, const double *l, int p)
{
    for (int a = 0; a < p; a++) {
        const double *row = l + (size_t)a * (size_t)p;
        double s = w[a];
        for (int k = 0; k < a; k++)
            s -= row[k] * w[k];
        w[a] = s / row[a];
    }
    for (int a = p - 1; a >= 0; a--) {
        double s = w[a];
        for (int k = a + 1; k < p; k++)
            s -= l[(size_t)k * (size_t)p + (size_t)a] * w[k];
        w[a] = s / l[(size_t)a * (size_t)p + (size_t)a];
    }
}

int ecg_ridge_solve(double *coefficient, ecg_ridge *r, double penalty)
{
    if (r->n == 0)
        return -1;
    if (r->waiting)
        flush(r);
    const int p = r->p;
    const size_t m = (size_t)r->m, P = (size_t)p;
    const double n = (double)r->n;
    for (size_t a = 0; a < P; a++) {
        const double raw = r->product[a * m + a] / n, mean = r->sum[a] / n, v = raw - mean * mean;
        r->root[a] = v > 1e-14 * raw ? sqrt(v) : 0;
    }
    for (size_t a = 0; a < P; a++)
        for (size_t b = 0; b <= a; b++) {
            const double v = r->product[a * m + b] / n - (r->sum[a] / n) * (r->sum[b] / n), scale = r->root[a] * r->root[b];
            r->centred[a * P + b] = (a == b ? r->root[a] > 0 ? 1 : 0 : scale > 0 ? v / scale : 0) + (a == b ? penalty : 0);
        }
    cholesky(r->centred, p);
    for (int t = 0; t < r->q; t++) {
        double *w = coefficient + (size_t)t * (P + 1);
        const size_t y = P + (size_t)t;
        for (size_t a = 0; a < P; a++)
            w[a] = r->root[a] > 0 ? (r->product[a * m + y] / n - (r->sum[a] / n) * (r->sum[y] / n)) / r->root[a] : 0;
        substitute(w, r->centred, p);
        double intercept = r->shift[y] + r->sum[y] / n;
        for (size_t a = 0; a < P; a++) {
            w[a] = r->root[a] > 0 ? w[a] / r->root[a] : 0;
            intercept -= w[a] * (r->shift[a] + r->sum[a] / n);
        }
        w[P] = intercept;
    }
    return 0;
}

double ecg_ridge_at(const double *coefficient, const double *x, int features)
{
    double y = coefficient[features];
    for (int a = 0; a < features; a++)
        y += coefficient[a] * x[a];
    return y;
}
