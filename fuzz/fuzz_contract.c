/* SPDX-License-Identifier: MIT
 * The contract in the metadata of cohorts and models: what is accepted is written, read again and equal. */
#include <stdlib.h>
#include <string.h>

#include "ecg/contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(size + 1, 1), *json = NULL;
    ecg_contract c, again;
    ecg_err err;
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    if (!ecg_contract_from_json(&c, text, &err)) {
        const unsigned all = ECG_CONTRACT_SIGNAL | ECG_CONTRACT_COLUMNS | ECG_CONTRACT_TABLES;
        if (ecg_contract_to_json(&json, &c, &err) || ecg_contract_from_json(&again, json, &err) || ecg_contract_fits(&c, "a", &again, "b", all, &err))
            abort();
        ecg_contract_clear(&c);
        ecg_contract_clear(&again);
    }
    free(json);
    free(text);
    return 0;
}
