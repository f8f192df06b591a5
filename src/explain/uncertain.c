/* SPDX-License-Identifier: MIT
 * uncertain.c: see uncertain.h. Each label is a histogram of cells for the step functions, and its sorted scores for the thresholds. */
#include "explain/uncertain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static const double lowest = -16, per_unit = 16; /* cells */
enum { FOLDS = 5, MOST_POSITIONS = 2 * ECG_CELLS + 1 };

int ecg_cell(double logit)
{
    const double at = floor((logit - lowest) * per_unit);
    return at < 0 ? 0 : at >= ECG_CELLS ? ECG_CELLS - 1 : (int)at;
}

double ecg_cell_from(int cell)
{
    return lowest + cell / per_unit;
}

double ecg_level(int i)
{
    return i < 60 ? 0.005 * (i + 1) : 0.30 + 0.05 * (i - 59);
}

const char *ecg_calibrator_text(int kind)
{
    static const char *const text[ECG_CALIBRATORS] = {"none", "isotonic", "platt", "shared"};
    return text[kind];
}

static double sigmoid(double z)
{
    const double e = ecg_exp(z < 0 ? z : -z);
    return z < 0 ? e / (1 + e) : 1 / (1 + e);
}

/* ---- the two maps --------------------------------------------------------------------------------------------------------------- */

void ecg_isotonic(double *fitted, const double *y, const double *w, int n, int *room)
{
    int blocks = 0; /* block b ends before room[b]; its mean is fitted[b], its weight summed on the way */
    double weight[ECG_CELLS + 1];
    for (int i = 0; i < n; i++) {
        if (!(w[i] > 0)) {
            if (blocks)
                room[blocks - 1] = i + 1;
            continue;
        }
        double mean = y[i], sum = w[i];
        while (blocks && fitted[blocks - 1] >= mean) {
            blocks--;
            mean = (fitted[blocks] * weight[blocks] + mean * sum) / (weight[blocks] + sum);
            sum += weight[blocks];
        }
        fitted[blocks] = mean;
        weight[blocks] = sum;
        room[blocks++] = i + 1;
    }
    if (!blocks) {
        for (int i = 0; i < n; i++)
            fitted[i] = NAN;
        return;
    }
    for (int b = blocks, end = n; b-- > 0;) {
        const int begin = b ? room[b - 1] : 0;
        const double mean = fitted[b];
        for (int i = end; i-- > begin;)
            fitted[i] = mean;
        end = begin;
    }
}

typedef struct { double grad[2], h[3], loss; } newton_at;

static newton_at platt_at(double a, double b, const double *x, const int8_t *y, int64_t n, int64_t stride, const double target[2])
{
    newton_at f = {.grad = {0}};
    for (int64_t i = 0; i < n; i++) {
        const double v = x[i * stride];
        if ((y[i * stride] != 0 && y[i * stride] != 1) || !isfinite(v))
            continue;
        const double z = a * v + b, e = ecg_exp(z < 0 ? z : -z), p = z < 0 ? e / (1 + e) : 1 / (1 + e), t = target[y[i * stride]];
        const double w = e / ((1 + e) * (1 + e));
        f.loss += (z > 0 ? z : 0) + ecg_log(1 + e) - t * z;
        f.grad[0] += (p - t) * v;
        f.grad[1] += p - t;
        f.h[0] += w * v * v;
        f.h[1] += w * v;
        f.h[2] += w;
    }
    return f;
}

void ecg_platt(double *slope, double *offset, const double *x, const int8_t *y, int64_t n, int64_t stride)
{
    double count[2] = {0};
    for (int64_t i = 0; i < n; i++)
        if ((y[i * stride] == 0 || y[i * stride] == 1) && isfinite(x[i * stride]))
            count[y[i * stride]]++;
    const double target[2] = {1 / (count[0] + 2), (count[1] + 1) / (count[1] + 2)};
    const double mean = (count[0] * target[0] + count[1] * target[1]) / (count[0] + count[1]), level = ecg_log(mean / (1 - mean));
    *slope = 0;
    *offset = count[0] + count[1] > 0 ? level : 0;
    if (count[0] == 0 || count[1] == 0)
        return;
    double a = 0, b = level;
    newton_at f = platt_at(a, b, x, y, n, stride, target);
    for (int step = 0; step < 100; step++) {
        const double det = f.h[0] * f.h[2] - f.h[1] * f.h[1];
        if (!(det > 1e-12 * f.h[0] * f.h[2]))
            return; /* one score for all */
        const double da = (f.h[2] * f.grad[0] - f.h[1] * f.grad[1]) / det, db = (f.h[0] * f.grad[1] - f.h[1] * f.grad[0]) / det;
        double share = 1;
        newton_at next;
        for (;; share /= 2) {
            next = platt_at(a - share * da, b - share * db, x, y, n, stride, target);
            if (next.loss <= f.loss + 1e-12 * fabs(f.loss) || share < 1e-8)
                break;
        }
        a -= share * da;
        b -= share * db;
        f = next;
        if (fabs(da) <= 1e-10 * (1 + fabs(a)) && fabs(db) <= 1e-10 * (1 + fabs(b)))
            break;
    }
    if (a > 0 && isfinite(a) && isfinite(b)) {
        *slope = a;
        *offset = b;
    }
}

/* ---- one label ------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    double count[2][ECG_CELLS];
} histogram;

static bool known(double x, int8_t y)
{
    return (y == 0 || y == 1) && isfinite(x);
}

/* Step functions over occupied cells and the empty runs between them; steps is ECG_STEPS long. Returns how many. */
static int make_steps(ecg_step *step, const histogram *h)
{
    int cell[ECG_CELLS], from[MOST_POSITIONS], at[MOST_POSITIONS], occupied = 0, positions = 0, room[ECG_CELLS + 1];
    double mean[ECG_CELLS + 1] = {0}, weight[ECG_CELLS + 1] = {0}, fitted[ECG_CELLS + 1], isotonic[ECG_CELLS];
    for (int c = 0, empty = 0; c < ECG_CELLS; c++) { /* at: 2 i + 1 the i-th occupied cell, 2 i the run before it */
        if (h->count[0][c] + h->count[1][c] > 0) {
            from[positions] = c;
            at[positions++] = 2 * occupied + 1;
            cell[occupied++] = c;
            empty = 0;
        } else if (!empty) {
            from[positions] = c;
            at[positions++] = 2 * occupied;
            empty = 1;
        }
    }
    for (int i = 0; i < occupied; i++) {
        weight[i] = h->count[0][cell[i]] + h->count[1][cell[i]];
        mean[i] = h->count[1][cell[i]] / weight[i];
    }
    ecg_isotonic(isotonic, mean, weight, occupied, room);
    double above[ECG_CELLS + 1], truth[ECG_CELLS + 1]; /* from the i-th occupied cell on */
    above[occupied] = truth[occupied] = 0;
    for (int i = occupied; i-- > 0;) {
        above[i] = above[i + 1] + weight[i];
        truth[i] = truth[i + 1] + h->count[1][cell[i]];
    }
    for (int s = 0; s < positions; s++) {
        const int i = at[s] / 2, inside = at[s] % 2; /* entry i takes the new record, or a new entry before it does */
        double with[2];
        for (int y = 0; y < 2; y++) {
            double m[ECG_CELLS + 1], w[ECG_CELLS + 1];
            const int n = occupied + !inside;
            memcpy(m, mean, (size_t)i * sizeof *m);
            memcpy(w, weight, (size_t)i * sizeof *w);
            memcpy(m + i + !inside, mean + i, (size_t)(occupied - i) * sizeof *m);
            memcpy(w + i + !inside, weight + i, (size_t)(occupied - i) * sizeof *w);
            if (inside) {
                m[i] = (m[i] * w[i] + y) / (w[i] + 1);
                w[i] += 1;
            } else {
                m[i] = y;
                w[i] = 1;
            }
            ecg_isotonic(fitted, m, w, n, room);
            with[y] = fitted[i];
        }
        const double left = i > 0 ? isotonic[i - 1] : isotonic[0], right = i < occupied ? isotonic[i] : isotonic[occupied - 1];
        const double p = inside ? isotonic[i] : (left + right) / 2;
        step[s] = (ecg_step){(float)ecg_cell_from(from[s]), (float)p, (float)with[0], (float)with[1], above[i] > 0 ? (float)(truth[i] / above[i]) : NAN,
                             (float)above[i]};
    }
    return positions;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* s (n) ascending; strange are the small ones. Threshold of level u: the value of rank u (n + 1), between two records on the line between them. */
static void thresholds(float out[ECG_LEVELS], const double *s, int64_t n, double sign)
{
    for (int j = 0; j < ECG_LEVELS; j++) {
        const double rank = ecg_level(j) * (double)(n + 1) + 1e-9;
        const int64_t k = (int64_t)floor(rank);
        double t = -INFINITY;
        if (n > 0 && k >= n)
            t = s[n - 1];
        else if (n > 0 && k >= 1)
            t = s[k - 1] + fmax(0, rank - 1e-9 - (double)k) * (s[k] - s[k - 1]);
        out[j] = (float)(sign * t);
    }
}

/* Brier score in cross-validation: [0] isotonic, [1] Platt. x, y (n), without gaps. */
static int cross_validate(double brier[2], const double *x, const int8_t *y, int64_t n)
{
    int8_t *kept = malloc((size_t)n);
    if (!kept)
        return -1;
    brier[0] = brier[1] = 0;
    for (int f = 0; f < FOLDS; f++) {
        double count[ECG_CELLS] = {0}, mean[ECG_CELLS] = {0}, fitted[ECG_CELLS], a, b;
        int room[ECG_CELLS];
        for (int64_t i = 0; i < n; i++) {
            kept[i] = i % FOLDS == f ? -1 : y[i];
            if (i % FOLDS != f) {
                const int c = ecg_cell(x[i]);
                count[c]++;
                mean[c] += y[i];
            }
        }
        for (int c = 0; c < ECG_CELLS; c++)
            mean[c] = count[c] > 0 ? mean[c] / count[c] : 0;
        ecg_isotonic(fitted, mean, count, ECG_CELLS, room);
        ecg_platt(&a, &b, x, kept, n, 1);
        for (int64_t i = f; i < n; i += FOLDS) {
            const double p[2] = {fitted[ecg_cell(x[i])], sigmoid(a * x[i] + b)};
            for (int m = 0; m < 2; m++)
                brier[m] += (p[m] - y[i]) * (p[m] - y[i]);
        }
    }
    free(kept);
    return 0;
}

/* s[y] ascending. Mid-ranks; Hanley and McNeil 1982 for the error. */
static void area(ecg_calibrator *c, double *const s[2])
{
    const double n0 = (double)c->negatives, n1 = (double)c->positives;
    c->auroc = c->auroc_lo = NAN;
    if (!c->negatives || !c->positives)
        return;
    double sum = 0;
    int64_t below = 0, upto = 0;
    for (int64_t i = 0; i < c->positives; i++) {
        while (below < c->negatives && s[0][below] < s[1][i])
            below++;
        upto = upto < below ? below : upto;
        while (upto < c->negatives && s[0][upto] <= s[1][i])
            upto++;
        sum += (double)(below + upto) / 2;
    }
    const double A = sum / (n0 * n1), q1 = A / (2 - A), q2 = 2 * A * A / (1 + A);
    c->auroc = A;
    c->auroc_lo = A - 1.959963984540054 * sqrt(fmax(0, (A * (1 - A) + (n1 - 1) * (q1 - A * A) + (n0 - 1) * (q2 - A * A)) / (n0 * n1)));
}

typedef struct {
    ecg_uncertainty *u;
    const double *score;
    const int8_t *label;
    int64_t n;
    ecg_step **step; /* (K) */
    int failed;
} fitting;

static int fit_label(fitting *f, int k)
{
    const int64_t n = f->n, K = f->u->K;
    ecg_calibrator *c = &f->u->label[k];
    double *x = malloc((size_t)(n + 1) * 3 * sizeof *x);
    int8_t *y = malloc((size_t)n + 1);
    histogram *h = calloc(1, sizeof *h);
    ecg_step steps[MOST_POSITIONS];
    int failed = !x || !y || !h;
    if (failed)
        goto done;
    double *const s[2] = {x + (n + 1), x + 2 * (n + 1)};
    int64_t count[2] = {0, 0}, all = 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = f->score[i * K + k];
        const int8_t t = f->label[i * K + k];
        if (!known(v, t))
            continue;
        x[all] = v;
        y[all++] = t;
        s[t][count[t]++] = v;
        h->count[t][ecg_cell(v)]++;
    }
    c->positives = count[1];
    c->negatives = count[0];
    for (int t = 0; t < 2; t++)
        qsort(s[t], (size_t)count[t], sizeof **s, by_value);
    area(c, s);
    thresholds(f->u->quantile + ((size_t)k * 2 + 1) * ECG_LEVELS, s[1], count[1], 1);
    for (int64_t i = 0, j = count[0] - 1; i < j; i++, j--) {
        const double t = s[0][i];
        s[0][i] = s[0][j];
        s[0][j] = t;
    }
    for (int64_t i = 0; i < count[0]; i++)
        s[0][i] = -s[0][i];
    thresholds(f->u->quantile + (size_t)k * 2 * ECG_LEVELS, s[0], count[0], -1);
    if (!all)
        goto done;
    c->kind = ECG_CALIBRATOR_SHARED;
    if (count[0] >= ECG_OWN_CASES && count[1] >= ECG_OWN_CASES) {
        double brier[2] = {0, 0};
        failed = cross_validate(brier, x, y, all);
        ecg_platt(&c->slope, &c->offset, x, y, all, 1);
        c->kind = brier[0] < brier[1] ? ECG_CALIBRATOR_ISOTONIC : ECG_CALIBRATOR_PLATT;
    }
    c->steps = make_steps(steps, h);
    f->step[k] = malloc((size_t)c->steps * sizeof **f->step);
    if (f->step[k])
        memcpy(f->step[k], steps, (size_t)c->steps * sizeof *steps);
    else
        failed = 1;
done:
    free(x);
    free(y);
    free(h);
    return failed;
}

static void fit_item(void *ctx, int item, int worker)
{
    fitting *f = ctx;
    (void)worker;
    if (fit_label(f, item))
        __atomic_store_n(&f->failed, 1, __ATOMIC_RELAXED);
}

/* One Platt map of all labels without enough cases of their own. */
static int fit_shared(ecg_uncertainty *u, const double *score, const int8_t *label, int64_t n)
{
    double slope, offset;
    int64_t all = 0, room = 0;
    for (int k = 0; k < u->K; k++)
        if (u->label[k].kind == ECG_CALIBRATOR_SHARED)
            room += u->label[k].positives + u->label[k].negatives;
    double *x = malloc((size_t)(room + 1) * sizeof *x);
    int8_t *y = malloc((size_t)room + 1);
    if (x && y) {
        for (int k = 0; k < u->K; k++)
            for (int64_t i = 0; u->label[k].kind == ECG_CALIBRATOR_SHARED && i < n; i++) {
                const double v = score[i * u->K + k];
                const int8_t t = label[i * u->K + k];
                if (known(v, t)) {
                    x[all] = v;
                    y[all++] = t;
                }
            }
        ecg_platt(&slope, &offset, x, y, all, 1);
        for (int k = 0; k < u->K; k++)
            if (u->label[k].kind == ECG_CALIBRATOR_SHARED) {
                u->label[k].slope = slope;
                u->label[k].offset = offset;
            }
    }
    const int failed = !x || !y;
    free(x);
    free(y);
    return failed;
}

int ecg_uncertainty_fit(ecg_uncertainty *out, const double *score, const int8_t *label, int64_t n, int K, ecg_pool *pool)
{
    ecg_uncertainty u = {.K = K};
    fitting f = {.u = &u, .score = score, .label = label, .n = n};
    u.label = calloc((size_t)K, sizeof *u.label);
    u.quantile = malloc((size_t)K * 2 * ECG_LEVELS * sizeof *u.quantile);
    f.step = calloc((size_t)K, sizeof *f.step);
    int failed = !u.label || !u.quantile || !f.step;
    if (!failed) {
        ecg_pool_run(pool, fit_item, &f, K);
        failed = f.failed || fit_shared(&u, score, label, n);
    }
    for (int k = 0; k < K && !failed; k++) {
        u.label[k].first = u.steps;
        u.steps += u.label[k].steps;
    }
    if (!failed) {
        u.step = malloc((size_t)(u.steps + 1) * sizeof *u.step);
        failed = !u.step;
    }
    for (int k = 0; k < K && f.step; k++) {
        if (!failed && u.label[k].steps)
            memcpy(u.step + u.label[k].first, f.step[k], (size_t)u.label[k].steps * sizeof *u.step);
        free(f.step[k]);
    }
    free(f.step);
    *out = u;
    if (failed)
        ecg_uncertainty_clear(out);
    return failed ? -1 : 0;
}

void ecg_uncertainty_clear(ecg_uncertainty *u)
{
    free(u->label);
    free(u->step);
    free(u->quantile);
    free(u->tested);
    *u = (ecg_uncertainty){0};
}

static bool share(double x)
{
    return x >= 0 && x <= 1;
}

static const char *check_label(const ecg_uncertainty *u, const ecg_calibrator *c, int64_t next)
{
    if (c->positives < 0 || c->negatives < 0 || c->kind < 0 || c->kind >= ECG_CALIBRATORS)
        return "counts or kind of a calibrator";
    if (c->first != next || c->steps < 0 || c->steps > u->steps - next || (c->kind && !c->steps))
        return "the steps of a calibrator";
    if (!isfinite(c->slope) || !isfinite(c->offset) || c->slope < 0)
        return "the slope of a calibrator";
    for (int64_t i = next; i < next + c->steps; i++) {
        const ecg_step *s = &u->step[i];
        if (!isfinite(s->from) || (i > next && s->from <= s[-1].from) || !share((double)s->p) || !share((double)s->p0) || !share((double)s->p1) || s->p0 > s->p1 ||
            !(isnan(s->truth) || share((double)s->truth)) || !(s->above >= 0 && s->above < 1e9f))
            return "a step of a calibrator";
    }
    return NULL;
}

const char *ecg_uncertainty_check(const ecg_uncertainty *u)
{
    int64_t next = 0;
    for (int k = 0; k < u->K; k++) {
        const char *wrong = check_label(u, &u->label[k], next);
        if (wrong)
            return wrong;
        next += u->label[k].steps;
    }
    for (size_t i = 0; i < (size_t)u->K * 2; i++)
        for (int j = 0; j < ECG_LEVELS; j++) {
            const float *q = u->quantile + i * ECG_LEVELS;
            if (isnan(q[j]) || (j && (i % 2 ? q[j] < q[j - 1] : q[j] > q[j - 1])))
                return "conformal thresholds out of order";
        }
    for (int k = 0; k < u->K && u->tested; k++) {
        const ecg_tested *t = &u->tested[k];
        const bool told = !isnan(t->auroc);
        if (!(t->positives >= 0 && t->positives < 1e15 && t->negatives >= 0 && t->negatives < 1e15) ||
            (told && !(share(t->auroc) && share(t->lo) && share(t->hi) && t->lo <= t->auroc && t->auroc <= t->hi)))
            return "an AUROC on the test folds that contradicts itself";
    }
    return next == u->steps ? NULL : "steps that belong to no calibrator";
}

/* ---- one score ------------------------------------------------------------------------------------------------------------------- */

static const ecg_step *step_of(const ecg_step *step, int64_t n, double score)
{
    int64_t low = 0, high = n - 1; /* the last step that begins at or below */
    while (low < high) {
        const int64_t mid = low + (high - low + 1) / 2;
        if ((double)step[mid].from <= score)
            low = mid;
        else
            high = mid - 1;
    }
    return &step[low];
}

/* How ordinary x is among records whose thresholds t rise with the level. */
static double p_value(const float t[ECG_LEVELS], double x, double sign)
{
    for (int j = 0; j < ECG_LEVELS; j++) {
        const double here = sign * (double)t[j], before = j ? sign * (double)t[j - 1] : -INFINITY, u = j ? ecg_level(j - 1) : 0;
        if (x < here)
            return isinf(before) ? (u + ecg_level(j)) / 2 : u + (ecg_level(j) - u) * (x - before) / (here - before);
    }
    return 1;
}

void ecg_certainty_of(ecg_certainty *out, const ecg_uncertainty *u, int k, double score)
{
    const ecg_calibrator *c = &u->label[k];
    *out = (ecg_certainty){NAN, NAN, NAN, NAN, 0, NAN, NAN};
    if (c->kind == ECG_CALIBRATOR_NONE || !isfinite(score))
        return;
    const ecg_step *s = step_of(u->step + c->first, c->steps, score);
    const double p = c->kind == ECG_CALIBRATOR_ISOTONIC ? (double)s->p : sigmoid(c->slope * score + c->offset);
    out->lo = (double)s->p0;
    out->hi = (double)s->p1;
    out->p = fmin(fmax(p, out->lo), out->hi);
    out->truth = (double)s->truth;
    out->above = (int64_t)s->above;
    if (c->positives >= ECG_CLASS_CASES && c->negatives >= ECG_CLASS_CASES) {
        const float *q = u->quantile + (size_t)k * 2 * ECG_LEVELS;
        out->p_yes = p_value(q + ECG_LEVELS, (double)(float)score, 1);
        out->p_no = p_value(q, (double)-(float)score, -1);
    }
}

int ecg_conformal_set(const ecg_certainty *c, double alpha)
{
    if (isnan(c->p_yes))
        return -1;
    return (c->p_no >= alpha - 1e-12) + 2 * (c->p_yes >= alpha - 1e-12);
}

void ecg_coverage_band(int64_t *lo, int64_t *hi, int64_t m, int64_t n, double alpha)
{
    const double l = alpha * (double)(n + 1), a = (double)(n + 1) - l, M = (double)m;
    double below = 0;
    *lo = *hi = m;
    if (l < 1 - 1e-9)
        return;
    *lo = -1;
    for (int64_t i = 0; i <= m; i++) {
        const double x = (double)i;
        below += exp(lgamma(M + 1) - lgamma(x + 1) - lgamma(M - x + 1) + lgamma(x + a) + lgamma(M - x + l) - lgamma(M + a + l) + lgamma(a + l) - lgamma(a) - lgamma(l));
        if (*lo < 0 && below > 0.005)
            *lo = i;
        if (below >= 0.995) {
            *hi = i;
            break;
        }
    }
    if (*lo < 0)
        *lo = m;
}
