/* SPDX-License-Identifier: MIT
 * Tables, plain or gzip: every row and every typed read; by the plain path in a small window, and by the fastest in blocks: both must agree.
 * (How much of a damaged gzip stream can be had depends on the room it is given.) */
#include <stdlib.h>

#include "base/csv_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    uint64_t sum; /* of all that was read */
    int64_t rows;
} reading;

static void add(reading *r, uint64_t x)
{
    r->sum = (r->sum ^ x) * 0x100000001b3u;
}

static ecg_status read_rows(void *ctx, ecg_csv *t, int slot, ecg_err *err)
{
    (void)slot;
    reading *r = ctx;
    bool more;
    ecg_status st;
    while (!(st = ecg_csv_next(t, &more, err)) && more) {
        r->rows++;
        for (int c = 0; c < ecg_csv_columns(t) && c < 1000; c++) {
            double x;
            int64_t i;
            ecg_err other;
            const ecg_field f = ecg_csv_field(t, c);
            for (size_t k = 0; k < f.len; k++)
                add(r, (uint8_t)f.at[k]);
            add(r, f.len + (ecg_csv_double(t, c, &x, &other) ? 1 : 0) + (ecg_csv_i64(t, c, &i, &other) ? 2 : 0) + (ecg_csv_time(t, c, &i, &other) ? 4 : 0));
        }
    }
    return st;
}

static ecg_status merge(void *ctx, int slot, int64_t rows, ecg_err *err)
{
    (void)ctx;
    (void)slot;
    (void)rows;
    (void)err;
    return ECG_OK;
}

static void finish(reading *r, ecg_status st, const ecg_err *err)
{
    add(r, st);
    for (size_t i = 0; st && err->msg[i]; i++)
        add(r, (uint8_t)err->msg[i]);
    add(r, st ? (uint64_t)err->line : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecg_csv *t;
    ecg_err err = {0};
    reading rows = {.sum = 0}, blocks = {.sum = 0};
    ecg_status st = ecg_csv_open_tuned(&t, data, size, "fuzz.csv", &ecg_csv_paths[0], 64 * (1 + size % 5), &err);
    if (!st)
        st = read_rows(&rows, t, 0, &err);
    finish(&rows, st, &err);
    ecg_csv_close(t);
    const bool damaged = st && ecg_is_gzip(data, size);

    const ecg_csv_job job = {&blocks, read_rows, merge};
    int64_t n = 0;
    err = (ecg_err){0};
    st = ecg_csv_open_tuned(&t, data, size, "fuzz.csv", ecg_csv_best_path(), 64 * (1 + size % 3), &err);
    if (!st)
        st = ecg_csv_each(t, &n, &job, "fuzz", NULL, NULL, &err);
    finish(&blocks, st, &err);
    ecg_csv_close(t);
    if (damaged && st)
        return 0;
    if (rows.sum != blocks.sum || rows.rows != blocks.rows || (!st && n != rows.rows))
        abort();
    return 0;
}
