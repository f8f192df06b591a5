/* SPDX-License-Identifier: MIT
 * cohort_page.c: first the page, section by section in the order a reader asks (who is in, how they are split, who they are, what they
 * have, what is missing, where it came from), then the same numbers as tables. */
#include "report/cohort_page.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "report/html.h"

enum { TOP = 25 };

static const char *const role_names[ECG_ROLES] = {"train", "validation", "test"};

/* The list in a metadata text; NULL where it is none. */
static json_t *list_of(const char *text)
{
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    if (json_is_array(list))
        return list;
    json_decref(list);
    return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "?";
}

static int64_t number_of(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

/* "0-17", "-" for a role without folds. */
static void folds_of(char out[256], uint32_t folds)
{
    ecg_roles one = {{folds}};
    char text[256];
    ecg_roles_text(text, sizeof text, &one);
    const char *colon = strchr(text, ':');
    snprintf(out, 256, "%s", colon ? colon + 1 : "-");
}

/* Folds with records that no role claims. */
static uint32_t idle_folds(const ecg_cohort *c, const ecg_cohort_summary *s)
{
    uint32_t idle = 0;
    for (unsigned f = 0; f < 32; f++)
        if (s->fold_records[f] && !((c->roles.folds[0] | c->roles.folds[1] | c->roles.folds[2]) >> f & 1u))
            idle |= 1u << f;
    return idle;
}

/* ---- sections ------------------------------------------------------------------------------------------------------------------- */

static void put_figure(ecg_text *to, const char *what, int64_t n, const char *more)
{
    ecg_text_puts(to, "<div><dt>");
    ecg_html_text(to, what);
    ecg_text_puts(to, "</dt><dd>");
    ecg_html_count(to, n);
    ecg_text_puts(to, "<small>");
    ecg_html_text(to, more);
    ecg_text_puts(to, "</small></dd></div>\n");
}

static void put_head(ecg_text *to, const ecg_cohort *c, const ecg_cohort_summary *s)
{
    const ecg_contract *k = &c->contract;
    char more[96];
    ecg_text first = {0};
    int labels = 0;
    for (int t = 0; t < k->sets; t++)
        labels += k->table[t].n;
    if (c->signal)
        snprintf(more, sizeof more, "%d samples of %d leads, %g Hz", k->samples, k->leads, k->rate_hz);
    else
        snprintf(more, sizeof more, "tables alone, no recordings");
    ecg_text_puts(to, "<dl class=\"figures\">\n");
    put_figure(to, "Records", s->records, more);
    put_figure(to, "Patients", s->patients, s->patients_in_two_folds ? "some in more than one fold" : "each in one fold");
    ecg_text_puts(&first, "first records of a stay: ");
    ecg_html_count(&first, s->first_in_stay);
    put_figure(to, "Stays", s->stays, first.at ? first.at : "");
    ecg_text_clear(&first);
    snprintf(more, sizeof more, "in %d set%s", k->sets, k->sets == 1 ? "" : "s");
    put_figure(to, "Labels", labels, more);
    put_figure(to, "Tabular columns", k->columns, "raw values");
    ecg_text_puts(to, "</dl>\n<p class=\"small\">Hash <span class=\"hash\">");
    ecg_html_text(to, c->hash);
    ecg_text_puts(to, "</span></p>\n");
    if (s->patients_in_two_folds) {
        ecg_text_puts(to, "<p class=\"note\"><strong>Leak.</strong> ");
        ecg_html_count(to, s->patients_in_two_folds);
        ecg_text_puts(to, " patients are in more than one fold.</p>\n");
    }
}

static void put_attrition(ecg_text *to, const ecg_cohort *c)
{
    static const char *const heads[] = {"Rule", "#kept", "#dropped", "kept and dropped"};
    json_t *list = list_of(c->attrition), *rule;
    size_t i;
    if (json_array_size(list)) {
        const json_t *first = json_array_get(list, 0);
        const double all = (double)number_of(first, "kept") + (double)number_of(first, "dropped");
        ecg_html_section(to, "Who is in");
        ecg_html_table(to, "Records left after each rule, in the order in which the rules were applied", heads, 4);
        json_array_foreach(list, i, rule)
        {
            const int64_t kept = number_of(rule, "kept"), dropped = number_of(rule, "dropped");
            ecg_html_row(to, text_of(rule, "step"));
            ecg_html_cell_count(to, kept);
            ecg_html_cell_count(to, dropped);
            ecg_html_cell_bar(to, all > 0 ? (double)kept / all : 0, all > 0 ? (double)dropped / all : 0);
            ecg_text_puts(to, "</tr>\n");
        }
        ecg_html_table_end(to);
        ecg_text_puts(to, "</section>\n");
    }
    json_decref(list);
}

static void put_roles(ecg_text *to, const ecg_cohort *c, const ecg_cohort_summary *s)
{
    static const char *const heads[] = {"Role", "Folds", "#records", "#patients", "share of the records"};
    static const char *const series[ECG_HTML_SERIES] = {"train", "validation", "test", "no role"};
    char folds[256];
    ecg_html_pillar fold[32];
    int n = 0;
    ecg_html_section(to, "Folds and roles");
    ecg_html_table(to, "Roles are data: which folds are for training, for choosing and for the final figures", heads, 5);
    for (int r = 0; r < ECG_ROLES; r++) {
        folds_of(folds, c->roles.folds[r]);
        ecg_html_row(to, role_names[r]);
        ecg_html_cell(to, folds);
        ecg_html_cell_share(to, s->role_records[r], s->records);
        ecg_html_cell_count(to, s->role_patients[r]);
        ecg_html_cell_bar(to, (double)s->role_records[r] / (double)s->records, 0);
        ecg_text_puts(to, "</tr>\n");
    }
    if (s->no_role) {
        folds_of(folds, idle_folds(c, s));
        ecg_html_row(to, "no role");
        ecg_html_cell(to, folds);
        ecg_html_cell_share(to, s->no_role, s->records);
        ecg_html_cell(to, "");
        ecg_html_cell_bar(to, 0, (double)s->no_role / (double)s->records);
        ecg_text_puts(to, "</tr>\n");
    }
    ecg_html_table_end(to);
    for (unsigned f = 0; f < 32; f++) {
        if (!s->fold_records[f])
            continue;
        fold[n] = (ecg_html_pillar){0};
        snprintf(fold[n].label, sizeof fold[n].label, "%u", f);
        int role = 0;
        while (role < ECG_ROLES && !(c->roles.folds[role] >> f & 1u))
            role++;
        fold[n++].part[role] = s->fold_records[f];
    }
    ecg_html_pillars(to, "Records of each fold", "Fold", fold, n, series, s->no_role ? 4 : 3);
    ecg_text_puts(to, "</section>\n");
}

static void put_ages(ecg_text *to, const ecg_cohort *c, const ecg_cohort_summary *s)
{
    if (s->age_column < 0)
        return;
    char name[ECG_AGE_SEXES][ECG_WORD];
    const char *series[ECG_HTML_SERIES];
    ecg_html_pillar decade[ECG_AGE_BINS];
    int64_t sexless = 0;
    int count = 0, from = ECG_AGE_BINS, to_bin = -1;
    for (int b = 0; b < ECG_AGE_BINS; b++)
        sexless += s->age[2][b];
    const int first = s->sex_column < 0 ? 2 : 0, last = sexless ? 2 : 1;
    for (int x = first; x <= last; x++) {
        ecg_cohort_sex_name(name[x], c, s, x);
        series[count++] = name[x];
    }
    for (int b = 0; b < ECG_AGE_BINS; b++) {
        decade[b] = (ecg_html_pillar){0};
        if (b == ECG_AGE_BINS - 1)
            snprintf(decade[b].label, sizeof decade[b].label, "%d+", 10 * b);
        else
            snprintf(decade[b].label, sizeof decade[b].label, "%d-%d", 10 * b, 10 * b + 9);
        for (int x = first; x <= last; x++)
            decade[b].part[x - first] = s->age[x][b];
        if (decade[b].part[0] + decade[b].part[1] + decade[b].part[2]) {
            from = b < from ? b : from;
            to_bin = b;
        }
    }
    ecg_html_section(to, "Age and sex");
    if (s->age_unknown) {
        ecg_text_puts(to, "<p class=\"small\">Age not known: ");
        ecg_html_count(to, s->age_unknown);
        ecg_text_puts(to, " records.</p>\n");
    }
    ecg_html_pillars(to, "Records by age in years", "Age", decade + (to_bin < 0 ? 0 : from), to_bin < 0 ? 0 : to_bin - from + 1, series, count);
    ecg_text_puts(to, "</section>\n");
}

static void put_label(ecg_text *to, const ecg_label *label, const int64_t *positive, const int64_t *known, double full)
{
    ecg_text_puts(to, "<tr><th scope=\"row\"><b>");
    ecg_html_code(to, label->code);
    ecg_text_puts(to, "</b>");
    if (label->title[0]) {
        ecg_text_puts(to, " <span class=\"muted\">");
        ecg_html_text(to, label->title);
        ecg_text_puts(to, "</span>");
    }
    ecg_text_puts(to, "</th>");
    for (int r = 0; r < ECG_ROLES; r++)
        ecg_html_cell_share(to, positive[r], known[r]);
    ecg_html_cell_bar(to, known[0] ? (double)positive[0] / (double)known[0] / full : 0, 0);
    ecg_text_puts(to, "</tr>\n");
}

static void put_set(ecg_text *to, const ecg_label_table *table, const int64_t *positive, const int64_t *known, const int *order)
{
    static const char *const heads[] = {"Label", "#train", "#validation", "#test", "share in training"};
    double full = 0; /* the widest bar */
    for (int l = 0; l < table->n; l++) {
        const double share = known[l * ECG_ROLES] ? (double)positive[l * ECG_ROLES] / (double)known[l * ECG_ROLES] : 0;
        full = share > full ? share : full;
    }
    full = full > 0 ? full : 1;
    char caption[160];
    const int top = table->n < TOP ? table->n : TOP;
    ecg_text_puts(to, "<h3>");
    ecg_html_text(to, table->set);
    ecg_text_puts(to, ": ");
    ecg_html_count(to, table->n);
    ecg_text_puts(to, table->n == 1 ? " label</h3>\n" : " labels</h3>\n");
    snprintf(caption, sizeof caption, "Positives, and their share of the records where the label is known. Most frequent first; the whole bar is %.1f%%", 100 * full);
    ecg_html_table(to, caption, heads, 5);
    for (int i = 0; i < table->n; i++) {
        if (i == top) {
            ecg_html_table_end(to);
            ecg_text_printf(to, "<details><summary>The other %d</summary>\n", table->n - top);
            ecg_html_table(to, "The rest of the set", heads, 5);
        }
        const int l = order[i];
        put_label(to, &table->label[l], positive + l * ECG_ROLES, known + l * ECG_ROLES, full);
    }
    ecg_html_table_end(to);
    if (top < table->n)
        ecg_text_puts(to, "</details>\n");
    ecg_text_puts(to, "<p class=\"small muted\">Hash of the label table <span class=\"hash\">");
    ecg_html_text(to, table->hash);
    ecg_text_puts(to, "</span></p>\n");
}

static ecg_status put_sets(ecg_text *to, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    if (!c->contract.sets)
        return ECG_OK;
    ecg_html_section(to, "Labels");
    for (int t = 0; t < c->contract.sets; t++) {
        const ecg_label_table *table = &c->contract.table[t];
        int *order = malloc(((size_t)table->n + 1) * sizeof *order);
        if (!order)
            return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", table->n);
        ecg_cohort_label_order(order, table);
        put_set(to, table, s->positive[t], s->known[t], order);
        free(order);
    }
    ecg_text_puts(to, "</section>\n");
    return ECG_OK;
}

/* ---- missing values ---------------------------------------------------------------------------------------------------------------- */

/* Columns that stand together: a group, or the statistics of one quantity. */
typedef struct {
    char name[64];
    int columns, empty;
    int64_t missing, role[ECG_ROLES];
    int at; /* the first column */
} family;

/* The name without its statistic (docs/cohort.md, section 2): labvalues_potassium_mean -> labvalues_potassium. */
static void stem_of(char out[64], const char *name)
{
    static const char *const statistics[] = {"_mean", "_median", "_min", "_max", "_std", "_first", "_last", "_rate_change", "_coeff"};
    snprintf(out, 64, "%s", name);
    const size_t len = strlen(out);
    for (size_t i = 0; i < sizeof statistics / sizeof *statistics; i++) {
        const size_t tail = strlen(statistics[i]);
        if (len > tail && !strcmp(out + len - tail, statistics[i])) {
            out[len - tail] = 0;
            return;
        }
    }
}

static void add_column(family *f, int *n, const char *name, const ecg_cohort_summary *s, int j, int from)
{
    int at = from;
    while (at < *n && strcmp(f[at].name, name))
        at++;
    if (at == *n) {
        f[*n] = (family){.at = j};
        snprintf(f[(*n)++].name, sizeof f->name, "%s", name);
    }
    f[at].columns++;
    f[at].empty += s->missing[j] == s->records;
    f[at].missing += s->missing[j];
    for (int r = 0; r < ECG_ROLES; r++)
        f[at].role[r] += s->role_missing[j * ECG_ROLES + r];
}

static int by_missing(const void *x, const void *y)
{
    const family *a = x, *b = y;
    const double p = (double)a->missing / a->columns, q = (double)b->missing / b->columns;
    return p > q ? -1 : p < q ? 1 : a->at - b->at;
}

static void put_family(ecg_text *to, const ecg_cohort_summary *s, const family *f)
{
    ecg_html_row(to, f->name);
    ecg_html_cell_count(to, f->columns);
    ecg_html_cell_count(to, f->empty);
    for (int r = 0; r < ECG_ROLES; r++) {
        ecg_text_puts(to, "<td class=\"n\">");
        ecg_html_percent(to, f->role[r], s->role_records[r] * f->columns);
        ecg_text_puts(to, "</td>");
    }
    ecg_html_cell_bar(to, 0, (double)f->missing / (double)(s->records * f->columns));
    ecg_text_puts(to, "</tr>\n");
}

static ecg_status put_missing(ecg_text *to, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    static const char *const group_heads[] = {"Group", "#columns", "#without any value", "#train", "#validation", "#test", "missing"};
    static const char *const heads[] = {"Columns", "#columns", "#without any value", "#train", "#validation", "#test", "missing"};
    const ecg_contract *k = &c->contract;
    if (!k->columns)
        return ECG_OK;
    family *f = calloc((size_t)k->columns, sizeof *f);
    if (!f)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d columns", k->columns);
    int groups = 0, n = 0;
    char stem[64];
    for (int j = 0; j < k->columns; j++)
        add_column(f, &groups, k->column[j].group[0] ? k->column[j].group : "no group", s, j, 0);
    ecg_html_section(to, "Missing values");
    ecg_html_table(to, "Share of missing values by group of columns; imputing is a model's business", group_heads, 7);
    for (int g = 0; g < groups; g++)
        put_family(to, s, &f[g]);
    ecg_html_table_end(to);
    memset(f, 0, (size_t)k->columns * sizeof *f);
    for (int j = 0; j < k->columns; j++) {
        stem_of(stem, k->column[j].name);
        add_column(f, &n, stem, s, j, n ? n - 1 : 0); /* statistics of a quantity follow one another */
    }
    qsort(f, (size_t)n, sizeof *f, by_missing);
    const int top = n < TOP ? n : TOP;
    ecg_html_table(to, "Most often missing first; the statistics of a quantity in one row", heads, 7);
    for (int i = 0; i < n; i++) {
        if (i == top) {
            ecg_html_table_end(to);
            ecg_text_printf(to, "<details><summary>The other %d</summary>\n", n - top);
            ecg_html_table(to, "The rest of the columns", heads, 7);
        }
        put_family(to, s, &f[i]);
    }
    ecg_html_table_end(to);
    ecg_text_puts(to, top < n ? "</details>\n</section>\n" : "</section>\n");
    free(f);
    return ECG_OK;
}

/* ---- recordings and sources ---------------------------------------------------------------------------------------------------------- */

static void put_quality(ecg_text *to, const ecg_cohort *c, const ecg_cohort_summary *s)
{
    static const char *const heads[] = {"Noticed while reading", "#records", "share"};
    ecg_html_section(to, "Recordings");
    if (!c->signal) {
        ecg_text_puts(to, "<p>Tables alone: this cohort was built without recordings.</p>\n</section>\n");
        return;
    }
    ecg_text_puts(to, "<p>");
    ecg_html_count(to, s->records - s->short_records);
    ecg_text_printf(to, " records hold all %d samples (%g s), ", c->contract.samples, c->contract.samples / c->contract.rate_hz);
    ecg_html_count(to, s->short_records);
    ecg_text_printf(to, " are shorter and padded; the shortest has %g.</p>\n", (double)s->shortest);
    ecg_html_table(to, "What was noticed and lived with", heads, 3);
    int kinds = 0;
    for (int b = 0; b < ECG_WARNINGS; b++) {
        if (!s->warned[b])
            continue;
        kinds++;
        ecg_html_row(to, ecg_warning_text(1u << b));
        ecg_html_cell_share(to, s->warned[b], s->records);
        ecg_html_cell_bar(to, 0, (double)s->warned[b] / (double)s->records);
        ecg_text_puts(to, "</tr>\n");
    }
    if (!kinds)
        ecg_text_puts(to, "<tr><th scope=\"row\">nothing</th><td class=\"n\">0</td><td></td></tr>\n");
    ecg_html_table_end(to);
    ecg_text_puts(to, "</section>\n");
}

static void put_origin(ecg_text *to, const ecg_cohort *c)
{
    static const char *const heads[] = {"File", "#bytes", "SHA-256"};
    const char *command = ecg_tensors_meta(c->file, "command"), *version = ecg_tensors_meta(c->file, "version"), *data = ecg_tensors_meta(c->file, "data_sha256");
    json_t *list = list_of(ecg_tensors_meta(c->file, "sources")), *file;
    size_t i;
    ecg_html_section(to, "Where it came from");
    if (command && *command) {
        ecg_text_puts(to, "<pre><code>");
        ecg_html_text(to, command);
        ecg_text_puts(to, "</code></pre>\n");
    }
    ecg_text_puts(to, "<p class=\"small\">Built by ecgraft ");
    ecg_html_text(to, version ? version : "?");
    ecg_text_puts(to, "; the data's own hash <span class=\"hash\">");
    ecg_html_text(to, data ? data : "?");
    ecg_text_puts(to, "</span></p>\n");
    if (json_array_size(list)) {
        ecg_html_table(to, "Tables that were read", heads, 3);
        json_array_foreach(list, i, file)
        {
            ecg_html_row(to, text_of(file, "name"));
            ecg_html_cell_count(to, number_of(file, "bytes"));
            ecg_text_puts(to, "<td class=\"hash\">");
            ecg_html_text(to, text_of(file, "sha256"));
            ecg_text_puts(to, "</td></tr>\n");
        }
        ecg_html_table_end(to);
    }
    json_decref(list);
    ecg_text_puts(to, "</section>\n");
}

ecg_status ecg_cohort_page(ecg_text *out, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    const char *slash = strrchr(c->path, '/');
    ecg_html_begin(out, "Cohort", slash ? slash + 1 : c->path, c->synthetic);
    put_head(out, c, s);
    put_attrition(out, c);
    put_roles(out, c, s);
    put_ages(out, c, s);
    ecg_status st = put_sets(out, c, s, err);
    if (!st)
        st = put_missing(out, c, s, err);
    put_quality(out, c, s);
    put_origin(out, c);
    ecg_html_end(out);
    return !st && out->failed ? ecg_fail(err, ECG_ENOMEM, "no memory for the page") : st;
}

/* ---- tables ------------------------------------------------------------------------------------------------------------------------ */

static ecg_status begin_table(ecg_csvw **out, const char *folder, const char *name, const char *header, ecg_err *err)
{
    char path[512];
    ecg_status st = ecg_join(path, sizeof path, folder, name, err);
    if (!st)
        st = ecg_csvw_create(out, path, err);
    if (!st)
        ecg_csvw_raw(*out, header, strlen(header));
    return st;
}

/* part and its share of the whole, empty where there is no whole */
static void share(ecg_csvw *t, int64_t part, int64_t of)
{
    if (of)
        ecg_csvw_double(t, (double)part / (double)of, NULL);
    else
        ecg_csvw_text(t, NULL);
    ecg_csvw_end(t);
}

static ecg_status attrition_table(const char *folder, const ecg_cohort *c, ecg_err *err)
{
    ecg_csvw *t;
    const ecg_status st = begin_table(&t, folder, "attrition.csv", "step,kept,dropped\n", err);
    if (st)
        return st;
    json_t *list = list_of(c->attrition), *rule;
    size_t i;
    json_array_foreach(list, i, rule)
    {
        ecg_csvw_text(t, text_of(rule, "step"));
        ecg_csvw_int(t, number_of(rule, "kept"));
        ecg_csvw_int(t, number_of(rule, "dropped"));
        ecg_csvw_end(t);
    }
    json_decref(list);
    return ecg_csvw_commit(t, err);
}

static ecg_status roles_table(const char *folder, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    ecg_csvw *t;
    char folds[256];
    const ecg_status st = begin_table(&t, folder, "roles.csv", "role,folds,records,patients\n", err);
    if (st)
        return st;
    for (int r = 0; r < ECG_ROLES; r++) {
        folds_of(folds, c->roles.folds[r]);
        ecg_csvw_text(t, role_names[r]);
        ecg_csvw_text(t, c->roles.folds[r] ? folds : NULL);
        ecg_csvw_int(t, s->role_records[r]);
        ecg_csvw_int(t, s->role_patients[r]);
        ecg_csvw_end(t);
    }
    if (s->no_role) {
        folds_of(folds, idle_folds(c, s));
        ecg_csvw_text(t, "none");
        ecg_csvw_text(t, folds);
        ecg_csvw_int(t, s->no_role);
        ecg_csvw_text(t, NULL);
        ecg_csvw_end(t);
    }
    return ecg_csvw_commit(t, err);
}

static ecg_status prevalence_table(const char *folder, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    ecg_csvw *t;
    const ecg_status st = begin_table(&t, folder, "prevalence.csv", "set,code,title,role,known,positive,share\n", err);
    if (st)
        return st;
    for (int set = 0; set < c->contract.sets; set++)
        for (int i = 0; i < c->contract.table[set].n * ECG_ROLES; i++) {
            const ecg_label *label = &c->contract.table[set].label[i / ECG_ROLES];
            ecg_csvw_text(t, c->contract.table[set].set);
            ecg_csvw_text(t, label->code);
            ecg_csvw_text(t, label->title);
            ecg_csvw_text(t, role_names[i % ECG_ROLES]);
            ecg_csvw_int(t, s->known[set][i]);
            ecg_csvw_int(t, s->positive[set][i]);
            share(t, s->positive[set][i], s->known[set][i]);
        }
    return ecg_csvw_commit(t, err);
}

static ecg_status missing_table(const char *folder, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    ecg_csvw *t;
    const ecg_status st = begin_table(&t, folder, "missing.csv", "column,group,unit,role,missing,share\n", err);
    if (st)
        return st;
    for (int i = 0; i < c->contract.columns * ECG_ROLES; i++) {
        const ecg_column *column = &c->contract.column[i / ECG_ROLES];
        ecg_csvw_text(t, column->name);
        ecg_csvw_text(t, column->group);
        ecg_csvw_text(t, column->unit);
        ecg_csvw_text(t, role_names[i % ECG_ROLES]);
        ecg_csvw_int(t, s->role_missing[i]);
        share(t, s->role_missing[i], s->role_records[i % ECG_ROLES]);
    }
    return ecg_csvw_commit(t, err);
}

ecg_status ecg_cohort_page_tables(const char *folder, const ecg_cohort *c, const ecg_cohort_summary *s, ecg_err *err)
{
    ecg_status st = ecg_make_folders(folder, err);
    if (!st)
        st = attrition_table(folder, c, err);
    if (!st)
        st = roles_table(folder, c, s, err);
    if (!st)
        st = prevalence_table(folder, c, s, err);
    return st ? st : missing_table(folder, c, s, err);
}
