/* SPDX-License-Identifier: MIT
 * test_ridge.c: the solution is where the gradient of the objective of ridge.h is zero; what constant, repeated and far-off features do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "stat/ridge.h"

enum { P = 6, Q = 3, N = 203 }; /* N is no multiple of the rows that go through together */

typedef struct { double x[N][P], y[N][Q]; } data;

static void draw(data *d, uint32_t which, double offset, double scale)
{
    ecg_rng g;
    ecg_rng_open(&g, 11, 0, 400, which, 0);
    for (int i = 0; i < N; i++) {
        for (int a = 0; a < P; a++)
            d->x[i][a] = offset + scale * (a + 1) * (ecg_rng_normal(&g) + (a ? 0.5 * (d->x[i][a - 1] - offset) / (scale * a) : 0));
        for (int t = 0; t < Q; t++)
            d->y[i][t] = (t + 1) * (d->x[i][t] - offset) / scale - (d->x[i][4] - offset) / scale + 0.3 * ecg_rng_normal(&g) + 7;
    }
}

static void solve(double c[Q][P + 1], const data *d, double penalty)
{
    ecg_ridge *r = ecg_ridge_new(P, Q);
    assert_non_null(r);
    for (int i = 0; i < N; i++)
        ecg_ridge_add(r, d->x[i], d->y[i]);
    assert_int_equal(ecg_ridge_rows(r), N);
    assert_int_equal(ecg_ridge_solve(&c[0][0], r, penalty), 0);
    ecg_ridge_free(r);
}

/* The gradient of the objective, in the standardised units it is written in; the largest of its members. */
static double gradient(const data *d, const double *c, int t, double penalty)
{
    double mean[P] = {0}, sd[P] = {0}, g[P] = {0}, g0 = 0, most = 0;
    for (int a = 0; a < P; a++) {
        for (int i = 0; i < N; i++)
            mean[a] += d->x[i][a] / N;
        for (int i = 0; i < N; i++)
            sd[a] += (d->x[i][a] - mean[a]) * (d->x[i][a] - mean[a]) / N;
        sd[a] = sqrt(sd[a]);
    }
    for (int i = 0; i < N; i++) {
        const double left = d->y[i][t] - ecg_ridge_at(c, d->x[i], P);
        g0 += -2 * left / N;
        for (int a = 0; a < P; a++)
            g[a] += -2 * left * (d->x[i][a] - mean[a]) / sd[a] / N;
    }
    for (int a = 0; a < P; a++)
        most = fmax(most, fabs(g[a] + 2 * penalty * c[a] * sd[a]));
    return fmax(most, fabs(g0));
}

static void the_gradient_is_zero(void **state)
{
    (void)state;
    static data d;
    double c[Q][P + 1];
    const struct { double penalty, offset, scale, tolerance; const char *why; } cases[] = {
        {0, 0, 1, 1e-12, "least squares"},
        {1e-3, 0, 1, 1e-12, "a weak penalty"},
        {1, 0, 1, 1e-12, "as strong as the features"},
        {100, 0, 1, 1e-12, "almost the mean"},
        {0.1, 1e7, 1, 1e-6, "a large common offset"},
        {0.1, 0, 1e-9, 1e-12, "small units"},
        {0.1, 0, 1e9, 1e-12, "large units"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        draw(&d, (uint32_t)k, cases[k].offset, cases[k].scale);
        solve(c, &d, cases[k].penalty);
        for (int t = 0; t < Q; t++) {
            const double g = gradient(&d, c[t], t, cases[k].penalty);
            if (!(g < cases[k].tolerance))
                fail_msg("%s, target %d: gradient %g", cases[k].why, t, g);
        }
    }
}

static void targets_share_rows_and_nothing_else(void **state)
{
    (void)state;
    static data d;
    double c[Q][P + 1], alone[P + 1];
    draw(&d, 20, 3, 1);
    solve(c, &d, 0.1);
    for (int t = 0; t < Q; t++) {
        ecg_ridge *r = ecg_ridge_new(P, 1);
        for (int i = 0; i < N; i++)
            ecg_ridge_add(r, d.x[i], &d.y[i][t]);
        assert_int_equal(ecg_ridge_solve(alone, r, 0.1), 0);
        for (int a = 0; a <= P; a++)
            assert_true(fabs(alone[a] - c[t][a]) < 1e-12);
        ecg_ridge_free(r);
    }
}

static void rows_may_come_after_a_solution(void **state)
{
    (void)state;
    static data d;
    double c[Q][P + 1], whole[Q][P + 1];
    draw(&d, 21, 0, 1);
    solve(whole, &d, 0.5);
    ecg_ridge *r = ecg_ridge_new(P, Q);
    for (int i = 0; i < N; i++) {
        ecg_ridge_add(r, d.x[i], d.y[i]);
        if (i == 50 || i == 51)
            assert_int_equal(ecg_ridge_solve(&c[0][0], r, 0.5), 0);
    }
    assert_int_equal(ecg_ridge_solve(&c[0][0], r, 0.5), 0);
    for (int t = 0; t < Q; t++)
        for (int a = 0; a <= P; a++)
            assert_true(fabs(whole[t][a] - c[t][a]) < 1e-12);
    ecg_ridge_clear(r);
    assert_int_equal(ecg_ridge_rows(r), 0);
    assert_int_equal(ecg_ridge_solve(&c[0][0], r, 0.5), -1);
    ecg_ridge_free(r);
}

static void features_that_say_nothing_get_nothing(void **state)
{
    (void)state;
    static data d;
    double c[Q][P + 1];
    draw(&d, 22, 0, 1);
    for (int i = 0; i < N; i++) {
        d.x[i][1] = 4.25;                          /* constant */
        d.x[i][3] = 2 * d.x[i][0] - d.x[i][2] + 1; /* a combination */
    }
    solve(c, &d, 0);
    for (int t = 0; t < Q; t++) {
        assert_true(c[t][1] == 0 && c[t][3] == 0);
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) {
            const double left = d.y[i][t] - ecg_ridge_at(c[t], d.x[i], P);
            assert_true(isfinite(left));
            sum += left;
            squares += left * d.x[i][0];
        }
        assert_true(fabs(sum) < 1e-9 && fabs(squares) < 1e-8); /* still least squares in the others */
    }
}

static void one_row_is_its_own_mean(void **state)
{
    (void)state;
    double c[P + 1];
    const double x[P] = {1, 2, 3, 4, 5, 6}, y = 9;
    ecg_ridge *r = ecg_ridge_new(P, 1);
    ecg_ridge_add(r, x, &y);
    assert_int_equal(ecg_ridge_solve(c, r, 1), 0);
    assert_true(ecg_ridge_at(c, x, P) == 9);
    for (int a = 0; a < P; a++)
        assert_true(c[a] == 0);
    ecg_ridge_free(r);
    ecg_ridge_free(NULL);
    assert_null(ecg_ridge_new(0, 1));
    assert_null(ecg_ridge_new(1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gradient_is_zero),
        cmocka_unit_test(targets_share_rows_and_nothing_else),
        cmocka_unit_test(rows_may_come_after_a_solution),
        cmocka_unit_test(features_that_say_nothing_get_nothing),
        cmocka_unit_test(one_row_is_its_own_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
