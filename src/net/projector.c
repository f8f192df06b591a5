/* SPDX-License-Identifier: MIT
 * projector.c: Theta, from an embedding to the space in which Barlow Twins compares (protocol 5.7; Zbontar et al., arXiv 2103.03230). */
#include "net/mlp.h"

enum { PROJECTOR_SITE = 96 };

ecg_status ecg_projector_new(ecg_mlp **out, int in, int hidden1, int hidden2, int E, bool bias, ecg_params *table, const char *prefix, ecg_err *err)
{
    const ecg_op chain[] = {
        {.kind = ECG_OP_LINEAR, .out = hidden1, .bias = bias, .wide = true},
        {.kind = ECG_OP_NORM},
        {.kind = ECG_OP_RELU},
        {.kind = ECG_OP_LINEAR, .out = hidden2, .bias = bias, .wide = true},
        {.kind = ECG_OP_NORM},
        {.kind = ECG_OP_RELU},
        {.kind = ECG_OP_LINEAR, .out = E, .bias = bias, .wide = true},
    };
    return ecg_mlp_new(out, in, chain, sizeof chain / sizeof *chain, table, prefix, PROJECTOR_SITE, err);
}
