/* SPDX-License-Identifier: MIT
 * predict_json.h: an answer as JSON, schema ecgraft.prediction/1 (docs/explanations.md). */
#ifndef ECG_TOOL_PREDICT_JSON_H
#define ECG_TOOL_PREDICT_JSON_H

#include "json.h"
#include "model/bundle.h"

#define SYNTHETIC_NOTE "synthetic cohort: the model learned from patients that never lived, its figures say nothing of real ones"

/* Which model answered: its file name and the SHA-256 of the file. */
typedef struct { char name[256], hash[65]; } model_name;
ecg_status model_name_of(model_name *out, const char *path, ecg_err *err);

/* top labels of each head, 0: all. recording: its path as given. */
json_t *predict_json(const char *recording, const ecg_answer *a, const ecg_model *m, const model_name *name, int top);
/* The paper's sentence for diagnosis i, malloc'ed; NULL: out of memory. */
char *predict_sentence(const ecg_answer *a, int i);
/* Why there is no verdict, or why it does not say more; "": nothing to add. */
void verdict_note(char *out, size_t size, const ecg_score *s, const ecg_answer *a);
const char *verdict_text(ecg_verdict v); /* "YES"; NULL: none */

#endif
