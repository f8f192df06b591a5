/* SPDX-License-Identifier: MIT
 * synth.h: a hospital that never lived. Latent physiology -> ECG, laboratory, vital signs, diagnoses, written in the layout of
 * MIMIC-IV-ECG, MIMIC-IV and MIMIC-IV-ED. docs/synthetic.md says what is modelled; synth_model.h has the variables.
 *
 * Patient 17 of a seed is the same patient in every cohort size, slice and number of threads: all random numbers are addressed
 * (stream, slot, visit, patient), nothing is drawn "next". */
#ifndef ECG_COHORT_SYNTH_H
#define ECG_COHORT_SYNTH_H

#include "base/pool.h"
#include "base/status.h"
#include "base/watch.h"

enum {
    ECG_SYNTH_PATIENTS = 624999, /* identifiers of MIMIC's ranges do not reach further */
    ECG_SYNTH_SAMPLES = 5000,    /* 10 s at 500 Hz */
    ECG_SYNTH_LEADS = 12,
    ECG_SYNTH_FORCED = 16,
    ECG_SYNTH_TWINS = 10000      /* of a cause, at most */
};

typedef struct {
    uint64_t seed;
    int64_t first, last;  /* patients, from 1, both included */
    int64_t patients;     /* of the whole cohort whose slice this is; 0: last */
    int twins;            /* counterfactual twins of a cause in the whole cohort; 0: none */
    double noise;         /* baseline, muscle and mains noise; 1: quiet resting ECG, 2.5: emergency department */
    double nuisance;      /* electrode placement, posture, breathing phase */
    bool waveforms, distractors, force;
    int forced;           /* interventions: variable := value in every patient and visit */
    struct {
        int variable;
        double value;
    } force_to[ECG_SYNTH_FORCED];
} ecg_synth_options;

void ecg_synth_defaults(ecg_synth_options *o);
/* "K=4.1". ECG_EARG: no such variable (names the nearest), no number, out of the variable's range. */
ecg_status ecg_synth_do(ecg_synth_options *o, const char *text, ecg_err *err);

/* Everything below dir. pool and watch may be NULL. Tables appear when all is written, the manifest last; a record is its .dat and
 * then its .hea, so an interrupted run leaves no half record. A run that was interrupted, killed or found the disk full is continued by
 * the same call, and ends with the same bytes. ECG_EARG: options out of range; ECG_EIO: dir is not empty, or holds an unfinished run
 * with other options (unless force). */
ecg_status ecg_synth_write(const char *dir, const ecg_synth_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err);

/* The first ECG of a patient's visit (from 1), in units of 5 uV; leads in the order of MIMIC-IV-ECG: I II III aVR aVF aVL V1-V6.
 * ECG_EARG: this patient has no such visit. */
ecg_status ecg_synth_ecg(int16_t out[ECG_SYNTH_SAMPLES][ECG_SYNTH_LEADS], const ecg_synth_options *o, int64_t patient, int visit, ecg_err *err);

#endif
