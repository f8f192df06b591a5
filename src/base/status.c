/* SPDX-License-Identifier: MIT */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ecg_status_text(ecg_status status)
{
    static const char *const text[] = {
#define X(code, words) words,
        ECG_STATUS_LIST(X)
#undef X
    };
    return (unsigned)status < sizeof text / sizeof *text ? text[status] : "unknown status";
}

static void fill(ecg_err *err, ecg_status status, const char *path, int64_t line, int64_t column, const char *fmt, va_list args)
{
    if (!err)
        return;
    memset(err, 0, sizeof *err);
    err->status = status;
    err->line = line;
    err->column = column;
    if (path)
        snprintf(err->path, sizeof err->path, "%s", path);
    vsnprintf(err->msg, sizeof err->msg, fmt, args);
}

ecg_status ecg_fail(ecg_err *err, ecg_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, status, NULL, 0, 0, fmt, args);
    va_end(args);
    return status;
}

ecg_status ecg_fail_at(ecg_err *err, ecg_status status, const char *path, int64_t line, int64_t column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fill(err, status, path, line, column, fmt, args);
    va_end(args);
    return status;
}

ecg_status ecg_fail_in(ecg_err *err, ecg_status status, const char *path)
{
    if (err && !err->path[0])
        snprintf(err->path, sizeof err->path, "%s", path);
    return status;
}

ecg_status ecg_fail_errno(ecg_err *err, const char *path, const char *what)
{
    const int number = errno;
    char words[128];
    return ecg_fail_at(err, number == ENOMEM ? ECG_ENOMEM : ECG_EIO, path, 0, 0, "%s: %s", what, strerror_r(number, words, sizeof words));
}

void ecg_err_text(char *out, size_t size, const ecg_err *err)
{
    char place[64] = "";
    if (err->line > 0 && err->column > 0)
        snprintf(place, sizeof place, ":%" PRId64 ":%" PRId64, err->line, err->column);
    else if (err->line > 0)
        snprintf(place, sizeof place, ":%" PRId64, err->line);
    else if (err->byte > 0)
        snprintf(place, sizeof place, ": byte %" PRId64, err->byte);
    snprintf(out, size, "%s%s%s%s", err->path, place, err->path[0] ? ": " : "", err->msg[0] ? err->msg : ecg_status_text(err->status));
}
