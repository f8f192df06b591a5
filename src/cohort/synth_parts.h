/* SPDX-License-Identifier: MIT
 * synth_parts.h: the files of a cohort that is not finished. Each table grows as NAME.part beside its name and takes its name when all
 * are complete; truth/unfinished.txt holds the options of the run, the next patient, and how long each part was and what was counted
 * before that patient. A run that finds it cuts the parts to those lengths and goes on; so nothing depends on where the last one ended. */
#ifndef ECG_COHORT_SYNTH_PARTS_H
#define ECG_COHORT_SYNTH_PARTS_H

#include "cohort/synth_tables.h"

typedef struct {
    const char *dir;
    ecg_text options;           /* as the file begins: a line each, "name value" */
    int64_t next;               /* patient */
    int64_t size[ECG_TABLES];   /* of the parts before it */
    ecg_sheaf total;            /* its counts alone are used */
    int fd[ECG_TABLES];         /* -1: has its name already, or not open */
} ecg_parts;

extern const struct ecg_synth_table {
    const char *path, *header;
} ecg_synth_tables[ECG_TABLES];

/* Adds what part has counted to total and sets it to 0. */
void ecg_synth_add_counts(ecg_sheaf *total, ecg_sheaf *part);

/* *found: dir holds an unfinished run of the same options, parts know where it is. ECG_EIO: of other options (the first that differs is
 * named), or the file makes no sense. o and dir must outlive parts. */
ecg_status ecg_parts_find(ecg_parts *p, bool *found, const char *dir, const ecg_synth_options *o, ecg_err *err);
/* A new run: empty parts. */
ecg_status ecg_parts_create(ecg_parts *p, ecg_err *err);
/* The run that was found: parts as they were. */
ecg_status ecg_parts_open(ecg_parts *p, ecg_err *err);
ecg_status ecg_parts_add(ecg_parts *p, int table, const void *bytes, size_t len, ecg_err *err); /* not in size before ecg_parts_reach */
/* All patients before next are in: remembered, and with save written down. */
ecg_status ecg_parts_reach(ecg_parts *p, int64_t next, bool save, ecg_err *err);
ecg_status ecg_parts_save(ecg_parts *p, ecg_err *err);
/* Every table gets its name; the run is unfinished until ecg_parts_finish. */
ecg_status ecg_parts_commit(ecg_parts *p, ecg_err *err);
ecg_status ecg_parts_finish(ecg_parts *p, ecg_err *err);
/* A run that could not begin: its parts are removed. */
void ecg_parts_discard(ecg_parts *p);
void ecg_parts_close(ecg_parts *p);

#endif
