/* SPDX-License-Identifier: MIT */
#include "cohort/lab_sets.h"

enum { MIN_LABS = 40 };

const ecg_lab_family ecg_lab_families[ECG_LAB_FAMILIES] = {
    {ECG_LABS_EST, "labs"},
    {ECG_LABS_MON30, "labs_mon30"},
    {ECG_LABS_MON60, "labs_mon60"},
    {ECG_LABS_MON120, "labs_mon120"},
};

static const int64_t behind = 60 * 60, ahead[ECG_LAB_FAMILIES] = {60 * 60, 30 * 60, 60 * 60, 120 * 60};

ecg_lab_choice ecg_lab_choose(const ecg_build_options *o)
{
    return (ecg_lab_choice){o->ranges, o->paper, o->min_labs ? o->min_labs : MIN_LABS};
}

unsigned ecg_lab_wanted(const ecg_build_options *o)
{
    return o->lab_families ? o->lab_families : ECG_LABS_EST;
}

void ecg_lab_roles(int8_t *role, uint8_t *training, const ecg_visits *v, const ecg_cohort_row *row, const ecg_roles *roles)
{
    for (int64_t i = 0; i < v->n; i++) {
        role[i] = -1;
        for (int r = 0; r < ECG_ROLES; r++)
            if (roles->folds[r] >> row[i].fold & 1u)
                role[i] = (int8_t)r;
        if (role[i] == ECG_TRAIN)
            training[v->at[i].patient] = 1;
    }
}

ecg_status ecg_lab_sets_read(ecg_lab_rows *rows, const ecg_visits *v, const uint8_t *training, unsigned wanted, const char *labitems,
                             const char *labevents, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    int64_t farthest = 0;
    for (int f = 0; f < ECG_LAB_FAMILIES; f++)
        if (wanted & ecg_lab_families[f].family && ahead[f] > farthest)
            farthest = ahead[f];
    ecg_status st = ecg_lab_rows_read(rows, v, training, labitems, labevents, wanted & ECG_LABS_EST ? behind : 0, farthest, pool, watch, err);
    if (!st)
        ecg_say(watch, "laboratory: %" PRId64 " rows read, %" PRId64 " near a recording", rows->read, rows->n);
    return st;
}

ecg_status ecg_lab_sets_list(const char *path, const ecg_visits *v, const ecg_lab_rows *rows, const ecg_lab_choice *how, const char *labevents,
                             const ecg_watch *watch, ecg_err *err)
{
    int64_t count[3];
    ecg_status st = ecg_lab_write_rows(path, count, v, rows, how, labevents, watch, err);
    if (!st)
        ecg_say(watch, "laboratory rows of %" PRId64 " patients: %" PRId64 " low, %" PRId64 " normal, %" PRId64 " high: %s, counts per label beside it",
                v->patients, count[0], count[1], count[2], path);
    return st;
}
