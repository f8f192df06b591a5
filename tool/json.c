/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdio.h>

void tool_json_print(json_t *j)
{
    ecg_text line = {0};
    ecg_json_line(&line, j);
    fwrite(line.at, 1, line.len, stdout);
    ecg_text_clear(&line);
    json_decref(j);
}
