/* SPDX-License-Identifier: MIT
 * tables.h: finding the tables of a released data set below one folder, and joining them by their ids. */
#ifndef ECG_COHORT_TABLES_H
#define ECG_COHORT_TABLES_H

#include "base/csv.h"

/* Where tables were found: one walk for all of them. */
typedef struct {
    const char *parent, *name; /* the folder a table must lie in ("hosp", "ed"; NULL: any) and what it is called, with or without .gz; or
                                * any folder and a pattern with an asterisk, without .gz */
    char first[512], second[512]; /* "": not found, found once */
} ecg_table_search;

/* Looks at most five folders below folder. Folders of recordings and of generator truth ("p1000", "records100", "truth" ...) are left out. */
ecg_status ecg_tables_search(ecg_table_search *table, int n, const char *folder, ecg_err *err);

/* The one file NAME or NAME.gz below folder. None: ECG_EIO with the name. Two: ECG_EDATA with both. */
ecg_status ecg_table_find(char out[512], const char *folder, const char *parent, const char *name, ecg_err *err);

/* A table with the columns it must have: index[i] of need[i]. */
ecg_status ecg_table_open(ecg_csv **out, int *index, const char *path, const char *const *need, int n, ecg_err *err);

/* id -> number, open addressing; an id keeps the first number it was given. */
typedef struct {
    int64_t *key;
    int32_t *value; /* -1: free */
    int64_t n, room;
} ecg_ids; /* = {0} to begin */
ecg_status ecg_ids_put(ecg_ids *j, int64_t key, int32_t value, ecg_err *err);
int32_t ecg_ids_get(const ecg_ids *j, int64_t key); /* -1: not there */
void ecg_ids_clear(ecg_ids *j);

/* Different strings numbered in order of their first appearance. */
typedef struct {
    char **at;
    int n, room;
    ecg_ids by_hash; /* hash -> the first string with it */
    int *chain;       /* the next string with the same hash, -1 */
} ecg_words; /* = {0} to begin */
int ecg_words_put(ecg_words *w, const char *bytes, size_t len); /* -1: out of memory */
int ecg_words_get(const ecg_words *w, const char *bytes, size_t len); /* -1: not there */
void ecg_words_clear(ecg_words *w);

/* A field as text in out (cut to its size). */
void ecg_field_copy(char *out, size_t size, ecg_field f);

#endif
