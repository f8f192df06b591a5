/* SPDX-License-Identifier: MIT
 * synth_course.c: identifiers, calendar, admissions, and which recordings there are.
 *
 * Stays of a patient never overlap: gaps between visits are at least 3 days, an ED stay lasts at most 20 hours and an admission at most a
 * quarter of the gap that follows. Extra stays lie in the second half of a gap, the recording outside the hospital before everything. */
#include "cohort/synth_course.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/text.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, WINDOW = 90 * MINUTE };
enum { OUTSIDE = 48, SECOND = 64 /* + visit */ }; /* counter words of what is no visit */

const char *const ecg_year_groups[5] = {"2008 - 2010", "2011 - 2013", "2014 - 2016", "2017 - 2019", "2020 - 2022"};

/* A bijection of [0, 10^7): four Feistel rounds on two halves of 12 bits, walked until the result is in range. */
static int64_t scrambled(const ecg_synth *s, uint32_t x, uint32_t which)
{
    do {
        uint32_t left = x >> 12, right = x & 4095;
        for (uint32_t round = 0; round < 4; round++) {
            const uint32_t counter[4] = {right, ECG_S_CAL, round, 0x80000000u | which}; /* no patient has this number */
            uint32_t word[4];
            ecg_philox(word, counter, s->key);
            const uint32_t next = left ^ (word[0] & 4095);
            left = right;
            right = next;
        }
        x = left << 12 | right;
    } while (x >= 10000000);
    return x;
}

enum { OF_PATIENT, OF_STAY, OF_STUDY };

/* The hour of arrival has density 1 + 0.75 sin(2 pi (h - 9.5) / 24): quiet nights, a peak in the afternoon. */
static int hour_of(double share)
{
    const double turn = 6.283185307179586477 / 24, start = ecg_cos(-9.5 * turn);
    for (int h = 1; h < 24; h++)
        if ((h - 0.75 / turn * (ecg_cos((h - 9.5) * turn) - start)) / 24 > share)
            return h - 1;
    return 23;
}

static int64_t exponential_days(double mean, double u)
{
    return (int64_t)(-mean * ecg_log(u));
}

static int64_t moment(const ecg_draws *d, int64_t day)
{
    return day * DAY + hour_of(UNIFORM(CAL, hour)) * HOUR + (int64_t)(60 * UNIFORM(CAL, minute)) * MINUTE + (int64_t)(60 * UNIFORM(CAL, second));
}

static void fill_stay(ecg_stay *stay, ecg_course *c, const ecg_synth *s, uint32_t number, int64_t day, int64_t longest)
{
    const ecg_draws draws = ecg_synth_draws(s, c->p.ordinal, number), *d = &draws;
    const uint32_t serial = 16 * c->p.ordinal + number - 1;
    stay->number = number;
    stay->extra = stay->icd9 = stay->died = false;
    stay->effects.n = 0;
    ecg_synth_visit(&stay->v, s, &c->p, number, false, &stay->effects);
    ecg_synth_take(&stay->take, s, &c->p, &stay->v, number, &stay->effects);
    ecg_synth_coding(&stay->coding, s, &c->p, &stay->v, &stay->take);
    stay->stay_id = 30000000 + scrambled(s, serial, OF_STAY);
    stay->in = moment(d, day);
    stay->out = stay->in + (int64_t)(MINUTE * min_of(1200, 330 * ecg_exp(0.5 * NORMAL(CAL, stay))));
    const bool late = s->options.distractors && UNIFORM(CAL, labs_late) < 0.08;
    stay->labs = stay->in + (int64_t)(MINUTE * (late ? 95 + 85 * UNIFORM(CAL, labs) : 15 + 65 * UNIFORM(CAL, labs)));
    stay->hadm_id = -1;
    const ecg_patient *p = &c->p;
    if (UNIFORM(CAL, admit) < ecg_logistic(-0.75 + 1.5 * stay->v.sev + 0.02 * (p->age - 60) + 0.3 * p->hf)) {
        stay->hadm_id = 20000000 + scrambled(s, serial, OF_PATIENT);
        const double days = 0.6 - (2.2 + 1.5 * stay->v.sev) * ecg_log(UNIFORM(CAL, los));
        stay->admit = stay->out - (int64_t)(MINUTE * 60 * UNIFORM2(CAL, admit));
        stay->discharge = stay->out + (int64_t)min_of(days * DAY, (double)longest);
        /* the first two year groups are those of ICD-9: half of the patients, so 30 % of theirs make 15 % of all */
        stay->icd9 = s->options.distractors && c->year_group < 2 && UNIFORM(EXTRA, icd9) < 0.30;
    }
}

static void add_recording(ecg_course *c, const ecg_synth *s, ecg_recording_kind kind, int stay, uint32_t number, uint32_t ordinal, int64_t time)
{
    if (ordinal > ECG_RECORDINGS)
        return; /* a 17th is not written */
    ecg_recording *r = &c->recording[c->recordings++];
    *r = (ecg_recording){.kind = kind, .stay = stay, .number = number, .time = time};
    r->study_id = 40000000 + scrambled(s, 16 * c->p.ordinal + ordinal - 1, OF_STUDY);
    r->late = stay >= 0 && time > c->stay[stay].in + WINDOW;
}

static int by_time(const void *a, const void *b)
{
    const ecg_recording *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

static void find_recordings(ecg_course *c, const ecg_synth *s, int visits, int64_t first_day, int64_t first_gap)
{
    const ecg_draws person = ecg_synth_draws(s, c->p.ordinal, 0);
    uint32_t next = (uint32_t)visits + 1; /* the first recordings of visits 1..k are numbers 1..k whatever the options */
    if (s->options.distractors && ecg_draw_uniform(&person, ECG_S_EXTRA, EXTRA_outside) < 0.15) {
        const double back = (double)first_gap * (0.6 + 0.3 * ecg_draw_uniform(&person, ECG_S_EXTRA, EXTRA_outside_day));
        const ecg_draws d = ecg_synth_draws(s, c->p.ordinal, OUTSIDE);
        ecg_synth_visit(&c->outside, s, &c->p, OUTSIDE, true, NULL);
        add_recording(c, s, ECG_OUTSIDE_HOSPITAL, -1, OUTSIDE, next++, moment(&d, first_day - (int64_t)back));
    }
    for (int i = 0; i < c->stays; i++) {
        ecg_stay *stay = &c->stay[i];
        if (stay->extra)
            continue;
        const ecg_draws draws = ecg_synth_draws(s, c->p.ordinal, stay->number), *d = &draws;
        const double minutes = 2 + (s->options.distractors ? 95 : 88) * ecg_exp(1.3 * ecg_log(UNIFORM(CAL, ecg)));
        const int64_t time = stay->in + (int64_t)(MINUTE * minutes);
        add_recording(c, s, ECG_FIRST_OF_STAY, i, stay->number, stay->number, time);
        if (stay->out < time + 10 * MINUTE)
            stay->out = time + 10 * MINUTE;
        /* a tenth of the stays; those whose first recording comes after minute 83 have no time left, hence 0.113 */
        if (s->options.distractors && minutes < 83 && UNIFORM(EXTRA, second) < 0.113) {
            const double again = minutes + 5 + (89 - minutes - 5) * UNIFORM2(EXTRA, second);
            add_recording(c, s, ECG_SECOND_OF_STAY, i, SECOND + stay->number, next++, stay->in + (int64_t)(MINUTE * again));
            if (stay->out < stay->in + 100 * MINUTE)
                stay->out = stay->in + 100 * MINUTE;
        }
    }
    qsort(c->recording, (size_t)c->recordings, sizeof *c->recording, by_time);
}

/* Terminal hazard after the last visit. */
static void find_death(ecg_course *c, const ecg_synth *s)
{
    ecg_stay *last = &c->stay[c->stays - 1];
    const ecg_draws draws = ecg_synth_draws(s, c->p.ordinal, 0), *d = &draws;
    c->dod = INT64_MIN;
    if (UNIFORM(CAL, death) >= 0.008 * last->v.sev + 0.002 * above(c->p.age - 75))
        return;
    const int64_t death = last->out + (int64_t)(-60.0 * DAY * ecg_log(UNIFORM(CAL, death_day)));
    c->dod = death - death % DAY;
    if (last->hadm_id >= 0 && death < last->discharge) {
        last->discharge = death;
        last->died = true;
    }
}

int ecg_synth_visits(const ecg_synth *s, uint32_t ordinal)
{
    const ecg_draws draws = ecg_synth_draws(s, ordinal, 0), *d = &draws;
    const double many = UNIFORM(CAL, visits);
    int visits = 1;
    while (visits < ECG_STAYS && many > s->visits_share[visits - 1])
        visits++;
    return visits;
}

void ecg_synth_course(ecg_course *c, const ecg_synth *s, uint32_t ordinal)
{
    const ecg_draws draws = ecg_synth_draws(s, ordinal, 0), *d = &draws;
    ecg_synth_patient(&c->p, s, ordinal);
    c->subject_id = 10000000 + scrambled(s, ordinal, OF_PATIENT);
    c->stays = c->recordings = 0;
    c->anchor_year = 2110 + (int)(90 * UNIFORM(CAL, anchor_year));
    c->anchor_age = c->p.age >= 90 ? 91 : (int)c->p.age;
    static const double group_up_to[5] = {0.27, 0.51, 0.73, 0.92, 1};
    const double u = UNIFORM(CAL, year_group);
    for (c->year_group = 0; u > group_up_to[c->year_group]; c->year_group++) {}
    const int visits = ecg_synth_visits(s, ordinal);

    const int64_t first_day = ecg_days_from_civil(c->anchor_year, 1, 1) + (int64_t)(365 * UNIFORM(CAL, first_day));
    int64_t day = first_day, gap = 20, first_gap = 20;
    uint32_t unused = ECG_STAYS; /* extra stays take their numbers from the end */
    for (uint32_t number = 1; number <= (uint32_t)visits; number++) {
        const ecg_draws of_visit = ecg_synth_draws(s, ordinal, number), of_next = ecg_synth_draws(s, ordinal, number + 1);
        gap = exponential_days(400, ecg_draw_uniform(&of_visit, ECG_S_CAL, CAL_gap));
        if (number == 1)
            first_gap = gap = gap < 20 ? 20 : gap;
        else
            day += gap = gap < 3 ? 3 : gap;
        if (s->options.distractors && gap >= 8 && unused > (uint32_t)visits && ecg_draw_uniform(&of_visit, ECG_S_EXTRA, EXTRA_stay) < 0.20) {
            const double back = (double)gap * (0.3 + 0.2 * ecg_draw_uniform(&of_visit, ECG_S_EXTRA, EXTRA_stay_day));
            ecg_stay *extra = &c->stay[c->stays++];
            fill_stay(extra, c, s, unused--, day - (int64_t)back, gap * DAY / 10);
            extra->extra = true;
        }
        int64_t after = exponential_days(400, ecg_draw_uniform(&of_next, ECG_S_CAL, CAL_gap));
        after = after < 3 ? 3 : after;
        ecg_stay *stay = &c->stay[c->stays++];
        fill_stay(stay, c, s, number, day, after * DAY / 4);
    }
    find_recordings(c, s, visits, first_day, first_gap);
    find_death(c, s);
}

const ecg_visit *ecg_course_visit(const ecg_course *c, const ecg_recording *r)
{
    return r->stay < 0 ? &c->outside : &c->stay[r->stay].v;
}

void ecg_course_take(ecg_take *t, ecg_effects *f, const ecg_synth *s, const ecg_course *c, const ecg_recording *r)
{
    const ecg_visit *v = ecg_course_visit(c, r);
    ecg_visit again; /* the same state, computed again for what moved its rate */
    f->n = 0;
    ecg_synth_visit(&again, s, &c->p, v->number, r->kind == ECG_OUTSIDE_HOSPITAL, f);
    ecg_synth_take(t, s, &c->p, v, r->number, f);
}
