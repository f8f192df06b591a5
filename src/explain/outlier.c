/* SPDX-License-Identifier: MIT
 * outlier.c: see outlier.h. */
#include "explain/outlier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int usable(const float *h, int width)
{
    for (int j = 0; j < width; j++)
        if (!isfinite(h[j]))
            return 0;
    return 1;
}

void ecg_moments_clear(ecg_moments *m)
{
    free(m->mean);
    free(m->covariance);
    *m = (ecg_moments){0};
}

/* Ledoit and Wolf: shrinkage = (1/n^2) sum_i |x_i x_i' - S|^2 / |S - mu I|^2, where sum_i |x_i x_i' - S|^2 = sum_i |x_i|^4 - n |S|^2. */
static void shrink(ecg_moments *m, double fourth)
{
    const size_t H = (size_t)m->width;
    double squares = 0, trace = 0;
    for (size_t i = 0; i < H * H; i++)
        squares += m->covariance[i] * m->covariance[i];
    for (size_t j = 0; j < H; j++)
        trace += m->covariance[j * H + j];
    const double mu = trace / (double)H, n = (double)m->n;
    const double distance = squares - (double)H * mu * mu, noise = (fourth / n - squares) / n;
    m->shrinkage = distance > 0 && noise < distance ? fmax(0, noise / distance) : 1;
    for (size_t i = 0; i < H * H; i++)
        m->covariance[i] = (1 - m->shrinkage) * m->covariance[i] + (i / H == i % H ? m->shrinkage * mu : 0);
}

int ecg_moments_of(ecg_moments *out, const float *h, int64_t n, int width)
{
    const size_t H = (size_t)width;
    ecg_moments m = {.width = width};
    m.mean = calloc(H, sizeof *m.mean);
    m.covariance = calloc(H * H, sizeof *m.covariance);
    double *x = malloc(H * sizeof *x), fourth = 0;
    if (!m.mean || !m.covariance || !x)
        goto failed;
    for (int64_t i = 0; i < n; i++)
        if (usable(h + (size_t)i * H, width)) {
            m.n++;
            for (size_t j = 0; j < H; j++)
                m.mean[j] += (double)h[(size_t)i * H + j];
        }
    if (!m.n)
        goto failed;
    for (size_t j = 0; j < H; j++)
        m.mean[j] /= (double)m.n;
    for (int64_t i = 0; i < n; i++) {
        if (!usable(h + (size_t)i * H, width))
            continue;
        double length = 0;
        for (size_t j = 0; j < H; j++) {
            x[j] = (double)h[(size_t)i * H + j] - m.mean[j];
            length += x[j] * x[j];
        }
        fourth += length * length;
        for (size_t a = 0; a < H; a++)
            for (size_t b = 0; b <= a; b++)
                m.covariance[a * H + b] += x[a] * x[b];
    }
    for (size_t a = 0; a < H; a++)
        for (size_t b = 0; b <= a; b++)
            m.covariance[b * H + a] = m.covariance[a * H + b] = m.covariance[a * H + b] / (double)m.n;
    shrink(&m, fourth);
    free(x);
    *out = m;
    return 0;
failed:
    free(x);
    ecg_moments_clear(&m);
    *out = m;
    return -1;
}

/* ---- distances ------------------------------------------------------------------------------------------------------------------- */

/* L of the covariance into root, in double first. -1: it has no spread in some direction. */
static int cholesky(float *root, const ecg_moments *m)
{
    const size_t H = (size_t)m->width;
    double *l = malloc(H * (H + 1) / 2 * sizeof *l);
    int failed = !l;
    for (size_t a = 0; a < H && !failed; a++) {
        double *row = l + a * (a + 1) / 2;
        for (size_t b = 0; b <= a; b++) {
            const double *other = l + b * (b + 1) / 2;
            double s = m->covariance[a * H + b];
            for (size_t k = 0; k < b; k++)
                s -= row[k] * other[k];
            if (b < a)
                row[b] = s / other[b];
            else if (s > 1e-10 * m->covariance[a * H + a] && isfinite(s))
                row[a] = sqrt(s);
            else
                failed = 1;
        }
    }
    for (size_t i = 0; i < H * (H + 1) / 2 && !failed; i++) {
        root[i] = (float)l[i];
        failed = !isfinite(root[i]);
    }
    for (size_t a = 0; a < H && !failed; a++)
        failed = !(root[a * (a + 1) / 2 + a] > 0);
    free(l);
    return failed ? -1 : 0;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int ecg_outlier_refit(ecg_outlier *o, const float *h, int64_t n)
{
    double *d = malloc((size_t)(n > 0 ? n : 1) * sizeof *d);
    int64_t got = 0;
    for (int64_t i = 0; i < n && d; i++) {
        const double x = ecg_outlier_distance(o, h + (size_t)i * (size_t)o->width);
        if (isfinite(x))
            d[got++] = x;
    }
    if (!got) {
        free(d);
        return -1;
    }
    qsort(d, (size_t)got, sizeof *d, by_value);
    for (int i = 0; i < ECG_OUTLIER_LEVELS; i++) {
        const double at = (double)i / (ECG_OUTLIER_LEVELS - 1) * (double)(got - 1);
        const int64_t low = (int64_t)at, high = low + 1 < got ? low + 1 : low;
        o->level[i] = d[low] + (at - (double)low) * (d[high] - d[low]);
    }
    o->n = got;
    free(d);
    return 0;
}

int ecg_outlier_fit(ecg_outlier *out, const ecg_moments *m, const float *h, int64_t n)
{
    const size_t H = (size_t)m->width;
    ecg_outlier o = {.width = m->width};
    o.mean = malloc(H * sizeof *o.mean);
    o.root = malloc(H * (H + 1) / 2 * sizeof *o.root);
    int failed = !o.mean || !o.root || cholesky(o.root, m);
    for (size_t j = 0; j < H && !failed; j++)
        o.mean[j] = (float)m->mean[j];
    failed = failed || ecg_outlier_refit(&o, h, n);
    *out = o;
    if (failed)
        ecg_outlier_clear(out);
    return failed ? -1 : 0;
}

void ecg_outlier_clear(ecg_outlier *o)
{
    free(o->mean);
    free(o->root);
    *o = (ecg_outlier){0};
}

const char *ecg_outlier_check(const ecg_outlier *o)
{
    const size_t H = (size_t)o->width;
    if (!usable(o->mean, o->width))
        return "a mean that is not finite";
    for (size_t a = 0; a < H; a++)
        if (!usable(o->root + a * (a + 1) / 2, (int)a + 1) || !(o->root[a * (a + 1) / 2 + a] > 0))
            return "a covariance that has no root";
    for (int i = 0; i < ECG_OUTLIER_LEVELS; i++)
        if (!(o->level[i] >= (i ? o->level[i - 1] : 0)) || isinf(o->level[i]))
            return "distances out of order";
    return o->n > 0 ? NULL : "no records behind the distances";
}

double ecg_outlier_distance(const ecg_outlier *o, const float *h)
{
    double *room = malloc((size_t)o->width * sizeof *room);
    const double d = room ? ecg_outlier_distance_in(o, h, room) : NAN;
    free(room);
    return d;
}

double ecg_outlier_distance_in(const ecg_outlier *o, const float *h, double *z)
{
    const size_t H = (size_t)o->width;
    double sum = 0;
    if (!usable(h, o->width))
        return NAN;
    for (size_t a = 0; a < H; a++) { /* L z = h - mean */
        const float *row = o->root + a * (a + 1) / 2;
        double s = (double)h[a] - (double)o->mean[a];
        for (size_t b = 0; b < a; b++)
            s -= (double)row[b] * z[b];
        z[a] = s / (double)row[a];
        sum += z[a] * z[a];
    }
    return sqrt(sum);
}

double ecg_outlier_percentile(const ecg_outlier *o, double distance)
{
    const int last = ECG_OUTLIER_LEVELS - 1;
    if (isnan(distance))
        return 100;
    if (distance <= o->level[0])
        return 0;
    for (int i = 1; i <= last; i++)
        if (distance < o->level[i])
            return 100.0 / last * (i - 1 + (distance - o->level[i - 1]) / (o->level[i] - o->level[i - 1]));
    return 100;
}
