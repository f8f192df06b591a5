/* SPDX-License-Identifier: MIT
 * What a stranger sends to `serve`: a request target, a Host, an Origin and a Cookie line, a Content-Type, and then a body of files, whose recordings are read
 * as an upload's are. */
#include <stdlib.h>
#include <string.h>

#include "ecg/formats.h"
#include "report/serve_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 5 };

/* The first lines of the input as strings; what is left is the body. */
static bool cut_lines(char *line[LINES], const uint8_t **data, size_t *size)
{
    for (int i = 0; i < LINES; i++) {
        const uint8_t *end = memchr(*data, '\n', *size);
        const size_t n = end ? (size_t)(end - *data) : *size;
        line[i] = calloc(n + 1, 1);
        if (!line[i])
            return false;
        memcpy(line[i], *data, n);
        *data += end ? n + 1 : n;
        *size -= end ? n + 1 : n;
    }
    return true;
}

static void read_files(const char *type, const uint8_t *body, size_t len)
{
    ecg_multipart parts;
    ecg_member member[ECG_PARTS_MAX];
    ecg_recordings which;
    ecg_source src;
    ecg_record rec;
    if (ecg_multipart_parse(&parts, type, body, len, NULL))
        return;
    if (!ecg_upload_members(member, &parts, NULL) && !ecg_upload_recordings(&which, member, parts.n, NULL) && !ecg_source_memory(&src, member, parts.n, NULL)) {
        src.most = 1 << 16;
        for (int i = 0; i < which.n; i++)
            if (!ecg_served_size(&src, which.name[i], NULL) && !ecg_record_read_from(&rec, &src, which.name[i], NULL))
                ecg_record_clear(&rec);
        ecg_source_close(&src);
    }
    ecg_multipart_clear(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line[LINES] = {NULL}, value[65];
    ecg_target t;
    if (cut_lines(line, &data, &size)) {
        if (ecg_target_parse(&t, line[0])) {
            if (t.path[0] != '/' || strstr(t.path, "/../"))
                abort();
            ecg_target_query(&t, "record");
        }
        ecg_host_fit(line[1], false, NULL);
        if (ecg_host_fit(line[1], false, NULL) && !ecg_host_fit(line[1], true, "name"))
            abort();
        ecg_same_origin(line[2], line[1]);
        ecg_cookie_find(value, sizeof value, line[3], "ecgraft_8017");
        read_files(line[4], data, size);
    }
    for (int i = 0; i < LINES; i++)
        free(line[i]);
    return 0;
}
