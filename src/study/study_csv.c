/* SPDX-License-Identifier: MIT
 * study_csv.c: labels.csv and forgetting.csv: the tables of all stages as one, with the row and unit in front. */
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "study/study_parts.h"

static void put(ecg_csvw *w, const ecg_csv *t, int column)
{
    char text[512];
    const ecg_field f = ecg_csv_field(t, column);
    snprintf(text, sizeof text, "%.*s", (int)(f.len < sizeof text ? f.len : sizeof text - 1), f.len ? f.at : "");
    ecg_csvw_text(w, text);
}

/* The named columns of a file behind the fields in front. A file that is not there adds nothing. */
static ecg_status append(ecg_csvw *w, const char *path, const char *const *front, int fronts, const char *const *columns, int n, ecg_err *err)
{
    int at[8];
    bool more = true;
    ecg_csv *t;
    if (!ecg_is_file(path))
        return ECG_OK;
    ecg_status st = ecg_csv_open(&t, path, err);
    if (st)
        return st;
    st = ecg_csv_need(t, at, columns, n, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        for (int i = 0; i < fronts; i++)
            ecg_csvw_text(w, front[i]);
        for (int i = 0; i < n; i++)
            put(w, t, at[i]);
        ecg_csvw_end(w);
    }
    ecg_csv_close(t);
    return st;
}

static ecg_status create(ecg_csvw **w, const study *s, const char *name, const char *const *front, int fronts, const char *const *columns, int n, ecg_err *err)
{
    char path[512];
    ecg_status st = ecg_join(path, sizeof path, s->task->folder, name, err);
    if (st || (st = ecg_csvw_create(w, path, err)))
        return st;
    for (int i = 0; i < fronts; i++)
        ecg_csvw_text(*w, front[i]);
    for (int i = 0; i < n; i++)
        ecg_csvw_text(*w, columns[i]);
    ecg_csvw_end(*w);
    return ECG_OK;
}

static ecg_status finish(ecg_csvw *w, ecg_status st, ecg_err *err)
{
    if (!st)
        return ecg_csvw_commit(w, err);
    ecg_csvw_abort(w);
    return st;
}

static ecg_status labels(const study *s, ecg_err *err)
{
    static const char *const front[] = {"row", "task", "unit"};
    static const char *const columns[] = {"code", "title", "positives", "negatives", "auroc", "auroc_low", "auroc_high", "average_precision"};
    const ecg_row_info *rows;
    const int n = ecg_rows_of_table(&rows);
    ecg_csvw *w;
    ecg_status st = create(&w, s, "labels.csv", front, 3, columns, 8, err);
    if (st)
        return st;
    for (int i = 0; i < n && !st; i++)
        for (int u = 0; u < s->units && !st; u++) {
            const ecg_plan *plan = &s->plan[s->unit[u].cohort];
            const char *before[] = {rows[i].row, ecg_task_name(rows[i].task), s->unit[u].name};
            char name[160], path[512];
            if (ecg_book_state(s, u, rows[i].stage) != ECG_STATE_DONE)
                continue;
            snprintf(name, sizeof name, "%s/labels.%s.test.csv", rows[i].stage, rows[i].task == ECG_TASK_LABS ? plan->lab_set : plan->diagnosis_set);
            if (!(st = ecg_book_path(path, s, u, name, err)))
                st = append(w, path, before, 3, columns, 8, err);
        }
    return finish(w, st, err);
}

static ecg_status forgetting(const study *s, ecg_err *err)
{
    static const char *const front[] = {"unit", "stage"};
    static const char *const columns[] = {"column", "group", "training", "penalty", "r2_validation", "r2_test"};
    ecg_csvw *w;
    ecg_status st = create(&w, s, "forgetting.csv", front, 2, columns, 6, err);
    for (int u = 0; u < s->units && !st; u++) {
        const ecg_plan *plan = &s->plan[s->unit[u].cohort];
        for (int i = 0; i < plan->stages && !st; i++) {
            const char *id = plan->stage[i].id, *before[] = {s->unit[u].name, id};
            char name[160], path[512];
            if (!json_object_get(ecg_book_stage_entry(s, u, id), "probe"))
                continue;
            snprintf(name, sizeof name, "%s/probe.tabular.csv", id);
            if (!(st = ecg_book_path(path, s, u, name, err)))
                st = append(w, path, before, 2, columns, 6, err);
        }
    }
    return finish(w, st, err);
}

ecg_status ecg_book_tables(const study *s, ecg_err *err)
{
    const ecg_status st = labels(s, err);
    return st ? st : forgetting(s, err);
}
