/* SPDX-License-Identifier: MIT
 * The table of a plain folder: three lists of columns, a line each, then the table. What is accepted is consistent. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/folder_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const ecg_folder_table *f)
{
    for (int64_t i = 0; i < f->n; i++) {
        if (!f->row[i].path || !*f->row[i].path || ecg_folder_number(&f->ids, f->row[i].id) < 0 || f->row[i].fold > 31)
            abort();
        for (int k = 0; k < f->inputs; k++) {
            const float x = f->value[i * f->inputs + k];
            if (f->input[k].is.categorical && !isnan(x) && !(x >= 0 && x < (float)f->input[k].is.vocabulary && x == floorf(x)))
                abort();
        }
        for (int k = 0; k < f->labels; k++)
            if (f->known[i * f->labels + k] < -1 || f->known[i * f->labels + k] > 1)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *list[3] = {NULL, NULL, NULL};
    for (int k = 0; k < 3; k++) {
        const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
        const size_t len = end ? (size_t)(end - data) : 0;
        if (len)
            list[k] = strndup((const char *)data, len); /* an empty line: no such list */
        data += end ? len + 1 : 0;
        size -= end ? len + 1 : 0;
    }
    const ecg_table_columns how = {.columns = list[0], .tabular = list[1], .labels = list[2]};
    ecg_csv *t;
    ecg_err err;
    if (!ecg_csv_open_bytes(&t, data, size, "fuzz.csv", &err)) {
        ecg_folder_table f;
        if (!ecg_folder_table_read(&f, t, "fuzz.csv", &how, &err))
            check(&f);
        ecg_folder_table_clear(&f);
        ecg_csv_close(t);
    }
    for (int k = 0; k < 3; k++)
        free(list[k]);
    return 0;
}
