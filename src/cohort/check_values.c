/* SPDX-License-Identifier: MIT
 * check_values.c: columns, masks, labels and the two lists of the metadata. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cohort/check_parts.h"

/* ---- columns ----------------------------------------------------------------------------------------------------------------------- */

static int find_column(const ecg_contract *k, const char *name, size_t len)
{
    for (int j = 0; j < k->columns; j++)
        if (strlen(k->column[j].name) == len && !memcmp(k->column[j].name, name, len))
            return j;
    return -1;
}

/* NAME_nan is 1 where NAME has no value and 0 where it has one. */
static void check_masks(ecg_checks *out, const ecg_cohort *c)
{
    static const char ending[] = "_nan";
    const ecg_contract *k = &c->contract;
    int masks = 0, alone = 0;
    int64_t odd = 0, row = 0;
    const char *at = "";
    for (int m = 0; m < k->columns; m++) {
        const size_t len = strlen(k->column[m].name), end = strlen(ending);
        if (len <= end || strcmp(k->column[m].name + len - end, ending))
            continue;
        const int j = find_column(k, k->column[m].name, len - end);
        masks++;
        alone += j < 0;
        for (int64_t i = 0; i < c->n; i++) {
            const float mask = c->tabular[i * k->columns + m];
            const bool missing = j >= 0 ? isnan(c->tabular[i * k->columns + j]) != 0 : mask == 1;
            if (mask != (missing ? 1.0f : 0.0f) && !odd++) {
                row = i;
                at = k->column[m].name;
            }
        }
    }
    if (odd)
        ecg_check_add(out, "masks", ECG_CHECK_WRONG, "%" PRId64 " values do not say what is missing; the first in %s, row %" PRId64, odd, at, row);
    else if (masks)
        ecg_check_add(out, "masks", ECG_CHECK_OK, "%d columns say what is missing, %d of them of columns that are not here", masks, alone);
}

static void check_columns(ecg_checks *out, const ecg_cohort *c)
{
    const ecg_contract *k = &c->contract;
    int empty = 0;
    int64_t infinite = 0, row = 0, missing = 0;
    const char *at = "", *first_empty = "";
    for (int j = 0; j < k->columns; j++) {
        int64_t here = 0;
        for (int64_t i = 0; i < c->n; i++) {
            const float x = c->tabular[i * k->columns + j];
            here += isnan(x) != 0;
            if (isinf(x) && !infinite++) {
                row = i;
                at = k->column[j].name;
            }
        }
        missing += here;
        if (here == c->n && !empty++)
            first_empty = k->column[j].name;
    }
    if (infinite)
        ecg_check_add(out, "column values", ECG_CHECK_WRONG, "%" PRId64 " are infinite; the first in %s, row %" PRId64, infinite, at, row);
    else
        ecg_check_add(out, "column values", ECG_CHECK_OK, "%d columns, finite, %.1f %% missing", k->columns,
                      k->columns ? 100 * (double)missing / ((double)c->n * k->columns) : 0);
    if (empty)
        ecg_check_add(out, "empty columns", ECG_CHECK_NOTE, "%d of %d columns have no value in any row, the first is %s", empty, k->columns, first_empty);
    else
        ecg_check_add(out, "empty columns", ECG_CHECK_OK, "none");
    check_masks(out, c);
}

/* ---- labels ------------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t positive[ECG_ROLES], negative[ECG_ROLES], all; /* all: positives whatever the role */
} label_counts;

static label_counts count_label(const ecg_cohort *c, int set, int label)
{
    label_counts n = {0};
    const int8_t *y = c->label[set] + label;
    for (int64_t i = 0; i < c->n; i++) {
        const int8_t v = y[i * c->contract.table[set].n];
        const int role = ecg_cohort_role(c, &c->roles, i);
        n.all += v == 1;
        if (role >= 0 && v >= 0)
            (v ? n.positive : n.negative)[role]++;
    }
    return n;
}

static void check_labels(ecg_checks *out, const ecg_cohort *c)
{
    int labels = 0, miscounted = 0, one_class = 0, bare[ECG_ROLES] = {0};
    char miscount[120] = "", single[120] = "", without[120] = "";
    for (int s = 0; s < c->contract.sets; s++)
        for (int l = 0; l < c->contract.table[s].n; l++) {
            const ecg_label *label = &c->contract.table[s].label[l];
            const label_counts n = count_label(c, s, l);
            labels++;
            if (n.all != label->count && !miscounted++)
                snprintf(miscount, sizeof miscount, "%.30s %.50s: %" PRId64 ", the table says %" PRId64, c->contract.table[s].set, label->code, n.all, label->count);
            if ((!n.positive[ECG_TRAIN] || !n.negative[ECG_TRAIN]) && !one_class++)
                snprintf(single, sizeof single, "%.30s %.50s", c->contract.table[s].set, label->code);
            for (int r = ECG_VALIDATION; r <= ECG_TEST; r++)
                if (!n.positive[r] && c->roles.folds[r]) {
                    if (!without[0])
                        snprintf(without, sizeof without, "%.30s %.50s", c->contract.table[s].set, label->code);
                    bare[r]++;
                }
        }
    if (miscounted)
        ecg_check_add(out, "label counts", ECG_CHECK_WRONG, "%d of %d differ from the positives of their column; the first is %s", miscounted, labels, miscount);
    else
        ecg_check_add(out, "label counts", ECG_CHECK_OK, "%d labels, each with the positives that its table says", labels);
    if (one_class)
        ecg_check_add(out, "classes in training", ECG_CHECK_NOTE, "%d of %d labels have one class only: nothing can be learnt of them; the first is %s", one_class,
                      labels, single);
    else
        ecg_check_add(out, "classes in training", ECG_CHECK_OK, "every label has positives and negatives");
    if (bare[ECG_VALIDATION] || bare[ECG_TEST])
        ecg_check_add(out, "positives to score", ECG_CHECK_NOTE, "none for %d of %d labels in validation and %d in test; the first is %s", bare[ECG_VALIDATION], labels,
                      bare[ECG_TEST], without);
    else
        ecg_check_add(out, "positives to score", ECG_CHECK_OK, "every label has some in validation and in test");
}

void ecg_check_values(ecg_checks *out, const ecg_cohort *c)
{
    if (c->contract.columns)
        check_columns(out, c);
    if (c->contract.sets)
        check_labels(out, c);
}

/* ---- the metadata ------------------------------------------------------------------------------------------------------------------- */

/* kept[i] = kept[i-1] - dropped[i], and the last is the number of rows. */
static void check_attrition(ecg_checks *out, const ecg_cohort *c)
{
    json_t *list = json_loads(c->attrition, 0, NULL), *step;
    const size_t n = json_array_size(list);
    const int64_t most = INT64_MAX / 4; /* sums stay in range */
    int64_t before = 0, lost = 0, kept = 0;
    size_t i;
    char wrong[160] = "";
    json_array_foreach(list, i, step)
    {
        const char *name = json_string_value(json_object_get(step, "step"));
        const json_t *k = json_object_get(step, "kept"), *d = json_object_get(step, "dropped");
        if (!name || !json_is_integer(k) || !json_is_integer(d)) {
            snprintf(wrong, sizeof wrong, "step %zu is not {step, kept, dropped}", i + 1);
            break;
        }
        kept = json_integer_value(k);
        const int64_t dropped = json_integer_value(d);
        if (kept < 0 || dropped < 0 || kept > most || dropped > most) {
            snprintf(wrong, sizeof wrong, "\"%.60s\" keeps %" PRId64 " and drops %" PRId64, name, kept, dropped);
            break;
        }
        if (i && kept != before - dropped) {
            snprintf(wrong, sizeof wrong, "\"%.60s\" keeps %" PRId64 " of %" PRId64 " and drops %" PRId64, name, kept, before, dropped);
            break;
        }
        lost += dropped;
        before = kept;
    }
    if (!n)
        ecg_check_add(out, "attrition", ECG_CHECK_WRONG, "no list of steps in the metadata");
    else if (wrong[0])
        ecg_check_add(out, "attrition", ECG_CHECK_WRONG, "%s", wrong);
    else if (kept != c->n)
        ecg_check_add(out, "attrition", ECG_CHECK_WRONG, "ends with %" PRId64 " kept, the cohort has %" PRId64 " rows", kept, c->n);
    else
        ecg_check_add(out, "attrition", ECG_CHECK_OK, "%zu steps add up: %" PRId64 " dropped, %" PRId64 " kept", n, lost, kept);
    json_decref(list);
}

static void check_sources(ecg_checks *out, const ecg_cohort *c)
{
    const char *text = ecg_tensors_meta(c->file, "sources");
    json_t *list = text ? json_loads(text, 0, NULL) : NULL, *source;
    const size_t n = json_array_size(list);
    double bytes = 0;
    size_t i, broken = 0;
    json_array_foreach(list, i, source)
    {
        const char *hash = json_string_value(json_object_get(source, "sha256"));
        broken += !json_string_value(json_object_get(source, "name")) || !hash || strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64;
        bytes += (double)json_integer_value(json_object_get(source, "bytes"));
    }
    if (!json_is_array(list))
        ecg_check_add(out, "sources", ECG_CHECK_WRONG, "no list of sources in the metadata");
    else if (broken)
        ecg_check_add(out, "sources", ECG_CHECK_WRONG, "%zu of %zu have no name or no SHA-256", broken, n);
    else
        ecg_check_add(out, "sources", n ? ECG_CHECK_OK : ECG_CHECK_NOTE, "%zu files of %.1f MB, each with its SHA-256", n, bytes / 1e6);
    json_decref(list);
}

void ecg_check_history(ecg_checks *out, const ecg_cohort *c)
{
    check_attrition(out, c);
    check_sources(out, c);
}
