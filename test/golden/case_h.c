/* SPDX-License-Identifier: MIT
 * case_h.c: every "loss/NAME" of the file with its "grad/NAME": plain, masked and focal cross-entropy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/loss.h"
#include "rows.h"

static const double tolerance = 1e-5;

typedef struct {
    const char *labels;
    double gamma;
    ecg_bce_reduce reduce;
} variant;

static bool variant_of(variant *v, const char *name)
{
    static const struct {
        const char *name;
        variant v;
    } named[] = {
        {"bce_mean_all", {"labels", 0, ECG_BCE_MEAN}},
        {"bce_sum_classes_mean_batch", {"labels", 0, ECG_BCE_SUM_CLASSES}},
        {"masked_mean_valid_entries", {"labels_nan", 0, ECG_BCE_MEAN}},
        {"masked_class_mean_then_mean_over_nonempty_classes", {"labels_nan", 0, ECG_BCE_CLASS_MEAN}},
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strcmp(name, named[i].name) == 0) {
            *v = named[i].v;
            return true;
        }
    int used = 0;
    *v = (variant){"labels", 0, ECG_BCE_SUM_CLASSES};
    if (sscanf(name, "reference_focal_gamma%lf%n", &v->gamma, &used) != 1)
        return false;
    if (strcmp(name + used, "_ignore_nans") == 0)
        v->labels = "labels_nan";
    return v->labels[6] || !name[used];
}

/* The loss or the gradient of that name. */
static void run(golden_out *o, const ecg_tensors *file, const char *name, const float *logits, int B, int K, bool is_loss)
{
    const int64_t n = (int64_t)B * K;
    char tensor[128];
    variant v;
    if (!variant_of(&v, name)) {
        golden_problem(o, "no loss %s", name);
        return;
    }
    float *labels = golden_floats(o, file, v.labels, n), *dx = golden_room(o, (size_t)n);
    if (labels && dx) {
        const double loss = ecg_bce_loss(dx, logits, labels, B, K, v.gamma, v.reduce);
        snprintf(tensor, sizeof tensor, "%s/%s", is_loss ? "loss" : "grad", name);
        if (is_loss)
            golden_compare_d(o, file, tensor, &loss, 1, tolerance);
        else
            golden_compare_f(o, file, tensor, dx, n, tolerance);
        snprintf(tensor, sizeof tensor, "%s/%s", is_loss ? "grad" : "loss", name);
        if (!ecg_tensors_find(file, tensor))
            golden_problem(o, "no tensor %s", tensor);
    }
    free(labels);
    free(dx);
}

void golden_h(golden_out *o, const ecg_tensors *file)
{
    int64_t count = 0;
    const int B = golden_dim(o, file, "logits", 0), K = golden_dim(o, file, "logits", 1);
    float *logits = golden_float(o, file, "logits", &count);
    if (logits && count != (int64_t)B * K)
        golden_problem(o, "logits: (B, K) expected");
    for (int i = 0; !o->problem[0] && i < ecg_tensors_count(file); i++) {
        const char *name = ecg_tensors_at(file, i)->name;
        if (strncmp(name, "loss/", 5) == 0 || strncmp(name, "grad/", 5) == 0)
            run(o, file, name + 5, logits, B, K, name[0] == 'l');
    }
    free(logits);
}
