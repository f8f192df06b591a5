/* SPDX-License-Identifier: MIT
 * finetune.h: stages 2 and 3, a head on the encoder (protocol 6.3, decision 1). */
#ifndef ECG_STUDY_FINETUNE_H
#define ECG_STUDY_FINETUNE_H

#include "study/train.h"

/* diagnoses: a new diagnosis head; the encoder trains but for its frozen blocks. labs: where `from` holds a diagnosis head, only the laboratory
 * head trains and the result holds both on one embedding ("shared"); otherwise the upper blocks train too ("branched"). Without `from`
 * everything trains from random weights.
 *
 * finetune.tabular / labs.tabular: the head reads [h, h_m] (fuse.h); such a model holds one head and cannot predict without a table.
 * train.labelled: diagnoses of a subset of training patients alone. random_encoder: the recipe of --from without what stage 1 learned.
 * l2sp, hold, distill, distill_hidden: pull.h; with a teacher all training records take part, those without labels by the teacher's word.
 * ECG_EARG: settings that do not go together. ECG_ECONTRACT: a table that the cohort lacks, a teacher of other labels. */
ecg_status ecg_finetune(const ecg_study *s, bool labs, ecg_err *err);

#endif
