/* SPDX-License-Identifier: MIT
 * neighbours.c: see neighbours.h. Similar is what is near in Mahalanobis distance, where the model has a covariance: then all embeddings are kept as
 * z = L^-1 (h - mean), L L' the covariance, and distances are plain ones. */
#include "model/parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ecg_neighbours {
    const ecg_model *m;
    int64_t n;
    float *z;            /* (n, width) */
    int8_t *label[2];    /* (n, K) of the model's heads */
};

static const double same_recording = 1e-4; /* distance */

/* What embeddings depend on: all parameters and buffers of the encoder. */
static void encoder_hash(char hex[65], const ecg_model *m)
{
    ecg_sha256 s;
    ecg_sha256_begin(&s);
    for (int i = 0; i < m->table.n; i++) {
        const ecg_param *p = &m->table.row[i];
        if (strncmp(p->name, "ecg.", 4) == 0) {
            ecg_sha256_add(&s, p->name, strlen(p->name));
            ecg_sha256_add(&s, m->table.value + p->at, p->count * sizeof(float));
        }
    }
    ecg_sha256_end(&s, hex);
}

static const char *label_hash(const ecg_model *m, int head)
{
    const ecg_label_table *t;
    ecg_head_labels(m, &m->head[head], &t);
    return t ? t->hash : "";
}

/* ---- the file -------------------------------------------------------------------------------------------------------------------- */

ecg_status ecg_neighbours_write(const char *path, const ecg_model *m, const ecg_neighbour_rows *r, ecg_err *err)
{
    char hash[65];
    ecg_tensorsw *w;
    ecg_status st = ecg_tensorsw_create(&w, path, 4096, err);
    if (st)
        return st;
    encoder_hash(hash, m);
    const char *const meta[][2] = {{"format", "ecgraft.neighbours"}, {"format_version", "1.0"}, {"encoder", hash}, {"cohort", r->cohort},
                                   {"synthetic", m->synthetic ? "true" : "false"}, {"note", "data of patients: not to be passed on"}};
    for (size_t i = 0; i < sizeof meta / sizeof *meta && !st; i++)
        st = ecg_tensorsw_meta(w, meta[i][0], meta[i][1], err);
    for (int i = 0; i < m->heads && !st; i++)
        st = ecg_tensorsw_meta(w, m->head[i].set, label_hash(m, i), err);
    const int64_t h[2] = {r->n, m->shape.width};
    if (!st)
        st = ecg_tensorsw_put(w, "row", ECG_I64, 1, &r->n, r->row, err);
    if (!st)
        st = ecg_tensorsw_put(w, "h", ECG_F32, 2, h, r->h, err);
    for (int i = 0; i < m->heads && !st; i++) {
        char name[48];
        const int64_t dim[2] = {r->n, ecg_head_labels(m, &m->head[i], NULL)};
        snprintf(name, sizeof name, "label.%s", m->head[i].set);
        st = ecg_tensorsw_put(w, name, ECG_I8, 2, dim, r->label[i], err);
    }
    if (!st)
        return ecg_tensorsw_commit(w, err);
    ecg_tensorsw_abort(w);
    return st;
}

static ecg_status check(const ecg_tensors *t, const ecg_model *m, ecg_err *err)
{
    char hash[65];
    ecg_status st = ecg_tensors_check_format(t, "ecgraft.neighbours", err);
    if (st)
        return st;
    encoder_hash(hash, m);
    const char *theirs = ecg_tensors_meta(t, "encoder");
    if (!theirs || strcmp(theirs, hash) != 0)
        return ecg_fail(err, ECG_ECONTRACT, "made with another encoder: its embeddings cannot be compared with this model's");
    for (int i = 0; i < m->heads; i++) {
        theirs = ecg_tensors_meta(t, m->head[i].set);
        if (!theirs || strcmp(theirs, label_hash(m, i)) != 0)
            return ecg_fail(err, ECG_ECONTRACT, "made with other %s labels than those of the model", m->head[i].set);
    }
    return ECG_OK;
}

/* z = L^-1 (h - mean) in place; without a covariance h as it is. False: not finite. */
static bool whiten(float *h, const ecg_model *m)
{
    const ecg_outlier *o = &m->outlier;
    for (int a = 0; a < m->shape.width; a++) {
        double s = (double)h[a];
        if (o->width) {
            const float *row = o->root + (size_t)a * ((size_t)a + 1) / 2;
            s -= (double)o->mean[a];
            for (int b = 0; b < a; b++)
                s -= (double)row[b] * (double)h[b];
            s /= (double)row[a];
        }
        h[a] = (float)s;
        if (!isfinite(h[a]))
            return false;
    }
    return true;
}

static ecg_status take(ecg_neighbours *n, const ecg_tensors *t, ecg_err *err)
{
    const ecg_model *m = n->m;
    const int64_t any[2] = {-1, m->shape.width};
    const ecg_tensor *h, *label;
    ecg_status st = ecg_tensors_need(t, &h, "h", ECG_F32, 2, any, err);
    if (st)
        return st;
    n->n = h->dim[0];
    if (n->n < 1)
        return ecg_fail(err, ECG_EDATA, "no recordings to compare with");
    st = ecg_tensors_need(t, &label, "row", ECG_I64, 1, &n->n, err);
    for (int i = 0; i < m->heads && !st; i++) {
        char name[48];
        const int64_t dim[2] = {n->n, ecg_head_labels(m, &m->head[i], NULL)};
        snprintf(name, sizeof name, "label.%s", m->head[i].set);
        st = ecg_tensors_need(t, &label, name, ECG_I8, 2, dim, err);
        n->label[i] = st ? NULL : malloc(label->bytes + 1);
        if (!st && !n->label[i])
            st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", n->n);
        if (!st)
            memcpy(n->label[i], label->data, label->bytes);
    }
    n->z = st ? NULL : malloc(h->bytes);
    if (!st && !n->z)
        st = ecg_fail(err, ECG_ENOMEM, "no memory for %" PRId64 " recordings", n->n);
    if (!st)
        memcpy(n->z, h->data, h->bytes);
    for (int64_t i = 0; i < n->n && !st; i++)
        if (!whiten(n->z + i * m->shape.width, m))
            st = ecg_fail(err, ECG_EDATA, "the embedding of recording %" PRId64 " is not finite", i + 1);
    return st;
}

ecg_status ecg_neighbours_take(ecg_neighbours **out, const ecg_tensors *t, const ecg_model *m, ecg_err *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    (*out)->m = m;
    const ecg_status st = take(*out, t, err);
    if (st) {
        ecg_neighbours_close(*out);
        *out = NULL;
    }
    return st;
}

ecg_status ecg_neighbours_open(ecg_neighbours **out, const char *path, const ecg_model *model, ecg_err *err)
{
    ecg_tensors *t;
    *out = NULL;
    ecg_status st = ecg_tensors_open(&t, path, err);
    if (st)
        return st;
    st = check(t, model, err);
    if (!st)
        st = ecg_neighbours_take(out, t, model, err);
    ecg_tensors_close(t);
    return st ? ecg_fail_in(err, st, path) : ECG_OK;
}

void ecg_neighbours_close(ecg_neighbours *n)
{
    if (!n)
        return;
    free(n->z);
    for (int i = 0; i < 2; i++)
        free(n->label[i]);
    free(n);
}

/* ---- the nearest ----------------------------------------------------------------------------------------------------------------- */

typedef struct { double distance; int64_t row; } near_one;

static int nearest(near_one best[ECG_NEAREST], const ecg_neighbours *n, const float *z)
{
    const int H = n->m->shape.width;
    int found = 0;
    for (int64_t i = 0; i < n->n; i++) {
        const float *other = n->z + i * H;
        double sum = 0;
        for (int j = 0; j < H; j++) {
            const double d = (double)z[j] - (double)other[j];
            sum += d * d;
        }
        if (!(sum > same_recording * same_recording) || (found == ECG_NEAREST && sum >= best[found - 1].distance))
            continue;
        int at = found < ECG_NEAREST ? found++ : found - 1;
        for (; at > 0 && best[at - 1].distance > sum; at--)
            best[at] = best[at - 1];
        best[at] = (near_one){sum, i};
    }
    return found;
}

static void count(ecg_score *s, int labels, const int8_t *label, int K, const near_one *best, int found)
{
    for (int i = 0; i < labels; i++) {
        s[i].near_known = s[i].near_with = 0;
        for (int b = 0; b < found; b++) {
            const int8_t y = label[best[b].row * K + s[i].row];
            s[i].near_known += y == 0 || y == 1;
            s[i].near_with += y == 1;
        }
    }
}

ecg_status ecg_count_neighbours(ecg_answer *a, const ecg_neighbours *n, const float *h, ecg_err *err)
{
    near_one best[ECG_NEAREST];
    const ecg_model *m = n->m;
    const size_t width = (size_t)m->shape.width;
    if (a->input == ECG_INPUT_REFUSED)
        return ECG_OK;
    float *z = ecg_answer_take(a, width, sizeof *z);
    if (!z)
        return ecg_fail(err, ECG_ENOMEM, "no memory for similar recordings");
    memcpy(z, h, width * sizeof *z);
    const int found = whiten(z, m) ? nearest(best, n, z) : 0;
    a->near = found;
    a->near_of = n->n;
    for (int i = 0; i < m->heads; i++) {
        const bool labs = strcmp(m->head[i].prefix, ECG_HEAD_LABS) == 0;
        count(labs ? a->lab : a->diagnosis, labs ? a->labs : a->diagnoses, n->label[i], ecg_head_labels(m, &m->head[i], NULL), best, found);
    }
    return ECG_OK;
}
