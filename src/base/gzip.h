/* SPDX-License-Identifier: MIT
 * gzip.h: gzip streams, expanded and compressed piece by piece. Expanding goes through ISA-L where it is built in (ECG_HAVE_ISAL),
 * through zlib elsewhere; compressing always through zlib, whose bytes are the same on every CPU. */
#ifndef ECG_BASE_GZIP_H
#define ECG_BASE_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ecg_gunzip ecg_gunzip;

bool ecg_is_gzip(const void *bytes, size_t len); /* by the two magic bytes */

ecg_gunzip *ecg_gunzip_new(void); /* NULL: out of memory */
void ecg_gunzip_free(ecg_gunzip *g); /* NULL is fine */

/* Takes bytes from *in (*in and *in_len move on) and writes at most room bytes to out; returns how many. Members that follow one
 * another are one stream, zeros after the last are skipped. *why: NULL, or what is wrong with the stream (a constant).
 * At the end of the input call on with *in_len = 0 until it returns 0: output may still be held back. */
size_t ecg_gunzip_step(ecg_gunzip *g, const uint8_t **in, size_t *in_len, uint8_t *out, size_t room, const char **why);

bool ecg_gunzip_complete(const ecg_gunzip *g); /* at least one member, and none is open */

typedef struct ecg_gzip ecg_gzip;

ecg_gzip *ecg_gzip_new(void); /* no name and no time in the header; NULL: out of memory */
ecg_gzip *ecg_gzip_new_fast(void); /* zlib's level 1: 60 % of the time for a seventh more bytes */
void ecg_gzip_again(ecg_gzip *z); /* the next member begins; members behind one another are one stream */
void ecg_gzip_free(ecg_gzip *z);

/* The same way round: takes from *in, writes at most room bytes to out, returns how many. last: no more input will come; call on
 * until it returns 0. */
size_t ecg_gzip_step(ecg_gzip *z, const uint8_t **in, size_t *in_len, bool last, uint8_t *out, size_t room);

#endif
