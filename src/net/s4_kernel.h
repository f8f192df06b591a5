/* SPDX-License-Identifier: MIT
 * s4_kernel.h: impulse responses of the diagonal-plus-rank-one state spaces of one layer (protocol 5.3). Double throughout; derivations:
 * docs/math/s4_kernel.md. Complex vectors keep one of each conjugate pair and are stored as (re, im). */
#ifndef ECG_NET_S4_KERNEL_H
#define ECG_NET_S4_KERNEL_H

#include "base/status.h"
#include "num/kernels.h"

enum { ECG_S4_STATES = 512 }; /* N at most */

/* HiPPO-LegS of order N (even): w, P, B (N/2, 2), by falling Im w; phases such that B is real and positive, Q = conj(P). */
ecg_status ecg_s4_hippo(double *w, double *P, double *B, int N, ecg_err *err);

/* The constants of a layer: A = diag(w) - P Q^T on the vector extended by its conjugates, step exp(log_dt), bilinear transform. */
typedef struct {
    int H, N, L;                  /* channels, real state size (even), taps */
    const double *log_dt;         /* (H) */
    const double *w, *B, *P, *Q;  /* (H, N/2, 2) */
} ecg_s4;

/* C <- C (I - dA^L): the length correction, once at initialisation. C (directions, H, N/2, 2) */
ecg_status ecg_s4_correct_length(double *C, const ecg_s4 *s, int directions, ecg_err *err);

/* phi (H, L, N): taps[c, h, l] = sum_m C[c, h, m] phi[h, l, m] with C (directions, H, N) read as reals, whatever the direction.
 * ECG_EDATA: the constants are not finite, or give no finite kernel. */
ecg_status ecg_s4_basis(float *phi, const ecg_s4 *s, ecg_err *err);

/* Taps of one direction, k (L, H), channels from..to-1, and the way back: dC (H, N) += . */
void ecg_s4_taps(float *k, const float *phi, const float *C, int L, int H, int N, int from, int to);
void ecg_s4_taps_backward(float *dC, const float *dk, const float *phi, int L, int H, int N, int from, int to);

/* The same taps as a state space in chunks (num/kernels.h, T = ECG_CHUNK), for N <= ECG_SCAN_STATES; S = ecg_s4_scan_states(N). With x_l = phi[l]
 * and E the step in the coordinates in which taps[l] = C x_l: in[j] = x_j, power[j] = E^j, so that
 *   out[0][j] = C0 power[j + 1]    out[1][j] = C1 power[j]    near[d] = C0 in[d], near[-d] = C1 in[d - 1]    step = power[T] */
static inline int ecg_s4_scan_states(int N) { return (N + 7) / 8 * 8; }
static inline size_t ecg_s4_panels(int H) { return ((size_t)H + ECG_PANEL - 1) / ECG_PANEL; }
/* in (panels, T, S, PANEL), power (panels, T + 1, S, S, PANEL): [to][from] */
ecg_status ecg_s4_scan_basis(float *in, float *power, const ecg_s4 *s, ecg_err *err);
/* near (panels, 2T - 1, PANEL) and out of both directions (out1 NULL: causal) of panels from..to-1, and the way back: dC (directions, H, N) += . */
void ecg_s4_scan_taps(float *near, float *out0, float *out1, const float *in, const float *power, const float *C, int H, int N, int from, int to);
void ecg_s4_scan_taps_backward(float *dC, const float *dnear, const float *dout0, const float *dout1, const float *in, const float *power, int H, int N,
                               int from, int to);

/* The oracle: K (directions, H, L) from corrected C (directions, H, N/2, 2). */
ecg_status ecg_s4_kernel_ref(double *K, const ecg_s4 *s, const double *C, int directions, ecg_err *err);

/* Gradient of sum(dK K) with respect to every constant, real and imaginary parts apart; all overwritten, shapes as in ecg_s4 and C. */
typedef struct {
    double *C, *log_dt, *w, *B, *P, *Q;
} ecg_s4_gradient;
ecg_status ecg_s4_kernel_backward_ref(const ecg_s4_gradient *g, const ecg_s4 *s, const double *C, const double *dK, int directions, ecg_err *err);

#endif
