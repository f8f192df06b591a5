/* SPDX-License-Identifier: MIT
 * Predictions, labels, groups and other predictions as people make them: four files in one input, cut at the bytes 1; what can be read is assessed.
 * Seeds are such inputs. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "study/predictions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES = 4, MOST_ENTRIES = 20000 };

static void assess(const ecg_predictions *p, bool validation)
{
    const ecg_assess_task t = {.K = p->K, .code = p->code, .rows = p->rows, .validation = validation ? &p->rows : NULL, .against = p->against, .group = p->group,
                               .groups = p->groups, .resamples = 2, .least_patients = 2, .least_class = 1};
    ecg_assessment a;
    if (ecg_assess(&a, &t, NULL))
        return;
    json_t *j = ecg_assess_json(&a);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    if (!text)
        abort(); /* whatever the names are, there is JSON of it */
    free(text);
    json_decref(j);
    ecg_assessment_clear(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FILES][64];
    int fd[FILES], n = 0;
    if (size > 65536)
        return 0;
    while (n < FILES && (n == 0 || size > 0)) {
        const uint8_t *end = size ? memchr(data, 1, size) : NULL;
        const size_t len = end ? (size_t)(end - data) : size;
        fd[n] = memfd_create("fuzz", 0);
        if (fd[n] < 0 || (len && write(fd[n], data, len) != (ssize_t)len))
            abort();
        snprintf(path[n], sizeof path[n], "/proc/self/fd/%d", fd[n]);
        n++;
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    for (int missing = 0; n >= 2 && missing < 2; missing++) {
        ecg_predictions p;
        ecg_err err;
        const ecg_predictions_files f = {.predictions = path[0], .labels = path[1], .groups = n > 2 ? path[2] : NULL, .against = n > 3 ? path[3] : NULL,
                                         .ignore_missing = missing};
        if (ecg_predictions_read(&p, &f, NULL, &err))
            continue;
        if (p.rows.n * p.K <= MOST_ENTRIES && p.groups <= 20)
            assess(&p, missing);
        ecg_predictions_clear(&p);
    }
    for (int i = 0; i < n; i++)
        close(fd[i]);
    return 0;
}
