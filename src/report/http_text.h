/* SPDX-License-Identifier: MIT
 * http_text.h: what a stranger writes into a request, as functions over bytes: the target, the Host and Origin headers, secrets, a body of
 * files (multipart/form-data, RFC 7578). Nothing here touches a socket; a fuzzer runs all of it (fuzz/fuzz_upload.c). */
#ifndef ECG_REPORT_HTTP_TEXT_H
#define ECG_REPORT_HTTP_TEXT_H

#include "base/status.h"

/* ---- the target: "/api/results/7f.html?layout=6x2" ------------------------------------------------------------------------------ */

enum { ECG_TARGET_MAX = 2048, ECG_QUERIES_MAX = 16 };

typedef struct {
    char text[2 * ECG_TARGET_MAX]; /* decoded, each piece ended by 0 */
    const char *path;              /* "/api/results/7f.html" */
    int queries;
    struct { const char *name, *value; } query[ECG_QUERIES_MAX];
} ecg_target;

/* false: longer than ECG_TARGET_MAX, not beginning with '/', a wrong %xx, a control byte, a part of the path that is empty, "." or "..", more than
 * ECG_QUERIES_MAX queries. */
bool ecg_target_parse(ecg_target *out, const char *raw);
const char *ecg_target_query(const ecg_target *t, const char *name); /* NULL: not asked; the first where it is there twice */

/* ---- who asks ------------------------------------------------------------------------------------------------------------------- */

/* A browser that was led here by a name of somebody else (DNS rebinding) says that name. Fit are 127.0.0.1, localhost and [::1] with any port (a
 * tunnel has its own); with `open` any address in digits, and `name` if it is not NULL. */
bool ecg_host_fit(const char *host, bool open, const char *name);
/* origin is http:// or https:// and then host, as a browser writes it for a page of this server. */
bool ecg_same_origin(const char *origin, const char *host);
/* In a time that does not depend on where they differ. */
bool ecg_same_secret(const char *a, const char *b);
/* The value of a cookie in a Cookie header into out (size); false: not there, or longer. */
bool ecg_cookie_find(char *out, size_t size, const char *cookies, const char *name);

/* ---- a body of files ------------------------------------------------------------------------------------------------------------ */

enum { ECG_PARTS_MAX = 128 };

typedef struct {
    char name[64];     /* of the form's field */
    char file[256];    /* as the sender calls the file; not yet checked as a name */
    const uint8_t *at; /* (len) in the body */
    size_t len;
} ecg_part;

typedef struct {
    ecg_part *part; /* (n); owned */
    int n;
} ecg_multipart;

/* Parts lie in the body and live as long. ECG_EUNSUPPORTED: the type is none of a body of files. ECG_EFORMAT: the body is broken, or a part is no file.
 * On failure *out is empty. */
ecg_status ecg_multipart_parse(ecg_multipart *out, const char *type, const uint8_t *body, size_t len, ecg_err *err);
void ecg_multipart_clear(ecg_multipart *m);

#endif
