/* SPDX-License-Identifier: MIT
 * study_read.c: results.json, checked against its description before anybody looks into it, and labels.csv. Anybody may have written them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "report/study_parts.h"

/* ---- asking ------------------------------------------------------------------------------------------------------------------------- */

const char *ecg_study_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

double ecg_study_number(const json_t *object, const char *key)
{
    const json_t *x = json_object_get(object, key);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

int64_t ecg_study_count(const json_t *object, const char *key)
{
    const json_t *x = json_object_get(object, key);
    return json_is_integer(x) ? (int64_t)json_integer_value(x) : -1;
}

json_t *ecg_study_list(const json_t *object, const char *key)
{
    json_t *x = json_object_get(object, key);
    return json_is_array(x) ? x : NULL;
}

ecg_span ecg_study_span(const json_t *object, const char *point, const char *lo, const char *hi)
{
    return (ecg_span){ecg_study_number(object, point), ecg_study_number(object, lo), ecg_study_number(object, hi)};
}

ecg_span ecg_study_auroc(const json_t *object)
{
    return ecg_study_span(object, "auroc", "lo", "hi");
}

bool ecg_study_done(const json_t *object)
{
    const char *status = ecg_study_text(object, "status");
    return !*status || !strcmp(status, "done") || !strcmp(status, "partial");
}

bool ecg_study_has(const json_t *object, const char *measure)
{
    return ecg_study_done(object) && !isnan(ecg_study_number(object, measure));
}

const char *ecg_study_state(const json_t *object)
{
    static const char *const words[][2] = {{"done", "no figure"}, {"partial", "done in part"}, {"failed", "failed"}, {"left_out", "left out"},
                                           {"not_asked", "not asked for"}, {"pending", "not yet trained"}};
    const char *status = ecg_study_text(object, "status");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(status, words[i][0]))
            return words[i][1];
    return "no figure";
}

/* The first object of a list whose texts under three keys are those; NULL: any. */
static json_t *find(const json_t *list, const char *key, const char *value, const char *key2, const char *value2, const char *key3, const char *value3)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
        if (!strcmp(ecg_study_text(x, key), value) && (!key2 || !strcmp(ecg_study_text(x, key2), value2)) &&
            (!key3 || !strcmp(ecg_study_text(x, key3), value3)))
            return x;
    return NULL;
}

json_t *ecg_study_row(const ecg_study_view *v, const char *row, const char *task)
{
    return find(ecg_study_list(v->root, "rows"), "row", row, "task", task, NULL, NULL);
}

json_t *ecg_study_difference(const ecg_study_view *v, const char *a, const char *b, const char *task)
{
    return find(ecg_study_list(v->root, "differences"), "a", a, "b", b, "task", task);
}

json_t *ecg_study_stage(const ecg_study_view *v, const char *stage)
{
    return find(ecg_study_list(json_object_get(v->root, "forgetting"), "stages"), "stage", stage, NULL, NULL, NULL, NULL);
}

const char *ecg_study_without(const ecg_study_view *v, const char *task)
{
    const char *why = NULL;
    size_t i;
    json_t *row;
    json_array_foreach(ecg_study_list(v->root, "rows"), i, row)
    {
        const char *status = ecg_study_text(row, "status");
        if (strcmp(ecg_study_text(row, "task"), task) || !strcmp(status, "not_asked"))
            continue;
        if (strcmp(status, "left_out"))
            return NULL;
        why = ecg_study_text(row, "why");
    }
    return why;
}

bool ecg_study_icd(const ecg_study_view *v)
{
    size_t i, k, all = 0, icd = 0;
    json_t *c, *label;
    json_array_foreach(ecg_study_list(v->root, "cohorts"), i, c)
        json_array_foreach(ecg_study_list(c, "prevalence"), k, label)
        {
            const char *code = ecg_study_text(label, "code");
            if (strcmp(ecg_study_text(label, "task"), "diagnoses"))
                continue;
            all++;
            icd += code[0] >= 'A' && code[0] <= 'Z' && code[1] >= '0' && code[1] <= '9';
        }
    return all > 0 && 10 * icd >= 9 * all;
}

size_t ecg_study_units(const ecg_study_view *v)
{
    return json_array_size(ecg_study_list(v->root, "units"));
}

const char *ecg_study_title(const ecg_study_view *v, const char *row)
{
    const char *title = ecg_study_text(find(ecg_study_list(v->root, "rows"), "row", row, NULL, NULL, NULL, NULL), "title");
    return *title ? title : row;
}

void ecg_study_miss(ecg_study_view *v, const char *name, const char *why)
{
    ecg_text line = {0}, plain = {0};
    ecg_text_printf(&line, "%s: %s", name, why);
    ecg_words_plain(&plain, &line);
    if (plain.at)
        json_array_append_new(v->missing, json_string(plain.at));
    ecg_text_clear(&line);
    ecg_text_clear(&plain);
}

bool ecg_study_path(char out[1024], const ecg_study_view *v, const char *folder, const char *name)
{
    for (const char *part = folder; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (*part == '/' || (!strncmp(part, "..", 2) && (!part[2] || part[2] == '/')))
            return false;
    return snprintf(out, 1024, "%s/%s/%s", v->folder, folder, name) < 1024;
}

/* ---- checking ----------------------------------------------------------------------------------------------------------------------- */

/* Kinds: s text, n number, i whole number, p share of 1, b truth, o object, a list, t task; capital: must be there, else null will do. */
static const struct { const char *path; char kind; } fields[] = {
    {"statement", 's'}, {"synthetic", 'B'}, {"version", 's'}, {"command", 's'}, {"preset", 's'}, {"started", 's'}, {"finished", 's'}, {"seconds", 'n'},
    {"machine", 'o'}, {"settings", 'o'}, {"settings_hash", 's'}, {"resamples", 'i'}, {"bootstrap", 's'}, {"bootstrap_seed", 'i'},
    {"diagnosis_set", 's'}, {"lab_set", 's'}, {"complete", 'b'}, {"notes", 'a'}, {"notes[]", 's'},
    {"cohorts", 'a'}, {"cohorts[]", 'O'}, {"cohorts[].file", 's'}, {"cohorts[].hash", 's'}, {"cohorts[].records", 'i'}, {"cohorts[].patients", 'i'},
    {"cohorts[].roles", 's'}, {"cohorts[].counts", 'o'}, {"cohorts[].labelled", 'o'}, {"cohorts[].columns", 'o'}, {"cohorts[].labels", 'o'},
    {"cohorts[].attrition", 'a'}, {"cohorts[].attrition[]", 'O'}, {"cohorts[].attrition[].step", 's'}, {"cohorts[].attrition[].kept", 'i'},
    {"cohorts[].attrition[].dropped", 'i'}, {"cohorts[].prevalence", 'a'}, {"cohorts[].prevalence[]", 'O'}, {"cohorts[].prevalence[].code", 's'},
    {"cohorts[].prevalence[].task", 's'}, {"cohorts[].prevalence[].title", 's'}, {"cohorts[].prevalence[].train", 'o'}, {"cohorts[].prevalence[].test", 'o'},
    {"seeds", 'a'}, {"seeds[]", 'i'}, {"units", 'a'}, {"units[]", 'O'}, {"units[].unit", 's'}, {"units[].folder", 's'},
    {"rows", 'A'}, {"rows[]", 'O'}, {"rows[].row", 'S'}, {"rows[].task", 'T'}, {"rows[].title", 's'}, {"rows[].kind", 's'}, {"rows[].needs", 'o'},
    {"rows[].status", 's'}, {"rows[].why", 's'}, {"rows[].paper", 'p'}, {"rows[].auroc", 'p'}, {"rows[].lo", 'n'}, {"rows[].hi", 'n'},
    {"rows[].interval", 's'}, {"rows[].spread", 'n'}, {"rows[].first_in_stay", 'o'}, {"rows[].half", 'o'}, {"rows[].micro", 'o'}, {"rows[].precision", 'o'},
    {"rows[].seconds", 'n'}, {"rows[].units", 'a'}, {"rows[].units[]", 'O'}, {"rows[].units[].unit", 's'}, {"rows[].units[].status", 's'},
    {"rows[].units[].why", 's'}, {"rows[].units[].folder", 's'}, {"rows[].units[].auroc", 'p'}, {"rows[].units[].lo", 'n'}, {"rows[].units[].hi", 'n'},
    {"rows[].units[].records", 'i'}, {"rows[].units[].patients", 'i'}, {"rows[].units[].labels", 'i'}, {"rows[].units[].defined", 'i'},
    {"differences", 'a'}, {"differences[]", 'O'}, {"differences[].a", 'S'}, {"differences[].b", 'S'}, {"differences[].task", 'T'}, {"differences[].what", 's'},
    {"differences[].status", 's'}, {"differences[].why", 's'}, {"differences[].difference", 'n'}, {"differences[].lo", 'n'}, {"differences[].hi", 'n'},
    {"differences[].interval", 's'}, {"differences[].spread", 'n'}, {"differences[].above", 'p'}, {"differences[].units", 'a'}, {"differences[].units[]", 'O'},
    {"differences[].units[].difference", 'n'},
    {"controls", 'a'}, {"controls[]", 'O'}, {"controls[].control", 'S'}, {"controls[].title", 's'}, {"controls[].expected", 's'}, {"controls[].status", 's'},
    {"controls[].why", 's'}, {"controls[].differences", 'a'}, {"controls[].differences[]", 'O'}, {"controls[].differences[].a", 'S'},
    {"controls[].differences[].b", 'S'}, {"controls[].differences[].difference", 'n'}, {"controls[].curves", 'a'}, {"controls[].curves[]", 's'},
    {"forgetting", 'o'}, {"forgetting.what", 's'}, {"forgetting.status", 's'}, {"forgetting.why", 's'}, {"forgetting.stages", 'a'}, {"forgetting.stages[]", 'O'},
    {"forgetting.stages[].stage", 'S'}, {"forgetting.stages[].title", 's'}, {"forgetting.stages[].r2_test", 'n'}, {"forgetting.stages[].r2_validation", 'n'},
    {"forgetting.stages[].routine", 'o'}, {"forgetting.stages[].lab", 'o'},
    {"ablations", 'a'}, {"ablations[]", 'O'}, {"ablations[].ablation", 'S'}, {"ablations[].group", 's'}, {"ablations[].title", 's'}, {"ablations[].status", 's'},
    {"ablations[].why", 's'}, {"ablations[].changes", 'a'}, {"ablations[].changes[]", 's'}, {"ablations[].auroc", 'p'}, {"ablations[].lo", 'n'},
    {"ablations[].hi", 'n'}, {"ablations[].labs_auroc", 'p'}, {"ablations[].difference", 'n'}, {"ablations[].difference_lo", 'n'},
    {"ablations[].difference_hi", 'n'}, {"ablations[].r2_test", 'n'}, {"ablations[].seconds", 'n'}, {"ablations[].seconds_ours", 'n'},
    {"curves", 'a'}, {"curves[]", 'O'}, {"curves[].unit", 's'}, {"curves[].folder", 's'}, {"curves[].title", 's'}, {"curves[].measure", 's'},
    {"curves[].epoch", 'a'}, {"curves[].epoch[]", 'n'}, {"curves[].loss", 'a'}, {"curves[].loss[]", 'n'}, {"curves[].value", 'a'}, {"curves[].value[]", 'n'},
    {"curves[].best_epoch", 'n'},
    {"stages", 'a'}, {"stages[]", 'O'}, {"stages[].stage", 's'}, {"stages[].folder", 's'}, {"stages[].status", 's'}, {"stages[].why", 's'},
    {"stages[].model_hash", 's'}, {"stages[].seconds", 'n'}, {"stages[].epochs", 'i'}, {"stages[].steps", 'i'}, {"stages[].best_epoch", 'i'},
};

enum { DEEPEST = 12 };
typedef struct { const char *key; size_t len, index; } step; /* key NULL: an index */
typedef struct {
    step at[DEEPEST]; /* the way from the root */
    int n;
    const char *text, *path;
    ecg_err *err;
} checker;

static const char *blank(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static const char *past_string(const char *s)
{
    for (s++; *s != '"'; s++)
        s += *s == '\\';
    return s + 1;
}

/* Of text that the parser has found to be JSON. */
static const char *past_value(const char *s)
{
    int depth = 0;
    do {
        if (*s == '"') {
            s = past_string(s);
        } else if (*s == '{' || *s == '[') {
            depth++, s++;
        } else if (*s == '}' || *s == ']') {
            depth--, s++;
        } else if (strchr(",: \t\r\n", *s)) {
            s++;
        } else {
            s += strcspn(s, ",:]} \t\r\n");
        }
    } while (depth > 0);
    return s;
}

/* The parser keeps no lines of values: the text is walked once more. */
static int64_t line_of(const checker *c)
{
    const char *s = blank(c->text);
    for (int i = 0; i < c->n; i++) {
        const step *want = &c->at[i];
        if (*s != '{' && *s != '[')
            break;
        const char *at = blank(s + 1);
        for (size_t k = 0; *at != '}' && *at != ']'; k++) {
            bool here = !want->key && k == want->index;
            if (want->key) {
                const char *end = past_string(at);
                here = (size_t)(end - at) == want->len + 2 && !memcmp(at + 1, want->key, want->len);
                at = blank(blank(end) + 1);
            }
            if (here)
                break;
            at = blank(past_value(at));
            at = *at == ',' ? blank(at + 1) : at;
        }
        if (*at == '}' || *at == ']')
            break; /* what must be there is not: the line of what lacks it */
        s = at;
    }
    int64_t line = 1;
    for (const char *p = c->text; p < s; p++)
        line += *p == '\n';
    return line;
}

static ecg_status refuse(const checker *c, const char *what)
{
    ecg_text where = {0};
    for (int i = 0; i < c->n; i++)
        if (c->at[i].key)
            ecg_text_printf(&where, "%s%.*s", i ? "." : "", (int)c->at[i].len, c->at[i].key);
        else
            ecg_text_printf(&where, "[%zu]", c->at[i].index);
    const ecg_status st = ecg_fail_at(c->err, ECG_EDATA, c->path, line_of(c), 0, "%s: %s expected", where.at ? where.at : "", what);
    ecg_text_clear(&where);
    return st;
}

static ecg_status check_kind(const checker *c, const json_t *x, char kind)
{
    const bool must = kind >= 'A' && kind <= 'Z';
    const double number = json_number_value(x);
    if (!x || json_is_null(x))
        return must ? refuse(c, "a value") : ECG_OK;
    switch (must ? kind + 32 : kind) {
    case 's': return json_is_string(x) ? ECG_OK : refuse(c, "text");
    case 'n': return json_is_number(x) ? ECG_OK : refuse(c, "a number");
    case 'i': return json_is_integer(x) && json_integer_value(x) >= 0 ? ECG_OK : refuse(c, "a count");
    case 'p': return json_is_number(x) && number >= 0 && number <= 1 ? ECG_OK : refuse(c, "a number from 0 to 1");
    case 'b': return json_is_boolean(x) ? ECG_OK : refuse(c, "true or false");
    case 'o': return json_is_object(x) ? ECG_OK : refuse(c, "an object");
    case 'a': return json_is_array(x) ? ECG_OK : refuse(c, "a list");
    default:
        return json_is_string(x) && (!strcmp(json_string_value(x), "diagnoses") || !strcmp(json_string_value(x), "labs")) ? ECG_OK
                                                                                                                           : refuse(c, "diagnoses or labs");
    }
}

static ecg_status check_field(checker *c, const json_t *x, const char *path, char kind)
{
    if (*path == '.')
        path++;
    if (!*path)
        return check_kind(c, x, kind);
    if (!x || json_is_null(x))
        return ECG_OK; /* optional, as its own line of the table says */
    ecg_status st = ECG_OK;
    const int depth = c->n++;
    if (*path == '[') {
        size_t i;
        json_t *member;
        json_array_foreach(x, i, member)
        {
            c->at[depth] = (step){.index = i};
            if ((st = check_field(c, member, path + 2, kind)))
                break;
        }
    } else {
        const size_t len = strcspn(path, ".[");
        c->at[depth] = (step){.key = path, .len = len};
        st = check_field(c, json_object_getn(x, path, len), path + len, kind);
    }
    c->n = depth;
    return st;
}

static ecg_status check(const json_t *root, const char *text, const char *path, ecg_err *err)
{
    checker c = {.text = text, .path = path, .err = err};
    const char *schema = ecg_study_text(root, "schema");
    if (!json_is_object(root))
        return ecg_fail_at(err, ECG_EDATA, path, 1, 0, "an object expected");
    if (strncmp(schema, "ecgraft.study/", 14))
        return ecg_fail_at(err, ECG_EDATA, path, 1, 0, "the schema is '%.40s', ecgraft.study/1 expected", schema);
    if (strcmp(schema, "ecgraft.study/1"))
        return ecg_fail_at(err, ECG_EUNSUPPORTED, path, 1, 0, "the schema is '%.40s', this version reads ecgraft.study/1", schema);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const ecg_status st = check_field(&c, root, fields[i].path, fields[i].kind);
        if (st)
            return st;
    }
    return ECG_OK;
}

static ecg_status read_results(ecg_study_view *v, ecg_err *err)
{
    char path[520];
    ecg_bytes bytes = {0};
    json_error_t where;
    ecg_status st = ecg_join(path, sizeof path, v->folder, "results.json", err);
    if (st || (st = ecg_file_read(&bytes, path, err)))
        return st;
    char *text = malloc(bytes.len + 1); /* the walk for lines wants an end */
    if (!text) {
        ecg_bytes_free(&bytes);
        return ecg_fail(err, ECG_ENOMEM, "no memory for %zu bytes", bytes.len);
    }
    if (bytes.len)
        memcpy(text, bytes.at, bytes.len);
    text[bytes.len] = 0;
    v->root = json_loadb(text, bytes.len, JSON_REJECT_DUPLICATES, &where);
    if (!v->root)
        st = ecg_fail_at(err, ECG_EDATA, path, where.line > 0 ? where.line : 1, where.column > 0 ? where.column : 0, "%.160s", where.text);
    else
        st = check(v->root, text, path, err);
    free(text);
    ecg_bytes_free(&bytes);
    return st;
}

/* ---- labels.csv --------------------------------------------------------------------------------------------------------------------- */

static char *copy_field(const ecg_csv *t, int column)
{
    const ecg_field f = ecg_csv_field(t, column);
    return strndup(f.at ? f.at : "", f.len);
}

static int by_label(const void *x, const void *y)
{
    const ecg_study_label *a = x, *b = y;
    int order = strcmp(a->task, b->task);
    order = order ? order : strcmp(a->code, b->code);
    order = order ? order : strcmp(a->row, b->row);
    return order ? order : strcmp(a->unit, b->unit);
}

static void clear_labels(ecg_study_view *v)
{
    for (int64_t i = 0; i < v->labels; i++) {
        free(v->label[i].row);
        free(v->label[i].task);
        free(v->label[i].unit);
        free(v->label[i].code);
        free(v->label[i].title);
    }
    free(v->label);
    v->label = NULL;
    v->labels = 0;
}

static ecg_status take_label(ecg_study_view *v, const ecg_csv *t, const int *c, int64_t *room, ecg_err *err)
{
    if (v->labels == *room) {
        const int64_t more = *room ? 2 * *room : 256;
        ecg_study_label *grown = realloc(v->label, (size_t)more * sizeof *grown);
        if (!grown)
            return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " labels", more);
        v->label = grown;
        *room = more;
    }
    ecg_study_label *l = &v->label[v->labels++];
    *l = (ecg_study_label){copy_field(t, c[0]), copy_field(t, c[1]), copy_field(t, c[2]), copy_field(t, c[3]), copy_field(t, c[4]), 0, 0, {NAN, NAN, NAN}, NAN};
    if (!l->row || !l->task || !l->unit || !l->code || !l->title)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a label");
    ecg_status st = ecg_csv_i64(t, c[5], &l->positives, err);
    st = st ? st : ecg_csv_i64(t, c[6], &l->negatives, err);
    st = st ? st : ecg_csv_double(t, c[7], &l->auroc.point, err);
    st = st ? st : ecg_csv_double(t, c[8], &l->auroc.lo, err);
    st = st ? st : ecg_csv_double(t, c[9], &l->auroc.hi, err);
    return st ? st : ecg_csv_double(t, c[10], &l->precision, err);
}

static ecg_status read_labels(ecg_study_view *v, ecg_err *err)
{
    static const char *const names[] = {"row", "task", "unit", "code", "title", "positives", "negatives", "auroc", "auroc_low", "auroc_high", "average_precision"};
    char path[1024];
    int column[11];
    int64_t room = 0;
    ecg_csv *t;
    ecg_err why = {0};
    if (!ecg_study_path(path, v, ".", "labels.csv"))
        return ECG_OK;
    if (!ecg_is_file(path)) {
        ecg_study_miss(v, "labels.csv", "not there");
        return ECG_OK;
    }
    ecg_status st = ecg_csv_open(&t, path, &why);
    bool more = !st;
    if (!st) {
        st = ecg_csv_need(t, column, names, 11, &why);
        while (!st && !(st = ecg_csv_next(t, &more, &why)) && more)
            st = take_label(v, t, column, &room, &why);
        ecg_csv_close(t);
    }
    if (st == ECG_ENOMEM)
        return ecg_fail(err, st, "%s", why.msg);
    if (st) { /* a damaged table costs its part of the page, not the page */
        char text[300];
        snprintf(text, sizeof text, "line %" PRId64 ": %s", why.line, why.msg);
        ecg_study_miss(v, "labels.csv", text);
        clear_labels(v);
    }
    if (v->labels)
        qsort(v->label, (size_t)v->labels, sizeof *v->label, by_label);
    return ECG_OK;
}

ecg_status ecg_study_read(ecg_study_view *out, const char *folder, ecg_err *err)
{
    *out = (ecg_study_view){.missing = json_array(), .verdict = json_array()};
    ecg_status st = ECG_OK;
    if (snprintf(out->folder, sizeof out->folder, "%s", folder) >= (int)sizeof out->folder)
        st = ecg_fail(err, ECG_EARG, "the folder's name is too long");
    else if (!out->missing || !out->verdict)
        st = ecg_fail(err, ECG_ENOMEM, "no memory for a report");
    if (!st && !(st = read_results(out, err))) {
        out->synthetic = json_is_true(json_object_get(out->root, "synthetic"));
        st = read_labels(out, err);
    }
    if (st)
        ecg_study_view_clear(out);
    return st;
}

void ecg_study_view_clear(ecg_study_view *v)
{
    clear_labels(v);
    json_decref(v->root);
    json_decref(v->verdict);
    json_decref(v->missing);
    *v = (ecg_study_view){0};
}
