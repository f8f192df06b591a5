/* SPDX-License-Identifier: MIT
 * probe.c: see probe.h. Targets that are known on the same training rows share one system of equations: the nine statistics of a laboratory value
 * are measured or missing together, diagnoses are all known. */
#include "study/probe.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "stat/ridge.h"
#include "study/embed.h"

enum { PENALTIES = 6, LEAST_TRAINING = 40, LEAST_SCORED = 10 };
static const double penalties[PENALTIES] = {1e-3, 1e-2, 1e-1, 1, 10, 100};

/* ---- embeddings --------------------------------------------------------------------------------------------------------- */

static int by_row(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* At most so many of the rows, drawn, ascending. */
static ecg_status some_rows(ecg_rows *out, const ecg_rows *in, int64_t most, uint64_t seed, ecg_err *err)
{
    ecg_rng g;
    out->row = malloc(((size_t)in->n + 1) * sizeof *out->row);
    if (!out->row)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    out->n = in->n;
    memcpy(out->row, in->row, (size_t)in->n * sizeof *out->row);
    if (most == 0 || in->n <= most)
        return ECG_OK;
    ecg_rng_open(&g, seed, 0, ECG_STREAM_SUBSET, 1, 0);
    ecg_rng_shuffle(&g, out->row, (uint32_t)in->n);
    out->n = most;
    qsort(out->row, (size_t)most, sizeof *out->row, by_row);
    return ECG_OK;
}

ecg_status ecg_probe_open(ecg_probe *out, const ecg_model *m, const ecg_loader *l, int64_t most, uint64_t seed, const ecg_exec *exec,
                          const ecg_watch *watch, ecg_err *err)
{
    ecg_probe p = {.loader = l, .width = m->shape.width};
    const ecg_rows *from[ECG_PROBE_PARTS] = {&l->role[ECG_TRAIN], &l->half[ECG_HALF_A], &l->half[ECG_HALF_B], &l->role[ECG_TEST]};
    ecg_status st = ECG_OK;
    for (int i = 0; i < ECG_PROBE_PARTS && !st; i++) {
        if ((st = some_rows(&p.rows[i], from[i], i == ECG_PROBE_TRAIN ? most : 0, seed, err)))
            break;
        const size_t n = (size_t)p.rows[i].n * (size_t)p.width;
        float *h = malloc((n + 1) * sizeof *h);
        p.h[i] = malloc((n + 1) * sizeof *p.h[i]);
        st = h && p.h[i] ? ecg_embed_rows(h, m, l, &p.rows[i], exec, watch, "embed", err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
        for (size_t k = 0; k < n && !st; k++)
            p.h[i][k] = (double)h[k];
        free(h);
    }
    *out = p;
    if (st)
        ecg_probe_close(out);
    return st;
}

void ecg_probe_close(ecg_probe *p)
{
    for (int i = 0; i < ECG_PROBE_PARTS; i++) {
        ecg_rows_clear(&p->rows[i]);
        free(p->h[i]);
    }
    *p = (ecg_probe){0};
}

/* ---- fitting ------------------------------------------------------------------------------------------------------------ */

/* Targets of the training rows and of half A, one after the other: y[part] (targets, rows of the part), NAN unknown. */
typedef struct {
    const ecg_probe *p;
    int targets;
    double *y[2];           /* train, A; owned */
    int *group, *member;    /* (groups + 1) where each begins in member; (targets) those known on the same rows; owned */
    int groups;
    double fixed;           /* penalty; 0: the best on half A */
    double *coefficient;    /* (targets, width + 1), owned; NAN: not fitted */
    double *penalty;        /* (targets), owned */
    atomic_bool failed;     /* out of memory in a worker */
} fitting;

static void fitting_clear(fitting *f)
{
    free(f->y[0]);
    free(f->y[1]);
    free(f->group);
    free(f->member);
    free(f->coefficient);
    free(f->penalty);
}

static ecg_status fitting_new(fitting *f, const ecg_probe *p, int targets, ecg_err *err)
{
    const size_t q = (size_t)(targets > 0 ? targets : 1);
    *f = (fitting){.p = p, .targets = targets};
    for (int part = 0; part < 2; part++)
        f->y[part] = malloc((q * (size_t)p->rows[part].n + 1) * sizeof(double));
    f->group = malloc((q + 1) * sizeof *f->group);
    f->member = malloc(q * sizeof *f->member);
    f->coefficient = malloc(q * ((size_t)p->width + 1) * sizeof *f->coefficient);
    f->penalty = malloc(q * sizeof *f->penalty);
    if (f->y[0] && f->y[1] && f->group && f->member && f->coefficient && f->penalty)
        return ECG_OK;
    fitting_clear(f);
    return ecg_fail(err, ECG_ENOMEM, "out of memory");
}

static bool same_known(const double *a, const double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (isnan(a[i]) != isnan(b[i]))
            return false;
    return true;
}

static void find_groups(fitting *f)
{
    const int64_t n = f->p->rows[ECG_PROBE_TRAIN].n;
    int placed = 0;
    f->groups = 0;
    for (int t = 0; t < f->targets; t++) {
        int g = 0;
        while (g < f->groups && !same_known(f->y[0] + (int64_t)f->member[f->group[g]] * n, f->y[0] + (int64_t)t * n, n))
            g++;
        if (g == f->groups) {
            f->group[f->groups++] = placed;
            f->member[placed++] = t;
            continue;
        }
        const int end = g + 1 < f->groups ? f->group[g + 1] : placed; /* into its group, the later ones move up by one */
        memmove(f->member + end + 1, f->member + end, (size_t)(placed - end) * sizeof *f->member);
        f->member[end] = t;
        placed++;
        for (int k = g + 1; k < f->groups; k++)
            f->group[k]++;
    }
    f->group[f->groups] = placed;
}

/* Mean squared error of a target on half A; INFINITY where nothing is known there. */
static double error_on_a(const fitting *f, int target, const double *c)
{
    const ecg_rows *rows = &f->p->rows[ECG_PROBE_A];
    const double *y = f->y[1] + (int64_t)target * rows->n;
    double sum = 0;
    int64_t known = 0;
    for (int64_t i = 0; i < rows->n; i++)
        if (!isnan(y[i])) {
            const double d = y[i] - ecg_ridge_at(c, f->p->h[ECG_PROBE_A] + i * f->p->width, f->p->width);
            sum += d * d;
            known++;
        }
    return known ? sum / (double)known : INFINITY;
}

/* Item: one group. Only places of its own targets are written. */
static void fit_group(void *ctx, int g, int worker)
{
    (void)worker;
    fitting *f = ctx;
    const int q = f->group[g + 1] - f->group[g], *member = f->member + f->group[g], W = f->p->width;
    const size_t row = (size_t)W + 1;
    const int64_t n = f->p->rows[ECG_PROBE_TRAIN].n;
    ecg_ridge *r = ecg_ridge_new(W, q);
    double *y = malloc((size_t)q * sizeof *y), *c = malloc((size_t)q * row * sizeof *c), *best = malloc((size_t)q * sizeof *best);
    if (!r || !y || !c || !best) {
        f->failed = true;
        goto done;
    }
    for (int64_t i = 0; i < n; i++) {
        if (isnan(f->y[0][(int64_t)member[0] * n + i]))
            continue;
        for (int t = 0; t < q; t++)
            y[t] = f->y[0][(int64_t)member[t] * n + i];
        ecg_ridge_add(r, f->p->h[ECG_PROBE_TRAIN] + i * W, y);
    }
    for (int t = 0; t < q; t++)
        best[t] = NAN;
    for (int k = 0; k < (f->fixed > 0 ? 1 : PENALTIES); k++) {
        const double penalty = f->fixed > 0 ? f->fixed : penalties[k];
        if (ecg_ridge_solve(c, r, penalty))
            break; /* no row is known: the coefficients stay NAN */
        for (int t = 0; t < q; t++) {
            const double e = f->fixed > 0 ? 0 : error_on_a(f, member[t], c + (size_t)t * row);
            if (isnan(best[t]) || e < best[t]) {
                best[t] = e;
                f->penalty[member[t]] = penalty;
                memcpy(f->coefficient + (size_t)member[t] * row, c + (size_t)t * row, row * sizeof *c);
            }
        }
    }
done:
    ecg_ridge_free(r);
    free(y);
    free(c);
    free(best);
}

static ecg_status fit(fitting *f, const ecg_exec *exec, const ecg_watch *watch, ecg_err *err)
{
    const size_t values = (size_t)f->targets * ((size_t)f->p->width + 1);
    for (size_t i = 0; i < values; i++)
        f->coefficient[i] = NAN;
    for (int t = 0; t < f->targets; t++)
        f->penalty[t] = NAN;
    find_groups(f);
    ecg_pool_run(exec->pool, fit_group, f, f->groups);
    if (f->failed)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    return ecg_stopped(watch) ? ecg_fail(err, ECG_EINTR, "interrupted") : ECG_OK;
}

/* ---- tabular values ----------------------------------------------------------------------------------------------------- */

static double value_at(const ecg_probe *p, int part, int64_t i, int column)
{
    const ecg_cohort *c = p->loader->cohort;
    return (double)c->tabular[(size_t)p->rows[part].row[i] * (size_t)c->contract.columns + (size_t)column];
}

/* Values of a column on the rows of a part into y, clipped; how many are known, and whether they differ. */
static int64_t column_values(bool *varies, double *y, const ecg_probe *p, int part, int column, double lo, double hi)
{
    int64_t known = 0;
    double first = NAN;
    *varies = false;
    for (int64_t i = 0; i < p->rows[part].n; i++) {
        const double x = value_at(p, part, i, column);
        y[i] = isnan(x) ? NAN : x < lo ? lo : x > hi ? hi : x;
        if (isnan(y[i]))
            continue;
        if (known++ == 0)
            first = y[i];
        *varies |= y[i] != first;
    }
    return known;
}

static double r_squared(const ecg_probe *p, int part, int column, double lo, double hi, const double *coefficient, double *y)
{
    bool varies;
    const int64_t known = column_values(&varies, y, p, part, column, lo, hi);
    double mean = 0, rest = 0, total = 0;
    for (int64_t i = 0; i < p->rows[part].n; i++)
        mean += isnan(y[i]) ? 0 : y[i] / (double)known;
    for (int64_t i = 0; i < p->rows[part].n; i++)
        if (!isnan(y[i])) {
            const double d = y[i] - ecg_ridge_at(coefficient, p->h[part] + i * p->width, p->width);
            rest += d * d;
            total += (y[i] - mean) * (y[i] - mean);
        }
    return 1 - rest / total;
}

typedef struct { int column; int64_t training; double lo, hi; } chosen;

/* Columns with enough values everywhere, and their clipping bounds. room: doubles, as many as rows of the largest part. */
static int choose_columns(chosen *out, const ecg_probe *p, double *room)
{
    const ecg_contract *k = &p->loader->cohort->contract;
    int n = 0;
    for (int j = 0; j < k->columns; j++) {
        bool enough = !k->column[j].categorical, varies = true;
        int64_t known = 0;
        double lo = -INFINITY, hi = INFINITY;
        for (int part = 0; part < ECG_PROBE_PARTS && enough; part++) {
            known = column_values(&varies, room, p, part, j, lo, hi);
            enough = varies && known >= (part == ECG_PROBE_TRAIN ? LEAST_TRAINING : LEAST_SCORED);
            if (part == ECG_PROBE_TRAIN && enough) {
                out[n] = (chosen){.column = j, .training = known};
                out[n].lo = lo = ecg_percentile(room, p->rows[part].n, 0.01);
                column_values(&varies, room, p, part, j, -INFINITY, INFINITY);
                out[n].hi = hi = ecg_percentile(room, p->rows[part].n, 0.99);
                column_values(&varies, room, p, part, j, lo, hi);
                enough = varies;
            }
        }
        n += enough;
    }
    return n;
}

static void add_mean(ecg_probe_mean *m, const ecg_probe_column *c)
{
    m->columns++;
    m->r2_validation = m->columns == 1 ? c->r2_validation : m->r2_validation + (c->r2_validation - m->r2_validation) / m->columns;
    m->r2_test = m->columns == 1 ? c->r2_test : m->r2_test + (c->r2_test - m->r2_test) / m->columns;
}

ecg_status ecg_probe_tabular(ecg_probe_table *out, const ecg_probe *p, const ecg_exec *exec, const ecg_watch *watch, ecg_err *err)
{
    const ecg_contract *k = &p->loader->cohort->contract;
    const ecg_probe_mean none = {0, NAN, NAN};
    *out = (ecg_probe_table){none, none, none, NULL};
    if (!p->loader->cohort->tabular)
        return ecg_fail(err, ECG_EDATA, "the cohort has no tabular columns");
    int64_t most = 1;
    for (int part = 0; part < ECG_PROBE_PARTS; part++)
        most = p->rows[part].n > most ? p->rows[part].n : most;
    fitting f = {0};
    double *room = malloc((size_t)most * sizeof *room);
    chosen *at = malloc((size_t)(k->columns + 1) * sizeof *at);
    out->column = malloc((size_t)(k->columns + 1) * sizeof *out->column);
    ecg_status st = room && at && out->column ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    const int n = st ? 0 : choose_columns(at, p, room);
    if (!st && !(st = fitting_new(&f, p, n, err))) {
        bool varies;
        for (int t = 0; t < n; t++)
            for (int part = 0; part < 2; part++)
                column_values(&varies, f.y[part] + (int64_t)t * p->rows[part].n, p, part, at[t].column, at[t].lo, at[t].hi);
        st = fit(&f, exec, watch, err);
    }
    for (int t = 0; t < n && !st; t++) {
        const double *c = f.coefficient + (size_t)t * ((size_t)p->width + 1);
        ecg_probe_column *x = &out->column[t];
        *x = (ecg_probe_column){.column = at[t].column, .training = at[t].training, .penalty = f.penalty[t]};
        x->r2_validation = r_squared(p, ECG_PROBE_B, x->column, at[t].lo, at[t].hi, c, room);
        x->r2_test = r_squared(p, ECG_PROBE_TEST, x->column, at[t].lo, at[t].hi, c, room);
        add_mean(&out->all, x);
        add_mean(strcmp(k->column[x->column].group, "lab") ? &out->routine : &out->lab, x);
    }
    fitting_clear(&f);
    free(room);
    free(at);
    if (st)
        ecg_probe_table_clear(out);
    return st;
}

void ecg_probe_table_clear(ecg_probe_table *t)
{
    free(t->column);
    *t = (ecg_probe_table){0};
}

/* ---- labels ------------------------------------------------------------------------------------------------------------- */

static int by_patient(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The patients, ascending, of the training rows with a known label, so many of them as drawn; *n is how many there are. */
static ecg_status draw_patients(int64_t **out, int64_t *n, const ecg_probe *p, const int8_t *label, int K, int64_t wanted, uint64_t seed, int draw,
                                ecg_err *err)
{
    ecg_rows known = {0};
    ecg_rng g;
    *out = NULL;
    ecg_status st = ecg_rows_known(&known, &p->rows[ECG_PROBE_TRAIN], label, K, err);
    if (st)
        return st;
    *n = ecg_rows_patients(out, p->loader->cohort, &known);
    ecg_rows_clear(&known);
    if (*n < 0)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (wanted == 0 || *n <= wanted)
        return ECG_OK;
    ecg_rng_open(&g, seed, 0, ECG_STREAM_SUBSET, 2, (uint32_t)draw);
    for (int64_t i = 0; i < wanted; i++) { /* the first places of a shuffle */
        const int64_t j = i + (int64_t)ecg_rng_below(&g, (uint32_t)(*n - i)), kept = (*out)[i];
        (*out)[i] = (*out)[j];
        (*out)[j] = kept;
    }
    *n = wanted;
    qsort(*out, (size_t)wanted, sizeof **out, by_patient);
    return ECG_OK;
}

ecg_status ecg_probe_labels(double *score, int64_t *used, const ecg_probe *p, const char *set, int64_t patients, uint64_t seed, int draw,
                            const ecg_exec *exec, const ecg_watch *watch, ecg_err *err)
{
    const ecg_cohort *cohort = p->loader->cohort;
    const ecg_label_table *table = NULL;
    const int8_t *label = ecg_cohort_labels(cohort, set, &table);
    if (!label || table->n < 1)
        return ecg_fail_at(err, ECG_EDATA, cohort->path, 0, 0, "no label set '%.31s'", set);
    const int K = table->n;
    int64_t *who = NULL, n = 0;
    fitting f = {0};
    ecg_status st = draw_patients(&who, &n, p, label, K, patients, seed, draw, err);
    if (st || (st = fitting_new(&f, p, K, err))) {
        free(who);
        return st;
    }
    f.fixed = patients ? 1 : 0;
    *used = 0;
    for (int part = 0; part < 2; part++)
        for (int64_t i = 0; i < p->rows[part].n; i++) {
            const uint32_t row = p->rows[part].row[i];
            const int64_t patient = ecg_rows_patient(cohort, row);
            const bool in = part == ECG_PROBE_A || bsearch(&patient, who, (size_t)n, sizeof *who, by_patient);
            *used += part == ECG_PROBE_TRAIN && in;
            for (int k = 0; k < K; k++) {
                const int8_t y = label[(size_t)row * (size_t)K + (size_t)k];
                f.y[part][(int64_t)k * p->rows[part].n + i] = in && (y == 0 || y == 1) ? (double)y : NAN;
            }
        }
    st = fit(&f, exec, watch, err);
    for (int k = 0; k < K && !st; k++) {
        int64_t count[2] = {0, 0};
        for (int64_t i = 0; i < p->rows[ECG_PROBE_TRAIN].n; i++) {
            const double y = f.y[0][(int64_t)k * p->rows[ECG_PROBE_TRAIN].n + i];
            if (!isnan(y))
                count[y > 0]++;
        }
        for (int64_t i = 0; i < p->rows[ECG_PROBE_TEST].n; i++)
            score[i * K + k] = count[0] && count[1] ? ecg_ridge_at(f.coefficient + (size_t)k * ((size_t)p->width + 1),
                                                                   p->h[ECG_PROBE_TEST] + i * p->width, p->width) : NAN;
    }
    fitting_clear(&f);
    free(who);
    return st;
}
