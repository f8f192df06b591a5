/* SPDX-License-Identifier: MIT */
#include "base/npy.h"

#include <stdio.h>
#include <string.h>

enum { HEADER = 128, BEFORE = 10 /* magic, version, length of what follows */ };

/* npy 1.0: a Python dictionary padded with blanks, the last byte a line end. Three dims of 19 digits end before it. */
ecg_status ecg_npy_begin(ecg_file *f, int rank, const int64_t *dim, ecg_err *err)
{
    char head[HEADER + 64] = {(char)0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, HEADER - BEFORE, 0};
    int at = BEFORE + snprintf(head + BEFORE, sizeof head - BEFORE, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    if (rank < 1 || rank > 3)
        return ecg_fail(err, ECG_EARG, "an array of %d dimensions, 1 to 3 are written", rank);
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0)
            return ecg_fail(err, ECG_EARG, "dimension %d of an array is %" PRId64, i + 1, dim[i]);
        at += snprintf(head + at, sizeof head - (size_t)at, "%s%" PRId64, i ? ", " : "", dim[i]);
    }
    at += snprintf(head + at, sizeof head - (size_t)at, rank == 1 ? ",), }" : "), }");
    memset(head + at, ' ', (size_t)(HEADER - 1 - at));
    head[HEADER - 1] = '\n';
    return ecg_file_write(f, head, HEADER, err);
}
