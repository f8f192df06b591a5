/* SPDX-License-Identifier: MIT
 * adamw.c: AdamW (Loshchilov, Hutter, arXiv 1711.05101) as torch does it: decay first, eps outside the corrected root.
 * An item is a fixed range of the table's floats, whatever rows lie in it. */
#include "net/adamw.h"

#include <math.h>

enum { RANGE = 1 << 15 }; /* floats */

typedef struct {
    ecg_params *t;
    const ecg_adamw *o;
    const ecg_kernels *k;
    double corr1, corr2;
} job;

static void step_range(void *ctx, int item, int worker)
{
    const job *j = ctx;
    const size_t from = (size_t)item * RANGE, to = from + RANGE;
    (void)worker;
    for (int i = 0; i < j->t->n; i++) {
        const ecg_param *p = &j->t->row[i];
        if (p->at >= to)
            break; /* rows lie in order */
        if (p->at + p->count <= from || p->flags & (ECG_P_BUFFER | ECG_P_FROZEN))
            continue;
        const size_t a = p->at > from ? p->at : from, end = p->at + p->count, b = end < to ? end : to;
        j->k->adamw(j->t->value + a, j->t->m + a, j->t->v + a, j->t->grad + a, b - a, j->o->lr[p->group], j->o->decay[p->group], j->o->beta1,
                    j->o->beta2, j->o->eps, j->corr1, j->corr2);
    }
}

void ecg_adamw_step(ecg_params *t, const ecg_adamw *o, int64_t step, const ecg_exec *exec)
{
    job j = {t, o, exec->k, 1 - pow(o->beta1, (double)step), 1 - pow(o->beta2, (double)step)};
    ecg_pool_run(exec->pool, step_range, &j, (int)((t->floats + RANGE - 1) / RANGE));
}
