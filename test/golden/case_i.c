/* SPDX-License-Identifier: MIT
 * case_i.c: AdamW with parameter groups, values after every step and both moments at the end (i1); learning-rate schedules by name (i2). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/adamw.h"
#include "rows.h"

static const double tolerance = 5e-6;

/* The case reads "... (group 0: p0,p1; group 1: p2)": the group in whose list the name stands. */
static int group_of(golden_out *o, const char *text, const char *name)
{
    int group = 0;
    for (const char *at = text; at && (at = strstr(at, "group ")); at++) {
        int used = 0;
        if (sscanf(at, "group %d:%n", &group, &used) != 1 || !used)
            continue;
        const char *end = strpbrk(at, ";)");
        const size_t len = strlen(name);
        for (const char *found = strstr(at, name); found && (!end || found < end); found = strstr(found + 1, name))
            if (strchr(",: ", found[-1]) && strchr(",;) ", found[len]))
                return group;
    }
    golden_problem(o, "%s is in no group", name);
    return 0;
}

/* A row for each tensor "NAME/init"; every other tensor belongs to one of them. */
static void declare(golden_out *o, const ecg_tensors *file, ecg_params *table)
{
    for (int i = 0; i < ecg_tensors_count(file); i++) {
        const ecg_tensor *t = ecg_tensors_at(file, i);
        const char *slash = strstr(t->name, "/init");
        char name[64];
        if (!slash)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(slash - t->name), t->name);
        const int row = ecg_params_declare(table, "", name, t->rank < 4 ? t->rank : 4, t->dim, 0, ECG_INIT_ZERO, 0);
        if (row >= 0)
            table->row[row].group = group_of(o, ecg_tensors_meta(file, "case"), name) & 3;
    }
    for (int i = 0; i < ecg_tensors_count(file); i++) {
        const char *name = ecg_tensors_at(file, i)->name;
        char row[64];
        snprintf(row, sizeof row, "%.*s", (int)strcspn(name, "/"), name);
        if (ecg_params_find(table, row) < 0)
            golden_problem(o, "%s: no tensor %s/init", name, row);
    }
}

static void read_row(golden_out *o, const ecg_tensors *file, const ecg_param *p, const char *what, float *to)
{
    char name[128];
    int64_t n = 0;
    snprintf(name, sizeof name, "%s/%s", p->name, what);
    float *x = golden_float(o, file, name, &n);
    if (x && (size_t)n == p->count)
        memcpy(to + p->at, x, p->count * sizeof *x);
    else
        golden_problem(o, "%s: another size", name);
    free(x);
}

static void compare_all(golden_out *o, const ecg_tensors *file, const ecg_params *table, const char *what, const float *from)
{
    for (int i = 0; i < table->n; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%s", table->row[i].name, what);
        golden_compare_f(o, file, name, from + table->row[i].at, (int64_t)table->row[i].count, tolerance);
    }
}

static void adamw(golden_out *o, const ecg_tensors *file, const ecg_exec *exec)
{
    ecg_adamw opt = {.eps = golden_number(o, file, "eps")};
    ecg_params table = {0};
    double betas[2] = {0};
    golden_list(o, file, "betas", betas, 2);
    golden_list(o, file, "lr", opt.lr, 4);
    golden_list(o, file, "weight_decay", opt.decay, 4);
    opt.beta1 = betas[0];
    opt.beta2 = betas[1];
    declare(o, file, &table);
    if (!o->problem[0] && ecg_params_alloc(&table, true, NULL))
        golden_problem(o, "out of memory");
    for (int i = 0; i < table.n && !o->problem[0]; i++)
        read_row(o, file, &table.row[i], "init", table.value);
    const double steps = golden_number(o, file, "steps");
    for (int s = 1; s <= steps && !o->problem[0]; s++) {
        char what[32];
        snprintf(what, sizeof what, "grad%d", s);
        for (int i = 0; i < table.n; i++)
            read_row(o, file, &table.row[i], what, table.grad);
        ecg_adamw_step(&table, &opt, s, exec);
        snprintf(what, sizeof what, "step%d", s);
        compare_all(o, file, &table, what, table.value);
    }
    if (!o->problem[0]) {
        compare_all(o, file, &table, "exp_avg", table.m);
        compare_all(o, file, &table, "exp_avg_sq", table.v);
    }
    ecg_params_clear(&table);
}

static void schedules(golden_out *o, const ecg_tensors *file)
{
    const int64_t warmup = (int64_t)golden_number(o, file, "warmup"), total = (int64_t)golden_number(o, file, "training_steps");
    const char *text = ecg_tensors_meta(file, "case"), *found = text ? strstr(text, "base lr ") : NULL;
    const double base = found ? strtod(found + strlen("base lr "), NULL) : 0;
    if (!(base > 0))
        golden_problem(o, "the case names no base lr");
    for (int i = 0; i < ecg_tensors_count(file) && !o->problem[0]; i++) {
        const ecg_tensor *t = ecg_tensors_at(file, i);
        bool known = false;
        const ecg_lr_kind kind = ecg_lr_from_name(t->name, &known);
        double *lr = calloc((size_t)t->count + 1, sizeof *lr);
        if (!known || !lr)
            golden_problem(o, "no schedule %s", t->name);
        for (int64_t s = 0; lr && s < t->count; s++)
            lr[s] = base * ecg_lr_factor_of(kind, ecg_lr_shape(t->name), s, warmup, total);
        if (lr)
            golden_compare_d(o, file, t->name, lr, t->count, tolerance);
        free(lr);
    }
}

void golden_i(golden_out *o, const ecg_tensors *file)
{
    ecg_exec exec;
    if (!ecg_tensors_meta(file, "betas"))
        schedules(o, file);
    else if (golden_exec(o, &exec))
        adamw(o, file, &exec);
}
