/* SPDX-License-Identifier: MIT
 * synth_lab_rows.c: labevents and the two dictionaries. */
#include <math.h>
#include <stdio.h>

#include "base/rng.h"
#include "cohort/synth_codes.h"
#include "cohort/synth_labs.h"
#include "cohort/synth_rows.h"
#include "cohort/synth_tables.h"

enum { MINUTE = 60, OTHER_FLUID = 5 /* tube number */, REPEAT = 6, TUBES = 7 };

/* Tests of other fluids: two with labels of their own, one that shares its label with a blood test. */
static const struct {
    int itemid;
    const char *label, *fluid, *category;
} other_fluids[3] = {{51082, "Creatinine, Urine", "Urine", "Chemistry"}, {50835, "Albumin, Ascites", "Ascites", "Chemistry"}, {51491, "pH", "Urine", "Hematology"}};

typedef struct {
    ecg_text *t;
    const ecg_synth *s;
    const ecg_course *c;
    const ecg_stay *stay;
    int64_t next_id;
    int64_t specimen[TUBES]; /* -1: not drawn yet */
    double store;            /* minutes from blood to result, of the first tube */
    char provider[16];
} lab_writer;

/* A hash of visit and tube in the range of MIMIC's numbers. */
static int64_t specimen(lab_writer *w, uint32_t tube)
{
    if (w->specimen[tube] < 0) {
        const ecg_draws d = ecg_synth_draws(w->s, w->c->p.ordinal, w->stay->number);
        w->specimen[tube] = (int64_t)(ecg_draw_uniform2(&d, ECG_S_LAB, ECG_LAB_TUBES + tube) * 1e8);
    }
    return w->specimen[tube];
}

static void begin_row(lab_writer *w, uint32_t tube, int itemid, int64_t time)
{
    ecg_row_int(w->t, w->next_id++);
    ecg_row_int(w->t, w->c->subject_id);
    ecg_row_id(w->t, w->stay->hadm_id);
    ecg_row_int(w->t, specimen(w, tube));
    ecg_row_int(w->t, itemid);
    ecg_row_text(w->t, w->provider);
    ecg_row_time(w->t, time);
    ecg_row_time(w->t, time + (int64_t)(MINUTE * (w->store + 3 * tube)));
}

static void limit_field(ecg_text *t, double x)
{
    int decimals = 0;
    while (decimals < 4 && ecg_rounded(x, decimals) != x)
        decimals++;
    ecg_row_fixed(t, x, decimals);
}

static void blood_row(lab_writer *w, int test, double x, uint32_t tube, int64_t time)
{
    const ecg_lab_test *l = &ecg_synth_tests[test];
    double low, high;
    ecg_synth_range(&low, &high, test, &w->c->p);
    begin_row(w, tube, l->itemid, time);
    const bool below = test == ECG_LAB_troponin && x < 0.01;
    if (below) {
        ecg_row_text(w->t, "<0.01");
        ecg_row_text(w->t, "");
    } else {
        ecg_row_fixed(w->t, x, l->decimals);
        ecg_row_fixed(w->t, x, l->decimals);
    }
    ecg_row_text(w->t, l->unit);
    limit_field(w->t, low);
    limit_field(w->t, high);
    ecg_row_text(w->t, !below && (x < low || x > ecg_synth_upper_limit(test, &w->c->p)) ? "abnormal" : "");
    ecg_row_text(w->t, "STAT");
    ecg_row_text(w->t, below ? "LESS THAN 0.01" : "");
    ecg_row_end(w->t);
}

static void other_fluid_row(lab_writer *w, int which, double x, const char *unit, int decimals, int64_t time)
{
    begin_row(w, OTHER_FLUID, other_fluids[which].itemid, time);
    ecg_row_fixed(w->t, x, decimals);
    ecg_row_fixed(w->t, x, decimals);
    ecg_row_text(w->t, unit);
    ecg_row_text(w->t, "");
    ecg_row_text(w->t, "");
    ecg_row_text(w->t, "");
    ecg_row_text(w->t, "ROUTINE");
    ecg_row_text(w->t, "");
    ecg_row_end(w->t);
}

static int other_fluid_rows(lab_writer *w)
{
    const ecg_draws draws = ecg_synth_draws(w->s, w->c->p.ordinal, w->stay->number), *d = &draws;
    const int64_t time = w->stay->in + 60 * MINUTE;
    int rows = 0;
    if (UNIFORM(EXTRA, urine) < 0.06)
        other_fluid_row(w, 0, 90 * ecg_exp(0.5 * NORMAL(EXTRA, urine_value)), "mg/dL", 0, time), rows++;
    if (w->c->p.cirr > 0 && UNIFORM(EXTRA, ascites) < 0.15)
        other_fluid_row(w, 1, max_of(0.3, 1.2 + 0.4 * NORMAL(EXTRA, ascites_value)), "g/dL", 1, time), rows++;
    if (UNIFORM(EXTRA, urine_ph) < 0.06)
        other_fluid_row(w, 2, clip(6 + 0.7 * NORMAL(EXTRA, urine_ph_value), 5, 8.5), "units", 1, time), rows++;
    return rows;
}

/* A spoiled potassium (no number) and a later repetition, hours after the window. */
static void spoiled_and_repeated(ecg_sheaf *f, lab_writer *w, const double value[ECG_LAB_TESTS])
{
    const ecg_draws draws = ecg_synth_draws(w->s, w->c->p.ordinal, w->stay->number), *d = &draws;
    if (isnan(value[ECG_LAB_potassium]))
        return;
    if (UNIFORM(EXTRA, hemolyzed) < 0.02) {
        begin_row(w, 0, ecg_synth_tests[ECG_LAB_potassium].itemid, w->stay->labs - 5 * MINUTE);
        ecg_row_text(w->t, "___");
        ecg_row_text(w->t, "");
        ecg_row_text(w->t, "mEq/L");
        ecg_row_fixed(w->t, 3.3, 1);
        ecg_row_fixed(w->t, 5.1, 1);
        ecg_row_text(w->t, "");
        ecg_row_text(w->t, "STAT");
        ecg_row_text(w->t, "HEMOLYZED, MODERATELY. RESULT NOT REPORTED.");
        ecg_row_end(w->t);
        f->distractor[ECG_DISTRACTOR_lab_without_value]++;
        f->labs++;
    }
    if (UNIFORM(EXTRA, repeat) < 0.25) {
        const int64_t time = w->stay->in + (int64_t)(MINUTE * (200 + 200 * UNIFORM2(EXTRA, repeat)));
        const double later = clip(w->stay->v.K + 0.5 * (4.1 - w->stay->v.K) + 0.12 * NORMAL(EXTRA, repeat_value), 2, 9);
        blood_row(w, ECG_LAB_potassium, ecg_rounded(later, 1), REPEAT, time);
        f->distractor[ECG_DISTRACTOR_lab_after_90_minutes]++;
        f->labs++;
    }
}

void ecg_synth_lab_rows(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c, const ecg_stay *stay)
{
    lab_writer w = {.t = &f->rows[ECG_TABLE_labevents], .s = s, .c = c, .stay = stay, .next_id = (int64_t)65536 * (16 * (int64_t)c->p.ordinal + stay->number)};
    const ecg_draws draws = ecg_synth_draws(s, c->p.ordinal, stay->number), *d = &draws;
    uint32_t who = (uint32_t)(UNIFORM(WORDS, provider) * 2000);
    w.store = 20 + 50 * UNIFORM(CAL, store);
    for (int i = 0; i < TUBES; i++)
        w.specimen[i] = -1;
    snprintf(w.provider, sizeof w.provider, "P%02u%c%c%u", who % 97, (char)('A' + who % 23), (char)('A' + who / 23 % 25), who % 10);
    double value[ECG_LAB_TESTS];
    ecg_synth_labs(value, s, &c->p, &stay->v);
    for (int i = 0; i < ECG_LAB_TESTS; i++)
        if (!isnan(value[i])) {
            blood_row(&w, i, value[i], (uint32_t)ecg_synth_tests[i].tube, stay->labs);
            f->labs++;
            f->distractor[ECG_DISTRACTOR_lab_after_90_minutes] += stay->labs > stay->in + 90 * MINUTE;
        }
    if (!s->options.distractors)
        return;
    const int others = other_fluid_rows(&w);
    f->distractor[ECG_DISTRACTOR_lab_other_fluid] += others;
    f->labs += others;
    spoiled_and_repeated(f, &w, value);
}

void ecg_synth_dictionary_rows(ecg_sheaf *f)
{
    ecg_text *t = &f->rows[ECG_TABLE_d_labitems];
    for (int i = 0; i < ECG_LAB_TESTS; i++) {
        ecg_row_int(t, ecg_synth_tests[i].itemid);
        ecg_row_text(t, ecg_synth_tests[i].label);
        ecg_row_text(t, "Blood");
        ecg_row_text(t, ecg_synth_tests[i].category);
        ecg_row_end(t);
    }
    for (int i = 0; i < 3; i++) {
        ecg_row_int(t, other_fluids[i].itemid);
        ecg_row_text(t, other_fluids[i].label);
        ecg_row_text(t, other_fluids[i].fluid);
        ecg_row_text(t, other_fluids[i].category);
        ecg_row_end(t);
    }
    t = &f->rows[ECG_TABLE_d_icd];
    for (int version = 9; version <= 10; version++)
        for (int i = 0; i < ECG_CODES; i++) {
            const ecg_synth_code *code = &ecg_synth_codes[i];
            if (version == 9 && !code->icd9)
                continue;
            ecg_row_text(t, version == 9 ? code->icd9 : code->code);
            ecg_row_int(t, version);
            ecg_row_text(t, version == 9 ? code->icd9_title : code->title);
            ecg_row_end(t);
        }
    for (const ecg_synth_parent *parent = ecg_synth_parents; parent->code; parent++) {
        ecg_row_text(t, parent->code);
        ecg_row_int(t, 10);
        ecg_row_text(t, parent->title);
        ecg_row_end(t);
    }
}
