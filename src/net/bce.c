/* SPDX-License-Identifier: MIT
 * bce.c: binary cross-entropy on logits, plain or focal (Lin et al., arXiv 1708.02002), unknown targets masked; docs/math/bce.md.
 *
 * With s = x for a target 0 and s = -x for a target 1, q = sigmoid(s) is the probability given to the wrong answer:
 *   loss = q^gamma log(1 + e^s),   dloss/ds = q^gamma (q + gamma (1 - q) log(1 + e^s)),   dx = ds or -ds
 * Nothing is subtracted from 1 and no exponent is positive, so logits of +-100 and beyond neither overflow nor cancel. */
#include "net/loss.h"

#include <math.h>

/* Loss of one known entry; *ds is its derivative by s. */
static double entry(double *ds, double s, double gamma)
{
    const double e = exp(-fabs(s)), big = 1 / (1 + e), small = e / (1 + e);
    const double q = s > 0 ? big : small, other = s > 0 ? small : big;
    const double softplus = (s > 0 ? s : 0) + log1p(e);
    const double factor = gamma == 0 ? 1 : pow(q, gamma);
    *ds = factor * (q + gamma * other * softplus);
    return factor * softplus;
}

static int known_rows(const float *y, int B, int K, int k)
{
    int known = 0;
    for (int b = 0; b < B; b++)
        known += !isnan(y[(size_t)b * (size_t)K + (size_t)k]);
    return known;
}

double ecg_bce_loss(float *dx, const float *x, const float *y, int B, int K, double gamma, ecg_bce_reduce reduce)
{
    double entries = 0, classes = 0, loss = 0;
    for (int k = 0; k < K; k++) {
        const int known = known_rows(y, B, K, k);
        entries += known;
        classes += known > 0;
    }
    for (int k = 0; k < K; k++) {
        const int known = reduce == ECG_BCE_MEAN ? 0 : known_rows(y, B, K, k);
        const double terms = reduce == ECG_BCE_MEAN ? entries : reduce == ECG_BCE_SUM_CLASSES ? known : known * classes;
        double sum = 0;
        for (int b = 0; b < B; b++) {
            const size_t at = (size_t)b * (size_t)K + (size_t)k;
            double ds = 0;
            if (!isnan(y[at])) {
                const double sign = y[at] > 0.5f ? -1 : 1;
                sum += entry(&ds, sign * (double)x[at], gamma);
                ds *= sign / terms;
            }
            if (dx)
                dx[at] = (float)ds;
        }
        loss += terms > 0 ? sum / terms : 0;
    }
    return loss;
}
