/* SPDX-License-Identifier: MIT
 * source.h: a place that holds named bytes: a folder today, an archive or an upload tomorrow. A reader asks for "1.hea" and
 * "1.dat" and never opens a path itself. Names that would leave the place are refused here and nowhere else. */
#ifndef ECG_BASE_SOURCE_H
#define ECG_BASE_SOURCE_H

#include "base/file.h"

typedef struct ecg_source ecg_source;
struct ecg_source {
    ecg_status (*open)(ecg_source *self, const char *name, ecg_bytes *out, ecg_err *err); /* ECG_EIO with err->path if it is not there */
    void (*close)(ecg_source *self);
    void *state;
    char where[512]; /* for messages: the folder */
};

ecg_status ecg_source_folder(ecg_source *out, const char *folder, ecg_err *err);
/* Names and their bytes, not copied; for tests, fuzzers and uploads. */
typedef struct { const char *name; const void *at; size_t len; } ecg_member;
ecg_status ecg_source_memory(ecg_source *out, const ecg_member *members, int n, ecg_err *err);

/* Checks the name first (no absolute path, no "..", no empty part, no control byte, at most 255 bytes), then
 * that it is a regular file; then opens. Never call self->open directly. */
ecg_status ecg_source_open(ecg_source *s, const char *name, ecg_bytes *out, ecg_err *err);
void ecg_source_close(ecg_source *s);

#endif
