/* SPDX-License-Identifier: MIT
 * json.c: see json.h. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

json_t *ecg_json_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *ecg_json_text(const char *s)
{
    json_t *t = s ? json_string(s) : NULL;
    return t ? t : json_null();
}

ecg_status ecg_json_save(const json_t *j, const char *path, ecg_err *err)
{
    char *text = j ? json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    if (!text)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    const size_t n = strlen(text);
    text[n] = '\n'; /* the place of the final 0 */
    const ecg_status st = ecg_file_write_whole(path, text, n + 1, err);
    free(text);
    return st;
}

ecg_status ecg_json_load(json_t **out, const char *path, ecg_err *err)
{
    ecg_bytes b;
    json_error_t why;
    const ecg_status st = ecg_file_read(&b, path, err);
    if (st)
        return st;
    *out = json_loadb((const char *)b.at, b.len, JSON_REJECT_DUPLICATES, &why);
    ecg_bytes_free(&b);
    if (!*out || !json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return ecg_fail_at(err, ECG_EDATA, path, why.line, why.column, "not a JSON object: %.100s", why.text);
    }
    return ECG_OK;
}
