/* SPDX-License-Identifier: MIT
 * associate.c: see associate.h. Counting alone: one pass over the patients a pair, then sums over strata. */
#include "explain/associate.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { AGES = 8 /* unknown, under 30, 30s .. 70s, 80 and over */, SEXES = 3, STRATA = AGES * SEXES };

static const double z95 = 1.959963984540054;

static int stratum(double age, double sex)
{
    const int a = isnan(age) ? 0 : age < 30 ? 1 : age >= 80 ? 7 : (int)(age / 10) - 1;
    return a * SEXES + (isnan(sex) ? 0 : sex > 0.5 ? 2 : 1);
}

/* Mantel and Haenszel 1959; variance of the logarithm after Robins, Breslow and Greenland 1986. */
void ecg_odds_ratio(double *odds, double *lo, double *hi, double *p, const int64_t *table, int strata)
{
    double R = 0, S = 0, PR = 0, mixed = 0, QS = 0;
    *odds = *lo = *hi = *p = NAN;
    for (int i = 0; i < strata; i++) {
        const double a = (double)table[4 * i], b = (double)table[4 * i + 1], c = (double)table[4 * i + 2], d = (double)table[4 * i + 3];
        const double n = a + b + c + d;
        if (!(n > 0))
            continue;
        const double P = (a + d) / n, Q = (b + c) / n, r = a * d / n, s = b * c / n;
        R += r;
        S += s;
        PR += P * r;
        mixed += P * s + Q * r;
        QS += Q * s;
    }
    if (!(R > 0) || !(S > 0))
        return;
    const double error = sqrt(PR / (2 * R * R) + mixed / (2 * R * S) + QS / (2 * S * S)), level = log(R / S);
    *odds = R / S;
    *lo = exp(level - z95 * error);
    *hi = exp(level + z95 * error);
    *p = erfc(fabs(level) / error / sqrt(2));
}

typedef struct { double p; int64_t at; } ranked;

static int by_p(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

int ecg_false_discovery(double *q, const double *p, int64_t n)
{
    ranked *r = malloc((size_t)(n > 0 ? n : 1) * sizeof *r);
    int64_t m = 0;
    if (!r)
        return -1;
    for (int64_t i = 0; i < n; i++) {
        q[i] = NAN;
        if (!isnan(p[i]))
            r[m++] = (ranked){p[i], i};
    }
    qsort(r, (size_t)m, sizeof *r, by_p);
    double smallest = 1;
    for (int64_t i = m; i-- > 0;) {
        smallest = fmin(smallest, r[i].p * (double)m / (double)(i + 1));
        q[r[i].at] = smallest;
    }
    free(r);
    return 0;
}

/* ---- all pairs ------------------------------------------------------------------------------------------------------------------- */

typedef struct { int64_t patient, row; } owner;

static int by_patient(const void *a, const void *b)
{
    const owner *x = a, *y = b;
    if (x->patient != y->patient)
        return x->patient < y->patient ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

typedef struct {
    ecg_association *out;
    double *p;             /* (K, P) */
    const int8_t *label, *measured;
    const int64_t *row;    /* (people) */
    const uint8_t *stratum; /* (people) */
    int64_t people;
    int K, P;
} counting;

static void one_pair(counting *c, int k, int p)
{
    int64_t table[STRATA * 4] = {0}, sum[4] = {0};
    ecg_association *a = &c->out[(size_t)k * (size_t)c->P + (size_t)p];
    for (int64_t i = 0; i < c->people; i++) {
        const int8_t y = c->label[c->row[i] * c->K + k], m = c->measured[c->row[i] * c->P + p];
        if ((y == 0 || y == 1) && (m == 0 || m == 1))
            table[4 * c->stratum[i] + (m ? (y ? 0 : 2) : y ? 1 : 3)]++;
    }
    for (int i = 0; i < STRATA * 4; i++)
        sum[i % 4] += table[i];
    double odds, lo, hi;
    ecg_odds_ratio(&odds, &lo, &hi, &c->p[(size_t)k * (size_t)c->P + (size_t)p], table, STRATA);
    const double n = (double)(sum[0] + sum[1] + sum[2] + sum[3]), with = (double)(sum[0] + sum[1]), abnormal = (double)(sum[0] + sum[2]);
    *a = (ecg_association){.patients = (float)n, .both = (float)sum[0], .odds = (float)odds, .lo = (float)lo, .hi = (float)hi, .q = NAN,
                           .lift = with > 0 && abnormal > 0 ? (float)((double)sum[0] / abnormal / (with / n)) : NAN};
}

static void count_label(void *ctx, int item, int worker)
{
    counting *c = ctx;
    (void)worker;
    for (int p = 0; p < c->P; p++)
        one_pair(c, item, p);
}

int ecg_associate(ecg_association *out, const int8_t *label, const int8_t *measured, const double *pattern, const int64_t *patient, int64_t n, int K, int P,
                  ecg_pool *pool)
{
    const size_t pairs = (size_t)K * (size_t)P;
    owner *who = malloc((size_t)(n + 1) * sizeof *who);
    int64_t *row = malloc((size_t)(n + 1) * sizeof *row);
    uint8_t *at = malloc((size_t)n + 1);
    double *p = malloc(pairs * 2 * sizeof *p);
    counting c = {out, p, label, measured, row, at, 0, K, P};
    bool failed = !who || !row || !at || !p;
    if (!failed) {
        for (int64_t i = 0; i < n; i++)
            who[i] = (owner){patient[i], i};
        qsort(who, (size_t)n, sizeof *who, by_patient);
        for (int64_t i = 0; i < n; i++)
            if (!i || who[i].patient != who[i - 1].patient) {
                row[c.people] = who[i].row;
                at[c.people++] = (uint8_t)stratum(pattern[2 * who[i].row], pattern[2 * who[i].row + 1]);
            }
        ecg_pool_run(pool, count_label, &c, K);
        failed = ecg_false_discovery(p + pairs, p, (int64_t)pairs);
    }
    for (size_t i = 0; i < pairs && !failed; i++)
        out[i].q = (float)p[pairs + i];
    free(who);
    free(row);
    free(at);
    free(p);
    return failed ? -1 : 0;
}
