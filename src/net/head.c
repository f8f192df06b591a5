/* SPDX-License-Identifier: MIT
 * head.c: Psi, from an embedding to logits (protocol 5.7, and 5.4 for the linear and the fusion head). */
#include "net/mlp.h"

enum { HEAD_SITE = 128 };

ecg_status ecg_head_new(ecg_mlp **out, int in, int hidden, int K, float dropout, ecg_params *table, const char *prefix, ecg_err *err)
{
    const ecg_op linear = {.kind = ECG_OP_LINEAR, .out = K, .bias = true};
    if (hidden == 0)
        return ecg_mlp_new(out, in, &linear, 1, table, prefix, HEAD_SITE, err);

    ecg_op chain[7];
    int n = 0;
    chain[n++] = (ecg_op){.kind = ECG_OP_NORM};
    if (dropout > 0)
        chain[n++] = (ecg_op){.kind = ECG_OP_DROP, .p = dropout / 2};
    chain[n++] = (ecg_op){.kind = ECG_OP_LINEAR, .out = hidden, .bias = true};
    chain[n++] = (ecg_op){.kind = ECG_OP_RELU};
    chain[n++] = (ecg_op){.kind = ECG_OP_NORM};
    if (dropout > 0)
        chain[n++] = (ecg_op){.kind = ECG_OP_DROP, .p = dropout};
    chain[n++] = linear;
    return ecg_mlp_new(out, in, chain, n, table, prefix, HEAD_SITE, err);
}
