/* SPDX-License-Identifier: MIT */
#include "study/group_columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/text.h"

enum { MOST_TEXTS = 20, FEW_NUMBERS = 5, MOST_GROUPS = 100 };

typedef struct {
    int column;
    const char *name;
    ecg_words text; /* different values */
    int32_t *of;         /* (n) number of the value, -1 empty; owned */
} grouping;

typedef struct {
    const ecg_group_rows *rows;
    const char *path;
    ecg_csv *csv;
    int id, patient;
    int64_t *row_of;     /* id number -> row, -1: left out */
    grouping *list;
    int n;
} table;

bool ecg_group_is_age(const char *name)
{
    const size_t len = strlen(name);
    return ecg_same_word(name, "age") || !strncmp(name, "age_", 4) || (len > 4 && !strcmp(name + len - 4, "_age"));
}

static ecg_status open_table(table *t, ecg_err *err)
{
    static const char *const patients[] = {"patient", "patient_id", "subject_id"};
    const ecg_status st = ecg_csv_open(&t->csv, t->path, err);
    if (st)
        return st;
    const int columns = ecg_csv_columns(t->csv);
    t->id = ecg_csv_find(t->csv, t->rows->id_name);
    if (t->id < 0)
        t->id = ecg_csv_find(t->csv, "study_id");
    if (t->id < 0)
        t->id = 0;
    t->patient = -1;
    for (int i = 0; i < 3 && t->patient < 0; i++)
        t->patient = ecg_csv_find(t->csv, patients[i]);
    if (t->patient == t->id)
        t->patient = -1;
    if (columns - 1 - (t->patient >= 0) > MOST_GROUPS)
        return ecg_fail_at(err, ECG_EDATA, t->path, 1, 0, "%d columns besides the id, at most %d are groupings", columns - 1, MOST_GROUPS);
    t->list = calloc((size_t)columns, sizeof *t->list);
    t->row_of = malloc((size_t)t->rows->id->n * sizeof *t->row_of);
    if (!t->list || !t->row_of)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < t->rows->id->n; i++)
        t->row_of[i] = -1;
    for (int64_t i = 0; i < t->rows->n; i++)
        t->row_of[t->rows->kept[i]] = i;
    for (int c = 0; c < columns; c++) {
        if (c == t->id || c == t->patient || !strcmp(ecg_csv_name(t->csv, c), "first_in_stay"))
            continue;
        grouping *g = &t->list[t->n++];
        g->column = c;
        g->name = ecg_csv_name(t->csv, c);
        if (!(g->of = malloc((size_t)t->rows->n * sizeof *g->of)))
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        for (int64_t i = 0; i < t->rows->n; i++)
            g->of[i] = -1;
    }
    return ECG_OK;
}

static ecg_status take_row(table *t, int64_t row, ecg_err *err)
{
    int at;
    if (t->patient >= 0 && t->rows->unit[row] < 0) {
        const ecg_field f = ecg_csv_field(t->csv, t->patient);
        if (f.len && f.at[0] != '-' && (t->rows->unit[row] = ecg_words_put(t->rows->patient, f.at, f.len)) < 0)
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    for (int i = 0; i < t->n; i++) {
        grouping *g = &t->list[i];
        const ecg_field f = ecg_csv_field(t->csv, g->column);
        if (!f.len)
            continue;
        if ((at = ecg_words_put(&g->text, f.at, f.len)) < 0)
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        g->of[row] = at;
    }
    return ECG_OK;
}

static ecg_status read_rows(table *t, const ecg_watch *watch, ecg_err *err)
{
    uint8_t *seen = calloc((size_t)t->rows->n + 1, 1);
    int64_t found = 0;
    bool more;
    ecg_status st = seen ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory");
    while (!st && !(st = ecg_csv_next(t->csv, &more, err)) && more) {
        const ecg_field id = ecg_csv_field(t->csv, t->id);
        const int64_t number = ecg_words_get(t->rows->id, id.at, id.len), row = number < 0 ? -1 : t->row_of[number];
        if (row < 0)
            continue;
        if (seen[row])
            st = ecg_fail_at(err, ECG_EDATA, t->path, ecg_csv_line(t->csv), t->id + 1, "id '%.*s' again", id.len > 60 ? 60 : (int)id.len, id.at);
        else
            st = take_row(t, row, err);
        seen[row] = 1;
        found++;
    }
    free(seen);
    if (!st && !found)
        return ecg_fail_at(err, ECG_EDATA, t->path, 0, 0, "none of its ids is among the predictions");
    if (!st && found < t->rows->n)
        ecg_say(watch, "%s: %" PRId64 " of %" PRId64 " scored rows have no group", t->path, t->rows->n - found, t->rows->n);
    return st;
}

/* ---- values -> levels ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *text;
    double number;
    int32_t was;
} value;

static int compare_number(const void *a, const void *b)
{
    const value *x = a, *y = b;
    return x->number != y->number ? (x->number > y->number) - (x->number < y->number) : strcmp(x->text, y->text);
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(((const value *)a)->text, ((const value *)b)->text);
}

static const char **take_levels(ecg_assess_group *out, ecg_arena *arena, int n)
{
    const char **level = ecg_arena_take(arena, (size_t)n, sizeof *level);
    out->level = level;
    out->levels = n;
    return level;
}

/* number (texts): what they mean. */
static int band(ecg_assess_group *out, grouping *g, const double *number, int64_t n, ecg_arena *arena)
{
    char text[4][ECG_BAND_TEXT];
    double *x = malloc((size_t)n * sizeof *x);
    const bool age = ecg_group_is_age(g->name);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = g->of[i] < 0 ? NAN : number[g->of[i]];
    const int levels = x ? ecg_assess_bands(g->of, text, x, n, age) : -1;
    free(x);
    const char **level = levels > 0 ? take_levels(out, arena, levels) : NULL;
    out->bands = age ? "years" : "quartiles";
    for (int i = 0; level && i < levels; i++)
        if (!(level[i] = ecg_arena_text(arena, text[i], strlen(text[i]))))
            return -1;
    return level ? 0 : -1;
}

static int as_they_are(ecg_assess_group *out, grouping *g, const double *number, bool numeric, int64_t n, ecg_arena *arena)
{
    value list[MOST_TEXTS];
    int32_t place[MOST_TEXTS];
    const int count = (int)g->text.n;
    const char **level = take_levels(out, arena, count);
    out->bands = "";
    if (!level)
        return -1;
    for (int i = 0; i < count; i++)
        list[i] = (value){g->text.at[i], number[i], i};
    qsort(list, (size_t)count, sizeof *list, numeric ? compare_number : compare_text);
    for (int i = 0; i < count; i++) {
        place[list[i].was] = i;
        if (!(level[i] = ecg_arena_text(arena, list[i].text, strlen(list[i].text))))
            return -1;
    }
    for (int64_t i = 0; i < n; i++)
        if (g->of[i] >= 0)
            g->of[i] = place[g->of[i]];
    return 0;
}

/* *used false: the column is no grouping. */
static ecg_status to_group(ecg_assess_group *out, bool *used, grouping *g, const table *t, ecg_arena *arena, const ecg_watch *watch, ecg_err *err)
{
    const int64_t count = g->text.n;
    double *number = malloc((size_t)(count + 1) * sizeof *number);
    bool numeric = true;
    *used = false;
    if (!number)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < count; i++) {
        number[i] = 0;
        numeric &= ecg_parse_double(&number[i], g->text.at[i], strlen(g->text.at[i]));
    }
    *used = count > 0 && (numeric || count <= MOST_TEXTS);
    if (!count)
        ecg_say(watch, "%s: column '%s' is empty", t->path, g->name);
    else if (!*used)
        ecg_say(watch, "%s: column '%s' has %" PRId64 " different texts: no grouping", t->path, g->name, count);
    int failed = 0;
    if (*used) {
        failed = numeric && (count > FEW_NUMBERS || ecg_group_is_age(g->name)) ? band(out, g, number, t->rows->n, arena)
                                                                              : as_they_are(out, g, number, numeric, t->rows->n, arena);
        out->name = ecg_arena_text(arena, g->name, strlen(g->name));
        out->of = g->of;
        g->of = NULL;
    }
    free(number);
    return failed || (*used && !out->name) ? ecg_fail(err, ECG_ENOMEM, "out of memory") : ECG_OK;
}

ecg_status ecg_group_columns_read(ecg_assess_group **out, int *groups, const ecg_group_rows *rows, const char *path, ecg_arena *arena, const ecg_watch *watch,
                                  ecg_err *err)
{
    table t = {.rows = rows, .path = path};
    *out = NULL;
    *groups = 0;
    ecg_status st = open_table(&t, err);
    if (!st)
        st = read_rows(&t, watch, err);
    if (!st && !(*out = calloc((size_t)t.n + 1, sizeof **out)))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int i = 0; !st && i < t.n; i++) {
        bool used;
        st = to_group(&(*out)[*groups], &used, &t.list[i], &t, arena, watch, err);
        *groups += used;
    }
    for (int i = 0; i < t.n; i++) {
        ecg_words_clear(&t.list[i].text);
        free(t.list[i].of);
    }
    free(t.list);
    free(t.row_of);
    ecg_csv_close(t.csv);
    return st;
}

void ecg_group_columns_clear(ecg_assess_group *g, int groups)
{
    for (int i = 0; i < groups; i++)
        free((void *)g[i].of);
    free(g);
}
