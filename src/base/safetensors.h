/* SPDX-License-Identifier: MIT
 * safetensors.h: the one binary container of the project: 8 bytes header length, JSON, raw little-endian row-major tensors. */
#ifndef ECG_BASE_SAFETENSORS_H
#define ECG_BASE_SAFETENSORS_H

#include "base/file.h"

typedef enum { ECG_F64, ECG_F32, ECG_F16, ECG_BF16, ECG_I64, ECG_I32, ECG_I16, ECG_I8, ECG_U8, ECG_BOOL } ecg_dtype;
size_t ecg_dtype_size(ecg_dtype t);
const char *ecg_dtype_name(ecg_dtype t); /* "F32" */

typedef struct {
    const char *name;
    ecg_dtype dtype;
    int rank;
    int64_t dim[8];
    int64_t count;    /* product of dim; 1 for rank 0 */
    const void *data; /* in the file's bytes */
    size_t bytes;
} ecg_tensor;

typedef struct ecg_tensors ecg_tensors;

/* The bytes are treated as hostile: header length against size, every offset pair, overlap, gaps, product overflow, duplicate names,
 * dtype, alignment (relative to the data section), trailing bytes. They must outlive the result. */
ecg_status ecg_tensors_parse(ecg_tensors **out, const void *bytes, size_t len, ecg_err *err);
ecg_status ecg_tensors_open(ecg_tensors **out, const char *path, ecg_err *err); /* memory-mapped, owned */
void ecg_tensors_close(ecg_tensors *t);                                         /* NULL is fine */

int ecg_tensors_count(const ecg_tensors *t);
const ecg_tensor *ecg_tensors_at(const ecg_tensors *t, int i);             /* in the order of the data */
const ecg_tensor *ecg_tensors_find(const ecg_tensors *t, const char *name); /* NULL: none */
const char *ecg_tensors_meta(const ecg_tensors *t, const char *key);       /* NULL: none */

/* Looks a tensor up and checks dtype and shape (dim -1 fits any); ECG_EDATA names what differs. */
ecg_status ecg_tensors_need(const ecg_tensors *t, const ecg_tensor **out, const char *name, ecg_dtype dtype, int rank, const int64_t *dim, ecg_err *err);
/* format must equal "ecgraft.cohort" etc., major of format_version must be 1. ECG_EFORMAT / ECG_EUNSUPPORTED naming both versions. */
ecg_status ecg_tensors_check_format(const ecg_tensors *t, const char *format, ecg_err *err);
ecg_status ecg_tensors_check_version(const ecg_tensors *t, const char *format, int latest_major, ecg_err *err); /* majors 1 .. latest_major (one digit) */

/* Tensors whose names begin so only align the next one (the container allows no gaps); readers do not show them. */
#define ECG_TENSOR_PADDING "_pad."

/* Writing. Tensors one after the other; the first dim of one may be -1: it is then decided by the bytes that came.
 * The header is written last into the reserve (bytes, 0: 1 MiB; metadata known before the first tensor come on top); the file is renamed by commit. */
typedef struct ecg_tensorsw ecg_tensorsw;
ecg_status ecg_tensorsw_create(ecg_tensorsw **out, const char *path, size_t reserve, ecg_err *err);
ecg_status ecg_tensorsw_meta(ecg_tensorsw *w, const char *key, const char *value, ecg_err *err);
ecg_status ecg_tensorsw_begin(ecg_tensorsw *w, const char *name, ecg_dtype dtype, int rank, const int64_t *dim, ecg_err *err);
ecg_status ecg_tensorsw_write(ecg_tensorsw *w, const void *bytes, size_t len, ecg_err *err);
ecg_status ecg_tensorsw_end(ecg_tensorsw *w, ecg_err *err);
ecg_status ecg_tensorsw_put(ecg_tensorsw *w, const char *name, ecg_dtype dtype, int rank, const int64_t *dim, const void *data, ecg_err *err);
ecg_status ecg_tensorsw_commit(ecg_tensorsw *w, ecg_err *err); /* w is gone either way */
void ecg_tensorsw_abort(ecg_tensorsw *w);

/* A file of several attempts (PATH.part, see file.h), whose first tensor is long in coming. */
ecg_status ecg_tensorsw_create_part(ecg_tensorsw **out, const char *path, size_t reserve, ecg_err *err);
size_t ecg_tensorsw_found(const ecg_tensorsw *w, size_t *at); /* bytes of an earlier attempt behind the header, and where they begin */
ecg_status ecg_tensorsw_go_on(ecg_tensorsw *w, size_t bytes, ecg_err *err); /* the tensor that was begun has so many already; the rest is cut */
ecg_status ecg_tensorsw_flush(ecg_tensorsw *w, ecg_err *err);
void ecg_tensorsw_keep(ecg_tensorsw *w); /* as abort, but PATH.part stays */

#endif
