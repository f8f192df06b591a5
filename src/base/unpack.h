/* SPDX-License-Identifier: MIT
 * unpack.h: the text of a file, plain or gzip (told by content), piece by piece. */
#ifndef ECG_BASE_UNPACK_H
#define ECG_BASE_UNPACK_H

#include "base/gzip.h"
#include "base/status.h"

typedef struct {
    char path[512];      /* for messages */
    int fd;              /* -1: from memory */
    uint8_t *block;      /* bytes of the file as it lies there; owned */
    const uint8_t *in;   /* (in_len) not yet used */
    size_t in_len;
    bool in_ended, ended; /* nothing more to read; nothing more to give */
    ecg_gunzip *gunzip;  /* NULL: plain text */
    const char *why;     /* what is wrong with the gzip stream, NULL */
    int64_t taken, size; /* bytes of the file used so far, of all */
} ecg_unpack;

ecg_status ecg_unpack_open(ecg_unpack *u, const char *path, ecg_err *err);
/* The bytes are not copied. */
ecg_status ecg_unpack_bytes(ecg_unpack *u, const void *bytes, size_t len, const char *name, ecg_err *err);
void ecg_unpack_close(ecg_unpack *u);

/* Fills out; less than room only at the end of the text (ended), or before an error: what came before it is given first, and the next call
 * has nothing but the error, at that line. The checksum of gzip stands at its end, so that a wrong one is only known there. */
ecg_status ecg_unpack_read(ecg_unpack *u, char *out, size_t room, size_t *got, int64_t line, ecg_err *err);

#endif
