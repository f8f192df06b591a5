/* SPDX-License-Identifier: MIT
 * Settings in YAML; what is read can be written and read again. */
#include <stdlib.h>
#include <string.h>

#include "study/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecg_config c, again;
    ecg_err err;
    char *text;
    if (ecg_config_preset(&c, "small", NULL) || ecg_config_parse(&c, data, size, "fuzz", size % 2, &err))
        return 0;
    if (ecg_config_text(&text, &c, NULL))
        abort();
    if (ecg_config_preset(&again, "paper", NULL) || ecg_config_parse(&again, text, strlen(text), "again", false, &err))
        abort();
    free(text);
    return 0;
}
