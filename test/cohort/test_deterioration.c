/* SPDX-License-Identifier: MIT
 * test_deterioration.c: what became of one recording, told row by row, and which of its 15 labels that makes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/scratch.h"
#include "base/text.h"
#include "cohort/deterioration.h"

/* The tested recording is the first: patient 10000001, stay 30000001, admission of the stay 20000001, admission under way 20000002. The second, of
 * patient 10000002, is there so that no label is unknown everywhere. */
enum { TABLES = 8, HOURS = 3600, NOT_THERE = -2 };
static const struct { int table; const char *name, *text; } tables[TABLES] = {
    {ECG_T_PATIENTS, "patients.csv", "subject_id,gender,anchor_age,dod\n10000002,F,50,\n"},
    {ECG_T_ADMISSIONS, "admissions.csv", "subject_id,hadm_id,admittime,dischtime\n10000002,20000004,2150-03-01 15:00:00,2150-03-04 15:00:00\n"},
    {ECG_T_ICUSTAYS, "icustays.csv", "subject_id,hadm_id,stay_id,intime\n10000002,20000003,39000001,2150-03-01 20:00:00\n"},
    {ECG_T_PROCEDURES, "procedures_icd.csv", "subject_id,hadm_id,seq_num,chartdate,icd_code,icd_version\n10000002,20000003,1,2150-03-01,9670,9\n"},
    {ECG_T_ED_DIAGNOSIS, "diagnosis.csv", "subject_id,stay_id,seq_num,icd_code,icd_version,icd_title\n10000002,30000002,1,R55,10,Syncope\n"},
    {ECG_T_DIAGNOSES, "diagnoses_icd.csv", "subject_id,hadm_id,seq_num,icd_code,icd_version\n10000002,20000004,1,I469,10\n"},
    {ECG_T_PYXIS, "pyxis.csv", "subject_id,stay_id,charttime,med_rn,name,gsn_rn,gsn\n10000002,30000002,2150-03-01 18:00:00,1,Dopamine,1,4\n"},
    {ECG_T_VITALSIGN, "vitalsign.csv", "subject_id,stay_id,charttime,o2sat\n10000002,30000002,2150-03-01 12:30:00,99\n10000002,30000002,2150-03-01 18:00:00,98\n"},
};

typedef struct {
    char folder[32];
    ecg_mimic_tables at;
    ecg_visit visit[2];
    ecg_visits v;
    ecg_text said;
    ecg_label_table table;
    int8_t *label;
    ecg_err err;
} hospital;

static int64_t moment(const char *text)
{
    int64_t time;
    assert_true(ecg_parse_time(&time, text, strlen(text)));
    return time;
}

static void remember(void *ctx, const char *line)
{
    ecg_text_printf(ctx, "%s\n", line);
}

/* Tables with their rows of the second patient; those of the first are added by put. */
static hospital *hospital_new(const char *arrival)
{
    hospital *h = calloc(1, sizeof *h);
    assert_non_null(h);
    snprintf(h->folder, sizeof h->folder, "deterioration.XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    for (int t = 0; t < TABLES; t++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", h->folder, tables[t].name);
        memcpy(h->at.path[tables[t].table], path, sizeof path);
        assert_int_equal(ecg_file_write_whole(path, tables[t].text, strlen(tables[t].text), NULL), ECG_OK);
    }
    for (int i = 0; i < 2; i++) {
        h->visit[i] = (ecg_visit){.subject = 10000001 + i, .own_stay = 30000001 + i, .ed_hadm = 20000001 + 2 * i, .hosp_hadm = 20000002 + 2 * i, .patient = i};
        h->visit[i].arrival = moment(i || !arrival ? "2150-03-01 12:00:00" : arrival);
        h->visit[i].departure = h->visit[i].arrival + 6 * HOURS;
        h->visit[i].time = h->visit[i].arrival + 600;
    }
    h->v = (ecg_visits){.at = h->visit, .n = 2, .patients = 2, .recordings = true};
    return h;
}

static void hospital_free(hospital *h)
{
    for (int t = 0; t < TABLES; t++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", h->folder, tables[t].name);
        unlink(path);
    }
    rmdir(h->folder);
    ecg_text_clear(&h->said);
    free(h->table.label);
    ecg_scratch_free(h->label);
    free(h);
}

static void put(hospital *h, int table, const char *rows)
{
    FILE *f = fopen(h->at.path[table], "a");
    assert_non_null(f);
    fputs(rows, f);
    assert_int_equal(fclose(f), 0);
}

static ecg_status label(hospital *h)
{
    const ecg_watch watch = {.ctx = &h->said, .say = remember};
    return ecg_deterioration_labels(&h->table, &h->label, &h->v, &h->at, &watch, &h->err);
}

static int target(const hospital *h, int recording, const char *code)
{
    for (int k = 0; k < h->table.n; k++)
        if (!strcmp(h->table.label[k].code, code))
            return h->label[recording * h->table.n + k];
    return NOT_THERE;
}

/* ---- rule by rule ------------------------------------------------------------------------------------------------------------------------------- */

#define DOD(day) {ECG_T_PATIENTS, "10000001,M,60," day "\n"}
#define LEAVES(time) {ECG_T_ADMISSIONS, "10000001,20000002,2150-03-01 14:00:00," time "\n"}
#define ICU(time) {ECG_T_ICUSTAYS, "10000001,20000001,39000009," time "\n"}
#define PROCEDURE(day, code) {ECG_T_PROCEDURES, "10000001,20000001,1," day "," code ",9\n"}
#define TITLE(text) {ECG_T_ED_DIAGNOSIS, "10000001,30000001,1,I469,10,\"" text "\"\n"}
#define CODE(code) {ECG_T_DIAGNOSES, "10000001,20000002,1," code ",10\n"}
#define DRUG(time, name, gsn) {ECG_T_PYXIS, "10000001,30000001,2150-03-01 " time ",1," name ",1," gsn "\n"}
#define O2(time, value) "10000001,30000001," time "," value "\n"
#define O2SAT(rows) {ECG_T_VITALSIGN, rows}

typedef struct {
    const char *why, *arrival; /* NULL: 2150-03-01 12:00:00 */
    struct { int table; const char *rows; } put[3];
    struct { const char *code; int want; } want[3];
} rule;

static void check_rules(const rule *cases, size_t n, void (*change)(hospital *))
{
    for (size_t c = 0; c < n; c++) {
        hospital *h = hospital_new(cases[c].arrival);
        for (int i = 0; i < 3 && cases[c].put[i].rows; i++)
            put(h, cases[c].put[i].table, cases[c].put[i].rows);
        if (change)
            change(h);
        if (label(h))
            fail_msg("%s: %s", cases[c].why, h->err.msg);
        for (int i = 0; i < 3 && cases[c].want[i].code; i++) {
            const int got = target(h, 0, cases[c].want[i].code);
            if (got != cases[c].want[i].want)
                fail_msg("%s: %s is %d, expected %d", cases[c].why, cases[c].want[i].code, got, cases[c].want[i].want);
        }
        hospital_free(h);
    }
}

static void deaths(void **state)
{
    (void)state;
    static const rule cases[] = {
        {"no row of the patient", NULL, {{0}}, {{"mortality_1d", 0}, {"mortality_365d", 0}, {"mortality_stay", 0}}},
        {"alive", NULL, {DOD("")}, {{"mortality_1d", 0}, {"mortality_365d", 0}, {"mortality_stay", 0}}},
        {"on the day of arrival: unknown", NULL, {DOD("2150-03-01")}, {{"mortality_1d", -1}, {"mortality_365d", -1}, {"mortality_stay", -1}}},
        {"before it: unknown", NULL, {DOD("2150-02-20")}, {{"mortality_1d", -1}, {"mortality_365d", -1}, {"mortality_stay", -1}}},
        {"midnight in an hour and a half", "2150-03-01 22:30:00", {DOD("2150-03-02")}, {{"mortality_1d", 1}, {"mortality_365d", 1}, {"mortality_stay", 1}}},
        {"a second less: unknown", "2150-03-01 22:30:01", {DOD("2150-03-02")}, {{"mortality_1d", -1}, {"mortality_stay", -1}}},
        {"the day after", NULL, {DOD("2150-03-02")}, {{"mortality_1d", 1}, {"mortality_7d", 1}}},
        {"36 hours: one whole day", NULL, {DOD("2150-03-03")}, {{"mortality_1d", 1}, {"mortality_7d", 1}}},
        {"60 hours: two", NULL, {DOD("2150-03-04")}, {{"mortality_1d", 0}, {"mortality_7d", 1}, {"mortality_28d", 1}}},
        {"exactly 7 days", "2150-03-01 00:00:00", {DOD("2150-03-08")}, {{"mortality_1d", 0}, {"mortality_7d", 1}}},
        {"8 days", "2150-03-01 00:00:00", {DOD("2150-03-09")}, {{"mortality_7d", 0}, {"mortality_28d", 1}}},
        {"29 days", "2150-03-01 00:00:00", {DOD("2150-03-30")}, {{"mortality_28d", 0}, {"mortality_90d", 1}}},
        {"91 days", "2150-03-01 00:00:00", {DOD("2150-05-31")}, {{"mortality_90d", 0}, {"mortality_180d", 1}}},
        {"181 days", "2150-03-01 00:00:00", {DOD("2150-08-29")}, {{"mortality_180d", 0}, {"mortality_365d", 1}}},
        {"365 days", "2150-03-01 00:00:00", {DOD("2151-03-01")}, {{"mortality_180d", 0}, {"mortality_365d", 1}}},
        {"366 days", "2150-03-01 00:00:00", {DOD("2151-03-02")}, {{"mortality_365d", 0}, {"mortality_stay", 0}}},
        {"before discharge", NULL, {DOD("2150-03-05"), LEAVES("2150-03-05 10:00:00")}, {{"mortality_stay", 1}, {"mortality_1d", 0}}},
        {"discharge at the beginning of that day", NULL, {DOD("2150-03-05"), LEAVES("2150-03-05 00:00:00")}, {{"mortality_stay", 0}, {"mortality_7d", 1}}},
        {"discharge of another admission", NULL, {DOD("2150-03-05"), {ECG_T_ADMISSIONS, "10000001,20000009,2150-03-01 14:00:00,2150-03-09 00:00:00\n"}},
         {{"mortality_stay", 0}}},
        {"before the end of the ED stay", "2150-03-01 22:00:00", {DOD("2150-03-02"), LEAVES("2150-03-01 23:00:00")}, {{"mortality_stay", 1}}},
        {"after the end of the ED stay", "2150-03-01 12:00:00", {DOD("2150-03-02")}, {{"mortality_stay", 0}, {"mortality_1d", 1}}},
    };
    check_rules(cases, sizeof cases / sizeof *cases, NULL);
}

static void no_departure(hospital *h)
{
    h->visit[0].departure = INT64_MIN;
}

static void no_admission(hospital *h)
{
    h->visit[0].ed_hadm = h->visit[0].hosp_hadm = -1;
}

static void admission_of_the_stay_alone(hospital *h)
{
    h->visit[0].hosp_hadm = -1;
}

static void ed_stays(hospital *h)
{
    admission_of_the_stay_alone(h);
    h->v.recordings = false;
}

static void long_stay(hospital *h)
{
    h->visit[0].departure = h->visit[0].arrival + 24 * HOURS + 1;
}

static void day_long_stay(hospital *h)
{
    h->visit[0].departure = h->visit[0].arrival + 24 * HOURS;
}

static void without_a_stay_or_an_admission(void **state)
{
    (void)state;
    static const rule open_end[] = {
        {"end of the stay unknown", "2150-03-01 22:00:00", {DOD("2150-03-02")}, {{"mortality_stay", 0}, {"mortality_1d", 1}}},
        {"end unknown, discharge known", "2150-03-01 22:00:00", {DOD("2150-03-02"), LEAVES("2150-03-02 09:00:00")}, {{"mortality_stay", 1}}},
        {"arrest, end unknown", NULL, {TITLE("Cardiac arrest")}, {{"cardiac_arrest", 0}}},
    };
    static const rule outpatient[] = {
        {"rows without an admission are nobody's", NULL, {{ECG_T_ICUSTAYS, "10000001,,39000009,2150-03-01 20:00:00\n"},
         {ECG_T_PROCEDURES, "10000001,,1,2150-03-01,9670,9\n"}, {ECG_T_DIAGNOSES, "10000001,,1,I469,10\n"}},
         {{"icu_stay", 0}, {"mechanical_ventilation", 0}, {"cardiac_arrest", 0}}},
    };
#define DIES {DOD("2150-03-05"), {ECG_T_ADMISSIONS, "10000001,20000001,2150-03-01 14:00:00,2150-03-05 10:00:00\n"}}
    static const rule recording[] = {{"a recording before the admission: none is under way", NULL, DIES, {{"mortality_stay", 0}, {"mortality_7d", 1}}}};
    static const rule stay[] = {{"a row that is an ED stay: its admission", NULL, DIES, {{"mortality_stay", 1}, {"mortality_7d", 1}}}};
    check_rules(recording, 1, admission_of_the_stay_alone);
    check_rules(stay, 1, ed_stays);
    check_rules(open_end, sizeof open_end / sizeof *open_end, no_departure);
    check_rules(outpatient, sizeof outpatient / sizeof *outpatient, no_admission);
}

static void intensive_care(void **state)
{
    (void)state;
    static const rule cases[] = {
        {"none", NULL, {{0}}, {{"icu_24h", 0}, {"icu_stay", 0}}},
        {"a second before 90 minutes: unknown", NULL, {ICU("2150-03-01 13:29:59")}, {{"icu_24h", -1}, {"icu_stay", -1}}},
        {"before arrival: unknown", NULL, {ICU("2150-02-28 13:29:59")}, {{"icu_24h", -1}, {"icu_stay", -1}}},
        {"at 90 minutes", NULL, {ICU("2150-03-01 13:30:00")}, {{"icu_24h", 1}, {"icu_stay", 1}}},
        {"at 24 hours", NULL, {ICU("2150-03-02 12:00:00")}, {{"icu_24h", 1}, {"icu_stay", 1}}},
        {"a second later", NULL, {ICU("2150-03-02 12:00:01")}, {{"icu_24h", 0}, {"icu_stay", 1}}},
        {"the first row in the file, not in time", NULL, {ICU("2150-03-05 12:00:00"), ICU("2150-03-01 14:00:00")}, {{"icu_24h", 0}, {"icu_stay", 1}}},
        {"of another admission", NULL, {{ECG_T_ICUSTAYS, "10000001,20000002,39000009,2150-03-01 14:00:00\n"}}, {{"icu_24h", 0}, {"icu_stay", 0}}},
    };
    check_rules(cases, sizeof cases / sizeof *cases, NULL);
}

static void procedures(void **state)
{
    (void)state;
    static const rule cases[] = {
        {"none", NULL, {{0}}, {{"mechanical_ventilation", 0}, {"ecmo", 0}}},
        {"the day of arrival", NULL, {PROCEDURE("2150-03-01", "9671")}, {{"mechanical_ventilation", 1}, {"ecmo", 0}}},
        {"the day after", NULL, {PROCEDURE("2150-03-02", "9672")}, {{"mechanical_ventilation", 1}}},
        {"two days after", NULL, {PROCEDURE("2150-03-03", "9672")}, {{"mechanical_ventilation", 0}}},
        {"late arrival: days and not hours", "2150-03-01 23:59:59", {PROCEDURE("2150-03-02", "5A1945Z")}, {{"mechanical_ventilation", 1}}},
        {"earlier in the admission", NULL, {PROCEDURE("2150-02-27", "5A1955Z")}, {{"mechanical_ventilation", 1}}},
        {"blanks behind the code", NULL, {PROCEDURE("2150-03-01", "9670   ")}, {{"mechanical_ventilation", 1}}},
        {"another code", NULL, {PROCEDURE("2150-03-01", "967")}, {{"mechanical_ventilation", 0}}},
        {"a longer code", NULL, {PROCEDURE("2150-03-01", "96701")}, {{"mechanical_ventilation", 0}}},
        {"oxygenation", NULL, {PROCEDURE("2150-03-01", "5A1522F")}, {{"mechanical_ventilation", 0}, {"ecmo", 1}}},
        {"of ICD-9", NULL, {PROCEDURE("2150-03-01", "3965")}, {{"ecmo", 1}}},
        {"both", NULL, {PROCEDURE("2150-03-01", "3961"), PROCEDURE("2150-03-02", "5A1935Z")}, {{"mechanical_ventilation", 1}, {"ecmo", 1}}},
        {"another admission", NULL, {{ECG_T_PROCEDURES, "10000001,20000002,1,2150-03-01,9670,9\n"}}, {{"mechanical_ventilation", 0}}},
        {"another patient", NULL, {{ECG_T_PROCEDURES, "10000009,20000001,1,2150-03-01,9670,9\n"}}, {{"mechanical_ventilation", 0}}},
        {"no day", NULL, {PROCEDURE("", "9670")}, {{"mechanical_ventilation", 0}}},
    };
    check_rules(cases, sizeof cases / sizeof *cases, NULL);
}

static void arrests(void **state)
{
    (void)state;
    static const rule day[] = {
        {"named, and the stay ends within a day", NULL, {TITLE("CARDIAC ARREST, cause unspecified")}, {{"cardiac_arrest", 1}}},
        {"named in the middle", NULL, {TITLE("History of Cardiac Arrest")}, {{"cardiac_arrest", 1}}},
        {"another diagnosis", NULL, {TITLE("Cardiac arrhythmia")}, {{"cardiac_arrest", 0}}},
        {"coded but not named", NULL, {CODE("I469"), LEAVES("2150-03-02 10:00:00")}, {{"cardiac_arrest", 0}}},
        {"named in another stay", NULL, {{ECG_T_ED_DIAGNOSIS, "10000001,30000009,1,I469,10,Cardiac arrest\n"}}, {{"cardiac_arrest", 0}}},
    };
    static const rule longer[] = {
        {"named, the stay is too long", NULL, {TITLE("Cardiac arrest")}, {{"cardiac_arrest", 0}}},
        {"named, coded and discharged within a day", NULL, {TITLE("Cardiac arrest"), CODE("I462"), LEAVES("2150-03-02 12:00:00")}, {{"cardiac_arrest", 1}}},
        {"discharged a second later", NULL, {TITLE("Cardiac arrest"), CODE("I462"), LEAVES("2150-03-02 12:00:01")}, {{"cardiac_arrest", 0}}},
        {"named, discharged within a day, another code", NULL, {TITLE("Cardiac arrest"), CODE("I46"), LEAVES("2150-03-02 10:00:00")}, {{"cardiac_arrest", 0}}},
        {"coded in ICD-9", NULL, {TITLE("Cardiac arrest"), CODE("4275"), LEAVES("2150-03-02 10:00:00")}, {{"cardiac_arrest", 1}}},
        {"coded, never discharged", NULL, {TITLE("Cardiac arrest"), CODE("4275")}, {{"cardiac_arrest", 0}}},
    };
    check_rules(day, sizeof day / sizeof *day, day_long_stay);
    check_rules(longer, sizeof longer / sizeof *longer, long_stay);
}

static void drugs(void **state)
{
    (void)state;
    static const rule cases[] = {
        {"none", NULL, {{0}}, {{"vasopressors", 0}, {"inotropes", 0}}},
        {"at 90 minutes", NULL, {DRUG("13:30:00", "DOPamine 400mg/250mL D5W", "5")}, {{"vasopressors", 1}, {"inotropes", 1}}},
        {"a second before", NULL, {DRUG("13:29:59", "Dopamine", "5")}, {{"vasopressors", 0}, {"inotropes", 0}}},
        {"no gsn", NULL, {DRUG("15:00:00", "Dopamine", "")}, {{"vasopressors", 0}, {"inotropes", 0}}},
        {"norepinephrine is no inotrope", NULL, {DRUG("15:00:00", "NORepinephrine 4mg/4mL", "5")}, {{"vasopressors", 1}, {"inotropes", 0}}},
        {"epinephrine is both", NULL, {DRUG("15:00:00", "EPINEPHrine 1mg", "5")}, {{"vasopressors", 1}, {"inotropes", 1}}},
        {"both names in one", NULL, {DRUG("15:00:00", "norepinephrine / epinephrine", "5")}, {{"vasopressors", 1}, {"inotropes", 1}}},
        {"phenylephrine", NULL, {DRUG("15:00:00", "Phenylephrine", "5")}, {{"vasopressors", 1}, {"inotropes", 0}}},
        {"vasopressin", NULL, {DRUG("15:00:00", "Vasopressin", "5")}, {{"vasopressors", 1}, {"inotropes", 0}}},
        {"dobutamine", NULL, {DRUG("15:00:00", "Dobutamine", "5")}, {{"vasopressors", 1}, {"inotropes", 1}}},
        {"another drug", NULL, {DRUG("15:00:00", "Aspirin", "5")}, {{"vasopressors", 0}, {"inotropes", 0}}},
        {"another stay", NULL, {{ECG_T_PYXIS, "10000001,30000009,2150-03-01 15:00:00,1,Dopamine,1,5\n"}}, {{"vasopressors", 0}, {"inotropes", 0}}},
        {"no time", NULL, {{ECG_T_PYXIS, "10000001,30000001,,1,Dopamine,1,5\n"}}, {{"vasopressors", 0}, {"inotropes", 0}}},
    };
    check_rules(cases, sizeof cases / sizeof *cases, NULL);
}

static void saturation(void **state)
{
    (void)state;
#define BEFORE O2("2150-03-01 13:00:00", "97")
    static const rule cases[] = {
        {"no value: unknown", NULL, {{0}}, {{"severe_hypoxemia", -1}}},
        {"before alone: unknown", NULL, {O2SAT(BEFORE)}, {{"severe_hypoxemia", -1}}},
        {"after alone: unknown", NULL, {O2SAT(O2("2150-03-01 15:00:00", "80"))}, {{"severe_hypoxemia", -1}}},
        {"90 minutes is before", NULL, {O2SAT(BEFORE O2("2150-03-01 13:30:00", "90"))}, {{"severe_hypoxemia", -1}}},
        {"a second more is after", NULL, {O2SAT(BEFORE O2("2150-03-01 13:30:01", "90"))}, {{"severe_hypoxemia", 0}}},
        {"85 before: unknown", NULL, {O2SAT(BEFORE O2("2150-03-01 12:10:00", "85") O2("2150-03-01 15:00:00", "80"))}, {{"severe_hypoxemia", -1}}},
        {"86 before", NULL, {O2SAT(O2("2150-03-01 12:10:00", "86") O2("2150-03-01 15:00:00", "80"))}, {{"severe_hypoxemia", 1}}},
        {"before arrival counts as before", NULL, {O2SAT(O2("2150-03-01 11:00:00", "95") O2("2150-03-01 15:00:00", "80"))}, {{"severe_hypoxemia", 1}}},
        {"85 within the day", NULL, {O2SAT(BEFORE O2("2150-03-01 15:00:00", "85"))}, {{"severe_hypoxemia", 1}}},
        {"85.5 within the day", NULL, {O2SAT(BEFORE O2("2150-03-01 15:00:00", "85.5"))}, {{"severe_hypoxemia", 0}}},
        {"one of several", NULL, {O2SAT(BEFORE O2("2150-03-01 15:00:00", "96") O2("2150-03-01 16:00:00", "70"))}, {{"severe_hypoxemia", 1}}},
        {"at 24 hours", NULL, {O2SAT(BEFORE O2("2150-03-02 12:00:00", "80"))}, {{"severe_hypoxemia", 1}}},
        {"low later alone, nothing within the day: unknown", NULL, {O2SAT(BEFORE O2("2150-03-02 12:00:01", "80"))}, {{"severe_hypoxemia", -1}}},
        {"low later, well within the day", NULL, {O2SAT(BEFORE O2("2150-03-01 15:00:00", "96") O2("2150-03-02 12:00:01", "80"))}, {{"severe_hypoxemia", 0}}},
        {"well later alone", NULL, {O2SAT(BEFORE O2("2150-03-02 12:00:01", "96"))}, {{"severe_hypoxemia", 0}}},
        {"above 100 is no value", NULL, {O2SAT(BEFORE O2("2150-03-01 15:00:00", "980"))}, {{"severe_hypoxemia", -1}}},
        {"below 0 is no value", NULL, {O2SAT(BEFORE O2("2150-03-01 15:00:00", "-1"))}, {{"severe_hypoxemia", -1}}},
        {"empty is no value", NULL, {O2SAT(BEFORE O2("2150-03-01 15:00:00", ""))}, {{"severe_hypoxemia", -1}}},
        {"of another stay", NULL, {O2SAT(BEFORE "10000001,30000009,2150-03-01 15:00:00,80\n")}, {{"severe_hypoxemia", -1}}},
    };
    check_rules(cases, sizeof cases / sizeof *cases, NULL);
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------------------------ */

static void fifteen_labels_in_order(void **state)
{
    (void)state;
    static const char *const want[] = {"cardiac_arrest", "ecmo", "icu_24h", "icu_stay", "inotropes", "mechanical_ventilation", "mortality_180d",
                                       "mortality_1d", "mortality_28d", "mortality_365d", "mortality_7d", "mortality_90d", "mortality_stay",
                                       "severe_hypoxemia", "vasopressors"};
    hospital *h = hospital_new(NULL);
    put(h, ECG_T_VITALSIGN, BEFORE O2("2150-03-01 15:00:00", "80"));
    put(h, ECG_T_PATIENTS, "10000001,M,60,2150-03-09\n"); /* a week: columns of one horizon must not land under another */
    assert_int_equal(label(h), ECG_OK);
    assert_int_equal(h->table.n, 15);
    for (int k = 0; k < 15; k++) {
        assert_string_equal(h->table.label[k].code, want[k]);
        assert_true(strlen(h->table.label[k].title) > 10);
    }
    assert_int_equal(target(h, 0, "mortality_1d"), 0);
    assert_int_equal(target(h, 0, "mortality_7d"), 1);
    assert_int_equal(target(h, 0, "mortality_180d"), 1);
    assert_int_equal(target(h, 1, "mortality_180d"), 0);
    assert_int_equal(target(h, 1, "icu_24h"), 1);
    assert_int_equal(target(h, 1, "inotropes"), 1);
    assert_int_equal(target(h, 1, "mechanical_ventilation"), 1);
    assert_int_equal(strlen(h->table.hash), 64);
    assert_non_null(strstr(h->said.at, "ecmo is 0 for every recording where it is known"));
    hospital_free(h);
}

static void recordings_of_one_stay_share_its_rows(void **state)
{
    (void)state;
    hospital *h = hospital_new(NULL);
    h->visit[1] = h->visit[0];
    h->visit[1].time += 600;
    put(h, ECG_T_PATIENTS, "10000001,M,60,2150-03-09\n");
    put(h, ECG_T_PYXIS, "10000001,30000001,2150-03-01 15:00:00,1,Vasopressin,1,5\n");
    assert_int_equal(label(h), ECG_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(target(h, i, "mortality_28d"), 1);
        assert_int_equal(target(h, i, "vasopressors"), 1);
    }
    assert_int_equal(target(h, 0, "severe_hypoxemia"), NOT_THERE);
    assert_non_null(strstr(h->said.at, "severe_hypoxemia is unknown for every recording: left out"));
    hospital_free(h);
}

static void absent_tables(void **state)
{
    (void)state;
    static const struct { int table; const char *said; int labels; } cases[] = {
        {ECG_T_PYXIS, "deterioration: no pyxis.csv: without inotropes, vasopressors\n", 13},
        {ECG_T_ICUSTAYS, "deterioration: no icustays.csv: without icu_24h, icu_stay\n", 13},
        {ECG_T_PROCEDURES, "deterioration: no procedures_icd.csv: without ecmo, mechanical_ventilation\n", 13},
        {ECG_T_VITALSIGN, "deterioration: no vitalsign.csv: without severe_hypoxemia\n", 14},
        {ECG_T_ED_DIAGNOSIS, "deterioration: no diagnosis.csv: without cardiac_arrest\n", 14},
        {ECG_T_DIAGNOSES, "deterioration: no diagnoses_icd.csv: without cardiac_arrest\n", 14},
        {ECG_T_ADMISSIONS, "deterioration: no admissions.csv: without cardiac_arrest, mortality_stay\n", 13},
        {ECG_T_PATIENTS, "deterioration: no patients.csv: without mortality_180d, mortality_1d, mortality_28d, mortality_365d, mortality_7d, mortality_90d, "
                          "mortality_stay\n", 8},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hospital *h = hospital_new(NULL);
        h->at.path[cases[c].table][0] = 0;
        assert_int_equal(label(h), ECG_OK);
        if (h->table.n != cases[c].labels || !strstr(h->said.at, cases[c].said))
            fail_msg("%s: %d labels, expected %d; said: %s", cases[c].said, h->table.n, cases[c].labels, h->said.at);
        hospital_free(h);
    }
    hospital *h = hospital_new(NULL);
    for (int t = 0; t < ECG_TABLES; t++)
        h->at.path[t][0] = 0;
    assert_int_equal(label(h), ECG_OK);
    assert_int_equal(h->table.n, 0);
    hospital_free(h);
}

/* The labels a column is needed for go; a table that breaks off or a time that is none stops everything. */
static void odd_tables(void **state)
{
    (void)state;
    static const struct { const char *why; int table; const char *text; ecg_status want; int labels; const char *said; int64_t line; } cases[] = {
        {"no column", ECG_T_PATIENTS, "subject_id,gender\n10000001,M\n", ECG_OK, 8, "patients.csv has no column dod", 0},
        {"no key", ECG_T_PYXIS, "subject_id,charttime,name,gsn\n", ECG_OK, 13, "pyxis.csv has no column stay_id", 0},
        {"no such time", ECG_T_ICUSTAYS, "hadm_id,intime\n20000001,2150-02-30 10:00:00\n", ECG_EDATA, 0, NULL, 2},
        {"too few fields", ECG_T_PYXIS, "stay_id,charttime,name,gsn\n1,2\n", ECG_EDATA, 0, NULL, 2},
        {"no number", ECG_T_VITALSIGN, "stay_id,charttime,o2sat\n30000001,2150-03-01 12:00:00,\"9,1x\"\n", ECG_EDATA, 0, NULL, 2},
        {"empty", ECG_T_PROCEDURES, "subject_id,hadm_id,chartdate,icd_code\n", ECG_OK, 15, "mechanical_ventilation is 0 for every recording", 0},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hospital *h = hospital_new(NULL);
        assert_int_equal(ecg_file_write_whole(h->at.path[cases[c].table], cases[c].text, strlen(cases[c].text), NULL), ECG_OK);
        const ecg_status got = label(h);
        if (got != cases[c].want || h->err.line != cases[c].line || h->table.n != cases[c].labels)
            fail_msg("%s: status %d on line %d, %d labels, expected %d, %d, %d (%s)", cases[c].why, got, (int)h->err.line, h->table.n, cases[c].want,
                     (int)cases[c].line, cases[c].labels, h->err.msg);
        if (cases[c].said && !strstr(h->said.at, cases[c].said))
            fail_msg("%s: said %s", cases[c].why, h->said.at);
        hospital_free(h);
    }
    hospital *h = hospital_new(NULL);
    memcpy(h->at.path[ECG_T_PYXIS] + strlen(h->at.path[ECG_T_PYXIS]), "z", 2);
    assert_int_equal(label(h), ECG_EIO);
    hospital_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deaths),        cmocka_unit_test(without_a_stay_or_an_admission),
        cmocka_unit_test(intensive_care), cmocka_unit_test(procedures),
        cmocka_unit_test(arrests),       cmocka_unit_test(drugs),
        cmocka_unit_test(saturation),    cmocka_unit_test(fifteen_labels_in_order),
        cmocka_unit_test(recordings_of_one_stay_share_its_rows), cmocka_unit_test(absent_tables),
        cmocka_unit_test(odd_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
