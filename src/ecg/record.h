/* SPDX-License-Identifier: MIT
 * record.h: one ECG as it was recorded. The struct is public (ecgraft.h); here are the lead names and the ways to make one.
 * Knows nothing of models or of the patient. */
#ifndef ECG_ECG_RECORD_H
#define ECG_ECG_RECORD_H

#include "base/source.h"

enum { ECG_I, ECG_II, ECG_III, ECG_AVR, ECG_AVL, ECG_AVF, ECG_V1, ECG_V2, ECG_V3, ECG_V4, ECG_V5, ECG_V6, ECG_LEADS };

extern const char *const ecg_lead_names[ECG_LEADS]; /* "I" "II" "III" "aVR" "aVL" "aVF" "V1" ... */

/* ECG_I.. for "I", "i", "Lead I", "DI", "MDC_ECG_LEAD_I", "AVR", "ECG I" ...; -1 for anything else. */
int ecg_lead_from_name(const char *name);

/* Index of that lead in the record, -1 if absent. */
int ecg_record_find(const ecg_record *rec, int lead);

/* Factor from a lead's unit to millivolt (mV 1, uV 1e-3, V 1e3 ...); 0: not a voltage. */
double ecg_unit_to_mv(const char *unit);

/* Room for leads x samples, all NAN, names empty. */
ecg_status ecg_record_make(ecg_record *rec, int leads, int64_t samples, double rate_hz, ecg_err *err);

/* The twelve leads in millivolt in the order of ecg_lead_names, lead-major (12, samples); III, aVR, aVL, aVF are derived when I and II
 * are there; a lead that is neither is filled with NAN and its bit stays 0 in the mask that is returned (bit ECG_I ...). */
unsigned ecg_record_twelve(float *out, const ecg_record *rec);

/* ecg_record_quality in memory of the caller: that many doubles. NULL: einthoven_mv is NAN. */
static inline size_t ecg_quality_room(const ecg_record *rec) { return 2 * ((size_t)rec->samples + 1); }
void ecg_record_quality_in(ecg_quality *out, const ecg_record *rec, double *room);

#endif
