/* SPDX-License-Identifier: MIT */
#include "cohort/mdsed_codes.h"

#include <stdlib.h>
#include <string.h>

const ecg_mdsed_code ecg_mdsed_codes[ECG_MDSED_CODES] = {
#include "cohort/mdsed_codes.inc"
};

static int by_code(const void *code, const void *row)
{
    return strcmp(code, ((const ecg_mdsed_code *)row)->code);
}

int ecg_mdsed_code_find(const char *code)
{
    const ecg_mdsed_code *row = bsearch(code, ecg_mdsed_codes, ECG_MDSED_CODES, sizeof *row, by_code);
    return row ? (int)(row - ecg_mdsed_codes) : -1;
}
