/* SPDX-License-Identifier: MIT
 * room.h: memory that this process has and may still have, and what a batch needs of it, so that what cannot fit is refused with a number
 * before anything is allocated. */
#ifndef ECG_STUDY_ROOM_H
#define ECG_STUDY_ROOM_H

#include "base/watch.h"
#include "model/bundle.h"

double ecg_memory_anonymous(void); /* bytes of this process that lie in no file; NAN: the system does not say */
/* Bytes that this process may still have: what the system calls available, less where a control group or a limit on addresses says less.
 * INFINITY: nobody says. */
double ecg_memory_free(void);

typedef enum { ECG_NEED_PRETRAIN, ECG_NEED_FINETUNE } ecg_need;
/* Bytes that a training step of a built model needs beyond its parameters; keep: crops whose activations stay for the backward pass. */
double ecg_batch_bytes(const ecg_model *m, ecg_need what, int64_t batch, int workers, int64_t keep);
/* ECG_ENOMEM where they are not there: "a batch of 65536 needs 12.3 GiB of memory, 5.1 GiB are free". what: "a batch of 65536" */
ecg_status ecg_room_for(double bytes, const char *what, ecg_err *err);
/* Crops of the batch whose activations stay for the backward pass: as many as memory_mb and the memory there is hold; says so where these are not
 * all. ECG_ENOMEM: there is no room for the batch even without. */
ecg_status ecg_room_keep(int *keep, const ecg_model *m, ecg_need what, int batch, int workers, int64_t memory_mb, const ecg_watch *watch, ecg_err *err);

#endif
