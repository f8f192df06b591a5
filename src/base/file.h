/* SPDX-License-Identifier: MIT
 * file.h: whole files in, whole files out. A file being written lies beside its name as NAME.tmp.PID and is renamed when complete. */
#ifndef ECG_BASE_FILE_H
#define ECG_BASE_FILE_H

#include "base/status.h"

typedef struct {
    const uint8_t *at; /* NULL if empty */
    size_t len;
    int kind;          /* how to give it back: 0 not ours, 1 malloc, 2 mmap */
} ecg_bytes;

ecg_status ecg_file_read(ecg_bytes *out, const char *path, ecg_err *err);  /* into memory; a folder or a device: ECG_EIO */
ecg_status ecg_file_map(ecg_bytes *out, const char *path, ecg_err *err);   /* read-only mapping */
void ecg_bytes_free(ecg_bytes *b);

typedef struct ecg_file ecg_file; /* being written */
ecg_status ecg_file_create(ecg_file **out, const char *path, ecg_err *err);
ecg_status ecg_file_write(ecg_file *f, const void *bytes, size_t len, ecg_err *err);                    /* appends, buffered */
ecg_status ecg_file_write_at(ecg_file *f, int64_t at, const void *bytes, size_t len, ecg_err *err);     /* overwrites */
int64_t ecg_file_at(const ecg_file *f);                                                               /* bytes so far */
ecg_status ecg_file_commit(ecg_file *f, ecg_err *err); /* flush, fsync, rename; f is gone either way */
void ecg_file_abort(ecg_file *f);                      /* nothing is left; NULL is fine */

/* A file that may take several attempts lies beside its name as NAME.part, locked: a second process is refused. What an earlier attempt left is
 * there until it is overwritten or cut. */
ecg_status ecg_file_create_part(ecg_file **out, const char *path, ecg_err *err);
int64_t ecg_file_found(const ecg_file *f);                           /* bytes that were there */
ecg_status ecg_file_go_on(ecg_file *f, int64_t bytes, ecg_err *err); /* the next ones are there already; what lies behind them is cut */
ecg_status ecg_file_flush(ecg_file *f, ecg_err *err);                /* to the system: they survive the end of the process */
void ecg_file_keep(ecg_file *f);                                     /* closes it, NAME.part stays */

ecg_status ecg_file_write_whole(const char *path, const void *bytes, size_t len, ecg_err *err);
ecg_status ecg_make_folders(const char *path, ecg_err *err); /* mkdir -p */
bool ecg_is_folder(const char *path);
bool ecg_is_file(const char *path);
bool ecg_holds_files(const char *folder, int depth); /* a file in it or in folders so many levels below; deeper folders count as files */
int64_t ecg_file_size(const char *path);     /* -1 if there is none */
ecg_status ecg_join(char *out, size_t size, const char *folder, const char *name, ecg_err *err); /* folder/name */

typedef struct { uint32_t h[8]; uint64_t len; uint8_t block[64]; bool plain; /* not by the processor's own instructions */ } ecg_sha256;
void ecg_sha256_begin(ecg_sha256 *s);
void ecg_sha256_add(ecg_sha256 *s, const void *bytes, size_t len);
void ecg_sha256_end(ecg_sha256 *s, char hex[65]);
ecg_status ecg_sha256_file(char hex[65], const char *path, ecg_err *err);

#endif
