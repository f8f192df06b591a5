/* SPDX-License-Identifier: MIT
 * record_list.h: record_list.csv of MIMIC-IV-ECG, in its folder or inside the released archive. */
#ifndef ECG_COHORT_RECORD_LIST_H
#define ECG_COHORT_RECORD_LIST_H

#include "cohort/modules.h"
#include "cohort/tables.h"

typedef struct {
    ecg_csv *t;
    ecg_bytes bytes;          /* of an archive */
    char name[544];           /* for messages */
    int subject, study, time, path; /* columns */
} ecg_record_list; /* = {0} to begin */

ecg_status ecg_record_list_open(ecg_record_list *r, const ecg_mimic_tables *t, ecg_err *err);
void ecg_record_list_close(ecg_record_list *r);

/* The table's bytes out of the archive. */
ecg_status ecg_record_list_unzip(ecg_bytes *out, const char *archive, ecg_err *err);

#endif
