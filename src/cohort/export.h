/* SPDX-License-Identifier: MIT
 * export.h: a cohort as plain tables for any other tool: records.csv, tabular.csv, labels.SET.csv, label_table.SET.csv, signal.npy. */
#ifndef ECG_COHORT_EXPORT_H
#define ECG_COHORT_EXPORT_H

#include "base/watch.h"
#include "cohort/store.h"

typedef struct {
    bool signal; /* signal.npy: float32 (n, samples, leads) */
    bool gzip;   /* tables as .csv.gz */
    bool force;  /* into a folder that holds files already */
} ecg_export_options;

/* Every file is complete under its name or absent. ECG_EARG: the folder is not empty (and force is not set), or signal of a cohort without recordings. */
ecg_status ecg_cohort_export(const ecg_cohort *c, const char *folder, const ecg_export_options *o, const ecg_watch *watch, ecg_err *err);

#endif
