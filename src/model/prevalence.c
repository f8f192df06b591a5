/* SPDX-License-Identifier: MIT
 * prevalence.c: probabilities for a place where labels are rarer or commoner than among the calibration records. If the ECGs of those with and those without
 * a label look as they did (only their numbers differ), the odds shift by one factor:
 *
 *   p' / (1 - p') = p / (1 - p)  *  (q / (1 - q)) / (r / (1 - r)),   r the prevalence that p was calibrated at, q the local one.
 *
 * The same holds for interval and share flagged. Verdicts compare a score with each class by itself and do not change. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "model/parts.h"

struct ecg_prevalence {
    int K[2];
    double *local[2];   /* (K) of the model's heads; NAN: not told */
};

static int find(const ecg_label_table *t, const char *code)
{
    for (int k = 0; k < t->n; k++)
        if (strcmp(t->label[k].code, code) == 0)
            return k;
    return -1;
}

/* One row of the table: 1 used, 0 passed over, -1 failed. "I50.9" is "I509". */
static int use_row(ecg_prevalence *p, const ecg_model *m, const ecg_csv *t, const int at[2], ecg_err *err)
{
    const ecg_field f = ecg_csv_field(t, at[0]);
    char code[64], plain[64];
    double q;
    if (ecg_csv_double(t, at[1], &q, err))
        return -1;
    if (!(q > 0 && q < 1)) {
        ecg_fail(err, ECG_EDATA, "line %" PRId64 ": prevalence %g, above 0 and below 1 needed", ecg_csv_line(t), q);
        return -1;
    }
    if (f.len >= sizeof code)
        return 0;
    snprintf(code, sizeof code, "%.*s", (int)f.len, f.at ? f.at : "");
    snprintf(plain, sizeof plain, "%s", code);
    char *dot = strchr(plain, '.');
    if (dot)
        memmove(dot, dot + 1, strlen(dot));
    for (int i = 0; i < m->heads; i++) {
        const ecg_label_table *labels;
        ecg_head_labels(m, &m->head[i], &labels);
        int k = labels ? find(labels, code) : -1;
        if (k < 0 && labels)
            k = find(labels, plain);
        if (k < 0)
            continue;
        if (!isnan(p->local[i][k])) {
            ecg_fail(err, ECG_EDATA, "line %" PRId64 ": %s for the second time", ecg_csv_line(t), code);
            return -1;
        }
        p->local[i][k] = q;
        return 1;
    }
    return 0;
}

static ecg_status read_rows(ecg_prevalence *p, const ecg_model *m, ecg_csv *t, ecg_err *err)
{
    static const char *const names[] = {"code", "prevalence"};
    int at[2], used = 0;
    bool more = true;
    ecg_status st = ecg_csv_need(t, at, names, 2, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        const int one = use_row(p, m, t, at, err);
        if (one < 0)
            return ECG_EDATA;
        used += one;
    }
    return st ? st : used ? ECG_OK : ecg_fail(err, ECG_EDATA, "none of its codes is a label of the model");
}

ecg_status ecg_prevalence_open(ecg_prevalence **out, const char *path, const ecg_model *model, ecg_err *err)
{
    ecg_csv *t;
    *out = NULL;
    ecg_status st = ecg_csv_open(&t, path, err);
    if (st)
        return st;
    ecg_prevalence *p = calloc(1, sizeof *p);
    bool got = p != NULL;
    for (int i = 0; i < model->heads && got; i++) {
        p->K[i] = ecg_head_labels(model, &model->head[i], NULL);
        p->local[i] = malloc((size_t)(p->K[i] + 1) * sizeof **p->local);
        got = p->local[i] != NULL;
        for (int k = 0; k < p->K[i] && got; k++)
            p->local[i][k] = NAN;
    }
    st = got ? read_rows(p, model, t, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    ecg_csv_close(t);
    if (st) {
        ecg_prevalence_close(p);
        return ecg_fail_in(err, st, path);
    }
    *out = p;
    return ECG_OK;
}

void ecg_prevalence_close(ecg_prevalence *p)
{
    if (!p)
        return;
    for (int i = 0; i < 2; i++)
        free(p->local[i]);
    free(p);
}

static double shifted(double p, double factor)
{
    return isnan(p) ? p : p * factor / (p * factor + 1 - p);
}

int ecg_shift(ecg_score *s, int n, const ecg_prevalence *p, int head)
{
    int shifts = 0;
    for (int i = 0; i < n; i++) {
        const double q = p && s[i].row < p->K[head] ? p->local[head][s[i].row] : NAN;
        const double known = (double)(s[i].positives + s[i].negatives);
        const double r = s[i].positives && s[i].negatives ? (double)s[i].positives / known : s[i].prevalence; /* as calibrated, else as trained */
        s[i].local_prevalence = NAN;
        if (isnan(q) || !(r > 0 && r < 1))
            continue;
        const double factor = q / (1 - q) / (r / (1 - r));
        double *const all[] = {&s[i].probability, &s[i].lo, &s[i].hi, &s[i].truth};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++)
            *all[j] = shifted(*all[j], factor);
        s[i].local_prevalence = q;
        shifts++;
    }
    return shifts;
}

double ecg_base_rate(const ecg_score *s)
{
    return isnan(s->local_prevalence) ? s->prevalence : s->local_prevalence;
}

double ecg_shift_one(double p, const ecg_score *s)
{
    const double known = (double)(s->positives + s->negatives), r = s->positives && s->negatives ? (double)s->positives / known : s->prevalence;
    const double q = s->local_prevalence;
    return isnan(q) ? p : shifted(p, q / (1 - q) / (r / (1 - r)));
}
