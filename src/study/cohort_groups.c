/* SPDX-License-Identifier: MIT */
#include "study/cohort_groups.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const struct {
    const char *name;          /* of the group */
    const char *column[4];     /* where it may be */
    bool categorical;
    const char *column_words;  /* the column whose numbers mean these, one a line (formats.md section 1) */
    const char *words;
} known[ECG_COHORT_GROUPS] = {
    {"age", {"demographics_age", "age"}, false, NULL, NULL},
    {"sex", {"demographics_gender", "gender", "sex"}, true, "demographics_gender", "female\nmale"},
    {"ethnicity", {"demographics_ethnicity", "ethnicity", "race"}, true, "demographics_ethnicity", "asian\nblack\nhispanic\nother\nwhite"},
};

static int find_column(const ecg_contract *k, int which)
{
    for (int i = 0; i < 4 && known[which].column[i]; i++)
        for (int j = 0; j < k->columns; j++)
            if (ecg_same_word(k->column[j].name, known[which].column[i]) && k->column[j].categorical == known[which].categorical)
                return j;
    return -1;
}

/* Line i of words; "category 3" where there is none. NULL: out of memory. */
static const char *word_of(ecg_arena *arena, const char *words, int i)
{
    char text[32];
    for (int at = 0; words && at < i; at++)
        words = strchr(words, '\n') ? strchr(words, '\n') + 1 : NULL;
    if (words && strcspn(words, "\n"))
        return ecg_arena_text(arena, words, strcspn(words, "\n"));
    snprintf(text, sizeof text, "category %d", i);
    return ecg_arena_text(arena, text, strlen(text));
}

static int bands(ecg_assess_group *g, int32_t *of, ecg_arena *arena, const double *value, int64_t n)
{
    char text[4][ECG_BAND_TEXT];
    g->levels = ecg_assess_bands(of, text, value, n, true);
    const char **level = g->levels < 0 ? NULL : ecg_arena_take(arena, 4, sizeof *level);
    g->level = level;
    g->bands = "years";
    for (int i = 0; level && i < g->levels; i++)
        if (!(level[i] = ecg_arena_text(arena, text[i], strlen(text[i]))))
            return -1;
    return level ? 0 : -1;
}

static int categories(ecg_assess_group *g, int32_t *of, ecg_arena *arena, const double *value, int64_t n, const ecg_contract *k, int column, int which)
{
    const char *words = k->words ? k->words[column] : NULL;
    if (!words && known[which].column_words && !strcmp(k->column[column].name, known[which].column_words))
        words = known[which].words;
    g->levels = k->column[column].vocabulary;
    g->bands = "";
    const char **level = ecg_arena_take(arena, (size_t)g->levels, sizeof *level);
    g->level = level;
    for (int i = 0; level && i < g->levels; i++)
        if (!(level[i] = word_of(arena, words, i)))
            return -1;
    for (int64_t i = 0; i < n; i++)
        of[i] = value[i] >= 0 && value[i] < g->levels ? (int32_t)value[i] : -1;
    return level ? 0 : -1;
}

static int one_group(ecg_cohort_groups *out, const ecg_cohort *c, const ecg_rows *rows, int column, int which)
{
    ecg_assess_group *g = &out->group[out->n];
    int32_t *of = malloc((size_t)(rows->n + 1) * sizeof *of);
    double *value = malloc((size_t)(rows->n + 1) * sizeof *value);
    int failed = !of || !value;
    for (int64_t i = 0; !failed && i < rows->n; i++)
        value[i] = c->tabular[(int64_t)rows->row[i] * c->contract.columns + column];
    if (!failed)
        failed = known[which].categorical ? categories(g, of, out->arena, value, rows->n, &c->contract, column, which)
                                          : bands(g, of, out->arena, value, rows->n);
    free(value);
    g->name = known[which].name;
    g->of = of;
    if (failed || g->levels == 0)
        free(of);
    else
        out->n++;
    return failed ? -1 : 0;
}

ecg_status ecg_cohort_groups_make(ecg_cohort_groups *out, const ecg_cohort *c, const ecg_rows *rows, ecg_err *err)
{
    *out = (ecg_cohort_groups){.arena = ecg_arena_new()};
    if (!out->arena)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int which = 0; which < ECG_COHORT_GROUPS && c->tabular; which++) {
        const int column = find_column(&c->contract, which);
        if (column >= 0 && one_group(out, c, rows, column, which))
            return ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    return ECG_OK;
}

void ecg_cohort_groups_clear(ecg_cohort_groups *g)
{
    for (int i = 0; i < g->n; i++)
        free((void *)g->group[i].of);
    ecg_arena_free(g->arena);
    *g = (ecg_cohort_groups){0};
}
