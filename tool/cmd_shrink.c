/* SPDX-License-Identifier: MIT
 * cmd_shrink.c: a model whose matrices take half or a quarter of the room on disk. */
#include <string.h>

#include "base/file.h"
#include "model/bundle.h"
#include "opt.h"

static const char *out, *weights = "bf16";

static const option options[] = {
    {"output", 'o', OPT_TEXT, &out, "FILE", "the smaller model"},
    {"weights", 0, OPT_TEXT, &weights, "TYPE", "bf16: half the room; int8: a quarter, a scale for each row; float32: back to whole floats (bf16)"},
    {0},
};

static int run(int argc, char **argv)
{
    static const char *const names[] = {"float32", "bf16", "int8"};
    char path[512];
    ecg_err err = {0};
    ecg_model m;
    int n, type = 0;
    const int done = opt_parse(&cmd_shrink, options, argc, argv, &n, 1, 1);
    if (done >= 0)
        return done;
    if (!out)
        return tool_usage(&cmd_shrink, "-o FILE is missing");
    while (type < 3 && strcmp(names[type], weights))
        type++;
    if (type == 3)
        return tool_usage(&cmd_shrink, "--weights %s: bf16, int8 or float32", weights);
    ecg_status st = ecg_model_path(path, sizeof path, argv[1], &err);
    if (!st && !(st = ecg_model_load(&m, path, false, true, &err))) {
        st = ecg_model_save_as(&m, out, (ecg_weights)type, &err);
        ecg_model_clear(&m);
    }
    return st ? tool_fail(&err) : EXIT_DONE;
}

const command cmd_shrink = {
    .name = "shrink",
    .summary = "a model whose matrices take half (bf16) or a quarter (int8) of the room on disk",
    .usage = "MODEL -o FILE [--weights bf16|int8|float32]",
    .example = "ecgraft shrink runs/labs -o small.safetensors --weights int8",
    .more = "Predictions are made in float32 either way, and of the smaller weights; what that costs is in docs/formats.md. Calibrators, explanations and the\n"
            "training record are carried over as they are. State spaces, norms and biases stay float32.",
    .run = run,
};
