/* SPDX-License-Identifier: MIT
 * csv_parts.h: what csv.c and csv_each.c share: a table being read, or one block of it. */
#ifndef ECG_BASE_CSV_PARTS_H
#define ECG_BASE_CSV_PARTS_H

#include "base/csv.h"
#include "base/csv_mask.h"
#include "base/unpack.h"

enum { ECG_CSV_LONGEST_ROW = 16 << 20 }; /* bytes; beyond it most likely a quote was never closed */

typedef struct {
    size_t at, len; /* relative to the row; without the quotes */
} ecg_csv_cell;

/* Fields of the current row are found when first asked for. */
typedef struct {
    int n, room;
    size_t next; /* where field n begins */
    ecg_csv_cell *cell;
} ecg_csv_cells;

struct ecg_csv {
    ecg_unpack from;
    const ecg_csv_path *path;
    size_t window; /* its bytes to begin with; blocks (csv_each.c) begin with twice as many */
    /* the window: always holds the whole current row. text[row .. filled) is not yet given away, mask describes text[0 .. classified) */
    char *text;
    ecg_csv_mask *mask;
    size_t room, filled, classified, row; /* room is a multiple of 64; so is classified until no text follows */
    bool text_ended;
    ecg_csv_state state; /* at classified */
    /* the row: text[row .. end), end is its newline or the end of the text */
    size_t end, next;        /* next: where the row after this one begins */
    int fields;
    ecg_csv_cells *cells;
    int64_t line, row_line, rows; /* of the next row, of this row; rows so far */
    /* the header */
    int columns;
    char **names;
    char *names_text;
};

/* Another path or window (bytes, a multiple of 64) than usual: for tests. */
ecg_status ecg_csv_open_tuned(ecg_csv **out, const void *bytes, size_t len, const char *name, const ecg_csv_path *path, size_t window, ecg_err *err);

/* The bits of text[0 .. len) that begins with a row; room for whole words behind it, which are set to 0. */
void ecg_csv_classify(ecg_csv_mask *mask, const ecg_csv_path *path, char *text, size_t from, size_t len, ecg_csv_state *s);

#endif
