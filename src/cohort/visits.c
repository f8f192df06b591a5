/* SPDX-License-Identifier: MIT
 * visits.c: rows x ED stays x patients x admissions. Rows come from record_list.csv, from the published records_w_diag_icd10.csv, or are the ED stays.
 *
 * An ECG belongs to the first ED stay (file order) with intime < t < outtime, strictly, or to the one that the published table names: codes, vital
 * signs and acuity are joined by it. Its arrival is the intime of the first stay of the patient with intime <= t <= intime + 90 min. Both must
 * exist; where stays do not overlap they are the same stay (docs/cohort.md 1). */
#include "cohort/visits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/attach.h"
#include "cohort/icd_results.h"
#include "cohort/record_list.h"
#include "cohort/stays.h"

/* ---- where rows come from ---------------------------------------------------------------------------------------------------------- */

typedef enum { FROM_LIST, FROM_RESULTS, FROM_STAYS } row_source;

typedef struct {
    row_source from;
    const char *path;
    ecg_record_list list;
    ecg_icd_results results;
    ecg_ed_stays stays;
    int64_t stay;        /* FROM_STAYS: the next */
    int64_t offset;      /* seconds */
    bool link;           /* own stay and admission by the clock, though the published table names them */
    bool codes;          /* those of the published table */
    ecg_code_list scratch;
} reader;

static ecg_status open_rows(reader *r, const ecg_mimic_tables *t, const ecg_build_options *o, ecg_err *err)
{
    ecg_status st = ecg_ed_stays_read(&r->stays, t, err);
    if (st)
        return st;
    r->offset = llround(o->offset_minutes * 60);
    r->from = t->path[ECG_T_RESULTS][0] ? FROM_RESULTS : t->path[ECG_T_RECORDS][0] ? FROM_LIST : FROM_STAYS;
    r->link = r->from == FROM_LIST || (r->from == FROM_RESULTS && (r->offset || r->stays.admissions)); /* stay_id of the ED module means no admission */
    r->codes = r->from == FROM_RESULTS && !r->offset;
    r->path = t->path[r->from == FROM_RESULTS ? ECG_T_RESULTS : r->from == FROM_LIST ? ECG_T_RECORDS : r->stays.admissions ? ECG_T_ADMISSIONS : ECG_T_EDSTAYS];
    if (r->from == FROM_RESULTS)
        st = ecg_icd_results_open(&r->results, r->path, err);
    else if (r->from == FROM_LIST)
        st = ecg_record_list_open(&r->list, t, err);
    return st;
}

static void close_rows(reader *r)
{
    ecg_record_list_close(&r->list);
    ecg_icd_results_close(&r->results);
    ecg_ed_stays_clear(&r->stays);
    free(r->scratch.at);
}

static ecg_status next_of_list(const ecg_record_list *l, ecg_visit *v, bool *more, ecg_err *err)
{
    ecg_status st = ecg_csv_next(l->t, more, err);
    if (st || !*more || (st = ecg_csv_i64(l->t, l->subject, &v->subject, err)) || (st = ecg_csv_i64(l->t, l->study, &v->study, err)))
        return st;
    return ecg_csv_time(l->t, l->time, &v->time, err);
}

static void take_visit(ecg_visit *v, const ecg_ed_stay *own, const ecg_ed_stay *visit)
{
    v->own_stay = own->stay;
    v->ed_hadm = own->hadm;
    v->arrival = visit->intime;
    v->departure = visit->outtime;
    v->ethnicity = visit->ethnicity;
    v->male = visit->male;
}

static void next_of_stays(reader *r, ecg_visit *v, bool *more)
{
    *more = r->stay < r->stays.n;
    if (!*more)
        return;
    const ecg_ed_stay *s = &r->stays.at[r->stay++];
    v->subject = s->subject;
    v->study = s->stay;
    v->time = s->intime;
    take_visit(v, s, s);
}

static ecg_status next_row(reader *r, ecg_visit *v, bool *more, ecg_err *err)
{
    *v = (ecg_visit){.own_stay = -1, .ed_hadm = -1, .hosp_hadm = -1, .fold = -1, .age = NAN};
    ecg_status st = ECG_OK;
    if (r->from == FROM_STAYS)
        next_of_stays(r, v, more);
    else
        st = r->from == FROM_LIST ? next_of_list(&r->list, v, more, err) : ecg_icd_results_next(&r->results, v, more, err);
    v->recorded = v->time;
    if (r->from != FROM_STAYS && v->time != INT64_MIN)
        v->time += r->offset;
    if (r->link)
        v->hosp_hadm = -1; /* by the clock, later */
    return st;
}

static int64_t line_of(const reader *r)
{
    return r->from == FROM_LIST ? ecg_csv_line(r->list.t) : r->from == FROM_RESULTS ? ecg_csv_line(r->results.t) : 0;
}

/* ---- rows in a stay ---------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t listed, repeated, outside, unknown, late;
    int64_t repeated_study, repeated_line; /* the first */
} losses;

/* False: dropped, and counted why. */
static bool match_stay(ecg_visit *v, losses *lost, const reader *r)
{
    const ecg_ed_stays *stays = &r->stays;
    const ecg_ed_stay *own = NULL, *visit = NULL;
    if (!r->link) {
        const int32_t named = v->own_stay < 0 ? -1 : ecg_ids_get(&stays->by_stay, v->own_stay);
        own = named >= 0 && stays->at[named].subject == v->subject ? &stays->at[named] : NULL;
    }
    for (int64_t i = ecg_ids_get(&stays->first, v->subject); i >= 0 && i < stays->n && stays->at[i].subject == v->subject; i++) {
        const ecg_ed_stay *s = &stays->at[i];
        if (r->link && !own && s->intime < v->time && v->time < s->outtime)
            own = s;
        if (!visit && s->intime <= v->time && v->time - s->intime <= ECG_WINDOW)
            visit = s;
    }
    if (!own)
        *(!r->link && v->own_stay >= 0 ? &lost->unknown : &lost->outside) += 1;
    lost->late += own && !visit;
    if (!own || !visit)
        return false;
    take_visit(v, own, visit);
    return true;
}

/* What only a kept row needs. */
static ecg_status read_rest(reader *r, ecg_visit *v, ecg_words *label, ecg_err *err)
{
    if (r->from == FROM_LIST) {
        const ecg_field name = ecg_csv_field(r->list.t, r->list.path);
        v->path = strndup(name.len ? name.at : "", name.len);
        return v->path ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the recordings");
    }
    if (r->from == FROM_STAYS)
        return ECG_OK;
    ecg_status st = ecg_icd_results_file(&r->results, v, err);
    if (!st && r->codes && (st = ecg_icd_results_codes(&r->results, v, &r->scratch, label, err))) {
        free(v->path);
        v->path = NULL;
    }
    return st;
}

static int by_subject_time(const void *x, const void *y)
{
    const ecg_visit *a = x, *b = y;
    if (a->subject != b->subject)
        return a->subject < b->subject ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->patient - b->patient; /* place in the file, for as long as patients have no numbers */
}

static void number_patients(ecg_visits *v)
{
    v->patients = 0;
    for (int64_t i = 0; i < v->n; i++) {
        v->patients += !i || v->at[i].subject != v->at[i - 1].subject;
        v->at[i].patient = (int32_t)(v->patients - 1);
    }
}

static void sort_visits(ecg_visits *v)
{
    for (int64_t i = 0; i < v->n; i++)
        v->at[i].patient = (int32_t)i;
    if (v->n)
        qsort(v->at, (size_t)v->n, sizeof *v->at, by_subject_time);
    number_patients(v);
}

static ecg_status append(ecg_visits *out, int64_t *room, const ecg_visit *v, ecg_err *err)
{
    if (out->n == *room) {
        const int64_t more = *room ? *room * 2 : 1024;
        ecg_visit *grown = realloc(out->at, (size_t)more * sizeof *grown);
        if (!grown)
            return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", more);
        out->at = grown;
        *room = more;
    }
    out->at[out->n++] = *v;
    return ECG_OK;
}

static ecg_status read_rows(ecg_visits *out, losses *lost, reader *r, ecg_err *err)
{
    int64_t room = 0;
    bool more = true;
    ecg_ids seen = {0};
    ecg_status st = ECG_OK;
    while (!st) {
        ecg_visit v;
        if ((st = next_row(r, &v, &more, err)) || !more)
            break;
        if (lost->listed++ == INT32_MAX - 1) {
            st = ecg_fail_at(err, ECG_EDATA, r->path, line_of(r), 0, "more than %d recordings", INT32_MAX - 1);
            break;
        }
        if (ecg_ids_get(&seen, v.study) >= 0) {
            if (!lost->repeated++) {
                lost->repeated_study = v.study;
                lost->repeated_line = line_of(r);
            }
            continue;
        }
        if ((st = ecg_ids_put(&seen, v.study, 0, err)))
            break;
        if (r->from != FROM_STAYS && !match_stay(&v, lost, r))
            continue;
        if (!(st = read_rest(r, &v, &out->label, err)) && (st = append(out, &room, &v, err))) {
            free(v.path);
            free(v.code);
        }
    }
    ecg_ids_clear(&seen);
    sort_visits(out);
    return st;
}

static ecg_status say_losses(const ecg_visits *v, ecg_text *attrition, const losses *lost, const reader *r, const ecg_watch *watch, ecg_err *err)
{
    int64_t left = lost->listed;
    if (lost->repeated)
        ecg_say(watch, "%s:%" PRId64 ": study %" PRId64 " is listed again; %" PRId64 " such rows are left out", r->path, lost->repeated_line,
                lost->repeated_study, lost->repeated);
    if (!v->recordings) {
        ecg_attrition_add(attrition, "ED stays listed", left, 0);
        ecg_attrition_add(attrition, "stay listed for the first time", left - lost->repeated, lost->repeated);
        return left ? ECG_OK : ecg_fail_at(err, ECG_EDATA, r->path, 0, 0, "not one ED stay");
    }
    ecg_attrition_add(attrition, "recordings listed", left, 0);
    ecg_attrition_add(attrition, "study listed for the first time", left -= lost->repeated, lost->repeated);
    ecg_attrition_add(attrition, "taken during an ED stay", left -= lost->outside, lost->outside);
    if (!r->link)
        ecg_attrition_add(attrition, "its ED stay is in edstays", left -= lost->unknown, lost->unknown);
    ecg_attrition_add(attrition, "at most 90 minutes after arrival", left -= lost->late, lost->late);
    return left ? ECG_OK
                : ecg_fail_at(err, ECG_EDATA, r->path, 0, 0, "none of %" PRId64 " recordings was taken within 90 minutes of arrival", lost->listed);
}

/* The published table names files its own way: where the list of recordings is at hand, it says where they are. */
static ecg_status read_paths(ecg_visits *v, const ecg_mimic_tables *tables, ecg_err *err)
{
    ecg_record_list list = {0};
    ecg_ids place = {0};
    bool more;
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < v->n && !st; i++)
        st = ecg_ids_put(&place, v->at[i].study, (int32_t)i, err);
    if (!st)
        st = ecg_record_list_open(&list, tables, err);
    while (!st && !(st = ecg_csv_next(list.t, &more, err)) && more) {
        int64_t study;
        if ((st = ecg_csv_i64(list.t, list.study, &study, err)))
            break;
        const int32_t i = ecg_ids_get(&place, study);
        const ecg_field name = ecg_csv_field(list.t, list.path);
        if (i < 0 || !name.len)
            continue;
        char *path = strndup(name.at, name.len);
        if (!path) {
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the recordings");
            break;
        }
        free(v->at[i].path);
        v->at[i].path = path;
    }
    ecg_record_list_close(&list);
    ecg_ids_clear(&place);
    return st;
}

/* ---- patients and admissions ------------------------------------------------------------------------------------------------------- */

static ecg_status subjects_of(ecg_ids *first, const ecg_visits *v, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < v->n && !st; i++)
        if (!i || v->at[i].patient != v->at[i - 1].patient)
            st = ecg_ids_put(first, v->at[i].subject, (int32_t)i, err);
    return st;
}

static ecg_status read_patients(ecg_visits *v, const ecg_ids *first, const char *path, ecg_err *err)
{
    static const char *const need[] = {"subject_id", "gender", "anchor_age", "anchor_year"};
    int at[4];
    bool more;
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 4, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t subject;
        double age, year;
        if ((st = ecg_csv_i64(t, at[0], &subject, err)) || (st = ecg_csv_double(t, at[2], &age, err)) || (st = ecg_csv_double(t, at[3], &year, err)))
            break;
        const ecg_field gender = ecg_csv_field(t, at[1]);
        for (int64_t i = ecg_ids_get(first, subject); i >= 0 && i < v->n && v->at[i].subject == subject; i++) {
            v->at[i].gender = gender.len == 1 && (*gender.at == 'M' || *gender.at == 'F') ? *gender.at : 0;
            v->at[i].age = ecg_year_of(v->at[i].time) - year + age;
        }
    }
    ecg_csv_close(t);
    return st;
}

/* The first admission in file order that was under way. */
static ecg_status read_admissions(ecg_visits *v, const ecg_ids *first, const char *path, ecg_err *err)
{
    static const char *const need[] = {"subject_id", "hadm_id", "admittime", "dischtime", "deathtime"};
    int at[5];
    bool more;
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 5, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t subject, hadm, admit, discharge, death;
        if ((st = ecg_csv_i64(t, at[0], &subject, err)) || (st = ecg_csv_i64(t, at[1], &hadm, err)) || (st = ecg_csv_time(t, at[2], &admit, err)) ||
            (st = ecg_csv_time(t, at[3], &discharge, err)) || (st = ecg_csv_time(t, at[4], &death, err)))
            break;
        for (int64_t i = ecg_ids_get(first, subject); i >= 0 && i < v->n && v->at[i].subject == subject; i++)
            if (v->at[i].hosp_hadm < 0 && admit != INT64_MIN && admit < v->at[i].time && (discharge > v->at[i].time || death > v->at[i].time))
                v->at[i].hosp_hadm = hadm;
    }
    ecg_csv_close(t);
    return st;
}

/* ---- all together -------------------------------------------------------------------------------------------------------------------- */

static ecg_status drop_uncoded(ecg_visits *v, ecg_text *attrition, bool keep_uncoded, ecg_err *err)
{
    const int64_t before = v->n;
    uint8_t *keep = malloc((size_t)before + 1);
    if (!keep)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", before);
    int64_t uncoded = 0;
    for (int64_t i = 0; i < before; i++) {
        keep[i] = v->at[i].coded || keep_uncoded;
        uncoded += !keep[i];
    }
    ecg_visits_filter(v, keep);
    free(keep);
    ecg_attrition_add(attrition, keep_uncoded ? "with a diagnosis code or without (kept)" : "with a diagnosis code", before - uncoded, uncoded);
    return ECG_OK;
}

/* Who the patients are and where they were, where the rows do not say it. */
static ecg_status read_hospital(ecg_visits *v, const ecg_mimic_tables *tables, const reader *r, ecg_err *err)
{
    const bool published = r->from == FROM_RESULTS;
    ecg_ids first = {0};
    ecg_status st = subjects_of(&first, v, err);
    if (!st && !(published && r->results.has_person))
        st = tables->path[ECG_T_PATIENTS][0] ? read_patients(v, &first, tables->path[ECG_T_PATIENTS], err)
                                             : ecg_fail_at(err, ECG_EDATA, r->path, 1, 0, "no columns age and gender, and no patients.csv (--hosp)");
    if (!st && !(published && r->results.has_admission && !r->link) && tables->path[ECG_T_ADMISSIONS][0])
        st = read_admissions(v, &first, tables->path[ECG_T_ADMISSIONS], err);
    for (int64_t i = 0; i < v->n && !st && r->stays.admissions; i++)
        v->at[i].male = v->at[i].gender == 'M';
    ecg_ids_clear(&first);
    return st;
}

static ecg_status read_visits(ecg_visits *out, ecg_text *attrition, reader *r, const ecg_mimic_tables *tables, const ecg_build_options *o,
                              const ecg_watch *watch, ecg_err *err)
{
    losses lost = {0};
    ecg_status st = open_rows(r, tables, o, err);
    if (st)
        return st;
    out->recordings = r->from != FROM_STAYS;
    out->has_folds = r->from == FROM_RESULTS && r->results.has_fold;
    out->has_codes = r->codes || tables->path[ECG_T_DIAGNOSES][0] || tables->path[ECG_T_ED_DIAGNOSIS][0];
    if (!(st = read_rows(out, &lost, r, err)))
        st = say_losses(out, attrition, &lost, r, watch, err);
    if (!st && r->from == FROM_RESULTS && tables->path[ECG_T_RECORDS][0])
        st = read_paths(out, tables, err);
    if (!st)
        st = read_hospital(out, tables, r, err);
    if (!st && !r->codes)
        st = ecg_visits_code(out, tables, err);
    if (!st && out->has_codes)
        st = drop_uncoded(out, attrition, o->keep_uncoded, err);
    if (!st && !out->n)
        st = ecg_fail_at(err, ECG_EDATA, r->path, 0, 0, "not one of its rows has a diagnosis code (--keep-uncoded)");
    return st;
}

ecg_status ecg_visits_read(ecg_visits *out, ecg_text *attrition, const ecg_mimic_tables *tables, const ecg_build_options *o, const ecg_watch *watch, ecg_err *err)
{
    reader r = {0};
    const ecg_status st = read_visits(out, attrition, &r, tables, o, watch, err);
    close_rows(&r);
    return st;
}

ecg_status ecg_visits_everybody(ecg_visits *out, const char *patients, ecg_err *err)
{
    static const char *const need[] = {"subject_id"};
    static const int64_t never = INT64_MIN / 4;
    int at[1];
    int64_t room = 0;
    bool more;
    ecg_csv *t = NULL;
    ecg_ids seen = {0};
    ecg_status st = ecg_table_open(&t, at, patients, need, 1, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        ecg_visit v = {.own_stay = -1, .ed_hadm = -1, .hosp_hadm = -1, .fold = -1, .age = NAN, .time = never, .recorded = never, .arrival = never,
                       .departure = INT64_MIN};
        if ((st = ecg_csv_i64(t, at[0], &v.subject, err)) || v.subject < 0 || ecg_ids_get(&seen, v.subject) >= 0)
            continue;
        if (!(st = ecg_ids_put(&seen, v.subject, 0, err)))
            st = append(out, &room, &v, err);
    }
    ecg_csv_close(t);
    ecg_ids_clear(&seen);
    sort_visits(out);
    return st;
}

static void visit_clear(ecg_visit *v)
{
    free(v->path);
    free(v->code);
}

void ecg_visits_filter(ecg_visits *v, const uint8_t *keep)
{
    int64_t n = 0;
    for (int64_t i = 0; i < v->n; i++) {
        if (keep[i])
            v->at[n++] = v->at[i];
        else
            visit_clear(&v->at[i]);
    }
    v->n = n;
    number_patients(v);
}

void ecg_visits_clear(ecg_visits *v)
{
    for (int64_t i = 0; i < v->n; i++)
        visit_clear(&v->at[i]);
    free(v->at);
    ecg_words_clear(&v->label);
    *v = (ecg_visits){0};
}
