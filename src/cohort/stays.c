/* SPDX-License-Identifier: MIT */
#include "cohort/stays.h"

#include <stdlib.h>
#include <string.h>

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
    const ecg_ed_stay *a = x, *b = y;
    if (a->subject != b->subject)
        return a->subject < b->subject ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

enum { SUBJECT, HADM, INTIME, OUTTIME, RACE, STAY, GENDER };

static ecg_status read_stay(ecg_ed_stay *s, const ecg_csv *t, const int *at, bool admissions, ecg_err *err)
{
    ecg_status st;
    if ((st = ecg_csv_i64(t, at[SUBJECT], &s->subject, err)) || (st = ecg_csv_i64(t, at[HADM], &s->hadm, err)) ||
        (st = ecg_csv_time(t, at[INTIME], &s->intime, err)) || (st = ecg_csv_time(t, at[OUTTIME], &s->outtime, err)))
        return st;
    s->ethnicity = ethnicity_of(ecg_csv_field(t, at[RACE]));
    s->stay = s->hadm;
    if (admissions)
        return ECG_OK;
    const ecg_field gender = ecg_csv_field(t, at[GENDER]);
    s->male = gender.len == 1 && *gender.at == 'M';
    return ecg_csv_i64(t, at[STAY], &s->stay, err);
}

static ecg_status read_all(ecg_ed_stays *out, const char *path, ecg_err *err)
{
    static const char *const edstays[] = {"subject_id", "hadm_id", "intime", "outtime", "race", "stay_id", "gender"};
    static const char *const admissions[] = {"subject_id", "hadm_id", "edregtime", "edouttime", "race"};
    int at[7];
    int64_t room = 0;
    bool more;
    ecg_csv *t = NULL;
    ecg_status st = ecg_table_open(&t, at, path, out->admissions ? admissions : edstays, out->admissions ? 5 : 7, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        ecg_ed_stay s = {.line = out->n};
        if ((st = read_stay(&s, t, at, out->admissions, err)))
            break;
        if (s.subject < 0 || s.stay < 0 || s.intime == INT64_MIN)
            continue;
        if (out->n == INT32_MAX - 1) {
            st = ecg_fail_at(err, ECG_EDATA, path, ecg_csv_line(t), 0, "more than %d stays", INT32_MAX - 1);
            break;
        }
        if (out->n == room) {
            room = room ? room * 2 : 4096;
            ecg_ed_stay *grown = realloc(out->at, (size_t)room * sizeof *grown);
            if (!grown) {
                st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " stays", room);
                break;
            }
            out->at = grown;
        }
        out->at[out->n++] = s;
    }
    ecg_csv_close(t);
    return st;
}

ecg_status ecg_ed_stays_read(ecg_ed_stays *out, const ecg_mimic_tables *t, ecg_err *err)
{
    out->admissions = !t->path[ECG_T_EDSTAYS][0];
    ecg_status st = read_all(out, t->path[out->admissions ? ECG_T_ADMISSIONS : ECG_T_EDSTAYS], err);
    if (!st && out->n)
        qsort(out->at, (size_t)out->n, sizeof *out->at, by_subject_line);
    for (int64_t i = 0; i < out->n && !st; i++) {
        if (!i || out->at[i].subject != out->at[i - 1].subject)
            st = ecg_ids_put(&out->first, out->at[i].subject, (int32_t)i, err);
        if (!st)
            st = ecg_ids_put(&out->by_stay, out->at[i].stay, (int32_t)i, err);
    }
    return st;
}

void ecg_ed_stays_clear(ecg_ed_stays *s)
{
    free(s->at);
    ecg_ids_clear(&s->first);
    ecg_ids_clear(&s->by_stay);
    *s = (ecg_ed_stays){0};
}
