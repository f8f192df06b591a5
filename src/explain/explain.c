/* SPDX-License-Identifier: MIT
 * explain.c: see explain.h. What one recording is told from what was fitted (explain_fit.c). */
#include "explain/explain.h"

#include <math.h>
#include <stdlib.h>

static int features(const ecg_explainer *e)
{
    return e->P + ECG_PATTERNS;
}

int ecg_explainer_alloc(ecg_explainer *e)
{
    const size_t K = (size_t)e->K, P = (size_t)e->P, H = (size_t)e->H, F = P + ECG_PATTERNS;
    struct { double **at; size_t n; } part[] = {
        {&e->score_mean, K}, {&e->feature_mean, F}, {&e->own, F * F}, {&e->beta, K * F},     {&e->error, K * F}, {&e->completeness, K},
        {&e->random, K},     {&e->view, F * (H + 1)}, {&e->agreement, F}, {&e->neutral, P},   {&e->spread, P * H},
    };
    bool failed = false;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        *part[i].at = calloc(part[i].n, sizeof(double));
        failed |= !*part[i].at;
    }
    e->data = calloc(K * P, sizeof *e->data);
    if (!failed && e->data)
        return 0;
    ecg_explainer_clear(e);
    return -1;
}

void ecg_explainer_clear(ecg_explainer *e)
{
    double *const owned[] = {e->score_mean, e->feature_mean, e->own, e->beta, e->error, e->completeness, e->random, e->view, e->agreement, e->neutral, e->spread};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(e->data);
    *e = (ecg_explainer){0};
}

static bool all_finite(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

const char *ecg_explainer_check(const ecg_explainer *e)
{
    const size_t K = (size_t)e->K, P = (size_t)e->P, H = (size_t)e->H, F = P + ECG_PATTERNS;
    if (!all_finite(e->score_mean, K) || !all_finite(e->feature_mean, F) || !all_finite(e->own, F * F) || !all_finite(e->beta, K * F) || !all_finite(e->view, F * (H + 1)) || !all_finite(e->spread, P * H))
        return "a weight that is not finite";
    for (size_t i = 0; i < K * F; i++)
        if (!(e->error[i] >= 0))
            return "a standard error below 0";
    for (size_t k = 0; k < K; k++)
        if (e->completeness[k] > 1 || e->random[k] > 1)
            return "a share above 1";
    for (size_t p = 0; p < P; p++)
        if (isinf(e->neutral[p]))
            return "a neutral value that is not finite";
    for (size_t i = 0; i < K * P; i++) {
        const ecg_association *a = &e->data[i];
        if (!(a->patients >= 0) || !(a->both >= 0 && a->both <= a->patients) || a->lift < 0 || a->odds < 0 || a->lo > a->odds || a->hi < a->odds || a->q < 0 ||
            a->q > 1)
            return "an association that contradicts itself";
    }
    return NULL;
}

/* ---- one recording --------------------------------------------------------------------------------------------------------------- */

static double read_out(const ecg_explainer *e, int f, const float *h)
{
    const double *v = e->view + (size_t)f * (size_t)(e->H + 1);
    double y = v[e->H];
    for (int j = 0; j < e->H; j++)
        y += v[j] * (double)h[j];
    return y;
}

void ecg_explainer_patterns(double out[ECG_PATTERNS], const ecg_explainer *e, const float *h)
{
    for (int i = 0; i < ECG_PATTERNS; i++)
        out[i] = read_out(e, e->P + i, h);
}

void ecg_explainer_own(double *u, const ecg_explainer *e, const double *lab, const double patterns[ECG_PATTERNS])
{
    const int F = features(e);
    for (int f = 0; f < F; f++) {
        u[f] = 0;
        for (int g = 0; g < F; g++)
            u[f] += e->own[f * F + g] * ((g < e->P ? lab[g] : patterns[g - e->P]) - e->feature_mean[g]);
    }
}

ecg_parts ecg_explainer_parts(double *bar, const ecg_explainer *e, int k, double score, const double *u)
{
    const double *beta = e->beta + (size_t)k * (size_t)features(e);
    ecg_parts sum = {.above = score - e->score_mean[k]};
    for (int f = 0; f < features(e); f++) {
        bar[f] = beta[f] * u[f];
        *(f < e->P ? &sum.labs : &sum.patterns) += bar[f];
    }
    sum.rest = sum.above - sum.labs - sum.patterns;
    return sum;
}

char ecg_explainer_grade(double completeness, double random)
{
    const double gain = completeness - fmax(random, 0);
    if (!(gain > 0.02))
        return 'D';
    return completeness >= 0.6 && gain >= 0.2 ? 'A' : completeness >= 0.4 && gain >= 0.1 ? 'B' : 'C';
}

/* x = A^-1 b for a symmetric positive definite A (n, n), overwritten. False: it is not. */
static bool solve(double *x, double *a, const double *b, int n)
{
    for (int i = 0; i < n; i++) {
        const double whole = a[i * n + i];
        for (int j = 0; j <= i; j++) {
            double s = a[i * n + j];
            for (int k = 0; k < j; k++)
                s -= a[i * n + k] * a[j * n + k];
            if (j < i)
                a[i * n + j] = s / a[j * n + j];
            else if (s > 1e-9 * whole)
                a[i * n + i] = sqrt(s);
            else
                return false;
        }
    }
    for (int i = 0; i < n; i++) {
        x[i] = b[i];
        for (int k = 0; k < i; k++)
            x[i] -= a[i * n + k] * x[k];
        x[i] /= a[i * n + i];
    }
    for (int i = n; i-- > 0;) {
        for (int k = i + 1; k < n; k++)
            x[i] -= a[k * n + i] * x[k];
        x[i] /= a[i * n + i];
    }
    return true;
}

/* h' = h + S V' (V S V')^-1 (t - V h - c): S the covariance, rows of V the read-outs that are moved or held. */
bool ecg_explainer_edit(double *out, const ecg_explainer *e, const float *h, int p, const int *held, int n_held)
{
    int row[ECG_EDIT_MOST], n = 0;
    double gram[ECG_EDIT_MOST * ECG_EDIT_MOST], move[ECG_EDIT_MOST] = {0}, weight[ECG_EDIT_MOST];
    const size_t H = (size_t)e->H;
    row[n++] = p;
    for (int i = 0; i < n_held && n < ECG_EDIT_MOST; i++)
        if (held[i] != p)
            row[n++] = held[i];
    if (isnan(e->neutral[p]))
        return false;
    move[0] = e->neutral[p] - read_out(e, p, h);
    for (int a = 0; a < n; a++)
        for (int b = 0; b < n; b++) {
            const double *v = e->view + (size_t)row[a] * (H + 1), *s = e->spread + (size_t)row[b] * H;
            gram[a * n + b] = 0;
            for (size_t j = 0; j < H; j++)
                gram[a * n + b] += v[j] * s[j];
        }
    if (!isfinite(move[0]) || !(gram[0] > 0) || !solve(weight, gram, move, n))
        return false;
    for (size_t j = 0; j < H; j++) {
        out[j] = 0;
        for (int a = 0; a < n; a++)
            out[j] += weight[a] * e->spread[(size_t)row[a] * H + j];
    }
    return true;
}
