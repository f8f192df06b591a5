/* SPDX-License-Identifier: MIT
 * prediction.h: an answer as JSON, schema ecgraft.prediction/1 (docs/explanations.md): what `predict --json` prints, what the page of one ECG is
 * made of (ecg_page.h) and what `serve` gives away. */
#ifndef ECG_REPORT_PREDICTION_H
#define ECG_REPORT_PREDICTION_H

#include "model/bundle.h"
#include "report/json_parts.h"

#define ECG_SYNTHETIC_NOTE "synthetic cohort: the model learned from patients that never lived, its figures say nothing of real ones"

/* Which model answered: its file name and the SHA-256 of the file. */
typedef struct { char name[256], hash[65]; } ecg_model_name;
ecg_status ecg_model_name_of(ecg_model_name *out, const char *path, ecg_err *err);

/* top labels of each head, 0: all. recording: its path as given. */
json_t *ecg_prediction_json(const char *recording, const ecg_answer *a, const ecg_model *m, const ecg_model_name *name, int top);
/* Of a recording that got no answer: why, and no figure of the model. */
json_t *ecg_prediction_refused(const char *recording, const char *why, const ecg_model *m, const ecg_model_name *name);
/* The paper's sentence for diagnosis i, malloc'ed; NULL: out of memory. */
char *ecg_prediction_sentence(const ecg_answer *a, int i);
/* Why there is no verdict, or why it does not say more; "": nothing to add. */
void ecg_verdict_note(char *out, size_t size, const ecg_score *s, const ecg_answer *a);
const char *ecg_verdict_text(ecg_verdict v); /* "YES"; NULL: none */

#endif
