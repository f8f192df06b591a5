/* SPDX-License-Identifier: MIT
 * work.h: how much arithmetic a model is: the multiply-adds of its matrix products, two operations each. The convolutions, norms and
 * activations beside them are some percent of it and bound by other things. */
#ifndef ECG_STUDY_WORK_H
#define ECG_STUDY_WORK_H

#include "model/bundle.h"

double ecg_work_encoder(const ecg_encoder_config *c);   /* one crop, forwards */
double ecg_work_forward(const ecg_model *m, const char *prefix); /* the chain below a prefix ("head_diagnoses."), one row, forwards; NULL: all chains */
/* One training step, a sample: forwards, and backwards to what is trained. */
double ecg_work_step(const ecg_model *m);

#endif
