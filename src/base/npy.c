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

/* What stands behind 'key': in the dictionary, NULL: no such key. */
static const char *after_key(const char *text, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *at = strstr(text, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), " ") : NULL;
}

/* "(4, 1000, 12)" or "(4,)" */
static bool is_shape(const char *at, int rank, const int64_t *dim)
{
    char want[96];
    int len = 0;
    for (int i = 0; i < rank; i++)
        len += snprintf(want + len, sizeof want - (size_t)len, "%s%" PRId64, i ? "," : "(", dim[i]);
    snprintf(want + len, sizeof want - (size_t)len, rank == 1 ? ",)" : ")");
    for (const char *w = want; *w; w++, at++) {
        at += strspn(at, " ");
        if (*at != *w)
            return false;
    }
    return true;
}

ecg_status ecg_npy_read(const float **out, const ecg_bytes *file, int rank, const int64_t *dim, ecg_err *err)
{
    char text[1024];
    size_t values = 1;
    *out = NULL;
    if (file->len < BEFORE || memcmp(file->at, "\x93NUMPY", 6) || file->at[6] != 1)
        return ecg_fail(err, ECG_EFORMAT, "not an array of NumPy (.npy 1.0)");
    const size_t head = file->at[8] | (size_t)file->at[9] << 8, begin = BEFORE + head;
    if (begin > file->len || head >= sizeof text || begin % 4)
        return ecg_fail(err, ECG_EDATA, "a header of %zu bytes in a file of %zu", head, file->len);
    memcpy(text, file->at + BEFORE, head);
    text[head] = 0;
    const char *descr = after_key(text, "descr"), *order = after_key(text, "fortran_order"), *shape = after_key(text, "shape");
    if (!descr || !order || !shape || strncmp(descr, "'<f4'", 5) || strncmp(order, "False", 5))
        return ecg_fail(err, ECG_EUNSUPPORTED, "an array of another kind than float32 in C order");
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0 || __builtin_mul_overflow(values, (size_t)dim[i], &values))
            return ecg_fail(err, ECG_EARG, "an array of dimensions that overflow");
    if (rank < 1 || rank > 3 || !is_shape(shape, rank, dim))
        return ecg_fail(err, ECG_EDATA, "an array of shape %.*s, expected %" PRId64 " rows like records.csv and samples, leads as in contract.json",
                        (int)strcspn(shape, ")") + 1, shape, dim[0]);
    if (values > (file->len - begin) / sizeof **out || file->len - begin != values * sizeof **out)
        return ecg_fail(err, ECG_EDATA, "%zu bytes of values, %zu announced", file->len - begin, values * sizeof **out);
    *out = (const float *)(const void *)(file->at + begin);
    return ECG_OK;
}
