/* SPDX-License-Identifier: MIT
 * visits.c: record_list.csv x edstays x patients, and the codes of admissions and ED stays.
 *
 * An ECG belongs to the first ED stay (file order) with intime < t < outtime, strictly: codes, vital signs and acuity are joined by it.
 * Its arrival is the intime of the first stay of the patient with intime <= t <= intime + 90 min. Both must exist; where stays do not
 * overlap they are the same stay (docs/cohort.md 1). */
#include "cohort/visits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/attach.h"
#include "cohort/codes.h"

static const struct { const char *parent, *name; } table_names[ECG_TABLES] = {
    [ECG_T_RECORDS] = {NULL, "record_list.csv"},
    [ECG_T_EDSTAYS] = {"ed", "edstays.csv"},
    [ECG_T_TRIAGE] = {"ed", "triage.csv"},
    [ECG_T_VITALSIGN] = {"ed", "vitalsign.csv"},
    [ECG_T_ED_DIAGNOSIS] = {"ed", "diagnosis.csv"},
    [ECG_T_PATIENTS] = {"hosp", "patients.csv"},
    [ECG_T_ADMISSIONS] = {"hosp", "admissions.csv"},
    [ECG_T_DIAGNOSES] = {"hosp", "diagnoses_icd.csv"},
    [ECG_T_ICD_TITLES] = {"hosp", "d_icd_diagnoses.csv"},
    [ECG_T_LABEVENTS] = {"hosp", "labevents.csv"},
    [ECG_T_LABITEMS] = {"hosp", "d_labitems.csv"},
    [ECG_T_OMR] = {"hosp", "omr.csv"},
};

ecg_status ecg_mimic_find(ecg_mimic_tables *out, const char *folder, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int t = 0; t < ECG_TABLES && !st; t++)
        if (table_names[t].name)
            st = ecg_table_find(out->path[t], folder, table_names[t].parent, table_names[t].name, err);
    return st;
}

/* ---- stays of the emergency department ------------------------------------------------------------------------------------------ */

typedef struct {
    int64_t subject, hadm, stay, intime, outtime;
    int64_t line;    /* order in the file */
    int8_t ethnicity;
    bool male;
} ed_stay;

typedef struct {
    ed_stay *at;     /* (n) by subject, then file order */
    int64_t n;
    ecg_ids first;   /* subject -> its first stay */
} ed_stays;

/* First match wins; the numbers are the category indices. */
static int8_t ethnicity_of(ecg_field race)
{
    static const struct { const char *word; int8_t index; } rules[] = {{"WHITE", 4}, {"BLACK", 1}, {"HISPANIC", 2}, {"ASIAN", 0}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (race.len && memmem(race.at, race.len, rules[i].word, strlen(rules[i].word)))
            return rules[i].index;
    return 3;
}

static int by_subject_line(const void *x, const void *y)
{
    const ed_stay *a = x, *b = y;
    if (a->subject != b->subject)
        return a->subject < b->subject ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

static ecg_status read_stays(ed_stays *out, const char *path, ecg_err *err)
{
    static const char *const need[] = {"subject_id", "hadm_id", "stay_id", "intime", "outtime", "gender", "race"};
    int at[7];
    int64_t room = 0;
    bool more;
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 7, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        if (out->n == room) {
            room = room ? room * 2 : 4096;
            ed_stay *grown = realloc(out->at, (size_t)room * sizeof *grown);
            if (!grown) {
                st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " stays", room);
                break;
            }
            out->at = grown;
        }
        ed_stay *s = &out->at[out->n];
        *s = (ed_stay){.line = out->n};
        if ((st = ecg_csv_i64(t, at[0], &s->subject, err)) || (st = ecg_csv_i64(t, at[1], &s->hadm, err)) || (st = ecg_csv_i64(t, at[2], &s->stay, err)) ||
            (st = ecg_csv_time(t, at[3], &s->intime, err)) || (st = ecg_csv_time(t, at[4], &s->outtime, err)))
            break;
        const ecg_field gender = ecg_csv_field(t, at[5]);
        s->male = gender.len == 1 && *gender.at == 'M';
        s->ethnicity = ethnicity_of(ecg_csv_field(t, at[6]));
        out->n += s->subject >= 0 && s->stay >= 0 && s->intime != INT64_MIN;
    }
    ecg_csv_close(t);
    if (!st && out->n)
        qsort(out->at, (size_t)out->n, sizeof *out->at, by_subject_line);
    for (int64_t i = 0; i < out->n && !st; i++)
        if (!i || out->at[i].subject != out->at[i - 1].subject)
            st = ecg_ids_put(&out->first, out->at[i].subject, (int32_t)i, err);
    return st;
}

/* ---- recordings in a stay -------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t listed, repeated, outside, late;
} losses;

/* False: dropped, and counted why. */
static bool match_stay(ecg_visit *v, losses *lost, const ed_stays *stays)
{
    const ed_stay *own = NULL, *visit = NULL;
    const int32_t first = ecg_ids_get(&stays->first, v->subject);
    for (int64_t i = first; i >= 0 && i < stays->n && stays->at[i].subject == v->subject; i++) {
        const ed_stay *s = &stays->at[i];
        if (!own && s->intime < v->time && v->time < s->outtime)
            own = s;
        if (!visit && s->intime <= v->time && v->time - s->intime <= ECG_WINDOW)
            visit = s;
    }
    lost->outside += !own;
    lost->late += own && !visit;
    if (!own || !visit)
        return false;
    v->own_stay = own->stay;
    v->ed_hadm = own->hadm;
    v->arrival = visit->intime;
    v->departure = visit->outtime;
    v->ethnicity = visit->ethnicity;
    v->male = visit->male;
    return true;
}

static int by_subject_time(const void *x, const void *y)
{
    const ecg_visit *a = x, *b = y;
    if (a->subject != b->subject)
        return a->subject < b->subject ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->codes - b->codes; /* place in the file, for as long as there are no codes */
}

static void number_patients(ecg_visits *v)
{
    v->patients = 0;
    for (int64_t i = 0; i < v->n; i++) {
        v->patients += !i || v->at[i].subject != v->at[i - 1].subject;
        v->at[i].patient = (int32_t)(v->patients - 1);
    }
}

static ecg_status read_records(ecg_visits *out, losses *lost, const ed_stays *stays, const char *path, ecg_err *err)
{
    static const char *const need[] = {"subject_id", "study_id", "ecg_time", "path"};
    int at[4];
    int64_t room = 0;
    bool more;
    ecg_ids seen = {0};
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 4, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        ecg_visit v = {.hosp_hadm = -1, .age = NAN};
        if ((st = ecg_csv_i64(t, at[0], &v.subject, err)) || (st = ecg_csv_i64(t, at[1], &v.study, err)) || (st = ecg_csv_time(t, at[2], &v.time, err)))
            break;
        if (lost->listed++ == INT32_MAX - 1) {
            st = ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), 0, "more than %d recordings", INT32_MAX - 1);
            break;
        }
        if (ecg_ids_get(&seen, v.study) >= 0) {
            lost->repeated++;
            continue;
        }
        if ((st = ecg_ids_put(&seen, v.study, 0, err)))
            break;
        if (!match_stay(&v, lost, stays))
            continue;
        if (out->n == room) {
            room = room ? room * 2 : 1024;
            ecg_visit *grown = realloc(out->at, (size_t)room * sizeof *grown);
            if (!grown) {
                st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", room);
                break;
            }
            out->at = grown;
        }
        const ecg_field name = ecg_csv_field(t, at[3]);
        v.codes = (int)out->n;
        v.path = strndup(name.len ? name.at : "", name.len);
        if (!v.path) {
            st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", room);
            break;
        }
        out->at[out->n++] = v;
    }
    ecg_csv_close(t);
    ecg_ids_clear(&seen);
    if (out->n)
        qsort(out->at, (size_t)out->n, sizeof *out->at, by_subject_time);
    for (int64_t i = 0; i < out->n; i++)
        out->at[i].codes = 0;
    number_patients(out);
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

/* ---- codes ------------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int32_t owner; /* number of an admission or a stay */
    int32_t word;  /* label without prefixes */
} coding;

typedef struct {
    ecg_ids owner;   /* hadm_id or stay_id -> number */
    coding *at;      /* (n), by owner once read */
    int64_t n, room;
    int64_t *first;  /* (owners + 1) */
} codings;

static void codings_clear(codings *c)
{
    ecg_ids_clear(&c->owner);
    free(c->at);
    free(c->first);
}

static int by_owner(const void *x, const void *y)
{
    const coding *a = x, *b = y;
    return a->owner != b->owner ? a->owner - b->owner : a->word - b->word;
}

static ecg_status read_codes(codings *c, ecg_words *words, const char *path, const char *id_column, ecg_err *err)
{
    const char *const need[] = {id_column, "icd_code", "icd_version"};
    int at[3];
    bool more;
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 3, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t id, version;
        char label[6];
        if ((st = ecg_csv_i64(t, at[0], &id, err)))
            break;
        const int32_t owner = id < 0 ? -1 : ecg_ids_get(&c->owner, id);
        if (owner < 0)
            continue;
        if ((st = ecg_csv_i64(t, at[2], &version, err)))
            break;
        const ecg_field code = ecg_csv_field(t, at[1]);
        if (!ecg_icd_label(label, code.at, code.len, (int)version))
            continue;
        if (c->n == c->room) {
            c->room = c->room ? c->room * 2 : 4096;
            coding *grown = realloc(c->at, (size_t)c->room * sizeof *grown);
            if (!grown) {
                st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " codes", c->room);
                break;
            }
            c->at = grown;
        }
        const int word = ecg_words_put(words, label, strlen(label));
        if (word < 0) {
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the codes");
            break;
        }
        c->at[c->n++] = (coding){owner, word};
    }
    ecg_csv_close(t);
    if (st)
        return st;
    if (c->n)
        qsort(c->at, (size_t)c->n, sizeof *c->at, by_owner);
    c->first = calloc((size_t)c->owner.n + 1, sizeof *c->first);
    if (!c->first)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the codes");
    for (int64_t i = 0; i < c->n; i++)
        c->first[c->at[i].owner + 1]++;
    for (int64_t i = 0; i < c->owner.n; i++)
        c->first[i + 1] += c->first[i];
    return ECG_OK;
}

static int by_number(const void *x, const void *y)
{
    const int a = *(const int *)x, b = *(const int *)y;
    return (a > b) - (a < b);
}

typedef struct {
    int *at;
    int n, room;
} numbers;

/* The label and its prefixes of three characters and more. */
static bool add_with_prefixes(numbers *out, ecg_words *label, const char *code)
{
    for (size_t len = 3; len <= strlen(code); len++) {
        if (out->n == out->room) {
            const int room = out->room ? out->room * 2 : 64;
            int *grown = realloc(out->at, (size_t)room * sizeof *grown);
            if (!grown)
                return false;
            out->at = grown;
            out->room = room;
        }
        const int word = ecg_words_put(label, code, len);
        if (word < 0)
            return false;
        out->at[out->n++] = word;
    }
    return true;
}

static bool add_owner(numbers *out, ecg_words *label, const codings *c, const ecg_words *words, int64_t id)
{
    const int32_t owner = id < 0 ? -1 : ecg_ids_get(&c->owner, id);
    if (owner < 0)
        return true;
    for (int64_t i = c->first[owner]; i < c->first[owner + 1]; i++)
        if (!add_with_prefixes(out, label, words->at[c->at[i].word]))
            return false;
    return true;
}

/* Codes of the two admissions united, those of the ED where there is none (docs/cohort.md 1). */
static ecg_status assign_codes(ecg_visits *v, const codings *hosp, const codings *ed, const ecg_words *words, ecg_err *err)
{
    numbers list = {0};
    for (int64_t i = 0; i < v->n; i++) {
        ecg_visit *r = &v->at[i];
        list.n = 0;
        bool room = add_owner(&list, &v->label, hosp, words, r->hosp_hadm) && add_owner(&list, &v->label, hosp, words, r->ed_hadm);
        if (room && !list.n)
            room = add_owner(&list, &v->label, ed, words, r->own_stay);
        r->code = room ? malloc(((size_t)list.n + 1) * sizeof *r->code) : NULL;
        if (!r->code) {
            free(list.at);
            return ecg_fail(err, ECG_ENOMEM, "no memory for the codes");
        }
        if (list.n)
            qsort(list.at, (size_t)list.n, sizeof *list.at, by_number);
        for (int k = 0; k < list.n; k++)
            if (!k || list.at[k] != list.at[k - 1])
                r->code[r->codes++] = list.at[k];
        r->coded = list.n > 0;
    }
    free(list.at);
    return ECG_OK;
}

static ecg_status put_owner(codings *c, int64_t id, ecg_err *err)
{
    return id < 0 ? ECG_OK : ecg_ids_put(&c->owner, id, (int32_t)c->owner.n, err);
}

static ecg_status read_all_codes(ecg_visits *v, const ecg_mimic_tables *tables, ecg_err *err)
{
    codings hosp = {0}, ed = {0};
    ecg_words words = {0};
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < v->n && !st; i++)
        if (!(st = put_owner(&hosp, v->at[i].hosp_hadm, err)) && !(st = put_owner(&hosp, v->at[i].ed_hadm, err)))
            st = put_owner(&ed, v->at[i].own_stay, err);
    if (!st)
        st = read_codes(&hosp, &words, tables->path[ECG_T_DIAGNOSES], "hadm_id", err);
    if (!st)
        st = read_codes(&ed, &words, tables->path[ECG_T_ED_DIAGNOSIS], "stay_id", err);
    if (!st)
        st = assign_codes(v, &hosp, &ed, &words, err);
    codings_clear(&hosp);
    codings_clear(&ed);
    ecg_words_clear(&words);
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

ecg_status ecg_visits_read(ecg_visits *out, ecg_text *attrition, const ecg_mimic_tables *tables, bool keep_uncoded, ecg_err *err)
{
    ed_stays stays = {0};
    losses lost = {0};
    ecg_ids first = {0};
    ecg_status st = read_stays(&stays, tables->path[ECG_T_EDSTAYS], err);
    if (!st)
        st = read_records(out, &lost, &stays, tables->path[ECG_T_RECORDS], err);
    if (!st) {
        int64_t left = lost.listed;
        ecg_attrition_add(attrition, "recordings listed", left, 0);
        ecg_attrition_add(attrition, "study listed for the first time", left -= lost.repeated, lost.repeated);
        ecg_attrition_add(attrition, "taken during an ED stay", left -= lost.outside, lost.outside);
        ecg_attrition_add(attrition, "at most 90 minutes after arrival", left -= lost.late, lost.late);
        if (!left)
            st = ecg_fail_at(err, ECG_EDATA, tables->path[ECG_T_RECORDS], 0, 0, "none of %" PRId64 " recordings was taken within 90 minutes of arrival", lost.listed);
    }
    free(stays.at);
    ecg_ids_clear(&stays.first);
    if (!st)
        st = subjects_of(&first, out, err);
    if (!st)
        st = read_patients(out, &first, tables->path[ECG_T_PATIENTS], err);
    if (!st)
        st = read_admissions(out, &first, tables->path[ECG_T_ADMISSIONS], err);
    ecg_ids_clear(&first);
    if (!st)
        st = read_all_codes(out, tables, err);
    if (!st)
        st = drop_uncoded(out, attrition, keep_uncoded, err);
    if (!st && !out->n)
        st = ecg_fail_at(err, ECG_EDATA, tables->path[ECG_T_DIAGNOSES], 0, 0, "no recording has a diagnosis code");
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
