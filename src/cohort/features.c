/* SPDX-License-Identifier: MIT */
#include "cohort/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- nine statistics --------------------------------------------------------------------------------------------------------------- */

static int by_value(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

void ecg_nine_statistics(float out[ECG_STATISTICS], const double *value, const double *minute, int n, double *scratch)
{
    if (n < 1) {
        for (int s = 0; s < ECG_STATISTICS; s++)
            out[s] = NAN;
        return;
    }
    double sum = 0, minutes = 0, squares = 0, cross = 0, spread = 0;
    for (int i = 0; i < n; i++) {
        sum += value[i];
        minutes += minute[i];
        scratch[i] = value[i];
    }
    qsort(scratch, (size_t)n, sizeof *scratch, by_value);
    const double mean = sum / n, middle = minutes / n;
    bool same_minute = true;
    for (int i = 0; i < n; i++) {
        squares += (value[i] - mean) * (value[i] - mean);
        cross += (value[i] - mean) * (minute[i] - middle);
        spread += (minute[i] - middle) * (minute[i] - middle);
        same_minute &= minute[i] == minute[0];
    }
    const double first = value[0], last = value[n - 1];
    const double nine[ECG_STATISTICS] = {
        mean,
        (scratch[(n - 1) / 2] + scratch[n / 2]) / 2,
        scratch[0],
        scratch[n - 1],
        sqrt(squares / n),
        first,
        last,
        first == 0 ? NAN : (last - first) / first,
        same_minute ? 0 : cross / spread,
    };
    for (int s = 0; s < ECG_STATISTICS; s++)
        out[s] = (float)nine[s];
}

/* ---- vital signs and acuity of a stay --------------------------------------------------------------------------------------------------- */

typedef struct {
    int32_t stay;  /* number */
    int64_t time, line;
    double value[ECG_VITALS]; /* NAN: missing */
} vital_row;

typedef struct {
    ecg_ids stay;   /* stay_id -> number */
    vital_row *row; /* (n) by stay, time, line */
    int64_t n, room;
    int64_t *first; /* (stays + 1) */
    float *acuity;  /* (stays) 0..4 */
} stay_data;

static void stay_data_clear(stay_data *d)
{
    ecg_ids_clear(&d->stay);
    free(d->row);
    free(d->first);
    free(d->acuity);
}

static int by_stay_time(const void *x, const void *y)
{
    const vital_row *a = x, *b = y;
    if (a->stay != b->stay)
        return a->stay - b->stay;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Without a path there are none; so too for acuity and biometrics. */
static ecg_status read_vitalsigns(stay_data *d, const char *path, ecg_err *err)
{
    const char *need[2 + ECG_VITALS] = {"stay_id", "charttime"};
    for (int q = 0; q < ECG_VITALS; q++)
        need[2 + q] = ecg_vitals[q].name;
    int at[2 + ECG_VITALS];
    bool more;
    ecg_csv *t = NULL;
    ecg_status st = *path ? ecg_table_open(&t, at, path, need, 2 + ECG_VITALS, err) : ECG_OK;
    while (t && !st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t stay;
        vital_row r = {.line = d->n};
        if ((st = ecg_csv_i64(t, at[0], &stay, err)))
            break;
        r.stay = ecg_ids_get(&d->stay, stay);
        if (r.stay < 0)
            continue;
        if ((st = ecg_csv_time(t, at[1], &r.time, err)))
            break;
        for (int q = 0; q < ECG_VITALS && !st; q++) {
            st = ecg_csv_double(t, at[2 + q], &r.value[q], err);
            if (r.value[q] < ecg_vitals[q].low || r.value[q] > ecg_vitals[q].high)
                r.value[q] = NAN;
        }
        if (st || r.time == INT64_MIN)
            continue;
        r.value[0] = (r.value[0] - 32) * 5 / 9;
        if (d->n == d->room) {
            d->room = d->room ? d->room * 2 : 4096;
            vital_row *grown = realloc(d->row, (size_t)d->room * sizeof *grown);
            if (!grown) {
                st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " vital signs", d->room);
                break;
            }
            d->row = grown;
        }
        d->row[d->n++] = r;
    }
    ecg_csv_close(t);
    if (!st && d->n)
        qsort(d->row, (size_t)d->n, sizeof *d->row, by_stay_time);
    for (int64_t i = 0; i < d->n && !st; i++)
        d->first[d->row[i].stay + 1]++;
    for (int64_t i = 0; i < d->stay.n && !st; i++)
        d->first[i + 1] += d->first[i];
    return st;
}

static ecg_status read_acuity(stay_data *d, const char *path, ecg_err *err)
{
    static const char *const need[] = {"stay_id", "acuity"};
    int at[2];
    bool more;
    ecg_csv *t = NULL;
    uint8_t *seen = calloc((size_t)d->stay.n + 1, 1);
    for (int64_t i = 0; i < d->stay.n; i++)
        d->acuity[i] = NAN;
    ecg_status st = seen ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the triage");
    if (!st && *path)
        st = ecg_table_open(&t, at, path, need, 2, err);
    while (t && !st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t stay;
        double acuity;
        if ((st = ecg_csv_i64(t, at[0], &stay, err)) || (st = ecg_csv_double(t, at[1], &acuity, err)))
            break;
        const int32_t i = ecg_ids_get(&d->stay, stay);
        if (i < 0 || seen[i])
            continue;
        seen[i] = 1;
        if (acuity >= 1 && acuity <= 5 && acuity == floor(acuity))
            d->acuity[i] = (float)(acuity - 1);
    }
    ecg_csv_close(t);
    free(seen);
    return st;
}

/* All rows of one stay are gathered per quantity and cut to the window of the visit. */
static ecg_status fill_vitals(float *table, const ecg_visits *v, const stay_data *d, ecg_err *err)
{
    int64_t longest = 1;
    for (int64_t i = 0; i < d->stay.n; i++)
        if (d->first[i + 1] - d->first[i] > longest)
            longest = d->first[i + 1] - d->first[i];
    double *room = malloc((size_t)longest * 3 * sizeof *room);
    if (!room)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " vital signs", longest);
    double *value = room, *minute = room + longest, *scratch = minute + longest;
    for (int64_t i = 0; i < v->n; i++) {
        const ecg_visit *r = &v->at[i];
        const int32_t stay = ecg_ids_get(&d->stay, r->own_stay);
        for (int q = 0; q < ECG_VITALS; q++) {
            int n = 0;
            for (int64_t k = d->first[stay]; k < d->first[stay + 1]; k++) {
                const int64_t after = d->row[k].time - r->arrival;
                if (after < 0 || after > ECG_WINDOW || isnan(d->row[k].value[q]))
                    continue;
                value[n] = d->row[k].value[q];
                minute[n++] = (double)after / 60;
            }
            ecg_nine_statistics(table + i * ECG_COLUMNS + ECG_COL_VITALS + q * ECG_STATISTICS, value, minute, n, scratch);
        }
        table[i * ECG_COLUMNS + ECG_COL_ACUITY] = d->acuity[stay];
    }
    free(room);
    return ECG_OK;
}

static ecg_status stay_columns(float *table, const ecg_visits *v, const ecg_mimic_tables *tables, ecg_err *err)
{
    stay_data d = {0};
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < v->n && !st; i++)
        st = ecg_ids_put(&d.stay, v->at[i].own_stay, (int32_t)d.stay.n, err);
    d.first = calloc((size_t)d.stay.n + 1, sizeof *d.first);
    d.acuity = calloc((size_t)d.stay.n + 1, sizeof *d.acuity);
    if (!st && (!d.first || !d.acuity))
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " stays", d.stay.n);
    if (!st)
        st = read_vitalsigns(&d, tables->path[ECG_T_VITALSIGN], err);
    if (!st)
        st = read_acuity(&d, tables->path[ECG_T_TRIAGE], err);
    if (!st)
        st = fill_vitals(table, v, &d, err);
    stay_data_clear(&d);
    return st;
}

/* ---- biometrics ---------------------------------------------------------------------------------------------------------------------- */

enum { BIOMETRICS = 3, OMR_WINDOW = 30 * 86400 };

/* Columns follow ECG_COL_BMI. Outside low..high: dropped. */
static const struct { const char *name; double factor, low, high; } biometrics[BIOMETRICS] = {
    {"BMI (kg/m2)", 1, -INFINITY, 100},
    {"Weight (Lbs)", 0.453592, 20, 400},
    {"Height (Inches)", 2.54, 60, 400},
};

static ecg_status biometric_columns(float *table, const ecg_visits *v, const char *path, ecg_err *err)
{
    static const char *const need[] = {"subject_id", "chartdate", "result_name", "result_value"};
    int at[4];
    bool more;
    ecg_csv *t = NULL;
    ecg_ids first = {0};
    int64_t (*nearest)[BIOMETRICS] = malloc(((size_t)v->n + 1) * sizeof *nearest); /* seconds from the recording of the best so far */
    ecg_status st = nearest ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", v->n);
    for (int64_t i = 0; i < v->n && !st; i++) {
        for (int b = 0; b < BIOMETRICS; b++) {
            nearest[i][b] = INT64_MAX;
            table[i * ECG_COLUMNS + ECG_COL_BMI + b] = NAN;
        }
        st = ecg_ids_put(&first, v->at[i].subject, (int32_t)i, err);
    }
    if (!st && *path)
        st = ecg_table_open(&t, at, path, need, 4, err);
    while (t && !st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t subject, date;
        int b = 0;
        double value;
        const ecg_field name = ecg_csv_field(t, at[2]), text = ecg_csv_field(t, at[3]);
        while (b < BIOMETRICS && (name.len != strlen(biometrics[b].name) || memcmp(name.at, biometrics[b].name, name.len)))
            b++;
        if (b == BIOMETRICS || !text.len || !ecg_parse_double(&value, text.at, text.len))
            continue;
        value *= biometrics[b].factor;
        if (value < biometrics[b].low || value > biometrics[b].high)
            continue;
        if ((st = ecg_csv_i64(t, at[0], &subject, err)) || (st = ecg_csv_time(t, at[1], &date, err)))
            break;
        if (date == INT64_MIN)
            continue;
        for (int64_t i = ecg_ids_get(&first, subject); i >= 0 && i < v->n && v->at[i].subject == subject; i++) {
            const int64_t apart = llabs(v->at[i].time - date);
            if (apart > OMR_WINDOW || apart >= nearest[i][b])
                continue;
            nearest[i][b] = apart;
            table[i * ECG_COLUMNS + ECG_COL_BMI + b] = (float)value;
        }
    }
    ecg_csv_close(t);
    ecg_ids_clear(&first);
    free(nearest);
    return st;
}

ecg_status ecg_features_read(float *table, const ecg_visits *v, const ecg_mimic_tables *tables, ecg_err *err)
{
    for (int64_t i = 0; i < v->n; i++) {
        float *row = table + i * ECG_COLUMNS;
        row[ECG_COL_AGE] = (float)v->at[i].age;
        row[ECG_COL_GENDER] = v->at[i].male;
        row[ECG_COL_ETHNICITY] = v->at[i].ethnicity;
    }
    ecg_status st = stay_columns(table, v, tables, err);
    return st ? st : biometric_columns(table, v, tables->path[ECG_T_OMR], err);
}
