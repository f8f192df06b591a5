/* SPDX-License-Identifier: MIT
 * embed.h: the embedding h of whole recordings, the mean over their disjoint crops; and an encoder that has learned nothing, to compare with. */
#ifndef ECG_STUDY_EMBED_H
#define ECG_STUDY_EMBED_H

#include "base/watch.h"
#include "model/bundle.h"
#include "study/config.h"
#include "study/loader.h"

/* h (rows, width of the model). what: name of the progress, NULL: none. ECG_EINTR: stopped. */
ecg_status ecg_embed_rows(float *h, const ecg_model *m, const ecg_loader *l, const ecg_rows *rows, const ecg_exec *exec, const ecg_watch *watch,
                          const char *what, ecg_err *err);

/* An encoder of the settings' shape at its initial weights (train.seed), without heads, as ecg_model_load would give it. */
ecg_status ecg_untrained(ecg_model *out, const ecg_cohort *c, const ecg_config *config, const ecg_exec *exec, ecg_err *err);

#endif
