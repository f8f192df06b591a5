/* SPDX-License-Identifier: MIT
 * loader.c: see loader.h. Draws follow formats.md section 7: shuffle (0, epoch), crop (row, epoch), split (0, 0), label
 * subset (first row of the patient, 0). */
#include "study/loader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "model/bundle.h"

enum {PATIENTS_TO_CUT = 200};

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

void ecg_rows_clear(ecg_rows *r)
{
    free(r->row);
    *r = (ecg_rows){0};
}

static bool rows_new(ecg_rows *r, int64_t room)
{
    r->n = 0;
    r->row = malloc((size_t)(room > 0 ? room : 1) * sizeof *r->row);
    return r->row != NULL;
}

ecg_status ecg_rows_known(ecg_rows *out, const ecg_rows *in, const int8_t *label, int K, ecg_err *err)
{
    if (!rows_new(out, in->n))
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; i < in->n; i++) {
        const int8_t *y = label + (size_t)in->row[i] * (size_t)K;
        int k = 0;
        while (k < K && y[k] != 0 && y[k] != 1)
            k++;
        if (k < K)
            out->row[out->n++] = in->row[i];
    }
    return ECG_OK;
}

void ecg_rows_order(uint32_t *order, const ecg_rows *r, uint64_t seed, uint32_t epoch)
{
    ecg_rng g;
    memcpy(order, r->row, (size_t)r->n * sizeof *order);
    ecg_rng_open(&g, seed, 0, ECG_STREAM_SHUFFLE, 0, epoch);
    ecg_rng_shuffle(&g, order, (uint32_t)r->n);
}

/* ---- patients ----------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t ecg_rows_patient(const ecg_cohort *c, uint32_t row)
{
    return c->patient[row] >= 0 ? c->patient[row] : -2 - (int64_t)row;
}

int64_t ecg_rows_patients(int64_t **out, const ecg_cohort *c, const ecg_rows *r)
{
    int64_t *id = malloc((size_t)(r->n > 0 ? r->n : 1) * sizeof *id);
    if (!id)
        return -1;
    for (int64_t i = 0; i < r->n; i++)
        id[i] = ecg_rows_patient(c, r->row[i]);
    qsort(id, (size_t)r->n, sizeof *id, by_value);
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++)
        if (n == 0 || id[i] != id[n - 1])
            id[n++] = id[i];
    if (out)
        *out = id;
    else
        free(id);
    return n;
}

/* Half A: the first half, rounded up, of the validation patients in a shuffled order. */
static ecg_status cut_validation(ecg_loader *l, uint64_t split_seed, ecg_err *err)
{
    const ecg_rows *all = &l->role[ECG_VALIDATION];
    int64_t *id = NULL;
    uint32_t *order = NULL;
    bool *in_a = NULL;
    ecg_status st = ECG_OK;
    const int64_t n = ecg_rows_patients(&id, l->cohort, all);
    if (n < 0 || !rows_new(&l->half[ECG_HALF_A], all->n) || !rows_new(&l->half[ECG_HALF_B], all->n)) {
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
        goto done;
    }
    l->cut = n >= PATIENTS_TO_CUT;
    order = malloc((size_t)(n + 1) * sizeof *order);
    in_a = calloc((size_t)n + 1, sizeof *in_a);
    if (!order || !in_a) {
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
        goto done;
    }
    for (int64_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    ecg_rng g;
    ecg_rng_open(&g, split_seed, 0, ECG_STREAM_SPLIT, 0, 0);
    ecg_rng_shuffle(&g, order, (uint32_t)n);
    for (int64_t i = 0; i < (n + 1) / 2; i++)
        in_a[order[i]] = true;
    for (int64_t i = 0; i < all->n; i++) {
        const int64_t who = ecg_rows_patient(l->cohort, all->row[i]);
        const int64_t *at = bsearch(&who, id, (size_t)n, sizeof *id, by_value);
        for (int h = 0; h < 2; h++)
            if (!l->cut || in_a[at - id] == (h == ECG_HALF_A))
                l->half[h].row[l->half[h].n++] = all->row[i];
    }
done:
    free(id);
    free(order);
    free(in_a);
    return st;
}

/* ---- a subset with labels ----------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t draw;
    int64_t patient;
    uint32_t row;   /* the first of the patient in the cohort: what the draw is addressed by */
    int64_t records;
    bool taken;
} candidate;

static int by_patient(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return (x->patient > y->patient) - (x->patient < y->patient);
}

static int by_draw(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return x->draw != y->draw ? (x->draw > y->draw) - (x->draw < y->draw) : by_patient(a, b);
}

static candidate *find_patient(candidate *list, int64_t n, const ecg_cohort *c, uint32_t row)
{
    const candidate key = {.patient = ecg_rows_patient(c, row)};
    return bsearch(&key, list, (size_t)n, sizeof *list, by_patient);
}

/* Takes patients by their draw until `wanted` records are reached. list (n) is by patient again afterwards. */
static int64_t take_patients(candidate *list, int64_t n, int64_t wanted, uint64_t split_seed)
{
    int64_t records = 0, taken = 0;
    for (int64_t i = 0; i < n; i++) {
        ecg_rng g;
        ecg_rng_open(&g, split_seed, 0, ECG_STREAM_SUBSET, list[i].row, 0);
        const uint64_t high = ecg_rng_word(&g);
        list[i].draw = high << 32 | ecg_rng_word(&g);
    }
    qsort(list, (size_t)n, sizeof *list, by_draw);
    for (; taken < n && records < wanted; taken++) {
        list[taken].taken = true;
        records += list[taken].records;
    }
    qsort(list, (size_t)n, sizeof *list, by_patient);
    return taken;
}

ecg_status ecg_rows_labelled(ecg_rows *out, int64_t *patients, const ecg_cohort *c, const ecg_rows *in, double labelled, uint64_t split_seed,
                             ecg_err *err)
{
    int64_t *id = NULL;
    const int64_t n = ecg_rows_patients(&id, c, in);
    candidate *list = n >= 0 ? calloc((size_t)n + 1, sizeof *list) : NULL;
    ecg_status st = ECG_OK;
    *out = (ecg_rows){0};
    if (!list || !rows_new(out, in->n)) {
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
        goto done;
    }
    for (int64_t i = 0; i < n; i++)
        list[i] = (candidate){.patient = id[i], .row = UINT32_MAX};
    for (int64_t i = 0; i < in->n; i++)
        find_patient(list, n, c, in->row[i])->records++;
    for (int64_t i = c->n - 1; i >= 0; i--) {
        candidate *p = find_patient(list, n, c, (uint32_t)i);
        if (p)
            p->row = (uint32_t)i;
    }
    const double asked = labelled >= 1 ? labelled : labelled * (double)in->n;
    const int64_t wanted = labelled <= 0 || asked >= (double)in->n ? in->n : (int64_t)ceil(asked);
    const int64_t taken = take_patients(list, n, wanted, split_seed);
    if (patients)
        *patients = taken;
    for (int64_t i = 0; i < in->n; i++)
        if (find_patient(list, n, c, in->row[i])->taken)
            out->row[out->n++] = in->row[i];
done:
    free(id);
    free(list);
    if (st)
        ecg_rows_clear(out);
    return st;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

ecg_status ecg_loader_columns(ecg_loader *l, const char *group, ecg_err *err)
{
    const ecg_contract *k = &l->cohort->contract;
    const size_t room = (size_t)(k->columns > 0 ? k->columns : 1);
    free(l->continuous_at);
    free(l->categorical_at);
    l->continuous = l->categorical = 0;
    l->continuous_at = malloc(room * sizeof *l->continuous_at);
    l->categorical_at = malloc(room * sizeof *l->categorical_at);
    if (!l->continuous_at || !l->categorical_at)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int j = 0; j < k->columns; j++)
        if (!ecg_column_in(&k->column[j], group))
            continue;
        else if (k->column[j].categorical)
            l->categorical_at[l->categorical++] = j;
        else
            l->continuous_at[l->continuous++] = j;
    if (strcmp(group, "all") && l->continuous + l->categorical == 0)
        return ecg_fail_at(err, ECG_ECONTRACT, l->cohort->path, 0, 0, "no tabular columns of the group '%s'", group);
    return ECG_OK;
}

/* The store has looked at the categories. */
static ecg_status check_values(const ecg_loader *l, ecg_err *err)
{
    const ecg_cohort *c = l->cohort;
    const ecg_contract *k = &c->contract;
    for (int64_t i = 0; c->tabular && i < c->n; i++)
        for (int j = 0; j < k->columns; j++) {
            const float x = c->tabular[(size_t)i * (size_t)k->columns + (size_t)j];
            if (isinf(x))
                return ecg_fail_at(err, ECG_EDATA, c->path, 0, 0, "record %" PRId64 ": %s is infinite", i, k->column[j].name);
        }
    return ECG_OK;
}

ecg_status ecg_loader_open(ecg_loader *out, const ecg_cohort *cohort, const ecg_roles *roles, int crop, uint64_t split_seed, ecg_err *err)
{
    ecg_loader l = {.cohort = cohort, .roles = roles ? *roles : cohort->roles, .crop = crop};
    ecg_status st = ECG_OK;
    if (!cohort->signal)
        return ecg_fail_at(err, ECG_EUNSUPPORTED, cohort->path, 0, 0, "the cohort has no recordings: it was built with --no-waveforms");
    if (cohort->n >= INT32_MAX)
        return ecg_fail_at(err, ECG_EUNSUPPORTED, cohort->path, 0, 0, "%" PRId64 " records are more than row numbers can name", cohort->n);
    if (crop > cohort->contract.samples)
        return ecg_fail_at(err, ECG_ECONTRACT, cohort->path, 0, 0, "crops of %d samples do not fit records of %d", crop, cohort->contract.samples);
    l.waited = calloc(1, sizeof *l.waited);
    if (!l.waited)
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int r = 0; r < ECG_ROLES && !st; r++)
        if (!rows_new(&l.role[r], cohort->n))
            st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    for (int64_t i = 0; !st && i < cohort->n; i++) {
        const int r = ecg_cohort_role(cohort, &l.roles, i);
        if (ecg_loader_valid(&l, (uint32_t)i) < crop)
            st = ecg_fail_at(err, ECG_EDATA, cohort->path, 0, 0, "record %" PRId64 " has %d valid samples, a crop %d", i,
                             ecg_loader_valid(&l, (uint32_t)i), crop);
        else if (r >= 0)
            l.role[r].row[l.role[r].n++] = (uint32_t)i;
    }
    for (int r = 0; r < ECG_ROLES && !st; r++) {
        l.patients[r] = ecg_rows_patients(NULL, cohort, &l.role[r]);
        if (l.patients[r] < 0)
            st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    if (!st)
        st = cut_validation(&l, split_seed, err);
    if (!st)
        st = ecg_loader_columns(&l, "all", err);
    if (!st)
        st = check_values(&l, err);
    if (st)
        ecg_loader_close(&l);
    *out = l;
    return st;
}

void ecg_loader_close(ecg_loader *l)
{
    for (int r = 0; r < ECG_ROLES; r++)
        ecg_rows_clear(&l->role[r]);
    for (int h = 0; h < 2; h++)
        ecg_rows_clear(&l->half[h]);
    free(l->continuous_at);
    free(l->categorical_at);
    free(l->waited);
    *l = (ecg_loader){0};
}

/* ---- signals ------------------------------------------------------------------------------------------------------------ */

int ecg_loader_valid(const ecg_loader *l, uint32_t row)
{
    const ecg_cohort *c = l->cohort;
    const float q = c->quality_columns > 0 ? c->quality[(size_t)row * (size_t)c->quality_columns] : (float)c->contract.samples;
    return q >= 0 && q <= (float)c->contract.samples ? (int)q : c->contract.samples;
}

int ecg_loader_crops(const ecg_loader *l, uint32_t row)
{
    return ecg_loader_valid(l, row) / l->crop;
}

int ecg_loader_start(const ecg_loader *l, uint32_t row, uint64_t seed, uint32_t epoch)
{
    const int room = ecg_loader_valid(l, row) - l->crop; /* starts 0 .. room-1, as the reference draws them: 0..749 of 1000 */
    if (room <= 1)
        return 0;
    ecg_rng g;
    ecg_rng_open(&g, seed, 0, ECG_STREAM_CROP, row, epoch);
    return (int)ecg_rng_below(&g, (uint32_t)room);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The cohort lies in a file: the pages of these bytes are asked for. */
static void want(const void *bytes, size_t len)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)bytes / page * page;
    madvise((void *)from, (uintptr_t)bytes + len - from, MADV_WILLNEED); /* advice: refused, the page comes when it is read */
}

void ecg_loader_ahead(const ecg_loader *l, const uint32_t *row, int B, uint64_t seed, uint32_t epoch)
{
    const ecg_contract *k = &l->cohort->contract;
    const size_t leads = (size_t)k->leads, samples = (size_t)k->samples, columns = (size_t)k->columns;
    for (int b = 0; b < B; b++) {
        const size_t start = (size_t)ecg_loader_start(l, row[b], seed, epoch);
        want(l->cohort->signal + ((size_t)row[b] * samples + start) * leads, (size_t)l->crop * leads * sizeof(float));
        if (l->cohort->tabular)
            want(l->cohort->tabular + (size_t)row[b] * columns, columns * sizeof(float));
    }
}

typedef struct {
    float *x;
    const ecg_loader *l;
    const uint32_t *row;
    const int *start;
} signals_job;

static void copy_one(void *ctx, int b, int worker)
{
    (void)worker;
    const signals_job *j = ctx;
    const ecg_contract *k = &j->l->cohort->contract;
    const size_t leads = (size_t)k->leads, len = (size_t)j->l->crop * leads;
    const float *record = j->l->cohort->signal + (size_t)j->row[b] * (size_t)k->samples * leads;
    memcpy(j->x + (size_t)b * len, record + (size_t)j->start[b] * leads, len * sizeof *j->x);
}

void ecg_loader_signals(float *x, const ecg_loader *l, ecg_pool *pool, const uint32_t *row, const int *start, int B)
{
    signals_job j = {x, l, row, start};
    const double began = now();
    ecg_pool_run(pool, copy_one, &j, B);
    *l->waited += now() - began;
}

/* ---- table -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    float *median;
    const ecg_loader *l;
    float *room; /* (workers, n) */
} medians_job;

static int by_float(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void median_of_column(void *ctx, int j, int worker)
{
    const medians_job *m = ctx;
    const ecg_rows *train = &m->l->role[ECG_TRAIN];
    const ecg_contract *k = &m->l->cohort->contract;
    float *x = m->room + (size_t)worker * (size_t)train->n;
    size_t n = 0;
    for (int64_t i = 0; i < train->n; i++) {
        const float v = m->l->cohort->tabular[(size_t)train->row[i] * (size_t)k->columns + (size_t)j];
        if (!isnan(v))
            x[n++] = v;
    }
    qsort(x, n, sizeof *x, by_float);
    const double mid = n == 0 ? 0 : n % 2 ? (double)x[n / 2] : ((double)x[n / 2 - 1] + (double)x[n / 2]) / 2;
    m->median[j] = (float)(k->column[j].categorical ? trunc(mid) : mid);
}

ecg_status ecg_loader_medians(float *median, const ecg_loader *l, ecg_pool *pool, ecg_err *err)
{
    medians_job m = {median, l, NULL};
    const size_t workers = pool ? (size_t)ecg_pool_threads(pool) : 1;
    m.room = malloc((workers * (size_t)l->role[ECG_TRAIN].n + 1) * sizeof *m.room);
    if (!m.room)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    ecg_pool_run(pool, median_of_column, &m, l->cohort->contract.columns);
    free(m.room);
    return ECG_OK;
}

void ecg_loader_tabular(float *continuous, int32_t *category, const ecg_loader *l, const float *median, const uint32_t *row, int B)
{
    const size_t columns = (size_t)l->cohort->contract.columns;
    const double began = now();
    for (int b = 0; b < B; b++) {
        const float *x = l->cohort->tabular + (size_t)row[b] * columns;
        for (int j = 0; j < l->continuous; j++) {
            const int at = l->continuous_at[j];
            continuous[(size_t)b * (size_t)l->continuous + (size_t)j] = isnan(x[at]) ? median[at] : x[at];
        }
        for (int j = 0; j < l->categorical; j++) {
            const int at = l->categorical_at[j];
            category[(size_t)b * (size_t)l->categorical + (size_t)j] = (int32_t)(isnan(x[at]) ? median[at] : x[at]);
        }
    }
    *l->waited += now() - began;
}

void ecg_loader_labels(float *y, const int8_t *label, int K, const uint32_t *row, int B)
{
    for (int b = 0; b < B; b++)
        for (int k = 0; k < K; k++) {
            const int8_t v = label[(size_t)row[b] * (size_t)K + (size_t)k];
            y[(size_t)b * (size_t)K + (size_t)k] = v == 0 || v == 1 ? (float)v : NAN;
        }
}
