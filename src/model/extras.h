/* SPDX-License-Identifier: MIT
 * extras.h: what a model may carry beside its parameters: calibrators, the distance of embeddings, the explainer. Tensors "uncertain.", "outlier.",
 * "explain.", metadata "calibration"; readers that do not know them lose nothing else. */
#ifndef ECG_MODEL_EXTRAS_H
#define ECG_MODEL_EXTRAS_H

#include "base/safetensors.h"
#include "model/bundle.h"

bool ecg_extras_any(const ecg_model *m);
void ecg_extras_clear(ecg_model *m);
ecg_status ecg_extras_save(const ecg_model *m, ecg_tensorsw *w, ecg_err *err);
/* Hostile: sizes against heads and width, values against each other. */
ecg_status ecg_extras_load(ecg_model *m, const ecg_tensors *file, ecg_err *err);

#endif
