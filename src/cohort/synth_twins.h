/* SPDX-License-Identifier: MIT
 * synth_twins.h: counterfactual twins. A recording with a known cause is made once more with the causing variable forced to normal;
 * all random words are the same, so whatever is not downstream is the same to the bit.
 *
 * Which recordings: of each cause the first N in an order of patients that strides evenly through the whole cohort, one recording a
 * patient. The choice depends on seed, options and the size of the whole cohort, not on the slice that is being written. */
#ifndef ECG_COHORT_SYNTH_TWINS_H
#define ECG_COHORT_SYNTH_TWINS_H

#include "base/pool.h"
#include "base/watch.h"
#include "cohort/synth_model.h"

enum { ECG_TWIN_CAUSES = 6, ECG_TWIN_SHAM = ECG_TWIN_CAUSES - 1, ECG_TWIN_FIRST_ID = 50000000 };

typedef struct {
    const char *name;
    int variable;      /* forced, and what tells the cause */
    double value;      /* forced to */
    size_t at;         /* of the variable in ecg_visit */
    double above, below; /* a recording qualifies beyond either; the sham takes recordings of the others */
} ecg_twin_cause;
extern const ecg_twin_cause ecg_twin_causes[ECG_TWIN_CAUSES];

static inline double ecg_twin_watched(const ecg_twin_cause *cause, const ecg_visit *v)
{
    return *(const double *)((const char *)v + cause->at);
}

typedef struct {
    uint32_t patient, visit; /* the first recording of that visit */
    int cause;
    int64_t study_id;        /* of the twin: 50000000 + running number in the whole cohort */
} ecg_twin;

typedef struct {
    int n;
    ecg_twin *at;                      /* (n), by patient, visit, cause; owned */
    ecg_synth world[ECG_TWIN_CAUSES];  /* the generator with the cause taken away */
} ecg_twins;

/* Looks for s->options.twins recordings of each cause. pool, watch may be NULL. */
ecg_status ecg_synth_twins_find(ecg_twins *t, const ecg_synth *s, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);
void ecg_synth_twins_clear(ecg_twins *t);
/* The twins of a patient are at[*first .. end). */
int ecg_synth_twins_of(const ecg_twins *t, uint32_t patient, int *first);

#endif
