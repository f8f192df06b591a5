/* SPDX-License-Identifier: MIT
 * ecg_page.h: one ECG on one A4 page lying on its side: what was recorded, in true millimetres; what the model says of it, with what each
 * figure is worth; why. Reads the object that `ecgraft predict --json` prints (schema ecgraft.prediction/1, docs/page.md) and knows no model. */
#ifndef ECG_REPORT_ECG_PAGE_H
#define ECG_REPORT_ECG_PAGE_H

#include <jansson.h>

#include "base/text.h"
#include "report/ecgplot.h"

typedef struct {
    ecg_layout layout;
    int speed_mm_per_s; /* 25: 10 s are drawn; 50: 5 s */
    int gain_mm_per_mv; /* 5, 10, 20 or ECG_GAIN_FITTING */
} ecg_page_options;
extern const ecg_page_options ecg_page_usual; /* 3x4, 25 mm/s, fitting gain */

/* Appends the page. A key that the prediction lacks is a part that the page lacks, and where that part is a claim the page says so. An
 * object with nothing but input.state "refused" and input.reasons makes a page that shows the recording and no figure of the model.
 * ECG_EARG: options, or prediction is no such object. ECG_EDATA: nothing to draw (see ecg_plot). */
ecg_status ecg_page(ecg_text *out, const json_t *prediction, const ecg_record *rec, const ecg_page_options *options, ecg_err *err);

#endif
