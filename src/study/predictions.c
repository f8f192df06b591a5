/* SPDX-License-Identifier: MIT
 * predictions.c: see predictions.h. The predictions are read first and number the ids; every other file then finds its rows by id. */
#include "study/predictions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/text.h"
#include "cohort/tables.h"
#include "study/group_columns.h"

/* A file while it is read. */
typedef struct {
    const char *path;
    ecg_csv *csv;
    ecg_words name;    /* of the columns, numbered as they are */
    int id, patient, first; /* columns, -1: none */
    int *column;            /* (K) of the labels; owned */
} source;

typedef struct {
    ecg_predictions *out;
    ecg_words *id;          /* (n) of the predictions: number i on row i; the caller's */
    ecg_words patient;
    ecg_assess_rows *rows;  /* what is being filled */
    double *prob;
    int8_t *truth, *first;
    int64_t *unit, *line;   /* line: where an id stands in the predictions */
    int64_t n, room;
    uint8_t *seen;          /* (n) bits: labels, against */
} reading;

enum { IN_LABELS = 1, IN_AGAINST = 2 };

/* 1: a new text, 0: known, -1: out of memory. */
static int number_of(ecg_words *w, int64_t *at, const char *text, size_t len)
{
    const int before = w->n, found = ecg_words_put(w, text, len);
    *at = found;
    return found < 0 ? -1 : found == before;
}

/* ---- headers -------------------------------------------------------------------------------------------------------------- */

static int find(const source *s, const char *name)
{
    return ecg_words_get(&s->name, name, strlen(name));
}

static ecg_status name_columns(source *s, ecg_err *err)
{
    for (int c = 0; c < ecg_csv_columns(s->csv); c++) {
        const char *name = ecg_csv_name(s->csv, c);
        int64_t at;
        const int added = number_of(&s->name, &at, name, strlen(name));
        if (added < 0)
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        if (!added)
            return ecg_fail_at(err, ECG_EDATA, s->path, 1, c + 1, "a second column '%.80s'", name);
    }
    return ECG_OK;
}

static ecg_status open_source(source *s, const char *path, const char *id, ecg_err *err)
{
    static const char *const patients[] = {"patient", "patient_id", "subject_id"};
    *s = (source){.path = path, .patient = -1};
    ecg_status st = ecg_csv_open(&s->csv, path, err);
    if (st || (st = name_columns(s, err)))
        return st;
    s->id = id ? find(s, id) : -1;
    if (s->id < 0)
        s->id = find(s, "study_id");
    if (s->id < 0)
        s->id = 0;
    for (int i = 0; i < 3 && s->patient < 0; i++)
        s->patient = find(s, patients[i]);
    s->first = find(s, "first_in_stay");
    if (s->patient == s->id) /* a table with a row for each patient */
        s->patient = -1;
    return ECG_OK;
}

static void close_source(source *s)
{
    ecg_csv_close(s->csv);
    ecg_words_clear(&s->name);
    free(s->column);
    *s = (source){0};
}

static bool is_value(const source *s, int column)
{
    return column != s->id && column != s->patient && column != s->first;
}

static ecg_status nothing_common(const source *predictions, const source *labels, ecg_err *err)
{
    const int theirs = ecg_csv_columns(labels->csv);
    const char **name = malloc((size_t)theirs * sizeof *name), *mine = NULL, *near = NULL;
    int n = 0;
    for (int c = 0; name && c < theirs; c++)
        if (is_value(labels, c))
            name[n++] = ecg_csv_name(labels->csv, c);
    for (int c = 0; c < ecg_csv_columns(predictions->csv) && !near; c++)
        if (is_value(predictions, c)) {
            mine = ecg_csv_name(predictions->csv, c);
            near = n ? ecg_nearest(mine, name, n) : NULL;
        }
    free(name);
    for (int i = 0; i < 2; i++) {
        const source *s = i ? labels : predictions;
        if (ecg_csv_columns(s->csv) == 1 && strpbrk(ecg_csv_name(s->csv, 0), ";\t|"))
            return ecg_fail_at(err, ECG_EDATA, s->path, 1, 0, "one column, '%.60s': fields are separated by commas", ecg_csv_name(s->csv, 0));
    }
    if (!mine || !n)
        return ecg_fail_at(err, ECG_EDATA, mine ? labels->path : predictions->path, 1, 0, "no column besides the id");
    if (near)
        return ecg_fail_at(err, ECG_EDATA, labels->path, 1, 0, "no label column in common with the predictions; nearest to their '%.60s' is '%.60s'", mine, near);
    return ecg_fail_at(err, ECG_EDATA, labels->path, 1, 0, "no label column in common with the predictions, which have '%.60s'", mine);
}

/* The labels are what both have, in the order of the predictions. */
static ecg_status common_labels(ecg_predictions *out, const source *predictions, const source *labels, ecg_err *err)
{
    const int columns = ecg_csv_columns(predictions->csv);
    out->code = malloc((size_t)columns * sizeof *out->code);
    if (!out->code)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int c = 0; c < columns; c++) {
        const char *name = ecg_csv_name(predictions->csv, c);
        const int at = find(labels, name);
        if (!is_value(predictions, c))
            continue;
        if (at < 0 || !is_value(labels, at)) {
            out->unused_predictions++;
            continue;
        }
        if (!(out->code[out->K++] = ecg_arena_text(out->arena, name, strlen(name))))
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    for (int c = 0; c < ecg_csv_columns(labels->csv); c++)
        out->unused_labels += is_value(labels, c);
    out->unused_labels -= out->K;
    return out->K ? ECG_OK : nothing_common(predictions, labels, err);
}

static ecg_status label_columns(source *s, const ecg_predictions *out, ecg_err *err)
{
    s->column = malloc((size_t)out->K * sizeof *s->column);
    if (!s->column)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int k = 0; k < out->K; k++)
        if ((s->column[k] = find(s, out->code[k])) < 0)
            return ecg_csv_need(s->csv, &s->column[k], &out->code[k], 1, err); /* names the nearest there is */
    return ECG_OK;
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------- */

static ecg_status wrong(const source *s, int column, ecg_err *err, const char *what)
{
    const ecg_field f = ecg_csv_field(s->csv, column);
    return ecg_fail_at(err, ECG_EDATA, s->path, ecg_csv_line(s->csv), column + 1, "%.60s: \"%.*s\" %s", ecg_csv_name(s->csv, column), f.len > 40 ? 40 : (int)f.len,
                       f.at, what);
}

static ecg_status probabilities(double *out, const source *s, int K, ecg_err *err)
{
    for (int k = 0; k < K; k++) {
        const ecg_field f = ecg_csv_field(s->csv, s->column[k]);
        if (!ecg_parse_double(&out[k], f.at, f.len))
            return wrong(s, s->column[k], err, "is no probability");
        if (!(out[k] >= 0 && out[k] <= 1))
            return wrong(s, s->column[k], err, "is outside 0 to 1");
    }
    return ECG_OK;
}

static ecg_status truths(int8_t *out, const source *s, int K, ecg_err *err)
{
    for (int k = 0; k < K; k++) {
        const ecg_field f = ecg_csv_field(s->csv, s->column[k]);
        double x = -1;
        if (f.len == 1 && (*f.at == '0' || *f.at == '1'))
            x = *f.at - '0';
        else if (f.len && (!ecg_parse_double(&x, f.at, f.len) || (x != 0 && x != 1)))
            return wrong(s, s->column[k], err, "is no label: 1, 0 or empty");
        out[k] = (int8_t)x;
    }
    return ECG_OK;
}

/* patient and first_in_stay of the current row, where they are not known yet. */
static ecg_status about_row(reading *r, const source *s, int64_t row, ecg_err *err)
{
    if (s->patient >= 0 && r->unit && r->unit[row] < 0) {
        const ecg_field f = ecg_csv_field(s->csv, s->patient);
        if (f.len && f.at[0] != '-' && number_of(&r->patient, &r->unit[row], f.at, f.len) < 0) /* -1, -2: patient not known */
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    if (s->first >= 0 && r->first && r->first[row] < 0) {
        double x = -1;
        const ecg_field f = ecg_csv_field(s->csv, s->first);
        if (f.len && (!ecg_parse_double(&x, f.at, f.len) || (x != 0 && x != 1)))
            return wrong(s, s->first, err, "is neither 1 nor 0");
        r->first[row] = (int8_t)x;
    }
    return ECG_OK;
}

static ecg_status grow(reading *r, ecg_err *err)
{
    const int K = r->out->K;
    const int64_t room = r->room ? 2 * r->room : 16;
    double *prob = realloc(r->prob, (size_t)room * (size_t)K * sizeof *prob);
    if (prob)
        r->prob = prob;
    int64_t *unit = realloc(r->unit, (size_t)room * sizeof *unit);
    if (unit)
        r->unit = unit;
    int64_t *line = realloc(r->line, (size_t)room * sizeof *line);
    if (line)
        r->line = line;
    int8_t *first = realloc(r->first, (size_t)room);
    if (first)
        r->first = first;
    if (!prob || !unit || !line || !first)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for %" PRId64 " rows of %d labels", room, K);
    r->room = room;
    return ECG_OK;
}

static ecg_status read_predictions(reading *r, source *s, ecg_err *err)
{
    const int K = r->out->K;
    bool more;
    ecg_status st = label_columns(s, r->out, err);
    while (!st && !(st = ecg_csv_next(s->csv, &more, err)) && more) {
        const ecg_field id = ecg_csv_field(s->csv, s->id);
        int64_t row;
        if (!id.len)
            return wrong(s, s->id, err, "is no id");
        if (r->n == r->room && (st = grow(r, err)))
            return st;
        const int added = number_of(r->id, &row, id.at, id.len);
        if (added < 0)
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
        if (!added)
            return ecg_fail_at(err, ECG_EDATA, s->path, ecg_csv_line(s->csv), s->id + 1, "id '%.*s' again, first on line %" PRId64, id.len > 60 ? 60 : (int)id.len,
                               id.at, r->line[row]);
        r->n++;
        r->line[row] = ecg_csv_line(s->csv);
        r->unit[row] = r->first[row] = -1;
        if (!(st = probabilities(r->prob + row * K, s, K, err)))
            st = about_row(r, s, row, err);
    }
    if (!st && r->n == 0)
        return ecg_fail_at(err, ECG_EDATA, s->path, 0, 0, "no row below the header");
    return st;
}

/* Rows of another file onto those of the predictions: truth or other probabilities. alone: ids that only this file has; example one of them. */
static ecg_status read_onto(reading *r, source *s, int8_t *truth, double *against, int64_t *alone, char example[64], ecg_err *err)
{
    const int K = r->out->K;
    const uint8_t bit = truth ? IN_LABELS : IN_AGAINST;
    ecg_words others = {0};
    bool more;
    double *spare = malloc((size_t)K * sizeof *spare);
    ecg_status st = spare ? label_columns(s, r->out, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    while (!st && !(st = ecg_csv_next(s->csv, &more, err)) && more) {
        const ecg_field id = ecg_csv_field(s->csv, s->id);
        int64_t row = ecg_words_get(r->id, id.at, id.len), other;
        bool again = row >= 0 && (r->seen[row] & bit);
        if (!id.len) {
            st = wrong(s, s->id, err, "is no id");
            break;
        }
        if (row < 0) {
            const int added = number_of(&others, &other, id.at, id.len);
            if (added < 0) {
                st = ecg_fail(err, ECG_ENOMEM, "out of memory");
                break;
            }
            again = !added;
            if (!(*alone)++)
                snprintf(example, 64, "%.*s", id.len > 60 ? 60 : (int)id.len, id.at);
        }
        if (again) {
            st = ecg_fail_at(err, ECG_EDATA, s->path, ecg_csv_line(s->csv), s->id + 1, "id '%.*s' again", id.len > 60 ? 60 : (int)id.len, id.at);
            break;
        }
        if (truth) /* a row without a partner is checked as well, and forgotten */
            st = truths(row >= 0 ? truth + row * K : (int8_t *)spare, s, K, err);
        else
            st = probabilities(row >= 0 ? against + row * K : spare, s, K, err);
        if (!st && row >= 0) {
            r->seen[row] |= bit;
            st = about_row(r, s, row, err);
        }
    }
    ecg_words_clear(&others);
    free(spare);
    return st;
}

/* ---- matching ------------------------------------------------------------------------------------------------------------- */

static ecg_status refuse_missing(const reading *r, const char *predictions, const char *other, uint8_t bit, int64_t alone, const char *example, ecg_err *err)
{
    int64_t missing = 0, at = -1;
    for (int64_t i = r->n - 1; i >= 0; i--)
        if (!(r->seen[i] & bit)) {
            missing++;
            at = i;
        }
    if (missing)
        return ecg_fail_at(err, ECG_EDATA, predictions, r->line[at], 1, "%" PRId64 " of %" PRId64 " ids are not in %.80s, '%.40s' first; --ignore-missing leaves "
                           "them out", missing, r->n, other, r->id->at[at]);
    return ecg_fail_at(err, ECG_EDATA, other, 0, 0, "%" PRId64 " ids are not in %.80s, '%.40s' first; --ignore-missing leaves them out", alone, predictions, example);
}

static bool all_seen(const reading *r, uint8_t bits)
{
    for (int64_t i = 0; i < r->n; i++)
        if ((r->seen[i] & bits) != bits)
            return false;
    return true;
}

/* Rows that are not in every file go. */
static void compact(reading *r, uint8_t bits, double *against, int64_t *kept_row)
{
    const size_t K = (size_t)r->out->K;
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if ((r->seen[i] & bits) != bits)
            continue;
        if (n != i) {
            memcpy(r->prob + (size_t)n * K, r->prob + (size_t)i * K, K * sizeof *r->prob);
            memcpy(r->truth + (size_t)n * K, r->truth + (size_t)i * K, K);
            if (against)
                memcpy(against + (size_t)n * K, against + (size_t)i * K, K * sizeof *against);
            r->unit[n] = r->unit[i];
            r->first[n] = r->first[i];
        }
        kept_row[n++] = i;
    }
    r->n = n;
}

static void hand_over(reading *r, ecg_assess_rows *rows)
{
    bool any_unit = false, any_first = false;
    for (int64_t i = 0; i < r->n; i++) {
        any_unit |= r->unit[i] >= 0;
        any_first |= r->first[i] >= 0;
    }
    *rows = (ecg_assess_rows){r->n, r->prob, r->truth, any_unit ? r->unit : NULL, any_first ? r->first : NULL};
    if (!any_unit)
        free(r->unit);
    if (!any_first)
        free(r->first);
    r->prob = NULL;
    r->truth = NULL;
    r->unit = NULL;
    r->first = NULL;
}

/* Predictions with their labels, and what else belongs to the rows. The first pair settles which labels there are. */
static ecg_status read_pair(ecg_predictions *out, ecg_assess_rows *rows, ecg_words *id, const char *predictions, const char *labels, const ecg_predictions_files *f,
                            bool scored, const ecg_watch *watch, ecg_err *err)
{
    source mine = {0}, theirs = {0}, other = {0};
    reading r = {.out = out, .id = id};
    char example[2][64] = {"", ""};
    int64_t alone[2] = {0, 0}, *kept = NULL;
    const bool compare = scored && f->against;
    ecg_status st = open_source(&mine, predictions, NULL, err);
    if (!st)
        st = open_source(&theirs, labels, ecg_csv_name(mine.csv, mine.id), err);
    if (!st && compare)
        st = open_source(&other, f->against, ecg_csv_name(mine.csv, mine.id), err);
    if (!st && scored)
        st = common_labels(out, &mine, &theirs, err);
    if (!st)
        st = read_predictions(&r, &mine, err);
    if (st)
        goto done;
    const size_t cells = (size_t)r.n * (size_t)out->K;
    r.seen = calloc((size_t)r.n, 1);
    r.truth = malloc(cells);
    kept = malloc((size_t)r.n * sizeof *kept);
    if (compare)
        out->against = malloc(cells * sizeof *out->against);
    if (!r.seen || !r.truth || !kept || (compare && !out->against)) {
        st = ecg_fail(err, ECG_ENOMEM, "out of memory for %" PRId64 " rows of %d labels", r.n, out->K);
        goto done;
    }
    if ((st = read_onto(&r, &theirs, r.truth, NULL, &alone[0], example[0], err)))
        goto done;
    if (compare && (st = read_onto(&r, &other, NULL, out->against, &alone[1], example[1], err)))
        goto done;
    for (int i = 0; i < 1 + compare && !f->ignore_missing && !st; i++)
        if (alone[i] || !all_seen(&r, i ? IN_AGAINST : IN_LABELS))
            st = refuse_missing(&r, predictions, i ? f->against : labels, i ? IN_AGAINST : IN_LABELS, alone[i], example[i], err);
    if (st)
        goto done;
    const int64_t before = r.n;
    compact(&r, compare ? IN_LABELS | IN_AGAINST : IN_LABELS, out->against, kept);
    if (r.n == 0)
        st = ecg_fail_at(err, ECG_EDATA, predictions, 0, 0, "none of its %" PRId64 " ids is in %.100s%s", before, labels, compare ? " and in the other predictions" : "");
    if (!st && (before > r.n || alone[0] || alone[1]))
        ecg_say(watch, "%s: %" PRId64 " ids left out that are not in every file; %" PRId64 " only among the labels, %" PRId64 " only in the other predictions",
                predictions, before - r.n, alone[0], alone[1]);
    if (!st && scored) {
        out->only_predictions = before - r.n;
        out->only_labels = alone[0];
        out->only_against = alone[1];
    }
    if (!st && scored && f->groups)
        st = ecg_group_columns_read(&out->group, &out->groups, &(ecg_group_rows){r.id, &r.patient, r.unit, kept, r.n, ecg_csv_name(mine.csv, mine.id)}, f->groups,
                                    out->arena, watch, err);
    if (!st)
        hand_over(&r, rows);
done:
    close_source(&mine);
    close_source(&theirs);
    close_source(&other);
    ecg_words_clear(&r.patient);
    free(r.prob);
    free(r.truth);
    free(r.unit);
    free(r.first);
    free(r.line);
    free(r.seen);
    free(kept);
    return st;
}

/* Thresholds that were chosen on the rows they are judged on say nothing. Two files may number their rows alike and be different rows. */
static ecg_status other_rows(ecg_predictions *out, const ecg_words id[2], const ecg_predictions_files *f, const ecg_watch *watch, ecg_err *err)
{
    const ecg_assess_rows *a = &out->rows, *b = &out->validation;
    for (int i = 0; i < id[1].n; i++)
        out->validation_scored += ecg_words_get(&id[0], id[1].at[i], strlen(id[1].at[i])) >= 0;
    if (out->validation_scored == id[1].n && a->n == b->n && !memcmp(a->prob, b->prob, (size_t)a->n * (size_t)out->K * sizeof *a->prob))
        return ecg_fail_at(err, ECG_EDATA, f->validation_predictions, 0, 0, "the rows that are scored: thresholds come from other rows");
    if (out->validation_scored)
        ecg_say(watch, "%s: %" PRId64 " of its %d ids are scored as well: thresholds are honest on other rows only", f->validation_predictions,
                out->validation_scored, id[1].n);
    return ECG_OK;
}

ecg_status ecg_predictions_read(ecg_predictions *out, const ecg_predictions_files *f, const ecg_watch *watch, ecg_err *err)
{
    ecg_words id[2] = {0};
    *out = (ecg_predictions){.arena = ecg_arena_new()};
    ecg_status st = out->arena ? read_pair(out, &out->rows, &id[0], f->predictions, f->labels, f, true, watch, err) : ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st && (out->unused_predictions || out->unused_labels))
        ecg_say(watch, "%d labels in both files; %d columns of the predictions and %d of the labels have no partner", out->K, out->unused_predictions,
                out->unused_labels);
    if (!st && f->validation_predictions)
        st = read_pair(out, &out->validation, &id[1], f->validation_predictions, f->validation_labels, f, false, watch, err);
    if (!st && out->validation.n)
        st = other_rows(out, id, f, watch, err);
    ecg_words_clear(&id[0]);
    ecg_words_clear(&id[1]);
    if (st)
        ecg_predictions_clear(out);
    return st;
}

static void clear_rows(ecg_assess_rows *r)
{
    free((void *)r->prob);
    free((void *)r->truth);
    free((void *)r->unit);
    free((void *)r->first);
}

void ecg_predictions_clear(ecg_predictions *p)
{
    clear_rows(&p->rows);
    clear_rows(&p->validation);
    free(p->against);
    free(p->code);
    ecg_group_columns_clear(p->group, p->groups);
    ecg_arena_free(p->arena);
    *p = (ecg_predictions){0};
}
