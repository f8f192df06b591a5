/* SPDX-License-Identifier: MIT
 * folder_columns.c: what the columns of a plain table are.
 *
 *   by name   id path patient fold stay time, tabular.NAME..., label.CODE..., label.SET.CODE...
 *   by list   "id=ecg_id,path=file", "age,crp[mg/L]:lab,sex:cat", "AF,rhythm:SR"
 *
 * NAME[unit]:cat:lab, in any order of the endings, says how an input column is meant. In label.A.B the part A is a set only if it is spelled like one
 * (a small letter, then small letters, digits, _), so that label.I48.0 is the code I48.0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cohort/folder_table.h"

enum { SETS = 16 };

static const char *const fixed[] = {"id", "path", "patient", "fold", "stay", "time"};
enum { FIXED = sizeof fixed / sizeof *fixed };

/* ---- pieces ------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *at;
    size_t len;
} piece;

static piece trimmed(const char *at, size_t len)
{
    while (len && (*at == ' ' || *at == '\t'))
        at++, len--;
    while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    return (piece){at, len};
}

/* The next piece of a comma-separated list; false at its end. */
static bool next_piece(piece *out, const char **list)
{
    while (*list && **list) {
        const size_t len = strcspn(*list, ",");
        *out = trimmed(*list, len);
        *list += len + ((*list)[len] == ',');
        if (out->len)
            return true;
    }
    return false;
}

static bool ends(piece *p, const char *ending)
{
    const size_t len = strlen(ending);
    if (p->len <= len || memcmp(p->at + p->len - len, ending, len))
        return false;
    *p = trimmed(p->at, p->len - len);
    return true;
}

static bool is_set(const char *at, size_t len)
{
    bool ok = len > 0 && len < sizeof((ecg_folder_label *)0)->set && at[0] >= 'a' && at[0] <= 'z';
    for (size_t i = 0; ok && i < len; i++)
        ok = (at[i] >= 'a' && at[i] <= 'z') || (at[i] >= '0' && at[i] <= '9') || at[i] == '_';
    return ok;
}

/* A name of a column or label into out; false: empty, too long, a control byte, no UTF-8. */
static bool take_name(char *out, size_t size, piece p)
{
    if (!p.len || p.len >= size)
        return false;
    memcpy(out, p.at, p.len);
    out[p.len] = 0;
    for (size_t i = 0; i < p.len; i++)
        if ((unsigned char)out[i] < 32 || out[i] == 127)
            return false;
    return ecg_is_utf8(out);
}

/* ---- columns ------------------------------------------------------------------------------------------------------------------ */

/* -1: no such column. */
static int find(const ecg_csv *t, piece name)
{
    for (int i = 0; i < ecg_csv_columns(t); i++)
        if (strlen(ecg_csv_name(t, i)) == name.len && !memcmp(ecg_csv_name(t, i), name.at, name.len))
            return i;
    return -1;
}

static ecg_status absent(const ecg_folder_table *f, const ecg_csv *t, piece name, const char *option, ecg_err *err)
{
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(name.len < 63 ? name.len : 63), name.at);
    const int columns = ecg_csv_columns(t);
    const char **names = malloc(((size_t)columns + 1) * sizeof *names), *near = NULL;
    for (int i = 0; names && i < columns; i++)
        names[i] = ecg_csv_name(t, i);
    if (names)
        near = ecg_nearest(word, names, columns);
    free(names);
    const bool semicolons = columns == 1 && strpbrk(ecg_csv_name(t, 0), ";\t");
    if (semicolons)
        return ecg_fail_at(err, ECG_EDATA, f->path, 1, 0, "one column \"%.60s\": commas are expected between columns", ecg_csv_name(t, 0));
    return ecg_fail_at(err, ECG_EDATA, f->path, 1, 0, near ? "%sno column \"%s\", the nearest is \"%.60s\"" : "%sno column \"%s\"", option, word, near);
}

static ecg_status find_fixed(ecg_folder_table *f, const ecg_csv *t, const char *list, ecg_err *err)
{
    int *const column[FIXED] = {&f->id, &f->file, &f->patient, &f->fold, &f->stay, &f->time};
    for (int k = 0; k < FIXED; k++)
        *column[k] = ecg_csv_find(t, fixed[k]);
    for (piece p; next_piece(&p, &list);) {
        const char *equals = memchr(p.at, '=', p.len);
        int k = 0;
        while (equals && k < FIXED && !(strlen(fixed[k]) == (size_t)(equals - p.at) && !memcmp(fixed[k], p.at, (size_t)(equals - p.at))))
            k++;
        if (!equals || k == FIXED)
            return ecg_fail(err, ECG_EARG, "--columns: \"%.*s\" is none of id=, path=, patient=, fold=, stay=, time= and a name", (int)(p.len < 60 ? p.len : 60), p.at);
        const piece name = trimmed(equals + 1, p.len - (size_t)(equals + 1 - p.at));
        if ((*column[k] = find(t, name)) < 0)
            return absent(f, t, name, "--columns: ", err);
    }
    if (f->id < 0 || f->file < 0)
        return absent(f, t, f->id < 0 ? (piece){"id", 2} : (piece){"path", 4}, "", err);
    return ECG_OK;
}

/* NAME[unit]:cat:lab, of column number column; -1: the one that is called NAME or NAME[unit]. */
static ecg_status add_input(ecg_folder_table *f, const ecg_csv *t, piece p, int column, const char *option, ecg_err *err)
{
    ecg_folder_input *in = &f->input[f->inputs];
    *in = (ecg_folder_input){.is.group = "routine"};
    for (bool more = true; more;) {
        const bool cat = ends(&p, ":cat"), lab = ends(&p, ":lab");
        in->categories |= cat;
        if (lab)
            memcpy(in->is.group, "lab", sizeof "lab");
        more = cat || lab;
    }
    const piece whole = p;
    const char *open = p.len && p.at[p.len - 1] == ']' ? memrchr(p.at, '[', p.len) : NULL;
    if (open) {
        const piece unit = trimmed(open + 1, p.len - (size_t)(open - p.at) - 2);
        if (unit.len && !take_name(in->is.unit, sizeof in->is.unit, unit))
            return ecg_fail_at(err, ECG_EDATA, f->path, 1, 0, "%sthe unit of \"%.*s\" is not UTF-8 of at most %zu bytes", option, (int)(p.len < 60 ? p.len : 60),
                               p.at, sizeof in->is.unit - 1);
        p = trimmed(p.at, (size_t)(open - p.at));
    }
    if (column < 0 && (column = find(t, p)) < 0 && (column = find(t, whole)) < 0)
        return absent(f, t, p, option, err);
    if (!take_name(in->is.name, sizeof in->is.name, p))
        return ecg_fail_at(err, ECG_EDATA, f->path, 1, column + 1, "%sa column name is not UTF-8 of 1 to %zu bytes", option, sizeof in->is.name - 1);
    in->column = column;
    f->inputs++;
    return ECG_OK;
}

static ecg_status add_label(ecg_folder_table *f, piece set, piece code, int column, const char *option, ecg_err *err)
{
    ecg_folder_label *l = &f->label[f->labels];
    *l = (ecg_folder_label){.column = column, .set = "diagnoses"};
    if (set.len) {
        memcpy(l->set, set.at, set.len);
        l->set[set.len] = 0;
    }
    if (!take_name(l->code, sizeof l->code, code))
        return ecg_fail_at(err, ECG_EDATA, f->path, 1, column + 1, "%sa label name is not UTF-8 of 1 to %zu bytes", option, sizeof l->code - 1);
    f->labels++;
    return ECG_OK;
}

/* CODE or SET:CODE of a list. */
static ecg_status list_label(ecg_folder_table *f, const ecg_csv *t, piece p, ecg_err *err)
{
    static const char option[] = "--label-columns: ";
    int column = find(t, p);
    const char *colon = column < 0 ? memchr(p.at, ':', p.len) : NULL;
    if (!colon)
        return column < 0 ? absent(f, t, p, option, err) : add_label(f, (piece){"", 0}, p, column, option, err);
    const piece set = trimmed(p.at, (size_t)(colon - p.at)), code = trimmed(colon + 1, p.len - (size_t)(colon + 1 - p.at));
    if (!is_set(set.at, set.len))
        return ecg_fail(err, ECG_EARG, "%s\"%.*s\" is no name of a set: a small letter, then at most 30 small letters, digits, _", option,
                        (int)(set.len < 60 ? set.len : 60), set.at);
    column = find(t, code);
    return column < 0 ? absent(f, t, code, option, err) : add_label(f, set, code, column, option, err);
}

/* "label.CODE", "label.SET.CODE" of the header, without the first part. */
static ecg_status named_label(ecg_folder_table *f, piece p, int column, ecg_err *err)
{
    const char *dot = memchr(p.at, '.', p.len);
    const size_t set = dot ? (size_t)(dot - p.at) : 0;
    if (!is_set(p.at, set))
        return add_label(f, (piece){"", 0}, p, column, "", err);
    return add_label(f, (piece){p.at, set}, (piece){dot + 1, p.len - set - 1}, column, "", err);
}

/* ---- contradictions ------------------------------------------------------------------------------------------------------------- */

/* False: out of memory. *again: it was there before. */
static bool put_once(ecg_words *w, const char *name, bool *again)
{
    const int before = w->n;
    const int i = ecg_words_put(w, name, strlen(name));
    *again = i < before;
    return i >= 0;
}

static ecg_status check_use(const ecg_folder_table *f, const ecg_csv *t, ecg_err *err)
{
    const int columns = ecg_csv_columns(t), uses = FIXED + f->inputs + f->labels;
    ecg_words inputs = {0}, labels = {0}, sets = {0}, names = {0};
    ecg_status st = ECG_OK;
    bool again, twice = false, ok = true;
    uint8_t *role = calloc((size_t)columns + 1, 1), *doubled = calloc((size_t)columns + 1, 1);
    int *first = malloc(((size_t)columns + 1) * sizeof *first); /* by number of the name */
    for (int i = 0; role && doubled && first && i < columns && ok; i++) {
        ok = put_once(&names, ecg_csv_name(t, i), &twice);
        const int word = ok ? ecg_words_get(&names, ecg_csv_name(t, i), strlen(ecg_csv_name(t, i))) : 0;
        if (twice)
            doubled[i] = doubled[first[word]] = 1;
        else
            first[word] = i;
    }
    ok = ok && role && doubled && first;
    for (int k = 0; k < uses && ok && !st; k++) {
        const int fix[FIXED] = {f->id, f->file, f->patient, f->fold, f->stay, f->time};
        const bool is_input = k >= FIXED && k < FIXED + f->inputs;
        const ecg_folder_label *l = k >= FIXED + f->inputs ? &f->label[k - FIXED - f->inputs] : NULL;
        const int column = l ? l->column : is_input ? f->input[k - FIXED].column : fix[k];
        if (column < 0)
            continue;
        const char *name = ecg_csv_name(t, column);
        role[column] |= l ? 2 : is_input ? 1 : 4;
        if (doubled[column])
            st = ecg_fail_at(err, ECG_EDATA, f->path, 1, column + 1, "two columns are called \"%.60s\"", name);
        else if (role[column] & 2 && role[column] != 2)
            st = ecg_fail_at(err, ECG_EDATA, f->path, 1, column + 1, "column \"%.60s\" is a label and something else: what is to be learned must not be given",
                             name);
        else if (is_input && (ok = put_once(&inputs, f->input[k - FIXED].is.name, &again)) && again)
            st = ecg_fail_at(err, ECG_EDATA, f->path, 1, column + 1, "input column \"%s\" a second time", f->input[k - FIXED].is.name);
        if (!l || st)
            continue;
        char both[112];
        snprintf(both, sizeof both, "%s.%s", l->set, l->code);
        ok = put_once(&labels, both, &again) && ecg_words_put(&sets, l->set, strlen(l->set)) >= 0;
        if (ok && again)
            st = ecg_fail_at(err, ECG_EDATA, f->path, 1, column + 1, "label \"%s\" of set %s a second time", l->code, l->set);
        else if (sets.n > SETS)
            st = ecg_fail_at(err, ECG_EDATA, f->path, 1, column + 1, "more than %d sets of labels", SETS);
    }
    ecg_words_clear(&inputs);
    ecg_words_clear(&labels);
    ecg_words_clear(&sets);
    ecg_words_clear(&names);
    free(role);
    free(doubled);
    free(first);
    return st || ok ? st : ecg_fail(err, ECG_ENOMEM, "no memory for %d columns", columns);
}

static size_t pieces(const char *list)
{
    size_t n = 0;
    for (piece p; next_piece(&p, &list);)
        n++;
    return n;
}

ecg_status ecg_folder_columns(ecg_folder_table *f, const ecg_csv *t, const ecg_table_columns *how, ecg_err *err)
{
    static const char tabular[] = "tabular.", label[] = "label.";
    const size_t columns = (size_t)ecg_csv_columns(t);
    ecg_status st = find_fixed(f, t, how->columns, err);
    if (st)
        return st;
    f->input = calloc((how->tabular ? pieces(how->tabular) : columns) + 1, sizeof *f->input);
    f->label = calloc((how->labels ? pieces(how->labels) : columns) + 1, sizeof *f->label);
    if (!f->input || !f->label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %zu columns", columns);
    const char *list = how->tabular;
    for (piece p; !st && next_piece(&p, &list);)
        st = add_input(f, t, p, -1, "--tabular: ", err);
    list = how->labels;
    for (piece p; !st && next_piece(&p, &list);)
        st = list_label(f, t, p, err);
    for (int i = 0; i < (int)columns && !st; i++) {
        const char *name = ecg_csv_name(t, i);
        const size_t len = strlen(name);
        if (!how->tabular && !strncmp(name, tabular, sizeof tabular - 1))
            st = add_input(f, t, trimmed(name + sizeof tabular - 1, len - (sizeof tabular - 1)), i, "", err);
        else if (!how->labels && !strncmp(name, label, sizeof label - 1))
            st = named_label(f, trimmed(name + sizeof label - 1, len - (sizeof label - 1)), i, err);
    }
    return st ? st : check_use(f, t, err);
}
