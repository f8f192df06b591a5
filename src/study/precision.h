/* SPDX-License-Identifier: MIT
 * precision.h: the kernels of a stage are those of its settings' precision. */
#ifndef ECG_STUDY_PRECISION_H
#define ECG_STUDY_PRECISION_H

#include "study/train.h"

/* What was asked for, on kernels of config->train.precision; *exec is where these lie and must live as long. */
static inline ecg_study ecg_study_at_precision(const ecg_study *asked, ecg_exec *exec)
{
    ecg_study s = *asked;
    *exec = (ecg_exec){.k = ecg_kernels_at(asked->exec->k, (ecg_precision)asked->config->train.precision), .pool = asked->exec->pool};
    s.exec = exec;
    if (exec->k != asked->exec->k)
        ecg_say(s.watch, "precision of this run: %s", exec->k->words);
    return s;
}

#endif
