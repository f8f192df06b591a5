/* SPDX-License-Identifier: MIT
 * finetune.h: stages 2 and 3, a head on the encoder (protocol 6.3, decision 1). */
#ifndef ECG_STUDY_FINETUNE_H
#define ECG_STUDY_FINETUNE_H

#include "study/train.h"

/* diagnoses: a new diagnosis head; the encoder trains but for its frozen blocks. labs: where `from` holds a diagnosis head, only the laboratory
 * head trains and the result holds both on one embedding ("shared"); otherwise the upper blocks train too ("branched"). Without `from`
 * everything trains from random weights. */
ecg_status ecg_finetune(const ecg_study *s, bool labs, ecg_err *err);

#endif
