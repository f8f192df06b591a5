/* SPDX-License-Identifier: MIT
 * json.h: what jansson leaves to its users: numbers that may be missing, text of any bytes, files that appear whole. */
#ifndef ECG_BASE_JSON_H
#define ECG_BASE_JSON_H

#include <jansson.h>

#include "base/status.h"

json_t *ecg_json_number(double x);    /* null where it is not finite */
json_t *ecg_json_text(const char *s); /* null where there is none, or wrong UTF-8 (a path may hold any byte) */

/* An object in a file: nine digits, two spaces. ECG_EDATA: not an object, with its line. */
ecg_status ecg_json_save(const json_t *j, const char *path, ecg_err *err);
ecg_status ecg_json_load(json_t **out, const char *path, ecg_err *err);

#endif
