/* SPDX-License-Identifier: MIT
 * joint.h: the three stages as one: the encoder learns from the table, the diagnoses and the laboratory labels at the same time. */
#ifndef ECG_STUDY_JOINT_H
#define ECG_STUDY_JOINT_H

#include "study/train.h"

/* From random weights over all training records; the result holds encoder, tabular encoder, projectors and a head for every label set that the
 * cohort has, on one embedding. [joint] says how the losses are weighed; the alignment follows [pretrain] (tabular, loss, lambda ...) and
 * train.shuffle_pairs, the heads [finetune] and [labs] (head_hidden, head_dropout, gamma, reduce), the diagnoses that are seen train.labelled.
 * `set` of the study: the label set of the diagnosis head. `from`, `teacher` and `random_encoder` are not used.
 * ECG_EDATA: neither diagnoses nor labs are known. ECG_ECONTRACT: no columns to align with. */
ecg_status ecg_joint(const ecg_study *s, ecg_err *err);

#endif
