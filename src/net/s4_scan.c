/* SPDX-License-Identifier: MIT
 * s4_scan.c: what of a chunked scan depends on C, and the gradient of C from it. 16 channels at a time: sums in float over at most 16 states,
 * the gradient in double. */
#include <string.h>

#include "net/s4_kernel.h"

enum { T = ECG_CHUNK, W = ECG_PANEL };

/* C of one panel, a state after the other: (S, W), zeros beyond the states and the channels there are */
static void gather(float *c, const float *C, int H, int N, int panel)
{
    memset(c, 0, sizeof *c * ECG_SCAN_STATES * W);
    for (int l = 0; l < W && panel * W + l < H; l++)
        for (int m = 0; m < N; m++)
            c[m * W + l] = C[(size_t)(panel * W + l) * N + m];
}

/* k (W) = c . x */
static void dot(float *k, const float *c, const float *x, int N)
{
    double sum[W] = {0};
    for (int m = 0; m < N; m++)
        for (int l = 0; l < W; l++)
            sum[l] += (double)c[m * W + l] * x[m * W + l];
    for (int l = 0; l < W; l++)
        k[l] = (float)sum[l];
}

/* out (T, S, W) = c power[first ..] */
static void read_out(float *out, const float *c, const float *power, int N, int S, int first)
{
    memset(out, 0, sizeof *out * T * S * W);
    power += (size_t)first * S * S * W;
    for (int j = 0; j < T; j++, out += S * W, power += (size_t)S * S * W)
        for (int m = 0; m < N; m++) {
            double sum[W] = {0};
            for (int k = 0; k < N; k++)
                for (int l = 0; l < W; l++)
                    sum[l] += (double)c[k * W + l] * power[(k * S + m) * W + l];
            for (int l = 0; l < W; l++)
                out[m * W + l] = (float)sum[l];
        }
}

void ecg_s4_scan_taps(float *near, float *out0, float *out1, const float *in, const float *power, const float *C, int H, int N, int from, int to)
{
    const int S = ecg_s4_scan_states(N);
    const size_t block = (size_t)T * S * W, powers = (size_t)(T + 1) * S * S * W;
    float c[ECG_SCAN_STATES * W];
    for (int p = from; p < to; p++) {
        float *mid = near + ((size_t)p * (2 * T - 1) + T - 1) * W;
        const float *x = in + p * block;
        gather(c, C, H, N, p);
        for (int d = 0; d < T; d++)
            dot(mid + d * W, c, x + d * S * W, N);
        read_out(out0 + p * block, c, power + p * powers, N, S, 1);
        memset(mid - (T - 1) * W, 0, sizeof *mid * (T - 1) * W);
        if (!out1)
            continue;
        gather(c, C + (size_t)H * N, H, N, p);
        for (int d = 1; d < T; d++)
            dot(mid - d * W, c, x + (d - 1) * S * W, N);
        read_out(out1 + p * block, c, power + p * powers, N, S, 0);
    }
}

/* sum (S, W) += what out (T, S, W) = c power says of c */
static void read_back(double *sum, const float *dout, const float *power, int N, int S, int first)
{
    power += (size_t)first * S * S * W;
    for (int j = 0; j < T; j++, dout += S * W, power += (size_t)S * S * W)
        for (int k = 0; k < N; k++)
            for (int m = 0; m < N; m++)
                for (int l = 0; l < W; l++)
                    sum[k * W + l] += (double)dout[m * W + l] * power[(k * S + m) * W + l];
}

static void dot_back(double *sum, const float *dk, const float *x, int N)
{
    for (int m = 0; m < N; m++)
        for (int l = 0; l < W; l++)
            sum[m * W + l] += (double)dk[l] * x[m * W + l];
}

static void scatter(float *dC, const double *sum, int H, int N, int panel)
{
    for (int l = 0; l < W && panel * W + l < H; l++)
        for (int m = 0; m < N; m++) {
            float *to = dC + (size_t)(panel * W + l) * N + m;
            *to = (float)(*to + sum[m * W + l]);
        }
}

void ecg_s4_scan_taps_backward(float *dC, const float *dnear, const float *dout0, const float *dout1, const float *in, const float *power, int H, int N,
                               int from, int to)
{
    const int S = ecg_s4_scan_states(N);
    const size_t block = (size_t)T * S * W, powers = (size_t)(T + 1) * S * S * W;
    for (int p = from; p < to; p++) {
        double sum[ECG_SCAN_STATES * W] = {0};
        const float *mid = dnear + ((size_t)p * (2 * T - 1) + T - 1) * W, *x = in + p * block;
        for (int d = 0; d < T; d++)
            dot_back(sum, mid + d * W, x + d * S * W, N);
        read_back(sum, dout0 + p * block, power + p * powers, N, S, 1);
        scatter(dC, sum, H, N, p);
        if (!dout1)
            continue;
        memset(sum, 0, sizeof sum);
        for (int d = 1; d < T; d++)
            dot_back(sum, mid - d * W, x + (d - 1) * S * W, N);
        read_back(sum, dout1 + p * block, power + p * powers, N, S, 0);
        scatter(dC + (size_t)H * N, sum, H, N, p);
    }
}
