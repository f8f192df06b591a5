/* SPDX-License-Identifier: MIT
 * infer.h: the encoder where no backward pass follows. What depends on parameters alone is made once; a crop's working set is two arrays (L, H)
 * and a block of rows. The same bytes as ecg_encoder_forward without dropout, whatever the number of threads. */
#ifndef ECG_NET_INFER_H
#define ECG_NET_INFER_H

#include "net/encoder.h"

typedef struct ecg_infer ecg_infer;
/* Memory for e's packed weights. NULL: there is none. e must outlive it. */
ecg_infer *ecg_infer_new(const ecg_encoder *e);
/* After parameters changed or other kernels are to be used; the encoder's kernels are refreshed (ecg_encoder_refresh). */
void ecg_infer_set(ecg_infer *f, const ecg_params *table, const ecg_exec *exec);
void ecg_infer_free(ecg_infer *f); /* NULL is fine */

/* Buffers for one call at a time with that many threads. */
typedef struct ecg_infer_work ecg_infer_work;
ecg_infer_work *ecg_infer_work_new(const ecg_encoder *e, int workers);
void ecg_infer_work_free(ecg_infer_work *w); /* NULL is fine */

/* h (B, H) from x (B, L, leads); NAN in x is read as 0. Allocates nothing. exec: the kernels that ecg_infer_set had, at most so many threads as
 * w has workers. Threads take a crop each, and rows of another's crop when there is none left; crops that are left over,
 * or fewer crops than threads, are cut into channels and rows. */
void ecg_infer_run(float *h, const ecg_infer *f, ecg_infer_work *w, const ecg_exec *exec, const float *x, int B);

#endif
