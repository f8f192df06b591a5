/* SPDX-License-Identifier: MIT */
#include "cohort/visit_codes.h"

#include <stdlib.h>
#include <string.h>

#include "cohort/codes.h"

/* ---- the codes of one visit ---------------------------------------------------------------------------------------------------------- */

bool ecg_code_list_add(ecg_code_list *list, ecg_words *words, const char *label)
{
    for (size_t len = 3; len <= strlen(label); len++) {
        if (list->n == list->room) {
            const int room = list->room ? list->room * 2 : 64;
            int *grown = realloc(list->at, (size_t)room * sizeof *grown);
            if (!grown)
                return false;
            list->at = grown;
            list->room = room;
        }
        const int word = ecg_words_put(words, label, len);
        if (word < 0)
            return false;
        list->at[list->n++] = word;
    }
    return true;
}

static int by_number(const void *x, const void *y)
{
    const int a = *(const int *)x, b = *(const int *)y;
    return (a > b) - (a < b);
}

bool ecg_code_list_take(ecg_visit *v, ecg_code_list *list)
{
    v->code = malloc(((size_t)list->n + 1) * sizeof *v->code);
    if (!v->code)
        return false;
    if (list->n)
        qsort(list->at, (size_t)list->n, sizeof *list->at, by_number);
    v->codes = 0;
    for (int k = 0; k < list->n; k++)
        if (!k || list->at[k] != list->at[k - 1])
            v->code[v->codes++] = list->at[k];
    v->coded = v->codes > 0;
    list->n = 0;
    return true;
}

/* ---- tables of codes ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    int32_t owner; /* number of an admission or a stay */
    int32_t word;  /* label without prefixes */
} coding;

typedef struct {
    ecg_ids owner;   /* hadm_id or stay_id -> number */
    coding *at;      /* (n), by owner once read */
    int64_t n, room;
    int64_t *first;  /* (owners + 1) */
} codings;

static void codings_clear(codings *c)
{
    ecg_ids_clear(&c->owner);
    free(c->at);
    free(c->first);
}

static int by_owner(const void *x, const void *y)
{
    const coding *a = x, *b = y;
    return a->owner != b->owner ? a->owner - b->owner : a->word - b->word;
}

/* Without a path nobody has any. */
static ecg_status read_codes(codings *c, ecg_words *words, const char *path, const char *id_column, ecg_err *err)
{
    const char *const need[] = {id_column, "icd_code", "icd_version"};
    int at[3];
    bool more;
    ecg_csv *t = NULL;
    ecg_status st = *path ? ecg_table_open(&t, at, path, need, 3, err) : ECG_OK;
    while (t && !st && !(st = ecg_csv_next(t, &more, err)) && more) {
        int64_t id, version;
        char label[6];
        if ((st = ecg_csv_i64(t, at[0], &id, err)))
            break;
        const int32_t owner = id < 0 ? -1 : ecg_ids_get(&c->owner, id);
        if (owner < 0)
            continue;
        if ((st = ecg_csv_i64(t, at[2], &version, err)))
            break;
        const ecg_field code = ecg_csv_field(t, at[1]);
        if (!ecg_icd_label(label, code.at, code.len, (int)version))
            continue;
        if (c->n == c->room) {
            c->room = c->room ? c->room * 2 : 4096;
            coding *grown = realloc(c->at, (size_t)c->room * sizeof *grown);
            if (!grown) {
                st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " codes", c->room);
                break;
            }
            c->at = grown;
        }
        const int word = ecg_words_put(words, label, strlen(label));
        if (word < 0) {
            st = ecg_fail(err, ECG_ENOMEM, "no memory for the codes");
            break;
        }
        c->at[c->n++] = (coding){owner, word};
    }
    ecg_csv_close(t);
    if (st)
        return st;
    if (c->n)
        qsort(c->at, (size_t)c->n, sizeof *c->at, by_owner);
    c->first = calloc((size_t)c->owner.n + 1, sizeof *c->first);
    if (!c->first)
        return ecg_fail(err, ECG_ENOMEM, "no memory for the codes");
    for (int64_t i = 0; i < c->n; i++)
        c->first[c->at[i].owner + 1]++;
    for (int64_t i = 0; i < c->owner.n; i++)
        c->first[i + 1] += c->first[i];
    return ECG_OK;
}

static bool add_owner(ecg_code_list *out, ecg_words *label, const codings *c, const ecg_words *words, int64_t id)
{
    const int32_t owner = id < 0 ? -1 : ecg_ids_get(&c->owner, id);
    if (owner < 0)
        return true;
    for (int64_t i = c->first[owner]; i < c->first[owner + 1]; i++)
        if (!ecg_code_list_add(out, label, words->at[c->at[i].word]))
            return false;
    return true;
}

static ecg_status assign_codes(ecg_visits *v, const codings *hosp, const codings *ed, const ecg_words *words, ecg_err *err)
{
    ecg_code_list list = {0};
    bool room = true;
    for (int64_t i = 0; i < v->n && room; i++) {
        ecg_visit *r = &v->at[i];
        room = add_owner(&list, &v->label, hosp, words, r->hosp_hadm) && add_owner(&list, &v->label, hosp, words, r->ed_hadm);
        if (room && !list.n)
            room = add_owner(&list, &v->label, ed, words, r->own_stay);
        room = room && ecg_code_list_take(r, &list);
    }
    free(list.at);
    return room ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the codes");
}

static ecg_status put_owner(codings *c, int64_t id, ecg_err *err)
{
    return id < 0 ? ECG_OK : ecg_ids_put(&c->owner, id, (int32_t)c->owner.n, err);
}

ecg_status ecg_visits_code(ecg_visits *v, const ecg_mimic_tables *tables, ecg_err *err)
{
    codings hosp = {0}, ed = {0};
    ecg_words words = {0};
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < v->n && !st; i++)
        if (!(st = put_owner(&hosp, v->at[i].hosp_hadm, err)) && !(st = put_owner(&hosp, v->at[i].ed_hadm, err)))
            st = put_owner(&ed, v->at[i].own_stay, err);
    if (!st)
        st = read_codes(&hosp, &words, tables->path[ECG_T_DIAGNOSES], "hadm_id", err);
    if (!st)
        st = read_codes(&ed, &words, tables->path[ECG_T_ED_DIAGNOSIS], "stay_id", err);
    if (!st)
        st = assign_codes(v, &hosp, &ed, &words, err);
    codings_clear(&hosp);
    codings_clear(&ed);
    ecg_words_clear(&words);
    return st;
}
