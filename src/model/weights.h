/* SPDX-License-Identifier: MIT
 * weights.h: parameters in a model file. Matrices of at least ECG_WEIGHTS_SIDE rows and columns may be stored as bf16 (the nearest one) or as int8 with
 * a scale for each row ("NAME.scale", F32; x = q * scale); everything else, state spaces included, is F32. In memory all of it is float32. */
#ifndef ECG_MODEL_WEIGHTS_H
#define ECG_MODEL_WEIGHTS_H

#include "model/bundle.h"

enum { ECG_WEIGHTS_SIDE = 16 };

ecg_status ecg_weights_save(const ecg_params *t, ecg_tensorsw *w, ecg_weights weights, ecg_err *err);
/* Is row p in the file, in its shape, with finite values? Hostile. */
ecg_status ecg_weights_check(const ecg_param *p, const ecg_tensors *file, ecg_err *err);
/* The values of a row that was checked: to (count). */
void ecg_weights_take(float *to, const ecg_param *p, const ecg_tensors *file);

#endif
