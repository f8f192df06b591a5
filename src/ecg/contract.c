/* SPDX-License-Identifier: MIT
 * contract.c: the contract as a struct, as JSON and compared. The JSON comes out of files that anyone may have written: every length,
 * range, order and hash is checked. */
#include "ecg/contract.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 100000, MOST_SETS = 64, MOST_LABELS = 100000, MOST_SAMPLES = 100000000, MOST_WORDS = 1000000 };

void ecg_contract_default(ecg_contract *c)
{
    static const int order[ECG_LEADS] = {ECG_I, ECG_II, ECG_V1, ECG_V2, ECG_V3, ECG_V4, ECG_V5, ECG_V6, ECG_III, ECG_AVR, ECG_AVL, ECG_AVF};
    *c = (ecg_contract){.rate_hz = 100, .leads = ECG_LEADS, .samples = 1000, .crop = 250, .clip_mv = 3, .filter = "kaiser_best"};
    for (int l = 0; l < ECG_LEADS; l++)
        memcpy(c->lead[l], ecg_lead_names[order[l]], strlen(ecg_lead_names[order[l]]) + 1);
}

void ecg_contract_clear(ecg_contract *c)
{
    for (int s = 0; s < c->sets; s++)
        free(c->table[s].label);
    for (int i = 0; c->words && i < c->columns; i++)
        free(c->words[i]);
    free(c->words);
    free(c->table);
    free(c->column);
    memset(c, 0, sizeof *c);
}

ecg_status ecg_contract_copy(ecg_contract *to, const ecg_contract *from, ecg_err *err)
{
    *to = *from;
    to->column = NULL;
    to->words = NULL;
    to->table = NULL;
    to->sets = 0;
    if (from->columns) {
        to->column = malloc(sizeof *to->column * (size_t)from->columns);
        if (!to->column)
            goto fail;
        memcpy(to->column, from->column, sizeof *to->column * (size_t)from->columns);
    }
    if (from->words && !(to->words = calloc((size_t)from->columns + 1, sizeof *to->words)))
        goto fail;
    for (int i = 0; from->words && i < from->columns; i++)
        if (from->words[i] && !(to->words[i] = strdup(from->words[i])))
            goto fail;
    to->table = calloc((size_t)from->sets + 1, sizeof *to->table);
    if (!to->table)
        goto fail;
    for (; to->sets < from->sets; to->sets++) {
        const ecg_label_table *is = &from->table[to->sets];
        ecg_label_table *copy = &to->table[to->sets];
        *copy = *is;
        copy->label = malloc(sizeof *copy->label * (size_t)(is->n + 1));
        if (!copy->label)
            goto fail;
        if (is->n)
            memcpy(copy->label, is->label, sizeof *copy->label * (size_t)is->n);
    }
    return ECG_OK;
fail:
    ecg_contract_clear(to);
    return ecg_fail(err, ECG_ENOMEM, "out of memory for a contract");
}

const ecg_label_table *ecg_contract_table(const ecg_contract *c, const char *set)
{
    for (int s = 0; s < c->sets; s++)
        if (!strcmp(c->table[s].set, set))
            return &c->table[s];
    return NULL;
}

/* ---- label tables --------------------------------------------------------------------------------------------------------- */

static int by_code(const void *a, const void *b)
{
    return strcmp(((const ecg_label *)a)->code, ((const ecg_label *)b)->code);
}

/* Length of the UTF-8 sequence at s, 0 if it is none. */
static int utf8_length(const unsigned char *s)
{
    const int more = s[0] < 0x80 ? 0 : s[0] >= 0xc2 && s[0] < 0xe0 ? 1 : (s[0] & 0xf0) == 0xe0 ? 2 : s[0] >= 0xf0 && s[0] < 0xf5 ? 3 : -1;
    for (int i = 1; i <= more; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    const bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    const bool beyond = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || beyond ? 0 : more + 1;
}

bool ecg_is_utf8(const char *s)
{
    for (int n; *s; s += n)
        if (!(n = utf8_length((const unsigned char *)s)))
            return false;
    return true;
}

/* Titles come from tables in any encoding and may be cut in the middle of a letter; JSON wants UTF-8. */
static void make_utf8(char *s)
{
    while (*s) {
        const int n = utf8_length((const unsigned char *)s);
        if (!n)
            *s = '?';
        s += n ? n : 1;
    }
}

static void hash_field(ecg_sha256 *h, const char *s)
{
    if (!strpbrk(s, "\",\r\n")) {
        ecg_sha256_add(h, s, strlen(s));
        return;
    }
    ecg_sha256_add(h, "\"", 1);
    for (const char *quote; (quote = strchr(s, '"')); s = quote + 1) {
        ecg_sha256_add(h, s, (size_t)(quote - s) + 1);
        ecg_sha256_add(h, "\"", 1);
    }
    ecg_sha256_add(h, s, strlen(s));
    ecg_sha256_add(h, "\"", 1);
}

void ecg_label_table_hash(ecg_label_table *t)
{
    static const char header[] = "index,code,title,count\n";
    ecg_sha256 h;
    ecg_sha256_begin(&h);
    ecg_sha256_add(&h, header, sizeof header - 1);
    for (int i = 0; i < t->n; i++) {
        make_utf8(t->label[i].code);
        make_utf8(t->label[i].title);
    }
    if (t->n)
        qsort(t->label, (size_t)t->n, sizeof *t->label, by_code);
    for (int i = 0; i < t->n; i++) {
        char number[32];
        const ecg_label *l = &t->label[i];
        ecg_sha256_add(&h, number, (size_t)snprintf(number, sizeof number, "%d,", i));
        hash_field(&h, l->code);
        ecg_sha256_add(&h, ",", 1);
        hash_field(&h, l->title);
        ecg_sha256_add(&h, number, (size_t)snprintf(number, sizeof number, ",%" PRId64 "\n", l->count));
    }
    ecg_sha256_end(&h, t->hash);
}

/* ---- struct -> JSON ------------------------------------------------------------------------------------------------------- */

static json_t *words_json(const char *words)
{
    json_t *list = json_array();
    for (const char *at = words; list && *at;) {
        const size_t len = strcspn(at, "\n");
        if (json_array_append_new(list, json_stringn(at, len))) {
            json_decref(list);
            list = NULL;
        }
        at += len + (at[len] == '\n');
    }
    return list;
}

static json_t *columns_json(const ecg_contract *c)
{
    json_t *list = json_array();
    for (int i = 0; i < c->columns; i++) {
        const ecg_column *k = &c->column[i];
        json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "name", k->name, "kind", k->categorical ? "categorical" : "continuous", "unit", k->unit,
                              "group", k->group);
        const char *words = k->categorical && c->words ? c->words[i] : NULL;
        const bool whole = o && !(k->categorical && json_object_set_new(o, "vocabulary", json_integer(k->vocabulary))) &&
                           !(words && json_object_set_new(o, "words", words_json(words)));
        if (!whole)
            json_decref(o);
        if (!whole || json_array_append_new(list, o)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *table_json(const ecg_label_table *t)
{
    json_t *list = json_array();
    for (int i = 0; i < t->n; i++) {
        const ecg_label *l = &t->label[i];
        json_t *o = json_pack("{s:i, s:s, s:s, s:I}", "index", i, "code", l->code, "title", l->title, "count", (json_int_t)l->count);
        const struct { const char *key, *value; } more[] = {{"itemid", l->itemid}, {"loinc", l->loinc}, {"fluid", l->fluid}};
        for (size_t m = 0; o && m < sizeof more / sizeof *more; m++)
            if (more[m].value[0] && json_object_set_new(o, more[m].key, json_string(more[m].value))) {
                json_decref(o);
                o = NULL;
            }
        if (!o || json_array_append_new(list, o)) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:o}", "set", t->set, "hash", t->hash, "labels", list);
}

ecg_status ecg_contract_to_json(char **out, const ecg_contract *c, ecg_err *err)
{
    *out = NULL;
    json_t *leads = json_array(), *tables = json_array(), *columns = columns_json(c);
    bool made = leads && tables && columns;
    for (int l = 0; made && l < c->leads; l++)
        made = !json_array_append_new(leads, json_string(c->lead[l]));
    for (int s = 0; made && s < c->sets; s++)
        made = !json_array_append_new(tables, table_json(&c->table[s]));
    json_t *o = NULL;
    if (made)
        o = json_pack("{s:f, s:s, s:O, s:i, s:i, s:s, s:s, s:f, s:s, s:O, s:O}", "rate_hz", c->rate_hz, "unit", "mV", "leads", leads, "samples",
                      c->samples, "crop", c->crop, "crop_training", "uniform", "crop_evaluation", "disjoint", "clip_mv", c->clip_mv, "filter",
                      c->filter, "columns", columns, "tables", tables);
    json_decref(leads);
    json_decref(tables);
    json_decref(columns);
    if (o)
        *out = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(o);
    return *out ? ECG_OK : ecg_fail(err, ECG_EDATA, "the contract does not fit into JSON: a text is not UTF-8, or no memory");
}

/* ---- JSON -> struct ------------------------------------------------------------------------------------------------------- */

/* o[key] into out (size bytes); an absent key is "" where that is allowed. */
static ecg_status text(char *out, size_t size, const json_t *o, const char *key, bool may_lack, ecg_err *err)
{
    const json_t *v = json_object_get(o, key);
    out[0] = 0;
    if (!v && may_lack)
        return ECG_OK;
    const char *s = json_string_value(v);
    if (!s)
        return ecg_fail(err, ECG_EDATA, "contract: \"%s\" is not a text", key);
    if (strlen(s) >= size)
        return ecg_fail(err, ECG_EDATA, "contract: \"%s\" of %zu bytes, at most %zu are possible", key, strlen(s), size - 1);
    memcpy(out, s, strlen(s) + 1);
    return ECG_OK;
}

static ecg_status whole(int64_t *out, const json_t *o, const char *key, int64_t least, int64_t most, ecg_err *err)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < least || json_integer_value(v) > most)
        return ecg_fail(err, ECG_EDATA, "contract: \"%s\" is not a whole number from %" PRId64 " to %" PRId64, key, least, most);
    *out = json_integer_value(v);
    return ECG_OK;
}

static ecg_status number(double *out, const json_t *o, const char *key, double least, double most, ecg_err *err)
{
    const json_t *v = json_object_get(o, key);
    const double x = json_number_value(v);
    if (!json_is_number(v) || !(x >= least && x <= most))
        return ecg_fail(err, ECG_EDATA, "contract: \"%s\" is not a number from %g to %g", key, least, most);
    *out = x;
    return ECG_OK;
}

static ecg_status list(const json_t **out, size_t *n, const json_t *o, const char *key, size_t most, ecg_err *err)
{
    *out = json_object_get(o, key);
    *n = json_array_size(*out);
    if (!json_is_array(*out) || *n > most)
        return ecg_fail(err, ECG_EDATA, "contract: \"%s\" is not a list of at most %zu", key, most);
    return ECG_OK;
}

static ecg_status read_leads(ecg_contract *c, const json_t *o, ecg_err *err)
{
    const json_t *leads;
    size_t n;
    const ecg_status st = list(&leads, &n, o, "leads", ECG_LEADS, err);
    if (st)
        return st;
    if (!n)
        return ecg_fail(err, ECG_EDATA, "contract: no leads");
    for (size_t l = 0; l < n; l++) {
        const char *name = json_string_value(json_array_get(leads, l));
        bool known = false, twice = false;
        for (int i = 0; name && i < ECG_LEADS; i++)
            known = known || !strcmp(name, ecg_lead_names[i]);
        for (size_t i = 0; known && i < l; i++)
            twice = twice || !strcmp(name, c->lead[i]);
        if (!known || twice)
            return ecg_fail(err, ECG_EDATA, "contract: lead %zu is %s", l + 1, twice ? "there twice" : "none of the twelve");
        memcpy(c->lead[l], name, strlen(name) + 1);
    }
    c->leads = (int)n;
    return ECG_OK;
}

static ecg_status read_signal(ecg_contract *c, const json_t *o, ecg_err *err)
{
    char unit[8];
    int64_t samples, crop;
    ecg_status st;
    if ((st = number(&c->rate_hz, o, "rate_hz", 1, 1e5, err)) || (st = text(unit, sizeof unit, o, "unit", false, err)) ||
        (st = read_leads(c, o, err)) || (st = whole(&samples, o, "samples", 1, MOST_SAMPLES, err)) ||
        (st = whole(&crop, o, "crop", 1, samples, err)) || (st = number(&c->clip_mv, o, "clip_mv", 0, 1e6, err)) ||
        (st = text(c->filter, sizeof c->filter, o, "filter", false, err)))
        return st;
    if (strcmp(unit, "mV"))
        return ecg_fail(err, ECG_EUNSUPPORTED, "contract: unit \"%s\", this program knows mV", unit);
    if (strcmp(c->filter, "kaiser_best"))
        return ecg_fail(err, ECG_EUNSUPPORTED, "contract: filter \"%s\", this program knows kaiser_best", c->filter);
    c->samples = (int)samples;
    c->crop = (int)crop;
    return ECG_OK;
}

static int by_column_name(const void *a, const void *b)
{
    return strcmp((*(const ecg_column *const *)a)->name, (*(const ecg_column *const *)b)->name);
}

static ecg_status check_column_names(const ecg_contract *c, ecg_err *err)
{
    const ecg_column **sorted = malloc(sizeof *sorted * (size_t)(c->columns + 1));
    if (!sorted)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a contract");
    for (int i = 0; i < c->columns; i++)
        sorted[i] = &c->column[i];
    qsort(sorted, (size_t)c->columns, sizeof *sorted, by_column_name);
    ecg_status st = ECG_OK;
    for (int i = 1; i < c->columns && !st; i++)
        if (!strcmp(sorted[i]->name, sorted[i - 1]->name))
            st = ecg_fail(err, ECG_EDATA, "contract: two columns \"%s\"", sorted[i]->name);
    free(sorted);
    return st;
}

static ecg_status read_words(char **out, const ecg_column *k, const json_t *o, ecg_err *err)
{
    const json_t *words = json_object_get(o, "words");
    const size_t n = json_array_size(words);
    if (!json_is_array(words) || n != (size_t)k->vocabulary || n > ECG_WORDS)
        return ecg_fail(err, ECG_EDATA, "contract: column \"%s\": \"words\" is not a list of %d, its vocabulary", k->name, k->vocabulary);
    char text[ECG_WORDS * ECG_WORD];
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        const char *word = json_string_value(json_array_get(words, i));
        bool fit = word && *word && strlen(word) < ECG_WORD;
        for (const char *c = word; fit && *c; c++)
            fit = (unsigned char)*c >= 32;
        for (size_t before = 0; fit && before < i; before++)
            fit = strcmp(word, json_string_value(json_array_get(words, before))) != 0;
        if (!fit)
            return ecg_fail(err, ECG_EDATA, "contract: column \"%s\": word %zu is empty, too long, odd or there twice", k->name, i + 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? "\n" : "", word);
    }
    *out = strdup(text);
    return *out ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory for a contract");
}

static ecg_status read_columns(ecg_contract *c, const json_t *o, ecg_err *err)
{
    const json_t *columns;
    size_t n;
    ecg_status st = list(&columns, &n, o, "columns", MOST_COLUMNS, err);
    if (st)
        return st;
    c->column = calloc(n + 1, sizeof *c->column);
    if (!c->column)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a contract");
    for (; c->columns < (int)n; c->columns++) {
        const json_t *from = json_array_get(columns, (size_t)c->columns);
        ecg_column *k = &c->column[c->columns];
        char kind[16];
        int64_t vocabulary = 0;
        if ((st = text(k->name, sizeof k->name, from, "name", false, err)) || (st = text(kind, sizeof kind, from, "kind", false, err)) ||
            (st = text(k->unit, sizeof k->unit, from, "unit", true, err)) || (st = text(k->group, sizeof k->group, from, "group", true, err)))
            return st;
        k->categorical = !strcmp(kind, "categorical");
        if (!k->categorical && strcmp(kind, "continuous"))
            return ecg_fail(err, ECG_EDATA, "contract: column \"%s\" of kind \"%s\"", k->name, kind);
        if (k->categorical && (st = whole(&vocabulary, from, "vocabulary", 1, MOST_WORDS, err)))
            return st;
        k->vocabulary = (int)vocabulary;
        if (!k->categorical || !json_object_get(from, "words"))
            continue;
        if (!c->words && !(c->words = calloc(n + 1, sizeof *c->words)))
            return ecg_fail(err, ECG_ENOMEM, "out of memory for a contract");
        if ((st = read_words(&c->words[c->columns], k, from, err)))
            return st;
    }
    return check_column_names(c, err);
}

static ecg_status read_label(ecg_label *l, const json_t *from, int64_t index, ecg_err *err)
{
    int64_t said;
    ecg_status st;
    if ((st = whole(&said, from, "index", index, index, err)) || (st = text(l->code, sizeof l->code, from, "code", false, err)) ||
        (st = text(l->title, sizeof l->title, from, "title", false, err)) || (st = whole(&l->count, from, "count", 0, INT64_MAX, err)) ||
        (st = text(l->itemid, sizeof l->itemid, from, "itemid", true, err)) ||
        (st = text(l->loinc, sizeof l->loinc, from, "loinc", true, err)) || (st = text(l->fluid, sizeof l->fluid, from, "fluid", true, err)))
        return st;
    return ECG_OK;
}

static ecg_status read_table(ecg_label_table *t, const json_t *from, ecg_err *err)
{
    const json_t *labels;
    size_t n;
    char hash[65];
    ecg_status st;
    if ((st = text(t->set, sizeof t->set, from, "set", false, err)) || (st = text(hash, sizeof hash, from, "hash", false, err)) ||
        (st = list(&labels, &n, from, "labels", MOST_LABELS, err)))
        return st;
    t->label = calloc(n + 1, sizeof *t->label);
    if (!t->label)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for %zu labels", n);
    for (; t->n < (int)n; t->n++) {
        if ((st = read_label(&t->label[t->n], json_array_get(labels, (size_t)t->n), t->n, err)))
            return st;
        if (t->n && strcmp(t->label[t->n - 1].code, t->label[t->n].code) >= 0)
            return ecg_fail(err, ECG_EDATA, "label table \"%s\": codes do not ascend at \"%s\"", t->set, t->label[t->n].code);
    }
    ecg_label_table_hash(t);
    if (strcmp(hash, t->hash))
        return ecg_fail(err, ECG_EDATA, "label table \"%s\": hash %.12s, its rows give %.12s", t->set, hash, t->hash);
    return ECG_OK;
}

static ecg_status read_tables(ecg_contract *c, const json_t *o, ecg_err *err)
{
    const json_t *tables;
    size_t n;
    ecg_status st = list(&tables, &n, o, "tables", MOST_SETS, err);
    if (st)
        return st;
    c->table = calloc(n + 1, sizeof *c->table);
    if (!c->table)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for a contract");
    while (c->sets < (int)n) {
        ecg_label_table *t = &c->table[c->sets++];
        if ((st = read_table(t, json_array_get(tables, (size_t)c->sets - 1), err)))
            return st;
        if (ecg_contract_table(c, t->set) != t)
            return ecg_fail(err, ECG_EDATA, "contract: two label tables \"%s\"", t->set);
    }
    return ECG_OK;
}

ecg_status ecg_contract_from_json(ecg_contract *c, const char *json, ecg_err *err)
{
    memset(c, 0, sizeof *c);
    json_error_t why;
    json_t *o = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    if (!o)
        return ecg_fail(err, ECG_EDATA, "contract: %.100s", why.text);
    ecg_status st;
    if (!json_is_object(o))
        st = ecg_fail(err, ECG_EDATA, "contract: not an object");
    else if (!(st = read_signal(c, o, err)) && !(st = read_columns(c, o, err)))
        st = read_tables(c, o, err);
    json_decref(o);
    if (st)
        ecg_contract_clear(c);
    return st;
}

/* ---- comparing ------------------------------------------------------------------------------------------------------------ */

typedef struct { const char *a_is, *b_is; ecg_err *err; } sides;

static ecg_status differ(const sides *w, const char *what, double a, double b, const char *unit)
{
    return ecg_fail(w->err, ECG_ECONTRACT, "%s: %.9g%s in %s, %.9g%s in %s", what, a, unit, w->a_is, b, unit, w->b_is);
}

static ecg_status differ_text(const sides *w, const char *what, const char *a, const char *b)
{
    return ecg_fail(w->err, ECG_ECONTRACT, "%s: \"%.64s\" in %s, \"%.64s\" in %s", what, a, w->a_is, b, w->b_is);
}

static ecg_status compare_signal(const ecg_contract *a, const ecg_contract *b, const sides *w)
{
    if (a->rate_hz != b->rate_hz)
        return differ(w, "rate", a->rate_hz, b->rate_hz, " Hz");
    if (a->leads != b->leads)
        return differ(w, "leads", a->leads, b->leads, "");
    for (int l = 0; l < a->leads; l++)
        if (strcmp(a->lead[l], b->lead[l])) {
            char what[24];
            snprintf(what, sizeof what, "lead %d", l + 1);
            return differ_text(w, what, a->lead[l], b->lead[l]);
        }
    if (a->samples != b->samples)
        return differ(w, "samples a record", a->samples, b->samples, "");
    if (a->crop != b->crop)
        return differ(w, "samples a crop", a->crop, b->crop, "");
    if (a->clip_mv != b->clip_mv)
        return differ(w, "clipping", a->clip_mv, b->clip_mv, " mV");
    return strcmp(a->filter, b->filter) ? differ_text(w, "filter", a->filter, b->filter) : ECG_OK;
}

/* "F/M/other", cut. */
static void words_text(char out[ECG_WORD], const ecg_contract *c, int column)
{
    snprintf(out, ECG_WORD, "%s", c->words && c->words[column] ? c->words[column] : "");
    for (char *at = out; (at = strchr(at, '\n'));)
        *at = '/';
}

static bool same_words(const ecg_contract *a, const ecg_contract *b, int column)
{
    const char *x = a->words ? a->words[column] : NULL, *y = b->words ? b->words[column] : NULL;
    return !x || !y ? x == y : !strcmp(x, y);
}

static ecg_status compare_columns(const ecg_contract *a, const ecg_contract *b, const sides *w)
{
    if (a->columns != b->columns)
        return differ(w, "tabular columns", a->columns, b->columns, "");
    for (int i = 0; i < a->columns; i++) {
        const ecg_column *x = &a->column[i], *y = &b->column[i];
        char what[96];
        if (strcmp(x->name, y->name)) {
            snprintf(what, sizeof what, "column %d", i + 1);
            return differ_text(w, what, x->name, y->name);
        }
        snprintf(what, sizeof what, "column %s", x->name);
        if (x->categorical != y->categorical)
            return differ_text(w, what, x->categorical ? "categorical" : "continuous", y->categorical ? "categorical" : "continuous");
        if (x->vocabulary != y->vocabulary)
            return differ(w, what, x->vocabulary, y->vocabulary, " values");
        if (!same_words(a, b, i)) {
            char of_a[ECG_WORD], of_b[ECG_WORD];
            words_text(of_a, a, i);
            words_text(of_b, b, i);
            return differ_text(w, what, of_a, of_b);
        }
        if (strcmp(x->unit, y->unit))
            return differ_text(w, what, x->unit, y->unit);
        if (strcmp(x->group, y->group))
            return differ_text(w, what, x->group, y->group);
    }
    return ECG_OK;
}

static ecg_status compare_tables(const ecg_contract *a, const ecg_contract *b, const sides *w)
{
    for (int s = 0; s < a->sets; s++) {
        const ecg_label_table *x = &a->table[s], *y = ecg_contract_table(b, x->set);
        char what[64];
        snprintf(what, sizeof what, "label table \"%s\"", x->set);
        if (!y)
            return ecg_fail(w->err, ECG_ECONTRACT, "%s: in %s, not in %s", what, w->a_is, w->b_is);
        if (x->n != y->n)
            return differ(w, what, x->n, y->n, " labels");
        for (int i = 0; i < x->n; i++)
            if (strcmp(x->label[i].code, y->label[i].code))
                return differ_text(w, what, x->label[i].code, y->label[i].code);
        if (strcmp(x->hash, y->hash))
            return differ_text(w, what, x->hash, y->hash);
    }
    return ECG_OK;
}

ecg_status ecg_contract_fits(const ecg_contract *a, const char *a_is, const ecg_contract *b, const char *b_is, unsigned parts, ecg_err *err)
{
    const sides w = {a_is, b_is, err};
    ecg_status st = ECG_OK;
    if (parts & ECG_CONTRACT_SIGNAL)
        st = compare_signal(a, b, &w);
    if (!st && parts & ECG_CONTRACT_COLUMNS)
        st = compare_columns(a, b, &w);
    if (!st && parts & ECG_CONTRACT_TABLES)
        st = compare_tables(a, b, &w);
    return st;
}
