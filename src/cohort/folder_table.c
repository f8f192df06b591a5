/* SPDX-License-Identifier: MIT
 * folder_table.c: the rows of the table that describes a folder of recordings. The table is anybody's: what cannot be meant is refused with its
 * line and column, and nothing is guessed that would change a number (a comma in it, a text among numbers, "NaN"). */
#include "cohort/folder_table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { FOLDS = 32, LONGEST_ID = 200, LONGEST_PATH = 255 };

void ecg_folder_table_clear(ecg_folder_table *f)
{
    for (int i = 0; i < f->inputs; i++)
        ecg_words_clear(&f->input[i].words);
    for (int64_t i = 0; i < f->n; i++)
        free(f->row[i].path);
    free(f->input);
    free(f->label);
    free(f->row);
    free(f->value);
    free(f->known);
    ecg_words_clear(&f->ids.words);
    ecg_words_clear(&f->patients.words);
    ecg_words_clear(&f->stays.words);
    *f = (ecg_folder_table){0};
}

/* ---- one field ------------------------------------------------------------------------------------------------------------------ */

static ecg_field trimmed(const ecg_csv *t, int column)
{
    ecg_field f = ecg_csv_field(t, column);
    while (f.len && (*f.at == ' ' || *f.at == '\t'))
        f.at++, f.len--;
    while (f.len && (f.at[f.len - 1] == ' ' || f.at[f.len - 1] == '\t'))
        f.len--;
    return f;
}

/* The column's name, then the fact, with odd bytes made harmless. */
__attribute__((format(printf, 5, 6))) static ecg_status wrong(const ecg_folder_table *f, const ecg_csv *t, int column, ecg_err *err, const char *fmt, ...)
{
    char what[240];
    const int len = snprintf(what, sizeof what, "%.60s: ", ecg_csv_name(t, column));
    va_list args;
    va_start(args, fmt);
    vsnprintf(what + len, sizeof what - (size_t)len, fmt, args);
    va_end(args);
    for (char *c = what; *c; c++)
        if ((unsigned char)*c < 32)
            *c = '?';
    return ecg_fail_at(err, ECG_EDATA, f->path, ecg_csv_line(t), column + 1, "%s", what);
}

#define SHOWN(field) (int)((field).len < 40 ? (field).len : 40), (field).at /* for "%.*s" */

static bool is_plain(ecg_field v)
{
    for (size_t i = 0; i < v.len; i++)
        if ((unsigned char)v.at[i] < 32 || v.at[i] == 127)
            return false;
    return true;
}

/* "12" and "12.0" are the whole number 12; "012", "+12" and "-12" are texts. */
static bool whole_number(char out[24], ecg_field v)
{
    int64_t x;
    if (!ecg_parse_i64(&x, v.at, v.len) || x < 0)
        return false;
    const size_t len = (size_t)snprintf(out, 24, "%" PRId64, x);
    return v.len >= len && !memcmp(v.at, out, len) && (v.len == len || v.at[len] == '.');
}

/* *out: number of the id among the words, -1 if the field is empty. */
static ecg_status read_id(int *out, ecg_folder_ids *ids, const ecg_folder_table *f, const ecg_csv *t, int column, ecg_err *err)
{
    const ecg_field v = trimmed(t, column);
    char number[24];
    *out = -1;
    if (!v.len)
        return ECG_OK;
    if (v.len > LONGEST_ID || !is_plain(v))
        return wrong(f, t, column, err, "an id of %zu bytes or with odd ones", v.len);
    const bool whole = whole_number(number, v);
    *out = whole ? ecg_words_put(&ids->words, number, strlen(number)) : ecg_words_put(&ids->words, v.at, v.len);
    ids->text |= !whole;
    return *out < 0 ? ecg_fail(err, ECG_ENOMEM, "no memory for %d ids", ids->words.n) : ECG_OK;
}

int64_t ecg_folder_number(const ecg_folder_ids *ids, int word)
{
    int64_t x = -1;
    if (word >= 0 && (ids->text || !ecg_parse_i64(&x, ids->words.at[word], strlen(ids->words.at[word]))))
        x = (int64_t)word + 1;
    return x;
}

/* Below the folder, parts separated by "/", no part "..". */
static bool is_inside(ecg_field v)
{
    for (size_t at = 0; at <= v.len;) {
        const char *slash = memchr(v.at + at, '/', v.len - at);
        const size_t len = slash ? (size_t)(slash - v.at) - at : v.len - at;
        if (!len || (len == 1 && v.at[at] == '.') || (len == 2 && v.at[at] == '.' && v.at[at + 1] == '.'))
            return false;
        at += len + 1;
    }
    return true;
}

static ecg_status read_path(ecg_folder_row *row, const ecg_folder_table *f, const ecg_csv *t, ecg_err *err)
{
    static const char *const endings[] = {".hea", ".dat", ".mat"}; /* the files of a WFDB record */
    ecg_field v = trimmed(t, f->file);
    if (v.len > 2 && v.at[0] == '.' && v.at[1] == '/')
        v = (ecg_field){v.at + 2, v.len - 2};
    if (!v.len || v.len > LONGEST_PATH || !is_plain(v))
        return wrong(f, t, f->file, err, "a path of %zu bytes or with odd ones, 1 to %d expected", v.len, LONGEST_PATH);
    if (memchr(v.at, '\\', v.len))
        return wrong(f, t, f->file, err, "\"%.*s\" has a backslash, folders are separated by /", SHOWN(v));
    if (!is_inside(v))
        return wrong(f, t, f->file, err, "\"%.*s\" leaves the folder, paths are below --folder", SHOWN(v));
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (v.len > 4 && !memcmp(v.at + v.len - 4, endings[i], 4)) {
            v.len -= 4;
            break;
        }
    row->path = strndup(v.at, v.len);
    return row->path ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " rows", f->n);
}

static const struct { const char *word; int fold; } fold_words[] = {
    {"train", 0}, {"validation", 1}, {"test", 2}, {"training", 0}, {"valid", 1}, {"val", 1},
};

/* 0..31, or a word that names the role. The first row decides which. */
static ecg_status read_fold(ecg_folder_row *row, ecg_folder_table *f, const ecg_csv *t, ecg_err *err)
{
    const ecg_field v = trimmed(t, f->fold);
    int64_t number = -1;
    char word[16];
    ecg_field_copy(word, sizeof word, v);
    row->fold = -1;
    for (size_t i = 0; i < sizeof fold_words / sizeof *fold_words; i++)
        if (v.len < sizeof word && ecg_same_word(word, fold_words[i].word))
            row->fold = fold_words[i].fold;
    const bool is_word = row->fold >= 0;
    if (!is_word && ecg_parse_i64(&number, v.at, v.len) && number >= 0 && number < FOLDS)
        row->fold = (int)number;
    if (row->fold < 0)
        return wrong(f, t, f->fold, err, "\"%.*s\" is neither 0 to %d nor train, validation, test", SHOWN(v), FOLDS - 1);
    if (f->n == 1)
        f->fold_words = is_word;
    else if (f->fold_words != is_word)
        return wrong(f, t, f->fold, err, "\"%.*s\" after line %" PRId64 " has a %s", SHOWN(v), f->row[0].line, is_word ? "number" : "word");
    return ECG_OK;
}

static ecg_status read_label(int8_t *out, const ecg_folder_table *f, const ecg_csv *t, int column, ecg_err *err)
{
    const ecg_field v = trimmed(t, column);
    char word[8];
    double x;
    ecg_field_copy(word, sizeof word, v);
    if (!v.len)
        *out = -1;
    else if (v.len < sizeof word && (ecg_same_word(word, "true") || ecg_same_word(word, "false")))
        *out = ecg_same_word(word, "true");
    else if (ecg_parse_double(&x, v.at, v.len) && (x == 0 || x == 1))
        *out = x == 1;
    else
        return wrong(f, t, column, err, "\"%.*s\" is no label: 1, 0, or nothing where it is unknown", SHOWN(v));
    return ECG_OK;
}

/* ---- input columns -------------------------------------------------------------------------------------------------------------- */

static bool stands_for_missing(ecg_field v)
{
    static const char *const words[] = {"nan", "inf", "+inf", "-inf", "infinity", "-infinity", "na", "n/a", "#n/a", "null", "___"};
    char text[16];
    ecg_field_copy(text, sizeof text, v);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (v.len < sizeof text && ecg_same_word(text, words[i]))
            return true;
    return false;
}

static bool has_decimal_comma(ecg_field v)
{
    bool digit = false, comma = false;
    for (size_t i = 0; i < v.len; i++) {
        if (!memchr("0123456789.,+-'eE ", v.at[i], 18))
            return false;
        digit |= v.at[i] >= '0' && v.at[i] <= '9';
        comma |= v.at[i] == ',';
    }
    return digit && comma;
}

static ecg_status read_word(float *out, ecg_folder_input *in, const ecg_folder_table *f, const ecg_csv *t, ecg_field v, ecg_err *err)
{
    char word[ECG_WORD];
    if (v.len >= sizeof word || !is_plain(v))
        return wrong(f, t, in->column, err, "a word of %zu bytes or with odd ones, at most %d are possible", v.len, ECG_WORD - 1);
    if (!in->categories || !whole_number(word, v)) /* 1 and 1.0 are one category */
        ecg_field_copy(word, sizeof word, v);
    if (!ecg_is_utf8(word))
        return wrong(f, t, in->column, err, "bytes that are no UTF-8");
    const int w = ecg_words_put(&in->words, word, strlen(word));
    if (w < 0)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the words of %s", in->is.name);
    if (in->words.n > ECG_WORDS)
        return wrong(f, t, in->column, err, "\"%.*s\" is the %dth different word, at most %d are possible: free text is no input", SHOWN(v), in->words.n, ECG_WORDS);
    *out = (float)w;
    return ECG_OK;
}

static ecg_status read_input(float *out, ecg_folder_input *in, const ecg_folder_table *f, const ecg_csv *t, ecg_err *err)
{
    const ecg_field v = trimmed(t, in->column);
    double x;
    *out = NAN;
    if (!v.len)
        return ECG_OK;
    const bool number = !in->categories && ecg_parse_double(&x, v.at, v.len);
    if (!number && !in->categories && stands_for_missing(v))
        return wrong(f, t, in->column, err, "\"%.*s\": what is missing is left empty", SHOWN(v));
    if (!number && !in->categories && has_decimal_comma(v))
        return wrong(f, t, in->column, err, "\"%.*s\" is a number with a comma", SHOWN(v));
    if (in->first && number != in->numbers)
        return wrong(f, t, in->column, err, "\"%.*s\" is %s number, line %" PRId64 " has %s (with %s:cat both are words)", SHOWN(v), number ? "a" : "no",
                     in->first, number ? "a word" : "one", in->is.name);
    if (!in->first) {
        in->first = ecg_csv_line(t);
        in->numbers = number;
    }
    if (!number)
        return read_word(out, in, f, t, v, err);
    if (!isfinite((float)x))
        return wrong(f, t, in->column, err, "\"%.*s\" is beyond single precision", SHOWN(v));
    *out = (float)x;
    return ECG_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_number(const void *a, const void *b)
{
    double x = 0, y = 0;
    ecg_parse_double(&x, *(char *const *)a, strlen(*(char *const *)a));
    ecg_parse_double(&y, *(char *const *)b, strlen(*(char *const *)b));
    return x != y ? (x < y ? -1 : 1) : by_text(a, b);
}

/* Words in ascending order, of numbers if all are numbers; the values follow. */
static ecg_status settle_categories(ecg_folder_table *f, int column, ecg_err *err)
{
    ecg_folder_input *in = &f->input[column];
    const char *sorted[ECG_WORDS + 1];
    float becomes[ECG_WORDS + 1];
    ecg_words ascending = {0};
    bool numbers = true, ok = true;
    double x;
    for (int w = 0; w < in->words.n; w++) {
        sorted[w] = in->words.at[w];
        numbers = numbers && ecg_parse_double(&x, sorted[w], strlen(sorted[w]));
    }
    qsort(sorted, (size_t)in->words.n, sizeof *sorted, numbers ? by_number : by_text);
    for (int w = 0; w < in->words.n; w++) {
        becomes[ecg_words_get(&in->words, sorted[w], strlen(sorted[w]))] = (float)w;
        ok = ok && ecg_words_put(&ascending, sorted[w], strlen(sorted[w])) == w;
    }
    for (int64_t i = 0; i < f->n; i++) {
        float *v = &f->value[i * f->inputs + column];
        if (!isnan(*v))
            *v = becomes[(int)*v];
    }
    in->is.categorical = true;
    in->is.vocabulary = in->words.n;
    ecg_words_clear(&in->words);
    in->words = ascending;
    return ok ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the words of %s", in->is.name);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------------- */

static ecg_status make_room(ecg_folder_table *f, int64_t *room, ecg_err *err)
{
    if (f->n < *room)
        return ECG_OK;
    const int64_t more = *room ? *room * 2 : 1024;
    ecg_folder_row *row = realloc(f->row, (size_t)more * sizeof *row);
    if (row)
        f->row = row;
    float *value = realloc(f->value, (size_t)more * ((size_t)f->inputs + 1) * sizeof *value);
    if (value)
        f->value = value;
    int8_t *known = realloc(f->known, (size_t)more * ((size_t)f->labels + 1));
    if (known)
        f->known = known;
    if (!row || !value || !known)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " rows", more);
    *room = more;
    return ECG_OK;
}

static ecg_status read_row(ecg_folder_table *f, const ecg_csv *t, ecg_err *err)
{
    const int64_t i = f->n++;
    ecg_folder_row *row = &f->row[i];
    *row = (ecg_folder_row){.line = ecg_csv_line(t), .time = -1, .patient = -1, .stay = -1, .fold = -1};
    const int before = f->ids.words.n;
    ecg_status st = read_id(&row->id, &f->ids, f, t, f->id, err);
    if (st)
        return st;
    if (row->id < 0)
        return wrong(f, t, f->id, err, "no id");
    if (row->id < before) /* every row has its own, so the number of the id is that of its row */
        return wrong(f, t, f->id, err, "%.60s a second time, first in line %" PRId64, f->ids.words.at[row->id], f->row[row->id].line);
    if ((st = read_path(row, f, t, err)) || (f->patient >= 0 && (st = read_id(&row->patient, &f->patients, f, t, f->patient, err))) ||
        (f->stay >= 0 && (st = read_id(&row->stay, &f->stays, f, t, f->stay, err))) || (f->fold >= 0 && (st = read_fold(row, f, t, err))))
        return st;
    if (f->patient >= 0 && row->patient < 0)
        return wrong(f, t, f->patient, err, "no patient: it cannot be kept apart from the other recordings of whoever it is");
    int64_t when = INT64_MIN;
    if (f->time >= 0 && (st = ecg_csv_time(t, f->time, &when, err)))
        return st;
    row->time = when == INT64_MIN ? -1 : when;
    for (int k = 0; k < f->inputs && !st; k++)
        st = read_input(&f->value[i * f->inputs + k], &f->input[k], f, t, err);
    for (int k = 0; k < f->labels && !st; k++)
        st = read_label(&f->known[i * f->labels + k], f, t, f->label[k].column, err);
    return st;
}

static const char *fold_name(char out[24], const ecg_folder_table *f, int fold)
{
    snprintf(out, 24, "fold %d", fold);
    return f->fold_words ? fold_words[fold].word : out;
}

/* A patient in two folds is a leak. */
static ecg_status check_folds(const ecg_folder_table *f, ecg_err *err)
{
    if (f->fold < 0 || f->patient < 0)
        return ECG_OK;
    int64_t *first = calloc((size_t)f->patients.words.n + 1, sizeof *first); /* 1 + row */
    ecg_status st = first ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %d patients", f->patients.words.n);
    for (int64_t i = 0; i < f->n && !st; i++) {
        const ecg_folder_row *row = &f->row[i];
        int64_t *at = &first[row->patient];
        if (!*at)
            *at = i + 1;
        else if (f->row[*at - 1].fold != row->fold) {
            char here[24], there[24];
            st = ecg_fail_at(err, ECG_EDATA, f->path, row->line, f->fold + 1, "patient %.60s is in %s here and in %s in line %" PRId64,
                             f->patients.words.at[row->patient], fold_name(here, f, row->fold), fold_name(there, f, f->row[*at - 1].fold),
                             f->row[*at - 1].line);
        }
    }
    free(first);
    return st;
}

ecg_status ecg_folder_table_read(ecg_folder_table *f, ecg_csv *t, const char *path, const ecg_table_columns *how, ecg_err *err)
{
    *f = (ecg_folder_table){.path = path};
    int64_t room = 0;
    bool more;
    ecg_status st = ecg_folder_columns(f, t, how, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more)
        if (!(st = make_room(f, &room, err)))
            st = read_row(f, t, err);
    if (!st && !f->n)
        st = ecg_fail_at(err, ECG_EDATA, path, 0, 0, "no row in it");
    if (!st)
        st = check_folds(f, err);
    for (int k = 0; k < f->inputs && !st; k++)
        if (f->input[k].words.n)
            st = settle_categories(f, k, err);
    return st;
}
