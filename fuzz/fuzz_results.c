/* SPDX-License-Identifier: MIT
 * A study's folder as anybody may have written it: results.json, labels.csv, and evaluation.json and a reliability table of the run folder "r", one
 * behind the other, cut at the bytes 1. What is accepted becomes a report whose JSON can be read and whose page holds no script; what is refused
 * leaves none. Seeds are such inputs. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "report/study_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES = 4, REPORTS = 3 };
static const char *const names[FILES] = {"results.json", "labels.csv", "r/evaluation.json", "r/reliability.diagnoses.test.csv"};
static const char *const reports[REPORTS] = {"report.html", "report.md", "report.json"};
static char folder[64];

static void at(char path[160], const char *name)
{
    snprintf(path, 160, "%s/%s", folder, name);
}

static void forget_files(void)
{
    char path[160];
    for (int i = 0; i < FILES; i++) {
        at(path, names[i]);
        unlink(path);
    }
    for (int i = 0; i < REPORTS; i++) {
        at(path, reports[i]);
        unlink(path);
    }
}

static void forget_folder(void)
{
    char path[160];
    forget_files();
    at(path, "r");
    rmdir(path);
    rmdir(folder);
}

/* In memory where the system has such a place: three files are written for every input. */
static void make_folder(void)
{
    const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    char path[160];
    snprintf(folder, sizeof folder, "%s/ecgraft-fuzz-XXXXXX", base);
    if (!mkdtemp(folder))
        abort();
    at(path, "r");
    if (mkdir(path, 0700) || atexit(forget_folder))
        abort();
}

static void put_file(const char *name, const uint8_t *data, size_t len)
{
    char path[160];
    at(path, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f))
        abort();
}

static void check_report(void)
{
    char path[160];
    ecg_bytes page = {0};
    at(path, "report.html");
    if (ecg_file_read(&page, path, NULL) || memmem(page.at, page.len, "<script", 7) || !memmem(page.at, page.len, "</footer>", 9))
        abort();
    ecg_bytes_free(&page);
    at(path, "report.json");
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    if (!j)
        abort();
    json_decref(j);
    at(path, "report.md");
    if (!ecg_is_file(path))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ecg_err err;
    if (size > 65536)
        return 0;
    if (!*folder)
        make_folder();
    forget_files();
    for (int n = 0; n < FILES && (n == 0 || size > 0); n++) {
        const uint8_t *end = size ? memchr(data, 1, size) : NULL;
        const size_t len = end ? (size_t)(end - data) : size;
        put_file(names[n], data, len);
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    if (!ecg_study_report(folder, &err)) {
        check_report();
        return 0;
    }
    for (int i = 0; i < REPORTS; i++) {
        char path[160];
        at(path, reports[i]);
        if (ecg_is_file(path))
            abort(); /* refused, and yet there is one */
    }
    return 0;
}
