/* SPDX-License-Identifier: MIT
 * tested.c: how well each label was told on records that took no part in anything (uncertain.h). */
#include <math.h>
#include <stdlib.h>

#include "explain/uncertain.h"
#include "stat/auroc.h"

static ecg_tested one(const float *score, const int8_t *label, int64_t n)
{
    ecg_tested t = {.auroc = NAN, .lo = NAN, .hi = NAN};
    for (int64_t i = 0; i < n; i++) {
        t.positives += label[i] == 1;
        t.negatives += label[i] == 0;
    }
    if (!(t.positives > 0 && t.negatives > 0))
        return t;
    const double A = ecg_auroc(score, label, n, 1), q1 = A / (2 - A), q2 = 2 * A * A / (1 + A);
    const double half = 1.959963984540054 *
                        sqrt(fmax(0, (A * (1 - A) + (t.positives - 1) * (q1 - A * A) + (t.negatives - 1) * (q2 - A * A)) / (t.positives * t.negatives)));
    t.auroc = A;
    t.lo = fmax(0, A - half);
    t.hi = fmin(1, A + half);
    return t;
}

int ecg_uncertainty_test(ecg_uncertainty *u, const double *score, const int8_t *label, int64_t n)
{
    float *x = malloc(((size_t)n + 1) * sizeof *x);
    int8_t *y = malloc((size_t)n + 1);
    ecg_tested *tested = calloc((size_t)u->K, sizeof *tested);
    const int failed = !x || !y || !tested;
    for (int k = 0; k < u->K && !failed; k++) {
        for (int64_t i = 0; i < n; i++) {
            x[i] = (float)score[i * u->K + k];
            y[i] = isfinite(x[i]) ? label[i * u->K + k] : -1;
            x[i] = isfinite(x[i]) ? x[i] : 0;
        }
        tested[k] = one(x, y, n);
    }
    free(x);
    free(y);
    free(u->tested);
    u->tested = failed ? NULL : tested;
    if (failed)
        free(tested);
    return failed ? -1 : 0;
}
