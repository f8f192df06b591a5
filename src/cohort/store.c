/* SPDX-License-Identifier: MIT
 * store.c: the cohort file, written record by record and read through a mapping. What is read is checked once, here, so that
 * whoever trains may index with it: folds below 32, labels in {-1, 0, 1}, category numbers inside their vocabulary, valid
 * lengths inside the record. */
#include "cohort/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { FOLDS = 32, MAX_SETS = 16, QUALITY = 8 };

/* Room for the header, which holds the label tables: 1,428 codes with titles take 400 kB. */
static const size_t header_reserve = (size_t)4 << 20;

static const char *const role_names[ECG_ROLES] = {"train", "validation", "test"};

/* ---- roles ---------------------------------------------------------------------------------------------------------------- */

static bool parse_range(unsigned *from, unsigned *to, const char *at, size_t len)
{
    const char *dash = memchr(at, '-', len);
    const size_t first = dash ? (size_t)(dash - at) : len;
    int64_t a, b;
    if (!ecg_parse_i64(&a, at, first))
        return false;
    b = a;
    if (dash && !ecg_parse_i64(&b, dash + 1, len - first - 1))
        return false;
    if (a < 0 || b < a || b >= FOLDS)
        return false;
    *from = (unsigned)a;
    *to = (unsigned)b;
    return true;
}

/* "train:0-3,6,validation:4,test:5": a piece with a colon names the role, one without goes on with it. */
ecg_status ecg_roles_parse(ecg_roles *out, const char *text, ecg_err *err)
{
    ecg_roles r = {{0}};
    int role = -1;
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, ",;+ ");
        const char *piece = at;
        at += len;
        at += strspn(at, ",;+ ");
        if (!len)
            continue;
        const char *colon = memchr(piece, ':', len);
        if (colon) {
            const size_t name = (size_t)(colon - piece);
            role = -1;
            for (int i = 0; i < ECG_ROLES; i++)
                if (strlen(role_names[i]) == name && !memcmp(piece, role_names[i], name))
                    role = i;
            if (role < 0)
                return ecg_fail(err, ECG_EARG, "roles: \"%.*s\" is none of train, validation, test", (int)(name < 40 ? name : 40), piece);
            len -= name + 1;
            piece = colon + 1;
            if (!len)
                continue;
        }
        if (role < 0)
            return ecg_fail(err, ECG_EARG, "roles: a fold before any role in \"%.80s\"", text);
        unsigned from, to;
        if (!parse_range(&from, &to, piece, len))
            return ecg_fail(err, ECG_EARG, "roles: \"%.*s\" is no fold or range of folds between 0 and %d", (int)(len < 40 ? len : 40), piece, FOLDS - 1);
        for (unsigned f = from; f <= to; f++)
            for (int i = 0; i < ECG_ROLES; i++) {
                if (i != role && r.folds[i] >> f & 1u)
                    return ecg_fail(err, ECG_EARG, "roles: fold %u is both %s and %s", f, role_names[i], role_names[role]);
                if (i == role)
                    r.folds[i] |= 1u << f;
            }
    }
    if (!(r.folds[0] | r.folds[1] | r.folds[2]))
        return ecg_fail(err, ECG_EARG, "roles: no fold named in \"%.80s\", expected like train:0-17,validation:18,test:19", text);
    *out = r;
    return ECG_OK;
}

void ecg_roles_text(char *out, size_t size, const ecg_roles *r)
{
    size_t at = 0;
    if (size)
        *out = 0;
    for (int i = 0; i < ECG_ROLES; i++) {
        const char *before = "";
        for (unsigned f = 0; f < FOLDS; f++) {
            if (!(r->folds[i] >> f & 1u))
                continue;
            unsigned to = f;
            while (to + 1 < FOLDS && r->folds[i] >> (to + 1) & 1u)
                to++;
            char piece[48], until[16] = "";
            if (to > f)
                snprintf(until, sizeof until, "-%u", to);
            if (*before)
                snprintf(piece, sizeof piece, ",%u%s", f, until);
            else
                snprintf(piece, sizeof piece, "%s%s:%u%s", at ? "," : "", role_names[i], f, until);
            if (at + strlen(piece) + 1 <= size)
                memcpy(out + at, piece, strlen(piece) + 1);
            at += strlen(piece);
            before = ",";
            f = to;
        }
    }
}

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

static ecg_status hash_of_header(char hex[65], const char *path, ecg_err *err)
{
    ecg_bytes file;
    ecg_status st = ecg_file_map(&file, path, err);
    if (st)
        return st;
    uint64_t len = 0;
    if (file.len >= 8)
        for (int i = 7; i >= 0; i--)
            len = len << 8 | file.at[i];
    if (file.len < 8 || len > file.len - 8) {
        st = ecg_fail_at(err, ECG_EDATA, path, 0, 0, "%zu bytes do not hold the header they announce", file.len);
    } else {
        ecg_sha256 s;
        ecg_sha256_begin(&s);
        ecg_sha256_add(&s, file.at, (size_t)len + 8);
        ecg_sha256_end(&s, hex);
    }
    ecg_bytes_free(&file);
    return st;
}

static ecg_status need(const void **data, const ecg_tensors *file, const char *name, ecg_dtype dtype, int64_t n, int64_t width, ecg_err *err)
{
    const ecg_tensor *t;
    const int64_t dim[2] = {n, width};
    ecg_status st = ecg_tensors_need(file, &t, name, dtype, width ? 2 : 1, dim, err);
    if (!st)
        *data = t->data;
    return st;
}

static ecg_status check_values(const ecg_cohort *c, ecg_err *err)
{
    const ecg_contract *k = &c->contract;
    for (int64_t i = 0; i < c->n; i++) {
        if (c->fold[i] >= FOLDS)
            return ecg_fail(err, ECG_EDATA, "row %" PRId64 " is in fold %d, the largest is %d", i, c->fold[i], FOLDS - 1);
        if (c->first_in_stay[i] > 1)
            return ecg_fail(err, ECG_EDATA, "row %" PRId64 ": first_in_stay is %d", i, c->first_in_stay[i]);
        const float valid = c->quality[i * c->quality_columns];
        const int least = c->signal ? k->crop : 0;
        if (!(valid >= (float)least && valid <= (float)k->samples))
            return ecg_fail(err, ECG_EDATA, "row %" PRId64 " has %g valid samples, expected %d to %d", i, (double)valid, least, k->samples);
    }
    for (int s = 0; s < k->sets; s++)
        for (int64_t i = 0; i < c->n * k->table[s].n; i++)
            if (c->label[s][i] < -1 || c->label[s][i] > 1)
                return ecg_fail(err, ECG_EDATA, "labels.%s: row %" PRId64 " holds %d, expected -1, 0 or 1", k->table[s].set, i / k->table[s].n, c->label[s][i]);
    for (int j = 0; j < k->columns; j++) {
        if (!k->column[j].categorical)
            continue;
        for (int64_t i = 0; i < c->n; i++) {
            const float x = c->tabular[i * k->columns + j];
            if (!isnan(x) && !(x >= 0 && x < (float)k->column[j].vocabulary && x == floorf(x)))
                return ecg_fail(err, ECG_EDATA, "%s: row %" PRId64 " holds %g, expected 0 to %d", k->column[j].name, i, (double)x, k->column[j].vocabulary - 1);
        }
    }
    return ECG_OK;
}

/* What the other tensors are measured by: the signals, or in a cohort of tables alone the study numbers. */
static ecg_status count_records(ecg_cohort *c, ecg_err *err)
{
    const ecg_contract *k = &c->contract;
    const ecg_tensor *first;
    const int64_t shape[3] = {-1, k->samples, k->leads}, any = -1;
    const char *waveforms = ecg_tensors_meta(c->file, "waveforms");
    const bool tables_alone = waveforms && !strcmp(waveforms, "false");
    if (tables_alone && ecg_tensors_find(c->file, "signal"))
        return ecg_fail(err, ECG_EDATA, "metadata \"waveforms\" is false, but a tensor \"signal\" is there");
    const ecg_status st = tables_alone ? ecg_tensors_need(c->file, &first, "study", ECG_I64, 1, &any, err)
                                       : ecg_tensors_need(c->file, &first, "signal", ECG_F32, 3, shape, err);
    if (st)
        return st;
    c->n = first->dim[0];
    c->signal = tables_alone ? NULL : first->data;
    return c->n < 1 ? ecg_fail(err, ECG_EDATA, "no record in it") : ECG_OK;
}

static ecg_status attach_tensors(ecg_cohort *c, ecg_err *err)
{
    const ecg_contract *k = &c->contract;
    const ecg_tensor *quality;
    const int64_t any[2] = {-1, -1};
    ecg_status st = count_records(c, err);
    if (st)
        return st;
    const int64_t n = c->n;
    if ((st = ecg_tensors_need(c->file, &quality, "quality", ECG_F32, 2, any, err)))
        return st;
    if (quality->dim[0] != n || quality->dim[1] < 1 || quality->dim[1] > 64)
        return ecg_fail(err, ECG_EDATA, "quality is %" PRId64 " x %" PRId64 " for %" PRId64 " records", quality->dim[0], quality->dim[1], n);
    c->quality = quality->data;
    c->quality_columns = (int)quality->dim[1];
    if (k->columns && (st = need((const void **)&c->tabular, c->file, "tabular", ECG_F32, n, k->columns, err)))
        return st;
    if ((st = need((const void **)&c->fold, c->file, "fold", ECG_U8, n, 0, err)) ||
        (st = need((const void **)&c->first_in_stay, c->file, "first_in_stay", ECG_U8, n, 0, err)) ||
        (st = need((const void **)&c->patient, c->file, "patient", ECG_I64, n, 0, err)) ||
        (st = need((const void **)&c->study, c->file, "study", ECG_I64, n, 0, err)) ||
        (st = need((const void **)&c->stay, c->file, "stay", ECG_I64, n, 0, err)) ||
        (st = need((const void **)&c->ecg_time, c->file, "ecg_time", ECG_I64, n, 0, err)))
        return st;
    for (int s = 0; s < k->sets; s++) {
        char name[64];
        snprintf(name, sizeof name, "labels.%s", k->table[s].set);
        if (k->table[s].n < 1)
            return ecg_fail(err, ECG_EDATA, "label set %s is empty", k->table[s].set);
        if ((st = need((const void **)&c->label[s], c->file, name, ECG_I8, n, k->table[s].n, err)))
            return st;
    }
    return check_values(c, err);
}

ecg_status ecg_cohort_open(ecg_cohort *out, const char *path, ecg_err *err)
{
    ecg_cohort c = {0};
    const char *contract, *roles, *synthetic;
    ecg_status st = ecg_tensors_open(&c.file, path, err);
    if (st) {
        *out = (ecg_cohort){0};
        return st;
    }
    snprintf(c.path, sizeof c.path, "%s", path);
    if ((st = ecg_tensors_check_format(c.file, "ecgraft.cohort", err)))
        goto failed;
    contract = ecg_tensors_meta(c.file, "contract");
    roles = ecg_tensors_meta(c.file, "roles");
    synthetic = ecg_tensors_meta(c.file, "synthetic");
    c.attrition = ecg_tensors_meta(c.file, "attrition");
    if (!contract || !roles || !synthetic || !c.attrition) {
        st = ecg_fail(err, ECG_EDATA, "metadata \"%s\" is absent", !contract ? "contract" : !roles ? "roles" : !synthetic ? "synthetic" : "attrition");
        goto failed;
    }
    c.synthetic = strcmp(synthetic, "false") != 0;
    if ((st = ecg_contract_from_json(&c.contract, contract, err)) || (st = ecg_roles_parse(&c.roles, roles, err)))
        goto failed;
    if (c.contract.sets > MAX_SETS) {
        st = ecg_fail(err, ECG_EDATA, "%d label sets, at most %d are read", c.contract.sets, MAX_SETS);
        goto failed;
    }
    if ((st = attach_tensors(&c, err)) || (st = hash_of_header(c.hash, path, err)))
        goto failed;
    *out = c;
    return ECG_OK;
failed:
    if (st == ECG_EARG) /* the roles are the file's own text here, not the caller's */
        st = ECG_EDATA;
    if (err)
        err->status = st;
    st = ecg_fail_in(err, st, path);
    ecg_cohort_close(&c);
    *out = c;
    return st;
}

void ecg_cohort_close(ecg_cohort *c)
{
    if (!c)
        return;
    ecg_contract_clear(&c->contract);
    ecg_tensors_close(c->file);
    *c = (ecg_cohort){0};
}

const int8_t *ecg_cohort_labels(const ecg_cohort *c, const char *set, const ecg_label_table **table)
{
    for (int s = 0; s < c->contract.sets; s++)
        if (!strcmp(c->contract.table[s].set, set)) {
            if (table)
                *table = &c->contract.table[s];
            return c->label[s];
        }
    return NULL;
}

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

struct ecg_cohort_builder {
    ecg_tensorsw *file;
    bool waveforms;
    int samples, leads;
    ecg_cohort_row *row; /* (n) */
    int64_t n, room;
    ecg_sha256 data;     /* of every tensor in the order of writing: it names the content */
    char path[512];
    bool found, decided; /* an earlier build left something; it is taken over or cut */
    ecg_journal *journal; /* owned; NULL: none */
    int64_t saved;       /* rows that the journal may speak of */
    const ecg_watch *watch;
};

ecg_status ecg_cohort_create(ecg_cohort_builder **out, const char *path, const ecg_contract *signal_contract, bool waveforms, ecg_err *err)
{
    *out = NULL;
    ecg_cohort_builder *b = calloc(1, sizeof *b);
    if (!b)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a cohort");
    b->waveforms = waveforms;
    b->samples = signal_contract->samples;
    b->leads = signal_contract->leads;
    ecg_sha256_begin(&b->data);
    const int64_t dim[3] = {-1, b->samples, b->leads};
    snprintf(b->path, sizeof b->path, "%s", path);
    ecg_status st = ecg_tensorsw_create_part(&b->file, path, header_reserve, err);
    if (!st) {
        size_t at;
        b->found = ecg_tensorsw_found(b->file, &at) > 0;
        if (waveforms)
            st = ecg_tensorsw_begin(b->file, "signal", ECG_F32, 3, dim, err);
    }
    if (st) {
        ecg_cohort_abort(b);
        return st;
    }
    *out = b;
    return ECG_OK;
}

static size_t signal_bytes(const ecg_cohort_builder *b)
{
    return b->waveforms ? (size_t)b->samples * (size_t)b->leads * sizeof(float) : 0;
}

static ecg_status make_room(ecg_cohort_builder *b, int64_t n, ecg_err *err)
{
    if (n <= b->room)
        return ECG_OK;
    const int64_t room = n > 2 * b->room ? n + 1024 : 2 * b->room;
    ecg_cohort_row *more = realloc(b->row, (size_t)room * sizeof *more);
    if (!more)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " records", room);
    b->row = more;
    b->room = room;
    return ECG_OK;
}

ecg_status ecg_cohort_add(ecg_cohort_builder *b, const float *signal, const ecg_cohort_row *row, ecg_err *err)
{
    if (!signal != !b->waveforms)
        return ecg_fail(err, ECG_EARG, signal ? "a recording for a cohort of tables alone" : "a row without a recording");
    const size_t bytes = signal_bytes(b);
    ecg_status st = make_room(b, b->n + 1, err);
    if (!st && !b->decided)
        st = ecg_cohort_start_over(b, err);
    if (!st && bytes)
        st = ecg_tensorsw_write(b->file, signal, bytes, err);
    if (st)
        return st;
    if (bytes)
        ecg_sha256_add(&b->data, signal, bytes);
    b->row[b->n++] = *row;
    return ECG_OK;
}

/* The digest of the signals that are there, as far as `bytes`; false: stopped. */
static ecg_status digest_of_part(ecg_sha256 *s, const ecg_cohort_builder *b, size_t at, size_t bytes, const ecg_watch *watch, ecg_err *err)
{
    enum { PIECE = 1 << 24 };
    char part[520];
    ecg_bytes file;
    snprintf(part, sizeof part, "%s.part", b->path);
    ecg_status st = ecg_file_map(&file, part, err);
    for (size_t done = 0; !st && done < bytes; done += PIECE) {
        if (ecg_stopped(watch)) {
            st = ecg_fail(err, ECG_EINTR, "interrupted");
            break;
        }
        ecg_sha256_add(s, file.at + at + done, bytes - done < PIECE ? bytes - done : PIECE);
        ecg_progress(watch, "looking at what is there", (double)done, (double)bytes, NULL);
    }
    ecg_bytes_free(&file);
    return st;
}

ecg_status ecg_cohort_go_on(ecg_cohort_builder *b, bool *same, const ecg_cohort_row *row, int64_t n, const char *digest, const ecg_watch *watch, ecg_err *err)
{
    size_t at;
    const size_t found = ecg_tensorsw_found(b->file, &at), bytes = (size_t)n * signal_bytes(b);
    char hex[65];
    ecg_sha256 s;
    *same = false;
    if (b->decided || (size_t)n > found / signal_bytes(b))
        return ECG_OK;
    ecg_sha256_begin(&s);
    ecg_status st = digest_of_part(&s, b, at, bytes, watch, err);
    if (st)
        return st;
    ecg_sha256 copy = s;
    ecg_sha256_end(&copy, hex);
    if (memcmp(hex, digest, 64))
        return ECG_OK;
    if ((st = make_room(b, n, err)) || (st = ecg_tensorsw_go_on(b->file, bytes, err)))
        return st;
    if (n)
        memcpy(b->row, row, (size_t)n * sizeof *row);
    b->n = b->saved = n;
    b->data = s;
    b->decided = *same = true;
    return ECG_OK;
}

ecg_status ecg_cohort_start_over(ecg_cohort_builder *b, ecg_err *err)
{
    b->decided = true;
    return ecg_tensorsw_go_on(b->file, 0, err);
}

ecg_status ecg_cohort_flush(ecg_cohort_builder *b, char digest[65], ecg_err *err)
{
    ecg_sha256 copy = b->data;
    ecg_sha256_end(&copy, digest);
    b->saved = b->n;
    return ecg_tensorsw_flush(b->file, err);
}

void ecg_cohort_keep(ecg_cohort_builder *b, ecg_journal *j, const ecg_watch *watch)
{
    b->journal = j;
    b->watch = watch;
}

int64_t ecg_cohort_count(const ecg_cohort_builder *b)
{
    return b->n;
}

ecg_cohort_row *ecg_cohort_rows(ecg_cohort_builder *b)
{
    return b->row;
}

static int by_patient(const void *x, const void *y)
{
    const ecg_cohort_row *a = *(const ecg_cohort_row *const *)x, *b = *(const ecg_cohort_row *const *)y;
    return a->patient != b->patient ? (a->patient < b->patient ? -1 : 1) : a->fold - b->fold;
}

static ecg_status check_folds(const ecg_cohort_builder *b, ecg_err *err)
{
    const ecg_cohort_row **order = malloc((size_t)b->n * sizeof *order);
    if (!order)
        return ecg_fail(err, ECG_ENOMEM, "no memory to sort %" PRId64 " records", b->n);
    for (int64_t i = 0; i < b->n; i++)
        order[i] = &b->row[i];
    qsort(order, (size_t)b->n, sizeof *order, by_patient);
    ecg_status st = ECG_OK;
    for (int64_t i = 0; i < b->n && !st; i++) {
        if (order[i]->fold >= FOLDS)
            st = ecg_fail(err, ECG_EDATA, "study %" PRId64 " is in fold %d, the largest is %d", order[i]->study, order[i]->fold, FOLDS - 1);
        else if (i && order[i]->patient >= 0 && order[i]->patient == order[i - 1]->patient && order[i]->fold != order[i - 1]->fold)
            st = ecg_fail(err, ECG_EDATA, "patient %" PRId64 " is in fold %d and in fold %d", order[i]->patient, order[i - 1]->fold, order[i]->fold);
    }
    free(order);
    return st;
}

static ecg_status put(ecg_cohort_builder *b, const char *name, ecg_dtype dtype, int64_t width, const void *data, ecg_err *err)
{
    const int64_t dim[2] = {b->n, width};
    ecg_sha256_add(&b->data, name, strlen(name) + 1);
    ecg_sha256_add(&b->data, data, (size_t)b->n * (size_t)(width ? width : 1) * ecg_dtype_size(dtype));
    return ecg_tensorsw_put(b->file, name, dtype, width ? 2 : 1, dim, data, err);
}

/* One field of every row as a tensor; scratch holds n of the widest. */
static ecg_status put_ids(ecg_cohort_builder *b, int64_t *scratch, ecg_err *err)
{
    static const struct { const char *name; size_t at; } ids[] = {
        {"patient", offsetof(ecg_cohort_row, patient)},
        {"study", offsetof(ecg_cohort_row, study)},
        {"stay", offsetof(ecg_cohort_row, stay)},
        {"ecg_time", offsetof(ecg_cohort_row, ecg_time)},
    };
    for (size_t f = 0; f < sizeof ids / sizeof *ids; f++) {
        for (int64_t i = 0; i < b->n; i++)
            memcpy(&scratch[i], (const char *)&b->row[i] + ids[f].at, sizeof *scratch);
        ecg_status st = put(b, ids[f].name, ECG_I64, 0, scratch, err);
        if (st)
            return st;
    }
    return ECG_OK;
}

static ecg_status put_small(ecg_cohort_builder *b, void *scratch, ecg_err *err)
{
    float *quality = scratch;
    for (int64_t i = 0; i < b->n; i++)
        memcpy(quality + i * QUALITY, b->row[i].quality, sizeof b->row[i].quality);
    ecg_status st = put(b, "quality", ECG_F32, QUALITY, quality, err);
    if (st)
        return st;
    uint8_t *bytes = scratch;
    for (int64_t i = 0; i < b->n; i++)
        bytes[i] = b->row[i].fold;
    if ((st = put(b, "fold", ECG_U8, 0, bytes, err)))
        return st;
    for (int64_t i = 0; i < b->n; i++)
        bytes[i] = b->row[i].first_in_stay;
    return put(b, "first_in_stay", ECG_U8, 0, bytes, err);
}

static ecg_status put_meta(ecg_cohort_builder *b, const ecg_contract *contract, const ecg_roles *roles, bool synthetic, const char *attrition_json,
                           const char *sources_json, const char *command, ecg_err *err)
{
    char data_hash[65], roles_text[256], *text = NULL;
    ecg_sha256_end(&b->data, data_hash);
    ecg_roles_text(roles_text, sizeof roles_text, roles);
    ecg_status st = ecg_contract_to_json(&text, contract, err);
    if (st)
        return st;
    const char *const meta[][2] = {
        {"format", "ecgraft.cohort"}, {"format_version", "1.0"},     {"contract", text},   {"roles", roles_text},
        {"attrition", attrition_json}, {"sources", sources_json},    {"command", command}, {"version", ecg_version()},
        {"synthetic", synthetic ? "true" : "false"}, {"data_sha256", data_hash},
    };
    for (size_t i = 0; i < sizeof meta / sizeof *meta && !st; i++)
        st = ecg_tensorsw_meta(b->file, meta[i][0], meta[i][1], err);
    if (!st && !b->waveforms)
        st = ecg_tensorsw_meta(b->file, "waveforms", "false", err);
    free(text);
    return st;
}

/* Widest tensors first, so that they are aligned as they come: signal, 64-bit ids, floats, bytes. */
static ecg_status put_all(ecg_cohort_builder *b, const ecg_contract *contract, const float *tabular, const int8_t *const *label, ecg_err *err)
{
    void *scratch = malloc((size_t)b->n * QUALITY * sizeof(float) + (size_t)b->n * sizeof(int64_t));
    if (!scratch)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " records", b->n);
    ecg_status st = b->waveforms ? ecg_tensorsw_end(b->file, err) : ECG_OK;
    if (!st)
        st = put_ids(b, scratch, err);
    if (!st && contract->columns)
        st = put(b, "tabular", ECG_F32, contract->columns, tabular, err);
    if (!st)
        st = put_small(b, scratch, err);
    for (int s = 0; s < contract->sets && !st; s++) {
        char name[64];
        snprintf(name, sizeof name, "labels.%s", contract->table[s].set);
        st = put(b, name, ECG_I8, contract->table[s].n, label[s], err);
    }
    free(scratch);
    return st;
}

/* What took long to read stays for the next attempt, unless this one is done. */
static void end_build(ecg_cohort_builder *b, bool done)
{
    const bool keep = !done && (b->decided ? b->journal && b->saved > 0 : b->found);
    char part[520];
    snprintf(part, sizeof part, "%s.part", b->path);
    if (!b->file && !keep && !done && b->decided) /* the commit failed, and the file is closed */
        unlink(part);
    if (keep)
        ecg_tensorsw_keep(b->file);
    else
        ecg_tensorsw_abort(b->file);
    if (keep && b->journal)
        ecg_say(b->watch, "%s keeps the %" PRId64 " recordings that were read; the same command goes on from there", part, b->saved);
    if (b->journal)
        ecg_journal_close(b->journal, keep);
    else if (done || (b->decided && !keep))
        ecg_journal_remove(b->path);
    free(b->row);
    free(b);
}

ecg_status ecg_cohort_commit(ecg_cohort_builder *b, const ecg_contract *contract, const float *tabular, const int8_t *const *label,
                             const ecg_roles *roles, bool synthetic, const char *attrition_json, const char *sources_json, const char *command, ecg_err *err)
{
    ecg_status st = ECG_OK;
    if (b->n < 1)
        st = ecg_fail(err, ECG_EDATA, "no record is left for the cohort");
    else if (contract->samples != b->samples || contract->leads != b->leads || contract->sets > MAX_SETS)
        st = ecg_fail(err, ECG_EARG, "%d samples of %d leads in %d sets do not fit the %d x %d that were added", contract->samples, contract->leads,
                      contract->sets, b->samples, b->leads);
    if (!st)
        st = check_folds(b, err);
    if (!st && !b->decided)
        st = ecg_cohort_start_over(b, err);
    if (!st)
        st = put_all(b, contract, tabular, label, err);
    if (!st)
        st = put_meta(b, contract, roles, synthetic, attrition_json, sources_json, command, err);
    if (!st) {
        st = ecg_tensorsw_commit(b->file, err);
        b->file = NULL;
    }
    end_build(b, !st);
    return st;
}

void ecg_cohort_abort(ecg_cohort_builder *b)
{
    if (b)
        end_build(b, false);
}
