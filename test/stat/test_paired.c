/* SPDX-License-Identifier: MIT
 * test_paired.c: the bootstrap of double scores, of average precision and of differences, against areas under the weights of each resample. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "stat/bootstrap.h"

enum { N = 160, K = 4, UNITS = 50, RESAMPLES = 130 }; /* two blocks of resamples and a part of a third */

typedef struct {
    double score[N * K], against[N * K];
    int8_t label[N * K];
    int64_t unit[N];
} data;

static void make(data *d)
{
    static const double prevalence[K] = {0.4, 0.1, 0.012, 0}; /* the third is undefined in some resamples, the fourth in all */
    ecg_rng g;
    ecg_rng_open(&g, 21, 0, 900, 0, 0);
    for (int i = 0; i < N; i++) {
        d->unit[i] = ecg_rng_below(&g, UNITS);
        for (int k = 0; k < K; k++) {
            const int at = i * K + k;
            d->label[at] = ecg_rng_below(&g, 10) == 0 ? -1 : ecg_rng_uniform(&g) < prevalence[k];
            d->score[at] = 0.5 + 1e-12 * floor(20 * (ecg_rng_uniform(&g) + 0.5 * (d->label[at] == 1))); /* ties; all one float */
            d->against[at] = ecg_rng_uniform(&g) + 0.2 * (d->label[at] == 1);
        }
    }
}

/* Weights of resample r: units numbered by rising value, as bootstrap.h says. */
static void weights(uint32_t *w, const data *d, int r)
{
    uint32_t times[UNITS] = {0}, number[UNITS], units = 0;
    ecg_rng g;
    for (uint32_t u = 0; u < UNITS; u++) {
        bool there = false;
        for (int i = 0; i < N; i++)
            there |= d->unit[i] == u;
        number[u] = units;
        units += there;
    }
    ecg_rng_open(&g, 42, 0, ECG_STREAM_BOOTSTRAP, (uint32_t)r, 0);
    for (uint32_t u = 0; u < units; u++)
        times[ecg_rng_below(&g, units)]++;
    for (int i = 0; i < N; i++)
        w[i] = times[number[d->unit[i]]];
}

/* Under weights, by every pair of rows and every positive's threshold. */
static ecg_areas plain(const double *score, const int8_t *label, int64_t entries, int64_t stride, int64_t per_weight, const uint32_t *w)
{
    double won = 0, pairs = 0, gained = 0, positives = 0, negatives = 0;
    for (int64_t i = 0; i < entries; i++) {
        const double wi = w[i / per_weight];
        double called = 0, right = 0;
        positives += label[i * stride] == 1 ? wi : 0;
        negatives += label[i * stride] == 0 ? wi : 0;
        if (label[i * stride] != 1 || wi == 0)
            continue;
        for (int64_t j = 0; j < entries; j++) {
            const double wj = w[j / per_weight];
            if (label[j * stride] < 0)
                continue;
            if (label[j * stride] == 0) {
                pairs += wi * wj;
                won += wi * wj * (score[i * stride] > score[j * stride] ? 1 : score[i * stride] == score[j * stride] ? 0.5 : 0);
            }
            if (score[j * stride] >= score[i * stride]) {
                called += wj;
                right += label[j * stride] == 1 ? wj : 0;
            }
        }
        gained += wi * right / called;
    }
    if (!(positives > 0 && negatives > 0))
        return (ecg_areas){NAN, NAN};
    return (ecg_areas){won / pairs, gained / positives};
}

/* Replicates: [set][area][label, macro, micro][resample], points behind them. */
typedef struct { double at[2][2][K + 2][RESAMPLES + 1]; } table;

static void fill(table *t, const data *d)
{
    uint32_t w[N];
    for (int r = 0; r <= RESAMPLES; r++) {
        for (int i = 0; i < N; i++)
            w[i] = 1;
        if (r < RESAMPLES)
            weights(w, d, r);
        for (int set = 0; set < 2; set++) {
            const double *score = set ? d->against : d->score;
            double sum[2] = {0, 0};
            int defined = 0;
            for (int k = 0; k < K; k++) {
                const ecg_areas x = plain(score + k, d->label + k, N, K, 1, w);
                t->at[set][0][k][r] = x.auroc;
                t->at[set][1][k][r] = x.precision;
                sum[0] += isnan(x.auroc) ? 0 : x.auroc;
                sum[1] += isnan(x.auroc) ? 0 : x.precision;
                defined += !isnan(x.auroc);
            }
            const ecg_areas micro = plain(score, d->label, N * K, 1, K, w);
            for (int a = 0; a < 2; a++) {
                t->at[set][a][K][r] = defined ? sum[a] / defined : NAN;
                t->at[set][a][K + 1][r] = a ? micro.precision : micro.auroc;
            }
        }
    }
}

static void assert_near(double got, double want, const char *what, int at)
{
    if (isnan(got) != isnan(want) || fabs(got - want) > 1e-12)
        fail_msg("%s [%d]: %.17g, expected %.17g", what, at, got, want);
}

static void assert_interval(const ecg_interval *got, const double *replicate, const char *what, int at)
{
    double room[RESAMPLES];
    int64_t undefined = 0;
    for (int r = 0; r < RESAMPLES; r++)
        undefined += isnan(replicate[r]);
    memcpy(room, replicate, sizeof room);
    assert_near(got->point, replicate[RESAMPLES], what, at);
    assert_near(got->lo, ecg_percentile(room, RESAMPLES, 0.025), what, at);
    assert_near(got->hi, ecg_percentile(room, RESAMPLES, 0.975), what, at);
    assert_int_equal(got->undefined, undefined);
}

static void assert_difference(const ecg_difference *got, const table *t, int area, int k, const char *what)
{
    double gap[RESAMPLES + 1], above = 0, defined = 0;
    for (int r = 0; r <= RESAMPLES; r++)
        gap[r] = t->at[0][area][k][r] - t->at[1][area][k][r];
    for (int r = 0; r < RESAMPLES; r++) {
        above += gap[r] > 0;
        defined += !isnan(gap[r]);
    }
    assert_interval(&(ecg_interval){got->point, got->lo, got->hi, got->undefined}, gap, what, k);
    assert_near(got->above, defined > 0 ? above / defined : NAN, what, k);
}

static void every_replicate_is_the_area_under_its_weights(void **state)
{
    (void)state;
    static data d;
    static table t;
    make(&d);
    fill(&t, &d);
    for (int threads = 1; threads <= 3; threads += 2) {
        ecg_pool *pool = ecg_pool_new(threads);
        ecg_boot b;
        assert_int_equal(ecg_bootstrap(&b, &(ecg_boot_task){.score = d.score, .against = d.against, .label = d.label, .n = N, .K = K, .unit = d.unit,
                                                            .resamples = RESAMPLES, .seed = 42, .precision = 1, .micro = 1}, pool), 0);
        assert_int_equal(b.sets, 2);
        for (int set = 0; set < 2; set++) {
            for (int k = 0; k < K; k++) {
                assert_interval(&b.set[set].label_auroc[k], t.at[set][0][k], "AUROC", k);
                assert_interval(&b.set[set].label_precision[k], t.at[set][1][k], "average precision", k);
            }
            assert_interval(&b.set[set].auroc.macro, t.at[set][0][K], "macro", set);
            assert_interval(&b.set[set].auroc.micro, t.at[set][0][K + 1], "micro", set);
            assert_interval(&b.set[set].precision.macro, t.at[set][1][K], "macro precision", set);
            assert_interval(&b.set[set].precision.micro, t.at[set][1][K + 1], "micro precision", set);
            assert_true(isnan(b.set[set].precision.macro_half.point));
        }
        assert_true(b.set[0].label_auroc[2].undefined > 3 && b.set[0].label_auroc[2].undefined < RESAMPLES - 3);
        assert_int_equal(b.set[0].label_auroc[3].undefined, RESAMPLES);
        for (int k = 0; k < K; k++)
            assert_difference(&b.paired.label[k], &t, 0, k, "difference");
        assert_difference(&b.paired.macro, &t, 0, K, "macro difference");
        assert_difference(&b.paired.micro, &t, 0, K + 1, "micro difference");
        assert_difference(&b.paired.macro_precision, &t, 1, K, "macro difference of precision");
        assert_difference(&b.paired.micro_precision, &t, 1, K + 1, "micro difference of precision");
        ecg_boot_clear(&b);
        ecg_pool_free(pool);
    }
}

static void a_set_against_itself_differs_by_nothing(void **state)
{
    (void)state;
    static data d;
    ecg_boot b;
    make(&d);
    assert_int_equal(ecg_bootstrap(&b, &(ecg_boot_task){.score = d.score, .against = d.score, .label = d.label, .n = N, .K = K, .unit = d.unit,
                                                        .resamples = 70, .seed = 1}, NULL), 0);
    assert_true(b.paired.macro.point == 0 && b.paired.macro.lo == 0 && b.paired.macro.hi == 0 && b.paired.macro.above == 0.5);
    assert_true(isnan(b.paired.micro.point) && isnan(b.set[0].auroc.micro.point) && isnan(b.set[0].precision.macro.point)); /* not asked for */
    assert_true(isnan(b.paired.label[3].point) && isnan(b.paired.label[3].above));
    ecg_boot_clear(&b);
    d.against[7 * K + 1] = NAN; /* an unknown answer: no value for its label, the others stay */
    d.label[7 * K + 1] = 1;
    assert_int_equal(ecg_bootstrap(&b, &(ecg_boot_task){.score = d.score, .against = d.against, .label = d.label, .n = N, .K = K, .unit = d.unit,
                                                        .resamples = 70, .seed = 1, .micro = 1}, NULL), 0);
    assert_true(isnan(b.paired.label[1].point) && !isnan(b.paired.label[0].lo) && isnan(b.paired.micro.point));
    assert_near(b.paired.macro.point, ((b.set[0].label_auroc[0].point - b.set[1].label_auroc[0].point) +
                                       (b.set[0].label_auroc[2].point - b.set[1].label_auroc[2].point)) / 2, "macro over what both have", 0);
    ecg_boot_clear(&b);
}

static void it_stops_when_told(void **state)
{
    (void)state;
    static data d;
    const volatile sig_atomic_t stop = 1;
    ecg_boot b;
    make(&d);
    assert_int_equal(ecg_bootstrap(&b, &(ecg_boot_task){.score = d.score, .label = d.label, .n = N, .K = K, .resamples = 70, .seed = 1,
                                                        .watch = &(ecg_watch){.stop = &stop}}, NULL), -2);
    assert_null(b.set[0].label_auroc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_replicate_is_the_area_under_its_weights),
        cmocka_unit_test(a_set_against_itself_differs_by_nothing),
        cmocka_unit_test(it_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
