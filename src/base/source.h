/* SPDX-License-Identifier: MIT
 * source.h: a place that holds named bytes: a folder, a zip archive, an upload. A reader asks for "1.hea" and
 * "1.dat" and never opens a path itself. Names that would leave the place are refused here and nowhere else. */
#ifndef ECG_BASE_SOURCE_H
#define ECG_BASE_SOURCE_H

#include "base/file.h"

typedef struct ecg_source ecg_source;
struct ecg_source {
    ecg_status (*open)(ecg_source *self, const char *name, ecg_bytes *out, ecg_err *err); /* ECG_EIO with err->path if it is not there */
    bool (*has)(ecg_source *self, const char *name);
    void (*close)(ecg_source *self);
    void *state;
    size_t most;     /* bytes that a file may have once expanded, 0: what the source itself allows */
    char where[512]; /* for messages: the folder or the archive */
};

ecg_status ecg_source_folder(ecg_source *out, const char *folder, ecg_err *err);

/* A zip archive, of any size, opened once and mapped: at most 16 bytes of memory for each of its files. Stored and deflated files can be opened,
 * from several threads at once; their CRC is checked, and the bytes outlive the archive. A name that is there twice means the later file, as everywhere.
 * ECG_EFORMAT: not a zip archive. ECG_EDATA: damaged or cut. */
ecg_status ecg_source_zip(ecg_source *out, const char *path, ecg_err *err);
ecg_status ecg_source_zip_bytes(ecg_source *out, const void *bytes, size_t len, const char *name, ecg_err *err); /* not copied */
bool ecg_is_zip(const void *bytes, size_t len); /* by the magic bytes */
/* Where in the archive a file called `name` ("record_list.csv", "files/p1/1.hea") lies: its folder with the slash, "" at the top. The
 * one with the shortest way is meant. ECG_EIO: there is none. */
ecg_status ecg_zip_find(char *prefix, size_t size, const ecg_source *zip, const char *name, ecg_err *err);
/* From now on names are those below that folder; to be called before other threads open files. */
ecg_status ecg_zip_enter(ecg_source *zip, const char *prefix, ecg_err *err);

/* Names and their bytes, not copied; for tests, fuzzers and uploads. */
typedef struct { const char *name; const void *at; size_t len; } ecg_member;
ecg_status ecg_source_memory(ecg_source *out, const ecg_member *members, int n, ecg_err *err);

/* Checks the name first (no absolute path, no "..", no empty part, no control byte, at most 255 bytes), then
 * that it is a regular file; then opens. Never call self->open directly. */
ecg_status ecg_source_open(ecg_source *s, const char *name, ecg_bytes *out, ecg_err *err);
/* false: there is no such file, or its name is none that may be opened. One that is there may still fail to open. */
bool ecg_source_has(ecg_source *s, const char *name);
void ecg_source_close(ecg_source *s);

#endif
