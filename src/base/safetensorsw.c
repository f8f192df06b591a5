/* SPDX-License-Identifier: MIT
 * safetensorsw.c: writing. Tensors go to the file as they come; the header is kept and written last into the bytes reserved for it.
 * Readers elsewhere allow no gaps, so what aligns a tensor is itself a tensor: U8, named "_pad.N". */
#include "base/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { RESERVE = 1 << 20, PAGE = 4096 };

struct ecg_tensorsw {
    ecg_file *file;
    size_t reserve;   /* bytes before the data: length, JSON and spaces; a multiple of PAGE, so that mapped data are aligned */
    bool begun;       /* the reserve is in the file */
    bool part;        /* a file of several attempts: it outlives a commit that fails */
    json_t *header, *meta;
    size_t meta_bytes;
    int paddings;
    /* the tensor being written */
    char *name;       /* NULL: none */
    ecg_dtype dtype;
    int rank;
    int64_t dim[8];
    size_t begin, written, expected; /* expected 0: the first dim decides, if it is -1 */
};

static ecg_status create(ecg_tensorsw **out, const char *path, size_t reserve, ecg_status (*open)(ecg_file **, const char *, ecg_err *), ecg_err *err)
{
    *out = NULL;
    ecg_tensorsw *w = calloc(1, sizeof *w);
    if (!w)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a file of tensors");
    w->reserve = reserve ? reserve : RESERVE;
    w->header = json_object();
    w->meta = json_object();
    ecg_status st = ECG_OK;
    if (!w->header || !w->meta || json_object_set(w->header, "__metadata__", w->meta))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory for a file of tensors");
    if (!st)
        st = open(&w->file, path, err);
    if (st) {
        ecg_tensorsw_abort(w);
        return st;
    }
    *out = w;
    return ECG_OK;
}

ecg_status ecg_tensorsw_create(ecg_tensorsw **out, const char *path, size_t reserve, ecg_err *err)
{
    return create(out, path, reserve, ecg_file_create, err);
}

ecg_status ecg_tensorsw_create_part(ecg_tensorsw **out, const char *path, size_t reserve, ecg_err *err)
{
    const ecg_status st = create(out, path, reserve, ecg_file_create_part, err);
    if (!st)
        (*out)->part = true;
    return st;
}

ecg_status ecg_tensorsw_meta(ecg_tensorsw *w, const char *key, const char *value, ecg_err *err)
{
    json_t *text = json_string(value);
    if (!text || json_object_set_new(w->meta, key, text))
        return ecg_fail(err, ECG_EARG, "metadata \"%.60s\" is not UTF-8", key);
    w->meta_bytes += strlen(key) + 2 * strlen(value) + 8; /* JSON in a string: about every fifth byte is a quote to be escaped */
    return ECG_OK;
}

/* What is known of the metadata when the first tensor comes enlarges the reserve. */
static ecg_status begin_data(ecg_tensorsw *w, ecg_err *err)
{
    w->begun = true;
    w->reserve = (w->reserve + w->meta_bytes + PAGE - 1) / PAGE * PAGE;
    char *spaces = malloc(w->reserve);
    if (!spaces)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a header of %zu bytes", w->reserve);
    memset(spaces, ' ', w->reserve);
    const ecg_status st = ecg_file_write(w->file, spaces, w->reserve, err);
    free(spaces);
    return st;
}

static ecg_status describe(ecg_tensorsw *w, const char *name, ecg_dtype dtype, int rank, const int64_t *dim, size_t begin, size_t end, ecg_err *err)
{
    json_t *shape = json_array();
    for (int i = 0; i < rank; i++)
        json_array_append_new(shape, json_integer(dim[i]));
    json_t *info = json_pack("{s:s, s:o, s:[I, I]}", "dtype", ecg_dtype_name(dtype), "shape", shape, "data_offsets", (json_int_t)begin, (json_int_t)end);
    if (!info || json_object_set_new(w->header, name, info))
        return ecg_fail(err, ECG_EARG, "tensor name \"%.60s\" is not UTF-8", name);
    return ECG_OK;
}

static ecg_status align(ecg_tensorsw *w, size_t size, ecg_err *err)
{
    const size_t at = (size_t)ecg_file_at(w->file) - w->reserve, missing = (size - at % size) % size;
    if (!missing)
        return ECG_OK;
    char name[24];
    snprintf(name, sizeof name, ECG_TENSOR_PADDING "%d", w->paddings++);
    const int64_t dim = (int64_t)missing;
    const ecg_status st = describe(w, name, ECG_U8, 1, &dim, at, at + missing, err);
    return st ? st : ecg_file_write(w->file, (const uint8_t[8]){0}, missing, err);
}

ecg_status ecg_tensorsw_begin(ecg_tensorsw *w, const char *name, ecg_dtype dtype, int rank, const int64_t *dim, ecg_err *err)
{
    if (w->name)
        return ecg_fail(err, ECG_EARG, "tensor \"%.60s\" was not ended", w->name);
    if (rank < 0 || rank > 8 || json_object_get(w->header, name) || !strncmp(name, ECG_TENSOR_PADDING, strlen(ECG_TENSOR_PADDING)))
        return ecg_fail(err, ECG_EARG, "tensor \"%.60s\": rank %d or a name that is taken", name, rank);
    size_t expected = ecg_dtype_size(dtype);
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0 && !(i == 0 && dim[i] == -1))
            return ecg_fail(err, ECG_EARG, "tensor \"%.60s\": dimension %d is negative", name, i);
        if (dim[i] >= 0 && __builtin_mul_overflow(expected, (size_t)dim[i], &expected))
            return ecg_fail(err, ECG_EARG, "tensor \"%.60s\": the product of its dimensions overflows", name);
        w->dim[i] = dim[i];
    }
    ecg_status st = ECG_OK;
    if (!w->begun)
        st = begin_data(w, err);
    if (!st)
        st = align(w, ecg_dtype_size(dtype), err);
    if (st)
        return st;
    w->name = strdup(name);
    if (!w->name)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a tensor");
    w->dtype = dtype;
    w->rank = rank;
    w->expected = expected;
    w->written = 0;
    w->begin = (size_t)ecg_file_at(w->file) - w->reserve;
    return ECG_OK;
}

ecg_status ecg_tensorsw_write(ecg_tensorsw *w, const void *bytes, size_t len, ecg_err *err)
{
    w->written += len;
    return ecg_file_write(w->file, bytes, len, err);
}

ecg_status ecg_tensorsw_end(ecg_tensorsw *w, ecg_err *err)
{
    if (!w->name)
        return ecg_fail(err, ECG_EARG, "no tensor was begun");
    const bool open = w->rank > 0 && w->dim[0] == -1;
    if (open && w->expected && w->written % w->expected == 0)
        w->dim[0] = (int64_t)(w->written / w->expected);
    else if (open && !w->written)
        w->dim[0] = 0;
    else if (w->written != w->expected)
        return ecg_fail(err, ECG_EARG, "tensor \"%.60s\": %zu bytes written, %zu by its shape%s", w->name, w->written, w->expected,
                        open ? " or a multiple" : "");
    const ecg_status st = describe(w, w->name, w->dtype, w->rank, w->dim, w->begin, w->begin + w->written, err);
    free(w->name);
    w->name = NULL;
    return st;
}

ecg_status ecg_tensorsw_put(ecg_tensorsw *w, const char *name, ecg_dtype dtype, int rank, const int64_t *dim, const void *data, ecg_err *err)
{
    ecg_status st = ecg_tensorsw_begin(w, name, dtype, rank, dim, err);
    if (!st)
        st = ecg_tensorsw_write(w, data, w->expected, err);
    return st ? st : ecg_tensorsw_end(w, err);
}

static ecg_status write_header(ecg_tensorsw *w, ecg_err *err)
{
    ecg_status st = ECG_OK;
    if (w->name)
        return ecg_fail(err, ECG_EARG, "tensor \"%.60s\" was not ended", w->name);
    if (!w->begun && (st = begin_data(w, err)))
        return st;
    char *json = json_dumps(w->header, JSON_COMPACT);
    if (!json)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a header");
    const size_t len = strlen(json), header = w->reserve - 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)header >> 8 * i);
    if (len > header)
        st = ecg_fail(err, ECG_EARG, "a header of %zu bytes, %zu were reserved", len, header);
    else if (!(st = ecg_file_write_at(w->file, 0, length, sizeof length, err)))
        st = ecg_file_write_at(w->file, sizeof length, json, len, err);
    free(json);
    return st;
}

ecg_status ecg_tensorsw_commit(ecg_tensorsw *w, ecg_err *err)
{
    ecg_status st = write_header(w, err);
    if (!st) {
        st = ecg_file_commit(w->file, err);
        w->file = NULL;
    }
    if (st && w->part)
        ecg_tensorsw_keep(w);
    else
        ecg_tensorsw_abort(w);
    return st;
}

size_t ecg_tensorsw_found(const ecg_tensorsw *w, size_t *at)
{
    const size_t found = (size_t)ecg_file_found(w->file);
    *at = w->reserve;
    return found > w->reserve ? found - w->reserve : 0;
}

ecg_status ecg_tensorsw_go_on(ecg_tensorsw *w, size_t bytes, ecg_err *err)
{
    const ecg_status st = ecg_file_go_on(w->file, (int64_t)bytes, err);
    w->written += st ? 0 : bytes;
    return st;
}

ecg_status ecg_tensorsw_flush(ecg_tensorsw *w, ecg_err *err)
{
    return ecg_file_flush(w->file, err);
}

void ecg_tensorsw_keep(ecg_tensorsw *w)
{
    if (!w)
        return;
    ecg_file_keep(w->file);
    w->file = NULL;
    ecg_tensorsw_abort(w);
}

void ecg_tensorsw_abort(ecg_tensorsw *w)
{
    if (!w)
        return;
    ecg_file_abort(w->file);
    json_decref(w->meta);
    json_decref(w->header);
    free(w->name);
    free(w);
}
