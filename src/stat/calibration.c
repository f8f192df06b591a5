/* SPDX-License-Identifier: MIT
 * calibration.c: see calibration.h. Sums run over entries by falling probability, so no value depends on the order of the rows. */
#include "stat/calibration.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/rng.h"

static const struct {
    const char *name;
    int bins;
} binnings[ECG_BINNINGS] = {{"width10", 10}, {"width15", 15}, {"mass10", 10}};

int ecg_bins(int binning)
{
    return binnings[binning].bins;
}

const char *ecg_bins_name(int binning)
{
    return binnings[binning].name;
}

const char *ecg_fit_text(int fit)
{
    static const char *const text[] = {"ok", "one class", "separable", "constant", "no convergence"};
    return text[fit];
}

/* ---- reliability ---------------------------------------------------------------------------------------------------------- */

/* Edges as numpy.linspace makes them. */
static int bin_by_width(double p, int bins)
{
    int at = (int)ceil(p * bins) - 1;
    at = at < 0 ? 0 : at >= bins ? bins - 1 : at;
    while (at > 0 && p <= (double)at * (1.0 / bins))
        at--;
    while (at + 1 < bins && p > (double)(at + 1) * (1.0 / bins))
        at++;
    return at;
}

void ecg_reliability_of(ecg_reliability *out, const ecg_sorted *s, int binning)
{
    const int bins = ecg_bins(binning);
    *out = (ecg_reliability){0};
    for (int64_t i = 0, end; !s->nan && i < s->n; i = end) {
        for (end = i; end < s->n && s->score[end] == s->score[i]; end++)
            ;
        const int at = binning == ECG_BINS_MASS10 ? (int)((s->n - end) * bins / s->n) : bin_by_width(s->score[i], bins);
        ecg_bin *b = &out->bin[at];
        for (int64_t j = i; j < end; j++) {
            b->count++;
            b->positives += s->label[j];
            b->predicted += s->score[j];
        }
    }
    for (int i = 0; i < ECG_BINS_MOST; i++) {
        ecg_bin *b = &out->bin[i];
        b->observed = b->count ? (double)b->positives / (double)b->count : NAN;
        b->predicted = b->count ? b->predicted / (double)b->count : NAN;
    }
}

static double error_of(const ecg_reliability *r, int64_t n)
{
    double sum = 0;
    for (int i = 0; i < ECG_BINS_MOST; i++)
        if (r->bin[i].count)
            sum += (double)r->bin[i].count / (double)n * fabs(r->bin[i].observed - r->bin[i].predicted);
    return sum;
}

/* ---- logistic recalibration ----------------------------------------------------------------------------------------------- */

static double logit(double p)
{
    const double edge = 1e-7, q = p < edge ? edge : p > 1 - edge ? 1 - edge : p;
    return ecg_log(q / (1 - q));
}

/* Entries of one probability: they enter the likelihood together. */
typedef struct {
    double x, count, positives; /* x: logit */
} term;
typedef struct {
    term *term;  /* by falling x, which is less its mean: the fit has no use for where the middle is, and rounds less without */
    int64_t n;
    double mean; /* of x over the entries */
} terms;

static int make_terms(terms *out, const ecg_sorted *s)
{
    *out = (terms){0};
    out->term = malloc((size_t)s->n * sizeof *out->term);
    for (int64_t i = 0, end; out->term && i < s->n; i = end) {
        int64_t positives = 0;
        for (end = i; end < s->n && s->score[end] == s->score[i]; end++)
            positives += s->label[end];
        const term m = {logit(s->score[i]), (double)(end - i), (double)positives};
        out->term[out->n++] = m;
        out->mean += m.x * m.count;
    }
    out->mean /= (double)s->n;
    for (int64_t i = 0; out->term && i < out->n; i++)
        out->term[i].x -= out->mean;
    return out->term ? 0 : -1;
}

/* Log-likelihood of y ~ sigmoid(a + b x), its gradient and its curvature with the sign turned (aa, ab, bb). */
typedef struct {
    double likelihood, grad[2], h[3];
} logistic;

static logistic evaluate(const terms *t, double a, double b)
{
    logistic f = {0};
    double product = 1; /* of 1 + e, each between 1 and 2: one logarithm for many */
    int factors = 0;
    for (int64_t i = 0; i < t->n; i++) {
        const term *m = &t->term[i];
        const double z = a + b * m->x, e = ecg_exp(z < 0 ? z : -z), r = 1 / (1 + e), p = z < 0 ? e * r : r;
        const double w = m->count * (e * r * r), g = m->positives - m->count * p;
        f.likelihood += m->positives * z - m->count * (z > 0 ? z : 0);
        if (m->count == 1) {
            product *= 1 + e;
            factors++;
        } else {
            f.likelihood -= m->count * ecg_log(1 + e);
        }
        if (factors == 1000) {
            f.likelihood -= ecg_log(product);
            product = 1;
            factors = 0;
        }
        f.grad[0] += g;
        f.grad[1] += g * m->x;
        f.h[0] += w;
        f.h[1] += w * m->x;
        f.h[2] += w * m->x * m->x;
    }
    f.likelihood -= ecg_log(product);
    return f;
}

/* Newton's method with halved steps; parameters: how many move (1: the slope stays). False: no convergence. */
static bool newton(double *a, double *b, const terms *t, int parameters)
{
    logistic f = evaluate(t, *a, *b);
    for (int step = 0; step < 100; step++) {
        const double det = parameters == 1 ? f.h[0] : f.h[0] * f.h[2] - f.h[1] * f.h[1];
        if (!(det > 0))
            return false;
        const double da = parameters == 1 ? f.grad[0] / det : (f.h[2] * f.grad[0] - f.h[1] * f.grad[1]) / det;
        const double db = parameters == 1 ? 0 : (f.h[0] * f.grad[1] - f.h[1] * f.grad[0]) / det;
        double share = 1;
        logistic next;
        for (;; share /= 2) {
            next = evaluate(t, *a + share * da, *b + share * db);
            if (next.likelihood >= f.likelihood - 1e-12 * fabs(f.likelihood))
                break;
            if (share < 1e-6)
                return false;
        }
        *a += share * da;
        *b += share * db;
        f = next;
        if (fabs(da) <= 1e-10 * (1 + fabs(*a)) && fabs(db) <= 1e-10 * (1 + fabs(*b)))
            return isfinite(*a) && isfinite(*b);
    }
    return false;
}

/* With one variable the likelihood has a maximum exactly when the classes overlap. */
static int why_no_fit(const terms *t, const ecg_sorted *s)
{
    double highest[2] = {-INFINITY, -INFINITY}, lowest[2] = {INFINITY, INFINITY};
    if (s->positives == 0 || s->positives == s->n)
        return ECG_FIT_ONE_CLASS;
    for (int64_t i = 0; i < t->n; i++) {
        const term *m = &t->term[i];
        for (int y = 0; y < 2; y++)
            if (y ? m->positives > 0 : m->positives < m->count) {
                highest[y] = fmax(highest[y], m->x);
                lowest[y] = fmin(lowest[y], m->x);
            }
    }
    if (t->term[0].x == t->term[t->n - 1].x)
        return ECG_FIT_CONSTANT;
    return lowest[1] >= highest[0] || lowest[0] >= highest[1] ? ECG_FIT_SEPARABLE : ECG_FIT_OK;
}

static int recalibrate(ecg_calibration *out, const ecg_sorted *s)
{
    terms t;
    if (make_terms(&t, s))
        return -1;
    double a = 0, b = 1;
    out->fit = why_no_fit(&t, s);
    if (out->fit != ECG_FIT_ONE_CLASS && newton(&a, &b, &t, 1))
        out->offset = a - t.mean;
    if (!out->fit) {
        a = isnan(out->offset) ? 0 : a;
        b = 1;
        if (newton(&a, &b, &t, 2)) {
            out->intercept = a - b * t.mean;
            out->slope = b;
        } else {
            out->fit = ECG_FIT_FAILED;
        }
    }
    free(t.term);
    return 0;
}

int ecg_calibrate(ecg_calibration *out, const ecg_sorted *s)
{
    *out = (ecg_calibration){.brier = NAN, .brier_skill = NAN, .slope = NAN, .intercept = NAN, .offset = NAN, .mean_predicted = NAN, .prevalence = NAN,
                             .ece = {NAN, NAN, NAN}, .fit = ECG_FIT_ONE_CLASS};
    if (s->nan || s->n == 0)
        return 0;
    double squares = 0, sum = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double gap = s->score[i] - s->label[i];
        squares += gap * gap;
        sum += s->score[i];
    }
    out->brier = squares / (double)s->n;
    out->mean_predicted = sum / (double)s->n;
    out->prevalence = (double)s->positives / (double)s->n;
    if (s->positives && s->positives < s->n)
        out->brier_skill = 1 - out->brier / (out->prevalence * (1 - out->prevalence));
    for (int binning = 0; binning < ECG_BINNINGS; binning++) {
        ecg_reliability r;
        ecg_reliability_of(&r, s, binning);
        out->ece[binning] = error_of(&r, s->n);
    }
    return recalibrate(out, s);
}
