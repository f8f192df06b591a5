/* SPDX-License-Identifier: MIT
 * pull.c: see pull.h. With p between 0 and 1 the cross-entropy on logits is softplus(x) - p x and its gradient sigmoid(x) - p. */
#include "study/pull.h"

#include <math.h>
#include <string.h>

double ecg_pull_weights(ecg_params *t, const ecg_params *origin, const char *prefix, double weight)
{
    double sum = 0;
    for (int i = 0; i < t->n; i++) {
        const ecg_param *p = &t->row[i];
        const int j = strncmp(p->name, prefix, strlen(prefix)) || p->flags & (ECG_P_BUFFER | ECG_P_FROZEN) ? -1 : ecg_params_find(origin, p->name);
        if (j < 0)
            continue;
        const float *x = ecg_value(t, i), *x0 = ecg_value(origin, j);
        float *g = ecg_grad(t, i);
        for (size_t k = 0; k < p->count; k++) {
            const double d = (double)x[k] - (double)x0[k];
            sum += d * d;
            g[k] += (float)(weight * d);
        }
    }
    return weight / 2 * sum;
}

double ecg_pull_to(float *da, const float *a, const float *b, size_t n, double weight)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        sum += d * d;
        da[i] += (float)(2 * weight / (double)n * d);
    }
    return weight * sum / (double)n;
}

double ecg_pull_soft(float *dx, const float *x, const float *p, int B, int K, ecg_bce_reduce reduce, double weight)
{
    const double scale = weight / ((double)B * (reduce == ECG_BCE_SUM_CLASSES ? 1 : (double)K));
    double sum = 0;
    for (size_t i = 0; i < (size_t)B * (size_t)K; i++) {
        const double z = (double)x[i], e = exp(-fabs(z)), q = z > 0 ? 1 / (1 + e) : e / (1 + e);
        sum += (z > 0 ? z : 0) + log1p(e) - (double)p[i] * z;
        dx[i] += (float)(scale * (q - (double)p[i]));
    }
    return scale * sum;
}
