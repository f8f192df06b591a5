/* SPDX-License-Identifier: MIT
 * store.h: the cohort file: prepared signals, raw tabular values, labels, folds, ids, in one memory-mapped safetensors (formats.md section 1). */
#ifndef ECG_COHORT_STORE_H
#define ECG_COHORT_STORE_H

#include "base/safetensors.h"
#include "base/watch.h"
#include "cohort/journal.h"
#include "ecg/contract.h"

enum { ECG_TRAIN, ECG_VALIDATION, ECG_TEST, ECG_ROLES };

typedef struct {
    uint32_t folds[ECG_ROLES]; /* bit f set: fold f has this role */
} ecg_roles;
/* "train:0-17,validation:18,test:19"; a fold in two roles or above 31 is refused. */
ecg_status ecg_roles_parse(ecg_roles *out, const char *text, ecg_err *err);
void ecg_roles_text(char *out, size_t size, const ecg_roles *r);

typedef struct {
    ecg_tensors *file;
    char path[512];
    char hash[65];               /* SHA-256 of the header (length + JSON): it names every tensor, size and metadata, and the metadata hold the data's hash */
    int64_t n;
    ecg_contract contract;
    bool synthetic;
    ecg_roles roles;
    const float *signal;         /* (n, samples, leads); NULL: a cohort of tables alone (--no-waveforms) */
    const float *tabular;        /* (n, columns), NAN missing; NULL if columns = 0 */
    const int8_t *label[16];     /* (n, K) by contract table */
    const uint8_t *fold, *first_in_stay;
    const int64_t *patient, *study, *stay, *ecg_time;
    const float *quality;        /* (n, quality_columns): column 0 = valid samples */
    int quality_columns;
    const char *attrition;       /* JSON text: list of {step, kept, dropped} */
} ecg_cohort;

ecg_status ecg_cohort_open(ecg_cohort *out, const char *path, ecg_err *err);
void ecg_cohort_close(ecg_cohort *c);
const int8_t *ecg_cohort_labels(const ecg_cohort *c, const char *set, const ecg_label_table **table); /* NULL: no such set */
static inline int ecg_cohort_role(const ecg_cohort *c, const ecg_roles *r, int64_t row) /* -1: none */
{
    for (int i = 0; i < ECG_ROLES; i++)
        if (r->folds[i] >> c->fold[row] & 1u)
            return i;
    return -1;
}

/* Building: records are appended one by one, the rest is set at the end; nothing exists under the name until commit. Until then the file lies
 * beside it as PATH.part; another process that builds the same is refused. */
typedef struct ecg_cohort_builder ecg_cohort_builder;
typedef struct {
    int64_t patient, study, stay, ecg_time;
    uint8_t fold, first_in_stay;
    float quality[8];            /* valid samples, warnings bits, missing, clipped, saturated, einthoven_mv, leads found, leads flat */
} ecg_cohort_row;
/* waveforms false: a cohort of tables alone, without the tensor `signal`; rows are then added with signal NULL. */
ecg_status ecg_cohort_create(ecg_cohort_builder **out, const char *path, const ecg_contract *signal_contract, bool waveforms, ecg_err *err);
ecg_status ecg_cohort_add(ecg_cohort_builder *b, const float *signal /* (samples, leads) */, const ecg_cohort_row *row, ecg_err *err);
int64_t ecg_cohort_count(const ecg_cohort_builder *b);
/* contract: with columns and tables; tabular (n, columns); label[i] (n, K of table i); rows may be patched before (fold). */
ecg_cohort_row *ecg_cohort_rows(ecg_cohort_builder *b);
ecg_status ecg_cohort_commit(ecg_cohort_builder *b, const ecg_contract *contract, const float *tabular, const int8_t *const *label,
                             const ecg_roles *roles, bool synthetic, const char *attrition_json, const char *sources_json, const char *command, ecg_err *err);
void ecg_cohort_abort(ecg_cohort_builder *b);

/* A build that can be interrupted (attach.c). PATH.part then holds the signals and the journal what became of each recording.
 * Goes on with n rows whose signals are there; *same = false: they are not, by their number or their digest, and nothing is done. */
ecg_status ecg_cohort_go_on(ecg_cohort_builder *b, bool *same, const ecg_cohort_row *row, int64_t n, const char *digest, const ecg_watch *watch, ecg_err *err);
ecg_status ecg_cohort_start_over(ecg_cohort_builder *b, ecg_err *err); /* what is there of another build is cut */
/* Everything added so far goes to the system, and its digest to digest (SHA-256 of the signals). */
ecg_status ecg_cohort_flush(ecg_cohort_builder *b, char digest[65], ecg_err *err);
/* From here on the builder owns the journal: it goes with PATH.part when the build is done, and both stay when it fails after all. */
void ecg_cohort_keep(ecg_cohort_builder *b, ecg_journal *j, const ecg_watch *watch);

#endif
