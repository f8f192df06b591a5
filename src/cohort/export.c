/* SPDX-License-Identifier: MIT
 * export.c: a cohort as plain tables. All files are written under temporary names and renamed together at the end, README.txt last: a
 * folder with it is complete, an interrupted export leaves nothing. */
#include "cohort/export.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/npy.h"
#include "base/text.h"

enum { SETS = 16, TABLES = 3 + 2 * SETS, ROWS_AT_ONCE = 64, FLOAT_ROOM = 17 /* comma, sign, nine digits, point, exponent */ };

static const char *const role_names[ECG_ROLES] = {"train", "validation", "test"};

typedef struct {
    const ecg_cohort *c;
    const ecg_export_options *o;
    const ecg_watch *watch;
    const char *folder;
    bool row_numbers;       /* no study has a number: rows are named by theirs */
    char set_file[SETS][48]; /* a set's name as part of a file name */
    struct {
        char name[80];
        ecg_csvw *file;
    } table[TABLES];
    int tables;
    ecg_file *signal;
    char *row;              /* the row of a table that is being made */
    double done, total;     /* bytes, about */
} run;

/* ---- text of a row ------------------------------------------------------------------------------------------------------------ */

static char *put_whole(char *at, uint64_t x)
{
    char back[24];
    int n = 0;
    do
        back[n++] = (char)('0' + x % 10);
    while (x /= 10);
    while (n)
        *at++ = back[--n];
    return at;
}

static char *put_id(char *at, int64_t id)
{
    return id < 0 ? at : put_whole(at, (uint64_t)id);
}

/* x as %.9g writes it. From 1e-4 to 1e9 the shift to nine digits is exact in double (24 bits of x, at most 28 of a power of five), so that
 * rint rounds as printf does; in a tenth of its time. */
static char *put_float(char *at, float x)
{
    static const double power[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
    const double size = fabs((double)x);
    if (isnan(x))
        return at;
    if (size == 0 && !signbit(x)) {
        *at++ = '0';
        return at;
    }
    if (!(size >= 1e-4 && size < 1e9)) {
        const int n = snprintf(at, FLOAT_ROOM, "%.9g", (double)x);
        char *comma = memchr(at, ',', (size_t)n); /* an embedder's locale */
        if (comma)
            *comma = '.';
        return at + n;
    }
    int decimals = 8;
    while (decimals > 0 && size * power[decimals] >= 1e9)
        decimals--;
    while (decimals < 12 && size * power[decimals] < 1e8)
        decimals++;
    const uint64_t shifted = (uint64_t)rint(size * power[decimals]), unit = (uint64_t)power[decimals];
    if (x < 0)
        *at++ = '-';
    at = put_whole(at, shifted / unit);
    uint64_t rest = shifted % unit;
    if (!rest)
        return at;
    for (; rest % 10 == 0; rest /= 10)
        decimals--;
    *at = '.';
    for (int i = decimals; i > 0; i--, rest /= 10)
        at[i] = (char)('0' + rest % 10);
    return at + decimals + 1;
}

/* Empty outside the years 0000 to 9999: unknown, or nothing that a calendar holds. */
static char *put_time(char *at, int64_t seconds)
{
    static const int64_t first = -62167219200, last = 253402300799;
    if (seconds == -1 || seconds < first || seconds > last)
        return at;
    char text[20];
    ecg_format_time(text, seconds);
    memcpy(at, text, 19);
    return at + 19;
}

static char *put_study(char *at, const run *w, int64_t i)
{
    return put_id(at, w->row_numbers ? i : w->c->study[i]);
}

/* ---- tables -------------------------------------------------------------------------------------------------------------------- */

static ecg_status step(run *w, int64_t row, double bytes, ecg_err *err)
{
    w->done += bytes;
    if (row % 256)
        return ECG_OK;
    if (ecg_stopped(w->watch))
        return ecg_fail(err, ECG_EINTR, "interrupted, nothing was written");
    ecg_progress(w->watch, "export", w->done, w->total, NULL);
    return ECG_OK;
}

static ecg_status open_table(run *w, ecg_csvw **out, const char *stem, ecg_err *err)
{
    char path[512];
    char *name = w->table[w->tables].name;
    snprintf(name, sizeof w->table->name, "%s.csv%s", stem, w->o->gzip ? ".gz" : "");
    ecg_status st = ecg_join(path, sizeof path, w->folder, name, err);
    if (!st)
        st = ecg_csvw_create(out, path, err);
    if (!st)
        w->table[w->tables++].file = *out;
    return st;
}

static ecg_status write_records(run *w, ecg_err *err)
{
    const ecg_cohort *c = w->c;
    ecg_csvw *t;
    ecg_status st = open_table(w, &t, "records", err);
    if (st)
        return st;
    static const char header[] = "study_id,patient_id,stay_id,ecg_time,fold,role,first_in_stay,valid_samples\n";
    ecg_csvw_raw(t, header, sizeof header - 1);
    for (int64_t i = 0; i < c->n && !st; i++) {
        const int role = ecg_cohort_role(c, &c->roles, i);
        char *at = put_study(w->row, w, i);
        *at++ = ',';
        at = put_id(at, c->patient[i]);
        *at++ = ',';
        at = put_id(at, c->stay[i]);
        *at++ = ',';
        at = put_time(at, c->ecg_time[i]);
        at += sprintf(at, ",%d,%s,%d,", c->fold[i], role < 0 ? "" : role_names[role], c->first_in_stay[i]);
        if (c->signal)
            at = put_float(at, c->quality[i * c->quality_columns]);
        *at++ = '\n';
        ecg_csvw_raw(t, w->row, (size_t)(at - w->row));
        st = step(w, i, 64, err);
    }
    return st;
}

static ecg_status write_tabular(run *w, ecg_err *err)
{
    const ecg_cohort *c = w->c;
    const int columns = c->contract.columns;
    ecg_csvw *t;
    ecg_status st = open_table(w, &t, "tabular", err);
    if (st)
        return st;
    ecg_csvw_text(t, "study_id");
    for (int j = 0; j < columns; j++)
        ecg_csvw_text(t, c->contract.column[j].name);
    ecg_csvw_end(t);
    for (int64_t i = 0; i < c->n && !st; i++) {
        char *at = put_study(w->row, w, i);
        for (int j = 0; j < columns; j++) {
            *at++ = ',';
            at = put_float(at, c->tabular[i * columns + j]);
        }
        *at++ = '\n';
        ecg_csvw_raw(t, w->row, (size_t)(at - w->row));
        st = step(w, i, 8.0 * columns, err);
    }
    return st;
}

static bool has_words(const ecg_contract *k)
{
    for (int j = 0; k->words && j < k->columns; j++)
        if (k->words[j])
            return true;
    return false;
}

/* What the numbers of categorical columns stand for. */
static ecg_status write_words(run *w, ecg_err *err)
{
    const ecg_contract *k = &w->c->contract;
    ecg_csvw *t;
    ecg_status st = open_table(w, &t, "words", err);
    if (st)
        return st;
    static const char header[] = "column,number,word\n";
    ecg_csvw_raw(t, header, sizeof header - 1);
    for (int j = 0; j < k->columns; j++) {
        const char *at = k->words[j];
        for (int number = 0; at && *at; number++) {
            char word[ECG_WORD];
            const size_t len = strcspn(at, "\n");
            snprintf(word, sizeof word, "%.*s", (int)len, at);
            ecg_csvw_text(t, k->column[j].name);
            ecg_csvw_int(t, number);
            ecg_csvw_text(t, word);
            ecg_csvw_end(t);
            at += len + (at[len] != 0);
        }
    }
    return ECG_OK;
}

static ecg_status write_labels(run *w, int set, ecg_err *err)
{
    const ecg_cohort *c = w->c;
    const ecg_label_table *table = &c->contract.table[set];
    char stem[64];
    ecg_csvw *t;
    snprintf(stem, sizeof stem, "labels.%s", w->set_file[set]);
    ecg_status st = open_table(w, &t, stem, err);
    if (st)
        return st;
    ecg_csvw_text(t, "study_id");
    for (int k = 0; k < table->n; k++)
        ecg_csvw_text(t, table->label[k].code);
    ecg_csvw_end(t);
    for (int64_t i = 0; i < c->n && !st; i++) {
        const int8_t *y = c->label[set] + i * table->n;
        char *at = put_study(w->row, w, i);
        for (int k = 0; k < table->n; k++) {
            *at++ = ',';
            *at = (char)('0' + y[k]);
            at += y[k] >= 0;
        }
        *at++ = '\n';
        ecg_csvw_raw(t, w->row, (size_t)(at - w->row));
        st = step(w, i, 2.0 * table->n, err);
    }
    return st;
}

/* The first four columns are the form whose SHA-256 is the table's hash. */
static ecg_status write_label_table(run *w, int set, ecg_err *err)
{
    const ecg_label_table *table = &w->c->contract.table[set];
    char stem[64];
    ecg_csvw *t;
    snprintf(stem, sizeof stem, "label_table.%s", w->set_file[set]);
    ecg_status st = open_table(w, &t, stem, err);
    if (st)
        return st;
    bool labs = false;
    for (int k = 0; k < table->n; k++)
        labs = labs || table->label[k].itemid[0] || table->label[k].loinc[0] || table->label[k].fluid[0];
    static const char *const header[] = {"index", "code", "title", "count", "itemid", "loinc", "fluid"};
    for (int j = 0; j < (labs ? 7 : 4); j++)
        ecg_csvw_text(t, header[j]);
    ecg_csvw_end(t);
    for (int k = 0; k < table->n; k++) {
        const ecg_label *l = &table->label[k];
        ecg_csvw_int(t, k);
        ecg_csvw_text(t, l->code);
        ecg_csvw_text(t, l->title);
        ecg_csvw_int(t, l->count);
        if (labs) {
            ecg_csvw_text(t, l->itemid);
            ecg_csvw_text(t, l->loinc);
            ecg_csvw_text(t, l->fluid);
        }
        ecg_csvw_end(t);
    }
    return ECG_OK;
}

static ecg_status write_signal(run *w, ecg_err *err)
{
    const ecg_cohort *c = w->c;
    const int64_t dim[3] = {c->n, c->contract.samples, c->contract.leads}, record = dim[1] * dim[2];
    char path[512];
    ecg_status st = ecg_join(path, sizeof path, w->folder, "signal.npy", err);
    if (!st)
        st = ecg_file_create(&w->signal, path, err);
    if (!st)
        st = ecg_npy_begin(w->signal, 3, dim, err);
    for (int64_t i = 0; i < c->n && !st; i += ROWS_AT_ONCE) {
        const int64_t rows = c->n - i < ROWS_AT_ONCE ? c->n - i : ROWS_AT_ONCE;
        const size_t bytes = (size_t)(rows * record) * sizeof *c->signal;
        st = ecg_file_write(w->signal, c->signal + i * record, bytes, err);
        if (!st)
            st = step(w, 0, (double)bytes, err);
    }
    return st;
}

/* ---- what goes with the tables -------------------------------------------------------------------------------------------------- */

/* The contract with what it belongs to: rate, leads in order, columns, label tables. */
static ecg_status write_contract(const run *w, ecg_err *err)
{
    char path[512], *text = NULL, *pretty = NULL;
    ecg_status st = ecg_join(path, sizeof path, w->folder, "contract.json", err);
    if (!st)
        st = ecg_contract_to_json(&text, &w->c->contract, err);
    if (st)
        return st;
    json_t *contract = json_loads(text, 0, NULL);
    json_t *all = json_pack("{s:s, s:s, s:s, s:b, s:I}", "schema", "ecgraft.contract/1", "statement", ECG_STATEMENT, "cohort", w->c->hash, "synthetic",
                            (int)w->c->synthetic, "records", (json_int_t)w->c->n);
    if (contract && all && !json_object_update(all, contract))
        pretty = json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    json_decref(contract);
    json_decref(all);
    free(text);
    st = pretty ? ecg_file_write_whole(path, pretty, strlen(pretty), err) : ecg_fail(err, ECG_ENOMEM, "no memory for the contract");
    free(pretty);
    return st;
}

static void list_files(const run *w, ecg_text *t)
{
    const ecg_contract *k = &w->c->contract;
    const char *more = w->o->gzip ? ".gz" : "";
    ecg_text_printf(t, "records.csv%s\n    a row a recording: ids, time (no zone), fold, role of the fold, first of its stay, samples before the padding%s\n", more,
                    w->c->signal ? "" : " (none here)");
    if (k->columns)
        ecg_text_printf(t, "tabular.csv%s\n    %d columns, raw values: nothing imputed, nothing scaled; categories as numbers from 0 (contract.json: vocabulary)\n",
                        more, k->columns);
    if (has_words(k))
        ecg_text_printf(t, "words.csv%s\n    what the numbers of categories stand for\n", more);
    for (int s = 0; s < k->sets; s++)
        ecg_text_printf(t, "labels.%s.csv%s\n    set \"%s\", %d labels: 1 present, 0 absent, empty unknown\nlabel_table.%s.csv%s\n"
                        "    their index, code, title and count of positives; SHA-256 of these four columns %s\n",
                        w->set_file[s], more, k->table[s].set, k->table[s].n, w->set_file[s], more, k->table[s].hash);
    if (w->o->signal)
        ecg_text_printf(t, "signal.npy\n    float32 (records, samples, leads) = (%" PRId64 ", %d, %d), millivolt at %g Hz, NaN where missing; leads in the order of "
                        "contract.json:\n   ", w->c->n, k->samples, k->leads, k->rate_hz);
    for (int l = 0; l < k->leads && w->o->signal; l++)
        ecg_text_printf(t, " %s%s", k->lead[l], l == k->leads - 1 ? "\n" : "");
    ecg_text_puts(t, "contract.json\n    rate, leads, samples, columns with kind, unit and group, label tables\n");
}

static ecg_status write_readme(const run *w, ecg_err *err)
{
    const char *command = ecg_tensors_meta(w->c->file, "command"), *version = ecg_tensors_meta(w->c->file, "version");
    ecg_text t = {0};
    char path[512];
    ecg_text_printf(&t, "A cohort as tables, written by ecgraft %s\n%s%s\n\ncohort    %s\nrecords   %" PRId64 "\nbuilt by  %s\n          (ecgraft %s)\n\n",
                    ecg_version(), w->c->synthetic ? "synthetic cohort: its patients never lived, and its figures say nothing of real ones\n" : "", ECG_STATEMENT,
                    w->c->hash, w->c->n, command ? command : "?", version ? version : "?");
    list_files(w, &t);
    ecg_text_printf(&t, "\nRow i is the same recording in every file. study_id is %s. Tables: RFC 4180, UTF-8, decimal point, empty where missing.\n"
                    "Files that are not listed here are not of this export.\n",
                    w->row_numbers ? "the number of the row, from 0, as the source names no studies" : "the source's; empty where it names none");
    ecg_status st = t.failed ? ecg_fail(err, ECG_ENOMEM, "no memory for README.txt") : ecg_join(path, sizeof path, w->folder, "README.txt", err);
    if (!st)
        st = ecg_file_write_whole(path, t.at, t.len, err);
    ecg_text_clear(&t);
    return st;
}

/* ---- the folder ------------------------------------------------------------------------------------------------------------------ */

/* Names of sets as parts of file names: letters, digits, - and _; two that would meet get a number. */
static void name_sets(run *w)
{
    for (int s = 0; s < w->c->contract.sets; s++) {
        char *name = w->set_file[s];
        snprintf(name, sizeof w->set_file[s], "%s", w->c->contract.table[s].set[0] ? w->c->contract.table[s].set : "set");
        for (char *c = name; *c; c++)
            if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_'))
                *c = '_';
        const size_t len = strlen(name);
        for (int i = 0, number = 2; i < s; i++)
            if (ecg_same_word(w->set_file[i], name)) { /* some file systems know no case */
                snprintf(name + len, sizeof w->set_file[s] - len, "-%d", number++);
                i = -1;
            }
    }
}

static ecg_status check(const run *w, ecg_err *err)
{
    if (w->o->signal && !w->c->signal)
        return ecg_fail_at(err, ECG_EARG, w->c->path, 0, 0, "no signal to export: a cohort of tables alone (--no-waveforms)");
    if (!w->o->force && ecg_holds_files(w->folder, 8))
        return ecg_fail_at(err, ECG_EARG, w->folder, 0, 0, "the folder is not empty (--force writes into it)");
    return ECG_OK;
}

static ecg_status begin(run *w, ecg_err *err)
{
    const ecg_contract *k = &w->c->contract;
    int widest = 0;
    w->row_numbers = true;
    for (int64_t i = 0; i < w->c->n && w->row_numbers; i++)
        w->row_numbers = w->c->study[i] < 0;
    w->total = 64 + 8.0 * k->columns + (w->o->signal ? 4.0 * k->samples * k->leads : 0);
    for (int s = 0; s < k->sets; s++) {
        w->total += 2.0 * k->table[s].n;
        widest = k->table[s].n > widest ? k->table[s].n : widest;
    }
    w->total *= (double)w->c->n;
    name_sets(w);
    w->row = malloc(256 + (size_t)k->columns * FLOAT_ROOM + (size_t)widest * 2);
    return w->row ? ecg_make_folders(w->folder, err) : ecg_fail(err, ECG_ENOMEM, "no memory for a row of a table");
}

static ecg_status write_all(run *w, ecg_err *err)
{
    ecg_status st = write_records(w, err);
    if (!st && w->c->contract.columns)
        st = write_tabular(w, err);
    if (!st && has_words(&w->c->contract))
        st = write_words(w, err);
    for (int s = 0; s < w->c->contract.sets && !st; s++) {
        st = write_labels(w, s, err);
        if (!st)
            st = write_label_table(w, s, err);
    }
    if (!st && w->o->signal)
        st = write_signal(w, err);
    return st;
}

static void remove_file(const run *w, const char *name)
{
    char path[512];
    if (!ecg_join(path, sizeof path, w->folder, name, NULL))
        unlink(path);
}

static ecg_status commit_tables(run *w, ecg_err *err)
{
    for (int i = 0; i < w->tables; i++) {
        ecg_csvw *file = w->table[i].file;
        w->table[i].file = NULL;
        const ecg_status st = ecg_csvw_commit(file, err);
        while (st && i-- > 0) /* a disk that turns out full: tables that are in place already say less than none */
            remove_file(w, w->table[i].name);
        if (st)
            return st;
    }
    return ECG_OK;
}

/* From here on old files are replaced: an old README.txt would speak for them. The largest file first, if any fails for want of room. */
static ecg_status commit(run *w, ecg_err *err)
{
    ecg_status st = ECG_OK;
    remove_file(w, "README.txt");
    if (w->signal) {
        st = ecg_file_commit(w->signal, err);
        w->signal = NULL;
    }
    if (!st && (st = commit_tables(w, err)) && w->o->signal)
        remove_file(w, "signal.npy");
    if (!st)
        st = write_contract(w, err);
    return st ? st : write_readme(w, err);
}

ecg_status ecg_cohort_export(const ecg_cohort *c, const char *folder, const ecg_export_options *o, const ecg_watch *watch, ecg_err *err)
{
    run w = {.c = c, .o = o, .watch = watch, .folder = folder};
    ecg_status st = check(&w, err);
    if (st)
        return st;
    const bool new = !ecg_is_folder(folder);
    st = begin(&w, err);
    if (!st)
        st = write_all(&w, err);
    if (!st)
        st = commit(&w, err);
    for (int i = 0; i < w.tables; i++)
        ecg_csvw_abort(w.table[i].file);
    ecg_file_abort(w.signal);
    free(w.row);
    if (st && new)
        rmdir(folder); /* stays if anything is in it */
    if (!st)
        ecg_say(watch, "%s: %" PRId64 " records, %d tables%s%s", folder, c->n, w.tables, o->signal ? " and the signal" : "",
                c->synthetic ? " (synthetic cohort)" : "");
    return st;
}
