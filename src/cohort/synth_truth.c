/* SPDX-License-Identifier: MIT
 * synth_truth.c: what no hospital has: the latent variables behind each recording, what each cause did to it, true against coded. */

#include "cohort/synth_rows.h"
#include "cohort/synth_tables.h"

void ecg_synth_latent_header(ecg_text *t)
{
    ecg_text_puts(t, "study_id,subject_id,stay_id,patient,visit");
    for (int i = 0; i < ECG_VARS; i++) {
        ecg_text_puts(t, ",");
        ecg_text_puts(t, ecg_synth_variables[i].name);
    }
    ecg_text_puts(t, "\n");
}

/* Five significant digits, whole numbers bare. */
static void number(ecg_text *t, double x)
{
    const double size = abs_of(x);
    ecg_row_fixed(t, x, x == (double)(int64_t)x ? 0 : size >= 1000 ? 1 : size >= 10 ? 3 : size >= 0.1 ? 4 : 6);
}

static void latent_row(ecg_text *t, int64_t study_id, const ecg_course *c, const ecg_recording *r, const ecg_visit *v, const ecg_take *take)
{
    ecg_row_int(t, study_id);
    ecg_row_int(t, c->subject_id);
    ecg_row_id(t, r->stay < 0 ? -1 : c->stay[r->stay].stay_id);
    ecg_row_int(t, c->p.ordinal);
    ecg_row_int(t, v->number);
#define X(name, least, most) number(t, c->p.name);
    ECG_PATIENT_VARIABLES(X)
#undef X
#define X(name, least, most) number(t, v->name);
    ECG_VISIT_VARIABLES(X)
#undef X
#define X(name, least, most) number(t, take->name);
    ECG_TAKE_VARIABLES(X)
#undef X
    ecg_row_end(t);
}

/* Terms below a hundredth of a millisecond, degree or beat, and shares and millivolt below 1e-4, are left out. */
static void effect_rows(ecg_text *t, const ecg_recording *r, const ecg_effects *f)
{
    for (int i = 0; i < f->n; i++) {
        const int on = f->row[i].on;
        const bool factor = on == ECG_ON_P_factor || on == ECG_ON_QRS_factor || on == ECG_ON_T_factor;
        const bool fine = factor || on == ECG_ON_T_width_share || on == ECG_ON_ST_mV || on == ECG_ON_T_mV || on == ECG_ON_U_mV;
        if (ecg_nearest_int((f->row[i].delta - (factor ? 1 : 0)) * (fine ? 1e4 : 100)) == 0)
            continue;
        ecg_row_int(t, r->study_id);
        ecg_row_text(t, f->row[i].cause);
        ecg_row_text(t, ecg_synth_parameters[on]);
        ecg_row_fixed(t, f->row[i].delta, fine ? 4 : 2);
        ecg_row_end(t);
    }
}

static void label_rows(ecg_text *t, const ecg_recording *r, const ecg_coding *coding)
{
    for (int i = 0; i < ECG_CODES; i++) {
        if (!coding->truth[i] && !coding->coded[i])
            continue;
        ecg_row_int(t, r->study_id);
        ecg_row_text(t, ecg_synth_codes[i].code);
        ecg_row_int(t, coding->truth[i]);
        ecg_row_int(t, coding->coded[i]);
        ecg_row_text(t, coding->truth[i] == coding->coded[i] ? "" : coding->truth[i] ? "missed" : "false");
        ecg_row_end(t);
    }
}

void ecg_synth_truth_rows(ecg_sheaf *f, const ecg_course *c, const ecg_recording *r, const ecg_take *t, const ecg_effects *effects)
{
    latent_row(&f->rows[ECG_TABLE_latent], r->study_id, c, r, ecg_course_visit(c, r), t);
    effect_rows(&f->rows[ECG_TABLE_effects], r, effects);
    if (r->stay >= 0)
        label_rows(&f->rows[ECG_TABLE_labels], r, &c->stay[r->stay].coding);
}

void ecg_synth_twin_rows(ecg_sheaf *f, const ecg_course *c, const ecg_recording *r, const ecg_twin *twin, const ecg_visit *v, const ecg_take *take)
{
    const ecg_twin_cause *cause = &ecg_twin_causes[twin->cause];
    ecg_text *t = &f->rows[ECG_TABLE_twins];
    ecg_row_int(t, r->study_id);
    ecg_row_text(t, ecg_synth_variables[cause->variable].name);
    number(t, cause->value);
    ecg_row_int(t, twin->study_id);
    ecg_row_text(t, cause->name);
    number(t, ecg_twin_watched(cause, ecg_course_visit(c, r)));
    ecg_row_int(t, c->subject_id);
    ecg_row_end(t);
    ecg_synth_record_row(&f->rows[ECG_TABLE_twin_records], c->subject_id, twin->study_id, r->time);
    latent_row(&f->rows[ECG_TABLE_twin_latent], twin->study_id, c, r, v, take);
    f->twins[twin->cause]++;
}
