/* SPDX-License-Identifier: MIT
 * Parameters of a model in whole floats, bf16 or int8: what is accepted expands to finite values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecg_tensors *t;
    ecg_err err;
    if (ecg_tensors_parse(&t, data, size, &err))
        return 0;
    for (int i = 0; i < ecg_tensors_count(t); i++) {
        const ecg_tensor *x = ecg_tensors_at(t, i);
        ecg_param p = {.rank = x->rank, .count = (size_t)x->count};
        if (strlen(x->name) >= sizeof p.name || x->rank > 4 || !x->count)
            continue;
        snprintf(p.name, sizeof p.name, "%s", x->name);
        memcpy(p.dim, x->dim, sizeof p.dim);
        if (ecg_weights_check(&p, t, &err))
            continue;
        float *value = malloc(p.count * sizeof *value);
        if (!value)
            continue;
        ecg_weights_take(value, &p, t);
        for (size_t k = 0; k < p.count; k++)
            if (!isfinite(value[k]))
                abort();
        free(value);
    }
    ecg_tensors_close(t);
    return 0;
}
