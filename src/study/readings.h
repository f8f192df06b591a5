/* SPDX-License-Identifier: MIT
 * readings.h: what a model makes of cohort rows, in the arrays that src/explain reads: mean embedding, mean logits of both heads, and the labels, patterns
 * and patients beside them. */
#ifndef ECG_STUDY_READINGS_H
#define ECG_STUDY_READINGS_H

#include "base/watch.h"
#include "explain/explain.h"
#include "model/bundle.h"
#include "study/loader.h"

typedef struct {
    int64_t n;
    int width, K[2];         /* of the model's heads, 0: no such head */
    float *h;                /* (n, width) mean over the crops */
    double *logit[2];        /* (n, K) mean over the crops */
    int8_t *label[2];        /* (n, K) in the model's order of labels; -1 unknown, also where the cohort does not know the label */
    double *pattern;         /* (n, ECG_PATTERNS) age in years, 1 for men; NAN */
    int64_t *patient, *row;  /* (n), of the cohort */
} ecg_readings;              /* all owned */

/* At most `most` rows, evenly spread (0: all). m runs on m->exec. ECG_EINTR: stopped. */
ecg_status ecg_readings_take(ecg_readings *out, const ecg_model *m, const ecg_loader *l, const ecg_rows *rows, int64_t most, const ecg_watch *watch,
                             const char *what, ecg_err *err);
void ecg_readings_clear(ecg_readings *r);
/* As src/explain reads them: head 0 of the pair is that of diagnoses. */
ecg_explain_rows ecg_readings_rows(const ecg_readings *r, int diagnoses, int labs);

#endif
