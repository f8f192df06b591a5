/* SPDX-License-Identifier: MIT */
#include "report/json_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *ecg_json_words(const char *s)
{
    json_t *j = json_string(s);
    if (j)
        return j;
    char *ascii = strdup(s);
    for (char *c = ascii; c && *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    j = json_string(ascii ? ascii : "");
    free(ascii);
    return j;
}

json_t *ecg_json_quality(const ecg_quality *q)
{
    json_t *warnings = json_array(), *j = json_object();
    for (unsigned bit = 1; bit && bit <= q->warnings; bit <<= 1)
        if (q->warnings & bit)
            json_array_append_new(warnings, ecg_json_words(ecg_warning_text(bit)));
    json_object_set_new(j, "warnings", warnings);
    json_object_set_new(j, "leads_found", json_integer(q->leads_found));
    json_object_set_new(j, "leads_flat", json_integer(q->leads_flat));
    json_object_set_new(j, "leads_invalid", json_integer(q->leads_invalid));
    json_object_set_new(j, "missing", ecg_json_number(q->missing));
    json_object_set_new(j, "clipped", ecg_json_number(q->clipped));
    json_object_set_new(j, "saturated", ecg_json_number(q->saturated));
    json_object_set_new(j, "einthoven_mv", ecg_json_number(q->einthoven_mv));
    json_object_set_new(j, "seconds", ecg_json_number(q->seconds));
    json_object_set_new(j, "note", ecg_json_words(q->note));
    return j;
}

json_t *ecg_json_answer(const char *schema)
{
    json_t *j = json_object();
    json_object_set_new(j, "schema", json_string(schema));
    json_object_set_new(j, "statement", json_string(ECG_STATEMENT));
    return j;
}

static int add(const char *bytes, size_t len, void *to)
{
    ecg_text_add(to, bytes, len);
    return 0;
}

void ecg_json_line(ecg_text *to, const json_t *j)
{
    if (json_dump_callback(j, add, to, JSON_COMPACT | JSON_REAL_PRECISION(9)))
        to->failed = true;
    ecg_text_puts(to, "\n");
}
