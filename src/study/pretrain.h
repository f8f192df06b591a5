/* SPDX-License-Identifier: MIT
 * pretrain.h: stage 1, the ECG encoder and the table of the same visit learn a joint embedding (protocol 6.2, decision 2). */
#ifndef ECG_STUDY_PRETRAIN_H
#define ECG_STUDY_PRETRAIN_H

#include "study/train.h"

/* `from` and `set` of the study are not used. */
ecg_status ecg_pretrain(const ecg_study *s, ecg_err *err);

#endif
