/* SPDX-License-Identifier: MIT
 * folder.c: a folder of recordings and the one table that describes them (folder_table.c) to a cohort; the rules are those of docs/own_data.md.
 *
 *   ids      whole numbers as they are, anything else numbered by first appearance; OUTPUT.ids.csv says which number is which text
 *   folds    the table's, or the published generator (split.c) over patients with the labels, age and sex there are
 *   masks    with --masks a column NAME_nan, 1 where NAME is missing, for each input column with a gap in the table
 *   labels   kept with --min-count positives (1) among the recordings that could be read */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cohort/attach.h"
#include "cohort/folder_table.h"
#include "cohort/split.h"

enum { FOLDS = 20, SETS = 16 };

typedef struct {
    ecg_folder_table table;
    ecg_contract contract;
    ecg_roles roles;
    int64_t *kept;       /* (n) rows of the table that are in the cohort, in its order */
    int64_t n;
    int *masked;         /* (masks) input columns with a gap */
    int masks;
    float *tabular;      /* (n, inputs + masks) */
    int8_t *label[SETS]; /* (n, labels of the set) */
} work;

static void work_clear(work *w)
{
    ecg_folder_table_clear(&w->table);
    ecg_contract_clear(&w->contract);
    free(w->kept);
    free(w->masked);
    free(w->tabular);
    for (int s = 0; s < SETS; s++)
        free(w->label[s]);
}

/* What `ecgraft synth` writes says so in truth/manifest.json; the folder may lie some way below it. */
static bool is_synthetic(const char *folder)
{
    static const char *const above[] = {"", "/..", "/../..", "/../../.."};
    bool synthetic = false;
    for (size_t i = 0; i < sizeof above / sizeof *above && !synthetic; i++) {
        char path[640];
        snprintf(path, sizeof path, "%.511s%s/truth/manifest.json", folder, above[i]);
        json_t *manifest = json_load_file(path, 0, NULL);
        synthetic = json_is_true(json_object_get(manifest, "synthetic"));
        json_decref(manifest);
    }
    return synthetic;
}

/* ---- what the table says -------------------------------------------------------------------------------------------------------- */

static ecg_status read_table(work *w, const ecg_build_options *o, ecg_err *err)
{
    ecg_csv *t;
    ecg_status st = ecg_csv_open(&t, o->from.table, err);
    if (st)
        return st;
    st = ecg_folder_table_read(&w->table, t, o->from.table, &o->table, err);
    ecg_csv_close(t);
    return st;
}

/* Recordings of a row count as one patient each where the table has no patients. */
static int64_t patient_of(const ecg_folder_table *f, const ecg_folder_row *row)
{
    return f->patient < 0 ? ecg_folder_number(&f->ids, row->id) : ecg_folder_number(&f->patients, row->patient);
}

static ecg_status choose_roles(work *w, const char *asked, ecg_err *err)
{
    const ecg_folder_table *f = &w->table;
    if (asked || f->fold < 0 || f->fold_words)
        return ecg_roles_parse(&w->roles, asked ? asked : f->fold < 0 ? "train:0-17,validation:18,test:19" : "train:0,validation:1,test:2", err);
    uint32_t folds = 0;
    for (int64_t i = 0; i < f->n; i++)
        folds |= 1u << f->row[i].fold;
    int highest[2] = {-1, -1};
    for (int at = 31; at >= 0 && highest[1] < 0; at--)
        if (folds >> at & 1u)
            highest[highest[0] >= 0] = at;
    const uint32_t test = 1u << highest[0], validation = highest[1] < 0 ? 0 : 1u << highest[1], train = folds & ~test & ~validation;
    if (!train)
        return ecg_fail_at(err, ECG_EDATA, f->path, 0, 0, "%s: training, validation and test need a fold each, or --roles says what is there",
                           validation ? "two folds" : "one fold");
    w->roles = (ecg_roles){.folds = {[ECG_TRAIN] = train, [ECG_VALIDATION] = validation, [ECG_TEST] = test}};
    return ECG_OK;
}

/* The input columns with a gap, unless their mask has no name of its own. */
static ecg_status find_masks(work *w, ecg_err *err)
{
    const ecg_folder_table *f = &w->table;
    w->masked = malloc(((size_t)f->inputs + 1) * sizeof *w->masked);
    if (!w->masked)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d masks", f->inputs);
    for (int k = 0; k < f->inputs; k++) {
        const char *name = f->input[k].is.name;
        int64_t i = 0;
        while (i < f->n && !isnan(f->value[i * f->inputs + k]))
            i++;
        if (i == f->n)
            continue;
        const size_t len = strlen(name);
        if (len + sizeof "_nan" > sizeof f->input[k].is.name)
            return ecg_fail_at(err, ECG_EDATA, f->path, 1, f->input[k].column + 1, "--masks: %s_nan is longer than %zu bytes", name, sizeof f->input[k].is.name - 1);
        for (int other = 0; other < f->inputs; other++)
            if (!strncmp(f->input[other].is.name, name, len) && !strcmp(f->input[other].is.name + len, "_nan"))
                return ecg_fail_at(err, ECG_EDATA, f->path, 1, f->input[other].column + 1, "--masks: input column \"%s\" stands for the gaps of %s",
                                   f->input[other].is.name, name);
        w->masked[w->masks++] = k;
    }
    return ECG_OK;
}

static ecg_status describe_columns(work *w, ecg_err *err)
{
    const ecg_folder_table *f = &w->table;
    ecg_contract *c = &w->contract;
    ecg_contract_default(c);
    c->column = calloc((size_t)(f->inputs + w->masks) + 1, sizeof *c->column);
    c->words = calloc((size_t)(f->inputs + w->masks) + 1, sizeof *c->words);
    c->table = calloc(SETS, sizeof *c->table);
    if (!c->column || !c->words || !c->table)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a contract");
    for (; c->columns < f->inputs; c->columns++) {
        const ecg_folder_input *in = &f->input[c->columns];
        c->column[c->columns] = in->is;
        if (!in->is.categorical)
            continue;
        ecg_text words = {0};
        for (int k = 0; k < in->words.n; k++)
            ecg_text_printf(&words, "%s%s", k ? "\n" : "", in->words.at[k]);
        if (words.failed) {
            ecg_text_clear(&words);
            return ecg_fail(err, ECG_ENOMEM, "no memory for the words of %s", in->is.name);
        }
        c->words[c->columns] = words.at;
    }
    for (int m = 0; m < w->masks; m++) {
        ecg_column *mask = &c->column[c->columns++];
        *mask = f->input[w->masked[m]].is;
        mask->categorical = false;
        mask->vocabulary = 0;
        mask->unit[0] = 0;
        memcpy(mask->name + strlen(mask->name), "_nan", sizeof "_nan");
    }
    return ECG_OK;
}

static void say_table(const work *w, const ecg_watch *watch)
{
    const ecg_folder_table *f = &w->table;
    ecg_say(watch, "%s: %" PRId64 " rows, %d input columns, %d label columns", f->path, f->n, f->inputs, f->labels);
    if (f->patient < 0)
        ecg_say(watch, "no column patient: every recording counts as a patient of its own, one in two folds would not be noticed");
    if (!f->inputs)
        ecg_say(watch, "no input column (tabular.NAME or --tabular): nothing to pre-train with");
    if (!f->labels)
        ecg_say(watch, "no label column (label.CODE or --label-columns): nothing to fine-tune for");
    for (int k = 0; k < f->inputs; k++)
        if (!f->input[k].first)
            ecg_say(watch, "input column %s is empty", f->input[k].is.name);
}

/* ---- folds and stays ------------------------------------------------------------------------------------------------------------- */

static int find_input(const ecg_folder_table *f, const char *const *names, size_t n)
{
    for (int k = 0; k < f->inputs; k++)
        for (size_t i = 0; i < n; i++)
            if (ecg_same_word(f->input[k].is.name, names[i]))
                return k;
    return -1;
}

/* A recording for the generator: its labels, its age, and one of two sexes, whichever is called what. */
static ecg_split_row split_row(const ecg_folder_table *f, int64_t i, int64_t patient, int age, int sex, int *code)
{
    ecg_split_row r = {.patient = patient, .age = NAN, .code = code};
    if (age >= 0 && !f->input[age].is.categorical)
        r.age = f->value[i * f->inputs + age];
    const float value = sex >= 0 ? f->value[i * f->inputs + sex] : NAN;
    r.gender = value == 0 ? 'F' : value == 1 ? 'M' : 0;
    for (int l = 0; l < f->labels; l++)
        if (f->known[i * f->labels + l] == 1)
            code[r.codes++] = l;
    return r;
}

static ecg_status assign_folds(ecg_cohort_row *row, const work *w, uint32_t seed, ecg_err *err)
{
    static const char *const ages[] = {"age", "demographics_age"}, *const sexes[] = {"sex", "gender", "demographics_gender"};
    const ecg_folder_table *f = &w->table;
    const int age = find_input(f, ages, 2), sex = find_input(f, sexes, 3);
    ecg_split_row *split = malloc((size_t)w->n * sizeof *split);
    int *code = malloc(((size_t)w->n * (size_t)f->labels + 1) * sizeof *code);
    uint8_t *fold = malloc((size_t)w->n);
    char (*both)[112] = malloc(((size_t)f->labels + 1) * sizeof *both);
    const char **name = malloc(((size_t)f->labels + 1) * sizeof *name);
    ecg_status st = split && code && fold && both && name ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory to split %" PRId64 " recordings", w->n);
    if (!st) {
        for (int l = 0; l < f->labels; l++) {
            snprintf(both[l], sizeof both[l], "%s.%s", f->label[l].set, f->label[l].code);
            name[l] = both[l];
        }
        for (int64_t i = 0; i < w->n; i++)
            split[i] = split_row(f, w->kept[i], row[i].patient, age, sex, code + i * f->labels);
        st = ecg_split_rows(fold, split, w->n, name, f->labels, ecg_split_min_count(w->n), FOLDS, seed, err);
    }
    for (int64_t i = 0; i < w->n && !st; i++)
        row[i].fold = fold[i];
    free(split);
    free(code);
    free(fold);
    free(both);
    free(name);
    return st;
}

/* The earliest recording of each stay, the first row of equally early ones; one without a stay stands for itself. */
static ecg_status mark_first(ecg_cohort_row *row, int64_t n, ecg_err *err)
{
    ecg_ids number = {0};
    int64_t *first = malloc(((size_t)n + 1) * sizeof *first);
    ecg_status st = first ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the stays of %" PRId64 " recordings", n);
    for (int64_t i = 0; i < n && !st; i++) {
        row[i].first_in_stay = row[i].stay < 0;
        if (row[i].stay < 0)
            continue;
        const int32_t known = ecg_ids_get(&number, row[i].stay);
        if (known < 0) {
            first[number.n] = i;
            st = ecg_ids_put(&number, row[i].stay, (int32_t)number.n, err);
        } else if (row[i].ecg_time >= 0 && (row[first[known]].ecg_time < 0 || row[i].ecg_time < row[first[known]].ecg_time)) {
            first[known] = i;
        }
    }
    for (int64_t k = 0; k < number.n && !st; k++)
        row[first[k]].first_in_stay = 1;
    ecg_ids_clear(&number);
    free(first);
    return st;
}

/* ---- labels ---------------------------------------------------------------------------------------------------------------------- */

static int64_t count(const work *w, int label, int value)
{
    int64_t n = 0;
    for (int64_t i = 0; i < w->n; i++)
        n += w->table.known[w->kept[i] * w->table.labels + label] == value;
    return n;
}

/* The labels of a set with enough positives into table; what is left out or has one class is said. */
static void keep_labels(ecg_label_table *table, const work *w, const char *set, int64_t min_count, const ecg_watch *watch)
{
    const ecg_folder_table *f = &w->table;
    for (int l = 0; l < f->labels; l++) {
        if (strcmp(f->label[l].set, set))
            continue;
        const int64_t positives = count(w, l, 1);
        if (positives < min_count) {
            ecg_say(watch, "label %s of set %s has %" PRId64 " positives, fewer than %" PRId64 ": left out", f->label[l].code, set, positives, min_count);
            continue;
        }
        snprintf(table->label[table->n++].code, sizeof table->label[0].code, "%s", f->label[l].code);
        if (!count(w, l, 0))
            ecg_say(watch, "label %s of set %s has one class only: %" PRId64 " positives, no negative", f->label[l].code, set, positives);
    }
}

/* One set: its labels in ascending order, and what the rows say of them. A set without a label does not come to be. */
static ecg_status label_set(work *w, const char *set, int64_t min_count, const ecg_watch *watch, ecg_err *err)
{
    const ecg_folder_table *f = &w->table;
    ecg_label_table table = {.label = calloc((size_t)f->labels + 1, sizeof *table.label)};
    if (!table.label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d labels", f->labels);
    snprintf(table.set, sizeof table.set, "%s", set);
    keep_labels(&table, w, set, min_count, watch);
    int8_t *out = malloc((size_t)w->n * (size_t)table.n + 1);
    if (!out || !table.n) {
        free(table.label);
        free(out);
        return out ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d labels", w->n, table.n);
    }
    ecg_label_table_hash(&table); /* sorts */
    for (int l = 0; l < f->labels; l++)
        for (int k = 0; k < table.n; k++)
            if (!strcmp(f->label[l].set, set) && !strcmp(table.label[k].code, f->label[l].code))
                for (int64_t i = 0; i < w->n; i++)
                    out[i * table.n + k] = f->known[w->kept[i] * f->labels + l];
    ecg_labels_count(&table, out, w->n);
    w->label[w->contract.sets] = out;
    w->contract.table[w->contract.sets++] = table;
    return ECG_OK;
}

static ecg_status label_all(work *w, int64_t min_count, const ecg_watch *watch, ecg_err *err)
{
    const ecg_folder_table *f = &w->table;
    ecg_status st = ECG_OK;
    for (int l = 0; l < f->labels && !st; l++) {
        bool done = false;
        for (int before = 0; before < l; before++)
            done |= !strcmp(f->label[before].set, f->label[l].set);
        if (!done)
            st = label_set(w, f->label[l].set, min_count, watch, err);
    }
    if (!st && f->labels && !w->contract.sets)
        st = ecg_fail_at(err, ECG_EDATA, f->path, 0, 0, "no label has %" PRId64 " positives among the recordings that could be read", min_count);
    return st;
}

/* ---- writing --------------------------------------------------------------------------------------------------------------------- */

/* Ids that are texts and the numbers they have in the cohort, of every row of the table. Nothing but numbers: no file. */
static ecg_status write_ids(const work *w, const char *output, const ecg_watch *watch, ecg_err *err)
{
    const ecg_folder_table *f = &w->table;
    const struct { const char *number, *text; const ecg_folder_ids *ids; } of[] = {
        {"study_id", "id", &f->ids}, {"patient_id", "patient", &f->patients}, {"stay_id", "stay", &f->stays},
    };
    char path[600];
    ecg_csvw *list;
    snprintf(path, sizeof path, "%.511s.ids.csv", output);
    if (!f->ids.text && !f->patients.text && !f->stays.text) {
        unlink(path);
        return ECG_OK;
    }
    ecg_status st = ecg_csvw_create(&list, path, err);
    if (st)
        return st;
    for (int k = 0; k < 3; k++)
        if (!k || of[k].ids->text) {
            ecg_csvw_text(list, of[k].number);
            ecg_csvw_text(list, of[k].text);
        }
    ecg_csvw_end(list);
    for (int64_t i = 0; i < f->n; i++) {
        const int word[] = {f->row[i].id, f->row[i].patient, f->row[i].stay};
        for (int k = 0; k < 3; k++)
            if (!k || of[k].ids->text) {
                if (word[k] < 0)
                    ecg_csvw_text(list, "");
                else
                    ecg_csvw_int(list, ecg_folder_number(of[k].ids, word[k]));
                ecg_csvw_text(list, word[k] < 0 ? "" : of[k].ids->words.at[word[k]]);
            }
        ecg_csvw_end(list);
    }
    if (!(st = ecg_csvw_commit(list, err)))
        ecg_say(watch, "ids are texts and were numbered: %s", path);
    return st;
}

static int64_t count_patients(const ecg_cohort_row *row, int64_t n)
{
    ecg_ids seen = {0};
    for (int64_t i = 0; i < n && !ecg_ids_put(&seen, row[i].patient, 0, NULL); i++)
        ;
    const int64_t patients = seen.n;
    ecg_ids_clear(&seen);
    return patients;
}

static void say_roles(const work *w, const ecg_cohort_row *row, const ecg_watch *watch)
{
    static const char *const names[ECG_ROLES] = {"training", "validation", "test"};
    for (int r = 0; r < ECG_ROLES; r++) {
        int64_t n = 0;
        for (int64_t i = 0; i < w->n; i++)
            n += w->roles.folds[r] >> row[i].fold & 1u;
        if (!n)
            ecg_say(watch, "no recording is for %s", names[r]);
    }
}

/* Everything but the signals, which are in b; b is gone afterwards. */
static ecg_status finish(ecg_cohort_builder *b, work *w, ecg_build_result *out, const ecg_build_options *o, const ecg_watch *watch, ecg_err *err)
{
    const ecg_folder_table *f = &w->table;
    const size_t inputs = (size_t)f->inputs, width = inputs + (size_t)w->masks;
    const char *slash = strrchr(f->path, '/');
    ecg_cohort_row *row = ecg_cohort_rows(b);
    ecg_text attrition = {0}, sources = {0};
    w->tabular = malloc(((size_t)w->n * width + 1) * sizeof *w->tabular);
    ecg_status st = w->tabular ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " records", w->n);
    for (int64_t i = 0; i < w->n && !st; i++) {
        const float *from = f->value + (size_t)w->kept[i] * inputs;
        float *to = w->tabular + (size_t)i * width;
        memcpy(to, from, inputs * sizeof *to);
        for (int m = 0; m < w->masks; m++)
            to[inputs + (size_t)m] = isnan(from[w->masked[m]]) ? 1.0f : 0.0f;
    }
    if (!st && f->fold < 0)
        st = assign_folds(row, w, o->seed, err);
    if (!st)
        st = mark_first(row, w->n, err);
    if (!st)
        st = label_all(w, o->min_count ? o->min_count : 1, watch, err);
    if (!st)
        st = ecg_sources_add(&sources, f->path, slash ? slash + 1 : f->path, err);
    ecg_attrition_add(&attrition, "rows of the table", f->n, 0);
    ecg_attrition_add(&attrition, "recording is in the folder", f->n - out->absent, out->absent);
    ecg_attrition_add(&attrition, "recording is readable and long enough", w->n, out->broken);
    const char *steps = ecg_attrition_end(&attrition), *files = ecg_sources_end(&sources);
    if (!st && (!steps || !files))
        st = ecg_fail(err, ECG_ENOMEM, "no memory for the attrition table");
    if (!st) {
        out->patients = count_patients(row, w->n);
        say_roles(w, row, watch);
        st = write_ids(w, o->output, watch, err);
    }
    if (!st)
        st = ecg_cohort_commit(b, &w->contract, w->tabular, (const int8_t *const *)w->label, &w->roles, out->synthetic, steps, files, o->command, err);
    else
        ecg_cohort_abort(b);
    ecg_text_clear(&attrition);
    ecg_text_clear(&sources);
    return st;
}

static ecg_status build(work *w, ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    const ecg_folder_table *f = &w->table;
    ecg_cohort_builder *b = NULL;
    ecg_status st;
    if (!ecg_is_folder(o->from.folder))
        return ecg_fail_at(err, ECG_EIO, o->from.folder, 0, 0, "no such folder");
    if ((st = read_table(w, o, err)))
        return st;
    say_table(w, watch);
    if ((st = choose_roles(w, o->roles, err)) || (o->masks && (st = find_masks(w, err))) || (st = describe_columns(w, err)))
        return st;
    ecg_recording *rec = calloc((size_t)f->n, sizeof *rec);
    uint8_t *fate = calloc((size_t)f->n, 1);
    w->kept = malloc((size_t)f->n * sizeof *w->kept);
    st = rec && fate && w->kept ? ecg_cohort_create(&b, o->output, &w->contract, !o->no_waveforms, err)
                                : ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", f->n);
    for (int64_t i = 0; i < f->n && !st; i++) {
        const ecg_folder_row *row = &f->row[i];
        rec[i].path = row->path;
        rec[i].row = (ecg_cohort_row){.patient = patient_of(f, row), .study = ecg_folder_number(&f->ids, row->id), .stay = ecg_folder_number(&f->stays, row->stay),
                                      .ecg_time = row->time, .fold = row->fold < 0 ? 0 : (uint8_t)row->fold};
    }
    if (!st && (st = ecg_attach(b, fate, out, &w->contract, o->from.folder, rec, f->n, o, pool, watch, err)))
        ecg_cohort_abort(b);
    for (int64_t i = 0; i < f->n && !st; i++)
        if (fate[i] == ECG_KEPT)
            w->kept[w->n++] = i;
    if (!st)
        st = finish(b, w, out, o, watch, err);
    free(rec);
    free(fate);
    return st;
}

ecg_status ecg_cohort_build_folder(ecg_build_result *out, const ecg_build_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    *out = (ecg_build_result){.synthetic = is_synthetic(o->from.folder)};
    work *w = calloc(1, sizeof *w);
    if (!w)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a cohort");
    const ecg_status st = build(w, out, o, pool, watch, err);
    work_clear(w);
    free(w);
    return st;
}
