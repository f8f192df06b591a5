/* SPDX-License-Identifier: MIT */
#include "cohort/diagnoses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scratch.h"
#include "cohort/attach.h"
#include "cohort/mdsed_codes.h"

/* ---- which codes -------------------------------------------------------------------------------------------------------------------- */

/* Titles of the kept codes, of version 10; the table's spelling may carry trailing X or more than five characters: only exact codes count. */
static ecg_status read_titles(ecg_label_table *table, const char *path, ecg_err *err)
{
    static const char *const need[] = {"icd_code", "icd_version", "long_title"};
    int at[3];
    bool more;
    ecg_csv *t = NULL;
    ecg_words codes = {0};
    ecg_status st = ECG_OK;
    for (int k = 0; k < table->n; k++) /* word k is label k: codes differ */
        if (ecg_words_put(&codes, table->label[k].code, strlen(table->label[k].code)) < 0)
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the titles");
    if (!st)
        st = ecg_table_open(&t, at, path, need, 3, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t version;
        if ((st = ecg_csv_i64(t, at[1], &version, err)))
            break;
        const ecg_field code = ecg_csv_field(t, at[0]);
        size_t len = code.len;
        while (len && code.at[len - 1] == ' ')
            len--;
        const int k = version == 10 && len ? ecg_words_get(&codes, code.at, len) : -1;
        if (k >= 0 && !table->label[k].title[0])
            ecg_field_copy(table->label[k].title, sizeof table->label[k].title, ecg_csv_field(t, at[2]));
    }
    ecg_csv_close(t);
    ecg_words_clear(&codes);
    return st;
}

static ecg_status choose_published(ecg_label_table *table, ecg_err *err)
{
    table->label = calloc(ECG_MDSED_CODES, sizeof *table->label);
    if (!table->label)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d codes", ECG_MDSED_CODES);
    for (int k = 0; k < ECG_MDSED_CODES; k++) {
        snprintf(table->label[k].code, sizeof table->label->code, "%s", ecg_mdsed_codes[k].code);
        snprintf(table->label[k].title, sizeof table->label->title, "%s", ecg_mdsed_codes[k].title);
    }
    table->n = ECG_MDSED_CODES;
    ecg_label_table_hash(table);
    return ECG_OK;
}

static ecg_status choose_frequent(ecg_label_table *table, const ecg_visits *v, int64_t min_count, ecg_err *err)
{
    const int words = v->label.n;
    int64_t *count = calloc((size_t)words + 1, sizeof *count);
    table->label = calloc((size_t)words + 1, sizeof *table->label);
    if (!count || !table->label) {
        free(count);
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d codes", words);
    }
    for (int64_t i = 0; i < v->n; i++)
        for (int c = 0; c < v->at[i].codes; c++)
            count[v->at[i].code[c]]++;
    for (int w = 0; w < words; w++)
        if (count[w] >= min_count)
            snprintf(table->label[table->n++].code, sizeof table->label->code, "%s", v->label.at[w]);
    free(count);
    ecg_label_table_hash(table); /* sorts */
    return ECG_OK;
}

/* ---- labels -------------------------------------------------------------------------------------------------------------------------- */

static ecg_status fill_labels(int8_t **label, const ecg_label_table *table, const ecg_visits *v, ecg_err *err)
{
    int *of_word = malloc(((size_t)v->label.n + 1) * sizeof *of_word);
    *label = ecg_scratch_take((size_t)v->n * (size_t)table->n, v->beside);
    if (!of_word || !*label) {
        free(of_word);
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " x %d labels", v->n, table->n);
    }
    for (int w = 0; w < v->label.n; w++)
        of_word[w] = -1;
    for (int k = 0; k < table->n; k++) {
        const int word = ecg_words_get(&v->label, table->label[k].code, strlen(table->label[k].code));
        if (word >= 0)
            of_word[word] = k;
    }
    for (int64_t i = 0; i < v->n; i++) {
        int8_t *y = *label + i * table->n;
        memset(y, v->at[i].coded ? 0 : -1, (size_t)table->n);
        for (int c = 0; c < v->at[i].codes; c++)
            if (of_word[v->at[i].code[c]] >= 0)
                y[of_word[v->at[i].code[c]]] = 1;
    }
    free(of_word);
    return ECG_OK;
}

/* Labels nothing can be learned from. */
static void say_one_class(const ecg_label_table *table, const ecg_visits *v, const ecg_watch *watch)
{
    int64_t coded = 0;
    int never = 0, always = 0, first = -1;
    for (int64_t i = 0; i < v->n; i++)
        coded += v->at[i].coded;
    for (int k = 0; k < table->n; k++) {
        never += !table->label[k].count;
        if (table->label[k].count == coded && coded) {
            always++;
            first = first < 0 ? k : first;
        }
    }
    if (never)
        ecg_say(watch, "diagnoses: %d of %d have no positive", never, table->n);
    if (always)
        ecg_say(watch, "diagnoses: %d of %d have no negative (%s%s)", always, table->n, table->label[first].code, always > 1 ? ", ..." : "");
}

ecg_status ecg_diagnoses_label(ecg_label_table *table, int8_t **label, const ecg_visits *v, const ecg_diagnosis_choice *how, const char *titles,
                               const ecg_watch *watch, ecg_err *err)
{
    ecg_status st = how->mdsed ? choose_published(table, err) : choose_frequent(table, v, how->min_count, err);
    if (st || !table->n) {
        if (!st)
            ecg_say(watch, "diagnoses: not one of %d codes has %" PRId64 " positives among %" PRId64 " rows (--min-count): no such labels", v->label.n,
                    how->min_count, v->n);
        return st;
    }
    if ((st = fill_labels(label, table, v, err)) || (*titles && (st = read_titles(table, titles, err))))
        return st;
    ecg_labels_count(table, *label, v->n);
    say_one_class(table, v, watch);
    return ECG_OK;
}
