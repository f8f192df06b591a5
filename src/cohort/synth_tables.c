/* SPDX-License-Identifier: MIT
 * synth_tables.c: the rows of the emergency department and of the hospital. */
#include "cohort/synth_tables.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "cohort/synth_codes.h"
#include "cohort/synth_rows.h"

enum { MINUTE = 60, DAY = 86400 };

static const char *pick(const char *const *names, const double *up_to, double u)
{
    while (u > *up_to)
        up_to++, names++;
    return *names;
}

static const char *race_of(const ecg_synth *s, const ecg_patient *p)
{
    static const char *const names[] = {"WHITE", "BLACK/AFRICAN AMERICAN", "HISPANIC/LATINO - PUERTO RICAN", "HISPANIC/LATINO - DOMINICAN",
                                        "HISPANIC/LATINO - MEXICAN", "ASIAN", "OTHER"};
    static const double up_to[] = {0.58, 0.77, 0.81, 0.84, 0.86, 0.91, 1};
    const ecg_draws draws = ecg_synth_draws(s, p->ordinal, 0), *d = &draws;
    return pick(names, up_to, UNIFORM(DEMO, race));
}

static const char *complaint_of(const ecg_visit *v, const ecg_draws *d)
{
    static const char *const other[] = {"Chest pain", "Weakness", "Abd pain", "Dizziness", "Palpitations", "Back pain", "Headache", "Cough", "Leg swelling", "s/p Fall"};
    static const double up_to[] = {0.20, 0.35, 0.50, 0.60, 0.68, 0.76, 0.83, 0.89, 0.94, 1};
    const struct {
        double active;
        const char *words;
    } known[] = {
        {v->stroke, "Slurred speech, Facial droop"}, {v->mi, "Chest pain"}, {v->gib, "BRBPR"}, {v->dka, "Hyperglycemia"}, {v->odx, "Overdose"},
        {v->pe, "Chest pain, Dyspnea"}, {v->adhf, "Dyspnea"}, {v->copdx, "Dyspnea"}, {v->pna, "Cough, Fever"}, {v->missed, "Missed dialysis"},
        {v->withd, "Alcohol withdrawal"}, {v->sync, "Syncope"}, {v->trauma, "s/p Fall"}, {v->uti, "Dysuria"}, {v->oinf, "Fever"}, {v->vom, "Vomiting"},
        {v->anx, "Anxiety"}, {v->ttox, "Palpitations"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].active > 0)
            return known[i].words;
    return pick(other, up_to, UNIFORM(WORDS, complaint));
}

/* ---- vital signs ---------------------------------------------------------------------------------------------------------- */

/* One round of measurements; row 0 is triage. Values drift to normal by a tenth in 30 minutes. NAN: not written down. */
typedef struct {
    double temperature, heartrate, resprate, o2sat, sbp, dbp; /* degrees Fahrenheit */
    int pain;
} vitals;

static double noise_of(const ecg_draws *d, uint32_t row, uint32_t which)
{
    return ecg_draw_normal(d, ECG_S_VITAL, VITAL_SLOTS * row + which);
}

static double lost(const ecg_draws *d, uint32_t row, uint32_t which, double x)
{
    return ecg_draw_uniform(d, ECG_S_MISS, MISS_SLOTS * row + which) < 0.05 ? NAN : x;
}

static vitals measure(const ecg_visit *v, const ecg_draws *d, uint32_t row, double minutes)
{
    const double left = row ? 1 - 0.1 * minutes / 30 : 1;
#define now(name, normal) ((normal) + left * (v->name - (normal)))
    vitals x;
    x.temperature = lost(d, row, MISS_temp, 1.8 * (now(temp, 36.8) + 0.15 * noise_of(d, row, VITAL_temp)) + 32);
    x.heartrate = lost(d, row, MISS_hr, now(hr, 75) + 6 * noise_of(d, row, VITAL_hr));
    x.resprate = lost(d, row, MISS_resp, max_of(4, now(resp, 16.8) + 1.3 * noise_of(d, row, VITAL_resp)));
    x.o2sat = lost(d, row, MISS_spo2, clip(now(spo2, 98) + 0.7 * noise_of(d, row, VITAL_spo2), 60, 100));
    x.sbp = lost(d, row, MISS_sbp, max_of(45, now(sbp, 120) + 8 * noise_of(d, row, VITAL_sbp)));
    x.dbp = lost(d, row, MISS_dbp, max_of(20, now(dbp, 74) + 5 * noise_of(d, row, VITAL_dbp)));
#undef now
    const double u = ecg_draw_uniform(d, ECG_S_VITAL, VITAL_SLOTS * row + VITAL_pain), size = ecg_draw_uniform2(d, ECG_S_VITAL, VITAL_SLOTS * row + VITAL_pain);
    const bool hurts = v->mi > 0 || v->pe > 0 || v->trauma > 0;
    x.pain = u < (hurts ? 0.25 : 0.63) ? 0 : 1 + (int)(9.999 * (hurts ? sqrt(size) : size)); /* 0 for about 60 % of all */
    return x;
}

static void vital_fields(ecg_text *t, const vitals *x)
{
    ecg_row_fixed(t, x->temperature, 1);
    ecg_row_fixed(t, x->heartrate, 0);
    ecg_row_fixed(t, x->resprate, 0);
    ecg_row_fixed(t, x->o2sat, 0);
    ecg_row_fixed(t, x->sbp, 0);
    ecg_row_fixed(t, x->dbp, 0);
}

static void triage_row(ecg_sheaf *f, const ecg_course *c, const ecg_stay *stay, const ecg_draws *d)
{
    ecg_text *t = &f->rows[ECG_TABLE_triage];
    const vitals x = measure(&stay->v, d, 0, 0);
    ecg_row_int(t, c->subject_id);
    ecg_row_int(t, stay->stay_id);
    vital_fields(t, &x);
    ecg_row_int(t, x.pain);
    ecg_row_fixed(t, clip(ecg_rounded(3.2 - 0.75 * stay->v.sev + 0.45 * NORMAL(VITAL, acuity), 0), 1, 5), 0);
    ecg_row_text(t, complaint_of(&stay->v, d));
    ecg_row_end(t);
}

static void vitalsign_rows(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c, const ecg_stay *stay, const ecg_draws *d)
{
    ecg_text *t = &f->rows[ECG_TABLE_vitalsign];
    const uint32_t inside = 1 + (uint32_t)(3 * UNIFORM(CAL, vitals_n)), all = inside + (s->options.distractors ? 1 : 0);
    for (uint32_t row = 1; row <= all; row++) {
        const double u = ecg_draw_uniform(d, ECG_S_CAL, CAL_ROWS + row);
        const double minutes = row <= inside ? 20 + 70 * (row - 1 + u) / inside : 95 + 120 * u; /* the last one comes too late */
        vitals x = measure(&stay->v, d, row, minutes);
        if (s->options.distractors && ecg_draw_uniform(d, ECG_S_EXTRA, EXTRA_ROWS + row) < 0.001) {
            if (ecg_draw_uniform2(d, ECG_S_EXTRA, EXTRA_ROWS + row) < 0.5)
                x.heartrate = 900;
            else
                x.temperature = 9.8;
            f->distractor[ECG_DISTRACTOR_vital_impossible]++;
        }
        f->distractor[ECG_DISTRACTOR_vital_after_90_minutes] += row > inside;
        ecg_row_int(t, c->subject_id);
        ecg_row_int(t, stay->stay_id);
        ecg_row_time(t, stay->in + (int64_t)(MINUTE * minutes));
        vital_fields(t, &x);
        const bool told = ecg_draw_uniform(d, ECG_S_WORDS, WORDS_ROWS + row) < 0.07;
        ecg_row_text(t, !told ? "" : stay->v.afib > 0 ? "Atrial Fibrillation" : stay->v.paced > 0 ? "Paced" : stay->v.hr > 100 ? "Sinus Tachycardia" : "Normal Sinus Rhythm");
        ecg_row_int(t, x.pain);
        ecg_row_end(t);
    }
}

/* ---- diagnoses ------------------------------------------------------------------------------------------------------------ */

static void diagnosis_rows(ecg_sheaf *f, const ecg_course *c, const ecg_stay *stay)
{
    int order[ECG_CODES], n = 0;
    for (int acute = 1; acute >= 0; acute--)
        for (int i = 0; i < ECG_CODES; i++)
            if (stay->coding.coded[i] && ecg_synth_codes[i].acute == (acute == 1))
                order[n++] = i;

    const bool admitted = stay->hadm_id >= 0;
    ecg_text *ed = &f->rows[ECG_TABLE_ed_diagnosis], *hosp = &f->rows[ECG_TABLE_diagnoses_icd];
    int in_ed = 0, in_hosp = 0;
    for (int k = 0; k < n; k++) {
        const ecg_synth_code *code = &ecg_synth_codes[order[k]];
        const bool ninth = admitted && stay->icd9, homeless = ninth && !code->icd9;
        if (!admitted || in_ed < 4 || homeless) {
            ecg_row_int(ed, c->subject_id);
            ecg_row_int(ed, stay->stay_id);
            ecg_row_int(ed, ++in_ed);
            ecg_row_text(ed, code->code);
            ecg_row_int(ed, 10);
            ecg_row_text(ed, code->title);
            ecg_row_end(ed);
        }
        f->distractor[ECG_DISTRACTOR_diagnosis_without_icd9] += homeless;
        if (!admitted || homeless)
            continue;
        f->distractor[ECG_DISTRACTOR_diagnosis_icd9] += ninth;
        ecg_row_int(hosp, c->subject_id);
        ecg_row_int(hosp, stay->hadm_id);
        ecg_row_int(hosp, ++in_hosp);
        ecg_row_text(hosp, ninth ? code->icd9 : code->code);
        ecg_row_int(hosp, ninth ? 9 : 10);
        ecg_row_end(hosp);
    }
}

/* ---- stays, admissions, patients ------------------------------------------------------------------------------------------ */

static void edstay_row(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c, const ecg_stay *stay, const ecg_draws *d)
{
    static const char *const transports[] = {"AMBULANCE", "WALK IN", "UNKNOWN", "OTHER"};
    const double by_ambulance = 0.30 + 0.12 * min_of(stay->v.sev, 3) + 0.003 * (c->p.age - 60);
    const double transport[] = {by_ambulance, 0.97, 0.99, 1};
    static const char *const elsewhere[] = {"HOME", "TRANSFER", "LEFT WITHOUT BEING SEEN", "LEFT AGAINST MEDICAL ADVICE", "ELOPED"};
    static const double elsewhere_up_to[] = {0.955, 0.975, 0.985, 0.995, 1};
    ecg_text *t = &f->rows[ECG_TABLE_edstays];
    ecg_row_int(t, c->subject_id);
    ecg_row_id(t, stay->hadm_id);
    ecg_row_int(t, stay->stay_id);
    ecg_row_time(t, stay->in);
    ecg_row_time(t, stay->out);
    ecg_row_text(t, c->p.male > 0 ? "M" : "F");
    ecg_row_text(t, race_of(s, &c->p));
    ecg_row_text(t, pick(transports, transport, UNIFORM(WORDS, transport)));
    ecg_row_text(t, stay->hadm_id >= 0 ? "ADMITTED" : pick(elsewhere, elsewhere_up_to, UNIFORM(WORDS, disposition)));
    ecg_row_end(t);
}

static void admission_row(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c, const ecg_stay *stay, const ecg_draws *d)
{
    static const char *const types[] = {"EW EMER.", "OBSERVATION ADMIT", "URGENT", "DIRECT EMER."};
    static const double type_up_to[] = {0.60, 0.85, 0.97, 1};
    static const char *const marital[] = {"MARRIED", "SINGLE", "WIDOWED", "DIVORCED", ""};
    static const double marital_up_to[] = {0.44, 0.78, 0.89, 0.96, 1};
    const ecg_draws person = ecg_synth_draws(s, c->p.ordinal, 0);
    const double purse = ecg_draw_uniform(&person, ECG_S_DEMO, DEMO_insurance);
    const uint32_t who = (uint32_t)(UNIFORM2(WORDS, provider) * 900);
    char provider[16];
    snprintf(provider, sizeof provider, "P%03uX%c", who, (char)('A' + who % 26));
    ecg_text *t = &f->rows[ECG_TABLE_admissions];
    ecg_row_int(t, c->subject_id);
    ecg_row_int(t, stay->hadm_id);
    ecg_row_time(t, stay->admit);
    ecg_row_time(t, stay->discharge);
    ecg_row_time(t, stay->died ? stay->discharge : INT64_MIN);
    ecg_row_text(t, pick(types, type_up_to, UNIFORM(WORDS, admission)));
    ecg_row_text(t, provider);
    ecg_row_text(t, "EMERGENCY ROOM");
    ecg_row_text(t, stay->died ? "DIED" : c->p.age > 78 || stay->v.sev > 2.5 ? "SKILLED NURSING FACILITY" : "HOME");
    ecg_row_text(t, c->p.age >= 65 ? "Medicare" : purse < 0.2 ? "Medicaid" : purse < 0.3 ? "Medicare" : "Other");
    ecg_row_text(t, ecg_draw_uniform(&person, ECG_S_DEMO, DEMO_language) < 0.9 ? "ENGLISH" : "?");
    ecg_row_text(t, pick(marital, marital_up_to, ecg_draw_uniform(&person, ECG_S_DEMO, DEMO_marital)));
    ecg_row_text(t, race_of(s, &c->p));
    ecg_row_time(t, stay->in);
    ecg_row_time(t, stay->out);
    ecg_row_int(t, stay->died);
    ecg_row_end(t);
}

static void patient_row(ecg_sheaf *f, const ecg_course *c)
{
    ecg_text *t = &f->rows[ECG_TABLE_patients];
    ecg_row_int(t, c->subject_id);
    ecg_row_text(t, c->p.male > 0 ? "M" : "F");
    ecg_row_int(t, c->anchor_age);
    ecg_row_int(t, c->anchor_year);
    ecg_row_text(t, ecg_year_groups[c->year_group]);
    if (c->dod == INT64_MIN)
        ecg_row_text(t, "");
    else
        ecg_row_date(t, c->dod);
    ecg_row_end(t);
}

static void omr_row(ecg_text *t, const ecg_course *c, int64_t day, const char *name, const char *value)
{
    ecg_row_int(t, c->subject_id);
    ecg_row_date(t, day);
    ecg_row_int(t, 1);
    ecg_row_text(t, name);
    ecg_row_text(t, value);
    ecg_row_end(t);
}

/* Height, weight and body mass index of the last 30 days, in inches and pounds, as text. */
static void omr_rows(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c, const ecg_stay *stay, const ecg_draws *d)
{
    ecg_text *t = &f->rows[ECG_TABLE_omr];
    const int64_t day = stay->in - stay->in % DAY - DAY * (int64_t)(30 * UNIFORM(CAL, omr));
    char value[32], below[32];
    if (!(UNIFORM(MISS, biometrics) < 0.35)) {
        const double metres = c->p.height / 100;
        ecg_synth_fixed(value, c->p.bmi * ecg_exp(0.012 * ecg_draw_normal(d, ECG_S_CAL, CAL_OMR)), 1);
        omr_row(t, c, day, "BMI (kg/m2)", value);
        ecg_synth_fixed(value, c->p.height / 2.54 * ecg_exp(0.012 * ecg_draw_normal(d, ECG_S_CAL, CAL_OMR + 1)), 2);
        omr_row(t, c, day, "Height (Inches)", value);
        ecg_synth_fixed(value, c->p.bmi * metres * metres / 0.453592 * ecg_exp(0.012 * ecg_draw_normal(d, ECG_S_CAL, CAL_OMR + 2)), 1);
        omr_row(t, c, day, "Weight (Lbs)", value);
    }
    if (!s->options.distractors)
        return;
    if (UNIFORM(EXTRA, omr_bp) < 0.5) {
        ecg_synth_fixed(value, stay->v.sbp, 0);
        ecg_synth_fixed(below, stay->v.dbp, 0);
        strcat(strcat(value, "/"), below); /* both under five characters */
        omr_row(t, c, day, "Blood Pressure", value);
        f->distractor[ECG_DISTRACTOR_omr_other_result]++;
    }
    if (UNIFORM(EXTRA, omr_egfr) < 0.2) {
        ecg_synth_fixed(value, c->p.egfr, 0);
        omr_row(t, c, day, "eGFR", value);
        f->distractor[ECG_DISTRACTOR_omr_other_result]++;
    }
}

void ecg_synth_hospital_rows(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c)
{
    f->patients++;
    patient_row(f, c);
    for (int i = 0; i < c->stays; i++) {
        const ecg_stay *stay = &c->stay[i];
        const ecg_draws d = ecg_synth_draws(s, c->p.ordinal, stay->number);
        f->stays++;
        f->distractor[ECG_DISTRACTOR_stay_without_ecg] += stay->extra;
        edstay_row(f, s, c, stay, &d);
        triage_row(f, c, stay, &d);
        vitalsign_rows(f, s, c, stay, &d);
        diagnosis_rows(f, c, stay);
        omr_rows(f, s, c, stay, &d);
        ecg_synth_lab_rows(f, s, c, stay);
        if (stay->hadm_id >= 0) {
            f->admissions++;
            f->distractor[ECG_DISTRACTOR_admission_icd9] += stay->icd9;
            admission_row(f, s, c, stay, &d);
        }
    }
}
