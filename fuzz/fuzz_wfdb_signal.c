/* SPDX-License-Identifier: MIT
 * fuzz_wfdb_signal.c: a record in memory. Up to the first 0 byte: a.hea; up to the second: b.hea, a segment or a layout; the rest: a.dat
 * and b.dat. */
#include <string.h>

#include "ecg/read_wfdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *names[] = {"a.hea", "b.hea", "a.dat", "b.dat"};
    ecg_member member[4];
    ecg_source src;
    ecg_record rec;
    ecg_wfdb_raw raw;
    ecg_err err;
    for (int i = 0; i < 4; i++) {
        const uint8_t *end = i < 2 && len ? memchr(bytes, 0, len) : NULL;
        const size_t n = end ? (size_t)(end - bytes) : len;
        member[i] = (ecg_member){.name = names[i], .at = bytes, .len = n};
        if (i < 2) {
            bytes += n + (end != NULL);
            len -= n + (end != NULL);
        }
    }
    if (ecg_source_memory(&src, member, 4, &err))
        return 0;
    if (!ecg_record_read_from(&rec, &src, "a.hea", &err))
        ecg_record_clear(&rec);
    if (!ecg_wfdb_read_raw(&raw, &src, "a.hea", &err))
        ecg_wfdb_raw_clear(&raw);
    ecg_source_close(&src);
    return 0;
}
