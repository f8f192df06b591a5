/* SPDX-License-Identifier: MIT */
#include "cohort/describe.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const role_names[ECG_ROLES] = {"train", "validation", "test"};
enum { TOP = 25 };

/* ---- counting ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    int64_t id;
    int fold;
} member;

static int by_id(const void *x, const void *y)
{
    const member *a = x, *b = y;
    return a->id != b->id ? (a->id < b->id ? -1 : 1) : a->fold - b->fold;
}

static int role_of(const ecg_roles *r, int fold)
{
    for (int i = 0; i < ECG_ROLES; i++)
        if (r->folds[i] >> fold & 1u)
            return i;
    return -1;
}

/* Distinct patients, per fold and per role, and those in more than one fold. An unknown id is a patient of its own. */
static void count_patients(ecg_cohort_summary *s, const ecg_cohort *c, member *m)
{
    for (int64_t i = 0; i < c->n; i++)
        m[i] = (member){c->patient[i], c->fold[i]};
    qsort(m, (size_t)c->n, sizeof *m, by_id);
    for (int64_t i = 0; i < c->n;) {
        int64_t end = i + 1;
        while (m[i].id >= 0 && end < c->n && m[end].id == m[i].id)
            end++;
        unsigned roles = 0;
        for (int64_t k = i; k < end; k++) {
            const int role = role_of(&c->roles, m[k].fold);
            if (role >= 0 && !(roles >> role & 1u))
                s->role_patients[role]++;
            if (role >= 0)
                roles |= 1u << role;
            if (k == i || m[k].fold != m[k - 1].fold)
                s->fold_patients[m[k].fold]++;
        }
        s->patients++;
        s->patients_in_two_folds += m[i].fold != m[end - 1].fold;
        i = end;
    }
}

static void count_stays(ecg_cohort_summary *s, const ecg_cohort *c, member *m)
{
    for (int64_t i = 0; i < c->n; i++)
        m[i] = (member){c->stay[i], 0};
    qsort(m, (size_t)c->n, sizeof *m, by_id);
    for (int64_t i = 0; i < c->n; i++)
        s->stays += m[i].id < 0 || !i || m[i].id != m[i - 1].id;
}

/* The first of the names that is a column with as many categories (0: a number), -1: none. */
static int find_column(const ecg_contract *k, const char *const *names, int n, int categories)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < k->columns; j++)
            if (ecg_same_word(k->column[j].name, names[i]) && (k->column[j].categorical ? k->column[j].vocabulary : 0) == categories)
                return j;
    return -1;
}

static void count_ages(ecg_cohort_summary *s, const ecg_cohort *c)
{
    static const char *const age[] = {"demographics_age", "age"}, *const sex[] = {"demographics_gender", "gender", "sex"};
    const ecg_contract *k = &c->contract;
    s->age_column = find_column(k, age, 2, 0);
    s->sex_column = find_column(k, sex, 3, 2);
    for (int64_t i = 0; i < c->n && s->age_column >= 0; i++) {
        const float *row = c->tabular + i * k->columns, years = row[s->age_column];
        const int which = s->sex_column < 0 || isnan(row[s->sex_column]) ? 2 : (int)row[s->sex_column];
        if (years >= 0)
            s->age[which][years >= 10 * (ECG_AGE_BINS - 1) ? ECG_AGE_BINS - 1 : (int)(years / 10)]++;
        else
            s->age_unknown++;
    }
}

/* What the recordings are like; columns of `quality` as formats.md lists them. */
static void count_quality(ecg_cohort_summary *s, const ecg_cohort *c)
{
    if (!c->signal)
        return;
    s->shortest = (float)c->contract.samples;
    for (int64_t i = 0; i < c->n; i++) {
        const float *q = c->quality + i * c->quality_columns;
        s->short_records += q[0] < (float)c->contract.samples;
        s->shortest = q[0] < s->shortest ? q[0] : s->shortest;
        const unsigned bits = c->quality_columns > 1 && q[1] >= 0 && q[1] < (1 << ECG_WARNINGS) ? (unsigned)q[1] : 0;
        for (int b = 0; b < ECG_WARNINGS; b++)
            s->warned[b] += bits >> b & 1u;
    }
}

ecg_status ecg_cohort_summarise(ecg_cohort_summary *out, const ecg_cohort *c, ecg_err *err)
{
    ecg_cohort_summary s = {.records = c->n};
    const ecg_contract *k = &c->contract;
    member *m = malloc((size_t)c->n * sizeof *m);
    s.missing = calloc((size_t)k->columns + 1, sizeof *s.missing);
    s.role_missing = calloc(((size_t)k->columns + 1) * ECG_ROLES, sizeof *s.role_missing);
    bool room = m && s.missing && s.role_missing;
    for (int t = 0; t < k->sets && room; t++) {
        s.positive[t] = calloc((size_t)k->table[t].n * ECG_ROLES, sizeof **s.positive);
        s.known[t] = calloc((size_t)k->table[t].n * ECG_ROLES, sizeof **s.known);
        room = s.positive[t] && s.known[t];
    }
    if (!room) {
        free(m);
        ecg_cohort_summary_clear(&s);
        return ecg_fail(err, ECG_ENOMEM, "no memory to describe %" PRId64 " records", c->n);
    }
    count_patients(&s, c, m);
    count_stays(&s, c, m);
    free(m);
    count_quality(&s, c);
    count_ages(&s, c);
    for (int64_t i = 0; i < c->n; i++) {
        const int role = ecg_cohort_role(c, &c->roles, i);
        s.fold_records[c->fold[i]]++;
        s.no_role += role < 0;
        s.first_in_stay += c->first_in_stay[i];
        for (int j = 0; j < k->columns; j++) {
            const int none = isnan(c->tabular[i * k->columns + j]) != 0;
            s.missing[j] += none;
            if (role >= 0)
                s.role_missing[j * ECG_ROLES + role] += none;
        }
        if (role < 0)
            continue;
        s.role_records[role]++;
        for (int t = 0; t < k->sets; t++)
            for (int l = 0; l < k->table[t].n; l++) {
                const int8_t y = c->label[t][i * k->table[t].n + l];
                s.positive[t][l * ECG_ROLES + role] += y == 1;
                s.known[t][l * ECG_ROLES + role] += y >= 0;
            }
    }
    *out = s;
    return ECG_OK;
}

void ecg_cohort_summary_clear(ecg_cohort_summary *s)
{
    free(s->missing);
    free(s->role_missing);
    for (int t = 0; t < 16; t++) {
        free(s->positive[t]);
        free(s->known[t]);
    }
    *s = (ecg_cohort_summary){0};
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------------------- */

static json_t *json_or_text(const char *text)
{
    json_t *j = text ? json_loads(text, 0, NULL) : NULL;
    return j ? j : text ? json_string(text) : json_null();
}

static json_t *roles_json(const ecg_cohort *c, const ecg_cohort_summary *s)
{
    json_t *roles = json_object();
    for (int r = 0; r < ECG_ROLES; r++) {
        json_t *folds = json_array();
        for (int f = 0; f < 32; f++)
            if (c->roles.folds[r] >> f & 1u)
                json_array_append_new(folds, json_integer(f));
        json_object_set_new(roles, role_names[r],
                            json_pack("{s:o, s:I, s:I}", "folds", folds, "records", (json_int_t)s->role_records[r], "patients", (json_int_t)s->role_patients[r]));
    }
    return roles;
}

static json_t *folds_json(const ecg_cohort_summary *s)
{
    json_t *folds = json_array();
    for (int f = 0; f < 32; f++)
        if (s->fold_records[f])
            json_array_append_new(folds, json_pack("{s:i, s:I, s:I}", "fold", f, "records", (json_int_t)s->fold_records[f], "patients",
                                                   (json_int_t)s->fold_patients[f]));
    return folds;
}

static json_t *sets_json(const ecg_cohort *c, const ecg_cohort_summary *s)
{
    json_t *sets = json_array();
    for (int t = 0; t < c->contract.sets; t++) {
        const ecg_label_table *table = &c->contract.table[t];
        json_t *labels = json_array();
        for (int l = 0; l < table->n; l++) {
            const ecg_label *label = &table->label[l];
            json_t *one = json_pack("{s:s, s:s, s:I}", "code", label->code, "title", label->title, "count", (json_int_t)label->count);
            if (label->itemid[0] || label->fluid[0]) {
                json_object_set_new(one, "itemid", json_string(label->itemid));
                json_object_set_new(one, "loinc", json_string(label->loinc));
                json_object_set_new(one, "fluid", json_string(label->fluid));
            }
            for (int r = 0; r < ECG_ROLES; r++)
                json_object_set_new(one, role_names[r],
                                    json_pack("{s:I, s:I}", "positive", (json_int_t)s->positive[t][l * ECG_ROLES + r], "known",
                                              (json_int_t)s->known[t][l * ECG_ROLES + r]));
            json_array_append_new(labels, one);
        }
        json_array_append_new(sets, json_pack("{s:s, s:s, s:i, s:o}", "set", table->set, "hash", table->hash, "n", table->n, "labels", labels));
    }
    return sets;
}

static json_t *columns_json(const ecg_cohort *c, const ecg_cohort_summary *s)
{
    json_t *columns = json_array();
    for (int j = 0; j < c->contract.columns; j++) {
        const ecg_column *column = &c->contract.column[j];
        json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:I}", "name", column->name, "kind", column->categorical ? "categorical" : "continuous", "unit",
                                column->unit, "group", column->group, "missing", (json_int_t)s->missing[j]);
        if (column->categorical)
            json_object_set_new(one, "vocabulary", json_integer(column->vocabulary));
        for (int r = 0; r < ECG_ROLES; r++)
            json_object_set_new(one, role_names[r], json_pack("{s:I}", "missing", (json_int_t)s->role_missing[j * ECG_ROLES + r]));
        json_array_append_new(columns, one);
    }
    return columns;
}

void ecg_cohort_sex_name(char out[ECG_WORD], const ecg_cohort *c, const ecg_cohort_summary *s, int sex)
{
    static const char *const ours[] = {"female", "male"};
    const int j = s->sex_column;
    const char *words = j >= 0 && c->contract.words ? c->contract.words[j] : NULL;
    if (j < 0 || sex == ECG_AGE_SEXES - 1) {
        snprintf(out, ECG_WORD, j < 0 ? "all" : "not known");
    } else if (words) {
        for (int i = 0; i < sex && strchr(words, '\n'); i++)
            words = strchr(words, '\n') + 1;
        snprintf(out, ECG_WORD, "%.*s", (int)strcspn(words, "\n"), words);
    } else if (!strcmp(c->contract.column[j].name, "demographics_gender")) {
        snprintf(out, ECG_WORD, "%s", ours[sex]);
    } else {
        snprintf(out, ECG_WORD, "category %d", sex);
    }
}

/* Records per decade of age and sex. */
static json_t *ages_json(const ecg_cohort *c, const ecg_cohort_summary *s)
{
    if (s->age_column < 0)
        return json_null();
    json_t *sexes = json_array(), *bins = json_array();
    const int first = s->sex_column < 0 ? ECG_AGE_SEXES - 1 : 0;
    char name[ECG_WORD];
    for (int x = first; x < ECG_AGE_SEXES; x++) {
        ecg_cohort_sex_name(name, c, s, x);
        json_array_append_new(sexes, json_string(name));
    }
    for (int b = 0; b < ECG_AGE_BINS; b++) {
        json_t *records = json_array();
        for (int x = first; x < ECG_AGE_SEXES; x++)
            json_array_append_new(records, json_integer((json_int_t)s->age[x][b]));
        json_array_append_new(bins, json_pack("{s:i, s:o}", "from", 10 * b, "records", records));
    }
    return json_pack("{s:s, s:o, s:o, s:I}", "column", c->contract.column[s->age_column].name, "sexes", sexes, "decades", bins, "unknown",
                     (json_int_t)s->age_unknown);
}

static json_t *quality_json(const ecg_cohort *c, const ecg_cohort_summary *s)
{
    if (!c->signal)
        return json_null();
    json_t *warnings = json_array();
    for (int b = 0; b < ECG_WARNINGS; b++)
        if (s->warned[b])
            json_array_append_new(warnings, json_pack("{s:s, s:I}", "warning", ecg_warning_text(1u << b), "records", (json_int_t)s->warned[b]));
    return json_pack("{s:I, s:f, s:o}", "short_records", (json_int_t)s->short_records, "shortest", (double)s->shortest, "warnings", warnings);
}

ecg_status ecg_cohort_summary_json(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "schema", "ecgraft.cohort/1", "statement", ECG_STATEMENT, "path",
                             c->path, "hash", c->hash, "synthetic", (int)c->synthetic, "records", (json_int_t)s->records, "patients", (json_int_t)s->patients,
                             "stays", (json_int_t)s->stays, "first_in_stay", (json_int_t)s->first_in_stay, "short_records", (json_int_t)s->short_records,
                             "records_without_role", (json_int_t)s->no_role, "patients_in_two_folds", (json_int_t)s->patients_in_two_folds);
    char *text = NULL;
    if (root) {
        if (c->synthetic)
            json_object_set_new(root, "note", json_string("synthetic cohort"));
        json_object_set_new(root, "signal",
                            json_pack("{s:f, s:i, s:i}", "rate_hz", c->contract.rate_hz, "samples", c->contract.samples, "leads", c->contract.leads));
        json_object_set_new(root, "waveforms", json_boolean(c->signal != NULL));
        json_object_set_new(root, "quality", quality_json(c, s));
        json_object_set_new(root, "ages", ages_json(c, s));
        json_object_set_new(root, "roles", roles_json(c, s));
        json_object_set_new(root, "folds", folds_json(s));
        json_object_set_new(root, "attrition", json_or_text(c->attrition));
        json_object_set_new(root, "sets", sets_json(c, s));
        json_object_set_new(root, "columns", columns_json(c, s));
        json_object_set_new(root, "sources", json_or_text(ecg_tensors_meta(c->file, "sources")));
        json_object_set_new(root, "command", json_or_text(ecg_tensors_meta(c->file, "command")));
        json_object_set_new(root, "version", json_or_text(ecg_tensors_meta(c->file, "version")));
        text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
        json_decref(root);
    }
    if (text) {
        ecg_text_puts(out, text);
        ecg_text_puts(out, "\n");
    }
    const bool done = text && !out->failed;
    free(text);
    return done ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the description, or odd bytes in a name");
}

/* ---- text ---------------------------------------------------------------------------------------------------------------------- */

static void attrition_text(ecg_text *out, const char *attrition)
{
    json_t *list = json_loads(attrition, 0, NULL), *step;
    size_t i;
    if (json_array_size(list)) {
        ecg_text_printf(out, "\nAttrition%52s %10s\n", "kept", "dropped");
        json_array_foreach(list, i, step)
        {
            const char *name = json_string_value(json_object_get(step, "step"));
            ecg_text_printf(out, "  %-48.48s %10" PRId64 " %10" PRId64 "\n", name ? name : "?", (int64_t)json_integer_value(json_object_get(step, "kept")),
                            (int64_t)json_integer_value(json_object_get(step, "dropped")));
        }
    }
    json_decref(list);
}

static void share(ecg_text *out, int64_t part, int64_t of)
{
    if (of)
        ecg_text_printf(out, " %9" PRId64 " %5.1f%%", part, 100 * (double)part / (double)of);
    else
        ecg_text_printf(out, " %9s %6s", "-", "");
}

void ecg_cohort_label_order(int *order, const ecg_label_table *table)
{
    for (int l = 0; l < table->n; l++) {
        int at = l;
        for (; at > 0 && table->label[order[at - 1]].count < table->label[l].count; at--)
            order[at] = order[at - 1];
        order[at] = l;
    }
}

static ecg_status set_text(ecg_text *out, const ecg_label_table *table, const int64_t *positive, const int64_t *known, bool all, ecg_err *err)
{
    int *order = malloc(((size_t)table->n + 1) * sizeof *order);
    if (!order)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", table->n);
    ecg_cohort_label_order(order, table);
    ecg_text_printf(out, "\nSet %s: %d labels (positive, share of the known)\n  %-38s %16s %16s %16s\n", table->set, table->n, "", "train", "validation", "test");
    const int shown = all || table->n <= TOP ? table->n : TOP;
    for (int i = 0; i < shown; i++) {
        const int l = order[i];
        ecg_text_printf(out, "  %-38.38s", table->label[l].code);
        for (int r = 0; r < ECG_ROLES; r++)
            share(out, positive[l * ECG_ROLES + r], known[l * ECG_ROLES + r]);
        ecg_text_printf(out, "  %.60s\n", table->label[l].title);
    }
    if (shown < table->n)
        ecg_text_printf(out, "  and %d more (--all shows them)\n", table->n - shown);
    free(order);
    return ECG_OK;
}

/* "train 12.3%, validation 11.8%, test -" */
static void role_shares(ecg_text *out, const ecg_cohort_summary *s, const double missing[ECG_ROLES], int columns)
{
    for (int r = 0; r < ECG_ROLES; r++)
        if (s->role_records[r])
            ecg_text_printf(out, "%s%s %.1f%%", r ? ", " : "", role_names[r], 100 * missing[r] / (double)s->role_records[r] / columns);
        else
            ecg_text_printf(out, "%s%s -", r ? ", " : "", role_names[r]);
}

static void missing_text(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, bool all)
{
    static const char *const groups[] = {"routine", "lab"};
    const ecg_contract *k = &c->contract;
    if (!k->columns)
        return;
    ecg_text_printf(out, "\nTabular columns: %d\n", k->columns);
    for (int g = 0; g < 2; g++) {
        int columns = 0, empty = 0;
        double missing = 0, of_role[ECG_ROLES] = {0};
        for (int j = 0; j < k->columns; j++)
            if (!strcmp(k->column[j].group, groups[g])) {
                columns++;
                empty += s->missing[j] == c->n;
                missing += (double)s->missing[j] / (double)c->n;
                for (int r = 0; r < ECG_ROLES; r++)
                    of_role[r] += (double)s->role_missing[j * ECG_ROLES + r];
            }
        if (!columns)
            continue;
        ecg_text_printf(out, "  %-10s %4d columns, %5.1f%% missing (", groups[g], columns, 100 * missing / columns);
        role_shares(out, s, of_role, columns);
        ecg_text_printf(out, "), %d without any value\n", empty);
    }
    for (int j = 0; j < k->columns; j++)
        if (all || k->columns <= 10) {
            const int64_t *role = s->role_missing + j * ECG_ROLES;
            const double of_role[ECG_ROLES] = {(double)role[0], (double)role[1], (double)role[2]};
            ecg_text_printf(out, "  %-48s %-12s %5.1f%% missing (", k->column[j].name, k->column[j].categorical ? "categorical" : "continuous",
                            100 * (double)s->missing[j] / (double)c->n);
            role_shares(out, s, of_role, 1);
            ecg_text_puts(out, ")\n");
        }
}

ecg_status ecg_cohort_summary_text(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, bool all, ecg_err *err)
{
    ecg_text_printf(out, "%s%s\n", c->path, c->synthetic ? "   (synthetic cohort)" : "");
    ecg_text_printf(out, "%" PRId64 " records of %" PRId64 " patients, %" PRId64 " stays; ", s->records, s->patients, s->stays);
    if (c->signal)
        ecg_text_printf(out, "%d samples of %d leads at %g Hz", c->contract.samples, c->contract.leads, c->contract.rate_hz);
    else
        ecg_text_puts(out, "tables alone, without recordings");
    ecg_text_printf(out, "; hash %.16s\n", c->hash);
    if (s->patients_in_two_folds)
        ecg_text_printf(out, "WARNING: %" PRId64 " patients are in more than one fold\n", s->patients_in_two_folds);
    else
        ecg_text_puts(out, "no patient is in two folds\n");
    ecg_text_printf(out, "\nRole%16s %10s %10s\n", "folds", "records", "patients");
    char roles[256];
    for (int r = 0; r < ECG_ROLES; r++) {
        ecg_roles one = {{0}};
        one.folds[r] = c->roles.folds[r];
        ecg_roles_text(roles, sizeof roles, &one);
        const char *folds = strchr(roles, ':');
        ecg_text_printf(out, "  %-10s %7s %10" PRId64 " %10" PRId64 "\n", role_names[r], folds ? folds + 1 : "-", s->role_records[r], s->role_patients[r]);
    }
    if (s->no_role)
        ecg_text_printf(out, "  %-10s %7s %10" PRId64 "\n", "no role", "", s->no_role);
    attrition_text(out, c->attrition);
    ecg_status st = ECG_OK;
    for (int t = 0; t < c->contract.sets && !st; t++)
        st = set_text(out, &c->contract.table[t], s->positive[t], s->known[t], all, err);
    missing_text(out, c, s, all);
    ecg_text_printf(out, "\n%s%s\n", c->synthetic ? "synthetic cohort. " : "", ECG_STATEMENT);
    if (!st && out->failed)
        st = ecg_fail(err, ECG_ENOMEM, "no memory for the description");
    return st;
}
