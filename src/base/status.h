/* SPDX-License-Identifier: MIT
 * status.h: how a function says what went wrong. The list and ecg_err are public (ecgraft.h); here are the ways to fill it. */
#ifndef ECG_BASE_STATUS_H
#define ECG_BASE_STATUS_H

#include <inttypes.h>
#include <stddef.h>

#include "ecgraft.h"

/* Fills err if there is one and returns status, so that a failing branch is one line. Leaves the place at zero. */
ecg_status ecg_fail(ecg_err *err, ecg_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with a place; path may be NULL, line and column 0. */
ecg_status ecg_fail_at(ecg_err *err, ecg_status status, const char *path, int64_t line, int64_t column, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* Adds the file to an error that was raised over bytes; a path that is already there stays. Returns err's status. */
ecg_status ecg_fail_in(ecg_err *err, ecg_status status, const char *path);

/* ECG_EIO with strerror(errno): "cannot open: No such file or directory". */
ecg_status ecg_fail_errno(ecg_err *err, const char *path, const char *what);

/* "records/1.hea:3:14: gain is not a number" into out (size bytes). */
void ecg_err_text(char *out, size_t size, const ecg_err *err);

#endif
