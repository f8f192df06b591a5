/* SPDX-License-Identifier: MIT
 * csv.h: RFC 4180 tables, plain or gzip (told by content), one row at a time in bounded memory. */
#ifndef ECG_BASE_CSV_H
#define ECG_BASE_CSV_H

#include "base/pool.h"
#include "base/status.h"
#include "base/watch.h"

typedef struct ecg_csv ecg_csv;

typedef struct {
    const char *at; /* unquoted bytes, valid until the next row, not ended by 0 */
    size_t len;     /* 0: missing */
} ecg_field;

/* Reads the header row. A byte order mark and CRLF are accepted. */
ecg_status ecg_csv_open(ecg_csv **out, const char *path, ecg_err *err);
ecg_status ecg_csv_open_bytes(ecg_csv **out, const void *bytes, size_t len, const char *name, ecg_err *err);
void ecg_csv_close(ecg_csv *t); /* NULL is fine */

int ecg_csv_columns(const ecg_csv *t);
const char *ecg_csv_name(const ecg_csv *t, int column);
int ecg_csv_find(const ecg_csv *t, const char *name); /* -1: no such column */
/* Fills index[n]; a missing column is ECG_EDATA naming file and column (and the nearest one there is). */
ecg_status ecg_csv_need(const ecg_csv *t, int *index, const char *const *names, int n, ecg_err *err);

/* *more = false after the last row. A row with another number of fields than the header, a quote never closed, a truncated or
 * damaged gzip stream are ECG_EDATA with file and line. Empty lines are skipped. */
ecg_status ecg_csv_next(ecg_csv *t, bool *more, ecg_err *err);
ecg_field ecg_csv_field(const ecg_csv *t, int column);
int64_t ecg_csv_line(const ecg_csv *t); /* line on which the current row began, from 1 */

int64_t ecg_csv_row(const ecg_csv *t);  /* place of the current row among the rows below the header, from 1 */

/* Typed reads of the current row. Empty: *out = missing (NAN, -1). Anything else that is no number: ECG_EDATA with file, line, column name. */
ecg_status ecg_csv_double(const ecg_csv *t, int column, double *out, ecg_err *err);
ecg_status ecg_csv_i64(const ecg_csv *t, int column, int64_t *out, ecg_err *err); /* accepts "12345.0" */
ecg_status ecg_csv_time(const ecg_csv *t, int column, int64_t *out, ecg_err *err); /* INT64_MIN if empty */

/* All rows that are left, by all threads of a pool (NULL: the caller alone): one at a time unpacks and cuts the text into blocks of whole rows,
 * the others read them. The first error is the first in the file, whatever the number of threads. */
typedef struct {
    void *ctx;
    /* The rows of one block, with ecg_csv_next until there are no more; lines count from 0 in it, rows from 1. Several blocks at a time, each in
     * its own slot, 0 .. ecg_csv_slots() - 1. */
    ecg_status (*take)(void *ctx, ecg_csv *block, int slot, ecg_err *err);
    /* What take left in the slot, in the order of the file, one at a time. rows: those before the block. */
    ecg_status (*merge)(void *ctx, int slot, int64_t rows, ecg_err *err);
} ecg_csv_job;
int ecg_csv_slots(const ecg_pool *pool);
/* rows: their number. what: name of the table for progress (bytes of the file) and when it is interrupted. t is at its end afterwards. */
ecg_status ecg_csv_each(ecg_csv *t, int64_t *rows, const ecg_csv_job *job, const char *what, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

/* Writing: temporary file, renamed by commit. path ending in .gz: gzip (deterministic: no name, no time). Errors are kept
 * and returned by commit. Fields are quoted only when needed. */
typedef struct ecg_csvw ecg_csvw;
ecg_status ecg_csvw_create(ecg_csvw **out, const char *path, ecg_err *err);
void ecg_csvw_text(ecg_csvw *w, const char *s);   /* NULL: empty */
void ecg_csvw_int(ecg_csvw *w, int64_t x);
void ecg_csvw_double(ecg_csvw *w, double x, const char *fmt); /* NAN: empty; fmt NULL: %.9g */
void ecg_csvw_end(ecg_csvw *w);                   /* end of row */
void ecg_csvw_raw(ecg_csvw *w, const char *bytes, size_t len); /* rows made elsewhere, already ended by \n */
ecg_status ecg_csvw_commit(ecg_csvw *w, ecg_err *err);
void ecg_csvw_abort(ecg_csvw *w);

#endif
