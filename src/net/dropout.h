/* SPDX-License-Identifier: MIT
 * dropout.h: keep flags keyed by (seed, step, cohort row, layer), so that a forward pass can be replayed and does not depend on the batch. */
#ifndef ECG_NET_DROPOUT_H
#define ECG_NET_DROPOUT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t seed;
    uint32_t step;
    const uint32_t *row;             /* (B) cohort row of each sample */
    const uint8_t *const *recorded;  /* tests: recorded[site] (B, width), 1 = keep, replaces the draw where it is not NULL; else NULL */
} ecg_dropout; /* NULL wherever one is asked for: evaluation, no dropout */

/* out (width): 0 or 1/(1-p) for sample b at a site. Sites: encoder layer i inner 2i, outer 2i+1; tabular 64.., projectors 96.., heads 128... */
void ecg_dropout_scale(float *out, const ecg_dropout *d, int b, int site, int width, float p);

#endif
