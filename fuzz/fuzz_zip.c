/* SPDX-License-Identifier: MIT
 * A zip archive: whatever its directory says, names are found and files opened or refused. */
#include <stdlib.h>
#include <string.h>

#include "base/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a", "f/0", "top-1.0/record_list.csv", "top-1.0/files/p1/1.dat"};
    ecg_source s;
    ecg_bytes b;
    ecg_err err;
    char prefix[256];
    if (ecg_source_zip_bytes(&s, data, size, "fuzz.zip", &err))
        return 0;
    s.most = 1 << 16;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!ecg_source_open(&s, names[i], &b, &err)) {
            if (!ecg_source_has(&s, names[i]))
                abort();
            ecg_bytes_free(&b);
        }
    if (!ecg_zip_find(prefix, sizeof prefix, &s, "record_list.csv", &err) && !ecg_zip_enter(&s, prefix, &err) &&
        !ecg_source_open(&s, "record_list.csv", &b, &err))
        ecg_bytes_free(&b);
    ecg_source_close(&s);
    return 0;
}
