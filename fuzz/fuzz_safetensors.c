/* SPDX-License-Identifier: MIT
 * The container: every byte of every tensor that the header is allowed to show. */
#include "base/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecg_tensors *t;
    ecg_err err;
    int64_t sum = 0;
    if (ecg_tensors_parse(&t, data, size, &err))
        return 0;
    for (int i = 0; i < ecg_tensors_count(t); i++) {
        const ecg_tensor *found, *x = ecg_tensors_at(t, i);
        for (size_t k = 0; k < x->bytes; k++)
            sum += ((const uint8_t *)x->data)[k];
        sum += ecg_tensors_need(t, &found, x->name, ECG_F32, 2, (const int64_t[]){-1, 4}, &err);
    }
    sum += ecg_tensors_check_format(t, "ecgraft.model", &err);
    ecg_tensors_close(t);
    return sum < 0; /* never: uses what was read */
}
