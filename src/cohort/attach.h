/* SPDX-License-Identifier: MIT
 * attach.h: what every source does at its end: read and prepare its recordings in parallel, append them in order, count what is lost. */
#ifndef ECG_COHORT_ATTACH_H
#define ECG_COHORT_ATTACH_H

#include "base/text.h"
#include "cohort/build.h"

typedef struct {
    const char *path;   /* inside the folder, without extension */
    ecg_cohort_row row; /* ids and time; quality is filled in */
} ecg_recording;

typedef enum { ECG_KEPT, ECG_ABSENT, ECG_BROKEN } ecg_fate;

/* where: the folder that the paths are below, or the zip archive that holds it. With no_waveforms nothing is read and every row is kept.
 * Appends the recordings that can be had, in order; fate (n) tells which. Writes the list OUTPUT.failures.csv if any failed (and removes an old
 * one if none did), names it in result and counts absent and broken. ECG_EDATA when more than the options allow. */
ecg_status ecg_attach(ecg_cohort_builder *b, uint8_t *fate, ecg_build_result *result, const ecg_contract *c, const char *where,
                      const ecg_recording *rec, int64_t n, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

/* The attrition table as JSON text: [{"step":...,"kept":...,"dropped":...}, ...]. step is plain ASCII without quotes. */
void ecg_attrition_add(ecg_text *t, const char *step, int64_t kept, int64_t dropped);
const char *ecg_attrition_end(ecg_text *t); /* NULL: out of memory */

/* The sources as JSON text: [{"name":...,"bytes":...,"sha256":...}, ...]. */
ecg_status ecg_sources_add(ecg_text *t, const char *path, const char *name, ecg_err *err);
const char *ecg_sources_end(ecg_text *t);

/* Counts positives of each label over n rows of labels (n, table->n) into the table, sorts nothing, fills the hash. */
void ecg_labels_count(ecg_label_table *table, const int8_t *label, int64_t n);

#endif
