/* SPDX-License-Identifier: MIT
 * deterioration.c: labels of what follows the first 90 minutes, as MDS-ED defines them. Each table is read once; what it says of a recording
 * is noted in `facts`, and `judge` turns the facts of one recording into its 15 labels.
 *
 * Arrival (intime) and end (outtime) are those of the stay that gives the recording its windows; vital signs, drugs and ED diagnoses are joined by
 * the stay in which it was taken, procedures and intensive care by the admission of that stay, discharge and later diagnoses by the admission that
 * was under way (docs/cohort.md 1); a row that is an ED stay and no recording begins before any admission: there it is that of the stay. A recording
 * without such an admission has no row of it: the label is 0, not unknown. */
#include "cohort/deterioration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/scratch.h"
#include "cohort/modules.h"

enum { DAY = 24 * 60 * 60 };

/* ---- the labels ----------------------------------------------------------------------------------------------------------------------------- */

enum {
    CARDIAC_ARREST,
    ECMO,
    ICU_24H,
    ICU_STAY,
    INOTROPES,
    VENTILATION,
    MORTALITY_180D,
    MORTALITY_1D,
    MORTALITY_28D,
    MORTALITY_365D,
    MORTALITY_7D,
    MORTALITY_90D,
    MORTALITY_STAY,
    HYPOXEMIA,
    VASOPRESSORS,
    LABELS
};
enum { HORIZONS = MORTALITY_90D - MORTALITY_180D + 1, NEEDS = 3 };
static const int horizon_days[HORIZONS] = {180, 1, 28, 365, 7, 90};

/* Ascending code (strcmp), as in every label table. needs: its tables; ECG_TABLES: no further one. */
static const struct { const char *code, *title; int needs[NEEDS]; } labels[LABELS] = {
    [CARDIAC_ARREST] = {"cardiac_arrest", "Cardiac arrest within a day of arrival", {ECG_T_ED_DIAGNOSIS, ECG_T_DIAGNOSES, ECG_T_ADMISSIONS}},
    [ECMO] = {"ecmo", "Extracorporeal circulation by the day after arrival", {ECG_T_PROCEDURES, ECG_TABLES, ECG_TABLES}},
    [ICU_24H] = {"icu_24h", "Intensive care within 24 hours of arrival", {ECG_T_ICUSTAYS, ECG_TABLES, ECG_TABLES}},
    [ICU_STAY] = {"icu_stay", "Intensive care during the admission", {ECG_T_ICUSTAYS, ECG_TABLES, ECG_TABLES}},
    [INOTROPES] = {"inotropes", "Inotropes in the emergency department", {ECG_T_PYXIS, ECG_TABLES, ECG_TABLES}},
    [VENTILATION] = {"mechanical_ventilation", "Mechanical ventilation by the day after arrival", {ECG_T_PROCEDURES, ECG_TABLES, ECG_TABLES}},
    [MORTALITY_180D] = {"mortality_180d", "Death within 180 days of arrival", {ECG_T_PATIENTS, ECG_TABLES, ECG_TABLES}},
    [MORTALITY_1D] = {"mortality_1d", "Death within 1 day of arrival", {ECG_T_PATIENTS, ECG_TABLES, ECG_TABLES}},
    [MORTALITY_28D] = {"mortality_28d", "Death within 28 days of arrival", {ECG_T_PATIENTS, ECG_TABLES, ECG_TABLES}},
    [MORTALITY_365D] = {"mortality_365d", "Death within 365 days of arrival", {ECG_T_PATIENTS, ECG_TABLES, ECG_TABLES}},
    [MORTALITY_7D] = {"mortality_7d", "Death within 7 days of arrival", {ECG_T_PATIENTS, ECG_TABLES, ECG_TABLES}},
    [MORTALITY_90D] = {"mortality_90d", "Death within 90 days of arrival", {ECG_T_PATIENTS, ECG_TABLES, ECG_TABLES}},
    [MORTALITY_STAY] = {"mortality_stay", "Death before discharge", {ECG_T_PATIENTS, ECG_T_ADMISSIONS, ECG_TABLES}},
    [HYPOXEMIA] = {"severe_hypoxemia", "Oxygen saturation of 85 % or less within 24 hours of arrival", {ECG_T_VITALSIGN, ECG_TABLES, ECG_TABLES}},
    [VASOPRESSORS] = {"vasopressors", "Vasopressors in the emergency department", {ECG_T_PYXIS, ECG_TABLES, ECG_TABLES}},
};

/* ---- what the tables say of one recording ------------------------------------------------------------------------------------------------------ */

typedef struct {
    int64_t death;      /* the day, at 00:00; INT64_MIN: none of these moments */
    int64_t discharge;  /* of the admission under way */
    int64_t icu;        /* intime of the first row */
    bool ventilated, extracorporeal;
    bool arrest_title, arrest_code;
    bool inotrope, vasopressor;
    bool saturation[3], low[3]; /* any value, any of 85 % or less: up to 90 minutes, up to 24 hours, later */
} facts;

static int64_t day_of(int64_t time)
{
    return time - ((time % DAY) + DAY) % DAY;
}

static bool contains(ecg_field f, const char *word, const char *not_after)
{
    const size_t n = strlen(word), m = not_after ? strlen(not_after) : 0;
    for (size_t i = 0; i + n <= f.len; i++)
        if (!strncasecmp(f.at + i, word, n) && !(m && i >= m && !strncasecmp(f.at + i - m, not_after, m)))
            return true;
    return false;
}

static bool is_one_of(ecg_field code, const char *const *list, size_t n)
{
    while (code.len && code.at[code.len - 1] == ' ')
        code.len--;
    for (size_t i = 0; i < n; i++)
        if (code.len == strlen(list[i]) && !memcmp(code.at, list[i], code.len))
            return true;
    return false;
}

/* One row of a table (columns at) about recording v; file order. */
typedef ecg_status (*note)(facts *f, const ecg_visit *v, const ecg_csv *t, const int *at, ecg_err *err);

static ecg_status note_death(facts *f, const ecg_visit *v, const ecg_csv *t, const int *at, ecg_err *err)
{
    (void)v;
    return ecg_csv_time(t, at[1], &f->death, err);
}

static ecg_status note_discharge(facts *f, const ecg_visit *v, const ecg_csv *t, const int *at, ecg_err *err)
{
    (void)v;
    return ecg_csv_time(t, at[1], &f->discharge, err);
}

static ecg_status note_icu(facts *f, const ecg_visit *v, const ecg_csv *t, const int *at, ecg_err *err)
{
    (void)v;
    return f->icu == INT64_MIN ? ecg_csv_time(t, at[1], &f->icu, err) : ECG_OK;
}

/* By day, because procedures have no clock time: the day of arrival, the day after it, or any day before within the admission. */
static ecg_status note_procedure(facts *f, const ecg_visit *v, const ecg_csv *t, const int *at, ecg_err *err)
{
    static const char *const ventilation[] = {"9670", "9671", "9672", "5A1935Z", "5A1945Z", "5A1955Z"};
    static const char *const ecmo[] = {"3961",    "3965",    "3966",    "5A1221Z", "5A1522G", "5A1522H",
                                       "5A15223", "5A1522F", "5A15A2F", "5A15A2G", "5A15A2H"};
    int64_t subject, day;
    ecg_status st = ecg_csv_i64(t, at[1], &subject, err);
    if (st || (st = ecg_csv_time(t, at[2], &day, err)))
        return st;
    if (subject != v->subject || day == INT64_MIN || day > day_of(v->arrival) + DAY)
        return ECG_OK;
    f->ventilated |= is_one_of(ecg_csv_field(t, at[3]), ventilation, sizeof ventilation / sizeof *ventilation);
    f->extracorporeal |= is_one_of(ecg_csv_field(t, at[3]), ecmo, sizeof ecmo / sizeof *ecmo);
    return ECG_OK;
}

static ecg_status note_title(facts *f, const ecg_visit *v, const ecg_csv *t, const int *at, ecg_err *err)
{
    (void)v;
    (void)err;
    f->arrest_title |= contains(ecg_csv_field(t, at[1]), "cardiac arrest", NULL);
    return ECG_OK;
}

static ecg_status note_code(facts *f, const ecg_visit *v, const ecg_csv *t, const int *at, ecg_err *err)
{
    static const char *const arrest[] = {"I469", "4275", "I462", "V1253", "I468"};
    (void)v;
    (void)err;
    f->arrest_code |= is_one_of(ecg_csv_field(t, at[1]), arrest, sizeof arrest / sizeof *arrest);
    return ECG_OK;
}

/* The published list spells out variants of these names. Those given in the first 90 minutes are known when the recording is judged: not counted. */
static ecg_status note_drug(facts *f, const ecg_visit *v, const ecg_csv *t, const int *at, ecg_err *err)
{
    static const char *const vasopressors[] = {"norepinephrine", "epinephrine", "vasopressin", "dopamine", "phenylephrine", "dobutamine"};
    static const char *const inotropes[] = {"epinephrine", "dopamine", "dobutamine"};
    int64_t time;
    const ecg_field name = ecg_csv_field(t, at[2]);
    ecg_status st = ecg_csv_time(t, at[1], &time, err);
    if (st || time == INT64_MIN || time - v->arrival < ECG_WINDOW || !ecg_csv_field(t, at[3]).len)
        return st;
    for (size_t i = 0; i < sizeof vasopressors / sizeof *vasopressors; i++)
        f->vasopressor |= contains(name, vasopressors[i], NULL);
    for (size_t i = 0; i < sizeof inotropes / sizeof *inotropes; i++)
        f->inotrope |= contains(name, inotropes[i], "nor");
    return ECG_OK;
}

/* Outside 0..100 %: missing, as in the columns. Exactly 90 minutes is before, exactly 24 hours is within the day. */
static ecg_status note_saturation(facts *f, const ecg_visit *v, const ecg_csv *t, const int *at, ecg_err *err)
{
    int64_t time;
    double percent;
    ecg_status st = ecg_csv_time(t, at[1], &time, err);
    if (st || (st = ecg_csv_double(t, at[2], &percent, err)) || time == INT64_MIN || !(percent >= 0 && percent <= 100))
        return st;
    const int64_t after = time - v->arrival;
    const int when = after <= ECG_WINDOW ? 0 : after <= DAY ? 1 : 2;
    f->saturation[when] = true;
    f->low[when] |= percent <= 85;
    return ECG_OK;
}

/* ---- reading them --------------------------------------------------------------------------------------------------------------------------- */

enum { MOST_COLUMNS = 4 };

/* Which number of a recording the first column must equal. */
typedef enum { BY_SUBJECT, BY_STAY, BY_ED_ADMISSION, BY_ADMISSION } row_key;

static int64_t key_of(const ecg_visits *v, int64_t i, row_key key)
{
    const ecg_visit *r = &v->at[i];
    switch (key) {
    case BY_SUBJECT: return r->subject;
    case BY_STAY: return r->own_stay;
    case BY_ED_ADMISSION: return r->ed_hadm;
    default: return r->hosp_hadm < 0 && !v->recordings ? r->ed_hadm : r->hosp_hadm;
    }
}

static const struct { int table; row_key key; const char *column[MOST_COLUMNS]; int columns; note take; } readers[] = {
    {ECG_T_PATIENTS, BY_SUBJECT, {"subject_id", "dod"}, 2, note_death},
    {ECG_T_ADMISSIONS, BY_ADMISSION, {"hadm_id", "dischtime"}, 2, note_discharge},
    {ECG_T_ICUSTAYS, BY_ED_ADMISSION, {"hadm_id", "intime"}, 2, note_icu},
    {ECG_T_PROCEDURES, BY_ED_ADMISSION, {"hadm_id", "subject_id", "chartdate", "icd_code"}, 4, note_procedure},
    {ECG_T_ED_DIAGNOSIS, BY_STAY, {"stay_id", "icd_title"}, 2, note_title},
    {ECG_T_DIAGNOSES, BY_ADMISSION, {"hadm_id", "icd_code"}, 2, note_code},
    {ECG_T_PYXIS, BY_STAY, {"stay_id", "charttime", "name", "gsn"}, 4, note_drug},
    {ECG_T_VITALSIGN, BY_STAY, {"stay_id", "charttime", "o2sat"}, 3, note_saturation},
};
enum { READERS = sizeof readers / sizeof *readers };

/* Recordings by one of their ids: number -> the first with that id, each -> the next. */
typedef struct {
    ecg_ids number;
    int32_t *first, *next; /* -1: none */
} recordings_by_id;

static void by_id_clear(recordings_by_id *by)
{
    ecg_ids_clear(&by->number);
    free(by->first);
    free(by->next);
}

static ecg_status by_id_make(recordings_by_id *by, const ecg_visits *v, row_key key, ecg_err *err)
{
    *by = (recordings_by_id){0};
    by->first = malloc(((size_t)v->n + 1) * sizeof *by->first);
    by->next = malloc(((size_t)v->n + 1) * sizeof *by->next);
    if (!by->first || !by->next)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", v->n);
    for (int64_t i = 0; i < v->n; i++) {
        const int64_t id = key_of(v, i, key);
        if (id < 0)
            continue;
        int32_t k = ecg_ids_get(&by->number, id);
        if (k < 0) {
            k = (int32_t)by->number.n;
            by->first[k] = -1;
            const ecg_status st = ecg_ids_put(&by->number, id, k, err);
            if (st)
                return st;
        }
        by->next[i] = by->first[k];
        by->first[k] = (int32_t)i;
    }
    return ECG_OK;
}

typedef struct {
    const ecg_visits *v;
    facts *of;              /* (n) */
    char lacks[ECG_TABLES][128]; /* why a table cannot be used: "no pyxis.csv"; "": it can */
} reading;

/* A table that is not there or lacks a column takes its labels with it; one that is broken is an error. */
static bool is_usable(reading *r, ecg_csv **t, int *at, int reader, const ecg_mimic_tables *tables, ecg_status *st, ecg_err *err)
{
    const int table = readers[reader].table;
    char *why = r->lacks[table];
    if (!tables->path[table][0]) {
        snprintf(why, sizeof r->lacks[table], "no %s", ecg_table_names[table]);
        return false;
    }
    if ((*st = ecg_csv_open(t, tables->path[table], err)))
        return false;
    for (int c = 0; c < readers[reader].columns && !*why; c++)
        if ((at[c] = ecg_csv_find(*t, readers[reader].column[c])) < 0)
            snprintf(why, sizeof r->lacks[table], "%s has no column %s", ecg_table_names[table], readers[reader].column[c]);
    return !*why;
}

static ecg_status read_table(reading *r, int reader, const ecg_mimic_tables *tables, const ecg_watch *watch, ecg_err *err)
{
    ecg_csv *t = NULL;
    int at[MOST_COLUMNS];
    int64_t rows = 0;
    bool more;
    recordings_by_id by = {0};
    ecg_status st = ECG_OK;
    if (!is_usable(r, &t, at, reader, tables, &st, err)) {
        ecg_csv_close(t);
        return st;
    }
    st = by_id_make(&by, r->v, readers[reader].key, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t id;
        if ((++rows & 0xffff) == 0 && ecg_stopped(watch)) {
            st = ecg_fail(err, ECG_EINTR, "interrupted after %" PRId64 " rows of %s", rows, ecg_table_names[readers[reader].table]);
            break;
        }
        if ((st = ecg_csv_i64(t, at[0], &id, err)) || id < 0)
            continue;
        const int32_t k = ecg_ids_get(&by.number, id);
        for (int32_t i = k < 0 ? -1 : by.first[k]; i >= 0 && !st; i = by.next[i])
            st = readers[reader].take(&r->of[i], &r->v->at[i], t, at, err);
    }
    ecg_csv_close(t);
    by_id_clear(&by);
    return st;
}

/* ---- the labels of one recording ----------------------------------------------------------------------------------------------------------------- */

/* Deaths have a day and no time: one before the end of the window is unknown, and so is every death on the day of arrival. */
static void judge_mortality(int8_t *y, const facts *f, const ecg_visit *v)
{
    const bool dead = f->death != INT64_MIN, unknown = dead && f->death - v->arrival < ECG_WINDOW;
    for (int h = 0; h < HORIZONS; h++)
        y[MORTALITY_180D + h] = unknown ? -1 : dead && (f->death - v->arrival) / DAY <= horizon_days[h];
    y[MORTALITY_STAY] = unknown ? -1 : dead && ((f->discharge != INT64_MIN && f->death < f->discharge) || (v->departure != INT64_MIN && f->death < v->departure));
}

/* A patient who was in intensive care before the window ended cannot come into it. */
static void judge_icu(int8_t *y, const facts *f, const ecg_visit *v)
{
    const int64_t after = f->icu - (f->icu == INT64_MIN ? 0 : v->arrival);
    const bool stay = f->icu != INT64_MIN, unknown = stay && after < ECG_WINDOW;
    y[ICU_STAY] = unknown ? -1 : stay;
    y[ICU_24H] = unknown ? -1 : stay && after <= DAY;
}

/* The ED must name it; within a day by the end of the ED stay, or by that of an admission that codes it too. */
static int8_t judge_arrest(const facts *f, const ecg_visit *v)
{
    const bool left = v->departure != INT64_MIN && v->departure - v->arrival <= DAY;
    const bool discharged = f->discharge != INT64_MIN && f->discharge - v->arrival <= DAY;
    return f->arrest_title && (left || (f->arrest_code && discharged));
}

/* Unknown without a value on either side of the window, and where the patient was already hypoxemic in it. A low value after the first day alone is
 * a negative only if the first day was observed. */
static int8_t judge_hypoxemia(const facts *f)
{
    if (!f->saturation[0] || f->low[0] || !(f->saturation[1] || f->saturation[2]))
        return -1;
    if (f->low[1])
        return 1;
    return f->low[2] && !f->saturation[1] ? -1 : 0;
}

static void judge(int8_t y[LABELS], const facts *f, const ecg_visit *v)
{
    judge_mortality(y, f, v);
    judge_icu(y, f, v);
    y[CARDIAC_ARREST] = judge_arrest(f, v);
    y[HYPOXEMIA] = judge_hypoxemia(f);
    y[ECMO] = f->extracorporeal;
    y[VENTILATION] = f->ventilated;
    y[INOTROPES] = f->inotrope;
    y[VASOPRESSORS] = f->vasopressor;
}

/* ---- all together ----------------------------------------------------------------------------------------------------------------------------------- */

/* The first of a label's tables that cannot be used, ECG_TABLES: none. */
static int missing_table(const reading *r, int label)
{
    for (int n = 0; n < NEEDS; n++)
        if (labels[label].needs[n] != ECG_TABLES && r->lacks[labels[label].needs[n]][0])
            return labels[label].needs[n];
    return ECG_TABLES;
}

/* One line a table: "deterioration: no pyxis.csv: without inotropes, vasopressors". */
static void say_missing(const reading *r, const ecg_watch *watch)
{
    for (int table = 0; table < ECG_TABLES; table++) {
        ecg_text line = {0};
        for (int k = 0; k < LABELS; k++)
            if (missing_table(r, k) == table)
                ecg_text_printf(&line, "%s%s", line.len ? ", " : "", labels[k].code);
        if (line.len && !line.failed)
            ecg_say(watch, "deterioration: %s: without %s", r->lacks[table], line.at);
        ecg_text_clear(&line);
    }
}

/* all (n, LABELS) -> those labels that have their tables and a known value. */
static ecg_status keep_known(ecg_label_table *table, int8_t **label, const int8_t *all, const reading *r, const ecg_watch *watch, ecg_err *err)
{
    const int64_t n = r->v->n;
    int kept[LABELS];
    table->label = calloc(LABELS, sizeof *table->label);
    *label = ecg_scratch_take((size_t)n * LABELS + 1, r->v->beside);
    if (!table->label || !*label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d labels", n, LABELS);
    for (int k = 0; k < LABELS; k++) {
        int64_t count[2] = {0};
        if (missing_table(r, k) != ECG_TABLES)
            continue;
        for (int64_t i = 0; i < n; i++)
            if (all[i * LABELS + k] >= 0)
                count[all[i * LABELS + k]]++;
        if (!count[0] && !count[1]) {
            ecg_say(watch, "deterioration: %s is unknown for every recording: left out", labels[k].code);
            continue;
        }
        if (!count[0] || !count[1])
            ecg_say(watch, "deterioration: %s is %d for every recording where it is known", labels[k].code, count[1] > 0);
        ecg_label *x = &table->label[table->n];
        snprintf(x->code, sizeof x->code, "%s", labels[k].code);
        snprintf(x->title, sizeof x->title, "%s", labels[k].title);
        kept[table->n++] = k;
    }
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < table->n; k++)
            (*label)[i * table->n + k] = all[i * LABELS + kept[k]];
    ecg_label_table_hash(table);
    return ECG_OK;
}

ecg_status ecg_deterioration_labels(ecg_label_table *table, int8_t **label, const ecg_visits *v, const ecg_mimic_tables *tables, const ecg_watch *watch,
                                    ecg_err *err)
{
    reading r = {.v = v, .of = malloc(((size_t)v->n + 1) * sizeof *r.of)};
    int8_t *all = malloc((size_t)v->n * LABELS + 1);
    ecg_status st = r.of && all ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", v->n);
    *label = NULL;
    table->n = 0;
    for (int64_t i = 0; i < v->n && !st; i++)
        r.of[i] = (facts){.death = INT64_MIN, .discharge = INT64_MIN, .icu = INT64_MIN};
    for (int k = 0; k < READERS && !st; k++)
        st = read_table(&r, k, tables, watch, err);
    for (int64_t i = 0; i < v->n && !st; i++)
        judge(all + i * LABELS, &r.of[i], &v->at[i]);
    if (!st) {
        say_missing(&r, watch);
        st = keep_known(table, label, all, &r, watch, err);
    }
    free(r.of);
    free(all);
    return st;
}
