/* SPDX-License-Identifier: MIT
 * json_parts.h: the parts of JSON answers that commands and the server share. */
#ifndef ECG_REPORT_JSON_PARTS_H
#define ECG_REPORT_JSON_PARTS_H

#include "base/json.h"
#include "base/text.h"
#include "ecgraft.h"

json_t *ecg_json_words(const char *s);         /* a path may hold any bytes, JSON holds UTF-8: others become '?' */
json_t *ecg_json_quality(const ecg_quality *q);
json_t *ecg_json_answer(const char *schema);   /* {schema, statement} */
void ecg_json_line(ecg_text *to, const json_t *j); /* one line with its end: compact, nine digits */

#endif
