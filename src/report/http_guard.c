/* SPDX-License-Identifier: MIT
 * http_guard.c: may this request be answered at all? First the name that the client calls us by, then its token, then, for what changes something,
 * whether a page of ours asks. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "report/http.h"

/* What the cookie holds: not the token itself, which may have bytes that a cookie cannot have. */
static void cookie_value(char out[65], const char *token)
{
    ecg_sha256 s;
    ecg_sha256_begin(&s);
    ecg_sha256_add(&s, "ecgraft cookie ", 15);
    ecg_sha256_add(&s, token, strlen(token));
    ecg_sha256_end(&s, out);
}

static bool has_token(const ecg_http_who *who, const char *token, int port)
{
    char name[24], wanted[65], given[72];
    if (who->authorization && strncasecmp(who->authorization, "Bearer ", 7) == 0 && ecg_same_secret(who->authorization + 7, token))
        return true;
    snprintf(name, sizeof name, "ecgraft_%d", port); /* cookies know no ports: two servers on one machine keep theirs apart */
    cookie_value(wanted, token);
    return who->cookie && ecg_cookie_find(given, sizeof given, who->cookie, name) && ecg_same_secret(given, wanted);
}

/* "/?token=T": the token leaves the address and becomes a cookie that no script reads and no other site sends. */
static bool enter(ecg_http_request *r, const char *token, int port)
{
    char value[65];
    const char *given = ecg_target_query(&r->target, "token");
    if (!given || strcmp(r->target.path, "/") != 0 || strcmp(r->method, "GET") != 0 || !ecg_same_secret(given, token))
        return false;
    cookie_value(value, token);
    r->reply.status = 303;
    snprintf(r->reply.location, sizeof r->reply.location, "/");
    snprintf(r->reply.cookie, sizeof r->reply.cookie, "ecgraft_%d=%s; Path=/; HttpOnly; SameSite=Strict", port, value);
    return true;
}

void ecg_http_guard(ecg_http_request *r, const ecg_http_who *who, const ecg_http_options *o, int port)
{
    if (who->hosts != 1) {
        ecg_http_error(r, 400, who->hosts ? "more than one Host header" : "no Host header");
    } else if (!ecg_host_fit(who->host, o->open, o->host_name)) {
        ecg_http_error(r, 421, "this server is not called that");
    } else if (o->token && !has_token(who, o->token, port) && !enter(r, o->token, port)) {
        ecg_http_error(r, 401, "a token is needed: Authorization: Bearer TOKEN, or /?token=TOKEN once in a browser");
    }
}

void ecg_http_guard_change(ecg_http_request *r, const ecg_http_who *who)
{
    if (who->origin ? !ecg_same_origin(who->origin, who->host) : !who->own || strcmp(who->own, "1") != 0)
        ecg_http_error(r, 403, "asked by another page: the Origin of this server, or the header X-Ecgraft: 1, is needed");
}
