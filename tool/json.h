/* SPDX-License-Identifier: MIT
 * json.h: the parts of JSON answers that commands share. */
#ifndef ECG_TOOL_JSON_H
#define ECG_TOOL_JSON_H

#include "base/json.h"
#include "ecgraft.h"

json_t *tool_json_text(const char *s);               /* a path may hold any bytes, JSON holds UTF-8: others become '?' */
json_t *tool_json_quality(const ecg_quality *q);
json_t *tool_json_answer(const char *schema);        /* {schema, statement} */
void tool_json_print(json_t *j);                     /* one line on stdout; j is gone */

#endif
