/* SPDX-License-Identifier: MIT
 * amx.h: wide products in bf16 on tile registers; gemm and pack of kernels.h, with ECG_GEMM_WIDE. For a thread that may use tiles. */
#ifndef ECG_NUM_AMX_H
#define ECG_NUM_AMX_H

void ecg_amx_gemm(float *c, const float *a, const float *b, const float *bias, int m, int n, int k, int lda, int ldb, int ldc, unsigned flags);
void ecg_amx_pack(float *packed, const float *b, int n, int k, int ldb, int from, int to, unsigned flags);

#endif
