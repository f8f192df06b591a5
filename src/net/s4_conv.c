/* SPDX-License-Identifier: MIT
 * s4_conv.c: the choice between states and taps, and the memory of either. */
#include "net/s4_conv.h"

static size_t place(size_t *floats, size_t count) /* of a piece in a buffer; pieces begin on cache lines */
{
    const size_t at = *floats;
    *floats += (count + 15) / 16 * 16;
    return at;
}

bool ecg_s4_conv_take(ecg_s4_conv *v, ecg_arena *a, int L, int H, int N, bool two_sided)
{
    const int S = ecg_s4_scan_states(N), ways = two_sided ? 2 : 1;
    *v = (ecg_s4_conv){.L = L, .H = H, .N = N, .two_sided = two_sided};
    v->chunked = S <= ECG_SCAN_STATES && ECG_CHUNK * 3 / 4 + (ways + 1) * S + ways * S * S / ECG_CHUNK < L; /* multiply-adds per step and channel */
    const size_t panels = ecg_s4_panels(H), read = panels * ECG_CHUNK * S * ECG_PANEL, near = panels * (2 * ECG_CHUNK - 1) * ECG_PANEL;
    const size_t taps = (size_t)L * H, piece = v->chunked ? read : taps;
    float **each = v->chunked ? v->out : v->k;
    for (int d = 0; d < ways; d++) {
        if (!(each[d] = ecg_arena_take(a, piece, sizeof(float))))
            return false;
        v->part[d] = place(&v->gradient, piece);
    }
    if (!v->chunked)
        return (v->phi = ecg_arena_take(a, taps * N, sizeof(float))) != NULL;
    v->part[2] = place(&v->gradient, near);
    v->in = ecg_arena_take(a, read, sizeof(float));
    v->power = ecg_arena_take(a, panels * (ECG_CHUNK + 1) * S * S * ECG_PANEL, sizeof(float));
    v->near = ecg_arena_take(a, near, sizeof(float));
    return v->in && v->power && v->near;
}

ecg_status ecg_s4_conv_prepare(const ecg_s4_conv *v, const ecg_s4 *s, ecg_err *err)
{
    return v->chunked ? ecg_s4_scan_basis(v->in, v->power, s, err) : ecg_s4_basis(v->phi, s, err);
}

void ecg_s4_conv_refresh(const ecg_s4_conv *v, const float *C, int from, int to)
{
    if (v->chunked) {
        ecg_s4_scan_taps(v->near, v->out[0], v->out[1], v->in, v->power, C, v->H, v->N, from, to);
        return;
    }
    const int h0 = from * ECG_PANEL, h1 = to * ECG_PANEL < v->H ? to * ECG_PANEL : v->H;
    for (int d = 0; d < 1 + v->two_sided; d++)
        ecg_s4_taps(v->k[d], v->phi, C + (size_t)d * v->H * v->N, v->L, v->H, v->N, h0, h1);
}

void ecg_s4_conv_backward(float *dC, const ecg_s4_conv *v, const float *gradient, int from, int to)
{
    if (v->chunked) {
        ecg_s4_scan_taps_backward(dC, gradient + v->part[2], gradient + v->part[0], v->two_sided ? gradient + v->part[1] : NULL, v->in, v->power, v->H,
                                  v->N, from, to);
        return;
    }
    const int h0 = from * ECG_PANEL, h1 = to * ECG_PANEL < v->H ? to * ECG_PANEL : v->H;
    for (int d = 0; d < 1 + v->two_sided; d++)
        ecg_s4_taps_backward(dC + (size_t)d * v->H * v->N, gradient + v->part[d], v->phi, v->L, v->H, v->N, h0, h1);
}

size_t ecg_s4_conv_scratch(const ecg_s4_conv *v)
{
    return v->chunked ? ecg_scan_scratch(v->L, ecg_s4_scan_states(v->N)) : ecg_conv_scratch(v->L);
}

void ecg_s4_conv_into(ecg_block *b, const ecg_s4_conv *v, const float *D)
{
    const int S = ecg_s4_scan_states(v->N);
    b->k0 = v->k[0];
    b->k1 = v->k[1];
    b->D = D;
    if (v->chunked) /* step is the last power */
        b->scan = (ecg_scan){.L = v->L, .H = v->H, .states = S, .in = v->in, .step = v->power + (size_t)ECG_CHUNK * S * S * ECG_PANEL,
                             .step_stride = (size_t)(ECG_CHUNK + 1) * S * S * ECG_PANEL, .out = {v->out[0], v->out[1]}, .near = v->near, .D = D};
}

void ecg_s4_conv_gradient_into(ecg_block_grads *g, const ecg_s4_conv *v, float *gradient, float *dD)
{
    float *second = v->two_sided ? gradient + v->part[1] : NULL;
    g->D = dD;
    if (v->chunked)
        g->scan = (ecg_scan_grads){{gradient + v->part[0], second}, gradient + v->part[2], dD};
    else {
        g->k0 = gradient + v->part[0];
        g->k1 = second;
    }
}
