/* SPDX-License-Identifier: MIT
 * npy.h: the header of NumPy's .npy, so that an array in C order can follow it, and the way back. */
#ifndef ECG_BASE_NPY_H
#define ECG_BASE_NPY_H

#include "base/file.h"

/* float32, little-endian, C order, rank 1 to 3; the caller writes the values behind it. 128 bytes: values stay aligned in a mapping. */
ecg_status ecg_npy_begin(ecg_file *f, int rank, const int64_t *dim, ecg_err *err);

/* The values of a file of float32, little-endian, C order, in exactly this shape; they live as long as file and are aligned to 4. */
ecg_status ecg_npy_read(const float **out, const ecg_bytes *file, int rank, const int64_t *dim, ecg_err *err);

#endif
