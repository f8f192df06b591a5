/* SPDX-License-Identifier: MIT
 * dropout.c: the draw behind dropout.h: Philox stream 259, a = cohort row, b = step, block = site << 20 + word block, keep when u < 1 - p. */
#include "net/dropout.h"

#include "base/rng.h"

void ecg_dropout_scale(float *out, const ecg_dropout *d, int b, int site, int width, float p)
{
    const double keep = 1 - (double)p;
    const float scale = (float)(1 / keep);
    const uint8_t *mask = d && d->recorded ? d->recorded[site] : NULL;

    if (!d || p <= 0) {
        for (int i = 0; i < width; i++)
            out[i] = 1;
    } else if (mask) {
        for (int i = 0; i < width; i++)
            out[i] = mask[(size_t)b * (size_t)width + (size_t)i] ? scale : 0;
    } else {
        ecg_rng r;
        ecg_rng_open(&r, d->seed, (uint32_t)site << 20, ECG_STREAM_DROPOUT, d->row[b], d->step);
        for (int i = 0; i < width; i++)
            out[i] = ecg_rng_uniform(&r) < keep ? scale : 0;
    }
}
