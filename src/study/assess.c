/* SPDX-License-Identifier: MIT
 * assess.c: see assess.h. Labels are taken one by one in parallel; everything that resamples goes through stat/bootstrap. */
#include "study/assess.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double fixed[2] = {0.9, 0.95};

/* ---- one label ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    ecg_assessment *a;
    int *failed; /* (K) */
} label_job;

static void one_label(void *ctx, int k, int worker)
{
    const label_job *j = ctx;
    const ecg_assess_task *t = j->a->task;
    const ecg_assess_rows *v = t->validation;
    ecg_assess_label *l = &j->a->label[k];
    ecg_sorted s, chosen = {0};
    (void)worker;
    l->code = t->code[k];
    l->title = t->title ? t->title[k] : "";
    l->difference = (ecg_difference){NAN, NAN, NAN, NAN, 0};
    l->first_auroc = l->first_precision = (ecg_interval){NAN, NAN, NAN, 0};
    j->failed[k] = ecg_sorted_make(&s, t->rows.prob + k, t->rows.truth + k, t->rows.n, t->K, 1) ||
                   (v && ecg_sorted_make(&chosen, v->prob + k, v->truth + k, v->n, t->K, 1));
    if (!j->failed[k]) {
        l->positives = s.positives;
        l->negatives = s.n - s.positives;
        j->failed[k] = ecg_calibrate(&l->calibration, &s);
        for (int b = 0; b < ECG_BINNINGS; b++)
            ecg_reliability_of(&l->reliability[b], &s, b);
        for (int i = 0; i < 2; i++) {
            l->sensitivity_at[i] = ecg_sensitivity_at(&s, fixed[i]);
            l->specificity_at[i] = ecg_specificity_at(&s, fixed[i]);
        }
        for (int r = 0; r < ECG_RULES; r++)
            ecg_operate(&l->operating[r], &s, v ? ecg_threshold(&chosen, r) : NAN);
        ecg_decisions(l->decision, &s);
    }
    ecg_sorted_clear(&s);
    ecg_sorted_clear(&chosen);
}

static ecg_status all_labels(ecg_assessment *a, ecg_err *err)
{
    label_job job = {a, calloc((size_t)a->K + 1, sizeof(int))};
    bool failed = !job.failed;
    if (!failed)
        ecg_pool_run(a->task->pool, one_label, &job, a->K);
    for (int k = 0; !failed && k < a->K; k++)
        failed = job.failed[k];
    free(job.failed);
    return failed ? ecg_fail(err, ECG_ENOMEM, "out of memory") : ECG_OK;
}

static ecg_status interrupted(ecg_err *err)
{
    return ecg_fail(err, ECG_EINTR, "interrupted");
}

/* ---- areas ---------------------------------------------------------------------------------------------------------------- */

static int compare_i64(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Distinct units among n, a negative one by itself. -1: out of memory. */
static int64_t count_units(const int64_t *unit, int64_t n)
{
    int64_t *sorted = unit ? malloc((size_t)(n ? n : 1) * sizeof *sorted) : NULL, distinct = 0;
    if (!unit)
        return n;
    if (!sorted)
        return -1;
    memcpy(sorted, unit, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_i64);
    for (int64_t i = 0; i < n; i++)
        distinct += i == 0 || sorted[i] < 0 || sorted[i] != sorted[i - 1];
    free(sorted);
    return distinct;
}

/* Rows and labels picked out, in memory of their own. */
typedef struct {
    int64_t n;
    int K;
    double *prob, *against;
    int8_t *truth;
    int64_t *unit;
} part;

static void clear_part(part *p)
{
    free(p->prob);
    free(p->against);
    free(p->truth);
    free(p->unit);
}

/* row: ascending; label (K) NULL: all of them. 0; -1: out of memory, and clear_part has work. */
static int take_part(part *p, const ecg_assess_task *t, const int64_t *row, int64_t n, const int *label, int K, bool against)
{
    const size_t cells = (size_t)n * (size_t)K + 1;
    *p = (part){.n = n, .K = K, .prob = malloc(cells * sizeof(double)), .truth = malloc(cells)};
    p->against = against && t->against ? malloc(cells * sizeof(double)) : NULL;
    p->unit = t->rows.unit ? malloc((size_t)(n + 1) * sizeof(int64_t)) : NULL;
    if (!p->prob || !p->truth || (against && t->against && !p->against) || (t->rows.unit && !p->unit))
        return -1;
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = row[i] * t->K, to = i * K;
        if (p->unit)
            p->unit[i] = t->rows.unit[row[i]];
        for (int k = 0; k < K; k++) {
            const int64_t at = from + (label ? label[k] : k);
            p->prob[to + k] = t->rows.prob[at];
            p->truth[to + k] = t->rows.truth[at];
            if (p->against)
                p->against[to + k] = t->against[at];
        }
    }
    return 0;
}

/* As ecg_bootstrap: 0, -1, -2. */
static int bootstrap_part(ecg_boot *out, const part *p, const ecg_assess_task *t, bool everything)
{
    return ecg_bootstrap(out, &(ecg_boot_task){.score = p->prob, .against = p->against, .label = p->truth, .n = p->n, .K = p->K,
                                               .unit = t->by_row ? NULL : p->unit, .resamples = p->n ? t->resamples : 0, .seed = t->seed,
                                               .precision = everything, .micro = everything, .watch = t->watch}, t->pool);
}

static ecg_status scope(ecg_assess_scope *out, ecg_assessment *a, const part *p, bool first, ecg_err *err)
{
    ecg_boot b;
    *out = (ecg_assess_scope){.records = p->n, .patients = count_units(p->unit, p->n)};
    const int failed = out->patients < 0 ? -1 : bootstrap_part(&b, p, a->task, true);
    if (failed)
        return failed == -2 ? interrupted(err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    out->auroc = b.set[0].auroc;
    out->precision = b.set[0].precision;
    for (int k = 0; k < a->K; k++) {
        ecg_assess_label *l = &a->label[k];
        *(first ? &l->first_auroc : &l->auroc) = b.set[0].label_auroc[k];
        *(first ? &l->first_precision : &l->precision) = b.set[0].label_precision[k];
        out->defined += !isnan(b.set[0].label_auroc[k].point);
        if (b.sets == 2 && !first)
            l->difference = b.paired.label[k];
    }
    if (b.sets == 2) {
        out->difference = b.paired;
        b.paired.label = NULL; /* handed over */
    }
    ecg_boot_clear(&b);
    return ECG_OK;
}

static ecg_status scope_of_all(ecg_assessment *a, ecg_err *err)
{
    const ecg_assess_task *t = a->task;
    const part whole = {t->rows.n, t->K, (double *)t->rows.prob, (double *)t->against, (int8_t *)t->rows.truth, (int64_t *)t->rows.unit};
    return scope(&a->all, a, &whole, false, err);
}

static ecg_status scope_of_first(ecg_assessment *a, ecg_err *err)
{
    const ecg_assess_task *t = a->task;
    part p = {0};
    int64_t *row = malloc((size_t)(t->rows.n + 1) * sizeof *row), n = 0;
    for (int64_t i = 0; row && i < t->rows.n; i++)
        if (t->rows.first[i] == 1)
            row[n++] = i;
    ecg_status st = !row || take_part(&p, t, row, n, NULL, t->K, true) ? ecg_fail(err, ECG_ENOMEM, "out of memory") : scope(&a->first, a, &p, true, err);
    clear_part(&p);
    free(row);
    return st;
}

/* ---- pooled and means ----------------------------------------------------------------------------------------------------- */

static ecg_status pooled(ecg_assessment *a, ecg_err *err)
{
    const ecg_assess_task *t = a->task;
    ecg_sorted s;
    int failed = ecg_sorted_make(&s, t->rows.prob, t->rows.truth, t->rows.n, t->K, t->K);
    if (!failed) {
        failed = ecg_calibrate(&a->pooled, &s);
        for (int b = 0; b < ECG_BINNINGS; b++)
            ecg_reliability_of(&a->pooled_reliability[b], &s, b);
    }
    ecg_sorted_clear(&s);
    return failed ? ecg_fail(err, ECG_ENOMEM, "out of memory") : ECG_OK;
}

/* Mean over the labels of one double of theirs, NAN left out. */
static double mean_of(const ecg_assessment *a, size_t offset)
{
    double sum = 0;
    int defined = 0;
    for (int k = 0; k < a->K; k++) {
        double x;
        memcpy(&x, (const char *)&a->label[k] + offset, sizeof x);
        if (!isnan(x)) {
            sum += x;
            defined++;
        }
    }
    return defined ? sum / defined : NAN;
}

#define MEAN(field) mean_of(a, offsetof(ecg_assess_label, field))

static void means(ecg_assessment *a)
{
    a->mean = (ecg_calibration){.brier = MEAN(calibration.brier), .brier_skill = MEAN(calibration.brier_skill), .slope = NAN, .intercept = NAN,
                                .offset = NAN, .mean_predicted = NAN, .prevalence = NAN};
    for (int b = 0; b < ECG_BINNINGS; b++)
        a->mean.ece[b] = MEAN(calibration.ece[b]);
    for (int i = 0; i < 2; i++) {
        a->mean_sensitivity_at[i] = MEAN(sensitivity_at[i]);
        a->mean_specificity_at[i] = MEAN(specificity_at[i]);
    }
    for (int r = 0; r < ECG_RULES; r++)
        a->mean_operating[r] = (ecg_operating){.threshold = NAN, .sensitivity = MEAN(operating[r].sensitivity), .specificity = MEAN(operating[r].specificity),
                                               .ppv = MEAN(operating[r].ppv), .npv = MEAN(operating[r].npv), .f1 = MEAN(operating[r].f1)};
    for (int i = 0; i < ECG_DECISIONS; i++)
        a->mean_decision[i] = (ecg_decision){ecg_decision_threshold(i), MEAN(decision[i].net_benefit), MEAN(decision[i].treat_all), MEAN(decision[i].called)};
}

/* ---- subgroups ------------------------------------------------------------------------------------------------------------ */

static int least_class(const ecg_assess_task *t)
{
    return t->least_class > 0 ? t->least_class : 10;
}

static int least_patients(const ecg_assess_task *t)
{
    return t->least_patients > 0 ? t->least_patients : 11;
}

/* The rows of a subgroup, patient after patient. */
typedef struct {
    int64_t unit, row;
} unit_row;

static int compare_unit(const void *a, const void *b)
{
    const unit_row *x = a, *y = b;
    return x->unit != y->unit ? (x->unit > y->unit) - (x->unit < y->unit) : (x->row > y->row) - (x->row < y->row);
}

/* Counts of one label; both hidden where the positives or the negatives come from too few patients: with the number of records, one tells the other. */
static ecg_assess_cell cell_of(const ecg_assess_task *t, const unit_row *list, int64_t n, int k)
{
    int64_t count[2] = {0, 0}, patients[2] = {0, 0}, last[2] = {-1, -1};
    for (int64_t i = 0; i < n; i++) {
        const int8_t y = t->rows.truth[list[i].row * t->K + k];
        if (y != 0 && y != 1)
            continue;
        count[y]++;
        patients[y] += list[i].unit < 0 || list[i].unit != last[y];
        last[y] = list[i].unit;
    }
    const bool hidden = patients[0] < least_patients(t) || patients[1] < least_patients(t);
    return (ecg_assess_cell){hidden ? -1 : count[1], hidden ? -1 : count[0], NAN};
}

static int measure_subgroup(ecg_assess_subgroup *s, const ecg_assessment *a, const int64_t *row, const unit_row *list, int64_t n)
{
    const ecg_assess_task *t = a->task;
    int *label = malloc((size_t)(a->K + 1) * sizeof *label), status = -1;
    double sum = 0;
    part p = {0};
    ecg_boot b = {0};
    if (!label)
        return -1;
    for (int k = 0; k < a->K; k++) {
        s->label[k] = cell_of(t, list, n, k);
        if (s->label[k].positives >= least_class(t) && s->label[k].negatives >= least_class(t)) {
            sum += a->label[k].auroc.point;
            label[s->labels++] = k;
        }
    }
    if (s->labels)
        s->everyone = sum / s->labels;
    if (take_part(&p, t, row, n, label, s->labels, false) || (status = bootstrap_part(&b, &p, t, false)))
        goto done;
    s->auroc = b.set[0].auroc;
    for (int i = 0; i < s->labels; i++)
        s->label[label[i]].auroc = b.set[0].label_auroc[i].point;
    status = 0;
done:
    ecg_boot_clear(&b);
    clear_part(&p);
    free(label);
    return status;
}

static int one_subgroup(ecg_assess_subgroup *s, const ecg_assessment *a, int64_t *row, unit_row *list)
{
    const ecg_assess_task *t = a->task;
    const ecg_interval none = {NAN, NAN, NAN, 0};
    int64_t n = 0;
    for (int64_t i = 0; i < t->rows.n; i++)
        if (t->group[s->group].of[i] == s->level) {
            list[n] = (unit_row){t->rows.unit ? t->rows.unit[i] : -1, i};
            row[n++] = i;
        }
    qsort(list, (size_t)n, sizeof *list, compare_unit);
    s->records = n;
    for (int64_t i = 0; i < n; i++)
        s->patients += i == 0 || list[i].unit < 0 || list[i].unit != list[i - 1].unit;
    s->auroc = (ecg_boot_summary){none, none, none};
    s->everyone = NAN;
    s->label = malloc((size_t)(a->K + 1) * sizeof *s->label);
    if (!s->label)
        return -1;
    if (s->patients >= least_patients(t)) {
        s->shown = ECG_SHOWN_ALL;
        return measure_subgroup(s, a, row, list, n);
    }
    s->shown = ECG_SHOWN_NOTHING;
    s->records = s->patients = -1;
    for (int k = 0; k < a->K; k++)
        s->label[k] = (ecg_assess_cell){-1, -1, NAN};
    return 0;
}

/* A single hidden number is the total less the others: the smallest of the others is hidden with it, first of the levels of a group, then of each
 * label among them. Figures that are no counts stay. */
static void hide_complements(ecg_assess_subgroup *s, int levels, int K)
{
    int hidden = 0, smallest = -1;
    for (int i = 0; i < levels; i++) {
        hidden += s[i].shown == ECG_SHOWN_NOTHING;
        if (s[i].shown == ECG_SHOWN_ALL && (smallest < 0 || s[i].records < s[smallest].records))
            smallest = i;
    }
    if (hidden == 1 && smallest >= 0) {
        s[smallest].shown = ECG_SHOWN_NO_COUNTS;
        s[smallest].records = s[smallest].patients = -1;
        for (int k = 0; k < K; k++)
            s[smallest].label[k].positives = s[smallest].label[k].negatives = -1;
    }
    for (int k = 0; k < K; k++) {
        hidden = 0;
        smallest = -1;
        for (int i = 0; i < levels; i++) {
            const int64_t positives = s[i].label[k].positives;
            hidden += positives < 0;
            if (positives >= 0 && (smallest < 0 || positives < s[smallest].label[k].positives))
                smallest = i;
        }
        if (hidden == 1 && smallest >= 0)
            s[smallest].label[k].positives = s[smallest].label[k].negatives = -1;
    }
}

static ecg_status subgroups(ecg_assessment *a, ecg_err *err)
{
    const ecg_assess_task *t = a->task;
    int most = 0;
    for (int g = 0; g < t->groups; g++)
        most += t->group[g].levels + 1;
    int64_t *row = malloc((size_t)(t->rows.n + 1) * sizeof *row);
    unit_row *list = malloc((size_t)(t->rows.n + 1) * sizeof *list);
    a->subgroup = calloc((size_t)most + 1, sizeof *a->subgroup);
    ecg_status st = row && list && a->subgroup ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int g = 0; !st && g < t->groups; g++) {
        const int from = a->subgroups;
        for (int i = 0; !st && i <= t->group[g].levels; i++) {
            const int level = i < t->group[g].levels ? i : -1;
            int64_t rows = 0;
            for (int64_t j = 0; j < t->rows.n; j++)
                rows += t->group[g].of[j] == level;
            if (!rows)
                continue;
            ecg_assess_subgroup *s = &a->subgroup[a->subgroups++];
            *s = (ecg_assess_subgroup){.group = g, .level = level};
            const int failed = one_subgroup(s, a, row, list);
            if (failed)
                st = failed == -2 ? interrupted(err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
        }
        if (!st)
            hide_complements(a->subgroup + from, a->subgroups - from, a->K);
    }
    free(row);
    free(list);
    return st;
}

static int compare_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int ecg_assess_bands(int32_t *of, char text[4][ECG_BAND_TEXT], const double *value, int64_t n, bool age)
{
    double *sorted = malloc((size_t)(n + 1) * sizeof *sorted), cut[3] = {40, 60, 80};
    int64_t m = 0;
    int cuts = 3;
    if (!sorted)
        return -1;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(value[i]))
            sorted[m++] = value[i];
    qsort(sorted, (size_t)m, sizeof *sorted, compare_double);
    for (int i = 0; !age && m && i < 3; i++)
        cut[i] = ecg_percentile(sorted, m, 0.25 * (i + 1));
    if (!age && m) { /* band b: cut[b-1] <= x < cut[b]; cuts that coincide, or below which nothing lies, fall away */
        cuts = 0;
        for (int i = 0; i < 3; i++)
            if (cut[i] > sorted[0] && (!cuts || cut[i] > cut[cuts - 1]))
                cut[cuts++] = cut[i];
    }
    for (int64_t i = 0; i < n; i++) {
        of[i] = isnan(value[i]) ? -1 : 0;
        for (int c = 0; of[i] >= 0 && c < cuts; c++)
            of[i] += value[i] >= cut[c];
    }
    free(sorted);
    if (!m)
        return 0;
    for (int b = 0; b <= cuts; b++) {
        if (cuts == 0)
            snprintf(text[b], ECG_BAND_TEXT, "all");
        else if (b == 0)
            snprintf(text[b], ECG_BAND_TEXT, "<%.6g", cut[0]);
        else if (b == cuts)
            snprintf(text[b], ECG_BAND_TEXT, age ? "%.0f+" : ">=%.6g", cut[b - 1]);
        else if (age)
            snprintf(text[b], ECG_BAND_TEXT, "%.0f-%.0f", cut[b - 1], cut[b] - 1);
        else
            snprintf(text[b], ECG_BAND_TEXT, "%.6g to <%.6g", cut[b - 1], cut[b]);
    }
    return cuts + 1;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------ */

ecg_status ecg_assess(ecg_assessment *out, const ecg_assess_task *task, ecg_err *err)
{
    const ecg_interval none = {NAN, NAN, NAN, 0};
    const ecg_boot_summary nothing = {none, none, none};
    *out = (ecg_assessment){.task = task, .K = task->K, .has_first = task->rows.first != NULL, .has_unit = task->rows.unit != NULL};
    out->first = (ecg_assess_scope){.auroc = nothing, .precision = nothing};
    if (task->rows.n * task->K > INT32_MAX || (task->validation && task->validation->n * task->K > INT32_MAX))
        return ecg_fail(err, ECG_EUNSUPPORTED, "%" PRId64 " rows of %d labels: fewer than 2^31 probabilities at a time", task->rows.n, task->K);
    out->label = calloc((size_t)task->K + 1, sizeof *out->label);
    ecg_status st = out->label ? all_labels(out, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st)
        st = pooled(out, err);
    if (!st)
        st = scope_of_all(out, err);
    if (!st && out->has_first)
        st = scope_of_first(out, err);
    if (!st)
        means(out);
    if (!st)
        st = subgroups(out, err);
    if (st)
        ecg_assessment_clear(out);
    return st;
}

void ecg_assessment_clear(ecg_assessment *a)
{
    for (int i = 0; i < a->subgroups; i++)
        free(a->subgroup[i].label);
    free(a->subgroup);
    free(a->label);
    free(a->all.difference.label);
    free(a->first.difference.label);
    *a = (ecg_assessment){0};
}
