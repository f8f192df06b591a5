/* SPDX-License-Identifier: MIT
 * evaluate_files.c: see evaluate_files.h. */
#include "evaluate_files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "json.h"

enum { FEW = 5 }; /* labels shown at either end */

/* ---- text for a person ---------------------------------------------------------------------------------------------------- */

static const char *figure(char out[16], double x)
{
    if (isnan(x))
        snprintf(out, 16, "-");
    else
        snprintf(out, 16, "%.3f", x);
    return out;
}

void print_interval(const char *name, const ecg_interval *x)
{
    char text[16];
    if (isfinite(x->lo))
        printf("  %s %.3f [%.3f, %.3f]", name, x->point, x->lo, x->hi);
    else
        printf("  %s %s", name, figure(text, x->point));
}

void print_difference(const char *name, const ecg_difference *x)
{
    if (isnan(x->point))
        return;
    printf("  %s %+.4f", name, x->point);
    if (isfinite(x->lo))
        printf(" [%+.4f, %+.4f], above zero in %.1f %% of the resamples", x->lo, x->hi, 100 * x->above);
    printf("\n");
}

void print_calibration(const ecg_calibration *mean, const ecg_calibration *pooled)
{
    char a[16], b[16], c[16], d[16], e[16];
    printf("  calibration, mean over labels: Brier %s, skill %s, ECE %s (10 equal widths) %s (15) %s (10 equal masses)\n", figure(a, mean->brier),
           figure(b, mean->brier_skill), figure(c, mean->ece[ECG_BINS_WIDTH10]), figure(d, mean->ece[ECG_BINS_WIDTH15]),
           figure(e, mean->ece[ECG_BINS_MASS10]));
    printf("  calibration, all labels pooled: Brier %s, ECE %s, slope %s, intercept %s", figure(a, pooled->brier), figure(b, pooled->ece[ECG_BINS_WIDTH15]),
           figure(c, pooled->slope), figure(d, pooled->intercept));
    printf(pooled->fit ? " (%s)\n" : "\n", ecg_fit_text(pooled->fit));
}

static void print_scope(const char *which, const ecg_assess_scope *s, int K, bool patients)
{
    printf("%s: %" PRId64 " ECGs", which, s->records);
    if (patients)
        printf(" of %" PRId64 " patients", s->patients);
    printf(", %d of %d labels with both classes\n ", s->defined, K);
    print_interval("macro AUROC", &s->auroc.macro);
    print_interval("undefined as 0.5", &s->auroc.macro_half);
    print_interval("micro", &s->auroc.micro);
    printf("\n ");
    print_interval("macro AUPRC", &s->precision.macro);
    print_interval("micro", &s->precision.micro);
    printf("\n");
}

static void print_paired(const char *which, const ecg_boot_paired *d)
{
    printf(" %s\n", which);
    print_difference("macro AUROC", &d->macro);
    print_difference("micro AUROC", &d->micro);
    print_difference("macro AUPRC", &d->macro_precision);
    print_difference("micro AUPRC", &d->micro_precision);
}

static void print_operating(const ecg_assessment *a)
{
    char t[5][16];
    printf("operating points, mean over labels\n  sensitivity %s at specificity 90 %%, %s at 95 %%; specificity %s at sensitivity 90 %%, %s at 95 %% (read off the scored rows)\n",
           figure(t[0], a->mean_sensitivity_at[0]), figure(t[1], a->mean_sensitivity_at[1]), figure(t[2], a->mean_specificity_at[0]),
           figure(t[3], a->mean_specificity_at[1]));
    if (!a->task->validation) {
        printf("  no thresholds: they are chosen on validation data only (--validation-predictions, --validation-labels)\n");
        return;
    }
    printf("  thresholds of %" PRId64 " validation rows     sensitivity specificity   PPV   NPV    F1\n", a->task->validation->n);
    for (int r = 0; r < ECG_RULES; r++) {
        const ecg_operating *o = &a->mean_operating[r];
        printf("    %-32s %11s %11s %5s %5s %5s\n", ecg_rule_name(r), figure(t[0], o->sensitivity), figure(t[1], o->specificity), figure(t[2], o->ppv),
               figure(t[3], o->npv), figure(t[4], o->f1));
    }
}

static void print_subgroups(const ecg_assessment *a)
{
    char t[2][16];
    if (!a->subgroups)
        return;
    printf("subgroups               ECGs patients labels  macro AUROC             everyone on these labels\n");
    for (int i = 0; i < a->subgroups; i++) {
        const ecg_assess_subgroup *s = &a->subgroup[i];
        const ecg_assess_group *g = &a->task->group[s->group];
        char name[64], counts[64], interval[48] = "";
        snprintf(name, sizeof name, "%.30s %.30s", g->name, s->level < 0 ? "unknown" : g->level[s->level]);
        if (s->shown == ECG_SHOWN_NOTHING) {
            printf("  %-20s %5s %8s      -  -\n", name, "<11", "<11");
            continue;
        }
        snprintf(counts, sizeof counts, s->shown == ECG_SHOWN_ALL ? "%5" PRId64 " %8" PRId64 : "    -        -", s->records, s->patients);
        if (isfinite(s->auroc.macro.lo))
            snprintf(interval, sizeof interval, " [%.3f, %.3f]", s->auroc.macro.lo, s->auroc.macro.hi);
        printf("  %-20s %s %6d  %s%-17s  %s\n", name, counts, s->labels, figure(t[0], s->auroc.macro.point), interval, figure(t[1], s->everyone));
    }
}

static int by_falling_auroc(const void *x, const void *y)
{
    const ecg_assess_label *const *a = x, *const *b = y;
    const double p = (*a)->auroc.point, q = (*b)->auroc.point;
    if (isnan(p) || isnan(q))
        return isnan(p) - isnan(q);
    return p != q ? (p < q) - (p > q) : strcmp((*a)->code, (*b)->code);
}

static void print_label(const ecg_assess_label *l, bool difference)
{
    char t[5][16], interval[48] = "";
    if (isfinite(l->auroc.lo))
        snprintf(interval, sizeof interval, " [%.3f, %.3f]", l->auroc.lo, l->auroc.hi);
    printf("  %-24.24s %9" PRId64 " %9" PRId64 "  %s%-16s %5s %6s %6s %6s", l->code, l->positives, l->negatives, figure(t[0], l->auroc.point), interval,
           figure(t[1], l->precision.point), figure(t[2], l->calibration.brier), figure(t[3], l->calibration.ece[ECG_BINS_WIDTH15]),
           figure(t[4], l->calibration.slope));
    if (difference)
        printf(isnan(l->difference.point) ? "  -" : "  %+.4f", l->difference.point);
    printf("\n");
}

static void print_labels(const ecg_assessment *a, bool all)
{
    const ecg_assess_label **order = malloc((size_t)a->K * sizeof *order);
    if (!order)
        return;
    for (int k = 0; k < a->K; k++)
        order[k] = &a->label[k];
    qsort(order, (size_t)a->K, sizeof *order, by_falling_auroc);
    const int defined = a->all.defined, shown = all || defined <= 2 * FEW ? a->K : 2 * FEW;
    printf("labels                   positives negatives  AUROC                  AUPRC  Brier    ECE  slope%s\n", a->task->against ? "  difference" : "");
    for (int i = 0; i < shown; i++) {
        if (shown < a->K && i == FEW)
            printf("  ... %d more, --all shows them ...\n", defined - 2 * FEW);
        print_label(shown < a->K && i >= FEW ? order[defined - 2 * FEW + i] : order[i], a->task->against != NULL);
    }
    if (defined < a->K) {
        printf("without one of the classes, hence undefined:");
        for (int i = defined; i < a->K && i < defined + 8; i++)
            printf(" %s", order[i]->code);
        printf(a->K - defined > 8 ? " and %d more\n" : "\n", a->K - defined - 8);
    }
    free(order);
}

static void print(const ecg_assessment *a, const evaluate_files_options *o)
{
    print_scope("all rows", &a->all, a->K, a->has_unit);
    if (a->has_first)
        print_scope("first ECG of each stay", &a->first, a->K, a->has_unit);
    if (a->task->against) {
        printf("difference to %s, on the same rows and resamples\n", o->files.against);
        print_paired("all rows", &a->all.difference);
        if (a->has_first)
            print_paired("first ECG of each stay", &a->first.difference);
    }
    printf("probabilities\n");
    print_calibration(&a->mean, &a->pooled);
    print_operating(a);
    print_subgroups(a);
    print_labels(a, o->all);
    if (o->resamples > 0)
        printf("95 %% intervals: %d resamples by %s\n", o->resamples,
               o->by_ecg ? "ECG" : a->has_unit ? "patient" : "row: no file says which rows belong to one patient");
    printf("%s\n", ECG_STATEMENT);
}

/* ---- JSON and files ------------------------------------------------------------------------------------------------------- */

static json_t *document(const ecg_assessment *a, const ecg_predictions *p, const evaluate_files_options *o)
{
    json_t *j = ecg_json_answer("ecgraft.evaluation/1"), *head = ecg_assess_json(a), *left = json_object();
    json_object_set_new(j, "predictions", ecg_json_words(o->files.predictions));
    json_object_set_new(left, "only_in_predictions", json_integer(p->only_predictions));
    json_object_set_new(left, "only_in_labels", json_integer(p->only_labels));
    json_object_set_new(left, "only_in_other_predictions", json_integer(p->only_against));
    json_object_set_new(left, "columns_only_in_predictions", json_integer(p->unused_predictions));
    json_object_set_new(left, "columns_only_in_labels", json_integer(p->unused_labels));
    json_object_set_new(j, "left_out", left);
    json_object_set_new(j, "validation_ids_also_scored", json_integer(p->validation_scored));
    json_object_set_new(j, "bootstrap", json_pack("{s:i, s:s, s:I, s:f}", "resamples", o->resamples, "unit", o->by_ecg || !a->has_unit ? "ecg" : "patient",
                                                  "seed", (json_int_t)common.seed, "level", 0.95));
    json_object_set_new(head, "head", json_string("predictions"));
    json_object_set_new(j, "heads", json_pack("[o]", head));
    return j;
}

static void print_json(const json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(ECG_ASSESS_DIGITS));
    printf("\n");
}

static ecg_status write_files(const ecg_assessment *a, json_t *j, const char *folder, ecg_err *err)
{
    char path[512];
    char *text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(ECG_ASSESS_DIGITS));
    ecg_status st = text ? ecg_make_folders(folder, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st && !(st = ecg_join(path, sizeof path, folder, "evaluation.json", err)))
        st = ecg_file_write_whole(path, text, strlen(text), err);
    if (!st)
        st = ecg_assess_write(a, folder, ".csv", err);
    free(text);
    return st;
}

int evaluate_files(const evaluate_files_options *o)
{
    ecg_predictions p;
    ecg_assessment a;
    ecg_exec exec = {0};
    ecg_err err = {0};
    ecg_status st = tool_exec(&exec, &err);
    if (st)
        return tool_fail(&err);
    st = ecg_predictions_read(&p, &o->files, tool_watch(), &err);
    if (!st) {
        const ecg_assess_task task = {.K = p.K, .code = p.code, .rows = p.rows, .validation = p.validation.n ? &p.validation : NULL,
                                      .validation_text = o->files.validation_predictions, .against = p.against, .against_name = o->files.against,
                                      .group = p.group, .groups = p.groups, .resamples = o->resamples, .by_row = o->by_ecg, .seed = (uint64_t)common.seed,
                                      .pool = exec.pool, .watch = tool_watch()};
        st = ecg_assess(&a, &task, &err);
        if (!st) {
            json_t *j = document(&a, &p, o);
            if (o->out)
                st = write_files(&a, j, o->out, &err);
            if (!st && o->json)
                print_json(j);
            else if (!st)
                print(&a, o);
            json_decref(j);
            ecg_assessment_clear(&a);
        }
        ecg_predictions_clear(&p);
    }
    tool_exec_done(&exec);
    return st ? tool_fail(&err) : EXIT_DONE;
}
