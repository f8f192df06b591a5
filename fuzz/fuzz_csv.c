/* SPDX-License-Identifier: MIT
 * Tables, plain or gzip: every row and every typed read. */
#include "base/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecg_csv *t;
    ecg_err err;
    int64_t bytes = 0;
    if (ecg_csv_open_bytes(&t, data, size, "fuzz.csv", &err))
        return 0;
    for (bool more = true; !ecg_csv_next(t, &more, &err) && more;)
        for (int c = 0; c < ecg_csv_columns(t) && c < 1000; c++) {
            double x;
            int64_t i;
            const ecg_field f = ecg_csv_field(t, c);
            for (size_t k = 0; k < f.len; k++)
                bytes += f.at[k];
            bytes += ecg_csv_double(t, c, &x, &err) + ecg_csv_i64(t, c, &i, &err) + ecg_csv_time(t, c, &i, &err);
        }
    ecg_csv_close(t);
    return bytes == INT64_MIN; /* never: uses what was read */
}
