/* SPDX-License-Identifier: MIT
 * safetensors.c: reading. The header is JSON, parsed by jansson (depth limited, duplicate keys refused); the tensors are then sorted by
 * place and must cover the data section exactly, so that no two share a byte and none lies outside. */
#include "base/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_HEADER = 32 << 20, /* jansson needs up to forty times this */
    LARGEST_RANK = 8
};

static const struct { const char *name; size_t size; } dtypes[] = {
    [ECG_F64] = {"F64", 8}, [ECG_F32] = {"F32", 4}, [ECG_F16] = {"F16", 2}, [ECG_BF16] = {"BF16", 2}, [ECG_I64] = {"I64", 8},
    [ECG_I32] = {"I32", 4}, [ECG_I16] = {"I16", 2}, [ECG_I8] = {"I8", 1},   [ECG_U8] = {"U8", 1},     [ECG_BOOL] = {"BOOL", 1},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

typedef struct {
    ecg_tensor tensor;
    size_t begin, end; /* in the data section */
} entry;

struct ecg_tensors {
    ecg_bytes file;      /* of ecg_tensors_open, else empty */
    void *aligned;       /* copy of a data section that does not begin at a multiple of 8; else NULL */
    json_t *header;      /* owns the names and the metadata */
    int n, all;          /* tensors; all: with those that are padding */
    entry *entries;      /* (all), by place; padding moved behind the n */
    const ecg_tensor **by_name; /* (n) */
};

size_t ecg_dtype_size(ecg_dtype t)
{
    return dtypes[t].size;
}

const char *ecg_dtype_name(ecg_dtype t)
{
    return dtypes[t].name;
}

/* ---- header -> entries ---------------------------------------------------------------------------------------------------- */

static ecg_status parse_dtype(ecg_tensor *t, const json_t *info, ecg_err *err)
{
    static const char *const others[] = {"U16", "U32", "U64", "F8_E5M2", "F8_E4M3", "C64"};
    const char *name = json_string_value(json_object_get(info, "dtype"));
    if (!name)
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": no dtype", t->name);
    for (int i = 0; i < DTYPES; i++)
        if (!strcmp(name, dtypes[i].name)) {
            t->dtype = (ecg_dtype)i;
            return ECG_OK;
        }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(name, others[i]))
            return ecg_fail(err, ECG_EUNSUPPORTED, "tensor \"%.60s\": dtype %s is not supported", t->name, others[i]);
    return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": unknown dtype \"%.20s\"", t->name, name);
}

static ecg_status parse_shape(ecg_tensor *t, const json_t *info, ecg_err *err)
{
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape))
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": no shape", t->name);
    if (json_array_size(shape) > LARGEST_RANK)
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": %zu dimensions, at most %d are possible", t->name, json_array_size(shape),
                        LARGEST_RANK);
    t->rank = (int)json_array_size(shape);
    t->count = 1;
    for (int i = 0; i < t->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": dimension %d is not a count", t->name, i);
        t->dim[i] = json_integer_value(dim);
        if (__builtin_mul_overflow(t->count, t->dim[i], &t->count))
            return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": the product of its dimensions overflows", t->name);
    }
    if (__builtin_mul_overflow((size_t)t->count, dtypes[t->dtype].size, &t->bytes))
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": the product of its dimensions overflows", t->name);
    return ECG_OK;
}

static ecg_status parse_offsets(entry *e, const json_t *info, size_t data_len, ecg_err *err)
{
    const char *name = e->tensor.name;
    const json_t *pair = json_object_get(info, "data_offsets");
    const json_t *begin = json_array_get(pair, 0), *end = json_array_get(pair, 1);
    if (json_array_size(pair) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": data_offsets are not two whole numbers", name);
    const json_int_t b = json_integer_value(begin), f = json_integer_value(end);
    if (b < 0 || f < b)
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": data_offsets %lld to %lld", name, (long long)b, (long long)f);
    if ((uint64_t)f > data_len)
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\" ends at byte %lld, the data at %zu", name, (long long)f, data_len);
    e->begin = (size_t)b;
    e->end = (size_t)f;
    if (e->end - e->begin != e->tensor.bytes)
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": %zu bytes by its offsets, %zu by its shape", name, e->end - e->begin, e->tensor.bytes);
    if (e->begin % dtypes[e->tensor.dtype].size)
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\": offset %zu is no multiple of %zu", name, e->begin, dtypes[e->tensor.dtype].size);
    return ECG_OK;
}

static ecg_status check_metadata(const json_t *meta, ecg_err *err)
{
    if (!json_is_object(meta))
        return ecg_fail(err, ECG_EDATA, "__metadata__ is not an object");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)meta, key, value)
        if (!json_is_string(value))
            return ecg_fail(err, ECG_EDATA, "__metadata__: \"%.60s\" is not a string", key);
    return ECG_OK;
}

static int by_place(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const ecg_tensor *const *)a)->name, (*(const ecg_tensor *const *)b)->name);
}

static ecg_status check_cover(const ecg_tensors *t, size_t data_len, ecg_err *err)
{
    size_t at = 0;
    for (int i = 0; i < t->all; i++) {
        const entry *e = &t->entries[i];
        if (e->begin < at)
            return ecg_fail(err, ECG_EDATA, "tensors \"%.60s\" and \"%.60s\" overlap", t->entries[i - 1].tensor.name, e->tensor.name);
        if (e->begin > at)
            return ecg_fail(err, ECG_EDATA, "%zu bytes before tensor \"%.60s\" belong to no tensor", e->begin - at, e->tensor.name);
        at = e->end;
    }
    if (at != data_len)
        return ecg_fail(err, ECG_EDATA, "%zu bytes behind the last tensor", data_len - at);
    return ECG_OK;
}

static ecg_status parse_entries(ecg_tensors *t, size_t data_len, ecg_err *err)
{
    t->entries = calloc(json_object_size(t->header) + 1, sizeof *t->entries);
    if (!t->entries)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for %zu tensors", json_object_size(t->header));
    const char *key;
    json_t *info;
    json_object_foreach(t->header, key, info) {
        ecg_status st;
        if (!strcmp(key, "__metadata__")) {
            if ((st = check_metadata(info, err)))
                return st;
            continue;
        }
        if (!json_is_object(info))
            return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\" is not described by an object", key);
        entry *e = &t->entries[t->all++];
        e->tensor.name = key;
        if ((st = parse_dtype(&e->tensor, info, err)) || (st = parse_shape(&e->tensor, info, err)) ||
            (st = parse_offsets(e, info, data_len, err)))
            return st;
    }
    qsort(t->entries, (size_t)t->all, sizeof *t->entries, by_place);
    return check_cover(t, data_len, err);
}

/* ---- opening -------------------------------------------------------------------------------------------------------------- */

/* Data pointers, the padding of our own writer left out, and the index by name. */
static ecg_status attach(ecg_tensors *t, const uint8_t *data, size_t data_len, ecg_err *err)
{
    if ((uintptr_t)data % 8 && data_len) {
        t->aligned = malloc(data_len);
        if (!t->aligned)
            return ecg_fail(err, ECG_ENOMEM, "out of memory for %zu bytes of tensors", data_len);
        data = memcpy(t->aligned, data, data_len);
    }
    for (int i = 0; i < t->all; i++) {
        entry *e = &t->entries[i];
        e->tensor.data = data + e->begin;
        if (strncmp(e->tensor.name, ECG_TENSOR_PADDING, strlen(ECG_TENSOR_PADDING)))
            t->entries[t->n++] = *e;
    }
    t->by_name = malloc(sizeof *t->by_name * (size_t)(t->n + 1));
    if (!t->by_name)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for %d tensors", t->n);
    for (int i = 0; i < t->n; i++)
        t->by_name[i] = &t->entries[i].tensor;
    qsort(t->by_name, (size_t)t->n, sizeof *t->by_name, by_name);
    return ECG_OK;
}

static ecg_status parse(ecg_tensors *t, const uint8_t *bytes, size_t len, ecg_err *err)
{
    if (len < 8)
        return ecg_fail(err, ECG_EFORMAT, "not safetensors: %zu bytes", len);
    uint64_t header_len = 0;
    for (int i = 7; i >= 0; i--)
        header_len = header_len << 8 | bytes[i];
    if (len < 9 || bytes[8] != '{')
        return ecg_fail(err, ECG_EFORMAT, "not safetensors: no header");
    if (header_len > len - 8)
        return ecg_fail(err, ECG_EDATA, "a header of %" PRIu64 " bytes in a file of %zu", header_len, len);
    if (header_len > LONGEST_HEADER)
        return ecg_fail(err, ECG_EDATA, "a header of %" PRIu64 " bytes, at most %d are possible", header_len, LONGEST_HEADER);
    json_error_t why;
    t->header = json_loadb((const char *)bytes + 8, (size_t)header_len, JSON_REJECT_DUPLICATES, &why);
    if (!t->header)
        return ecg_fail(err, ECG_EDATA, "header: %.100s", why.text);
    if (!json_is_object(t->header))
        return ecg_fail(err, ECG_EDATA, "header: not an object");
    const size_t data_len = len - 8 - (size_t)header_len;
    const ecg_status st = parse_entries(t, data_len, err);
    return st ? st : attach(t, bytes + 8 + header_len, data_len, err);
}

ecg_status ecg_tensors_parse(ecg_tensors **out, const void *bytes, size_t len, ecg_err *err)
{
    *out = NULL;
    ecg_tensors *t = calloc(1, sizeof *t);
    if (!t)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for tensors");
    const ecg_status st = parse(t, bytes, len, err);
    if (st) {
        ecg_tensors_close(t);
        return st;
    }
    *out = t;
    return ECG_OK;
}

ecg_status ecg_tensors_open(ecg_tensors **out, const char *path, ecg_err *err)
{
    *out = NULL;
    ecg_bytes file;
    ecg_status st = ecg_file_map(&file, path, err);
    if (st)
        return st;
    st = ecg_tensors_parse(out, file.at, file.len, err);
    if (st) {
        ecg_bytes_free(&file);
        ecg_fail_in(err, st, path);
        return st;
    }
    (*out)->file = file;
    return ECG_OK;
}

void ecg_tensors_close(ecg_tensors *t)
{
    if (!t)
        return;
    free(t->by_name);
    free(t->entries);
    json_decref(t->header);
    free(t->aligned);
    ecg_bytes_free(&t->file);
    free(t);
}

/* ---- asking --------------------------------------------------------------------------------------------------------------- */

int ecg_tensors_count(const ecg_tensors *t)
{
    return t->n;
}

const ecg_tensor *ecg_tensors_at(const ecg_tensors *t, int i)
{
    return &t->entries[i].tensor;
}

const ecg_tensor *ecg_tensors_find(const ecg_tensors *t, const char *name)
{
    const ecg_tensor key = {.name = name}, *key_at = &key;
    const ecg_tensor *const *found = t->n ? bsearch(&key_at, t->by_name, (size_t)t->n, sizeof *t->by_name, by_name) : NULL;
    return found ? *found : NULL;
}

const char *ecg_tensors_meta(const ecg_tensors *t, const char *key)
{
    return json_string_value(json_object_get(json_object_get(t->header, "__metadata__"), key));
}

/* "[12, 1000]"; -1 as "any" */
static void shape_text(char out[160], int rank, const int64_t *dim)
{
    size_t at = 0;
    out[at++] = '[';
    for (int i = 0; i < rank && i < LARGEST_RANK; i++) {
        if (i)
            at += (size_t)snprintf(out + at, 160 - at, ", ");
        at += (size_t)(dim[i] < 0 ? snprintf(out + at, 160 - at, "any") : snprintf(out + at, 160 - at, "%lld", (long long)dim[i] % 1000000000000));
    }
    snprintf(out + at, 160 - at, "]");
}

ecg_status ecg_tensors_need(const ecg_tensors *t, const ecg_tensor **out, const char *name, ecg_dtype dtype, int rank, const int64_t *dim, ecg_err *err)
{
    const ecg_tensor *found = ecg_tensors_find(t, name);
    *out = NULL;
    if (!found)
        return ecg_fail(err, ECG_EDATA, "no tensor \"%.60s\"", name);
    if (found->dtype != dtype)
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\" is %s, not %s", name, ecg_dtype_name(found->dtype), ecg_dtype_name(dtype));
    bool same = found->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = dim[i] == -1 || dim[i] == found->dim[i];
    if (!same) {
        char is[160], wanted[160];
        shape_text(is, found->rank, found->dim);
        shape_text(wanted, rank, dim);
        return ecg_fail(err, ECG_EDATA, "tensor \"%.60s\" has shape %.60s, not %.60s", name, is, wanted);
    }
    *out = found;
    return ECG_OK;
}

ecg_status ecg_tensors_check_format(const ecg_tensors *t, const char *format, ecg_err *err)
{
    return ecg_tensors_check_version(t, format, 1, err);
}

ecg_status ecg_tensors_check_version(const ecg_tensors *t, const char *format, int latest_major, ecg_err *err)
{
    const char *is = ecg_tensors_meta(t, "format"), *version = ecg_tensors_meta(t, "format_version");
    if (!is || strcmp(is, format))
        return ecg_fail(err, ECG_EFORMAT, "a file of format \"%.40s\", not %s", is ? is : "", format);
    if (!version)
        return ecg_fail(err, ECG_EDATA, "%s without format_version", format);
    const size_t major = strspn(version, "0123456789");
    if (major != 1 || version[0] < '1' || version[0] > '0' + latest_major || (version[1] && version[1] != '.'))
        return ecg_fail(err, ECG_EUNSUPPORTED, "%s version %.20s, this program reads version %s%d", format, version, latest_major > 1 ? "1 to " : "",
                        latest_major);
    return ECG_OK;
}
