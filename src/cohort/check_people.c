/* SPDX-License-Identifier: MIT
 * check_people.c: ids, stays, folds and roles. Rows are sorted by one id and looked at group by group; an id below 0 is unknown, and in no
 * group. */
#include <stdlib.h>
#include <string.h>

#include "cohort/check_parts.h"

typedef struct {
    int64_t id, time, row;
} member;

static int by_id_time(const void *x, const void *y)
{
    const member *a = x, *b = y;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

/* Rows with a known id, sorted; returns their number. */
static int64_t sort_by(member *m, const ecg_cohort *c, const int64_t *id)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->n; i++)
        if (id[i] >= 0)
            m[n++] = (member){id[i], c->ecg_time[i], i};
    qsort(m, (size_t)n, sizeof *m, by_id_time);
    return n;
}

/* ---- ids ---------------------------------------------------------------------------------------------------------------------------- */

static void check_studies(ecg_checks *out, const ecg_cohort *c, member *m)
{
    const int64_t n = sort_by(m, c, c->study);
    int64_t twice = 0, first = 0;
    for (int64_t i = 1; i < n; i++)
        if (m[i].id == m[i - 1].id && !twice++)
            first = m[i].id;
    if (twice)
        ecg_check_add(out, "study ids", ECG_CHECK_WRONG, "%" PRId64 " rows repeat the id of another; the first is study %" PRId64, twice, first);
    else
        ecg_check_add(out, "study ids", n < c->n ? ECG_CHECK_NOTE : ECG_CHECK_OK, "%" PRId64 " different, %" PRId64 " rows without one", n, c->n - n);
}

static void check_moments(ecg_checks *out, const ecg_cohort *c, member *m)
{
    const int64_t n = sort_by(m, c, c->patient);
    int64_t same = 0, first = 0;
    for (int64_t i = 1; i < n; i++)
        if (m[i].id == m[i - 1].id && m[i].time == m[i - 1].time && m[i].time > 0 && !same++)
            first = m[i].id;
    if (same)
        ecg_check_add(out, "patient and time", ECG_CHECK_NOTE, "%" PRId64 " rows have patient and time of another; the first is patient %" PRId64, same, first);
    else
        ecg_check_add(out, "patient and time", ECG_CHECK_OK, "no patient has two recordings at one time");
}

/* ---- stays --------------------------------------------------------------------------------------------------------------------------- */

/* Of each stay one recording is the first, and none is earlier. */
static void check_first(ecg_checks *out, const ecg_cohort *c, member *m)
{
    const int64_t n = sort_by(m, c, c->stay);
    int64_t stays = 0, odd = 0, first = 0;
    for (int64_t i = 0; i < n;) {
        int64_t end = i, marked = 0;
        bool earliest = true, timed = true;
        for (; end < n && m[end].id == m[i].id; end++) {
            const bool mark = c->first_in_stay[m[end].row] == 1;
            marked += mark;
            timed &= m[end].time > 0;
            earliest &= !mark || m[end].time == m[i].time;
        }
        stays++;
        if ((marked != 1 || (timed && !earliest)) && !odd++)
            first = m[i].id;
        i = end;
    }
    if (odd)
        ecg_check_add(out, "first of stay", ECG_CHECK_WRONG, "%" PRId64 " of %" PRId64 " stays have not exactly their earliest recording marked; the first is stay %" PRId64,
                      odd, stays, first);
    else
        ecg_check_add(out, "first of stay", ECG_CHECK_OK, "the earliest recording of %" PRId64 " stays, %" PRId64 " rows without a stay", stays, c->n - n);
}

/* ---- folds --------------------------------------------------------------------------------------------------------------------------- */

static void check_one_fold(ecg_checks *out, const char *name, const char *what, const ecg_cohort *c, const int64_t *id, member *m)
{
    const int64_t n = sort_by(m, c, id);
    int64_t groups = 0, split = 0, first = 0;
    int one = 0, other = 0;
    for (int64_t i = 0; i < n;) {
        int64_t end = i, elsewhere = -1;
        for (; end < n && m[end].id == m[i].id; end++)
            if (c->fold[m[end].row] != c->fold[m[i].row] && elsewhere < 0)
                elsewhere = m[end].row;
        groups++;
        if (elsewhere >= 0 && !split++) {
            first = m[i].id;
            one = c->fold[m[i].row];
            other = c->fold[elsewhere];
        }
        i = end;
    }
    if (split)
        ecg_check_add(out, name, ECG_CHECK_WRONG, "%" PRId64 " of %" PRId64 " %ss are in two folds; the first is %s %" PRId64 " in folds %d and %d", split, groups, what, what,
                      first, one, other);
    else
        ecg_check_add(out, name, ECG_CHECK_OK, "%" PRId64 " %ss, none in two folds; %" PRId64 " rows without one", groups, what, c->n - n);
}

static void check_roles(ecg_checks *out, const ecg_cohort *c)
{
    static const char *const names[ECG_ROLES] = {"training", "validation", "test"};
    int64_t rows[ECG_ROLES] = {0}, none = 0;
    unsigned there = 0;
    for (int64_t i = 0; i < c->n; i++) {
        const int role = ecg_cohort_role(c, &c->roles, i);
        there |= 1u << c->fold[i];
        if (role < 0)
            none++;
        else
            rows[role]++;
    }
    if (none)
        ecg_check_add(out, "fold roles", ECG_CHECK_NOTE, "%" PRId64 " rows are in folds without a role: nothing uses them", none);
    else
        ecg_check_add(out, "fold roles", ECG_CHECK_OK, "%d folds, each with a role", __builtin_popcount(there));
    const char *empty[ECG_ROLES] = {0};
    int lacking = 0;
    for (int r = 0; r < ECG_ROLES; r++)
        if (!rows[r])
            empty[lacking++] = names[r];
    if (!rows[ECG_TRAIN])
        ecg_check_add(out, "rows of roles", ECG_CHECK_WRONG, "no row is for training");
    else if (lacking)
        ecg_check_add(out, "rows of roles", ECG_CHECK_NOTE, "no row is for %s%s%s", empty[0], lacking > 1 ? " or " : "", lacking > 1 ? empty[1] : "");
    else
        ecg_check_add(out, "rows of roles", ECG_CHECK_OK, "%" PRId64 " for training, %" PRId64 " for validation, %" PRId64 " for test", rows[ECG_TRAIN],
                      rows[ECG_VALIDATION], rows[ECG_TEST]);
}

ecg_status ecg_check_people(ecg_checks *out, const ecg_cohort *c, ecg_err *err)
{
    member *m = malloc((size_t)c->n * sizeof *m);
    if (!m)
        return ecg_fail(err, ECG_ENOMEM, "no memory to sort %" PRId64 " rows", c->n);
    check_studies(out, c, m);
    check_moments(out, c, m);
    check_first(out, c, m);
    check_roles(out, c);
    check_one_fold(out, "patients in one fold", "patient", c, c->patient, m);
    check_one_fold(out, "stays in one fold", "stay", c, c->stay, m);
    free(m);
    return ECG_OK;
}
