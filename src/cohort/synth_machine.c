/* SPDX-License-Identifier: MIT
 * synth_machine.c: record_list and machine_measurements. What a cart prints is computed from the generator's own parameters with
 * measurement noise, never from the waveform. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "cohort/synth_rows.h"
#include "cohort/synth_tables.h"

enum { NOT_MEASURED = 29999, STATEMENTS = 18 };

/* Angle of (x, y) in degrees, -180..180: a coarse start, then Newton on the direction with our own sine and cosine. */
static double angle_of(double y, double x)
{
    const double r = sqrt(x * x + y * y), pi = 3.14159265358979323846;
    if (r == 0)
        return 0;
    double angle = abs_of(x) > abs_of(y) ? y / (x + (x < 0 ? -1 : 1) * 0.28 * y * y / abs_of(x)) + (x < 0 ? (y < 0 ? -pi : pi) : 0)
                                         : (y < 0 ? -pi / 2 : pi / 2) - x / (y + (y < 0 ? -1 : 1) * 0.28 * x * x / abs_of(y));
    for (int i = 0; i < 4; i++)
        angle += (y * ecg_cos(angle) - x * ecg_sin(angle)) / r;
    return angle * 180 / pi;
}

/* Frontal axis of bumps as lead I and aVF see their areas. */
static double frontal_axis(const ecg_bump *b, int n)
{
    double one = 0, foot = 0;
    for (int i = 0; i < n; i++) {
        const double area = b[i].rise + b[i].fall;
        const double i_lead = ecg_synth_dower[0][0] * b[i].at.x + ecg_synth_dower[0][1] * b[i].at.y + ecg_synth_dower[0][2] * b[i].at.z;
        const double ii_lead = ecg_synth_dower[1][0] * b[i].at.x + ecg_synth_dower[1][1] * b[i].at.y + ecg_synth_dower[1][2] * b[i].at.z;
        one += area * i_lead;
        foot += area * (ii_lead - i_lead / 2);
    }
    return angle_of(foot * 1.15470053837925153, one); /* aVF is 2/sqrt 3 times shorter */
}

static int64_t degrees(double x)
{
    const int64_t whole = ecg_nearest_int(x);
    return whole > 180 ? whole - 360 : whole < -179 ? whole + 360 : whole;
}

static const char *const infarct_site[3] = {"Anterior", "Inferior", "Lateral"};

/* Rhythm, conduction, axis, hypertrophy, infarct, ST-T, an empty line, and last the summary. */
static int statements(char line[STATEMENTS][96], const ecg_patient *p, const ecg_visit *v, const ecg_take *t, double axis)
{
    int n = 0;
    bool wrong = false, odd = false;
    const bool wide = p->lbbb > 0 || v->paced > 0;
    const char *extra = t->ppvc > 0.07 ? " with PVC(s)" : v->afib == 0 && v->paced == 0 && t->ppac > 0.07 ? " with PAC(s)" : "";
    if (v->paced > 0)
        snprintf(line[n++], 96, "Ventricular pacing%s", extra);
    else if (v->afib > 0)
        snprintf(line[n++], 96, "Atrial fibrillation%s%s", v->hr > 110 ? " with rapid ventricular response" : "", extra);
    else
        snprintf(line[n++], 96, "Sinus %s%s", v->hr > 100 ? "tachycardia" : v->hr < 60 ? "bradycardia" : "rhythm", extra);
    wrong |= v->paced > 0 || v->afib > 0;
    odd |= *extra || v->hr > 100 || v->hr < 60;
#define say(condition, flag, text) ((condition) ? (void)(snprintf(line[n++], 96, "%s", text), flag = true) : (void)0)
    if (v->paced == 0) {
        say(v->afib == 0 && t->PR > 205, odd, "Prolonged PR interval");
        say(p->lbbb > 0, wrong, "Left bundle branch block");
        say(p->rbbb > 0, wrong, "Right bundle branch block");
        say(!wide && axis < -30, odd, "Left axis deviation");
        say(!wide && axis > 95, odd, "Right axis deviation");
        say(!wide && p->lvm > 1.3, wrong, "Left ventricular hypertrophy");
        say(v->afib == 0 && t->rae > 0.6, odd, "Possible right atrial abnormality");
        const int old = (int)p->omit, now = (int)v->terr;
        if (!wide && v->stemi > 0)
            snprintf(line[n++], 96, "%s ST elevation, CONSIDER ACUTE INFARCT", infarct_site[now]), wrong = true;
        else if (!wide && p->omi > 0)
            snprintf(line[n++], 96, "%s infarct - age undetermined", infarct_site[old]), wrong = true;
        const double st = sqrt(t->st.x * t->st.x + t->st.y * t->st.y + t->st.z * t->st.z);
        say(!wide && v->stemi == 0 && (st > 0.07 || t->t.x < 0.04), odd, "ST-T changes are nonspecific");
        say(t->QTc > 470, odd, "Prolonged QT interval");
        say(!wide && t->volt < 0.6, odd, "Low QRS voltages");
    }
#undef say
    line[n++][0] = 0;
    snprintf(line[n++], 96, "%s", wrong ? "Abnormal ECG" : odd ? "Borderline ECG" : "Normal ECG");
    return n;
}

static void measured(ecg_text *t, const ecg_draws *d, int which, bool present, int64_t x)
{
    const bool lost = ecg_draw_uniform(d, ECG_S_TAKE, TAKE_ROWS + (uint32_t)which) < 0.005;
    ecg_row_int(t, present && !lost ? x : NOT_MEASURED);
}

void ecg_synth_record_folder(char out[64], int64_t subject_id, int64_t study_id)
{
    snprintf(out, 64, "p%d/p%d/s%d", (int)(subject_id / 10000), (int)subject_id, (int)study_id);
}

void ecg_synth_record_row(ecg_text *t, int64_t subject_id, int64_t study_id, int64_t time)
{
    char folder[64], path[96], name[16];
    ecg_synth_record_folder(folder, subject_id, study_id);
    snprintf(name, sizeof name, "%d", (int)study_id);
    snprintf(path, sizeof path, "files/%s/%s", folder, name);
    ecg_row_int(t, subject_id);
    ecg_row_int(t, study_id);
    ecg_row_text(t, name);
    ecg_row_time(t, time);
    ecg_row_text(t, path);
    ecg_row_end(t);
}

void ecg_synth_machine_rows(ecg_sheaf *f, const ecg_synth *s, const ecg_course *c, const ecg_recording *r, const ecg_take *take)
{
    const ecg_draws draws = ecg_synth_draws(s, c->p.ordinal, r->number), *d = &draws;
    const ecg_visit *v = ecg_course_visit(c, r);
    ecg_synth_record_row(&f->rows[ECG_TABLE_records], c->subject_id, r->study_id, r->time);
    f->recordings++;
    f->distractor[ECG_DISTRACTOR_ecg_outside_hospital] += r->kind == ECG_OUTSIDE_HOSPITAL;
    f->distractor[ECG_DISTRACTOR_ecg_after_90_minutes] += r->late;
    f->distractor[ECG_DISTRACTOR_ecg_second_of_stay] += r->kind == ECG_SECOND_OF_STAY;

    const double axis = frontal_axis(take->qrs, take->qrs_bumps);
    char line[STATEMENTS][96] = {{0}};
    const int lines = statements(line, &c->p, v, take, axis);
    ecg_text *t = &f->rows[ECG_TABLE_machine];
    ecg_row_int(t, c->subject_id);
    ecg_row_int(t, r->study_id);
    ecg_row_int(t, 6848296 + 1151 * (int64_t)(60 * UNIFORM(CAL, cart)));
    ecg_row_time(t, r->time);
    for (int i = 0; i < STATEMENTS; i++)
        ecg_row_text(t, i < lines ? line[i] : "");
    ecg_row_text(t, "0.005-150 Hz");
    ecg_row_text(t, "60 Hz notch Baseline filter");

    const bool p_wave = v->afib == 0 && v->paced == 0;
    const double rr = 60000 / v->hr, qt = max_of(220, take->QTc - 154 * (1 - rr / 1000));
    const int64_t onset = 40, qrs = onset + ecg_nearest_int(take->PR) + ecg_nearest_int(3 * NORMAL(TAKE, m_qrs_on));
    const ecg_bump t_wave = {take->t, 0, take->t_rise, take->t_fall};
    measured(t, d, 0, true, ecg_nearest_int(rr));
    measured(t, d, 1, p_wave, onset);
    measured(t, d, 2, p_wave, onset + ecg_nearest_int(4.6 * take->PSD + 4 * NORMAL(TAKE, m_p_end)));
    measured(t, d, 3, true, qrs);
    measured(t, d, 4, true, qrs + ecg_nearest_int(take->QRSd) + ecg_nearest_int(3 * NORMAL(TAKE, m_qrs_end)));
    measured(t, d, 5, true, qrs + ecg_nearest_int(qt) + ecg_nearest_int(6 * NORMAL(TAKE, m_t_end)));
    measured(t, d, 6, p_wave, degrees(frontal_axis(take->p, 2) + 4 * NORMAL(TAKE, m_p_axis)));
    measured(t, d, 7, true, degrees(axis + 4 * NORMAL(TAKE, m_qrs_axis)));
    measured(t, d, 8, true, degrees(frontal_axis(&t_wave, 1) + 4 * NORMAL(TAKE, m_t_axis)));
    ecg_row_end(t);
}
