/* SPDX-License-Identifier: MIT
 * fuzz_wfdb_header.c: any bytes as a WFDB header. */
#include "ecg/wfdb_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    ecg_wfdb_header h;
    ecg_err err;
    if (!ecg_wfdb_header_parse(&h, bytes, len, &err))
        ecg_wfdb_header_clear(&h);
    return 0;
}
