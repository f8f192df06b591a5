/* SPDX-License-Identifier: MIT
 * json.h: JSON answers on standard output. */
#ifndef ECG_TOOL_JSON_H
#define ECG_TOOL_JSON_H

#include "report/json_parts.h"

void tool_json_print(json_t *j); /* one line on stdout; j is gone */

#endif
