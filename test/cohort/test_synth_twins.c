/* SPDX-License-Identifier: MIT
 * Interventions and twins: what lies downstream of a variable moves, by what truth/effects says; all else stays, to the bit. Which
 * recordings get a twin: the same for any slice and number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/synth_tables.h"

enum { SAMPLES = ECG_SYNTH_SAMPLES, LEADS = ECG_SYNTH_LEADS };

static ecg_synth_options plain(void)
{
    ecg_synth_options o;
    ecg_synth_defaults(&o);
    o.seed = 11;
    return o;
}

static void must(ecg_status st, const ecg_err *err)
{
    if (st)
        fail_msg("%s: %s", err->path, err->msg);
}

static ecg_synth_options with_do(const char *what)
{
    ecg_synth_options o = plain();
    ecg_err err;
    must(ecg_synth_do(&o, what, &err), &err);
    return o;
}

/* ---- variables by number --------------------------------------------------------------------------------------------------- */

/* The three structs begin with their variables, all doubles, in the order of the table. */
static const double *variables_of(const ecg_course *c, int stay, int variable)
{
    return variable < ECG_VAR_FIRST_OF_VISIT  ? &c->p.male + variable
           : variable < ECG_VAR_FIRST_OF_TAKE ? &c->stay[stay].v.stemi + (variable - ECG_VAR_FIRST_OF_VISIT)
                                              : &c->stay[stay].take.PR + (variable - ECG_VAR_FIRST_OF_TAKE);
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static int variable_named(const char *name, size_t len)
{
    for (int i = 0; i < ECG_VARS; i++)
        if (strlen(ecg_synth_variables[i].name) == len && memcmp(ecg_synth_variables[i].name, name, len) == 0)
            return i;
    fail_msg("no variable %.*s", (int)len, name);
    return -1;
}

/* What a reader sees before any physiology: people, stays and recordings are where they were. */
static void same_calendar(const ecg_course *x, const ecg_course *y)
{
    assert_true(x->subject_id == y->subject_id && x->stays == y->stays && x->recordings == y->recordings && x->anchor_year == y->anchor_year);
    for (int i = 0; i < x->stays; i++)
        assert_true(x->stay[i].stay_id == y->stay[i].stay_id && x->stay[i].in == y->stay[i].in && x->stay[i].labs == y->stay[i].labs);
    for (int i = 0; i < x->recordings; i++)
        assert_true(x->recording[i].study_id == y->recording[i].study_id && x->recording[i].time == y->recording[i].time
                    && x->recording[i].kind == y->recording[i].kind);
}

/* ---- what moves and what does not -------------------------------------------------------------------------------------------- */

/* All that lies downstream of a variable. ?name: so seldom reached that it need not move here. */
static const struct {
    const char *intervention, *moves;
} downstream[] = {
    {"K=4.1", "K hr PR QRSd QTc RSA HRSD pamp ?PSD isc ta kT tw uwave ppvc"},
    {"iCa=1.20", "iCa Ca QTc"},
    {"Mg=2", "Mg iCa Ca PR QTc ?PSD uwave ppvc"},
    {"hb=13.5", "hb hr PR RSA HRSD ?PSD isc ta uwave"},
    {"temp=36.8", "temp resp hr PR RSA HRSD ?PSD isc ta uwave emg ?QTc"},
    {"gluc=100", "gluc ta"},
    {"t4=0", "t4 hr PR RSA HRSD isc ta uwave ?PSD"},
    {"hfe=0", "hfe Na trop bnp alt bili QTc lae ?PSD ppac"},
    {"trop=0.01", "trop"},
    {"bnp=100", "bnp"},
    {"hr=75", "hr PR RSA HRSD ?PSD isc ta uwave"},
};

static void only_what_lies_downstream_moves(void **state)
{
    (void)state;
    static ecg_synth a, b;
    static ecg_course x, y;
    const ecg_synth_options before = plain();
    ecg_synth_begin(&a, &before);
    for (size_t row = 0; row < sizeof downstream / sizeof *downstream; row++) {
        enum { STAYS_FIXED, MOVES, MAY_MOVE };
        int allowed[ECG_VARS] = {0}, moved[ECG_VARS] = {0};
        for (const char *at = downstream[row].moves; *at;) {
            const bool may = *at == '?';
            at += may;
            const size_t len = strcspn(at, " ");
            allowed[variable_named(at, len)] = may ? MAY_MOVE : MOVES;
            at += len + (at[len] == ' ');
        }
        const ecg_synth_options after = with_do(downstream[row].intervention);
        ecg_synth_begin(&b, &after);
        for (uint32_t p = 1; p <= 1500; p++) {
            ecg_synth_course(&x, &a, p);
            ecg_synth_course(&y, &b, p);
            same_calendar(&x, &y);
            for (int stay = 0; stay < x.stays; stay++)
                for (int i = 0; i < ECG_VARS; i++)
                    moved[i] += !same_bits(*variables_of(&x, stay, i), *variables_of(&y, stay, i));
        }
        for (int i = 0; i < ECG_VARS; i++) {
            if (moved[i] && allowed[i] == STAYS_FIXED)
                fail_msg("do(%s) moved %s", downstream[row].intervention, ecg_synth_variables[i].name);
            if (!moved[i] && allowed[i] == MOVES)
                fail_msg("do(%s) did not move %s", downstream[row].intervention, ecg_synth_variables[i].name);
        }
    }
}

/* Every variable in turn, forced to another value. Nothing of the person moves by a variable of a visit, nothing of a visit by one of the
 * recording, and the calendar by none. */
static void causes_come_before_effects(void **state)
{
    (void)state;
    static ecg_synth a, b;
    static ecg_course x, y;
    const ecg_synth_options o = plain();
    ecg_synth_begin(&a, &o);
    for (int forced = 0; forced < ECG_VARS; forced++) {
        const ecg_synth_variable *v = &ecg_synth_variables[forced];
        b = a;
        b.forced[forced] = v->least == 0 && v->most == 1 ? 1 : 0.5 * (v->least + v->most);
        const int before = forced < ECG_VAR_FIRST_OF_VISIT ? 0 : forced < ECG_VAR_FIRST_OF_TAKE ? ECG_VAR_FIRST_OF_VISIT : ECG_VAR_FIRST_OF_TAKE;
        for (uint32_t p = 1; p <= 25; p++) {
            ecg_synth_course(&x, &a, p);
            ecg_synth_course(&y, &b, p);
            same_calendar(&x, &y);
            assert_true(*variables_of(&y, 0, forced) == b.forced[forced]);
            for (int i = 0; i < before; i++)
                if (!same_bits(*variables_of(&x, 0, i), *variables_of(&y, 0, i)))
                    fail_msg("do(%s) moved %s, which comes before it", v->name, ecg_synth_variables[i].name);
        }
    }
}

/* A variable forced to what it is anyway changes nothing at all: an intervention shifts no random number. */
static void forcing_what_is_changes_nothing(void **state)
{
    (void)state;
    static ecg_synth a, b;
    static ecg_course x, y;
    const ecg_synth_options o = plain();
    ecg_synth_begin(&a, &o);
    int looked = 0;
    for (uint32_t p = 1; p <= 40; p++) {
        ecg_synth_course(&x, &a, p);
        if (x.stays > 1)
            continue; /* one visit: its values are those of all visits */
        for (int forced = 0; forced < ECG_VARS; forced++) {
            b = a;
            b.forced[forced] = *variables_of(&x, 0, forced);
            ecg_synth_course(&y, &b, p);
            for (int i = 0; i < ECG_VARS; i++)
                if (!same_bits(*variables_of(&x, 0, i), *variables_of(&y, 0, i)))
                    fail_msg("do(%s = what it is) moved %s", ecg_synth_variables[forced].name, ecg_synth_variables[i].name);
            assert_memory_equal(&x.stay[0].coding, &y.stay[0].coding, sizeof x.stay[0].coding);
            assert_memory_equal(&x.stay[0].take.t, &y.stay[0].take.t, sizeof x.stay[0].take.t);
            looked++;
        }
    }
    assert_true(looked > 1000);
}

/* ---- twins: which ---------------------------------------------------------------------------------------------------------- */

static ecg_twins find(int64_t patients, int wanted, int threads)
{
    static ecg_synth s;
    ecg_synth_options o = plain();
    o.last = patients;
    o.twins = wanted;
    ecg_synth_begin(&s, &o);
    ecg_pool *pool = threads > 1 ? ecg_pool_new(threads) : NULL;
    ecg_twins t;
    ecg_err err;
    const ecg_status st = ecg_synth_twins_find(&t, &s, pool, NULL, &err);
    ecg_pool_free(pool);
    must(st, &err);
    return t;
}

static void twins_lie_over_the_whole_cohort(void **state)
{
    (void)state;
    enum { PATIENTS = 6000, WANTED = 40, PARTS = 5 };
    ecg_twins t = find(PATIENTS, WANTED, 1), other = find(PATIENTS, WANTED, 3);
    assert_int_equal(t.n, WANTED * ECG_TWIN_CAUSES);
    assert_int_equal(t.n, other.n);
    assert_memory_equal(t.at, other.at, sizeof *t.at * (size_t)t.n);
    int count[ECG_TWIN_CAUSES][PARTS] = {{0}};
    for (int i = 0; i < t.n; i++) {
        const ecg_twin *twin = &t.at[i];
        assert_int_equal(twin->study_id, 50000001 + i);
        assert_in_range(twin->patient, 1, PATIENTS);
        assert_true(i == 0 || t.at[i - 1].patient <= twin->patient);
        count[twin->cause][(twin->patient - 1) * PARTS / PATIENTS]++;
        bool alone = twin->cause != ECG_TWIN_SHAM;
        for (int k = 0; k < t.n; k++) {
            assert_true(k == i || t.at[k].patient != twin->patient || t.at[k].cause != twin->cause || twin->cause == ECG_TWIN_SHAM);
            alone |= k != i && t.at[k].patient == twin->patient && t.at[k].visit == twin->visit;
        }
        assert_true(alone); /* a sham stands beside the twin of a cause */
    }
    for (int cause = 0; cause < ECG_TWIN_CAUSES; cause++)
        for (int part = 0; part < PARTS; part++)
            if (count[cause][part] < 2 || count[cause][part] > WANTED / 2) /* expected 8, sd 2.5 */
                fail_msg("%s: %d of %d in part %d of the cohort", ecg_twin_causes[cause].name, count[cause][part], WANTED, part);
    ecg_synth_twins_clear(&t);
    ecg_synth_twins_clear(&other);
    t = find(PATIENTS, 0, 1);
    assert_int_equal(t.n, 0);
    t = find(1, 10, 1);
    assert_true(t.n <= ECG_TWIN_CAUSES);
    ecg_synth_twins_clear(&t);
}

/* ---- twins: what they are ---------------------------------------------------------------------------------------------------- */

static double sum_of(const ecg_effects *f, int on)
{
    double sum = 0;
    for (int i = 0; i < f->n; i++)
        sum += f->row[i].on == on ? f->row[i].delta : 0;
    return sum;
}

/* What the T wave is multiplied by: age, sex and potassium are factors of their own; what the other causes take away adds up. */
static double t_factor(const ecg_effects *f)
{
    double product = 1, worn = 0;
    for (int i = 0; i < f->n; i++) {
        if (f->row[i].on != ECG_ON_T_factor)
            continue;
        const char *cause = f->row[i].cause;
        if (strcmp(cause, "age") == 0 || strcmp(cause, "male") == 0 || strcmp(cause, "K") == 0)
            product *= f->row[i].delta;
        else
            worn += 1 - f->row[i].delta;
    }
    return product * (1 - (worn < 0 ? 0 : worn > 0.7 ? 0.7 : worn));
}

/* A sum of terms is told exactly unless it met the bounds of its parameter. */
static void check_moved(const char *what, double before, double after, double told, double least, double most)
{
    if (before > least && before < most && after > least && after < most && fabs((before - after) - told) > 1e-9)
        fail_msg("%s: %.9g before, %.9g after, effects tell %.9g", what, before, after, told);
}

enum { FALLS = -1, SAME, RISES, ANY };
/* From the recording to its twin. */
static const struct {
    int PR, QRS, QTc, T, rate;
} direction[ECG_TWIN_CAUSES] = {
    {FALLS, FALLS, ANY, FALLS, ANY}, /* hyperkalaemia: the block and the peaked T go; a potassium below 3.6 would move the QT */
    {ANY, SAME, FALLS, RISES, SAME}, /* hypokalaemia */
    {SAME, SAME, FALLS, SAME, SAME}, /* hypocalcaemia */
    {ANY, SAME, SAME, ANY, FALLS},   /* anaemia: slower, hence a longer PR */
    {ANY, SAME, ANY, ANY, FALLS},    /* fever */
    {SAME, SAME, SAME, ANY, SAME},   /* sham */
};

static void check_direction(const char *what, const char *cause, int expected, double before, double after)
{
    const int seen = after < before ? FALLS : after > before ? RISES : SAME;
    if (expected != ANY && seen != expected)
        fail_msg("%s, %s: %.9g before, %.9g after", cause, what, before, after);
}

static void twins_move_by_what_effects_tell(void **state)
{
    (void)state;
    static ecg_course c;
    const ecg_synth_options o = plain();
    static ecg_synth s;
    ecg_synth_begin(&s, &o);
    ecg_twins twins = find(6000, 60, 2);
    double rate_moved[ECG_TWIN_CAUSES] = {0};
    for (int i = 0; i < twins.n; i++) {
        const ecg_twin *twin = &twins.at[i];
        const ecg_twin_cause *cause = &ecg_twin_causes[twin->cause];
        ecg_synth_course(&c, &s, twin->patient);
        const ecg_stay *stay = c.stay;
        while (stay->number != twin->visit || stay->extra)
            stay++;
        const ecg_visit *v = &stay->v;
        const ecg_take *t = &stay->take;
        ecg_visit w;
        ecg_take u;
        ecg_effects f = {.n = 0};
        ecg_synth_visit(&w, &twins.world[twin->cause], &c.p, twin->visit, false, &f);
        ecg_synth_take(&u, &twins.world[twin->cause], &c.p, &w, twin->visit, &f);

        const double was = ecg_twin_watched(cause, v);
        assert_true(ecg_twin_watched(cause, &w) == cause->value);
        assert_true(twin->cause == ECG_TWIN_SHAM || was > cause->above || was < cause->below);
        const ecg_effects *e = &stay->effects;
#define told(on) (sum_of(e, ECG_ON_##on) - sum_of(&f, ECG_ON_##on))
        check_moved("PR", t->PR, u.PR, told(PR_ms), 105, 330);
        check_moved("QRS", t->QRSd, u.QRSd, told(QRS_ms), 60, 250);
        check_moved("QTc", t->QTc, u.QTc, told(QTc_ms), 345, 565);
        check_moved("U", t->uwave, u.uwave, told(U_mV), 0, 0.25);
        check_moved("T width", t->tw, u.tw, told(T_width_share), 0.5, 1.35);
        check_moved("rate", v->hr, w.hr, told(HR_bpm), v->afib > 0 ? 48 : 38, v->afib > 0 ? 175 : 165);
#undef told
        if (fabs(u.ta / t->ta / (t_factor(&f) / t_factor(e)) - 1) > 1e-9)
            fail_msg("%s: T x %.6f, effects tell %.6f", cause->name, u.ta / t->ta, t_factor(&f) / t_factor(e));
        check_direction("PR", cause->name, direction[twin->cause].PR, t->PR, u.PR);
        check_direction("QRS", cause->name, direction[twin->cause].QRS, t->QRSd, u.QRSd);
        check_direction("QTc", cause->name, direction[twin->cause].QTc, t->QTc, u.QTc);
        check_direction("T amplitude", cause->name, direction[twin->cause].T, t->ta, u.ta);
        check_direction("rate", cause->name, direction[twin->cause].rate, v->hr, w.hr);
        rate_moved[twin->cause] += v->hr - w.hr;
        assert_true(t->volt == u.volt && t->axis == u.axis && t->bw == u.bw && t->mains == u.mains && t->lead_off == u.lead_off);
    }
    assert_true(rate_moved[3] / 60 > 4 && rate_moved[4] / 60 > 5); /* anaemia below 9.5: over 6 a beat less; fever above 38.3: over 7 */
    ecg_synth_twins_clear(&twins);
}

/* Electrodes do not know the blood: noise and beats draw from the same numbers, and the waveform of a twin is that of --do. */
static void twin_waveforms_are_those_of_the_intervention(void **state)
{
    (void)state;
    static ecg_course c;
    static ecg_synth s;
    static ecg_synth_room room, other;
    static int16_t one[SAMPLES][LEADS], two[SAMPLES][LEADS], before[SAMPLES][LEADS];
    const ecg_synth_options o = plain();
    ecg_synth_begin(&s, &o);
    ecg_twins twins = find(2000, 6, 1);
    int moved[ECG_TWIN_CAUSES] = {0};
    for (int i = 0; i < twins.n; i++) {
        const ecg_twin *twin = &twins.at[i];
        const ecg_twin_cause *cause = &ecg_twin_causes[twin->cause];
        const ecg_synth *world = &twins.world[twin->cause];
        ecg_synth_course(&c, &s, twin->patient);
        ecg_visit w;
        ecg_take u;
        ecg_synth_visit(&w, world, &c.p, twin->visit, false, NULL);
        ecg_synth_take(&u, world, &c.p, &w, twin->visit, NULL);
        ecg_synth_wave(one, &room, world, &c.p, &w, &u);
        char wish[64];
        snprintf(wish, sizeof wish, "%s=%g", ecg_synth_variables[cause->variable].name, cause->value);
        const ecg_synth_options after = with_do(wish);
        ecg_err err;
        must(ecg_synth_ecg(two, &after, twin->patient, (int)twin->visit, &err), &err);
        assert_memory_equal(one, two, sizeof one);
        must(ecg_synth_ecg(before, &o, twin->patient, (int)twin->visit, &err), &err);
        int largest = 0;
        for (int k = 0; k < SAMPLES; k++)
            for (int lead = 0; lead < LEADS; lead++) {
                const int gap = abs(one[k][lead] - before[k][lead]);
                largest = gap > largest ? gap : largest;
            }
        moved[twin->cause] += largest > 20; /* 0.1 mV */
        if (twin->cause == ECG_TWIN_SHAM && largest > 20)
            fail_msg("sham: moved by %d units", largest);
        if (cause->variable == ECG_VAR_K || cause->variable == ECG_VAR_iCa) {
            const ecg_stay *stay = c.stay;
            while (stay->number != twin->visit || stay->extra)
                stay++;
            ecg_synth_noise(&room, world, &c.p, &u);
            ecg_synth_noise(&other, &s, &c.p, &stay->take);
            assert_memory_equal(room.noise, other.noise, sizeof room.noise);
        }
    }
    for (int cause = 0; cause < ECG_TWIN_SHAM; cause++)
        assert_true(moved[cause] >= 5);
    ecg_synth_twins_clear(&twins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_lies_downstream_moves), cmocka_unit_test(causes_come_before_effects),
        cmocka_unit_test(forcing_what_is_changes_nothing), cmocka_unit_test(twins_lie_over_the_whole_cohort),
        cmocka_unit_test(twins_move_by_what_effects_tell), cmocka_unit_test(twin_waveforms_are_those_of_the_intervention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
