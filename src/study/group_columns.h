/* SPDX-License-Identifier: MIT
 * group_columns.h: subgroups out of a CSV file with one column for each grouping. */
#ifndef ECG_STUDY_GROUP_COLUMNS_H
#define ECG_STUDY_GROUP_COLUMNS_H

#include "base/arena.h"
#include "cohort/tables.h"
#include "study/assess.h"

/* The rows that get groups: row i has the id with the number kept[i]. */
typedef struct {
    const ecg_words *id;
    ecg_words *patient; /* numbers of patients */
    int64_t *unit;           /* (n) filled where it is negative and the file knows the patient */
    const int64_t *kept;     /* (n) rising */
    int64_t n;
    const char *id_name;     /* column of the id; study_id or the first where there is none of that name */
} ecg_group_rows;

/* Text as it is; up to 5 different numbers as they are, more in bands. A column with more than 20 texts is no grouping: said to watch. */
ecg_status ecg_group_columns_read(ecg_assess_group **out, int *groups, const ecg_group_rows *rows, const char *path, ecg_arena *arena, const ecg_watch *watch,
                                  ecg_err *err);
void ecg_group_columns_clear(ecg_assess_group *g, int groups);

bool ecg_group_is_age(const char *name); /* age, demographics_age, age_years */

#endif
