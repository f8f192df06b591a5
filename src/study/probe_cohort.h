/* SPDX-License-Identifier: MIT
 * probe_cohort.h: embeddings of a whole cohort, and what linear maps read off them: an encoder that was trained in one place probed in another. */
#ifndef ECG_STUDY_PROBE_COHORT_H
#define ECG_STUDY_PROBE_COHORT_H

#include <jansson.h>

#include "base/watch.h"
#include "cohort/store.h"
#include "num/kernels.h"

typedef struct {
    const char *cohort, *model; /* model: run folder or file */
    const ecg_roles *roles;     /* NULL: those of the training, if on the same cohort; else the cohort's */
    const char *set;            /* label set; NULL: all */
    const int64_t *few;         /* (fews) numbers of training patients with labels */
    int fews, draws;
    int64_t most;               /* training records at most; 0: all */
    int resamples;              /* of the intervals; 0: none */
    uint64_t seed;
    const ecg_exec *exec;
    const ecg_watch *watch;     /* may be NULL */
} ecg_probe_task;

/* An object, schema ecgraft.probe/1. tabular: null without columns. sets: linear probes to labels, macro AUROC on test with interval by patient, and
 * for every number of patients the mean and spread over draws. ECG_EARG: no such set. ECG_ECONTRACT: other signals than the model's. */
ecg_status ecg_probe_cohort(json_t **out, const ecg_probe_task *t, ecg_err *err);

/* path: (n, H) float32 .npy, the rows of the cohort in order; beside it NAME.csv: study_id, patient, first_in_stay, fold, role. */
ecg_status ecg_embed_cohort(const char *path, const ecg_probe_task *t, ecg_err *err);

#endif
