/* SPDX-License-Identifier: MIT
 * split.c: iterative stratification over patients (docs/cohort.md 4), after Sechidis et al. 2011.
 *
 *   need[j]     = r sum_g s_g                       r = 1/folds, s_g = number of label entries of patient g
 *   lneed[l][j] = r (occurrences of label l)
 *   repeat: the label with the fewest remaining entries; its patients, most entries first; each goes to the fold that needs the
 *           label most, ties to the one that needs entries most, ties drawn
 *
 * The reference rebuilds its lists; here a patient has an assigned flag and a label a live counter. Subtractions are done one entry
 * at a time, as ties compare doubles for equality. */
#include "cohort/split.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- random numbers --------------------------------------------------------------------------------------------------------- */

void ecg_mt19937_seed(ecg_mt19937 *g, uint32_t seed)
{
    g->mt[0] = seed;
    for (uint32_t i = 1; i < 624; i++)
        g->mt[i] = 1812433253u * (g->mt[i - 1] ^ (g->mt[i - 1] >> 30)) + i;
    g->at = 624;
}

static uint32_t mt_word(ecg_mt19937 *g)
{
    if (g->at == 624) {
        for (int i = 0; i < 624; i++) {
            const uint32_t y = (g->mt[i] & 0x80000000u) | (g->mt[(i + 1) % 624] & 0x7fffffffu);
            g->mt[i] = g->mt[(i + 397) % 624] ^ (y >> 1) ^ (y & 1u ? 0x9908b0dfu : 0u);
        }
        g->at = 0;
    }
    uint32_t y = g->mt[g->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

uint32_t ecg_mt19937_below(ecg_mt19937 *g, uint32_t n)
{
    if (n <= 1)
        return 0;
    uint32_t mask = n - 1;
    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    for (;;) {
        const uint32_t v = mt_word(g) & mask;
        if (v < n)
            return v;
    }
}

/* ---- patients --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t patient, count; /* entries of this label that the patient has */
} holder;

typedef struct {
    int64_t *at;     /* (labels + 1) into holder */
    holder *holder;  /* patients of each label, ascending */
    int64_t *left;   /* (labels) entries of patients that have no fold yet */
    double *lneed;   /* (labels, folds) */
    double *need;    /* (folds) */
    bool *assigned;  /* (patients) */
} state;

static void state_clear(state *s)
{
    free(s->at);
    free(s->holder);
    free(s->left);
    free(s->lneed);
    free(s->need);
    free(s->assigned);
}

static int by_number(const void *x, const void *y)
{
    const int a = *(const int *)x, b = *(const int *)y;
    return (a > b) - (a < b);
}

/* Who holds each label and how often: the entries of a patient sorted, then counted into their labels. */
static ecg_status find_holders(state *s, int64_t patients, const int64_t *first, const int *entry, int labels, ecg_err *err)
{
    const int64_t entries = first[patients];
    int *sorted = malloc(((size_t)entries + 1) * sizeof *sorted);
    int64_t *fill = calloc((size_t)labels + 1, sizeof *fill);
    if (!sorted || !fill || !s->at || !s->left || !s->lneed || !s->need || !s->assigned) {
        free(sorted);
        free(fill);
        return ecg_fail(err, ECG_ENOMEM, "no memory to split %" PRId64 " patients", patients);
    }
    memcpy(sorted, entry, (size_t)entries * sizeof *sorted);
    for (int64_t g = 0; g < patients; g++) {
        qsort(sorted + first[g], (size_t)(first[g + 1] - first[g]), sizeof *sorted, by_number);
        for (int64_t i = first[g]; i < first[g + 1]; i++) {
            s->left[sorted[i]]++;
            if (i == first[g] || sorted[i] != sorted[i - 1])
                fill[sorted[i]]++;
        }
    }
    s->at[0] = 0;
    for (int l = 0; l < labels; l++) {
        s->at[l + 1] = s->at[l] + fill[l];
        fill[l] = s->at[l];
    }
    s->holder = calloc((size_t)s->at[labels] + 1, sizeof *s->holder);
    ecg_status st = s->holder ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory to split %" PRId64 " patients", patients);
    for (int64_t g = 0; g < patients && !st; g++)
        for (int64_t i = first[g]; i < first[g + 1]; i++) {
            if (i == first[g] || sorted[i] != sorted[i - 1])
                s->holder[fill[sorted[i]]++].patient = g;
            s->holder[fill[sorted[i]] - 1].count++;
        }
    free(sorted);
    free(fill);
    return st;
}

static int most_first(const void *x, const void *y)
{
    const holder *a = x, *b = y;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return a->patient > b->patient ? -1 : a->patient < b->patient;
}

static int pick_fold(const double *lneed, const double *need, int folds, ecg_mt19937 *g)
{
    int best[256], n = 0;
    for (int j = 0; j < folds; j++) {
        if (n && lneed[j] < lneed[best[0]])
            continue;
        if (n && lneed[j] > lneed[best[0]])
            n = 0;
        best[n++] = j;
    }
    if (n == 1)
        return best[0];
    int most[256], m = 0;
    for (int i = 0; i < n; i++) {
        if (m && need[best[i]] < need[most[0]])
            continue;
        if (m && need[best[i]] > need[most[0]])
            m = 0;
        most[m++] = best[i];
    }
    return most[ecg_mt19937_below(g, (uint32_t)m)];
}

ecg_status ecg_split_patients(uint8_t *fold, int64_t patients, const int64_t *first, const int *entry, int labels, int folds, uint32_t seed, ecg_err *err)
{
    if (folds < 1 || folds > 255)
        return ecg_fail(err, ECG_EARG, "%d folds, expected 1 to 255", folds);
    state s = {
        .at = calloc((size_t)labels + 1, sizeof *s.at),
        .left = calloc((size_t)labels + 1, sizeof *s.left),
        .lneed = calloc((size_t)labels * (size_t)folds + 1, sizeof *s.lneed),
        .need = calloc((size_t)folds, sizeof *s.need),
        .assigned = calloc((size_t)patients + 1, sizeof *s.assigned),
    };
    ecg_status st = find_holders(&s, patients, first, entry, labels, err);
    if (st) {
        state_clear(&s);
        return st;
    }
    const double share = 1.0 / folds;
    for (int j = 0; j < folds; j++) {
        s.need[j] = share * (double)first[patients];
        for (int l = 0; l < labels; l++)
            s.lneed[l * folds + j] = share * (double)s.left[l];
    }
    ecg_mt19937 random;
    ecg_mt19937_seed(&random, seed);
    memset(fold, 0, (size_t)patients);
    for (int round = 0; round < labels; round++) {
        int rarest = -1;
        for (int l = 0; l < labels; l++)
            if (s.left[l] > 0 && (rarest < 0 || s.left[l] < s.left[rarest]))
                rarest = l;
        if (rarest < 0)
            break;
        holder *list = s.holder + s.at[rarest];
        const int64_t n = s.at[rarest + 1] - s.at[rarest];
        qsort(list, (size_t)n, sizeof *list, most_first);
        for (int64_t i = 0; i < n; i++) {
            const int64_t g = list[i].patient;
            if (s.assigned[g])
                continue;
            const int j = pick_fold(s.lneed + rarest * folds, s.need, folds, &random);
            fold[g] = (uint8_t)j;
            s.assigned[g] = true;
            s.need[j] -= (double)(first[g + 1] - first[g]);
            for (int64_t e = first[g]; e < first[g + 1]; e++) {
                s.lneed[entry[e] * folds + j] -= 1;
                s.left[entry[e]]--;
            }
        }
    }
    state_clear(&s);
    return ECG_OK;
}

/* ---- recordings ------------------------------------------------------------------------------------------------------------- */

int64_t ecg_split_min_count(int64_t n)
{
    const int64_t share = (n + 399) / 400;
    return share > 20 ? share : 20;
}

static int by_value(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

bool ecg_age_quartiles(double edge[5], const double *age, int64_t n)
{
    double *sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    int64_t m = 0;
    for (int64_t i = 0; sorted && i < n; i++)
        if (!isnan(age[i]))
            sorted[m++] = age[i];
    if (m) {
        qsort(sorted, (size_t)m, sizeof *sorted, by_value);
        for (int q = 0; q < 5; q++) {
            const double at = 0.25 * q * (double)(m - 1), below = floor(at);
            const int64_t i = (int64_t)below;
            edge[q] = i + 1 < m ? sorted[i] + (sorted[i + 1] - sorted[i]) * (at - below) : sorted[m - 1];
        }
    }
    free(sorted);
    return m > 0;
}

/* Three decimals at most, one at least: "45.0", "52.25", "17.999". */
static int age_edge(char *out, size_t size, double x)
{
    int len = snprintf(out, size, "%.3f", x);
    while (len > 2 && out[len - 1] == '0' && out[len - 2] != '.')
        out[--len] = 0;
    return len;
}

void ecg_age_label(char out[48], const double edge[5], double age)
{
    if (isnan(age)) {
        snprintf(out, 48, "missing_age");
        return;
    }
    int bin = 0;
    while (bin < 3 && (age > edge[bin + 1] || edge[bin + 1] == edge[bin]))
        bin++;
    int from = bin;
    while (from > 0 && edge[from - 1] == edge[bin]) /* equal edges are one edge */
        from--;
    const int len = age_edge(out, 23, from ? edge[bin] : edge[0] - 0.001);
    out[len] = '-';
    age_edge(out + len + 1, 23, edge[bin + 1]);
}

typedef struct {
    char **name;      /* (labels) owned, ascending */
    int labels;
    int *of_code;     /* (names) label of a code, -1: too rare */
    int *of_age;      /* (n) */
    int outpatient, gender[3]; /* M, F, missing */
} labelling;

static void labelling_clear(labelling *l)
{
    for (int i = 0; i < l->labels; i++)
        free(l->name[i]);
    free(l->name);
    free(l->of_code);
    free(l->of_age);
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

static int label_number(const labelling *l, const char *name)
{
    char *key = (char *)(uintptr_t)name;
    char **hit = bsearch(&key, l->name, (size_t)l->labels, sizeof *l->name, by_name);
    return (int)(hit - l->name);
}

static ecg_status label_rows(labelling *out, const ecg_split_row *row, int64_t n, const char *const *name, int names, int64_t min_count, ecg_err *err)
{
    static const char *const fixed[] = {"outpatient", "missing_age", "M", "F", "missing_gender"};
    labelling l = {.name = calloc((size_t)names + 9, sizeof *l.name), .of_code = malloc(((size_t)names + 1) * sizeof *l.of_code),
                   .of_age = malloc(((size_t)n + 1) * sizeof *l.of_age)};
    int64_t *count = calloc((size_t)names + 1, sizeof *count);
    double *age = malloc(((size_t)n + 1) * sizeof *age);
    double edge[5] = {0};
    bool short_of_memory = !l.name || !l.of_code || !l.of_age || !count || !age;
    if (!short_of_memory) {
        for (int64_t i = 0; i < n; i++) {
            age[i] = row[i].age;
            for (int c = 0; c < row[i].codes; c++)
                count[row[i].code[c]]++;
        }
        ecg_age_quartiles(edge, age, n);
        for (int c = 0; c < names; c++)
            if (count[c] >= min_count)
                l.name[l.labels++] = strdup(name[c]);
        for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
            l.name[l.labels++] = strdup(fixed[i]);
        for (int q = 0; q < 4; q++) {
            char text[48];
            ecg_age_label(text, edge, edge[q + 1]);
            if (!q || edge[q + 1] > edge[q])
                l.name[l.labels++] = strdup(text);
        }
        for (int i = 0; i < l.labels; i++)
            short_of_memory |= !l.name[i];
    }
    if (short_of_memory) {
        free(count);
        free(age);
        if (l.name)
            labelling_clear(&l);
        else
            free(l.of_code), free(l.of_age);
        return ecg_fail(err, ECG_ENOMEM, "no memory to label %" PRId64 " recordings", n);
    }
    qsort(l.name, (size_t)l.labels, sizeof *l.name, by_name);
    for (int c = 0; c < names; c++)
        l.of_code[c] = count[c] >= min_count ? label_number(&l, name[c]) : -1;
    for (int64_t i = 0; i < n; i++) {
        char text[48];
        ecg_age_label(text, edge, age[i]);
        l.of_age[i] = label_number(&l, text);
    }
    l.outpatient = label_number(&l, "outpatient");
    l.gender[0] = label_number(&l, "M");
    l.gender[1] = label_number(&l, "F");
    l.gender[2] = label_number(&l, "missing_gender");
    free(count);
    free(age);
    *out = l;
    return ECG_OK;
}

typedef struct {
    int64_t patient, row;
} owner;

static int by_owner(const void *x, const void *y)
{
    const owner *a = x, *b = y;
    if (a->patient != b->patient)
        return a->patient < b->patient ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

ecg_status ecg_split_rows(uint8_t *fold, const ecg_split_row *row, int64_t n, const char *const *name, int names, int64_t min_count, int folds,
                          uint32_t seed, ecg_err *err)
{
    labelling l;
    ecg_status st = label_rows(&l, row, n, name, names, min_count, err);
    if (st)
        return st;
    int64_t entries = 0, patients = 0;
    for (int64_t i = 0; i < n; i++)
        entries += row[i].codes + 3;
    owner *order = malloc(((size_t)n + 1) * sizeof *order);
    int64_t *first = malloc(((size_t)n + 1) * sizeof *first);
    int *entry = malloc(((size_t)entries + 1) * sizeof *entry);
    uint8_t *of_patient = malloc((size_t)n + 1);
    if (!order || !first || !entry || !of_patient) {
        st = ecg_fail(err, ECG_ENOMEM, "no memory to split %" PRId64 " recordings", n);
        goto done;
    }
    for (int64_t i = 0; i < n; i++)
        order[i] = (owner){row[i].patient, i};
    qsort(order, (size_t)n, sizeof *order, by_owner);
    entries = 0;
    for (int64_t i = 0; i < n; i++) {
        const ecg_split_row *r = &row[order[i].row];
        const int64_t before = entries;
        if (!i || order[i].patient != order[i - 1].patient)
            first[patients++] = entries;
        for (int c = 0; c < r->codes; c++)
            if (l.of_code[r->code[c]] >= 0)
                entry[entries++] = l.of_code[r->code[c]];
        if (entries == before)
            entry[entries++] = l.outpatient;
        entry[entries++] = l.of_age[order[i].row];
        entry[entries++] = l.gender[r->gender == 'M' ? 0 : r->gender == 'F' ? 1 : 2];
    }
    first[patients] = entries;
    if ((st = ecg_split_patients(of_patient, patients, first, entry, l.labels, folds, seed, err)))
        goto done;
    for (int64_t i = 0, g = -1; i < n; i++) {
        g += !i || order[i].patient != order[i - 1].patient;
        fold[order[i].row] = of_patient[g];
    }
done:
    labelling_clear(&l);
    free(order);
    free(first);
    free(entry);
    free(of_patient);
    return st;
}
