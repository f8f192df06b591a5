/* SPDX-License-Identifier: MIT
 * synth_record.h: one recording as two files of the WFDB format. */
#ifndef ECG_COHORT_SYNTH_RECORD_H
#define ECG_COHORT_SYNTH_RECORD_H

#include "cohort/synth_model.h"

enum { ECG_SYNTH_BYTES = ECG_SYNTH_SAMPLES * ECG_SYNTH_LEADS * 2 };

typedef struct {
    int64_t subject_id, study_id, time;
} ecg_record_name;

/* root/files/p1000/p10000032/s40689238/40689238.dat, then .hea under its name: a record is there when its header is, and then whole.
 * again: files of an earlier run may lie there. bytes: room. */
ecg_status ecg_synth_record_write(const char *root, const ecg_record_name *name, int16_t samples[ECG_SYNTH_SAMPLES][ECG_SYNTH_LEADS], bool again,
                                  uint8_t bytes[ECG_SYNTH_BYTES], ecg_err *err);

#endif
