/* SPDX-License-Identifier: MIT
 * serve.h: a model behind a local web page (docs/serve.md): recordings in, the prediction object and the page of one ECG out, the same bytes as
 * `predict --json` and `predict --html` write. Keeps the last results in memory and nothing on disk. */
#ifndef ECG_REPORT_SERVE_H
#define ECG_REPORT_SERVE_H

#include "report/http.h"
#include "report/prediction.h"

typedef struct {
    ecg_http_options http;       /* watch: also hears of the server itself */
    const ecg_model *model;      /* without a pool: workers share it */
    const ecg_model_name *name;
    const char *folder;          /* recordings that may be opened by name; NULL: none */
    int workers;                 /* predictions at a time */
    size_t upload_bytes;         /* of one request, and of each file of the folder */
    int results;                 /* kept, the newest */
    size_t result_bytes;         /* of memory that they may take; the newest is kept in any case */
    int top;                     /* labels of each head in a prediction, 0: all */
    ecg_predict_options predict; /* explain follows from top */
} ecg_serve_options;
extern const ecg_serve_options ecg_serve_usual; /* loopback, port 8017; model, name and workers are missing */

typedef struct ecg_serve ecg_serve;

/* ECG_EARG, ECG_EIO as ecg_http_start; also for the folder. */
ecg_status ecg_serve_start(ecg_serve **out, const ecg_serve_options *o, ecg_err *err);
int ecg_serve_port(const ecg_serve *s);
/* Listens no longer, answers what it has begun, up to the seconds. NULL is fine. */
void ecg_serve_stop(ecg_serve *s, double seconds);

#endif
