/* SPDX-License-Identifier: MIT
 * The container: what is written is read back, and every lie that a header can tell is refused by its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/safetensors.h"

/* header length, header, data_len bytes 0 1 2 ...; *len in all */
static uint8_t *container(const char *header, size_t said, size_t data_len, size_t *len)
{
    const size_t n = strlen(header);
    uint8_t *bytes = malloc(8 + n + data_len);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)said >> 8 * i);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < data_len; i++)
        bytes[8 + n + i] = (uint8_t)i;
    *len = 8 + n + data_len;
    return bytes;
}

#define T(name, dtype, shape, from, to) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static const struct {
    const char *why, *header;
    size_t data;
    ecg_status status;
    const char *msg;
} cases[] = {
    {"two tensors", "{" T("a", "F32", "[2,1]", 0, 8) "," T("b", "U8", "[3]", 8, 11) "}", 11, ECG_OK, ""},
    {"in any order", "{" T("b", "U8", "[3]", 8, 11) "," T("a", "F32", "[2,1]", 0, 8) "}", 11, ECG_OK, ""},
    {"spaces behind the header", "{" T("a", "U8", "[1]", 0, 1) "}        ", 1, ECG_OK, ""},
    {"no tensor at all", "{}", 0, ECG_OK, ""},
    {"a number is a tensor of rank 0", "{" T("a", "F64", "[]", 0, 8) "}", 8, ECG_OK, ""},
    {"an empty tensor", "{" T("a", "F32", "[0,7]", 0, 0) "," T("b", "U8", "[3]", 0, 3) "}", 3, ECG_OK, ""},
    {"metadata", "{\"__metadata__\":{\"k\":\"v\"}," T("a", "U8", "[1]", 0, 1) "}", 1, ECG_OK, ""},

    {"not JSON", "hello", 0, ECG_EFORMAT, "not safetensors"},
    {"half a JSON", "{\"a\":", 0, ECG_EDATA, "header: "},
    {"text behind the object", "{} x", 0, ECG_EDATA, "header: "},
    {"a name twice", "{" T("a", "U8", "[1]", 0, 1) "," T("a", "U8", "[1]", 1, 2) "}", 2, ECG_EDATA, "duplicate"},
    {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, ECG_EDATA, "duplicate"},
    {"metadata that is no object", "{\"__metadata__\":[]}", 0, ECG_EDATA, "__metadata__ is not an object"},
    {"metadata that is no text", "{\"__metadata__\":{\"k\":1}}", 0, ECG_EDATA, "\"k\" is not a string"},
    {"a tensor that is no object", "{\"a\":7}", 0, ECG_EDATA, "not described by an object"},
    {"no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, ECG_EDATA, "no dtype"},
    {"unknown dtype", "{" T("a", "Q7", "[1]", 0, 1) "}", 1, ECG_EDATA, "unknown dtype \"Q7\""},
    {"known, unsupported dtype", "{" T("a", "U32", "[1]", 0, 4) "}", 4, ECG_EUNSUPPORTED, "dtype U32"},
    {"no shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, ECG_EDATA, "no shape"},
    {"nine dimensions", "{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, ECG_EDATA, "9 dimensions"},
    {"a negative dimension", "{" T("a", "U8", "[-1]", 0, 1) "}", 1, ECG_EDATA, "dimension 0 is not a count"},
    {"two negative dimensions", "{" T("a", "U8", "[-1,-1]", 0, 1) "}", 1, ECG_EDATA, "dimension 0 is not a count"},
    {"a broken dimension", "{" T("a", "U8", "[1.5]", 0, 1) "}", 1, ECG_EDATA, "dimension 0 is not a count"},
    {"a product beyond 63 bits", "{" T("a", "U8", "[4294967296,4294967296]", 0, 0) "}", 0, ECG_EDATA, "overflows"},
    {"bytes beyond 64 bits", "{" T("a", "F64", "[2305843009213693952]", 0, 0) "}", 0, ECG_EDATA, "overflows"},
    {"no offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, ECG_EDATA, "data_offsets"},
    {"three offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, ECG_EDATA, "data_offsets"},
    {"offsets that are texts", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\"0\",\"1\"]}}", 1, ECG_EDATA, "data_offsets"},
    {"a negative offset", "{" T("a", "U8", "[1]", -1, 0) "}", 1, ECG_EDATA, "data_offsets -1 to 0"},
    {"offsets backwards", "{" T("a", "U8", "[1]", 1, 0) "}", 1, ECG_EDATA, "data_offsets 1 to 0"},
    {"an end beyond the file", "{" T("a", "U8", "[4]", 0, 4) "}", 3, ECG_EDATA, "ends at byte 4, the data at 3"},
    {"an end far beyond", "{" T("a", "U8", "[9223372036854775807]", 0, 9223372036854775807) "}", 3, ECG_EDATA, "ends at byte"},
    {"a number that no one can hold", "{" T("a", "U8", "[1]", 0, 92233720368547758070) "}", 3, ECG_EDATA, "header: "},
    {"shape and offsets differ", "{" T("a", "F32", "[2]", 0, 4) "}", 4, ECG_EDATA, "4 bytes by its offsets, 8 by its shape"},
    {"off its alignment", "{" T("a", "U8", "[2]", 0, 2) "," T("b", "F32", "[1]", 2, 6) "}", 6, ECG_EDATA, "no multiple of 4"},
    {"overlap", "{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[4]", 2, 6) "}", 6, ECG_EDATA, "\"a\" and \"b\" overlap"},
    {"the same place twice", "{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[4]", 0, 4) "}", 4, ECG_EDATA, "overlap"},
    {"an empty tensor within another", "{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[0]", 2, 2) "}", 4, ECG_EDATA, "overlap"},
    {"a gap", "{" T("a", "U8", "[1]", 0, 1) "," T("b", "U8", "[1]", 2, 3) "}", 3, ECG_EDATA, "1 bytes before tensor \"b\""},
    {"a gap at the beginning", "{" T("a", "U8", "[1]", 1, 2) "}", 2, ECG_EDATA, "1 bytes before tensor \"a\""},
    {"bytes behind", "{" T("a", "U8", "[1]", 0, 1) "}", 3, ECG_EDATA, "2 bytes behind the last tensor"},
};

static void every_lie_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len;
        uint8_t *bytes = container(cases[i].header, strlen(cases[i].header), cases[i].data, &len);
        ecg_tensors *t;
        ecg_err err = {0};
        const ecg_status st = ecg_tensors_parse(&t, bytes, len, &err);
        if (st != cases[i].status || !strstr(err.msg, cases[i].msg))
            print_error("%s: %s\n", cases[i].why, err.msg);
        assert_int_equal(st, cases[i].status);
        assert_non_null(strstr(err.msg, cases[i].msg));
        assert_true(!t == !!st);
        ecg_tensors_close(t);
        free(bytes);
    }
}

static void the_length_of_the_header(void **state)
{
    (void)state;
    static const struct { const char *why; size_t said; ecg_status status; } lengths[] = {
        {"right", 2, ECG_OK},
        {"beyond the file", 3, ECG_EDATA},
        {"2^63", (size_t)1 << 63, ECG_EDATA},
        {"2^64 - 1", SIZE_MAX, ECG_EDATA},
        {"2^64 - 8: 8 more is 0", SIZE_MAX - 7, ECG_EDATA},
        {"zero", 0, ECG_EDATA},
    };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t len;
        uint8_t *bytes = container("{}", lengths[i].said, 0, &len);
        ecg_tensors *t;
        assert_int_equal(ecg_tensors_parse(&t, bytes, len, NULL), lengths[i].status);
        ecg_tensors_close(t);
        free(bytes);
    }
    size_t len;
    uint8_t *bytes = container("{}", 2, 0, &len);
    for (size_t n = 0; n < len; n++) {
        ecg_tensors *t;
        assert_true(ecg_tensors_parse(&t, bytes, n, NULL) != ECG_OK);
        assert_null(t);
    }
    free(bytes);
}

/* Any header length is allowed; the data then begin anywhere, and are still to be read as numbers. */
static void data_are_aligned_whatever_the_header(void **state)
{
    (void)state;
    for (int spaces = 0; spaces < 9; spaces++) {
        char header[128];
        snprintf(header, sizeof header, "{" T("x", "F64", "[2]", 0, 16) "}%.*s", spaces, "         ");
        size_t len;
        uint8_t *bytes = container(header, strlen(header), 16, &len);
        const double want[2] = {1.25, -3};
        memcpy(bytes + len - 16, want, sizeof want);
        ecg_tensors *t;
        assert_int_equal(ecg_tensors_parse(&t, bytes, len, NULL), ECG_OK);
        const ecg_tensor *x = ecg_tensors_find(t, "x");
        assert_int_equal((uintptr_t)x->data % 8, 0);
        assert_memory_equal(x->data, want, sizeof want);
        ecg_tensors_close(t);
        free(bytes);
    }
}

static void asking(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"format\":\"ecgraft.model\",\"format_version\":\"1.9\"}," T("w", "F32", "[2,3]", 0, 24) "}";
    size_t len;
    uint8_t *bytes = container(header, sizeof header - 1, 24, &len);
    ecg_tensors *t;
    ecg_err err;
    assert_int_equal(ecg_tensors_parse(&t, bytes, len, &err), ECG_OK);
    assert_int_equal(ecg_tensors_count(t), 1);
    assert_string_equal(ecg_tensors_meta(t, "format"), "ecgraft.model");
    assert_null(ecg_tensors_meta(t, "nothing"));
    assert_null(ecg_tensors_find(t, "v"));
    const ecg_tensor *w;
    assert_int_equal(ecg_tensors_need(t, &w, "w", ECG_F32, 2, (const int64_t[]){-1, 3}, &err), ECG_OK);
    assert_int_equal(w->count, 6);
    assert_int_equal(ecg_tensors_need(t, &w, "v", ECG_F32, 2, (const int64_t[]){2, 3}, &err), ECG_EDATA);
    assert_string_equal(err.msg, "no tensor \"v\"");
    assert_int_equal(ecg_tensors_need(t, &w, "w", ECG_F64, 2, (const int64_t[]){2, 3}, &err), ECG_EDATA);
    assert_string_equal(err.msg, "tensor \"w\" is F32, not F64");
    assert_int_equal(ecg_tensors_need(t, &w, "w", ECG_F32, 2, (const int64_t[]){-1, 4}, &err), ECG_EDATA);
    assert_string_equal(err.msg, "tensor \"w\" has shape [2, 3], not [any, 4]");
    assert_int_equal(ecg_tensors_need(t, &w, "w", ECG_F32, 1, (const int64_t[]){6}, &err), ECG_EDATA);
    assert_null(w);

    assert_int_equal(ecg_tensors_check_format(t, "ecgraft.model", &err), ECG_OK);
    assert_int_equal(ecg_tensors_check_format(t, "ecgraft.cohort", &err), ECG_EFORMAT);
    ecg_tensors_close(t);
    free(bytes);
    static const struct { const char *version; ecg_status status; } versions[] = {
        {"1", ECG_OK}, {"1.0", ECG_OK}, {"1.17", ECG_OK}, {"2.0", ECG_EUNSUPPORTED}, {"10.0", ECG_EUNSUPPORTED}, {"1x", ECG_EUNSUPPORTED}, {"", ECG_EUNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"__metadata__\":{\"format\":\"ecgraft.model\",\"format_version\":\"%s\"}}", versions[i].version);
        bytes = container(text, strlen(text), 0, &len);
        assert_int_equal(ecg_tensors_parse(&t, bytes, len, &err), ECG_OK);
        assert_int_equal(ecg_tensors_check_format(t, "ecgraft.model", &err), versions[i].status);
        ecg_tensors_close(t);
        free(bytes);
    }
}

static void write_file(const char *path, const char *note)
{
    ecg_tensorsw *w;
    ecg_err err;
    assert_int_equal(ecg_tensorsw_create(&w, path, 4096, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_meta(w, "format", "ecgraft.model", &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_meta(w, "note", note, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_put(w, "odd", ECG_U8, 1, (const int64_t[]){3}, "abc", &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_begin(w, "rows", ECG_F64, 2, (const int64_t[]){-1, 2}, &err), ECG_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ecg_tensorsw_write(w, (const double[]){i, i / 2.0}, 16, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_end(w, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_put(w, "none", ECG_F32, 2, (const int64_t[]){0, 4}, NULL, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_put(w, "one", ECG_I64, 0, NULL, &(int64_t){-7}, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_commit(w, &err), ECG_OK);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    char folder[] = "/tmp/ecg_test_XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/t.safetensors", folder);
    char *longest = malloc(30001); /* longer than the reserve: known in time, it enlarges it */
    memset(longest, '"', 30000);
    longest[30000] = 0;
    write_file(path, longest);
    ecg_tensors *t;
    ecg_err err;
    assert_int_equal(ecg_tensors_open(&t, path, &err), ECG_OK);
    assert_int_equal(ecg_tensors_count(t), 4); /* the padding between "odd" and "rows" is not shown */
    assert_string_equal(ecg_tensors_meta(t, "note"), longest);
    assert_string_equal(ecg_tensors_at(t, 0)->name, "odd");
    assert_memory_equal(ecg_tensors_at(t, 0)->data, "abc", 3);
    const ecg_tensor *rows = ecg_tensors_find(t, "rows");
    assert_int_equal(rows->dim[0], 5);
    assert_true(((const double *)rows->data)[9] == 2.0);
    assert_int_equal(*(const int64_t *)ecg_tensors_find(t, "one")->data, -7);
    assert_int_equal(ecg_tensors_find(t, "none")->count, 0);
    ecg_tensors_close(t);

    ecg_bytes once, again;
    assert_int_equal(ecg_file_read(&once, path, &err), ECG_OK);
    write_file(path, longest);
    assert_int_equal(ecg_file_read(&again, path, &err), ECG_OK);
    assert_int_equal(once.len, again.len);
    assert_memory_equal(once.at, again.at, once.len);

    for (size_t n = 0; n < once.len; n += n < 64 ? 1 : 997) { /* cut anywhere it is refused */
        assert_true(ecg_tensors_parse(&t, once.at, n, &err) != ECG_OK);
        assert_null(t);
    }
    assert_int_equal(ecg_file_write_whole(path, once.at, once.len / 2, &err), ECG_OK);
    assert_true(ecg_tensors_open(&t, path, &err) != ECG_OK);
    assert_string_equal(err.path, path);
    ecg_bytes_free(&once);
    ecg_bytes_free(&again);
    free(longest);
    unlink(path);
    rmdir(folder);
}

static void wrong_calls_leave_nothing_behind(void **state)
{
    (void)state;
    char folder[] = "/tmp/ecg_test_XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/t.safetensors", folder);
    ecg_tensorsw *w;
    ecg_err err;
    const int64_t two[] = {2}, bad[] = {2, -1};
    assert_int_equal(ecg_tensorsw_create(&w, path, 0, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_put(w, "a", ECG_U8, 1, two, "xy", &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_put(w, "a", ECG_U8, 1, two, "xy", &err), ECG_EARG);
    assert_int_equal(ecg_tensorsw_put(w, ECG_TENSOR_PADDING "7", ECG_U8, 1, two, "xy", &err), ECG_EARG);
    assert_int_equal(ecg_tensorsw_begin(w, "b", ECG_U8, 2, bad, &err), ECG_EARG);
    assert_int_equal(ecg_tensorsw_meta(w, "k", "\xff", &err), ECG_EARG);
    assert_int_equal(ecg_tensorsw_begin(w, "b", ECG_U8, 1, two, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_write(w, "x", 1, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_commit(w, &err), ECG_EARG);
    assert_string_equal(err.msg, "tensor \"b\" was not ended");
    assert_int_equal(ecg_tensorsw_create(&w, path, 0, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_begin(w, "b", ECG_F32, 1, two, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_write(w, "x", 1, &err), ECG_OK);
    assert_int_equal(ecg_tensorsw_end(w, &err), ECG_EARG);
    assert_string_equal(err.msg, "tensor \"b\": 1 bytes written, 8 by its shape");
    ecg_tensorsw_abort(w);
    assert_int_equal(ecg_tensors_open(&(ecg_tensors *){NULL}, folder, &err), ECG_EIO);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_lie_is_named),
        cmocka_unit_test(the_length_of_the_header),
        cmocka_unit_test(data_are_aligned_whatever_the_header),
        cmocka_unit_test(asking),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(wrong_calls_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
